"""``reproduce``: whether the results of a revision come out again.

Everything happens in a working tree of its own, which is removed afterwards. The user's one, its Lockfile, the Run
cache and all branches are left alone; objects that had to be fetched stay in the Store.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from mlvc import files, git, globs, snapshot
from mlvc.api import described, elsewhere, lost, pipeline, sharing, stagetree, targets, transfer
from mlvc.api.compared import OutputResult, Past, compared
from mlvc.api.each import RepoItems
from mlvc.errors import MlvcError, ObjectsMissingError, PipelineError, StageFailedError, UsageError
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
from mlvc.store.base import Reader
from mlvc.workspace import checkout
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


@dataclass(frozen=True, slots=True)
class StageResult:
    """What came of one Stage.

    ``outcome``: ``ran``, ``failed``, ``blocked`` or ``not run``. ``reasons``: what the revision itself has otherwise
    than its Lockfile says; why the Stage failed or did not run.
    """

    stage: str
    outcome: str
    reasons: tuple[str, ...]
    seconds: float
    outputs: tuple[OutputResult, ...]

    @property
    def is_good(self) -> bool:
        """Whether all of it is as it was recorded."""
        if self.outcome == "not run":
            return True
        return self.outcome == "ran" and not self.reasons and all(out.verdict.is_good for out in self.outputs)


@dataclass(frozen=True, slots=True)
class Reproduced:
    """What came of all Stages that were asked for. ``kept``: where the working tree is, if it stays."""

    rev: str
    commit: str
    stages: tuple[StageResult, ...]
    error: MlvcError | None = None
    """Why a Stage failed."""
    kept: str = ""

    @property
    def is_good(self) -> bool:
        """Whether everything came out as it was recorded."""
        return all(stage.is_good for stage in self.stages)


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
    be had, and then nothing has run. A crash leaves a working tree that the next one, or ``mlvc gc``, removes.
    """
    options = options or Options()
    commit = git.resolve(repo.git, rev)
    if options.remote:
        transfer.chosen(repo.config, options.remote)
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
            items=RepoItems(there, tree.fitting, progress),
            tables=Tables(f"{scratch}-tables", repo.hashing),
            listener=telling.listener,
            hears=telling.hears,
        )
        before = _reasons(job, tools)
        kept = dict(_taken_away(there, scratch, job))
        ran = runner.repro(job.run, tools, _how(repo, options))
        with _reading(repo, options) as reader:
            stages = tuple(_results(there, job, ran, before, Past(reader, options.tolerance, kept)))
        return Reproduced(rev, commit, stages, _told(ran.error, options), there.git.top if options.keep else "")


def _how(repo: Repo, options: Options) -> tools.Options:
    limits = pipeline.limits(repo)
    return tools.Options(force=True, keep_going=True, run_cache=False, jobs=options.jobs, limits=limits)


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


@dataclass(frozen=True, slots=True)
class _Job:
    """``chosen``: the Stages asked for, in order. ``run``: the Graph of those that run. ``left``: why others do not."""

    asked: _Asked
    chosen: tuple[Stage, ...]
    run: Graph
    left: Mapping[str, str]


def _lockfile(repo: Repo, commit: str, rev: str) -> Lockfile:
    tree = git.tree(repo.git, commit)
    if LOCKFILE not in tree:
        raise UsageError(
            f"there is no {LOCKFILE} at {rev}, so nothing says what came out there",
            hint="name a revision that was committed after `mlvc repro`",
        )
    return decode(git.blobs(repo.git, [tree[LOCKFILE]])[tree[LOCKFILE]], f"{rev}:{LOCKFILE}")


def _prepared(repo: Repo, there: Repo, asked: _Asked, images: Containers, progress: Progress) -> _Job:
    """What is to be done, with all inputs in place."""
    try:
        whole = described.load(there)
        job = _chosen(there, whole, asked)
        job = replace(job, run=_with_images(there, job, images))
    except PipelineError as error:
        raise type(error)(f"at {asked.rev}: {error.message}", hint=error.hint) from None
    for path in asked.options.tolerance.files - {out.path for stage in job.chosen for out in stage.outs}:
        raise UsageError(f"a tolerance names {path}, which is no output of these stages", hint="correct the path")
    needed = _needed(job)
    _place_inputs(repo, there, job, needed, progress)
    _check_there(there, job, needed, progress)
    return job


def _chosen(there: Repo, whole: Graph, asked: _Asked) -> _Job:
    if not whole.stages:
        raise UsageError(f"there is no pipeline at {asked.rev}")
    named = [name for word in asked.options.targets for name in targets.targets(there, whole, word)]
    names = graph.select(whole, named, single=asked.options.single)
    frozen = {name for name in names if whole.stages[name].frozen and name not in named}
    left = {name: whole.skipped.get(name, "it is frozen" if name in frozen else "") for name in names}
    chosen = tuple(whole.stages[name] for name in names)
    run = [replace(stage, frozen=False) for stage in chosen if not left[stage.name]]
    return _Job(asked, chosen, graph.build(run), {name: why for name, why in left.items() if why})


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


