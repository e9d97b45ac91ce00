from __future__ import annotations

import pytest

from mlvc.errors import FormatError, PipelineError
from mlvc.pipeline.params import ParamFiles, parse
from mlvc.pipeline.spec import ParamRef

FILES = {
    "p.yaml": b"train:\n  lr: 1e-3\n  layers: [1, {n: 2}]\na.b: dotted\nnan: .nan\nwhen: 2026-11-21\n1: one\n",
    "p.json": b'{"a": {"b": [1, true, null]}}',
    "p.toml": b'when = 2026-11-21\n[a]\nb = inf\nc = "x"\n',
    "p.py": b"""
import os
LR = 1e-3
NAMES: list[str] = ["a", "b"]
PAIR = -1, (2, 3)
BOTH = OTHER = {"x": {1}}
HOME = os.getcwd()
LATER = 1
LATER = os.getcwd()
class Model:
    DEPTH = 3
    class Inner:
        x = None
    def __init__(self, size):
        self.size = 7
        local = 8
def function():
    HIDDEN = 1
""",
    "bad.py": b"x = 1\ny = = 2\n",
    "empty.yaml": b"",
    "latin.yaml": b"a: \xe9\n",
}


def value(file, key=""):
    return ParamFiles(FILES.get).values([ParamRef(file, key)])[file][key]


@pytest.mark.parametrize(
    ("file", "key", "expected"),
    [
        ("p.yaml", "train.lr", 0.001),
        ("p.yaml", "train", {"lr": 0.001, "layers": [1, {"n": 2}]}),
        ("p.yaml", "train.layers.1.n", 2),
        ("p.yaml", "a.b", "dotted"),
        ("p.yaml", "nan", ".nan"),
        ("p.yaml", "when", "2026-11-21"),
        ("p.yaml", "1", "one"),
        ("p.json", "a.b", [1, True, None]),
        ("p.json", "", {"a": {"b": [1, True, None]}}),
        ("p.toml", "a.b", ".inf"),
        ("p.toml", "when", "2026-11-21"),
        ("p.py", "LR", 0.001),
        ("p.py", "NAMES", ["a", "b"]),
        ("p.py", "PAIR", [-1, [2, 3]]),
        ("p.py", "OTHER.x", [1]),
        ("p.py", "Model.DEPTH", 3),
        ("p.py", "Model.Inner.x", None),
        ("p.py", "Model.size", 7),
        ("empty.yaml", "", {}),
    ],
)
def test_values(file, key, expected):
    assert value(file, key) == expected


@pytest.mark.parametrize("key", ["HOME", "LATER", "HIDDEN", "Model.local", "function"])
def test_what_python_computes_or_hides_is_no_parameter(key):
    with pytest.raises(PipelineError, match=rf"p\.py has no parameter '{key}'"):
        value("p.py", key)


def test_a_missing_key_is_named_with_the_nearest():
    with pytest.raises(PipelineError, match=r"p.yaml has no parameter 'train.lrr'") as caught:
        value("p.yaml", "train.lrr")
    assert caught.value.hint == "did you mean 'train.lr'?"
    for key in ("train.layers.5", "train.lr.x", "zzz"):
        with pytest.raises(PipelineError):
            value("p.yaml", key)


def test_a_missing_file_is_named():
    with pytest.raises(PipelineError, match=r"the parameter file 'no\.yaml' is not there"):
        value("no.yaml", "a")
    assert ParamFiles(FILES.get).values([ParamRef("no.yaml", "a")], pending=["no.yaml"]) == {}


@pytest.mark.parametrize("file", ["bad.py", "latin.yaml"])
def test_a_file_that_does_not_parse(file):
    with pytest.raises(FormatError, match=file):
        value(file, "a")


def test_a_file_is_parsed_again_only_when_its_bytes_changed():
    files = {"p.yaml": b"a: 1\n"}
    params = ParamFiles(files.get)
    first = params.values([ParamRef("p.yaml")])["p.yaml"][""]
    assert params.values([ParamRef("p.yaml")])["p.yaml"][""] is first
    files["p.yaml"] = b"a: 2\n"
    assert params.values([ParamRef("p.yaml", "a")])["p.yaml"]["a"] == 2


def test_a_byte_order_mark_and_dos_lines():
    assert parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "p.yaml") == {"a": 1, "b": 2}
