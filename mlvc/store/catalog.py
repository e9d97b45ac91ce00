"""The Catalog: where each object lies in the Packs. Tables: docs/formats/catalog.md.

It is a copy of what the Packs say, kept in SQLite so that a million objects cost no memory. A
damaged Catalog is thrown away; where SQLite cannot work (some network file systems) an empty one
in memory takes its place, and the owner fills it again from the Packs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from mlvc import files
from mlvc.store.pack import PackIndex

_VERSION = 1
_SCHEMA = """
CREATE TABLE packs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, objects INTEGER NOT NULL
);
CREATE TABLE objects (
    oid BLOB NOT NULL, pack INTEGER NOT NULL, kind INTEGER NOT NULL, frame INTEGER NOT NULL,
    extent INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL, PRIMARY KEY (oid, pack)
) WITHOUT ROWID;
CREATE INDEX recipes ON objects (oid) WHERE kind = 1;
CREATE TABLE fragments (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE whole (oid BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_MANY = 500


class Location(NamedTuple):
    """Where an object lies: Pack, frame in the Pack, place in the frame's raw bytes."""

    pack: str
    frame: int
    start: int
    length: int
    extent: int
    kind: int
    oid: bytes


class Catalog:
    """One Catalog file. Every change is one transaction."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        for _ in range(2):
            try:
                return _connect(self.path)
            except sqlite3.DatabaseError:
                for ending in ("", "-wal", "-shm", "-journal"):
                    with suppress(OSError):
                        files.remove(self.path + ending)
        return _connect(":memory:")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def packs(self) -> dict[str, int]:
        """Names and sizes in bytes of the Packs that are in here."""
        return dict(self._db.execute("SELECT name, size FROM packs"))

    def fragments(self) -> set[str]:
        """Names of the index fragments that were read already."""
        return {name for (name,) in self._db.execute("SELECT name FROM fragments")}

    def add(self, packs: Iterable[tuple[str, int, PackIndex]], fragments: Iterable[str] = ()) -> None:
        """Take in Packs (name, size, index) and note the fragments that they came from."""
        with self._db as db:
            for name, size, index in packs:
                cursor = db.execute(
                    "INSERT OR IGNORE INTO packs (name, size, objects) VALUES (?, ?, ?)", (name, size, len(index.oids))
                )
                if cursor.rowcount:
                    pack = cursor.lastrowid
                    rows = [(row[0], pack, *row[1:]) for row in index.rows()]
                    rows.sort()
                    db.executemany("INSERT OR IGNORE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            db.executemany("INSERT OR IGNORE INTO fragments VALUES (?)", [(name,) for name in fragments])

    def drop(self, names: Iterable[str]) -> None:
        """Forget Packs and what lies in them. No large object is known to be whole any more."""
        with self._db as db:
            db.execute("DELETE FROM whole")
            for name in names:
                db.execute("DELETE FROM objects WHERE pack = (SELECT id FROM packs WHERE name = ?)", (name,))
                db.execute("DELETE FROM packs WHERE name = ?", (name,))

    def clear(self) -> None:
        """Forget everything."""
        with self._db as db:
            for table in ("objects", "packs", "fragments", "whole"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608  (names from the line above)

    def __len__(self) -> int:
        """The number of objects, counted twice where they lie in two Packs."""
        (count,) = self._db.execute("SELECT count(*) FROM objects").fetchone()
        return int(count)

    def missing(self, oids: Iterable[bytes]) -> set[bytes]:
        """Those of ``oids`` that no Pack has."""
        wanted = set(oids)
        if len(wanted) > _MANY and len(wanted) * 8 > len(self):
            # One walk over the tree beats many look-ups.
            return wanted.difference(oid for (oid,) in self._db.execute("SELECT oid FROM objects"))
        for batch in _batches(list(wanted)):
            marks = ",".join("?" * len(batch))
            query = f"SELECT oid FROM objects WHERE oid IN ({marks})"  # noqa: S608  (marks only)
            wanted.difference_update(oid for (oid,) in self._db.execute(query, batch))
        return wanted

    def recipes(self, oids: Iterable[bytes]) -> set[bytes]:
        """Those of ``oids`` that are kept as chunks."""
        return set(oids).intersection(oid for (oid,) in self._db.execute("SELECT oid FROM objects WHERE kind = 1"))

    def locate(self, oids: Iterable[bytes], *, kind: int | None = None) -> list[Location]:
        """Where the objects lie, in the order to read them; one Location each, none for what is not here."""
        found: dict[bytes, Location] = {}
        for batch in _batches(list(set(oids))):
            marks = ",".join("?" * len(batch))
            query = (
                "SELECT p.name, o.frame, o.start, o.length, o.extent, o.kind, o.oid "  # noqa: S608
                f"FROM objects o JOIN packs p ON p.id = o.pack WHERE o.oid IN ({marks})"
            )
            for row in self._db.execute(query, batch):
                if kind is None or row[5] == kind:
                    found[row[6]] = Location(*row)
        return sorted(found.values())

    def members(self, pack: str) -> list[Location]:
        """Every object of one Pack."""
        rows = self._db.execute(
            "SELECT p.name, o.frame, o.start, o.length, o.extent, o.kind, o.oid "
            "FROM objects o JOIN packs p ON p.id = o.pack WHERE p.name = ?",
            (pack,),
        )
        return sorted(Location(*row) for row in rows)

    def counts(self) -> dict[str, int]:
        """The number of objects in each Pack."""
        return dict(self._db.execute("SELECT name, objects FROM packs"))

    def whole(self, oids: Iterable[bytes]) -> set[bytes]:
        """Those large objects that were found to have all their chunks since a Pack was last dropped."""
        wanted = set(oids)
        return wanted.intersection(oid for (oid,) in self._db.execute("SELECT oid FROM whole"))

    def set_whole(self, oids: Iterable[bytes]) -> None:
        """Note that all chunks of these large objects are here."""
        with self._db as db:
            db.executemany("INSERT OR IGNORE INTO whole VALUES (?)", [(oid,) for oid in oids])


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=60, check_same_thread=False)
    try:
        if path != ":memory:":
            # NORMAL keeps the file whole through a power cut; the last changes may be lost,
            # and are then read from the Packs again.
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != _VERSION:
            if version:
                raise sqlite3.DatabaseError("another version")
            _create(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _create(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version != _VERSION:  # another process may have been first
        for statement in _SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version={_VERSION}")
    db.execute("COMMIT")


def _batches(items: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    for at in range(0, len(items), _MANY):
        yield items[at : at + _MANY]
