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
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue

from mlvc import codec
from mlvc.errors import DamagedError, MlvcError, ObjectsMissingError, PipelineError
from mlvc.oid import Oid
from mlvc.pipeline import each, failures, filling, logs, where
from mlvc.pipeline import isolation as isolations
from mlvc.pipeline import plan as plans
from mlvc.pipeline import schedule as schedules
from mlvc.pipeline.attempt import Attempt
from mlvc.pipeline.claims import NOBODY, Claim, Held
from mlvc.pipeline.each import Table, Work
from mlvc.pipeline.executors.base import Ended
from mlvc.pipeline.graph import Graph, ancestors, descendants, inputs, select
from mlvc.pipeline.graph import target as named
from mlvc.pipeline.items import Around, ItemRun
from mlvc.pipeline.journal import Journal
from mlvc.pipeline.params import Values
from mlvc.pipeline.plan import Decision, Known, Seen
from mlvc.pipeline.run import Inputs, Run, key_of
from mlvc.pipeline.spec import ParamRef, Stage
from mlvc.pipeline.told import Considered, StageResult, Started, Waiting
from mlvc.pipeline.tools import Options, ReproResult, Tools
from mlvc.pointer import Content
from mlvc.store.base import LARGE

_LOOK_AGAIN = 0.2
"""Seconds until it is asked again whether another process has done its work."""


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


_NOT_DONE = ("failed", "blocked", "skipped", "declined")


