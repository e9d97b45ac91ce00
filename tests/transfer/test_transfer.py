"""Push and fetch between Stores by way of a directory Remote: all of it, or what is lost is named."""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlvc import transfer
from mlvc.errors import RemoteError
from mlvc.store import remote as remotes
from mlvc.store.base import LARGE
from mlvc.store.blobs import DirectoryBlobs
from mlvc.store.remote import decode_fragment, encode_fragment
from tests.helpers import SOURCES, run
from tests.helpers.stores import (
    at_directory,
    bring,
    content,
    flip,
    noise,
    open_local,
    open_remote,
    packs,
    put_all,
    put_file,
    read_all,
    send,
)


class Counted(DirectoryBlobs):
    """Lists what is asked of the place."""

    def __init__(self, root):
        super().__init__(root)
        self.calls = []

    def write(self, name, blocks):
        self.calls.append(("write", name))
        super().write(name, blocks)

    def blocks(self, name):
        self.calls.append(("blocks", name))
        return super().blocks(name)

    def range(self, name, start, length):
        self.calls.append(("range", name))
        return super().range(name, start, length)

    def asked(self):
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def place(tmp_path):
    return tmp_path / "remote"


@pytest.fixture
def blobs(place):
    return Counted(str(place))


@pytest.fixture
def far(blobs, algorithm, tmp_path):
    """The Remote as the pusher knows it."""
    remote = open_remote(blobs, algorithm, tmp_path / "pusher.sqlite")
    yield remote
    remote.close()


@pytest.fixture
def far_too(place, algorithm, tmp_path):
    """The Remote as the fetcher knows it."""
    remote = open_remote(DirectoryBlobs(str(place)), algorithm, tmp_path / "fetcher.sqlite")
    yield remote
    remote.close()


def fragments(place):
    return sorted((place / "index").iterdir())


def small(count, start=0, size=400):
    return [noise(size, seed) for seed in range(start, start + count)]


@contextmanager
def stranger(place, algorithm):
    """The Remote as a client sees it that knows nothing of it yet."""
    remote = at_directory(place, algorithm)
    remote.refresh()
    yield remote
    remote.close()


def raising(error):
    def fail(*_):
        raise error

    return fail


# -- what is sent ------------------------------------------------------------------------------


def test_whole_packs_travel_as_they_are(here, there, far, far_too, place, *, tmp_path):
    contents = small(300)
    oids = put_all(here, contents)
    done = send(here, far, oids)
    assert (done.objects, done.packs, done.lost) == (300, 1, {})
    assert [path.name for path in packs(place)] == [path.name for path in packs(tmp_path / "here")]
    done = bring(there, far_too, oids)
    assert (done.objects, done.packs, done.lost) == (300, 1, {})
    assert [path.name for path in packs(tmp_path / "there")] == [path.name for path in packs(place)]
    assert set(read_all(there, oids)[0].values()) == set(contents)


def test_small_packs_are_joined(here, there, far, far_too, place):
    oids = [oid for seed in range(6) for oid in put_all(here, small(5, 5 * seed))]
    assert send(here, far, oids).packs == 1
    assert len(packs(place)) == len(fragments(place)) == 1
    assert bring(there, far_too, oids).lost == {}
    assert there.missing(oids) == set()


def test_only_what_is_asked_for_is_sent_and_fetched(here, there, far, far_too):
    oids = put_all(here, small(300, size=4000))
    assert send(here, far, oids[:100]).objects == 100
    assert far.missing(oids) == set(oids[100:])
    assert send(here, far, oids).objects == 200
    assert bring(there, far_too, oids[:3]).objects == 3
    assert not there.missing(oids[:3])
    assert bring(there, far_too, oids).lost == {}
    assert there.missing(oids) == set()


def test_nothing_new_sends_nothing(here, far, blobs, there, far_too):
    oids = put_all(here, small(300))
    send(here, far, oids)
    blobs.asked()
    done = send(here, far, oids)
    assert (done.objects, done.packs, done.lost) == (0, 0, {})
    assert blobs.asked() == []
    bring(there, far_too, oids)
    assert bring(there, far_too, oids).packs == 0


