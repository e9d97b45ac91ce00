"""Git, asked through its command line. The only module that knows of it.

What every command needs goes through plumbing commands, a process each, in batches. GitPython
serves where refs and commits are enumerated; importing it takes longer than most commands run.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from mlvc import files
from mlvc.errors import NotARepositoryError, SystemFailureError, UsageError


@dataclass(frozen=True, slots=True)
class Git:
    """One working tree of a Git repository.

    ``root``: the working tree. ``dir``: its Git directory. ``common``: the one that all working
    trees of the repository share. All absolute.
    """

    root: str
    dir: str
    common: str


def discover(start: str, environment: Mapping[str, str]) -> Git:
    """The working tree that ``start`` lies in; NotARepositoryError where there is none."""
    if not any(name in environment for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR")):
        found = _plain(os.path.realpath(start))
        if found is not None:
            return found
    answer = _run(
        ["rev-parse", "--show-toplevel", "--absolute-git-dir", "--path-format=absolute", "--git-common-dir"], cwd=start
    )
    lines = answer.stdout.decode(errors="surrogateescape").splitlines()
    if answer.returncode or len(lines) != 3:
        raise _no_repository(start, answer.stderr.decode(errors="replace"))
    return Git(*(os.path.realpath(line) for line in lines))


def _plain(start: str) -> Git | None:
    """The usual layout, found without starting a process."""
    path = start
    while True:
        git = os.path.join(path, ".git")
        if os.path.isfile(os.path.join(git, "HEAD")) and not os.path.exists(os.path.join(git, "commondir")):
            return Git(path, git, git)
        parent = os.path.dirname(path)
        if parent == path or os.path.exists(git):
            return None
        path = parent


def _no_repository(start: str, said: str) -> NotARepositoryError:
    if "dubious ownership" in said:
        return NotARepositoryError(
            f"Git does not trust the repository at {start}: another user owns it",
            hint=f"git config --global --add safe.directory {start}",
        )
    if "must be run in a work tree" in said:
        return NotARepositoryError(f"{start} is a bare Git repository", hint="clone it, and work in the clone")
    return NotARepositoryError(f"{start} is not inside a Git repository", hint="make one with `git init`")


def _run(arguments: Sequence[str], *, cwd: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], cwd=cwd, input=data or b"", capture_output=True, check=False)
    except FileNotFoundError:
        raise SystemFailureError(
            "git is not installed, or not on the PATH", hint="install Git from https://git-scm.com"
        ) from None


def _ask(git: Git, arguments: Sequence[str], *, data: bytes | None = None) -> bytes:
    """What a Git command prints; SystemFailureError with what it complains of."""
    answer = _run(arguments, cwd=git.root, data=data)
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip().removeprefix("fatal: ").splitlines()
        raise SystemFailureError(f"git {arguments[0]} failed: {said[0] if said else answer.returncode}")
    return answer.stdout


def resolve(git: Git, revision: str) -> str:
    """The commit that ``revision`` names, in hex; UsageError where it names none."""
    answer = _parse(git, revision)
    if answer.returncode:
        raise UsageError(f"'{revision}' is no revision of this repository", hint=_no_revision(git, revision))
    return answer.stdout.decode().strip()


def is_revision(git: Git, name: str) -> bool:
    """Whether ``name`` names a commit."""
    return _parse(git, name).returncode == 0


def _parse(git: Git, revision: str) -> subprocess.CompletedProcess[bytes]:
    return _run(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"], cwd=git.root)


def _no_revision(git: Git, given: str) -> str:
    """What may have been meant: Git itself takes a path, or two revisions in one word, in this place."""
    old, dots, new = given.partition("..")
    if dots:
        return f"two revisions are two words: `mlvc diff {old or 'HEAD'} {new.removeprefix('.') or 'HEAD'}`"
    if given and os.path.lexists(os.path.join(git.root, given)):
        import shlex  # noqa: PLC0415  (only where something went wrong)

        return f"it is a path, and paths go after -t: `mlvc diff -t {shlex.quote(given)}`"
    return "`git log --oneline --all` lists them"


def has_commits(git: Git) -> bool:
    """Whether HEAD names a commit yet."""
    return _run(["rev-parse", "--verify", "--quiet", "HEAD"], cwd=git.root).returncode == 0


def listed(git: Git, patterns: Sequence[str]) -> list[str]:
    """Paths in the working tree that match: known to Git, or new and not ignored."""
    out = _ask(git, ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns])
    names = dict.fromkeys(out.decode(errors="surrogateescape").split("\0"))
    return [name for name in names if name]


def tree(git: Git, revision: str) -> dict[str, str]:
    """Path to object id of every file at a revision."""
    out = _ask(git, ["ls-tree", "-r", "-z", "--full-tree", revision])
    found = {}
    for line in out.decode(errors="surrogateescape").split("\0"):
        head, _, path = line.partition("\t")
        if path and " blob " in head:
            found[path] = head.rpartition(" ")[2]
    return found


def blobs(git: Git, ids: Iterable[str]) -> dict[str, bytes]:
    """The contents of Git objects."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return {}
    out = _ask(git, ["cat-file", "--batch"], data="".join(f"{id_}\n" for id_ in wanted).encode())
    found = {}
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        parts = out[at:end].decode().split(" ")
        if len(parts) != 3:
            raise SystemFailureError(f"Git object {parts[0]} cannot be read", hint="`git fsck` tells more")
        size = int(parts[2])
        found[parts[0]] = out[end + 1 : end + 1 + size]
        at = end + 2 + size
    return found


