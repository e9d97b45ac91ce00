"""The JSON Schema of ``mlvc.yaml``: what editors complete from, and what pipeline files are checked against.

It is a value of plain JSON (draft 2020-12), and ``validate`` understands exactly the keywords that it uses. It says
what is written where; whether a path, a template or a condition makes sense is for ``spec`` to say. Wherever a
template ``${…}`` may stand for a value of another kind, text with a template is valid.

``title`` is how messages call a value, ``patternErrorMessage`` (as editors know it) what they say beside ``pattern``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from mlvc import codec

Schema = Mapping[str, Any]

# -- the schema --------------------------------------------------------------------------------

_TEMPLATE: Schema = {"$ref": "#/$defs/template"}
_TEXT: Schema = {"type": "string"}
_OPTIONAL_LIST = ["array", "null"]


def _or_template(description: str, *kinds: Schema) -> Schema:
    return {"description": description, "anyOf": [*kinds, _TEMPLATE]}


def _text(description: str, **more: object) -> Schema:
    return {"description": description, "type": "string", **more}


def _flag(description: str, *, default: bool) -> Schema:
    return {**_or_template(description, {"type": "boolean"}), "default": default}


def _list(description: str, item: Schema) -> Schema:
    return _or_template(description, {"type": _OPTIONAL_LIST, "items": item})


def _keys(title: str, properties: Mapping[str, Schema], *, empty: bool = False, required: Sequence[str] = ()) -> Schema:
    return {
        "title": title,
        "type": ["object", "null"] if empty else "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }


_ANNOTATIONS: Mapping[str, Schema] = {
    "desc": _text("Text for people."),
    "type": _text("What kind of thing it is, for people and tools: `model`, `dataset`, …"),
    "labels": _list("Words to find it by.", _TEXT),
    "meta": {"description": "Anything; mlvc does not read it."},
}
_OUT: Mapping[str, Schema] = {
    "cache": _flag(
        "`true`: the bytes go into the Store. `false`: it is a small file that you keep in Git.", default=True
    ),
    "persist": _flag(
        "`true`: the command finds what it made last time. `false`: that is taken away before it runs.", default=False
    ),
    "push": _flag("`false`: `mlvc push` does not send it.", default=True),
    "remote": _text("The name of the one Remote that it goes to and comes from."),
    **_ANNOTATIONS,
}
_AXIS: Schema = {"type": ["string", "array", "object"]}
_DRAWING: Mapping[str, Schema] = {
    "x": {**_AXIS, "description": "What stands on the x axis: a field, or for each file a field."},
    "y": {**_AXIS, "description": "What stands on the y axis: a field, a list of them, or for each file its fields."},
    "x_label": _text("The words at the x axis."),
    "y_label": _text("The words at the y axis."),
    "title": _text("The words above the plot."),
    "template": _text("The name of a drawing, such as `linear`, or the file of one."),
    "header": _flag("Whether the first line of a table has the names of its columns.", default=True),
}
_PLOT: Mapping[str, Schema] = {
    **_OUT,
    **_DRAWING,
}


def _outs(description: str, flags: Schema) -> Schema:
    """A list of paths, each alone or with flags below it; or a mapping of paths to flags."""
    flags = {"anyOf": [flags, _TEMPLATE]}
    return _or_template(
        description,
        {
            "type": _OPTIONAL_LIST,
            "items": {"anyOf": [_TEXT, {"type": "object", "additionalProperties": flags}]},
        },
        {"type": "object", "additionalProperties": flags},
    )


_VARS = _list(
    "Values for templates: mappings of names to values, and files to take them from (`FILE`, or `FILE:KEY,KEY`).",
    {"type": ["string", "object"]},
)
_SIZE = {
    "type": "string",
    "pattern": r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*([KMGTPkmgtp][Ii]?)?[Bb]?\s*$|\$\{",
    "patternErrorMessage": "must be a size, such as 4GB or 512MiB",
}
_BODY: Mapping[str, Schema] = {
    "cmd": {
        "description": "A command for the shell, or a list of commands that run one after another.",
        "type": ["string", "array", "null"],
        "items": _TEXT,
    },
    "wdir": _text("The directory in which the commands run and to which all paths are relative.", default="."),
    "deps": _list(
        "What the command reads: files, directories, and patterns such as `data/*.csv` or `data/**/*.csv`.", _TEXT
    ),
    "params": _list(
        "Parameters that the command depends on: keys of params.yaml, or files (patterns too) with a list of keys.",
        {
            "anyOf": [
                _TEXT,
                {"type": "object", "additionalProperties": {"type": ["array", "string", "null"], "items": _TEXT}},
            ]
        },
    ),
    "outs": _outs("What the command writes: files and directories.", {"$ref": "#/$defs/out"}),
    "metrics": _outs("Outputs that hold figures.", {"$ref": "#/$defs/out"}),
    "plots": _outs("Outputs that can be drawn.", {"$ref": "#/$defs/plotted"}),
    "vars": _VARS,
    "env": _or_template(
        "Variables of the environment that count as inputs: names with values, and names whose values are let through.",
        {"$ref": "#/$defs/variables"},
        {"type": _OPTIONAL_LIST, "items": {"anyOf": [_TEXT, {"$ref": "#/$defs/variables"}]}},
    ),
    "image": _text("The container image that the commands run in, through docker or podman."),
    "when": {
        "description": "A condition over parameters and vars, such as `model.depth > 2`; where it does not hold, the "
        "stage and what needs it are left out.",
        "type": ["boolean", "string"],
    },
    "each": _text(
        "A pattern of files: the commands run for each of them, which is `${item.path}`, `${item.stem}`, `${item.oid}`."
    ),
    "batch": _or_template(
        "With `each`: how many files one command is given, in a list.", {"type": "integer", "minimum": 1}
    ),
    "timeout": _or_template(
        "How long all commands together may take: seconds, or text such as `30s`, `10m`, `2h`.",
        {"type": "number", "minimum": 0},
        {
            "type": "string",
            "pattern": r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*[smhdSMHD]?\s*$|\$\{",
            "patternErrorMessage": "must be a time, such as 90, 30s, 10m or 2h",
        },
    ),
    "retries": _or_template("How often a failed command is tried again.", {"type": "integer", "minimum": 0}),
    "resources": _or_template(
        "What the commands take while they run; stages that take more than there is together wait for one another.",
        {
            "title": "'resources'",
            "type": ["object", "null"],
            "properties": {
                "cpus": _or_template("Processors.", {"type": "number", "minimum": 0}),
                "memory": _or_template(
                    "Memory: bytes, or text such as `4GB`.", {"type": "number", "minimum": 0}, _SIZE
                ),
                "gpu": _or_template("Graphics processors.", {"type": "number", "minimum": 0}),
            },
            "additionalProperties": _or_template(
                "A name of your own, limited by `pipeline.limits.NAME`.", {"type": "number", "minimum": 0}
            ),
        },
    ),
    "frozen": _flag("`true`: the stage does not run.", default=False),
    "always_changed": _flag("`true`: the stage runs every time.", default=False),
    "desc": _text("Text for people; `mlvc stage list` shows it."),
    "meta": {"description": "Anything; mlvc does not read it."},
}
_MATRIX: Schema = _or_template(
    "Lists by name: a stage for each combination, whose values are `${item.NAME}`, `${key}` in its name.",
    {"type": "object", "additionalProperties": {"type": ["array", "string"]}},
)
_PLOTS_BY_NAME: Schema = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"$ref": "#/$defs/plot"}, _TEMPLATE]},
}

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "a pipeline file",
    "description": "mlvc.yaml: the stages of a pipeline. `mlvc schema` prints this schema.",
    "type": ["object", "null"],
    "properties": {
        "stages": {
            "description": "The stages by name.",
            "type": ["object", "null"],
            "additionalProperties": {"$ref": "#/$defs/stage"},
        },
        "vars": _VARS,
        "params": _list("Files with parameters that belong to no stage.", _TEXT),
        "metrics": _list("Files with figures, for `mlvc metrics`.", _TEXT),
        "plots": {
            "description": "What `mlvc plots` draws: files, directories, and plots by name with what is in them.",
            "anyOf": [
                {"type": _OPTIONAL_LIST, "items": {"anyOf": [_TEXT, _PLOTS_BY_NAME]}},
                _PLOTS_BY_NAME,
                _TEMPLATE,
            ],
        },
        "artifacts": {
            "description": "Models and data sets by name: where they are, and what they are.",
            "type": ["object", "null"],
            "additionalProperties": {"anyOf": [{"$ref": "#/$defs/artifact"}, _TEMPLATE]},
        },
    },
    "additionalProperties": False,
    "$defs": {
        "template": {
            "title": "a template",
            "description": "A template, whose value may be of any kind.",
            "type": "string",
            "pattern": r"\$\{",
        },
        "stage": {
            "title": "a stage",
            "type": "object",
            "if": {"anyOf": [{"required": ["foreach"]}, {"required": ["do"]}]},
            "then": _keys(
                "a stage of 'foreach' and 'do'",
                {
                    "foreach": _or_template(
                        "A list or a mapping, or a template that is one: there is a stage for each entry, `${item}`.",
                        {"type": ["array", "object"]},
                    ),
                    "do": {"description": "The stage for one entry.", "$ref": "#/$defs/body"},
                },
                required=["foreach", "do"],
            ),
            "else": _keys("a stage", {**_BODY, "matrix": _MATRIX}, required=["cmd"]),
        },
        "body": _keys("'do'", _BODY, required=["cmd"]),
        "out": _keys("an output", _OUT, empty=True),
        "plotted": {
            "anyOf": [
                {"$ref": "#/$defs/drawn"},
                {"type": "array", "items": {"$ref": "#/$defs/drawn"}},
            ]
        },
        "drawn": _keys("an output of 'plots'", _PLOT, empty=True),
        "plot": _keys("a plot", _DRAWING, empty=True),
        "artifact": _keys("an artifact", {"path": _text("Where it is."), **_ANNOTATIONS}, required=["path"]),
        "variables": {
            "type": "object",
            "propertyNames": {
                "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$",
                "patternErrorMessage": "must be the name of a variable, of letters, digits and '_'",
            },
            "additionalProperties": {"type": ["string", "number", "boolean"]},
        },
    },
}


def text() -> str:
    """The schema as `mlvc schema` prints it."""
    import json  # noqa: PLC0415

    return json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"


# -- the interpreter ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """The first thing in a document that is not as the schema has it."""

    path: tuple[str | int, ...]
    """Where it is: keys of mappings, and numbers of entries of lists."""
    says: str
    subject: str = ""
    """What ``says`` is said of, where that is not what stands at ``path``."""
    hint: str = ""

    @property
    def message(self) -> str:
        """One sentence without a full stop."""
        return f"{self.subject or _named(self.path)} {self.says}"


Check = Callable[[Any], Problem | None]
_KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
_WORDS = {
    "object": "a mapping of keys",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}
_HINTS = {"array": "begin each entry with '- '", "string": "put it in quotes"}


def validate(value: object) -> Problem | None:
    """What is wrong first, from the top down, with the value of a pipeline file; None where nothing is."""
    return _checker()(value)


@cache
def _checker() -> Check:
    return _compile(SCHEMA)


def _named(path: tuple[str | int, ...]) -> str:
    if not path:
        return str(SCHEMA["title"])
    if isinstance(path[-1], str):
        return f"'{path[-1]}'"
    return f"an entry of '{next((step for step in reversed(path) if isinstance(step, str)), '')}'"


def kind(value: object) -> str:
    """What a value is, in words."""
    if value is None:
        return "empty"
    word = next((word for word, types in _KINDS.items() if type(value) in types and word != "integer"), "")
    return _WORDS.get(word, type(value).__name__)


def _resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


def _types(schema: Schema) -> list[str]:
    """The types that ``schema`` names, [] for any."""
    found = _resolved(schema)
    if "anyOf" in found:
        return list(dict.fromkeys(name for each in found["anyOf"] for name in _types(each)))
    names = found.get("type", [])
    return [names] if isinstance(names, str) else list(names)


def _is(value: object, names: Iterable[str]) -> bool:
    """Whether ``value`` is of one of these types; a boolean is no number here, as in JSON, and 1.0 is an integer."""
    if isinstance(value, bool):
        return "boolean" in names
    if isinstance(value, float) and value.is_integer() and "integer" in names:
        return True
    return any(isinstance(value, _KINDS[name]) for name in names)


def _compile(schema: Schema) -> Check:
    """A function that does what ``schema`` says: 20,000 values take 10 ms, and going through the schema ten times."""
    schema = _resolved(schema)
    known = _compiled.get(id(schema))
    if known is None:
        checks = [make(schema) for key, make in _KEYWORDS.items() if key in schema]
        known = checks[0] if len(checks) == 1 else _all(checks)
        _compiled[id(schema)] = known
    return known


_compiled: dict[int, Check] = {}


def _all(checks: list[Check]) -> Check:
    def check(value: object) -> Problem | None:
        for each in checks:
            problem = each(value)
            if problem is not None:
                return problem
        return None

    return check


def _wrong_type(value: object, names: Iterable[str]) -> Problem:
    wanted = [_WORDS[name] for name in names if name in _WORDS]
    told = " or ".join([", ".join(wanted[:-1]), wanted[-1]] if len(wanted) > 1 else wanted)
    hint = next((_HINTS[name] for name in names if name in _HINTS), "") if len(wanted) == 1 else ""
    if value is None:
        hint = "give it a value, or take the key out"
    elif isinstance(value, list | dict) and len(wanted) == 1 and "string" in names:
        hint = "write one value there; text that begins with `[` or `{` goes in quotes"
    return Problem((), f"must be {told}, and this is {kind(value)}", hint=hint)


def _type(schema: Schema) -> Check:
    names = _types(schema)
    exact = {each for name in names for each in _KINDS[name]}

    def check(value: object) -> Problem | None:
        if type(value) in exact or _is(value, names):
            return None
        return _wrong_type(value, names)

    return check


def _pattern(schema: Schema) -> Check:
    search = re.compile(schema["pattern"]).search
    says = schema.get("patternErrorMessage", "must be a template")

    def check(value: object) -> Problem | None:
        if isinstance(value, str) and not search(value):
            return Problem((), f"{says}, and this is '{value}'")
        return None

    return check


def _minimum(schema: Schema) -> Check:
    least = schema["minimum"]

    def check(value: object) -> Problem | None:
        if isinstance(value, int | float) and not isinstance(value, bool) and value < least:
            return Problem((), f"must be at least {least}, and this is {value}")
        return None

    return check


def _under(step: str | int, problem: Problem, about: str = "") -> Problem:
    """The problem, seen from one step further up; ``about`` is the hint, where it has none."""
    return replace(problem, path=(step, *problem.path), hint=problem.hint or about)


def _about(schema: Schema, key: str) -> str:
    told = schema.get("properties", {}).get(key, {}).get("description", "")
    return f"what '{key}' says: {told[:1].lower()}{told[1:].rstrip('.')}" if told else ""


def _items(schema: Schema) -> Check:
    of_item = _compile(schema["items"])

    def check(value: object) -> Problem | None:
        if isinstance(value, list):
            for number, item in enumerate(value):
                problem = of_item(item)
                if problem is not None:
                    return _under(number, problem)
        return None

    return check


def _members(schema: Schema) -> Check:
    """``properties``, ``propertyNames`` and ``additionalProperties``, in the order of the document."""
    known = {name: _compile(each) for name, each in schema.get("properties", {}).items() if each.keys() & _CHECKED}
    free = schema.get("properties", {}).keys() - known.keys()
    others = schema.get("additionalProperties", True)
    of_others = None if isinstance(others, bool) else _compile(others)
    of_name = _compile(schema["propertyNames"]) if "propertyNames" in schema else None

    def check(value: object) -> Problem | None:
        if not isinstance(value, dict):
            return None
        for key, item in value.items():
            if of_name is not None:
                problem = of_name(str(key))
                if problem is not None:
                    return Problem((str(key),), problem.says.partition(", and this")[0], hint=problem.hint)
            of_item = known.get(key, None if key in free else of_others)
            if of_item is not None:
                problem = of_item(item)
                if problem is not None:
                    return _under(str(key), problem, _about(schema, str(key)))
            elif others is False and key not in free:
                return _unknown(str(key), schema)
        return None

    return check


def _unknown(key: str, schema: Schema) -> Problem:
    near = codec.nearest(key, schema["properties"])
    if "do" in schema["properties"] and key in _BODY:
        hint = f"write '{key}' below 'do'"
    else:
        hint = f"did you mean '{near}'?" if near else f"known are {', '.join(schema['properties'])}"
    return Problem((key,), f"is not a key of {schema['title']}", f"'{key}'", hint)


def _required(schema: Schema) -> Check:
    def check(value: object) -> Problem | None:
        missing = next((key for key in schema["required"] if key not in value), "") if isinstance(value, dict) else ""
        if not missing:
            return None
        return Problem((), f"has no '{missing}'", schema.get("title", ""), _about(schema, missing))

    return check


def _any_of(schema: Schema) -> Check:
    kinds = [(set(_types(each)), _compile(each)) for each in schema["anyOf"]]
    names = [name for name in _types(schema) if name != "string" or not _only_template(schema)]

    def check(value: object) -> Problem | None:
        first = None
        for types, of_kind in kinds:
            if not types or _is(value, types):
                problem = of_kind(value)
                if problem is None:
                    return None
                first = first or problem
        if first is None or (isinstance(value, str) and "string" not in names):
            return _wrong_type(value, names)
        return first

    return check


def _only_template(schema: Schema) -> bool:
    """Whether templates are all the text that ``schema`` takes."""
    texts = [each for each in schema["anyOf"] if "string" in _types(each)]
    return texts == [_TEMPLATE]


def _if(schema: Schema) -> Check:
    holds, then, otherwise = (_compile(schema[key]) for key in ("if", "then", "else"))

    def check(value: object) -> Problem | None:
        return (then if holds(value) is None else otherwise)(value)

    return check


_KEYWORDS: Mapping[str, Callable[[Schema], Check]] = {
    "type": _type,
    "pattern": _pattern,
    "minimum": _minimum,
    "items": _items,
    "additionalProperties": _members,
    "anyOf": _any_of,
    "if": _if,
    "required": _required,
}
"""What checks each keyword. ``properties`` and ``propertyNames`` always stand beside ``additionalProperties``."""
_CHECKED = {"$ref", *_KEYWORDS}
