"""Git, asked through its command line. This package alone runs it.

All of it goes through plumbing commands, a process each, in batches, which run in the mlvc root: Git
takes paths relative to that, and tells them so. Paths here are relative to the mlvc root, wherever it
lies in the working tree.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mlvc import files
from mlvc.errors import NotARepositoryError, SystemFailureError, UsageError


@dataclass(frozen=True, slots=True)
class Git:
    """One mlvc root in a working tree of a Git repository.

    ``root``: the mlvc root. ``dir``: the Git directory of the working tree. ``common``: the one that all working
    trees of the repository share. All absolute. ``prefix``: the root relative to the top of the working tree, '' for
    the top itself. ``cwd``: where the person stands, relative to the root, for what is told. ``options``: what Git is
    told where the environment says which repository it is. ``environment``: what Git's commands are run in, where that
    is not the environment of mlvc itself. A bare repository has its Git directory as root.
    """

    root: str
    dir: str
    common: str
    prefix: str = ""
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = field(default=None, compare=False, repr=False)
    cwd: str = field(default="", compare=False, repr=False)

    @property
    def is_bare(self) -> bool:
        """Whether there is no working tree."""
        return self.root == self.dir

    @property
    def top(self) -> str:
        """The top of the working tree."""
        return self.root[: -len(self.prefix) - 1] or os.sep if self.prefix else self.root

    @property
    def own(self) -> str:
        """Where mlvc keeps what belongs to this root in this working tree alone."""
        return _place(self.dir, self.prefix)

    @property
    def private(self) -> str:
        """Where mlvc keeps what belongs to this root in all working trees."""
        return _place(self.common, self.prefix)

    def below(self, prefix: str) -> Git:
        """The root at ``prefix``, relative to the top of the same working tree."""
        return replace(self, root=os.path.join(self.top, prefix) if prefix else self.top, prefix=prefix, cwd="")


def _place(directory: str, prefix: str) -> str:
    # The last part keeps a root apart from the roots below it.
    return os.path.join(directory, "mlvc", *(("roots", *prefix.split("/"), ".mlvc") if prefix else ()))


_CHOOSING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR")
_PLACES = (*_CHOOSING, "GIT_INDEX_FILE", "GIT_PREFIX")
_OF_THIS_ONE = (
    *_PLACES,
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
)
"""What the environment, or Git in its hooks and aliases, says of the repository that mlvc was started in."""
_PATTERNS = ("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS")
"""What changes the meaning of all patterns: in the hooks of `git --literal-pathspecs` none would match a Pointer."""


def elsewhere(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for Git's commands in another repository than the one that mlvc was started in."""
    return {name: value for name, value in environment.items() if name not in _OF_THIS_ONE}


def exactly(git: Git) -> Git:
    """The same working tree, whatever the environment says of another one, and without what replaces its objects.

    Git takes a ref that it cannot read for an error, and what it complains of is in English.
    """
    clean = {name: value for name, value in elsewhere(os.environ).items() if name != "GIT_GRAFT_FILE"}
    clean |= {"GIT_REF_PARANOIA": "1", "LC_ALL": "C"}
    options = (f"--git-dir={git.dir}", f"--work-tree={git.top}", "--no-replace-objects")
    return replace(git, options=options, environment=clean)


def discover(start: str, environment: Mapping[str, str]) -> Git:
    """The working tree that ``start`` lies in, with its top as root; NotARepositoryError where there is none."""
    if any(name in environment for name in _CHOOSING):
        return _chosen(start, environment)
    found = _plain(os.path.realpath(start))
    return _asked(start) if found is None else found


def _asked(start: str, environment: Mapping[str, str] | None = None) -> Git:
    answer = run(
        ["rev-parse", "--show-toplevel", "--absolute-git-dir", "--path-format=absolute", "--git-common-dir"],
        cwd=start,
        environment=environment,
    )
    lines = answer.stdout.decode(errors="surrogateescape").splitlines()
    if answer.returncode or len(lines) != 3:
        raise _no_repository(start, answer.stderr.decode(errors="replace"))
    top, own, common = map(os.path.realpath, lines)
    return Git(top, own, common)


