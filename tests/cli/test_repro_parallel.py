"""Several Stages at a time: what is shown, what is kept, and what is left where it is broken off."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlvc.pipeline import logs
from tests.helpers import SOURCES, git, run_mlvc, shell
from tests.helpers.terminals import type_mlvc

WAIT = "while ! test -e go; do sleep 0.05; done"


@pytest.fixture
def describe(project: Path) -> Callable[..., Path]:
    """Write an ``mlvc.yaml`` with these Stages: commands, and what else there is to say of each."""

    def write(**stages: str | dict[str, object]) -> Path:
        described = {name: {"cmd": text} if isinstance(text, str) else text for name, text in stages.items()}
        (project / "mlvc.yaml").write_text(json.dumps({"stages": described}))
        return project

    return write


def begun(*args: str, cwd: Path) -> subprocess.Popen[str]:
    """mlvc, at work."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mlvc", *args],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": SOURCES},
        stderr=subprocess.PIPE,
        text=True,
    )


def until(*paths: Path) -> None:
    """Wait for files."""
    end = time.monotonic() + 60
    while not all(path.exists() for path in paths):
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_as_many_run_as_are_asked_for(describe: Callable[..., Path]) -> None:
    """Each of four waits until all four have begun."""
    meet = "touch up{n}; while test $(ls up* | wc -l) -lt 4; do sleep 0.02; done; echo {n} > o{n}"
    root = describe(**{f"s{n}": {"cmd": meet.format(n=n), "outs": [f"o{n}"]} for n in range(4)})
    run_mlvc("repro", "-j", "4", cwd=root)
    assert set(json.loads((root / "mlvc.lock").read_text())["stages"]) == {"s0", "s1", "s2", "s3"}
    for number in range(4):
        (root / f"up{number}").unlink()
    run_mlvc("config", "pipeline.jobs", "4", cwd=root)
    run_mlvc("repro", "-f", cwd=root)


def test_two_that_take_the_same_thing_run_one_after_the_other(describe: Callable[..., Path]) -> None:
    alone = "test ! -e busy && touch busy && sleep 0.2 && rm busy && echo > o{n}"
    root = describe(
        **{f"s{n}": {"cmd": alone.format(n=n), "outs": [f"o{n}"], "resources": {"gpu": 1}} for n in range(3)}
    )
    run_mlvc("config", "pipeline.limits.gpu", "1", cwd=root)
    run_mlvc("repro", "-j", "3", cwd=root)
    run_mlvc("config", "pipeline.limits.gpu", "0.5", cwd=root)
    result = run_mlvc("repro", "-f", "-j", "3", cwd=root, check=False)
    shell.refused(result, 2, "takes 1 of 'gpu', and there is 0.5", "mlvc config pipeline.limits.gpu")


def another(root: Path, tree: str) -> Path:
    """The working tree itself, or another one of the same repository."""
    if tree == "same":
        return root
    shell.commit(root, "A pipeline")
    git("worktree", "add", "-q", "../other", cwd=root)
    return root.parent / "other"


@pytest.mark.parametrize("end", ["well", "killed"])
@pytest.mark.parametrize("tree", ["same", "other"])
def test_two_reproductions_share_what_there_is(describe: Callable[..., Path], tree: str, end: str) -> None:
    root = describe(
        a={"cmd": f"touch up; {WAIT}; echo > a", "outs": ["a"], "resources": {"gpu": 1}},
        b={"cmd": "touch began; echo > b", "outs": ["b"], "resources": {"gpu": 1}},
        c={"cmd": "echo > c", "outs": ["c"]},
    )
    run_mlvc("config", "pipeline.limits.gpu", "1", cwd=root)
    there = another(root, tree)
    first = begun("repro", "a", cwd=root)
    until(root / "up")
    run_mlvc("repro", "c", cwd=there)
    second = begun("repro", "b", cwd=there)
    assert second.stderr is not None
    told = f"Stage 'b' waits for gpu: 1 of 1 in use by stage 'a' of another `mlvc repro` (process {first.pid})\n"
    assert next(line for line in second.stderr if "waits" in line) == told
    assert not (there / "began").exists()
    if end == "well":
        (root / "go").touch()
        assert first.wait(60) == 0
    else:
        first.kill()
        first.wait()
        assert "which a killed `mlvc repro` left running" in second.stderr.readline()
        (root / "go").touch()  # the command was left alone, and has the gpu as long as it runs
    assert second.wait(60) == 0
    assert (there / "b").exists()
    for process in (first, second):
        process.communicate()


