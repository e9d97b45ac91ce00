"""``repro``, ``stage`` and ``dag``: the pipeline of a repository."""

from __future__ import annotations

import os
import posixpath
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from mlvc import files, git, globs, manifest, snapshot
from mlvc import pointer as pointers
from mlvc.errors import DamagedError, ObjectsMissingError, PipelineError, UsageError
from mlvc.git import gitignore
from mlvc.manifest import EMPTY_DIR
from mlvc.pipeline import edit, graph, params, runner, spec, where
from mlvc.pipeline.executors.local import Local
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.lockfile import FILE as LOCKFILE
from mlvc.pipeline.lockfile import LockfileStore
from mlvc.pipeline.params import ParamFiles
from mlvc.pipeline.plan import Action, Decision
from mlvc.pipeline.run import RunCache
from mlvc.pipeline.runner import Options, ReproResult, Tools
from mlvc.pipeline.spec import Out, ParamRef, Stage
from mlvc.pipeline.variables import Surroundings
from mlvc.pointer import SUFFIX, Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.store.base import Lost
from mlvc.workspace import checkout, placed
from mlvc.workspace.clear import clear


class RepoTree:
    """The working tree as the runner needs it. See runner.Tree."""

    def __init__(self, repo: Repo, progress: Progress) -> None:
        self._repo = repo
        self._progress = progress

    @cached_property
    def _recorded(self) -> dict[str, Content]:
        """Outputs that Git keeps, as the last runs made them: what looks just so need not be kept aside."""
        entries = LockfileStore(os.path.join(self._repo.root, LOCKFILE)).load().stages.values()
        return {path: entry.outs[path] for entry in entries for path in entry.uncached}

    def identify(self, paths: Sequence[str]) -> dict[str, Content | None]:
        """The content on disk of each path, of what a symbolic link leads to, and of all that fits a pattern."""
        tree = self._repo.tree
        found: dict[str, Content | None] = {
            path: tree.fitting(path, progress=self._progress).content for path in paths if globs.is_pattern(path)
        }
        goals = {path: self._followed(path) for path in paths if path not in found}
        looks = tree.look(dict.fromkeys(goals.values()), progress=self._progress)
        return found | {path: looks[goal].content for path, goal in goals.items()}

    def _followed(self, path: str) -> str:
        """Where ``path`` leads as a symbolic link within the repository, and not into the Store; else itself."""
        root = self._repo.root
        for _ in range(_MOST_LINKS):
            full = f"{root}/{path}"
            if not os.path.islink(full):
                break
            goal = os.path.normpath(os.path.join(os.path.realpath(os.path.dirname(full)), os.readlink(full)))
            inside = goal.removeprefix(root + os.sep).replace(os.sep, "/")
            if inside == goal or inside.startswith(".git/"):
                break
            path = inside
        return path

    def store(self, paths: Sequence[str]) -> dict[str, Content]:
        """The content of each path, durable in the Store."""
        with self._repo.turn(together=True, progress=self._progress):
            looks = self._repo.tree.store(paths, self._repo.store, progress=self._progress)
        return {path: look.content for path, look in looks.items() if look.content is not None}

    def restore(self, contents: Mapping[str, Content]) -> None:
        """Bring each path to its content from the Store."""
        repo = self._repo
        with repo.turn(together=False, progress=self._progress):
            plans, lost = checkout.plan(repo.tree, repo.store, contents, progress=self._progress)
            checkout.guard(plans, extra=True, cwd=repo.cwd)
            lost |= checkout.execute(repo.tree, repo.store, plans, links=repo.links, progress=self._progress).lost
        if lost:
            path, reason = next(iter(lost.items()))
            kind = DamagedError if reason == "damaged" else ObjectsMissingError
            raise kind(f"{path} cannot be restored: its object is {reason}", hint="get it with `mlvc fetch`")

    def available(self, contents: Iterable[Content]) -> bool:
        """Whether every object of all contents is in the Store."""
        lost: Lost = {}
        oids = manifest.objects_of(self._repo.store, contents, lost)
        return not lost and not self._repo.store.missing(oids)

    def remove(self, paths: Sequence[str]) -> None:
        """Take outputs out of the way; what is stored nowhere is kept aside in the Git directory."""
        with self._repo.turn(together=False, progress=self._progress):
            self._remove(paths)

    def _remove(self, paths: Sequence[str]) -> None:
        repo = self._repo
        looks = repo.tree.look([path for path in paths if files.exists(f"{repo.root}/{path}")])
        for path, look in looks.items():
            if look.content is None:
                continue
            full = f"{repo.root}/{path}"
            alone = repo.store.missing(entry.oid for entry in look.entries() if entry.kind != EMPTY_DIR)
            if alone and look.content != self._recorded.get(path):
                self._aside(path, full, f"What stood at {path}")
            elif not clear(repo.root, look):
                self._aside(path, full, f"What is ignored in {path}")

    def _aside(self, path: str, full: str, what: str) -> None:
        place = os.path.join(self._repo.private, "aside", time.strftime("%Y%m%d-%H%M%S"), *path.split("/"))
        number = 1
        target = place
        while files.exists(target):
            number += 1
            target = f"{place}.{number}"
        files.make_dirs(os.path.dirname(target))
        try:
            os.rename(full, target)
        except OSError:  # another file system
            import shutil  # noqa: PLC0415

            shutil.move(full, target)
        self._progress.note(f"{what} was stored nowhere; it is kept at {target}")


