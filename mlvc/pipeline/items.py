"""Runs the items of a Stage with ``each``: hands out Jobs, and takes in what came of them.

Each Job writes into directories of its own. What has ended well is stored many together, then the table that says
which item made what; so a kill costs what ended since the last time. The output itself is touched by nobody here.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from mlvc import files
from mlvc.errors import MlvcError, StageFailedError
from mlvc.hashing import Hashing
from mlvc.manifest import Entry
from mlvc.pipeline import each, failures, filling, where
from mlvc.pipeline.each import Table, Work
from mlvc.pipeline.executors.base import Ended, Job
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.told import Advanced
from mlvc.pointer import Content
from mlvc.progress import Progress
from mlvc.text import duration

_SOON = 1.0
"""Seconds after which what has ended is stored, or ten times as many as that takes."""
_NAMED = 3
"""Items that failed and are named in the message; of the others it tells the number."""
_LINES = 10
"""Of what an item that failed has printed, as many are shown."""
_TAIL = 1 << 14
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class ItemTree(Protocol):
    """The working tree and the Store, as items need them. All paths are relative to the repository."""

    def items(self, pattern: str) -> list[Entry]:
        """The files that fit a pattern, in order."""

    def changed(self, items: Sequence[Entry]) -> set[str]:
        """The paths of those items that are not what they were."""

    def room(self, out: str, *, inside: bool) -> str:
        """An absolute path that nothing has yet, on the file system of ``out``; ``inside`` the root if asked for."""

    def take(self, places: Sequence[str], out: str, spare: str) -> list[tuple[Entry, ...]]:
        """What stands in each of these directories, durable in the Store on return; ``out`` is where it will be.

        Large files are moved into the directory ``spare`` for whoever makes the output; otherwise all stays.
        """

    def table(self, content: Content) -> Table:
        """The table that was stored as ``content``; an empty one where it cannot be had."""

    def stored(self, entries: Sequence[Entry]) -> Content:
        """A directory with these entries; its Manifest is durable in the Store on return."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Items that did not come out, and why: ``how`` goes on after their names."""

    items: tuple[Entry, ...]
    how: str
    last: str = ""
    """The last line that was printed."""


@dataclass(slots=True)
class _Task:
    """Items that one Job runs for."""

    number: int
    keys: tuple[bytes, ...]
    tries: int = 0
    folder: str = ""
    outs: tuple[str, ...] = ()
    log: int = -1


@dataclass(frozen=True, slots=True)
class Around:
    """What an ItemRun works with."""

    tree: ItemTree
    hashing: Hashing
    progress: Progress
    record: Callable[[Content], object]
    """Is told of each new table, which is durable."""
    changed: Callable[[], str]
    """An input that all items have, and that is not what it was; '' where all are."""


