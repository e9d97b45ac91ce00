"""``.mlvcignore``: what is never tracked, in the syntax of gitignore."""

from __future__ import annotations

import os
from collections.abc import Callable

from mlvc import files
from mlvc.errors import FormatError

NAME = ".mlvcignore"
ALWAYS = frozenset({".git", ".mlvc", "__pycache__"})
"""Names that are never part of tracked data or of a dependency. Python writes ``__pycache__`` while a stage runs."""

Ignore = Callable[[str, bool], bool]
"""Whether a path (relative to the repository, and is it a directory?) is ignored."""


def load(root: str) -> Ignore | None:
    """The rules of the repository at ``root``; None where there are none, which is faster."""
    data = files.read_or_none(os.path.join(root, NAME))
    if data is None:
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  (only where there is a file to read)

    try:
        spec = GitIgnoreSpec.from_lines(data.decode().splitlines())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError(f"{NAME}, line {line}, is not UTF-8 text", hint="save it as UTF-8") from None
    except ValueError as error:
        raise FormatError(f"{NAME} cannot be read: {error}", hint="its patterns are those of .gitignore") from None

    def ignored(path: str, is_dir: bool) -> bool:  # noqa: FBT001  (the shape of a callback)
        return spec.match_file(path + "/" if is_dir else path)

    return ignored