def test_a_second_client_sends_nothing_that_is_there(here, far, far_too, place):
    oids = put_all(here, small(50))
    send(here, far, oids)
    assert send(here, far_too, oids).packs == 0
    assert len(packs(place)) == len(fragments(place)) == 1


def test_a_large_object_travels_in_chunks_and_its_next_version_sends_what_changed(
    here, there, far, far_too, tmp_path, *, place
):
    data = noise(4 * LARGE)
    first = put_file(here, data, tmp_path / "file")
    second = put_file(here, data[:LARGE] + b"inserted" + data[LARGE:], tmp_path / "file")
    assert send(here, far, [first]).size > 4 * LARGE
    assert send(here, far, [second]).size < LARGE
    bring(there, far_too, [second, first])
    assert content(there, first) == data
    assert content(there, second) == data[:LARGE] + b"inserted" + data[LARGE:]


def test_what_lies_together_comes_with_one_request(here, there, far, algorithm, place, *, tmp_path):
    data = [noise(2 * LARGE, seed) for seed in range(40)]
    large = [put_file(here, each, tmp_path / "file") for each in data]
    send(here, far, large)
    blobs = Counted(str(place))
    remote = open_remote(blobs, algorithm)
    assert bring(there, remote, large[5:10], jobs=4).lost == {}
    calls = [name for name, _ in blobs.asked()]
    # One for the recipes of each, two or three for their frames: there are more than forty.
    assert calls.count("range") <= 10
    assert calls.count("blocks") == 0
    assert [content(there, oid) for oid in large[5:10]] == data[5:10]
    assert content(remote, large[20]) == data[20]
    assert [name for name, _ in blobs.asked()].count("range") <= 3
    remote.close()


def test_loose_objects_are_chunked_on_push_and_come_back_as_the_same(there, far, far_too, algorithm, tmp_path):
    with open_local(tmp_path / "loose", algorithm, loose=lambda: True) as here:
        data = noise(3 * LARGE)
        oids = [put_file(here, data, tmp_path / "file"), *put_all(here, [b"small"])]
        assert packs(tmp_path / "loose")[0].stat().st_size < 1000
        assert send(here, far, oids).lost == {}
        assert send(here, far, oids).packs == 0
    bring(there, far_too, oids)
    assert content(there, oids[0]) == data
    assert there.loose.present(oids) == set()


def test_what_is_nowhere_is_named_and_the_rest_is_done(here, there, far, far_too):
    oids = put_all(here, small(10))
    absent = here.hashing.of(b"absent")
    assert send(here, far, [*oids, absent]).lost == {absent: "missing"}
    assert far.missing([*oids, absent]) == {absent}
    assert bring(there, far_too, [*oids, absent]).lost == {absent: "missing"}
    assert there.missing([*oids, absent]) == {absent}


def test_a_large_object_in_chunks_that_are_not_all_here_but_whole_as_a_loose_one(far, algorithm, tmp_path):
    data = noise(2 * LARGE)
    with open_local(tmp_path / "here", algorithm) as store:
        put_file(store, data[:LARGE], tmp_path / "file")
        (first,) = packs(tmp_path / "here")
        oid = put_file(store, data, tmp_path / "file")
        store.make_loose(oid)
    first.unlink()
    with open_local(tmp_path / "here", algorithm) as store:
        assert store.missing([oid]) == set()
        assert send(store, far, [oid]).lost == {}
        assert content(far, oid) == data


# -- damage there ------------------------------------------------------------------------------


def test_a_deleted_pack_is_restored_by_a_push(here, there, far, far_too, place):
    oids = put_all(here, small(50))
    others = put_all(here, small(50, 50))
    send(here, far, oids)
    send(here, far, others)
    gone = Path(place, "packs", far.catalog.locate(oids)[0].pack + ".pack")
    gone.unlink()
    done = bring(there, far_too, [*oids, *others])
    assert set(done.lost) == set(oids)
    assert there.missing([*oids, *others]) == set(oids)
    assert send(here, far, [*oids, *others]).objects == 50
    assert gone.exists()
    assert bring(there, far_too, [*oids, *others]).lost == {}
    assert there.missing([*oids, *others]) == set()


