"""Both algorithms against vectors that were published with them, not made by mlvc."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc import oid as oids
from mlvc.errors import UsageError
from mlvc.hashing import Hashing, oid_of

# xxh128 as `xxhsum -H128` prints them; blake3 as `b3sum` does, the first two are in BLAKE3's test_vectors.json too.
VECTORS = [
    ("xxh128", b"", "99aa06d3014798d86001c324468d497f"),
    ("xxh128", b"abc", "06b05ab6733a618578af5f94892f3950"),
    ("blake3", b"", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
    ("blake3", b"\0", "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
    ("blake3", b"abc", "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
]


@pytest.mark.parametrize(("name", "data", "digest"), VECTORS)
def test_known_vectors(name, data, digest):
    hashing = Hashing(name)
    assert hashing.of(data).hex() == digest
    assert oids.to_text(oid_of(hashing, data)) == f"{name}:{digest}"


@given(parts=st.lists(st.binary(max_size=4000), max_size=5))
def test_parts_hash_as_the_whole(algorithm, parts):
    hashing = Hashing(algorithm)
    hasher = hashing.new()
    for part in parts:
        hasher.update(part)
    whole = b"".join(parts)
    assert hasher.digest() == hashing.of(whole)
    assert len(hasher.digest()) == hashing.size


def test_every_kind_of_bytes_will_do(algorithm):
    hashing = Hashing(algorithm)
    data = bytes(range(256)) * 20
    hasher = hashing.new()
    for part in (data[:100], bytearray(data[100:200]), memoryview(data)[200:]):
        hasher.update(part)
    assert hasher.digest() == hashing.of(data) == hashing.of(bytearray(data)) == hashing.of(memoryview(data))


def test_check(algorithm):
    hashing = Hashing(algorithm)
    assert hashing.check(hashing.of(b"data"), b"data")
    assert not hashing.check(hashing.of(b"data"), b"date")


def test_the_algorithm_has_its_length(algorithm):
    hashing = Hashing(algorithm)
    assert oids.ALGORITHMS[hashing.size] == hashing.name == algorithm


def test_an_unknown_algorithm_is_refused():
    with pytest.raises(UsageError) as caught:
        Hashing("md5")
    assert caught.value.hint == "one of xxh128, blake3"
