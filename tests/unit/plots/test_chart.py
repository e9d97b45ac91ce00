"""From data to Vega-Lite."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mlvc.errors import FormatError, PipelineError
from mlvc.pipeline.top import Plot
from mlvc.plots import chart, templates
from mlvc.plots.chart import MOST, Data, draw
from mlvc.plots.templates import BUILT_IN, COUNT, PANEL, SHARE, fill, find

ROWS = [{"step": 0, "loss": 1.0, "acc": 0.5}, {"step": 1, "loss": 0.5, "acc": 0.75}]
ONE = Plot("a.csv", "mlvc.yaml", "a.csv", (("", "step"),), (("", "loss"),))


def drawn(plot: Plot, *data: Data, name: str = "linear") -> chart.Chart:
    made = draw(plot, name, BUILT_IN[name], data or [Data("v1", {"a.csv": ROWS})])
    text = json.dumps(made.spec, allow_nan=False)
    assert "<DVC" not in text
    assert "<MLVC" not in text
    return made


def values(made: chart.Chart) -> list[dict[str, object]]:
    return made.spec["data"]["values"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_template_is_filled_whole(name):
    two = [Data("v1", {"a.csv": ROWS}), Data("v2", {"a.csv": ROWS})]
    for data in (two[:1], two):
        for y in ((("", "loss"),), (("", "loss"), ("", "acc"))):
            made = drawn(Plot("a.csv", "", "a.csv", (("", "step"),), y), *data, name=name)
            assert made.revisions == tuple(one.rev for one in data)
            assert values(made)


def test_one_line():
    made = drawn(ONE)
    assert values(made) == [{"step": 0, "loss": 1.0, "rev": "v1"}, {"step": 1, "loss": 0.5, "rev": "v1"}]
    assert made.spec["encoding"]["x"] == {"field": "step", "type": "quantitative", "title": "step"}
    assert made.spec["encoding"]["color"]["legend"] is None
    assert made.title == "a.csv"


def test_without_axes_the_last_column_by_number():
    made = drawn(Plot("a.csv", "", "a.csv"))
    assert values(made) == [{"step": 0, "acc": 0.5, "rev": "v1"}, {"step": 1, "acc": 0.75, "rev": "v1"}]


def test_revisions_are_told_apart_by_colour():
    made = drawn(ONE, Data("v1", {"a.csv": ROWS}), Data("gone", {}), Data("v2", {"a.csv": ROWS[:1]}))
    assert made.revisions == ("v1", "v2")
    color = made.spec["encoding"]["color"]
    assert (color["field"], color["scale"]["domain"]) == ("rev", ["v1", "v2"])
    assert len(set(color["scale"]["range"])) == 2
    assert "legend" not in color
    assert {one["rev"] for one in values(made)} == {"v1", "v2"}


def test_columns_of_several_files_in_one_chart():
    plot = Plot("p", "", "", (("", "step"),), (("d/a.csv", "loss"), ("d/b.csv", "acc")), {"title": "T", "y_label": "Y"})
    made = drawn(plot, Data("v1", {"d/a.csv": ROWS, "d/b.csv": ROWS}))
    assert made.title == "T"
    assert made.spec["encoding"]["y"]["title"] == "Y"
    assert [one[chart.MIXED_Y] for one in values(made)] == [1.0, 0.5, 0.5, 0.75]
    assert [one["filename::field"] for one in values(made)] == [*["a.csv::loss"] * 2, *["b.csv::acc"] * 2]
    assert made.spec["encoding"]["color"]["scale"]["domain"] == ["a.csv::loss", "b.csv::acc"]
    both = drawn(plot, *(Data(rev, {"d/a.csv": ROWS, "d/b.csv": ROWS}) for rev in ("v1", "v2")))
    assert both.spec["encoding"]["color"]["field"] == "rev"
    assert both.spec["encoding"]["strokeDash"]["scale"]["domain"] == ["a.csv::loss", "b.csv::acc"]


def test_x_of_another_file():
    plot = Plot("p", "", "", (("x.csv", "step"),), (("a.csv", "loss"),))
    assert [one["step"] for one in values(drawn(plot, Data("v1", {"a.csv": ROWS, "x.csv": ROWS[::-1]})))] == [1, 0]
    with pytest.raises(FormatError, match=r"plot 'p': x in x.csv has 1 records, and a.csv has 2"):
        drawn(plot, Data("v1", {"a.csv": ROWS, "x.csv": ROWS[:1]}))
    three = Plot("p", "mlvc.yaml", "", (("x.csv", "step"), ("x.csv", "acc")), (("a.csv", "loss"),) * 3)
    with pytest.raises(FormatError, match="2 columns for x and 3 for y"):
        drawn(three, Data("v1", {"a.csv": ROWS, "x.csv": ROWS}))


def test_a_column_that_is_not_there():
    with pytest.raises(FormatError, match=r"plot 'a.csv': a.csv has no column 'los'") as caught:
        drawn(Plot("a.csv", "", "a.csv", (), (("", "los"),)))
    assert caught.value.hint == "did you mean 'loss'?"


def test_names_of_columns_are_no_paths():
    made = drawn(Plot("a.csv", "", "a.csv", (), (("", "a.b[0]"),)), Data("v1", {"a.csv": [{"a.b[0]": 1}]}))
    assert made.spec["encoding"]["y"]["field"] == r"a\.b\[0\]"
    assert values(made)[0]["a.b[0]"] == 1


def test_names_and_dates_on_the_axis():
    names = drawn(ONE, Data("v1", {"a.csv": [{"step": "z", "loss": 1}, {"step": "a", "loss": 2}]}))
    assert names.spec["encoding"]["x"]["type"] == "nominal"
    assert names.spec["encoding"]["x"]["sort"] is None
    dates = drawn(ONE, Data("v1", {"a.csv": [{"step": "2026-11-21", "loss": 1}]}))
    assert dates.spec["encoding"]["x"]["type"] == "temporal"


def test_many_points_are_fewer_and_that_is_told():
    rows = [{"step": at, "loss": at % 7} for at in range(3 * MOST)]
    for name in ("linear", "scatter"):
        made = drawn(ONE, Data("v1", {"a.csv": rows}), Data("v2", {"a.csv": rows}), name=name)
        assert MOST // 2 < len(values(made)) <= MOST
        assert len(made.notes) == 1
        assert f"of {6 * MOST:,} points are drawn" in made.notes[0]
    assert drawn(ONE).notes == ()


def test_a_line_of_words_is_told():
    assert drawn(ONE, Data("v1", {"a.csv": [{"step": 1, "loss": "x"}]})).notes == (
        "of 'loss' only numbers are drawn, and it has others",
    )


def test_a_matrix_counts_all_records():
    pairs = [("cat", "cat")] * 6 + [("cat", "dog")] * 2 + [("dog", "dog")] * MOST
    rows = [{"actual": a, "predicted": p} for a, p in pairs]
    plot = Plot("a.csv", "", "a.csv", (("", "actual"),), (("", "predicted"),))
    made = drawn(plot, Data("v1", {"a.csv": rows}), name="confusion")
    cells = {(one["predicted"], one["actual"]): one[COUNT] for one in values(made)}
    assert cells == {("cat", "cat"): 6, ("cat", "dog"): 0, ("dog", "cat"): 2, ("dog", "dog"): MOST}
    shares = {(one["predicted"], one["actual"]): one[SHARE] for one in values(made)}
    assert shares["cat", "cat"] == 1.0
    assert shares["dog", "cat"] == round(2 / (MOST + 2), 6)
    assert {one[PANEL] for one in values(made)} == {"v1"}
    assert made.notes == ()
    numbers = drawn(plot, Data("v1", {"a.csv": [{"actual": 10, "predicted": 9}]}), name="confusion_normalized")
    assert numbers.spec["spec"]["encoding"]["x"]["sort"] == ["10"]
    wide = [{"actual": at, "predicted": at} for at in range(200)]
    assert drawn(plot, Data("v1", {"a.csv": wide}), name="confusion").notes == (
        "the 50 values that come most often are drawn, of 200",
    )


def test_of_many_bars_the_largest_are_drawn():
    rows = [{"n": f"f{at}", "v": at} for at in range(300)]
    plot = Plot("a.csv", "", "a.csv", (("", "v"),), (("", "n"),))
    made = drawn(plot, Data("v1", {"a.csv": rows}), name="bar_horizontal_sorted")
    assert {one["v"] for one in values(made)} == set(range(200, 300))
    assert made.notes == ("100 of 300 bars are drawn, the largest",)


# -- templates ---------------------------------------------------------------------------------

OWN = {
    "data": {"values": "<DVC_METRIC_DATA>"},
    "title": "My <DVC_METRIC_TITLE>",
    "params": ["<DVC_METRIC_NOTHING>"],
    "encoding": {
        "x": {"field": "<DVC_METRIC_X>"},
        "y": {"field": "<DVC_METRIC_Y>"},
        "color": "<DVC_METRIC_COLOR>",
        "strokeDash": "<DVC_METRIC_STROKE_DASH>",
    },
}


def test_a_template_of_a_user_gets_all_columns():
    made = draw(ONE, "own", OWN, [Data("v1", {"a.csv": ROWS})])
    assert made.spec["data"]["values"][0] == {
        **ROWS[0],
        "rev": "v1",
        "filename": "a.csv",
        "field": "loss",
    }
    assert made.spec["title"] == "My a.csv"
    assert made.spec["params"] == []
    assert made.spec["encoding"].keys() == {"x", "y", "color"}


def test_what_stands_in_the_data_is_no_anchor():
    rows = [{"step": 0, "loss": "<DVC_METRIC_X>"}]
    made = draw(ONE, "own", OWN, [Data("v1", {"a.csv": rows})])
    assert made.spec["data"]["values"][0]["loss"] == "<DVC_METRIC_X>"
    assert fill({"a": ["<DVC_METRIC_X>", "x"]}, {"X": "<DVC_METRIC_Y>", "Y": 1}) == {"a": ["<DVC_METRIC_Y>", "x"]}


def test_where_templates_are():
    files = {
        ".mlvc/plots/one.json": b'{"data": {"values": "<DVC_METRIC_DATA>"}, "is": 1}',
        ".dvc/plots/two.json": b'{"data": {"values": "<DVC_METRIC_DATA>"}, "is": 2}',
        "sub/three.json": b'{"data": {"values": "<DVC_METRIC_DATA>"}, "is": 3}',
        "broken.json": b"{",
        "empty.json": b"{}",
        "list.json": b"[]",
        "nan.json": b'{"data": {"values": "<DVC_METRIC_DATA>"}, "width": NaN}',
    }
    assert find("one", files.get, "sub")["is"] == 1
    assert find("two", files.get, "")["is"] == 2
    assert find("three.json", files.get, "sub")["is"] == 3
    assert find("linear", files.get, "") is templates.BUILT_IN["linear"]
    with pytest.raises(PipelineError, match="there is no template 'linaer'") as caught:
        find("linaer", files.get, "")
    assert caught.value.hint == "did you mean 'linear'?"
    with pytest.raises(FormatError, match=r"broken.json, line 1"):
        find("broken", files.get, "")
    with pytest.raises(FormatError, match=r"nan.json has a number"):
        find("nan", files.get, "")
    for name in ("empty", "list"):
        with pytest.raises(FormatError, match=f"{name}.json is no template"):
            find(name, files.get, "")


def test_the_page_names_all_templates_and_all_anchors():
    page = (Path(__file__).parents[3] / "docs/reference/pipeline.md").read_text(encoding="utf-8")
    told = re.findall(
        r"^\| `(\w+)` \|", page.partition("### Templates of drawings")[2].partition("Another name")[0], re.MULTILINE
    )
    assert told == list(BUILT_IN)
    anchors = set(re.findall(r"<DVC_METRIC_(\w+)>", page))
    # Each of them is replaced.
    template = {"data": {"values": "<DVC_METRIC_DATA>"}, **{name: f"<DVC_METRIC_{name}>" for name in anchors}}
    two = Plot("a.csv", "", "a.csv", (("", "step"),), (("", "loss"), ("", "acc")))
    assert draw(two, "own", template, [Data("v1", {"a.csv": ROWS})]).spec.keys() == template.keys()
