"""Text for people: amounts, times, names that are one line, and long lines laid out for a terminal. Pure."""

from __future__ import annotations

import re

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_STEP = 4
"""How much deeper than its beginning the rest of a long line stands."""
_WORD = re.compile(r"(?:`[^`]*`|'[^' ][^']*'|\([^()`]{1,30}\)|\S)+")
"""What is never torn: a word, a command or a name in quotes, a short remark in parentheses."""
_MARKED = re.compile(r"( *)(\w+)(?=  \S)|( *)(mlvc|hint|note|broken|slow):(?= )")
_RED, _GREEN, _YELLOW, _CYAN = "31", "32", "33", "36"
_COLOURS = {
    **dict.fromkeys(("mlvc", "broken", "damaged", "missing", "unreadable", "deleted"), _RED),
    **dict.fromkeys(("added", "restored"), _GREEN),
    **dict.fromkeys(("slow", "modified", "updated", "renamed", "relinked"), _YELLOW),
    **dict.fromkeys(("hint", "note"), _CYAN),
}
"""Only the first word of a line ever has a colour, and only one of these: without it a line says the same."""


def size(count: int) -> str:
    """Bytes for people: three digits and a unit of a thousand."""
    value = float(count)
    for unit in _UNITS:
        if value < 999.5 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def number(count: int, what: str) -> str:
    """``1 file``, ``2 files``, ``20,000 files``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """``9 s``, ``4 min``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def clean(text: str) -> str:
    """A path or message with control characters made visible, so that it is one line on any terminal."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogateescape").decode("ascii", "replace") for c in text
    )


def folded(text: str, width: int) -> str:
    """``text`` in lines of at most ``width``, broken between words. A word that is longer stays where it is, whole.

    So a path, or a command in backticks, can be copied as it stands: it is for the terminal to break it.
    """
    if len(text) <= width and "\t" not in text:
        return text
    text = text.expandtabs()
    if len(text) <= width:
        return text
    inner = " " * (len(text) - len(text.lstrip(" ")) + _STEP)
    lines, line, end = [], "", 0
    for word in _WORD.finditer(text):
        gap = text[end : word.start()]
        end = word.end()
        if len(line) + len(gap) + len(word[0]) > width >= len(inner) + len(word[0]):
            lines.append(line)
            line = inner + word[0]
        else:
            line += gap + word[0]
    return "\n".join([*lines, line])


def painted(text: str) -> str:
    """``text`` with its first word in colour, where that says what happened or what kind of line this is."""
    found = _MARKED.match(text)
    if found is None or found[found.lastindex or 0] not in _COLOURS:
        return text
    start, end = found.span(found.lastindex or 0)
    word = text[start:end]
    return f"{text[:start]}\x1b[{_COLOURS[word]}m{word}\x1b[0m{text[end:]}"
