from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlvc.pipeline import graph
from mlvc.pipeline.plan import Action, Decision
from mlvc.pipeline.schedule import Done, Execute, Failed, Finished, Look, Planned, Restore, Schedule, Skip
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


@given(
    st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25),
    st.integers(1, 4),
    st.booleans(),
    st.data(),
)
def test_any_course_of_events_ends_with_every_stage_seen_in_order(pairs, jobs, keep_going, data):
    names = "abcdefghij"
    needs = {names[n]: [names[a] for a, b in sorted(pairs) if b == n and a < n] for n in range(10)}
    made = build(**needs)
    actions = [data.draw(st.sampled_from([Action.UNCHANGED, Action.RUN, Action.WAIT])) for _ in made.stages]
    plan = schedule(made, actions, jobs=jobs, keep_going=keep_going)
    todo, busy, done, failed, ended = plan.begin(), [], [], [], False
    while True:
        for command in todo:
            assert not ended
            if isinstance(command, Done):
                ended = True
                assert command.failed == tuple(failed)
            elif isinstance(command, Skip):
                done.append(command.stage)
            else:
                assert set(needs[command.stage]) <= set(done)
                busy.append(command.stage)
        assert len(busy) <= jobs
        if not busy:
            break
        stage = busy.pop(data.draw(st.integers(0, len(busy) - 1)))
        done.append(stage)
        if data.draw(st.booleans()):
            todo = plan.tell(Finished(stage))
        else:
            failed.append(stage)
            todo = plan.tell(Failed(stage))
    assert ended
    if keep_going or not failed:
        assert sorted(done) == sorted(names)


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
