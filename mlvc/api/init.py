"""``init``: set mlvc up in a Git repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mlvc import config as settings
from mlvc import git, snapshot
from mlvc.errors import UsageError
from mlvc.git import Git
from mlvc.hashing import Hashing
from mlvc.repo import open_repo
from mlvc.roots import check_sparse, find, here, is_initialised


@dataclass(frozen=True, slots=True)
class Initialised:
    """Where mlvc is set up, with which hash algorithm, and whether that was just done."""

    root: str
    hash: str
    new: bool


def init(start: str, environment: Mapping[str, str], *, algorithm: str = "", subdir: bool = False) -> Initialised:
    """Set mlvc up in the repository that ``start`` lies in: shared settings, staged with Git, and an empty Store.

    The root is the top of the working tree, or ``start`` itself with ``subdir``. Doing it again changes nothing;
    UsageError where another hash algorithm is asked for then, or the root would lie in a tracked directory.
    """
    around = find(start, environment)
    found = here(start, environment) if subdir else around
    if is_initialised(found):
        with open_repo(start, environment) as repo:
            current = repo.hashing.name
            if algorithm and algorithm != current:
                raise UsageError(
                    f"{found.root} is set up with {current} already",
                    hint="the hash algorithm of a repository cannot be changed",
                )
            return Initialised(found.root, current, new=False)
    check_sparse(found)
    _check_apart(around, found)
    _check_place(found)
    name = Hashing(algorithm or settings.key_of("core.hash").default).name
    settings.write(os.path.join(found.root, *settings.SHARED.split("/")), "core.hash", name)
    git.stage(found, [settings.SHARED])
    with open_repo(start, environment) as repo:
        assert repo.store.hashing.name == name
    return Initialised(found.root, name, new=True)


def _check_place(found: Git) -> None:
    """UsageError where Git would not take the settings."""
    if not {".git", ".mlvc"}.isdisjoint(found.prefix.split("/")):
        raise UsageError(f"{found.root} cannot be a root: it is part of Git or of mlvc", hint="go to your own files")
    for path, line in git.ignored(found, [settings.SHARED]).items():
        raise UsageError(
            f"Git ignores {os.path.join(found.root, path)} ({line})",
            hint="change that line, so that the settings can be committed",
        )


def _check_apart(around: Git, found: Git) -> None:
    """UsageError where a root would take from the root around it what that one tracks."""
    if found == around or not is_initialised(around):
        return
    inside = os.path.relpath(found.root, around.root).replace(os.sep, "/")
    shot = snapshot.on_disk(around)
    for path in sorted({**shot.contents(), **shot.unreadable}):
        if snapshot.within(path, [inside]) or snapshot.within(inside, [path]):
            raise UsageError(
                f"{found.root} cannot be a root of its own: {path} is tracked by the root at {around.root}",
                hint="stop tracking it there first: delete "
                + ("the output in mlvc.yaml" if path in shot.outs else f"{path}.mlvc")
                + " and its line in .gitignore",
            )
