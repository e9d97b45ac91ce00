"""mlvc in every layout that Git knows. Each case does the main job there: track, share, change, compare, go back."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from tests.helpers import git, make_git_repo, run_mlvc, shell
from tests.helpers.shell import commit, write

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
