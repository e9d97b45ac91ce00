"""Taking out of a Store what nothing needs: a Plan first, then the trash. Reasons: docs/adr/0013-gc.md.

What is moved lies in ``trash/TIME/`` below the directory that it came from, under the name that it had there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field

from mlvc import files
from mlvc.errors import DamagedError, FormatError
from mlvc.progress import QUIET, Progress
from mlvc.store.base import loss
from mlvc.store.catalog import Location
from mlvc.store.local import TRASH, LocalStore
from mlvc.store.pack import DATA, RECIPE, SUFFIX, PackIndex, PackWriter, encode_recipe

_WORTH = 0.25
"""A Pack is written anew when more than this share of the bytes in its objects is dead."""
_TIME = "%Y%m%dT%H%M%SZ"
DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Rules:
    """What is too young to be touched, and how long the trash is kept, in seconds."""

    grace: float = 14 * DAY
    trash: float = 14 * DAY


@dataclass(frozen=True, slots=True)
class Victim:
    """A Pack in which something is dead. ``objects`` and ``size`` are those of the dead; ``live``: what is copied."""

    name: str
    objects: int
    size: int
    live: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a Store goes. Sizes in bytes.

    ``dead``: Packs of which nothing lives. ``mixed``: Packs that are written anew. ``loose``: dead whole files with
    their sizes. ``young``: the number of dead objects that are left alone, because they have just been stored.
    ``waste``: the bytes of dead objects in Packs that are not worth to be written anew.
    """

    dead: tuple[Victim, ...] = ()
    mixed: tuple[Victim, ...] = ()
    loose: tuple[tuple[bytes, int], ...] = ()
    young: int = 0
    waste: int = 0

    @property
    def objects(self) -> int:
        """How many objects go."""
        return sum(victim.objects for victim in (*self.dead, *self.mixed)) + len(self.loose)

    @property
    def size(self) -> int:
        """The bytes of the objects that go."""
        return sum(victim.size for victim in (*self.dead, *self.mixed)) + sum(size for _, size in self.loose)


@dataclass(slots=True)
class Done:
    """What was moved to the trash. ``damaged``: Packs that were left alone, as they do not hash to their name."""

    damaged: list[str] = field(default_factory=list)
    moved: int = 0
    written: int = 0


# -- the Plan ----------------------------------------------------------------------------------


def members(store: LocalStore, live: AbstractSet[bytes]) -> set[bytes]:
    """``live`` with the chunks of what is large. DamagedError where a recipe, and so its chunks, cannot be told."""
    packed = store.packed
    recipes = packed.catalog.recipes(live)
    found = {oid: {chunk for chunk, _ in recipe} for oid, recipe in packed.recipes(recipes)}
    chunks: set[bytes] = set().union(*found.values())
    absent = packed.catalog.missing(chunks)
    # A recipe is not hashed by itself. One with an error in it names a chunk that is nowhere.
    doubtful = [oid for oid, inner in found.items() if not absent.isdisjoint(inner)] if absent else []
    unread = (recipes - found.keys()).union(oid for oid in doubtful if not _is_right(store, oid))
    for oid in unread - {place.oid for place in packed.catalog.locate(unread, kind=DATA)} - store.loose.present(unread):
        raise loss(oid, "damaged")
    return {*live, *chunks}


def _is_right(store: LocalStore, oid: bytes) -> bool:
    """Whether all Packs that have a recipe of ``oid`` hash to their names."""
    return all(store.is_right(place.pack) for place in store.packed.catalog.everywhere(oid) if place.kind == RECIPE)


