"""``unprotect``: files that are links into the Store become files of their own, which may be written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlvc import files, snapshot
from mlvc.api.turns import changing
from mlvc.errors import UsageError
from mlvc.manifest import EXECUTABLE, FILE
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.snapshot import Change
from mlvc.store.base import LARGE
from mlvc.workspace import checkout as steps
from mlvc.workspace.checkout import PathPlan
from mlvc.workspace.link import COPY
from mlvc.workspace.tree import Look


@dataclass(frozen=True, slots=True)
class Unprotected:
    """The files that are copies now, with their bytes in all. ``lost``: those that could not be, with the reason."""

    paths: tuple[str, ...]
    size: int
    lost: Mapping[str, str]


@changing
def unprotect(repo: Repo, targets: Sequence[str], *, progress: Progress = QUIET) -> Unprotected:
    """Replace links into the Store, hard or symbolic, by copies. What is no link stays as it is.

    Each copy is hashed while it is made, and takes the place of the link in one step: a crash leaves the one or the
    other.
    """
    names = [repo.path(target) for target in targets]
    chosen, unreadable, unknown = snapshot.choose(snapshot.on_disk(repo.git), names)
    problem = snapshot.problem(unreadable.values())
    if problem is not None:
        raise problem
    if unknown:
        raise UsageError(f"{unknown[0]} is not tracked", hint="only what mlvc put there is a link into the store")
    for target, name in zip(targets, names, strict=True):
        if not files.exists(f"{repo.root}/{name}"):
            raise UsageError(f"{target} is not in the working tree", hint=f"bring it with `mlvc checkout {target}`")
    looks = repo.tree.look(chosen, lenient=True, progress=progress)
    parts = snapshot.inside(chosen, names)
    plans = [_plan(repo, look, parts.get(path, ())) for path, look in looks.items()]
    done = steps.execute(
        repo.tree, repo.store, [plan for plan in plans if plan.changes], links=(COPY,), progress=progress
    )
    progress.finish()
    size = sum(change.new.size for change in done.changes if change.new is not None)
    return Unprotected(tuple(sorted(change.path for change in done.changes)), size, done.lost)


def _plan(repo: Repo, look: Look, parts: Sequence[str]) -> PathPlan:
    """Make anew what is a link into the Store, as what it is now."""
    changes = []
    for entry in look.entries():
        path = f"{look.path}/{entry.path}" if entry.path else look.path
        if (not parts or snapshot.within(path, parts)) and entry.size >= LARGE and entry.kind in (FILE, EXECUTABLE):
            full = f"{repo.root}/{path}"
            if os.path.islink(full) or _is_same(full, repo.store.loose.path(entry.oid)):
                placed = entry._replace(path=path)
                changes.append(Change(path, placed, placed))
    return PathPlan(look.path, look.content, tuple(changes), whole=False, look=look)


def _is_same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False
