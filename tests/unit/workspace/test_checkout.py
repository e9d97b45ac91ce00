"""Checkout: the tree becomes what it should be, nothing unstored is lost, what cannot be had is named."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mlvc import manifest
from mlvc.errors import FormatError, WouldOverwriteError
from mlvc.manifest import Entry
from mlvc.pointer import Content
from mlvc.store.base import LARGE
from mlvc.workspace import checkout
from mlvc.workspace.index import NEVER
from tests.helpers.stores import flip, noise, packs, put_all, snapshot
from tests.helpers.trees import Place, make, wipe


@pytest.fixture
def place(tmp_path, algorithm):
    with Place(tmp_path, algorithm) as opened:
        yield opened


@pytest.fixture
def data(place):
    return place.root / "data"


TREES = {
    "nothing": None,
    "file": b"a file",
    "other file": b"another",
    "empty file": b"",
    "large": noise(LARGE + 5),
    "empty directory": {},
    "flat": {"a": b"1", "b": b"2"},
    "deeper": {"a/x": b"1", "a/y/z": b"2", "b": b"3"},
    "swapped": {"a": b"1", "b/x/y": b"2", "c": None},
    "links": {"a": "b", "b": b"1", "d": "a"},
    "links swapped": {"a": b"b", "b": "a", "d/e": b"1"},
    "empty inside": {"a": None, "b/c": None},
    "large inside": {"a": noise(LARGE, 1), "b": noise(LARGE, 1), "c/d": noise(2 * LARGE)},
}


def build(path, tree):
    wipe(path)
    if isinstance(tree, bytes):
        path.write_bytes(tree)
    elif tree is not None:
        path.mkdir()
        make(path, tree)


def state(root):
    return {path: found for path, found in snapshot(root).items() if not path.startswith(".git")}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Every tree of TREES in one Store."""
    top = tmp_path_factory.mktemp("trees")
    found = {}
    with Place(top) as place:
        for name, tree in TREES.items():
            build(place.root / "data", tree)
            found[name] = (place.add(), state(place.root))
        wipe(place.root / "data")
    return top, found


@pytest.mark.parametrize("old", TREES)
def test_from_every_tree_to_every_other(stored, old):
    top, found = stored
    for new, (content, expected) in found.items():
        with Place(top) as place:
            build(place.root / "data", TREES[old])
            assert place.checkout(content).lost == {}, new
            assert state(place.root) == expected, new
            assert place.look().content == content, new
            assert list((place.private / "tmp").glob("*/[0-9]*")) == [], new
            assert place.checkout(content).changes == (), new


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ({"a": b"1", "b": b"2"}, {"a": b"3", "b": b"2"}, "a"),
        ({"a": b"1", "b": b"2"}, {"b": b"2"}, "a"),
        ({"b": b"2"}, {"a": b"1", "b": b"2"}, "a"),
        (b"1", b"2", ""),
        (None, b"2", ""),
        (None, {"a": b"1"}, "a"),
    ],
)
def test_what_changes_after_the_plan_was_made_is_left_alone(place, data, before, after, path):
    build(data, after)
    content = place.add("data")
    build(data, before)
    if before is not None:
        place.add("data")
    plans, _ = checkout.plan(place.tree, place.store, {"data": content})
    target = data / path if path else data
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(b"somebody's")
    with pytest.raises(WouldOverwriteError, match="was changed while checkout was at work"):
        checkout.execute(place.tree, place.store, plans, links=["copy"])
    assert target.read_bytes() == b"somebody's"


def test_replacing_one_hard_link_of_a_file_is_no_change_of_the_others(tmp_path, algorithm):
    with Place(tmp_path, algorithm, loose=lambda: True) as place:
        data = place.root / "data"
        make(place.root, {"data/a": noise(LARGE), "data/b": noise(LARGE)})
        same = place.add("data")
        wipe(data)
        make(place.root, {"data/a": b"1", "data/b": b"2"})
        other = place.add("data")
        for content in (same, other, same):
            plans, _ = checkout.plan(place.tree, place.store, {"data": content})
            checkout.execute(place.tree, place.store, plans, links=["hardlink"])
            assert place.look().content == content


@pytest.mark.parametrize("new", ["file", "large", "deeper", "large inside"])
def test_what_was_just_checked_out_is_known(stored, new, monkeypatch):
    top, found = stored
    with Place(top) as place:
        build(place.root / "data", None)
        place.forget()
    with Place(top) as place:
        place.checkout(found[new][0])
        assert place.look().scan.clean


