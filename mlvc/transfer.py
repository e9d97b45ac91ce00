"""Oids from Store to Remote and back. Plan first: what is missing there, and which Packs bring it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate, chain, groupby
from typing import TypeVar

from mlvc import files
from mlvc.chunking import chunks
from mlvc.errors import DamagedError, FormatError
from mlvc.progress import QUIET, Progress
from mlvc.store.base import Lost
from mlvc.store.catalog import Location
from mlvc.store.copies import NOTHING, Copies, CopyPlan, plan_copies
from mlvc.store.local import LocalStore
from mlvc.store.pack import DATA, RECIPE, PackIndex, PackWriter, SealedPack, encode_recipe
from mlvc.store.remote import RemoteStore

T = TypeVar("T")
R = TypeVar("R")
_SMALL_PACK = 16 << 20
"""Packs below this size are sent joined, so that many small additions are not many files on the Remote."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a transfer did. ``lost``: objects that could not be moved, with the reason.

    ``whole``: everything that was missing, chunk by chunk, was in what was sent.
    """

    objects: int = 0
    size: int = 0
    packs: int = 0
    lost: Lost = field(default_factory=dict)
    whole: bool = False


# -- push --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What a push has to send: Packs as they are, objects out of other Packs, loose objects."""

    whole: tuple[str, ...]
    picked: tuple[Location, ...]
    loose: tuple[bytes, ...]
    objects: int
    size: int
    lost: Lost
    missing: frozenset[bytes] = frozenset()


def plan_push(store: LocalStore, remote: RemoteStore, oids: Iterable[bytes]) -> PushPlan:
    """Compare what ``oids`` need with what the Remote's listing says is there."""
    wanted = set(oids)
    # What is not in Packs with all its chunks is had as a whole file, or not at all.
    elsewhere = store.packed.missing(wanted)
    packed = store.packed.members(wanted - elsewhere)
    missing = remote.packed.missing(packed | elsewhere)
    loose = store.loose.present(missing & elsewhere)
    here = missing & packed
    sizes = store.packed.catalog.packs()
    if len(here) == len(store.packed.catalog) and sum(size < _SMALL_PACK for size in sizes.values()) < 2:
        whole, rest = list(sizes), []  # a first push, of all that there is
    else:
        by_pack = store.packed.catalog.shares(here)
        counts = store.packed.catalog.counts()
        complete = [name for name, members in by_pack.items() if len(members) == counts[name]]
        small = [name for name in complete if sizes[name] < _SMALL_PACK]
        joined = set(small) if len(small) > 1 else set()
        whole = [name for name in complete if name not in joined]
        rest = [oid for name, members in by_pack.items() if name not in whole for oid in members]
        here = set().union(*by_pack.values())
    lost: Lost = dict.fromkeys(missing.difference(loose, here), "missing")
    picked = store.packed.catalog.locate(rest)
    size = sum(sizes[name] for name in whole) + sum(location.length for location in picked)
    size += sum(os.stat(store.loose.path(oid)).st_size for oid in loose)
    return PushPlan(
        tuple(whole), tuple(picked), tuple(sorted(loose)), len(missing) - len(lost), size, lost, frozenset(missing)
    )


def push(
    store: LocalStore, remote: RemoteStore, plan: PushPlan, *, jobs: int = 4, progress: Progress = QUIET
) -> Result:
    """Send what ``plan`` says: Packs first, durable, then the fragment that makes them visible.

    Everything is hashed on its way. What turns out damaged is not sent and is in ``lost``; the rest is.
    A Remote is made when there is something for it; RemoteError where there is none, and nothing of what it should
    have is here: then the data is elsewhere, and perhaps the Remote too.
    """
    lost = dict(plan.lost)
    if plan.whole or plan.picked or plan.loose:
        remote.make()
    elif remote.is_new and lost:
        raise remote.absent("nothing that is tracked is here to be sent, and nothing is")
    progress.start(f"sending to '{remote.name}'", objects=plan.objects, total=plan.size)
    sender = _Sender(store, remote, progress)
    picked = [*plan.picked, *sender.send_whole(plan.whole, jobs)]
    if picked or plan.loose:
        with PackWriter(store.scratch, store.hashing, sealed=sender.send_new) as writer:
            _repack(store, picked, writer, lost)
            there: set[bytes] = set()
            for oid in plan.loose:
                _cut(store, oid, writer, lost, there, remote)
            sender.sent += [remote.index_of(pack) for pack in writer.finish()]
    if sender.sent:
        remote.publish(sender.sent)
    if any(reason == "damaged" for reason in lost.values()):
        store.quarantine(lost)
    if not lost:
        remote.settled()
    whole = not plan.missing.difference(*(index.oids for _, _, index in sender.sent))
    size = sum(size for _, size, _ in sender.sent)
    return Result(plan.objects - len(lost) + len(plan.lost), size, len(sender.sent), lost, whole)


