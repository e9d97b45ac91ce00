from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlvc.errors import MlvcError, PipelineError
from mlvc.pipeline import filling, params, spec
from mlvc.pipeline.variables import Surroundings

PARAMS = b"""\
lr: 0.1
model: {name: cnn, depth: 3}
layers: [64, {units: 32}]
opts: {a: 1, b: true, c: [x, 'y z']}
words: [us, eu]
"""
BROKEN = Surroundings(params.loader({"params.yaml": b"a: [\n"}.get))


def around(environment=None, **files):
    named = {name.replace("__", "."): text.encode() for name, text in files.items()}
    return Surroundings(params.loader({"params.yaml": PARAMS, **named}.get), environment or {})


def stages(text, surroundings=None):
    return spec.parse(text, "mlvc.yaml", surroundings or around())


def refused(text, surroundings=None):
    with pytest.raises(PipelineError) as caught:
        stages(text, surroundings)
    return caught.value


@pytest.mark.parametrize(
    ("body", "line", "column", "words", "hint"),
    [
        ("cmd: x ${lrr}", 3, 5, "`${lrr}` does not resolve: no variable 'lrr' in params.yaml", "did you mean 'lr'?"),
        ("cmd: x ${model.nmae}", 3, 5, "no variable 'model.nmae' in params.yaml", "did you mean 'model.name'?"),
        ("cmd: x ${HOME}", 3, 5, "no variable 'HOME' in params.yaml", r"write `\${`"),
        ("cmd:\n    - x\n    - y ${lr.z}", 5, 7, "no variable 'lr.z'", ""),
        ("cmd: x ${layers[2]}", 3, 5, "no variable 'layers.2'", ""),
        ("cmd: x\n    outs:\n    - a\n    - ${o}: {cache: false}", 6, 7, "no variable 'o'", ""),
        ("cmd: x\n    outs:\n    - a: {desc: '${o}'}", 5, 11, "no variable 'o'", ""),
        ("cmd: x ${a..b}", 3, 5, "`${a..b}` is not a template", "`${train.lr}`"),
        ("cmd: x ${}", 3, 5, "`${}` is not a template", r"write `\${`"),
        ("cmd: x ${env.NONE}", 3, 5, "the environment has no variable 'NONE'", "`${env.NONE:-…}`"),
        ("cmd: x ${item}", 3, 5, "there is no 'item' here", "foreach"),
        ("cmd: x ${item.path}", 3, 5, "there is no 'item.path' here", "each"),
        ("cmd: x\n    outs: ['${item.stem}']\n    each: a/*", 4, 12, "there is no 'item.stem' here", "each"),
        (
            "cmd: x ${item.steem}\n    each: a/*",
            3,
            5,
            "`${item.steem}` is no part of an item of 'each'",
            "'item.stem'?",
        ),
        ("cmd: x\n    resources: {'${model.name}': 1, cnn: 3}", 4, 5, "two keys come out as 'cnn'", ""),
        ("cmd: x ${layers}", 3, 5, "`${layers}` is a list, and text, a number", "name one part"),
        ("cmd: ${opts}", 3, 5, "`${opts}` is a mapping, and text, a number", "name one part"),
        ("cmd: x\n    deps: ['${opts}']", 4, 12, "`${opts}` is a mapping", ""),
        ("cmd: x\n    deps: ['a${opts}']", 4, 12, "`${opts}` is a mapping", ""),
        ("cmd: x\n    vars: 3", 4, 5, "'vars' must be a list, and this is a number", "begin each entry"),
        ("cmd: x\n    vars: [3]", 4, 12, "an entry of 'vars' must be text or a mapping of keys", ""),
        ("cmd: x\n    vars: [none.yaml]", 4, 12, "the file 'none.yaml' is not there", "relative"),
        ("cmd: x\n    vars: [../none.yaml]", 4, 12, "'../none.yaml' is outside the repository", ""),
        (
            "cmd: x\n    vars: [{lr: 1}]",
            4,
            12,
            "'lr' of the 'vars' of the stage is given by params.yaml already",
            "one",
        ),
        ("cmd: x\n    vars: [{a: '${lr}'}]", 4, 12, "templates cannot stand in 'vars'", "the value itself"),
        ("cmd: x\n    vars: ['params.yaml:lr']", 4, 12, "'params.yaml:lr' is loaded already", "always loaded"),
        ("foreach: [1]", 2, 3, "a stage of 'foreach' and 'do' has no 'do'", ""),
        ("do: {cmd: x}", 2, 3, "a stage of 'foreach' and 'do' has no 'foreach'", ""),
        (
            "foreach: [1]\n    do: {cmd: x}\n    deps: [a]",
            5,
            5,
            "'deps' is not a key of a stage of 'foreach' and 'do'",
            "",
        ),
        ("foreach: [1]\n    do: [x]", 4, 5, "'do' must be a mapping of keys", ""),
        ("foreach: [1]\n    do: {cmd: x, matrix: {a: [1]}}", 4, 18, "'matrix' is not a key of 'do'", ""),
        (
            "foreach: 3\n    do: {cmd: x}",
            3,
            5,
            "'foreach' must be a list or a mapping of keys, and this is a number",
            "",
        ),
        ("foreach: ${lr}\n    do: {cmd: x}", 3, 5, "'foreach' must be a list or a mapping, and this is a number", ""),
        ("foreach: ${nope}\n    do: {cmd: x}", 3, 5, "no variable 'nope'", ""),
        ("foreach: [a]\n    do: {cmd: x, vars: [{item: 1}]}", 4, 25, "'item' is what the stage goes through", ""),
        ('foreach: ["a\\tb"]\n    do: {cmd: x}', 2, 3, "has a character that cannot be shown", ""),
        ("matrix: {}\n    cmd: x", 3, 5, "'matrix' must be a mapping of names to lists, and this is empty", ""),
        ("matrix: [1]\n    cmd: x", 3, 5, "'matrix' must be a mapping of keys, and this is a list", ""),
        ("matrix: {a: 1}\n    cmd: x", 3, 14, "'a' must be a list or text, and this is a number", ""),
        ("matrix: {a: b}\n    cmd: x", 3, 14, "'a' of 'matrix' must be a list, and this is text", "[a, b]"),
        ("matrix: ${words}\n    cmd: x", 3, 5, "'matrix' must be a mapping of names to lists, and this is text", ""),
        ("matrix: {a: '${lr}'}\n    cmd: x", 3, 14, "'a' of 'matrix' must be a list, and this is a number", ""),
        (
            "matrix: {a: [1]}\n    foreach: [1]\n    do: {cmd: x}",
            3,
            5,
            "'matrix' is not a key of a stage of 'foreach' and 'do'",
            "",
        ),
        (
            "when: lr\n    cmd: x",
            3,
            5,
            "the condition of 'when' must be true or false, and this is '0.1'",
            "it may have",
        ),
        (
            "when: ${model.name}\n    cmd: x",
            3,
            5,
            "the condition of 'when' must be true or false, and this is 'cnn'",
            "true, yes, y, on and 1",
        ),
        ("when: 3\n    cmd: x", 3, 5, "'when' must be true or false or text, and this is a number", ""),
        ("when: [a]\n    cmd: x", 3, 5, "'when' must be true or false or text, and this is a list", ""),
        ("when: lr >\n    cmd: x", 3, 5, "`lr >` is not a condition", "it may have"),
        ("when: lrr > 1\n    cmd: x", 3, 5, "`lrr` does not resolve: no variable 'lrr'", "did you mean 'lr'?"),
        ("when: lr > 'a'\n    cmd: x", 3, 5, "`lr > 'a'` compares a number with text", ""),
        ("when: lr and true\n    cmd: x", 3, 5, "`lr` must be true or false in a condition, and it is a number", ""),
        ("when: open('x') == 1\n    cmd: x", 3, 5, "`open('x')` is not a condition", ""),
        ("when: lr + 1 == 2\n    cmd: x", 3, 5, "`lr + 1` is not a condition", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body, line, column, words, hint):
    error = refused(f"stages:\n  s:\n    {body}\n")
    place = re.match(r"mlvc.yaml, line (\d+), column (\d+): stage 's(@.*)?': ", error.message)
    assert place, error.message
    assert (int(place[1]), int(place[2])) == (line, column), error.message
    assert words in error.message
    assert hint in error.hint


def test_what_is_wrong_in_one_of_many_names_that_one():
    error = refused("stages:\n  s:\n    foreach: [{a: 1}, {b: 2}]\n    do:\n      cmd: x ${item.a}\n")
    assert error.message.startswith("mlvc.yaml, line 5, column 7: stage 's@1': `${item.a}` does not resolve")
    assert error.message.endswith("no variable 'item.a' in item, params.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vars: [v.yaml]", "mlvc.yaml, line 1, column 8: the file 'v.yaml' is not there"),
        ("vars: ['w.yaml:z']", "mlvc.yaml, line 1, column 8: w.yaml has no 'z'"),
        ("vars: [l.yaml]", "mlvc.yaml, line 1, column 8: l.yaml must hold a mapping of variables, and this is a list"),
        (
            "vars: [w.yaml, {a: 1}]",
            "mlvc.yaml, line 1, column 16: the variable 'a' of 'vars' is given by w.yaml already",
        ),
        ("vars: [{model: 1}]", "mlvc.yaml, line 1, column 8: the variable 'model' of 'vars' is given by params.yaml"),
        (
            "metrics: ['${zz}']",
            "mlvc.yaml, line 1, column 11: `${zz}` does not resolve: no variable 'zz' in params.yaml",
        ),
    ],
)
def test_what_is_wrong_around_the_stages(text, message):
    error = refused(text, around(w__yaml="a: 1\n", l__yaml="[1]"))
    assert error.message.startswith(message)


