"""``move``: a tracked path gets another name, with its data and with all that is recorded of it.

What a crash leaves: the new Pointers are written first, then the data are renamed, then the old Pointers go. So at
each moment every byte has its old place or its new one, and `mlvc checkout` makes the working tree what the Pointers
say. The file ``moving`` tells what was under way, so that the same command, run again, finishes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial

from mlvc import codec, files, git, manifest, snapshot
from mlvc import pointer as pointers
from mlvc.api import named
from mlvc.api.track import nameable
from mlvc.api.turns import changing
from mlvc.errors import DamagedError, FormatError, ObjectsMissingError, SystemFailureError, UsageError
from mlvc.git import gitignore
from mlvc.manifest import EMPTY_DIR, EXECUTABLE, SYMLINK, Entry
from mlvc.oid import Oid
from mlvc.pointer import SUFFIX, Content, Pointer
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.snapshot import Snapshot, parents, within
from mlvc.workspace import move as steps
from mlvc.workspace import placed
from mlvc.workspace.tree import Look

Objects = list[tuple[bytes, bytes]]
Texts = dict[str, tuple[str | None, str | None]]
"""Pointer files with their old and their new text; None where there is none."""


@dataclass(frozen=True, slots=True)
class Move:
    """One path and its new place.

    ``present``: its data are in the working tree and move, too. ``modified``: they are not what is recorded, and stay
    unrecorded.
    """

    source: str
    path: str
    present: bool
    modified: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """What ``move`` did, or would do. ``files``: what changed for Git."""

    moves: tuple[Move, ...]
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that it takes. ``links``: links into the Store that are made anew, by new path, and where they lead."""

    moves: tuple[Move, ...]
    texts: Texts
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def gone(self) -> list[str]:
        """The paths that have a Pointer no more."""
        return [pointers.tracked_by(name) for name, (_, new) in self.texts.items() if new is None]

    @property
    def new(self) -> list[str]:
        """The paths that get a Pointer."""
        return [pointers.tracked_by(name) for name, (old, _) in self.texts.items() if old is None]


@changing
def move(
    repo: Repo, sources: Sequence[str], target: str, *, dry_run: bool = False, progress: Progress = QUIET
) -> Moved:
    """Rename tracked paths, or parts of tracked directories; into ``target``, where that is a directory.

    Nothing is overwritten and nothing is read from the Store but the manifests of directories that change. All of it
    is done, or nothing and an error. After a crash the same call finishes the work.
    """
    # A pattern of the shell names the Pointers, too.
    typed = {repo.path(source).removesuffix(SUFFIX): source for source in reversed(sources)}
    names = list(reversed(typed))
    asked: list[object] = [names, repo.path(target)]
    looks: dict[str, Look] = {}
    objects: Objects = []
    plan = _interrupted(repo, asked)
    if plan is None:
        now = snapshot.on_disk(repo.git)
        goals = _goals(repo, typed, target, now)
        texts, recorded, objects = _recorded(repo, goals, now)
        inside = [name for name in names if name not in now.pointers]
        looks = repo.tree.look(names, lenient=True, inside=inside, progress=progress)
        plan = _plan(repo, goals, texts, recorded, looks)
        progress.finish()
    if dry_run:
        return Moved(plan.moves, tuple(sorted(plan.texts)))
    with repo.store.batch() as batch:
        batch.put_hashed(objects)
        batch.commit()
    with repo.exclusive():
        changed = _carry_out(repo, plan, asked, looks)
    changed = git.stageable(repo.git, changed)
    if repo.config.get("core.autostage"):
        git.stage(repo.git, changed)
    return Moved(plan.moves, tuple(changed))


# -- what is meant -----------------------------------------------------------------------------


def _goals(repo: Repo, typed: Mapping[str, str], target: str, now: Snapshot) -> dict[str, str]:
    """Where each source, as it was typed, goes; UsageError where one is not tracked or its place is not free."""
    names = sorted(typed)
    for name, word in typed.items():
        find_tracked(repo, word, name, now, made="change its name in mlvc.yaml and in its command, then `mlvc repro`")
    top = repo.path(target)
    into = _is_directory(repo, top, now)
    if not into and (len(names) > 1 or target.endswith((os.sep, "/"))):
        raise UsageError(f"{target} is no directory", hint=f"make it first: `mkdir {target}`, or name a new path")
    goals = {name: "/".join(filter(None, [top, name.rpartition("/")[2]])) if into else top for name in names}
    if len(set(goals.values())) < len(goals):
        raise UsageError(f"two of the paths would have one name in {target}", hint="move them one by one")
    for source, goal in goals.items():
        if any(parent in goals for parent in parents(source)):
            raise UsageError(f"{source} is inside of another path that is to be moved", hint="name only one of them")
        if within(goal, [source]):
            raise UsageError(f"{source} cannot be moved to {goal}: that is the path itself, or inside of it")
        _check_goal(repo, source, goal, now)
    _check_goals(repo, goals, now)
    return goals


