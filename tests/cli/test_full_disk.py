"""A full disk, a real one: exit code 8, one sentence, nothing changed or lost, and with room again the rest is done.

Ctrl-C in the middle: the same with exit code 130.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mlvc.oid import LENGTHS
from tests.helpers import SOURCES, git, run, run_mlvc, shell
from tests.helpers.sharing import store
from tests.helpers.shell import refused, tree

pytestmark = pytest.mark.fault
SYSTEM_FAILURE, INTERRUPTED = 8, 130
BOTH = list(LENGTHS)
"""Both hashes. Where a test has many cases, they take turns."""
both = pytest.mark.parametrize("algorithm", BOTH)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 16 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting a small file system needs to be root, and may be forbidden even then")
    yield place
    run(["umount", "--lazy", str(place)])


def fill(place: Path, free: int) -> Path:
    """Take all room but ``free`` bytes."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        info = os.statvfs(place)
        left = info.f_bavail * info.f_frsize - free
        while left > 0:
            left -= file.write(b"\0" * min(left, 1 << 20))
    return ballast


def prepared(place: Path, command: str, algorithm: str) -> tuple[Path, list[str]]:
    """A scene on ``place``, and the command that is to run out of room."""
    root = shell.project(place / "project", pushed=command == "pull", algorithm=algorithm)
    shell.write(root, {"data/new.txt": b"new\n" * 500, "more/large": os.urandom(1 << 21)})
    if command == "add":
        return root, ["add", "data", "more"]
    run_mlvc("add", "data", "more", cwd=root)
    shell.commit(root)
    if command == "checkout":
        shutil.rmtree(root / "more")
        (root / "data/new.txt").unlink()
        return root, ["checkout"]
    if command == "push":
        return root, ["push"]
    run_mlvc("push", cwd=root)
    return shell.clone(root), ["pull"]


SIZES = {
    # From nothing at all up to almost enough: 2 MiB have to be written, twice in a pull.
    "add": (0, 4096, 8192, 16384, 65536, 1 << 18, 1 << 20, 1 << 21, (1 << 21) + 8192, (1 << 21) + 32768),
    "checkout": (0, 4096, 8192, 16384, 65536, 1 << 18, 1 << 20, 3 << 19, (1 << 21) - 65536, (1 << 21) - 4096),
    "push": (0, 4096, 8192, 16384, 65536, 1 << 18, 1 << 20, 1 << 21, (1 << 21) + 8192, (1 << 21) + 32768),
    "pull": (0, 4096, 65536, 1 << 20, 1 << 21, 5 << 19, 3 << 20, 7 << 19, (7 << 19) + 65536, (1 << 22) - 65536),
}


@both
@pytest.mark.parametrize("command", SIZES)
def test_a_full_disk(disk: Path, command: str, algorithm: str) -> None:
    root, args = prepared(disk, command, algorithm)
    kept = disk.parent / "kept"
    shutil.copytree(disk, kept, symlinks=True)
    full = 0
    for size in SIZES[command][BOTH.index(algorithm) :: len(BOTH)]:
        ballast = fill(disk, size)
        before = tree(root)
        result = run_mlvc(*args, cwd=root, check=False)
        if result.code:
            full += 1
            assert result.code == SYSTEM_FAILURE, (size, result)
            refused(result, SYSTEM_FAILURE, "disk is full")
        now = tree(root)
        assert {path: now.get(path) for path in before if not path.endswith(".gitignore")} == {
            path: what for path, what in before.items() if not path.endswith(".gitignore")
        }, size
        assert not [path for path in now if path.endswith(".tmp") or ".mlvc-tmp" in path], size
        ballast.unlink()
        assert run_mlvc("status", cwd=root, check=False).code == 0
        if not result.code:
            break
    assert full >= 3
    run_mlvc(*args, cwd=root)
    assert run_mlvc("status", cwd=root).code == 0
    # The same as where there was room all the time.
    other = kept / root.name
    run_mlvc(*args, cwd=other)
    assert tree(root) == tree(other)
    if command == "push":
        clone = shell.clone(other, "clone-of-other")
        shutil.rmtree(kept / "remote")
        shutil.copytree(disk / "remote", kept / "remote")
        run_mlvc("pull", cwd=clone)
        assert tree(clone) == tree(other)