def test_a_file_of_variables_that_does_not_parse_is_named():
    with pytest.raises(MlvcError, match=r"^params.yaml, line 2, column 1: "):
        stages("stages: {s: {cmd: 'x ${lr}'}}", BROKEN)


def test_params_yaml_must_be_a_mapping_where_a_template_asks_for_it():
    surroundings = Surroundings(params.loader({"params.yaml": b"[1]"}.get))
    words = "mlvc.yaml, line 1, column 1: params.yaml must hold a mapping of variables, and this is a list"
    assert refused("stages: {s: {cmd: 'x ${lr}'}}", surroundings).message == words


def test_a_pipeline_file_in_a_folder_has_the_variables_of_that_folder():
    files = {"params.yaml": b"lr: 1\n", "sub/params.yaml": b"lr: 2\n", "sub/w/v.yaml": b"v: 3\n"}
    text = "stages: {s: {cmd: 'x ${lr} ${v}', wdir: w, vars: [v.yaml], deps: ['../${v}']}}"
    (stage,) = spec.parse(text, "sub/mlvc.yaml", Surroundings(params.loader(files.get)))
    assert (stage.cmd, stage.wdir, stage.deps) == (("x 2 3",), "sub/w", ("sub/3",))


def test_variables_are_read_only_where_a_template_asks_for_them():
    assert stages("stages: {s: {cmd: x}}", BROKEN)[0].cmd == ("x",)


