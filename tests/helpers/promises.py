"""What every run of mlvc in a test is held to, whatever the test is about: what the reference says of its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from mlvc.cli.app import codes_of
from mlvc.cli.main import BUG, COMMANDS, INTERRUPTED
from mlvc.cli.shapes import PRINTED


def bare(kind: Any) -> Any:
    """A type without what is said about it."""
    while get_origin(kind) in (Annotated, NotRequired):
        kind = get_args(kind)[0]
    return kind


def meaning(kind: Any) -> str:
    """What is said about the value of a key."""
    while get_origin(kind) is NotRequired:
        kind = get_args(kind)[0]
    return str(kind.__metadata__[0])


def members(kind: Any) -> dict[str, Any]:
    """The keys of a TypedDict, each with its type and what is said about it."""
    return get_type_hints(kind, include_extras=True)


def unfit(value: object, kind: Any, where: str = "") -> Iterator[str]:
    """What is wrong with ``value`` as one of ``kind``, one sentence each."""
    kind = bare(kind)
    if is_typeddict(kind):
        yield from _unfit_keys(value, kind, where)
    elif get_origin(kind) is list and isinstance(value, list):
        for item in value:
            yield from unfit(item, get_args(kind)[0], f"{where}[]")
    elif get_origin(kind) is dict and isinstance(value, dict):
        for name, item in value.items():
            yield from unfit(item, get_args(kind)[1], f"{where}.{name}")
    elif isinstance(kind, UnionType):
        (inner,) = (each for each in get_args(kind) if each is not NoneType)
        if value is not None:
            yield from unfit(value, inner, where)
    elif kind is not Any and type(value) is not (get_origin(kind) or kind):
        yield f"{where or 'the value'} is {value!r}, and no {kind.__name__}"


def _unfit_keys(value: object, kind: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where or 'the value'} is no object"
        return
    known = members(kind)
    for name in value.keys() - known.keys():
        yield f"{where}.{name} is in no table of docs/reference/json.md: enter it in mlvc/cli/shapes.py"
    for name in kind.__required_keys__ - value.keys():
        yield f"{where}.{name} is not there"
    for name in known.keys() & value.keys():
        yield from unfit(value[name], known[name], f"{where}.{name}")


def check(arguments: Sequence[str], code: int, printed: str) -> None:
    """Assert that a run of mlvc ended with a code, and printed JSON, that the reference tells of."""
    if not arguments or arguments[0] not in COMMANDS:
        return
    typed = f"mlvc {' '.join(arguments)}"
    codes = codes_of(" ".join(arguments[:2]))
    # A signal ends a process with a negative code.
    assert code in {*codes, BUG, INTERRUPTED} or code < 0, f"`{typed}` ended with {code}, and its help does not say so"
    if "--json" in arguments and printed:
        wrong = _wrong(arguments, printed)
        assert not wrong, f"`{typed}`: {'; '.join(wrong)}"


def _wrong(arguments: Sequence[str], printed: str) -> list[str]:
    # What a command prints may be one of several kinds, as its options say: any of them will do.
    kinds = [kind for name, kind in PRINTED.items() if _words(name) == list(arguments)[: len(_words(name))]]
    if not kinds:
        return ["mlvc/cli/shapes.py does not say what this prints"]
    try:
        values = [json.loads(printed)]
    except json.JSONDecodeError:
        kinds = [kind for kind in kinds if get_origin(kind) is Iterator]
        if not kinds:  # a test cut it short
            return []
        values = [json.loads(line) for line in printed.splitlines()]
    return [wrong for value in values for wrong in min((list(unfit(value, _one(kind))) for kind in kinds), key=len)]


def _one(kind: Any) -> Any:
    """What stands on a line, of what is printed in lines."""
    return get_args(kind)[0] if get_origin(kind) is Iterator else kind


def _words(name: str) -> list[str]:
    return name.partition(" --")[0].split()
