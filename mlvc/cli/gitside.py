"""``install`` and ``resolve``: what mlvc is to Git."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import mlvc
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import argument, option
from mlvc.errors import UsageError

if TYPE_CHECKING:
    from mlvc.api.resolve import Resolved
    from mlvc.cli import shapes

Json = Annotated[bool, option("--json", help="Print the result as JSON.")]


def install(
    uninstall: Annotated[
        bool, option("--uninstall", help="Take it back; what stood there before is there again.")
    ] = False,
    hook: Annotated[
        list[str] | None, option("--hook", metavar="NAME", help="Only this hook of Git; may be given again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Have Git call mlvc: hooks, merges and `git diff`.

    Hooks bring the data along after a checkout, a merge and a rebase, push data with `git push`, and refuse a commit
    of Pointers without their bytes and of large files. Hooks that are there are kept. Pointers of a directory merge
    file by file, and mlvc.lock by stage.

    Example: mlvc install && git add .gitattributes
    """
    from mlvc.api import install as api  # noqa: PLC0415  (resolve does without)

    with opened() as repo:
        if uninstall:
            done = api.uninstall(repo, hook or ())
        else:
            package = os.path.dirname(os.path.abspath(mlvc.__file__))
            done = api.install(repo, hook or (), python=os.path.abspath(sys.executable), package=package)
        staged, top, own = repo.config.get("core.autostage"), repo.git.top, repo.git.common
    if as_json:
        show.json_out(
            {
                "directory": done.directory,
                "hooks": [{"name": h.name, "state": h.state, "before": h.before} for h in done.hooks],
                "drivers": done.drivers,
                "attributes": done.attributes,
            }
        )
        return
    for each in done.hooks:
        kept = (
            "" if not each.before else " (what stood there is back)" if uninstall else " (calls what stood there first)"
        )
        show.err(f"{each.state}  {each.name}{kept}")
    show.err(f"hooks are in {show.clean(done.directory)}")
    if not uninstall:
        if done.directory.startswith(f"{top}{os.sep}") and not done.directory.startswith(f"{own}{os.sep}"):
            show.err("hint: they name the Python of this machine: do not commit them")
        show.err("Git merges Pointers and mlvc.lock with mlvc, and `git diff` shows what is in a tracked directory")
        if done.attributes_changed and not staged:
            names = [show.quoted(os.path.relpath(f"{top}/{name}")) for name in done.attributes_changed]
            show.to_type("share it with everyone", f"git add {' '.join(names)}")
    elif not done.drivers:
        kept = "; its lines in .gitattributes are committed and stay" if done.attributes else ""
        show.err(f"Git merges and compares without mlvc{kept}")


def resolve(
    paths: Annotated[list[str], argument("PATH...", help="Tracked paths in conflict, or mlvc.lock.")],
    ours: Annotated[
        bool, option("--ours", help="Take what our side has; in a rebase, the branch rebased onto.")
    ] = False,
    theirs: Annotated[bool, option("--theirs", help="Take what their side has; in a rebase, your commit.")] = False,
    working: Annotated[bool, option("--working", help="Take what is in the working tree.")] = False,
    as_json: Json = False,
) -> None:
    """End a conflict of a merge.

    What only one side changed is merged. For files of a directory, or stages of mlvc.lock, that both sides changed,
    one side is taken; with --working, such a stage runs again. The result is staged with Git.

    Example: mlvc resolve data/images --theirs && mlvc checkout
    """
    from mlvc.api import resolve as api  # noqa: PLC0415  (install does without)

    sides = {api.OURS: ours, api.THEIRS: theirs, api.WORKING: working}
    if sum(sides.values()) != 1:
        raise UsageError("which side is to be taken?", hint="give one of --ours, --theirs, --working")
    side = next(name for name, given in sides.items() if given)
    with opened() as repo:
        done = api.resolve(repo, paths, side, progress=show.Line())
    if as_json:
        show.json_out([_json(item) for item in done])
        return
    for item in done:
        _print(item, side)
    data = [item.path for item in done if item.path != "mlvc.lock"]
    if data:
        show.err("hint: bring the data with `mlvc checkout`; `git status` tells how to end the merge")
    if len(data) < len(done):
        show.err("hint: `mlvc repro` runs the stages that have no record")


def _json(item: Resolved) -> shapes.Resolved:
    return {
        "path": item.path,
        "content": show.content_json(item.content) if item.content else None,
        "chosen": list(item.chosen),
    }


def _print(item: Resolved, side: str) -> None:
    taken = "the working tree" if side == "working" else side
    for path in item.chosen:
        show.err(f"  {show.clean(path)}: {taken}")
    gone = "" if item.content or item.path == "mlvc.lock" else " (not tracked any more)"
    show.err(f"resolved  {show.clean(item.path)}{gone}")


COMMANDS = {"install": install, "resolve": resolve}
