"""The local Executor, and reproduction with it: real processes, real files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from queue import SimpleQueue

import pytest

import mlvc
from mlvc.errors import PipelineError, StageFailedError, SystemFailureError
from mlvc.hashing import Hashing
from mlvc.pipeline import graph, runner, spec
from mlvc.pipeline.executors import local
from mlvc.pipeline.executors.base import Ended, Job
from mlvc.pipeline.executors.local import Local
from mlvc.pipeline.lockfile import LockfileStore
from mlvc.pipeline.params import ParamFiles
from mlvc.pipeline.run import RunCache
from mlvc.pipeline.tools import Tools
from mlvc.progress import QUIET
from tests.helpers.pipeline import DiskTree

ROOT = Path(mlvc.__file__).parents[1]
ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def shown(tmp_path):
    with (tmp_path / "shown").open("w+b") as file:
        yield file


@pytest.fixture
def run(tmp_path, shown):
    """Run commands to the end: its code, and which was the last."""

    def to_the_end(commands, wdir="", *, env=ENV, job_env=None, shell=None, grace=10.0, **named):
        ended = SimpleQueue()
        job = Job("s", tuple(commands), str(tmp_path / wdir), env=job_env or {}, output=shown.fileno(), **named)
        Local(env, shell, grace).start(job, ended.put)
        found = ended.get(timeout=60)
        assert isinstance(found, Ended)
        assert found.job is job
        if found.fault is not None:
            raise found.fault
        return found

    return to_the_end


def text(shown):
    return Path(shown.name).read_text()


def test_commands_run_in_turn_in_their_directory_with_the_given_environment(tmp_path, run, shown):
    (tmp_path / "w").mkdir()
    done = run(["pwd", "echo $A$B; echo err >&2"], "w", env={**ENV, "A": "b", "B": "-"}, job_env={"B": "c"})
    assert (done.code, done.command, done.timed_out) == (0, "echo $A$B; echo err >&2", False)
    assert text(shown) == f"{tmp_path}/w\nbc\nerr\n"


def test_nothing_of_our_own_environment_gets_in(run, shown, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    run(["echo .$SECRET."])
    assert text(shown) == "..\n"


@pytest.mark.parametrize(("env", "told"), [({}, "1"), ({"PYTHONUNBUFFERED": ""}, "")])
def test_python_does_not_hold_its_lines_back_unless_it_is_told_to(run, shown, env, told):
    run(["echo .$PYTHONUNBUFFERED."], env={**ENV, **env})
    run(["echo .$PYTHONUNBUFFERED."], job_env=env)
    assert text(shown) == f".{told}.\n" * 2


def test_the_first_failure_is_the_last_command(run, shown):
    done = run(["echo a", "exit 3", "echo b"])
    assert (done.code, done.command) == (3, "exit 3")
    assert text(shown) == "a\n"


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("./shown", 126), ("kill -9 $$", -9)])
def test_how_a_command_ended(run, command, code):
    assert run([command]).code == code


def test_a_command_has_nothing_to_read(run):
    assert run(["cat"]).code == 0


def test_a_missing_directory_and_a_missing_shell_are_named(run):
    with pytest.raises(PipelineError, match=r"the working directory of stage 's' is not there: .*/w"):
        run(["true"], "w")
    with pytest.raises(SystemFailureError, match="the shell cannot be started"):
        run(["true"], shell="/no/such/shell")


def test_another_shell(run, shown):
    run(["[[ a == a ]] && echo $BASH_VERSION | wc -l"], shell="/bin/bash")
    assert text(shown).strip() == "1"


def test_what_a_command_prints_is_heard_soon_and_whole(run, shown):
    heard = []
    start = time.monotonic()
    run(["printf one; sleep 1; echo two"], hear=lambda data: heard.append((data, time.monotonic() - start)))
    assert heard[0][0] == b"one"
    assert heard[0][1] < 0.9
    assert b"".join(data for data, _ in heard) == b"onetwo\n" == text(shown).encode()


def test_any_bytes_and_lines_of_any_length_are_heard(tmp_path, run):
    data = os.urandom(300_000) + b"x" * 300_000
    (tmp_path / "data").write_bytes(data)
    heard = []
    run(["cat data; cat data >&2"], hear=heard.append)
    assert b"".join(heard) == data * 2
    assert max(map(len, heard)) <= 65536


def test_what_stays_in_the_background_holds_nothing_up_and_what_it_prints_later_is_kept(tmp_path, run, shown):
    heard = []
    start = time.monotonic()
    assert run(["{ sleep 2; echo late; touch done; } & echo now"], hear=heard.append).code == 0
    assert time.monotonic() - start < 1.9
    assert heard == [b"now\n"]
    while not (tmp_path / "done").exists():
        time.sleep(0.05)
    assert text(shown) == "now\nlate\n"
    assert heard == [b"now\n"]


def test_what_stays_in_the_background_is_named_by_its_process_group(tmp_path, run):
    done = run(["sleep 60 > /dev/null 2>&1 & echo $$ > group; echo $! > pid", "sleep 0.01 & true"])
    try:
        assert done.left == (int((tmp_path / "group").read_text()),)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="nothing tells what has ended and was not waited for")
def test_what_has_ended_and_nobody_has_waited_for_does_not_count_as_left():
    with subprocess.Popen(["true"], start_new_session=True) as process:
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        os.killpg(process.pid, 0)
        assert local._left([process.pid]) == ()


def test_a_timeout_is_for_all_commands_together_and_ends_the_whole_group(tmp_path, run):
    start = time.monotonic()
    done = run(["sleep 0.6", "sleep 60 & echo $! > pid; sleep 60", "touch no"], timeout=1.0, grace=0.3)
    assert done.timed_out
    assert done.command.startswith("sleep 60 &")
    assert 0.9 < time.monotonic() - start < 10
    assert not runs(int((tmp_path / "pid").read_text()))
    assert not (tmp_path / "no").exists()


def test_what_ends_in_time_is_not_timed_out(run):
    assert not run(["true"], timeout=30.0).timed_out


def test_stop_ends_all_that_runs_and_nothing_begins_afterwards(tmp_path, shown):
    ended = SimpleQueue()
    executor = Local(ENV)
    for number in range(4):
        commands = (f"touch up{number}; sleep 60", f"touch no{number}")
        executor.start(Job(f"s{number}", commands, str(tmp_path), output=shown.fileno()), ended.put)
    while len(list(tmp_path.glob("up*"))) < 4:
        time.sleep(0.01)
    executor.stop()
    assert all(ended.get_nowait().code < 0 for _ in range(4))
    assert not list(tmp_path.glob("no*"))
    executor.start(Job("late", ("touch late",), str(tmp_path)), ended.put)
    ended.get(timeout=60)
    assert not (tmp_path / "late").exists()


INTERRUPTED = """
import os, sys
from queue import SimpleQueue
from mlvc.pipeline.executors.base import Job
from mlvc.pipeline.executors.local import Local
executor, ended = Local(dict(os.environ), grace=float(sys.argv[2])), SimpleQueue()
try:
    executor.start(Job("s", (sys.argv[1],), {root!r}), ended.put)
    ended.get()
