"""The file system, with the guarantees that the rest is built on.

Everything that is particular to an operating system is in this module. Calls go through the
``os`` module at call time, so that a test can count them and let the n-th one fail.

Write order: bytes go to a temporary name, are flushed (``fsync``), get their final name by a
rename, and the directory is flushed. A crash leaves the old file or the new one, never a part.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from mlvc.errors import BusyError, FormatError

BLOCK = 1 << 20
_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
READ = os.O_RDONLY | _CLOEXEC
READ_QUIETLY = READ | getattr(os, "O_NOATIME", 0)
"""As READ, and the file's access time stays as it is, which saves the kernel a write. PermissionError for a file of
another user."""
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOEXEC
_FICLONE = 0x40049409
_MOMENT = 1.0


def read(path: str) -> bytes:
    """The whole content of a small file; FormatError where something is there that is no file."""
    try:
        fd = os.open(path, READ | _NONBLOCK)  # a FIFO would be waited for
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        kind = stat.S_IFLNK
    else:
        kind = os.fstat(fd).st_mode
        if stat.S_ISREG(kind):
            with open(fd, "rb", buffering=0) as file:
                return file.readall()
        os.close(fd)
    what = _kind(kind)
    raise FormatError(f"{path} is {what}, and should be a file", hint="move it away, or bring the file back with Git")


_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link that leads in a circle",
}


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a directory is a file, or a symbolic link to one; one that leads in a circle is none."""
    return os.path.isfile(entry.path) if entry.is_symlink() else entry.is_file()


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "a device")


def kind_of(path: str) -> str:
    """What stands at a path where a file should be."""
    try:
        return _kind(os.stat(path).st_mode)
    except FileNotFoundError:
        return "a symbolic link that leads nowhere"
    except OSError:
        return _kind(os.lstat(path).st_mode)


def read_or_none(path: str) -> bytes | None:
    """The content of a small file, or None where there is none."""
    try:
        return read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def directory(path: str) -> Iterator[tuple[int | str, str, int | None]]:
    """A directory whose many files are to be looked at.

    What ``os.scandir`` takes; and for each name in it a prefix and the ``dir_fd`` that ``os.open`` takes. Where the
    system can, names are looked up from the open directory: from the root each of them takes a fifth longer.
    """
    if os.scandir not in os.supports_fd or os.open not in os.supports_dir_fd:
        yield path, path + "/", None
        return
    fd = os.open(path, READ | getattr(os, "O_DIRECTORY", 0))
    try:
        yield fd, "", fd
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = os.path.join(path, error.filename)  # the system knows the name alone
        raise
    finally:
        os.close(fd)


def read_at(fd: int, length: int, start: int) -> bytes:
    """``length`` bytes of an open file from ``start``; fewer at its end."""
    if hasattr(os, "pread"):
        return os.pread(fd, length, start)
    os.lseek(fd, start, os.SEEK_SET)  # Windows; nobody else uses the file's own place
    return os.read(fd, length)


def write_all(fd: int, data: bytes | memoryview | bytearray) -> None:
    """Write every byte of ``data``; a short write (a full disk, a signal) goes on or raises with the file's name."""
    try:
        done = os.write(fd, data)
        while done < len(data):
            data = memoryview(data)[done:]
            done = os.write(fd, data)
    except OSError as error:
        error.filename = error.filename or _name_of(fd)
        raise


def _name_of(fd: int) -> str | None:
    """The path of an open file, None where the system does not tell: it says which disk is full."""
    with suppress(OSError):
        name = os.readlink(f"/proc/self/fd/{fd}")
        return name.removesuffix(" (deleted)") if name.startswith("/") else None
    return None


def sync_dir(path: str) -> None:
    """Make the names in a directory survive a power cut. Does nothing where the system cannot."""
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_dirs(*paths: str, durable: bool = True) -> None:
    """Make directories and their parents; each new name is durable, or need not be."""
    around: dict[str, None] = {}
    for path in paths:
        _make_dir(path, around)
    if durable:
        for parent in around:
            sync_dir(parent)