@pytest.mark.parametrize("path", ["data", "data/a"])
@pytest.mark.parametrize("there", [True, False])
def test_an_edit_right_after_checkout_with_its_time_restored(place, data, path, there):
    make(data, {"a": b"wanted", "b": b"other"})
    content = place.add(path)
    target = data / "a"
    for turn in range(20):
        wipe(target if path == "data/a" else data)
        if there:
            make(data, {"a": b"before"})
        assert place.checkout(content, path, force=True).lost == {}
        info = target.stat()
        target.write_bytes(b"edit%02d" % turn)
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
        assert place.look(path).content != content


@pytest.mark.parametrize("path", ["data", "data/a"])
@pytest.mark.parametrize("there", [True, False])
def test_where_the_clock_stands_still_nothing_is_believed(place, data, monkeypatch, path, there):
    make(data, {"a": b"wanted"})
    content = place.add(path)
    wipe(data)
    if there:
        make(data, {"a": b"before"})
    plans, _ = checkout.plan(place.tree, place.store, {path: content})
    monkeypatch.setattr(place.tree, "clock", lambda: 0)
    checkout.execute(place.tree, place.store, plans, links=("copy",))
    assert place.tree.index.of_dir("data")["a"].mtime == NEVER


def test_without_the_index_the_result_is_the_same(stored):
    top, found = stored
    for old, new in [("deeper", "swapped"), ("file", "flat"), ("links", "file")]:
        with Place(top) as place:
            build(place.root / "data", TREES[old])
            place.look()
            place.forget()
        with Place(top) as place:
            place.checkout(found[new][0])
            assert state(place.root) == found[new][1]


UNSTORED = {
    "new content": {"a": b"edited", "b": b"2"},
    "a link": {"a": b"1", "b": "elsewhere"},
    "a directory in the way": {"a/x": b"mine", "b": b"2"},
    "all else": b"mine",
}


@pytest.mark.parametrize("tree", UNSTORED.values(), ids=UNSTORED)
def test_what_is_not_stored_is_not_overwritten(place, data, tree):
    make(data, {"a": b"1", "b": b"2"})
    content = place.add()
    for target in (content, None):
        build(data, tree)
        before = state(place.root)
        with pytest.raises(WouldOverwriteError, match="has changes that are stored nowhere"):
            place.checkout(target)
        assert state(place.root) == before
        place.checkout(target, force=True)
        assert place.look().content == target


def test_a_new_file_that_is_in_nobodys_way_stays(place, data):
    make(data, {"a": b"1", "b": b"2"})
    content = place.add()
    build(data, {"a": b"1", "b": b"2", "c": b"mine", "d/e": b"mine, too"})
    assert place.checkout(content).changes == ()
    assert (data / "c").read_bytes() == b"mine"
    # The Index is not taken in: what stands there is not what was asked for.
    assert place.look().content != content
    with pytest.raises(WouldOverwriteError, match="data/c, data/d/e have changes"):
        place.checkout(None)
    place.checkout(content, force=True)
    assert place.look().content == content


def test_nothing_that_is_not_tracked_is_lost(place, data):
    make(data, {"a": b"1", "b": b"2"})
    (place.root / "ignored.txt").write_bytes(b"")
    flat = place.add()
    build(data, b"now a file")
    file = place.add()
    build(data, {"__pycache__": b"*.tmp"})
    place.checkout(flat)
    assert sorted(os.listdir(data)) == ["__pycache__", "a", "b"]
    with pytest.raises(WouldOverwriteError, match="files that are not tracked"):
        place.checkout(file)
    assert (data / "__pycache__").read_bytes() == b"*.tmp"
    (data / "__pycache__").unlink()
    place.checkout(file)
    assert data.read_bytes() == b"now a file"


def lose(place, content):
    """Remove an object from the Store."""
    oid = place.store.hashing.of(content)
    pack = place.store.packed.catalog.everywhere(oid)[0].pack
    others = [each for each in place.store.packed.catalog.members(pack) if each.oid != oid]
    kept = [(each.oid, bytes(place.store.packed.at(each))) for each in others]
    Path(place.store.pack_path(pack)).unlink()
    place.store.refresh()
    put_all(place.store, [part for _, part in kept])
    assert place.store.missing([oid, *(each.oid for each in others)]) == {oid}


@pytest.mark.parametrize("there", [True, False])
def test_a_missing_object_is_named_and_the_rest_is_done(place, data, there):
    make(data, {"a": b"1", "b": b"2", "c/d": b"2", "e": None})
    content = place.add()
    lose(place, b"2")
    build(data, {"z": b"1", "b": b"1"} if there else None)
    done = place.checkout(content)
    assert done.lost == {"data/b": "missing", "data/c/d": "missing"}
    expected = {"a": ("f", b"1"), "e": ("d", b"")}
    if there:
        expected["b"] = ("f", b"1")  # better than nothing
    else:
        expected["c"] = ("d", b"")
    assert snapshot(data) == expected
    put_all(place.store, [b"2"])
    assert place.checkout(content).lost == {}
    assert place.look().content == content


