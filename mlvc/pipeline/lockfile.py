"""The Lockfile: what the last runs recorded, by Stage. Bytes: docs/formats/lockfile.md."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlvc import codec, files
from mlvc import oid as oids
from mlvc.errors import FormatError
from mlvc.oid import Oid
from mlvc.pointer import Content
from mlvc.snapshot import LOCK_REPAIR, LOCK_VERSION, LOCKFILE, content_of, home_of, oid_of, read_lock

FILE = LOCKFILE
_KNOWN = ("key", "cmd", "deps", "params", "outs")
_OPTIONAL = ("env", "image")


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
    """Those of ``outs`` that Git keeps."""
    homes: Mapping[str, str | None] = field(default_factory=dict)
    """The Remote of each of ``outs`` that has one of its own; None for one that goes to none."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Keys that this version does not know."""
    source: Mapping[str, Any] | None = field(default=None, compare=False)
    """As it was read; what is not replaced is written back just so."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Values of the environment variables that count as inputs."""
    image: str = ""
    """The id of the container image that the commands ran in; '' for none."""


@dataclass(frozen=True, slots=True)
class Lockfile:
    """All entries, and the keys that this version does not know."""

    stages: Mapping[str, Entry] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    rerun: frozenset[str] = frozenset()
    """Stages without an entry, because both sides of a merge had changed it."""

    def having(self, name: str, entry: Entry) -> Lockfile:
        """The same Lockfile with ``entry`` for the Stage ``name``."""
        return Lockfile({**self.stages, name: entry}, self.extra, self.rerun - {name})

    def without(self, names: frozenset[str]) -> Lockfile:
        """The same Lockfile without the Stages ``names``."""
        stages = {name: entry for name, entry in self.stages.items() if name not in names}
        return Lockfile(stages, self.extra, self.rerun - names)


def content_value(content: Content) -> dict[str, Any]:
    """Content as it stands in JSON."""
    value = {"kind": content.kind, "oid": oids.to_text(content.oid), "size": content.size}
    return {**value, "files": content.files} if content.is_dir else value


def encode(lockfile: Lockfile, known: dict[str, tuple[Entry, str]] | None = None) -> bytes:
    """The only encoding of ``lockfile``.

    ``known`` keeps the text of each entry between calls, so that one new entry among a thousand costs one.
    """
    memo = {} if known is None else known
    parts = {key: codec.dump_json(value).rstrip("\n").replace("\n", "\n  ") for key, value in lockfile.extra.items()}
    parts["mlvc_lock"] = str(LOCK_VERSION)
    if lockfile.rerun:
        parts["rerun"] = codec.dump_json(sorted(lockfile.rerun)).rstrip("\n").replace("\n", "\n  ")
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
    for path, home in entry.homes.items():
        outs[path] |= {"push": False} if home is None else {"remote": home}
    return {
        **entry.extra,
        "key": oids.to_text(entry.key),
        "cmd": list(entry.cmd),
        "deps": {path: content_value(content) for path, content in entry.deps.items()},
        "params": entry.params,
        **({"env": dict(entry.env)} if entry.env else {}),
        **({"image": entry.image} if entry.image else {}),
        "outs": outs,
    }


def decode(data: bytes, name: str = FILE) -> Lockfile:
    """The Lockfile in ``data``; FormatError says what is wrong with the file ``name``."""
    value = read_lock(data, name)
    extra = {key: item for key, item in value.items() if key not in ("mlvc_lock", "stages", "rerun")}
    _check_numbers(extra, name)
    rerun = value.get("rerun", [])
    if not isinstance(rerun, list) or not all(isinstance(stage, str) for stage in rerun):
        raise FormatError(f"{name}: 'rerun' is not a list of names", hint=LOCK_REPAIR)
    entries = {stage: _entry(item, f"{name}, stage '{stage}'") for stage, item in value["stages"].items()}
    return Lockfile(entries, extra, frozenset(rerun) - entries.keys())