_MOST_LINKS = 40
_FILES = (spec.FILE, "*/" + spec.FILE)


def stages(repo: Repo) -> tuple[Stage, ...]:
    """The Stages of all pipeline files in the repository."""
    found: list[Stage] = []
    for path in snapshot.listed(repo.git, _FILES):
        data = files.read_or_none(f"{repo.root}/{path}")
        if data is not None:
            found += spec.parse(_text(data, path), path, surroundings(repo))
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
    return Surroundings(params.loader(lambda path: files.read_or_none(f"{repo.root}/{path}")), repo.environment)


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise PipelineError(f"{path} is not UTF-8 text") from None


def load(repo: Repo) -> Graph:
    """The Graph of all Stages; PipelineError for cycles and for outputs with two makers."""
    return graph.build(stages(repo))


def tools(
    repo: Repo, environment: Mapping[str, str], *, output: int | None = None, progress: Progress = QUIET
) -> Tools:
    """What reproduction works with."""
    return Tools(
        RepoTree(repo, progress),
        LockfileStore(os.path.join(repo.root, LOCKFILE)),
        RunCache(os.path.join(repo.private, "runs"), repo.hashing),
        Local(repo.root, environment, output, running=_running(repo)),
        ParamFiles(lambda path: files.read_or_none(f"{repo.root}/{path}")),
        repo.hashing,
        progress,
    )


def repro(
    repo: Repo,
    environment: Mapping[str, str],
    options: Options,
    *,
    output: int | None = None,
    progress: Progress = QUIET,
) -> ReproResult:
    """Rerun the Stages whose inputs changed, and restore the others' outputs. See runner.repro."""
    whole = load(repo)
    if not whole.stages:
        raise UsageError("there is no pipeline here", hint=_no_pipeline(repo))
    _apart(repo, whole.stages.values())
    options = replace(_targets(repo, whole, options), elsewhere=_elsewhere(repo))
    with files.exclusive(
        os.path.join(repo.git.own, "repro"),
        wait=False,
        busy="another `mlvc repro` is at work in this repository",
    ):
        _wait_for_none(repo)
        repo.store.join()  # what is restored from the run cache gets a name in the Lockfile
        files.sweep_replaced(repo.root)  # beside the Lockfile, which may not be written this time
        cached = [out.path for stage in whole.stages.values() for out in stage.outs if out.cache]
        before = files.read_or_none(f"{repo.root}/{LOCKFILE}")
        with repo.exclusive():
            changed = gitignore.add(repo.git, cached)
        try:
            result = runner.repro(whole, tools(repo, environment, output=output, progress=progress), options)
            with repo.exclusive():
                placed.update(repo.placed, result.cached)
        finally:
            after = files.read_or_none(f"{repo.root}/{LOCKFILE}")
            if repo.config.get("core.autostage"):
                git.stage(repo.git, changed if after is None else [*changed, LOCKFILE])
            if after != before:
                changed.append(LOCKFILE)
        return replace(result, record=_to_record(repo, whole, result)) if changed else result


def _no_pipeline(repo: Repo) -> str:
    if any(os.path.exists(os.path.join(repo.root, folder, "dvc.yaml")) for folder in ("", repo.cwd)):
        return "rename dvc.yaml to mlvc.yaml: its words are the same"
    return "describe stages in mlvc.yaml, or use `mlvc stage add`"


def _elsewhere(repo: Repo) -> tuple[str, ...]:
    """How the names of Stages begin whose files a sparse checkout leaves out; UsageError for the Lockfile."""
    if not git.is_sparse(repo.git):
        return ()
    names = [LOCKFILE, *snapshot.listed(repo.git, _FILES)]
    left = git.skipped(repo.git, [name for name in names if not files.exists(f"{repo.root}/{name}")])
    if LOCKFILE in left:
        raise UsageError(
            f"{LOCKFILE} is left out by the sparse checkout of Git", hint="bring it with `git sparse-checkout add`"
        )
    return tuple(spec.address(path, "") for path in left)


