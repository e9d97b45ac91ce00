"""``status`` and ``diff``: what differs between working tree, Pointers and commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlvc import files, git, snapshot
from mlvc import pointer as pointers
from mlvc.api import named
from mlvc.errors import DamagedError, FormatError, ObjectsMissingError
from mlvc.git import hooked
from mlvc.manifest import Entry, objects_of, root_of
from mlvc.pointer import Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.snapshot import Change, Snapshot, as_entry, changes, compare
from mlvc.store.base import Lost
from mlvc.workspace.tree import Look


@dataclass(frozen=True, slots=True)
class PathStatus:
    """How one tracked path in the working tree compares with its Pointer.

    ``state``: ``modified``, or ``absent`` where nothing is there. ``changes`` file by file, where they
    can be told: not where the manifest is not here. ``is_output``: a stage makes it.
    """

    path: str
    state: str
    changes: tuple[Change, ...] = ()
    note: str = ""
    is_output: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A Stage that would rerun, and why."""

    stage: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """All that ``mlvc status`` tells. Clean when every part is empty.

    ``head``: tracked paths whose Pointer or locked output differs from HEAD. ``missing``: tracked paths with the
    number of objects that are not in the Store. ``refused``: sentences about what cannot be tracked. ``unreadable``:
    what is wrong with Pointers that cannot be read, or that are in conflict.
    """

    tracked: int
    work: tuple[PathStatus, ...] = ()
    head: tuple[Change, ...] = ()
    missing: tuple[tuple[str, int], ...] = ()
    stages: tuple[Waiting, ...] = ()
    refused: tuple[str, ...] = ()
    unreadable: tuple[FormatError, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.work or self.head or self.missing or self.stages or self.refused or self.unreadable)


def status(repo: Repo, targets: Sequence[str] = (), *, progress: Progress = QUIET) -> Status:
    """Working tree against Pointers, Pointers against HEAD, objects that are not here. Changes nothing."""
    progress.start("reading Pointers")
    names = [repo.path(target) for target in targets]
    now = snapshot.on_disk(repo.git)
    chosen, unreadable, unknown = snapshot.choose(now, names)
    if unknown:
        raise named.untracked(repo, targets[names.index(unknown[0])], "status")
    looks = repo.tree.look(chosen, lenient=True, progress=progress)
    progress.start("comparing")
    before, _ = snapshot.select(snapshot.head(repo.git).without(now.outside).contents(), names)
    before = {path: content for path, content in before.items() if path not in unreadable}
    unreadable |= _in_conflict(repo, now, names)
    parts = snapshot.inside(chosen, names)
    _check_parts(repo, parts, chosen, before)
    differing = [
        _path_status(repo, looks[path], content) for path, content in chosen.items() if looks[path].content != content
    ]
    found = Status(
        len(chosen),
        tuple(
            replace(told, is_output=item.path in now.outs)
            for item in differing
            if (told := _confined(item, parts.get(item.path, ()))) is not None
        ),
        tuple(_whole(before, chosen)),
        tuple(
            _missing(repo, {path: each for path, each in chosen.items() if now.homes.get(path, "") is not None}, looks)
        ),
        refused=tuple(sentence for look in looks.values() for sentence in look.scan.refused.values()),
        unreadable=tuple(unreadable.values()),
    )
    progress.finish()
    return found


def _in_conflict(repo: Repo, now: Snapshot, names: Sequence[str]) -> dict[str, FormatError]:
    """What Git could not merge although it can be read: what one side deleted, and what was edited since.

    Costs no process but while Git merges.
    """
    if not hooked.is_merging(repo.git):
        return {}
    ids = hooked.unmerged(repo.git, [f"*{pointers.SUFFIX}", snapshot.LOCKFILE])
    files_ = {pointers.tracked_by(name): name for name in ids}
    known = {path: name for path, name in files_.items() if path in now.pointers or path == snapshot.LOCKFILE}
    chosen, _ = snapshot.select(known, names)
    return {path: _conflict(repo, path, name, ids[name]) for path, name in chosen.items() if path not in now.unreadable}


def _conflict(repo: Repo, path: str, name: str, sides: Mapping[int, str]) -> FormatError:
    one_sided = not {hooked.OURS, hooked.THEIRS} <= sides.keys()
    what = "only one side of a Git merge has it" if one_sided else "Git was not told that it has ended"
    file, tracked = map(repo.typed, (name, path))
    if path == snapshot.LOCKFILE or not one_sided:
        hint = f"`git add {file}` keeps it as it is" + (f", `git rm {file}` deletes it" if one_sided else "")
    else:
        hint = f"end it with `mlvc resolve {tracked}` and one of --ours, --theirs, --working"
    return FormatError(f"{name} is in conflict: {what}", hint=hint)


def _check_parts(repo: Repo, parts: Mapping[str, Sequence[str]], *states: Mapping[str, Content]) -> None:
    """UsageError for a part that is neither in the working tree nor in any of ``states``."""
    gone = {path: [name for name in names if not files.exists(f"{repo.root}/{name}")] for path, names in parts.items()}
    named.check_parts(repo, gone, states)


def with_stages(found: Status, stages: Iterable[Waiting]) -> Status:
    """The same Status with the Stages that would rerun."""
    return replace(found, stages=tuple(stages))


