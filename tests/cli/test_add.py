"""``init``, ``add`` and ``commit``: every option, with its effect."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import SOURCES, git, make_git_repo, run_mlvc, shell
from tests.helpers.shell import image, refused, tree


def test_init_makes_settings_and_a_store_and_may_be_repeated() -> None:
    root = make_git_repo()
    assert json.loads(run_mlvc("init", "--json").out) == {"root": str(root), "hash": "xxh128", "new": True}
    assert git("status", "--porcelain") == "A  .mlvc/config.toml"
    assert (root / ".git/mlvc/format").is_file()
    before = image(root)
    (root / "below").mkdir()
    assert json.loads(run_mlvc("init", "--json", cwd="below").out)["new"] is False
    (root / "below").rmdir()
    assert image(root) == before


def test_init_with_blake3_names_everything_so() -> None:
    root = make_git_repo()
    run_mlvc("init", "--hash", "blake3")
    shell.write(root, {"d/x": b"x", "big": shell.LARGE})
    run_mlvc("add", "d", "big")
    assert "oid: blake3:" in (root / "d.mlvc").read_text()
    assert "oid: blake3:" in (root / "big.mlvc").read_text()
    before = tree(root)
    run_mlvc("init", "--hash", "blake3")
    refused(run_mlvc("init", "--hash", "xxh128", check=False), 2, "blake3")
    (root / "big").unlink()
    run_mlvc("checkout")
    assert tree(root) == before


def test_files_and_directories_at_once_with_everything_in_them(project: Path) -> None:
    shell.write(project, {"new/deep/er/x": b"x", "solo": b"solo"})
    (project / "new/empty").mkdir()
    (project / "new/run").write_bytes(b"#!/bin/sh\n")
    (project / "new/run").chmod(0o755)
    (project / "new/link").symlink_to("deep/er/x")
    added = json.loads(run_mlvc("add", "--json", "new", "solo", cwd=project).out)
    assert [(item["path"], item["kind"], item["size"], item["changed"]) for item in added] == [
        ("new", "dir", 1 + 10 + len("deep/er/x"), True),
        ("solo", "file", 4, True),
    ]
    before = tree(project)
    shell.commit(project)
    assert set(git("ls-files", cwd=project).split("\n")) >= {"new.mlvc", "solo.mlvc", ".gitignore"}
    assert not any(name.startswith("new/") for name in git("ls-files", cwd=project).split("\n"))
    git("clean", "-dfxq", cwd=project)
    assert not (project / "new").exists()
    run_mlvc("checkout", cwd=project)
    assert tree(project) == before


@pytest.mark.parametrize(
    "name",
    [
        "two words",
        "näme",
        "Ελληνικά",
        "-dash",
        "#hash",
        "!bang",
        "a[b]c*",
        "tab\tand\nline",
        "'quote\"",
        "~tilde",
        "a\\b",
    ],
)
def test_odd_names(project: Path, name: str) -> None:
    shell.write(project, {f"{name}/{name}": b"inside", f"f{name}": b"file"})
    result = run_mlvc("add", "--", name, f"f{name}", cwd=project)
    assert result.err.count("added") == 2
    assert len(result.err.splitlines()) == 3
    assert git("status", "--porcelain", "-z", cwd=project).count("\0") == 3  # two Pointers and .gitignore
    shell.commit(project)
    before = tree(project)
    git("clean", "-dfxq", cwd=project)
    run_mlvc("checkout", cwd=project)
    assert tree(project) == before
    shown = json.loads(run_mlvc("status", "--json", cwd=project).out)
    assert shown["clean"] is True


def test_glob(project: Path) -> None:
    shell.write(project, {f"raw/{name}": name.encode() for name in ("a.csv", "b.csv", "c.txt", "deep/d.csv")})
    run_mlvc("add", "--glob", "raw/*.csv", cwd=project)
    assert sorted(p.name for p in (project / "raw").glob("*.mlvc")) == ["a.csv.mlvc", "b.csv.mlvc"]
    run_mlvc("add", "--glob", "**/*.csv", cwd=project)
    assert (project / "raw/deep/d.csv.mlvc").exists()
    assert not (project / "raw/a.csv.mlvc.mlvc").exists()
    run_mlvc("add", "--glob", "[c].txt", cwd=project / "raw")
    assert (project / "raw/c.txt.mlvc").exists()
    refused(run_mlvc("add", "--glob", "*.png", cwd=project, check=False), 2, "*.png", hint=False)


def test_out_copies_and_tracks(project: Path) -> None:
    shell.write(project.parent, {"source/x": b"x", "source/deep/y": b"y", "single": b"single"})
    os.chmod(project.parent / "source/x", 0o755)
    run_mlvc("add", "-o", "into/new", "../source", cwd=project)
    assert tree(project / "into/new") == tree(project.parent / "source")
    assert (project / "into/new.mlvc").is_file()
    # From a subdirectory, both paths are as a person there sees them.
    run_mlvc("add", "--out", "single", "../../single", cwd=project / "into")
    assert (project / "into/single").read_bytes() == b"single"
    assert (project / "into/single.mlvc").is_file()
    assert (project.parent / "single").read_bytes() == b"single"


def test_out_into_a_tracked_directory(project: Path) -> None:
    shell.write(project.parent, {"single": b"single"})
    run_mlvc("add", "-o", "data/single", "../single", cwd=project)
    assert not (project / "data/single.mlvc").exists()
    assert run_mlvc("status", "data", cwd=project).out.count("data") == 1
    (project / "data/single").unlink()
    run_mlvc("checkout", "data", cwd=project)
    assert (project / "data/single").read_bytes() == b"single"


def test_out_goes_on_where_it_was_interrupted(project: Path) -> None:
    shell.write(project.parent, {"source/x": b"x", "source/deep/y": b"y"})
    shell.copied(project.parent / "source", project / "new")
    run_mlvc("add", "-o", "new", "../source", cwd=project)
    assert (project / "new.mlvc").is_file()


def test_a_part_of_a_tracked_directory_while_the_rest_is_not_here(pushed: Path) -> None:
    clone = shell.clone(pushed)
    shell.write(clone, {"data/one.txt": b"ONE\n", "data/new/x": b"x"})
    run_mlvc("fetch", cwd=clone)
    run_mlvc("add", "data/one.txt", "data/new", cwd=clone)
    assert not (clone / "data/one.txt.mlvc").exists()
    run_mlvc("checkout", "data", cwd=clone)
    expected = tree(pushed / "data") | {"one.txt": tree(clone / "data")["one.txt"]}
    assert tree(clone / "data") == expected | {"new": "directory", "new/x": tree(clone / "data")["new/x"]}
    assert (clone / "data/one.txt").read_bytes() == b"ONE\n"
    # What was taken out of the directory goes when the directory is added whole.
    (clone / "data/two.txt").unlink()
    run_mlvc("add", "data", cwd=clone)
    run_mlvc("checkout", "data", cwd=clone)
    assert not (clone / "data/two.txt").exists()


def test_a_part_without_the_manifest_writes_no_pointer(pushed: Path) -> None:
    clone = shell.clone(pushed)
    shell.write(clone, {"data/one.txt": b"ONE\n"})
    before = tree(clone)
    result = run_mlvc("add", "data/one.txt", cwd=clone, check=False)
    refused(result, 4, "mlvc fetch")
    assert tree(clone) == before


def test_autostage_stages_pointers_and_ignores(project: Path) -> None:
    shell.write(project, {"off": b"x"})
    run_mlvc("add", "off", cwd=project)
    assert git("status", "--porcelain", cwd=project) == " M .gitignore\n?? off.mlvc"
    run_mlvc("config", "core.autostage", "true", cwd=project)
    shell.write(project, {"on": b"x", "deep/er": b"x", "model.bin": b"new"})
    run_mlvc("add", "on", "deep/er", "model.bin", cwd=project)
    staged = git("diff", "--cached", "--name-only", cwd=project).split("\n")
    assert set(staged) >= {".gitignore", "deep/.gitignore", "deep/er.mlvc", "model.bin.mlvc", "on.mlvc"}
    shell.write(project, {"on": b"y"})
    run_mlvc("commit", cwd=project)
    assert git("diff", "--name-only", cwd=project) == ""


def test_commit_takes_what_is_tracked_and_no_more(project: Path) -> None:
    shell.write(project, {"data/one.txt": b"changed\n", "model.bin": b"small now", "untracked": b"x"})
    said = json.loads(run_mlvc("commit", "--json", "data", cwd=project).out)
    assert [(item["path"], item["changed"]) for item in said] == [("data", True)]
    assert git("status", "--porcelain", cwd=project).split("\n") == [" M data.mlvc", "?? untracked"]
    said = json.loads(run_mlvc("commit", "--json", cwd=project).out)
    assert {item["path"]: item["changed"] for item in said} == {"data": False, "model.bin": True}
    # What is not here keeps its Pointer.
    (project / "model.bin").unlink()
    before = (project / "model.bin.mlvc").read_bytes()
    told = "model.bin is not in the working tree, and stays tracked: `mlvc remove model.bin` ends that"
    assert told in run_mlvc("commit", cwd=project).err
    assert (project / "model.bin.mlvc").read_bytes() == before
    # What never came here is no news.
    assert "stays tracked" not in run_mlvc("commit", cwd=shell.clone(project)).err


def test_commit_with_nothing_tracked() -> None:
    make_git_repo()
    run_mlvc("init")
    assert "mlvc add" in run_mlvc("commit").err


def test_from_a_subdirectory(project: Path) -> None:
    shell.write(project, {"below/x": b"x"})
    run_mlvc("add", "x", cwd=project / "below")
    assert (project / "below/x.mlvc").is_file()
    assert (project / "below/.gitignore").read_text() == "/x\n"
    shell.write(project, {"model.bin": b"new"})
    run_mlvc("add", "../model.bin", cwd=project / "below")
    assert "size: 3\n" in (project / "model.bin.mlvc").read_text()


def test_what_the_ignore_file_names_is_not_tracked(project: Path) -> None:
    (project / ".mlvcignore").write_text("*.tmp\n/data/sub/\n")
    shell.write(project, {"data/x.tmp": b"x"})
    run_mlvc("add", "data", cwd=project)
    assert run_mlvc("diff", "HEAD", cwd=project).out.splitlines() == [
        "deleted   data/sub/four file.txt  (5 B)",
        "deleted   data/sub/three.txt  (6 B)",
    ]


def test_a_directory_becomes_a_file_and_back(project: Path) -> None:
    before = tree(project / "data")
    (project / "data").rename(project.parent / "kept")
    shell.write(project, {"data": b"a file now"})
    run_mlvc("add", "data", cwd=project)
    assert "kind: file\n" in (project / "data.mlvc").read_text()
    shell.commit(project)
    run_mlvc("checkout", "--rev", "HEAD~1", "data", cwd=project)
    assert tree(project / "data") == before
    run_mlvc("checkout", "data", cwd=project)
    assert (project / "data").read_bytes() == b"a file now"


def test_worktrees_share_one_store(project: Path) -> None:
    other = project.parent / "other"
    git("worktree", "add", "--quiet", "-b", "side", other, cwd=project)
    run_mlvc("checkout", cwd=other)
    assert tree(other / "data") == tree(project / "data")
    shell.write(other, {"data/side": b"side"})
    run_mlvc("add", "data", cwd=other)
    shell.commit(other)
    assert not list(other.glob("**/packs"))
    # The first one has the object without fetching, and its own data are untouched.
    assert not (project / "data/side").exists()
    git("merge", "--quiet", "side", cwd=project)
    run_mlvc("checkout", cwd=project)
    assert (project / "data/side").read_bytes() == b"side"
    assert run_mlvc("status", cwd=other).out.startswith("clean")


def test_adds_at_once_lose_nothing_of_each_other(project: Path) -> None:
    shell.write(project, {f"data/new{n}": b"%d" % n for n in range(8)} | {f"file{n}": b"%d" % n for n in range(8)})
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    names = [f"data/new{n}" for n in range(8)] + [f"file{n}" for n in range(8)]
    every = [
        subprocess.Popen([sys.executable, "-P", "-m", "mlvc", "add", name], cwd=project, env=environment)
        for name in names
    ]
    assert [each.wait(60) for each in every] == [0] * len(every)
    assert run_mlvc("status", cwd=project).out.count("added     data/new") == 0
    shutil.rmtree(project / "data")
    run_mlvc("checkout", cwd=project)
    assert {path.name for path in (project / "data").glob("new*")} == {f"new{n}" for n in range(8)}
    ignored = (project / ".gitignore").read_text().splitlines()
    assert {f"/file{n}" for n in range(8)} <= set(ignored)


def test_a_glob_that_finds_a_directory_and_what_is_in_it(project: Path) -> None:
    shell.write(project, {"d/a/x": b"1", "d/b": b"2"})
    run_mlvc("add", "--glob", "d/**", cwd=project)
    assert (project / "d.mlvc").exists()


def test_the_hint_can_be_typed_where_one_stands(project: Path) -> None:
    shell.write(project, {"s/t/q": b"q"})
    hint = run_mlvc("add", "q", cwd=project / "s/t").err.splitlines()[-1]
    assert hint.endswith("git add q.mlvc .gitignore")


def test_settings_and_stages_at_once_lose_nothing_of_each_other(project: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    lines = [["remote", "add", f"r{n}", f"../r{n}"] for n in range(5)]
    lines += [["stage", "add", "-n", f"s{n}", "-o", f"out{n}", "echo 1"] for n in range(5)]
    every = [
        subprocess.Popen([sys.executable, "-P", "-m", "mlvc", *line], cwd=project, env=environment) for line in lines
    ]
    assert [each.wait(60) for each in every] == [0] * len(every)
    remotes = run_mlvc("remote", "list", cwd=project).out
    stages = run_mlvc("stage", "list", cwd=project).out
    assert all(f"r{n}\t" in remotes and f"s{n} " in stages for n in range(5))


@pytest.mark.parametrize("command", ["add", "checkout", "status"])
def test_many_tracked_files_take_no_more_git_processes_than_few(project: Path, command: str) -> None:
    counts = []
    for number in (3, 40):
        names = [f"many{number}/{n}" for n in range(number)]
        shell.write(project, {name: name.encode() for name in names})
        if command != "add":
            run_mlvc("add", *names, cwd=project)
        trace = project.parent / f"trace{number}"
        run_mlvc(command, *names, cwd=project, env={"GIT_TRACE": str(trace)})
        counts.append(trace.read_text().count("trace: built-in: git"))
    assert 0 < counts[0] == counts[1]


def test_a_pointer_of_dvc_is_not_data(project: Path) -> None:
    pointer = b"outs:\n- md5: 9f2d0a0b1c3e4f56789a0b1c2d3e4f50\n  size: 3\n  hash: md5\n  path: in\n"
    shell.write(project, {"in.dvc": pointer, "mine.dvc": b"data of another kind", "set/in.dvc": pointer})
    refused(run_mlvc("add", "in.dvc", cwd=project, check=False), 2, "in.dvc is a pointer of DVC", "then `mlvc add in`")
    assert not (project / "in.dvc.mlvc").exists()
    run_mlvc("add", "mine.dvc", "set", cwd=project)
