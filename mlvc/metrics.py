"""Values by dotted names, and what differs between two sets of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NONE = object()
"""Stands for a value that is not there; JSON has no such thing."""


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One value of a file that differs between two revisions, or is compared all the same.

    ``name``: its dotted name, '' where the file is nothing but this value. ``old`` and ``new`` are None where the value
    is not there, which ``had`` and ``has`` tell from one that is ``null``.
    """

    path: str
    name: str
    old: Any
    new: Any
    had: bool = True
    has: bool = True

    @property
    def change(self) -> float | int | None:
        """How much more it is, where both are numbers."""
        return self.new - self.old if _is_number(self.old) and _is_number(self.new) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def flat(value: Any) -> dict[str, Any]:
    """What is in nested mappings by dotted name; a value that is no mapping has the name ''. Lists are values."""
    return dict(_flat("", value)) if isinstance(value, Mapping) else {"": value}


def _flat(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(item, Mapping):
            yield from _flat(name, item)
        else:
            yield name, item


def figures(value: Any) -> Any:
    """``value`` with what metrics are: numbers, texts and booleans in mappings. None where nothing of it is one."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        found = {key: kept for key, item in value.items() if (kept := figures(item)) is not None}
        return found or None
    return None


def compare(
    old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]], *, everything: bool = False
) -> list[ValueChange]:
    """What differs between values by path and dotted name; with ``everything`` also what does not.

    Paths and names are in the order of ``new``, those that only ``old`` has come behind.
    """
    found = []
    for path in {**new, **old}:
        before, after = old.get(path, {}), new.get(path, {})
        for name in {**after, **before}:
            was, now = before.get(name, NONE), after.get(name, NONE)
            if everything or not _same(was, now):
                found.append(
                    ValueChange(
                        path,
                        name,
                        None if was is NONE else was,
                        None if now is NONE else now,
                        was is not NONE,
                        now is not NONE,
                    )
                )
    return found


def _same(old: object, new: object) -> bool:
    """Whether two values are equal; for Python ``True`` is 1, too."""
    return old == new and isinstance(old, bool) == isinstance(new, bool)
