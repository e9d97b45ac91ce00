"""The fsspec filesystem ``mlvc://``: tracked data of any revision, read without a checkout.

Registered as an entry point, so that whatever opens files with fsspec finds it: ``mlvc://data/table.csv``, with the
storage options of ``MlvcFileSystem``.
"""

from __future__ import annotations

import errno
import io
import os
import posixpath
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TextIO

from fsspec.spec import AbstractFileSystem
from fsspec.utils import tokenize

from mlvc import oid as oids
from mlvc.api.elsewhere import Source, Surroundings, here, there
from mlvc.api.view import Item, View
from mlvc.errors import DamagedError, ObjectsMissingError, UsageError
from mlvc.repo import open_repo
from mlvc.store.base import reason_of

_FIRST = 256 << 10
_FARTHEST = 64 << 20
"""Bytes that are read ahead: at first, and when a file is being read from front to back."""
_BUFFER = 64 << 10
_INHERITED: list[object] = []
"""What was open in the process that this one was forked from. Closing it here could disturb it there."""
_OF_FSSPEC = {"asynchronous", "loop", "use_listings_cache", "listings_expiry_time", "max_paths", "skip_instance_cache"}
"""Options that any file system of fsspec may be given. What they ask for makes no difference here."""


class MlvcFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Tracked files, to read. Paths begin at the mlvc root.

    ``repo``: the directory or the Git URL of another repository; without it, the one around the current directory.
    ``rev``: the revision; without it, what the Pointers in the working tree say, and HEAD where ``repo`` is given.
    ``remote``: the Remote for what is not in the Store; without it, the default one. ``inside``: of several mlvc roots
    in another repository, the one that this path lies in; without it, the one at the top.

    It shows what the revision was when it was made: a branch that moves on does not change it. May be used by several
    threads, after a fork, and pickled. NotARepositoryError, UsageError or RemoteError where there is nothing to show;
    TypeError for an option that is not known, since a ``rev`` with a slip in its name would read other data.
    """

    protocol = "mlvc"
    root_marker = ""
    cachable = False  # another one, made later, may show another state

    def __init__(
        self, repo: str = "", rev: str = "", remote: str = "", cwd: str = "", inside: str = "", **options: Any
    ) -> None:
        """``cwd``: the directory that counts as the current one."""
        wrong = sorted(options.keys() - _OF_FSSPEC)
        if wrong:
            raise TypeError(f"mlvc:// has no option '{wrong[0]}': there are repo, rev, remote, inside and cwd")
        super().__init__(**options)
        start = os.path.abspath(cwd)
        near = os.path.join(start, os.path.expanduser(repo)) if repo else ""
        self._asked = (os.path.abspath(near) if os.path.isdir(near) else repo, rev, remote, start, inside)
        self._begin()

    def _begin(self) -> None:
        repo, rev, remote, start, inside = self._asked
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._opened = ExitStack()
        with ExitStack() as opened:
            if repo:
                around = Surroundings.of(os.environ)
                source = opened.enter_context(there(repo, rev, around=around, remote=remote, inside=inside))
            else:
                own = opened.enter_context(open_repo(start, os.environ))
                source = opened.enter_context(here(own, rev, remote=remote))
            self._opened = opened.pop_all()
        self._view = View(source)
        if source.commit:
            self._asked = (repo, source.commit, remote, start, inside)

    def close(self) -> None:
        """Let go of the repository. Files that are open can be read no more."""
        with self._lock:
            self._opened.close()

    def __reduce__(self) -> tuple[Callable[..., MlvcFileSystem], tuple[str, ...]]:
        return type(self), self._asked

    @property
    def source(self) -> Source:
        """What is shown, and where its bytes come from."""
        return self._view.source

    @property
    def lock(self) -> threading.RLock:
        """Held by the thread that reads."""
        if self._process != os.getpid():
            _INHERITED.append((self._opened, self._view))
            self._begin()
        return self._lock

    # -- what fsspec asks for

    @property
    def _fs_token(self) -> str:
        # Equal where the same is shown: whoever caches by it must not take one state for another.
        shown = self.source.commit or sorted(self.source.shot.contents().items())
        return str(tokenize(type(self).__name__, self._asked, str(shown)))

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return posixpath.normpath("/" + str(super()._strip_protocol(path)).lstrip("/")).lstrip("/")

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size, type and Oid. FileNotFoundError where nothing is tracked.

        Symbolic links are followed. One that leads in a circle or to nothing is of type ``link``.
        """
        path = self._strip_protocol(path)
        with self.lock:
            item = self._behind(path) or self._view.item(path)
        if item is None:
            raise self._untracked(path)
        return _info(path, item)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002  (as fsspec has it)
        """What is in a directory, or the file itself.

        A link in it counts as the file that it leads to. One that leads to a directory, in a circle or to nothing is of
        type ``link``: so who walks finds everything once, and comes to an end.
        """
        path = self._strip_protocol(path)
        with self.lock:
            item = self._item(path)
            items = self._view.children(item.path) if item.is_dir else [item]
            named = [(path + one.path[len(item.path) :], one) for one in items]
            links = {name: self._behind(name) for name, one in named if one.kind == "symlink"}
        files = {name: found for name, found in links.items() if found is not None and not found.is_dir}
        infos = [_info(name, files.get(name, one)) for name, one in named]
        return infos if detail else [info["name"] for info in infos]

    def _behind(self, path: str) -> Item | None:
        """What a path leads to, if it leads to anything."""
        try:
            return self._view.resolved(path)
        except UsageError:  # a circle
            return None

    def _untracked(self, path: str) -> FileNotFoundError:
        return FileNotFoundError(errno.ENOENT, f"not tracked{self._view.source.where}", path)

    def _item(self, path: str) -> Item:
        item = self._view.resolved(path)
        if item is None:
            raise self._untracked(path)
        return item

    def exists(self, path: str, **_: Any) -> bool:
        """Whether something is tracked there, with links followed. An error where nobody can tell."""
        try:
            return bool(self.info(path)["type"] != "link")
        except FileNotFoundError:
            return False

    def isfile(self, path: str) -> bool:
        """Whether it is a file. An error where nobody can tell."""
        return self.exists(path) and self.info(path)["type"] == "file"

    def isdir(self, path: str) -> bool:
        """Whether it is a directory. An error where nobody can tell."""
        return self.exists(path) and self.info(path)["type"] == "directory"

    def modified(self, path: str) -> datetime:
        """A time made of the Oid: equal for equal content, another one for any other.

        Nobody records when tracked data were modified. DuckDB takes what is of the same time for the same.
        """
        digits = self.info(path).get("oid", ":0").partition(":")[2][:12]
        return datetime.fromtimestamp(0, tz=UTC) + timedelta(microseconds=int(digits, 16))

    def _open(self, path: str, mode: str = "rb", **_: Any) -> BufferedFile:
        if mode != "rb":
            raise _read_only(path)
        return BufferedFile(self.open_raw(path), _BUFFER)

    def open_raw(self, path: str) -> TrackedFile:
        """A file without a buffer. FileNotFoundError, IsADirectoryError."""
        with self.lock:
            item = self._item(path)
        if item.is_dir:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        return TrackedFile(self, path, item)

    def mkdir(self, path: str, *_: Any, **__: Any) -> None:
        """Refused: there is nothing to write to."""
        raise _read_only(path)

    makedirs = mkdirs = rmdir = rm = rm_file = touch = cp_file = put_file = pipe_file = mv = mkdir


