"""What has to be done for each Stage, and why. Pure: contents, parameters and Runs are given.

A Stage is unchanged when its command, its inputs and its outputs are as the Lockfile recorded them. Otherwise its
outputs are restored where the Lockfile or the run cache knows them for exactly these inputs and every byte of them
can be had; else it runs. As long as a Stage before it has to run, it may run: what it takes is not known yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from mlvc import codec, globs
from mlvc.errors import MlvcError, PipelineError
from mlvc.hashing import Hashing
from mlvc.oid import Oid
from mlvc.pipeline import where
from mlvc.pipeline.graph import Graph, inputs
from mlvc.pipeline.lockfile import Entry, Lockfile
from mlvc.pipeline.params import Values
from mlvc.pipeline.run import Inputs, Run, key_of
from mlvc.pipeline.spec import ParamRef, Stage
from mlvc.pointer import Content

_NO_ENV: Mapping[str, str] = MappingProxyType({})


class Action(StrEnum):
    """What is to be done for a Stage."""

    UNCHANGED = "unchanged"
    RESTORE = "restore"
    RUN = "run"
    STORE = "store"
    """It ran without being stored, and what it made stands there: that is stored and recorded."""
    WAIT = "may run"
    FROZEN = "frozen"
    SKIPPED = "skipped"
    """Its condition does not hold, or it needs what such a Stage makes."""
    STUCK = "cannot run"
    """It is frozen, and the outputs that are missing cannot be brought back; or see ``Decision.problem``."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done for one Stage, and why."""

    stage: str
    action: Action
    reasons: tuple[str, ...] = ()
    """Why it is not unchanged; where it is, empty, or why its changes do not count."""
    waits: tuple[str, ...] = ()
    """The Stages whose results decide."""
    entry: Entry | None = None
    """Of a RESTORE: what the Lockfile has to say afterwards."""
    restore: Mapping[str, Content] = field(default_factory=dict)
    """Of a RESTORE: those outputs that are not yet as ``entry`` says."""
    problem: MlvcError | None = None
    """Of a STUCK: a dependency or a parameter that is not there, and that no Stage before it makes."""
    is_known: bool = False
    """Of a RUN: what it makes of these inputs is recorded, and cannot be had."""


@dataclass(frozen=True, slots=True)
class Known:
    """What decisions are made from, besides the Stage and what stands on the disk."""

    lockfile: Lockfile
    hashing: Hashing
    lookup: Callable[[Oid], Run | None]
    """The run cache."""
    available: Callable[[Iterable[Content]], bool]
    """Whether every object of all these can be had."""
    forced: frozenset[str] = frozenset()
    """Stages that run whatever is known."""
    why: Callable[[Content], str] = lambda _: ""
    """Why a content was not available on the Remotes that were asked for it; '' where none was asked, or it was."""
    unstored: Callable[[Oid], Run | None] = lambda _: None
    """Runs whose outputs were not stored."""
    fits: Callable[[Mapping[str, Content]], bool] = lambda _: True
    """Whether each content would be seen whole at its path; else bringing it there would be done again and again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands on the disk: paths with nothing there map to None."""

    contents: Mapping[str, Content | None]
    params: Mapping[str, Values]
    """By Stage."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The environment that mlvc runs in."""
    problems: Mapping[str, MlvcError] = field(default_factory=dict)
    """By Stage: what keeps it from being decided about."""


def plan(graph: Graph, names: Iterable[str], seen: Seen, known: Known) -> tuple[Decision, ...]:
    """A Decision for each of ``names``, which are in topological order."""
    contents = dict(seen.contents)
    decisions: dict[str, Decision] = {}
    for name in names:
        if name in graph.skipped:
            decisions[name] = Decision(name, Action.SKIPPED, (graph.skipped[name],))
            continue
        if name in seen.problems:
            problem = seen.problems[name]
            decisions[name] = Decision(name, Action.STUCK, (problem.message,), problem=problem)
            continue
        stage = graph.stages[name]
        unknown = {path: _waits(graph, path, decisions) for path in inputs(stage)}
        unknown = {path: makers for path, makers in unknown.items() if makers}
        decision = decide(stage, contents, seen.params.get(name, {}), known, env=seen.env, unknown=unknown)
        decisions[name] = decision
        contents.update(decision.restore)
    return tuple(decisions.values())


