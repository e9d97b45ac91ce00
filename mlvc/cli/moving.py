"""``push``, ``fetch``, ``pull``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from mlvc.api import lost
from mlvc.api import transfer as api
from mlvc.api.remotes import chosen
from mlvc.api.transfer import Transferred, Which
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import argument, option
from mlvc.errors import MlvcError
from mlvc.repo import Repo

if TYPE_CHECKING:
    from mlvc.cli import shapes

Paths = Annotated[list[str] | None, argument("[PATH]...", help="Tracked paths; without any, all of them.")]
Remote = Annotated[
    str, option("-r", "--remote", metavar="NAME", help="The Remote; without it, the default or only one.")
]
Jobs = Annotated[int, option("-j", "--jobs", least=0, metavar="N", help="Transfers side by side; 0: core.jobs.")]
Rev = Annotated[list[str] | None, option("--rev", metavar="REV", help="What this revision tracks; may be given again.")]
PullRev = Annotated[
    list[str] | None,
    option("--rev", metavar="REV", help="Bring the data of this revision; of several, the last is checked out."),
]
Branches = Annotated[bool, option("-a", "--all-branches", help="What all branches track, too.")]
Tags = Annotated[bool, option("-T", "--all-tags", help="What all tags track, too.")]
Commits = Annotated[bool, option("-A", "--all-commits", help="What any commit tracks, too.")]
RunCache = Annotated[bool, option("--run-cache", help="The Runs, too: what stages made of which inputs.")]
DryRun = Annotated[bool, option("--dry-run", help="Only show what would be moved.")]
Json = Annotated[bool, option("--json", help="Print the result as JSON.")]


def push(
    paths: Paths = None,
    remote: Remote = "",
    jobs: Jobs = 0,
    rev: Rev = None,
    all_branches: Branches = False,
    all_tags: Tags = False,
    all_commits: Commits = False,
    run_cache: RunCache = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send objects to a Remote.

    Sends what the Pointers in the working tree name and the Remote does not have. What the Remote lost is sent again.

    Example: mlvc push
    """
    which = _which(paths, rev, all_branches=all_branches, all_tags=all_tags, all_commits=all_commits)
    with opened() as repo:
        _tell(repo, remote, jobs)
        done = api.push(
            repo, which, remote=remote, jobs=jobs, run_cache=run_cache, dry_run=dry_run, progress=show.Line()
        )
        if as_json:
            show.json_out(_json(done))
        else:
            _print(done, "push", "to", dry_run=dry_run)
    _end(lost.check(done.lost, "pushed", done.unreadable))


def fetch(
    paths: Paths = None,
    remote: Remote = "",
    jobs: Jobs = 0,
    rev: Rev = None,
    all_branches: Branches = False,
    all_tags: Tags = False,
    all_commits: Commits = False,
    run_cache: RunCache = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Get objects from a Remote into the store.

    The working tree stays as it is; `mlvc pull` fetches and checks out.

    Example: mlvc fetch --all-branches
    """
    which = _which(paths, rev, all_branches=all_branches, all_tags=all_tags, all_commits=all_commits)
    with opened() as repo:
        _tell(repo, remote, jobs)
        done = api.fetch(
            repo, which, remote=remote, jobs=jobs, run_cache=run_cache, dry_run=dry_run, progress=show.Line()
        )
        if as_json:
            show.json_out(_json(done))
        else:
            _print(done, "fetch", "from", dry_run=dry_run)
    _end(lost.check(done.lost, "fetched", done.unreadable, bundles=done.damaged))


def pull(
    paths: Paths = None,
    remote: Remote = "",
    jobs: Jobs = 0,
    rev: PullRev = None,
    all_branches: Branches = False,
    all_tags: Tags = False,
    all_commits: Commits = False,
    force: Annotated[
        bool, option("-f", "--force", help="Overwrite or remove changes and new files that are stored nowhere.")
    ] = False,
    run_cache: RunCache = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Fetch objects, then check out the data.

    Brings the data to what the Pointers say: the same as `mlvc fetch` and then `mlvc checkout`. With --rev it brings
    the data of that revision, and the Pointers stay as they are.

    Example: git clone URL project && cd project && mlvc pull
    """
    from mlvc.cli.bring import checkout_json, print_checkout  # noqa: PLC0415  (push and fetch do without)

    which = _which(paths, rev, all_branches=all_branches, all_tags=all_tags, all_commits=all_commits)
    with opened() as repo:
        _tell(repo, remote, jobs)
        try:
            done = api.pull(
                repo,
                which,
                remote=remote,
                jobs=jobs,
                run_cache=run_cache,
                force=force,
                dry_run=dry_run,
                progress=show.Line(),
            )
        except MlvcError as refusal:
            if isinstance(refusal.result, api.Pulled) and refusal.result.fetched.objects:
                _print(refusal.result.fetched, "fetch", "from", dry_run=False)
            raise
        if as_json:
            show.json_out({"fetch": _json(done.fetched), "checkout": checkout_json(done.checked_out)})
        else:
            _print(done.fetched, "fetch", "from", dry_run=dry_run)
            print_checkout(done.checked_out, dry_run=dry_run, told=done.fetched.lost)
    error = lost.check(done.fetched.lost, "fetched")
    last = which.revisions[-1] if which.revisions else ""
    error = error or lost.check(done.checked_out.lost, "checked out", done.fetched.unreadable, rev=last)
    _end(error or lost.check({}, "fetched", bundles=done.fetched.damaged))


def _which(
    paths: list[str] | None, rev: list[str] | None, *, all_branches: bool, all_tags: bool, all_commits: bool
) -> Which:
    return Which(tuple(paths or ()), tuple(rev or ()), all_branches, all_tags, all_commits)


def _tell(repo: Repo, remote: str, jobs: int) -> None:
    """With --verbose: where the Remote is, and how many transfers there may be at a time."""
    if show.manner.verbose:
        name = chosen(repo.config, remote)
        jobs = jobs or repo.config.get("core.jobs")
        show.detail(f"remote '{name}' is {repo.config.remotes[name]}; transfers at a time: {jobs}")


def _print(done: Transferred, verb: str, way: str, *, dry_run: bool) -> None:
    for path in done.paths:
        show.detail(f"looked at {path}")
    show.named_lost(done.lost, done.unreadable)
    for place in done.damaged:
        show.err(show.clean(f"damaged on remote '{done.remote}': {place}"))
    if not done.objects and not done.lost and not done.runs:
        if done.damaged:
            return
        show.err(f"nothing to {verb}: everything is {'there' if verb == 'push' else 'here'} already")
        return
    verb = f"would {verb}" if dry_run else {"push": "pushed", "fetch": "fetched"}[verb]
    packs = f" in {show.number(done.packs, 'Pack')}" if show.manner.verbose and done.packs else ""
    told = f"{show.number(done.objects, 'object')} ({show.size(done.size)}){packs}"
    if done.runs:
        told += f" and {show.number(done.runs, 'Run')}"
    (show.always if dry_run else show.err)(f"{verb} {told} {way} '{done.remote}'")


def _json(done: Transferred) -> shapes.Transferred:
    return {
        "remote": done.remote,
        "objects": done.objects,
        "size": done.size,
        "packs": done.packs,
        "runs": done.runs,
        "lost": [{"path": path, "reason": reason} for path, reason in done.lost.items()],
        "damaged": list(done.damaged),
        "unreadable": [error.message for error in done.unreadable],
    }


def _end(error: MlvcError | None) -> None:
    if error is not None:
        raise error


COMMANDS = {"push": push, "fetch": fetch, "pull": pull}
