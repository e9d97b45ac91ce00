"""``destroy``: removes mlvc from a repository; the data in the working tree stays."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from mlvc import config, files, git, manifest, snapshot
from mlvc.api import keep
from mlvc.api.elsewhere import reading
from mlvc.api.install import uninstall
from mlvc.api.keep import Kept
from mlvc.errors import FormatError, ObjectsMissingError, RemoteError, UsageError, WouldOverwriteError
from mlvc.git import hooked, whole
from mlvc.oid import Oid
from mlvc.progress import QUIET
from mlvc.repo import Repo
from mlvc.roots import roots
from mlvc.store.gc import size


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes. ``removed``: files and directories, relative to the repository. ``size``: bytes in the Git directory.

    ``links``: symbolic links into the Store, which become files. ``alone``: how many objects that some commit, working
    tree or Run needs are in the Store alone.
    """

    removed: tuple[str, ...]
    size: int
    links: tuple[tuple[str, Oid], ...]
    alone: int


def plan(repo: Repo, *, force: bool = False) -> Plan:
    """What would be removed. WouldOverwriteError where something is in the Store alone, unless ``force``.

    UsageError where another repository, or another root of this one, uses this Store.
    """
    others = [each for each in repo.sharing() if each != repo.git.common]
    if others and _is_own(repo):
        raise UsageError(f"{others[0]} uses the store of this repository", hint="destroy that one first")
    inner = sorted(roots(repo.git) - {repo.git.prefix})
    if inner:
        raise UsageError(
            f"the mlvc root at {inner[0] or 'the top'} of this repository uses the same store",
            hint="`mlvc destroy` works where there is one root; nothing is removed",
        )
    links = tuple(keep.links(repo)) if _is_own(repo) else ()
    alone = _alone(repo, force=force)
    if alone and not force:
        raise WouldOverwriteError(
            f"nothing is removed: {len(alone)} of the objects in the store are neither files here nor on a remote",
            hint="save them with `mlvc push --all-commits`; or go on all the same with --force",
        )
    aside = os.path.join(repo.private, "aside")
    if os.path.isdir(aside) and os.listdir(aside) and not force:
        raise WouldOverwriteError(
            f"nothing is removed: files that were stored nowhere are set aside in {aside}",
            hint="take out what you need and delete the rest; or go on all the same with --force",
        )
    removed = [path for path in git.listed(repo.git, snapshot.ANYWHERE) if snapshot.is_ours(path)]
    removed = [path for path in removed if files.exists(f"{repo.root}/{path}")]
    places = [place for place in _places(repo) if os.path.isdir(place)]
    total = sum(size(place) for place in places)
    removed += [os.path.relpath(place, repo.root) for place in places]
    return Plan((*removed, os.path.dirname(config.SHARED)), total, links, len(alone))


def destroy(repo: Repo, made: Plan) -> None:
    """Remove what ``made`` says; the settings that make this a repository of mlvc last, so that it can be run again.

    Hooks and the merge driver in the Git directory go first. UsageError, and nothing is removed, where they cannot.
    """
    # Hooks that are elsewhere serve other repositories, too.
    if os.path.realpath(hooked.hooks_dir(repo.git)).startswith(os.path.realpath(repo.git.common) + os.sep):
        uninstall(repo)
    if not _is_own(repo):
        repo.leave()
    with repo.turn(together=False, progress=QUIET), repo.store.alone(), repo.exclusive():
        for path, oid in made.links:
            _become_file(repo.store.loose.path(oid), path)
        for path in _writable(repo):
            os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | stat.S_IWUSR)
        *most, last = made.removed
        for name in most:
            path = os.path.join(repo.root, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                files.remove(path)
        shutil.rmtree(os.path.join(repo.root, last))


def _is_own(repo: Repo) -> bool:
    """Whether the Store is that of this repository alone, in its Git directory."""
    return os.path.realpath(repo.store.root) == os.path.realpath(repo.private)


def _places(repo: Repo) -> list[str]:
    """The directories of mlvc in the Git directory, the one that all working trees share last."""
    own = [os.path.join(tree.dir, "mlvc") for tree in whole.worktrees(repo.git)]
    return [*(place for place in own if place != repo.private), repo.private]


def _become_file(source: str, link: str) -> None:
    """Put the file that a link leads to in the place of the link."""
    temporary = f"{link}.mlvc-tmp"
    files.remove(temporary)
    try:
        os.link(source, temporary)
    except OSError:  # another file system
        shutil.copyfile(source, temporary)
    os.replace(temporary, link)


def _writable(repo: Repo) -> Iterable[str]:
    """The files that the working trees share with the Store: they were read-only for its sake."""
    loose = os.path.join(repo.store.root, "loose")
    for top, _, names in os.walk(loose):
        for name in names:
            if os.stat(os.path.join(top, name)).st_nlink > 1:
                yield os.path.join(top, name)


# -- what is nowhere else ----------------------------------------------------------------------


def _alone(repo: Repo, *, force: bool) -> set[bytes]:
    """The objects in the Store that something needs, and that are neither files here nor in the listing of a Remote."""
    kept = keep.everything(repo, sharing=False)
    for place, error in kept.unreadable.items() if not force else ():
        raise FormatError(f"{keep.told(repo, place)} cannot be read: {error.message}", hint="mend it, or use --force")
    needed, lost = keep.objects(repo.store, kept, force=True)
    if lost and not force:
        with suppress(RemoteError, UsageError), reading(repo) as reader:
            needed, lost = keep.objects(reader, kept, force=True)
    if lost and not force:
        raise ObjectsMissingError(
            f"nothing is removed: the list of files of {keep.where(repo, repo.store, kept, lost)} cannot be had, "
            "so nobody can tell what is in the store alone",
            hint="get it with `mlvc fetch --all-commits`; or go on all the same with --force",
        )
    left = needed - repo.store.missing(needed) - _here(repo, kept)
    for name in repo.config.remotes if left and not force else ():
        with suppress(RemoteError):  # one that cannot be asked keeps nothing for certain
            left = _not_on(repo, name, left)
    return left


def _not_on(repo: Repo, remote: str, oids: set[bytes]) -> set[bytes]:
    """Those of ``oids`` that the listing of a Remote does not show."""
    from mlvc.api.remotes import open_remote  # noqa: PLC0415  (not where all is here)

    far = open_remote(repo, remote)
    try:
        far.refresh()
        return far.missing(oids)
    finally:
        far.close()


def _here(repo: Repo, kept: Kept) -> set[bytes]:
    """The objects that are files of this working tree; with the Manifests of directories that stand here as tracked."""
    paths = {place.tracked for place in kept.contents.values() if place.tracked}
    present = [path for path in sorted(paths) if files.exists(f"{repo.root}/{path}")]
    looks = repo.tree.look(present, lenient=True)
    found = {entry.oid for look in looks.values() for entry in look.entries()}
    whole = [look.content for look in looks.values() if look.content is not None and look.content in kept.contents]
    with suppress(FormatError):
        found |= manifest.objects_of(repo.store, whole, {})
    return found
