"""Writing and reading past the page cache gives the same bytes as the ordinary way, wherever the system refuses it."""

from __future__ import annotations

import errno
import os
import random

import pytest

from mlvc import directio
from mlvc.directio import BUFFER, Reader, Writer

SIZES = (0, 1, 4095, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER + 12345)


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_comes_back(tmp_path, size, direct):
    data = random.Random(size).randbytes(size)
    path = str(tmp_path / "file")
    with Writer(path, 0o600, direct=direct) as file:
        at = 0
        for step in (1, 100_000, 7_000_000, size):
            file.write(data[at : at + step])
            at += step
        assert file.finish().st_size == size == file.size
    assert (tmp_path / "file").read_bytes() == data
    with Reader(path) as reader:
        for start, length in ((0, 100), (size // 2, 5000), (size // 3, BUFFER + 5), (max(0, size - 10), 100)):
            assert reader.range(start, length) == data[start : start + length]
    for cached in (True, False):
        if not cached:
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
        with Reader(path) as reader:
            assert b"".join(bytes(block) for block in reader.blocks()) == data


def test_every_range_is_right_past_the_page_cache(tmp_path):
    data = random.Random(1).randbytes(BUFFER + 100_000)
    (tmp_path / "file").write_bytes(data)
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    source = random.Random(2)
    with Reader(str(tmp_path / "file")) as reader:
        for _ in range(300):
            start, length = source.randrange(len(data)), source.randrange(300_000)
            assert reader.range(start, length) == data[start : start + length]


def test_a_file_system_that_refuses_gets_ordinary_writes(tmp_path, monkeypatch):
    real = os.write
    refused = []

    def write(fd, data):
        import fcntl

        if fcntl.fcntl(fd, fcntl.F_GETFL) & directio._DIRECT:
            refused.append(len(data))
            raise OSError(errno.EINVAL, "refused")
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    data = random.Random(3).randbytes(2 * BUFFER + 17)
    with Writer(str(tmp_path / "file")) as file:
        file.write(data)
        file.finish()
    assert (tmp_path / "file").read_bytes() == data
    assert len(refused) <= 1


def test_a_full_disk_is_told_to_the_caller(tmp_path, monkeypatch):
    def write(fd, data):
        raise OSError(errno.ENOSPC, "full")

    with Writer(str(tmp_path / "file")) as file:
        monkeypatch.setattr(os, "write", write)
        with pytest.raises(OSError, match="full"):
            file.write(bytes(4 * BUFFER))
    monkeypatch.undo()
    with Writer(str(tmp_path / "other")) as file:  # the buffers are in order for the next one
        file.write(b"x")
        file.finish()
    assert (tmp_path / "other").read_bytes() == b"x"
