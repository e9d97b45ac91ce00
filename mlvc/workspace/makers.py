"""Making many small files."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from mlvc import files
from mlvc.manifest import EXECUTABLE, SYMLINK, Entry
from mlvc.workspace.index import Record

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

GROUP = 256
"""Files that are handed over at once."""

_AHEAD = 8


class Makers:
    """Makes small files, two threads at a time where there are many: creating a file is the kernel's work.

    20,000 files of 1 to 17 KB took 1.4 s one after the other and 0.7 s like this, on two cores.
    """

    def __init__(self, done: Callable[[dict[str, Record]], object]) -> None:
        self._done = done
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[dict[str, Record]]] = deque()

    def make(self, group: Sequence[tuple[Entry, str, bytes]]) -> None:
        """Make the files of ``group``, now or soon."""
        if self._pool is None and len(group) < GROUP:
            self._done(_make_files(group))
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (12 ms to import)

            self._pool = ThreadPoolExecutor(2, thread_name_prefix="checkout")
        self._pending.append(self._pool.submit(_make_files, group))
        while len(self._pending) > _AHEAD:
            self._done(self._pending.popleft().result())

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for every file; after an error, only until nothing is at work any more."""
        try:
            while kind is None and self._pending:
                self._done(self._pending.popleft().result())
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)


def _make_files(group: Sequence[tuple[Entry, str, bytes]]) -> dict[str, Record]:
    records = {}
    # Looked up once: this loop runs for every file of a checkout.
    open_, write, fstat, close, create = os.open, os.write, os.fstat, os.close, files.CREATE
    for entry, path, data in group:
        if entry.kind == SYMLINK:
            os.symlink(data.decode(), path)
            info = os.lstat(path)
        else:
            fd = open_(path, create, 0o777 if entry.kind == EXECUTABLE else 0o666)
            try:
                done = write(fd, data)
                if done != entry.size:
                    files.write_all(fd, memoryview(data)[done:])
                info = fstat(fd)
            finally:
                close(fd)
        records[entry.path] = Record(entry.size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, entry.kind, entry.oid)
    return records
