"""The faults that other tests count on happen where they are asked for, and nowhere else."""

import errno
import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.helpers import run
from tests.helpers.faults import count_syscalls, counted, fail_at, process_faults

pytestmark = pytest.mark.fault

STEPS = ["mkdir", "open", "write", "fsync", "replace", "unlink", "rmdir"]


def save(root):
    """Seven calls that change something below ``root``, and one that reads."""
    os.mkdir(f"{root}/folder")
    descriptor = os.open(f"{root}/folder/new", os.O_WRONLY | os.O_CREAT)
    try:
        os.write(descriptor, b"data")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(f"{root}/folder/new", f"{root}/folder/file")
    os.close(os.open(f"{root}/folder/file", os.O_RDONLY))
    os.unlink(f"{root}/folder/file")
    os.rmdir(f"{root}/folder")


def names(calls):
    return [call.split()[0] for call in calls]


def test_counting_changes_nothing(tmp_path):
    before = os.open, os.replace
    with count_syscalls(tmp_path, errno.EIO) as faults:
        save(tmp_path / "work")
    assert names(faults.calls) == [*STEPS[:5], "open", *STEPS[5:]]
    assert faults.calls[4] == f"replace {tmp_path}/work/folder/new {tmp_path}/work/folder/file"
    assert faults.failed == []
    assert (os.open, os.replace) == before


def test_each_call_fails_once(tmp_path):
    failed = []
    for n in itertools.count(1):
        root = tmp_path / str(n)
        root.mkdir()
        with fail_at(n, errno.EIO, root=root) as faults:
            try:
                save(root)
            except OSError as error:
                assert error.errno == errno.EIO
                assert str(error.filename).startswith(str(root))
        if not faults.failed:
            break
        failed += faults.failed
        assert len(faults.calls) == n
    assert names(failed) == [*STEPS[:5], "open", *STEPS[5:]]


def test_a_full_disk_stops_only_what_needs_space(tmp_path):
    with count_syscalls(tmp_path, errno.ENOSPC) as faults:
        save(tmp_path / "work")
    assert names(faults.calls) == STEPS[:5]
    with fail_at(2, errno.ENOSPC, root=tmp_path, lasting=True) as faults:
        os.mkdir(tmp_path / "a")
        for _ in range(3):
            with pytest.raises(OSError, match="No space left"):
                os.mkdir(tmp_path / "b")
        os.rmdir(tmp_path / "a")
    assert len(faults.failed) == 3


def test_what_is_elsewhere_does_not_count(tmp_path):
    (tmp_path / "watched").mkdir()
    reader, writer = os.pipe()
    with fail_at(1, root=tmp_path / "watched") as faults:
        save(tmp_path / "work")
        os.write(writer, b"x")
        os.mkdir(tmp_path / "watched-not")
    os.close(reader)
    os.close(writer)
    assert faults.calls == []


def test_relative_paths_links_and_folder_descriptors_lead_somewhere(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to("real")
    monkeypatch.chdir(tmp_path / "real")
    folder = os.open(tmp_path / "real", os.O_RDONLY)
    with count_syscalls(tmp_path / "alias") as faults:
        os.mkdir("a")
        os.mkdir("b", dir_fd=folder)
        os.rename("b", "c", src_dir_fd=folder, dst_dir_fd=folder)
        os.symlink("/elsewhere", "d")
        os.symlink("../elsewhere", "e", dir_fd=folder)
        os.link("d", tmp_path / "outside", follow_symlinks=False)
        os.fsync(folder)
        os.truncate(os.open("f", os.O_RDWR | os.O_CREAT), 3)
    os.close(folder)
    assert names(faults.calls) == [
        "mkdir",
        "mkdir",
        "rename",
        "symlink",
        "symlink",
        "link",
        "fsync",
        "open",
        "truncate",
    ]
    assert faults.calls[4] == f"symlink {tmp_path}/real/e"


def test_the_standard_library_goes_through_it(tmp_path):
    (tmp_path / "tree/branch").mkdir(parents=True)
    with count_syscalls(tmp_path, errno.EIO) as faults:
        shutil.rmtree(tmp_path / "tree")
        Path(tmp_path / "x").mkdir()
        os.makedirs(tmp_path / "y/z")
    assert names(call for call in faults.calls if not call.startswith("open")) == [
        "rmdir",
        "rmdir",
        "mkdir",
        "mkdir",
        "mkdir",
    ]


PROGRAM = """\
import os, sys
root = sys.argv[1]
os.mkdir(f"{root}/folder")
with open(f"{root}/note", "w") as note:
    note.write("C code, which is not seen")
descriptor = os.open(f"{root}/folder/new", os.O_WRONLY | os.O_CREAT)
os.write(descriptor, b"data")
os.fsync(descriptor)
os.close(os.open(f"{root}/folder/new", os.O_RDONLY))
os.replace(f"{root}/folder/new", f"{root}/folder/file")
os.write(1, b"done")
"""


def run_program(folder, source=PROGRAM, **faults):
    return run([sys.executable, "-c", source, folder], check=False, env=process_faults(**faults))


def test_a_process_counts(tmp_path):
    result = run_program(tmp_path, count_to=tmp_path / "count")
    assert (result.code, result.out) == (0, "done")
    assert names(counted(tmp_path / "count")) == STEPS[:5]


def test_a_process_counts_below_a_root(tmp_path):
    (tmp_path / "work/folder").mkdir()
    run_program("", "import os; os.mkdir('a'); os.mkdir('folder/b')", root="folder", count_to="count")
    assert counted("count") == [f"mkdir {tmp_path}/work/folder/b"]


def test_a_process_that_leaves_at_once_has_counted(tmp_path):
    result = run_program(tmp_path, PROGRAM + "os._exit(5)", count_to=tmp_path / "count")
    assert result.code == 5
    assert len(counted(tmp_path / "count")) == 5


def test_a_process_dies_right_before_each_call(tmp_path):
    left = []
    for n in itertools.count(1):
        root = tmp_path / str(n)
        root.mkdir()
        result = run_program(root, kill_at=n, root=root)
        left.append(sorted((str(path.relative_to(root)), path.stat().st_size) for path in root.rglob("folder/*")))
        if result.code == 0:
            break
        assert (result.code, result.out) == (-signal.SIGKILL, "")
    assert left == [[], [], [("folder/new", 0)], [("folder/new", 4)], [("folder/new", 4)], [("folder/file", 4)]]


def test_a_process_meets_a_full_disk(tmp_path):
    result = run_program(tmp_path, fail_at=3, root=tmp_path)
    assert result.code == 1
    assert "[Errno 28] No space left on device" in result.err


def test_processes_of_the_process_are_left_alone(tmp_path):
    inner = "import os; os.mkdir('inner')"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    assert run_program(tmp_path, outer, kill_at=1).code == 0
    assert os.path.isdir("inner")
