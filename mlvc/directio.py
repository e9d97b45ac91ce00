"""Large files from front to back, past the page cache where the system can (Linux, ``O_DIRECT``).

A gigabyte that goes through the page cache pushes a gigabyte of other files out of it, and filling
it costs more than the disk does: docs/adr/0011-direct-io.md has the figures. Anything the system
refuses is done the ordinary way.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from mlvc import files

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

WORTHWHILE = 256 << 20
"""Bytes from which a file of the user's is written past the page cache. Packs are from 4 MiB on."""

BUFFER = 4 << 20
_DIRECT = getattr(os, "O_DIRECT", 0)
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_ALIGN = 4096
_REFUSED = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
_spare: deque[mmap.mmap] = deque(maxlen=8)


def _buffer() -> mmap.mmap:
    """Memory at an aligned address; used again, because the first touch of memory is what costs."""
    with suppress(IndexError):
        return _spare.pop()
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return mmap.mmap(-1, BUFFER)
    memory = mmap.mmap(-1, BUFFER, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without
        memory.madvise(mmap.MADV_HUGEPAGE)  # two faults in place of a thousand
    return memory


class Writer:
    """A new file, written from front to back. A second thread writes while the caller fills the next buffer.

    ``finish`` makes it durable; without it the file is the caller's to remove. ``direct``: past the page cache.
    """

    def __init__(self, path: str, mode: int = 0o666, *, direct: bool = True) -> None:
        self.size = 0
        self._fd = os.open(path, files.CREATE, mode)
        self._memory = _buffer()
        self._view = memoryview(self._memory)
        self._filled = 0
        self._direct = False
        self._tried = not direct
        self._thread: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None
        self._other: mmap.mmap | None = None

    def write(self, data: bytes | memoryview) -> None:
        """Append ``data``, which may be used for something else afterwards."""
        size = len(data)
        self.size += size
        at = 0
        while at < size:
            part = min(size - at, BUFFER - self._filled)
            self._view[self._filled : self._filled + part] = data[at : at + part]
            self._filled += part
            at += part
            if self._filled == BUFFER:
                self._flush()

    def finish(self, *, durable: bool = True) -> os.stat_result:
        """Write the rest, flush it to the disk, close. What the system says of the file."""
        self._wait()
        if self._filled:
            self._ordinary()
            files.write_all(self._fd, self._view[: self._filled])
        if durable:
            os.fsync(self._fd)
        info = os.fstat(self._fd)
        self.close()
        return info

    def close(self) -> None:
        """Close the file as it is."""
        if self._fd < 0:
            return
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        os.close(self._fd)
        self._fd = -1
        self._view.release()
        _spare.append(self._memory)
        if self._other is not None:
            _spare.append(self._other)

    def _flush(self) -> None:
        self._wait()
        if not self._tried:
            self._tried = True
            self._direct = _set_direct(self._fd, on=True)
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (12 ms to import)

            self._thread = ThreadPoolExecutor(1, thread_name_prefix="write")
            self._other = _buffer()
        self._writing = self._thread.submit(self._write_out, self._memory)
        assert self._other is not None
        self._view.release()
        self._memory, self._other = self._other, self._memory
        self._view = memoryview(self._memory)
        self._filled = 0

    def _write_out(self, memory: mmap.mmap) -> None:
        with memoryview(memory) as view:
            try:
                files.write_all(self._fd, view)
            except OSError as error:
                if not self._direct or error.errno not in _REFUSED:
                    raise
                self._ordinary()
                files.write_all(self._fd, view)

    def _ordinary(self) -> None:
        if self._direct:
            self._direct = False
            _set_direct(self._fd, on=False)

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def __enter__(self) -> Self:
        """Write."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        with suppress(OSError):
            self._wait()
        self.close()


def _set_direct(fd: int, *, on: bool) -> bool:
    if not _DIRECT:
        return False
    import fcntl  # noqa: PLC0415  (POSIX only)

    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | _DIRECT if on else flags & ~_DIRECT)
    except OSError:
        return False
    return on


class Reader:
    """A file read mostly from front to back: through the page cache where it is in there, else past it."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, files.READ)
        self._direct = -1
        if _DIRECT and _NOWAIT and hasattr(os, "preadv") and not self._is_cached():
            with suppress(OSError):
                self._direct = os.open(path, files.READ | _DIRECT)
        self._memory = _buffer() if self._direct >= 0 else None
        self._start = self._end = 0

    def _is_cached(self) -> bool:
        """Whether the page cache has three places of the file that were looked at; it is not filled by looking."""
        size = os.fstat(self._fd).st_size
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_RANDOM)
        probe = bytearray(_ALIGN)
        try:
            for quarter in (1, 2, 3):
                if not os.preadv(self._fd, [probe], size * quarter // 4, _NOWAIT):
                    return False
        except OSError:
            return False
        finally:
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        return True

    def range(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start``; fewer at the end of the file."""
        if self._memory is None or length > BUFFER - _ALIGN:
            return files.read_at(self._fd, length, start)
        if not self._start <= start <= start + length <= self._end:
            self._load(start)
        return self._memory[start - self._start : min(start + length, self._end) - self._start]

    def blocks(self) -> Iterator[memoryview]:
        """The whole file in parts; each is valid until the next one, which is being read meanwhile."""
        if self._direct < 0:
            yield from self._cached_blocks()
            return
        assert self._memory is not None
        memory, at = self._memory, self._fill(self._memory, 0)
        if at < BUFFER:
            with memoryview(memory) as view:
                yield view[:at]
            return
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (12 ms to import)

        spare, count = _buffer(), at
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
                while count:
                    # Only the end of the file is not aligned.
                    coming = None if count % _ALIGN else reader.submit(self._fill, spare, at)
                    with memoryview(memory) as view:
                        yield view[:count]
                    count = 0 if coming is None else coming.result()
                    at += count
                    memory, spare = spare, memory
        finally:
            self._memory = memory
            _spare.append(spare)

    def _cached_blocks(self) -> Iterator[memoryview]:
        if self._memory is None:
            self._memory = _buffer()
        with memoryview(self._memory) as view:
            while count := os.readv(self._fd, [self._memory]):
                yield view[:count]

    def _load(self, start: int) -> None:
        assert self._memory is not None
        begin = start - start % _ALIGN
        self._start, self._end = begin, begin + self._fill(self._memory, begin)

    def _fill(self, memory: mmap.mmap, begin: int) -> int:
        """Bytes read into ``memory`` from an aligned place; fewer than it holds at the end of the file."""
        try:
            return os.preadv(self._direct, [memory], begin)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            data = files.read_at(self._fd, BUFFER, begin)
            memory[: len(data)] = data
            return len(data)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
        if self._direct >= 0:
            os.close(self._direct)
        if self._memory is not None:
            _spare.append(self._memory)
            self._memory = None

    def __enter__(self) -> Self:
        """Read."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
