"""The examples of the format pages: the code makes exactly these bytes, and reads them back."""

import re
from pathlib import Path

import pytest

from mlvc import files, manifest
from mlvc.hashing import Hashing
from mlvc.manifest import Entry
from mlvc.store.base import MemoryStore
from mlvc.store.catalog import Catalog
from mlvc.store.pack import DATA, PackWriter, read_index
from mlvc.store.packed import Packed
from mlvc.store.remote import decode_fragment, encode_fragment
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
    assert {"pointer", "manifest", "pack", "fragment", "lockfile", "run"} <= EXAMPLES.keys()
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
