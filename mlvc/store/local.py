"""The Store of a repository. Layout: docs/formats/store.md."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import Self

from mlvc import files
from mlvc.chunking import chunks
from mlvc.directio import Reader
from mlvc.errors import BusyError, DamagedError, FormatError, ObjectsMissingError
from mlvc.hashing import BLOCK, Hashing
from mlvc.oid import Oid
from mlvc.store.base import LARGE, Lost
from mlvc.store.catalog import Catalog, Location
from mlvc.store.loose import Loose
from mlvc.store.pack import RECIPE, SUFFIX, PackIndex, PackWriter, SealedPack, encode_recipe, read_index
from mlvc.store.packed import Packed

_FORMAT = "1"
_OPEN_PACKS = 16
_SEQUENTIAL = 8
_PATIENCE = 5.0
"""Seconds that who wants the Store alone waits for others to end."""
TRASH = "trash"


class PackFiles:
    """The Pack files of one directory."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._fds: OrderedDict[str, int] = OrderedDict()
        self._reader: tuple[str, Reader] | None = None
        self._run = ("", 0, 0)

    def path(self, pack: str) -> str:
        """Where a Pack is, or would be."""
        return os.path.join(self.root, pack + SUFFIX)

    def _place(self, pack: str) -> str:
        """Where a Pack is; in the trash, for one who still reads what was moved there a moment ago."""
        path = self.path(pack)
        if not os.path.exists(path):
            trash = os.path.join(os.path.dirname(self.root), TRASH)
            with suppress(FileNotFoundError):
                trashed = (os.path.join(trash, day, "packs", pack + SUFFIX) for day in os.listdir(trash))
                return next(filter(os.path.exists, trashed), path)
        return path

    def sizes(self) -> dict[str, int]:
        """Name and size in bytes of every Pack that is here."""
        found = {}
        with suppress(FileNotFoundError), os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and files.is_file(entry):  # fsck tells of what is none
                    with suppress(FileNotFoundError):  # moved to quarantine meanwhile
                        found[entry.name.removesuffix(SUFFIX)] = entry.stat().st_size
        return found

    def range(self, pack: str, start: int, length: int) -> bytes:
        """Bytes of a Pack. A Pack that is read from front to back does not fill the page cache."""
        last, end, times = self._run
        times = times + 1 if (last, end) == (pack, start) else 0
        self._run = (pack, start + length, times)
        if times >= _SEQUENTIAL:
            if self._reader is None or self._reader[0] != pack:
                self._let_go()
                self._reader = (pack, Reader(self._place(pack)))
            return self._reader[1].range(start, length)
        fd = self._fds.get(pack)
        if fd is None:
            fd = self._fds[pack] = os.open(self._place(pack), files.READ)
            if len(self._fds) > _OPEN_PACKS:
                os.close(self._fds.popitem(last=False)[1])
        return files.read_at(fd, length, start)

    def index(self, pack: str, size: int, hashing: Hashing) -> PackIndex:
        """What lies in a Pack, from the Pack itself."""
        return read_index(lambda start, length: self.range(pack, start, length), size, hashing)

    def close(self) -> None:
        """Close the files."""
        while self._fds:
            os.close(self._fds.popitem()[1])
        self._let_go()

    def _let_go(self) -> None:
        if self._reader is not None:
            self._reader[1].close()
            self._reader = None


