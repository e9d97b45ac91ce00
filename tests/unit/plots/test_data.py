"""Records out of data files, and fewer points of many."""

from __future__ import annotations

import json
import random

import pytest

from mlvc.errors import FormatError
from mlvc.plots.data import every, records, thinned


def read(text: str, path: str, **options: bool):
    return records(text.encode(), path, f"v1:{path}", **options)


def test_a_table():
    assert read("step,loss\n0,1.5\n1,.5\n", "a.csv") == [{"step": 0, "loss": 1.5}, {"step": 1, "loss": 0.5}]
    assert read("\ufeffa\tb\r\n1\tx\r\n", "a.TSV") == [{"a": 1, "b": "x"}]
    assert read('a,b\n"x\ny","1,5"\n', "a.csv") == [{"a": "x\ny", "b": "1,5"}]
    assert read("1,2\n3,4\n", "a.csv", header=False) == [{"0": 1, "1": 2}, {"0": 3, "1": 4}]


def test_a_column_is_numbers_if_all_of_it_are():
    assert read("a\n1\nx\n", "a.csv") == [{"a": "1"}, {"a": "x"}]
    assert read("a\n01\n2\n", "a.csv") == [{"a": "01"}, {"a": "2"}]  # a name, such as of a class
    assert read("a,b\n1,\n,nan\n", "a.csv") == [{"a": 1, "b": ""}, {"a": None, "b": "nan"}]
    assert read("a,b\n1e999,-1e-3\n2,3\n", "a.csv") == [{"a": None, "b": -0.001}, {"a": 2, "b": 3}]


def test_a_short_row_has_empty_cells():
    assert read("a,b\nx\n", "a.csv") == [{"a": "x", "b": ""}]


def test_lists_in_json_and_yaml():
    rows = [{"x": 1, "y": 2}, {"x": 2, "y": 3}]
    assert read(json.dumps(rows), "a.json") == rows
    assert read(json.dumps({"auc": 0.5, "deep": {"roc": rows}}), "a.json") == rows
    assert read("roc:\n- {x: 1, y: .nan}\n", "a.yml") == [{"x": 1, "y": None}]
    assert read('{"a": [{"x": 1}, {"x": 2}], "b": [{"y": 3}]}', "a.json") == [{"x": 1, "y": 3}, {"x": 2}]


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        ("", "a.csv", "v1:a.csv is empty"),
        ('{"a": [1,}', "a.json", "v1:a.json, line 1, column 10"),
        ("a: [1\n", "a.yaml", "v1:a.yaml, line 1, column 4"),
        ('{"a": [1, 2]}', "a.json", "v1:a.json has no list of records"),
        ('[{"x": 1}, {"y": 1}]', "a.json", "v1:a.json has no list of records"),
        ("text", "a.txt", "v1:a.txt cannot be drawn"),
    ],
)
def test_what_cannot_be_drawn(text, path, told):
    with pytest.raises(FormatError, match=told):
        read(text, path)
    with pytest.raises(FormatError, match="not UTF-8"):
        records(b"\xff", path, path)


def test_of_a_long_line_what_stands_out_is_kept():
    seven = random.Random(7)
    points = [{"y": seven.random()} for _ in range(100_000)]
    points[31_415]["y"], points[27_182]["y"] = 99.0, -99.0
    points[5]["y"] = None
    found = thinned(points, 1000, "y")
    assert 500 < len(found) <= 1000
    assert found[0] is points[0]
    assert found[-1] is points[-1]
    assert points[31_415] in found
    assert points[27_182] in found
    assert [points.index(one) for one in found[:50]] == sorted(points.index(one) for one in found[:50])
    assert thinned(points[:10], 1000, "y") == points[:10]
    assert thinned([{"y": "x"}] * 50, 10, "y")
    assert every(list(range(10)), 3) == [0, 3, 6]
