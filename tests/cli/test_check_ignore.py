"""``check-ignore``: what is never tracked, and by which line; it agrees with ``mlvc add``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers import run_mlvc, shell
from tests.helpers.shell import image, refused

IGNORE = b"""\
# files of an editor

*.tmp
/data/raw/
!keep.tmp
logs
\\#odd
"""
RULES = {
    "data/x.tmp": ".mlvcignore:3:*.tmp",
    "x.tmp": ".mlvcignore:3:*.tmp",
    "data/raw": ".mlvcignore:4:/data/raw/",
    "data/raw/a.bin": ".mlvcignore:4:/data/raw/",
    "data/raw/keep.tmp": ".mlvcignore:4:/data/raw/",  # what is in an ignored directory does not come back
    "data/logs/deep/a": ".mlvcignore:6:logs",
    "data/#odd": ".mlvcignore:7:\\#odd",
    "data/__pycache__/a": "(never tracked):__pycache__",
    "data/.git": "(never tracked):.git",
}
TRACKED = ("data/keep.tmp", "data/one.txt", "data/sub/raw/a", "data")


@pytest.fixture
def scene(project: Path) -> Path:
    (project / ".mlvcignore").write_bytes(IGNORE)
    for path in (*RULES, *TRACKED):
        if path not in ("data", "data/raw", "data/.git", "x.tmp"):
            shell.write(project, {path: b"x"})
    return project


def test_it_agrees_with_add(scene: Path) -> None:
    before = image(scene, git_index=True)
    result = run_mlvc("check-ignore", *RULES, *TRACKED, cwd=scene)
    assert result.out.splitlines() == list(RULES)
    result = run_mlvc("check-ignore", "-v", *TRACKED, *RULES, cwd=scene)
    assert result.out.splitlines() == [f"{rule}  {path}" for path, rule in RULES.items()]
    assert image(scene, git_index=True) == before
    run_mlvc("add", "data", cwd=scene)
    listed = run_mlvc("ls", "-R", "data", cwd=scene).out.splitlines()
    assert not set(RULES) & set(listed)
    assert set(TRACKED[:3]) <= set(listed)


def test_exit_codes_and_json(scene: Path) -> None:
    result = run_mlvc("check-ignore", *TRACKED, cwd=scene, check=False)
    assert (result.code, result.out, result.err) == (1, "", "")
    result = run_mlvc("check-ignore", "data/one.txt", "--json", cwd=scene, check=False)
    assert (result.code, json.loads(result.out)) == (1, [])
    found = json.loads(run_mlvc("check-ignore", "--json", "x.tmp", "__pycache__", cwd=scene / "data").out)
    assert found == [
        {"path": "x.tmp", "file": ".mlvcignore", "line": 3, "pattern": "*.tmp"},
        {"path": "__pycache__", "file": None, "line": None, "pattern": "__pycache__"},
    ]
    refused(run_mlvc("check-ignore", "../x", cwd=scene, check=False), 2, "outside the repository")
    refused(run_mlvc("check-ignore", cwd=scene, check=False), 2, "missing argument")


def test_a_directory_that_is_not_there_yet(scene: Path) -> None:
    (scene / ".mlvcignore").write_text("later/\n")
    assert run_mlvc("check-ignore", "later", cwd=scene, check=False).code == 1
    assert run_mlvc("check-ignore", "later/", cwd=scene).out == "later/\n"


def test_without_rules_and_with_bad_ones(project: Path) -> None:
    assert run_mlvc("check-ignore", "data/x.tmp", cwd=project, check=False).code == 1
    (project / ".mlvcignore").write_bytes(b"a\n\xff\n")
    refused(run_mlvc("check-ignore", "x", cwd=project, check=False), 2, ".mlvcignore, line 2")
