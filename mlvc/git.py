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
    out = _alone(git, ["cat-file", "--batch"], data="".join(f"{id_}\n" for id_ in wanted).encode())
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


def stage(git: Git, paths: Sequence[str]) -> None:
    """``git add`` these paths."""
    if paths:
        data = "\0".join(paths).encode(errors="surrogateescape")
        _ask(git, ["--literal-pathspecs", "add", "--pathspec-from-file=-", "--pathspec-file-nul"], data=data)


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


# -- all that a repository has -----------------------------------------------------------------

_TOLD = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX")
_PLAIN_LOG = ("-c", "log.showRoot=true", "-c", "log.diffMerges=separate", "-c", "log.showSignature=false")
_BESIDE_REFS = ("ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")


def _alone(git: Git, arguments: Sequence[str], *, data: bytes | None = None) -> bytes:
    """As ``_ask``, of exactly this working tree, whatever the environment says of another one."""
    command = ["git", f"--git-dir={git.dir}", f"--work-tree={git.root}", "--no-replace-objects", *arguments]
    kept = {name: value for name, value in os.environ.items() if name not in _TOLD}
    answer = subprocess.run(command, cwd=git.root, input=data or b"", capture_output=True, check=False, env=kept)
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip().removeprefix("fatal: ").splitlines()
        raise SystemFailureError(f"git {arguments[0]} failed: {said[0] if said else answer.returncode}")
    return answer.stdout


def worktrees(git: Git) -> list[Git]:
    """This working tree and all others of its repository. UsageError where one of them is not where it should be."""
    found = {git.dir: git}
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
            found.setdefault(place, Git(os.path.realpath(root), place, git.common))
    for tree_ in found.values():
        if not os.path.isdir(tree_.root):
            raise UsageError(
                f"the working tree {tree_.root} of this repository is not there, so what it tracks cannot be told",
                hint="bring it back, or let Git forget it: `git worktree prune`",
            )
    return list(found.values())


def _main(common: str) -> Git | None:
    """The main working tree of the repository whose Git directory this is; None where it is bare."""
    answer = _run(["config", "--file", os.path.join(common, "config"), "--get", "core.bare"], cwd=common)
    if answer.stdout.strip() == b"true":
        return None
    answer = _run(["config", "--file", os.path.join(common, "config"), "--get", "core.worktree"], cwd=common)
    named = os.fsdecode(answer.stdout.rstrip(b"\n"))
    if named:
        return Git(os.path.realpath(os.path.join(common, named)), common, common)
    return Git(os.path.dirname(common), common, common) if os.path.basename(common) == ".git" else None


def repository_at(common: str) -> Git | None:
    """The repository whose Git directory is ``common``, seen from a working tree of it; None where there is none."""
    if not os.path.isfile(os.path.join(common, "HEAD")):
        return None
    main = _main(common)
    return main or Git(common, common, common)


def refs(git: Git) -> bytes:
    """What changes whenever a ref, a HEAD or the stash does."""
    heads = [files.read_or_none(os.path.join(tree_.dir, "HEAD")) or b"" for tree_ in worktrees(git)]
    return b"\n".join([_alone(git, ["for-each-ref", "--format=%(objectname) %(refname)"]), *heads])


def ever(git: Git, patterns: Sequence[str]) -> dict[str, str]:
    """Object id to path of every file that matches in anything that Git can still get at.

    All commits that a ref, a HEAD, the stash or a reflog of any working tree leads to, and trees that a tag names.
    """
    starts = [word for tree_ in worktrees(git) for word in _beside(tree_.dir)]
    every = ["log", "--all", "--reflog", "--ignore-missing", "--full-history", *starts]
    shown = ["-m", "--format=", "--raw", "--no-abbrev", "--no-renames", "-z", "--", *patterns]
    out = _alone(git, [*_PLAIN_LOG, *every, *shown])
    found: dict[str, str] = {}
    words = iter(out.decode(errors="surrogateescape").split("\0"))
    for word in words:
        change = word.lstrip("\n")
        if change.startswith(":"):
            path = next(words)
            before, after, old, new, _ = change[1:].split(" ")
            found.update((id_, path) for mode, id_ in ((before, old), (after, new)) if mode.startswith("100"))
    for line in _alone(git, ["for-each-ref", "--format=%(objecttype) %(*objecttype) %(objectname)"]).splitlines():
        kinds, _, id_ = line.decode().rpartition(" ")
        if "tree" in kinds.split(" "):
            listed_ = _alone(git, ["ls-tree", "-r", "-z", "--full-tree", id_]).decode(errors="surrogateescape")
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
    out = _alone(git, ["ls-files", "--stage", "-z", "--", *patterns])
    lines = [line.partition("\t") for line in out.decode(errors="surrogateescape").split("\0") if line]
    return {head.split(" ")[1]: path for head, _, path in lines if head.startswith("100")}


def uncommitted(git: Git, patterns: Sequence[str]) -> list[str]:
    """As ``listed``, for any working tree."""
    out = _alone(git, ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns])
    return [name for name in dict.fromkeys(out.decode(errors="surrogateescape").split("\0")) if name]


def commit_with(git: Git, id_: str) -> str:
    """A commit that has the blob ``id_``, in short; '' where none is found."""
    found = _alone(git, ["log", "--all", "--reflog", "-1", "--format=%h", f"--find-object={id_}"])
    return found.decode().strip()


# -- .gitignore --------------------------------------------------------------------------------

_SPECIAL = frozenset("\\*?[]!# ")


def ignore(git: Git, paths: Iterable[str]) -> list[str]:
    """Make Git ignore these paths: a line each in the ``.gitignore`` beside them. The files that changed."""
    by_file: dict[str, list[str]] = {}
    for path in paths:
        directory, _, name = path.rpartition("/")
        by_file.setdefault(f"{directory}/.gitignore" if directory else ".gitignore", []).append("/" + _escape(name))
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
