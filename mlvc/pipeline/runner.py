"""Reproduction: plans, runs what has to run, and records it.

One thread decides, hashes, stores and records. Commands run beside it, and tell when they have ended; those that have
ended in the meantime are stored together. Here is the loop, from what happened to what the schedule is told; the parts
that it asks do not know of it, nor of one another but where a row says so:

| part | what it answers |
|---|---|
| ``survey`` | what is to be done for a Stage as things stand |
| ``holding`` | whether another process lets it begin |
| ``launch`` | how the commands of a Stage came out |
| ``itemwise`` | how the items of a Stage came out; it makes the output with ``results`` |
| ``results`` | what they made, stored and recorded |
| ``omissions`` | nothing: it warns of what is no part of inputs and outputs |

Write order, for each Stage: outputs durable in the Store, then the record of the Run, then the Lockfile. Killed at
any point, the next reproduction finds in the run cache what was finished and goes on from there. That is why the
Lockfile need not be written after every one of a thousand short Stages: it is written as often as costs a tenth of the
time at most, and in any case before this module is left.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue

from mlvc.errors import DamagedError, MlvcError, ObjectsMissingError
from mlvc.pipeline import failures
from mlvc.pipeline import schedule as schedules
from mlvc.pipeline.attempt import Attempt, Over
from mlvc.pipeline.executors.base import Ended
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.holding import Holding
from mlvc.pipeline.itemwise import Itemwise
from mlvc.pipeline.journal import Journal
from mlvc.pipeline.launch import Launch
from mlvc.pipeline.omissions import Omissions
from mlvc.pipeline.plan import Action, Decision, first_problem
from mlvc.pipeline.results import Results
from mlvc.pipeline.run import key_of
from mlvc.pipeline.schedule import Schedule
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.survey import Survey
from mlvc.pipeline.told import Considered, Left, StageResult
from mlvc.pipeline.tools import Options, ReproResult, Tools

_LOOK_AGAIN = 0.2
"""Seconds until it is asked again whether another process has done its work."""


def plan(graph: Graph, tools: Tools, options: Options | None = None) -> tuple[Decision, ...]:
    """What ``repro`` would do, and why; nothing is changed. Of a Stage that cannot run the Decision has the problem."""
    survey = _survey(graph, tools, options)
    return tuple(
        replace(decision, action=Action.UNCHANGED)
        if decision.action is Action.STORE and not survey.options.commit
        else decision
        for decision in survey.plan()
    )


def status(graph: Graph, tools: Tools, options: Options | None = None) -> tuple[Decision, ...]:
    """As ``plan``, but a dependency or parameter that is not there is a reason to run and not a problem."""
    return _survey(graph, tools, options).plan(strict=False)


def repro(graph: Graph, tools: Tools, options: Options | None = None) -> ReproResult:
    """Bring the outputs of the Stages asked for to what their inputs make of them.

    PipelineError before anything runs where a dependency or a parameter is not there; where it is to keep going, that
    Stage fails like any other. That a Stage failed is in the result; what was finished before stays recorded, as it
    does when KeyboardInterrupt passes through.
    """
    survey = _survey(graph, tools, options)
    decisions = survey.plan()
    problem = first_problem(decisions)
    if problem is not None and not survey.options.keep_going:
        raise problem
    schedule = _schedule(survey, decisions)
    tools.listener(Considered(decisions))
    return _Runner(survey, schedule).run()


def _survey(graph: Graph, tools: Tools, options: Options | None) -> Survey:
    return Survey(graph, tools, options or Options(), Journal(tools.records))


def _schedule(survey: Survey, decisions: Sequence[Decision]) -> Schedule:
    """The Schedule of what is to be done; an error for a Stage that can never be run as it was asked for."""
    graph, options = survey.graph, survey.options
    doing = [decision for decision in decisions if decision.action not in schedules.IDLE]
    stages = [graph.stages[decision.stage] for decision in doing]
    if not options.commit:
        failures.check_stored(stages)
    schedules.check_resources(stages, options.limits)
    return Schedule(
        graph,
        decisions,
        jobs=options.jobs,
        keep_going=options.keep_going,
        limits=options.limits,
        lengths=survey.lengths(doing) if options.jobs > 1 else {},
    )


_WORK = (Action.RUN, Action.STORE, Action.RESTORE)
_NOT_DONE = ("failed", "blocked", "skipped", "declined")


class _Runner:
    """Obeys the schedule, and tells it what happened."""

    def __init__(self, survey: Survey, schedule: Schedule) -> None:
        self.graph, self.tools, self.options = survey.graph, survey.tools, survey.options
        self.survey, self.schedule, self.journal = survey, schedule, survey.journal
        self.ends: SimpleQueue[Ended] = SimpleQueue()
        self.holding = Holding(self.tools, self.options.limits)
        self.results = Results(self.tools, self.journal, self.options.commit)
        self.launch = Launch(self.tools, self.options, self.ends.put)
        self.itemwise = Itemwise(self.tools, self.options, self.results, self.ends.put)
        self.omissions = Omissions(self.tools, self.graph)
        self.told: list[StageResult] = []
        self.errors: list[MlvcError] = []
        self.left: dict[str, Left] = {}
        self.advice = self.tools.advice
        self.unrestored: set[str] = set()
        """Stages of which outputs that could be had were damaged, or gone, when they were to be restored."""

    def run(self) -> ReproResult:
        """From the first command of the schedule to the last."""
        if self.options.commit:
            self.journal.forget(self.graph.stages, self.options.elsewhere)
        with self.journal.saving(), self.stopping():
            todo = deque(self.schedule.begin())
            while not (todo and isinstance(todo[0], schedules.Done)):
                events = self.obey(todo.popleft()) if todo else self.wait()
                for event in events:
                    todo += self.schedule.tell(event)
        return ReproResult(tuple(self.told), tuple(self.cached()), tuple(self.errors), left=tuple(self.left.values()))

    def cached(self) -> Iterator[str]:
        for result in self.told if self.options.commit else ():
            if result.outcome not in _NOT_DONE:
                yield from (out.path for out in self.graph.stages[result.stage].outs if out.cache)

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """Whatever happens, nothing runs any more and nothing is held on leaving."""
        try:
            yield
        except BaseException:
            self.tools.executor.stop(self.slow)
            for ended in self.ended():
                (self.itemwise if ended.job.stage in self.itemwise.running else self.launch).stopped(ended)
            self.itemwise.close()
            raise
        finally:
            self.holding.release_all()

    def slow(self, stages: Sequence[str]) -> None:
        named = ", ".join(f"'{stage}'" for stage in dict.fromkeys(stages))
        self.tools.progress.note(f"waiting for stage {named} to end; another Ctrl-C ends it sooner")

    # -- from a command of the schedule to what is begun -------------------------------------------

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
        if not (event is None or _is_work(event)):
            self.holding.release(name)
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
                self.results.restore(stage, command.decision)
            except (ObjectsMissingError, DamagedError) as error:
                # It could be had a moment ago, as far as anybody can tell without reading it.
                event = self.planned(stage)
                if stage.name in self.unrestored or not _is_work(event):
                    raise
                self.unrestored.add(stage.name)
                self.tools.progress.note(error.message)
                return event
            self.tell(StageResult(stage.name, "restored", command.decision.reasons, time.monotonic() - start))
            return schedules.Finished(stage.name)
        return self.execute(stage, command.decision)

    def look(self, stage: Stage) -> schedules.Event:
        waited = stage.name in self.holding.waiting
        if not self.holding.take(stage):
            return schedules.Held(stage.name)
        if waited:
            self.journal.refresh()
        return self.planned(stage)

    def planned(self, stage: Stage) -> schedules.Event:
        """What is to be done for a Stage that nobody else is at."""
        decision = self.survey.decide(stage)
        if decision.action in (Action.RUN, Action.STORE) and not self.holding.run(stage):
            return schedules.Held(stage.name)
        return schedules.Planned(decision)

    def execute(self, stage: Stage, decision: Decision) -> schedules.Event | None:
        try:
            self.tools.tree.ready(stage.deps, [out.path for out in stage.outs])
        except (ObjectsMissingError, DamagedError) as error:
            raise failures.of_absence(decision, error) from None
        named = stage.deps
        stage, before = self.survey.inputs(stage)
        if stage.deps != named:
            self.tools.tree.ready(stage.deps[len(named) :], ())
        attempt = Attempt(stage, decision, before, key_of(before, self.tools.hashing), self.holding.of(stage.name))
        if self.survey.stands(stage, attempt.key):
            return self.take_in([attempt], "stored" if self.options.commit else "unchanged")[0]
        why = f": {'; '.join(decision.reasons)}" if self.options.explain else ""
        self.tools.progress.note(f"Running stage '{stage.name}'{why}")
        if decision.is_known and self.advice:
            self.tools.progress.note(self.advice)
            self.advice = ""
        self.omissions.of_dependencies(stage)
        if stage.each:
            self.itemwise.start(attempt, self.survey.work(stage, before))
        else:
            self.launch.start(attempt)
        return None

    # -- from what ended to what the schedule is told ----------------------------------------------

    def wait(self) -> list[schedules.Event]:
        """What has happened when something has."""
        over = [self.united(over) for over in self.itemwise.feed(self.lend)]
        if over:
            return over
        events = self.finish(self.ended(wait=True))
        self.itemwise.save()
        return [*events, schedules.Freed()] if self.holding.waiting else events

    def lend(self, name: str, running: int) -> bool:
        """Whether one more item may begin of the Stage of which so many run."""
        lent = self.schedule.lent(name)
        if running <= lent:
            return True
        return self.schedule.can_lend(name) and self.holding.use(name, lent + 2) and self.schedule.lend(name)

    def ended(self, *, wait: bool = False) -> list[Ended]:
        """All ends that were posted and not yet taken.

        At least one if ``wait``, unless Stages are held, or what came of items is to be stored.
        """
        found: list[Ended] = []
        with contextlib.suppress(Empty):
            if wait:
                times = (self.itemwise.due(), _LOOK_AGAIN if self.holding.waiting else None)
                found.append(self.ends.get(timeout=min((time for time in times if time is not None), default=None)))
            while True:
                found.append(self.ends.get_nowait())
        return found

    def finish(self, batch: Sequence[Ended]) -> list[schedules.Event]:
        """Take in what has ended."""
        events: list[schedules.Event] = []
        good: list[Attempt] = []
        for ended in batch:
            if ended.left and ended.job.stage not in self.left:  # once for all items, and for all tries
                told = self.left[ended.job.stage] = Left(ended.job.stage, ended.left)
                self.tools.listener(told)
            if ended.job.stage in self.itemwise.running:
                left = self.itemwise.ended(ended)
                self.holding.use(ended.job.stage, max(1, left))
                events.append(schedules.Returned(ended.job.stage))
                continue
            over = self.launch.ended(ended)
            if over is None:
                continue
            if over.error is None:
                good.append(over.attempt)
            else:
                events.append(self.fail(over.attempt, over.error))
        return [*events, *self.take_in(good, "ran")]

    def take_in(self, good: Sequence[Attempt], outcome: str) -> list[schedules.Event]:
        """Store and record together what has come out well. What cannot be stored fails alone."""
        if not good:
            return []
        try:
            lost, outs = self.results.take(good)
        except (MlvcError, OSError) as error:
            if len(good) == 1:
                return [self.fail(good[0], failures.of_taking(good[0].stage, error))]
            return [event for attempt in good for event in self.take_in([attempt], outcome)]
        events: list[schedules.Event] = []
        for attempt in good:
            name = attempt.stage.name
            if name in lost:
                events.append(self.fail(attempt, lost[name]))
                continue
            self.results.keep(attempt, {out.path: outs[out.path] for out in attempt.stage.outs})
            self.omissions.of_outputs(attempt.stage)
            events.append(self.done(attempt, outcome))
        return events

    def united(self, over: Over) -> schedules.Event:
        """The items of a Stage are over."""
        attempt = over.attempt
        self.survey.over(attempt.stage.name)
        if over.error is not None:
            self.holding.release(attempt.stage.name)
            return self.failed(attempt.stage.name, over.error, attempt.seconds)
        self.results.keep(attempt, over.outs, over.items)
        self.omissions.of_output(attempt.stage, attempt.stage.outs[0].path, over.left_out)
        return self.done(attempt, "ran")

    def done(self, attempt: Attempt, outcome: str) -> schedules.Finished:
        """The Stage has its outputs, and they are recorded."""
        name = attempt.stage.name
        self.holding.release(name)
        self.tell(StageResult(name, outcome, attempt.decision.reasons, attempt.seconds))
        if outcome == "ran":
            self.survey.ran(name)
        return schedules.Finished(name)

    def fail(self, attempt: Attempt, error: MlvcError) -> schedules.Failed:
        """The Stage failed: what its commands left at its outputs is kept, but not where it looks like a result."""
        stage = attempt.stage
        attempt.discard(self.tools)
        place = self.tools.tree.set_aside([out.path for out in stage.outs if not out.persist])
        if place:
            error = type(error)(f"{error.message}; what it left of its outputs is kept in {place}", hint=error.hint)
        self.holding.release(stage.name)
        return self.failed(stage.name, error, time.monotonic() - attempt.since)

    def failed(self, name: str, error: MlvcError, seconds: float) -> schedules.Failed:
        self.errors.append(error)
        self.tell(StageResult(name, "failed", (error.message,), seconds))
        return schedules.Failed(name)

    def tell(self, result: StageResult) -> None:
        self.told.append(result)
        self.tools.listener(result)


def _is_work(event: schedules.Event) -> bool:
    return isinstance(event, schedules.Planned) and event.decision.action in _WORK
