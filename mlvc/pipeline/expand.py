"""From what a pipeline file says to Stages without templates: ``foreach``, ``matrix``, ``vars`` and ``when``."""

from __future__ import annotations

import itertools
import math
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlvc.pipeline import template, when
from mlvc.pipeline.place import Place, Trouble, kind
from mlvc.pipeline.template import Allow, Compiled, Fixed
from mlvc.pipeline.variables import ITEM, LIST, OUT, Files, Names, Surroundings, Variables, load, load_default, textual

_TEXTS = frozenset({"cmd", "wdir", "deps", "outs", "metrics", "plots", "params", "desc", "image", "each"})
_KEY = "key"
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Made:
    """One Stage as a file without templates would describe it."""

    name: str
    place: Place
    fields: Mapping[str, Any]
    group: str = ""
    skip: str = ""


class Context:
    """What all Stages of one file share: its variables, which are read when the first template asks for them."""

    def __init__(self, top: Place, entries: object, around: Surroundings) -> None:
        self.files = Files(around.load)
        self.environment = around.environment
        self.directory = posixpath.dirname(top.file)
        self._top = top
        self._entries = entries
        self._variables: Variables | None = None
        self.names = Names(self.variables, self.environment)
        if entries is not None:
            self.variables()

    def variables(self) -> Variables:
        """Those of ``params.yaml`` and of ``vars`` at the top of the file. PipelineError where they do not fit."""
        if self._variables is None:
            try:
                default = load_default(self.files, self.directory)
            except Trouble as trouble:
                self._top.told(trouble)
            self._variables = load(self._top.on("vars"), self._entries, self.directory, self.files, default)
        return self._variables

    def resolved(self, key: str, value: Any) -> Any:
        """What stands under ``key`` at the top of the file, with all templates resolved."""
        return _resolved(self._top.on(key), value, self.names)


def stages(place: Place, fields: Mapping[str, Any], context: Context) -> Iterator[Made]:
    """The Stages that one entry below ``stages`` makes: one, or those of a ``foreach`` or ``matrix``.

    ``fields`` are as the schema has them. PipelineError for what cannot be resolved.
    """
    name = place.stage
    if "matrix" in fields:
        body = _Body(place, {key: value for key, value in fields.items() if key != "matrix"}, context)
        found = _combined(place.on("matrix"), fields["matrix"], context.names)
    elif "foreach" in fields:
        body = _Body(place.on("do"), fields["do"], context)
        found = _each(place.on("foreach"), fields["foreach"], context.names)
    else:
        yield _Body(place, fields, context).made(name, {})
        return
    for key, local in dict(found).items():
        yield body.made(_name(place, name, key), local, group=name)


def _name(place: Place, group: str, key: str) -> str:
    name = f"{group}@{key}"
    if not name.isprintable():
        place.fail(f"the stage name {name!r} has a character that cannot be shown", hint="go through other values")
    return name


@dataclass(slots=True)
class _Body:
    """The description of one Stage or of many that are alike, compiled once."""

    place: Place
    fields: Mapping[str, Any]
    context: Context
    _parts: list[tuple[str, Compiled]] = field(default_factory=list)
    _fixed: dict[str, Any] = field(default_factory=dict)
    _whole: set[str] = field(default_factory=set)
    """Keys of paths and names that may come out as numbers."""
    _wdir: Compiled | None = None
    _later: tuple[str, ...] = ()
    """Names that its commands leave to the items of ``each``."""
    _own: dict[str, Variables] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "each" in self.fields:
            self._later = (ITEM, LIST, OUT)
        for key, value in self.fields.items():
            if key in ("vars", "when"):
                continue
            compiled = self._compiled(key, value)
            if isinstance(compiled, Fixed):
                self._fixed[key] = compiled.value
            else:
                self._parts.append((key, compiled))
                if key in _TEXTS and template.may_be_number(compiled):
                    self._whole.add(key)
            if key == "wdir":
                self._wdir = compiled

    def _compiled(self, key: str, value: Any) -> Compiled:
        try:
            if key == "cmd":
                return template.compile_per_item(value) if "each" in self.fields else _command(value)
            return template.compile_value(value)
        except Trouble as trouble:
            self.place.on(key).told(trouble)

    def made(self, name: str, local: Mapping[str, Any], *, group: str = "") -> Made:
        """The Stage ``name``, with ``local`` as its own variables."""
        place = self.place.of(name)
        names = Names(self._variables(place, local), self.context.environment, local)
        fields = dict(self._fixed)
        for key, part in self._parts:
            try:
                names.later = self._later if key == "cmd" else ()
                value = part.resolve(names)
                fields[key] = _as_text(value) if key in self._whole else value
            except Trouble as trouble:
                place.on(key).told(trouble)
        names.later = ()
        return Made(name, place, fields, group, self._skip(place, names))

    def _variables(self, place: Place, local: Mapping[str, Any]) -> Callable[[], Variables]:
        entries = self.fields.get("vars")
        if entries is None:
            return self.context.variables
        directory = self._directory(place, local)
        if directory not in self._own:
            self._own[directory] = load(
                place.on("vars"), entries, directory, self.context.files, self.context.variables(), reserved=local
            )
        return lambda: self._own[directory]

    def _directory(self, place: Place, local: Mapping[str, Any]) -> str:
        """Where the files of the Stage's own ``vars`` are looked for: in its ``wdir``, which they cannot decide."""
        if self._wdir is None:
            return self.context.directory
        try:
            text = self._wdir.resolve(Names(self.context.variables, self.context.environment, local))
        except Trouble as trouble:
            place.on("wdir").told(trouble)
        path = posixpath.normpath(posixpath.join(self.context.directory, template.text_of(text)))
        return "" if path == "." else path

    def _skip(self, place: Place, names: Names) -> str:
        """The condition, where it does not hold."""
        if "when" not in self.fields:
            return ""
        condition = self.fields["when"]
        try:
            return "" if when.holds(condition, names) else template.text_of(condition)
        except Trouble as trouble:
            place.on("when").told(trouble)


