"""YAML, TOML and JSON as plain values, with one canonical way to write JSON.

The three libraries are loaded on use, because most commands need at most one of them.
YAML is read by the core schema of YAML 1.2: only ``true`` and ``false`` are booleans, ``1e-3`` is a
number, ``010`` is ten, and there are no dates and no base-60 numbers. A key that comes twice is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from mlvc.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TAG = "tag:yaml.org,2002:"
_CORE = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
)


@dataclass(frozen=True, slots=True)
class Yaml:
    """One YAML document: its plain value, and where each part of it stands in the text."""

    value: Any
    root: Any
    """The node of the YAML library, for layout-preserving edits; None for an empty document."""

    def position(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Line and column, from 1, of the part at ``path``, or of the nearest part around it that is written down."""
        mark = self.root.start_mark if self.root is not None else None
        node = self.root
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            mark, node = found
        return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)

    def lines_of_keys(self, path: Sequence[str]) -> dict[str, int]:
        """The line, from 1, of every key of the mapping at ``path``."""
        node = self.node(path)
        pairs = node.value if node is not None and node.id == "mapping" else []
        return {key.value: key.start_mark.line + 1 for key, _ in pairs}

    def node(self, path: Sequence[str | int]) -> Any:
        """The library's node at ``path``, None where there is none."""
        node = self.root
        for step in path:
            found = _child(node, step)
            if found is None:
                return None
            node = found[1]
        return node


def _child(node: Any, step: str | int) -> tuple[Any, Any] | None:
    if node is not None and node.id == "mapping":
        return next(((k.start_mark, v) for k, v in node.value if k.value == str(step)), None)
    if node is not None and node.id == "sequence" and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark, node.value[step]
    return None


def load_yaml(text: str, name: str) -> Any:
    """The plain value of ``text``; FormatError gives file ``name``, line and column."""
    return parse_yaml(text, name).value


def parse_yaml(text: str, name: str) -> Yaml:
    """``text`` as a value with positions; FormatError gives file ``name``, line and column."""
    import yaml  # noqa: PLC0415 - 15 ms

    loader: Any = None
    try:
        _refuse_deep(text, name)
        loader = _loader()(text)
        root = loader.get_single_node()
        _refuse_huge(root, name)
        return Yaml(None if root is None else loader.construct_document(root), root)
    except yaml.reader.ReaderError as error:
        raise FormatError(f"{name}: a character that YAML does not allow: {error.reason}") from None
    except yaml.MarkedYAMLError as error:
        raise FormatError(_told(error, name)) from None
    except RecursionError:
        raise FormatError(f"{name} is nested too deeply") from None
    except (ValueError, KeyError, OverflowError) as error:
        raise FormatError(f"{name} has a value that cannot be read: {_line(error)}") from None
    finally:
        if loader is not None:
            loader.dispose()


_DEEP = 100
_MOST = 1_000_000
_ALIASES = "an alias (`*name`) stands for all that its anchor (`&name`) has: take it out, or write the value there"


