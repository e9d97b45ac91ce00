"""Stages with ``each`` whose items run: as many at a time as there are jobs for, until the output is made of them.

What is handed out for the items of one Stage, and what came of it, is in ``items``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from mlvc.errors import MlvcError
from mlvc.pipeline import each, failures, filling
from mlvc.pipeline.attempt import Attempt, Over
from mlvc.pipeline.each import Work
from mlvc.pipeline.executors.base import Ended, Post
from mlvc.pipeline.items import Around, ItemRun
from mlvc.pipeline.results import Results
from mlvc.pipeline.slots import Slots
from mlvc.pipeline.tools import Options, Tools


@dataclass(slots=True)
class Itemwise:
    """The Stages of which items run."""

    tools: Tools
    options: Options
    results: Results
    post: Post
    """Gets the ends."""
    running: dict[str, tuple[Attempt, ItemRun]] = field(default_factory=dict)

    def start(self, attempt: Attempt, work: Work) -> None:
        """Make ready to run the items of a Stage; ``feed`` begins them."""
        assert self.tools.items is not None
        assert self.tools.tables is not None
        stage, tables = attempt.stage, self.tools.tables
        defined = each.definition(attempt.before, stage.each, self.tools.hashing)
        attempt.begin(self.tools)
        try:
            if stage.batch:
                filling.check_listed(work.items[key] for key in work.run)
            around = Around(
                self.tools.items,
                self.tools.hashing,
                self.tools.progress,
                lambda content: tables.put(defined, stage.name, content),
                lambda: self.results.changed(attempt, each.shared(stage.deps, stage.each)),
                self._slots(attempt),
            )
            self.running[stage.name] = attempt, ItemRun(stage, work, attempt.job(self.tools), around)
        except BaseException:
            attempt.close(None)
            raise

    def _slots(self, attempt: Attempt) -> Slots | None:
        """Where the commands for items run that do not run in the working tree, None where all do."""
        options, isolation = self.options, self.tools.isolation
        if isolation is None or not (options.isolated or options.check_deterministic):
            return None
        job = partial(attempt.job, self.tools)
        return Slots(isolation, attempt.stage, job, options.isolated, options.check_deterministic)

    def feed(self, lend: Callable[[str, int], bool]) -> Iterator[Over]:
        """Begin as many items as there are jobs for, and make the outputs of those Stages whose items are over.

        ``lend``: whether one more may begin of the Stage of which so many run.
        """
        for attempt, items in list(self.running.values()):
            while items.waits and lend(attempt.stage.name, items.running):
                job = items.next()
                if job is None:
                    break
                try:
                    self.tools.executor.start(job, self.post)
                except MlvcError as error:
                    items.give_up(job, error)
            if items.is_over:
                yield self._complete(attempt, items)

    def ended(self, ended: Ended) -> int:
        """Take in the end of what ran for items. How much still runs for that Stage."""
        if ended.fault is not None and not isinstance(ended.fault, MlvcError):
            raise ended.fault
        _, items = self.running[ended.job.stage]
        items.ended(ended)
        self.tools.listener(items.advanced())
        return items.running

    def due(self) -> float | None:
        """In how many seconds ``save`` is wanted; None where there is nothing to store."""
        return min((due for _, items in self.running.values() if (due := items.due()) is not None), default=None)

    def save(self) -> None:
        """Store what came of items, where it is time."""
        for _, items in self.running.values():
            if items.due() == 0.0:
                items.save()

    def _complete(self, attempt: Attempt, items: ItemRun) -> Over:
        """Make the output of the items of a Stage."""
        stage = attempt.stage
        attempt.seconds = time.monotonic() - attempt.since
        try:
            output, table = items.finish()
            changed = self.results.changed(attempt, stage.deps)
            if changed:
                raise failures.of_change(stage, changed)
            outs = {stage.outs[0].path: output}
            left_out = self.tools.tree.left_out(stage.outs[0].path)
            self.results.replace(outs)
            attempt.note_end(0, attempt.seconds)
        except MlvcError as error:
            attempt.note_end(1, attempt.seconds)
            return Over(attempt, error)
        finally:
            del self.running[stage.name]
            items.close()
            attempt.close(None)
        return Over(attempt, outs=outs, items=table, left_out=left_out)

    def stopped(self, ended: Ended) -> None:
        """Take in the end of what was stopped; an item that came out well counts."""
        self.running[ended.job.stage][1].stopped(ended)

    def close(self) -> None:
        """After all was stopped: keep what came out well, and remove all that is temporary."""
        for attempt, items in self.running.values():
            with contextlib.suppress(MlvcError, OSError):  # what ended it all counts, and is told
                items.save()
            items.close()
            attempt.close(None)