def test_a_variable_that_is_nowhere_without_files():
    message = refused("stages: {s: {cmd: 'x ${lr}'}}", Surroundings()).message
    assert "no variable 'lr' in params.yaml (not there)" in message


def test_the_environment_and_defaults():
    text = (
        "stages: {s: {cmd: '${env.A} ${env.B:-b} ${env.C:-c} ${lr:-1} ${no:-n o} ${no.x[0]:-}', timeout: '${no:-9}'}}"
    )
    (stage,) = stages(text, around({"A": "a", "C": ""}))
    assert stage.cmd == ("a b c 0.1 n o",)
    assert stage.timeout == 9


def test_a_variable_of_the_name_env_comes_first():
    text = "vars: [{env: {A: mine}}]\nstages: {s: {cmd: 'x ${env.A}'}}"
    assert stages(text, around({"A": "theirs"}))[0].cmd == ("x mine",)


def test_a_variable_of_the_environment_that_is_not_text():
    text = "stages: {s: {cmd: 'x ${env.A}'}}"
    assert "is not UTF-8 text" in refused(text, around({"A": "\udcff"})).message


def test_the_group_is_the_name_in_the_file():
    found = stages("stages: {a: {matrix: {x: [1]}, cmd: x}, b: {foreach: [1], do: {cmd: x}}, c: {cmd: x}}")
    assert [(stage.name, stage.group, stage.line) for stage in found] == [
        ("a@1", "a", 1),
        ("b@1", "b", 1),
        ("c", "", 1),
    ]


