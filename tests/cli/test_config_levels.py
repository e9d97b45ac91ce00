"""Settings of five levels: which one wins, where each comes from, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.helpers import run_mlvc, shell
from tests.helpers.shell import image, refused


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the level system, of this test's own."""
    path = tmp_path / "etc/mlvc/config.toml"
    monkeypatch.setenv("MLVC_CONFIG_SYSTEM", str(path))
    return path


def value(project: Path, *args: str, env: dict[str, str] | None = None) -> str:
    return run_mlvc("config", "core.jobs", *args, cwd=project, env=env).out.removesuffix("\n")


def test_a_later_level_wins(project: Path, system: Path) -> None:
    user = Path(os.environ["XDG_CONFIG_HOME"]) / "mlvc/config.toml"
    files = {
        "--system": system,
        "--user": user,
        "--shared": project / ".mlvc/config.toml",
        "--private": project / ".git/mlvc/config.toml",
    }
    assert value(project, "--show-origin") == "default\t\t4"
    for number, (option, path) in enumerate(files.items(), 11):
        run_mlvc("config", option, "core.jobs", str(number), cwd=project)
        level = {"--shared": "repository"}.get(option, option[2:])
        assert value(project, "--show-origin") == f"{level}\t{path}\t{number}"
        assert f"jobs = {number}" in path.read_text()
    given = {"MLVC_CORE_JOBS": "20", "MLVC_REMOTE_other_URL": "../other", "MLVC_CORE_REMOTE": "other"}
    assert value(project, "--show-origin", env=given) == "environment\tMLVC_CORE_JOBS\t20"
    assert [value(project, option) for option in files] == ["11", "12", "13", "14"]
    remotes = json.loads(run_mlvc("remote", "list", "--json", cwd=project, env=given).out)
    assert [item["default"] for item in remotes] == [True, False]
    listed = run_mlvc("config", "--list", "--show-origin", cwd=project).out.splitlines()
    assert f"private\t{files['--private']}\tcore.jobs = 14" in listed
    shown = json.loads(run_mlvc("config", "--show-origin", "--json", cwd=project).out)
    assert shown["core.jobs"] == {"value": 14, "level": "private", "origin": str(files["--private"])}
    assert run_mlvc("config", "--user", cwd=project).out == "core.jobs = 12\n"
    # From the last to the first, each gives way to the one before.
    for option, left in (("--private", "13"), ("--shared", "12"), ("--user", "11"), ("--system", "4")):
        run_mlvc("config", option, "--unset", "core.jobs", cwd=project)
        assert value(project) == left


def test_the_first_two_levels_need_no_repository(tmp_path: Path, system: Path) -> None:
    run_mlvc("config", "--user", "core.jobs", "6")
    run_mlvc("config", "--system", "core.autostage", "true")
    assert run_mlvc("config", "--user", "core.jobs").out == "6\n"
    assert run_mlvc("config", "--system").out == "core.autostage = true\n"
    assert system.read_text() == "[core]\nautostage = true\n"
    refused(run_mlvc("config", "core.jobs", "7", check=False), 2, "not inside a Git repository")


def test_a_remote_of_ones_own(project: Path) -> None:
    run_mlvc("config", "--user", "remote.mine.url", "../mine", cwd=project)
    run_mlvc("push", "-r", "mine", cwd=project)
    assert (project.parent / "mine/packs").is_dir()
    before = image(project)
    for args in (["remove", "mine"], ["rename", "mine", "yours"]):
        result = run_mlvc("remote", *args, cwd=project, check=False)
        refused(result, 2, "not one of this repository", "mlvc config --user --unset remote.mine.url")
    assert image(project) == before
    run_mlvc("config", "--user", "--unset", "remote.mine.url", cwd=project)
    assert "mine" not in run_mlvc("remote", "list", cwd=project).out


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[core]\njobs = 'many'\n", ("core.jobs is 'many'", "a whole number from 1")),
        ("[core]\nhash = 'xxh128'\n", ("core.hash", "only .mlvc/config.toml")),
        ("format = 2\n[core]\njobs = 3\n", ("format 2", "reads format 1", "newer mlvc")),
        ("version = 7\n", ("version 7", "newer mlvc")),
        ("[core\n", ("line 1", "correct it by hand")),
    ],
)
@pytest.mark.parametrize("level", ["user", "private"])
def test_a_file_that_cannot_be_used(project: Path, level: str, text: str, parts: tuple[str, ...]) -> None:
    user = Path(os.environ["XDG_CONFIG_HOME"]) / "mlvc/config.toml"
    path = user if level == "user" else project / ".git/mlvc/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    before = image(project)
    for args in (["status"], ["config", "core.autostage", "true"]):
        refused(run_mlvc(*args, cwd=project, check=False), 2, str(path), *parts)
    assert image(project) == before
    assert path.read_text() == text


