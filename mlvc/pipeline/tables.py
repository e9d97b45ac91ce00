"""Records of what the items of Stages made, one for each definition. Bytes: docs/formats/run.md."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from mlvc import codec, files
from mlvc import oid as oids
from mlvc.errors import FormatError
from mlvc.hashing import Hashing
from mlvc.pipeline.each import VERSION
from mlvc.pipeline.lockfile import content_value
from mlvc.pointer import Content
from mlvc.snapshot import content_of

FOLDER = "items"
"""Beside the folder of the run cache."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The latest table of each definition, in ``directory``. It can be deleted at any time."""

    directory: str
    hashing: Hashing

    def path_of(self, defined: bytes) -> str:
        """Where the record of a definition lies."""
        digits = defined.hex()
        return os.path.join(self.directory, digits[:2], digits + ".json")

    def lookup(self, defined: bytes) -> Content | None:
        """The table of a definition. A record that is damaged, of another format or under a wrong name is none."""
        try:
            with open(self.path_of(defined), "rb") as file:
                found = decode(file.read())
        except OSError:
            return None
        return found[1] if found is not None and found[0] == defined else None

    def put(self, defined: bytes, stage: str, items: Content, *, durable: bool = True) -> None:
        """Record a table in place of the one before. Its objects must be durable already.

        Where a directory is in its place nothing is recorded, as for a Run.
        """
        files.replace_if_free(self.path_of(defined), encode(defined, stage, items), durable=durable)

    def paths(self) -> Iterator[str]:
        """The paths of all records; OSError where they cannot be listed."""
        for folder, _, names in files.walk(self.directory):
            yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".json"))


def encode(defined: bytes, stage: str, items: Content) -> bytes:
    """The only encoding of a record."""
    value = {
        "mlvc_items": VERSION,
        "definition": oids.to_text(defined),
        "stage": stage,
        "items": content_value(items),
    }
    return codec.dump_json(value).encode()


def stage_of(data: bytes) -> str:
    """The Stage that a record is about, for a person; '' for what is no record."""
    try:
        return str(codec.load_json(data.decode(), "a record of items")["stage"])
    except (FormatError, KeyError, TypeError, ValueError):
        return ""


def decode(data: bytes) -> tuple[bytes, Content] | None:
    """Definition and table of a record; None for anything that is not one."""
    try:
        value = codec.load_json(data.decode(), "a record of items")
        found = content_of(value["items"], "a record of items")
        known = value["mlvc_items"] == VERSION and found.is_dir
        return (oids.from_text(value["definition"]), found) if known else None
    except (FormatError, KeyError, TypeError, ValueError, AttributeError):
        return None
