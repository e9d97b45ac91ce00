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


# -- several roots -----------------------------------------------------------------------------


@pytest.fixture
def mono(scenes, tmp_path_factory, tmp_path) -> Path:
    """A repository with a root at the top, ``.``, one in ``a`` and one in ``libs/b c``, all pushed to one Remote."""
    if "mono" not in scenes:
        scenes["mono"] = tmp_path_factory.mktemp("mono")
        make_mono(scenes["mono"] / "mono")
    return shell.copied(scenes["mono"], tmp_path / "scene") / "mono"


def make_mono(top: Path) -> None:
    make_git_repo(top)
    set_up(top)
    for name, remote in (("a", "../../remote"), ("libs/b c", "../../../remote")):
        (top / name).mkdir(parents=True)
        set_up(top / name, "--subdir", remote=remote)
        write(top / name, {"data/own.txt": name.encode()})
        run_mlvc("add", "data", cwd=top / name)
    commit(top, "three roots")
    for name in ("a", "libs/b c"):
        run_mlvc("push", cwd=top / name)


def test_roots_side_by_side(mono):
    for name in (".", "a", "libs/b c"):
        root = mono / name
        is_clean(root)
        change(root, f"changed in {name}\n")
        for other in {".", "a", "libs/b c"} - {name}:
            is_clean(mono / other)
        run_mlvc("push", cwd=root)
        assert (root / "data.mlvc").exists()
        assert (root / ".gitignore").read_text().splitlines() == ["/data"]
        assert git("ls-files", "--others", "--exclude-standard", cwd=mono) == ""
    clone = shell.clone(mono)
    for name in ("libs/b c", ".", "a"):
        brings(clone / name, f"changed in {name}\n")
        assert (clone / name / "data/own.txt").exists() == (name != ".")
    # One Store; what belongs to one root alone is in a place of its own.
    assert {"packs", "format", "index.sqlite", "roots"} <= places(clone / ".git/mlvc")
    for name in ("a", "libs/b c"):
        own = places(clone / ".git/mlvc/roots" / name / ".mlvc")
        assert {"index.sqlite", "placed", "remotes"} <= own
        assert not {"packs", "format"} & own


def test_gc_keeps_what_any_root_needs_and_destroy_takes_none_of_it(mono):
    """The Store is one: also what another root has not committed, and the Runs of another root."""
    (mono / "a/mlvc.yaml").write_text("stages: {s: {cmd: echo made > made.txt, outs: [made.txt]}}\n")
    run_mlvc("repro", cwd=mono / "a")
    write(mono / "libs/b c", {"data/new.txt": b"not committed"})
    run_mlvc("add", "data", cwd=mono / "libs/b c")
    (mono / "a/mlvc.lock").unlink()
    for name in (".", "a", "libs/b c"):
        run_mlvc("config", "--private", "gc.grace", "0", cwd=mono / name)
        run_mlvc("gc", cwd=mono / name)
        run_mlvc("fsck", cwd=mono / name)
    assert "uses the same store" in run_mlvc("destroy", "--force", cwd=mono / "a", check=False).err
    for name in ("a", "libs/b c"):
        shutil.rmtree(mono / name / "data")
        run_mlvc("checkout", cwd=mono / name)
    assert (mono / "libs/b c/data/new.txt").read_bytes() == b"not committed"
    (mono / "a/made.txt").unlink()
    assert "restored" in run_mlvc("repro", cwd=mono / "a").err
    assert (mono / "a/made.txt").read_text() == "made\n"


def test_a_conflict_in_a_root_further_down_is_resolved_there(mono):
    root = mono / "a"
    for branch, text in (("side", b"theirs\n"), ("main", b"ours\n")):
        git("checkout", "--quiet", *(["-b"] if branch == "side" else []), branch, cwd=mono)
        run_mlvc("checkout", cwd=root)
        write(root, {"data/one.txt": text})
        run_mlvc("commit", cwd=root)
        git("commit", "--quiet", "--all", "-m", branch, cwd=mono)
    git("merge", "--quiet", "side", cwd=mono, check=False)
    run_mlvc("resolve", "data", "--theirs", cwd=root)
    assert git("diff", "--name-only", "--diff-filter=U", cwd=mono) == ""
    run_mlvc("checkout", cwd=root)
    assert (root / "data/one.txt").read_bytes() == b"theirs\n"


