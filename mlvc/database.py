"""SQLite files that hold nothing of their own: whatever is in them can be found out again.

The Catalog and the Index are such files. They may be deleted, cut short or damaged at any time, also
while they are open; results stay the same, only slower.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

from mlvc import files

MEMORY = ":memory:"
_PATIENCE = 60
_BIG_PAGE = 65536
_ENDINGS = ("", "-wal", "-shm", "-journal")

_LONG = 1 << 20
_left: list[sqlite3.Connection] | None = None

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound="Disposable")


def leave_open() -> None:
    """From now on, leave it to the end of the process to let go of files whose journal is short.

    The last one to close a file has SQLite bring it up to date, and flush four times; the next change begins
    a new journal, and flushes twice. Left alone, the journal is there for whoever opens the file next, and
    costs nothing.
    """
    global _left  # noqa: PLW0603  (as is the end of the process)
    _left = []


class Disposable:
    """One such file.

    What SQLite cannot read, and what has another version, is thrown away and begun anew. Where SQLite
    cannot work at all (a read-only or full disk, some network file systems), a database in memory
    takes the place of the file, and the file is left alone.
    """

    def __init__(self, path: str, version: int, schema: Sequence[str], refill: Callable[[], object]) -> None:
        """Open the file at ``path``. ``refill`` is called after a new one had to be begun in the middle of the work."""
        self.path = path
        self._version = version
        self._schema = schema
        self._refill = refill
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        for attempt in range(5):
            try:
                return _connect(self.path, self._version, self._schema)
            except sqlite3.OperationalError:
                # The switch to WAL does not wait for another process that is just doing the same.
                time.sleep(0.02 * attempt)
            except sqlite3.DatabaseError:
                self._discard()
        return _connect(MEMORY, self._version, self._schema)

    def _discard(self) -> None:
        for ending in _ENDINGS:
            with suppress(OSError):
                files.remove(self.path + ending)

    def _recover(self, error: Exception) -> None:
        """Begin anew after ``error``, or raise it where that does not help."""
        if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
            raise error
        with suppress(sqlite3.Error):
            self._db.close()
        if isinstance(error, sqlite3.OperationalError):
            self._db = _connect(MEMORY, self._version, self._schema)
        else:
            self._discard()
            self._db = self._open()
        self._refill()

    def close(self, *, now: bool = False) -> None:
        """Let go of the file. ``now``: at once, because the directory around it goes away."""
        if _left is not None and not now and not self._is_long():
            _left.append(self._db)
        else:
            self._db.close()

    def _is_long(self) -> bool:
        """Whether so much stands in the journal that who opens the file next is better off without it."""
        try:
            return self.path == MEMORY or os.stat(self.path + _ENDINGS[1]).st_size > _LONG
        except OSError:
            return True


def recovering(method: Callable[Concatenate[D, P], T]) -> Callable[Concatenate[D, P], T]:
    """A method of a Disposable that is tried once more, on a new database, when the old one fails.

    Its arguments must bear to be iterated twice.
    """

    @functools.wraps(method)
    def wrapper(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except (sqlite3.DatabaseError, UnicodeDecodeError, KeyError) as error:
            # The last two: what a flipped bit makes of a name or a number.
            self._recover(error)
        return method(self, *args, **kwargs)

    return wrapper


def _refuse_torn(path: str) -> None:
    """DatabaseError for a file that ends in the middle of a page: SQLite takes the rest of it for zeros."""
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(18)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return
    page = int.from_bytes(head[16:18], "big")
    if size and (len(head) < 18 or size % (page if page > 1 else _BIG_PAGE)):
        raise sqlite3.DatabaseError("cut short")


def _make(path: str) -> None:
    """Make the file as the umask says; SQLite would let nobody but its owner write, and a Store may be shared.

    What SQLite puts beside the file takes its permissions.
    """
    with suppress(OSError):  # SQLite will say what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666))


def _connect(path: str, version: int, schema: Sequence[str]) -> sqlite3.Connection:
    if path != MEMORY:
        _make(path)
    _refuse_torn(path)
    db = sqlite3.connect(path, timeout=_PATIENCE, check_same_thread=False)
    try:
        if path != MEMORY:
            # NORMAL keeps the file whole through a power cut; the last changes may be lost,
            # and are then found out again.
            # One that is being made has nothing to lose: a power cut leaves what is begun anew.
            is_new = not os.path.getsize(path)
            db.execute(f"PRAGMA synchronous={'OFF' if is_new else 'NORMAL'}")
            db.execute("PRAGMA journal_mode=WAL")
        found = _version(db)
        if found != version:
            if found:
                raise sqlite3.DatabaseError("another version")
            _create(db, version, schema)
        if path != MEMORY:
            db.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _version(db: sqlite3.Connection) -> Any:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return version


def _create(db: sqlite3.Connection, version: int, schema: Sequence[str]) -> None:
    db.execute("BEGIN IMMEDIATE")
    if _version(db) != version:  # another process may have been first
        for statement in schema:
            db.execute(statement)
        db.execute(f"PRAGMA user_version={version}")
    db.execute("COMMIT")
