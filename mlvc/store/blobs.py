"""The places where a Remote may be: files by name, and no more.

A directory is served without detour; every other place through fsspec.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from mlvc import files
from mlvc.directio import Reader, Writer
from mlvc.errors import DamagedError, RemoteError

PACKS, FRAGMENTS, BUNDLES = "packs", "index", "runs"
"""The folders of a Remote."""

_BLOCK = 4 << 20
_STALE_SECONDS = 7 * 86400
_WORDS = 300


class Blobs(Protocol):
    """Files by name, where a Remote is. Names have at most one ``/``. OSError where something goes wrong."""

    side_by_side: bool
    """Whether ``range`` may be asked from several threads at once."""

    is_near: bool
    """Whether a file comes as fast as from this machine's disk, so that one at a time is enough."""

    def list(self, folder: str) -> dict[str, int]:
        """Names in a folder, without it, and sizes in bytes; empty where there is no folder."""

    def read(self, name: str) -> bytes:
        """A whole file; FileNotFoundError."""

    def range(self, name: str, start: int, length: int) -> bytes:
        """Part of a file; FileNotFoundError."""

    def blocks(self, name: str) -> Iterator[bytes | memoryview]:
        """A whole file in parts; each is valid until the next one."""

    def write(self, name: str, blocks: Iterable[bytes | memoryview]) -> None:
        """Make a file whole, durable, and visible in one step. An error in ``blocks`` leaves nothing."""

    def delete(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""

    def check_place(self) -> None:
        """OSError where it can be told that ``begin`` would fail."""

    def begin(self) -> None:
        """Make the place, before anything is written."""


class DirectoryBlobs:
    """A directory, also on a network file system."""

    side_by_side = True
    is_near = True

    def __init__(self, root: str) -> None:
        self.root = root

    def _path(self, name: str) -> str:
        return os.path.join(self.root, *name.split("/"))

    def list(self, folder: str) -> dict[str, int]:
        """See Blobs."""
        try:
            with os.scandir(self._path(folder)) as entries:
                found = {}
                for entry in entries:
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        if entry.is_file():
                            found[entry.name] = entry.stat().st_size
                return found
        except FileNotFoundError:
            return {}

    def read(self, name: str) -> bytes:
        """See Blobs."""
        return files.read(self._path(name))

    def range(self, name: str, start: int, length: int) -> bytes:
        """See Blobs."""
        with open(self._path(name), "rb", buffering=0) as file:
            file.seek(start)
            return file.read(length) or b""

    def blocks(self, name: str) -> Iterator[bytes | memoryview]:
        """See Blobs."""
        yield from read_blocks(self._path(name))

    def write(self, name: str, blocks: Iterable[bytes | memoryview]) -> None:
        """See Blobs."""
        temporary = os.path.join(self.root, "tmp", os.urandom(8).hex())
        target = self._path(name)
        try:
            with Writer(temporary) as file:
                for block in blocks:
                    file.write(block)
                file.finish()
            os.replace(temporary, target)
        except BaseException:
            files.remove(temporary)
            raise
        files.sync_dir(os.path.dirname(target))

    def delete(self, name: str) -> None:
        """See Blobs."""
        files.remove(self._path(name))

    def check_place(self) -> None:
        """See Blobs."""
        if not os.path.isdir(os.path.dirname(os.path.abspath(self.root))):
            # A mistyped address, or a disk that is not mounted: data pushed there would not be found again.
            raise FileNotFoundError(errno.ENOENT, "the directory around it does not exist")

    def begin(self) -> None:
        """See Blobs. Files that a push left unfinished a week ago are removed."""
        self.check_place()
        files.make_dirs(*(os.path.join(self.root, folder) for folder in (PACKS, FRAGMENTS, BUNDLES, "tmp")))
        temporary = os.path.join(self.root, "tmp")
        for name in os.listdir(temporary):
            with suppress(OSError):
                if os.stat(os.path.join(temporary, name)).st_mtime < time.time() - _STALE_SECONDS:
                    files.remove(os.path.join(temporary, name))


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Whatever a backend raises, its client's own errors among them, as OSError with its words in one line."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  (each backend has errors of its own)
        raise OSError(in_one_line(error)) from None


def in_one_line(error: Exception) -> str:
    """What an error says, in one line that is not too long."""
    said = " ".join(str(getattr(error, "strerror", "") or error).split())
    return said if 0 < len(said) <= _WORDS else f"{said[:_WORDS]}…" if said else type(error).__name__


class FsspecBlobs:
    """Any place that fsspec knows, by its URL."""

    is_near = False

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        import fsspec  # noqa: PLC0415  (100 ms to import; a directory does without)

        try:
            self._fs, self._root = fsspec.core.url_to_fs(url, **options)
        except Exception as error:  # noqa: BLE001  (each backend has errors of its own)
            raise RemoteError(f"cannot use {url}: {in_one_line(error)}") from None
        # The others may have one connection, and talk to it from one thread at a time.
        self.side_by_side = bool(getattr(self._fs, "async_impl", False))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def list(self, folder: str) -> dict[str, int]:
        """See Blobs."""
        try:
            with _as_os_error():
                self._fs.invalidate_cache()
                found = self._fs.ls(self._path(folder), detail=True)
        except FileNotFoundError:
            return {}
        return {item["name"].rpartition("/")[2]: item["size"] for item in found if item["type"] == "file"}

    def read(self, name: str) -> bytes:
        """See Blobs."""
        with _as_os_error():
            return bytes(self._fs.cat_file(self._path(name)))

    def range(self, name: str, start: int, length: int) -> bytes:
        """See Blobs."""
        with _as_os_error():
            return bytes(self._fs.cat_file(self._path(name), start=start, end=start + length))

    def blocks(self, name: str) -> Iterator[bytes | memoryview]:
        """See Blobs."""
        with (
            _as_os_error(),
            self._fs.open(self._path(name), "rb", block_size=_BLOCK, cache_type="readahead") as file,
        ):
            while block := file.read(_BLOCK):
                yield block

    def write(self, name: str, blocks: Iterable[bytes | memoryview]) -> None:
        """See Blobs. The file is handed over in one request, so that it appears whole or not at all."""
        # Copied one by one: a block is valid until the next one only.
        data = b"".join([bytes(block) for block in blocks])
        with _as_os_error():
            self._fs.pipe_file(self._path(name), data)

    def delete(self, name: str) -> None:
        """See Blobs."""
        with suppress(FileNotFoundError), _as_os_error():
            self._fs.rm_file(self._path(name))

    def check_place(self) -> None:
        """See Blobs. Nothing is known of places in general."""

    def begin(self) -> None:
        """See Blobs."""
        with _as_os_error():
            for folder in (PACKS, FRAGMENTS, BUNDLES):
                self._fs.makedirs(self._path(folder), exist_ok=True)


def blobs_at(url: str, options: Mapping[str, Any] | None = None) -> Blobs:
    """The place that a URL or a directory names."""
    if "://" not in url:
        return DirectoryBlobs(url)
    if url.startswith("file://"):
        return DirectoryBlobs(url.removeprefix("file://"))
    return FsspecBlobs(url, options or {})


def read_blocks(path: str) -> Iterator[memoryview]:
    """A file in parts, in one buffer."""
    with Reader(path) as reader:
        yield from reader.blocks()


def pack_blocks(path: str) -> Iterator[memoryview]:
    """A local Pack; DamagedError where it cannot be read, so that nobody takes that for the Remote's fault."""
    try:
        yield from read_blocks(path)
    except OSError as error:
        raise DamagedError(f"pack {os.path.basename(path)[:10]} cannot be read: {error.strerror}") from None
