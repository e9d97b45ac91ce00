"""Checkout: from what stands in the working tree to what should. Plan first, then act.

A file is made under a temporary name and renamed into place; a directory that was not there is
made whole beside and renamed once. A crash leaves each file as it was or as it should be, and
running the command again finishes the work.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mlvc import files, manifest
from mlvc.errors import DamagedError, ObjectsMissingError, WouldOverwriteError
from mlvc.manifest import EMPTY_DIR, Entry
from mlvc.pointer import Content
from mlvc.progress import QUIET, Part, Progress
from mlvc.snapshot import Change, as_entry, compare, not_part, parents, typed, within
from mlvc.store.base import LARGE, MISNAMED, Lost, Reader, reason_of
from mlvc.store.local import LocalStore
from mlvc.workspace.index import NEVER, Record, Records
from mlvc.workspace.link import place
from mlvc.workspace.makers import GROUP, Makers
from mlvc.workspace.tree import Look, WorkTree

_NAMED = 3
_FEW = 50
"""Rows of the Index that are read one by one."""


@dataclass(frozen=True, slots=True)
class PathPlan:
    """What has to be done at one tracked path.

    ``whole``: nothing is there yet, so that everything is made beside and renamed into place.
    ``unstored``: paths whose content, about to be replaced or removed, is nowhere else. ``extra``: files that should
    not be there and stay, because they are nowhere else and in nobody's way. ``partial``: only a part of the path was
    asked for. ``misnamed``: the Pointer tells of another size, or number of files, than what it names has.
    """

    path: str
    content: Content | None
    changes: tuple[Change, ...]
    whole: bool
    unstored: tuple[str, ...] = ()
    look: Look | None = None
    extra: tuple[str, ...] = ()
    partial: bool = False
    force: bool = False
    misnamed: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What a checkout did. ``lost`` names the paths that could not be made, and why."""

    changes: tuple[Change, ...] = ()
    lost: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """How a checkout is meant.

    ``parts``: the paths inside of a wanted path to which it is confined. ``spared``: what stays of a path that goes.
    ``force``: files that are stored nowhere go, too. ``relink``: large files are made anew.
    ``reader``: where manifests are read, if not from the Store: for a Plan that is to be shown and not carried out.
    ``inside``: the wanted paths that are parts of tracked directories. ``cwd``: where the person stands who may type
    what a hint says.
    """

    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spared: Collection[str] = ()
    force: bool = False
    relink: bool = False
    reader: Reader | None = None
    inside: Collection[str] = ()
    cwd: str = ""


def plan(
    tree: WorkTree,
    store: LocalStore,
    wanted: Mapping[str, Content | None],
    *,
    asked: Asked | None = None,
    progress: Progress = QUIET,
) -> tuple[list[PathPlan], dict[str, str]]:
    """What has to change at the wanted paths, and the paths whose manifest cannot be had, with the reason."""
    asked = asked or Asked()
    looks = tree.look(wanted, lenient=True, inside=asked.inside, progress=progress)
    progress.start("comparing")
    plans = []
    lost: dict[str, str] = {}
    for path, content in wanted.items():
        try:
            made = _plan_path(tree, store, looks[path], content, asked)
        except (ObjectsMissingError, DamagedError) as error:
            lost[path] = reason_of(error)
            if isinstance(error, DamagedError) and content is not None:
                store.quarantine({content.oid: "damaged"})  # so that a fetch brings it again
            continue
        if made is None:
            continue
        if made.misnamed:
            lost[path] = MISNAMED
        else:
            plans.append(made)
    progress.finish()
    return plans, lost


def _is_misnamed(content: Content, look: Look, new: Sequence[Entry]) -> bool:
    """Whether a Pointer tells of another size, or number of files, than what it names has, as far as that is known."""
    if look.content is not None and look.content.oid == content.oid:
        return look.content.is_dir == content.is_dir and look.content.size != content.size
    return content.is_dir and (len(new), sum(entry.size for entry in new)) != (content.files, content.size)


