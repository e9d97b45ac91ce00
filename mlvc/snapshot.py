"""Snapshots: everything that is tracked, at one revision or in the working tree; and what differs between two."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard, TypeVar

from mlvc import codec, config, files, git, manifest
from mlvc import oid as oids
from mlvc import pointer as pointers
from mlvc.errors import FormatError, UsageError
from mlvc.git import Git
from mlvc.manifest import EXECUTABLE, FILE, Entry
from mlvc.oid import Oid
from mlvc.pointer import SUFFIX, Content, Pointer
from mlvc.store.base import Reader

T = TypeVar("T")
LOCKFILE = "mlvc.lock"
LOCK_VERSION = 1
LOCK_REPAIR = (
    "bring it back with `git checkout -- mlvc.lock`, or delete it: `mlvc repro` takes what it can from the run cache"
)
_MARKERS = ("<<<<<<< ", "=======\n", ">>>>>>> ")
_DOUBTFUL = ("\\u", "NaN", "Infinity")
_MOST = 10**19
"""No size that a Pointer can tell has more digits."""
RECORDS = ("*" + SUFFIX, LOCKFILE)
"""The files that say what is tracked, as patterns of Git."""
_ROOTS = "*/" + config.SHARED


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All Pointers, by the path that they stand for, and the outputs that the Lockfile records.

    ``unreadable``: what is wrong with the Pointers that cannot be read, by the path that each stands for, and with the
    Lockfile. Commands do the rest of their work and then fail. ``outside``: the paths whose Pointers, and the Lockfile
    whose outputs, a sparse checkout of Git keeps out of the working tree. ``homes``: the Remote of each of
    ``outs`` that has one of its own; None for one that goes to none.
    """

    pointers: Mapping[str, Pointer] = field(default_factory=dict)
    outs: Mapping[str, Content] = field(default_factory=dict)
    unreadable: Mapping[str, FormatError] = field(default_factory=dict)
    outside: frozenset[str] = frozenset()
    homes: Mapping[str, str | None] = field(default_factory=dict)

    def contents(self) -> dict[str, Content]:
        """Everything that is tracked, by path."""
        return {**self.outs, **{path: pointer.content for path, pointer in self.pointers.items()}}

    def moved(self, inside: str) -> Snapshot:
        """The same with ``inside`` before each path."""
        return Snapshot(
            {inside + path: pointer for path, pointer in self.pointers.items()},
            {inside + path: content for path, content in self.outs.items()},
            {inside + path: error for path, error in self.unreadable.items()},
            frozenset(inside + path for path in self.outside),
            {inside + path: home for path, home in self.homes.items()},
        )

    def without(self, outside: frozenset[str]) -> Snapshot:
        """The part of it that a sparse checkout, which leaves out ``outside``, has."""
        if not outside:
            return self
        return Snapshot(
            {path: pointer for path, pointer in self.pointers.items() if path not in outside},
            {} if LOCKFILE in outside else self.outs,
            {path: error for path, error in self.unreadable.items() if path not in outside},
            self.outside,
            self.homes,
        )


def on_disk(repository: Git) -> Snapshot:
    """What the working tree's Pointers and Lockfile say."""
    texts: dict[str, bytes | FormatError] = {}
    absent = []
    for path in listed(repository, RECORDS):
        try:
            data = files.read_or_none(os.path.join(repository.root, path))
        except FormatError as error:
            texts[path] = error
            continue
        if data is None:
            absent.append(path)
        else:
            texts[path] = data
    outside = frozenset(map(pointers.tracked_by, git.skipped(repository, absent)))
    return replace(of_texts(texts, cwd=repository.cwd), outside=outside)


def listed(repository: Git, patterns: Sequence[str]) -> list[str]:
    """As ``git.listed``, without what belongs to an mlvc root further down."""
    return own(git.listed(repository, (*patterns, _ROOTS)))