@pytest.mark.parametrize("known", [True, False])
def test_a_truncated_pack(here, there, far, far_too, place, *, algorithm, known):
    oids = put_all(here, small(100, size=5000))
    send(here, far, oids)
    if known:
        far_too.refresh()
    (path,) = packs(place)
    os.truncate(path, path.stat().st_size - 60_000)
    lost = bring(there, far_too, oids).lost
    assert set(lost) == set(oids)
    assert there.missing(oids) == set(lost)
    assert send(here, far, oids).objects == 100
    assert bring(there, far_too, oids).lost == {}
    assert len(read_all(there, oids)[0]) == 100


def test_a_pack_that_is_cut_between_listing_and_reading(here, there, far, far_too, place):
    oids = put_all(here, small(100, size=5000))
    send(here, far, oids)
    far_too.refresh()
    (path,) = packs(place)
    plan = transfer.plan_fetch(there, far_too, oids)
    os.truncate(path, path.stat().st_size - 100_000)
    lost = transfer.fetch(there, far_too, plan).lost
    assert 0 < len(lost) < 100
    assert set(lost.values()) == {"damaged"}
    assert there.missing(oids) == set(lost)
    assert read_all(there, set(oids) - set(lost))[1] == {}


def test_a_flipped_bit_loses_one_object(here, there, far, far_too, place):
    contents = small(100, size=3000)
    oids = put_all(here, contents)
    send(here, far, oids)
    (path,) = packs(place)
    location = far.catalog.locate([oids[42]])[0]
    flip(path, location.frame + location.extent - 1)
    done = bring(there, far_too, oids)
    assert list(done.lost.values()) == ["damaged"]
    assert there.missing(oids) == set(done.lost)
    assert len(read_all(there, oids)[0]) == 99
    path.unlink()
    assert send(here, far, oids).lost == {}
    assert bring(there, far_too, oids).lost == {}
    assert set(read_all(there, oids)[0].values()) == set(contents)


def test_damage_of_what_was_not_asked_for_is_no_loss(here, there, far, far_too, place):
    oids = put_all(here, small(100, size=3000))
    send(here, far, oids)
    (path,) = packs(place)
    location = far.catalog.locate([oids[99]])[0]
    flip(path, location.frame + location.extent - 1)
    last = max(far.catalog.members(location.pack)).oid
    done = bring(there, far_too, [oid for oid in oids if oid != last])
    assert done.lost == {}
    assert there.missing(oids) == {last}


def test_damaged_chunks_name_the_object_as_missing(here, there, far, far_too, place, *, tmp_path):
    oid = put_file(here, noise(3 * LARGE), tmp_path / "file")
    (other,) = put_all(here, [b"other"])
    send(here, far, [oid, other])
    (path,) = packs(place)
    flip(path, 500_000)
    assert set(bring(there, far_too, [oid, other]).lost.values()) == {"damaged"}
    assert there.missing([oid, other]) == {oid}
    path.unlink()
    send(here, far, [oid, other])
    assert bring(there, far_too, [oid, other]).lost == {}
    assert content(there, oid) == noise(3 * LARGE)


@pytest.mark.parametrize("harm", [os.unlink, lambda path: flip(path, 30), lambda path: os.truncate(path, 9)])
def test_a_fragment_is_damaged_or_gone(here, there, far, far_too, place, *, harm):
    oids = put_all(here, small(50))
    more = put_all(here, small(50, 50))
    send(here, far, oids)
    (fragment,) = fragments(place)
    harm(fragment)
    assert set(bring(there, far_too, oids).lost) == set(oids)
    with_new = at_directory(place, here.hashing.name)
    send(here, with_new, [*oids, *more])
    with_new.close()
    assert bring(there, far_too, [*oids, *more]).lost == {}
    assert there.missing([*oids, *more]) == set()


