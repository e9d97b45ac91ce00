"""Values by dotted names, and what differs."""

from __future__ import annotations

import pytest

from mlvc.metrics import ValueChange, compare, figures, flat


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": 1, "b": {"c": {"d": [1, {"e": 2}]}, "f": None}}, {"a": 1, "b.c.d": [1, {"e": 2}], "b.f": None}),
        ({}, {}),
        (0.5, {"": 0.5}),
        ([1], {"": [1]}),
    ],
)
def test_nested_mappings_by_dotted_name(value, told):
    assert flat(value) == told


def test_metrics_are_numbers_texts_and_booleans():
    assert figures({"a": 1, "b": [1], "c": {"d": None}, "e": {"f": True, "g": "x"}}) == {
        "a": 1,
        "e": {"f": True, "g": "x"},
    }
    assert figures([1, 2]) is None
    assert figures({"a": []}) is None
    assert figures(0.5) == 0.5


def test_what_differs():
    old = {"m": {"acc": 0.5, "same": 1, "name": "x", "gone": 1, "flag": True}}
    new = {"m": {"acc": 0.75, "same": 1, "name": "y", "new": None, "flag": 1}, "n": {"": 3}}
    assert compare(old, new) == [
        ValueChange("m", "acc", 0.5, 0.75),
        ValueChange("m", "name", "x", "y"),
        ValueChange("m", "new", None, None, had=False),
        ValueChange("m", "flag", True, 1),
        ValueChange("m", "gone", 1, None, has=False),
        ValueChange("n", "", None, 3, had=False),
    ]
    assert [change.change for change in compare(old, new)] == [0.25, None, None, None, None, None]
    assert ValueChange("m", "same", 1, 1) in compare(old, new, everything=True)
