from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc.errors import PipelineError
from mlvc.pipeline import graph, spec
from mlvc.pipeline.plan import Action, Decision
from mlvc.pipeline.schedule import (
    Declined,
    Done,
    Execute,
    Failed,
    Finished,
    Freed,
    Held,
    Look,
    Planned,
    Restore,
    Returned,
    Schedule,
    Skip,
    check_resources,
)
from mlvc.pipeline.spec import Out, Stage


def build(**needs):
    return graph.build(
        Stage(name, "mlvc.yaml", 1, ("x",), deps=tuple(f"o{n}" for n in before), outs=(Out(f"o{name}"),))
        for name, before in needs.items()
    )


CHAIN = build(a="", b="a", c="b")


def schedule(made, actions, **named):
    return Schedule(made, [Decision(name, action) for name, action in zip(made.stages, actions, strict=True)], **named)


def test_nothing_to_do():
    made = schedule(CHAIN, [Action.UNCHANGED] * 3)
    assert made.begin() == [Skip("a"), Skip("b"), Skip("c"), Done()]


def test_no_stage_at_all():
    assert Schedule(CHAIN, []).begin() == [Done()]


def test_run_then_early_cutoff():
    made = schedule(CHAIN, [Action.RUN, Action.WAIT, Action.WAIT])
    assert made.begin() == [Look("a")]
    run = Decision("a", Action.RUN, ("never run",))
    assert made.tell(Planned(run)) == [Execute(run)]
    assert made.tell(Finished("a")) == [Look("b")]
    assert made.tell(Planned(Decision("b", Action.UNCHANGED))) == [Skip("b"), Look("c")]
    back = Decision("c", Action.RESTORE)
    assert made.tell(Planned(back)) == [Restore(back)]
    assert made.tell(Finished("c")) == [Done()]


def test_a_failure_stops_what_has_not_begun():
    made = schedule(build(a="", b="", c="a"), [Action.RUN] * 3)
    assert made.begin() == [Look("a")]
    assert made.tell(Failed("a")) == [Done(("a",))]


def test_what_runs_beside_a_failure_is_waited_for():
    made = schedule(build(a="", b="", c="b"), [Action.RUN] * 3, jobs=2)
    assert made.begin() == [Look("b"), Look("a")]
    assert made.tell(Failed("a")) == []
    assert made.tell(Finished("b")) == [Done(("a",))]


def test_keep_going_blocks_only_what_needs_the_failed_stage():
    made = schedule(build(a="", b="a", c="b", d=""), [Action.RUN] * 4, keep_going=True)
    assert made.begin() == [Look("a")]
    assert made.tell(Failed("a")) == [
        Skip("b", ("needs a, which failed",), "blocked"),
        Skip("c", ("needs b",), "blocked"),
        Look("d"),
    ]
    assert made.tell(Finished("d")) == [Done(("a",))]


def test_stages_that_are_not_considered_count_as_done():
    made = Schedule(CHAIN, [Decision("b", Action.RUN)])
    assert made.begin() == [Look("b")]
    assert made.tell(Finished("b")) == [Done()]


def test_the_furthest_from_the_end_comes_first_and_then_the_first_declared():
    made = build(a="", b="", c="b", d="", e="d", f="e")
    run = [Action.RUN] * 6
    assert schedule(made, run, jobs=9).begin() == [Look("d"), Look("b"), Look("a")]
    assert schedule(made, run, jobs=9, lengths={"a": 9.0}).begin() == [Look("d"), Look("b"), Look("a")]
    assert schedule(made, run, jobs=9, lengths={"a": 99, "b": 1, "c": 1, "d": 1, "e": 1}).begin()[0] == Look("a")


def test_what_is_done_already_is_no_way_to_go():
    made = build(a="", b="", c="b", d="c")
    assert schedule(made, [Action.RUN, Action.RUN, *[Action.UNCHANGED] * 2]).begin() == [Look("a")]


def staged(**wanted):
    return graph.build(Stage(name, "mlvc.yaml", 7, ("x",), resources=takes) for name, takes in wanted.items())