def test_a_root_is_found_from_below_and_paths_are_relative_to_it(mono):
    deep = mono / "a/data/deep"
    deep.mkdir()
    (deep / "new.txt").write_text("new")
    found = json.loads(run_mlvc("diff", "--json", cwd=deep).out)
    assert [item["path"] for item in found["changes"]] == ["data/deep/new.txt"]
    run_mlvc("add", "new.txt", cwd=deep)
    assert [item["path"] for item in status(mono / "a")["head"]] == ["data"]
    is_clean(mono)
    refused(run_mlvc("add", "../data", cwd=mono / "a", check=False), 2, "outside the repository", str(mono / "a"))


def test_old_data_of_a_root_in_an_old_commit(mono):
    change(mono / "a", "changed\n")
    found = json.loads(run_mlvc("diff", "HEAD~1", "HEAD", "--json", cwd=mono).out)
    assert found["changes"] == []
    first = git("rev-list", "--max-parents=0", "HEAD", cwd=mono)
    found = json.loads(run_mlvc("diff", first, "HEAD", "--json", cwd=mono / "a").out)
    assert {item["change"] for item in found["changes"]} == {"added"}


def test_push_of_all_commits_sends_those_of_this_root(mono, tmp_path):
    change(mono / "a", "changed\n")
    run_mlvc("remote", "add", "other", tmp_path / "other", cwd=mono / "a")
    run_mlvc("push", "--all-commits", "--all-tags", "--all-branches", "-r", "other", cwd=mono / "a")
    shutil.rmtree(mono / ".git/mlvc")
    run_mlvc("fetch", "--all-commits", "-r", "other", cwd=mono / "a")
    run_mlvc("checkout", "--rev", "HEAD~1", cwd=mono / "a")
    assert (mono / "a/data/one.txt").read_bytes() == b"one\n"


def test_a_root_that_is_removed_gives_its_pointers_to_the_root_around_it(mono):
    git("rm", "--quiet", "-r", "a/.mlvc", cwd=mono)
    git("commit", "--quiet", "-m", "one less", cwd=mono)
    is_clean(mono, 2)
    assert [item["path"] for item in json.loads(run_mlvc("diff", "HEAD~1", "--json", cwd=mono).out)["changes"]] == [
        "a/data/one.txt",
        "a/data/own.txt",
        "a/data/two.txt",
    ]


def test_git_is_told_of_the_right_paths(mono):
    a = mono / "a"
    run_mlvc("config", "core.autostage", "true", cwd=a)
    write(a, {"more/x.bin": b"x", "mlvc.yaml": b"stages:\n  make:\n    cmd: echo 1 > 1.txt\n    outs: [1.txt]\n"})
    run_mlvc("add", "x.bin", cwd=a / "more")
    told = run_mlvc("repro", cwd=a).err
    assert "git add" in told
    assert "mlvc.yaml" in told
    staged = git("diff", "--cached", "--name-only", cwd=mono).split()
    assert {"a/more/.gitignore", "a/more/x.bin.mlvc", "a/.gitignore", "a/mlvc.lock"} <= set(staged)
    git("add", ".", cwd=a)
    git("commit", "--quiet", "-m", "more", cwd=a)
    assert git("status", "--porcelain", cwd=mono) == ""
    # What was renamed or is not tracked any more goes, as some commit has it.
    git("mv", "more/x.bin.mlvc", "more/y.bin.mlvc", cwd=a)
    git("rm", "--quiet", "data.mlvc", cwd=a)
    git("commit", "--quiet", "-m", "less", cwd=a)
    run_mlvc("checkout", cwd=a)
    assert not (a / "data").exists()
    assert not (a / "more/x.bin").exists()
    assert (a / "more/y.bin").read_bytes() == b"x"
    assert (a / "more/.gitignore").read_text() == "/x.bin\n/y.bin\n"
    is_clean(mono)
    assert (mono / "data/one.txt").exists()