def _chosen(start: str, environment: Mapping[str, str]) -> Git:
    """The repository that the environment names.

    With GIT_DIR alone Git takes any directory for the top of the working tree, which is wrong below the top: so it is
    in a hook that goes to a directory further down. Where Git finds the same repository by itself, that top counts.
    """
    found = _asked(start)
    if "GIT_WORK_TREE" not in environment:
        try:
            alone = _asked(start, {name: value for name, value in environment.items() if name not in _CHOOSING})
        except NotARepositoryError:
            alone = found
        if alone.dir == found.dir:
            found = alone
    # Absolute, since Git is not run where mlvc was started.
    return replace(found, options=(f"--git-dir={found.dir}", f"--work-tree={found.root}"))


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
        return _distrusted(said, start)
    if "must be run in a work tree" in said:
        return NotARepositoryError(f"{start} is a bare Git repository", hint="clone it, and work in the clone")
    return NotARepositoryError(f"{start} is not inside a Git repository", hint="make one with `git init`")


def _distrusted(said: str, start: str) -> NotARepositoryError:
    found = re.search("safe.directory (.+)", said)
    place = found[1] if found else start
    return NotARepositoryError(
        f"Git does not trust the repository at {start}: another user owns it",
        hint=f"git config --global --add safe.directory {place}",
    )


