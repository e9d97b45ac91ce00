"""``repro``, ``stage`` and ``dag``: every option, with its effect."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.helpers import SOURCES, Result, git, run_mlvc, shell

PIPELINE = """\
# The whole of it.
stages:
  upper:
    cmd: echo upper >> log; tr a-z A-Z < data/one.txt > upper.txt
    deps: [data/one.txt]
    outs: [upper.txt]
  repeat:
    cmd: echo repeat >> log; cat upper.txt upper.txt > twice.txt
    deps: [upper.txt]
    params: [times]
    outs: [twice.txt]
  other:
    cmd: echo other >> log; cp model.bin copy.bin
    deps: [model.bin]
    outs: [copy.bin]
"""


@pytest.fixture
def pipeline(project: Path) -> Path:
    shell.write(project, {"mlvc.yaml": PIPELINE.encode(), "params.yaml": b"times: 2\n", ".gitignore": b"/log\n"})
    run_mlvc("add", "data", "model.bin", cwd=project)
    return project


def ran(root: Path, *args: str) -> list[str]:
    """The stages that a command ran."""
    log = root / "log"
    log.unlink(missing_ok=True)
    run_mlvc(*args, cwd=root)
    return log.read_text().split() if log.exists() else []


def test_only_what_changed_runs_and_the_rest_is_restored(pipeline: Path) -> None:
    assert sorted(ran(pipeline, "repro")) == ["other", "repeat", "upper"]
    assert (pipeline / "twice.txt").read_bytes() == b"ONE\nONE\n"
    assert ran(pipeline, "repro") == []
    shell.write(pipeline, {"data/one.txt": b"two\n"})
    assert ran(pipeline, "repro") == ["upper", "repeat"]
    # Early cutoff: another input, the same output.
    shell.write(pipeline, {"data/one.txt": b"TWO\n"})
    assert ran(pipeline, "repro") == ["upper"]
    # The run cache: what ran before is restored.
    shell.write(pipeline, {"data/one.txt": b"one\n"})
    assert ran(pipeline, "repro") == []
    assert (pipeline / "twice.txt").read_bytes() == b"ONE\nONE\n"
    (pipeline / "twice.txt").unlink()
    assert ran(pipeline, "repro") == []
    assert (pipeline / "twice.txt").read_bytes() == b"ONE\nONE\n"
    shell.write(pipeline, {"params.yaml": b"times: 3\n"})
    assert ran(pipeline, "repro") == ["repeat"]


def test_options(pipeline: Path) -> None:
    assert ran(pipeline, "repro", "upper") == ["upper"]
    assert ran(pipeline, "repro", "twice.txt") == ["repeat"]
    assert ran(pipeline, "repro", "--force", "repeat") == ["upper", "repeat"]
    assert ran(pipeline, "repro", "-f", "-s", "repeat") == ["repeat"]
    assert ran(pipeline, "repro", "-f", "--downstream", "upper") == ["upper", "repeat"]
    shell.write(pipeline, {"data/one.txt": b"new\n"})
    run_mlvc("repro", cwd=pipeline)
    shell.write(pipeline, {"data/one.txt": b"one\n"})
    assert ran(pipeline, "repro", "--no-run-cache") == ["upper", "repeat"]
    assert ran(pipeline / "data", "repro", "../twice.txt") == []


def test_keep_going(pipeline: Path) -> None:
    text = PIPELINE.replace("tr a-z A-Z < data/one.txt > upper.txt", "exit 5")
    (pipeline / "mlvc.yaml").write_text(text)
    result = run_mlvc("repro", "-k", cwd=pipeline, check=False)
    assert result.code == 7
    assert (pipeline / "copy.bin").exists()
    shell.ends(result, "'upper'", "exit code 5")


def test_dry_run_says_why_and_changes_nothing(pipeline: Path) -> None:
    run_mlvc("repro", cwd=pipeline)
    shell.write(pipeline, {"data/one.txt": b"new\n"})
    before = shell.image(pipeline, git_index=True)
    out = run_mlvc("repro", "--dry-run", cwd=pipeline).out
    assert "data/one.txt" in next(line for line in out.splitlines() if line.startswith("upper:"))
    shown = json.loads(run_mlvc("repro", "--dry", "--json", cwd=pipeline).out)
    assert {item["stage"] for item in shown} == {"upper", "repeat", "other"}
    assert set(shown[0]) == {"stage", "action", "reasons"}
    assert shell.image(pipeline, git_index=True) == before


def events(result: Result, kind: str = "finished") -> list[dict[str, Any]]:
    """The lines of one kind that ``repro --json`` printed."""
    return [event for event in map(json.loads, result.out.splitlines()) if event["event"] == kind]


def test_json_is_a_line_for_each_event_and_all_that_stdout_has(pipeline: Path) -> None:
    (pipeline / "mlvc.yaml").write_text(PIPELINE.replace("echo upper >> log", "echo noise; printf more"))
    result = run_mlvc("repro", "--json", "upper", cwd=pipeline)
    assert [json.loads(line) for line in result.out.splitlines()] == [
        {"event": "planned", "stage": "upper", "action": "run", "reasons": ["never run"]},
        {"event": "started", "stage": "upper", "reasons": ["never run"], "try": 1},
        {"event": "line", "stage": "upper", "text": "noise"},
        {"event": "line", "stage": "upper", "text": "more"},
        {"event": "finished", "stage": "upper", "outcome": "ran", "reasons": ["never run"], "seconds": mock.ANY},
        {"event": "summary", "counts": {"ran": 1}, "error": None},
    ]
    assert "noise" not in result.err


@pytest.mark.parametrize("keep_going", [False, True])
def test_json_tells_of_a_failure_too(pipeline: Path, keep_going: bool) -> None:
    (pipeline / "mlvc.yaml").write_text(
        PIPELINE.replace("cat upper.txt upper.txt", "exit 5").replace("cp model", "exit 6")
    )
    result = run_mlvc("repro", "--json", *(["-k"] if keep_going else []), cwd=pipeline, check=False)
    told = {item["stage"]: item["outcome"] for item in events(result)}
    assert told == {"upper": "ran", "repeat": "failed"} | ({"other": "failed"} if keep_going else {})
    assert result.code == 7
    shell.ends(result, "'repeat'", "exit code 5", *(["failed too: other"] if keep_going else []))
    # What was finished is tracked as after any other run.
    assert '"upper.txt"' in (pipeline / ".git/mlvc/placed").read_text()
    assert '"twice.txt"' not in (pipeline / ".git/mlvc/placed").read_text()


def test_outputs_travel_with_the_commit(pipeline: Path) -> None:
    run_mlvc("repro", cwd=pipeline)
    shell.commit(pipeline)
    assert "upper.txt" not in git("ls-files", cwd=pipeline).split()
    run_mlvc("push", cwd=pipeline)
    clone = shell.clone(pipeline)
    run_mlvc("pull", cwd=clone)
    assert (clone / "twice.txt").read_bytes() == b"ONE\nONE\n"
    assert ran(clone, "repro") == []
    assert run_mlvc("status", "--exit-code", cwd=clone).code == 0


def started(*args: str, cwd: Path) -> subprocess.Popen[str]:
    """mlvc, begun; its output can be read."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mlvc", *args],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": SOURCES, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def hanging(pipeline: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A reproduction whose command has begun and waits for the file ``go``."""
    text = (
        "stages:\n  hang: {cmd: 'touch out up; while ! test -e go; do sleep 0.05; done; echo x > out', outs: [out]}\n"
    )
    (pipeline / "mlvc.yaml").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlvc", "repro"], cwd=pipeline, env=os.environ | {"PYTHONPATH": SOURCES}
    )
    while not (pipeline / "up").exists():
        assert process.poll() is None
        time.sleep(0.01)
    yield process
    (pipeline / "go").touch()
    process.wait(timeout=60)


