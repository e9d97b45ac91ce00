"""Records of what items made: a record that is not what it should be is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mlvc.hashing import Hashing, oid_of
from mlvc.pipeline import run, tables
from mlvc.pipeline.run import Inputs, Run, key_of
from mlvc.pipeline.tables import Tables
from mlvc.pointer import Content

HASHING = Hashing("xxh128")
PAGE = Path(__file__).parents[3] / "docs/formats/run.md"
DEFINED = HASHING.of(b"definition")
TABLE = Content("dir", oid_of(HASHING, b"table"), 12, 2)


@pytest.fixture
def records(tmp_path: Path) -> Tables:
    found = Tables(str(tmp_path / "items"), HASHING)
    found.put(DEFINED, "thumbs", TABLE)
    return found


def test_the_example_of_the_page() -> None:
    text = PAGE.read_text().split("<!-- example: items -->\n```\n", 1)[1].split("```\n", 1)[0].encode()
    found = tables.decode(text)
    assert found is not None
    assert tables.encode(found[0], "thumbs", found[1]) == text


def test_a_record_comes_back(records: Tables) -> None:
    assert records.lookup(DEFINED) == TABLE
    assert records.lookup(HASHING.of(b"other")) is None
    records.put(DEFINED, "thumbs", replace(TABLE, size=13))
    assert records.lookup(DEFINED) == replace(TABLE, size=13)
    assert list(records.paths()) == [records.path_of(DEFINED)]


@pytest.mark.parametrize(
    "changed",
    [
        {"mlvc_items": 2},
        {"items": {"kind": "file", "oid": "xxh128:" + "0" * 32, "size": 1}},
        {"items": None},
        {"definition": "xxh128:" + "0" * 32},
        {"definition": 5},
    ],
)
def test_what_is_no_record_counts_for_nothing(records: Tables, changed: dict[str, object]) -> None:
    path = Path(records.path_of(DEFINED))
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    assert records.lookup(DEFINED) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"{}"])
def test_what_cannot_be_read_counts_for_nothing(records: Tables, data: bytes) -> None:
    Path(records.path_of(DEFINED)).write_bytes(data)
    assert records.lookup(DEFINED) is None


def test_a_run_keeps_its_table_and_has_a_key_of_its_own() -> None:
    plain = Inputs(("x",), "", {"raw/*": TABLE}, {}, {"out": False})
    inputs = replace(plain, each="raw/*", batch=8)
    assert len({key_of(one, HASHING) for one in (plain, inputs, replace(inputs, batch=0))}) == 3
    record = Run(key_of(inputs, HASHING), inputs, {"out": TABLE}, 5, items=TABLE)
    assert run.decode(run.encode(record), "run") == record
    without = replace(record, items=None)
    assert b"items" not in run.encode(without)
    assert run.decode(run.encode(without), "run") == without