except KeyboardInterrupt:
    executor.stop()
    sys.exit(130)
"""


def interrupt(tmp_path, command, grace, *, again=False):
    """Exit code and seconds of a process that gets Ctrl-C as soon as the command has made the file ``up``."""
    code = INTERRUPTED.format(root=str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", code, command, str(grace)], env={**ENV, "PYTHONPATH": str(ROOT)}, cwd=tmp_path
    )
    while not (tmp_path / "up").exists():
        assert process.poll() is None
        time.sleep(0.01)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    if again:
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
    return process.wait(timeout=60), time.monotonic() - start


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


POLITE = """
import os, signal, sys, time
def stop(*_):
    open("stopped", "w").write("gently")
    sys.exit(1)
signal.signal(signal.SIGINT, stop)
open("pid", "w").write(str(os.getpid()))
open("up", "w").close()
time.sleep(100)
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("pid", "w").write(str(os.getpid()))
open("up", "w").close()
time.sleep(100)
"""


@pytest.mark.parametrize("tail", ["", "; true"])
def test_ctrl_c_lets_a_command_end_by_itself(tmp_path, tail):
    (tmp_path / "p.py").write_text(POLITE)
    code, seconds = interrupt(tmp_path, f"{sys.executable} p.py{tail}", 20)
    assert code == 130
    assert seconds < 10
    assert (tmp_path / "stopped").read_text() == "gently"
    assert not runs(int((tmp_path / "pid").read_text()))


def test_what_ignores_ctrl_c_is_asked_to_terminate_before_it_is_killed(tmp_path):
    (tmp_path / "p.py").write_text(
        POLITE.replace("SIGINT, stop", "SIGTERM, stop").replace(
            'open("pid"', 'signal.signal(signal.SIGINT, signal.SIG_IGN)\nopen("pid"', 1
        )
    )
    code, seconds = interrupt(tmp_path, f"exec {sys.executable} p.py", 1)
    assert code == 130
    assert seconds < 10
    assert (tmp_path / "stopped").read_text() == "gently"


def test_ctrl_c_ends_what_does_not_want_to_end(tmp_path):
    (tmp_path / "p.py").write_text(STUBBORN)
    code, seconds = interrupt(tmp_path, f"{sys.executable} p.py; true", 0.3)
    assert code == 130
    assert 0.5 < seconds < 10
    assert not runs(int((tmp_path / "pid").read_text()))


def test_another_ctrl_c_does_not_wait(tmp_path):
    (tmp_path / "p.py").write_text(STUBBORN)
    code, seconds = interrupt(tmp_path, f"{sys.executable} p.py; true", 100, again=True)
    assert code == 130
    assert seconds < 10
    assert not runs(int((tmp_path / "pid").read_text()))


PIPELINE = """
stages:
  first: {cmd: 'cat in > x && echo first >> log', deps: [in], outs: [x]}
  second: {cmd: ['cp x y', 'echo second >> log'], deps: [x], outs: [y]}
