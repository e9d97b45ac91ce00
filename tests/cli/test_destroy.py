"""``mlvc destroy``: the data stays, all else goes, and nothing that is only in the store goes unasked."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import SOURCES, git, run_mlvc, shell
from tests.helpers.faults import counted, process_faults
from tests.helpers.shell import image, refused, tree
from tests.helpers.stores import noise

OURS = ("data.mlvc", "model.bin.mlvc", ".mlvc", ".mlvc/config.toml")


def data_of(root: Path) -> dict[str, str]:
    return {path: what for path, what in tree(root).items() if path not in (*OURS, "mlvc.lock")}


def test_the_data_stays_and_all_else_goes(pushed: Path) -> None:
    shell.write(
        pushed, {"mlvc.yaml": b"stages: {sum: {cmd: cat data/one.txt > sum.txt, deps: [data], outs: [sum.txt]}}\n"}
    )
    run_mlvc("repro", cwd=pushed)
    before, remote = data_of(pushed), image(pushed.parent / "remote")
    assert (pushed / "mlvc.lock").exists()
    everything = image(pushed)
    planned = json.loads(run_mlvc("destroy", "--dry-run", "--json", cwd=pushed).out)
    assert set(planned) == {"removed", "size", "links", "alone"}
    assert set(planned["removed"]) == {"data.mlvc", "model.bin.mlvc", "mlvc.lock", ".mlvc", ".git/mlvc"}
    assert "would remove  data.mlvc" in run_mlvc("destroy", "--dry-run", cwd=pushed).err
    assert image(pushed) == everything
    refused(run_mlvc("destroy", "--json", cwd=pushed, check=False), 2, "nobody to ask", "--yes")
    assert image(pushed) == everything
    done = json.loads(run_mlvc("destroy", "--yes", "--json", cwd=pushed).out)
    assert {**done, "size": 0} == {**planned, "size": 0}  # databases may have grown
    assert data_of(pushed) == tree(pushed) == before
    assert not (pushed / ".git/mlvc").exists()
    assert image(pushed.parent / "remote") == remote
    refused(run_mlvc("status", cwd=pushed, check=False), 2, "mlvc is not set up")
    git("add", "--all", cwd=pushed)
    assert not [line for line in git("diff", "--cached", "--name-status", cwd=pushed).splitlines() if "data/" in line]


def test_what_is_in_the_store_alone_is_not_removed_unasked(project: Path) -> None:
    shell.write(project, {"data/one.txt": b"second\n"})
    run_mlvc("commit", cwd=project)
    shell.commit(project)
    before = image(project)
    refused(run_mlvc("destroy", "--yes", cwd=project, check=False), 5, "3 of the objects", "mlvc push --all-commits")
    assert image(project) == before
    run_mlvc("push", "--all-commits", cwd=project)
    run_mlvc("destroy", "--yes", cwd=project)
    assert not (project / ".git/mlvc").exists()


def test_a_version_that_is_nowhere_else_goes_by_force(project: Path) -> None:
    (project / "model.bin").unlink()
    refused(run_mlvc("destroy", "--yes", cwd=project, check=False), 5, "1 of the objects")
    run_mlvc("destroy", "--force", cwd=project)
    assert not (project / ".git/mlvc").exists()
    assert (project / "data/one.txt").exists()


def test_hooks_go_and_what_stood_there_is_back(pushed: Path) -> None:
    hook = pushed / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    before = image(pushed)
    run_mlvc("install", cwd=pushed)
    run_mlvc("destroy", "--yes", cwd=pushed)
    hooks = {path: what for path, what in image(pushed).items() if "/hooks/" in path}
    assert hooks == {path: what for path, what in before.items() if "/hooks/" in path}
    assert "mlvc" not in git("config", "--list", "--local", cwd=pushed)


def test_hooks_that_other_repositories_use_stay(pushed: Path) -> None:
    hooks = pushed.parent / "hooks"
    hooks.mkdir()
    git("config", "core.hooksPath", hooks, cwd=pushed)
    run_mlvc("install", cwd=pushed)
    before = image(hooks)
    run_mlvc("destroy", "--yes", cwd=pushed)
    assert image(hooks) == before


def test_a_list_of_files_that_is_not_here(pushed: Path) -> None:
    """It is read on the Remote; where that has it not, nobody can tell what the Store alone has."""
    shell.write(pushed, {"old/x": b"in a pack of its own"})
    before = set((pushed / ".git/mlvc/packs").iterdir())
    run_mlvc("add", "old", cwd=pushed)
    shell.commit(pushed)
    run_mlvc("push", cwd=pushed)
    (pushed / "old.mlvc").unlink()
    for pack in set((pushed / ".git/mlvc/packs").iterdir()) - before:
        pack.unlink()
    run_mlvc("destroy", "--dry-run", cwd=pushed)
    remote = pushed.parent / "remote"
    remote.rename(pushed.parent / "away")
    refused(run_mlvc("destroy", "--yes", cwd=pushed, check=False), 4, "list of files of old.mlvc in commit", "--force")
    (pushed.parent / "away").rename(remote)
    run_mlvc("destroy", "--yes", cwd=pushed)


def test_what_was_set_aside(pushed: Path) -> None:
    shell.write(pushed, {".git/mlvc/aside/20260101-000000/x": b"stored nowhere"})
    refused(run_mlvc("destroy", "--yes", cwd=pushed, check=False), 5, "set aside")
    run_mlvc("destroy", "--force", cwd=pushed)


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_links_into_the_store_become_files(project: Path, link: str) -> None:
    run_mlvc("config", "core.link", link, cwd=project)
    data = noise(1_500_000, 7)
    shell.write(project, {"linked.bin": data})
    run_mlvc("add", "linked.bin", cwd=project)
    run_mlvc("checkout", "--relink", cwd=project)
    run_mlvc("destroy", "--yes", cwd=project)
    path = project / "linked.bin"
    assert not path.is_symlink()
    assert path.read_bytes() == data
    assert os.stat(path).st_mode & 0o200


def test_a_store_that_others_use(project: Path) -> None:
    other = project.parent / "other"
    git("init", "--quiet", "-b", "main", other)
    run_mlvc("init", cwd=other)
    run_mlvc("config", "--private", "store.dir", project / ".git/mlvc", cwd=other)
    shell.write(other, {"x": b"other\n"})
    run_mlvc("add", "x", cwd=other)
    refused(run_mlvc("destroy", "--force", cwd=project, check=False), 2, "other/.git uses the store")
    run_mlvc("destroy", "--yes", cwd=other)
    assert (project / ".git/mlvc/shared-by").read_text() == ""
    assert (other / "x").read_bytes() == b"other\n"
    run_mlvc("checkout", "--force", cwd=project)
    run_mlvc("destroy", "--yes", cwd=project)


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 2), (b"\n", 2), (b"\x04", 2)])
def test_a_person_is_asked(pushed: Path, answer: bytes, code: int) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-P", "-m", "mlvc", "destroy"]
    process = subprocess.Popen(
        command,
        cwd=pushed,
        stdin=slave,
        stderr=slave,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": SOURCES},
    )
    os.close(slave)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(master, 1000)
    os.write(master, answer)
    assert process.wait(timeout=60) == code
    os.close(master)
    assert b"with its store of" in shown
    assert (pushed / ".git/mlvc").exists() == bool(code)


@pytest.mark.fault
def test_kill_9_and_again(pushed: Path, tmp_path: Path) -> None:
    end = shell.copied(pushed.parent, tmp_path / "end") / "project"
    log = tmp_path / "calls"
    run_mlvc("destroy", "--yes", cwd=end, env=process_faults(root=end, count_to=log))
    after = tree(end)
    calls = counted(log)
    assert len(calls) > 5
    for n in range(1, len(calls) + 1, 2):
        root = shell.copied(pushed.parent, tmp_path / f"{n}") / "project"
        done = run_mlvc("destroy", "--yes", cwd=root, check=False, env=process_faults(kill_at=n, root=root))
        assert done.code == -signal.SIGKILL
        assert after.items() <= tree(root).items(), calls[n - 1]
        again = run_mlvc("destroy", "--yes", cwd=root, check=False)
        assert again.code == 0 or "not set up" in again.err, calls[n - 1]
        assert {path: what for path, what in tree(root).items() if path != ".mlvc"} == after, calls[n - 1]
        shutil.rmtree(tmp_path / f"{n}")
