"""Looks at every byte of a Store: each Pack is read once, each object hashed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from mlvc.directio import Reader
from mlvc.errors import DamagedError, FormatError
from mlvc.hashing import Hashing
from mlvc.progress import QUIET, Part, Progress
from mlvc.store.base import Lost
from mlvc.store.catalog import Location
from mlvc.store.gc import loose_objects
from mlvc.store.local import LocalStore
from mlvc.store.pack import DATA, SUFFIX, FrameReader, PackIndex, decode_recipe, read_index


@dataclass(slots=True)
class Checked:
    """What was found. ``damaged``: files of the Store with what is wrong with each.

    ``packs``: the names of the Packs among them. ``good``: objects of which there is a copy that hashes to its Oid, or
    a recipe; ``bad``: objects of which some copy does not. ``uncatalogued``: Packs of which the Catalog says
    something else than they say themselves.
    """

    objects: int = 0
    size: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    packs: set[str] = field(default_factory=set)
    good: set[bytes] = field(default_factory=set)
    bad: set[bytes] = field(default_factory=set)
    uncatalogued: list[str] = field(default_factory=list)

    def lost_of(self, oids: Collection[bytes]) -> Lost:
        """Those of ``oids`` that cannot be had, each with the reason."""
        return {oid: "damaged" if oid in self.bad else "missing" for oid in oids if oid not in self.good}


def check(store: LocalStore, *, progress: Progress = QUIET) -> Checked:
    """Read the whole of ``store``. Nothing is changed."""
    found = Checked()
    sizes = store.packs()
    loose = list(loose_objects(store))
    progress.start("checking", total=sum(sizes.values()) + sum(info.st_size for _, info in loose))
    recipes: dict[bytes, list[tuple[bytes, int]]] = {}
    for name, size in sorted(sizes.items()):
        before = found.objects
        wrong = _pack(store, name, size, found, recipes)
        if wrong:
            found.packs.add(name)
            found.damaged[os.path.join("packs", name + SUFFIX)] = wrong
        found.size += size
        progress.advance(objects=found.objects - before, size=size)
    for oid, info in loose:
        part = Part(progress, info.st_size)
        right = store.loose.check(oid, part)
        (found.good if right else found.bad).add(oid)
        if not right:
            found.damaged[os.path.relpath(store.loose.path(oid), store.root)] = "does not hash to its name"
        found.objects += 1
        found.size += info.st_size
        part.end()
    # A large object is as good as its chunks.
    for oid, chunks in recipes.items():
        lost = found.lost_of({chunk for chunk, _ in chunks})
        if not lost:
            found.good.add(oid)
        elif "damaged" in lost.values():
            found.bad.add(oid)
    progress.finish()
    return found


def _pack(
    store: LocalStore, name: str, size: int, found: Checked, recipes: dict[bytes, list[tuple[bytes, int]]]
) -> str:
    """What is wrong with one Pack, '' if nothing. Its objects go into ``found`` and ``recipes``."""
    try:
        data = memoryview(_whole(store.pack_path(name), size))
        index = read_index(lambda start, length: bytes(data[start : start + length]), len(data), store.hashing)
    except FileNotFoundError:
        return ""  # moved meanwhile
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (DamagedError, FormatError) as error:
        return error.message
    before = len(found.bad)
    for oid, kind, payload in _objects(data, index, store.hashing):
        found.objects += 1
        right = payload is not None
        if payload is not None and kind == DATA:
            right = store.hashing.of(payload) == oid
        elif payload is not None:
            try:
                recipes[oid] = decode_recipe(payload, store.hashing.size)
            except DamagedError:
                right = False
        if not right:
            found.bad.add(oid)
        elif kind == DATA:
            found.good.add(oid)
    places = {
        oid: Location(name, frame, start, length, extent, kind, oid)
        for oid, kind, frame, extent, start, length in reversed(list(index.rows()))  # of two, the Catalog has the first
    }
    if sorted(places.values()) != store.packed.catalog.members(name):
        found.uncatalogued.append(name)
    if store.hashing.of(data).hex() != name:
        count = len(found.bad) - before
        return f"does not hash to its name; {count} of {len(index.oids)} objects are damaged"
    return ""


def _whole(path: str, size: int) -> bytearray:
    """A Pack in memory: it has some 48 MiB. It does not fill the page cache."""
    data = bytearray(size)
    at = 0
    with Reader(path) as reader:
        for block in reader.blocks():
            data[at : at + len(block)] = block
            at += len(block)
    return data[:at]


def _objects(data: memoryview, index: PackIndex, hashing: Hashing) -> Iterator[tuple[bytes, int, memoryview | None]]:
    """Oid, kind and bytes of every object of a Pack; None where its frame cannot be read."""
    frames = FrameReader(hashing.size)
    rows = iter(index.rows())
    for (start, end), count in zip(pairwise(index.offsets), index.counts, strict=True):
        try:
            payload: memoryview | None = frames.payload(data[start:end])
        except DamagedError:
            payload = None
        for _ in range(count):
            oid, kind, _, _, at, length = next(rows)
            yield oid, kind, None if payload is None else payload[at : at + length]
