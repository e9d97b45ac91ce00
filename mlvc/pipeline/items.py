"""Runs the items of a Stage with ``each``: hands out Jobs, and takes in what came of them.

Each Job writes into directories of its own. What has ended well is stored many together, then the table that says
which item made what; so a kill costs what ended since the last time. The output itself is touched by nobody here.
"""

from __future__ import annotations

import os
import shlex
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
from mlvc.pipeline import each, failures, filling, quantities, where
from mlvc.pipeline import isolation as isolations
from mlvc.pipeline.each import Table, Work
from mlvc.pipeline.executors.base import Ended, Job
from mlvc.pipeline.slots import Slots
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.told import Advanced, ItemFailed, Listener
from mlvc.pointer import Content
from mlvc.progress import Progress
from mlvc.text import clean

_SOON = 1.0
"""Seconds after which what has ended is stored, or ten times as many as that takes."""
_NAMED = 3
"""Items that failed and are named in the message; of the others it tells the number."""
_KEPT = 100
"""Items of which is kept aside what they left when they failed."""
_LISTED = 1000
"""Items that failed and are told of as they fail; the log of the Run names all of them."""
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

    def room(self, out: str) -> str:
        """An absolute path that nothing has yet, on the file system of ``out``."""

    def aside(self) -> str:
        """An absolute path that nothing has yet, among what is kept aside; '' where nothing is kept."""

    def differing(self, first: str, second: str, out: str) -> list[str]:
        """The files that are not the same in two such directories as ``take`` takes, relative to these."""

    def take(self, places: Sequence[str], out: str, spare: str) -> list[tuple[Entry, ...]]:
        """What stands in each of these directories, durable in the Store on return; ``out`` is where it will be.

        Large files are moved into the directory ``spare`` for whoever makes the output; otherwise all stays.
        """

    def table(self, content: Content, out: str) -> Table:
        """The table that was stored as ``content``, with those rows that can be had; empty where it cannot.

        Nor has it rows with what would be left out of the output at ``out``.
        """

    def stored(self, entries: Sequence[Entry]) -> Content:
        """A directory with these entries; its Manifest is durable in the Store on return."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Items that did not come out, and why: ``how`` goes on after their names."""

    items: tuple[Entry, ...]
    how: str
    last: str = ""
    """The last line that was printed."""
    differs: bool = False
    """Whether all that is wrong is that something else came out the second time."""


