"""Records out of data files: CSV, TSV, JSON and YAML. A record is a mapping of columns to values."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlvc import codec
from mlvc.errors import FormatError

Record = dict[str, Any]
IMAGES: Mapping[str, str] = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".svg": "image/svg+xml",
}
"""What is shown as it is, and how a browser calls it."""
TABLES = {".csv": ",", ".tsv": "\t"}
TREES = (".json", ".yaml", ".yml")
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9]+(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = ("", "nan", "inf", "-inf", "infinity", "-infinity")
_WIDEST = 1 << 30


def kind_of(path: str) -> str:
    """The suffix that says what is in a file."""
    return posixpath.splitext(path)[1].lower()


def is_image(path: str) -> bool:
    """Whether a file is shown as it is."""
    return kind_of(path) in IMAGES


def records(data: bytes, path: str, name: str, *, header: bool = True) -> list[Record]:
    """The records of the file ``path``, which messages call ``name``.

    ``header``: whether the first line of a table names its columns; else they are ``0``, ``1`` and so on. FormatError
    for what does not parse, with the line, and for what is no table nor list of records.
    """
    suffix = kind_of(path)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise FormatError(f"{name} is not UTF-8 text", hint="plots are drawn from text files and images") from None
    if suffix in TABLES:
        return _table(text, name, TABLES[suffix], header=header)
    if suffix not in TREES:
        kinds = ", ".join([*TABLES, *TREES, *IMAGES])
        raise FormatError(f"{name} cannot be drawn", hint=f"plots are made of files that end with {kinds}")
    value = codec.load_json(text, name) if suffix == ".json" else codec.load_yaml(text, name)
    found = _joined(value)
    if not found:
        raise FormatError(f"{name} has no list of records", hint='records are such as [{"x": 1, "y": 2}, …]')
    return found


def _table(text: str, name: str, delimiter: str, *, header: bool) -> list[Record]:
    import csv  # noqa: PLC0415

    csv.field_size_limit(_WIDEST)
    reader = csv.reader(text.split("\n") if '"' not in text else text.splitlines(keepends=True), delimiter=delimiter)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise FormatError(f"{name}, line {reader.line_num}: {error}") from None
    if not rows:
        raise FormatError(f"{name} is empty", hint="its first line names the columns, each further line has values")
    names = rows.pop(0) if header else [str(number) for number in range(len(rows[0]))]
    columns = [_numbers([row[at] if at < len(row) else "" for row in rows]) for at in range(len(names))]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _numbers(column: list[str]) -> list[Any]:
    """A column as numbers, if all of it are such; what is empty or no finite number is None then."""
    words = [word.strip() for word in column]
    if not all(_NUMBER.fullmatch(word) or word.lower() in _NO_NUMBER for word in words) or not any(
        map(_NUMBER.fullmatch, words)
    ):
        return column
    return [_number(word) for word in words]


def _number(word: str) -> float | int | None:
    if word.lower() in _NO_NUMBER:
        return None
    if re.fullmatch(r"[-+]?[0-9]{1,15}", word):
        return int(word)
    number = float(word)
    return number if math.isfinite(number) else None


def _joined(value: Any) -> list[Record]:
    """The records of all lists in ``value``, those with the same number together."""
    found: list[Record] = []
    for one in _lists(value):
        if one and all(isinstance(item, Mapping) and item.keys() == one[0].keys() for item in one):
            for number, item in enumerate(one):
                if number == len(found):
                    found.append({})
                found[number].update({str(key): _plain(each) for key, each in item.items()})
    return found


def _lists(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, list):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _lists(item)


def _plain(value: Any) -> Any:
    """A value that JSON and a browser can take."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


# -- fewer of them -----------------------------------------------------------------------------


def thinned(points: Sequence[Record], most: int, y: str) -> list[Record]:
    """At most ``most`` of the points of a line, in order: the first, the last, of each part the extremes of ``y``."""
    if len(points) <= most:
        return list(points)
    parts = max(1, (most - 2) // 2)
    kept = {0, len(points) - 1}
    for part in range(parts):
        start, stop = len(points) * part // parts, len(points) * (part + 1) // parts
        among = [at for at in range(start, stop) if is_number(points[at].get(y))] or [start]
        kept.add(min(among, key=lambda at: _height(points[at], y)))
        kept.add(max(among, key=lambda at: _height(points[at], y)))
    return [points[at] for at in sorted(kept)]


def _height(point: Record, y: str) -> float:
    value = point.get(y)
    return float(value) if isinstance(value, int | float) else 0.0


def every(points: Sequence[Record], most: int) -> list[Record]:
    """At most ``most`` of the points, evenly."""
    return list(points) if len(points) <= most else [points[len(points) * at // most] for at in range(most)]


def is_number(value: object) -> bool:
    """Whether it is a number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def all_numbers(values: Iterable[object]) -> bool:
    """Whether all that are something are numbers."""
    return all(value is None or is_number(value) for value in values)
