"""Bundles: records by key, many in one file of a Remote. Layout and bytes: docs/formats/remote.md.

What a record says is of no concern here. Whoever uses one checks it: a key may have several, of which any may be wrong.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlvc import files
from mlvc.errors import FormatError
from mlvc.hashing import Hashing
from mlvc.store.blobs import BUNDLES, Blobs

SUFFIX = ".runs"
_HEAD = struct.Struct("<8sBB2xI")
_LENGTH = struct.Struct("<I")
_MAGIC = b"mlvcruns"
_VERSION = 1
_MOST = 10_000
"""Records of one bundle."""
_SMALL = 1 << 20
_MERGE_ABOVE = 64
"""So many bundles that are ``_SMALL`` are merged."""

Record = tuple[bytes, bytes]
"""Its key and its bytes."""


def encode(records: Iterable[Record], digest_size: int) -> bytes:
    """The bytes of a bundle; the same records give the same."""
    import zstandard  # noqa: PLC0415  (most commands read no bundle)

    rows = sorted(set(records))
    head = [_HEAD.pack(_MAGIC, _VERSION, digest_size, len(rows))]
    head += [key + _LENGTH.pack(len(record)) for key, record in rows]
    return b"".join([*head, zstandard.ZstdCompressor(level=3).compress(b"".join(record for _, record in rows))])


_LARGEST = 256 << 20
"""Bytes of the records of one bundle. The most that are made are a few megabytes: see docs/formats/remote.md."""


def decode(data: bytes, digest_size: int) -> dict[bytes, tuple[bytes, ...]]:
    """The records of a bundle by key; FormatError for anything that is none, or of another version."""
    import zstandard  # noqa: PLC0415

    try:
        magic, version, size, count = _HEAD.unpack_from(data)
        if (magic, version, size) != (_MAGIC, _VERSION, digest_size):
            raise FormatError("a bundle of Runs has another format or hash algorithm", hint="use a newer mlvc")
        rows = list(struct.iter_unpack(f"<{size}sI", data[_HEAD.size : (end := _HEAD.size + count * (size + 4))]))
        total = sum(length for _, length in rows)
        if total > _LARGEST:
            raise FormatError("a bundle of Runs is larger than any that mlvc makes")
        body = zstandard.ZstdDecompressor().decompress(data[end:], max_output_size=total or 1)
    except (struct.error, zstandard.ZstdError):
        raise FormatError("a bundle of Runs is cut short") from None
    if len(body) != total or len(rows) != count:
        raise FormatError("a bundle of Runs is cut short")
    found: dict[bytes, tuple[bytes, ...]] = {}
    at = 0
    for key, length in rows:
        found[key] = (*found.get(key, ()), body[at : at + length])
        at += length
    return found


@dataclass(slots=True)
class Records:
    """The records in copies of bundles, which are in the directory ``known`` and may be deleted at any time."""

    hashing: Hashing
    known: str
    _records: dict[str, Mapping[bytes, tuple[bytes, ...]]] = field(default_factory=dict)

    def get(self, key: bytes) -> Iterator[bytes]:
        """The records of ``key`` that are known here."""
        for records in self._all():
            yield from records.get(key, ())

    def keys(self) -> set[bytes]:
        """The keys of all records that are known here."""
        return {key for records in self._all() for key in records}

    def _all(self) -> list[Mapping[bytes, tuple[bytes, ...]]]:
        for name in self._here() - self._records.keys():
            data = files.read_or_none(self._path(name))
            records = None if data is None else self._decoded(name, data)
            if records is None:
                files.remove(self._path(name))  # to be fetched again
            else:
                self._records[name] = records
        return [self._records[name] for name in sorted(self._records)]

    def _here(self) -> set[str]:
        try:
            return {name.removesuffix(SUFFIX) for name in os.listdir(self.known or os.devnull) if self._is_name(name)}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def _is_name(self, name: str) -> bool:
        """Names come from elsewhere, and one is a path here."""
        digits = name.removesuffix(SUFFIX)
        return name != digits and len(digits) == 2 * self.hashing.size and not digits.strip("0123456789abcdef")

    def _path(self, name: str) -> str:
        return os.path.join(self.known, name + SUFFIX)

    def _decoded(self, name: str, data: bytes) -> Mapping[bytes, tuple[bytes, ...]] | None:
        """None for what is damaged, or of a newer mlvc: as good as absent."""
        if self.hashing.of(data).hex() != name:
            return None
        try:
            return decode(data, self.hashing.size)
        except FormatError:
            return None


class Bundles(Records):
    """The bundles of one Remote, with copies of those that were read; without ``known`` there are none.

    OSError where the place cannot be read or written.
    """

    def __init__(self, blobs: Blobs, hashing: Hashing, known: str) -> None:
        super().__init__(hashing, known)
        self.blobs = blobs
        self.damaged: set[str] = set()
        """Bundles of the last listing that do not hash to their names."""
        self.strange: set[str] = set()
        """Bundles of the last listing that are as they were written, and that this mlvc does not read."""

    def refresh(self, *, keep: bool = True, again: bool = False) -> int:
        """Read the listing, and the bundles that are not here yet. How many records are new here.

        One request for the listing and one for each new bundle; with ``again`` one for each bundle there. With
        ``keep``, copies are made, and those of bundles that are no longer there go; otherwise nothing is written.
        FileNotFoundError where bundles keep changing.
        """
        keep = keep and bool(self.known)
        for tries in range(4):
            listed = self._listed()
            before = self._here()
            read = self._records.keys() | {name for name in before if self._size_here(name) == listed.get(name)}
            try:
                new = {name: self._fetched(name) for name in sorted(listed if again else listed.keys() - read)}
            except FileNotFoundError:
                if tries == 3:
                    raise
                continue  # somebody merged bundles meanwhile
            break
        had = self.keys() if new else set()
        self.damaged, self.strange = set(), set()
        for name, data in new.items():
            records = self._decoded(name, data)
            if records is not None:
                self._records[name] = records
                if keep:
                    files.replace(self._path(name), data)
            else:
                (self.strange if self.hashing.of(data).hex() == name else self.damaged).add(name)
        for name in before - listed.keys() if keep else ():
            files.remove(self._path(name))
        gone = self._records.keys() - listed.keys()
        self._records = {name: records for name, records in self._records.items() if name not in gone}
        return len(self.keys() - had) if new else 0

    def add(self, records: Sequence[Record]) -> int:
        """Write ``records`` that the Remote does not have into new bundles. How many were new.

        Each bundle appears whole or not at all; killed, those before it are there.
        """
        new = sorted({(key, record) for key, record in records if record not in set(self.get(key))})
        for start in range(0, len(new), _MOST):
            self._write(new[start : start + _MOST])
        return len(new)

    def copied(self) -> dict[str, Mapping[bytes, tuple[bytes, ...]]]:
        """The records of the damaged bundles of which there is a copy here."""
        self._all()
        return {name: self._records[name] for name in self.damaged & self._records.keys()}

    def mend(self) -> int:
        """Write damaged bundles again of which there is a copy here, as they were. How many records are in them."""
        count = 0
        for name, records in sorted(self.copied().items()):
            # Not encoded anew: another version of zstd may make other bytes.
            data = files.read_or_none(self._path(name)) or b""
            if self.hashing.of(data).hex() == name:
                self.blobs.write(f"{BUNDLES}/{name}{SUFFIX}", [data])
                self.damaged.discard(name)
                count += sum(len(found) for found in records.values())
        return count

    def merge(self) -> None:
        """Write small bundles as one where there are very many. Harmless beside another client that does the same."""
        small = {name for name, size in self._listed().items() if size < _SMALL}
        if len(small) <= _MERGE_ABOVE:
            return
        read = {name: records for name in small if (records := self._decoded(name, self._fetched(name))) is not None}
        rows = sorted({(key, each) for records in read.values() for key, found in records.items() for each in found})
        made = {self._write(rows[start : start + _MOST]) for start in range(0, len(rows), _MOST)}
        for name in read.keys() - made:
            self.blobs.delete(f"{BUNDLES}/{name}{SUFFIX}")
            if self.known:
                files.remove(self._path(name))
            self._records.pop(name, None)

    def _listed(self) -> dict[str, int]:
        found = self.blobs.list(BUNDLES)
        return {name.removesuffix(SUFFIX): size for name, size in found.items() if self._is_name(name)}

    def _size_here(self, name: str) -> int:
        try:
            return os.stat(self._path(name)).st_size
        except FileNotFoundError:
            return -1

    def _fetched(self, name: str) -> bytes:
        return self.blobs.read(f"{BUNDLES}/{name}{SUFFIX}")

    def _write(self, rows: Sequence[Record]) -> str:
        data = encode(rows, self.hashing.size)
        name = self.hashing.of(data).hex()
        self.blobs.write(f"{BUNDLES}/{name}{SUFFIX}", [data])
        self._records[name] = decode(data, self.hashing.size)
        self.damaged.discard(name)
        if self.known:
            files.replace(self._path(name), data)
        return name
