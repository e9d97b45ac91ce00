"""A pipeline file means what it means to DVC: tests/golden/dvc holds what DVC 3.67 made of each (see make_dvc.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlvc.errors import MlvcError
from mlvc.pipeline import params as parameters
from mlvc.pipeline import spec
from mlvc.pipeline.variables import Surroundings

CASES = sorted(path.stem for path in (Path(__file__).parent / "dvc").glob("*.json"))
DIFFERENT = {
    "other-number-for-a-path": {"s": ("x",)},
    "other-number-in-params": {"s": ("x",)},
    "other-environment": {"s": ("you you",)},
    "other-default": {"s": ("1  0.001 3",)},
    "other-number-as-key": {"s": ("x y",)},
    "other-underscores": {"s": ("1_000",)},
    "other-date": {"s": ("2024-05-01",)},
    "other-frozen": {"s": ("x",)},
    "other-mapping-of-outs": {"s": ("x",)},
    **dict.fromkeys(("other-map-for-cmd", "other-matrix-of-nothing", "other-name", "other-address", "other-twice")),
    **dict.fromkeys(("other-checkpoint", "other-datasets", "other-beside-foreach")),
}
"""Cases in which mlvc differs on purpose: its commands, or None where it refuses them.

The reasons are in docs/reference/pipeline.md.
"""


def case(name):
    return json.loads((Path(__file__).parent / "dvc" / f"{name}.json").read_text(encoding="utf-8"))


def parsed(files):
    """What mlvc makes of the project, file by file as DVC lists them."""
    around = Surroundings(parameters.loader(lambda path: files[path].encode() if path in files else None), {"NAME": "you"})
    pipelines = [path for path in files if path.split("/")[-1] == "dvc.yaml"]
    return [
        spec.parse_file(files[path], path.replace("dvc.yaml", "mlvc.yaml"), around)
        for path in sorted(pipelines, key=lambda path: path.count("/"))
    ]


def params(stage):
    """The parameters by file; where all of a file counts, its keys are of no matter."""
    found = {}
    for ref in stage.params:
        found.setdefault(ref.file, set()).add(ref.key)
    return {file: [] if "" in keys else sorted(keys) for file, keys in found.items()}


def shape(stage):
    return {
        "name": stage.name.replace("/mlvc.yaml:", "/"),
        "cmd": list(stage.cmd),
        "wdir": stage.wdir or ".",
        "deps": list(stage.deps),
        "params": params(stage),
        "outs": [
            {key: getattr(out, key) for key in ("path", "role", "cache", "persist", "push", "remote", "desc")}
            for out in stage.outs
        ],
        "frozen": stage.frozen,
        "always_changed": stage.always_changed,
        "desc": stage.desc,
        "meta": stage.meta,
    }


def theirs(stage):
    """What DVC has, as mlvc says it: commands without the space around them."""
    return {**stage, "cmd": [str(command).strip() for command in stage["cmd"]]}


def by_name(stages):
    return {stage["name"]: stage for stage in stages}


def test_there_are_many():
    assert len(CASES) > 80


@pytest.mark.parametrize("name", [name for name in CASES if name not in DIFFERENT])
def test_as_dvc(name):
    expected = case(name)
    if "refused" in expected:
        with pytest.raises(MlvcError, match="mlvc.yaml, line"):
            parsed(expected["files"])
        return
    files = parsed(expected["files"])
    assert [shape(stage) for file in files for stage in file.stages] == [theirs(s) for s in expected["stages"]]
    top = files[0]
    for key in ("metrics", "params", "plots", "artifacts"):
        assert (getattr(top, key) or type(expected[key])()) == expected[key]


@pytest.mark.parametrize("name", sorted(DIFFERENT))
def test_on_purpose_not_as_dvc(name):
    expected = case(name)
    files = expected["files"]
    if DIFFERENT[name] is None:
        with pytest.raises(MlvcError, match="mlvc.yaml, line"):
            parsed(files)
        return
    found = {stage.name: stage.cmd for file in parsed(files) for stage in file.stages}
    assert found == DIFFERENT[name]
    assert "refused" in expected or found != {s["name"]: tuple(s["cmd"]) for s in expected["stages"]}
