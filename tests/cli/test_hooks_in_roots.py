"""Hooks, merges and `git diff` where the mlvc roots lie further down in the repository: each root is served."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from mlvc.api.install import ATTRIBUTES
from tests.helpers import SOURCES, Result, git, make_git_repo, run, run_mlvc, shell

NAMES = ("a", "b c")


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """A repository with a root in ``a`` and one in ``b c``, none at the top; each has a Remote of its own.

    On ``second``, the data of both are different.
    """
    top = make_git_repo(tmp_path / "work/mono")
    git("init", "--quiet", "--bare", "../origin.git", cwd=top)
    git("remote", "add", "origin", "../origin.git", cwd=top)
    for name in NAMES:
        (top / name).mkdir()
        run_mlvc("init", "--subdir", cwd=top / name)
        run_mlvc("remote", "add", "-d", "store", f"../../remote {name}", cwd=top / name)
        shell.write(top / name, {"data/one.txt": f"{name}\n".encode(), "data/two.txt": b"two\n"})
        run_mlvc("add", "data", cwd=top / name)
    run_mlvc("install", cwd=top / "a")
    shell.commit(top, "first")
    git("checkout", "--quiet", "-b", "second", cwd=top)
    change(top, NAMES, {"data/one.txt": b"second\n"})
    return top


def change(top: Path, names: tuple[str, ...], contents: dict[str, bytes], message: str = "changed") -> None:
    for name in names:
        shell.write(top / name, contents)
        run_mlvc("commit", cwd=top / name)
    shell.commit(top, message)


def call(cwd: Path, *args: str, code: int = 0, env: dict[str, str] | None = None) -> Result:
    result = run(["git", *args], cwd=cwd, check=False, env=env)
    assert result.code == code, result
    assert "Traceback" not in result.err
    return result


def ones(top: Path) -> list[str]:
    return [(top / name / "data/one.txt").read_text() for name in NAMES]


def remote(top: Path, name: str) -> bool:
    return (top.parent / f"remote {name}").exists()


def test_install_is_for_every_root(roots: Path) -> None:
    for name in NAMES:
        assert (roots / name / ".gitattributes").read_text() == "".join(f"{line}\n" for line in ATTRIBUTES)
    assert not (roots / ".gitattributes").exists()
    git("rm", "--quiet", "--cached", "a/.gitattributes", cwd=roots)
    git("commit", "--quiet", "-m", "one of them is not committed", cwd=roots)
    result = run_mlvc("install", "--uninstall", cwd=roots / "b c")
    assert "committed and stay" in result.err
    assert not (roots / "a/.gitattributes").exists()
    assert (roots / "b c/.gitattributes").exists()


def test_a_root_around_all_others_is_enough(roots: Path) -> None:
    git("rm", "--quiet", "-r", "--cached", "a/.gitattributes", "b c/.gitattributes", cwd=roots)
    (roots / "a/.gitattributes").unlink()
    git("commit", "--quiet", "-m", "none is committed", cwd=roots)
    run_mlvc("init", cwd=roots)
    result = run_mlvc("install", cwd=roots / "a")
    assert "git add ../.gitattributes\n" in result.err
    assert not (roots / "a/.gitattributes").exists()
    run_mlvc("install", "--uninstall", cwd=roots / "a")
    assert not (roots / ".gitattributes").exists()
    assert not (roots / "b c/.gitattributes").exists()


def test_data_of_every_root_come_along(roots: Path) -> None:
    result = call(roots, "checkout", "--quiet", "main")
    assert ones(roots) == ["a\n", "b c\n"]
    assert result.err == "mlvc: in a: working tree: 1 modified\nmlvc: in b c: working tree: 1 modified\n"
    # Who stands in a root is told of it without its name.
    result = call(roots / "a/data", "checkout", "--quiet", "second")
    assert result.err == "mlvc: working tree: 1 modified\nmlvc: in b c: working tree: 1 modified\n"
    assert ones(roots) == ["second\n", "second\n"]
    call(roots, "checkout", "--quiet", "main")
    call(roots, "merge", "--quiet", "second")
    assert ones(roots) == ["second\n", "second\n"]
    call(roots, "worktree", "add", "--quiet", "../tree", "main~1")
    assert ones(roots.parent / "tree") == ["a\n", "b c\n"]


def test_only_the_roots_that_differ_are_opened(roots: Path) -> None:
    change(roots, ("a",), {"data/one.txt": b"third\n"})
    (roots / "b c/.mlvc/config.toml").write_text("no settings")
    assert call(roots, "checkout", "--quiet", "HEAD~1").err == "mlvc: in a: working tree: 1 modified\n"


def test_what_fails_in_one_root_is_no_matter_to_the_next(roots: Path) -> None:
    shell.write(roots, {"a/data/one.txt": b"stored nowhere"})
    result = call(roots, "checkout", "--quiet", "main", code=1)
    assert ones(roots) == ["stored nowhere", "b c\n"]
    assert "mlvc: in a: the post-checkout hook failed: data/one.txt has changes that are stored nowhere\n" in result.err
    assert result.err.count("MLVC_HOOKS=0") == 1
    assert "mlvc: in b c: working tree: 1 modified\n" in result.err


def test_a_pointer_without_its_bytes_is_refused_in_every_root(roots: Path) -> None:
    bad = f"mlvc: 1\nkind: file\noid: xxh128:{'0' * 32}\nsize: 5\n"
    for place in ("", "a/", "b c/"):
        (roots / f"{place}x.mlvc").write_text(bad)
    git("add", "--all", cwd=roots)
    result = call(roots / "b c/data", "commit", "-m", "x", code=1)
    assert result.err.splitlines() == [
        "mlvc: in a: x.mlvc names 1 object that the store does not have",
        "hint: track the data again with `mlvc add x`, or get it with `mlvc fetch x`",
        "mlvc: x.mlvc names 1 object that the store does not have",
        "hint: track the data again with `mlvc add ../x`, or get it with `mlvc fetch ../x`",
        "hint: `git commit --no-verify` commits all the same",
    ]  # and the one at the top belongs to no root


def test_a_large_file_is_refused_by_the_root_that_it_lies_in(roots: Path) -> None:
    run_mlvc("config", "hooks.largest", "1 KB", cwd=roots / "a")
    shell.write(roots, {"large": bytes(2000), "b c/large": bytes(2000), "a/large": bytes(2000)})
    git("add", "--all", cwd=roots)
    result = call(roots, "commit", "-m", "x", code=1)
    assert result.err.count("has 2,000 bytes") == 1
    assert "mlvc: in a: large has 2,000 bytes" in result.err


def test_each_root_pushes_to_its_own_remote(roots: Path) -> None:
    change(roots, ("a",), {"data/one.txt": b"third\n"})
    call(roots, "push", "--quiet", "--no-verify", "origin", "second~1:refs/heads/main")
    result = call(roots, "push", "--quiet", "origin", "second")
    assert result.err.startswith("mlvc: in a: pushed ")
    assert (remote(roots, "a"), remote(roots, "b c")) == (True, False)


def test_the_root_at_the_top_pushes_nothing_of_the_others(roots: Path) -> None:
    run_mlvc("init", cwd=roots)
    run_mlvc("remote", "add", "-d", "store", "../remote top", cwd=roots)
    shell.write(roots, {"top.txt": b"top"})
    run_mlvc("add", "top.txt", cwd=roots)
    shell.commit(roots, "a root at the top")
    call(roots, "push", "--quiet", "origin", "second")
    assert all(remote(roots, name) for name in (*NAMES, "top"))
    git("clone", "--quiet", "--branch", "second", "origin.git", "clone", cwd=roots.parent)
    shutil.rmtree(roots / ".git/mlvc")
    for place, name in (("", "top.txt"), ("a", "data"), ("b c", "data")):
        run_mlvc("pull", cwd=roots.parent / "clone" / place)
        assert (roots.parent / "clone" / place / name).exists()
    packs = sum(len(list((roots.parent / f"remote {name}/packs").rglob("*"))) for name in ("top", *NAMES))
    assert packs >= 3
    result = run_mlvc("ls", "-R", "--json", cwd=roots.parent / "clone")
    assert [item["path"] for item in json.loads(result.out)["items"]] == ["top.txt"]
    # For who stands in a root further down, the top is another one.
    clone = roots.parent / "clone"
    run_mlvc("install", cwd=clone)
    assert call(clone / "a/data", "checkout", "--quiet", "HEAD~1").err == ""
    (clone / "top.txt").unlink()
    result = call(clone / "a/data", "checkout", "--quiet", "second")
    assert result.err == "mlvc: in the top of the repository: working tree: 1 added\n"


@pytest.mark.parametrize("turned_off", [False, True])
def test_a_push_from_where_a_root_is_not_checked_out(roots: Path, *, turned_off: bool) -> None:
    if turned_off:
        for name in NAMES:
            run_mlvc("config", "--private", "hooks.push", "false", cwd=roots / name)
    git("checkout", "--quiet", "--orphan", "plain", cwd=roots)
    git("rm", "--quiet", "-r", "--cached", ".", cwd=roots)
    for name in NAMES:
        shutil.rmtree(roots / name / ".mlvc")
    git("commit", "--quiet", "--allow-empty", "-m", "plain", cwd=roots)
    call(roots, "push", "--quiet", "origin", "plain")
    result = call(roots, "push", "--quiet", "origin", "main", code=0 if turned_off else 1)
    told = "mlvc: the pre-push hook failed: what is pushed tracks data in a, and this working tree has no mlvc there\n"
    assert (told in result.err) != turned_off
    assert turned_off or "hint: `git push --no-verify` pushes without the data" in result.err


def test_directories_of_a_root_merge_and_conflicts_are_told_for_where_one_stands(roots: Path) -> None:
    call(roots, "checkout", "--quiet", "main")
    change(roots, NAMES, {"data/two.txt": b"ours\n"})
    call(roots, "merge", "--quiet", "--no-edit", "second")
    assert ones(roots) == ["second\n", "second\n"]
    assert (roots / "a/data/two.txt").read_bytes() == b"ours\n"
    call(roots, "checkout", "--quiet", "-b", "third", "HEAD~1")
    change(roots, NAMES, {"data/one.txt": b"third\n"})
    result = call(make_dir(roots / "a/sub"), "merge", "second", code=1)
    told = result.out + result.err
    assert "hint: end it with `mlvc resolve ../data` and one of --ours" in told
    assert "hint: in b c: end it with `mlvc resolve data` and one of --ours" in told
    run_mlvc("resolve", "../data", "--theirs", cwd=roots / "a/sub")
    run_mlvc("resolve", "data", "--theirs", cwd=roots / "b c")
    call(roots, "commit", "--quiet", "--no-edit")


def test_git_diff_shows_directories_of_every_root(roots: Path) -> None:
    told = git("diff", "main", "second", cwd=roots)
    assert told.count("one.txt") == 4
    run_mlvc("init", "--subdir", "--hash", "blake3", cwd=make_dir(roots / "d"))
    shell.write(roots / "d", {"data/blake.txt": b"x"})
    run_mlvc("add", "data", cwd=roots / "d")
    git("add", "--all", cwd=roots)
    shell.write(roots / "d", {".gitattributes": b"*.mlvc diff=mlvc\n"})
    assert "blake.txt" in git("diff", "--cached", "--", "d/data.mlvc", cwd=roots)


def make_dir(path: Path) -> Path:
    path.mkdir()
    return path


def test_nothing_to_do_loads_next_to_nothing(roots: Path) -> None:
    git("commit", "--quiet", "--allow-empty", "-m", "nothing", cwd=roots)
    commits = [git("rev-parse", name, cwd=roots) for name in ("HEAD~1", "HEAD")]
    command = [sys.executable, "-P", "-X", "importtime", "-m", "mlvc.hooks", "post-checkout", *commits, "1"]
    err = run(command, cwd=roots, env={"PYTHONPATH": SOURCES}).err
    loaded = {line.rpartition("|")[2].strip() for line in err.splitlines() if line.startswith("import time:")}
    assert {name for name in loaded if name.startswith("mlvc")} == {"mlvc"}


def test_a_lockfile_further_down_is_seen(roots: Path) -> None:
    (roots / "a/mlvc.yaml").write_text("stages:\n  make:\n    cmd: echo made > out\n    outs: [out]\n")
    run_mlvc("repro", cwd=roots / "a")
    shell.commit(roots, "pipeline")
    call(roots, "checkout", "--quiet", "HEAD~1")
    assert not (roots / "a/out").exists()
    call(roots, "checkout", "--quiet", "second")
    assert (roots / "a/out").read_text() == "made\n"
