"""``repro``, ``stage`` and ``dag``: the pipeline of a repository."""

from __future__ import annotations

import os
import posixpath
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from mlvc import files, git, snapshot
from mlvc.api import described, targets
from mlvc.api.each import RepoItems
from mlvc.api.isolation import RepoIsolation
from mlvc.api.remotes import chosen as chosen_remote
from mlvc.api.sharing import Afar, Recorded, SharedRuns, known, run_cache
from mlvc.api.sharing import afar as open_afar
from mlvc.api.stagetree import RepoTree
from mlvc.errors import UsageError
from mlvc.git import gitignore
from mlvc.pipeline import graph, resources, runner, tables
from mlvc.pipeline.claimfiles import HeldClaims
from mlvc.pipeline.executors.contained import Contained, Containers, remove_left
from mlvc.pipeline.executors.local import Local, shell_of
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.lockfile import FILE as LOCKFILE
from mlvc.pipeline.lockfile import LockfileStore
from mlvc.pipeline.logs import Logs
from mlvc.pipeline.params import ParamFiles
from mlvc.pipeline.plan import Action, Decision
from mlvc.pipeline.run import RunCache
from mlvc.pipeline.tables import Tables
from mlvc.pipeline.told import Listener
from mlvc.pipeline.tools import Options, ReproResult, Tools
from mlvc.pointer import Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.workspace import placed
from mlvc.workspace.link import SYMLINK


def tools(
    repo: Repo,
    environment: Mapping[str, str],
    *,
    progress: Progress = QUIET,
    afar: Afar | None = None,
    absent: Recorded | None = None,
    images: Containers | None = None,
) -> Tools:
    """What reproduction works with; see RepoTree for ``afar`` and ``absent``.

    ``images``: where those of the Stages were looked up, else nowhere yet.
    """
    tree = RepoTree(repo, progress, afar=afar, absent=absent)
    images = images or containers(repo, environment)
    return Tools(
        tree,
        LockfileStore(os.path.join(repo.root, LOCKFILE), os.path.join(repo.git.own, "recording")),
        SharedRuns(run_cache(repo), known(repo), afar),
        Contained(Local(environment, shell=shell_of(environment)), images, _names(repo), _mounts(repo)),
        ParamFiles(lambda path: files.read_or_none(f"{repo.root}/{path}")),
        repo.hashing,
        progress,
        root=repo.root,
        env=environment,
        claims=_claims(repo),
        logs=logs(repo),
        isolation=RepoIsolation(repo, tree.looks),
        check_image=images.check,
        unstored=RunCache(os.path.join(repo.git.own, "unstored"), repo.hashing),
        items=RepoItems(repo, tree.fitting, tree.left, progress, afar, aside=tree.aside),
        tables=Tables(os.path.join(repo.private, tables.FOLDER), repo.hashing),
    )


def _claims(repo: Repo) -> HeldClaims:
    """Those of all working trees in one place; this one is named so that it is the same from everywhere."""
    shared = os.path.join(repo.git.common, "mlvc")
    return HeldClaims(os.path.join(shared, "claims"), os.path.relpath(repo.git.own, shared))


def containers(repo: Repo, environment: Mapping[str, str]) -> Containers:
    """The container engine that the settings ask for."""
    extra = shlex.split(repo.config.get("pipeline.container.args"))
    return Containers(environment, repo.config.get("pipeline.container.engine"), extra)


def with_images(repo: Repo, whole: Graph, images: Containers, names: Collection[str], *, pull: bool) -> Graph:
    """The Graph with the ids of the images of the Stages ``names``, as far as they are to be had.

    Where there is no engine to ask, an image counts as the one that the Lockfile names. ``pull``: see Containers.
    """
    wanted = [whole.stages[name] for name in names if whole.stages[name].image and name not in whole.skipped]
    if not wanted:
        return whole
    entries = LockfileStore(os.path.join(repo.root, LOCKFILE)).load().stages
    found = dict(whole.stages)
    for stage in wanted:
        id_ = images.identify(stage.image, pull=pull)
        if id_ is None:
            id_ = entries[stage.name].image if stage.name in entries else ""
        found[stage.name] = replace(stage, image_id=id_)
    return replace(whole, stages=found)


