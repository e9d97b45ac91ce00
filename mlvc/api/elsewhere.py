"""What a revision tracks, here or in another repository, and a Reader for its objects. Nothing is checked out.

``here`` and ``there`` open a ``Source``; what reads tracked data without a working tree begins with one.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from mlvc import config as settings
from mlvc import git, snapshot
from mlvc.api import remotes
from mlvc.config import Config
from mlvc.errors import DamagedError, NotARepositoryError, ObjectsMissingError, UsageError
from mlvc.git import Git, far
from mlvc.hashing import Hashing
from mlvc.repo import Repo, open_repo, open_root
from mlvc.roots import find, is_initialised, relative, roots
from mlvc.snapshot import Snapshot
from mlvc.store import local
from mlvc.store.chain import Chain
from mlvc.store.local import LocalStore
from mlvc.store.remote import RemoteStore


@dataclass(frozen=True, slots=True)
class Source:
    """What is tracked at one revision of a repository, and where its bytes come from.

    ``place``: the repository as the user calls it, empty for the own one. ``rev``: the revision likewise, empty for
    the working tree. ``commit``: what that is, in hex, empty for the working tree. ``root``: the mlvc root in another
    repository, relative to where its paths begin.
    """

    place: str
    rev: str
    commit: str
    shot: Snapshot
    reader: Chain
    named: Callable[[str], str]
    """From a path as a person typed it to the path here; UsageError for one that leads out."""
    root: str = ""

    @property
    def where(self) -> str:
        """The revision and the repository, as the end of a sentence; '' for the own working tree."""
        return f" at {self.rev or 'HEAD'} of {self.place}" if self.place else f" at {self.rev}" if self.rev else ""

    def untracked(self, path: str) -> UsageError:
        """The error for a path that is not tracked."""
        options = f" {shlex.quote(self.root)}" if self.root else ""
        options += (f" --repo {self.place}" if self.place else "") + (f" --rev {self.rev}" if self.rev else "")
        return UsageError(f"{path or 'anything'} is not tracked{self.where}", hint=f"`mlvc ls{options}` lists what is")

    def lost(self, path: str, reason: str, *, more: int = 0) -> DamagedError | ObjectsMissingError:
        """The error for a path whose object could not be had, from the Store nor from a Remote."""
        far = self.reader.far
        tried = ["the store"] if self.reader.near is not None else []
        tried += [f"remote '{far.name}'"] if far is not None else []
        kind = DamagedError if reason == "damaged" else ObjectsMissingError
        hint = (
            f"looked at {' and '.join(tried) or 'nothing'}; a clone that has it sends it again with `mlvc push`"
            if far is not None
            else "no remote is configured to get it from: `mlvc remote add -d NAME URL`"
        )
        return kind(
            f"{path} could not be read: its object is {reason}{f', and {more} more' if more else ''}", hint=hint
        )


# -- this repository ---------------------------------------------------------------------------


@contextmanager
def here(repo: Repo, rev: str = "", *, remote: str = "") -> Iterator[Source]:
    """What ``rev`` of the own repository tracks; none: the working tree. Its Remote is asked for what is not here.

    UsageError where there is no such revision.
    """
    commit = git.resolve(repo.git, rev) if rev else ""
    shot = snapshot.at(repo.git, commit, rev) if rev else snapshot.on_disk(repo.git)
    with reading(repo, remote) as reader:
        yield Source("", rev, commit, shot, reader, repo.path)


@contextmanager
def reading(repo: Repo, remote: str = "") -> Iterator[Chain]:
    """The objects of the own repository, in its Store and on a Remote: the one that is named, or the default one."""
    with ExitStack() as stack:

        def far() -> RemoteStore | None:
            if not (remote or repo.config.remotes):
                return None
            return _listed(stack.enter_context(closing(remotes.open_remote(repo, remote))))

        yield Chain(repo.hashing, lambda: repo.store, far)


def _listed(far: RemoteStore) -> RemoteStore:
    """The Remote, once its listing is read."""
    far.refresh()
    return far


# -- another one -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around mlvc: the environment for Git, and the directory for what may be deleted at any time."""

    environment: Mapping[str, str]
    cache: str

    @staticmethod
    def of(environment: Mapping[str, str]) -> Surroundings:
        """What this environment says. The cache is where the XDG Base Directory Specification has it."""
        base = environment.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):
            base = os.path.join(os.path.expanduser("~"), ".cache")
        return Surroundings(environment, os.path.join(base, "mlvc"))


