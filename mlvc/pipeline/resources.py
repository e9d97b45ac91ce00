"""What there is on this machine for Stages to share."""

from __future__ import annotations

import os
from collections.abc import Mapping


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory that the machine has; 0 where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def limits(given: Mapping[str, float]) -> dict[str, float]:
    """What all running Stages together may take: ``given``, and else the processors and the memory there are."""
    found: dict[str, float] = {"cpus": processors()}
    if memory():
        found["memory"] = memory()
    return found | dict(given)
