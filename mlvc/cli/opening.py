"""The repository that a command works on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mlvc import __version__
from mlvc import config as settings
from mlvc.cli import show
from mlvc.cli.terminal import manner
from mlvc.repo import Repo, open_repo


@contextmanager
def opened() -> Iterator[Repo]:
    """The repository that the user stands in. A setting that nobody here knows is told, in case it is a slip."""
    with open_repo(os.getcwd(), os.environ) as repo:
        for path, name in repo.config.unknown:
            near = settings.near_to(name)
            meant = f" (did you mean {near}?)" if near else ""
            inside = path.startswith(repo.root.rstrip(os.sep) + os.sep)
            file = os.path.relpath(path, repo.root) if inside else path
            show.err(show.clean(f"note: {file} has a setting '{name}' that this mlvc does not know{meant}"))
        if not repo.config.get("core.progress"):
            manner.progress = False
        show.detail(f"mlvc {__version__} in {repo.root}")
        show.detail(f"store: {repo.store_place}")
        yield repo