def test_no_more_is_taken_than_there_is():
    made = staged(a={"gpu": 1}, b={"gpu": 1}, c={}, d={"gpu": 2}, e={"other": 5})
    plan = schedule(made, [Action.RUN] * 5, jobs=9, limits={"gpu": 2.0})
    assert plan.begin() == [Look("a"), Look("b"), Look("c"), Look("e")]
    assert plan.tell(Finished("a")) == []
    assert plan.tell(Finished("b")) == [Look("d")]


def test_a_stage_is_lent_what_no_other_needs():
    made = staged(a={"gpu": 1}, b={}, c={})
    plan = schedule(made, [Action.RUN] * 3, jobs=3, limits={"gpu": 2.0})
    assert plan.begin() == [Look("a"), Look("b"), Look("c")]
    assert not plan.lend("a")
    assert plan.tell(Finished("b")) == []
    assert plan.lend("a")
    assert plan.tell(Finished("c")) == []
    assert not plan.lend("a"), "the second of two is in use"
    assert (plan.lent("a"), plan.tell(Returned("a")), plan.lent("a")) == (1, [], 0)
    assert plan.lend("a")
    assert plan.tell(Finished("a")) == [Done()]


def test_a_stage_that_may_begin_comes_before_more_of_one_that_runs():
    made = build(a="", b="", c="b")
    plan = schedule(made, [Action.RUN] * 3, jobs=2)
    assert plan.begin() == [Look("b"), Look("a")]
    assert plan.tell(Failed("b")) == []
    assert plan.lend("a")
    plan = schedule(made, [Action.RUN] * 3, jobs=2)
    plan.begin()
    assert plan.tell(Finished("b")) == [Look("c")]
    assert not plan.lend("a")


def test_parts_of_a_whole_fit_together():
    made = staged(**{name: {"cpus": 0.1} for name in "abcdefghij"})
    assert len(schedule(made, [Action.RUN] * 10, jobs=99, limits={"cpus": 1.0}).begin()) == 10


def test_who_wants_more_than_there_is_is_told_before_anything_runs():
    with pytest.raises(PipelineError, match=r"mlvc.yaml, line 7: stage 'a': it takes 3 of 'gpu', and there is 2"):
        check_resources(staged(a={"gpu": 3}).stages.values(), {"gpu": 2})
    with pytest.raises(PipelineError, match=r"takes 64.0 GB of 'memory', and there is 8.0 GB"):
        check_resources(staged(a={"memory": 64e9}).stages.values(), {"memory": 8e9})
    check_resources(staged(a={"gpu": 2, "unlimited": 9}).stages.values(), {"gpu": 2})
    text = "stages:\n  a:\n    cmd: x\n    resources:\n      cpus: 1\n      gpu: 3\n"
    with pytest.raises(PipelineError, match=r"mlvc.yaml, line 6, column 7: stage 'a': it takes 3 of 'gpu'"):
        check_resources(spec.parse(text, "mlvc.yaml"), {"gpu": 2})


def test_what_another_process_holds_is_looked_at_again_and_does_not_hold_the_others_up():
    plan = schedule(build(a="", b=""), [Action.RUN] * 2)
    assert plan.begin() == [Look("a")]
    assert plan.tell(Held("a")) == [Look("b")]
    assert plan.tell(Finished("b")) == []
    assert plan.tell(Freed()) == [Look("a")]
    assert plan.tell(Finished("a")) == [Done()]
    assert plan.tell(Freed()) == []


def test_after_a_failure_what_is_held_is_not_waited_for():
    plan = schedule(build(a="", b=""), [Action.RUN] * 2)
    plan.begin()
    plan.tell(Held("a"))
    assert plan.tell(Failed("b")) == [Done(("b",))]


def test_what_a_person_declines_blocks_what_needs_it_and_nothing_else():
    plan = schedule(build(a="", b="a", c=""), [Action.RUN] * 3)
    assert plan.begin() == [Look("a")]
    assert plan.tell(Declined("a")) == [Skip("b", ("needs a",), "blocked"), Look("c")]
    assert plan.tell(Finished("c")) == [Done()]


def test_what_has_a_condition_that_does_not_hold_is_passed_over():
    plan = schedule(build(a="", b=""), [Action.SKIPPED, Action.RUN])
    assert plan.begin() == [Look("b")]
    assert plan.tell(Finished("b")) == [Skip("a", (), "skipped"), Done()]