def test_a_root_does_not_go_into_another(mono):
    (mono / "a/more").write_text("more")
    refused(run_mlvc("add", "a/more", cwd=mono, check=False), 2, "a/more is in another mlvc root, a", "run mlvc there")
    refused(
        run_mlvc("add", "libs", cwd=mono, check=False),
        2,
        "libs cannot be tracked: libs/b c in it is an mlvc root of its own",
    )
    git("rm", "--quiet", "-r", "--cached", "libs", cwd=mono)
    refused(run_mlvc("add", "libs", cwd=mono, check=False), 2, "libs/b c is an mlvc root of its own")
    git("add", "libs", cwd=mono)
    refused(run_mlvc("add", "a", cwd=mono, check=False), 2, "a is in another mlvc root, a")
    refused(run_mlvc("commit", "a/data", cwd=mono, check=False), 2, "a/data is not tracked")
    assert not (mono / "libs.mlvc").exists()
    (mono / "mlvc.yaml").write_text("stages:\n  make:\n    cmd: touch a/x\n    outs: [a/x]\n")
    refused(run_mlvc("repro", cwd=mono, check=False), 2, "'a/x' lies in another mlvc root")


def test_pipelines_of_roots_are_apart(mono):
    for name in (".", "a"):
        (mono / name / "mlvc.yaml").write_text(
            "stages:\n  copy:\n    cmd: cat data/one.txt > out.txt\n    deps: [data/one.txt]\n    outs: [out.txt]\n"
        )
        run_mlvc("repro", cwd=mono / name)
        assert (mono / name / "out.txt").read_bytes() == b"one\n"
        assert list(json.loads((mono / name / "mlvc.lock").read_text())["stages"]) == ["copy"]
        commit(mono)
    is_clean(mono, 2)
    is_clean(mono / "a", 2)


def test_what_was_the_outer_roots_is_left_alone_when_it_is_an_inner_roots(tmp_path):
    top = make_git_repo(tmp_path / "top")
    run_mlvc("init", cwd=top)
    write(top, {"a/data/one.txt": b"one\n", "a/sub/x": b"x"})
    run_mlvc("add", "a/data", cwd=top)
    commit(top)
    told = run_mlvc("init", "--subdir", cwd=top / "a", check=False)
    refused(told, 2, "cannot be a root of its own: a/data is tracked by the root at")
    refused(run_mlvc("init", "--subdir", cwd=top / "a/data", check=False), 2, "a/data is tracked")
    assert not (top / "a/.mlvc").exists()
    # By hand, as after a merge: nothing of it is deleted, or written over.
    write(top, {"a/.mlvc/config.toml": b'[core]\nhash = "xxh128"\n'})
    commit(top, "a root")
    run_mlvc("checkout", cwd=top)
    is_clean(top, 0)
    is_clean(top / "a")
    (top / "a/data/one.txt").unlink()
    told = run_mlvc("checkout", "--rev", "HEAD~1", cwd=top, check=False)
    assert told.code == 2
    ends(told, "a/data lies in another mlvc root, a: nothing is put there")
    assert not (top / "a/data/one.txt").exists()


def test_init_goes_to_the_top_unless_told_otherwise(tmp_path):
    top = make_git_repo(tmp_path / "top")
    (top / "a/b").mkdir(parents=True)
    told = run_mlvc("init", cwd=top / "a")
    assert f"Set up mlvc in {top} " in told.err
    assert "`mlvc init --subdir`" in told.err
    assert f"set up in {top} already" in run_mlvc("init", cwd=top / "a").err
    made = json.loads(run_mlvc("init", "--subdir", "--json", cwd=top / "a").out)
    assert made == {"root": str(top / "a"), "hash": "xxh128", "new": True}
    assert json.loads(run_mlvc("init", "--json", cwd=top / "a/b").out)["root"] == str(top / "a")
    assert not json.loads(run_mlvc("init", "--subdir", "--json", cwd=top / "a").out)["new"]
    assert git("diff", "--cached", "--name-only", cwd=top).split() == [".mlvc/config.toml", "a/.mlvc/config.toml"]


