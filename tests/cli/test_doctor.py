"""``doctor``: it tells what is, tries what may not work, finds what is wrong, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from mlvc.api.install import HOOKS
from tests.helpers import SOURCES, git, run, run_mlvc, shell
from tests.helpers.shell import image


def report(root: Path, code: int = 0) -> dict[str, Any]:
    result = run_mlvc("doctor", "--json", cwd=root, check=False)
    assert result.code == code, result
    found: dict[str, Any] = json.loads(result.out)
    assert found["broken"] == bool(code)
    return found


def findings(root: Path, level: str, code: int = 0) -> list[str]:
    return [item["message"] for item in report(root, code)["findings"] if item["level"] == level]


def test_a_sound_repository(pushed: Path) -> None:
    before = image(pushed.parent)
    found = report(pushed)
    assert found["findings"] == []
    assert {"mlvc", "python", "git", "xxhash", "typer"} <= found["versions"].keys()
    assert "git version " + found["versions"]["git"] == git("--version")
    assert found["repository"]["root"] == str(pushed)
    assert found["repository"]["hash"] == "xxh128"
    packs = list((pushed / ".git/mlvc/packs").iterdir())
    assert found["repository"]["packs"] == len(packs)
    assert found["repository"]["packs_size"] == sum(pack.stat().st_size for pack in packs)
    assert [place["path"] for place in found["file_systems"]] == [str(pushed / ".git/mlvc"), str(pushed)]
    (remote,) = found["remotes"]
    assert (remote["name"], remote["reachable"], remote["empty"]) == ("store", True, False)
    text = run_mlvc("doctor", cwd=pushed)
    assert text.out.endswith("nothing is wrong\n")
    assert text.err == ""
    assert image(pushed.parent) == before


def test_link_types_are_those_that_work(project: Path) -> None:
    links = report(project)["links"]
    for name, make in (("hardlink", os.link), ("symlink", os.symlink)):
        try:
            make(project / "model.bin", project / "link")
            works = True
        except OSError:
            works = False
        assert links[name] == works
        (project / "link").unlink(missing_ok=True)
    assert links["copy"]
    run_mlvc("config", "core.link", "reflink", cwd=project)
    assert any("core.link" in line for line in findings(project, "slow")) != links["reflink"]


def test_remotes(project: Path) -> None:
    run_mlvc("remote", "add", "new", "../new", cwd=project)
    (project.parent / "notes").mkdir()
    (project.parent / "notes/mlvc-remote").write_text("something else\n")
    run_mlvc("remote", "add", "odd", "../notes", cwd=project)
    run_mlvc("remote", "add", "far", "nosuch://place/x", cwd=project)
    before = image(project.parent)
    found = report(project, 1)
    state = {remote["name"]: (remote["reachable"], remote["empty"]) for remote in found["remotes"]}
    assert state == {"store": (True, True), "new": (True, True), "odd": (False, False), "far": (False, False)}
    broken = [item["message"] for item in found["findings"] if item["level"] == "broken"]
    assert any("'odd'" in line for line in broken)
    assert any("'far'" in line for line in broken)
    assert image(project.parent) == before


def test_settings(project: Path) -> None:
    run_mlvc("config", "core.jobs", "2", cwd=project)
    run_mlvc("config", "--private", "core.jobs", "8", cwd=project)
    with (project / ".mlvc/config.toml").open("a") as file:
        file.write("\n[else]\nwhen = 1\n")
    told = findings(project, "note")
    assert any("core.jobs of level repository" in line and "overridden by level private" in line for line in told)
    assert any("'else.when'" in line for line in told)
    run_mlvc("config", "core.remote", "absent", cwd=project)
    assert any("'absent'" in line for line in findings(project, "broken", 1))


def test_what_is_slow_or_damaged(project: Path) -> None:
    for path in (project / ".git/mlvc").glob("index.sqlite*"):
        path.unlink()
    assert any("the Index was not there" in line for line in findings(project, "slow"))
    (project / ".git/mlvc/quarantine").mkdir()
    (project / ".git/mlvc/quarantine/x").write_bytes(b"x")
    assert any("quarantine" in line for line in findings(project, "note"))
    for number in range(201):
        (project / f".git/mlvc/packs/{number}.pack.old").write_bytes(b"")
    assert any("small Packs" in line for line in findings(project, "slow"))


def test_a_pointer_that_cannot_be_read(project: Path) -> None:
    (project / "data.mlvc").write_text("hello\n")
    assert any("data.mlvc" in line for line in findings(project, "broken", 1))
    result = run_mlvc("doctor", cwd=project, check=False)
    assert "broken: data.mlvc" in result.out
    assert "hint: " in result.out


@pytest.mark.parametrize("what", ["no repository", "no mlvc", "settings"])
def test_where_no_repository_can_be_opened(tmp_path: Path, project: Path, what: str) -> None:
    place = {"no repository": tmp_path / "none", "no mlvc": tmp_path / "git", "settings": project}[what]
    place.mkdir(exist_ok=True)
    if what == "no mlvc":
        git("init", "--quiet", cwd=place)
    if what == "settings":
        (project / ".mlvc/config.toml").write_text("[core]\njobs = 'many'\n")
    found = report(place, 1)
    assert found["versions"]["mlvc"]
    assert found["repository"] == {}
    assert len(found["findings"]) == 1


def test_a_fresh_clone_gets_no_store(pushed: Path) -> None:
    clone = shell.clone(pushed)
    before = image(clone)
    found = report(clone)
    assert any("no store yet" in item["message"] for item in found["findings"])
    assert [remote["reachable"] for remote in found["remotes"]] == [True]
    assert image(clone) == before
    shutil.rmtree(clone)


def test_which_mlvc_git_calls(project: Path) -> None:
    found = report(project)
    assert (found["hooks"], found["drivers"], found["findings"]) == ({}, None, [])
    assert "hooks           none" in run_mlvc("doctor", cwd=project).out
    run_mlvc("install", cwd=project)
    found = report(project)
    assert (set(found["hooks"]), set(found["hooks"].values())) == (set(HOOKS), {"this"})
    assert (found["drivers"], found["findings"]) == ("this", [])
    shell.commit(project, "for everyone")
    clone = shell.clone(project)
    assert any("names a merge driver that is not set up" in line for line in findings(clone, "note"))


def test_another_mlvc_and_one_that_was_moved(project: Path) -> None:
    place = project.parent / "it's a place"
    place.symlink_to(Path(sys.executable).parents[1])
    python = place / "bin" / Path(sys.executable).name
    run([str(python), "-P", "-m", "mlvc", "install"], cwd=project, env={"PYTHONPATH": SOURCES})
    assert f"Git calls another mlvc than this one: {python}" in findings(project, "note")
    place.rename(project.parent / "moved")
    found = report(project, code=1)
    assert (set(found["hooks"].values()), found["drivers"]) == ({"gone"}, "gone")
    (finding,) = [item for item in found["findings"] if item["level"] == "broken"]
    assert finding["message"] == f"Git calls an mlvc that is gone or was moved: {python}"
    assert "`mlvc install`" in finding["hint"]
    run_mlvc("install", cwd=project)
    assert report(project)["findings"] == []


def test_hooks_that_git_does_not_run_and_that_were_replaced(project: Path) -> None:
    run_mlvc("install", cwd=project)
    folder = project / ".git/hooks"
    (folder / "pre-push").chmod(0o644)
    assert findings(project, "broken", code=1) == ["Git does not run pre-push: not executable"]
    run_mlvc("install", cwd=project)
    shutil.copy2(folder / "pre-commit", folder / "pre-commit.before-mlvc")
    (folder / "pre-commit").write_text("#!/bin/sh\n")
    assert findings(project, "note") == ["pre-commit was replaced since `mlvc install` wrote it"]
    (project / ".gitattributes").unlink()
    assert any(".gitattributes does not name" in line for line in findings(project, "note"))
