"""Names of objects: one value, one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc import oid as oids
from mlvc.errors import FormatError

RAW = st.sampled_from(sorted(oids.ALGORITHMS)).flatmap(lambda size: st.binary(min_size=size, max_size=size))


@given(RAW)
def test_text_and_back(raw):
    assert oids.from_text(oids.to_text(raw)) == raw


@given(st.text())
def test_any_other_text_is_refused_or_is_that_spelling(text):
    try:
        raw = oids.from_text(text)
    except FormatError:
        return
    assert oids.to_text(raw) == text


@given(RAW, st.data())
def test_a_changed_character_is_another_object_or_none(raw, data):
    text = oids.to_text(raw)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters()) + text[place + 1 :]
    try:
        assert (oids.from_text(changed) == raw) == (changed == text)
    except FormatError:
        assert changed != text


def test_the_name_tells_the_algorithm():
    assert oids.to_text(bytes(16)) == "xxh128:" + "0" * 32
    assert oids.to_text(bytes(32)) == "blake3:" + "0" * 64


@pytest.mark.parametrize(
    "text",
    [
        "xxh128:" + "0" * 31,
        "xxh128:" + "0" * 33,
        "xxh128:" + "0" * 64,
        "blake3:" + "0" * 32,
        "xxh128:" + "A" * 32,
        "xxh128:" + "g" * 32,
        "xxh128:" + "٠" * 32,
        "xxh128: " + "0" * 31,
        "xxh128:" + "0" * 32 + "\n",
        " xxh128:" + "0" * 32,
        "xxh128:",
    ],
)
def test_no_object_name(text):
    with pytest.raises(FormatError, match=r"not an object name|unknown hash algorithm"):
        oids.from_text(text)


@pytest.mark.parametrize("text", ["", "0" * 32, "md5:" + "0" * 32, "XXH128:" + "0" * 32, ":" + "0" * 32])
def test_an_unknown_algorithm_names_the_known_ones(text):
    with pytest.raises(FormatError) as caught:
        oids.from_text(text)
    assert "xxh128, blake3" in caught.value.hint


def test_short_is_for_messages():
    assert oids.short(bytes(range(16))) == "0001020304"
