"""Ctrl-C before and after what a command does, and signals that stand for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers import SOURCES, make_git_repo, run, run_mlvc

TOLD = "mlvc: interrupted; nothing is lost, run the command again to go on\n"
AT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *rest):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from mlvc.__main__ import entry
sys.argv = ["mlvc", "status"]
entry()
"""


@pytest.mark.parametrize("name", ["mlvc.cli.main", "mlvc.errors", "mlvc.cli.terminal", "mlvc.cli.words", "mlvc.repo"])
def test_ctrl_c_while_mlvc_starts(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-P", "-c", AT.format(name=name)]
    done = run(command, cwd=tmp_path, env={"PYTHONPATH": SOURCES}, check=False)
    assert (done.code, done.out, done.err) == (130, "", TOLD)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = make_git_repo(tmp_path / "repo")
    run_mlvc("init", cwd=root)
    return root


SLOW = "stages: {slow: {cmd: 'trap : INT; touch up; while :; do sleep 0.1; done'}}\n"


@contextmanager
def started(root: Path, *before: str) -> Iterator[subprocess.Popen[str]]:
    (root / "mlvc.yaml").write_text(SLOW)
    command = [*before, sys.executable, "-P", "-m", "mlvc", "repro"]
    env = os.environ | {"PYTHONPATH": SOURCES}
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True, env=env) as process:
        while not (root / "up").exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield process


def test_what_ignores_ctrl_c_is_named(repo: Path) -> None:
    with started(repo) as process:
        assert process.stderr
        process.send_signal(signal.SIGINT)
        lines = [process.stderr.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == TOLD
    assert process.returncode == 130
    assert lines == [
        "Running stage 'slow': it names neither a dependency nor an output; never run\n",
        "waiting for stage 'slow' to end; another Ctrl-C ends it sooner\n",
    ]


def test_nohup_keeps_a_hang_up_away(repo: Path) -> None:
    with started(repo, "nohup") as process:
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
    assert process.returncode == 130
