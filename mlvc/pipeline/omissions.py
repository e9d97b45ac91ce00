"""What lies in directories that Stages read or have written, and is no part of them: told, so that nobody misses it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mlvc.pipeline import failures
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.told import LeftOut
from mlvc.pipeline.tools import Tools

_NAMED = 3
"""Paths that are named of those that are left out of a directory."""


@dataclass(slots=True)
class Omissions:
    """Warns of each directory once, whichever Stages read it."""

    tools: Tools
    graph: Graph
    _told: set[tuple[str, str]] = field(default_factory=set)

    def of_dependencies(self, stage: Stage) -> None:
        """Warn of what is in the dependencies of a Stage, which was just looked at, and was there before all Stages."""
        for path in stage.deps:
            if path not in self.graph.makers:
                names = self.tools.tree.left_out(path)
                self._warn(stage, path, "dependency", [name for name in names if not _of_git(name)])

    def of_outputs(self, stage: Stage) -> None:
        """Warn of what is in the outputs of a Stage, which were just stored."""
        for out in stage.outs:
            if out.cache:
                self.of_output(stage, out.path, self.tools.tree.left_out(out.path))

    def of_output(self, stage: Stage, path: str, names: Iterable[str]) -> None:
        """Warn of ``names`` in an output."""
        self._warn(stage, path, "output", list(names))

    def _warn(self, stage: Stage, path: str, role: str, names: Sequence[str]) -> None:
        if names and (role, path) not in self._told:
            self._told.add((role, path))
            self.tools.progress.note(failures.warning_of_left_out(stage, path, role, names[:_NAMED], len(names)))
            self.tools.listener(LeftOut(stage.name, path, role, tuple(names[:_NAMED]), len(names)))


def _of_git(path: str) -> bool:
    """Whether it is what every clone and submodule has: no command takes that for an input."""
    return path.rpartition("/")[2] == ".git"
