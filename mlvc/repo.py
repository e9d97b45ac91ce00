"""One repository with everything that belongs to it, opened when it is first used.

A Repo is made by the command line or the API and handed to the verbs in ``api``; nothing below
knows it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import TracebackType
from typing import Self

from mlvc import config as settings
from mlvc import files, snapshot
from mlvc import ignore as ignores
from mlvc.config import Config
from mlvc.errors import NotARepositoryError, UsageError
from mlvc.git import Git
from mlvc.hashing import Hashing
from mlvc.progress import Progress
from mlvc.roots import check_sparse, find, here, is_initialised, relative, roots
from mlvc.store import local
from mlvc.store.local import LocalStore
from mlvc.workspace.index import Index
from mlvc.workspace.link import REFLINK, UNSHARED, can_reflink
from mlvc.workspace.tree import WorkTree


@dataclass(frozen=True)
class Repo:
    """One mlvc root in one working tree, its settings, and where the user stands in it.

    ``cwd``: relative to the root, empty at the top. Close it, or use it as a context manager.
    """

    git: Git
    config: Config
    cwd: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The variables that mlvc was started with, for what a person says of them: ``${env.NAME}``."""
    lends: bool = False
    """Whether the working tree is for commands that may write to all that they find there."""

    @property
    def root(self) -> str:
        """The mlvc root: what all paths are relative to."""
        return self.git.root

    @property
    def private(self) -> str:
        """Where mlvc keeps what belongs to this root in all working trees. Git does not see it."""
        return self.git.private

    @property
    def placed(self) -> str:
        """The file that lists what mlvc stored from or put into this working tree."""
        return os.path.join(self.git.own, "placed")

    @cached_property
    def hashing(self) -> Hashing:
        """The hash algorithm of the repository."""
        return Hashing(self.config.get("core.hash"))

    @property
    def store_place(self) -> str:
        """Where the Store is, whether one is there or not."""
        return self.place_of(self.config)

    @cached_property
    def store(self) -> LocalStore:
        """The Store; an empty one is made where there is none yet, as after a clone."""
        place = self.place_of(self.config)
        if not os.path.exists(os.path.join(place, "format")):
            local.create(place, self.hashing)
        store = local.open_store(place, loose=self._keeps_loose)
        store.scratch.sweep()
        if self.config.get("store.dir"):
            _note_sharing(place, self.git.common)
        if store.hashing.name != self.hashing.name:
            raise UsageError(
                f"the store at {place} uses {store.hashing.name}, this repository {self.hashing.name}",
                hint="core.hash cannot be changed after `mlvc init`",
            )
        return store

    def place_of(self, config: Config) -> str:
        """Where the Store is by these settings, whether one is there or not.

        Roots share the Store of the repository; one whose hash differs from that of another root has its own.
        """
        given = config.get("store.dir")
        if given:
            return os.path.join(self.root, os.path.expanduser(given))
        shared = os.path.join(self.git.common, "mlvc")
        apart = os.path.join(shared, "stores", self.hashing.name)
        name = local.hash_of(shared)
        if name in ("", self.hashing.name):
            return shared
        return apart if os.path.exists(os.path.join(apart, "format")) or name in self._other_hashes() else shared

    def _other_hashes(self) -> set[str]:
        """The hash algorithms of the other roots in this working tree."""
        found = set()
        for prefix in roots(self.git) - {self.git.prefix}:
            shared = os.path.join(self.git.below(prefix).root, *settings.SHARED.split("/"))
            found.add(settings.load({settings.REPOSITORY: shared}).get("core.hash"))
        return found

    def sharing(self) -> list[str]:
        """The Git directories of all repositories that use this Store, as each of them has noted there."""
        found = _noted(self.store.root)
        owner = os.path.dirname(os.path.realpath(self.store.root))
        # One whose own Store this is has no reason to note itself.
        if os.path.isfile(os.path.join(owner, "HEAD")) and os.path.isdir(os.path.join(owner, "objects")):
            found.append(owner)
        return list(dict.fromkeys(found))

    def leave(self) -> None:
        """Let the Store of others know that this repository uses it no more."""
        path = os.path.join(self.store.root, _SHARED_BY)
        with files.exclusive(path + ".held"):
            left = [line for line in _noted(self.store.root) if line != self.git.common]
            files.replace(path, b"".join(os.fsencode(line) + b"\n" for line in left))

    def _keeps_loose(self) -> bool:
        """Whether large objects can be linked into the working tree; asked when the first one is stored."""
        first = self.links[0]
        if first == REFLINK:
            # Beside the Store where that is one file system: a crash leaves nothing in the working tree.
            scratch = os.path.dirname(self.store.scratch.name())
            same = os.stat(scratch).st_dev == os.stat(self.root).st_dev
            return can_reflink(scratch, scratch if same else self.root)
        return first != "copy"

    @property
    def links(self) -> tuple[str, ...]:
        """The link types to try, in order."""
        return UNSHARED if self.lends else tuple(self.config.get("core.link"))

    @cached_property
    def tree(self) -> WorkTree:
        """The working tree with its Index."""
        files.make_dirs(self.git.own)
        index = Index(os.path.join(self.git.own, "index.sqlite"), self.hashing.size)
        return WorkTree(
            self.root,
            index,
            self.hashing,
            ignore=ignores.load(self.root),
            loose=os.path.join(self.store.root, "loose"),
            top=self.git.top,
        )

    @cached_property
    def outside(self) -> WorkTree:
        """All files of this machine, with an Index of their own: for what Stages read that is not in the repository.

        Paths are relative to ``/``.
        """
        files.make_dirs(self.git.own)
        index = Index(os.path.join(self.git.own, "outside.sqlite"), self.hashing.size)
        return WorkTree("/", index, self.hashing)

    def path(self, name: str) -> str:
        """A path as a person typed it, relative to the repository; UsageError where it is outside, or empty."""
        if not name:
            # A variable of the shell that is not set; as a path it would be the current directory.
            raise UsageError("a path is empty", hint="is it a variable that is not set? The current directory is `.`")
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = repr(os.fsencode(name)).removeprefix("b")
            raise UsageError(f"the name {shown} is not UTF-8", hint="rename it: only UTF-8 names are tracked") from None
        # Links above it are followed: what lies behind one has its own path, in the repository or not.
        typed = os.path.join(self.root, self.cwd, name).rstrip(os.sep) or os.sep
        directory, last = os.path.split(typed)
        plain = last not in ("", os.curdir, os.pardir)
        absolute = os.path.join(os.path.realpath(directory), last) if plain else os.path.realpath(typed)
        if absolute == self.root:
            return ""
        if not absolute.startswith(self.root.rstrip(os.sep) + os.sep):
            linked = os.path.normpath(typed).startswith(self.root.rstrip(os.sep) + os.sep)
            raise UsageError(
                f"{name} is outside the repository at {self.root}"
                + (f": a link above it leads to {os.path.dirname(absolute)}" if linked else ""),
                hint="copy it in and track the copy with `mlvc add -o PATH SOURCE`",
            )
        return os.path.relpath(absolute, self.root).replace(os.sep, "/")

    def typed(self, path: str) -> str:
        """The other way round, for a hint: a path from the root as a person types it in the current directory."""
        return snapshot.typed(path, self.cwd)

    def inner(self, path: str) -> str:
        """The root further down that ``path``, relative to this one, is or lies in; '' where there is none."""
        around = (path, *snapshot.parents(path))
        return next((name for name in around if files.exists(f"{self.root}/{name}/{settings.SHARED}")), "")

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the files that say what is tracked against other processes: Pointers, ``.gitignore``, ``placed``."""
        return files.exclusive(os.path.join(self.git.own, "tracking"))

    def turn(self, *, together: bool, progress: Progress) -> AbstractContextManager[None]:
        """Hold the files of this working tree against other processes of mlvc; those that only read hold nothing.

        ``together``: with others that leave the files as they are.
        """
        told = "waiting for another mlvc command that is at work in this working tree"
        path = os.path.join(self.git.own, "working")
        return files.turn(path, together=together, waits=lambda: progress.note(told))

    def lent(self, git: Git) -> Repo:
        """Another working tree of the repository, with the settings and the Store of this one, which stays open.

        Its files are for commands to read, and are never those of the Store. Whoever asks for it closes its ``tree``,
        and not the whole of it.
        """
        other = Repo(git, self.config, git.cwd, self.environment, lends=True)
        other.__dict__["store"] = self.store  # as if it had been opened there
        return other

    def close(self) -> None:
        """Let go of everything that was opened."""
        opened = self.__dict__
        if "tree" in opened:
            self.tree.close()
        if "outside" in opened:
            self.outside.close()
        if "store" in opened:
            self.store.close()

    def __enter__(self) -> Self:
        """Use the repository."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


