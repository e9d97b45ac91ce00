"""``gc``: takes out of the Store what nothing needs. Reasons: docs/adr/0013-gc.md."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import TypeAlias

from mlvc.api import keep
from mlvc.api.elsewhere import reading
from mlvc.api.keep import Kept
from mlvc.api.remotes import chosen
from mlvc.errors import DamagedError, FormatError, MlvcError, ObjectsMissingError, UsageError
from mlvc.git.apart import clean
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.store import gc as steps
from mlvc.store.base import Lost, Reader
from mlvc.store.gc import DAY, Done, Plan, Rules, Trash


@dataclass(frozen=True, slots=True)
class Collected:
    """What a gc did, or would do. Sizes in bytes.

    ``runs``, ``aside``: the numbers of Runs, and of things that were set aside or quarantined, that went to the trash.
    ``left``, ``left_size``: what was set aside or quarantined and stays, and its bytes: nobody else has it.
    ``put_back``: the number of files that came back from the trash, because something needs them again. ``deleted``:
    what was deleted from the trash. ``damaged``: Packs that stay because they do not hash to their name.
    """

    plan: Plan
    runs: int = 0
    aside: int = 0
    left: int = 0
    left_size: int = 0
    put_back: int = 0
    deleted: int = 0
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. ``runs``: drop those Runs that no Lockfile names. ``remote``: where to read Manifests.

    ``aside``: take what was set aside or quarantined, too.
    """

    force: bool = False
    runs: bool = False
    aside: bool = False
    remote: str = ""


def gc(repo: Repo, options: Options | None = None, *, dry_run: bool = False, progress: Progress = QUIET) -> Collected:
    """Move to the trash what no commit, working tree or Run needs, and delete what has been there for long.

    What was set aside or quarantined is stored nowhere else, or was. It stays, unless ``Options.aside`` asks for it.

    ObjectsMissingError, DamagedError or FormatError, and nothing is changed, where what is needed cannot be told.
    BusyError where another process is adding to the Store.
    """
    options = options or Options()
    rules = Rules(repo.config.get("gc.grace") * DAY, repo.config.get("gc.trash") * DAY)
    with ExitStack() as held:
        if not dry_run:
            held.enter_context(repo.store.alone())
            clean(repo.git)
        progress.start("finding what is needed")
        kept = keep.everything(repo, runs=not options.runs)
        live, put_back = _needed(repo, kept, options, put_back=not dry_run)
        plan = steps.plan(repo.store, live, rules, linked=lambda: {oid for _, oid in keep.links(repo)})
        runs = _old_enough(rules, _runs(repo, kept)) if options.runs else []
        apart = _apart(repo)
        aside = _old_enough(rules, apart) if options.aside else []
        left = [place for place in apart if place not in set(aside)]
        told = Collected(plan, len(runs), len(aside), len(left), sum(map(_size, left)))
        progress.finish()
        if dry_run:
            return replace(told, deleted=_expired(repo, rules, lambda trash, days: trash.size(days)))
        deleted = _expired(repo, rules, _empty)
        done = steps.act(repo.store, plan, live, progress=progress)
        for base, name in (*runs, *aside):
            Trash(base).take(name)
        return replace(told, put_back=put_back, deleted=deleted, damaged=tuple(done.damaged))


def restore(repo: Repo) -> int:
    """Put back all that is in the trash and whose place is free. The number of files."""
    with repo.store.alone():
        count = 0
        for base in _bases(repo):
            trash = Trash(base)
            count += sum(trash.put_back(day, name) for day, name in list(trash.names()))
            trash.tidy()
        repo.store.refresh()
        return count


# -- what is needed ----------------------------------------------------------------------------


