"""Variables that templates name: from files, from ``vars``, and from what a ``foreach`` or ``matrix`` goes through."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlvc import codec
from mlvc.pipeline import filling, template
from mlvc.pipeline.place import Place, Trouble, kind
from mlvc.pipeline.template import LATER, Reference

DEFAULT_FILE = "params.yaml"
ENV = "env"
ITEM, LIST, OUT = "item", filling.ITEMS, filling.OUT
"""What a Stage goes through: known here with ``foreach`` and ``matrix``, and only when an item is run with ``each``;
with ``batch`` the file that lists the items, and without the directory of the item."""
_MOST_NAMES = 2000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pipeline file is resolved with, besides its own text."""

    load: Callable[[str], Any] = lambda _: None
    """The value of the parameter file at a repository-relative path, None where there is no file; see params.loader."""
    environment: Mapping[str, str] = field(default_factory=dict)
    root: str = ""
    """The absolute path of the repository; '' where it is not known, and no absolute path is in it."""


NOWHERE = Surroundings()


@dataclass(frozen=True, slots=True)
class Variables:
    """Values by name, and where they were read."""

    values: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    """For the topmost part that came from one place: that place."""
    loaded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The files, and the keys that were selected of them: () for all."""
    looked: tuple[str, ...] = ()
    """Where was looked, in words."""


class Files:
    """Reads files of variables, each of them once."""

    def __init__(self, load: Callable[[str], Any]) -> None:
        self._load = load
        self._found: dict[str, Any] = {}

    def content(self, path: str) -> Any:
        """The value of the file, None where there is none; FormatError for what does not parse."""
        if path not in self._found:
            try:
                self._found[path] = self._load(path)
            except OSError:  # a directory, or what may not be read
                self._found[path] = None
        return self._found[path]


def load_default(files: Files, directory: str) -> Variables:
    """The variables of ``params.yaml`` in ``directory``, if it is there; Trouble where it is not a mapping."""
    path = posixpath.join(directory, DEFAULT_FILE)
    content = files.content(path)
    if content is None:
        return Variables(looked=(f"{path} (not there)",))
    return _merged(Variables(), _Added(_mapping(content, path), path), path)


def load(
    place: Place, entries: object, directory: str, files: Files, onto: Variables, *, reserved: Iterable[str] = ()
) -> Variables:
    """``onto`` and what ``vars`` adds to it. PipelineError for what cannot be had, and for what is there already."""
    if entries is None:
        return onto
    if not isinstance(entries, list):
        place.fail(f"'vars' must be a list, and this is {kind(entries)}", hint="begin each entry with '- '")
    own = "the 'vars' of the stage" if place.stage else "'vars'"
    for number, entry in enumerate(entries):
        here = place.on(number)
        if template.has_template(entry):
            here.fail("templates cannot stand in 'vars'", hint="write the value itself")
        try:
            added = _added(entry, directory, files, onto)
            onto = _merged(onto, added, added.path or own, reserved)
        except Trouble as trouble:
            here.told(trouble)
    return onto


def _added(entry: object, directory: str, files: Files, onto: Variables) -> _Added:
    """What one entry of ``vars`` adds."""
    if isinstance(entry, Mapping):
        return _Added(textual(entry), "")
    if not isinstance(entry, str):
        raise Trouble(f"an entry of 'vars' must be a file or a mapping, and this is {kind(entry)}")
    name, _, selected = entry.partition(":")
    path = posixpath.normpath(posixpath.join(directory, name))
    keys = tuple(key.strip() for key in selected.split(",") if key.strip())
    if path.startswith(("../", "/")) or path == "..":
        raise Trouble(f"'{name}' is outside the repository")
    before = onto.loaded.get(path)
    if before == () and not keys:
        return _Added({}, path)
    if before is not None and (not before or not keys or set(before) & set(keys)):
        raise Trouble(
            f"'{entry}' is loaded already, as '{path}{':' if before else ''}{','.join(before)}'",
            hint=f"take one of them out{'' if before else f'; {DEFAULT_FILE} is always loaded'}",
        )
    content = files.content(path)
    if content is None:
        raise Trouble(f"the file '{path}' is not there", hint="'vars' names files relative to the pipeline file")
    found = _mapping(content, path)
    for key in keys:
        if key not in found:
            near = codec.nearest(key, found)
            raise Trouble(f"{path} has no '{key}'", hint=f"did you mean '{near}'?" if near else "")
    return _Added({key: found[key] for key in keys} if keys else found, path, (*(before or ()), *keys))


def _mapping(content: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise Trouble(f"{path} must hold a mapping of variables, and this is {kind(content)}")
    return content


@dataclass(frozen=True, slots=True)
class _Added:
    values: Mapping[str, Any]
    path: str
    """The file; '' for what stands in ``vars`` itself."""
    keys: tuple[str, ...] = ()
    """Those that were selected of the file so far; () for all."""


def _merged(onto: Variables, added: _Added, source: str, reserved: Iterable[str] = ()) -> Variables:
    taken = next((name for name in reserved if name in added.values), None)
    if taken is not None:
        raise Trouble(f"'{taken}' is what the stage goes through, and {source} gives it another value")
    values = _copied(onto.values)
    sources = dict(onto.sources)
    _merge(values, added.values, source, sources, ())
    looked = tuple(dict.fromkeys((*onto.looked, source)))
    loaded = {**onto.loaded, added.path: added.keys} if added.path else onto.loaded
    return Variables(values, sources, loaded, looked)


def _merge(
    into: dict[str, Any],
    added: Mapping[str, Any],
    source: str,
    sources: dict[tuple[str, ...], str],
    around: tuple[str, ...],
) -> None:
    for key, value in added.items():
        steps = (*around, key)
        if isinstance(into.get(key), dict) and isinstance(value, dict):
            _merge(into[key], value, source, sources, steps)
        elif key in into:
            first = next((sources[steps[:n]] for n in range(len(steps), 0, -1) if steps[:n] in sources), "")
            first = first or next(found for other, found in sources.items() if other[: len(steps)] == steps)
            raise Trouble(
                f"the variable '{'.'.join(steps)}' of {source} is given by {first} already",
                hint="give each variable in one place",
            )
        else:
            into[key] = _copied(value)
            sources[steps] = source


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def textual(value: Any) -> Any:
    """``value`` with text for keys: a template can name nothing else."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else template.text_of(key): textual(item) for key, item in value.items()}
    return [textual(item) for item in value] if isinstance(value, list) else value


