from __future__ import annotations

import pytest

from mlvc.oid import Oid
from mlvc.pipeline import runner
from mlvc.pipeline.plan import Action, Decision, same
from mlvc.pipeline.tools import Options
from mlvc.pointer import Content
from tests.helpers.pipeline import Project

BASE = """
stages:
  s:
    cmd: go
    deps: [i, j]
    params: [lr, deep, q.yaml: [], 'r.json': [k]]
    outs: [o, p]
"""
FILES = {
    "i": b"i",
    "j": b"j",
    "params.yaml": b"lr: 0.01\ndeep: {a: 1, b: [1]}\nother: 1\n",
    "q.yaml": b"a: {b: 1}\n",
    "r.json": b'{"k": 1}',
}


@pytest.fixture
def project():
    made = Project(BASE, **FILES)
    made.commands["go"] = lambda: made.tree.files.update(o=b"o", p=b"p")
    made.commands["gone"] = made.commands["go"]
    runner.repro(made.graph, made.tools)
    return made


def decision(project):
    (only,) = runner.status(project.graph, project.tools)
    return only


def test_as_recorded(project):
    assert decision(project).action is Action.UNCHANGED
    assert decision(project).reasons == ()


@pytest.mark.parametrize(
    ("path", "data", "reason"),
    [
        ("i", b"new", "dependency i changed"),
        ("j", None, "dependency j is missing"),
        ("params.yaml", b"lr: 0.1\ndeep: {a: 1, b: [1]}\n", "parameter params.yaml:lr is 0.1, was 0.01"),
        ("params.yaml", b"lr: fast\ndeep: {a: 1, b: [1]}\n", "parameter params.yaml:lr is fast, was 0.01"),
        ("params.yaml", b"lr: 0.01\ndeep: {a: true, b: [1]}\n", "parameter params.yaml:deep.a is true, was 1"),
        ("params.yaml", b"lr: 0.01\ndeep: {a: 1.0, b: [1]}\n", "parameter params.yaml:deep.a is 1.0, was 1"),
        ("params.yaml", b"lr: 0.01\ndeep: {a: 1, b: [1, 2]}\n", "parameter params.yaml:deep.b is [1,2], was [1]"),
        ("params.yaml", b"lr: 0.01\ndeep: {a: 1}\n", "parameter params.yaml:deep.b is gone"),
        ("params.yaml", b"lr: 0.01\ndeep: {a: 1, b: [1], c: 1}\n", "parameter params.yaml:deep.c is new"),
        ("params.yaml", b"lr: 0.01\n", "params.yaml has no parameter 'deep'"),
        ("params.yaml", None, "the parameter file 'params.yaml' is not there"),
        ("params.yaml", b"lr: [\n", "params.yaml, line 2, column 1: did not find expected node content"),
        ("q.yaml", b"a: {b: 2}\n", "parameter q.yaml:a.b is 2, was 1"),
        ("q.yaml", b"[]\n", 'parameter q.yaml is [], was {"a":{"b":1}}'),
        ("r.json", b'{"k": "' + b"x" * 50 + b'"}', "parameter r.json:k is " + "x" * 39 + "…, was 1"),
    ],
)
def test_a_change_of_the_inputs_is_the_reason(project, path, data, reason):
    project.tree.files[path] = data
    if data is None:
        del project.tree.files[path]
    assert (decision(project).action, decision(project).reasons) == (Action.RUN, (reason,))


