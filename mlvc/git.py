"""Git, asked through its command line. The only module that knows of it.

All of it goes through plumbing commands, a process each, in batches, which run in the mlvc root: Git
takes paths relative to that, and tells them so. Paths here are relative to the mlvc root, wherever it
lies in the working tree.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mlvc import codec, files
from mlvc.errors import NotARepositoryError, RemoteError, SystemFailureError, UsageError


@dataclass(frozen=True, slots=True)
class Git:
    """One mlvc root in a working tree of a Git repository.

    ``root``: the mlvc root. ``dir``: the Git directory of the working tree. ``common``: the one that all working
    trees of the repository share. All absolute. ``prefix``: the root relative to the top of the working tree, '' for
    the top itself. ``options``: what Git is told where the environment says which repository it is.
    ``environment``: what Git's commands are run in, where that is not the environment of mlvc itself. A bare repository
    has its Git directory as root.
    """

    root: str
    dir: str
    common: str
    prefix: str = ""
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = field(default=None, compare=False, repr=False)

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
        return replace(self, root=os.path.join(self.top, prefix) if prefix else self.top, prefix=prefix)


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


def elsewhere(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for Git's commands in another repository than the one that mlvc was started in."""
    return {name: value for name, value in environment.items() if name not in _OF_THIS_ONE}


def exactly(git: Git) -> Git:
    """The same working tree, whatever the environment says of another one, and without what replaces its objects."""
    clean = {name: value for name, value in os.environ.items() if name not in _PLACES}
    options = (f"--git-dir={git.dir}", f"--work-tree={git.top}", "--no-replace-objects")
    return replace(git, options=options, environment=clean)


def discover(start: str, environment: Mapping[str, str]) -> Git:
    """The working tree that ``start`` lies in, with its top as root; NotARepositoryError where there is none."""
    if any(name in environment for name in _CHOOSING):
        return _chosen(start, environment)
    found = _plain(os.path.realpath(start))
    return _asked(start) if found is None else found


