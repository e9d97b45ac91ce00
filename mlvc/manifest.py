"""Manifests: the entries of a directory as a two-level tree. Bytes: docs/formats/manifest.md.

Entries are plain tuples and Manifests columns of them: a directory has millions.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import xxhash

from mlvc.errors import DamagedError, FormatError, ObjectsMissingError
from mlvc.hashing import Hashing
from mlvc.oid import Oid
from mlvc.pointer import Content
from mlvc.store.base import Lost, Reader, load, loss, reason_of

FILE, EXECUTABLE, SYMLINK, EMPTY_DIR = "f", "x", "l", "d"
_KINDS = frozenset(b"fxld")
_LEAF, _ROOT = b"mlv1", b"mrt1"
_CUT = 1023


class Entry(NamedTuple):
    """One path of a directory. ``size`` in bytes."""

    path: str
    kind: str
    size: int
    oid: bytes


class Leaf(NamedTuple):
    """One line of a root: where a leaf begins, what it sums up to, and its name."""

    first: str
    files: int
    size: int
    oid: bytes


@dataclass(frozen=True, slots=True)
class Root:
    """The leaves of a directory, in order."""

    leaves: tuple[Leaf, ...]

    @property
    def files(self) -> int:
        """Number of entries."""
        return sum(leaf.files for leaf in self.leaves)

    @property
    def size(self) -> int:
        """Sum of the sizes of all entries, in bytes."""
        return sum(leaf.size for leaf in self.leaves)


def build(entries: Sequence[Entry], hashing: Hashing) -> tuple[Content, list[tuple[bytes, bytes]]]:
    """The Content of a directory, and the objects of its manifest: leaves first, the root last.

    ``entries`` need not be sorted.
    """
    rows = sorted([(entry[0].encode(), entry[1], entry[2], entry[3]) for entry in entries])
    leaves: list[Leaf] = []
    objects: list[tuple[bytes, bytes]] = []
    digest = xxhash.xxh3_64_intdigest
    begin = 0
    ends = [i for i, row in enumerate(rows, 1) if not digest(row[0]) & _CUT]
    if rows and (not ends or ends[-1] != len(rows)):
        ends.append(len(rows))
    for end in ends:
        part = rows[begin:end]
        begin = end
        data = _encode_leaf(part)
        oid = hashing.of(data)
        objects.append((oid, data))
        leaves.append(Leaf(part[0][0].decode(), len(part), sum(row[2] for row in part), oid))
    root = Root(tuple(leaves))
    data = encode_root(root)
    oid = hashing.of(data)
    objects.append((oid, data))
    return Content("dir", Oid(oid), root.size, root.files), objects


def _encode_leaf(rows: Sequence[tuple[bytes, str, int, bytes]]) -> bytes:
    paths, kinds, sizes, oids = zip(*rows, strict=True)
    return b"".join(
        (
            _LEAF,
            struct.pack("<I", len(rows)),
            "".join(kinds).encode(),
            struct.pack(f"<{len(rows)}Q", *sizes),
            *oids,
            b"\0".join(paths),
            b"\0",
        )
    )


def decode_leaf(data: bytes | memoryview, digest_size: int) -> list[Entry]:
    """The entries of a leaf, in order."""
    data = bytes(data)
    if data[:4] != _LEAF:
        raise FormatError(f"not a leaf of a manifest, or of a newer format: {data[:4]!r}", hint="use a newer mlvc")
    try:
        (count,) = struct.unpack_from("<I", data, 4)
        at = 8 + 9 * count
        end = at + digest_size * count
        paths = data[end:-1].decode().split("\0")
        kinds = data[8 : 8 + count]
        sizes = struct.unpack_from(f"<{count}Q", data, 8 + count)
    except (struct.error, UnicodeDecodeError):
        raise DamagedError("a leaf of a manifest is damaged") from None
    if len(paths) != count or data[-1:] != b"\0" or not _KINDS.issuperset(kinds):
        raise DamagedError("a leaf of a manifest is damaged")
    oids = [data[i : i + digest_size] for i in range(at, end, digest_size)]
    return list(map(Entry, paths, kinds.decode(), sizes, oids))


def encode_root(root: Root) -> bytes:
    """The bytes of a root."""
    count = len(root.leaves)
    return b"".join(
        (
            _ROOT,
            struct.pack(f"<I{count}I", count, *(leaf.files for leaf in root.leaves)),
            struct.pack(f"<{count}Q", *(leaf.size for leaf in root.leaves)),
            *(leaf.oid for leaf in root.leaves),
            *(leaf.first.encode() + b"\0" for leaf in root.leaves),
        )
    )


def decode_root(data: bytes, digest_size: int) -> Root:
    """The leaves that a root lists."""
    if data[:4] != _ROOT:
        raise FormatError(f"not the root of a manifest, or of a newer format: {data[:4]!r}", hint="use a newer mlvc")
    try:
        (count,) = struct.unpack_from("<I", data, 4)
        counts = struct.unpack_from(f"<{count}I", data, 8)
        sizes = struct.unpack_from(f"<{count}Q", data, 8 + 4 * count)
        at = 8 + 12 * count
        end = at + digest_size * count
        firsts = data[end:].decode().split("\0")
    except (struct.error, UnicodeDecodeError):
        raise DamagedError("the root of a manifest is damaged") from None
    oids = [data[i : i + digest_size] for i in range(at, end, digest_size)]
    if len(firsts) != count + 1 or firsts.pop():
        raise DamagedError("the root of a manifest is damaged")
    return Root(tuple(map(Leaf, firsts, counts, sizes, oids)))


# -- reading from a Store ----------------------------------------------------------------------


def root_of(store: Reader, oid: bytes) -> Root:
    """The root manifest ``oid``."""
    return decode_root(load(store, oid), store.hashing.size)


def leaf_of(store: Reader, leaf: Leaf) -> list[Entry]:
    """The entries of one leaf."""
    return decode_leaf(load(store, leaf.oid), store.hashing.size)


def _leaves(store: Reader, wanted: Sequence[Leaf]) -> Iterator[list[Entry]]:
    """The entries of each of these leaves, in the order given."""
    lost: Lost = {}
    found = {oid: bytes(data) for oid, data in store.read([leaf.oid for leaf in wanted], lost)}
    for oid, reason in lost.items():
        raise loss(oid, reason)
    for leaf in wanted:
        yield decode_leaf(found[leaf.oid], store.hashing.size)


def entries_of(store: Reader, oid: bytes) -> list[Entry]:
    """All entries of the directory ``oid``, in order; ObjectsMissingError or DamagedError."""
    return [entry for leaf in _leaves(store, root_of(store, oid).leaves) for entry in leaf]


def find(store: Reader, oid: bytes, path: str) -> list[Entry]:
    """The entry at ``path`` of the directory ``oid``, or all entries below it, without reading other leaves."""
    leaves = root_of(store, oid).leaves
    below = path + "/" if path else ""
    return [
        entry
        for leaf in _leaves(store, around(leaves, path))
        for entry in leaf
        if entry.path == path or entry.path.startswith(below)
    ]


def around(leaves: Sequence[Leaf], path: str) -> list[Leaf]:
    """The leaves in which there may be something at or below ``path``; '': all."""
    return [leaves[at] for at in _around(leaves, path)]


def _around(leaves: Sequence[Leaf], path: str) -> list[int]:
    """As ``around``, the places of these leaves."""
    if not path:
        return list(range(len(leaves)))
    firsts = [leaf.first.encode() for leaf in leaves]
    at = max(0, bisect_right(firsts, path.encode()) - 1)
    # What is below it need not be next to it: "a-b" comes between "a" and "a/b".
    low = max(at + 1, bisect_right(firsts, path.encode() + b"/") - 1)
    high = bisect_right(firsts, path.encode() + b"0")  # "0" is the byte after "/"
    return [at, *range(low, high)] if leaves else []


class Child(NamedTuple):
    """What lies directly in a directory: an entry, or a directory with the sums over its entries and no Oid."""

    path: str
    kind: str
    size: int
    files: int
    oid: bytes


def children(store: Reader, oid: bytes, path: str = "") -> list[Child]:
    """What lies directly in the part ``path`` of the directory ``oid``, in order; the entry itself if it is one.

    A leaf all of whose entries are in one directory below is not read: the root has its sums.
    """
    leaves = root_of(store, oid).leaves
    inside = path + "/" if path else ""
    sums: dict[str, list[int]] = {}
    single: list[Child] = []
    mixed = []
    for at in _around(leaves, path):
        name = _one_directory(inside, [leaf.first for leaf in leaves[at : at + 2]])
        if name:
            _sum(sums, name, leaves[at].size, leaves[at].files)
        else:
            mixed.append(leaves[at])
    for entries in _leaves(store, mixed):
        for entry in entries:
            name, deeper, _ = entry.path[len(inside) :].partition("/")
            if entry.path.startswith(inside) and deeper:
                _sum(sums, inside + name, entry.size, 1)
            elif entry.path.startswith(inside) or entry.path == path:
                is_file = entry.kind != EMPTY_DIR
                single.append(Child(entry.path, entry.kind, entry.size, int(is_file), entry.oid if is_file else b""))
    found = [*single, *(Child(name, EMPTY_DIR, size, files, b"") for name, (size, files) in sums.items())]
    return sorted(found, key=lambda child: child.path.encode())


def _one_directory(inside: str, firsts: Sequence[str]) -> str:
    """The directory in ``inside`` that all entries between two paths are in; '' where they may be in several."""
    name, deeper, _ = firsts[0][len(inside) :].partition("/")
    top = inside + name
    whole = deeper and len(firsts) == 2 and all(first.startswith(top + "/") for first in firsts)
    return top if whole else ""


def _sum(sums: dict[str, list[int]], name: str, size: int, files: int) -> None:
    found = sums.setdefault(name, [0, 0])
    found[0] += size
    found[1] += files


def directories(store: Reader, oids: Iterable[bytes], lost: Lost) -> dict[bytes, list[Entry]]:
    """All entries of each of many directories, in two reads. Those of which a part cannot be read are in ``lost``."""
    bad: Lost = {}
    size = store.hashing.size
    roots = {oid: decode_root(bytes(data), size) for oid, data in store.read(dict.fromkeys(oids), bad)}
    parts = dict.fromkeys(leaf.oid for root in roots.values() for leaf in root.leaves)
    leaves = {oid: decode_leaf(data, size) for oid, data in store.read(parts, bad)}
    lost.update({oid: reason for oid, reason in bad.items() if oid not in parts})
    for oid, root in roots.items():
        reasons = [bad[leaf.oid] for leaf in root.leaves if leaf.oid in bad]
        if reasons:
            lost[oid] = reasons[0]
    return {
        oid: [entry for leaf in root.leaves for entry in leaves[leaf.oid]]
        for oid, root in roots.items()
        if oid not in lost
    }


def differing(store: Reader, old: bytes, new: bytes) -> tuple[list[Entry], list[Entry]]:
    """The entries of two directories that are not in leaves common to both."""
    olds, news = root_of(store, old).leaves, root_of(store, new).leaves
    common = {leaf.oid for leaf in olds} & {leaf.oid for leaf in news}
    return (
        [e for leaf in _leaves(store, [x for x in olds if x.oid not in common]) for e in leaf],
        [e for leaf in _leaves(store, [x for x in news if x.oid not in common]) for e in leaf],
    )


def objects_below(store: Reader, content: Content, parts: Iterable[str], lost: Lost) -> tuple[set[bytes], set[str]]:
    """As ``objects_of`` for one directory, of whose files only those at or below ``parts`` count.

    And the parts that it does not have, as far as that is known.
    """
    oids: set[bytes] = {content.oid}
    absent: set[str] = set()
    try:
        oids.update(leaf.oid for leaf in root_of(store, content.oid).leaves)
        for part in parts:
            found = find(store, content.oid, part)
            oids.update(e.oid for e in found if e.kind != EMPTY_DIR)
            absent.update([] if found else [part])
    except (ObjectsMissingError, DamagedError) as error:
        lost[content.oid] = reason_of(error)
    return oids, absent


def objects_of(store: Reader, contents: Iterable[Content], lost: Lost) -> set[bytes]:
    """The Oids of everything that ``contents`` consist of: roots, leaves, files.

    A manifest that cannot be read is in ``lost``; what it lists is then not among the Oids.
    """
    oids: set[bytes] = set()
    roots: list[bytes] = []
    for content in contents:
        oids.add(content.oid)
        if content.is_dir:
            roots.append(content.oid)
    size = store.hashing.size
    leaves = {leaf.oid for _, data in store.read(roots, lost) for leaf in decode_root(bytes(data), size).leaves}
    oids |= leaves
    for _, data in store.read(leaves, lost):
        oids.update(_oids_of_leaf(bytes(data), size))
    return oids


def manifests_of(store: Reader, content: Content, lost: Lost) -> set[bytes]:
    """The Oids of the root and the leaves of a directory, all of which are read. What cannot be is in ``lost``."""
    size = store.hashing.size
    leaves = {leaf.oid for _, data in store.read([content.oid], lost) for leaf in decode_root(bytes(data), size).leaves}
    for _ in store.read(leaves, lost):
        pass
    return {content.oid, *leaves}


def roots_of(store: Reader, oids: Iterable[bytes]) -> dict[bytes, Root]:
    """Many root manifests in one read; without those that cannot be read."""
    size = store.hashing.size
    return {oid: decode_root(bytes(data), size) for oid, data in store.read(dict.fromkeys(oids), {})}


def sizes_of(store: Reader, roots: Iterable[Root]) -> set[tuple[bytes, int]]:
    """The Oids of all files in these directories, each with its size in bytes; without what cannot be read."""
    found: set[tuple[bytes, int]] = set()
    for _, data in store.read({leaf.oid for root in roots for leaf in root.leaves}, {}):
        count, kinds, oids = _columns_of_leaf(bytes(data), store.hashing.size)
        rows = zip(kinds, oids, struct.unpack_from(f"<{count}Q", data, 8 + count), strict=True)
        found.update((oid, size) for kind, oid, size in rows if kind != _EMPTY)
    return found


def _oids_of_leaf(data: bytes, digest_size: int) -> list[bytes]:
    _, kinds, oids = _columns_of_leaf(data, digest_size)
    if _EMPTY not in kinds:
        return oids
    return [oid for kind, oid in zip(kinds, oids, strict=True) if kind != _EMPTY]


_EMPTY = ord(EMPTY_DIR)
"""An empty directory has no object."""


def _columns_of_leaf(data: bytes, digest_size: int) -> tuple[int, bytes, list[bytes]]:
    """The number of entries of a leaf, their kinds and their Oids: entry by entry would take several times as long."""
    if data[:4] != _LEAF:
        raise FormatError(f"not a leaf of a manifest, or of a newer format: {data[:4]!r}", hint="use a newer mlvc")
    (count,) = struct.unpack_from("<I", data, 4)
    at = 8 + 9 * count
    return (
        count,
        data[8 : 8 + count],
        [data[i : i + digest_size] for i in range(at, at + digest_size * count, digest_size)],
    )


def check_path(path: str, name: str = "a manifest") -> None:
    """FormatError for a path that would leave the directory, or get into Git's: ``name`` may come from anywhere."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or (os.sep == "\\" and "\\" in path):
        raise FormatError(f"{name} names the path '{path}', which leaves its directory")
    if any(part.lower() == ".git" for part in parts):
        raise FormatError(f"{name} names the path '{path}', which belongs to Git")


