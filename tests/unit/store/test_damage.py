"""Damage: good objects stay readable, the rest counts as missing and can be had again; nothing is deleted."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from mlvc.errors import DamagedError
from mlvc.hashing import Hashing
from mlvc.store.base import LARGE, load
from mlvc.store.local import open_store
from mlvc.store.loose import Loose
from tests.helpers.stores import content, flip, noise, open_local, packs, put_all, put_file, read_all


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def store(root, algorithm):
    with open_local(root, algorithm) as opened:
        yield opened


def harm(store, root, oid):
    """Damage the first byte of a stored object that does not compress."""
    location = store.packed.catalog.everywhere(oid)[0]
    members = store.packed.catalog.members(location.pack)
    payload = sum(each.length for each in members if each.frame == location.frame)
    flip(Path(root, f"packs/{location.pack}.pack"), location.frame + location.extent - payload + location.start)
    store.packed.forget()
    return Path(root, f"packs/{location.pack}.pack")


def test_good_objects_of_a_damaged_pack_are_kept(root, store):
    contents = [noise(3000, seed) for seed in range(300)]
    oids = put_all(store, contents)
    bad = harm(store, root, oids[200])
    damaged = bad.read_bytes()
    found, lost = read_all(store, oids)
    assert lost == {oids[200]: "damaged"}
    assert store.missing(oids) == set()
    store.quarantine(lost)
    assert not bad.exists()
    assert (root / "quarantine" / bad.name).read_bytes() == damaged
    for each in (store, open_store(str(root))):
        assert each.missing(oids) == {oids[200]}
        again, lost = read_all(each, oids)
        assert again == found
        assert lost == {oids[200]: "missing"}
    each.close()
    put_all(store, [contents[200]])
    assert len(read_all(store, oids)[0]) == 300


def test_the_same_pack_damaged_twice_is_kept_twice(root, store):
    for turn in (1, 2):
        (oid,) = put_all(store, [noise(3000)])
        harm(store, root, oid)
        store.quarantine(read_all(store, [oid])[1])
        assert len(list((root / "quarantine").iterdir())) == turn
        assert store.missing([oid]) == {oid}


def test_a_pack_that_comes_back_under_its_name_is_read_anew(root, store):
    contents = [noise(3000, seed) for seed in range(100)]
    oids = put_all(store, contents)
    (path,) = packs(root)
    good = path.read_bytes()
    os.truncate(path, len(good) - 20_000)
    store.refresh()
    assert 0 < len(store.missing(oids)) < 100
    read_all(store, oids)
    (root / "tmp/good").write_bytes(good)
    store.adopt(str(root / "tmp/good"), path.stem, len(good))
    assert store.missing(oids) == set()
    assert len(read_all(store, oids)[0]) == 100


def test_a_pack_whose_head_is_damaged_too(root, store):
    oids = put_all(store, [noise(3000, seed) for seed in range(10)])
    path = harm(store, root, oids[3])
    flip(path, 0)
    lost = read_all(store, oids)[1]
    store.quarantine(lost)
    assert store.missing(oids) == {oids[3]}


def test_another_copy_takes_the_place_of_a_damaged_one(root, store, algorithm, tmp_path):
    with open_local(tmp_path / "other", algorithm) as other:
        put_all(other, [noise(3000), b"x"])
        (extra,) = packs(tmp_path / "other")
        oids = put_all(store, [noise(3000), noise(50)])
        data = extra.read_bytes()
        (root / "tmp").mkdir(exist_ok=True)
        (root / "tmp/extra").write_bytes(data)
        store.adopt(str(root / "tmp/extra"), extra.stem, len(data))
    assert len(store.packed.catalog.everywhere(oids[0])) == 2
    for location in store.packed.catalog.everywhere(oids[0])[:1]:
        members = store.packed.catalog.members(location.pack)
        payload = sum(each.length for each in members)
        flip(root / f"packs/{location.pack}.pack", location.frame + location.extent - payload + location.start)
    store.packed.forget()
    for _ in range(2):
        assert read_all(store, oids) == ({oids[0]: noise(3000), oids[1]: noise(50)}, {})
        store.quarantine({})
    assert load(store, oids[0]) == noise(3000)


def test_a_damaged_recipe_is_replaced_by_a_good_one(root, store, tmp_path):
    data = noise(2 * LARGE)
    oid = put_file(store, data, tmp_path / "file")
    harm(store, root, oid)  # the Oid of its first chunk
    store.packed.catalog.drop([])
    assert store.missing([oid]) == {oid}
    assert put_file(store, data, tmp_path / "file") == oid
    assert store.missing([oid]) == set()
    assert content(store, oid) == data
    store.quarantine(read_all(store, [oid])[1])
    assert content(store, oid) == data


def test_a_recipe_of_other_chunks_is_found_out_and_dropped(root, store, tmp_path):
    data = noise(2 * LARGE)
    oid = put_file(store, data, tmp_path / "file")
    location = store.packed.catalog.everywhere(oid)[0]
    members = store.packed.catalog.members(location.pack)
    start = (
        location.frame + location.extent - sum(e.length for e in members if e.frame == location.frame) + location.start
    )
    (path,) = packs(root)
    stored = bytearray(path.read_bytes())
    width = store.hashing.size + 4
    first, second = stored[start : start + width], stored[start + width : start + 2 * width]
    stored[start : start + 2 * width] = second + first
    path.write_bytes(stored)
    store.packed.forget()
    lost = read_all(store, [oid])[1]
    assert lost == {oid: "damaged"}
    store.quarantine(lost)
    assert store.missing([oid]) == {oid}
    put_file(store, data, tmp_path / "file")
    assert content(store, oid) == data


def test_damaged_chunks_cost_only_themselves(root, store, tmp_path):
    data = noise(2 * LARGE)
    oid = put_file(store, data, tmp_path / "file")
    recipe = store.packed.recipe(oid)
    harm(store, root, recipe[3][0])
    received = []
    stream = store.stream(oid)
    with pytest.raises(DamagedError):
        received.extend(map(bytes, stream))
    assert b"".join(received) == data[: sum(length for _, length in recipe[:3])]
    store.quarantine({oid: "damaged"})
    assert store.missing([oid]) == {oid}
    assert store.missing([chunk for chunk, _ in recipe]) == {recipe[3][0]}
    assert store.packed.damaged == set()


def test_an_error_of_the_system_is_no_damage(root, store, monkeypatch):
    oids = put_all(store, [b"a", b"b"])

    def refuse(*_):
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(store._pack_files, "range", refuse)
    with pytest.raises(OSError, match="too many"):
        read_all(store, oids)
    assert store.packed.damaged == set()

    def broken(*_):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(store._pack_files, "range", broken)
    assert read_all(store, oids) == ({}, dict.fromkeys(oids, "damaged"))


# -- loose -------------------------------------------------------------------------------------


def test_a_loose_object_is_whole_read_only_and_found_by_its_name(tmp_path, algorithm):
    hashing = Hashing(algorithm)
    loose = Loose(str(tmp_path / "loose"), hashing)
    oid = hashing.of(b"data")
    assert loose.present([oid]) == set()
    assert not loose.check(oid)
    (tmp_path / "new").write_bytes(b"data")
    loose.take(str(tmp_path / "new"), oid)
    path = Path(loose.path(oid))
    assert path == tmp_path / "loose" / oid.hex()[:2] / oid.hex()[2:]
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert loose.present([oid, hashing.of(b"other")]) == {oid}
    assert b"".join(loose.stream(oid)) == b"data"
    assert loose.check(oid)
    flip(path, 0)
    assert not loose.check(oid)
    with pytest.raises(DamagedError):
        list(loose.stream(oid))


def test_a_damaged_loose_object_goes_to_quarantine(root, algorithm, tmp_path):
    with open_local(root, algorithm, loose=lambda: True) as store:
        data = noise(LARGE)
        oid = put_file(store, data, tmp_path / "file")
        path = Path(store.loose.path(oid))
        assert path.read_bytes() == data
        assert packs(root) == []
        flip(path, 7)
        lost = read_all(store, [oid])[1]
        assert lost == {oid: "damaged"}
        store.quarantine(lost)
        assert store.missing([oid]) == {oid}
        assert len((root / "quarantine" / oid.hex()).read_bytes()) == LARGE
        put_file(store, data, tmp_path / "file")
        assert content(store, oid) == data


def test_a_chunked_object_is_made_whole_when_it_is_to_be_linked(store, tmp_path):
    data = noise(2 * LARGE)
    oid = put_file(store, data, tmp_path / "file")
    path = store.make_loose(oid)
    assert Path(path).read_bytes() == data
    assert store.make_loose(oid) == path