def _asked(start: str, environment: Mapping[str, str] | None = None) -> Git:
    answer = _run(
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


def _run(
    arguments: Sequence[str], *, cwd: str, data: bytes | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=cwd, input=data or b"", capture_output=True, check=False, env=environment
        )
    except FileNotFoundError:
        raise SystemFailureError(
            "git is not installed, or not on the PATH", hint="install Git from https://git-scm.com"
        ) from None


def _tried(git: Git, arguments: Sequence[str], *, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """A Git command in the root, however it ends; NotARepositoryError where Git does not trust the repository."""
    answer = _run([*git.options, *arguments], cwd=git.root, data=data, environment=git.environment)
    if answer.returncode and b"dubious ownership" in answer.stderr:
        raise _distrusted(answer.stderr.decode(errors="replace"), git.top)
    return answer


def _ask(git: Git, arguments: Sequence[str], *, data: bytes | None = None) -> bytes:
    """What a Git command prints; SystemFailureError with what it complains of."""
    return _said(_tried(git, arguments, data=data), arguments)


def _said(answer: subprocess.CompletedProcess[bytes], arguments: Sequence[str]) -> bytes:
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip()
        if "from promisor remote" in said:
            raise SystemFailureError(
                "this clone is partial, and Git cannot get from its remote what the clone lacks",
                hint="run it again when the Git remote can be reached",
            )
        name = next(word for word in arguments if not word.startswith("-"))
        first = said.removeprefix("fatal: ").splitlines()
        raise SystemFailureError(f"git {name} failed: {first[0] if first else answer.returncode}")
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
    return _tried(git, ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"])


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
    return _tried(git, ["rev-parse", "--verify", "--quiet", "HEAD"]).returncode == 0


def listed(git: Git, patterns: Sequence[str]) -> list[str]:
    """Paths in the working tree that match: known to Git, or new and not ignored."""
    out = _ask(git, ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns])
    names = dict.fromkeys(out.decode(errors="surrogateescape").split("\0"))
    return [name for name in names if name]


def is_sparse(git: Git) -> bool:
    """Whether the working tree is, or once was, a sparse checkout."""
    return os.path.exists(os.path.join(git.dir, "info", "sparse-checkout"))


def skipped(git: Git, paths: Sequence[str]) -> set[str]:
    """Those of ``paths`` that Git has and keeps out of the working tree: a sparse checkout."""
    found: set[str] = set()
    for at in range(0, len(paths), _AT_ONCE):
        out = _ask(git, ["--literal-pathspecs", "ls-files", "-z", "-t", "--cached", "--", *paths[at : at + _AT_ONCE]])
        words = out.decode(errors="surrogateescape").split("\0")
        found.update(word[2:] for word in words if word.startswith("S "))
    return found


def tree(git: Git, revision: str) -> dict[str, str]:
    """Path to object id of every file of the root at a revision."""
    out = _ask(git, ["ls-tree", "-r", "-z", revision])
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
    every = ["log", "--all", "--reflog", "-m", "--format=", "--raw", "--no-abbrev", "--no-renames", "--relative", "-z"]
    out = _ask(git, ["--literal-pathspecs", *every, "--", *paths])
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
    every = ["log", "--relative", "--topo-order", "-m", "--raw", "--no-abbrev", "--no-renames", "-z"]
    out = _ask(git, [*every, "--format=%x01%H%x02%P%x02%aI%x02%an%x02%s", "--", *patterns])
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
    answer = _tried(git, ["check-ignore", "-z", "-v", "--stdin"], data=data)
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
    out = _tried(git, ["config", "--list", "-z"]).stdout.decode(errors="replace")
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
    found: list[str] = []
    if commits:
        # HEAD is among them, also where no branch leads to it.
        found += _ask(git, ["rev-list", "--all"]).decode().split()
    refs = _ask(git, ["for-each-ref", "--format=%(refname)"]).decode(errors="surrogateescape").splitlines()
    names = [ref for ref in refs if (tags if ref.startswith("refs/tags/") else branches)]
    data = "".join(f"{name}^{{commit}}\n" for name in names).encode(errors="surrogateescape")
    lines = _ask(git, ["cat-file", "--batch-check=%(objectname) commit"], data=data).decode().splitlines()
    # A tag of something that is no commit is told to be missing.
    found += [line.partition(" ")[0] for line in lines if line.endswith(" commit")]
    return list(dict.fromkeys(found))


# -- other repositories ------------------------------------------------------------------------

_ASKED = "refs/mlvc/asked"
_NAME = re.compile(r"\w[\w./-]*")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REACHED_BY_HISTORY = re.compile(r"[0-9a-f]{4,64}|.*-g[0-9a-f]{4,64}|.*[~^@{:].*")
_ALL_HISTORY = "--depth=2147483647"


def bare(path: str, environment: Mapping[str, str]) -> Git | None:
    """The bare repository that the directory ``path`` is; None where it is none."""
    clean = elsewhere(environment)
    answer = _run(["rev-parse", "--is-bare-repository", "--absolute-git-dir"], cwd=path, environment=clean)
    said, _, place = answer.stdout.decode(errors="surrogateescape").rstrip("\n").partition("\n")
    place = os.path.realpath(place)
    # Only this directory itself: every directory below a bare repository would be one, too.
    return Git(place, place, place, environment=clean) if said == "true" and place == os.path.realpath(path) else None


def fetched(url: str, revision: str, place: str, environment: Mapping[str, str]) -> tuple[Git, str]:
    """A bare repository at ``place`` with a revision of the one at ``url`` (none: its default branch), and the commit.

    It is made when there is none yet. It has commits and directories, of files only what ``bring`` brings. Only that
    commit is fetched; the history too where it takes that to tell which commit is meant. RemoteError where Git cannot
    get it, UsageError where there is no such revision. After a crash the next call begins anew.
    """
    clean = elsewhere(environment) | {"LC_ALL": "C"}
    files.make_dirs(os.path.dirname(place))
    found = Git(place, place, place, environment=clean)
    with files.exclusive(f"{place}.held"):
        if not os.path.exists(place):
            _copy(url, place, clean)
        return found, _fetch(found, url, revision or "HEAD")


def _copy(url: str, place: str, environment: Mapping[str, str]) -> None:
    temporary = f"{place}.new"
    files.remove_tree(temporary)
    words = ["clone", "--quiet", "--bare", "--depth=1", "--no-tags", "--filter=blob:none", "--", url, temporary]
    answer = _run(words, cwd=os.path.dirname(place), environment=environment)
    if answer.returncode:
        files.remove_tree(temporary)
        raise _unreachable(url, answer)
    # It may hold a password. Each fetch is told the address anew.
    _ask(Git(temporary, temporary, temporary, environment=environment), ["config", "--unset", "remote.origin.url"])
    os.rename(temporary, place)


def _fetch(git: Git, url: str, revision: str) -> str:
    """Bring the commit that ``revision`` names; in hex."""
    if _DIGEST.fullmatch(revision):
        here = _run(["rev-list", "--no-walk", "--missing=print", revision], cwd=git.root, environment=git.environment)
        if here.returncode == 0 and here.stdout.decode().strip() == revision:
            return revision
    if _NAME.fullmatch(revision):
        answer = _far(git, url, ["--depth=1", "origin", f"+{revision}:{_ASKED}"])
        if answer.returncode == 0 and is_revision(git, _ASKED):
            return resolve(git, _ASKED)
        if not _is_unknown(answer):
            raise _unreachable(url, answer)
    if _REACHED_BY_HISTORY.fullmatch(revision):
        both = [f"+refs/{kind}/*:refs/{kind}/*" for kind in ("heads", "tags")]
        answer = _far(git, url, [_ALL_HISTORY, "--prune", "origin", *both])
        if answer.returncode:
            raise _unreachable(url, answer)
        if is_revision(git, revision):
            return resolve(git, revision)
    if revision == "HEAD":
        raise UsageError(f"{url} has no commits yet", hint="commit there and push, then run this again")
    raise UsageError(f"'{revision}' is no revision of {url}", hint=f"`git ls-remote {url}` lists its branches and tags")


def bring(git: Git, url: str, commit: str, ids: Iterable[str]) -> None:
    """Get those of the files ``ids`` of a commit that are not here yet, with one request."""
    words = ["rev-list", "--objects", "--no-walk", "--no-object-names", "--missing=print", commit]
    missing = {line[1:] for line in _ask(git, words).decode().splitlines() if line.startswith("?")}
    wanted = sorted(missing.intersection(ids))
    if wanted:
        answer = _far(git, url, ["--stdin", "origin"], data="".join(f"{id_}\n" for id_ in wanted).encode())
        if answer.returncode:
            raise _unreachable(url, answer)


def _far(git: Git, url: str, words: Sequence[str], data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    # Nothing is thrown away: another process may be reading an older commit.
    settings = (f"remote.origin.url={url}", "fetch.negotiationAlgorithm=noop", "gc.auto=0", "maintenance.auto=false")
    options = [word for setting in settings for word in ("-c", setting)]
    every = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none", "--update-head-ok"]
    return _run([*options, *every, *words], cwd=git.root, data=data, environment=git.environment)


def _is_unknown(answer: subprocess.CompletedProcess[bytes]) -> bool:
    """Whether a fetch failed because there is no such revision."""
    said = answer.stderr.decode(errors="replace")
    return answer.returncode == 0 or any(word in said for word in ("find remote ref", "not our ref", "unadvertised"))


def _unreachable(url: str, answer: subprocess.CompletedProcess[bytes]) -> RemoteError:
    lines = answer.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {answer.returncode}"]
    said = next((line for line in lines if line.startswith(("fatal: ", "ssh: "))), lines[0])
    shown = re.sub(r"//[^/@\s]*@", "//", said.removeprefix("fatal: ").rstrip("."))
    return RemoteError(
        f"Git cannot read {re.sub('//[^/@]*@', '//', url)}: {shown}",
        hint="is the address right, and may you read it? `git ls-remote URL` tries the same",
    )


# -- merges, commits and pushes, as hooks see them ---------------------------------------------


def unmerged(git: Git, patterns: Sequence[str]) -> dict[str, dict[int, str]]:
    """Of each matching path that Git could not merge, the object ids: 1 of the base, 2 of our side, 3 of theirs."""
    found: dict[str, dict[int, str]] = {}
    for line in _listing(_ask(git, ["ls-files", "-z", "--unmerged", "--", *patterns])):
        head, _, path = line.partition("\t")
        _, id_, stage_ = head.split(" ")
        found.setdefault(path, {})[int(stage_)] = id_
    return found


def staged(git: Git) -> dict[str, str]:
    """The object id of every file that the next commit adds or modifies."""
    out = _ask(
        git, ["diff", "--cached", "--relative", "--raw", "-z", "--no-abbrev", "--no-renames", "--diff-filter=AMT"]
    )
    words = _listing(out)
    changes = ((change.split(" "), path) for change, path in zip(words[::2], words[1::2], strict=True))
    return {path: parts[3] for parts, path in changes if parts[1].startswith(_FILE_MODE)}


_FILE_MODE = "100"
"""How the mode of a file begins: a link or a submodule has another one."""


def sizes(git: Git, ids: Iterable[str]) -> dict[str, int]:
    """The sizes in bytes of Git objects, by id."""
    asked = "".join(f"{id_}\n" for id_ in ids).encode()
    out = _ask(git, ["cat-file", "--batch-check=%(objectname) %(objectsize)"], data=asked) if asked else b""
    rows = (line.split(" ") for line in out.decode().splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def introduced(git: Git, tips: Sequence[str], there: Sequence[str], remote: str, patterns: Sequence[str]) -> Versions:
    """Path and object id of each matching file that commits bring to a Git remote, which has ``there`` already."""
    form = ["--format=", "--relative", "--raw", "--no-abbrev", "--no-renames", "-m", "-z", "--root", "--ignore-missing"]
    data = "".join([*(f"{tip}\n" for tip in tips), *(f"^{id_}\n" for id_ in there)]).encode()
    out = _ask(
        git,
        ["log", "--no-show-signature", *form, "--stdin", "--not", f"--remotes={remote}", "--", *patterns],
        data=data,
    )
    words = _listing(out.lstrip(b"\n"))
    rows = ((change.split(" ")[3], path) for change, path in zip(words[::2], words[1::2], strict=True))
    return {(path, id_) for id_, path in rows if id_.strip("0")}


Versions = set[tuple[str, str]]


def parents(git: Git) -> list[str]:
    """The commits that the next commit builds upon: HEAD, and what is being merged or picked."""
    found = []
    for name in ("HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REBASE_HEAD", "REVERT_HEAD"):
        answer = _parse(git, name)
        if not answer.returncode:
            found.append(answer.stdout.decode().strip())
    return found


def committed(git: Git, path: str) -> bytes:
    """A file as HEAD has it; empty where it has none."""
    answer = _tried(git, ["cat-file", "blob", f"HEAD:./{path}"])
    return b"" if answer.returncode else answer.stdout


def _listing(out: bytes) -> list[str]:
    return [word for word in out.decode(errors="surrogateescape").split("\0") if word]


# -- the repository's own settings -------------------------------------------------------------


def hooks_dir(git: Git) -> str:
    """Where Git looks for hooks: ``core.hooksPath``, or the directory that all working trees share."""
    out = _ask(git, ["rev-parse", "--path-format=absolute", "--git-path", "hooks"])
    return os.path.normpath(os.path.join(git.root, out.decode(errors="surrogateescape").removesuffix("\n")))


def setting(git: Git, name: str) -> str | None:
    """A setting in the repository's own file; None where it is not there."""
    answer = _tried(git, ["config", "--local", "--get", name])
    return None if answer.returncode else answer.stdout.decode(errors="surrogateescape").removesuffix("\n")


def set_setting(git: Git, name: str, value: str) -> None:
    """Change a setting in the repository's own file."""
    _ask(git, ["config", "--local", "--replace-all", name, value])


def drop_settings(git: Git, section: str) -> bool:
    """Remove a section from the repository's own file. Whether it was there."""
    return not _tried(git, ["config", "--local", "--remove-section", section]).returncode


# -- all that a repository has -----------------------------------------------------------------

_PLAIN_LOG = ("-c", "log.showRoot=true", "-c", "log.diffMerges=separate", "-c", "log.showSignature=false")
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
    answer = _run(["config", "--file", os.path.join(common, "config"), "--get", "core.bare"], cwd=common)
    if answer.stdout.strip() == b"true":
        return None
    answer = _run(["config", "--file", os.path.join(common, "config"), "--get", "core.worktree"], cwd=common)
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
    return b"\n".join([_ask(git, ["for-each-ref", "--format=%(objectname) %(refname)"]), *heads])


def ever(git: Git, patterns: Sequence[str]) -> dict[str, str]:
    """Object id to path of every file that matches in anything that Git can still get at.

    All commits that a ref, a HEAD, the stash or a reflog of any working tree leads to, and trees that a tag names.
    """
    starts = [word for tree_ in worktrees(git) for word in _beside(tree_.dir)]
    every = ["log", "--all", "--reflog", "--ignore-missing", "--full-history", *starts]
    shown = ["-m", "--format=", "--raw", "--no-abbrev", "--no-renames", "-z", "--", *patterns]
    out = _ask(git, [*_PLAIN_LOG, *every, *shown])
    found: dict[str, str] = {}
    words = iter(out.decode(errors="surrogateescape").split("\0"))
    for word in words:
        change = word.lstrip("\n")
        if change.startswith(":"):
            path = next(words)
            before, after, old, new, _ = change[1:].split(" ")
            found.update((id_, path) for mode, id_ in ((before, old), (after, new)) if mode.startswith("100"))
    for line in _ask(
        exactly(git), ["for-each-ref", "--format=%(objecttype) %(*objecttype) %(objectname)"]
    ).splitlines():
        kinds, _, id_ = line.decode().rpartition(" ")
        if "tree" in kinds.split(" "):
            listed_ = _ask(git, ["ls-tree", "-r", "-z", "--full-tree", id_]).decode(errors="surrogateescape")
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
    out = _ask(git, ["ls-files", "--stage", "-z", "--", *patterns])
    lines = [line.partition("\t") for line in out.decode(errors="surrogateescape").split("\0") if line]
    return {head.split(" ")[1]: path for head, _, path in lines if head.startswith("100")}


def commit_with(git: Git, id_: str) -> str:
    """A commit that has the blob ``id_``, in short; '' where none is found."""
    found = _ask(git, ["log", "--all", "--reflog", "-1", "--format=%h", f"--find-object={id_}"])
    return found.decode().strip()


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
            gap = "" if not old or old.endswith(b"\n") else "\n"
            files.replace(full, old + codec.ending_as(gap + "".join(f"{line}\n" for line in new), old))
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
