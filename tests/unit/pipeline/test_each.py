"""Which items run, what is kept of the others, and how it all comes together; a dict is the model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc import manifest
from mlvc.errors import FormatError, StageFailedError
from mlvc.hashing import Hashing, oid_of
from mlvc.manifest import EMPTY_DIR, EXECUTABLE, FILE, SYMLINK, Entry
from mlvc.pipeline import each
from mlvc.pipeline.run import Inputs
from mlvc.pipeline.spec import Out, Stage
from mlvc.pointer import Content

HASHING = Hashing("xxh128")
STAGE = Stage("thumbs", "mlvc.yaml", 2, ("convert ${item.path} ${out}",), each="raw/*.jpg", outs=(Out("thumbs"),))
INPUTS = Inputs(STAGE.cmd, "", {}, {}, {"thumbs": False})


def entry(path: str, data: bytes = b"", kind: str = FILE) -> Entry:
    return Entry(path, kind, len(data), HASHING.of(data))


def keys(files: Mapping[str, bytes], inputs: Inputs = INPUTS) -> dict[bytes, Entry]:
    defined = each.definition(inputs, STAGE, HASHING)
    return each.keys_of(defined, [entry(path, data) for path, data in files.items()], HASHING)


def paths(work: each.Work) -> list[str]:
    return [work.items[key].path for key in work.run]


# -- the description


@pytest.mark.parametrize(
    ("changed", "key", "message"),
    [
        ({"each": "raw/a.jpg"}, "each", "'each' must be a pattern, and 'raw/a.jpg' has neither"),
        ({"outs": ()}, "outs", "exactly one output, under 'outs', and here is none"),
        ({"outs": (Out("a"), Out("b"))}, "outs", "exactly one output, under 'outs', and here are 2 of them"),
        ({"outs": (Out("a"), Out("m", role="metrics"))}, "metrics", "exactly one output, under 'outs'"),
        ({"outs": (Out("m", role="plots"),)}, "plots", "exactly one output, under 'outs'"),
        ({"outs": (Out("a", persist=True),)}, "outs", "'persist' cannot be used with 'each'"),
        ({"outs": (Out("a", cache=False),)}, "outs", "'cache: false' cannot be used with 'each'"),
        ({"outs": (Out("raw"),)}, "outs", "files of the output 'raw' may fit the pattern 'raw/*.jpg'"),
        ({"each": "data/**", "outs": (Out("data/out"),)}, "outs", "may fit the pattern 'data/**'"),
        ({"each": "data/*/*.jpg", "outs": (Out("data/out"),)}, "outs", "may fit the pattern"),
        ({"cmd": ("convert ${item.path} x",)}, "cmd", "has to write into '${out}'"),
        ({"cmd": ("convert ${item.pth} ${out}",)}, "cmd", "an item has no 'pth'"),
        ({"cmd": ("convert ${item.path} ${items} ${out}",)}, "cmd", "'${items}' is there only with 'batch'"),
        ({"batch": 8}, "cmd", "with 'batch', '${item.path}' cannot be used"),
        ({"batch": 8, "cmd": ("convert ${items} ${out}",)}, "cmd", "with 'batch', '${out}' cannot be used"),
        ({"batch": 8, "cmd": ("convert",)}, "cmd", "with 'batch' a command needs '${items}'"),
    ],
)
def test_what_is_wrong_with_a_description(changed: dict[str, object], key: str, message: str) -> None:
    found = each.fault(replace(STAGE, **changed))  # type: ignore[arg-type]
    assert found is not None
    assert (found.key, message in found.message, bool(found.hint)) == (key, True, True), found


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"batch": 8, "cmd": ("convert ${items}",)},
        {"each": "data/*.jpg", "outs": (Out("data/out"),)},
        {"each": "data/*/*.jpg", "outs": (Out("data"),), "cmd": ("x ${out} \\${item.nothing}",)}
        | {"outs": (Out("other"),)},
        {"each": "*.jpg"},
    ],
)
def test_what_is_right(changed: dict[str, object]) -> None:
    assert each.fault(replace(STAGE, **changed)) is None  # type: ignore[arg-type]


def test_the_hint_names_the_nearest_word() -> None:
    found = each.fault(replace(STAGE, cmd=("x ${item.stam} ${out}",)))
    assert found is not None
    assert found.hint == "did you mean '${item.stem}'?"


# -- keys


def content(data: bytes) -> Content:
    return Content("file", oid_of(HASHING, data), len(data))


@pytest.mark.parametrize(
    "other",
    [
        replace(INPUTS, cmd=("other",)),
        replace(INPUTS, wdir="work"),
        replace(INPUTS, deps={"tool.py": content(b"1")}),
        replace(INPUTS, deps={"rawer": content(b"1")}),
        replace(INPUTS, params={"params.yaml": {"size": 1}}),
        replace(INPUTS, env={"LANG": "C"}),
        replace(INPUTS, image="sha256:1"),
        replace(INPUTS, outs={"elsewhere": False}),
    ],
)
def test_what_the_definition_is_of(other: Inputs) -> None:
    assert each.definition(other, STAGE, HASHING) != each.definition(INPUTS, STAGE, HASHING)
    assert keys({"raw/a": b"1"}, other).keys().isdisjoint(keys({"raw/a": b"1"}))


@pytest.mark.parametrize("path", ["raw", "raw/*.jpg"])
def test_what_the_items_are_in_is_not_of_the_definition(path: str) -> None:
    with_it = replace(INPUTS, deps={path: Content("dir", oid_of(HASHING, b"1"), 5)})
    assert each.definition(with_it, STAGE, HASHING) == each.definition(INPUTS, STAGE, HASHING)


def test_a_wider_pattern_leaves_the_keys() -> None:
    assert each.definition(INPUTS, replace(STAGE, each="raw/*"), HASHING) == each.definition(INPUTS, STAGE, HASHING)


def test_an_item_is_its_path_its_kind_and_its_content() -> None:
    defined = each.definition(INPUTS, STAGE, HASHING)
    items = [
        entry("a", b"1"),
        entry("b", b"1"),
        entry("a", b"2"),
        entry("a", b"1", EXECUTABLE),
        entry("a", b"1", SYMLINK),
    ]
    assert len(each.keys_of(defined, items, HASHING)) == 5


# -- what has to run

FILES = st.dictionaries(st.sampled_from([f"raw/{name}.jpg" for name in "abcdefgh"]), st.binary(max_size=1), max_size=8)


def made(items: Mapping[bytes, Entry]) -> dict[bytes, tuple[Entry, ...]]:
    """What a command makes of each item: a file that is told by its content, none of one that is empty."""
    return {
        key: (entry(f"{item.path.rpartition('/')[2]}.png", item.oid),) if item.size else ()
        for key, item in items.items()
    }


@given(FILES, FILES, FILES)
def test_only_what_is_new_or_changed_runs(
    first: dict[str, bytes], second: dict[str, bytes], third: dict[str, bytes]
) -> None:
    """Through three versions of a directory: the union is always that of a run of everything."""
    table: dict[bytes, tuple[Entry, ...]] = {}
    model: dict[str, bytes] = {}
    for files in (first, second, third):
        items = keys(files)
        work = each.plan(items, [table])
        assert paths(work) == sorted(path for path, data in files.items() if model.get(path) != data)
        gone = set(model.items()) - set(files.items())
        assert work.gone == len(gone)
        ran = made({key: items[key] for key in work.run})
        assert work.known.keys().isdisjoint(ran)
        table = {**work.known, **ran}
        assert table == made(items)
        assert sorted(each.unite(items, table, HASHING)) == sorted(row for rows in made(items).values() for row in rows)
        model = files


def test_force_runs_all() -> None:
    items = keys({"raw/a": b"1", "raw/b": b"2"})
    assert paths(each.whole(each.plan(items, [made(items)]))) == ["raw/a", "raw/b"]


def test_a_later_table_helps_and_an_earlier_one_counts() -> None:
    items = keys({"raw/a": b"1", "raw/b": b"2", "raw/c": b"3"})
    a, b, _ = items
    one, other = (entry("one"),), (entry("other"),)
    work = each.plan(items, [{a: one}, {a: other, b: other}])
    assert work.known == {a: one, b: other}
    assert paths(work) == ["raw/c"]


@given(st.integers(0, 50), st.integers(0, 12))
def test_batches(count: int, size: int) -> None:
    keys_ = [bytes([number]) for number in range(count)]
    found = each.batches(keys_, size)
    assert [key for batch in found for key in batch] == keys_
    assert len(found) == -(-count // max(1, size))
    lengths = {len(batch) for batch in found}
    assert not lengths or max(lengths) <= max(1, size)
    assert not lengths or max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("run", "total", "gone", "expected"),
    [
        (3, 10_000, 0, "3 of 10,000 items changed"),
        (3, 10_000, 3, "3 of 10,000 items changed"),
        (0, 10_000, 1, "1 item is gone"),
        (0, 10_000, 1_200, "1,200 items are gone"),
        (10_000, 10_000, 0, "10,000 items"),
        (1, 1, 0, "1 item"),
        (0, 5, 0, "5 items, all known"),
    ],
)
def test_in_words(run: int, total: int, gone: int, expected: str) -> None:
    items = {number.to_bytes(4): entry(f"{number}") for number in range(total)}
    assert each.told(each.Work(items, {}, tuple(items)[:run], gone)) == expected


# -- tables

NAMES = st.sampled_from(["a", "b", "c/a", "c/b", "c", "d/e/f"])
ROWS = st.lists(
    st.builds(
        lambda path, data, kind: Entry(path, kind, len(data), HASHING.of(data)),
        NAMES,
        st.binary(max_size=2),
        st.sampled_from([FILE, EXECUTABLE, SYMLINK]),
    )
    | NAMES.map(lambda path: Entry(path, EMPTY_DIR, 0, HASHING.of(b""))),
    max_size=3,
    unique_by=lambda found: found.path,
)
TABLES = st.dictionaries(st.integers(0, 5).map(lambda number: HASHING.of(bytes([number]))), ROWS.map(tuple), max_size=5)


@given(TABLES)
def test_a_table_comes_back_from_its_entries(table: dict[bytes, tuple[Entry, ...]]) -> None:
    _, objects = manifest.build(each.pack(table, HASHING), HASHING)
    entries = [found for _, data in objects[:-1] for found in manifest.decode_leaf(data, HASHING.size)]
    assert {key: sorted(rows) for key, rows in each.unpack(entries, HASHING.size).items()} == {
        key: sorted(rows) for key, rows in table.items()
    }


@pytest.mark.parametrize("path", ["", "abc/x", "zz" * 16 + "/x", "AB" * 16 + "/x"])
def test_what_is_no_table(path: str) -> None:
    with pytest.raises(FormatError, match="which is no key"):
        each.unpack([entry(path)], HASHING.size)


# -- the union


@given(TABLES)
def test_the_union_is_a_directory_or_a_conflict(table: dict[bytes, tuple[Entry, ...]]) -> None:
    items = {key: entry(f"raw/{number}") for number, key in enumerate(table)}
    owners: dict[str, bytes] = {}
    conflict = False
    for key, rows in table.items():
        for row in rows:
            if row.kind != EMPTY_DIR:
                conflict |= owners.setdefault(row.path, key) != key
    named = [row.path for rows in table.values() for row in rows]
    conflict |= any(path.startswith(owned + "/") for path in named for owned in owners)
    conflict |= any(row.kind == EMPTY_DIR and row.path in owners for rows in table.values() for row in rows)
    if conflict:
        with pytest.raises(StageFailedError, match="both make"):
            each.unite(items, table, HASHING)
        return
    found = each.unite(items, table, HASHING)
    manifest.check(found)
    assert {row.path for row in found if row.kind != EMPTY_DIR} == owners.keys()
    for path in (row.path for rows in table.values() for row in rows if row.kind == EMPTY_DIR):
        around = [row.path for row in found if row.path == path or row.path.startswith(path + "/")]
        assert around, "a directory that was made is there"


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ([entry("x")], [entry("x", b"else")], "x"),
        ([entry("x")], [entry("x")], "x"),
        ([entry("x")], [entry("x/y")], "x"),
        ([entry("x/y/z")], [entry("x")], "x"),
        ([entry("x")], [entry("x", kind=EMPTY_DIR)], "x"),
        ([entry("x")], [entry("x/y", kind=EMPTY_DIR)], "x"),
    ],
)
def test_a_conflict_names_both_items_and_the_path(one: list[Entry], other: list[Entry], path: str) -> None:
    items = {b"1": entry("raw/b.jpg"), b"2": entry("raw/a.jpg")}
    with pytest.raises(StageFailedError) as caught:
        each.unite(items, {b"1": tuple(one), b"2": tuple(other)}, HASHING)
    assert caught.value.message == f"the items 'raw/a.jpg' and 'raw/b.jpg' both make '{path}'"


def test_100_000_items_are_planned_fast() -> None:
    files = {f"raw/{number:06}.jpg": b"%d" % number for number in range(100_000)}
    items = keys(files)
    entries = each.pack(made(items), HASHING)
    changed = {**files, "raw/000007.jpg": b"other"}
    start = time.perf_counter()
    items = keys(changed)
    work = each.plan(items, [each.unpack(entries, HASHING.size)])
    each.unite(items, {**work.known, **made({key: items[key] for key in work.run})}, HASHING)
    assert paths(work) == ["raw/000007.jpg"]
    assert time.perf_counter() - start < 10
