"""Git as its hooks and merges see it: what is staged, unmerged, pushed; and the repository's own settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from mlvc.git import Git, ask, listing, log, parse, tried

BASE, OURS, THEIRS = 1, 2, 3
"""Git's numbers for the three sides of what it could not merge."""


def unmerged(git: Git, patterns: Sequence[str]) -> dict[str, dict[int, str]]:
    """Of each matching path that Git could not merge, the object ids of its sides."""
    found: dict[str, dict[int, str]] = {}
    for line in listing(ask(git, ["ls-files", "-z", "--unmerged", "--", *patterns])):
        head, _, path = line.partition("\t")
        _, id_, stage_ = head.split(" ")
        found.setdefault(path, {})[int(stage_)] = id_
    return found


def is_merging(git: Git) -> bool:
    """Whether a merge, a rebase or the like may have left what it could not merge. Asks the Git directory alone."""
    return any(os.path.exists(f"{git.dir}/{name}") for name in _UNDER_WAY)


_UNDER_WAY = (
    *("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"),
    *("SQUASH_MSG", "AUTO_MERGE"),  # of `git merge --squash`, and of all others as well, such as `git stash pop`
)


def staged(git: Git) -> dict[str, str]:
    """The object id of every file that the next commit adds or modifies."""
    out = ask(
        git, ["diff", "--cached", "--relative", "--raw", "-z", "--no-abbrev", "--no-renames", "--diff-filter=AMT"]
    )
    words = listing(out)
    changes = ((change.split(" "), path) for change, path in zip(words[::2], words[1::2], strict=True))
    return {path: parts[3] for parts, path in changes if parts[1].startswith(_FILE_MODE)}


_FILE_MODE = "100"
"""How the mode of a file begins: a link or a submodule has another one."""


def differing(git: Git, revision: str, patterns: Sequence[str]) -> list[str]:
    """The matching files that differ between a revision and the working tree; those that Git does not know are not."""
    words = ["diff", "--name-only", "--relative", "--no-renames", "--ignore-submodules=all", "--no-ext-diff"]
    return listing(ask(git, [*words, "-z", revision, "--", *patterns]))


def having(git: Git, revisions: Iterable[str], paths: Iterable[str]) -> list[str]:
    """Those of ``paths``, relative to the top of the working tree, that any of the revisions has."""
    asked = [(revision, path) for path in paths if "\n" not in path for revision in revisions]
    data = "".join(f"{revision}:{path}\n" for revision, path in asked).encode(errors="surrogateescape")
    lines = ask(git, ["cat-file", "--batch-check"], data=data).splitlines() if asked else []
    found = [path for (_, path), line in zip(asked, lines, strict=True) if not line.endswith(b" missing")]
    return list(dict.fromkeys(found))


def sizes(git: Git, ids: Iterable[str]) -> dict[str, int]:
    """The sizes in bytes of Git objects, by id."""
    asked = "".join(f"{id_}\n" for id_ in ids).encode()
    out = ask(git, ["cat-file", "--batch-check=%(objectname) %(objectsize)"], data=asked) if asked else b""
    rows = (line.split(" ") for line in out.decode().splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def introduced(git: Git, tips: Sequence[str], there: Sequence[str], remote: str, patterns: Sequence[str]) -> Versions:
    """Path and object id of each matching file that commits bring to a Git remote, which has ``there`` already.

    Paths are relative to the root of ``git``, and what lies outside of it is left out.
    """
    form = ["--format=", "--relative", "--raw", "--no-abbrev", "--no-renames", "-m", "-z", "--root", "--ignore-missing"]
    data = "".join([*(f"{tip}\n" for tip in tips), *(f"^{id_}\n" for id_ in there)]).encode()
    out = log(git, [*form, "--stdin", "--not", f"--remotes={remote}", "--", *patterns], data=data)
    words = listing(out.lstrip(b"\n"))
    rows = ((change.split(" ")[3], path) for change, path in zip(words[::2], words[1::2], strict=True))
    return {(path, id_) for id_, path in rows if id_.strip("0")}


Versions = set[tuple[str, str]]


def parents(git: Git) -> list[str]:
    """The commits that the next commit builds upon: HEAD, and what is being merged or picked."""
    found = []
    for name in ("HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REBASE_HEAD", "REVERT_HEAD"):
        answer = parse(git, name)
        if not answer.returncode:
            found.append(answer.stdout.decode().strip())
    return found


def committed(git: Git, path: str) -> bytes:
    """A file as HEAD has it; empty where it has none."""
    answer = tried(git, ["cat-file", "blob", f"HEAD:./{path}"])
    return b"" if answer.returncode else answer.stdout


# -- the repository's own settings -------------------------------------------------------------


def hooks_dir(git: Git) -> str:
    """Where Git looks for hooks: ``core.hooksPath``, or the directory that all working trees share."""
    out = ask(git, ["rev-parse", "--path-format=absolute", "--git-path", "hooks"])
    return os.path.normpath(os.path.join(git.root, out.decode(errors="surrogateescape").removesuffix("\n")))


def setting(git: Git, name: str) -> str | None:
    """A setting in the repository's own file; None where it is not there."""
    answer = tried(git, ["config", "--local", "--get", name])
    return None if answer.returncode else answer.stdout.decode(errors="surrogateescape").removesuffix("\n")


def set_setting(git: Git, name: str, value: str) -> None:
    """Change a setting in the repository's own file."""
    ask(git, ["config", "--local", "--replace-all", name, value])


def drop_settings(git: Git, section: str) -> bool:
    """Remove a section from the repository's own file. Whether it was there."""
    return not tried(git, ["config", "--local", "--remove-section", section]).returncode
