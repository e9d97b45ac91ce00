"""Reproduction: plans, runs what has to run, and records it.

One thread decides, hashes, stores and records. Commands run beside it, and tell when they have ended; those that have
ended in the meantime are stored together.

Write order, for each Stage: outputs durable in the Store, then the record of the Run, then the Lockfile. Killed at
any point, the next reproduction finds in the run cache what was finished and goes on from there. That is why the
Lockfile need not be written after every one of a thousand short Stages: it is written as often as costs a tenth of the
time at most, and in any case before this module is left.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol

from mlvc import codec
from mlvc.errors import MlvcError, PipelineError
from mlvc.hashing import Hashing
from mlvc.oid import Oid
from mlvc.pipeline import each, failures, filling, logs, where
from mlvc.pipeline import isolation as isolations
from mlvc.pipeline import plan as plans
from mlvc.pipeline import schedule as schedules
from mlvc.pipeline.claims import NOBODY, Claim, Claims, Held
from mlvc.pipeline.each import Table, Work
from mlvc.pipeline.executors.base import Ended, Executor, Job
from mlvc.pipeline.graph import Graph, ancestors, descendants, inputs, select
from mlvc.pipeline.graph import target as named
from mlvc.pipeline.isolation import Isolation
from mlvc.pipeline.items import Around, ItemRun, ItemTree
from mlvc.pipeline.lockfile import Entry, Lockfile
from mlvc.pipeline.logs import Logs
from mlvc.pipeline.params import ParamFiles, Values
from mlvc.pipeline.plan import Decision, Known, Seen
from mlvc.pipeline.run import Inputs, Run, key_of
from mlvc.pipeline.spec import ParamRef, Stage
from mlvc.pipeline.tables import Tables
from mlvc.pipeline.told import Considered, Listener, Printed, StageResult, Started, Waiting
from mlvc.pointer import Content
from mlvc.progress import Progress
from mlvc.store.base import LARGE

_SHOWN = 1 << 16
"""Bytes of what a command printed last in which names are looked for."""
_LOOK_AGAIN = 0.2
"""Seconds until it is asked again whether another process has done its work."""


class Tree(Protocol):
    """The working tree, as reproduction needs it. All paths are relative to the repository."""

    def identify(self, paths: Sequence[str]) -> dict[str, Content | None]:
        """The content on disk now of each of ``paths``; None where nothing is there."""

    def store(self, paths: Sequence[str]) -> dict[str, Content]:
        """The content of each of ``paths``, durable in the Store on return; without those where nothing is."""

    def restore(self, contents: Mapping[str, Content]) -> None:
        """Bring each path to its content. WouldOverwriteError before anything is lost that is not stored."""

    def available(self, contents: Iterable[Content]) -> bool:
        """Whether every object of all of ``contents`` can be had here."""

    def ready(self, deps: Sequence[str], outs: Sequence[str]) -> None:
        """A command is about to run: bring those of ``deps`` that were only taken to be there.

        From now on ``outs`` are what stands on the disk. ObjectsMissingError or DamagedError where one cannot be had.
        """

    def remove(self, paths: Sequence[str]) -> None:
        """Take ``paths`` out of the way. What is not stored is kept aside, not deleted; missing ones are no error."""

    def set_aside(self, paths: Sequence[str]) -> str:
        """Move what a command that failed left at ``paths`` out of the working tree. Where to; '' where nothing was."""


class Records(Protocol):
    """Where the Lockfile lies."""

    def load(self) -> Lockfile:
        """The Lockfile, an empty one where there is none."""

    def change(self, entries: Mapping[str, Entry | None], *, durable: bool = True) -> Lockfile:
        """Put ``entries`` in, in one step, and take out those that are None. The Lockfile as it is then."""


class Runs(Protocol):
    """The run cache."""

    def lookup(self, key: Oid) -> Run | None:
        """The Run of ``key``, None where none is known."""

    def put(self, run: Run) -> None:
        """Record ``run``."""


class Unstored(Runs, Protocol):
    """Runs until they are recorded."""

    def forget(self, key: Oid) -> None:
        """Know nothing of ``key`` any more."""


def _silence(_event: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Tools:
    """All that reproduction works with."""

    tree: Tree
    records: Records
    runs: Runs
    executor: Executor
    params: ParamFiles
    hashing: Hashing
    progress: Progress
    root: str = ""
    """The directory that all paths are relative to."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The environment that mlvc runs in."""
    claims: Claims = NOBODY
    logs: Logs | None = None
    """Where what the commands print is kept; without, it goes nowhere."""
    check_image: Callable[[str], object] = bool
    """PipelineError where nothing can run with this image."""
    isolation: Isolation | None = None
    """Makes directories for Stages that run in one of their own."""
    unstored: Unstored | None = None
    """Runs whose outputs stand in the working tree and are not stored."""
    listener: Listener = _silence
    hears: bool = True
    """Whether the listener wants to know what the commands print."""
    ask: Callable[[Decision], bool] | None = None
    """Whether a Stage is to run; without, nobody is asked."""
    items: ItemTree | None = None
    """For Stages with ``each``; without it and the next there can be none."""
    tables: Tables | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    targets: tuple[str, ...] = ()
    """Stages or outputs; without any, all."""
    single: bool = False
    """Only the targets, without what they need."""
    downstream: bool = False
    """The targets and what follows from them."""
    elsewhere: tuple[str, ...] = ()
    """How the names of Stages begin that are described where nobody can look; what is recorded of them stays."""
    force: bool = False
    """Run them all, whatever is known."""
    keep_going: bool = False
    run_cache: bool = True
    """Whether Runs that were recorded before count."""
    pull: bool = False
    """Whether Remotes are asked for Runs, and for outputs and dependencies that are recorded and not here."""
    remote: str = ""
    """Which Remote is asked first; the default one without."""
    allow_missing: bool = False
    """Whether what is recorded and not here is taken to be as it is recorded."""
    force_downstream: bool = False
    """Run the targets, and whatever follows from them or from another Stage that ran, whatever is known."""
    commit: bool = True
    """Whether what is made is stored and recorded."""
    isolated: bool = False
    """Whether commands run where only what their Stage declares is."""
    check_deterministic: bool = False
    """Whether each Stage that runs does so a second time, which has to make the same."""
    jobs: int = 1
    """How many Stages may run at the same time."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """What all running Stages together may take; what is not in here is not limited."""


@dataclass(frozen=True, slots=True)
class ReproResult:
    """What came of all Stages that it came to, in the order in which they were done."""

    stages: tuple[StageResult, ...]
    cached: tuple[str, ...]
    """Outputs of those Stages that did not fail whose bytes are in the Store, so that Git should ignore them."""
    errors: tuple[MlvcError, ...] = ()
    """Why Stages failed: StageFailedError for a command, in the order of ``stages``."""
    record: tuple[str, ...] = ()
    """What is to be recorded in Git afterwards."""

    @property
    def error(self) -> MlvcError | None:
        """The one error that ends a command: the first, with the names of the other Stages that failed."""
        if not self.errors:
            return None
        first = self.errors[0]
        others = [stage.stage for stage in self.stages if stage.outcome == "failed"][1:]
        if not others:
            return first
        return type(first)(f"{first.message} (failed too: {', '.join(others)})", hint=first.hint)


def plan(graph: Graph, tools: Tools, options: Options | None = None) -> tuple[Decision, ...]:
    """What ``repro`` would do, and why; nothing is changed. PipelineError as from ``repro``."""
    session = _Session(graph, tools, options or Options())
    return session.plan()


def status(graph: Graph, tools: Tools, options: Options | None = None) -> tuple[Decision, ...]:
    """As ``plan``, but a dependency or parameter that is not there is a reason and not an error."""
    return _Session(graph, tools, options or Options()).plan(strict=False)


def repro(graph: Graph, tools: Tools, options: Options | None = None) -> ReproResult:
    """Bring the outputs of the Stages asked for to what their inputs make of them.

    PipelineError before anything runs where a dependency or a parameter is not there. That a Stage failed is in the
    result; what was finished before stays recorded, as it does when KeyboardInterrupt passes through.
    """
    return _Session(graph, tools, options or Options()).repro()


@dataclass(slots=True)
class _Running:
    """A Stage whose commands run."""

    stage: Stage
    decision: Decision
    before: Inputs
    key: Oid
    log: int = -1
    """The open file of its log."""
    path: str = ""
    tries: int = 0
    since: float = 0.0
    seconds: float = 0.0
    place: str = ""
    """The directory of its own that its commands run in, '' for the working tree."""
    second: str = ""
    """The one for the second time that they run."""
    repeats: bool = False
    """Whether that is now."""
    items: ItemRun | None = None


_NOT_DONE = ("failed", "blocked", "skipped", "declined")


@dataclass(slots=True)
class _Session:
    """The state of one reproduction."""

    graph: Graph
    tools: Tools
    options: Options
    names: tuple[str, ...] = ()
    forced: set[str] = field(default_factory=set)
    lockfile: Lockfile = field(default_factory=Lockfile)
    changes: dict[str, Entry | None] = field(default_factory=dict)
    """What is not yet in the Lockfile for certain."""
    save_at: float = 0.0
    results: list[StageResult] = field(default_factory=list)
    errors: list[MlvcError] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    """Stages that wait for another process, and for what."""
    running: dict[str, _Running] = field(default_factory=dict)
    ends: SimpleQueue[Ended] = field(default_factory=SimpleQueue)
    scheduled: schedules.Schedule | None = None
    works: dict[str, tuple[Oid, Work]] = field(default_factory=dict)
    """What is to be done for the items of Stages, by the key of the Run that it is for."""

    def __post_init__(self) -> None:
        options = self.options
        self.names = select(self.graph, options.targets, single=options.single, downstream=options.downstream)
        if options.force:
            self.forced.update(self.names)
        if options.force_downstream and options.targets:
            self.forced |= descendants(self.graph, [named(self.graph, word) for word in options.targets])
            chosen = ancestors(self.graph, self.forced)
            self.names = tuple(name for name in self.graph.stages if name in chosen)
        self.lockfile = self.tools.records.load()

    # -- what is to be done ------------------------------------------------------------------------

    def plan(self, *, strict: bool = True) -> tuple[Decision, ...]:
        stages = [self.graph.stages[name] for name in self.names]
        contents = self.tools.tree.identify(list(dict.fromkeys(path for stage in stages for path in _paths(stage))))
        if strict:
            plans.check_dependencies(self.graph, self.names, contents)
        params: dict[str, Values] = {}
        broken: dict[str, str] = {}
        for stage in stages:
            try:
                params[stage.name] = self.params(stage, placed=strict)
            except MlvcError as error:
                if strict:
                    raise
                broken[stage.name] = error.message
        decisions = plans.plan(self.graph, self.names, Seen(contents, params, self.tools.env), self.known())
        return tuple(
            replace(decision, action=plans.Action.RUN, reasons=(broken[decision.stage],))
            if decision.stage in broken
            else self.counted(decision, contents, params[decision.stage])
            for decision in decisions
        )

    def counted(self, decision: Decision, contents: Mapping[str, Content | None], params: Values) -> Decision:
        """The Decision to run a Stage with ``each``, which says how many items changed."""
        stage = self.graph.stages[decision.stage]
        if not stage.each or decision.action is not plans.Action.RUN or decision.waits:
            return decision
        taken = plans.inputs_of(stage, contents, params, self.tools.env)
        if taken is None:
            return decision
        reasons = [reason for reason in decision.reasons if reason != f"dependency {stage.each} changed"]
        return replace(decision, reasons=(*reasons, each.told(self.work(stage, taken))))

    def work(self, stage: Stage, taken: Inputs) -> Work:
        """What is to be done for the items of a Stage."""
        assert self.tools.items is not None
        key = key_of(taken, self.tools.hashing)
        known = self.works.get(stage.name)
        if known is None or known[0] != key:
            found = self.tools.items.items(stage.each)
            items = each.keys_of(each.definition(taken, stage.each, self.tools.hashing), found, self.tools.hashing)
            known = self.works[stage.name] = (key, each.plan(items, self.known_items(stage, taken)))
        return each.whole(known[1]) if stage.name in self.forced or stage.always_changed else known[1]

    def known_items(self, stage: Stage, taken: Inputs) -> list[Table]:
        """What is known of the items of a Stage: by its definition, and by the Run that the Lockfile names."""
        assert self.tools.items is not None
        assert self.tools.tables is not None
        defined = each.definition(taken, stage.each, self.tools.hashing)
        entry = self.lockfile.stages.get(stage.name)
        run = self.tools.runs.lookup(entry.key) if entry is not None else None
        found = (self.tools.tables.lookup(defined), run.items if run is not None else None)
        return [self.tools.items.table(content) for content in dict.fromkeys(found) if content is not None]

    def params(self, stage: Stage, *, placed: bool = True) -> Values:
        """Parameters now; of files that other Stages make, those that are there. ``placed``: errors say where."""
        if (stage.frozen and stage.name not in self.forced) or stage.name in self.graph.skipped:
            return {}
        pending = [ref.file for ref in stage.params if ref.file in self.graph.makers]
        if not placed:
            return self.tools.params.values(stage.params, pending=pending)
        return self.tools.params.values(stage.params, pending=pending, place=partial(where.before, stage))

    def known(self) -> Known:
        return Known(
            self.lockfile,
            self.tools.hashing,
            self.tools.runs.lookup if self.options.run_cache else _nothing,
            self.tools.tree.available,
            frozenset(self.forced),
        )

    def schedule(self, decisions: Sequence[Decision]) -> schedules.Schedule:
        """The Schedule of what is to be done; PipelineError for a Stage that never fits the limits."""
        doing = [decision for decision in decisions if decision.action not in schedules.IDLE]
        for decision in doing:
            if decision.action is plans.Action.RUN and self.graph.stages[decision.stage].image:
                self.tools.check_image(self.graph.stages[decision.stage].image)
        stages = [self.graph.stages[decision.stage] for decision in doing]
        _check_options(stages, self.options)
        if not self.options.commit:
            failures.check_stored(stages)
        schedules.check_resources(stages, self.options.limits)
        return schedules.Schedule(
            self.graph,
            decisions,
            jobs=self.options.jobs,
            keep_going=self.options.keep_going,
            limits=self.options.limits,
            lengths=self.lengths(doing) if self.options.jobs > 1 else {},
        )

    def lengths(self, decisions: Iterable[Decision]) -> dict[str, float]:
        """How long the last Run of each Stage took, where that is known."""
        found: dict[str, float] = {}
        for decision in decisions:
            entry = self.lockfile.stages.get(decision.stage)
            run = self.tools.runs.lookup(entry.key) if entry is not None else None
            if run is not None:
                found[decision.stage] = run.milliseconds + 1.0
        return found

    # -- doing it ----------------------------------------------------------------------------------

    def repro(self) -> ReproResult:
        decisions = self.plan()
        schedule = self.scheduled = self.schedule(decisions)
        self.tools.listener(Considered(decisions))
        self.forget()
        with self.saving(), self.stopping():
            todo = deque(schedule.begin())
            while not (todo and isinstance(todo[0], schedules.Done)):
                events = self.obey(todo.popleft()) if todo else self.wait()
                for event in events:
                    todo += schedule.tell(event)
        return ReproResult(tuple(self.results), tuple(self.cached()), tuple(self.errors))

    def forget(self) -> None:
        """Drop what the Lockfile says of Stages that are described nowhere any more."""
        gone = (self.lockfile.stages.keys() | self.lockfile.rerun) - self.graph.stages.keys()
        stale = frozenset(name for name in gone if not name.startswith(self.options.elsewhere))
        if stale and self.options.commit:
            self.lockfile = self.lockfile.without(stale)
            self.changes.update(dict.fromkeys(stale))

    def cached(self) -> Iterator[str]:
        for result in self.results if self.options.commit else ():
            if result.outcome not in _NOT_DONE:
                yield from (out.path for out in self.graph.stages[result.stage].outs if out.cache)

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.save(durable=True)

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """Whatever happens, nothing runs any more and nothing is held on leaving."""
        try:
            yield
        except BaseException:
            if self.running:
                self.tools.executor.stop()
                self.stopped(self.ended())
            raise
        finally:
            for name in list(self.claims):
                self.release(name)

    def stopped(self, batch: Iterable[Ended]) -> None:
        """Take in the ends of what was stopped; the items that came out well are kept."""
        for ended in batch:
            running = self.running[ended.job.stage]
            if running.items is not None:
                running.items.stopped(ended)
            else:
                self.close(self.running.pop(ended.job.stage), ended)
                self.discard(running)
        for running in self.running.values():
            if running.items is not None:
                with contextlib.suppress(MlvcError, OSError):  # what ended it all counts, and is told
                    running.items.save()
                running.items.close()
                self.close(running, None)

    def record(self, stage: Stage, entry: Entry) -> None:
        if self.lockfile.stages.get(stage.name) != entry:
            self.lockfile = self.lockfile.having(stage.name, entry)
            self.changes[stage.name] = entry
            if time.monotonic() >= self.save_at:
                self.save(durable=False)

    def save(self, *, durable: bool) -> None:
        if not self.changes:
            return
        start = time.monotonic()
        self.lockfile = self.tools.records.change(self.changes, durable=durable)
        if durable:  # what was written without being flushed is written once more at the end
            self.changes.clear()
        end = time.monotonic()
        self.save_at = end + 10 * (end - start)

    def tell(self, result: StageResult) -> None:
        self.results.append(result)
        self.tools.listener(result)

    def obey(self, command: schedules.Command) -> list[schedules.Event]:
        if isinstance(command, schedules.Skip):
            self.tell(StageResult(command.stage, command.outcome, command.reasons))
            return []
        if isinstance(command, schedules.Done):
            return []
        name = command.stage if isinstance(command, schedules.Look) else command.decision.stage
        start = time.monotonic()
        try:
            event = self.act(command, self.graph.stages[name])
        except MlvcError as error:
            event = self.failed(name, error, time.monotonic() - start)
        if not (event is None or (isinstance(event, schedules.Planned) and _works(event.decision))):
            self.release(name)
        return [] if event is None else [event]

    def act(
        self, command: schedules.Look | schedules.Execute | schedules.Restore, stage: Stage
    ) -> schedules.Event | None:
        if isinstance(command, schedules.Look):
            return self.look(stage)
        if self.tools.ask is not None and not self.tools.ask(command.decision):
            self.tell(StageResult(stage.name, "declined", command.decision.reasons))
            return schedules.Declined(stage.name)
        if isinstance(command, schedules.Restore):
            start = time.monotonic()
            self.restore(stage, command.decision)
            self.tell(StageResult(stage.name, "restored", command.decision.reasons, time.monotonic() - start))
            return schedules.Finished(stage.name)
        return self.execute(stage, command.decision)

    def look(self, stage: Stage) -> schedules.Event:
        claim = self.tools.claims.claim(stage.name, _reads(stage), (out.path for out in stage.outs))
        if isinstance(claim, Held):
            self.hold(stage.name, str(claim))
            return schedules.Held(stage.name)
        self.claims[stage.name] = claim
        if self.held.pop(stage.name, ""):
            self.refresh()
        contents = self.tools.tree.identify(_paths(stage))
        params = self.params(stage)
        decision = plans.decide(stage, contents, params, self.known(), env=self.tools.env)
        if decision.action is plans.Action.STUCK:
            raise failures.of_stuck(decision)
        return schedules.Planned(self.counted(decision, contents, params))

    def hold(self, name: str, cause: str) -> None:
        if self.held.get(name) != cause:
            self.held[name] = cause
            self.tools.progress.note(f"Stage '{name}' waits for {cause}")
            self.tools.listener(Waiting(name, cause))

    def refresh(self) -> None:
        """Take note of what another process has recorded."""
        lockfile = self.tools.records.load()
        for name, entry in self.changes.items():
            lockfile = lockfile.having(name, entry) if entry is not None else lockfile.without(frozenset({name}))
        self.lockfile = lockfile

    def release(self, name: str) -> None:
        claim = self.claims.pop(name, None)
        if claim is not None:
            claim.release()

    def restore(self, stage: Stage, decision: Decision) -> None:
        assert decision.entry is not None
        if decision.restore:
            self.tools.progress.note(f"Restoring stage '{stage.name}': {_told(decision)}")
            self.make_way(list(decision.restore))
            self.tools.tree.restore(decision.restore)
        self.record(stage, decision.entry)

    def make_way(self, paths: Sequence[str]) -> None:
        """Keep aside what is stored nowhere; what is stored may be overwritten."""
        now = self.tools.tree.identify(paths)
        alone = [path for path, content in now.items() if content and not self.tools.tree.available([content])]
        if alone:
            self.tools.tree.remove(alone)

    # -- running commands --------------------------------------------------------------------------

    def execute(self, stage: Stage, decision: Decision) -> schedules.Event | None:
        self.tools.tree.ready(stage.deps, [out.path for out in stage.outs])
        before = self.inputs(stage)
        running = _Running(stage, decision, before, key_of(before, self.tools.hashing))
        if self.stands(running):
            outcome = "stored" if self.options.commit else "unchanged"
            return self.take_in([running], outcome)[0]
        self.tools.progress.note(f"Running stage '{stage.name}': {_told(decision)}")
        if stage.each:
            self.start_items(running)
        else:
            self.start(running)
        return None

    def stands(self, running: _Running) -> bool:
        """Whether what these inputs make was made without being stored, and stands there as it was made."""
        anew = running.stage.name in self.forced or running.stage.always_changed or not self.options.run_cache
        if self.tools.unstored is None or anew:
            return False
        run = self.tools.unstored.lookup(running.key)
        now = self.tools.tree.identify(list(run.outs)) if run is not None else {}
        return run is not None and all(plans.same(now[path], content) for path, content in run.outs.items())

    def start(self, running: _Running) -> None:
        """Begin the commands of a Stage, for the first time or once more."""
        stage = running.stage
        self.tools.tree.remove([out.path for out in stage.outs if not out.persist])
        self.isolate(running)
        self.begin(running)
        try:
            self.tools.executor.start(self.job(running), self.ends.put)
        except BaseException:
            del self.running[stage.name]
            self.close(running, None)
            raise

    def isolate(self, running: _Running) -> None:
        """Make the directories in which the commands are to run, where that is not the working tree."""
        isolation = self.tools.isolation
        if isolation is None:
            return
        if running.place:
            isolation.remove(running.place)
        if self.options.isolated:
            running.place = isolation.make(running.stage)
        if self.options.check_deterministic and not running.second:
            running.second = isolation.make(running.stage)  # before the first time: that may write where it reads

    def discard(self, running: _Running) -> None:
        """Remove the directories in which the commands ran."""
        for place in (running.place, running.second):
            if place and self.tools.isolation is not None:
                self.tools.isolation.remove(place)

    def repeat(self, running: _Running) -> None:
        """Begin the commands of a Stage that has come out well for the second time."""
        self.tools.progress.note(f"Running stage '{running.stage.name}' a second time")
        running.repeats, running.place = True, running.second
        self.running[running.stage.name] = running
        try:
            self.tools.executor.start(self.job(running), self.ends.put)
        except BaseException:
            del self.running[running.stage.name]
            raise

    def leave(self, running: _Running, *, good: bool) -> str:
        """Bring what was made in a directory of its own to the working tree. An input that was written to, or ''."""
        isolation, place = self.tools.isolation, running.place
        if isolation is None or not place:
            return ""
        running.place = ""
        try:
            written = isolation.written(place) if good else ""
            # Of what persists, the last good version stays where the commands did not end well.
            made = [out.path for out in running.stage.outs if not out.persist or (good and not written)]
            self.tools.tree.remove(made)
            isolation.bring_back(place, made)
            return written
        finally:
            isolation.remove(place)

    def came_out(self, running: _Running) -> MlvcError | None:
        """After commands that ended well: why that does not do, or None. The Stage may be at work again afterwards."""
        isolation, stage = self.tools.isolation, running.stage
        if isolation is None or not running.repeats:
            written = self.leave(running, good=True)
            if written:
                return failures.of_change(stage, written)
            if running.second:
                self.repeat(running)
            return None
        differing = isolation.differing(running.second, [out.path for out in stage.outs])
        isolation.remove(running.second)
        return isolations.of_difference(stage, differing) if differing else None

    def explained(self, running: _Running, error: MlvcError) -> MlvcError:
        """The error of commands that failed, with what they lacked where they found only what is declared."""
        isolation, place = self.tools.isolation, running.place
        if isolation is None or not place:
            return error
        text = logs.read(running.path).output[-_SHOWN:].decode(errors="replace") if running.path else ""
        names = isolations.undeclared(running.stage, text, place, isolation.exists)
        if not running.repeats:
            self.leave(running, good=False)
        return type(error)(error.message, hint=isolations.hint(names))

    def begin(self, running: _Running) -> None:
        """The log of a Run, and what is told of its beginning."""
        stage = running.stage
        if self.tools.logs is not None and running.log < 0:
            running.log, running.path = self.tools.logs.create(stage.name, running.key, stage.cmd, stage.wdir)
        running.tries += 1
        running.since = time.monotonic()
        of = 1 if stage.each else stage.retries + 1
        self.tools.listener(Started(stage.name, running.decision.reasons, running.tries, of, running.path))
        self.running[stage.name] = running

    def job(self, running: _Running) -> Job:
        stage, listener = running.stage, self.tools.listener
        return Job(
            stage.name,
            stage.cmd,
            os.path.join(running.place or self.tools.root, stage.wdir),
            env=stage.env,
            timeout=stage.timeout,
            image=stage.image_id or stage.image,
            root=running.place or self.tools.root,
            through=stage.env_through,
            output=running.log,
            claim=self.claims.get(stage.name, NOBODY),
            hear=(lambda data: listener(Printed(stage.name, data))) if self.tools.hears else None,
        )

    def close(self, running: _Running, ended: Ended | None) -> None:
        """End the log of a Stage whose commands have ended."""
        if running.log >= 0:
            with contextlib.suppress(OSError):  # a full disk; what counts is elsewhere
                if ended is not None:
                    logs.ended(running.log, ended.code, ended.seconds)
            os.close(running.log)
            running.log = -1

    def wait(self) -> list[schedules.Event]:
        """What has happened when something has."""
        over = [event for running in self.with_items() for event in self.feed(running)]
        if over:
            return over
        events = self.finish(self.ended(wait=True))
        for running in self.with_items():
            assert running.items is not None
            if running.items.due() == 0.0:
                running.items.save()
        return [*events, schedules.Freed()] if self.held else events

    def ended(self, *, wait: bool = False) -> list[Ended]:
        """All ends that were posted and not yet taken.

        At least one if ``wait``, unless Stages are held, or what came of items is to be stored.
        """
        found: list[Ended] = []
        due = [due for running in self.with_items() if running.items and (due := running.items.due()) is not None]
        with contextlib.suppress(Empty):
            if wait:
                found.append(self.ends.get(timeout=min([*due, *([_LOOK_AGAIN] if self.held else [])], default=None)))
            while True:
                found.append(self.ends.get_nowait())
        return found

    def finish(self, batch: Iterable[Ended]) -> list[schedules.Event]:
        """Take in what has ended, or begin it once more."""
        events: list[schedules.Event] = []
        good: list[_Running] = []
        for ended in batch:
            running = self.running[ended.job.stage]
            running.seconds = ended.seconds
            if running.items is not None:
                events.append(self.item_ended(running.items, ended))
                continue
            del self.running[ended.job.stage]
            if ended.fault is not None and not isinstance(ended.fault, MlvcError):
                self.close(running, ended)
                raise ended.fault
            if not (ended.code or ended.timed_out or ended.fault):
                events += self.went_well(running, ended, good)
            elif ended.fault is None and not running.repeats and running.tries <= running.stage.retries:
                events += self.again(running, ended)
            else:
                self.close(running, ended)
                error = ended.fault or failures.of_command(running.stage, ended)
                events.append(self.fail(running, self.explained(running, error)))
        return [*events, *self.take_in(good, "ran")]

    def went_well(self, running: _Running, ended: Ended, good: list[_Running]) -> list[schedules.Event]:
        """Its commands ended well: it is done and among the ``good``, or runs once more, or fails all the same."""
        try:
            error = self.came_out(running)
        except MlvcError as problem:
            error = problem
        if running.stage.name in self.running:
            return []
        self.close(running, ended)
        if error is not None:
            return [self.fail(running, error)]
        good.append(running)
        return []

    def again(self, running: _Running, ended: Ended) -> list[schedules.Event]:
        stage = running.stage
        of = stage.retries + 1
        how = f"failed with exit code {ended.code}" if ended.code > 0 else "was ended"
        how = "took longer than its timeout" if ended.timed_out else how
        self.tools.progress.note(f"Stage '{stage.name}' {how}; trying again ({running.tries + 1} of {of})")
        try:
            if running.log >= 0:
                logs.again(running.log, running.tries + 1, of)
            self.start(running)
        except MlvcError as error:
            self.close(running, ended)
            return [self.fail(running, error)]
        return []

    def failed(self, name: str, error: MlvcError, seconds: float) -> schedules.Failed:
        self.errors.append(error)
        self.tell(StageResult(name, "failed", (error.message,), seconds))
        return schedules.Failed(name)

    def fail(self, running: _Running, error: MlvcError) -> schedules.Failed:
        """The Stage failed: what its commands left at its outputs is kept, but not where it looks like a result."""
        stage = running.stage
        self.discard(running)
        place = self.tools.tree.set_aside([out.path for out in stage.outs if not out.persist])
        if place:
            error = type(error)(f"{error.message}; what it left of its outputs is kept in {place}", hint=error.hint)
        self.release(stage.name)
        return self.failed(stage.name, error, time.monotonic() - running.since)

    # -- running items -----------------------------------------------------------------------------

    def with_items(self) -> list[_Running]:
        """The Stages of which items run."""
        return [running for running in self.running.values() if running.items is not None]

    def start_items(self, running: _Running) -> None:
        """Make ready to run the items of a Stage; ``feed`` begins them."""
        assert self.tools.items is not None
        assert self.tools.tables is not None
        stage, tables = running.stage, self.tools.tables
        work = self.work(stage, running.before)
        defined = each.definition(running.before, stage.each, self.tools.hashing)
        self.begin(running)
        try:
            if stage.batch:
                filling.check_listed(work.items[key] for key in work.run)
            around = Around(
                self.tools.items,
                self.tools.hashing,
                self.tools.progress,
                lambda content: tables.put(defined, stage.name, content),
                lambda: self.changed(running, each.shared(stage.deps, stage.each)),
            )
            running.items = ItemRun(stage, work, self.job(running), around)
        except BaseException:
            del self.running[stage.name]
            self.close(running, None)
            raise

    def feed(self, running: _Running) -> list[schedules.Event]:
        """Begin as many items as there are jobs for; what follows where all have ended."""
        assert running.items is not None
        assert self.scheduled is not None
        items, schedule, name = running.items, self.scheduled, running.stage.name
        while items.waits and (items.running <= schedule.lent(name) or schedule.lend(name)):
            job = items.next()
            if job is None:
                break
            try:
                self.tools.executor.start(job, self.ends.put)
            except MlvcError as error:
                items.give_up(job, error)
        return self.complete(running) if items.is_over else []

    def item_ended(self, items: ItemRun, ended: Ended) -> schedules.Event:
        if ended.fault is not None and not isinstance(ended.fault, MlvcError):
            raise ended.fault
        items.ended(ended)
        self.tools.listener(items.advanced())
        return schedules.Returned(ended.job.stage)

    def complete(self, running: _Running) -> list[schedules.Event]:
        """Make the output of the items of a Stage, and record it."""
        stage, items = running.stage, running.items
        assert items is not None
        running.seconds = time.monotonic() - running.since
        out = stage.outs[0].path
        try:
            output, table = items.finish()
            changed = self.changed(running, stage.deps)
            if changed:
                raise failures.of_change(stage, changed)
            self.make_way([out])
            self.tools.tree.restore({out: output})
        except MlvcError as error:
            self.release(stage.name)
            return [self.failed(stage.name, error, running.seconds)]
        finally:
            del self.running[stage.name]
            self.works.pop(stage.name, None)
            items.close()
            self.close(running, None)
        self.keep(running, {out: output}, table)
        return [self.done(running, "ran")]

    # -- taking in what they made ------------------------------------------------------------------

    def inputs(self, stage: Stage) -> Inputs:
        """What a Run takes now; StageFailedError where a Stage before it did not make a dependency."""
        contents = self.tools.tree.identify(stage.deps)
        params = self.tools.params.values(stage.params, place=partial(where.before, stage))
        taken = plans.inputs_of(stage, contents, params, self.tools.env)
        if taken is None:
            missing = next(path for path in stage.deps if contents.get(path) is None)
            raise failures.of_dependency(stage, missing, self.graph.makers.get(missing, ()))
        return taken

    def take_in(self, good: Sequence[_Running], outcome: str) -> list[schedules.Event]:
        """Store and record together what has come out well. What cannot be stored fails alone."""
        if not good:
            return []
        try:
            lost, outs = self.take(good)
        except MlvcError as error:
            if len(good) == 1:
                return [self.fail(good[0], error)]
            return [event for running in good for event in self.take_in([running], outcome)]
        events: list[schedules.Event] = []
        for running in good:
            name = running.stage.name
            if name in lost:
                events.append(self.fail(running, lost[name]))
                continue
            self.keep(running, {out.path: outs[out.path] for out in running.stage.outs})
            events.append(self.done(running, outcome))
        return events

    def done(self, running: _Running, outcome: str) -> schedules.Finished:
        """The Stage has its outputs, and they are recorded."""
        name = running.stage.name
        self.release(name)
        self.tell(StageResult(name, outcome, running.decision.reasons, running.seconds))
        if self.options.force_downstream and outcome == "ran":
            self.forced |= descendants(self.graph, [name]) & set(self.names)
        return schedules.Finished(name)

    def take(self, good: Sequence[_Running]) -> tuple[dict[str, MlvcError], dict[str, Content]]:
        """What came out, durable where it is to be stored; and the Stages of which it cannot be taken, with why."""
        lost: dict[str, MlvcError] = {}
        now = self.tools.tree.identify(_once(path for running in good for path in running.stage.deps))
        for running in good:
            changed = self.differing(running, now)
            if changed:
                lost[running.stage.name] = failures.of_change(running.stage, changed)
        left = [out for running in good if running.stage.name not in lost for out in running.stage.outs]
        stored = [out.path for out in left if out.cache and self.options.commit]
        seen = [out.path for out in left if not (out.cache and self.options.commit)]
        outs = {path: content for path, content in self.tools.tree.identify(seen).items() if content is not None}
        if self.options.commit:
            # What Git keeps is stored too where it is small, so that the run cache can bring it back with the others.
            stored += [path for path, content in outs.items() if not content.is_dir and content.size < LARGE]
        if stored:
            outs |= self.tools.tree.store(stored)
        for running in good:
            missing = next((out.path for out in running.stage.outs if out.path not in outs), None)
            if missing is not None and running.stage.name not in lost:
                lost[running.stage.name] = failures.of_missing(running.stage, missing)
        return lost, outs

    def changed(self, running: _Running, paths: Sequence[str]) -> str:
        """Which of these dependencies, or parameters, is not what it was; '' where all are."""
        return self.differing(running, self.tools.tree.identify(paths))

    def differing(self, running: _Running, now: Mapping[str, Content | None]) -> str:
        """As ``changed``, for those dependencies of which ``now`` tells what they are."""
        stage, before = running.stage, running.before
        changed = [path for path in stage.deps if path in now and not plans.same(now[path], before.deps[path])]
        values = self.tools.params.values(stage.params)
        changed += [str(ref) for ref in stage.params if _value(values, ref) != _value(before.params, ref)]
        return changed[0] if changed else ""

    def keep(self, running: _Running, outs: Mapping[str, Content], items: Content | None = None) -> None:
        """Record a Run, and where its outputs are stored, enter it in the Lockfile."""
        run = Run(running.key, running.before, outs, round(1000 * running.seconds), items)
        if not self.options.commit:
            if self.tools.unstored is not None:
                self.tools.unstored.put(run)
            return
        self.tools.runs.put(run)
        if self.tools.unstored is not None:
            self.tools.unstored.forget(run.key)
        stage = running.stage
        known = self.lockfile.stages.get(stage.name)
        self.record(stage, plans.entry_of(stage, running.key, running.before, outs, known))


def _check_options(stages: Iterable[Stage], options: Options) -> None:
    """PipelineError for a Stage that cannot be run in the way that was asked for."""
    option = "--isolated" if options.isolated else "--check-deterministic" if options.check_deterministic else ""
    for stage in stages:
        if stage.each and option:
            raise PipelineError(
                f"{where.before(stage)}a stage with 'each' cannot be run with {option}",
                hint="run the others by name, or leave out the option",
            )


def _works(decision: Decision) -> bool:
    return decision.action in (plans.Action.RUN, plans.Action.RESTORE)


def _paths(stage: Stage) -> list[str]:
    return [*stage.deps, *(out.path for out in stage.outs)]


def _reads(stage: Stage) -> Iterator[str]:
    """What a Stage reads; of a pattern the directory below which all is that may fit."""
    for path in inputs(stage):
        parts = path.split("/")
        fixed = next((at for at, part in enumerate(parts) if "*" in part or "?" in part), len(parts))
        yield "/".join(parts[:fixed])


def _once(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))


def _nothing(_key: Oid) -> None:
    return None


def _told(decision: Decision) -> str:
    return "; ".join(decision.reasons)


def _value(values: Values, ref: ParamRef) -> str:
    return codec.compact_json(values.get(ref.file, {}).get(ref.key))
