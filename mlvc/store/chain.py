"""A Store with a Remote behind it, read as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from mlvc.errors import DamagedError, ObjectsMissingError
from mlvc.hashing import Hashing
from mlvc.store.base import Lost, loss
from mlvc.store.local import LocalStore
from mlvc.store.remote import RemoteStore


class Chain:
    """Reads from a Store first, and from a Remote what is not there. See Reader; nothing is kept.

    Either may be absent, and is opened when it is first needed. The Remote comes with its listing read.
    """

    def __init__(
        self, hashing: Hashing, near: Callable[[], LocalStore | None], far: Callable[[], RemoteStore | None]
    ) -> None:
        self.hashing = hashing
        self._open_near = near
        self._open_far = far

    @cached_property
    def near(self) -> LocalStore | None:
        """The Store, if there is one."""
        return self._open_near()

    @cached_property
    def far(self) -> RemoteStore | None:
        """The Remote, if there is one; MlvcError where it cannot be used."""
        return self._open_far()

    def missing(self, oids: Iterable[bytes]) -> set[bytes]:
        """Those that neither has."""
        missing = set(oids)
        for store in self._asked():
            missing = store.missing(missing) if missing else missing
        return missing

    def read(self, oids: Iterable[bytes], lost: Lost) -> Iterator[tuple[bytes, bytes | memoryview]]:
        """Small objects. See Reader."""
        left: Lost = dict.fromkeys(oids, "missing")
        if left and self.near is not None:
            inner: Lost = {}
            yield from self.near.read(left, inner)
            left = inner
        if left and self.far is not None:
            inner = {}
            yield from self.far.read(left, inner)
            left = {oid: "damaged" if left[oid] == "damaged" else reason for oid, reason in inner.items()}
        lost.update(left)

    def stream(self, oid: bytes) -> Iterator[bytes | memoryview]:
        """An object of any size. See Reader. A damaged one comes from the Remote where nothing was handed out yet."""
        near = self.near
        if near is not None and not near.missing([oid]):
            begun = False
            try:
                for part in near.stream(oid):
                    begun = True
                    yield part
            except (DamagedError, ObjectsMissingError):
                if begun or self.far is None or self.far.missing([oid]):
                    raise
            else:
                return
        if self.far is None:
            raise loss(oid, "missing")
        yield from self.far.stream(oid)

    def part(self, oid: bytes, start: int, stop: int) -> Iterator[bytes | memoryview]:
        """A part of an object. See Reader. What is damaged here comes from the Remote."""
        near = self.near
        if near is not None and not near.missing([oid]):
            try:
                for data in near.part(oid, start, stop):
                    start += len(data)
                    yield data
            except (DamagedError, ObjectsMissingError):
                if self.far is None or self.far.missing([oid]):
                    raise
            else:
                return
        if self.far is None:
            raise loss(oid, "missing")
        yield from self.far.part(oid, start, stop)

    def _asked(self) -> Iterator[LocalStore | RemoteStore]:
        if self.near is not None:
            yield self.near
        if self.far is not None:
            yield self.far
