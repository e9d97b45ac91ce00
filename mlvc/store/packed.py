"""Reading objects out of Packs, here or on a Remote: a Catalog, and something that reads ranges."""

from __future__ import annotations

import errno
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import accumulate
from typing import Protocol

from mlvc.errors import DamagedError, ObjectsMissingError
from mlvc.hashing import Hashing
from mlvc.store.base import FETCH, Lost, loss
from mlvc.store.catalog import Catalog, Location
from mlvc.store.pack import DATA, RECIPE, FrameReader, decode_recipe

_FRAMES_KEPT = 8
_CHUNKS_AT_ONCE = 4096
_LAYOUTS_KEPT = 8
_NOTHING = memoryview(b"")


class Ranges(Protocol):
    """Where the bytes of Packs come from."""

    def range(self, pack: str, start: int, length: int) -> bytes:
        """``length`` bytes of a Pack; fewer, or OSError, where they are not there."""


Layout = tuple[list[tuple[bytes, int]], list[int]]
"""The chunks of a large object, and where each one ends in it."""

Ahead = Callable[[Sequence[Location]], AbstractContextManager[Ranges]]


class Packed:
    """The objects in the Packs that a Catalog lists. Everything is hashed on its way out.

    ``damaged`` gathers the Packs in which an object did not hash to its Oid.
    """

    def __init__(self, catalog: Catalog, ranges: Ranges, hashing: Hashing, *, ahead: Ahead | None = None) -> None:
        """``ahead`` is told which places will be read, in their order, and gives the Ranges to read them through."""
        self.catalog = catalog
        self.damaged: set[str] = set()
        self._ranges = ranges
        self._ahead = ahead or (lambda _: nullcontext(ranges))
        self._hashing = hashing
        self._frames = FrameReader(hashing.size)
        self._kept: OrderedDict[tuple[str, int], memoryview] = OrderedDict()
        self._layouts: OrderedDict[bytes, Layout] = OrderedDict()

    def missing(self, oids: Iterable[bytes]) -> set[bytes]:
        """Those of ``oids`` that no Pack has, or whose chunks are not all in Packs."""
        wanted = set(oids)
        missing = self.catalog.missing(wanted)
        recipes = self.catalog.recipes(wanted - missing) - self.catalog.whole(wanted)
        if not recipes:
            return missing
        whole = {location.oid for location in self.catalog.locate(recipes, kind=DATA)}
        whole.update(oid for oid, chunks in self.recipes(recipes - whole) if self.complete(chunks))
        self.catalog.set_whole(whole)
        return missing | (recipes - whole)

    def complete(self, chunks: Collection[tuple[bytes, int]]) -> bool:
        """Whether every chunk of a recipe lies in some Pack."""
        return not self.catalog.missing({chunk for chunk, _ in chunks})

    def fits(self, chunks: Collection[tuple[bytes, int]]) -> bool:
        """As ``complete``, and the chunks have the lengths that the recipe says: no bit of it is wrong."""
        places = self.catalog.locate({chunk for chunk, _ in chunks}, kind=DATA)
        lengths = {location.oid: location.length for location in places}
        return all(lengths.get(chunk) == length for chunk, length in chunks)

    def recipes(self, oids: Collection[bytes]) -> Iterator[tuple[bytes, list[tuple[bytes, int]]]]:
        """The recipes of those of ``oids`` that have one, in the order in which they are cheapest to read."""
        located = self.catalog.locate(oids, kind=RECIPE)
        with self._ahead(located) as ranges:
            for location in located:
                chunks = self.recipe(location.oid, ranges)
                if chunks is not None:
                    yield location.oid, chunks

    def recipe(self, oid: bytes, ranges: Ranges | None = None) -> list[tuple[bytes, int]] | None:
        """The ``(oid, length)`` of the chunks of a large object; None where it is not kept as chunks."""
        found = [
            chunks
            for location in self.catalog.everywhere(oid)
            if location.kind == RECIPE and (chunks := self.recipe_at(location, ranges)) is not None
        ]
        if len(found) < 2:
            return found[0] if found else None
        # One of them may be damaged in a way that it does not show by itself.
        return next((chunks for chunks in found if self.complete(chunks)), found[-1])

    def makes(self, chunks: list[tuple[bytes, int]], oid: bytes) -> bool:
        """Whether the chunks of a recipe, read now, make up ``oid``."""
        hasher = self._hashing.new()
        try:
            for part in self._chunks(oid, chunks):
                hasher.update(part)
        except (DamagedError, ObjectsMissingError):
            return False
        return hasher.digest() == oid

    def recipe_at(self, location: Location, ranges: Ranges | None = None) -> list[tuple[bytes, int]] | None:
        """The recipe at one place, None where none can be read there. Only its chunks tell whether it is right."""
        try:
            return decode_recipe(self._slice(location, ranges or self._ranges), self._hashing.size)
        except (DamagedError, OSError) as error:
            _reason(error)
            self.damaged.add(location.pack)
            return None

    def members(self, oids: Iterable[bytes]) -> set[bytes]:
        """``oids`` together with the chunks of the large ones: everything that must travel."""
        wanted = set(oids)
        chunks: set[bytes] = set()
        for _, recipe in self.recipes(self.catalog.recipes(wanted)):
            chunks.update(chunk for chunk, _ in recipe)
        return wanted | chunks

    def read(self, oids: Iterable[bytes], lost: Lost) -> Iterator[tuple[bytes, memoryview]]:
        """The objects in the order in which they lie in the Packs. See Store.read."""
        wanted = set(oids)
        located = self.catalog.locate(wanted, kind=DATA)
        of = self._hashing.of
        with self._ahead(located) as ranges:
            for location in located:
                if location.oid not in wanted:
                    continue  # of a damaged Catalog
                wanted.discard(location.oid)
                try:
                    data = self._slice(location, ranges)
                    reason = "" if of(data) == location.oid else "damaged"
                except (DamagedError, OSError) as error:
                    reason = _reason(error)
                if not reason:
                    yield location.oid, data
                elif (other := self._elsewhere(location)) is not None:
                    yield location.oid, other
                else:
                    lost[location.oid] = reason
        for oid in wanted:
            yield from self._join(oid, lost)

    def _join(self, oid: bytes, lost: Lost) -> Iterator[tuple[bytes, memoryview]]:
        if not self.catalog.recipes([oid]):
            lost[oid] = "missing"
            return
        try:
            data = b"".join(self.stream(oid))
        except DamagedError:
            lost[oid] = "damaged"
        except ObjectsMissingError:
            lost[oid] = "missing"
        else:
            yield oid, memoryview(data)

    def at(self, location: Location) -> memoryview | None:
        """The object of kind data at one place; None where what lies there is not that object."""
        try:
            data = self._slice(location, self._ranges)
        except (DamagedError, OSError) as error:
            _reason(error)
            return None
        return data if self._hashing.of(data) == location.oid else None

    def _elsewhere(self, bad: Location) -> memoryview | None:
        """The object from another Pack than the one where it could not be read."""
        self.damaged.add(bad.pack)
        for location in self.catalog.everywhere(bad.oid):
            if location.pack != bad.pack and location.kind == DATA:
                data = self.at(location)
                if data is not None:
                    return data
        return None

    def stream(self, oid: bytes) -> Iterator[memoryview]:
        """The content of an object in parts. See Store.stream."""
        chunks = self.recipe(oid)
        if chunks is None:
            if self.catalog.recipes([oid]) and not self.catalog.locate({oid}, kind=DATA):
                raise loss(oid, "damaged")  # its recipe cannot be read
            lost: Lost = {}
            for _, data in self.read([oid], lost):
                yield data
            if lost:
                raise loss(oid, lost[oid])
            return
        hasher = self._hashing.new()
        for part in self._chunks(oid, chunks):
            hasher.update(part)
            yield part
        if hasher.digest() != oid:
            self.damaged.update(location.pack for location in self.catalog.everywhere(oid) if location.kind == RECIPE)
            raise DamagedError(f"the chunks of object {oid.hex()[:10]} do not make it up")

    def part(self, oid: bytes, start: int, stop: int) -> Iterator[memoryview]:
        """A part of an object. See Reader.part."""
        layout = self._layout(oid)
        if layout is None:
            yield memoryview(b"".join(self.stream(oid)))[start:stop]
            return
        chunks, ends = layout
        first, last = bisect_right(ends, start), bisect_left(ends, stop)
        wanted = chunks[first : last + 1] if start < stop else []
        for number, data in enumerate(self._chunks(oid, wanted), first):
            begin = ends[number] - len(data)
            if len(data) != chunks[number][1]:
                raise DamagedError(f"the list of the chunks of object {oid.hex()[:10]} is wrong", hint=FETCH)
            yield data[max(0, start - begin) : stop - begin]

    def _layout(self, oid: bytes) -> Layout | None:
        """None where the object is not kept as chunks, or the list of them cannot be read."""
        layout = self._layouts.get(oid)
        if layout is None:
            chunks = self.recipe(oid)
            if chunks is None:
                return None
            layout = self._layouts[oid] = (chunks, list(accumulate(length for _, length in chunks)))
            if len(self._layouts) > _LAYOUTS_KEPT:
                self._layouts.popitem(last=False)
        return layout

    def _chunks(self, oid: bytes, chunks: list[tuple[bytes, int]]) -> Iterator[memoryview]:
        """The chunks in order. After one that is lost the others are still looked at, so that all damage is known."""
        lost = ""
        for at in range(0, len(chunks), _CHUNKS_AT_ONCE):
            batch = [chunk for chunk, _ in chunks[at : at + _CHUNKS_AT_ONCE]]
            places = {location.oid: location for location in self.catalog.locate(batch, kind=DATA)}
            with self._ahead([places[chunk] for chunk in batch if chunk in places]) as ranges:
                for chunk in batch:
                    data, reason = self._chunk(places.get(chunk), ranges)
                    lost = lost or reason
                    if not lost:
                        yield data
        if lost:
            raise loss(oid, lost)

    def _chunk(self, location: Location | None, ranges: Ranges) -> tuple[memoryview, str]:
        """A chunk, and '' or why there is none."""
        if location is None:
            return _NOTHING, "missing"
        try:
            data = self._slice(location, ranges)
            if self._hashing.of(data) == location.oid:
                return data, ""
            reason = "damaged"
        except (DamagedError, OSError) as error:
            reason = _reason(error)
        other = self._elsewhere(location)
        return (_NOTHING, reason) if other is None else (other, "")

    def _slice(self, location: Location, ranges: Ranges) -> memoryview:
        payload = self._payload(location, ranges)
        return payload[location.start : location.start + location.length]

    def _payload(self, location: Location, ranges: Ranges) -> memoryview:
        key = (location.pack, location.frame)
        payload = self._kept.get(key)
        if payload is None:
            frame = ranges.range(location.pack, location.frame, location.extent)
            payload = self._frames.payload(frame)
            self._kept[key] = payload
            if len(self._kept) > _FRAMES_KEPT:
                self._kept.popitem(last=False)
        return payload

    def forget(self) -> None:
        """Drop what of the Packs is kept in memory."""
        self._kept.clear()
        self._layouts.clear()


def _reason(error: DamagedError | OSError) -> str:
    """Why an object is lost; the error itself where it says nothing of the object: no memory, no permission."""
    if isinstance(error, FileNotFoundError):
        return "missing"
    if isinstance(error, OSError) and error.errno != errno.EIO:
        raise error
    return "damaged"
