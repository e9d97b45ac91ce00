"""``ls``, ``du``, ``cat``: what a Source tracks, how much that is, and the bytes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlvc import manifest, snapshot
from mlvc.api.elsewhere import Source
from mlvc.api.view import KINDS, Item, View, of_entry
from mlvc.errors import DamagedError, FormatError, MlvcError, ObjectsMissingError
from mlvc.manifest import EMPTY_DIR, Entry
from mlvc.pointer import SUFFIX, Content, path_of
from mlvc.progress import QUIET, Progress
from mlvc.store.base import Lost, reason_of


@dataclass(frozen=True, slots=True)
class Listing:
    """What is tracked at or below a path. ``lost``: tracked directories whose Manifest cannot be had, with the reason.

    ``unreadable``: what is wrong with Pointers that cannot be read.
    """

    items: tuple[Item, ...]
    lost: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[FormatError, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """What paths name in a Source: tracked paths, and of those that they name parts of only, these parts."""

    contents: Mapping[str, Content]
    parts: Mapping[str, Sequence[str]]
    unreadable: tuple[FormatError, ...] = ()


def choose(source: Source, paths: Sequence[str]) -> Chosen:
    """What ``paths`` name, none: everything. UsageError where one of them names nothing that is tracked."""
    contents, unreadable, unknown = snapshot.choose(source.shot, paths)
    contents = {path: content for path, content in contents.items() if not _is_below_a_file(path, content, paths)}
    wrong = unknown or [path for path in paths if not unreadable and not snapshot.select(contents, [path])[0]]
    if wrong:
        raise source.untracked(wrong[0])
    parts = snapshot.inside(contents, paths)
    below = {path: [part[len(path) + 1 :] for part in named] for path, named in parts.items()}
    return Chosen(contents, below, tuple(unreadable.values()))


def _is_below_a_file(path: str, content: Content, paths: Sequence[str]) -> bool:
    """Whether ``paths`` name a tracked file only as if it were a directory."""
    return not content.is_dir and path in snapshot.inside([path], paths)


def ls(source: Source, path: str = "", *, recursive: bool = False) -> Listing:
    """The tracked paths below ``path``, or what is in it where it is a tracked directory or lies in one.

    ``recursive``: every file, of every tracked path. UsageError where ``path`` names nothing that is tracked.
    """
    chosen = choose(source, [path] if path else [])
    found: list[Item] = []
    lost: dict[str, str] = {}
    whole: dict[str, Content] = {}
    for top, content in chosen.contents.items():
        if not content.is_dir:
            found.append(Item(top, content.kind, content.size, 1, content.oid))
        elif top in chosen.parts or (path in (top, path_of(top)) and not recursive):
            part = "".join(chosen.parts.get(top, ()))
            try:
                found += _inside(source, top, content, part, recursive=recursive)
            except (ObjectsMissingError, DamagedError) as error:
                lost[top] = reason_of(error)
        elif recursive:
            whole[top] = content
        else:
            found.append(Item(top, content.kind, content.size, content.files, content.oid))
    for top, entries in _entries(source, whole, lost).items():
        # Of a directory in which nothing is, there is still the directory.
        found += [of_entry(top, entry) for entry in entries] or [Item(top, "dir", 0, 0, whole[top].oid)]
    return Listing(tuple(sorted(found, key=lambda item: item.path.encode())), lost, chosen.unreadable)


def _inside(source: Source, top: str, content: Content, part: str, *, recursive: bool) -> list[Item]:
    """What is in a part of a tracked directory, reading no more of its Manifest than that takes."""
    if recursive:
        found = [of_entry(top, entry) for entry in manifest.find(source.reader, content.oid, part)]
    else:
        found = [
            Item(f"{top}/{child.path}", KINDS[child.kind], child.size, child.files, child.oid)
            for child in manifest.children(source.reader, content.oid, part)
        ]
    if part and not found:
        raise source.untracked(f"{top}/{part}")
    # An empty directory is an entry; there is nothing in it.
    return [item for item in found if not (item.is_dir and item.path == f"{top}/{part}")]


def _entries(source: Source, contents: Mapping[str, Content], lost: dict[str, str]) -> dict[str, list[Entry]]:
    """All entries of tracked directories, by path; those that cannot be told are in ``lost``."""
    bad: Lost = {}
    found = manifest.directories(source.reader, [content.oid for content in contents.values()], bad)
    lost.update({path: bad[content.oid] for path, content in contents.items() if content.oid in bad})
    return {path: found[content.oid] for path, content in contents.items() if content.oid in found}


def problem(source: Source, found: Listing | Usage) -> MlvcError | None:
    """The error for what could not be told; None where all was."""
    for path, reason in found.lost.items():
        return source.lost(path, reason, more=len(found.lost) - 1)
    return snapshot.problem(found.unreadable)


# -- du ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """How much tracked paths are. Sizes in bytes, as files in a working tree.

    ``stored``: what the objects of all of them together take in the Store; what they have in common counts once.
    ``missing``: how many of these objects are not there.
    """

    items: tuple[Item, ...]
    stored: int
    missing: int
    lost: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[FormatError, ...] = ()

    @property
    def size(self) -> int:
        """All of it."""
        return sum(item.size for item in self.items)

    @property
    def files(self) -> int:
        """All of them."""
        return sum(item.files for item in self.items)


def du(source: Source, paths: Sequence[str] = ()) -> Usage:
    """How much each tracked path that ``paths`` name is, and what all of it takes in the Store.

    What lies in another path that is named counts there.
    """
    chosen = choose(source, paths)
    items: list[Item] = []
    lost: dict[str, str] = {}
    oids: set[bytes] = set()
    whole = [content for path, content in chosen.contents.items() if path not in chosen.parts]
    for top, content in sorted(chosen.contents.items()):
        named = dict.fromkeys(chosen.parts.get(top, ()))
        for part in (part for part in named if named.keys().isdisjoint(snapshot.parents(part))):  # each file once
            try:
                entries = manifest.find(source.reader, content.oid, part)
            except (ObjectsMissingError, DamagedError) as error:
                lost[top] = reason_of(error)
                continue
            if not entries:
                raise source.untracked(f"{top}/{part}")
            items.append(_sum(f"{top}/{part}", entries))
            oids.update(entry.oid for entry in entries if entry.kind != EMPTY_DIR)
        if top not in chosen.parts:
            items.append(Item(top, content.kind, content.size, content.files, content.oid))
    store = source.reader.near
    if store is None:
        return Usage(tuple(items), 0, 0, lost, chosen.unreadable)
    unknown: Lost = {}
    oids |= manifest.objects_of(store, whole, unknown)
    missing = store.missing(oids)
    return Usage(tuple(items), store.taken(oids - missing), len(missing), lost, chosen.unreadable)


def _sum(path: str, entries: Sequence[Entry]) -> Item:
    if len(entries) == 1 and path.endswith("/" + entries[0].path):
        return Item(path, KINDS[entries[0].kind], entries[0].size, 1, entries[0].oid)
    return Item(path, "dir", sum(entry.size for entry in entries), len(entries), b"")


# -- cat ---------------------------------------------------------------------------------------


def cat(source: Source, path: str, *, progress: Progress = QUIET) -> Iterator[bytes | memoryview]:
    """The bytes of a tracked file in parts. Each is valid until the next one.

    They are good only when the iteration has ended: ObjectsMissingError or DamagedError may come in the middle.
    """
    item = View(source).file(_data_of(source, path))
    progress.start("reading", total=item.size)
    try:
        for part in source.reader.stream(item.oid):
            yield part
            progress.advance(size=len(part))
    except (ObjectsMissingError, DamagedError) as error:
        raise source.lost(item.path, reason_of(error)) from None


def _data_of(source: Source, path: str) -> str:
    """The tracked path, where ``path`` is its Pointer."""
    name = path.removesuffix(SUFFIX)
    return name if name in source.shot.contents() else path
