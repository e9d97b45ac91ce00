"""Directories in which the commands of a Stage find what it declares, and nothing else."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from mlvc import globs
from mlvc.errors import StageFailedError
from mlvc.manifest import Entry
from mlvc.pipeline import each, where
from mlvc.pipeline.graph import inputs
from mlvc.pipeline.spec import Stage

RANDOM = (
    "look for a clock, random numbers without a seed, the path of the directory that it runs in, "
    "names of temporary files, the order of threads or files"
)
_NAMED = 3
_WORD = re.compile(r"[^\s'\"`,;:()\[\]{}<>=]+")
_MODULE = re.compile(r"No module named '?([\w.]+)")


class Isolation(Protocol):
    """Makes such directories. What is left of them when mlvc ends, or is killed, goes by itself."""

    def make(self, stage: Stage) -> str:
        """A new directory with the dependencies and parameter files of ``stage``, and what it wrote to last time."""

    def make_shared(self, stage: Stage) -> str:
        """A new directory with what all items of ``stage`` depend on, and no item."""

    def lend(self, place: str, items: Sequence[Entry]) -> None:
        """Bring ``items`` to ``place``, which ``make_shared`` made."""

    def tidy(self, place: str) -> str:
        """Make ``place`` as ``make_shared`` made it.

        Else an input that a command has written to, and ``place`` is of no use any more.
        """

    def written(self, place: str) -> str:
        """An input in ``place`` that a command has written to; '' for none."""

    def bring_back(self, place: str, paths: Sequence[str]) -> None:
        """Move what was made at ``paths`` to the working tree, where nothing is there."""

    def differing(self, place: str, paths: Sequence[str]) -> dict[str, list[str]]:
        """Those of ``paths`` that are not the same in the working tree, each with the files in it that are not."""

    def exists(self, path: str) -> bool:
        """Whether something is at ``path`` in the working tree."""

    def remove(self, place: str) -> None:
        """Remove the directory and all that is in it."""


def undeclared(stage: Stage, text: str, place: str, exists: Callable[[str], bool]) -> list[str]:
    """The paths that ``text``, which the commands of ``stage`` printed in ``place``, names and nobody declared."""
    declared = [globs.fixed(path) for path in (*inputs(stage), *(out.path for out in stage.outs))]
    return _beyond(declared, stage, text, place, exists)


def beyond_item(
    stage: Stage, items: Iterable[Entry], text: str, place: str, exists: Callable[[str], bool]
) -> list[str]:
    """As ``undeclared``, of a command for these items: what they do not depend on."""
    shared = each.shared(inputs(stage), stage)
    declared = [*(globs.fixed(path) for path in shared), *(item.path for item in items)]
    return _beyond(declared, stage, text, place, exists)


def _beyond(declared: Sequence[str], stage: Stage, text: str, place: str, exists: Callable[[str], bool]) -> list[str]:
    found: list[str] = []
    for path in _candidates(stage, text, place):
        inside = any(path == one or path.startswith(one + "/") or one.startswith(path + "/") for one in declared)
        if path not in found and not inside and exists(path):
            found.append(path)
    return found


def _candidates(stage: Stage, text: str, place: str) -> Iterator[str]:
    folders = dict.fromkeys([stage.wdir, *(posixpath.dirname(path) for path in stage.deps)])
    for module in _MODULE.findall(text):
        name = module.replace(".", "/")
        for folder in folders:
            for end in (f"{name}.py", f"{name}/__init__.py", f"{name.partition('/')[0]}.py"):
                yield posixpath.normpath(posixpath.join(folder, end))
    for word in _WORD.findall(text):
        name = word.rstrip(".").removeprefix(place + "/")
        if name and not name.startswith("/"):
            path = posixpath.normpath(posixpath.join(stage.wdir if name == word.rstrip(".") else "", name))
            if path != "." and path.split("/")[0] not in ("..", ".git"):
                yield path


def hint(names: Sequence[str], *, again: bool = False) -> str:
    """What to say to a person whose command failed where only what is declared was there.

    ``again``: the first time it ended well; then it may have had all that there is.
    """
    if not names and again:
        return (
            "the first time it ended well, and the second time only what is under 'deps' is there: name all that it "
            "reads, or find what else differs from time to time"
        )
    if not names:
        return "with --isolated a command finds only what its stage declares: name all that it reads under 'deps'"
    when = "the second time" if again else "with --isolated"
    return (
        f"its output names {_few(names)}, which the stage does not declare: {when} only what is under 'deps' is there"
    )


def hint_of_items(names: Sequence[str], *, isolated: bool = True) -> str:
    """The same of commands for items. ``isolated``: not the second time alone."""
    when = "with --isolated" if isolated else "the second time"
    there = f"{when} a command finds only its items and what is under 'deps', but no directory that items are in"
    if not names:
        return there
    return f"their output names {_few(names)}, which these items do not depend on: {there}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def of_difference(stage: Stage, found: Mapping[str, Sequence[str]]) -> StageFailedError:
    """The commands of ``stage`` made other outputs the second time."""
    path, names = next(iter(found.items()))
    inside = f" ({', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''})" if names else ""
    others = f", {', '.join(list(found)[1:])}" if len(found) > 1 else ""
    return StageFailedError(
        f"{where.of(stage, path)}: stage '{stage.name}' is not deterministic: it made another "
        f"'{path}'{inside}{others} the second time",
        hint=RANDOM,
    )
