"""``status`` and ``diff``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from mlvc.api import lost
from mlvc.api import status as reports
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import argument, option
from mlvc.snapshot import Change, problem

if TYPE_CHECKING:
    from mlvc.cli import shapes
    from mlvc.repo import Repo

Json = Annotated[bool, option("--json", help="Print the result as JSON.")]
ExitCode = Annotated[bool, option("--exit-code", help="Exit with 1 when there is something to tell.")]
CHANGES = 1


def status(
    paths: Annotated[
        list[str] | None, argument("[TARGET]...", help="Tracked paths, and stages by name; without any, all of them.")
    ] = None,
    exit_code: ExitCode = False,
    as_json: Json = False,
) -> int:
    """Show what has changed, is missing or would rerun.

    Tells which tracked files changed since their Pointer, which Pointers changed since the last commit, which objects
    are not in the store, and which stages would rerun. Changes nothing.

    Example: mlvc status --exit-code
    """
    with opened() as repo:
        names, others = _apart(repo, paths or ())
        found = reports.status(repo, others, progress=show.Line()) if others or not names else reports.Status(0)
        if names or (not others and _has_pipeline(repo.root)):
            from mlvc.api import pipeline  # noqa: PLC0415  (only where there is one)

            with show.working("looking at stages"):
                decisions = pipeline.waiting(repo, os.environ, names)
            waiting = [reports.Waiting(d.stage, d.reasons) for d in decisions if d.action != "unchanged"]
            found = reports.with_stages(found, waiting)
        if as_json:
            show.json_out(_status_json(found))
        elif found.clean and names and not others:
            show.report(f"clean: {show.number(len(names), 'stage')} as recorded")
        else:
            _print_status(found)
    error = problem(found.unreadable)
    if error is not None:
        raise error
    return CHANGES if exit_code and not found.clean else 0


def _apart(repo: Repo, words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Stages and paths; all are paths where there is no pipeline."""
    if not words or not _has_pipeline(repo.root):
        return (), words
    from mlvc.api import targets  # noqa: PLC0415  (only where there is one)

    return targets.apart(repo, words)


def _has_pipeline(root: str) -> bool:
    return os.path.exists(os.path.join(root, "mlvc.yaml")) or os.path.exists(os.path.join(root, "mlvc.lock"))


def _print_status(found: reports.Status) -> None:
    if found.clean:
        what = f"{show.number(found.tracked, 'path')} as tracked" if found.tracked else "nothing is tracked yet"
        show.report(f"clean: {what}")
        return
    if found.head:
        show.report("Changed since the last commit (record it with `git add` and `git commit`):")
        for line in show.change_lines(found.head):
            show.report(line)
    missing = {path for path, _ in found.missing}
    for is_output, heading in _HEADINGS.items():
        items = [item for item in found.work if item.is_output == is_output]
        if items:
            show.report(heading)
        for item in items:
            _print_path(item, "mlvc pull" if item.path in missing else "mlvc checkout")
    _print_rest(found)
    if found.missing:
        # Where the data are here, pull would have nothing to check out.
        absent = missing.intersection(item.path for item in found.work if item.state == "absent")
        show.report(f"Not in the store (get it with `mlvc {'pull' if absent else 'fetch'}`):")
        for path, count in found.missing:
            show.report(f"  {show.clean(path)}  ({show.number(count, 'object')})")
    if found.stages:
        show.report("Stages that would rerun (`mlvc repro`):")
        for stage in found.stages:
            show.report(f"  {stage.stage}: {'; '.join(stage.reasons) or 'its inputs may change'}")


_HEADINGS = {
    False: "Not as the Pointers say (`mlvc checkout` restores, `mlvc commit` accepts):",
    True: "Outputs not as made (`mlvc checkout` restores, `mlvc repro` makes anew):",
}


def _print_path(item: reports.PathStatus, bringing: str) -> None:
    """One path; ``bringing``: the command that brings what its Pointer says."""
    path = show.clean(item.path)
    if item.state == "absent":
        show.report(f"  {path}: not in the working tree (bring it with `{bringing}`)")
    elif len(item.changes) == 1 and item.changes[0].path == item.path:
        show.report("  " + show.change_line(item.changes[0]))
    else:
        show.report(f"  {path}: {item.note or show.summary(item.changes)}")
        for line in show.change_lines(item.changes, "    "):
            show.report(line)


def _print_rest(found: reports.Status) -> None:
    if found.refused:
        show.report("Cannot be tracked (remove it, or name it in .mlvcignore):")
        for sentence in found.refused:
            show.report(f"  {show.clean(sentence)}")
    if len(found.unreadable) > 1:  # a single one is told in the end
        show.report("Pointers that cannot be read, or are in conflict:")
        for error in found.unreadable:
            show.report(f"  {show.clean(error.message)}")


def _status_json(found: reports.Status) -> shapes.Status:
    return {
        "clean": found.clean,
        "tracked": found.tracked,
        "working_tree": [
            {"path": i.path, "state": i.state, "changes": [show.change_json(c) for c in i.changes]} for i in found.work
        ],
        "head": [show.change_json(change) for change in found.head],
        "missing": [{"path": path, "objects": count} for path, count in found.missing],
        "refused": list(found.refused),
        "unreadable": [error.message for error in found.unreadable],
        "stages": [{"stage": stage.stage, "reasons": list(stage.reasons)} for stage in found.stages],
    }


# -- diff --------------------------------------------------------------------------------------


def diff(
    old: Annotated[str, argument("[A]", help="A revision; without one, HEAD.")] = "HEAD",
    new: Annotated[str, argument("[B]", help="Another revision; without one, the working tree.")] = "",
    target: Annotated[
        list[str] | None, option("--target", "-t", metavar="PATH", help="Only these tracked paths.")
    ] = None,
    markdown: Annotated[bool, option("--md", help="Print a Markdown table.")] = False,
    exit_code: ExitCode = False,
    as_json: Json = False,
) -> int:
    """Show which tracked files differ between two revisions.

    Added, modified, deleted and renamed files with their sizes.

    Example: mlvc diff v1 v2 --md
    """
    with opened() as repo:
        with show.working("comparing"):
            found = reports.diff(repo, old, new, target or ())
        if as_json:
            show.json_out(
                {
                    "old": found.old,
                    "new": found.new or None,
                    "changes": [show.change_json(change) for change in found.changes],
                    "unknown": list(found.unknown),
                    "unreadable": [error.message for error in found.unreadable],
                }
            )
        elif markdown:
            _markdown(found.changes)
        else:
            for line in show.change_lines(found.changes, "", everything=True):
                show.report(line)
            if found.changes or not (found.unknown or found.unreadable):
                show.err(show.summary(found.changes) or "no difference")
        error = lost.check(dict.fromkeys(found.unknown, "missing"), "compared", found.unreadable)
        if error is not None:
            raise error
    return CHANGES if exit_code and found.changes else 0


def _markdown(changes: Sequence[Change]) -> None:
    show.out("| Change | Path | Old size | New size |")
    show.out("|---|---|---:|---:|")
    for change in changes:
        path = show.clean(change.path).replace("|", "\\|")
        if change.source:
            path = f"{show.clean(change.source)} → {path}".replace("|", "\\|")
        sizes = [show.size(entry.size) if entry else "" for entry in (change.old, change.new)]
        show.out(f"| {change.kind} | {path} | {sizes[0]} | {sizes[1]} |")


COMMANDS = {"status": status, "diff": diff}
