"""Adds a Stage or a key to the text of ``mlvc.yaml``, or takes a key out, and leaves every other byte as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlvc import codec
from mlvc.errors import FormatError, PipelineError
from mlvc.pipeline import spec

_BY_HAND = "edit the file by hand"
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./ @%+=,:~^()\"'$*?<>|&;\\{}\[\]!-]*")


def add_stage(
    text: str, name: str, fields: Mapping[str, Any], *, file: str = spec.FILE, force: bool = False, root: str = ""
) -> str:
    """``text`` with the Stage ``name`` after the last one.

    ``fields`` are what stands below its name. PipelineError for a Stage that is not valid, a name that is there
    already (``force`` replaces that block, and its comments, alone), and a layout that cannot be added to. ``root``:
    see spec.parse_stage.
    """
    spec.parse_stage(name, fields, file, root)
    document = codec.parse_yaml(text, file)
    before = document.value or {}
    stages = (before.get("stages") or {}) if isinstance(before, dict) else None
    if not isinstance(stages, dict):
        raise PipelineError(f"{file} is not a pipeline file: it has no mapping of stages", hint=_BY_HAND)
    if name in stages and not force:
        raise PipelineError(
            f"{file} has a stage '{name}' already", hint="give another name, or replace it with --force"
        )
    edited = _edit(text, document, name, fields)
    _verify(edited, {**before, "stages": {**stages, name: fields}}, file)
    return edited


def set_flag(text: str, name: str, key: str, *, on: bool, file: str = spec.FILE) -> str:
    """``text`` with ``key: true`` below the entry ``name`` of the stages, or without that key.

    Where the entry is a ``foreach``, it goes below its ``do``. PipelineError for a layout that cannot be changed.
    """
    document = codec.parse_yaml(text, file)
    stages = document.value["stages"]
    written = next(each for each in stages if str(each) == name)
    value = stages[written]
    path = ("stages", name, "do") if "do" in value else ("stages", name)
    body = value.get("do", value)
    if body.get(key, False) is on:
        return text
    node = document.node(path)
    here = any(each.value == key for each, _ in node.value)
    if not on and not here:  # merged in from an anchor
        raise PipelineError(f"'{key}' of stage '{name}' does not stand below it in {file}", hint=_BY_HAND)
    edited = (_without if not on else _with_value if here else _with_key)(text, node, key)
    wanted = {**body, key: True} if on else {other: item for other, item in body.items() if other != key}
    entry = {**value, "do": wanted} if "do" in value else wanted
    _verify(edited, {**document.value, "stages": {**stages, written: entry}}, file)
    return edited


def _with_key(text: str, node: Any, key: str) -> str:
    """``key: true`` at the end of a block, or at the beginning of what stands in braces."""
    if node.flow_style:
        start = _offset(text, node.start_mark) + 1
        return f"{text[:start]}{key}: true, {text[start:]}"
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").split("\n")
    indent = node.value[0][0].start_mark.column
    end = _end(lines, node, indent)
    edited = newline.join([*lines[:end], " " * indent + f"{key}: true", *lines[end:]])
    return edited if edited.endswith("\n") else edited + newline


def _pair(node: Any, key: str) -> tuple[Any, Any]:
    return next((name, item) for name, item in node.value if name.value == key)


def _with_value(text: str, node: Any, key: str) -> str:
    item = _pair(node, key)[1]
    return f"{text[: _offset(text, item.start_mark)]}true{text[_offset(text, item.end_mark) :]}"


def _without(text: str, node: Any, key: str) -> str:
    """Without the line of ``key``; in braces, without the comma that parts it from others."""
    name, item = _pair(node, key)
    start, end = _offset(text, name.start_mark), _offset(text, item.end_mark)
    if node.flow_style:
        after = re.match(r"\s*,\s*", text[end:])
        before = re.search(r",\s*$", text[:start])
        if after is None and before is not None:
            return text[: before.start()] + text[end:]
        return text[:start] + text[end + (after.end() if after else 0) :]
    rest = re.match(r"[^\n]*\n?", text[end:])
    assert rest is not None
    return text[: start - name.start_mark.column] + text[end + rest.end() :]


def _offset(text: str, mark: Any) -> int:
    """Where in ``text`` a mark is."""
    start = 0
    for _ in range(mark.line):
        start = text.index("\n", start) + 1
    return start + int(mark.column)


def _edit(text: str, document: codec.Yaml, name: str, fields: Mapping[str, Any]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    node = document.node(("stages",))
    if node is None or not node.value:
        start, end, indent = _place_of_stages(lines, document)
        comment = re.search(r"\s+#.*", "".join(lines[start:end]))
        block = ["stages:" + (comment[0] if comment else "")]
    else:
        if node.flow_style:
            raise PipelineError("the stages are written in braces, which cannot be added to", hint=_BY_HAND)
        start, end, indent = _place_of_stage(lines, node, name)
        block = []
    block += [" " * indent + line for line in emit({name: fields})]
    return newline.join([*lines[:start], *block, *lines[end:]]) + newline


def _place_of_stages(lines: list[str], document: codec.Yaml) -> tuple[int, int, int]:
    """The lines to replace by a first ``stages:``, and the indentation below it."""
    for number, line in enumerate(lines):
        if re.match(r"stages:\s*(\{\s*\}|~|null)?\s*(#.*)?$", line):
            return number, number + 1, 2
    if document.root is not None and document.root.flow_style:
        raise PipelineError("the file is written in braces, which cannot be added to", hint=_BY_HAND)
    return len(lines), len(lines), 2


def _place_of_stage(lines: list[str], node: Any, name: str) -> tuple[int, int, int]:
    """The lines that the block of ``name`` takes, or the place after the last block; and the indentation."""
    indent = node.value[0][0].start_mark.column
    for key, value in node.value:
        if key.value == name:
            return key.start_mark.line, _end(lines, value, indent), indent
    last = _end(lines, node.value[-1][1], indent)
    return last, last, indent


def _end(lines: list[str], node: Any, indent: int) -> int:
    """The line after the block of ``node``: its last leaf, and the comments below that are indented as deep."""
    leaf = node
    while leaf.id != "scalar" and leaf.value and not leaf.flow_style:
        leaf = leaf.value[-1][1] if leaf.id == "mapping" else leaf.value[-1]
    mark = leaf.end_mark
    end = int(mark.line) + (1 if mark.column else 0)
    # The library ends an empty value, and text in a block, where the next thing begins.
    end = max(min(end, len(lines)), int(leaf.start_mark.line))
    while end > leaf.start_mark.line + 1 and not lines[end - 1].strip():
        end -= 1
    while end < len(lines) and re.match(rf"\s{{{indent + 1},}}#", lines[end]):
        end += 1
    return end


def emit(value: Mapping[str, Any]) -> list[str]:
    """``value`` as lines of YAML in block style."""
    lines: list[str] = []
    for key, item in value.items():
        lines += _entry(f"{_scalar(key)}:", item)
    return lines


def _entry(head: str, item: Any) -> list[str]:
    if isinstance(item, Mapping) and item:
        return [head, *("  " + line for line in emit(item))]
    if isinstance(item, Sequence) and not isinstance(item, str) and item:
        return [head, *(line for one in item for line in _item(one))]
    return [f"{head} {_scalar(item)}"]


def _item(item: Any) -> list[str]:
    """One entry of a list; a mapping begins on the line of its dash."""
    if isinstance(item, Mapping) and item:
        first, *rest = emit(item)
    elif isinstance(item, Sequence) and not isinstance(item, str) and item:
        first, rest = json.dumps(item, ensure_ascii=False), []
    else:
        first, rest = _scalar(item), []
    return [f"  - {first}", *("    " + line for line in rest)]


def _scalar(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "{}" if isinstance(value, Mapping) else "[]"
    if not isinstance(value, str):
        return json.dumps(value)
    plain = (
        _PLAIN.fullmatch(value)
        and not re.search(r": | #|:$| $", value)
        and codec.plain_yaml(value)
        and value not in ("---", "...")
    )
    if plain:
        return value
    # JSON text is YAML text, except that YAML wants these escaped too.
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda odd: f"\\u{ord(odd[0]):04x}", text)


def _verify(text: str, wanted: Any, file: str) -> None:
    try:
        found = codec.load_yaml(text, file)
    except FormatError:
        found = None
    if codec.compact_json(found) != codec.compact_json(wanted):
        raise PipelineError(f"the layout of {file} is one that cannot be added to", hint=_BY_HAND)
