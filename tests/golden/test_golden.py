"""What version 1 wrote is read by every later version, and the same content still has the same names."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from mlvc import manifest, pointer
from mlvc.hashing import Hashing
from mlvc.oid import to_text
from mlvc.pipeline import lockfile, run
from mlvc.pipeline.run import RunCache, key_of
from mlvc.snapshot import _locked
from mlvc.store.local import open_store
from tests.helpers.stores import at_directory, bring, content, open_local, put_all, put_file, read_all, send

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("make_v1", HERE / "make_v1.py")
v1 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(v1)


@pytest.fixture
def golden(tmp_path, algorithm):
    """A copy: reading writes a catalog."""
    return Path(shutil.copytree(HERE / "v1" / algorithm, tmp_path / "golden"))


@pytest.fixture
def expected(golden):
    return json.loads((golden / "expected.json").read_text())


@pytest.fixture
def tracked(golden):
    return pointer.decode((golden / "data.mlvc").read_bytes(), "data.mlvc")


def objects(hashing, expected):
    """Every object that was stored, by Oid; the manifest's are None."""
    found = {hashing.of(data): data for kind, data in v1.FILES.values() if kind != "d"}
    return found | {bytes.fromhex(oid): None for oid in expected["manifest"]}


def check(reader, expected, tracked):
    wanted = objects(reader.hashing, expected)
    assert reader.missing(wanted) == set()
    found, lost = read_all(reader, wanted)
    assert lost == {}
    assert found.keys() == wanted.keys()
    assert all(data is None or found[oid] == data for oid, data in wanted.items())
    assert content(reader, reader.hashing.of(v1.TABLE)) == v1.TABLE
    entries = manifest.entries_of(reader, tracked.content.oid)
    assert entries == sorted(v1.entries(reader.hashing), key=lambda entry: entry.path.encode())
    assert len(entries) == tracked.content.files
    assert sum(entry.size for entry in entries) == tracked.content.size


def test_the_store_is_read(golden, expected, tracked):
    with open_store(str(golden / "store")) as store:
        check(store, expected, tracked)
        recipe = store.packed.recipe(store.hashing.of(v1.TABLE))
        assert [[oid.hex(), length] for oid, length in recipe] == expected["chunks"]


def test_the_remote_is_read(golden, expected, tracked, algorithm):
    remote = at_directory(golden / "remote", algorithm)
    remote.refresh()
    check(remote, expected, tracked)
    remote.close()


def test_it_is_fetched_and_pushed_on(golden, expected, tracked, algorithm, tmp_path):
    remote = at_directory(golden / "remote", algorithm)
    with open_local(tmp_path / "store", algorithm) as store:
        oids = objects(store.hashing, expected)
        assert bring(store, remote, oids).lost == {}
        check(store, expected, tracked)
        assert send(store, remote, oids).packs == 0
    remote.close()


def test_the_pointer_is_read_and_written_alike(golden, tracked, expected):
    assert pointer.encode(tracked) == (golden / "data.mlvc").read_bytes()
    assert tracked.content.oid.hex() == expected["manifest"][-1]


def test_the_lockfile_is_read_and_written_alike(golden, algorithm):
    data = (golden / "mlvc.lock").read_bytes()
    found, (wanted, _) = lockfile.decode(data), v1.records(Hashing(algorithm))
    assert found == wanted
    assert lockfile.encode(found) == lockfile.encode(wanted) == data
    outs, homes = _locked(data, "mlvc.lock")
    assert homes == {}
    assert outs == {path: out for entry in found.stages.values() for path, out in entry.outs.items() if path in outs}
    assert outs.keys() == {"model.bin", "kept", "now"}


def test_the_runs_are_found_and_written_alike(golden, algorithm, tmp_path):
    cache = RunCache(str(tmp_path / "runs"), Hashing(algorithm))
    for name, wanted in zip(("wide", "least"), v1.records(Hashing(algorithm))[1], strict=True):
        data = (golden / f"{name}.run.json").read_bytes()
        found = run.decode(data, name)
        assert found == wanted
        assert run.encode(found) == data
        place = Path(cache.path_of(found.key))
        place.parent.mkdir(parents=True)
        place.write_bytes(data)
        assert cache.lookup(key_of(wanted.inputs, Hashing(algorithm))) == found


def test_equal_content_has_equal_names_today(tmp_path, algorithm, expected, tracked):
    with open_local(tmp_path / "store", algorithm) as store:
        for path, oid in expected["oids"].items():
            assert store.hashing.of(v1.FILES[path][1]).hex() == oid
        content_now, made = manifest.build(v1.entries(store.hashing), store.hashing)
        assert content_now == tracked.content
        assert to_text(content_now.oid).startswith(algorithm)
        assert [oid.hex() for oid, _ in made] == expected["manifest"]
        assert len(made) == 3


def test_today_cuts_where_version_1_cut(tmp_path, algorithm, expected):
    with open_local(tmp_path / "store", algorithm) as store:
        oid = put_file(store, v1.TABLE, tmp_path / "file")
        assert oid.hex() == expected["oids"]["table.csv"]
        assert [[chunk.hex(), length] for chunk, length in store.packed.recipe(oid)] == expected["chunks"]
        assert len(expected["chunks"]) > 4


def test_today_cuts_noise_where_version_1_cut():
    expected = json.loads((HERE / "v1/cuts.json").read_text())
    assert v1.cuts() == expected
    assert len(set(expected)) > 30


def test_what_is_added_to_an_old_store_is_read_beside_it(golden, expected, tracked):
    with open_store(str(golden / "store")) as store:
        (oid,) = put_all(store, [b"new"])
        assert put_all(store, [b"odd"])[0].hex() == expected["oids"]["odd \u00fc\n name"]
    with open_store(str(golden / "store")) as store:
        assert content(store, oid) == b"new"
        check(store, expected, tracked)


def test_golden_files_are_small():
    assert sum(path.stat().st_size for path in (HERE / "v1").rglob("*") if path.is_file()) < 200_000
