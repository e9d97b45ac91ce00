"""Manifests: one encoding whatever the order, parts found without reading the rest, damage and escapes refused."""

from __future__ import annotations

import contextlib
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlvc import manifest
from mlvc.errors import DamagedError, FormatError, MlvcError, ObjectsMissingError
from mlvc.hashing import Hashing
from mlvc.manifest import Entry, Leaf, Root
from mlvc.store.base import Lost, MemoryStore

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


def entries(hashing, of):
    return [Entry(path, kind, size, hashing.of(path.encode())) for path, kind, size in of]


def store_of(objects, hashing):
    store = MemoryStore(hashing)
    store.objects.update(objects)
    return store


def many(hashing, count=5000):
    return entries(hashing, [(f"d{n % 7}/file {n:05}", "f", n) for n in range(count)])


@settings(max_examples=30)
@given(st.dictionaries(paths, st.tuples(st.sampled_from("fxld"), st.integers(0, 2**50)), max_size=20), st.randoms())
def test_equal_content_is_equal_bytes_and_comes_back(algorithm, given_, shuffler):
    hashing = Hashing(algorithm)
    listed = entries(hashing, [(path, kind, size) for path, (kind, size) in given_.items()])
    built = manifest.build(listed, hashing)
    shuffled = list(listed)
    shuffler.shuffle(shuffled)
    assert manifest.build(shuffled, hashing) == built
    content, objects = built
    assert (content.kind, content.files, content.size) == ("dir", len(listed), sum(e.size for e in listed))
    assert objects[-1][0] == content.oid
    assert all(hashing.of(data) == oid for oid, data in objects)
    found = manifest.entries_of(store_of(objects, hashing), content.oid)
    assert found == sorted(listed, key=lambda entry: entry.path.encode())


def test_leaves_end_where_the_hash_of_a_path_says_so(algorithm):
    import xxhash

    hashing = Hashing(algorithm)
    content, objects = manifest.build(many(hashing), hashing)
    root = manifest.root_of(store_of(objects, hashing), content.oid)
    assert 2 <= len(root.leaves) <= 20
    assert (root.files, root.size) == (5000, sum(range(5000)))
    for oid, data in objects[:-1]:
        leaf = manifest.decode_leaf(data, hashing.size)
        cuts = [xxhash.xxh3_64_intdigest(entry.path.encode()) % 1024 == 0 for entry in leaf]
        assert not any(cuts[:-1])
        assert cuts[-1] or oid == root.leaves[-1].oid


def test_one_edit_among_many_changes_one_leaf_and_the_root(algorithm):
    hashing = Hashing(algorithm)
    listed = many(hashing)
    old, olds = manifest.build(listed, hashing)
    listed[2500] = listed[2500]._replace(oid=hashing.of(b"other"))
    new, news = manifest.build(listed, hashing)
    assert len(dict(news).keys() - dict(olds).keys()) == 2
    store = store_of([*olds, *news], hashing)
    before, after = manifest.differing(store, old.oid, new.oid)
    assert [e for e in after if e not in before] == [listed[2500]]
    assert 0 < len(after) < 5000
    added, more = manifest.build([*listed, Entry("d3/new", "f", 1, hashing.of(b"x"))], hashing)
    assert len(dict(more).keys() - dict(news).keys()) <= 3
    assert added.files == 5001


def test_equal_directories_do_not_differ(algorithm):
    hashing = Hashing(algorithm)
    content, objects = manifest.build(many(hashing, 10), hashing)
    assert manifest.differing(store_of(objects, hashing), content.oid, content.oid) == ([], [])


class Counting(MemoryStore):
    """Counts what is read."""

    read_count = 0

    def read(self, oids, lost):
        for oid, data in super().read(oids, lost):
            self.read_count += 1
            yield oid, data


def test_a_sub_path_is_found_without_reading_the_rest(algorithm):
    hashing = Hashing(algorithm)
    listed = many(hashing, 20_000)
    listed += entries(hashing, [("d3-x", "f", 1), ("d3.x", "f", 1), ("d30/a", "f", 1)])
    content, objects = manifest.build(listed, hashing)
    for path in ("d3", "d0", "d6", "d3/file 00003", "d3-x", "d30", "d30/a", "absent", "d3/file", "zzz", "a"):
        store = Counting(hashing)
        store.objects.update(objects)
        expected = sorted((e for e in listed if e.path == path or e.path.startswith(path + "/")), key=lambda e: e.path)
        assert manifest.find(store, content.oid, path) == expected, path
        assert store.read_count < len(objects) / 2, path
    assert manifest.find(store, content.oid, "") == manifest.entries_of(store, content.oid)


def by_walking(listed, part):
    """What ``children`` says, from all entries one by one."""
    found = {}
    inside = part + "/" if part else ""
    for entry in listed:
        if entry.path == part or (entry.path.startswith(inside) and "/" not in entry.path[len(inside) :]):
            one = (entry.kind, entry.size, 0, b"") if entry.kind == "d" else (entry.kind, entry.size, 1, entry.oid)
            found[entry.path] = one
        elif entry.path.startswith(inside):
            name = inside + entry.path[len(inside) :].partition("/")[0]
            _, size, files, _ = found.get(name, ("d", 0, 0, b""))
            found[name] = ("d", size + entry.size, files + 1, b"")
    return [(path, *found[path]) for path in sorted(found, key=str.encode)]