class LocalStore:
    """Objects below one directory: small ones and chunks in Packs, large ones loose where they can be linked.

    Any number of processes may use it at once: Packs and loose objects appear whole and never change.
    """

    def __init__(self, root: str, hashing: Hashing, *, loose: Callable[[], bool] = bool) -> None:
        """Open the Store at ``root``. ``loose``: whether to keep new large objects whole, asked when one comes."""
        self.root = root
        self.hashing = hashing
        self.loose = Loose(os.path.join(root, "loose"), hashing)
        self._loose_wanted = loose
        self.scratch = files.Scratch(os.path.join(root, "tmp"))
        self._joined: int | None = None
        self.copies: dict[bytes, str] = {}
        """Files of large objects that were written while these came. Whoever first wants such a file takes it."""
        self._pack_files = PackFiles(os.path.join(root, "packs"))
        catalog = Catalog(os.path.join(root, "catalog.sqlite"), self.refresh)
        self.packed = Packed(catalog, self._pack_files, hashing)
        self.refresh()

    @cached_property
    def keep_loose(self) -> bool:
        """Whether new large objects are kept whole."""
        return self._loose_wanted()

    # -- what is here

    def refresh(self) -> None:
        """Bring the Catalog up to what the Packs on disk say."""
        # In this order: a Pack that another process adds meanwhile is on the disk before it is known.
        known = self.packed.catalog.packs()
        on_disk = self._pack_files.sizes()
        if on_disk == known:
            return
        gone = [name for name, size in known.items() if on_disk.get(name) != size]
        if gone:
            self.packed.catalog.drop(gone)
        new = []
        for name, size in on_disk.items():
            if known.get(name) != size:
                with suppress(DamagedError, FormatError, FileNotFoundError):
                    new.append((name, size, self._pack_files.index(name, size, self.hashing)))
        self.packed.catalog.add(new)

    def taken(self, oids: Iterable[bytes]) -> int:
        """Bytes that these objects take here: their share of the frames of Packs, and whole files."""
        wanted = set(oids)
        loose = self.loose.present(wanted)
        packed = self.packed.members(wanted - loose)
        return self.packed.catalog.taken(packed) + sum(os.stat(self.loose.path(oid)).st_size for oid in loose)

    def join(self) -> None:
        """From here on until the Store is closed, nothing is taken out of it: what is found here may be named.

        Who writes what names objects calls this before it asks which of them are here.
        """
        if self._joined is None:
            self._joined = files.shared(self._using)
            self.refresh()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the Store against all who ``join`` it; BusyError where one of them does not end in some seconds."""
        busy = f"another mlvc command is writing to the store at {self.root}"
        give_up = time.monotonic() + _PATIENCE
        with ExitStack() as held:
            while True:
                try:
                    held.enter_context(files.exclusive(self._using, wait=False, busy=busy))
                    break
                except BusyError:
                    if time.monotonic() > give_up:
                        raise
                time.sleep(0.05)
            self.refresh()
            yield

    @property
    def _using(self) -> str:
        return os.path.join(self.root, "using")

    def is_empty(self) -> bool:
        """Whether nothing was stored yet: then nobody need be asked for each object."""
        return not self.packed.catalog.packs() and not os.path.exists(os.path.join(self.root, "loose"))

    def missing(self, oids: Iterable[bytes]) -> set[bytes]:
        """Those of ``oids`` that are not here. See Store."""
        missing = self.packed.missing(oids)
        return missing - self.loose.present(missing) if missing else missing

    def read(self, oids: Iterable[bytes], lost: Lost) -> Iterator[tuple[bytes, bytes | memoryview]]:
        """Small objects, cheapest first. See Store."""
        inner: Lost = {}
        yield from self.packed.read(oids, inner)
        for oid, reason in inner.items():
            if self.loose.check(oid):
                yield oid, b"".join(self.loose.stream(oid))
            else:
                lost[oid] = "damaged" if self.loose.has(oid) else reason

    def stream(self, oid: bytes) -> Iterator[bytes | memoryview]:
        """An object of any size in parts. See Store."""
        if self.loose.has(oid):
            yield from self.loose.stream(oid)
        else:
            yield from self.packed.stream(oid)

    def part(self, oid: bytes, start: int, stop: int) -> Iterator[bytes | memoryview]:
        """A part of an object. See Store."""
        if os.path.exists(self.loose.path(oid)):
            yield from self.loose.part(oid, start, stop)
        else:
            yield from self.packed.part(oid, start, stop)

    def reread(self, packs: Collection[str]) -> None:
        """Enter Packs into the Catalog anew, as they say themselves."""
        if packs:
            self.packed.catalog.drop(packs)
            self.packed.forget()
            self.refresh()

    # -- damage

    def quarantine(self, lost: Lost) -> None:
        """Move what is damaged out of the way, so that it counts as missing and is fetched again.

        The good objects of a damaged Pack are kept in a new one; the Pack itself, and a damaged loose
        object, go to ``quarantine/``. Nothing is deleted.
        """
        damaged = {oid for oid, reason in lost.items() if reason == "damaged"}
        for oid in damaged:
            if self.loose.has(oid) and not self.loose.check(oid):
                self.set_aside(self.loose.path(oid), oid.hex())
        for pack in sorted(self.packed.damaged):
            self._pack_files.close()
            if self.is_right(pack):
                self.packed.catalog.drop([pack])  # nothing is wrong with it: the Catalog was, or the reading
                continue
            self._salvage(pack, damaged)
            self._pack_files.close()
            self.set_aside(self._pack_files.path(pack), pack + SUFFIX)
            self.packed.catalog.drop([pack])
        if self.packed.damaged:
            self.refresh()
        self.packed.damaged.clear()
        self.packed.forget()

    def unreadable(self, sizes: Mapping[bytes, int]) -> set[bytes]:
        """Those objects, given with their sizes in bytes, that cannot be read and hashed; they are quarantined."""
        lost: Lost = {}
        for _ in self.read([oid for oid, size in sizes.items() if size < LARGE], lost):
            pass
        for oid in (oid for oid, size in sizes.items() if size >= LARGE):
            try:
                for _ in self.stream(oid):
                    pass
            except (DamagedError, ObjectsMissingError):
                lost[oid] = "damaged"
        if lost:
            self.quarantine(lost)  # it counts as missing from now on, so that `mlvc add` stores it again
        return set(lost)

    def is_right(self, pack: str) -> bool:
        """Whether the bytes of a Pack hash to its name."""
        hasher = self.hashing.new()
        try:
            with Reader(self._pack_files.path(pack)) as reader:
                for block in reader.blocks():
                    hasher.update(block)
        except OSError:
            return False
        return hasher.digest().hex() == pack

    def _members(self, pack: str) -> list[Location]:
        """What lies in a Pack, as it says itself; as the Catalog says where it cannot be asked."""
        try:
            index = self._pack_files.index(pack, os.stat(self._pack_files.path(pack)).st_size, self.hashing)
        except (DamagedError, FormatError, OSError):
            return self.packed.catalog.members(pack)
        return [
            Location(pack, frame, start, length, extent, kind, oid)
            for oid, kind, frame, extent, start, length in index.rows()
        ]

    def _salvage(self, pack: str, damaged: set[bytes]) -> None:
        """Keep the good objects of a Pack in new ones."""
        packed = self.packed
        packed.forget()
        with PackWriter(self.scratch, self.hashing) as writer:
            for location in self._members(pack):
                if location.kind == RECIPE:
                    # Nothing tells whether a recipe is right but its chunks.
                    recipe = packed.recipe_at(location)
                    right = recipe is not None and (
                        packed.makes(recipe, location.oid) if location.oid in damaged else packed.fits(recipe)
                    )
                    data = encode_recipe(recipe) if recipe is not None and right else None
                else:
                    found = packed.at(location)
                    data = None if found is None else bytes(found)
                if data is not None:
                    writer.add(location.oid, location.kind, data)
            self.publish(writer.finish())

    def set_aside(self, path: str, name: str) -> None:
        """Move something to ``quarantine/``, beside what is there under its name already."""
        place = os.path.join(self.root, "quarantine")
        files.make_dirs(place)
        target = os.path.join(place, name)
        number = 0
        while files.exists(target):
            number += 1
            target = os.path.join(place, f"{name}.{number}")
        with suppress(FileNotFoundError):
            os.rename(path, target)

    # -- the way in

    def batch(self) -> LocalBatch:
        """A way in for new objects."""
        self.join()
        return LocalBatch(self)

    def publish(self, packs: Sequence[SealedPack]) -> None:
        """Give sealed Packs their names, then enter them into the Catalog."""
        if not packs:
            return
        files.make_dirs(self._pack_files.root)
        # A Pack that was here already may have been damaged: what is known of it, and its open file, are of no use.
        known = self.packed.catalog.packs()
        again = [pack.name for pack in packs if pack.name in known]
        for pack in packs:
            os.replace(pack.path, self._pack_files.path(pack.name))
            # In order: a Pack may name objects of those before it.
            files.sync_dir(self._pack_files.root)
        if again:
            self._pack_files.close()
            self.packed.forget()
            self.packed.catalog.drop(again)
        self.packed.catalog.add([(pack.name, pack.size, pack.index) for pack in packs])

    def adopt(self, path: str, name: str, size: int) -> None:
        """Take in a whole Pack that was hashed to ``name`` and flushed under a temporary ``path``."""
        self.publish([SealedPack(name, path, size, _index_of(path, size, self.hashing))])

    def packs(self) -> dict[str, int]:
        """Name and size in bytes of every Pack on the disk, also of one that cannot be read."""
        return self._pack_files.sizes()

    def pack_path(self, name: str) -> str:
        """Where a Pack is."""
        return self._pack_files.path(name)

    def pack_index(self, name: str, size: int) -> PackIndex:
        """What lies in a Pack, read from the Pack. Any thread may ask."""
        return _index_of(self.pack_path(name), size, self.hashing)

    def index_at(self, path: str) -> PackIndex:
        """What lies in a Pack that is somewhere else, such as in the trash."""
        return _index_of(path, os.stat(path).st_size, self.hashing)

    def make_loose(self, oid: bytes) -> str:
        """The path of a large object as a whole file; it is made from its chunks where need be."""
        path = self.loose.path(oid)
        if not self.loose.has(oid):
            temporary = self.scratch.name()
            fd = os.open(temporary, files.CREATE, 0o666)
            try:
                for part in self.packed.stream(oid):
                    files.write_all(fd, part)
                os.fsync(fd)
            finally:
                os.close(fd)
            self.loose.take(temporary, oid)
        return path

    def take_copy(self, oid: bytes, target: str) -> bool:
        """Make ``target``, which does not exist, the copy that there is of a large object; whether there was one."""
        path = self.copies.pop(oid, "")
        if not path:
            return False
        try:
            os.rename(path, target)
        except OSError:  # another file system
            files.remove(path)
            return False
        return True

    def close(self) -> None:
        """Let go of all files, and remove the temporary ones."""
        self._pack_files.close()
        self.packed.catalog.close()
        self.scratch.close()
        if self._joined is not None and self._joined >= 0:
            os.close(self._joined)
        self._joined = None

    def __enter__(self) -> Self:
        """Use the Store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def _index_of(path: str, size: int, hashing: Hashing) -> PackIndex:
    with open(path, "rb", buffering=0) as file:
        return read_index(lambda start, length: files.read_at(file.fileno(), length, start), size, hashing)


