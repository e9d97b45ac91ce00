"""``checkout``: bring the working tree to what Pointers say."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlvc import files, git, snapshot
from mlvc.api import named
from mlvc.api.turns import changing
from mlvc.errors import FormatError
from mlvc.git import gitignore
from mlvc.pointer import Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.snapshot import Change
from mlvc.store.base import Reader
from mlvc.workspace import checkout as steps
from mlvc.workspace import placed


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What a checkout did, or would do. ``lost``: paths that could not be made, with the reason."""

    changes: tuple[Change, ...]
    lost: Mapping[str, str]
    kept: tuple[str, ...] = ()
    """Paths that are not tracked, or not any more, and were left: what is there is stored nowhere, or in no commit."""
    unreadable: tuple[FormatError, ...] = ()
    """What is wrong with Pointers that cannot be read. Nothing was done about their paths."""
    ignores: tuple[str, ...] = ()
    """The ``.gitignore`` files that had to be told of new paths."""


@changing
def checkout(
    repo: Repo,
    targets: Sequence[str] = (),
    *,
    rev: str = "",
    only: Collection[str] | None = None,
    force: bool = False,
    relink: bool = False,
    dry_run: bool = False,
    reader: Reader | None = None,
    progress: Progress = QUIET,
) -> CheckedOut:
    """Bring tracked paths to what their Pointers say, or said at ``rev``.

    WouldOverwriteError, and nothing changed, where content would be lost that is stored nowhere, unless
    ``force``. Without targets, what checkout put there and no Pointer names any more is removed. ``reader``: where
    manifests are read for a ``dry_run``, the Store if not given.
    ``only``: everything else is left alone; what is in it need not be tracked any more.
    """
    progress.start("reading Pointers")
    goal = _goal(repo, targets, rev, only)
    asked = steps.Asked(goal.parts, goal.spared, force, relink, reader, cwd=repo.cwd)
    plans, lost = steps.plan(repo.tree, repo.store, goal.order(), asked=asked, progress=progress)
    alone = {made.path: made.unstored for made in plans if made.content is None and made.unstored}
    left = set() if force else alone.keys()
    plans = [made for made in plans if made.path not in left]
    if not force:
        also = [path for paths in alone.values() for path in paths]
        steps.guard(plans, also=also, outs=goal.outs, cwd=repo.cwd)
    kept = (*sorted({*left, *goal.stay}), *(path for made in plans for path in made.extra))
    unreadable = tuple(goal.unreadable.values())
    if dry_run:
        return CheckedOut(tuple(change for made in plans for change in made.changes), lost, kept, unreadable)
    # What comes for the first time is hidden from Git, as after `git mv` of its Pointer; not for a look at the past.
    before = placed.read(repo.placed)
    new = [] if rev else [path for path in goal.wanted if path not in before]
    hidden = git.ignored(repo.git, new) if new else {}
    done = steps.execute(repo.tree, repo.store, plans, links=repo.links, progress=progress)
    with repo.exclusive():
        ignores = gitignore.add(repo.git, [path for path in new if path not in hidden and path not in lost])
        placed.update(repo.placed, goal.wanted, gone=[*(path for path in goal.gone if path not in left), *goal.stay])
    progress.finish()
    return CheckedOut(done.changes, {**lost, **done.lost}, kept, unreadable, tuple(ignores))


@dataclass(frozen=True, slots=True)
class _Goal:
    """What is to stand in the working tree.

    ``parts``: as in Asked. ``gone``: paths that go. ``stay``: paths that stay, though no Pointer names them any more.
    ``spared``: what of a path that goes is wanted. ``outs``: the paths that a Stage makes.
    """

    wanted: Mapping[str, Content]
    parts: Mapping[str, tuple[str, ...]]
    gone: Sequence[str]
    stay: Sequence[str]
    spared: Collection[str]
    outs: Collection[str]
    unreadable: Mapping[str, FormatError]

    def order(self) -> dict[str, Content | None]:
        """What is in the way of something goes first, all else when what comes is there."""
        around = {parent for path in self.wanted for parent in snapshot.parents(path)} if self.gone else set()
        first = [path for path in self.gone if path in around]
        return {**dict.fromkeys(first), **self.wanted, **dict.fromkeys(self.gone)}


