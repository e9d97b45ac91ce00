from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc.errors import PipelineError
from mlvc.pipeline import draw, graph, spec
from mlvc.pipeline.spec import Out, ParamRef, Stage


def stage(name, deps=(), outs=(), params=()):
    return Stage(
        name, "mlvc.yaml", 1, ("x",), deps=tuple(deps), outs=tuple(map(Out, outs)), params=tuple(map(ParamRef, params))
    )


def build(*stages):
    return graph.build(stages)


DIAMOND = build(
    stage("end", ["l", "r"], ["e"]),
    stage("left", ["s"], ["l"]),
    stage("right", ["s"], ["r"]),
    stage("start", [], ["s"]),
    stage("alone"),
)


def test_the_order_is_topological_and_otherwise_as_declared():
    assert list(DIAMOND.stages) == ["start", "left", "right", "end", "alone"]
    assert DIAMOND.upstream["end"] == ("left", "right")
    assert DIAMOND.downstream["start"] == ("left", "right")


def test_ancestors_and_descendants():
    assert graph.ancestors(DIAMOND, ["left"]) == {"start", "left"}
    assert graph.descendants(DIAMOND, ["left"]) == {"left", "end"}


@pytest.mark.parametrize(
    ("deps", "makers"),
    [
        (["out/d"], ("one",)),
        (["out/d/in/side"], ("one",)),
        (["out"], ("one", "two", "odd")),
        (["out/d0", "ou"], ()),
        (["out/d.x"], ()),
    ],
)
def test_who_makes_a_dependency(deps, makers):
    made = build(
        stage("one", [], ["out/d"]), stage("two", [], ["out/e"]), stage("odd", [], ["out/~"]), stage("take", deps, [])
    )
    assert made.upstream["take"] == makers


def test_a_parameter_file_counts_as_a_dependency():
    made = build(stage("take", params=["best.yaml"]), stage("make", [], ["best.yaml"]))
    assert list(made.stages) == ["make", "take"]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([stage("a"), stage("a")], "two stages have the name 'a'"),
        ([stage("a", [], ["x"]), stage("b", [], ["x"])], "the stages 'a' and 'b' both make 'x'"),
        (
            [stage("a", [], ["x/y/z"]), stage("b", [], ["x"])],
            "outputs overlap: 'x/y/z' of stage 'a' is inside 'x' of stage 'b'",
        ),
        (
            [stage("a", [], ["x", "x/y"])],
            "outputs overlap: 'x/y' of stage 'a' is inside 'x' of stage 'a'",
        ),
        ([stage("a", ["x"], ["x"])], "the stages need one another in a circle: a -> a"),
        (
            [
                stage("before", [], ["s"]),
                stage("b", ["y", "s"], ["z"]),
                stage("a", ["z"], ["x"]),
                stage("c", ["x"], ["y"]),
                stage("after", ["y"], ["t"]),
            ],
            "the stages need one another in a circle: b -> a -> c -> b",
        ),
    ],
)
def test_what_does_not_fit_together(stages, message):
    with pytest.raises(PipelineError) as caught:
        graph.build(stages)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "stages:\n  a: {cmd: x, outs: [o]}\n  b:\n    cmd: x\n    outs:\n      - p\n      - o: {cache: false}\n",
            "mlvc.yaml, line 7, column 9: the stages 'a' and 'b' both make 'o'; the other is at mlvc.yaml, line 2, col",
            "an output path of its own",
        ),
        (
            "stages:\n  a: {cmd: x, outs: [o]}\n  b:\n    cmd: x\n    metrics: {p: , o/m: {cache: false}}\n",
            "mlvc.yaml, line 5, column 20: outputs overlap: 'o/m' of stage 'b' is inside 'o' of stage 'a' at mlvc.yaml",
            "either the directory",
        ),
        (
            "stages:\n  a: {cmd: x, deps: [c], outs: [o]}\n  b: {cmd: x, deps: [q, o], outs: [c]}\n",
            "mlvc.yaml, line 2, column 22: the stages need one another in a circle: a -> b -> a",
            "stage 'a' needs 'c', which 'b' at mlvc.yaml, line 3, column 3 makes",
        ),
        (
            "stages:\n  a: {cmd: x, params: [b.yaml: [k]], outs: [o]}\n  b: {cmd: x, deps: [o], outs: [b.yaml]}\n",
            "mlvc.yaml, line 2, column 33: the stages need one another in a circle: a -> b -> a",
            "stage 'a' needs 'b.yaml'",
        ),
    ],
)
def test_where_it_does_not_fit_together(text, message, hint):
    with pytest.raises(PipelineError) as caught:
        graph.build(spec.parse(text, "mlvc.yaml"))
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


