"""Packs: many objects in one immutable file. Bytes: docs/formats/pack.md."""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, chain, pairwise, repeat
from typing import TYPE_CHECKING, Self

from mlvc import files
from mlvc.directio import Writer
from mlvc.errors import DamagedError, FormatError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    import zstandard

    from mlvc.hashing import Hashing

DATA, RECIPE = 0, 1
_KINDS = frozenset((DATA, RECIPE))
VERSION = 1
FRAME_SIZE = 256 << 10
PACK_SIZE = 48 << 20
SUFFIX = ".pack"
_MAGIC, _FRAME, _ENDS = b"mlvcpack", b"mlvf", b"mlvcends"
_HEADER = struct.Struct("<8sBB6x")
_FRAME_HEAD = struct.Struct("<4sB3xIII")
_TRAILER = struct.Struct("<Q8s8s")
RAW, ZSTD = 0, 1
_LEVEL = 1
_SAMPLE = 8 << 10
_PENDING = 32
_TOGETHER = 4
"""Frames that are handed to another thread at once: each handing over makes the threads wait for each other."""

_UNTAKEN = 2


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
        extents = [end - begin for begin, end in pairwise(self.offsets)]
        return zip(
            self.oids,
            self.kinds,
            chain.from_iterable(map(repeat, self.offsets, self.counts)),
            chain.from_iterable(map(repeat, extents, self.counts)),
            self._starts(),
            self.lengths,
            strict=True,
        )

    def _starts(self) -> Iterator[int]:
        first = 0
        for count in filter(None, self.counts):
            yield from accumulate(self.lengths[first : first + count - 1], initial=0)
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


class _Draft:
    """The frame that is being filled. Its bytes gather in a buffer that is used again."""

    __slots__ = ("buffer", "kinds", "lengths", "oids", "size", "view")

    def __init__(self, buffer: bytearray) -> None:
        self.buffer = buffer
        self.view = memoryview(buffer)
        self.kinds = bytearray()
        self.lengths: list[int] = []
        self.oids: list[bytes] = []
        self.size = 0

    @property
    def raw(self) -> memoryview:
        """All objects, one after the other."""
        return self.view[: self.size]


def encode_frame(draft: _Draft, level: int = _LEVEL) -> list[bytes | memoryview]:
    """Head and payload of a frame, compressed where a sample shrinks."""
    payload, codec = _compress(draft.raw, level)
    head = _FRAME_HEAD.pack(_FRAME, codec, len(draft.lengths), draft.size, len(payload))
    lengths = struct.pack(f"<{len(draft.lengths)}I", *draft.lengths)
    return [b"".join((head, draft.kinds, lengths, *draft.oids)), payload]


class _Tools(threading.local):
    """The compressors of one thread: making one takes longer than compressing a frame."""

    def __init__(self) -> None:
        import zstandard  # noqa: PLC0415  (24 MB of library, loaded when something is stored)

        self.sample = zstandard.ZstdCompressor(level=1).compress
        self.levels: dict[int, Callable[[bytes | memoryview], bytes]] = {}

    def compress(self, data: bytes | memoryview, level: int) -> bytes:
        if level not in self.levels:
            import zstandard  # noqa: PLC0415

            self.levels[level] = zstandard.ZstdCompressor(level=level, write_content_size=True).compress
        return self.levels[level](data)


@cache
def _tools() -> _Tools:
    return _Tools()


def warm() -> None:
    """Load the libraries that writing Packs takes, in a thread, while the caller asks Git (20 ms of an add)."""

    def load() -> None:
        import concurrent.futures.thread  # noqa: F401, PLC0415

        _tools().compress(b"", _LEVEL)

    # No daemon: one that is importing when the process ends can bring it down.
    threading.Thread(target=load, name="warm").start()


