"""What a person, or a program, sees of a reproduction while it goes on.

With one job, what commands print goes straight through. With several it comes in whole lines that begin with the name
of the Stage, and on a terminal there is a line below for each Stage that runs. With --quiet only what a failed one
printed is shown. With --json each event is a line on standard output.
"""

from __future__ import annotations

import json
import re
import sys
import time
from _thread import start_new_thread
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from mlvc.cli import show, terminal
from mlvc.cli.terminal import manner
from mlvc.pipeline import logs
from mlvc.pipeline.told import (
    Advanced,
    Considered,
    ItemFailed,
    Left,
    LeftOut,
    Printed,
    StageResult,
    Started,
    Told,
    Waiting,
)
from mlvc.text import clean, duration

if TYPE_CHECKING:
    from mlvc.cli import shapes
    from mlvc.pipeline.plan import Decision
    from mlvc.pipeline.tools import ReproResult

_COLOURS = ("36", "33", "32", "35", "34")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""What moves a cursor, changes a colour or a title."""
_LONGEST = 1 << 16
"""Bytes that are shown as a line of their own although it has not ended."""
_WIDEST = 30
"""Characters of a name to which others are aligned."""
_TICK = 0.25
_MOST_SHOWN = 1 << 20
"""Bytes of what a failed Stage printed."""
_SELDOM = 0.5
_IDLE = ("unchanged", "frozen", "skipped")


class Display(Protocol):
    """Shows what it is told. Use it as a context manager: afterwards nothing moves any more."""

    hears: bool
    """Whether it shows what commands print while they do."""

    def __call__(self, told: Told) -> None:
        """Show one event. Called from two threads."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def display(*, jobs: int, as_json: bool, explain: bool) -> Display:
    """What is right for this process."""
    if as_json:
        return Events()
    if manner.quiet:
        return Folded()
    return Side(explain=explain) if jobs > 1 else Straight(explain=explain)


def explained(decisions: tuple[Decision, ...]) -> None:
    """For each Stage, in full, why it runs or not."""
    for decision in decisions:
        show.err(f"{clean(decision.stage)}: {decision.action}")
        reasons = decision.reasons
        if decision.action == "unchanged" and not reasons:
            reasons = ("its command, inputs and outputs are as the Lockfile recorded them",)
        for reason in reasons:
            show.err(f"    {clean(reason)}")


@dataclass(slots=True)
class Straight:
    """What the one running command prints, as it comes."""

    explain: bool = False
    hears: bool = True

    def __call__(self, told: Told) -> None:
        """See Display."""
        if isinstance(told, Printed):
            terminal.pass_on(told.data)
        elif isinstance(told, Considered) and self.explain:
            explained(told.decisions)
        elif isinstance(told, Advanced | StageResult) and manner.progress and terminal.is_live(sys.stderr):
            wide = terminal.width(sys.stderr) - 1
            terminal.stand([f"{clean(told.stage)}  {items(told)}"[:wide]] if isinstance(told, Advanced) else [])

    def __enter__(self) -> Self:
        """See Display."""
        return self

    def __exit__(self, *_: object) -> None:
        """See Display."""


@dataclass(slots=True)
class Folded:
    """Nothing but what a failed Stage printed, when it has failed."""

    hears: bool = False
    _logs: dict[str, str] = field(default_factory=dict)

    def __call__(self, told: Told) -> None:
        """See Display."""
        if isinstance(told, Started):
            self._logs[told.stage] = told.log
        elif isinstance(told, StageResult) and (path := self._logs.pop(told.stage, "")) and told.outcome == "failed":
            output = logs.read(path).output
            if not output:
                return
            show.always(f"output of stage '{clean(told.stage)}':")
            if len(output) > _MOST_SHOWN:
                show.always(f"(the beginning is left out; all of it is in {clean(path)})")
            terminal.pass_on(output[-_MOST_SHOWN:])

    def __enter__(self) -> Self:
        """See Display."""
        return self

    def __exit__(self, *_: object) -> None:
        """See Display."""


