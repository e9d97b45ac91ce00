"""Patterns of paths, for dependencies, parameter files and Stages. Pure.

``*`` stands for any characters of one name, ``?`` for one, and a part that is ``**`` for any number of directories,
none among them; at the end, for all files below. As in a shell, a name that begins with a dot fits only a part that
does so too. Nothing else is special: ``[`` is a character as any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

Fits = Callable[[str], bool]


def is_pattern(path: str) -> bool:
    """Whether ``path`` stands for all that fits it."""
    return "*" in path or "?" in path


def fixed(pattern: str) -> str:
    """The directory that all that fits lies below: the parts before the first that is special; '' for the top."""
    parts = pattern.split("/")
    first = next((number for number, part in enumerate(parts) if is_pattern(part)), len(parts))
    return "/".join(parts[:first])


def is_flat(pattern: str) -> bool:
    """Whether all that fits lies directly in the directory ``fixed``."""
    return pattern.rpartition("/")[0] == fixed(pattern) and not pattern.endswith("**")


@lru_cache(maxsize=1000)
def fits(pattern: str) -> Fits:
    """A function that tells whether a path of a file fits the whole of ``pattern``."""
    parts = pattern.split("/")
    if parts[-1] == "**":
        parts.append("*")
    found = "".join(_DEEPER if part == "**" else _part(part) + "/" for part in parts)
    return _matching(found.removesuffix("/"))


@lru_cache(maxsize=1000)
def leads(pattern: str) -> Fits:
    """A function that tells whether anything in a directory, or below it, may fit ``pattern``."""
    *directories, last = pattern.split("/")
    return _matching(_leading([*directories, last] if last == "**" else directories), before="/")


def _leading(parts: list[str]) -> str:
    """The expression for a directory that the first of ``parts``, one or more, fit; all below where one is ``**``."""
    if not parts:
        return ""
    if parts[0] == "**":
        hidden = any(part.startswith(".") for part in parts)
        return "(?:/[^/]+)*" if hidden else f"(?:/{_NAME})*"
    return f"(?:/{_part(parts[0])}{_leading(parts[1:])})?"


_SHOWN = r"(?!\.)"
_NAME = rf"{_SHOWN}[^/]+"
_DEEPER = rf"(?:{_NAME}/)*"


def _part(part: str) -> str:
    """The expression for one name."""
    shown = _SHOWN if part[:1] in ("*", "?") else ""
    signs = {"*": "[^/]*", "?": "[^/]"}
    return shown + "(?!/|$)" + "".join(signs.get(sign) or re.escape(sign) for sign in part)


def _matching(expression: str, before: str = "") -> Fits:
    match = re.compile(expression, re.DOTALL).fullmatch
    return lambda path: match(before + path) is not None
