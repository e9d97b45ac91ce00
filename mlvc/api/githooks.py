"""What Git's hooks do, and what `git diff` shows of a Pointer."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlvc import codec, git, snapshot
from mlvc import oid as oids
from mlvc import pointer as pointers
from mlvc.api.checkout import CheckedOut, checkout
from mlvc.config import SHARED
from mlvc.config import root_of as root_of_settings
from mlvc.errors import DamagedError, FormatError, MlvcError, ObjectsMissingError, UsageError
from mlvc.git import Git, hooked
from mlvc.git.hooked import Versions
from mlvc.manifest import Entry, Leaf, entries_of, objects_of, root_of
from mlvc.pointer import SUFFIX, Content, Pointer
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo, open_root
from mlvc.roots import by_root
from mlvc.store.base import Lost
from mlvc.text import size

# -- after a checkout or a merge ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Brought:
    """What came along with Git. ``trouble`` is what kept it from being fetched."""

    done: CheckedOut
    trouble: MlvcError | None = None


def bring(repo: Repo, before: str, *, progress: Progress = QUIET) -> Brought | None:
    """Bring the data of all that differs between the revision ``before`` ('': none) and the Pointers that are here.

    All other data stay as they are. None where nothing differs; WouldOverwriteError as from ``checkout``.
    """
    old = snapshot.at(repo.git, before).contents() if before else {}
    shot = snapshot.on_disk(repo.git)
    now = shot.contents()
    changed = {path for path in {**old, **now} if old.get(path) != now.get(path) and path not in shot.unreadable}
    if not changed:
        return None
    trouble = None
    if repo.config.get("hooks.fetch"):
        trouble = _fetch(repo, {path: now[path] for path in changed if path in now}, progress)
    return Brought(checkout(repo, only=changed, progress=progress), trouble)


def _fetch(repo: Repo, contents: Mapping[str, Content], progress: Progress) -> MlvcError | None:
    """Get what is not here. What went wrong is for the person to know; what is here is checked out all the same."""
    from mlvc.api.transfer import Which, fetch  # noqa: PLC0415  (only where it is asked for)

    lost: Lost = {}
    wanted = objects_of(repo.store, contents.values(), lost)
    if not lost and not repo.store.missing(wanted):
        return None
    try:
        fetch(repo, Which(tuple(f"{repo.root}/{path}" for path in contents)), progress=progress)
    except MlvcError as error:
        return error
    return None


# -- before a commit ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not to be committed, and what to do."""

    message: str
    hint: str


def refusals(repo: Repo, staged: Mapping[str, str]) -> list[Refusal]:
    """What is wrong with what the next commit adds: Pointers without their bytes, and large files.

    ``staged``: the object ids in Git of the files of this root that it adds or changes, by path.
    """
    names = {path: id_ for path, id_ in staged.items() if path.endswith(SUFFIX)}
    found = _without_bytes(repo, names) if names else []
    limit = repo.config.get("hooks.largest")
    others = {path: id_ for path, id_ in staged.items() if path not in names}
    if limit and others:
        sizes = hooked.sizes(repo.git, others.values())
        large = {path: sizes.get(id_, 0) for path, id_ in others.items() if sizes.get(id_, 0) > limit}
        found += [_too_large(repo, path, size, limit) for path, size in large.items()]
    return found


def _too_large(repo: Repo, path: str, size: int, limit: int) -> Refusal:
    name = repo.typed(path)
    return Refusal(
        f"{path} has {size:,} bytes, and hooks.largest allows {limit:,}",
        f"track it: `git rm --cached {name}`, then `mlvc add {name}`",
    )


def _without_bytes(repo: Repo, names: Mapping[str, str]) -> list[Refusal]:
    blobs = git.blobs(repo.git, names.values())
    found = []
    contents: dict[str, Content] = {}
    for name, id_ in names.items():
        try:
            contents[pointers.tracked_by(name)] = pointers.decode(blobs[id_], name, repo.cwd).content
        except FormatError as error:
            # Git's index has the wrong one, and that is where `git checkout --` takes it from.
            found.append(Refusal(error.message, error.hint.replace("git checkout -- ", "git checkout HEAD -- ")))
    if not _absent(repo, contents.values()):
        return found
    absent = {path: count for path, content in contents.items() if (count := _absent(repo, [content]))}
    if absent:
        # What a commit tracks already was stored once, and is on a Remote or in another clone.
        known = snapshot.recorded(repo.git, {path: contents[path] for path in absent})
        before = [snapshot.at(repo.git, commit).contents().values() for commit in hooked.parents(repo.git)]
        past = frozenset(objects_of(repo.store, [content for shot in before for content in shot], {}))
        absent = {path: _absent(repo, [contents[path]], past) for path in absent if path not in known}
    for path, count in absent.items():
        if count:
            name = repo.typed(path)
            hint = f"track the data again with `mlvc add {name}`, or get it with `mlvc fetch {name}`"
            what = "1 object" if count == 1 else f"{count:,} objects"
            found.append(Refusal(f"{pointers.path_of(path)} names {what} that the store does not have", hint))
    return found