def _waits(graph: Graph, path: str, decisions: Mapping[str, Decision]) -> tuple[str, ...]:
    """The makers of ``path`` after which it may be different from what is known now."""
    makers = (decisions[maker] for maker in graph.makers.get(path, ()) if maker in decisions)
    return tuple(decision.stage for decision in makers if _may_change(decision, path))


def _may_change(decision: Decision, path: str) -> bool:
    if decision.action is Action.RESTORE:
        # Restored whole, it is known; what lies inside or around it is not.
        return bool(decision.restore) and (decision.entry is None or path not in decision.entry.outs)
    return decision.action not in (Action.UNCHANGED, Action.FROZEN, Action.SKIPPED, Action.STORE)


def decide(
    stage: Stage,
    contents: Mapping[str, Content | None],
    params: Values,
    known: Known,
    *,
    env: Mapping[str, str] = _NO_ENV,
    unknown: Mapping[str, tuple[str, ...]] | None = None,
) -> Decision:
    """The Decision for one Stage; ``unknown`` are the inputs that other Stages have yet to make, with these.

    ``env``: the environment that mlvc runs in.
    """
    unknown = unknown or {}
    entry = known.lockfile.stages.get(stage.name)
    if stage.frozen and stage.name not in known.forced:
        return _frozen(stage, contents, entry, known)
    must = tuple(_must(stage, known))
    taken = None if unknown or (stage.image and not stage.image_id) else inputs_of(stage, contents, params, env)
    marked = stage.name in known.lockfile.rerun
    why = () if marked else _differences(stage, contents, params, entry, env=env, unknown=unknown)
    if entry is not None and taken is not None and not why and key_of(taken, known.hashing) != entry.key:
        why = ("its working directory or the declaration of its outputs changed",)
    made = tuple(_outputs(stage, contents, entry))
    reasons = must + why + made
    if unknown:
        waits = tuple(dict.fromkeys(name for names in unknown.values() for name in names))
        return Decision(
            stage.name,
            Action.RUN if must else Action.WAIT,
            (*reasons, *(f"waits for {name}" for name in waits)),
            waits=waits,
        )
    if not reasons:
        return _declared_anew(stage, entry) or Decision(stage.name, Action.UNCHANGED)
    found = None if must or taken is None else _recorded(stage, taken, contents, known)
    restored = _restored(stage, found, contents, reasons, known)
    if restored is not None:
        return restored
    if not must and taken is not None and stands(known.unstored(key_of(taken, known.hashing)), contents):
        return Decision(stage.name, Action.STORE, reasons)
    why = tuple(_unavailable(stage, found, known))
    return Decision(stage.name, Action.RUN, (*reasons, *why), is_known=found is not None)


def _must(stage: Stage, known: Known) -> Iterator[str]:
    """Why the Stage runs even where all is as it was."""
    if stage.name in known.forced:
        yield "forced"
    if stage.name in known.lockfile.rerun:
        yield "both sides of a merge changed what is recorded of it"
    if stage.always_changed:
        yield "always_changed"
    elif not (stage.deps or stage.params or stage.outs):
        yield "it names neither a dependency nor an output"


def _declared_anew(stage: Stage, entry: Entry | None) -> Decision | None:
    """The Decision to record where outputs go now, None where that is as it was. It concerns no Run."""
    homes = homes_of(stage)
    if entry is None or entry.homes == homes:
        return None
    changed = sorted(path for path, _ in entry.homes.items() ^ homes.items())
    reasons = tuple(f"output {path} goes to other Remotes now" for path in dict.fromkeys(changed))
    return Decision(stage.name, Action.RESTORE, reasons, entry=replace(entry, homes=homes, source=None))