@dataclass(slots=True)
class Names:
    """What the references of one Stage, or of what stands around the Stages, are looked up in."""

    variables: Callable[[], Variables]
    environment: Mapping[str, str]
    local: Mapping[str, Any] = field(default_factory=dict)
    """What a ``foreach`` or ``matrix`` gives for this one Stage: ``item`` and ``key``."""
    later: tuple[str, ...] = ()
    """Names that are resolved only when an item of ``each`` is run."""

    def find(self, reference: Reference) -> Any:
        """The value that ``reference`` names, or its default; Trouble where there is neither."""
        steps = reference.steps
        if self.later and self._is_later(reference):
            return LATER
        try:
            value = self.value(steps)
        except LookupError:
            if reference.default is None:
                raise self.missing(reference.text, steps) from None
            return template.default_of(reference)
        if reference.default is not None and value in (None, ""):
            return template.default_of(reference)
        return value

    def value(self, steps: Sequence[str]) -> Any:
        """The value that ``steps`` lead to; LookupError where there is none."""
        first = steps[0]
        if first in self.local:
            value = self.local[first]
        else:
            values = self.variables().values
            if first == ENV and ENV not in values and len(steps) > 1:
                return _readable(self.environment[".".join(steps[1:])], steps)
            value = values[first]
        for step in steps[1:]:
            value = template.step_into(value, step)
        return value

    def _is_later(self, reference: Reference) -> bool:
        """Whether it is for the item of ``each``; Trouble where such an item does not have that part."""
        first, *parts = reference.steps
        if first not in self.later:
            return False
        if first in (LIST, OUT) or (len(parts) == 1 and parts[0] in filling.NAMES):
            return True
        if first in self.local:
            return False
        near = codec.nearest(".".join(parts), filling.NAMES)
        raise Trouble(
            f"`{reference.text}` is no part of an item of 'each'",
            hint=f"did you mean '{first}.{near}'?" if near else f"parts are {', '.join(filling.NAMES)}",
        )

    def missing(self, text: str, steps: Sequence[str]) -> Trouble:
        """What to say of a variable that is not there: what, where was looked, and the nearest that is."""
        name = ".".join(steps)
        variables = self.variables()
        if steps[0] == ENV and ENV not in variables.values and ENV not in self.local:
            return Trouble(
                f"`{text}` does not resolve: the environment has no variable '{name.partition('.')[2]}'",
                hint=f"set it, or give a default: `${{{name}:-…}}`",
            )
        if steps[0] == ITEM and ITEM not in self.local:
            hint = "'item' is there in a stage of 'foreach' or 'matrix', and in the 'cmd' of one with 'each'"
            return Trouble(f"`{text}` does not resolve: there is no '{name}' here", hint=hint)
        near = codec.nearest(name, self._known())
        where = ", ".join([*self.local, *variables.looked]) or "nowhere"
        hint = f"did you mean '{near}'?" if near else f"define it there or in 'vars'; {template.SHELL}"
        return Trouble(f"`{text}` does not resolve: no variable '{name}' in {where}", hint=hint)

    def _known(self) -> list[str]:
        found: list[str] = []
        for name in _names({**self.variables().values, **self.local}, ""):
            found.append(name)
            if len(found) == _MOST_NAMES:
                break
        return found


def _readable(text: str, steps: Sequence[str]) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Trouble(f"the variable '{'.'.join(steps[1:])}' of the environment is not UTF-8 text") from None
    return text


def _names(value: Any, before: str) -> Iterator[str]:
    for key, item in value.items() if isinstance(value, dict) else ():
        yield f"{before}{key}"
        yield from _names(item, f"{before}{key}.")
