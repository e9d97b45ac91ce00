"""The two hash algorithms of mlvc, behind one shape.

xxh128 (XXH3-128) runs at the speed of memory and guards against accidents; blake3 guards
against attackers too. docs/design/threats.md says what each is good for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import xxhash

from mlvc.errors import UsageError
from mlvc.oid import LENGTHS, Oid

BLOCK = 1 << 20


class Hasher(Protocol):
    """A digest in the making."""

    def update(self, data: bytes | memoryview | bytearray, /) -> object:
        """Take in more bytes."""

    def digest(self) -> bytes:
        """The Oid of what was taken in."""


class Hashing:
    """One algorithm: its name, its digest length in bytes, and the ways to use it."""

    __slots__ = ("name", "new", "of", "size")

    def __init__(self, name: str) -> None:
        if name not in LENGTHS:
            raise UsageError(f"unknown hash algorithm '{name}'", hint=f"one of {', '.join(LENGTHS)}")
        self.name = name
        self.size = LENGTHS[name]
        self.of: Callable[[bytes | memoryview | bytearray], bytes]
        """The Oid of bytes that are in memory."""
        self.new: Callable[[], Hasher]
        """A Hasher for bytes that come in parts."""
        if name == "xxh128":
            self.of = xxhash.xxh3_128_digest
            self.new = xxhash.xxh3_128
        else:
            # Loaded on use: most repositories never need it.
            from blake3 import blake3  # noqa: PLC0415

            self.of = lambda data: blake3(data).digest()
            self.new = blake3

    def check(self, oid: bytes, data: bytes | memoryview | bytearray) -> bool:
        """Whether ``data`` is the content named ``oid``."""
        return self.of(data) == oid


def oid_of(hashing: Hashing, data: bytes | memoryview) -> Oid:
    """The Oid of ``data``."""
    return Oid(hashing.of(data))