def own(paths: Iterable[str]) -> list[str]:
    """Those of ``paths`` that belong to no root further down; the settings of these are among them."""
    paths = list(paths)
    roots = {config.root_of(path) for path in paths if path.endswith("/" + config.SHARED)}
    return [path for path in paths if not any(parent in roots for parent in parents(path))] if roots else paths


def pointers_of(repository: Git, paths: Iterable[str]) -> dict[str, Pointer]:
    """The Pointers of these paths, as they are in the working tree now; FormatError for one that cannot be read."""
    found = {}
    for path in paths:
        name = pointers.path_of(path)
        data = files.read_or_none(os.path.join(repository.root, name))
        if data is not None:
            found[path] = pointers.decode(data, name)
    return found


def at(repository: Git, revision: str, name: str = "", *, below: str = "") -> Snapshot:
    """What a commit's Pointers and Lockfile say. ``name`` is what the user calls it. ``below``: see of_tree."""
    return of_tree(repository, git.tree(repository, revision), name or revision[:10], below=below)


def of_tree(repository: Git, tree: Mapping[str, str], name: str, *, below: str = "") -> Snapshot:
    """What the Pointers and the Lockfile in the tree of a commit say. ``name`` is what the user calls it.

    ``below``: the directory whose tree it is, where paths are to be told from further up.
    """
    ours = own(path for path in tree if is_record(path) or path.endswith("/" + config.SHARED))
    ids = {path: tree[path] for path in ours}
    data = git.blobs(repository, ids.values())
    inside = f"{below}/" if below else ""
    shot = of_texts({path: data[id_] for path, id_ in ids.items()}, f"{name}:{inside}")
    return shot.moved(inside) if inside else shot


def head(repository: Git) -> Snapshot:
    """What HEAD says; nothing on an unborn branch."""
    return at(repository, "HEAD") if git.has_commits(repository) else Snapshot()


def is_record(path: str) -> bool:
    """Whether the file at ``path`` says what is tracked."""
    return path.endswith(SUFFIX) or path == LOCKFILE


def of_texts(texts: Mapping[str, bytes | FormatError], where: str = "", cwd: str = "") -> Snapshot:
    """What these Pointers and this Lockfile say, given by path. ``where`` comes before their names in errors.

    ``cwd``: where the person stands, relative to the root, for whom the hints name paths.
    """
    found = {}
    outs: dict[str, Content] = {}
    homes: dict[str, str | None] = {}
    unreadable: dict[str, FormatError] = {}
    for path, data in sorted(texts.items()):
        try:
            if isinstance(data, FormatError):
                raise data
            if path == LOCKFILE:
                outs, homes = _locked(data, where + path)
            else:
                found[pointers.tracked_by(path)] = pointers.decode(data, where + path, cwd)
        except FormatError as error:
            hint = "it was committed like that; other commits are not concerned" if where else error.hint
            if path == LOCKFILE and cwd:
                hint = hint.replace(LOCKFILE, os.path.relpath(LOCKFILE, cwd))
            unreadable[pointers.tracked_by(path)] = FormatError(error.message, hint=hint)
    return Snapshot(found, outs, unreadable, homes=homes)


def is_ours(path: str) -> bool:
    """Whether a file of this name, anywhere in a repository, names tracked content."""
    return path.endswith(SUFFIX) or path.rpartition("/")[2] == LOCKFILE


ANYWHERE = (*RECORDS, "*/" + LOCKFILE)
"""What Git calls the files of ``is_ours``."""


def contents_in(data: bytes, name: str) -> dict[str, Content]:
    """What a Pointer or a Lockfile with this text names, by tracked path; FormatError calls it ``name``."""
    if name.rpartition("/")[2] == LOCKFILE:
        return _locked(data, name)[0]
    return {pointers.tracked_by(name): pointers.decode(data, name).content}


# -- the Lockfile ------------------------------------------------------------------------------


