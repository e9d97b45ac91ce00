"""Progress: a line on a terminal after a second, gone before anything else is written; now and then a line in a log."""

from __future__ import annotations

import io
import time
from _thread import start_new_thread
from types import SimpleNamespace
from typing import Any

import pytest

from mlvc.cli import meter, show, terminal
from mlvc.progress import Part


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def standing(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO) -> None:
    """Let ``screen`` be what mlvc writes to; nothing moves by itself."""
    streams = SimpleNamespace(stderr=screen, stdout=screen)
    for module in (show, meter, terminal):
        monkeypatch.setattr(module, "sys", streams)
    monkeypatch.setattr(meter, "start_new_thread", lambda *_: None)
    monkeypatch.setenv("TERM", "xterm")
    for name, nothing in (("_drawn", ""), ("_standing", []), ("_height", 0), ("_open", False)):
        monkeypatch.setattr(terminal, name, nothing)
    terminal.begin()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    found = Terminal()
    standing(monkeypatch, found)
    return found


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    found = io.StringIO()
    standing(monkeypatch, found)
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [5000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_nothing_is_shown_of_what_takes_less_than_a_second(screen: Terminal, clock: list[float]) -> None:
    line = show.Line()
    line.advance(size=42)  # also before anything was begun
    line.start("storing", objects=10, total=1000)
    clock[0] += 0.9
    line.advance(objects=1, size=100)
    show.err("mlvc: something is wrong")
    assert screen.getvalue() == "mlvc: something is wrong\n"


@pytest.mark.parametrize("say", [show.out, show.err, show.report, show.always])
def test_the_line_goes_before_something_else_is_written(screen: Terminal, clock: list[float], say: Any) -> None:
    line = show.Line()
    line.start("storing", objects=10, total=1000)
    clock[0] += 2
    line.advance(objects=5, size=500)
    drawn = screen.getvalue()
    assert drawn == "\r\x1b[Kstoring  50%  5 of 10 objects  500 B of 1.0 KB  250 B/s  2 s left"
    say("a sentence")
    say("another one")
    line.finish()
    assert screen.getvalue() == drawn + "\r\x1b[Ka sentence\nanother one\n"


@pytest.mark.parametrize(
    ("start", "done", "text"),
    [
        ({"objects": 400}, {"objects": 300, "size": 3000}, "75%  300 of 400 objects  3.0 KB  1.0 KB/s  1 s left"),
        ({"objects": 9000}, {"objects": 3, "size": 10**9}, "0%  3 of 9,000 objects  1.0 GB  333 MB/s"),
        ({"objects": 4}, {"objects": 3}, "75%  3 of 4 objects  1 s left"),
        ({"total": 6000}, {"size": 3000}, "50%  3.0 KB of 6.0 KB  1.0 KB/s  3 s left"),
        ({}, {"objects": 1}, "1 object"),
        ({}, {}, "3 s"),
        # More than was foretold, as where a Pack has more objects than are wanted.
        ({"objects": 5, "total": 10}, {"objects": 9, "size": 12}, "100%  5 of 5 objects  10 B of 10 B  4 B/s"),
        ({"total": 10**12}, {"size": 10**9}, "0%  1.0 GB of 1.0 TB  333 MB/s  50 min left"),
    ],
)
def test_what_is_known_is_shown(
    screen: Terminal, clock: list[float], start: dict[str, int], done: dict[str, int], text: str
) -> None:
    line = show.Line()
    line.start("storing", **start)
    clock[0] += 3
    line.advance(**done)
    assert screen.getvalue().removeprefix("\r\x1b[K") == f"storing  {text}"


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (200, "storing  50%  5 of 10 objects  500 B of 1.0 KB  250 B/s  2 s left"),
        (60, "storing  50%  5 of 10 objects  500 B of 1.0 KB  2 s left"),
        (50, "storing  50%  500 B of 1.0 KB  2 s left"),
        (30, "storing  50%  2 s left"),
        (15, "storing  50%"),
        (8, "storing"),
        (5, "stor"),
    ],
)
def test_what_says_least_goes_where_there_is_little_room(
    screen: Terminal, clock: list[float], monkeypatch: pytest.MonkeyPatch, columns: int, text: str
) -> None:
    monkeypatch.setattr(terminal, "width", lambda _: columns)
    line = show.Line()
    line.start("storing", objects=10, total=1000)
    clock[0] += 2
    line.advance(objects=5, size=500)
    assert screen.getvalue() == f"\r\x1b[K{text}"


