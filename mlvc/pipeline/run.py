"""Runs: one execution of a Stage's command, named by all that decides its result. Bytes: docs/formats/run.md."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from mlvc import codec, files
from mlvc import oid as oids
from mlvc.errors import FormatError
from mlvc.hashing import Hashing, oid_of
from mlvc.oid import Oid
from mlvc.pipeline.lockfile import content_value
from mlvc.pointer import Content
from mlvc.snapshot import content_of

VERSION = 1
_WORTH = 500
"""Milliseconds from which on a Run is worth waiting for the disk."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that decides what a command makes. Equal Inputs have equal keys."""

    cmd: tuple[str, ...]
    wdir: str
    deps: Mapping[str, Content]
    params: Mapping[str, Mapping[str, Any]]
    outs: Mapping[str, bool]
    """The output paths declared, and whether the command finds what it made last time."""
    env: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    each: str = ""
    """The pattern of the files that the commands run for, one by one; '' where they run once."""
    batch: int = 0
    """How many of them one command gets in a list; 0 for one without a list."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution: its key, what it took and what it made."""

    key: Oid
    inputs: Inputs
    outs: Mapping[str, Content]
    milliseconds: int = 0
    """How long the command took."""
    items: Content | None = None
    """Of a Stage with ``each``: the table that says what each item made. See ``each.pack``."""

    @property
    def contents(self) -> tuple[Content, ...]:
        """All whose objects are of use as long as the Run is known."""
        return (*self.outs.values(), *([] if self.items is None else [self.items]))


def key_of(inputs: Inputs, hashing: Hashing) -> Oid:
    """The key of a Run with ``inputs``: the digest of their canonical JSON."""
    value = _inputs_value(inputs)
    value["deps"] = {path: [content.kind, oids.to_text(content.oid)] for path, content in inputs.deps.items()}
    return oid_of(hashing, codec.compact_json({"mlvc_run": VERSION, **value}).encode())


def _inputs_value(inputs: Inputs) -> dict[str, Any]:
    each = {"each": {"pattern": inputs.each, "batch": inputs.batch}} if inputs.each else {}
    return {
        **each,
        "cmd": list(inputs.cmd),
        "wdir": inputs.wdir,
        "deps": {path: content_value(content) for path, content in inputs.deps.items()},
        "params": inputs.params,
        "declared": {path: {"persist": persist} for path, persist in inputs.outs.items()},
        "env": inputs.env,
        "image": inputs.image,
    }


def encode(run: Run) -> bytes:
    """The only encoding of ``run``."""
    value = {
        "mlvc_run": VERSION,
        "key": oids.to_text(run.key),
        **_inputs_value(run.inputs),
        "outs": {path: content_value(content) for path, content in run.outs.items()},
        "milliseconds": run.milliseconds,
        **({} if run.items is None else {"items": content_value(run.items)}),
    }
    return codec.dump_json(value).encode()


def decode(data: bytes, name: str) -> Run:
    """The Run in ``data``; FormatError for anything that is not one. ``verified`` checks the key."""
    try:
        value = codec.load_json(data.decode(), name)
        if value["mlvc_run"] != VERSION:
            raise FormatError(f"{name} has Run format {value['mlvc_run']!r}, this mlvc reads format {VERSION}")
        return Run(
            key=oids.from_text(value["key"]),
            inputs=_inputs(value, name),
            outs={path: content_of(item, name) for path, item in value["outs"].items()},
            milliseconds=_bounded(int(value["milliseconds"])),
            items=content_of(value["items"], name) if "items" in value else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise FormatError(f"{name} is not a record of a Run") from None


def _bounded(number: int) -> int:
    if not 0 <= number < 1 << 53:
        raise ValueError(number)
    return number


def _inputs(value: Mapping[str, Any], name: str) -> Inputs:
    each = value.get("each", {"pattern": "", "batch": 0})
    return Inputs(
        cmd=tuple(value["cmd"]),
        wdir=value["wdir"],
        deps={path: content_of(item, name) for path, item in value["deps"].items()},
        params=value["params"],
        outs={path: item["persist"] for path, item in value["declared"].items()},
        env=value["env"],
        image=value["image"],
        each=each["pattern"],
        batch=int(each["batch"]),
    )


def verified(data: bytes, key: Oid, hashing: Hashing) -> Run | None:
    """The Run of ``key`` in ``data``. A record that is damaged, of another format or of another key is none."""
    try:
        run = decode(data, "run")
        fits = run.key == key == key_of(run.inputs, hashing) and run.outs.keys() == run.inputs.outs.keys()
    except (FormatError, ValueError, TypeError):  # the last two: Inputs that have no canonical JSON
        return None
    return run if fits else None


@dataclass(frozen=True, slots=True)
class RunCache:
    """Runs by key, one small file each, in ``directory``. It can be deleted at any time."""

    directory: str
    hashing: Hashing

    def path_of(self, key: Oid) -> str:
        """Where the record of ``key`` lies."""
        digits = key.hex()
        return os.path.join(self.directory, digits[:2], digits + ".json")

    def lookup(self, key: Oid) -> Run | None:
        """The Run of ``key``, None where none is recorded; see ``verified``."""
        try:
            with open(self.path_of(key), "rb") as file:
                data = file.read()
        except OSError:
            return None
        return verified(data, key, self.hashing)

    def put(self, run: Run) -> None:
        """Record ``run``, in place of an older one of its key. Its outputs must be durable already.

        One that took a moment may be lost in a power cut: to run it again costs less than to wait for the disk. Where
        a directory is in its place nothing is recorded: that may cost a Run later, an error would cost this one.
        """
        files.replace_if_free(self.path_of(run.key), encode(run), durable=run.milliseconds >= _WORTH)

    def forget(self, key: Oid) -> None:
        """Take out the record of ``key``, if there is one."""
        with suppress(IsADirectoryError):
            files.remove(self.path_of(key))

    def keys(self) -> Iterator[Oid]:
        """The keys of all records; OSError where they cannot be listed."""
        for folder, _, names in files.walk(self.directory):
            for name in sorted(names):
                digits = name.removesuffix(".json")
                if digits != name and folder.endswith(digits[:2]) and len(digits) == 2 * self.hashing.size:
                    yield Oid(bytes.fromhex(digits))
