"""Packs: what was written is read; what is cut short or damaged gives right objects or none."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc import files
from mlvc.errors import DamagedError, FormatError
from mlvc.hashing import Hashing
from mlvc.store.base import Lost
from mlvc.store.catalog import Catalog
from mlvc.store.pack import DATA, FRAME_SIZE, RECIPE, PackWriter, decode_recipe, encode_recipe, read_index
from mlvc.store.packed import Packed
from tests.helpers.stores import noise

SIZES = [0, 1, 63, 64, 5000, FRAME_SIZE - 1, FRAME_SIZE, FRAME_SIZE + 1]


class Bytes:
    """A Pack in memory."""

    def __init__(self, data):
        self.data = data

    def range(self, _pack, start, length):
        return bytes(self.data[start : start + length])

    def index(self, hashing):
        return read_index(lambda start, length: self.range("", start, length), len(self.data), hashing)


def write(tmp_path, contents, algorithm, **options):
    """The bytes of the Packs that ``contents`` make, and their names."""
    hashing = Hashing(algorithm)
    with files.Scratch(str(tmp_path / "scratch")) as scratch, PackWriter(scratch, hashing, **options) as writer:
        for data in contents:
            writer.add(hashing.of(data), DATA, data)
        sealed = writer.finish()
        return [(each.name, files.read(each.path), each) for each in sealed]


def read(data, hashing):
    """The objects that a reader finds in the bytes of a Pack, by Oid, and those that it calls lost."""
    source = Bytes(data)
    index = source.index(hashing)
    catalog = Catalog(":memory:")
    catalog.add([("p", len(data), index)])
    lost: Lost = {}
    found = {oid: bytes(part) for oid, part in Packed(catalog, source, hashing).read(index.oids, lost)}
    catalog.close()
    return found, lost


parts = st.one_of(
    st.binary(max_size=300),
    st.builds(noise, st.sampled_from(SIZES), st.integers(0, 3)),
    st.builds(lambda size, seed: bytes([seed]) * size, st.sampled_from(SIZES), st.integers(0, 3)),
)


@given(st.lists(parts, max_size=12))
def test_what_was_written_is_read(tmp_path, algorithm, contents):
    hashing = Hashing(algorithm)
    written = write(tmp_path, dict.fromkeys(contents), algorithm)
    assert len(written) == bool(contents)
    for name, data, sealed in written:
        assert hashing.of(data).hex() == name
        assert sealed.size == len(data)
        assert Bytes(data).index(hashing) == sealed.index
        assert read(data, hashing) == ({hashing.of(part): part for part in contents}, {})


def test_the_name_is_the_digest_and_the_bytes_are_those_of_the_content(tmp_path, algorithm):
    contents = [noise(3000, seed) for seed in range(400)]
    first, second = (write(tmp_path, contents, algorithm) for _ in range(2))
    assert [each[:2] for each in first] == [each[:2] for each in second]


def test_every_frame_is_written_once(tmp_path, algorithm):
    contents = [noise(100_000, seed) for seed in range(20)]
    ((_, data, sealed),) = write(tmp_path, contents, algorithm)
    assert list(sealed.index.oids) == [Hashing(algorithm).of(part) for part in contents]
    assert len(data) < sum(map(len, contents)) + 20_000


def test_full_packs_are_sealed_and_the_next_begun(tmp_path, algorithm):
    contents = [noise(100_000, seed) for seed in range(30)]
    written = write(tmp_path, contents, algorithm, pack_size=1 << 20)
    assert len(written) == 3
    found = {}
    for _, data, _ in written:
        found |= read(data, Hashing(algorithm))[0]
    assert sorted(found.values()) == sorted(contents)


def test_what_shrinks_is_compressed_and_noise_is_not(tmp_path, algorithm):
    ((_, small, _),) = write(tmp_path, [b"abc " * 50_000], algorithm)
    assert len(small) < 2000
    ((_, big, _),) = write(tmp_path, [noise(200_000)], algorithm)
    assert 200_000 < len(big) < 200_400


@pytest.fixture
def packed(tmp_path, algorithm):
    contents = [noise(200_000, 1), b"text " * 3000, b"", noise(90, 2), noise(FRAME_SIZE, 3), b"last"]
    ((_, data, sealed),) = write(tmp_path, contents, algorithm)
    hashing = Hashing(algorithm)
    return data, {hashing.of(part): part for part in contents}, hashing, sealed


def test_cut_short_anywhere_what_is_found_is_right(packed):
    data, contents, hashing, sealed = packed
    most = 0
    for size in [*range(0, len(data), 97 * 31), *range(len(data) - 1500, len(data), 97)]:
        if size < 16:
            with pytest.raises(FormatError):
                read(data[:size], hashing)
            continue
        found, lost = read(data[:size], hashing)
        assert found.items() <= contents.items()
        assert not lost
        assert len(found) >= most
        most = len(found)
        whole = sum(end <= size for end in sealed.index.offsets[1:])
        assert len(found) >= sum(sealed.index.counts[:whole])
    assert most == len(contents)


def test_cut_short_at_every_97th_byte(tmp_path, algorithm):
    hashing = Hashing(algorithm)
    contents = {hashing.of(part): part for part in [b"%d" % number * 50 for number in range(150)]}
    ((_, data, _),) = write(tmp_path, contents.values(), algorithm)
    for size in range(16, len(data), 97):
        assert read(data[:size], hashing)[0].items() <= contents.items()


def test_a_damaged_footer_is_replaced_by_a_walk(packed):
    data, contents, hashing, sealed = packed
    for at in (sealed.index.offsets[-1] + 20, len(data) - 1, len(data) - 10, len(data) - 20):
        broken = bytearray(data)
        broken[at] ^= 1
        assert Bytes(broken).index(hashing) == sealed.index
        assert read(broken, hashing) == (contents, {})


def test_every_bit_flip_gives_right_objects_or_none(tmp_path, algorithm):
    hashing = Hashing(algorithm)
    contents = {hashing.of(part): part for part in [b"hello", b"text " * 100, b"", noise(40)]}
    ((_, data, _),) = write(tmp_path, contents.values(), algorithm)
    for at in range(len(data)):
        for bit in (0, 6, 7):
            broken = bytearray(data)
            broken[at] ^= 1 << bit
            try:
                found, _ = read(broken, hashing)
            except FormatError:
                assert at < 10  # magic, version, digest size
                continue
            assert found.items() <= contents.items(), (at, bit)


def test_damage_in_the_footer_and_in_a_frame(packed):
    data, contents, hashing, _ = packed
    broken = bytearray(data)
    broken[-1] ^= 1
    broken[16 + 20] = 9  # the kind of the first object
    assert read(broken, hashing)[0].items() < contents.items()
    broken[16 + 20] = 0
    struct.pack_into("<I", broken, 16 + 16, 0xFFFFFFFF)  # the bytes of the first payload
    assert read(broken, hashing) == ({}, {})


def test_no_pack_another_version_another_hash(packed, algorithm):
    data, _, hashing, _ = packed
    for wrong, message in [
        (b"x" + data[1:], "not a pack"),
        (b"", "not a pack"),
        (data[:8] + b"\2" + data[9:], "pack format 2, this mlvc reads format 1"),
    ]:
        with pytest.raises(FormatError, match=message):
            Bytes(wrong).index(hashing)
    other = Hashing("blake3" if algorithm == "xxh128" else "xxh128")
    with pytest.raises(FormatError, match="another hash algorithm"):
        Bytes(data).index(other)


@given(st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1)), max_size=9))
def test_recipes_and_back(chunks):
    data = encode_recipe(chunks)
    assert decode_recipe(data, 16) == chunks
    if chunks:
        with pytest.raises(DamagedError):
            decode_recipe(data[:-1], 16)


def test_an_unfinished_writer_leaves_no_file(tmp_path, algorithm):
    hashing = Hashing(algorithm)
    with files.Scratch(str(tmp_path / "scratch")) as scratch:
        with PackWriter(scratch, hashing, pack_size=300_000) as writer:
            for seed in range(20):
                writer.add(hashing.of(noise(100_000, seed)), DATA, noise(100_000, seed))
        assert [path.name for path in tmp_path.rglob("scratch/*/*")] == ["held"]


def test_a_recipe_lies_in_a_pack_as_any_object(tmp_path, algorithm):
    hashing = Hashing(algorithm)
    chunk = noise(1000)
    with files.Scratch(str(tmp_path / "scratch")) as scratch, PackWriter(scratch, hashing) as writer:
        writer.add(hashing.of(chunk), DATA, chunk)
        writer.add(hashing.of(chunk * 2), RECIPE, encode_recipe([(hashing.of(chunk), 1000)] * 2))
        (sealed,) = writer.finish()
        assert sealed.index.kinds == bytes([DATA, RECIPE])
        data = files.read(sealed.path)
    catalog = Catalog(":memory:")
    catalog.add([("p", len(data), sealed.index)])
    reader = Packed(catalog, Bytes(data), hashing)
    assert b"".join(bytes(part) for part in reader.stream(hashing.of(chunk * 2))) == chunk * 2
    catalog.close()