def _needed(repo: Repo, kept: Kept, options: Options, *, put_back: bool) -> tuple[set[bytes], int]:
    """The Oids of all that is needed, chunks included, and how many files came back from the trash for it."""
    count = 0
    with _reader(repo, options.remote) as reader:
        while True:
            live, lost = keep.objects(reader, kept, force=options.force)
            for place, error in kept.unreadable.items() if not options.force else ():
                raise FormatError(
                    f"nothing is deleted, {keep.told(repo, place)} cannot be read: {error.message}", hint=_FORCE
                )
            whole = _members(repo, live)
            back = steps.revive(repo.store, whole) if put_back else 0
            count += back
            if not back:
                break
        if lost and not options.force:
            if not put_back and steps.has_in_trash(repo.store, lost.keys()):
                raise ObjectsMissingError(
                    f"the list of files of {keep.where(repo, reader, kept, lost)} is in the trash, "
                    "so a dry run cannot tell what it needs",
                    hint="`mlvc gc` puts it back by itself before it deletes anything",
                )
            raise _refused(repo, keep.where(repo, reader, kept, lost), lost)
    return whole, count


def _members(repo: Repo, live: set[bytes]) -> set[bytes]:
    try:
        return steps.members(repo.store, live)
    except DamagedError as error:
        raise DamagedError(
            f"nothing is deleted: {error.message}, so which chunks it needs cannot be told",
            hint="`mlvc fsck --repair` names its path, and mends it from a remote",
        ) from None


def _reader(repo: Repo, remote: str) -> AbstractContextManager[Reader]:
    """The Store; behind it a Remote, where one is named, for what is not here."""
    return reading(repo, remote) if remote else nullcontext(repo.store)


_FORCE = "mend it; or let `mlvc gc --force` keep the objects whose names stand in it, and go on"


def _refused(repo: Repo, where: str, lost: Lost) -> MlvcError:
    try:
        name = chosen(repo.config)
    except UsageError:
        name = "REMOTE"
    damaged = "damaged" in lost.values()
    kind = DamagedError if damaged else ObjectsMissingError
    return kind(
        f"nothing is deleted: the list of files of {where} is {'damaged' if damaged else 'not in the store'}, "
        "so what it needs cannot be told",
        hint="`mlvc fsck --repair` mends it from a remote; `mlvc gc --force` goes on without it"
        if damaged
        else f"`mlvc gc -r {name}` reads it there, `mlvc fetch --all-commits` brings it and all data; "
        "`mlvc gc --force` goes on without it",
    )


# -- what lies beside the objects --------------------------------------------------------------


_Place: TypeAlias = tuple[str, str]
"""A directory that has a trash, and a name in it."""


def _runs(repo: Repo, kept: Kept) -> list[_Place]:
    """The Runs that no Lockfile names."""
    return [(repo.private, os.path.relpath(path, repo.private)) for path in keep.unnamed_runs(repo, kept)]


def _apart(repo: Repo) -> list[_Place]:
    """What repro set aside, and what is in quarantine."""
    places = ((repo.private, "aside"), (repo.store.root, "quarantine"))
    return [(base, os.path.join(folder, name)) for base, folder in places for name in _inside(base, folder)]


def _size(place: _Place) -> int:
    try:
        return steps.size(os.path.join(*place))
    except FileNotFoundError:  # its owner has taken it back meanwhile
        return 0


def _old_enough(rules: Rules, places: Iterable[_Place]) -> list[_Place]:
    """Those that have been where they are for some days."""
    before = time.time() - rules.grace
    return [place for place in places if _since(os.path.join(*place)) <= before]


def _since(path: str) -> float:
    """When something got to its place: what is moved to the quarantine keeps its old stamp."""
    info = os.lstat(path)
    return max(info.st_mtime, info.st_ctime)


def _inside(base: str, folder: str) -> list[str]:
    directory = os.path.join(base, folder)
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def _bases(repo: Repo) -> AbstractSet[str]:
    """The directories that have a trash."""
    return {os.path.realpath(repo.store.root), os.path.realpath(repo.private)}


def _expired(repo: Repo, rules: Rules, work: Callable[[Trash, list[str]], int]) -> int:
    """What ``work`` makes of all that has been in the trash for long."""
    trashes = [Trash(base) for base in _bases(repo)]
    return sum(work(trash, trash.expired(rules.trash)) for trash in trashes)


def _empty(trash: Trash, days: list[str]) -> int:
    size = trash.size(days)
    trash.empty(days)
    return size


__all__ = ["Collected", "Done", "Options", "gc", "restore"]
