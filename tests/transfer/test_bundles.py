"""Bundles of Runs on a Remote: few requests, and what is wrong there is as if it were not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlvc.errors import FormatError
from mlvc.hashing import Hashing
from mlvc.store import bundles
from mlvc.store.blobs import Blobs, DirectoryBlobs, blobs_at
from mlvc.store.bundles import Bundles, Record, decode, encode

HASHING = Hashing("xxh128")


def records(count: int, first: int = 0) -> list[Record]:
    return [(HASHING.of(b"%d" % n), b'{"number": %d}' % n) for n in range(first, first + count)]


class Counted:
    """A place that counts what is asked of it."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        self.asked: list[tuple[str, str]] = []

    def __getattr__(self, name):
        def ask(first, *args):
            self.asked.append((name, first))
            return getattr(self.blobs, name)(first, *args)

        return ask


@pytest.fixture(params=["directory", "memory"])
def place(request, tmp_path: Path) -> Counted:
    url = str(tmp_path / "remote") if request.param == "directory" else f"memory://{tmp_path}/remote"
    blobs = blobs_at(url)
    blobs.begin()
    return Counted(blobs)


def client(place: Counted, known: Path | str = "") -> Bundles:
    return Bundles(place, HASHING, os.fspath(known))  # type: ignore[arg-type]


def test_ten_thousand_runs_come_in_two_requests(place: Counted, tmp_path: Path) -> None:
    sent = records(10_000)
    assert client(place).add(sent) == 10_000
    place.asked.clear()
    here = client(place, tmp_path / "known")
    assert here.refresh() == 10_000
    assert [name for name, _ in place.asked] == ["list", "read"]
    assert all(list(here.get(key)) == [record] for key, record in sent)
    # What was read once is not read again, by this client or by the next one with the same copies.
    again = client(place, tmp_path / "known")
    assert again.refresh() == here.refresh() == 0
    assert [name for name, _ in place.asked[2:]] == ["list", "list"]
    assert again.keys() == {key for key, _ in sent}


def test_what_is_there_is_not_sent_again(place: Counted) -> None:
    client(place).add(records(3))
    here = client(place)
    here.refresh()
    place.asked.clear()
    assert here.add(records(3)) == 0
    assert place.asked == []
    assert here.add(records(5)) == 2


def test_two_records_of_one_key_are_both_there(place: Counted) -> None:
    key = HASHING.of(b"key")
    client(place).add([(key, b"one")])
    client(place).add([(key, b"two")])
    here = client(place)
    assert here.refresh() == 1
    assert sorted(here.get(key)) == [b"one", b"two"]


def test_without_keep_nothing_is_written(place: Counted, tmp_path: Path) -> None:
    client(place).add(records(3))
    here = client(place, tmp_path / "known")
    assert here.refresh(keep=False) == 3
    assert not (tmp_path / "known").exists()


def test_a_damaged_bundle_is_as_if_it_were_not_there_until_it_is_whole(place: Counted, tmp_path: Path) -> None:
    there = client(place)
    there.add(records(3))
    there.add(records(2, 3))
    name = min(place.list("runs"))
    good = place.read(f"runs/{name}")
    place.write(f"runs/{name}", [good[:-1]])
    here = client(place, tmp_path / "known")
    assert here.refresh() == 5 - len(decode(good, HASHING.size))
    place.write(f"runs/{name}", [good])
    assert here.refresh() == len(decode(good, HASHING.size))


def test_a_damaged_bundle_is_mended_by_whoever_has_a_copy(place: Counted, tmp_path: Path) -> None:
    there = client(place, tmp_path / "known")
    there.add(records(3))
    (name,) = place.list("runs")
    good = place.read(f"runs/{name}")
    for bad in (good[:-1], good[:-1] + bytes([good[-1] ^ 1])):
        place.write(f"runs/{name}", [bad])
        stranger = client(place)
        assert stranger.refresh() == stranger.mend() == 0
        assert f"{min(stranger.damaged)}.runs" == name
        again = client(place, tmp_path / "known")
        assert again.refresh(again=True) == 0
        assert again.damaged == stranger.damaged
        assert again.keys() == {key for key, _ in records(3)}
        assert again.mend() == 3
        assert again.damaged == set()
        assert place.read(f"runs/{name}") == good


