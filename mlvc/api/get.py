"""``get``: a tracked path of any repository as files, without its history and without a Store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from mlvc import files, manifest
from mlvc.api import browse
from mlvc.api.elsewhere import Source
from mlvc.api.view import View
from mlvc.directio import WORTHWHILE, Writer
from mlvc.errors import DamagedError, MlvcError, ObjectsMissingError, UsageError, WouldOverwriteError
from mlvc.manifest import EMPTY_DIR, EXECUTABLE, Entry
from mlvc.pointer import SUFFIX
from mlvc.progress import QUIET, Progress
from mlvc.snapshot import as_entry
from mlvc.store.base import LARGE, MISNAMED, Lost, reason_of
from mlvc.workspace.makers import GROUP, Makers
from mlvc.workspace.scan import TEMPORARY, sweep


@dataclass(frozen=True, slots=True)
class Got:
    """What was made: ``out`` with the content of ``path`` at ``commit`` of the repository at ``place``."""

    place: str
    commit: str
    path: str
    out: str
    is_dir: bool
    files: int
    size: int


def get(source: Source, path: str, out: str = "", *, force: bool = False, progress: Progress = QUIET) -> Got:
    """Make ``out`` what ``path``, a tracked file or directory, a part of one or a directory around some, is there.

    ``out``: by default the last name of ``path``, in the current directory; in ``out`` where that is a directory. It
    appears whole or not at all, and every byte was hashed on its way; as with checkout, it is not flushed to the disk.
    WouldOverwriteError where it is there already, unless ``force``; ObjectsMissingError or DamagedError, and nothing
    made, where an object cannot be had. A killed process leaves a temporary file beside ``out``, which the next one
    removes; where a directory was to be replaced, it may be left as ``OUT.old-…`` then.
    """
    target = _target(path, out)
    if files.exists(target) and not force:
        raise _in_the_way(target)
    is_dir, entries = wanted(source, path)
    parent = os.path.dirname(target) or "."
    if not os.path.isdir(parent):
        raise UsageError(f"the directory {parent} does not exist", hint="make it, then run this again")
    sweep(parent)
    temporary = os.path.join(parent, f"{TEMPORARY}{os.getpid()}-{os.urandom(4).hex()}")
    progress.start("writing files", objects=len(entries), total=sum(entry.size for entry in entries))
    try:
        _make(source, path, entries, temporary, progress)
        _publish(temporary, target, force=force)
    finally:
        _remove(temporary)
        progress.finish()
    count = len([entry for entry in entries if entry.kind != EMPTY_DIR])
    size = sum(entry.size for entry in entries)
    return Got(source.place, source.commit, path, target, is_dir, count, size)


def _target(path: str, out: str) -> str:
    name = path.removesuffix(SUFFIX).rpartition("/")[2]
    if out and not os.path.isdir(out):
        return out
    if not name:
        raise UsageError("this is everything that is tracked there", hint="say with -o which directory to make of it")
    return os.path.join(out, name)


def wanted(source: Source, path: str) -> tuple[bool, list[Entry]]:
    """Whether ``path`` is a directory, and the files in it, relative to it; one with an empty path where it is a file.

    UsageError where it is not tracked. FormatError where a Manifest or the Pointers name paths that lead elsewhere.
    """
    chosen = browse.choose(source, [path] if path else [])
    if chosen.unreadable:
        raise chosen.unreadable[0]
    top = path.removesuffix(SUFFIX) if path not in chosen.contents else path
    found: list[Entry] = []
    for tracked, content in chosen.contents.items():
        if not content.is_dir:
            found.append(as_entry(content, tracked))
            continue
        try:
            below = manifest.find(source.reader, content.oid, "".join(chosen.parts.get(tracked, ())))
        except (ObjectsMissingError, DamagedError) as error:
            raise source.lost(tracked, reason_of(error)) from None
        found += [entry._replace(path=f"{tracked}/{entry.path}") for entry in below]
        found += [] if below or tracked in chosen.parts else [Entry(tracked, EMPTY_DIR, 0, content.oid)]
    if len(found) == 1 and found[0].path == top and found[0].kind != EMPTY_DIR:
        item = View(source).file(top)  # where a symbolic link leads to
        kind = EXECUTABLE if item.kind == "executable" else manifest.FILE
        return False, [Entry("", kind, item.size, item.oid)]
    if not found and top not in chosen.contents:
        raise source.untracked(path)
    inside = len(top) + 1 if top else 0
    entries = [entry._replace(path=entry.path[inside:]) for entry in found if entry.path != top]
    manifest.check(entries)
    return True, entries


# -- making it ---------------------------------------------------------------------------------


def _make(source: Source, path: str, entries: Sequence[Entry], base: str, progress: Progress) -> None:
    """Make a file or a directory at ``base``, where nothing is."""
    if not (len(entries) == 1 and not entries[0].path):
        os.mkdir(base)
    for directory in sorted({_directory(entry) for entry in entries} - {""}):
        os.makedirs(f"{base}/{directory}", exist_ok=True)
    lost: dict[str, str] = {}
    small: dict[bytes, list[Entry]] = {}
    for entry in entries:
        if entry.kind == EMPTY_DIR:
            continue
        if entry.size < LARGE:
            small.setdefault(entry.oid, []).append(entry)
        else:
            _large(source, entry, _join(base, entry.path), lost, progress)
    _small(source, small, base, lost, progress)
    for name, reason in lost.items():
        raise _lost(source, _join(path, name), reason, len(lost) - 1)


def _directory(entry: Entry) -> str:
    return entry.path if entry.kind == EMPTY_DIR else entry.path.rpartition("/")[0]


def _join(base: str, name: str) -> str:
    return f"{base}/{name}" if base and name else base or name


def _large(source: Source, entry: Entry, target: str, lost: dict[str, str], progress: Progress) -> None:
    mode = 0o777 if entry.kind == EXECUTABLE else 0o666
    try:
        with Writer(target, mode, direct=entry.size >= WORTHWHILE) as file:
            for part in source.reader.stream(entry.oid):
                file.write(part)
                progress.advance(size=len(part))
            if file.finish(durable=False).st_size != entry.size:
                lost[entry.path] = MISNAMED
    except (ObjectsMissingError, DamagedError) as error:
        lost[entry.path] = reason_of(error)
    progress.advance(objects=1)


def _small(
    source: Source, wanted: dict[bytes, list[Entry]], base: str, lost: dict[str, str], progress: Progress
) -> None:
    """Make small files, in the order in which their objects are cheapest to read."""
    bad: Lost = {}
    group: list[tuple[Entry, str, bytes]] = []
    with Makers(
        lambda made: progress.advance(objects=len(made), size=sum(one.size for one in made.values()))
    ) as makers:
        for oid, data in source.reader.read(wanted, bad):
            content = bytes(data)
            for entry in wanted[oid]:
                if entry.size != len(content):
                    lost[entry.path] = MISNAMED
                else:
                    group.append((entry, _join(base, entry.path), content))
            if len(group) >= GROUP:
                makers.make(group)
                group = []
        makers.make(group)
    lost.update((entry.path, reason) for oid, reason in bad.items() for entry in wanted[oid])


def _lost(source: Source, path: str, reason: str, more: int) -> MlvcError:
    if reason == MISNAMED:
        return DamagedError(
            f"{path} could not be made: its object is {reason}", hint="it was committed like that; try another revision"
        )
    return source.lost(path, reason, more=more)


# -- giving it its name ------------------------------------------------------------------------


def _publish(temporary: str, target: str, *, force: bool) -> None:
    """Give what was made its name. With ``force``, what is there goes once the new one is in its place."""
    if force and files.exists(target):
        if not (os.path.isdir(temporary) or _is_dir(target)):
            os.replace(temporary, target)
            return
        aside = f"{target}.old-{os.urandom(4).hex()}"
        os.rename(target, aside)
        try:
            os.rename(temporary, target)
        except BaseException:
            os.rename(aside, target)
            raise
        _remove(aside)
        return
    if os.path.isdir(temporary):
        try:
            os.rename(temporary, target)
        except OSError as error:
            raise (_in_the_way(target) if files.exists(target) else error) from None
        return
    try:
        os.link(temporary, target)  # a rename would replace what has come there meanwhile
    except FileExistsError:
        raise _in_the_way(target) from None
    except OSError:  # a file system without hard links
        if files.exists(target):
            raise _in_the_way(target) from None
        os.rename(temporary, target)


def _in_the_way(target: str) -> WouldOverwriteError:
    return WouldOverwriteError(
        f"{target} is there already", hint="give another name with -o, or replace it with --force"
    )


def _remove(path: str) -> None:
    if _is_dir(path):
        files.remove_tree(path)
    else:
        files.remove(path)


def _is_dir(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)
