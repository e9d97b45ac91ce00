"""Data and Stores that the tests of storage, transfer and workspace share."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from mlvc.hashing import Hashing
from mlvc.store import local
from mlvc.store.base import Lost, Reader, Store
from mlvc.store.blobs import Blobs, DirectoryBlobs
from mlvc.store.local import LocalStore
from mlvc.store.remote import RemoteStore
from mlvc.transfer import Result, fetch, plan_fetch, plan_push, push


@cache
def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress, the same for the same arguments."""
    return random.Random(seed).randbytes(size)


def open_local(root: str | os.PathLike[str], algorithm: str, *, loose: Callable[[], bool] = bool) -> LocalStore:
    """The Store at ``root``, made where there is none."""
    if not os.path.exists(os.path.join(root, "format")):
        local.create(os.fspath(root), Hashing(algorithm))
    return local.open_store(os.fspath(root), loose=loose)


def open_remote(blobs: Blobs, algorithm: str, catalog: str | os.PathLike[str] = ":memory:") -> RemoteStore:
    """A Remote as one client sees it; by default one that knows nothing of it yet."""
    return RemoteStore("there", "the place", blobs, Hashing(algorithm), os.fspath(catalog))


def put_all(store: Store, contents: Iterable[bytes]) -> list[bytes]:
    """Store small objects in one batch; their Oids."""
    with store.batch() as batch:
        oids: list[bytes] = [batch.put(data) for data in contents]
        batch.commit()
    return oids


def put_file(store: Store, data: bytes, path: Path) -> bytes:
    """Store a large object by way of a file at ``path``, which goes again; its Oid."""
    path.write_bytes(data)
    with store.batch() as batch:
        oid = batch.put_file(str(path))
        batch.commit()
    path.unlink()
    return oid


def read_all(store: Reader, oids: Iterable[bytes]) -> tuple[dict[bytes, bytes], Lost]:
    """What ``read`` hands out, each checked, and what is lost."""
    lost: Lost = {}
    found: dict[bytes, bytes] = {}
    for oid, data in store.read(oids, lost):
        assert oid not in found
        assert store.hashing.check(oid, data)
        found[oid] = bytes(data)
    return found, lost


def content(store: Reader, oid: bytes) -> bytes:
    """An object of any size, by ``stream``."""
    return b"".join(map(bytes, store.stream(oid)))


def part(store: Reader, oid: bytes, start: int, stop: int) -> bytes:
    """A part of an object."""
    return b"".join(map(bytes, store.part(oid, start, stop)))


def until(kind: type[Exception], pieces: Iterable[bytes | memoryview]) -> bytes:
    """What came before this error, which has to come."""
    received = bytearray()
    try:
        for piece in pieces:
            received.extend(piece)
    except kind:
        return bytes(received)
    raise AssertionError(f"no {kind.__name__} in {len(received)} bytes")


def send(store: LocalStore, remote: RemoteStore, oids: Iterable[bytes], *, jobs: int = 1) -> Result:
    """Push as the command does: make the Remote, read its listing, plan, send."""
    remote.begin()
    remote.refresh()
    return push(store, remote, plan_push(store, remote, oids), jobs=jobs)


def bring(store: LocalStore, remote: RemoteStore, oids: Iterable[bytes], *, jobs: int = 1) -> Result:
    """Fetch as the command does."""
    remote.refresh()
    return fetch(store, remote, plan_fetch(store, remote, oids), jobs=jobs)


def at_directory(root: str | os.PathLike[str], algorithm: str) -> RemoteStore:
    """A directory Remote, seen by a client that knows nothing of it yet."""
    return open_remote(DirectoryBlobs(os.fspath(root)), algorithm)


def flip(path: Path, at: int) -> None:
    """Change one bit of a file, which keeps its size."""
    mode = path.stat().st_mode
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    path.chmod(mode)


def packs(root: str | os.PathLike[str]) -> list[Path]:
    """The Pack files of a Store or of a directory Remote."""
    return sorted(Path(root, "packs").glob("*.pack"))


def snapshot(root: str | os.PathLike[str]) -> dict[str, tuple[str, bytes]]:
    """Everything below ``root``: kind and content by path. Directories are there when they are empty."""
    top = os.fspath(root)
    found: dict[str, tuple[str, bytes]] = {}
    for folder, folders, names in os.walk(top):
        for name in folders + names:
            path = os.path.join(folder, name)
            place = os.path.relpath(path, top)
            if os.path.islink(path):
                found[place] = ("l", os.fsencode(os.readlink(path)))
            elif os.path.isdir(path):
                if not os.listdir(path):
                    found[place] = ("d", b"")
            else:
                kind = "x" if os.stat(path).st_mode & 0o100 else "f"
                found[place] = (kind, Path(path).read_bytes())
    return found
