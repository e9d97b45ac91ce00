"""What Stages made: taken in and recorded, or brought back.

The write order is here: outputs durable in the Store, then the record of the Run, then the Lockfile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlvc import codec
from mlvc.errors import MlvcError
from mlvc.pipeline import failures
from mlvc.pipeline import plan as plans
from mlvc.pipeline.attempt import Attempt
from mlvc.pipeline.journal import Journal
from mlvc.pipeline.params import Values
from mlvc.pipeline.plan import Decision
from mlvc.pipeline.run import Run
from mlvc.pipeline.spec import ParamRef, Stage
from mlvc.pipeline.tools import Tools
from mlvc.pointer import Content
from mlvc.store.base import LARGE


@dataclass(frozen=True, slots=True)
class Results:
    """The working tree, the Store and the records, as the results of Stages need them."""

    tools: Tools
    journal: Journal
    commit: bool
    """Whether what is made is stored and recorded."""

    # -- brought back ------------------------------------------------------------------------------

    def restore(self, stage: Stage, decision: Decision) -> None:
        """Bring the outputs of a Stage to what a Run before made of the same inputs."""
        assert decision.entry is not None
        if decision.restore:
            self.tools.progress.note(f"Restoring stage '{stage.name}': {'; '.join(decision.reasons)}")
            self.replace(decision.restore)
        self.journal.record(stage.name, decision.entry)

    def replace(self, contents: Mapping[str, Content]) -> None:
        """Bring each path to its content. What is stored nowhere is kept aside; what is stored may be overwritten."""
        now = self.tools.tree.identify(list(contents))
        alone = [path for path, content in now.items() if content and not self.tools.tree.available([content])]
        if alone:
            self.tools.tree.remove(alone)
        self.tools.tree.restore(contents)

    # -- taken in ----------------------------------------------------------------------------------

    def take(self, good: Sequence[Attempt]) -> tuple[dict[str, MlvcError], dict[str, Content]]:
        """What came out, durable where it is to be stored; and the Stages of which it cannot be taken, with why."""
        lost: dict[str, MlvcError] = {}
        now = self.tools.tree.identify(list(dict.fromkeys(path for attempt in good for path in attempt.stage.deps)))
        for attempt in good:
            changed = self._differing(attempt, now)
            if changed:
                lost[attempt.stage.name] = failures.of_change(attempt.stage, changed)
        left = [out for attempt in good if attempt.stage.name not in lost for out in attempt.stage.outs]
        stored = [out.path for out in left if out.cache and self.commit]
        seen = [out.path for out in left if not (out.cache and self.commit)]
        outs = {path: content for path, content in self.tools.tree.identify(seen).items() if content is not None}
        if self.commit:
            # What Git keeps is stored too where it is small, so that the run cache can bring it back with the others.
            stored += [path for path, content in outs.items() if not content.is_dir and content.size < LARGE]
        if stored:
            outs |= self.tools.tree.store(stored)
        for attempt in good:
            missing = next((out.path for out in attempt.stage.outs if out.path not in outs), None)
            if missing is not None and attempt.stage.name not in lost:
                lost[attempt.stage.name] = failures.of_missing(attempt.stage, missing)
        return lost, outs

    def changed(self, attempt: Attempt, paths: Sequence[str]) -> str:
        """Which of these dependencies, or parameters, is not what it was; '' where all are."""
        return self._differing(attempt, self.tools.tree.identify(paths))

    def _differing(self, attempt: Attempt, now: Mapping[str, Content | None]) -> str:
        """As ``changed``, for those dependencies of which ``now`` tells what they are."""
        stage, before = attempt.stage, attempt.before
        changed = [path for path in stage.deps if path in now and not plans.same(now[path], before.deps[path])]
        values = self.tools.params.values(stage.params)
        changed += [str(ref) for ref in stage.params if _value(values, ref) != _value(before.params, ref)]
        return changed[0] if changed else ""

    # -- recorded ----------------------------------------------------------------------------------

    def keep(self, attempt: Attempt, outs: Mapping[str, Content], items: Content | None = None) -> None:
        """Record a Run, and where its outputs are stored, enter it in the Lockfile."""
        run = Run(attempt.key, attempt.before, outs, round(1000 * attempt.seconds), items)
        if not self.commit:
            if self.tools.unstored is not None:
                self.tools.unstored.put(run)
            return
        self.tools.runs.put(run)
        if self.tools.unstored is not None:
            self.tools.unstored.forget(run.key)
        stage = attempt.stage
        known = self.journal.lockfile.stages.get(stage.name)
        self.journal.record(stage.name, plans.entry_of(stage, attempt.key, attempt.before, outs, known))


def _value(values: Values, ref: ParamRef) -> str:
    return codec.compact_json(values.get(ref.file, {}).get(ref.key))
