"""What is in the working tree: one walk that compares with the Index, and one pass over what it does not know."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mlvc import files
from mlvc.errors import SystemFailureError, UsageError
from mlvc.hashing import BLOCK, Hashing
from mlvc.ignore import ALWAYS, Ignore
from mlvc.manifest import EMPTY_DIR, EXECUTABLE, FILE, SYMLINK, Entry
from mlvc.progress import QUIET, Progress
from mlvc.store.base import LARGE, Batch
from mlvc.workspace.index import NEVER, Record, Records

_TYPE, _REGULAR, _DIRECTORY, _LINK = 0o170000, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK
_BATCH_FILES, _BATCH_BYTES = 512, 4 << 20
TEMPORARY = ".mlvc-tmp-"
"""How the names of mlvc's own temporary files in the working tree begin. They are never tracked."""


class Fresh(NamedTuple):
    """A file whose content the Index does not know. ``known`` has no Oid yet."""

    directory: str
    name: str
    known: Record

    @property
    def path(self) -> str:
        """Relative to the repository."""
        return f"{self.directory}/{self.name}" if self.directory else self.name


@dataclass(slots=True)
class Scan:
    """Everything at one tracked path. Paths are relative to the repository.

    ``dirs`` has the Records of files that are as the Index knows them; what it does not know is in
    ``fresh`` until it is hashed. ``clean`` says that nothing differs from the Index at all.
    ``refused`` are sentences about what cannot be tracked.
    """

    top: str
    is_dir: bool
    exists: bool = True
    dirs: dict[str, Records] = field(default_factory=dict)
    fresh: list[Fresh] = field(default_factory=list)
    dirty: set[str] = field(default_factory=set)
    gone: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    since: int = 0

    @property
    def clean(self) -> bool:
        """Whether the Index knows exactly what is here."""
        return not (self.fresh or self.dirty or self.gone)

    def entries(self) -> list[Entry]:
        """The entries of a manifest, once nothing is fresh."""
        skip = len(self.top) + 1 if self.top else 0
        found: list[Entry] = []
        new = Entry._make
        for directory, records in self.dirs.items():
            prefix = directory[skip:] + "/" if len(directory) >= skip and directory != self.top else ""
            found += [new((prefix + name, r[4], r[0], r[5])) for name, r in records.items()]
        return found


