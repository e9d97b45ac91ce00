"""The line of progress on a terminal: after a second, and gone before anything else is written."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace

import pytest

from mlvc.cli import show


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr(show, "sys", SimpleNamespace(stderr=screen, stdout=screen))
    return screen


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [5000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_nothing_is_shown_of_what_takes_less_than_a_second(terminal: Terminal, clock: list[float]) -> None:
    line = show.Line()
    line.advance(size=42)  # also before anything was begun
    line.start("add", objects=10, total=1000)
    clock[0] += 0.9
    line.advance(objects=1, size=100)
    show.err("mlvc: something is wrong")
    assert terminal.getvalue() == "mlvc: something is wrong\n"


@pytest.mark.parametrize("say", [show.out, show.err])
def test_the_line_goes_before_something_else_is_written(terminal: Terminal, clock: list[float], say) -> None:
    line = show.Line()
    line.start("add", objects=10, total=1000)
    clock[0] += 2
    line.advance(objects=5, size=500)
    drawn = terminal.getvalue()
    assert drawn == "\r\x1b[Kadd  50%  500 B at 250 B/s  2 s left"
    say("a sentence")
    say("another one")
    line.finish()
    assert terminal.getvalue() == drawn + "\r\x1b[Ka sentence\nanother one\n"


def test_the_rest_is_told_by_the_number_of_objects_where_nobody_knows_their_bytes(
    terminal: Terminal, clock: list[float]
) -> None:
    line = show.Line()
    line.start("add", objects=100)
    clock[0] += 3
    line.advance(objects=75, size=3000)
    assert terminal.getvalue().endswith("add  75%  3.0 KB at 1.0 KB/s  1 s left")


def test_nothing_is_shown_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(show, "sys", SimpleNamespace(stderr=screen, stdout=screen))
    line = show.Line()
    line.start("add", objects=1, total=10)
    clock[0] += 5
    line.advance(objects=1, size=10)
    line.finish()
    assert screen.getvalue() == ""
