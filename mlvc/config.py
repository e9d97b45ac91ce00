"""Settings: the shared file in Git, and the private one in the Git directory, which wins.

Both are TOML. They are edited line by line, so that comments and layout stay as a person made them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlvc import codec, files
from mlvc.errors import FormatError, UsageError
from mlvc.oid import LENGTHS

SHARED = ".mlvc/config.toml"
PRIVATE = "config.toml"
LINKS = ("reflink", "hardlink", "symlink", "copy")


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: what it means, its default, and how its text is read."""

    name: str
    meaning: str
    default: Any
    read: Callable[[Any], Any]


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def _positive(value: Any) -> int:
    if isinstance(value, bool) or not str(value).isdigit() or int(value) < 1:
        raise ValueError("a whole number from 1")
    return int(value)


def _days(value: Any) -> int:
    if isinstance(value, bool) or not str(value).isdigit():
        raise ValueError("a whole number of days from 0")
    return int(value)


def _algorithm(value: Any) -> str:
    if value not in LENGTHS:
        raise ValueError(f"one of {', '.join(LENGTHS)}")
    return str(value)


def _links(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else [part.strip() for part in str(value).split(",")]
    if not items or any(item not in LINKS for item in items):
        raise ValueError(f"a list of {', '.join(LINKS)}")
    return tuple(items)


KEYS = {
    key.name: key
    for key in (
        Key("core.hash", "hash algorithm of the repository; set once, by `mlvc init`", "xxh128", _algorithm),
        Key("core.autostage", "stage Pointers and .gitignore files with Git when they change", False, _boolean),
        Key(
            "core.link", "how large files get into the working tree, the first that works", ("reflink", "copy"), _links
        ),
        Key("core.remote", "name of the default Remote", "", _text),
        Key("core.jobs", "how many transfers run side by side", 4, _positive),
        Key("store.dir", "where the Store is, if not in the Git directory", "", _text),
        Key("gc.grace", "days for which `mlvc gc` leaves alone what was just stored", 14, _days),
        Key("gc.trash", "days for which `mlvc gc` keeps what it moved to the trash", 14, _days),
        Key("remote.NAME.url", "where a Remote is: a directory or a URL", "", _text),
    )
}


def key_of(name: str) -> Key:
    """The Key that ``name`` belongs to; UsageError with the nearest known name."""
    key = KEYS.get(_general(name))
    if key is None or name == "remote.NAME.url":
        near = near_to(name)
        hint = f"did you mean {near}?" if near else f"known settings: {', '.join(KEYS)}"
        raise UsageError(f"unknown setting '{name}'", hint=hint)
    parts = name.split(".")
    if not all(_BARE.fullmatch(part) for part in parts):
        raise UsageError(f"a remote cannot be named '{parts[1]}'", hint="use letters, digits, - and _")
    return key


def near_to(name: str) -> str:
    """The known setting that ``name`` may be meant to be, '' where none is near."""
    general = _general(name)
    return codec.nearest(general, KEYS).replace("NAME", name.split(".")[1] if general != name else "NAME")


def _general(name: str) -> str:
    parts = name.split(".")
    return "remote.NAME." + parts[2] if len(parts) == 3 and parts[0] == "remote" else name


def _checked(name: str, value: Any, path: str) -> Any:
    """A known setting as it stands in the file ``path``; FormatError where it is of the wrong kind."""
    try:
        return key_of(name).read(value)
    except ValueError as error:
        raise FormatError(f"{path}: {name} is {value!r}, it must be {error}", hint="correct it by hand") from None
    except UsageError as error:
        raise FormatError(f"{path}: {error.message}", hint=error.hint) from None


def _given(name: str, value: Any) -> Any:
    """A setting as a person typed it; UsageError where it is unknown or of the wrong kind."""
    try:
        return key_of(name).read(value)
    except ValueError as error:
        raise UsageError(f"{name} cannot be '{value}'", hint=f"it must be {error}") from None


@dataclass(frozen=True, slots=True)
class Config:
    """All settings that are in force, by dotted name, and the file that each comes from.

    ``unknown``: file and name of each setting that this mlvc does not know. It stays in the file.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    unknown: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> Any:
        """The setting, or its default."""
        return self.values[name] if name in self.values else key_of(name).default

    @property
    def remotes(self) -> dict[str, str]:
        """Name and URL of every Remote."""
        return {name.split(".")[1]: url for name, url in sorted(self.values.items()) if name.startswith("remote.")}


def load(shared: str, private: str) -> Config:
    """The settings in the shared file and the private one; either may be absent.

    Unknown ones are left alone: a newer mlvc may have written them for those who have it.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    unknown: list[tuple[str, str]] = []
    for path in (shared, private):
        for name, value in read(path).items():
            if _general(name) not in KEYS:
                unknown.append((path, name))
                continue
            values[name] = _checked(name, value, path)
            origins[name] = path
    return Config(values, origins, tuple(unknown))


def read(path: str) -> dict[str, Any]:
    """The settings of one file by dotted name, as they stand there."""
    data = files.read_or_none(path)
    if data is None:
        return {}
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise FormatError(f"{path} is not UTF-8 text", hint=_REPAIR) from None
    try:
        return dict(_flat(codec.load_toml(text, path), ""))
    except FormatError as error:
        raise FormatError(error.message, hint=_REPAIR) from None


_REPAIR = "correct it by hand, or bring an old one back with `git checkout -- .mlvc/config.toml`"


def _flat(table: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found = []
    for key, value in table.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


# -- editing -----------------------------------------------------------------------------------

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def write(path: str, name: str, value: Any | None) -> None:
    """Set one setting in a file, or remove it (None). Everything else in the file stays as it is."""
    if value is not None:
        value = _given(name, value)
    expected = read(path)
    expected.pop(name, None)
    if value is not None:
        expected[name] = list(value) if isinstance(value, tuple) else value
    text = (files.read_or_none(path) or b"").decode()
    section, _, key = name.rpartition(".")
    new = _edited(text.splitlines(), section, key, None if value is None else f"{key} = {_toml(value)}")
    edited = "\n".join(new) + "\n" if new else ""
    if _parsed(path, edited) != expected:
        raise _laid_out(path, f"set {name} there by hand")
    files.replace(path, edited.encode())


def remove_section(path: str, section: str) -> None:
    """Remove all settings of a section from a file."""
    for name in [name for name in read(path) if name.startswith(section + ".")]:
        write(path, name, None)
    lines = (files.read_or_none(path) or b"").decode().splitlines()
    kept = [line for line in lines if line.strip() != f"[{section}]"]
    if kept != lines:
        files.replace(path, "".join(f"{line}\n" for line in kept).encode())


def rename_section(path: str, old: str, new: str) -> None:
    """Give a section of a file another name, if it is there. Comments and layout stay."""
    before = read(path)
    expected = {re.sub(rf"^{re.escape(old)}\.", f"{new}.", name): value for name, value in before.items()}
    if expected == before:
        return
    header = re.compile(rf"^(\s*)\[\s*{re.escape(old)}\s*\]", re.MULTILINE)
    text = header.sub(rf"\1[{new}]", (files.read_or_none(path) or b"").decode())
    if _parsed(path, text) != expected:
        raise _laid_out(path, f"rename [{old}] there by hand")
    files.replace(path, text.encode())


def _edited(lines: list[str], section: str, key: str, line: str | None) -> list[str]:
    start, end = _find(lines, section)
    if start is None:
        return lines if line is None else [*lines, *([""] if lines else []), f"[{section}]", line]
    for at in range(start + 1, end):
        if re.match(rf"\s*{re.escape(key)}\s*=", lines[at]):
            return lines[:at] + ([] if line is None else [line]) + lines[at + 1 :]
    # After the last setting: comments before the next section belong to that.
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return lines if line is None else [*lines[:end], line, *lines[end:]]


def _find(lines: list[str], section: str) -> tuple[int | None, int]:
    start = None
    for at, line in enumerate(lines):
        if line.lstrip().startswith("["):
            if start is not None:
                return start, at
            if line.split("#")[0].strip() == f"[{section}]":
                start = at
    return start, len(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return codec.compact_json(str(value))  # a JSON string is a TOML string


def _parsed(path: str, text: str) -> dict[str, Any] | None:
    """The settings in edited text; None where the edit did not fit the layout."""
    try:
        return dict(_flat(codec.load_toml(text, path), ""))
    except FormatError:
        return None


def _laid_out(path: str, hint: str) -> FormatError:
    return FormatError(f"{path} is laid out in a way that mlvc cannot edit", hint=hint)


def paths(root: str, common: str) -> tuple[str, str]:
    """Where the shared and the private settings of a repository are."""
    return os.path.join(root, *SHARED.split("/")), os.path.join(common, "mlvc", PRIVATE)
