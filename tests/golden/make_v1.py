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
from mlvc.pipeline import lockfile
from mlvc.pipeline import run as run_records
from mlvc.pipeline.lockfile import Lockfile
from mlvc.pipeline.run import Inputs, Run, key_of
from mlvc.pointer import Content, Pointer
from mlvc.store import local
from mlvc.store.base import LARGE
from mlvc.store.blobs import DirectoryBlobs
from mlvc.store.remote import RemoteStore
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


def records(hashing: Hashing) -> tuple[Lockfile, list[Run]]:
    """A Lockfile with every kind of content and of value in it, and the Runs that it records."""

    def of(data: bytes, kind: str = "file") -> Content:
        return Content(kind, hashing.of(data), len(data))

    data, _ = manifest.build(entries(hashing), hashing)
    values = {"": {"r\u00e9": [1, 1.0, 1e-05, 0.1, True, None, "\u4e2d \"\n", {}]}, "a.b": -(10**20)}
    wide = Inputs(
        cmd=("python train.py", "true"),
        wdir="sub/dir",
        deps={"data": data, "odd \u00fc\n name": of(b"odd")},
        params={"params.yaml": {"lr": 0.1, "name": "x"}, "sub/p.toml": values},
        outs={"model.bin": False, "kept": True, "metrics.json": False},
        env={"SEED": "1"},
        image="python:3",
    )
    least = Inputs(cmd=("date > now",), wdir="", deps={}, params={}, outs={"now": False})
    made = {"model.bin": of(b"model", "executable"), "kept": data, "metrics.json": of(b"{}")}
    runs = [
        Run(key_of(wide, hashing), wide, made, 1500),
        Run(key_of(least, hashing), least, {"now": of(b"")}),
    ]
    found = [
        lockfile.Entry(run.key, run.inputs.cmd, run.inputs.deps, run.inputs.params, run.outs, uncached, extra=extra)
        for run, uncached, extra in zip(runs, [frozenset(["metrics.json"]), frozenset()], [{"later": [1]}, {}], strict=True)
    ]
    return Lockfile(dict(zip(["sub/mlvc.yaml:train", "now"], found, strict=True)), {"later": {"a": 1}}), runs


def make_records(root: Path, algorithm: str) -> None:
    """The Lockfile and the Runs."""
    lock, runs = records(Hashing(algorithm))
    (root / "mlvc.lock").write_bytes(lockfile.encode(lock))
    for name, run in zip(("wide", "least"), runs, strict=True):
        (root / f"{name}.run.json").write_bytes(run_records.encode(run))


def cuts() -> list[int]:
    """The lengths of the chunks of bytes that do not repeat: they end where the content says so."""
    file = io.BytesIO(random.Random(1).randbytes(3 << 20))
    return [length for _, lengths in chunks(file.readinto) for length in lengths]


if __name__ == "__main__":
    Path(sys.argv[1], "cuts.json").write_text(json.dumps(cuts(), indent=1) + "\n")
    for name in ("xxh128", "blake3"):
        make(Path(sys.argv[1], name), name)
        make_records(Path(sys.argv[1], name), name)