@pytest.mark.skipif(sys.platform == "win32", reason="a file cannot be handed on")
def test_a_command_that_outlives_its_mlvc_is_waited_for(pipeline: Path, hanging: subprocess.Popen[bytes]) -> None:
    hanging.kill()
    hanging.wait()
    assert run_mlvc("status", cwd=pipeline).code == 0
    with started("repro", cwd=pipeline) as again:
        told = again.stderr.readline()
        assert told.startswith(
            "Stage 'hang' waits for stage 'hang', which a killed `mlvc repro` left running (process "
        )
        group = int(told.rpartition(" ")[2].rstrip(")\n"))
        assert os.getpgid(group) == group
        (pipeline / "go").touch()
        assert "Running stage 'hang'" in again.communicate(timeout=60)[1]
    assert (again.returncode, (pipeline / "out").read_text()) == (0, "x\n")
    assert os.listdir(pipeline / ".git/mlvc/claims") == ["guard"]


def test_ctrl_c_while_a_command_runs(pipeline: Path, hanging: subprocess.Popen[bytes]) -> None:
    hanging.send_signal(signal.SIGINT)
    assert hanging.wait(timeout=60) == 130
    assert os.listdir(pipeline / ".git/mlvc/claims") == ["guard"]
    assert not (pipeline / "mlvc.lock").exists()
    (pipeline / "go").touch()
    run_mlvc("repro", cwd=pipeline)
    assert (pipeline / "out").read_text() == "x\n"


