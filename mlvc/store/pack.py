"""Packs: many objects in one immutable file. Bytes: docs/formats/pack.md."""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from mlvc import files
from mlvc.errors import DamagedError, FormatError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    import zstandard

    from mlvc.hashing import Hashing

DATA, RECIPE = 0, 1
VERSION = 1
FRAME_SIZE = 256 << 10
PACK_SIZE = 48 << 20
SUFFIX = ".pack"
_MAGIC, _FRAME, _ENDS = b"mlvcpack", b"mlvf", b"mlvcends"
_HEADER = struct.Struct("<8sBB6x")
_FRAME_HEAD = struct.Struct("<4sB3xIII")
_TRAILER = struct.Struct("<Q8s8s")
RAW, ZSTD = 0, 1
_LEVEL = 3
_SAMPLE = 8 << 10
_PENDING = 12


@dataclass(frozen=True, slots=True)
class PackIndex:
    """Where the objects of one Pack lie, frame by frame, in columns.

    ``offsets`` has one element more than there are frames: the end of the last one.
    """

    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    kinds: bytes
    lengths: tuple[int, ...]
    oids: tuple[bytes, ...]

    def rows(self) -> Iterator[tuple[bytes, int, int, int, int, int]]:
        """``(oid, kind, frame offset, frame extent, start in the frame's raw bytes, length)`` of every object."""
        first = 0
        for frame, count in enumerate(self.counts):
            offset = self.offsets[frame]
            extent = self.offsets[frame + 1] - offset
            start = 0
            for i in range(first, first + count):
                length = self.lengths[i]
                yield self.oids[i], self.kinds[i], offset, extent, start, length
                start += length
            first += count


@dataclass(frozen=True, slots=True)
class SealedPack:
    """A whole Pack under a temporary name, flushed to the disk."""

    name: str
    path: str
    size: int
    index: PackIndex


def _split(data: bytes | memoryview, size: int) -> tuple[bytes, ...]:
    data = bytes(data)
    return tuple(data[i : i + size] for i in range(0, len(data), size))


# -- frames ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Draft:
    """The frame that is being filled."""

    kinds: bytearray
    lengths: list[int]
    oids: list[bytes]
    parts: list[bytes | memoryview]
    size: int

    @classmethod
    def new(cls) -> Self:
        return cls(bytearray(), [], [], [], 0)


def encode_frame(draft: _Draft, raw: bytes, level: int = _LEVEL) -> tuple[bytes, bytes]:
    """The head and the payload of a frame, compressed where a sample shrinks."""
    payload, codec = _compress(raw, level)
    head = _FRAME_HEAD.pack(_FRAME, codec, len(draft.lengths), len(raw), len(payload))
    lengths = struct.pack(f"<{len(draft.lengths)}I", *draft.lengths)
    return b"".join((head, draft.kinds, lengths, *draft.oids)), payload