class ItemRun:
    """One execution of a Stage with ``each``. For one thread."""

    def __init__(self, stage: Stage, work: Work, job: Job, around: Around) -> None:
        """``job``: as for the Stage, with the log of the Run as its output."""
        self.failed: list[Failure] = []
        run = set(work.run)
        self.table: dict[bytes, tuple[Entry, ...]] = {key: row for key, row in work.known.items() if key not in run}
        self.items: Content | None = None
        """The last table that was stored."""
        self._error: MlvcError | None = None
        self._stage = stage
        self._work = work
        self._job = job
        self._around = around
        self._todo = deque(_Task(n, keys) for n, keys in enumerate(each.batches(work.run, stage.batch)))
        self._running: dict[Job, _Task] = {}
        self._waiting: list[_Task] = []
        self._done = self._lost = 0
        self._save_at = 0.0
        self._room = around.tree.room(stage.outs[0].path, inside=bool(stage.image))
        os.mkdir(self._room)
        os.mkdir(self._spare)

    @property
    def _spare(self) -> str:
        return os.path.join(self._room, "spare")

    @property
    def running(self) -> int:
        """How many Jobs were handed out and have not ended."""
        return len(self._running)

    @property
    def waits(self) -> bool:
        """Whether there are items that could begin."""
        return bool(self._todo)

    @property
    def is_over(self) -> bool:
        """Whether all that could be run has ended."""
        return not (self._todo or self._running)

    def advanced(self) -> Advanced:
        """How far it is."""
        return Advanced(self._stage.name, self._done, len(self._work.run), self._lost)

    # -- what is next

    def next(self) -> Job | None:
        """The Job for the next items, None where none is left. It is to be started."""
        while self._todo:
            task = self._todo.popleft()
            try:
                return self._begin(task)
            except MlvcError as error:
                self._close(task)
                self._fail(task, f": {error.message}")
        return None

    def _begin(self, task: _Task) -> Job:
        stage = self._stage
        task.tries += 1
        task.folder = os.path.join(self._room, f"{task.number}-{task.tries}")
        os.mkdir(task.folder)
        task.log = os.open(os.path.join(task.folder, "log"), _APPEND, 0o666)
        task.outs = tuple(os.path.join(task.folder, str(number)) for number in range(len(task.keys)))
        for out in task.outs:
            os.mkdir(out)
        items = [self._work.items[key] for key in task.keys]
        if stage.batch:
            path = os.path.join(task.folder, "items")
            paths = [filling.relative(item.path, stage.wdir) for item in items]
            with open(path, "wb") as file:
                file.write(filling.listing(zip(paths, task.outs, strict=True)))
            values = {filling.ITEMS: path}
        else:
            values = filling.values_of(items[0], task.outs[0], stage.wdir)
        commands = tuple(filling.fill(command, values) for command in stage.cmd)
        job = replace(self._job, commands=commands, output=task.log, hear=None)
        self._running[job] = task
        return job

    def give_up(self, job: Job, error: MlvcError) -> None:
        """Take in that a Job could not be started."""
        task = self._running.pop(job)
        self._close(task)
        self._fail(task, f": {error.message}")

    # -- what came of it

    def ended(self, ended: Ended) -> None:
        """Take in the end of a Job. What has ended well is not durable before ``save``."""
        task = self._running.pop(ended.job)
        how = _how(self._stage, ended)
        if not how and not all(os.path.isdir(out) and not os.path.islink(out) for out in task.outs):
            how = ": its own output is no directory any more"
        size = os.fstat(task.log).st_size
        printed = files.read_at(task.log, min(size, _TAIL), max(0, size - _TAIL))
        if size or how:
            self._log(task, size)
        self._close(task)
        if not how:
            self._done += len(task.keys)
            self._waiting.append(task)
        elif ended.fault is None and task.tries <= self._stage.retries and not self._error:
            files.remove_tree(task.folder)
            self._todo.append(task)
        else:
            self._fail(task, how, printed)
        self._save_at = self._save_at or time.monotonic() + _SOON

    def stopped(self, ended: Ended) -> None:
        """Take in the end of a Job after all was stopped: what came out well counts, and nothing has failed."""
        if ended.code or ended.timed_out or ended.fault:
            self._close(self._running.pop(ended.job))
        else:
            self.ended(ended)

    @staticmethod
    def _close(task: _Task) -> None:
        if task.log >= 0:
            os.close(task.log)
            task.log = -1

    def _log(self, task: _Task, size: int) -> None:
        """Add to the log of the Run what was printed for these items."""
        log = self._job.output
        if log < 0:
            return
        first = self._work.items[task.keys[0]].path
        more = f" and {len(task.keys) - 1} more" if len(task.keys) > 1 else ""
        with suppress(OSError):  # a full disk; what counts is elsewhere
            files.write_all(log, f"# item: {first}{more}\n".encode())
            data = b"\n"
            for start in range(0, size, _TAIL):
                data = files.read_at(task.log, min(_TAIL, size - start), start)
                files.write_all(log, data)
            files.write_all(log, b"" if data.endswith(b"\n") else b"\n")

    def _fail(self, task: _Task, how: str, printed: bytes = b"") -> None:
        items = tuple(self._work.items[key] for key in task.keys)
        lines = [line for line in printed.decode(errors="replace").splitlines() if line.strip()]
        self.failed.append(Failure(items, how, lines[-1].strip() if lines else ""))
        self._lost += len(items)
        if task.folder:
            files.remove_tree(task.folder)
        if len(self.failed) <= _NAMED:
            told = "".join(f"\n    {line}" for line in lines[-_LINES:])
            self._around.progress.note(f"Stage '{self._stage.name}': {_names(items)} failed{how}{told}")

    # -- storing

    def due(self) -> float | None:
        """In how many seconds ``save`` is wanted; None where there is nothing to store."""
        return max(0.0, self._save_at - time.monotonic()) if self._waiting else None

    def save(self) -> None:
        """Store what has ended well, and then the table.

        Nothing is stored of an item that has changed meanwhile, and nothing at all where what all of them have in
        common has: then no more items are handed out either, and ``finish`` says why.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting or self._error:
            return
        start = time.monotonic()
        changed = self._around.changed()
        if changed:
            self._error = failures.of_change(self._stage, changed)
            self._todo.clear()
            return
        stale = self._around.tree.changed([self._work.items[key] for task in waiting for key in task.keys])
        for task in waiting:
            wrong = [key for key in task.keys if self._work.items[key].path in stale]
            if wrong:
                self._fail(replace(task, keys=tuple(wrong)), ": it changed while it was read")
        self._take([task for task in waiting if stale.isdisjoint(self._work.items[key].path for key in task.keys)])
        self.items = self._around.tree.stored(each.pack({**self._work.known, **self.table}, self._around.hashing))
        self._around.record(self.items)
        for task in waiting:
            files.remove_tree(task.folder)
        end = time.monotonic()
        self._save_at = end + max(_SOON, 10 * (end - start))

    def _take(self, tasks: Sequence[_Task]) -> None:
        """Store what came of all these; what cannot be stored fails alone."""
        keys = [key for task in tasks for key in task.keys]
        places = [out for task in tasks for out in task.outs]
        try:
            rows = self._around.tree.take(places, self._stage.outs[0].path, self._spare) if places else []
        except MlvcError as error:
            if len(tasks) > 1:
                for task in tasks:
                    self._take([task])
            else:
                self._fail(tasks[0], f": {error.message}")
            return
        self.table.update(zip(keys, rows, strict=True))

    def finish(self) -> tuple[Content, Content]:
        """The output that all items make together, and their table; both are durable.

        StageFailedError where an item failed, or where two make the same; what is known of the others is kept.
        """
        self.save()
        if self._error:
            raise self._error
        if self.failed:
            raise self._told_failed()
        try:
            united = each.unite(self._work.items, self.table, self._around.hashing)
        except StageFailedError as error:
            place = where.of(self._stage)
            raise StageFailedError(f"{place}: stage '{self._stage.name}': {error.message}", hint=error.hint) from None
        items = self._around.tree.stored(each.pack(self.table, self._around.hashing))
        if items != self.items:
            self.items = items
            self._around.record(items)
        return self._around.tree.stored(united), items

    def _told_failed(self) -> StageFailedError:
        count, total = self._lost, len(self._work.items)
        told = [
            f"{_names(failure.items)}{failure.how}" + (f" ({failure.last})" if failure.last else "")
            for failure in self.failed[:_NAMED]
        ]
        more = f"; and {len(self.failed) - _NAMED:,} more" if len(self.failed) > _NAMED else ""
        return StageFailedError(
            f"{where.of(self._stage)}: {count:,} of {total:,} items of stage '{self._stage.name}' failed: "
            f"{'; '.join(told)}{more}",
            hint="what the others made is kept: `mlvc repro` runs only those that failed; "
            "`mlvc runs log` shows what they printed",
        )

    def close(self) -> None:
        """Remove all that is temporary. The output must have been made before."""
        for task in (*self._running.values(), *self._todo):
            self._close(task)
        files.remove_tree(self._room)


def _names(items: Sequence[Entry]) -> str:
    return items[0].path + (f" and {len(items) - 1:,} more of its batch" if len(items) > 1 else "")


def _how(stage: Stage, ended: Ended) -> str:
    """How a Job failed, '' where it did not; what follows the name of its item."""
    if ended.fault is not None:
        return f": {ended.fault}"
    if ended.timed_out:
        return f" took longer than the timeout of {duration(stage.timeout)}"
    if ended.code < 0:
        return f" was ended by signal {-ended.code}"
    return f" with exit code {ended.code}" if ended.code else ""