def test_what_works_on_the_same_waits_and_then_does_nothing_again(
    pipeline: Path, hanging: subprocess.Popen[bytes]
) -> None:
    with started("repro", "--json", cwd=pipeline) as second:
        waiting = [json.loads(second.stdout.readline()) for _ in range(2)][1]
        cause = f"stage 'hang' of another `mlvc repro` (process {hanging.pid})"
        assert waiting == {"event": "waiting", "stage": "hang", "cause": cause}
        (pipeline / "go").touch()
        out = second.communicate(timeout=60)[0]
    assert hanging.wait(timeout=60) == 0
    assert [json.loads(line)["outcome"] for line in out.splitlines()[:-1]] == ["unchanged"]


def test_two_that_do_not_overlap_run_side_by_side_and_both_are_recorded(
    pipeline: Path, hanging: subprocess.Popen[bytes]
) -> None:
    text = (pipeline / "mlvc.yaml").read_text()
    (pipeline / "mlvc.yaml").write_text(text + "  beside: {cmd: echo > beside.txt, outs: [beside.txt]}\n")
    run_mlvc("repro", "beside", cwd=pipeline)
    assert hanging.poll() is None
    (pipeline / "go").touch()
    assert hanging.wait(timeout=60) == 0
    assert set(json.loads((pipeline / "mlvc.lock").read_text())["stages"]) == {"hang", "beside"}
    assert run_mlvc("repro", cwd=pipeline).err.strip() == "pipeline: 2 unchanged"


@pytest.mark.parametrize("end", ["", "; exit 3", "; test -e again || { touch again; false; }"])
def test_what_a_command_leaves_in_the_background_is_not_waited_for_and_told(pipeline: Path, end: str) -> None:
    command = f"sleep 60 > /dev/null 2>&1 & echo $! >> pids; echo $$ >> groups; echo > out{end}"
    retries = 1 if "again" in end else 0
    stages = {"s": {"cmd": [command, "true"], "outs": ["out"], "retries": retries}, "t": {"cmd": "true & true"}}
    (pipeline / "mlvc.yaml").write_text(json.dumps({"stages": stages}))
    try:
        result = run_mlvc("repro", "-q", "-k", cwd=pipeline, check=False)
        group = (pipeline / "groups").read_text().splitlines()[0]
        (told,) = (line for line in result.err.splitlines() if "background" in line)
        assert told.startswith(f"mlvc: stage 's' left something running in the background (process group {group})")
        assert f"`kill -- -{group}` ends it" in result.err
        assert result.code == (7 if "exit" in end else 0)
        if not end:
            assert run_mlvc("repro", "s", cwd=pipeline).err == "pipeline: 1 unchanged\n"
            forced = run_mlvc("repro", "s", "--force", "--json", cwd=pipeline)
            (event,) = events(forced, "left")
            assert event["groups"] == [int((pipeline / "groups").read_text().splitlines()[1])]
    finally:
        for pid in (pipeline / "pids").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


# -- stage and dag -----------------------------------------------------------------------------


