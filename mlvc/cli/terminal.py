"""Standard output and error: what stands there, in which manner, and the one line that is drawn again and again.

Every line that mlvc writes goes through ``put``, so that none is ever glued to the line of progress.
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
_CLEAR = "\r\x1b[K"


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
"""The line that stands on the terminal and has no end yet."""


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


def put(text: str, stream: Any, *, laid_out: bool) -> None:
    """Write a line. ``laid_out``: on a terminal it is folded between words; and it may have colour."""
    with speaking:
        if _drawn:
            clear()
        if laid_out:
            text = folded(text, width(stream)) if stream.isatty() else text
            text = painted(text) if has_colour(stream) else text
        stream.write(text + "\n")


def draw(text: str) -> None:
    """Draw the line of progress over the one that stands there."""
    global _drawn  # noqa: PLW0603  (there is one terminal)
    with speaking:
        sys.stderr.write(_CLEAR + text)
        sys.stderr.flush()
        _drawn = text


def clear() -> None:
    """Take the line of progress off the terminal, if it is there."""
    global _drawn  # noqa: PLW0603  (as above)
    with speaking:
        if _drawn:
            _drawn = ""
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()


ending: Callable[[], None] = clear
"""Ends the operation that is shown."""
