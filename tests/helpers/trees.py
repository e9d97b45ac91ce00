"""A working tree with its Store and Index, and the steps of add and checkout on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from mlvc.pointer import Content
from mlvc.store.local import LocalStore
from mlvc.workspace import checkout
from mlvc.workspace.checkout import Done
from mlvc.workspace.index import Index
from mlvc.workspace.tree import Look, WorkTree
from tests.helpers.stores import open_local


class Place:
    """``work`` below ``top`` is the working tree; the Store and the Index are in ``work/.git/mlvc``."""

    def __init__(self, top: Path, algorithm: str = "xxh128", *, loose: Callable[[], bool] = bool) -> None:
        self.root = top / "work"
        self.private = self.root / ".git/mlvc"
        self.private.mkdir(parents=True, exist_ok=True)
        self.store: LocalStore = open_local(self.private, algorithm, loose=loose)
        index = Index(str(self.private / "index.sqlite"), self.store.hashing.size)
        self.tree = WorkTree(str(self.root), index, self.store.hashing, loose=str(self.private / "loose"))

    def look(self, path: str = "data") -> Look:
        """What stands at ``path``."""
        return self.tree.look([path])[path]

    def add(self, path: str = "data") -> Content | None:
        """Store what stands at ``path``."""
        return self.tree.store([path], self.store)[path].content

    def checkout(
        self,
        content: Content | None,
        path: str = "data",
        *,
        links: Sequence[str] = ("copy",),
        force: bool = False,
        relink: bool = False,
    ) -> Done:
        """Bring ``path`` to ``content``, as the command does."""
        asked = checkout.Asked(force=force, relink=relink)
        plans, lost = checkout.plan(self.tree, self.store, {path: content}, asked=asked)
        if not force:
            checkout.guard(plans)
        done = checkout.execute(self.tree, self.store, plans, links=links)
        return Done(done.changes, {**lost, **done.lost})

    def forget(self) -> None:
        """Delete the Index."""
        self.tree.close()
        for path in self.private.glob("index.sqlite*"):
            path.unlink()

    def close(self) -> None:
        """Let go of the files."""
        self.tree.close()
        self.store.close()

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def make(root: Path, files: Mapping[str, bytes | str | None]) -> None:
    """Files by path: bytes are the content, text is where a link leads, None is an empty directory."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        elif isinstance(content, str):
            os.symlink(content, path)
        else:
            path.write_bytes(content)


def wipe(path: Path) -> None:
    """Remove whatever is at ``path``."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
