"""Backends raise what they like: it becomes one sentence about the Remote, wherever it comes from."""

from __future__ import annotations

import fsspec  # noqa: TID251  (a backend is what is made here)
import pytest
from fsspec.implementations.memory import MemoryFileSystem  # noqa: TID251

from mlvc import transfer
from mlvc.errors import RemoteError
from mlvc.store import remote as remotes
from mlvc.store.blobs import FsspecBlobs
from tests.helpers.stores import bring, noise, open_remote, put_all, send

SAID = "An error occurred (SlowDown)\nwhen calling:\n   please reduce your rate"
TOLD = "An error occurred (SlowDown) when calling: please reduce your rate"


class MoodyFileSystem(MemoryFileSystem):
    """Fails in the operation ``fails`` with an error that is no OSError."""

    protocol = "moody"
    store = {}  # noqa: RUF012  (as in MemoryFileSystem)
    pseudo_dirs = [""]  # noqa: RUF012
    fails = ""
    error = RuntimeError(SAID)

    def _mood(self, name):
        if self.fails == name:
            raise self.error

    def ls(self, *args, **options):
        self._mood("ls")
        return super().ls(*args, **options)

    def cat_file(self, path, start=None, end=None, **options):
        self._mood("cat_file" if start is None else "range")
        return super().cat_file(path, start=start, end=end, **options)

    def open(self, *args, **options):
        self._mood("open")
        file = super().open(*args, **options)
        if self.fails == "read":
            file.read = lambda *_: self._mood("read")
        return file

    def pipe_file(self, *args, **options):
        self._mood("pipe_file")
        return super().pipe_file(*args, **options)

    def rm_file(self, *args, **options):
        self._mood("rm_file")
        return super().rm_file(*args, **options)

    def makedirs(self, *args, **options):
        self._mood("makedirs")
        return super().makedirs(*args, **options)


@pytest.fixture(autouse=True)
def moody(monkeypatch):
    fsspec.register_implementation("moody", MoodyFileSystem, clobber=True)
    monkeypatch.setattr(MoodyFileSystem, "store", {})
    monkeypatch.setattr(MoodyFileSystem, "pseudo_dirs", [""])


@pytest.fixture
def far(algorithm, tmp_path):
    remote = open_remote(FsspecBlobs("moody://place", {"skip_instance_cache": True}), algorithm)
    yield remote
    remote.close()


@pytest.mark.parametrize("operation", ["ls", "cat_file", "pipe_file", "makedirs"])
def test_a_push(here, far, monkeypatch, operation):
    oids = put_all(here, [b"x"])
    monkeypatch.setattr(MoodyFileSystem, "fails", operation)
    if operation == "ls":
        far.begin()
        far.make()
    with pytest.raises(RemoteError) as caught:
        send(here, far, oids)
    assert caught.value.message == f"remote 'there' at the place cannot be used: {TOLD}"
    monkeypatch.setattr(MoodyFileSystem, "fails", "")
    assert send(here, far, oids).lost == {}


@pytest.mark.parametrize("operation", ["ls", "cat_file", "range", "open", "read"])
def test_a_fetch(here, there, far, monkeypatch, operation):
    oids = put_all(here, [noise(4000, seed) for seed in range(300)])
    send(here, far, oids)
    wanted = oids[:2] if operation == "range" else oids
    monkeypatch.setattr(MoodyFileSystem, "fails", operation)
    with pytest.raises(RemoteError) as caught:
        bring(there, far, wanted)
    assert caught.value.message == f"remote 'there' at the place cannot be used: {TOLD}"
    assert there.missing(wanted) == set(wanted)
    monkeypatch.setattr(MoodyFileSystem, "fails", "")
    assert bring(there, far, wanted).lost == {}


def test_who_may_not_delete_merges_nothing(here, there, far, monkeypatch):
    monkeypatch.setattr(remotes, "_MERGE_ABOVE", 1)
    monkeypatch.setattr(MoodyFileSystem, "fails", "rm_file")
    oids = [oid for turn in range(4) for oid in put_all(here, [b"%d" % turn])]
    for oid in oids:
        send(here, far, [oid])
    assert transfer.plan_fetch(there, far, oids).lost == {}


def test_opening(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError(SAID)

    monkeypatch.setattr(MoodyFileSystem, "__init__", fail)
    with pytest.raises(RemoteError, match=r"cannot use moody://place: An error occurred \(SlowDown\) when"):
        FsspecBlobs("moody://place", {"skip_instance_cache": True})


@pytest.mark.parametrize(("error", "told"), [(KeyError(), "KeyError"), (ValueError("x" * 999), "x" * 300 + "…")])
def test_words(here, far, monkeypatch, error, told):
    monkeypatch.setattr(MoodyFileSystem, "fails", "cat_file")
    monkeypatch.setattr(MoodyFileSystem, "error", error)
    with pytest.raises(RemoteError) as caught:
        far.check()
    assert caught.value.message.endswith(f"cannot be used: {told}")
