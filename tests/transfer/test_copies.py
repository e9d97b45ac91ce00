"""Large objects that become files while their Packs arrive: the right bytes, or no copy at all."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc import transfer
from mlvc.errors import RemoteError
from mlvc.manifest import EXECUTABLE, FILE, Entry
from mlvc.store import copies as module
from mlvc.store.base import LARGE
from mlvc.store.catalog import Location
from mlvc.store.local import LocalStore
from mlvc.store.pack import DATA, RECIPE, PackWriter, encode_recipe
from mlvc.store.remote import RemoteStore
from mlvc.workspace.link import COPY, place
from tests.helpers.stores import at_directory, content, flip, noise, packs, put_file, send

A, B, C = (noise(3 * LARGE, seed) for seed in range(3))


@pytest.fixture
def far(tmp_path: Path, algorithm: str) -> Iterator[RemoteStore]:
    remote = at_directory(tmp_path / "remote", algorithm)
    yield remote
    remote.close()


@pytest.fixture(autouse=True)
def packs_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small Packs are not joined, so that an object may lie in several."""
    monkeypatch.setattr(transfer, "_SMALL_PACK", 0)


def given_to(far: RemoteStore, here: LocalStore, tmp_path: Path, *objects: bytes) -> list[bytes]:
    """Push objects, each with what is new of it in a Pack of its own."""
    oids = []
    for data in objects:
        oids.append(put_file(here, data, tmp_path / "file"))
        send(here, far, oids[-1:])
    return oids


def fetched(there: LocalStore, far: RemoteStore, oids: list[bytes]) -> transfer.Result:
    far.refresh()
    return transfer.fetch(there, far, transfer.plan_fetch(there, far, oids), copies=True)


def copied(store: LocalStore) -> dict[bytes, bytes]:
    return {oid: Path(path).read_bytes() for oid, path in store.copies.items()}


def test_every_object_in_one_piece_is_copied(here, there, far, tmp_path):
    whole = [A, A + B, A + C]
    oids = given_to(far, here, tmp_path, *whole)
    assert fetched(there, far, oids).lost == {}
    assert copied(there) == dict(zip(oids, whole, strict=True))
    assert [content(there, oid) for oid in oids] == whole


def test_objects_that_want_their_packs_in_different_orders(here, there, far, tmp_path):
    """The largest of them is copied; the others are made from the Store, as ever."""
    whole = [A, B, A + B, B + A]
    oids = given_to(far, here, tmp_path, *whole)
    assert fetched(there, far, oids).lost == {}
    ((oid, data),) = copied(there).items()
    assert data == dict(zip(oids, whole, strict=True))[oid]
    assert len(data) == 6 * LARGE
    assert [content(there, oid) for oid in oids] == whole


def test_an_object_that_repeats_itself_is_made_from_the_store(here, there, far, tmp_path):
    oids = given_to(far, here, tmp_path, A + A, B)
    assert fetched(there, far, oids).lost == {}
    assert copied(there) == {oids[1]: B}
    assert content(there, oids[0]) == A + A


def test_no_more_files_at_once_than_there_are_buffers_for(here, there, far, tmp_path):
    """Chunks of six objects in turn in one Pack: four are copied while they come."""
    size = LARGE // 8
    objects = [[noise(size, seed) for seed in range(n * 8, n * 8 + 8)] for n in range(6)]
    oids = [here.hashing.of(b"".join(parts)) for parts in objects]
    with PackWriter(here.scratch, here.hashing) as writer:
        for row in zip(*objects, strict=True):
            for part in row:
                writer.add(here.hashing.of(part), DATA, part)
        for oid, parts in zip(oids, objects, strict=True):
            writer.add(oid, RECIPE, encode_recipe([(here.hashing.of(part), size) for part in parts]))
        here.publish(writer.finish())
    send(here, far, oids)
    assert fetched(there, far, oids).lost == {}
    assert len(there.copies) == module._AT_ONCE == 4
    assert all(there.hashing.check(oid, data) for oid, data in copied(there).items())
    assert all(there.hashing.check(oid, content(there, oid)) for oid in oids)


