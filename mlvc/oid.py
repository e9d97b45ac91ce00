"""The name of an object: the digest of its content.

Inside mlvc an Oid is the raw digest, because bytes are small, fast to compare and sort the
way that the formats sort. Its length tells the algorithm: 16 bytes xxh128, 32 bytes blake3.
In text it is ``algorithm:hex`` in lower case, and that is its only spelling.
"""

from __future__ import annotations

from typing import NewType

from mlvc.errors import FormatError

Oid = NewType("Oid", bytes)

LENGTHS = {"xxh128": 16, "blake3": 32}
ALGORITHMS = {length: name for name, length in LENGTHS.items()}


def to_text(oid: bytes) -> str:
    """``algorithm:hex`` of a raw Oid."""
    return f"{ALGORITHMS[len(oid)]}:{oid.hex()}"


def from_text(text: str) -> Oid:
    """The raw Oid of ``algorithm:hex``; FormatError for anything else."""
    algorithm, _, digits = text.partition(":")
    length = LENGTHS.get(algorithm)
    if length is None:
        raise FormatError(
            f"unknown hash algorithm in '{text}'",
            hint=f"this mlvc knows {', '.join(LENGTHS)}; a newer one may know more",
        )
    if len(digits) != 2 * length or digits.strip("0123456789abcdef"):
        raise FormatError(f"'{text}' is not an object name")
    return Oid(bytes.fromhex(digits))


def short(oid: bytes) -> str:
    """The first ten digits, for messages."""
    return oid.hex()[:10]
