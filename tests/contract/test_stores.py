"""Every Store there is, held to tests/contract/store.py."""

from __future__ import annotations

import os
import sys

import pytest

from mlvc.hashing import Hashing
from mlvc.store.base import MemoryStore
from mlvc.store.blobs import DirectoryBlobs, FsspecBlobs
from tests.contract.store import Case, StoreContract
from tests.helpers import SOURCES, run
from tests.helpers.stores import flip, open_local, open_remote, packs, put_all, read_all, send


def where_in_pack(store, oid):
    """The Pack and the place of the first byte of an object that does not compress, or of its last chunk."""
    catalog = store.packed.catalog
    recipe = store.packed.recipe(oid)
    location = catalog.everywhere(recipe[-1][0] if recipe else oid)[0]
    payload = sum(each.length for each in catalog.members(location.pack) if each.frame == location.frame)
    return location.pack, location.frame + location.extent - payload + location.start


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def case(self, algorithm):
        store = MemoryStore(Hashing(algorithm))

        def damage(oid):
            store.objects[oid] = b"!" + store.objects[oid][1:]

        return Case(store, lambda: store, damage, store.objects.pop)


class TestLocalStore(StoreContract):
    @pytest.fixture(params=["packed", "loose"])
    def case(self, request, tmp_path, algorithm):
        root = tmp_path / "store"
        opened = []

        def reopen():
            opened.append(open_local(root, algorithm, loose=lambda: request.param == "loose"))
            return opened[-1]

        def damage(oid):
            loose = store.loose.path(oid)
            if os.path.exists(loose):
                flip(root / loose, 5)
            else:
                pack, at = where_in_pack(store, oid)
                flip(root / f"packs/{pack}.pack", at)

        def remove(oid):
            for path in packs(root):
                if path.name.startswith(where_in_pack(store, oid)[0]):
                    path.unlink()

        store = reopen()
        yield Case(store, reopen, damage, remove, root=root, checks_parts=request.param == "packed")
        for each in opened:
            each.close()


class Pushed(StoreContract):
    """Read through a RemoteStore after a push of all that is in a LocalStore."""

    @pytest.fixture
    def case(self, request, tmp_path, algorithm, blobs):
        root = tmp_path / "store"
        store = open_local(root, algorithm, loose=lambda: request.node.name.startswith("test_files"))
        opened = []

        def reader():
            remote = open_remote(blobs, algorithm)
            opened.append(remote)
            if not changed:
                loose = [bytes.fromhex(p.parent.name + p.name) for p in (root / "loose").rglob("*") if p.is_file()]
                every = [
                    location.oid
                    for name in store.packed.catalog.packs()
                    for location in store.packed.catalog.members(name)
                ]
                assert send(store, remote, [*every, *loose]).lost == {}
            remote.refresh()
            return remote

        changed = []

        def damage(oid):
            changed.append(oid)
            pack, at = where_in_pack(opened[-1], oid)
            data = bytearray(blobs.read(f"packs/{pack}.pack"))
            data[at] ^= 1
            blobs.write(f"packs/{pack}.pack", [data])

        def remove(oid):
            changed.append(oid)
            blobs.delete(f"packs/{where_in_pack(opened[-1], oid)[0]}.pack")

        yield Case(store, reader, damage, remove, root=root)
        for each in [store, *opened]:
            each.close()


class TestDirectoryRemote(Pushed):
    @pytest.fixture
    def blobs(self, tmp_path):
        return DirectoryBlobs(str(tmp_path / "remote"))


class TestFsspecRemote(Pushed):
    @pytest.fixture
    def blobs(self, tmp_path):
        return FsspecBlobs(f"memory://{tmp_path.name}", {"skip_instance_cache": True})


WRITER = """\
import sys
from mlvc.store.local import open_store

root, name = sys.argv[1:]
with open_store(root) as store:
    for turn in range(12):
        with store.batch() as batch:
            for number in range(40):
                batch.put(f"{name} {turn} {number}".encode())
                batch.put(f"both {turn} {number}".encode())
            batch.commit()
        mine = [store.hashing.of(f"{name} {turn} {number}".encode()) for number in range(40)]
        assert not store.missing(mine), (name, turn)
"""


def test_two_processes_write_at_once(tmp_path, algorithm):
    from concurrent.futures import ThreadPoolExecutor

    store = open_local(tmp_path / "store", algorithm)
    command = [sys.executable, "-c", WRITER, tmp_path / "store"]
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(run, [*command, name], env={"PYTHONPATH": SOURCES}) for name in "abc"]:
            done.result()
    names = [*"abc", "both"]
    contents = {f"{name} {turn} {number}".encode() for name in names for turn in range(12) for number in range(40)}
    oids = [store.hashing.of(data) for data in contents]
    for each in (store, open_local(tmp_path / "store", algorithm)):
        each.refresh()
        assert each.missing(oids) == set()
        assert set(read_all(each, oids)[0].values()) == contents
        each.close()
    assert [path.name for path in (tmp_path / "store/tmp").iterdir()] == []


def test_objects_go_into_few_files(tmp_path, algorithm):
    with open_local(tmp_path / "store", algorithm) as store:
        put_all(store, [b"%d" % number for number in range(5000)])
        assert len(packs(tmp_path / "store")) == 1
