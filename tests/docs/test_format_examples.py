"""The examples of the format pages: the code makes exactly these bytes, and reads them back."""

import re
from pathlib import Path

import pytest

from mlvc import files, manifest
from mlvc.hashing import Hashing
from mlvc.manifest import Entry
from mlvc.oid import Oid
from mlvc.pointer import Content
from mlvc.store import local
from mlvc.store.base import MemoryStore
from mlvc.store.bundles import decode as decode_bundle
from mlvc.store.catalog import Catalog
from mlvc.store.pack import DATA, PackWriter, read_index
from mlvc.store.packed import Packed
from mlvc.store.remote import decode_fragment, encode_fragment
from mlvc.workspace.index import NEVER, Index, Record
from tests.helpers.stores import read_all

FORMATS = Path(__file__).parents[2] / "docs/formats"
BLOCK = re.compile(r"<!-- example: ([\w ]+) -->\n```\n(.*?)```", re.DOTALL)
EXAMPLES = {name: text for page in sorted(FORMATS.glob("*.md")) for name, text in BLOCK.findall(page.read_text())}
HASHING = Hashing("xxh128")
ONE, OTHER = b"hello", b"hello again"


def bytes_of(name):
    """The parts of an example in hex; an empty line ends a part."""
    return [bytes.fromhex(part) for part in EXAMPLES[name].split("\n\n")]


@pytest.fixture
def sealed(tmp_path):
    with files.Scratch(str(tmp_path / "scratch")) as scratch, PackWriter(scratch, HASHING) as writer:
        for data in (ONE, OTHER):
            writer.add(HASHING.of(data), DATA, data)
        (pack,) = writer.finish()
        yield pack


def test_no_page_has_an_empty_example():
    assert {
        "pointer",
        "manifest",
        "pack",
        "fragment",
        "items",
        "bundle",
        "lockfile",
        "run",
        "store",
        "catalog",
        "index entries",
    } <= EXAMPLES.keys()
    assert [name for name, text in EXAMPLES.items() if not text.strip()] == []


def test_manifest():
    entries = [Entry("run.sh", "x", len(OTHER), HASHING.of(OTHER)), Entry("a.txt", "f", len(ONE), HASHING.of(ONE))]
    content, objects = manifest.build(entries, HASHING)
    parts = bytes_of("manifest")
    assert [data for _, data in objects] == parts
    store = MemoryStore(HASHING)
    store.objects = {HASHING.of(part): part for part in parts}
    assert HASHING.of(parts[-1]) == content.oid
    assert manifest.entries_of(store, content.oid) == entries[::-1]


def test_pack(sealed):
    (data,) = bytes_of("pack")
    assert files.read(sealed.path) == data
    assert HASHING.of(data).hex() == sealed.name
    index = read_index(lambda start, length: data[start : start + length], len(data), HASHING)
    assert index == sealed.index


def test_the_pack_of_the_example_gives_its_objects():
    (data,) = bytes_of("pack")

    class Example:
        hashing = HASHING

        def range(self, _pack, start, length):
            return data[start : start + length]

    catalog = Catalog(":memory:")
    source = Example()
    catalog.add([("example", len(data), read_index(lambda *place: source.range("", *place), len(data), HASHING))])
    reader = Packed(catalog, source, HASHING)
    reader.hashing = HASHING
    found, lost = read_all(reader, [HASHING.of(ONE), HASHING.of(OTHER)])
    assert sorted(found.values()) == [ONE, OTHER]
    assert lost == {}
    catalog.close()


def test_fragment(sealed):
    (data,) = bytes_of("fragment")
    assert encode_fragment([(sealed.name, sealed.size, sealed.index)], HASHING.size) == data
    assert decode_fragment(data, HASHING.size) == [(sealed.name, sealed.size, sealed.index)]


def test_store(tmp_path):
    local.create(str(tmp_path / "made"), HASHING)
    text = EXAMPLES["store"].encode()
    assert files.read(str(tmp_path / "made/format")) == text
    (tmp_path / "found").mkdir()
    (tmp_path / "found/format").write_bytes(text)
    with local.open_store(str(tmp_path / "found")) as store:
        assert store.hashing.name == "xxh128"


def rows(name):
    """The rows of an example, by table: a line is the table and its columns; what is in hex is a blob."""
    found = {}
    for line in EXAMPLES[name].splitlines():
        table, *values = line.split()
        found.setdefault(table, []).append(tuple(value_of(value) for value in values))
    return found


def value_of(text):
    if text.startswith("x'"):
        return bytes.fromhex(text[2:-1])
    return int(text) if text.isdigit() else text


def test_catalog(sealed, tmp_path):
    made = Catalog(":memory:")
    made.add([(sealed.name, sealed.size, sealed.index)], ["e3a8"])
    made.set_whole([HASHING.of(ONE)])
    expected = rows("catalog")
    assert expected.keys() == {"packs", "objects", "fragments", "whole"}
    for table, values in expected.items():
        assert made._db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() == values
    made.close()
    read = Catalog(str(tmp_path / "catalog.sqlite"))
    with read._db as db:
        for table, values in expected.items():
            db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(values[0]))})", values)
    assert [place.length for place in read.locate([HASHING.of(ONE), HASHING.of(OTHER)])] == [len(ONE), len(OTHER)]
    assert read.packs() == {sealed.name: sealed.size}
    read.close()


def test_index(tmp_path):
    records = {
        "a.txt": Record(5, 1767323045000000000, 1767323045250000000, 131073, "f", HASHING.of(ONE)),
        "run.sh": Record(11, NEVER, 1767323045250000000, 131074, "x", HASHING.of(OTHER)),
    }
    content = Content("dir", Oid(HASHING.of(OTHER)), 16, 2)
    index = Index(str(tmp_path / "index.sqlite"), HASHING.size)
    index.begin()
    index.update({"data": records}, roots={"data": content})
    expected = rows("index roots")["roots"]
    assert index._db.execute("SELECT * FROM roots").fetchall() == expected
    (data,) = bytes_of("index entries")
    assert index._db.execute("SELECT path, entries FROM dirs").fetchall() == [("data", data)]
    with index._db as db:
        db.execute("UPDATE dirs SET path = 'other'")
    assert index.of_dir("other") == records
    index.close()


def test_bundle():
    (data,) = bytes_of("bundle")
    assert decode_bundle(data, HASHING.size) == {HASHING.of(word): (word,) for word in (b"one", b"two")}