def test_targets():
    made = build(stage("make", [], ["out/d"]), stage("take", ["out/d"], ["e"]), stage("more", ["e"], ["f"]))
    assert graph.select(made, []) == ("make", "take", "more")
    assert graph.select(made, ["take"]) == ("make", "take")
    assert graph.select(made, ["./e"]) == ("make", "take")
    assert graph.select(made, ["out/d/"], downstream=True) == ("make", "take", "more")
    assert graph.select(made, ["out/d/file"], single=True) == ("make",)
    assert graph.select(made, ["f", "take"], single=True) == ("take", "more")
    with pytest.raises(PipelineError, match="'tkae' is neither a stage nor an output") as caught:
        graph.select(made, ["tkae"])
    assert caught.value.hint == "did you mean 'take'?"


def test_ten_thousand_stages_in_a_chain_and_in_a_fan():
    count = 10_000
    chain = [stage(f"s{n}", [f"d/{n}", "shared"], [f"d/{n + 1}"]) for n in range(count // 2)]
    fan = [stage(f"f{n}", ["d/7"], [f"e/{n}"]) for n in range(count // 2 - 1)]
    stages = [*reversed(chain), *fan, stage("all", ["e"])]
    start = time.process_time()
    made = graph.build(stages)
    chosen = graph.select(made, [f"s{count // 2 - 1}"])
    seconds = time.process_time() - start
    assert len(made.stages) == count
    assert len(chosen) == count // 2
    assert len(made.upstream["all"]) == count // 2 - 1
    assert seconds < 1


def test_a_circle_of_ten_thousand_is_found():
    start = time.process_time()
    with pytest.raises(PipelineError, match="circle: s0 -> s1 -> s2 -> "):
        graph.build([stage(f"s{n}", [f"d/{n}"], [f"d/{(n + 1) % 10_000}"]) for n in range(10_000)])
    assert time.process_time() - start < 1


@given(st.permutations(range(8)), st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_every_stage_comes_after_what_it_needs(declared, pairs):
    needs = {n: sorted({a for a, b in pairs if b == n and a < n}) for n in range(8)}
    made = build(*(stage(f"s{n}", [f"o{a}" for a in needs[n]], [f"o{n}"]) for n in declared))
    order = list(made.stages)
    assert sorted(order) == [f"s{n}" for n in range(8)]
    for number, needed in needs.items():
        for other in needed:
            assert order.index(f"s{other}") < order.index(f"s{number}")
    assert [line.split()[0] for line in draw.text(made).splitlines()] == order


def test_drawings():
    assert draw.text(DIAMOND) == ("start\nleft  <- start\nright  <- start\nend  <- left, right\nalone\n")
    assert draw.text(DIAMOND, ["left", "end"]) == "left\nend  <- left\n"
    assert draw.dot(DIAMOND, ["start", "left"]) == (
        'digraph pipeline {\n  "start";\n  "left";\n  "start" -> "left";\n}\n'
    )
    assert draw.mermaid(DIAMOND, ["start", "left"]) == ('flowchart TD\n  s0["start"]\n  s1["left"]\n  s0 --> s1\n')
