"""Where a pipeline file says something of a Stage: what messages begin with. Looked up only for a message."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlvc import globs
from mlvc.pipeline.spec import DEFAULT_PARAMS, FLAGS, ParamRef, Stage

if TYPE_CHECKING:
    from mlvc.codec import Yaml

_Path = tuple[str | int, ...]


def of(stage: Stage, named: str | ParamRef = "") -> str:
    """File, line and column of ``stage``, or of where it names an output, a dependency or a parameter."""
    at = stage.at
    if at is None or at.document is None:
        return f"{stage.file}, line {stage.line}" if stage.line else stage.file
    found = _params(stage, at, named) if isinstance(named, ParamRef) else _paths(stage, at, named)
    line, column = at.document.position(next(found, at.path))
    return f"{stage.file}, line {line}, column {column}"


def of_key(stage: Stage, key: str) -> str:
    """File, line and column of a key of ``stage``."""
    at = stage.at
    if at is None or at.document is None:
        return of(stage)
    line, column = at.document.position((*at.path, key))
    return f"{stage.file}, line {line}, column {column}"


def before(stage: Stage, named: str | ParamRef = "") -> str:
    """What a message about it begins with: the same, and the Stage."""
    return f"{of(stage, named)}: stage '{stage.name}': "


def _paths(stage: Stage, at: Any, path: str) -> Iterator[_Path]:
    """Where ``path`` is named. By number: what is written there may be a template."""
    if path == stage.each:
        yield (*at.path, "each")
    if path in stage.deps:
        yield _entry(at.document, (*at.path, "deps"), stage.deps.index(path))
    for role in FLAGS:
        outs = [out.path for out in stage.outs if out.role == role]
        if path in outs:
            yield _entry(at.document, (*at.path, role), outs.index(path))
    for ref in stage.params:
        if ref.file == path:
            yield from _params(stage, at, ref)


def _entry(document: Yaml, path: _Path, number: int) -> _Path:
    """The entry of that number, from 0, of a list, or of a mapping."""
    node = document.node(path)
    if node is None or node.id != "mapping":
        return (*path, number)
    return (*path, *(name.value for name, _ in node.value[number : number + 1]))


def _params(stage: Stage, at: Any, ref: ParamRef) -> Iterator[_Path]:
    """Where a parameter is named: at its key, else at its file, else where the parameters begin."""
    path = (*at.path, "params")
    written = _value(at.document, path)
    for number, item in enumerate(written if isinstance(written, list) else ()):
        if item == ref.key and posixpath.basename(ref.file) == DEFAULT_PARAMS:
            yield (*path, number)
        for file, keys in item.items() if isinstance(item, Mapping) else ():
            named = posixpath.normpath(posixpath.join(stage.wdir, str(file)))
            if named == ref.file or (globs.is_pattern(named) and globs.fits(named)(ref.file)):
                listed = isinstance(keys, list) and ref.key in keys
                yield (*path, number, str(file), *([keys.index(ref.key)] if listed else []))
    if written is not None:
        yield path


def _value(document: Yaml, path: _Path) -> Any:
    value = document.value
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