class Scanner:
    """Walks tracked paths of one working tree."""

    def __init__(self, root: str, *, ignore: Ignore | None = None, loose: str = "", hashing: Hashing) -> None:
        """``root``: the working tree. ``loose``: where links into the Store lead to."""
        self._root = root
        self._ignore = ignore
        self._loose = loose + os.sep if loose else ""
        self._hashing = hashing
        self._nothing = hashing.of(b"")

    def scan(self, path: str, known: dict[str, Records], *, since: int) -> Scan:
        """What is at ``path``, a file or a directory, beside what the Index knows of it.

        ``since`` is the file system's clock before the walk (nanoseconds): what changed then or
        later is not believed when it is recorded.
        """
        full = f"{self._root}/{path}" if path else self._root
        try:
            info = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            return Scan(
                path, is_dir=False, exists=False, gone=[p for p in known if p == path or p.startswith(path + "/")]
            )
        if info.st_mode & _TYPE == _DIRECTORY:
            return self._walk(path, known, since)
        return self._single(path, info, known, since)

    def _single(self, path: str, info: os.stat_result, known: dict[str, Records], since: int) -> Scan:
        directory, _, name = path.rpartition("/")
        found = Scan(path, is_dir=False, since=since)
        found.dirs[directory] = {}
        record = known.get(directory, {}).get(name)
        if record is None or not _same(record, info):
            self._unknown(found, directory, name, info, None)
        else:
            found.dirs[directory][name] = record
        return found

    def _walk(self, top: str, known: dict[str, Records], since: int) -> Scan:
        found = Scan(top, is_dir=True, since=since)
        pending = [top]
        while pending:
            directory = pending.pop()
            pending += self._directory(found, directory, known)
        found.gone = [
            path for path in known if path not in found.dirs and (path == top or path.startswith(top + "/") or not top)
        ]
        return found

    def _directory(self, found: Scan, directory: str, listed: dict[str, Records]) -> list[str]:
        known = listed.get(directory) or {}
        here: Records = {}
        below: list[str] = []
        strange: list[tuple[str, os.stat_result]] = []
        fresh: list[Fresh] = []
        prefix = f"{directory}/" if directory else ""
        ignore = self._ignore
        get = known.get
        with os.scandir(f"{self._root}/{directory}" if directory else self._root) as entries:
            for entry in entries:
                name = entry.name
                info = entry.stat(follow_symlinks=False)
                kind = info.st_mode & _TYPE
                if (
                    name in ALWAYS
                    or name.startswith(TEMPORARY)
                    or (ignore and ignore(prefix + name, kind == _DIRECTORY))
                ):
                    continue
                if kind == _DIRECTORY:
                    if name.isascii() or _is_utf8(name):
                        below.append(prefix + name)
                    else:
                        strange.append((name, info))
                    continue
                record = get(name)
                # The comparison stands here and not in a function: it runs for every file of every status.
                if (
                    record is not None
                    and record[1] == info.st_mtime_ns
                    and record[0] == info.st_size
                    and record[2] == info.st_ctime_ns
                    and record[3] == info.st_ino
                ):
                    here[name] = record
                elif record is None and kind == _REGULAR and not info.st_mode & 0o100 and name.isascii():
                    # Nothing odd about it: most files of an add.
                    fresh.append(Fresh(directory, name, _record(info, FILE, b"")))
                else:
                    strange.append((name, info))
        found.dirs[directory] = here
        found.fresh += fresh
        unchanged = len(here)
        for name, info in strange:
            self._unknown(found, directory, name, info, get(name))
        if not (here or below or strange or fresh) and directory != found.top:
            self._empty(found, directory, listed)
        if strange or fresh or unchanged != len(known) - self._empty_dirs(known, below):
            found.dirty.add(directory)
        return below

    def _empty_dirs(self, known: Records, below: list[str]) -> int:
        """How many records of empty directories still are directories; they are looked at when they are walked."""
        if not below:
            return 0
        names = {path.rpartition("/")[2] for path in below}
        return sum(1 for name, record in known.items() if record[4] == EMPTY_DIR and name in names)

    def _empty(self, found: Scan, directory: str, listed: dict[str, Records]) -> None:
        parent, _, name = directory.rpartition("/")
        found.dirs.pop(directory, None)
        old = listed.get(parent, {}).get(name)
        if old is None or old.kind != EMPTY_DIR:
            found.dirty.add(parent)
        found.dirs[parent][name] = Record(0, 0, 0, 0, EMPTY_DIR, self._nothing)

    def _unknown(self, found: Scan, directory: str, name: str, info: os.stat_result, old: Record | None) -> None:
        path = f"{directory}/{name}" if directory else name
        kind = info.st_mode & _TYPE
        if not _is_utf8(name):
            found.refused.append(f"the name of {_shown(path)} is not UTF-8")
            return
        if kind == _LINK:
            self._link(found, directory, name, info)
            return
        if kind != _REGULAR:
            what = (
                "a FIFO" if stat.S_ISFIFO(info.st_mode) else "a socket" if stat.S_ISSOCK(info.st_mode) else "a device"
            )
            found.refused.append(f"{path} is {what}, which has no content to keep")
            return
        mode = EXECUTABLE if info.st_mode & 0o100 and os.name != "nt" else FILE
        if os.name == "nt" and old is not None and old.kind in (FILE, EXECUTABLE):
            mode = old.kind
        found.fresh.append(Fresh(directory, name, _record(info, mode, b"")))

    def _link(self, found: Scan, directory: str, name: str, info: os.stat_result) -> None:
        path = f"{directory}/{name}" if directory else name
        full = f"{self._root}/{path}"
        target = os.readlink(full)
        if self._loose and target.startswith(self._loose):
            # A link that checkout made into the Store: it stands for the file, and for none where that is gone.
            if not os.path.exists(full):
                return
            oid = bytes.fromhex(target[len(self._loose) :].replace(os.sep, ""))
            size = os.stat(full).st_size
            found.dirs[directory][name] = Record(size, NEVER, 0, 0, FILE, oid)
            return
        if not _is_utf8(target):
            found.refused.append(f"{path} is a symbolic link to {_shown(target)}, which is not UTF-8")
            return
        goal = os.path.normpath(os.path.join(os.path.dirname(full), target))
        if os.path.isabs(target) or not (goal + os.sep).startswith(self._root.rstrip(os.sep) + os.sep):
            found.refused.append(f"{path} is a symbolic link that leaves the repository: {target}")
            return
        if not found.is_dir:
            found.refused.append(f"{path} is a symbolic link, which Git keeps itself")
            return
        data = target.replace(os.sep, "/").encode()
        record = _believed(_record(info, SYMLINK, self._hashing.of(data)), found.since)
        found.dirs[directory][name] = record._replace(size=len(data))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(name: str) -> str:
    """A name that is not UTF-8, as a message can show it."""
    return repr(os.fsencode(name))


