"""The Lockfile: what the last runs recorded, by Stage. Bytes: docs/formats/lockfile.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from mlvc import codec, files
from mlvc import oid as oids
from mlvc.errors import FormatError
from mlvc.oid import Oid
from mlvc.pointer import KINDS, Content

FILE = "mlvc.lock"
VERSION = 1
_KNOWN = ("key", "cmd", "deps", "params", "outs")
_REPAIR = (
    "bring it back with `git checkout -- mlvc.lock`, or delete it: `mlvc repro` takes what it can from the run cache"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one Stage's last Run took and made."""

    key: Oid
    """The key of that Run."""
    cmd: tuple[str, ...]
    deps: Mapping[str, Content]
    params: Mapping[str, Mapping[str, Any]]
    outs: Mapping[str, Content]
    uncached: frozenset[str] = frozenset()
    """Those of ``outs`` whose bytes are not in the Store."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Keys that this version does not know."""
    source: Mapping[str, Any] | None = field(default=None, compare=False)
    """As it was read; what is not replaced is written back just so."""


@dataclass(frozen=True, slots=True)
class Lockfile:
    """All entries, and the keys that this version does not know."""

    stages: Mapping[str, Entry] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def having(self, name: str, entry: Entry) -> Lockfile:
        """The same Lockfile with ``entry`` for the Stage ``name``."""
        return Lockfile({**self.stages, name: entry}, self.extra)

    def without(self, names: frozenset[str]) -> Lockfile:
        """The same Lockfile without the Stages ``names``."""
        return Lockfile({name: entry for name, entry in self.stages.items() if name not in names}, self.extra)


def content_value(content: Content) -> dict[str, Any]:
    """Content as it stands in JSON."""
    value = {"kind": content.kind, "oid": oids.to_text(content.oid), "size": content.size}
    return {**value, "files": content.files} if content.is_dir else value


def content_of(value: object, name: str) -> Content:
    """The Content that ``content_value`` gave; FormatError names the file ``name``."""
    if not isinstance(value, Mapping):
        raise FormatError(f"{name}: not a description of content: {value!r}", hint=_REPAIR)
    kind, size, count = value.get("kind"), value.get("size"), value.get("files", 1)
    if kind not in KINDS or not _is_count(size) or not _is_count(count) or ("files" in value) != (kind == "dir"):
        raise FormatError(f"{name}: not a description of content: {dict(value)!r}", hint=_REPAIR)
    return Content(str(kind), _oid_of(value.get("oid"), name), size, count)


def _oid_of(value: object, name: str) -> Oid:
    try:
        return oids.from_text(str(value))
    except FormatError as error:
        raise FormatError(f"{name}: {error.message}", hint=error.hint or _REPAIR) from None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def encode(lockfile: Lockfile, known: dict[str, tuple[Entry, str]] | None = None) -> bytes:
    """The only encoding of ``lockfile``.

    ``known`` keeps the text of each entry between calls, so that one new entry among a thousand costs one.
    """
    memo = {} if known is None else known
    parts = {key: codec.dump_json(value).rstrip("\n").replace("\n", "\n  ") for key, value in lockfile.extra.items()}
    parts["mlvc_lock"] = str(VERSION)
    parts["stages"] = _object(
        [(name, _entry_text(name, lockfile.stages[name], memo)) for name in sorted(lockfile.stages)]
    )
    text = ",\n".join(f"  {codec.compact_json(key)}: {parts[key]}" for key in sorted(parts))
    return f"{{\n{text}\n}}\n".encode()


def _object(items: list[tuple[str, str]]) -> str:
    if not items:
        return "{}"
    body = ",\n".join(f"    {codec.compact_json(name)}: {text}" for name, text in items)
    return f"{{\n{body}\n  }}"


def _entry_text(name: str, entry: Entry, memo: dict[str, tuple[Entry, str]]) -> str:
    found = memo.get(name)
    if found is None or found[0] is not entry:
        text = codec.dump_json(_entry_value(entry)).rstrip("\n").replace("\n", "\n    ")
        found = memo[name] = (entry, text)
    return found[1]


