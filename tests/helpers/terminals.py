"""A terminal: mlvc runs in it as under the hands of a person, and what the screen shows can be read."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.helpers import SOURCES, TIMEOUT

_TOKEN = re.compile(r"\x1b\[[\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+|\x1b")
CTRL_C = b"\x03"


@dataclass(frozen=True, slots=True)
class Shown:
    """How a process ended, and all that it wrote to its terminal."""

    code: int
    raw: str

    @property
    def lines(self) -> list[str]:
        """What is left to be read: each line as it was when the next one began."""
        found, line = [], ""
        for token in _TOKEN.findall(self.raw):
            if token == "\n":
                found.append(line)
                line = ""
            elif token == "\r":
                continue  # what follows is a line feed, or clears the line: see test_what_is_written_to_a_terminal
            elif token == "\x1b[K":
                line = ""
            elif not token.startswith("\x1b"):
                line += token
        return [*found, line] if line else found

    @property
    def screen(self) -> list[str]:
        """The same where lines further up are drawn again: what a terminal without an end shows at last."""
        rows, row, column = [""], 0, 0
        for token in _TOKEN.findall(self.raw):
            if token == "\n":
                row += 1
                rows += [""] * (row + 1 - len(rows))
            elif token == "\r":
                column = 0
            elif token == "\x1b[A":
                row = max(0, row - 1)
            elif token == "\x1b[K":
                rows[row] = rows[row][:column]
            elif not token.startswith("\x1b"):
                rows[row] = rows[row][:column].ljust(column) + token + rows[row][column + len(token) :]
                column += len(token)
        return rows if rows[-1] else rows[:-1]

    @property
    def escapes(self) -> set[str]:
        """All that is not text."""
        return {token for token in _TOKEN.findall(self.raw) if token.startswith("\x1b")}


def type_mlvc(
    *args: str,
    cwd: Path,
    columns: int = 80,
    env: Mapping[str, str] | None = None,
    script: str = "",
    stop_at: str = "",
) -> Shown:
    """Run mlvc in a terminal of ``columns``. ``script``: Python that runs before it; ``stop_at``: then comes Ctrl-C."""
    command = [sys.executable, "-P", "-m", "mlvc", *args]
    if script:
        command = [sys.executable, "-P", "-c", script + "\nfrom mlvc.cli.main import entry; entry()", *args]
    return run_in_terminal(command, cwd=cwd, columns=columns, env=env, stop_at=stop_at)


def run_in_terminal(
    command: Sequence[str],
    *,
    cwd: Path,
    columns: int,
    env: Mapping[str, str] | None = None,
    stop_at: str = "",
) -> Shown:
    """Run a process whose standard streams are a terminal of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    environment |= {"TERM": "xterm-256color", "PYTHONPATH": SOURCES} | dict(env or {})
    process, screen = pty.fork()
    if not process:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.chdir(cwd)
        os.execve(command[0], list(command), environment)
    data, until = b"", time.monotonic() + TIMEOUT
    while time.monotonic() < until and select.select([screen], [], [], TIMEOUT)[0]:
        try:
            data += os.read(screen, 65536)
        except OSError:  # the last one has closed it
            break
        if stop_at and stop_at.encode() in data:
            stop_at = ""
            os.write(screen, CTRL_C)
    os.close(screen)
    return Shown(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), data.decode())
