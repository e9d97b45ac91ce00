"""Looks at every byte of a Store: each Pack is read once, each object hashed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

from mlvc import files
from mlvc.directio import Reader
from mlvc.errors import DamagedError, FormatError
from mlvc.hashing import Hashing
from mlvc.progress import QUIET, Part, Progress
from mlvc.store.base import Lost
from mlvc.store.catalog import Location
from mlvc.store.gc import loose_objects
from mlvc.store.local import LocalStore
from mlvc.store.pack import DATA, SUFFIX, FrameReader, PackIndex, decode_recipe, read_index

Recipes = dict[bytes, list[list[tuple[bytes, int]]]]
"""All that Packs have of each large object."""


@dataclass(slots=True)
class Checked:
    """What was found. ``damaged``: files of the Store with what is wrong with each.

    ``packs``: the names of the Packs among them. ``strange``: what is among them and no file at all, and the name that
    it has in the quarantine. ``good``: objects of which there is a copy that hashes to its Oid, or a recipe, with their
    sizes; ``bad``: objects of which some copy does not. ``uncatalogued``: Packs of which the Catalog says something
    else than they say themselves.
    """

    objects: int = 0
    size: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    packs: set[str] = field(default_factory=set)
    strange: dict[str, str] = field(default_factory=dict)
    good: dict[bytes, int] = field(default_factory=dict)
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
    for path, name in _no_files(store):
        found.strange[path] = name
        found.damaged[path] = f"is {files.kind_of(os.path.join(store.root, path))}, and should be a file"
    recipes: Recipes = {}
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
        wrong = _loose(store, oid, part)
        if wrong:
            found.bad.add(oid)
            found.damaged[os.path.relpath(store.loose.path(oid), store.root)] = wrong
        else:
            found.good[oid] = info.st_size
        found.objects += 1
        found.size += info.st_size
        part.end()
    # A large object is as good as its chunks. Of several recipes one is enough.
    for oid, several in recipes.items():
        for chunks in several:
            lost = found.lost_of({chunk for chunk, _ in chunks})
            if lost and "damaged" in lost.values():
                found.bad.add(oid)
            elif not lost and all(found.good[chunk] == length for chunk, length in chunks):
                found.good[oid] = sum(length for _, length in chunks)
            elif not lost:
                found.bad.add(oid)
    progress.finish()
    return found


def _no_files(store: LocalStore) -> Iterator[tuple[str, str]]:
    """What is in the place of a Pack or of a loose object and is no file: its path, and its name in the quarantine."""
    for entry in _entries(os.path.join(store.root, "packs")):
        if entry.name.endswith(SUFFIX) and not files.is_file(entry):
            yield os.path.join("packs", entry.name), entry.name
    for folder in _entries(os.path.join(store.root, "loose")):
        for entry in _entries(folder.path) if folder.is_dir() else ():
            if not files.is_file(entry) and _OBJECT.fullmatch(name := folder.name + entry.name):
                yield os.path.join("loose", folder.name, entry.name), name


_OBJECT = re.compile(r"[0-9a-f]+")


def _entries(directory: str) -> list[os.DirEntry[str]]:
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)
    return []


def _loose(store: LocalStore, oid: bytes, told: Callable[[int], object]) -> str:
    """What is wrong with a loose object, '' if nothing. ``told`` is called with the bytes that were read."""
    try:
        return "" if store.loose.check(oid, told) else "does not hash to its name"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _pack(store: LocalStore, name: str, size: int, found: Checked, recipes: Recipes) -> str:
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
                recipes.setdefault(oid, []).append(decode_recipe(payload, store.hashing.size))
            except DamagedError:
                right = False
        if not right:
            found.bad.add(oid)
        elif kind == DATA and payload is not None:
            found.good[oid] = len(payload)
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
