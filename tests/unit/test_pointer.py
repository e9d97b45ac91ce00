"""The format of docs/formats/pointer.md: one encoding, and a clear no to everything else."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc import pointer
from mlvc.errors import FormatError
from mlvc.oid import LENGTHS, Oid
from mlvc.pointer import Content, Pointer

PAGE = Path(__file__).parents[2] / "docs/formats/pointer.md"
KEYS = ("mlvc", "kind", "oid", "size", "files")
OID = "xxh128:99aa06d3014798d86001c324468d497f"
GOOD = f"mlvc: 1\nkind: dir\noid: {OID}\nsize: 12\nfiles: 2\n"

sizes = st.integers(0, 10**19 - 1)
oids = st.sampled_from(sorted(LENGTHS.values())).flatmap(lambda size: st.binary(min_size=size, max_size=size))
contents = st.one_of(
    st.builds(Content, st.sampled_from(["file", "executable"]), oids.map(Oid), sizes),
    st.builds(Content, st.just("dir"), oids.map(Oid), sizes, sizes),
)
keys = st.from_regex(r"[a-z0-9_-]+", fullmatch=True).filter(lambda key: key not in KEYS)
values = st.from_regex(r"[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f\u2028\u2029]*", fullmatch=True)
extras = st.lists(st.tuples(keys, values), max_size=4, unique_by=lambda pair: pair[0]).map(tuple)
pointers = st.builds(Pointer, contents, extras)


@given(pointers)
def test_bytes_and_back(value):
    data = pointer.encode(value)
    assert pointer.decode(data, "x.mlvc") == value
    assert pointer.encode(pointer.decode(data, "x.mlvc")) == data


@given(pointers)
def test_line_ends_of_other_systems_are_read_and_not_written(value):
    data = pointer.encode(value)
    assert b"\r" not in data
    assert pointer.decode(data.replace(b"\n", b"\r\n"), "x.mlvc") == value


@given(pointers, st.data())
def test_cut_short_anywhere_is_refused_or_lacks_only_unknown_keys(value, data):
    encoded = pointer.encode(value)
    end = data.draw(st.integers(0, len(encoded) - 1))
    try:
        cut = pointer.decode(encoded[:end], "x.mlvc")
    except FormatError as error:
        assert "x.mlvc" in error.message
    else:
        assert cut.content == value.content
        assert value.extra[: len(cut.extra)] == cut.extra


@given(st.binary())
def test_noise_is_refused_and_nothing_else_is_raised(data):
    with pytest.raises(FormatError):
        pointer.decode(data, "x.mlvc")


def test_the_example_of_the_docs_is_its_own_encoding():
    (example,) = re.findall(r"<!-- example: pointer -->\n```\n(.*?)```", PAGE.read_text(), re.DOTALL)
    value = pointer.decode(example.encode(), "x.mlvc")
    assert value == Pointer(
        Content("dir", Oid(bytes.fromhex("99aa06d3014798d86001c324468d497f")), 12, 2), (("desc", "two small files"),)
    )
    assert pointer.encode(value) == example.encode()


def test_unknown_keys_are_kept_in_order_when_the_content_changes():
    value = pointer.decode(f"{GOOD}zeta: 1\nalpha: two: three\n".encode(), "x.mlvc")
    assert value.extra == (("zeta", "1"), ("alpha", "two: three"))
    other = value.having(Content("file", Oid(bytes(16)), 3))
    assert (
        pointer.encode(other)
        == f"mlvc: 1\nkind: file\noid: xxh128:{'0' * 32}\nsize: 3\nzeta: 1\nalpha: two: three\n".encode()
    )


def test_keys_in_another_order_are_put_in_order():
    shuffled = f"mlvc: 1\nfiles: 2\ndesc: x\nsize: 12\noid: {OID}\nkind: dir\n"
    assert pointer.encode(pointer.decode(shuffled.encode(), "x.mlvc")) == f"{GOOD}desc: x\n".encode()


REFUSED = {
    "empty": ("", "cut short"),
    "one line feed": ("\n", "line 1: not a line of a Pointer"),
    "no line feed at the end": (GOOD[:-1], "cut short: its last line does not end"),
    "empty line at the end": (GOOD + "\n", "line 6: not a line of a Pointer"),
    "empty line within": (GOOD.replace("size", "\nsize"), "line 4: not a line of a Pointer"),
    "other text": ("hello\n", "line 1: not a line of a Pointer: 'hello'"),
    "other YAML": ("stages: all\n", "first line is not 'mlvc: 1'"),
    "indented": (GOOD.replace("size", " size"), "line 4: not a line of a Pointer"),
    "no space": (GOOD.replace("size: ", "size:"), "line 4: not a line of a Pointer"),
    "two spaces": (GOOD.replace("size: ", "size:  "), "line 4: not a line of a Pointer"),
    "no value": (GOOD.replace("size: 12", "size: "), "line 4: not a line of a Pointer"),
    "capitals": (GOOD + "Desc: x\n", "line 6: not a line of a Pointer"),
    "key twice": (GOOD + "size: 12\n", "line 6: 'size' is there twice"),
    "unknown key twice": (GOOD + "desc: a\ndesc: a\n", "line 7: 'desc' is there twice"),
    "newer format": (GOOD.replace("mlvc: 1", "mlvc: 2"), "has Pointer format '2', this mlvc reads format 1"),
    "odd format": (GOOD.replace("mlvc: 1", "mlvc: 01"), "has Pointer format '01'"),
    "version not first": (f"kind: file\nmlvc: 1\noid: {OID}\nsize: 1\n", "first line is not 'mlvc: 1'"),
    "no kind": (GOOD.replace("kind: dir\n", ""), "cut short: no 'kind'"),
    "no oid": (GOOD.replace(f"oid: {OID}\n", ""), "cut short: no 'oid'"),
    "no size": (GOOD.replace("size: 12\n", ""), "cut short: no 'size'"),
    "dir without files": (GOOD.replace("files: 2\n", ""), "'files' belongs to a directory"),
    "file with files": (GOOD.replace("dir", "file"), "'files' belongs to a directory"),
    "unknown kind": (GOOD.replace("dir", "socket"), "kind 'socket' is none of file, executable, dir"),
    "negative size": (GOOD.replace("12", "-1"), "size '-1' is not a number"),
    "size with a zero first": (GOOD.replace("12", "012"), "size '012' is not a number"),
    "size with a sign": (GOOD.replace("12", "+12"), "size '+12' is not a number"),
    "size of another script": (GOOD.replace("12", "١٢"), "is not a number"),
    "size beyond any disk": (GOOD.replace("12", "1" + "0" * 19), "is not a number"),
    "size with space after": (GOOD.replace("12", "12 "), "size '12 ' is not a number"),
    "files not a number": (GOOD.replace("files: 2", "files: two"), "files 'two' is not a number"),
    "unknown algorithm": (GOOD.replace("xxh128", "md5"), "unknown hash algorithm in 'md5:"),
    "oid too short": (GOOD.replace("497f", ""), "is not an object name"),
    "oid in capitals": (GOOD.replace("aa", "AA"), "is not an object name"),
    "lone CR": (GOOD.replace("\n", "\r"), "cut short: its last line does not end"),
    "byte order mark": ("\ufeff" + GOOD, "line 1: not a line of a Pointer"),
    "conflict": (
        f"mlvc: 1\n<<<<<<< HEAD\noid: {OID}\n=======\noid: {OID}\n>>>>>>> other\n",
        "has conflict markers of a Git merge",
    ),
    "conflict with CR LF": (
        f"mlvc: 1\r\n<<<<<<< HEAD\r\noid: {OID}\r\n=======\r\n>>>>>>> other\r\n",
        "has conflict markers of a Git merge",
    ),
    "conflict with its base": (
        f"mlvc: 1\n<<<<<<< HEAD\n||||||| base\n=======\noid: {OID}\n>>>>>>> other\n",
        "has conflict markers of a Git merge",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_with_the_name_of_the_file_and_a_way_out(text, message):
    with pytest.raises(FormatError) as caught:
        pointer.decode(text.encode(), "data/x.mlvc")
    assert caught.value.message.startswith("data/x.mlvc")
    assert message in caught.value.message
    assert caught.value.hint


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(FormatError, match=r"data/x\.mlvc is not a Pointer: not UTF-8 text"):
        pointer.decode(b"mlvc: 1\nkind: \xff\n", "data/x.mlvc")


def test_names():
    assert pointer.path_of("data/images") == "data/images.mlvc"
    assert pointer.tracked_by("data/images.mlvc") == "data/images"
    assert pointer.tracked_by("a.mlvc.mlvc") == "a.mlvc"


def test_only_a_directory_is_one():
    assert Content("dir", Oid(bytes(16)), 0, 0).is_dir
    assert not Content("executable", Oid(bytes(16)), 0).is_dir


def test_a_hint_names_files_as_the_person_types_them() -> None:
    for data, wanted in ((b"<<<<<<< x\n", "`mlvc resolve '../da ta/x'`"), (b"no\n", "-- '../da ta/x.mlvc'`")):
        with pytest.raises(FormatError) as caught:
            pointer.decode(data, "da ta/x.mlvc", "folder")
        assert wanted in caught.value.hint
