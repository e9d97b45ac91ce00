"""Amounts as people write them: times and sizes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mlvc import text

_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)\s*")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_POWERS = ("K", "M", "G", "T", "P")
_BYTES = {
    "": 1,
    "B": 1,
    **{f"{letter}{end}": 1000**power for power, letter in enumerate(_POWERS, 1) for end in ("", "B")},
    **{f"{letter}{end}": 1024**power for power, letter in enumerate(_POWERS, 1) for end in ("i", "iB")},
}
_MOST = 1e18


def seconds(value: object) -> float | None:
    """``90``, ``30s``, ``10m``, ``1.5h`` or ``2d`` as seconds; None for anything else."""
    return _amount(value, _SECONDS, str.lower)


def size(value: object) -> float | None:
    """``4GB`` (powers of 1000), ``512MiB`` (powers of 1024) or a number, in bytes; None for anything else."""
    return _amount(value, _BYTES, lambda unit: unit.upper().replace("I", "i"))


def number(value: object) -> float | None:
    """A number that is not negative; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= _MOST else None


def plain(text: str) -> int | float | None:
    """The number that ``text`` is, without any unit; None for anything else."""
    found = _AMOUNT.fullmatch(text)
    if found is None or found[2]:
        return None
    return int(found[1]) if found[1].isdigit() else float(found[1])


def time(seconds: float) -> str:
    """A time that somebody gave, for people: no part of a short one is lost."""
    return f"{seconds:g} s" if seconds < _SHORT else text.duration(seconds)


_SHORT = 10


def told(name: str, amount: float) -> str:
    """So much of a resource, for people."""
    return text.size(int(amount)) if name == "memory" else f"{amount:g}"


EPSILON = 1e-9
"""Three tenths and seven tenths are not one."""


def _amount(value: object, units: Mapping[str, int], spelled: Callable[[str], str]) -> float | None:
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return number(value)
    factor = units.get(spelled(found[2]))
    return None if factor is None else number(float(found[1]) * factor)
