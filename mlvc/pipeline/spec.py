"""``mlvc.yaml``: its vocabulary, and the Stages that it describes.

Every path of a Stage is relative to the repository, with ``/`` between its parts.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from mlvc import codec, globs
from mlvc.errors import FormatError
from mlvc.manifest import is_control
from mlvc.pipeline import each, expand, quantities, schema
from mlvc.pipeline.place import Place
from mlvc.pipeline.place import kind as _kind
from mlvc.pipeline.variables import NOWHERE, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")
FILE = "mlvc.yaml"
FILES = (FILE, "*/" + FILE)
"""Patterns of Git for all pipeline files."""
DEFAULT_PARAMS = "params.yaml"
_NOT_YAML = "correct the YAML at that place: text with `{`, `[`, `: ` or ` #` in it goes in quotes, tabs go out"
_COPY = "name a path below the top of it; `mlvc add -o PATH SOURCE` tracks a copy of what lies elsewhere"
_TWICE = "take one of them out"
NAME = re.compile(r"[A-Za-z0-9_.-]+")
TOP_RESOLVED = ("params", "metrics", "plots", "artifacts")
TOP_KEYS = ("stages", "vars", *TOP_RESOLVED)
STAGE_KEYS = (
    *("cmd", "wdir", "deps", "outs", "params", "metrics", "plots"),
    *("frozen", "always_changed", "desc", "meta", "vars", "foreach", "do", "matrix"),
    *("when", "env", "timeout", "retries", "resources", "image", "each", "batch"),
)
OUT_FLAGS: Mapping[str, type | tuple[type, ...]] = {
    "cache": bool,
    "persist": bool,
    "push": bool,
    "remote": str,
    "desc": str,
    "type": str,
    "labels": list,
    "meta": object,
}
PLOT_FLAGS: Mapping[str, type | tuple[type, ...]] = {
    **OUT_FLAGS,
    **dict.fromkeys(("x", "y"), (str, list, dict)),
    **dict.fromkeys(("x_label", "y_label", "title", "template"), str),
    "header": bool,
}
FLAGS = {"outs": OUT_FLAGS, "metrics": OUT_FLAGS, "plots": PLOT_FLAGS}


@dataclass(frozen=True, slots=True)
class Out:
    """An output that a Stage promises to make: a file or a directory."""

    path: str
    role: str = "outs"
    """Under which key it was named: ``outs``, ``metrics`` or ``plots``."""
    cache: bool = True
    """Whether its bytes go into the Store; without, it is a small file that Git keeps."""
    persist: bool = False
    """Whether the command finds what it made last time."""
    push: bool = True
    """Whether its objects go to Remotes."""
    remote: str = ""
    """The only Remote that its objects go to and come from; '' for any."""
    desc: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Flags that say how to show it: type, labels, meta, and those of plots."""


@dataclass(frozen=True, slots=True)
class ParamRef:
    """A parameter that a Stage depends on: a dotted key of a file, or with the key '' all of the file."""

    file: str
    key: str = ""

    def __str__(self) -> str:
        """``file:key``, as messages name it."""
        return f"{self.file}:{self.key}" if self.key else self.file


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a pipeline. ``name`` is unique in the repository: ``train`` or ``sub/mlvc.yaml:train``."""

    name: str
    file: str
    line: int
    cmd: tuple[str, ...]
    """Shell commands that run one after another. With ``each`` they are templates still: see template.per_item."""
    wdir: str = ""
    """Where they run; '' is the root of the repository."""
    deps: tuple[str, ...] = ()
    outs: tuple[Out, ...] = ()
    params: tuple[ParamRef, ...] = ()
    frozen: bool = False
    always_changed: bool = False
    desc: str = ""
    meta: Any = None
    group: str = ""
    """The name in the file of the ``foreach`` or ``matrix`` that it came from; '' where it stands there itself."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that the commands get with these values."""
    env_through: tuple[str, ...] = ()
    """Names of variables whose values, wherever mlvc runs, count as inputs."""
    image: str = ""
    """The container image that the commands run in; '' for none."""
    image_id: str = ""
    """The id that this image has here; '' where it is not here, or nobody has looked yet."""
    skip: str = ""
    """The condition of ``when``, as it was written, where it does not hold: the Stage is left out then."""
    timeout: float = 0.0
    """Seconds that all commands together may take; 0 for as long as they like."""
    retries: int = 0
    """How often they are tried again after a failure."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """What they take while they run: ``cpus``, ``gpu`` and others by number, ``memory`` in bytes."""
    each: str = ""
    """A pattern: the commands run for each file that fits it; '' for once."""
    batch: int = 0
    """With ``each``: how many files one command is given in a list; 0 for one without a list."""
    at: Place | None = field(default=None, compare=False, repr=False)
    """Where it is described; ``where.of`` tells of it."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What one pipeline file says."""

    file: str
    stages: tuple[Stage, ...] = ()
    params: Any = None
    """What stands at the top of the file under this name, and under the next three, with all templates resolved."""
    metrics: Any = None
    plots: Any = None
    artifacts: Any = None


