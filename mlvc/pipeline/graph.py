"""The Graph of Stages: who makes what, what comes first, what follows from what.

Nothing here recurses or is quadratic: 10,000 Stages take a fraction of a second.
"""

from __future__ import annotations

import heapq
import posixpath
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlvc import codec, globs
from mlvc.errors import PipelineError
from mlvc.pipeline import where
from mlvc.snapshot import parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mlvc.pipeline.spec import Stage


@dataclass(frozen=True, slots=True)
class Graph:
    """Stages that fit together: no cycle, no two that make the same. Made by ``build`` alone."""

    stages: Mapping[str, Stage]
    """By name, in topological order: a Stage comes after all that it needs, otherwise as declared."""
    makers: Mapping[str, tuple[str, ...]]
    """For each dependency or parameter file that Stages make: those that make it, a part of it, or what it is in."""
    upstream: Mapping[str, tuple[str, ...]]
    downstream: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, str]
    """Which Stage makes an output path."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Stages that are left out, and why: their condition does not hold, or they need what such a Stage makes."""


def build(stages: Iterable[Stage]) -> Graph:
    """The Graph of ``stages``.

    PipelineError for two Stages of one name, for outputs that are the same or inside one another, and for a cycle.
    """
    named = _by_name(stages)
    outputs = _outputs(named)
    makers = _makers(named.values(), outputs)
    upstream = {
        stage.name: tuple(dict.fromkeys(maker for path in inputs(stage) for maker in makers.get(path, ())))
        for stage in named.values()
    }
    downstream: dict[str, list[str]] = {name: [] for name in named}
    for name, needed in upstream.items():
        for maker in needed:
            downstream[maker].append(name)
    order = _topological(upstream, downstream)
    if len(order) < len(named):
        raise _circular(named, makers, upstream, order)
    return Graph(
        stages={name: named[name] for name in order},
        makers=makers,
        upstream=upstream,
        downstream={name: tuple(found) for name, found in downstream.items()},
        outputs=outputs,
        skipped=_skipped([named[name] for name in order], upstream),
    )


