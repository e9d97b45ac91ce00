"""mlvc in every layout that Git knows. Each case does the main job there: track, share, change, compare, go back."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.helpers import git, make_git_repo, run_mlvc, shell
from tests.helpers.shell import commit, ends, refused, write

SMALL = {"data/one.txt": b"one\n", "data/two.txt": b"two\n"}


def set_up(root: Path, *init: str, remote: str | Path = "../remote", algorithm: str = "xxh128") -> None:
    """mlvc with a Remote in ``root``, and ``data`` tracked, committed and pushed."""
    run_mlvc("init", "--hash", algorithm, *init, cwd=root)
    run_mlvc("remote", "add", "-d", "store", remote, cwd=root)
    write(root, SMALL)
    run_mlvc("add", "data", cwd=root)
    commit(root, "first")
    run_mlvc("push", cwd=root)


def status(root: Path, *args: str, env: dict[str, str] | None = None) -> dict:
    return json.loads(run_mlvc("status", "--json", *args, cwd=root, env=env).out)


def is_clean(root: Path, tracked: int = 1, env: dict[str, str] | None = None) -> None:
    found = status(root, "--exit-code", env=env)
    assert (found["clean"], found["tracked"]) == (True, tracked), found


def change(root: Path, text: str, env: dict[str, str] | None = None) -> None:
    """Change tracked data and record it in Git; what is told on the way is right."""
    old = (root / "data/one.txt").read_text()
    write(root, {"data/one.txt": text.encode()})
    told = run_mlvc("status", "--exit-code", "--json", cwd=root, check=False, env=env)
    assert told.code == 1
    assert [item["path"] for item in json.loads(told.out)["working_tree"]] == ["data"]
    run_mlvc("commit", cwd=root, env=env)
    assert [item["path"] for item in status(root, env=env)["head"]] == ["data"]
    git("commit", "--quiet", "-m", text, "--", "data.mlvc", cwd=root, env=env)
    is_clean(root, status(root, env=env)["tracked"], env)
    found = json.loads(run_mlvc("diff", "HEAD~1", "HEAD", "--json", cwd=root, env=env).out)
    assert [item["path"] for item in found["changes"]] == ["data/one.txt"]
    # The past, and back.
    run_mlvc("checkout", "--rev", "HEAD~1", cwd=root, env=env)
    assert (root / "data/one.txt").read_text() == old
    run_mlvc("checkout", cwd=root, env=env)
    assert (root / "data/one.txt").read_text() == text
    assert run_mlvc("diff", "--exit-code", cwd=root, env=env).code == 0


def brings(root: Path, text: str, env: dict[str, str] | None = None) -> None:
    """A pull brings the data, and all is clean."""
    run_mlvc("pull", cwd=root, env=env)
    assert (root / "data/one.txt").read_text() == text
    is_clean(root, status(root, env=env)["tracked"], env)


def places(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.exists() else set()


def test_worktrees_have_one_store_and_an_index_each(tmp_path):
    main = make_git_repo(tmp_path / "main")
    set_up(main)
    git("worktree", "add", "--quiet", "-b", "side", "../side", cwd=main)
    side = tmp_path / "side"
    # No Remote is needed: the Store is there already.
    run_mlvc("checkout", cwd=side)
    is_clean(side)
    change(side, "of the side\n")
    change(main, "of main\n")
    is_clean(side)
    own = main / ".git/worktrees/side/mlvc"
    assert "index.sqlite" in places(own)
    assert not {"packs", "format", "remotes"} & places(own)
    found = json.loads(run_mlvc("diff", "main", "side", "--json", cwd=main).out)
    assert [item["path"] for item in found["changes"]] == ["data/one.txt"]
    run_mlvc("push", "--all-branches", cwd=main)
    git("worktree", "remove", "../side", cwd=main)
    git("worktree", "prune", cwd=main)
    assert not own.exists()
    is_clean(main)
    git("switch", "--quiet", "side", cwd=main)
    shutil.rmtree(main / ".git/mlvc/packs")
    brings(main, "of the side\n")


def test_a_worktree_of_a_bare_repository(tmp_path):
    set_up(make_git_repo(tmp_path / "main"))
    git("clone", "--quiet", "--bare", "main", "bare.git", cwd=tmp_path)
    git("worktree", "add", "--quiet", "../tree", "main", cwd=tmp_path / "bare.git")
    brings(tmp_path / "tree", "one\n")
    change(tmp_path / "tree", "changed\n")
    assert "packs" in places(tmp_path / "bare.git/mlvc")
    refused(run_mlvc("status", cwd=tmp_path / "bare.git", check=False), 2, "is a bare Git repository")


def test_a_submodule_and_the_repository_around_it(tmp_path):
    set_up(make_git_repo(tmp_path / "lib"))
    top = make_git_repo(tmp_path / "super")
    git("submodule", "--quiet", "add", "../lib", "deps/lib", cwd=top)
    set_up(top)
    lib = top / "deps/lib"
    is_clean(top)
    run_mlvc("remote", "modify", "--private", "store", "url", tmp_path / "remote", cwd=lib)
    brings(lib, "one\n")
    change(lib, "in the submodule\n")
    run_mlvc("push", cwd=lib)
    is_clean(top)
    change(top, "around it\n")
    is_clean(lib)
    assert "packs" in places(top / ".git/modules/deps/lib/mlvc")
    refused(run_mlvc("add", "deps/lib/README", cwd=top, check=False), 2, "in another Git repository, deps/lib")
    refused(run_mlvc("add", "deps/lib/data", cwd=top, check=False), 2, "in another Git repository, deps/lib")
    refused(run_mlvc("add", "deps", cwd=top, check=False), 2, "deps is tracked by Git itself")
    assert not (top / "deps.mlvc").exists()


def test_through_a_bare_remote(tmp_path):
    git("init", "--quiet", "--bare", "-b", "main", "hub.git", cwd=tmp_path)
    for name in ("one", "two"):
        git("clone", "--quiet", "hub.git", name, cwd=tmp_path)
        if name == "one":
            set_up(tmp_path / name)
            git("push", "--quiet", "origin", "HEAD:main", cwd=tmp_path / name)
    brings(tmp_path / "two", "one\n")
    change(tmp_path / "two", "changed\n")
    run_mlvc("push", cwd=tmp_path / "two")
    git("push", "--quiet", "origin", "HEAD:main", cwd=tmp_path / "two")
    git("pull", "--quiet", "origin", "main", cwd=tmp_path / "one")
    brings(tmp_path / "one", "changed\n")
    assert run_mlvc("diff", "origin/main", "--exit-code", cwd=tmp_path / "one").code == 0


def test_a_detached_head(tmp_path):
    root = make_git_repo(tmp_path / "root")
    set_up(root)
    git("checkout", "--quiet", "--detach", cwd=root)
    change(root, "on no branch\n")
    run_mlvc("push", "--all-commits", cwd=root)
    shutil.rmtree(root / ".git/mlvc")
    run_mlvc("fetch", "--all-commits", cwd=root)
    run_mlvc("checkout", "--rev", "main", cwd=root)
    assert (root / "data/one.txt").read_text() == "one\n"
    run_mlvc("checkout", "--rev", "HEAD", cwd=root)
    is_clean(root)


def test_an_unborn_branch(tmp_path):
    root = make_git_repo(tmp_path / "root")
    run_mlvc("init", cwd=root)
    run_mlvc("remote", "add", "-d", "store", "../remote", cwd=root)
    write(root, SMALL)
    run_mlvc("add", "data", cwd=root)
    assert [item["path"] for item in status(root)["head"]] == ["data"]
    assert len(json.loads(run_mlvc("diff", "--json", cwd=root).out)["changes"]) == 2
    run_mlvc("push", "--all-commits", "--all-branches", "--all-tags", cwd=root)
    run_mlvc("checkout", cwd=root)
    refused(run_mlvc("diff", "HEAD~1", cwd=root, check=False), 2, "'HEAD~1' is no revision")
    commit(root)
    git("checkout", "--quiet", "--orphan", "new", cwd=root)
    assert [item["change"] for item in status(root)["head"]] == ["added"]


def test_a_repository_with_sha256(tmp_path):
    root = tmp_path / "root"
    git("init", "--quiet", "-b", "main", "--object-format=sha256", root)
    set_up(root)
    git("tag", "-a", "-m", "first", "v1", cwd=root)
    git("tag", "tree", "HEAD^{tree}", cwd=root)
    change(root, "changed\n")
    run_mlvc("push", "--all-commits", "--all-branches", "--all-tags", cwd=root)
    clone = shell.clone(root)
    run_mlvc("fetch", "--all-tags", cwd=clone)
    run_mlvc("checkout", "--rev", "v1", cwd=clone)
    assert (clone / "data/one.txt").read_text() == "one\n"
    brings(clone, "changed\n")


def test_git_dir_and_git_work_tree(tmp_path):
    root = make_git_repo(tmp_path / "root")
    set_up(root)
    (root / "sub").mkdir()
    hidden = tmp_path / "hidden.git"
    (root / ".git").rename(hidden)
    refused(run_mlvc("status", cwd=root, check=False), 2, "not inside a Git repository")
    both = {"GIT_DIR": str(hidden), "GIT_WORK_TREE": str(root)}
    is_clean(root, env=both)
    is_clean(root / "sub", env=both)
    is_clean(tmp_path, env=both)
    change(root, "changed\n", env=both)
    run_mlvc("push", "--all-commits", cwd=root / "sub", env=both)
    # Relative to where mlvc is started.
    is_clean(root / "sub", env={"GIT_DIR": "../../hidden.git", "GIT_WORK_TREE": ".."})
    is_clean(root, env={"GIT_DIR": "../hidden.git"})
    assert "packs" in places(hidden / "mlvc")


def test_another_index_of_git(tmp_path):
    root = make_git_repo(tmp_path / "root")
    set_up(root)
    (root / "sub").mkdir()
    for env in ({"GIT_INDEX_FILE": str(tmp_path / "other")}, {"GIT_INDEX_FILE": ".git/other"}):
        git("read-tree", "HEAD", cwd=root, env=env)
        is_clean(root, env=env)
        is_clean(root / "sub", env=env)
        write(root, {"new.bin": b"new"})
        run_mlvc("add", "new.bin", cwd=root, env=env)
        run_mlvc("checkout", cwd=root, env=env)
        (root / "new.bin.mlvc").unlink()


def test_a_git_directory_elsewhere(tmp_path):
    root = tmp_path / "root"
    git("init", "--quiet", "-b", "main", f"--separate-git-dir={tmp_path / 'far.git'}", root)
    assert (root / ".git").is_file()
    set_up(root)
    change(root, "changed\n")
    assert "packs" in places(tmp_path / "far.git/mlvc")


def test_a_repository_of_another_user(tmp_path):
    root = make_git_repo(tmp_path / "root")
    set_up(root)
    other = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    for command in (["status"], ["add", "data"], ["diff", "HEAD", "HEAD"], ["checkout", "--rev", "HEAD"], ["push"]):
        told = run_mlvc(*command, cwd=root, env=other, check=False)
        refused(told, 2, "Git does not trust the repository", f"--add safe.directory {root}")
    git("config", "--global", "--add", "safe.directory", root)
    is_clean(root, env=other)


def test_a_shallow_clone(tmp_path):
    root = make_git_repo(tmp_path / "root")
    set_up(root)
    change(root, "changed\n")
    run_mlvc("push", "--all-commits", cwd=root)
    git("clone", "--quiet", "--depth", "1", f"file://{root}", tmp_path / "clone")
    clone = tmp_path / "clone"
    brings(clone, "changed\n")
    refused(run_mlvc("diff", "HEAD~1", cwd=clone, check=False), 2, "'HEAD~1' is no revision", "git fetch --unshallow")
    told = run_mlvc("fetch", "--all-commits", cwd=clone)
    assert "the history of this clone is cut" in told.err
    assert "cut" not in run_mlvc("fetch", "--all-branches", cwd=clone).err
    git("fetch", "--quiet", "--unshallow", cwd=clone)
    assert "cut" not in run_mlvc("fetch", "--all-commits", cwd=clone).err
    run_mlvc("checkout", "--rev", "HEAD~1", cwd=clone)
    assert (clone / "data/one.txt").read_text() == "one\n"


def test_a_partial_clone(tmp_path):
    root = make_git_repo(tmp_path / "root")
    set_up(root)
    change(root, "changed\n")
    change(root, "changed again\n")
    run_mlvc("push", "--all-commits", cwd=root)
    git("config", "uploadpack.allowFilter", "true", cwd=root)
    git("clone", "--quiet", "--filter=blob:none", f"file://{root}", tmp_path / "clone")
    clone = tmp_path / "clone"
    brings(clone, "changed again\n")
    run_mlvc("pull", "--rev", "HEAD~1", cwd=clone)
    assert (clone / "data/one.txt").read_text() == "changed\n"
    root.rename(tmp_path / "away")
    # What was looked at is here, the rest cannot be had.
    run_mlvc("checkout", "--rev", "HEAD~1", cwd=clone)
    told = run_mlvc("diff", "HEAD~2", "HEAD", cwd=clone, check=False)
    refused(told, 8, "this clone is partial", "when the Git remote can be reached")
    run_mlvc("checkout", cwd=clone)
    is_clean(clone)


@pytest.mark.parametrize("how", ["merge", "rebase", "cherry-pick"])
def test_an_interrupted_merge(tmp_path, how):
    root = make_git_repo(tmp_path / "root")
    set_up(root)
    write(root, {"other.bin": b"other"})
    run_mlvc("add", "other.bin", cwd=root)
    commit(root)
    git("switch", "--quiet", "-c", "side", cwd=root)
    change(root, "of the side\n")
    git("switch", "--quiet", "main", cwd=root)
    run_mlvc("checkout", cwd=root)
    change(root, "of main\n")
    assert "CONFLICT" in git(how, "side", cwd=root, check=False)
    (root / "other.bin").unlink()
    told = run_mlvc("status", "--json", cwd=root, check=False)
    assert told.code == 2
    ends(told, "data.mlvc has conflict markers of a Git merge")
    found = json.loads(told.out)
    assert [(item["path"], item["state"]) for item in found["working_tree"]] == [("other.bin", "absent")]
    told = run_mlvc("checkout", cwd=root, check=False)
    assert told.code == 2
    ends(told, "data.mlvc has conflict markers")
    assert (root / "other.bin").exists()
    assert (root / "data/one.txt").read_text() == "of main\n"
    assert run_mlvc("diff", "main", "side", "--exit-code", cwd=root, check=False).code == 1
    write(root, {"new.bin": b"new"})
    run_mlvc("add", "new.bin", cwd=root)
    told = run_mlvc("push", cwd=root, check=False)
    assert told.code == 2
    ends(told, "data.mlvc has conflict markers")
    theirs = "--ours" if how == "rebase" else "--theirs"  # Git turns them round
    git("checkout", "--quiet", theirs, "data.mlvc", cwd=root)
    run_mlvc("checkout", cwd=root)
    assert (root / "data/one.txt").read_text() == "of the side\n"
    git("add", "--all", cwd=root)
    git("-c", "core.editor=true", how, "--continue", cwd=root)
    is_clean(root, 3)


def test_autocrlf(tmp_path):
    root = make_git_repo(tmp_path / "root")
    set_up(root)
    write(
        root,
        {
            "mlvc.yaml": b"stages:\n  copy:\n    cmd: cat data/* > out.txt\n    deps: [data]\n    outs: [out.txt]\n",
            ".mlvcignore": b"*.tmp\n",
        },
    )
    run_mlvc("repro", cwd=root)
    commit(root)
    run_mlvc("push", cwd=root)
    git("clone", "--quiet", "-c", "core.autocrlf=true", root, tmp_path / "clone")
    clone = tmp_path / "clone"
    ours = ("data.mlvc", "mlvc.lock", "mlvc.yaml", ".mlvcignore", ".mlvc/config.toml", ".gitignore")
    for name in ours:
        assert b"\r\n" in (clone / name).read_bytes()
    run_mlvc("pull", cwd=clone)
    (clone / "data/x.tmp").touch()
    is_clean(clone, 2)
    run_mlvc("repro", cwd=clone)
    run_mlvc("checkout", cwd=clone)
    for command in (["commit"], ["add", "data"], ["config", "core.jobs", "4"], ["config", "--unset", "core.jobs"]):
        run_mlvc(*command, cwd=clone)
    is_clean(clone, 2)
    assert git("status", "--porcelain", cwd=clone) == ""
    write(clone, {"data/one.txt": b"changed\n", "more.bin": b"more"})
    run_mlvc("add", "more.bin", cwd=clone)
    run_mlvc("repro", cwd=clone)
    run_mlvc("commit", cwd=clone)
    commit(clone)
    is_clean(clone, 3)
    assert git("status", "--porcelain", cwd=clone) == ""
    for name in ours:
        assert b"\r" not in git("cat-file", "blob", f"HEAD:{name}", cwd=clone).encode()
    found = json.loads(run_mlvc("diff", "HEAD~1", "--json", cwd=clone).out)
    assert [item["path"] for item in found["changes"]] == ["data/one.txt", "more.bin", "out.txt"]
    assert os.path.exists(clone / "data/x.tmp")