def _entry_value(entry: Entry) -> Mapping[str, Any]:
    if entry.source is not None:
        return entry.source
    outs = {path: content_value(content) for path, content in entry.outs.items()}
    for path in entry.uncached:
        outs[path]["cache"] = False
    return {
        **entry.extra,
        "key": oids.to_text(entry.key),
        "cmd": list(entry.cmd),
        "deps": {path: content_value(content) for path, content in entry.deps.items()},
        "params": entry.params,
        "outs": outs,
    }


def decode(data: bytes, name: str = FILE) -> Lockfile:
    """The Lockfile in ``data``; FormatError says what is wrong with the file ``name``."""
    value = codec.load_json(_text(data, name), name)
    if not isinstance(value, dict) or "mlvc_lock" not in value:
        raise FormatError(f"{name} is not a Lockfile: it has no 'mlvc_lock'", hint=_REPAIR)
    if value["mlvc_lock"] != VERSION or isinstance(value["mlvc_lock"], bool):
        raise FormatError(
            f"{name} has Lockfile format {value['mlvc_lock']!r}, this mlvc reads format {VERSION}",
            hint="use a newer mlvc",
        )
    stages = value.get("stages")
    if not isinstance(stages, dict):
        raise FormatError(f"{name} is cut short: it has no 'stages'", hint=_REPAIR)
    extra = {key: item for key, item in value.items() if key not in ("mlvc_lock", "stages")}
    return Lockfile({stage: _entry(item, f"{name}, stage '{stage}'") for stage, item in stages.items()}, extra)


def _text(data: bytes, name: str) -> str:
    try:
        text = data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise FormatError(f"{name} is not UTF-8 text", hint=_REPAIR) from None
    if text.startswith(_MARKERS) or any("\n" + marker in text for marker in _MARKERS):
        raise FormatError(
            f"{name} has conflict markers of a Git merge",
            hint=f"take either side with `git checkout --ours {name}`, then `mlvc repro`",
        )
    return text


_MARKERS = ("<<<<<<< ", "=======\n", ">>>>>>> ")


def _entry(value: object, name: str) -> Entry:
    if not isinstance(value, dict):
        raise FormatError(f"{name}: not an entry of a Lockfile", hint=_REPAIR)
    for key, kind in (("key", str), ("cmd", list), ("deps", dict), ("params", dict), ("outs", dict)):
        if not isinstance(value.get(key), kind):
            raise FormatError(f"{name}: '{key}' is missing or of the wrong kind", hint=_REPAIR)
    if not all(isinstance(command, str) for command in value["cmd"]):
        raise FormatError(f"{name}: 'cmd' is not a list of text", hint=_REPAIR)
    if not all(isinstance(keys, dict) for keys in value["params"].values()):
        raise FormatError(f"{name}: 'params' does not map files to keys", hint=_REPAIR)
    return Entry(
        key=_oid_of(value["key"], name),
        cmd=tuple(value["cmd"]),
        deps={path: content_of(item, name) for path, item in value["deps"].items()},
        params=value["params"],
        outs={path: content_of(item, name) for path, item in value["outs"].items()},
        uncached=frozenset(path for path, item in value["outs"].items() if item.get("cache") is False),
        extra={key: item for key, item in value.items() if key not in _KNOWN},
        source=value,
    )


class LockfileStore:
    """The Lockfile on disk."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: dict[str, tuple[Entry, str]] = {}

    def load(self) -> Lockfile:
        """The Lockfile; an empty one where there is no file. FormatError as from ``decode``."""
        try:
            with open(self.path, "rb") as file:
                return decode(file.read())
        except FileNotFoundError:
            return Lockfile()

    def save(self, lockfile: Lockfile, *, durable: bool = True) -> None:
        """Put ``lockfile`` in place of the file, whole: a crash leaves the old or the new one."""
        files.replace(self.path, encode(lockfile, self._known), durable=durable)
