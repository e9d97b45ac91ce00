from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from mlvc.errors import FormatError, MlvcError, PipelineError, StageFailedError
from mlvc.pipeline import runner
from mlvc.pipeline.executors.base import Ended
from mlvc.pipeline.graph import build
from mlvc.pipeline.plan import Action
from mlvc.pipeline.told import Started
from mlvc.pipeline.tools import Options
from mlvc.store.base import LARGE
from tests.helpers.pipeline import FakeRuns, Project

CHAIN = """
stages:
  a: {cmd: 'cut in>x', deps: [in], outs: [x]}
  b: {cmd: 'x>y', deps: [x], outs: [y]}
  c: {cmd: 'y+z>w', deps: [y, z], outs: [w]}
"""
ONE = "stages:\n  s: {cmd: 'i>o', deps: [i], outs: [o]}\n"


@pytest.fixture
def chain():
    project = Project(CHAIN, **{"in": b"12", "z": b"z"})
    runner.repro(project.graph, project.tools)
    assert project.ran() == ["cut in>x", "x>y", "y+z>w"]
    return project


@pytest.fixture
def one():
    return Project(ONE, i=b"1")


def reproduce(*args):
    """Reproduce, and raise what made it fail."""
    error = runner.repro(*args).error
    if error is not None:
        raise error


def outcomes(result):
    return {stage.stage: stage.outcome for stage in result.stages}


def reasons(project):
    return {d.stage: (str(d.action), d.reasons) for d in runner.status(project.graph, project.tools)}


def test_everything_runs_once_and_then_nothing_does(chain):
    assert chain.tree.files["w"] == b"1z"
    assert chain.notes.notes[0] == "Running stage 'a': never run"
    saves = chain.records.saves
    result = runner.repro(chain.graph, chain.tools)
    assert outcomes(result) == dict.fromkeys("abc", "unchanged")
    assert result.cached == ("x", "y", "w")
    assert chain.ran() == []
    assert chain.records.saves == saves == 1


def test_an_output_that_comes_out_the_same_stops_the_rebuild(chain):
    chain.tree.files["in"] = b"1 and more"
    assert reasons(chain) == {
        "a": ("run", ("dependency in changed",)),
        "b": ("may run", ("waits for a",)),
        "c": ("may run", ("waits for b",)),
    }
    assert outcomes(runner.repro(chain.graph, chain.tools)) == {"a": "ran", "b": "unchanged", "c": "unchanged"}
    assert chain.ran() == ["cut in>x"]


def test_a_change_goes_through_to_the_end(chain):
    chain.tree.files["in"] = b"9"
    runner.repro(chain.graph, chain.tools)
    assert chain.ran() == ["cut in>x", "x>y", "y+z>w"]
    assert chain.tree.files["w"] == b"9z"


def test_only_what_needs_the_change_runs(chain):
    chain.tree.files["z"] = b"Z"
    runner.repro(chain.graph, chain.tools)
    assert chain.ran() == ["y+z>w"]


def test_going_back_restores_instead_of_running(chain):
    chain.tree.files["in"] = b"9"
    runner.repro(chain.graph, chain.tools)
    chain.ran()
    chain.tree.files["in"] = b"12"
    assert outcomes(runner.repro(chain.graph, chain.tools)) == dict.fromkeys("abc", "restored")
    assert chain.ran() == []
    assert chain.tree.files["w"] == b"1z"
    assert set(outcomes(runner.repro(chain.graph, chain.tools)).values()) == {"unchanged"}


def test_without_the_run_cache_going_back_runs(chain):
    chain.tree.files["in"] = b"9"
    runner.repro(chain.graph, chain.tools)
    chain.ran()
    chain.tree.files["in"] = b"12"
    runner.repro(chain.graph, chain.tools, Options(run_cache=False))
    assert chain.ran() == ["cut in>x", "x>y", "y+z>w"]


def test_a_run_whose_outputs_cannot_be_had_is_no_hit(chain):
    before = chain.tree.identify(["x"])["x"]
    chain.tree.files["in"] = b"9"
    runner.repro(chain.graph, chain.tools)
    chain.ran()
    chain.tree.files["in"] = b"12"
    del chain.tree.objects[before.oid]
    runner.repro(chain.graph, chain.tools)
    assert chain.ran() == ["cut in>x"]


