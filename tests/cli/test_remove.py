"""``remove``: a path is tracked no more; its data stay, or go where they are stored."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.helpers import git, run_mlvc, shell
from tests.helpers.faults import counted, process_faults
from tests.helpers.shell import image, refused, tree


def test_the_data_stay_and_checkout_leaves_them_alone(project: Path) -> None:
    result = run_mlvc("remove", "data", cwd=project)
    assert result.out == "removed  data\n"
    assert "git add .gitignore data.mlvc" in result.err
    assert (project / "data/one.txt").read_bytes() == b"one\n"
    assert not (project / "data.mlvc").exists()
    assert (project / ".gitignore").read_text() == "/model.bin\n"
    assert (project / ".git/mlvc/placed").read_text() == '"model.bin"\n'
    run_mlvc("checkout", cwd=project)
    git("add", ".gitignore", "data.mlvc", cwd=project)
    git("commit", "--quiet", "-m", "untrack", cwd=project)
    # The data of a path that a commit untracks go where mlvc put them; here it was told that they stay.
    assert run_mlvc("checkout", cwd=project).err == "nothing to change\n"
    assert (project / "data/one.txt").read_bytes() == b"one\n"
    assert git("status", "--porcelain", cwd=project) == "?? data/"


def test_with_data_they_go_and_an_earlier_commit_has_them(project: Path) -> None:
    result = run_mlvc("remove", "--data", "data", "model.bin.mlvc", "--json", cwd=project)
    assert json.loads(result.out) == {
        "paths": ["data", "model.bin"],
        "data": ["data", "model.bin"],
        "files": [".gitignore", "data.mlvc", "model.bin.mlvc"],
    }
    assert not (project / "data").exists()
    assert not (project / "model.bin").exists()
    assert not (project / ".gitignore").exists()
    shell.commit(project)
    assert json.loads(run_mlvc("status", "--json", cwd=project).out)["tracked"] == 0
    run_mlvc("checkout", "--rev", "HEAD~1", cwd=project)
    assert (project / "model.bin").read_bytes() == shell.LARGE


def test_data_that_are_stored_nowhere_do_not_go(project: Path) -> None:
    shell.write(project, {"data/one.txt": b"changed\n", "data/new": b"new\n"})
    run_mlvc("status", cwd=project)
    before = image(project)
    refused(run_mlvc("remove", "--data", "data", "model.bin", cwd=project, check=False), 5, "data/", "--force")
    refused(run_mlvc("remove", "--data", "data/one.txt", cwd=project, check=False), 5, "data/one.txt", "--force")
    assert image(project) == before
    run_mlvc("remove", "--data", "--force", "data", cwd=project)
    assert not (project / "data").exists()
    # Without --data nothing is at risk.
    shell.write(project, {"model.bin": b"changed\n"})
    run_mlvc("remove", "model.bin", cwd=project)
    assert (project / "model.bin").read_bytes() == b"changed\n"


def test_data_that_the_store_lost_do_not_go(project: Path) -> None:
    shutil.rmtree(project / ".git/mlvc/packs")
    run_mlvc("status", cwd=project)
    before = tree(project)
    result = run_mlvc("remove", "--data", "data", cwd=project, check=False)
    refused(result, 5, "data/")
    assert tree(project) == before


@pytest.mark.parametrize("path", ["data/one.txt", "data/sub", "data/link", "data/empty"])
def test_a_path_inside_of_a_tracked_directory(project: Path, path: str) -> None:
    before = image(project)
    refused(run_mlvc("remove", path, cwd=project, check=False), 2, path, "--data", ".mlvcignore")
    assert image(project) == before
    left = {name for name in tree(project) if name != path and not name.startswith(path + "/")}
    run_mlvc("remove", "--data", path, cwd=project)
    after = tree(project)
    assert set(after) == left
    assert json.loads(run_mlvc("status", "--json", cwd=project).out)["working_tree"] == []
    shutil.rmtree(project / "data")
    run_mlvc("checkout", cwd=project)
    assert tree(project) == after


def test_a_part_that_is_absent_or_ignored_needs_no_data(project: Path) -> None:
    shell.write(project, {".mlvcignore": b"/data/sub\n"})
    run_mlvc("remove", "data/sub", cwd=project)
    assert (project / "data/sub/three.txt").exists()
    (project / "data/two.txt").unlink()
    run_mlvc("remove", "data/two.txt", cwd=project)
    assert json.loads(run_mlvc("status", "--json", cwd=project).out)["working_tree"] == []
    assert run_mlvc("checkout", cwd=project).err == "nothing to change\n"
    assert (project / "data/sub/three.txt").exists()


def test_what_is_named_twice_goes_once(project: Path) -> None:
    run_mlvc(
        "remove", "--data", "data/sub", "data/sub/three.txt", "data/sub", "model.bin", "model.bin.mlvc", cwd=project
    )
    assert not (project / "data/sub").exists()
    assert not (project / "model.bin").exists()
    assert json.loads(run_mlvc("status", "--json", cwd=project).out)["working_tree"] == []


def test_the_last_file_of_a_tracked_directory(project: Path) -> None:
    shell.write(project, {"single/x": b"x\n"})
    run_mlvc("add", "single", cwd=project)
    run_mlvc("remove", "--data", "single/x", cwd=project)
    assert list((project / "single").iterdir()) == []
    assert json.loads(run_mlvc("status", "--json", cwd=project).out)["working_tree"] == []


def test_lines_of_a_person_in_gitignore_stay(project: Path) -> None:
    (project / ".gitignore").write_text("# mine\n/data\n*.log\n/model.bin\n")
    run_mlvc("remove", "data", cwd=project)
    assert (project / ".gitignore").read_text() == "# mine\n*.log\n/model.bin\n"


def test_git_is_told_as_add_tells_it(project: Path) -> None:
    run_mlvc("config", "core.autostage", "true", cwd=project)
    git("commit", "--quiet", "--all", "-m", "settings", cwd=project)
    run_mlvc("add", "data", cwd=project)
    shell.write(project, {"never/x": b"x\n"})
    run_mlvc("add", "never", cwd=project)
    run_mlvc("remove", "data", "never", cwd=project)
    assert git("status", "--porcelain", "--untracked-files=no", cwd=project).splitlines() == [
        "M  .gitignore",
        "D  data.mlvc",
    ]


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["absent"], ("absent is not tracked, and nothing is there", "check the spelling")),
        (["modle.bin"], ("did you mean `model.bin`?",)),
        (["README"], ("README is not tracked", "git rm")),
        (["data/absent"], ("is not part of data",)),
        (["out"], ("out is made by a stage", "mlvc.yaml")),
        (["."], ("is not tracked itself",)),
        (["data", "../outside"], ("outside the repository",)),
        (["--force", "data"], ("--data",)),
        (["data", "absent"], ("absent is not tracked",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_refused_changes_nothing(project: Path, args: list[str], parts: tuple[str, ...]) -> None:
    shell.write(
        project,
        {
            "README": b"read me\n",
            "mlvc.yaml": b"stages: {s: {cmd: cp model.bin out, deps: [model.bin], outs: [out]}}\n",
        },
    )
    run_mlvc("repro", cwd=project)
    shell.commit(project)
    run_mlvc("status", cwd=project)
    before = image(project)
    refused(run_mlvc("remove", *args, cwd=project, check=False), 2, *parts)
    assert image(project) == before


def test_dry_run_changes_nothing(project: Path) -> None:
    run_mlvc("status", cwd=project)
    before = image(project)
    result = run_mlvc("remove", "-n", "--data", "data", cwd=project)
    assert result.out == "would remove  data, with its data\n"
    assert image(project) == before


@pytest.mark.fault
@pytest.mark.parametrize("args", [("data",), ("--data", "data", "model.bin"), ("--data", "data/sub")])
def test_kill_9_leaves_what_the_same_command_finishes(project: Path, tmp_path: Path, args: tuple[str, ...]) -> None:
    start = project.parent
    end = shell.copied(start, tmp_path / "end") / "project"
    log = tmp_path / "calls"
    run_mlvc("remove", *args, cwd=end, env=process_faults(root=end, count_to=log))
    after = tree(end)
    calls = len(counted(log))
    for n in sorted({1 + round(step * (calls - 1) / 13) for step in range(14)}):
        place = shell.copied(start, tmp_path / f"{n}")
        root = place / "project"
        done = run_mlvc("remove", *args, cwd=root, check=False, env=process_faults(kill_at=n, root=root))
        assert done.code in (-signal.SIGKILL, 0)
        run_mlvc("status", cwd=root)
        other = shell.copied(place, tmp_path / f"{n}-other") / "project"
        run_mlvc("remove", *args, cwd=root, check=False)
        assert tree(root) == after, n
        assert (root / ".git/mlvc/placed").read_text() == (end / ".git/mlvc/placed").read_text(), n
        # Or checkout, which makes what the Pointers say.
        run_mlvc("checkout", cwd=other)
        assert json.loads(run_mlvc("status", "--json", cwd=other).out)["working_tree"] == [], n
        shutil.rmtree(place)
        shutil.rmtree(other.parent)
