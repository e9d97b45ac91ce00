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
    from mlvc.git import Git
    from mlvc.repo import Repo

    Work = Callable[[Repo, Mapping[str, str]], int]

CONFLICT = 2
"""The exit code of a merge driver that has written conflict markers. All else that is not 0 is a driver that failed."""
FAILED = 1
_ANSWER_OF_GIT = ("git", "diff-tree", "--quiet", "-r", "--no-renames")
_PATTERNS = ("*.mlvc", "mlvc.lock", "*/mlvc.lock")
_LISTED = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what Git asks for. Returns the exit code that Git wants."""
    name, *given = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name in _FILTERS:
        return _guarded(name, lambda: _FILTERS[name](given))
    if name not in _HOOKS or os.environ.get("MLVC_HOOKS") == "0":
        return 0
    code = _guarded(name, lambda: _HOOKS[name](given))
    if code == FAILED:
        _say(f"hint: {_WAY_ON.get(name, _AFTER)}")
    return code


# -- the hooks ---------------------------------------------------------------------------------


def _post_checkout(given: Sequence[str]) -> int:
    old, new, whole = given if len(given) == 3 else _of_framework("FROM_REF", "TO_REF", "CHECKOUT_TYPE")
    # Files that were named on the command line are the person's choice. An orphan branch has no commit to go to.
    if whole != "1" or old == new or not new.strip("0"):
        return 0
    if not old.strip("0"):  # a new working tree
        return _bring("post-checkout", "")
    return 0 if _is_unchanged(old, new) else _bring("post-checkout", old)


def _post_merge(given: Sequence[str]) -> int:
    (squash,) = given or _of_framework("IS_SQUASH_MERGE")
    if squash == "1":
        return _bring("post-merge", "HEAD")
    return 0 if _is_unchanged("ORIG_HEAD", "HEAD") else _bring("post-merge", "ORIG_HEAD")


def _post_rewrite(given: Sequence[str]) -> int:
    (command,) = given or _of_framework("REWRITE_COMMAND")
    if command != "rebase":
        return 0
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")  # instead of Git's progress, which does not end its line
    return _bring("post-rewrite", "ORIG_HEAD", during_rebase=True)


def _pre_commit(_: Sequence[str]) -> int:
    from mlvc.git import hooked  # noqa: PLC0415  (nothing before it is known to be needed)

    top = _top()
    if top is None:
        return 0
    staged = hooked.staged(top)

    def work(repo: Repo, names: Mapping[str, str]) -> int:
        from mlvc.api import githooks  # noqa: PLC0415  (only where there is a root)

        found = githooks.refusals(repo, {own: staged[given] for own, given in names.items()})
        for refusal in found:
            _say(f"mlvc: {_where(repo.git)}{_clean(refusal.message)}")
            _say(f"hint: {refusal.hint}")
        return FAILED if found else 0

    return _each("pre-commit", top, staged, work)


def _pre_push(given: Sequence[str]) -> int:
    from mlvc.git import hooked  # noqa: PLC0415
    from mlvc.snapshot import ANYWHERE  # noqa: PLC0415

    if given:
        remote, lines = given[0], [line.split() for line in sys.stdin]
    else:
        remote, new, old = _of_framework("REMOTE_NAME", "TO_REF", "FROM_REF")
        lines = [["", new, "", old]]
    tips = [line[1] for line in lines if line[1].strip("0")]
    there = [line[3] for line in lines if line[3].strip("0")]
    top = _top() if tips else None
    if top is None:
        return 0
    versions = hooked.introduced(top, tips, there, remote, ANYWHERE)

    def work(repo: Repo, names: Mapping[str, str]) -> int:
        from mlvc.api import githooks, lost  # noqa: PLC0415

        if not repo.config.get("hooks.push"):
            return 0
        here = {given: own for own, given in names.items()}
        mine = {(here[path], id_) for path, id_ in versions if path in here}
        missing = githooks.push_versions(repo, mine, progress=_Notes(repo))
        _list(f"{reason}  {path}" for path, reason in missing.items())
        error = lost.check(missing, "pushed")
        if error is not None:
            raise error
        return 0

    code = _each("pre-push", top, {path for path, _ in versions}, work)
    return code or _of_other_branches(top, tips, {path for path, _ in versions})


def _of_other_branches(top: Git, tips: Sequence[str], names: Iterable[str]) -> int:
    """Refuse a push of what is tracked by a root that is not in the working tree: its settings are not known here."""
    from mlvc.api import githooks  # noqa: PLC0415

    error = githooks.unknown_roots(top, tips, names, os.environ)
    if error is not None:
        raise error
    return 0


def _bring(name: str, before: str, *, during_rebase: bool = False) -> int:
    """Bring along the data of what differs between a revision and the Pointers that are here, in every root."""
    from mlvc import git  # noqa: PLC0415
    from mlvc.git import hooked  # noqa: PLC0415
    from mlvc.roots import roots  # noqa: PLC0415
    from mlvc.snapshot import ANYWHERE  # noqa: PLC0415

    top = _top()
    if top is None:
        return 0
    state = next((p for p in ("rebase-merge", "rebase-apply") if os.path.isdir(f"{top.dir}/{p}")), "")
    if state and not during_rebase and not _is_last(f"{top.dir}/{state}"):
        return 0  # data come along when it ends; what it stops at is only on the way
    if state and os.path.exists(f"{top.dir}/{state}/orig-head"):
        with open(f"{top.dir}/{state}/orig-head", encoding="ascii") as file:
            before = file.read().strip()
    if before and not git.is_revision(top, before):
        before = ""

    def work(repo: Repo, _: Mapping[str, str]) -> int:
        from mlvc.api import githooks  # noqa: PLC0415

        found = githooks.bring(repo, before, progress=_Notes(repo))
        if found is not None:
            _tell(repo, found)
        return 0

    if before:
        return _each(name, top, hooked.differing(top, before, ANYWHERE), work)
    return _each(name, top, (f"{prefix}/mlvc.lock".lstrip("/") for prefix in sorted(roots(top))), work)


def _is_last(state: str) -> bool:
    """Whether a rebase has nothing to pick: it ends without calling a hook once more."""
    try:
        with open(f"{state}/git-rebase-todo", "rb") as todo:
            return os.path.exists(f"{state}/done") and all(
                line.startswith(b"#") for line in todo.read().split(b"\n") if line
            )
    except FileNotFoundError:
        return False


def _each(name: str, top: Git, paths: Iterable[str], work: Work) -> int:
    """Do the work of a hook in each root that one of ``paths`` belongs to. What fails in one is no matter to the next.

    ``work`` gets the paths of its root, as they are called there, with the names that were given.
    """
    from mlvc.roots import by_root  # noqa: PLC0415

    worst = 0
    for prefix, names in by_root(top, paths).items():
        code = _in_root(name, top.below(prefix), names, work)
        if code not in (0, FAILED):
            return code  # interrupted
        worst = worst or code
    return worst


def _in_root(name: str, root: Git, names: Mapping[str, str], work: Work) -> int:
    def opened() -> int:
        with _opened(root) as repo:
            return work(repo, names)

    return _guarded(name, opened, _where(root))


def _tell(repo: Repo, found: Brought) -> None:
    where = _where(repo.git)
    kinds = [change.kind for change in found.done.changes]
    if kinds:
        counts = [(kinds.count(kind), kind) for kind in ("added", "modified", "deleted", "renamed")]
        _say(f"mlvc: {where}working tree: " + ", ".join(f"{count:,} {kind}" for count, kind in counts if count))
    for path in found.done.kept:
        _say(f"mlvc: {where}kept {_clean(path)}, which is not tracked")
    for error in found.done.unreadable:
        _say(f"mlvc: {where}{_clean(error.message)}")
        _say(f"hint: {error.hint}")
    if found.trouble is not None:
        _say(f"mlvc: {where}not fetched: {_clean(found.trouble.message)}")
    if found.done.lost:
        _list(f"{reason}  {path}" for path, reason in found.done.lost.items())
        _say(f"hint: {where}`mlvc pull` gets what is not in the store")


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
    root, own = None, name
    try:
        root, own = _owner(name)
        with _opened(root) as repo:
            done = merge.driver(repo, own, sides, inner=inner)
    except Exception as error:  # noqa: BLE001  (whatever it is, no side is to win by it)
        _say(f"mlvc: {_clean(name)} is not merged: {_clean(_told(error))}")
        done = merge.Outcome(None)
    if done.data is None and not inner:
        _tell_conflict(root, own, done.conflicts)
    for stage in done.rerun if not inner else ():
        _say(f"mlvc: both sides changed stage '{_clean(stage)}' in {_clean(name)}: `mlvc repro` runs it again")
    with open(ours, "wb") as file:
        file.write(merge.markers(sides[1], sides[2], int(size)) if done.data is None else done.data)
    return CONFLICT if done.data is None else 0


def _owner(name: str) -> tuple[Git, str]:
    """The root that a file of the working tree belongs to, and what the file is called there."""
    from mlvc import git  # noqa: PLC0415
    from mlvc.errors import NotARepositoryError  # noqa: PLC0415
    from mlvc.roots import by_root  # noqa: PLC0415

    top = git.discover(os.getcwd(), os.environ)
    for prefix, names in by_root(top, [name]).items():
        return top.below(prefix), next(iter(names))
    raise NotARepositoryError("mlvc is not set up around it in this working tree")


def _tell_conflict(root: Git | None, name: str, conflicts: Sequence[str]) -> None:
    path = name.removesuffix(".mlvc")
    _list(f"both sides changed  {path}/{inner}" if inner else f"both sides changed  {path}" for inner in conflicts)
    typed = path if root is None else os.path.relpath(path, _standing(root) or ".")
    where = "" if root is None else _where(root)
    _say(f"hint: {where}end it with `mlvc resolve {_quoted(typed)}` and one of --ours, --theirs, --working")


def _textconv(given: Sequence[str]) -> int:
    """Print a Pointer as text to compare; what is no Pointer, or is in no repository of mlvc, as it is."""
    data = _bytes(given[0])
    try:
        from mlvc import pointer  # noqa: PLC0415
        from mlvc.api import githooks  # noqa: PLC0415

        found = pointer.decode(data, given[0])
        for root in _candidates():
            with _opened(root) as repo:
                text = githooks.described(repo, found)
            if text is not None:
                data = text.encode(errors="surrogateescape")
                break
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


def _candidates() -> Iterable[Git]:
    """The roots that a Pointer may belong to, the likeliest first: Git does not say which."""
    from mlvc.roots import is_initialised, roots  # noqa: PLC0415

    top = _top()
    if top is None:
        return
    if is_initialised(top):
        yield top
    for prefix in sorted(roots(top) - {""}):
        yield top.below(prefix)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


# -- what a person sees ------------------------------------------------------------------------

_WAY_ON = {
    "pre-commit": "`git commit --no-verify` commits all the same",
    "pre-push": "`git push --no-verify` pushes without the data, and `mlvc push` sends them later",
}
_AFTER = "Git itself is done, and `mlvc checkout` brings the data; with MLVC_HOOKS=0 in the environment, no hook does"


def _guarded(name: str, work: Callable[[], int], where: str = "") -> int:
    """Run a hook, or its part for one root. What goes wrong is one sentence that names the hook."""
    try:
        return work()
    except KeyboardInterrupt:
        _say(f"mlvc: the {name} hook was interrupted; nothing is lost")
        if name.startswith("post-"):
            _say("hint: `mlvc checkout` does the rest")
        return 130
    except Exception as error:  # noqa: BLE001  (no traceback reaches a user)
        from mlvc.errors import MlvcError  # noqa: PLC0415

        _say(f"mlvc: {where}the {name} hook failed: {_clean(_told(error))}")
        if isinstance(error, MlvcError) and error.hint:
            _say(f"hint: {error.hint}")
        return FAILED


def _told(error: Exception) -> str:
    from mlvc.errors import MlvcError  # noqa: PLC0415

    if isinstance(error, (MlvcError, OSError)):
        return str(error)
    return f"this is a bug in mlvc: {type(error).__name__}: {error}"


def _quoted(path: str) -> str:
    """A path as a shell takes it."""
    import shlex  # noqa: PLC0415

    return shlex.quote(_clean(path))


def _list(lines: Iterable[str]) -> None:
    every = list(lines)
    for line in every[:_LISTED]:
        _say("  " + _clean(line))
    if len(every) > _LISTED:
        _say(f"  … and {len(every) - _LISTED:,} more")


def _clean(text: str) -> str:
    """Text on one line, whatever characters a name has."""
    from mlvc.text import clean  # noqa: PLC0415  (only where there is something to say)

    return clean(text)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _top() -> Git | None:
    """The working tree whose hook this is; None where there is none, as in a bare repository."""
    from mlvc import git  # noqa: PLC0415
    from mlvc.errors import NotARepositoryError  # noqa: PLC0415

    try:
        return git.discover(os.getcwd(), os.environ)  # Git starts its hooks at the top of the working tree
    except NotARepositoryError:
        return None


def _standing(root: Git) -> str | None:
    """Where the person stands in a root, which Git tells its hooks; None where that is in another root, or in none."""
    place = at = os.environ.get("GIT_PREFIX", "").strip("/")
    while at != root.prefix:
        if not at or os.path.exists(f"{at}/.mlvc/config.toml"):
            return None
        at = os.path.dirname(at)
    return place[len(root.prefix) + 1 :] if root.prefix else place


def _where(root: Git) -> str:
    """What comes before a line about a root in which the person does not stand: its paths begin there."""
    return "" if _standing(root) is not None else f"in {_clean(root.prefix) or 'the top of the repository'}: "


def _opened(root: Git) -> Repo:
    from mlvc.repo import open_root  # noqa: PLC0415

    return open_root(root, os.environ, _standing(root) or "")


class _Notes:
    """Tells what is noted, and no progress: Git has the terminal."""

    def __init__(self, repo: Repo) -> None:
        self._where = _where(repo.git)

    def start(self, label: str, *, objects: int = 0, total: int = 0) -> None:
        """See Progress."""

    def advance(self, *, objects: int = 0, size: int = 0) -> None:
        """See Progress."""

    def note(self, message: str) -> None:
        """See Progress."""
        _say(f"mlvc: {self._where}{_clean(message)}")

    def finish(self) -> None:
        """See Progress."""


if __name__ == "__main__":
    # The module "signal" takes a tenth of the time that there is.
    import _signal  # type: ignore[import-not-found]

    # The shell around the hook has it ignored, so that no traceback is seen while Python starts.
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # what Python would take apart before it ends is closed and written by now