def _check_numbers(value: object, name: str) -> None:
    """FormatError for 1e999, which is read as infinite."""
    try:
        codec.compact_json(value)
    except ValueError:
        raise FormatError(f"{name}: a number is out of range", hint=LOCK_REPAIR) from None


def _entry(value: object, name: str) -> Entry:
    if not isinstance(value, dict):
        raise FormatError(f"{name}: not an entry of a Lockfile", hint=LOCK_REPAIR)
    for key, kind in (("key", str), ("cmd", list), ("deps", dict), ("params", dict), ("outs", dict)):
        if not isinstance(value.get(key), kind):
            raise FormatError(f"{name}: '{key}' is missing or of the wrong kind", hint=LOCK_REPAIR)
    if not all(isinstance(command, str) for command in value["cmd"]):
        raise FormatError(f"{name}: 'cmd' is not a list of text", hint=LOCK_REPAIR)
    if not all(isinstance(keys, dict) for keys in value["params"].values()):
        raise FormatError(f"{name}: 'params' does not map files to keys", hint=LOCK_REPAIR)
    env = value.get("env", {})
    if not isinstance(env, dict) or not all(isinstance(text, str) for text in env.values()):
        raise FormatError(f"{name}: 'env' does not map names to text", hint=LOCK_REPAIR)
    if not isinstance(value.get("image", ""), str):
        raise FormatError(f"{name}: 'image' is not text", hint=LOCK_REPAIR)
    extra = {key: item for key, item in value.items() if key not in (*_KNOWN, *_OPTIONAL)}
    _check_numbers([value["params"], extra], name)
    return Entry(
        key=oid_of(value["key"], name),
        cmd=tuple(value["cmd"]),
        deps={path: content_of(item, name) for path, item in value["deps"].items()},
        params=value["params"],
        env=env,
        image=value.get("image", ""),
        outs={path: content_of(item, name) for path, item in value["outs"].items()},
        uncached=frozenset(path for path, item in value["outs"].items() if item.get("cache") is False),
        homes={path: home for path, item in value["outs"].items() if (home := home_of(item)) != ""},
        extra=extra,
        source=value,
    )


class LockfileStore:
    """The Lockfile on disk. ``held``: the file by which those who change it keep one another away."""

    def __init__(self, path: str, held: str = "") -> None:
        self.path = path
        self._held = held
        self._known: dict[str, tuple[Entry, str]] = {}
        self._last: tuple[tuple[int, ...], Lockfile] | None = None

    def load(self) -> Lockfile:
        """The Lockfile; an empty one where there is no file. FormatError as from ``decode``."""
        stamp = self._stamp()
        if self._last is None or self._last[0] != stamp:
            data = files.read_or_none(self.path)
            self._last = (stamp, Lockfile() if data is None else decode(data))
        return self._last[1]

    def _stamp(self) -> tuple[int, ...]:
        """What is another after every change: the file is always replaced, never written into."""
        try:
            about = os.stat(self.path)
        except FileNotFoundError:
            return ()
        return (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)

    def save(self, lockfile: Lockfile, *, durable: bool = True) -> None:
        """Put ``lockfile`` in place of the file, whole: a crash leaves the old or the new one."""
        files.replace(self.path, encode(lockfile, self._known), durable=durable)
        self._last = (self._stamp(), lockfile)

    def change(self, entries: Mapping[str, Entry | None], *, durable: bool = True) -> Lockfile:
        """Put ``entries`` in, and take out those that are None; what others changed meanwhile stays.

        The Lockfile as it is then. Two processes that change it do so one after the other.
        """
        with files.exclusive(self._held) if self._held else contextlib.nullcontext():
            lockfile = self.load()
            stages = {name: entry for name, entry in {**lockfile.stages, **entries}.items() if entry is not None}
            changed = Lockfile(stages, lockfile.extra, lockfile.rerun - entries.keys())
            self.save(changed, durable=durable)
        return changed
