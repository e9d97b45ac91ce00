"""What came out beside what was recorded. Pure.

The same bytes are the same result. Where a person allows it, numbers in a file of values may differ a little.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mlvc.errors import UsageError
from mlvc.manifest import Entry


class Verdict(StrEnum):
    """What is to be said of one output."""

    IDENTICAL = "identical"
    TOLERATED = "within tolerance"
    DIFFERENT = "different"
    UNRECORDED = "not recorded"
    UNMADE = "not made"
    """The Stage failed, or did not come to run."""
    LEFT = "not run"
    """The Stage was not run, and nothing is known of this."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is to be said against it."""
        return self in (Verdict.IDENTICAL, Verdict.TOLERATED)


ADDED, GONE, KIND, BYTES, VALUE = "added", "gone", "kind", "bytes", "value"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in an output that is not as it was recorded.

    ``change``: ``added`` and ``gone`` (a file of a directory, or a key of a file), ``kind`` (a file became a directory
    or executable), ``bytes``, ``value``. ``file``: inside of a directory. ``key``: in a file of values, dotted.
    ``recorded`` and ``now``: kinds, sizes in bytes, or values. ``offset``: of the first byte that differs, where known.
    """

    change: str
    file: str = ""
    key: str = ""
    recorded: Any = None
    now: Any = None
    offset: int | None = None


# -- directories and bytes ---------------------------------------------------------------------


def entries(recorded: Iterable[Entry], made: Iterable[Entry]) -> list[Difference]:
    """What differs between the files of two directories, by path."""
    old = {entry.path: entry for entry in recorded}
    new = {entry.path: entry for entry in made}
    return [
        _entry(path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def _entry(path: str, old: Entry | None, new: Entry | None) -> Difference:
    if old is None or new is None:
        there = old or new
        size = there.size if there else 0
        return Difference(ADDED, path, now=size) if old is None else Difference(GONE, path, recorded=size)
    if old.kind != new.kind:
        return Difference(KIND, path, recorded=old.kind, now=new.kind)
    return Difference(BYTES, path, recorded=old.size, now=new.size)


def first_differing(recorded: Iterable[bytes | memoryview], made: Iterable[bytes | memoryview]) -> int | None:
    """Where two streams of bytes, cut anyhow, begin to differ; the end of the shorter one counts. None: nowhere."""
    olds, news = iter(recorded), iter(made)
    old = new = memoryview(b"")
    at = 0
    while True:
        old = old or _next(olds)
        new = new or _next(news)
        count = min(len(old), len(new))
        if not count:
            return at if old or new else None
        if old[:count] != new[:count]:
            return at + _first(bytes(old[:count]), bytes(new[:count]))
        at += count
        old, new = old[count:], new[count:]


def _next(parts: Iterator[bytes | memoryview]) -> memoryview:
    return next((memoryview(part) for part in parts if len(part)), memoryview(b""))


def _first(old: bytes, new: bytes) -> int:
    """Where two strings of one length that differ do so first, in few steps."""
    low, high = 0, len(old)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if old[low:middle] != new[low:middle] else (middle, high)
    return low


# -- values ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much numbers may differ, absolutely or relative to the larger one."""

    everywhere: float | None = None
    """In every file of metrics; None: not at all."""
    by_key: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """By file and dotted key, '' for all of the file; of several keys the longest counts."""

    def applies(self, path: str, *, metrics: bool) -> bool:
        """Whether the values of this file count, and not its bytes alone."""
        return (metrics and self.everywhere is not None) or path in self.files

    @property
    def files(self) -> set[str]:
        """The files that are named."""
        return {file for file, _ in self.by_key}

    def of(self, path: str) -> Callable[[str], float]:
        """By how much the number at a dotted key of the file may differ."""

        def allowed(key: str) -> float:
            while (path, key) not in self.by_key and key:
                key = key.rpartition(".")[0]
            return self.by_key.get((path, key), self.everywhere or 0.0)

        return allowed


_HOW = "write it as 1e-6, or as FILE:KEY=1e-6 for one number of a file"


def tolerance(words: Sequence[str], path: Callable[[str], str]) -> Tolerance:
    """What ``words`` such as ``1e-6``, ``FILE=1e-3`` and ``FILE:KEY=0`` allow; ``path`` understands FILE.

    UsageError for anything else.
    """
    everywhere = None
    by_key: dict[tuple[str, str], float] = {}
    for word in words:
        place, equals, amount = word.rpartition("=")
        number = _amount(word, amount)
        if not equals:
            everywhere = number
            continue
        match = re.fullmatch(r"(.+?)(?::([^:/]+))?", place)
        if match is None:
            raise UsageError(f"the tolerance '{word}' names no file", hint=_HOW)
        by_key[path(match[1]), match[2] or ""] = number
    return Tolerance(everywhere, by_key)


def _amount(word: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise UsageError(f"'{word}' is no tolerance: it is to be a number from 0", hint=_HOW)
    return number


def values(recorded: Any, made: Any, allowed: Callable[[str], float]) -> tuple[list[Difference], list[Difference]]:
    """What differs between the values of two files: more than is allowed, and no more than that."""
    beyond: list[Difference] = []
    within: list[Difference] = []
    for difference in _values("", recorded, made):
        (within if _is_near(difference, allowed) else beyond).append(difference)
    return beyond, within


def keys(value: Any) -> set[str]:
    """The dotted keys of all that is in ``value``, as differences name them; not of ``value`` itself."""
    return set(_keys("", value))


def _keys(key: str, value: Any) -> Iterator[str]:
    if key:
        yield key
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _keys(f"{key}.{name}" if key else str(name), item)


def _values(key: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, list) and isinstance(new, list):
        old, new = ({str(number): item for number, item in enumerate(items)} for items in (old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            below = f"{key}.{name}" if key else str(name)
            if name not in new:
                yield Difference(GONE, key=below, recorded=old[name])
            elif name not in old:
                yield Difference(ADDED, key=below, now=new[name])
            else:
                yield from _values(below, old[name], new[name])
    elif type(old) is not type(new) or old != new:
        yield Difference(VALUE, key=key, recorded=old, now=new)


def _is_near(difference: Difference, allowed: Callable[[str], float]) -> bool:
    old, new = difference.recorded, difference.now
    if difference.change != VALUE or not (_is_number(old) and _is_number(new)):
        return False
    most = allowed(difference.key)
    try:
        return math.isclose(old, new, rel_tol=most, abs_tol=most)
    except OverflowError:  # a whole number that is larger than any float
        return bool(old == new)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
