"""One revision, or the working tree, to read: its pipeline files, what Git keeps, and the outputs in the Store.

The Store is all that is asked: what it lacks is told, and nothing is fetched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeVar

from mlvc import codec, files, git, manifest, snapshot
from mlvc.errors import DamagedError, FormatError, MlvcError, ObjectsMissingError, PipelineError, UsageError
from mlvc.git import Git
from mlvc.manifest import EXECUTABLE, FILE, Entry
from mlvc.pipeline import params, spec, top
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.top import Top
from mlvc.pipeline.variables import Surroundings
from mlvc.pointer import Content
from mlvc.repo import Repo
from mlvc.snapshot import Snapshot
from mlvc.store.base import LARGE, Lost, reason_of

T = TypeVar("T")
WORKING_TREE = "working tree"


@dataclass
class Problems:
    """What could not be had, and what could not be read, of several revisions.

    ``lost``: by path and revision, with the reason. ``unreadable``: one error for each file.
    """

    lost: dict[tuple[str, str], str] = field(default_factory=dict)
    unreadable: list[MlvcError] = field(default_factory=list)

    def told(self, path: str) -> bool:
        """Whether one of them is about ``path``, or about something in it."""
        lost = any(name == path or name.startswith(path + "/") or path.startswith(name + "/") for name, _ in self.lost)
        return lost or any(path in error.message for error in self.unreadable)

    def error(self) -> MlvcError | None:
        """The error that ends a command which could not tell all of it; None where it could."""
        if self.lost:
            ((path, rev), reason), more = next(iter(self.lost.items())), len(self.lost) - 1
            kind = DamagedError if reason == "damaged" else ObjectsMissingError
            told = f"{path}{f' at {rev}' if rev else ''} could not be read: its object is {reason}"
            return kind(told + (f", and {more} more" if more else ""), hint=f"get it from a remote with {self._way()}")
        if self.unreadable:
            first, more = self.unreadable[0], len(self.unreadable) - 1
            told = first.message + (f" (and {more} more)" if more else "")
            return type(first)(told, hint=first.hint)
        return None

    def _way(self) -> str:
        revs = list(dict.fromkeys(rev for _, rev in self.lost))
        if len(revs) > 2:
            return "`mlvc fetch --all-commits`"
        return " and ".join(f"`mlvc fetch --rev {rev}`" if rev else "`mlvc fetch`" for rev in revs)

    def tried(self, work: Callable[[], T]) -> T | None:
        """What ``work`` returns; None where it cannot read a file, which is told in the end."""
        try:
            return work()
        except (FormatError, PipelineError) as error:
            if all(error.message != known.message for known in self.unreadable):
                self.unreadable.append(error)
            return None


@dataclass(frozen=True, slots=True)
class Described:
    """What the pipeline files of a revision describe."""

    stages: tuple[Stage, ...] = ()
    tops: tuple[Top, ...] = ()


class Revision:
    """One of them. ``rev``: as the user calls it, '' for the working tree; ``commit``: what that is, '' likewise."""

    def __init__(self, repo: Repo, rev: str, commit: str, problems: Problems, parsed: Parsed) -> None:
        self.rev = rev
        self.commit = commit
        self._repo = repo
        self.problems = problems
        self._parsed = parsed

    @property
    def name(self) -> str:
        """What a table or a drawing calls it."""
        return self.rev or WORKING_TREE

    def told(self, path: str) -> str:
        """``path`` at this revision, as messages name it."""
        return f"{self.rev}:{path}" if self.rev else path

    # -- what is there -------------------------------------------------------------------------

    @cached_property
    def _tree(self) -> Mapping[str, str]:
        """Path to object id of all that Git has at the revision and that belongs to this root."""
        tree = git.tree(self._repo.git, self.commit)
        return {path: tree[path] for path in snapshot.own(tree)}

    @cached_property
    def _shot(self) -> Snapshot:
        shot = (
            snapshot.of_tree(self._repo.git, self._tree, self.rev) if self.commit else snapshot.on_disk(self._repo.git)
        )
        for error in shot.unreadable.values():
            self.problems.unreadable.append(error)
        return shot

    @cached_property
    def _contents(self) -> dict[str, Content]:
        return self._shot.contents()

    @cached_property
    def described(self) -> Described:
        """What its pipeline files describe; those that cannot be read are among the problems."""
        return self._parsed.of(self, self._pipeline_texts())

    def _pipeline_texts(self) -> dict[str, bytes]:
        if not self.commit:
            names = snapshot.listed(self._repo.git, spec.FILES)
            found = {name: files.read_or_none(f"{self._repo.root}/{name}") for name in names}
            return {name: data for name, data in found.items() if data is not None}
        ids = {path: id_ for path, id_ in self._tree.items() if path.rpartition("/")[2] == spec.FILE}
        data = git.blobs(self._repo.git, ids.values())
        return {path: data[id_] for path, id_ in ids.items()}

    def below(self, path: str) -> list[str]:
        """The file at ``path``, or the files in the directory there, in order; none where nothing is there."""
        if not self.commit:
            full = os.path.join(self._repo.root, path)
            if os.path.isfile(full):
                return [path]
            if os.path.isdir(full):
                found = [os.path.join(folder, name) for folder, _, names in files.walk(full) for name in names]
                return _data(os.path.relpath(name, self._repo.root).replace(os.sep, "/") for name in found)
        elif path in self._tree:
            return [path]
        if path not in self._contents and path not in self._folders:
            around = [name for name in snapshot.parents(path) if name in self._contents]
            return _data(file for name in around for file in self._files_of(name, path))
        below = path + "/"
        found = [name for name in self._tree if name.startswith(below)] if self.commit else []
        tracked = [name for name in self._contents if name == path or name.startswith(below)]
        return _data({*found, *(file for name in tracked for file in self._files_of(name, path))})

    @cached_property
    def _folders(self) -> set[str]:
        """The directories around all that Git and mlvc have."""
        names = [*(self._tree if self.commit else ()), *self._contents]
        return {folder for name in names for folder in snapshot.parents(name)}

    def _files_of(self, name: str, path: str) -> list[str]:
        """The files of the tracked path ``name`` that are at or below ``path``."""
        if not self._contents[name].is_dir:
            return [name] if name == path or name.startswith(path + "/") else []
        part = path[len(name) + 1 :] if path.startswith(name + "/") else ""
        return [f"{name}/{entry.path}" for entry in self._entries(name, part)]

    def _entries(self, name: str, part: str) -> list[Entry]:
        try:
            found = manifest.find(self._repo.store, self._contents[name].oid, part)
        except (ObjectsMissingError, DamagedError) as error:
            self.problems.lost[name, self.rev] = reason_of(error)
            return []
        return [entry for entry in found if entry.kind in (FILE, EXECUTABLE)]

    # -- what is in it -------------------------------------------------------------------------

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes of these files, without those that are not there; what cannot be had is among the problems."""
        wanted = list(dict.fromkeys(paths))
        found = self._of_git(wanted) if self.commit else self._on_disk(wanted)
        left = [path for path in wanted if path not in found]
        return {**found, **self._of_store(left)} if left else found

    def _on_disk(self, paths: Sequence[str]) -> dict[str, bytes]:
        found = {}
        for path in paths:
            if not os.path.isdir(f"{self._repo.root}/{path}"):
                data = self.problems.tried(partial(self._here, path))
                if data is not None:
                    found[path] = data
        return found

    def _here(self, path: str) -> bytes | None:
        """The bytes in the working tree; FormatError for a link to what is no business of this repository."""
        full = f"{self._repo.root}/{path}"
        goal = os.path.realpath(full)
        homes = (self._repo.root, self._repo.store_place)
        if not any(goal.startswith(os.path.realpath(home) + os.sep) for home in homes):
            raise FormatError(f"{path} is a symbolic link that leaves the repository", hint="put the file itself there")
        return files.read_or_none(full)

    def _of_git(self, paths: Sequence[str]) -> dict[str, bytes]:
        ids = {path: self._tree[path] for path in paths if path in self._tree}
        data = git.blobs(self._repo.git, ids.values())
        return {path: data[id_] for path, id_ in ids.items()}

    def _of_store(self, paths: Sequence[str]) -> dict[str, bytes]:
        oids: dict[str, tuple[bytes, int]] = {}
        inside: dict[str, list[str]] = {}
        for path in paths:
            content = self._contents.get(path)
            if content is not None and not content.is_dir:
                oids[path] = (content.oid, content.size)
            elif content is None:
                for name in (name for name in snapshot.parents(path) if name in self._contents):
                    inside.setdefault(name, []).append(path[len(name) + 1 :])
        for name, parts in inside.items():
            # One look for many: each of them reads the list of files.
            wanted = set(parts)
            found = self._entries(name, parts[0] if len(parts) == 1 else "") if self._contents[name].is_dir else []
            oids |= {f"{name}/{entry.path}": (entry.oid, entry.size) for entry in found if entry.path in wanted}
        return self._objects(oids) if oids else {}

    def _objects(self, oids: Mapping[str, tuple[bytes, int]]) -> dict[str, bytes]:
        store, lost = self._repo.store, Lost()
        small = [oid for oid, size in oids.values() if size < LARGE]
        data = {oid: bytes(read) for oid, read in store.read(small, lost)}
        for oid in {oid for oid, size in oids.values() if size >= LARGE}:
            try:
                data[oid] = b"".join(store.stream(oid))
            except (ObjectsMissingError, DamagedError) as error:
                lost[oid] = reason_of(error)
        for path, (oid, _) in oids.items():
            if oid in lost:
                self.problems.lost[path, self.rev] = lost[oid]
        return {path: data[oid] for path, (oid, _) in oids.items() if oid in data}


