"""What this reproduction holds against others, and which of its Stages wait for another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mlvc.pipeline.claims import NOBODY, Claim, Held, Share
from mlvc.pipeline.graph import inputs
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.told import Waiting
from mlvc.pipeline.tools import Tools


@dataclass(slots=True)
class Holding:
    """The claims of the Stages that are looked at or run."""

    tools: Tools
    limits: Mapping[str, float]
    """What all running Stages together may take."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Stages that wait for another process, and for what."""
    _short: set[str] = field(default_factory=set)
    """Those of them that wait for resources: they are to run."""
    _claims: dict[str, Claim] = field(default_factory=dict)

    def take(self, stage: Stage) -> bool:
        """Claim what a Stage reads and writes; where another process is at work on it, tell for what it waits.

        One that waited for resources claims them in the same step, so that it is not decided about over and over.
        """
        outs = (out.path for out in stage.outs)
        share = Share(stage.resources, self.limits)
        claim = self.tools.claims.claim(stage.name, _reads(stage), outs, share, int(stage.name in self._short))
        if isinstance(claim, Held):
            self._wait(stage.name, str(claim))
            return False
        self._claims[stage.name] = claim
        self.waiting.pop(stage.name, None)
        self._short.discard(stage.name)
        return True

    def run(self, stage: Stage) -> bool:
        """Claim what a Stage takes that is to run; where another process has it, tell for what it waits."""
        held = self.of(stage.name).use(1)
        if held is not None:
            self._short.add(stage.name)
            self._wait(stage.name, str(held))
        return held is None

    def use(self, name: str, jobs: int) -> bool:
        """Whether a Stage that runs takes as much as so many jobs take from now on; else it goes on as before."""
        return self.of(name).use(jobs) is None

    def _wait(self, name: str, cause: str) -> None:
        if self.waiting.get(name) != cause:
            self.waiting[name] = cause
            self.tools.progress.note(f"Stage '{name}' waits for {cause}")
            self.tools.listener(Waiting(name, cause))

    def of(self, name: str) -> Claim:
        """What a Stage has claimed; its commands are to hold it, too."""
        return self._claims.get(name, NOBODY)

    def release(self, name: str) -> None:
        """Let others have what a Stage has claimed, if it has."""
        claim = self._claims.pop(name, None)
        if claim is not None:
            claim.release()

    def release_all(self) -> None:
        """Let others have all that is claimed."""
        for name in list(self._claims):
            self.release(name)


def _reads(stage: Stage) -> Iterator[str]:
    """What a Stage reads; of a pattern the directory below which all is that may fit."""
    for path in inputs(stage):
        parts = path.split("/")
        fixed = next((at for at, part in enumerate(parts) if "*" in part or "?" in part), len(parts))
        yield "/".join(parts[:fixed])
