"""What a Stage claims before it runs, so that those of two reproductions do not get into each other's way.

That is the paths that it reads and writes, and what it takes of resources. How that is held against other processes
is in ``claimfiles``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Share:
    """What one job of a Stage takes of resources, and how much there is of those that are limited."""

    takes: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)


NOTHING = Share()


class Claim(Protocol):
    """What one Stage has claimed."""

    @property
    def fd(self) -> int:
        """The open file that commands are to hold, too; -1 where there is none."""

    def use(self, jobs: int) -> Held | None:
        """From now on take what so many jobs take. Held, and nothing has changed, where it is more than is left."""

    def started(self, process: int) -> None:
        """Note the process group of a command, so that a person can be told of it."""

    def release(self) -> None:
        """Let others have what was claimed, also where something that the command left behind still runs."""


@dataclass(frozen=True, slots=True)
class Held:
    """Who works on what was asked for, or has it."""

    stage: str
    process: int
    """Of mlvc, or where that is gone, the process group of the command; 0 where nobody knows."""
    alone: bool = False
    """The command was left behind by an mlvc that was killed."""
    lacks: str = ""
    """The resource that is in use, and how much of it; '' where it is about paths."""
    more: int = 0
    """How many other Stages have some of it."""

    def __str__(self) -> str:
        """As a message names it."""
        number = self.process or "unknown"
        who = f"stage '{self.stage}' of another `mlvc repro` (process {number})"
        if self.alone:
            who = f"stage '{self.stage}', which a killed `mlvc repro` left running (process {number})"
        more = f" and {self.more} more" if self.more else ""
        return f"{self.lacks} by {who}{more}" if self.lacks else who


class Claims(Protocol):
    """Where Stages are claimed."""

    def claim(
        self, stage: str, reads: Iterable[str], writes: Iterable[str], share: Share = NOTHING, jobs: int = 0
    ) -> Claim | Held:
        """Claim the paths that a Stage reads and writes, and what so many jobs of it take.

        Held where another process has a claim that does not fit.
        """


@dataclass(frozen=True, slots=True)
class Nobody:
    """Claims of the only process there is."""

    fd: int = -1

    def claim(
        self,
        stage: str,  # noqa: ARG002
        reads: Iterable[str],  # noqa: ARG002
        writes: Iterable[str],  # noqa: ARG002
        share: Share = NOTHING,  # noqa: ARG002
        jobs: int = 0,  # noqa: ARG002
    ) -> Claim | Held:
        """See Claims."""
        return self

    def use(self, jobs: int) -> Held | None:  # noqa: ARG002
        """See Claim."""
        return None

    def started(self, process: int) -> None:
        """See Claim."""

    def release(self) -> None:
        """See Claim."""


NOBODY = Nobody()