def test_a_damaged_pack_gives_no_copy(here, there, far, tmp_path):
    oids = given_to(far, here, tmp_path, A, B)
    bad = packs(tmp_path / "remote")[1]
    flip(bad, bad.stat().st_size // 2)
    assert set(fetched(there, far, oids).lost.values()) == {"damaged"}
    (left,) = there.copies
    assert there.hashing.check(left, copied(there)[left])
    assert there.missing(oids) == set(oids) - {left}


def test_a_pack_that_comes_right_the_second_time_gives_no_copy(here, there, far, tmp_path, monkeypatch):
    (oid,) = given_to(far, here, tmp_path, A)
    blocks = far._blobs.blocks
    asked = []

    def wrong_at_first(name):
        asked.append(name)
        for block in blocks(name):
            yield bytes(block[:-1]) + b"?" if len(asked) == 1 else block

    monkeypatch.setattr(far._blobs, "blocks", wrong_at_first)
    assert fetched(there, far, [oid]).lost == {}
    assert len(asked) == 2
    assert there.copies == {}
    assert content(there, oid) == A


def test_chunks_that_do_not_make_up_the_object_give_no_copy(here, there, far):
    parts = [noise(LARGE // 2, seed) for seed in range(4)]
    chunks = [(here.hashing.of(part), len(part)) for part in parts]
    oid = here.hashing.of(b"something else")
    with PackWriter(here.scratch, here.hashing) as writer:
        for (chunk, _), part in zip(chunks, parts, strict=True):
            writer.add(chunk, DATA, part)
        writer.add(oid, RECIPE, encode_recipe(chunks))
        here.publish(writer.finish())
    send(here, far, [oid])
    fetched(there, far, [oid])
    assert there.copies == {}
    assert [name for name in os.listdir(there.scratch.path) if name != "held"] == []


def test_a_fetch_that_ends_early_leaves_no_file(here, there, far, tmp_path, monkeypatch):
    """The first object is whole, the second one half way, when the Remote goes away."""
    oids = given_to(far, here, tmp_path, A, A + B)
    blocks = far._blobs.blocks
    before = len(os.listdir("/dev/fd"))

    def half(name):
        for block in blocks(name):
            yield bytes(block)[: len(block) // 2]
            raise OSError(errno.ENETDOWN, "the network is down")

    monkeypatch.setattr(far._blobs, "blocks", half)
    with pytest.raises(RemoteError, match="network"):
        fetched(there, far, oids)
    assert there.copies == {}
    assert len(os.listdir("/dev/fd")) <= before + 2  # what holds the scratch directory, and a Catalog
    scratch = there.scratch.path
    there.close()
    assert not os.path.exists(scratch)


def test_a_copy_that_cannot_be_written_is_none_and_the_packs_come(here, there, far, tmp_path, monkeypatch):
    oids = given_to(far, here, tmp_path, A)

    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(module._Copy, "append", full)
    assert fetched(there, far, oids).lost == {}
    assert there.copies == {}
    assert content(there, oids[0]) == A


def test_a_copy_is_taken_once_and_not_from_another_file_system(here, there, far, tmp_path, monkeypatch):
    oids = given_to(far, here, tmp_path, A, B)
    fetched(there, far, oids)
    first = tmp_path / "first"
    assert there.take_copy(oids[0], str(first))
    assert first.read_bytes() == A
    assert not there.take_copy(oids[0], str(tmp_path / "second"))

    def elsewhere(*_):
        raise OSError(errno.EXDEV, "cross-device link")

    path = there.copies[oids[1]]
    monkeypatch.setattr(os, "rename", elsewhere)
    assert not there.take_copy(oids[1], str(tmp_path / "second"))
    assert not os.path.exists(path)


def test_a_file_is_placed_by_taking_the_copy_and_has_its_permissions(here, there, far, tmp_path):
    oids = given_to(far, here, tmp_path, A)
    fetched(there, far, oids)
    target = tmp_path / "run"
    place(there, Entry("run", EXECUTABLE, len(A), oids[0]), str(target), [COPY])
    assert target.read_bytes() == A
    assert os.access(target, os.X_OK)
    assert oids[0] in there.copies
    place(there, Entry("data", FILE, len(A), oids[0]), str(tmp_path / "data"), [COPY])
    assert there.copies == {}
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o666 & ~umask


@given(st.lists(st.integers(1, 400), min_size=1, max_size=30), st.lists(st.integers(1, 900), min_size=1), st.data())
def test_frames_are_cut_out_of_parts_of_any_length(extents, cuts, data):
    stream = random.Random(1).randbytes(sum(extents) + 50)
    starts = [sum(extents[:n]) for n in range(len(extents))]
    wanted = sorted(data.draw(st.sets(st.sampled_from(range(len(extents))))))
    parts = [(Location("p", starts[n], 0, 1, extents[n], DATA, b"%d" % n), (b"x",)) for n in wanted]
    seen = []
    cutter = module._Cutter(parts, lambda frame, _: seen.append(bytes(frame)))
    at = 0
    for cut in [*cuts, len(stream)]:
        cutter.take(stream[at : at + cut])
        at += cut
    assert seen == [stream[starts[n] : starts[n] + extents[n]] for n in wanted]