@pytest.mark.parametrize("data", [b"lr: 1e-2\nother: 2\ndeep: {b: [1], a: 1}\n", b"{lr: 0.010, deep: {a: 1, b: [1]}}"])
def test_what_is_not_named_and_how_it_is_written_make_no_difference(project, data):
    project.tree.files["params.yaml"] = data
    assert decision(project).action is Action.UNCHANGED


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("cmd: go", "cmd: gone", "command changed"),
        ("cmd: go", "cmd: [go, go]", "command changed"),
        ("[i, j]", "[i]", "dependency j is no longer named"),
        ("[i, j]", "[i, j, r.json]", "dependency r.json is new"),
        ("[o, p]", "[o]", "output p is no longer named"),
        ("[o, p]", "[o, p, r]", "output r is new"),
        ("[lr, deep,", "[lr,", "parameter params.yaml:deep is no longer named"),
        ("[lr, deep,", "[lr, deep, other,", "parameter params.yaml:other is new"),
        ("cmd: go", "cmd: go\n    always_changed: true", "always_changed"),
        ("[o, p]", "[o, p: {persist: true}]", "its working directory or the declaration of its outputs changed"),
    ],
)
def test_a_change_of_the_stage_is_the_reason(project, old, new, reason):
    assert old in BASE
    project.edit(BASE.replace(old, new))
    assert (decision(project).action, decision(project).reasons) == (Action.RUN, (reason,))


def test_a_change_of_the_working_directory_is_the_reason(project):
    text = BASE.replace("cmd: go", "cmd: go\n    wdir: w").replace("[i, j]", "[../i, ../j]")
    text = text.replace("[o, p]", "[../o, ../p]").replace("lr, deep,", "../params.yaml: [lr, deep],")
    text = text.replace("q.yaml", "../q.yaml").replace("r.json", "../r.json")
    project.edit(text)
    assert decision(project).reasons == ("its working directory or the declaration of its outputs changed",)


def test_several_reasons_are_all_given(project):
    project.tree.files["i"] = b"new"
    project.tree.files["o"] = b"new"
    del project.tree.files["p"]
    assert decision(project).reasons == ("dependency i changed", "output o was modified", "output p is missing")


@pytest.mark.parametrize("stored", [True, False])
def test_outputs_come_back_only_when_every_byte_can_be_had(project, stored):
    del project.tree.files["p"]
    if not stored:
        project.tree.objects.clear()
    found = decision(project)
    assert found.action is (Action.RESTORE if stored else Action.RUN)
    assert set(found.restore) == ({"p"} if stored else set())


def test_a_stage_without_dependencies_and_outputs_runs_every_time():
    project = Project("stages:\n  s: {cmd: go}\n")
    project.commands["go"] = lambda: None
    for _ in range(2):
        runner.repro(project.graph, project.tools)
    assert project.ran() == ["go", "go"]
    assert decision(project).reasons == ("it names neither a dependency nor an output",)


def test_a_stage_that_names_outputs_only_runs_once():
    project = Project("stages:\n  s: {cmd: '>o', outs: [o]}\n")
    for _ in range(2):
        runner.repro(project.graph, project.tools)
    assert project.ran() == [">o"]


def test_always_changed_runs_every_time_and_its_consumers_wait():
    project = Project(
        "stages:\n  s: {cmd: '>o', outs: [o], always_changed: true}\n  t: {cmd: 'o>p', deps: [o], outs: [p]}\n"
    )
    for _ in range(2):
        runner.repro(project.graph, project.tools)
    assert project.ran() == [">o", "o>p", ">o"]
    decisions = runner.status(project.graph, project.tools)
    assert [(d.action, d.reasons, d.waits) for d in decisions] == [
        (Action.RUN, ("always_changed",), ()),
        (Action.WAIT, ("waits for s",), ("s",)),
    ]


def test_a_frozen_stage_never_runs_but_gets_its_outputs_back():
    text = "stages:\n  s: {cmd: 'i>o', deps: [i], outs: [o]}\n"
    project = Project(text, i=b"1")
    runner.repro(project.graph, project.tools)
    project.edit(text.replace("cmd", "frozen: true, cmd"))
    del project.tree.files["i"]
    assert decision(project) == Decision("s", Action.FROZEN)
    del project.tree.files["o"]
    assert decision(project).action is Action.RESTORE
    project.ran()
    runner.repro(project.graph, project.tools)
    assert project.ran() == []
    assert project.tree.files["o"] == b"1"