def test_what_is_only_brought_back_waits_for_no_resource(describe: Callable[..., Path]) -> None:
    root = describe(
        a={"cmd": f"touch up; {WAIT}; echo > a", "outs": ["a"], "resources": {"gpu": 1}},
        b={"cmd": "echo > b", "outs": ["b"], "resources": {"gpu": 1}},
    )
    run_mlvc("config", "pipeline.limits.gpu", "1", cwd=root)
    run_mlvc("repro", "b", cwd=root)
    (root / "b").unlink()
    first = begun("repro", "a", cwd=root)
    until(root / "up")
    assert "1 restored" in run_mlvc("repro", "b", cwd=root).err
    (root / "go").touch()
    assert first.wait(60) == 0
    first.communicate()


def test_items_take_no_more_than_another_reproduction_leaves(describe: Callable[..., Path]) -> None:
    """Of two places one is taken: the items run one at a time, and two at a time when it is free."""
    item = "mkdir {0}busy || touch {0}two; sleep 0.1; rmdir {0}busy; cp ${{item.path}} ${{out}}"
    root = describe(
        a={"cmd": f"touch up; {WAIT}; echo > a", "outs": ["a"], "resources": {"gpu": 1}},
        **{
            name: {
                "cmd": item.format(name),
                "each": "in/*",
                "outs": [f"out-{name}"],
                "resources": {"gpu": 1},
            }
            for name in ("x", "y")
        },
    )
    shell.write(root, {f"in/{number}": b"%d" % number for number in range(6)})
    run_mlvc("config", "pipeline.limits.gpu", "2", cwd=root)
    first = begun("repro", "a", cwd=root)
    until(root / "up")
    run_mlvc("repro", "-j", "4", "x", cwd=root)
    assert not (root / "xtwo").exists()
    (root / "go").touch()
    assert first.wait(60) == 0
    first.communicate()
    run_mlvc("repro", "-j", "4", "y", cwd=root)
    assert (root / "ytwo").exists()


def test_whole_lines_come_with_the_name_in_front(describe: Callable[..., Path]) -> None:
    root = describe(
        long_name=r"printf 'one\ntw'; sleep 0.3; printf 'o\nwithout an end'",
        b=r"printf '\033[2Jred\033[31m\r 10%%\r100%%\nbad \377\001 bytes\r\n'",
    )
    lines = run_mlvc("repro", "-j", "2", cwd=root).err.splitlines()
    assert [line for line in lines if line.startswith("long_name")] == [
        "long_name | one",
        "long_name | two",
        "long_name | without an end",
    ]
    assert [line for line in lines if line.startswith("b ")] == ["b         | 100%", r"b         | bad �\x01 bytes"]


def test_a_line_without_an_end_and_much_of_it_holds_nothing_up(describe: Callable[..., Path]) -> None:
    root = describe(a="head -c 3000000 /dev/zero", b="head -c 3000000 /dev/urandom", c="yes | head -n 100000")
    result = run_mlvc("repro", "-j", "3", cwd=root)
    assert result.err.count("c | y\n") == 100_000
    assert result.err.count(r"\x00") > 3_000_000


def test_quiet_shows_only_what_a_failed_stage_printed(describe: Callable[..., Path]) -> None:
    root = describe(good="echo fine", bad="echo why; printf 'and more'; exit 3")
    for jobs in ("1", "2"):
        result = run_mlvc("repro", "-q", "-k", "-f", "-j", jobs, cwd=root, check=False)
        assert result.code == 7
        assert result.err.startswith("output of stage 'bad':\nwhy\nand more\nmlvc: mlvc.yaml, line 1")
        assert "fine" not in result.err