def _make_dir(path: str, around: dict[str, None]) -> None:
    """Make a directory and its parents. ``around``: those that got new names are entered there."""
    if not path or os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent and parent != path:
        _make_dir(parent, around)
    with suppress(FileExistsError):
        os.mkdir(path)
        around[parent or "."] = None


def replace(path: str, data: bytes, *, durable: bool = True) -> None:
    """Give ``path`` the content ``data`` in one step, keeping its permission bits.

    After a crash the file has its old content or the new one. Parent directories are made. A temporary file that
    a crash left beside goes when something is next replaced there.
    """
    parent = os.path.dirname(path)
    make_dirs(parent)
    sweep_replaced(parent)
    mode = _mode_of(path)
    temporary, fd = _create_held(os.path.join(parent, f".{os.path.basename(path)[:40]}"))
    try:
        try:
            write_all(fd, data)
            if mode is not None and sys.platform != "win32":
                os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
            if sys.platform != "win32":
                os.replace(temporary, path)  # while it is held
        finally:
            os.close(fd)
        if sys.platform == "win32":
            os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    if durable:
        sync_dir(parent or ".")


def replace_if_free(path: str, data: bytes, *, durable: bool = True) -> None:
    """As ``replace``, for a file that can be done without.

    Nothing happens where a directory is in its place, or a file in that of a directory around it.
    """
    with suppress(IsADirectoryError, NotADirectoryError):
        replace(path, data, durable=durable)


def _create_held(stem: str) -> tuple[str, int]:
    """A new file that this process holds, so that nobody takes it for one that a crash left: its path, open."""
    while True:
        path = f"{stem}.{os.urandom(6).hex()}.tmp"
        fd = os.open(path, CREATE, 0o666)
        if _still_there(fd):
            return path, fd
        os.close(fd)


def _still_there(fd: int) -> bool:
    """Hold a new file; whether nobody has removed it before it was held."""
    with suppress(OSError):  # a file system that knows no such thing
        _hold(fd, wait=True)
    return os.fstat(fd).st_nlink > 0 or sys.platform == "win32"


_REPLACING = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
_swept: set[str] = set()


def sweep_replaced(directory: str) -> None:
    """Remove the temporary files of ``replace`` that no process holds; once for a directory is enough."""
    place = os.path.abspath(directory)
    if place in _swept:
        return
    _swept.add(place)
    with suppress(OSError):
        for name in os.listdir(place):
            if name.endswith(".tmp") and _REPLACING.fullmatch(name):
                _remove_unheld(os.path.join(place, name))


def _remove_unheld(path: str) -> None:
    with suppress(OSError):
        fd = os.open(path, os.O_RDWR | _CLOEXEC)
        try:
            if _hold(fd, wait=False):
                os.unlink(path)
        finally:
            os.close(fd)


def _mode_of(path: str) -> int | None:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return None


def remove(path: str) -> None:
    """Remove a file; nothing happens where there is none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        try:
            os.unlink(path)
        except PermissionError:  # Windows keeps read-only files
            os.chmod(path, 0o600)
            os.unlink(path)


def remove_tree(path: str) -> None:
    """Remove a directory and all that is in it; nothing happens where there is none."""
    import shutil  # noqa: PLC0415  (8 ms to import)

    shutil.rmtree(path, ignore_errors=True)


def move(source: str, target: str) -> None:
    """Rename a file or a directory to where nothing is, on whatever file system that is."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        import shutil  # noqa: PLC0415  (8 ms to import)

        shutil.move(source, target)


def exists(path: str) -> bool:
    """Whether something is there, a dangling symbolic link included."""
    return os.path.lexists(path)


