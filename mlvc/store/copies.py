"""Files of large objects, written while the Packs that hold them arrive.

A pull into a clone needs the bytes of a large object twice: in Packs of the Store, and as a file of the working tree.
Made from the Packs afterwards, the file costs reading all of them back from the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from mlvc import files
from mlvc.directio import WORTHWHILE, Writer
from mlvc.errors import DamagedError
from mlvc.store.catalog import Catalog, Location
from mlvc.store.pack import DATA, FrameReader

if TYPE_CHECKING:
    from mlvc.hashing import Hashing

Recipe = list[tuple[bytes, int]]


Part = tuple[Location, tuple[bytes, ...]]
"""Where a chunk lies, and the objects that it is the next part of."""

_AT_ONCE = 4
"""Files that are written at once; each has two buffers. An object that would need one more is not copied."""


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """Which objects can be copied: those whose chunks lie one after the other in Packs that come whole.

    ``packs``: the Packs in the order in which they must come, each with its chunks in order. ``recipes``: the objects.
    """

    packs: Mapping[str, tuple[Part, ...]]
    recipes: Mapping[bytes, Recipe]


NOTHING = CopyPlan({}, {})


def plan_copies(catalog: Catalog, recipes: Iterable[tuple[bytes, Recipe]], packs: Collection[str]) -> CopyPlan:
    """What can be copied of the objects with these recipes, while ``packs`` arrive."""
    wanted = dict(recipes)
    chunks = {chunk for recipe in wanted.values() for chunk, _ in recipe}
    places = {place.oid: place for place in catalog.locate(chunks, kind=DATA) if place.pack in packs}
    located = {
        oid: [places[chunk] for chunk, _ in recipe]
        for oid, recipe in wanted.items()
        if recipe and all(chunk in places for chunk, _ in recipe)
    }
    located = {oid: found for oid, found in located.items() if _is_in_one_piece(found)}
    order = _order(located.values())
    if not order and located:
        # Each wants its Packs in another order.
        largest = max(located, key=lambda oid: len(located[oid]))
        located = {largest: located[largest]}
        order = _order(located.values())
    parts: dict[str, dict[Location, list[bytes]]] = {pack: {} for pack in order}
    for oid, found in located.items():
        for place in found:
            parts[place.pack].setdefault(place, []).append(oid)
    return CopyPlan(
        {pack: tuple((place, tuple(parts[pack][place])) for place in sorted(parts[pack])) for pack in order},
        {oid: wanted[oid] for oid in located},
    )


def _is_in_one_piece(places: Sequence[Location]) -> bool:
    """Whether these places follow each other: in one Pack from front to back, then in another one."""
    ranks = {pack: rank for rank, pack in enumerate(dict.fromkeys(place.pack for place in places))}
    return all(a < b for a, b in pairwise((ranks[place.pack], place.frame, place.start) for place in places))


def _order(objects: Collection[Sequence[Location]]) -> list[str]:
    """The Packs in an order that suits every object; none where there is no such order."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for places in objects:
        packs = list(dict.fromkeys(place.pack for place in places))
        sorter.add(packs[0])
        for before, pack in pairwise(packs):
            sorter.add(pack, before)
    try:
        sorter.prepare()
    except CycleError:
        return []
    order = []
    ready = sorted(sorter.get_ready())
    while ready:
        order.append(ready.pop())  # the one that came last: so that an object is followed to its end
        sorter.done(order[-1])
        ready += sorted(sorter.get_ready())
    return order


class Copies:
    """The files of a CopyPlan. ``done`` names those that are whole, and hashed to their Oids as they were written.

    The Packs come in the order of the plan, each from front to back. What is not done is removed at the end.
    """

    def __init__(self, plan: CopyPlan, scratch: files.Scratch, hashing: Hashing) -> None:
        self.plan = plan
        self.done: dict[bytes, str] = {}
        self._scratch = scratch
        self._hashing = hashing
        self._frames = FrameReader(hashing.size)
        self._open: dict[bytes, _Copy] = {}
        self._given_up: set[bytes] = set()

    def follow(self, pack: str) -> Callable[[bytes | memoryview], None]:
        """What is to be called with each part of a Pack as it comes."""
        return _Cutter(self.plan.packs.get(pack, ()), self._frame).take

    def give_up(self, packs: Iterable[str]) -> None:
        """Forget the objects that have a part in Packs which did not come."""
        for pack in packs:
            for _, oids in self.plan.packs.get(pack, ()):
                for oid in oids:
                    self._drop(oid)

    def _frame(self, frame: memoryview, parts: Sequence[Part]) -> None:
        try:
            payload = self._frames.payload(frame)
        except DamagedError:
            for _, oids in parts:
                for oid in oids:
                    self._drop(oid)
            return
        for place, oids in parts:
            data = payload[place.start : place.start + place.length]
            for oid in oids:
                if oid not in self._given_up:
                    try:
                        self._append(oid, data)
                    except OSError:  # a full disk: the Packs come first, and checkout says what is wrong
                        self._drop(oid)

    def _append(self, oid: bytes, data: memoryview) -> None:
        recipe = self.plan.recipes[oid]
        copy = self._open.get(oid)
        if copy is None:
            if len(self._open) == _AT_ONCE:
                self._given_up.add(oid)
                return
            size = sum(length for _, length in recipe)
            copy = self._open[oid] = _Copy(self._scratch.name(), size, self._hashing)
        copy.append(data)
        if copy.parts == len(recipe):
            path = copy.finish()
            del self._open[oid]
            if copy.hasher.digest() == oid:
                self.done[oid] = path
            else:
                files.remove(path)

    def _drop(self, oid: bytes) -> None:
        self._given_up.add(oid)
        copy = self._open.pop(oid, None)
        if copy is not None:
            copy.close()
        path = self.done.pop(oid, "")
        if path:
            files.remove(path)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is not whole."""
        for oid in list(self._open):
            self._drop(oid)


class _Copy:
    """One file that is being written. It is made durable by nobody: it can be made again from the Store."""

    def __init__(self, path: str, size: int, hashing: Hashing) -> None:
        self.parts = 0
        self.hasher = hashing.new()
        self._path = path
        self._file = Writer(path, direct=size >= WORTHWHILE)

    def append(self, data: memoryview) -> None:
        self.parts += 1
        self.hasher.update(data)
        self._file.write(data)

    def finish(self) -> str:
        self._file.finish(durable=False)
        return self._path

    def close(self) -> None:
        with suppress(OSError):
            self._file.__exit__()
        files.remove(self._path)


class _Cutter:
    """Cuts the frames that are wanted out of a Pack that comes from front to back."""

    def __init__(self, wanted: Iterable[Part], use: Callable[[memoryview, Sequence[Part]], None]) -> None:
        by_frame: dict[tuple[int, int], list[Part]] = {}
        for part in wanted:
            by_frame.setdefault((part[0].frame, part[0].extent), []).append(part)
        self._frames = list(by_frame.items())
        self._frames.reverse()
        self._use = use
        self._at = 0
        self._begun = bytearray()

    def take(self, block: bytes | memoryview) -> None:
        """The next part of the Pack."""
        view = memoryview(block)
        begin, self._at = self._at, self._at + len(view)
        while self._frames:
            (start, extent), parts = self._frames[-1]
            data = view[max(start - begin, 0) : max(start + extent - begin, 0)]
            if start + extent > self._at:
                self._begun += data
                return
            self._frames.pop()
            if self._begun:
                data, self._begun = memoryview(self._begun + data), bytearray()
            self._use(data, parts)
