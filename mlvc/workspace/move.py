"""Moving what stands in the working tree, together with what the Index knows of it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mlvc import files
from mlvc.manifest import FILE
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

    The directories around the new place are made. On return both names are durable.
    """
    old, new = f"{root}/{source}", f"{root}/{target}"
    if not files.exists(old) or files.exists(new):
        return False
    files.make_dirs(os.path.dirname(new))
    os.rename(old, new)
    for parent in {os.path.dirname(old), os.path.dirname(new)}:
        files.sync_dir(parent)
    return True


def relink(tree: WorkTree, goals: Mapping[str, str]) -> None:
    """Let the links at these paths lead to these files, each replaced in one step. What is no link stays."""
    for path, goal in goals.items():
        full = f"{tree.root}/{path}"
        text = os.path.relpath(goal, os.path.dirname(full))
        if os.path.islink(full) and os.readlink(full) != text:
            temporary = tree.beside(os.path.dirname(full))
            os.symlink(text, temporary)
            os.replace(temporary, full)


def remember(tree: WorkTree, look: Look, target: str) -> None:
    """Tell the Index that what ``look`` saw is at ``target`` now."""
    index = tree.index
    parent, _, name = look.path.rpartition("/")
    new_parent, _, new_name = target.rpartition("/")
    if look.scan.is_dir:
        dirs = {target + directory[len(look.path) :]: records for directory, records in look.scan.dirs.items()}
        roots = {target: look.content} if look.content is not None and not look.scan.refused else {}
        index.update(dirs, gone=[*look.scan.dirs, *look.scan.gone], roots=roots)
        return
    old = dict(index.of_dir(parent))
    old.pop(name, None)
    record = look.scan.dirs.get(parent, {}).get(name)
    new: dict[str, Records] = {parent: old}
    if record is not None:
        around = old if new_parent == parent else dict(index.of_dir(new_parent))
        new[new_parent] = {**around, new_name: _renamed(f"{tree.root}/{target}", record)}
    index.update({path: records for path, records in new.items() if records}, gone=[p for p, r in new.items() if not r])


def _renamed(full: str, record: Record) -> Record:
    """The Record of a file after its rename, which is a change of the file itself, though not of its bytes."""
    info = os.lstat(full)
    same = record[:2] == (info.st_size, info.st_mtime_ns) and record.inode == info.st_ino
    return record._replace(ctime=info.st_ctime_ns) if same else record._replace(mtime=NEVER)
