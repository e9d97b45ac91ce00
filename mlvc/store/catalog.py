"""The Catalog: where each object lies in the Packs. Tables: docs/formats/catalog.md.

It is a copy of what the Packs say, kept in SQLite so that a million objects cost no memory. A
damaged Catalog is thrown away; where SQLite cannot work (some network file systems) an empty one
in memory takes its place, and the owner fills it again from the Packs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from mlvc.database import Disposable, recovering
from mlvc.store.pack import PackIndex

_VERSION = 1
_SCHEMA = (
    """CREATE TABLE packs (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, objects INTEGER NOT NULL
    )""",
    """CREATE TABLE objects (
        oid BLOB NOT NULL, pack INTEGER NOT NULL, kind INTEGER NOT NULL, frame INTEGER NOT NULL,
        extent INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL, PRIMARY KEY (oid, pack)
    ) WITHOUT ROWID""",
    "CREATE INDEX recipes ON objects (oid) WHERE kind = 1",
    "CREATE TABLE fragments (name TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE whole (oid BLOB PRIMARY KEY) WITHOUT ROWID",
)
_LOCATION = "p.name, o.frame, o.start, o.length, o.extent, o.kind, o.oid FROM objects o JOIN packs p ON p.id = o.pack"
_MANY = 500
_ROWS = 50


class Location(NamedTuple):
    """Where an object lies: Pack, frame in the Pack, place in the frame's raw bytes."""

    pack: str
    frame: int
    start: int
    length: int
    extent: int
    kind: int
    oid: bytes


