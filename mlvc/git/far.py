"""Other repositories of Git, by URL: what is asked for is fetched into a bare one of mlvc's own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from mlvc import files
from mlvc.errors import RemoteError, UsageError
from mlvc.git import Git, ask, elsewhere, is_revision, resolve, run

_ASKED = "refs/mlvc/asked"
_NAME = re.compile(r"\w[\w./-]*")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REACHED_BY_HISTORY = re.compile(r"[0-9a-f]{4,64}|.*-g[0-9a-f]{4,64}|.*[~^@{:].*")
_ALL_HISTORY = "--depth=2147483647"


def bare(path: str, environment: Mapping[str, str]) -> Git | None:
    """The bare repository that the directory ``path`` is; None where it is none."""
    clean = elsewhere(environment)
    answer = run(["rev-parse", "--is-bare-repository", "--absolute-git-dir"], cwd=path, environment=clean)
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
    answer = run(words, cwd=os.path.dirname(place), environment=environment)
    if answer.returncode:
        files.remove_tree(temporary)
        raise _unreachable(url, answer)
    # It may hold a password. Each fetch is told the address anew.
    ask(Git(temporary, temporary, temporary, environment=environment), ["config", "--unset", "remote.origin.url"])
    os.rename(temporary, place)


def _fetch(git: Git, url: str, revision: str) -> str:
    """Bring the commit that ``revision`` names; in hex."""
    if _DIGEST.fullmatch(revision):
        here = run(["rev-list", "--no-walk", "--missing=print", revision], cwd=git.root, environment=git.environment)
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
    missing = {line[1:] for line in ask(git, words).decode().splitlines() if line.startswith("?")}
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
    return run([*options, *every, *words], cwd=git.root, data=data, environment=git.environment)


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
