"""Runs the commands of Stages on this machine, each in a process group of its own.

A command appends what it prints to the log of its Run, and is read from there. So nothing holds it up, what it leaves
in the background holds nothing up, and where mlvc is killed it goes on to the end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlvc import files
from mlvc.errors import PipelineError, SystemFailureError
from mlvc.pipeline.executors.base import Ended, Job, Post

WINDOWS = sys.platform == "win32"
_SOON = 0.05
"""Seconds until somebody sees what a command printed."""
_PIECE = 1 << 16
_MOMENT = 0.2
"""Seconds in which what a command started has to end with it; a program that copies its output takes that long."""


class _Tail:
    """Reads what commands append to files, and hands it on."""

    def __init__(self) -> None:
        self._places: dict[Job, int] = {}
        self._reading = threading.Lock()
        self._thread: threading.Thread | None = None

    def follow(self, job: Job) -> None:
        """Hand on what is appended from now on."""
        if job.hear is None or job.output < 0:
            return
        with self._reading:
            self._places[job] = os.fstat(job.output).st_size
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def end(self, job: Job) -> None:
        """Hand on what is there, and no more."""
        with self._reading:
            if job in self._places:
                self._read(job, os.fstat(job.output).st_size)
                del self._places[job]

    def _run(self) -> None:
        while True:
            time.sleep(_SOON)
            with self._reading:
                if not self._places:
                    self._thread = None
                    return
                for job in list(self._places):
                    self._read(job, min(os.fstat(job.output).st_size, self._places[job] + _PIECE))

    def _read(self, job: Job, until: int) -> None:
        while self._places[job] < until:
            data = files.read_at(job.output, min(_PIECE, until - self._places[job]), self._places[job])
            if not data:
                return  # somebody has cut the file
            self._places[job] += len(data)
            assert job.hear is not None
            job.hear(data)


_PROMPT = {"PYTHONUNBUFFERED": "1"}
"""What commands are given unless somebody says otherwise: into a file, Python writes nothing before 8 KB are there, and
who waits for the first line of a training would wait for minutes."""


@dataclass(slots=True)
class Local:
    """An Executor: the shell of this machine."""

    env: Mapping[str, str]
    shell: str | None = None
    """A shell that knows ``-c``; None is ``/bin/sh``, and ``cmd.exe`` on Windows. See ``shell_of``."""
    grace: float = 10.0
    """Seconds that a process group has after each signal before it gets a stronger one."""
    _exclusive: threading.Lock = field(default_factory=threading.Lock)
    _processes: dict[Job, subprocess.Popen[bytes]] = field(default_factory=dict)
    _threads: dict[Job, threading.Thread] = field(default_factory=dict)
    _stopping: bool = False
    _tail: _Tail = field(default_factory=_Tail)

    def start(self, job: Job, post: Post) -> None:
        """See Executor."""
        if not os.path.isdir(job.directory):
            raise PipelineError(
                f"the working directory of stage '{job.stage}' is not there: {job.directory}",
                hint="make it, or correct 'wdir'",
            )
        thread = threading.Thread(target=self._work, args=(job, post), daemon=True)
        with self._exclusive:
            self._threads[job] = thread
        self._tail.follow(job)
        thread.start()

    def _work(self, job: Job, post: Post) -> None:
        began = time.monotonic()
        groups: list[int] = []
        try:
            ended = self._all(job, began + job.timeout if job.timeout else None, groups)
        except Exception as error:  # noqa: BLE001  (it is raised where the end is taken in)
            ended = (0, "", False, error)
        code, command, timed_out, fault = ended
        seconds = time.monotonic() - began
        left = _left(groups)
        try:
            self._tail.end(job)
        finally:
            with self._exclusive:
                self._threads.pop(job, None)
            post(Ended(job, code, command, seconds, timed_out, fault, left))

    def _all(self, job: Job, until: float | None, groups: list[int]) -> tuple[int, str, bool, Exception | None]:
        """Run the commands, and note the process group of each."""
        code, command = 0, ""
        for command in job.commands:
            process = self._begin(job, command)
            if process is None:
                return -signal.SIGINT, command, False, None
            groups.append(process.pid)
            try:
                code = process.wait(None if until is None else max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                end([process], self.grace)
                return process.returncode or -signal.SIGTERM, command, True, None
            finally:
                with self._exclusive:
                    self._processes.pop(job, None)
            if code:
                break
        return code, command, False, None

    def _begin(self, job: Job, command: str) -> subprocess.Popen[bytes] | None:
        """The process of a command; None where everything is being stopped."""
        with self._exclusive:  # so that nothing is begun that ``stop`` does not see
            if self._stopping:
                return None
            process = self._processes[job] = self._spawn(job, command)
        job.claim.started(process.pid)
        return process

    def _spawn(self, job: Job, command: str) -> subprocess.Popen[bytes]:
        # No terminal to read from: a group in the background that reads one is stopped for ever.
        output = subprocess.DEVNULL if job.output < 0 else job.output
        try:
            return subprocess.Popen(  # noqa: S602 - a Stage is a shell command
                command,
                shell=True,
                executable=self.shell,
                cwd=job.directory,
                env={**_PROMPT, **self.env, **job.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=not WINDOWS,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                pass_fds=() if WINDOWS or job.claim.fd < 0 else (job.claim.fd,),
            )
        except OSError as error:
            raise SystemFailureError(f"the shell cannot be started: {error.strerror}") from error

    def stop(self) -> None:
        """See Executor."""
        with self._exclusive:
            self._stopping = True
            processes = list(self._processes.values())
            threads = list(self._threads.values())
        end(processes, self.grace)
        while threads:
            with contextlib.suppress(KeyboardInterrupt):  # all has been ended: there is nothing to hurry
                threads[-1].join()
                threads.pop()


def end(processes: Iterable[subprocess.Popen[bytes]], grace: float) -> None:
    """End the process groups of ``processes``: asked as Ctrl-C does, then to terminate, then killed.

    Each step has ``grace`` seconds for all of them together; another Ctrl-C goes to the next step at once. On return
    nothing of them runs.
    """
    left = list(processes)
    step = 0
    while True:
        try:
            for process in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    _send(process, step)
            until = time.monotonic() + grace
            while left := [process for process in left if _runs(process)]:
                if time.monotonic() > until:
                    break
                time.sleep(0.01)
            if not left or step == _LAST:
                return
        except KeyboardInterrupt:
            pass  # wherever it comes, nothing is left behind: the next step follows
        step = min(step + 1, _LAST)


_LAST = 1 if WINDOWS else 2


def _send(process: subprocess.Popen[bytes], step: int) -> None:
    if sys.platform == "win32":
        if step:
            tree = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            subprocess.run(tree, check=False, capture_output=True)
        else:
            process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        os.killpg(process.pid, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[step])


def _runs(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process or anything of its group runs."""
    return process.poll() is None or _group_runs(process.pid)


