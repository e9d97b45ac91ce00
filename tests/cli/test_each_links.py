"""Symbolic links among items, around them, and in what items write."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.helpers import run_mlvc, shell

STAGE = """\
stages:
  s:
    each: d/*.txt
    cmd: echo ${item.stem} >> ran; cat ${item.path} > ${out}/${item.stem}; echo ${item.oid} > ${out}/${item.stem}.oid
    outs: [made]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = shell.project(tmp_path / "project")
    (root / "mlvc.yaml").write_text(STAGE)
    for path, text in (("d/one.txt", "one\n"), ("real/two", "two\n")):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    (root / "d/two.txt").symlink_to("../real/two")
    return root


def ran(root: Path) -> str:
    """The items that ran since this was asked for last."""
    path = root / "ran"
    found = " ".join(sorted(path.read_text().split())) if path.exists() else ""
    path.unlink(missing_ok=True)
    return found


def test_an_item_that_is_a_link_is_what_it_leads_to(project: Path) -> None:
    run_mlvc("repro", cwd=project)
    assert ran(project) == "one two"
    (project / "copy").write_text("two\n")
    assert (project / "made/two.oid").read_text().strip() == oid(project, "copy")
    (project / "real/two").write_text("other\n")
    assert "1 of 2 items changed" in run_mlvc("repro", "--dry-run", cwd=project).out
    run_mlvc("repro", cwd=project)
    assert ran(project) == "two"
    assert (project / "made/two").read_text() == "other\n"
    (project / "d/two.txt").unlink()
    (project / "d/two.txt").write_text("other\n")
    run_mlvc("repro", cwd=project)
    assert ran(project) == ""


def oid(root: Path, path: str) -> str:
    """The Oid of a file, as mlvc tells it."""
    run_mlvc("add", path, cwd=root)
    found = next(line for line in (root / f"{path}.mlvc").read_text().splitlines() if "xxh128:" in line)
    return found[found.index("xxh128:") :].strip('", ')


def test_a_link_out_of_the_repository(project: Path, tmp_path: Path) -> None:
    (tmp_path / "far").write_text("far\n")
    (project / "d/far.txt").symlink_to(tmp_path / "far")
    run_mlvc("repro", "--isolated", cwd=project)
    assert (project / "made/far").read_text() == "far\n"
    ran(project)
    (tmp_path / "far").write_text("farther\n")
    run_mlvc("repro", cwd=project)
    assert ran(project) == "far"
    assert (project / "made/far").read_text() == "farther\n"


def test_a_link_to_a_directory_is_no_item(project: Path) -> None:
    (project / "d/dir.txt").symlink_to("../real")
    run_mlvc("repro", cwd=project)
    assert ran(project) == "one two"


def test_a_link_whose_file_changes_while_its_item_runs(project: Path) -> None:
    text = STAGE.replace("echo ${item.stem} >> ran", "echo more >> real/two")
    (project / "mlvc.yaml").write_text(text)
    done = run_mlvc("repro", cwd=project, check=False)
    assert done.code == 7
    assert "d/two.txt: it changed while it was read" in done.err


@pytest.mark.parametrize("outside", [False, True])
def test_a_pattern_below_a_directory_that_is_a_link(project: Path, tmp_path: Path, *, outside: bool) -> None:
    if outside:
        os.rename(project / "d", tmp_path / "d")
        (tmp_path / "d/two.txt").unlink()
        (tmp_path / "d/two.txt").write_text("two\n")
    (project / "ld").symlink_to(tmp_path / "d" if outside else "d")
    (project / "mlvc.yaml").write_text(
        STAGE.replace("d/*.txt", "ld/*.txt") + "  t:\n    cmd: cat ld/*.txt > t\n    deps: [ld/*.txt]\n    outs: [t]\n"
    )
    run_mlvc("repro", cwd=project)
    assert (ran(project), (project / "t").read_text()) == ("one two", "one\ntwo\n")
    (project / "ld/one.txt").write_text("1\n")
    run_mlvc("repro", cwd=project)
    assert (ran(project), (project / "t").read_text()) == ("one", "1\ntwo\n")
    run_mlvc("repro", cwd=project)
    assert ran(project) == ""


def test_a_link_that_an_item_writes_is_judged_where_it_will_stand(project: Path) -> None:
    link = "ln -s ../d/${item.name} ${out}/${item.stem}; ln -s one ${out}/${item.stem}.too"
    (project / "mlvc.yaml").write_text(f"stages:\n  s:\n    each: d/*.txt\n    cmd: {link}\n    outs: [made]\n")
    run_mlvc("repro", cwd=project)
    assert os.readlink(project / "made/two") == "../d/two.txt"
    assert (project / "made/two").read_text() == "two\n"
    (project / "mlvc.yaml").write_text((project / "mlvc.yaml").read_text().replace("../d/", "../../d/"))
    done = run_mlvc("repro", cwd=project, check=False)
    assert done.code == 7
    assert "is a symbolic link that leaves the repository: ../../d/one.txt" in done.err


def test_what_is_left_out_of_what_items_wrote_is_told(project: Path) -> None:
    cmd = "mkdir ${out}/.git; echo x > ${out}/.git/HEAD; cp ${item.path} ${out}"
    (project / "mlvc.yaml").write_text(f"stages:\n  s:\n    each: d/*.txt\n    cmd: {cmd}\n    outs: [made]\n")
    done = run_mlvc("repro", "--json", cwd=project)
    assert "warning: stage 's'" in done.err
    events = [json.loads(line) for line in done.out.splitlines()]
    (event,) = [event for event in events if event["event"] == "left_out"]
    assert (event["path"], event["names"], event["count"]) == ("made", ["made/.git"], 1)
