"""Something is told before each call of ``os`` that changes the file system.

Imported by the tests, and by killer/sitecustomize.py in processes that know nothing of the tests:
the standard library is all that it uses. mlvc calls these functions as attributes of ``os`` at the
time of the call, which is what makes them replaceable. What C code does by itself (SQLite, a
buffered file, the import of a module) is not seen.
"""

from __future__ import annotations

import errno
import functools
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Which arguments of a call say where it acts: paths or descriptors.
PLACES = {
    "chmod": (0,),
    "copy_file_range": (1,),
    "fchmod": (0,),
    "fdatasync": (0,),
    "fsync": (0,),
    "ftruncate": (0,),
    "link": (0, 1),
    "mkdir": (0,),
    "open": (0,),
    "pwrite": (0,),
    "pwritev": (0,),
    "remove": (0,),
    "rename": (0, 1),
    "replace": (0, 1),
    "rmdir": (0,),
    "sendfile": (0,),
    "symlink": (1,),
    "truncate": (0,),
    "unlink": (0,),
    "utime": (0,),
    "write": (0,),
    "writev": (0,),
}
# Calls that a full disk does not stop.
FRUGAL = {"chmod", "fchmod", "remove", "rmdir", "unlink", "utime"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# /proc says where a descriptor leads; without it, what goes to a descriptor counts wherever it leads.
DESCRIPTORS = "/proc/self/fd"
STANDARD_STREAMS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Call:
    """One call about to be made. ``places`` are absolute paths, or empty where that is not known."""

    name: str
    places: tuple[str, ...]
    reads: bool

    def __str__(self) -> str:
        """The call as a failing test shows it."""
        return f"{self.name} {' '.join(self.places)}".strip()


Before = Callable[[Call], None]


@dataclass(slots=True)
class Faults:
    """Counts calls below ``root`` (anywhere, where empty), and acts at one of them, before it is made.

    Where ``error`` is set, what such an error could not happen to is not counted: a full disk
    (ENOSPC, EDQUOT) stops no call that needs no space. Where it is not set, opening to read is not
    counted: things are then as they will be before the next call.
    """

    root: str = ""
    error: int = 0
    fail_at: int = 0
    """Which call fails with ``error``; 0 for none."""
    lasting: bool = False
    """Whether all calls after that fail too."""
    kill_at: int = 0
    """Before which call this process kills itself; 0 for none."""
    calls: list[str] = field(default_factory=list)
    """What was counted, in order, what failed included."""
    failed: list[str] = field(default_factory=list)
    """What was made to fail; empty where ``fail_at`` was not reached."""
    _exclusive: threading.Lock = field(default_factory=threading.Lock)

    def before(self, call: Call) -> None:
        """Count the call, and act where it is its turn."""
        if not self._counts(call):
            return
        with self._exclusive:
            self.calls.append(str(call))
            number = len(self.calls)
            if number == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if number != self.fail_at and not (self.lasting and 0 < self.fail_at < number):
                return
            self.failed.append(str(call))
        raise OSError(self.error, os.strerror(self.error), *call.places[:1])

    def _counts(self, call: Call) -> bool:
        full = self.error in (errno.ENOSPC, errno.EDQUOT)
        if call.reads and (full or not self.error):
            return False
        return not (full and call.name in FRUGAL) and (not self.root or below(call, self.root))


def install(before: Before) -> Callable[[], None]:
    """Call ``before`` with each Call; what it raises, the call raises. Returns what undoes it."""
    originals = {name: getattr(os, name) for name in PLACES if hasattr(os, name)}
    for name, original in originals.items():
        _replace(name, original, _telling(name, original, before))

    def undo() -> None:
        for name, original in originals.items():
            _replace(name, getattr(os, name), original)

    return undo


def below(call: Call, root: str) -> bool:
    """Whether the call touches something in ``root``, or what it touches is not known."""
    roots = {os.path.abspath(root), os.path.realpath(root)}
    return not call.places or any(
        place == folder or place.startswith(folder.rstrip("/") + "/") for place in call.places for folder in roots
    )


def _replace(name: str, old: Callable[..., Any], new: Callable[..., Any]) -> None:
    """Put ``new`` where ``old`` is, in the sets that tell what a function of ``os`` can do as well."""
    for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
        if old in able:
            able.discard(old)
            able.add(new)
    setattr(os, name, new)


def _telling(name: str, original: Callable[..., Any], before: Before) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = _call(name, args, kwargs)
        if call is not None:
            before(call)
        return original(*args, **kwargs)

    return wrapper


def _call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    given = [*args, *kwargs.values()]
    folders = [kwargs.get("src_dir_fd"), kwargs.get("dst_dir_fd")]
    places = []
    for number in PLACES[name]:
        if number >= len(given):
            return None  # a TypeError to come
        folder = kwargs.get("dir_fd", folders[-1 if name == "symlink" else number % 2])
        place = _place(given[number], folder)
        if place == "":
            return None
        if place is not None:
            places.append(place)
    reads = name == "open" and not given[1] & WRITING
    return Call(name, tuple(places), reads)


def _place(where: Any, folder: int | None) -> str | None:
    """The path that an argument means; "" where it is no file, None where there is no telling."""
    if not isinstance(where, int):
        above = _place(folder, None) if folder is not None else os.getcwd()
        return None if above is None else os.path.normpath(os.path.join(above, os.fsdecode(where)))
    if where in STANDARD_STREAMS:
        return ""
    try:
        place = os.readlink(f"{DESCRIPTORS}/{where}")
    except OSError:
        return "" if os.path.isdir(DESCRIPTORS) else None  # a bad descriptor, which the call will say itself
    is_file = place.startswith("/") and not place.startswith(("/dev/", "/proc/"))
    return place.removesuffix(" (deleted)") if is_file else ""
