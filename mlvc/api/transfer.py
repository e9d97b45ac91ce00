"""``push``, ``fetch`` and ``pull``: objects to a Remote and back."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from mlvc import git, manifest, snapshot
from mlvc import transfer as steps
from mlvc.api import named
from mlvc.api.remotes import chosen, open_remote
from mlvc.errors import DamagedError, FormatError, ObjectsMissingError, WouldOverwriteError
from mlvc.pointer import Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.store.base import Lost, Reader
from mlvc.store.chain import Chain
from mlvc.store.remote import RemoteStore
from mlvc.workspace.link import HARDLINK, SYMLINK

if TYPE_CHECKING:
    from mlvc.api.checkout import CheckedOut
    from mlvc.api.sharing import Offer


@dataclass(frozen=True, slots=True)
class Which:
    """What is to be transferred: tracked paths, and the revisions to look at (none: the working tree)."""

    targets: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    all_branches: bool = False
    all_tags: bool = False
    all_commits: bool = False


@dataclass(frozen=True, slots=True)
class Transferred:
    """What was moved, or would be. Sizes in bytes; ``lost``: tracked paths with the reason for each.

    ``unreadable``: what is wrong with Pointers that cannot be read, and whose objects nobody can tell. ``paths``: the
    tracked paths that were looked at. ``runs``: records of Runs that were new where they went. ``damaged``: addresses
    of bundles of Runs on the Remote that are damaged.
    """

    remote: str
    objects: int
    size: int
    packs: int
    lost: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[FormatError, ...] = ()
    paths: tuple[str, ...] = ()
    runs: int = 0
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull fetched and checked out."""

    fetched: Transferred
    checked_out: CheckedOut


def push(
    repo: Repo,
    which: Which,
    *,
    remote: str = "",
    jobs: int = 0,
    run_cache: bool = False,
    dry_run: bool = False,
    progress: Progress = QUIET,
) -> Transferred:
    """Send every object of the chosen paths that the Remote's listing does not show.

    With ``run_cache``, or where the settings say so, the Runs go along: first the objects of their outputs, then they.
    """
    asked = _contents(repo, which, "push", progress)
    shared = run_cache or is_shared(repo)
    done = push_all(repo, asked, remote=remote, jobs=jobs, run_cache=shared, dry_run=dry_run, progress=progress)
    return replace(done, unreadable=asked.unreadable)


def push_all(
    repo: Repo,
    asked: Asked,
    *,
    remote: str = "",
    jobs: int = 0,
    run_cache: bool = False,
    dry_run: bool = False,
    progress: Progress = QUIET,
) -> Transferred:
    """Send each content to the Remote that it belongs on. Runs go to the first one."""
    done: list[Transferred] = []
    for name, contents in _by_remote(repo, asked, remote, runs=run_cache).items():
        runs = run_cache and not done
        done.append(
            _push_to(repo, contents, remote=name, jobs=jobs, run_cache=runs, dry_run=dry_run, progress=progress)
        )
    return _together(done)


def _together(done: Sequence[Transferred]) -> Transferred:
    """What was moved to or from several Remotes, as one."""
    first = done[0]
    for more in done[1:]:
        first = Transferred(
            f"{first.remote}, {more.remote}",
            first.objects + more.objects,
            first.size + more.size,
            first.packs + more.packs,
            {**first.lost, **more.lost},
            first.unreadable,
            (*first.paths, *more.paths),
            first.runs + more.runs,
            (*first.damaged, *more.damaged),
        )
    return first


def _by_remote(repo: Repo, asked: Asked, remote: str, *, runs: bool) -> dict[str, Wanted]:
    """What belongs on each Remote, first on ``remote`` or the default one, if that is concerned.

    Without what belongs on none, and, where ``remote`` is given, without what belongs on another one.
    """
    groups: dict[str, dict[tuple[str, Content], tuple[str, ...]]] = {}
    if runs or not any(asked.homes.get(item, "") for item in asked.contents):
        groups[chosen(repo.config, remote)] = {}
    for item, parts in asked.contents.items():
        home = asked.homes.get(item, "")
        if home is not None and not (home and remote and home != remote):
            groups.setdefault(chosen(repo.config, home or remote), {})[item] = parts
    return dict(groups) or {chosen(repo.config, remote): {}}


def is_shared(repo: Repo) -> bool:
    """Whether the settings say that Runs always go along."""
    return bool(repo.config.get("run.share") == "always")


