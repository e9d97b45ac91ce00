"""The repository that a command works on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mlvc.repo import Repo, open_repo


@contextmanager
def opened() -> Iterator[Repo]:
    """The repository that the user stands in."""
    with open_repo(os.getcwd(), os.environ) as repo:
        yield repo
