"""Claims in files: what running Stages read, write and take, held against other processes.

Each running Stage has a file that is held, in the sense of ``files.exclusive``, by mlvc and by the commands that it
started. The system lets go when all of them have ended: where mlvc is killed and a command goes on, the Stage keeps its
claim as long as that. What is held by nobody counts for nothing.

All working trees of a repository have one directory of claims: paths count for the working tree that they are in,
resources for all.

There is no deadlock. Nobody waits with a claim: a Stage that does not get all that it needs to run lets go of the rest
first, and the lock under which it asks is held for a moment only. So whoever has a claim is at work, and ends without
waiting for anybody. One that asks for more jobs while it runs is told yes or no, and goes on with those that it has.
And none takes more than there is: where nothing is claimed, the first that asks gets what it wants.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mlvc import files
from mlvc.pipeline import quantities
from mlvc.pipeline.claims import NOTHING, Claim, Held, Share
from mlvc.snapshot import parents

_ROOM = 20
"""Bytes for the number of a process, and for that of jobs."""
_GUARD = "guard"


@dataclass(slots=True)
class HeldClaims:
    """Claims in files of ``directory``. Made for one process, and one thread of it."""

    directory: str
    tree: str = ""
    """Which working tree the paths are in."""
    _own: dict[str, _Claim] = field(default_factory=dict)
    _count: int = 0

    def claim(
        self, stage: str, reads: Iterable[str], writes: Iterable[str], share: Share = NOTHING, jobs: int = 0
    ) -> Claim | Held:
        """See Claims. The paths of own claims fit one another: the Graph sees to that."""
        wanted = _Written(stage, os.getpid(), self.tree, frozenset(reads), frozenset(writes), share.takes, jobs)
        with files.exclusive(os.path.join(self.directory, _GUARD)):
            others = list(self._others())
            held = next((other.who() for other in others if other.collides(wanted)), None)
            if held is None and jobs:
                held = lacking(share, jobs, self._used(), others)
            return held or self._take(wanted, share)

    def _others(self) -> Iterator[_Written]:
        for name in os.listdir(self.directory):
            if name not in self._own and name != _GUARD:
                other = files.while_held(os.path.join(self.directory, name))
                written = _read(other) if other is not None else None
                if written is not None:
                    yield written

    def _used(self) -> dict[str, float]:
        """What own claims take."""
        used: dict[str, float] = {}
        for claim in self._own.values():
            for what, amount in claim.share.takes.items():
                used[what] = used.get(what, 0.0) + amount * claim.jobs
        return used

    def _take(self, wanted: _Written, share: Share) -> Claim:
        self._count += 1
        name = f"{os.getpid()}-{self._count}"
        path = os.path.join(self.directory, name)
        files.remove(path)  # of a process that had this number before, and is gone
        fd = files.held(path)
        try:
            text = wanted.encoded()
            # On a full disk this fails before anything runs.
            files.write_all(fd, text + b" " * _ROOM + b"%-*d" % (_ROOM, wanted.jobs) + b"\n")
        except BaseException:
            os.close(fd)
            files.remove(path)
            raise
        claim = self._own[name] = _Claim(self, name, fd, len(text), share, wanted.jobs)
        return claim

    def use(self, claim: _Claim, jobs: int) -> Held | None:
        """See Claim."""
        with files.exclusive(os.path.join(self.directory, _GUARD)):
            more = jobs - claim.jobs
            held = lacking(claim.share, more, self._used(), list(self._others())) if more > 0 else None
            if held is None:
                claim.note(jobs)
            return held

    def forget(self, name: str) -> None:
        """A claim is none any more."""
        self._own.pop(name, None)


@dataclass(slots=True)
class _Claim:
    """See Claim."""

    owner: HeldClaims
    name: str
    fd: int
    place: int
    share: Share
    jobs: int

    def use(self, jobs: int) -> Held | None:
        """See Claim."""
        return self.owner.use(self, jobs) if self.share.takes and jobs != self.jobs else None

    def note(self, jobs: int) -> None:
        """Write how many jobs there are."""
        self.jobs = jobs
        self._write(jobs, self.place + _ROOM)

    def started(self, process: int) -> None:
        """See Claim."""
        self._write(process, self.place)

    def _write(self, number: int, place: int) -> None:
        if hasattr(os, "pwrite"):
            os.pwrite(self.fd, b"%-*d" % (_ROOM, number), place)

    def release(self) -> None:
        """See Claim."""
        files.remove_held(os.path.join(self.owner.directory, self.name), self.fd)
        self.owner.forget(self.name)


@dataclass(frozen=True, slots=True)
class _Written:
    """What stands in the file of a claim."""

    stage: str
    process: int
    tree: str
    reads: frozenset[str]
    writes: frozenset[str]
    takes: Mapping[str, float]
    jobs: int
    group: int = 0
    """The process group of the command; 0 where nobody knows."""

    def encoded(self) -> bytes:
        """The line that does not change."""
        value = {
            "stage": self.stage,
            "process": self.process,
            "tree": self.tree,
            "reads": sorted(self.reads),
            "writes": sorted(self.writes),
            "takes": dict(self.takes),
        }
        return json.dumps(value).encode() + b"\n"

    def collides(self, other: _Written) -> bool:
        """Whether one of the two writes what the other one reads or writes."""
        return self.tree == other.tree and (
            overlap(other.writes, self.reads | self.writes) or overlap(other.reads, self.writes)
        )

    def who(self) -> Held:
        """Who that is, as a process that waits is told."""
        alone = not files.is_running(self.process)
        return Held(self.stage, self.group if alone else self.process, alone=alone)


def _read(data: bytes) -> _Written | None:
    """What stands in a file; None where it was not written to its end."""
    first, _, rest = data.partition(b"\n")
    group, jobs = rest[:_ROOM].strip(), rest[_ROOM : 2 * _ROOM].strip()
    try:
        value = json.loads(first)
        return _Written(
            str(value["stage"]),
            int(value["process"]),
            str(value["tree"]),
            frozenset(map(str, value["reads"])),
            frozenset(map(str, value["writes"])),
            {str(what): float(amount) for what, amount in value["takes"].items()},
            int(jobs),
            int(group) if group.isdigit() else 0,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def lacking(share: Share, jobs: int, own: Mapping[str, float], others: Iterable[_Written]) -> Held | None:
    """Who has what so many more jobs lack, None where there is enough of everything. ``own``: what this process takes.

    What this process takes itself is not asked here, but counts; its Schedule keeps that within the limits.
    """
    others = sorted(others, key=lambda other: (other.stage, other.process))
    for what, amount in share.takes.items():
        limit = share.limits.get(what)
        users = [other for other in others if other.jobs and other.takes.get(what)]
        if limit is None or not users:
            continue
        elsewhere = sum(other.takes[what] * other.jobs for other in users)
        used = elsewhere + own.get(what, 0.0)
        if used + amount * jobs > limit + quantities.EPSILON:
            told = f"{what}: {quantities.told(what, used)} of {quantities.told(what, limit)} in use"
            mine = f", {quantities.told(what, elsewhere)} of it" if used > elsewhere else ""
            return replace(users[0].who(), lacks=told + mine, more=len(users) - 1)
    return None


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
