"""What Git calls: its hooks, the merge driver, and what `git diff` shows of a Pointer.

``python -m mlvc.hooks NAME ...``, as ``mlvc install`` has told Git. A hook starts with every checkout, so this module
loads nothing but the standard library's least, and asks Git the cheapest question first: whether a Pointer or the
Lockfile differs at all. What the hooks then do is in ``api/githooks`` and ``api/merge``.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # what typing says, without the time to import it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mlvc.api.githooks import Brought
    from mlvc.repo import Repo

CONFLICT = 2
"""The exit code of a merge driver that has written conflict markers. All else that is not 0 is a driver that failed."""
FAILED = 1
_ANSWER_OF_GIT = ("git", "diff-tree", "--quiet", "-r", "--no-renames")
_PATTERNS = ("*.mlvc", "mlvc.lock")
_LISTED = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what Git asks for. Returns the exit code that Git wants."""
    name, *given = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name in _FILTERS:
        return _guarded(name, lambda: _FILTERS[name](given))
    # Git starts its hooks at the top of the working tree.
    if name not in _HOOKS or os.environ.get("MLVC_HOOKS") == "0" or not os.path.exists(".mlvc/config.toml"):
        return 0
    return _guarded(name, lambda: _HOOKS[name](given))


# -- the hooks ---------------------------------------------------------------------------------


def _post_checkout(given: Sequence[str]) -> int:
    old, new, whole = given if len(given) == 3 else _of_framework("FROM_REF", "TO_REF", "CHECKOUT_TYPE")
    # Files that were named on the command line are the person's choice. A new working tree has no commit before.
    if whole != "1" or old == new:
        return 0
    if not old.strip("0"):
        return _bring("", during_rebase=False)
    return 0 if _is_unchanged(old, new) else _bring(old, during_rebase=False)


def _post_merge(given: Sequence[str]) -> int:
    (squash,) = given or _of_framework("IS_SQUASH_MERGE")
    if squash == "1":
        return _bring("HEAD", during_rebase=False)
    return 0 if _is_unchanged("ORIG_HEAD", "HEAD") else _bring("ORIG_HEAD", during_rebase=False)


def _post_rewrite(given: Sequence[str]) -> int:
    (command,) = given or _of_framework("REWRITE_COMMAND")
    return _bring("ORIG_HEAD", during_rebase=True) if command == "rebase" else 0


def _pre_commit(_: Sequence[str]) -> int:
    from mlvc.api import githooks  # noqa: PLC0415  (nothing before it is known to be needed)

    with _opened() as repo:
        found = githooks.refusals(repo)
    for refusal in found:
        _say(f"mlvc: {_clean(refusal.message)}")
        _say(f"hint: {refusal.hint}")
    if found:
        _say(f"hint: {_WAY_ON['pre-commit']}")
    return FAILED if found else 0


def _pre_push(given: Sequence[str]) -> int:
    from mlvc.api import githooks, lost  # noqa: PLC0415

    if given:
        remote, lines = given[0], [line.split() for line in sys.stdin]
    else:
        remote, new, old = _of_framework("REMOTE_NAME", "TO_REF", "FROM_REF")
        lines = [["", new, "", old]]
    tips = [line[1] for line in lines if line[1].strip("0")]
    there = [line[3] for line in lines if line[3].strip("0")]
    if not tips:
        return 0
    with _opened() as repo:
        if not repo.config.get("hooks.push"):
            return 0
        missing = githooks.push_commits(repo, tips, there, remote, progress=_Notes())
    _list(f"{reason}  {path}" for path, reason in missing.items())
    error = lost.check(missing, "pushed")
    if error is not None:
        raise error
    return 0


def _bring(before: str, *, during_rebase: bool) -> int:
    """Bring along the data of what differs between a revision and the Pointers that are here."""
    from mlvc import git  # noqa: PLC0415
    from mlvc.api import githooks  # noqa: PLC0415

    with _opened() as repo:
        state = next((p for p in ("rebase-merge", "rebase-apply") if os.path.isdir(f"{repo.git.dir}/{p}")), "")
        if state and not during_rebase:
            return 0  # data come along when it ends; what it stops at is only on the way
        if state and os.path.exists(f"{repo.git.dir}/{state}/orig-head"):
            with open(f"{repo.git.dir}/{state}/orig-head", encoding="ascii") as file:
                before = file.read().strip()
        if before and not git.is_revision(repo.git, before):
            before = ""
        found = githooks.bring(repo, before, progress=_Notes())
    if found is not None:
        _tell(found)
    return 0


def _tell(found: Brought) -> None:
    kinds = [change.kind for change in found.done.changes]
    if kinds:
        counts = [(kinds.count(kind), kind) for kind in ("added", "modified", "deleted", "renamed")]
        _say("mlvc: working tree: " + ", ".join(f"{count:,} {kind}" for count, kind in counts if count))
    for path in found.done.kept:
        _say(f"mlvc: kept {_clean(path)}, which is not tracked")
    for error in found.done.unreadable:
        _say(f"mlvc: {_clean(error.message)}")
        _say(f"hint: {error.hint}")
    if found.trouble is not None:
        _say(f"mlvc: not fetched: {_clean(found.trouble.message)}")
    if found.done.lost:
        _list(f"{reason}  {path}" for path, reason in found.done.lost.items())
        _say("hint: `mlvc pull` gets what is not in the store")


