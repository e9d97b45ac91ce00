"""``move``, ``remove``, ``unprotect``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from mlvc.api import lost
from mlvc.api import move as moves
from mlvc.api import remove as removals
from mlvc.api import unprotect as unprotections
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import argument, option
from mlvc.errors import UsageError

if TYPE_CHECKING:
    from mlvc.cli import shapes

Json = Annotated[bool, option("--json", help="Print the result as JSON.")]


def move(
    paths: Annotated[list[str], argument("SRC... DST", help="Tracked paths, and the new name or a directory.")],
    dry_run: Annotated[bool, option("-n", "--dry-run", help="Only show what would be moved.")] = False,
    as_json: Json = False,
) -> None:
    """Rename tracked paths.

    The data, the Pointer and the line in .gitignore get their new place; nothing is stored or sent again. Paths inside
    of tracked directories move, too, also from one into another; the rest of these need not be there. Nothing is
    overwritten. What is modified moves as it is, and stays to be recorded. Killed, the same command finishes its work.

    Example: mlvc move data/raw data/images archive
    """
    if len(paths) < 2:
        raise UsageError("a new name is missing", hint="name what to move, then where to: `mlvc move SRC DST`")
    with opened() as repo:
        done = moves.move(repo, paths[:-1], paths[-1], dry_run=dry_run, progress=show.Line())
        if as_json:
            show.json_out(_moved_json(done))
            return
        for item in done.moves:
            show.report(
                f"{'would rename' if dry_run else 'renamed'}  {show.clean(item.source)} -> {show.clean(item.path)}"
            )
        for item in done.moves:
            if item.modified:
                show.err(f"note: {show.clean(item.path)} is modified and not recorded: `mlvc commit` records it")
        if not (dry_run or repo.config.get("core.autostage")):
            show.hint_git(done.files, repo.cwd)


def _moved_json(done: moves.Moved) -> shapes.Moved:
    items: list[shapes.Move] = [
        {"from": item.source, "path": item.path, "present": item.present, "modified": item.modified}
        for item in done.moves
    ]
    return {"moves": items, "files": list(done.files)}


def remove(
    paths: Annotated[list[str], argument("PATH...", help="Tracked paths, or paths inside of tracked directories.")],
    data: Annotated[bool, option("--data", help="Delete the data in the working tree, too.")] = False,
    force: Annotated[bool, option("-f", "--force", help="With --data: also what is stored nowhere.")] = False,
    dry_run: Annotated[bool, option("-n", "--dry-run", help="Only show what would be removed.")] = False,
    as_json: Json = False,
) -> None:
    """Stop tracking paths.

    The Pointer and the line in .gitignore go, the data stay where they are. They go, too, with --data, if they are
    stored. The store and earlier commits keep them in any case. A path inside of a tracked directory goes out of its
    record, with --data or after .mlvcignore names it.

    Example: mlvc remove data/old && git add data/old.mlvc data/.gitignore
    """
    if force and not data:
        raise UsageError("--force is for --data: without it nothing is lost", hint="leave it out, or add --data")
    with opened() as repo:
        done = removals.remove(repo, paths, data=data, force=force, dry_run=dry_run, progress=show.Line())
        if as_json:
            show.json_out({"paths": list(done.paths), "data": list(done.data), "files": list(done.files)})
            return
        for path in done.paths:
            ending = ", with its data" if path in done.data else ""
            show.report(f"{'would remove' if dry_run else 'removed'}  {show.clean(path)}{ending}")
        if not (dry_run or repo.config.get("core.autostage")):
            show.hint_git(done.files, repo.cwd)


def unprotect(
    paths: Annotated[list[str], argument("PATH...", help="Tracked files and directories, or parts of them.")],
    as_json: Json = False,
) -> None:
    """Make files that may be written out of links into the store.

    With core.link set to hardlink or symlink a large file in the working tree is the store's own and read-only. This
    replaces it by a copy, which is checked while it is made. Do it before a program changes the file in its place.

    Example: mlvc unprotect data/table.parquet
    """
    with opened() as repo:
        done = unprotections.unprotect(repo, paths, progress=show.Line())
        if as_json:
            gone = [{"path": path, "reason": reason} for path, reason in done.lost.items()]
            show.json_out({"paths": list(done.paths), "size": done.size, "lost": gone})
        else:
            for path in done.paths:
                show.report(f"copied  {show.clean(path)}")
            show.named_lost(done.lost)
            if not done.lost:
                told = f"{show.number(len(done.paths), 'file')} ({show.size(done.size)}) may be written now"
                show.err(told if done.paths else "nothing to do: nothing there is a link into the store")
    error = lost.check(done.lost, "copied")
    if error is not None:
        raise error


COMMANDS = {"move": move, "remove": remove, "unprotect": unprotect}