def _is_directory(repo: Repo, path: str, now: Snapshot) -> bool:
    """Whether ``path`` is a directory, here or as it is recorded."""
    if os.path.isdir(f"{repo.root}/{path}") and not os.path.islink(f"{repo.root}/{path}"):
        return True
    if path in now.pointers:
        return now.pointers[path].content.is_dir
    owner = _owner(path, now)
    found = manifest.find(repo.store, now.pointers[owner].content.oid, path[len(owner) + 1 :]) if owner else []
    return any(entry.kind == EMPTY_DIR or entry.path != path[len(owner) + 1 :] for entry in found)


def _owner(path: str, now: Snapshot) -> str:
    """The tracked directory that ``path`` is inside of, or ''."""
    around = (parent for parent in parents(path) if parent in now.pointers)
    return next((parent for parent in around if now.pointers[parent].content.is_dir), "")


def find_tracked(repo: Repo, typed: str, path: str, now: Snapshot, *, made: str) -> None:
    """UsageError unless ``path`` is tracked, or may be part of a tracked directory; ``made``: the hint for outputs."""
    _readable(path, now)
    if path in now.pointers:
        return
    if within(path, now.outs.keys()):
        raise UsageError(f"{path} is made by a stage", hint=made)
    if _owner(path, now):
        return
    inner = sorted(name for name in now.pointers if name.startswith(f"{path}/" if path else ""))
    if inner:
        raise UsageError(f"{typed} is not tracked itself: {inner[0]} in it is", hint="name the tracked paths")
    if path and git.tracked(repo.git, [path]):
        raise UsageError(f"{typed} is not tracked", hint="Git itself has it: `git mv` and `git rm` are for that")
    raise named.untracked(repo, typed, "move")


def _readable(path: str, now: Snapshot) -> None:
    for name in (path, *parents(path), snapshot.LOCKFILE):
        if name in now.unreadable:
            raise now.unreadable[name]


def _check_goal(repo: Repo, source: str, goal: str, now: Snapshot) -> None:
    """UsageError unless ``goal`` can be tracked and nothing is there: no file, no Pointer, nothing that is recorded."""
    nameable(repo, os.path.relpath(goal, repo.cwd or "."))
    _readable(goal, now)
    if within(goal, now.outs.keys()):
        raise UsageError(f"{goal} belongs to a stage, which makes it", hint="choose another name")
    if goal in now.pointers or files.exists(f"{repo.root}/{goal}"):
        what = "tracked" if goal in now.pointers else "there already"
        raise UsageError(f"{source} cannot be moved to {goal}: {goal} is {what}", hint=_TAKEN)
    for parent in parents(goal):
        full = f"{repo.root}/{parent}"
        if files.exists(full) and not os.path.isdir(full):
            raise UsageError(f"{source} cannot be moved to {goal}: {parent} is no directory")
    owner = _owner(goal, now)
    around = next((parent for parent in parents(goal) if parent in now.pointers), owner)
    if around != owner:
        raise UsageError(f"{source} cannot be moved to {goal}: {around} is tracked as a file")
    if not owner and files.exists(f"{repo.root}/{goal}{SUFFIX}"):
        raise UsageError(f"{source} cannot be moved to {goal}: {goal}{SUFFIX} is there already")
    if files.exists(f"{repo.root}/{source}") and _device(f"{repo.root}/{source}") != _device(f"{repo.root}/{goal}"):
        here, to = repo.typed(source), repo.typed(goal)
        raise SystemFailureError(
            f"{goal} is on another file system than {source}",
            hint=f"copy it with `mlvc add -o {to} {here}`, then `mlvc remove --data {here}`",
        )


_TAKEN = "choose another name, or move that first"


def _check_goals(repo: Repo, goals: Mapping[str, str], now: Snapshot) -> None:
    """What is asked for all new places at once: what is tracked below them, and what Git says of them."""
    known = (*now.pointers, *now.outs, *now.unreadable)
    inner = {parent: name for name in known for parent in parents(name)}
    owned = git.tracked(repo.git, list(goals.values()))
    for source, goal in goals.items():
        if goal in inner or goal in owned:
            what = f"{inner[goal]} is tracked" if goal in inner else "Git itself has that path"
            raise UsageError(f"{source} cannot be moved to {goal}: {what}", hint=_TAKEN)
    new = [pointers.path_of(goal) for goal in goals.values() if not _owner(goal, now)]
    for name, line in (git.ignored(repo.git, new) if new else {}).items():
        goal = pointers.tracked_by(name)
        raise UsageError(f"Git ignores {name}, the Pointer of {goal} ({line})", hint="change that line first")


