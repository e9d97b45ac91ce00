"""The entry point: which command, one handler for everything that goes wrong, the exit code."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlvc import __version__
from mlvc.errors import MlvcError, SystemFailureError, UsageError, refused

if TYPE_CHECKING:
    from mlvc.cli.words import Command, Group

# Command -> module that defines it. Only the module of the command that is asked for is loaded.
COMMANDS = {
    "init": "setup",
    "config": "configure",
    "remote": "setup",
    "add": "data",
    "commit": "data",
    "move": "paths",
    "remove": "paths",
    "unprotect": "paths",
    "status": "report",
    "diff": "report",
    "ls": "look",
    "du": "look",
    "cat": "look",
    "log": "past",
    "get": "take",
    "check-ignore": "look",
    "checkout": "bring",
    "push": "moving",
    "fetch": "moving",
    "pull": "moving",
    "install": "gitside",
    "resolve": "gitside",
    "repro": "stages",
    "reproduce": "proof",
    "stage": "stages",
    "dag": "stages",
    "freeze": "language",
    "unfreeze": "language",
    "params": "values",
    "metrics": "values",
    "plots": "plots",
    "schema": "language",
    "demo": "stages",
    "why": "runs",
    "runs": "runs",
    "doctor": "doctor",
    "completion": "completion",
    "gc": "care",
    "fsck": "care",
    "destroy": "care",
}
BUG, INTERRUPTED = 3, 130


def main(arguments: Sequence[str] | None = None, *, ends: bool = False) -> int:
    """Run one command. Returns its exit code (docs/reference/exit-codes.md). ``ends``: the process ends after it."""
    # A command makes millions of small values and hardly a cycle: looking for cycles took a tenth of its time.
    gc.set_threshold(500_000, 20, 20)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in (["--version"], ["-V"]):
        sys.stdout.write(f"mlvc {__version__}\n")
        return 0
    if given[:1] == ["__complete"]:
        return _complete(given[1:])
    sys.stdout = Stream(sys.stdout, needed=True)
    sys.stderr = Stream(sys.stderr, needed=False)
    began = time.monotonic()
    code = guarded(lambda: _run(given, ends=ends))
    from mlvc.cli import show  # noqa: PLC0415  (not for --version)

    show.detail(f"ended with {code} after {time.monotonic() - began:.2f} s")
    return code


def _complete(words: list[str]) -> int:
    """Answer a shell that asks what may come next; a shell has no use for a message."""
    from mlvc.cli.completion import answer  # noqa: PLC0415

    with suppress(OSError, UnicodeError):
        sys.stdout.write(answer(words))
    return 0


class Stream:
    """Standard output or error, which may be closed, or whose reader may go: the work goes on and ends as it ends.

    ``needed``: that something else goes wrong with it, such as a full disk, is an error.
    """

    def __init__(self, stream: Any, *, needed: bool) -> None:
        self._stream = stream if stream is not None else open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        self._needed = needed
        # A name that is not UTF-8 must not end in a traceback.
        self._stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """As of a text file."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """As of a text file."""
        self._try(self._stream.flush)

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BrokenPipeError:  # `mlvc diff | head`
            self._discard()
        except OSError:
            if self._needed:
                raise
            self._discard()

    def _discard(self) -> None:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        """All else is that of the stream itself."""
        return getattr(self._stream, name)


def entry() -> None:
    """The process: its end is not waited for.

    Everything is closed and written by now. Python would take every value apart before it ends: 20 ms and more.
    """
    occupy_standard_streams()
    code = main(ends=True)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def occupy_standard_streams() -> None:
    """Let a standard stream that is closed lead to nowhere.

    Else the next file that is opened gets its number, and what a stage prints is written into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one


def _run(given: list[str], *, ends: bool) -> int:
    from mlvc.cli import terminal  # noqa: PLC0415  (not for --version)
    from mlvc.cli.words import GLOBALS, Group, leading, read  # noqa: PLC0415  (not for --version)

    _hear_signals()
    if os.name == "posix" and sys.getfilesystemencoding() != "utf-8":
        raise UsageError(
            f"file names are {sys.getfilesystemencoding()} in this environment, mlvc needs UTF-8",
            hint="unset PYTHONUTF8 and PYTHONCOERCECLOCALE, or set LC_ALL=C.UTF-8",
        )
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current directory does not exist any more", hint="change to one that does") from None
    options, given = leading(given)
    terminal.begin()
    terminal.choose(**options)
    if given in (["--version"], ["-V"]):
        sys.stdout.write(f"mlvc {__version__}\n")
        return 0
    if given in (["--help"], ["-h"]):
        from mlvc.cli import top  # noqa: PLC0415

        sys.stdout.write(top.text())
        return 0
    if not given or given[0] not in COMMANDS:
        return _by_typer(COMMANDS, given)
    if ends and os.name == "posix":  # elsewhere a file that is open cannot be deleted
        from mlvc import database  # noqa: PLC0415  (not for --version)

        database.leave_open()
    command = _load(given[0])
    if isinstance(command, Group) and command.default and not given[1:2]:
        given = [given[0], command.default]
    words = given[1:]
    if isinstance(command, Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    parameters = None if isinstance(command, Group) else read(command, words)
    if isinstance(command, Group) or parameters is None:
        return _by_typer(given[:1], given)
    terminal.choose(**{key: parameters.pop(key) for key in GLOBALS if key in parameters})
    return command(**parameters) or 0


def _hear_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt: stages are stopped, temporary files removed.

    Where SIGINT or SIGHUP is ignored, as behind `nohup`, it stays so.
    """
    import signal  # noqa: PLC0415  (not for --version)

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if os.name != "posix" or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return

    def hung_up(*_: object) -> None:
        # The kernel and the shell both send it when a terminal is closed. A second one must not cut short what ends.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGHUP, hung_up)


def _load(name: str) -> Command | Group:
    module = import_module(f"mlvc.cli.{COMMANDS[name]}")
    found: Command | Group = module.COMMANDS[name]
    return found


def _by_typer(names: Iterable[str], given: list[str]) -> int:
    from mlvc.cli.app import run  # noqa: PLC0415  (45 ms to import)

    return run({name: _load(name) for name in names}, given)


def guarded(work: Callable[[], int]) -> int:
    """Run ``work``; what it raises becomes a sentence on stderr and an exit code. No traceback reaches a user."""
    from mlvc.cli import show, terminal  # noqa: PLC0415  (not for --version)

    try:
        try:
            code = work()
        finally:
            terminal.end()
        sys.stdout.flush()
        return code
    except MlvcError as error:
        show.failure(error)
        return error.exit_code
    except KeyboardInterrupt:
        show.always("mlvc: interrupted; nothing is lost, run the command again to go on")
        return INTERRUPTED
    except OSError as error:
        show.failure(refused(error))
        return SystemFailureError.exit_code
    except Exception as error:  # noqa: BLE001  (the last resort)
        return _bug(error)


def _bug(error: Exception) -> int:
    import tempfile  # noqa: PLC0415
    import traceback  # noqa: PLC0415

    from mlvc.cli import show  # noqa: PLC0415

    fd, path = tempfile.mkstemp(prefix="mlvc-error-", suffix=".log", text=True)
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"mlvc {__version__}, Python {sys.version}, {sys.platform}\n{' '.join(map(repr, sys.argv))}\n\n")
        traceback.print_exception(error, file=file)
    show.always(f"mlvc: this is a bug in mlvc: {type(error).__name__}: {show.clean(str(error))}")
    show.always(f"hint: please report it with the file {path}")
    return BUG
