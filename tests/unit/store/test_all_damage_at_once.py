"""Reading a large object finds every damaged Pack of it, so that one fetch brings all that is lost."""

from __future__ import annotations

import os
import random

import pytest

from mlvc.errors import DamagedError
from mlvc.hashing import Hashing
from mlvc.store import local, pack


def test_every_damaged_pack_of_a_large_object_is_found(tmp_path, algorithm, monkeypatch):
    monkeypatch.setattr(
        pack.PackWriter.__init__, "__kwdefaults__", {**pack.PackWriter.__init__.__kwdefaults__, "pack_size": 1 << 20}
    )
    local.create(str(tmp_path / "store"), Hashing(algorithm))
    (tmp_path / "file").write_bytes(random.Random(5).randbytes(5_000_000))
    with local.open_store(str(tmp_path / "store")) as store, store.batch() as batch:
        oid = batch.put_file(str(tmp_path / "file"))
        batch.commit()
    packs = sorted((tmp_path / "store" / "packs").iterdir())
    assert len(packs) >= 4
    for path in packs:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size * 2 // 5)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
    with local.open_store(str(tmp_path / "store")) as store:
        received = []
        with pytest.raises(DamagedError):
            received.extend(bytes(part) for part in store.stream(oid))
        assert store.packed.damaged == {path.stem for path in packs}
        assert b"".join(received) == (tmp_path / "file").read_bytes()[: len(b"".join(received))]
        store.quarantine({oid: "damaged"})
        assert store.missing([oid]) == {oid}
