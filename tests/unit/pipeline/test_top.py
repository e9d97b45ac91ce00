"""``params``, ``metrics``, ``plots`` and ``artifacts`` at the top of a pipeline file."""

from __future__ import annotations

import pytest

from mlvc import codec
from mlvc.errors import PipelineError
from mlvc.pipeline import spec
from mlvc.pipeline.top import Plot, Top, of_output, read


def top(text: str, file: str = "mlvc.yaml") -> Top:
    return read(spec.parse_file(text, file), codec.parse_yaml(text, file).position)


def test_paths_begin_at_the_directory_of_the_file():
    made = top("params: [p.yaml, ../q.json]\nmetrics: [m.json, dir]", "sub/mlvc.yaml")
    assert made.params == ("sub/p.yaml", "q.json")
    assert made.metrics == ("sub/m.json", "sub/dir")
    assert top("stages: {}") == Top()


ALL_FORMS = """
plots:
  - a.csv
  - b.csv:
  - c.csv: {x: step, y: [loss, acc], title: T, header: false}
  - both:
      x: step
      y: {a.csv: loss, b.csv: [loss, acc]}
      template: simple
  - crossed:
      x: {a.csv: step}
      y: {b.csv: loss}
"""


def test_plots_in_all_forms():
    assert top(ALL_FORMS, "sub/mlvc.yaml").plots == (
        Plot("sub/a.csv", "sub/mlvc.yaml", "sub/a.csv"),
        Plot("sub/b.csv", "sub/mlvc.yaml", "sub/b.csv"),
        Plot(
            *("sub/c.csv", "sub/mlvc.yaml", "sub/c.csv"),
            (("", "step"),),
            (("", "loss"), ("", "acc")),
            {"title": "T", "header": False},
        ),
        Plot(
            *("both", "sub/mlvc.yaml", ""),
            (("", "step"),),
            (("sub/a.csv", "loss"), ("sub/b.csv", "loss"), ("sub/b.csv", "acc")),
            {"template": "simple"},
        ),
        Plot("crossed", "sub/mlvc.yaml", "", (("sub/a.csv", "step"),), (("sub/b.csv", "loss"),)),
    )


def test_plots_as_a_mapping():
    assert [plot.id for plot in top("plots: {a.csv: , b.csv: {x: '0'}}").plots] == ["a.csv", "b.csv"]
    assert top("plots: {a.csv: {y: [0, b]}}").plots[0].y == (("", "0"), ("", "b"))


def test_the_plot_of_an_output():
    made = of_output("p.csv", "mlvc.yaml", {"x": "step", "y": "loss", "template": "simple", "type": "else"})
    assert made == Plot("p.csv", "mlvc.yaml", "p.csv", (("", "step"),), (("", "loss"),), {"template": "simple"})
    assert of_output("p.csv", "mlvc.yaml", {}) == Plot("p.csv", "mlvc.yaml", "p.csv")


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("metrics: m.json", "mlvc.yaml, line 1, column 1: 'metrics' must be a list", "begin each entry"),
        ("params:\n  - p.yaml\n  - {a: 1}", "mlvc.yaml, line 3, column 5: an entry of 'params' must be text", ""),
        ("metrics: ['']", "an entry of 'metrics' must be a path", "write each file"),
        ("metrics:\n  - ../m.json", "line 2, column 5: '../m.json' is outside the repository", "paths begin"),
        ("plots:\n  - a:\n      templat: x", "line 3, column 7: 'templat' is not a key of a plot", "'template'?"),
        ("vars: [{n: 3}]\nplots: [a: {title: '${n}'}]", "'title' of the plot 'a' must be text", "a path, or a name"),
        ("vars: [{n: x}]\nplots: [a: {header: '${n}'}]", "'header' of the plot 'a' must be true or false", ""),
        ("vars: [{n: 3}]\nmetrics: ['${n}']", "an entry of 'metrics' must be a path", ""),
        ("plots: [a: {y: {b.csv: {c: d}}}]", "'y' must be a column, a list of columns", ""),
        ("artifacts: {m: {type: model}}", "an artifact has no 'path'", ""),
        ("artifacts: {m: {path: m.bin, lables: [a]}}", "'lables' is not a key of an artifact", "'labels'"),
        ("artifacts: {m: {path: /m.bin}}", "'/m.bin' is outside the repository", ""),
    ],
)
def test_what_is_of_another_shape(text, told, hint):
    with pytest.raises(PipelineError) as caught:
        top(text)
    assert told in caught.value.message
    assert hint in caught.value.hint


def test_artifacts_are_kept():
    made = top("artifacts: {m: {path: m.bin, type: model, labels: [a], desc: d, meta: {any: 1}}}").artifacts
    assert made == {"m": {"path": "m.bin", "type": "model", "labels": ["a"], "desc": "d", "meta": {"any": 1}}}
