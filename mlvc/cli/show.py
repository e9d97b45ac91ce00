"""How results look on a terminal and as JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mlvc import oid as oids
from mlvc.cli import terminal
from mlvc.cli.meter import Line, working
from mlvc.cli.terminal import manner
from mlvc.errors import MlvcError
from mlvc.text import clean, number, size

if TYPE_CHECKING:
    from mlvc.cli import shapes
    from mlvc.errors import FormatError
    from mlvc.manifest import Entry
    from mlvc.pointer import Content
    from mlvc.snapshot import Change

_LISTED = 20


def out(text: str = "") -> None:
    """A line of data, to stdout, as it is."""
    terminal.put(text, sys.stdout, laid_out=False)


def report(text: str = "") -> None:
    """A line for people to stdout: on a terminal it is folded, and its first word may have colour."""
    terminal.put(text, sys.stdout, laid_out=True)


def raw(parts: Iterable[bytes | memoryview]) -> None:
    """Bytes to stdout. They may fail to come to an end; where nobody reads them any more, no more are asked for."""
    with suppress(BrokenPipeError):
        for part in parts:
            sys.stdout.buffer.write(part)
    sys.stdout.flush()


def err(text: str) -> None:
    """A line about what happens, to stderr; none with --quiet."""
    if not manner.quiet:
        always(text)


def always(text: str) -> None:
    """A line to stderr also with --quiet: what went wrong, or what was asked for."""
    terminal.put(text, sys.stderr, laid_out=True)


def detail(text: str) -> None:
    """A line to stderr for those who want to know more: only with --verbose."""
    if manner.verbose:
        always(clean(text))


def to_type(what: str, command: str) -> None:
    """A hint with a command to type. That is on one line, so that it can be copied, however narrow the terminal is."""
    text = f"hint: {what}: {command}"
    if sys.stderr.isatty() and len(text) > terminal.width(sys.stderr):
        err(f"hint: {what}:")
        if not manner.quiet:
            terminal.put(f"  {command}", sys.stderr, laid_out=False)
    else:
        err(text)


def hint_git(names: Iterable[str], cwd: str) -> None:
    """How to record in Git what changed: its files that are gone are recorded by the same command."""
    words = list(dict.fromkeys(quoted(os.path.relpath(name, cwd or ".")) for name in names))
    if words:
        to_type("record it in Git", "git add " + " ".join(words[:8]) + (" …" if len(words) > 8 else ""))


def quoted(name: str) -> str:
    """A path as a shell takes it."""
    import shlex  # noqa: PLC0415

    if name.isprintable():
        return shlex.quote(name)
    # As bash, zsh and the newest sh take it.
    return "$'" + clean(name.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def failure(error: MlvcError) -> None:
    """An error as a person reads it. The hint belongs to it, and stays with --quiet."""
    always(f"mlvc: {clean(error.message)}")
    if error.hint:
        always(f"hint: {error.hint}")


def json_out(value: Any) -> None:
    """A result as JSON on stdout."""
    import json  # noqa: PLC0415

    # Elsewhere a character that the encoding lacks would become an escape that JSON does not have.
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    out(json.dumps(value, indent=2, ensure_ascii=not is_utf8))


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
    """The changes, the first twenty of many; with --verbose all."""
    found = list(changes)
    shown = found if everything or manner.verbose else found[:_LISTED]
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
        always(f"{reason}  {clean(path)}")
    if len(unreadable) > 1 or (paths and unreadable):
        for error in unreadable:
            always(f"unreadable  {clean(error.message)}")


__all__ = ["Line", "clean", "manner", "number", "size", "working"]