@settings(max_examples=40)
@given(st.dictionaries(paths, st.tuples(st.sampled_from("fxld"), st.integers(0, 2**50)), max_size=20), paths)
def test_the_children_of_a_directory_are_those_of_all_entries(algorithm, given_, part):
    hashing = Hashing(algorithm)
    above = {path[:at] for path in given_ for at in range(len(path)) if path[at] == "/"}
    listed = entries(hashing, [(path, *of) for path, of in given_.items() if path not in above])
    content, objects = manifest.build(listed, hashing)
    store = store_of(objects, hashing)
    for name in ("", part, *above, *given_):
        assert [tuple(child) for child in manifest.children(store, content.oid, name)] == by_walking(listed, name), name


def test_children_are_told_without_reading_what_is_all_in_one_of_them(algorithm):
    hashing = Hashing(algorithm)
    listed = entries(
        hashing, [(f"{top}/{n % 3}/file {n:05}", "f", n) for top in ("a", "a-b", "a0") for n in range(9000)]
    )
    content, objects = manifest.build(listed, hashing)
    assert len(objects) > 20
    for part in ("", "a", "a-b"):
        store = Counting(hashing)
        store.objects.update(objects)
        assert [tuple(child) for child in manifest.children(store, content.oid, part)] == by_walking(listed, part)
        assert store.read_count <= 7
    assert manifest.children(store, content.oid, "a/1/file") == []


def test_many_directories_are_read_at_once(algorithm):
    hashing = Hashing(algorithm)
    listed = [entries(hashing, [(f"file {n}", "f", n) for n in range(size)]) for size in (0, 3, 4000)]
    built = [manifest.build(some, hashing) for some in listed]
    store = store_of([pair for _, objects in built for pair in objects], hashing)
    oids = [content.oid for content, _ in built]
    absent = hashing.of(b"absent")
    lost: Lost = {}
    found = manifest.directories(store, [*oids, absent, oids[1]], lost)
    assert found == {oid: sorted(some, key=lambda e: e.path.encode()) for oid, some in zip(oids, listed, strict=True)}
    assert lost == {absent: "missing"}
    leaf = built[2][1][1][0]
    store.objects[leaf] = b"damaged"
    lost = {}
    assert manifest.directories(store, oids, lost).keys() == set(oids[:2])
    assert lost == {oids[2]: "damaged"}


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "", "..", ".", "a/", "/", "./a", "a/.."]
)
def test_a_path_that_leaves_its_directory_is_refused(path):
    with pytest.raises(FormatError, match="leaves its directory"):
        manifest.check_path(path)
    with pytest.raises(FormatError, match="leaves its directory"):
        manifest.check([Entry("good", "f", 1, b""), Entry(path, "f", 1, b"")])


@pytest.mark.parametrize("path", [".git", "a/.git/config", ".GIT/hooks/post-checkout"])
def test_a_path_that_belongs_to_git_is_refused(path):
    with pytest.raises(FormatError, match="belongs to Git"):
        manifest.check_path(path)


@pytest.mark.parametrize("path", ["a", "a/b", "...", "..a", "a..", "a\\b", "-", "a b", "\n", ".github", "é"])
def test_odd_paths_that_stay_inside_are_not(path):
    manifest.check_path(path)
    manifest.check([Entry(path, "f", 1, b"")])


def test_a_path_through_a_link_is_refused():
    for order in (1, -1):
        listed = [Entry("a", "l", 1, b""), Entry("a-b", "f", 1, b""), Entry("a/b/c", "f", 1, b"")][::order]
        with pytest.raises(FormatError, match="'a' both as a file and as a directory"):
            manifest.check(listed)


def test_cut_short_or_changed_bytes_are_refused_cleanly(algorithm):
    hashing = Hashing(algorithm)
    _, objects = manifest.build(many(hashing, 3), hashing)
    for decode, data in ((manifest.decode_leaf, objects[0][1]), (manifest.decode_root, objects[1][1])):
        for end in range(len(data)):
            with pytest.raises(MlvcError):
                decode(data[:end], hashing.size)
        chooser = random.Random(1)
        for _ in range(300):
            broken = bytearray(data)
            broken[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)
            with contextlib.suppress(DamagedError, FormatError):
                decode(bytes(broken), hashing.size)
        with pytest.raises(FormatError, match="newer format"):
            decode(b"mlv9" + data[4:], hashing.size)


def test_root_bytes_and_back():
    root = Root((Leaf("a", 3, 70, bytes(16)), Leaf("ü/b", 1, 2**40, b"x" * 16)))
    assert manifest.decode_root(manifest.encode_root(root), 16) == root
    assert manifest.encode_root(Root(())) == b"mrt1" + struct.pack("<I", 0)


def test_objects_of_names_everything_and_what_it_cannot_read(algorithm):
    hashing = Hashing(algorithm)
    listed = [*many(hashing), Entry("empty", "d", 0, hashing.of(b""))]
    content, objects = manifest.build(listed, hashing)
    store = store_of(objects, hashing)
    lost: Lost = {}
    expected = {entry.oid for entry in listed if entry.kind != "d"} | {oid for oid, _ in objects}
    assert manifest.objects_of(store, [content], lost) == expected
    assert lost == {}
    del store.objects[objects[0][0]]
    assert manifest.objects_of(store, [content], lost) < expected
    assert lost == {objects[0][0]: "missing"}
    with pytest.raises(ObjectsMissingError):
        manifest.entries_of(store, content.oid)
