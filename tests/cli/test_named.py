"""Words on the command line that name nothing tracked: refused everywhere, with a hint at what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import run_mlvc, shell
from tests.helpers.shell import image, refused

TAKING_PATHS = [["status"], ["commit"], ["checkout"], ["diff", "-t"], ["push"], ["fetch"], ["pull"]]


def said(root: Path, *args: str, parts: tuple[str, ...]) -> None:
    """The command is refused with these parts in its sentence or hint, and has changed nothing."""
    before = image(root)
    refused(run_mlvc(*args, cwd=root, check=False), 2, *parts)
    assert image(root) == before


def ends_well(root: Path, *args: str) -> str:
    result = run_mlvc(*args, cwd=root)
    return result.out + result.err


@pytest.mark.parametrize("args", TAKING_PATHS, ids=" ".join)
def test_nothing_is_there(pushed: Path, args: list[str]) -> None:
    said(pushed, *args, "nope", parts=("nope is not tracked, and nothing is there", "check the spelling"))
    said(pushed, *args, "model.bim", parts=("model.bim is not tracked, and nothing", "did you mean `model.bin`?"))
    said(pushed, *args, "data/nope", parts=("data/nope is not tracked: it is not part of data", "nothing is there"))
    said(pushed, *args, "model.bin/x", parts=("model.bin/x is not tracked: it is not part of model.bin",))


@pytest.mark.parametrize("args", TAKING_PATHS, ids=" ".join)
def test_a_good_path_does_not_hide_a_bad_one(pushed: Path, args: list[str]) -> None:
    more = ["data/one.txt", *args[1:]]
    said(pushed, *args, *more, "data/nope", parts=("data/nope is not tracked",))
    said(pushed, *args, *more, "nope", parts=("nope is not tracked",))


def test_between_two_revisions(project: Path) -> None:
    (project / "data/two.txt").unlink()
    shell.write(project, {"data/new.txt": b"new", "other": b"other", "here": b"not tracked"})
    run_mlvc("add", "data", "other", cwd=project)
    shell.commit(project)
    (project / "data/new.txt").unlink()
    between = ("diff", "HEAD~1", "HEAD", "-t")
    for path in ("data/two.txt", "data/new.txt", "other"):
        assert path in ends_well(project, *between, path)
    assert "no difference" in ends_well(project, *between, "data/one.txt")
    said(project, *between, "data/nope", parts=("data/nope is not tracked",))
    said(project, *between, "here", parts=("here is not tracked at HEAD~1 or HEAD", "`mlvc diff HEAD~1`"))
    said(project, *between, "zzz", parts=("zzz is not tracked at HEAD~1 or HEAD",))


def test_a_pointer_that_cannot_be_read_hides_what_is_in_it(project: Path) -> None:
    (project / "data.mlvc").write_text("no Pointer")
    shell.commit(project)
    result = run_mlvc("diff", "HEAD~1", "HEAD", "-t", "data/nope", cwd=project, check=False)
    assert result.code == 2
    assert "HEAD:data.mlvc" in result.err


def test_what_was_deleted_from_a_tracked_directory_is_known(project: Path) -> None:
    (project / "data/one.txt").unlink()
    for command in (["status"], ["diff", "-t"]):
        assert "deleted   data/one.txt" in ends_well(project, *command, "data/one.txt")
    assert "updated  data" in ends_well(project, "commit", "data/one.txt")
    assert "data" in ends_well(project, "status", "data/one.txt")  # HEAD has it still
    said(project, "commit", "data/one.txt", parts=("data/one.txt is not tracked",))
    shell.write(project, {"data/new.txt": b"new"})
    assert "added     data/new.txt" in ends_well(project, "status", "data/new.txt")
    assert "no difference" not in ends_well(project, "diff", "-t", "data/sub/..", "-t", "data/new.txt")


def test_where_nobody_can_tell_nothing_is_refused(pushed: Path) -> None:
    clone = shell.clone(pushed)
    assert "data" in ends_well(clone, "status", "data/nope")
    said(clone, "pull", "data/nope", parts=("data/nope is not tracked",))
    assert "working tree: 1 added" in ends_well(clone, "pull", "data/one.txt")


def test_a_name_that_git_takes_for_a_remote(pushed: Path) -> None:
    for command in ("push", "fetch", "pull"):
        said(pushed, command, "store", parts=("store is not tracked", f"`mlvc {command} -r store`"))
        said(pushed, command, "store", "main", parts=("store is not tracked", f"`mlvc {command} -r store`"))
        said(pushed, command, "main", parts=("main is not tracked", f"it is a revision: `mlvc {command} --rev main`"))
    said(pushed, "status", "store", parts=("store is not tracked, and nothing is there",))
    shell.write(pushed, {"store": b"a file of this name"})
    said(pushed, "push", "store", parts=("`mlvc add store`",))


def test_a_path_of_now_at_a_revision_that_did_not_have_it(pushed: Path) -> None:
    shell.write(pushed, {"later": b"x"})
    run_mlvc("add", "later", cwd=pushed)
    shell.commit(pushed)
    for command in ("pull", "push", "fetch", "checkout"):
        parts = ("later is not tracked at HEAD~1", "`mlvc diff HEAD~1`")
        said(pushed, command, "--rev", "HEAD~1", "later", parts=parts)
    run_mlvc("push", "--rev", "HEAD~1", "--rev", "HEAD", "later", cwd=pushed)


@pytest.mark.parametrize("command", ["checkout", "push", "commit"])
def test_the_name_of_a_stage(pushed: Path, command: str) -> None:
    shell.write(pushed, {"mlvc.yaml": b"stages: {train: {cmd: cp model.bin y, deps: [model.bin], outs: [y]}}\n"})
    said(pushed, command, "train", parts=("train is not tracked", "it is a stage: name what it makes (y)"))
    said(pushed, command, "y", parts=("y is not tracked", "stage 'train' makes it", "`mlvc repro train`"))
    shell.write(pushed, {"mlvc.yaml": b"not a pipeline"})
    said(pushed, command, "train", parts=("train is not tracked, and nothing is there",))


@pytest.mark.parametrize(
    ("folder", "typed", "hint"),
    [
        ("", "data/on.txt", "did you mean `data/one.txt`?"),
        ("", "dta/sub/three.txt", "did you mean `data/sub/three.txt`?"),
        ("", "dta/nope.txt", "check the spelling"),
        ("", "nothing/like/it", "check the spelling"),
        ("data/sub", "../on.txt", "did you mean `../one.txt`?"),
        ("data/sub", "data/one.txt", "check the spelling"),
    ],
)
def test_a_file_to_track_that_is_not_there(project: Path, folder: str, typed: str, hint: str) -> None:
    said(project / folder, "add", typed, parts=(f"{typed} does not exist", hint))
    said(project / folder, "add", "-o", "copy", typed, parts=(f"{typed} does not exist", hint))