_SHARED_BY = "shared-by"


def _noted(store: str) -> list[str]:
    text = files.read_or_none(os.path.join(store, _SHARED_BY)) or b""
    return [os.fsdecode(line) for line in text.splitlines() if line.strip()]


def _note_sharing(store: str, common: str) -> None:
    """Let the Store know of a repository that uses it: `mlvc gc` keeps what any of them needs."""
    if common in _noted(store):
        return
    path = os.path.join(store, _SHARED_BY)
    with suppress(PermissionError), files.exclusive(path + ".held"):
        known = _noted(store)
        if common not in known:
            files.replace(path, b"".join(os.fsencode(line) + b"\n" for line in [*known, common]))


def open_repo(start: str, environment: Mapping[str, str]) -> Repo:
    """The repository that ``start`` lies in; NotARepositoryError where there is none, or none with mlvc."""
    found = find(start, environment)
    if not is_initialised(found):
        check_sparse(here(start, environment))
        below = sorted(roots(found))
        there = f", or go to {below[0]}{', …' if len(below) > 1 else ''}, where it is" if below else ""
        raise NotARepositoryError(f"mlvc is not set up in {found.root}", hint=f"set it up with `mlvc init`{there}")
    return open_root(found, environment, relative(start, found))


def open_root(found: Git, environment: Mapping[str, str], cwd: str = "") -> Repo:
    """The root that was found; ``cwd``: where the user stands in it."""
    config = settings.load(settings.paths(environment, found.root, found.private), environment)
    return Repo(replace(found, cwd=cwd), config, cwd, environment)
