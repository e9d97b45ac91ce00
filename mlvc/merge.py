"""Three-way merges as pure functions: of anything with names, of the entries of a directory, of Lockfiles.

What one side changed is taken. What both changed to the same is taken. All else is a conflict, and nothing decides a
conflict here but whoever says which side is right.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mlvc.errors import FormatError
from mlvc.manifest import EMPTY_DIR, EXECUTABLE, FILE, Entry
from mlvc.pipeline.lockfile import Lockfile
from mlvc.snapshot import parents

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Sides = tuple[V | None, V | None, V | None]
"""Base, ours, theirs; None where there is nothing."""


@dataclass(frozen=True, slots=True)
class Merged(Generic[K, V]):
    """What is merged, and what both sides changed differently."""

    clean: Mapping[K, V] = field(default_factory=dict)
    conflicts: Mapping[K, Sides[V]] = field(default_factory=dict)

    def choosing(self, choice: Callable[[Sides[V]], V | None]) -> dict[K, V]:
        """All of it, with what ``choice`` makes of each conflict; None leaves it out."""
        chosen = {key: choice(sides) for key, sides in self.conflicts.items()}
        return {**self.clean, **{key: value for key, value in chosen.items() if value is not None}}


def three_way(base: Mapping[K, V], mine: Mapping[K, V], other: Mapping[K, V]) -> Merged[K, V]:
    """Merge name by name. What is in none of the results was deleted by one side and not changed by the other."""
    clean: dict[K, V] = {}
    conflicts: dict[K, Sides[V]] = {}
    for key in {**mine, **other}:
        old, one, two = base.get(key), mine.get(key), other.get(key)
        if one in (two, old) or two == old:
            value = two if one == old else one
            if value is not None:
                clean[key] = value
        else:
            conflicts[key] = (old, one, two)
    return Merged(clean, conflicts)


# -- the entries of a directory ----------------------------------------------------------------


def entries(base: Iterable[Entry], mine: Iterable[Entry], other: Iterable[Entry]) -> Merged[str, Entry]:
    """Merge two versions of a directory by path. A rename counts as a deletion and an addition.

    That one side changed what is in a file and the other whether it is executable is no conflict. That one has a
    file where the other has a directory is one, of all paths that are concerned.
    """
    sides = tuple({entry.path: entry for entry in side} for side in (base, mine, other))
    merged = three_way(*sides)
    clean, conflicts = dict(merged.clean), dict(merged.conflicts)
    for path, three in merged.conflicts.items():
        both = _content_and_mode(*three)
        if both is not None:
            del conflicts[path]
            clean[path] = both
    for path in _in_the_way({**clean, **conflicts}, sides[1:]):
        conflicts.setdefault(path, (sides[0].get(path), sides[1].get(path), sides[2].get(path)))
        clean.pop(path, None)
    return Merged(clean, conflicts)


def settled(chosen: Mapping[str, Entry]) -> list[Entry]:
    """The entries of a directory after a merge: one is not empty where something is below it."""
    full = {parent for path in chosen for parent in parents(path)}
    return [entry for path, entry in sorted(chosen.items()) if entry.kind != EMPTY_DIR or path not in full]


def _content_and_mode(old: Entry | None, one: Entry | None, two: Entry | None) -> Entry | None:
    """A file of which one side changed the content and the other the permission to execute; None where it is not so."""
    if old is None or one is None or two is None or not {old.kind, one.kind, two.kind} <= {FILE, EXECUTABLE}:
        return None
    # One of two kinds: where both sides changed it, they changed it to the same.
    kind = two.kind if one.kind == old.kind else one.kind
    if two.oid in (one.oid, old.oid):
        return one._replace(kind=kind)
    return two._replace(kind=kind) if one.oid == old.oid else None


def _in_the_way(there: Iterable[str], sides: Iterable[Mapping[str, Entry]]) -> set[str]:
    """Those of the paths that are a file on one side and a directory on the other, and what is below them."""
    paths = set(there)
    files = {path for side in sides for path in paths if path in side and side[path].kind != EMPTY_DIR}
    found: set[str] = set()
    for path in paths:
        tops = [parent for parent in parents(path) if parent in files]
        if tops:
            found.update((path, *tops))
    return found


# -- Lockfiles ---------------------------------------------------------------------------------


def lockfiles(base: Lockfile, mine: Lockfile, other: Lockfile) -> tuple[Lockfile, dict[str, Sides[object]]]:
    """Merge two Lockfiles Stage by Stage. A Stage in conflict has no entry and is marked: ``mlvc repro`` runs it again.

    Also what was in conflict. FormatError where keys that this version does not know differ on both sides.
    """
    stages = three_way(base.stages, mine.stages, other.stages)
    extra = three_way(base.extra, mine.extra, other.extra)
    if extra.conflicts:
        raise FormatError(
            f"both sides of mlvc.lock changed '{next(iter(extra.conflicts))}', which this mlvc does not know",
            hint="use a newer mlvc",
        )
    marks = three_way(*(dict.fromkeys(side.rerun, True) for side in (base, mine, other)))
    rerun = (marks.clean.keys() | stages.conflicts.keys()) - stages.clean.keys()
    return Lockfile(stages.clean, extra.clean, frozenset(rerun)), dict(stages.conflicts)