def test_with_one_job_output_goes_straight_through(describe: Callable[..., Path]) -> None:
    root = describe(a=r"printf '\033[31m 10%%\r100%%'; printf '\377\n'; printf end")
    result = subprocess.run(
        [sys.executable, "-P", "-m", "mlvc", "repro"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": SOURCES},
        capture_output=True,
        check=True,
    )
    assert b"\n\x1b[31m 10%\r100%\xff\nend\npipeline: 1 ran\n" in result.stderr


def test_what_a_run_printed_is_kept(describe: Callable[..., Path]) -> None:
    root = describe(a={"cmd": ["echo one", "echo two >&2; exit 5"], "retries": 1})
    assert run_mlvc("repro", cwd=root, check=False).code == 7
    (log,) = logs.Logs(str(root / ".git/mlvc/logs")).of("a")
    text = logs.read(log.path)
    assert text.output == b"one\ntwo\n\n# try 2 of 2\none\ntwo\n"
    assert (text.code, text.fields["command"]) == (5, "echo one\necho two >&2; exit 5")


def test_what_a_failed_command_left_is_set_aside_and_named(describe: Callable[..., Path]) -> None:
    root = describe(a={"cmd": "mkdir d; echo half > d/x; exit 1", "outs": ["d"]})
    result = run_mlvc("repro", cwd=root, check=False)
    place = Path(re.search(r"what it left of its outputs is kept in (\S+)", result.err)[1])
    assert (place / "d/x").read_text() == "half\n"
    assert not (root / "d").exists()


def test_a_timeout_is_said_and_nothing_goes_on(describe: Callable[..., Path]) -> None:
    root = describe(a={"cmd": "echo $$ > pid; sleep 60", "outs": ["o"], "timeout": "1s"})
    result = run_mlvc("repro", cwd=root, check=False)
    shell.ends(result, "took longer than its timeout of 1 s, and was stopped")
    assert result.code == 7
    assert not alive(int((root / "pid").read_text()))


def test_an_output_beside_a_directory_that_another_one_reads_is_no_change_of_it(describe: Callable[..., Path]) -> None:
    root = describe(
        reads={"cmd": "sleep 0.5; ls data > list", "deps": ["data"], "outs": ["list"]},
        writes={"cmd": "echo > data.new; sleep 0.2; echo more >> data.new", "outs": ["data.new"]},
    )
    assert "2 ran" in run_mlvc("repro", "-j", "2", cwd=root).err


def test_an_input_that_somebody_changes_meanwhile_is_not_recorded_and_the_others_are(
    describe: Callable[..., Path],
) -> None:
    root = describe(
        a={"cmd": "sleep 0.3; echo more >> data/one.txt; echo > a.out", "deps": ["data/one.txt"], "outs": ["a.out"]},
        b={"cmd": "echo > b.out", "outs": ["b.out"]},
    )
    result = run_mlvc("repro", "-j", "2", cwd=root, check=False)
    shell.ends(result, "'data/one.txt' changed while stage 'a' ran")
    assert set(json.loads((root / "mlvc.lock").read_text())["stages"]) == {"b"}


def test_without_commit_the_next_one_stores_without_running(describe: Callable[..., Path]) -> None:
    root = describe(a={"cmd": "echo >> log; echo a > out", "outs": ["out"]})
    assert "hint: `mlvc repro` stores what was made" in run_mlvc("repro", "--no-commit", cwd=root).err
    assert not (root / "mlvc.lock").exists()
    assert run_mlvc("repro", cwd=root).err.splitlines()[0] == "pipeline: 1 stored"
    assert (root / "log").read_text() == "\n"
    (root / "out").unlink()
    run_mlvc("repro", cwd=root)
    assert ((root / "out").read_text(), (root / "log").read_text()) == ("a\n", "\n")


def test_without_commit_the_plan_says_what_the_next_one_does(describe: Callable[..., Path]) -> None:
    root = describe(
        a={"cmd": "echo >> log; echo a > a", "outs": ["a"]}, b={"cmd": "cp a b", "deps": ["a"], "outs": ["b"]}
    )
    run_mlvc("repro", "--no-commit", cwd=root)
    assert run_mlvc("repro", "--dry-run", cwd=root).out == "a: store (never run)\nb: store (never run)\n"
    assert run_mlvc("repro", "--dry-run", "--no-commit", cwd=root).out.count("unchanged") == 2
    assert "a: never run" in run_mlvc("status", cwd=root).out
    assert run_mlvc("repro", "--dry-run", "--force", "a", cwd=root).out == "a: run (forced; never run)\n"
    assert run_mlvc("repro", "--dry-run", "--no-run-cache", "a", cwd=root).out == "a: run (never run)\n"
    assert run_mlvc("repro", "--no-commit", "-j", "2", cwd=root).err.splitlines()[0] == "pipeline: 2 unchanged"
    (root / "b").write_text("x")
    assert run_mlvc("repro", "--dry-run", cwd=root).out == "a: store (never run)\nb: run (never run)\n"
    assert "1 stored, 1 ran" in run_mlvc("repro", cwd=root).err
    assert (root / "log").read_text() == "\n"


def test_explain_tells_of_every_stage_before_anything_runs(describe: Callable[..., Path]) -> None:
    root = describe(a={"cmd": "echo > a", "outs": ["a"]}, b={"cmd": "cp a b", "deps": ["a"], "outs": ["b"]})
    run_mlvc("repro", "a", cwd=root)
    assert run_mlvc("repro", "--explain", cwd=root).err.splitlines()[:5] == [
        "a: unchanged",
        "    its command, inputs and outputs are as the Lockfile recorded them",
        "b: run",
        "    never run",
        "Running stage 'b': never run",
    ]


def test_there_must_be_somebody_to_ask(describe: Callable[..., Path]) -> None:
    root = describe(a="echo > a")
    shell.refused(run_mlvc("repro", "--interactive", cwd=root, check=False), 2, "nobody to ask")


NO = """
import sys
class Typed:
    answers = iter(["n\\n", "y\\n"])
    isatty = staticmethod(lambda: True)
    readline = lambda self: next(self.answers)
sys.stdin = Typed()
"""


def test_whoever_is_asked_and_says_no_gets_a_code_that_a_script_stops_at(describe: Callable[..., Path]) -> None:
    root = describe(a={"cmd": "echo > a", "outs": ["a"]}, b={"cmd": "echo > b", "outs": ["b"]})
    shown = type_mlvc("repro", "--interactive", cwd=root, script=NO)
    assert shown.code == 1
    assert "pipeline: 1 declined, 1 ran" in shown.screen
    assert not (root / "a").exists()
    assert (root / "b").exists()


# -- on a terminal -----------------------------------------------------------------------------


def test_a_line_for_each_stage_that_runs_stands_below_and_is_gone_at_the_end(describe: Callable[..., Path]) -> None:
    root = describe(
        **{f"stage{n}": {"cmd": f"echo begin; sleep {1 + n / 2}; echo end", "outs": []} for n in range(3)},
    )
    shown = type_mlvc("repro", "-j", "3", cwd=root)
    assert shown.code == 0
    assert re.search(r"stage0     1 s  running\r?\nstage1     1 s  running\r?\nstage2     1 s  running", shown.raw)
    told = [line for line in shown.screen if " | " in line]
    assert sorted(told) == sorted(f"stage{n} | {word}" for n in range(3) for word in ("begin", "end"))
    assert not any("running" in line for line in shown.screen)
    assert shown.screen[-2] == "pipeline: 3 ran"
    assert {re.sub(r"3\d", "3x", escape) for escape in shown.escapes} == {
        "\x1b[K",
        "\x1b[A",
        "\x1b[3xm",
        "\x1b[0m",
    }


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"MLVC_CORE_PROGRESS": "false", "NO_COLOR": "1"}])
def test_where_no_line_can_be_drawn_again_there_are_plain_lines(
    describe: Callable[..., Path], env: dict[str, str]
) -> None:
    root = describe(a="echo a; sleep 1", b="echo b; sleep 1")
    shown = type_mlvc("repro", "-j", "2", cwd=root, env=env)
    assert not shown.escapes
    assert {"a | a", "b | b"} <= set(shown.lines)