def _push_to(
    repo: Repo,
    contents: Wanted,
    *,
    remote: str = "",
    jobs: int = 0,
    run_cache: bool = False,
    dry_run: bool = False,
    progress: Progress = QUIET,
) -> Transferred:
    """Send every object of these contents, and with ``run_cache`` all Runs, that the Remote's listing does not show."""
    lost: Lost = {}
    progress.start("looking up objects")
    oids = _objects(repo, repo.store, contents, lost)
    far = open_remote(repo, remote)
    progress.start(f"asking '{far.name}' what it has")
    try:
        far.begin()
        if not (dry_run and far.is_new):  # nothing is there yet, and nothing is made
            far.refresh()
        offers = _offers(repo, far, dry_run=dry_run) if run_cache else []
        progress.start(_comparing(oids, far))
        every = oids.union(*(offer.oids for offer in offers))
        plan = steps.plan_push(repo.store, far, every)
        plan.lost.update({oid: reason for oid, reason in lost.items() if oid in far.missing([oid])})
        if dry_run:
            result = steps.Result(plan.objects, plan.size, 0, plan.lost)
            copied = far.bundles.copied().values()
            runs = sum(offer.is_new for offer in offers) + sum(len(records) for records in copied)
        else:
            result = steps.push(repo.store, far, plan, jobs=jobs or repo.config.get("core.jobs"), progress=progress)
            left = set() if result.whole and not lost else far.missing(every)
            result = replace(result, lost=_truth(left & oids, {**lost, **result.lost}))
            whole = [offer.record for offer in offers if left.isdisjoint(offer.oids)]
            runs = far.send_records(whole) if whole or far.bundles.damaged else 0
        progress.finish()
        return replace(_told(far.name, result, repo.store, contents), runs=runs, damaged=tuple(far.bad_bundles()))
    finally:
        far.close()


def _offers(repo: Repo, far: RemoteStore, *, dry_run: bool) -> list[Offer]:
    from mlvc.api.sharing import offers  # noqa: PLC0415  (only where Runs are shared)

    # As of fragments: only a push can mend what was read long ago and is damaged by now. Nearby, looking costs nothing.
    far.fetch_records(keep=not dry_run, again=far.is_near)
    return offers(repo, far)


def fetch(
    repo: Repo,
    which: Which,
    *,
    remote: str = "",
    jobs: int = 0,
    run_cache: bool = False,
    dry_run: bool = False,
    progress: Progress = QUIET,
) -> Transferred:
    """Bring every object of the chosen paths that is not here. The working tree is not touched.

    With ``run_cache``, or where the settings say so, the records of all Runs there are brought, without what they made.
    """
    shared = run_cache or is_shared(repo)
    with _far(repo, "fetch", which, remote=remote, jobs=jobs, runs=shared, progress=progress) as source:
        return _fetch(repo, source, run_cache=shared, dry_run=dry_run, progress=progress)


class _Source(NamedTuple):
    """A Remote to fetch from, its listing read, and what is wanted of it."""

    far: RemoteStore
    contents: Wanted
    asked: Asked
    others: Mapping[str, Wanted]
    """What is wanted of other Remotes."""


@contextmanager
def _far(
    repo: Repo, command: str, which: Which, *, remote: str, jobs: int, runs: bool, progress: Progress
) -> Iterator[_Source]:
    asked = _contents(repo, which, command, progress)
    (name, contents), *others = _by_remote(repo, asked, remote, runs=runs).items()
    with _listed(repo, name, jobs, progress) as far:
        yield _Source(far, contents, asked, dict(others))


@contextmanager
def _listed(repo: Repo, name: str, jobs: int, progress: Progress) -> Iterator[RemoteStore]:
    far = open_remote(repo, name)
    try:
        far.jobs = jobs or repo.config.get("core.jobs")
        progress.start(f"asking '{far.name}' what it has")
        far.refresh()
        yield far
    finally:
        far.close()


def _fetch(
    repo: Repo, source: _Source, *, run_cache: bool, dry_run: bool, progress: Progress, copies: bool = False
) -> Transferred:
    far = source.far
    if not dry_run:
        repo.store.join()
    done = [_fetch_from(repo, far, source.contents, dry_run=dry_run, progress=progress, copies=copies)]
    runs = far.fetch_records(keep=not dry_run) if run_cache else 0
    for name, contents in source.others.items():
        with _listed(repo, name, far.jobs, progress) as other:
            done.append(_fetch_from(repo, other, contents, dry_run=dry_run, progress=progress, copies=copies))
    for path in nowhere(repo, source.asked):
        progress.note(f"{path} is on no Remote, as its stage says: `mlvc repro` makes it")
    for name in sorted(far.bundles.strange):
        progress.note(f"a bundle of Runs on remote '{far.name}' is of another version, and was left out: {name}")
    return replace(_together(done), unreadable=source.asked.unreadable, runs=runs, damaged=tuple(far.bad_bundles()))


