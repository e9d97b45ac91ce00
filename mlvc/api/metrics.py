"""``params diff``, ``metrics show`` and ``metrics diff``: the values in small files, at any revision."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mlvc import snapshot
from mlvc.api import named, revisions
from mlvc.api.revisions import Problems, Revision
from mlvc.errors import PipelineError, UsageError
from mlvc.metrics import ValueChange, compare, figures, flat
from mlvc.pipeline import params
from mlvc.pipeline.spec import DEFAULT_PARAMS, ParamRef
from mlvc.repo import Repo

Values = dict[str, dict[str, Any]]
"""By path, then by dotted name."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The metrics at one revision: what each file says, by path.

    ``rev``: as the user calls it, '' for the working tree. ``absent``: the files that are not there. ``empty``: those
    that are there and have nothing that is a metric.
    """

    rev: str
    commit: str
    files: Mapping[str, Any]
    absent: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics at some revisions, and what could not be had or read of them."""

    revisions: tuple[Figures, ...]
    problems: Problems = field(default_factory=Problems)


@dataclass(frozen=True, slots=True)
class ValuesDiff:
    """What differs between the values at two revisions; '' is the working tree."""

    old: str
    new: str
    changes: tuple[ValueChange, ...]
    problems: Problems = field(default_factory=Problems)


def show(
    repo: Repo,
    targets: Sequence[str] = (),
    revs: Sequence[str] = (),
    *,
    branches: bool = False,
    tags: bool = False,
    commits: bool = False,
) -> Metrics:
    """The metrics of the working tree, or of ``revs``; and of all branches, tags, commits.

    ``targets``: files and directories to read in place of those that pipelines name. UsageError where one of them is at
    none of the revisions. A working tree that says what HEAD says is left out where there are others.
    """
    problems = Problems()
    names = revisions.chosen(repo.git, revs, branches=branches, tags=tags, commits=commits)
    paths = [repo.path(target) for target in targets]
    found = [_figures(one, paths, problems) for one in revisions.opened(repo, names, problems)]
    _check(repo, targets, paths, (path for one in found for path in one.files), problems)
    if not revs and len(found) > 1 and any(one.files == found[0].files for one in found[1:]):
        found = found[1:]
    return Metrics(tuple(found), problems)


def _figures(revision: Revision, paths: Sequence[str], problems: Problems) -> Figures:
    declared = paths or _metrics(revision)
    found = _read(revision, declared, problems)
    kept = {path: kept for path, value in found.items() if (kept := figures(value)) is not None}
    there = _around(found)
    absent = [] if paths else [path for path in declared if path not in there and not problems.told(path)]
    empty = [path for path in declared if path in found and path not in kept]
    return Figures(revision.rev, revision.commit, kept, tuple(absent), tuple(empty))


def _around(paths: Iterable[str]) -> set[str]:
    """These paths, and the directories around them."""
    return {around for path in paths for around in (path, *snapshot.parents(path))}


def _metrics(revision: Revision) -> list[str]:
    """The paths of the metrics that the pipeline files name: those of Stages, and those at the top."""
    described = revision.described
    outs = [out.path for stage in described.stages for out in stage.outs if out.role == "metrics"]
    return list(dict.fromkeys([*outs, *(path for one in described.tops for path in one.metrics)]))


def _read(revision: Revision, paths: Iterable[str], problems: Problems) -> dict[str, Any]:
    """What is in files and in those of directories; without what is not there and what cannot be read."""
    data = revision.read(paths)
    inside = {path: revision.below(path) for path in paths if path not in data}
    more = [name for path, names in inside.items() for name in names if name != path]
    data |= revision.read(more) if more else {}
    found = {}
    for name in dict.fromkeys(name for path in paths for name in (inside.get(path) or [path])):
        if name in data:
            value = problems.tried(partial(params.parse, data[name], revision.told(name)))
            if value is not None:
                found[name] = value
    return found


def _check(repo: Repo, targets: Sequence[str], paths: Sequence[str], found: Iterable[str], problems: Problems) -> None:
    """UsageError for the first of ``targets`` of which nothing was found, unless another error tells of it."""
    there = _around(found)
    for target, path in zip(targets, paths, strict=True):
        if path not in there and not problems.told(path):
            if os.path.exists(f"{repo.root}/{path}"):
                raise UsageError(f"{target} has no values that can be shown", hint=_VALUES)
            raise UsageError(f"{target} is not there, or has no values", hint=named.slip(target, repo.root, repo.cwd))


_VALUES = "a file has them in a mapping of names to numbers, text, true and false, in YAML, JSON or TOML"


# -- comparing ---------------------------------------------------------------------------------


def metrics_diff(
    repo: Repo, old: str = "HEAD", new: str = "", *, targets: Sequence[str] = (), everything: bool = False
) -> ValuesDiff:
    """What differs between the metrics at two revisions; ``new`` is the working tree where it is not given.

    What one of them names is looked for at both. ``everything``: the values that are equal, too. Targets and errors as
    with ``show``.
    """

    def values(opened: Sequence[Revision], paths: Sequence[str], problems: Problems) -> list[Values]:
        declared = paths or list(dict.fromkeys(path for one in opened[::-1] for path in _metrics(one)))
        found = [_figures(one, declared, problems).files if declared else {} for one in opened]
        return [{path: flat(value) for path, value in files.items()} for files in found]

    return _diff(repo, (old, new), targets, values, everything=everything)


def params_diff(
    repo: Repo, old: str = "HEAD", new: str = "", *, targets: Sequence[str] = (), everything: bool = False
) -> ValuesDiff:
    """As ``metrics_diff``, of the parameters that Stages name, of ``params.yaml``, and of the files that are params."""
    return _diff(repo, (old, new), targets, _params, everything=everything)


def _diff(
    repo: Repo,
    names: tuple[str, str],
    targets: Sequence[str],
    values: Callable[[Sequence[Revision], Sequence[str], Problems], list[Values]],
    *,
    everything: bool,
) -> ValuesDiff:
    problems = Problems()
    paths = [repo.path(target) for target in targets]
    old, new = values(revisions.opened(repo, names, problems), paths, problems)
    _check(repo, targets, paths, [*old, *new], problems)
    return ValuesDiff(*names, tuple(compare(old, new, everything=everything)), problems)


def _params(opened: Sequence[Revision], paths: Sequence[str], problems: Problems) -> list[Values]:
    refs = [ParamRef(path) for path in paths]
    if not paths:
        refs.append(ParamRef(DEFAULT_PARAMS))
        for described in (one.described for one in opened[::-1]):
            refs += [ParamRef(path) for one in described.tops for path in one.params]
            refs += [ref for stage in described.stages for ref in stage.params]
    wanted: dict[str, list[ParamRef]] = {}
    for ref in dict.fromkeys(refs):
        wanted.setdefault(ref.file, []).append(ref)
    found = []
    for one in opened:
        read = _read(one, wanted, problems)
        picked = ((path, _picked(value, wanted.get(path, [ParamRef(path)]))) for path, value in read.items())
        found.append({path: values for path, values in picked if values})
    return found


def _picked(value: Any, refs: Iterable[ParamRef]) -> dict[str, Any]:
    """The values of ``refs`` by dotted name, without those that are not there."""
    found: dict[str, Any] = {}
    for ref in refs:
        if not ref.key:
            return flat(value)
        if ref.key in found:
            continue
        try:
            picked = params.pick(value, ref)
        except PipelineError:
            continue
        found.update(_below(ref.key, picked))
    return found


def _below(key: str, value: Any) -> dict[str, Any]:
    return {f"{key}.{name}" if name else key: item for name, item in flat(value).items()}
