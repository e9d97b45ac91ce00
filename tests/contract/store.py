"""What every Store promises. tests/contract/test_stores.py runs this on each one there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlvc.chunking import AVERAGE_SIZE, MAX_SIZE, MIN_SIZE
from mlvc.errors import DamagedError, ObjectsMissingError
from mlvc.hashing import Hashing
from mlvc.store.base import LARGE, Reader, Store, load
from tests.helpers.stores import content, noise, part, put_all, put_file, read_all, until

BOUNDS = sorted(
    {size + more for size in (MIN_SIZE, AVERAGE_SIZE, MAX_SIZE, LARGE) for more in (-1, 0, 1)} | {1, 2 * LARGE}
)


@dataclass
class Case:
    """A Store under test.

    ``reader`` gives what is read from after everything written so far has got there. ``damage`` changes a
    byte of the stored form of an object, ``remove`` takes its stored form away; the reader opened next has
    no memory of what was there before. ``checks_parts``: whether a part of a large object is hashed, too.
    """

    store: Store
    reader: Callable[[], Reader]
    damage: Callable[[bytes], None]
    remove: Callable[[bytes], None]
    root: Path = field(default_factory=Path)
    checks_parts: bool = True


class StoreContract:
    """Subclasses give the fixture ``case``."""

    def test_what_was_put_is_read_and_streamed(self, case):
        contents = [b"hello", b"", b"x" * 100_000, noise(5000)]
        oids = put_all(case.store, contents)
        assert oids == [case.store.hashing.of(data) for data in contents]
        reader = case.reader()
        assert reader.missing(oids) == set()
        assert read_all(reader, oids) == (dict(zip(oids, contents, strict=True)), {})
        assert [content(reader, oid) for oid in oids] == contents
        assert [load(reader, oid) for oid in oids] == contents

    def test_duplicates_are_one_object(self, case):
        oids = put_all(case.store, [b"same", b"same", b"other", b"same"])
        again = put_all(case.store, [b"same", b"third"])
        reader = case.reader()
        found, lost = read_all(reader, [*oids, *again, *oids])
        assert sorted(found.values()) == [b"other", b"same", b"third"]
        assert lost == {}

    def test_the_empty_object(self, case, tmp_path):
        (oid,) = put_all(case.store, [b""])
        assert oid == put_file(case.store, b"", tmp_path / "empty")
        reader = case.reader()
        assert content(reader, oid) == b""
        assert load(reader, oid) == b""

    @pytest.mark.parametrize("kind", ["noise", "zeros"])
    def test_files_of_every_size_around_the_bounds(self, case, tmp_path, kind):
        contents = [noise(size) if kind == "noise" else bytes(size) for size in BOUNDS]
        oids = [put_file(case.store, data, tmp_path / "file") for data in contents]
        assert oids == [case.store.hashing.of(data) for data in contents]
        reader = case.reader()
        assert reader.missing(oids) == set()
        for oid, data in zip(oids, contents, strict=True):
            assert content(reader, oid) == data
        assert read_all(reader, oids) == (dict(zip(oids, contents, strict=True)), {})

    @pytest.mark.parametrize("size", [0, 5000, LARGE - 1, 3 * LARGE + 17])
    def test_any_part_is_what_the_whole_has_there(self, case, tmp_path, size):
        data = noise(size, 11)
        oid = put_file(case.store, data, tmp_path / "file")
        reader = case.reader()
        places = sorted({0, 1, size // 3, size // 2, MIN_SIZE, AVERAGE_SIZE, MAX_SIZE, size - 1, size, size + 5})
        for start in (place for place in places if place >= 0):
            for stop in places:
                assert part(reader, oid, start, stop) == (data[start:stop] if start < stop else b""), (start, stop)

    def test_parts_that_are_read_in_turn_do_not_disturb_each_other(self, case, tmp_path):
        data = noise(3 * LARGE, 12)
        oid = put_file(case.store, data, tmp_path / "file")
        reader = case.reader()
        found = [bytearray(), bytearray()]
        both = [reader.part(oid, 0, len(data)), reader.part(oid, 100, len(data))]
        while pieces := [next(pieces, b"") for pieces in both]:
            if not any(pieces):
                break
            for received, piece in zip(found, pieces, strict=True):
                received.extend(piece)
        assert found == [data, data[100:]]

    def test_a_damaged_part_is_never_handed_out(self, case, tmp_path):
        if not case.checks_parts:
            pytest.skip("only the whole of a loose object can be checked")
        data = noise(3 * LARGE, 13)
        oid = put_file(case.store, data, tmp_path / "file")
        case.reader()
        case.damage(oid)
        reader = case.reader()
        assert data[LARGE:].startswith(until(DamagedError, reader.part(oid, LARGE, len(data))))

    def test_a_part_of_what_is_not_there(self, case):
        put_all(case.store, [b"here"])
        with pytest.raises(ObjectsMissingError):
            part(case.reader(), case.store.hashing.of(b"absent"), 0, 3)

    def test_a_small_object_and_a_large_file_of_the_same_bytes(self, case, tmp_path):
        data = noise(LARGE - 1, 3)
        part = put_file(case.store, data[:MAX_SIZE], tmp_path / "part")
        oid = put_file(case.store, data + data, tmp_path / "file")
        assert put_all(case.store, [data[:MAX_SIZE], data]) == [part, case.store.hashing.of(data)]
        reader = case.reader()
        assert content(reader, oid) == data + data
        assert content(reader, part) == data[:MAX_SIZE]

    def test_many_small_objects(self, case):
        contents = [f"object {number}".encode() * (number % 40) for number in range(1, 3000)]
        oids = put_all(case.store, contents)
        reader = case.reader()
        assert reader.missing(oids) == set()
        found, lost = read_all(reader, oids)
        assert found == dict(zip(oids, contents, strict=True))
        assert lost == {}

    def test_what_is_not_there_is_named(self, case):
        here = put_all(case.store, [b"here", b"there"])
        absent = [case.store.hashing.of(b"absent"), case.store.hashing.of(b"gone")]
        reader = case.reader()
        assert reader.missing([*here, *absent]) == set(absent)
        found, lost = read_all(reader, [*absent, *here])
        assert set(found) == set(here)
        assert lost == dict.fromkeys(absent, "missing")
        for read in (content, load):
            with pytest.raises(ObjectsMissingError, match=absent[0].hex()[:10]):
                read(reader, absent[0])

    def test_nothing_is_asked_for(self, case):
        reader = case.reader()
        assert reader.missing([]) == set()
        assert read_all(reader, []) == ({}, {})

    def test_nothing_is_visible_before_commit(self, case, tmp_path):
        (tmp_path / "file").write_bytes(noise(2 * LARGE))
        with case.store.batch() as batch:
            oids = [batch.put(b"small"), batch.put_file(str(tmp_path / "file"))]
            assert case.store.missing(oids) == set(oids)
            batch.commit()
            assert case.store.missing(oids) == set()
        assert case.reader().missing(oids) == set()

    def test_an_abandoned_batch_leaves_nothing(self, case, tmp_path):
        (tmp_path / "file").write_bytes(noise(2 * LARGE))
        before = sorted(path for path in case.root.rglob("*") if path.is_file() and "catalog" not in path.name)
        with case.store.batch() as batch:
            oids = [*(batch.put(noise(200_000, seed)) for seed in range(5)), batch.put_file(str(tmp_path / "file"))]
        assert case.store.missing(oids) == set(oids)
        left = [path for path in case.root.rglob("*") if path.is_file() and "catalog" not in path.name]
        assert sorted(path for path in left if path.name not in ("held", "using")) == before

    def test_two_batches_side_by_side(self, case):
        with case.store.batch() as one, case.store.batch() as other:
            oids = [one.put(b"one"), other.put(b"other"), one.put(b"both"), other.put(b"both")]
            one.commit()
            other.commit()
        assert set(read_all(case.reader(), oids)[0].values()) == {b"one", b"other", b"both"}

    def test_a_damaged_object_is_never_handed_out(self, case):
        contents = [noise(3000, seed) for seed in range(10)]
        oids = put_all(case.store, contents)
        case.reader()
        case.damage(oids[4])
        reader = case.reader()
        found, lost = read_all(reader, oids)
        assert lost[oids[4]] == "damaged"
        assert set(found) == set(oids) - {oids[4]}
        for oid, data in found.items():
            assert data == contents[oids.index(oid)]
        with pytest.raises(DamagedError):
            content(reader, oids[4])

    def test_a_damaged_large_object_is_never_handed_out(self, case, tmp_path):
        oid = put_file(case.store, noise(2 * LARGE, 7), tmp_path / "file")
        case.reader()
        case.damage(oid)
        reader = case.reader()
        with pytest.raises(DamagedError):
            content(reader, oid)
        assert read_all(reader, [oid]) == ({}, {oid: "damaged"})

    def test_what_was_taken_away_is_missing(self, case, tmp_path):
        (kept,) = put_all(case.store, [b"kept"])
        case.reader()
        (gone,) = put_all(case.store, [b"gone"])
        case.reader()
        case.remove(gone)
        reader = case.reader()
        assert reader.missing([kept, gone]) == {gone}
        assert read_all(reader, [kept, gone]) == ({kept: b"kept"}, {gone: "missing"})

    def test_hashing_is_that_of_the_store(self, case, algorithm):
        assert case.store.hashing.name == case.reader().hashing.name == algorithm
        assert put_all(case.store, [b"x"]) == [Hashing(algorithm).of(b"x")]
