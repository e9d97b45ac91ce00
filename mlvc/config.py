"""Settings, in levels: system, user, repository, private, environment. The later one wins.

Those of the repository are the shared file in Git, the private ones are in the Git directory. All files are TOML. They
are edited line by line, so that comments and layout stay as a person made them. The environment comes as a mapping.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlvc import codec, files
from mlvc.errors import FormatError, UsageError
from mlvc.oid import LENGTHS

SHARED = ".mlvc/config.toml"
PRIVATE = "config.toml"
FORMAT = 1
SYSTEM, USER, REPOSITORY, OWN, ENVIRONMENT = LEVELS = ("system", "user", "repository", "private", "environment")
_FORMATS = ("format", "version")
_SECTIONS = ("core", "store", "remote", "pipeline", "run")
LINKS = ("reflink", "hardlink", "symlink", "copy")


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: what it means, its default, and how its text is read."""

    name: str
    meaning: str
    default: Any
    read: Callable[[Any], Any]


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def _words(value: Any) -> str:
    import shlex  # noqa: PLC0415  (only where it is set)

    text = _text(value)
    try:
        shlex.split(text)
    except ValueError as error:
        raise ValueError(f"words as for a shell ({str(error)[:1].lower()}{str(error)[1:]})") from None
    return text


def _positive(value: Any) -> int:
    if isinstance(value, bool) or not str(value).isdigit() or int(value) < 1:
        raise ValueError("a whole number from 1")
    return int(value)


def _bytes(value: Any) -> int:
    match = re.fullmatch(r"(\d+) ?([KMG]?B)?", str(value), re.ASCII | re.IGNORECASE)
    if isinstance(value, bool) or match is None:
        raise ValueError("a number of bytes such as 500000, 500 KB, 10 MB or 1 GB; 0 for no limit")
    factor: int = 1000 ** "bkmg".index((match[2] or "b")[0].lower())
    return int(match[1]) * factor


def _count(value: Any) -> int:
    if isinstance(value, bool) or not str(value).isdigit():
        raise ValueError("a whole number from 0")
    return int(value)


