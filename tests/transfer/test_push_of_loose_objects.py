"""Loose objects are cut on their way to a Remote, and only what the Remote lacks travels."""

from __future__ import annotations

import random

from mlvc import transfer
from mlvc.hashing import Hashing
from mlvc.store import local
from mlvc.store.blobs import blobs_at
from mlvc.store.remote import RemoteStore


def test_the_next_version_sends_what_changed_and_needs_no_room_for_all_of_it(tmp_path, algorithm, monkeypatch):
    hashing = Hashing(algorithm)
    local.create(str(tmp_path / "store"), hashing)
    data = bytearray(random.Random(7).randbytes(3_000_000))
    held = []
    with local.open_store(str(tmp_path / "store"), loose=lambda: True) as store:
        remote = RemoteStore("r", "r", blobs_at(str(tmp_path / "remote")), hashing, str(tmp_path / "catalog"))
        sizes = []
        for version in range(2):
            data[1_500_000 + version : 1_500_000 + version] = b"inserted"
            (tmp_path / "file").write_bytes(data)
            with store.batch() as batch:
                oid = batch.put_file(str(tmp_path / "file"))
                batch.commit()
            assert store.loose.present([oid])
            remote.begin()
            remote.refresh()
            result = transfer.push(store, remote, transfer.plan_push(store, remote, [oid]))
            assert not result.lost
            assert not remote.missing([oid])
            assert b"".join(remote.stream(oid)) == data
            sizes.append(result.size)
            held += list((tmp_path / "store" / "tmp").rglob("*.pack"))
        remote.close()
    assert sizes[0] > 2_900_000
    assert sizes[1] < 700_000
    assert not held
