"""``resolve``: end the conflict of a merge in a Pointer or in the Lockfile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlvc import files, git, merge, snapshot
from mlvc import pointer as pointers
from mlvc.api import track
from mlvc.api.merge import Item, Joined, Objects, join
from mlvc.errors import ObjectsMissingError, UsageError
from mlvc.git import gitignore, hooked
from mlvc.merge import Sides
from mlvc.pipeline import lockfile
from mlvc.pipeline.lockfile import Lockfile
from mlvc.pointer import SUFFIX, Content, Pointer
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.snapshot import LOCKFILE

OURS, THEIRS, WORKING = "ours", "theirs", "working"
_NUMBERS = {OURS: 1, THEIRS: 2}
"""The place of each in the sides of a conflict."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A tracked path, or the Lockfile, after its conflict. ``content`` is None for the Lockfile and for what went.

    ``chosen``: the paths, or Stages, that both sides had changed; all else was merged.
    """

    path: str
    content: Content | None
    chosen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Result:
    """What is to be written at a path: None removes it. ``taken``: what then comes out of the working tree."""

    told: Resolved
    data: bytes | None
    objects: Objects = field(default_factory=list)
    taken: tuple[str, ...] = ()


def resolve(repo: Repo, targets: Sequence[str], side: str, *, progress: Progress = QUIET) -> tuple[Resolved, ...]:
    """End the conflicts in these paths, all of them or none, and stage the result with Git.

    What only one side changed is merged; what both changed is taken from ``side``: ``ours``, ``theirs``, or
    ``working``, the working tree. Works from what Git recorded of the merge, whatever stands in the files. The data in
    the working tree stay as they are; Git ignores what stays tracked. UsageError where a target is in no conflict.
    """
    found = hooked.unmerged(repo.git, [f"*{SUFFIX}", LOCKFILE])
    blobs = git.blobs(repo.git, [id_ for ids in found.values() for id_ in ids.values()])
    every = {pointers.tracked_by(name): {n: blobs[id_] for n, id_ in ids.items()} for name, ids in found.items()}
    names = [repo.path(target) for target in targets]
    chosen, unknown = snapshot.select(every, names)
    if unknown:
        typed = targets[names.index(unknown[0])]
        raise UsageError(f"{typed} is in no conflict", hint="`git status` lists what could not be merged")
    results = {
        path: _lockfile(repo, sides, side) if path == LOCKFILE else _pointer(repo, path, sides, side)
        for path, sides in sorted(chosen.items())
    }
    with repo.store.batch() as batch:
        batch.put_hashed([each for result in results.values() for each in result.objects])
        batch.commit()
    files_ = {path: path if path == LOCKFILE else pointers.path_of(path) for path in results}
    with _written(repo, {files_[path]: result.data for path, result in results.items()}):
        taken = [f"{repo.root}/{name}" for result in results.values() for name in result.taken]
        if taken:
            track.add(repo, taken, progress=progress)
    now = snapshot.pointers_of(repo.git, [path for path in results if path != LOCKFILE])
    git.stage(repo.git, [*files_.values(), *_hidden(repo, now)])
    return tuple(
        Resolved(path, now[path].content if path in now else None, result.told.chosen)
        for path, result in results.items()
    )


def _hidden(repo: Repo, paths: Iterable[str]) -> list[str]:
    """Have Git ignore what is tracked: the side that stopped tracking it took the lines away. The files to be staged.

    A ``.gitignore`` that is in conflict itself is not among them: to stage it would end that.
    """
    paths = list(paths)
    seen = git.ignored(repo.git, paths) if paths else {}
    with repo.exclusive():
        changed = gitignore.add(repo.git, [path for path in paths if path not in seen])
    return [name for name in changed if name not in hooked.unmerged(repo.git, changed)]


@contextmanager
def _written(repo: Repo, texts: Mapping[str, bytes | None]) -> Iterator[None]:
    """Files of the working tree with new content; where what follows fails, they are as before."""
    before = {name: files.read_or_none(f"{repo.root}/{name}") for name in texts}
    try:
        with repo.exclusive():
            _write(repo, texts)
        yield
    except BaseException:
        with repo.exclusive():
            _write(repo, before)
        raise


def _write(repo: Repo, texts: Mapping[str, bytes | None]) -> None:
    for name, data in texts.items():
        if data is None:
            files.remove(f"{repo.root}/{name}")
        else:
            files.replace(f"{repo.root}/{name}", data)


# -- one path ----------------------------------------------------------------------------------


def _pointer(repo: Repo, path: str, sides: Mapping[int, bytes], side: str) -> _Result:
    name = pointers.path_of(path)
    base, mine, other = (pointers.decode(sides[n], name, repo.cwd) if n in sides else None for n in (1, 2, 3))
    try:
        joined = join(repo, base, mine, other)
    except ObjectsMissingError as error:
        raise ObjectsMissingError(
            f"{path} cannot be merged, which files a side has is not known here: {error.message}",
            hint="get it with `mlvc fetch -a`, or take one side whole: "
            f"`git checkout --{_git(side)} {repo.typed(name)}`",
        ) from None
    both = tuple(f"{path}/{inner}" if inner else path for inner in sorted(joined.items.conflicts))
    taken = tuple(name for name in both if files.exists(f"{repo.root}/{name}")) if side == WORKING else ()
    if side == WORKING and both == (path,) and not taken:
        raise UsageError(
            f"{path} is not in the working tree",
            hint=f"choose a side: `mlvc resolve {repo.typed(path)} --ours`, or --theirs",
        )
    content, objects = joined.settled(_choice(path, side, taken), repo.hashing)
    extra = joined.extra.choosing(lambda sides: sides[_NUMBERS.get(side, 1)])
    data = None if content is None else pointers.encode(Pointer(content, tuple(extra.items())))
    return _Result(Resolved(path, content, both), data, objects, _outermost(joined, taken))


def _choice(path: str, side: str, taken: Sequence[str]) -> Callable[[Sides[Item]], Item | None]:
    if side in _NUMBERS:
        return lambda sides: sides[_NUMBERS[side]]
    there = set(taken)

    def standing_in(sides: Sides[Item]) -> Item | None:
        """Either side, where something comes out of the working tree in its place."""
        item = sides[1] or sides[2]
        inner = getattr(item, "path", "")
        return item if (f"{path}/{inner}" if inner else path) in there else None

    return standing_in


def _outermost(joined: Joined, taken: Sequence[str]) -> tuple[str, ...]:
    """Of paths to be tracked, those that lie in no other one of them."""
    every = set(taken)
    return tuple(name for name in taken if every.isdisjoint(snapshot.parents(name))) if joined.is_dir else tuple(taken)


def _git(side: str) -> str:
    return THEIRS if side == THEIRS else OURS


def _lockfile(repo: Repo, sides: Mapping[int, bytes], side: str) -> _Result:
    """The Lockfile: a Stage that both sides changed is taken from one, or left out, so that it runs again."""
    if 2 not in sides or 3 not in sides:
        name = repo.typed(LOCKFILE)
        raise UsageError(f"one side deleted {LOCKFILE}", hint=f"`git add {name}` keeps it, `git rm {name}` deletes it")
    base, mine, other = (lockfile.decode(sides[n], LOCKFILE) if n in sides else Lockfile() for n in (1, 2, 3))
    merged, conflicts = merge.lockfiles(base, mine, other)
    stages = dict(merged.stages)
    source = {OURS: mine, THEIRS: other}.get(side, Lockfile())
    stages.update((name, source.stages[name]) for name in conflicts if name in source.stages)
    rerun = merged.rerun if side == WORKING else merged.rerun - conflicts.keys()
    data = lockfile.encode(Lockfile(stages, merged.extra, rerun))
    return _Result(Resolved(LOCKFILE, None, tuple(sorted(conflicts))), data)


__all__ = ["OURS", "THEIRS", "WORKING", "Resolved", "resolve"]
