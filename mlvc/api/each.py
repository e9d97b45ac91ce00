"""The working tree and the Store, as the items of Stages with ``each`` need them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from mlvc import globs, ignore, manifest
from mlvc.api.sharing import Afar
from mlvc.api.stagetree import RepoTree
from mlvc.errors import DamagedError, FormatError, ObjectsMissingError
from mlvc.manifest import EMPTY_DIR, FILE, SYMLINK, Entry
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
        tree: RepoTree,
        progress: Progress,
        afar: Afar | None = None,
        *,
        aside: Callable[[], str] | None = None,
    ) -> None:
        """``tree``: what the runner sees and is told of. ``afar``: where other tables are.

        ``aside``: a new path among what is kept aside; without, nothing is.
        """
        self._tree = tree
        self._repo = repo
        self._aside = aside
        self._afar = afar
        self._progress = progress
        self._ignore = ignore.load(repo.root)

    def items(self, pattern: str) -> list[Entry]:
        """The files that fit a pattern."""
        top = globs.fixed(pattern)
        below = f"{top}/" if top else ""
        look = self._tree.fitting.get(pattern) or self._tree.looks([pattern])[pattern]
        if look.content is None:
            return []
        found = [entry._replace(path=below + entry.path) for entry in look.scan.entries()]
        led = self._led([entry.path for entry in found if entry.kind == SYMLINK])
        return sorted(item for entry in found if (item := led.get(entry.path, entry)) is not None)

    def _led(self, links: Sequence[str]) -> dict[str, Entry | None]:
        """The files that links lead to, under the paths of these; None for a directory, nothing where nothing is."""
        looks = self._tree.looks(links, lenient=True)
        return {
            path: None if look.content.is_dir else look.entries()[0]._replace(path=path)
            for path, look in looks.items()
            if look.content is not None
        }

    def changed(self, items: Sequence[Entry]) -> set[str]:
        """The paths of those items that are not what they were."""
        root = self._repo.root
        links = [item.path for item in items if os.path.islink(f"{root}/{item.path}")]
        led = self._led(links)
        paths = [item.path for item in items if item.path not in led]
        looks = self._repo.tree.look(paths, lenient=True, inside=frozenset(paths))
        now = {path: entry.oid for path, entry in led.items() if entry is not None}
        now |= {
            path: look.content.oid
            for path, look in looks.items()
            if look.content is not None and not look.content.is_dir
        }
        return {item.path for item in items if now.get(item.path) != item.oid}

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
                left = self._tree.left.setdefault(out, [])
                left += [name for path in Look(out, None, scan).without if (name := f"{out}/{path}") not in left]
            batch.commit()
        for place, row in zip(places, rows, strict=True):
            self._spare(place, row, spare)
        return rows

    def _scan(self, place: str, out: str, since: int) -> Scan:
        """What stands in a directory of an item, not yet hashed."""
        repo = self._repo
        scanner = Scanner(place, ignore=self._ignored(out), hashing=repo.hashing, at=(repo.root, out))
        scan = scanner.scan("", {}, since=since)
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

    def table(self, content: Content, out: str) -> Table:
        """See ItemTree."""
        found, is_whole = self._table(content)
        if not is_whole and self._afar is not None and self._afar.has([content]):
            found, _ = self._table(content)
        tree = self._repo.tree
        if not tree.has_ignored:
            return found
        return {key: row for key, row in found.items() if not tree.leaves_out(out, (entry.path for entry in row))}

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
