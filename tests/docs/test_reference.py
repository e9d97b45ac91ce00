"""The pages in docs/reference say what the code says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.docs.generate_reference import PAGES, REFERENCE
from tests.helpers import run_mlvc, shell
from tests.helpers.faults import process_faults


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_up_to_date(page: str) -> None:
    path = REFERENCE / page
    written = path.read_text() if path.exists() else ""
    assert written == PAGES[page](), (
        f"docs/reference/{page} is not what the code says: run `python -m tests.docs.generate_reference` and commit it"
    )


def test_json_is_printed_where_the_page_says_so() -> None:
    root = shell.project(Path("project").absolute(), pushed=True)

    def ends(*args: str, code: int, json_is_there: bool, env: dict[str, str] | None = None) -> None:
        result = run_mlvc(*args, "--json", cwd=root, check=False, env=env)
        assert result.code == code, result
        assert bool(result.out) == json_is_there, result
        if json_is_there:
            json.loads(result.out)

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
