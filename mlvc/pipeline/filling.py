"""How an item of a Stage with ``each`` gets into a command: as variables of its environment, and as lists.

Names of data files come from anywhere, and may have a space or a ``$(…)`` in them. In the text of the command stand
references to variables only: the shell does not read as code what a variable stands for. Pure.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlvc import oid as oids
from mlvc.errors import PipelineError
from mlvc.manifest import Entry
from mlvc.pipeline import quoting

NAMES = ("path", "name", "stem", "suffix", "parent", "oid")
"""What a command may ask of its item: ``${item.NAME}``."""
OUT, ITEMS = "out", "items"
"""The directory of one item, and with ``batch`` the file that lists the items."""

_TEMPLATE = re.compile(r"(?<!\\)\$\{(.*?)\}")
_LISTED = re.compile(r"[\t\n\r]")


def templates(command: str) -> tuple[str, ...]:
    """What stands in a command between ``${`` and ``}``; not what a backslash makes the shell's."""
    return tuple(_TEMPLATE.findall(command))


def variable(name: str) -> str:
    """The variable of the environment that has what a template stands for: ``MLVC_ITEM_PATH``, ``MLVC_OUT``."""
    return "MLVC_" + name.upper().replace(".", "_")


def asks(command: str, name: str) -> bool:
    """Whether a command has a template, or the variable for it."""
    return name in templates(command) or re.search(rf"\b{variable(name)}\b", command) is not None


def values_of(item: Entry, out: str, wdir: str) -> dict[str, str]:
    """What the templates of a command stand for; ``out`` as the command can use it."""
    path = relative(item.path, wdir)
    name = posixpath.basename(path)
    stem, suffix = posixpath.splitext(name)
    parent = posixpath.dirname(path) or "."
    found = (path, name, stem, suffix, parent, oids.to_text(item.oid))
    return {OUT: out, **{f"item.{key}": value for key, value in zip(NAMES, found, strict=True)}}


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """The variables that a command gets."""
    return {variable(name): value for name, value in values.items()}


def relative(path: str, wdir: str) -> str:
    """A path of the repository as a command in ``wdir`` needs it; never one that looks like an option."""
    found = posixpath.relpath(path, wdir) if wdir else path
    return f"./{found}" if found.startswith("-") else found


@dataclass(frozen=True, slots=True)
class Filled:
    """A command as the shell gets it: the same one for every item."""

    text: str
    computed: frozenset[str] = frozenset()
    """The templates that stand where the shell computes. It would read anything but a number as code there."""
    lost: tuple[str, ...] = ()
    """Those that stand where the shell replaces nothing."""

    def check(self, values: Mapping[str, str]) -> None:
        """PipelineError for a value that is no number where the shell computes with it."""
        for name in sorted(self.computed):
            if not _NUMBER.fullmatch(values[name]):
                raise PipelineError(
                    f"${{{name}}} is {values[name]!r} here, and the command computes with it",
                    hint="let the pattern fit names that are numbers only, or compute in a script",
                )


_NUMBER = re.compile(r"[0-9]+")
_REFERENCES = {
    quoting.PLAIN: '"${%s}"',
    quoting.DOUBLE: "${%s}",
    quoting.SINGLE: "'\"${%s}\"'",
    quoting.ANSI: "'\"${%s}\"$'",
    quoting.COMPUTED: "${%s}",
    quoting.TEXT: "${%s}",
}
"""What stands for a template, so that it is one word or a part of one. Each is whole in itself: where it was taken for
another place than it is, what the shell reads around it stays the same."""


def fill(command: str) -> Filled:
    """``command`` with references to variables in place of its templates."""
    names = templates(command)
    pieces = [piece.replace("\\${", "${") for piece in _TEMPLATE.split(command)[::2]]
    contexts = quoting.contexts(quoting.MARK.join(piece.replace(quoting.MARK, " ") for piece in pieces))
    marked = list(zip(names, contexts, strict=True))
    ends = (_REFERENCES[context] % variable(name) for name, context in marked)
    text = pieces[0] + "".join(end + piece for end, piece in zip(ends, pieces[1:], strict=True))
    computed = frozenset(name for name, context in marked if context == quoting.COMPUTED)
    return Filled(text, computed, tuple(name for name, context in marked if context == quoting.TEXT))


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
