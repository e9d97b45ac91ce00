"""``params`` and ``metrics``: values in small files, at any revision and between two."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

from mlvc.api import metrics as api
from mlvc.api.metrics import Metrics, ValuesDiff
from mlvc.api.revisions import WORKING_TREE, Problems
from mlvc.cli import show as shown
from mlvc.cli.opening import opened
from mlvc.cli.words import Group, argument, option
from mlvc.metrics import flat

if TYPE_CHECKING:
    from mlvc.cli import shapes
    from mlvc.metrics import ValueChange

Old = Annotated[str, argument("[A]", help="A revision; without one, HEAD.")]
New = Annotated[str, argument("[B]", help="Another revision; without one, the working tree.")]
Targets = Annotated[
    list[str] | None,
    option("--targets", metavar="PATH", help="Only this file or directory, named in mlvc.yaml or not; again for more."),
]
Everything = Annotated[bool, option("--all", help="Tell the values that are equal, too.")]
Markdown = Annotated[bool, option("--md", help="Print a Markdown table.")]
Precision = Annotated[
    int,
    option(
        "--precision",
        least=0,
        metavar="N",
        help="Digits behind the decimal point, or from the first that is not 0 where these show only 0; without it, 5.",
    ),
]
Json = Annotated[bool, option("--json", help="Print the result as JSON, with all digits.")]
_DIGITS = 5
_LARGE = 1e16
"""From here on Python writes a number with an exponent."""
_NOTHING = "-"


def params_diff(
    old: Old = "HEAD",
    new: New = "",
    targets: Targets = None,
    everything: Everything = False,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Show which parameters differ between two revisions.

    Those that stages name, all of params.yaml, and the files below params at the top of mlvc.yaml.

    Example: mlvc params diff v1
    """
    with opened() as repo:
        with shown.working("comparing"):
            found = api.params_diff(repo, old, new, targets=targets or (), everything=everything)
        _tell(found, "Param", markdown=markdown, as_json=as_json, digits=None)
    end(found.problems)