def test_a_damaged_object_is_never_placed_and_goes_to_quarantine(place, data):
    parts = {f"f{n}": noise(3000, n) for n in range(20)} | {"large": noise(2 * LARGE)}
    make(data, parts)
    content = place.add()
    build(data, None)
    (path,) = packs(place.private)
    for at in (40_000, path.stat().st_size // 2):
        flip(path, at)
    done = place.checkout(content)
    assert 0 < len(done.lost) <= 2
    assert set(done.lost.values()) <= {"damaged", "missing"}
    for name in parts.keys() - {lost.removeprefix("data/") for lost in done.lost}:
        assert (data / name).read_bytes() == parts[name]
    assert list((place.private / "quarantine").iterdir())


def test_a_damaged_manifest_is_named_and_counts_as_missing_from_then_on(place, data):
    make(data, {f"file {n}": noise(100, n) for n in range(50)})
    content = place.add()
    build(data, None)
    location = place.store.packed.catalog.everywhere(content.oid)[0]
    (path,) = packs(place.private)
    flip(path, location.frame + location.extent - 1)
    done = place.checkout(content)
    assert list(done.lost) == ["data"]
    assert place.store.missing([content.oid]) == {content.oid}
    assert not data.exists()


def test_a_manifest_that_leaves_its_directory_is_refused(place, data):
    (oid,) = put_all(place.store, [b"x"])
    for entries in (
        [Entry("../evil", "f", 1, oid)],
        [Entry("a", "l", 1, oid), Entry("a/b", "f", 1, oid)],
        [Entry("/evil", "f", 1, oid)],
    ):
        content, objects = manifest.build(entries, place.store.hashing)
        put_all(place.store, [part for _, part in objects])
        for tree in (None, {"q": b"x"}):
            build(data, tree)
            with pytest.raises(FormatError):
                place.checkout(content)
            assert not (place.root / "evil").exists()


@pytest.mark.parametrize("links", [("hardlink", "copy"), ("symlink", "copy"), ("reflink", "copy"), ("copy",)])
@pytest.mark.parametrize("loose", [True, False])
def test_link_types(tmp_path, links, loose):
    with Place(tmp_path, loose=lambda: loose) as place:
        data = place.root / "data"
        large = noise(LARGE + 1)
        make(data, {"large": large, "sub/again": large, "small": b"1", "run": noise(LARGE)})
        (data / "run").chmod(0o755)
        content = place.add()
        build(data, None)
        assert place.checkout(content, links=links).lost == {}
        for name in ("large", "sub/again"):
            assert (data / name).read_bytes() == large
        assert (data / "run").stat().st_mode & 0o100
        assert not (data / "run").is_symlink()
        first = (data / "large").lstat()
        stored = Path(place.store.loose.path(place.store.hashing.of(large)))
        assert stat.S_ISLNK(first.st_mode) == (links[0] == "symlink")
        if links[0] in ("hardlink", "symlink"):
            assert os.path.samefile(data / "large", stored)
            assert (data / "large").stat().st_mode & 0o222 == 0
        elif stored.exists():
            assert not os.path.samefile(data / "large", stored)
        assert place.look().content == content
        assert place.add() == content
        if links[0] == "copy":
            assert place.checkout(content, links=("hardlink",), relink=True).lost == {}
            assert os.path.samefile(data / "large", stored)
        assert place.checkout(content, links=("copy",), relink=True).lost == {}
        assert not stored.exists() or not os.path.samefile(data / "large", stored)
        assert place.look().content == content


def test_a_link_into_the_store_whose_object_is_gone_is_as_good_as_none(tmp_path):
    with Place(tmp_path, loose=lambda: True) as place:
        data = place.root / "data"
        make(data, {"large": noise(LARGE), "small": b"1"})
        content = place.add()
        build(data, None)
        place.checkout(content, links=("symlink",))
        stored = Path(os.path.realpath(data / "large"))
        os.rename(stored, tmp_path / "aside")
        assert [entry.path for entry in place.look().entries()] == ["small"]
        assert place.add() != content
        assert place.checkout(content, links=("symlink",)).lost == {"data/large": "missing"}
        os.rename(tmp_path / "aside", stored)
        assert place.look().content == content


def test_an_edit_through_a_hard_link_is_found_and_the_object_not_handed_out(tmp_path):
    with Place(tmp_path, loose=lambda: True) as place:
        data = place.root / "data"
        make(data, {"large": noise(LARGE)})
        content = place.add()
        build(data, None)
        place.checkout(content, links=("hardlink",))
        flip(data / "large", 3)
        assert place.look().content != content
        with pytest.raises(WouldOverwriteError):
            place.checkout(content)
        edited = (data / "large").read_bytes()
        assert place.checkout(content, force=True).lost == {"data/large": "damaged"}
        assert (data / "large").read_bytes() == edited
        assert place.store.missing([place.store.hashing.of(noise(LARGE))])


def test_single_files_share_a_directory(place):
    for name in ("a", "b", "c"):
        (place.root / name).write_bytes(name.encode())
    contents = {name: place.add(name) for name in ("a", "b", "c")}
    assert len(set(contents.values())) == 3
    (place.root / "b").write_bytes(b"edited")
    place.tree.look(["a", "b", "c"])
    plans, lost = checkout.plan(place.tree, place.store, contents)
    assert [made.path for made in plans] == ["b"]
    assert lost == {}
    place.checkout(contents["b"], "b", force=True)
    time.sleep(0.02)
    place.tree.look(contents)
    assert all(look.scan.clean for look in place.tree.look(contents).values())


def test_the_folders_above_come_and_go(place):
    deep = place.root / "one/two/three"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"1")
    content = place.add("one/two/three/file")
    place.checkout(None, "one/two/three/file")
    assert not (place.root / "one").exists()
    place.checkout(content, "one/two/three/file")
    assert (deep / "file").read_bytes() == b"1"


