"""Whether the user's working tree stayed as it was while commands ran somewhere else."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlvc import git, snapshot
from mlvc.pipeline.spec import Stage
from mlvc.repo import Repo
from mlvc.workspace.isolated import Standing, standing


@dataclass(frozen=True, slots=True)
class Seen:
    """The files of a working tree at one time, by what the file system says of them: nothing was read."""

    files: Standing
    """What Git has, or would take."""
    tracked: Standing
    """What mlvc tracks, and outputs."""

    def differing(self, repo: Repo) -> list[str]:
        """The paths of what is not as it was, in order.

        A new file counts where mlvc tracks the directory, and nowhere else: an editor makes such files, too.
        """
        now = _files(repo, self.files)
        tracked = dict(_tracked(repo))
        changed = {path for path, known in self.files.items() if now.get(path) != known}
        both = self.tracked.keys() | tracked.keys()
        return sorted(changed | {path for path in both if self.tracked.get(path) != tracked.get(path)})


def seen(repo: Repo) -> Seen:
    """The working tree as it is now: one process of Git, and a look at each file."""
    return Seen(_files(repo, git.present(repo.git)), dict(_tracked(repo)))


def _files(repo: Repo, paths: Iterable[str]) -> Standing:
    return {path: _stamp(f"{repo.root}/{path}") for path in paths}


def _stamp(full: str) -> tuple[int, ...]:
    try:
        info = os.lstat(full)
    except OSError:
        return ()
    if stat.S_ISDIR(info.st_mode):  # a submodule
        return (info.st_mode,)
    return (info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns)


def _tracked(repo: Repo) -> Iterator[tuple[str, tuple[int, ...]]]:
    for path in snapshot.on_disk(repo.git).contents():
        full = f"{repo.root}/{path}"
        yield path, _stamp(full)
        if os.path.isdir(full) and not os.path.islink(full):
            yield from ((f"{path}/{inner}", known) for inner, known in standing(full).items())


def named(repo: Repo, stage: Stage) -> str:
    """The working tree of the user that a command of ``stage``, or a variable for it, names; '' for none.

    What a command finds there is not what the revision has.
    """
    texts = (*stage.cmd, *stage.env.values())
    for top in dict.fromkeys((repo.git.top, os.path.dirname(repo.git.common))):
        expression = re.compile(rf"(?<![\w.-]){re.escape(top)}(?![\w.-])")
        if top != os.sep and any(expression.search(text) for text in texts):
            return top
    return ""
