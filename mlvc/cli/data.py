"""``add``, ``commit``, ``status``, ``diff``, ``checkout``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import typer

from mlvc.api import checkout as checkouts
from mlvc.api import status as reports
from mlvc.api import track, transfer
from mlvc.cli import show
from mlvc.cli.app import opened
from mlvc.pointer import SUFFIX
from mlvc.snapshot import Change

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ExitCode = Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when there is something to tell.")]
CHANGES = 1
_LISTED = 20


def add(
    paths: Annotated[list[str], typer.Argument(help="Files and directories to track.")],
    glob: Annotated[
        bool, typer.Option("--glob", help="Take the paths as patterns: *, ?, [a-z], ** for any depth.")
    ] = False,
    out: Annotated[
        str, typer.Option("-o", "--out", metavar="PATH", help="Copy one path from elsewhere to PATH and track that.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Track files and directories.

    Their bytes go into the store, a Pointer PATH.mlvc that names them is written for Git, and Git is told to ignore
    the data itself. A path inside of a tracked directory updates that directory; the rest of it need not be there.

    Example: mlvc add data/images model.bin && git add data/images.mlvc model.bin.mlvc data/.gitignore .gitignore
    """
    with opened() as repo:
        done = track.add(repo, paths, glob=glob, out=out, progress=show.Line())
        _tracked(done, as_json=as_json, autostage=repo.config.get("core.autostage"))


def commit(
    paths: Annotated[list[str] | None, typer.Argument(help="Tracked paths; without any, all of them.")] = None,
    as_json: Json = False,
) -> None:
    """Accept what is in the working tree into existing Pointers.

    Like `mlvc add` for everything that is tracked already.

    Example: mlvc commit data/images
    """
    with opened() as repo:
        done = track.commit(repo, paths or (), progress=show.Line())
        _tracked(done, as_json=as_json, autostage=repo.config.get("core.autostage"))


def _tracked(done: Iterable[track.Tracked], *, as_json: bool, autostage: bool) -> None:
    items = list(done)
    if as_json:
        show.json_out([{"path": i.path, **show.content_json(i.content), "changed": i.changed} for i in items])
        return
    changed = [item for item in items if item.changed]
    for item in changed:
        files = f"{show.number(item.content.files, 'file')}, " if item.content.is_dir else ""
        verb = "added" if item.old is None else "updated"
        show.err(f"{verb}  {show.clean(item.path)}  ({files}{show.size(item.content.size)})")
    if not changed:
        show.err("nothing changed" if items else "nothing is tracked yet: start with `mlvc add PATH`")
    elif not autostage:
        names = [_quoted(name) for item in changed for name in _for_git(item)]
        show.err(
            "hint: record it in Git: git add " + " ".join(dict.fromkeys(names[:8])) + (" …" if len(names) > 8 else "")
        )


def _for_git(item: track.Tracked) -> list[str]:
    folder = os.path.dirname(item.path)
    names = [item.path + SUFFIX]
    return [*names, f"{folder}/.gitignore" if folder else ".gitignore"] if item.old is None else names


def _quoted(name: str) -> str:
    import shlex  # noqa: PLC0415

    return shlex.quote(name)


# -- status ------------------------------------------------------------------------------------


def status(
    paths: Annotated[list[str] | None, typer.Argument(help="Tracked paths; without any, all of them.")] = None,
    exit_code: ExitCode = False,
    as_json: Json = False,
) -> None:
    """Show what differs: working tree, Pointers, HEAD, store, pipeline.

    Tells which tracked files changed since their Pointer, which Pointers changed since the last commit, which objects
    are not in the store, and which stages would rerun. Changes nothing.

    Example: mlvc status --exit-code
    """
    with opened() as repo:
        line = show.Line()
        found = reports.status(repo, paths or (), progress=line)
        line.finish()
        if not paths and _has_pipeline(repo.root):
            from mlvc.api import pipeline  # noqa: PLC0415  (only where there is one)

            waiting = [
                reports.Waiting(decision.stage, decision.reasons)
                for decision in pipeline.waiting(repo, os.environ)
                if decision.action != "unchanged"
            ]
            found = reports.with_stages(found, waiting)
        if as_json:
            show.json_out(_status_json(found))
        else:
            _print_status(found)
    if exit_code and not found.clean:
        raise typer.Exit(CHANGES)


def _has_pipeline(root: str) -> bool:
    return os.path.exists(os.path.join(root, "mlvc.yaml")) or os.path.exists(os.path.join(root, "mlvc.lock"))


def _print_status(found: reports.Status) -> None:
    if found.clean:
        what = f"{show.number(found.tracked, 'path')} as tracked" if found.tracked else "nothing is tracked yet"
        show.out(f"clean: {what}")
        return
    if found.head:
        show.out("Changed since the last commit (record it with `git add` and `git commit`):")
        for line in show.change_lines(found.head):
            show.out(line)
    if found.work:
        show.out("Changed since `mlvc add` (keep it with `mlvc commit`, undo it with `mlvc checkout --force`):")
        for item in found.work:
            _print_path(item)
    if found.missing:
        show.out("Not in the store (get it with `mlvc fetch`):")
        for path, count in found.missing:
            show.out(f"  {show.clean(path)}  ({show.number(count, 'object')})")
    if found.stages:
        show.out("Stages that would rerun (`mlvc repro`):")
        for stage in found.stages:
            show.out(f"  {stage.stage}: {'; '.join(stage.reasons) or 'its inputs may change'}")