@dataclass(slots=True)
class _Task:
    """Items that one Job runs for."""

    number: int
    keys: tuple[bytes, ...]
    tries: int = 0
    folder: str = ""
    outs: tuple[str, ...] = ()
    log: int = -1
    place: str = ""
    """The directory of its own that it runs in, '' for the working tree."""
    first: tuple[str, ...] = ()
    """What it made the first time, where it runs for the second."""


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
    slots: Slots | None = None
    """Where commands run that do not run in the working tree."""
    listener: Listener = bool


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
        self._commands = [filling.fill(command) for command in stage.cmd]
        self._todo = deque(_Task(n, keys) for n, keys in enumerate(each.batches(work.run, stage.batch)))
        self._running: dict[Job, _Task] = {}
        self._waiting: list[_Task] = []
        self._done = self._lost = 0
        self._save_at = 0.0
        self._aside = ""
        self._kept = 0
        self._lacked: list[str] | None = None
        """What the first commands that failed in a directory of their own named and did not find; None for no such."""
        self._room = around.tree.room(stage.outs[0].path)
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
        stage, slots = self._stage, self._around.slots
        here = self._make_folder(task)
        task.log = os.open(os.path.join(here, "log"), _APPEND, 0o666)
        task.outs = tuple(os.path.join(here, str(number)) for number in range(len(task.keys)))
        for out in task.outs:
            os.mkdir(out)
        items = self._items(task)
        if stage.batch:
            path = os.path.join(here, "items")
            paths = [filling.relative(item.path, stage.wdir) for item in items]
            with open(path, "wb") as file:
                file.write(filling.listing(zip(paths, task.outs, strict=True)))
            values = {filling.ITEMS: path}
        else:
            values = filling.values_of(items[0], task.outs[0], stage.wdir)
        for command in self._commands:
            command.check(values)
        job = self._job
        if slots is not None and (slots.isolated or task.first):
            task.place = slots.lend(items)
            job = slots.job(task.place)
        mounts = () if here.startswith(job.root + os.sep) else (here,)
        job = replace(
            job,
            commands=tuple(command.text for command in self._commands),
            env={**job.env, **filling.environment(values)},
            output=task.log,
            hear=None,
            mounts=mounts,
        )
        self._running[job] = task
        return job

    def _make_folder(self, task: _Task) -> str:
        """A new directory for all that is written for a Job; that of the second time is in that of the first."""
        if task.first:
            here = os.path.join(task.folder, "second")
        else:
            task.tries += 1
            here = task.folder = os.path.join(self._room, f"{task.number}-{task.tries}")
        os.mkdir(here)
        return here

    def _items(self, task: _Task) -> list[Entry]:
        return [self._work.items[key] for key in task.keys]

    def give_up(self, job: Job, error: MlvcError) -> None:
        """Take in that a Job could not be started."""
        task = self._running.pop(job)
        self._close(task)
        self._give_back(task)
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
        last = bool(task.first) or task.tries > self._stage.retries or ended.fault is not None
        if how and last:
            self._look_for_lacked(task, printed)
        written = self._give_back(task)
        how = how or (f": '{written}' changed while it ran" if written else "")
        if not how and self._repeats(task) and not self._error:
            task.first = task.outs
            self._todo.appendleft(task)
        elif not how:
            self._came_out(task)
        elif not (last or self._error):
            files.remove_tree(task.folder)
            self._todo.append(task)
        else:
            self._fail(task, f"{how} the second time" if task.first else how, printed, code=ended.code or None)
        self._save_at = self._save_at or time.monotonic() + _SOON

    def _look_for_lacked(self, task: _Task, printed: bytes) -> None:
        """Find out what a command named that failed in a directory of its own, for the first few of them."""
        slots = self._around.slots
        if slots is not None and task.place and len(self.failed) < _NAMED:
            lacked = slots.lacked(task.place, self._items(task), printed.decode(errors="replace"))
            self._lacked = list(dict.fromkeys([*(self._lacked or ()), *lacked]))

    def _give_back(self, task: _Task) -> str:
        """The directory that a command ran in is free again. An input that it has written to, or ''."""
        slots, place, task.place = self._around.slots, task.place, ""
        return slots.take_back(place) if slots is not None and place else ""

    def _repeats(self, task: _Task) -> bool:
        slots = self._around.slots
        return slots is not None and slots.twice and not task.first

    def _came_out(self, task: _Task) -> None:
        """A Job ended well: it waits to be stored, but for items that made something else the first time."""
        differs: dict[bytes, str] = {}
        out = self._stage.outs[0].path
        for key, first, second in zip(task.keys, task.first, task.outs, strict=False):  # mostly there is no first
            try:
                found = self._around.tree.differing(first, second, out)
            except MlvcError as error:
                self._fail(task, f": {error.message}")
                return
            if found:
                differs[key] = ", ".join(found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
        task.outs, task.first = task.first or task.outs, ()
        outs = dict(zip(task.keys, task.outs, strict=True))
        for key, names in differs.items():
            wrong = replace(task, keys=(key,), outs=(outs.pop(key),), folder="")
            self._fail(wrong, f" made another {names} the second time", differs=True)
        task.keys, task.outs = tuple(outs), tuple(outs.values())
        self._done += len(task.keys)
        self._waiting.append(task)

    def stopped(self, ended: Ended) -> None:
        """Take in the end of a Job after all was stopped: what came out well counts, and nothing has failed."""
        if ended.code or ended.timed_out or ended.fault or self._repeats(self._running[ended.job]):
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
            again = ", a second time" if task.first else ""
            files.write_all(log, f"# item: {clean(first)}{more}{again}\n".encode())
            if task.tries > 1:
                files.write_all(log, f"# try {task.tries} of {self._stage.retries + 1}\n".encode())
            data = b"\n"
            for start in range(0, size, _TAIL):
                data = files.read_at(task.log, min(_TAIL, size - start), start)
                files.write_all(log, data)
            files.write_all(log, b"" if data.endswith(b"\n") else b"\n")

    def _fail(
        self, task: _Task, how: str, printed: bytes = b"", *, differs: bool = False, code: int | None = None
    ) -> None:
        items = tuple(self._items(task))
        self._tell_failed(items, how, code)
        lines = [line for line in printed.decode(errors="replace").splitlines() if line.strip()]
        self.failed.append(Failure(items, how, lines[-1].strip() if lines else "", differs))
        self._lost += len(items)
        self._keep_aside(task)
        if task.folder:
            files.remove_tree(task.folder)
        if len(self.failed) <= _NAMED:
            told = "".join(f"\n    {line}" for line in lines[-_LINES:])
            self._around.progress.note(f"Stage '{self._stage.name}': {_names(items)}{_said(how)}{told}")

    def _tell_failed(self, items: Sequence[Entry], how: str, code: int | None) -> None:
        """Tell of each, and name each in the log of the Run, whatever it printed."""
        if self._job.output >= 0:
            lines = "".join(f"# failed: {clean(item.path)}{clean(how)}\n" for item in items)
            with suppress(OSError):  # a full disk; what counts is elsewhere
                files.write_all(self._job.output, lines.encode())
        for item in items[: max(0, _LISTED - self._lost)]:
            self._around.listener(ItemFailed(self._stage.name, item.path, _said(how).strip(), code))

    def _keep_aside(self, task: _Task) -> None:
        """Keep what was left for items that did not come out: the first time, where there were two."""
        for item, out in zip(self._items(task), task.first or task.outs, strict=False):  # there may be none yet
            if self._kept >= _KEPT or not _is_something(out):
                continue
            self._aside = self._aside or self._around.tree.aside()
            with suppress(OSError):  # a full disk: that it failed counts more, and is told
                if self._aside:
                    files.move(out, os.path.join(self._aside, item.path))
                    self._kept += 1

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
        if not waiting:
            return
        start = time.monotonic()
        if self._error is None and (changed := self._around.changed()):
            self._error = failures.of_change(self._stage, changed)
        if self._error:
            for task in (*waiting, *self._todo):
                self._keep_aside(task)
            self._todo.clear()
            return
        stale = self._around.tree.changed([self._work.items[key] for task in waiting for key in task.keys])
        for task in waiting:
            wrong = {
                key: out for key, out in zip(task.keys, task.outs, strict=True) if self._work.items[key].path in stale
            }
            if wrong:
                failed = replace(task, keys=tuple(wrong), outs=tuple(wrong.values()))
                self._fail(failed, ": it changed while it was read")
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
        error = self._error or (self._told_failed() if self.failed else None)
        if error:
            raise type(error)(f"{error.message}{self._told_kept()}", hint=error.hint)
        try:
            united = each.unite(self._work.items, self.table, self._around.hashing, batch=bool(self._stage.batch))
        except StageFailedError as error:
            place = where.of(self._stage)
            raise StageFailedError(f"{place}: stage '{self._stage.name}': {error.message}", hint=error.hint) from None
        items = self._around.tree.stored(each.pack(self.table, self._around.hashing))
        if items != self.items:
            self.items = items
            self._around.record(items)
        return self._around.tree.stored(united), items

    def _told_failed(self) -> StageFailedError:
        place, name = where.of(self._stage), self._stage.name
        count = f"{self._lost:,} of {len(self._work.items):,} items"
        told = "; ".join(
            f"{_names(failure.items)}{failure.how}" + (f" ({failure.last})" if failure.last else "")
            for failure in self.failed[:_NAMED]
        )
        told += f"; and {len(self.failed) - _NAMED:,} more" if len(self.failed) > _NAMED else ""
        if all(failure.differs for failure in self.failed):
            return StageFailedError(
                f"{place}: stage '{name}' is not deterministic in {count}: {told}", hint=isolations.RANDOM
            )
        hint = (
            "what the others made is kept: `mlvc repro` runs only those that failed; "
            f"`mlvc runs log {shlex.quote(name)}` names each of them and shows what they printed"
        )
        if any(failure.differs for failure in self.failed):
            hint = f"{isolations.RANDOM}; {hint}"
        elif self._lacked is not None:
            slots = self._around.slots
            hint = isolations.hint_of_items(self._lacked, isolated=slots is not None and slots.isolated)
        return StageFailedError(f"{place}: {count} of stage '{name}' failed: {told}", hint=hint)

    def _told_kept(self) -> str:
        whose = f"the first {_KEPT}" if self._kept == _KEPT else "they"
        return f"; what {whose} left is kept in {self._aside}" if self._kept else ""

    def close(self) -> None:
        """Remove all that is temporary. The output must have been made before."""
        for task in (*self._running.values(), *self._todo):
            self._close(task)
        if self._around.slots is not None:
            self._around.slots.close()
        files.remove_tree(self._room)


def _names(items: Sequence[Entry]) -> str:
    return clean(items[0].path) + (f" and {len(items) - 1:,} more of its batch" if len(items) > 1 else "")


def _said(how: str) -> str:
    """``how`` where nothing else has said that it failed."""
    return f" failed{how}" if how.startswith((" with", ":")) else how


def _is_something(path: str) -> bool:
    """Whether something is at ``path``, and not an empty directory."""
    if not os.path.isdir(path) or os.path.islink(path):
        return files.exists(path)
    try:
        return bool(os.listdir(path))
    except OSError:
        return True


def _how(stage: Stage, ended: Ended) -> str:
    """How a Job failed, '' where it did not; what follows the name of its item."""
    if ended.fault is not None:
        return f": {ended.fault}"
    if ended.timed_out:
        return f" took longer than the timeout of {quantities.time(stage.timeout)}"
    if ended.code < 0:
        return f" was ended by signal {-ended.code}"
    return f" with exit code {ended.code}" if ended.code else ""