def walk(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """As ``os.walk``, and OSError where a directory cannot be read: who deletes what nothing names has to see all."""

    def refused(error: OSError) -> None:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise error

    return os.walk(top, onerror=refused)


def reflink(source: str, target: str) -> bool:
    """Make ``target`` share the blocks of ``source`` (copy on write).

    False, and no ``target``, where the file system cannot. ``target`` must not exist.
    """
    if sys.platform == "linux":
        return _reflink_linux(source, target)
    if sys.platform == "darwin":
        return _reflink_darwin(source, target)
    return False


def _reflink_linux(source: str, target: str) -> bool:
    import fcntl  # noqa: PLC0415  (POSIX only)

    done = False
    src = os.open(source, READ)
    try:
        dst = os.open(target, CREATE, 0o666)
        try:
            fcntl.ioctl(dst, _FICLONE, src)
            done = True
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
        finally:
            os.close(dst)
            if not done:
                remove(target)
    finally:
        os.close(src)
    return done


def _reflink_darwin(source: str, target: str) -> bool:
    import ctypes  # noqa: PLC0415  (macOS only)

    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.clonefile(os.fsencode(source), os.fsencode(target), 0) == 0)


def copy_fd(source: int, target: int, size: int) -> int:
    """Copy ``size`` bytes between open files inside the kernel where it can. Returns bytes copied."""
    done = 0
    in_kernel = hasattr(os, "copy_file_range")
    while done < size:
        if in_kernel:
            try:
                count = os.copy_file_range(source, target, min(size - done, 64 * BLOCK))
            except OSError as error:
                if done or error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                    raise
                in_kernel = False
                continue
        else:
            block = os.read(source, min(size - done, BLOCK))
            count = len(block)
            write_all(target, block)
        if not count:
            break
        done += count
    return done


def clock(directory: str) -> int:
    """The time of the file system that holds ``directory``, in nanoseconds, as its stamps tell it.

    It is taken from a file that is kept there: the system's own clock may differ (network file systems) and is finer.
    """
    fd = os.open(os.path.join(directory, "clock"), os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o600)
    try:
        os.utime(fd if os.utime in os.supports_fd else os.path.join(directory, "clock"))
        return os.fstat(fd).st_mtime_ns
    finally:
        os.close(fd)


def free(path: str) -> int:
    """Bytes that may still be written on the file system of ``path``."""
    import shutil  # noqa: PLC0415  (8 ms to import)

    return shutil.disk_usage(path).free


def is_case_sensitive(directory: str) -> bool:
    """Whether names that differ in capital letters only are two names; tried in a directory of one's own."""
    path = os.path.join(directory, "case")
    replace(path, b"", durable=False)
    try:
        return not os.path.lexists(os.path.join(directory, "CASE"))
    finally:
        remove(path)


def file_system(path: str) -> str:
    """The kind of file system that ``path`` is on, as Linux names it; '' where that is not known."""
    best, kind = "", ""
    real = os.path.realpath(path) + os.sep
    for line in (read_or_none("/proc/self/mountinfo") or b"").decode(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        where = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), left.split(" ")[4])
        if real.startswith(where.rstrip(os.sep) + os.sep) and len(where) >= len(best):
            best, kind = where, right.split(" ")[0]
    return kind


@contextmanager
def exclusive(path: str, *, wait: bool = True, busy: str = "") -> Iterator[None]:
    """Hold ``path`` against every other process; BusyError where ``wait`` is false and it is held.

    The system lets go when the process ends, however it ends.
    """
    make_dirs(os.path.dirname(path))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o666)
    try:
        if not _hold(fd, wait=wait):
            raise BusyError(busy or f"another process holds {path}", hint="wait for it to end, then run this again")
        yield
    finally:
        _let_go(fd)


@contextmanager
def turn(path: str, *, together: bool = False, waits: Callable[[], object] = bool) -> Iterator[None]:
    """Hold ``path`` alone, or with all others who hold it ``together``, as soon as those that do not fit let go.

    ``waits`` is told where that takes longer than a moment.
    """
    make_dirs(os.path.dirname(path))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o666)
    try:
        moment = time.monotonic() + _MOMENT
        while not _hold(fd, wait=False, together=together):
            if time.monotonic() > moment:
                waits()
                _hold(fd, wait=True, together=together)
                break
            time.sleep(_MOMENT / 50)
        yield
    finally:
        _let_go(fd)