def test_stage_add_with_every_option(project: Path) -> None:
    (project / "mlvc.yaml").write_text("# kept\nstages:\n  first:\n    cmd: 'true'  # kept too\n")
    shell.write(project, {"params.yaml": b"lr: 1\ndepth: 2\n", "more.json": b'{"a": 1}', "sub/x": b""})
    run_mlvc(
        *("stage", "add", "-n", "train", "-d", "data", "--deps", "model.bin", "-o", "out.bin", "-O", "small.txt"),
        *("--outs-persist", "state", "-p", "lr,depth", "-p", "more.json:a", "-m", "m.json", "-M", "n.json"),
        *("-w", ".", "--desc", "Trains it", "--always-changed", "python", "train.py", "--flag", "two words"),
        cwd=project,
    )
    text = (project / "mlvc.yaml").read_text()
    assert text.startswith("# kept\nstages:\n  first:\n    cmd: 'true'  # kept too\n")
    for part in (
        "python train.py --flag 'two words'",
        "data",
        "persist: true",
        "cache: false",
        "more.json",
        "Trains it",
    ):
        assert part in text
    stages = {item["name"]: item for item in json.loads(run_mlvc("stage", "list", "--json", cwd=project).out)}
    assert stages["train"]["cmd"] == ["python train.py --flag 'two words'"]
    assert {"data", "model.bin"} <= set(stages["train"]["deps"])
    assert {"out.bin", "small.txt", "state", "m.json", "n.json"} <= set(stages["train"]["outs"])
    assert "train  Trains it" in run_mlvc("stage", "list", cwd=project).out
    ignored = (project / ".gitignore").read_text().split()
    assert "/out.bin" in ignored
    assert "/small.txt" not in ignored
    shell.refused(run_mlvc("stage", "add", "-n", "train", "true", cwd=project, check=False), 2, "train", "--force")
    run_mlvc("stage", "add", "-f", "-n", "train", "-o", "out.bin", "touch out.bin", cwd=project)
    assert ran(project, "repro", "train") == []
    assert (project / "out.bin").exists()


def test_stage_add_takes_each_kind_of_output_and_what_is_said_of_items(project: Path) -> None:
    shell.write(project, {"params.yaml": b"lr: 1\n"})
    run_mlvc(
        *("stage", "add", "-n", "s", "--outs-persist-no-cache", "kept", "--plots", "p.csv", "--plots-no-cache"),
        *("q.csv", "--timeout", "10m", "--retries", "2", "--resource", "gpu=1", "--when", "lr > 0", "true"),
        cwd=project,
    )
    run_mlvc(
        *("stage", "add", "-n", "t", "--each", "data/*.txt", "--batch", "16", "-o", "made", "sh run.sh ${items}"),
        cwd=project,
    )
    *_, s, t = json.loads(run_mlvc("stage", "list", "--json", cwd=project).out)
    assert [(out["path"], out["role"], out["cache"], out["persist"]) for out in s["outputs"]] == [
        ("kept", "outs", False, True),
        ("p.csv", "plots", True, False),
        ("q.csv", "plots", False, False),
    ]
    assert (s["timeout"], s["retries"], s["resources"], s["skip"]) == (600, 2, {"gpu": 1}, "")
    assert (t["each"], t["batch"]) == ("data/*.txt", 16)
    before = shell.image(project)
    done = run_mlvc("stage", "add", "-n", "u", "--batch", "2", "-o", "x", "true", cwd=project, check=False)
    shell.refused(done, 2, "'batch' is of no use without 'each'")
    assert shell.image(project) == before


def test_stage_add_runs_the_stage_if_asked_and_no_other(pipeline: Path) -> None:
    shell.write(pipeline, {"sub/x": b""})
    told = run_mlvc("stage", "add", "-n", "upper", "-o", "new", "--run", "echo new > new", cwd=pipeline / "sub").err
    assert "stage 'upper' is in sub/mlvc.yaml" in told
    assert "Running stage 'sub/mlvc.yaml:upper': never run" in told
    assert "hint: run it" not in told
    assert (pipeline / "sub/new").exists()
    assert not (pipeline / "upper.txt").exists()
    args = ("stage", "add", "-n", "fails", "--run", "exit 3")
    shell.refused(run_mlvc(*args, cwd=pipeline, check=False), 7, "failed with exit code 3")
    assert "fails" in run_mlvc("stage", "list", cwd=pipeline).out


def test_stage_add_that_makes_no_sense_changes_nothing(pipeline: Path) -> None:
    before = shell.image(pipeline)
    for args in (
        ["-n", "new", "-o", "upper.txt"],
        ["-n", "a/b", "-o", "x"],
        ["-n", "new", "-d", "twice.txt", "-o", "data/one.txt"],
    ):
        result = run_mlvc("stage", "add", *args, "true", cwd=pipeline, check=False)
        shell.refused(result, 2, hint=False)
    assert shell.image(pipeline) == before