def test_a_missing_output_is_restored_also_without_any_run_record(chain):
    del chain.tree.files["y"]
    chain.runs.runs.clear()
    assert reasons(chain)["b"] == ("restore", ("output y is missing",))
    assert reasons(chain)["c"] == ("unchanged", ())
    runner.repro(chain.graph, chain.tools)
    assert chain.ran() == []
    assert chain.tree.files["y"] == b"1"


def test_a_modified_output_is_kept_aside_and_brought_back(chain):
    chain.tree.files["y"] = b"edited by hand"
    assert reasons(chain)["b"] == ("restore", ("output y was modified",))
    runner.repro(chain.graph, chain.tools)
    assert chain.tree.files["y"] == b"1"
    assert chain.tree.aside == ["y"]


def test_a_lost_lockfile_is_made_again_from_the_run_cache(chain):
    old = chain.records.lockfile
    chain.records.lockfile = type(old)()
    assert set(outcomes(runner.repro(chain.graph, chain.tools)).values()) == {"restored"}
    assert chain.ran() == []
    assert chain.records.lockfile == old


def test_force_runs_all_and_a_same_result_leaves_the_lockfile(chain):
    result = runner.repro(chain.graph, chain.tools, Options(force=True))
    assert [stage.reasons for stage in result.stages] == [("forced",), ("forced",), ("forced",)]
    assert len(chain.ran()) == 3
    assert chain.records.saves == 1


@pytest.mark.parametrize(
    ("options", "commands"),
    [
        (Options(targets=("b",), force=True), ["cut in>x", "x>y"]),
        (Options(targets=("y",), force=True, single=True), ["x>y"]),
        (Options(targets=("b",), force=True, downstream=True), ["x>y", "y+z>w"]),
    ],
)
def test_targets(chain, options, commands):
    runner.repro(chain.graph, chain.tools, options)
    assert chain.ran() == commands


def test_a_dependency_that_nobody_makes_stops_all_before_anything_runs():
    project = Project(CHAIN, **{"in": b"1"})
    with pytest.raises(PipelineError, match="the dependency 'z' of stage 'c' is not there"):
        runner.repro(project.graph, project.tools)
    assert project.ran() == []
    assert project.records.saves == 0
    assert reasons(project)["c"][0] == "may run"
    *others, last = runner.plan(project.graph, project.tools)
    assert (last.action, last.problem.message) == (Action.STUCK, *last.reasons)
    assert [other.action for other in others] == [Action.RUN, Action.WAIT]


@pytest.mark.parametrize("cause", ["deps: [z]", "params: [p.yaml: [k]]", "params: [q.yaml: [k]]", "deps: ['n/*']"])
def test_keep_going_runs_what_does_not_need_a_stage_that_lacks_something(cause):
    text = f"""
stages:
  bad: {{cmd: '>o', outs: [o], {cause}}}
  after: {{cmd: 'o>q', deps: [o], outs: [q]}}
  good: {{cmd: 'in>r', deps: [in], outs: [r]}}
"""
    project = Project(text, **{"in": b"1", "q.yaml": b"j: 1\n", "o": b"old"})
    with pytest.raises(MlvcError) as caught:
        runner.repro(project.graph, project.tools)
    assert project.ran() == []
    result = runner.repro(project.graph, project.tools, Options(keep_going=True))
    assert outcomes(result) == {"bad": "failed", "after": "blocked", "good": "ran"}
    assert project.ran() == ["in>r"]
    assert result.error.message == caught.value.message
    assert project.tree.files["o"] == b"old"
    runner.repro(project.graph, project.tools, Options(("r",)))


def test_a_dependency_that_only_another_stage_makes_is_named_with_it():
    project = Project(CHAIN, **{"in": b"1", "z": b""})
    with pytest.raises(PipelineError) as caught:
        runner.repro(project.graph, project.tools, Options(targets=("b",), single=True))
    assert caught.value.hint == "`mlvc repro a` makes it"


def test_a_failed_command_keeps_what_was_finished(chain):
    chain.tree.files["in"] = b"9"
    chain.commands["x>y"] = lambda: 3
    with pytest.raises(StageFailedError, match="the command of stage 'b' failed with exit code 3: x>y"):
        reproduce(chain.graph, chain.tools)
    assert chain.ran() == ["cut in>x", "x>y"]
    assert chain.records.lockfile.stages["a"].outs["x"].size == 1
    chain.commands["x>y"] = lambda: chain.tree.files.update(y=b"9")
    runner.repro(chain.graph, chain.tools)
    assert chain.ran() == ["x>y", "y+z>w"]