def run(
    arguments: Sequence[str], *, cwd: str, data: bytes | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """A Git command, however it ends; SystemFailureError where there is no Git."""
    if any(name in (environment or os.environ) for name in _PATTERNS):
        environment = {name: value for name, value in (environment or os.environ).items() if name not in _PATTERNS}
    try:
        return subprocess.run(
            ["git", *arguments], cwd=cwd, input=data or b"", capture_output=True, check=False, env=environment
        )
    except FileNotFoundError:
        raise SystemFailureError(
            "git is not installed, or not on the PATH", hint="install Git from https://git-scm.com"
        ) from None


def tried(git: Git, arguments: Sequence[str], *, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """A Git command in the root, however it ends; NotARepositoryError where Git does not trust the repository."""
    answer = run([*git.options, *arguments], cwd=git.root, data=data, environment=git.environment)
    if answer.returncode and b"dubious ownership" in answer.stderr:
        raise _distrusted(answer.stderr.decode(errors="replace"), git.top)
    return answer


def ask(git: Git, arguments: Sequence[str], *, data: bytes | None = None) -> bytes:
    """What a Git command prints; SystemFailureError with what it complains of."""
    return _said(tried(git, arguments, data=data), arguments)


def _said(answer: subprocess.CompletedProcess[bytes], arguments: Sequence[str]) -> bytes:
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip()
        if "from promisor remote" in said:
            raise SystemFailureError(
                "this clone is partial, and Git cannot get from its remote what the clone lacks",
                hint="run it again when the Git remote can be reached",
            )
        name = next(word for word in arguments if word[0] != "-" and "=" not in word)  # settings come before it
        first = said.removeprefix("fatal: ").splitlines()
        hint = "`git fsck` tells what is wrong with the repository" if "bad object" in said else ""
        raise SystemFailureError(f"git {name} failed: {first[0] if first else answer.returncode}", hint=hint)
    return answer.stdout


def resolve(git: Git, revision: str) -> str:
    """The commit that ``revision`` names, in hex; UsageError where it names none."""
    answer = parse(git, revision)
    if answer.returncode:
        raise UsageError(f"'{revision}' is no revision of this repository", hint=_no_revision(git, revision))
    return answer.stdout.decode().strip()


def is_revision(git: Git, name: str) -> bool:
    """Whether ``name`` names a commit."""
    return parse(git, name).returncode == 0


def parse(git: Git, revision: str) -> subprocess.CompletedProcess[bytes]:
    """Git's answer to which commit ``revision`` names; its exit code is not 0 where it names none."""
    return tried(git, ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"])


def _no_revision(git: Git, given: str) -> str:
    """What may have been meant: Git itself takes a path, or two revisions in one word, in this place."""
    old, dots, new = given.partition("..")
    if dots:
        return f"two revisions are two words: `mlvc diff {old or 'HEAD'} {new.removeprefix('.') or 'HEAD'}`"
    if given and os.path.lexists(os.path.join(git.root, given)):
        import shlex  # noqa: PLC0415  (only where something went wrong)

        return f"it is a path, and paths go after -t: `mlvc diff -t {shlex.quote(given)}`"
    if is_shallow(git):
        return "the history of this clone is cut; `git fetch --unshallow` brings the rest"
    return "`git log --oneline --all` lists them"


def is_shallow(git: Git) -> bool:
    """Whether the clone has only a part of the history."""
    return os.path.exists(os.path.join(git.common, "shallow"))


def has_commits(git: Git) -> bool:
    """Whether HEAD names a commit yet."""
    return tried(git, ["rev-parse", "--verify", "--quiet", "HEAD"]).returncode == 0


def listed(git: Git, patterns: Sequence[str]) -> list[str]:
    """Paths in the working tree that match: known to Git, or new and not ignored."""
    out = ask(git, ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns])
    names = dict.fromkeys(out.decode(errors="surrogateescape").split("\0"))
    return [name for name in names if name]


def is_sparse(git: Git) -> bool:
    """Whether the working tree is, or once was, a sparse checkout."""
    return os.path.exists(os.path.join(git.dir, "info", "sparse-checkout"))


def skipped(git: Git, paths: Sequence[str]) -> set[str]:
    """Those of ``paths`` that Git has and keeps out of the working tree: a sparse checkout."""
    found: set[str] = set()
    for at in range(0, len(paths), _AT_ONCE):
        out = ask(git, ["--literal-pathspecs", "ls-files", "-z", "-t", "--cached", "--", *paths[at : at + _AT_ONCE]])
        words = out.decode(errors="surrogateescape").split("\0")
        found.update(word[2:] for word in words if word.startswith("S "))
    return found


def tree(git: Git, revision: str) -> dict[str, str]:
    """Path to object id of every file of the root at a revision."""
    out = ask(git, ["ls-tree", "-r", "-z", revision])
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
    out = ask(git, ["cat-file", "--batch"], data="".join(f"{id_}\n" for id_ in wanted).encode())
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
    out = ask(git, ["--literal-pathspecs", "ls-files", "-z", "--cached", "--", *paths])
    found = set()
    for name in out.decode(errors="surrogateescape").split("\0"):
        while name and name not in found:
            found.add(name)
            name = name.rpartition("/")[0]  # noqa: PLW2901  (the directories around it)
    return found.intersection(paths)


def versions(git: Git, paths: Sequence[str]) -> dict[str, list[str]]:
    """The object ids that each of ``paths`` ever had, in any commit that a ref or a reflog still leads to."""
    every = ["--all", "--reflog", "-m", "--format=", "--raw", "--no-abbrev", "--no-renames", "--relative", "-z"]
    out = log(git, [*every, "--", *(f":(literal){path}" for path in paths)])
    found: dict[str, dict[str, None]] = {path: {} for path in paths}
    words = out.decode(errors="surrogateescape").lstrip("\n").split("\0")
    for change, name in zip(words[::2], words[1::2], strict=False):
        for id_ in change.split(" ")[2:4]:
            if id_.strip("0") and name in found:
                found[name][id_] = None
    return {path: list(ids) for path, ids in found.items()}


class Commit(NamedTuple):
    """A commit, and the files that it changed: each with its object id before and after, '' where there is none."""

    id: str
    author: str
    date: str
    subject: str
    changes: dict[str, tuple[str, str]]


def history(git: Git, patterns: Sequence[str]) -> list[Commit]:
    """The commits that HEAD leads to and that changed files which match, before those that they come from.

    Of a merge only what differs from each of its parents counts: the rest was changed by other commits.
    """
    if not has_commits(git):
        return []
    every = ["--relative", "--topo-order", "-m", "--raw", "--no-abbrev", "--no-renames", "-z"]
    out = log(git, [*every, "--format=%x01%H%x02%P%x02%aI%x02%an%x02%s", "--", *patterns])
    words = iter(out.decode(errors="surrogateescape").split("\0"))
    found: dict[str, Commit] = {}
    parents: dict[str, int] = {}
    told: dict[str, dict[str, list[tuple[str, str]]]] = {}
    id_ = ""
    for word in map(str.lstrip, words):
        if word.startswith("\x01"):
            id_, above, date, author, subject = word[1:].split("\x02", 4)
            found[id_] = Commit(id_, author, date, subject, {})
            parents[id_] = max(1, len(above.split()))
        elif word.startswith(":"):
            old, new = (one if one.strip("0") else "" for one in word.split(" ")[2:4])
            told.setdefault(id_, {}).setdefault(next(words), []).append((old, new))
    for id_, changes in told.items():
        found[id_].changes.update((path, each[0]) for path, each in changes.items() if len(each) == parents[id_])
    return [commit for commit in found.values() if commit.changes]


def ignored(git: Git, paths: Iterable[str]) -> dict[str, str]:
    """Those of ``paths`` that Git ignores and does not have, each with the line that says so."""
    data = "".join(f"{path}\0" for path in paths).encode(errors="surrogateescape")
    answer = tried(git, ["check-ignore", "-z", "-v", "--stdin"], data=data)
    words = answer.stdout.decode(errors="surrogateescape").split("\0")
    lines = zip(words[::4], words[1::4], words[2::4], words[3::4], strict=False)
    return {path: f"{file}:{line}: {pattern}" for file, line, pattern, path in lines if not pattern.startswith("!")}


def present(git: Git) -> list[str]:
    """The paths that Git has in its index, or would take: not what is ignored."""
    out = ask(git, ["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    return [path for path in out.decode(errors="surrogateescape").split("\0") if path]


def unstaged(git: Git, paths: Sequence[str]) -> list[str]:
    """What is new, or changed since it was staged, at or below these paths; not what is ignored."""
    found: dict[str, None] = {}
    for at in range(0, len(paths), _AT_ONCE):
        some = paths[at : at + _AT_ONCE]
        out = ask(
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
        ask(git, ["--literal-pathspecs", "add", "--pathspec-from-file=-", "--pathspec-file-nul"], data=data)


def version() -> str:
    """The version of Git; SystemFailureError where there is none."""
    words = run(["--version"], cwd=os.sep).stdout.decode(errors="replace").split()
    return words[2] if len(words) > 2 else "unknown"


def settings(git: Git, names: Collection[str]) -> dict[str, str]:
    """Those of Git's own settings that are set."""
    out = tried(git, ["config", "--list", "-z"]).stdout.decode(errors="replace")
    pairs = (item.partition("\n") for item in out.split("\0"))
    return {name: value for name, _, value in pairs if name in names}


def count(git: Git) -> int:
    """How many files Git itself has."""
    return ask(git, ["ls-files", "-z"]).count(b"\0")


def names(git: Git) -> list[str]:
    """The short names of all branches and tags."""
    out = ask(git, ["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes"])
    return out.decode(errors="replace").splitlines()


def refs(git: Git, *, branches: bool = False, tags: bool = False) -> list[str]:
    """The short names of all branches here, then of all tags."""
    kinds = [kind for kind, wanted in (("refs/heads", branches), ("refs/tags", tags)) if wanted]
    return ask(git, ["for-each-ref", "--format=%(refname:short)", *kinds]).decode(errors="replace").splitlines()


def revisions(git: Git, *, branches: bool = False, tags: bool = False, commits: bool = False) -> list[str]:
    """The commits that all branches (here and of Git remotes), all tags, or all history name, in hex."""
    found: list[str] = []
    if commits:
        # HEAD is among them, also where no branch leads to it.
        found += ask(git, ["rev-list", "--all"]).decode().split()
    refs = ask(git, ["for-each-ref", "--format=%(refname)"]).decode(errors="surrogateescape").splitlines()
    names = [ref for ref in refs if (tags if ref.startswith("refs/tags/") else branches)]
    data = "".join(f"{name}^{{commit}}\n" for name in names).encode(errors="surrogateescape")
    lines = ask(git, ["cat-file", "--batch-check=%(objectname) commit"], data=data).decode().splitlines()
    # A tag of something that is no commit is told to be missing.
    found += [line.partition(" ")[0] for line in lines if line.endswith(" commit")]
    return list(dict.fromkeys(found))


def listing(out: bytes) -> list[str]:
    """The words of an answer that ends each with a NUL."""
    return [word for word in out.decode(errors="surrogateescape").split("\0") if word]


_PLAIN = ("-c", "log.showRoot=true", "-c", "log.diffMerges=separate", "-c", "log.showSignature=false")


def log(git: Git, arguments: Sequence[str], *, data: bytes | None = None) -> bytes:
    """What ``git log`` prints, whatever a person's settings would add to it or leave out."""
    return ask(git, [*_PLAIN, "log", *arguments], data=data)
