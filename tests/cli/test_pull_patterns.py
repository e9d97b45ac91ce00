"""``repro --pull`` and ``--allow-missing`` where Stages depend on patterns over what is tracked, or made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers import git, run_mlvc, shell
from tests.helpers.sharing import outcomes, ran, store

WHOLE = """\
stages:
  up:
    cmd: echo up >> log; cat raw/*.txt > all
    deps: ['raw/*.txt']
    outs: [all]
"""
EACH = """\
stages:
  up:
    each: raw/*.txt
    cmd: echo ${item.name} >> ../log; tr a-z A-Z < ${item.path} > ${out}/${item.name}
    outs: [up]
"""
MADE = """\
stages:
  make:
    cmd: echo make >> log; mkdir raw; echo a > raw/1.txt; echo b > raw/2.txt; echo x > raw/other
    outs: [raw]
  up:
    cmd: echo up >> log; cat raw/*.txt > all
    deps: ['raw/*.txt']
    outs: [all]
"""
EACH = EACH.replace("../log", "log")
FILES = {"raw/1.txt": b"a\n", "raw/2.txt": b"b\n", "raw/other": b"x\n", ".gitignore": b"/log\n"}
KINDS = pytest.mark.parametrize("pipeline", [WHOLE, EACH], ids=["whole", "each"])


def shared(root: Path, pipeline: str) -> Path:
    """The pipeline has run, and everything is on the Remote."""
    made = pipeline == MADE
    shell.write(root, {**({".gitignore": b"/log\n"} if made else FILES), "mlvc.yaml": pipeline.encode()})
    if not made:
        run_mlvc("add", "raw", cwd=root)
    run_mlvc("repro", cwd=root)
    shell.commit(root)
    run_mlvc("push", "--run-cache", cwd=root)
    return root


@pytest.fixture
def root(project: Path) -> Path:
    return project


@KINDS
def test_a_clone_restores_what_depends_on_a_pattern(root: Path, pipeline: str) -> None:
    shared(root, pipeline)
    clone = shell.clone(root)
    before = shell.tree(clone)
    assert outcomes(clone, "--pull") == {"up": "restore"}
    assert shell.tree(clone) == before
    assert ran(clone, "--pull") == []
    assert not (clone / "raw").exists()  # nothing needed it
    assert outcomes(clone, "--pull") == outcomes(clone, "--allow-missing") == {"up": "unchanged"}
    assert json.loads(run_mlvc("status", "--json", cwd=clone).out)["stages"] == []


@KINDS
def test_a_clone_without_data_knows_that_nothing_changed(root: Path, pipeline: str) -> None:
    shared(root, pipeline)
    clone = shell.clone(root)
    assert outcomes(clone, "--allow-missing") == {"up": "unchanged"}
    assert ran(clone, "--allow-missing") == []
    assert not (clone / "raw").exists()


@KINDS
def test_what_fits_is_brought_with_all_around_it_before_a_command_runs(root: Path, pipeline: str) -> None:
    shared(root, pipeline)
    clone = shell.clone(root)
    shell.write(clone, {"mlvc.yaml": pipeline.replace("cat raw", "cat -n raw").replace("tr a-z", "tr b-z").encode()})
    run_mlvc("repro", "--pull", cwd=clone)
    assert shell.tree(clone / "raw") == shell.tree(root / "raw")
    told = json.loads(run_mlvc("status", "--json", cwd=clone).out)["working_tree"]
    assert "raw" not in [item["path"] for item in told]
    made = (clone / "all").read_text().split() if pipeline == WHOLE else (clone / "up/1.txt").read_text()
    assert made == (["1", "a", "2", "b"] if pipeline == WHOLE else "a\n")


@KINDS
def test_data_that_changed_are_no_part_of_a_tracked_directory(root: Path, pipeline: str) -> None:
    shared(root, pipeline)
    shell.write(root, {"raw/2.txt": b"c\n"})
    run_mlvc("add", "raw", cwd=root)
    assert ran(root, "--pull") == (["up"] if pipeline == WHOLE else ["2.txt"])
    shell.commit(root)
    run_mlvc("push", "--run-cache", cwd=root)
    # A clone that has the directory as it was before brings what belongs there now, and runs nothing.
    clone = shell.clone(root)
    assert ran(clone, "--pull") == []
    git("reset", "--hard", "--quiet", "HEAD~1", cwd=clone)
    assert ran(clone, "--pull") == []


def test_items_that_are_not_here_are_compared_one_by_one(root: Path) -> None:
    shared(root, EACH)
    clone = shell.clone(root)
    shell.write(root, {"raw/3.txt": b"c\n"})
    run_mlvc("add", "raw", cwd=root)
    shell.commit(root)
    run_mlvc("push", cwd=root)
    git("pull", "--quiet", cwd=clone)
    assert ran(clone, "--pull") == ["3.txt"]
    assert (clone / "up/1.txt").read_bytes() == b"A\n"


def test_what_a_stage_makes_is_as_it_is_recorded(root: Path) -> None:
    shared(root, MADE)
    clone = shell.clone(root)
    assert ran(clone, "--allow-missing") == []
    assert outcomes(clone, "--allow-missing") == {"make": "unchanged", "up": "unchanged"}
    assert not (clone / "raw").exists()
    assert ran(clone, "--pull") == []
    assert (clone / "raw/other").exists()


def test_only_some_of_the_directories_are_here(root: Path) -> None:
    text = WHOLE.replace("raw/*.txt", "raw/**/*.txt").replace(
        "cat raw/**/*.txt", "cat raw/a/*.txt raw/b/*.txt raw/c.txt"
    )
    shell.write(root, {f"raw/{name}": name.encode() for name in ("a/1.txt", "b/2.txt", "b/other", "c.txt")})
    shell.write(root, {"mlvc.yaml": text.encode(), ".gitignore": b"/log\n"})
    run_mlvc("add", "raw/a", "raw/b", "raw/c.txt", cwd=root)
    run_mlvc("repro", cwd=root)
    shell.commit(root)
    run_mlvc("push", cwd=root)
    clone = shell.clone(root)
    run_mlvc("pull", "raw/a", cwd=clone)
    assert ran(clone, "--pull") == []
    assert sorted(path.name for path in (clone / "raw").iterdir() if path.is_dir()) == ["a"]
    assert ran(clone, "--pull", "--force") == ["up"]
    assert (clone / "all").read_bytes() == (root / "all").read_bytes()


def test_a_list_of_files_that_cannot_be_had_is_a_missing_dependency(root: Path) -> None:
    shared(root, WHOLE)
    clone = shell.clone(root)
    for pack in (store(root) / "packs").iterdir():
        pack.unlink()
    result = run_mlvc("repro", "--allow-missing", cwd=clone, check=False)
    shell.refused(result, 2, "mlvc.yaml, line 4, column 12: the dependency 'raw/*.txt' of stage 'up'")