@pytest.mark.parametrize(
    ("code", "words"), [(127, "was not found"), (126, "cannot be executed"), (-9, "was ended by signal 9")]
)
def test_how_a_command_failed_is_said(one, code, words):
    one.commands["i>o"] = lambda: code
    with pytest.raises(StageFailedError, match=words):
        reproduce(one.graph, one.tools)


def test_keep_going_runs_what_does_not_need_the_failed_stage():
    project = Project(
        """
stages:
  bad: {cmd: 'i>o', deps: [i], outs: [o]}
  after: {cmd: 'o>p', deps: [o], outs: [p]}
  apart: {cmd: 'i>q', deps: [i], outs: [q]}
""",
        i=b"1",
    )
    project.commands["i>o"] = lambda: 1
    with pytest.raises(StageFailedError, match="stage 'bad'"):
        reproduce(project.graph, project.tools)
    assert project.ran() == ["i>o"]
    with pytest.raises(StageFailedError, match="stage 'bad'"):
        reproduce(project.graph, project.tools, Options(keep_going=True))
    assert project.ran() == ["i>o", "i>q"]
    assert set(project.records.lockfile.stages) == {"apart"}


def test_an_output_that_was_not_made_is_named_and_nothing_is_recorded(one):
    one.commands["i>o"] = lambda: None
    with pytest.raises(StageFailedError, match="did not make its output 'o'"):
        reproduce(one.graph, one.tools)
    assert not one.runs.runs
    assert not one.records.lockfile.stages


def test_an_input_that_changes_while_the_command_runs_is_reported_and_not_recorded(one):
    one.commands["i>o"] = lambda: one.tree.files.update(o=b"1", i=b"2")
    with pytest.raises(StageFailedError, match="'i' changed while stage 's' ran"):
        reproduce(one.graph, one.tools)
    assert not one.runs.runs
    assert not one.records.lockfile.stages


def test_a_parameter_that_changes_while_the_command_runs_is_reported():
    project = Project("stages:\n  s: {cmd: '>o', params: [lr], outs: [o]}\n", **{"params.yaml": b"lr: 1"})
    project.commands[">o"] = lambda: project.tree.files.update({"o": b"", "params.yaml": b"lr: 2"})
    with pytest.raises(StageFailedError, match=r"'params.yaml:lr' changed while"):
        reproduce(project.graph, project.tools)


def test_outputs_are_taken_away_before_the_command_unless_they_persist():
    project = Project(
        """
stages:
  s:
    cmd: go
    deps: [i]
    outs:
      - o
      - p: {persist: true}
""",
        i=b"1",
        o=b"mine",
        p=b"kept",
    )
    seen = []

    def go():
        seen.append(sorted(project.tree.files))
        project.tree.files["o"] = b"made"

    project.commands["go"] = go
    runner.repro(project.graph, project.tools)
    assert seen == [["i", "p"]]
    assert project.tree.aside == ["o"]


def test_a_stage_that_persists_is_never_answered_from_the_run_cache():
    project = Project("stages:\n  s: {cmd: 'i>o', deps: [i], outs: [{o: {persist: true}}]}\n", i=b"1")
    for data in (b"1", b"2", b"1"):
        project.tree.files["i"] = data
        runner.repro(project.graph, project.tools)
    assert len(project.ran()) == 3
    del project.tree.files["o"]
    runner.repro(project.graph, project.tools)
    assert project.ran() == []
    project.tree.files["o"] = b"x"
    runner.repro(project.graph, project.tools)
    assert project.ran() == ["i>o"]


@pytest.mark.parametrize(("size", "outcome"), [(1, "restored"), (LARGE - 1, "restored"), (LARGE, "ran")])
def test_an_output_that_is_not_cached_comes_back_where_it_is_small(size, outcome):
    project = Project("stages:\n  s: {cmd: 'i>o', deps: [i], metrics: [{o: {cache: false}}]}\n", i=b"1" * size)
    result = runner.repro(project.graph, project.tools)
    assert result.cached == ()
    assert len(project.tree.objects) == (outcome == "restored")
    assert project.records.lockfile.stages["s"].uncached == {"o"}
    assert outcomes(runner.repro(project.graph, project.tools)) == {"s": "unchanged"}
    del project.tree.files["o"]
    assert outcomes(runner.repro(project.graph, project.tools)) == {"s": outcome}
    assert project.tree.files["o"] == b"1" * size


