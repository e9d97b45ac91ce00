"""All that a repository has: its working trees, and every version that anything still leads to."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from mlvc import files
from mlvc.errors import FormatError, SystemFailureError, UsageError
from mlvc.git import Git, ask, exactly, listing, log, run, tried

_PSEUDO_REF = re.compile(r"[A-Z][A-Z_]*")
_UNFINISHED = ("rebase-merge", "rebase-apply", "sequencer")
_HEX = re.compile(rb"(?<!\S)[0-9a-f]{4,64}(?!\S)")


def worktrees(git: Git) -> list[Git]:
    """This working tree and all others of its repository, each ``exactly``.

    UsageError where one of them is not where it should be, and where nobody can tell where the main one is.
    """
    own = exactly(git.below(""))
    found = [own, *_linked(git.common)]
    if own.dir != git.common or own.root != own.dir:
        # Also beside this one, where the environment names another working tree for the same Git directory.
        main = _main(git.common, known=own if own.dir == git.common else None)
        found += [main] if main is not None else []
    for tree in found:
        if not os.path.isdir(tree.root):
            raise UsageError(
                f"the working tree {tree.root} of this repository is not there, so what it tracks cannot be told",
                hint="bring it back, or let Git forget it: `git worktree prune` (`unlock` comes first if it is locked)",
            )
    unique: dict[tuple[str, str], Git] = {}
    for tree in found:
        unique.setdefault((tree.dir, tree.root), tree)
    return list(unique.values())


def _linked(common: str) -> Iterator[Git]:
    """The linked working trees of the repository whose Git directory this is."""
    names: list[str] = []
    with suppress(FileNotFoundError, NotADirectoryError):
        names = sorted(os.listdir(os.path.join(common, "worktrees")))
    for name in names:
        place = os.path.join(common, "worktrees", name)
        link = files.read_or_none(os.path.join(place, "gitdir"))
        if link is None:
            raise UsageError(
                f"{place} does not say where its working tree is, so what that tracks cannot be told",
                hint="let Git forget it: `git worktree prune`",
            )
        back = os.path.normpath(os.path.join(place, os.fsdecode(link.rstrip(b"\n"))))
        root = os.path.realpath(os.path.dirname(back))
        if os.path.isdir(root) and not _leads_to(back, place):
            # Such as the mount point of a disk that is not mounted.
            raise UsageError(
                f"what is at {root} is not the working tree of this repository that was there, "
                "so what that tracks cannot be told",
                hint="bring it back, or let Git know: `git worktree repair` or `git worktree prune`",
            )
        yield exactly(Git(root, os.path.realpath(place), common))


def _leads_to(link: str, place: str) -> bool:
    """Whether the file ``.git`` of a working tree names this Git directory."""
    try:
        text = os.fsdecode((files.read_or_none(link) or b"").rstrip(b"\n")).removeprefix("gitdir: ")
    except FormatError:  # the Git directory of another repository
        return False
    return bool(text) and os.path.realpath(os.path.join(os.path.dirname(link), text)) == os.path.realpath(place)


def _main(common: str, *, known: Git | None = None) -> Git | None:
    """The main working tree of the repository whose Git directory this is; None where it is bare.

    ``known``: a working tree that uses this Git directory. UsageError where there is none and nothing says where it is.
    """
    told: dict[str, str] = {}
    for name in ("config", "config.worktree"):
        path = os.path.join(common, name)
        if os.path.exists(path):
            answer = run(["config", "--file", path, "--list", "-z"], cwd=common)
            told |= dict(item.partition("\n")[::2] for item in listing(answer.stdout))
    named = told.get("core.worktree", "")
    if not named and os.path.basename(common) == ".git":
        named = os.pardir
    if told.get("core.bare", "").lower() in ("true", "yes", "on", "1"):
        return None
    if named:
        return exactly(Git(os.path.realpath(os.path.join(common, named)), common, common))
    if known is None:
        raise UsageError(
            f"nothing tells where the working tree of the Git directory {common} is, nor so what it tracks",
            hint=f"run this in that working tree, or let Git know: `git --git-dir {common} config core.worktree PATH`",
        )
    return None


def repository_at(common: str) -> Git | None:
    """The repository whose Git directory is ``common``, seen from a working tree of it; None where there is none."""
    if not os.path.isfile(os.path.join(common, "HEAD")):
        return None
    return _main(common) or exactly(Git(common, common, common))


def state(git: Git) -> bytes:
    """What changes whenever a ref, a HEAD, the stash, or what an unfinished operation wrote down does."""
    trees = worktrees(git)
    heads = [files.read_or_none(os.path.join(tree.dir, "HEAD")) or b"" for tree in trees]
    beside = [b" ".join(sorted(_beside(tree.dir))) for tree in trees]
    return b"\n".join([ask(git, ["for-each-ref", "--format=%(objectname) %(refname)"]), *heads, *beside])


def ever(git: Git, patterns: Sequence[str]) -> dict[str, str]:
    """Object id to path of every file that matches in anything that Git can still get at.

    All commits that a ref, a HEAD, the stash or a reflog of any working tree leads to, those that an operation which
    is not finished has written down, and trees that a ref names. Those that replace others, or that a graft hides, too.
    """
    _check_readable(git)
    starts = _commits(git, _starts(git))
    every = ["--all", "--reflog", "--ignore-missing", "--full-history", "--stdin"]
    shown = ["-m", "--format=", "--raw", "--no-abbrev", "--no-renames", "-z", "--", *patterns]
    out = log(git, [*every, *shown], data="".join(f"{id_}\n" for id_ in starts).encode())
    found: dict[str, str] = {}
    words = iter(out.decode(errors="surrogateescape").split("\0"))
    for word in words:
        change = word.lstrip("\n")
        if change.startswith(":"):
            path = next(words)
            before, after, old, new, _ = change[1:].split(" ")
            found.update((id_, path) for mode, id_ in ((before, old), (after, new)) if mode.startswith("100"))
    for id_, (kind, _) in _no_commits(git).items():
        if kind == "tree":
            lines = [line.partition("\t") for line in listing(ask(git, ["ls-tree", "-r", "-z", "--full-tree", id_]))]
            found.update((head.split(" ")[2], path) for head, _, path in lines if head.startswith("100"))
    return found


def _check_readable(git: Git) -> None:
    """PermissionError where a ref or a reflog may not be read: Git passes over it and says nothing."""
    for place in dict.fromkeys([git.common, *(tree.dir for tree in worktrees(git))]):
        for top in ("refs", "logs"):
            for folder, _, names in files.walk(os.path.join(place, top)):
                for path in (os.path.join(folder, name) for name in names):
                    if not os.access(path, os.R_OK) and os.path.lexists(path):
                        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def named_files(git: Git) -> dict[str, str]:
    """Object id to ref of every file that a ref, a tag or a replacement, names by itself."""
    return {id_: ref for id_, (kind, ref) in _no_commits(git).items() if kind == "blob"}


def _no_commits(git: Git) -> dict[str, tuple[str, str]]:
    """What refs name that is no commit: object id to kind and ref. Tags of tags are followed to their end."""
    every = ask(git, ["for-each-ref", "--format=%(objecttype) %(objectname) %(refname)"])
    lines = [line.split(" ", 2) for line in every.decode(errors="surrogateescape").splitlines()]
    refs = [(id_, ref) for kind, id_, ref in lines if kind != "commit"]
    answers = _looked_up(git, [f"{id_}^{{}}" for id_, _ in refs])
    # A tag of a commit is none of these; whatever cannot be found stops ``git log``.
    return {id_: (kind, ref) for (id_, kind), (_, ref) in zip(answers, refs, strict=True) if kind in ("tree", "blob")}


def _looked_up(git: Git, words: Sequence[str]) -> list[tuple[str, str]]:
    """Object id and kind of what each of ``words`` names; twice '' where that is nothing, or more than one thing."""
    if not words:
        return []
    data = "".join(f"{word}\n" for word in words).encode(errors="surrogateescape")
    out = ask(git, ["cat-file", "--batch-check=%(objectname) %(objecttype)"], data=data)
    answers = [line.decode(errors="surrogateescape").split(" ") for line in out.splitlines()]
    return [(parts[0], parts[1]) if parts[1:] in _KINDS else ("", "") for parts in answers]


_KINDS = (["commit"], ["tree"], ["blob"], ["tag"])


def _commits(git: Git, words: Iterable[bytes]) -> list[str]:
    """The commits among what these words name."""
    found = _looked_up(git, [f"{word.decode()}^{{commit}}" for word in sorted(set(words))])
    return sorted({id_ for id_, kind in found if kind == "commit"})


def _starts(git: Git) -> Iterator[bytes]:
    """What ``git log --all --reflog`` leaves out."""
    for tree in worktrees(git):
        yield from _beside(tree.dir)
        # Those of another working tree are no part of --all.
        yield from ask(tree, ["for-each-ref", "--format=%(objectname)", *_OF_ONE_TREE]).split()
    grafts = files.read_or_none(os.path.join(git.common, "info", "grafts")) or b""
    grafted = _commits(git, _HEX.findall(grafts))
    if grafted:
        out = ask(git, ["cat-file", "--batch"], data="".join(f"{id_}\n" for id_ in grafted).encode())
        yield from re.findall(rb"^parent ([0-9a-f]+)$", out, re.MULTILINE)


_OF_ONE_TREE = ("refs/bisect", "refs/worktree", "refs/rewritten")


def _beside(directory: str) -> Iterator[bytes]:
    """What may name commits in what Git, and an operation that is not finished, has written down beside the refs.

    ``ORIG_HEAD`` and the like; the changes that ``--autostash`` took out of the working tree; what is to be picked yet.
    """
    places = [name for name in os.listdir(directory) if _PSEUDO_REF.fullmatch(name)]
    for inner in _UNFINISHED:
        with suppress(FileNotFoundError, NotADirectoryError):
            places += [os.path.join(inner, name) for name in os.listdir(os.path.join(directory, inner))]
    for name in places:
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            yield from _HEX.findall(files.read_or_none(path) or b"")


def in_working_tree(git: Git, patterns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Paths in the working tree that match, and those that match and that Git ignores.

    SystemFailureError where Git could not look into a directory.
    """
    found = []
    for which in (["--cached", "--others"], ["--others", "--ignored"]):
        words = ["ls-files", "-z", *which, "--exclude-standard", "--", *patterns]
        answer = tried(git, words)
        said = answer.stderr.decode(errors="replace").strip()
        if answer.returncode or "could not open directory" in said:
            raise SystemFailureError(
                f"what {git.root} tracks cannot be told: {said.splitlines()[0] if said else answer.returncode}",
                hint="let this user read it, then run the command again",
            )
        found.append(list(dict.fromkeys(listing(answer.stdout))))
    return found[0], found[1]


def in_index(git: Git, patterns: Sequence[str]) -> dict[str, str]:
    """Object id to path of what matches in Git's index, all sides of a merge that is not finished included."""
    lines = [line.partition("\t") for line in listing(ask(git, ["ls-files", "--stage", "-z", "--", *patterns]))]
    return {head.split(" ")[1]: path for head, _, path in lines if head.startswith("100")}


def commit_with(git: Git, id_: str) -> str:
    """A commit that has the blob ``id_``, in short; '' where none is found."""
    found = log(git, ["--all", "--reflog", "-1", "--format=%h", f"--find-object={id_}"])
    return found.decode().strip()
