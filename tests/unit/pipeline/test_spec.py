from __future__ import annotations

import re

import pytest

from mlvc.errors import FormatError, PipelineError
from mlvc.pipeline import quantities, spec
from mlvc.pipeline.edit import add_stage, emit
from mlvc.pipeline.spec import Out, ParamRef

FULL = r"""
stages:
  prep:
    desc: Prepare
    cmd:
      - one
      - "two \\${HOME}"
    wdir: ../x
    deps: [../data/raw/, y]
    params: [lr, p.toml: [a.b, c], q.py: ]
    outs:
      - o
      - p/: {cache: false, persist: true, push: true, type: model, desc: D, labels: [a], meta: {k: 1}}
    metrics:
      - m.json: {cache: false}
    plots:
      - p.csv: {x: a, y: b}
    frozen: true
    always_changed: true
    meta: {who: me}
  next:
    cmd: three
artifacts: {m: {path: o}}
"""


def test_the_whole_vocabulary():
    prep, following = spec.parse(FULL, "sub/mlvc.yaml")
    assert (prep.name, prep.file, prep.line) == ("sub/mlvc.yaml:prep", "sub/mlvc.yaml", 3)
    assert prep.cmd == ("one", "two ${HOME}")
    assert (prep.wdir, prep.deps) == ("x", ("data/raw", "x/y"))
    assert prep.params == (
        ParamRef("x/params.yaml", "lr"),
        ParamRef("x/p.toml", "a.b"),
        ParamRef("x/p.toml", "c"),
        ParamRef("x/q.py"),
    )
    assert prep.outs == (
        Out("x/o"),
        Out(
            "x/p",
            cache=False,
            persist=True,
            desc="D",
            options={"type": "model", "labels": ["a"], "meta": {"k": 1}},
        ),
        Out("x/m.json", "metrics", cache=False),
        Out("x/p.csv", "plots", options={"x": "a", "y": "b"}),
    )
    assert (prep.desc, prep.frozen, prep.always_changed, prep.meta) == ("Prepare", True, True, {"who": "me"})
    assert (following.wdir, following.cmd, following.line) == ("sub", ("three",), 21)


ADDED = """
stages:
  s:
    cmd: x ${items}
    wdir: w
    env: {B: 2, A: text, C: true}
    timeout: 1.5m
    retries: 2
    resources: {cpus: 2, gpu: 0.5, memory: 4GB, licence: 1}
    image: python:3.11
    each: raw/*.jpg
    batch: 256
    outs:
      - o: {push: false, remote: far}
"""


def test_what_dvc_yaml_does_not_have():
    (stage,) = spec.parse(ADDED, "mlvc.yaml")
    assert (stage.env, stage.env_through) == ({"B": "2", "A": "text", "C": "true"}, ())
    assert (stage.timeout, stage.retries, stage.image) == (90, 2, "python:3.11")
    assert stage.resources == {"cpus": 2, "gpu": 0.5, "memory": 4e9, "licence": 1}
    assert (stage.each, stage.batch) == ("w/raw/*.jpg", 256)
    assert stage.outs == (Out("w/o", push=False, remote="far"),)


def test_variables_may_be_let_through():
    (stage,) = spec.parse("stages: {s: {cmd: x, env: [A, {B: 1, C: x}, D]}}", "mlvc.yaml")
    assert (stage.env, stage.env_through) == ({"B": "1", "C": "x"}, ("A", "D"))


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), (90, 90), ("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400), (".5 H", 1800)]
    + [(text, None) for text in ("", "s", "1w", "-1", "1 2", True, None, float("nan"), float("inf"), "9" * 400)],
)
def test_times(text, value):
    assert quantities.seconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [(5, 5), ("5", 5), ("4GB", 4e9), ("4g", 4e9), ("2 GiB", 2 << 30), ("1ki", 1024), ("1.5MB", 1.5e6), ("7B", 7)]
    + [(text, None) for text in ("", "GB", "1XB", "-1", True, [])],
)
def test_sizes(text, value):
    assert quantities.size(text) == value


def test_the_stages_of_the_root_have_short_names():
    assert [stage.name for stage in spec.parse("stages: {a.b-c_1: {cmd: x}}", "mlvc.yaml")] == ["a.b-c_1"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "stages:\n", "stages: {}\n", "plots: []\n"])
def test_no_stages(text):
    assert spec.parse(text, "mlvc.yaml") == ()