def _same(record: Record, info: os.stat_result) -> bool:
    return record[:4] == (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


def _record(info: os.stat_result, kind: str, oid: bytes) -> Record:
    return Record(info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, kind, oid)


def _believed(record: Record, since: int) -> Record:
    """The record to write to the Index: one that never matches where the file may yet change within the same tick."""
    return record if max(record.mtime, record.ctime) < since else record._replace(mtime=NEVER)


# -- hashing -----------------------------------------------------------------------------------


def refuse(scans: Iterable[Scan]) -> None:
    """UsageError where something cannot be tracked. Call it before anything is written."""
    sentences = [sentence for scan in scans for sentence in scan.refused]
    if sentences:
        more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
        raise UsageError(sentences[0] + more, hint="remove it, or name it in .mlvcignore")


def demote(scan: Scan, absent: set[bytes]) -> None:
    """Treat files whose objects are ``absent`` from the Store as unknown, so that they are read again."""
    for directory, records in scan.dirs.items():
        for name, record in list(records.items()):
            if record.oid in absent and record.kind in (FILE, EXECUTABLE) and record.mtime != NEVER:
                del records[name]
                scan.fresh.append(Fresh(directory, name, record))


def digest(root: str, scan: Scan, hashing: Hashing, batch: Batch | None = None, *, progress: Progress = QUIET) -> None:
    """Hash everything that is fresh, and put it into ``batch`` on the way: one pass over the bytes.

    Afterwards nothing of ``scan`` is fresh. A file that changes while it is read is an error.
    """
    small = [fresh for fresh in scan.fresh if fresh.known.size < LARGE]
    large = [fresh for fresh in scan.fresh if fresh.known.size >= LARGE]
    for group in _groups(small):
        objects = [(hashing.of(data), data) for data in _read_group(root, group)]
        if batch is not None:
            batch.put_hashed(objects)
        for fresh, (oid, _) in zip(group, objects, strict=True):
            _settle(scan, fresh, oid)
        progress.advance(objects=len(group), size=sum(fresh.known.size for fresh in group))
    for fresh in large:
        path = f"{root}/{fresh.path}"
        oid = batch.put_file(path) if batch is not None else hash_file(path, hashing)
        _unchanged(fresh, os.lstat(path))
        _settle(scan, fresh, oid)
        progress.advance(objects=1, size=fresh.known.size)
    if batch is not None:
        links = _links(root, scan)
        batch.put_hashed([(hashing.of(data), data) for data in links])
    scan.dirty.update(fresh.directory for fresh in scan.fresh)
    scan.fresh.clear()


def _settle(scan: Scan, fresh: Fresh, oid: bytes) -> None:
    scan.dirs[fresh.directory][fresh.name] = _believed(fresh.known._replace(oid=oid), scan.since)


def _links(root: str, scan: Scan) -> list[bytes]:
    found = []
    for directory, records in scan.dirs.items():
        for name, record in records.items():
            if record[4] == SYMLINK:
                path = f"{root}/{directory}/{name}" if directory else f"{root}/{name}"
                found.append(os.readlink(path).replace(os.sep, "/").encode())
    return found


def _groups(fresh: list[Fresh]) -> Iterator[list[Fresh]]:
    group: list[Fresh] = []
    size = 0
    for item in fresh:
        group.append(item)
        size += item.known.size
        if len(group) >= _BATCH_FILES or size >= _BATCH_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _read_group(root: str, group: list[Fresh]) -> Iterator[bytes]:
    flags = files.READ | files.NOFOLLOW
    for fresh in group:
        fd = os.open(f"{root}/{fresh.path}", flags)
        try:
            data = os.read(fd, fresh.known.size + 1)
            info = os.fstat(fd)
        finally:
            os.close(fd)
        if len(data) != fresh.known.size:
            raise _changed(fresh)
        _unchanged(fresh, info)
        yield data


def _unchanged(fresh: Fresh, info: os.stat_result) -> None:
    if not _same(fresh.known, info):
        raise _changed(fresh)


def _changed(fresh: Fresh) -> SystemFailureError:
    return SystemFailureError(
        f"{fresh.path} changed while it was read", hint="wait until nothing writes to it, then run this again"
    )


def hash_file(path: str, hashing: Hashing) -> bytes:
    """The Oid of a file of any size."""
    hasher = hashing.new()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(4 * BLOCK):
            hasher.update(block)
    return hasher.digest()