def test_dag(pipeline: Path) -> None:
    assert json.loads(run_mlvc("dag", "--json", cwd=pipeline).out) == {
        "stages": ["upper", "repeat", "other"],
        "edges": [["upper", "repeat"]],
    }
    assert json.loads(run_mlvc("dag", "--json", "other", cwd=pipeline).out) == {"stages": ["other"], "edges": []}
    assert json.loads(run_mlvc("dag", "--json", "../twice.txt", cwd=pipeline / "data").out)["stages"] == [
        "upper",
        "repeat",
    ]
    assert run_mlvc("dag", "--dot", cwd=pipeline).out.startswith("digraph pipeline {")
    assert '"upper" -> "repeat"' in run_mlvc("dag", "--dot", cwd=pipeline).out
    assert run_mlvc("dag", "--mermaid", cwd=pipeline).out.startswith("flowchart")
    text = run_mlvc("dag", cwd=pipeline).out
    assert text.index("upper") < text.index("repeat")


# -- what stands where an output goes ----------------------------------------------------------

MAKER = """\
stages:
  make:
    cmd: mkdir -p out && cp params.yaml out/copy
    params: [times]
    outs: [out]
"""


@pytest.mark.parametrize("name", ["my.note", ".git/HEAD", "sub/deep.note", "__pycache__/x.pyc"])
def test_what_is_ignored_in_an_output_is_kept_aside_before_the_stage_runs(pipeline: Path, name: str) -> None:
    shell.write(pipeline, {"mlvc.yaml": MAKER.encode(), ".mlvcignore": b"*.note\n"})
    run_mlvc("repro", cwd=pipeline)
    shell.write(pipeline, {f"out/{name}": b"nowhere else\n", "params.yaml": b"times: 3\n"})
    result = run_mlvc("repro", cwd=pipeline)
    assert sorted(shell.tree(pipeline / "out")) == ["copy"]
    note = next(line for line in result.err.splitlines() if "is kept at" in line)
    assert "ignored in out" in note
    kept = Path(note.partition("is kept at ")[2])
    assert (kept / name).read_bytes() == b"nowhere else\n"
    assert not (kept / "copy").exists()


def test_a_link_in_an_output_is_kept_aside_too(pipeline: Path) -> None:
    shell.write(pipeline, {"mlvc.yaml": MAKER.encode()})
    run_mlvc("repro", cwd=pipeline)
    (pipeline / "out/link").symlink_to("copy")
    shell.write(pipeline, {"params.yaml": b"times: 3\n"})
    note = run_mlvc("repro", cwd=pipeline).err.splitlines()[1]
    assert (Path(note.partition("is kept at ")[2]) / "link").is_symlink()


def test_an_output_that_is_stored_leaves_nothing_behind(pipeline: Path) -> None:
    text = MAKER.replace("&& cp", "out/a/empty out/b && ln -s copy out/link && cp")
    shell.write(pipeline, {"mlvc.yaml": text.encode()})
    run_mlvc("repro", cwd=pipeline)
    shell.write(pipeline, {"params.yaml": b"times: 3\n"})
    assert "is kept at" not in run_mlvc("repro", cwd=pipeline).err
    assert not (pipeline / ".git/mlvc/aside").exists()
    assert sorted(shell.tree(pipeline / "out")) == ["a", "a/empty", "b", "copy", "link"]


@pytest.mark.parametrize(
    ("tracked", "out", "parts"),
    [
        ("data", "data", ("'data' is tracked by a Pointer",)),
        ("data", "data/sub/made", ("'data/sub/made' is inside 'data'", "data.mlvc")),
        ("other/raw", "other", ("'other' is around 'other/raw'", "other/raw.mlvc")),
        ("other/raw", "other/ra", ()),
        ("other/raw", "other/raw2", ()),
    ],
)
def test_an_output_that_overlaps_what_is_tracked(project: Path, tracked: str, out: str, parts: tuple[str, ...]) -> None:
    shell.write(project, {"other/raw/x": b"x", "mlvc.yaml": b""})
    run_mlvc("add", tracked, cwd=project)
    before = shell.image(project)
    add = ("stage", "add", "-n", "s", "-o", out, f"touch ran && mkdir -p {out}")
    if not parts:
        run_mlvc(*add, cwd=project)
        run_mlvc("repro", cwd=project)
        return
    shell.refused(run_mlvc(*add, cwd=project, check=False), 2, *parts)
    assert shell.image(project) == before
    text = f"stages:\n  s:\n    cmd: touch ran && mkdir -p {out}\n    outs: [{out}]\n"
    (project / "mlvc.yaml").write_text(text)
    before = shell.image(project)
    for command in (["repro"], ["repro", "--dry-run"]):
        shell.refused(run_mlvc(*command, cwd=project, check=False), 2, "mlvc.yaml, line 4, column 12: output", *parts)
    assert shell.image(project) == before


