"""Directories in which the commands of items find what their items depend on, and nothing else.

There is one for each command that runs at a time. What all items depend on is brought to it once, and each command
finds it as the first one did: what another one left there is removed, and where that wrote to what all items depend
on, the directory is given up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mlvc.manifest import Entry
from mlvc.pipeline import isolation as isolations
from mlvc.pipeline.executors.base import Job
from mlvc.pipeline.isolation import Isolation
from mlvc.pipeline.spec import Stage


@dataclass(slots=True)
class Slots:
    """The directories of one execution of a Stage with ``each``, and who gets one. For one thread."""

    isolation: Isolation
    stage: Stage
    job: Callable[[str], Job]
    """The Job of the Stage in such a directory."""
    isolated: bool = True
    """Whether all commands run in one."""
    twice: bool = False
    """Whether each command runs a second time, which is always in one."""
    _free: list[str] = field(default_factory=list)
    _lent: list[str] = field(default_factory=list)

    def lend(self, items: Sequence[Entry]) -> str:
        """A directory with ``items`` and all that they depend on; MlvcError where that cannot be made."""
        place = self._free.pop() if self._free else self.isolation.make_shared(self.stage)
        self._lent.append(place)
        try:
            self.isolation.lend(place, items)
        except BaseException:
            self._lent.remove(place)
            self.isolation.remove(place)
            raise
        return place

    def lacked(self, place: str, items: Sequence[Entry], text: str) -> list[str]:
        """What a command for ``items`` names in what it printed, and did not find in ``place``."""
        return isolations.beyond_item(self.stage, items, text, place, self.isolation.exists)

    def take_back(self, place: str) -> str:
        """A command has ended that ran in ``place``. An input that it has written to, or ''."""
        self._lent.remove(place)
        written = self.isolation.tidy(place)
        if written:
            self.isolation.remove(place)
        else:
            self._free.append(place)
        return written

    def close(self) -> None:
        """Remove all of them."""
        for place in (*self._free, *self._lent):
            self.isolation.remove(place)
