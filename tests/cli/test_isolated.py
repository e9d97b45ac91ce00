"""``repro --isolated`` and ``repro --check-deterministic``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import SOURCES, git, run_mlvc, shell


def pipeline(root: Path, *stages: str) -> None:
    (root / "mlvc.yaml").write_text("stages:\n" + "".join(f"  {stage}\n" for stage in stages))


def left(root: Path) -> list[str]:
    """What is left of directories for stages."""
    return [str(path) for path in (root / ".git/mlvc/tmp").rglob("*")]


def test_only_what_is_declared_is_there(project: Path) -> None:
    shell.write(project, {"code/run.sh": b"cat data/one.txt > out/made/$1\n", "params.yaml": b"n: 1\n", "x.py": b""})
    pipeline(
        project,
        "list: {cmd: 'cd ..; find . | LC_ALL=C sort > $SEEN; mkdir out/made; sh code/run.sh a', wdir: w, "
        "deps: [../code, ../data/sub, ../data/one.txt], params: [../params.yaml: [n]], outs: [../out/made]}",
    )
    (project / "w").mkdir()
    run_mlvc("repro", "--isolated", cwd=project, env={"SEEN": str(project.parent / "seen")})
    assert (project / "out/made/a").read_bytes() == b"one\n"
    assert (project.parent / "seen").read_text().split("\n")[:-1] == [
        *(".", "./code", "./code/run.sh", "./data", "./data/one.txt", "./data/sub", "./data/sub/four file.txt"),
        *("./data/sub/three.txt", "./out", "./params.yaml", "./w"),
    ]
    assert left(project) == []
    # It is the same Run, wherever it was made.
    assert "1 unchanged" in run_mlvc("repro", cwd=project).err


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("cat helper.txt > out", "helper.txt"),
        ("cat sub/../helper.txt > out", "helper.txt"),
        ("cat nowhere > out", "with --isolated a command finds only what its stage declares"),
    ],
)
def test_an_undeclared_input_fails_and_is_named(project: Path, command: str, named: str) -> None:
    shell.write(
        project,
        {"helper.txt": b"h", "sub/x": b""},
    )
    pipeline(project, f"s: {{cmd: '{command}', deps: [sub/x], outs: [out]}}")
    if "nowhere" not in command:
        run_mlvc("repro", cwd=project)
    result = run_mlvc("repro", "-f", "--isolated", cwd=project, check=False)
    assert result.code == 7
    shell.ends(result, "'s'", "--isolated", named)
    assert left(project) == []


def test_a_module_of_python_is_named(project: Path) -> None:
    shell.write(project, {"run.py": b"import tool\nopen('out', 'w')\n", "tool.py": b""})
    pipeline(project, "s: {cmd: python3 run.py, deps: [run.py], outs: [out]}")
    result = run_mlvc("repro", "--isolated", cwd=project, check=False)
    assert result.code == 7
    assert "hint: its output names tool.py, which the stage does not declare" in result.err


def test_what_a_failed_command_left_is_kept_aside(project: Path) -> None:
    pipeline(project, "s: {cmd: 'echo half > out; exit 3', outs: [out]}")
    result = run_mlvc("repro", "--isolated", cwd=project, check=False)
    shell.ends(result, "exit code 3", "kept in")
    assert not (project / "out").exists()
    assert [path.read_text() for path in (project / ".git/mlvc/aside").rglob("out")] == ["half\n"]


def test_an_input_that_is_written_to(project: Path) -> None:
    pipeline(project, "s: {cmd: 'echo more >> data/one.txt; echo x > out', deps: [data], outs: [out]}")
    result = run_mlvc("repro", "--isolated", cwd=project, check=False)
    shell.ends(result, "'data/one.txt' changed while stage 's' ran")
    assert (project / "data/one.txt").read_bytes() == b"one\n"
    assert not (project / "out").exists()


def test_an_output_that_persists_is_found_and_comes_back(project: Path) -> None:
    pipeline(
        project, "s: {cmd: 'mkdir -p log; echo x > log/$(ls log | wc -l)', deps: [data], outs: [log: {persist: true}]}"
    )
    run_mlvc("repro", "--isolated", cwd=project)
    run_mlvc("repro", "--isolated", "-f", cwd=project)
    assert sorted(shell.tree(project / "log")) == ["0", "1"]
    pipeline(project, "s: {cmd: 'rm log/*; exit 1', deps: [data], outs: [log: {persist: true}]}")
    assert run_mlvc("repro", "--isolated", "-f", cwd=project, check=False).code == 7
    assert sorted(shell.tree(project / "log")) == ["0", "1"]


@pytest.mark.parametrize("links", ["hardlink", "symlink", "copy"])
def test_large_files_patterns_and_links(project: Path, links: str) -> None:
    run_mlvc("config", "core.link", f"{links},copy", cwd=project)
    run_mlvc("checkout", "--relink", cwd=project)
    (project / "linked").symlink_to("data/one.txt")
    pipeline(
        project,
        "s: {cmd: 'cat model.bin data/*.txt linked | wc -c > out; find data -type f | wc -l >> out', "
        "deps: [model.bin, 'data/*.txt', linked], outs: [out]}",
    )
    run_mlvc("repro", "--isolated", cwd=project)
    assert (project / "out").read_text().split() == [str(len(shell.LARGE) + 4 + 4 + 4), "2"]


@pytest.mark.parametrize("links", ["hardlink", "symlink"])
def test_a_command_that_writes_to_a_linked_input_harms_nothing(project: Path, links: str) -> None:
    run_mlvc("config", "core.link", links, cwd=project)
    run_mlvc("checkout", "--relink", cwd=project)
    pipeline(
        project, "s: {cmd: 'chmod u+w model.bin; echo x >> model.bin; echo > out', deps: [model.bin], outs: [out]}"
    )
    result = run_mlvc("repro", "--isolated", cwd=project, check=False)
    shell.ends(result, "'model.bin' changed while stage 's' ran")
    assert (project / "model.bin").read_bytes() == shell.LARGE
    assert run_mlvc("fsck", cwd=project).code == 0


def test_several_at_a_time_and_what_follows_from_them(project: Path) -> None:
    names = ["a", "b", "c", "d"]
    stages = [
        f"{name}: {{cmd: 'test $(ls | wc -l) = 1; cat data/one.txt > {name}', deps: [data/one.txt], outs: [{name}]}}"
        for name in names
    ]
    pipeline(project, *stages, "e: {cmd: 'cat a b c d > e', deps: [a, b, c, d], outs: [e]}")
    run_mlvc("repro", "--isolated", "-j", "3", cwd=project)
    assert (project / "e").read_text() == "one\n" * 4


# -- twice ---------------------------------------------------------------------------------------


def test_a_stage_that_makes_the_same_twice(project: Path) -> None:
    pipeline(
        project,
        "a: {cmd: 'echo a >> $LOG; mkdir a; cat data/one.txt > a/x', deps: [data/one.txt], outs: [a]}",
        "b: {cmd: 'echo b >> $LOG; cat a/x > b', deps: [a], outs: [b: {cache: false}]}",
        "c: {cmd: 'echo c >> c', outs: [c: {persist: true}]}",
    )
    log = project.parent / "log"
    run_mlvc("repro", "--check-deterministic", cwd=project, env={"LOG": str(log)})
    assert log.read_text().split() == ["a", "a", "b", "b"]
    assert (project / "c").read_text() == "c\n"
    run_mlvc("repro", "--check-deterministic", "-f", "-j", "2", "--isolated", cwd=project, env={"LOG": str(log)})
    assert (project / "c").read_text() == "c\nc\n"
    assert left(project) == []
    assert "3 unchanged" in run_mlvc("repro", "--check-deterministic", cwd=project).err


@pytest.mark.parametrize("option", [[], ["--isolated"]])
def test_a_stage_that_does_not_is_told_down_to_the_file(project: Path, option: list[str]) -> None:
    pipeline(
        project,
        "s: {cmd: 'mkdir out; echo same > out/same; echo $$ > out/process; date +%N > out/time; echo $$ > file', "
        "outs: [out, file]}",
        "after: {cmd: cp file after, deps: [file], outs: [after]}",
    )
    result = run_mlvc("repro", "--check-deterministic", *option, cwd=project, check=False)
    assert result.code == 7
    shell.ends(result, "stage 's' is not deterministic: it made another 'out' (process, time), file the second time")
    (kept,) = (project / ".git/mlvc/aside").rglob("file")
    assert sorted(shell.tree(kept.parent / "out")) == ["process", "same", "time"]
    assert not (project / "out").exists()
    assert not json.loads(
        (project / "mlvc.lock").read_text() if (project / "mlvc.lock").exists() else '{"stages": {}}'
    )["stages"]
    # It is not taken from the run cache either.
    assert "1 failed" in run_mlvc("repro", "--check-deterministic", cwd=project, check=False).err


def test_the_second_time_finds_only_what_is_declared(project: Path) -> None:
    shell.write(project, {"helper.txt": b"h"})
    pipeline(project, "s: {cmd: 'cat helper.txt > out', outs: [out], deps: [data]}")
    result = run_mlvc("repro", "--check-deterministic", cwd=project, check=False)
    shell.ends(result, "'s' failed with exit code 1 the second time: cat helper.txt", "kept in")
    assert "hint: its output names helper.txt, which the stage does not declare: the second time only" in result.err
    assert "--isolated" not in result.err
    pipeline(project, "s: {cmd: 'test -e helper.txt; echo $? > out; test -e helper.txt', outs: [out], deps: [data]}")
    result = run_mlvc("repro", "--check-deterministic", cwd=project, check=False)
    shell.ends(result, "exit code 1 the second time", "the first time it ended well, and the second time only what is")


def test_the_second_time_has_an_event_of_its_own(project: Path) -> None:
    pipeline(project, "s: {cmd: 'echo x > out', outs: [out], deps: [data]}")
    result = run_mlvc("repro", "--check-deterministic", "--json", cwd=project)
    events = [json.loads(line) for line in result.out.splitlines()]
    started = [(event["try"], event.get("second")) for event in events if event["event"] == "started"]
    assert started == [(1, None), (1, True)]


def test_what_came_out_the_second_time_and_cannot_be_read_is_told_with_its_stage(project: Path) -> None:
    pipeline(project, "s: {cmd: 'mkdir out; ln -s /etc out/link', outs: [out]}")
    result = run_mlvc("repro", "--check-deterministic", cwd=project, check=False)
    shell.ends(result, "mlvc.yaml, line 2, column 3: what stage 's' made", "out/link is a symbolic link that leaves")


@pytest.mark.parametrize("named", [False, True])
def test_git_finds_no_repository_there(project: Path, named: bool) -> None:
    """What it would say of one is an input that nobody declared."""
    pipeline(project, "s: {cmd: 'git rev-parse --git-dir > ../out', wdir: w, outs: [../out]}")
    (project / "w").mkdir()
    env = {"GIT_DIR": str(project / ".git")} if named else {}
    run_mlvc("repro", cwd=project, env=env)
    for option in ("--isolated", "--check-deterministic"):
        result = run_mlvc("repro", "-f", option, cwd=project, env=env, check=False)
        shell.ends(result, "failed with exit code 128")
        assert "fatal: not a git repository" in result.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_is_interrupted_leaves_nothing(project: Path, number: int) -> None:
    up = project.parent / "up"
    pipeline(project, f"s: {{cmd: 'echo $$ > {up}; exec sleep 60', deps: [data], outs: [out]}}")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlvc", "repro", "--isolated"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": SOURCES},
        stderr=subprocess.DEVNULL,
    )
    while not (up.exists() and up.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    assert left(project)
    process.send_signal(number)
    process.wait(timeout=60)
    if number == signal.SIGKILL:
        os.killpg(int(up.read_text()), signal.SIGKILL)
        pipeline(project, "s: {cmd: 'echo x > out', deps: [data], outs: [out]}")
        run_mlvc("repro", "--isolated", cwd=project)
    assert left(project) == []
    assert git("status", "--porcelain", "--", "data", cwd=project) == ""


def test_what_appeared_at_an_output_meanwhile_is_kept_aside(project: Path) -> None:
    pipeline(
        project, f"s: {{cmd: 'mkdir -p out {project}/out; echo mine > {project}/out/x; echo x > out/x', outs: [out]}}"
    )
    result = run_mlvc("repro", "--isolated", cwd=project)
    assert (project / "out/x").read_text() == "x\n"
    assert "What stood at out was stored nowhere" in result.err
