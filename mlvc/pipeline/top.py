"""What stands at the top of a pipeline file beside its Stages: ``params``, ``metrics``, ``plots``, ``artifacts``.

The schema has checked what is written there; what templates made of it is checked here, and paths. Every path
is relative to the repository, with ``/`` between its parts.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from mlvc.errors import PipelineError
from mlvc.pipeline.spec import Pipeline

OPTIONS = ("template", "title", "x_label", "y_label", "header")
_HINTS = {
    "params": "write each file behind '- '",
    "metrics": "write each file behind '- '",
    "plots": "write each plot behind '- ': a path, or a name with x, y and others below it",
    "artifacts": "write NAME: {path: PATH}",
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing that a pipeline file asks for.

    ``id``: its name; where ``y`` names no file, the path of the data. ``x`` and ``y``: file and column, in pairs. A
    column of ``x`` without a file is one of each file of ``y``; a file of ``y`` is '' where it is the path itself.
    """

    id: str
    file: str
    """The pipeline file."""
    path: str = ""
    """The path of the data, of an image, or of a directory with some; '' where ``y`` names files."""
    x: tuple[tuple[str, str], ...] = ()
    y: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """What it says of ``OPTIONS``."""


@dataclass(frozen=True, slots=True)
class Top:
    """The four of them, with paths of the repository."""

    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    artifacts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Position = Callable[[tuple[str | int, ...]], tuple[int, int]]
"""From a part of the file to its line and column."""


@dataclass(frozen=True, slots=True)
class _At:
    """A place in a pipeline file; the line is looked up only for a message."""

    file: str
    find: Position
    path: tuple[str | int, ...]

    def on(self, *steps: str | int) -> _At:
        return _At(self.file, self.find, self.path + steps)

    def fail(self, message: str, hint: str = "") -> NoReturn:
        line, column = self.find(self.path)
        raise PipelineError(
            f"{self.file}, line {line}, column {column}: {message}", hint=hint or _HINTS[str(self.path[0])]
        )


def read(pipeline: Pipeline, find: Position) -> Top:
    """What ``pipeline`` says there, and its Stages of their plots; PipelineError with file and line for another shape.

    ``find`` tells where a part of the file stands.
    """
    at = _At(pipeline.file, find, ())
    return Top(
        tuple(_paths(at.on("params"), pipeline.params)),
        tuple(_paths(at.on("metrics"), pipeline.metrics)),
        tuple(_plots(at.on("plots"), pipeline.plots)),
        _artifacts(at.on("artifacts"), pipeline.artifacts),
    )


def of_output(path: str, file: str, options: Mapping[str, Any]) -> Plot:
    """The Plot of an output of a Stage, whose flags are ``options``."""
    y = options.get("y")
    columns = [y] if isinstance(y, str) else y if isinstance(y, list) else []
    x = options.get("x")
    return Plot(
        path,
        file,
        path,
        ((("", x),) if isinstance(x, str) else ()),
        tuple(("", str(column)) for column in columns),
        {key: options[key] for key in OPTIONS if key in options},
    )


def _items(at: _At, value: object) -> Iterator[tuple[_At, Any]]:
    if value is None:
        return
    if not isinstance(value, list):
        at.fail(f"'{at.path[0]}' must be a list")
    for number, item in enumerate(value):
        yield at.on(number), item


def _paths(at: _At, value: object) -> Iterator[str]:
    for here, item in _items(at, value):
        if not isinstance(item, str) or not item:
            here.fail(f"an entry of '{at.path[0]}' must be a path")
        yield _inside(here, item)


def _inside(at: _At, text: str) -> str:
    path = posixpath.normpath(posixpath.join(posixpath.dirname(at.file), text))
    if path.startswith(("../", "/")) or path in ("..", ".") or "\0" in path:
        at.fail(f"'{text}' is outside the repository", "paths begin at the directory of the file")
    return path


def _plots(at: _At, value: object) -> Iterator[Plot]:
    if isinstance(value, Mapping):
        pairs = [(at.on(str(key)), str(key), options) for key, options in value.items()]
    else:
        pairs = []
        for here, item in _items(at, value):
            if isinstance(item, str):
                pairs.append((here, item, None))
            elif isinstance(item, Mapping) and item:
                pairs += [(here.on(str(key)), str(key), options) for key, options in item.items()]
            else:
                here.fail("an entry of 'plots' must be a path, or a name with keys below it")
    for here, name, options in pairs:
        yield _plot(here, name, options)


def _plot(at: _At, name: str, options: object) -> Plot:
    if options is None:
        options = {}
    if not isinstance(options, Mapping):
        at.fail(f"what is below the plot '{name}' must be keys with values")
    for key in OPTIONS:
        kind, told = (bool, "true or false") if key == "header" else (str, "text")
        if key in options and not isinstance(options[key], kind):
            at.on(key).fail(f"'{key}' of the plot '{name}' must be {told}")
    y, x = (tuple(_axis(at.on(axis), options.get(axis))) for axis in ("y", "x"))
    named = any(file for file, _ in y)
    path = "" if named else _inside(at, name)
    return Plot(name if named else path, at.file, path, x, y, {key: options[key] for key in OPTIONS if key in options})


def _axis(at: _At, value: object) -> Iterator[tuple[str, str]]:
    """The pairs of file and column, '' for the data of the plot itself."""
    given: list[tuple[_At, str, object]] = []
    if isinstance(value, Mapping):
        given = [(at.on(str(file)), _inside(at, str(file)), columns) for file, columns in value.items()]
    elif value is not None:
        given = [(at, "", value)]
    for here, file, columns in given:
        for column in columns if isinstance(columns, list) else [columns]:
            if not isinstance(column, str | int) or isinstance(column, bool):
                here.fail(f"'{at.path[-1]}' must be a column, a list of columns, or files with their columns")
            yield file, str(column)


def _artifacts(at: _At, value: object) -> Mapping[str, Mapping[str, Any]]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        at.fail("'artifacts' must be names with keys below them")
    for name, fields in value.items():
        path = fields.get("path") if isinstance(fields, Mapping) else None
        if not isinstance(path, str) or not path:
            at.on(str(name)).fail(f"the artifact '{name}' must have a 'path'")
        _inside(at.on(str(name), "path"), path)
    return value
