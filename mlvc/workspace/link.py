"""How a large object gets into the working tree: sharing blocks, linked, or copied."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from mlvc import files
from mlvc.store.local import LocalStore

COPY, REFLINK, HARDLINK, SYMLINK = "copy", "reflink", "hardlink", "symlink"


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


def place(store: LocalStore, oid: bytes, target: str, *, links: Sequence[str], executable: bool) -> str:
    """Make ``target``, which does not exist, the content ``oid``. Returns the link type that worked.

    The content is hashed first or on the way. A linked file shares its permission bits with the
    Store, so that an executable one is copied.
    """
    for link in links:
        if link == COPY or executable:
            break
        if link == REFLINK and not os.path.exists(store.loose.path(oid)):
            continue
        source = store.make_loose(oid)
        if not store.loose.check(oid):
            break  # the copy below says what is wrong
        if _linked(link, source, target):
            return link
    _copy(store, oid, target, executable=executable)
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


def _copy(store: LocalStore, oid: bytes, target: str, *, executable: bool) -> None:
    fd = os.open(target, files.CREATE, 0o777 if executable else 0o666)
    try:
        for part in store.stream(oid):
            files.write_all(fd, part)
    except BaseException:
        os.close(fd)
        files.remove(target)
        raise
    os.close(fd)
