"""``log``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from mlvc.api import log as logs
from mlvc.api.log import Size, Step
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import argument, option

if TYPE_CHECKING:
    from mlvc.cli import shapes


def log(
    path: Annotated[str, argument("PATH", help="A tracked path, a part of one, or a directory around some.")],
    remote: Annotated[
        str, option("-r", "--remote", metavar="NAME", help="The Remote for what is not in the store.")
    ] = "",
    as_json: Annotated[bool, option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show the commits that changed a tracked path.

    The newest first, with how many files were added (+), modified (~) and deleted (-), and the bytes before and after.
    A rename is followed where the content stayed the same.

    Example: mlvc log data/images
    """
    with opened() as repo:
        with show.working("comparing commits"):
            found = logs.log(repo, path, remote=remote)
        if as_json:
            show.json_out(_json(found))
        else:
            _print(found)
    show.named_lost(found.lost if len(found.lost) > 1 else {}, found.unreadable)
    error = logs.problem(found)
    if error is not None:
        raise error


def _print(found: logs.Log) -> None:
    for logged in found.commits:
        commit = logged.commit
        show.report(show.clean(f"{commit.id[:10]}  {commit.date[:10]}  {commit.author}  {commit.subject}"))
        for step in logged.steps:
            show.report(f"  {_line(step)}")


def _line(step: Step) -> str:
    path = show.clean(step.path)
    if step.kind == "renamed":
        path = f"{show.clean(step.source)} -> {path}"
    if step.kind == "modified" and step.old is not None and step.new is not None:
        sizes = dict.fromkeys((show.size(step.old.size), show.size(step.new.size)))
        told = _counts(step.files) + " -> ".join(sizes)
    else:
        told = " ".join(_amount(amount) for amount in [step.new or step.old] if amount is not None)
    return f"{step.kind:<8}  {path}  ({told})"


def _amount(amount: Size) -> str:
    files = "" if amount.files == 1 else f"{show.number(amount.files, 'file')}, "
    return files + show.size(amount.size)


def _counts(files: Mapping[str, int] | None) -> str:
    if files is None:
        return ""
    renamed = f", {files['renamed']:,} renamed" if files["renamed"] else ""
    return f"+{files['added']:,} ~{files['modified']:,} -{files['deleted']:,} files{renamed}, "


def _json(found: logs.Log) -> shapes.Log:
    return {
        "commits": [
            {
                "commit": logged.commit.id,
                "author": logged.commit.author,
                "date": logged.commit.date,
                "subject": logged.commit.subject,
                "changes": [_step_json(step) for step in logged.steps],
            }
            for logged in found.commits
        ],
        "lost": [{"path": path, "reason": reason} for path, reason in found.lost.items()],
        "unreadable": [error.message for error in found.unreadable],
    }


def _step_json(step: Step) -> shapes.Step:
    return {
        "path": step.path,
        "change": step.kind,
        "from": step.source or None,
        "old": _size_json(step.old),
        "new": _size_json(step.new),
        "files": None if step.files is None else _counts_json(step.files),
    }


def _counts_json(files: Mapping[str, int]) -> shapes.Counts:
    return {
        "added": files["added"],
        "modified": files["modified"],
        "deleted": files["deleted"],
        "renamed": files["renamed"],
    }


def _size_json(amount: Size | None) -> shapes.Amount | None:
    return None if amount is None else {"size": amount.size, "files": amount.files}


COMMANDS = {"log": log}
