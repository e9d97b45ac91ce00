"""``status`` and ``diff``: what they tell, and that they change nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.helpers import git, make_git_repo, run_mlvc, shell
from tests.helpers.shell import image


def status(root: Path, *args: str) -> dict[str, object]:
    shown: dict[str, object] = json.loads(run_mlvc("status", "--json", *args, cwd=root).out)
    return shown


def test_clean(project: Path) -> None:
    before = image(project, git_index=True)
    result = run_mlvc("status", "--exit-code", cwd=project)
    assert (result.code, result.out, result.err) == (0, "clean: 2 paths as tracked\n", "")
    assert status(project) == {
        "clean": True,
        "tracked": 2,
        "working_tree": [],
        "head": [],
        "missing": [],
        "stages": [],
        "refused": [],
        "unreadable": [],
    }
    assert image(project, git_index=True) == before


def test_everything_that_can_be_told(project: Path) -> None:
    shell.write(project, {"model.bin": b"new model", "extra": b"extra"})
    run_mlvc("add", "model.bin", "extra", cwd=project)
    shell.write(project, {"data/one.txt": b"changed\n", "data/new.txt": b"new\n", "extra": b"extra again"})
    (project / "data/two.txt").unlink()
    (project / "data/sub/three.txt").rename(project / "data/moved.txt")
    (project / "mlvc.yaml").write_text("stages: {a: {cmd: cp model.bin y, deps: [model.bin], outs: [y]}}\n")
    before = image(project, git_index=True)
    result = run_mlvc("status", "--exit-code", cwd=project, check=False)
    assert (result.code, result.err) == (1, "")
    for line in (
        "modified  model.bin  (1.5 MB -> 9 B)",
        "added     extra  (5 B)",
        "modified  data/one.txt  (4 B -> 8 B)",
        "added     data/new.txt  (4 B)",
        "deleted   data/two.txt  (4 B)",
        "renamed   data/sub/three.txt -> data/moved.txt  (6 B)",
        "modified  extra  (5 B -> 11 B)",
        "a: never run",
    ):
        assert line in result.out
    shown = status(project)
    assert shown["clean"] is False
    assert [item["path"] for item in shown["head"]] == ["extra", "model.bin"]
    work = {item["path"]: item for item in shown["working_tree"]}
    assert {change["path"]: change["change"] for change in work["data"]["changes"]} == {
        "data/one.txt": "modified",
        "data/new.txt": "added",
        "data/two.txt": "deleted",
        "data/moved.txt": "renamed",
    }
    assert shown["stages"] == [{"stage": "a", "reasons": ["never run"]}]
    assert image(project, git_index=True) == before


def test_one_path_and_from_a_subdirectory(project: Path) -> None:
    shell.write(project, {"data/one.txt": b"changed\n", "model.bin": b"new"})
    assert [item["path"] for item in status(project, "model.bin")["working_tree"]] == ["model.bin"]
    below = run_mlvc("status", "--json", "../model.bin", cwd=project / "data")
    assert [item["path"] for item in json.loads(below.out)["working_tree"]] == ["model.bin"]
    assert status(project, "data.mlvc")["tracked"] == 1


def test_absent_and_missing(pushed: Path) -> None:
    clone = shell.clone(pushed)
    shown = status(clone)
    assert {item["path"]: item["state"] for item in shown["working_tree"]} == {"data": "absent", "model.bin": "absent"}
    assert {item["path"] for item in shown["missing"]} == {"data", "model.bin"}


def test_many_changes_are_counted_and_not_all_shown(project: Path) -> None:
    shell.write(project, {f"data/n{number}": b"%d" % number for number in range(50)})
    out = run_mlvc("status", cwd=project).out
    assert "50 added" in out
    assert "… and 30 more: see `mlvc diff`" in out
    assert len(run_mlvc("diff", cwd=project).out.splitlines()) == 50


def test_an_untracked_repository_and_one_without_commits() -> None:
    root = make_git_repo()
    run_mlvc("init")
    assert run_mlvc("status").out == "clean: nothing is tracked yet\n"
    shell.write(root, {"x": b"x"})
    run_mlvc("add", "x")
    assert [item["path"] for item in status(root)["head"]] == ["x"]
    assert run_mlvc("diff").out == "added     x  (1 B)\n"


# Anchor I: a same-size edit with the time restored must not read as up to date.
def test_anchor_i_an_edit_that_hides_its_time_is_seen(project: Path) -> None:
    run_mlvc("status", cwd=project)
    path = project / "data/one.txt"
    info = path.stat()
    path.write_bytes(b"ONE\n")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert "modified  data/one.txt" in run_mlvc("status", cwd=project).out


def test_anchor_i_an_edit_in_the_same_tick_is_seen(project: Path) -> None:
    for number in range(5):
        path = project / "fresh.bin"
        path.write_bytes(b"%03d" % number)
        run_mlvc("add", "fresh.bin", cwd=project)
        path.write_bytes(b"%03d" % (900 + number))
        assert "modified" in run_mlvc("status", "fresh.bin", cwd=project).out


# -- diff --------------------------------------------------------------------------------------


def changed(project: Path) -> None:
    """A second commit: one file renamed in the directory, one removed, one changed; a new path, one gone."""
    (project / "data/sub/three.txt").rename(project / "data/moved.txt")
    (project / "data/two.txt").unlink()
    shell.write(project, {"data/one.txt": b"much longer\n", "table.csv": b"x" * 2500})
    run_mlvc("add", "data", "table.csv", cwd=project)
    git("rm", "--quiet", "--cached", "model.bin.mlvc", cwd=project)
    (project / "model.bin.mlvc").unlink()
    shell.commit(project, "second")


EXPECTED = [
    "renamed   data/sub/three.txt -> data/moved.txt  (6 B)",
    "modified  data/one.txt  (4 B -> 12 B)",
    "deleted   data/two.txt  (4 B)",
    "deleted   model.bin  (1.5 MB)",
    "added     table.csv  (2.5 KB)",
]


def test_diff_of_two_revisions(project: Path) -> None:
    changed(project)
    result = run_mlvc("diff", "HEAD~1", "HEAD", cwd=project)
    assert sorted(result.out.splitlines()) == sorted(EXPECTED)
    assert result.err == "1 added, 1 modified, 2 deleted, 1 renamed\n"
    git("tag", "v1", "HEAD~1", cwd=project)
    assert run_mlvc("diff", "v1", "main", cwd=project).out == result.out
    back = run_mlvc("diff", "main", "v1", cwd=project)
    assert "renamed   data/moved.txt -> data/sub/three.txt  (6 B)" in back.out
    assert "added     model.bin  (1.5 MB)" in back.out


def test_diff_against_the_working_tree(project: Path) -> None:
    changed(project)
    shell.write(project, {"table.csv": b"short"})
    assert sorted(run_mlvc("diff", "HEAD~1", cwd=project).out.splitlines()) == sorted(
        [*EXPECTED[:4], "added     table.csv  (5 B)"]
    )
    assert run_mlvc("diff", cwd=project).out == "modified  table.csv  (2.5 KB -> 5 B)\n"
    assert run_mlvc("diff", "-t", "data", cwd=project).out == ""
    assert run_mlvc("diff", "HEAD~1", "--target", "table.csv", cwd=project).out == "added     table.csv  (5 B)\n"


def test_diff_exit_code(project: Path) -> None:
    assert run_mlvc("diff", "--exit-code", cwd=project).code == 0
    shell.write(project, {"data/one.txt": b"x"})
    assert run_mlvc("diff", "--exit-code", cwd=project, check=False).code == 1
    assert run_mlvc("diff", cwd=project).code == 0


def test_diff_as_markdown(project: Path) -> None:
    changed(project)
    shell.write(project, {"pipe|name": b"x"})
    run_mlvc("add", "pipe|name", cwd=project)
    lines = run_mlvc("diff", "HEAD~1", "--md", cwd=project).out.splitlines()
    assert lines[:2] == ["| Change | Path | Old size | New size |", "|---|---|---:|---:|"]
    assert any("data/one.txt" in line and "4 B" in line and "12 B" in line for line in lines)
    assert any("data/moved.txt" in line and "data/sub/three.txt" in line for line in lines)
    assert all(line.replace(r"\|", "").count("|") == 5 for line in lines)


def test_diff_as_json(project: Path) -> None:
    changed(project)
    found = json.loads(run_mlvc("diff", "HEAD~1", "HEAD", "--json", cwd=project).out)
    assert (found["old"], found["new"], found["unknown"]) == ("HEAD~1", "HEAD", [])
    by_path = {change["path"]: change for change in found["changes"]}
    assert by_path["data/moved.txt"]["change"] == "renamed"
    assert by_path["data/moved.txt"]["from"] == "data/sub/three.txt"
    assert (by_path["data/one.txt"]["old"]["size"], by_path["data/one.txt"]["new"]["size"]) == (4, 12)
    assert by_path["model.bin"]["change"] == "deleted"
    assert by_path["table.csv"]["new"]["oid"].startswith("xxh128:")
    assert json.loads(run_mlvc("diff", "--json", cwd=project).out)["new"] is None


def test_diff_where_a_manifest_is_not_here(pushed: Path) -> None:
    clone = shell.clone(pushed)
    changed(pushed)
    git("pull", "--quiet", cwd=clone)
    result = run_mlvc("diff", "HEAD~1", "HEAD", cwd=clone, check=False)
    assert result.code == 4
    assert "deleted   model.bin  (1.5 MB)" in result.out  # the rest is told
    shell.ends(result, "data", "mlvc fetch", "--all-commits")
    run_mlvc("push", cwd=pushed)
    run_mlvc("fetch", "--all-commits", cwd=clone)
    assert sorted(run_mlvc("diff", "HEAD~1", "HEAD", cwd=clone).out.splitlines()) == sorted(EXPECTED)
