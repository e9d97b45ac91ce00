"""Reproduction: plans, runs what has to run, and records it.

Write order, for each Stage: outputs durable in the Store, then the record of the Run, then the Lockfile. Killed at
any point, the next reproduction finds in the run cache what was finished and goes on from there. That is why the
Lockfile need not be written after every one of a thousand short Stages: it is written as often as costs a tenth of the
time at most, and in any case before this module is left.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn, Protocol

from mlvc import codec
from mlvc.errors import MlvcError, StageFailedError
from mlvc.hashing import Hashing
from mlvc.oid import Oid
from mlvc.pipeline import plan as plans
from mlvc.pipeline import schedule as schedules
from mlvc.pipeline.executors.local import Ended, Executor
from mlvc.pipeline.graph import Graph, select
from mlvc.pipeline.lockfile import Entry, Lockfile
from mlvc.pipeline.params import ParamFiles, Values
from mlvc.pipeline.plan import Decision, Known, Seen
from mlvc.pipeline.run import Inputs, Run, key_of
from mlvc.pipeline.spec import ParamRef, Stage
from mlvc.pointer import Content
from mlvc.progress import Progress


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

    def remove(self, paths: Sequence[str]) -> None:
        """Take ``paths`` out of the way. What is not stored is kept aside, not deleted; missing ones are no error."""


class Records(Protocol):
    """Where the Lockfile lies."""

    def load(self) -> Lockfile:
        """The Lockfile, an empty one where there is none."""

    def save(self, lockfile: Lockfile, *, durable: bool = True) -> None:
        """Put ``lockfile`` in place of what was there, in one step."""


class Runs(Protocol):
    """The run cache."""

    def lookup(self, key: Oid) -> Run | None:
        """The Run of ``key``, None where none is known."""

    def put(self, run: Run) -> None:
        """Record ``run``."""


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


@dataclass(frozen=True, slots=True)
class StageResult:
    """What came of one Stage."""

    stage: str
    outcome: str
    """``unchanged``, ``frozen``, ``skipped``, ``restored``, ``ran``, ``failed`` or ``blocked``."""
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0


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


def status(graph: Graph, tools: Tools) -> tuple[Decision, ...]:
    """As ``plan``, for all Stages, but a dependency or parameter that is not there is a reason and not an error."""
    return _Session(graph, tools, Options()).plan(strict=False)


def repro(graph: Graph, tools: Tools, options: Options | None = None) -> ReproResult:
    """Bring the outputs of the Stages asked for to what their inputs make of them.

    PipelineError before anything runs where a dependency or a parameter is not there. That a Stage failed is in the
    result; what was finished before stays recorded, as it does when KeyboardInterrupt passes through.
    """
    return _Session(graph, tools, options or Options()).repro()


@dataclass(slots=True)
class _Session:
    """The state of one reproduction."""

    graph: Graph
    tools: Tools
    options: Options
    names: tuple[str, ...] = ()
    lockfile: Lockfile = field(default_factory=Lockfile)
    results: list[StageResult] = field(default_factory=list)
    errors: list[MlvcError] = field(default_factory=list)
    unsaved: bool = False
    save_at: float = 0.0

    def __post_init__(self) -> None:
        self.names = select(
            self.graph, self.options.targets, single=self.options.single, downstream=self.options.downstream
        )
        self.lockfile = self.tools.records.load()

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
        decisions = plans.plan(self.graph, self.names, Seen(contents, params), self.known())
        return tuple(
            replace(decision, action=plans.Action.RUN, reasons=(broken[decision.stage],))
            if decision.stage in broken
            else decision
            for decision in decisions
        )

    def params(self, stage: Stage, *, placed: bool = True) -> Values:
        """Parameters now; of files that other Stages make, those that are there. ``placed``: errors say where."""
        if (stage.frozen and not self.options.force) or stage.name in self.graph.skipped:
            return {}
        pending = [ref.file for ref in stage.params if ref.file in self.graph.makers]
        return self.tools.params.values(stage.params, pending=pending, stage=stage if placed else None)

    def known(self) -> Known:
        return Known(
            self.lockfile,
            self.tools.hashing,
            self.tools.runs.lookup if self.options.run_cache else _nothing,
            self.tools.tree.available,
            frozenset(self.names if self.options.force else ()),
        )

    def repro(self) -> ReproResult:
        schedule = schedules.Schedule(self.graph, self.plan(), keep_going=self.options.keep_going)
        self.forget()
        with self.saving():
            todo = deque(schedule.begin())
            while todo:
                event = self.obey(todo.popleft())
                if event is not None:
                    todo += schedule.tell(event)
        return ReproResult(tuple(self.results), tuple(self.cached()), tuple(self.errors))

    def forget(self) -> None:
        """Drop what the Lockfile says of Stages that are described nowhere any more."""
        gone = self.lockfile.stages.keys() - self.graph.stages.keys()
        stale = frozenset(name for name in gone if not name.startswith(self.options.elsewhere))
        if stale:
            self.lockfile = self.lockfile.without(stale)
            self.unsaved = True

    def cached(self) -> Iterator[str]:
        for result in self.results:
            if result.outcome not in ("failed", "blocked", "skipped"):
                yield from (out.path for out in self.graph.stages[result.stage].outs if out.cache)

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.save(durable=True)

    def record(self, stage: Stage, entry: Entry) -> None:
        if self.lockfile.stages.get(stage.name) != entry:
            self.lockfile = self.lockfile.having(stage.name, entry)
            self.unsaved = True
            if time.monotonic() >= self.save_at:
                self.save(durable=False)

    def save(self, *, durable: bool) -> None:
        if not self.unsaved:
            return
        start = time.monotonic()
        self.tools.records.save(self.lockfile, durable=durable)
        # What was written without being flushed is written once more at the end.
        self.unsaved = not durable
        end = time.monotonic()
        self.save_at = end + 10 * (end - start)

    def obey(self, command: schedules.Command) -> schedules.Event | None:
        if isinstance(command, schedules.Skip):
            self.results.append(StageResult(command.stage, command.outcome, command.reasons))
            return None
        if isinstance(command, schedules.Done):
            return None
        name = command.stage if isinstance(command, schedules.Look) else command.decision.stage
        start = time.monotonic()
        try:
            return self.act(command, self.graph.stages[name])
        except MlvcError as error:
            self.errors.append(error)
            self.results.append(StageResult(name, "failed", (error.message,), time.monotonic() - start))
            return schedules.Failed(name)

    def act(self, command: schedules.Look | schedules.Execute | schedules.Restore, stage: Stage) -> schedules.Event:
        if isinstance(command, schedules.Look):
            decision = self.look(stage)
            if decision.action is plans.Action.STUCK:
                raise _stuck(decision)
            return schedules.Planned(decision)
        start = time.monotonic()
        if isinstance(command, schedules.Restore):
            self.restore(stage, command.decision)
            outcome = "restored"
        else:
            self.execute(stage, command.decision)
            outcome = "ran"
        seconds = time.monotonic() - start
        self.results.append(StageResult(stage.name, outcome, command.decision.reasons, seconds))
        return schedules.Finished(stage.name)

    def look(self, stage: Stage) -> Decision:
        contents = self.tools.tree.identify(_paths(stage))
        return plans.decide(stage, contents, self.params(stage), self.known())

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

    def execute(self, stage: Stage, decision: Decision) -> None:
        before = self.inputs(stage)
        self.tools.progress.note(f"Running stage '{stage.name}': {_told(decision)}")
        self.tools.tree.remove([out.path for out in stage.outs if not out.persist])
        start = time.monotonic()
        ended = self.tools.executor.run(stage.cmd, stage.wdir)
        milliseconds = round(1000 * (time.monotonic() - start))
        if ended.code:
            _command_failed(stage, ended)
        self.check(stage, before)
        outs = self.take(stage)
        key = key_of(before, self.tools.hashing)
        self.tools.runs.put(Run(key, before, outs, milliseconds))
        self.record(stage, plans.entry_of(stage, key, before, outs, self.lockfile.stages.get(stage.name)))

    def inputs(self, stage: Stage) -> Inputs:
        """What a Run takes now; StageFailedError where a Stage before it did not make a dependency."""
        contents = self.tools.tree.identify(stage.deps)
        taken = plans.inputs_of(stage, contents, self.tools.params.values(stage.params, stage=stage))
        if taken is None:
            missing = next(path for path in stage.deps if contents.get(path) is None)
            makers = self.graph.makers.get(missing, ())
            told = f", and stage '{makers[0]}' did not make it" if makers else ""
            raise StageFailedError(f"the dependency '{missing}' of stage '{stage.name}' is not there{told}")
        return taken

    def check(self, stage: Stage, before: Inputs) -> None:
        """StageFailedError when the inputs are not what they were."""
        now = self.tools.tree.identify(stage.deps)
        changed = [path for path in stage.deps if not plans.same(now.get(path), before.deps[path])]
        values = self.tools.params.values(stage.params)
        changed += [str(ref) for ref in stage.params if _value(values, ref) != _value(before.params, ref)]
        if changed:
            raise StageFailedError(
                f"'{changed[0]}' changed while stage '{stage.name}' ran, so its result is not recorded",
                hint="run `mlvc repro` again when nothing writes to it; a stage must not write to what it depends on",
            )

    def take(self, stage: Stage) -> dict[str, Content]:
        """The outputs, durable where they are cached; StageFailedError names one that the command did not make."""
        outs: dict[str, Content | None] = {}
        outs |= self.tools.tree.identify([out.path for out in stage.outs if not out.cache])
        outs |= self.tools.tree.store([out.path for out in stage.outs if out.cache])
        found = {path: content for path, content in outs.items() if content is not None}
        missing = next((out.path for out in stage.outs if out.path not in found), None)
        if missing is not None:
            raise StageFailedError(
                f"the command of stage '{stage.name}' ended well but did not make its output '{missing}'",
                hint="correct the command, or the path under 'outs'",
            )
        return found


def _paths(stage: Stage) -> list[str]:
    return [*stage.deps, *(out.path for out in stage.outs)]


def _nothing(_key: Oid) -> None:
    return None


def _told(decision: Decision) -> str:
    return "; ".join(decision.reasons)


def _value(values: Values, ref: ParamRef) -> str:
    return codec.compact_json(values.get(ref.file, {}).get(ref.key))


def _stuck(decision: Decision) -> StageFailedError:
    _, missing, *more = decision.reasons
    also = f" (and {len(more)} more)" if more else ""
    return StageFailedError(
        f"stage '{decision.stage}' is frozen, and its {missing} and cannot be brought back{also}",
        hint=f"`mlvc fetch` may bring it; `mlvc repro -f -s {decision.stage}` runs the stage all the same",
    )


_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def _command_failed(stage: Stage, ended: Ended) -> NoReturn:
    command = ended.command.splitlines()[0]
    if ended.code < 0:
        how = f"was ended by signal {-ended.code}"
    elif ended.code == _NOT_FOUND:
        how = "names a program that was not found (exit code 127)"
    elif ended.code == _NOT_EXECUTABLE:
        how = "names a file that cannot be executed (exit code 126)"
    else:
        how = f"failed with exit code {ended.code}"
    raise StageFailedError(
        f"the command of stage '{stage.name}' {how}: {command}",
        hint="its own output says why; what was finished before is recorded, `mlvc repro` goes on from there",
    )