@pytest.mark.parametrize("harm", [os.unlink, lambda path: flip(path, 30)])
def test_a_push_writes_again_the_fragment_that_it_wrote_before(here, there, far, far_too, place, *, harm):
    """Also from the client that pushed, and knows what the fragment said: nothing else tells others of the Packs."""
    oids = put_all(here, small(50))
    more = put_all(here, small(5, 50))
    send(here, far, oids)
    send(here, far, more)
    before = {path.name for path in fragments(place)}
    harm(fragments(place)[0])
    assert send(here, far, [*oids, *more]).packs == 1
    assert {path.name for path in fragments(place)} == before
    assert bring(there, far_too, [*oids, *more]).lost == {}
    assert far.bad_fragments == set()
    assert send(here, far, [*oids, *more]).packs == 0


def test_a_fragment_that_was_mended_is_read_again(here, there, far, far_too, place):
    oids = put_all(here, small(5))
    send(here, far, oids)
    (fragment,) = fragments(place)
    good = fragment.read_bytes()
    flip(fragment, 30)
    assert set(bring(there, far_too, oids).lost) == set(oids)
    fragment.write_bytes(good)
    assert bring(there, far_too, oids).lost == {}


# -- damage here -------------------------------------------------------------------------------


def test_a_damaged_local_pack_is_never_sent_and_its_good_objects_are(here, far, place, tmp_path):
    contents = small(100, size=3000)
    oids = put_all(here, contents)
    (path,) = packs(tmp_path / "here")
    flip(path, path.stat().st_size - 24 - 10_000)
    done = send(here, far, oids)
    assert list(done.lost.values()) == ["damaged"]
    assert done.objects == 99
    assert not Path(place, "packs", path.name).exists()
    assert far.missing(oids) == set(done.lost)
    assert read_all(far, set(oids) - set(done.lost))[1] == {}
    assert here.missing(oids) == set(done.lost)
    assert (tmp_path / "here/quarantine" / path.name).exists()
    put_all(here, contents)
    assert send(here, far, oids).lost == {}
    assert len(read_all(far, oids)[0]) == 100


def test_a_local_pack_whose_head_is_damaged(here, far, tmp_path):
    oids = put_all(here, small(100, size=3000))
    (path,) = packs(tmp_path / "here")
    flip(path, 2)
    assert send(here, far, oids).lost == {}
    assert len(read_all(far, oids)[0]) == 100


def test_a_damaged_loose_object_is_not_sent(far, algorithm, tmp_path):
    with open_local(tmp_path / "loose", algorithm, loose=lambda: True) as here:
        oid = put_file(here, noise(2 * LARGE), tmp_path / "file")
        flip(Path(here.loose.path(oid)), 77)
        assert send(here, far, [oid]).lost == {oid: "damaged"}
        assert far.missing([oid]) == {oid}
        assert here.missing([oid]) == {oid}