class LocalBatch:
    """The way into a LocalStore. See Batch."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._writer = PackWriter(store.scratch, store.hashing)
        self._new: set[bytes] = set()
        self._first = store.is_empty()
        self._loose: list[tuple[str, bytes]] = []
        self._temporary: list[str] = []

    def put(self, data: bytes) -> Oid:
        """Take in a small object."""
        oid = Oid(self._store.hashing.of(data))
        self.put_hashed([(oid, data)])
        return oid

    def put_hashed(self, objects: Sequence[tuple[bytes, bytes]]) -> None:
        """Take in small objects whose Oids were just computed."""
        oids = {oid for oid, _ in objects}.difference(self._new)
        self._add(objects, oids if self._first else self._store.missing(oids))

    def _add(self, objects: Iterable[tuple[bytes, bytes | memoryview]], absent: set[bytes]) -> None:
        wanted = {oid: data for oid, data in objects if oid in absent}
        self._new.update(wanted)
        self._writer.add_all(wanted.items())

    def put_file(self, path: str, told: Callable[[int], object] = bool) -> Oid:
        """Take in a large file: whole where the Store keeps such loose, else in chunks. A small one is put."""
        with open(path, "rb", buffering=0) as file:
            fd = file.fileno()
            if os.fstat(fd).st_size < LARGE:
                return self.put(file.readall())
            return self._put_whole(path, fd, told) if self._store.keep_loose else self._put_chunks(fd, told)

    def _put_whole(self, path: str, fd: int, told: Callable[[int], object]) -> Oid:
        temporary = self._store.scratch.name()
        self._temporary.append(temporary)
        if not files.reflink(path, temporary):
            target = os.open(temporary, files.CREATE, 0o666)
            try:
                files.copy_fd(fd, target, 1 << 62)
            finally:
                os.close(target)
        # What is hashed is the copy: the file may change meanwhile.
        hasher = self._store.hashing.new()
        with open(temporary, "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                hasher.update(block)
                told(len(block))
            os.fsync(file.fileno())
        oid = Oid(hasher.digest())
        if oid in self._new or not self._store.missing([oid]):
            files.remove(temporary)
        else:
            self._new.add(oid)
            self._loose.append((temporary, oid))
        return oid

    def _put_chunks(self, fd: int, told: Callable[[int], object]) -> Oid:
        hashing = self._store.hashing
        hasher = hashing.new()
        recipe: list[tuple[bytes, int]] = []
        with open(fd, "rb", buffering=0, closefd=False) as file:
            for block, lengths in chunks(lambda view: file.readinto(view) or 0):
                hasher.update(block)
                objects = []
                at = 0
                for length in lengths:
                    part = block[at : at + length]
                    at += length
                    objects.append((hashing.of(part), part))
                recipe += [(oid, len(part)) for oid, part in objects]
                absent = self._store.packed.catalog.missing([oid for oid, _ in objects])
                self._add(objects, absent - self._new)
                told(len(block))
        oid = Oid(hasher.digest())
        if oid not in self._new and self._store.missing([oid]):
            self._new.add(oid)
            self._writer.add(oid, RECIPE, encode_recipe(recipe))
        return oid

    def commit(self) -> None:
        """Make everything durable, then visible."""
        for temporary, oid in self._loose:
            self._store.loose.take(temporary, oid)
        self._store.publish(self._writer.finish())

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget what was not committed."""
        self._writer.close()
        for temporary in self._temporary:
            files.remove(temporary)