@pytest.mark.parametrize(
    ("place", "told"),
    [(".git/hooks", "part of Git or of mlvc"), (".mlvc", "part of Git or of mlvc"), ("out/x", "(.gitignore:1: /out)")],
)
def test_where_no_root_can_be(tmp_path, place, told):
    top = make_git_repo(tmp_path / "top")
    run_mlvc("init", cwd=top)
    write(top, {".gitignore": b"/out\n", "out/x/y": b""})
    before = shell.image(top)
    refused(run_mlvc("init", "--subdir", cwd=top / place, check=False), 2, told)
    assert shell.image(top) == before


def test_where_only_a_root_further_down_is_set_up(tmp_path):
    top = make_git_repo(tmp_path / "top")
    (top / "a").mkdir()
    set_up(top / "a", "--subdir", remote="../../remote")
    is_clean(top / "a")
    refused(run_mlvc("status", cwd=top, check=False), 2, f"not set up in {top}", "or go to a, where it is")
    change(top / "a", "changed\n")


def test_roots_with_different_hashes_have_a_store_each(mono):
    for name, algorithm in (("x", "blake3"), ("y", "blake3")):
        (mono / name).mkdir()
        set_up(mono / name, "--subdir", remote="../../" + algorithm, algorithm=algorithm)
        change(mono / name, f"{name} with blake3\n")
        run_mlvc("push", cwd=mono / name)
    assert places(mono / ".git/mlvc/stores") == {"blake3"}
    clone = shell.clone(mono)
    # Whichever comes first.
    brings(clone / "y", "y with blake3\n")
    brings(clone / "a", "one\n")
    brings(clone / "x", "x with blake3\n")
    brings(clone, "one\n")
    assert places(clone / ".git/mlvc/stores") == {"xxh128"}


def test_a_hash_that_was_changed_by_hand_is_still_refused(mono):
    config = mono / "a/.mlvc/config.toml"
    config.write_text(config.read_text().replace("xxh128", "blake3"))
    shutil.rmtree(mono / ".git/mlvc/roots")
    (mono / ".mlvc/config.toml").unlink()
    (mono / "libs/b c/.mlvc/config.toml").unlink()
    refused(run_mlvc("add", "data", cwd=mono / "a", check=False), 2, "core.hash cannot be changed after `mlvc init`")


def test_private_settings_are_those_of_one_root(mono):
    run_mlvc("config", "--private", "core.jobs", "2", cwd=mono / "a")
    assert run_mlvc("config", "core.jobs", cwd=mono / "a").out == "2\n"
    assert run_mlvc("config", "core.jobs", cwd=mono).out == "4\n"
    refused(run_mlvc("remote", "add", "x", "../store", cwd=mono / "a", check=False), 2, "lies in the repository itself")


def test_links_into_the_store_survive_a_move_of_the_repository(mono, tmp_path):
    run_mlvc("config", "core.link", "symlink", cwd=mono / "a")
    write(mono / "a", {"big.bin": shell.LARGE})
    run_mlvc("add", "big.bin", cwd=mono / "a")
    run_mlvc("checkout", "--relink", cwd=mono / "a")
    assert (mono / "a/big.bin").is_symlink()
    moved = mono.rename(tmp_path / "elsewhere")
    assert (moved / "a/big.bin").read_bytes() == shell.LARGE


# -- worktrees ---------------------------------------------------------------------------------


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


def test_a_root_further_down_in_two_worktrees(mono, tmp_path):
    git("worktree", "add", "--quiet", "-b", "side", "../side", cwd=mono)
    side = mono.parent / "side/a"
    run_mlvc("checkout", cwd=side)
    is_clean(side)
    change(side, "of the side\n")
    is_clean(mono / "a")
    assert "index.sqlite" in places(mono / ".git/worktrees/side/mlvc/roots/a/.mlvc")