def _plan_path(tree: WorkTree, store: LocalStore, look: Look, content: Content | None, asked: Asked) -> PathPlan | None:
    parts = asked.parts.get(look.path, ())
    if look.content == content and not asked.relink:
        _check_parts(tree, asked, look.path, look.entries())
        return None
    old, new = look.entries(), _entries(asked.reader or store, content)
    _check_parts(tree, asked, look.path, [*old, *new])
    # Of many entries few differ: these alone are told by their whole paths.
    changes = [part for change in compare(old, new) for part in _unrenamed(_change_at(look.path, change))]
    if asked.relink:
        kept = {change.path for change in changes}
        large = _at(look.path, [entry for entry in new if entry.size >= LARGE])
        changes += [Change(entry.path, entry, entry) for entry in large if entry.path not in kept]
    same = look.content is not None and content is not None and look.content.is_dir == content.is_dir
    if not changes and same and look.content == content:
        return None
    # Of a path that goes, what is tracked inside of it stays; of one that comes, nothing else is tracked inside.
    spared = asked.spared if content is None else ()
    changes = [
        change
        for change in changes
        if (not parts or within(change.path, parts)) and not (change.new is None and within(change.path, spared))
    ]
    olds = {c.old.oid: c.old.size for c in changes if c.old is not None and c.old != c.new and c.old.kind != EMPTY_DIR}
    absent = store.missing(olds)
    # What goes from here has to be had from the Store, not just be listed there.
    absent |= store.unreadable({oid: size for oid, size in olds.items() if oid not in absent})
    at_risk = {change.path: change for change in changes if _is_at_risk(change, look, absent)}
    extra = () if content is None or asked.force else _in_nobodys_way(at_risk, look.path, new)
    return PathPlan(
        look.path,
        content,
        tuple(change for change in changes if change.path not in extra),
        whole=content is not None and _is_free(f"{tree.root}/{look.path}"),
        unstored=tuple(path for path in at_risk if path not in extra),
        look=look,
        extra=extra,
        partial=bool(parts),
        force=asked.force,
        misnamed=content is not None and _is_misnamed(content, look, new),
    )


def _check_parts(tree: WorkTree, asked: Asked, path: str, entries: Sequence[Entry]) -> None:
    for part in asked.parts.get(path, ()):
        if not any(within(f"{path}/{entry.path}", [part]) for entry in entries):
            raise not_part(tree.root, part, path, asked.cwd)


def _in_nobodys_way(at_risk: Mapping[str, Change], top: str, new: Sequence[Entry]) -> tuple[str, ...]:
    """Those files that nothing replaces: neither they nor a directory in their place, or a file in that of theirs."""
    extra = [path for path, change in at_risk.items() if change.new is None]
    if not extra:
        return ()
    taken = {entry.path for entry in _at(top, new)}
    around = {parent for path in taken for parent in parents(path)}
    return tuple(path for path in extra if path not in around and taken.isdisjoint(parents(path)))


def _is_at_risk(change: Change, look: Look, unstored: set[bytes]) -> bool:
    """Whether what stands there, and is about to go, is nowhere else."""
    refused = look.scan.refused
    if (
        refused
        and change.new is not None
        and (change.path in refused or not refused.keys().isdisjoint(parents(change.path)))
    ):
        return True
    old = change.old
    return old is not None and old != change.new and old.kind != EMPTY_DIR and old.oid in unstored


def _is_free(path: str) -> bool:
    """Whether nothing is at ``path``, or an empty directory."""
    try:
        return not os.listdir(path)
    except FileNotFoundError:
        return not os.path.lexists(path)
    except OSError:
        return False


def _unrenamed(change: Change) -> list[Change]:
    if not change.source:
        return [change]
    return [Change(change.source, change.old, None), Change(change.path, None, change.new)]


def _entries(store: Reader, content: Content | None) -> list[Entry]:
    if content is None:
        return []
    if not content.is_dir:
        return [as_entry(content)]
    found = manifest.entries_of(store, content.oid)
    manifest.check(found)
    return found


def _change_at(top: str, change: Change) -> Change:
    """The same Change below ``top``."""
    old, new = (None if entry is None else _at(top, [entry])[0] for entry in (change.old, change.new))
    return Change(f"{top}/{change.path}" if change.path else top, old, new, change.source and f"{top}/{change.source}")


def _at(top: str, entries: Iterable[Entry]) -> list[Entry]:
    """The same entries below ``top``."""
    made = Entry._make
    return [made((f"{top}/{path}" if path else top, kind, size, oid)) for path, kind, size, oid in entries]


