"""The schema of ``mlvc.yaml``: it is one, our interpreter agrees with another, and it knows the keys of the code."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlvc import codec
from mlvc.errors import PipelineError
from mlvc.pipeline import schema, spec

VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema.text()))
UNDERSTOOD = {
    *("type", "pattern", "minimum", "items", "properties", "propertyNames", "additionalProperties", "anyOf", "$ref"),
    *("if", "then", "else", "required", "$defs", "$schema"),
    *("title", "description", "default", "patternErrorMessage"),
}


def schemas(value: Any = schema.SCHEMA, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in the schema, and where it stands."""
    yield path, value
    for key in ("items", "propertyNames", "additionalProperties", "if", "then", "else"):
        if isinstance(value.get(key), dict):
            yield from schemas(value[key], f"{path}/{key}")
    for number, each in enumerate(value.get("anyOf", ())):
        yield from schemas(each, f"{path}/anyOf/{number}")
    for key in ("properties", "$defs"):
        for name, each in value.get(key, {}).items():
            yield from schemas(each, f"{path}/{key}/{name}")


def test_it_is_a_json_schema():
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.text()))


def test_it_has_no_keyword_that_the_interpreter_does_not_understand():
    assert {key for _, each in schemas() for key in each} <= UNDERSTOOD
    for path, each in schemas():
        assert {"properties", "propertyNames"}.isdisjoint(each) or "additionalProperties" in each, path
        assert each.keys() & {"if", "then", "else"} in ({"if", "then", "else"}, set()), path


def test_every_key_has_a_description():
    told = [(path, each) for path, each in schemas() if path.split("/")[-2:-1] == ["properties"]]
    assert len(told) > 60
    assert [path for path, each in told if len(each.get("description", "")) < 8] == []


def keys(*path: str) -> set[str]:
    found: Any = schema.SCHEMA
    for step in path:
        found = found[step]
    return set(found["properties"])


def test_its_keys_are_those_that_the_code_reads():
    assert keys() == set(spec.TOP_KEYS)
    stage = keys("$defs", "stage", "then") | keys("$defs", "stage", "else")
    assert stage >= set(spec.STAGE_KEYS)
    assert keys("$defs", "body") == stage - {"foreach", "do", "matrix"}
    assert keys("$defs", "out") == set(spec.OUT_FLAGS)
    assert keys("$defs", "drawn") == set(spec.PLOT_FLAGS)


NAMES = sorted({name for _, each in schemas() for name in each.get("properties", {})})
WORDS = ["", "x", "${x}", "a ${x.y[0]}", "30s", "4GB", "1.5 h", "A", "a-b", "true", "é"]
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from([0.5, 1.0, -1.5]), st.sampled_from(WORDS)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*NAMES, *WORDS]), inner, max_size=3)
    ),
    max_leaves=8,
)


SOME = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)
STAGE = st.builds(lambda some, cmd: {"cmd": cmd, **some}, SOME, st.sampled_from(["x", ["a", "b"], 1]))
LOOP = st.builds(lambda over, do: {"foreach": over, "do": do}, VALUES, STAGE)
OUTS = st.lists(st.one_of(LEAVES, st.dictionaries(st.sampled_from(WORDS), SOME, max_size=2)), max_size=2)
WITH_OUTS = st.builds(lambda role, outs: {"cmd": "x", role: outs}, st.sampled_from(["outs", "metrics", "plots"]), OUTS)
DOCUMENTS = st.one_of(
    VALUES,
    SOME,
    st.builds(lambda stage: {"stages": {"s": stage}}, st.one_of(VALUES, STAGE, LOOP, WITH_OUTS)),
    st.builds(lambda key, value: {"stages": {"s": {"cmd": "x", key: value}}}, st.sampled_from(NAMES), VALUES),
    st.builds(lambda key, value: {key: value}, st.sampled_from(spec.TOP_KEYS), VALUES),
)


