"""``add`` and ``commit``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Annotated

from mlvc.api import track
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import argument, option
from mlvc.pointer import SUFFIX

Json = Annotated[bool, option("--json", help="Print the result as JSON.")]


def add(
    paths: Annotated[list[str], argument("PATH...", help="Files and directories to track.")],
    glob: Annotated[bool, option("--glob", help="Take the paths as patterns: *, ?, [a-z], ** for any depth.")] = False,
    out: Annotated[
        str, option("-o", "--out", metavar="PATH", help="Copy one path from elsewhere to PATH and track that.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Track files and directories.

    Their bytes go into the store, a Pointer PATH.mlvc that names them is written for Git, and Git is told to ignore
    the data itself. A path inside of a tracked directory updates that directory; the rest of it need not be there.

    Example: mlvc add data/images && git add data/images.mlvc data/.gitignore
    """
    with opened() as repo:
        done = track.add(repo, paths, glob=glob, out=out, progress=show.Line())
        _tracked(done, as_json=as_json, autostage=repo.config.get("core.autostage"), cwd=repo.cwd)


def commit(
    paths: Annotated[list[str] | None, argument("[PATH]...", help="Tracked paths; without any, all of them.")] = None,
    as_json: Json = False,
) -> None:
    """Accept what is in the working tree into existing Pointers.

    Like `mlvc add` for everything that is tracked already.

    Example: mlvc commit data/images
    """
    with opened() as repo:
        done = track.commit(repo, paths or (), progress=show.Line())
        _tracked(done, as_json=as_json, autostage=repo.config.get("core.autostage"), cwd=repo.cwd)


def _tracked(done: Iterable[track.Tracked], *, as_json: bool, autostage: bool, cwd: str) -> None:
    items = list(done)
    if as_json:
        show.json_out([{"path": i.path, **show.content_json(i.content), "changed": i.changed} for i in items])
        return
    changed = [item for item in items if item.changed]
    for item in changed:
        files = f"{show.number(item.content.files, 'file')}, " if item.content.is_dir else ""
        verb = "added" if item.old is None else "updated"
        show.err(f"{verb}  {show.clean(item.path)}  ({files}{show.size(item.content.size)})")
    if not changed:
        show.err("nothing changed" if items else "no tracked path is in the working tree; `mlvc add PATH` tracks one")
    elif not autostage:
        show.hint_git((name for item in changed for name in _for_git(item)), cwd)


def _for_git(item: track.Tracked) -> list[str]:
    folder = os.path.dirname(item.path)
    names = [item.path + SUFFIX]
    return [*names, f"{folder}/.gitignore" if folder else ".gitignore"] if item.old is None else names


COMMANDS = {"add": add, "commit": commit}
