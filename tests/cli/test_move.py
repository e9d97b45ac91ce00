"""``move``: a path, its data and its record get another name together, and nothing is overwritten."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.helpers import git, run_mlvc, shell
from tests.helpers.faults import counted, process_faults
from tests.helpers.shell import image, refused, tree


def tracked(root: Path) -> dict[str, object]:
    status = json.loads(run_mlvc("status", "--json", cwd=root).out)
    assert not status["working_tree"], status
    assert not status["missing"], status
    return status


def ignored(root: Path, *paths: str) -> bool:
    return all(git("check-ignore", path, cwd=root, check=False) for path in paths)


def spread(log: Path, most: int = 14) -> list[int]:
    """Numbers of calls, evenly spread, the first and the last among them."""
    calls = len(counted(log))
    return sorted({1 + round(step * (calls - 1) / (most - 1)) for step in range(most)})


def test_a_directory_moves_with_its_pointer_its_line_and_its_record(project: Path) -> None:
    inode = (project / "data/one.txt").stat().st_ino
    text = (project / "data.mlvc").read_text()
    result = run_mlvc("move", "data", "sets/raw", cwd=project)
    assert result.out == "renamed  data -> sets/raw\n"
    assert "git add .gitignore data.mlvc sets/.gitignore sets/raw.mlvc" in result.err
    assert (project / "sets/raw/one.txt").stat().st_ino == inode  # renamed, not copied
    assert (project / "sets/raw.mlvc").read_text() == text
    assert not (project / "data.mlvc").exists()
    assert not (project / "data").exists()
    assert (project / ".gitignore").read_text() == "/model.bin\n"
    assert ignored(project, "sets/raw")
    assert (project / ".git/mlvc/placed").read_text() == '"model.bin"\n"sets/raw"\n'
    tracked(project)
    shell.commit(project)
    assert run_mlvc("checkout", cwd=project).err == "nothing to change\n"
    assert (project / "sets/raw/one.txt").exists()


def test_what_moved_is_not_read_again(project: Path) -> None:
    run_mlvc("status", cwd=project)
    run_mlvc("move", "data", "model.bin", "sets", cwd=project, check=False)
    (project / "sets").mkdir()
    # As a pattern of the shell gives them: with their Pointers.
    run_mlvc("move", "data", "data.mlvc", "model.bin", "model.bin.mlvc", "sets", cwd=project)
    # Whoever reads the file would see other bytes: the Index is asked instead.
    path = project / "sets/model.bin"
    info = path.stat()
    assert tracked(project)["tracked"] == 2
    known = run_mlvc("diff", "--json", cwd=project).out
    assert json.loads(known)["changes"]
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (info.st_ino, info.st_mtime_ns)


@pytest.mark.parametrize(
    ("source", "target", "gone", "there"),
    [
        ("data/one.txt", "data/sub/1.txt", "data/one.txt", "data/sub/1.txt"),
        ("data/two.txt", "data/empty", "data/two.txt", "data/empty/two.txt"),
        ("data/sub", "data/below/sub", "data/sub", "data/below/sub/three.txt"),
        ("data/link", "data/sub/link", "data/link", "data/sub/link"),
        ("data/empty", "data/void", "data/empty", "data/void"),
        ("data/sub", "sub", "data/sub", "sub/three.txt"),
        ("data/two.txt", "two", "data/two.txt", "two"),
        ("data/empty", "empty", "data/empty", "empty"),
        ("model.bin", "data", "model.bin", "data/model.bin"),
        ("data/sub/three.txt", "other", "data/sub/three.txt", "other/three.txt"),
        ("other", "data/sub", "other", "data/sub/other/x"),
        ("other/x", "data/one", "other/x", "data/one"),
    ],
)
def test_paths_inside_of_tracked_directories(project: Path, source: str, target: str, gone: str, there: str) -> None:
    shell.write(project, {"other/x": b"x\n", "other/y": b"y\n"})
    run_mlvc("add", "other", cwd=project)
    shell.commit(project)
    before = tree(project)
    run_mlvc("move", source, target, cwd=project)
    after = tree(project)
    assert gone not in after
    assert there in after
    files = {what for path, what in before.items() if not path.endswith((".mlvc", ".gitignore"))}
    assert {what for path, what in after.items() if not path.endswith((".mlvc", ".gitignore"))} == files
    tracked(project)
    # The record alone gives the same again.
    for name in ("data", "other", "sub", "empty"):
        shutil.rmtree(project / name, ignore_errors=True)
    run_mlvc("checkout", cwd=project)
    assert tree(project) == after
    shell.commit(project)
    tracked(project)


def test_the_last_file_of_a_directory_takes_it_along(project: Path) -> None:
    run_mlvc("move", "data/sub/three.txt", "data/sub/four file.txt", "data/empty", cwd=project)
    assert not (project / "data/sub").exists()
    tracked(project)


def test_the_only_file_of_a_tracked_directory(project: Path) -> None:
    shell.write(project, {"single/x": b"x\n"})
    run_mlvc("add", "single", cwd=project)
    run_mlvc("move", "single/x", "single/y", cwd=project)
    tracked(project)
    shutil.rmtree(project / "single")
    run_mlvc("checkout", cwd=project)
    assert [path.name for path in (project / "single").iterdir()] == ["y"]


def test_the_rest_need_not_be_present(pushed: Path) -> None:
    shutil.rmtree(pushed / "data")
    (pushed / "model.bin").unlink()
    result = run_mlvc("move", "data/sub", "sub", "--json", cwd=pushed)
    assert json.loads(result.out) == {
        "moves": [{"from": "data/sub", "path": "sub", "present": False, "modified": False}],
        "files": [".gitignore", "data.mlvc", "sub.mlvc"],
    }
    run_mlvc("move", "model.bin", "data/m", cwd=pushed)
    run_mlvc("checkout", cwd=pushed)
    assert (pushed / "sub/three.txt").read_bytes() == b"three\n"
    assert (pushed / "data/m").read_bytes() == shell.LARGE
    # Without its manifest, nobody knows what a directory has.
    shutil.rmtree(pushed / ".git/mlvc/packs")
    before = image(pushed)
    refused(run_mlvc("move", "data/m", "m", cwd=pushed, check=False), 4, "manifest", "mlvc fetch data")
    assert image(pushed) == before


def test_what_is_modified_moves_and_is_told(project: Path) -> None:
    shell.write(project, {"data/one.txt": b"changed\n", "data/new": b"new\n"})
    run_mlvc("status", cwd=project)
    result = run_mlvc("move", "data", "sets", cwd=project)
    assert "sets is modified and not recorded" in result.err
    assert (project / "sets/one.txt").read_bytes() == b"changed\n"
    assert (project / "sets/new").read_bytes() == b"new\n"
    status = json.loads(run_mlvc("status", "--json", cwd=project).out)
    assert [change["path"] for change in status["working_tree"][0]["changes"]] == ["sets/new", "sets/one.txt"]
    result = run_mlvc("move", "sets/one.txt", "one", cwd=project)
    assert "one is modified" in result.err
    assert (project / "one").read_bytes() == b"changed\n"


def test_git_is_told_as_add_tells_it(project: Path) -> None:
    run_mlvc("config", "core.autostage", "true", cwd=project)
    git("commit", "--quiet", "--all", "-m", "settings", cwd=project)
    result = run_mlvc("move", "data", "sets", cwd=project)
    assert "hint" not in result.err
    assert git("status", "--porcelain", cwd=project).splitlines() == ["M  .gitignore", "R  data.mlvc -> sets.mlvc"]


def test_links_into_the_store_lead_there_from_the_new_place(project: Path) -> None:
    run_mlvc("config", "core.link", "symlink", cwd=project)
    shell.write(project, {"big/a/large": shell.LARGE[::-1]})
    run_mlvc("add", "big", cwd=project)
    run_mlvc("checkout", "--relink", cwd=project)
    assert (project / "model.bin").is_symlink()
    run_mlvc("move", "model.bin", "deep/er/model.bin", cwd=project)
    run_mlvc("move", "big", "very/deep/big", cwd=project)
    for path, data in (("deep/er/model.bin", shell.LARGE), ("very/deep/big/a/large", shell.LARGE[::-1])):
        assert (project / path).is_symlink()
        assert (project / path).read_bytes() == data
    tracked(project)


def test_dry_run_changes_nothing(project: Path) -> None:
    run_mlvc("status", cwd=project)
    before = image(project)
    result = run_mlvc("move", "--dry-run", "data", "sets", cwd=project)
    assert result.out == "would rename  data -> sets\n"
    assert image(project) == before


def test_from_a_directory_below(project: Path) -> None:
    run_mlvc("move", "one.txt", "../one.txt", cwd=project / "data")
    assert (project / "one.txt").read_bytes() == b"one\n"
    tracked(project)


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["data"], ("a new name is missing",)),
        (["absent", "x"], ("absent is not tracked", "check the spelling")),
        (["README", "x"], ("README is not tracked", "git mv")),
        (["plain", "x"], ("plain is not tracked itself", "plain/file")),
        (["data/absent", "x"], ("data/absent is not tracked: it is not part of data", "nothing is there")),
        (["out", "x"], ("out is made by a stage", "mlvc.yaml")),
        (["data", "out/x"], ("belongs to a stage",)),
        (["data", "data"], ("is the path itself",)),
        (["data", "data/sub/x"], ("inside of it",)),
        (["data", "model.bin"], ("model.bin is tracked",)),
        (["data/one.txt", "data/two.txt"], ("data/two.txt", "there already")),
        (["data/one.txt", "README"], ("README is there already",)),
        (["data/one.txt", "README/x"], ("README is no directory",)),
        (["data/one.txt", "model.bin/x"], ("model.bin",)),
        (["data", "model.bin", "nowhere"], ("nowhere is no directory", "mkdir nowhere")),
        (["data", "nowhere/"], ("is no directory",)),
        (["data", "data/one.txt", "plain"], ("inside of another path",)),
        (["data/sub/three.txt", "plain/three.txt", "plain/sub"], ("one name",)),
        (["data", "../outside"], ("outside the repository",)),
        (["data", ".git/x"], ("part of Git",)),
        (["data", "x.mlvc"], ("is a Pointer",)),
        (["data", "deleted"], ("Git itself has that path",)),
        (["data/link", "x"], ("is a symbolic link",)),
        (["data", "hidden/x"], ("Git ignores",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_refused_changes_nothing(project: Path, args: list[str], parts: tuple[str, ...]) -> None:
    shell.write(
        project,
        {
            "README": b"read me\n",
            "plain/file": b"file\n",
            "plain/three.txt": b"3\n",
            "plain/sub/x": b"",
            ".gitignore": (project / ".gitignore").read_bytes() + b"/hidden\n",
            "mlvc.yaml": b"stages: {s: {cmd: cp model.bin out, deps: [model.bin], outs: [out]}}\n",
        },
    )
    run_mlvc("add", "plain/file", "plain/three.txt", cwd=project)
    run_mlvc("repro", cwd=project)
    shell.write(project, {"deleted": b"but not in Git\n"})
    shell.commit(project)
    (project / "deleted").unlink()
    run_mlvc("status", cwd=project)
    before = image(project)
    refused(run_mlvc("move", *args, cwd=project, check=False), 2, *parts, hint=False)
    assert image(project) == before


def test_what_is_recorded_but_absent_is_not_overwritten(project: Path) -> None:
    (project / "data/two.txt").unlink()
    before = image(project)
    refused(run_mlvc("move", "data/one.txt", "data/two.txt", cwd=project, check=False), 2, "tracked already")
    refused(run_mlvc("move", "model.bin", "data/sub/three.txt/x", cwd=project, check=False), 2, "three.txt", hint=False)
    assert image(project) == before


@pytest.mark.fault
@pytest.mark.parametrize(
    "args", [("data", "sets/raw"), ("model.bin", "data/sub", "other"), ("data/sub", "model.bin", "o")]
)
def test_kill_9_loses_nothing_and_the_same_command_finishes(
    project: Path, tmp_path: Path, args: tuple[str, ...]
) -> None:
    shell.write(project, {"data/sub/new": b"stored nowhere\n", "other/x": b"x\n"})
    (project / "o").mkdir()
    run_mlvc("add", "other", cwd=project)
    shell.commit(project)
    shell.write(project, {"data/one.txt": b"changed and stored nowhere\n"})
    start = project.parent
    end = shell.copied(start, tmp_path / "end") / "project"
    log = tmp_path / "calls"
    run_mlvc("move", *args, cwd=end, env=process_faults(root=end, count_to=log))
    before, after = tree(project), tree(end)
    contents = {what for path, what in before.items() if not path.endswith((".mlvc", ".gitignore"))}
    finished = 0
    for n in spread(log):
        place = shell.copied(start, tmp_path / f"{n}")
        root = place / "project"
        done = run_mlvc("move", *args, cwd=root, check=False, env=process_faults(kill_at=n, root=root))
        assert done.code in (-signal.SIGKILL, 0)
        now = tree(root)
        assert contents <= set(now.values()), n
        run_mlvc("status", cwd=root)
        other = shell.copied(place, tmp_path / f"{n}-other") / "project"
        again = run_mlvc("move", *args, cwd=root, check=False)
        finished += again.code != 0
        assert tree(root) == after, (n, again)
        assert ignored(root, "model.bin") or not (root / "model.bin").exists()
        # Or checkout, which makes what the Pointers say, and loses nothing either.
        run_mlvc("checkout", "--force" if (other / "data/one.txt").exists() else "--relink", cwd=other, check=False)
        run_mlvc("status", cwd=other)
        if not (other / "data/one.txt").exists():
            assert b"stored nowhere" in b"".join(p.read_bytes() for p in other.rglob("one.txt"))
        shutil.rmtree(place)
        shutil.rmtree(other.parent)
    assert finished < 10  # only what was done but for its temporary files


@pytest.mark.fault
def test_a_system_call_that_fails_leaves_all_as_it_was_or_goes_on(project: Path, tmp_path: Path) -> None:
    shell.write(project, {"data/one.txt": b"changed and stored nowhere\n"})
    start = project.parent
    log = tmp_path / "calls"
    end = shell.copied(start, tmp_path / "end") / "project"
    run_mlvc("move", "data", "sets/raw", cwd=end, env=process_faults(root=end, count_to=log))
    after = tree(end)
    for n in spread(log):
        place = shell.copied(start, tmp_path / f"{n}")
        root = place / "project"
        done = run_mlvc("move", "data", "sets/raw", cwd=root, check=False, env=process_faults(fail_at=n, root=root))
        assert done.code in (0, 8), (n, done)
        assert "Traceback" not in done.err
        if tree(root) != after:
            run_mlvc("move", "data", "sets/raw", cwd=root)
        assert tree(root) == after, n
        shutil.rmtree(place)
