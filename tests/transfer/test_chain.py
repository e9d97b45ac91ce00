"""A Store with a Remote behind it, read as one."""

from __future__ import annotations

import pytest

from mlvc.errors import DamagedError, ObjectsMissingError
from mlvc.store.base import LARGE
from mlvc.store.blobs import DirectoryBlobs
from mlvc.store.chain import Chain
from tests.helpers.stores import flip, noise, open_local, open_remote, packs, part, put_file, send, until

SIZE = 4 * LARGE


@pytest.fixture
def both(tmp_path, algorithm):
    """A Store and a Remote that have one large object, and the Oid of it."""
    near = open_local(tmp_path / "store", algorithm)
    oid = put_file(near, noise(SIZE), tmp_path / "file")
    far = open_remote(DirectoryBlobs(str(tmp_path / "remote")), algorithm)
    assert send(near, far, [oid]).lost == {}
    far.refresh()
    near.close()
    yield tmp_path / "store", far, oid
    far.close()


def opened(root, far, algorithm):
    near = open_local(root, algorithm)
    return Chain(near.hashing, lambda: near, lambda: far)


def damage(root, where):
    (pack,) = packs(root)
    flip(pack, int(pack.stat().st_size * where))


def test_a_part_that_is_damaged_here_comes_from_the_remote(both, algorithm):
    root, far, oid = both
    damage(root, 0.5)
    assert part(opened(root, far, algorithm), oid, 100, SIZE - 100) == noise(SIZE)[100:-100]


def test_a_part_that_is_damaged_here_and_there_is_never_handed_out(both, algorithm, tmp_path):
    root, far, oid = both
    damage(root, 0.5)
    damage(tmp_path / "remote", 0.5)
    received = until(DamagedError, opened(root, far, algorithm).part(oid, 0, SIZE))
    assert noise(SIZE).startswith(received)
    assert len(received) > SIZE // 4


def test_a_part_without_a_remote(both, algorithm):
    root, _, oid = both
    alone = opened(root, None, algorithm)
    assert part(alone, oid, 5, 50) == noise(SIZE)[5:50]
    with pytest.raises(ObjectsMissingError):
        part(alone, alone.hashing.of(b"absent"), 0, 1)
    damage(root, 0.1)
    with pytest.raises(DamagedError):
        part(opened(root, None, algorithm), oid, 0, SIZE)


def test_a_part_comes_from_the_remote_where_there_is_no_store(both, algorithm):
    _, far, oid = both
    assert part(Chain(far.hashing, lambda: None, lambda: far), oid, SIZE - 10, SIZE + 10) == noise(SIZE)[-10:]
