"""Remotes: named Stores elsewhere. Layout and bytes: docs/formats/remote.md."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress

from mlvc import files
from mlvc.directio import Writer
from mlvc.errors import DamagedError, FormatError, MlvcError, RemoteError, SystemFailureError
from mlvc.hashing import Hashing
from mlvc.store.ahead import Ahead
from mlvc.store.base import Lost
from mlvc.store.blobs import BUNDLES, FRAGMENTS, PACKS, Blobs, in_one_line, pack_blocks
from mlvc.store.bundles import SUFFIX as RUNS
from mlvc.store.bundles import Bundles, Record
from mlvc.store.catalog import Catalog, Location
from mlvc.store.pack import SUFFIX, PackIndex, SealedPack, decode_footer, encode_footer
from mlvc.store.packed import Packed

MARKER = "mlvc-remote"
DAMAGED = "damaged"
"""The file beside the Catalog that lists Packs which a fetch found damaged. It can be deleted at any time."""

_FRAGMENT = ".fragment"
_VERSION = 1
_HEAD = struct.Struct("<8sBB2xI")
_MAGIC = b"mlvcfrag"
_MERGE_ABOVE = 64


class _Hashed:
    """Blocks on their way, hashed as they pass; DamagedError at the end where they are not ``name``."""

    def __init__(
        self, blocks: Iterable[bytes | memoryview], name: str, hashing: Hashing, note: Callable[[int], object]
    ) -> None:
        self._blocks = blocks
        self._name = name
        self._hasher = hashing.new()
        self._note = note

    def __iter__(self) -> Iterator[bytes | memoryview]:
        for block in self._blocks:
            self._hasher.update(block)
            self._note(len(block))
            yield block
        if self._hasher.digest().hex() != self._name:
            raise DamagedError(f"pack {self._name[:10]} is damaged")


class RemoteStore:
    """One Remote, and what this client knows of it.

    ``refresh`` reads the listing, and the fragments that are new, into a Catalog of this client; after that
    questions are answered without a request.
    """

    def __init__(
        self, name: str, url: str, blobs: Blobs, hashing: Hashing, catalog_path: str, *, configured: str = ""
    ) -> None:
        """``configured``: the address as the settings have it, where ``url`` is what that means here."""
        self.name = name
        self.url = url
        self._place = url if configured in ("", url) else f"{configured}, which is {url} here"
        self.hashing = hashing
        self._blobs = blobs
        self.catalog = Catalog(catalog_path, self.refresh)
        self.jobs = 4
        """How many ranges are asked for side by side, where the place can do that."""
        self.packed = Packed(self.catalog, self, hashing, ahead=self._ahead)
        self.present: dict[str, int] = {}
        """Packs in the last listing, with their sizes, whether a fragment lists them or not."""
        self._bad: set[str] = set()
        self.bad_fragments: set[str] = set()
        """Index fragments in the last listing that were found damaged. What they list counts as absent."""
        self._bad_file = "" if catalog_path == ":memory:" else os.path.join(os.path.dirname(catalog_path), DAMAGED)
        self._told: set[str] = set()
        self.is_new = False
        """Whether ``begin`` found nothing, so that ``make`` has a Remote to make."""
        known = os.path.join(os.path.dirname(catalog_path), BUNDLES) if self._bad_file else ""
        self.bundles = Bundles(blobs, hashing, known)
        """The records of Runs that are known here to be there."""

    # -- opening

    def check(self) -> bool:
        """Whether a Remote is there; RemoteError where it is none of ours, or cannot be reached."""
        try:
            marker = self._blobs.read(MARKER)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._unreachable(error) from None
        first, _, second = marker.decode(errors="replace").strip().partition("\n")
        if first != f"mlvc remote {_VERSION}":
            raise RemoteError(f"remote '{self.name}' has format '{first[:40]}', this mlvc reads 'mlvc remote 1'")
        if second != f"hash {self.hashing.name}":
            raise RemoteError(
                f"remote '{self.name}' has '{second[:40]}', this repository uses {self.hashing.name}",
                hint="use another place for this repository's objects",
            )
        return True

    def begin(self) -> None:
        """Look whether there is a Remote; nothing is made yet. RemoteError where it was and is gone, or cannot be.

        Packs that a fetch found damaged count as absent from now on, unless they have been mended: so that what
        was in them is sent again.
        """
        is_there = self.check()
        if not is_there and self.catalog.packs():
            raise RemoteError(
                f"remote '{self.name}' was at {self.url}, and nothing is there now",
                hint="is the disk mounted? If it is gone for good: `mlvc remote remove`, then `mlvc remote add`",
            )
        self.is_new = not is_there
        if self.is_new:
            try:
                self._blobs.check_place()
            except OSError as error:
                raise self._unreachable(error) from None
        self._bad = set() if self.is_new else {pack for pack in self._found_bad() if self._is_bad(pack)}
        if self.is_near and not self.is_new:
            # What was read long ago may be damaged by now, and only a push can mend it. Nearby, looking costs nothing.
            for name in self._listed_fragments() & self.catalog.fragments():
                self._fragment(name)

    def make(self) -> None:
        """Make the Remote if ``begin`` found none. To be called before anything is sent."""
        try:
            self._blobs.begin()
            if self.is_new:
                self._blobs.write(MARKER, [f"mlvc remote {_VERSION}\nhash {self.hashing.name}\n".encode()])
        except OSError as error:
            raise self._unreachable(error) from None
        self.is_new = False

    def absent(self, what: str) -> RemoteError:
        """The error for a Remote that is not there. The address may be one that is right elsewhere."""
        return RemoteError(
            f"{what} at remote '{self.name}' ({self._place})",
            hint=f"is the address right? `mlvc remote modify {self.name} url PATH --private` changes it for this clone "
            "alone; a new Remote is filled by `mlvc push` from a clone that has the data",
        )

    # -- damage

    def where(self, pack: str) -> str:
        """The address of a Pack, for a person."""
        return f"{self.url.rstrip('/')}/{PACKS}/{pack}{SUFFIX}"

    def where_fragment(self, name: str) -> str:
        """The address of an index fragment, for a person."""
        return f"{self.url.rstrip('/')}/{FRAGMENTS}/{name}{_FRAGMENT}"

    def found_bad(self, packs: Collection[str]) -> None:
        """Remember Packs that turned out damaged, for the next push from here."""
        if self._bad_file and packs:
            names = sorted(self._found_bad().union(packs))
            files.replace(self._bad_file, "".join(f"{name}\n" for name in names).encode())

    def untold(self, packs: Collection[str]) -> list[str]:
        """The addresses of these damaged Packs, and of other damage found there, that a person was not told of yet."""
        found = [self.where(name) for name in sorted(packs)]
        found += [self.where_fragment(name) for name in sorted(self.bad_fragments)]
        found += self.bad_bundles()
        found = [place for place in found if place not in self._told]
        self._told.update(found)
        return found

    def settled(self) -> None:
        """Forget damaged Packs: all that was to be sent is in others now."""
        if self._bad_file:
            files.remove(self._bad_file)

    def _found_bad(self) -> set[str]:
        data = files.read_or_none(self._bad_file) if self._bad_file else None
        lines = (data or b"").decode(errors="replace").split()
        return {name for name in lines if len(name) == 2 * self.hashing.size}

    def _is_bad(self, pack: str) -> bool:
        try:
            for _ in _Hashed(self._blocks(pack), pack, self.hashing, id):
                pass
        except DamagedError:
            return True
        return False

    def _unreachable(self, error: OSError) -> MlvcError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return SystemFailureError(
                f"the disk is full at remote '{self.name}': {self.url}",
                hint="make room there, then run the command again; nothing that was there is lost",
            )
        return RemoteError(
            f"remote '{self.name}' at {self.url} cannot be used: {in_one_line(error)}",
            hint="is the address right, and may you write there? `mlvc remote list` shows it",
        )

    def refresh(self) -> None:
        """Bring the Catalog up to what the Remote's listing says. One that is still to be made has nothing."""
        if self.is_new:
            return
        if not self.check():
            raise self.absent("nothing is")
        for _ in range(4):
            try:
                self._read_listing()
            except FileNotFoundError:
                continue  # somebody merged fragments meanwhile
            except OSError as error:
                raise self._unreachable(error) from None
            return
        raise RemoteError(f"the index of remote '{self.name}' keeps changing", hint="run this again later")

    def _read_listing(self) -> None:
        # In this order: what another client adds meanwhile is never taken for gone, and the Packs of a
        # fragment are there before it is.
        names = self._listed_fragments()
        if not self.catalog.fragments() <= names - self.bad_fragments:
            self.catalog.clear()  # a Pack that no fragment lists any more is as good as absent
        known = self.catalog.packs()
        listing = self._blobs.list(PACKS)
        found = {name.removesuffix(SUFFIX): size for name, size in listing.items() if name.endswith(SUFFIX)}
        self.present = {name: size for name, size in found.items() if name not in self._bad}
        if any(self.present.get(name) != size for name, size in known.items()):
            self.catalog.clear()
        for name in sorted(names - self.catalog.fragments()):
            packs = self._fragment(name)
            if packs is None:
                continue
            whole = [pack for pack in packs if self.present.get(pack[0]) == pack[1]]
            # A fragment with an absent Pack is read again next time: the Pack may come back.
            self.catalog.add(whole, [name] if len(whole) == len(packs) else [])
        if len(names) > _MERGE_ABOVE:
            # A client that may only read leaves it to others; so does one that meets another that is at it.
            with suppress(OSError):
                self._merge(names)

    def _listed_fragments(self) -> set[str]:
        return {name.removesuffix(_FRAGMENT) for name in self._blobs.list(FRAGMENTS) if name.endswith(_FRAGMENT)}

    def _fragment(self, name: str) -> list[tuple[str, int, PackIndex]] | None:
        """What a fragment lists. None where it is damaged: it counts as absent, but may be mended any time."""
        data = self._blobs.read(f"{FRAGMENTS}/{name}{_FRAGMENT}")
        if self.hashing.of(data).hex() != name:
            self.bad_fragments.add(name)
            return None
        self.bad_fragments.discard(name)
        return decode_fragment(data, self.hashing.size)

    def _merge(self, names: Iterable[str]) -> None:
        """Write one fragment in place of many. Harmless beside another client that does the same."""
        packs: dict[str, tuple[str, int, PackIndex]] = {}
        read = []
        for name in names:
            listed = self._fragment(name)
            if listed is not None:
                packs.update((pack[0], pack) for pack in listed)
                read.append(name)
        merged = self._write_fragment(list(packs.values()))
        for name in read:
            if name != merged:
                self._blobs.delete(f"{FRAGMENTS}/{name}{_FRAGMENT}")

    # -- reading

    def range(self, pack: str, start: int, length: int) -> bytes:
        """Bytes of a Pack. RemoteError where the Remote does not answer."""
        try:
            return self._blobs.range(f"{PACKS}/{pack}{SUFFIX}", start, length)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or error.errno == errno.EIO:
                raise
            raise self._unreachable(error) from None

    def _ahead(self, wanted: Sequence[Location]) -> Ahead:
        return Ahead(self.range, wanted, self.jobs if self._blobs.side_by_side else 1)

    def missing(self, oids: Iterable[bytes]) -> set[bytes]:
        """Those of ``oids`` that the Remote does not have, or not with all their chunks."""
        return self.packed.missing(oids)

    def read(self, oids: Iterable[bytes], lost: Lost) -> Iterator[tuple[bytes, bytes | memoryview]]:
        """Small objects. See Store."""
        yield from self.packed.read(oids, lost)

    def stream(self, oid: bytes) -> Iterator[bytes | memoryview]:
        """An object of any size. See Store."""
        yield from self.packed.stream(oid)

    def part(self, oid: bytes, start: int, stop: int) -> Iterator[bytes | memoryview]:
        """A part of an object, in requests for what lies around it. See Store."""
        yield from self.packed.part(oid, start, stop)

    @property
    def is_near(self) -> bool:
        """See Blobs."""
        return self._blobs.is_near

    def download(
        self,
        pack: str,
        path: str,
        note: Callable[[int], object] = id,
        follow: Callable[[bytes | memoryview], object] = id,
    ) -> None:
        """A whole Pack to a new file, flushed. DamagedError where it does not hash to its name.

        ``note`` is told the length of each part as it comes, ``follow`` is given the part itself.
        """
        with Writer(path) as file:
            for block in _Hashed(self._blocks(pack), pack, self.hashing, note):
                file.write(block)
                follow(block)
            file.finish()

    def _blocks(self, pack: str) -> Iterator[bytes | memoryview]:
        """The Pack as it comes. What goes wrong here is the Remote's fault, not that of the disk it is written to."""
        try:
            yield from self._blobs.blocks(f"{PACKS}/{pack}{SUFFIX}")
        except FileNotFoundError:
            raise DamagedError(f"pack {pack[:10]} is gone") from None
        except OSError as error:
            if error.errno == errno.EIO:
                raise DamagedError(f"pack {pack[:10]} cannot be read") from None
            raise self._unreachable(error) from None

    # -- writing

    def upload(self, path: str, pack: str, size: int, note: Callable[[int], object]) -> None:
        """Send a Pack. DamagedError, and nothing visible, where the file does not hash to ``pack``.

        One that an interrupted push has left there is not sent again; the file is hashed all the same.
        """
        blocks = _Hashed(pack_blocks(path), pack, self.hashing, note)
        if self.present.get(pack) == size:
            for _ in blocks:
                pass
            return
        try:
            self._blobs.write(f"{PACKS}/{pack}{SUFFIX}", blocks)
        except OSError as error:
            raise self._unreachable(error) from None
        self._bad.discard(pack)

    def publish(self, packs: list[tuple[str, int, PackIndex]]) -> None:
        """Write the fragment that makes uploaded Packs visible."""
        try:
            name = self._write_fragment(packs)
        except OSError as error:
            raise self._unreachable(error) from None
        self.present.update((pack, size) for pack, size, _ in packs)
        self.catalog.add(packs, [name])

    def _write_fragment(self, packs: list[tuple[str, int, PackIndex]]) -> str:
        data = encode_fragment(packs, self.hashing.size)
        name = self.hashing.of(data).hex()
        self._blobs.write(f"{FRAGMENTS}/{name}{_FRAGMENT}", [data])
        self.bad_fragments.discard(name)
        return name

    def index_of(self, pack: SealedPack) -> tuple[str, int, PackIndex]:
        """What a fragment says of a Pack."""
        return pack.name, pack.size, pack.index

    # -- the records of Runs

    def bad_bundles(self) -> list[str]:
        """The addresses of bundles that were found damaged, for a person."""
        return [f"{self.url.rstrip('/')}/{BUNDLES}/{name}{RUNS}" for name in sorted(self.bundles.damaged)]

    def fetch_records(self, *, keep: bool = True, again: bool = False) -> int:
        """Read the bundles that are new there. How many records are new here. RemoteError; see Bundles.refresh."""
        try:
            return 0 if self.is_new else self.bundles.refresh(keep=keep, again=again)
        except OSError as error:
            raise self._unreachable(error) from None

    def send_records(self, records: Sequence[Record]) -> int:
        """Mend bundles, and send records that are not there, after all that they name. How many came. RemoteError."""
        self.make()
        try:
            sent = self.bundles.mend() + self.bundles.add(records)
        except OSError as error:
            raise self._unreachable(error) from None
        with suppress(OSError):  # as of fragments
            self.bundles.merge()
        return sent

    def close(self) -> None:
        """Let go of the Catalog."""
        self.catalog.close()


