"""Which tracked paths mlvc stored from, or put into, one working tree.

Unlike the Index this cannot be found out again: it is what tells checkout that data which no Pointer
names any more was tracked, and may go. One path in JSON a line, sorted: docs/formats/store.md.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from mlvc import codec, files
from mlvc.errors import FormatError


def read(path: str) -> set[str]:
    """The paths in the file; a line that cannot be read is none."""
    found = set()
    for line in (files.read_or_none(path) or b"").decode(errors="replace").splitlines():
        with suppress(FormatError):
            value = codec.load_json(line, path)
            if isinstance(value, str):
                found.add(value)
    return found


def update(path: str, new: Collection[str], *, gone: Collection[str] = ()) -> None:
    """Note ``new`` and forget ``gone``. The file is replaced whole, and only where something changes."""
    before = read(path)
    after = (before | set(new)) - set(gone)
    if after != before:
        files.replace(path, "".join(f"{codec.compact_json(name)}\n" for name in sorted(after)).encode())