def _data(paths: Iterable[str]) -> list[str]:
    """Those of ``paths`` that are no files of Git or of mlvc, in order."""
    return sorted(path for path in paths if not snapshot.is_record(path) and path.rpartition("/")[2][:1] != ".")


Reads = dict[str, bytes | None]
"""The files that templates were resolved with, and what was in them."""


class Parsed:
    """Pipeline files, each version of them parsed once: many commits have the same."""

    def __init__(self, environment: Mapping[str, str], root: str) -> None:
        """``root``: see Surroundings."""
        self._environment = environment
        self._root = root
        self._known: dict[tuple[str, bytes], list[tuple[Reads, Described]]] = {}

    def of(self, revision: Revision, texts: Mapping[str, bytes]) -> Described:
        """What the files with these ``texts`` describe together."""
        found = [self._one(revision, path, data) for path, data in sorted(texts.items())]
        return Described(
            tuple(stage for one in found for stage in one.stages), tuple(made for one in found for made in one.tops)
        )

    def _one(self, revision: Revision, path: str, data: bytes) -> Described:
        known = self._known.setdefault((path, data), [])
        for reads, described in known:
            if all(revision.read([name]).get(name) == was for name, was in reads.items()):
                return described
        reads = {}

        def read(name: str) -> bytes | None:
            reads[name] = revision.read([name]).get(name)
            return reads[name]

        around = Surroundings(params.loader(read), self._environment, self._root)
        made = revision.problems.tried(lambda: _described(revision.told(path), path, data, around))
        known.append((reads, made or Described()))
        return known[-1][1]


