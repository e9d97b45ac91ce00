"""Templates: text with ``${…}`` in it. Pure.

Compiled once, a value is resolved many times, for each item of a ``foreach`` or ``matrix``; what has no template in it
is taken as it is. What a template means is what it means in ``dvc.yaml``; ``:-`` and ``env`` are added.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from mlvc.pipeline.place import Trouble, kind

_TEMPLATE = re.compile(r"(?<!\\)\$\{(.*?)\}")
_WORD = r"[^.\[\]]+"
_REFERENCE = re.compile(rf"{_WORD}(?:\s*\.{_WORD}|\s*\[{_WORD}\])*\s*")
_STEP = re.compile(r"[.\[]")
SHELL = r"where the shell should see `${`, write `\${`"


class Allow(Enum):
    """What a template may stand for, besides text, numbers, true, false and nothing."""

    PLAIN = "plain"
    FLAGS = "flags"
    """A mapping within a command: it becomes ``--key value``."""
    ALL = "all"
    """Lists and mappings too: for ``foreach`` and ``matrix``, and what stands at the top of a file."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What stands between ``${`` and ``}``: the name of a variable, and what counts where there is none."""

    text: str
    """As it was written, with ``${`` and ``}``."""
    steps: tuple[str, ...]
    default: str | None = None

    @property
    def name(self) -> str:
        """The variable, its parts joined with dots."""
        return ".".join(self.steps)


class Scope(Protocol):
    """What references are looked up in."""

    def find(self, reference: Reference) -> Any:
        """The value that ``reference`` names; Trouble where there is none."""


class Compiled(Protocol):
    """A value in which templates may stand."""

    def resolve(self, scope: Scope) -> Any:
        """The value with all templates resolved; Trouble with the steps to the one that is not."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value without templates."""

    value: Any

    def resolve(self, scope: Scope) -> Any:  # noqa: ARG002
        """The value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Text:
    """Text with templates; one that is all of it keeps the type of its value."""

    parts: tuple[str | Reference, ...]
    allow: Allow = Allow.PLAIN

    def resolve(self, scope: Scope) -> Any:
        """As Compiled."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Reference):
            value = scope.find(self.parts[0])
            if self.allow is not Allow.ALL and isinstance(value, dict | list):
                raise _composite(self.parts[0], value)
            return value
        return "".join(
            [part if isinstance(part, str) else _within(part, scope.find(part), self.allow) for part in self.parts]
        )


def _within(reference: Reference, value: Any, allow: Allow) -> str:
    """What ``value`` is within text; Trouble where it cannot stand there."""
    if isinstance(value, str):
        return value
    if isinstance(value, list if allow is Allow.FLAGS else list | dict) and allow is not Allow.ALL:
        raise _composite(reference, value)
    return text_of(value, reference)


@dataclass(frozen=True, slots=True)
class PerItem:
    """A command of a Stage with ``each``: templates for the item stay, all others are resolved. See ``filling``."""

    parts: tuple[str | Reference, ...]

    def resolve(self, scope: Scope) -> str:
        """The command as a template again, in which nothing but the references to the item are templates."""
        return "".join(self._part(part, scope) for part in self.parts)

    def _part(self, part: str | Reference, scope: Scope) -> str:
        if isinstance(part, str):
            return escaped(part)
        value = scope.find(part)
        return part.text if value is LATER else escaped(_within(part, value, Allow.FLAGS))


LATER = object()
"""What a Scope finds for a reference that is resolved only when an item is run."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list with a template somewhere in it."""

    items: tuple[Compiled, ...]

    def resolve(self, scope: Scope) -> list[Any]:
        """As Compiled."""
        number = 0
        try:
            found = []
            for number, item in enumerate(self.items):  # noqa: B007
                found.append(item.resolve(scope))
        except Trouble as trouble:
            trouble.steps.insert(0, number)
            raise
        return found


@dataclass(frozen=True, slots=True)
class Keyed:
    """A mapping with a template somewhere in it."""

    pairs: tuple[tuple[Any, Compiled, Compiled], ...]
    """The key as it was written, the key, the value."""

    def resolve(self, scope: Scope) -> dict[Any, Any]:
        """As Compiled."""
        found = [self._pair(*pair, scope) for pair in self.pairs]
        united = dict(found)
        if len(united) < len(found):
            raise Trouble(f"two keys come out as '{_twice(key for key, _ in found)}'")
        return united

    def _pair(self, raw: Any, key: Compiled, item: Compiled, scope: Scope) -> tuple[Any, Any]:
        try:
            return _key(key.resolve(scope)), item.resolve(scope)
        except Trouble as trouble:
            trouble.steps.insert(0, str(raw))
            raise


def _twice(keys: Iterable[Any]) -> Any:
    seen: set[Any] = set()
    return next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]


def _key(name: Any) -> Any:
    if isinstance(name, dict | list):
        raise Trouble(f"a key cannot be {kind(name)}")
    return name