def _device(path: str) -> int:
    """The file system that ``path`` is on, or would be."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return os.lstat(path).st_dev


# -- what is recorded --------------------------------------------------------------------------


def _recorded(repo: Repo, goals: Mapping[str, str], now: Snapshot) -> tuple[Texts, dict[str, Content], Objects]:
    """The Pointers that change, what is recorded of each source, and the objects of the manifests that are new."""
    texts: Texts = {}
    contents = {source: now.pointers[source].content for source in goals if source in now.pointers}
    objects: Objects = []
    lists, taken = entries_without(repo, [source for source in goals if source not in now.pointers], now)
    for source, entries in taken.items():
        contents[source], made = _content(entries, repo)
        objects += made
    added: dict[str, dict[str, list[Entry]]] = {}
    for source, goal in goals.items():
        pointer = now.pointers.get(source)
        if pointer is not None:
            texts[pointers.path_of(source)] = (_old(repo, source, pointer), None)
        owner = _owner(goal, now)
        if owner:
            new = taken[source] if pointer is None else snapshot.entries(repo.store, pointer.content)
            added.setdefault(owner, {})[goal[len(owner) + 1 :]] = new
        elif any(entry.kind == SYMLINK and not entry.path for entry in taken.get(source, ())):
            raise UsageError(
                f"{source} is a symbolic link, which has no Pointer of its own", hint="Git keeps it itself"
            )
        else:
            texts[pointers.path_of(goal)] = (None, _text(pointer or Pointer(contents[source])))
    for owner, parts in added.items():
        lists[owner] = _joined(owner, lists[owner] if owner in lists else entries_of(repo, owner, now), parts)
    for owner, entries in lists.items():
        content, made = manifest.build(entries, repo.hashing)
        objects += made
        before = now.pointers[owner]
        texts[pointers.path_of(owner)] = (_old(repo, owner, before), _text(before.having(content)))
    return texts, contents, objects


def entries_of(repo: Repo, owner: str, now: Snapshot) -> list[Entry]:
    """What is recorded of a tracked directory; ObjectsMissingError with what to do where that is not here."""
    try:
        return manifest.entries_of(repo.store, now.pointers[owner].content.oid)
    except (ObjectsMissingError, DamagedError):
        raise ObjectsMissingError(
            f"which files {owner} has is not known here: its manifest is not in the store",
            hint=f"get it with `mlvc fetch {repo.typed(owner)}`",
        ) from None


def entries_without(
    repo: Repo, paths: Iterable[str], now: Snapshot
) -> tuple[dict[str, list[Entry]], dict[str, list[Entry]]]:
    """What tracked directories have without some of their parts; and what each part has, relative to it.

    UsageError for a path that is not part of any.
    """
    parts: dict[str, set[str]] = {}
    for path in paths:
        parts.setdefault(_owner(path, now), set()).add(path)
    lists: dict[str, list[Entry]] = {}
    taken: dict[str, list[Entry]] = {path: [] for paths_ in parts.values() for path in paths_}
    for owner, names in parts.items():
        lists[owner] = []
        for entry in entries_of(repo, owner, now):
            full = f"{owner}/{entry.path}"
            part = full if full in names else next((parent for parent in parents(full) if parent in names), "")
            if part:
                taken[part].append(entry._replace(path=full[len(part) + 1 :]))
            else:
                lists[owner].append(entry)
    for path, entries in taken.items():
        if not entries:
            owner = _owner(path, now)
            raise snapshot.not_part(repo.root, path, owner, repo.cwd)
    return lists, taken


def _joined(owner: str, entries: Sequence[Entry], parts: Mapping[str, Sequence[Entry]]) -> list[Entry]:
    """The entries of a directory with others added; UsageError where something is recorded in their place."""
    around = {parent for name in parts for parent in parents(name)}
    for entry in entries:
        if within(entry.path, parts.keys()) or (entry.path in around and entry.kind != EMPTY_DIR):
            raise UsageError(f"{owner}/{entry.path} is tracked already", hint="choose another name, or move that first")
    # A directory that was empty is not any more.
    kept = [entry for entry in entries if entry.path not in around]
    return kept + [
        entry._replace(path=f"{name}/{entry.path}" if entry.path else name)
        for name, new in parts.items()
        for entry in new
    ]


def _content(entries: Sequence[Entry], repo: Repo) -> tuple[Content, Objects]:
    """A part of a tracked directory, as a Pointer names it, and the objects of its manifest."""
    first = entries[0]
    if first.path == "" and first.kind != EMPTY_DIR:
        return Content("executable" if first.kind == EXECUTABLE else "file", Oid(first.oid), first.size), []
    return manifest.build([entry for entry in entries if entry.path], repo.hashing)


def _old(repo: Repo, path: str, pointer: Pointer) -> str:
    """The text of a Pointer as it stands in the working tree."""
    name = pointers.path_of(path)
    text = _there(repo, name)
    if text is None or pointers.decode(text.encode(), name) != pointer:
        raise _changed(name)
    return text


def _changed(name: str) -> UsageError:
    return UsageError(f"{name} was changed by another process", hint="run the command again")


def _text(pointer: Pointer) -> str:
    return pointers.encode(pointer).decode()


def _plan(
    repo: Repo,
    goals: Mapping[str, str],
    texts: Texts,
    recorded: Mapping[str, Content],
    looks: Mapping[str, Look],
) -> _Plan:
    """What is to be done, with what is in the working tree."""
    moves = []
    links: dict[str, str] = {}
    for source, goal in goals.items():
        present = files.exists(f"{repo.root}/{source}")
        moves.append(Move(source, goal, present, modified=present and looks[source].content != recorded[source]))
        links |= steps.links(repo.tree, looks[source], goal)
    return _Plan(tuple(moves), dict(sorted(texts.items())), links)


# -- doing it ----------------------------------------------------------------------------------


def _carry_out(repo: Repo, plan: _Plan, asked: list[object], looks: Mapping[str, Look]) -> list[str]:
    """Do what is planned, alone. What was done of it before is not done again. The files that changed for Git."""
    for name, texts in plan.texts.items():
        if _there(repo, name) not in texts:
            raise _changed(name)
    files.replace(_journal(repo), codec.dump_json({"asked": asked, **asdict(plan)}).encode())
    with gitignore.adding(repo.git, plan.new) as ignores, _undone_on_error() as undo:
        undo.append(partial(files.remove, _journal(repo)))
        placed.update(repo.placed, plan.new)
        for name, (old, new) in plan.texts.items():
            if new is not None:
                undo.append(partial(_put, repo, name, old))
                _put(repo, name, new)
        for item in plan.moves:
            undo.append(partial(steps.rename, repo.root, item.path, item.source))
            steps.rename(repo.root, item.source, item.path)
        steps.settle(repo.root, [path for item in plan.moves for path in (item.source, item.path)])
    for name, (_, new) in plan.texts.items():
        if new is None:
            _put(repo, name, None)
    steps.relink(repo.tree, plan.links)
    steps.remember(repo.tree, [(looks[i.source], i.path) for i in plan.moves if i.present and i.source in looks])
    _tidy(repo, plan)
    # What could not get its new name, as something was there after a crash, stays known: checkout looks after it.
    left = [path for path in plan.gone if files.exists(f"{repo.root}/{path}")]
    gone = [path for path in plan.gone if path not in left]
    changed = [*plan.texts, *ignores, *gitignore.remove(repo.git, gone)]
    placed.update(repo.placed, (), gone=gone)
    files.remove(_journal(repo))
    return sorted(set(changed))


@contextmanager
def _undone_on_error() -> Iterator[list[Callable[[], object]]]:
    """Where what follows fails, what was entered is called, the last first."""
    undo: list[Callable[[], object]] = []
    try:
        yield undo
    except BaseException:
        for step in reversed(undo):
            with suppress(OSError):
                step()
        raise


def _tidy(repo: Repo, plan: _Plan) -> None:
    """Remove the directories inside of tracked ones that are empty now: a Manifest would name them."""
    owners = {pointers.tracked_by(name) for name in plan.texts}
    for item in plan.moves:
        for parent in parents(item.source):
            if parent in owners or not within(parent, owners):
                break
            with suppress(OSError):  # not empty
                os.rmdir(f"{repo.root}/{parent}")


def _there(repo: Repo, name: str) -> str | None:
    data = files.read_or_none(f"{repo.root}/{name}")
    return None if data is None else data.decode(errors="replace").replace("\r\n", "\n")


def _put(repo: Repo, name: str, text: str | None) -> None:
    if text is None:
        files.remove(f"{repo.root}/{name}")
    elif text != _there(repo, name):
        files.replace(f"{repo.root}/{name}", text.encode())


def _journal(repo: Repo) -> str:
    return os.path.join(repo.git.own, "moving")


def _interrupted(repo: Repo, asked: list[object]) -> _Plan | None:
    """The Plan of the same command, if it was killed and its Pointers are still as it left them."""
    data = files.read_or_none(_journal(repo))
    try:
        found = codec.load_json((data or b"null").decode(errors="replace"), "moving")
        if found is None or found["asked"] != asked:
            return None
        texts: Texts = {name: (old, new) for name, (old, new) in found["texts"].items()}
        plan = _Plan(tuple(Move(**item) for item in found["moves"]), texts, found["links"])
    except (FormatError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return plan if all(_there(repo, name) in both for name, both in texts.items()) else None