def _group_runs(group: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _left(groups: Sequence[int]) -> tuple[int, ...]:
    """Those of which something still runs after their command has ended, and does a moment later.

    Mostly that is one call of the system for each: only where there is something it is waited for, as it may end with
    its command. What made itself a session or a group of its own is not found.
    """
    left = [group for group in groups if _group_runs(group)]
    until = time.monotonic() + _MOMENT
    while left and time.monotonic() < until:
        time.sleep(_MOMENT / 10)
        left = [group for group in left if _group_runs(group)]
    return tuple(group for group in left if not _all_zombies(group))


def _all_zombies(group: int) -> bool:
    """Whether of a group only what has ended is there, since nobody asks for its code, as in some containers."""
    try:
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return False
    states = []
    for process in processes:
        with contextlib.suppress(OSError, IndexError):
            with open(f"/proc/{process}/stat", "rb") as file:
                state, _, its_group, *_ = file.read().rpartition(b")")[2].split()
            if int(its_group) == group:
                states.append(state)
    return bool(states) and all(state in b"ZX" for state in states)


def shell_of(environment: Mapping[str, str]) -> str | None:
    """The user's own shell where it is one that knows what ``/bin/sh`` knows, as in DVC; else None."""
    shell = environment.get("SHELL", "")
    return shell if os.path.basename(shell) in _LIKE_SH and os.path.isfile(shell) and not WINDOWS else None


_LIKE_SH = ("sh", "bash", "dash", "ksh", "zsh")
