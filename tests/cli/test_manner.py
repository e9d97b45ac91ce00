"""``--quiet``, ``--verbose``, ``--no-progress``: before the command's name and after it; what they leave out or add."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlvc.cli import main
from mlvc.cli.words import GLOBALS, declared
from tests.cli.test_words import ALL
from tests.helpers import run_mlvc, shell
from tests.helpers.shell import refused


def test_no_command_gives_them_another_meaning() -> None:
    names = [name for word in GLOBALS.values() for name in word.names]
    for command in ALL.values():
        taken = [name for _, word in declared(command).values() for name in word.names]
        assert len(taken) == len(set(taken))
        assert set(names) <= set(taken)


@pytest.mark.parametrize(
    "args",
    [
        ("-q", "add", "new"),
        ("add", "-q", "new"),
        ("add", "new", "--quiet"),
        ("--quiet", "add", "--", "new"),  # which typer reads
        ("add", "-q", "--", "new"),
        ("-q", "--no-progress", "add", "new", "-q"),
    ],
    ids=" ".join,
)
def test_quiet_anywhere(project: Path, args: tuple[str, ...]) -> None:
    shell.write(project, {"new": b"new\n"})
    done = run_mlvc(*args, cwd=project)
    assert (done.out, done.err) == ("", "")
    assert (project / "new.mlvc").exists()


def test_quiet_with_a_command_of_a_group(project: Path) -> None:
    assert run_mlvc("-q", "remote", "list", cwd=project).out == "store\t../remote\t(default)\n"
    assert run_mlvc("remote", "list", "-q", cwd=project).out == "store\t../remote\t(default)\n"


def test_what_comes_after_a_command_of_a_stage_is_its_own(project: Path) -> None:
    run_mlvc("-q", "stage", "add", "-n", "s", "-o", "out", "sort", "-v", "-q", "--no-progress", cwd=project)
    (stage,) = json.loads(run_mlvc("stage", "list", "--json", cwd=project).out)
    assert stage["cmd"] == ["sort -v -q --no-progress"]


@pytest.mark.parametrize("args", [("-q", "-v", "status"), ("-q", "status", "-v"), ("status", "-qv")])
def test_quiet_and_verbose_are_an_error(project: Path, args: tuple[str, ...]) -> None:
    done = run_mlvc(*args, cwd=project, check=False)
    assert done.code == 2
    assert "contradict" in done.err
    assert done.out == ""


def test_quiet_keeps_what_was_asked_for_and_what_went_wrong(project: Path) -> None:
    shell.write(project, {"data/one.txt": b"changed\n"})
    for args in (("status",), ("diff",), ("ls",), ("du",), ("dag",)):
        assert run_mlvc("-q", *args, cwd=project, check=False).out == run_mlvc(*args, cwd=project, check=False).out
        assert run_mlvc("-q", *args, cwd=project, check=False).err == ""
    assert run_mlvc("push", "-q", "--dry-run", cwd=project).err.startswith("would push ")
    assert run_mlvc("gc", "-q", "--dry-run", cwd=project).err != ""
    refused(run_mlvc("checkout", "-q", cwd=project, check=False), 5, "data/one.txt")
    (project / ".git/mlvc/packs").rename(project / ".git/mlvc/elsewhere")
    (project / "data/two.txt").unlink()
    done = run_mlvc("checkout", "-q", "-f", cwd=project, check=False)
    assert done.code == 4
    assert "missing  data" in done.err
    done = run_mlvc("fsck", "-q", cwd=project, check=False)
    assert done.code == 4
    assert "missing  data" in done.err
    assert "checked" not in done.err


def test_quiet_leaves_out_notes(project: Path) -> None:
    config = project / ".mlvc/config.toml"
    config.write_text(config.read_text() + "\n[core]\nautostaeg = true\n".replace("[core]\n", ""))
    (project / ".git/mlvc/config.toml").write_text("[hooks]\npsh = true\n")
    assert "note: " in run_mlvc("status", cwd=project).err
    assert run_mlvc("status", "-q", cwd=project).err == ""


def test_verbose_tells_where_the_time_of_a_push_goes(project: Path) -> None:
    done = run_mlvc("push", "-v", "-j", "3", cwd=project)
    assert done.out == ""
    lines = done.err.splitlines()
    assert lines[:3] == [
        f"mlvc {main.__version__} in {project}",
        f"store: {project}/.git/mlvc",
        "remote 'store' is ../remote; transfers at a time: 3",
    ]
    for text in (
        "reading Pointers: ",
        "looking up objects: ",
        "asking 'store' what it has: ",
        "sending to 'store': ",
        "looked at data",
    ):
        assert any(line.startswith(text) for line in lines), (text, done.err)
    assert any("objects, " in line and "/s)" in line for line in lines if line.startswith("sending"))
    assert " in 1 Pack to 'store'" in done.err
    assert lines[-1].startswith("ended with 0 after ")


def test_verbose_tells_how_an_error_ended(project: Path) -> None:
    done = run_mlvc("-v", "push", "-r", "gone", cwd=project, check=False)
    assert done.err.splitlines()[-1].startswith("ended with 2 after ")
    run_mlvc("remote", "add", "far", "/nowhere/at/all", cwd=project)
    lines = run_mlvc("-v", "push", "-r", "far", cwd=project, check=False).err.splitlines()
    # The part that failed is told, too, and before the error.
    parts = [number for number, line in enumerate(lines) if line.startswith("asking 'far'")]
    assert parts
    assert parts[0] < next(number for number, line in enumerate(lines) if line.startswith("mlvc: "))


def test_verbose_cuts_no_list(project: Path) -> None:
    shell.write(project, {f"data/{number}": b"new" for number in range(30)})
    assert "10 more" in run_mlvc("status", cwd=project).out
    assert run_mlvc("status", "-v", cwd=project).out.count("    added ") == 30


def test_verbose_before_check_ignore(project: Path) -> None:
    for args in (("-v", "check-ignore"), ("check-ignore", "-v")):
        done = run_mlvc(*args, "data/__pycache__", cwd=project)
        assert done.out == "(never tracked):__pycache__  data/__pycache__\n"
        assert done.err == ""  # as with Git, that is all that it means there


@pytest.mark.parametrize("args", [("-q",), ("-v", "--no-progress")])
def test_without_a_command_there_is_help(args: tuple[str, ...]) -> None:
    done = run_mlvc(*args, check=False)
    assert (done.code, done.out) == (2, "")
    assert "Usage: mlvc" in done.err


def test_with_version_and_help() -> None:
    assert run_mlvc("-q", "--version").out == run_mlvc("--version").out
    assert run_mlvc("-v", "--help").out == run_mlvc("--help").out


def test_the_setting(project: Path) -> None:
    assert run_mlvc("config", "core.progress", cwd=project).out == "true\n"
    run_mlvc("config", "core.progress", "false", cwd=project)
    assert run_mlvc("config", "core.progress", cwd=project).out == "false\n"