def test_a_lost_lockfile_finds_uncached_outputs_that_are_as_the_run_made_them():
    project = Project("stages:\n  s: {cmd: 'i>o', deps: [i], metrics: [{o: {cache: false}}]}\n", i=b"1")
    runner.repro(project.graph, project.tools)
    project.records.lockfile = type(project.records.lockfile)()
    project.ran()
    runner.repro(project.graph, project.tools)
    assert project.ran() == []
    assert project.records.lockfile.stages["s"].uncached == {"o"}


def test_an_interruption_keeps_what_was_finished(chain):
    chain.tree.files["in"] = b"9"

    def interrupt():
        raise KeyboardInterrupt

    chain.commands["x>y"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        runner.repro(chain.graph, chain.tools)
    assert chain.records.saves == 2
    chain.commands["x>y"] = lambda: chain.tree.files.update(y=b"9")
    runner.repro(chain.graph, chain.tools)
    assert chain.ran() == ["cut in>x", "x>y", "x>y", "y+z>w"]


def test_killed_before_the_lockfile_was_written_nothing_runs_twice(chain, monkeypatch):
    chain.tree.files["in"] = b"9"
    monkeypatch.setattr(chain.records, "change", lambda entries, durable=True: chain.records.lockfile)
    runner.repro(chain.graph, chain.tools)
    chain.ran()
    monkeypatch.undo()
    runner.repro(chain.graph, chain.tools)
    assert chain.ran() == []


def test_the_run_is_recorded_after_its_outputs_and_before_the_lockfile(one, monkeypatch):
    order = []
    for owner, name in ((one.tree, "store"), (one.runs, "put"), (one.records, "change")):
        real = getattr(owner, name)
        monkeypatch.setattr(
            owner, name, lambda *args, real=real, name=name, **named: (order.append(name), real(*args, **named))[1]
        )
    runner.repro(one.graph, one.tools)
    assert list(dict.fromkeys(order)) == ["store", "put", "change"]


def test_a_dependency_inside_an_output_directory_and_a_directory_around_outputs():
    project = Project(
        """
stages:
  make: {cmd: make, deps: [i], outs: [d]}
  inner: {cmd: 'd/one>p/q', deps: [d/one], outs: [p/q]}
  outer: {cmd: 'p/q>r', deps: [p], outs: [r]}
""",
        i=b"1",
    )
    project.commands["make"] = lambda: project.tree.files.update({"d/one": project.tree.files["i"], "d/two": b""})
    runner.repro(project.graph, project.tools)
    assert project.tree.files["r"] == b"1"
    project.tree.files["i"] = b"2"
    assert reasons(project)["outer"] == ("may run", ("waits for inner",))
    runner.repro(project.graph, project.tools)
    assert project.tree.files["r"] == b"2"
    project.tree.files["i"] = b"1"
    assert reasons(project)["inner"] == ("may run", ("waits for make",))
    assert set(outcomes(runner.repro(project.graph, project.tools)).values()) == {"restored"}
    assert project.tree.files["r"] == b"1"


def test_a_maker_that_does_not_make_what_the_next_one_needs_is_named():
    project = Project(
        """
stages:
  make: {cmd: make, deps: [i], outs: [d]}
  take: {cmd: 'd/one>r', deps: [d/one], outs: [r]}
""",
        i=b"1",
    )
    project.commands["make"] = lambda: project.tree.files.update({"d/two": b""})
    with pytest.raises(
        StageFailedError, match="'d/one' of stage 'take' is not there, and stage 'make' did not make it"
    ):
        reproduce(project.graph, project.tools)


def test_a_parameter_file_that_a_stage_makes():
    project = Project(
        """
stages:
  tune: {cmd: 'i>best.yaml', deps: [i], outs: [best.yaml]}
  train: {cmd: '>m', params: [best.yaml: [lr]], outs: [m]}
""",
        i=b"lr: 1",
    )
    project.commands[">m"] = lambda: project.tree.files.update(m=b"")
    runner.repro(project.graph, project.tools)
    project.tree.files["i"] = b"lr: 2"
    result = runner.repro(project.graph, project.tools)
    assert result.stages[1].reasons == ("parameter best.yaml:lr is 2, was 1",)


def test_keys_of_a_newer_version_stay_when_a_stage_runs_again(one):
    runner.repro(one.graph, one.tools)
    entry = one.records.lockfile.stages["s"]
    one.records.lockfile = one.records.lockfile.having("s", replace(entry, extra={"newer": 1}))
    one.tree.files["i"] = b"2"
    runner.repro(one.graph, one.tools)
    entry = one.records.lockfile.stages["s"]
    assert (entry.deps["i"].size, entry.extra) == (1, {"newer": 1})


# -- several at a time, and what is said of a Stage beside its inputs -----------------------------


def tried(*codes):
    """A command that ends with one code after the other."""
    left = list(codes)
    return lambda: left.pop(0)


def with_stage(project, **fields):
    """The Project with other fields of its Stage ``s``."""
    project.graph = build([replace(project.graph.stages["s"], **fields)])


def test_a_command_is_tried_again_as_often_as_the_stage_says(one):
    with_stage(one, retries=2)

    codes = tried(1, 3, 0)

    def command():
        one.tree.files["o"] = b"left"
        return codes()

    one.commands["i>o"] = command
    heard = []
    result = runner.repro(one.graph, replace(one.tools, listener=heard.append))
    assert outcomes(result) == {"s": "ran"}
    assert [(event.number, event.of) for event in heard if isinstance(event, Started)] == [(1, 3), (2, 3), (3, 3)]
    assert one.notes.notes[1:] == [
        "Stage 's' failed with exit code 1; trying again (2 of 3)",
        "Stage 's' failed with exit code 3; trying again (3 of 3)",
    ]
    assert one.tree.aside == ["o", "o"]  # what the tries left is out of the way of the next one


def test_when_no_try_is_left_the_last_failure_is_told(one):
    with_stage(one, retries=1)
    one.commands["i>o"] = tried(1, 4)
    assert "failed with exit code 4" in runner.repro(one.graph, one.tools).error.message
    assert len(one.ran()) == 2


def test_what_a_failed_command_left_is_set_aside_and_named(one):
    def command():
        one.tree.files["o"] = b"half"
        return 1

    one.commands["i>o"] = command
    error = runner.repro(one.graph, one.tools).error
    assert error.message == (
        "mlvc.yaml, line 2, column 3: the command of stage 's' failed with exit code 1: i>o; "
        "what it left of its outputs is kept in aside"
    )
    assert one.tree.aside == ["o"]
    assert "o" not in one.tree.files


def test_the_environment_that_a_stage_names_counts(one):
    with_stage(one, env={"A": "1"}, env_through=("B", "C"))
    tools = replace(one.tools, env={"B": "b", "D": "d"})
    runner.repro(one.graph, tools)
    assert one.records.lockfile.stages["s"].env == {"A": "1", "B": "b"}
    assert [run.inputs.env for run in one.runs.runs.values()] == [{"A": "1", "B": "b"}]
    assert one.ran() == ["i>o"]
    runner.repro(one.graph, replace(tools, env={"B": "b", "D": "another"}))
    assert one.ran() == []
    assert runner.status(one.graph, replace(tools, env={}))[0].reasons == (
        "environment variable B is not set any more",
    )
    assert runner.status(one.graph, replace(tools, env={"B": "c"}))[0].reasons == ("environment variable B changed",)
    told = ("environment variable C is set",)
    assert runner.status(one.graph, replace(tools, env={"B": "b", "C": ""}))[0].reasons == told
    with_stage(one, env={"A": "2", "E": ""}, env_through=("B",))
    assert runner.status(one.graph, tools)[0].reasons == (
        "environment variable A changed",
        "environment variable E is new",
    )
    with_stage(one, env={"A": "1"}, env_through=())
    assert runner.status(one.graph, tools)[0].reasons == ("environment variable B is no longer named",)
    with_stage(one, env={"A": "1"}, env_through=("B", "C"))
    assert runner.status(one.graph, tools)[0].reasons == ()


def test_what_follows_from_what_ran_runs_too_where_that_is_wanted(chain):
    chain.tree.files["in"] = b"1 and more"
    runner.repro(chain.graph, chain.tools, Options(force_downstream=True))
    assert chain.ran() == ["cut in>x", "x>y", "y+z>w"]
    runner.repro(chain.graph, chain.tools, Options(force_downstream=True))
    assert chain.ran() == []
    runner.repro(chain.graph, chain.tools, Options(("b",), force_downstream=True))
    assert chain.ran() == ["x>y", "y+z>w"]


def test_without_commit_nothing_is_stored_or_recorded_and_the_next_one_does_it_without_running(chain):
    before = chain.records.lockfile
    chain.tree.files["in"] = b"9"
    tools = replace(chain.tools, unstored=FakeRuns())
    result = runner.repro(chain.graph, tools, Options(commit=False))
    assert (outcomes(result), result.cached) == (dict.fromkeys("abc", "ran"), ())
    assert len(chain.ran()) == 3
    assert chain.records.lockfile == before
    assert chain.tree.files["w"] == b"9z"
    assert not chain.tree.available([chain.tree.identify(["w"])["w"]])
    assert outcomes(runner.repro(chain.graph, tools, Options(commit=False))) == dict.fromkeys("abc", "unchanged")
    assert outcomes(runner.repro(chain.graph, tools)) == dict.fromkeys("abc", "stored")
    assert tools.unstored.runs == {}
    assert chain.ran() == []
    assert chain.tree.available([chain.tree.identify(["w"])["w"]])
    assert outcomes(runner.repro(chain.graph, tools)) == dict.fromkeys("abc", "unchanged")


def test_what_was_made_without_commit_and_edited_afterwards_is_made_again(one):
    tools = replace(one.tools, unstored=FakeRuns())
    runner.repro(one.graph, tools, Options(commit=False))
    one.tree.files["o"] = b"edited"
    assert outcomes(runner.repro(one.graph, tools)) == {"s": "ran"}
    assert one.tree.files["o"] == b"1"


def test_a_person_who_is_asked_may_decline(chain):
    chain.tree.files["in"] = b"9"
    asked = []
    tools = replace(chain.tools, ask=lambda decision: asked.append(decision.stage) or decision.stage != "b")
    assert outcomes(runner.repro(chain.graph, tools)) == {"a": "ran", "b": "declined", "c": "blocked"}
    assert asked == ["a", "b"]
    assert chain.ran() == ["cut in>x"]


class Together:
    """An Executor whose Jobs end only when so many of them run."""

    def __init__(self, project, count):
        self.project, self.count, self.jobs, self.most = project, count, [], 0

    def start(self, job, post):
        self.jobs.append((job, post))
        self.most = max(self.most, len(self.jobs))
        if len(self.jobs) == self.count:
            threading.Thread(target=self.end).start()

    def end(self):
        jobs, self.jobs = self.jobs, []
        for job, post in jobs:
            self.project.commands[job.commands[0]]()
            post(Ended(job, 0, job.commands[0], 1.0))

    def stop(self, slow=None):
        """Nothing is left."""


FOUR = "stages:\n" + "".join(f"  s{n}: {{cmd: 'i>o{n}', deps: [i], outs: [o{n}]}}\n" for n in range(4))


def test_what_ended_together_is_stored_together(monkeypatch):
    project = Project(FOUR, i=b"1")
    executor = Together(project, 4)
    stored = []
    real = project.tree.store
    monkeypatch.setattr(project.tree, "store", lambda paths: (stored.append(list(paths)), real(paths))[1])
    result = runner.repro(project.graph, replace(project.tools, executor=executor), Options(jobs=4))
    assert outcomes(result) == dict.fromkeys(["s0", "s1", "s2", "s3"], "ran")
    assert executor.most == 4
    assert sorted(path for paths in stored for path in paths) == ["o0", "o1", "o2", "o3"]
    assert len(stored) < 4
    assert set(project.records.lockfile.stages) == {"s0", "s1", "s2", "s3"}


def test_of_several_that_ended_together_only_the_bad_ones_fail(monkeypatch):
    project = Project(FOUR, i=b"1")
    project.commands["i>o1"] = lambda: None  # makes nothing
    real = project.tree.store

    def refuse(paths):
        if "o2" in paths:
            raise FormatError("o2 is a socket")
        return real(paths)

    monkeypatch.setattr(project.tree, "store", refuse)
    tools = replace(project.tools, executor=Together(project, 4))
    result = runner.repro(project.graph, tools, Options(jobs=4, keep_going=True))
    assert outcomes(result) == {"s0": "ran", "s1": "failed", "s2": "failed", "s3": "ran"}
    assert set(project.records.lockfile.stages) == {"s0", "s3"}


def test_a_stage_that_wants_too_much_stops_all_before_anything_runs(one):
    with_stage(one, resources={"gpu": 2})
    with pytest.raises(PipelineError, match="takes 2 of 'gpu', and there is 1"):
        runner.repro(one.graph, one.tools, Options(limits={"gpu": 1}))
    assert one.ran() == []
