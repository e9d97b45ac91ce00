"""What counts of the directories that stages read and write: ignored files, symbolic links, what lies elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.helpers import Result, git, run_mlvc


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of mlvc, empty but for that; the current directory."""
    made = tmp_path / "r"
    made.mkdir()
    git("init", "-q", cwd=made)
    run_mlvc("init", cwd=made)
    monkeypatch.chdir(made)
    return made


def pipeline(text: str) -> None:
    Path("mlvc.yaml").write_text(text)


def put(path: str, text: str = "text\n") -> Path:
    """A file in the current directory, with all that is above it."""
    made = Path(path)
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(text)
    return made


def events(result: Result, kind: str) -> list[dict[str, object]]:
    """The lines of one kind that ``repro --json`` printed, without their kind."""
    found = [event for event in map(json.loads, result.out.splitlines()) if event["event"] == kind]
    return [{key: value for key, value in event.items() if key != "event"} for event in found]


# -- what is left out ---------------------------------------------------------------------------


def test_what_is_left_out_of_an_output_is_told(root):
    put(".mlvcignore", "*.tmp\n")
    pipeline(
        "stages:\n"
        "  a:\n"
        "    cmd: mkdir -p out/.git out/sub out/__pycache__; touch out/y out/.git/x out/sub/1.tmp out/2.tmp out/3.tmp\n"
        "    outs: [out]\n"
        "  b:\n"
        "    cmd: cp out/y z\n"
        "    deps: [out]\n"
        "    outs: [z]\n"
    )
    told = run_mlvc("repro").err
    assert "warning: stage 'a': 4 paths in its output 'out' are left out, and a restored 'out' lacks them" in told
    assert ": out/.git, out/2.tmp, out/3.tmp, …; `mlvc check-ignore` says why" in told
    assert told.count("warning") == 1
    assert "warning" not in run_mlvc("repro").err
    assert events(run_mlvc("repro", "-f", "--json"), "left_out") == [
        {
            "stage": "a",
            "path": "out",
            "role": "output",
            "names": ["out/.git", "out/2.tmp", "out/3.tmp"],
            "count": 4,
        }
    ]


def test_what_is_ignored_in_a_dependency_is_told_once(root):
    put(".mlvcignore", "*.tmp\n")
    put("in/a.tmp")
    put("in/b")
    put("in/.git", "gitdir: as in a submodule\n")
    pipeline(
        "stages:\n"
        "  a: {cmd: cp in/b one, deps: [in], outs: [one]}\n"
        "  b: {cmd: cp in/b two, deps: [in], outs: [two]}\n"
        "  c: {cmd: cp in/b three, deps: [in/b*], outs: [three]}\n"
    )
    found = run_mlvc("repro", "--json")
    assert events(found, "left_out") == [
        {"stage": "a", "path": "in", "role": "dependency", "names": ["in/a.tmp"], "count": 1}
    ]
    assert "1 path in its dependency 'in' is left out, and a change of it does not run it again: in/a.tmp" in found.err


def test_what_is_left_out_of_what_items_made_is_told(root):
    put(".mlvcignore", "*.tmp\n")
    for name in ("a", "b"):
        put(f"in/{name}.txt")
    pipeline(
        "stages:\n"
        "  a:\n"
        "    each: in/*.txt\n"
        "    cmd: touch ${out}/${item.stem}.tmp ${out}/${item.stem}.up\n"
        "    outs: [out]\n"
    )
    (found,) = events(run_mlvc("repro", "--json"), "left_out")
    assert found == {"stage": "a", "path": "out", "role": "output", "names": ["out/a.tmp", "out/b.tmp"], "count": 2}
    assert sorted(os.listdir("out")) == ["a.up", "b.up"]