def test_a_format_that_is_known_is_no_setting(project: Path) -> None:
    path = project / ".mlvc/config.toml"
    path.write_text("format = 1\n" + path.read_text())
    result = run_mlvc("config", cwd=project)
    assert result.err == ""
    assert "format" not in result.out
    run_mlvc("config", "core.jobs", "3", cwd=project)
    assert path.read_text().startswith("format = 1\n")


@pytest.mark.parametrize(
    ("variable", "given", "parts"),
    [
        ("MLVC_CORE_JOBS", "0", ("MLVC_CORE_JOBS", "a whole number from 1")),
        ("MLVC_CORE_HASH", "blake3", ("MLVC_CORE_HASH", "core.hash")),
        ("MLVC_CORE_LINK", "hard", ("MLVC_CORE_LINK", "reflink")),
    ],
)
def test_a_variable_that_cannot_be_used(project: Path, variable: str, given: str, parts: tuple[str, ...]) -> None:
    refused(run_mlvc("status", cwd=project, check=False, env={variable: given}), 2, *parts)


def test_a_slip_in_a_variable_is_told(project: Path) -> None:
    result = run_mlvc("status", cwd=project, env={"MLVC_CORE_JOB": "3", "MLVC_ELSE": "x"})
    assert "note: MLVC_CORE_JOB has a setting 'core.job' that this mlvc does not know (did you mean core.jobs?)" in (
        result.err
    )
    assert "ELSE" not in result.err


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["--user", "--private", "core.jobs", "3"], ("two levels",)),
        (["--list", "core.jobs"], ("--list takes no name",)),
        (["--unset"], ("--unset needs the name",)),
        (["--user", "--unset", "core.jobs"], ("core.jobs is not set in",)),
        (["--user", "core.job", "3"], ("unknown setting 'core.job'", "did you mean core.jobs")),
        (["list"], ("unknown setting 'list'", "`mlvc config` without a name lists the settings")),
        (["--user", "core.jobs", "many"], ("core.jobs cannot be 'many'", "a whole number")),
        (["--user", "core.hash", "xxh128"], ("core.hash belongs to a repository",)),
        (["--private", "core.hash", "xxh128"], ("core.hash cannot be changed",)),
        (["--system", "core.jobs", "3"], ("MLVC_CONFIG_SYSTEM is empty",)),
        (["--user", "core.jobs"], ("core.jobs is not set for level user",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_refused_changes_nothing(project: Path, args: list[str], parts: tuple[str, ...]) -> None:
    home = Path(os.environ["HOME"])
    before, of_user = image(project), image(home)
    refused(run_mlvc("config", *args, cwd=project, check=False), 2, *parts, hint=False)
    assert (image(project), image(home)) == (before, of_user)


def test_no_level_costs_comments(project: Path) -> None:
    user = Path(os.environ["XDG_CONFIG_HOME"]) / "mlvc/config.toml"
    shell.write(user.parent, {"config.toml": b"# mine\n[core]\njobs = 2 # slow line\n"})
    run_mlvc("config", "--user", "core.autostage", "true", cwd=project)
    assert user.read_text() == "# mine\n[core]\njobs = 2 # slow line\nautostage = true\n"


def test_limits_of_pipelines_have_names_of_ones_own(project: Path) -> None:
    run_mlvc("config", "pipeline.limits.memory", "1.5 GB", cwd=project)
    run_mlvc("config", "pipeline.limits.gpu", "2", cwd=project)
    shown = run_mlvc("config", cwd=project, env={"MLVC_PIPELINE_LIMITS_gpu": "0.5", "MLVC_PIPELINE_JOBS": "0"}).out
    assert "pipeline.limits.memory = 1500000000\n" in shown
    assert "pipeline.limits.gpu = 0.5\n" in shown
    assert "pipeline.jobs = 0\n" in shown
    for name, value, told in (
        ("pipeline.limits.gpu", "two", "a number such as 1"),
        ("pipeline.jobs", "many", "a whole number from 0"),
        ("pipeline.limits.a b", "1", "a resource cannot be named 'a b'"),
        ("pipeline.limits.NAME", "1", "unknown setting"),
        ("pipeline.limit", "1", "did you mean pipeline.limits.NAME"),
    ):
        done = run_mlvc("config", name, value, cwd=project, check=False)
        assert (done.code, told in done.err) == (2, True), done


def test_what_is_no_words_of_a_shell_is_refused_for_containers(project: Path) -> None:
    name = "pipeline.container.args"
    refused(run_mlvc("config", name, '"unterminated', cwd=project, check=False), 2, name, "no closing quotation")
    path = project / ".git/mlvc/config.toml"
    run_mlvc("config", "--private", name, "a 'b c'", cwd=project)
    path.write_text(path.read_text().replace("b c'", "b c"))
    shell.write(project, {"mlvc.yaml": b"stages: {s: {cmd: echo > out, image: none, outs: [out]}}"})
    for command in (["repro"], ["status"]):
        refused(run_mlvc(*command, cwd=project, check=False), 2, f"{path}: {name} is ", "no closing quotation")
    path.write_text(path.read_text().replace("'b c", "b c"))
    assert run_mlvc("status", cwd=project).code == 0