@given(
    st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25),
    st.integers(1, 4),
    st.booleans(),
    st.lists(st.sampled_from([{}, {"gpu": 1}, {"gpu": 2}, {"cpus": 0.5}, {"cpus": 1, "gpu": 1}]), min_size=10),
    st.data(),
)
def test_any_course_of_events_ends_with_every_stage_seen_once_in_order(  # noqa: PLR0912, PLR0915  (for each kind of event)
    pairs, jobs, keep_going, takes, data
):
    names = "abcdefghij"
    needs = {names[n]: [names[a] for a, b in sorted(pairs) if b == n and a < n] for n in range(10)}
    made = graph.build(
        Stage(
            name,
            "mlvc.yaml",
            1,
            ("x",),
            deps=tuple(f"o{n}" for n in before),
            outs=(Out(f"o{name}"),),
            resources=takes[names.index(name)],
        )
        for name, before in needs.items()
    )
    limits = {"gpu": 2.0, "cpus": 1.0}
    actions = [data.draw(st.sampled_from([Action.UNCHANGED, Action.RUN, Action.WAIT])) for _ in made.stages]
    plan = schedule(made, actions, jobs=jobs, keep_going=keep_going, limits=limits)
    todo, looked, busy, done, lost, failed, held = list(plan.begin()), [], [], [], set(), [], set()
    lent = []
    while True:
        while todo:
            command = todo.pop(0)
            if isinstance(command, Done):
                assert not todo
                assert not busy
                assert not looked
                assert command.failed == tuple(failed)
                if keep_going or not failed:
                    assert sorted(done) == sorted(names)
                assert len(set(done)) == len(done)
                assert plan.tell(Freed()) == []
                return
            if isinstance(command, Skip):
                assert command.outcome == ("blocked" if lost & set(needs[command.stage]) else "unchanged")
                lost |= {command.stage} & (lost if command.outcome == "unchanged" else {command.stage})
                done.append(command.stage)
            elif isinstance(command, Look):
                assert set(needs[command.stage]) <= set(done) - lost
                looked.append(command.stage)
            else:
                busy.append(command.decision.stage)
        at_work = [*looked, *busy, *lent]
        assert len(at_work) <= jobs
        for what, limit in limits.items():
            assert sum(made.stages[name].resources.get(what, 0) for name in at_work) <= limit
        if looked:
            stage = looked.pop(data.draw(st.integers(0, len(looked) - 1)))
            event = data.draw(st.sampled_from(["run", "unchanged", "held"]))
            if event == "held":
                held.add(stage)
                todo += plan.tell(Held(stage))
            else:
                todo += plan.tell(Planned(Decision(stage, Action(event))))
        elif busy:
            stage = busy[data.draw(st.integers(0, len(busy) - 1))]
            move = data.draw(st.sampled_from(["end", "lend", "return"])) if len(lent) < jobs else "end"
            if move == "lend":
                lent += [stage] if plan.lend(stage) else []
                if stage in lent:
                    continue
            elif move == "return" and stage in lent:
                lent.remove(stage)
                todo += plan.tell(Returned(stage))
                continue
            assert plan.lent(stage) == lent.count(stage)
            busy.remove(stage)
            lent = [other for other in lent if other != stage]
            done.append(stage)
            end = data.draw(st.sampled_from([Finished, Finished, Failed, Declined]))
            lost |= {stage} if end is not Finished else set()
            failed += [stage] if end is Failed else []
            todo += plan.tell(end(stage))
        else:
            assert held  # nothing else may keep it from going on
            held.clear()
            todo += plan.tell(Freed())


def test_ten_thousand_stages_are_scheduled_quickly():
    import time

    made = graph.build(
        Stage(f"s{n}", "mlvc.yaml", 1, ("x",), deps=(f"o{n}",), outs=(Out(f"o{n + 1}"),)) for n in range(10_000)
    )
    start = time.process_time()
    plan = schedule(made, [Action.UNCHANGED] * 5_000 + [Action.WAIT] * 5_000)
    commands = plan.begin()
    while commands and isinstance(commands[-1], Look):
        commands = plan.tell(Planned(Decision(commands[-1].stage, Action.UNCHANGED)))
    assert commands[-1] == Done()
    assert time.process_time() - start < 1
