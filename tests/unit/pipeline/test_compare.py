"""What came out beside what was recorded."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc.errors import UsageError
from mlvc.manifest import Entry
from mlvc.pipeline import compare
from mlvc.pipeline.compare import Difference, Tolerance


def entry(path: str, data: bytes, kind: str = "f") -> Entry:
    return Entry(path, kind, len(data), data)


def test_directories_are_compared_file_by_file():
    old = [entry("a", b"1"), entry("b", b"2"), entry("c", b"3"), entry("d", b"4")]
    new = [entry("a", b"1"), entry("b", b"22"), entry("d", b"4", "x"), entry("e", b"5")]
    assert compare.entries(old, new) == [
        Difference("bytes", "b", recorded=1, now=2),
        Difference("gone", "c", recorded=1),
        Difference("kind", "d", recorded="f", now="x"),
        Difference("added", "e", now=1),
    ]
    assert compare.entries(old, old) == []


def cut(data: bytes, at: list[int]) -> list[bytes]:
    points = [0, *sorted(point % (len(data) + 1) for point in at), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(points)]


@given(st.binary(max_size=40), st.binary(max_size=40), st.lists(st.integers(0, 40)), st.lists(st.integers(0, 40)))
def test_the_first_byte_that_differs_is_found_however_the_bytes_arrive(old, new, here, there):
    same = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), None)
    wanted = None if old == new else min(len(old), len(new)) if same is None else same
    assert compare.first_differing(cut(old, here), cut(new, there)) == wanted


def test_it_is_found_in_a_long_part():
    old = bytes(1 << 20)
    for at in (0, 1, 777_777, (1 << 20) - 1):
        new = bytearray(old)
        new[at] = 1
        assert compare.first_differing([old], [memoryview(new)]) == at


OLD = {"auc": 0.9, "loss": {"train": 1.0, "test": 2}, "by_class": [0.1, 0.2], "name": "x", "gone": 1}


def test_without_a_tolerance_every_value_counts():
    new = {"auc": 0.9000001, "loss": {"train": 1.0, "test": 2.0}, "by_class": [0.1, 0.3], "name": "y", "new": 2}
    beyond, within = compare.values(OLD, new, Tolerance().of("m.json"))
    assert {(d.change, d.key) for d in beyond} == {
        *(("value", "auc"), ("value", "by_class.1"), ("value", "name")),
        *(("gone", "gone"), ("added", "new")),
    }
    # The same number, written otherwise.
    assert [d.key for d in within] == ["loss.test"]


@pytest.mark.parametrize(
    ("old", "new", "most", "near"),
    [
        (0.9, 0.90000009, 1e-6, True),
        (0.9, 0.91, 1e-6, False),
        (1e9, 1e9 + 100, 1e-6, True),  # relatively
        (0.0, 1e-7, 1e-6, True),  # absolutely
        (0.0, 1e-5, 1e-6, False),
        (1, True, 1.0, False),
        (1, "1", 1.0, False),
        (None, 0, 1.0, False),
        (".nan", 0.5, 1.0, False),
        (10**400, 10**400 + 1, 1.0, False),
    ],
)
def test_numbers_may_differ_absolutely_or_relatively_and_nothing_else_may(old, new, most, near):
    beyond, within = compare.values({"k": old}, {"k": new}, lambda _: most)
    assert (len(beyond), len(within)) == ((0, 1) if near else (1, 0))


def test_the_longest_key_that_is_named_counts():
    found = compare.tolerance(["1e-6", "m.json=0.1", "m.json:loss=0", "m.json:loss.test=5"], str.upper)
    allowed = found.of("M.JSON")
    assert (allowed("auc"), allowed("loss.train"), allowed("loss.test"), allowed("loss.test.0")) == (0.1, 0, 5, 5)
    assert found.of("other.json")("auc") == 1e-6
    assert Tolerance().of("m.json")("auc") == 0


def test_where_a_tolerance_applies():
    found = Tolerance(1e-6, {("named.json", "k"): 1.0, ("table.csv", ""): 1.0})
    assert found.applies("m.yaml", metrics=True)
    assert not found.applies("m.yaml", metrics=False)
    assert found.applies("named.json", metrics=False)
    assert found.applies("figure.txt", metrics=True)
    assert not Tolerance().applies("m.yaml", metrics=True)


@pytest.mark.parametrize("word", ["", "x", "-1", "nan", "inf", "m.json=", "m.json:auc=x", "=1"])
def test_what_is_no_tolerance(word):
    with pytest.raises(UsageError) as caught:
        compare.tolerance([word], str)
    assert caught.value.hint == "write it as 1e-6, or as FILE:KEY=1e-6 for one number of a file"
