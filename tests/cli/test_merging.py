"""Real merges of real Git: the merge driver, `mlvc resolve`, and what `git diff` shows of a Pointer."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from mlvc.api.githooks import MOST
from tests.helpers import Result, git, run, run_mlvc, shell
from tests.helpers.faults import process_faults
from tests.helpers.shell import ends, refused, tree


@pytest.fixture
def merging(project: Path) -> Path:
    """``project`` with all that Git knows of mlvc, but for the hooks that move data."""
    run_mlvc("install", cwd=project)
    git("config", "core.hooksPath", "none", cwd=project)
    shell.commit(project, "installed")
    return project


def change(root: Path, branch: str, contents: dict[str, bytes | None], start: str = "main") -> None:
    """A branch off ``start`` that changes files of tracked paths: None deletes one."""
    git("checkout", "--quiet", "-B", branch, start, cwd=root)
    run_mlvc("checkout", cwd=root)
    for name, data in contents.items():
        if data is None:
            (root / name).unlink()
        else:
            shell.write(root, {name: data})
    run_mlvc("commit", cwd=root)
    shell.commit(root, branch)


def merge(root: Path, *args: str, code: int = 0, env: dict[str, str] | None = None) -> Result:
    result = run(["git", *(args or ("merge", "--no-edit", "theirs"))], cwd=root, check=False, env=env)
    assert result.code == code, result
    return result


def conflict(root: Path) -> None:
    """Both sides change data/one.txt; each also changes something else."""
    change(root, "theirs", {"data/one.txt": b"theirs\n", "data/new.txt": b"new\n", "data/sub/three.txt": None})
    change(root, "ours", {"data/one.txt": b"ours\n", "data/mine.txt": b"mine\n"})


def files(root: Path, name: str = "data") -> dict[str, bytes]:
    top = root / name
    return {p.relative_to(top).as_posix(): p.read_bytes() for p in top.rglob("*") if p.is_file() and not p.is_symlink()}


def checked_out(root: Path) -> dict[str, bytes]:
    run_mlvc("checkout", cwd=root)
    assert run_mlvc("status", cwd=root).out.startswith("clean")
    return files(root)


# -- the driver --------------------------------------------------------------------------------


def test_two_branches_that_changed_one_directory_merge_file_by_file(merging: Path) -> None:
    change(merging, "theirs", {"data/new.txt": b"new\n", "data/sub/three.txt": None, "data/one.txt": b"theirs\n"})
    change(merging, "ours", {"data/mine.txt": b"mine\n", "data/sub/four file.txt": b"ours\n"})
    (merging / "data/two.txt").chmod(0o644)
    run_mlvc("commit", cwd=merging)
    shell.commit(merging)
    merge(merging)
    assert checked_out(merging) == {
        "one.txt": b"theirs\n",
        "two.txt": b"two\n",
        "new.txt": b"new\n",
        "mine.txt": b"mine\n",
        "sub/four file.txt": b"ours\n",
    }
    assert not (merging / "data/two.txt").stat().st_mode & 0o100
    assert (merging / "data/empty").is_dir()
    assert (merging / "data/link").is_symlink()


def test_the_merged_pointer_is_the_one_that_add_would_write(merging: Path) -> None:
    change(merging, "theirs", {"data/new.txt": b"new\n"})
    change(merging, "ours", {"data/mine.txt": b"mine\n"})
    merge(merging)
    merged = (merging / "data.mlvc").read_bytes()
    checked_out(merging)
    (merging / "data.mlvc").unlink()
    run_mlvc("add", "data", cwd=merging)
    assert (merging / "data.mlvc").read_bytes() == merged


def test_what_both_sides_changed_is_a_conflict(merging: Path) -> None:
    conflict(merging)
    before = tree(merging)
    result = merge(merging, code=1)
    assert "both sides changed  data/one.txt\n" in result.err + result.out
    assert "mlvc resolve data" in result.err + result.out
    assert "data/new.txt" not in result.err + result.out
    assert git("status", "--porcelain", cwd=merging) == "UU data.mlvc"
    lines = (merging / "data.mlvc").read_text().splitlines()
    assert [lines[0], lines[6], lines[-1]] == ["<<<<<<< ours", "=======", ">>>>>>> theirs"]
    assert lines[1:6] == git("show", "ours:data.mlvc", cwd=merging).splitlines()
    assert lines[7:-1] == git("show", "theirs:data.mlvc", cwd=merging).splitlines()
    assert {path for path, what in tree(merging).items() if before.get(path) != what} == {"data.mlvc"}
    status = run_mlvc("status", cwd=merging, check=False)
    assert status.code == 2
    shell.ends(status, "data.mlvc has conflict markers", "mlvc resolve data` and one of --ours")


def test_a_large_file_that_both_sides_changed(merging: Path) -> None:
    change(merging, "theirs", {"model.bin": b"theirs"})
    change(merging, "ours", {"model.bin": b"ours"})
    result = merge(merging, code=1)
    assert "both sides changed  model.bin\n" in result.err + result.out
    assert git("status", "--porcelain", cwd=merging) == "UU model.bin.mlvc"


def test_a_file_of_which_one_side_changed_the_mode(merging: Path) -> None:
    change(merging, "theirs", {"model.bin": b"theirs"})
    change(merging, "ours", {})
    (merging / "model.bin").chmod(0o755)
    run_mlvc("commit", cwd=merging)
    shell.commit(merging)
    merge(merging)
    checked_out(merging)
    assert (merging / "model.bin").read_bytes() == b"theirs"
    assert (merging / "model.bin").stat().st_mode & 0o100


def test_both_sides_tracked_a_new_directory(merging: Path) -> None:
    for branch, name in (("theirs", "t"), ("ours", "o")):
        git("checkout", "--quiet", "-B", branch, "main", cwd=merging)
        run_mlvc("checkout", cwd=merging)
        shell.write(merging, {f"new/{name}": name.encode(), "new/same": b"same"})
        run_mlvc("add", "new", cwd=merging)
        shell.commit(merging)
        shutil.rmtree(merging / "new")
    merge(merging)
    run_mlvc("checkout", cwd=merging)
    assert files(merging, "new") == {"t": b"t", "o": b"o", "same": b"same"}


def test_a_rebase_and_a_cherry_pick(merging: Path) -> None:
    change(merging, "theirs", {"data/new.txt": b"new\n"})
    change(merging, "ours", {"data/mine.txt": b"mine\n"})
    merge(merging, "cherry-pick", "theirs")
    assert checked_out(merging).keys() >= {"new.txt", "mine.txt"}
    git("reset", "--quiet", "--hard", "HEAD~1", cwd=merging)
    merge(merging, "rebase", "theirs")
    assert checked_out(merging).keys() >= {"new.txt", "mine.txt"}


def test_a_rebase_that_stops_at_a_conflict_goes_on(merging: Path) -> None:
    conflict(merging)
    merge(merging, "rebase", "theirs", code=1)
    run_mlvc("resolve", "data", "--theirs", cwd=merging)  # of a rebase: the commit that is moved
    merge(merging, "rebase", "--continue", env={"GIT_EDITOR": "true"})
    found = checked_out(merging)
    assert found["one.txt"] == b"ours\n"
    assert found.keys() >= {"mine.txt", "new.txt"}
    assert "sub/three.txt" not in found


def test_branches_with_several_common_bases(merging: Path) -> None:
    conflict(merging)
    for branch, start, other, side in (("a", "ours", "theirs", "--ours"), ("b", "theirs", "ours", "--theirs")):
        git("checkout", "--quiet", "-B", branch, start, cwd=merging)
        merge(merging, "merge", "--no-edit", other, code=1)
        run_mlvc("resolve", "data", side, cwd=merging)
        shell.commit(merging)
    assert len(git("merge-base", "--all", "a", "b", cwd=merging).split()) == 2
    # Both took the same side: that is no conflict, whatever their bases say.
    merge(merging, "merge", "--no-edit", "a")
    assert checked_out(merging)["one.txt"] == b"ours\n"


def test_a_conflict_between_several_common_bases_is_a_conflict_still(merging: Path) -> None:
    conflict(merging)
    for branch, start, other, side in (("a", "ours", "theirs", "--ours"), ("b", "theirs", "ours", "--ours")):
        git("checkout", "--quiet", "-B", branch, start, cwd=merging)
        merge(merging, "merge", "--no-edit", other, code=1)
        run_mlvc("resolve", "data", side, cwd=merging)
        shell.commit(merging)
    assert len(git("merge-base", "--all", "a", "b", cwd=merging).split()) == 2
    result = merge(merging, "merge", "--no-edit", "a", code=1)
    # Once: not of the merge that makes a base of the bases, which is nobody's concern.
    assert (result.err + result.out).count("both sides changed  data/one.txt\n") == 1
    assert "is not merged" not in result.err + result.out
    assert "new.txt" not in result.err + result.out


# -- what cannot be read -----------------------------------------------------------------------


def stays_in_conflict(root: Path, *told: str) -> None:
    ours, theirs = (git("show", f"{side}:data.mlvc", cwd=root) for side in ("ours", "theirs"))
    git("checkout", "--quiet", "ours", cwd=root)
    result = merge(root, code=1)
    for part in told:
        assert part in result.err + result.out
    assert "Traceback" not in result.err
    assert git("status", "--porcelain", cwd=root) == "UU data.mlvc"
    text = (root / "data.mlvc").read_text()
    assert text.startswith("<<<<<<< ours\n")
    assert ours in text
    assert theirs in text


def disjoint(root: Path) -> None:
    change(root, "theirs", {"data/new.txt": b"new\n"})
    change(root, "ours", {"data/mine.txt": b"mine\n"})


def test_a_manifest_that_is_nowhere_leaves_markers(merging: Path) -> None:
    disjoint(merging)
    shutil.rmtree(merging / ".git/mlvc/packs")
    run_mlvc("remote", "remove", "store", cwd=merging)
    git("commit", "--quiet", "--all", "-m", "no remote", cwd=merging)
    stays_in_conflict(merging, "data.mlvc is not merged: object", "is not in the store")
    refused(run_mlvc("resolve", "data", "--ours", cwd=merging, check=False), 4, "data cannot be merged", "mlvc fetch")


def test_a_manifest_that_is_on_the_remote_is_read_there(merging: Path) -> None:
    disjoint(merging)
    run_mlvc("push", "--all-branches", cwd=merging)
    shutil.rmtree(merging / ".git/mlvc/packs")
    merge(merging)
    run_mlvc("fetch", cwd=merging)
    assert checked_out(merging).keys() >= {"new.txt", "mine.txt", "one.txt"}


def test_without_settings_there_are_markers(merging: Path) -> None:
    """What the hash algorithm is, and where the Store is, is not known then."""
    change(merging, "theirs", {"data/new.txt": b"new\n"})
    change(merging, "ours", {"data/mine.txt": b"mine\n"})
    (merging / ".mlvc/config.toml").unlink()
    result = merge(merging, code=1)
    assert "mlvc: data.mlvc is not merged: mlvc is not set up around it" in result.err + result.out
    assert (merging / "data.mlvc").read_text().startswith("<<<<<<< ours\n")


def test_a_remote_that_does_not_answer_leaves_markers(merging: Path) -> None:
    disjoint(merging)
    run_mlvc("push", "--all-branches", cwd=merging)
    shutil.rmtree(merging / ".git/mlvc/packs")
    shutil.rmtree(merging.parent / "remote")
    stays_in_conflict(merging, "data.mlvc is not merged")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"mlvc: 2\nkind: tree\n", "format '2', this mlvc reads format 1"),
        (b"no Pointer\n", "not a line of a Pointer"),
        (b"\xff\n", "not UTF-8"),
    ],
)
def test_a_side_that_is_no_pointer_leaves_markers(merging: Path, text: bytes, told: str) -> None:
    change(merging, "ours", {"data/mine.txt": b"mine\n"})
    git("checkout", "--quiet", "-B", "theirs", "main", cwd=merging)
    (merging / "data.mlvc").write_bytes(text)
    shell.commit(merging)
    git("checkout", "--quiet", "ours", cwd=merging)
    result = merge(merging, code=1)
    assert told in result.err + result.out
    assert git("status", "--porcelain", cwd=merging) == "UU data.mlvc"
    data = (merging / "data.mlvc").read_bytes()
    assert data.startswith(b"<<<<<<< ours\n")
    assert text in data


def test_a_merge_that_cannot_store_its_result_leaves_markers(merging: Path) -> None:
    disjoint(merging)
    python = merging.parent / "python"
    full = process_faults(fail_at=1, lasting=True, root=merging / ".git/mlvc")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in full.items()]
    python.write_text("\n".join(["#!/bin/sh", *lines, f'exec {sys.executable} "$@"', ""]))
    python.chmod(0o755)
    command = git("config", "merge.mlvc.driver", cwd=merging).replace(sys.executable, str(python))
    git("config", "merge.mlvc.driver", command, cwd=merging)
    stays_in_conflict(merging, "data.mlvc is not merged: ", "No space left")
    git("merge", "--abort", cwd=merging)
    run_mlvc("install", cwd=merging)
    merge(merging)


@pytest.mark.parametrize("how", ["gone", "fails"])
def test_where_mlvc_is_gone_git_leaves_markers(merging: Path, how: str) -> None:
    disjoint(merging)
    python = merging.parent / "python"
    if how == "fails":
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
    for name in ("merge.mlvc.driver", "diff.mlvc.textconv"):
        command = git("config", name, cwd=merging).replace(sys.executable, str(python))
        git("config", name, command, cwd=merging)
    result = merge(merging, code=1)
    assert "data.mlvc is not merged" in result.err + result.out
    text = (merging / "data.mlvc").read_text()
    assert "<<<<<<< ours" in text
    assert ">>>>>>> theirs" in text
    git("merge", "--abort", cwd=merging)
    assert "+oid: " in git("diff", "main", "ours", cwd=merging)


# -- resolve -----------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", [True, False])
@pytest.mark.parametrize(("side", "one"), [("--ours", b"ours\n"), ("--theirs", b"theirs\n"), ("--working", b"mixed\n")])
def test_only_what_both_sides_changed_is_taken_from_one(merging: Path, driver: bool, side: str, one: bytes) -> None:
    conflict(merging)
    if not driver:
        git("config", "--remove-section", "merge.mlvc", cwd=merging)
    merge(merging, code=1)
    shell.write(merging, {"data/one.txt": b"mixed\n"})
    result = run_mlvc("resolve", "data", side, "--json", cwd=merging)
    (told,) = json.loads(result.out)
    assert set(told) == {"path", "content", "chosen"}
    assert told["chosen"] == ["data/one.txt"]
    assert git("status", "--porcelain", cwd=merging) == "M  data.mlvc"
    shell.commit(merging, "merged")
    run_mlvc("checkout", "--force", cwd=merging)
    assert files(merging) == {
        "one.txt": one,
        "two.txt": b"two\n",
        "sub/four file.txt": b"four\n",
        "new.txt": b"new\n",
        "mine.txt": b"mine\n",
    }


def test_working_takes_a_deletion(merging: Path) -> None:
    conflict(merging)
    merge(merging, code=1)
    (merging / "data/one.txt").unlink()
    run_mlvc("resolve", "data.mlvc", "--working", cwd=merging)
    shell.commit(merging)
    assert "one.txt" not in checked_out(merging)


def test_resolve_does_not_touch_the_data(merging: Path) -> None:
    conflict(merging)
    merge(merging, code=1)
    before = files(merging)
    result = run_mlvc("resolve", "data", "--theirs", cwd=merging)
    assert files(merging) == before
    assert result.err.splitlines() == [
        "  data/one.txt: theirs",
        "resolved  data",
        "hint: bring the data with `mlvc checkout`; `git status` tells how to end the merge",
    ]


def one_side_stopped_tracking(root: Path) -> None:
    git("checkout", "--quiet", "-B", "theirs", cwd=root)
    git("rm", "--quiet", "data.mlvc", cwd=root)
    shell.commit(root)
    change(root, "ours", {"data/one.txt": b"ours\n"})


@pytest.mark.parametrize(("side", "kept"), [("--ours", True), ("--theirs", False), ("--working", True)])
def test_one_side_stopped_tracking(merging: Path, side: str, kept: bool) -> None:
    one_side_stopped_tracking(merging)
    merge(merging, code=1)
    run_mlvc("resolve", "data", side, cwd=merging)
    assert git("ls-files", "--unmerged", cwd=merging) == ""
    assert (merging / "data.mlvc").exists() == kept
    assert (merging / "data/one.txt").read_bytes() == b"ours\n"


@pytest.mark.parametrize(
    "how", [["merge", "theirs"], ["merge", "--squash", "theirs"], ["rebase", "theirs"], ["cherry-pick", "theirs"]]
)
def test_status_names_a_conflict_without_markers(merging: Path, how: list[str]) -> None:
    one_side_stopped_tracking(merging)
    assert run_mlvc("status", cwd=merging).out == "clean: 2 paths as tracked\n"
    merge(merging, *how, code=1)
    result = run_mlvc("status", cwd=merging, check=False)
    ends(result, "data.mlvc is in conflict: only one side of a Git merge has it", "`mlvc resolve data` and one of")
    assert result.code == 2
    assert run_mlvc("status", "model.bin", cwd=merging).out == "clean: 1 path as tracked\n"
    run_mlvc("resolve", "data", "--theirs" if how[0] == "rebase" else "--ours", cwd=merging)
    result = run_mlvc("status", cwd=merging)
    assert "conflict" not in result.out + result.err


@pytest.mark.parametrize("in_conflict", [False, True])
def test_what_stays_tracked_stays_ignored_by_git(merging: Path, in_conflict: bool) -> None:
    git("checkout", "--quiet", "-B", "theirs", cwd=merging)
    run_mlvc("remove", "--data", "data", cwd=merging)
    if in_conflict:
        (merging / ".gitignore").write_text("/model.bin\n/theirs\n")
    shell.commit(merging)
    change(merging, "ours", {"data/one.txt": b"ours\n"})
    if in_conflict:
        (merging / ".gitignore").write_text("/model.bin\n/ours\n")
        git("add", ".gitignore", cwd=merging)
        git("commit", "--quiet", "-m", "ignore", cwd=merging)
    merge(merging, code=1)
    run_mlvc("resolve", "data", "--ours", cwd=merging)
    left = git("diff", "--name-only", "--diff-filter=U", cwd=merging)
    assert left == (".gitignore" if in_conflict else "")
    assert git("check-ignore", "data", cwd=merging) == "data"
    git("add", "--all", cwd=merging)
    assert git("ls-files", "data", cwd=merging) == ""


def test_status_names_what_was_edited_and_not_staged(merging: Path) -> None:
    conflict(merging)
    ours = (merging / "data.mlvc").read_bytes()
    merge(merging, code=1)
    (merging / "data.mlvc").write_bytes(ours)
    refused(run_mlvc("status", cwd=merging, check=False), 2, "data.mlvc is in conflict: Git was not told", "git add")
    git("add", "data.mlvc", cwd=merging)
    assert run_mlvc("status", cwd=merging).out == "clean: 2 paths as tracked\n"


def test_a_directory_on_one_side_and_a_file_on_the_other(merging: Path) -> None:
    change(merging, "ours", {"data/one.txt": b"ours\n"})
    git("checkout", "--quiet", "-B", "theirs", "main", cwd=merging)
    shutil.rmtree(merging / "data")
    (merging / "data").write_bytes(b"a file")
    run_mlvc("commit", cwd=merging)
    shell.commit(merging)
    git("checkout", "--quiet", "ours", cwd=merging)
    for side, kind in (("--ours", "dir"), ("--theirs", "file"), ("--working", "file")):
        merge(merging, code=1)
        run_mlvc("resolve", "data", side, cwd=merging)
        assert f"kind: {kind}\n" in (merging / "data.mlvc").read_text()
        git("merge", "--abort", cwd=merging)


def test_resolve_from_below_and_of_many_paths(merging: Path) -> None:
    conflict(merging)
    change(merging, "theirs2", {"model.bin": b"theirs"}, start="theirs")
    change(merging, "ours2", {"model.bin": b"ours"}, start="ours")
    merge(merging, "merge", "theirs2", code=1)
    (merging / "folder").mkdir()
    # What is told is told for where one stands.
    result = run_mlvc("status", cwd=merging / "folder", check=False)
    assert result.err.splitlines()[-1].startswith("hint: end it with `mlvc resolve ../data` and one of")
    refused(
        run_mlvc("resolve", "data", "--ours", cwd=merging / "folder", check=False), 2, "mlvc: data is in no conflict"
    )
    (merging / "model.bin").rename(merging / "away")
    result = run_mlvc("resolve", "../model.bin", "--working", cwd=merging / "folder", check=False)
    refused(result, 2, "model.bin is not in the working tree", "`mlvc resolve ../model.bin --ours`")
    (merging / "away").rename(merging / "model.bin")
    run_mlvc("resolve", "..", "--working", cwd=merging / "folder")
    assert git("ls-files", "--unmerged", cwd=merging) == ""
    shell.commit(merging)
    assert checked_out(merging)["one.txt"] == b"ours\n"


def test_resolve_of_what_cannot_be_resolved(merging: Path) -> None:
    refused(run_mlvc("resolve", "data", "--ours", cwd=merging, check=False), 2, "data is in no conflict", "git status")
    change(merging, "theirs", {"model.bin": b"theirs"})
    change(merging, "ours", {"model.bin": b"ours"})
    merge(merging, code=1)
    before = shell.image(merging, git_index=True)
    for args in ((), ("--ours", "--theirs")):
        refused(run_mlvc("resolve", "model.bin", *args, cwd=merging, check=False), 2, "which side", "--working")
    (merging / "model.bin").unlink()
    result = run_mlvc("resolve", "model.bin", "--working", cwd=merging, check=False)
    refused(result, 2, "model.bin is not in the working tree", "--ours")
    del before["model.bin"]
    os.mkfifo(merging / "model.bin")
    result = run_mlvc("resolve", "model.bin", "--working", cwd=merging, check=False)
    assert result.code == 2
    shell.ends(result, "model.bin")
    (merging / "model.bin").unlink()
    after = shell.image(merging, git_index=True)
    assert {path: what for path, what in after.items() if "mlvc/" not in path} == {
        path: what for path, what in before.items() if "mlvc/" not in path
    }


# -- the Lockfile ------------------------------------------------------------------------------

STAGES = b"""\
stages:
  a: {cmd: cp in-a out-a, deps: [in-a], outs: [out-a]}
  b: {cmd: cp in-b out-b, deps: [in-b], outs: [out-b]}
