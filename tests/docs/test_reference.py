"""The pages in docs/reference say what the code says."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from pathlib import Path

import pytest

from mlvc import manifest
from mlvc.api import reproduce
from mlvc.api.doctor import BROKEN, NOTE, SLOW
from mlvc.api.install import Hook
from mlvc.api.status import PathStatus
from mlvc.cli import display, shapes
from mlvc.cli.table import TABLE
from mlvc.pipeline import compare
from mlvc.pipeline.compare import Verdict
from mlvc.pipeline.plan import Action
from mlvc.pipeline.tools import StageResult
from mlvc.pointer import KINDS, Content
from mlvc.snapshot import Change, as_entry
from mlvc.store.base import MISNAMED
from tests.docs.generate_reference import PAGES, REFERENCE
from tests.helpers import run_mlvc, shell
from tests.helpers.faults import process_faults
from tests.helpers.promises import check, unfit


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_up_to_date(page: str) -> None:
    path = REFERENCE / page
    written = path.read_text() if path.exists() else ""
    assert written == PAGES[page](), (
        f"docs/reference/{page} is not what the code says: run `python -m tests.docs.generate_reference` and commit it"
    )


def test_the_values_in_json_are_those_of_the_code() -> None:
    told: dict[str, list[str]] = {}
    key = ""
    table = (REFERENCE / "json.md").read_text().partition("<!-- values -->")[2].partition("<!-- /values -->")[0]
    for line in table.strip().splitlines()[2:]:
        named, values, _ = (cell.strip() for cell in line.strip("|").split("|"))
        key = named or key
        told.setdefault(key.replace("`", ""), []).extend(re.findall("`(.+?)`", values))
    one, other = (manifest.Entry("p", manifest.FILE, 1, oid * 16) for oid in (b"1", b"2"))
    changes = [Change("p", None, one), Change("p", one, None), Change("q", one, one, "p"), Change("p", one, other)]
    entries = [manifest.FILE, manifest.EXECUTABLE, manifest.SYMLINK, manifest.EMPTY_DIR]
    states = str(PathStatus.__doc__).partition("``state``: ")[2].partition(" ``changes")[0]
    assert told == {
        "change": [change.kind for change in changes],
        "state of a tracked path": re.findall(r"``(\w+)``", states),
        "state of a hook": told["state of a hook"],
        "level of a finding": [BROKEN, SLOW, NOTE],
        "kind of a tracked path": list(KINDS),
        "kind in a change": [*entries, as_entry(Content("dir", b"", 0, 0)).kind],
        "action": told["action"],
        "outcome": told["outcome"],
        "event": told["event"],
        "outcome of mlvc reproduce": told["outcome of mlvc reproduce"],
        "verdict": list(Verdict),
        "change in an output": [compare.ADDED, compare.GONE, compare.KIND, compare.BYTES, compare.VALUE],
        "reason": ["missing", "damaged", MISNAMED],
    }
    assert sorted(told["event"]) == sorted(set(re.findall(r'"event": "(\w+)"', inspect.getsource(display))))
    assert sorted(told["action"]) == sorted(Action)
    documented = inspect.getsource(StageResult).partition("outcome: str")[2].partition("reasons:")[0]
    assert sorted(told["outcome"]) == sorted(re.findall(r"``(\w+)``", documented))
    outcomes = str(reproduce.StageResult.__doc__).partition("``outcome``: ")[2].partition("``reasons``")[0]
    assert sorted(told["outcome of mlvc reproduce"]) == sorted(re.findall(r"``([\w ]+)``", outcomes))
    hooks = str(Hook.__doc__).partition("``state``: ")[2].partition("\n")[0]
    assert sorted(told["state of a hook"]) == sorted(re.findall(r"``(\w+)``", hooks))


def test_every_json_has_a_table_and_an_example() -> None:
    with_json = {name for name, (_, options, _) in TABLE.items() if "--json" in options}
    assert {name.partition(" --")[0] for name in shapes.PRINTED} == with_json
    text = (REFERENCE / "json.md").read_text()
    told = {title.partition(" --")[0] for title in re.findall(r"^## mlvc (.*)$", text, re.MULTILINE)}
    assert told == with_json


INIT = {"root": "/project", "hash": "xxh128", "new": True}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (INIT, ""),
        (INIT | {"more": 1}, r"\.more is in no table of docs/reference/json\.md"),
        ({"root": "/project", "hash": "xxh128"}, r"\.new is not there"),
        (INIT | {"new": 1}, r"\.new is 1, and no bool"),
        ([INIT], "the value is no object"),
    ],
)
def test_a_value_that_the_page_does_not_tell_of_is_found(value: object, told: str) -> None:
    if told:
        with pytest.raises(AssertionError, match=told):
            check(["init", "--json"], 0, json.dumps(value))
    else:
        check(["init", "--json"], 0, json.dumps(value))


def test_an_exit_code_that_the_help_does_not_tell_of_is_found() -> None:
    check(["init"], 2, "")
    with pytest.raises(AssertionError, match="`mlvc init` ended with 7, and its help does not say so"):
        check(["init"], 7, "")


def test_parts_of_a_value_are_looked_at() -> None:
    entry = {"size": 1, "kind": "f", "oid": "xxh128:00"}
    change = {"path": "a", "change": "added", "new": entry}
    assert list(unfit([change], list[shapes.Change])) == []
    assert list(unfit([change | {"from": None}], list[shapes.Change])) == ["[].from is None, and no str"]
    assert list(unfit([change | {"new": entry | {"size": "1"}}], list[shapes.Change])) == [
        "[].new.size is '1', and no int"
    ]
    assert list(unfit({"a": {"value": 1, "level": "user"}}, dict[str, shapes.Setting])) == [".a.origin is not there"]


def test_json_is_printed_where_the_page_says_so() -> None:
    root = shell.project(Path("project").absolute(), pushed=True)

    def ends(*args: str, code: int, json_is_there: bool, env: dict[str, str] | None = None) -> None:
        result = run_mlvc(*args, "--json", cwd=root, check=False, env=env)
        assert result.code == code, result
        assert bool(result.out) == json_is_there, result
        for value in result.out.splitlines() if args == ("repro",) else [result.out] * json_is_there:
            json.loads(value)

    shell.write(root, {"mlvc.yaml": b"stages: {s: {cmd: 'false', always_changed: true}}", "new": b"new"})
    ends("repro", code=7, json_is_there=True)
    shell.write(root, {"data/one.txt": b"stored nowhere"})
    ends("status", "--exit-code", code=1, json_is_there=True)
    ends("checkout", code=5, json_is_there=False)
    ends("pull", code=5, json_is_there=False)
    ends("add", "absent", code=2, json_is_there=False)
    full = process_faults(fail_at=1, lasting=True, root=root / ".git/mlvc")
    ends("add", "new", code=8, json_is_there=False, env=full)
    (root / "model.bin.mlvc").write_text("no Pointer")
    for command in ("status", "diff", "push", "fetch"):
        ends(command, code=2, json_is_there=True)
    ends("commit", code=2, json_is_there=False)
    for place in (root / ".git/mlvc", root.parent / "remote"):
        shutil.rmtree(place / "packs")
    shutil.rmtree(root / "data")
    for command in ("checkout", "push", "fetch", "pull"):
        ends(command, "data", code=4, json_is_there=True)
    shutil.rmtree(root.parent / "remote")
    ends("fetch", code=6, json_is_there=False)