def _as_text(value: Any) -> Any:
    """A path or name that came out of a template as a number."""
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, dict):
        return {_as_text(key): item for key, item in value.items()}
    return template.text_of(value) if isinstance(value, int | float) else value


def _command(value: Any) -> Compiled:
    if isinstance(value, str):
        return template.compile_value(value, Allow.FLAGS)
    return template.compile_value(value, Allow.FLAGS if isinstance(value, list) else Allow.PLAIN)


def _resolved(place: Place, value: Any, names: Names) -> Any:
    try:
        return template.compile_value(value, Allow.ALL).resolve(names)
    except Trouble as trouble:
        place.told(trouble)


Found = Iterator[tuple[str, Mapping[str, Any]]]
"""What comes after ``@`` in the name of a Stage, and the variables that it has for itself."""


def _each(place: Place, data: Any, names: Names) -> Found:
    found = _resolved(place, data, names)
    if isinstance(found, dict):
        for key, value in found.items():
            text = template.text_of(key)
            yield text, {ITEM: textual(value), _KEY: text}
    elif isinstance(found, list):
        numbered = any(isinstance(value, dict | list) for value in found)
        for number, value in enumerate(found):
            yield str(number) if numbered else _word(value, data, number), {ITEM: textual(value)}
    else:
        place.fail(f"'foreach' must be a list or a mapping, and this is {kind(found)}")


def _combined(place: Place, data: Any, names: Names) -> Found:
    if not isinstance(data, Mapping) or not data:
        what = "empty" if not data else kind(data)
        place.fail(f"'matrix' must be a mapping of names to lists, and this is {what}")
    axes = {str(axis): _axis(place.on(str(axis)), str(axis), values, names) for axis, values in data.items()}
    count = math.prod(map(len, axes.values()))
    if count > _MOST:
        place.fail(f"the matrix makes {count:,} stages, and {_MOST:,} are the most")
    for chosen in itertools.product(*axes.values()):
        key = "-".join([word for word, _ in chosen])
        item = {axis: value for axis, (_, value) in zip(axes, chosen, strict=True)}
        yield key, {ITEM: item, _KEY: key}


def _axis(place: Place, axis: str, data: Any, names: Names) -> Sequence[tuple[str, Any]]:
    found = _resolved(place, data, names)
    if isinstance(found, dict):
        found = list(found)
    if not isinstance(found, list):
        place.fail(f"'{axis}' of 'matrix' must be a list, and this is {kind(found)}", hint="write [a, b]")
    return [
        (f"{axis}{number}" if isinstance(value, dict | list) else _word(value, data, number), textual(value))
        for number, value in enumerate(found)
    ]


def _word(value: Any, data: Any, number: int) -> str:
    """A value as a part of a name, as DVC spells it: true out of a template is ``True``."""
    raw = data[number] if isinstance(data, list) else data
    return str(value) if isinstance(value, bool) and template.has_template(raw) else template.text_of(value)
