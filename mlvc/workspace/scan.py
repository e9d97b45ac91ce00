"""What is in the working tree: one walk that compares with the Index, and one pass over what it does not know."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from mlvc import files
from mlvc.config import SHARED
from mlvc.errors import SystemFailureError, UsageError
from mlvc.hashing import BLOCK, Hashing
from mlvc.ignore import ALWAYS, Ignore
from mlvc.manifest import EMPTY_DIR, EXECUTABLE, FILE, SYMLINK, Entry
from mlvc.progress import QUIET, Part, Progress
from mlvc.store.base import LARGE, Batch
from mlvc.workspace.index import NEVER, Record, Records

_TYPE, _REGULAR, _DIRECTORY, _LINK = 0o170000, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK
_BATCH_FILES, _BATCH_BYTES = 256, 1 << 20
_MANY = 32
"""A directory that the Index knows nothing of is walked without a look at each file where it has more entries."""

_GUESS, _GUESS_MOST = 64 << 10, 512 << 10
"""Bytes that are asked for of a file whose size is not known yet: at first, and after larger ones."""

UNSEEN = Record(0, NEVER, 0, 0, FILE, b"")
"""Stands for a file that is looked at when it is read: two looks at each of 20,000 files are 0.06 s of 0.7."""
"""What is read before it is stored: little enough to stay in the processor's cache."""

_OID = re.compile(r"(?:[0-9a-f]{2})+")
ROOT, SETTINGS = SHARED.split("/")
TEMPORARY = ".mlvc-tmp-"
"""How the names of mlvc's own temporary files in the working tree begin. They are never tracked."""