def guard(
    plans: Iterable[PathPlan],
    *,
    extra: bool = False,
    also: Sequence[str] = (),
    outs: Collection[str] = (),
    cwd: str = "",
) -> None:
    """WouldOverwriteError where a Plan would destroy the only copy of something; or leave something ``extra``.

    Its hint counts all that ``--force`` would take and the sentence does not name: what the Plans leave, and ``also``.
    ``outs``: the paths that a Stage makes, which ``mlvc add`` does not take. ``cwd``: as in ``Asked``.
    """
    plans = list(plans)
    alone = {made.path: (*made.unstored, *(made.extra if extra else ())) for made in plans}
    unstored = [path for paths in alone.values() for path in paths]
    if not unstored:
        return
    spared = [] if extra else sorted([*(path for made in plans for path in made.extra), *also])
    named = _listed(unstored)
    kept = unstored if len(unstored) <= _NAMED else [path for path, paths in alone.items() if paths]
    keeping = f"mlvc add {' '.join(typed(path, cwd) for path in kept)}" if len(kept) <= _NAMED else "mlvc commit"
    keep = f"keep them with `{keeping}`"
    of_stage = next((path for path, paths in alone.items() if paths and path in outs), "")
    if of_stage:
        keep = f"a stage makes {of_stage}: copy elsewhere what is to be kept"
    removed = f", which also removes what is stored nowhere else: {_listed(spared)}" if spared else ""
    raise WouldOverwriteError(
        f"{named} {'has' if len(unstored) == 1 else 'have'} changes that are stored nowhere",
        hint=f"{keep}, or lose them with --force{removed}",
    )


