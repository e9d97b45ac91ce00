"""The content of all files that fit a pattern: of those alone, and the Index keeps what it knows of others."""

from __future__ import annotations

import os

import pytest

from mlvc import globs, ignore, manifest
from mlvc.errors import UsageError
from mlvc.hashing import oid_of
from mlvc.manifest import FILE, Entry
from mlvc.workspace.tree import WorkTree
from tests.helpers.trees import Place, make
from tests.unit.workspace.test_scan import reads, tick

FILES = {"a.csv": b"1", "b.txt": b"2", ".h.csv": b"3", "deep/c.csv": b"4", "deep/.x/d.csv": b"5", "large.csv": b"6" * 9}


@pytest.fixture
def place(tmp_path, algorithm):
    with Place(tmp_path, algorithm) as opened:
        make(opened.root / "data", FILES)
        (opened.root / "data/empty").mkdir()
        yield opened


def paths(look):
    return sorted(entry.path for entry in look.entries())


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("data/*.csv", ["a.csv", "large.csv"]),
        ("data/.*", [".h.csv"]),
        ("data/**/*.csv", ["a.csv", "deep/c.csv", "large.csv"]),
        ("data/**", ["a.csv", "b.txt", "deep/c.csv", "large.csv"]),
        ("data/*/*", ["deep/c.csv"]),
        ("data/deep/.x/?.csv", ["d.csv"]),
        ("dat?/b.*", ["data/b.txt"]),
        ("**/b.txt", ["data/b.txt"]),
    ],
)
def test_what_fits_is_a_directory_of_just_that(place, pattern, found):
    below = globs.fixed(pattern) + "/" if globs.fixed(pattern) else ""
    data = {path: FILES[f"{below}{path}".removeprefix("data/")] for path in found}
    hashing = place.tree.hashing
    entries = [Entry(path, FILE, len(each), oid_of(hashing, each)) for path, each in data.items()]
    look = place.tree.fitting(pattern)
    assert paths(look) == found
    assert look.content == manifest.build(entries, hashing)[0]
    assert place.tree.named(pattern) == [below + path for path in found]


@pytest.mark.parametrize("pattern", ["data/*.jpg", "nothing/*", "data/a.csv/*", "data/empty/*", "*.csv"])
def test_where_nothing_fits_there_is_no_content(place, pattern):
    assert place.tree.fitting(pattern).content is None
    assert place.tree.named(pattern) == []


def test_only_what_fits_is_read_and_once(place, monkeypatch):
    tick(place)
    read = reads(monkeypatch)
    first = place.tree.fitting("data/*.csv").content
    assert sorted(read) == ["a.csv", "large.csv"]
    read.clear()
    assert place.tree.fitting("data/*.csv").content == first
    assert place.tree.fitting("data/l*").content is not None
    assert read == []


def test_what_the_index_knows_of_others_stays(place, monkeypatch):
    tick(place)
    whole = place.tree.look(["data"])["data"].content
    (place.root / "data/a.csv").unlink()
    make(place.root / "data", {"e.csv": b"7"})
    tick(place)
    place.tree.fitting("data/**/*.csv")
    read = reads(monkeypatch)
    now = place.tree.look(["data"])["data"].content
    assert read == []
    assert now != whole
    (place.root / "data/e.csv").unlink()
    make(place.root / "data", {"a.csv": b"1"})
    assert place.tree.look(["data"])["data"].content == whole


def test_what_is_ignored_does_not_fit(place):
    (place.root / ignore.NAME).write_bytes(b"large.csv\ndeep/\n")
    tree = WorkTree(place.tree.root, place.tree.index, place.tree.hashing, ignore=ignore.load(place.tree.root))
    assert paths(tree.fitting("data/**/*.csv")) == ["a.csv"]
    assert tree.named("data/**/*.csv") == ["data/a.csv"]


def test_what_cannot_be_kept_is_refused_where_it_fits(place):
    os.mkfifo(place.root / "data/pipe.csv")
    assert paths(place.tree.fitting("data/*.txt")) == ["b.txt"]
    with pytest.raises(UsageError, match=r"pipe\.csv is a FIFO"):
        place.tree.fitting("data/*.csv")
