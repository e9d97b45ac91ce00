"""An output that was made again beside what was recorded of it: reads of both what it takes to tell them apart."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

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


NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class StageResult:
    """What came of one Stage.

    ``outcome``: ``ran``, ``failed`` or ``blocked``. Or it did not run: ``frozen``, as what it had made is an input;
    ``skipped``, as it is not to run and never did; ``not run``, although it was named or its outputs are recorded.
    ``reasons``: what the revision itself has otherwise than its Lockfile says; why the Stage failed or did not run.
    """

    stage: str
    outcome: str
    reasons: tuple[str, ...]
    seconds: float
    outputs: tuple[OutputResult, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing is to be said against it."""
        if self.outcome in ("frozen", "skipped"):
            return True
        return self.outcome == "ran" and not self.reasons and all(out.verdict.is_good for out in self.outputs)


@dataclass(frozen=True, slots=True)
class Reproduced:
    """What came of all Stages that were asked for. ``kept``: where the working tree is, if it stays."""

    rev: str
    commit: str
    stages: tuple[StageResult, ...]
    error: MlvcError | None = None
    """Why a Stage failed."""
    kept: str = ""
    touched: tuple[str, ...] = ()
    """What is not as it was in the user's own working tree, where nothing was to change meanwhile."""

    @property
    def has_run(self) -> bool:
        """Whether anything was made anew, so that something is shown."""
        return any(stage.outcome == "ran" for stage in self.stages)

    @property
    def is_good(self) -> bool:
        """Whether something was made anew, and everything that was recorded came out as it was.

        What frozen Stages had made counts as an input.
        """
        return self.has_run and all(stage.is_good for stage in self.stages)


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
    if has_values(out) and (out.role == "metrics" or out.path in past.tolerance.files):
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


def has_values(out: Out) -> bool:
    """Whether values may be read from an output, so that a tolerance can be for it."""
    return out.role == "metrics" or out.path.lower().endswith(params.SUFFIXES)


def recorded_keys(there: Repo, past: Past, out: Out, recorded: Content) -> set[str] | None:
    """The keys of all values of an output, dotted, as it was recorded; None where that cannot be read.

    Of one that Git keeps it is what stands in the working tree ``there``, before anything has run.
    """
    full = os.path.join(there.root, out.path)
    try:
        data = files.read(full) if os.path.isfile(full) else b"".join(past.reader.stream(recorded.oid))
    except MlvcError:
        return None
    value = _parsed(data, out.path)
    return None if value is None else compare.keys(value)


def _parsed(data: bytes, path: str) -> Any:
    """The values of a file; None where it holds none. A text that is no file of values by its name may be a figure."""
    if len(data) > _VALUES:
        return None
    try:
        value = params.parse(data, path)
    except MlvcError:
        return None
    is_named_so = path.lower().endswith(params.SUFFIXES)
    return value if is_named_so or isinstance(value, int | float | dict) else None


def _values(there: Repo, past: Past, out: Out, recorded: Content) -> OutputResult | None:
    """The verdict on a file of values; None where it is none."""
    full = os.path.join(there.root, out.path)
    if recorded.size > _VALUES or os.stat(full).st_size > _VALUES:
        return None
    try:
        old = _parsed(b"".join(past.stream(out.path, "", recorded.oid)), out.path)
    except MlvcError:
        return None
    new = _parsed(files.read(full), out.path)
    if old is None or new is None:
        return None
    beyond, within = compare.values(old, new, past.tolerance.of(out.path))
    if beyond:
        return OutputResult(out.path, Verdict.DIFFERENT, tuple(beyond))
    if past.tolerance.applies(out.path, metrics=out.role == "metrics"):
        return OutputResult(out.path, Verdict.TOLERATED, tuple(within))
    return OutputResult(out.path, Verdict.DIFFERENT, tuple(within)) if within else None
