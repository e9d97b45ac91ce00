"""All that a repository has: its working trees, and every version that anything still leads to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from mlvc import files
from mlvc.errors import UsageError
from mlvc.git import Git, ask, exactly, log, run

_BESIDE_REFS = ("ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")


def worktrees(git: Git) -> list[Git]:
    """This working tree and all others of its repository, each ``exactly``.

    UsageError where one of them is not where it should be.
    """
    found = {git.dir: exactly(git.below(""))}
    main = _main(git.common)
    if main is not None:
        found.setdefault(main.dir, main)
    names: list[str] = []
    with suppress(FileNotFoundError):
        names = sorted(os.listdir(os.path.join(git.common, "worktrees")))
    for name in names:
        place = os.path.join(git.common, "worktrees", name)
        link = files.read_or_none(os.path.join(place, "gitdir"))
        if link is not None:
            root = os.path.dirname(os.path.normpath(os.path.join(place, os.fsdecode(link.rstrip(b"\n")))))
            place = os.path.realpath(place)
            found.setdefault(place, exactly(Git(os.path.realpath(root), place, git.common)))
    for tree_ in found.values():
        if not os.path.isdir(tree_.root):
            raise UsageError(
                f"the working tree {tree_.root} of this repository is not there, so what it tracks cannot be told",
                hint="bring it back, or let Git forget it: `git worktree prune`",
            )
    return list(found.values())


def _main(common: str) -> Git | None:
    """The main working tree of the repository whose Git directory this is; None where it is bare."""
    answer = run(["config", "--file", os.path.join(common, "config"), "--get", "core.bare"], cwd=common)
    if answer.stdout.strip() == b"true":
        return None
    answer = run(["config", "--file", os.path.join(common, "config"), "--get", "core.worktree"], cwd=common)
    named = os.fsdecode(answer.stdout.rstrip(b"\n"))
    if named:
        return exactly(Git(os.path.realpath(os.path.join(common, named)), common, common))
    return exactly(Git(os.path.dirname(common), common, common)) if os.path.basename(common) == ".git" else None


def repository_at(common: str) -> Git | None:
    """The repository whose Git directory is ``common``, seen from a working tree of it; None where there is none."""
    if not os.path.isfile(os.path.join(common, "HEAD")):
        return None
    return _main(common) or exactly(Git(common, common, common))


def refs(git: Git) -> bytes:
    """What changes whenever a ref, a HEAD or the stash does."""
    heads = [files.read_or_none(os.path.join(tree_.dir, "HEAD")) or b"" for tree_ in worktrees(git)]
    return b"\n".join([ask(git, ["for-each-ref", "--format=%(objectname) %(refname)"]), *heads])


def ever(git: Git, patterns: Sequence[str]) -> dict[str, str]:
    """Object id to path of every file that matches in anything that Git can still get at.

    All commits that a ref, a HEAD, the stash or a reflog of any working tree leads to, and trees that a tag names.
    """
    starts = [word for tree_ in worktrees(git) for word in _beside(tree_.dir)]
    every = ["--all", "--reflog", "--ignore-missing", "--full-history", *starts]
    shown = ["-m", "--format=", "--raw", "--no-abbrev", "--no-renames", "-z", "--", *patterns]
    out = log(git, [*every, *shown])
    found: dict[str, str] = {}
    words = iter(out.decode(errors="surrogateescape").split("\0"))
    for word in words:
        change = word.lstrip("\n")
        if change.startswith(":"):
            path = next(words)
            before, after, old, new, _ = change[1:].split(" ")
            found.update((id_, path) for mode, id_ in ((before, old), (after, new)) if mode.startswith("100"))
    for line in ask(exactly(git), ["for-each-ref", "--format=%(objecttype) %(*objecttype) %(objectname)"]).splitlines():
        kinds, _, id_ = line.decode().rpartition(" ")
        if "tree" in kinds.split(" "):
            listed_ = ask(git, ["ls-tree", "-r", "-z", "--full-tree", id_]).decode(errors="surrogateescape")
            lines = [item.partition("\t") for item in listed_.split("\0") if " blob " in item]
            found.update((head.rpartition(" ")[2], path) for head, _, path in lines)
    return found


def _beside(directory: str) -> Iterator[str]:
    """The commits that an operation which is not finished has written down beside the refs."""
    for name in _BESIDE_REFS:
        for line in (files.read_or_none(os.path.join(directory, name)) or b"").splitlines():
            word = line[:64].split()[:1]
            if word and len(word[0]) >= 40 and not word[0].strip(b"0123456789abcdef"):
                yield word[0].decode()


def in_index(git: Git, patterns: Sequence[str]) -> dict[str, str]:
    """Object id to path of what matches in Git's index, all sides of a merge that is not finished included."""
    out = ask(git, ["ls-files", "--stage", "-z", "--", *patterns])
    lines = [line.partition("\t") for line in out.decode(errors="surrogateescape").split("\0") if line]
    return {head.split(" ")[1]: path for head, _, path in lines if head.startswith("100")}


def commit_with(git: Git, id_: str) -> str:
    """A commit that has the blob ``id_``, in short; '' where none is found."""
    found = log(git, ["--all", "--reflog", "-1", "--format=%h", f"--find-object={id_}"])
    return found.decode().strip()