def nowhere(repo: Repo, asked: Asked) -> list[str]:
    """The paths of outputs that belong on no Remote, and are not here either."""
    kept = {path: content for path, content in asked.contents if asked.homes.get((path, content), "") is None}
    found = []
    for path, content in kept.items():
        lost: Lost = {}
        if repo.store.missing(manifest.objects_of(repo.store, [content], lost)) or lost:
            found.append(path)
    return found


def _fetch_from(
    repo: Repo, far: RemoteStore, contents: Wanted, *, dry_run: bool, progress: Progress, copies: bool
) -> Transferred:
    both = Chain(repo.hashing, lambda: repo.store, lambda: far)
    lost: Lost = {}
    progress.start("looking up objects")
    oids = _objects(repo, both, contents, lost)
    progress.start(_comparing(oids, far))
    plan = steps.plan_fetch(repo.store, far, oids)
    plan.lost.update({oid: reason for oid, reason in lost.items() if oid not in plan.lost})
    if dry_run:
        result = steps.Result(plan.objects, plan.size, 0, plan.lost)
    else:
        copied = copies and _is_copied(repo)
        result = steps.fetch(repo.store, far, plan, jobs=far.jobs, copies=copied, progress=progress)
        result = replace(result, lost=_truth(repo.store.missing(oids), {**lost, **result.lost}))
    progress.finish()
    return _told(far.name, result, both, contents)


def pull(
    repo: Repo,
    which: Which,
    *,
    remote: str = "",
    jobs: int = 0,
    run_cache: bool = False,
    force: bool = False,
    dry_run: bool = False,
    progress: Progress = QUIET,
) -> Pulled:
    """Fetch, then check out what was fetched. What could not be fetched is named, the rest is done.

    The ``result`` of a WouldOverwriteError tells what was fetched before it: that is in the Store.
    """
    # What is fetched for other revisions is not wanted as a file.
    one = len(which.revisions) < 2 and not (which.all_branches or which.all_tags or which.all_commits)
    from mlvc.api.checkout import CheckedOut, checkout  # noqa: PLC0415  (push and fetch do without)

    rev = which.revisions[-1] if which.revisions else ""
    shared = run_cache or is_shared(repo)
    with _far(repo, "pull", which, remote=remote, jobs=jobs, runs=shared, progress=progress) as source:
        fetched = _fetch(repo, source, run_cache=shared, dry_run=dry_run, progress=progress, copies=one)
        if dry_run:
            # What would come is in manifests that may be on the Remote alone.
            both = Chain(repo.hashing, lambda: repo.store, lambda: source.far)
            done = checkout(repo, which.targets, rev=rev, force=force, dry_run=True, reader=both, progress=progress)
            return Pulled(fetched, _without(done, nowhere(repo, source.asked)))
    try:
        done = checkout(repo, which.targets, rev=rev, force=force, progress=progress)
    except WouldOverwriteError as error:
        error.result = Pulled(fetched, CheckedOut((), {}))
        raise
    return Pulled(fetched, _without(done, nowhere(repo, source.asked)))


def _without(done: CheckedOut, paths: Collection[str]) -> CheckedOut:
    """What was checked out, where nobody expects ``paths`` to be."""
    return replace(done, lost={path: why for path, why in done.lost.items() if not snapshot.within(path, paths)})


def _is_copied(repo: Repo) -> bool:
    """Whether checkout makes a large file by copying it, onto the file system that the Store is on."""
    same = os.stat(repo.store.root).st_dev == os.stat(repo.root).st_dev
    return same and not {HARDLINK, SYMLINK}.intersection(repo.links)


def _comparing(oids: Collection[bytes], far: RemoteStore) -> str:
    return f"comparing {len(oids):,} {'object' if len(oids) == 1 else 'objects'} with those of '{far.name}'"


Wanted = Mapping[tuple[str, Content], tuple[str, ...]]
"""Every content to transfer, with its path, and the parts of it that are asked for; none: all of it."""