def compile_value(value: Any, allow: Allow = Allow.PLAIN) -> Compiled:
    """``value``, ready to be resolved; Trouble with the steps to a template that is none."""
    if isinstance(value, str):
        parts = split(value)
        plain = "".join(part for part in parts if isinstance(part, str))
        return Text(parts, allow) if any(isinstance(part, Reference) for part in parts) else Fixed(plain)
    if isinstance(value, list):
        items = tuple(_below(number, item, allow) for number, item in enumerate(value))
        return Fixed([item.value for item in items if isinstance(item, Fixed)]) if _fixed(items) else Listed(items)
    if isinstance(value, Mapping):
        pairs = tuple((key, _below(str(key), key, allow), _below(str(key), item, allow)) for key, item in value.items())
        if _fixed([part for pair in pairs for part in pair[1:]]):
            return Fixed({key.resolve(_NOTHING): item.resolve(_NOTHING) for _, key, item in pairs})
        return Keyed(pairs)
    return Fixed(value)


class _Nothing:
    def find(self, reference: Reference) -> Any:
        raise AssertionError(reference)


_NOTHING = _Nothing()


def _below(step: str | int, value: Any, allow: Allow) -> Compiled:
    try:
        return compile_value(value, allow)
    except Trouble as trouble:
        trouble.steps.insert(0, step)
        raise


def _fixed(items: tuple[Compiled, ...] | list[Compiled]) -> bool:
    return all(isinstance(item, Fixed) for item in items)


def may_be_number(compiled: Compiled) -> bool:
    """Whether a template in it is the whole of a text, so that a number may come out."""
    if isinstance(compiled, Listed):
        return any(map(may_be_number, compiled.items))
    if isinstance(compiled, Keyed):
        return any(may_be_number(part) for _, *pair in compiled.pairs for part in pair)
    return isinstance(compiled, Text) and len(compiled.parts) == 1


def compile_per_item(value: Any) -> Compiled:
    """The ``cmd`` of a Stage with ``each``."""
    if isinstance(value, list):
        return Listed(tuple(compile_per_item(item) for item in value))
    return PerItem(split(value)) if isinstance(value, str) else Fixed(value)


def has_template(value: Any) -> bool:
    """Whether there is a template somewhere in ``value``."""
    if isinstance(value, str):
        return "${" in value and _TEMPLATE.search(value) is not None
    if isinstance(value, Mapping):
        return any(has_template(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(has_template, value))


def split(text: str) -> tuple[str | Reference, ...]:
    r"""``text`` as pieces: text, in which ``\${`` has become ``${``, and references; Trouble for what is neither."""
    if "${" not in text:
        return (text,)
    return tuple(part for part in _pieces(text) if part != "")


def _pieces(text: str) -> Iterator[str | Reference]:
    end = 0
    for found in _TEMPLATE.finditer(text):
        yield unescaped(text[end : found.start()])
        yield _reference(found[0], found[1])
        end = found.end()
    yield unescaped(text[end:])


def unescaped(text: str) -> str:
    """``text`` as the shell gets it."""
    return text.replace("\\${", "${")


def escaped(text: str) -> str:
    """``text`` as a template for just that text."""
    return text.replace("${", "\\${")


def _reference(text: str, inner: str) -> Reference:
    name, colon, default = inner.partition(":-")
    if not _REFERENCE.fullmatch(name):
        raise Trouble(
            f"`{text}` is not a template",
            hint=f"a template names a variable, such as `${{train.lr}}` or `${{layers[0]}}`; {SHELL}",
        )
    steps = tuple(step.strip().removesuffix("]").strip() for step in _STEP.split(name))
    return Reference(text, steps, default if colon else None)


def default_of(reference: Reference) -> Any:
    """What counts where the variable is not there: a number, true or false where that would be written just so."""
    text = reference.default or ""
    found = re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text)
    value = {"true": True, "false": False}.get(text, (float(text) if found[1] else int(text)) if found else text)
    return value if text_of(value) == text else text


def step_into(value: Any, step: str) -> Any:
    """The part of ``value`` at ``step``; LookupError where there is none."""
    if isinstance(value, dict):
        return value[step]
    if isinstance(value, list) and re.fullmatch(r"[-+]?[0-9]{1,9}", step):
        return value[int(step)]
    raise LookupError(step)


def text_of(value: Any, reference: Reference | None = None) -> str:
    """``value`` as it stands within text: a mapping as flags for a command, as DVC writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return " ".join(flag for key, item in _flat(value, "") for flag in _flags(key, item, reference))
    try:
        return str(value)
    except ValueError:  # a number of thousands of digits
        raise Trouble("a number with so many digits cannot be written out", hint="write it as text") from None


def _flat(value: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{before}{key}.")
        else:
            yield f"{before}{key}", item


def _flags(key: str, value: Any, reference: Reference | None) -> Iterator[str]:
    if isinstance(value, bool):
        if value:
            yield f"--{key}"
    elif isinstance(value, list):
        if any(isinstance(item, dict | list) for item in value):
            named = reference.text if reference else "the mapping"
            raise Trouble(f"{named} has the list '{key}' with lists or mappings in it, which a command cannot take")
        if value:
            yield f"--{key}"
            yield from (shlex.quote(item) if isinstance(item, str) else str(item) for item in value)
    else:
        yield f"--{key} {shlex.quote(value) if isinstance(value, str) else value}"


def _composite(reference: Reference, value: Any) -> Trouble:
    return Trouble(
        f"`{reference.text}` is {kind(value)}, and text, a number, true or false belongs here",
        hint="name one part of it; a mapping can stand within the text of 'cmd', a list in 'foreach' and 'matrix'",
    )
