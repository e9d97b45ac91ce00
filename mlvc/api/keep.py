"""What a repository needs: everything that its commits, its working trees and its Runs name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from mlvc import files, git, manifest, snapshot
from mlvc import oid as oids
from mlvc.errors import DamagedError, FormatError, MlvcError, UsageError
from mlvc.git import Git, whole
from mlvc.hashing import Hashing
from mlvc.oid import Oid
from mlvc.pipeline import lockfile, tables
from mlvc.pipeline.run import VERSION, RunCache
from mlvc.pointer import SUFFIX, Content
from mlvc.repo import Repo
from mlvc.store.base import Lost, Reader

_OID = re.compile(rb"(?:xxh128:[0-9a-f]{32}|blake3:[0-9a-f]{64})(?![0-9a-f])")
_POINTER = re.compile(rb"mlvc: \d+\r?\n")
_RUN_VERSION = re.compile(rb'"mlvc_run": ?(\d+)')


class Place(NamedTuple):
    """What names something: a file in the working tree ``root``, or as Git has it in ``blob``; and the tracked path.

    Both: what is in the index of that working tree.
    """

    path: str
    blob: str = ""
    root: str = ""
    tracked: str = ""


@dataclass(slots=True)
class Kept:
    """What is needed. ``contents``: each with one place that names it.

    ``keys``: of the Runs that a Lockfile names. ``unreadable``: what is wrong with what cannot be read, by place, and
    ``bare`` the Oids that stand in it.
    """

    contents: dict[Content, Place] = field(default_factory=dict)
    keys: set[Oid] = field(default_factory=set)
    unreadable: dict[Place, FormatError] = field(default_factory=dict)
    bare: set[bytes] = field(default_factory=set)

    def read(self, data: bytes, place: Place) -> None:
        """Take in the text of a Pointer or of a Lockfile. An empty one, as ``git add -N`` makes, names nothing."""
        if not data:
            return
        try:
            for path, content in snapshot.contents_in(data, place.path).items():
                self.contents.setdefault(content, place._replace(tracked=path))
            if place.path.endswith(lockfile.FILE):
                self.keys.update(entry.key for entry in lockfile.decode(data, place.path).stages.values())
        except FormatError as error:
            self.unreadable[place] = error
            self.bare.update(oids.from_text(text.decode()) for text in _OID.findall(data))


def everything(repo: Repo, *, runs: bool = True, sharing: bool = True) -> Kept:
    """All that this repository needs, and with ``sharing`` those that share its Store.

    With ``runs``, the results of all Runs count, else of those that a Lockfile names.

    A ref, the stash or a working tree may hand over to another one while they are read. So they are read until refs
    and Pointers are afterwards where they were before.
    """
    kept = Kept()
    repositories = _sharing(repo) if sharing else [_whole(repo)]
    for each in repositories:
        before = None
        while before != (now := _state(each)):
            before = now
            _commits(each, kept)
            for tree in whole.worktrees(each):
                _working_tree(tree, kept)
    for cache in (cache for each in repositories for cache in _run_caches(each, repo.hashing)):
        for run in _runs(cache, kept, runs=runs):
            kept.contents.update(dict.fromkeys(run, Place("the run cache")))
    if runs:
        tables = [found for each in repositories for found in _tables(each, repo)]
        kept.contents.update(dict.fromkeys(tables, Place("the records of items")))
    return _of_one_store(kept, repo.hashing)


def _state(repository: Git) -> tuple[bytes, list[tuple[str, int, int]]]:
    """What changes when a Pointer gets to another place: refs and such, and where Pointers stand on disk."""
    trees = whole.worktrees(repository)
    paths = (os.path.join(tree.root, path) for tree in trees for path in chain(*_on_disk(tree)))
    return whole.state(repository), [(path, *_stamp(path)) for path in paths]


def _stamp(path: str) -> tuple[int, int]:
    try:
        info = os.lstat(path)
    except OSError:
        return 0, 0
    return info.st_ino, info.st_mtime_ns


def _of_one_store(kept: Kept, hashing: Hashing) -> Kept:
    """Without what another hash algorithm names: a root that has another one has its objects in another Store."""
    kept.contents = {content: place for content, place in kept.contents.items() if len(content.oid) == hashing.size}
    return kept


def _run_caches(repository: Git, hashing: Hashing) -> Iterator[RunCache]:
    """The run cache of every root of a repository: each has its own."""
    private = os.path.join(repository.common, "mlvc")
    yield RunCache(os.path.join(private, "runs"), hashing)
    for folder, folders, _ in files.walk(os.path.join(private, "roots")):
        if os.path.basename(folder) == ".mlvc":
            folders.clear()
            yield RunCache(os.path.join(folder, "runs"), hashing)


def run_caches(repo: Repo) -> Iterator[RunCache]:
    """The run cache of every root of this repository that has the hash algorithm of this one."""
    yield from _run_caches(_whole(repo), repo.hashing)


def _tables(repository: Git, repo: Repo) -> Iterator[Content]:
    """What the items of Stages made, as the records of all definitions say, as far as it is here."""
    for cache in _run_caches(repository, repo.hashing):
        found = tables.Tables(os.path.join(os.path.dirname(cache.directory), tables.FOLDER), repo.hashing)
        for path in found.paths():
            record = tables.decode(files.read_or_none(path) or b"")
            if record is not None and not repo.store.missing([record[1].oid]):
                yield record[1]


def _whole(repo: Repo) -> Git:
    """The whole working tree: all roots in it share the Store."""
    return git.exactly(repo.git.below(""))


def _commits(repository: Git, kept: Kept) -> None:
    found = {id_: path for id_, path in whole.ever(repository, snapshot.ANYWHERE).items() if snapshot.is_ours(path)}
    for id_, data in git.blobs(repository, found).items():
        kept.read(data, Place(found[id_], id_))
    named = whole.named_files(repository)
    for id_, data in git.blobs(repository, named).items():
        # Nothing tells its path. Most such files are something else.
        kind = SUFFIX if _POINTER.match(data) else "/" + lockfile.FILE if b'"mlvc_lock"' in data else ""
        if kind:
            kept.read(data, Place(named[id_] + kind, id_))


def _on_disk(tree: Git) -> tuple[list[str], list[str]]:
    """The Pointers and Lockfiles that stand in a working tree, and those that Git ignores."""
    if tree.is_bare:
        return [], []
    known, ignored = whole.in_working_tree(tree, snapshot.ANYWHERE)
    return list(filter(snapshot.is_ours, known)), list(filter(snapshot.is_ours, ignored))


def _working_tree(tree: Git, kept: Kept) -> None:
    if tree.is_bare:
        return
    known, ignored = _on_disk(tree)
    for path in known:
        kept.read(files.read_or_none(os.path.join(tree.root, path)) or b"", Place(path, root=tree.root))
    for path in ignored:
        # What has such a name in there may be anything, and only what names objects is of concern.
        with suppress(FormatError):
            data = files.read_or_none(os.path.join(tree.root, path)) or b""
            kept.read(data if _OID.search(data) else b"", Place(path, root=tree.root))
    staged = {id_: path for id_, path in whole.in_index(tree, snapshot.ANYWHERE).items() if snapshot.is_ours(path)}
    for id_, data in git.blobs(tree, staged).items():
        kept.read(data, Place(staged[id_], id_, tree.root))


def tracked(repo: Repo, *, all_commits: bool = False) -> Kept:
    """What this working tree, its index, and HEAD or any commit track."""
    kept = Kept()
    whole = _whole(repo)
    _working_tree(whole, kept)
    if all_commits:
        _commits(whole, kept)
    elif git.has_commits(whole):
        found = {id_: path for path, id_ in git.tree(whole, "HEAD").items() if snapshot.is_ours(path)}
        for id_, data in git.blobs(whole, found).items():
            kept.read(data, Place(found[id_], id_))
    return _of_one_store(kept, repo.hashing)


def _runs(cache: RunCache, kept: Kept, *, runs: bool) -> Iterator[list[Content]]:
    """The stored results of Runs: of all of them, or of those that a Lockfile names."""
    for key in cache.keys():  # noqa: SIM118  (no mapping)
        run = cache.lookup(key)
        if run is not None and (runs or key in kept.keys):
            yield list(run.contents)
        elif run is None:
            # One that is damaged counts for nothing. One of a newer mlvc may name anything.
            path = cache.path_of(key)
            version = newer_version(path)
            if version:
                kept.unreadable[Place(path)] = FormatError(f"{path} has Run format {version}", hint="use a newer mlvc")


def newer_version(path: str) -> int:
    """The version of the record of a Run that this mlvc does not read; 0 for what is not of another version."""
    version = _RUN_VERSION.search(files.read_or_none(path) or b"")
    return int(version[1]) if version is not None and int(version[1]) != VERSION else 0


def unnamed_runs(repo: Repo, kept: Kept) -> list[str]:
    """The paths of those Runs of this repository that no Lockfile names, and of all records of items."""
    cache = RunCache(os.path.join(repo.private, "runs"), repo.hashing)
    found = [cache.path_of(key) for key in cache.keys() if key not in kept.keys]  # noqa: SIM118
    return [*found, *tables.Tables(os.path.join(repo.private, tables.FOLDER), repo.hashing).paths()]


# -- a Store that several repositories share ---------------------------------------------------


def _sharing(repo: Repo) -> list[Git]:
    """The repositories that use the Store of this one, this one first. UsageError where one of them is not there."""
    found = {repo.git.common: _whole(repo)}
    for common in repo.sharing():
        if common not in found:
            other = whole.repository_at(common)
            if other is None:
                raise UsageError(
                    f"{common} shares the store at {repo.store.root} and is not there, or may not be read: "
                    "what it tracks cannot be told",
                    hint=f"bring it back, or take its line out of {os.path.join(repo.store.root, 'shared-by')}",
                )
            found[common] = other
    return list(found.values())


# -- from what is named to objects -------------------------------------------------------------


def objects(reader: Reader, kept: Kept, *, force: bool = False) -> tuple[set[bytes], Lost]:
    """The Oids of everything that is needed, without the chunks of what is large; and Manifests that cannot be read.

    With ``force``, the Oids in the text of Pointers that cannot be read count, too.
    """
    lost: Lost = {}
    try:
        found = manifest.objects_of(reader, kept.contents, lost)
    except (FormatError, DamagedError):
        _set_aside(reader, kept)
        found = manifest.objects_of(reader, kept.contents, lost)
    if force:
        found |= kept.bare
        for oid in kept.bare:
            with suppress(MlvcError):  # most are no Manifests
                found |= manifest.objects_of(reader, [Content("dir", Oid(oid), 0, 0)], {})
    return found, lost


def _set_aside(reader: Reader, kept: Kept) -> None:
    """Take for unreadable what names a directory and leads to no list of files, or to one of a newer mlvc."""
    for content, place in list(kept.contents.items()):
        try:
            if content.is_dir:
                manifest.objects_of(reader, [content], {})
        except (FormatError, DamagedError) as error:
            wrong = f"{oids.to_text(content.oid)}, which it names, is no list of files that can be read"
            kept.unreadable[place] = FormatError(f"{wrong}: {error.message}", hint=error.hint)
            kept.bare.add(content.oid)
            del kept.contents[content]


def where(repo: Repo, reader: Reader, kept: Kept, lost: Lost) -> str:
    """What names a Manifest that is in ``lost``, as a person calls it."""
    for content, place in kept.contents.items():
        inner: Lost = {}
        if content.oid in lost or (content.is_dir and manifest.objects_of(reader, [content], inner) and inner):
            return told(repo, place)
    return "what is tracked"


def told(repo: Repo, place: Place) -> str:
    """A Place as a person calls it."""
    if not place.blob:
        return os.path.relpath(os.path.join(place.root, place.path), repo.root) if place.root else place.path
    if place.root:
        return f"{place.path} in Git's index"
    commit = whole.commit_with(repo.git, place.blob)
    return f"{place.path} in commit {commit}" if commit else f"{place.path} in {place.blob[:10]}, which Git still has"


def links(repo: Repo) -> Iterator[tuple[str, Oid]]:
    """The symbolic links in all working trees that lead to a loose object of the Store, each with the Oid of that."""
    loose = os.path.realpath(os.path.join(repo.store.root, "loose")) + os.sep
    for root in (tree.root for each in _sharing(repo) for tree in whole.worktrees(each)):
        for path in _links(root):
            target = os.path.realpath(path)
            if target.startswith(loose):
                with suppress(ValueError):
                    yield path, Oid(bytes.fromhex(target[len(loose) :].replace(os.sep, "")))


def _links(root: str) -> Iterator[str]:
    """The symbolic links below a directory, but those of Git. OSError where a directory cannot be read."""
    for folder, folders, _ in files.walk(root):
        if ".git" in folders:
            folders.remove(".git")
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if entry.is_symlink()]
        yield from found