@dataclass(slots=True)
class Scan:
    """Everything at one tracked path. Paths are relative to the repository.

    ``dirs`` has the Records of files that are as the Index knows them, by directory; what it does not know
    is in ``fresh``, without an Oid, until it is hashed. ``clean`` says that nothing differs from the Index at all.
    ``refused`` has a sentence for each path that cannot be tracked, ``left_out`` the paths that never are, ``ignored``
    those that ``.mlvcignore`` names.
    ``links``: where symbolic links lead, by Oid, as it was read. ``linked``: the paths of links. ``through``: one that
    leaves the repository is a link as any other, and not refused.
    """

    top: str
    is_dir: bool
    exists: bool = True
    dirs: dict[str, Records] = field(default_factory=dict)
    fresh: dict[str, Records] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    gone: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    links: dict[bytes, bytes] = field(default_factory=dict)
    linked: list[str] = field(default_factory=list)
    since: int = 0
    through: bool = False

    @property
    def clean(self) -> bool:
        """Whether the Index knows exactly what is here."""
        return not (self.fresh or self.dirty or self.gone)

    def unread(self) -> tuple[int, int]:
        """How many files are fresh, and their bytes; 0 bytes where that is not known yet."""
        fresh = [record for records in self.fresh.values() for record in records.values()]
        return len(fresh), 0 if UNSEEN in fresh else sum(record.size for record in fresh)

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

    def scan(
        self, path: str, known: dict[str, Records], *, since: int, inside: bool = False, through: bool = False
    ) -> Scan:
        """What is at ``path``, a file or a directory, beside what the Index knows of it.

        ``inside``: it is part of a tracked directory, where a symbolic link is an entry as any other. ``through``: see
        Scan.
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
            return self._walk(Scan(path, is_dir=True, since=since, through=through), known)
        return self._single(path, info, known, since, inside=inside)

    def is_ignored(self, path: str) -> bool:
        """Whether ``.mlvcignore`` names ``path``."""
        return self._ignore is not None and self._ignore(path, os.path.isdir(f"{self._root}/{path}"))

    def _single(self, path: str, info: os.stat_result, known: dict[str, Records], since: int, *, inside: bool) -> Scan:
        directory, _, name = path.rpartition("/")
        found = Scan(path, is_dir=False, since=since)
        found.dirs[directory] = {}
        record = known.get(directory, {}).get(name)
        if record is None or not _same(record, info):
            self._unknown(found, directory, name, info, None, inside=inside)
        else:
            found.dirs[directory][name] = record
        return found

    def _walk(self, found: Scan, known: dict[str, Records]) -> Scan:
        top = found.top
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
        prefix = f"{directory}/" if directory else ""
        ignore = self._ignore
        get, new = known.get, Record._make
        full = f"{self._root}/{directory}" if directory else self._root
        with files.directory(full) as (place, _, _), os.scandir(place) as listing:
            fresh, entries = self._unseen(prefix, list(listing), known)
            for name, info in _stats(entries):
                kind = info.st_mode & _TYPE
                if (
                    name in ALWAYS
                    or name.startswith(TEMPORARY)
                    or (ignore and ignore(prefix + name, kind == _DIRECTORY))
                ):
                    self._left_out(found, directory, name)
                    continue
                if kind != _REGULAR:
                    if kind == _DIRECTORY:
                        _put_directory(below, strange, prefix, name, info)
                        continue
                    found.linked += [prefix + name] if kind == _LINK else []
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
                    fresh[name] = new((info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, FILE, b""))
                else:
                    strange.append((name, info))
        found.dirs[directory] = here
        if fresh:
            found.fresh[directory] = fresh
        unchanged = len(here)
        for name, info in strange:
            self._unknown(found, directory, name, info, get(name))
        if not (here or below or strange or fresh) and directory != found.top:
            self._empty(found, directory, listed)
        if strange or fresh or unchanged != len(known) - self._empty_dirs(known, below):
            found.dirty.add(directory)
        return below

    def _left_out(self, found: Scan, directory: str, name: str) -> None:
        path = _path(directory, name)
        if name in ALWAYS:
            found.left_out.append(path)
        elif not name.startswith(TEMPORARY):
            found.ignored.append(path)
        if name == ROOT and directory and os.path.exists(f"{self._root}/{path}/{SETTINGS}"):
            found.refused[directory] = f"{directory} is an mlvc root of its own"

    def _unseen(
        self, prefix: str, entries: list[os.DirEntry[str]], known: Records
    ) -> tuple[Records, list[os.DirEntry[str]]]:
        """Those files that it is enough to look at when they are read, and all other entries."""
        if known or len(entries) <= _MANY or os.name == "nt":
            return {}, entries
        fresh: Records = {}
        others = []
        ignore = self._ignore
        for entry in entries:
            name = entry.name
            if (
                name.isascii()
                and entry.is_file(follow_symlinks=False)
                and name not in ALWAYS
                and not name.startswith(TEMPORARY)
                and not (ignore and ignore(prefix + name, False))
            ):
                fresh[name] = UNSEEN
            else:
                others.append(entry)
        return fresh, others

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

    def _unknown(
        self, found: Scan, directory: str, name: str, info: os.stat_result, old: Record | None, *, inside: bool = True
    ) -> None:
        path = f"{directory}/{name}" if directory else name
        kind = info.st_mode & _TYPE
        if not _is_utf8(name):
            found.refused[path] = f"the name of {_shown(path)} is not UTF-8"
            return
        if kind == _LINK:
            self._link(found, directory, name, info, inside=inside)
            return
        if kind != _REGULAR:
            what = (
                "a FIFO" if stat.S_ISFIFO(info.st_mode) else "a socket" if stat.S_ISSOCK(info.st_mode) else "a device"
            )
            found.refused[path] = f"{path} is {what}, which has no content to keep"
            return
        mode = EXECUTABLE if info.st_mode & 0o100 and os.name != "nt" else FILE
        if os.name == "nt" and old is not None and old.kind in (FILE, EXECUTABLE):
            mode = old.kind
        found.fresh.setdefault(directory, {})[name] = _record(info, mode, b"")

    def _link(self, found: Scan, directory: str, name: str, info: os.stat_result, *, inside: bool) -> None:
        path = f"{directory}/{name}" if directory else name
        full = f"{self._root}/{path}"
        target = os.readlink(full)
        goal = os.path.normpath(os.path.join(os.path.dirname(full), target))
        if self._loose and goal.startswith(self._loose):
            # A link that checkout made into the Store: it stands for the file, and for none where that is gone.
            if not os.path.exists(full):
                return
            digits = goal[len(self._loose) :].replace(os.sep, "")
            if not _OID.fullmatch(digits) or len(digits) != 2 * self._hashing.size:
                found.refused[path] = f"{path} is a symbolic link into the store, but to no object"
                return
            oid = bytes.fromhex(digits)
            size = os.stat(full).st_size
            found.dirs[directory][name] = Record(size, NEVER, 0, 0, FILE, oid)
            return
        if not _is_utf8(target):
            found.refused[path] = f"{path} is a symbolic link to {_shown(target)}, which is not UTF-8"
            return
        leaves = os.path.isabs(target) or not (goal + os.sep).startswith(self._root.rstrip(os.sep) + os.sep)
        if leaves and not found.through:
            found.refused[path] = f"{path} is a symbolic link that leaves the repository: {target}"
            return
        if not inside:
            found.refused[path] = f"{path} is a symbolic link, which Git keeps itself"
            return
        data = target.replace(os.sep, "/").encode()
        found.links[self._hashing.of(data)] = data
        record = _believed(_record(info, SYMLINK, self._hashing.of(data)), found.since)
        if leaves:
            record = record._replace(mtime=NEVER)  # whoever does not look through it has to meet it
        found.dirs[directory][name] = record._replace(size=len(data))


def _put_directory(
    below: list[str], strange: list[tuple[str, os.stat_result]], prefix: str, name: str, info: os.stat_result
) -> None:
    """Put a directory among those that are to be walked, or where its name is not UTF-8, among what is strange."""
    if name.isascii() or _is_utf8(name):
        below.append(prefix + name)
    else:
        strange.append((name, info))


def _stats(entries: Iterable[os.DirEntry[str]]) -> list[tuple[str, os.stat_result]]:
    """What the system says of each entry; nothing of one that is gone since it was listed."""
    found = []
    for entry in entries:
        try:
            info = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        found.append((entry.name, info))
    return found


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(name: str) -> str:
    """A name that is not UTF-8, as a message can show it."""
    return repr(os.fsencode(name)).removeprefix("b")


def _same(record: Record, info: os.stat_result) -> bool:
    return record[:4] == (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


def _record(info: os.stat_result, kind: str, oid: bytes) -> Record:
    return Record(info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, kind, oid)


def _believed(record: Record, since: int) -> Record:
    """The record to write to the Index: one that never matches where the file may yet change within the same tick."""
    return record if max(record.mtime, record.ctime) < since else record._replace(mtime=NEVER)


def sweep(directory: str) -> None:
    """Remove the temporary files that processes which are no more left in a directory of the working tree."""
    for name in os.listdir(directory):
        owner = name.removeprefix(TEMPORARY).partition("-")[0] if name.startswith(TEMPORARY) else ""
        if owner.isdigit() and not files.is_running(int(owner)):
            files.remove_tree(f"{directory}/{name}")
            with suppress(OSError):  # a directory that could not be removed
                files.remove(f"{directory}/{name}")


# -- hashing -----------------------------------------------------------------------------------


def refuse(scans: Iterable[Scan]) -> None:
    """UsageError where something cannot be tracked. Call it before anything is written."""
    sentences = [sentence for scan in scans for sentence in scan.refused.values()]
    if sentences:
        more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
        raise UsageError(sentences[0] + more, hint="remove it, or name it in .mlvcignore")


def demote(root: str, scan: Scan, absent: set[bytes], hashing: Hashing) -> None:
    """Treat files whose objects are ``absent`` from the Store as unknown, so that they are read again."""
    for directory, records in scan.dirs.items():
        for name, record in list(records.items()):
            if record.oid not in absent or record.mtime == NEVER:
                continue
            if record.kind in (FILE, EXECUTABLE):
                del records[name]
                scan.fresh.setdefault(directory, {})[name] = record
            elif record.kind == SYMLINK:
                path = _path(directory, name)
                data = os.readlink(f"{root}/{path}").replace(os.sep, "/").encode()
                if hashing.of(data) != record.oid:
                    raise _changed(path)
                scan.links[record.oid] = data


def digest(root: str, scan: Scan, hashing: Hashing, batch: Batch | None = None, *, progress: Progress = QUIET) -> None:
    """Hash everything that is fresh, and put it into ``batch`` on the way: one pass over the bytes.

    Afterwards nothing of ``scan`` is fresh. A file that changes while it is read is an error.
    """
    large: list[tuple[str, str, Record]] = []
    try:
        for objects in _small(root, scan, hashing, large):
            if batch is not None:
                batch.put_hashed(objects)
            progress.advance(objects=len(objects), size=sum(len(data) for _, data in objects))
        for directory, name, known in large:
            path = _path(directory, name)
            part, full = Part(progress, known.size), f"{root}/{path}"
            oid = hash_file(full, hashing, part) if batch is None else batch.put_file(full, part)
            if not _same(known, os.lstat(f"{root}/{path}")):
                raise _changed(path)
            scan.dirs[directory][name] = _believed(known._replace(oid=oid), scan.since)
            part.end()
    except FileNotFoundError as error:
        if not str(error.filename).startswith(root):
            raise
        raise _changed(os.path.relpath(error.filename, root)) from None
    if batch is not None:
        batch.put_hashed(list(scan.links.items()))
    scan.dirty.update(scan.fresh)
    scan.fresh.clear()


def _path(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _small(
    root: str, scan: Scan, hashing: Hashing, large: list[tuple[str, str, Record]]
) -> Iterator[list[tuple[bytes, bytes]]]:
    """Read and hash small files, and enter them into ``scan``: their Oids and bytes, many at a time.

    The others are put aside in ``large``.
    """
    # Looked up once: this loop runs for every file of an add.
    of, new, since = hashing.of, Record._make, scan.since
    objects: list[tuple[bytes, bytes]] = []
    guess, gathered = _GUESS, 0
    for directory, records in scan.fresh.items():
        row = scan.dirs[directory]
        with files.directory(f"{root}/{directory}" if directory else root) as (_, prefix, at):
            for name, known in records.items():
                if known is UNSEEN:
                    data, info = _read(prefix + name, at, guess)
                    size, mtime, ctime = info.st_size, info.st_mtime_ns, info.st_ctime_ns
                    kind = EXECUTABLE if info.st_mode & 0o100 else FILE
                    if len(data) != size or mtime >= since or ctime >= since:
                        # There is more of it, or it may have changed just now: from here on it must not.
                        known = _record(info, kind, b"")  # noqa: PLW2901
                        guess = max(guess, min(2 * size, _GUESS_MOST))
                if known is not UNSEEN:
                    if known[0] >= LARGE:
                        large.append((directory, name, known))
                        continue
                    data, info = _read(prefix + name, at, known[0] + 1)
                    if not _same(known, info) or len(data) != known[0]:
                        raise _changed(_path(directory, name))
                    size, mtime, ctime, _, kind, _ = known
                oid = of(data)
                objects.append((oid, data))
                stamp = mtime if mtime < since and ctime < since else NEVER
                row[name] = new((size, stamp, ctime, info.st_ino, kind, oid))
                gathered += size
                if gathered >= _BATCH_BYTES or len(objects) >= _BATCH_FILES:
                    yield objects
                    objects, gathered = [], 0
    yield objects


def _read(path: str, at: int | None, length: int) -> tuple[bytes, os.stat_result]:
    """At most ``length`` bytes of a file, and what the system says of it after they were read."""
    try:
        fd = os.open(path, files.READ_QUIETLY | files.NOFOLLOW, dir_fd=at)
    except PermissionError:  # somebody else's file, or one that nobody may read
        fd = os.open(path, files.READ | files.NOFOLLOW, dir_fd=at)
    try:
        return os.read(fd, length), os.fstat(fd)
    finally:
        os.close(fd)


def _changed(path: str) -> SystemFailureError:
    return SystemFailureError(
        f"{path} changed while it was read", hint="wait until nothing writes to it, then run this again"
    )


def hash_file(path: str, hashing: Hashing, told: Callable[[int], object] = bool) -> bytes:
    """The Oid of a file of any size. ``told`` is called with the number of bytes that were read, again and again."""
    hasher = hashing.new()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(4 * BLOCK):
            hasher.update(block)
            told(len(block))
    return hasher.digest()