def test_what_is_found_damaged_here_is_fetched_anew(here, there, far, far_too, tmp_path):
    oids = put_all(here, small(100, size=3000))
    send(here, far, oids)
    bring(there, far_too, oids)
    (path,) = packs(tmp_path / "there")
    flip(path, path.stat().st_size // 2)
    lost = read_all(there, oids)[1]
    assert list(lost.values()) == ["damaged"]
    assert bring(there, far_too, oids).lost == {}
    assert len(read_all(there, oids)[0]) == 100


def test_a_local_pack_cut_short_is_fetched_anew_in_one_process(here, there, far, far_too, tmp_path):
    oids = put_all(here, small(100, size=3000))
    send(here, far, oids)
    bring(there, far_too, oids)
    (path,) = packs(tmp_path / "there")
    os.truncate(path, path.stat().st_size - 70_000)
    there.refresh()
    assert there.missing(oids)
    assert bring(there, far_too, oids).lost == {}
    assert there.missing(oids) == set()
    assert len(read_all(there, oids)[0]) == 100


# -- interruptions -----------------------------------------------------------------------------


class PlugPulledError(Exception):
    """Somebody pulled the plug."""


def test_an_interrupted_fetch_goes_on(here, there, far, far_too, monkeypatch):
    sets = [put_all(here, small(60, 60 * turn, 3000)) for turn in range(4)]
    for oids in sets:
        send(here, far, oids)
    every = [oid for oids in sets for oid in oids]
    download = far_too.download
    done = []

    def breaks(*args, **options):
        if len(done) == 2:
            raise PlugPulledError
        done.append(download(*args, **options))

    monkeypatch.setattr(far_too, "download", breaks)
    with pytest.raises(PlugPulledError):
        bring(there, far_too, every)
    assert 0 < len(there.missing(every)) < len(every)
    monkeypatch.undo()
    monkeypatch.setattr(far_too, "download", lambda *args, **options: done.append(download(*args, **options)))
    done.clear()
    assert bring(there, far_too, every).lost == {}
    assert len(done) == 2
    assert len(read_all(there, every)[0]) == len(every)


@pytest.mark.parametrize("joined", [True, False])
def test_an_interrupted_push_sends_no_pack_twice(here, far, blobs, place, algorithm, *, monkeypatch, joined):
    if not joined:
        monkeypatch.setattr(transfer, "_SMALL_PACK", 1000)
    every = [oid for turn in range(3) for oid in put_all(here, small(60, 60 * turn, 3000))]
    with monkeypatch.context() as patch:
        patch.setattr(far, "publish", raising(PlugPulledError))
        with pytest.raises(PlugPulledError):
            send(here, far, every)
    assert fragments(place) == []
    assert len(packs(place)) == (1 if joined else 3)
    assert far.missing(every) == set(every)
    blobs.asked()
    assert send(here, far, every).lost == {}
    assert [name.split("/")[0] for _, name in blobs.asked()] == ["index"]
    with stranger(place, algorithm) as other:
        assert other.missing(every) == set()
        assert len(read_all(other, every)[0]) == len(every)


def test_a_half_pack_of_an_interrupted_push_elsewhere_is_written_anew(here, far, place):
    oids = put_all(here, small(60))
    far.begin()
    far.make()
    name = next(iter(here.packed.catalog.packs()))
    Path(place, "packs", name + ".pack").write_bytes(b"half")
    assert send(here, far, oids).lost == {}
    assert len(read_all(far, oids)[0]) == 60


# -- fragments and marker ----------------------------------------------------------------------


def test_many_fragments_are_merged(here, there, far, far_too, place, *, algorithm):
    oids = []
    for turn in range(66):
        oids += put_all(here, [b"%d" % turn])
        send(here, far, oids[-1:])
    assert 1 <= len(fragments(place)) <= 65
    assert bring(there, far_too, oids).lost == {}
    assert there.missing(oids) == set()
    far.refresh()
    with stranger(place, algorithm) as other:
        assert other.missing(oids) == set()
    assert len(fragments(place)) < 10


def test_who_may_only_read_merges_nothing_and_fetches(here, there, far, far_too, place, *, monkeypatch):
    monkeypatch.setattr(remotes, "_MERGE_ABOVE", 100)
    oids = put_all(here, [b"%d" % turn for turn in range(4)])
    for oid in oids:
        send(here, far, [oid])
    monkeypatch.setattr(remotes, "_MERGE_ABOVE", 2)
    for name in ("write", "delete"):
        monkeypatch.setattr(far_too._blobs, name, raising(PermissionError(13, "no")))
    assert bring(there, far_too, oids).lost == {}
    assert len(fragments(place)) == 4


def test_a_remote_of_another_hash_or_version_is_refused(far, place, algorithm):
    far.begin()
    assert not place.exists()
    far.make()
    assert (place / "mlvc-remote").read_text() == f"mlvc remote 1\nhash {algorithm}\n"
    other = "blake3" if algorithm == "xxh128" else "xxh128"
    for text, message in [
        (f"mlvc remote 1\nhash {other}\n", f"this repository uses {algorithm}"),
        (f"mlvc remote 2\nhash {algorithm}\n", "has format 'mlvc remote 2'"),
        ("something else\n", "has format 'something else'"),
        ("", "has format ''"),
    ]:
        (place / "mlvc-remote").write_text(text)
        for step in (far.check, far.begin, far.refresh):
            with pytest.raises(RemoteError, match=message):
                step()


def test_a_remote_that_is_not_there(here, far, place):
    with pytest.raises(RemoteError, match="nothing is at remote"):
        far.refresh()
    send(here, far, put_all(here, [b"x"]))
    shutil.rmtree(place)
    with pytest.raises(RemoteError, match="nothing is there now"):
        far.begin()
    place.write_text("a file")
    with pytest.raises(RemoteError, match="cannot be used"):
        far.refresh()


def test_no_remote_is_made_where_there_is_nothing_to_send(here, far, place):
    absent = here.hashing.of(b"absent")
    with pytest.raises(RemoteError, match="nothing that is tracked is here to be sent"):
        send(here, far, [absent])
    assert send(here, far, []).lost == {}
    assert not place.exists()
    oids = put_all(here, [b"x"])
    assert send(here, far, [absent, *oids]).lost == {absent: "missing"}
    assert send(here, far, [absent]).lost == {absent: "missing"}


def test_a_remote_that_stops_answering_is_no_damage(here, there, far, far_too, monkeypatch):
    oids = put_all(here, small(200, size=4000))
    send(here, far, oids)
    far_too.refresh()
    for wanted, name in ((oids, "blocks"), (oids[:2], "range")):
        plan = transfer.plan_fetch(there, far_too, wanted)
        monkeypatch.setattr(far_too._blobs, name, raising(TimeoutError(110, "timed out")))
        with pytest.raises(RemoteError, match="timed out"):
            transfer.fetch(there, far_too, plan)
        assert there.missing(oids) == set(oids)


def test_fragment_bytes_and_back(here):
    put_all(here, small(10))
    put_all(here, small(10, 10))
    listed = [(name, size, here.pack_index(name, size)) for name, size in sorted(here.packed.catalog.packs().items())]
    data = encode_fragment(reversed(listed), here.hashing.size)
    assert decode_fragment(data, here.hashing.size) == listed


def test_the_catalog_of_a_remote_can_be_deleted(here, far, there, place, algorithm, *, tmp_path):
    oids = put_all(here, small(20))
    send(here, far, oids)
    known = tmp_path / "known.sqlite"
    for harm in (lambda: None, known.unlink, lambda: known.write_bytes(noise(9000))):
        remote = open_remote(DirectoryBlobs(str(place)), algorithm, known)
        remote.refresh()
        assert remote.missing(oids) == set()
        remote.close()
        harm()


# -- several at once ---------------------------------------------------------------------------

PUSHER = """\
import sys
sys.path.insert(0, sys.argv[1])
from tests.helpers.stores import at_directory, open_local, put_all, send

_, _, root, place, algorithm, name = sys.argv
for turn in range(8):
    with open_local(root, algorithm) as store:
        oids = put_all(store, [f"{name} {turn} {number}".encode() for number in range(30)])
        remote = at_directory(place, algorithm)
        assert send(store, remote, oids).lost == {}
        assert remote.missing(oids) == set()
        remote.close()
"""


def test_pushes_of_two_processes_lose_nothing(tmp_path, algorithm, there, far_too, monkeypatch, *, place):
    def pusher(name):
        run([sys.executable, "-c", PUSHER, SOURCES, tmp_path / name, place, algorithm, name])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(pusher, ["one", "other"]))
    names = [(name, turn, number) for name in ("one", "other") for turn in range(8) for number in range(30)]
    contents = [f"{name} {turn} {number}".encode() for name, turn, number in names]
    oids = [there.hashing.of(data) for data in contents]
    monkeypatch.setattr(remotes, "_MERGE_ABOVE", 4)
    assert bring(there, far_too, oids).lost == {}
    assert there.missing(oids) == set()
    assert len(fragments(place)) == 1
    assert bring(there, far_too, oids).lost == {}