def tracked(git: Git, paths: Collection[str]) -> set[str]:
    """Those of ``paths`` that Git itself has, or files below them, in its index."""
    if not paths:
        return set()
    out = _ask(git, ["--literal-pathspecs", "ls-files", "-z", "--cached", "--", *paths])
    found = set()
    for name in out.decode(errors="surrogateescape").split("\0"):
        while name and name not in found:
            found.add(name)
            name = name.rpartition("/")[0]  # noqa: PLW2901  (the directories around it)
    return found.intersection(paths)


def versions(git: Git, paths: Sequence[str]) -> dict[str, list[str]]:
    """The object ids that each of ``paths`` ever had, in any commit that a ref or a reflog still leads to."""
    every = ["log", "--all", "--reflog", "-m", "--format=", "--raw", "--no-abbrev", "--no-renames", "-z"]
    out = _ask(git, ["--literal-pathspecs", *every, "--", *paths])
    found: dict[str, dict[str, None]] = {path: {} for path in paths}
    words = out.decode(errors="surrogateescape").lstrip("\n").split("\0")
    for change, name in zip(words[::2], words[1::2], strict=False):
        for id_ in change.split(" ")[2:4]:
            if id_.strip("0") and name in found:
                found[name][id_] = None
    return {path: list(ids) for path, ids in found.items()}


def ignored(git: Git, paths: Iterable[str]) -> dict[str, str]:
    """Those of ``paths`` that Git ignores and does not have, each with the line that says so."""
    data = "".join(f"{path}\0" for path in paths).encode(errors="surrogateescape")
    answer = _run(["check-ignore", "-z", "-v", "--stdin"], cwd=git.root, data=data)
    words = answer.stdout.decode(errors="surrogateescape").split("\0")
    lines = zip(words[::4], words[1::4], words[2::4], words[3::4], strict=False)
    return {path: f"{file}:{line}: {pattern}" for file, line, pattern, path in lines if not pattern.startswith("!")}


def unstaged(git: Git, paths: Sequence[str]) -> list[str]:
    """What is new, or changed since it was staged, at or below these paths; not what is ignored."""
    found: dict[str, None] = {}
    for at in range(0, len(paths), _AT_ONCE):
        some = paths[at : at + _AT_ONCE]
        out = _ask(
            git, ["--literal-pathspecs", "ls-files", "-z", "--modified", "--others", "--exclude-standard", "--", *some]
        )
        found.update(dict.fromkeys(out.decode(errors="surrogateescape").split("\0")))
    return [path for path in found if path]


_AT_ONCE = 500
"""Paths on one command line."""


def stageable(git: Git, paths: Sequence[str]) -> list[str]:
    """Those of ``paths`` that ``git add`` takes: what is gone only where Git has it."""
    gone = {path for path in paths if not files.exists(os.path.join(git.root, path))}
    known = tracked(git, gone)
    return [path for path in paths if path not in gone or path in known]


def stage(git: Git, paths: Sequence[str]) -> None:
    """``git add`` these paths; what is gone is staged as deleted."""
    if paths:
        data = "\0".join(paths).encode(errors="surrogateescape")
        _ask(git, ["--literal-pathspecs", "add", "--pathspec-from-file=-", "--pathspec-file-nul"], data=data)