def file_in(directory: str) -> str:
    """The pipeline file of a directory of the repository; '' is its root."""
    return f"{directory}/{FILE}" if directory else FILE


def address(file: str, name: str) -> str:
    """The name of a Stage in the whole repository; those of the root's ``mlvc.yaml`` have short ones."""
    return name if file == FILE else f"{file}:{name}"


def name_in_file(stage: Stage) -> str:
    """The name of a Stage in its own file: ``address`` the other way round."""
    return stage.name.removeprefix(address(stage.file, ""))


def parse(text: str, file: str, around: Surroundings = NOWHERE) -> tuple[Stage, ...]:
    """The Stages of the file ``file`` (repository-relative), in their order there. Errors as ``parse_file``."""
    return parse_file(text, file, around).stages


def parse_file(text: str, file: str, around: Surroundings = NOWHERE) -> Pipeline:
    """All that the pipeline file ``file`` (repository-relative) says, with all templates resolved.

    FormatError for what is not YAML, here or in a file of variables; PipelineError with file, line and column for
    anything that is not of the vocabulary, and for a template that does not resolve.
    """
    try:
        document = codec.parse_yaml(text, file)
    except FormatError as error:
        raise FormatError(error.message, hint=error.hint or _NOT_YAML) from None
    at = Place(file, document, (), root=around.root)
    problem = schema.validate(document.value)
    if problem is not None:
        stage = str(problem.path[1]) if problem.path[:1] == ("stages",) and len(problem.path) > 1 else ""
        at.on(*problem.path).of(stage).fail(problem.message, hint=problem.hint)
    if document.value is None:
        return Pipeline(file)
    top = _mapping(at, document.value, TOP_KEYS, "a pipeline file")
    context = expand.Context(at, top.get("vars"), around)
    stages = _mapping(at.on("stages"), {} if top.get("stages") is None else top["stages"], None, "'stages'")
    lines = document.lines_of_keys(("stages",))
    found = tuple(
        stage
        for name, body in stages.items()
        for stage in _of_entry(at.on("stages", str(name)).of(str(name)), body, lines.get(str(name), 1), context)
    )
    return Pipeline(file, found, *(context.resolved(key, top.get(key)) for key in TOP_RESOLVED))


def parse_stage(name: str, fields: Mapping[str, Any], file: str, root: str = "") -> Stage:
    """The Stage that ``fields``, the mapping below its name in ``mlvc.yaml``, describe; templates stay as they are.

    ``root``: see Surroundings. PipelineError as from parse.
    """
    at = Place(file, None, (), name, root)
    _check_name(at, name)
    return _stage(at, name, _mapping(at, fields, STAGE_KEYS, "a stage"))


def _check_name(at: Place, name: str) -> None:
    if not NAME.fullmatch(name):
        at.fail(
            f"the stage name '{name}' has a character other than letters, digits, '_', '.' and '-'",
            hint=f"call it '{re.sub('[^A-Za-z0-9_.-]+', '_', name)}'",
        )


