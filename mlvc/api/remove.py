"""``remove``: a path is tracked no more. Its data stay, unless they are to go, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlvc import files, git, manifest, snapshot
from mlvc import pointer as pointers
from mlvc.api.move import entries_without, find_tracked
from mlvc.api.turns import changing
from mlvc.errors import UsageError
from mlvc.git import gitignore
from mlvc.pointer import SUFFIX, Content
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.snapshot import Snapshot
from mlvc.workspace import checkout as steps
from mlvc.workspace import placed


@dataclass(frozen=True, slots=True)
class Removed:
    """What ``remove`` did, or would do. ``data``: the paths whose data go. ``files``: what changed for Git."""

    paths: tuple[str, ...]
    data: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@changing
def remove(
    repo: Repo,
    targets: Sequence[str],
    *,
    data: bool = False,
    force: bool = False,
    dry_run: bool = False,
    progress: Progress = QUIET,
) -> Removed:
    """Track paths no more. With ``data``, what stands there goes, too.

    WouldOverwriteError, and nothing changed, where data would go that are stored nowhere, unless ``force``. Nothing
    leaves the Store. The Pointer goes last: after a crash the same call does the rest, or ``checkout`` undoes all.
    """
    now = snapshot.on_disk(repo.git)
    names = {repo.path(target).removesuffix(SUFFIX): target for target in targets}
    for name, target in names.items():
        find_tracked(repo, target, name, now, made="change or remove its stage in mlvc.yaml")
    whole = [name for name in names if name in now.pointers]
    # What goes with something around it needs no work of its own.
    parts = [name for name in names if name not in now.pointers and names.keys().isdisjoint(snapshot.parents(name))]
    lists, _ = entries_without(repo, parts, now)
    for part in [] if data else parts:
        if files.exists(f"{repo.root}/{part}") and not repo.tree.is_ignored(part):
            raise UsageError(
                f"{part} is part of a tracked directory, which would take it in again",
                hint="remove its data, too, with --data; or name it in .mlvcignore first, to keep them",
            )
    plans = _plans(repo, [*whole, *parts], parts, progress) if data else []
    if not force:
        steps.guard(plans, cwd=repo.cwd)
    progress.finish()
    gone = tuple(plan.path for plan in plans)
    if dry_run:
        return Removed(tuple(names), gone)
    contents = {}
    with repo.store.batch() as batch:
        for owner, entries in lists.items():
            contents[owner], objects = manifest.build(entries, repo.hashing)
            batch.put_hashed(objects)
        batch.commit()
    present = [owner for owner in lists if files.exists(f"{repo.root}/{owner}")]
    steps.execute(repo.tree, repo.store, plans, links=repo.links, progress=progress)
    for owner in present:  # which went with its last file, and is tracked all the same
        files.make_dirs(f"{repo.root}/{owner}")
    with repo.exclusive():
        changed = git.stageable(repo.git, _untrack(repo, whole, contents, now))
    if repo.config.get("core.autostage"):
        git.stage(repo.git, changed)
    return Removed(tuple(names), gone, tuple(changed))


def _plans(repo: Repo, paths: Sequence[str], parts: Sequence[str], progress: Progress) -> list[steps.PathPlan]:
    asked = steps.Asked(inside=parts)
    plans, _ = steps.plan(repo.tree, repo.store, dict.fromkeys(paths), asked=asked, progress=progress)
    return plans


def _untrack(repo: Repo, whole: Sequence[str], contents: Mapping[str, Content], now: Snapshot) -> list[str]:
    """Forget paths, and write what tracked directories have without parts of theirs. The files that changed."""
    current = snapshot.pointers_of(repo.git, [*whole, *contents])
    for path in (*whole, *contents):
        if current.get(path) != now.pointers[path]:
            raise UsageError(f"{path}{SUFFIX} was changed by another process", hint="run the command again")
    changed = [pointers.path_of(path) for path in (*whole, *contents)]
    for path, content in contents.items():
        files.replace(f"{repo.root}/{path}{SUFFIX}", pointers.encode(now.pointers[path].having(content)))
    # While the Pointer is there, checkout brings the other two back.
    placed.update(repo.placed, (), gone=whole)
    changed += gitignore.remove(repo.git, whole)
    for path in whole:
        files.remove(f"{repo.root}/{path}{SUFFIX}")
    return sorted(changed)
