"""The tables of docs/reference/json.md: what mlvc/cli/shapes.py says of each key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType, UnionType
from typing import Any, get_args, get_origin, is_typeddict

from mlvc.cli import shapes
from tests.helpers.promises import bare, meaning, members

_PARTS = (shapes.Change, shapes.Entry, shapes.Content, shapes.Item, shapes.Lost)
"""What has a table of its own, which others lead to."""


def parts() -> Iterator[str]:
    """A section for each part of several values."""
    for kind in _PARTS:
        yield f"### {kind.__name__}\n\n{kind.__doc__}\n\n{_table(kind, _PARTS)}\n"


def of(title: str, told: dict[object, str]) -> str:
    """The table of keys of one command, or where it is. ``told``: the types that have one, with the title above it."""
    name = title.removeprefix("mlvc ")
    kind = shapes.PRINTED[name] if name in shapes.PRINTED else shapes.PRINTED[name.partition(" --")[0]]
    inner = kind
    if get_origin(kind) in (list, dict, Iterator):
        inner = get_args(kind)[-1]
    if not is_typeddict(inner):
        return "The value of each setting, by its name."
    if inner in told:
        return f"As of [{told[inner]}](#{told[inner].replace(' ', '-')})."
    told[inner] = title
    begins = {
        list: "A list. Each value in it:\n\n",
        dict: "By the name of each setting:\n\n",
        Iterator: "One value on each line, as it happens:\n\n",
    }
    begin = begins.get(get_origin(kind), "")
    return begin + _table(inner, (*_PARTS, *(each for each in told if each is not inner)), told)


def _table(kind: Any, elsewhere: Collection[object], told: Mapping[object, str] = MappingProxyType({})) -> str:
    lines = ["| key | value | meaning |", "|---|---|---|"]
    lines += [f"| `{key}` | {value} | {means} |" for key, value, means in _rows(kind, elsewhere, told)]
    return "\n".join(lines)


def _rows(
    kind: Any, elsewhere: Collection[object], told: Mapping[object, str], above: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Key, value and meaning; what has no table elsewhere follows with its own keys."""
    for name, hint in members(kind).items():
        told_of = _value(hint, elsewhere, told)
        yield above + name, told_of + ("" if name in kind.__required_keys__ else "; may be absent"), meaning(hint)
        inner, many = _inner(hint)
        if is_typeddict(inner) and inner not in elsewhere:
            yield from _rows(inner, elsewhere, told, f"{above}{name}{'[]' if many else ''}.")


def _inner(hint: Any) -> tuple[Any, bool]:
    """A type without what may stand around it, and whether there is a list of it."""
    kind = bare(hint)
    if isinstance(kind, UnionType):
        kind = get_args(kind)[0]
    return (get_args(kind)[0], True) if get_origin(kind) is list else (kind, False)


def _value(hint: Any, elsewhere: Collection[object], told: Mapping[object, str]) -> str:
    kind = bare(hint)
    if isinstance(kind, UnionType):
        return f"{_value(get_args(kind)[0], elsewhere, told)}, or `null`"
    if get_origin(kind) is list:
        return f"list of {_many(_value(get_args(kind)[0], elsewhere, told))}"
    if get_origin(kind) is dict:
        return f"JSON object of {_value(get_args(kind)[1], elsewhere, told)}"
    if is_typeddict(kind):
        title = told.get(kind, kind.__name__)
        return f"[{title}](#{title.lower().replace(' ', '-')})" if kind in elsewhere else "JSON object"
    return {str: "text", int: "number", float: "number", bool: "`true`, `false`"}[kind] if kind is not Any else "any"


def _many(value: str) -> str:
    """The plural of what stands in the column of values; a name stays as it is."""
    first, of, rest = value.partition(" of ")
    return value if value.startswith("[") else f"{first}s{of}{rest}"
