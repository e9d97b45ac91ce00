"""Runs on Remotes: which of them go there, and what reproduction asks of Remotes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mlvc import files, manifest, snapshot
from mlvc import transfer as steps
from mlvc.api.checkout import checkout
from mlvc.api.transfer import open_remote
from mlvc.errors import DamagedError, FormatError, ObjectsMissingError
from mlvc.manifest import EMPTY_DIR, EXECUTABLE, FILE, Entry
from mlvc.oid import Oid
from mlvc.pipeline.run import Run, RunCache, verified
from mlvc.pointer import Content
from mlvc.progress import Progress
from mlvc.repo import Repo
from mlvc.store.base import Lost, Reader
from mlvc.store.blobs import BUNDLES
from mlvc.store.bundles import Record, Records
from mlvc.store.chain import Chain
from mlvc.store.remote import RemoteStore


def run_cache(repo: Repo) -> RunCache:
    """The Runs that were recorded here."""
    return RunCache(os.path.join(repo.private, "runs"), repo.hashing)


# -- to a Remote -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """A Run that may go to a Remote: its record, and the objects of its outputs."""

    record: Record
    oids: frozenset[bytes]


def offers(repo: Repo, far: RemoteStore) -> list[Offer]:
    """The Runs that the Remote, whose listing was read, does not have, and all whose objects are here or there.

    Runs that nobody may look up are left out: those of commands that find what they made last time. So are those with
    an output that goes to no Remote, or to one of its own.
    """
    cache = run_cache(repo)
    apart = snapshot.on_disk(repo.git).homes.keys()
    found: list[tuple[Record, list[Content]]] = []
    for key in cache.keys():  # noqa: SIM118  (no mapping)
        data = files.read_or_none(cache.path_of(key)) or b""
        if data in far.bundles.get(key):
            continue
        run = verified(data, key, repo.hashing)
        if run is not None and apart.isdisjoint(run.outs) and not any(run.inputs.outs.values()):
            found.append(((key, data), list(run.contents)))
    both = Chain(repo.hashing, lambda: repo.store, lambda: far)
    all_ = objects(both, (content for _, outs in found for content in outs))
    every = frozenset[bytes]().union(*(oids for oids in all_.values() if oids is not None))
    nowhere = far.missing(repo.store.missing(every))
    made = []
    for record, outs in found:
        needed = [all_[content] for content in outs]
        whole = [oids for oids in needed if oids is not None and oids.isdisjoint(nowhere)]
        if len(whole) == len(needed):
            made.append(Offer(record, frozenset().union(*whole)))
    return made


def objects(reader: Reader, contents: Iterable[Content]) -> dict[Content, frozenset[bytes] | None]:
    """The Oids that each content needs; None where its Manifests cannot be had."""
    found: dict[Content, frozenset[bytes] | None] = {}
    for content in contents:
        if content not in found:
            lost: Lost = {}
            try:
                oids = manifest.objects_of(reader, [content], lost)
            except FormatError:  # a record may call a file a directory
                oids, lost = set(), {content.oid: "damaged"}
            found[content] = None if lost else frozenset(oids)
    return found


# -- from Remotes ------------------------------------------------------------------------------


def known(repo: Repo) -> list[Records]:
    """The records of Runs that were fetched from Remotes; nobody is asked."""
    place = os.path.join(repo.private, "remotes")
    names = sorted(os.listdir(place)) if os.path.isdir(place) else []
    return [Records(repo.hashing, os.path.join(place, name, BUNDLES)) for name in names]


class Afar:
    """Remotes as one command asks them: each is listed once, the first when this is made, the others when needed.

    ``bring``: whether what is asked for is fetched; else it is only looked for.
    """

    def __init__(self, repo: Repo, names: Sequence[str], progress: Progress, *, bring: bool) -> None:
        self._repo = repo
        self._progress = progress
        self._brings = bring
        self._left = list(dict.fromkeys(names))
        self._opened: list[RemoteStore] = []
        self._next()

    def _next(self) -> RemoteStore:
        far = open_remote(self._repo, self._left.pop(0))
        self._opened.append(far)
        self._progress.start(f"asking '{far.name}' what it has")
        far.refresh()
        far.fetch_records(keep=self._brings)
        self._progress.finish()
        return far

    def _all(self) -> Iterator[RemoteStore]:
        yield from self._opened
        while self._left:
            yield self._next()

    def records(self, key: Oid) -> Iterator[bytes]:
        """What the first Remote says of the Run ``key``."""
        yield from self._opened[0].bundles.get(key)

    def has(self, contents: Collection[Content]) -> bool:
        """Whether all objects of ``contents`` can be had; they are here then, if this brings them."""
        store = self._repo.store
        left = self._absent(contents)
        for far in self._all() if left else ():
            both = Chain(self._repo.hashing, lambda: store, lambda far=far: far)  # type: ignore[misc]
            there = {
                content: oids
                for content, oids in objects(both, left).items()
                if oids is not None and not far.missing(store.missing(oids))
            }
            if there and self._brings:
                self._fetch(far, frozenset().union(*there.values()))
                left = self._absent(left)
            else:
                left = [content for content in left if content not in there]
            if not left:
                break
        return not left

    def _fetch(self, far: RemoteStore, oids: Iterable[bytes]) -> None:
        plan = steps.plan_fetch(self._repo.store, far, oids)
        jobs = self._repo.config.get("core.jobs")
        steps.fetch(self._repo.store, far, plan, jobs=jobs, progress=self._progress)
        self._progress.finish()

    def _absent(self, contents: Iterable[Content]) -> list[Content]:
        """Those that are not here whole."""
        store = self._repo.store
        return [content for content, oids in objects(store, contents).items() if oids is None or store.missing(oids)]

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Meanwhile nothing is fetched."""
        before, self._brings = self._brings, False
        try:
            yield
        finally:
            self._brings = before

    def read(self, content: Content, path: str) -> list[Entry]:
        """The entry at ``path`` of a directory, or all below it; nothing where its Manifests cannot be had."""
        for far in self._all():
            lost: Lost = {}
            both = Chain(self._repo.hashing, lambda: self._repo.store, lambda far=far: far)  # type: ignore[misc]
            manifest.objects_of(both, [content], lost)
            if not lost:
                return manifest.find(both, content.oid, path)
        return []

    def close(self) -> None:
        """Let go of all of them."""
        for far in self._opened:
            far.close()


