"""The Index: what each file looked like when it was last hashed. Tables: docs/formats/index.md.

One row holds all files of one directory, so that 20,000 files are read and compared in
milliseconds and a change rewrites one row.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import NamedTuple

from mlvc.database import Disposable, recovering
from mlvc.oid import Oid
from mlvc.pointer import Content

_TAKEN_APART = 8
"""So many directories stay as they were taken apart."""
NEVER = -1
"""An mtime that no file has."""


class Record(NamedTuple):
    """A file as it was when it was hashed. Times in nanoseconds."""

    size: int
    mtime: int
    ctime: int
    inode: int
    kind: str
    oid: bytes


Records = dict[str, Record]
"""The files of one directory by name."""

_VERSIONS = {16: 1, 32: 101}
_SCHEMA = (
    "CREATE TABLE dirs (path TEXT PRIMARY KEY, entries BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE roots (path TEXT PRIMARY KEY, oid BLOB NOT NULL, size INTEGER, files INTEGER) WITHOUT ROWID",
)


class Index(Disposable):
    """The Index of one working tree."""

    def __init__(self, path: str, digest_size: int) -> None:
        self._record = struct.Struct(f"<QqqQc{digest_size}s")
        self._last: dict[str, tuple[bytes, Records]] = {}
        self._seen: tuple[sqlite3.Connection, int] | None = None
        super().__init__(path, _VERSIONS[digest_size], _SCHEMA, bool)

    @recovering
    def begin(self) -> None:
        """What is read from now on is what later roots are about: see ``update``."""
        self._seen = (self._db, _changes(self._db))

    @recovering
    def below(self, path: str) -> dict[str, Records]:
        """The Records of the directory ``path`` and of all directories below it."""
        query, bounds = _range(path)
        rows = self._db.execute(f"SELECT path, entries FROM dirs {query}", bounds)  # noqa: S608  (bounds are bound)
        return {directory: self._decode(blob) for directory, blob in rows}

    @recovering
    def of_dir(self, path: str) -> Records:
        """The Records of the files directly in one directory; not to be changed.

        Who asks for many files of a few directories has their rows taken apart once.
        """
        row = self._db.execute("SELECT entries FROM dirs WHERE path = ?", (path,)).fetchone()
        if row is None:
            return {}
        known = self._last.get(path)
        if known is None or known[0] != row[0]:
            if len(self._last) >= _TAKEN_APART:
                self._last.clear()
            known = self._last[path] = (row[0], self._decode(row[0]))
        return known[1]

    @recovering
    def root(self, path: str) -> Content | None:
        """What the Records below a tracked directory make up, where that is known."""
        row = self._db.execute("SELECT oid, size, files FROM roots WHERE path = ?", (path,)).fetchone()
        return Content("dir", Oid(row[0]), row[1], row[2]) if row else None

    @recovering
    def update(
        self, dirs: Mapping[str, Records], *, gone: Collection[str] = (), roots: Mapping[str, Content] | None = None
    ) -> None:
        """Replace the Records of whole directories, forget those of ``gone``, set ``roots``; one transaction.

        Roots around what changes are forgotten unless they are in ``roots``. These are not taken when another process
        has changed anything since ``begin``: beside its Records they would say what no Records below them do.
        """
        changed = [*dirs, *gone]
        with suppress(sqlite3.OperationalError), self._db as db:  # an Index that cannot be written is slow, not wrong
            db.execute("BEGIN IMMEDIATE")
            if self._seen != (db, _changes(db)):
                roots = {}
            _forget_roots(db, changed)
            db.executemany("DELETE FROM dirs WHERE path = ?", [(path,) for path in gone])
            rows = [(path, self._encode(records)) for path, records in dirs.items()]
            db.executemany("INSERT OR REPLACE INTO dirs VALUES (?, ?)", rows)
            db.executemany(
                "INSERT OR REPLACE INTO roots VALUES (?, ?, ?, ?)",
                [(path, content.oid, content.size, content.files) for path, content in (roots or {}).items()],
            )

    def _encode(self, records: Records) -> bytes:
        pack = self._record.pack
        return b"".join(
            [
                struct.pack("<I", len(records)),
                *[pack(r[0], r[1], r[2], r[3], r[4].encode(), r[5]) for r in records.values()],
                "\0".join(records).encode("utf-8", "surrogateescape"),
            ]
        )

    def _decode(self, blob: bytes) -> Records:
        try:
            return self._records(blob)
        except (struct.error, ValueError):  # damaged: as if nothing were known
            return {}

    def _records(self, blob: bytes) -> Records:
        (count,) = struct.unpack_from("<I", blob)
        end = 4 + count * self._record.size
        if not count:
            return {}
        names = blob[end:].decode("utf-8", "surrogateescape").split("\0")
        columns = self._record.iter_unpack(memoryview(blob)[4:end])
        return {
            name: Record(size, mtime, ctime, inode, kind.decode(), oid)
            for name, (size, mtime, ctime, inode, kind, oid) in zip(names, columns, strict=True)
        }


def _range(path: str) -> tuple[str, tuple[str, ...]]:
    if not path:
        return "", ()
    return "WHERE path = ? OR (path > ? AND path < ?)", (path, path + "/", path + "0")


def _changes(db: sqlite3.Connection) -> int:
    """A number that changes when another connection has written."""
    (number,) = db.execute("PRAGMA data_version").fetchone()
    return int(number)


def _forget_roots(db: sqlite3.Connection, changed: list[str]) -> None:
    known = [path for (path,) in db.execute("SELECT path FROM roots")]
    stale = [(root,) for root in known if any(path == root or path.startswith(root + "/") for path in changed)]
    db.executemany("DELETE FROM roots WHERE path = ?", stale)