def _absent(repo: Repo, contents: Iterable[Content], past: Collection[bytes] = ()) -> int:
    """How many objects of ``contents`` the Store lacks, but for those of the ``past``."""
    lost: Lost = {}
    wanted = objects_of(repo.store, contents, lost)
    return len((repo.store.missing(wanted) | lost.keys()).difference(past))


# -- before a push -----------------------------------------------------------------------------


def push_versions(repo: Repo, new: Versions, *, progress: Progress = QUIET) -> Mapping[str, str]:
    """Push the objects of these Pointers and Lockfiles, given by path and object id. What was lost, with reasons.

    FormatError, after all else was pushed, where one of them cannot be read.
    """
    blobs = git.blobs(repo.git, [id_ for _, id_ in new])
    contents: dict[tuple[str, Content], tuple[str, ...]] = {}
    homes: dict[tuple[str, Content], str | None] = {}
    unreadable: list[FormatError] = []
    for name, id_ in sorted(new):
        shot = snapshot.of_texts({name: blobs[id_]}, f"{id_[:10]}:")
        contents.update((item, ()) for item in shot.contents().items())
        homes.update((item, shot.homes[item[0]]) for item in shot.outs.items() if item[0] in shot.homes)
        unreadable += shot.unreadable.values()
    if contents and not repo.config.remotes:
        progress.note("no remote is configured, the data stay here: `mlvc remote add -d NAME URL`")
        return {}
    lost = _push(repo, contents, homes, progress) if contents else {}
    problem = None if lost else snapshot.problem(unreadable)
    if problem is not None:
        raise problem
    return lost


def unknown_roots(
    top: Git, tips: Sequence[str], names: Iterable[str], environment: Mapping[str, str]
) -> MlvcError | None:
    """The error for Pointers among ``names`` of a root that a pushed commit has and the working tree has not.

    Its settings, and so its Remote, are not known here.
    """
    known = {name for given in by_root(top, names).values() for name in given.values()}
    around = {parent: None for name in names if name not in known for parent in (*snapshot.parents(name), "")}
    shared = hooked.having(top, tips, [posixpath.join(prefix, SHARED) for prefix in around])
    for prefix in sorted(map(root_of_settings, shared)):
        if open_root(top.below(prefix), environment).config.get("hooks.push"):
            return UsageError(
                f"what is pushed tracks data in {prefix or 'this repository'}, and this working tree has no mlvc there",
                hint="check out what is pushed, and push from there",
            )
    return None


def _push(
    repo: Repo,
    contents: Mapping[tuple[str, Content], tuple[str, ...]],
    homes: Mapping[tuple[str, Content], str | None],
    progress: Progress,
) -> Mapping[str, str]:
    from mlvc.api.transfer import Asked, push_all  # noqa: PLC0415  (only where there is something to push)

    done = push_all(repo, Asked(contents, homes), progress=progress)
    if done.objects:
        what = "1 object" if done.objects == 1 else f"{done.objects:,} objects"
        progress.note(f"pushed {what} ({size(done.size)}) to '{done.remote}'")
    return done.lost


# -- git diff ----------------------------------------------------------------------------------

MOST = 5000
"""Entries of a directory that are listed one by one."""


def described(repo: Repo, pointer: Pointer) -> str | None:
    """A Pointer as text whose lines can be compared: for a directory, what is in it. None where another root made it.

    A line for each entry; where there are too many, a line for each leaf of the Manifest, about 1,000 entries.
    """
    content = pointer.content
    if len(content.oid) != repo.hashing.size:
        return None
    lines = [f"{content.kind}, {content.size:,} bytes, {oids.to_text(content.oid)}"]
    if content.is_dir:
        files = f"{content.files:,} file{'s' if content.files != 1 else ''}"
        lines[0] = f"dir, {files}, {content.size:,} bytes, {oids.to_text(content.oid)}"
        try:
            if content.files > MOST:
                lines += map(_leaf_line, root_of(repo.store, content.oid).leaves)
            else:
                lines += map(_line, entries_of(repo.store, content.oid))
        except (ObjectsMissingError, DamagedError):
            lines.append("(which files it has is not known here: `mlvc fetch` gets its manifest)")
    lines += [f"{key}: {value}" for key, value in pointer.extra]
    return "".join(f"{line}\n" for line in lines)


_MARKS = {"x": "*", "l": "@", "d": "/"}


def _line(entry: Entry) -> str:
    return f"{entry.size:>15,}  {oids.short(entry.oid)}  {_shown(entry.path)}{_MARKS.get(entry.kind, '')}"


def _leaf_line(leaf: Leaf) -> str:
    return f"{leaf.size:>15,}  {oids.short(leaf.oid)}  {leaf.files:,} files from {_shown(leaf.first)}"


def _shown(path: str) -> str:
    """A path on one line, whatever characters it has."""
    return path if path.isprintable() else codec.compact_json(path)