def test_a_full_disk_here_is_not_put_down_to_the_remote(disk: Path, tmp_path: Path) -> None:
    root = shell.project(tmp_path / "project", pushed=True)
    text = "stages: {s: {cmd: head -c 3000000 /dev/urandom > out, deps: [data], outs: [out]}}"
    shell.write(root, {"mlvc.yaml": text.encode()})
    run_mlvc("repro", cwd=root)
    shell.commit(root)
    run_mlvc("push", "--run-cache", cwd=root)
    git("clone", "--quiet", str(root), str(disk / "clone"), cwd=tmp_path)
    clone = disk / "clone"
    run_mlvc("config", "--private", "remote.store.url", str(store(root).resolve()), cwd=clone)
    full = 0
    for size in (0, 4096, 8192, 16384, 65536, 1 << 18, 1 << 20, 3 << 19, 1 << 21, 3 << 20, 1 << 22, 5 << 20):
        ballast = fill(disk, size)
        result = run_mlvc("repro", "--pull", cwd=clone, check=False)
        ballast.unlink()
        if not result.code:
            break
        full += 1
        refused(result, SYSTEM_FAILURE, "the disk is full: ", str(disk))
        assert "remote" not in result.err.partition("hint:")[0]
    assert full >= 4
    assert "1 restored" in run_mlvc("repro", "--pull", cwd=clone).err or not result.code


# -- Ctrl-C ------------------------------------------------------------------------------------


def interrupted(root: Path, *args: str, when: Path) -> subprocess.CompletedProcess[str]:
    """mlvc as a process that gets Ctrl-C as soon as something appears in ``when``."""
    names = set(os.listdir(when)) if when.is_dir() else set()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlvc", *args],
        cwd=root,
        env=os.environ | {"PYTHONPATH": SOURCES},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        if when.is_file() or (when.is_dir() and set(os.listdir(when)) - names):
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.0005)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(args, process.returncode, out, err)