"""


@pytest.fixture
def pipeline(merging: Path) -> Path:
    shell.write(merging, {"mlvc.yaml": STAGES, "in-a": b"a", "in-b": b"b"})
    run_mlvc("repro", cwd=merging)
    shell.commit(merging, "pipeline")
    return merging


def rerun(root: Path, branch: str, contents: dict[str, bytes]) -> None:
    git("checkout", "--quiet", "-B", branch, "main", cwd=root)
    run_mlvc("checkout", cwd=root)
    shell.write(root, contents)
    run_mlvc("repro", cwd=root)
    shell.commit(root, branch)


def reproduced(root: Path) -> dict[str, str]:
    """What came of each Stage."""
    told = map(json.loads, run_mlvc("repro", "--json", cwd=root).out.splitlines())
    return {event["stage"]: event["outcome"] for event in told if event["event"] == "finished"}


def test_the_lockfile_merges_by_stage(pipeline: Path) -> None:
    git("checkout", "--quiet", "-B", "main", cwd=pipeline)
    rerun(pipeline, "theirs", {"in-a": b"theirs"})
    rerun(pipeline, "ours", {"in-b": b"ours"})
    merge(pipeline)
    run_mlvc("checkout", cwd=pipeline)
    assert run_mlvc("status", cwd=pipeline).out.startswith("clean")
    assert set(reproduced(pipeline).values()) == {"unchanged"}
    assert (pipeline / "out-a").read_bytes() == b"theirs"
    assert git("status", "--porcelain", cwd=pipeline) == ""  # formatted as mlvc does it


def both_rerun(root: Path) -> None:
    git("checkout", "--quiet", "-B", "main", cwd=root)
    rerun(root, "theirs", {"in-a": b"theirs", "in-b": b"theirs"})
    rerun(root, "ours", {"in-a": b"ours"})


def test_a_stage_that_both_sides_changed_runs_again(pipeline: Path) -> None:
    both_rerun(pipeline)
    result = merge(pipeline, "merge", "--no-edit", "-X", "ours", "theirs")
    assert "both sides changed stage 'a' in mlvc.lock: `mlvc repro` runs it again" in result.err + result.out
    lock = json.loads((pipeline / "mlvc.lock").read_text())
    assert (set(lock["stages"]), lock["rerun"]) == ({"b"}, ["a"])
    run_mlvc("checkout", cwd=pipeline)
    status = json.loads(run_mlvc("status", "--json", cwd=pipeline, check=False).out)
    reason = "both sides of a merge changed what is recorded of it"
    assert status["stages"] == [{"stage": "a", "reasons": [reason]}]
    waiting = json.loads(run_mlvc("repro", "--dry-run", "--json", cwd=pipeline).out)
    assert {item["stage"]: item["action"] for item in waiting}["a"] != "unchanged"
    # It runs, and it alone, although a Run of these inputs is known.
    assert [stage for stage, outcome in reproduced(pipeline).items() if outcome == "ran"] == ["a"]
    assert (pipeline / "out-a").read_bytes() == b"ours"
    assert "rerun" not in json.loads((pipeline / "mlvc.lock").read_text())


def test_both_sides_with_the_same_result_merge(pipeline: Path) -> None:
    git("checkout", "--quiet", "-B", "main", cwd=pipeline)
    rerun(pipeline, "theirs", {"in-a": b"same", "more": b"theirs"})
    rerun(pipeline, "ours", {"in-a": b"same"})
    merge(pipeline)
    assert set(reproduced(pipeline).values()) == {"unchanged"}


def test_a_mark_of_a_merge_goes_where_one_side_ran_the_stage(pipeline: Path) -> None:
    both_rerun(pipeline)
    merge(pipeline, "merge", "--no-edit", "-X", "ours", "theirs")
    git("checkout", "--quiet", "-B", "later", cwd=pipeline)
    shell.write(pipeline, {"note": b"1"})
    shell.commit(pipeline, "later")
    git("checkout", "--quiet", "ours", cwd=pipeline)
    run_mlvc("repro", cwd=pipeline)
    shell.commit(pipeline, "ran")
    git("checkout", "--quiet", "later", cwd=pipeline)
    merge(pipeline, "merge", "--no-edit", "ours")
    lock = json.loads((pipeline / "mlvc.lock").read_text())
    assert (set(lock["stages"]), "rerun" in lock) == ({"a", "b"}, False)


@pytest.mark.parametrize("side", ["--ours", "--theirs", "--working"])
def test_resolve_of_the_lockfile_without_the_driver(pipeline: Path, side: str) -> None:
    both_rerun(pipeline)
    git("config", "--remove-section", "merge.mlvc-lock", cwd=pipeline)
    merge(pipeline, "merge", "--no-edit", "theirs", code=1)
    status = run_mlvc("status", cwd=pipeline, check=False)
    assert "mlvc resolve mlvc.lock` and one of" in status.err
    result = run_mlvc("resolve", "mlvc.lock", side, cwd=pipeline)
    stages = json.loads((pipeline / "mlvc.lock").read_text())["stages"]
    theirs = json.loads(git("show", "theirs:mlvc.lock", cwd=pipeline))["stages"]
    ours = json.loads(git("show", "ours:mlvc.lock", cwd=pipeline))["stages"]
    assert stages["b"] == theirs["b"]
    assert stages.get("a") == {"--ours": ours["a"], "--theirs": theirs["a"], "--working": None}[side]
    marked = json.loads((pipeline / "mlvc.lock").read_text()).get("rerun", [])
    assert marked == (["a"] if side == "--working" else [])
    assert "mlvc repro" in result.err


def test_a_lockfile_that_cannot_be_read_leaves_markers(pipeline: Path) -> None:
    git("checkout", "--quiet", "-B", "main", cwd=pipeline)
    rerun(pipeline, "ours", {"in-b": b"ours"})
    git("checkout", "--quiet", "-B", "theirs", "main", cwd=pipeline)
    (pipeline / "mlvc.lock").write_text('{"mlvc_lock": 2, "stages": {}}\n')
    git("commit", "--quiet", "--all", "-m", "newer", cwd=pipeline)
    git("checkout", "--quiet", "ours", cwd=pipeline)
    result = merge(pipeline, code=1)
    assert "mlvc.lock is not merged: mlvc.lock has Lockfile format 2" in result.err + result.out
    text = (pipeline / "mlvc.lock").read_text()
    assert text.startswith("<<<<<<< ours\n")
    assert '{"mlvc_lock": 2, "stages": {}}\n>>>>>>> theirs\n' in text


# -- line ends, diff ---------------------------------------------------------------------------


def test_with_autocrlf_everything_is_the_same(merging: Path) -> None:
    git("config", "core.autocrlf", "true", cwd=merging)
    conflict(merging)
    for name in ("data.mlvc", "model.bin.mlvc"):
        (merging / name).unlink()
    git("checkout", "--quiet", "--", ".", cwd=merging)
    assert b"\r\n" in (merging / "data.mlvc").read_bytes()
    assert run_mlvc("status", cwd=merging).out.startswith("clean")
    assert git("diff", cwd=merging) == ""
    merge(merging, code=1)
    status = run_mlvc("status", cwd=merging, check=False)
    shell.ends(status, "conflict markers", "mlvc resolve data")
    run_mlvc("resolve", "data", "--theirs", cwd=merging)
    git("commit", "--quiet", "-m", "merged", cwd=merging)
    assert checked_out(merging)["one.txt"] == b"theirs\n"
    shell.write(merging, {"data/later.txt": b"later\n"})
    run_mlvc("commit", cwd=merging)
    shown = git("diff", cwd=merging)
    assert [line.split()[-1] for line in shown.splitlines() if line.startswith("+  ")] == ["later.txt"]


def test_git_diff_shows_what_changed_in_a_directory(merging: Path) -> None:
    shell.write(merging, {"data/new file.txt": b"123456\n", "data/one.txt": b"changed\n", "data/odd\n.txt": b"x"})
    (merging / "data/sub/three.txt").unlink()
    run_mlvc("commit", cwd=merging)
    shown = git("diff", cwd=merging).splitlines()
    added = [line.split(None, 3)[-1] for line in shown if line.startswith("+ ")]
    assert added == ["new file.txt", '"odd\\n.txt"', "one.txt"]
    assert [line.split()[-1] for line in shown if line.startswith("- ")] == ["one.txt", "sub/three.txt"]
    heads = [line for line in shown if line.startswith(("-dir", "+dir"))]
    assert [" ".join(line.split()[:5]) for line in heads] == ["-dir, 6 files, 26 bytes,", "+dir, 7 files, 32 bytes,"]
    assert "two.txt*" in "\n".join(shown)
    assert "empty/" in "\n".join(shown)
    # As it is in Git.
    assert "+oid: xxh128:" in git("diff", "--no-textconv", cwd=merging)


def test_git_diff_of_a_large_directory_is_short(merging: Path) -> None:
    many = {f"many/{number:05}": b"" for number in range(MOST + 1)}
    shell.write(merging, many)
    run_mlvc("add", "many", cwd=merging)
    shell.commit(merging)
    shell.write(merging, {"many/00007": b"changed"})
    run_mlvc("commit", cwd=merging)
    lines = git("diff", "-U100", cwd=merging).splitlines()
    assert len(lines) < 40
    assert sum(line.startswith("+ ") for line in lines) == 1
    assert "5,001 files" in "\n".join(lines)


def test_git_diff_of_what_cannot_be_read(merging: Path) -> None:
    shutil.rmtree(merging / ".git/mlvc/packs")
    assert "which files it has is not known here" in git("show", "--format=", "main~1", "--", "data.mlvc", cwd=merging)
    (merging / "data.mlvc").write_text("no Pointer\n")
    assert "+no Pointer" in git("diff", cwd=merging)