def test_ctrl_c_on_a_terminal_leaves_it_tidy(describe: Callable[..., Path]) -> None:
    root = describe(a="sleep 60", b="sleep 60")
    shown = type_mlvc("repro", "-j", "2", cwd=root, stop_at="1 s  running")
    assert shown.code == 130
    assert shown.screen[-1].startswith("mlvc: interrupted")
    assert not any("running" in line for line in shown.screen)


def test_what_a_command_draws_is_not_glued_to_what_mlvc_says(describe: Callable[..., Path]) -> None:
    root = describe(a="printf 50%%", b="printf 60%%")
    shown = type_mlvc("repro", cwd=root)
    assert "50%" in shown.screen
    assert "60%" in shown.screen


# -- broken off --------------------------------------------------------------------------------


@pytest.fixture
def four(describe: Callable[..., Path]) -> Path:
    """One Stage that is soon done, and four that wait."""
    hang = "echo $$ > pid{n}; echo ran >> log{n}; " + WAIT + "; echo {n} > o{n}"
    waiting = {f"s{n}": {"cmd": hang.format(n=n), "outs": [f"o{n}"]} for n in range(4)}
    return describe(first={"cmd": "echo ran >> log; echo > first.out", "outs": ["first.out"]}, **waiting)


def at_work(root: Path, *args: str) -> subprocess.Popen[str]:
    process = begun("repro", "-j", "5", *args, cwd=root)
    until(*(root / f"pid{n}" for n in range(4)), root / ".git/mlvc/runs")
    while not list((root / ".git/mlvc/runs").glob("*/*.json")):
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_and_keeps_what_was_finished(four: Path, number: signal.Signals) -> None:
    with at_work(four) as process:
        process.send_signal(number)
        assert "interrupted" in process.communicate(timeout=60)[1]
        assert process.returncode == 130
    assert not any(alive(int((four / f"pid{n}").read_text())) for n in range(4))
    assert set(json.loads((four / "mlvc.lock").read_text())["stages"]) == {"first"}
    assert os.listdir(four / ".git/mlvc/claims") == ["guard"]
    (four / "go").touch()
    run_mlvc("repro", "-j", "5", cwd=four)
    assert (four / "log").read_text() == "ran\n"


