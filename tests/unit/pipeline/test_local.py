"""The local Executor, and reproduction with it: real processes, real files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import mlvc
from mlvc.errors import PipelineError, StageFailedError, SystemFailureError
from mlvc.hashing import Hashing
from mlvc.pipeline import graph, runner, spec
from mlvc.pipeline.executors.local import Ended, Local
from mlvc.pipeline.lockfile import LockfileStore
from mlvc.pipeline.params import ParamFiles
from mlvc.pipeline.run import RunCache
from mlvc.pipeline.runner import Tools
from mlvc.progress import QUIET
from tests.helpers.pipeline import DiskTree

ROOT = Path(mlvc.__file__).parents[1]
ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def shown(tmp_path):
    with (tmp_path / "shown").open("w+b") as file:
        yield file


def local(tmp_path, shown, **named):
    return Local(str(tmp_path), named.pop("env", ENV), shown.fileno(), **named)


def text(shown):
    return Path(shown.name).read_text()


def test_commands_run_in_turn_in_their_directory_with_the_given_environment(tmp_path, shown):
    (tmp_path / "w").mkdir()
    done = local(tmp_path, shown, env={**ENV, "A": "b"}).run(["pwd", "echo $A; echo err >&2"], "w")
    assert done == Ended(0, "echo $A; echo err >&2")
    assert text(shown) == f"{tmp_path}/w\nb\nerr\n"


def test_nothing_of_our_own_environment_gets_in(tmp_path, shown, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    local(tmp_path, shown).run(["echo .$SECRET."], "")
    assert text(shown) == "..\n"


def test_the_first_failure_is_the_last_command(tmp_path, shown):
    assert local(tmp_path, shown).run(["echo a", "exit 3", "echo b"], "") == Ended(3, "exit 3")
    assert text(shown) == "a\n"


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("./shown", 126), ("kill -9 $$", -9)])
def test_how_a_command_ended(tmp_path, shown, command, code):
    assert local(tmp_path, shown).run([command], "").code == code


def test_a_command_has_nothing_to_read(tmp_path, shown):
    assert local(tmp_path, shown).run(["cat"], "").code == 0


def test_a_missing_directory_and_a_missing_shell_are_named(tmp_path, shown):
    with pytest.raises(PipelineError, match="the working directory 'w' is not there"):
        local(tmp_path, shown).run(["true"], "w")
    with pytest.raises(SystemFailureError, match="the shell cannot be started"):
        local(tmp_path, shown, shell="/no/such/shell").run(["true"], "")


def test_another_shell(tmp_path, shown):
    local(tmp_path, shown, shell="/bin/bash").run(["[[ a == a ]] && echo $BASH_VERSION | wc -l"], "")
    assert text(shown).strip() == "1"


INTERRUPTED = """
import os, sys
from mlvc.pipeline.executors.local import Local
try:
    Local({root!r}, dict(os.environ), grace=float(sys.argv[2])).run([sys.argv[1]], "")
except KeyboardInterrupt:
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
def tools(tmp_path, shown):
    hashing = Hashing("xxh128")

    def read(path):
        return (tmp_path / path).read_bytes() if (tmp_path / path).exists() else None

    return Tools(
        DiskTree(tmp_path),
        LockfileStore(str(tmp_path / "mlvc.lock")),
        RunCache(str(tmp_path / "runs"), hashing),
        local(tmp_path, shown),
        ParamFiles(read),
        hashing,
        QUIET,
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
        "the command of stage 's' names a program that was not found (exit code 127): no-such-program --x"
    )
    assert not (tmp_path / "mlvc.lock").exists()


KILLED = textwrap.dedent("""
    import sys
    sys.path.insert(0, {root!r})
    from pathlib import Path
    from mlvc.hashing import Hashing
    from mlvc.pipeline import graph, runner, spec
    from mlvc.pipeline.executors.local import Local
    from mlvc.pipeline.lockfile import LockfileStore
    from mlvc.pipeline.run import RunCache
    from mlvc.pipeline.params import ParamFiles
    from mlvc.progress import QUIET
    from tests.helpers.pipeline import DiskTree
    here, hashing = Path.cwd(), Hashing("xxh128")
    tools = runner.Tools(
        DiskTree(here), LockfileStore(str(here / "mlvc.lock")), RunCache(str(here / "runs"), hashing),
        Local(str(here), {env!r}), ParamFiles(lambda path: None), hashing, QUIET,
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


def test_an_interruption_while_a_command_is_started_leaves_no_process(tmp_path, monkeypatch):
    started = []
    real = subprocess.Popen

    def popen(*args, **kwargs):
        process = real(*args, **kwargs)
        started.append(process)
        os.kill(os.getpid(), signal.SIGINT)  # before anybody has the process in hand
        return process

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt):
        Local(str(tmp_path), dict(os.environ), grace=5).run(["sleep 60"], "")
    assert started[0].wait(1) < 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
