"""``fsck``: checks Pointers, Manifests and every object, and mends what a Remote can mend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlvc import manifest
from mlvc import transfer as steps
from mlvc.api import keep
from mlvc.api.keep import Kept
from mlvc.api.transfer import open_remote
from mlvc.errors import DamagedError, FormatError, MlvcError, ObjectsMissingError
from mlvc.manifest import EMPTY_DIR
from mlvc.pointer import Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.store import verify
from mlvc.store.base import Lost, reason_of
from mlvc.store.chain import Chain
from mlvc.store.verify import Checked


@dataclass(frozen=True, slots=True)
class Missing:
    """A file of a tracked path whose object cannot be had: ``missing`` or ``damaged``; and what names it."""

    path: str
    reason: str
    named_by: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What fsck found. ``missing``: what is tracked and cannot be had, after the repair where there was one.

    ``unreadable``: what is wrong with Pointers. ``fetched``: how many objects a repair brought from a Remote.
    """

    checked: Checked
    missing: tuple[Missing, ...] = ()
    unreadable: tuple[str, ...] = ()
    repaired: bool = False
    fetched: int = 0


def fsck(
    repo: Repo, *, all_commits: bool = False, repair: bool = False, remote: str = "", progress: Progress = QUIET
) -> Verified:
    """Look at everything that is tracked, and at every byte of the Store.

    Where the Catalog is wrong, it is corrected: it only repeats what the Packs say. Else nothing is changed without
    ``repair``. With it, damaged files go to quarantine, their good objects are kept, and what is tracked and missing
    or damaged is brought from a Remote, if there is one.
    """
    progress.start("finding what is tracked")
    kept = keep.tracked(repo, all_commits=all_commits)
    checked = verify.check(repo.store, progress=progress)
    repo.store.reread(checked.uncatalogued)
    unreadable = tuple(f"{keep.told(repo, place)}: {error.message}" for place, error in kept.unreadable.items())
    if not repair:
        return Verified(checked, tuple(_missing(repo, kept, checked.lost_of)), unreadable)
    repo.store.join()
    repo.store.packed.damaged.update(checked.packs)
    repo.store.quarantine(dict.fromkeys(checked.bad, "damaged"))
    fetched = _fetch(repo, kept, remote, progress) if remote or repo.config.remotes else 0
    now = _missing(repo, kept, lambda oids: dict.fromkeys(repo.store.missing(oids), "missing"))
    return Verified(checked, tuple(now), unreadable, repaired=True, fetched=fetched)


def _fetch(repo: Repo, kept: Kept, remote: str, progress: Progress) -> int:
    """Bring what is tracked and not here. The number of objects that came."""
    far = open_remote(repo, remote)
    try:
        far.jobs = repo.config.get("core.jobs")
        progress.start(f"asking '{far.name}' what it has")
        far.refresh()
        oids = manifest.objects_of(Chain(repo.hashing, lambda: repo.store, lambda: far), kept.contents, {})
        before = repo.store.missing(oids)
        if before:
            steps.fetch(repo.store, far, steps.plan_fetch(repo.store, far, oids), jobs=far.jobs, progress=progress)
        progress.finish()
        return len(before) - len(repo.store.missing(before))
    finally:
        far.close()


def _missing(repo: Repo, kept: Kept, lost_of: Callable[[set[bytes]], Lost]) -> Iterator[Missing]:
    """Every tracked file that cannot be had. ``lost_of`` tells which of some objects cannot, and why."""
    unread: Lost = {}
    lost = {**lost_of(manifest.objects_of(repo.store, kept.contents, unread)), **unread}
    for content, place in kept.contents.items() if lost else ():
        named = ""
        for path, reason in _of_content(repo, content, lost):
            named = named or keep.told(repo, place)
            yield Missing(place.tracked + path, reason, named)


def _of_content(repo: Repo, content: Content, lost: Lost) -> Iterator[tuple[str, str]]:
    """What of one tracked path is lost, each with the reason; the whole of it where nobody can tell."""
    try:
        if content.oid in lost:
            yield "", lost[content.oid]
        elif content.is_dir:
            for entry in manifest.entries_of(repo.store, content.oid):
                if entry.kind != EMPTY_DIR and entry.oid in lost:
                    yield f"/{entry.path}", lost[entry.oid]
    except (ObjectsMissingError, DamagedError) as error:
        yield "", reason_of(error)


def problem(found: Verified) -> MlvcError | None:
    """The error that ends a command which found something that is still wrong."""
    if found.missing:
        first = found.missing[0]
        more = f", and {len(found.missing) - 1} more" if len(found.missing) > 1 else ""
        return (DamagedError if first.reason == "damaged" else ObjectsMissingError)(
            f"{first.path} cannot be had: its object is {first.reason}{more}",
            hint="no remote has it; push it from a clone that does, or track the data again with `mlvc add`"
            if found.repaired
            else "`mlvc fsck --repair` brings it from a remote",
        )
    if found.unreadable:
        more = f" (and {len(found.unreadable) - 1} more)" if len(found.unreadable) > 1 else ""
        return FormatError(found.unreadable[0] + more, hint="bring it back as it was, with Git")
    if not found.repaired and found.checked.damaged:
        name = next(iter(found.checked.damaged))
        return DamagedError(f"{name} in the store is damaged", hint="`mlvc fsck --repair` keeps what is good of it")
    return None
