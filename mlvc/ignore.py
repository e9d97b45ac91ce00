"""``.mlvcignore``: what is never tracked, in the syntax of gitignore."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from mlvc import files
from mlvc.errors import FormatError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

NAME = ".mlvcignore"
ALWAYS = frozenset({".git", ".mlvc", "__pycache__"})
"""Names that are never part of tracked data or of a dependency. Python writes ``__pycache__`` while a stage runs."""

BYPRODUCTS = frozenset({"__pycache__"})
"""Those of them that are made anew where they are not there."""

Ignore = Callable[[str, bool], bool]
"""Whether a path (relative to the repository, and is it a directory?) is ignored."""


class Rule(NamedTuple):
    """Why a path is ignored. ``line``: of ``.mlvcignore``, from 1; 0 where mlvc itself says so."""

    line: int
    pattern: str


def load(root: str) -> Ignore | None:
    """The rules of the repository at ``root``; None where there are none, which is faster."""
    found = _spec(root)
    if found is None:
        return None
    spec, _ = found

    def ignored(path: str, is_dir: bool) -> bool:  # noqa: FBT001  (the shape of a callback)
        return spec.match_file(path + "/" if is_dir else path)

    return ignored


def explain(root: str) -> Callable[[str, bool], Rule | None]:
    """What says of a path (relative to ``root``, and is it a directory?) by which rule it is ignored, if it is.

    As a walk finds it: what is in an ignored directory is ignored with it.
    """
    found = _spec(root)

    def rule(path: str, is_dir: bool) -> Rule | None:  # noqa: FBT001  (the shape of a callback)
        parts = path.split("/")
        for count, part in enumerate(parts, 1):
            if part in ALWAYS:
                return Rule(0, part)
            if found is not None:
                spec, lines = found
                above = "/".join(parts[:count])
                result = spec.check_file(above + "/" if is_dir or count < len(parts) else above)
                if result.include and result.index is not None:
                    return Rule(*lines[result.index])
        return None

    return rule


def _spec(root: str) -> tuple[GitIgnoreSpec, list[tuple[int, str]]] | None:
    """The patterns, and the number and text of the line that each comes from; None where there are none."""
    data = files.read_or_none(os.path.join(root, NAME))
    if data is None:
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  (only where there is a file to read)

    try:
        lines = [(number, line) for number, line in enumerate(data.decode().splitlines(), 1) if line]
        return GitIgnoreSpec.from_lines([line for _, line in lines]), lines
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError(f"{NAME}, line {line}, is not UTF-8 text", hint="save it as UTF-8") from None
    except ValueError as error:
        raise FormatError(f"{NAME} cannot be read: {error}", hint="its patterns are those of .gitignore") from None
