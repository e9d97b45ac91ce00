"""The PackWriter keeps every byte, however many frames and threads are at work."""

from __future__ import annotations

import random

import pytest

from mlvc.files import Scratch, read
from mlvc.hashing import Hashing
from mlvc.store.pack import DATA, FRAME_SIZE, RECIPE, FrameReader, PackWriter


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("text", [True, False], ids=["text", "random"])
def test_every_object_comes_back_whatever_the_number_of_frames(tmp_path, algorithm, frames, text):
    hashing = Hashing(algorithm)
    source = random.Random(frames)
    objects = {}
    size = 0
    while size < frames * FRAME_SIZE * 0.95:
        length = source.randint(1, 40_000)
        data = (
            b"a line of text\n" * (length // 15 + 1) + str(len(objects)).encode() if text else source.randbytes(length)
        )
        objects[hashing.of(data)] = data
        size += len(data)
    large = source.randbytes(FRAME_SIZE + 1000)  # a frame of its own
    found = {}
    with Scratch(str(tmp_path / "scratch")) as scratch, PackWriter(scratch, hashing, pack_size=1 << 20) as writer:
        for oid, data in objects.items():
            writer.add(oid, DATA, data)
        writer.add(b"r" * hashing.size, RECIPE, large)
        packs = writer.finish()
        reader = FrameReader(hashing.size)
        for pack in packs:
            bytes_of_pack = read(pack.path)
            assert hashing.of(bytes_of_pack).hex() == pack.name
            for oid, _, frame, extent, start, length in pack.index.rows():
                assert oid not in found
                found[oid] = bytes(reader.payload(bytes_of_pack[frame : frame + extent])[start : start + length])
    assert found.pop(b"r" * hashing.size) == large
    assert found == objects
