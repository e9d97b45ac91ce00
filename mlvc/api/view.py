"""The tracked files of a Source, looked up by path. Made for many look-ups: what was read of a Manifest is kept."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from mlvc import manifest
from mlvc.api.elsewhere import Source
from mlvc.errors import DamagedError, ObjectsMissingError, UsageError
from mlvc.manifest import EMPTY_DIR, EXECUTABLE, FILE, SYMLINK, Entry, Leaf, Root
from mlvc.snapshot import parents
from mlvc.store.base import load, reason_of

KINDS = {FILE: "file", EXECUTABLE: "executable", SYMLINK: "symlink", EMPTY_DIR: "dir"}
_LINKS = 40
"""Symbolic links that are followed before they are taken for a circle."""
_ROOTS_KEPT = 64
_LEAVES_KEPT = 256


class Item(NamedTuple):
    """A file or a directory. ``size`` in bytes. ``oid`` is empty for a directory that is not tracked by itself.

    ``files`` and ``size`` of a directory are those of what is in it where it is tracked, else 0.
    """

    path: str
    kind: str
    size: int
    files: int
    oid: bytes

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return self.kind == "dir"


class _Part(NamedTuple):
    """A leaf of a Manifest: its entries by path, and the directories that they are in."""

    entries: dict[str, Entry]
    folders: frozenset[str]


class View:
    """Files and directories of one Source by path. Not for several threads at once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._contents = source.shot.contents()
        self._below: dict[str, set[str]] = {"": set()}
        for path in self._contents:
            child = path
            for parent in (*parents(path), ""):
                self._below.setdefault(parent, set()).add(child)
                child = parent
        self._root = lru_cache(_ROOTS_KEPT)(self._read_root)
        self._leaf = lru_cache(_LEAVES_KEPT)(self._read_leaf)

    def item(self, path: str) -> Item | None:
        """What is at ``path``; None where nothing is. Symbolic links are not followed.

        FormatError where a Pointer that may name it cannot be read; ObjectsMissingError or DamagedError where a
        Manifest cannot be had.
        """
        found = self._found(path)
        if found is None:
            self._check(path)
        return found

    def _found(self, path: str) -> Item | None:
        """As ``item``; whether a Pointer that cannot be read may name it is not asked."""
        content = self._contents.get(path)
        if content is not None:
            return Item(path, content.kind, content.size, content.files, content.oid)
        top = self._top(path)
        found = self._inside(top, path) if top else None
        if found is None and path in self._below:
            return Item(path, "dir", 0, 0, b"")
        return found

    def children(self, path: str) -> list[Item]:
        """What lies directly in the directory ``path``, by name. Errors as with ``item``."""
        self._check(path)
        top = path if path in self._contents else self._top(path)
        found: dict[str, Item] = {}
        if top and self._contents[top].is_dir:
            found = {item.path: item for item in self._children(top, path)}
        for name in self._below.get(path, ()):
            item = self.item(name)
            if item is not None:
                found[name] = item
        return sorted(found.values(), key=lambda item: item.path.encode())

    def resolved(self, path: str) -> Item | None:
        """As ``item``, with symbolic links followed; None where one leads to nothing that is tracked.

        UsageError where they lead in a circle.
        """
        return self._followed(path)[1]

    def _followed(self, path: str) -> tuple[str, Item | None]:
        """Where a path leads to, and what is there. Links may stand anywhere in it."""
        item = self.item(path)
        if item is not None and item.kind != "symlink":
            return path, item  # nothing lies behind a link: neither in a Manifest nor in Git
        links = 0
        here, left = "", path.split("/")[::-1]
        while left:
            name = left.pop()
            if name == "..":
                if not here:
                    return path, None
                here = posixpath.dirname(here)
            elif name not in ("", "."):
                at = posixpath.join(here, name)
                item = self._found(at)
                if item is None:
                    return posixpath.normpath("/".join([at, *left[::-1]])), None
                if item.kind != "symlink":
                    here = at
                    continue
                links += 1
                if links > _LINKS:
                    raise UsageError(
                        f"{path} is a symbolic link that leads in a circle", hint="`mlvc ls` shows what is around it"
                    )
                target = self._target(item)
                if target.startswith("/"):
                    return target, None
                left += target.split("/")[::-1]
        return here, self.item(here)

    def _target(self, item: Item) -> str:
        try:
            return load(self.source.reader, item.oid).decode(errors="surrogateescape")
        except (ObjectsMissingError, DamagedError) as error:
            raise self.source.lost(item.path, reason_of(error)) from None

    def file(self, path: str) -> Item:
        """The file at ``path``, links followed. UsageError where that is none. Errors as with ``item``."""
        path, item = self._followed(path)
        if item is None:
            raise self.source.untracked(path)
        if item.is_dir:
            raise UsageError(f"{path} is a directory", hint=f"`mlvc ls {path}` lists what is in it")
        return item

    def _top(self, path: str) -> str:
        """The tracked path that ``path`` lies in; '' where it lies in none."""
        return next((parent for parent in parents(path) if parent in self._contents), "")

    def _check(self, path: str) -> None:
        """Raise what is wrong with a Pointer that stands for ``path`` or for what is around or in it."""
        for name, error in self.source.shot.unreadable.items():
            if not path or name == path or name.startswith(path + "/") or path.startswith(name + "/"):
                raise error

    def _inside(self, top: str, path: str) -> Item | None:
        content = self._contents[top]
        if not content.is_dir:
            return None
        part = path[len(top) + 1 :]
        try:
            for leaf in manifest.around(self._root(content.oid).leaves, part):
                entries, folders = self._leaf(leaf)
                if part in entries:
                    return of_entry(top, entries[part])
                if part in folders:
                    return Item(path, "dir", 0, 0, b"")
        except (ObjectsMissingError, DamagedError) as error:
            raise self.source.lost(top, reason_of(error)) from None
        return None

    def _children(self, top: str, path: str) -> Sequence[Item]:
        try:
            found = manifest.children(self.source.reader, self._contents[top].oid, path[len(top) + 1 :])
        except (ObjectsMissingError, DamagedError) as error:
            raise self.source.lost(top, reason_of(error)) from None
        items = [Item(f"{top}/{one.path}", KINDS[one.kind], one.size, one.files, one.oid) for one in found]
        return [item for item in items if item.path != path]

    def _read_root(self, oid: bytes) -> Root:
        return manifest.root_of(self.source.reader, oid)

    def _read_leaf(self, leaf: Leaf) -> _Part:
        entries = {entry.path: entry for entry in manifest.leaf_of(self.source.reader, leaf)}
        return _Part(entries, frozenset(parent for path in entries for parent in parents(path)))


def of_entry(top: str, entry: Entry) -> Item:
    """An entry of the tracked directory ``top``."""
    is_dir = entry.kind == EMPTY_DIR
    return Item(f"{top}/{entry.path}", KINDS[entry.kind], entry.size, int(not is_dir), b"" if is_dir else entry.oid)
