"""``why``: what changed for a Stage since its last Run, down to the file and the parameter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlvc import codec, globs, snapshot
from mlvc.api import described, pipeline, stagetree, targets
from mlvc.api.status import against
from mlvc.errors import DamagedError, MlvcError, ObjectsMissingError
from mlvc.pipeline import runner
from mlvc.pipeline.lockfile import Entry
from mlvc.pipeline.plan import env_of, same
from mlvc.pipeline.spec import ParamRef, Stage
from mlvc.pipeline.tools import Options, with_links
from mlvc.pointer import Content
from mlvc.progress import QUIET
from mlvc.repo import Repo
from mlvc.snapshot import Change
from mlvc.workspace.tree import Look


@dataclass(frozen=True, slots=True)
class PathChange:
    """A dependency or an output that is not as the last Run had it.

    ``role``: ``dependency`` or ``output``. ``state``: ``modified``, ``missing``, ``new`` or ``dropped``: named first,
    or no longer. ``changes``: file by file, where it can be told; ``note`` says why it cannot.
    """

    path: str
    role: str
    state: str
    changes: tuple[Change, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A parameter or a variable of the environment that has another value. None where it has, or had, none."""

    name: str
    old: Any = None
    new: Any = None
    state: str = "modified"
    """``modified``, ``new`` or ``dropped``."""


@dataclass(frozen=True, slots=True)
class Why:
    """What would be done for a Stage, and all that differs from its last Run."""

    stage: str
    action: str
    reasons: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    """The Stages whose results decide."""
    command: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """Before and now, where they differ."""
    paths: tuple[PathChange, ...] = ()
    params: tuple[ValueChange, ...] = ()
    env: tuple[ValueChange, ...] = ()
    recorded: bool = True
    """Whether the Lockfile knows of a last Run."""


def why(repo: Repo, environment: Mapping[str, str], word: str) -> Why:
    """Compare a Stage with its last Run in the Lockfile. Nothing is changed.

    PipelineError where ``word`` names none.
    """
    whole = described.load(repo)
    name = targets.target(repo, whole, word)
    images = pipeline.containers(repo, environment)
    whole = pipeline.with_images(repo, whole, images, whole.stages, pull=False)
    stage = whole.stages[name]
    parts = pipeline.tools(repo, environment, absent=pipeline.tracked(repo, whole), images=images)
    decisions = runner.status(whole, parts, Options(targets=(name,)))
    decision = next(each for each in decisions if each.stage == name)
    entry = parts.records.load().stages.get(name)
    told = Why(name, str(decision.action), decision.reasons, decision.waits, recorded=entry is not None)
    if entry is None:
        return told
    tree = stagetree.RepoTree(repo, QUIET)
    paths = {*stage.deps, *entry.deps, *(out.path for out in stage.outs), *entry.outs}
    looks = tree.looks(sorted(paths), lenient=True)
    stage = with_links(stage, tree)
    looks |= tree.looks([path for path in stage.deps if path not in looks], lenient=True)
    outs = [out.path for out in stage.outs]
    return Why(
        *(told.stage, told.action, told.reasons, told.waits),
        command=(entry.cmd, stage.cmd) if entry.cmd != stage.cmd else None,
        paths=(
            *_paths(repo, "dependency", stage.deps, entry.deps, looks),
            *_paths(repo, "output", outs, entry.outs, looks),
        ),
        params=tuple({change.name: change for change in _params(stage, entry, parts.params)}.values()),
        env=tuple(_env(stage, entry, environment)),
    )


def _paths(
    repo: Repo, role: str, named: Iterable[str], before: Mapping[str, Content], looks: Mapping[str, Look]
) -> Iterator[PathChange]:
    named = list(dict.fromkeys(named))
    for path in named:
        look = looks[path]
        if look.content is None:
            yield PathChange(path, role, "missing")
        elif path not in before:
            yield PathChange(path, role, "new")
        elif not same(look.content, before[path]):
            try:
                yield PathChange(path, role, "modified", tuple(_changes(repo, path, before[path], look)))
            except (ObjectsMissingError, DamagedError):
                yield PathChange(
                    path, role, "modified", note="which files cannot be told: its list is not in the store"
                )
    yield from (PathChange(path, role, "dropped") for path in sorted(before.keys() - set(named)))


def _changes(repo: Repo, path: str, before: Content, look: Look) -> list[Change]:
    if not globs.is_pattern(path):
        return against(repo, before, look, path)
    top = globs.fixed(path)
    return snapshot.compare(snapshot.entries(repo.store, before), look.scan.entries(), f"{top}/" if top else "")


def _params(stage: Stage, entry: Entry, files: Any) -> Iterator[ValueChange]:
    before = {(file, key): value for file, keys in entry.params.items() for key, value in keys.items()}
    for ref in stage.params:
        try:
            now = files.values([ref])[ref.file][ref.key]
        except MlvcError:
            yield ValueChange(str(ref), before.get((ref.file, ref.key)), None, "dropped")
            continue
        if (ref.file, ref.key) in before:
            yield from _values(ref.file, ref.key, before[ref.file, ref.key], now)
        else:
            yield ValueChange(str(ref), None, now, "new")
    named = {(ref.file, ref.key) for ref in stage.params}
    for file, key in sorted(before.keys() - named):
        yield ValueChange(str(ParamRef(file, key)), before[file, key], None, "dropped")


def _values(file: str, key: str, before: Any, now: Any) -> Iterator[ValueChange]:
    """Each value below ``key`` that differs; 1, 1.0 and true are three values."""
    if not (isinstance(now, dict) and isinstance(before, dict)):
        if codec.compact_json(now) != codec.compact_json(before):
            yield ValueChange(str(ParamRef(file, key)), before, now)
        return
    for name in sorted(now.keys() | before.keys()):
        below = f"{key}.{name}" if key else name
        if name not in before:
            yield ValueChange(f"{file}:{below}", None, now[name], "new")
        elif name not in now:
            yield ValueChange(f"{file}:{below}", before[name], None, "dropped")
        else:
            yield from _values(file, below, before[name], now[name])


def _env(stage: Stage, entry: Entry, environment: Mapping[str, str]) -> Iterator[ValueChange]:
    now = env_of(stage, environment)
    for name in sorted(now.keys() | entry.env.keys()):
        if now.get(name) != entry.env.get(name):
            state = "new" if name not in entry.env else "dropped" if name not in now else "modified"
            yield ValueChange(name, entry.env.get(name), now.get(name), state)


__all__ = ["PathChange", "ValueChange", "Why", "why"]
