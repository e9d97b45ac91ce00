"""Frames of Packs from a place where a request costs more than its bytes: neighbours together, several side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from mlvc.store.catalog import Location

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

GAP = 64 << 10
"""Bytes between two frames that are read and thrown away, so that one request serves both."""

SPAN = 8 << 20
WINDOW = 32 << 20
"""Bytes that are in memory at once; while they are used, as many are on their way."""

Read = Callable[[str, int, int], bytes]


class Frame(NamedTuple):
    """The place of one frame."""

    pack: str
    start: int
    length: int


@dataclass(slots=True)
class Span:
    """Frames of one Pack that are read with one request, and their bytes once they are here."""

    pack: str
    start: int
    length: int
    coming: Future[bytes] | None = None
    data: bytes | None = None


class Ahead:
    """Reads the frames of ``wanted`` in few requests, when they are asked for in that order.

    What else is asked for is read by itself.
    """

    def __init__(self, read: Read, wanted: Iterable[Location], jobs: int) -> None:
        self._read = read
        self._windows = windows(wanted)
        self._last = {frame[:2]: number for number, frames in enumerate(self._windows) for frame in frames}
        self._jobs = jobs
        self._pool: ThreadPoolExecutor | None = None
        self._at = -1
        self._now: dict[tuple[str, int], Span] = {}
        self._next: dict[tuple[str, int], Span] = {}

    def range(self, pack: str, start: int, length: int) -> bytes:
        """See Ranges."""
        span = self._span(pack, start)
        at = start - span.start if span else 0
        found = self._bytes(span)[at : at + length] if span else b""
        return found if len(found) == length else self._read(pack, start, length)

    def _span(self, pack: str, start: int) -> Span | None:
        """The Span that a frame is in, and on to its window; None for a frame that nobody announced."""
        last = self._last.get((pack, start))
        if last is None or last < self._at:
            return None
        while (pack, start) not in self._now:
            self._now = self._next or self._begin(self._at + 1)
            self._at += 1
            self._next = self._begin(self._at + 1) if self._jobs > 1 else {}
        return self._now[pack, start]

    def _begin(self, number: int) -> dict[tuple[str, int], Span]:
        """The Spans of a window, by their frames; where there are threads, on their way."""
        if number >= len(self._windows):
            return {}
        frames = self._windows[number]
        found = dict(zip((frame[:2] for frame in sorted(frames)), spans(frames), strict=True))
        each = {id(span): span for span in found.values()}.values()
        if self._jobs > 1 and (len(each) > 1 or len(self._windows) > 1):
            pool = self._threads()
            for span in each:
                span.coming = pool.submit(self._read, span.pack, span.start, span.length)
        return found

    def _threads(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (12 ms to import)

        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="ranges")
        return self._pool

    def _bytes(self, span: Span) -> bytes:
        if span.data is None:
            try:
                span.data = span.coming.result() if span.coming else self._read(span.pack, span.start, span.length)
            except FileNotFoundError:
                raise
            except OSError:
                span.data = b""  # some of its frames may be readable: they are asked for one by one
        return span.data

    def __enter__(self) -> Self:
        """Read."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ask for nothing more."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def windows(wanted: Iterable[Location]) -> list[list[Frame]]:
    """The frames of ``wanted`` in runs that fit in memory, each frame once in a run. Gaps are counted in."""
    found: list[list[Frame]] = []
    size = WINDOW
    run: dict[Frame, None] = {}
    for location in wanted:
        frame = Frame(location.pack, location.frame, location.extent)
        if frame in run:
            continue
        size += frame.length + GAP
        if size > WINDOW:
            if run:
                found.append(list(run))
            run = {}
            size = frame.length + GAP
        run[frame] = None
    return [*found, list(run)] if run else found


def spans(frames: Iterable[Frame]) -> list[Span]:
    """The Span of each frame, in the order of Packs and places: one Span for neighbours."""
    found: list[Span] = []
    for pack, start, length in sorted(frames):
        last = found[-1] if found else None
        if last and last.pack == pack and _joins(last, start, length):
            last.length = start + length - last.start
            found.append(last)
        else:
            found.append(Span(pack, start, length))
    return found


def _joins(span: Span, start: int, length: int) -> bool:
    return start - span.start - span.length <= GAP and start + length - span.start <= SPAN
