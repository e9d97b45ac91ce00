"""How a large object gets into the working tree: sharing blocks, linked, or copied."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from mlvc import files
from mlvc.directio import WORTHWHILE, Writer
from mlvc.manifest import EXECUTABLE, Entry
from mlvc.store.local import LocalStore

COPY, REFLINK, HARDLINK, SYMLINK = "copy", "reflink", "hardlink", "symlink"
UNSHARED = (REFLINK, COPY)
"""Those that give a file of its own: who writes to it changes nothing in the Store."""


def can_reflink(source_dir: str, target_dir: str) -> bool:
    """Whether files of one directory can share blocks with files of the other; found by trying."""
    source = os.path.join(source_dir, f".mlvc-tmp-{os.getpid()}-a")
    target = os.path.join(target_dir, f".mlvc-tmp-{os.getpid()}-b")
    try:
        files.replace(source, b"x" * 4096, durable=False)
        return files.reflink(source, target)
    except OSError:
        return False
    finally:
        for path in (source, target):
            with suppress(OSError):
                files.remove(path)


def tried(source_dir: str, target_dir: str) -> dict[str, bool]:
    """Which link types work from files of one directory to another; both are left as they were."""
    source, target = os.path.join(source_dir, "link-from"), os.path.join(target_dir, "link-to")
    files.replace(source, b"x" * 4096, durable=False)
    found = {}
    try:
        for link in (REFLINK, HARDLINK, SYMLINK):
            try:
                found[link] = _linked(link, source, target)
            except OSError:
                found[link] = False
            files.remove(target)
    finally:
        files.remove(source)
    return {**found, COPY: True}


def place(
    store: LocalStore,
    entry: Entry,
    target: str,
    links: Sequence[str],
    *,
    home: str = "",
    told: Callable[[int], object] = bool,
) -> str:
    """Make ``target``, which does not exist, the content of ``entry``. Returns the link type that worked.

    ``told`` is called with the number of bytes that were copied, again and again; for a link not at all.
    ``home``: the directory that ``target`` will be moved to; a symbolic link then leads from there to the Store, so
    that both may be moved together. Without one it is absolute.
    The content is hashed first or on the way. A linked file shares its permission bits with the
    Store, so that an executable one is copied.
    """
    for link in links:
        if link == COPY or entry.kind == EXECUTABLE:
            break
        if link == REFLINK and not os.path.exists(store.loose.path(entry.oid)):
            continue
        source = store.make_loose(entry.oid)
        if not store.loose.check(entry.oid):
            break  # the copy below says what is wrong
        store.loose.protect(entry.oid)
        if link == SYMLINK and home:
            source = os.path.relpath(source, home)
        if _linked(link, source, target):
            return link
    _copy(store, entry, target, told)
    return COPY


def _linked(link: str, source: str, target: str) -> bool:
    if link == REFLINK:
        return files.reflink(source, target)
    try:
        if link == HARDLINK:
            os.link(source, target)
        else:
            os.symlink(source, target)
    except OSError:
        return False
    return True


def _copy(store: LocalStore, entry: Entry, target: str, told: Callable[[int], object]) -> None:
    if entry.kind != EXECUTABLE and store.take_copy(entry.oid, target):
        return
    mode = 0o777 if entry.kind == EXECUTABLE else 0o666
    try:
        with Writer(target, mode, direct=entry.size >= WORTHWHILE) as file:
            for part in store.stream(entry.oid):
                file.write(part)
                told(len(part))
            file.finish(durable=False)
    except BaseException:
        files.remove(target)
        raise