def _of_entry(at: Place, body: object, line: int, context: expand.Context) -> Iterator[Stage]:
    """The Stages that one entry below ``stages`` describes."""
    _check_name(at, at.stage)
    fields = _mapping(at, body, STAGE_KEYS, "a stage")
    for made in expand.stages(at, fields, context):
        yield _stage(made.place, made.name, made.fields, line=line, group=made.group, skip=made.skip)


def _stage(at: Place, name: str, fields: Mapping[str, Any], *, line: int = 0, group: str = "", skip: str = "") -> Stage:
    directory = posixpath.dirname(at.file)
    wdir = _inside(at.on("wdir"), directory, _text(at.on("wdir"), fields.get("wdir", ".")), root=True)
    found = Stage(
        name=address(at.file, name),
        file=at.file,
        line=line,
        group=group,
        skip=skip,
        cmd=_commands(at.on("cmd"), fields.get("cmd")),
        wdir=wdir,
        deps=tuple(_paths(at.on("deps"), wdir, fields.get("deps"))),
        outs=tuple(_all_outs(at, wdir, fields)),
        params=tuple(dict.fromkeys(_params(at.on("params"), wdir, fields.get("params")))),
        frozen=_typed(at.on("frozen"), fields.get("frozen", False), bool),
        always_changed=_typed(at.on("always_changed"), fields.get("always_changed", False), bool),
        desc=_typed(at.on("desc"), fields.get("desc", ""), str),
        meta=fields.get("meta"),
        env=dict(_env_values(at.on("env"), fields.get("env"))),
        env_through=tuple(dict.fromkeys(_env_names(fields.get("env")))),
        timeout=_timeout(at.on("timeout"), fields.get("timeout", 0)),
        retries=_count(at.on("retries"), fields.get("retries", 0)),
        resources=dict(_resources(at.on("resources"), fields.get("resources"))),
        image=_text(at.on("image"), fields.get("image", "")),
        each=_each(at.on("each"), wdir, fields),
        batch=_batch(at.on("batch"), fields),
        at=at,
    )
    return _for_items(at, found) if found.each else found


def _for_items(at: Place, stage: Stage) -> Stage:
    """The Stage, which depends on the files that fit its ``each`` too."""
    wrong = each.fault(stage)
    if wrong is not None:
        at.on(wrong.key).fail(wrong.message, hint=wrong.hint)
    return replace(stage, deps=tuple(dict.fromkeys((*stage.deps, stage.each))))