def _refuse_huge(root: Any, name: str) -> None:
    """FormatError where aliases make a value that contains itself, or one of millions of parts."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        known = sizes.get(id(node))
        if known == 0:
            raise FormatError(f"{name}, line {node.start_mark.line + 1}: a value that contains itself", hint=_ALIASES)
        if known is None:
            sizes[id(node)] = 0
            parts = node.value if node.id in ("sequence", "mapping") else ()
            known = sizes[id(node)] = 1 + sum(
                size(part) for item in parts for part in (item if node.id == "mapping" else (item,))
            )
        return known

    if root is not None and size(root) > _MOST:
        raise FormatError(f"{name} has aliases that stand for more than a million values", hint=_ALIASES)


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0][:100]


def _refuse_deep(text: str, name: str) -> None:
    """FormatError for nesting that would exhaust the stack of the C library, which ends the process."""
    import yaml  # noqa: PLC0415

    depth = deepest = 0
    for found in re.finditer(r"[\[{]|[\]}]", text):
        depth += 1 if found[0] in "[{" else -1
        deepest = max(deepest, depth)
    leading = max((len(found[0]) for found in re.finditer(r"^[ ?:-]{100,}", text, re.MULTILINE)), default=0)
    if deepest < _DEEP and leading < _DEEP:
        return
    # Brackets in text, long rules of dashes: the events tell what is nested indeed.
    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEP:
            raise FormatError(f"{name} is nested deeper than {_DEEP} levels")


def _told(error: Any, name: str) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
    return f"{where}: {error.problem or error.context or 'not YAML'}"


@cache
def _loader() -> Any:
    """The loader class: C parser, core schema, no duplicate keys."""
    import yaml  # noqa: PLC0415

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}
        yaml_constructors: ClassVar[dict[str, Any]] = dict(base.yaml_constructors)

        def flatten_mapping(self, node: Any) -> None:
            # Every mapping comes here before it is built, perhaps again when another one merges it:
            # what a merge then put in is no duplicate.
            if not hasattr(node, "checked"):
                _refuse_twice(node, yaml.constructor.ConstructorError)
                self._refuse_equal(node)
                node.checked = True
            super().flatten_mapping(node)

        def _refuse_equal(self, node: Any) -> None:
            # To Python 1, 1.0 and true are one key of a mapping: the last would silently win.
            odd = [key for key, _ in node.value if key.tag in _EQUAL]
            seen: dict[Any, str] = {}
            for key in odd if len(odd) > 1 else ():
                other = seen.setdefault(self.construct_object(key), key.value)
                if other != key.value:
                    told = f"the keys '{other}' and '{key.value}' are the same: put them in quotes"
                    raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)

    for kind, pattern, first in _CORE:
        Loader.add_implicit_resolver(_TAG + kind, re.compile(rf"(?:{pattern})\Z"), first)
    Loader.add_constructor(_TAG + "int", lambda loader, node: _int(loader.construct_scalar(node)))
    Loader.add_constructor(_TAG + "float", lambda loader, node: _float(loader.construct_scalar(node)))
    Loader.add_constructor(_TAG + "timestamp", lambda loader, node: loader.construct_scalar(node))
    return Loader


_EQUAL = frozenset({_TAG + "bool", _TAG + "int", _TAG + "float"})


def _refuse_twice(node: Any, error: Any) -> None:
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if key.id != "scalar":
            raise error(None, None, "a key must be a plain word or text", key.start_mark)
        if (key.tag, key.value) in seen and key.tag != _TAG + "merge":
            raise error(None, None, f"the key '{key.value}' is there twice", key.start_mark)
        seen.add((key.tag, key.value))


def _int(text: str) -> int:
    base = {"0x": 16, "0o": 8}.get(text[:2], 10)
    return int(text, base)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def plain_yaml(text: str) -> bool:
    """Whether the unquoted scalar ``text`` would be read as that very text."""
    return not any(re.fullmatch(pattern, text) for _, pattern, _ in _CORE)


def load_toml(text: str, name: str) -> dict[str, Any]:
    """The table in ``text``; FormatError gives file ``name``, line and column."""
    import tomllib  # noqa: PLC0415

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        raise FormatError(f"{name}, {where.rstrip(')')}: {what}" if what else f"{name}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} has a value that cannot be read: {_line(error)}") from None


def load_json(text: str, name: str) -> Any:
    """The value in ``text``; FormatError gives file ``name``, line and column. A key that comes twice is refused."""
    import json  # noqa: PLC0415

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(found)
        if len(value) != len(found):
            twice = next(key for key, _ in found if sum(key == other for other, _ in found) > 1)
            raise FormatError(f"{name}: the key '{twice}' is there twice")
        return value

    try:
        return json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise FormatError(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ValueError as error:
        raise FormatError(f"{name} has a value that cannot be read: {_line(error)}") from None
    except RecursionError:
        raise FormatError(f"{name} is nested too deeply") from None


def dump_json(value: Any) -> str:
    """Canonical JSON for files: keys sorted, two spaces a level, UTF-8 as it is, LF, the last line ended.

    ValueError for what JSON cannot say: NaN, infinities.
    """
    import json  # noqa: PLC0415

    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def compact_json(value: Any) -> str:
    """Canonical JSON for digests: as dump_json, but on one line, without any space and without an LF."""
    import json  # noqa: PLC0415

    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def ending_as(text: str, old: bytes) -> bytes:
    """``text`` with the line ends of ``old``: a file that Git wrote with CRLF stays one, or Git calls it modified."""
    text = text.replace("\r\n", "\n")
    return (text.replace("\n", "\r\n") if b"\r\n" in old else text).encode(errors="surrogateescape")


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that looks most like ``word``, '' where none is near."""
    import difflib  # noqa: PLC0415

    close = difflib.get_close_matches(word, list(known), 5, 0.6)
    # Two letters swapped is the commonest slip, and difflib ranks it no higher than two letters wrong.
    return next((name for name in close if sorted(name) == sorted(word)), close[0] if close else "")
