"""Pointers: the text files in Git that name tracked content. Bytes: docs/formats/pointer.md."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

from mlvc import oid as oids
from mlvc.errors import FormatError
from mlvc.oid import Oid

SUFFIX = ".mlvc"
VERSION = "1"
KINDS = ("file", "executable", "dir")
_LINE = re.compile(r"([a-z0-9_-]+): (\S.*)")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Content:
    """What stands at a tracked path: one file or one directory, named by its Oid.

    ``size`` is in bytes; for a directory it is the sum over its entries, and ``files`` counts them.
    A file has ``files == 1``.
    """

    kind: str
    oid: Oid
    size: int
    files: int = 1

    @property
    def is_dir(self) -> bool:
        """Whether ``oid`` names a root manifest."""
        return self.kind == "dir"


@dataclass(frozen=True, slots=True)
class Pointer:
    """The Content of one tracked path, with the keys that this version does not know."""

    content: Content
    extra: tuple[tuple[str, str], ...] = ()

    def having(self, content: Content) -> Pointer:
        """The same Pointer, naming other content."""
        return replace(self, content=content)


def path_of(tracked: str) -> str:
    """Where the Pointer of a tracked path lies."""
    return tracked + SUFFIX


def tracked_by(pointer_path: str) -> str:
    """The path that a Pointer stands for."""
    return pointer_path.removesuffix(SUFFIX)


def encode(pointer: Pointer) -> bytes:
    """The only encoding of ``pointer``."""
    content = pointer.content
    lines = [
        f"mlvc: {VERSION}",
        f"kind: {content.kind}",
        f"oid: {oids.to_text(content.oid)}",
        f"size: {content.size}",
    ]
    if content.is_dir:
        lines.append(f"files: {content.files}")
    lines += [f"{key}: {value}" for key, value in pointer.extra]
    return ("\n".join(lines) + "\n").encode()


def decode(data: bytes, name: str, cwd: str = "") -> Pointer:
    """The Pointer in ``data``; FormatError says what is wrong with the file ``name``.

    ``cwd``: where the person stands, relative to the root, for whom the hint names paths.
    """
    try:
        return _decoded(data, name)
    except FormatError as error:
        raise FormatError(error.message, hint=_typed(error.hint, name, cwd)) from None


def _typed(hint: str, name: str, cwd: str) -> str:
    """A hint with the Pointer's name and that of what it stands for as a person types them."""
    import shlex  # noqa: PLC0415  (only where something went wrong)

    typed = os.path.relpath(name, cwd or ".")
    return hint.replace("TRACKED", shlex.quote(tracked_by(typed))).replace("FILE", shlex.quote(typed))


def _decoded(data: bytes, name: str) -> Pointer:
    known: dict[str, str] = {}
    extra: list[tuple[str, str]] = []
    for number, line in enumerate(_lines(data, name), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise FormatError(f"{name}, line {number}: not a line of a Pointer: '{line[:60]}'", hint=_REPAIR)
        key, value = match.groups()
        if key in known or any(key == other for other, _ in extra):
            raise FormatError(f"{name}, line {number}: '{key}' is there twice", hint=_REPAIR)
        if number == 1:
            _check_version(key, value, name)
        if key in ("mlvc", "kind", "oid", "size", "files"):
            known[key] = value
        else:
            extra.append((key, value))
    return Pointer(_content(known, name), tuple(extra))


_REPAIR = "bring the file back with `git checkout -- FILE`, or delete it and track the data again with `mlvc add`"


def _lines(data: bytes, name: str) -> list[str]:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise FormatError(f"{name} is not a Pointer: not UTF-8 text", hint=_REPAIR) from None
    text = text.replace("\r\n", "\n")
    if any(line.startswith(("<<<<<<< ", "=======", ">>>>>>> ")) for line in text.split("\n")):
        raise FormatError(
            f"{name} has conflict markers of a Git merge",
            hint="end it with `mlvc resolve TRACKED` and one of --ours, --theirs, --working",
        )
    if not text.endswith("\n"):
        raise FormatError(f"{name} is cut short: its last line does not end", hint=_REPAIR)
    return text[:-1].split("\n")


def _check_version(key: str, value: str, name: str) -> None:
    if key != "mlvc":
        raise FormatError(f"{name} is not a Pointer: its first line is not 'mlvc: {VERSION}'", hint=_REPAIR)
    if value != VERSION:
        raise FormatError(
            f"{name} has Pointer format '{value}', this mlvc reads format {VERSION}", hint="use a newer mlvc"
        )


def _content(known: dict[str, str], name: str) -> Content:
    for key in ("mlvc", "kind", "oid", "size"):
        if key not in known:
            raise FormatError(f"{name} is cut short: no '{key}'", hint=_REPAIR)
    kind = known["kind"]
    if kind not in KINDS:
        raise FormatError(f"{name}: kind '{kind}' is none of {', '.join(KINDS)}", hint=_REPAIR)
    if ("files" in known) != (kind == "dir"):
        raise FormatError(f"{name}: 'files' belongs to a directory, and a directory needs it", hint=_REPAIR)
    for key in ("size", "files"):
        if not _NUMBER.fullmatch(known.get(key, "0")):
            raise FormatError(f"{name}: {key} '{known[key]}' is not a number", hint=_REPAIR)
    try:
        oid = oids.from_text(known["oid"])
    except FormatError as error:
        raise FormatError(f"{name}: {error.message}", hint=error.hint or _REPAIR) from None
    return Content(kind, oid, int(known["size"]), int(known.get("files", "1")))
