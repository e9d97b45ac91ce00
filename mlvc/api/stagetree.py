"""The working tree and the Store, as the runner needs them."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property

from mlvc import files, globs, manifest
from mlvc.api.sharing import Afar, Recorded
from mlvc.errors import DamagedError, FormatError, ObjectsMissingError, UsageError
from mlvc.manifest import EMPTY_DIR
from mlvc.pipeline.lockfile import FILE as LOCKFILE
from mlvc.pipeline.lockfile import LockfileStore
from mlvc.pointer import Content
from mlvc.progress import Progress
from mlvc.repo import Repo
from mlvc.store.base import Lost
from mlvc.workspace import checkout, leading
from mlvc.workspace.clear import clear
from mlvc.workspace.index import NEVER, Record
from mlvc.workspace.tree import Look

_MOST_LINKS = 40


class RepoTree:
    """The working tree as the runner needs it. See tools.Tree."""

    def __init__(
        self, repo: Repo, progress: Progress, *, afar: Afar | None = None, absent: Recorded | None = None
    ) -> None:
        """``afar``: Remotes that are asked for what is not here. ``absent``: what is taken to be there and is not."""
        self._repo = repo
        self._progress = progress
        self.fitting: dict[str, Look] = {}
        """What was last seen of the files that fit each pattern."""
        self._afar = afar
        self._absent = absent
        self._linked: dict[str, tuple[str, ...]] = {}
        """The links that were last seen in each directory, or among the files that fit a pattern."""
        self.left: dict[str, list[str]] = {}
        """What was last seen in each directory that is no part of it, from the root."""
        self._made: set[str] = set()
        """Outputs of commands that were run: they are what stands on the disk."""

    @cached_property
    def _recorded(self) -> dict[str, Content]:
        """Outputs that Git keeps, as the last runs made them: what looks just so need not be kept aside."""
        entries = LockfileStore(os.path.join(self._repo.root, LOCKFILE)).load().stages.values()
        return {path: entry.outs[path] for entry in entries for path in entry.uncached}

    def identify(self, paths: Sequence[str]) -> dict[str, Content | None]:
        """The content on disk of each path, of what a symbolic link leads to, and of all that fits a pattern.

        Of a path that is taken to be there and is not, it is what is recorded.
        """
        found = {path: look.content for path, look in self.looks(paths).items()}
        if self._absent is not None:
            for path in paths:
                if globs.is_pattern(path):
                    self.fitting[path] = self._with_recorded(self.fitting[path], self._absent)
                    found[path] = self.fitting[path].content
                elif found[path] is None and path not in self._made:
                    found[path] = self._absent.content(path)
        return found

    def _with_recorded(self, look: Look, absent: Recorded) -> Look:
        """What fits a pattern, with the files that are only recorded."""
        entries = absent.fitting(look.path, self._made)
        if not entries:
            return look
        dirs = {directory: dict(records) for directory, records in look.scan.dirs.items()}
        for entry in entries:
            directory, _, name = entry.path.rpartition("/")
            dirs.setdefault(directory, {})[name] = Record(entry.size, NEVER, 0, 0, entry.kind, entry.oid)
        scan = replace(look.scan, dirs=dirs)
        content, objects = manifest.build(scan.entries(), self._repo.hashing)
        return Look(look.path, content, scan, tuple(objects))

    def looks(self, paths: Sequence[str], *, lenient: bool = False) -> dict[str, Look]:
        """What stands at each path, at what a symbolic link leads to, or fits a pattern. ``lenient``: see WorkTree."""
        tree = self._repo.tree
        found = {path: self._fitting(path) for path in paths if globs.is_pattern(path)}
        self.fitting.update(found)
        goals = {path: self.followed(path) for path in paths if path not in found}
        outside = {goal: self._outside(goal) for goal in goals.values() if goal.startswith(("/", "../"))}
        here = dict.fromkeys(goal for goal in goals.values() if goal not in outside)
        looks = tree.look(here, lenient=lenient, through=True, progress=self._progress)
        if outside:
            there = self._repo.outside.look(outside.values(), lenient=lenient, through=True, progress=self._progress)
            looks |= {goal: there[path] for goal, path in outside.items()}
        self.left |= {path: looks[goal].without for path, goal in goals.items()}
        found |= {path: looks[goal] for path, goal in goals.items()}
        for path, look in found.items():
            self._linked.pop(path, None)
            if look.scan.linked and (links := leading.links(look.scan)):
                self._linked[path] = tuple(links)
        return found

    def _fitting(self, pattern: str) -> Look:
        """The files that fit a pattern, where their directory is a link those in the one that it leads to."""
        top = globs.fixed(pattern)
        goal = self.followed(top) if top else top
        tree, rest = self._repo.tree, pattern.removeprefix(top)
        if goal.startswith(("/", "../")) and goal != top:
            goal, tree = self._outside(goal), self._repo.outside
        wanted = pattern if goal == top or globs.is_pattern(goal) else goal + rest
        return tree.fitting(wanted, progress=self._progress)

    def _outside(self, path: str) -> str:
        """A path outside of the root, relative to ``/``."""
        return os.path.normpath(os.path.join(self._repo.root, path)).lstrip(os.sep)

    def leading(self, path: str, outs: Collection[str]) -> Sequence[str]:
        """See tools.Tree."""
        links = self._linked.get(path, ())
        return leading.leading(self._repo.root, path, links, outs, self._links) if links else ()

    def _links(self, path: str) -> Sequence[str]:
        """The links in a directory, below it."""
        self.looks([path], lenient=True)
        return self._linked.get(path, ())

    def followed(self, path: str) -> str:
        """What ``path`` leads to as a symbolic link, but not into the Store; else itself. Outside it is absolute."""
        root = self._repo.root
        for _ in range(_MOST_LINKS):
            full = os.path.join(root, path)
            if not os.path.islink(full):
                break
            goal = os.path.normpath(os.path.join(os.path.realpath(os.path.dirname(full)), os.readlink(full)))
            if goal.startswith(root + os.sep):
                inside = goal.removeprefix(root + os.sep).replace(os.sep, "/")
                if inside.startswith(".git/"):
                    break
                path = inside
            elif os.name == "nt" or path in self._made:
                break
            else:
                path = goal
        return path

    def left_out(self, path: str) -> Sequence[str]:
        """See tools.Tree."""
        return self.left.get(path, ())

    def store(self, paths: Sequence[str]) -> dict[str, Content]:
        """The content of each path, durable in the Store."""
        with self._repo.turn(together=True, progress=self._progress):
            looks = self._repo.tree.store(paths, self._repo.store, progress=self._progress)
        self.left |= {path: look.without for path, look in looks.items()}
        return {path: look.content for path, look in looks.items() if look.content is not None}

    def restore(self, contents: Mapping[str, Content]) -> None:
        """Bring each path to its content from the Store."""
        repo = self._repo
        with repo.turn(together=False, progress=self._progress):
            plans, lost = checkout.plan(repo.tree, repo.store, contents, progress=self._progress)
            checkout.guard(plans, extra=True, cwd=repo.cwd)
            lost |= checkout.execute(repo.tree, repo.store, plans, links=repo.links, progress=self._progress).lost
        if lost:
            path, reason = next(iter(lost.items()))
            kind = DamagedError if reason == "damaged" else ObjectsMissingError
            raise kind(f"{path} cannot be restored: its object is {reason}", hint="get it with `mlvc fetch`")

    def available(self, contents: Iterable[Content]) -> bool:
        """Whether every object of all contents is in the Store, or on Remotes, from where it is brought."""
        contents = list(contents)
        lost: Lost = {}
        try:
            oids = manifest.objects_of(self._repo.store, contents, lost)
        except FormatError:  # a record of a Run may call a file a directory
            return False
        if not lost and not self._repo.store.missing(oids):
            return True
        return self._afar is not None and self._afar.has(contents)

    def fits(self, contents: Mapping[str, Content]) -> bool:
        """See tools.Tree. Of what is not here it is taken for granted."""
        tree, store = self._repo.tree, self._repo.store
        for path, content in contents.items() if tree.has_ignored else ():
            with suppress(ObjectsMissingError, DamagedError, FormatError):
                if content.is_dir and tree.leaves_out(path, (e.path for e in manifest.entries_of(store, content.oid))):
                    return False
        return True

    def why(self, content: Content) -> str:
        """Why ``content`` was not available on Remotes. See tools.Tree."""
        return self._afar.why(content) if self._afar is not None else ""

    def ready(self, deps: Sequence[str], outs: Sequence[str]) -> None:
        """Bring dependencies that are only recorded into the working tree. See tools.Tree."""
        self._made.update(outs)
        for parent in dict.fromkeys(os.path.dirname(out) for out in outs):
            if not os.path.isdir(f"{self._repo.root}/{parent}"):
                self._make(parent)
        if self._absent is not None:
            self._bring(deps, self._absent)
        self._keep_lists(
            [path for path in deps if globs.is_pattern(path) or os.path.isdir(os.path.join(self._repo.root, path))]
        )

    def _bring(self, deps: Sequence[str], absent: Recorded) -> None:
        lacking = absent.lacking(deps)
        try:
            absent.bring(lacking, self._progress)
        except (ObjectsMissingError, DamagedError):
            self.remove(lacking)  # a part of a directory would count as a change of it
            raise

    def _make(self, directory: str) -> None:
        try:
            os.makedirs(os.path.join(self._repo.root, directory), exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UsageError(
                f"the directory {directory} cannot be made for an output: a file is in the way",
                hint="move the file away",
            ) from None

    def _keep_lists(self, paths: Sequence[str]) -> None:
        """Store the lists of files of dependencies that are directories, so that `mlvc why` can compare with them."""
        store = self._repo.store
        seen = {path: self.fitting[path] for path in paths if path in self.fitting}
        left = [path for path in paths if path not in seen]
        looks = seen | (self.looks(left, lenient=True) if left else {})
        new = [look for look in looks.values() if look.content and store.missing([look.content.oid])]
        if new:
            with store.batch() as batch:
                for look in new:
                    batch.put_hashed(manifest.build(look.scan.entries(), store.hashing)[1])
                batch.commit()

    def remove(self, paths: Sequence[str]) -> None:
        """Take outputs out of the way; what is stored nowhere is kept aside in the Git directory."""
        with self._repo.turn(together=False, progress=self._progress):
            self._remove(paths)

    def _remove(self, paths: Sequence[str]) -> None:
        repo = self._repo
        looks = repo.tree.look([path for path in paths if files.exists(f"{repo.root}/{path}")])
        for path, look in looks.items():
            if look.content is None:
                continue
            full = f"{repo.root}/{path}"
            alone = repo.store.missing(entry.oid for entry in look.entries() if entry.kind != EMPTY_DIR)
            if alone and look.content != self._recorded.get(path):
                self._aside(path, full, f"What stood at {path}")
            elif not clear(repo.root, look):
                self._aside(path, full, f"What is ignored in {path}")

    def _aside(self, path: str, full: str, what: str) -> None:
        target = _free(os.path.join(self._aside_now(), *path.split("/")))
        _move(full, target)
        self._progress.note(f"{what} was stored nowhere; it is kept at {target}")

    def _aside_now(self) -> str:
        return os.path.join(self._repo.private, "aside", time.strftime("%Y%m%d-%H%M%S"))

    def aside(self) -> str:
        """A path in the Git directory that nothing has yet, for what is to be kept aside."""
        return _free(self._aside_now())

    def set_aside(self, paths: Sequence[str]) -> str:
        """Move what stands at the paths into a directory of its own in the Git directory."""
        there = [path for path in paths if files.exists(f"{self._repo.root}/{path}")]
        if not there:
            return ""
        place = self.aside()
        with self._repo.turn(together=False, progress=self._progress):
            for path in there:
                _move(f"{self._repo.root}/{path}", os.path.join(place, *path.split("/")))
        return place


def _free(path: str) -> str:
    """``path``, or where something is there the same with a number."""
    number, found = 1, path
    while files.exists(found):
        number += 1
        found = f"{path}.{number}"
    return found


def _move(source: str, target: str) -> None:
    files.make_dirs(os.path.dirname(target))
    try:
        os.rename(source, target)
    except OSError:  # another file system
        import shutil  # noqa: PLC0415

        shutil.move(source, target)
