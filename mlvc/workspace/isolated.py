"""A directory that holds some files of the working tree and no others: a command that runs there finds nothing else.

Files are copied, and large ones share blocks where the file system can do that. They are never linked: a command may
write to what it finds, and a link would lead to the user's own file, or into the Store. They keep their times, so that
a look at these tells whether the command has written to one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable
from contextlib import suppress

from mlvc import files
from mlvc.manifest import EMPTY_DIR, EXECUTABLE, SYMLINK, Entry
from mlvc.store.base import LARGE


def fill(source: str, target: str, entries: Iterable[Entry]) -> None:
    """Bring ``entries`` of the directory ``source``, paths below it, to the directory ``target``, which is there.

    OSError where a file is gone by now.
    """
    made = {""}
    for entry in entries:
        parent = entry.path.rpartition("/")[0] if entry.kind != EMPTY_DIR else entry.path
        if parent not in made:
            os.makedirs(f"{target}/{parent}", exist_ok=True)
            made.add(parent)
        if entry.kind == SYMLINK:
            os.symlink(os.readlink(f"{source}/{entry.path}"), f"{target}/{entry.path}")
        elif entry.kind != EMPTY_DIR:
            _place(f"{source}/{entry.path}", f"{target}/{entry.path}", entry)


def _place(source: str, target: str, entry: Entry) -> None:
    if entry.size >= LARGE and entry.kind != EXECUTABLE:
        with suppress(OSError):
            if files.reflink(source, target):
                info = os.stat(source)
                os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
                return
    _copy(source, target, 0o777 if entry.kind == EXECUTABLE else 0o666)


def _copy(source: str, target: str, mode: int) -> None:
    # Few calls: there may be very many small files.
    old = os.open(source, files.READ)
    try:
        info = os.fstat(old)
        new = os.open(target, files.CREATE, mode)
        try:
            if info.st_size < LARGE:
                files.write_all(new, os.read(old, info.st_size + 1))
            else:
                files.copy_fd(old, new, info.st_size)
            os.utime(new if os.utime in os.supports_fd else target, ns=(info.st_atime_ns, info.st_mtime_ns))
        finally:
            os.close(new)
    finally:
        os.close(old)


def written(source: str, target: str, entries: Iterable[Entry]) -> str:
    """The first of the files that were brought by ``fill`` and are not what they were; '' where all are."""
    for entry in entries:
        if entry.kind in (SYMLINK, EMPTY_DIR):
            continue
        try:
            old, new = os.stat(f"{source}/{entry.path}"), os.stat(f"{target}/{entry.path}")
        except OSError:
            return entry.path
        if (old.st_size, old.st_mtime_ns) != (new.st_size, new.st_mtime_ns) or not stat.S_ISREG(new.st_mode):
            return entry.path
    return ""


Standing = dict[str, tuple[int, ...]]
"""What is below a directory, by path: of a file its mode, inode, size and time, of a directory nothing."""


def standing(top: str, known: Container[str] | None = None) -> Standing:
    """What is below the directory ``top`` now; of directories that are not ``known`` only that they are there."""
    found: Standing = {}
    todo = [""]
    while todo:
        folder = todo.pop()
        with suppress(OSError), os.scandir(f"{top}/{folder}") as entries:  # one that cannot be read holds nothing
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if not entry.is_dir(follow_symlinks=False):
                    info = entry.stat(follow_symlinks=False)
                    found[path] = (info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns)
                    continue
                found[path] = ()
                if known is None or path in known:
                    todo.append(path)
    return found


def tidy(top: str, before: Standing) -> str:
    """Remove from the directory ``top`` what was not ``before`` in it.

    A path of what was, and is not as it was; '' where there is none, and then ``top`` is as it was on return.
    """
    now = standing(top, before)
    for path in now.keys() - before.keys():
        (files.remove if now[path] else files.remove_tree)(f"{top}/{path}")
    return next((path for path, known in before.items() if now.get(path) != known), "")


def bring_back(source: str, target: str, paths: Iterable[str]) -> None:
    """Move what was made at ``paths`` of the directory ``source`` to ``target``, where nothing is there yet."""
    for path in paths:
        if files.exists(f"{source}/{path}"):
            files.move(f"{source}/{path}", f"{target}/{path}")