def _print_path(item: reports.PathStatus) -> None:
    path = show.clean(item.path)
    if item.state == "absent":
        show.out(f"  {path}: not in the working tree (bring it with `mlvc checkout`)")
    elif len(item.changes) == 1 and item.changes[0].path == item.path:
        show.out("  " + show.change_line(item.changes[0]))
    else:
        show.out(f"  {path}: {item.note or show.summary(item.changes)}")
        for line in show.change_lines(item.changes, "    "):
            show.out(line)


def _status_json(found: reports.Status) -> dict[str, object]:
    return {
        "clean": found.clean,
        "tracked": found.tracked,
        "working_tree": [
            {"path": i.path, "state": i.state, "changes": [show.change_json(c) for c in i.changes]} for i in found.work
        ],
        "head": [show.change_json(change) for change in found.head],
        "missing": [{"path": path, "objects": count} for path, count in found.missing],
        "stages": [{"stage": stage.stage, "reasons": list(stage.reasons)} for stage in found.stages],
    }


# -- diff --------------------------------------------------------------------------------------


def diff(
    old: Annotated[str, typer.Argument(metavar="[A]", help="A revision; without one, HEAD.")] = "HEAD",
    new: Annotated[str, typer.Argument(metavar="[B]", help="Another revision; without one, the working tree.")] = "",
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", metavar="PATH", help="Only these tracked paths.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--md", help="Print a Markdown table.")] = False,
    exit_code: ExitCode = False,
    as_json: Json = False,
) -> None:
    """Show which tracked files differ between two revisions.

    Added, modified, deleted and renamed files with their sizes.

    Example: mlvc diff v1 v2 --md
    """
    with opened() as repo:
        found = reports.diff(repo, old, new, target or ())
        if as_json:
            show.json_out(
                {
                    "old": found.old,
                    "new": found.new or None,
                    "changes": [show.change_json(change) for change in found.changes],
                    "unknown": list(found.unknown),
                }
            )
        elif markdown:
            _markdown(found.changes)
        else:
            for line in show.change_lines(found.changes, "", everything=True):
                show.out(line)
            show.err(show.summary(found.changes) or "no difference")
        if found.unknown:
            lost = dict.fromkeys(found.unknown, "missing")
            error = transfer.check(lost, "compared")
            assert error is not None
            raise error
    if exit_code and found.changes:
        raise typer.Exit(CHANGES)


def _markdown(changes: Sequence[Change]) -> None:
    show.out("| Change | Path | Old size | New size |")
    show.out("|---|---|---:|---:|")
    for change in changes:
        path = show.clean(change.path).replace("|", "\\|")
        if change.source:
            path = f"{show.clean(change.source)} → {path}".replace("|", "\\|")
        sizes = [show.size(entry.size) if entry else "" for entry in (change.old, change.new)]
        show.out(f"| {change.kind} | {path} | {sizes[0]} | {sizes[1]} |")


# -- checkout ----------------------------------------------------------------------------------


def checkout(
    paths: Annotated[list[str] | None, typer.Argument(help="Tracked paths; without any, all of them.")] = None,
    rev: Annotated[
        str, typer.Option("--rev", metavar="REV", help="Bring the data of this revision; Pointers stay as they are.")
    ] = "",
    force: Annotated[bool, typer.Option("-f", "--force", help="Overwrite changes that are stored nowhere.")] = False,
    relink: Annotated[
        bool, typer.Option("--relink", help="Make large files anew with the link types in core.link.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the data to what the Pointers say.

    Run it after `git checkout`. What is stored nowhere is never overwritten unless --force is given.

    Example: git checkout v1 && mlvc checkout
    """
    with opened() as repo:
        done = checkouts.checkout(
            repo, paths or (), rev=rev, force=force, relink=relink, dry_run=dry_run, progress=show.Line()
        )
        if as_json:
            show.json_out(checkout_json(done))
        else:
            print_checkout(done, dry_run=dry_run)
    error = transfer.check(done.lost, "checked out")
    if error is not None:
        raise error


def print_checkout(done: checkouts.CheckedOut, *, dry_run: bool = False) -> None:
    """What a checkout did."""
    if len(done.changes) <= _LISTED or dry_run:
        for line in show.change_lines(done.changes, "would be " if dry_run else "  "):
            show.out(line)
    total = show.summary(done.changes)
    show.err(f"{'would change' if dry_run else 'working tree'}: {total}" if total else "nothing to change")
    for path in done.kept:
        show.err(f"kept {show.clean(path)}: it is not tracked here, and its content is stored nowhere")
    named_lost(done.lost)


def checkout_json(done: checkouts.CheckedOut) -> dict[str, object]:
    """A checkout as JSON."""
    return {
        "changes": [show.change_json(change) for change in done.changes],
        "lost": [{"path": path, "reason": reason} for path, reason in done.lost.items()],
        "kept": list(done.kept),
    }


def named_lost(lost: Mapping[str, str]) -> None:
    """Every path that could not be had, with the reason."""
    for path, reason in lost.items():
        show.err(f"{reason}  {show.clean(path)}")


REGISTER = {
    "add": lambda app: app.command("add")(add),
    "commit": lambda app: app.command("commit")(commit),
    "status": lambda app: app.command("status")(status),
    "diff": lambda app: app.command("diff")(diff),
    "checkout": lambda app: app.command("checkout")(checkout),
}
