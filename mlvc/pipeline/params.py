"""Parameters: values that Stages name in YAML, JSON, TOML and Python files.

A value is what JSON can say. Dates become their ISO text; NaN and the infinities become ``.nan`` and ``.inf``.
"""

from __future__ import annotations

import ast
import math
import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlvc import codec, globs
from mlvc.errors import FormatError, PipelineError

if TYPE_CHECKING:
    from mlvc.pipeline.spec import ParamRef

Values = Mapping[str, Mapping[str, Any]]
"""File, then dotted key, then value; the key '' stands for the whole file."""
SUFFIXES = (".yaml", ".yml", ".json", ".toml")
"""How the names of files end that hold nothing but values."""


@dataclass(frozen=True, slots=True)
class ParamFiles:
    """Reads parameter files; one whose bytes have not changed since is not parsed again."""

    read: Callable[[str], bytes | None]
    """The bytes at a repository-relative path, None where there is no file."""
    _parsed: dict[str, tuple[bytes, Any]] = field(default_factory=dict)

    def values(
        self, refs: Iterable[ParamRef], *, pending: Iterable[str] = (), place: Callable[[ParamRef], str] = lambda _: ""
    ) -> dict[str, dict[str, Any]]:
        """The values of ``refs`` as they are now.

        PipelineError names the file, or the key and the nearest known one, that is not there; before it stands what
        ``place`` says of a parameter. Of ``pending``, files that a Stage has yet to make, missing ones are left out.
        """
        found: dict[str, dict[str, Any]] = {}
        waiting = frozenset(pending)
        for ref in refs:
            data = self.read(ref.file)
            if data is None and ref.file in waiting:
                continue
            if data is None:
                told = "fits no file" if globs.is_pattern(ref.file) else "is not there"
                raise PipelineError(f"{place(ref)}the parameter file '{ref.file}' {told}", hint=_wanted(ref))
            content = self._content(ref.file, data)
            try:
                found.setdefault(ref.file, {})[ref.key] = pick(content, ref)
            except PipelineError as error:
                raise PipelineError(f"{place(ref)}{error.message}", hint=error.hint) from None
        return found

    def _content(self, file: str, data: bytes) -> Any:
        known = self._parsed.get(file)
        if known is None or known[0] != data:
            known = self._parsed[file] = (data, parse(data, file))
        return known[1]


def _wanted(ref: ParamRef) -> str:
    return f"a stage depends on its key '{ref.key}'" if ref.key else "a stage depends on all of it"


def loader(read: Callable[[str], bytes | None]) -> Callable[[str], Any]:
    """What gives the plain value of a parameter file by its path, None where ``read`` finds no file."""

    def load(path: str) -> Any:
        data = read(path)
        return None if data is None else parse(data, path)

    return load


def parse(data: bytes, file: str) -> Any:
    """The plain value of a parameter file, by its suffix; FormatError for what does not parse."""
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise FormatError(f"{file} is not UTF-8 text") from None
    suffix = posixpath.splitext(file)[1].lower()
    loaders = {".json": codec.load_json, ".toml": codec.load_toml, ".py": load_python}
    value = loaders.get(suffix, codec.load_yaml)(text, file)
    return plain({} if value is None else value)


def pick(content: Any, ref: ParamRef) -> Any:
    """The value of ``ref`` in the ``content`` of its file; PipelineError with the nearest known key."""
    if not ref.key:
        return content
    if isinstance(content, dict) and ref.key in content:
        return content[ref.key]
    value = content
    steps = ref.key.split(".")
    for number, step in enumerate(steps):
        if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            raise _missing(ref, steps[:number], value, step)
    return value


def _missing(ref: ParamRef, before: list[str], value: object, step: str) -> PipelineError:
    known = [".".join([*before, str(key)]) for key in value] if isinstance(value, dict) else []
    near = codec.nearest(".".join([*before, step]), known)
    hint = f"did you mean '{near}'?" if near else f"it has {', '.join(known[:_SHOWN])}" if known else ""
    return PipelineError(f"{ref.file} has no parameter '{ref.key}'", hint=hint or "add it, or correct its name")


_SHOWN = 10


def plain(value: Any) -> Any:
    """``value`` with nothing in it that JSON cannot say."""
    if isinstance(value, dict):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=codec.compact_json)
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _key(key: object) -> str:
    return key if isinstance(key, str) else codec.compact_json(plain(key))


def load_python(text: str, file: str) -> dict[str, Any]:
    """The constants that the module assigns, its classes' among them (as nested tables). Nothing is executed."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        raise FormatError(f"{file}, line {line}: {getattr(error, 'msg', error)}") from None
    return _constants(module.body)


def _constants(body: Iterable[ast.stmt], owner: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            found[statement.name] = _constants(statement.body)
        elif isinstance(statement, ast.FunctionDef) and statement.name == "__init__" and statement.args.args:
            found |= _constants(statement.body, statement.args.args[0].arg)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for name in (_assigned(target, owner) for target in targets):
                if name:
                    _put(found, name, statement.value)
    return found


def _assigned(target: ast.expr, owner: str) -> str:
    """The name that an assignment gives: ``x`` outside of a function, ``self.x`` in ``__init__``."""
    if isinstance(target, ast.Name) and not owner:
        return target.id
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == owner:
        return target.attr
    return ""


def _put(found: dict[str, Any], name: str, value: ast.expr) -> None:
    try:
        found[name] = ast.literal_eval(value)
    except (ValueError, TypeError, MemoryError, RecursionError):
        # Computed: what it was before this line is no longer its value.
        found.pop(name, None)