@contextmanager
def afar(repo: Repo, names: Sequence[str], progress: Progress, *, bring: bool) -> Iterator[Afar]:
    """Remotes by name; RemoteError where the first cannot be used."""
    found = Afar(repo, names, progress, bring=bring)
    try:
        yield found
    finally:
        found.close()


@dataclass(frozen=True, slots=True)
class SharedRuns:
    """The Runs that are known: those recorded here, then those from Remotes. See tools.Runs."""

    own: RunCache
    fetched: Sequence[Records]
    afar: Afar | None = None

    def lookup(self, key: Oid) -> Run | None:
        """The Run of ``key``; of several that differ, one whose outputs can be had, if there is one."""
        run = self.own.lookup(key)
        return run if run is not None and self.afar is None else self._chosen(key, run)

    def _chosen(self, key: Oid, own: Run | None) -> Run | None:
        found = [] if own is None else [own]
        for record in self._records(key):
            run = verified(record, key, self.own.hashing)
            if run is not None and all(run.outs != other.outs for other in found):
                found.append(run)
        if len(found) > 1 and self.afar is not None:
            found.sort(key=lambda run: not self._can_be_had(run))
        return found[0] if found else None

    def _can_be_had(self, run: Run) -> bool:
        return self.afar is not None and self.afar.has(list(run.outs.values()))

    def _records(self, key: Oid) -> Iterator[bytes]:
        for records in self.fetched:
            yield from records.get(key)
        if self.afar is not None:
            yield from self.afar.records(key)

    def put(self, run: Run) -> None:
        """Record a Run here."""
        self.own.put(run)


# -- what is recorded and not here -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is recorded of paths with nothing in the working tree: it is taken to be there until it is needed."""

    repo: Repo
    contents: Mapping[str, Content]
    afar: Afar | None = None

    def content(self, path: str) -> Content | None:
        """What is recorded of ``path``, or of it as a part of a directory; None where nothing is."""
        if path in self.contents:
            return self.contents[path]
        top, inner = self._top(path)
        entries = self._below(self.contents[top], inner) if top else []
        if len(entries) == 1 and entries[0].path == inner:
            entry = entries[0]
            kind = {EXECUTABLE: "executable", FILE: "file"}.get(entry.kind)
            return Content(kind, Oid(entry.oid), entry.size) if kind else None
        below = [entry._replace(path=entry.path[len(inner) + 1 :]) for entry in entries]
        return manifest.build(below, self.repo.hashing)[0] if below else None

    def _top(self, path: str) -> tuple[str, str]:
        """The recorded directory that ``path`` lies in, and the rest of it."""
        top = next((parent for parent in snapshot.parents(path) if parent in self.contents), "")
        return (top, path[len(top) + 1 :]) if top and self.contents[top].is_dir else ("", "")

    def _below(self, content: Content, inner: str) -> list[Entry]:
        try:
            return manifest.find(self.repo.store, content.oid, inner)
        except (ObjectsMissingError, DamagedError):
            return self.afar.read(content, inner) if self.afar is not None else []

    def bring(self, paths: Iterable[str], progress: Progress) -> None:
        """Put those of ``paths`` that are only recorded into the working tree.

        ObjectsMissingError or DamagedError where that cannot be done.
        """
        wanted = [path for path in paths if not files.exists(f"{self.repo.root}/{path}") and self._is_recorded(path)]
        if not wanted:
            return
        if self.afar is not None:
            self._fetch(self.afar, wanted)
        done = checkout(self.repo, [f"{self.repo.root}/{path}" for path in wanted], progress=progress)
        for path, reason in done.lost.items():
            kind = DamagedError if reason == "damaged" else ObjectsMissingError
            raise kind(f"{path} is needed and cannot be had: its object is {reason}", hint=_BRING)

    def _is_recorded(self, path: str) -> bool:
        return path in self.contents or bool(self._top(path)[0])

    def _fetch(self, afar: Afar, paths: Iterable[str]) -> None:
        afar.has([self.contents[path] for path in paths if path in self.contents])
        for path in paths:
            if path not in self.contents:
                top, inner = self._top(path)
                entries = afar.read(self.contents[top], inner)
                afar.has([Content("file", Oid(entry.oid), entry.size) for entry in entries if entry.kind != EMPTY_DIR])


_BRING = "`mlvc pull` gets it, and so does `mlvc repro --pull`"
