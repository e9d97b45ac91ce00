"""mlvc from Python: the verbs as functions, and tracked data to read. ``import mlvc`` gives what is here.

Each function does what the command of its name does, and returns what the command would tell. ``cwd`` is the directory
to work in, as if the command were run there; ``Path`` stands for ``str | os.PathLike[str]``. A command that could not
do all of its work raises a ``MlvcError``, whose ``result`` is what it would have returned. Nothing is printed, but what
the stages of a pipeline print.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Literal, TextIO, TypeAlias, TypeVar, overload

from mlvc import files
from mlvc.api import browse, described, elsewhere, lost, pipeline, track, transfer
from mlvc.api import checkout as checkouts
from mlvc.api import destroy as destroying
from mlvc.api import doctor as examining
from mlvc.api import fsck as checking
from mlvc.api import gc as collecting
from mlvc.api import get as getting
from mlvc.api import init as setup
from mlvc.api import install as installing
from mlvc.api import log as history
from mlvc.api import metrics as figures
from mlvc.api import move as moving
from mlvc.api import remove as removing
from mlvc.api import reproduce as reproducing
from mlvc.api import resolve as resolving
from mlvc.api import status as compared
from mlvc.api import unprotect as unprotecting
from mlvc.api.browse import Listing, Usage
from mlvc.api.checkout import CheckedOut
from mlvc.api.compared import Reproduced
from mlvc.api.destroy import Plan
from mlvc.api.doctor import Report
from mlvc.api.elsewhere import Source, Surroundings
from mlvc.api.fsck import Verified
from mlvc.api.gc import Collected
from mlvc.api.get import Got
from mlvc.api.init import Initialised
from mlvc.api.install import Installed
from mlvc.api.log import Log
from mlvc.api.metrics import Metrics, ValuesDiff
from mlvc.api.move import Moved
from mlvc.api.remove import Removed
from mlvc.api.resolve import Resolved
from mlvc.api.status import Diff, Status
from mlvc.api.track import Tracked
from mlvc.api.transfer import Pulled, Transferred, Which
from mlvc.api.unprotect import Unprotected
from mlvc.errors import MlvcError
from mlvc.pipeline.compare import tolerance as allowed
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.told import Printed, Told
from mlvc.pipeline.tools import Options, ReproResult
from mlvc.repo import Repo, open_repo
from mlvc.snapshot import problem

if TYPE_CHECKING:
    from mlvc.filesystem import MlvcFileSystem

T = TypeVar("T")
Path: TypeAlias = str | os.PathLike[str]
_STDERR = 2


# -- tracking ----------------------------------------------------------------------------------


def init(*, hash: Literal["", "xxh128", "blake3"] = "", subdir: bool = False, cwd: Path = ".") -> Initialised:  # noqa: A002
    """Set mlvc up in a Git repository. ``hash``: the algorithm that names objects, ``xxh128`` if not given.

    ``subdir``: let ``cwd`` itself be the mlvc root, and not the top of the working tree.
    """
    return setup.init(os.path.abspath(cwd), os.environ, algorithm=hash, subdir=subdir)


def add(*paths: Path, glob: bool = False, out: Path = "", cwd: Path = ".") -> tuple[Tracked, ...]:
    """Track files and directories: all of them, or none and an error.

    ``glob``: take the paths as patterns. ``out``: copy one path from elsewhere to this path and track that.
    """
    with _opened(cwd) as repo:
        return track.add(repo, _words(paths), glob=glob, out=os.fspath(out))


def commit(*paths: Path, cwd: Path = ".") -> tuple[Tracked, ...]:
    """Accept what is in the working tree into existing Pointers; without ``paths``, into all of them."""
    with _opened(cwd) as repo:
        return track.commit(repo, _words(paths))


def move(*sources: Path, to: Path, dry_run: bool = False, cwd: Path = ".") -> Moved:
    """Rename tracked paths; ``to`` is the new name, or a directory to put them into."""
    with _opened(cwd) as repo:
        return moving.move(repo, _words(sources), os.fspath(to), dry_run=dry_run)


def remove(*paths: Path, data: bool = False, force: bool = False, dry_run: bool = False, cwd: Path = ".") -> Removed:
    """Track paths no more.

    ``data``: delete the data in the working tree, too; ``force``: also what is stored nowhere.
    """
    with _opened(cwd) as repo:
        return removing.remove(repo, _words(paths), data=data, force=force, dry_run=dry_run)


def unprotect(*paths: Path, cwd: Path = ".") -> Unprotected:
    """Replace links into the Store by copies that may be written."""
    with _opened(cwd) as repo:
        done = unprotecting.unprotect(repo, _words(paths))
    return _whole(done, lost.check(done.lost, "copied"))


def resolve(*paths: Path, side: Literal["ours", "theirs", "working"], cwd: Path = ".") -> tuple[Resolved, ...]:
    """End conflicts of a merge: what only one side changed is merged, what both changed is taken from ``side``."""
    with _opened(cwd) as repo:
        return resolving.resolve(repo, _words(paths), side)


# -- the working tree --------------------------------------------------------------------------


def status(*paths: Path, cwd: Path = ".") -> Status:
    """Compare the working tree with the Pointers, the Pointers with HEAD, and tell which stages would rerun."""
    with _opened(cwd) as repo:
        found = compared.status(repo, _words(paths))
        if not paths:
            waiting = pipeline.waiting(repo, os.environ)
            found = compared.with_stages(found, (compared.Waiting(one.stage, one.reasons) for one in waiting))
    return _whole(found, problem(found.unreadable))


def diff(old: str = "HEAD", new: str = "", *paths: Path, cwd: Path = ".") -> Diff:
    """Compare two revisions file by file, or one with the working tree, where ``new`` is not given."""
    with _opened(cwd) as repo:
        found = compared.diff(repo, old, new, _words(paths))
    return _whole(found, lost.check(dict.fromkeys(found.unknown, "missing"), "compared", found.unreadable))


def checkout(
    *paths: Path, rev: str = "", force: bool = False, relink: bool = False, dry_run: bool = False, cwd: Path = "."
) -> CheckedOut:
    """Bring the working tree to what the Pointers say, or said at ``rev``.

    WouldOverwriteError, and nothing changed, where content would be lost that is stored nowhere, unless ``force``.
    """
    with _opened(cwd) as repo:
        done = checkouts.checkout(repo, _words(paths), rev=rev, force=force, relink=relink, dry_run=dry_run)
    return _whole(done, lost.check(done.lost, "checked out", done.unreadable, rev=rev))


def repro(
    *targets: str,
    force: bool = False,
    single: bool = False,
    downstream: bool = False,
    keep_going: bool = False,
    run_cache: bool = True,
    pull: bool = False,
    remote: str = "",
    allow_missing: bool = False,
    force_downstream: bool = False,
    commit: bool = True,
    isolated: bool = False,
    check_deterministic: bool = False,
    jobs: int | None = None,
    cwd: Path = ".",
) -> ReproResult:
    """Rerun the stages whose inputs changed; without ``targets``, of the whole pipeline. They print to stderr.

    ``pull``: the Remote is asked for results and missing data. ``allow_missing``: data that are recorded and not here
    count as they are recorded. ``force_downstream``: what follows from a stage that ran runs too. ``commit``: without
    it the stages run, and the next reproduction stores what they made. ``isolated``: each stage runs where only what it
    declares is. ``check_deterministic``: each that runs does so twice, and fails where something else comes out.
    ``jobs`` of them at a time; 0 stands for as many as there are processors, None for what the settings say.
    """
    options = Options(
        targets,
        single=single,
        downstream=downstream,
        force=force,
        keep_going=keep_going,
        run_cache=run_cache,
        pull=pull,
        remote=remote,
        allow_missing=allow_missing,
        force_downstream=force_downstream,
        commit=commit,
        isolated=isolated,
        check_deterministic=check_deterministic,
    )
    with _opened(cwd) as repo:
        options = replace(options, jobs=pipeline.jobs(repo, jobs))
        done = pipeline.repro(repo, os.environ, options, telling=pipeline.Telling(_to_stderr, hears=True))
    return _whole(done, done.error)


def reproduce(
    rev: str,
    *targets: str,
    single: bool = False,
    tolerance: Sequence[str] = (),
    jobs: int | None = None,
    remote: str = "",
    fetch: bool = True,
    keep: Path = "",
    cwd: Path = ".",
) -> Reproduced:
    """Run the stages of a revision anew, in a worktree of its own, and compare what comes out with what was recorded.

    ``is_good`` of the result tells whether everything is as it was recorded; no error is raised where it is not.
    ``tolerance``: ``1e-6``, or ``FILE:KEY=1e-6``. ``fetch``: inputs that are not here are fetched. ``keep``: a new
    directory for the worktree, which stays.
    """
    with _opened(cwd) as repo:
        options = reproducing.Options(
            targets,
            single=single,
            fetch=fetch,
            remote=remote,
            tolerance=allowed(tolerance, repo.path),
            jobs=pipeline.jobs(repo, jobs),
            keep=os.fspath(keep),
        )
        done = reproducing.reproduce(repo, os.environ, rev, options, telling=pipeline.Telling(_to_stderr, hears=True))
    return _whole(done, done.error)


def _to_stderr(told: Told) -> None:
    """Pass on what commands print, as it comes."""
    if isinstance(told, Printed):
        with suppress(OSError):
            files.write_all(_STDERR, told.data)


def stages(*, cwd: Path = ".") -> tuple[Stage, ...]:
    """The Stages of all pipeline files, fully resolved."""
    with _opened(cwd) as repo:
        return described.stages(repo)


def params_diff(
    old: str = "HEAD", new: str = "", *, targets: Sequence[Path] = (), everything: bool = False, cwd: Path = "."
) -> ValuesDiff:
    """Compare the parameters at two revisions, or at one with those of the working tree, where ``new`` is not given.

    ``targets``: files to compare in place of those that pipeline files name. ``everything``: what is equal, too.
    """
    with _opened(cwd) as repo:
        found = figures.params_diff(repo, old, new, targets=_words(targets), everything=everything)
    return _whole(found, found.problems.error())


def metrics_show(
    *targets: Path,
    revs: Sequence[str] = (),
    all_branches: bool = False,
    all_tags: bool = False,
    all_commits: bool = False,
    cwd: Path = ".",
) -> Metrics:
    """Read the metrics of the working tree, or of ``revs``; ``targets``: of these files and directories only."""
    with _opened(cwd) as repo:
        found = figures.show(repo, _words(targets), revs, branches=all_branches, tags=all_tags, commits=all_commits)
    return _whole(found, found.problems.error())


def metrics_diff(
    old: str = "HEAD", new: str = "", *, targets: Sequence[Path] = (), everything: bool = False, cwd: Path = "."
) -> ValuesDiff:
    """Compare metrics, as ``params_diff`` compares parameters."""
    with _opened(cwd) as repo:
        found = figures.metrics_diff(repo, old, new, targets=_words(targets), everything=everything)
    return _whole(found, found.problems.error())


# -- Remotes -----------------------------------------------------------------------------------


def push(
    *paths: Path,
    revs: Sequence[str] = (),
    all_branches: bool = False,
    all_tags: bool = False,
    all_commits: bool = False,
    remote: str = "",
    jobs: int = 0,
    run_cache: bool = False,
    dry_run: bool = False,
    cwd: Path = ".",
) -> Transferred:
    """Send to a Remote what it does not have; without ``revs``, of what the Pointers in the working tree name."""
    which = Which(_words(paths), tuple(revs), all_branches, all_tags, all_commits)
    with _opened(cwd) as repo:
        done = transfer.push(repo, which, remote=remote, jobs=jobs, run_cache=run_cache, dry_run=dry_run)
    return _whole(done, lost.check(done.lost, "pushed", done.unreadable))


def fetch(
    *paths: Path,
    revs: Sequence[str] = (),
    all_branches: bool = False,
    all_tags: bool = False,
    all_commits: bool = False,
    remote: str = "",
    jobs: int = 0,
    run_cache: bool = False,
    dry_run: bool = False,
    cwd: Path = ".",
) -> Transferred:
    """Bring from a Remote into the Store what is not there; the working tree stays as it is."""
    which = Which(_words(paths), tuple(revs), all_branches, all_tags, all_commits)
    with _opened(cwd) as repo:
        done = transfer.fetch(repo, which, remote=remote, jobs=jobs, run_cache=run_cache, dry_run=dry_run)
    return _whole(done, lost.check(done.lost, "fetched", done.unreadable, bundles=done.damaged))


def pull(
    *paths: Path,
    revs: Sequence[str] = (),
    all_branches: bool = False,
    all_tags: bool = False,
    all_commits: bool = False,
    remote: str = "",
    jobs: int = 0,
    run_cache: bool = False,
    force: bool = False,
    dry_run: bool = False,
    cwd: Path = ".",
) -> Pulled:
    """Fetch, then check out: the last of ``revs``, or what the Pointers in the working tree say."""
    which = Which(_words(paths), tuple(revs), all_branches, all_tags, all_commits)
    with _opened(cwd) as repo:
        done = transfer.pull(repo, which, remote=remote, jobs=jobs, run_cache=run_cache, force=force, dry_run=dry_run)
    error = lost.check(done.fetched.lost, "fetched")
    last = revs[-1] if revs else ""
    error = error or lost.check(done.checked_out.lost, "checked out", done.fetched.unreadable, rev=last)
    return _whole(done, error or lost.check({}, "fetched", bundles=done.fetched.damaged))


# -- care --------------------------------------------------------------------------------------


def gc(
    *,
    runs: bool = False,
    aside: bool = False,
    remote: str = "",
    force: bool = False,
    dry_run: bool = False,
    cwd: Path = ".",
) -> Collected:
    """Move to the trash what nothing needs, and delete what has been there for long.

    ``runs``: drop the results of Runs that no Lockfile names. ``aside``: take what was set aside or quarantined, too.
    ``remote``: where to read lists of files that are not here. ``force``: go on where a Pointer or such a list cannot
    be read.
    """
    options = collecting.Options(force=force, runs=runs, aside=aside, remote=remote)
    with _opened(cwd) as repo:
        return collecting.gc(repo, options, dry_run=dry_run)


def fsck(*, all_commits: bool = False, repair: bool = False, remote: str = "", cwd: Path = ".") -> Verified:
    """Check every byte of the Store, and that what is tracked can be had.

    ``repair``: set damage aside, and bring what is lost from a Remote. ``all_commits``: what any commit tracks, too.
    """
    with _opened(cwd) as repo:
        found = checking.fsck(repo, all_commits=all_commits, repair=repair, remote=remote)
    return _whole(found, checking.problem(found))


def doctor(*, cwd: Path = ".") -> Report:
    """What mlvc runs on here, what works, and what is slow or wrong. Each Remote is asked."""
    try:
        with _opened(cwd) as repo:
            return examining.doctor(repo)
    except MlvcError as error:
        return examining.without_repository(error)


def install(*hooks: str, cwd: Path = ".") -> Installed:
    """Have Git call mlvc: in its hooks, without ``hooks`` in all of them, for merges and for ``git diff``."""
    with _opened(cwd) as repo:
        package = os.path.dirname(os.path.abspath(__file__))
        return installing.install(repo, hooks, python=sys.executable, package=package)


def uninstall(*hooks: str, cwd: Path = ".") -> Installed:
    """Take back what ``install`` did."""
    with _opened(cwd) as repo:
        return installing.uninstall(repo, hooks)


def destroy(*, force: bool = False, dry_run: bool = False, cwd: Path = ".") -> Plan:
    """Remove mlvc from a repository: Pointers, settings, the Store. The data in the working tree stay.

    WouldOverwriteError, and nothing removed, where something is in the Store alone, unless ``force``.
    """
    with _opened(cwd) as repo:
        made = destroying.plan(repo, force=force)
        if not dry_run:
            destroying.destroy(repo, made)
        return made


# -- reading -----------------------------------------------------------------------------------


def ls(
    path: Path = "", *, rev: str = "", recursive: bool = False, repo: Path = "", remote: str = "", cwd: Path = "."
) -> Listing:
    """The tracked paths below ``path``, or what is in it where it is tracked.

    ``repo``: the directory or the Git URL of another repository, whose HEAD is read where no ``rev`` is given.
    """
    with _looking(rev, repo, remote, cwd, path) as source:
        found = browse.ls(source, source.named(os.fspath(path)) if os.fspath(path) else "", recursive=recursive)
        return _whole(found, browse.problem(source, found))


def du(*paths: Path, rev: str = "", repo: Path = "", remote: str = "", cwd: Path = ".") -> Usage:
    """How much tracked paths are, and what all of them together take in the Store."""
    with _looking(rev, repo, remote, cwd, *paths[:1]) as source:
        found = browse.du(source, [source.named(word) for word in _words(paths)])
        return _whole(found, browse.problem(source, found))


def log(path: Path, *, remote: str = "", cwd: Path = ".") -> Log:
    """The commits that changed a tracked path, and how; the newest first."""
    with _opened(cwd) as repo:
        found = history.log(repo, os.fspath(path), remote=remote)
    return _whole(found, history.problem(found))


def get(repo: Path, path: Path, out: Path = "", *, rev: str = "", remote: str = "", force: bool = False) -> Got:
    """Make files of what is tracked at ``path`` in another repository: its directory, or a URL of Git.

    ``out``: the new name, or the directory to put it into; as is the path's own name in the current directory.
    """
    with _looking(rev, repo, remote, ".", path) as source:
        return getting.get(source, source.named(os.fspath(path)), os.fspath(out), force=force)


@overload
def open(
    path: Path,
    mode: Literal["r", "rt"] = "r",
    *,
    rev: str = "",
    repo: Path = "",
    remote: str = "",
    cwd: Path = ".",
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> TextIO: ...
@overload
def open(
    path: Path, mode: Literal["rb"], *, rev: str = "", repo: Path = "", remote: str = "", cwd: Path = "."
) -> BinaryIO: ...
def open(
    path: Path,
    mode: str = "r",
    *,
    rev: str = "",
    repo: Path = "",
    remote: str = "",
    cwd: Path = ".",
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> TextIO | BinaryIO:
    """Open a tracked file to read, as text (``r``) or bytes (``rb``), without a checkout.

    ``rev``: the revision; without it, what the Pointers in the working tree say. ``repo``: the directory or the Git
    URL of another repository; paths begin at its top then, and its HEAD is read where no ``rev`` is given.
    FileNotFoundError where nothing is tracked at ``path``. What is read was hashed: DamagedError or ObjectsMissingError
    where it cannot be had. To open many files, make one ``fs``.
    """
    from mlvc import filesystem  # noqa: PLC0415  (fsspec takes long to import)

    if mode not in ("r", "rt", "rb"):
        raise ValueError(f"tracked data is there to read: the mode is 'r' or 'rb', not '{mode}'")
    text = None if mode == "rb" else (encoding, errors, newline)
    system = fs(rev=rev, repo=repo, remote=remote, cwd=cwd, inside=path)
    return filesystem.open_alone(os.fspath(path), system, text)


def read(path: Path, *, rev: str = "", repo: Path = "", remote: str = "", cwd: Path = ".") -> bytes:
    """The bytes of a tracked file. Arguments and errors are those of ``open``."""
    with open(path, "rb", rev=rev, repo=repo, remote=remote, cwd=cwd) as file:
        return file.read()


def fs(*, rev: str = "", repo: Path = "", remote: str = "", cwd: Path = ".", inside: Path = "") -> MlvcFileSystem:
    """The fsspec filesystem over what is tracked at a revision, as ``mlvc://`` opens it. Paths begin at the root.

    It stays with the commit that the revision was when it was made. ``inside``: of several mlvc roots in ``repo``, the
    one that this path lies in; paths begin at the top all the same. The other arguments are those of ``open``.
    """
    from mlvc.filesystem import MlvcFileSystem  # noqa: PLC0415  (fsspec takes long to import)

    return MlvcFileSystem(os.fspath(repo), rev, remote, os.fspath(cwd), os.fspath(inside))


# -- how ---------------------------------------------------------------------------------------


def _opened(cwd: Path) -> Repo:
    return open_repo(os.path.abspath(cwd), os.environ)


@contextmanager
def _looking(rev: str, repo: Path, remote: str, cwd: Path, inside: Path = "") -> Iterator[Source]:
    with ExitStack() as stack:
        if os.fspath(repo):
            around = Surroundings.of(os.environ)
            there = elsewhere.there(os.fspath(repo), rev, around=around, remote=remote, inside=os.fspath(inside))
            yield stack.enter_context(there)
        else:
            yield stack.enter_context(elsewhere.here(stack.enter_context(_opened(cwd)), rev, remote=remote))


def _words(paths: Sequence[Path]) -> tuple[str, ...]:
    return tuple(os.fspath(path) for path in paths)


def _whole(result: T, error: MlvcError | None) -> T:
    """The result, if all of the work was done."""
    if error is not None:
        error.result = result
        raise error
    return result
