"""``fsck``: checks Pointers, Manifests and every object, and mends what a Remote can mend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mlvc import manifest
from mlvc import transfer as steps
from mlvc.api import keep, records
from mlvc.api.keep import Kept
from mlvc.api.remotes import chosen, open_remote
from mlvc.errors import DamagedError, FormatError, MlvcError, ObjectsMissingError, RemoteError
from mlvc.manifest import EMPTY_DIR
from mlvc.pointer import Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.store import verify
from mlvc.store.base import MISNAMED, Lost, reason_of
from mlvc.store.chain import Chain
from mlvc.store.verify import Checked


@dataclass(frozen=True, slots=True)
class Missing:
    """A file of a tracked path that cannot be had; what names it. ``reason``: of its object, as ``missing``."""

    path: str
    reason: str
    named_by: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What fsck found. ``missing``: what is tracked and cannot be had, after the repair where there was one.

    ``unreadable``: what is wrong with Pointers. ``fetched``: how many objects a repair brought from Remotes, ``asked``:
    the names of these Remotes, ``failed``: what went wrong with those that could not be asked. ``records``: those of
    Runs and of items that say nothing, and after the repair those that name what cannot be had, with what is wrong.
    """

    checked: Checked
    missing: tuple[Missing, ...] = ()
    unreadable: tuple[str, ...] = ()
    repaired: bool = False
    fetched: int = 0
    asked: tuple[str, ...] = ()
    failed: tuple[RemoteError, ...] = ()
    records: Mapping[str, str] = field(default_factory=dict)


def fsck(
    repo: Repo, *, all_commits: bool = False, repair: bool = False, remote: str = "", progress: Progress = QUIET
) -> Verified:
    """Look at everything that is tracked, at all records of Runs, and at every byte of the Store.

    Where the Catalog is wrong, it is corrected: it only repeats what the Packs say. Else nothing is changed without
    ``repair``. With it, damaged files go to quarantine, their good objects are kept, and what is tracked and missing
    or damaged is brought from a Remote: from ``remote``, else from the default one and then from the others. So is
    what Runs name. Where no Remote has it, their records go to quarantine: the Stages run again.
    """
    progress.start("finding what is tracked")
    repo.store.join()  # a gc would move Packs while they are looked at
    kept = keep.tracked(repo, all_commits=all_commits)
    recorded = records.read(repo)
    checked = verify.check(repo.store, progress=progress)
    records.compare(recorded, repo.store, checked)
    records.name(kept, recorded)
    repo.store.reread(checked.uncatalogued)
    if not repair:
        found = tuple(_missing(repo, kept, checked, checked.lost_of))
        return Verified(checked, found, _unreadable(repo, kept), records=_told(repo, recorded.damaged))
    repo.store.packed.damaged.update(checked.packs)
    for path, name in checked.strange.items():
        repo.store.set_aside(os.path.join(repo.store.root, path), name)
    repo.store.quarantine(dict.fromkeys(checked.bad, "damaged"))
    mended = _Mending(repo, kept, progress)
    for name in _remotes(repo, remote):
        mended.ask(name)
    if not (mended.failed or (remote and len(repo.config.remotes) > 1)):  # nobody is left to ask
        recorded.damaged.update(dict.fromkeys(records.useless(repo, recorded), _USELESS))
    records.set_aside(repo, recorded.damaged)
    kept = keep.tracked(repo, all_commits=all_commits)
    recorded.contents = {path: each for path, each in recorded.contents.items() if path not in recorded.damaged}
    records.name(kept, recorded)
    found = tuple(_missing(repo, kept, checked, mended.lost_of))
    return Verified(
        checked,
        found,
        _unreadable(repo, kept),
        True,
        mended.fetched,
        tuple(mended.asked),
        tuple(mended.failed),
        _told(repo, recorded.damaged),
    )


_USELESS = "names results that cannot be had: what made them runs again"


def _told(repo: Repo, damaged: Mapping[str, str]) -> dict[str, str]:
    return {records.told(repo, path): reason for path, reason in damaged.items()}


def _unreadable(repo: Repo, kept: Kept) -> tuple[str, ...]:
    named = ((keep.told(repo, place), error.message) for place, error in kept.unreadable.items())
    return tuple(message if message.startswith(f"{name}, ") else f"{name}: {message}" for name, message in named)


def _remotes(repo: Repo, remote: str) -> list[str]:
    """The Remotes to ask: the one that is named, else all, the default one first."""
    if remote:
        return [chosen(repo.config, remote)]
    return sorted(repo.config.remotes, key=lambda name: name != repo.config.get("core.remote"))


