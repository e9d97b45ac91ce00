"""The deciding half of the runner: from what happened to what is to be done next.

Pure but for its own state: the same events in the same order always give the same commands, and nothing here
touches a file, a process or a clock. A Stage is looked at again once all before it are done, with the contents
that stand then; when they came out as before, it turns out unchanged, and the rebuild stops there (early cutoff).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from mlvc.pipeline.graph import Graph
from mlvc.pipeline.plan import Action, Decision


@dataclass(frozen=True, slots=True)
class Look:
    """Command: decide about the Stage with what stands on the disk now; answer with Planned."""

    stage: str


@dataclass(frozen=True, slots=True)
class Execute:
    """Command: run the Stage; answer with Finished or Failed."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Restore:
    """Command: bring the outputs of the Stage; answer with Finished or Failed."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Skip:
    """Command: nothing is to be done for the Stage. No answer."""

    stage: str
    reasons: tuple[str, ...] = ()
    outcome: str = "unchanged"
    """``frozen`` and ``skipped``: whether it is unchanged was not asked. ``blocked``: a Stage before it failed."""


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


Command = Look | Execute | Restore | Skip | Done
Event = Planned | Finished | Failed


class Schedule:
    """Which Stage is next, for ``jobs`` at a time.

    Without ``keep_going`` nothing new begins after a failure; with it, whatever does not need the failed Stage does.
    """

    def __init__(self, graph: Graph, decisions: Sequence[Decision], *, jobs: int = 1, keep_going: bool = False) -> None:
        self._first = {decision.stage: decision for decision in decisions}
        self._place = {name: number for number, name in enumerate(self._first)}
        self._names = list(self._first)
        chosen = self._first
        self._upstream = {name: [n for n in graph.upstream[name] if n in chosen] for name in chosen}
        self._downstream = {name: [n for n in graph.downstream[name] if n in chosen] for name in chosen}
        self._left = {name: len(needed) for name, needed in self._upstream.items()}
        self._ready = [self._place[name] for name in self._names if not self._left[name]]
        self._busy: set[str] = set()
        self._failed: list[str] = []
        self._lost: set[str] = set()
        self._jobs = max(1, jobs)
        self._keep_going = keep_going

    def begin(self) -> list[Command]:
        """The first commands."""
        return self._next()

    def tell(self, event: Event) -> list[Command]:
        """The commands that follow from ``event``."""
        if isinstance(event, Planned):
            return self._planned(event.decision)
        self._busy.discard(event.stage)
        if isinstance(event, Failed):
            self._failed.append(event.stage)
            self._lost.add(event.stage)
        self._release(event.stage)
        return self._next()

    def _planned(self, decision: Decision) -> list[Command]:
        if decision.action is Action.RUN:
            return [Execute(decision)]
        if decision.action is Action.RESTORE:
            return [Restore(decision)]
        self._busy.discard(decision.stage)
        self._release(decision.stage)
        return [_skip(decision), *self._next()]

    def _release(self, stage: str) -> None:
        for follower in self._downstream[stage]:
            self._left[follower] -= 1
            if not self._left[follower]:
                heapq.heappush(self._ready, self._place[follower])

    def _next(self) -> list[Command]:
        commands: list[Command] = []
        while self._ready and self._open() and len(self._busy) < self._jobs:
            commands += self._take(self._names[heapq.heappop(self._ready)])
        if not self._busy and not (self._ready and self._open()):
            commands.append(Done(tuple(self._failed)))
        return commands

    def _open(self) -> bool:
        return self._keep_going or not self._failed

    def _take(self, name: str) -> list[Command]:
        cause = next((before for before in self._upstream[name] if before in self._lost), None)
        if cause is not None:
            self._lost.add(name)
            self._release(name)
            reason = f"needs {cause}, which failed" if cause in self._failed else f"needs {cause}"
            return [Skip(name, (reason,), "blocked")]
        first = self._first[name]
        if first.action in (Action.UNCHANGED, Action.FROZEN, Action.SKIPPED):
            self._release(name)
            return [_skip(first)]
        self._busy.add(name)
        return [Look(name)]


def _skip(decision: Decision) -> Skip:
    return Skip(decision.stage, decision.reasons, str(decision.action))
