"""The inputs of Stages at a past revision: brought to a working tree of it, or named where nobody has them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlvc import globs, snapshot
from mlvc.api import lost, remotes, sharing, stagetree
from mlvc.errors import ObjectsMissingError
from mlvc.git import apart
from mlvc.pipeline import graph
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.lockfile import Entry
from mlvc.pipeline.plan import same
from mlvc.progress import Progress
from mlvc.repo import Repo
from mlvc.workspace import checkout


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be in place before anything runs, and from where it may come.

    ``rev``: the revision as it was typed. ``run``: the Stages that run. ``homes``: Remotes that outputs name as theirs.
    ``remote``: the one that a person names, '' for the default one. ``fetch``: whether Remotes are asked.
    """

    rev: str
    commit: str
    run: Graph
    recorded: Mapping[str, Entry]
    homes: Collection[str] = ()
    remote: str = ""
    fetch: bool = True

    @property
    def paths(self) -> list[str]:
        """The inputs that no Stage makes which runs, and those in which other files may lie, too."""
        inputs = (path for stage in self.run.stages.values() for path in graph.inputs(stage))
        return [path for path in dict.fromkeys(inputs) if path not in self.run.outputs]


def bring(repo: Repo, there: Repo, wanted: Wanted, progress: Progress) -> None:
    """Bring the inputs to the working tree ``there``, from the Store and where they are not there from Remotes.

    ObjectsMissingError or DamagedError names one that cannot be had.
    """
    _check_out(repo, there, wanted, progress)
    _check_there(there, wanted, progress)


def _check_out(repo: Repo, there: Repo, wanted: Wanted, progress: Progress) -> None:
    paths = wanted.paths
    shot = snapshot.at(repo.git, wanted.commit, wanted.rev)
    for path, error in shot.unreadable.items():
        if _touches(path, paths):
            raise error
    tracked = {path: content for path, content in shot.contents().items() if path not in wanted.run.outputs}
    contents = {path: content for path, content in tracked.items() if _touches(path, paths)}
    if not contents:
        return
    progress.start("looking up objects")
    asked: list[str] = []
    if wanted.fetch and repo.config.remotes and not stagetree.RepoTree(repo, progress).available(contents.values()):
        asked = [remotes.chosen(repo.config, wanted.remote), *sorted(wanted.homes & repo.config.remotes.keys())]
        with sharing.afar(repo, asked, progress, bring=True) as far:
            far.has(list(contents.values()))
    plans, absent = checkout.plan(there.tree, repo.store, contents, progress=progress)
    absent |= checkout.execute(there.tree, repo.store, plans, links=there.links, progress=progress).lost
    progress.finish()
    problem = lost.check(absent, "brought")
    if problem is not None:
        raise type(problem)(f"at {wanted.rev}: {problem.message}", hint=_how_to_get(repo, wanted, asked))


def _how_to_get(repo: Repo, wanted: Wanted, asked: Sequence[str]) -> str:
    """What to do about an object that is not here, without touching the user's working tree."""
    if not wanted.fetch:
        return f"leave out --no-fetch, or get it with `mlvc fetch --rev {wanted.rev}`"
    if not repo.config.remotes:
        return "no remote is set up that could have it: `mlvc remote add` tells of one"
    if not asked:
        return "it may be damaged here only: run it again, and a good copy is fetched if a remote has one"
    names = " and ".join(f"'{name}'" for name in dict.fromkeys(asked))
    return (
        f"{names} cannot give it either: `mlvc push --rev {wanted.rev}` in a clone that has it puts it there, "
        "or name another remote with -r"
    )


def _touches(path: str, paths: Iterable[str]) -> bool:
    return any(
        not one or path == one or path.startswith(one + "/") or one.startswith(path + "/")
        for one in map(globs.fixed, paths)
    )


def _check_there(there: Repo, wanted: Wanted, progress: Progress) -> None:
    """ObjectsMissingError for an input that nobody has, or that a submodule is part of; these are left out."""
    modules = apart.submodules(there.git)
    if modules:
        progress.note(f"left out: submodules of Git ({', '.join(modules)})")
    now = stagetree.RepoTree(there, progress).identify(wanted.paths)
    for stage in wanted.run.stages.values():
        entry = wanted.recorded.get(stage.name)
        for path in graph.inputs(stage):
            if path not in now:
                continue
            what = f"the dependency '{path}' of stage '{stage.name}'"
            module = next((name for name in modules if _reaches(path, name)), "")
            # An empty directory may be just what was recorded, where nobody had brought the submodule.
            if module and not (entry is not None and same(now[path], entry.deps.get(path))):
                raise ObjectsMissingError(
                    f"{what} at {wanted.rev} is in the submodule {module}, or has it inside",
                    hint="submodules are left out, since mlvc does not keep what is in them: "
                    "bring what the stage reads into the repository",
                )
            if now[path] is None and path not in wanted.run.makers:
                raise ObjectsMissingError(
                    f"{what} is neither in Git at {wanted.rev} nor tracked there",
                    hint="only what Git or mlvc keeps can be had again: add it, run the stage, and commit",
                )


def _reaches(path: str, module: str) -> bool:
    """Whether an input is the submodule, lies in it, or may have it inside."""
    if globs.is_pattern(path):
        return globs.leads(path)(module)
    return not path or path == module or path.startswith(module + "/") or module.startswith(path + "/")
