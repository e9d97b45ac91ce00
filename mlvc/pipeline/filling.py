"""How an item of a Stage with ``each`` gets into a command: templates, quoted as the shell needs it there, and lists.

Names of data files come from anywhere, and may have a space or a ``;`` in them. Pure.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping

from mlvc import oid as oids
from mlvc.errors import PipelineError
from mlvc.manifest import Entry

NAMES = ("path", "name", "stem", "suffix", "parent", "oid")
"""What a command may ask of its item: ``${item.NAME}``."""
OUT, ITEMS = "out", "items"
"""The directory of one item, and with ``batch`` the file that lists the items."""

_TEMPLATE = re.compile(r"(?<!\\)\$\{(.*?)\}")
_LISTED = re.compile(r"[\t\n\r]")


def templates(command: str) -> tuple[str, ...]:
    """What stands in a command between ``${`` and ``}``; not what a backslash makes the shell's."""
    return tuple(_TEMPLATE.findall(command))


def values_of(item: Entry, out: str, wdir: str) -> dict[str, str]:
    """What the templates of a command stand for; ``out`` as the command can use it."""
    path = relative(item.path, wdir)
    name = posixpath.basename(path)
    stem, suffix = posixpath.splitext(name)
    parent = posixpath.dirname(path) or "."
    found = (path, name, stem, suffix, parent, oids.to_text(item.oid))
    return {OUT: out, **{f"item.{key}": value for key, value in zip(NAMES, found, strict=True)}}


def relative(path: str, wdir: str) -> str:
    """A path of the repository as a command in ``wdir`` needs it; never one that looks like an option."""
    found = posixpath.relpath(path, wdir) if wdir else path
    return f"./{found}" if found.startswith("-") else found


def fill(command: str, values: Mapping[str, str]) -> str:
    """``command`` with ``values`` in place of its templates, so that the shell takes each as it is.

    Within quotes it is quoted as is needed there. PipelineError for a name with characters that mean something to the
    shell where what they would mean cannot be told.
    """
    parts: list[str] = []
    states = [_PLAIN]
    end = 0
    for found in _TEMPLATE.finditer(command):
        text = command[end : found.start()]
        parts.append(text.replace("\\${", "${"))
        _read(text, states, begins=not end)
        value = values[found[1]]
        if "<<" in command and shlex.quote(value) != value:
            raise PipelineError(
                f"'{value}' cannot be put into a command with '<<': what it means there cannot be told",
                hint="rename it to letters and digits, or let a script do what the command does",
            )
        parts.append(_QUOTED[states[-1]](value))
        end = found.end()
    parts.append(command[end:].replace("\\${", "${"))
    return "".join(parts)


_BEFORE_WORDS = " \t\n;&|("
_PLAIN, _SINGLE, _DOUBLE, _INNER, _TICKS = "plain", "single", "double", "inner", "ticks"


def _read(text: str, states: list[str], *, begins: bool) -> None:
    """How the shell quotes what stands after ``text``: the last of ``states``, which are inside one another.

    ``begins``: whether ``text`` is the beginning of the command.
    """
    at = 0
    while at < len(text):
        here, char = states[-1], text[at]
        at += 1
        if here == _SINGLE:
            if char == "'":
                states.pop()
        elif char == "\\":
            at += 1
        elif text.startswith("(", at) and char == "$":
            states.append(_INNER)
            at += 1
        elif char == '"':
            _toggle(states, _DOUBLE)
        elif char == "`":
            _toggle(states, _TICKS)
        elif here != _DOUBLE and char == "'":
            states.append(_SINGLE)
        elif here != _DOUBLE and char == "#" and (begins if at == 1 else text[at - 2] in _BEFORE_WORDS):
            at = (text + "\n").index("\n", at)
        elif here != _DOUBLE and char == "(":
            states.append(_INNER)
        elif here == _INNER and char == ")":
            states.pop()


def _toggle(states: list[str], state: str) -> None:
    if states[-1] == state:
        states.pop()
    else:
        states.append(state)


def _in_single(value: str) -> str:
    return value.replace("'", "'\\''")


def _in_double(value: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", value)


def _in_ticks(value: str) -> str:
    # What is between backticks loses one level of backslashes before it is read as a command.
    return re.sub(r"([\\$`])", r"\\\1", shlex.quote(value))


_QUOTED = {
    _PLAIN: shlex.quote,
    _INNER: shlex.quote,
    _SINGLE: _in_single,
    _DOUBLE: _in_double,
    _TICKS: _in_ticks,
}


def listing(batch: Iterable[tuple[str, str]]) -> bytes:
    """The file that tells a command its items: for each a line with its path, a tab, and its own directory.

    PipelineError for a name with a tab or a new line.
    """
    lines = []
    for path, out in batch:
        if _LISTED.search(path) or _LISTED.search(out):
            raise unlisted(path)
        lines.append(f"{path}\t{out}\n")
    return "".join(lines).encode()


def unlisted(path: str) -> PipelineError:
    """What to say of an item that no list can name."""
    return PipelineError(
        f"the name of {path!r} has a tab or a new line, which no line of a list can tell",
        hint="rename it, or leave 'batch' out",
    )


def check_listed(items: Iterable[Entry]) -> None:
    """PipelineError for a name that ``listing`` would not take."""
    for item in items:
        if _LISTED.search(item.path):
            raise unlisted(item.path)
