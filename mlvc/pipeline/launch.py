"""The commands of Stages that run: begun, begun once more where that is due, and ended.

What they made is taken in elsewhere; nothing here stores, records or decides what comes next.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlvc.errors import MlvcError
from mlvc.pipeline import failures, logs
from mlvc.pipeline import isolation as isolations
from mlvc.pipeline.attempt import Attempt, Over
from mlvc.pipeline.executors.base import Ended, Post
from mlvc.pipeline.isolation import Isolation
from mlvc.pipeline.tools import Options, Tools


@dataclass(slots=True)
class Launch:
    """The Stages whose commands run, but those with ``each``."""

    tools: Tools
    options: Options
    post: Post
    """Gets the ends."""
    running: dict[str, Attempt] = field(default_factory=dict)

    def start(self, attempt: Attempt) -> None:
        """Begin the commands of a Stage, for the first time or once more."""
        self.tools.tree.remove([out.path for out in attempt.stage.outs if not out.persist])
        attempt.isolate(self.tools, self.options)
        attempt.begin(self.tools)
        try:
            self._execute(attempt)
        except Exception:
            attempt.close(None)
            raise

    def _execute(self, attempt: Attempt) -> None:
        self.running[attempt.stage.name] = attempt
        try:
            self.tools.executor.start(attempt.job(self.tools), self.post)
        except Exception:  # an interruption finds it among those that run: it may have begun
            del self.running[attempt.stage.name]
            raise

    def ended(self, ended: Ended) -> Over | None:
        """How the Stage came out, None where its commands have begun once more."""
        attempt = self.running.pop(ended.job.stage)
        attempt.seconds = ended.seconds
        if ended.fault is not None and not isinstance(ended.fault, MlvcError):
            attempt.close(ended)
            raise ended.fault
        if not (ended.code or ended.timed_out or ended.fault):
            error = self._went_well(attempt)
        elif ended.fault is None and not attempt.repeats and attempt.tries <= attempt.stage.retries:
            error = self._again(attempt, ended)
        else:
            attempt.close(ended)
            error = ended.fault or failures.of_command(attempt.stage, ended, again=attempt.repeats)
            return Over(attempt, attempt.explained(self.tools, error))
        if attempt.stage.name in self.running:
            return None
        attempt.close(ended)
        return Over(attempt, error)

    def _went_well(self, attempt: Attempt) -> MlvcError | None:
        """After commands that ended well: why that does not do, or None. The Stage may be at work again afterwards."""
        isolation, stage = self.tools.isolation, attempt.stage
        try:
            if isolation is None or not attempt.repeats:
                written = attempt.leave(self.tools, good=True)
                if written:
                    return failures.of_change(stage, written)
                if attempt.second:
                    self._repeat(attempt)
                return None
            differing = self._differing(attempt, isolation)
            isolation.remove(attempt.second)
            return isolations.of_difference(stage, differing) if differing else None
        except MlvcError as error:
            return error

    @staticmethod
    def _differing(attempt: Attempt, isolation: Isolation) -> dict[str, list[str]]:
        try:
            return isolation.differing(attempt.second, [out.path for out in attempt.stage.outs])
        except MlvcError as error:
            raise failures.of_taking(attempt.stage, error) from None

    def _repeat(self, attempt: Attempt) -> None:
        """Begin the commands of a Stage that has come out well for the second time."""
        self.tools.progress.note(f"Running stage '{attempt.stage.name}' a second time")
        attempt.repeats, attempt.place = True, attempt.second
        attempt.tell(self.tools)
        self._execute(attempt)

    def _again(self, attempt: Attempt, ended: Ended) -> MlvcError | None:
        """After a failure with tries left: why there cannot be another one, or None."""
        stage = attempt.stage
        of = stage.retries + 1
        how = f"failed with exit code {ended.code}" if ended.code > 0 else "was ended"
        how = "took longer than its timeout" if ended.timed_out else how
        self.tools.progress.note(f"Stage '{stage.name}' {how}; trying again ({attempt.tries + 1} of {of})")
        try:
            if attempt.log >= 0:
                logs.again(attempt.log, attempt.tries + 1, of)
            self.start(attempt)
        except MlvcError as error:
            return error
        return None

    def stopped(self, ended: Ended) -> None:
        """Take in the end of what was stopped."""
        attempt = self.running.pop(ended.job.stage, None)
        if attempt is not None:  # else it could not be begun as a whole, and that was told
            attempt.close(ended)
            attempt.discard(self.tools)