def plan(
    store: LocalStore, live: AbstractSet[bytes], rules: Rules, *, linked: Callable[[], AbstractSet[bytes]] = frozenset
) -> Plan:
    """What of ``store`` goes when only ``live`` is needed: with all chunks, see ``members``.

    What each Pack says of itself decides, not the Catalog. ``linked``: the loose objects that links in working trees
    lead to, asked where a loose object is dead.
    """
    dead: list[Victim] = []
    mixed: list[Victim] = []
    young = waste = 0
    sizes = store.packed.catalog.packs()
    before = time.time() - rules.grace
    for name in sorted(store.packed.catalog.dead(live)):
        with suppress(FileNotFoundError, DamagedError, FormatError):
            victim = _victim(name, store.pack_index(name, sizes[name]), live)
            if os.stat(store.pack_path(name)).st_mtime > before:
                young += victim.objects
            elif not victim.live:
                dead.append(victim)
            elif victim.size > _WORTH * (victim.size + victim.live):
                mixed.append(victim)
            else:
                waste += victim.size
    loose = []
    for oid, info in loose_objects(store):
        if oid not in live:
            if info.st_mtime > before:
                young += 1
            else:
                loose.append((oid, info.st_size))
    seen = linked() if loose else frozenset()
    return Plan(tuple(dead), tuple(mixed), tuple(item for item in loose if item[0] not in seen), young, waste)


def _victim(name: str, index: PackIndex, live: AbstractSet[bytes]) -> Victim:
    objects = size = kept = 0
    for oid, length in zip(index.oids, index.lengths, strict=True):
        if oid in live:
            kept += length or 1  # an empty object is worth keeping too
        else:
            objects += 1
            size += length
    return Victim(name, objects, size, kept)


def loose_objects(store: LocalStore) -> Iterator[tuple[bytes, os.stat_result]]:
    """Oid and state of every loose object."""
    root = os.path.join(store.root, "loose")
    for folder, _, names in files.walk(root):
        for name in sorted(names):
            with suppress(ValueError, FileNotFoundError):
                oid = bytes.fromhex(os.path.basename(folder) + name)
                path = os.path.join(folder, name)
                if len(oid) == store.hashing.size and os.path.isfile(path):
                    yield oid, os.stat(path)


# -- carrying it out ---------------------------------------------------------------------------


def act(store: LocalStore, made: Plan, live: AbstractSet[bytes], *, progress: Progress = QUIET) -> Done:
    """Move to the trash what ``made`` says. The caller holds the Store alone since before it made the Plan.

    What lives in a Pack that goes is in another one first, durable and in the Catalog. After a crash at any point
    every live object can be read, and the next gc does the rest. A Pack that does not hash to its name stays.
    """
    done = Done()
    trash = Trash(store.root)
    progress.start("moving to the trash", total=sum(victim.size + victim.live for victim in (*made.dead, *made.mixed)))
    going: list[str] = []
    with PackWriter(store.scratch, store.hashing) as writer:
        for victim in (*made.dead, *made.mixed):
            whole = store.is_right(victim.name) and (not victim.live or _copy(store, victim.name, live, writer))
            (going if whole else done.damaged).append(victim.name)
            progress.advance(size=victim.size + victim.live)
        packs = writer.finish()
        store.publish(packs)
    new = {pack.name for pack in packs}
    going = [name for name in going if name not in new]
    store.packed.catalog.drop(going)
    for name in going:
        done.moved += trash.take(os.path.join("packs", name + SUFFIX))
    for oid, _ in made.loose:
        done.moved += trash.take(os.path.relpath(store.loose.path(oid), store.root))
    store.packed.forget()
    store.refresh()
    done.written = sum(pack.size for pack in packs)
    progress.finish()
    return done


def _copy(store: LocalStore, name: str, live: AbstractSet[bytes], writer: PackWriter) -> bool:
    """Write the live objects of a Pack into another one; False where one of them is not what its name says."""
    size = os.stat(store.pack_path(name)).st_size
    for oid, kind, frame, extent, start, length in store.pack_index(name, size).rows():
        if oid not in live:
            continue
        place = Location(name, frame, start, length, extent, kind, oid)
        if kind == DATA:
            data = store.packed.at(place)
        else:
            recipe = store.packed.recipe_at(place)
            data = None if recipe is None else memoryview(encode_recipe(recipe))
        if data is None:
            return False
        writer.add(oid, kind, data)
    return True


# -- the trash ---------------------------------------------------------------------------------