def _listed(paths: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    rest = len(paths) - _NAMED
    return ", ".join(paths[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def execute(
    tree: WorkTree, store: LocalStore, plans: Sequence[PathPlan], *, links: Sequence[str], progress: Progress = QUIET
) -> Done:
    """Carry out Plans. What cannot be had is named in the result, and all the rest is done."""
    changes = [change for made in plans for change in made.changes]
    sizes = [change.new.size for change in changes if change.new is not None]
    progress.start("writing files", objects=len(sizes), total=sum(sizes))
    lost: dict[str, str] = {}
    for made in plans:
        work = _Work(tree, store, made, links, progress)
        lost.update(work.whole() if made.whole else work.in_place())
    progress.finish()
    return Done(tuple(change for change in changes if change.path not in lost), lost)


class _Work:
    """Carrying out the Plan for one path."""

    def __init__(
        self, tree: WorkTree, store: LocalStore, made: PathPlan, links: Sequence[str], progress: Progress
    ) -> None:
        self._tree = tree
        self._store = store
        self._made = made
        self._links = links
        self._progress = progress
        self._lost: dict[str, str] = {}
        self._records: dict[str, Record] = {}
        self._parents_made: set[str] = set()

    def whole(self) -> dict[str, str]:
        """Make everything beside, then rename it into place."""
        made = self._made
        target = f"{self._tree.root}/{made.path}"
        parent = os.path.dirname(target)
        os.makedirs(parent, exist_ok=True)
        base = self._tree.beside(parent)
        new = [change.new for change in made.changes if change.new is not None]
        is_dir = made.content is not None and made.content.is_dir
        if is_dir:
            os.mkdir(base)
        skip = len(made.path) + 1
        pairs = [(entry, f"{base}/{entry.path[skip:]}" if is_dir else base) for entry in new]
        try:
            self._make_dirs(base, pairs)
            self._write(pairs)
            if not is_dir and self._lost:
                return self._lost
            if is_dir:
                self._settle()
            _make_room(target, made.path)
            os.rename(base, target)
        except BaseException:
            files.remove_tree(base)
            files.remove(base)
            raise
        if not is_dir:
            for entry in new:
                self._restamp(entry, target)  # a rename is a change of the file itself
            self._settle()
        self._remember()
        return self._lost

    def in_place(self) -> dict[str, str]:
        """Remove, replace and add file by file."""
        root = self._tree.root
        removed = [change for change in self._made.changes if change.old is not None and change.new is None]
        new = [change.new for change in self._made.changes if change.new is not None]
        temporary = self._tree.beside(os.path.dirname(f"{root}/{self._made.path}"))
        os.mkdir(temporary)
        try:
            pairs = [(entry, f"{temporary}/{number}") for number, entry in enumerate(new)]
            self._write(pairs, directories=False)
            for change in self._made.changes:
                self._unchanged(change)
            for change in removed:
                self._unlink(change)
            top = f"{root}/{self._made.path}"
            if self._made.content is None:
                with suppress(OSError):  # gone with its last file, or not empty
                    os.rmdir(top)
            elif self._made.content.is_dir:
                os.makedirs(top, exist_ok=True)
            for entry, path in pairs:
                if entry.path not in self._lost:
                    self._publish(entry, path)
        finally:
            files.remove_tree(temporary)
        self._settle()
        self._remember()
        return self._lost

    def _make_dirs(self, base: str, pairs: Sequence[tuple[Entry, str]]) -> None:
        made = {base}
        for entry, path in pairs:
            directory = path if entry.kind == EMPTY_DIR else path.rpartition("/")[0]
            if directory not in made and len(directory) > len(base):
                os.makedirs(directory, exist_ok=True)
                made.add(directory)

    def _write(self, pairs: Sequence[tuple[Entry, str]], *, directories: bool = True) -> None:
        small: dict[bytes, list[tuple[Entry, str]]] = {}
        for entry, path in pairs:
            if entry.kind == EMPTY_DIR:
                if not directories:
                    os.mkdir(path)
                self._records[entry.path] = Record(0, 0, 0, 0, EMPTY_DIR, entry.oid)
            elif entry.size < LARGE:
                small.setdefault(entry.oid, []).append((entry, path))
            else:
                self._large(entry, path)
        self._small(small)

    def _small(self, wanted: Mapping[bytes, list[tuple[Entry, str]]]) -> None:
        lost = self._read_small(wanted)
        if lost:
            # Once more: there may be another copy, or the Catalog was what was wrong.
            self._store.quarantine(lost)
            lost = {oid: lost[oid] for oid in self._read_small({oid: wanted[oid] for oid in lost})}
        for oid, reason in lost.items():
            self._lost.update((entry.path, reason) for entry, _ in wanted[oid])

    def _read_small(self, wanted: Mapping[bytes, list[tuple[Entry, str]]]) -> Lost:
        """Make small files; the objects that cannot be had."""
        lost: Lost = {}
        group: list[tuple[Entry, str, bytes]] = []
        with Makers(self._made_files) as makers:
            for oid, data in self._store.read(wanted, lost):
                content = bytes(data)
                files_ = [(entry, path, content) for entry, path in wanted[oid] if entry.size == len(content)]
                if len(files_) < len(wanted[oid]):
                    self._lost.update((entry.path, MISNAMED) for entry, _ in wanted[oid] if entry.size != len(content))
                group += files_
                if len(group) >= GROUP:
                    makers.make(group)
                    group = []
            makers.make(group)
        return lost

    def _made_files(self, records: dict[str, Record]) -> None:
        self._records.update(records)
        self._progress.advance(objects=len(records), size=sum(record.size for record in records.values()))

    def _large(self, entry: Entry, path: str) -> None:
        is_inside = self._store.root.startswith(self._tree.top.rstrip(os.sep) + os.sep)
        home = os.path.dirname(f"{self._tree.root}/{entry.path}") if is_inside else ""
        try:
            part = Part(self._progress, entry.size)
            place(self._store, entry, path, self._links, home=home, told=part)
        except (ObjectsMissingError, DamagedError) as error:
            self._lost[entry.path] = reason_of(error)
            self._store.quarantine({entry.oid: self._lost[entry.path]})
            return
        info = os.lstat(path)
        if info.st_size != entry.size and not stat.S_ISLNK(info.st_mode):
            files.remove(path)
            self._lost[entry.path] = MISNAMED
            return
        self._records[entry.path] = Record(
            entry.size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, entry.kind, entry.oid
        )
        part.end()

    def _unchanged(self, change: Change) -> None:
        """WouldOverwriteError where something else stands there than when the Plan was made, or something ignored."""
        if self._made.force:
            return
        look = self._made.look
        directory, _, name = change.path.rpartition("/")
        record = look.scan.dirs.get(directory, {}).get(name) if look is not None else None
        try:
            info = os.lstat(f"{self._tree.root}/{change.path}")
        except OSError:
            return  # gone: nothing is lost
        if record is None:
            refused = look is not None and change.path in look.scan.refused  # replaced by --force
            # A link into the Store whose object is gone is as good as none.
            something = os.path.exists(f"{self._tree.root}/{change.path}") and not stat.S_ISDIR(info.st_mode)
            changed = change.old is None and something and not refused
            if changed and self._tree.is_ignored(change.path):
                raise WouldOverwriteError(
                    f"{change.path} cannot be made: a file that .mlvcignore names is in its place",
                    hint="move it away, or lose it with --force",
                )
        else:
            # Not by the ctime: that of a hard link changes when another one of the same file is replaced.
            changed = record.inode != 0 and (
                (info.st_ino, info.st_size) != (record.inode, record.size)
                or (record.mtime not in (NEVER, info.st_mtime_ns))
            )
        if changed:
            raise _meanwhile(change.path)

    def _unlink(self, change: Change) -> None:
        root = self._tree.root
        path = f"{root}/{change.path}"
        if change.old is not None and change.old.kind == EMPTY_DIR:
            with suppress(OSError):
                os.rmdir(path)
        else:
            files.remove(path)
        stop = f"{root}/{self._made.path}" if self._made.content is not None and self._made.content.is_dir else root
        parent = os.path.dirname(path)
        with suppress(OSError):  # not empty
            while len(parent) > len(stop):
                os.rmdir(parent)
                parent = os.path.dirname(parent)

    def _publish(self, entry: Entry, temporary: str) -> None:
        target = f"{self._tree.root}/{entry.path}"
        self._make_parents(entry.path)
        if entry.kind == EMPTY_DIR:
            if not os.path.isdir(target) or os.path.islink(target):
                files.remove(target)
            os.makedirs(target, exist_ok=True)
            return
        if os.path.isdir(target) and not os.path.islink(target):
            self._clear(target, entry.path)
        os.replace(temporary, target)
        self._restamp(entry, target)

    def _make_parents(self, path: str) -> None:
        """Make the directories around a path. None of them is behind a link: what stands in the way goes."""
        parent = path.rpartition("/")[0]
        if parent in self._parents_made:
            return
        self._parents_made.add(parent)
        for directory in reversed([parent, *parents(parent)] if parent else []):
            full = f"{self._tree.root}/{directory}"
            if within(directory, [self._made.path]) and (os.path.islink(full) or os.path.isfile(full)):
                files.remove(full)
            os.makedirs(full, exist_ok=True)

    def _clear(self, target: str, path: str) -> None:
        try:
            os.rmdir(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise WouldOverwriteError(
                f"{path} cannot be made: a directory with files that are not tracked is in its place",
                hint="move them, then run this again",
            ) from None

    def _restamp(self, entry: Entry, target: str) -> None:
        info = os.lstat(target)
        self._records[entry.path] = self._records[entry.path]._replace(
            mtime=info.st_mtime_ns, ctime=info.st_ctime_ns, inode=info.st_ino
        )

    def _settle(self) -> None:
        """Wait until the file system's clock has left the tick of the last stamp, so that the Index may be believed."""
        newest = max((record.ctime for record in self._records.values()), default=0)
        for _ in range(20):
            now = self._tree.clock()
            if now > newest:
                return
            time.sleep(0.002)
        self._records = {
            path: record if record.ctime < now else record._replace(mtime=NEVER)
            for path, record in self._records.items()
        }

    def _remember(self) -> None:
        """Tell the Index what is now there."""
        made = self._made
        index = self._tree.index
        # All rows below the path at once, unless a few will do.
        touched = {change.path.rpartition("/")[0] for change in made.changes}
        known = index.below(made.path) if len(touched) > _FEW else {}
        is_new = made.whole and made.content is not None and made.content.is_dir
        dirs: dict[str, Records] = {}
        for change in self._made.changes:
            directory, _, name = change.path.rpartition("/")
            row = dirs.get(directory)
            if row is None:
                old = known.get(directory) or ({} if is_new else index.of_dir(directory))
                row = dirs[directory] = dict(old)
            row.pop(name, None)
            if change.path in self._records:
                row[name] = self._records[change.path]
        all_of_it = not (self._lost or made.extra or made.partial)
        whole = made.content is not None and made.content.is_dir and all_of_it
        index.update(
            {path: row for path, row in dirs.items() if row},
            gone=[path for path, row in dirs.items() if not row],
            roots={made.path: made.content} if whole and made.content is not None else {},
        )


def _make_room(target: str, path: str) -> None:
    """WouldOverwriteError unless nothing, or an empty directory, is at ``target`` as when the Plan was made."""
    if not os.path.lexists(target):
        return
    try:
        os.rmdir(target)
    except OSError:
        raise _meanwhile(path) from None


def _meanwhile(path: str) -> WouldOverwriteError:
    return WouldOverwriteError(
        f"{path} was changed while checkout was at work", hint="run it again; what is there now is looked at anew"
    )