def test_a_bundle_of_another_size_is_read_again_without_being_asked(place: Counted, tmp_path: Path) -> None:
    client(place, tmp_path / "known").add(records(3))
    (name,) = place.list("runs")
    place.write(f"runs/{name}", [b"short"])
    here = client(place, tmp_path / "known")
    here.refresh()
    assert [f"{bad}.runs" for bad in here.damaged] == [name]


def test_a_bundle_of_a_newer_version_is_not_damaged(place: Counted) -> None:
    data = encode(records(3), HASHING.size)
    data = data[:8] + b"\2" + data[9:]
    place.write(f"runs/{HASHING.of(data).hex()}.runs", [data])
    here = client(place)
    assert here.refresh() == 0
    assert (len(here.strange), here.damaged) == (1, set())


def test_a_damaged_copy_is_read_again(place: Counted, tmp_path: Path) -> None:
    client(place).add(records(3))
    client(place, tmp_path / "known").refresh()
    (copy,) = (tmp_path / "known").iterdir()
    copy.write_bytes(b"")
    here = client(place, tmp_path / "known")
    assert here.keys() == set()
    here.refresh()
    assert len(here.keys()) == 3


def test_names_from_elsewhere_are_no_paths(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(str(tmp_path / "remote"))
    blobs.begin()
    for name in ("readme", "..runs", "x" * 32 + ".runs", "0" * 31 + ".runs"):
        (tmp_path / "remote/runs" / name).write_bytes(b"what")
    here = Bundles(blobs, HASHING, str(tmp_path / "known"))
    assert here.refresh() == 0
    assert not (tmp_path / "known").exists()


def test_many_small_bundles_become_one(place: Counted, tmp_path: Path) -> None:
    there = client(place)
    for number in range(65):
        there.add(records(1, number))
    reader = client(place, tmp_path / "known")
    reader.refresh()
    there.merge()
    assert len(place.list("runs")) == 1
    assert there.keys() == reader.keys()
    reader.refresh()
    assert len(list((tmp_path / "known").iterdir())) == 1
    assert reader.keys() == {key for key, _ in records(65)}


def test_a_client_that_meets_a_merge_reads_the_listing_again(place: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    there = client(place)
    for number in range(65):
        there.add(records(1, number))
    reader = client(place)
    fetched = reader._fetched

    def while_somebody_merges(name: str) -> bytes:
        there.merge()
        return fetched(name)

    monkeypatch.setattr(reader, "_fetched", while_somebody_merges)
    assert reader.refresh() == 65


def test_a_bundle_holds_so_many(place: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "_MOST", 4)
    client(place).add(records(10))
    assert len(place.list("runs")) == 3
    here = client(place)
    assert here.refresh() == 10


@pytest.mark.parametrize("count", [0, 1, 300])
def test_one_encoding(count: int) -> None:
    rows = records(count)
    data = encode(rows, HASHING.size)
    assert data == encode([*reversed(rows), *rows], HASHING.size)
    assert decode(data, HASHING.size) == {key: (record,) for key, record in rows}


@pytest.mark.parametrize(
    "spoil", [lambda d: d[:10], lambda d: d[:-1], lambda d: b"x" + d[1:], lambda d: d[:8] + b"\2" + d[9:]]
)
def test_what_is_no_bundle_is_refused(spoil) -> None:
    with pytest.raises(FormatError):
        decode(spoil(encode(records(3), HASHING.size)), HASHING.size)


def test_a_small_bundle_that_says_it_is_huge_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(records(3), 16)
    assert len(decode(data, 16)) == 3
    monkeypatch.setattr(bundles, "_LARGEST", 10)
    with pytest.raises(FormatError, match="larger than any"):
        decode(data, 16)