def told(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == INTERRUPTED, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mlvc:")]
    assert len(lines) == 1, done.stderr
    assert "interrupted" in lines[0]


@pytest.fixture
def big(project: Path) -> Path:
    """As ``project``, with 96 MB in the working tree."""
    block = os.urandom(1 << 22)
    for number in range(24):
        shell.write(project, {f"big/{number}": number.to_bytes(4, "big") + block})
    return project


@both
def test_interrupted_add(big: Path) -> None:
    before = tree(big)
    told(interrupted(big, "add", "big", when=big / ".git/mlvc/tmp"))
    assert tree(big) == before
    assert not list((big / ".git/mlvc/tmp").iterdir())
    run_mlvc("add", "big", cwd=big)
    assert (big / "big.mlvc").is_file()


@both
def test_interrupted_push(big: Path) -> None:
    run_mlvc("add", "big", cwd=big)
    before = tree(big)
    told(interrupted(big, "push", when=big.parent / "remote/tmp"))
    assert tree(big) == before
    run_mlvc("push", cwd=big)
    shell.commit(big)
    clone = shell.clone(big)
    run_mlvc("pull", cwd=clone)
    assert tree(clone) == tree(big)
    assert not list((big.parent / "remote/tmp").iterdir())


def test_interrupted_repro_ends_what_it_started(project: Path) -> None:
    text = "stages:\n  one: {{cmd: echo one > one, outs: [one]}}\n  two: {{cmd: '{}', deps: [one], outs: [two]}}\n"
    (project / "mlvc.yaml").write_text(text.format("echo $$ > pid; echo half > two; mv pid started; sleep 60"))
    told(interrupted(project, "repro", when=project / "started"))
    with pytest.raises(ProcessLookupError):
        os.kill(int((project / "started").read_text()), 0)
    assert '"one"' in (project / "mlvc.lock").read_text()
    assert git("ls-files", "--error-unmatch", "data.mlvc", cwd=project)
    assert tree(project / "data")
    (project / "mlvc.yaml").write_text(text.format("cp one two"))
    assert "1 unchanged, 1 ran" in run_mlvc("repro", cwd=project).err
    assert (project / "two").read_text() == "one\n"


def test_a_stage_is_not_started_on_a_full_disk(disk: Path) -> None:
    """Nobody would know of it any more, nor stop it."""
    root = shell.project(disk / "project")
    started = disk.parent / "started"
    run_mlvc("stage", "add", "-n", "s", "-d", "model.bin", "-o", "out", f"echo 1 > {started}; sleep 20", cwd=root)
    run_mlvc("status", cwd=root)
    ballast = fill(disk, 0)
    with suppress(OSError), (disk / "last").open("wb", buffering=0) as file:
        while True:
            file.write(b"x")
    shell.ends(run_mlvc("repro", cwd=root, check=False), f"disk is full: {root}/.git/mlvc/")
    assert not started.exists()
    ballast.unlink()


def test_a_stage_that_fills_the_disk_is_named_with_the_place(disk: Path) -> None:
    root = shell.project(disk / "project")
    large = "head -c {} /dev/urandom > {}"
    run_mlvc("stage", "add", "-n", "fits", "-o", "one", large.format(7 << 20, "one"), cwd=root)
    run_mlvc("stage", "add", "-n", "large", "-o", "two", large.format(20 << 20, "two"), cwd=root)
    result = run_mlvc("repro", "large", cwd=root, check=False)
    assert result.code == 7
    shell.ends(result, "the command of stage 'large' failed", f"the disk is full at {root}")
    shutil.rmtree(root / ".git/mlvc/aside")
    ballast = fill(disk, 8 << 20)
    result = run_mlvc("repro", "fits", cwd=root, check=False)
    assert result.code == SYSTEM_FAILURE
    shell.ends(result, "what stage 'fits' made cannot be taken in: the disk is full: ", f"{root}/.git/mlvc/")
    ballast.unlink()
    shutil.rmtree(root / ".git/mlvc/aside")
    run_mlvc("repro", "fits", cwd=root)


def test_the_room_of_copies_goes_to_the_packs(disk: Path) -> None:
    """There is room for what is fetched, and not for the file beside: all that is fetched is kept."""
    source = shell.project(disk.parent / "source")
    shell.write(source, {"big": random.Random(1).randbytes(9 << 20)})
    run_mlvc("add", "big", cwd=source)
    shell.commit(source)
    run_mlvc("push", cwd=source)
    clone = disk / "clone"
    git("clone", "--quiet", source, clone)
    run_mlvc("remote", "modify", "store", "url", str(disk.parent / "remote"), "--private", cwd=clone)
    shell.ends(run_mlvc("pull", "big", cwd=clone, check=False), "disk is full")
    assert "Not in the store" not in run_mlvc("status", "big", cwd=clone, check=False).out


def test_reproduce_without_room_for_its_worktree(disk: Path) -> None:
    project = disk / "project"
    git("init", "--quiet", "-b", "main", project)
    run_mlvc("init", cwd=project)
    (project / "large").write_bytes(random.Random(1).randbytes(4 << 20))
    (project / "mlvc.yaml").write_text(
        "stages: {s: {cmd: head -c 9 large > out, deps: [large], outs: [out: {cache: false}]}}"
    )
    run_mlvc("repro", cwd=project)
    shell.commit(project)
    ballast = fill(disk, 2 << 20)
    before = tree(project)
    result = run_mlvc("reproduce", "HEAD", cwd=project, check=False)
    refused(result, SYSTEM_FAILURE, "git worktree failed", "is the disk full?", "--keep")
    assert tree(project) == before
    assert git("worktree", "list", cwd=project).count("\n") == 0
    ballast.unlink()
    assert run_mlvc("reproduce", "HEAD", cwd=project).code == 0
