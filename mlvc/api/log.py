"""``log``: the commits that changed a tracked path, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mlvc import git, manifest, snapshot
from mlvc import pointer as pointers
from mlvc.api.elsewhere import reading
from mlvc.errors import DamagedError, FormatError, MlvcError, ObjectsMissingError, UsageError
from mlvc.git import Commit
from mlvc.manifest import Entry
from mlvc.pointer import SUFFIX, Content
from mlvc.repo import Repo
from mlvc.snapshot import LOCKFILE, RECORDS, Snapshot, compare, within
from mlvc.store.base import Lost, MemoryStore, reason_of
from mlvc.store.chain import Chain

_AT_ONCE = 256
"""Steps whose Manifests are in memory at once."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there was: bytes, and number of files."""

    size: int
    files: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one commit did to one path. ``source``: its name before, if it was renamed.

    ``files``: how many files of a directory were added, modified, deleted and renamed; None where it is no directory
    before and after, or where its Manifests could not be had.
    """

    path: str
    old: Size | None
    new: Size | None
    source: str = ""
    files: Mapping[str, int] | None = None

    @property
    def kind(self) -> str:
        """``added``, ``modified``, ``deleted`` or ``renamed``."""
        if self.source:
            return "renamed"
        return "added" if self.old is None else "deleted" if self.new is None else "modified"


@dataclass(frozen=True, slots=True)
class Logged:
    """A commit with what it did."""

    commit: Commit
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """The commits, newest first. ``lost``: ``path at commit`` of what could not be compared, with the reason."""

    commits: tuple[Logged, ...]
    lost: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[FormatError, ...] = ()


def problem(found: Log) -> MlvcError | None:
    """The error for what could not be told; None where all was."""
    for path, reason in found.lost.items():
        more = f", and {len(found.lost) - 1} more" if len(found.lost) > 1 else ""
        kind = DamagedError if reason == "damaged" else ObjectsMissingError
        return kind(
            f"{path} could not be compared: its object is {reason}{more}",
            hint="neither the store nor a remote has it; a clone that does sends it with `mlvc push --all-commits`",
        )
    return snapshot.problem(found.unreadable)


@dataclass(frozen=True, slots=True)
class _Pair:
    """What a commit had at one tracked path before and after. ``part``: what of it is asked for; '': all of it."""

    commit: Commit
    top: str
    old: Content | None
    new: Content | None
    source: str = ""
    part: str = ""

    @property
    def path(self) -> str:
        return f"{self.top}/{self.part}" if self.part else self.top

    @property
    def is_read(self) -> bool:
        """Whether it takes the Manifests to tell what happened."""
        both = self.old is not None and self.new is not None and self.old.is_dir and self.new.is_dir
        return bool(self.part) or (both and self.old != self.new)


def log(repo: Repo, path: str, *, remote: str = "") -> Log:
    """The commits that HEAD leads to and that changed ``path``, which is, lies in, or lies around tracked paths.

    A rename is followed where the content stayed the same. UsageError where no commit tracks the path.
    """
    name = repo.path(path)
    unreadable: dict[str, FormatError] = {}
    pairs = _pairs(repo, name, unreadable)
    lost: dict[str, str] = {}
    found: dict[str, list[Step]] = {}
    commits = {pair.commit.id: pair.commit for pair in pairs}
    with reading(repo, remote) as reader:
        for at in range(0, len(pairs), _AT_ONCE):
            some = pairs[at : at + _AT_ONCE]
            kept = _gathered(reader, [pair for pair in some if pair.is_read])
            for pair in some:
                step = _step(kept, pair, lost)
                if step is not None:
                    found.setdefault(pair.commit.id, []).append(step)
    if not (found or lost or unreadable):
        raise UsageError(f"no commit tracks {path}", hint="`mlvc ls` lists what is tracked")
    logged = [Logged(commits[id_], tuple(steps)) for id_, steps in found.items()]
    return Log(tuple(logged), lost, tuple(unreadable.values()))


# -- from Git: what was tracked before and after each commit -----------------------------------


def _pairs(repo: Repo, name: str, unreadable: dict[str, FormatError]) -> list[_Pair]:
    commits = git.history(repo.git, RECORDS)
    locks = [id_ for commit in commits for id_ in commit.changes.get(LOCKFILE, ()) if id_]
    blobs = git.blobs(repo.git, locks)
    wanted: list[tuple[Commit, list[str], dict[str, str], tuple[str, ...]]] = []
    names = list(dict.fromkeys((name, name.removesuffix(SUFFIX))))
    for commit in commits:
        renamed = _renamed(commit, blobs, names)
        paths = [path for path in commit.changes if _concerns(pointers.tracked_by(path), names) or path == LOCKFILE]
        wanted.append((commit, paths, renamed, tuple(names)))
        names += [moved for new, old in renamed.items() for moved in _moved(new, old, names) if moved not in names]
    ids = [id_ for commit, paths, _, _ in wanted for path in paths for id_ in commit.changes[path] if id_]
    blobs |= git.blobs(repo.git, [id_ for id_ in ids if id_ not in blobs])
    found: list[_Pair] = []
    for commit, paths, renamed, known in wanted:
        old, new = (_snapshot(commit, paths, blobs, side, unreadable).contents() for side in (0, 1))
        found += _of_commit(commit, old, new, renamed, known)
    return found


def _snapshot(
    commit: Commit, paths: Sequence[str], blobs: Mapping[str, bytes], side: int, unreadable: dict[str, FormatError]
) -> Snapshot:
    """What the files that a commit changed say before it (0) and after it (1)."""
    texts = {path: blobs[commit.changes[path][side]] for path in paths if commit.changes[path][side]}
    found = snapshot.of_texts(texts, f"{commit.id[:10]}{'' if side else '~1'}:")
    if side:  # what is wrong before it was told by an earlier commit
        unreadable.update((error.message, error) for error in found.unreadable.values())
    return found


def _of_commit(
    commit: Commit, old: dict[str, Content], new: dict[str, Content], renamed: dict[str, str], names: Sequence[str]
) -> Iterator[_Pair]:
    sources = set(renamed.values())
    for top in sorted(old.keys() | new.keys()):
        if old.get(top) == new.get(top) or not _concerns(top, names) or (top in sources and top not in new):
            continue
        source = renamed.get(top, "")
        parts = [name[len(top) + 1 :] for name in names if name.startswith(top + "/")]
        for part in parts if parts and not any(within(top, [name]) for name in names) else [""]:
            yield _Pair(commit, top, old.get(source or top, new[top] if source else None), new.get(top), source, part)


def _renamed(commit: Commit, blobs: Mapping[str, bytes], names: Sequence[str]) -> dict[str, str]:
    """The old names of what concerns ``names`` and got its name in this commit, with the same content."""
    gone = {old: pointers.tracked_by(path) for path, (old, new) in commit.changes.items() if not new}
    come = {pointers.tracked_by(path): new for path, (old, new) in commit.changes.items() if not old}
    found = {path: gone[id_] for path, id_ in come.items() if id_ in gone and _concerns(path, names)}
    if LOCKFILE in commit.changes:
        old, new = (snapshot.of_texts({LOCKFILE: blobs[id_]} if id_ else {}).outs for id_ in commit.changes[LOCKFILE])
        left = {content: path for path, content in old.items() if path not in new}
        fresh = {path: content for path, content in new.items() if path not in old and _concerns(path, names)}
        found.update((path, left[content]) for path, content in fresh.items() if content in left)
    return found


def _concerns(top: str, names: Sequence[str]) -> bool:
    """Whether a tracked path is, lies in, or lies around one of ``names``."""
    return any(not name or within(top, [name]) or within(name, [top]) for name in names)


def _moved(new: str, old: str, names: Sequence[str]) -> list[str]:
    """What ``names`` were called before ``old`` became ``new``."""
    found = [old + name[len(new) :] for name in names if within(name, [new])]
    return found or [old]


# -- from the Manifests: what happened in a directory ------------------------------------------


def _gathered(reader: Chain, pairs: Sequence[_Pair]) -> MemoryStore:
    """The Manifests of many directories, as much of them as is needed, in two reads. What is lost is not in it."""
    store = MemoryStore(reader.hashing)
    lost: Lost = {}
    contents = {content.oid for pair in pairs for content in (pair.old, pair.new) if content and content.is_dir}
    store.objects.update((oid, bytes(data)) for oid, data in reader.read(contents, lost))
    wanted: set[bytes] = set()
    for pair in pairs:
        leaves = [
            {leaf.oid for leaf in manifest.around(manifest.root_of(store, content.oid).leaves, pair.part)}
            for content in (pair.old, pair.new)
            if content is not None and content.oid in store.objects and content.is_dir
        ]
        common = set.intersection(*leaves) if len(leaves) == 2 else set()
        # For the sizes of a part before and after, all of it is read; else only what differs.
        wanted.update(*leaves) if pair.part else wanted.update(*(some - common for some in leaves))
    store.objects.update((oid, bytes(data)) for oid, data in reader.read(wanted, lost))
    return store


def _step(store: MemoryStore, pair: _Pair, lost: dict[str, str]) -> Step | None:
    """What happened; None where it does not concern the part that is asked for."""
    old, new = (None if content is None else Size(content.size, content.files) for content in (pair.old, pair.new))
    step = Step(pair.path, old, new, pair.source)
    if not pair.is_read:
        return step
    try:
        if not pair.part and pair.old is not None and pair.new is not None:
            return replace(step, files=_counts(*manifest.differing(store, pair.old.oid, pair.new.oid)))
        return _part(store, pair, step)
    except (ObjectsMissingError, DamagedError) as error:
        lost[f"{pair.top} at {pair.commit.id[:10]}"] = reason_of(error)
        return step if not pair.part else None


def _part(store: MemoryStore, pair: _Pair, step: Step) -> Step | None:
    olds, news = (
        manifest.find(store, content.oid, pair.part) if content is not None and content.is_dir else []
        for content in (pair.old, pair.new)
    )
    if olds == news and not pair.source:
        return None
    is_dir = any(entry.path != pair.part for entry in (*olds, *news))
    source = f"{pair.source}/{pair.part}" if pair.source and olds else ""
    return Step(step.path, _size(olds), _size(news), source, _counts(olds, news) if is_dir and olds and news else None)


def _size(entries: Sequence[Entry]) -> Size | None:
    return Size(sum(entry.size for entry in entries), len(entries)) if entries else None


def _counts(old: Sequence[Entry], new: Sequence[Entry]) -> dict[str, int]:
    found = dict.fromkeys(("added", "modified", "deleted", "renamed"), 0)
    for change in compare(old, new):
        found[change.kind] += 1
    return found
