"""What a Store is, whatever it is made of. Every implementation passes tests/contract/store.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, Self

from mlvc.errors import DamagedError, ObjectsMissingError
from mlvc.hashing import Hashing
from mlvc.oid import Oid, short

LARGE = 1 << 20
"""Bytes from which an object is kept whole or in chunks, and no longer packed with others."""

MISNAMED = "of another size than its Pointer says"
"""Why a path cannot be made whose object is here."""

Lost = dict[bytes, str]
"""Objects that could not be handed out, each with the reason: ``missing`` or ``damaged``."""


class Batch(Protocol):
    """Objects on their way into a Store. Nothing is visible, and nothing is lost, before ``commit``."""

    def put(self, data: bytes) -> Oid:
        """Take in a small object. Its Oid."""

    def put_hashed(self, objects: Sequence[tuple[bytes, bytes]]) -> None:
        """Take in many small objects whose Oids the caller has just computed from these bytes."""

    def put_file(self, path: str, told: Callable[[int], object] = bool) -> Oid:
        """Take in a large file of any size. It is hashed as it is read. Its Oid.

        ``told`` is called with the number of bytes that were read, again and again; perhaps not with all of them.
        """

    def commit(self) -> None:
        """Make everything durable, then visible, in the order of design invariant 2."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """Forget what was not committed."""


class Reader(Protocol):
    """Bytes by Oid, to read. Everything that it hands out was hashed on the way out."""

    hashing: Hashing

    def missing(self, oids: Iterable[bytes]) -> set[bytes]:
        """Those of ``oids`` that are not here, or not with all their chunks."""

    def read(self, oids: Iterable[bytes], lost: Lost) -> Iterator[tuple[bytes, bytes | memoryview]]:
        """Small objects in the order in which they are cheapest to read; each Oid once.

        What is missing or damaged is not yielded: it is in ``lost`` when the iteration ends. A
        yielded buffer is valid until the next one.
        """

    def stream(self, oid: bytes) -> Iterator[bytes | memoryview]:
        """The content of an object of any size, in parts.

        ObjectsMissingError or DamagedError may come in the middle or after the last part: what was
        received is good only when the iteration has ended.
        """

    def part(self, oid: bytes, start: int, stop: int) -> Iterator[bytes | memoryview]:
        """The bytes from ``start`` to ``stop`` of an object of any size, in parts; fewer where it ends before that.

        Each chunk was hashed on its way out, and a small object as a whole. A large object that is kept as a whole
        file is not hashed for a part of it. ObjectsMissingError or DamagedError may come in the middle.
        """


class Store(Reader, Protocol):
    """A Reader that takes in new objects."""

    def batch(self) -> Batch:
        """A way in for new objects."""

    def close(self) -> None:
        """Let go of files and connections."""


def load(store: Reader, oid: bytes) -> bytes:
    """A small object in memory; ObjectsMissingError or DamagedError where it cannot be had."""
    lost: Lost = {}
    for _, data in store.read([oid], lost):
        return bytes(data)
    raise loss(oid, lost.get(oid, "missing"))


def reason_of(error: DamagedError | ObjectsMissingError) -> str:
    """``missing`` or ``damaged``: why an object could not be had."""
    return "damaged" if isinstance(error, DamagedError) else "missing"


def loss(oid: bytes, reason: str) -> DamagedError | ObjectsMissingError:
    """The error for an object that is ``missing`` or ``damaged``."""
    if reason == "damaged":
        return DamagedError(f"object {short(oid)} is damaged", hint=FETCH)
    return ObjectsMissingError(f"object {short(oid)} is not in the store", hint=FETCH)


FETCH = "get it from a remote with `mlvc fetch`"


class MemoryStore:
    """A Store in memory: for what is read at once and looked at in parts, and for tests."""

    def __init__(self, hashing: Hashing) -> None:
        self.hashing = hashing
        self.objects: dict[bytes, bytes] = {}

    def missing(self, oids: Iterable[bytes]) -> set[bytes]:
        """Those of ``oids`` that are not here."""
        return {oid for oid in oids if oid not in self.objects}

    def read(self, oids: Iterable[bytes], lost: Lost) -> Iterator[tuple[bytes, bytes | memoryview]]:
        """The objects, hashed."""
        for oid in dict.fromkeys(oids):
            data = self.objects.get(oid)
            if data is None:
                lost[oid] = "missing"
            elif not self.hashing.check(oid, data):
                lost[oid] = "damaged"
            else:
                yield oid, data

    def stream(self, oid: bytes) -> Iterator[bytes | memoryview]:
        """The object in one part."""
        yield load(self, oid)

    def part(self, oid: bytes, start: int, stop: int) -> Iterator[bytes | memoryview]:
        """A part of the object."""
        yield memoryview(load(self, oid))[start:stop]

    def batch(self) -> MemoryBatch:
        """A way in."""
        return MemoryBatch(self)

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryBatch:
    """The way into a MemoryStore."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._new: dict[bytes, bytes] = {}

    def put(self, data: bytes) -> Oid:
        """Take in a small object."""
        oid = Oid(self._store.hashing.of(data))
        self._new[oid] = bytes(data)
        return oid

    def put_hashed(self, objects: Sequence[tuple[bytes, bytes]]) -> None:
        """Take in small objects."""
        self._new.update((oid, bytes(data)) for oid, data in objects)

    def put_file(self, path: str, told: Callable[[int], object] = bool) -> Oid:  # noqa: ARG002  (all at once)
        """Take in a file."""
        with open(path, "rb") as file:
            return self.put(file.read())

    def commit(self) -> None:
        """Make all of it visible."""
        self._store.objects.update(self._new)
        self._new = {}

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget what was not committed."""
        self._new = {}