def test_another_ctrl_c_does_not_wait_for_what_ignores_the_first(describe: Callable[..., Path]) -> None:
    deaf = "trap '' INT TERM; echo $$ > pid{n}; while true; do sleep 0.1; done"
    root = describe(**{f"s{n}": deaf.format(n=n) for n in range(2)})
    with begun("repro", "-j", "2", cwd=root) as process:
        until(root / "pid0", root / "pid1")
        start = time.monotonic()
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - start < 9
    assert not any(alive(int((root / f"pid{n}").read_text())) for n in range(2))


def test_invariant_3_after_kill_9_of_four_at_a_time_nothing_that_was_finished_runs_again(four: Path) -> None:
    with at_work(four) as process:
        process.kill()
        process.communicate()
    json.loads((four / "mlvc.lock").read_text() if (four / "mlvc.lock").exists() else "{}")
    with begun("repro", "-j", "5", cwd=four) as again:
        told = [again.stderr.readline() for _ in range(1)]
        assert "which a killed `mlvc repro` left running" in told[0]
        assert all(alive(int((four / f"pid{n}").read_text())) for n in range(4))
        (four / "go").touch()
        again.communicate(timeout=60)
    assert again.returncode == 0
    assert (four / "log").read_text() == "ran\n"
    assert [(four / f"log{n}").read_text() for n in range(4)] == ["ran\nran\n"] * 4
    assert set(json.loads((four / "mlvc.lock").read_text())["stages"]) == {"first", "s0", "s1", "s2", "s3"}


def test_many_at_once_in_one_repository_lose_no_entry(describe: Callable[..., Path]) -> None:
    root = describe(**{f"s{n}": {"cmd": f"echo {n} > o{n}", "outs": [f"o{n}"]} for n in range(12)})
    processes = [begun("repro", *(f"s{n}" for n in range(k, 12, 4)), cwd=root) for k in range(4)]
    for process in processes:
        assert process.communicate(timeout=120)[1] is not None
        assert process.returncode == 0
    assert len(json.loads((root / "mlvc.lock").read_text())["stages"]) == 12
    assert "12 unchanged" in run_mlvc("repro", cwd=root).err