@dataclass(slots=True)
class _Shown:
    """A Stage that runs or waits."""

    since: float
    state: str = "running"
    colour: str = _COLOURS[0]
    begun: bytes = b""
    """A line that has not ended yet."""


@dataclass(slots=True)
class Side:
    """Several Stages side by side: whole lines, each with the name in front."""

    explain: bool = False
    hears: bool = True
    _width: int = 0
    _count: int = 0
    _shown: dict[str, _Shown] = field(default_factory=dict)
    _ended: bool = False

    def __call__(self, told: Told) -> None:
        """See Display."""
        with terminal.speaking:
            if isinstance(told, Considered):
                names = (decision.stage for decision in told.decisions if decision.action not in _IDLE)
                self._width = min(_WIDEST, max(map(len, names), default=0))
                if self.explain:
                    explained(told.decisions)
            elif isinstance(told, Printed):
                self._print(told.stage, told.data)
            elif isinstance(told, Started):
                state = "running" if told.number == 1 else f"running, {told.number} of {told.of}"
                self._begin(told.stage, "running a second time" if told.second else state)
            elif isinstance(told, Waiting):
                self._begin(told.stage, f"waits for {told.cause}")
            elif isinstance(told, Advanced):
                if told.stage in self._shown:
                    self._shown[told.stage].state = items(told)
            elif isinstance(told, StageResult) and told.stage in self._shown:
                self._end_line(told.stage)
                del self._shown[told.stage]
                self._draw()

    def _begin(self, stage: str, state: str) -> None:
        if stage in self._shown:
            self._end_line(stage)
        self._count += 1
        colour = _COLOURS[self._count % len(_COLOURS)]
        self._shown[stage] = _Shown(time.monotonic(), state, colour)

    def _print(self, stage: str, data: bytes) -> None:
        shown = self._shown.get(stage)
        if shown is None:
            return
        *lines, shown.begun = (shown.begun + data).split(b"\n")
        if len(shown.begun) > _LONGEST:
            lines.append(shown.begun)
            shown.begun = b""
        for line in lines:
            self._line(stage, shown, line)

    def _end_line(self, stage: str) -> None:
        shown = self._shown[stage]
        if shown.begun:
            self._line(stage, shown, shown.begun)
            shown.begun = b""

    def _line(self, stage: str, shown: _Shown, line: bytes) -> None:
        name = f"{clean(stage):<{self._width}}"
        if terminal.has_colour(sys.stderr):
            name = f"\x1b[{shown.colour}m{name}\x1b[0m"
        terminal.put(f"{name} | {readable(line)}", sys.stderr, laid_out=False)

    def _draw(self) -> None:
        now = time.monotonic()
        if not (manner.progress and terminal.is_live(sys.stderr)):
            return
        wide, room = terminal.width(sys.stderr) - 1, max(1, terminal.height(sys.stderr) - 3)
        lines = [
            f"{clean(name):<{self._width}}  {duration(now - shown.since):>6}  {clean(shown.state)}"[:wide]
            for name, shown in self._shown.items()
            if now - shown.since >= _TICK
        ]
        if len(lines) > room:
            lines = [*lines[: room - 1], f"and {len(lines) - room + 1} more"[:wide]]
        terminal.stand(lines)

    def _tick(self) -> None:
        """Show the passing of time, in a thread of its own."""
        while not self._ended:
            with terminal.speaking:
                if not self._ended:
                    self._draw()
            time.sleep(_TICK)

    def __enter__(self) -> Self:
        """See Display."""
        if manner.progress and terminal.is_live(sys.stderr):
            start_new_thread(self._tick, ())
        return self

    def __exit__(self, *_: object) -> None:
        """See Display."""
        with terminal.speaking:
            self._ended = True
            for stage in self._shown:
                self._end_line(stage)
            terminal.stand([])


def items(told: Advanced) -> str:
    """How far the items of a Stage are."""
    return f"{told.done:,} of {told.total:,} items" + (f", {told.failed:,} failed" if told.failed else "")