def held(path: str) -> int:
    """Hold ``path`` as ``exclusive`` does; the open file, for a process that is to go on holding it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o666)
    _hold(fd, wait=True)
    return fd


def while_held(path: str) -> bytes | None:
    """The content of a file that another process holds. One that nobody holds is removed: None, as of a directory."""
    try:
        fd = os.open(path, os.O_RDWR | _CLOEXEC)
    except (FileNotFoundError, IsADirectoryError):
        return None
    try:
        if not _hold(fd, wait=False):
            return read_at(fd, os.fstat(fd).st_size, 0)
        if sys.platform != "win32":
            remove(path)
    finally:
        os.close(fd)
    if sys.platform == "win32":
        remove(path)
    return None


def remove_held(path: str, fd: int) -> None:
    """Remove a file that this process holds, and let go, also where other processes have it open."""
    if sys.platform != "win32":
        remove(path)
    _let_go(fd)
    if sys.platform == "win32":
        remove(path)


def is_held(path: str) -> bool:
    """Whether a process holds the file ``path``; False where it is not there."""
    try:
        fd = os.open(path, os.O_RDWR | _CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _hold(fd, wait=False)
    finally:
        _let_go(fd)


def shared(path: str) -> int:
    """Hold ``path`` together with others until the open file that this returns is closed, or the process ends.

    ``exclusive`` is refused as long as one of them does, and one that asks meanwhile waits. -1, and nothing is held,
    where this user may not write there.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return -1
        raise
    with suppress(OSError):  # a file system that knows no such thing: there ``exclusive`` fails
        _hold(fd, wait=True, together=True)
    return fd


def _hold(fd: int, *, wait: bool, together: bool = False) -> bool:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415  (Windows only)

        try:
            msvcrt.locking(fd, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl  # noqa: PLC0415  (POSIX only)

    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if together else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _let_go(fd: int) -> None:
    """Hold a file no more, also where a process that another thread has forked meanwhile still has it open."""
    if sys.platform != "win32":
        import fcntl  # noqa: PLC0415  (POSIX only)

        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


def is_running(pid: int) -> bool:
    """Whether a process has this number; True where nobody can tell."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


_MAKING_SECONDS = 60


class Scratch:
    """A directory for temporary files of one process, below ``parent``; removed at the end.

    What a killed process left is removed by the next one: a scratch directory whose ``held`` file
    nobody holds belongs to nobody.
    """

    def __init__(self, parent: str) -> None:
        self.parent = parent
        self.path = ""
        self._held = -1
        self._count = 0
        self._exclusive = threading.Lock()

    def name(self) -> str:
        """A path in here that nothing has yet. Any thread may ask."""
        with self._exclusive:
            if not self.path:
                self._make()
            self._count += 1
            return os.path.join(self.path, f"{self._count}")

    def _make(self) -> None:
        make_dirs(self.parent)
        self.sweep()
        while True:
            # Known first, so that it is removed wherever an interruption comes.
            self.path = os.path.join(self.parent, f"{os.getpid()}-{os.urandom(6).hex()}")
            os.mkdir(self.path)
            self._held = os.open(os.path.join(self.path, "held"), os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o600)
            if _still_there(self._held):
                return
            os.close(self._held)

    def sweep(self) -> None:
        """Remove what killed processes left."""
        with suppress(OSError):
            for name in os.listdir(self.parent):
                self._sweep_one(os.path.join(self.parent, name))

    def _sweep_one(self, path: str) -> None:
        try:
            fd = os.open(os.path.join(path, "held"), os.O_RDWR | _CLOEXEC)
        except FileNotFoundError:
            # One that is just being made is empty; another was killed while it removed its own.
            left = os.listdir(path)
            if left and "held" not in left:
                remove_tree(path)
            elif not left and time.time() - os.stat(path).st_mtime > _MAKING_SECONDS:
                os.rmdir(path)
            return
        try:
            if _hold(fd, wait=False):
                remove_tree(path)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Remove the directory and what is in it."""
        if self.path:
            if self._held >= 0:
                os.close(self._held)
            remove_tree(self.path)
            self.path, self._held = "", -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