def _limit(value: Any) -> float:
    """A number, or for memory a size."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?B)?", str(value), re.ASCII | re.IGNORECASE)
    if isinstance(value, bool) or match is None:
        raise ValueError("a number such as 1 or 0.5, or for memory a size such as 16 GB")
    factor: int = 1000 ** "bkmgt".index((match[2] or "b")[0].lower())
    amount = float(match[1]) * factor
    return int(amount) if amount.is_integer() else amount


def _days(value: Any) -> int:
    if isinstance(value, bool) or not str(value).isdigit():
        raise ValueError("a whole number of days from 0")
    return int(value)


def _algorithm(value: Any) -> str:
    if value not in LENGTHS:
        raise ValueError(f"one of {', '.join(LENGTHS)}")
    return str(value)


def _share(value: Any) -> str:
    if value not in ("never", "always"):
        raise ValueError("never or always")
    return str(value)


def _links(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else [part.strip() for part in str(value).split(",")]
    if not items or any(item not in LINKS for item in items):
        raise ValueError(f"a list of {', '.join(LINKS)}")
    return tuple(items)


KEYS = {
    key.name: key
    for key in (
        Key("core.hash", "hash algorithm of the repository; set once, by `mlvc init`", "xxh128", _algorithm),
        Key("core.autostage", "stage with Git every file of Git that mlvc writes", False, _boolean),
        Key(
            "core.link", "how large files get into the working tree, the first that works", ("reflink", "copy"), _links
        ),
        Key("core.remote", "name of the default Remote; without it, the only one is used", "", _text),
        Key("core.jobs", "how many transfers run side by side", 4, _positive),
        Key("core.progress", "show the progress of what takes longer", True, _boolean),
        Key("hooks.fetch", "the hooks after a checkout and a merge fetch what is not here", False, _boolean),
        Key(
            "hooks.push",
            "the hook before a push sends the objects of the commits to the default Remote",
            True,
            _boolean,
        ),
        Key(
            "hooks.largest",
            "the hook before a commit refuses larger files, in bytes or as `10 MB`; 0: no limit",
            10_000_000,
            _bytes,
        ),
        Key(
            "run.share",
            "whether push, fetch and pull take the Runs along: `never` or `always`; `--run-cache` does it once",
            "never",
            _share,
        ),
        Key("store.dir", "where the Store is, if not in the Git directory", "", _text),
        Key("gc.grace", "days for which `mlvc gc` leaves alone what was just stored", 14, _days),
        Key("gc.trash", "days for which `mlvc gc` keeps what it moved to the trash", 14, _days),
        Key("pipeline.jobs", "how many stages run side by side; 0: as many as there are processors", 1, _count),
        Key("pipeline.container.engine", "the program that runs containers; else `docker`, then `podman`", "", _text),
        Key(
            "pipeline.container.args",
            "what it is told with each `run`, such as `--gpus all`: a text as for a shell",
            "",
            _words,
        ),
        Key(
            "pipeline.limits.NAME",
            "how much of a resource all running stages take at most: `cpus`, `memory` (as `16 GB`), or a name of yours",
            "",
            _limit,
        ),
        Key("remote.NAME.url", "where a Remote is: a directory or a URL", "", _text),
    )
}


def key_of(name: str) -> Key:
    """The Key that ``name`` belongs to; UsageError with the nearest known name."""
    key = KEYS.get(_general(name))
    if key is None or "NAME" in name.split("."):
        near = near_to(name)
        hint = f"did you mean {near}?" if near else f"known settings: {', '.join(KEYS)}"
        if name in ("list", "ls", "show"):
            hint = "`mlvc config` without a name lists the settings"
        raise UsageError(f"unknown setting '{name}'", hint=hint)
    parts = name.split(".")
    if not all(_BARE.fullmatch(part) for part in parts):
        kind, chosen = ("remote", parts[1]) if parts[0] == "remote" else ("resource", parts[2])
        raise UsageError(f"a {kind} cannot be named '{chosen}'", hint="use letters, digits, - and _")
    return key


def near_to(name: str) -> str:
    """The known setting that ``name`` may be meant to be, '' where none is near."""
    general = _general(name)
    parts = name.split(".")
    chosen = "NAME" if general == name else parts[1 if parts[0] == "remote" else 2]
    return codec.nearest(general, KEYS).replace("NAME", chosen)


def _general(name: str) -> str:
    """``name`` as it stands in KEYS: with NAME where a person has chosen a name."""
    parts = name.split(".")
    if len(parts) == 3 and parts[0] == "remote":
        return "remote.NAME." + parts[2]
    return "pipeline.limits.NAME" if len(parts) == 3 and parts[:2] == ["pipeline", "limits"] else name


def _checked(name: str, value: Any, path: str) -> Any:
    """A known setting as it stands in the file ``path``; FormatError where it is of the wrong kind."""
    try:
        return key_of(name).read(value)
    except ValueError as error:
        raise FormatError(f"{path}: {name} is {value!r}, it must be {error}", hint="correct it there") from None
    except UsageError as error:
        raise FormatError(f"{path}: {error.message}", hint=error.hint) from None


def _given(name: str, value: Any) -> Any:
    """A setting as a person typed it; UsageError where it is unknown or of the wrong kind."""
    try:
        return key_of(name).read(value)
    except ValueError as error:
        raise UsageError(f"{name} cannot be '{value}'", hint=f"it must be {error}") from None


@dataclass(frozen=True, slots=True)
class Config:
    """All settings that are in force, by dotted name, with the level and the file or variable that each comes from.

    ``unknown``: file or variable, and name, of each setting that this mlvc does not know. It stays where it is.
    ``shadowed``: level, file and name of each setting that a later level overrides.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, tuple[str, str]]
    unknown: tuple[tuple[str, str], ...] = ()
    shadowed: tuple[tuple[str, str, str], ...] = ()

    def get(self, name: str) -> Any:
        """The setting, or its default."""
        return self.values[name] if name in self.values else key_of(name).default

    def below(self, prefix: str) -> dict[str, Any]:
        """All settings whose names begin with ``prefix``, by what follows it."""
        return {name.removeprefix(prefix): value for name, value in self.values.items() if name.startswith(prefix)}

    @property
    def remotes(self) -> dict[str, str]:
        """Name and URL of every Remote."""
        return {name.split(".")[1]: url for name, url in sorted(self.values.items()) if name.startswith("remote.")}