def _goal(repo: Repo, targets: Sequence[str], rev: str, only: Collection[str] | None) -> _Goal:
    """What the Pointers say, or said at ``rev``, of ``targets``; UsageError where one of them names nothing."""
    now = snapshot.on_disk(repo.git)
    there = snapshot.at(repo.git, git.resolve(repo.git, rev), rev) if rev else now
    if not targets:
        there = there.without(now.outside)
    names = [repo.path(target) for target in targets]
    chosen, unreadable, unknown = snapshot.choose(there, names)
    if unknown:
        raise named.untracked(repo, targets[names.index(unknown[0])], "checkout", [rev] if rev else [])
    behind = _behind(repo, chosen)
    unreadable.update(behind)
    every = {path: content for path, content in chosen.items() if path not in behind}
    # A Lockfile that cannot be read may name any of them.
    sure = not targets and snapshot.LOCKFILE not in unreadable
    gone, stay = _gone(repo, every, unreadable.keys() | now.outside, rev) if sure else ([], [])
    spared = every.keys() if gone else ()
    wanted = every
    if only is not None:
        wanted = {path: content for path, content in every.items() if path in only}
        gone, stay = ([path for path in paths if path in only] for paths in (gone, stay))
    return _Goal(wanted, snapshot.inside(chosen, names), gone, stay, spared, now.outs.keys(), unreadable)


def _behind(repo: Repo, paths: Iterable[str]) -> dict[str, FormatError]:
    """What is wrong with paths that lie behind a symbolic link or in another root: they are not of this one."""
    by_parent: dict[str, list[str]] = {}
    for path in paths:
        by_parent.setdefault(path.rpartition("/")[0], []).append(path)
    found = {}
    for parent, below in by_parent.items():
        full = os.path.normpath(f"{repo.root}/{parent}")
        real = os.path.realpath(full) if parent else full
        inner = repo.inner(parent) if parent else ""
        for path in below if inner else ():
            found[path] = FormatError(
                f"{path} lies in another mlvc root, {inner}: nothing is put there",
                hint=f"delete what names this path: its Pointer, or its output in mlvc.yaml; or run mlvc in {inner}",
            )
        for path in below if real != full else ():
            found[path] = FormatError(
                f"{path} lies behind a symbolic link, to {real}: nothing is put there",
                hint="remove the link, or what names this path: its Pointer, or its output in mlvc.yaml",
            )
    return found


def _gone(
    repo: Repo, wanted: Mapping[str, Content], untouched: Collection[str], rev: str
) -> tuple[list[str], list[str]]:
    """What was tracked when it was put here and is not any more: what of it goes, and what stays all the same.

    Nothing goes that Git has, that HEAD tracks (then its Pointer was deleted by hand, if it was not renamed), or that
    no commit ever tracked. ``untouched``: paths whose Pointers cannot be read, or are left out by a sparse checkout.
    """
    known = [
        path
        for path in placed.read(repo.placed)
        if path not in untouched
        and not snapshot.within(path, wanted)
        and files.exists(f"{repo.root}/{path}")
        and not repo.inner(path)
    ]
    if not known:
        return [], []
    owned = git.tracked(repo.git, known)
    of_head = frozenset[str]() if rev else snapshot.head(repo.git).contents().keys()
    looks = repo.tree.look([path for path in known if path not in owned], lenient=True)
    here = set(wanted.values())
    there = {path: look.content for path, look in looks.items() if path not in of_head or look.content in here}
    # What is tracked inside of it stays, and is looked after by itself.
    around = {parent for path in (*wanted, *untouched) for parent in snapshot.parents(path)}
    sure = {path for path, content in there.items() if content is None or path in around}
    asked = {path: content for path, content in there.items() if content is not None and path not in sure}
    gone = sure | snapshot.recorded(repo.git, asked)
    return sorted(gone), sorted(set(known) - gone - owned)
