"""What the commands of Runs printed, one file for each Run. Bytes: docs/formats/log.md.

The command writes into its file itself. So nothing that mlvc does holds it up, and where mlvc is killed, what it goes
on to print is kept too.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote, unquote

from mlvc import files
from mlvc.oid import Oid

KEPT = 20
"""Logs of each Stage; older ones go."""
_LONGEST = 180
"""Of the name of a directory, which may have 255 bytes."""
_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{12})(?:-(\d+))?\.log")
_NEW = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Log:
    """One log: of which Stage, when its Run began, and how the key of that begins."""

    stage: str
    path: str
    began: str
    """In UTC: ``20261121T204500Z``."""
    key: str
    """The first twelve hexadecimal digits."""
    number: int = 1
    """Which one it is of those that began in the same second with the same key."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a log says."""

    fields: dict[str, str]
    """The header: ``stage``, ``command`` (several are on lines of their own), ``directory``, ``began``, ``key``."""
    output: bytes
    """As the commands printed it."""
    code: int | None = None
    """The exit code; None while the Run goes on, and for one whose end nobody saw."""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Logs:
    """The logs of a repository, in ``directory``. All of it can be deleted at any time."""

    directory: str

    def create(self, stage: str, key: Oid, commands: Sequence[str], directory: str) -> tuple[int, str]:
        """Begin the log of a Run, and forget the oldest ones of the Stage.

        The file, open for a command to append to and for the caller to close, and its path. OSError where it cannot
        be written.
        """
        folder = os.path.join(self.directory, folder_of(stage))
        os.makedirs(folder, exist_ok=True)
        began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        fd, path = _create(os.path.join(folder, f"{began}-{key.hex()[:12]}"))
        try:
            files.write_all(fd, _header(stage, key, commands, directory, began))
        except BaseException:
            os.close(fd)
            raise
        self._forget(stage)
        return fd, path

    def _forget(self, stage: str) -> None:
        for log in self.of(stage)[KEPT:]:
            with suppress(OSError):
                files.remove(log.path)

    def of(self, stage: str) -> tuple[Log, ...]:
        """The logs of a Stage, the newest first; none where it has none."""
        folder = os.path.join(self.directory, folder_of(stage))
        try:
            names = os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        found = [
            Log(stage, os.path.join(folder, name), match[1], match[2], int(match[3] or 1))
            for name in names
            if (match := _NAME.fullmatch(name))
        ]
        return tuple(sorted(found, key=lambda log: (log.began, _stamp(log.path), log.number), reverse=True))

    def stages(self) -> tuple[str, ...]:
        """The names of all Stages that have a log, in order."""
        try:
            folders = os.listdir(self.directory)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(sorted(filter(None, (self._stage_of(folder) for folder in folders))))

    def _stage_of(self, folder: str) -> str:
        """The Stage whose logs lie in ``folder``; the name of one that is too long stands in its logs only."""
        plain = unquote(folder)
        if folder_of(plain) == folder:
            return plain
        place = os.path.join(self.directory, folder)
        names = os.listdir(place) if os.path.isdir(place) else []
        found = next((name for name in names if _NAME.fullmatch(name)), "")
        return read(os.path.join(place, found)).fields.get("stage", "") if found else ""

    def latest(self) -> Iterator[Log]:
        """The last log of each Stage, in the order of their names."""
        for stage in self.stages():
            yield from self.of(stage)[:1]


def folder_of(stage: str) -> str:
    """The name of the directory for the logs of a Stage, which every file system takes."""
    name = quote(stage, safe="@=+,")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) <= _LONGEST:
        return name
    import hashlib  # noqa: PLC0415  (few need it)

    return f"{name[:_LONGEST]}~{hashlib.sha256(stage.encode()).hexdigest()[:12]}"


def _create(stem: str) -> tuple[int, str]:
    number = 1
    while True:
        path = f"{stem}-{number}.log" if number > 1 else f"{stem}.log"
        try:
            return os.open(path, _NEW, 0o666), path
        except FileExistsError:
            number += 1


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_ctime_ns
    except OSError:
        return 0


def _header(stage: str, key: Oid, commands: Sequence[str], directory: str, began: str) -> bytes:
    lines = [f"stage: {stage}"]
    lines += [f"command: {line}" for command in commands for line in command.splitlines()]
    lines += [f"directory: {directory or '.'}", f"began: {began}", f"key: {key.hex()}"]
    return ("".join(f"# {line}\n" for line in lines) + "\n").encode(errors="backslashreplace")


def ended(fd: int, code: int, seconds: float) -> None:
    """Write the footer of a log: the exit code of the last command, or minus the signal that ended it."""
    fresh = b"" if _ends_line(fd) else b"\n"
    files.write_all(fd, fresh + f"\n# exit code: {code}\n# seconds: {seconds:.3f}\n".encode())


def again(fd: int, number: int, of: int) -> None:
    """Write between two tries which one begins."""
    files.write_all(fd, (b"" if _ends_line(fd) else b"\n") + f"\n# try {number} of {of}\n".encode())


def _ends_line(fd: int) -> bool:
    size = os.fstat(fd).st_size
    return size == 0 or files.read_at(fd, 1, size - 1) == b"\n"


_FIELD = re.compile(r"# ([a-z ]+): (.*)")
_FOOTER = re.compile(rb"(\n|\A)# exit code: (-?\d+)\n# seconds: ([0-9.]+)\n")


def read(path: str) -> Text:
    """What the log at ``path`` says; OSError where it is not there. Whatever stands in it, it is no error."""
    with open(path, "rb") as file:
        data = file.read()
    end = data.find(b"\n\n")
    head, output = (data[:end], data[end + 2 :]) if data.startswith(b"# stage: ") and end >= 0 else (b"", data)
    fields: dict[str, str] = {}
    for line in head.decode(errors="replace").splitlines():
        match = _FIELD.fullmatch(line)
        if match:
            fields[match[1]] = f"{fields[match[1]]}\n{match[2]}" if match[1] in fields else match[2]
    # What the command left in the background may have printed after the footer.
    footers = list(_FOOTER.finditer(output))
    if not footers:
        return Text(fields, output)
    footer = footers[-1]
    printed = output[: footer.start()] + output[footer.end() :]
    return Text(fields, printed, int(footer[2]), float(footer[3]))