def load(paths: Mapping[str, str], variables: Mapping[str, str] | None = None) -> Config:
    """The settings in the files of some levels, any of which may be absent, and in the ``variables`` of a process.

    Unknown ones are left alone: a newer mlvc may have written them for those who have it. FormatError for a file of a
    format that this mlvc does not know, a value of the wrong kind, and core.hash anywhere but in the repository.
    """
    return _in_force([(level, path, read(path)) for level, path in paths.items()], variables or {})


def from_text(data: bytes, name: str) -> Config:
    """The settings in the bytes of the shared file alone; FormatError says what is wrong with the file ``name``."""
    return _in_force([(REPOSITORY, name, _settings(data, name))], {})


def _in_force(sources: Sequence[tuple[str, str, Mapping[str, Any]]], variables: Mapping[str, str]) -> Config:
    values: dict[str, Any] = {}
    origins: dict[str, tuple[str, str]] = {}
    unknown: list[tuple[str, str]] = []
    shadowed: list[tuple[str, str, str]] = []
    found = [(level, path, name, value) for level, path, settings in sources for name, value in settings.items()]
    found += [(ENVIRONMENT, variable, *item) for variable, item in overrides(variables).items()]
    for level, path, name, value in found:
        if name in _FORMATS and level != ENVIRONMENT:
            _check_format(path, name, value)
        elif _general(name) not in KEYS:
            unknown.append((path, name))
        else:
            checked = _checked(name, value, path)
            if name == "core.hash" and level != REPOSITORY:
                raise FormatError(
                    f"{path} sets core.hash, which only {SHARED} of a repository may set",
                    hint="take it out there: every object of a repository is named by its own algorithm",
                )
            if name in values:
                shadowed.append((*origins[name], name))
            values[name], origins[name] = checked, (level, path)
    return Config(values, origins, tuple(unknown), tuple(shadowed))


def _check_format(path: str, name: str, value: Any) -> None:
    if value != FORMAT or isinstance(value, bool):
        raise FormatError(
            f"{path} has settings of {name} {value!r}, this mlvc reads {name} {FORMAT}", hint="use a newer mlvc"
        )


