"""``checkout``: bring the working tree to what Pointers say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlvc import git, snapshot
from mlvc.errors import FormatError, UsageError
from mlvc.pointer import Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.snapshot import Change
from mlvc.workspace import checkout as steps
from mlvc.workspace import placed


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What a checkout did, or would do. ``lost``: paths that could not be made, with the reason."""

    changes: tuple[Change, ...]
    lost: Mapping[str, str]
    kept: tuple[str, ...] = ()
    """Paths that are not tracked any more and were left, because what is there is stored nowhere."""
    unreadable: tuple[FormatError, ...] = ()
    """What is wrong with Pointers that cannot be read. Nothing was done about their paths."""


def checkout(
    repo: Repo,
    targets: Sequence[str] = (),
    *,
    rev: str = "",
    force: bool = False,
    relink: bool = False,
    dry_run: bool = False,
    progress: Progress = QUIET,
) -> CheckedOut:
    """Bring tracked paths to what their Pointers say, or said at ``rev``.

    WouldOverwriteError, and nothing changed, where content would be lost that is stored nowhere, unless
    ``force``. Without targets, what checkout put there and no Pointer names any more is removed.
    """
    there = snapshot.at(repo.git, git.resolve(repo.git, rev), rev) if rev else snapshot.on_disk(repo.git)
    chosen, unreadable, unknown = snapshot.choose(there, [repo.path(target) for target in targets])
    if unknown:
        raise UsageError(
            f"{unknown[0]} is not tracked" + (f" at {rev}" if rev else ""), hint="`mlvc status` lists what is"
        )
    wanted: dict[str, Content | None] = dict(chosen)
    # A Lockfile that cannot be read may name any of them.
    sure = not targets and snapshot.LOCKFILE not in unreadable
    gone = [path for path in placed.read(repo.placed) if path not in {*wanted, *unreadable}] if sure else []
    wanted.update(dict.fromkeys(gone))
    plans, lost = steps.plan(repo.tree, repo.store, wanted, relink=relink, progress=progress)
    kept = tuple(made.path for made in plans if made.content is None and made.unstored and not force)
    plans = [made for made in plans if made.path not in kept]
    if not force:
        steps.guard(plans)
    if dry_run:
        return CheckedOut(
            tuple(change for made in plans for change in made.changes), lost, kept, tuple(unreadable.values())
        )
    done = steps.execute(repo.tree, repo.store, plans, links=repo.links, progress=progress)
    placed.update(repo.placed, chosen, gone=[path for path in gone if path not in kept])
    progress.finish()
    return CheckedOut(done.changes, {**lost, **done.lost}, kept, tuple(unreadable.values()))
