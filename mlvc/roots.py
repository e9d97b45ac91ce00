"""The mlvc roots of a working tree: directories that have settings of mlvc in them.

Completion asks this at a press of a key, so it loads little.
"""

from __future__ import annotations

import itertools
import os
import posixpath
import shlex
from collections.abc import Iterable, Mapping

from mlvc import files, git
from mlvc.config import SHARED, root_of
from mlvc.errors import NotARepositoryError
from mlvc.git import Git


def is_initialised(found: Git) -> bool:
    """Whether mlvc is set up in a root."""
    return os.path.exists(os.path.join(found.root, *SHARED.split("/")))


def find(start: str, environment: Mapping[str, str]) -> Git:
    """The mlvc root that ``start`` lies in: the nearest directory with settings, not above the top of the working tree.

    The top, where there is none. NotARepositoryError where there is no Git repository.
    """
    found = git.discover(start, environment)
    prefix = relative(start, found)
    while prefix and not is_initialised(found.below(prefix)):
        prefix = os.path.dirname(prefix)
    return found.below(prefix)


def here(start: str, environment: Mapping[str, str]) -> Git:
    """``start`` itself as a root; NotARepositoryError where there is no Git repository."""
    found = git.discover(start, environment)
    return found.below(relative(start, found))


def relative(start: str, found: Git) -> str:
    """Where ``start`` lies below a root, '' for the root and for what is outside of it."""
    path = os.path.relpath(os.path.realpath(start), found.root).replace(os.sep, "/")
    return "" if path == "." or path.split("/")[0] == ".." else path


def roots(found: Git) -> set[str]:
    """Every mlvc root that Git sees in this working tree, relative to its top."""
    top = found.below("")
    paths = git.listed(top, (SHARED, "*/" + SHARED))
    return {root_of(path) for path in paths if files.exists(f"{top.root}/{path}")}


def by_root(found: Git, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """By root: those of ``names`` that belong to it, as they are called there, with the name that was given.

    Roots and ``names`` are relative to the top of the working tree. A root is a directory that has settings now. Names
    that belong to none are left out.
    """
    top = found.below("")
    nearest: dict[str, str | None] = {}

    def root(directory: str) -> str | None:
        if directory not in nearest:
            if is_initialised(top.below(directory)):
                nearest[directory] = directory
            else:
                nearest[directory] = root(posixpath.dirname(directory)) if directory else None
        return nearest[directory]

    sorted_out: dict[str, dict[str, str]] = {}
    for name in names:
        prefix = root(posixpath.dirname(name))
        if prefix is not None:
            sorted_out.setdefault(prefix, {})[name[len(prefix) + 1 :] if prefix else name] = name
    return sorted_out


def check_sparse(found: Git) -> None:
    """NotARepositoryError where the settings of this root, or one around it, are left out by a sparse checkout."""
    top = found.below("")
    around = ["", *itertools.accumulate(found.prefix.split("/"), posixpath.join)]
    for path in git.skipped(top, [posixpath.join(prefix, SHARED) for prefix in around]):
        raise NotARepositoryError(
            f"mlvc is set up here, but {path} is left out by the sparse checkout of Git",
            hint=f"`git sparse-checkout add {shlex.quote(posixpath.dirname(path))}` in {top.root} brings it",
        )