def _running(repo: Repo) -> str:
    return os.path.join(repo.git.own, "running")


def _wait_for_none(repo: Repo) -> None:
    """BusyError where a command still runs whose mlvc was killed: it may write to what is to be made anew."""
    group = files.read_or_none(_running(repo))
    if group is not None:
        process = group.decode(errors="replace").strip() or "unknown"
        told = f"a command that a killed `mlvc repro` started still runs (process {process})"
        with files.exclusive(_running(repo), wait=False, busy=told):
            files.remove(_running(repo))


def _to_record(repo: Repo, whole: Graph, result: ReproResult) -> tuple[str, ...]:
    """What a commit of this result takes that Git does not have as it is: files of mlvc, and outputs that Git keeps."""
    done = [whole.stages[stage.stage] for stage in result.stages]
    kept = [out.path for stage in done for out in stage.outs if not out.cache]
    ours = [LOCKFILE]
    for stage in whole.stages.values():
        ours.append(stage.file)
        ours += [posixpath.join(posixpath.dirname(out.path), ".gitignore") for out in stage.outs if out.cache]
    asked = list(dict.fromkeys([*ours, *kept]))
    new = git.unstaged(repo.git, asked)
    around = {parent for path in new for parent in (path, *snapshot.parents(path))}
    return tuple(path for path in asked if path in around)


def _apart(repo: Repo, stages: Iterable[Stage]) -> None:
    """PipelineError where an output overlaps what a Pointer tracks, or Git has it although it goes into the Store."""
    tracked = sorted(pointers.tracked_by(path) for path in snapshot.listed(repo.git, ("*" + SUFFIX,)))
    stages = list(stages)
    around = {parent for stage in stages for out in stage.outs for parent in snapshot.parents(out.path)}
    inner = {path for path in around if repo.inner(path)}
    of_git = git.tracked(repo.git, [out.path for stage in stages for out in stage.outs if out.cache])
    for stage in stages:
        for out in stage.outs:
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


def target(repo: Repo, whole: Graph, word: str) -> str:
    """The Stage that a person in the directory ``repo.cwd`` means with ``word``. PipelineError where it names none.

    One of the pipeline file there comes first, then ``FILE:NAME``, the maker of that path, and a Stage at the top.
    """
    here = spec.address(spec.file_in(repo.cwd), word)
    if here in whole.stages:
        return here
    file, _, name = word.rpartition(":")
    there = spec.address(repo.path(file), name) if file else ""
    if there in whole.stages:
        return there
    path = repo.path(word)
    found = graph.maker(whole, path) or (word if word in whole.stages else None)
    if found is None:
        prefix = spec.address(spec.file_in(repo.cwd), "")
        outputs = (posixpath.relpath(out, repo.cwd or ".") for out in whole.outputs)
        raise graph.unknown(word, [*(name.removeprefix(prefix) for name in whole.stages), *outputs])
    return found


def _targets(repo: Repo, whole: Graph, options: Options) -> Options:
    return replace(options, targets=tuple(target(repo, whole, word) for word in options.targets))


def plan(repo: Repo, environment: Mapping[str, str], options: Options) -> tuple[Decision, ...]:
    """What ``repro`` would do, and why. Nothing is changed."""
    whole = load(repo)
    _apart(repo, whole.stages.values())
    return runner.plan(whole, tools(repo, environment), _targets(repo, whole, options))


def waiting(repo: Repo, environment: Mapping[str, str]) -> tuple[Decision, ...]:
    """The Decision for every Stage, for ``status``, but those of which nothing is asked: none without a pipeline."""
    whole = load(repo)
    found = runner.status(whole, tools(repo, environment)) if whole.stages else ()
    silent = (Action.UNCHANGED, Action.FROZEN, Action.SKIPPED)
    return tuple(decision for decision in found if decision.action not in silent)


def add_stage(repo: Repo, name: str, fields: Mapping[str, Any], *, force: bool = False) -> str:
    """Write a Stage into the ``mlvc.yaml`` of the user's directory, leaving the rest as it is. The file's path."""
    with repo.exclusive():
        path = spec.file_in(repo.cwd)
        full = f"{repo.root}/{path}"
        text = edit.add_stage(_text(files.read_or_none(full) or b"", path), name, fields, file=path, force=force)
        others = [stage for stage in stages(repo) if stage.file != path]
        made = graph.build([*others, *spec.parse(text, path, surroundings(repo))]).stages[spec.address(path, name)]
        _apart(repo, [made])
        files.replace(full, text.encode())
        changed = gitignore.add(repo.git, [out.path for out in made.outs if out.cache])
        if repo.config.get("core.autostage"):
            git.stage(repo.git, [path, *changed])
    return path