class Catalog(Disposable):
    """One Catalog file. Every change is one transaction."""

    def __init__(self, path: str, refill: Callable[[], object] = bool) -> None:
        """Open the Catalog at ``path``. ``refill`` fills it again when a damaged one had to be thrown away."""
        super().__init__(path, _VERSION, _SCHEMA, refill)
        self._expected: dict[str, int] = {}
        self._expected_in: sqlite3.Connection | None = None

    @recovering
    def packs(self) -> dict[str, int]:
        """Names and sizes in bytes of the Packs that are in here."""
        return dict(self._db.execute("SELECT name, size FROM packs"))

    @recovering
    def fragments(self) -> set[str]:
        """Names of the index fragments that were read already."""
        return {name for (name,) in self._db.execute("SELECT name FROM fragments")}

    @recovering
    def add(self, packs: Collection[tuple[str, int, PackIndex]], fragments: Collection[str] = ()) -> None:
        """Take in Packs (name, size, index) that are not in here, and note the fragments that they came from."""
        expected = self._expected if self._expected_in is self._db else {}
        ready = []
        new_pack = "INSERT OR IGNORE INTO packs (id, name, size, objects) VALUES (?, ?, ?, ?)"
        with self._db as db:
            for name, size, index in packs:
                number = expected.get(name)
                if number and db.execute(new_pack, (number, name, size, len(index.oids))).rowcount:
                    ready.append(number)
                    continue
                cursor = db.execute(new_pack, (None, name, size, len(index.oids)))
                if cursor.rowcount:
                    _insert(db, "objects", cursor.lastrowid or 0, index)
            if ready:
                marks = ",".join("?" * len(ready))
                query = f"INSERT OR IGNORE INTO objects SELECT * FROM coming WHERE pack IN ({marks}) ORDER BY oid"  # noqa: S608
                db.execute(query, ready)
            db.executemany("INSERT OR IGNORE INTO fragments VALUES (?)", [(name,) for name in fragments])

    @recovering
    def expect(self, packs: Collection[tuple[str, PackIndex]]) -> None:
        """Lay the rows of Packs ready that will be added soon, so that this takes a fifth of the time.

        Nobody sees them before ``add``, nor waits for them. Another thread may do this while nobody uses the Catalog.
        """
        with self._db as db:
            (last,) = db.execute("SELECT coalesce(max(id), 0) FROM packs").fetchone()
            db.execute("DROP TABLE IF EXISTS temp.coming")
            db.execute("CREATE TEMP TABLE coming (oid, pack, kind, frame, extent, start, length)")
            for number, (_, index) in enumerate(packs, last + 1):
                _insert(db, "coming", number, index)
        self._expected = {name: number for number, (name, _) in enumerate(packs, last + 1)}
        self._expected_in = self._db

    @recovering
    def drop(self, names: Collection[str]) -> None:
        """Forget Packs and what lies in them. No large object is known to be whole any more."""
        with self._db as db:
            db.execute("DELETE FROM whole")
            for name in names:
                db.execute("DELETE FROM objects WHERE pack = (SELECT id FROM packs WHERE name = ?)", (name,))
                db.execute("DELETE FROM packs WHERE name = ?", (name,))

    @recovering
    def clear(self) -> None:
        """Forget everything."""
        with self._db as db:
            for table in ("objects", "packs", "fragments", "whole"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608  (names from the line above)

    def __len__(self) -> int:
        """The number of objects, counted twice where they lie in two Packs."""
        (count,) = self._db.execute("SELECT count(*) FROM objects").fetchone()
        return int(count)

    @recovering
    def missing(self, oids: Collection[bytes]) -> set[bytes]:
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

    @recovering
    def recipes(self, oids: Collection[bytes]) -> set[bytes]:
        """Those of ``oids`` that are kept as chunks."""
        return set(oids).intersection(oid for (oid,) in self._db.execute("SELECT oid FROM objects WHERE kind = 1"))

    @recovering
    def locate(self, oids: Collection[bytes], *, kind: int | None = None) -> list[Location]:
        """Where the objects lie, in the order to read them; one Location each, none for what is not here."""
        wanted = set(oids)
        if len(wanted) > _MANY and len(wanted) * 8 > len(self):
            return self._locate_most(wanted, kind)
        found: dict[bytes, Location] = {}
        for batch in _batches(list(wanted)):
            marks = ",".join("?" * len(batch))
            query = f"SELECT {_LOCATION} WHERE o.oid IN ({marks})"
            for row in self._db.execute(query, batch):
                if kind is None or row[5] == kind:
                    found[row[6]] = Location(*row)
        return sorted(found.values())

    def _locate_most(self, wanted: set[bytes], kind: int | None) -> list[Location]:
        """As ``locate``, in one walk over the table: many look-ups take several times as long."""
        names = dict(self._db.execute("SELECT id, name FROM packs"))
        rows = self._db.execute(
            "SELECT pack, frame, start, length, extent, kind, oid FROM objects ORDER BY pack, frame, start"
        )
        found: list[Location] = []
        for pack, frame, start, length, extent, here, oid in rows:
            if oid in wanted and (kind is None or here == kind):
                wanted.discard(oid)
                found.append(Location(names[pack], frame, start, length, extent, here, oid))
        return found

    @recovering
    def taken(self, oids: Collection[bytes]) -> int:
        """Bytes of Packs that these objects take: of a frame that they share with others in proportion to raw bytes."""
        mine: dict[tuple[str, int], tuple[int, int]] = {}
        for location in self.locate(oids):
            frame = location.pack, location.frame
            mine[frame] = location.extent, mine.get(frame, (0, 0))[1] + location.length
        names = dict(self._db.execute("SELECT id, name FROM packs"))
        total = 0.0
        for pack, frame, length in self._db.execute(
            "SELECT pack, frame, sum(length) FROM objects GROUP BY pack, frame"
        ):
            extent, part = mine.get((names[pack], frame), (0, 0))
            total += extent * part / length if length else extent
        return round(total)

    @recovering
    def members(self, pack: str) -> list[Location]:
        """Every object of one Pack."""
        rows = self._db.execute(f"SELECT {_LOCATION} WHERE p.name = ?", (pack,))
        return sorted(Location(*row) for row in rows)

    @recovering
    def everywhere(self, oid: bytes) -> list[Location]:
        """All places where one object lies."""
        rows = self._db.execute(f"SELECT {_LOCATION} WHERE o.oid = ?", (oid,))
        return sorted(Location(*row) for row in rows)

    @recovering
    def shares(self, oids: Collection[bytes]) -> dict[str, list[bytes]]:
        """Which of ``oids`` lie in each Pack; each is in one list."""
        wanted = set(oids)
        found: dict[int, list[bytes]] = {}
        if wanted:
            for pack, oid in self._db.execute("SELECT pack, oid FROM objects ORDER BY pack"):
                if oid in wanted:
                    wanted.discard(oid)
                    found.setdefault(pack, []).append(oid)
        names = dict(self._db.execute("SELECT id, name FROM packs"))
        return {names[pack]: members for pack, members in found.items()}

    @recovering
    def dead(self, live: Collection[bytes]) -> set[str]:
        """The Packs in which some object is not in ``live``."""
        found = {pack for pack, oid in self._db.execute("SELECT pack, oid FROM objects") if oid not in live}
        return {name for number, name in self._db.execute("SELECT id, name FROM packs") if number in found}

    @recovering
    def counts(self) -> dict[str, int]:
        """The number of objects in each Pack."""
        return dict(self._db.execute("SELECT name, objects FROM packs"))

    @recovering
    def whole(self, oids: Collection[bytes]) -> set[bytes]:
        """Those large objects that were found to have all their chunks since a Pack was last dropped."""
        wanted = set(oids)
        return wanted.intersection(oid for (oid,) in self._db.execute("SELECT oid FROM whole"))

    @recovering
    def set_whole(self, oids: Collection[bytes]) -> None:
        """Note that all chunks of these large objects are here."""
        with self._db as db:
            db.executemany("INSERT OR IGNORE INTO whole VALUES (?)", [(oid,) for oid in oids])


def _insert(db: sqlite3.Connection, table: str, pack: int, index: PackIndex) -> None:
    """Enter what is in a Pack, in the order of the table: that is quicker than any other."""
    rows = sorted(index.rows(), key=itemgetter(0))
    whole = len(rows) - len(rows) % _ROWS
    query = f"INSERT OR IGNORE INTO {table} VALUES "  # noqa: S608  (ours, as is the number)
    row = f"(?, {pack:d}, ?, ?, ?, ?, ?)"
    # Many with one statement take two thirds of the time that one each takes.
    many = (list(chain.from_iterable(rows[at : at + _ROWS])) for at in range(0, whole, _ROWS))
    db.executemany(query + ",".join([row] * _ROWS), many)
    db.executemany(query + row, rows[whole:])


def _batches(items: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    for at in range(0, len(items), _MANY):
        yield items[at : at + _MANY]