def test_a_frozen_stage_whose_outputs_cannot_be_brought_back_fails_and_what_needs_it_waits():
    text = (
        "stages:\n  s: {cmd: 'i>o', deps: [i], outs: [o, q], frozen: true}\n  t: {cmd: 'o>p', deps: [o], outs: [p]}\n"
    )
    project = Project(text)
    assert [d.action for d in runner.status(project.graph, project.tools)] == [Action.STUCK, Action.WAIT]
    result = runner.repro(project.graph, project.tools, Options(keep_going=True))
    assert [stage.outcome for stage in result.stages] == ["failed", "blocked"]
    assert result.error.message == (
        "mlvc.yaml, line 2, column 37: stage 's' is frozen, and its output o is missing "
        "and cannot be brought back (and 1 more)"
    )
    assert "-f -s s" in result.error.hint
    project.tree.files |= {"o": b"1", "q": b"1"}
    result = runner.repro(project.graph, project.tools)
    assert [stage.outcome for stage in result.stages] == ["frozen", "ran"]
    assert project.ran() == ["o>p"]


SKIPPING = """
stages:
  s: {cmd: 'i>o', deps: [i], outs: [o]}
  t: {cmd: 'o>p', deps: [o], outs: [p]}
  u: {cmd: 'p>q', deps: [p], outs: [q]}
  v: {cmd: 'i>r', deps: [i], params: [none.yaml: ], outs: [r]}
"""


def test_a_stage_whose_condition_does_not_hold_is_skipped_and_so_is_what_needs_it():
    project = Project(SKIPPING.replace("params: [none.yaml: ], ", ""), i=b"1")
    runner.repro(project.graph, project.tools)
    before = project.records.lockfile.stages
    project.ran()
    # A dependency and a parameter file of theirs that are missing are of no matter.
    project.edit(
        SKIPPING.replace("{cmd: 'o>p'", "{when: false, cmd: 'o>p'").replace("{cmd: 'i>r'", "{when: 1 > 2, cmd: 'i>r'")
    )
    project.tree.files["i"] = b"2"
    del project.tree.files["p"]
    decisions = runner.plan(project.graph, project.tools)
    assert [(d.stage, d.action, d.reasons) for d in decisions][1:] == [
        ("t", Action.SKIPPED, ("`when: false` does not hold",)),
        ("u", Action.SKIPPED, ("needs t, which is skipped",)),
        ("v", Action.SKIPPED, ("`when: 1 > 2` does not hold",)),
    ]
    for options in (Options(), Options(force=True), Options(targets=("u",), single=True), Options(keep_going=True)):
        result = runner.repro(project.graph, project.tools, options)
        assert [stage.outcome for stage in result.stages if stage.stage != "s"] == ["skipped"] * (
            1 if options.single else 3
        )
        assert set(result.cached) <= {"o"}
        assert result.error is None
    assert set(project.ran()) == {"i>o"}
    assert {name: project.records.lockfile.stages[name] for name in "tuv"} == {name: before[name] for name in "tuv"}


def test_a_frozen_stage_after_a_skipped_one_is_not_skipped():
    text = "stages:\n  s: {cmd: '>o', outs: [o], when: false}\n  t: {cmd: 'o>p', deps: [o], outs: [p], frozen: true}\n"
    project = Project(text, p=b"1")
    assert [d.action for d in runner.plan(project.graph, project.tools)] == [Action.SKIPPED, Action.FROZEN]


def test_looking_changes_nothing(project):
    project.tree.files["i"] = b"new"
    before = dict(project.tree.files), project.records.lockfile, dict(project.runs.runs), project.records.saves
    runner.status(project.graph, project.tools)
    runner.plan(project.graph, project.tools)
    assert before == (project.tree.files, project.records.lockfile, project.runs.runs, project.records.saves)


def test_a_file_that_became_executable_is_a_change():
    one = Content("file", Oid(bytes(16)), 1)
    assert same(one, Content("file", one.oid, 1))
    assert not same(one, Content("executable", one.oid, 1))
    assert not same(one, Content("file", Oid(bytes(15) + b"1"), 1))
    assert not same(None, None)
