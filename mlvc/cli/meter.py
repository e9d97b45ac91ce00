"""Progress of what takes longer: a line on a terminal, now and then a line anywhere else."""

from __future__ import annotations

import sys
import time
from _thread import start_new_thread
from collections.abc import Iterator
from contextlib import contextmanager

from mlvc.cli import terminal
from mlvc.cli.terminal import manner
from mlvc.text import clean, duration, number, size

_PATIENCE, _AGAIN = 1.0, 0.1
"""After so many seconds a person sees something, and so many later something else."""
_LOG_PATIENCE, _LOG_MOST = 5.0, 60.0
"""The same in a log: at first after 5 s, later at intervals that grow to a minute."""
_TICK = 0.25
_ENOUGH = 100
"""Of objects whose bytes differ, so many may stand for the rest."""


class Line:
    """Progress as one line on a terminal after a second; as whole lines, few of them, where there is none.

    See mlvc.progress.Progress. Nothing is shown with --quiet and with --no-progress. With --verbose every operation is
    told when it is over. Where nothing advances for some time, the seconds still do.
    """

    def __init__(self) -> None:
        self._label = ""
        self._objects = self._total = self._count = self._size = 0
        self._began = self._next = 0.0
        self._pause = _LOG_PATIENCE
        self._live = manner.progress and terminal.is_live(sys.stderr)
        self._ticking = False

    def start(self, label: str, *, objects: int = 0, total: int = 0) -> None:
        """See Progress."""
        self.finish()
        with terminal.speaking:
            self._label, self._objects, self._total = clean(label), objects, total
            self._count = self._size = 0
            self._began = time.monotonic()
            self._pause = _LOG_PATIENCE
            self._next = self._began + (_PATIENCE if self._live else self._pause)
            terminal.ending = self.finish
            if manner.progress and not self._ticking:
                self._ticking = True
                start_new_thread(self._tick, ())

    def advance(self, *, objects: int = 0, size: int = 0) -> None:
        """See Progress."""
        with terminal.speaking:
            self._count += objects
            self._size += size
            self._show()

    def note(self, message: str) -> None:
        """See Progress."""
        if not manner.quiet:
            terminal.put(message, sys.stderr, laid_out=True)

    def finish(self) -> None:
        """See Progress."""
        with terminal.speaking:
            terminal.clear()
            if self._label and manner.verbose:
                terminal.put(self._told(time.monotonic() - self._began), sys.stderr, laid_out=True)
            self._label = ""

    def _tick(self) -> None:
        """Show the passing of time, in a thread of its own, as long as there is an operation."""
        while True:
            time.sleep(_TICK)
            with terminal.speaking:
                if not self._label:
                    self._ticking = False
                    return
                self._show()

    def _show(self) -> None:
        now = time.monotonic()
        if not (self._label and manner.progress) or now < self._next:
            return
        if self._live:
            self._next = now + _AGAIN
            terminal.draw(self._text(now - self._began, terminal.width(sys.stderr) - 1))
        else:
            self._pause = min(_LOG_MOST, 2 * self._pause)
            self._next = now + self._pause
            terminal.put(self._text(now - self._began), sys.stderr, laid_out=False)
            sys.stderr.flush()

    def _text(self, seconds: float, room: int = 1000) -> str:
        """What is known, as much of it as there is room for: what says least goes first."""
        parts = self._parts(seconds)
        while len(parts) > 1 and sum(len(text) + 2 for _, text in parts) - 2 > room:
            parts.remove(max(parts))
        return "  ".join(text for _, text in parts)[:room]

    def _parts(self, seconds: float) -> list[tuple[int, str]]:
        """The parts of the line in order, each with a number that is greater where it is of less use."""
        # By the bytes; by the number of objects where nobody knows their bytes yet.
        done, whole = (self._size, self._total) if self._total else (self._count, self._objects)
        parts = [(0, self._label)]
        if not (self._size or self._count):
            return [*parts, (1, duration(seconds))]
        if whole:
            parts.append((1, f"{min(100, 100 * done // whole)}%"))
        if self._count:
            of = f"{min(self._count, self._objects):,} of " if self._objects else ""
            parts.append((4, of + number(self._objects or self._count, "object")))
        if self._size:
            of = f" of {size(self._total)}" if self._total else ""
            parts.append((3, size(min(self._size, self._total or self._size)) + of))
            parts.append((5, f"{size(int(self._size / seconds))}/s"))
        # A few large objects before many small ones say nothing of the time that is left, unless it goes by the bytes.
        if whole > done > 0 and (self._total or not self._size or done >= _ENOUGH):
            parts.append((2, f"{duration((whole - done) * seconds / done)} left"))
        return parts

    def _told(self, seconds: float) -> str:
        """An operation that is over."""
        amounts = [number(self._count, "object")] if self._count else []
        rate = ""
        if self._size:
            amounts.append(size(self._size))
            rate = f" ({size(int(self._size / max(seconds, 1e-3)))}/s)"
        return f"{self._label}: {', '.join(amounts)}{' in ' if amounts else ''}{seconds:.2f} s{rate}"


@contextmanager
def working(label: str) -> Iterator[Line]:
    """One operation whose extent nobody knows: that it goes on is shown where it takes longer."""
    line = Line()
    line.start(label)
    try:
        yield line
    finally:
        line.finish()
