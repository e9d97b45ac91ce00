"""Hooks as Git itself runs them, and `mlvc install`, which puts them there and takes them away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mlvc.api.install import ATTRIBUTES, HOOKS
from mlvc.files import exclusive
from tests.helpers import SOURCES, Result, git, make_git_repo, run, run_mlvc, shell
from tests.helpers.faults import process_faults
from tests.helpers.shell import refused

AWAY = b"#!/bin/sh\n"


@pytest.fixture
def hooked(pushed: Path) -> Path:
    """``pushed`` with all hooks, and a second commit on the branch ``second``, where everything is different."""
    run_mlvc("install", cwd=pushed)
    shell.commit(pushed, "installed")
    git("checkout", "--quiet", "-b", "second", cwd=pushed)
    shell.write(pushed, {"data/one.txt": b"second\n", "data/new.txt": b"new\n", "extra": b"extra"})
    (pushed / "data/sub/three.txt").unlink()
    run_mlvc("commit", cwd=pushed)
    run_mlvc("add", "extra", cwd=pushed)
    shell.commit(pushed, "second")
    return pushed


def call(root: Path, *args: str, code: int = 0, env: dict[str, str] | None = None) -> Result:
    result = run(["git", *args], cwd=root, check=False, env=env)
    assert result.code == code, result
    assert "Traceback" not in result.err
    return result


def clean(root: Path) -> bool:
    return run_mlvc("status", cwd=root).out.startswith("clean")


# -- after a checkout, a merge, a rebase -------------------------------------------------------


def test_data_come_along_with_a_checkout(hooked: Path) -> None:
    result = call(hooked, "checkout", "main")
    assert "mlvc: working tree: " in result.err
    assert clean(hooked)
    assert (hooked / "data/one.txt").read_bytes() == b"one\n"
    assert not (hooked / "extra").exists()
    call(hooked, "checkout", "second")
    assert clean(hooked)
    assert (hooked / "extra").read_bytes() == b"extra"


def test_data_come_along_where_git_takes_patterns_for_names(hooked: Path) -> None:
    call(hooked, "--literal-pathspecs", "checkout", "main")
    assert clean(hooked)
    assert (hooked / "data/one.txt").read_bytes() == b"one\n"


def test_a_detached_head_and_a_new_branch(hooked: Path) -> None:
    call(hooked, "checkout", "--detach", "main")
    assert clean(hooked)
    result = call(hooked, "checkout", "-b", "third")
    assert "mlvc" not in result.err
    call(hooked, "bisect", "start", "second", "main")
    call(hooked, "bisect", "reset")
    assert clean(hooked)


def test_only_what_differs_is_brought_along(hooked: Path) -> None:
    # model.bin is the same on both branches: what a person does to it is no obstacle.
    shell.write(hooked, {"model.bin": b"stored nowhere"})
    call(hooked, "checkout", "main")
    assert (hooked / "model.bin").read_bytes() == b"stored nowhere"
    assert (hooked / "data/one.txt").read_bytes() == b"one\n"


def test_what_is_stored_nowhere_is_not_overwritten(hooked: Path) -> None:
    shell.write(hooked, {"data/one.txt": b"stored nowhere"})
    result = call(hooked, "checkout", "main", code=1)
    assert git("branch", "--show-current", cwd=hooked) == "main"
    assert (hooked / "data/one.txt").read_bytes() == b"stored nowhere"
    assert (hooked / "data/new.txt").exists()
    lines = [line for line in result.err.splitlines() if line.startswith(("mlvc:", "hint:"))]
    assert lines[0].startswith("mlvc: the post-checkout hook failed: ")
    assert "data/one.txt" in lines[0]
    assert "`mlvc checkout` brings the data; with MLVC_HOOKS=0" in lines[-1]


def test_what_is_not_in_the_store_is_named(hooked: Path) -> None:
    run_mlvc("push", "--all-branches", cwd=hooked)
    clone = shell.clone(hooked)
    run_mlvc("install", cwd=clone)
    result = call(clone, "checkout", "main")
    assert "  missing  data\n" in result.err
    assert "hint: `mlvc pull` gets what is not in the store" in result.err
    call(clone, "checkout", "second")
    run_mlvc("config", "--private", "hooks.fetch", "true", cwd=clone)
    result = call(clone, "checkout", "main")
    assert "missing" not in result.err
    assert (clone / "data/one.txt").read_bytes() == b"one\n"
    assert not (clone / "model.bin").exists()  # the same on both branches


def test_a_remote_that_does_not_answer_is_told(hooked: Path) -> None:
    clone = shell.clone(hooked)
    run_mlvc("install", cwd=clone)
    run_mlvc("config", "--private", "hooks.fetch", "true", cwd=clone)
    shutil.rmtree(hooked.parent / "remote")
    result = call(clone, "checkout", "main")
    assert "mlvc: not fetched: " in result.err
    assert "hint: `mlvc pull`" in result.err


def test_data_come_along_with_a_merge(hooked: Path) -> None:
    call(hooked, "checkout", "main")
    call(hooked, "merge", "--quiet", "second")
    assert clean(hooked)
    call(hooked, "checkout", "-b", "squashed", "main~1")
    call(hooked, "merge", "--quiet", "--squash", "second")
    assert (hooked / "data/one.txt").read_bytes() == b"second\n"


def test_data_come_along_with_a_pull_that_fast_forwards(hooked: Path) -> None:
    clone = shell.clone(hooked)
    run_mlvc("push", "--all-branches", cwd=hooked)
    git("checkout", "--quiet", "main", cwd=clone)
    run_mlvc("pull", cwd=clone)
    run_mlvc("install", cwd=clone)
    run_mlvc("fetch", "--rev", "origin/second", cwd=clone)
    call(clone, "pull", "--quiet", "origin", "second")
    assert clean(clone)
    assert (clone / "extra").exists()


def other(root: Path, contents: dict[str, bytes]) -> None:
    """A commit on the branch ``other``, which starts at main."""
    call(root, "checkout", "-b", "other", "main")
    shell.write(root, contents)
    run_mlvc("commit", cwd=root)
    shell.commit(root, "other")


def test_data_come_along_when_a_rebase_ends(hooked: Path) -> None:
    other(hooked, {"data/two.txt": b"other\n"})
    result = call(hooked, "rebase", "second")
    assert result.err.count("mlvc: working tree") == 1  # and not at each commit on the way
    assert clean(hooked)
    assert (hooked / "data/two.txt").read_bytes() == b"other\n"
    assert (hooked / "data/new.txt").read_bytes() == b"new\n"


def test_a_rebase_that_stops_leaves_the_data_alone(hooked: Path) -> None:
    other(hooked, {"data/one.txt": b"other\n"})
    before = shell.tree(hooked)
    call(hooked, "rebase", "second", code=1)
    assert {path for path, what in shell.tree(hooked).items() if before.get(path) != what} <= {
        "data.mlvc",
        ".gitignore",
        "extra.mlvc",
    }
    call(hooked, "rebase", "--abort")
    assert shell.tree(hooked) == before
    assert clean(hooked)
    call(hooked, "rebase", "second", code=1)
    run_mlvc("resolve", "data", "--theirs", cwd=hooked)
    call(hooked, "rebase", "--continue", env={"GIT_EDITOR": "true"})
    assert clean(hooked)
    assert (hooked / "data/one.txt").read_bytes() == b"other\n"
    assert (hooked / "extra").exists()


def test_a_rebase_with_nothing_to_pick_brings_the_data(hooked: Path) -> None:
    call(hooked, "checkout", "--quiet", "-b", "behind", "main")
    result = call(hooked, "rebase", "second")
    assert result.err.count("mlvc: working tree") == 1
    assert clean(hooked)
    assert (hooked / "data/new.txt").exists()


def test_a_stash_and_an_amended_commit(hooked: Path) -> None:
    call(hooked, "checkout", "--quiet", "main")
    shell.write(hooked, {"data/one.txt": b"mine\n"})
    run_mlvc("commit", cwd=hooked)
    call(hooked, "stash")
    assert (hooked / "data/one.txt").read_bytes() == b"mine\n"  # Git has no hook for it
    call(hooked, "stash", "pop")
    assert run_mlvc("status", "--json", cwd=hooked).out.count('"working_tree": []') == 1
    call(hooked, "commit", "--quiet", "--amend", "--all", "-m", "amended")
    assert clean(hooked)


def test_an_orphan_branch_leaves_the_data_alone(hooked: Path) -> None:
    before = {name: what for name, what in shell.tree(hooked).items() if name.split("/")[0] in ("data", "model.bin")}
    result = call(hooked, "switch", "--orphan", "fresh")
    assert result.err == "Switched to a new branch 'fresh'\n"
    after = shell.tree(hooked)
    assert {name: after[name] for name in before if name in after and not name.endswith(".mlvc")} == {
        name: what for name, what in before.items() if not name.endswith(".mlvc")
    }
    call(hooked, "switch", "--quiet", "second")
    assert clean(hooked)


def test_a_part_of_what_is_staged_is_committed(hooked: Path) -> None:
    """With paths, Git makes the commit from an index of its own."""
    (hooked / "bad.mlvc").write_text(f"mlvc: 1\nkind: file\noid: xxh128:{'0' * 32}\nsize: 5\n")
    shell.write(hooked, {"code.py": b"pass\n"})
    git("add", "--all", cwd=hooked)
    call(hooked, "commit", "-m", "only the code", "code.py")
    call(hooked, "commit", "-m", "x", "bad.mlvc", code=1)
    call(hooked, "commit", "--all", "-m", "x", code=1)


def test_a_hook_in_the_environment_of_another_start(hooked: Path, tmp_path: Path) -> None:
    places = {"GIT_DIR": str(hooked / ".git"), "GIT_WORK_TREE": str(hooked)}
    call(tmp_path, "checkout", "--quiet", "main", env=places)
    assert (hooked / "data/one.txt").read_bytes() == b"one\n"
    call(tmp_path, "-C", str(hooked / "data"), "checkout", "--quiet", "second")
    assert clean(hooked)


def test_a_submodule_gets_its_data(hooked: Path) -> None:
    run_mlvc("remote", "modify", "store", "url", str(hooked.parent / "remote"), cwd=hooked)
    run_mlvc("push", "--all-branches", cwd=hooked)
    shell.commit(hooked, "an address that is good everywhere")
    around = make_git_repo(hooked.parent / "around")
    call(around, "submodule", "--quiet", "add", "../project", "inner")
    inner = around / "inner"
    run_mlvc("install", cwd=inner)
    run_mlvc("fetch", "--all-commits", cwd=inner)
    run_mlvc("checkout", cwd=inner)
    shell.commit(around, "second")
    call(inner, "checkout", "--quiet", "--detach", "origin/main")
    call(around, "submodule", "--quiet", "update")
    assert (inner / "data/one.txt").read_bytes() == b"second\n"
    assert clean(inner)


def test_a_clone_from_a_template_with_hooks(hooked: Path) -> None:
    shutil.copytree(hooked / ".git/hooks", hooked.parent / "template/hooks")
    result = call(hooked.parent, "clone", "--quiet", "--template=template", "project", "clone")
    assert result.err.endswith("hint: `mlvc pull` gets what is not in the store\n")


def test_an_interrupted_hook_says_how_to_go_on(hooked: Path) -> None:
    with exclusive(str(hooked / ".git/mlvc/tracking")):  # where it has to wait for us
        command = ["git", "checkout", "--quiet", "main"]
        options = {"cwd": hooked, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        with subprocess.Popen(command, **options) as process:  # type: ignore[call-overload]
            wait_for(lambda: (hooked / "data/one.txt").read_bytes() == b"one\n")
            os.killpg(process.pid, signal.SIGINT)
            told = process.stderr.read()
    assert told == (
        "mlvc: the post-checkout hook was interrupted; nothing is lost\nhint: `mlvc checkout` does the rest\n"
    )
    run_mlvc("checkout", cwd=hooked)
    assert clean(hooked)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError


def test_a_new_worktree_gets_its_data(hooked: Path) -> None:
    call(hooked, "worktree", "add", "--quiet", "../tree", "main")
    tree = hooked.parent / "tree"
    assert clean(tree)
    assert (tree / "data/one.txt").read_bytes() == b"one\n"
    call(tree, "checkout", "--quiet", "--detach", "second")
    assert clean(tree)
    assert (hooked / "data/one.txt").read_bytes() == b"second\n"


def test_the_hooks_can_be_switched_off(hooked: Path) -> None:
    call(hooked, "checkout", "main", env={"MLVC_HOOKS": "0"})
    assert (hooked / "data/one.txt").read_bytes() == b"second\n"


def test_a_checkout_of_named_files_is_the_persons_own(hooked: Path) -> None:
    call(hooked, "checkout", "main", "--", "data.mlvc")
    assert (hooked / "data/one.txt").read_bytes() == b"second\n"


# -- before a commit ---------------------------------------------------------------------------


def test_a_pointer_without_its_bytes_is_not_committed(hooked: Path) -> None:
    (hooked / "extra.mlvc").write_text(f"mlvc: 1\nkind: file\noid: xxh128:{'0' * 32}\nsize: 5\n")
    git("add", "--all", cwd=hooked)
    result = call(hooked, "commit", "-m", "x", code=1)
    assert "mlvc: extra.mlvc names 1 object that the store does not have" in result.err
    assert "`mlvc add extra`" in result.err
    assert result.err.endswith("hint: `git commit --no-verify` commits all the same\n")
    call(hooked, "commit", "--no-verify", "-m", "x")


def test_a_pointer_that_is_not_committed_can_be_mended_as_the_hint_says(hooked: Path) -> None:
    (hooked / "data.mlvc").write_text("no Pointer\n")
    git("add", "--all", cwd=hooked)
    result = call(hooked, "commit", "-m", "x", code=1)
    assert "hint: bring the file back with `git checkout HEAD -- data.mlvc`" in result.err
    git("checkout", "HEAD", "--", "data.mlvc", cwd=hooked)
    assert run_mlvc("status", cwd=hooked).out.startswith("clean: ")


def test_conflict_markers_are_not_committed(hooked: Path) -> None:
    (hooked / "data.mlvc").write_text("<<<<<<< ours\n=======\n>>>>>>> theirs\n")
    git("add", "--all", cwd=hooked)
    result = call(hooked, "commit", "-m", "x", code=1)
    assert "conflict markers" in result.err


def test_a_large_file_is_not_committed_to_git(hooked: Path) -> None:
    run_mlvc("config", "hooks.largest", "1 MB", cwd=hooked)
    shell.write(hooked, {"big.bin": bytes(1_000_001), "small.bin": bytes(1_000_000)})
    git("add", "--all", cwd=hooked)
    result = call(hooked, "commit", "-m", "x", code=1)
    assert "mlvc: big.bin has 1,000,001 bytes, and hooks.largest allows 1,000,000" in result.err
    assert "small.bin" not in result.err
    # As the hint says.
    git("rm", "--quiet", "--cached", "big.bin", cwd=hooked)
    run_mlvc("add", "big.bin", cwd=hooked)
    git("add", "--all", cwd=hooked)
    call(hooked, "commit", "-m", "x")
    run_mlvc("config", "hooks.largest", "0", cwd=hooked)
    shell.write(hooked, {"big2.bin": bytes(1_000_001)})
    shell.commit(hooked)


@pytest.mark.parametrize(("text", "value"), [("500000", 500_000), ("10 MB", 10_000_000), ("1gb", 10**9), ("2KB", 2000)])
def test_how_a_limit_may_be_written(project: Path, text: str, value: int) -> None:
    run_mlvc("config", "hooks.largest", text, cwd=project)
    assert run_mlvc("config", "hooks.largest", cwd=project).out == f"{value}\n"


@pytest.mark.parametrize("text", ["10 apples", "1.5 MB", "true", "MB", "\u0661"])
def test_what_is_no_limit(project: Path, text: str) -> None:
    refused(run_mlvc("config", "hooks.largest", text, cwd=project, check=False), 2, "hooks.largest", "10 MB")


def test_a_clone_without_data_commits_what_is_known(hooked: Path) -> None:
    run_mlvc("push", "--all-branches", cwd=hooked)
    clone = shell.clone(hooked)
    run_mlvc("install", cwd=clone)
    git("mv", "data.mlvc", "elsewhere.mlvc", cwd=clone)
    call(clone, "commit", "-m", "renamed without its data")
    call(clone, "checkout", "--quiet", "-b", "older", "origin/main")
    call(clone, "checkout", "--quiet", "origin/second", "--", "data.mlvc")
    call(clone, "commit", "-m", "a Pointer of another commit")


def test_the_first_commit_of_a_repository(hooked: Path) -> None:
    root = make_git_repo(hooked.parent / "fresh")
    run_mlvc("init", cwd=root)
    run_mlvc("install", cwd=root)
    shell.write(root, {"data/x": b"x"})
    run_mlvc("add", "data", cwd=root)
    git("add", "--all", cwd=root)
    shutil.move(root / ".git/mlvc/packs", root / ".git/mlvc/away")
    assert "data.mlvc names" in call(root, "commit", "-m", "first", code=1).err
    shutil.rmtree(root / ".git/mlvc/packs", ignore_errors=True)
    shutil.move(root / ".git/mlvc/away", root / ".git/mlvc/packs")
    call(root, "commit", "-m", "first")


# -- before a push -----------------------------------------------------------------------------


@pytest.fixture
def upstream(hooked: Path) -> Path:
    """``hooked`` with a bare repository as ``origin``, which has main."""
    git("init", "--quiet", "--bare", "../origin.git", cwd=hooked)
    git("remote", "add", "origin", "../origin.git", cwd=hooked)
    call(hooked, "push", "--quiet", "origin", "main")
    return hooked


def test_a_push_brings_the_objects_of_its_commits(upstream: Path) -> None:
    shell.write(upstream, {"data/one.txt": b"between\n"})
    run_mlvc("commit", cwd=upstream)
    shell.commit(upstream, "between")
    shell.write(upstream, {"data/one.txt": b"last\n"})
    run_mlvc("commit", cwd=upstream)
    shell.commit(upstream, "last")
    result = call(upstream, "push", "origin", "second")
    assert "mlvc: pushed " in result.err
    git("clone", "--quiet", "--branch", "second", "origin.git", "clone", cwd=upstream.parent)
    clone = upstream.parent / "clone"
    run_mlvc("fetch", "--all-commits", cwd=clone)  # what lies between as well
    run_mlvc("pull", cwd=clone)
    assert (clone / "data/one.txt").read_bytes() == b"last\n"
    assert "mlvc" not in call(upstream, "push", "origin", "second").err
    assert "mlvc" not in call(upstream, "push", "origin", "--delete", "second").err


def test_a_push_of_code_alone_asks_no_remote(upstream: Path) -> None:
    call(upstream, "push", "--quiet", "origin", "second")
    shutil.rmtree(upstream.parent / "remote")
    shell.write(upstream, {"code.py": b"pass\n"})
    shell.commit(upstream, "code")
    assert call(upstream, "push", "--quiet", "origin", "second").err == ""


def test_a_push_whose_data_cannot_be_sent_is_refused(upstream: Path) -> None:
    (upstream.parent / "remote" / "mlvc-remote").write_text("none of ours")
    result = call(upstream, "push", "origin", "second", code=1)
    assert "mlvc: the pre-push hook failed: " in result.err
    assert "hint: `git push --no-verify` pushes without the data" in result.err
    call(upstream, "push", "--no-verify", "origin", "second")


def test_a_push_of_what_is_nowhere_is_refused(upstream: Path) -> None:
    shutil.rmtree(upstream / ".git/mlvc/packs")
    result = call(upstream, "push", "origin", "second", code=1)
    assert "could not be pushed: its object is missing" in result.err
    assert "  missing  " in result.err


def test_a_pointer_that_cannot_be_read_is_told_after_the_rest_is_pushed(upstream: Path) -> None:
    (upstream / "broken.mlvc").write_text("no Pointer\n")
    git("add", "--all", cwd=upstream)
    git("commit", "--quiet", "--no-verify", "-m", "broken", cwd=upstream)
    result = call(upstream, "push", "origin", "second", code=1)
    assert "mlvc: pushed " in result.err
    assert "broken.mlvc, line 1: not a line of a Pointer" in result.err


def test_a_push_of_what_is_no_commit(upstream: Path) -> None:
    git("tag", "blob", git("rev-parse", "HEAD:data.mlvc", cwd=upstream), cwd=upstream)
    assert "mlvc" not in call(upstream, "push", "origin", "blob").err


def test_a_setting_turns_the_push_off(upstream: Path) -> None:
    run_mlvc("config", "hooks.push", "false", cwd=upstream)
    shutil.rmtree(upstream.parent / "remote")
    assert "mlvc" not in call(upstream, "push", "origin", "second").err
    run_mlvc("config", "hooks.push", "true", cwd=upstream)


def test_without_a_remote_it_is_told(upstream: Path) -> None:
    run_mlvc("remote", "remove", "store", cwd=upstream)
    assert "no remote is configured, the data stay here" in call(upstream, "push", "origin", "second").err


# -- install -----------------------------------------------------------------------------------

NOTES = '#!/bin/sh\necho {name} "$@" >> ../notes\n{more}'


def hooks_of(root: Path) -> set[str]:
    return {path.name for path in (root / ".git/hooks").iterdir() if not path.name.endswith(".sample")}


def test_install_and_uninstall_leave_no_trace(project: Path) -> None:
    before = shell.image(project)
    result = json.loads(run_mlvc("install", "--json", cwd=project).out)
    assert [hook["name"] for hook in result["hooks"]] == list(HOOKS)
    assert {hook["state"] for hook in result["hooks"]} == {"installed"}
    assert hooks_of(project) == set(HOOKS)
    assert (project / ".gitattributes").read_text() == "".join(f"{line}\n" for line in ATTRIBUTES)
    once = shell.image(project)
    again = json.loads(run_mlvc("install", "--json", cwd=project).out)
    assert {hook["state"] for hook in again["hooks"]} == {"unchanged"}
    assert shell.image(project) == once
    gone = json.loads(run_mlvc("install", "--uninstall", "--json", cwd=project).out)
    assert {hook["state"] for hook in gone["hooks"]} == {"removed"}
    assert shell.image(project) == before
    none = json.loads(run_mlvc("install", "--uninstall", "--json", cwd=project).out)
    assert {hook["state"] for hook in none["hooks"]} == {"absent"}
    assert shell.image(project) == before


def test_hooks_that_are_there_are_kept_and_called_first(hooked: Path) -> None:
    run_mlvc("install", "--uninstall", cwd=hooked)
    folder = hooked / ".git/hooks"
    for name in HOOKS:
        (folder / name).write_text(NOTES.format(name=name, more="cat >> ../notes" if name == "pre-push" else "exit 0"))
        (folder / name).chmod(0o755)
    (folder / "post-merge").unlink()
    (folder / "post-merge").symlink_to("../../../merged")
    shutil.copy2(folder / "post-checkout", hooked.parent / "merged")
    (hooked / ".gitattributes").write_bytes(b"*.png binary")  # without a line end
    before = shell.image(hooked)
    run_mlvc("install", cwd=hooked)
    assert (hooked / ".gitattributes").read_bytes().endswith(b"\n*.png binary")
    git("init", "--quiet", "--bare", "../origin.git", cwd=hooked)
    call(hooked, "push", "../origin.git", "second")
    git("checkout", "--quiet", "--", ".gitattributes", cwd=hooked)
    call(hooked, "checkout", "main")
    assert (hooked / "data/one.txt").read_bytes() == b"one\n"
    notes = (hooked.parent / "notes").read_text().splitlines()
    assert notes[0] == "pre-push ../origin.git ../origin.git"
    assert notes[1].startswith("refs/heads/second ")
    assert notes[2].startswith("post-checkout ")
    call(hooked, "merge", "--quiet", "second")
    assert (hooked.parent / "notes").read_text().splitlines()[-1] == "post-checkout 0"  # by the name of the file
    run_mlvc("install", "--uninstall", cwd=hooked)
    after = shell.image(hooked)
    for name in HOOKS:
        assert after[f".git/hooks/{name}"] == before[f".git/hooks/{name}"]
    assert not any(name.endswith(".before-mlvc") for name in after)
    assert after[".git/config"] == before[".git/config"]


def test_a_hook_that_stood_there_first_may_refuse(hooked: Path) -> None:
    run_mlvc("install", "--uninstall", cwd=hooked)
    hook = hooked / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nexit 3\n")
    hook.chmod(0o755)
    run_mlvc("install", cwd=hooked)
    call(hooked, "commit", "--allow-empty", "-m", "x", code=1)
    (hooked / ".git/hooks/pre-commit.before-mlvc").chmod(0o644)  # Git would not run it either
    call(hooked, "commit", "--allow-empty", "-m", "x")


HUSKY = b"""#!/usr/bin/env sh
. "$(dirname "$0")/h"
"""
HUSKY_H = b"""#!/usr/bin/env sh
s=$(dirname "$(dirname "$0")")/$(basename "$0")
[ ! -f "$s" ] && exit 0
sh -e "$s" "$@"
exit $?
"""


def test_hooks_that_go_by_their_own_name(hooked: Path) -> None:
    """As those of husky do, which it writes anew with each of its installations."""
    run_mlvc("install", "--uninstall", cwd=hooked)
    files = {"pre-commit": HUSKY, "pre-push": HUSKY, "h": HUSKY_H, ".gitignore": b"*"}
    shell.write(hooked, {f".husky/_/{name}": text for name, text in files.items()})
    (hooked / ".husky/pre-commit").write_text("echo of husky >> ../notes; exit $CODE\n")
    (hooked / ".husky/pre-push").write_text("cat >> ../notes\n")
    for name in ("pre-commit", "pre-push"):
        (hooked / ".husky/_" / name).chmod(0o755)
    before = shell.image(hooked / ".husky")
    git("config", "core.hooksPath", ".husky/_", cwd=hooked)
    run_mlvc("install", cwd=hooked)
    for _ in range(2):
        call(hooked, "commit", "--quiet", "--allow-empty", "-m", "x", env={"CODE": "3"}, code=1)
        call(hooked, "commit", "--quiet", "--allow-empty", "-m", "x", env={"CODE": "0"})
        for name in ("pre-commit", "pre-push"):
            (hooked / ".husky/_" / name).write_bytes(HUSKY)
        run_mlvc("install", cwd=hooked)
    git("init", "--quiet", "--bare", "../origin.git", cwd=hooked)
    assert "mlvc: pushed" in call(hooked, "push", "../origin.git", "second").err
    notes = (hooked.parent / "notes").read_text().splitlines()
    assert notes[:4] == ["of husky"] * 4
    assert notes[4].startswith("refs/heads/second ")
    run_mlvc("install", "--uninstall", cwd=hooked)
    assert shell.image(hooked / ".husky") == before


@pytest.mark.parametrize(
    "text",
    [
        b"#!/usr/bin/env bash\n[[ ${BASH_SOURCE[0]} == $0 ]] || exit 0\nexit 3\n",
        b"#!/bin/sh -e\nfalse\nexit 0\n",
        b"#!/usr/bin/env python3\nraise SystemExit(3)\n",
        None,
    ],
)
def test_hooks_of_every_kind_are_called(hooked: Path, text: bytes | None) -> None:
    run_mlvc("install", "--uninstall", cwd=hooked)
    hook = hooked / ".git/hooks/pre-commit"
    hook.write_bytes(Path(shutil.which("false") or "").read_bytes() if text is None else text)
    hook.chmod(0o755)
    run_mlvc("install", cwd=hooked)
    call(hooked, "commit", "--quiet", "--allow-empty", "-m", "x", code=1)


def test_hooks_that_the_framework_has_put_beside_its_own(hooked: Path) -> None:
    """What `pre-commit install` does: the hook that is there is called NAME.legacy, and called first."""
    hook, legacy = hooked / ".git/hooks/pre-commit", hooked / ".git/hooks/pre-commit.legacy"
    framework = b'#!/usr/bin/env bash\n"$(dirname "${BASH_SOURCE[0]}")/pre-commit.legacy" "$@"\n'
    shutil.move(hook, legacy)
    hook.write_bytes(framework)
    hook.chmod(0o755)
    (hooked / "x.mlvc").write_text("no Pointer\n")
    git("add", "--all", cwd=hooked)
    assert "not a line of a Pointer" in call(hooked, "commit", "-m", "x", code=1).err
    assert json.loads(run_mlvc("doctor", "--json", cwd=hooked, check=False).out)["hooks"]["pre-commit"] == "this"
    states = {h["name"]: h["state"] for h in json.loads(run_mlvc("install", "--json", cwd=hooked).out)["hooks"]}
    assert states["pre-commit"] == "unchanged"
    assert hook.read_bytes() == framework
    run_mlvc("install", "--uninstall", cwd=hooked)
    assert hook.read_bytes() == framework
    assert not legacy.exists()


def test_only_the_hooks_that_are_named(project: Path) -> None:
    run_mlvc("install", "--hook", "pre-commit", "--hook", "pre-push", cwd=project)
    assert hooks_of(project) == {"pre-commit", "pre-push"}
    run_mlvc("install", "--uninstall", "--hook", "pre-push", cwd=project)
    assert hooks_of(project) == {"pre-commit"}
    assert git("config", "merge.mlvc.driver", cwd=project)
    refused(run_mlvc("install", "--hook", "update", cwd=project, check=False), 2, "no hook 'update'", "pre-commit")


def test_a_hook_that_was_edited_or_replaced_is_left_alone(project: Path) -> None:
    run_mlvc("install", cwd=project)
    hook = project / ".git/hooks/pre-commit"
    text = hook.read_text()
    hook.write_text(text + "echo mine\n")
    before = shell.image(project)
    for args in ((), ("--uninstall",)):
        refused(run_mlvc("install", *args, cwd=project, check=False), 2, "pre-commit was edited", ".before-mlvc")
        assert shell.image(project) == before
    shutil.copy2(hook, f"{hook}.before-mlvc")
    hook.write_text("#!/bin/sh\n")
    refused(run_mlvc("install", cwd=project, check=False), 2, "pre-commit was replaced")


def test_an_install_that_was_killed_can_be_taken_back_or_done_again(project: Path) -> None:
    folder = project / ".git/hooks"
    folder.mkdir(exist_ok=True)
    (folder / "pre-commit").write_bytes(AWAY)
    (folder / "pre-commit").chmod(0o755)
    before = shell.image(project)
    for verb in ("--json", "--uninstall"):
        shutil.move(folder / "pre-commit", folder / "pre-commit.before-mlvc")  # as far as it came
        run_mlvc("install", verb, cwd=project)
        run_mlvc("install", "--uninstall", cwd=project)
        assert shell.image(project) == before
    for kill_at in range(1, 20):
        env = process_faults(kill_at=kill_at, root=folder)
        killed = run_mlvc("install", cwd=project, check=False, env=env)
        run_mlvc("install", "--uninstall", cwd=project)
        assert {n: w for n, w in shell.image(project).items() if not n.endswith(".tmp")} == before
        if killed.code == 0:
            break
    assert kill_at > 3


def test_a_hook_that_is_a_link_to_another_is_refused(project: Path) -> None:
    folder = project / ".git/hooks"
    folder.mkdir(exist_ok=True)
    (folder / "post-checkout").write_bytes(AWAY)
    (folder / "post-merge").symlink_to("post-checkout")
    before = shell.image(project)
    refused(run_mlvc("install", cwd=project, check=False), 2, "post-merge is a link to post-checkout", "copy")
    assert shell.image(project) == before


def test_another_mlvc_takes_over(project: Path) -> None:
    run_mlvc("install", cwd=project)
    for name in HOOKS:
        hook = project / ".git/hooks" / name
        head, seal, text = hook.read_bytes().partition(b"# lines below: ")
        text = text.partition(b"\n")[2].replace(f"python={sys.executable}".encode(), b"python=/gone/python")
        hook.write_bytes(head + seal + f"{zlib.crc32(text):08x}\n".encode() + text)
    result = call(project, "commit", "--allow-empty", "-m", "x")
    assert result.err == (
        "mlvc: the pre-commit hook does nothing: the mlvc that installed it is gone; run mlvc install again\n"
    )
    run_mlvc("install", cwd=project)
    assert call(project, "commit", "--allow-empty", "-m", "x").err == ""


def test_a_python_in_a_folder_with_a_space(project: Path) -> None:
    place = project.parent / "a place"
    place.symlink_to(Path(sys.executable).parents[1])
    python = place / "bin" / Path(sys.executable).name
    run([str(python), "-P", "-m", "mlvc", "install"], cwd=project, env={"PYTHONPATH": SOURCES})
    assert f"python='{python}'" in (project / ".git/hooks/pre-commit").read_text()
    (project / "x.mlvc").write_text("no Pointer\n")
    git("add", "--all", cwd=project)
    assert "not a line of a Pointer" in call(project, "commit", "-m", "x", code=1).err
    assert "dir, 6 files" in git("show", "--format=", "HEAD", "--", "data.mlvc", cwd=project)
    run_mlvc("install", cwd=project)  # and this one knows its work again
    run_mlvc("install", "--uninstall", cwd=project)


def test_a_directory_of_hooks_elsewhere(project: Path) -> None:
    git("config", "core.hooksPath", "../shared hooks", cwd=project)
    result = json.loads(run_mlvc("install", "--json", cwd=project).out)
    folder = project.parent / "shared hooks"
    assert result["directory"] == str(folder)
    assert {path.name for path in folder.iterdir()} == set(HOOKS)
    assert not hooks_of(project)
    shell.write(project, {"data/one.txt": b"changed\n"})
    run_mlvc("commit", cwd=project)
    shell.commit(project)
    call(project, "checkout", "HEAD~1")
    assert (project / "data/one.txt").read_bytes() == b"one\n"
    # A repository without mlvc that has the same hooks.
    plain = make_git_repo(project.parent / "plain")
    git("config", "core.hooksPath", "../shared hooks", cwd=plain)
    assert call(plain, "commit", "--quiet", "--allow-empty", "-m", "x").err == ""


def test_a_worktree_installs_for_all(project: Path) -> None:
    git("worktree", "add", "--quiet", "../tree", cwd=project)
    run_mlvc("install", cwd=project.parent / "tree")
    assert hooks_of(project) == set(HOOKS)
    assert git("config", "merge.mlvc.driver", cwd=project)


def test_lines_that_are_committed_stay(project: Path) -> None:
    run_mlvc("install", cwd=project)
    shell.commit(project, "for everyone")
    result = run_mlvc("install", "--uninstall", cwd=project)
    assert "its lines in .gitattributes are committed and stay" in result.err
    assert git("status", "--porcelain", cwd=project) == ""


def test_autostage_stages_the_attributes(project: Path) -> None:
    run_mlvc("config", "--private", "core.autostage", "true", cwd=project)
    run_mlvc("install", cwd=project)
    assert git("status", "--porcelain", cwd=project) == "A  .gitattributes"


def test_where_mlvc_is_not_set_up(tmp_path: Path) -> None:
    root = make_git_repo()
    refused(run_mlvc("install", cwd=root, check=False), 2, "mlvc is not set up", "mlvc init")


# -- the pre-commit framework ------------------------------------------------------------------


def framework(root: Path, name: str, **variables: str) -> Result:
    """A hook as the framework calls it: without arguments, with what it knows in variables."""
    env = {f"PRE_COMMIT_{key}": value for key, value in variables.items()} | {"PYTHONPATH": SOURCES}
    return run([sys.executable, "-P", "-m", "mlvc.hooks", name], cwd=root, env=env, check=False)


def test_hooks_of_the_pre_commit_framework(hooked: Path) -> None:
    run_mlvc("install", "--uninstall", cwd=hooked)
    second, main = (git("rev-parse", name, cwd=hooked) for name in ("second", "main"))
    git("checkout", "--quiet", "main", cwd=hooked)
    assert framework(hooked, "post-checkout", FROM_REF=second, TO_REF=main, CHECKOUT_TYPE="1").code == 0
    assert clean(hooked)
    git("merge", "--quiet", "second", cwd=hooked)
    assert framework(hooked, "post-merge", IS_SQUASH_MERGE="0").code == 0
    assert clean(hooked)
    result = framework(hooked, "pre-push", REMOTE_NAME="origin", FROM_REF="0" * 40, TO_REF=second)
    assert "mlvc: pushed " in result.err
    (hooked / "data.mlvc").write_text("x\n")
    git("add", "--all", cwd=hooked)
    assert framework(hooked, "pre-commit").code == 1


def test_the_framework_is_told_of_every_hook_that_it_can_call() -> None:
    import yaml

    listed = yaml.safe_load((Path(SOURCES) / ".pre-commit-hooks.yaml").read_text())
    assert {hook["stages"][0] for hook in listed} == set(HOOKS)
    for hook in listed:
        assert hook["entry"] == f"python -m mlvc.hooks {hook['stages'][0]}"
        assert hook["always_run"] is True
        assert hook["pass_filenames"] is False


# -- what a hook costs -------------------------------------------------------------------------


def test_a_hook_with_nothing_to_do_loads_next_to_nothing(hooked: Path) -> None:
    git("commit", "--quiet", "--allow-empty", "-m", "nothing", cwd=hooked)
    commits = [git("rev-parse", name, cwd=hooked) for name in ("HEAD~1", "HEAD")]
    command = [sys.executable, "-P", "-X", "importtime", "-m", "mlvc.hooks", "post-checkout", *commits, "1"]
    err = run(command, cwd=hooked, env={"PYTHONPATH": SOURCES}).err
    loaded = {line.rpartition("|")[2].strip() for line in err.splitlines() if line.startswith("import time:")}
    assert {name for name in loaded if name.startswith("mlvc")} == {"mlvc"}
    assert not loaded & {"typing", "subprocess", "typer", "rich", "fsspec", "git", "yaml", "sqlite3"}


def test_importing_the_hooks_loads_no_library() -> None:
    code = "import sys, mlvc.hooks; print(*sorted(sys.modules))"
    loaded = set(run([sys.executable, "-P", "-c", code], env={"PYTHONPATH": SOURCES}).out.split())
    assert "mlvc.hooks" in loaded
    assert not loaded & {"typer", "rich", "fsspec", "git", "yaml", "sqlite3", "subprocess"}
    assert os.path.exists(f"{SOURCES}/mlvc/hooks.py")
