"""``init``: set mlvc up in a Git repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mlvc import config as settings
from mlvc import git
from mlvc.errors import UsageError
from mlvc.hashing import Hashing
from mlvc.repo import is_initialised, open_repo


@dataclass(frozen=True, slots=True)
class Initialised:
    """Where mlvc is set up, with which hash algorithm, and whether that was just done."""

    root: str
    hash: str
    new: bool


def init(start: str, environment: Mapping[str, str], *, algorithm: str = "") -> Initialised:
    """Set mlvc up in the repository that ``start`` lies in: shared settings, staged with Git, and an empty Store.

    Doing it again changes nothing; UsageError where another hash algorithm is asked for then.
    """
    found = git.discover(start, environment)
    if is_initialised(found):
        with open_repo(start, environment) as repo:
            current = repo.hashing.name
            if algorithm and algorithm != current:
                raise UsageError(
                    f"{found.root} is set up with {current} already",
                    hint="the hash algorithm of a repository cannot be changed",
                )
            return Initialised(found.root, current, new=False)
    name = Hashing(algorithm or settings.key_of("core.hash").default).name
    settings.write(os.path.join(found.root, *settings.SHARED.split("/")), "core.hash", name)
    git.stage(found, [settings.SHARED])
    with open_repo(start, environment) as repo:
        assert repo.store.hashing.name == name
    return Initialised(found.root, name, new=True)
