"""Working trees of a revision that are there for a while, beside those of the user."""

from __future__ import annotations

import os
from contextlib import suppress

from mlvc import files
from mlvc.errors import SystemFailureError
from mlvc.git import Git, ask, elsewhere, listing, tried

# No hook of the user runs for it, nothing watches it, and it is whole also where the user's own is sparse.
_PLAIN = (
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.sparseCheckout=false"),
    *("-c", "submodule.recurse=false"),
)


# Git does not always say why it cannot write a file.
_NO_ROOM = (
    "is the disk full? A working tree takes as much room as the files of Git: make room, "
    "or name a new directory on another disk with --keep"
)


def place(git: Git) -> str:
    """The directory below which they are, each in one that a living process holds. See files.Scratch."""
    return os.path.join(git.common, "mlvc", "reproduce")


def clean(git: Git) -> None:
    """Remove those whose process was killed."""
    parent = place(git)
    if os.path.isdir(parent):
        files.Scratch(parent).sweep()
        _forget_below(git, parent)


def add(git: Git, commit: str, path: str) -> Git:
    """A new working tree of ``commit`` at ``path``, on no branch, with the same root in it.

    SystemFailureError where Git cannot make it. What a crash leaves below ``place`` is for ``clean``.
    """
    try:
        ask(_clean(git), [*_PLAIN, "worktree", "add", "--quiet", "--detach", path, commit])
    except SystemFailureError as error:
        raise SystemFailureError(error.message, hint=error.hint or _NO_ROOM) from None
    link = os.fsdecode(files.read(os.path.join(path, ".git")).rstrip(b"\n")).removeprefix("gitdir: ")
    directory = os.path.realpath(os.path.join(path, link))
    top = os.path.realpath(path)
    root = os.path.join(top, git.prefix) if git.prefix else top
    options = (f"--git-dir={directory}", f"--work-tree={top}")
    return Git(root, directory, git.common, git.prefix, options, elsewhere(os.environ))


def remove(git: Git, path: str) -> None:
    """Remove the working tree at ``path``, whatever is in it, and let Git forget it."""
    tried(_clean(git), ["worktree", "remove", "--force", "--force", path])
    files.remove_tree(path)
    _forget(git, os.path.realpath(path))


def submodules(git: Git) -> list[str]:
    """The paths of all submodules in Git's index."""
    lines = listing(ask(git, ["ls-files", "--stage", "-z"]))
    return [line.partition("\t")[2] for line in lines if line.startswith("160000 ")]


def _clean(git: Git) -> Git:
    return Git(git.top, git.dir, git.common, "", (f"--git-dir={git.dir}",), elsewhere(os.environ))


def _known(git: Git) -> dict[str, str]:
    """The places of all linked working trees, with Git's directory of each."""
    found = {}
    above = os.path.join(git.common, "worktrees")
    with suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(above):
            link = files.read_or_none(os.path.join(above, name, "gitdir")) or b""
            # Relative since Git 2.48, where a setting asks for it.
            back = os.path.join(above, name, os.fsdecode(link.rstrip(b"\n")))
            found[os.path.realpath(os.path.dirname(back))] = os.path.join(above, name)
    return found


def _forget_below(git: Git, parent: str) -> None:
    above = os.path.realpath(parent)
    for tree in _known(git):
        if tree.startswith(above + os.sep):
            inner = tree[len(above) + 1 :].split(os.sep)[0]
            if not files.exists(os.path.join(above, inner)):  # one that is being made has it already
                _forget(git, tree)


def _forget(git: Git, tree: str) -> None:
    directory = _known(git).get(tree)
    if directory is not None and not files.exists(tree):
        files.remove_tree(directory)
        with suppress(OSError):
            os.rmdir(os.path.dirname(directory))  # as Git does when it was the last one