def _described(name: str, path: str, data: bytes, around: Surroundings) -> Described:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise PipelineError(f"{name} is not UTF-8 text") from None
    try:
        pipeline = spec.parse_file(text, path, around)
        # Where a part stands is asked for a message only, and parsing takes as long as all the rest.
        made = top.read(pipeline, lambda part: codec.parse_yaml(text, path).position(part))
        return Described(pipeline.stages, (made,))
    except (FormatError, PipelineError) as error:
        at = name.removesuffix(path)
        raise type(error)(at + error.message, hint=error.hint) from None


# -- which -------------------------------------------------------------------------------------


def opened(repo: Repo, revs: Sequence[str], problems: Problems) -> list[Revision]:
    """These revisions, '' for the working tree; UsageError for one that there is not."""
    parsed = Parsed(repo.environment, repo.root.replace(os.sep, "/"))
    return [Revision(repo, rev, _resolved(repo, rev) if rev else "", problems, parsed) for rev in revs]


def _resolved(repo: Repo, rev: str) -> str:
    try:
        return git.resolve(repo.git, rev)
    except UsageError as error:
        if rev == "HEAD" and not git.has_commits(repo.git):
            raise UsageError("there is no commit yet to compare with", hint="commit with Git first") from None
        if os.path.lexists(os.path.join(repo.root, repo.cwd, rev)):
            told = "it is a path, and each path takes an option of its own: `--targets A --targets B`"
            raise UsageError(error.message, hint=told) from None
        if ".." in rev:
            raise UsageError(error.message, hint="two revisions are two words") from None
        raise


def chosen(repo: Git, revs: Sequence[str], *, branches: bool, tags: bool, commits: bool) -> list[str]:
    """The names of revisions: those given, then branches, tags and commits; '', the working tree, first.

    It is left out where revisions are given by name.
    """
    found = list(revs) if revs else [""]
    if branches or tags:
        found += git.refs(repo, branches=branches, tags=tags)
    if commits:
        found += [commit[:10] for commit in git.revisions(repo, commits=True)]
    return list(dict.fromkeys(found))
