"""The lines of mlvc in `.gitignore`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mlvc import codec, files
from mlvc.git import Git

_SPECIAL = frozenset("\\*?[]!# ")


def add(git: Git, paths: Iterable[str]) -> list[str]:
    """Make Git ignore these paths: a line each in the ``.gitignore`` beside them. The files that changed."""
    by_file: dict[str, list[str]] = {}
    for path in paths:
        directory, _, name = path.rpartition("/")
        by_file.setdefault(_ignore_file(directory), []).append("/" + _escape(name))
    changed = []
    for file, lines in by_file.items():
        full = os.path.join(git.root, file)
        old = files.read_or_none(full) or b""
        present = set(old.decode(errors="surrogateescape").splitlines())
        new = [line for line in dict.fromkeys(lines) if line not in present]
        if new:
            gap = "" if not old or old.endswith(b"\n") else "\n"
            files.replace(full, old + codec.ending_as(gap + "".join(f"{line}\n" for line in new), old))
            changed.append(file)
    return changed


def remove(git: Git, paths: Iterable[str]) -> list[str]:
    """Take the lines that ``ignore`` writes for these paths out again. The files that changed; an empty one goes."""
    by_file: dict[str, set[str]] = {}
    for path in paths:
        directory, _, name = path.rpartition("/")
        by_file.setdefault(_ignore_file(directory), set()).add("/" + _escape(name))
    changed = []
    for file, lines in by_file.items():
        full = os.path.join(git.root, file)
        old = (files.read_or_none(full) or b"").decode(errors="surrogateescape").splitlines(keepends=True)
        new = [line for line in old if line.rstrip("\r\n") not in lines]
        if new == old:
            continue
        if new:
            files.replace(full, "".join(new).encode(errors="surrogateescape"))
        else:
            files.remove(full)
        changed.append(file)
    return changed


@contextmanager
def adding(git: Git, paths: Iterable[str]) -> Iterator[list[str]]:
    """As ``ignore``; where what follows fails, all is as before. Yields the files that changed."""
    paths = list(paths)
    folders = {os.path.dirname(path) for path in paths}
    before = {name: files.read_or_none(os.path.join(git.root, name)) for name in map(_ignore_file, folders)}
    changed = add(git, paths)
    names = list(changed)
    try:
        yield changed
    except BaseException:
        for name in names:
            full, data = os.path.join(git.root, name), before[name]
            if data is None:
                files.remove(full)
            else:
                files.replace(full, data)
        raise


def _ignore_file(folder: str) -> str:
    return f"{folder}/.gitignore" if folder else ".gitignore"


def _escape(name: str) -> str:
    # A pattern cannot hold a line break; ? stands for any one character.
    return "".join("?" if c in "\n\r" else "\\" + c if c in _SPECIAL else c for c in name)
