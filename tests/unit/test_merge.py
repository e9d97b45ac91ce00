"""Three-way merges: a change merges with no change, either side may be first, and nothing goes missing unseen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlvc import manifest, merge
from mlvc.errors import FormatError
from mlvc.manifest import Entry
from mlvc.merge import Merged, three_way
from mlvc.oid import Oid
from mlvc.pipeline.lockfile import Entry as Record
from mlvc.pipeline.lockfile import Lockfile

PATHS = ("a", "a/b", "a/b/c", "a/d", "b", "b/c", "c")


def entry(path: str, content: int, kind: str = "f") -> Entry:
    return Entry(path, kind, content, bytes([content]) * 16)


@st.composite
def directories(draw):
    """The entries of a small directory: no path is a file and a directory at once."""
    drawn = draw(st.dictionaries(st.sampled_from(PATHS), st.tuples(st.integers(0, 2), st.sampled_from("ffxld"))))
    inner = {path for path in drawn if any(path.startswith(f"{other}/") for other in drawn)}
    return [entry(path, *drawn[path]) for path in sorted(drawn.keys() - inner)]


def by_path(listed):
    return {each.path: each for each in listed}


def clean(merged: Merged) -> list[Entry]:
    assert not merged.conflicts
    return merge.settled(merged.clean)


@given(directories(), directories())
def test_a_change_merged_with_no_change_is_the_change(base, changed):
    assert clean(merge.entries(base, base, changed)) == changed
    assert clean(merge.entries(base, changed, base)) == changed
    assert clean(merge.entries(base, changed, changed)) == changed


@settings(max_examples=500)
@given(directories(), directories(), directories())
def test_either_side_may_be_first(base, mine, other):
    one, two = merge.entries(base, mine, other), merge.entries(base, other, mine)
    assert one.clean == two.clean
    assert one.conflicts == {path: (old, b, a) for path, (old, a, b) in two.conflicts.items()}


@settings(max_examples=500)
@given(directories(), directories(), directories())
def test_nothing_goes_missing_unseen(base, mine, other):
    merged = merge.entries(base, mine, other)
    old, one, two = map(by_path, (base, mine, other))
    for path in {**one, **two}:
        result = merged.clean.get(path)
        if path in merged.conflicts:
            assert merged.conflicts[path] == (old.get(path), one.get(path), two.get(path))
            assert result is None
        elif result is None:
            # One side deleted what the other had not changed.
            assert (one.get(path) is None) != (two.get(path) is None)
            assert old[path] in (one.get(path), two.get(path))
        elif one.get(path) != two.get(path) and old.get(path) not in (one.get(path), two.get(path)):
            # Content of one side, mode of the other.
            assert {result.kind, one[path].kind, two[path].kind, old[path].kind} <= {"f", "x"}
            changed = {side.oid for side in (one[path], two[path])} - {old[path].oid}
            assert changed <= {result.oid}
            modes = {side.kind for side in (one[path], two[path])} - {old[path].kind}
            assert modes <= {result.kind}


@settings(max_examples=500)
@given(directories(), directories(), directories(), st.sampled_from([1, 2]))
def test_whichever_side_is_chosen_the_result_is_a_directory(base, mine, other, side):
    merged = merge.entries(base, mine, other)
    settled = merge.settled(merged.choosing(lambda sides: sides[side]))
    manifest.check(settled)
    names = {each.path for each in settled}
    assert not any(other.startswith(f"{each.path}/") for each in settled for other in names)


def test_content_of_one_side_and_mode_of_the_other():
    base, mine, other = [entry("a", 1)], [entry("a", 2)], [entry("a", 1, "x")]
    assert clean(merge.entries(base, mine, other)) == [entry("a", 2, "x")]
    assert clean(merge.entries(base, other, mine)) == [entry("a", 2, "x")]
    assert merge.entries(base, mine, [entry("a", 0, "x")]).conflicts
    assert merge.entries([], [entry("a", 1)], [entry("a", 1, "x")]).conflicts  # no mode is known to be the old one


def test_a_file_in_the_way_of_a_directory():
    merged = merge.entries([], [entry("a", 1), entry("x", 1)], [entry("a/b", 2), entry("y", 1)])
    assert set(merged.conflicts) == {"a", "a/b"}
    assert set(merged.clean) == {"x", "y"}


def test_an_empty_directory_that_got_a_file():
    merged = merge.entries([], [entry("a", 0, "d")], [entry("a/b", 2)])
    assert clean(merged) == [entry("a/b", 2)]


def test_renamed_on_one_side_and_changed_on_the_other():
    merged = merge.entries([entry("a", 1)], [entry("b", 1)], [entry("a", 2)])
    assert set(merged.clean) == {"b"}
    assert set(merged.conflicts) == {"a"}


def test_three_way_by_name():
    merged = three_way({"a": 1, "b": 1, "c": 1, "d": 1}, {"a": 2, "b": 1, "d": 2}, {"a": 1, "b": 3, "c": 1, "d": 3})
    assert merged == Merged({"a": 2, "b": 3}, {"d": (1, 2, 3)})


# -- Lockfiles ---------------------------------------------------------------------------------


def record(key: int) -> Record:
    return Record(Oid(bytes([key]) * 16), ("true",), {}, {}, {})


def test_a_stage_that_both_sides_changed_has_no_entry():
    base = Lockfile({"a": record(1), "b": record(1), "c": record(1)})
    mine = Lockfile({"a": record(2), "b": record(2), "c": record(1), "new": record(5)})
    other = Lockfile({"a": record(3), "b": record(1)})
    merged, conflicts = merge.lockfiles(base, mine, other)
    assert dict(merged.stages) == {"b": record(2), "new": record(5)}
    assert set(conflicts) == {"a"}


def test_unknown_keys_of_a_lockfile_merge_too():
    merged, _ = merge.lockfiles(Lockfile(extra={"x": 1}), Lockfile(extra={"x": 2}), Lockfile(extra={"x": 1, "y": 1}))
    assert merged.extra == {"x": 2, "y": 1}
    with pytest.raises(FormatError, match="'x'"):
        merge.lockfiles(Lockfile(), Lockfile(extra={"x": 2}), Lockfile(extra={"x": 3}))


def test_the_marks_of_a_merge():
    one, two = (Record(Oid(bytes([n]) * 16), (), {}, {}, {}) for n in (1, 2))
    marked, clean = Lockfile({}, rerun=frozenset("a")), Lockfile({"a": one})
    assert merge.lockfiles(Lockfile(), clean, Lockfile({"a": two}))[0] == marked
    # One side ran it again: that is taken, and the mark goes.
    assert merge.lockfiles(marked, clean, marked)[0] == merge.lockfiles(marked, marked, clean)[0] == clean
    assert merge.lockfiles(marked, clean, Lockfile({"a": two}))[0] == marked
    assert merge.lockfiles(marked, clean, clean)[0] == clean
    # One side ran it, the other met a conflict.
    assert merge.lockfiles(Lockfile({"a": two}), clean, marked)[0] == marked
    assert merge.lockfiles(Lockfile(), marked, marked)[0] == marked