def _is_unchanged(old: str, new: str) -> bool:
    """Whether two commits have the same Pointers and Lockfile. False also where Git cannot tell."""
    # Without the module subprocess, which takes longer to import than Git takes to answer. `git --literal-pathspecs`
    # tells its hooks to take patterns for names.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_PATHSPECS")}
    command = [*_ANSWER_OF_GIT, old, new, "--", *_PATTERNS]
    return os.spawnvpe(os.P_WAIT, "git", command, environment) == 0  # noqa: S606  (as told)


def _of_framework(*names: str) -> list[str]:
    """What Git told the pre-commit framework, which calls hooks without arguments."""
    return [os.environ.get(f"PRE_COMMIT_{name}", "") for name in names]


_HOOKS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "post-checkout": _post_checkout,
    "post-merge": _post_merge,
    "post-rewrite": _post_rewrite,
    "pre-commit": _pre_commit,
    "pre-push": _pre_push,
}

# -- merge driver and textconv -----------------------------------------------------------------


def _merge(given: Sequence[str]) -> int:
    return _driver(given, inner=False)


def _merge_inner(given: Sequence[str]) -> int:
    return _driver(given, inner=True)


def _driver(given: Sequence[str], *, inner: bool) -> int:
    """Merge the files ``base``, ``ours`` and ``theirs`` into ``ours``, or leave conflict markers there."""
    from mlvc.api import merge  # noqa: PLC0415

    base, ours, theirs, size, name = given
    sides = (_bytes(base), _bytes(ours), _bytes(theirs))
    try:
        with _opened() as repo:
            done = merge.driver(repo, name, sides, inner=inner)
    except Exception as error:  # noqa: BLE001  (whatever it is, no side is to win by it)
        _say(f"mlvc: {_clean(name)} is not merged: {_clean(_told(error))}")
        done = merge.Outcome(None)
    if done.data is None and not inner:
        _tell_conflict(name, done.conflicts)
    for stage in done.rerun if not inner else ():
        _say(f"mlvc: both sides changed stage '{_clean(stage)}' in {name}: `mlvc repro` runs it again")
    with open(ours, "wb") as file:
        file.write(merge.markers(sides[1], sides[2], int(size)) if done.data is None else done.data)
    return CONFLICT if done.data is None else 0


def _tell_conflict(name: str, conflicts: Sequence[str]) -> None:
    path = name.removesuffix(".mlvc")
    _list(f"both sides changed  {path}/{inner}" if inner else f"both sides changed  {path}" for inner in conflicts)
    _say(f"hint: end it with `mlvc resolve {_clean(path)}` and one of --ours, --theirs, --working")


def _textconv(given: Sequence[str]) -> int:
    """Print a Pointer as text to compare; what is no Pointer, or is in no repository of mlvc, as it is."""
    data = _bytes(given[0])
    try:
        from mlvc import pointer  # noqa: PLC0415
        from mlvc.api import githooks  # noqa: PLC0415

        found = pointer.decode(data, given[0])
        with _opened() as repo:
            data = githooks.described(repo, found).encode(errors="surrogateescape")
    except Exception:  # noqa: BLE001, S110  (a person reads the file itself then)
        pass
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    return 0


_FILTERS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "merge": _merge,
    "merge-inner": _merge_inner,
    "textconv": _textconv,
}


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


# -- what a person sees ------------------------------------------------------------------------

_WAY_ON = {
    "pre-commit": "`git commit --no-verify` commits all the same",
    "pre-push": "`git push --no-verify` pushes without the data",
}


def _guarded(name: str, work: Callable[[], int]) -> int:
    """Run a hook. What goes wrong is one sentence that names the hook, and how to go on without it."""
    try:
        return work()
    except KeyboardInterrupt:
        _say(f"mlvc: the {name} hook was interrupted; nothing is lost")
        return 130
    except Exception as error:  # noqa: BLE001  (no traceback reaches a user)
        from mlvc.errors import MlvcError  # noqa: PLC0415

        _say(f"mlvc: the {name} hook failed: {_clean(_told(error))}")
        if isinstance(error, MlvcError) and error.hint:
            _say(f"hint: {error.hint}")
        _say(f"hint: {_WAY_ON.get(name, 'the environment variable MLVC_HOOKS=0 switches the hooks off')}")
        return FAILED


def _told(error: Exception) -> str:
    from mlvc.errors import MlvcError  # noqa: PLC0415

    if isinstance(error, (MlvcError, OSError)):
        return str(error)
    return f"this is a bug in mlvc: {type(error).__name__}: {error}"


def _list(lines: Iterable[str]) -> None:
    every = list(lines)
    for line in every[:_LISTED]:
        _say("  " + _clean(line))
    if len(every) > _LISTED:
        _say(f"  … and {len(every) - _LISTED:,} more")


def _clean(text: str) -> str:
    """Text on one line, whatever characters a name has."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogateescape").decode() for c in text)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _opened() -> Repo:
    from mlvc.repo import open_repo  # noqa: PLC0415

    return open_repo(os.getcwd(), os.environ)


class _Notes:
    """Tells what is noted, and no progress: Git has the terminal."""

    def start(self, label: str, *, objects: int = 0, total: int = 0) -> None:
        """See Progress."""

    def advance(self, *, objects: int = 0, size: int = 0) -> None:
        """See Progress."""

    def note(self, message: str) -> None:
        """See Progress."""
        _say(_clean(message))

    def finish(self) -> None:
        """See Progress."""


if __name__ == "__main__":
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # what Python would take apart before it ends is closed and written by now
