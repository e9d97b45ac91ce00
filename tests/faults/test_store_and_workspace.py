"""Each call that changes the file system fails once: nothing is lost, and the next run finishes the work."""

from __future__ import annotations

import errno
import itertools
import shutil
from functools import cache

import pytest

from mlvc.errors import MlvcError
from tests.helpers.faults import count_syscalls, fail_at
from tests.helpers.stores import at_directory, bring, noise, open_local, put_all, put_file, read_all, send, snapshot
from tests.helpers.trees import Place, make, wipe

pytestmark = pytest.mark.fault

BEFORE = {"old": b"kept", "sub/x": b"as it was", "was": b"a file"}
AFTER = {"new": noise(700), "sub/x": b"changed", "sub/deep/y": b"1", "link": "new", "empty": None, "was/now": b"2"}
LARGE_FILE = noise(1_500_000)


def verify(place, oids):
    """Everything that was stored is there and hashes."""
    assert place.store.missing(oids) == set()
    found, lost = read_all(place.store, oids)
    assert lost == {}
    assert set(found) == set(oids)


def everything(root):
    return {path: state for path, state in snapshot(root).items() if not path.startswith(".git")}


def leftovers(place):
    return [path for path in (place.private / "tmp").glob("*/*") if path.name != "held"]


# Both hashes meet each error, and each way to keep large objects.
@pytest.mark.parametrize(
    ("error", "loose", "algorithm"),
    [
        (errno.ENOSPC, False, "xxh128"),
        (errno.ENOSPC, True, "blake3"),
        (errno.EIO, False, "blake3"),
        (errno.EIO, True, "xxh128"),
    ],
)
def test_storing(tmp_path, error, loose, algorithm):
    steps = []
    for n in itertools.count(1):
        top = tmp_path / str(n)
        with Place(top, algorithm, loose=lambda: loose) as place:
            before = put_all(place.store, [b"before", noise(5000)])
            make(place.root / "data", {**AFTER, "large": LARGE_FILE})
        tree = everything(top / "work")
        with fail_at(n, error, root=top) as faults:
            try:
                with Place(top, algorithm, loose=lambda: loose) as place:
                    place.add()
            except (OSError, MlvcError) as failure:
                assert not isinstance(failure, OSError) or failure.errno == error
        assert everything(top / "work") == tree, faults.failed
        with Place(top, algorithm, loose=lambda: loose) as place:
            verify(place, before)
            content = place.add()
            assert place.look().content == content
            verify(place, [*before, content.oid, *(e.oid for e in place.look().entries() if e.kind != "d")])
            assert leftovers(place) == [], faults.failed
        shutil.rmtree(top)
        if not faults.failed:
            break
        steps += faults.failed
    assert len(steps) > 5


@cache
def two_trees(algorithm, make_folder):
    """A Store with two trees, the first of which stands there; copied for every fault."""
    top = make_folder("two")
    with Place(top, algorithm) as place:
        make(place.root / "data", {**AFTER, "large": LARGE_FILE})
        after = place.add()
        wipe(place.root / "data")
        make(place.root / "data", {**BEFORE, "large": LARGE_FILE[::-1]})
        before = place.add()
    return top, before, after


@pytest.mark.parametrize(
    ("error", "there", "algorithm"),
    [(errno.ENOSPC, True, "xxh128"), (errno.EIO, True, "blake3"), (errno.EIO, False, "xxh128")],
)
def test_checking_out(tmp_path, tmp_path_factory, error, there, algorithm):
    original, before, after = two_trees(algorithm, tmp_path_factory.mktemp)
    old = snapshot(original / "work/data")
    top = tmp_path / "expected"
    shutil.copytree(original, top, symlinks=True)
    with Place(top, algorithm) as place:
        place.checkout(after)
    new = snapshot(top / "work/data")
    steps = []
    for n in itertools.count(1):
        top = tmp_path / str(n)
        shutil.copytree(original, top, symlinks=True)
        if not there:
            wipe(top / "work/data")
        with fail_at(n, error, root=top) as faults:
            try:
                with Place(top, algorithm) as place:
                    place.checkout(after)
            except (OSError, MlvcError):
                pass
        now = snapshot(top / "work/data") if (top / "work/data").exists() else {}
        for path, state in now.items():
            known = {old.get(path) if there else None, new.get(path)}
            assert state in known or state == ("d", b""), (path, faults.failed)
        with Place(top, algorithm) as place:
            done = place.checkout(after)
            assert done.lost == {}, faults.failed
            assert snapshot(top / "work/data") == new, faults.failed
            assert place.look().content == after
            assert place.checkout(before).lost == {}
            assert leftovers(place) == [], faults.failed
            assert [path.name for path in (top / "work").iterdir() if path.name.startswith(".mlvc")] == []
        shutil.rmtree(top)
        if not faults.failed:
            break
        steps += faults.failed
    assert len(steps) > 10


@pytest.mark.parametrize(
    ("way", "error", "algorithm"),
    [
        ("push", errno.ENOSPC, "blake3"),
        ("push", errno.EIO, "xxh128"),
        ("fetch", errno.EIO, "xxh128"),
        ("fetch", errno.EIO, "blake3"),
    ],
)
def test_pushing_and_fetching(tmp_path, way, error, algorithm):
    steps = []
    with open_local(tmp_path / "here", algorithm) as here:
        oids = put_all(here, [noise(900, seed) for seed in range(40)])
        oids += put_all(here, [b"in a pack of its own"])
        oids.append(put_file(here, LARGE_FILE, tmp_path / "file"))
        for n in itertools.count(1):
            place, there = tmp_path / f"{way}{n}/remote", tmp_path / f"{way}{n}/there"
            open_local(there, algorithm).close()
            if way == "fetch":
                with_here(here, place, oids)
            with fail_at(n, error, root=tmp_path) as faults:
                try:
                    if way == "push":
                        with_here(here, place, oids)
                    else:
                        with_there(there, place, oids, algorithm)
                except (OSError, MlvcError):
                    pass
            assert here.missing(oids) == set(), faults.failed
            with open_local(there, algorithm) as store:
                good = set(oids) - store.missing(oids)
                assert read_all(store, good)[1] == {}, faults.failed
            assert with_here(here, place, oids).lost == {}, faults.failed
            assert with_there(there, place, oids, algorithm).lost == {}, faults.failed
            with open_local(there, algorithm) as store:
                assert store.missing(oids) == set(), faults.failed
                assert read_all(store, oids)[1] == {}, faults.failed
            assert list((place / "tmp").iterdir()) == []
            shutil.rmtree(tmp_path / f"{way}{n}")
            if not faults.failed:
                break
            steps += faults.failed
        assert read_all(here, oids)[1] == {}
    assert len(steps) > 10


def with_here(here, place, oids):
    remote = at_directory(place, here.hashing.name)
    try:
        return send(here, remote, oids)
    finally:
        remote.close()


def with_there(there, place, oids, algorithm):
    remote = at_directory(place, algorithm)
    try:
        with open_local(there, algorithm) as store:
            return bring(store, remote, oids)
    finally:
        remote.close()


def test_invariant_5_reading_writes_no_object(tmp_path_factory, algorithm):
    top, before, after = two_trees(algorithm, tmp_path_factory.mktemp)
    with Place(top, algorithm) as place:
        place.look()
        with count_syscalls(top / "work/.git/mlvc/packs") as faults:
            read_all(place.store, [before.oid, after.oid])
        assert faults.calls == []
