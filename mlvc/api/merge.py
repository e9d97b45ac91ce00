"""What Git's merge driver does: two sides of a Pointer or of the Lockfile become one."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mlvc import merge, snapshot
from mlvc import pointer as pointers
from mlvc.errors import FormatError
from mlvc.hashing import Hashing
from mlvc.manifest import EXECUTABLE, FILE, Entry, build
from mlvc.merge import Merged, Sides, three_way
from mlvc.oid import Oid
from mlvc.pipeline import lockfile
from mlvc.pipeline.lockfile import Lockfile
from mlvc.pointer import Content, Pointer
from mlvc.repo import Repo
from mlvc.snapshot import LOCKFILE, as_entry
from mlvc.store.base import Reader

T = TypeVar("T")
Item = Entry | Content
Objects = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Joined:
    """Two sides of one Pointer, as far as they merge. ``items`` are by path; a file has the path ''."""

    items: Merged[str, Item]
    extra: Merged[str, str]
    is_dir: bool

    def settled(self, choice: Callable[[Sides[Item]], Item | None], hashing: Hashing) -> tuple[Content | None, Objects]:
        """The Content where ``choice`` decides the conflicts, None where it has nothing; the objects to be stored."""
        chosen = self.items.choosing(choice)
        if self.is_dir:
            return build(merge.settled({p: e for p, e in chosen.items() if isinstance(e, Entry)}), hashing)
        item = chosen.get("")
        if isinstance(item, Entry):
            item = Content("executable" if item.kind == EXECUTABLE else "file", Oid(item.oid), item.size)
        return item, []


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a merge driver has to say: the merged file, or what both sides changed (``data`` is None then).

    ``rerun``: Stages that both sides changed, and that have no entry any more.
    """

    data: bytes | None
    conflicts: tuple[str, ...] = ()
    rerun: tuple[str, ...] = ()


def driver(repo: Repo, name: str, sides: tuple[bytes, bytes, bytes], *, inner: bool = False) -> Outcome:
    """Merge the file ``name``, given as base, ours and theirs.

    The objects of a merged directory are durable in the Store on return. FormatError where a side cannot be read,
    ObjectsMissingError or DamagedError where a Manifest cannot. ``inner``: what comes out is the base of another merge,
    as Git makes it where two branches have several: what is in conflict then equals nothing.
    """
    if posixpath.basename(name) == LOCKFILE:
        base, mine, other = (lockfile.decode(side, name) if side else Lockfile() for side in sides)
        merged, conflicts = merge.lockfiles(base, mine, other)
        return Outcome(lockfile.encode(merged), rerun=tuple(sorted(conflicts)))
    old, one, two = (pointers.decode(side, name) if side else None for side in sides)
    joined = join(repo, old, one, two)
    if joined.extra.conflicts:
        key = next(iter(joined.extra.conflicts))
        raise FormatError(f"both sides of {name} changed '{key}', which this mlvc does not know")
    if joined.items.conflicts and not inner:
        return Outcome(None, tuple(sorted(joined.items.conflicts)))
    content, objects = joined.settled(lambda sides: _neither(sides, repo.hashing), repo.hashing)
    assert content is not None
    with repo.store.batch() as batch:
        batch.put_hashed(objects)
        batch.commit()
    return Outcome(pointers.encode(Pointer(content, tuple(joined.extra.clean.items()))))


def join(repo: Repo, base: Pointer | None, mine: Pointer | None, other: Pointer | None) -> Joined:
    """Merge two Pointers of one path, those of directories file by file. Nothing is written.

    Manifests that are not in the Store are looked for on the default Remote.
    """
    contents = tuple(None if side is None else side.content for side in (base, mine, other))
    extra = three_way(*(dict(side.extra) if side else {} for side in (base, mine, other)))
    there = [content for content in contents[1:] if content is not None]
    if len(there) == 2 and all(content.is_dir for content in there):
        # Of a path that was a file before, nothing is common.
        sides = [content if content is not None and content.is_dir else None for content in contents]
        merged = _reading(repo, lambda reader: merge.entries(*(snapshot.entries(reader, side) for side in sides)))
        return Joined(Merged(merged.clean, merged.conflicts), extra, is_dir=True)
    if any(content is not None and content.is_dir for content in contents):
        whole = three_way(*({"": content} if content else {} for content in contents))
        return Joined(Merged(whole.clean, whole.conflicts), extra, is_dir=False)
    files = merge.entries(*([as_entry(content)] if content else [] for content in contents))
    return Joined(Merged(files.clean, files.conflicts), extra, is_dir=False)


def _reading(repo: Repo, work: Callable[[Reader], T]) -> T:
    """``work`` on the Store, and on the default Remote for a Manifest that is not there."""
    if not (repo.config.get("core.remote") or len(repo.config.remotes) == 1):
        return work(repo.store)
    from mlvc.api.elsewhere import reading  # noqa: PLC0415  (nothing is merged where there are no directories)

    with reading(repo) as reader:
        return work(reader)


def _neither(sides: Sides[Item], hashing: Hashing) -> Item:
    """What equals neither side, and comes out the same whenever these two are in conflict."""
    named = b"".join(b"-" if side is None else side.kind.encode() + side.oid for side in sides[1:])
    path = next((side.path for side in sides if isinstance(side, Entry)), "")
    return Entry(path, FILE, 0, hashing.of(b"conflict\0" + named))


def markers(mine: bytes, other: bytes, size: int = 7) -> bytes:
    """Two sides of a file in one, with conflict markers as Git writes them."""
    lines = (b"<" * size + b" ours", mine, b"=" * size, other, b">" * size + b" theirs")
    return b"".join(line if line.endswith(b"\n") or not line else line + b"\n" for line in lines)
