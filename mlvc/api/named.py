"""What a person named and nothing tracks, as the error that ends a command."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from mlvc import codec, files, git, manifest, snapshot
from mlvc.errors import DamagedError, MlvcError, ObjectsMissingError, UsageError
from mlvc.pointer import Content
from mlvc.repo import Repo


def untracked(repo: Repo, typed: str, command: str, revisions: Sequence[str] = ()) -> UsageError:
    """The error for a word that names nothing tracked, in the working tree or at ``revisions``.

    Its hint goes by what the word names instead; ``command`` is the one that it was given to.
    """
    where = f" at {' or '.join(revisions)}" if revisions else ""
    path = repo.path(typed)
    there = files.exists(f"{repo.root}/{path}")
    if typed in repo.config.remotes and command in _WITH_REMOTE and not there:
        hint = f"it is a remote: `mlvc {command} -r {typed}`"
    elif revisions:
        hint = f"`mlvc diff {revisions[0]}` shows what differs since"
    elif there:
        hint = f"`mlvc add {typed}` tracks what is there"
    else:
        hint = _of_stage(repo, typed)
        if not hint and command in _WITH_REV and git.is_revision(repo.git, typed):
            hint = f"it is a revision: `mlvc {command} --rev {typed}`"
        if not hint:
            return UsageError(f"{typed} is not tracked, and nothing is there", hint=_spelling(repo, typed))
    return UsageError(f"{typed} is not tracked{where}", hint=hint)


_WITH_REMOTE = ("push", "fetch", "pull")
_WITH_REV = (*_WITH_REMOTE, "checkout")


def _of_stage(repo: Repo, typed: str) -> str:
    """The hint for the name of a Stage, or for what one makes; '' for anything else."""
    from mlvc.api import described, targets  # noqa: PLC0415  (only where something went wrong)

    try:
        whole = described.load(repo)
        name = targets.target(repo, whole, typed)
    except MlvcError:
        return ""
    outs = [out.path for out in whole.stages[name].outs if out.cache]
    if repo.path(typed) in outs:
        return f"stage '{name}' makes it, and no run of it is recorded: `mlvc repro {name}`"
    named = f"name what it makes ({', '.join(outs)}), or " if outs else ""
    return f"it is a stage: {named}ask `mlvc repro --dry-run {name}` whether it would run"


def _spelling(repo: Repo, typed: str) -> str:
    known = [os.path.relpath(path, repo.cwd or ".") for path in snapshot.on_disk(repo.git).contents()]
    near = codec.nearest(typed, known)
    return f"did you mean `{near}`?" if near else _SPELLING


_SPELLING = "check the spelling; a path starts at the current directory"


def slip(typed: str, root: str, cwd: str) -> str:
    """The hint for the name of a file that is not there: with the nearest that is, where only one part is wrong."""
    head, tail = typed.rstrip("/"), ""
    while head:
        folder, _, name = head.rpartition("/")
        around = os.path.join(root, cwd, folder + "/" if head.startswith("/") else folder)
        if os.path.isdir(around):
            near = codec.nearest(name, _names(around))
            meant = "/".join(filter(None, (head[: len(head) - len(name)] + near, tail)))
            is_there = near and meant.isprintable() and os.path.lexists(os.path.join(root, cwd, meant))
            return f"did you mean `{meant}`?" if is_there else _SPELLING
        head, tail = folder, "/".join(filter(None, (name, tail)))
    return _SPELLING


def _names(directory: str) -> list[str]:
    """What is in a directory; none of many, among which it would take long to find the nearest."""
    try:
        found = os.listdir(directory)
    except OSError:
        return []
    return found if len(found) <= _FEW else []


_FEW = 5000


def check_parts(repo: Repo, parts: Mapping[str, Iterable[str]], states: Iterable[Mapping[str, Content]]) -> None:
    """UsageError for a part of a tracked path which is in none of ``states``; where a manifest is not here, for none.

    ``parts``: by tracked path, those that were asked for.
    """
    states = list(states)
    for path, asked in parts.items():
        contents = [state[path] for state in states if path in state]
        for part in asked:
            if not any(_may_have(repo, content, part[len(path) + 1 :]) for content in contents):
                raise snapshot.not_part(repo.root, part, path, repo.cwd)


def _may_have(repo: Repo, content: Content, name: str) -> bool:
    try:
        return content.is_dir and bool(manifest.find(repo.store, content.oid, name))
    except (ObjectsMissingError, DamagedError):
        return True
