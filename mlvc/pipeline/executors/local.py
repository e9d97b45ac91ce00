"""Runs the commands of a Stage on this machine, in a process group of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from mlvc import files
from mlvc.errors import PipelineError, SystemFailureError

WINDOWS = sys.platform == "win32"
_ROOM = 20
"""Bytes for the number of a process."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the commands of a Stage ended. ``command`` is the last one that was started."""

    code: int
    """0 when all went well; negative: the signal that ended it."""
    command: str


class Executor(Protocol):
    """Where commands run."""

    def run(self, commands: Sequence[str], wdir: str) -> Ended:
        """Run ``commands`` one after another in the repository's directory ``wdir``; the first that fails is the last.

        KeyboardInterrupt passes through, with no process of the Stage left behind.
        """


@dataclass(frozen=True, slots=True)
class Local:
    """An Executor: the shell of this machine."""

    root: str
    env: Mapping[str, str]
    output: int | IO[bytes] | None = None
    """Where standard output and standard error of the commands go; None: where those of this process go."""
    shell: str | None = None
    """A shell that knows ``-c``; None is ``/bin/sh``, and ``cmd.exe`` on Windows."""
    grace: float = 10.0
    """Seconds that a process group has after each signal before it gets a stronger one."""
    running: str = ""
    """A file that a command holds while it runs, with the number of its process group: where mlvc itself is killed,
    the command goes on, and the next reproduction has to know. None on Windows."""

    def run(self, commands: Sequence[str], wdir: str) -> Ended:
        """Run ``commands``; PipelineError where ``wdir`` is no directory."""
        directory = os.path.join(self.root, wdir)
        if not os.path.isdir(directory):
            raise PipelineError(f"the working directory '{wdir}' is not there", hint="make it, or correct 'wdir'")
        ended = Ended(0, "")
        for command in commands:
            ended = Ended(self._one(command, directory), command)
            if ended.code:
                break
        return ended

    def _one(self, command: str, directory: str) -> int:
        with _deferred() as interrupted:
            process = self._start(command, directory)
        try:
            if interrupted:
                raise KeyboardInterrupt  # noqa: TRY301  (the clause below stops the process)
            return process.wait()
        except BaseException:
            stop(process, self.grace)
            raise
        finally:
            if self.running:
                files.remove(self.running)  # what the command leaves in the background on purpose holds nothing

    def _start(self, command: str, directory: str) -> subprocess.Popen[bytes]:
        held = [files.held(self.running)] if self.running and not WINDOWS else []
        try:
            for fd in held:
                os.pwrite(fd, b" " * _ROOM, 0)  # on a full disk this fails before anything runs
            process = self._spawn(command, directory, held)
            for fd in held:
                os.pwrite(fd, b"%d" % process.pid, 0)
        finally:
            for fd in held:
                os.close(fd)
        return process

    def _spawn(self, command: str, directory: str, held: Sequence[int]) -> subprocess.Popen[bytes]:
        # No terminal to read from: a group in the background that reads one is stopped for ever.
        try:
            return subprocess.Popen(  # noqa: S602 - a Stage is a shell command
                command,
                shell=True,
                executable=self.shell,
                cwd=directory,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=self.output,
                start_new_session=not WINDOWS,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                pass_fds=held,
            )
        except OSError as error:
            raise SystemFailureError(f"the shell cannot be started: {error.strerror}") from error


@contextlib.contextmanager
def _deferred() -> Iterator[list[int]]:
    """Interruptions wait until the block is left, and are in the list then.

    A process that was started, and whose starting was interrupted before anyone knew it, would be left behind.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came  # Python interrupts the main thread only
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in signals}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def stop(process: subprocess.Popen[bytes], grace: float) -> None:
    """End the process group of ``process``: asked as Ctrl-C does, then to terminate, then killed.

    Each step has ``grace`` seconds; another Ctrl-C goes to the next step at once. On return nothing of it runs.
    """
    for send in _steps(process):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send()
        with contextlib.suppress(KeyboardInterrupt):
            if _gone(process, time.monotonic() + grace):
                return


def _steps(process: subprocess.Popen[bytes]) -> list[Callable[[], object]]:
    if sys.platform == "win32":
        tree = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        return [
            lambda: process.send_signal(signal.CTRL_BREAK_EVENT),
            lambda: subprocess.run(tree, check=False, capture_output=True),
        ]
    return [
        lambda: os.killpg(process.pid, signal.SIGINT),
        lambda: os.killpg(process.pid, signal.SIGTERM),
        lambda: os.killpg(process.pid, signal.SIGKILL),
    ]


def _gone(process: subprocess.Popen[bytes], until: float) -> bool:
    """Wait until the process and all of its group are gone; False when it takes too long."""
    while process.poll() is None or _group_runs(process.pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _group_runs(group: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
