"""``reproduce``: whether the results of a revision come out again.

Everything happens in a working tree of its own, which is removed afterwards. The user's one, its Lockfile, the Run
cache and all branches are left alone; objects that had to be fetched stay in the Store.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mlvc import files, git
from mlvc.api import described, elsewhere, inputs, pipeline, remotes, stagetree, targets, untouched
from mlvc.api.compared import NOT_RUN, OutputResult, Past, Reproduced, StageResult, compared, has_values, recorded_keys
from mlvc.api.each import RepoItems
from mlvc.api.inputs import Wanted
from mlvc.errors import FormatError, MlvcError, PipelineError, StageFailedError, UsageError
from mlvc.git import apart
from mlvc.oid import Oid
from mlvc.pipeline import graph, plan, runner, tools
from mlvc.pipeline.compare import Tolerance, Verdict
from mlvc.pipeline.executors.contained import Containers
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.lockfile import FILE as LOCKFILE
from mlvc.pipeline.lockfile import Entry, Lockfile, decode
from mlvc.pipeline.logs import Logs
from mlvc.pipeline.run import Run
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.tables import Tables
from mlvc.pointer import Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.snapshot import LOCK_REPAIR
from mlvc.store.base import Reader
from mlvc.workspace.tree import Look


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    targets: tuple[str, ...] = ()
    """Stages or outputs, with what they need; without any, all."""
    single: bool = False
    """Only the targets; what they need is taken as it was recorded."""
    fetch: bool = True
    """Whether inputs that are not here are fetched."""
    remote: str = ""
    tolerance: Tolerance = field(default_factory=Tolerance)
    jobs: int = 1
    """How many Stages may run at the same time."""
    keep: str = ""
    """A directory, which must not be there yet, for the working tree; it stays. '': one that does not."""


def reproduce(
    repo: Repo,
    environment: Mapping[str, str],
    rev: str,
    options: Options | None = None,
    *,
    telling: pipeline.Telling | None = None,
    progress: Progress = QUIET,
) -> Reproduced:
    """Run the Stages of ``rev`` anew, in a working tree of its own, and compare what comes out with its Lockfile.

    UsageError where ``rev`` is no revision or has no Lockfile; ObjectsMissingError or DamagedError where inputs cannot
    be had, and then nothing has run. A crash leaves a working tree that the next one, or ``mlvc gc``, removes; where it
    is to be kept, it stays.
    """
    options = options or Options()
    commit = git.resolve(repo.git, rev)
    if options.remote:
        remotes.chosen(repo.config, options.remote)
    locked = _lockfile(repo, commit, rev)
    with _working_tree(repo, commit, options.keep) as (there, scratch):
        environment = git.elsewhere(environment)
        images = pipeline.containers(repo, environment)
        job = _prepared(repo, there, _Asked(rev, commit, locked, options), images, progress)
        telling = telling or pipeline.Telling()
        tree = _Tree(there, progress)
        tools = replace(
            pipeline.tools(there, environment, images=images, progress=progress),
            tree=tree,
            records=_Records(locked),
            runs=_NoRuns(),
            logs=Logs(f"{scratch}-logs"),
            unstored=None,
            items=RepoItems(there, tree, progress),
            tables=Tables(f"{scratch}-tables", repo.hashing),
            listener=telling.listener,
            hears=telling.hears,
        )
        before = _reasons(repo, job, tools)
        kept = dict(_taken_away(there, scratch, job))
        own = untouched.seen(repo)
        ran = runner.repro(job.run, tools, _how(repo, options))
        touched = tuple(own.differing(repo))
        with _reading(repo, options) as reader:
            stages = tuple(_results(there, job, ran, before, Past(reader, options.tolerance, kept)))
        place = there.git.top if options.keep else ""
        return Reproduced(rev, commit, stages, _told(ran.error, options), place, touched)


def _how(repo: Repo, options: Options) -> tools.Options:
    limits = pipeline.limits(repo)
    return tools.Options(force=True, keep_going=True, run_cache=False, explain=False, jobs=options.jobs, limits=limits)


def _told(error: MlvcError | None, options: Options) -> MlvcError | None:
    """Why a Stage failed, and what to do: what ``repro`` would go on from is gone with the working tree."""
    if not isinstance(error, StageFailedError):
        return error
    hint = f"look at it in {options.keep}" if options.keep else "`--keep DIR` leaves the working tree to look at"
    return StageFailedError(error.message, hint=hint)


# -- the working tree --------------------------------------------------------------------------


@contextmanager
def _working_tree(repo: Repo, commit: str, keep: str) -> Iterator[tuple[Repo, str]]:
    """A working tree of ``commit``, and a directory for what is put aside meanwhile."""
    apart.clean(repo.git)
    kept = os.path.abspath(os.path.join(repo.root, repo.cwd, keep)) if keep else ""
    if kept and files.exists(kept):
        raise UsageError(f"{keep} is there already", hint="name a directory that is not there yet")
    with files.Scratch(apart.place(repo.git)) as scratch:
        own = scratch.name()
        # Named like the user's own: some programs name things after the directory that they are in.
        place = kept or os.path.join(own, os.path.basename(repo.git.top) or "project")
        files.make_dirs(own)
        try:
            found = apart.add(repo.git, commit, place)
            there = repo.lent(replace(found, cwd=repo.cwd))
            try:
                yield there, os.path.join(own, "aside")
            finally:
                there.tree.close(now=True)
        finally:
            if not kept:
                apart.remove(repo.git, place)


class _Tree(stagetree.RepoTree):
    """A working tree that goes away: nothing of it is stored or kept aside."""

    def __init__(self, there: Repo, progress: Progress) -> None:
        super().__init__(there, progress)
        self._there = there

    def store(self, paths: Sequence[str]) -> dict[str, Content]:
        """The content of each path; what is compared afterwards need not be stored."""
        return {path: content for path, content in self.identify(paths).items() if content is not None}

    def remove(self, paths: Sequence[str]) -> None:
        """Take ``paths`` out of the way: what Git or the Store has of them stays there."""
        for path in paths:
            full = f"{self._there.root}/{path}"
            if os.path.isdir(full) and not os.path.islink(full):
                files.remove_tree(full)
            else:
                files.remove(full)

    def set_aside(self, paths: Sequence[str]) -> str:  # noqa: ARG002
        """What a command that failed left stays where it is: who asked for that may look at it."""
        return ""


@dataclass(frozen=True, slots=True)
class _Records:
    """The Lockfile of the revision, which stays as it is."""

    locked: Lockfile

    def load(self) -> Lockfile:
        """The Lockfile."""
        return self.locked

    def change(self, entries: Mapping[str, Entry | None], *, durable: bool = True) -> Lockfile:  # noqa: ARG002
        """Nothing is recorded."""
        return self.locked


class _NoRuns:
    """No Run is known, and none is recorded."""

    def lookup(self, key: Oid) -> Run | None:  # noqa: ARG002
        """None."""
        return None

    def put(self, run: Run) -> None:
        """Nothing is recorded."""


# -- what is to be done ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    rev: str
    commit: str
    locked: Lockfile
    options: Options


class _Left(NamedTuple):
    """What is to be said of a Stage that does not run. See StageResult."""

    outcome: str
    why: str


@dataclass(frozen=True, slots=True)
class _Job:
    """``chosen``: the Stages asked for, in order. ``run``: the Graph of those that run. ``left``: why others do not.

    Among these are Stages that only the Lockfile has.
    """

    asked: _Asked
    chosen: tuple[Stage, ...]
    run: Graph
    left: Mapping[str, _Left]


def _lockfile(repo: Repo, commit: str, rev: str) -> Lockfile:
    tree = git.tree(repo.git, commit)
    if LOCKFILE not in tree:
        raise UsageError(
            f"there is no {LOCKFILE} at {rev}, so nothing says what came out there",
            hint=_no_lockfile(repo, commit, rev, tree),
        )
    try:
        return decode(git.blobs(repo.git, [tree[LOCKFILE]])[tree[LOCKFILE]], f"{rev}:{LOCKFILE}")
    except FormatError as error:
        hint = error.hint if error.hint != LOCK_REPAIR else _ELSEWHERE
        raise FormatError(error.message, hint=hint) from None


def _no_lockfile(repo: Repo, commit: str, rev: str, tree: Collection[str]) -> str:
    """What there is instead."""
    if "dvc.lock" in tree:
        return "dvc.lock is there, which DVC wrote: name a revision that was committed after `mlvc repro`"
    top = replace(repo.git, root=repo.git.top, prefix="")
    for path in git.tree(top, commit):
        folder, _, name = path.rpartition("/")
        if name == LOCKFILE and folder != repo.git.prefix:
            beside = os.path.relpath(f"{repo.git.top}-{commit[:7]}", os.path.join(repo.root, repo.cwd))
            inside = os.path.join(beside, folder).rstrip(os.sep)
            return (
                f"{path} is there, for the root was another one: `git worktree add --detach {beside} {rev}`, "
                f"and in {inside} `mlvc reproduce {rev}`"
            )
    return "name a revision that was committed after `mlvc repro`"


def _prepared(repo: Repo, there: Repo, asked: _Asked, images: Containers, progress: Progress) -> _Job:
    """What is to be done, with all inputs in place."""
    words = [_word(repo, word) for word in asked.options.targets]
    try:
        job = _chosen(there, described.load(there), asked, words)
        job = replace(job, run=_with_images(there, job, images))
    except FormatError as error:
        raise FormatError(f"at {asked.rev}: {error.message}", hint=_ELSEWHERE) from None
    except PipelineError as error:
        raise type(error)(f"at {asked.rev}: {error.message}", hint=error.hint) from None
    _check_tolerance(repo, there, job)
    options, stages = asked.options, asked.locked.stages
    homes = frozenset(out.remote for stage in job.chosen for out in stage.outs)
    wanted = Wanted(asked.rev, asked.commit, job.run, stages, homes, options.remote, options.fetch)
    inputs.bring(repo, there, wanted, progress)
    return job


_ELSEWHERE = "what is committed stays as it is: name another revision, at which this was right"


def _word(repo: Repo, word: str) -> str:
    """A target as it is to be said in the other working tree, where no absolute path of the user's own is.

    UsageError for a path outside of the repository, which names that and not the other working tree.
    """
    outside = os.path.normpath(os.path.join(repo.cwd, word)).split(os.sep)[0] == os.pardir
    if os.path.isabs(word) or outside:
        return os.path.relpath(repo.path(word) or os.curdir, repo.cwd or os.curdir)
    return word


def _chosen(there: Repo, whole: Graph, asked: _Asked, words: Sequence[str]) -> _Job:
    if not whole.stages:
        raise UsageError(f"there is no pipeline at {asked.rev}", hint="name a revision that has stages in mlvc.yaml")
    found = [targets.targets(there, whole, word) for word in words]
    named = [name for group in found for name in group]
    alone = {group[0] for group in found if len(group) == 1}
    names = graph.select(whole, named, single=asked.options.single)
    left = {name: why for name in names if (why := _left(whole, name, asked, named, alone)) is not None}
    chosen = tuple(whole.stages[name] for name in names)
    run = [replace(stage, frozen=False) for stage in chosen if stage.name not in left]
    if not words:
        gone = asked.locked.stages.keys() - whole.stages.keys()
        left |= {name: _Left(NOT_RUN, f"{LOCKFILE} has outputs of it, and no pipeline file has it") for name in gone}
    return _Job(asked, chosen, graph.build(run), left)


def _left(whole: Graph, name: str, asked: _Asked, named: Collection[str], alone: Collection[str]) -> _Left | None:
    """Why a Stage is not run, None where it is. ``alone``: those ``named`` that some word means alone."""
    if name in whole.skipped:
        if name in asked.locked.stages:
            return _Left(NOT_RUN, f"{whole.skipped[name]}, and {LOCKFILE} has its outputs")
        return _Left(NOT_RUN if name in alone else "skipped", whole.skipped[name])
    if whole.stages[name].frozen and name not in named:
        return _Left("frozen", "it is frozen: its outputs are inputs here, and were not made anew")
    return None


def _check_tolerance(repo: Repo, there: Repo, job: _Job) -> None:
    """UsageError where a tolerance is for no output of these Stages, or for no value in one."""
    tolerance = job.asked.options.tolerance
    outs = {out.path: out for stage in job.chosen for out in stage.outs}
    recorded = {path: content for entry in job.asked.locked.stages.values() for path, content in entry.outs.items()}
    for path in sorted(tolerance.files):
        if path not in outs:
            raise UsageError(f"a tolerance names {path}, which is no output of these stages", hint="correct the path")
        is_dir = path in recorded and recorded[path].is_dir
        if is_dir or not has_values(outs[path]):
            raise UsageError(
                f"a tolerance names {path}, which is {'a directory' if is_dir else 'no file of values'}",
                hint="it is for files under 'metrics', and for those of YAML, JSON and TOML that you name",
            )
    named = [(path, key) for path, key in tolerance.by_key if key and path in recorded]
    if not named:
        return
    with _reading(repo, job.asked.options) as reader:
        past = Past(reader, tolerance)
        for path, key in named:
            keys = recorded_keys(there, past, outs[path], recorded[path])
            if keys is not None and key not in keys:
                near = difflib.get_close_matches(key, sorted(keys), 1)
                raise UsageError(
                    f"a tolerance names {path}:{key}, and no value in it is called so",
                    hint=f"did you mean '{near[0]}'?" if near else "keys are written with dots: a.b is b in a",
                )


def _with_images(there: Repo, job: _Job, images: Containers) -> Graph:
    """The Graph with the ids of images: the one that was recorded, where it is here; else what has its name now."""
    run = pipeline.with_images(there, job.run, images, job.run.stages, pull=True)
    found = dict(run.stages)
    for stage in run.stages.values():
        entry = job.asked.locked.stages.get(stage.name)
        recorded = entry.image if entry is not None else ""
        if stage.image and recorded not in ("", stage.image_id) and images.identify(recorded, pull=False) == recorded:
            found[stage.name] = replace(stage, image_id=recorded)
    return replace(run, stages=found)


def _reasons(repo: Repo, job: _Job, tools: tools.Tools) -> dict[str, tuple[str, ...]]:
    """By Stage: in what the revision is not what its own Lockfile says. What other Stages make is left open."""
    known = plan.Known(job.asked.locked, tools.hashing, lambda _: None, lambda _: False)
    found: dict[str, tuple[str, ...]] = {}
    for stage in job.run.stages.values():
        entry = job.asked.locked.stages.get(stage.name)
        if entry is None:
            found[stage.name] = (f"{LOCKFILE} has nothing of it",)
            continue
        unknown = {path: makers for path in graph.inputs(stage) if (makers := job.run.makers.get(path, ()))}
        whole, now = _with_links(stage, tools.tree, [path for path in stage.deps if path not in unknown])
        values = tools.params.values([ref for ref in stage.params if ref.file not in unknown])
        asked = replace(whole, always_changed=False)
        decision = plan.decide(asked, {**entry.outs, **now}, values, known, unknown=unknown, env=tools.env)
        count = len(decision.reasons) - len(decision.waits)
        found[stage.name] = decision.reasons[:count]
    for stage in job.run.stages.values():
        own = untouched.named(repo, stage)
        if own:
            found[stage.name] += (f"its command names {own}, where your files are and not those of {job.asked.rev}",)
    return found


def _with_links(stage: Stage, tree: tools.Tree, paths: Sequence[str]) -> tuple[Stage, dict[str, Content | None]]:
    """The contents of ``paths`` and of what links in them lead to, which are dependencies, too."""
    now = tree.identify(paths)
    whole = tools.with_links(stage, tree)
    return whole, now | tree.identify([path for path in whole.deps if path not in stage.deps])


def _taken_away(there: Repo, scratch: str, job: _Job) -> Iterator[tuple[str, tuple[str, Look]]]:
    """Move away the outputs that Git keeps, so that the Stages make them anew; yields those that are as recorded."""
    outs = [(stage.name, out.path) for stage in job.run.stages.values() for out in stage.outs if not out.cache]
    looks = there.tree.look([path for _, path in outs])
    files.make_dirs(scratch)
    for number, (name, path) in enumerate(outs):
        look = looks[path]
        if look.content is None:
            continue
        place = os.path.join(scratch, str(number))
        files.move(f"{there.root}/{path}", place)
        entry = job.asked.locked.stages.get(name)
        if entry is not None and plan.same(look.content, entry.outs.get(path)):
            yield path, (place, look)


# -- what came of it ---------------------------------------------------------------------------


def _reading(repo: Repo, options: Options) -> AbstractContextManager[Reader]:
    return elsewhere.reading(repo, options.remote) if options.fetch else nullcontext(repo.store)


def _results(
    there: Repo, job: _Job, ran: tools.ReproResult, before: Mapping[str, tuple[str, ...]], past: Past
) -> Iterator[StageResult]:
    results = {result.stage: result for result in ran.stages}
    looks = there.tree.look([out.path for stage in job.chosen for out in stage.outs], lenient=True)
    locked = job.asked.locked.stages
    for stage in job.chosen:
        left = job.left.get(stage.name)
        if left is not None:
            yield _not_run(stage.name, left, [out.path for out in stage.outs])
            continue
        result = results[stage.name]
        recorded: Mapping[str, Content] = locked[stage.name].outs if stage.name in locked else {}
        # Of one that failed, some outputs may have been made.
        outs = tuple(compared(there, past, out, recorded.get(out.path), looks[out.path]) for out in stage.outs)
        reasons = before[stage.name] if result.outcome == "ran" else result.reasons
        yield StageResult(stage.name, result.outcome, reasons, result.seconds, outs)
    described = {stage.name for stage in job.chosen}
    for name in sorted(job.left.keys() - described):
        yield _not_run(name, job.left[name], locked[name].outs)


def _not_run(name: str, left: _Left, paths: Iterable[str]) -> StageResult:
    return StageResult(name, left.outcome, (left.why,), 0.0, tuple(OutputResult(path, Verdict.LEFT) for path in paths))