def _locked(data: bytes, name: str) -> tuple[dict[str, Content], dict[str, str | None]]:
    """The outputs in a Lockfile whose bytes are in the Store, and their homes. The pipeline reads the whole of it."""
    found = {}
    homes = {}
    for stage, entry in read_lock(data, name)["stages"].items():
        where = f"{name}, stage '{stage}'"
        outs = entry.get("outs") if isinstance(entry, dict) else None
        if not isinstance(outs, dict):
            raise FormatError(f"{where}: 'outs' is missing or of the wrong kind", hint=LOCK_REPAIR)
        for path, out in outs.items():
            content = content_of(out, where)
            if out.get("cache") is not False:
                found[path] = content
                if (home := home_of(out)) != "":
                    homes[path] = home
    for path in found:
        manifest.check_path(path, name)
        if manifest.is_control(path):
            raise FormatError(f"{name} names the output '{path}', which Git or mlvc reads", hint=LOCK_REPAIR)
    return found, homes


def home_of(out: Mapping[str, Any]) -> str | None:
    """The only Remote that an output of the Lockfile goes to; None: it goes to none, '': to any."""
    home = out.get("remote", "")
    return None if out.get("push") is False else home if isinstance(home, str) else ""


def read_lock(data: bytes, name: str) -> dict[str, Any]:
    """The JSON of the Lockfile ``name``, of a version that is known and with ``stages``; FormatError for all else."""
    try:
        text = data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise FormatError(f"{name} is not UTF-8 text", hint=LOCK_REPAIR) from None
    if text.startswith(_MARKERS) or any("\n" + marker in text for marker in _MARKERS):
        raise FormatError(
            f"{name} has conflict markers of a Git merge",
            hint=f"end it with `mlvc resolve {name}` and one of --ours, --theirs, --working, then `mlvc repro`",
        )
    value = _json(text, name)
    if not isinstance(value, dict) or "mlvc_lock" not in value:
        raise FormatError(f"{name} is not a Lockfile: it has no 'mlvc_lock'", hint=LOCK_REPAIR)
    if value["mlvc_lock"] != LOCK_VERSION or isinstance(value["mlvc_lock"], bool):
        raise FormatError(
            f"{name} has Lockfile format {value['mlvc_lock']!r}, this mlvc reads format {LOCK_VERSION}",
            hint="use a newer mlvc",
        )
    if not isinstance(value.get("stages"), dict):
        raise FormatError(f"{name} is cut short: it has no 'stages'", hint=LOCK_REPAIR)
    return value


def _json(text: str, name: str) -> Any:
    try:
        value = codec.load_json(text, name)
        if any(part in text for part in _DOUBTFUL):
            codec.compact_json(value).encode()
    except FormatError as error:
        raise FormatError(error.message, hint=LOCK_REPAIR) from None
    except ValueError:  # half of a surrogate pair, NaN, a number of thousands of digits
        raise FormatError(f"{name} has a character or a number that cannot be written", hint=LOCK_REPAIR) from None
    return value


def content_of(value: object, name: str) -> Content:
    """Content as it stands in the JSON of a Lockfile or a Run; FormatError names the file ``name``."""
    if not isinstance(value, Mapping):
        raise FormatError(f"{name}: not a description of content: {value!r}", hint=LOCK_REPAIR)
    kind, size, count = value.get("kind"), value.get("size"), value.get("files", 1)
    if (
        kind not in pointers.KINDS
        or not _is_count(size)
        or not _is_count(count)
        or ("files" in value) != (kind == "dir")
    ):
        raise FormatError(f"{name}: not a description of content: {dict(value)!r}", hint=LOCK_REPAIR)
    return Content(str(kind), oid_of(value.get("oid"), name), size, count)


def oid_of(value: object, name: str) -> Oid:
    """The Oid of its text in the file ``name``; FormatError for anything else."""
    try:
        return oids.from_text(str(value))
    except FormatError as error:
        raise FormatError(f"{name}: {error.message}", hint=error.hint or LOCK_REPAIR) from None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST


