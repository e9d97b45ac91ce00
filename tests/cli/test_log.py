"""``log``: the commits that changed a tracked path, through merges and renames, with what is on the Remote only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mlvc.oid import LENGTHS
from tests.helpers import git, run_mlvc, shell
from tests.helpers.shell import image, refused

both = pytest.mark.parametrize("algorithm", list(LENGTHS))


def log(root: Path, path: str, *, code: int = 0) -> list[tuple[str, list[str]]]:
    """Subject and changes of each commit, as they are printed."""
    result = run_mlvc("log", path, cwd=root, check=False)
    assert result.code == code, result
    found: list[tuple[str, list[str]]] = []
    for line in result.out.splitlines():
        if line.startswith("  "):
            found[-1][1].append(line.strip())
        else:
            found.append((line.split("  ")[3], []))
    return found


def record(root: Path, subject: str, contents: dict[str, bytes]) -> None:
    shell.write(root, contents)
    run_mlvc("commit", cwd=root)
    shell.commit(root, subject)


@pytest.fixture
def history(project: Path) -> Path:
    """Two lines of history that are merged, and then a rename."""
    record(project, "second", {"data/one.txt": b"changed\n", "data/new.txt": b"new\n"})
    git("switch", "--quiet", "--create", "side", cwd=project)
    record(project, "on the side", {"data/sub/three.txt": b"333\n"})
    git("switch", "--quiet", "main", cwd=project)
    run_mlvc("checkout", cwd=project)
    record(project, "model", {"model.bin": b"small now"})
    git("merge", "--quiet", "-m", "merged", "side", cwd=project)
    git("mv", "data.mlvc", "cities.mlvc", cwd=project)
    shell.commit(project, "renamed")
    run_mlvc("checkout", cwd=project)
    (project / "cities/new.txt").unlink()
    record(project, "last", {"cities/two.txt": b"two 2\n"})
    return project


DATA = [
    ("last", ["modified  cities  (+0 ~1 -1 files, 32 B -> 30 B)"]),
    ("renamed", ["renamed   data -> cities  (7 files, 32 B)"]),
    ("on the side", ["modified  data  (+0 ~1 -0 files, 34 B -> 32 B)"]),
    ("second", ["modified  data  (+1 ~1 -0 files, 26 B -> 34 B)"]),
    ("first", ["added     data  (6 files, 26 B)"]),
]
MODEL = [("model", ["modified  model.bin  (1.5 MB -> 9 B)"]), ("first", ["added     model.bin  (1.5 MB)"])]


@both
def test_the_commits_of_a_path(history: Path) -> None:
    before = image(history, git_index=True)
    assert log(history, "cities") == log(history, "cities.mlvc") == DATA
    assert log(history, "model.bin") == log(history / "cities", "../model.bin") == MODEL
    assert [subject for subject, _ in log(history, ".")] == [
        "last",
        "renamed",
        "on the side",
        "model",
        "second",
        "first",
    ]
    assert image(history, git_index=True) == before


@both
def test_the_commits_of_a_part(history: Path) -> None:
    assert log(history, "cities/sub") == [
        ("renamed", ["renamed   data/sub -> cities/sub  (2 files, 9 B)"]),
        ("on the side", ["modified  data/sub  (+0 ~1 -0 files, 11 B -> 9 B)"]),
        ("first", ["added     data/sub  (2 files, 11 B)"]),
    ]
    assert log(history, "cities/new.txt") == [
        ("last", ["deleted   cities/new.txt  (4 B)"]),
        ("renamed", ["renamed   data/new.txt -> cities/new.txt  (4 B)"]),
        ("second", ["added     data/new.txt  (4 B)"]),
    ]


def test_what_is_gone_has_a_log_too(history: Path) -> None:
    assert log(history, "data") == [("renamed", ["deleted   data  (7 files, 32 B)"]), *DATA[2:]]
    git("rm", "--quiet", "model.bin.mlvc", cwd=history)
    shell.commit(history, "gone")
    assert log(history, "model.bin") == [("gone", ["deleted   model.bin  (9 B)"]), *MODEL]


def test_an_output_of_a_stage(project: Path) -> None:
    (project / "mlvc.yaml").write_text("stages: {a: {cmd: cp data/one.txt out, deps: [data], outs: [out]}}\n")
    run_mlvc("repro", cwd=project)
    shell.commit(project, "made")
    record(project, "remade", {"data/one.txt": b"another\n"})
    run_mlvc("repro", cwd=project)
    git("commit", "--quiet", "--all", "--amend", "--no-edit", cwd=project)
    (project / "mlvc.yaml").write_text("stages: {a: {cmd: cp data/one.txt new, deps: [data], outs: [new]}}\n")
    run_mlvc("repro", cwd=project)
    shell.commit(project, "renamed")
    assert log(project, "new") == [
        ("renamed", ["renamed   out -> new  (8 B)"]),
        ("remade", ["modified  out  (4 B -> 8 B)"]),
        ("made", ["added     out  (4 B)"]),
    ]


def test_a_merge_that_took_neither_side(project: Path) -> None:
    git("switch", "--quiet", "--create", "side", cwd=project)
    record(project, "theirs", {"data/one.txt": b"theirs\n"})
    git("switch", "--quiet", "main", cwd=project)
    run_mlvc("checkout", cwd=project)
    record(project, "ours", {"data/one.txt": b"ours is longer\n"})
    git("merge", "--quiet", "side", cwd=project, check=False)
    git("checkout", "--quiet", "--ours", "data.mlvc", cwd=project)
    record(project, "both", {"data/one.txt": b"both together, which is longest\n"})
    found = log(project, "data")
    assert found[0] == ("both", ["modified  data  (+0 ~1 -0 files, 37 B -> 54 B)"])
    assert {subject for subject, _ in found} == {"both", "ours", "theirs", "first"}


@both
def test_from_the_remote_and_what_is_nowhere(history: Path) -> None:
    clone = shell.clone(history)
    run_mlvc("push", "--all-commits", cwd=history)
    assert log(clone, "cities") == DATA
    assert not list((clone / ".git/mlvc").glob("packs/*"))
    shutil.rmtree(history.parent / "remote/packs")
    result = run_mlvc("log", "cities", cwd=clone, check=False)
    assert result.code == 4
    assert "modified  cities  (32 B -> 30 B)" in result.out  # Pointers tell that
    shell.ends(result, "could not be compared", "and 2 more", "mlvc push")
    found = json.loads(run_mlvc("log", "cities/sub", "--json", cwd=clone, check=False).out)
    assert found["commits"] == []
    assert len(found["lost"]) == 5


def test_log_as_json(history: Path) -> None:
    found = json.loads(run_mlvc("log", "cities", "--json", cwd=history).out)
    first, second = found["commits"][:2]
    assert first["commit"] == git("rev-parse", "HEAD", cwd=history)
    assert (first["author"], first["subject"]) == ("Ada Lovelace", "last")
    assert first["date"].startswith("2026-01-02T03:04:05")
    assert first["changes"] == [
        {
            "path": "cities",
            "change": "modified",
            "from": None,
            "old": {"size": 32, "files": 7},
            "new": {"size": 30, "files": 6},
            "files": {"added": 0, "modified": 1, "deleted": 1, "renamed": 0},
        }
    ]
    assert second["changes"][0]["from"] == "data"
    assert (found["lost"], found["unreadable"]) == ([], [])


def test_what_no_commit_tracks(project: Path, git_repo) -> None:
    for path in ("nothing", "model.bin/x", "data/nothing", "dat"):
        refused(run_mlvc("log", path, cwd=project, check=False), 2, f"no commit tracks {path}")
    unborn = git_repo("unborn")
    run_mlvc("init", cwd=unborn)
    refused(run_mlvc("log", "x", cwd=unborn, check=False), 2, "no commit tracks x")


def test_a_pointer_that_was_committed_and_cannot_be_read(project: Path) -> None:
    good = (project / "data.mlvc").read_text()
    (project / "data.mlvc").write_text("<<<<<<< ours\n")
    shell.commit(project, "bad")
    (project / "data.mlvc").write_text(good)
    shell.commit(project, "good")
    result = run_mlvc("log", "data", cwd=project, check=False)
    assert result.code == 2
    assert "first\n  added     data" in result.out
    shell.ends(result, "data.mlvc", "conflict markers")


def test_a_subject_and_an_author_with_odd_characters(project: Path) -> None:
    shell.write(project, {"data/one.txt": b"odd\n"})
    run_mlvc("commit", cwd=project)
    git("-c", "user.name=Ünï : x", "commit", "--quiet", "--all", "-m", ":000 \x1b[31m\t\x02tab", cwd=project)
    found = json.loads(run_mlvc("log", "data", "--json", cwd=project).out)["commits"][0]
    assert (found["subject"], found["author"]) == (":000 \x1b[31m\t\x02tab", "Ünï : x")
    assert "\x1b" not in run_mlvc("log", "data", cwd=project).out
