"""Runs on Remotes: which of them go there, and what reproduction asks of Remotes."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from mlvc import files, manifest, snapshot
from mlvc import transfer as steps
from mlvc.api.checkout import checkout
from mlvc.api.lost import hint as hint_of
from mlvc.api.remotes import open_remote
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
    """A Run that may go to a Remote: its record, the objects of its outputs, and whether the record is not there."""

    record: Record
    oids: frozenset[bytes]
    is_new: bool


def offers(repo: Repo, far: RemoteStore) -> list[Offer]:
    """The Runs all whose objects are here or on the Remote, whose listing was read.

    Those whose records are there already are among them: the Remote may have lost some of their objects. Runs that
    nobody may look up are left out: those of commands that find what they made last time. So are those with an output
    that goes to no Remote, or to one of its own.
    """
    cache = run_cache(repo)
    apart = snapshot.on_disk(repo.git).homes.keys()
    found: list[tuple[Record, list[Content]]] = []
    for key in cache.keys():  # noqa: SIM118  (no mapping)
        data = files.read_or_none(cache.path_of(key)) or b""
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
            made.append(Offer(record, frozenset().union(*whole), record[1] not in far.bundles.get(record[0])))
    return made


def objects(reader: Reader, contents: Iterable[Content]) -> dict[Content, frozenset[bytes] | None]:
    """The Oids that each content needs; None where its Manifests cannot be had."""
    return {content: None if lost else oids for content, (oids, lost) in _needed(reader, contents).items()}


def _needed(reader: Reader, contents: Iterable[Content]) -> dict[Content, tuple[frozenset[bytes], Lost]]:
    """The Oids that each content needs, and those of its Manifests that cannot be had."""
    found: dict[Content, tuple[frozenset[bytes], Lost]] = {}
    for content in contents:
        if content not in found:
            lost: Lost = {}
            try:
                oids = manifest.objects_of(reader, [content], lost)
            except FormatError:  # a record may call a file a directory
                oids, lost = set(), {content.oid: "damaged"}
            found[content] = frozenset(oids), lost
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
        self._bad: dict[str, set[bytes]] = {}
        """What a fetch from each Remote did not bring although its listing shows it."""
        self._lost: dict[Content, str] = {}
        self._next()

    def _next(self) -> RemoteStore:
        far = open_remote(self._repo, self._left.pop(0))
        self._opened.append(far)
        self._progress.start(f"asking '{far.name}' what it has")
        far.refresh()
        far.fetch_records(keep=self._brings)
        self._progress.finish()
        steps.tell_damage(far, (), self._progress)
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
        for content in contents:
            self._lost.pop(content, None)
        left = self._absent(contents)
        why: dict[Content, dict[str, str]] = {content: {} for content in left}
        for far in self._all() if left else ():
            there: set[bytes] = set()
            for content, (oids, reason) in self._there(far, left).items():
                why[content][far.name] = reason
                there |= oids if not reason else set()
            if self._brings:
                left = self._brought(far, there, left, why)
            else:
                left = [content for content in left if why[content][far.name]]
            if not left:
                break
        self._lost.update((content, _because(why[content])) for content in left)
        return not left

    def why(self, content: Content) -> str:
        """Why ``content`` was not to be had when it was last asked for, with the Remotes; '' where it was."""
        return self._lost.get(content, "")

    def _there(self, far: RemoteStore, contents: Collection[Content]) -> dict[Content, tuple[frozenset[bytes], str]]:
        """What each content needs, and why a Remote and the Store together do not have all of it; '' where they do."""
        store = self._repo.store
        both = Chain(self._repo.hashing, lambda: store, lambda: far)
        bad = self._bad.get(far.name, set())
        found = {}
        for content, (oids, lost) in _needed(both, contents).items():
            absent = store.missing(oids)
            reason = "damaged" if "damaged" in lost.values() or not bad.isdisjoint(absent) else ""
            found[content] = oids, reason or ("missing" if lost or far.missing(absent) else "")
        return found

    def _brought(
        self, far: RemoteStore, oids: set[bytes], left: Iterable[Content], why: Mapping[Content, dict[str, str]]
    ) -> list[Content]:
        """Fetch what a Remote has. Those of ``left`` that are not here afterwards either."""
        if oids:
            plan = steps.plan_fetch(self._repo.store, far, oids)
            jobs = self._repo.config.get("core.jobs")
            steps.fetch(self._repo.store, far, plan, jobs=jobs, progress=self._progress)
            self._bad.setdefault(far.name, set()).update(self._repo.store.missing(oids))
            self._progress.finish()
        far.found_bad(far.packed.damaged)
        steps.tell_damage(far, far.packed.damaged, self._progress)
        left = self._absent(left)
        for content in left:
            why[content][far.name] = why[content][far.name] or "damaged"
        return left

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


def _because(reasons: Mapping[str, str]) -> str:
    """Why something cannot be had, of the reasons of each Remote that was asked."""
    worst = "damaged" if "damaged" in reasons.values() else "missing"
    names = " and ".join(f"'{name}'" for name, reason in reasons.items() if reason == worst)
    return f"{worst} on remote {names}"


# -- what is recorded and not here -------------------------------------------------------------


class Recorded:
    """What is recorded of paths with nothing in the working tree: it is taken to be there until it is needed."""

    def __init__(self, repo: Repo, read: Callable[[], Mapping[str, Content]], afar: Afar | None = None) -> None:
        """``read`` gives what is recorded, and is called when the first path turns out to be absent."""
        self.repo = repo
        self.afar = afar
        self._read = read

    @cached_property
    def contents(self) -> Mapping[str, Content]:
        """What is recorded, by path."""
        return self._read()

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
            told = self._why(path) or reason
            kind = DamagedError if told.startswith("damaged") else ObjectsMissingError
            hint = hint_of("fetched", told.partition(" ")[0]) if self.afar is not None else _BRING
            raise kind(f"{path} is needed and cannot be had: its object is {told}", hint=hint)

    def _why(self, path: str) -> str:
        """Why what is recorded of ``path``, or of what it lies in, could not be fetched; '' where nobody was asked."""
        if self.afar is None:
            return ""
        top = path if path in self.contents else self._top(path)[0]
        content = self.content(path)
        told = self.afar.why(content) if content is not None else ""
        return told or (self.afar.why(self.contents[top]) if top else "")

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
