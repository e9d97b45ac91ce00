"""Directories beside the working tree with what a Stage declares, for ``repro --isolated``. See pipeline.isolation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing

from mlvc import files, globs
from mlvc import ignore as ignores
from mlvc.errors import PipelineError
from mlvc.manifest import FILE, SYMLINK, Entry
from mlvc.pipeline import compare, each
from mlvc.pipeline.plan import same
from mlvc.pipeline.spec import Stage
from mlvc.repo import Repo
from mlvc.workspace import isolated
from mlvc.workspace.index import Index
from mlvc.workspace.tree import Look, WorkTree


class RepoIsolation:
    """See pipeline.isolation.Isolation.

    The directories are in the Git directory or, where that is on another file system, at the top of the working tree.
    """

    def __init__(self, repo: Repo, looks: Callable[[Sequence[str]], Mapping[str, Look]]) -> None:
        """``looks``: what stands at paths, at what links lead to, or fits a pattern."""
        self._repo = repo
        self._looks = looks
        self._placed: dict[str, list[Entry]] = {}
        self._shared: dict[str, isolated.Standing] = {}

    def make(self, stage: Stage) -> str:
        """See Isolation; PipelineError where a dependency is gone."""
        kept = [entry for out in stage.outs if out.persist for entry in self._at(out.path)]
        place = self._made(stage, stage.deps, kept)
        for out in stage.outs:
            os.makedirs(os.path.join(place, os.path.dirname(out.path)), exist_ok=True)
        return place

    def make_shared(self, stage: Stage) -> str:
        """See Isolation; PipelineError where a dependency is gone."""
        place = self._made(stage, each.shared(stage.deps, stage))
        self._shared[place] = isolated.standing(place)
        self._placed[place] = []
        return place

    def lend(self, place: str, items: Sequence[Entry]) -> None:
        """See Isolation; PipelineError where an item is gone."""
        # One may be in a dependency that all items have, too.
        self._placed[place] = [item for item in items if item.path not in self._shared[place]]
        self._fill(place, self._placed[place], "the command of an item")

    def tidy(self, place: str) -> str:
        """See Isolation."""
        written = isolated.written(self._repo.root, place, self._placed[place])
        return isolated.tidy(place, self._shared[place]) or written

    def _made(self, stage: Stage, deps: Iterable[str], kept: Sequence[Entry] = ()) -> str:
        """A new directory with these dependencies of a Stage, its parameter files, and what is to be ``kept``."""
        place = self._repo.tree.beside(self._repo.root)
        os.mkdir(place)
        given = sorted({entry.path: entry for entry in self._inputs(stage, deps)}.values())
        self._fill(place, [*given, *kept], f"stage '{stage.name}'")
        os.makedirs(os.path.join(place, stage.wdir), exist_ok=True)
        self._placed[place] = given
        return place

    def _fill(self, place: str, entries: Sequence[Entry], whose: str) -> None:
        repo = self._repo
        try:
            isolated.fill(repo.root, place, entries)
        except FileNotFoundError as error:
            name = os.path.relpath(os.fsdecode(error.filename), repo.root)
            raise PipelineError(
                f"'{name}' vanished while it was brought to {whose}", hint="run `mlvc repro` again"
            ) from None

    def _inputs(self, stage: Stage, deps: Iterable[str]) -> Iterator[Entry]:
        for path in deps:
            # A link that leads out of a dependency is one itself: what it leads to takes its place.
            if not path.startswith(("/", "../")):
                yield from (entry for entry in self._at(path) if entry.kind != SYMLINK or entry.path not in stage.deps)
        for file in dict.fromkeys(ref.file for ref in stage.params):
            yield Entry(file, FILE, os.stat(f"{self._repo.root}/{file}").st_size, b"")

    def _at(self, path: str) -> Iterator[Entry]:
        """The files at or below ``path``, as the Manifest of it has them."""
        look = self._looks([path])[path]
        top = globs.fixed(path) if globs.is_pattern(path) else path
        for entry in look.entries():
            yield entry._replace(path="/".join(part for part in (top, entry.path) if part))

    def written(self, place: str) -> str:
        """See Isolation."""
        return isolated.written(self._repo.root, place, self._placed[place])

    def bring_back(self, place: str, paths: Sequence[str]) -> None:
        """See Isolation."""
        isolated.bring_back(place, self._repo.root, paths)

    def differing(self, place: str, paths: Sequence[str]) -> dict[str, list[str]]:
        """See Isolation."""
        repo = self._repo
        first = repo.tree.look(paths)
        index = Index(repo.tree.scratch.name() + ".sqlite", repo.hashing.size)
        with closing(WorkTree(place, index, repo.hashing, ignore=ignores.load(repo.root))) as other:
            second = other.look(paths)
        return {
            path: _files(first[path], second[path])
            for path in paths
            if not same(first[path].content, second[path].content)
        }

    def exists(self, path: str) -> bool:
        """See Isolation."""
        return files.exists(f"{self._repo.root}/{path}")

    def remove(self, place: str) -> None:
        """See Isolation."""
        self._placed.pop(place, None)
        self._shared.pop(place, None)
        files.remove_tree(place)


def _files(one: Look, other: Look) -> list[str]:
    if not all(look.content is not None and look.content.is_dir for look in (one, other)):
        return []
    return [difference.file for difference in compare.entries(one.entries(), other.entries())]