class Trash:
    """What was taken out of the directory ``base`` and may still be put back: ``trash/TIME/`` and the name it had."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._root = os.path.join(base, TRASH)
        self._now = time.strftime(_TIME, time.gmtime())

    def take(self, name: str) -> int:
        """Move a file or directory here; its size in bytes, 0 where it is gone meanwhile."""
        source = os.path.join(self._base, name)
        target = os.path.join(self._root, self._now, name)
        files.make_dirs(os.path.dirname(target))
        number = 0
        while os.path.lexists(target):
            number += 1
            target = f"{os.path.join(self._root, self._now, name)}.{number}"
        try:
            taken = size(source)
            os.rename(source, target)
        except FileNotFoundError:
            return 0
        return taken

    def names(self) -> Iterator[tuple[str, str]]:
        """TIME and name of every file in here, the latest first: of several with one name, that comes first."""
        for day in self._days():
            for folder, folders, names in files.walk(os.path.join(self._root, day)):
                # What was set aside may have links to directories.
                links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
                for name in sorted([*names, *links]):
                    yield day, os.path.relpath(os.path.join(folder, name), os.path.join(self._root, day))

    def path(self, day: str, name: str) -> str:
        """Where a file of ``names`` lies."""
        return os.path.join(self._root, day, name)

    def put_back(self, day: str, name: str) -> bool:
        """Move a file to where it was; False where something is there again."""
        target = os.path.join(self._base, name)
        if os.path.lexists(target):
            return False
        files.make_dirs(os.path.dirname(target))
        os.rename(self.path(day, name), target)
        with suppress(PermissionError, NotImplementedError):
            os.utime(target, follow_symlinks=False)  # its grace begins anew
        return True

    def expired(self, keep: float) -> list[str]:
        """The TIMEs that lie ``keep`` seconds and more back."""
        limit = time.strftime(_TIME, time.gmtime(time.time() - keep))
        return [day for day in self._days() if day <= limit]

    def size(self, days: Collection[str] | None = None) -> int:
        """The bytes of what was moved here at these TIMEs; of everything, where none are given."""
        return sum(size(os.path.join(self._root, day)) for day in (self._days() if days is None else days))

    def empty(self, days: Collection[str]) -> None:
        """Delete what was moved here at these TIMEs."""
        for day in days:
            files.remove_tree(os.path.join(self._root, day))

    def tidy(self) -> None:
        """Remove the directories that have become empty."""
        for day in self._days():
            for folder, _, _ in os.walk(os.path.join(self._root, day), topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)

    def _days(self) -> list[str]:
        """All TIMEs, the latest first. What somebody else has put here is left alone."""
        found = []
        with suppress(FileNotFoundError):
            for day in os.listdir(self._root):
                with suppress(ValueError):
                    time.strptime(day, _TIME)
                    found.append(day)
        return sorted(found, reverse=True)


def size(path: str) -> int:
    """The bytes of a file, or of all files in a directory."""
    info = os.lstat(path)
    if not os.path.isdir(path) or os.path.islink(path):
        return info.st_size
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)


def revive(store: LocalStore, live: AbstractSet[bytes]) -> int:
    """Put back what the trash has of ``live`` and the Store has not: a commit that names it may have come meanwhile.

    The number of files put back. With the chunks of what came back there may be more to do: ask until it is 0.
    """
    absent = store.packed.catalog.missing(live)
    absent -= store.loose.present(absent)
    if not absent:
        return 0
    trash = Trash(store.root)
    count = 0
    for day, name in list(trash.names()):
        held = _held(store, trash.path(day, name), name)
        if not absent.isdisjoint(held) and trash.put_back(day, name):
            absent -= held
            count += 1
    if count:
        trash.tidy()
        store.refresh()
    return count


def has_in_trash(store: LocalStore, oids: AbstractSet[bytes]) -> bool:
    """Whether the trash has one of these objects."""
    trash = Trash(store.root)
    return any(not oids.isdisjoint(_held(store, trash.path(day, name), name)) for day, name in trash.names())


def _held(store: LocalStore, path: str, name: str) -> set[bytes]:
    """The objects in one file of the trash."""
    kind, _, rest = name.partition(os.sep)
    if kind == "packs" and rest.endswith(SUFFIX):
        with suppress(DamagedError, FormatError, OSError):
            return set(store.index_at(path).oids)
    if kind == "loose":
        with suppress(ValueError):
            return {bytes.fromhex(rest.replace(os.sep, ""))}
    return set()