def test_templates_in_the_keys_that_dvc_does_not_have():
    text = """
stages:
  s:
    matrix: {n: [1, 2]}
    cmd: x
    env: {N: '${item.n}', M: '${model.name}'}
    timeout: ${item.n}m
    retries: ${item.n}
    resources: {gpu: '${item.n}'}
    image: img:${item.n}
    frozen: ${opts.b}
    outs: ['${key}.o': {cache: '${opts.b}', push: true}]
"""
    one, two = stages(text)
    assert (one.env, one.timeout, one.retries) == ({"N": "1", "M": "cnn"}, 60, 1)
    assert (two.resources, two.image, two.frozen) == ({"gpu": 2}, "img:2", True)
    assert two.outs[0].cache is True


def test_the_top_is_resolved():
    pipeline = spec.parse_file(
        "metrics: ['${model.name}.json']\nplots: [{a: {x: '${layers}'}}]\n", "mlvc.yaml", around()
    )
    assert pipeline.metrics == ["cnn.json"]
    assert pipeline.plots == [{"a": {"x": [64, {"units": 32}]}}]


# -- each --------------------------------------------------------------------------------------


def test_a_command_with_each_is_resolved_once_more_for_each_item():
    text = r"""
stages:
  s:
    cmd: conv ${item.path} ${item.stem} ${lr} \${item.path} ${v} ${opts} > ${out}
    vars: [{v: 'a ${b'}]
    each: raw/*
    outs: [o]
"""
    (stage,) = stages(text)
    assert stage.each == "raw/*"
    assert stage.cmd == (r"conv ${item.path} ${item.stem} 0.1 \${item.path} a \${b --a 1 --b --c x 'y z' > ${out}",)
    filled = (
        """conv "${MLVC_ITEM_PATH}" "${MLVC_ITEM_STEM}" 0.1 ${item.path} a ${b --a 1 --b --c x 'y z' > "${MLVC_OUT}\""""
    )
    assert filling.fill(stage.cmd[0]).text == filled


def test_each_within_foreach_has_the_parts_of_an_item_and_foreach_the_rest():
    cmd = "${item.name} ${item.depth} ${item.path} ${out}"
    text = f"stages: {{s: {{foreach: ['${{model}}'], do: {{cmd: '{cmd}', each: 'a/*', outs: [o]}}}}}}"
    assert stages(text)[0].cmd == ("${item.name} 3 ${item.path} ${out}",)


# -- when --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value", "holds"),
    [
        *(("${env.X:-false}", text, True) for text in ("true", "True", "YES", "y", "on", "1", " true ")),
        *(("${env.X:-true}", text, False) for text in ("false", "FALSE", "no", "n", "Off", "0")),
        ("${env.X:-false}", "", False),
        ("${env.X:-false}", None, False),
        ("${env.X:-1}", None, True),
        ("${env.X:-0}", None, False),
        ("${env.X:-false} == true", "yes", True),
        ("${env.X:-false} == true", "0", False),
        ("true != ${env.X:-false}", "no", True),
        ("${env.X:-0} == 3", "3", True),
        ("${env.X:-0} == 3", "4", False),
        ("2 < ${env.X:-0} <= 3", "3", True),
        ("${env.X:-a} == '3'", "3", True),
        ("not env.X", "off", True),
        ("env.X and lr > 0", "on", True),
    ],
)
def test_what_the_environment_says_is_true_or_false(written, value, holds):
    environment = {} if value is None else {"X": value}
    (stage,) = stages(f"stages:\n  s:\n    cmd: x\n    when: {written}\n", around(environment))
    assert (not stage.skip) is holds


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("${env.X:-false}", "'when' must be true or false, and this is 'maybe'"),
        ("not ${env.X:-false}", "`${env.X:-false}` must be true or false in a condition, and it is text"),
        ("${env.X:-false} == true", "`${env.X:-false} == true` compares the text 'maybe' with true or false"),
        ("${env.X:-0} != 3", "`${env.X:-0} != 3` compares the text 'maybe' with a number"),
    ],
)
def test_what_the_environment_says_and_is_neither_true_nor_false(written, words):
    error = refused(f"stages:\n  s:\n    cmd: x\n    when: {written}\n", around({"X": "maybe"}))
    assert words in error.message


