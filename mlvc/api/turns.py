"""Verbs that change the working tree, and verbs that take in what is there, take turns in one working tree.

So no version is recorded that is half of one checkout and half of another. Several that only take in work together.
No turn is held while the command of a Stage runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from mlvc.progress import QUIET
from mlvc.repo import Repo

P = ParamSpec("P")
T = TypeVar("T")


def changing(verb: Callable[Concatenate[Repo, P], T]) -> Callable[Concatenate[Repo, P], T]:
    """A verb that puts files into the working tree or takes them away: alone, unless it is only a ``dry_run``."""
    return _in_turn(verb, together=False)


def taking_in(verb: Callable[Concatenate[Repo, P], T]) -> Callable[Concatenate[Repo, P], T]:
    """A verb that lets Pointers name what is in the working tree."""
    return _in_turn(verb, together=True)


def _in_turn(verb: Callable[Concatenate[Repo, P], T], *, together: bool) -> Callable[Concatenate[Repo, P], T]:
    @wraps(verb)
    def held(repo: Repo, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if kwargs.get("dry_run"):
            return verb(repo, *args, **kwargs)
        progress = kwargs.get("progress", QUIET)
        with repo.turn(together=together, progress=progress):  # type: ignore[arg-type]
            return verb(repo, *args, **kwargs)

    return held
