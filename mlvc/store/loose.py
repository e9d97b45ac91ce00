"""Loose objects: large files kept whole, so that the working tree can link to them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from mlvc import files
from mlvc.errors import DamagedError
from mlvc.hashing import BLOCK, Hashing

_MODE = 0o444


class Loose:
    """Whole files below one directory: ``ab/cdef…``, by the hex of the Oid, never written again."""

    def __init__(self, root: str, hashing: Hashing) -> None:
        self._root = root
        self._hashing = hashing

    def path(self, oid: bytes) -> str:
        """Where an object is, or would be."""
        digits = oid.hex()
        return os.path.join(self._root, digits[:2], digits[2:])

    def present(self, oids: Iterable[bytes]) -> set[bytes]:
        """Those of ``oids`` that are here."""
        if not os.path.isdir(self._root):
            return set()
        return {oid for oid in oids if self.has(oid)}

    def has(self, oid: bytes) -> bool:
        """Whether an object is here: anything else in its place, such as a directory, is none."""
        return os.path.isfile(self.path(oid))

    def stream(self, oid: bytes) -> Iterator[bytes]:
        """The content in parts; DamagedError after the last one where it does not hash to its Oid."""
        hasher = self._hashing.new()
        with open(self.path(oid), "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                hasher.update(block)
                yield block
        if hasher.digest() != oid:
            raise DamagedError(f"object {oid.hex()[:10]} is damaged", hint="get it again with `mlvc fetch`")

    def part(self, oid: bytes, start: int, stop: int) -> Iterator[bytes]:
        """A part of the content. It was hashed when it came, and is not now: only the whole of it could tell."""
        with open(self.path(oid), "rb", buffering=0) as file:
            file.seek(start)
            while start < stop and (block := file.read(min(BLOCK, stop - start))):
                start += len(block)
                yield block

    def check(self, oid: bytes, told: Callable[[int], object] = bool) -> bool:
        """Whether the content hashes to its Oid. ``told`` is called with the number of bytes that were read."""
        try:
            for block in self.stream(oid):
                told(len(block))
        except (DamagedError, FileNotFoundError):
            return False
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        return True

    def protect(self, oid: bytes) -> None:
        """Make an object read-only, and no program, as it was at first: a link to it may have been given other bits."""
        path = self.path(oid)
        if stat.S_IMODE(os.stat(path).st_mode) != _MODE:
            os.chmod(path, _MODE)

    def take(self, temporary: str, oid: bytes) -> None:
        """Give a flushed temporary file its name here. It becomes read-only."""
        path = self.path(oid)
        files.make_dirs(os.path.dirname(path))
        os.chmod(temporary, _MODE)
        os.replace(temporary, path)
        files.sync_dir(os.path.dirname(path))