CONTROL = frozenset({".gitignore", ".gitattributes", ".gitmodules", ".mlvcignore", "mlvc.yaml", "mlvc.lock"})
"""Names of files that Git or mlvc reads: nothing tracked has them."""


def is_control(path: str) -> bool:
    """Whether ``path``, relative to the repository, is a file that Git or mlvc reads, or lies among those of mlvc."""
    first, *_ = parts = path.split("/")
    return parts[-1] in CONTROL or first == ".mlvc"


def check(entries: Sequence[Entry]) -> None:
    """FormatError where a path would leave the directory, by itself or through a symbolic link beside it."""
    paths = {entry.path for entry in entries}
    # All at once: hardly a path has anything to do with these, and there may be a million.
    text = ("/" + "/\0/".join(paths) + "/").lower()
    if any(part in text for part in ("//", "/./", "/../", "/.git/", "\\")):
        for path in paths:
            check_path(path)
    seen: set[str] = set()
    for entry in entries:
        parent = entry.path.rpartition("/")[0]
        while parent and parent not in seen:
            if parent in paths:
                raise FormatError(f"a manifest names '{parent}' both as a file and as a directory")
            seen.add(parent)
            parent = parent.rpartition("/")[0]


__all__ = ["Entry", "Leaf", "ObjectsMissingError", "Root", "build", "decode_leaf", "decode_root", "differing", "find"]
