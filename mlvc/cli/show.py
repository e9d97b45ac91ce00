"""How results look on a terminal and as JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from mlvc import oid as oids
from mlvc.errors import MlvcError

if TYPE_CHECKING:
    from mlvc.cli import shapes
    from mlvc.errors import FormatError
    from mlvc.manifest import Entry
    from mlvc.pointer import Content
    from mlvc.snapshot import Change

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_LISTED = 20


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


def clean(text: str) -> str:
    """A path or message with control characters made visible, so that it is one line on any terminal."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogateescape").decode("ascii", "replace") for c in text
    )


def out(text: str = "") -> None:
    """A line of data, to stdout."""
    Line.clear()
    sys.stdout.write(text + "\n")


def raw(parts: Iterable[bytes | memoryview]) -> None:
    """Bytes to stdout. They may fail to come to an end; where nobody reads them any more, no more are asked for."""
    with suppress(BrokenPipeError):
        for part in parts:
            sys.stdout.buffer.write(part)
    sys.stdout.flush()


def err(text: str) -> None:
    """A line about what happens, to stderr."""
    Line.clear()
    sys.stderr.write(text + "\n")


def failure(error: MlvcError) -> None:
    """An error as a person reads it."""
    err(f"mlvc: {clean(error.message)}")
    if error.hint:
        err(f"hint: {error.hint}")


def json_out(value: Any) -> None:
    """A result as JSON on stdout."""
    import json  # noqa: PLC0415

    out(json.dumps(value, indent=2, ensure_ascii=False))


# -- changes -----------------------------------------------------------------------------------


def change_line(change: Change) -> str:
    """One change: what happened, to which path, with sizes."""
    path = clean(change.path)
    if change.kind == "renamed":
        return f"renamed   {clean(change.source)} -> {path}  ({size(change.new.size if change.new else 0)})"
    if change.old is None:
        return f"added     {path}  ({size(change.new.size if change.new else 0)})"
    if change.new is None:
        return f"deleted   {path}  ({size(change.old.size)})"
    if change.old == change.new:
        return f"relinked  {path}  ({size(change.new.size)})"
    if change.old.size == change.new.size and change.old.oid == change.new.oid:
        return f"modified  {path}  ({_mode(change)})"
    return f"modified  {path}  ({size(change.old.size)} -> {size(change.new.size)})"


def _mode(change: Change) -> str:
    kinds = {"f": "a file", "x": "executable", "l": "a link", "d": "a directory"}
    return f"now {kinds.get(change.new.kind if change.new else '', 'something else')}"


def change_lines(changes: Iterable[Change], indent: str = "  ", *, everything: bool = False) -> list[str]:
    """The changes, the first twenty of many."""
    found = list(changes)
    shown = found if everything else found[:_LISTED]
    lines = [indent + change_line(change) for change in shown]
    if len(shown) < len(found):
        lines.append(f"{indent}… and {number(len(found) - len(shown), 'more')[:-1]}: see `mlvc diff`")
    return lines


def change_json(change: Change) -> shapes.Change:
    """One change as JSON: path, kind, sizes in bytes, Oids."""
    value: shapes.Change = {"path": change.path, "change": change.kind}
    if change.source:
        value["from"] = change.source
    if change.old is not None:
        value["old"] = _entry_json(change.old)
    if change.new is not None:
        value["new"] = _entry_json(change.new)
    return value


def _entry_json(entry: Entry) -> shapes.Entry:
    value: shapes.Entry = {"size": entry.size, "kind": entry.kind}
    if entry.kind != "d":
        value["oid"] = oids.to_text(entry.oid)
    return value


def summary(changes: Iterable[Change]) -> str:
    """``2 added, 1 modified``."""
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.kind] = counts.get(change.kind, 0) + 1
    return ", ".join(
        f"{counts[kind]:,} {kind}" for kind in ("added", "modified", "deleted", "renamed") if kind in counts
    )


def content_json(content: Content) -> shapes.Content:
    """Tracked content as JSON."""
    return {"kind": content.kind, "oid": oids.to_text(content.oid), "size": content.size, "files": content.files}


def named_lost(paths: Mapping[str, str], unreadable: Collection[FormatError] = ()) -> None:
    """Every path that could not be had, with the reason; and what cannot be read, if that is not told in the end."""
    for path, reason in paths.items():
        err(f"{reason}  {clean(path)}")
    if len(unreadable) > 1 or (paths and unreadable):
        for error in unreadable:
            err(f"unreadable  {clean(error.message)}")


# -- progress ----------------------------------------------------------------------------------


class Line:
    """Progress as one line on a terminal, shown when something takes over a second; nothing elsewhere."""

    _drawn: ClassVar[Line | None] = None
    """The one that stands on the terminal, where the next line would be written beside it."""

    def __init__(self) -> None:
        self._label = ""
        self._objects = self._size = self._total = self._count = 0
        self._began, self._shown = time.monotonic(), 0.0
        self._live = sys.stderr.isatty()

    def start(self, label: str, *, objects: int = 0, total: int = 0) -> None:
        """See Progress."""
        self.finish()
        self._label, self._objects, self._total = label, objects, total
        self._count = self._size = 0
        self._began = time.monotonic()

    def advance(self, *, objects: int = 0, size: int = 0) -> None:
        """See Progress."""
        self._count += objects
        self._size += size
        now = time.monotonic()
        if not self._live or now - self._began < 1 or now - self._shown < 0.1:
            return
        self._shown = now
        Line._drawn = self
        sys.stderr.write("\r\x1b[K" + self._text(now - self._began))
        sys.stderr.flush()

    def _text(self, seconds: float) -> str:
        rate = self._size / seconds
        parts = [self._label]
        # By the bytes; by the number of objects where nobody knows their bytes yet.
        done, all_of_it = (self._size, self._total) if self._total else (self._count, self._objects)
        if all_of_it:
            parts.append(f"{min(100, 100 * done // all_of_it)}%")
        parts.append(f"{size(self._size)} at {size(int(rate))}/s")
        if all_of_it > done > 0:
            parts.append(f"{(all_of_it - done) * seconds / done:.0f} s left")
        return "  ".join(parts)

    def note(self, message: str) -> None:
        """See Progress."""
        self.finish()
        err(message)

    def finish(self) -> None:
        """See Progress."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = 0.0
            Line._drawn = None

    @classmethod
    def clear(cls) -> None:
        """Take the line off the terminal, if there is one: something else is about to be written."""
        if cls._drawn is not None:
            cls._drawn.finish()
