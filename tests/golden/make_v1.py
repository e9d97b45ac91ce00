"""Made tests/golden/v1 once, with format version 1. Kept to show what is in there; never run again.

A later format gets a folder and a script of its own. tests/golden/test_golden.py imports the content from here.
"""

from __future__ import annotations

import io
import json
import random
import sys
import tempfile
from pathlib import Path

from mlvc import manifest, pointer
from mlvc.chunking import chunks
from mlvc.hashing import Hashing
from mlvc.manifest import Entry
from mlvc.pointer import Content, Pointer
from mlvc.store import local
from mlvc.store.base import LARGE
from mlvc.store.remote import DirectoryBlobs, RemoteStore
from mlvc.transfer import plan_push, push

# Large, and of few bytes once it is compressed; the chunks differ.
TABLE = b"".join(b"%07d,label,label\n" % (row // 1500) for row in range(LARGE // 20 + 10_000))
CUT = 858
FILES = {
    "table.csv": ("f", TABLE),
    "empty": ("f", b""),
    "readme.txt": ("f", "caf\u00e9\n".encode()),
    "bin/run": ("x", b"#!/bin/sh\nexit 0\n"),
    "link": ("l", b"readme.txt"),
    "nothing/here": ("d", b""),
    "odd \u00fc\n name": ("f", b"odd"),
    # A leaf of the manifest ends after one of these names.
    **{f"many/{number:04}.txt": ("f", b"%d" % number) for number in [*range(40), CUT, *range(3000, 3040)]},
}


def entries(hashing: Hashing) -> list[Entry]:
    """The directory of FILES."""
    return [Entry(path, kind, len(data), hashing.of(data)) for path, (kind, data) in FILES.items()]


def make(root: Path, algorithm: str) -> None:
    """A Store, a Remote and a Pointer with the content above, and what is expected of them."""
    hashing = Hashing(algorithm)
    local.create(str(root / "store"), hashing)
    with local.open_store(str(root / "store")) as store, tempfile.TemporaryDirectory() as scratch:
        with store.batch() as batch:
            for kind, data in FILES.values():
                if len(data) >= LARGE:
                    Path(scratch, "file").write_bytes(data)
                    batch.put_file(str(Path(scratch, "file")))
                elif kind != "d":
                    batch.put(data)
            content, objects = manifest.build(entries(hashing), hashing)
            batch.put_hashed(objects)
            batch.commit()
        oids = {entry.oid for entry in entries(hashing) if entry.kind != "d"} | {oid for oid, _ in objects}
        remote = RemoteStore("golden", "golden", DirectoryBlobs(str(root / "remote")), hashing, ":memory:")
        remote.begin()
        remote.refresh()
        push(store, remote, plan_push(store, remote, oids))
        remote.close()
        recipe = store.packed.recipe(hashing.of(TABLE)) or []
    for name in ("catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"):
        (root / "store" / name).unlink(missing_ok=True)
    (root / "data.mlvc").write_bytes(pointer.encode(Pointer(Content("dir", content.oid, content.size, content.files))))
    expected = {
        "oids": {path: hashing.of(data).hex() for path, (kind, data) in FILES.items() if not path.startswith("many/")},
        "manifest": [oid.hex() for oid, _ in objects],
        "chunks": [[oid.hex(), length] for oid, length in recipe],
    }
    (root / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


def cuts() -> list[int]:
    """The lengths of the chunks of bytes that do not repeat: they end where the content says so."""
    file = io.BytesIO(random.Random(1).randbytes(3 << 20))
    return [length for _, lengths in chunks(file.readinto) for length in lengths]


if __name__ == "__main__":
    Path(sys.argv[1], "cuts.json").write_text(json.dumps(cuts(), indent=1) + "\n")
    for name in ("xxh128", "blake3"):
        make(Path(sys.argv[1], name), name)