def overrides(variables: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What an environment sets: variable -> name and value. ``MLVC_CORE_JOBS`` is core.jobs.

    The name of a Remote is taken as it is written: ``MLVC_REMOTE_store_URL`` is remote.store.url; so is that of a
    resource: ``MLVC_PIPELINE_LIMITS_gpu`` is pipeline.limits.gpu.
    """
    found = {}
    for variable, value in sorted(variables.items()):
        prefix, _, rest = variable.partition("_")
        section, _, key = rest.partition("_")
        if prefix != "MLVC" or section.lower() not in _SECTIONS or not key:
            continue
        remote, _, option = key.rpartition("_")
        limits, _, resource = key.partition("_")
        if section == "REMOTE":
            parts = ["remote", remote, option.lower()]
        elif section == "PIPELINE" and limits.lower() == "limits" and resource:
            parts = ["pipeline", "limits", resource]
        else:
            parts = [section.lower(), key.lower()]
        found[variable] = (".".join(filter(None, parts)), value)
    return found


def paths(variables: Mapping[str, str], root: str = "", private: str = "") -> dict[str, str]:
    """The file of each level; those of the repository where there is one.

    ``private``: the place of a root in the Git directory. ``variables``: the environment, which says where a user's
    settings are. MLVC_CONFIG_SYSTEM names another file for the system; empty, there is none.
    """
    windows = os.name == "nt"
    etc = os.path.join(variables.get("PROGRAMDATA", "C:\\ProgramData"), "mlvc") if windows else "/etc/mlvc"
    home = variables.get("APPDATA" if windows else "XDG_CONFIG_HOME") or os.path.join(
        variables.get("HOME") or os.path.expanduser("~"), ".config"
    )
    found = {
        SYSTEM: variables.get("MLVC_CONFIG_SYSTEM", os.path.join(etc, PRIVATE)),
        USER: os.path.join(home, "mlvc", PRIVATE),
    }
    if root:
        found[REPOSITORY] = os.path.join(root, *SHARED.split("/"))
        found[OWN] = os.path.join(private, PRIVATE)
    return {level: path for level, path in found.items() if path}


def read(path: str) -> dict[str, Any]:
    """The settings of one file by dotted name, as they stand there."""
    data = files.read_or_none(path)
    return {} if data is None else _settings(data, path)


def _settings(data: bytes, path: str) -> dict[str, Any]:
    shared = path.replace(os.sep, "/").endswith("/" + SHARED)
    repair = "correct it by hand" + (f", or bring an old one back with `git checkout -- {SHARED}`" if shared else "")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise FormatError(f"{path} is not UTF-8 text", hint=repair) from None
    try:
        return dict(_flat(codec.load_toml(text, path), ""))
    except FormatError as error:
        raise FormatError(error.message, hint=repair) from None


def _flat(table: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found = []
    for key, value in table.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


# -- editing -----------------------------------------------------------------------------------

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def write(path: str, name: str, value: Any | None) -> None:
    """Set one setting in a file, or remove it (None). Everything else in the file stays as it is."""
    if value is not None:
        value = _given(name, value)
    expected = read(path)
    expected.pop(name, None)
    if value is not None:
        expected[name] = list(value) if isinstance(value, tuple) else value
    old = files.read_or_none(path) or b""
    text = old.decode()
    section, _, key = name.rpartition(".")
    new = _edited(text.splitlines(), section, key, None if value is None else f"{key} = {_toml(value)}")
    edited = "\n".join(new) + "\n" if new else ""
    if _parsed(path, edited) != expected:
        raise _laid_out(path, f"set {name} there by hand")
    files.replace(path, codec.ending_as(edited, old))


def remove_section(path: str, section: str) -> None:
    """Remove all settings of a section from a file."""
    for name in [name for name in read(path) if name.startswith(section + ".")]:
        write(path, name, None)
    old = files.read_or_none(path) or b""
    lines = old.decode().splitlines()
    kept = [line for line in lines if line.strip() != f"[{section}]"]
    if kept != lines:
        files.replace(path, codec.ending_as("".join(f"{line}\n" for line in kept), old))


def rename_section(path: str, old: str, new: str) -> None:
    """Give a section of a file another name, if it is there. Comments and layout stay."""
    before = read(path)
    expected = {re.sub(rf"^{re.escape(old)}\.", f"{new}.", name): value for name, value in before.items()}
    if expected == before:
        return
    header = re.compile(rf"^(\s*)\[\s*{re.escape(old)}\s*\]", re.MULTILINE)
    text = header.sub(rf"\1[{new}]", (files.read_or_none(path) or b"").decode())
    if _parsed(path, text) != expected:
        raise _laid_out(path, f"rename [{old}] there by hand")
    files.replace(path, text.encode())


def _edited(lines: list[str], section: str, key: str, line: str | None) -> list[str]:
    start, end = _find(lines, section)
    if start is None:
        return lines if line is None else [*lines, *([""] if lines else []), f"[{section}]", line]
    for at in range(start + 1, end):
        if re.match(rf"\s*{re.escape(key)}\s*=", lines[at]):
            return lines[:at] + ([] if line is None else [line]) + lines[at + 1 :]
    # After the last setting: comments before the next section belong to that.
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return lines if line is None else [*lines[:end], line, *lines[end:]]


def _find(lines: list[str], section: str) -> tuple[int | None, int]:
    start = None
    for at, line in enumerate(lines):
        if line.lstrip().startswith("["):
            if start is not None:
                return start, at
            if line.split("#")[0].strip() == f"[{section}]":
                start = at
    return start, len(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return codec.compact_json(str(value))  # a JSON string is a TOML string


def _parsed(path: str, text: str) -> dict[str, Any] | None:
    """The settings in edited text; None where the edit did not fit the layout."""
    try:
        return dict(_flat(codec.load_toml(text, path), ""))
    except FormatError:
        return None


def _laid_out(path: str, hint: str) -> FormatError:
    return FormatError(f"{path} is laid out in a way that mlvc cannot edit", hint=hint)


def root_of(path: str) -> str:
    """The root, '' for the top, whose shared settings are at ``path``."""
    return path[: -len(SHARED) - 1]