def readable(line: bytes) -> str:
    """A line that another program printed, as one that does nothing to a terminal.

    Of a line that was drawn again and again, this is what stood there last.
    """
    text = _ESCAPE.sub("", line.decode(errors="replace")).rstrip("\r")
    return "\t".join(clean(part) for part in text.rpartition("\r")[2].split("\t"))


_LONGEST = 1 << 20
"""Bytes of a line; of a longer one each part is told as a line."""


@dataclass(slots=True)
class Events:
    """One JSON object on a line for each event."""

    hears: bool = True
    _begun: dict[str, bytearray] = field(default_factory=dict)
    _told_at: dict[str, float] = field(default_factory=dict)

    def __call__(self, told: Told) -> None:
        """See Display."""
        with terminal.speaking:
            if isinstance(told, Printed):
                self._printed(told.stage, told.data)
            elif isinstance(told, Started):
                self._end_line(told.stage)
                self._started(told)
            elif isinstance(told, Waiting):
                _event({"event": "waiting", "stage": told.stage, "cause": told.cause})
            elif isinstance(told, Left):
                _event({"event": "left", "stage": told.stage, "groups": list(told.groups)})
            elif isinstance(told, Advanced):
                self._advanced(told)
            elif isinstance(told, ItemFailed):
                _event(
                    {"event": "item_failed", "stage": told.stage, "path": told.path, "how": told.how, "code": told.code}
                )
            elif isinstance(told, LeftOut):
                where: shapes.Event = {"event": "left_out", "stage": told.stage, "path": told.path, "role": told.role}
                _event({**where, "names": list(told.names), "count": told.count})
            elif isinstance(told, StageResult):
                self._end_line(told.stage)
                _event(
                    {
                        "event": "finished",
                        "stage": told.stage,
                        "outcome": told.outcome,
                        "reasons": list(told.reasons),
                        "seconds": round(told.seconds, 3),
                    }
                )
            else:
                for decision in told.decisions:
                    _event(
                        {
                            "event": "planned",
                            "stage": decision.stage,
                            "action": str(decision.action),
                            "reasons": list(decision.reasons),
                        }
                    )

    def _advanced(self, told: Advanced) -> None:
        """The first and the last are told, and others not too often."""
        is_last = told.done + told.failed == told.total
        if is_last or time.monotonic() - self._told_at.get(told.stage, -_SELDOM) >= _SELDOM:
            self._told_at[told.stage] = time.monotonic()
            counts: shapes.Event = {"event": "items", "stage": told.stage, "done": told.done, "failed": told.failed}
            _event({**counts, "total": told.total})

    def _printed(self, stage: str, data: bytes) -> None:
        first, *more = data.split(b"\n")
        self._begun.setdefault(stage, bytearray()).extend(first)
        for line in more:
            self._end_line(stage, empty=True)
            self._begun[stage] = bytearray(line)
        if len(self._begun[stage]) > _LONGEST:
            self._end_line(stage)

    def _started(self, told: Started) -> None:
        event: shapes.Event = {
            "event": "started",
            "stage": told.stage,
            "reasons": list(told.reasons),
            "try": told.number,
        }
        if told.second:
            event["second"] = True
        _event(event)

    def _end_line(self, stage: str, *, empty: bool = False) -> None:
        line = self._begun.pop(stage, b"")
        if line or empty:
            _event({"event": "line", "stage": stage, "text": line.decode(errors="replace")})

    def __enter__(self) -> Self:
        """See Display."""
        return self

    def __exit__(self, *_: object) -> None:
        """See Display."""


def summary(done: ReproResult, counts: dict[str, int]) -> None:
    """The last line."""
    error = done.error
    _event({"event": "summary", "counts": counts, "error": error.message if error else None})


def _event(value: shapes.Event) -> None:
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    show.out(json.dumps(value, ensure_ascii=not is_utf8))
    sys.stdout.flush()
