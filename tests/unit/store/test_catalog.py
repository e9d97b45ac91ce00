"""The Catalog can be deleted or damaged at any time; the answers stay the same."""

from __future__ import annotations

import os
import sqlite3

import pytest

from mlvc.errors import ObjectsMissingError
from mlvc.store.base import LARGE
from mlvc.store.catalog import Catalog
from mlvc.store.local import open_store
from mlvc.store.pack import PackIndex
from tests.helpers.stores import content, noise, open_local, packs, put_all, put_file, read_all


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def stored(root, algorithm, tmp_path):
    """What a Store with several Packs and a large object holds, and what it does not."""
    with open_local(root, algorithm) as store:
        contents = [b"%d" % number * 40 for number in range(700)]
        oids = put_all(store, contents[:350]) + put_all(store, contents[350:])
        oids.append(put_file(store, noise(2 * LARGE), tmp_path / "file"))
        return dict(zip(oids, [*contents, noise(2 * LARGE)], strict=True)), store.hashing.of(b"absent")


def check(store, stored):
    contents, absent = stored
    assert store.missing([*contents, absent]) == {absent}
    assert read_all(store, [*contents, absent]) == (contents, {absent: "missing"})


def garbage(path):
    path.write_bytes(noise(20_000))


def cut(path):
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def cut_within_a_page(path):
    os.truncate(path, path.stat().st_size - 1000)


