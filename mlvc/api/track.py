"""``add`` and ``commit``: what is in the working tree gets into the Store, and a Pointer names it."""

from __future__ import annotations

import filecmp
import glob as globs
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mlvc import config as settings
from mlvc import files, git, manifest, snapshot
from mlvc import pointer as pointers
from mlvc.api import named
from mlvc.api.turns import taking_in
from mlvc.errors import ObjectsMissingError, UsageError
from mlvc.git import gitignore
from mlvc.manifest import Entry
from mlvc.pointer import SUFFIX, Content, Pointer
from mlvc.progress import QUIET, Progress
from mlvc.repo import Repo
from mlvc.snapshot import Snapshot
from mlvc.store import pack
from mlvc.store.base import FETCH
from mlvc.workspace import placed
from mlvc.workspace.scan import refuse

_LONGEST_NAME = 255
"""Bytes, on all file systems that are in use."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """One tracked path after ``add`` or ``commit``. ``old`` is what the Pointer named before."""

    path: str
    content: Content
    old: Content | None

    @property
    def changed(self) -> bool:
        """Whether the Pointer was written."""
        return self.content != self.old


@taking_in
def add(
    repo: Repo, targets: Sequence[str], *, glob: bool = False, out: str = "", progress: Progress = QUIET
) -> tuple[Tracked, ...]:
    """Track files and directories. All of them, or none and an error.

    The bytes are durable in the Store before a Pointer names them; data are hidden from Git before that.
    """
    pack.warm()
    now = snapshot.on_disk(repo.git)
    if out:
        with _brought(repo, targets, out, now) as path:
            return _add(repo, [path], now, progress)
    paths = _expand(repo, targets) if glob else [_target(repo, target) for target in targets]
    return _add(repo, paths, now, progress)


def _add(repo: Repo, paths: Iterable[str], now: Snapshot, progress: Progress) -> tuple[Tracked, ...]:
    whole, inside = _sort(repo, dict.fromkeys(paths), now)
    new = [path for path in whole if path not in now.pointers]
    for pointer, line in (git.ignored(repo.git, map(pointers.path_of, new)) if new else {}).items():
        raise UsageError(
            f"Git ignores {pointer}, the Pointer of {pointers.tracked_by(pointer)} ({line})",
            hint="change that line, so that the Pointer can be committed",
        )
    return _take(repo, whole, inside, progress)


def _take(
    repo: Repo, whole: Sequence[str], inside: Mapping[str, Sequence[str]], progress: Progress
) -> tuple[Tracked, ...]:
    """Store what is at paths, and at parts of tracked directories, and let the Pointers name it."""
    since = repo.tree.begin()
    progress.start("looking at files")
    scans = {path: repo.tree.scan(path, since) for path in whole}
    scans |= {path: repo.tree.scan(path, since, inside=True) for parts in inside.values() for path in parts}
    refuse(scans.values())
    for path in (path for scan in scans.values() for path in scan.left_out):
        progress.note(f"left out {path}: this name is never tracked")
    with repo.store.batch() as batch:
        looks = repo.tree.put(scans, repo.store, batch, progress=progress)
        contents = {path: looks[path].content for path in whole}
        for path in (path for path, content in contents.items() if content is None):
            raise ObjectsMissingError(f"{path} is a link into the store, where its object is missing", hint=FETCH)
        # From here on alone: what another process has just written is what this one adds to.
        with repo.exclusive():
            now = snapshot.pointers_of(repo.git, [*whole, *inside])
            for owner, parts in inside.items():
                entries = _merged(repo, owner, now, {path: looks[path].entries() for path in parts})
                contents[owner], objects = manifest.build(entries, repo.hashing)
                batch.put_hashed(objects)
            batch.commit()
            repo.tree.remember(looks.values())
            progress.finish()
            return _point(repo, {path: content for path, content in contents.items() if content}, now)


@taking_in
def commit(repo: Repo, targets: Sequence[str] = (), *, progress: Progress = QUIET) -> tuple[Tracked, ...]:
    """Accept what is in the working tree into Pointers that are there already; all of it, or the parts named.

    A tracked path that is not in the working tree keeps its Pointer; named as a target, it is an error.
    """
    pack.warm()
    now = snapshot.on_disk(repo.git)
    names = [repo.path(target) for target in targets]
    unreadable = snapshot.problem(snapshot.choose(now, names)[1].values())
    if unreadable is not None:
        raise unreadable
    chosen, unknown = snapshot.select({path: pointer.content for path, pointer in now.pointers.items()}, names)
    if unknown:
        raise _untracked(repo, targets[names.index(unknown[0])], now)
    inside = snapshot.inside(chosen, names)
    whole = [path for path in chosen if path not in inside]
    present = [path for path in whole if files.exists(f"{repo.root}/{path}")]
    if targets and len(present) < len(whole):
        gone = next(path for path in whole if path not in present)
        raise UsageError(
            f"{gone} is not in the working tree",
            hint=f"bring it back with `mlvc checkout {repo.typed(gone)}`, or stop tracking it with "
            f"`mlvc remove {repo.typed(gone)}`",
        )
    _tell_gone(repo, set(whole).difference(present), progress)
    return _take(repo, present, inside, progress) if present or inside else ()


def _tell_gone(repo: Repo, absent: Collection[str], progress: Progress) -> None:
    """Note the tracked paths that were deleted here, and so keep their Pointers; not those that never came here."""
    gone = sorted(placed.read(repo.placed).intersection(absent)) if absent else []
    if gone:
        more = f", and {len(gone) - 1} more are not" if len(gone) > 1 else ""
        ends = f"`mlvc remove {repo.typed(gone[0])}` ends that"
        progress.note(f"{gone[0]} is not in the working tree{more}, and stays tracked: {ends}")


def _untracked(repo: Repo, typed: str, now: Snapshot) -> UsageError:
    path = repo.path(typed)
    if path in now.outs:
        return UsageError(
            f"{path} is made by a stage: its record is that of the run",
            hint=f"make it anew with `mlvc repro`, or bring it back with `mlvc checkout --force {repo.typed(path)}`",
        )
    return named.untracked(repo, typed, "commit")


# -- which paths -------------------------------------------------------------------------------


def _target(repo: Repo, name: str) -> str:
    path = nameable(repo, name)
    full = f"{repo.root}/{path}"
    if not files.exists(full):
        there = files.exists(full + SUFFIX)
        hint = (
            f"it is tracked; `mlvc checkout {name}` brings it back" if there else named.slip(name, repo.root, repo.cwd)
        )
        raise UsageError(f"{name} does not exist", hint=hint)
    return path


def nameable(repo: Repo, name: str) -> str:
    """A path that can be tracked, whether something is there or not."""
    path = repo.path(name)
    if not path:
        raise UsageError(f"{name} cannot be tracked: it is the repository itself", hint="name what is in it")
    if path.split("/")[0] in (".git", ".mlvc"):
        raise UsageError(f"{name} cannot be tracked: it is part of Git or of mlvc", hint="name your own data")
    if len(os.fsencode(os.path.basename(path) + SUFFIX)) > _LONGEST_NAME:
        raise UsageError(f"the name of {name} is too long for a Pointer beside it", hint="choose a shorter name")
    if os.path.isdir(f"{repo.root}/{path}{SUFFIX}"):
        raise UsageError(
            f"{name}{SUFFIX} is a directory: the Pointer of {name} has no place", hint="rename one of them"
        )
    if repo.tree.is_ignored(path):
        raise UsageError(f"{name} is named in .mlvcignore", hint="take it out there, or leave it untracked")
    if os.path.basename(path) in manifest.CONTROL:
        raise UsageError(f"{name} cannot be tracked: Git or mlvc reads it", hint="keep it in Git")
    nested = next((p for p in snapshot.parents(path) if files.exists(f"{repo.root}/{p}/.git")), "")
    if nested:
        raise UsageError(f"{name} is in another Git repository, {nested}", hint="run mlvc there")
    inner = repo.inner(path)
    if inner:
        raise UsageError(f"{name} is in another mlvc root, {inner}", hint="run mlvc there")
    if path.endswith(SUFFIX):
        raise UsageError(f"{name} is a Pointer", hint=f"add the data: `mlvc add {name.removesuffix(SUFFIX)}`")
    if _is_of_dvc(f"{repo.root}/{path}"):
        data = name.removesuffix(".dvc")
        raise UsageError(f"{name} is a pointer of DVC, not data", hint=f"`dvc pull {name}`, then `mlvc add {data}`")
    return path


def _is_of_dvc(full: str) -> bool:
    """Whether a file is what DVC keeps in Git in the place of data."""
    if not full.endswith(".dvc") or not os.path.isfile(full):
        return False
    with open(full, "rb") as file:
        text = b"\n" + file.read(_FEW)
    return b"\nouts:" in text and b"path:" in text


_FEW = 64 * 1024


def _expand(repo: Repo, patterns: Iterable[str]) -> list[str]:
    found: list[str] = []
    for pattern in patterns:
        names = globs.glob(pattern, root_dir=os.path.join(repo.root, repo.cwd), recursive=True)
        names = sorted(name for name in names if not name.endswith((SUFFIX, ".gitignore")))
        if not names:
            raise UsageError(f"nothing matches '{pattern}'")
        found += [_target(repo, name) for name in names]
    # What a pattern such as ** finds inside of something else that it finds comes with that.
    every = set(found)
    return [path for path in found if every.isdisjoint(snapshot.parents(path))]


@contextmanager
def _brought(repo: Repo, targets: Sequence[str], out: str, now: Snapshot) -> Iterator[str]:
    """Data from elsewhere, copied into the working tree; where something fails after that, the copy goes again."""
    if len(targets) != 1:
        raise UsageError("-o takes one path to add", hint="call `mlvc add` once for each")
    source = os.path.join(repo.root, repo.cwd, targets[0])
    path = nameable(repo, out)
    target = f"{repo.root}/{path}"
    if not os.path.exists(source):
        raise UsageError(f"{targets[0]} does not exist", hint=named.slip(targets[0], repo.root, repo.cwd))
    _sort(repo, {path: None}, now)
    if files.exists(target):
        if not _equal(source, target):
            raise UsageError(f"{out} exists already", hint="remove it first, or choose another name")
        yield path  # an add that was interrupted
        return
    _copyable(source, targets[0])
    parent = os.path.dirname(target)
    os.makedirs(parent, exist_ok=True)
    temporary = repo.tree.beside(parent)
    if os.path.isdir(source):
        shutil.copytree(source, temporary, symlinks=True)
    else:
        shutil.copy2(source, temporary)
    os.rename(temporary, target)
    try:
        yield path
    except BaseException:
        if os.path.isdir(target):
            files.remove_tree(target)
        else:
            files.remove(target)
        raise


def _copyable(source: str, name: str) -> None:
    """UsageError where a FIFO, a socket or a device would be read."""
    inside = (os.path.join(top, name) for top, _, names in os.walk(source) for name in names)
    for path in [source, *inside]:
        if not (os.path.islink(path) or os.path.isfile(path) or os.path.isdir(path)):
            raise UsageError(
                f"{name}{path[len(source) :]} is a FIFO, a socket or a device, which has no content to keep",
                hint="remove it, or add the other paths one by one",
            )


def _equal(one: str, other: str) -> bool:
    """Whether two files or directories hold the same."""
    if os.path.isdir(one) and os.path.isdir(other):
        names = os.listdir(one)
        return sorted(names) == sorted(os.listdir(other)) and all(
            _equal(os.path.join(one, name), os.path.join(other, name)) for name in names
        )
    return os.path.isfile(one) and os.path.isfile(other) and filecmp.cmp(one, other, shallow=False)


def _sort(repo: Repo, paths: Mapping[str, None], now: Snapshot) -> tuple[list[str], dict[str, list[str]]]:
    """Paths to track whole, and paths inside of tracked directories by directory."""
    whole: list[str] = []
    inside: dict[str, list[str]] = {}
    everything = [*now.pointers, *now.outs, *now.unreadable]
    inner = {parent: known for known in everything for parent in snapshot.parents(known)}
    for path in paths:
        above = [path, *snapshot.parents(path)]
        bad = next((p for p in (*above, inner.get(path, "")) if p in now.unreadable), "")
        if bad:
            raise now.unreadable[bad]
        left = next((p for p in above if p in now.outside), "")
        if left:
            raise snapshot.outside(left)
        if path in now.outs and path not in now.pointers:
            raise UsageError(f"{path} is made by a stage", hint="`mlvc repro` keeps it up to date")
        owner = next((parent for parent in above[1:] if parent in now.pointers), "")
        maker = next((parent for parent in above[1:] if parent in now.outs), "")
        if maker:
            raise UsageError(
                f"{path} is inside of {maker}, which a stage makes", hint="`mlvc repro` keeps it up to date"
            )
        around = inner.get(path, "")
        if around:
            raise UsageError(
                f"{path} cannot be tracked: {around} in it is tracked already",
                hint=f"untrack that first with `mlvc remove {repo.typed(around)}`",
            )
        other = next((parent for parent in above[1:] if parent in paths), "")
        if other:
            raise UsageError(f"{path} is inside of {other}, which is to be tracked too", hint="name only one of them")
        if owner and not now.pointers[owner].content.is_dir:
            raise UsageError(
                f"{path} cannot be tracked: {owner} is tracked as a file",
                hint=f"take in what is there now with `mlvc add {repo.typed(owner)}`",
            )
        if owner:
            inside.setdefault(owner, []).append(path)
            continue
        whole.append(path)
    for path in git.tracked(repo.git, [path for path in whole if path not in now.pointers]):
        _check_around(repo, path)
        raise UsageError(
            f"{path} is tracked by Git itself", hint=f"take it out first: `git rm -r --cached {repo.typed(path)}`"
        )
    return whole, inside


def _check_around(repo: Repo, path: str) -> None:
    """UsageError where another root lies in the directory ``path``."""
    for name in git.listed(repo.git, ("*/" + settings.SHARED,)):
        inner = settings.root_of(name)
        if snapshot.within(inner, [path]):
            raise UsageError(
                f"{path} cannot be tracked: {inner} in it is an mlvc root of its own", hint="name what is around it"
            )


def _merged(repo: Repo, owner: str, now: Mapping[str, Pointer], parts: Mapping[str, list[Entry]]) -> list[Entry]:
    """The entries of a tracked directory with some paths in it replaced; the rest need not be present."""
    if owner not in now:
        raise UsageError(f"{owner} is not tracked any more", hint="another process has just changed that")
    if not now[owner].content.is_dir:
        raise snapshot.not_part(repo.root, min(parts), owner, repo.cwd)
    try:
        entries = manifest.entries_of(repo.store, now[owner].content.oid)
    except ObjectsMissingError:
        raise ObjectsMissingError(
            f"which files {owner} has is not known here: its manifest is not in the store",
            hint=f"get it with `mlvc fetch {repo.typed(owner)}`",
        ) from None
    for path, new in parts.items():
        name = path[len(owner) + 1 :]
        before = len(entries)
        entries = [e for e in entries if e.path != name and not e.path.startswith(name + "/")]
        if not new and len(entries) == before and not files.exists(f"{repo.root}/{path}"):
            raise snapshot.not_part(repo.root, path, owner, repo.cwd)
        # A file may stand where a directory was empty, and the other way round.
        entries = [e for e in entries if not name.startswith(e.path + "/")]
        entries += [e._replace(path=f"{name}/{e.path}" if e.path else name) for e in new]
    return entries


# -- Pointers ----------------------------------------------------------------------------------


def _point(repo: Repo, contents: Mapping[str, Content], old: Mapping[str, Pointer]) -> tuple[Tracked, ...]:
    """Write the Pointers that change, after Git is told to look away from the data."""
    done = []
    with gitignore.adding(repo.git, contents) as changed:
        placed.update(repo.placed, contents)
        for path, content in contents.items():
            before = old.get(path)
            done.append(Tracked(path, content, before.content if before else None))
            if before is None or before.content != content:
                new = before.having(content) if before else Pointer(content)
                name = pointers.path_of(path)
                files.replace(f"{repo.root}/{name}", pointers.encode(new))
                changed.append(name)
    if repo.config.get("core.autostage"):
        git.stage(repo.git, changed)
    return tuple(done)
