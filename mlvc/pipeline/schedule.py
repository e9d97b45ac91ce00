"""The deciding half of the runner: from what happened to what is to be done next.

Pure but for its own state: the same events in the same order always give the same commands, and nothing here
touches a file, a process or a clock. A Stage is looked at again once all before it are done, with the contents
that stand then; when they came out as before, it turns out unchanged, and the rebuild stops there (early cutoff).

Of the Stages that may begin, the one comes first from which it is furthest to the end, so that several jobs have
something to do for as long as possible; of equal ones the one that is declared first.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mlvc.errors import PipelineError
from mlvc.pipeline import quantities, where
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.plan import Action, Decision
from mlvc.pipeline.spec import Stage


@dataclass(frozen=True, slots=True)
class Look:
    """Command: decide about the Stage with what stands on the disk now; answer with Planned, or Held."""

    stage: str


@dataclass(frozen=True, slots=True)
class Execute:
    """Command: run the Stage, or store what it has made; answer, at any time, with Finished, Failed or Declined."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Restore:
    """Command: bring the outputs of the Stage; answer with Finished, Failed or Declined."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Skip:
    """Command: nothing is to be done for the Stage. No answer."""

    stage: str
    reasons: tuple[str, ...] = ()
    outcome: str = "unchanged"
    """``frozen``: whether it is unchanged was not asked. ``skipped``: it has a condition that does not hold, or
    a Stage before it has. ``blocked``: a Stage before it failed or was declined."""


@dataclass(frozen=True, slots=True)
class Done:
    """Command, always the last: nothing is left to do."""

    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """Event: the answer to Look."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Finished:
    """Event: the Stage has its outputs."""

    stage: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Event: the Stage has not."""

    stage: str


@dataclass(frozen=True, slots=True)
class Declined:
    """Event: a person did not want the Stage to run. What needs it is blocked, and all else goes on."""

    stage: str


@dataclass(frozen=True, slots=True)
class Returned:
    """Event: the Stage does without one of the jobs that it was lent."""

    stage: str


@dataclass(frozen=True, slots=True)
class Held:
    """Event: the answer to Look where another process works on what the Stage needs or makes, or has what it takes."""

    stage: str


@dataclass(frozen=True, slots=True)
class Freed:
    """Event: Stages that were held may be looked at again."""


Command = Look | Execute | Restore | Skip | Done
Event = Planned | Finished | Failed | Declined | Returned | Held | Freed
NOTHING: Mapping[str, float] = MappingProxyType({})


def check_resources(stages: Iterable[Stage], limits: Mapping[str, float]) -> None:
    """PipelineError for a Stage that takes more of something than there ever is."""
    for stage in stages:
        for name, wanted in stage.resources.items():
            if wanted > limits.get(name, wanted):
                at = f"{where.of_key(stage, 'resources', name)}: stage '{stage.name}'"
                raise PipelineError(
                    f"{at}: it takes {quantities.told(name, wanted)} of '{name}', "
                    f"and there is {quantities.told(name, limits[name])}",
                    hint=f"correct its 'resources', or the limit: `mlvc config pipeline.limits.{name}`",
                )


class Schedule:
    """Which Stage is next, for ``jobs`` at a time that together take no more of anything than its limit.

    Without ``keep_going`` nothing new begins after a failure; with it, whatever does not need the failed Stage does.
    ``lengths``: how long each Stage takes, as far as that is known; one of which it is not takes as long as the mean.
    """

    def __init__(
        self,
        graph: Graph,
        decisions: Sequence[Decision],
        *,
        jobs: int = 1,
        keep_going: bool = False,
        limits: Mapping[str, float] = NOTHING,
        lengths: Mapping[str, float] = NOTHING,
    ) -> None:
        self._first = {decision.stage: decision for decision in decisions}
        self._names = list(self._first)
        chosen = self._first
        self._upstream = {name: [n for n in graph.upstream[name] if n in chosen] for name in chosen}
        self._downstream = {name: [n for n in graph.downstream[name] if n in chosen] for name in chosen}
        self._left = {name: len(needed) for name, needed in self._upstream.items()}
        self._needs = {
            name: tuple(sorted((what, n) for what, n in graph.stages[name].resources.items() if what in limits))
            for name in chosen
        }
        self._free = dict(limits)
        self._order = self._ordered(lengths)
        self._ready: dict[_Needs, list[tuple[float, int]]] = {}
        """For those that take the same, a heap of what may begin."""
        self._busy: set[str] = set()
        self._lent: Counter[str] = Counter()
        """Jobs that running Stages use besides their first."""
        self._held: list[str] = []
        self._failed: list[str] = []
        self._lost: set[str] = set()
        self._jobs = max(1, jobs)
        self._keep_going = keep_going
        self._over = False
        for name in self._names:
            if not self._left[name]:
                self._push(name)

    def _ordered(self, lengths: Mapping[str, float]) -> dict[str, tuple[float, int]]:
        """What each Stage is sorted by: how far it is from its beginning to the end, then its place."""
        known = [lengths[name] for name in self._names if name in lengths]
        mean = sum(known) / len(known) if known else 1.0
        far: dict[str, float] = {}
        for name in reversed(self._names):
            idle = self._first[name].action in IDLE
            own = 0.0 if idle else lengths.get(name, mean)
            far[name] = own + max((far[after] for after in self._downstream[name]), default=0.0)
        return {name: (-far[name], place) for place, name in enumerate(self._names)}

    def begin(self) -> list[Command]:
        """The first commands."""
        return self._next()

    def tell(self, event: Event) -> list[Command]:
        """The commands that follow from ``event``. After Done there are none."""
        if isinstance(event, Planned):
            return self._planned(event.decision)
        if isinstance(event, Freed):
            for name in self._held:
                self._push(name)
            self._held = []
            return self._next()
        if isinstance(event, Returned):
            self._give_back(event.stage)
            return self._next()
        self._leave(event.stage)
        if isinstance(event, Held):
            self._held.append(event.stage)
            return self._next()
        if isinstance(event, Failed):
            self._failed.append(event.stage)
        if not isinstance(event, Finished):
            self._lost.add(event.stage)
        self._release(event.stage)
        return self._next()

    def can_lend(self, stage: str) -> bool:
        """Whether the running Stage may use one more job. It takes as much again."""
        return self._used() < self._jobs and self._fits(self._needs[stage])

    def lend(self, stage: str) -> bool:
        """Let the running Stage use one more job, if it may, until Returned or its end."""
        if not self.can_lend(stage):
            return False
        self._lent[stage] += 1
        for what, wanted in self._needs[stage]:
            self._free[what] -= wanted
        return True

    def lent(self, stage: str) -> int:
        """How many jobs the Stage uses besides its first."""
        return self._lent[stage]

    def _give_back(self, stage: str) -> None:
        if self._lent[stage]:
            self._lent[stage] -= 1
            for what, wanted in self._needs[stage]:
                self._free[what] += wanted

    def _used(self) -> int:
        return len(self._busy) + self._lent.total()

    def _planned(self, decision: Decision) -> list[Command]:
        if decision.action in (Action.RUN, Action.STORE):
            return [Execute(decision)]
        if decision.action is Action.RESTORE:
            return [Restore(decision)]
        self._leave(decision.stage)
        self._release(decision.stage)
        return [_skip(decision), *self._next()]

    def _push(self, name: str) -> None:
        heapq.heappush(self._ready.setdefault(self._needs[name], []), self._order[name])

    def _release(self, stage: str) -> None:
        for follower in self._downstream[stage]:
            self._left[follower] -= 1
            if not self._left[follower]:
                self._push(follower)

    def _next(self) -> list[Command]:
        commands: list[Command] = []
        while self._open() and self._used() < self._jobs and (name := self._pop()):
            commands += self._take(name)
        if not (self._busy or self._over) and not (self._open() and (self._held or any(self._ready.values()))):
            self._over = True
            commands.append(Done(tuple(self._failed)))
        return commands

    def _open(self) -> bool:
        return self._keep_going or not self._failed

    def _pop(self) -> str:
        """The best of what may begin and for which there is enough of everything now; '' where there is none."""
        fitting = [heap for needs, heap in self._ready.items() if heap and self._fits(needs)]
        return self._names[heapq.heappop(min(fitting))[1]] if fitting else ""

    def _fits(self, needs: _Needs) -> bool:
        return all(wanted <= self._free[what] + quantities.EPSILON for what, wanted in needs)

    def _enter(self, name: str) -> None:
        self._busy.add(name)
        for what, wanted in self._needs[name]:
            self._free[what] -= wanted

    def _leave(self, name: str) -> None:
        while self._lent[name]:
            self._give_back(name)
        self._busy.discard(name)
        for what, wanted in self._needs[name]:
            self._free[what] += wanted

    def _take(self, name: str) -> list[Command]:
        cause = next((before for before in self._upstream[name] if before in self._lost), None)
        if cause is not None:
            self._lost.add(name)
            self._release(name)
            reason = f"needs {cause}, which failed" if cause in self._failed else f"needs {cause}"
            return [Skip(name, (reason,), "blocked")]
        first = self._first[name]
        if first.action in IDLE:
            self._release(name)
            return [_skip(first)]
        self._enter(name)
        return [Look(name)]


_Needs = tuple[tuple[str, float], ...]
IDLE = (Action.UNCHANGED, Action.FROZEN, Action.SKIPPED)
"""For these nothing is ever done."""


def _skip(decision: Decision) -> Skip:
    return Skip(decision.stage, decision.reasons, str(decision.action))
