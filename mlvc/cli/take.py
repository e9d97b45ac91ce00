"""``get``."""

from __future__ import annotations

import os
from typing import Annotated

from mlvc.api import get as gets
from mlvc.api.elsewhere import Surroundings, there
from mlvc.cli import show
from mlvc.cli.words import argument, option


def get(
    url: Annotated[str, argument("URL", help="The repository: its directory, or a URL of Git.")],
    path: Annotated[str, argument("PATH", help="What is tracked there: a file, a directory, or a part of one.")],
    out: Annotated[
        str, option("-o", "--out", metavar="OUT", help="The name to give it; or the directory to put it into.")
    ] = "",
    rev: Annotated[str, option("--rev", metavar="REV", help="The revision; without it, HEAD.")] = "",
    remote: Annotated[
        str, option("-r", "--remote", metavar="NAME", help="The Remote of that repository; else its default one.")
    ] = "",
    force: Annotated[bool, option("-f", "--force", help="Replace what is there.")] = False,
    as_json: Annotated[bool, option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Get tracked data of any repository.

    Makes a file or a directory of what is tracked there, without cloning the repository or its data. Works anywhere;
    what it makes is not tracked.

    Example: mlvc get https://example.org/project.git data/images --rev v1
    """
    line = show.Line()
    line.start("asking the repository")
    with there(url, rev, around=Surroundings.of(os.environ), remote=remote, inside=path) as source:
        done = gets.get(source, source.named(path), out, force=force, progress=line)
    if as_json:
        show.json_out(
            {
                "commit": done.commit,
                "path": done.path,
                "out": done.out,
                "kind": "dir" if done.is_dir else "file",
                "size": done.size,
                "files": done.files,
            }
        )
        return
    files = f"{show.number(done.files, 'file')}, " if done.is_dir else ""
    show.err(f"got {show.clean(done.out)}  ({files}{show.size(done.size)})  as of {done.commit[:10]}")


COMMANDS = {"get": get}
