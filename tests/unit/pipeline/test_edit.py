"""A key goes into ``mlvc.yaml`` and out again, and every other byte stays."""

from __future__ import annotations

import pytest

from mlvc import codec
from mlvc.errors import PipelineError
from mlvc.pipeline.edit import set_flag

PLAIN = "# top\nstages:\n  a:\n    cmd: x  # why\n    deps: [d]\n\n  # next\n  b: {cmd: y}\n"


@pytest.mark.parametrize(
    ("text", "name", "frozen"),
    [
        (
            PLAIN,
            "a",
            "# top\nstages:\n  a:\n    cmd: x  # why\n    deps: [d]\n    frozen: true\n\n  # next\n  b: {cmd: y}\n",
        ),
        (PLAIN, "b", PLAIN.replace("{cmd: y}", "{frozen: true, cmd: y}")),
        (
            "stages:\n  a:\n    cmd: |\n      x\n      y\n\n\nplots: []\n",
            "a",
            "stages:\n  a:\n    cmd: |\n      x\n      y\n    frozen: true\n\n\nplots: []\n",
        ),
        ("stages:\r\n  a:\r\n    cmd: x\r\n", "a", "stages:\r\n  a:\r\n    cmd: x\r\n    frozen: true\r\n"),
        ("stages:\n  a:\n    cmd: x", "a", "stages:\n  a:\n    cmd: x\n    frozen: true\n"),
        (
            "stages:\n  a:\n    foreach: [1, 2]\n    do:\n      cmd: x ${item}\n  b:\n    cmd: y\n",
            "a",
            "stages:\n  a:\n    foreach: [1, 2]\n    do:\n      cmd: x ${item}\n      frozen: true\n  b:\n    cmd: y\n",
        ),
        (
            "stages:\n  a:\n    matrix: {m: [1]}\n    cmd: x\n",
            "a",
            "stages:\n  a:\n    matrix: {m: [1]}\n    cmd: x\n    frozen: true\n",
        ),
        ("stages:\n  1:\n    cmd: x\n", "1", "stages:\n  1:\n    cmd: x\n    frozen: true\n"),
    ],
)
def test_a_key_goes_in_and_out_again(text, name, frozen):
    assert set_flag(text, name, "frozen", on=True) == frozen
    assert set_flag(frozen, name, "frozen", on=True) == frozen
    assert set_flag(frozen, name, "frozen", on=False).rstrip() == text.rstrip()
    assert set_flag(text, name, "frozen", on=False) == text


@pytest.mark.parametrize(
    ("text", "on", "after"),
    [
        (
            "stages:\n  a:\n    frozen: false # no\n    cmd: x\n",
            True,
            "stages:\n  a:\n    frozen: true # no\n    cmd: x\n",
        ),
        ("stages:\n  a:\n    frozen: ${f}\n    cmd: x\n", True, "stages:\n  a:\n    frozen: true\n    cmd: x\n"),
        ("stages:\n  a:\n    frozen: true # why\n    cmd: x\n", False, "stages:\n  a:\n    cmd: x\n"),
        ("stages: {a: {cmd: x, frozen: true}}\n", False, "stages: {a: {cmd: x}}\n"),
        ("stages: {a: {cmd: x, frozen: true , deps: [d]}}\n", False, "stages: {a: {cmd: x, deps: [d]}}\n"),
        ("stages:\n  é: {frozen: true}\n  a:\n    cmd: 'é'\n    frozen: true", False, None),
    ],
)
def test_what_stood_there_is_changed(text, on, after):
    edited = set_flag(text, "a", "frozen", on=on)
    assert edited == (text.removesuffix("    frozen: true") if after is None else after)
    assert codec.load_yaml(edited, "mlvc.yaml")["stages"]["a"].get("frozen", False) is on


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("x: &x {frozen: true}\nstages:\n  a:\n    <<: *x\n    cmd: x\n", False),
        ("stages:\n  b: &b\n    cmd: x\n  a: *b\n", True),
    ],
)
def test_what_stands_elsewhere_is_for_a_person_to_change(text, on):
    with pytest.raises(PipelineError) as caught:
        set_flag(text, "a", "frozen", on=on)
    assert "by hand" in caught.value.hint
