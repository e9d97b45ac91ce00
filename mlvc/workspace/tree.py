"""The working tree of one repository: what stands at a path, found with the least reading."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from mlvc import files, globs, manifest
from mlvc.hashing import Hashing
from mlvc.ignore import ALWAYS, BYPRODUCTS, Ignore
from mlvc.manifest import EMPTY_DIR, EXECUTABLE, Entry
from mlvc.oid import Oid
from mlvc.pointer import Content
from mlvc.progress import QUIET, Progress
from mlvc.snapshot import parents
from mlvc.store.base import Batch, Store
from mlvc.workspace.index import Index, Records
from mlvc.workspace.scan import TEMPORARY, Scan, Scanner, demote, digest, refuse, sweep


@dataclass(frozen=True, slots=True)
class Look:
    """What stands at one path. ``content`` is None where nothing does. ``objects``: its manifest, if it was built."""

    path: str
    content: Content | None
    scan: Scan
    objects: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def without(self) -> list[str]:
        """What lies there, is no part of the content, and is not made anew by itself; sorted. See ignore."""
        kept = (path for path in self.scan.left_out if path.rpartition("/")[2] not in BYPRODUCTS)
        return sorted([*kept, *self.scan.ignored])

    def entries(self) -> list[Entry]:
        """The files, relative to ``path``; one with an empty path where it is a file."""
        if self.content is None:
            return []
        if self.content.is_dir:
            return self.scan.entries()
        directory, _, name = self.path.rpartition("/")
        record = self.scan.dirs[directory][name]
        return [Entry("", record.kind, record.size, record.oid)]


class WorkTree:
    """A working tree with its Index."""

    def __init__(
        self, root: str, index: Index, hashing: Hashing, *, ignore: Ignore | None = None, loose: str = "", top: str = ""
    ) -> None:
        """``top``: what is moved as one with the Git directory in it, where that is more than ``root``."""
        self.root = root
        self.top = top or root
        self.index = index
        self.hashing = hashing
        self.scratch = files.Scratch(os.path.join(os.path.dirname(index.path), "tmp"))
        self._ignore = ignore
        self._loose = loose
        self._scanner = Scanner(root, ignore=ignore, loose=loose, hashing=hashing)

    def beside(self, directory: str) -> str:
        """A temporary name on the file system of ``directory``: in the Git directory, where that is on the same."""
        own = self.scratch.name()
        if os.stat(os.path.dirname(own)).st_dev == os.stat(directory).st_dev:
            return own
        sweep(directory)
        return f"{directory}/{TEMPORARY}{os.getpid()}-{os.path.basename(own)}"

    def close(self, *, now: bool = False) -> None:
        """Let go of the Index, see Disposable, and remove temporary files."""
        self.index.close(now=now)
        self.scratch.close()

    def clock(self) -> int:
        """The file system's time."""
        directory = os.path.dirname(self.index.path)
        files.make_dirs(directory)
        return files.clock(directory)

    def begin(self) -> int:
        """Begin to look at the working tree: the file system's time, which ``scan`` is to be given."""
        self.index.begin()
        return self.clock()

    def is_ignored(self, path: str) -> bool:
        """Whether ``.mlvcignore`` names ``path``."""
        return self._scanner.is_ignored(path)

    @property
    def has_ignored(self) -> bool:
        """Whether there is a ``.mlvcignore`` that may name anything."""
        return self._ignore is not None

    def leaves_out(self, path: str, names: Iterable[str]) -> bool:
        """Whether ``.mlvcignore`` names one of the files ``names`` below ``path``, or a directory between them."""
        ignored = self._ignore
        if ignored is None:
            return False
        below = list(names)
        between = {parent for name in below for parent in parents(name)}
        return any(ignored(f"{path}/{name}", False) for name in below) or any(
            ignored(f"{path}/{name}", True) for name in between
        )

    def scan(self, path: str, since: int, *, inside: bool = False, through: bool = False) -> Scan:
        """One tracked path beside what the Index knows. ``inside``, ``through``: see Scanner.scan."""
        known = self.index.below(path)
        parent, _, name = path.rpartition("/")
        if path and path not in known:
            record = self.index.of_dir(parent).get(name)
            if record is not None:
                known.setdefault(parent, {})[name] = record
        return self._scanner.scan(path, known, since=since, inside=inside, through=through)

    def look(
        self,
        paths: Iterable[str],
        *,
        lenient: bool = False,
        inside: Collection[str] = (),
        through: bool = False,
        progress: Progress = QUIET,
    ) -> dict[str, Look]:
        """The content at each path, hashing what the Index does not know. Nothing is stored.

        What cannot be tracked is an error; if ``lenient``, it is left out, and in ``scan.refused``. ``inside``: those
        of the paths that are parts of tracked directories. ``through``: see Scan.
        """
        since = self.begin()
        progress.start("looking at files")
        scans = {path: self.scan(path, since, inside=path in inside, through=through) for path in paths}
        if not lenient:
            refuse(scans.values())
        self._tell("hashing", scans.values(), progress)
        found = {}
        for path, scan in scans.items():
            digest(self.root, scan, self.hashing, progress=progress)
            found[path] = self._seen(path, scan)
        self.remember(found.values())
        progress.finish()
        return found

    def fitting(self, pattern: str, *, progress: Progress = QUIET) -> Look:
        """The files that fit ``pattern`` (see globs), as the content of the directory that all of them lie below.

        As ``look`` with ``through``; None where none fits. Only what may fit is walked and hashed.
        """
        top = globs.fixed(pattern)
        fits, leads, ignore = globs.fits(pattern), globs.leads(pattern), self._ignore

        def left_out(path: str, is_dir: bool) -> bool:  # noqa: FBT001  (the shape of a callback)
            return not (leads if is_dir else fits)(path) or (ignore is not None and ignore(path, is_dir))

        since = self.begin()
        known = {top: self.index.of_dir(top)} if globs.is_flat(pattern) else self.index.below(top)
        fitting = {path: _only(records, path, fits) for path, records in known.items()}
        scanner = Scanner(self.root, ignore=left_out, loose=self._loose, hashing=self.hashing)
        scan = scanner.scan(top, fitting, since=since, through=True)
        scan.left_out.clear()
        scan.ignored.clear()  # mostly what does not fit
        if not scan.is_dir:
            return Look(pattern, None, scan)
        refuse([scan])
        self._tell("hashing", [scan], progress)
        digest(self.root, scan, self.hashing, progress=progress)
        for directory, records in scan.dirs.items():
            scan.dirs[directory] = {name: r for name, r in records.items() if r.kind != EMPTY_DIR}
        self._learn(scan, known, fits)
        entries = scan.entries()
        return Look(pattern, manifest.build(entries, self.hashing)[0] if entries else None, scan)

    def named(self, pattern: str) -> list[str]:
        """The paths of the files that fit ``pattern`` (see globs), sorted. Nothing is hashed."""
        fits, leads = globs.fits(pattern), globs.leads(pattern)
        found: list[str] = []
        pending = [globs.fixed(pattern)]
        while pending:
            directory = pending.pop()
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(f"{self.root}/{directory}") as listing:
                for entry in listing:
                    path = f"{directory}/{entry.name}" if directory else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in ALWAYS and leads(path) and not self.is_ignored(path):
                            pending.append(path)
                    elif fits(path) and not self.is_ignored(path):
                        found.append(path)
        return sorted(found)

    def _learn(self, scan: Scan, known: Mapping[str, Records], fits: globs.Fits) -> None:
        """Write to the Index what a scan of the fitting files alone has found; what it knows of others stays."""
        changed: dict[str, Records] = {}
        for directory in {*scan.dirs, *known}:
            before = known.get(directory, {})
            fitting = _only(before, directory, fits)
            found = scan.dirs.get(directory, {})
            if fitting != found:
                changed[directory] = {name: r for name, r in before.items() if name not in fitting} | found
        if changed:
            self.index.update(changed)

    def store(self, paths: Iterable[str], store: Store, *, progress: Progress = QUIET) -> dict[str, Look]:
        """As ``look``, and everything is in ``store``, durable and visible, on return.

        What cannot be tracked is refused before anything is written.
        """
        since = self.begin()
        scans = {path: self.scan(path, since) for path in paths}
        refuse(scans.values())
        with store.batch() as batch:
            found = self.put(scans, store, batch, progress=progress)
            batch.commit()
        self.remember(found.values())
        progress.finish()
        return found

    def put(
        self, scans: Mapping[str, Scan], store: Store, batch: Batch, *, progress: Progress = QUIET
    ) -> dict[str, Look]:
        """Put what was scanned, by path, into ``batch``: files first, then the Manifests that name them.

        The operation in ``progress`` goes on until what was put is durable: it is for the caller to finish.
        """
        for scan in scans.values():
            oids = [record[5] for records in scan.dirs.values() for record in records.values()]
            absent = store.missing(oids) if oids else set()
            if absent:
                demote(self.root, scan, absent, self.hashing)
        self._tell("storing", scans.values(), progress)
        found = {}
        for path, scan in scans.items():
            digest(self.root, scan, self.hashing, batch, progress=progress)
            found[path] = self._seen(path, scan, build=True)
            batch.put_hashed(found[path].objects)
        return found

    @staticmethod
    def _tell(label: str, scans: Iterable[Scan], progress: Progress) -> None:
        """Begin an operation on all that is fresh in ``scans``, if anything is."""
        amounts = [scan.unread() for scan in scans if scan.fresh]
        if not amounts:
            return
        known = all(total for _, total in amounts)
        progress.start(
            label, objects=sum(count for count, _ in amounts), total=sum(total for _, total in amounts) if known else 0
        )

    def _seen(self, path: str, scan: Scan, *, build: bool = False) -> Look:
        if not scan.exists:
            return Look(path, None, scan)
        if not scan.is_dir:
            directory, _, name = path.rpartition("/")
            record = scan.dirs[directory].get(name)
            if record is None:
                return Look(path, None, scan)  # it cannot be tracked
            kind = "executable" if record.kind == EXECUTABLE else "file"
            return Look(path, Content(kind, Oid(record.oid), record.size), scan)
        known = self.index.root(path) if scan.clean and not build else None
        if known is not None:
            return Look(path, known, scan)
        content, objects = manifest.build(scan.entries(), self.hashing)
        return Look(path, content, scan, tuple(objects))

    def remember(self, looks: Iterable[Look]) -> None:
        """Write to the Index what was learnt."""
        dirs: dict[str, Records] = {}
        gone: list[str] = []
        roots: dict[str, Content] = {}
        for look in looks:
            scan = look.scan
            gone += scan.gone
            if scan.is_dir:
                dirs.update((directory, scan.dirs[directory]) for directory in scan.dirty if directory in scan.dirs)
                if look.content is not None and (not scan.clean or look.objects):
                    roots[look.path] = look.content
            elif scan.exists and not scan.clean:
                self._merge(dirs, scan.dirs)
        if dirs or gone or roots:
            self.index.update(dirs, gone=[path for path in gone if path not in dirs], roots=roots)

    def _merge(self, dirs: dict[str, Records], found: Mapping[str, Records]) -> None:
        """Single files share the row of their directory with others."""
        for directory, records in found.items():
            if directory not in dirs:
                dirs[directory] = dict(self.index.of_dir(directory))
            dirs[directory].update(records)


def _only(records: Records, directory: str, fits: globs.Fits) -> Records:
    """Those of the files in a directory that fit."""
    prefix = f"{directory}/" if directory else ""
    return {name: record for name, record in records.items() if record.kind != EMPTY_DIR and fits(prefix + name)}
