"""``init`` and ``remote``."""

from __future__ import annotations

import os
from typing import Annotated

from mlvc import config as settings
from mlvc import git
from mlvc.api import init as api
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import Group, argument, option
from mlvc.config import OWN, REPOSITORY
from mlvc.errors import UsageError
from mlvc.repo import Repo

Json = Annotated[bool, option("--json", help="Print the result as JSON.")]
Private = Annotated[bool, option("--private", help="Use the settings in the Git directory, which nobody else sees.")]


def init(
    algorithm: Annotated[
        str,
        option(
            "--hash",
            metavar="xxh128|blake3",
            help="How content is named. xxh128 is fastest; blake3 also resists attackers. Cannot be changed later.",
        ),
    ] = "",
    subdir: Annotated[
        bool, option("--subdir", help="Set it up in this directory, apart from the rest of the repository.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set mlvc up in a Git repository.

    Writes .mlvc/config.toml, stages it with Git, and makes an empty store in the Git directory. That is done at the top
    of the working tree, also from a directory further down; with --subdir it is done where you are.

    Example: git init && mlvc init
    """
    done = api.init(os.getcwd(), os.environ, algorithm=algorithm, subdir=subdir)
    if as_json:
        show.json_out({"root": done.root, "hash": done.hash, "new": done.new})
    elif done.new:
        show.err(f"Set up mlvc in {done.root} (objects are named by {done.hash})")
        show.err("hint: track data with `mlvc add PATH`, then commit with Git")
        if os.path.realpath(os.getcwd()) != done.root:
            show.err("hint: that is the top of the working tree; `mlvc init --subdir` sets it up where you are")
    else:
        show.err(f"mlvc is set up in {done.root} already (objects are named by {done.hash})")


def plain(value: object) -> str:
    """A setting as text."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def write(repo: Repo, name: str, value: object | None, *, private: bool) -> None:
    """Change a setting of the repository, or a private one."""
    path = settings.paths(os.environ, repo.root, repo.private)[OWN if private else REPOSITORY]
    with repo.exclusive():
        settings.write(path, name, value)
    if not private:
        _stage(repo)


# -- remotes -----------------------------------------------------------------------------------

Name = Annotated[str, argument("NAME", help="The name of the Remote.")]


def remote_add(
    name: Name,
    url: Annotated[str, argument("URL", help="A directory, or a URL such as s3://bucket/path.")],
    default: Annotated[bool, option("-d", "--default", help="Make it the default Remote.")] = False,
    force: Annotated[bool, option("-f", "--force", help="Replace a Remote of this name.")] = False,
    private: Private = False,
) -> None:
    """Add a Remote.

    A relative directory is kept relative to the repository. Nothing is written there before the first push.

    Example: mlvc remote add -d store /mnt/shared/project
    """
    with opened() as repo:
        if name in repo.config.remotes and not force:
            raise UsageError(f"there is a remote '{name}' already", hint="change it with `mlvc remote modify`")
        write(repo, f"remote.{name}.url", _address(repo, url), private=private)
        if default:
            write(repo, "core.remote", name, private=private)


def _address(repo: Repo, url: str) -> str:
    """A directory as the settings keep it: relative to the repository where it was given relative."""
    if not url.strip():
        raise UsageError("the address of a remote cannot be empty")
    if "://" in url or os.path.isabs(url) or url.startswith("~"):
        return url
    host, colon, path = url.partition(":")
    if host and colon and "/" not in host:  # as Git and scp have it; a directory of such a name is ./NAME
        full_path = path if path.startswith("/") else f"/FULL/PATH/{path}"
        raise UsageError(f"{url} is not the form of an address here", hint=f"write ssh://{host}{full_path}")
    full = os.path.normpath(os.path.join(repo.root, repo.cwd, url))
    if (full + os.sep).startswith((repo.git.top.rstrip(os.sep) + os.sep, repo.git.common + os.sep)):
        raise UsageError(f"{url} lies in the repository itself", hint="choose a directory outside of it")
    return os.path.relpath(full, repo.root).replace(os.sep, "/")


def remote_list(as_json: Json = False) -> None:
    """List the Remotes; the default one is marked.

    Example: mlvc remote list
    """
    with opened() as repo:
        default = repo.config.get("core.remote")
        known = repo.config.remotes
        if as_json:
            show.json_out([{"name": n, "url": url, "default": n == default} for n, url in known.items()])
            return
        for name, url in known.items():
            show.report(f"{name}\t{url}" + ("\t(default)" if name == default else ""))


def remote_modify(
    name: Name,
    option: Annotated[str, argument("OPTION", help="The option to set: url.")],
    value: Annotated[str | None, argument("[VALUE]", help="Its new value.")] = None,
    unset: Annotated[bool, option("--unset", help="Remove the option.")] = False,
    private: Private = False,
) -> None:
    """Change an option of a Remote.

    Example: mlvc remote modify store url /mnt/new/place
    """
    with opened() as repo:
        _known(repo, name)
        if (value is None) != unset:
            raise UsageError("give a value, or --unset")
        if option == "url" and unset:
            raise UsageError("a remote needs its url", hint=f"remove the remote: `mlvc remote remove {name}`")
        new = _address(repo, value) if option == "url" and value is not None else value
        write(repo, f"remote.{name}.{option}", new, private=private)


def remote_default(
    name: Annotated[str, argument("[NAME]", help="The Remote to make the default; without one, print it.")] = "",
    unset: Annotated[bool, option("--unset", help="Have no default.")] = False,
    private: Private = False,
    as_json: Json = False,
) -> None:
    """Show or choose the Remote that push and pull use.

    Example: mlvc remote default store
    """
    with opened() as repo:
        if unset:
            write(repo, "core.remote", None, private=private)
        elif name:
            _known(repo, name)
            write(repo, "core.remote", name, private=private)
        else:
            current = repo.config.get("core.remote")
            if not current:
                raise UsageError("no remote is the default", hint=_no_default(list(repo.config.remotes)))
            if as_json:
                show.json_out({"name": current, "url": repo.config.remotes.get(current)})
            else:
                show.out(current)


def _no_default(names: list[str]) -> str:
    if len(names) == 1:
        return f"the only one, '{names[0]}', is used all the same; choose it with `mlvc remote default {names[0]}`"
    return "choose one with `mlvc remote default NAME`" if names else "add one with `mlvc remote add -d NAME URL`"


def remote_rename(name: Name, new: Annotated[str, argument("NEW", help="Its new name.")]) -> None:
    """Give a Remote another name.

    Example: mlvc remote rename store archive
    """
    with opened() as repo:
        _known(repo, name)
        if new in repo.config.remotes:
            raise UsageError(f"there is a remote '{new}' already")
        settings.key_of(f"remote.{new}.url")
        for path in _files(repo, name):
            settings.rename_section(path, f"remote.{name}", f"remote.{new}")
            if settings.read(path).get("core.remote") == name:
                settings.write(path, "core.remote", new)
        _stage(repo)


def remote_remove(name: Name) -> None:
    """Forget a Remote. What is stored there stays there.

    Example: mlvc remote remove store
    """
    from mlvc.api.remotes import forget  # noqa: PLC0415  (the other commands do without)

    with opened() as repo:
        _known(repo, name)
        paths = _files(repo, name)
        forget(repo, name)
        for path in paths:
            if settings.read(path).get("core.remote") == name:
                settings.write(path, "core.remote", None)
            settings.remove_section(path, f"remote.{name}")
        _stage(repo)


def _known(repo: Repo, name: str) -> None:
    known = repo.config.remotes
    if name not in known:
        raise UsageError(f"there is no remote '{name}'", hint=f"known remotes: {', '.join(known)}" if known else "")


def _files(repo: Repo, name: str) -> list[str]:
    """The settings of the repository and the private ones; UsageError for a Remote that stands in none of them."""
    paths = settings.paths(os.environ, repo.root, repo.private)
    own = [paths[REPOSITORY], paths[OWN]]
    key = f"remote.{name}.url"
    if not any(key in settings.read(path) for path in own):
        level, where = repo.config.origins[key]
        hint = f"`mlvc config --{level} --unset {key}`" if level in paths else f"unset {where}"
        raise UsageError(f"the remote '{name}' is not one of this repository: it stands in {where}", hint=hint)
    return own


def _stage(repo: Repo) -> None:
    # As the settings are now.
    now = settings.load(settings.paths(os.environ, repo.root, repo.private), os.environ)
    if now.get("core.autostage"):
        git.stage(repo.git, [settings.SHARED])


remotes = Group(
    "Name the places that push and pull talk to.",
    {
        "add": remote_add,
        "list": remote_list,
        "modify": remote_modify,
        "default": remote_default,
        "rename": remote_rename,
        "remove": remote_remove,
    },
    example="mlvc remote add -d store /mnt/shared/project",
)
COMMANDS = {"init": init, "remote": remotes}
