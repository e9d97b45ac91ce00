"""An output that was made again beside what was recorded of it: reads of both what it takes to tell them apart."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from mlvc import files, manifest
from mlvc.errors import MlvcError
from mlvc.manifest import Entry
from mlvc.pipeline import compare, params
from mlvc.pipeline.compare import Difference, Tolerance, Verdict
from mlvc.pipeline.plan import same
from mlvc.pipeline.spec import Out
from mlvc.pointer import Content
from mlvc.repo import Repo
from mlvc.store.base import Reader
from mlvc.workspace.tree import Look

_LOCATED = 20
"""In how many files of a directory the first byte that differs is looked for."""
_VALUES = 16 << 20
"""Larger files are not read as values."""


@dataclass(frozen=True, slots=True)
class OutputResult:
    """What came of one output."""

    path: str
    verdict: Verdict
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """What was recorded of outputs: in the Store and, if it is asked, on a Remote; and what Git has kept.

    ``tolerance``: by how much numbers may differ from it.
    """

    reader: Reader
    tolerance: Tolerance
    kept: Mapping[str, tuple[str, Look]] = field(default_factory=dict)
    """Outputs that Git keeps, by path: where they are now, and what was seen of them."""

    def entries(self, path: str, content: Content) -> list[Entry]:
        """The files of a directory; MlvcError where they cannot be told."""
        if path in self.kept:
            return self.kept[path][1].entries()
        return manifest.entries_of(self.reader, content.oid)

    def stream(self, path: str, inner: str, oid: bytes) -> Iterator[bytes | memoryview]:
        """The bytes of an output, or of the file ``inner`` in it; errors as from ``entries``."""
        if path in self.kept:
            place = self.kept[path][0]
            return read(os.path.join(place, inner) if inner else place)
        return self.reader.stream(oid)


def read(path: str) -> Iterator[bytes]:
    """The bytes of a file."""
    with open(path, "rb", buffering=0) as file:
        while block := file.read(files.BLOCK):
            yield block


def compared(there: Repo, past: Past, out: Out, recorded: Content | None, look: Look) -> OutputResult:
    """The verdict on ``out``, which stands in the working tree ``there``; where it differs, as far as can be read."""
    made = look.content
    if recorded is None or made is None:
        return OutputResult(out.path, Verdict.UNMADE if made is None else Verdict.UNRECORDED)
    if same(made, recorded):
        return OutputResult(out.path, Verdict.IDENTICAL)
    if made.is_dir or recorded.is_dir:
        return OutputResult(out.path, Verdict.DIFFERENT, tuple(_directory(there, past, recorded, look)))
    if made.kind != recorded.kind:
        difference = Difference(compare.KIND, recorded=recorded.kind, now=made.kind)
        return OutputResult(out.path, Verdict.DIFFERENT, (difference,))
    if out.role == "metrics" or out.path in past.tolerance.files:
        found = _values(there, past, out, recorded)
        if found is not None:
            return found
    difference = Difference(compare.BYTES, recorded=recorded.size, now=made.size)
    return OutputResult(out.path, Verdict.DIFFERENT, (_located(there, past, out.path, difference, recorded.oid),))


def _directory(there: Repo, past: Past, recorded: Content, look: Look) -> Iterator[Difference]:
    made = look.content
    if made is None or made.kind != recorded.kind:
        yield Difference(compare.KIND, recorded=recorded.kind, now=made.kind if made else None)
        return
    try:
        old = past.entries(look.path, recorded)
    except MlvcError:
        yield Difference(compare.BYTES, recorded=recorded.size, now=made.size)
        return
    oids = {entry.path: entry.oid for entry in old}
    left = _LOCATED
    for difference in compare.entries(old, look.entries()):
        if difference.change == compare.BYTES and left:
            left -= 1
            yield _located(there, past, look.path, difference, oids[difference.file])
        else:
            yield difference


def _located(there: Repo, past: Past, path: str, difference: Difference, oid: bytes) -> Difference:
    """The same with the first byte that differs, where that can be told."""
    full = os.path.join(there.root, path, difference.file) if difference.file else os.path.join(there.root, path)
    if os.path.islink(full):
        return difference
    with suppress(MlvcError):
        offset = compare.first_differing(past.stream(path, difference.file, oid), read(full))
        return replace(difference, offset=offset)
    return difference


def _values(there: Repo, past: Past, out: Out, recorded: Content) -> OutputResult | None:
    """The verdict on a file of values; None where it is none."""
    full = os.path.join(there.root, out.path)
    is_small = recorded.size <= _VALUES and os.stat(full).st_size <= _VALUES
    if not is_small or not out.path.lower().endswith(params.SUFFIXES):
        return None
    try:
        old = params.parse(b"".join(past.stream(out.path, "", recorded.oid)), out.path)
        new = params.parse(files.read(full), out.path)
    except MlvcError:
        return None
    beyond, within = compare.values(old, new, past.tolerance.of(out.path))
    if beyond:
        return OutputResult(out.path, Verdict.DIFFERENT, tuple(beyond))
    if past.tolerance.applies(out.path, metrics=out.role == "metrics"):
        return OutputResult(out.path, Verdict.TOLERATED, tuple(within))
    return OutputResult(out.path, Verdict.DIFFERENT, tuple(within)) if within else None
