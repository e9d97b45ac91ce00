"""``gc``, ``fsck``, ``destroy``."""

from __future__ import annotations

import sys
from typing import Annotated

from mlvc.api import destroy as destroying
from mlvc.api import fsck as checking
from mlvc.api import gc as collecting
from mlvc.cli import show
from mlvc.cli.opening import opened
from mlvc.cli.words import option
from mlvc.errors import UsageError

Json = Annotated[bool, option("--json", help="Print the result as JSON.")]


def gc(
    dry_run: Annotated[bool, option("--dry-run", help="Only show what would be moved and deleted.")] = False,
    restore: Annotated[bool, option("--restore", help="Put back everything that is in the trash.")] = False,
    runs: Annotated[bool, option("--runs", help="Drop the results of Runs that no mlvc.lock names, too.")] = False,
    aside: Annotated[bool, option("--aside", help="Take what was set aside or quarantined, too.")] = False,
    remote: Annotated[
        str, option("-r", "--remote", metavar="NAME", help="Read lists of files that are not here from this Remote.")
    ] = "",
    force: Annotated[
        bool, option("-f", "--force", help="Go on where a Pointer or a list of files cannot be read.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Free disk space: move to the trash what nothing needs.

    Kept is all that any commit, ref, stash, reflog, working tree or Run names, and what was stored in the last
    days (gc.grace). What has been in the trash for some days (gc.trash) is deleted.
    What repro set aside (.git/mlvc/aside) and what is damaged (.git/mlvc/quarantine) may be nowhere else: it stays,
    unless --aside is given.

    Example: mlvc gc --dry-run
    """
    if restore and (dry_run or runs or aside or remote or force):
        raise UsageError("--restore goes with no other option", hint="first `mlvc gc --restore`, then `mlvc gc`")
    with opened() as repo:
        if restore:
            count = collecting.restore(repo)
            if as_json:
                show.json_out({"put_back": count})
            else:
                show.err(f"put back {show.number(count, 'file')} from the trash" if count else "the trash is empty")
            return
        options = collecting.Options(force=force, runs=runs, aside=aside, remote=remote)
        done = collecting.gc(repo, options, dry_run=dry_run, progress=show.Line())
        if as_json:
            show.json_out(_collected_json(done))
        else:
            _print_collected(done, repo.config.get("gc.grace"), repo.config.get("gc.trash"), dry_run=dry_run)


def fsck(
    all_commits: Annotated[bool, option("-A", "--all-commits", help="What any commit tracks, too.")] = False,
    repair: Annotated[bool, option("--repair", help="Set damage aside, and bring what is lost from a Remote.")] = False,
    remote: Annotated[
        str, option("-r", "--remote", metavar="NAME", help="The Remote to repair from; without it, all of them.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Look for damage, and repair it.

    Checks Pointers, lists of files, records of Runs, and every byte of the store, and names what needs what is damaged
    or missing. Without --repair nothing is changed. With it, damaged files are moved to .git/mlvc/quarantine, and what
    is good of them is kept. Remotes are asked for the rest, the default one first.

    Example: mlvc fsck --repair
    """
    if remote and not repair:
        raise UsageError("-r goes with --repair: nothing is asked of a Remote otherwise", hint="add --repair")
    with opened() as repo:
        found = checking.fsck(repo, all_commits=all_commits, repair=repair, remote=remote, progress=show.Line())
        if as_json:
            show.json_out(_verified_json(found))
        else:
            _print_verified(found)
    error = checking.problem(found)
    if error is not None:
        raise error


def _verified_json(found: checking.Verified) -> dict[str, object]:
    checked = found.checked
    return {
        "objects": checked.objects,
        "size": checked.size,
        "damaged": [{"file": name, "reason": reason} for name, reason in checked.damaged.items()],
        "records": [{"file": name, "reason": reason} for name, reason in found.records.items()],
        "uncatalogued": checked.uncatalogued,
        "missing": [{"path": item.path, "reason": item.reason, "named_by": item.named_by} for item in found.missing],
        "unreadable": list(found.unreadable),
        "repaired": found.repaired,
        "fetched": found.fetched,
    }


def _print_verified(found: checking.Verified) -> None:
    checked = found.checked
    for name, reason in checked.damaged.items():
        show.always(f"damaged  {name}: {reason}")
    for name, reason in found.records.items():
        show.always(f"damaged  {name}: {reason}")
    if checked.uncatalogued:
        show.err(f"corrected the catalog, which was wrong about {show.number(len(checked.uncatalogued), 'pack')}")
    for item in found.missing:
        show.always(show.clean(f"{item.reason}  {item.path}  ({item.named_by})"))
    for sentence in found.unreadable:
        show.always(show.clean(f"unreadable  {sentence}"))
    show.err(f"checked {show.number(checked.objects, 'object')} ({show.size(checked.size)})")
    if found.repaired and checked.damaged:
        show.err(f"moved {show.number(len(checked.damaged), 'damaged file')} to the quarantine")
    if found.repaired and found.records:
        show.err(f"moved {show.number(len(found.records), 'record')} of Runs to the quarantine")
    if found.fetched:
        show.err(f"fetched {show.number(found.fetched, 'object')}")


def destroy(
    dry_run: Annotated[bool, option("--dry-run", help="Only show what would be removed.")] = False,
    yes: Annotated[bool, option("-y", "--yes", help="Do not ask.")] = False,
    force: Annotated[
        bool, option("-f", "--force", help="Do not ask, and remove what is neither here as a file nor on a Remote.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove mlvc from a repository.

    The data in the working tree stays. The store, all Pointers, mlvc.lock, the settings and the hooks go; mlvc.yaml,
    .mlvcignore and the lines in .gitignore stay. Refused where the store has what is neither in the working tree nor
    on a Remote.

    Example: mlvc destroy --dry-run
    """
    with opened() as repo:
        with show.working("looking at what is stored"):
            plan = destroying.plan(repo, force=force)
        if as_json:
            value = {"removed": list(plan.removed), "size": plan.size, "links": len(plan.links), "alone": plan.alone}
        for path in () if as_json else plan.removed:
            (show.always if dry_run else show.err)(
                f"{'would remove' if dry_run else 'to be removed'}  {show.clean(path)}"
            )
        if not dry_run:
            if not (yes or force):
                _agree(repo.root, plan.size)
            destroying.destroy(repo, plan)
        if as_json:
            show.json_out(value)
        elif not dry_run:
            show.err(
                f"removed mlvc from {repo.root} ({show.size(plan.size)}); the data in the working tree is as it was"
            )
            show.err("hint: record it in Git: git add --all, then git commit; first look with git status")


def _agree(root: str, size: int) -> None:
    """Ask, where a person sits; UsageError where none does, or says no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("nothing is removed: there is nobody to ask", hint="add --yes")
    sys.stderr.write(f"remove mlvc from {show.clean(root)}, with its store of {show.size(size)}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing is removed")


def _collected_json(done: collecting.Collected) -> dict[str, object]:
    plan = done.plan
    return {
        "objects": plan.objects,
        "size": plan.size,
        "packs": len(plan.dead),
        "rewritten": len(plan.mixed),
        "loose": len(plan.loose),
        "runs": done.runs,
        "aside": done.aside,
        "left": done.left,
        "left_size": done.left_size,
        "young": plan.young,
        "put_back": done.put_back,
        "deleted": done.deleted,
        "damaged": list(done.damaged),
    }


def _print_collected(done: collecting.Collected, grace: int, trash: int, *, dry_run: bool) -> None:
    plan = done.plan
    parts = [f"{show.number(plan.objects, 'object')} ({show.size(plan.size)})"] if plan.objects else []
    parts += [show.number(done.runs, "record of a Run")] if done.runs else []
    parts += [f"{done.aside:,} set aside or quarantined"] if done.aside else []
    say = show.always if dry_run else show.err
    if done.put_back:
        show.err(f"put back {show.number(done.put_back, 'file')} from the trash: something needs them again")
    if parts:
        say(f"{'would move' if dry_run else 'moved'} to the trash: {', '.join(parts)}")
    if plan.young:
        say(f"kept {show.number(plan.young, 'object')} that nothing needs, stored in the last {_days(grace)}")
    if done.left:
        say(f"left {done.left:,} set aside or quarantined ({show.size(done.left_size)}): `mlvc gc --aside` takes them")
    if done.deleted:
        say(f"{'would delete' if dry_run else 'deleted'} from the trash: {show.size(done.deleted)}")
    if not (parts or plan.young or done.left or done.deleted or done.put_back):
        say("nothing to do: everything in the store is needed")
    for name in done.damaged:
        show.always(f"note: pack {name} is damaged and was left where it is; `mlvc fsck` tells more")
    if parts and not dry_run:
        show.err(
            f"hint: it is deleted by the first `mlvc gc` in {_days(trash)}; until then `mlvc gc --restore` undoes this"
        )


def _days(count: int) -> str:
    return show.number(count, "day")


COMMANDS = {"gc": gc, "fsck": fsck, "destroy": destroy}
