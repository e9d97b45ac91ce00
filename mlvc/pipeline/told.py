"""What a reproduction tells while it goes on, as it happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlvc.pipeline.plan import Decision


@dataclass(frozen=True, slots=True)
class StageResult:
    """What came of one Stage."""

    stage: str
    outcome: str
    """``unchanged``, ``frozen``, ``skipped``, ``restored``, ``stored``, ``ran``, ``failed``, ``declined`` or
    ``blocked``."""
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Considered:
    """What is going to be done, as far as that is known before anything runs."""

    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Started:
    """The commands of a Stage begin, for the ``number``-th time of at most ``of``. ``log``: where they print to.

    ``second``: they have ended well before, and are to make the same once more.
    """

    stage: str
    reasons: tuple[str, ...]
    number: int = 1
    of: int = 1
    log: str = ""
    second: bool = False


@dataclass(frozen=True, slots=True)
class Printed:
    """A piece of what the commands print, as it came: not a line, and not always text. Told in another thread."""

    stage: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """The Stage does not begin before another process has done ``cause``."""

    stage: str
    cause: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """How far a Stage with ``each`` is: of ``total`` items that run, these are done or have failed."""

    stage: str
    done: int
    total: int
    failed: int = 0


@dataclass(frozen=True, slots=True)
class ItemFailed:
    """An item of a Stage with ``each`` has failed. Told of the first thousand; the log of the Run names all of them."""

    stage: str
    path: str
    how: str
    """What goes on after its name: ``failed with exit code 1``."""
    code: int | None = None
    """The exit code, or minus the signal that ended it; None where that is not what went wrong."""


@dataclass(frozen=True, slots=True)
class Left:
    """The commands of a Stage have ended, and something that they started still runs, in these process groups."""

    stage: str
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What lies in a directory that a Stage reads or has written, and is no part of it."""

    stage: str
    path: str
    """The directory."""
    role: str
    """``dependency`` or ``output``."""
    names: tuple[str, ...]
    """The first few of them, from the root."""
    count: int


Told = Considered | Started | Printed | Waiting | Advanced | ItemFailed | Left | LeftOut | StageResult
Listener = Callable[[Told], object]