def encode_fragment(packs: Iterable[tuple[str, int, PackIndex]], digest_size: int) -> bytes:
    """The bytes of an index fragment."""
    rows = sorted(packs, key=lambda pack: pack[0])
    parts = [_HEAD.pack(_MAGIC, _VERSION, digest_size, len(rows))]
    for name, size, index in rows:
        footer = encode_footer(index)
        parts += [bytes.fromhex(name), struct.pack("<QQQ", size, index.offsets[-1], len(footer)), footer]
    return b"".join(parts)


def decode_fragment(data: bytes, digest_size: int) -> list[tuple[str, int, PackIndex]]:
    """The Packs that an index fragment lists: name, size, index."""
    try:
        magic, version, size, count = _HEAD.unpack_from(data)
    except struct.error:
        raise FormatError("an index fragment is cut short") from None
    if magic != _MAGIC or version != _VERSION or size != digest_size:
        raise FormatError("an index fragment has another format or hash algorithm", hint="use a newer mlvc")
    found = []
    at = _HEAD.size
    for _ in range(count):
        name = data[at : at + digest_size].hex()
        pack_size, end, length = struct.unpack_from("<QQQ", data, at + digest_size)
        at += digest_size + 24
        found.append((name, pack_size, decode_footer(data[at : at + length], end, digest_size)))
        at += length
    return found