def test_a_frozen_stage_says_so(pipeline: Path) -> None:
    (pipeline / "mlvc.yaml").write_text(PIPELINE.replace("cmd: echo upper", "frozen: true\n    cmd: echo upper"))
    shell.ends(run_mlvc("repro", "upper", cwd=pipeline, check=False), "'upper' is frozen", "upper.txt is missing")
    assert run_mlvc("repro", "upper", cwd=pipeline, check=False).code == 7
    assert run_mlvc("repro", "--dry-run", "upper", cwd=pipeline).out == (
        "upper: cannot run (it is frozen; output upper.txt is missing)\n"
    )
    assert "upper: it is frozen; output upper.txt is missing" in run_mlvc("status", cwd=pipeline).out
    assert ran(pipeline, "repro", "-f", "-s", "upper") == ["upper"]
    shell.write(pipeline, {"data/one.txt": b"new\n"})
    assert "pipeline: 1 frozen\n" in run_mlvc("repro", "upper", cwd=pipeline).err
    assert "upper: it" not in run_mlvc("status", cwd=pipeline).out
    (pipeline / "upper.txt").unlink()
    assert "pipeline: 1 restored\n" in run_mlvc("repro", "upper", cwd=pipeline).err


@pytest.mark.parametrize("command", ["repro", "status", "checkout"])
@pytest.mark.parametrize(("old", "new"), [('"size": 4', '"size": "q"'), ('"kind": "file"', '"kind": "odd"'), ("{", "")])
def test_a_lockfile_that_was_spoilt_is_an_error_with_a_hint(pipeline: Path, command: str, old: str, new: str) -> None:
    run_mlvc("repro", cwd=pipeline)
    lock = pipeline / "mlvc.lock"
    lock.write_text(lock.read_text().replace(old, new))
    result = run_mlvc(command, cwd=pipeline, check=False)
    assert result.code == 2
    shell.ends(result, "mlvc.lock", "git checkout -- mlvc.lock")


# -- what Git has to be told -------------------------------------------------------------------


def hinted(root: Path, *args: str) -> list[str]:
    """The paths that the hint after a reproduction names."""
    lines = [line for line in run_mlvc("repro", *args, cwd=root).err.splitlines() if "hint" in line]
    assert all(line.startswith("hint: record it in Git: git add ") for line in lines)
    return shlex.split(lines[0].partition("git add ")[2]) if lines else []


def test_what_is_to_be_recorded_in_git_is_named(pipeline: Path) -> None:
    text = PIPELINE.replace("cp model.bin copy.bin", "cp model.bin copy.bin; wc -c < model.bin > 'a size'")
    text += "    metrics: [a size: {cache: false}]\n"
    (pipeline / "mlvc.yaml").write_text(text)
    assert hinted(pipeline) == ["mlvc.lock", "mlvc.yaml", ".gitignore", "a size"]
    assert hinted(pipeline) == []
    assert hinted(pipeline, "--force") == []  # the same results
    shell.commit(pipeline)
    (pipeline / "upper.txt").unlink()
    assert hinted(pipeline) == []
    shell.write(pipeline, {"data/one.txt": b"new\n"})
    assert hinted(pipeline) == ["mlvc.lock"]
    shell.commit(pipeline)
    shell.write(pipeline, {"model.bin": b"new"})
    assert hinted(pipeline / "data", "../copy.bin") == ["../mlvc.lock", "../a size"]


def test_what_is_staged_at_once_is_not_named(pipeline: Path) -> None:
    run_mlvc("config", "core.autostage", "true", cwd=pipeline)
    git("add", "mlvc.yaml", cwd=pipeline)
    assert hinted(pipeline) == []
    assert {"mlvc.lock", ".gitignore"} <= set(git("diff", "--cached", "--name-only", cwd=pipeline).split())


# -- pipeline files in directories -------------------------------------------------------------