# -- selecting ---------------------------------------------------------------------------------


def choose(shot: Snapshot, targets: Sequence[str]) -> tuple[dict[str, Content], dict[str, FormatError], list[str]]:
    """As ``select``: contents, what of it cannot be read, and the targets that name nothing.

    UsageError where a target names what a sparse checkout of Git leaves out.
    """
    chosen, unknown = select(shot.contents(), targets)
    if unknown and shot.outside:
        _check_outside(shot, unknown)
    unreadable, _ = select(shot.unreadable, targets)
    if unknown and LOCKFILE in shot.unreadable:
        unreadable[LOCKFILE] = shot.unreadable[LOCKFILE]  # which may be what names them
        return chosen, unreadable, []
    _, unknown = select({**dict.fromkeys(shot.unreadable), **chosen}, unknown) if unknown else ({}, [])
    return chosen, unreadable, unknown


def _check_outside(shot: Snapshot, targets: Sequence[str]) -> None:
    left, _ = select(dict.fromkeys(shot.outside), targets)
    for path in left:
        raise outside(path)


def outside(path: str) -> UsageError:
    """That the Pointer of ``path`` is not in the working tree, as Git was told."""
    name = pointers.path_of(path)
    return UsageError(
        f"{path} is left out by the sparse checkout of Git: {name} is not in the working tree",
        hint="bring its directory with `git sparse-checkout add`, or everything with `git sparse-checkout disable`",
    )


def problem(unreadable: Iterable[FormatError]) -> FormatError | None:
    """What cannot be read, as the one error that ends a command."""
    errors = list(unreadable)
    if len(errors) < 2:
        return errors[0] if errors else None
    return FormatError(f"{errors[0].message} (and {len(errors) - 1} more)", hint=errors[0].hint)


def select(snapshot: Mapping[str, T], targets: Sequence[str]) -> tuple[dict[str, T], list[str]]:
    """The part of a Snapshot that ``targets`` name, and the targets that name nothing in it.

    A target is a tracked path, its Pointer, a directory around tracked paths, or a path inside one, which chooses the
    whole of it here: ``inside`` tells which parts were meant.
    """
    if not targets:
        return dict(snapshot), []
    chosen: dict[str, T] = {}
    unknown = []
    for target in targets:
        name = target.removesuffix(SUFFIX)
        hits = {
            path: content
            for path, content in snapshot.items()
            if path in (name, target) or not target or path.startswith(target + "/") or target.startswith(path + "/")
        }
        if not hits:
            unknown.append(target)
        chosen.update(hits)
    return chosen, unknown