def create(root: str, hashing: Hashing) -> None:
    """Make an empty Store."""
    files.make_dirs(root)
    files.replace(os.path.join(root, "format"), f"mlvc store {_FORMAT}\nhash {hashing.name}\n".encode())


def hash_of(root: str) -> str:
    """The name of the hash algorithm of the Store at ``root``, as it stands there; '' where there is no Store."""
    data = files.read_or_none(os.path.join(root, "format")) or b""
    return data.decode(errors="replace").partition("\n")[2].removeprefix("hash ").strip()


def open_store(root: str, *, loose: Callable[[], bool] = bool) -> LocalStore:
    """Open the Store at ``root`` with the hash algorithm that it was made with."""
    data = files.read_or_none(os.path.join(root, "format"))
    if data is None:
        raise ObjectsMissingError(f"no store at {root}", hint="make one with `mlvc init`")
    first, _, second = data.decode(errors="replace").partition("\n")
    if first != f"mlvc store {_FORMAT}" or not second.startswith("hash "):
        raise FormatError(
            f"the store at {root} has format '{first[:40]}', this mlvc reads 'mlvc store {_FORMAT}'",
            hint="use a newer mlvc",
        )
    return LocalStore(root, Hashing(second.removeprefix("hash ").strip()), loose=loose)