def test_text_of_a_file_that_is_compared_with_false_is_no_error():
    text = "vars: [{a: mixup}]\nstages: {s: {cmd: x, when: a != false}, t: {cmd: x, when: a == false}}"
    assert [bool(stage.skip) for stage in stages(text, around())] == [False, True]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("true", True),
        ("false", False),
        ("${opts.b}", True),
        ("lr == 0.1", True),
        ("lr != 0.1", False),
        ("0 < lr <= 0.1", True),
        ("lr < 0.1 or lr >= 0.1", True),
        ("not lr > 1", True),
        ("-1 < lr", True),
        ("model.name == \"cnn\" and model['depth'] >= 3", True),
        ('${model.name} == "cnn"', True),
        ('"${model.name}-${lr}" == "cnn-0.1"', True),
        ("layers[0] == 64 and layers[1].units in [32, 64]", True),
        ('"us" in words and "as" not in words', True),
        ('model.name in ("rnn", "mlp")', False),
        ('"nn" in model.name', True),
        ('"depth" in model', True),
        ("opts.b", True),
        ("opts.b == true and null == None", True),
        ('env.CI == "1"', True),
        ('${env.NONE:-no} == "no"', True),
        ("${none:-false}", False),
        ("opts.b or none", True),
        ("lr > 0\n      and lr < 1", True),
    ],
)
def test_conditions(condition, holds):
    written = condition if condition in ("true", "false") else f">-\n      {condition}"
    (stage,) = stages(f"stages:\n  s:\n    cmd: x\n    when: {written}\n", around({"CI": "1"}))
    assert (stage.skip == "") is holds, stage.skip


def test_a_condition_may_differ_for_each():
    text = "stages: {s: {matrix: {m: [cnn, rnn], n: [1, 2]}, cmd: x, when: \"item.m == 'cnn' or ${item.n} > 1\"}}"
    assert [bool(stage.skip) for stage in stages(text)] == [False, False, True, False]
    assert stages(text)[2].skip == "item.m == 'cnn' or ${item.n} > 1"


@pytest.mark.parametrize(
    "condition", ["-" * 900 + "1", "(" * 300 + "1" + ")" * 300, "x" * 2000, "__template_7__", "a[[]]"]
)
def test_conditions_that_are_none(condition):
    assert "mlvc.yaml, line 1" in refused(f"stages: {{s: {{cmd: x, when: '{condition}'}}}}").message


# -- anything ----------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(
            "${lr}",
            "${model}",
            "${layers}",
            "${item}",
            "${item.a}",
            "${key}",
            "${x:-1}",
            "${env.A}",
            "${",
            "}",
            "\\${a}",
        ),
        *("${a[", "a", "b c", "../x", "*", "", " ", "\n", "1", "true", ">", "==", "and", "lr", "'", "(", "é", "\0"),
    ]
)
TEXTS = st.lists(PIECES, max_size=4).map("".join)
ATOMS = st.one_of(TEXTS, st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.just(10**30))
KEYS = st.one_of(st.sampled_from((*spec.STAGE_KEYS, *spec.OUT_FLAGS, "item", "key", "memory")), TEXTS)
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
BODIES = st.dictionaries(st.sampled_from(spec.STAGE_KEYS), VALUES, max_size=4).map(lambda body: {"cmd": "x", **body})
FILES = st.fixed_dictionaries(
    {"stages": st.dictionaries(st.sampled_from(["a", "b"]), BODIES | VALUES, max_size=2)},
    optional=dict.fromkeys((*spec.TOP_RESOLVED, "vars"), VALUES),
)


@settings(max_examples=250, deadline=None)
@given(FILES | VALUES)
@example({"stages": {"a": {"cmd": "x", "matrix": {str(n): list(range(50)) for n in range(9)}}}})
@example({"stages": {"a": {"cmd": "x", "when": float("nan")}}})
def test_no_file_is_too_odd(value):
    """Whatever stands there: Stages or an error that names the file."""
    import yaml

    text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
    try:
        found = spec.parse_file(text, "mlvc.yaml", around({"A": "a"}))
    except MlvcError as error:
        assert "mlvc.yaml" in error.message
        assert not error.message.endswith(".")
    else:
        assert all(stage.cmd for stage in found.stages)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_no_condition_is_too_odd(condition):
    import yaml

    text = yaml.safe_dump({"stages": {"s": {"cmd": "x", "when": condition}}}, allow_unicode=True)
    try:
        stages(text)
    except MlvcError as error:
        assert "mlvc.yaml" in error.message