def _confined(item: PathStatus, parts: Sequence[str]) -> PathStatus | None:
    """What is told of some parts of a tracked path; None where nothing is."""
    if not parts or not item.changes:
        return item
    changes = tuple(change for change in item.changes if snapshot.within(change.path, parts))
    return replace(item, changes=changes) if changes else None


def _path_status(repo: Repo, look: Look, content: Content) -> PathStatus:
    if look.content is None:
        return PathStatus(look.path, "modified" if look.path in look.scan.refused else "absent", note="not a file")
    if look.content.oid == content.oid and look.content.size != content.size:
        return PathStatus(look.path, "modified", note="its Pointer tells a wrong size; `mlvc commit` corrects it")
    try:
        return PathStatus(look.path, "modified", tuple(against(repo, content, look)))
    except (ObjectsMissingError, DamagedError):
        return PathStatus(look.path, "modified", note="which files cannot be told: the manifest is not in the store")


def against(repo: Repo, content: Content | None, look: Look, path: str = "") -> list[Change]:
    """What differs between recorded content and what stands in the working tree; ``path``: what to call it."""
    old = [] if content is None else snapshot.entries(repo.store, content)
    path = path or look.path
    return compare([_below(path, entry) for entry in old], [_below(path, entry) for entry in look.entries()])


def _below(path: str, entry: Entry) -> Entry:
    return entry._replace(path=f"{path}/{entry.path}" if entry.path else path)


def _whole(old: Mapping[str, Content], new: Mapping[str, Content]) -> list[Change]:
    """Tracked paths that differ, each as one."""
    return [
        Change(
            path, as_entry(old[path], path) if path in old else None, as_entry(new[path], path) if path in new else None
        )
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def _missing(repo: Repo, contents: Mapping[str, Content], looks: Mapping[str, Look]) -> list[tuple[str, int]]:
    """Tracked paths with the number of their objects that are not in the Store.

    Where the manifest is not, nobody can tell how many: the Pointer's number of files stands for it.
    """
    found = []
    for path, content in contents.items():
        lost: Lost = {}
        oids = _objects(repo, content, looks[path], lost)
        missing = repo.store.missing(oids)
        if missing or lost:
            found.append((path, max(len(missing | lost.keys()), content.files if lost else 0)))
    return found


def _objects(repo: Repo, content: Content, look: Look, lost: Lost) -> set[bytes]:
    if look.content != content:
        return objects_of(repo.store, [content], lost)
    if not content.is_dir:
        return {content.oid}
    # The Index knows the files: no leaf of the manifest need be read.
    oids = {r[5] for records in look.scan.dirs.values() for r in records.values() if r[4] != "d"}
    try:
        leaves = root_of(repo.store, content.oid).leaves
    except (ObjectsMissingError, DamagedError):
        lost[content.oid] = "missing"
        return oids
    return oids | {leaf.oid for leaf in leaves}


# -- diff --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs between two states, file by file. ``unknown`` are tracked paths whose manifests are not here."""

    old: str
    new: str
    changes: tuple[Change, ...]
    unknown: tuple[str, ...] = ()
    unreadable: tuple[FormatError, ...] = ()


def diff(repo: Repo, old: str = "HEAD", new: str = "", targets: Sequence[str] = ()) -> Diff:
    """The files that differ between two revisions, or between one and the working tree (``new`` empty)."""
    names = [repo.path(target) for target in targets]
    there = _at(repo, new) if new else snapshot.on_disk(repo.git)
    before, bad, unknown_then = snapshot.choose(_at(repo, old).without(there.outside), names)
    after, bad_now, unknown_now = snapshot.choose(there, names)
    for name in unknown_now:
        if name in unknown_then:
            raise named.untracked(repo, targets[names.index(name)], "diff", [old, new] if new else [])
    parts = snapshot.inside({**before, **after}, names)
    told = {path: asked for path, asked in parts.items() if path not in bad and path not in bad_now}
    if new:
        named.check_parts(repo, told, [before, after])
    else:
        _check_parts(repo, told, before, after)
    found: list[Change] = []
    unknown = []
    looks = {} if new else repo.tree.look(sorted(after), lenient=True)
    for path in sorted((before.keys() | after.keys()).difference(bad, bad_now)):
        try:
            if not new and path in after:
                if looks[path].content != before.get(path):
                    found += against(repo, before.get(path), looks[path])
            else:
                found += changes(repo.store, path, before.get(path), after.get(path))
        except (ObjectsMissingError, DamagedError):
            unknown.append(path)
    found = [change for change in snapshot.renames(found) if _is_asked(change.path, parts)]
    return Diff(old, new, tuple(found), tuple(unknown), (*bad.values(), *bad_now.values()))


def _is_asked(path: str, parts: Mapping[str, Sequence[str]]) -> bool:
    """Whether a path lies in what was asked for: everything but what is confined to some ``parts``."""
    return all(snapshot.within(path, names) for top, names in parts.items() if snapshot.within(path, [top]))


def _at(repo: Repo, revision: str) -> Snapshot:
    if revision == "HEAD" and not git.has_commits(repo.git):
        return Snapshot()
    return snapshot.at(repo.git, git.resolve(repo.git, revision), revision)