@dataclass(slots=True)
class _Session:
    """The state of one reproduction."""

    graph: Graph
    tools: Tools
    options: Options
    names: tuple[str, ...] = ()
    forced: set[str] = field(default_factory=set)
    journal: Journal = field(init=False)
    results: list[StageResult] = field(default_factory=list)
    errors: list[MlvcError] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    """Stages that wait for another process, and for what."""
    running: dict[str, Attempt] = field(default_factory=dict)
    ends: SimpleQueue[Ended] = field(default_factory=SimpleQueue)
    scheduled: schedules.Schedule | None = None
    restored: set[str] = field(default_factory=set)
    """Stages of which outputs that could be had were damaged, or gone, when they were to be restored."""
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
        self.journal = Journal(self.tools.records)

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
        entry = self.journal.lockfile.stages.get(stage.name)
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
            self.journal.lockfile,
            self.tools.hashing,
            self.tools.runs.lookup if self.options.run_cache else _nothing,
            self.tools.tree.available,
            frozenset(self.forced),
            self.tools.tree.why,
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
            entry = self.journal.lockfile.stages.get(decision.stage)
            run = self.tools.runs.lookup(entry.key) if entry is not None else None
            if run is not None:
                found[decision.stage] = run.milliseconds + 1.0
        return found

    # -- doing it ----------------------------------------------------------------------------------

    def repro(self) -> ReproResult:
        decisions = self.plan()
        schedule = self.scheduled = self.schedule(decisions)
        self.tools.listener(Considered(decisions))
        if self.options.commit:
            self.journal.forget(self.graph.stages, self.options.elsewhere)
        with self.journal.saving(), self.stopping():
            todo = deque(schedule.begin())
            while not (todo and isinstance(todo[0], schedules.Done)):
                events = self.obey(todo.popleft()) if todo else self.wait()
                for event in events:
                    todo += schedule.tell(event)
        return ReproResult(tuple(self.results), tuple(self.cached()), tuple(self.errors))

    def cached(self) -> Iterator[str]:
        for result in self.results if self.options.commit else ():
            if result.outcome not in _NOT_DONE:
                yield from (out.path for out in self.graph.stages[result.stage].outs if out.cache)

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """Whatever happens, nothing runs any more and nothing is held on leaving."""
        try:
            yield
        except BaseException:
            self.tools.executor.stop()
            self.stopped(self.ended())
            raise
        finally:
            for name in list(self.claims):
                self.release(name)

    def stopped(self, batch: Iterable[Ended]) -> None:
        """Take in the ends of what was stopped; the items that came out well are kept."""
        for ended in batch:
            running = self.running.get(ended.job.stage)
            if running is None:
                continue  # it could not be begun as a whole, and that was told
            if running.items is not None:
                running.items.stopped(ended)
            else:
                self.running.pop(ended.job.stage).close(ended)
                running.discard(self.tools)
        for running in self.running.values():
            if running.items is not None:
                with contextlib.suppress(MlvcError, OSError):  # what ended it all counts, and is told
                    running.items.save()
                running.items.close()
                running.close(None)

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
            try:
                self.restore(stage, command.decision)
            except (ObjectsMissingError, DamagedError) as error:
                # It could be had a moment ago, as far as anybody can tell without reading it.
                decision = self.decided(stage)
                if stage.name in self.restored or not _works(decision):
                    raise
                self.restored.add(stage.name)
                self.tools.progress.note(error.message)
                return schedules.Planned(decision)
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
            self.journal.refresh()
        return schedules.Planned(self.decided(stage))

    def decided(self, stage: Stage) -> Decision:
        """The Decision with what stands on the disk now; StageFailedError for a frozen Stage that is stuck."""
        contents = self.tools.tree.identify(_paths(stage))
        params = self.params(stage)
        decision = plans.decide(stage, contents, params, self.known(), env=self.tools.env)
        if decision.action is plans.Action.STUCK:
            raise failures.of_stuck(decision)
        return self.counted(decision, contents, params)

    def hold(self, name: str, cause: str) -> None:
        if self.held.get(name) != cause:
            self.held[name] = cause
            self.tools.progress.note(f"Stage '{name}' waits for {cause}")
            self.tools.listener(Waiting(name, cause))

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
        self.journal.record(stage.name, decision.entry)

    def make_way(self, paths: Sequence[str]) -> None:
        """Keep aside what is stored nowhere; what is stored may be overwritten."""
        now = self.tools.tree.identify(paths)
        alone = [path for path, content in now.items() if content and not self.tools.tree.available([content])]
        if alone:
            self.tools.tree.remove(alone)

    # -- running commands --------------------------------------------------------------------------

    def execute(self, stage: Stage, decision: Decision) -> schedules.Event | None:
        try:
            self.tools.tree.ready(stage.deps, [out.path for out in stage.outs])
        except (ObjectsMissingError, DamagedError) as error:
            raise failures.of_absence(decision, error) from None
        before = self.inputs(stage)
        running = Attempt(stage, decision, before, key_of(before, self.tools.hashing))
        if self.stands(running):
            outcome = "stored" if self.options.commit else "unchanged"
            return self.take_in([running], outcome)[0]
        self.tools.progress.note(f"Running stage '{stage.name}': {_told(decision)}")
        if stage.each:
            self.start_items(running)
        else:
            self.start(running)
        return None

    def stands(self, running: Attempt) -> bool:
        """Whether what these inputs make was made without being stored, and stands there as it was made."""
        anew = running.stage.name in self.forced or running.stage.always_changed or not self.options.run_cache
        if self.tools.unstored is None or anew:
            return False
        run = self.tools.unstored.lookup(running.key)
        now = self.tools.tree.identify(list(run.outs)) if run is not None else {}
        return run is not None and all(plans.same(now[path], content) for path, content in run.outs.items())

    def start(self, running: Attempt) -> None:
        """Begin the commands of a Stage, for the first time or once more."""
        stage = running.stage
        self.tools.tree.remove([out.path for out in stage.outs if not out.persist])
        running.isolate(self.tools, self.options)
        self.begin(running)
        try:
            self.tools.executor.start(
                running.job(self.tools, self.claims.get(running.stage.name, NOBODY)), self.ends.put
            )
        except Exception:  # an interruption finds it among those that run: it may have begun
            del self.running[stage.name]
            running.close(None)
            raise

    def repeat(self, running: Attempt) -> None:
        """Begin the commands of a Stage that has come out well for the second time."""
        self.tools.progress.note(f"Running stage '{running.stage.name}' a second time")
        running.repeats, running.place = True, running.second
        self.running[running.stage.name] = running
        try:
            self.tools.executor.start(
                running.job(self.tools, self.claims.get(running.stage.name, NOBODY)), self.ends.put
            )
        except Exception:
            del self.running[running.stage.name]
            raise

    def came_out(self, running: Attempt) -> MlvcError | None:
        """After commands that ended well: why that does not do, or None. The Stage may be at work again afterwards."""
        isolation, stage = self.tools.isolation, running.stage
        if isolation is None or not running.repeats:
            written = running.leave(self.tools, good=True)
            if written:
                return failures.of_change(stage, written)
            if running.second:
                self.repeat(running)
            return None
        differing = isolation.differing(running.second, [out.path for out in stage.outs])
        isolation.remove(running.second)
        return isolations.of_difference(stage, differing) if differing else None

    def begin(self, running: Attempt) -> None:
        """The log of a Run, and what is told of its beginning."""
        stage = running.stage
        if self.tools.logs is not None and running.log < 0:
            running.log, running.path = self.tools.logs.create(stage.name, running.key, stage.cmd, stage.wdir)
        running.tries += 1
        running.since = time.monotonic()
        of = 1 if stage.each else stage.retries + 1
        self.tools.listener(Started(stage.name, running.decision.reasons, running.tries, of, running.path))
        self.running[stage.name] = running

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
        good: list[Attempt] = []
        for ended in batch:
            running = self.running[ended.job.stage]
            running.seconds = ended.seconds
            if running.items is not None:
                events.append(self.item_ended(running.items, ended))
                continue
            del self.running[ended.job.stage]
            if ended.fault is not None and not isinstance(ended.fault, MlvcError):
                running.close(ended)
                raise ended.fault
            if not (ended.code or ended.timed_out or ended.fault):
                events += self.went_well(running, ended, good)
            elif ended.fault is None and not running.repeats and running.tries <= running.stage.retries:
                events += self.again(running, ended)
            else:
                running.close(ended)
                error = ended.fault or failures.of_command(running.stage, ended)
                events.append(self.fail(running, running.explained(self.tools, error)))
        return [*events, *self.take_in(good, "ran")]

    def went_well(self, running: Attempt, ended: Ended, good: list[Attempt]) -> list[schedules.Event]:
        """Its commands ended well: it is done and among the ``good``, or runs once more, or fails all the same."""
        try:
            error = self.came_out(running)
        except MlvcError as problem:
            error = problem
        if running.stage.name in self.running:
            return []
        running.close(ended)
        if error is not None:
            return [self.fail(running, error)]
        good.append(running)
        return []

    def again(self, running: Attempt, ended: Ended) -> list[schedules.Event]:
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
            running.close(ended)
            return [self.fail(running, error)]
        return []

    def failed(self, name: str, error: MlvcError, seconds: float) -> schedules.Failed:
        self.errors.append(error)
        self.tell(StageResult(name, "failed", (error.message,), seconds))
        return schedules.Failed(name)

    def fail(self, running: Attempt, error: MlvcError) -> schedules.Failed:
        """The Stage failed: what its commands left at its outputs is kept, but not where it looks like a result."""
        stage = running.stage
        running.discard(self.tools)
        place = self.tools.tree.set_aside([out.path for out in stage.outs if not out.persist])
        if place:
            error = type(error)(f"{error.message}; what it left of its outputs is kept in {place}", hint=error.hint)
        self.release(stage.name)
        return self.failed(stage.name, error, time.monotonic() - running.since)

    # -- running items -----------------------------------------------------------------------------

    def with_items(self) -> list[Attempt]:
        """The Stages of which items run."""
        return [running for running in self.running.values() if running.items is not None]

    def start_items(self, running: Attempt) -> None:
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
            running.items = ItemRun(
                stage, work, running.job(self.tools, self.claims.get(running.stage.name, NOBODY)), around
            )
        except BaseException:
            del self.running[stage.name]
            running.close(None)
            raise

    def feed(self, running: Attempt) -> list[schedules.Event]:
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

    def complete(self, running: Attempt) -> list[schedules.Event]:
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
            running.close(None)
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

    def take_in(self, good: Sequence[Attempt], outcome: str) -> list[schedules.Event]:
        """Store and record together what has come out well. What cannot be stored fails alone."""
        if not good:
            return []
        try:
            lost, outs = self.take(good)
        except (MlvcError, OSError) as error:
            if len(good) == 1:
                return [self.fail(good[0], failures.of_taking(good[0].stage, error))]
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

    def done(self, running: Attempt, outcome: str) -> schedules.Finished:
        """The Stage has its outputs, and they are recorded."""
        name = running.stage.name
        self.release(name)
        self.tell(StageResult(name, outcome, running.decision.reasons, running.seconds))
        if self.options.force_downstream and outcome == "ran":
            self.forced |= descendants(self.graph, [name]) & set(self.names)
        return schedules.Finished(name)

    def take(self, good: Sequence[Attempt]) -> tuple[dict[str, MlvcError], dict[str, Content]]:
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

    def changed(self, running: Attempt, paths: Sequence[str]) -> str:
        """Which of these dependencies, or parameters, is not what it was; '' where all are."""
        return self.differing(running, self.tools.tree.identify(paths))

    def differing(self, running: Attempt, now: Mapping[str, Content | None]) -> str:
        """As ``changed``, for those dependencies of which ``now`` tells what they are."""
        stage, before = running.stage, running.before
        changed = [path for path in stage.deps if path in now and not plans.same(now[path], before.deps[path])]
        values = self.tools.params.values(stage.params)
        changed += [str(ref) for ref in stage.params if _value(values, ref) != _value(before.params, ref)]
        return changed[0] if changed else ""

    def keep(self, running: Attempt, outs: Mapping[str, Content], items: Content | None = None) -> None:
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
        known = self.journal.lockfile.stages.get(stage.name)
        self.journal.record(stage.name, plans.entry_of(stage, running.key, running.before, outs, known))


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
