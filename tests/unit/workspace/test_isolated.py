"""A directory with some files of the working tree and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlvc.manifest import Entry
from mlvc.workspace import isolated

LARGE = bytes(3 << 20)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "d/e").mkdir(parents=True)
    (root / "d/small").write_bytes(b"small")
    (root / "d/run").write_bytes(b"#!/bin/sh\n")
    (root / "d/run").chmod(0o755)
    (root / "large").write_bytes(LARGE)
    (root / "d/link").symlink_to("small")
    (root / "not declared").write_bytes(b"x")
    for path in ("d/small", "d/run", "large"):
        os.utime(root / path, ns=(10**18, 10**18 + 1))
    (tmp_path / "target").mkdir()
    return root


ENTRIES = [
    Entry("d/small", "f", 5, b""),
    Entry("d/run", "x", 10, b""),
    Entry("d/link", "l", 5, b""),
    Entry("d/e", "d", 0, b""),
    Entry("large", "f", len(LARGE), b""),
]


def test_what_is_declared_is_there_and_nothing_else(source):
    target = source.parent / "target"
    isolated.fill(str(source), str(target), ENTRIES)
    found = sorted(path.relative_to(target).as_posix() for path in target.rglob("*"))
    assert found == ["d", "d/e", "d/link", "d/run", "d/small", "large"]
    assert (target / "d/small").read_bytes() == b"small"
    assert os.readlink(target / "d/link") == "small"
    assert os.access(target / "d/run", os.X_OK)
    assert (target / "large").read_bytes() == LARGE
    assert (target / "large").stat().st_nlink == 1
    assert not (target / "large").is_symlink()
    assert isolated.written(str(source), str(target), ENTRIES) == ""


def test_of_a_link_into_the_store_there_is_a_copy(source, tmp_path):
    store = tmp_path / "object"
    (source / "large").rename(store)
    (source / "large").symlink_to(store)
    target = tmp_path / "target"
    isolated.fill(str(source), str(target), ENTRIES)
    assert not (target / "large").is_symlink()
    assert isolated.written(str(source), str(target), ENTRIES) == ""
    (target / "large").write_bytes(b"x")
    assert store.read_bytes() == LARGE


@pytest.mark.parametrize("path", ["d/small", "d/run", "large"])
def test_what_was_written_to_is_seen(source, path):
    target = source.parent / "target"
    isolated.fill(str(source), str(target), ENTRIES)
    data = (target / path).read_bytes()
    (target / path).write_bytes(data[::-1])
    assert isolated.written(str(source), str(target), ENTRIES) == path
    assert (source / path).read_bytes() == data
    (target / path).unlink()
    assert isolated.written(str(source), str(target), ENTRIES) == path


def test_what_was_made_is_moved(source):
    target = source.parent / "target"
    (target / "new/deep").mkdir(parents=True)
    (target / "new/deep/x").write_bytes(b"x")
    inode = (target / "new/deep/x").stat().st_ino
    isolated.bring_back(str(target), str(source), ["new/deep", "not made"])
    assert (source / "new/deep/x").stat().st_ino == inode
    assert not (target / "new/deep").exists()
    assert not (source / "not made").exists()


def stray(source):
    (source / "d/new/deep").mkdir(parents=True)
    (source / "d/new/deep/x").write_bytes(b"x")
    (source / "top").write_bytes(b"x")
    (source / "d/to").symlink_to("/nowhere")


def test_what_is_new_goes(source):
    before = isolated.standing(str(source))
    stray(source)
    assert isolated.tidy(str(source), before) == ""
    assert isolated.standing(str(source)) == before


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("d/small", lambda path: path.write_bytes(b"other")),
        ("d/run", lambda path: path.chmod(0o644)),
        ("large", lambda path: path.unlink()),
        ("d/e", lambda path: path.rmdir()),
        ("d/link", lambda path: (path.unlink(), path.symlink_to("run"))),
        ("d/small", lambda path: (path.unlink(), path.mkdir())),
        ("d/e", lambda path: (path.rmdir(), path.write_bytes(b""))),
    ],
)
def test_what_is_not_as_it_was_is_named(source, path, change):
    before = isolated.standing(str(source))
    change(source / path)
    stray(source)
    assert isolated.tidy(str(source), before) == path
    assert not (source / "top").exists()