def _selected(whole: Graph, options: Options) -> Collection[str]:
    """The Stages that may run."""
    if options.force_downstream:
        return whole.stages
    names = graph.select(whole, options.targets, single=options.single, downstream=options.downstream)
    return [name for name in names if options.force or not whole.stages[name].frozen]


def _names(repo: Repo) -> str:
    return os.path.join(repo.git.own, "containers")


def _mounts(repo: Repo) -> list[str]:
    """What links in the working tree lead to: a command in a container has to see it."""
    return [repo.store.root] if SYMLINK in repo.links else []


def logs(repo: Repo) -> Logs:
    """What the commands of the last Runs printed."""
    return Logs(os.path.join(repo.private, "logs"))


def repro(
    repo: Repo,
    environment: Mapping[str, str],
    options: Options,
    *,
    telling: Telling | None = None,
    progress: Progress = QUIET,
) -> ReproResult:
    """Rerun the Stages whose inputs changed, and restore the others' outputs. See runner.repro."""
    telling = telling or Telling()
    whole = described.load(repo)
    if not whole.stages:
        raise UsageError("there is no pipeline here", hint=_no_pipeline(repo))
    described.check_apart(repo, whole.stages.values())
    options = replace(_targets(repo, whole, options), elsewhere=described.elsewhere(repo), limits=limits(repo))
    images = containers(repo, environment)
    remove_left(_names(repo), lambda: images.engine)
    whole = with_images(repo, whole, images, _selected(whole, options), pull=True)
    repo.store.join()  # what is restored from the run cache gets a name in the Lockfile
    files.sweep_replaced(repo.root)  # beside the Lockfile, which may not be written this time
    cached = [out.path for stage in whole.stages.values() for out in stage.outs if out.cache]
    before = files.read_or_none(f"{repo.root}/{LOCKFILE}")
    with repo.exclusive():
        changed = gitignore.add(repo.git, cached)
    try:
        with _from_afar(repo, whole, options, progress, bring=True) as (afar, absent):
            given = tools(repo, environment, progress=progress, afar=afar, absent=absent, images=images)
            given = replace(given, listener=telling.listener, hears=telling.hears, ask=telling.ask)
            if afar is not None:
                _bring_together(whole, given, options, afar)
            result = runner.repro(whole, given, options)
        with repo.exclusive():
            placed.update(repo.placed, result.cached)
    finally:
        after = files.read_or_none(f"{repo.root}/{LOCKFILE}")
        if repo.config.get("core.autostage"):
            git.stage(repo.git, changed if after is None else [*changed, LOCKFILE])
        if after != before:
            changed.append(LOCKFILE)
    return replace(result, record=_to_record(repo, whole, result)) if changed else result


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told what a reproduction does, and who is asked. See tools.Tools."""

    listener: Listener = bool
    hears: bool = False
    ask: Callable[[Decision], bool] | None = None


def limits(repo: Repo) -> dict[str, float]:
    """What all running Stages together may take: processors and memory of this machine, and what the settings say."""
    return resources.limits(repo.config.below("pipeline.limits."))


def jobs(repo: Repo, given: int | None) -> int:
    """How many Stages may run at the same time; 0 stands for as many as there are processors."""
    wanted: int = repo.config.get("pipeline.jobs") if given is None else given
    return wanted or resources.processors()


def _no_pipeline(repo: Repo) -> str:
    if any(os.path.exists(os.path.join(repo.root, folder, "dvc.yaml")) for folder in ("", repo.cwd)):
        return "rename dvc.yaml to mlvc.yaml: its words are the same"
    return "describe stages in mlvc.yaml, or use `mlvc stage add`"


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


def _targets(repo: Repo, whole: Graph, options: Options) -> Options:
    found = (name for word in options.targets for name in targets.targets(repo, whole, word))
    return replace(options, targets=tuple(dict.fromkeys(found)))


@contextmanager
def _from_afar(
    repo: Repo, whole: Graph, options: Options, progress: Progress, *, bring: bool
) -> Iterator[tuple[Afar | None, Recorded | None]]:
    """The Remotes that are asked, and what is taken to be there although it is not, each where ``options`` say so."""
    if not (options.pull or options.allow_missing):
        yield None, None
        return
    # What the chosen Stages make is restored, or made; all else is brought before a command that needs it.
    chosen = graph.select(whole, options.targets, single=options.single, downstream=options.downstream)
    made = {out.path for name in chosen for out in whole.stages[name].outs} if not options.allow_missing else set()
    with ExitStack() as stack:
        afar = None
        if options.pull:
            names = [chosen_remote(repo.config, options.remote), *_homes(repo, whole)]
            afar = stack.enter_context(open_afar(repo, names, progress, bring=bring))
        yield afar, Recorded(repo, lambda: _recorded(repo, made), afar)


def _recorded(repo: Repo, made: Collection[str]) -> dict[str, Content]:
    """What Pointers and the Lockfile record, but of what is ``made``."""
    return {path: content for path, content in snapshot.on_disk(repo.git).contents().items() if path not in made}


def tracked(repo: Repo, whole: Graph) -> Recorded:
    """What is tracked and no Stage makes: where it is not in the working tree, it is taken to be as it is recorded."""
    made = {out.path for stage in whole.stages.values() for out in stage.outs}
    return Recorded(repo, lambda: _recorded(repo, made))


def _homes(repo: Repo, whole: Graph) -> list[str]:
    """The Remotes that outputs name as the only ones that they go to."""
    return sorted({out.remote for stage in whole.stages.values() for out in stage.outs} & repo.config.remotes.keys())


def _bring_together(whole: Graph, parts: Tools, options: Options, afar: Afar) -> None:
    """Fetch at once what is to be restored, as far as it is known before anything runs."""
    with afar.looking():
        decisions = runner.plan(whole, parts, options)
    afar.has(list(dict.fromkeys(content for decision in decisions for content in decision.restore.values())))


def plan(repo: Repo, environment: Mapping[str, str], options: Options) -> tuple[Decision, ...]:
    """What ``repro`` would do, and why. Nothing is changed. See runner.plan."""
    whole = described.load(repo)
    described.check_apart(repo, whole.stages.values())
    options = _targets(repo, whole, options)
    images = containers(repo, environment)
    whole = with_images(repo, whole, images, _selected(whole, options), pull=False)
    with _from_afar(repo, whole, options, QUIET, bring=False) as (afar, absent):
        return runner.plan(whole, tools(repo, environment, afar=afar, absent=absent, images=images), options)


def waiting(repo: Repo, environment: Mapping[str, str], names: Collection[str] = ()) -> tuple[Decision, ...]:
    """The Decision for every Stage, for ``status``, but those of which nothing is asked: none without a pipeline.

    A tracked dependency that is not in the working tree is taken to be as it is recorded: that it is not here is told
    of it, and no reason to run what was made of it. ``names``: only of these Stages.
    """
    whole = described.load(repo)
    images = containers(repo, environment)
    whole = with_images(repo, whole, images, _selected(whole, Options()), pull=False)
    parts = tools(repo, environment, absent=tracked(repo, whole), images=images)
    found = runner.status(whole, parts) if whole.stages else ()
    silent = (Action.UNCHANGED, Action.FROZEN, Action.SKIPPED)
    asked = [decision for decision in found if decision.action not in silent]
    return tuple(decision for decision in asked if not names or decision.stage in names)
