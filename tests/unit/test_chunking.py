"""Chunks: cuts depend on the content alone, and an edit changes few of them."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from mlvc import chunking
from mlvc.chunking import MAX_SIZE, MIN_SIZE, chunks
from tests.helpers.stores import noise

DATA = noise(3 << 20, 11)


def cut(data, sizes=()):
    """The chunks of ``data``, read in steps of ``sizes`` and then all at once."""
    file = io.BytesIO(data)
    steps = iter(sizes)

    def read_into(view):
        return file.readinto(view[: next(steps, len(view))])

    found = []
    for block, lengths in chunks(read_into):
        at = 0
        for length in lengths:
            found.append(bytes(block[at : at + length]))
            at += length
        assert at == len(block)
    return found


@settings(max_examples=25)
@given(st.integers(0, len(DATA)), st.lists(st.integers(1, 700_000), max_size=20))
def test_cuts_are_independent_of_how_the_bytes_arrive(size, steps):
    data = DATA[:size]
    assert cut(data, steps) == cut(data)
    assert b"".join(cut(data, steps)) == data


def test_cuts_are_independent_of_the_block(monkeypatch):
    expected = cut(DATA)
    for block in (MAX_SIZE, MAX_SIZE + 1, 1 << 20):
        monkeypatch.setattr(chunking, "_BLOCK", block)
        assert cut(DATA) == expected


def test_content_longer_than_a_block(monkeypatch):
    monkeypatch.setattr(chunking, "_BLOCK", 300_000)
    for data in (bytes(1_000_000), DATA, DATA[: 300_000 + MAX_SIZE], DATA[: 2 * (300_000 + MAX_SIZE)]):
        assert b"".join(cut(data)) == data


def test_sizes_are_within_the_bounds():
    found = cut(DATA) + cut(bytes(1_000_000))
    assert max(map(len, found)) <= MAX_SIZE
    assert all(len(part) >= MIN_SIZE for part in cut(DATA)[:-1])
    assert 20 < len(cut(DATA)) < 100


def test_nothing_has_no_chunks():
    assert cut(b"") == []
    assert cut(b"x") == [b"x"]


def test_an_insertion_near_the_front_keeps_most_chunks():
    old = cut(DATA)
    new = cut(DATA[:1000] + b"inserted" + DATA[1000:])
    assert len(set(new) - set(old)) <= 3
    appended = cut(DATA + b"more")
    assert len(set(appended) - set(old)) <= 1