def homes_of(stage: Stage) -> dict[str, str | None]:
    """The Remote of each output that has one of its own; None for one that goes to none."""
    return {out.path: out.remote if out.push else None for out in stage.outs if out.remote or not out.push}


def env_of(stage: Stage, env: Mapping[str, str]) -> dict[str, str]:
    """The variables that count as inputs of a Stage; one that is let through and not set is none."""
    return {name: env[name] for name in stage.env_through if name in env} | dict(stage.env)


def inputs_of(
    stage: Stage, contents: Mapping[str, Content | None], params: Values, env: Mapping[str, str] = _NO_ENV
) -> Inputs | None:
    """What a Run would take now; None while a dependency is missing."""
    deps: dict[str, Content] = {}
    for path in stage.deps:
        content = contents.get(path)
        if content is None:
            return None
        deps[path] = content
    declared = {out.path: out.persist for out in stage.outs}
    return Inputs(
        cmd=stage.cmd,
        wdir=stage.wdir,
        deps=deps,
        params=params,
        outs=declared,
        env=env_of(stage, env),
        image=stage.image_id or None,
        each=stage.each,
        batch=stage.batch,
    )


def same(one: Content | None, other: Content | None) -> bool:
    """Whether two Contents are the same bytes of the same kind."""
    return one is not None and other is not None and (one.kind, one.oid) == (other.kind, other.oid)


def stands(run: Run | None, contents: Mapping[str, Content | None]) -> bool:
    """Whether all that ``run`` made is there as it was made; ``contents`` are those of its outputs, at least."""
    return run is not None and all(same(contents.get(path), content) for path, content in run.outs.items())


def _differences(
    stage: Stage,
    contents: Mapping[str, Content | None],
    params: Values,
    entry: Entry | None,
    *,
    env: Mapping[str, str],
    unknown: Mapping[str, object],
) -> tuple[str, ...]:
    """Why the inputs are not those of the entry."""
    if entry is None:
        missing = (path for path in stage.deps if path not in unknown and contents.get(path) is None)
        return ("never run", *(f"dependency {path} is missing" for path in missing), *_image(stage, None))
    command = ("command changed",) if stage.cmd != entry.cmd else ()
    return (
        *command,
        *_dependencies(stage, contents, entry, unknown),
        *dict.fromkeys(_parameters(stage, params, entry, unknown)),  # a key may be named with what is around it
        *_variables(stage, env_of(stage, env), entry.env),
        *_image(stage, entry),
        *_declared({out.path for out in stage.outs}, set(entry.outs), "output"),
    )


def _dependencies(
    stage: Stage, contents: Mapping[str, Content | None], entry: Entry, unknown: Mapping[str, object]
) -> Iterator[str]:
    for path in stage.deps:
        if path not in unknown and contents.get(path) is None:
            yield f"dependency {path} is missing"
        elif path not in unknown and path in entry.deps and not same(contents.get(path), entry.deps[path]):
            yield f"dependency {path} changed"
    # A link below a dependency is one by itself, and is not seen where its directory is not here.
    tops = tuple(f"{globs.fixed(path)}/" for path in stage.deps)
    below = {path for path in entry.deps.keys() - set(stage.deps) if path.startswith(tops)}
    yield from (f"dependency {path} is not here or no longer named" for path in sorted(below))
    yield from _declared(set(stage.deps), entry.deps.keys() - below, "dependency")


def _declared(now: AbstractSet[str], before: AbstractSet[str], what: str) -> Iterator[str]:
    yield from (f"{what} {path} is new" for path in sorted(now - before))
    yield from (f"{what} {path} is no longer named" for path in sorted(before - now))


def _parameters(stage: Stage, params: Values, entry: Entry, unknown: Mapping[str, object]) -> Iterator[str]:
    named = {(ref.file, ref.key) for ref in stage.params}
    before = {(file, key) for file, keys in entry.params.items() for key in keys}
    for ref in stage.params:
        if ref.file in unknown or ref.key not in params.get(ref.file, {}):
            continue
        if (ref.file, ref.key) not in before:
            yield f"parameter {ref} is new"
        else:
            yield from differing(ref.file, ref.key, params[ref.file][ref.key], entry.params[ref.file][ref.key])
    for file, key in sorted(before - named):
        yield f"parameter {ParamRef(file, key)} is no longer named"


