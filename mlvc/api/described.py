"""The pipeline files of a repository: their Stages, the Graph of these, and whether they fit what is tracked."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mlvc import files, git, globs, snapshot
from mlvc import pointer as pointers
from mlvc.errors import PipelineError, UsageError
from mlvc.pipeline import graph, params, spec, where
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.lockfile import FILE as LOCKFILE
from mlvc.pipeline.spec import Out, ParamRef, Stage
from mlvc.pipeline.variables import Surroundings
from mlvc.pointer import SUFFIX
from mlvc.repo import Repo


def stages(repo: Repo) -> tuple[Stage, ...]:
    """The Stages of all pipeline files in the repository."""
    found: list[Stage] = []
    for path in snapshot.listed(repo.git, spec.FILES):
        data = files.read_or_none(f"{repo.root}/{path}")
        if data is not None:
            found += spec.parse(text_of(data, path), path, surroundings(repo))
    return tuple(_with_param_files(repo, stage) for stage in found)


def _with_param_files(repo: Repo, stage: Stage) -> Stage:
    """The Stage with the files that fit in place of a pattern of parameter files; of a pattern that none fits, it."""
    if not any(globs.is_pattern(ref.file) for ref in stage.params):
        return stage
    files_of = {ref.file: (repo.tree.named(ref.file) if globs.is_pattern(ref.file) else []) for ref in stage.params}
    refs = [ParamRef(file, ref.key) for ref in stage.params for file in files_of[ref.file] or [ref.file]]
    return replace(stage, params=tuple(dict.fromkeys(refs)))


def surroundings(repo: Repo) -> Surroundings:
    """What the templates of pipeline files are resolved with: files of the working tree, and the environment."""
    load = params.loader(lambda path: files.read_or_none(f"{repo.root}/{path}"))
    return Surroundings(load, repo.environment, repo.root.replace(os.sep, "/"))


def text_of(data: bytes, path: str) -> str:
    """The text of a pipeline file; PipelineError where it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise PipelineError(f"{path} is not UTF-8 text", hint="save it as UTF-8") from None


def load(repo: Repo) -> Graph:
    """The Graph of all Stages; PipelineError for cycles and for outputs with two makers."""
    return graph.build(stages(repo))


def elsewhere(repo: Repo) -> tuple[str, ...]:
    """How the names of Stages begin whose files a sparse checkout leaves out; UsageError for the Lockfile."""
    if not git.is_sparse(repo.git):
        return ()
    names = [LOCKFILE, *snapshot.listed(repo.git, spec.FILES)]
    left = git.skipped(repo.git, [name for name in names if not files.exists(f"{repo.root}/{name}")])
    if LOCKFILE in left:
        raise UsageError(
            f"{LOCKFILE} is left out by the sparse checkout of Git", hint="bring it with `git sparse-checkout add`"
        )
    return tuple(spec.address(path, "") for path in left)


def check_apart(repo: Repo, stages: Iterable[Stage]) -> None:
    """PipelineError where an output overlaps what a Pointer tracks, or lies behind a symbolic link.

    Also where Git has it although it goes into the Store.
    """
    tracked = sorted(pointers.tracked_by(path) for path in snapshot.listed(repo.git, ("*" + SUFFIX,)))
    stages = list(stages)
    around = {parent for stage in stages for out in stage.outs for parent in snapshot.parents(out.path)}
    inner = {path for path in around if repo.inner(path)}
    of_git = git.tracked(repo.git, [out.path for stage in stages for out in stage.outs if out.cache])
    behind = {path: real for path in around if (real := os.path.realpath(full := f"{repo.root}/{path}")) != full}
    for stage in stages:
        for out in stage.outs:
            if parent := next((parent for parent in snapshot.parents(out.path) if parent in behind), ""):
                raise PipelineError(
                    f"{_output(stage, out)} lies behind a symbolic link, to {behind[parent]}: nothing is put there",
                    hint="remove the link, or name where the file really is",
                )
            if snapshot.within(out.path, inner):
                raise PipelineError(
                    f"{_output(stage, out)} lies in another mlvc root", hint="let a stage of that root make it"
                )
            other = _overlapping(out.path, tracked)
            if other == out.path:
                raise PipelineError(
                    f"{_output(stage, out)} is tracked by a Pointer",
                    hint=f"it can be one or the other: delete {out.path}{SUFFIX}, or the output",
                )
            if other:
                how = "inside" if out.path.startswith(other + "/") else "around"
                raise PipelineError(
                    f"{_output(stage, out)} is {how} '{other}', which is tracked by a Pointer",
                    hint=f"let the stage write to a place of its own, or untrack '{other}': delete {other}{SUFFIX}",
                )
            if out.cache and out.path in of_git:
                raise PipelineError(
                    f"{_output(stage, out)} is tracked by Git",
                    hint=f"`git rm -r --cached {out.path}`, or write `cache: false` below it",
                )


def _output(stage: Stage, out: Out) -> str:
    return f"{where.of(stage, out.path)}: output '{out.path}'"


def _overlapping(path: str, tracked: Sequence[str]) -> str:
    """The one of ``tracked``, which are sorted, that is ``path``, around it or in it; '' where none is."""
    for around in (path, *snapshot.parents(path)):
        at = bisect_left(tracked, around)
        if tracked[at : at + 1] == [around]:
            return around
    at = bisect_left(tracked, path + "/")
    return next((found for found in tracked[at : at + 1] if found.startswith(path + "/")), "")