class _Sender:
    """Uploads Packs. ``sent``: those that are there, to be published."""

    def __init__(self, store: LocalStore, remote: RemoteStore, progress: Progress) -> None:
        self.sent: list[tuple[str, int, PackIndex]] = []
        self._store = store
        self._remote = remote
        self._sizes = store.packed.catalog.packs()
        self._progress = progress

    def send_whole(self, names: Sequence[str], jobs: int) -> list[Location]:
        """Send Packs as they are. What lies in those that are damaged, and is to be sent in another Pack."""
        picked: list[Location] = []
        for name, answer in _parallel(self._send, names, jobs, meanwhile=lambda: self._expect(names)):
            if isinstance(answer, DamagedError):
                picked += self._store.packed.catalog.members(name)
            else:
                self.sent.append(answer)
        return picked

    def send_new(self, pack: SealedPack) -> None:
        """Send a Pack that was just written, and remove it."""
        self._upload(pack.path, pack.name, pack.size)
        self._progress.advance(objects=len(pack.index.oids))
        files.remove(pack.path)

    def _send(self, name: str) -> tuple[str, int, PackIndex]:
        size = self._sizes[name]
        self._upload(self._store.pack_path(name), name, size)
        index = self._store.pack_index(name, size)
        self._progress.advance(objects=len(index.oids))
        return name, size, index

    def _upload(self, path: str, name: str, size: int) -> None:
        self._remote.upload(path, name, size, lambda count: self._progress.advance(size=count))

    def _expect(self, names: Sequence[str]) -> None:
        """While Packs are on their way, make the Catalog of the Remote ready for what is in them."""
        with suppress(DamagedError, FormatError, OSError):  # the sending of that Pack says what is wrong
            self._remote.catalog.expect([(name, self._store.pack_index(name, self._sizes[name])) for name in names])


def _repack(store: LocalStore, picked: Sequence[Location], writer: PackWriter, lost: Lost) -> None:
    """New Packs of objects from others."""
    data = {location.oid for location in picked if location.kind == DATA}
    for oid, content in store.packed.read(data, lost):
        writer.add(oid, DATA, bytes(content))
    for location in picked:
        if location.kind == RECIPE:
            recipe = store.packed.recipe(location.oid)
            if recipe is None:
                lost[location.oid] = "damaged"
            else:
                writer.add(location.oid, RECIPE, encode_recipe(recipe))


def _cut(  # noqa: PLR0917
    store: LocalStore, oid: bytes, writer: PackWriter, lost: Lost, there: set[bytes], remote: RemoteStore
) -> None:
    """A loose object in chunks, with its recipe last. One that does not hash to its Oid gets no recipe.

    ``there`` gathers the chunks that are written; those that the Remote has are not.
    """
    hasher = store.hashing.new()
    recipe: list[tuple[bytes, int]] = []
    with open(store.loose.path(oid), "rb", buffering=0) as file:
        for block, lengths in chunks(lambda view: file.readinto(view) or 0):
            hasher.update(block)
            ends = list(accumulate(lengths))
            parts = [block[end - length : end] for end, length in zip(ends, lengths, strict=True)]
            named = [(store.hashing.of(part), part) for part in parts]
            recipe += [(chunk, len(part)) for chunk, part in named]
            absent = remote.catalog.missing([chunk for chunk, _ in named])
            for chunk, part in named:
                if chunk in absent and chunk not in there:
                    there.add(chunk)
                    writer.add(chunk, DATA, part)
    if hasher.digest() == oid:
        writer.add(oid, RECIPE, encode_recipe(recipe))
    else:
        lost[oid] = "damaged"