_NAMING = "name a path in one of its roots:"


@contextmanager
def there(place: str, rev: str = "", *, around: Surroundings, remote: str = "", inside: str = "") -> Iterator[Source]:
    """What ``rev`` of the repository at ``place``, a path or a URL of Git, tracks; none: its HEAD.

    Of several mlvc roots in it, the one that the path ``inside`` belongs to. All paths are told from the top, or, where
    ``place`` is a directory in a root, from that root.

    Where there is a working tree, its Store is read, and its Remote for what that lacks. Of a bare repository and of a
    URL only the Remote that the settings name at this revision is read; of a URL's Git side a copy without data is
    kept in the cache. Nothing is changed there but databases that can be deleted at any time.

    NotARepositoryError where there is no mlvc; UsageError where there is no such revision and, once objects are asked
    for, no Remote that can be found from here; RemoteError where a place does not answer.
    """
    inside = _inner(inside)
    path = os.path.expanduser(place)
    is_path = os.path.isdir(path)
    if not is_path and (":" not in place or place.startswith("-")):
        raise NotARepositoryError(f"there is no repository at {place}", hint="give its directory, or a URL of Git")
    found = far.bare(path, around.environment) if is_path else None
    with ExitStack() as stack:
        if is_path and found is None:
            yield _of_working_tree(_Asked(place, rev, remote, around, stack, inside), path)
        elif found is not None:
            yield _of_git(_Asked(place, rev, remote, around, stack, inside), found, _resolved(found, place, rev))
        else:
            copy = os.path.join(around.cache, "git", _digest(place))
            found, commit = far.fetched(place, rev, copy, around.environment)
            wanted = {id_ for name, id_ in git.tree(found, commit).items() if _is_read(name)}
            far.bring(found, place, commit, wanted)
            yield _of_git(_Asked(place, rev, remote, around, stack, inside), found, commit)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked of another repository. What is opened for it is closed by ``stack``."""

    place: str
    rev: str
    remote: str
    around: Surroundings
    stack: ExitStack
    inside: str

    def nearest(self, is_root: Callable[[str], bool]) -> str | None:
        """The directory at or above ``inside`` that is a root."""
        above = (path for path in (self.inside, *snapshot.parents(self.inside), "") if is_root(path))
        return next(above, None)

    def none(self, roots: Iterable[str]) -> NotARepositoryError:
        """The error where no root is at or above ``inside``; ``roots``: those that are somewhere else."""
        where = f"{self.place} at {self.rev}" if self.rev else self.place
        named = ", ".join(sorted(roots)[:3])
        hint = f"{_NAMING} {named}" if named else "give another revision with --rev"
        return NotARepositoryError(
            f"there is no mlvc in {where}: no {posixpath.join(self.inside, settings.SHARED)}",
            hint=hint if named else f"{hint}, or get the file with Git",
        )


def _of_working_tree(asked: _Asked, path: str) -> Source:
    environment = git.elsewhere(asked.around.environment)
    try:
        found = find(path, environment)
        base = found.prefix if is_initialised(found) else relative(path, found.below(""))
        prefix = asked.nearest(lambda name: is_initialised(found.below(posixpath.join(base, name).rstrip("/"))))
        if prefix is None and (known := roots(found)):
            raise asked.none(known)
        inner = found.below(posixpath.join(base, prefix or "").rstrip("/"))
        repo = open_repo(path, environment) if prefix is None else open_root(inner, environment)
    except NotARepositoryError as error:
        hint = error.hint if error.hint.startswith(_NAMING) else "give the directory of one, or a URL of Git"
        raise NotARepositoryError(error.message, hint=hint) from None
    repo = Repo(replace(repo.git, environment=environment), repo.config, repo.cwd)
    commit = _resolved(repo.git, asked.place, asked.rev)
    shot = snapshot.at(repo.git, commit, asked.rev or "HEAD", below=prefix or "")

    def near() -> LocalStore | None:
        place = repo.store_place
        is_there = os.path.exists(os.path.join(place, "format"))
        return asked.stack.enter_context(local.open_store(place)) if is_there else None

    def far() -> RemoteStore | None:
        return _remote(asked, repo.config, repo.hashing, repo.root) if asked.remote or repo.config.remotes else None

    return Source(asked.place, asked.rev, commit, shot, Chain(repo.hashing, near, far), _inner, prefix or "")


def _of_git(asked: _Asked, found: Git, commit: str) -> Source:
    rev = asked.rev or "HEAD"
    tree = git.tree(found, commit)
    prefix = asked.nearest(lambda name: posixpath.join(name, settings.SHARED) in tree)
    if prefix is None:
        raise asked.none(settings.root_of(name) for name in tree if name.endswith("/" + settings.SHARED))
    shared = posixpath.join(prefix, settings.SHARED)
    data = git.blobs(found, [tree[shared]])[tree[shared]]
    config = settings.from_text(data, f"{rev}:{shared}")
    hashing = Hashing(config.get("core.hash"))
    skip = len(prefix) + 1 if prefix else 0
    ours = {name[skip:]: id_ for name, id_ in tree.items() if not prefix or name.startswith(prefix + "/")}
    shot = snapshot.of_tree(found, ours, rev, below=prefix)
    far = partial(_remote, asked, config, hashing, "")
    return Source(asked.place, asked.rev, commit, shot, Chain(hashing, lambda: None, far), _inner, prefix)


def _resolved(found: Git, place: str, rev: str) -> str:
    if not rev and not git.has_commits(found):
        raise UsageError(f"{place} has no commits yet", hint="commit there, then run this again")
    if not git.is_revision(found, rev or "HEAD"):
        raise UsageError(f"'{rev}' is no revision of {place}", hint=f"`git ls-remote {place}` lists branches and tags")
    return git.resolve(found, rev or "HEAD")


def _is_read(name: str) -> bool:
    return snapshot.is_ours(name) or name == settings.SHARED or name.endswith("/" + settings.SHARED)


def _remote(asked: _Asked, config: Config, hashing: Hashing, root: str) -> RemoteStore:
    """The Remote of another repository. ``root``: its working tree, empty where there is none."""
    if not config.remotes:
        raise UsageError(
            f"{asked.place} names no remote at {asked.rev or 'HEAD'}, so its data cannot be had from there",
            hint="give the directory of a clone that has the data, or another revision",
        )
    name = remotes.chosen(config, asked.remote)
    url = config.remotes[name]
    address = url if "://" in url else os.path.join(root, os.path.expanduser(url))
    if "://" not in url and not os.path.isabs(address):
        raise UsageError(
            f"remote '{name}' of {asked.place} is the directory {url}, relative to a working tree that is not here",
            hint=f"clone it, and in the clone: `mlvc remote modify {name} url DIRECTORY --private`",
        )
    address = address if "://" in url else os.path.normpath(address)
    known = os.path.join(asked.around.cache, "remotes", _digest(f"{hashing.name} {address}"))
    return _listed(asked.stack.enter_context(closing(remotes.remote_at(name, address, known, hashing, configured=url))))


def _inner(path: str) -> str:
    """A path in another repository, from its top; UsageError where it leads out of it."""
    found = os.path.normpath(path).replace(os.sep, "/")
    if os.path.isabs(path) or found.split("/")[0] == "..":
        raise UsageError(f"{path} leads out of the repository", hint="paths in another repository begin at its top")
    return "" if found == "." else found


def _digest(text: str) -> str:
    """A name for a directory."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]
