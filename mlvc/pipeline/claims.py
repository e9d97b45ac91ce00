"""What running Stages read and write, so that those of two reproductions do not get into each other's way.

Each running Stage has a file that is held, in the sense of ``files.exclusive``, by mlvc and by the commands that it
started. The system lets go when all of them have ended: where mlvc is killed and a command goes on, the Stage keeps its
claim as long as that. What is held by nobody counts for nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mlvc import files
from mlvc.snapshot import parents

_ROOM = 20
"""Bytes for the number of a process."""
_GUARD = "guard"


class Claim(Protocol):
    """What one Stage has claimed."""

    @property
    def fd(self) -> int:
        """The open file that commands are to hold, too; -1 where there is none."""

    def started(self, process: int) -> None:
        """Note the process group of a command, so that a person can be told of it."""

    def release(self) -> None:
        """Let others have what was claimed, also where something that the command left behind still runs."""


@dataclass(frozen=True, slots=True)
class Held:
    """Who works on what was asked for."""

    stage: str
    process: int
    """Of mlvc, or where that is gone, the process group of the command; 0 where nobody knows."""
    alone: bool = False
    """The command was left behind by an mlvc that was killed."""

    def __str__(self) -> str:
        """As a message names it."""
        number = self.process or "unknown"
        if self.alone:
            return f"stage '{self.stage}', which a killed `mlvc repro` left running (process {number})"
        return f"stage '{self.stage}' of another `mlvc repro` (process {number})"


class Claims(Protocol):
    """Where Stages are claimed."""

    def claim(self, stage: str, reads: Iterable[str], writes: Iterable[str]) -> Claim | Held:
        """Claim the paths that a Stage reads and writes; Held where another process has a claim that does not fit."""


@dataclass(frozen=True, slots=True)
class Nobody:
    """Claims of the only process there is."""

    fd: int = -1

    def claim(self, stage: str, reads: Iterable[str], writes: Iterable[str]) -> Claim | Held:  # noqa: ARG002
        """See Claims."""
        return self

    def started(self, process: int) -> None:
        """See Claim."""

    def release(self) -> None:
        """See Claim."""


NOBODY = Nobody()


@dataclass(slots=True)
class HeldClaims:
    """Claims in files of ``directory``. Made for one process, and one thread of it."""

    directory: str
    _own: set[str] = field(default_factory=set)
    _count: int = 0

    def claim(self, stage: str, reads: Iterable[str], writes: Iterable[str]) -> Claim | Held:
        """See Claims. Own claims fit one another: the Graph sees to that."""
        wanted = (frozenset(reads), frozenset(writes))
        with files.exclusive(os.path.join(self.directory, _GUARD)):
            for name in os.listdir(self.directory):
                if name in self._own or name == _GUARD:
                    continue
                other = files.while_held(os.path.join(self.directory, name))
                held = _held(other, wanted) if other is not None else None
                if held is not None:
                    return held
            return self._take(stage, wanted)

    def _take(self, stage: str, wanted: _Paths) -> Claim:
        self._count += 1
        name = f"{os.getpid()}-{self._count}"
        path = os.path.join(self.directory, name)
        files.remove(path)  # of a process that had this number before, and is gone
        fd = files.held(path)
        try:
            value = {
                "stage": stage,
                "process": os.getpid(),
                "reads": sorted(wanted[0]),
                "writes": sorted(wanted[1]),
            }
            text = json.dumps(value).encode() + b"\n"
            # On a full disk this fails before anything runs.
            files.write_all(fd, text + b" " * _ROOM + b"\n")
        except BaseException:
            os.close(fd)
            files.remove(path)
            raise
        self._own.add(name)
        return _Claim(self, name, fd, len(text))


@dataclass(slots=True)
class _Claim:
    """See Claim."""

    owner: HeldClaims
    name: str
    fd: int
    place: int

    def started(self, process: int) -> None:
        """See Claim."""
        if hasattr(os, "pwrite"):
            os.pwrite(self.fd, b"%-*d" % (_ROOM, process), self.place)

    def release(self) -> None:
        """See Claim."""
        files.remove_held(os.path.join(self.owner.directory, self.name), self.fd)
        self.owner._own.discard(self.name)  # noqa: SLF001  (one thing, in two classes)


_Paths = tuple[frozenset[str], frozenset[str]]
"""What is read, and what is written."""


def _held(data: bytes, wanted: _Paths) -> Held | None:
    """Who has claimed what does not fit; None where all fits, or the file was not written to its end."""
    first, _, rest = data.partition(b"\n")
    try:
        value: Mapping[str, object] = json.loads(first)
        stage, process = str(value["stage"]), int(str(value["process"]))
        reads, writes = (frozenset(map(str, value[key])) for key in ("reads", "writes"))  # type: ignore[call-overload]
    except (ValueError, KeyError, TypeError):
        return None
    if not (overlap(wanted[1], reads | writes) or overlap(wanted[0], writes)):
        return None
    if files.is_running(process):
        return Held(stage, process)
    group = rest.strip()
    return Held(stage, int(group) if group.isdigit() else 0, alone=True)


def overlap(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether a path of the one is, or lies in, or is around one of the other."""
    left, right = set(some), set(others)
    if not left or not right:
        return False
    if "" in left or "" in right:  # the root, in which everything lies
        return True
    return any(around in right for path in left for around in (path, *parents(path))) or any(
        around in left for path in right for around in parents(path)
    )
