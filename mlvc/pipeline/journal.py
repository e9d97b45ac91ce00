"""The Lockfile while Stages run: entered one by one, and written as often as costs little."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator

from mlvc.pipeline.lockfile import Entry
from mlvc.pipeline.tools import Records


class Journal:
    """The Lockfile, and the entries that are not yet in it for certain.

    A write takes a tenth of the time at most. Another process may write to the same Lockfile: each changes only the
    entries of its own Stages.
    """

    def __init__(self, records: Records) -> None:
        self.records = records
        self.lockfile = records.load()
        self.changes: dict[str, Entry | None] = {}
        self.save_at = 0.0

    def forget(self, described: Collection[str], elsewhere: tuple[str, ...]) -> None:
        """Drop what the Lockfile says of Stages that are described nowhere any more.

        ``elsewhere``: how the names of Stages begin that are described where nobody can look; these stay.
        """
        gone = (self.lockfile.stages.keys() | self.lockfile.rerun).difference(described)
        stale = frozenset(name for name in gone if not name.startswith(elsewhere))
        if stale:
            self.lockfile = self.lockfile.without(stale)
            self.changes.update(dict.fromkeys(stale))

    def record(self, name: str, entry: Entry) -> None:
        """Enter what a Run of the Stage ``name`` made; it is written when it is time."""
        if self.lockfile.stages.get(name) != entry:
            self.lockfile = self.lockfile.having(name, entry)
            self.changes[name] = entry
            if time.monotonic() >= self.save_at:
                self.save(durable=False)

    def save(self, *, durable: bool) -> None:
        """Write what is not yet written; flushed to the disk if ``durable``."""
        if not self.changes:
            return
        start = time.monotonic()
        self.lockfile = self.records.change(self.changes, durable=durable)
        if durable:  # what was written without being flushed is written once more at the end
            self.changes.clear()
        end = time.monotonic()
        self.save_at = end + 10 * (end - start)

    def refresh(self) -> None:
        """Take note of what another process has recorded."""
        lockfile = self.records.load()
        for name, entry in self.changes.items():
            lockfile = lockfile.having(name, entry) if entry is not None else lockfile.without(frozenset({name}))
        self.lockfile = lockfile

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Whatever happens, all of it is in the Lockfile on leaving."""
        try:
            yield
        finally:
            self.save(durable=True)