class BufferedFile(io.BufferedReader):
    """A TrackedFile with a buffer."""

    raw: TrackedFile

    @property
    def size(self) -> int:
        """Bytes, as fsspec asks for it."""
        return self.raw.size


class TrackedFile(io.RawIOBase):
    """A tracked file, to read. Every chunk is hashed on its way; read from front to back, so is the whole.

    DamagedError or ObjectsMissingError where a part cannot be had, from the Store nor from the Remote.
    """

    def __init__(self, system: MlvcFileSystem, path: str, item: Item) -> None:
        self.name = path
        self.size = item.size
        self._system = system
        self._oid = item.oid
        self._at = 0
        self._rest: memoryview = memoryview(b"")
        self._parts: Iterator[bytes | memoryview] = iter(())
        self._process = 0
        self._stop = 0
        self._ahead = _FIRST
        self._hasher = system.source.reader.hashing.new()
        self._hashed = 0
        self.at_close: Callable[[], None] = lambda: None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another place. Returns it."""
        target = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if target < 0:
            raise OSError(errno.EINVAL, "a place before the beginning", self.name)
        if not 0 <= target - self._at <= len(self._rest):
            self._parts, self._rest, self._stop = iter(()), memoryview(b""), -1
        else:
            self._rest = self._rest[target - self._at :]
        self._at = target
        return target

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next, or a part of it. 0 at the end."""
        target = memoryview(buffer).cast("B")
        if not self._rest:
            self._rest = self._next(len(target))
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._at += count
        return count

    def readall(self) -> bytes:
        """All that comes next."""
        found = []
        while data := self._rest or self._next(self.size - self._at):
            self._rest = memoryview(b"")
            self._at += len(data)
            found.append(data)
        return b"".join(found)

    def close(self) -> None:
        """Let go of it."""
        if not self.closed:
            self._parts, self._rest = iter(()), memoryview(b"")
            super().close()
            self.at_close()

    def _next(self, wanted: int) -> memoryview:
        """More of the file from where it stands; empty at its end. ``wanted``: how much is asked for just now."""
        if self.closed:
            raise ValueError("read of a closed file")
        try:
            with self._system.lock:
                while self._at < self.size:
                    data = self._piece()
                    if data is not None and len(data):
                        return self._hash(memoryview(data))
                    if data is None:
                        self._look_ahead(wanted)
        except (DamagedError, ObjectsMissingError) as error:
            raise self._system.source.lost(self.name, reason_of(error)) from None
        return memoryview(b"")

    def _piece(self) -> bytes | memoryview | None:
        """The next part of those that are being read; None where there is none."""
        return next(self._parts, None) if self._process == os.getpid() else None

    def _look_ahead(self, wanted: int) -> None:
        """Begin to read on: a little at first, and more and more while the file is read from front to back."""
        if self._process == os.getpid() and self._at < self._stop:
            raise DamagedError(f"{self.name} is shorter than its Pointer says")
        self._ahead = min(2 * self._ahead, _FARTHEST) if self._at == self._stop else _FIRST
        self._stop = min(self.size, self._at + max(wanted, self._ahead))
        self._process = os.getpid()
        self._parts = self._system.source.reader.part(self._oid, self._at, self._stop)

    def _hash(self, data: memoryview) -> memoryview:
        if self._at == self._hashed:
            self._hasher.update(data)
            self._hashed += len(data)
            if self._hashed == self.size and self._hasher.digest() != self._oid:
                raise DamagedError(f"{self.name} is damaged")
        return data


def open_alone(
    path: str, system: MlvcFileSystem, text: tuple[str | None, str | None, str | None] | None
) -> BinaryIO | TextIO:
    """Open a file as a person typed its path, and let it close the file system. ``text``: as what to decode it."""
    try:
        raw = system.open_raw(system.source.named(path))
    except BaseException:
        system.close()
        raise
    raw.at_close = system.close
    file = BufferedFile(raw, _BUFFER)
    return file if text is None else io.TextIOWrapper(file, *text)


def _info(path: str, item: Item) -> dict[str, Any]:
    if item.is_dir:
        return {"name": path, "size": 0, "type": "directory"}
    # What is left of a symbolic link here leads to no file that is tracked.
    kind = "link" if item.kind == "symlink" else "file"
    return {"name": path, "size": item.size, "type": kind, "oid": oids.to_text(item.oid)}


def _read_only(path: str) -> OSError:
    return OSError(errno.EROFS, "mlvc:// is read-only; track data with `mlvc add`", path)