def holes(path):
    """The first page says that all is well."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + noise(len(data) - 4096))


def empty(path):
    path.write_bytes(b"")


def other_version(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=77")
    db.close()


@pytest.mark.parametrize("harm", [os.unlink, garbage, cut, cut_within_a_page, holes, empty, other_version])
def test_it_is_made_again(root, stored, harm):
    for path in root.glob("catalog.sqlite-*"):
        path.unlink()
    harm(root / "catalog.sqlite")
    for _ in range(2):
        with open_store(str(root)) as store:
            check(store, stored)
    with open_store(str(root)) as store:
        (oid,) = put_all(store, [b"new"])
        assert store.missing([oid]) == set()


def test_harm_while_it_is_open(root, stored):
    with open_store(str(root)) as store:
        check(store, stored)
        store.packed.catalog._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        holes(root / "catalog.sqlite")
        store.packed.catalog._db.execute("PRAGMA cache_size=0")
        check(store, stored)


def test_a_folder_in_its_place(root, stored):
    for path in root.glob("catalog.sqlite*"):
        path.unlink()
    (root / "catalog.sqlite").mkdir()
    with open_store(str(root)) as store:
        check(store, stored)
        put_all(store, [b"new"])
        check(store, stored)


def test_one_that_another_process_holds_is_left_alone(root, stored, monkeypatch):
    monkeypatch.setattr("mlvc.database._PATIENCE", 0.05)
    db = sqlite3.connect(root / "catalog.sqlite", isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    before = (root / "catalog.sqlite").stat().st_ino
    with open_store(str(root)) as store:
        check(store, stored)
        (oid,) = put_all(store, [b"new"])
        assert read_all(store, [oid]) == ({oid: b"new"}, {})
    db.execute("ROLLBACK")
    db.close()
    assert (root / "catalog.sqlite").stat().st_ino == before
    with open_store(str(root)) as store:
        check(store, stored)
        assert store.missing([oid]) == set()


def test_a_pack_that_was_removed_takes_its_objects_along(root, stored):
    contents, _ = stored
    with open_store(str(root)) as store:
        gone = store.packed.catalog.locate([next(iter(contents))])[0].pack
        members = {location.oid for location in store.packed.catalog.members(gone)}
    (root / f"packs/{gone}.pack").unlink()
    with open_store(str(root)) as store:
        assert store.missing(contents) == members & contents.keys()
        assert len(members) == 350


def test_a_file_that_is_no_pack_does_no_harm(root, stored):
    (root / "packs/none.pack").write_bytes(b"hello")
    with open_store(str(root)) as store:
        check(store, stored)


def test_a_large_object_without_one_of_its_chunks_is_missing(root, algorithm, tmp_path):
    data = noise(3 * LARGE)
    with open_local(root, algorithm) as store:
        put_file(store, data[:LARGE], tmp_path / "file")
        first = packs(root)
        oid = put_file(store, data, tmp_path / "file")
        assert store.missing([oid]) == set()
        assert store.packed.catalog.whole([oid]) == {oid}
    first[0].unlink()
    with open_store(str(root)) as store:
        assert store.packed.catalog.whole([oid]) == set()
        assert store.missing([oid]) == {oid}
        with pytest.raises(ObjectsMissingError):
            content(store, oid)
        assert read_all(store, [oid]) == ({}, {oid: "missing"})
        put_file(store, data, tmp_path / "file")
        assert store.missing([oid]) == set()
        assert content(store, oid) == data


def test_a_pack_of_another_process_is_never_taken_for_gone(root, algorithm, monkeypatch):
    with open_local(root, algorithm) as one, open_local(root, algorithm) as other:
        sizes = one._pack_files.sizes
        oids = []

        def meanwhile():
            found = sizes()
            oids.extend(put_all(other, [b"%d" % len(oids)]))
            return found

        monkeypatch.setattr(one._pack_files, "sizes", meanwhile)
        one.refresh()
        one.refresh()
        assert other.missing(oids) == set()


# -- rows that are laid ready ------------------------------------------------------------------


@pytest.fixture
def indexes(root, stored):
    """Name, size and index of each Pack of a Store, and where its Catalog says that everything lies."""
    with open_store(str(root)) as store:
        found = [(name, size, store.pack_index(name, size)) for name, size in store.packed.catalog.packs().items()]
        return found, store.packed.catalog.locate([*stored[0]])


def expecting(catalog, found):
    catalog.expect([(name, index) for name, _, index in found])


def test_what_is_expected_is_seen_by_nobody_until_it_is_added(indexes, tmp_path):
    found, located = indexes
    path = tmp_path / "catalog.sqlite"
    catalog, other = Catalog(str(path)), Catalog(str(path))
    expecting(catalog, found)
    assert (len(catalog), len(other)) == (0, 0)
    catalog.add(found[:1])
    assert set(other.packs()) == {found[0][0]}
    assert len(other) == len(found[0][2].oids)
    catalog.add(found)
    oids = [location.oid for location in located]
    assert sorted(catalog.locate(oids)) == sorted(other.locate(oids)) == sorted(located)
    catalog.close()
    other.close()


def test_another_process_adds_a_pack_meanwhile(indexes, tmp_path):
    """It gets the number that was meant for the one that is expected, or is that very one."""
    found, located = indexes
    path = tmp_path / "catalog.sqlite"
    for first in (found[-1:], found[:1]):
        path.unlink(missing_ok=True)
        catalog, other = Catalog(str(path)), Catalog(str(path))
        expecting(catalog, found[:2])
        other.add(first)
        catalog.add(found)
        assert sorted(catalog.locate([location.oid for location in located])) == sorted(located)
        assert len(catalog) == sum(len(index.oids) for _, _, index in found)
        catalog.close()
        other.close()


def test_what_was_expected_is_lost_with_the_file(indexes, tmp_path):
    found, located = indexes
    path = tmp_path / "catalog.sqlite"
    catalog = Catalog(str(path))
    expecting(catalog, found)
    catalog._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    catalog._recover(sqlite3.DatabaseError("damaged"))
    catalog.add(found)
    assert sorted(catalog.locate([location.oid for location in located])) == sorted(located)
    catalog.close()


def test_the_rows_of_a_pack_are_its_objects_in_order():
    index = PackIndex((16, 100, 100, 180), (2, 0, 3), b"\0\1\0\0\0", (10, 20, 1, 2, 3), (b"a", b"b", b"c", b"d", b"e"))
    assert list(index.rows()) == [
        (b"a", 0, 16, 84, 0, 10),
        (b"b", 1, 16, 84, 10, 20),
        (b"c", 0, 100, 80, 0, 1),
        (b"d", 0, 100, 80, 1, 2),
        (b"e", 0, 100, 80, 3, 3),
    ]


def test_what_objects_take_adds_up_to_what_the_packs_hold(root, algorithm, stored, tmp_path):
    contents, _ = stored
    with open_local(root, algorithm) as store:
        every = store.packed.members(contents)
        extents = {(place.pack, place.frame): place.extent for place in store.packed.catalog.locate(every)}
        assert store.taken(contents) == sum(extents.values())
        small = [oid for oid, data in contents.items() if len(data) < LARGE]
        assert abs(sum(store.taken([oid]) for oid in small) - store.taken(small)) <= len(small)
        assert 0 < store.taken(small[:350]) < store.taken(small) < sum(map(len, contents.values())) - 2 * LARGE
        assert store.taken([]) == 0
    with open_local(root, algorithm, loose=lambda: True) as store:
        oid = put_file(store, noise(3 * LARGE), tmp_path / "other")
        assert store.taken([oid]) == 3 * LARGE
