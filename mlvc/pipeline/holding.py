"""What this reproduction holds against others, and which of its Stages wait for another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlvc.pipeline.claims import NOBODY, Claim, Held
from mlvc.pipeline.graph import inputs
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.told import Waiting
from mlvc.pipeline.tools import Tools


@dataclass(slots=True)
class Holding:
    """The claims of the Stages that are looked at or run."""

    tools: Tools
    waiting: dict[str, str] = field(default_factory=dict)
    """Stages that wait for another process, and for what."""
    _claims: dict[str, Claim] = field(default_factory=dict)

    def take(self, stage: Stage) -> bool:
        """Claim what a Stage reads and writes; where another process is at work on it, tell for what it waits."""
        claim = self.tools.claims.claim(stage.name, _reads(stage), (out.path for out in stage.outs))
        if isinstance(claim, Held):
            self._wait(stage.name, str(claim))
            return False
        self._claims[stage.name] = claim
        self.waiting.pop(stage.name, None)
        return True

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