@pytest.mark.parametrize(
    ("body", "line", "words", "hint"),
    [
        ("cmd: x\n    dpes: [a]", 4, "'dpes' is not a key of a stage", "did you mean 'deps'?"),
        ("cmd: x\n    zzz: 1", 4, "'zzz' is not a key of a stage", "known are cmd, wdir"),
        ("cmd: x\n    outs: [../a]", 4, "'../a' is outside the repository", ""),
        ("cmd: x\n    outs: [/a]", 4, "'/a' is outside the repository", ""),
        ("cmd: x\n    deps: ['C:\\a']", 4, "is outside the repository", ""),
        ("cmd: x\n    wdir: ..", 4, "'..' is outside the repository", ""),
        ("cmd: x\n    deps:\n    - a\n    - s3://b/c", 6, "'s3://b/c' is an address", ""),
        ("cmd: x\n    outs: [.]", 4, "'.' is the repository itself", ""),
        ("cmd: x\n    outs: ['']", 4, "'' is the repository itself", ""),
        ("cmd: x\n    outs: [.git/x]", 4, "'.git/x' belongs to Git", ""),
        ("cmd: 3", 3, "'cmd' must be text or a list, and this is a number", ""),
        ("cmd: ' '", 3, "there is no command", "say in 'cmd'"),
        ("cmd: []", 3, "there is no command", "say in 'cmd'"),
        ("deps: [a]", 2, "a stage has no 'cmd'", "a command for `/bin/sh`"),
        ("cmd: x\n    metrics:\n    - a: {remote: 1}", 5, "'remote' must be text, and this is a number", ""),
        ("cmd: x\n    plots:\n    - a: {push: 0}", 5, "'push' must be true or false", ""),
        ("cmd: x\n    deps: a", 4, "'deps' must be a list, and this is text", "begin each entry"),
        ("cmd: x\n    deps: [a, ./a]", 4, "'a' is named twice in 'deps'", ""),
        ("cmd: x\n    deps: [1]", 4, "an entry of 'deps' must be text, and this is a number", "quotes"),
        ("cmd: x\n    params: [1]", 4, "an entry of 'params' must be text or a mapping of keys, and this is a", ""),
        ("cmd: x\n    params: [f: {a: 1}]", 4, "'f' must be a list or text, and this is a mapping", ""),
        ("cmd: x\n    outs:\n    - a: {cahce: 1}", 5, "'cahce' is not a key of an output", "'cache'?"),
        ("cmd: x\n    outs:\n    - a:\n        cache: 1", 6, "'cache' must be true or false, and this is a number", ""),
        ("cmd: x\n    outs: [a]\n    metrics: [a]", 5, "the output 'a' is named twice", ""),
        ("cmd: x\n    frozen: 1", 4, "'frozen' must be true or false, and this is a number", ""),
        ("cmd: x\n    env: X", 4, "'env' must be a mapping of keys or a list, and this is text", ""),
        ("cmd: x\n    env: [A-B]", 4, "'A-B' cannot be the name of a variable", "letters"),
        ("cmd: x\n    env: {A: }", 4, "'A' must be text, a number or true or false, and this is empty", ""),
        ("cmd: x\n    env: {A-B: 1}", 4, "'A-B' must be the name of a variable, of letters, digits and '_'", ""),
        ("cmd: x\n    env:\n    - A\n    - A: 1", 6, "the variable 'A' is named twice", ""),
        (
            "cmd: x\n    timeout: 3 weeks",
            4,
            "'timeout' must be a time, such as 90, 30s, 10m or 2h, and this is '3 weeks'",
            "",
        ),
        ("cmd: x\n    timeout: -1", 4, "'timeout' must be at least 0, and this is -1", ""),
        ("cmd: x\n    retries: 1.5", 4, "'retries' must be a whole number, and this is a number", ""),
        ("cmd: x\n    retries: true", 4, "'retries' must be a whole number, and this is true or false", ""),
        ("cmd: x\n    resources: [gpu]", 4, "'resources' must be a mapping of keys", ""),
        ("cmd: x\n    resources:\n      gpu: all", 5, "'gpu' must be a number, and this is text", ""),
        (
            "cmd: x\n    resources: {memory: 4 apples}",
            4,
            "'memory' must be a size, such as 4GB or 512MiB, and this is '4 apples'",
            "",
        ),
        ("cmd: x\n    image: [a]", 4, "'image' must be text, and this is a list", ""),
        ("cmd: x\n    batch: 4", 4, "'batch' is of no use without 'each'", "which files"),
        ("cmd: x\n    each: a/*\n    batch: 0", 5, "'batch' must be at least 1, and this is 0", ""),
        ("cmd: x\n    each: ../a/*", 4, "'../a/*' is outside the repository", ""),
        ("- cmd", 2, "'s' must be a mapping of keys, and this is a list", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_line(body, line, words, hint):
    with pytest.raises(PipelineError) as caught:
        spec.parse(f"stages:\n  s:\n    {body}\n", "mlvc.yaml")
    message = caught.value.message
    assert re.match(rf"mlvc.yaml, line {line}, column \d+: stage 's': ", message), message
    assert words in message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage:\n  a: {cmd: x}\n", "mlvc.yaml, line 1, column 1: 'stage' is not a key of a pipeline file"),
        ("- a\n", "mlvc.yaml, line 1, column 1: a pipeline file must be a mapping of keys, and this is a list"),
        ("stages: [a]\n", "mlvc.yaml, line 1, column 1: 'stages' must be a mapping of keys, and this is a list"),
        (
            "stages:\n  a b: {cmd: x}\n",
            "mlvc.yaml, line 2, column 3: stage 'a b': the stage name 'a b' has a character",
        ),
    ],
)
def test_what_is_wrong_around_the_stages(text, message):
    with pytest.raises(PipelineError) as caught:
        spec.parse(text, "mlvc.yaml")
    assert caught.value.message.startswith(message)


def test_two_stages_of_one_name_in_one_file():
    with pytest.raises(FormatError, match=r"mlvc.yaml, line 3, column 3: the key 'a' is there twice"):
        spec.parse("stages:\n  a: {cmd: x}\n  a: {cmd: y}\n", "mlvc.yaml")


FIELDS = {
    "cmd": "python a.py --x=1 | tee 'b: c'",
    "deps": ["a.py", "d #1", "yes", "010", "é", "- x", "true", "*"],
    "params": ["lr", {"p.toml": ["a", "b"]}, {"q.py": None}],
    "outs": ["m", {"n.json": {"cache": False, "desc": "one\ntwo"}}],
    "frozen": True,
}
LAYOUTS = [
    "",
    "# only a comment\n",
    "stages:\n",
    "stages: {}  # none\nplots: []\n",
    (
        "# top\nstages:\n    # first\n    a:\n        cmd: x   # why\n        # inside\n\n    # after\n\n"
        "artifacts:\n  m: {path: o}\n"
    ),
    "stages:\n  a:\n    cmd: |\n      x\n      y\n\n\nplots: []\n",
    "stages:\n  a:\n    cmd: >-\n      x\n  b:\n    cmd: x\n    outs:\n    - a\n    - {b: {cache: false}}",
    "stages:\r\n  a:\r\n    cmd: x\r\n",
    "stages:\n  a:\n    cmd: x\n    deps: [a,\n      b]\n    meta:\n  # c\n",
    "plots: []\nstages:\n  a: {cmd: x,\n     deps: [a]}\n",
]


@pytest.mark.parametrize("text", LAYOUTS)
def test_a_stage_is_added_and_nothing_else_changes(text):
    edited = add_stage(text, "new", FIELDS)
    assert [stage.name for stage in spec.parse(edited, "mlvc.yaml")][-1] == "new"
    newline = "\r\n" if "\r" in text else "\n"
    left = edited.split(newline)
    for line in text.split(newline):
        if line and not line.startswith("stages:"):
            # Every line of before is there, in its order.
            assert line in left
            left = left[left.index(line) + 1 :]
    assert "# none" not in text or "stages:  # none" in edited


def test_the_block_that_is_written():
    assert add_stage(
        "stages:\n  a: {cmd: x}\n\n# end\n", "b", {"cmd": ["x", "y"], "outs": [{"m": {"cache": False}}]}
    ) == (
        "stages:\n  a: {cmd: x}\n"
        "  b:\n    cmd:\n      - x\n      - y\n    outs:\n      - m:\n          cache: false\n"
        "\n# end\n"
    )


@pytest.mark.parametrize("text", ["stages: {a: {cmd: x}}\n", "{stages: {}}\n", "- 1\n", "plots: []\n...\n"])
def test_a_layout_that_cannot_be_added_to_is_refused(text):
    with pytest.raises(PipelineError):
        add_stage(text, "new", FIELDS)


def test_a_stage_that_is_there_is_replaced_only_when_asked():
    text = "stages:\n  a: {cmd: x} # a\n  b:\n    cmd: old\n    # in b\n  # of c\n  c: {cmd: z} # c\n"
    with pytest.raises(PipelineError, match="has a stage 'b' already"):
        add_stage(text, "b", {"cmd": "new"})
    assert add_stage(text, "b", {"cmd": "new"}, force=True) == (
        "stages:\n  a: {cmd: x} # a\n  b:\n    cmd: new\n  # of c\n  c: {cmd: z} # c\n"
    )


def test_a_stage_that_is_not_valid_is_not_added():
    with pytest.raises(PipelineError, match="outside the repository"):
        add_stage("", "a", {"cmd": "x", "outs": ["../x"]})
    with pytest.raises(PipelineError, match="stage name 'a b'"):
        add_stage("", "a b", {"cmd": "x"})


@pytest.mark.parametrize(
    "word", ["", "a: b", "a #b", "'q'", '"q"', "x:", " x", "x ", "1e3", "~", "null", "[a]", "a\tb", "\x7f"]
)
def test_text_is_quoted_where_it_must_be(word):
    from mlvc import codec

    assert codec.load_yaml("\n".join(emit({"k": word, "l": [word, {word or "e": word}]})), "f") == {
        "k": word,
        "l": [word, {word or "e": word}],
    }
