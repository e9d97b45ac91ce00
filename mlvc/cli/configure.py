"""``config``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

from mlvc import config as settings
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.setup import Json, Private, plain, write
from mlvc.cli.words import argument, option
from mlvc.config import OWN, REPOSITORY, SYSTEM, USER, Config
from mlvc.errors import UsageError
from mlvc.repo import Repo


def config(
    name: Annotated[str, argument("[NAME]", help="The setting, such as core.autostage.")] = "",
    value: Annotated[str | None, argument("[VALUE]", help="What to set it to.")] = None,
    unset: Annotated[bool, option("--unset", help="Remove the setting.")] = False,
    listed: Annotated[bool, option("-l", "--list", help="List settings, as without any argument.")] = False,
    origin: Annotated[bool, option("--show-origin", help="Also tell the level and the file of each.")] = False,
    system: Annotated[bool, option("--system", help="Use the settings of this computer.")] = False,
    user: Annotated[bool, option("--user", help="Use your own settings, for all repositories.")] = False,
    shared: Annotated[bool, option("--shared", help="Use the settings of the repository, in Git.")] = False,
    private: Private = False,
    as_json: Json = False,
) -> None:
    """Show or change settings.

    Without a name all settings in force are listed, with a name that setting alone is printed. Settings of this
    computer are overridden by your own, these by those of the repository in .mlvc/config.toml, these by private ones,
    and all by variables such as MLVC_CORE_JOBS. Changes go to the repository, unless a level is named.

    Example: mlvc config core.autostage true
    """
    chosen = {SYSTEM: system, USER: user, REPOSITORY: shared, OWN: private}
    levels = [level for level, given in chosen.items() if given]
    if len(levels) > 1:
        raise UsageError(f"{levels[0]} and {levels[1]} are two levels", hint="name one of them")
    level = levels[0] if levels else ""
    if listed and name:
        raise UsageError("--list takes no name", hint="leave one of them out")
    if value is None and not unset:
        found = _settings(level)
        if name:
            _print(found, name, level, origin=origin, as_json=as_json)
        else:
            _list(found, origin=origin, as_json=as_json)
        return
    if unset and value is not None:
        raise UsageError("--unset takes no value")
    if not name:
        raise UsageError("--unset needs the name of a setting")
    if level in (SYSTEM, USER):
        _change_outside(level, name, value)
        return
    with opened() as repo:
        target = level or REPOSITORY
        if name == "core.hash" and (value != repo.config.get(name) or target != REPOSITORY):
            raise UsageError("core.hash cannot be changed after `mlvc init`: every object is named by it")
        path = settings.paths(os.environ, repo.root, repo.private)[target]
        _check_there(path, name, unset=unset)
        write(repo, name, value, private=level == OWN)
        if name == "store.dir":
            _tell_of_old_store(repo)


def _tell_of_old_store(repo: Repo) -> None:
    """A note where objects stay behind in a Store that is used no more."""
    old = repo.store_place
    new = repo.place_of(settings.load(settings.paths(os.environ, repo.root, repo.private), os.environ))
    stored = any(os.listdir(place) for part in ("packs", "loose") if os.path.isdir(place := os.path.join(old, part)))
    if stored and os.path.realpath(old) != os.path.realpath(new):
        show.err(f"note: what is stored already stays in {show.clean(old)}")
        show.err(f"hint: copy packs and loose from there into {show.clean(new)}, or get it with `mlvc fetch`")


def _settings(level: str) -> Config:
    """The settings in force, or those of one level alone; the first two levels need no repository."""
    if level in (SYSTEM, USER):
        path = settings.paths(os.environ).get(level)
        return settings.load({level: path} if path else {})
    with opened() as repo:
        if not level:
            return repo.config
        return settings.load({level: settings.paths(os.environ, repo.root, repo.private)[level]})


def _list(found: Config, *, origin: bool, as_json: bool) -> None:
    values = dict(sorted(found.values.items()))
    if as_json:
        show.json_out({name: _described(found, name) for name in values} if origin else values)
        return
    for name, value in values.items():
        show.report((_origin(found, name) if origin else "") + f"{name} = {plain(value)}")


def _print(found: Config, name: str, level: str, *, origin: bool, as_json: bool) -> None:
    value = found.get(name)  # which says what is wrong with the name
    if level and name not in found.values:
        raise UsageError(f"{name} is not set for level {level}", hint="without a level, the value in force is printed")
    if as_json:
        show.json_out({name: _described(found, name) if origin else value})
    else:
        show.report((_origin(found, name) if origin else "") + plain(value))


def _described(found: Config, name: str) -> Mapping[str, object]:
    level, file = found.origins.get(name, ("default", ""))
    return {"value": found.get(name), "level": level, "origin": file}


def _origin(found: Config, name: str) -> str:
    level, file = found.origins.get(name, ("default", ""))
    return f"{level}\t{show.clean(file)}\t"


def _change_outside(level: str, name: str, value: str | None) -> None:
    """Change settings that belong to no repository."""
    path = settings.paths(os.environ).get(level)
    if path is None:
        raise UsageError(f"there are no settings of level {level}: MLVC_CONFIG_SYSTEM is empty")
    if name == "core.hash":
        raise UsageError("core.hash belongs to a repository", hint="choose it with `mlvc init --hash`")
    _check_there(path, name, unset=value is None)
    settings.write(path, name, value)


def _check_there(path: str, name: str, *, unset: bool) -> None:
    """UsageError for a setting that is unknown, unless it is there and to be removed, or that is not there then."""
    there = unset and name in settings.read(path)
    if not there:
        settings.key_of(name)
    if unset and not there:
        raise UsageError(f"{name} is not set in {path}")


COMMANDS = {"config": config}
