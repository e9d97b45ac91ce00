"""``why`` and ``runs``: what changed since the last Run, and which Runs are known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlvc.hashing import Hashing, oid_of
from mlvc.pipeline import logs
from tests.helpers import git, run_mlvc, shell
from tests.helpers.shell import refused

PIPELINE = """\
stages:
  first:
    cmd: cat data/* > one
    deps: [data]
    params: [a, deep]
    env: [{FIXED: x}, LET]
    outs: [one]
  second:
    cmd: cp one two
    deps: [one]
    outs: [two]
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    root = shell.project(tmp_path / "here")
    shutil.rmtree(root / "data", ignore_errors=True)
    shell.write(root, {f"data/{n:02}": b"%d\n" % n for n in range(30)})
    shell.write(root, {"mlvc.yaml": PIPELINE.encode(), "params.yaml": b"a: 1\ndeep: {b: 2, c: 3}\n"})
    run_mlvc("add", "data", cwd=root)
    run_mlvc("repro", cwd=root)
    shell.commit(root)
    return root


def why(root: Path, stage: str, **env: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run_mlvc("why", stage, "--json", cwd=root, env=env).out)
    return told


def test_unchanged(pipeline: Path) -> None:
    assert run_mlvc("why", "first", cwd=pipeline).out == "first: unchanged since its last Run\n"
    told = why(pipeline, "first")
    assert (told["action"], told["paths"], told["params"], told["command"]) == ("unchanged", [], [], None)


def test_a_variable_that_changed_is_told_once(pipeline: Path) -> None:
    for env in ({"LET": "now"}, {}):
        told = run_mlvc("why", "first", cwd=pipeline, env=env).out
        assert told.count("LET") == len(env)
    text = (pipeline / "mlvc.yaml").read_text()
    shell.write(pipeline, {"mlvc.yaml": text.replace("FIXED: x", "FIXED: y").encode()})
    assert run_mlvc("why", "first", cwd=pipeline).out == 'first: would run\n  variable FIXED: "x" -> "y"\n'


def test_each_file_and_each_parameter_that_changed(pipeline: Path) -> None:
    shell.write(pipeline, {"data/new": b"new\n", "data/01": b"other\n", "params.yaml": b"a: 1.0\ndeep: {b: 5, d: 3}\n"})
    (pipeline / "data/02").unlink()
    told = why(pipeline, "first", LET="now")
    (path,) = told["paths"]
    assert {(each["path"], each["change"]) for each in path["changes"]} == {
        ("data/01", "modified"),
        ("data/02", "deleted"),
        ("data/new", "added"),
    }
    assert (path["path"], path["role"], path["state"], path["count"]) == ("data", "dependency", "modified", 3)
    assert [(each["name"], each["state"], each["old"], each["new"]) for each in told["params"]] == [
        ("params.yaml:a", "modified", 1, 1.0),
        ("params.yaml:deep.b", "modified", 2, 5),
        ("params.yaml:deep.c", "dropped", 3, None),
        ("params.yaml:deep.d", "new", None, 3),
    ]
    assert told["env"] == [{"name": "LET", "state": "new", "old": None, "new": "now"}]
    out = run_mlvc("why", "first", cwd=pipeline).out
    assert "dependency data changed: 1 added, 1 modified, 1 deleted" in out
    assert "parameter params.yaml:deep.b: 2 -> 5" in out


def test_the_first_twenty_and_a_count(pipeline: Path) -> None:
    shell.write(pipeline, {f"data/{n:02}": b"changed" for n in range(25)})
    (path,) = why(pipeline, "first")["paths"]
    assert (len(path["changes"]), path["count"]) == (20, 25)
    out = run_mlvc("why", "first", cwd=pipeline).out
    assert "… and 5 more" in out
    assert out.count("data/") == 20


def test_command_output_and_what_it_waits_for(pipeline: Path) -> None:
    shell.write(pipeline, {"mlvc.yaml": PIPELINE.replace("cat data/* > one", "cat data/0* > one").encode()})
    (pipeline / "two").unlink()
    told = why(pipeline, "first")
    assert told["command"] == {"old": ["cat data/* > one"], "new": ["cat data/0* > one"]}
    told = why(pipeline, "two")  # by an output
    assert (told["stage"], told["action"], told["waits"]) == ("second", "may run", ["first"])
    assert [(each["path"], each["role"], each["state"]) for each in told["paths"]] == [("two", "output", "missing")]
    assert "waits for first" in run_mlvc("why", "second", cwd=pipeline).out


def test_what_is_named_first_and_no_longer(pipeline: Path) -> None:
    text = PIPELINE.replace("deps: [one]", "deps: [model.bin]").replace("cp one", "cp model.bin")
    shell.write(pipeline, {"mlvc.yaml": text.encode()})
    states = {each["path"]: each["state"] for each in why(pipeline, "second")["paths"]}
    assert states == {"model.bin": "new", "one": "dropped"}


def test_a_stage_without_a_last_run(pipeline: Path) -> None:
    (pipeline / "mlvc.lock").unlink()
    assert "never run" in run_mlvc("why", "first", cwd=pipeline).out
    refused(run_mlvc("why", "frist", cwd=pipeline, check=False), 2, "'frist'", "first")


def test_where_the_list_of_files_is_not_here(pipeline: Path) -> None:
    run_mlvc("push", cwd=pipeline)
    clone = shell.clone(pipeline)
    shell.write(clone, {"data/x": b"x"})
    (path,) = (each for each in why(clone, "first")["paths"] if each["role"] == "dependency")
    assert (path["state"], path["changes"]) == ("modified", [])


@pytest.mark.parametrize("dep", ["src", "src/*.txt", "src/**"])
def test_files_of_a_dependency_that_git_keeps(pipeline: Path, dep: str) -> None:
    text = f"{PIPELINE}  third: {{cmd: cat src/*.txt > three, deps: ['{dep}'], outs: [three]}}\n"
    shell.write(pipeline, {"mlvc.yaml": text.encode(), "src/a.txt": b"a\n", "src/b.txt": b"b\n"})
    run_mlvc("repro", "third", cwd=pipeline)
    shell.write(pipeline, {"src/a.txt": b"other\n", "src/c.txt": b"c\n"})
    (path,) = why(pipeline, "third")["paths"]
    changes = {each["path"]: each["change"] for each in path["changes"]}
    assert changes == {"src/a.txt": "modified", "src/c.txt": "added"}


def test_why_changes_nothing(pipeline: Path) -> None:
    shell.write(pipeline, {"data/01": b"other\n"})
    before = shell.image(pipeline, git_index=True)
    run_mlvc("why", "first", cwd=pipeline)
    run_mlvc("runs", cwd=pipeline)
    assert shell.image(pipeline, git_index=True) == before


# -- runs --------------------------------------------------------------------------------------


def runs(root: Path, *args: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(run_mlvc("runs", "list", "--json", *args, cwd=root).out)
    return told


def test_the_runs_of_the_lockfile_of_history_and_of_neither(pipeline: Path) -> None:
    shell.write(pipeline, {"params.yaml": b"a: 2\ndeep: {}\n"})
    run_mlvc("repro", cwd=pipeline)
    git("checkout", "--quiet", ".", cwd=pipeline)
    assert sorted(each["stages"] for each in runs(pipeline)) == [["first"], ["first"], ["second"]]
    assert len(runs(pipeline, "first")) == 2
    assert runs(pipeline)[0]["outs"] == ["one"]  # the newest first
    assert all(each["here"] for each in runs(pipeline))
    assert run_mlvc("runs", cwd=pipeline).out == run_mlvc("runs", "list", cwd=pipeline).out
    git("mv", "mlvc.yaml", "other.yaml", cwd=pipeline)
    (pipeline / "mlvc.lock").unlink()
    # History knows; what nobody recorded has no name any more.
    assert sorted(each["stages"] for each in runs(pipeline)) == [[], ["first"], ["second"]]
    assert len(runs(pipeline, "second")) == 1
    refused(run_mlvc("runs", "list", "nope", cwd=pipeline, check=False), 2, "'nope'")


def test_a_run_from_a_remote_is_told(pipeline: Path) -> None:
    run_mlvc("push", "--run-cache", cwd=pipeline)
    clone = shell.clone(pipeline)
    run_mlvc("fetch", "--run-cache", "model.bin", cwd=clone) if (clone / "model.bin.mlvc").exists() else run_mlvc(
        "fetch", "--run-cache", "two", cwd=clone
    )
    found = runs(clone)
    assert {each["recorded"] for each in found} == {None}
    assert sorted(each["stages"] for each in found) == [["first"], ["second"]]


def test_one_run(pipeline: Path) -> None:
    key = runs(pipeline, "first")[0]["key"]
    for word in (key, key.partition(":")[2], key.partition(":")[2][:6]):
        told = json.loads(run_mlvc("runs", "show", word, "--json", cwd=pipeline).out)
        assert told["key"] == key
        assert told["env"] == {"FIXED": "x"}
        assert told["deps"]["data"]["files"] == 30
    out = run_mlvc("runs", "show", key, cwd=pipeline).out
    assert "command    cat data/* > one\n" in out
    for word, code in (("ab", 2), ("nothex", 2), ("0" * 32, 2)):
        refused(run_mlvc("runs", "show", word, cwd=pipeline, check=False), code, word)


def test_what_is_not_in_the_store_is_marked(pipeline: Path) -> None:
    shutil.rmtree(pipeline / ".git/mlvc/packs")
    (pipeline / ".git/mlvc/catalog.sqlite").unlink()
    assert not any(each["here"] for each in runs(pipeline))
    assert "(not in the store)" in run_mlvc("runs", cwd=pipeline).out


def test_a_record_that_is_damaged_is_not_listed(pipeline: Path) -> None:
    first, *_ = sorted((pipeline / ".git/mlvc/runs").rglob("*.json"))
    first.write_text("{")
    assert len(runs(pipeline)) == 1


def test_what_a_run_printed(pipeline: Path) -> None:
    place = logs.Logs(str(pipeline / ".git/mlvc/logs"))
    shutil.rmtree(place.directory, ignore_errors=True)
    key = oid_of(Hashing("xxh128"), b"a key")
    made = place.create("first", key, ["cat"], "")
    fd = made if isinstance(made, int) else made[0]
    import os

    os.write(fd, b"printed\n")
    logs.ended(fd, 3, 1.5)
    os.close(fd)
    for word in ("first", "one", key.hex()[:8], key.hex()):
        assert run_mlvc("runs", "log", word, cwd=pipeline).out == "printed\n"
    told = json.loads(run_mlvc("runs", "log", "first", "--json", cwd=pipeline).out)
    assert (told["stage"], told["code"], told["seconds"], told["output"]) == ("first", 3, 1.5, "printed\n")
    for word in ("second", "nope", "abcd"):
        refused(run_mlvc("runs", "log", word, cwd=pipeline, check=False), 2, word)
