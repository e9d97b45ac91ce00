"""What a command takes on the command line, declared once and read in two ways.

A command is a function; each of its parameters is annotated with a ``Word``. ``read`` understands the plain command
lines, which are nearly all. Whatever else there is to a command line (help, a mistake, options run together) is for
typer, which ``cli/app`` sets up from the same declarations: importing typer takes 45 ms, as long as ``mlvc status``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

Command = Callable[..., int | None]
"""A command: called with what its words say. It returns an exit code; None is 0."""


@dataclass(frozen=True, slots=True)
class Word:
    """One parameter of a command: an argument, or an option if it has ``names``.

    ``least``: the smallest number that an option takes. ``rest``: this argument takes every word from its first on.
    """

    names: tuple[str, ...] = ()
    help: str = ""
    metavar: str = ""
    least: int | None = None
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Commands below one word, such as ``remote``."""

    help: str
    commands: Mapping[str, Command] = field(default_factory=dict)
    example: str = ""
    default: str = ""
    """The command that is meant where none is named; '' for the help."""


def argument(metavar: str, *, help: str, rest: bool = False) -> Word:  # noqa: A002  (as typer has it)
    """A word by its place."""
    return Word((), help, metavar, None, rest)


def option(*names: str, help: str, metavar: str = "", least: int | None = None) -> Word:  # noqa: A002
    """A word by its name; one of type bool takes no value."""
    return Word(names, help, metavar, least)


GLOBALS: Mapping[str, Word] = {
    "quiet": option("-q", "--quiet", help="Print only data and what went wrong."),
    "verbose": option("-v", "--verbose", help="Tell what is done, and how long it takes."),
    "no_progress": option("--no-progress", help="Do not show the progress of what takes longer."),
}
"""Options of type bool that every command takes, before its name as well as after. See terminal.choose."""


def declared(command: Command) -> dict[str, tuple[Any, Word]]:
    """Type and Word of each parameter of a command, and of those options that all commands have."""
    hints = get_type_hints(command, include_extras=True)
    hints.pop("return", None)
    own = {name: (hint.__origin__, hint.__metadata__[0]) for name, hint in hints.items()}
    return own | {name: (bool, word) for name, word in GLOBALS.items()}


def leading(given: Sequence[str]) -> tuple[dict[str, bool], list[str]]:
    """The options of all commands that stand before the name of one, and the words from there on."""
    names = {name: key for key, word in GLOBALS.items() for name in word.names}
    found: dict[str, bool] = {}
    words = list(given)
    while words and words[0] in names:
        found[names[words.pop(0)]] = True
    return found, words


def read(command: Command, given: Sequence[str]) -> dict[str, Any] | None:
    """The parameters that a command line gives to ``command``; None where it takes typer to tell."""
    parameters = declared(command)
    options = {name: key for key, (_, word) in parameters.items() for name in word.names}
    places = [key for key, (_, word) in parameters.items() if not word.names]
    found: dict[str, Any] = {}
    words = list(given)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            key = places[0] if places else ""
            if not key or not _take(found, key, *parameters[key], word):
                return None
            if parameters[key][1].rest:
                found[key] += words
                words = []
            elif not isinstance(found[key], list):
                places.pop(0)
            continue
        name, equals, value = word.partition("=")
        key = options.get(name, "")
        if not key or (equals and not name.startswith("--")):
            return None
        if parameters[key][0] is bool:
            if equals or key in found:
                return None
            found[key] = True
            continue
        if not equals:
            if not words or words[0].startswith("-"):
                return None
            value = words.pop(0)
        if not _take(found, key, *parameters[key], value):
            return None
    return found if _required(command) <= found.keys() else None


def _take(found: dict[str, Any], key: str, kind: Any, word: Word, value: str) -> bool:
    """Enter one value; False where it is not as plain as that."""
    if kind in (list[str], list[str] | None):
        found.setdefault(key, []).append(value)
        return True
    if key in found:
        return False
    if kind in (int, int | None):
        if not (value.isascii() and value.isdigit()) or int(value) < (word.least or 0):
            return False
        found[key] = int(value)
        return True
    found[key] = value
    return kind in (str, str | None)


def _required(command: Any) -> set[str]:
    code = command.__code__
    names = code.co_varnames[: code.co_argcount]
    return set(names[: len(names) - len(command.__defaults__ or ())])
