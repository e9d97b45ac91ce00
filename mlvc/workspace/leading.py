"""Links in a directory that lead out of it: whoever reads the directory reads what they lead to, too."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from mlvc import globs
from mlvc.manifest import SYMLINK
from mlvc.workspace.scan import Scan


def links(scan: Scan) -> list[str]:
    """The symbolic links that were seen, relative to the top of the scan, without those into the Store; sorted."""
    skip = len(scan.top) + 1 if scan.top else 0
    return sorted(path[skip:] for path in scan.linked if _is_link(scan, path))


def _is_link(scan: Scan, path: str) -> bool:
    directory, _, name = path.rpartition("/")
    record = scan.dirs.get(directory, {}).get(name)
    return record is not None and record.kind == SYMLINK


def leading(
    root: str, path: str, below: Sequence[str], outs: Collection[str], links_of: Callable[[str], Sequence[str]]
) -> list[str]:
    """The links below ``path`` that lead out of it, as paths; and those below what they lead to.

    ``path`` is a directory or a pattern, relative to ``root``, with the links ``below``; ``links_of`` tells those below
    another directory. One that leads to nothing is left out, and one that leads to what is in the same directory, or
    around it, or overlaps ``outs``: a command writes there. What several lead to is looked through once.
    """
    start = globs.fixed(path) if globs.is_pattern(path) else path
    within = globs.fits(path) if globs.is_pattern(path) else None
    if within is None and not any(_may_leave(os.path.join(root, start), name) for name in below):
        return []
    top = os.path.realpath(os.path.join(root, start))
    found: list[str] = []
    known: list[str] = []
    barred = [os.path.join(root, ".git"), *(os.path.realpath(os.path.join(root, out)) for out in outs)]
    pending = deque((link, top if within is None else "") for link in _joined(start, below))
    while pending:
        link, around = pending.popleft()
        goal = os.path.realpath(os.path.join(root, link))
        own = [one for one in (around, top if within is None else "") if one]
        if _inside(goal, own) or _around(goal, [top, *barred]) or _inside(goal, barred):
            continue
        if within is not None and goal.startswith(root + os.sep) and within(os.path.relpath(goal, root)):
            continue
        if os.path.isdir(goal):
            found.append(link)
            if not _inside(goal, known):
                known.append(goal)
                pending += ((below_it, goal) for below_it in _joined(link, links_of(link)))
        elif os.path.isfile(goal):
            found.append(link)
    return found


def _may_leave(top: str, name: str) -> bool:
    """Whether the link ``name`` may lead out of ``top``: a look at its text, which is many times as fast."""
    try:
        goal = os.readlink(f"{top}/{name}")
    except OSError:  # it is no link any more: whoever looks again will see
        return False
    parts = goal.split("/")
    ups = next((count for count, part in enumerate(parts) if part not in ("..", ".")), len(parts))
    return os.path.isabs(goal) or ".." in parts[ups:] or parts[:ups].count("..") > name.count("/")


def _joined(top: str, names: Iterable[str]) -> Iterator[str]:
    return (f"{top}/{name}" if top else name for name in names)


def _inside(path: str, tops: Iterable[str]) -> bool:
    return any(path == top or path.startswith(top.rstrip(os.sep) + os.sep) for top in tops)


def _around(path: str, inner: Iterable[str]) -> bool:
    return any(_inside(one, [path]) for one in inner)
