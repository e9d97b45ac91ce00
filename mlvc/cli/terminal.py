"""Standard output and error: what stands there, in which manner, and the lines that are drawn again and again.

Every line that mlvc writes goes through ``put``, so that none is ever glued to what is drawn: the lines of ``stand``,
and below them the line of progress. What others print goes through ``pass_on``, which knows whether it ended a line.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlvc.errors import UsageError
from mlvc.text import folded, painted

WIDTH = 80
"""Columns, where a terminal does not tell how many it has."""
HEIGHT = 24
_CLEAR = "\r\x1b[K"
_ABOVE = "\x1b[A\x1b[K"


@dataclass(slots=True)
class Manner:
    """How this process talks, as the command line and the settings have it.

    ``quiet``: only data and what went wrong. ``verbose``: what is done, and how long it takes. ``progress``: whether
    work that takes long is shown.
    """

    quiet: bool = False
    verbose: bool = False
    progress: bool = True


manner = Manner()
speaking = RLock()
"""Held while anything is written: progress comes from several threads."""
_drawn = ""
"""The line of progress that stands on the terminal and has no end yet."""
_standing: list[str] = []
"""The lines above it, which stay when others are written."""
_height = 0
"""How many lines are drawn now."""
_open = False
"""What was passed on last did not end its line."""


def begin() -> None:
    """Talk as one does without any option."""
    manner.quiet = manner.verbose = False
    manner.progress = os.environ.get("MLVC_CORE_PROGRESS", "").lower() != "false"  # also outside of a repository


def end() -> None:
    """End the operation that is shown, if there is one. From here on nothing moves any more."""
    global ending  # noqa: PLW0603  (there is one terminal)
    with speaking:
        ending()
        ending = clear
        manner.progress = False


def choose(*, quiet: bool = False, verbose: bool = False, no_progress: bool = False) -> None:
    """Take the global options into account, wherever on the command line they stand."""
    manner.quiet |= quiet
    manner.verbose |= verbose
    manner.progress &= not (no_progress or manner.quiet)
    if manner.quiet and manner.verbose:
        raise UsageError("--quiet and --verbose contradict each other", hint="leave one of them out")


def is_live(stream: Any) -> bool:
    """Whether a stream is a terminal on which a line can be drawn again."""
    return bool(stream.isatty()) and _understands_escapes()


def _understands_escapes() -> bool:
    if os.name == "nt":
        return bool(os.environ.get("WT_SESSION") or os.environ.get("TERM"))
    return os.environ.get("TERM", "") not in ("", "dumb")


def has_colour(stream: Any) -> bool:
    """Whether a stream gets colour: a terminal does, unless the environment says otherwise.

    NO_COLOR forbids it; then FORCE_COLOR and CLICOLOR_FORCE ask for it anywhere; then CLICOLOR=0 and TERM=dumb forbid.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return os.environ.get("CLICOLOR") != "0" and is_live(stream)


def width(stream: Any) -> int:
    """The columns of a terminal, as they are now."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError, AttributeError):
        return WIDTH


def height(stream: Any) -> int:
    """The lines of a terminal, as they are now."""
    try:
        return os.get_terminal_size(stream.fileno()).lines or HEIGHT
    except (OSError, ValueError, AttributeError):
        return HEIGHT


def put(text: str, stream: Any, *, laid_out: bool) -> None:
    """Write a line. ``laid_out``: on a terminal it is folded between words; and it may have colour."""
    global _drawn  # noqa: PLW0603  (there is one terminal)
    with speaking:
        _drawn = ""
        _erase()
        _end_line()
        if laid_out:
            text = folded(text, width(stream)) if stream.isatty() else text
            text = painted(text) if has_colour(stream) else text
        stream.write(text + "\n")
        if _standing:
            stream.flush()
            _paint()


def ask(text: str) -> None:
    """Write a question, behind which a person answers."""
    with speaking:
        clear()
        _end_line()
        sys.stderr.write(text)
        sys.stderr.flush()


def pass_on(data: bytes) -> None:
    """Write to standard error what somebody else printed, as it is."""
    global _drawn, _open  # noqa: PLW0603  (there is one terminal)
    with speaking:
        _drawn = ""
        _erase()
        sys.stderr.flush()
        _all_written(data)
        _open = not data.endswith(b"\n")


def _all_written(data: bytes) -> None:
    try:
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()
    except OSError:
        sys.stderr.write("")  # nobody reads it any more; the stream knows what to do
        sys.stderr.flush()


def _end_line() -> None:
    global _open  # noqa: PLW0603  (there is one terminal)
    if _open:
        _open = False
        sys.stderr.write("\n")
        sys.stderr.flush()


def draw(text: str) -> None:
    """Draw the line of progress over the one that stands there."""
    global _drawn  # noqa: PLW0603  (there is one terminal)
    with speaking:
        _end_line()
        _drawn = text
        _repaint()


def stand(lines: list[str]) -> None:
    """Draw these lines, and again below whatever is written, until there are others."""
    global _standing  # noqa: PLW0603  (there is one terminal)
    with speaking:
        if lines or _standing:
            _end_line()
            _standing = lines
            _repaint()


def clear() -> None:
    """Take the line of progress off the terminal, if it is there."""
    global _drawn  # noqa: PLW0603  (there is one terminal)
    with speaking:
        if _drawn:
            _drawn = ""
            _repaint()


def _repaint() -> None:
    if _height == 1 and len(_lines()) == 1:
        _paint(_CLEAR)  # over itself, without a moment of nothing
    else:
        _erase()
        _paint()


def _lines() -> list[str]:
    return [*_standing, _drawn] if _drawn else _standing


def _erase() -> None:
    global _height  # noqa: PLW0603  (there is one terminal)
    if _height:
        sys.stderr.write(_CLEAR + _ABOVE * (_height - 1))
        sys.stderr.flush()
        _height = 0


def _paint(before: str = _CLEAR) -> None:
    global _height  # noqa: PLW0603  (there is one terminal)
    lines = _lines()
    if lines:
        sys.stderr.write(before + "\n".join(lines))
        sys.stderr.flush()
    _height = len(lines)


ending: Callable[[], None] = clear
"""Ends the operation that is shown."""
