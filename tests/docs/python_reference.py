"""Writes docs/reference/python.md from the docstrings of what ``import mlvc`` offers."""

from __future__ import annotations

import dataclasses
import inspect
import re

import mlvc
from mlvc import errors

_HEAD = """\
# Python

What `import mlvc` offers, from its docstrings. [Reading data from Python](../howto/python.md) shows it at work.

{module}
"""
_RESULTS = """\
# What comes back

Frozen values. More fields may come; none is taken away. Paths are relative to the mlvc root, with `/` between their
parts; sizes are in bytes; an Oid is the digest as bytes.
"""
_ERRORS = """\
# What can go wrong

Every error that mlvc raises on purpose is a `MlvcError`: `str(error)` is one sentence, `error.hint` says what to do
now, `error.exit_code` is what the command would end with, and `error.result` is what was done of the work, where a part
of it was. A file that is opened raises what `open` raises, too: `FileNotFoundError`, `IsADirectoryError`.

| error | exit code | meaning |
|---|---|---|
"""


def python() -> str:
    """The page."""
    kinds = [getattr(mlvc, name) for name in mlvc.__all__]
    functions = [kind for kind in kinds if inspect.isfunction(kind)]
    found = [kind for kind in kinds if inspect.isclass(kind) and not issubclass(kind, errors.MlvcError)]
    raised = [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, errors.MlvcError)]
    module = _prose(inspect.getdoc(inspect.getmodule(functions[0]))).partition("\n\n")[2]
    parts = [_HEAD.format(module=module), *map(_function, functions), f"#{_RESULTS}", *map(_result, found)]
    rows = [f"| `{kind.__name__}` | {kind.exit_code} | {_meaning(kind)} |\n" for kind in raised]
    return "\n".join([*parts, f"#{_ERRORS}{''.join(rows)}"])


def _meaning(kind: type[errors.MlvcError]) -> str:
    return _prose(inspect.getdoc(kind)).partition("\n")[0]


def _prose(text: str | None) -> str:
    """A docstring as Markdown."""
    assert text
    return text.replace("``", "`")


def _function(function: object) -> str:
    assert callable(function)
    signature = inspect.signature(function)
    # As they stand in the source: annotations are text there.
    takes = [_parameter(each) for each in signature.parameters.values()]
    stars = [at for at, each in enumerate(signature.parameters.values()) if each.kind is each.KEYWORD_ONLY][:1]
    if stars and not any(each.kind is each.VAR_POSITIONAL for each in signature.parameters.values()):
        takes.insert(stars[0], "*")
    name = function.__name__
    line = f"mlvc.{name}({', '.join(takes)}) -> {signature.return_annotation}"
    if len(line) > 100:
        line = f"mlvc.{name}(\n" + "".join(f"    {each},\n" for each in takes) + f") -> {signature.return_annotation}"
    return f"## mlvc.{name}\n\n```python\n{line}\n```\n\n{_prose(inspect.getdoc(function))}\n"


def _parameter(each: inspect.Parameter) -> str:
    star = "*" if each.kind is each.VAR_POSITIONAL else ""
    default = "" if each.default is each.empty else f" = {each.default!r}"
    return f"{star}{each.name}: {each.annotation}{default}"


def _result(kind: type) -> str:
    lines = [f"### {kind.__name__}", "", _prose(inspect.getdoc(kind)), ""]
    fields = [(each.name, each.type) for each in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    fields = fields or [(name, kind.__annotations__[name]) for name in getattr(kind, "_fields", ())]
    extra = [
        (name, re.sub(r"\s+", " ", _prose(inspect.getdoc(value))))
        for name, value in vars(kind).items()
        if isinstance(value, property) and not name.startswith("_") and fields
    ]
    if fields:
        lines += ["| field | type |", "|---|---|", *(f"| `{name}` | `{_type(type_)}` |" for name, type_ in fields), ""]
    lines += [f"- `{name}`: {text}" for name, text in extra] + ([""] if extra else [])
    return "\n".join(lines)


def _type(value: object) -> str:
    text = (
        value
        if isinstance(value, str)
        else getattr(value, "__forward_arg__", None) or getattr(value, "__name__", str(value))
    )
    return text.replace("|", "\\|")