def test_a_worktree_of_a_bare_repository(tmp_path):
    set_up(make_git_repo(tmp_path / "main"))
    git("clone", "--quiet", "--bare", "main", "bare.git", cwd=tmp_path)
    git("worktree", "add", "--quiet", "../tree", "main", cwd=tmp_path / "bare.git")
    brings(tmp_path / "tree", "one\n")
    change(tmp_path / "tree", "changed\n")
    assert "packs" in places(tmp_path / "bare.git/mlvc")
    refused(run_mlvc("status", cwd=tmp_path / "bare.git", check=False), 2, "is a bare Git repository")


# -- submodules --------------------------------------------------------------------------------


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


def test_mlvc_only_in_the_submodule(tmp_path):
    set_up(make_git_repo(tmp_path / "lib"))
    top = make_git_repo(tmp_path / "super")
    git("submodule", "--quiet", "add", "../lib", "lib", cwd=top)
    commit(top)
    refused(run_mlvc("status", cwd=top, check=False), 2, f"not set up in {top}", "`mlvc init`")
    run_mlvc("remote", "modify", "--private", "store", "url", tmp_path / "remote", cwd=top / "lib")
    brings(top / "lib", "one\n")


# -- Git repositories of other kinds -----------------------------------------------------------


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


def test_git_dir_alone_as_in_a_hook_of_a_worktree(mono, tmp_path):
    git("worktree", "add", "--quiet", "-b", "side", "../side", cwd=mono)
    side = mono.parent / "side/a"
    run_mlvc("checkout", cwd=side)
    write(side, {"data/one.txt": b"changed\n"})
    env = {"GIT_DIR": str(mono / ".git/worktrees/side")}
    told = run_mlvc("status", "--json", "--exit-code", cwd=side, env=env, check=False)
    assert (told.code, [item["path"] for item in json.loads(told.out)["working_tree"]]) == (1, ["data"])
    assert json.loads(told.out)["head"] == []


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


def test_a_path_with_links_spaces_and_letters(tmp_path):
    real = tmp_path / "Ärger mit 数据"
    root = make_git_repo(real / "my project")
    (tmp_path / "link").symlink_to(real)
    linked = tmp_path / "link/my project"
    set_up(linked, remote=tmp_path / "remote")
    change(linked, "changed\n")
    is_clean(root)
    (linked / "café").mkdir()
    set_up(linked / "café", "--subdir", remote=tmp_path / "remote")
    change(linked / "café", "more\n")
    run_mlvc("add", linked / "café/data", cwd=root / "café")
    is_clean(root / "café")
    is_clean(linked)


def test_a_repository_of_another_user(tmp_path):
    root = make_git_repo(tmp_path / "root")
    set_up(root)
    other = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    for command in (["status"], ["add", "data"], ["diff", "HEAD", "HEAD"], ["checkout", "--rev", "HEAD"], ["push"]):
        told = run_mlvc(*command, cwd=root, env=other, check=False)
        refused(told, 2, "Git does not trust the repository", f"--add safe.directory {root}")
    git("config", "--global", "--add", "safe.directory", root)
    is_clean(root, env=other)


# -- parts of a repository ---------------------------------------------------------------------