"""


@pytest.fixture
def tools(tmp_path):
    hashing = Hashing("xxh128")

    def read(path):
        return (tmp_path / path).read_bytes() if (tmp_path / path).exists() else None

    return Tools(
        DiskTree(tmp_path),
        LockfileStore(str(tmp_path / "mlvc.lock")),
        RunCache(str(tmp_path / "runs"), hashing),
        Local(ENV),
        ParamFiles(read),
        hashing,
        QUIET,
        root=str(tmp_path),
        env=ENV,
    )


def test_reproduction_with_real_files(tmp_path, tools):
    made = graph.build(spec.parse(PIPELINE, "mlvc.yaml"))
    (tmp_path / "in").write_text("1")
    runner.repro(made, tools)
    assert (tmp_path / "log").read_text() == "first\nsecond\n"
    before = (tmp_path / "mlvc.lock").read_bytes(), (tmp_path / "mlvc.lock").stat().st_mtime_ns
    runner.repro(made, tools)
    assert before == ((tmp_path / "mlvc.lock").read_bytes(), (tmp_path / "mlvc.lock").stat().st_mtime_ns)
    (tmp_path / "in").write_text("2")
    runner.repro(made, tools)
    (tmp_path / "in").write_text("1")
    runner.repro(made, tools)
    assert (tmp_path / "log").read_text() == "first\nsecond\n" * 2
    assert (tmp_path / "y").read_text() == "1"
    assert (tmp_path / "mlvc.lock").read_bytes() == before[0]


def test_a_command_that_is_not_found_is_said_clearly(tmp_path, tools):
    made = graph.build(spec.parse("stages:\n  s: {cmd: no-such-program --x, outs: [o]}\n", "mlvc.yaml"))
    error = runner.repro(made, tools).error
    assert isinstance(error, StageFailedError)
    assert error.message == (
        "mlvc.yaml, line 2, column 3: the command of stage 's' names a program that was not found (exit code 127): "
        "no-such-program --x"
    )
    assert not (tmp_path / "mlvc.lock").exists()


KILLED = textwrap.dedent("""
    import sys
    sys.path.insert(0, {root!r})
    from pathlib import Path
    from mlvc.hashing import Hashing
    from mlvc.pipeline import graph, runner, spec
    from mlvc.pipeline.tools import Tools
    from mlvc.pipeline.executors.local import Local
    from mlvc.pipeline.lockfile import LockfileStore
    from mlvc.pipeline.run import RunCache
    from mlvc.pipeline.params import ParamFiles
    from mlvc.progress import QUIET
    from tests.helpers.pipeline import DiskTree
    here, hashing = Path.cwd(), Hashing("xxh128")
    tools = Tools(
        DiskTree(here), LockfileStore(str(here / "mlvc.lock")), RunCache(str(here / "runs"), hashing),
        Local({env!r}), ParamFiles(lambda path: None), hashing, QUIET, root=str(here),
    )
    runner.repro(graph.build(spec.parse(Path("mlvc.yaml").read_text(), "mlvc.yaml")), tools)
""")


def test_after_kill_9_nothing_that_was_finished_runs_again(tmp_path, tools):
    (tmp_path / "in").write_text("1")
    hang = PIPELINE.replace("'cp x y'", "'touch up; test -e go || sleep 5', 'cp x y'")
    (tmp_path / "mlvc.yaml").write_text(hang)
    code = KILLED.format(root=str(ROOT), env=ENV)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env={**ENV, "HOME": str(tmp_path)})
    while not (tmp_path / "up").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    (tmp_path / "go").touch()
    tools.tree.store(["x"])
    runner.repro(graph.build(spec.parse(hang, "mlvc.yaml")), tools)
    assert (tmp_path / "log").read_text() == "first\nsecond\n"
    assert (tmp_path / "y").read_text() == "1"


def test_an_interruption_while_a_command_is_started_leaves_no_process(tmp_path, monkeypatch, tools):
    started = []
    real = subprocess.Popen

    def popen(*args, **kwargs):
        process = real(*args, **kwargs)
        started.append(process)
        os.kill(os.getpid(), signal.SIGINT)  # before anybody has the process in hand
        return process

    monkeypatch.setattr(subprocess, "Popen", popen)
    made = graph.build(spec.parse("stages:\n  s: {cmd: sleep 60, outs: [o]}\n", "mlvc.yaml"))
    with pytest.raises(KeyboardInterrupt):
        runner.repro(made, tools)
    assert started[0].wait(20) < 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