def _objects(repo: Repo, reader: Reader, wanted: Wanted, lost: Lost) -> set[bytes]:
    """The Oids of all that is to be transferred. UsageError for a part that none of the contents of its path has."""
    oids = manifest.objects_of(reader, (content for (_, content), parts in wanted.items() if not parts), lost)
    never: dict[str, set[str]] = {}
    for (path, content), parts in wanted.items():
        if parts:
            names = [part[len(path) + 1 :] for part in parts]
            absent = set(names)
            if content.is_dir:
                found, absent = manifest.objects_below(reader, content, names, lost)
                oids |= found
            never[path] = never.get(path, absent) & absent
    for path, absent in never.items():
        if absent:
            raise snapshot.not_part(repo.root, f"{path}/{min(absent)}", path, repo.cwd)
    return oids


class Asked(NamedTuple):
    """What is to be transferred; a path may have several contents.

    ``homes``: the only Remote that one belongs on; None for one that belongs on none. ``unreadable``: what is wrong
    with what cannot be read.
    """

    contents: Wanted
    homes: Mapping[tuple[str, Content], str | None]
    unreadable: tuple[FormatError, ...] = ()


def _contents(repo: Repo, which: Which, command: str, progress: Progress) -> Asked:
    progress.start("reading Pointers")
    if which.all_commits and git.is_shallow(repo.git):
        progress.note("the history of this clone is cut: without older commits (`git fetch --unshallow` brings them)")
    targets = [repo.path(target) for target in which.targets]
    names = {git.resolve(repo.git, name): name for name in which.revisions}
    revisions = list(names)
    if which.all_branches or which.all_tags or which.all_commits:
        revisions += git.revisions(
            repo.git, branches=which.all_branches, tags=which.all_tags, commits=which.all_commits
        )
    shots = [snapshot.at(repo.git, revision, names.get(revision, "")) for revision in dict.fromkeys(revisions)]
    if not which.revisions:
        shots.append(snapshot.on_disk(repo.git))
    found: dict[tuple[str, Content], tuple[str, ...]] = {}
    homes: dict[tuple[str, Content], str | None] = {}
    unreadable: dict[str, FormatError] = {}
    never = set(targets)
    for shot in shots:
        chosen, bad, unknown = snapshot.choose(shot, targets)
        never &= set(unknown)
        unreadable.update((error.message, error) for error in bad.values())
        parts = snapshot.inside(chosen, targets)
        found.update((item, parts.get(item[0], ())) for item in chosen.items())
        # What the last one says counts: that is the working tree, or the revision that was named last.
        homes.update((item, shot.homes.get(item[0], "")) for item in chosen.items())
    for typed, target in zip(which.targets, targets, strict=True):
        if target in never:
            raise named.untracked(repo, typed, command, [] if len(shots) > len(names) else which.revisions)
    return Asked(found, homes, tuple(unreadable.values()))


def _truth(missing: Iterable[bytes], lost: Lost) -> Lost:
    """What really is not there after a transfer, each with its reason; a large object has that of its chunks."""
    reason = "damaged" if "damaged" in lost.values() else "missing"
    return {oid: lost.get(oid, reason) for oid in missing}


def _told(remote: str, result: steps.Result, reader: Reader, contents: Iterable[tuple[str, Content]]) -> Transferred:
    lost = paths_of(reader, contents, result.lost) if result.lost else {}
    paths = tuple(dict.fromkeys(path for path, _ in contents))
    return Transferred(remote, result.objects, result.size, result.packs, lost, paths=paths)


def paths_of(reader: Reader, contents: Iterable[tuple[str, Content]], lost: Lost) -> dict[str, str]:
    """The paths that lost objects belong to, each with its reason."""
    found: dict[str, str] = {}
    named: set[bytes] = set()
    hidden: list[str] = []
    for path, content in contents:
        if content.oid in lost:
            found[path] = lost[content.oid]
            named.add(content.oid)
        if not content.is_dir:
            continue
        try:
            entries = manifest.entries_of(reader, content.oid)
        except (ObjectsMissingError, DamagedError):
            # What it names cannot be told: anything that nothing else names.
            hidden.append(path)
            continue
        for entry in entries:
            if entry.oid in lost:
                found[f"{path}/{entry.path}"] = lost[entry.oid]
                named.add(entry.oid)
    rest = lost.keys() - named
    reason = "damaged" if "damaged" in {lost[oid] for oid in rest} else "missing"
    found.update((path, reason) for path in hidden if path not in found)
    if not hidden:
        found.update((f"(object {oid.hex()[:10]})", lost[oid]) for oid in rest)
    return found


__all__ = ["Pulled", "Transferred", "Which", "fetch", "paths_of", "pull", "push", "push_all"]