def version() -> str:
    """The version of Git; SystemFailureError where there is none."""
    words = _run(["--version"], cwd=os.sep).stdout.decode(errors="replace").split()
    return words[2] if len(words) > 2 else "unknown"


def settings(git: Git, names: Collection[str]) -> dict[str, str]:
    """Those of Git's own settings that are set."""
    out = _run(["config", "--list", "-z"], cwd=git.root).stdout.decode(errors="replace")
    pairs = (item.partition("\n") for item in out.split("\0"))
    return {name: value for name, _, value in pairs if name in names}


def count(git: Git) -> int:
    """How many files Git itself has."""
    return _ask(git, ["ls-files", "-z"]).count(b"\0")


def names(git: Git) -> list[str]:
    """The short names of all branches and tags."""
    out = _ask(git, ["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes"])
    return out.decode(errors="replace").splitlines()


def revisions(git: Git, *, branches: bool = False, tags: bool = False, commits: bool = False) -> list[str]:
    """The commits that all branches (here and of Git remotes), all tags, or all history name, in hex."""
    from git import Repo  # noqa: PLC0415  (100 ms to import)

    with Repo(git.root) as repository:
        found: list[str] = []
        if commits and has_commits(git):
            found += [commit.hexsha for commit in repository.iter_commits("--all")]
        for ref in repository.references:
            is_tag = ref.path.startswith("refs/tags/")
            if (tags and is_tag) or (branches and not is_tag):
                with suppress(ValueError):  # a tag of something that is no commit
                    found.append(ref.commit.hexsha)
        return list(dict.fromkeys(found))


# -- .gitignore --------------------------------------------------------------------------------

_SPECIAL = frozenset("\\*?[]!# ")


def ignore(git: Git, paths: Iterable[str]) -> list[str]:
    """Make Git ignore these paths: a line each in the ``.gitignore`` beside them. The files that changed."""
    by_file: dict[str, list[str]] = {}
    for path in paths:
        directory, _, name = path.rpartition("/")
        by_file.setdefault(_ignore_file(directory), []).append("/" + _escape(name))
    changed = []
    for file, lines in by_file.items():
        full = os.path.join(git.root, file)
        old = files.read_or_none(full) or b""
        present = set(old.decode(errors="surrogateescape").splitlines())
        new = [line for line in dict.fromkeys(lines) if line not in present]
        if new:
            gap = b"" if not old or old.endswith(b"\n") else b"\n"
            files.replace(full, old + gap + "".join(f"{line}\n" for line in new).encode(errors="surrogateescape"))
            changed.append(file)
    return changed


def unignore(git: Git, paths: Iterable[str]) -> list[str]:
    """Take the lines that ``ignore`` writes for these paths out again. The files that changed; an empty one goes."""
    by_file: dict[str, set[str]] = {}
    for path in paths:
        directory, _, name = path.rpartition("/")
        by_file.setdefault(_ignore_file(directory), set()).add("/" + _escape(name))
    changed = []
    for file, lines in by_file.items():
        full = os.path.join(git.root, file)
        old = (files.read_or_none(full) or b"").decode(errors="surrogateescape").splitlines(keepends=True)
        new = [line for line in old if line.rstrip("\r\n") not in lines]
        if new == old:
            continue
        if new:
            files.replace(full, "".join(new).encode(errors="surrogateescape"))
        else:
            files.remove(full)
        changed.append(file)
    return changed


@contextmanager
def ignoring(git: Git, paths: Iterable[str]) -> Iterator[list[str]]:
    """As ``ignore``; where what follows fails, all is as before. Yields the files that changed."""
    paths = list(paths)
    folders = {os.path.dirname(path) for path in paths}
    before = {name: files.read_or_none(os.path.join(git.root, name)) for name in map(_ignore_file, folders)}
    changed = ignore(git, paths)
    names = list(changed)
    try:
        yield changed
    except BaseException:
        for name in names:
            full, data = os.path.join(git.root, name), before[name]
            if data is None:
                files.remove(full)
            else:
                files.replace(full, data)
        raise


def _ignore_file(folder: str) -> str:
    return f"{folder}/.gitignore" if folder else ".gitignore"


def _escape(name: str) -> str:
    # A pattern cannot hold a line break; ? stands for any one character.
    return "".join("?" if c in "\n\r" else "\\" + c if c in _SPECIAL else c for c in name)