# -- fetch -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What a fetch has to bring: whole Packs where most of one is wanted, else frames out of it.

    ``counts``: the number of objects that are wanted of each whole Pack.
    """

    whole: tuple[str, ...]
    picked: tuple[Location, ...]
    objects: int
    size: int
    lost: Lost
    wanted: AbstractSet[bytes] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)


def plan_fetch(store: LocalStore, remote: RemoteStore, oids: Iterable[bytes]) -> FetchPlan:
    """Compare what ``oids`` need with what is here."""
    if store.packed.damaged:
        store.quarantine({})  # what was found damaged on the way here counts as missing
    absent = store.missing(oids)
    wanted = remote.packed.members(absent)
    parts = wanted - absent
    wanted = absent | store.packed.catalog.missing(parts) if parts else absent
    located = remote.catalog.locate(wanted)
    lost: Lost = dict.fromkeys(wanted - {location.oid for location in located}, "missing")
    sizes = remote.catalog.packs()
    whole: dict[str, int] = {}
    picked = []
    size = 0
    for name, group in groupby(located, key=lambda location: location.pack):
        locations = list(group)
        extents = sum({location.frame: location.extent for location in locations}.values())
        if extents * 2 >= sizes[name]:
            whole[name] = len(locations)
            size += sizes[name]
        else:
            picked += locations
            size += extents
    return FetchPlan(tuple(whole), tuple(picked), len(located), size, lost, wanted, whole)


def fetch(
    store: LocalStore,
    remote: RemoteStore,
    plan: FetchPlan,
    *,
    jobs: int = 4,
    copies: bool = False,
    progress: Progress = QUIET,
) -> Result:
    """Bring what ``plan`` says. Everything is hashed as it is received, before it gets its name here.

    A Pack that does not hash to its name is fetched once more; then its good objects are picked out,
    and the others are in ``lost``. The damaged Packs are remembered, and named where something is lost.
    ``copies``: large objects will be wanted as files too, and the Store keeps a copy of those that come in one piece.
    """
    lost = dict(plan.lost)
    progress.start(f"fetching from '{remote.name}'", objects=plan.objects, total=plan.size)
    with Copies(_copied(remote, plan) if copies else NOTHING, store.scratch, store.hashing) as made:
        bad = _bring_whole(store, remote, plan, made, jobs=jobs, progress=progress)
        store.copies.update(made.done)
    picked = list(plan.picked)
    for name in bad:
        picked += [location for location in remote.catalog.members(name) if location.oid in plan.wanted]
    done = len(plan.whole) - len(bad)
    if picked:
        remote.jobs = jobs
        done += len(_pick(store, remote, picked, lost, progress))
    bad |= remote.packed.damaged
    remote.found_bad(bad)
    if lost:
        tell_damage(remote, bad, progress)
    return Result(plan.objects + len(plan.lost) - len(lost), plan.size, done, lost)


def tell_damage(remote: RemoteStore, packs: Collection[str], progress: Progress) -> None:
    """Tell a person where the damage on a Remote is, once."""
    for place in remote.untold(packs):
        progress.note(f"damaged on remote '{remote.name}': {place}")


def _bring_whole(
    store: LocalStore, remote: RemoteStore, plan: FetchPlan, made: Copies, *, jobs: int, progress: Progress
) -> set[str]:
    """Bring the Packs that come as they are, and write the copies in ``made``. The Packs that are damaged there."""
    names = {name: store.scratch.name() for name in plan.whole}
    sizes = remote.catalog.packs()

    def bring(name: str) -> None:
        try:
            remote.download(name, names[name], lambda count: progress.advance(size=count), made.follow(name))
        except DamagedError:
            made.give_up([name])
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not made.plan.packs:
                raise
            made.give_up(made.plan.packs)  # the Packs come first, and get the room of the copies
        else:
            return
        files.remove(names[name])
        remote.download(name, names[name])

    bad = set()
    first = list(made.plan.packs)
    rest = [name for name in plan.whole if name not in made.plan.packs]
    for name, answer in chain(_parallel(bring, first, 1), _parallel(bring, rest, jobs)):
        if isinstance(answer, DamagedError):
            bad.add(name)
        else:
            store.adopt(names[name], name, sizes[name])
            progress.advance(objects=plan.counts[name])
    return bad


def _copied(remote: RemoteStore, plan: FetchPlan) -> CopyPlan:
    """What to copy. From afar the way is what takes long, and Packs that come side by side are worth more."""
    large = remote.catalog.recipes(plan.wanted) if remote.is_near else ()
    return plan_copies(remote.catalog, remote.packed.recipes(large), plan.whole) if large else NOTHING


def _pick(
    store: LocalStore, remote: RemoteStore, picked: Sequence[Location], lost: Lost, progress: Progress
) -> list[SealedPack]:
    """Single objects out of the Remote's Packs, into new Packs here."""
    with PackWriter(store.scratch, store.hashing) as writer:
        for oid, data in remote.packed.read({location.oid for location in picked if location.kind == DATA}, lost):
            writer.add(oid, DATA, bytes(data))
            progress.advance(objects=1, size=len(data))
        large = {location.oid for location in picked if location.kind == RECIPE}
        for oid, recipe in remote.packed.recipes(large):
            large.discard(oid)
            writer.add(oid, RECIPE, encode_recipe(recipe))
        lost.update(dict.fromkeys(large, "damaged"))
        packs = writer.finish()
        store.publish(packs)
    return packs


# -- side by side ------------------------------------------------------------------------------


def _parallel(
    work: Callable[[T], R], items: Sequence[T], jobs: int, *, meanwhile: Callable[[], object] = bool
) -> Iterator[tuple[T, R | DamagedError]]:
    """``work`` on every item, ``jobs`` at a time, in order. DamagedError is an answer, any other error ends it.

    The next items are at work while the caller looks at an answer, and while ``meanwhile`` is done.
    """

    def attempt(item: T) -> R | DamagedError:
        try:
            return work(item)
        except DamagedError as error:
            return error

    if len(items) < 2:
        for item in items:
            yield item, attempt(item)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (12 ms to import)

    pool = ThreadPoolExecutor(jobs, thread_name_prefix="transfer")
    try:
        answers = pool.map(attempt, items)
        meanwhile()
        yield from zip(items, answers, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


__all__ = ["FetchPlan", "PushPlan", "Result", "fetch", "plan_fetch", "plan_push", "push", "tell_damage"]