def _variables(stage: Stage, now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    """The values are not told: they may be secret. One that is let through need not be set."""
    for name in [*stage.env, *stage.env_through]:
        if name not in stage.env and (name in now) != (name in before):
            yield f"environment variable {name} is {'set' if name in now else 'not set any more'}"
        elif now.get(name) != before.get(name):
            yield f"environment variable {name} {'changed' if name in before else 'is new'}"
    gone = sorted(before.keys() - stage.env.keys() - set(stage.env_through))
    yield from (f"environment variable {name} is no longer named" for name in gone)


def _image(stage: Stage, entry: Entry | None) -> Iterator[str]:
    if stage.image and not stage.image_id:
        yield f"image {stage.image} is not here"
    elif entry is None:
        return
    elif stage.image and not entry.image:
        yield f"image {stage.image} is new"
    elif stage.image_id != entry.image:
        yield f"image {stage.image} changed" if stage.image else "image is no longer named"


def differing(file: str, key: str, now: Any, before: Any) -> Iterator[str]:
    """A reason for each value below ``key`` that differs; 1, 1.0 and true are three values."""
    if isinstance(now, dict) and isinstance(before, dict):
        for name in sorted(now.keys() | before.keys()):
            below = f"{key}.{name}" if key else name
            if name not in before:
                yield f"parameter {file}:{below} is new"
            elif name not in now:
                yield f"parameter {file}:{below} is gone"
            else:
                yield from differing(file, below, now[name], before[name])
    elif _json(now) != _json(before):
        # "1" and 1 look the same without quotes
        alike = _short(now) == _short(before)
        shown = (_cut(_json(value)) if alike else _short(value) for value in (now, before))
        yield f"parameter {ParamRef(file, key)} is {next(shown)}, was {next(shown)}"


def _json(value: Any) -> str:
    return codec.compact_json(value)


def _short(value: Any) -> str:
    return _cut(value if isinstance(value, str) and value else _json(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


_LONG = 40


def _outputs(stage: Stage, contents: Mapping[str, Content | None], entry: Entry | None) -> Iterator[str]:
    """Why the outputs are not those of the entry."""
    for out in stage.outs if entry is not None else ():
        recorded = entry.outs.get(out.path) if entry is not None else None
        if recorded is None:
            continue
        if contents.get(out.path) is None:
            yield f"output {out.path} is missing"
        elif not same(contents.get(out.path), recorded):
            yield f"output {out.path} was modified"


def entry_of(stage: Stage, key: Oid, taken: Inputs, outs: Mapping[str, Content], before: Entry | None) -> Entry:
    """What the Lockfile says after a Run of ``stage``; keys that this version does not know stay."""
    return Entry(
        key=key,
        cmd=taken.cmd,
        deps=taken.deps,
        params=taken.params,
        outs=outs,
        env=taken.env,
        image=taken.image or "",
        uncached=frozenset(out.path for out in stage.outs if not out.cache),
        homes=homes_of(stage),
        extra=before.extra if before is not None else {},
    )


def _recorded(stage: Stage, taken: Inputs, contents: Mapping[str, Content | None], known: Known) -> Entry | None:
    """What the Lockfile or the run cache knows of the result of these inputs."""
    key = key_of(taken, known.hashing)
    entry = known.lockfile.stages.get(stage.name)
    if entry is not None and entry.homes != homes_of(stage):
        entry = replace(entry, homes=homes_of(stage), source=None)
    kept = [out.path for out in stage.outs if out.persist]
    if kept:
        # What such a command makes depends on what it made before, which is no part of the key:
        # all that can be brought back is what the last Run left, where it is lost.
        lost = all(contents.get(path) is None for path in kept)
        return entry if lost and entry is not None and entry.key == key else None
    if entry is not None and entry.key == key:
        return entry
    run = known.lookup(key)
    return entry_of(stage, key, taken, run.outs, entry) if run is not None else None


def _restored(
    stage: Stage,
    entry: Entry | None,
    contents: Mapping[str, Content | None],
    reasons: tuple[str, ...],
    known: Known,
) -> Decision | None:
    """The Decision to bring the outputs of ``entry``, None where that cannot be done."""
    if entry is None or {out.path for out in stage.outs} != entry.outs.keys():
        return None
    wanted = {path: content for path, content in entry.outs.items() if not same(contents.get(path), content)}
    if wanted and not (known.available(wanted.values()) and known.fits(wanted)):
        return None
    return Decision(stage.name, Action.RESTORE, reasons, entry=entry, restore=wanted)


def _unavailable(stage: Stage, entry: Entry | None, known: Known) -> Iterator[str]:
    """Why outputs that are recorded could not be brought from Remotes."""
    for out in stage.outs if entry is not None else ():
        why = known.why(entry.outs[out.path]) if entry is not None and out.path in entry.outs else ""
        if why:
            yield f"what is recorded of {out.path} is {why}"


def _frozen(stage: Stage, contents: Mapping[str, Content | None], entry: Entry | None, known: Known) -> Decision:
    """A frozen Stage never runs: at most what it made before comes back."""
    missing = tuple(f"output {out.path} is missing" for out in stage.outs if contents.get(out.path) is None)
    if not missing:
        return Decision(stage.name, Action.FROZEN)
    return _restored(stage, entry, contents, missing, known) or Decision(
        stage.name, Action.STUCK, ("it is frozen", *missing, *_unavailable(stage, entry, known))
    )


def first_problem(decisions: Iterable[Decision]) -> MlvcError | None:
    """Why ``repro`` would refuse to run any of these; None where it would not."""
    return next((decision.problem for decision in decisions if decision.problem is not None), None)


def lacking(
    graph: Graph, names: Iterable[str], contents: Mapping[str, Content | None]
) -> Iterator[tuple[str, PipelineError]]:
    """The Stages with a dependency that is not there and that none of ``names`` makes, and what is to be said of it."""
    chosen = dict.fromkeys(name for name in names if name not in graph.skipped)
    for name in chosen:
        stage = graph.stages[name]
        for path in () if stage.frozen else stage.deps:
            makers = graph.makers.get(path, ())
            if contents.get(path) is not None or any(maker in chosen for maker in makers):
                continue
            told = "fits no file" if globs.is_pattern(path) else "is not there"
            yield (
                name,
                PipelineError(
                    f"{where.of(stage, path)}: the dependency '{path}' of stage '{name}' {told}",
                    hint=f"`mlvc repro {makers[0]}` makes it"
                    if makers
                    else _elsewhere(path, _left_of(stage, contents)),
                ),
            )
            break


def _left_of(stage: Stage, contents: Mapping[str, Content | None]) -> tuple[str, str]:
    """Of a Stage with ``each`` its pattern, and the output that items made before; else nothing."""
    out = stage.outs[0].path if stage.each else ""
    return (stage.each, out) if out and contents.get(out) is not None else ("", "")


def _elsewhere(path: str, left: tuple[str, str] = ("", "")) -> str:
    """What to do for a dependency that is not there. ``left``: a pattern, and what is left of its items."""
    if path.startswith(("/", "../")):
        return "it lies outside of the repository, where mlvc brings nothing: put it there, or correct its path"
    if globs.is_pattern(path) and set("[]{}") & set(path):
        return "brackets and braces are characters as any others in a pattern: write what '*', '?' and '**' can say"
    if path == left[0]:
        return (
            f"{left[1]} stays as it is: `mlvc pull` or `mlvc checkout` may bring the files; if there are to be none "
            f"any more, take the stage out and delete {left[1]}"
        )
    return (
        "`git restore` brings it if Git has it, `mlvc pull` or `mlvc checkout` if mlvc tracks it; or correct its path"
    )