class _Mending:
    """Brings what is tracked and not in the Store, from one Remote after the other."""

    def __init__(self, repo: Repo, kept: Kept, progress: Progress) -> None:
        self.fetched = 0
        self.asked: list[str] = []
        self.failed: list[RemoteError] = []
        self._repo = repo
        self._kept = kept
        self._progress = progress
        self._damaged: set[bytes] = set()

    def ask(self, name: str) -> None:
        """Bring what this Remote has, if something is needed still. One that does not answer is noted."""
        unread: Lost = {}
        store = self._repo.store
        if not store.missing(manifest.objects_of(store, self._kept.contents, unread)) and not unread:
            return
        far = open_remote(self._repo, name)
        try:
            far.jobs = self._repo.config.get("core.jobs")
            self._progress.start(f"asking '{name}' what it has")
            far.refresh()
            both = Chain(self._repo.hashing, lambda: store, lambda: far)
            oids = manifest.objects_of(both, self._kept.contents, {})
            before = store.missing(oids)
            plan = steps.plan_fetch(store, far, oids)
            done = steps.fetch(store, far, plan, jobs=far.jobs, progress=self._progress)
            self._damaged.update(oid for oid, reason in done.lost.items() if reason == "damaged")
            self.fetched += len(before) - len(store.missing(before))
            self.asked.append(name)
        except RemoteError as error:
            self.failed.append(error)
        finally:
            self._progress.finish()
            far.close()

    def lost_of(self, oids: set[bytes]) -> Lost:
        """Those of ``oids`` that cannot be had; ``damaged`` where a Remote has something in their place."""
        missing = self._repo.store.missing(oids)
        return {oid: "damaged" if oid in self._damaged else "missing" for oid in missing}


def _missing(repo: Repo, kept: Kept, checked: Checked, lost_of: Callable[[set[bytes]], Lost]) -> Iterator[Missing]:
    """Every tracked file that cannot be had. ``lost_of`` tells which of some objects cannot, and why."""
    oids, unread = keep.objects(repo.store, kept)
    lost = {**lost_of(oids), **unread}
    misnamed = _misnamed(repo, kept, checked)
    for content, place in kept.contents.items() if lost or misnamed else ():
        named = ""
        for path, reason in _of_content(repo, content, lost, misnamed):
            named = named or keep.told(repo, place)
            yield Missing(place.tracked + path, reason, named)


def _misnamed(repo: Repo, kept: Kept, checked: Checked) -> set[tuple[bytes, int]]:
    """Objects of another size than something says that names them, each with the size that it says."""
    roots = manifest.roots_of(repo.store, [content.oid for content in kept.contents if content.is_dir])
    told: set[tuple[bytes, int]] = {(content.oid, content.size) for content in kept.contents if not content.is_dir}
    told |= manifest.sizes_of(repo.store, roots.values())
    wrong = {(oid, size) for oid, size in told if checked.good.get(oid, size) != size}
    sums = {oid: (root.files, root.size) for oid, root in roots.items()}
    directories = [content for content in kept.contents if content.oid in sums]
    return wrong.union((each.oid, each.size) for each in directories if sums[each.oid] != (each.files, each.size))


def _of_content(
    repo: Repo, content: Content, lost: Lost, misnamed: set[tuple[bytes, int]]
) -> Iterator[tuple[str, str]]:
    """What of one tracked path is lost, each with the reason; the whole of it where nobody can tell."""
    try:
        if content.oid in lost:
            yield "", lost[content.oid]
        elif (content.oid, content.size) in misnamed:
            yield "", MISNAMED
        elif content.is_dir:
            for entry in manifest.entries_of(repo.store, content.oid):
                if entry.kind != EMPTY_DIR and entry.oid in lost:
                    yield f"/{entry.path}", lost[entry.oid]
                elif (entry.oid, entry.size) in misnamed:
                    yield f"/{entry.path}", MISNAMED
    except (ObjectsMissingError, DamagedError) as error:
        yield "", reason_of(error)


def problem(found: Verified) -> MlvcError | None:
    """The error that ends a command which found something that is still wrong."""
    if found.missing:
        first = found.missing[0]
        more = f", and {len(found.missing) - 1} more" if len(found.missing) > 1 else ""
        kind = ObjectsMissingError if first.reason == "missing" else DamagedError
        return kind(f"{first.path} cannot be had: its object is {first.reason}{more}", hint=_hint(found, first.reason))
    if found.unreadable:
        more = f" (and {len(found.unreadable) - 1} more)" if len(found.unreadable) > 1 else ""
        return FormatError(found.unreadable[0] + more, hint="bring it back as it was, with Git")
    if not found.repaired and found.checked.damaged:
        name = next(iter(found.checked.damaged))
        return DamagedError(f"{name} in the store is damaged", hint="`mlvc fsck --repair` keeps what is good of it")
    if not found.repaired and found.records:
        name = next(iter(found.records))
        return DamagedError(f"{name} {found.records[name]}", hint="`mlvc fsck --repair` sets it aside")
    return None


def _hint(found: Verified, reason: str) -> str:
    if reason == MISNAMED:
        return "bring the Pointer back as it was, with Git, or write it anew from the data with `mlvc add`"
    if not found.repaired:
        return "`mlvc fsck --repair` brings it from a remote"
    if found.failed:
        return f"{found.failed[0].message}; run this again when it can be reached"
    again = "push it from a clone that has it, or track the data again with `mlvc add`"
    if not found.asked:
        return f"there is no remote to bring it from; {again}"
    state = "where it is there, it is damaged, too" if reason == "damaged" else "no remote has it"
    return f"{state} (asked: {', '.join(found.asked)}); {again}"