def inside(chosen: Iterable[str], targets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Of the tracked paths that ``targets`` select, those of which they name parts only, with these parts."""
    found = {}
    for path in chosen:
        parts = tuple(target for target in targets if target.startswith(path + "/"))
        names = {path, pointers.path_of(path)}
        if parts and not any(not t or t in names or path.startswith(t + "/") for t in targets):
            found[path] = parts
    return found


def typed(path: str, cwd: str) -> str:
    """A path of the root as a person types it into a shell who stands in ``cwd``, relative to the root."""
    return shlex.quote(os.path.relpath(path, cwd or "."))


def not_part(root: str, part: str, path: str, cwd: str) -> UsageError:
    """The error for a ``part`` that the tracked ``path`` does not have; the hint says whether something is there."""
    there = files.exists(f"{root}/{part}")
    hint = (
        f"`mlvc add {typed(part, cwd)}` takes it in"
        if there
        else f"nothing is there; check the spelling, or name all of {path}"
    )
    return UsageError(f"{part} is not tracked: it is not part of {path}", hint=hint)


def parents(path: str) -> Iterator[str]:
    """The directories that ``path`` lies in, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def within(path: str, tops: Collection[str]) -> bool:
    """Whether ``path`` is one of ``tops``, or below one. Many ``tops`` are to be a set, or the keys of a mapping."""
    return path in tops or any(parent in tops for parent in parents(path))


def recorded(repository: Git, contents: Mapping[str, Content]) -> set[str]:
    """Those paths whose content any commit that Git knows tracks there."""
    if not contents:
        return set()
    ids = git.versions(repository, [*map(pointers.path_of, contents), LOCKFILE])
    blobs = git.blobs(repository, [id_ for ids_ in ids.values() for id_ in ids_])
    found: set[str] = set()
    for name, ids_ in ids.items():
        for id_ in ids_:
            shown = of_texts({name: blobs[id_]}).contents()
            found.update(path for path, content in shown.items() if contents.get(path) == content)
    return found


# -- differences -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs. ``old`` is None where it was added, ``new`` where it was deleted.

    ``source`` is where it was before, if it was renamed.
    """

    path: str
    old: Entry | None
    new: Entry | None
    source: str = ""

    @property
    def kind(self) -> str:
        """``added``, ``modified``, ``deleted`` or ``renamed``."""
        if self.source:
            return "renamed"
        if self.old is None:
            return "added"
        return "deleted" if self.new is None else "modified"


def compare(olds: Iterable[Entry], news: Iterable[Entry], prefix: str = "") -> list[Change]:
    """What differs between two lists of entries, by path. Renames are found by equal content."""
    old = {entry.path: entry for entry in olds}
    new = {entry.path: entry for entry in news}
    if not old:
        return [Change(prefix + path, None, new[path]) for path in sorted(new)]
    changed = [
        Change(prefix + path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]
    return renames(changed)


def renames(changes: list[Change]) -> list[Change]:
    """Pair what was deleted with what was added under another name, where the content tells them apart."""
    gone: dict[bytes, list[Change]] = {}
    for change in changes:
        if change.old is not None and change.new is None and change.old.size:
            gone.setdefault(change.old.oid, []).append(change)
    found: list[Change] = []
    used: set[str] = set()
    for change in changes:
        sources = gone.get(change.new.oid, []) if change.old is None and change.new is not None else []
        if sources:
            source = sources.pop(0)
            used.add(source.path)
            found.append(Change(change.path, source.old, change.new, source.path))
        else:
            found.append(change)
    return [change for change in found if change.source or change.new is not None or change.path not in used]


def as_entry(content: Content, path: str = "") -> Entry:
    """Tracked content as one entry, for a file or for a directory taken whole."""
    kind = EXECUTABLE if content.kind == "executable" else FILE if content.kind == "file" else "dir"
    return Entry(path, kind, content.size, content.oid)


def changes(store: Reader, path: str, old: Content | None, new: Content | None) -> list[Change]:
    """What differs at one tracked path, file by file. ObjectsMissingError where a manifest is not here."""
    if old == new:
        return []
    olds = entries(store, old) if new is None or not new.is_dir else None
    news = entries(store, new) if old is None or not old.is_dir else None
    if olds is None and news is None and old is not None and new is not None:
        return compare(*manifest.differing(store, old.oid, new.oid), prefix=path + "/")
    olds = entries(store, old) if olds is None else olds
    news = entries(store, new) if news is None else news
    return compare([_below(path, entry) for entry in olds], [_below(path, entry) for entry in news])


def entries(store: Reader, content: Content | None) -> list[Entry]:
    """The files of tracked content, relative to it; a file is one entry with an empty path."""
    if content is None:
        return []
    return manifest.entries_of(store, content.oid) if content.is_dir else [as_entry(content)]


def _below(path: str, entry: Entry) -> Entry:
    return entry._replace(path=f"{path}/{entry.path}" if entry.path else path)


def diff(store: Reader, old: Mapping[str, Content], new: Mapping[str, Content]) -> list[Change]:
    """What differs between two Snapshots, file by file, renames across tracked paths included."""
    found: list[Change] = []
    for path in sorted(old.keys() | new.keys()):
        found += changes(store, path, old.get(path), new.get(path))
    return renames(found)