@pytest.fixture
def nested(pipeline: Path) -> Path:
    """The pipeline, and one in s/t whose stage has the name of a stage at the top; another output has so, too."""
    text = "stages:\n  upper: {cmd: echo inner >> ../../log; touch inner.txt other, outs: [inner.txt, other]}\n"
    shell.write(pipeline, {"s/t/mlvc.yaml": text.encode()})
    run_mlvc("repro", cwd=pipeline)
    return pipeline


@pytest.mark.parametrize(
    ("folder", "word", "stages"),
    [
        (".", "upper", ["upper"]),
        ("s/t", "upper", ["inner"]),
        (".", "s/t/mlvc.yaml:upper", ["inner"]),
        ("s", "t/mlvc.yaml:upper", ["inner"]),
        ("data", "../s/t/mlvc.yaml:upper", ["inner"]),
        ("s/t", "../../mlvc.yaml:upper", ["upper"]),
        ("s/t", "s/t/mlvc.yaml:upper", ["inner"]),
        ("s/t", "inner.txt", ["inner"]),
        ("s/t", "other", ["inner"]),
        ("s", "other", ["other"]),
        ("s", "repeat", ["repeat"]),
    ],
)
def test_a_target_is_named_as_seen_from_the_directory(nested: Path, folder: str, word: str, stages: list[str]) -> None:
    (nested / "log").unlink()
    run_mlvc("repro", "-f", "-s", word, cwd=nested / folder)
    assert (nested / "log").read_text().split() == stages
    shown = json.loads(run_mlvc("dag", "--json", word, cwd=nested / folder).out)["stages"]
    assert shown[-1] == ("s/t/mlvc.yaml:upper" if stages == ["inner"] else stages[0])


def test_a_target_that_is_none_is_told_with_the_nearest(nested: Path) -> None:
    result = run_mlvc("repro", "uper", cwd=nested / "s/t", check=False)
    shell.refused(result, 2, "'uper' is neither a stage nor an output", "did you mean 'upper'?")
    shell.refused(run_mlvc("dag", "iner.txt", cwd=nested / "s/t", check=False), 2, "did you mean 'inner.txt'?")
    shell.refused(run_mlvc("dag", "mlvc.yaml:none", cwd=nested / "s", check=False), 2, "neither a stage")
    shell.refused(run_mlvc("repro", "../../../x:y", cwd=nested / "s", check=False), 2, "outside the repository")


def test_stage_add_in_a_directory_says_what_to_type_there(pipeline: Path) -> None:
    (pipeline / "s/t").mkdir(parents=True)
    result = run_mlvc("stage", "add", "-n", "nb", "-o", "x", "touch x", cwd=pipeline / "s/t")
    assert result.err == "stage 'nb' is in s/t/mlvc.yaml\nhint: run it with `mlvc repro nb`\n"
    run_mlvc("repro", "nb", cwd=pipeline / "s/t")
    assert (pipeline / "s/t/x").exists()
    assert not (pipeline / "upper.txt").exists()


@pytest.mark.parametrize("cwd", [".", "code"])
def test_a_pipeline_of_dvc_is_to_be_renamed(project: Path, cwd: str) -> None:
    (project / cwd).mkdir(exist_ok=True)
    shell.refused(run_mlvc("repro", cwd=project / cwd, check=False), 2, "no pipeline here", "describe stages in")
    shell.write(project, {f"{cwd}/dvc.yaml": b"stages: {a: {cmd: touch y, outs: [y]}}\n"})
    shell.refused(run_mlvc("repro", cwd=project / cwd, check=False), 2, "rename dvc.yaml to mlvc.yaml")
    (project / cwd / "dvc.yaml").rename(project / cwd / "mlvc.yaml")
    assert "1 ran" in run_mlvc("repro", cwd=project / cwd).err


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        (b"{cmd: 'false'}", 7),
        (b"{cmd: 'true', outs: [y]}", 7),
        (b"{cmd: touch y, outs: [y], frozen: true}", 7),
        (b"{cmd: touch y, wdir: nowhere}", 2),
    ],
)
def test_the_exit_code_of_a_stage_that_did_not_end_well(project: Path, stage: bytes, code: int) -> None:
    """As docs/reference/exit-codes.md says; the Stages that were not reached have no entry."""
    shell.write(project, {"mlvc.yaml": b"stages:\n  first: " + stage + b"\n  second: {cmd: 'true'}\n"})
    result = run_mlvc("repro", "--json", cwd=project, check=False)
    assert result.code == code
    assert [(each["stage"], each["outcome"]) for each in events(result)] == [("first", "failed")]
