"""``checkout``."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

from mlvc.api import checkout as checkouts
from mlvc.api import lost
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import argument, option
from mlvc.errors import UsageError

if TYPE_CHECKING:
    from mlvc.cli import shapes

Json = Annotated[bool, option("--json", help="Print the result as JSON.")]
_LISTED = 20


def checkout(
    paths: Annotated[list[str] | None, argument("[PATH]...", help="Tracked paths; without any, all of them.")] = None,
    rev: Annotated[
        str | None, option("--rev", metavar="REV", help="Bring the data of this revision; Pointers stay as they are.")
    ] = None,
    force: Annotated[
        bool, option("-f", "--force", help="Overwrite or remove changes and new files that are stored nowhere.")
    ] = False,
    relink: Annotated[
        bool, option("--relink", help="Make files of 1 MiB and more anew with the link types in core.link.")
    ] = False,
    dry_run: Annotated[bool, option("--dry-run", help="Only show what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the data to what the Pointers say.

    Run it after `git checkout`. What is stored nowhere is never overwritten, and new files stay,
    unless --force is given.

    Example: git checkout v1 && mlvc checkout
    """
    if rev == "":
        raise UsageError("--rev is given an empty word", hint="is the variable set that it was made from?")
    with opened() as repo:
        done = checkouts.checkout(
            repo, paths or (), rev=rev or "", force=force, relink=relink, dry_run=dry_run, progress=show.Line()
        )
        if as_json:
            show.json_out(checkout_json(done))
        else:
            print_checkout(done, dry_run=dry_run)
    error = lost.check(done.lost, "checked out", done.unreadable, rev=rev or "")
    if error is not None:
        raise error


def print_checkout(done: checkouts.CheckedOut, *, dry_run: bool = False, told: Collection[str] = ()) -> None:
    """What a checkout did. ``told``: lost paths that were named already."""
    if len(done.changes) <= _LISTED or dry_run or show.manner.verbose:
        for line in show.change_lines(done.changes, "would be " if dry_run else "  "):
            show.report(line)
    total = show.summary(done.changes)
    if total:
        show.err(f"{'would change' if dry_run else 'working tree'}: {total}")
    elif not done.lost:
        show.err("nothing to change")
    for path in done.kept:
        show.err(f"kept {show.clean(path)}, which is not tracked")
    for path in done.ignores:
        show.to_type("Git now ignores what came", f"git add {show.clean(path)}")
    show.named_lost({path: why for path, why in done.lost.items() if path not in told}, done.unreadable)


def checkout_json(done: checkouts.CheckedOut) -> shapes.CheckedOut:
    """A checkout as JSON."""
    return {
        "changes": [show.change_json(change) for change in done.changes],
        "lost": [{"path": path, "reason": reason} for path, reason in done.lost.items()],
        "kept": list(done.kept),
        "unreadable": [error.message for error in done.unreadable],
    }


COMMANDS = {"checkout": checkout}
