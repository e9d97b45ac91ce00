from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlvc
from mlvc import codec
from mlvc.errors import FormatError

ROOT = Path(mlvc.__file__).parents[1]
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", -math.inf),
        ("12:30:45", "12:30:45"),
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21 10:00:00", "2026-11-21 10:00:00"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("~", None),
        ("null", None),
        ("''", ""),
        ("'1'", "1"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
    ],
)
def test_yaml_scalars_are_those_of_the_core_schema(text, value):
    found = codec.load_yaml(f"k: {text}\n", "f")["k"]
    assert (found, type(found)) == (value, type(value))


def test_not_a_number():
    assert math.isnan(codec.load_yaml(".nan", "f"))


def test_an_empty_document_is_none():
    assert codec.load_yaml("", "f") is None
    assert codec.load_yaml("# nothing\n", "f") is None


def test_anchors_and_merges():
    text = "w: &w {a: 1, q: 1}\nx: &x {<<: *w, q: 2}\ny: {<<: *x, q: 3}\nz: {<<: [*x, *w]}\n"
    assert codec.load_yaml(text, "f") == {
        "w": {"a": 1, "q": 1},
        "x": {"a": 1, "q": 2},
        "y": {"a": 1, "q": 3},
        "z": {"a": 1, "q": 2},
    }


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml, line 4, column 3: the key 'c' is there twice"),
        ("1: a\ntrue: b\n", "f.yaml, line 2, column 1: the keys '1' and 'true' are the same: put them in quotes"),
        ("a: {1: x, 2: y, 1.0: z}\n", "f.yaml, line 1, column 17: the keys '1' and '1.0' are the same"),
        ("a: [1\nb: 2\n", "f.yaml, line 2, column 2: did not find expected"),
        ("\ta: 1\n", "f.yaml, line 1, column 1: "),
        ("? [1]\n: 2\n", "f.yaml, line 1, column 3: a key must be a plain word or text"),
        ("a: *b\n", "f.yaml, line 1, column 4: found undefined alias"),
        ("a: !!python/name:os.system x\n", "f.yaml, line 1, column 4: could not determine a constructor"),
        ("--- 1\n--- 2\n", "f.yaml, line 2, column 1: "),
        ("a: \x00\n", "f.yaml: a character that YAML does not allow"),
        ("[" * 100_000, "f.yaml"),
    ],
)
def test_yaml_that_is_refused_is_located(text, where):
    with pytest.raises(FormatError) as caught:
        codec.load_yaml(text, "f.yaml")
    assert caught.value.message.startswith(where)


def test_positions():
    document = codec.parse_yaml("a:\n  b:\n  - x\n  - {c: 1}\n", "f")
    assert document.position(("a", "b", 1, "c")) == (4, 6)
    assert document.position(("a", "b", 9)) == (2, 3)
    assert document.position(()) == (1, 1)
    assert document.lines_of_keys(("a",)) == {"b": 2}


def test_json_and_toml_that_are_refused_are_located():
    with pytest.raises(FormatError, match=r"f, line 2, column 3: "):
        codec.load_json("{\n  a", "f")
    with pytest.raises(FormatError, match=r"f: the key 'a' is there twice"):
        codec.load_json('{"a": 1, "a": 2}', "f")
    with pytest.raises(FormatError, match=r"f, line 2, column 4: "):
        codec.load_toml("a = 1\nb =\n", "f")


def test_canonical_json():
    assert codec.dump_json({"b": [1, 0.5], "a": {"é": None}, "c": {}, "d": []}) == (
        '{\n  "a": {\n    "é": null\n  },\n  "b": [\n    1,\n    0.5\n  ],\n  "c": {},\n  "d": []\n}\n'
    )
    assert codec.compact_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'
    with pytest.raises(ValueError, match="JSON"):
        codec.dump_json(math.nan)


@given(PLAIN)
def test_json_comes_back(value):
    assert codec.load_json(codec.dump_json(value), "f") == value
    assert codec.load_json(codec.compact_json(value), "f") == value


def test_nothing_heavy_is_loaded_before_it_is_used():
    code = "import sys, mlvc.codec; print([m for m in ('yaml', 'tomllib', 'json') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_the_nearest_word():
    assert codec.nearest("dpes", ["desc", "deps"]) == "deps"
    assert codec.nearest("zzz", ["desc", "deps"]) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [x, *a]\n", "f.yaml, line 1: a value that contains itself"),
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 25)),
            "f.yaml has aliases that stand for more than a million values",
        ),
    ],
)
def test_aliases_that_stand_for_too_much(text, said):
    with pytest.raises(FormatError) as caught:
        codec.load_yaml(text, "f.yaml")
    assert caught.value.message == said
    assert "an alias (`*name`) stands for all that its anchor (`&name`) has" in caught.value.hint