@pytest.mark.parametrize("cone", ["--cone", "--no-cone"])
def test_a_sparse_checkout(tmp_path, cone):
    root = make_git_repo(tmp_path / "root")
    run_mlvc("init", cwd=root)
    run_mlvc("remote", "add", "-d", "store", "../remote", cwd=root)
    write(root, {"in/data/one.txt": b"one\n", "out/data/one.txt": b"far\n", "out/code.py": b""})
    run_mlvc("add", "in/data", "out/data", cwd=root)
    commit(root)
    run_mlvc("push", cwd=root)
    clone = shell.clone(root)
    git("sparse-checkout", "set", cone, *(["in"] if cone == "--cone" else ["/*", "!/out/"]), cwd=clone)
    assert not (clone / "out").exists()
    if cone == "--cone":
        for command in (["status"], ["init"], ["add", "in/data"]):
            told = run_mlvc(*command, cwd=clone / "in", check=False)
            refused(told, 2, ".mlvc/config.toml is left out by the sparse checkout", "git sparse-checkout add .mlvc")
        git("sparse-checkout", "add", ".mlvc", cwd=clone)
    run_mlvc("pull", cwd=clone)
    is_clean(clone)
    assert (clone / "in/data/one.txt").exists()
    assert not (clone / "out").exists()
    assert run_mlvc("diff", "--exit-code", cwd=clone).code == 0
    run_mlvc("checkout", "--rev", "HEAD", cwd=clone)
    assert not (clone / "out").exists()
    left = "left out by the sparse checkout of Git"
    for command in ("checkout", "status", "pull", "commit", "push"):
        refused(
            run_mlvc(command, "out/data", cwd=clone, check=False), 2, "out/data is " + left, "git sparse-checkout add"
        )
    write(clone, {"out/data/mine.txt": b"mine\n"})
    refused(run_mlvc("add", "out/data", cwd=clone, check=False), 2, "out/data is " + left)
    shutil.rmtree(clone / "out")
    # What is really deleted is told.
    (clone / "in/data.mlvc").unlink()
    assert [(item["path"], item["change"]) for item in status(clone)["head"]] == [("in/data", "deleted")]
    git("checkout", "--quiet", "in", cwd=clone)
    git("sparse-checkout", "disable", cwd=clone)
    run_mlvc("pull", cwd=clone)
    is_clean(clone, 2)
    # And back.
    git("sparse-checkout", "set", cone, *(["in", ".mlvc"] if cone == "--cone" else ["/*", "!/out/"]), cwd=clone)
    run_mlvc("checkout", cwd=clone)
    is_clean(clone)
    # In cone mode Git itself removes ignored files of a directory that it leaves out.
    assert (clone / "out/data/one.txt").exists() == (cone == "--no-cone")
    git("sparse-checkout", "disable", cwd=clone)
    run_mlvc("checkout", cwd=clone)
    is_clean(clone, 2)


STAGE = b"stages:\n  make:\n    cmd: echo made > made.txt\n    outs: [made.txt]\n"


def test_stages_outside_of_a_sparse_checkout_stay_recorded(tmp_path):
    root = make_git_repo(tmp_path / "root")
    run_mlvc("init", cwd=root)
    write(root, {"in/mlvc.yaml": STAGE, "out/mlvc.yaml": STAGE, "old/mlvc.yaml": STAGE})
    run_mlvc("repro", cwd=root)
    commit(root)
    git("rm", "--quiet", "old/mlvc.yaml", cwd=root)
    git("sparse-checkout", "set", "in", ".mlvc", cwd=root)
    (root / "in/mlvc.yaml").write_bytes(STAGE.replace(b"echo made", b"echo anew"))
    run_mlvc("repro", cwd=root)
    recorded = json.loads((root / "mlvc.lock").read_text())["stages"]
    assert sorted(recorded) == ["in/mlvc.yaml:make", "out/mlvc.yaml:make"]


def test_a_lockfile_outside_of_a_sparse_checkout(tmp_path):
    root = make_git_repo(tmp_path / "root")
    run_mlvc("init", cwd=root)
    write(root, {"mlvc.yaml": STAGE, "in/x": b""})
    run_mlvc("repro", cwd=root)
    commit(root)
    git("sparse-checkout", "set", "--no-cone", "/.mlvc", "/.gitignore", "/in", cwd=root)
    assert not (root / "mlvc.lock").exists()
    is_clean(root, 0)
    run_mlvc("checkout", cwd=root)
    assert (root / "made.txt").exists()
    (root / "mlvc.yaml").write_bytes(STAGE)
    refused(run_mlvc("repro", cwd=root, check=False), 2, "mlvc.lock is left out", "git sparse-checkout add")
    (root / "mlvc.yaml").unlink()
    git("sparse-checkout", "disable", cwd=root)
    is_clean(root)


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


# -- work that was interrupted -----------------------------------------------------------------


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


# -- line ends ---------------------------------------------------------------------------------


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