@settings(max_examples=600, deadline=None)
@given(DOCUMENTS)
@example({"stages": {"s": {"cmd": "x", "retries": 1.0}}})
@example({"stages": {"s": {"cmd": "x", "retries": True}}})
@example({"stages": {"s": {"cmd": "x", "timeout": "30s "}}})
def test_the_interpreter_says_what_another_one_says(document):
    problem = schema.validate(document)
    assert (problem is None) == VALIDATOR.is_valid(document), problem
    if problem is not None:
        assert problem.says
        assert problem.hint or not problem.path
        assert "\n" not in problem.message


VALID = [
    "{cmd: x, deps: '${deps}', outs: '${outs}', frozen: '${frozen}', retries: '${n}', env: '${env}'}",
    "{cmd: [a, b], plots: [{p.csv: [{x: a, y: b}, {x: c}]}, q.csv], metrics: [m.json: {cache: false}]}",
    "{foreach: '${list}', do: {cmd: x, matrix_of: 1}}",
    "{foreach: {a: 1, b: {c: 2}}, do: {cmd: 'x ${item.c}', outs: ['o/${key}']}}",
    "{cmd: x, matrix: {a: [1, {b: 2}], c: '${list}'}, env: [A, {B: 1}], resources: {gpu: 1, memory: 4GB, licence: 2}}",
    "{cmd: x, when: 'a.b > 2', each: 'd/*.jpg', batch: 256, image: 'python:3.11', timeout: 1m, vars: [a.yaml, {b: 1}]}",
]


@pytest.mark.parametrize("body", VALID)
def test_what_is_written_where(body):
    value = codec.load_yaml(f"stages: {{s: {body}}}", "mlvc.yaml")
    problem = schema.validate(value)
    assert (problem and problem.path[-1]) == ("matrix_of" if "matrix_of" in body else None)


TOP = """
params: [p.yaml]
metrics: [m.json]
plots:
  - all
  - eval/roc.csv:
  - losses:
      x: {a.csv: step}
      y: {a.csv: [one, two], b.csv: three}
      x_label: step
      template: linear
artifacts:
  model: {path: model.bin, type: model, labels: [a], desc: d, meta: {k: 1}}
"""


def test_the_forms_of_dvc_at_the_top():
    assert spec.parse_file(TOP, "mlvc.yaml").stages == ()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("stages: {s: {cmd: x}}\nartifacts: {m: {type: a}}", "line 2, column 13: an artifact has no 'path'", "where"),
        ("plots: {a: {z: b}}", "line 1, column 13: 'z' is not a key of a plot", "x, y"),
        ("metrics: m.json", "line 1, column 1: 'metrics' must be a list, and this is text", "- "),
        ("stages:\n  s: {foreach: [1], cmd: x, do: {cmd: x}}", "line 2, column 21: stage 's': 'cmd' is not a key", ""),
        (
            "stages: {s: {foreach: [1]}}",
            "line 1, column 10: stage 's': a stage of 'foreach' and 'do' has no 'do'",
            "the stage",
        ),
        ("stages: {s: {cmd: x, outs: [a, 1]}}", "line 1, column 32: stage 's': an entry of 'outs' must be text or", ""),
        ("stages: {s: {cmd: x, wdir: [a]}}", "line 1, column 22: stage 's': 'wdir' must be text", "one value"),
        ("stages: {s: {cmd: x, wdir: 3}}", "line 1, column 22: stage 's': 'wdir' must be text", "quotes"),
        ("stages: {s: {cmd: x, image: }}", "line 1, column 22: stage 's': 'image' must be text", "take the key out"),
        ("stages: {s: {cmd: x, image: --rm}}", "line 1, column 22: stage 's': '--rm' is an option", "container.args"),
    ],
)
def test_where_it_is_wrong(text, message, hint):
    with pytest.raises(PipelineError) as caught:
        spec.parse_file(text, "mlvc.yaml")
    assert caught.value.message.startswith(f"mlvc.yaml, {message}"), caught.value.message
    assert hint in caught.value.hint


def test_a_thousand_stages_are_checked_at_once():
    stage = {"cmd": "x", "deps": ["a", "b"], "params": ["p", {"q.toml": ["r"]}], "outs": ["o", {"p": {"cache": False}}]}
    document = {"stages": {f"s{number}": stage for number in range(1000)}}
    start = time.perf_counter()
    assert schema.validate(document) is None
    assert time.perf_counter() - start < 1  # 0.02 s here
