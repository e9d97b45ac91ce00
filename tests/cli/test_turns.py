"""Two commands at once in one working tree."""

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

from mlvc.files import turn
from tests.helpers import SOURCES, git, run_mlvc, shell

FILES = 3000


@contextmanager
def started(root: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-m", "mlvc", *args]
    with subprocess.Popen(
        command, cwd=root, env=os.environ | {"PYTHONPATH": SOURCES}, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def waiting(process: subprocess.Popen[str]) -> None:
    """It says that it waits, and does."""
    assert process.stderr is not None
    assert "waiting for another mlvc command" in process.stderr.readline()
    assert process.poll() is None


def inodes(folder: Path) -> dict[str, int]:
    """What is told of files that are replaced, and quickly."""
    with os.scandir(folder) as entries:
        return {entry.name: entry.inode() for entry in entries}


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A directory with two versions, the second of which is here; the text of the Pointer for each."""
    root = shell.project(tmp_path / "project")
    texts = {}
    for version in ("one", "two"):
        shell.write(root, {f"many/{number}": f"{version} {number}".encode() for number in range(FILES)})
        run_mlvc("add", "many", cwd=root)
        texts[version] = (root / "many.mlvc").read_text()
    return root, texts


def test_commit_takes_in_no_half_of_a_checkout(versions: tuple[Path, dict[str, str]]) -> None:
    root, texts = versions
    (root / "many.mlvc").write_text(texts["one"])
    before = inodes(root / "many")
    with started(root, "checkout") as checkout:
        while checkout.poll() is None and inodes(root / "many") == before:
            time.sleep(0.001)
        checkout.send_signal(signal.SIGSTOP)
        half = len(inodes(root / "many").items() - before.items())
        assert 0 < half < FILES, "the checkout was too fast to be stopped in the middle"
        with started(root, "commit") as commit:
            waiting(commit)
            checkout.send_signal(signal.SIGCONT)
            assert checkout.wait() == 0
            assert commit.wait() == 0
    assert (root / "many.mlvc").read_text() == texts["one"]


def test_who_changes_files_waits_for_who_takes_them_in_and_those_go_together(tmp_path: Path) -> None:
    root = shell.project(tmp_path / "project")
    shell.write(root, {"new": b"new"})
    place = str(root / ".git/mlvc/working")
    with turn(place, together=True):
        run_mlvc("add", "new", cwd=root)
        run_mlvc("commit", cwd=root)
        for args in (["checkout"], ["move", "new", "newer"], ["remove", "new"], ["unprotect", "new"]):
            with started(root, *args) as process:
                waiting(process)
    for args in (["status"], ["diff"], ["checkout", "--dry-run"], ["remove", "new", "--dry-run"], ["gc"]):
        with turn(place):
            run_mlvc(*args, cwd=root)
    with turn(place), started(root, "pull", "-q", "--force") as process:
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)  # one that waits can be stopped
        assert process.wait() != 0
    assert git("status", "--porcelain", "new", cwd=root) == ""


def test_repro_waits_with_what_it_puts_into_the_working_tree(tmp_path: Path) -> None:
    root = shell.project(tmp_path / "project")
    (root / "mlvc.yaml").write_text(
        "stages:\n  copy:\n    cmd: cp data/one.txt out\n    deps: [data]\n    outs: [out]\n"
    )
    run_mlvc("repro", cwd=root)
    (root / "out").unlink()
    with turn(str(root / ".git/mlvc/working"), together=True), started(root, "repro") as process:
        assert process.stderr is not None
        assert "Restoring stage 'copy'" in process.stderr.readline()
        waiting(process)
        assert not (root / "out").exists()
    assert run_mlvc("repro", cwd=root).code == 0
    assert (root / "out").read_bytes() == b"one\n"


def test_a_process_that_was_forked_meanwhile_holds_nothing(tmp_path: Path) -> None:
    place = str(tmp_path / "held")
    with turn(place):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
    try:
        told: list[str] = []
        with turn(place, waits=lambda: told.append("waits")):
            assert told == []
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