def _compress(raw: memoryview, level: int) -> tuple[bytes | memoryview, int]:
    """Compressed bytes where that saves a twentieth, else ``raw``. Big frames are sampled first."""
    if len(raw) < 64:
        return raw, RAW
    tools = _tools()
    if len(raw) >= 8 * _SAMPLE:
        sample = b"".join(raw[len(raw) * n // 4 :][: _SAMPLE // 4] for n in range(4))
        if len(tools.sample(sample)) > len(sample) * 0.97:
            return raw, RAW
    packed = tools.compress(raw, level)
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
            # Asked first: what a damaged frame says may be more than there is memory for.
            if zstandard.frame_content_size(body) != raw:
                raise DamagedError("a frame of a pack has another length than it says")
            data = self._decompressor.decompress(body, max_output_size=raw)
        except zstandard.ZstdError:
            raise DamagedError("a frame of a pack does not decompress") from None
        return memoryview(data)


# -- writing -----------------------------------------------------------------------------------


class PackWriter:
    """Writes objects into Packs below ``scratch``, one after the other.

    Nothing is visible before the caller gives the sealed Packs their names. Compression and the
    flush of a full Pack run in other threads while the caller goes on.
    """

    def __init__(
        self,
        scratch: files.Scratch,
        hashing: Hashing,
        *,
        pack_size: int = PACK_SIZE,
        level: int = _LEVEL,
        sealed: Callable[[SealedPack], object] = id,
    ) -> None:
        """``sealed`` is called with each Pack when it is whole, from any thread; it may take the file away."""
        self._sealed_one = sealed
        self._scratch = scratch
        self._hashing = hashing
        self._pack_size = pack_size
        self._level = level
        self._buffers: deque[bytearray] = deque()
        self._draft = self._begin()
        self._file: _PackFile | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._lane: ThreadPoolExecutor | None = None
        self._closed: list[_Draft] = []
        self._written: deque[Future[None]] = deque()
        self._sealing: list[Future[SealedPack]] = []
        self._sealed: list[SealedPack] = []
        self._files: list[_PackFile] = []

    def add(self, oid: bytes, kind: int, data: bytes | memoryview) -> None:
        """Append an object. ``data`` must hash to ``oid``, or be the recipe of it."""
        self.add_all(((oid, data),), kind)

    def add_all(self, objects: Iterable[tuple[bytes, bytes | memoryview]], kind: int = DATA) -> None:
        """Append objects in order. As ``add``."""
        draft = self._draft
        for oid, data in objects:
            size = len(data)
            end = draft.size + size
            if end > FRAME_SIZE:
                self._close_frame()
                draft = self._draft if size <= FRAME_SIZE else self._begin(size)
                end = size
            draft.view[end - size : end] = data
            draft.size = end
            draft.kinds.append(kind)
            draft.lengths.append(size)
            draft.oids.append(oid)

    def finish(self) -> list[SealedPack]:
        """Seal what was written: every Pack durable under its temporary name, in the order written."""
        self._close_frame()
        if self._pool is not None and self._closed:
            self._submit()
        self._drain(0)
        # A few frames are the common case: no thread is started for them.
        self._write(self._closed, [encode_frame(draft, self._level) for draft in self._closed])
        self._closed = []
        if self._file is not None:
            self._seal()
        self._sealed += [future.result() for future in self._sealing]
        self._sealing = []
        self._stop()
        return self._sealed

    def _stop(self) -> None:
        for threads in (self._lane, self._pool):
            if threads is not None:
                threads.shutdown(cancel_futures=True)
        self._lane = self._pool = None

    def close(self) -> None:
        """Stop the threads, and remove what was written and has not got its name."""
        self._stop()
        for file in self._files:
            file.close()
            files.remove(file.path)
        self._files = []
        self._file = None

    def __enter__(self) -> Self:
        """Write."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget what has not got its name."""
        self.close()

    def _close_frame(self) -> None:
        if not self._draft.lengths:
            return
        self._closed.append(self._draft)
        self._begin()
        if len(self._closed) == _TOGETHER:
            self._submit()
            self._drain(_PENDING // _TOGETHER)

    def _begin(self, size: int = FRAME_SIZE) -> _Draft:
        """A new frame, in a buffer that a written one has left where there is one."""
        if size > FRAME_SIZE:
            buffer = bytearray(size)
        else:
            buffer = self._buffers.pop() if self._buffers else bytearray(FRAME_SIZE)
        self._draft = _Draft(buffer)
        return self._draft

    def _start(self) -> None:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (12 ms to import)

        self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="pack")
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="pack-write")

    def _submit(self) -> None:
        """Compression side by side, writing one after the other, both beside the caller."""
        if self._pool is None or self._lane is None:
            self._start()
        assert self._pool is not None
        assert self._lane is not None
        drafts, self._closed = self._closed, []
        frames = self._pool.submit(lambda: [encode_frame(draft, self._level) for draft in drafts])
        self._written.append(self._lane.submit(lambda: self._write(drafts, frames.result())))

    def _drain(self, keep: int) -> None:
        """Wait until at most ``keep`` groups are on their way; what went wrong with one is raised here."""
        while len(self._written) > keep:
            self._written.popleft().result()

    def _write(self, drafts: Sequence[_Draft], frames: Iterable[Sequence[bytes | memoryview]]) -> None:
        for draft, frame in zip(drafts, frames, strict=True):
            self._pack_file().append(bytes(draft.kinds), draft.lengths, draft.oids, frame)
            if len(draft.buffer) == FRAME_SIZE:
                self._buffers.append(draft.buffer)
            self._roll()

    def _pack_file(self) -> _PackFile:
        if self._file is None:
            self._file = _PackFile(self._scratch.name(), self._hashing)
            self._files.append(self._file)
        return self._file

    def _roll(self) -> None:
        if self._file is not None and self._file.size >= self._pack_size:
            self._seal()

    def _seal(self) -> None:
        file, self._file = self._file, None
        assert file is not None
        if self._pool is None:
            self._sealed.append(self._take(file))
            return
        self._sealing.append(self._pool.submit(self._take, file))
        if len(self._sealing) > _UNTAKEN:
            self._sealing[-_UNTAKEN - 1].result()  # so that the disk need not hold all of them

    def _take(self, file: _PackFile) -> SealedPack:
        pack = file.seal()
        self._sealed_one(pack)
        return pack


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
        self._file = Writer(path)
        self._put(_HEADER.pack(_MAGIC, VERSION, hashing.size))

    def _put(self, data: bytes | memoryview) -> None:
        self._hasher.update(data)
        self._file.write(data)
        self.size += len(data)

    def append(
        self, kinds: bytes, lengths: Sequence[int], oids: Sequence[bytes], frame: Sequence[bytes | memoryview]
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
            self._file.finish()
        finally:
            self.close()
        return SealedPack(self._hasher.digest().hex(), self.path, self.size, index)

    def close(self) -> None:
        self._file.__exit__()


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
    try:
        frames, objects = struct.unpack_from("<II", footer)
        offsets = struct.unpack_from(f"<{frames}Q", footer, 8)
        counts = struct.unpack_from(f"<{frames}I", footer, 8 + 8 * frames)
        at = 8 + 12 * frames
        kinds = bytes(footer[at : at + objects])
        lengths = struct.unpack_from(f"<{objects}I", footer, at + objects)
    except struct.error:
        raise DamagedError("the footer of a pack is damaged") from None
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
        if not _KINDS.issuperset(table[:count]):
            break
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