def test_in_a_log_there_is_a_line_now_and_then(log: io.StringIO, clock: list[float]) -> None:
    line = show.Line()
    line.start("storing", total=7200)
    for _ in range(7200):
        clock[0] += 0.5
        line.advance(size=1)
    line.finish()
    lines = log.getvalue().splitlines()
    assert lines[0] == "storing  0%  10 B of 7.2 KB  2 B/s  60 min left"
    assert 55 < len(lines) < 70  # in an hour
    assert not {"\r", "\x1b"}.intersection(log.getvalue())


def test_in_a_log_there_is_nothing_of_what_takes_less_than_five_seconds(log: io.StringIO, clock: list[float]) -> None:
    line = show.Line()
    for _ in range(10):
        line.start("storing", total=10)
        clock[0] += 4.9
        line.advance(size=10)
    line.finish()
    assert log.getvalue() == ""


@pytest.mark.parametrize("options", [{"quiet": True}, {"no_progress": True}])
def test_nothing_is_shown_that_is_not_wanted(screen: Terminal, clock: list[float], options: dict[str, bool]) -> None:
    terminal.choose(**options)
    line = show.Line()
    line.start("storing", total=10)
    clock[0] += 10
    line.advance(size=5)
    line.note("a note")
    assert screen.getvalue() == ("" if "quiet" in options else "a note\n")


def test_who_wants_to_know_more_is_told_what_took_how_long(log: io.StringIO, clock: list[float]) -> None:
    terminal.choose(verbose=True)
    line = show.Line()
    line.start("asking 'store'")
    clock[0] += 0.25
    line.start("sending", objects=2, total=2000)
    clock[0] += 2
    line.advance(objects=2, size=2000)
    terminal.end()  # as where an error ends it
    assert log.getvalue() == "asking 'store': 0.25 s\nsending: 2 objects, 2.0 KB in 2.00 s (1.0 KB/s)\n"


def test_after_the_end_nothing_moves(screen: Terminal, clock: list[float]) -> None:
    line = show.Line()
    line.start("storing", total=10)
    terminal.end()
    clock[0] += 5
    line.advance(size=5)
    assert screen.getvalue() == ""


def test_where_nothing_advances_time_does(screen: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    standing(monkeypatch, screen)
    monkeypatch.setattr(meter, "start_new_thread", start_new_thread)
    monkeypatch.setattr(meter, "_PATIENCE", 0.1)
    monkeypatch.setattr(meter, "_TICK", 0.01)
    with show.working("asking"):
        until = time.monotonic() + 30
        while "asking" not in screen.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
    assert screen.getvalue().startswith("\r\x1b[Kasking  0 s")
    assert screen.getvalue().endswith("\r\x1b[K")


def test_a_large_object_advances_by_its_bytes_once(screen: Terminal, clock: list[float]) -> None:
    line = show.Line()
    line.start("storing", objects=1, total=100)
    clock[0] += 2
    part = Part(line, 100)
    for size in (60, 60, 60):  # a part of it is read twice
        part(size)
        clock[0] += 1
    assert "100 B of 100 B" in screen.getvalue()
    other = Part(line, 50)
    other.end()  # linked: nobody told of its bytes
    clock[0] += 1
    line.advance()
    assert line._size == 150
