"""The working tree and the Store, as the items of Stages with ``each`` need them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from mlvc import globs, ignore, manifest
from mlvc.api.sharing import Afar
from mlvc.errors import DamagedError, FormatError, ObjectsMissingError
from mlvc.manifest import EMPTY_DIR, FILE, Entry
from mlvc.pipeline import compare, each
from mlvc.pipeline.each import Table
from mlvc.pointer import Content
from mlvc.progress import Progress
from mlvc.repo import Repo
from mlvc.snapshot import parents
from mlvc.store.base import LARGE
from mlvc.workspace.scan import Scan, Scanner, digest, refuse
from mlvc.workspace.tree import Look


class RepoItems:
    """See pipeline.items.ItemTree."""

    def __init__(
        self,
        repo: Repo,
        seen: Mapping[str, Look],
        left: dict[str, list[str]],
        progress: Progress,
        afar: Afar | None = None,
        *,
        aside: Callable[[], str] | None = None,
    ) -> None:
        """``seen``: what was last seen of the files that fit each pattern. ``afar``: where other tables are.

        ``left``: gets for each output what is left out of it. ``aside``: a new path among what is kept aside; without,
        nothing is.
        """
        self._left = left
        self._repo = repo
        self._aside = aside
        self._afar = afar
        self._seen = seen
        self._progress = progress
        self._ignore = ignore.load(repo.root)

    def items(self, pattern: str) -> list[Entry]:
        """The files that fit a pattern."""
        top = globs.fixed(pattern)
        below = f"{top}/" if top else ""
        look = self._seen.get(pattern) or self._repo.tree.fitting(pattern, progress=self._progress)
        if look.content is None:
            return []
        return sorted(entry._replace(path=below + entry.path) for entry in look.scan.entries())

    def changed(self, items: Sequence[Entry]) -> set[str]:
        """The paths of those items that are not what they were."""
        paths = [item.path for item in items]
        looks = self._repo.tree.look(paths, lenient=True, inside=frozenset(paths))
        return {
            item.path
            for item in items
            if (content := looks[item.path].content) is None or content.oid != item.oid or content.is_dir
        }

    def room(self, out: str) -> str:
        """A path that nothing has yet, in the Git directory where that is on the file system of ``out``."""
        root = self._repo.root
        near = next((path for path in parents(out) if os.path.isdir(f"{root}/{path}")), "")
        return self._repo.tree.beside(f"{root}/{near}" if near else root)

    def aside(self) -> str:
        """A path that nothing has yet, in the Git directory; '' where nothing is kept aside."""
        return self._aside() if self._aside is not None else ""

    def differing(self, first: str, second: str, out: str) -> list[str]:
        """The files that are not the same in two directories; UsageError for what cannot be stored."""
        found = []
        for place in (first, second):
            scan = self._scan(place, out, self._repo.tree.clock())
            digest(place, scan, self._repo.hashing)
            found.append(scan.entries())
        return [difference.file for difference in compare.entries(*found)]

    def take(self, places: Sequence[str], out: str, spare: str) -> list[tuple[Entry, ...]]:
        """What stands in each of these directories, durable in the Store."""
        repo = self._repo
        rows: list[tuple[Entry, ...]] = []
        with repo.turn(together=True, progress=self._progress), repo.store.batch() as batch:
            since = repo.tree.clock()
            for place in places:
                scan = self._scan(place, out, since)
                digest(place, scan, repo.hashing, batch)
                rows.append(tuple(scan.entries()))
                self._left.setdefault(out, []).extend(f"{out}/{path}" for path in Look(out, None, scan).without)
            batch.commit()
        for place, row in zip(places, rows, strict=True):
            self._spare(place, row, spare)
        return rows

    def _scan(self, place: str, out: str, since: int) -> Scan:
        """What stands in a directory of an item, not yet hashed."""
        scan = Scanner(place, ignore=self._ignored(out), hashing=self._repo.hashing).scan("", {}, since=since)
        refuse([scan])
        return scan

    def _ignored(self, out: str) -> Callable[[str, bool], bool] | None:
        """What ``.mlvcignore`` says of a path below an output."""
        rules = self._ignore
        return None if rules is None else lambda path, is_dir: rules(f"{out}/{path}", is_dir)

    def _spare(self, place: str, made: Sequence[Entry], spare: str) -> None:
        """Keep large files for whoever makes the output: so their bytes are not copied once more."""
        for entry in made:
            if entry.size >= LARGE and entry.kind == FILE and entry.oid not in self._repo.store.copies:
                path = f"{place}/{entry.path}"
                with suppress(OSError):  # it is copied then
                    os.chmod(path, os.stat(spare).st_mode & 0o666)
                    target = os.path.join(spare, entry.oid.hex())
                    os.rename(path, target)
                    self._repo.store.copies[entry.oid] = target

    def table(self, content: Content) -> Table:
        """The table that was stored as ``content``, with those rows of which all is in the Store, or can be brought."""
        found, is_whole = self._table(content)
        if not is_whole and self._afar is not None and self._afar.has([content]):
            found, _ = self._table(content)
        return found

    def _table(self, content: Content) -> tuple[Table, bool]:
        """A table as far as it is in the Store, and whether that is all of it."""
        try:
            entries = manifest.entries_of(self._repo.store, content.oid)
            manifest.check(entries)
            found = each.unpack(entries, self._repo.hashing.size)
        except (FormatError, ObjectsMissingError, DamagedError):
            return {}, False
        absent = self._repo.store.missing(entry.oid for entry in entries if entry.kind != EMPTY_DIR)
        if not absent:
            return found, True
        return {key: row for key, row in found.items() if absent.isdisjoint(entry.oid for entry in row)}, False

    def stored(self, entries: Sequence[Entry]) -> Content:
        """A directory with these entries; its Manifest is durable in the Store."""
        repo = self._repo
        content, objects = manifest.build(entries, repo.hashing)
        absent = repo.store.missing([oid for oid, _ in objects])
        if absent:
            with repo.turn(together=True, progress=self._progress), repo.store.batch() as batch:
                batch.put_hashed([(oid, data) for oid, data in objects if oid in absent])
                batch.commit()
        return content