def _skipped(ordered: Iterable[Stage], upstream: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """``ordered``: topologically. A frozen Stage takes nothing, so it is left out only for its own condition."""
    found: dict[str, str] = {}
    for stage in ordered:
        before = next((name for name in upstream[stage.name] if name in found), "")
        if stage.skip:
            found[stage.name] = f"`when: {stage.skip}` does not hold"
        elif before and not stage.frozen:
            found[stage.name] = f"needs {before}, which is skipped"
    return found


def inputs(stage: Stage) -> Iterator[str]:
    """Every path that ``stage`` reads: dependencies, then parameter files."""
    yield from stage.deps
    yield from dict.fromkeys(ref.file for ref in stage.params)


def _by_name(stages: Iterable[Stage]) -> dict[str, Stage]:
    named: dict[str, Stage] = {}
    for stage in stages:
        if stage.name in named:
            other = where.of(named[stage.name])
            raise PipelineError(
                f"{where.of(stage)}: two stages have the name '{stage.name}'; the other is at {other}",
                hint="give each a name of its own",
            )
        named[stage.name] = stage
    return named


def _outputs(stages: Mapping[str, Stage]) -> dict[str, str]:
    outputs: dict[str, str] = {}
    for stage in stages.values():
        for out in stage.outs:
            other = outputs.setdefault(out.path, stage.name)
            if other != stage.name:
                raise PipelineError(
                    f"{where.of(stage, out.path)}: the stages '{other}' and '{stage.name}' both make '{out.path}'; "
                    f"the other is at {where.of(stages[other], out.path)}",
                    hint="give each stage an output path of its own",
                )
    for path, maker in outputs.items():
        around = next((parent for parent in parents(path) if parent in outputs), None)
        if around is not None:
            here, owner = where.of(stages[maker], path), stages[outputs[around]]
            raise PipelineError(
                f"{here}: outputs overlap: '{path}' of stage '{maker}' is inside '{around}' of stage '{owner.name}' at "
                f"{where.of(owner, around)}",
                hint="name either the directory or what is in it",
            )
    return outputs


def _makers(stages: Iterable[Stage], outputs: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    ordered = sorted(outputs)
    makers: dict[str, tuple[str, ...]] = {}
    for stage in stages:
        for path in inputs(stage):
            if path not in makers:
                makers[path] = _makers_of(path, outputs, ordered)
    return {path: found for path, found in makers.items() if found}


def _makers_of(path: str, outputs: Mapping[str, str], ordered: Sequence[str]) -> tuple[str, ...]:
    if globs.is_pattern(path):
        return _makers_of_pattern(path, outputs, ordered)
    if path in outputs:
        return (outputs[path],)
    around = next((parent for parent in parents(path) if parent in outputs), None)
    if around is not None:
        return (outputs[around],)
    return tuple(dict.fromkeys(outputs[found] for found in _inside(path, ordered)))


def _inside(directory: str, ordered: Sequence[str]) -> Sequence[str]:
    """Those of the sorted paths that are inside a directory; '' is the top."""
    # '0' follows '/': between them in sort order lies exactly what is inside the directory.
    return (
        ordered[bisect_left(ordered, directory + "/") : bisect_left(ordered, directory + "0")] if directory else ordered
    )


def _makers_of_pattern(pattern: str, outputs: Mapping[str, str], ordered: Sequence[str]) -> tuple[str, ...]:
    """Who makes what may fit: the directory that all of it is in, a file that fits, a directory on the way to some.

    An output whose name has a suffix counts as a file.
    """
    below = globs.fixed(pattern)
    around = next((parent for parent in (below, *parents(below)) if parent in outputs), None)
    if around is not None:
        return (outputs[around],)
    fits, leads = globs.fits(pattern), globs.leads(pattern)
    found = (path for path in _inside(below, ordered) if fits(path) or (not _is_file(path) and leads(path)))
    return tuple(dict.fromkeys(outputs[path] for path in found))


def _is_file(path: str) -> bool:
    return bool(posixpath.splitext(path)[1])


def _topological(upstream: Mapping[str, Sequence[str]], downstream: Mapping[str, Sequence[str]]) -> list[str]:
    """The Stages that are in no circle and need none that is in one, in order."""
    names = list(upstream)
    index = {name: number for number, name in enumerate(names)}
    left = {name: len(needed) for name, needed in upstream.items()}
    ready = [index[name] for name in names if not left[name]]
    order: list[str] = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for follower in downstream[name]:
            left[follower] -= 1
            if not left[follower]:
                heapq.heappush(ready, index[follower])
    return order


def _circular(
    stages: Mapping[str, Stage],
    makers: Mapping[str, Sequence[str]],
    upstream: Mapping[str, Sequence[str]],
    order: Sequence[str],
) -> PipelineError:
    done = set(order)
    circle = _circle(upstream, [name for name in stages if name not in done])
    first, last = stages[circle[0]], stages[circle[-2]]
    path = next(path for path in inputs(first) if last.name in makers.get(path, ()))
    return PipelineError(
        f"{where.of(first, path)}: the stages need one another in a circle: {' -> '.join(circle)}",
        hint=f"stage '{first.name}' needs '{path}', which '{last.name}' at {where.of(last)} makes",
    )


def _circle(upstream: Mapping[str, Sequence[str]], stuck: Sequence[str]) -> list[str]:
    """One cycle among ``stuck``, in the direction of the data, from the first declared of it back to itself."""
    among = set(stuck)
    walk: dict[str, None] = {}
    name = stuck[0]
    while name not in walk:
        walk[name] = None
        name = next(needed for needed in upstream[name] if needed in among)
    path = list(walk)
    circle = path[path.index(name) :][::-1]
    declared = {name: number for number, name in enumerate(stuck)}
    first = min(range(len(circle)), key=lambda at: declared[circle[at]])
    return [*circle[first:], *circle[:first], circle[first]]


def ancestors(graph: Graph, names: Iterable[str]) -> set[str]:
    """``names`` and all Stages that they need."""
    return _closure(graph.upstream, names)


def descendants(graph: Graph, names: Iterable[str]) -> set[str]:
    """``names`` and all Stages that need them."""
    return _closure(graph.downstream, names)


def _closure(edges: Mapping[str, Sequence[str]], names: Iterable[str]) -> set[str]:
    found = set(names)
    todo = list(found)
    while todo:
        for other in edges[todo.pop()]:
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


def target(graph: Graph, word: str) -> str:
    """The Stage that ``word`` names: by its name, or by an output path. PipelineError with the nearest known one."""
    found = word if word in graph.stages else maker(graph, word.removeprefix("./").rstrip("/"))
    if found is None:
        raise unknown(word, [*graph.stages, *graph.outputs])
    return found


def unknown(word: str, known: Iterable[str]) -> PipelineError:
    """What to say where ``word`` is to name a Stage: the nearest of what is ``known`` by name."""
    near = codec.nearest(word, known)
    return PipelineError(
        f"'{word}' is neither a stage nor an output of one",
        hint=f"did you mean '{near}'?" if near else "`mlvc stage list` shows the stages",
    )


def maker(graph: Graph, path: str) -> str | None:
    """The Stage that makes ``path``, or the directory that it is in."""
    return next((graph.outputs[around] for around in (path, *parents(path)) if around in graph.outputs), None)


def select(graph: Graph, targets: Sequence[str], *, single: bool = False, downstream: bool = False) -> tuple[str, ...]:
    """The Stages to consider for ``targets`` (all without any), in topological order.

    With what they need, unless ``single``; ``downstream`` takes what follows from them instead.
    """
    if not targets:
        return tuple(graph.stages)
    named = {target(graph, word) for word in targets}
    if downstream:
        named = descendants(graph, named)
    elif not single:
        named = ancestors(graph, named)
    return tuple(name for name in graph.stages if name in named)