def _compress(raw: bytes, level: int) -> tuple[bytes, int]:
    """Compressed bytes where that saves a twentieth, else ``raw``. Big frames are sampled first."""
    import zstandard  # noqa: PLC0415  (24 MB of library, loaded when something is stored)

    if len(raw) < 64:
        return raw, RAW
    if len(raw) >= 8 * _SAMPLE:
        third = len(raw) // 3
        sample = b"".join(raw[at : at + _SAMPLE // 4] for at in (0, third, 2 * third, len(raw) - _SAMPLE // 4))
        if len(zstandard.ZstdCompressor(level=1).compress(sample)) > len(sample) * 0.97:
            return raw, RAW
    packed = zstandard.ZstdCompressor(level=level, write_content_size=True).compress(raw)
    return (packed, ZSTD) if len(packed) < len(raw) * 0.95 else (raw, RAW)


class FrameReader:
    """Takes frames apart. Not for use from two threads at once."""

    def __init__(self, digest_size: int) -> None:
        self._digest_size = digest_size
        self._decompressor: zstandard.ZstdDecompressor | None = None

    def payload(self, frame: bytes | memoryview) -> memoryview:
        """The raw bytes of all objects of a frame; DamagedError where it is not a frame."""
        view = memoryview(frame)
        try:
            magic, codec, count, raw, stored = _FRAME_HEAD.unpack_from(view)
        except struct.error:
            raise DamagedError("a frame of a pack is cut short") from None
        start = _FRAME_HEAD.size + count * (5 + self._digest_size)
        body = view[start : start + stored]
        if magic != _FRAME or len(body) != stored or codec not in (RAW, ZSTD):
            raise DamagedError("a frame of a pack is damaged")
        return body if codec == RAW else self._decompress(body, raw)

    def _decompress(self, body: memoryview, raw: int) -> memoryview:
        import zstandard  # noqa: PLC0415

        if self._decompressor is None:
            self._decompressor = zstandard.ZstdDecompressor()
        try:
            data = self._decompressor.decompress(body, max_output_size=raw)
        except zstandard.ZstdError:
            raise DamagedError("a frame of a pack does not decompress") from None
        if len(data) != raw:
            raise DamagedError("a frame of a pack has another length than it says")
        return memoryview(data)


# -- writing -----------------------------------------------------------------------------------


class PackWriter:
    """Writes objects into Packs below ``scratch``, one after the other.

    Nothing is visible before the caller gives the sealed Packs their names. Compression and the
    flush of a full Pack run in other threads while the caller goes on.
    """

    def __init__(
        self, scratch: files.Scratch, hashing: Hashing, *, pack_size: int = PACK_SIZE, level: int = _LEVEL
    ) -> None:
        self._scratch = scratch
        self._hashing = hashing
        self._pack_size = pack_size
        self._level = level
        self._draft = _Draft.new()
        self._file: _PackFile | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._encoded: deque[tuple[_Draft, Future[tuple[bytes, bytes]]]] = deque()
        self._sealing: list[Future[SealedPack]] = []
        self._sealed: list[SealedPack] = []

    def add(self, oid: bytes, kind: int, data: bytes | memoryview) -> None:
        """Append an object. ``data`` must hash to ``oid``, or be the recipe of it."""
        draft = self._draft
        size = len(data)
        if draft.size and draft.size + size > FRAME_SIZE:
            self._close_frame()
            draft = self._draft
        draft.kinds.append(kind)
        draft.lengths.append(size)
        draft.oids.append(oid)
        draft.parts.append(data)
        draft.size += size

    def add_frame(self, index: PackIndex, frame: bytes) -> None:
        """Append a whole frame of another Pack as it is. ``index`` describes just this frame."""
        self._close_frame()
        self._drain(0)
        self._pack_file().append(index.kinds, index.lengths, index.oids, frame)
        self._roll()

    def finish(self) -> list[SealedPack]:
        """Seal what was written: every Pack durable under its temporary name, in the order written."""
        self._close_frame()
        self._drain(0)
        if self._file is not None:
            self._seal()
        self._sealed += [future.result() for future in self._sealing]
        self._sealing = []
        self.close()
        return self._sealed

    def close(self) -> None:
        """Stop the threads. What is not sealed is forgotten."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        if self._file is not None:
            self._file.abandon()
            self._file = None

    def _close_frame(self) -> None:
        draft = self._draft
        if not draft.lengths:
            return
        self._draft = _Draft.new()
        raw = b"".join(draft.parts)
        draft.parts.clear()
        if self._pool is None and self._file is None and not self._encoded:
            # A single frame is the common case: no thread is started for it.
            self._write(draft, *encode_frame(draft, raw, self._level))
            return
        self._encoded.append((draft, self._threads().submit(encode_frame, draft, raw, self._level)))
        self._drain(_PENDING)

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (12 ms to import)

            self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="pack")
        return self._pool

    def _drain(self, keep: int) -> None:
        while len(self._encoded) > keep or (self._encoded and self._encoded[0][1].done()):
            draft, future = self._encoded.popleft()
            self._write(draft, *future.result())

    def _write(self, draft: _Draft, head: bytes, payload: bytes) -> None:
        self._pack_file().append(bytes(draft.kinds), draft.lengths, draft.oids, head, payload)
        self._roll()

    def _pack_file(self) -> _PackFile:
        if self._file is None:
            self._file = _PackFile(self._scratch.name(), self._hashing)
        return self._file

    def _roll(self) -> None:
        if self._file is not None and self._file.size >= self._pack_size:
            self._seal()

    def _seal(self) -> None:
        file, self._file = self._file, None
        assert file is not None
        if self._pool is None:
            self._sealed.append(file.seal())
        else:
            self._sealing.append(self._pool.submit(file.seal))


class _PackFile:
    """One Pack that is being written under a temporary name."""

    def __init__(self, path: str, hashing: Hashing) -> None:
        self.path = path
        self.size = 0
        self._hashing = hashing
        self._hasher = hashing.new()
        self._offsets: list[int] = []
        self._counts: list[int] = []
        self._kinds: list[bytes] = []
        self._lengths: list[int] = []
        self._oids: list[bytes] = []
        self._fd = os.open(path, files.CREATE, 0o666)
        self._put(_HEADER.pack(_MAGIC, VERSION, hashing.size))

    def _put(self, data: bytes) -> None:
        files.write_all(self._fd, data)
        self._hasher.update(data)
        self.size += len(data)

    def append(
        self, kinds: bytes, lengths: list[int] | tuple[int, ...], oids: list[bytes] | tuple[bytes, ...], *frame: bytes
    ) -> None:
        self._offsets.append(self.size)
        self._counts.append(len(lengths))
        self._kinds.append(kinds)
        self._lengths.extend(lengths)
        self._oids.extend(oids)
        for part in frame:
            self._put(part)

    def seal(self) -> SealedPack:
        index = PackIndex(
            (*self._offsets, self.size),
            tuple(self._counts),
            b"".join(self._kinds),
            tuple(self._lengths),
            tuple(self._oids),
        )
        try:
            footer = encode_footer(index)
            check = self._hashing.of(footer)[:8]
            self._put(footer + _TRAILER.pack(index.offsets[-1], check, _ENDS))
            os.fsync(self._fd)
        finally:
            self.abandon()
        return SealedPack(self._hasher.digest().hex(), self.path, self.size, index)

    def abandon(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


# -- the index of a Pack -----------------------------------------------------------------------


def encode_footer(index: PackIndex) -> bytes:
    """The tables of all frames, as the footer of a Pack and the index fragments of a Remote have them."""
    frames, objects = len(index.counts), len(index.lengths)
    return b"".join(
        (
            struct.pack(f"<II{frames}Q{frames}I", frames, objects, *index.offsets[:-1], *index.counts),
            index.kinds,
            struct.pack(f"<{objects}I", *index.lengths),
            *index.oids,
        )
    )


def decode_footer(footer: bytes | memoryview, end: int, digest_size: int) -> PackIndex:
    """The PackIndex in a footer; ``end`` is where the last frame ends."""
    frames, objects = struct.unpack_from("<II", footer)
    offsets = struct.unpack_from(f"<{frames}Q", footer, 8)
    counts = struct.unpack_from(f"<{frames}I", footer, 8 + 8 * frames)
    at = 8 + 12 * frames
    kinds = bytes(footer[at : at + objects])
    lengths = struct.unpack_from(f"<{objects}I", footer, at + objects)
    oids = footer[at + 5 * objects : at + (5 + digest_size) * objects]
    if len(oids) != digest_size * objects or sum(counts) != objects:
        raise DamagedError("the footer of a pack is damaged")
    return PackIndex((*offsets, end), counts, kinds, lengths, _split(oids, digest_size))


def read_index(read: Callable[[int, int], bytes], size: int, hashing: Hashing) -> PackIndex:
    """The PackIndex of a Pack of ``size`` bytes that ``read(start, length)`` reads.

    Where the footer is damaged or cut off, the frames that are whole are found by walking them.
    FormatError for what is no Pack, another version, or another hash algorithm.
    """
    header = read(0, _HEADER.size)
    if len(header) < _HEADER.size or header[:8] != _MAGIC:
        raise FormatError("not a pack")
    _, version, digest_size = _HEADER.unpack(header)
    if version != VERSION:
        raise FormatError(f"pack format {version}, this mlvc reads format {VERSION}", hint="use a newer mlvc")
    if digest_size != hashing.size:
        raise FormatError("the pack was made with another hash algorithm")
    return _read_footer(read, size, hashing) or _walk(read, size, hashing.size)


def _read_footer(read: Callable[[int, int], bytes], size: int, hashing: Hashing) -> PackIndex | None:
    tail = read(max(0, size - _TRAILER.size), _TRAILER.size)
    if len(tail) < _TRAILER.size:
        return None
    offset, check, ends = _TRAILER.unpack(tail)
    if ends != _ENDS or offset > size - _TRAILER.size:
        return None
    footer = read(offset, size - _TRAILER.size - offset)
    if hashing.of(footer)[:8] != check:
        return None
    return decode_footer(footer, offset, hashing.size)


def _walk(read: Callable[[int, int], bytes], size: int, digest_size: int) -> PackIndex:
    offsets = [_HEADER.size]
    counts: list[int] = []
    kinds = b""
    lengths: list[int] = []
    oids: list[bytes] = []
    at = _HEADER.size
    while at + _FRAME_HEAD.size < size:
        magic, _, count, _, stored = _FRAME_HEAD.unpack(read(at, _FRAME_HEAD.size))
        end = at + _FRAME_HEAD.size + count * (5 + digest_size) + stored
        if magic != _FRAME or end > size:
            break
        table = read(at + _FRAME_HEAD.size, count * (5 + digest_size))
        kinds += table[:count]
        lengths += struct.unpack_from(f"<{count}I", table, count)
        oids += _split(table[5 * count :], digest_size)
        counts.append(count)
        offsets.append(end)
        at = end
    return PackIndex(tuple(offsets), tuple(counts), kinds, tuple(lengths), tuple(oids))


# -- recipes -----------------------------------------------------------------------------------


def encode_recipe(chunks: list[tuple[bytes, int]]) -> bytes:
    """The recipe of a large object from the ``(oid, length)`` of its chunks in order."""
    return b"".join([oid + struct.pack("<I", length) for oid, length in chunks])


def decode_recipe(data: bytes | memoryview, digest_size: int) -> list[tuple[bytes, int]]:
    """The ``(oid, length)`` of the chunks of a large object, in order."""
    if len(data) % (digest_size + 4):
        raise DamagedError("the recipe of a large object is damaged")
    return list(struct.iter_unpack(f"<{digest_size}sI", data))


def frame_starts(index: PackIndex) -> list[int]:
    """The number of the first object of each frame, and one past the last."""
    return [0, *accumulate(index.counts)]