def _mapping(at: Place, value: object, known: Iterable[str] | None, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        at.fail(f"{what} must be a mapping of keys, and this is {_kind(value)}")
    for key in value:
        if known is not None and key not in known:
            near = codec.nearest(str(key), known)
            at.on(str(key)).fail(
                f"'{key}' is not a key of {what}",
                hint=f"did you mean '{near}'?" if near else f"known are {', '.join(known)}",
            )
    return value


def _typed(at: Place, value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        at.fail(f"'{at.path[-1]}' must be {_kind(kind())}, and this is {_kind(value)}")
    return value


def _text(at: Place, value: object) -> str:
    text = _typed(at, value, str) if isinstance(at.path[-1], str) else value
    if not isinstance(text, str):
        at.fail(f"an entry of '{at.path[-2]}' must be text, and this is {_kind(value)}", hint="put it in quotes")
    return text


def _commands(at: Place, value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        commands = tuple(_text(at.on(number), item) for number, item in enumerate(value))
    else:
        # Each line is a command of its own, as in dvc.yaml: the first that fails ends the Stage.
        commands = () if value is None else tuple(_text(at, value).splitlines())
    if not any(command.strip() for command in commands):
        at.fail("there is no command", hint="say in 'cmd' what the stage runs")
    if any("\0" in command for command in commands):
        at.fail("the command has a null character, which no program can be given", hint="take it out")
    return tuple(command.strip() for command in commands if command.strip())


_PART = r"[\w@=+,~-][\w.@=+,~-]*"
_PLAIN = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
"""Paths that are as they are written: most are, and this is three times as fast as to ask what they come to."""


def _inside(at: Place, directory: str, text: str, *, root: bool = False, outside: bool = False) -> str:
    """``text``, relative to ``directory``, as a path of the repository.

    ``root``: that itself will do. ``outside``: so will a path outside, which stays absolute, or relative to it.
    """
    if _PLAIN.fullmatch(text):
        return f"{directory}/{text}" if directory else text
    if "://" in text:
        at.fail(f"'{text}' is an address, and stages work on paths of the repository", hint=_COPY)
    path = posixpath.normpath(posixpath.join(directory, text)) if text else ""
    if path.startswith(("../", "/")) and at.root:
        path = _below(path, at.root)
    if path in ("", ".") and not root:
        at.fail(f"'{text}' is the repository itself", hint="name what is in it")
    if (path.startswith(("../", "/")) or path == "..") and outside:
        _check_outside(at, text)
    elif path.startswith(("../", "/")) or path == ".." or re.match(r"[A-Za-z]:[\\/]", text) or "\0" in path:
        at.fail(f"'{text}' is outside the repository", hint=_COPY)
    if ".git" in path.lower().split("/"):
        at.fail(f"'{text}' belongs to Git", hint="choose another place")
    return "" if path == "." else path


def _below(path: str, root: str) -> str:
    """A path that is absolute or leads up, relative to ``root`` where it lies there, else as it is."""
    absolute = posixpath.normpath(posixpath.join(root, path))
    if absolute == root:
        return "."
    return absolute.removeprefix(root + "/") if absolute.startswith(root + "/") else path


def _check_outside(at: Place, text: str) -> None:
    """PipelineError where the path of a dependency outside of the repository is of no use."""
    if globs.is_pattern(text):
        at.fail(f"'{text}' is outside the repository, where no pattern is looked for", hint="name the directory")
    if "\0" in text or os.name == "nt":
        at.fail(f"'{text}' is outside the repository", hint=_COPY)


def _items(at: Place, value: object) -> Iterator[tuple[Place, Any]]:
    if value is None:
        return
    if not isinstance(value, list):
        at.fail(f"'{at.path[-1]}' must be a list, and this is {_kind(value)}", hint="begin each entry with '- '")
    for number, item in enumerate(value):
        yield at.on(number), item


def _paths(at: Place, wdir: str, value: object) -> dict[str, None]:
    found: dict[str, None] = {}
    for here, item in _items(at, value):
        path = _inside(here, wdir, _text(here, item), outside=at.path[-1] == "deps")
        if path in found:
            here.fail(f"'{path}' is named twice in '{at.path[-1]}'", hint=_TWICE)
        found[path] = None
    return found


def _all_outs(at: Place, wdir: str, fields: Mapping[str, Any]) -> Iterator[Out]:
    seen: set[str] = set()
    for role in FLAGS:
        for here, out in _outs(at.on(role), wdir, fields.get(role)):
            if out.path in seen:
                here.fail(f"the output '{out.path}' is named twice", hint=_TWICE)
            seen.add(out.path)
            yield out


def _outs(at: Place, wdir: str, value: object) -> Iterator[tuple[Place, Out]]:
    entries = [{key: flags} for key, flags in value.items()] if isinstance(value, Mapping) else value
    for here, item in _items(at, entries):
        pairs = item if isinstance(item, Mapping) else {item: None}
        for key, flags in pairs.items():
            yield here, _out(here, wdir, _text(here, key), flags)


def _out(at: Place, wdir: str, text: str, flags: object) -> Out:
    role = str(at.path[-2])
    known = FLAGS[role]
    given = dict(_mapping(at.on(text), flags or {}, known, f"an entry of '{role}'"))
    for key, value in given.items():
        kind = known[key]
        if not isinstance(value, kind):
            wanted = _kind(kind()) if isinstance(kind, type) else "text or a list"
            at.on(text, key).fail(f"'{key}' must be {wanted}, and this is {_kind(value)}")
    direct = {key: given.pop(key) for key in ("cache", "persist", "push", "remote", "desc") if key in given}
    path = _inside(at, wdir, text)
    if globs.is_pattern(path):
        at.fail(f"the output '{text}' is a pattern", hint="name the directory, or each of the files")
    if is_control(path):
        at.fail(f"'{text}' cannot be an output: Git or mlvc reads it", hint="choose another name")
    return Out(path=path, role=role, options=given, **direct)


def _params(at: Place, wdir: str, value: object) -> Iterator[ParamRef]:
    for here, item in _items(at, value):
        if not isinstance(item, Mapping):
            yield ParamRef(_inside(here, wdir, DEFAULT_PARAMS), _text(here, item))
            continue
        for file, keys in item.items():
            path = _inside(here, wdir, _text(here, file))
            if keys is not None and not isinstance(keys, list):
                here.on(str(file)).fail(f"the keys of '{file}' must be a list, and this is {_kind(keys)}")
            for number, key in enumerate(keys or ()):
                yield ParamRef(path, _text(here.on(str(file), number), key))
            if not keys:
                yield ParamRef(path)


def _env_entries(value: object) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    """Where each entry of ``env`` stands, its name, and its value: ``_THROUGH`` for a name that is let through."""
    for number, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, Mapping):
            yield from (((number, str(name)), name, given) for name, given in item.items())
        else:
            yield (number,), item, _THROUGH
    for name, given in value.items() if isinstance(value, Mapping) else ():
        yield (str(name),), name, given


_THROUGH = object()
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _env_values(at: Place, value: object) -> Iterator[tuple[str, str]]:
    if value is not None and not isinstance(value, list | Mapping):
        at.fail(f"'env' must be a mapping or a list, and this is {_kind(value)}")
    seen: set[str] = set()
    for steps, name, given in _env_entries(value):
        here = at.on(*steps)
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            here.fail(f"'{name}' cannot be the name of a variable", hint="it has letters, digits and '_'")
        if name in seen:
            here.fail(f"the variable '{name}' is named twice")
        seen.add(name)
        if given is _THROUGH:
            continue
        if not isinstance(given, str | int | float) or "\0" in str(given):
            hint = f"to let the variable through, write it in a list: `- {name}`" if given is None else ""
            here.fail(f"the variable '{name}' must be text, and this is {_kind(given)}", hint=hint)
        yield name, str(given).lower() if isinstance(given, bool) else _text(here, str(given))


def _env_names(value: object) -> Iterator[str]:
    yield from (name for _, name, given in _env_entries(value) if given is _THROUGH)


def _timeout(at: Place, value: object) -> float:
    found = quantities.seconds(value)
    if found is None:
        at.fail(f"'timeout' must be a time, and this is {_shown(value)}", hint="such as 90, 30s, 10m or 2h")
    return found


def _count(at: Place, value: object, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        at.fail(f"'{at.path[-1]}' must be a whole number from {least} on, and this is {_shown(value)}")
    return value


def _shown(value: object) -> str:
    return f"'{value}'" if isinstance(value, str | int | float) and not isinstance(value, bool) else _kind(value)


def _resources(at: Place, value: object) -> Iterator[tuple[str, float]]:
    for name, amount in _mapping(at, {} if value is None else value, None, "'resources'").items():
        memory = name == "memory"
        found = quantities.size(amount) if memory else quantities.number(amount)
        if found is None:
            wanted, hint = ("a size", "such as 4GB or 512MiB") if memory else ("a number", "such as 1 or 0.5")
            at.on(str(name)).fail(f"the resource '{name}' must be {wanted}, and this is {_shown(amount)}", hint=hint)
        yield str(name), found


def _each(at: Place, wdir: str, fields: Mapping[str, Any]) -> str:
    return _inside(at, wdir, _text(at, fields["each"])) if "each" in fields else ""


def _batch(at: Place, fields: Mapping[str, Any]) -> int:
    if "batch" in fields and "each" not in fields:
        at.fail("'batch' is of no use without 'each'", hint="say with 'each' which files the commands run for")
    return _count(at, fields["batch"], 1) if "batch" in fields else 0