# -- random edits against a model --------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "a/b", "a/c", "b/a/c", "c/d", "c/d/e"])
CONTENTS = st.sampled_from([b"", b"1", b"2", b"longer", bytes(LARGE), noise(LARGE + 9)])


def as_bytes(value):
    return os.fsencode(value) if isinstance(value, str) else value


class Edits(RuleBasedStateMachine):
    """The model: path to bytes, or to the target of a link, or None for an empty directory."""

    def __init__(self):
        super().__init__()
        Edits.count += 1
        self.top = Path(os.environ["TMPDIR"]) / f"machine{Edits.count}"
        self.place = Place(self.top)
        self.data = self.place.root / "data"
        self.model = {}
        self.data.mkdir()
        self.stored: list[tuple[Content, dict]] = []

    count = 0

    def clear(self, name):
        """Make room for ``name`` in the model and in the tree."""
        for other in list(self.model):
            if other == name or other.startswith(name + "/") or name.startswith(other + "/"):
                wipe(self.data / other)
                del self.model[other]
        wipe(self.data / name)

    def settle(self):
        """Directories that lost their last file are empty directories."""
        for folder, folders, files in os.walk(self.data):
            if not folders and not files and folder != str(self.data):
                self.model.setdefault(os.path.relpath(folder, self.data), None)
        for name in [name for name, value in self.model.items() if value is None]:
            if any(other.startswith(name + "/") for other in self.model) or not (self.data / name).is_dir():
                del self.model[name]

    @rule(name=NAMES, content=CONTENTS)
    def write(self, name, content):
        self.clear(name)
        make(self.data, {name: content})
        self.model[name] = content
        self.settle()

    @rule(name=NAMES, goal=NAMES)
    def link(self, name, goal):
        self.clear(name)
        make(self.data, {name: goal})
        self.model[name] = goal
        self.settle()

    @rule(name=NAMES)
    def make_empty(self, name):
        self.clear(name)
        make(self.data, {name: None})
        self.settle()

    @rule(name=NAMES)
    def delete(self, name):
        self.clear(name)
        self.settle()

    @rule()
    def add(self):
        self.stored.append((self.place.add(), dict(self.model)))

    @precondition(lambda self: self.stored)
    @rule(data=st.data())
    def go(self, data):
        content, model = data.draw(st.sampled_from(self.stored))
        kept = {as_bytes(value) for _, old in self.stored for value in old.values() if value is not None}
        alone = {name: v for name, v in self.model.items() if v is not None and as_bytes(v) not in kept}
        try:
            done = self.place.checkout(content)
        except WouldOverwriteError:
            assert alone
            alone = {}
            done = self.place.checkout(content, force=True)
        assert done.lost == {}
        self.model = {**alone, **model}  # what is stored nowhere stays, beside what was asked for

    @rule()
    def lose_the_index(self):
        self.place.close()
        self.place.forget()
        self.place = Place(self.top)

    @rule()
    def look(self):
        look = self.place.look()
        assert {entry.path for entry in look.entries()} == self.model.keys()
        expected = [content for content, model in self.stored if model == self.model]
        if expected:
            assert look.content == expected[0]

    @invariant()
    def the_tree_is_the_model(self):
        kinds = {bytes: "f", str: "l", type(None): "d"}
        expected = {
            name: (kinds[type(value)], os.fsencode(value) if isinstance(value, str) else value or b"")
            for name, value in self.model.items()
        }
        assert snapshot(self.data) == expected

    def teardown(self):
        self.place.close()
        shutil.rmtree(self.top)


TestEdits = Edits.TestCase
TestEdits.settings = settings(max_examples=25, stateful_step_count=20)