def metrics_diff(
    old: Old = "HEAD",
    new: New = "",
    targets: Targets = None,
    everything: Everything = False,
    precision: Precision = _DIGITS,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Show which metrics differ between two revisions, and by how much.

    Metrics are what stages name below metrics, and the files below metrics at the top of mlvc.yaml.

    Example: mlvc metrics diff v1 --md
    """
    with opened() as repo:
        with shown.working("comparing"):
            found = api.metrics_diff(repo, old, new, targets=targets or (), everything=everything)
        _tell(found, "Metric", markdown=markdown, as_json=as_json, digits=precision)
    end(found.problems)


def metrics_show(
    targets: Annotated[
        list[str] | None,
        argument("[PATH]...", help="Files or directories, named in mlvc.yaml or not; without any, all metrics."),
    ] = None,
    rev: Annotated[
        list[str] | None, option("--rev", metavar="REV", help="Those of this revision; may be given again.")
    ] = None,
    all_branches: Annotated[bool, option("-a", "--all-branches", help="Those of all branches, too.")] = False,
    all_tags: Annotated[bool, option("-T", "--all-tags", help="Those of all tags, too.")] = False,
    all_commits: Annotated[bool, option("-A", "--all-commits", help="Those of all commits, too.")] = False,
    precision: Precision = _DIGITS,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Show the metrics.

    Those of the working tree; a file that is not in it is read from the store. Of revisions with the same values as
    the working tree, the working tree itself is not told.

    Example: mlvc metrics show --all-tags
    """
    with opened() as repo:
        with shown.working("reading metrics"):
            found = api.show(repo, targets or (), rev or (), branches=all_branches, tags=all_tags, commits=all_commits)
        if as_json:
            shown.json_out(_json(found))
        else:
            _print(found, markdown=markdown, digits=precision)
    end(found.problems)


# -- how it looks ------------------------------------------------------------------------------


def _print(found: Metrics, *, markdown: bool, digits: int) -> None:
    rows = [(one, path, flat(value)) for one in found.revisions for path, value in one.files.items()]
    names = list(dict.fromkeys(name for _, _, values in rows for name in values))
    several = len(found.revisions) > 1
    header = [*(["Revision"] if several else []), "Path", *names]
    table = [
        [
            *([one.rev or WORKING_TREE] if several else []),
            path,
            *(_told(values[name], digits) if name in values else _NOTHING for name in names),
        ]
        for one, path, values in rows
    ]
    if table:
        _grid(header, table, markdown=markdown)
    for one in found.revisions:
        for path in one.absent if not several else ():
            shown.err(shown.clean(f"note: {path} is not there; `mlvc repro` makes what stages promise"))
        for path in one.empty if not several else ():
            shown.err(shown.clean(f"note: {path} has no metrics: they are numbers, text, true and false in a mapping"))
    if not (table or any(one.absent or one.empty for one in found.revisions) or found.problems.error()):
        shown.err("no metrics: name them in mlvc.yaml, below a stage or at the top")


def _tell(found: ValuesDiff, what: str, *, markdown: bool, as_json: bool, digits: int | None) -> None:
    if as_json:
        shown.json_out(_diff_json(found))
        return
    header = ["Path", what, found.old, found.new or WORKING_TREE, *([] if digits is None else ["Change"])]
    rows = []
    for one in found.changes:
        sides = [
            _told(one.old, digits) if one.had else _NOTHING,
            _told(one.new, digits) if one.has else _NOTHING,
        ]
        change = [] if digits is None else [_signed(one.change, digits)]
        rows.append([one.path, one.name, *sides, *change])
    if rows or markdown:
        _grid(header, rows, markdown=markdown)
    elif not found.problems.error():
        shown.err("no difference")


def _signed(change: float | None, digits: int) -> str:
    if change is None:
        return _NOTHING
    return ("+" if change > 0 else "") + _told(change, digits)


def _told(value: object, digits: int | None) -> str:
    """A value as people read it; numbers that are not whole with so many digits behind the decimal point."""
    if isinstance(value, float) and digits is not None:
        rounded = round(value, digits)
        if not rounded and value:  # what rounding would make nothing of is told by its first digits
            rounded = float(f"{value:.{digits or 1}g}")
        elif not digits and abs(rounded) < _LARGE:
            rounded = int(rounded)
        return str(rounded)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool) -> None:
    """A table, with every cell on one line."""
    lines = [[shown.clean(cell) for cell in row] for row in [header, *rows]]
    if markdown:
        lines = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in lines]
        lines.insert(1, ["---"] * len(header))
        for row in lines:
            shown.out(f"| {' | '.join(row)} |")
        return
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        shown.out("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def end(problems: Problems) -> None:
    """Tell what could not be told, and raise the error for it."""
    lost = {f"{rev}:{path}" if rev else path: reason for (path, rev), reason in problems.lost.items()}
    if len(lost) > 1:
        for path, reason in lost.items():
            shown.always(f"{reason}  {shown.clean(path)}")
    if len(problems.unreadable) > 1 or (lost and problems.unreadable):
        for error in problems.unreadable:
            shown.always(f"unreadable  {shown.clean(error.message)}")
    raised = problems.error()
    if raised is not None:
        raise raised


# -- as JSON -----------------------------------------------------------------------------------


def problems_json(problems: Problems) -> tuple[list[shapes.LostAt], list[str]]:
    """What could not be had, and what could not be read."""
    lost: list[shapes.LostAt] = [
        {"path": path, "rev": rev or None, "reason": reason} for (path, rev), reason in problems.lost.items()
    ]
    return lost, [error.message for error in problems.unreadable]


def _json(found: Metrics) -> shapes.Metrics:
    lost, unreadable = problems_json(found.problems)
    return {
        "revisions": [
            {
                "rev": one.rev or None,
                "commit": one.commit or None,
                "files": dict(one.files),
                "absent": list(one.absent),
            }
            for one in found.revisions
        ],
        "lost": lost,
        "unreadable": unreadable,
    }


def _diff_json(found: ValuesDiff) -> shapes.ValuesDiff:
    lost, unreadable = problems_json(found.problems)
    return {
        "old": found.old,
        "new": found.new or None,
        "changes": _changes(found.changes),
        "lost": lost,
        "unreadable": unreadable,
    }


def _changes(changes: Iterable[ValueChange]) -> list[shapes.ValueDiff]:
    found: list[shapes.ValueDiff] = []
    for one in changes:
        value: shapes.ValueDiff = {"path": one.path, "name": one.name}
        if one.had:
            value["old"] = one.old
        if one.has:
            value["new"] = one.new
        if one.change is not None:
            value["change"] = one.change
        found.append(value)
    return found


COMMANDS = {
    "params": Group(
        "Compare the parameters of two revisions.", {"diff": params_diff}, example="mlvc params diff HEAD~1"
    ),
    "metrics": Group(
        "Show and compare metrics.", {"show": metrics_show, "diff": metrics_diff}, example="mlvc metrics diff main"
    ),
}