def _needed(job: _Job) -> list[str]:
    """The inputs that no Stage makes which runs, and those in which other files may lie, too."""
    inputs = (path for stage in job.run.stages.values() for path in graph.inputs(stage))
    return [path for path in dict.fromkeys(inputs) if path not in job.run.outputs]


def _place_inputs(repo: Repo, there: Repo, job: _Job, needed: Sequence[str], progress: Progress) -> None:
    """Bring what is tracked of ``needed``, from the Store and where it is not there from a Remote."""
    asked = job.asked
    shot = snapshot.at(repo.git, asked.commit, asked.rev)
    for path, error in shot.unreadable.items():
        if _touches(path, needed):
            raise error
    tracked = {path: content for path, content in shot.contents().items() if path not in job.run.outputs}
    wanted = {path: content for path, content in tracked.items() if _touches(path, needed)}
    if not wanted:
        return
    progress.start("looking up objects")
    if (
        asked.options.fetch
        and repo.config.remotes
        and not stagetree.RepoTree(repo, progress).available(wanted.values())
    ):
        homes = {out.remote for stage in job.chosen for out in stage.outs} & repo.config.remotes.keys()
        names = [transfer.chosen(repo.config, asked.options.remote), *sorted(homes)]
        with sharing.afar(repo, names, progress, bring=True) as far:
            far.has(list(wanted.values()))
    plans, absent = checkout.plan(there.tree, repo.store, wanted, progress=progress)
    absent |= checkout.execute(there.tree, repo.store, plans, links=there.links, progress=progress).lost
    progress.finish()
    _raise(absent, "checked out", asked.rev)


def _touches(path: str, needed: Iterable[str]) -> bool:
    return any(
        not one or path == one or path.startswith(one + "/") or one.startswith(path + "/")
        for one in map(globs.fixed, needed)
    )


def _raise(absent: Mapping[str, str], verb: str, rev: str) -> None:
    error = lost.check(absent, verb, rev=rev)
    if error is not None:
        raise error


def _check_there(there: Repo, job: _Job, needed: Sequence[str], progress: Progress) -> None:
    """ObjectsMissingError for an input that nobody has; a note of submodules, which are left out."""
    inside = apart.submodules(there.git)
    if inside:
        progress.note(f"left out: submodules of Git ({', '.join(inside)})")
    now = stagetree.RepoTree(there, progress).identify(needed)
    for stage in job.run.stages.values():
        for path in graph.inputs(stage):
            if path in now and now[path] is None and path not in job.run.makers:
                module = next((name for name in inside if _touches(name, [path])), "")
                raise ObjectsMissingError(
                    f"the dependency '{path}' of stage '{stage.name}' is neither in Git at {job.asked.rev} "
                    "nor tracked there",
                    hint=f"it lies in the submodule {module}, and submodules are left out"
                    if module
                    else "only what Git or mlvc keeps can be had again: add it, run the stage, and commit",
                )


def _reasons(job: _Job, tools: tools.Tools) -> dict[str, tuple[str, ...]]:
    """By Stage: in what the revision is not what its own Lockfile says. What other Stages make is left open."""
    known = plan.Known(job.asked.locked, tools.hashing, lambda _: None, lambda _: False)
    found: dict[str, tuple[str, ...]] = {}
    for stage in job.run.stages.values():
        entry = job.asked.locked.stages.get(stage.name)
        if entry is None:
            found[stage.name] = (f"{LOCKFILE} has nothing of it",)
            continue
        unknown = {path: makers for path in graph.inputs(stage) if (makers := job.run.makers.get(path, ()))}
        now = tools.tree.identify([path for path in stage.deps if path not in unknown])
        values = tools.params.values([ref for ref in stage.params if ref.file not in unknown])
        asked = replace(stage, always_changed=False)
        decision = plan.decide(asked, {**entry.outs, **now}, values, known, unknown=unknown, env=tools.env)
        count = len(decision.reasons) - len(decision.waits)
        found[stage.name] = decision.reasons[:count]
    return found


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
    for stage in job.chosen:
        why = job.left.get(stage.name)
        result = results.get(stage.name)
        entry = job.asked.locked.stages.get(stage.name)
        recorded: Mapping[str, Content] = entry.outs if entry is not None else {}
        if why is not None or result is None:
            outs = tuple(OutputResult(out.path, Verdict.LEFT) for out in stage.outs)
            yield StageResult(stage.name, "not run", (why,) if why else (), 0.0, outs)
        elif result.outcome != "ran":
            outs = tuple(OutputResult(out.path, Verdict.UNMADE) for out in stage.outs)
            yield StageResult(stage.name, result.outcome, result.reasons, result.seconds, outs)
        else:
            outs = tuple(compared(there, past, out, recorded.get(out.path), looks[out.path]) for out in stage.outs)
            yield StageResult(stage.name, "ran", before[stage.name], result.seconds, outs)
