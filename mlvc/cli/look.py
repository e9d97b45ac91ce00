"""``ls``, ``du``, ``cat``: what is tracked, without a checkout. ``check-ignore``: what never is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from mlvc import ignore
from mlvc import oid as oids
from mlvc.api import browse
from mlvc.api.browse import Listing
from mlvc.api.elsewhere import Source, Surroundings, here, there
from mlvc.api.view import Item
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import argument, option
from mlvc.errors import UsageError
from mlvc.progress import QUIET
from mlvc.repo import Repo

if TYPE_CHECKING:
    from mlvc.cli import shapes

Rev = Annotated[
    str, option("--rev", metavar="REV", help="The revision; without it, the working tree (with --repo: HEAD).")
]
Other = Annotated[
    str, option("--repo", metavar="URL", help="Look into another repository: its directory, or a URL of Git.")
]
Remote = Annotated[
    str, option("-r", "--remote", metavar="NAME", help="The Remote for what is not in the store; else the default one.")
]
Json = Annotated[bool, option("--json", help="Print the result as JSON.")]


def ls(
    path: Annotated[str, argument("[PATH]", help="A directory or a tracked path; without one, all of them.")] = "",
    rev: Rev = "",
    recursive: Annotated[bool, option("-R", "--recursive", help="Every file, also those in directories.")] = False,
    tree: Annotated[bool, option("--tree", help="Every file, as a tree.")] = False,
    size: Annotated[bool, option("--size", help="Tell sizes, too.")] = False,
    repo: Other = "",
    remote: Remote = "",
    as_json: Json = False,
) -> None:
    """List what is tracked.

    Tracked paths, or what is in PATH where that is a tracked directory or lies in one. The data need not be here:
    what names the files comes from the store, else from a Remote, and is not kept.

    Example: mlvc ls data/images --rev v1 --size
    """
    with looking(repo, rev, remote, [path] if path else []) as (source, paths):
        with show.working("reading lists of files"):
            found = browse.ls(source, "".join(paths), recursive=recursive or tree)
        if as_json:
            show.json_out(_listing_json(source, found))
        elif tree:
            for line in _tree(found.items, sizes=size):
                show.out(line)
        else:
            _print(found.items, sizes=size)
        if not (found.items or found.lost or found.unreadable or as_json):
            show.err("nothing is tracked" if not paths else "nothing is in it")
        _end(source, found)


@contextmanager
def looking(repo: str, rev: str, remote: str, paths: Sequence[str]) -> Iterator[tuple[Source, list[str]]]:
    """What to look into: the repository that the user stands in, or another one. And the paths in it."""
    with ExitStack() as stack:
        if repo:
            around, inside = Surroundings.of(os.environ), "".join(paths[:1])
            source = stack.enter_context(there(repo, rev, around=around, remote=remote, inside=inside))
        else:
            source = stack.enter_context(here(stack.enter_context(opened()), rev, remote=remote))
        names = [source.named(path) for path in paths]
        yield source, [] if "" in names else names


def _end(source: Source, found: Listing | browse.Usage) -> None:
    """Raise the error for what could not be told."""
    show.named_lost(found.lost if len(found.lost) > 1 else {}, found.unreadable)
    error = browse.problem(source, found)
    if error is not None:
        raise error


def _name(item: Item) -> str:
    return show.clean(item.path) + ("/" if item.is_dir else "")


def _print(items: Sequence[Item], *, sizes: bool) -> None:
    told = [show.size(item.size) for item in items] if sizes else []
    width = max(map(len, told), default=0)
    for at, item in enumerate(items):
        show.out(f"{told[at]:>{width}}  {_name(item)}" if sizes else _name(item))


def _tree(items: Sequence[Item], *, sizes: bool) -> Iterator[str]:
    """The items as lines of a tree. A directory comes once, before what is in it."""
    top: dict[str, Any] = {}
    for item in items:
        at = top
        for part in item.path.split("/"):
            at = at.setdefault(part, {})
        at[""] = item
    yield from _branches(top, "", sizes=sizes)


def _branches(at: dict[str, Any], indent: str, *, sizes: bool) -> Iterator[str]:
    names = [name for name in at if name]
    for number, name in enumerate(names, 1):
        below: dict[str, Any] = at[name]
        item: Item | None = below.get("")
        is_dir = item is None or item.is_dir
        told = f"  ({show.size(item.size)})" if sizes and item is not None and not item.is_dir else ""
        last = number == len(names)
        yield f"{indent}{'└── ' if last else '├── '}{show.clean(name)}{'/' if is_dir else ''}{told}"
        yield from _branches(below, indent + ("    " if last else "│   "), sizes=sizes)


def _item_json(item: Item) -> shapes.Item:
    oid = oids.to_text(item.oid) if item.oid else None
    return {"path": item.path, "kind": item.kind, "size": item.size, "files": item.files, "oid": oid}


def _listing_json(source: Source, found: Listing) -> shapes.Listing:
    return {
        "commit": source.commit or None,
        "items": [_item_json(item) for item in found.items],
        "lost": [{"path": path, "reason": reason} for path, reason in found.lost.items()],
        "unreadable": [error.message for error in found.unreadable],
    }


# -- du ----------------------------------------------------------------------------------------


def du(
    paths: Annotated[list[str] | None, argument("[PATH]...", help="Paths; without any, all that is tracked.")] = None,
    rev: Rev = "",
    exact: Annotated[bool, option("--bytes", help="Tell sizes in bytes.")] = False,
    repo: Other = "",
    remote: Remote = "",
    as_json: Json = False,
) -> None:
    """Tell how much tracked paths are.

    The size and the number of files of each, as they are in a working tree; and what all of them together take in the
    store, where equal parts are kept once and compressed.

    Example: mlvc du --rev v1
    """
    with looking(repo, rev, remote, paths or ()) as (source, names):
        with show.working("reading lists of files"):
            found = browse.du(source, names)
        if as_json:
            show.json_out(_usage_json(source, found))
        else:
            _print_usage(found, exact=exact)
        _end(source, found)


def _print_usage(found: browse.Usage, *, exact: bool) -> None:
    def told(size: int) -> str:
        return str(size) if exact else show.size(size)

    rows = [(told(item.size), f"{item.files:,}", _name(item)) for item in found.items]
    rows.append((told(found.size), f"{found.files:,}", "total"))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for size, files, name in rows:
        unit = "file " if files == "1" else "files"
        show.out(f"{size:>{widths[0]}}  {files:>{widths[1]}} {unit}  {name}")
    absent = f"; not there: {show.number(found.missing, 'object')}" if found.missing else ""
    show.out(f"in the store: {told(found.stored)}{absent}")


def _usage_json(source: Source, found: browse.Usage) -> shapes.Usage:
    return {
        "commit": source.commit or None,
        "paths": [_item_json(item) for item in found.items],
        "size": found.size,
        "files": found.files,
        "stored": found.stored,
        "missing": found.missing,
        "lost": [{"path": path, "reason": reason} for path, reason in found.lost.items()],
        "unreadable": [error.message for error in found.unreadable],
    }


# -- cat ---------------------------------------------------------------------------------------


def cat(
    path: Annotated[str, argument("PATH", help="A tracked file, or a file in a tracked directory.")],
    rev: Rev = "",
    repo: Other = "",
    remote: Remote = "",
) -> None:
    """Print a tracked file.

    Its bytes go to standard output as they come from the store, else from a Remote. They are good only if the command
    ends with 0: what they are is known when the last one is out.

    Example: mlvc cat data/table.csv --rev v1 | head
    """
    with looking(repo, rev, remote, [path]) as (source, names):
        if not names:
            raise UsageError(f"{path} is a directory", hint="`mlvc ls` lists what is tracked")
        # On a terminal the data themselves are what moves.
        line = QUIET if sys.stdout.isatty() else show.Line()
        show.raw(browse.cat(source, names[0], progress=line))
        line.finish()


# -- check-ignore ------------------------------------------------------------------------------


def check_ignore(
    paths: Annotated[list[str], argument("PATH...", help="Files and directories, whether they are there or not.")],
    as_json: Json = False,
) -> int:
    """Tell which paths are ignored.

    Those that .mlvcignore names, by themselves or by a directory around them, and those that are never tracked. Ends
    with 0 if one is, with 1 if none is. With -v the line and the pattern are told, too.

    Example: mlvc check-ignore -v data/x.tmp
    """
    verbose, show.manner.verbose = show.manner.verbose, False  # it means this, and no more, as with Git
    with opened() as repo:
        rule = ignore.explain(repo.root)
        found = [(path, why) for path in paths if (why := _rule(rule, repo, path)) is not None]
    if as_json:
        show.json_out([_rule_json(path, why) for path, why in found])
    else:
        for path, why in found:
            source = f"{ignore.NAME}:{why.line}:{why.pattern}" if why.line else f"(never tracked):{why.pattern}"
            show.out(show.clean(f"{source}  {path}" if verbose else path))
    return 0 if found else NONE


def _rule(rule: Callable[[str, bool], ignore.Rule | None], repo: Repo, typed: str) -> ignore.Rule | None:
    path = repo.path(typed)
    full = f"{repo.root}/{path}"
    is_dir = typed.endswith("/") or (os.path.isdir(full) and not os.path.islink(full))
    return rule(path, is_dir) if path else None


def _rule_json(path: str, why: ignore.Rule) -> shapes.Ignored:
    file = ignore.NAME if why.line else None
    return {"path": path, "file": file, "line": why.line or None, "pattern": why.pattern}


NONE = 1
"""The exit code of `mlvc check-ignore` where no path is ignored."""

COMMANDS = {"ls": ls, "du": du, "cat": cat, "check-ignore": check_ignore}
