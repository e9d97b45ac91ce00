"""Moving what stands in the working tree, together with what the Index knows of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from mlvc import files
from mlvc.manifest import FILE
from mlvc.pointer import Content
from mlvc.workspace.index import NEVER, Record, Records
from mlvc.workspace.tree import Look, WorkTree


def links(tree: WorkTree, look: Look, target: str) -> dict[str, str]:
    """Where the relative links into the Store below a path will be, each with the file that it leads to.

    They have to be made anew: from another directory the same text leads elsewhere.
    """
    found = {}
    for directory, records in look.scan.dirs.items():
        for name, record in records.items():
            # Only a link into the Store is a file with these stamps and is a link.
            if record.kind != FILE or record.mtime != NEVER:
                continue
            path = f"{directory}/{name}" if directory else name
            full = f"{tree.root}/{path}"
            if os.path.islink(full) and not os.path.isabs(goal := os.readlink(full)):
                found[target + path[len(look.path) :]] = os.path.normpath(os.path.join(os.path.dirname(full), goal))
    return found


def rename(root: str, source: str, target: str) -> bool:
    """Give what is at ``source`` its new place; whether there was something, and nothing at the new place.

    The directories around the new place are made.
    """
    old, new = f"{root}/{source}", f"{root}/{target}"
    if not files.exists(old) or files.exists(new):
        return False
    files.make_dirs(os.path.dirname(new))
    os.rename(old, new)
    return True


def settle(root: str, paths: Iterable[str]) -> None:
    """Make the names of these paths, and that others have gone from beside them, survive a power cut."""
    for folder in {path.rpartition("/")[0] for path in paths}:
        if os.path.isdir(f"{root}/{folder}"):
            files.sync_dir(f"{root}/{folder}")


def relink(tree: WorkTree, goals: Mapping[str, str]) -> None:
    """Let the links at these paths lead to these files, each replaced in one step. What is no link stays."""
    for path, goal in goals.items():
        full = f"{tree.root}/{path}"
        text = os.path.relpath(goal, os.path.dirname(full))
        if os.path.islink(full) and os.readlink(full) != text:
            temporary = tree.beside(os.path.dirname(full))
            os.symlink(text, temporary)
            os.replace(temporary, full)


def remember(tree: WorkTree, moved: Iterable[tuple[Look, str]]) -> None:
    """Tell the Index that what was seen is at other paths now, all of it at once."""
    rows: dict[str, Records] = {}
    gone: list[str] = []
    roots: dict[str, Content] = {}
    for look, target in moved:
        if look.scan.is_dir:
            gone += [*look.scan.dirs, *look.scan.gone]
            rows |= {target + directory[len(look.path) :]: records for directory, records in look.scan.dirs.items()}
            if look.content is not None and not look.scan.refused:
                roots[target] = look.content
            continue
        parent, _, name = look.path.rpartition("/")
        _row(tree, rows, parent).pop(name, None)
        record = look.scan.dirs.get(parent, {}).get(name)
        if record is not None:
            new_parent, _, new_name = target.rpartition("/")
            _row(tree, rows, new_parent)[new_name] = _renamed(f"{tree.root}/{target}", record)
    full = {path: records for path, records in rows.items() if records}
    tree.index.update(full, gone=[path for path in (*gone, *rows) if path not in full], roots=roots)


def _row(tree: WorkTree, rows: dict[str, Records], path: str) -> Records:
    """What the Index is to know of one directory, to be changed."""
    if path not in rows:
        rows[path] = dict(tree.index.of_dir(path))
    return rows[path]


def _renamed(full: str, record: Record) -> Record:
    """The Record of a file after its rename, which is a change of the file itself, though not of its bytes."""
    info = os.lstat(full)
    same = record[:2] == (info.st_size, info.st_mtime_ns) and record.inode == info.st_ino
    return record._replace(ctime=info.st_ctime_ns) if same else record._replace(mtime=NEVER)
