"""``push``, ``fetch`` and ``pull``: every option; and what goes wrong elsewhere, A to H."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlvc.oid import LENGTHS
from tests.helpers import git, run_mlvc, shell
from tests.helpers.faults import counted, process_faults
from tests.helpers.shell import image, refused, tree

BOTH = list(LENGTHS)
"""Both hashes. Where a test has many cases, they take turns."""
both = pytest.mark.parametrize("algorithm", BOTH)


def more(root: Path, path: str, data: bytes, *, branch: str = "", tag: str = "") -> None:
    """Another commit with another tracked file, perhaps on a branch of its own."""
    if branch:
        git("checkout", "--quiet", "-b", branch, cwd=root)
    shell.write(root, {path: data})
    run_mlvc("add", path, cwd=root)
    shell.commit(root, path)
    if tag:
        git("tag", tag, cwd=root)
    if branch:
        git("checkout", "--quiet", "main", cwd=root)
        run_mlvc("checkout", cwd=root)


def as_json(root: Path, *args: str) -> dict[str, object]:
    value: dict[str, object] = json.loads(run_mlvc(*args, "--json", cwd=root).out)
    return value


# -- options -----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_push_to_a_place_that_cannot_be(project, options):
    run_mlvc("remote", "modify", "store", "url", "/nowhere/at/all", cwd=project)
    result = run_mlvc("push", *options, cwd=project, check=False)
    shell.refused(result, 6, "remote 'store' at /nowhere/at/all cannot be used: the directory around it does not exist")
    assert not Path("/nowhere").exists()


def test_push_and_pull(project: Path) -> None:
    shown = as_json(project, "push", "--dry-run")
    assert not (project.parent / "remote").exists()
    done = as_json(project, "push")
    assert (done["remote"], done["lost"]) == ("store", [])
    assert shown["objects"] == done["objects"] > 0
    assert "everything is there already" in run_mlvc("push", cwd=project).err
    clone = shell.clone(project)
    shown = as_json(clone, "fetch", "--dry-run")
    would = as_json(clone, "pull", "--dry-run")
    assert would["fetch"] == shown
    assert not (clone / "data").exists()
    pulled = as_json(clone, "pull")
    assert would["checkout"] == pulled["checkout"]
    assert pulled["fetch"]["objects"] == shown["objects"]
    assert pulled["checkout"]["lost"] == []
    assert tree(clone) == tree(project)
    assert run_mlvc("status", cwd=clone).out.startswith("clean")
    again = run_mlvc("pull", cwd=clone)
    assert "everything is here already" in again.err


def test_what_a_pull_would_bring_is_read_on_the_remote(pushed: Path) -> None:
    clone = shell.clone(pushed)
    before = tree(clone)
    result = run_mlvc("pull", "data", "--dry-run", cwd=clone)
    assert "would be added     data/sub/three.txt  (6 B)" in result.out
    assert "model.bin" not in result.out
    assert "would change: 6 added" in result.err
    assert "nothing to change" not in result.err
    assert tree(clone) == before
    for pack in (pushed.parent / "remote/packs").iterdir():
        pack.unlink()
    result = run_mlvc("pull", "--dry-run", cwd=clone, check=False)
    assert result.code == 4
    assert "nothing to change" not in result.err
    assert "data could not be fetched: its object is missing" in result.err


def test_a_fresh_clone_is_told_of_pull(pushed: Path) -> None:
    clone = shell.clone(pushed)
    shown = run_mlvc("status", cwd=clone).out
    assert "data: not in the working tree (bring it with `mlvc pull`)" in shown
    assert "Not in the store (get it with `mlvc pull`)" in shown
    refused_with = run_mlvc("checkout", cwd=clone, check=False)
    assert refused_with.code == 4
    assert refused_with.err.endswith("hint: `mlvc pull` gets it from a remote and checks it out\n")
    run_mlvc("fetch", "data", cwd=clone)
    shown = run_mlvc("status", cwd=clone).out
    assert "data: not in the working tree (bring it with `mlvc checkout`)" in shown
    assert "model.bin: not in the working tree (bring it with `mlvc pull`)" in shown
    run_mlvc("pull", cwd=clone)
    for pack in (clone / ".git/mlvc/packs").iterdir():
        pack.unlink()
    assert "Not in the store (get it with `mlvc fetch`)" in run_mlvc("status", cwd=clone).out


def test_a_pull_names_what_is_lost_once(pushed: Path) -> None:
    for pack in (pushed.parent / "remote/packs").iterdir():
        pack.unlink()
    result = run_mlvc("pull", cwd=shell.clone(pushed), check=False)
    assert result.code == 4
    named = [line for line in result.err.splitlines() if line.startswith("missing  ")]
    assert named
    assert len(named) == len(set(named))


def test_of_several_revisions_pull_checks_the_last_one_out(pushed: Path) -> None:
    shell.write(pushed, {"data/one.txt": b"newer\n"})
    run_mlvc("commit", cwd=pushed)
    shell.commit(pushed)
    run_mlvc("push", cwd=pushed)
    clone = shell.clone(pushed)
    run_mlvc("pull", "--rev", "HEAD~1", "--rev", "HEAD", cwd=clone)
    assert (clone / "data/one.txt").read_bytes() == b"newer\n"
    pointer = (clone / "data.mlvc").read_bytes()
    run_mlvc("pull", "--rev", "HEAD", "--rev", "HEAD~1", cwd=clone)
    assert (clone / "data/one.txt").read_bytes() == shell.FILES["data/one.txt"]
    assert (clone / "data.mlvc").read_bytes() == pointer


@both
def test_targets_and_subdirectories(project: Path) -> None:
    run_mlvc("push", "../model.bin", cwd=project / "data")
    clone = shell.clone(project)
    run_mlvc("pull", "model.bin", cwd=clone)
    assert (clone / "model.bin").read_bytes() == shell.LARGE
    assert not (clone / "data").exists()
    result = run_mlvc("pull", cwd=clone, check=False)
    assert result.code == 4
    shell.ends(result, "data", "mlvc push")
    run_mlvc("push", "data", "-j", "1", cwd=project)
    run_mlvc("fetch", "data.mlvc", "-j", "7", cwd=clone)
    assert not (clone / "data").exists()
    run_mlvc("checkout", cwd=clone)
    assert tree(clone) == tree(project)


@both
def test_remotes_by_name(project: Path) -> None:
    run_mlvc("remote", "add", "other", "../other", cwd=project)
    assert as_json(project, "push", "-r", "other")["remote"] == "other"
    assert not (project.parent / "remote").exists()
    shell.commit(project)
    clone = shell.clone(project)
    run_mlvc("pull", "--remote", "other", cwd=clone)
    assert tree(clone) == tree(project)


@both
def test_a_url_of_a_file_system(project: Path) -> None:
    run_mlvc("remote", "add", "url", (project.parent / "by-url").as_uri(), cwd=project)
    run_mlvc("push", "-r", "url", cwd=project)
    shell.commit(project)
    clone = shell.clone(project)
    run_mlvc("pull", "-r", "url", cwd=clone)
    assert tree(clone) == tree(project)


@pytest.fixture
def history(project: Path) -> Path:
    """A commit on main with ``kept``, a branch with ``side``, a tag with ``tagged`` and, in history alone, ``old``."""
    more(project, "old", b"old")
    git("rm", "--quiet", "old.mlvc", cwd=project)
    (project / "old").unlink()
    shell.commit(project)
    more(project, "side", b"side", branch="branch")
    more(project, "tagged", b"tagged", branch="doomed", tag="v1")
    git("branch", "--quiet", "-D", "doomed", cwd=project)
    return project


@pytest.mark.parametrize(
    ("algorithm", "options", "expected"),
    [
        ("xxh128", [], set()),
        ("blake3", ["--all-branches"], {"side"}),
        ("xxh128", ["--all-tags"], {"tagged"}),
        ("blake3", ["-a", "-T"], {"side", "tagged"}),
        ("xxh128", ["--all-commits"], {"side", "tagged", "old"}),
        ("blake3", ["--rev", "branch"], {"side"}),
        ("xxh128", ["--rev", "v1", "--rev", "branch", "side"], {"side"}),
    ],
    ids=[str(number) for number in range(7)],
)
def test_revisions(history: Path, options: list[str], expected: set[str]) -> None:
    run_mlvc("push", *options, cwd=history)
    clone = shell.clone(history)
    git("fetch", "--quiet", "--tags", cwd=clone)
    found = set()
    for name, revision in (("side", "origin/branch"), ("tagged", "v1"), ("old", "origin/main~1")):
        if run_mlvc("fetch", "--rev", revision, name, cwd=clone, check=False).code == 0:
            found.add(name)
    assert found == expected


@both
def test_fetch_of_revisions(history: Path) -> None:
    run_mlvc("push", "--all-commits", cwd=history)
    clone = shell.clone(history)
    git("fetch", "--quiet", "--tags", cwd=clone)
    run_mlvc("fetch", "-a", cwd=clone)
    assert "everything is here" in run_mlvc("fetch", "--rev", "origin/branch", cwd=clone).err
    run_mlvc("fetch", "-T", cwd=clone)
    assert "everything is here" in run_mlvc("fetch", "--rev", "v1", cwd=clone).err
    run_mlvc("fetch", "-A", cwd=clone)
    assert "everything is here" in run_mlvc("fetch", "--rev", "origin/main~1", cwd=clone).err
    run_mlvc("pull", "--rev", "v1", "tagged", cwd=clone)
    assert (clone / "tagged").read_bytes() == b"tagged"


@both
def test_a_large_file_arrives_and_leaves_nothing_beside(project: Path) -> None:
    """It is written while its Packs come; where it is then not wanted, no trace of it stays."""
    data = random.Random(1).randbytes(3_000_000)
    shell.write(project, {"model.bin": data, "more/run": data[1:]})
    (project / "more/run").chmod(0o755)
    run_mlvc("add", "model.bin", "more", cwd=project)
    shell.commit(project)
    run_mlvc("push", cwd=project)
    clone = shell.clone(project)
    shell.write(clone, {"model.bin": b"mine"})
    shell.ends(run_mlvc("pull", cwd=clone, check=False), "model.bin", "--force")
    assert (clone / "model.bin").read_bytes() == b"mine"
    assert not list((clone / ".git/mlvc/tmp").iterdir())
    (clone / "model.bin").unlink()
    run_mlvc("pull", cwd=clone)
    assert (clone / "model.bin").read_bytes() == data
    other = shell.clone(project, "other")
    run_mlvc("pull", cwd=other)
    assert tree(other) == tree(project)
    assert os.access(other / "more/run", os.X_OK)
    assert not list((other / ".git/mlvc/tmp").iterdir())
    assert run_mlvc("status", "--exit-code", cwd=other).err == ""


def test_pull_takes_nothing_that_is_stored_nowhere(pushed: Path) -> None:
    shell.write(pushed, {"data/one.txt": b"the only copy"})
    result = run_mlvc("pull", cwd=pushed, check=False)
    assert result.code == 5
    shell.ends(result, "data/one.txt", "--force")
    assert (pushed / "data/one.txt").read_bytes() == b"the only copy"
    run_mlvc("pull", "--force", cwd=pushed)
    assert (pushed / "data/one.txt").read_bytes() == b"one\n"


def test_what_a_killed_push_left_on_the_remote_goes_after_a_week(pushed: Path) -> None:
    temporary = pushed.parent / "remote/tmp"
    for name, days in (("old", 8), ("young", 6)):
        (temporary / name).write_bytes(b"left over")
        os.utime(temporary / name, (time.time() - days * 86400,) * 2)
    more(pushed, "another", b"another")
    run_mlvc("push", cwd=pushed)
    assert [path.name for path in temporary.iterdir()] == ["young"]


@both
def test_few_files_on_the_remote(project: Path) -> None:
    shell.write(project, {f"many/{number}": b"%d" % number for number in range(2000)})
    run_mlvc("add", "many", cwd=project)
    run_mlvc("push", cwd=project)
    assert sum(len(names) for _, _, names in os.walk(project.parent / "remote")) < 10


# -- damage and loss, by letter ------------------------------------------------------------------


def packs(store: Path) -> list[Path]:
    return sorted((store / "packs").iterdir())


def damage(path: Path, text: bytes) -> None:
    """Turn over one bit of ``text`` in a Pack."""
    data = bytearray(path.read_bytes())
    data[data.index(text)] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


THREE = b"second sub/three.txt\n"


@pytest.fixture
def split(project: Path) -> Iterator[Path]:
    """As ``pushed``, but each file of ``data`` lies in a Pack of its own, here and on the Remote."""
    for name in ("one.txt", "two.txt", "sub/three.txt", "sub/four file.txt"):
        shell.write(project, {f"data/{name}": f"second {name}\n".encode()})
        run_mlvc("add", "data", cwd=project)
        run_mlvc("push", cwd=project)
    shell.commit(project)
    return project


def holder(store: Path, text: bytes) -> Path:
    """The Pack that holds ``text``."""
    return next(path for path in packs(store) if text in path.read_bytes())


@both
def test_anchor_a_a_truncated_download_is_never_trusted(pushed: Path) -> None:
    remote = pushed.parent / "remote"
    clone = shell.clone(pushed)
    kept = {path: path.read_bytes() for path in packs(remote)}
    for path, data in kept.items():
        path.write_bytes(data[: len(data) // 2])
    result = run_mlvc("pull", cwd=clone, check=False)
    assert result.code in (4, 6)
    shell.ends(result, hint=False)
    assert not (clone / "model.bin").exists()
    for path, data in kept.items():
        path.write_bytes(data)
    run_mlvc("pull", cwd=clone)
    assert tree(clone) == tree(pushed)


@both
def test_anchor_a_a_connection_that_drops_in_the_middle_leaves_nothing_behind(pushed: Path) -> None:
    codes = []
    for n in range(4, 13, 2):
        clone = shell.clone(pushed, f"clone{n}")
        result = run_mlvc("pull", cwd=clone, check=False, env=process_faults(fail_at=n, error=5, root=clone / ".git"))
        codes.append(result.code)
        if result.code:
            shell.ends(result, hint=False)
            run_mlvc("pull", cwd=clone)
        assert tree(clone) == tree(pushed)
    assert sum(code != 0 for code in codes) > 1, codes


@both
def test_anchor_b_a_damaged_object_is_found_named_and_never_sent(split: Path) -> None:
    run_mlvc("remote", "add", "-d", "other", "../other", cwd=split)
    shell.commit(split)
    damage(holder(split / ".git/mlvc", THREE), THREE)
    result = run_mlvc("push", cwd=split, check=False)
    assert result.code == 4
    assert "damaged  data/sub/three.txt" in result.err
    shell.ends(result, "data/sub/three.txt could not be pushed", "mlvc fetch")
    # The rest is there, and it is good.
    clone = shell.clone(split)
    result = run_mlvc("pull", cwd=clone, check=False)
    assert result.code == 4
    assert "missing  data/sub/three.txt" in result.err
    expected = tree(split)
    expected.pop("data/sub/three.txt")
    assert {**tree(clone), "data/sub": "directory"} == expected
    # The file is still in the working tree: adding it again heals both.
    run_mlvc("add", "data", cwd=split)
    run_mlvc("push", cwd=split)
    run_mlvc("pull", cwd=clone)
    assert tree(clone) == tree(split)


@both
def test_anchor_b_a_damaged_object_is_not_checked_out(split: Path) -> None:
    damage(holder(split / ".git/mlvc", THREE), THREE)
    whole = tree(split)
    (split / "data/sub/three.txt").unlink()
    (split / "data/one.txt").unlink()
    result = run_mlvc("checkout", cwd=split, check=False)
    assert result.code == 4
    assert "damaged  data/sub/three.txt" in result.err
    shell.ends(result, "data/sub/three.txt could not be checked out", "mlvc pull")
    expected = dict(whole)
    expected.pop("data/sub/three.txt")
    assert tree(split) == expected
    # What was damaged is kept aside, and counts as missing from now on.
    assert list((split / ".git/mlvc/quarantine").iterdir())
    assert "data  (1 object)" in run_mlvc("status", cwd=split).out
    # As the hint says.
    run_mlvc("fetch", cwd=split)
    run_mlvc("checkout", cwd=split)
    assert tree(split) == whole


@pytest.mark.parametrize(("way", "algorithm"), [("checkout", "xxh128"), ("fetch", "blake3")])
def test_anchor_b_a_damaged_manifest(pushed: Path, way: str) -> None:
    whole = tree(pushed)
    damage(holder(pushed / ".git/mlvc", b"three\n"), b"three\n")  # in one frame with the manifest
    (pushed / "data/one.txt").unlink()
    (pushed / "model.bin").unlink()
    if way == "checkout":
        result = run_mlvc("checkout", cwd=pushed, check=False)
        assert result.code == 4
        assert "damaged  data" in result.err
        shell.ends(result, "data could not be checked out: its object is damaged", "mlvc pull")
        assert (pushed / "model.bin").exists()
    run_mlvc("fetch", cwd=pushed)
    run_mlvc("checkout", cwd=pushed)
    assert tree(pushed) == whole


@both
def test_anchor_b_a_large_object_that_is_damaged(project: Path) -> None:
    for path in packs(project / ".git/mlvc"):
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        for at in range(30, len(data) - 200, 50):
            data[at] ^= 1
        path.write_bytes(data)
    (project / "model.bin").unlink()
    result = run_mlvc("checkout", "model.bin", cwd=project, check=False)
    assert result.code == 4
    shell.ends(result, "model.bin could not be checked out", "mlvc pull")
    assert not (project / "model.bin").exists()


@both
def test_anchor_c_an_object_that_the_remote_lost_is_restored_by_push(split: Path) -> None:
    remote = split.parent / "remote"
    holder(remote, THREE).unlink()
    clone = shell.clone(split)
    result = run_mlvc("pull", cwd=clone, check=False)
    assert result.code == 4
    assert "data" in result.err
    assert "pushed" in run_mlvc("push", cwd=split).err
    run_mlvc("pull", cwd=clone)
    assert tree(clone) == tree(split)


def test_anchor_c_the_packs_to_delete_are_named_where_the_remote_is_damaged(split: Path) -> None:
    remote = split.parent / "remote"
    bad = holder(remote, THREE)
    damage(bad, THREE)
    clone = shell.clone(split)
    for command in ("fetch", "pull"):
        result = run_mlvc(command, cwd=clone, check=False)
        assert result.code == 4
        assert f"damaged on remote 'store': {bad}\n" in result.err
        assert "damaged  data/sub/three.txt" in result.err
        shell.ends(result, "data/sub/three.txt could not be fetched", "delete the packs there that are named above")
    # As the hint says.
    for path in re.findall(r"damaged on remote 'store': (.*)", result.err):
        Path(path).unlink()
    assert "pushed" in run_mlvc("push", cwd=split).err
    run_mlvc("pull", cwd=clone)
    assert tree(clone) == tree(split)


def test_anchor_c_who_found_the_remote_damaged_and_has_the_data_restores_it(split: Path) -> None:
    damage(holder(split.parent / "remote", THREE), THREE)
    clone = shell.clone(split)
    assert run_mlvc("pull", cwd=clone, check=False).code == 4
    # What is still missing here is no news, and is not forgotten.
    assert run_mlvc("push", cwd=clone, check=False).code == 4
    (clone / "data/sub/three.txt").write_bytes(THREE)
    run_mlvc("add", "data", cwd=clone)
    assert "pushed" in run_mlvc("push", cwd=clone).err
    assert "everything is there already" in run_mlvc("push", cwd=clone).err
    other = shell.clone(split, "other")
    run_mlvc("pull", cwd=other)
    assert tree(other) == tree(split)
    # Whoever mends it first: nothing is sent again.
    third = shell.clone(split, "third")
    assert "damaged" not in run_mlvc("pull", cwd=third).err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_anchor_d_a_file_that_cannot_be_read(project: Path) -> None:
    shell.write(project, {"new/x": b"x", "new/secret": b"x"})
    (project / "new/secret").chmod(0)
    before = image(project)
    refused(run_mlvc("add", "new", cwd=project, check=False), 8, "new/secret")
    assert image(project) == before


@pytest.mark.parametrize(("n", "algorithm"), list(zip([1, 2, 4, 6, 8, 10], BOTH * 3, strict=True)))
def test_anchor_d_an_add_that_cannot_store_everything_writes_no_pointer(project: Path, n: int) -> None:
    shell.write(project, {"new/x": b"x", "new/y": b"y", "new/large": shell.LARGE[::-1]})
    before = image(project)
    store = project / ".git/mlvc"
    faults = process_faults(fail_at=n, lasting=True, root=store)
    result = run_mlvc("add", "new", cwd=project, check=False, env=faults)
    refused(result, 8, "disk is full")
    after = {path: what for path, what in image(project).items() if not path.startswith(".git/mlvc/packs")}
    assert after == {path: what for path, what in before.items() if not path.startswith(".git/mlvc/packs")}
    run_mlvc("add", "new", cwd=project)
    assert (project / "new.mlvc").is_file()


@both
def test_anchor_e_an_object_that_is_missing_here_is_named_by_push(split: Path) -> None:
    run_mlvc("remote", "add", "other", "../other", cwd=split)
    holder(split / ".git/mlvc", THREE).unlink()
    result = run_mlvc("push", "-r", "other", cwd=split, check=False)
    assert result.code == 4
    assert "missing  data/sub/three.txt" in result.err
    shell.ends(result, "data/sub/three.txt could not be pushed", "mlvc fetch")
    # As the hint says: a Remote that has it.
    run_mlvc("fetch", "-r", "store", cwd=split)
    run_mlvc("push", "-r", "other", cwd=split)


@both
def test_anchor_e_an_object_that_is_missing_there_is_named_by_fetch(split: Path) -> None:
    holder(split.parent / "remote", THREE).unlink()
    clone = shell.clone(split)
    result = run_mlvc("fetch", cwd=clone, check=False)
    assert result.code == 4
    assert "missing  data" in result.err
    shell.ends(result, "could not be fetched", "mlvc push")
    # The rest is done: all else comes without a Remote.
    (split.parent / "remote").rename(split.parent / "gone")
    run_mlvc("checkout", "model.bin", cwd=clone)
    assert (clone / "model.bin").read_bytes() == shell.LARGE


def test_anchor_e_as_json_the_lost_are_data(split: Path) -> None:
    holder(split / ".git/mlvc", THREE).unlink()
    run_mlvc("remote", "add", "other", "../other", cwd=split)
    result = run_mlvc("push", "-r", "other", "--json", cwd=split, check=False)
    assert result.code == 4
    assert {"path": "data/sub/three.txt", "reason": "missing"} in json.loads(result.out)["lost"]


@both
def test_anchor_f_status_leaves_a_damaged_object_where_it_is(project: Path) -> None:
    run_mlvc("config", "core.link", "hardlink", cwd=project)
    run_mlvc("checkout", "--relink", cwd=project)
    path = project / "model.bin"
    path.chmod(0o644)
    with path.open("r+b") as file:  # an edit through the link
        file.write(b"EDIT")
    before = image(project, git_index=True)
    for _ in range(2):
        assert "modified  model.bin" in run_mlvc("status", cwd=project).out
    run_mlvc("diff", cwd=project)
    assert image(project, git_index=True) == before


@both
def test_anchor_g_everything_in_a_directory_comes_back(pushed: Path) -> None:
    clone = shell.clone(pushed)
    run_mlvc("pull", cwd=clone)
    assert (clone / "data/empty").is_dir()
    assert (clone / "data/link").is_symlink()
    assert os.access(clone / "data/two.txt", os.X_OK)
    assert not os.access(clone / "data/one.txt", os.X_OK)
    assert tree(clone) == tree(pushed)


@pytest.mark.parametrize(
    ("command", "algorithm"), [("add", "xxh128"), ("add", "blake3"), ("push", "blake3"), ("pull", "xxh128")]
)
def test_anchor_h_bytes_are_flushed_before_anything_names_them(pushed: Path, command: str) -> None:
    root = shell.clone(pushed) if command == "pull" else pushed
    shell.write(pushed, {"new/x": b"x", "new/large": shell.LARGE[::-1]})
    if command == "push":
        run_mlvc("add", "new", cwd=pushed)
    log = pushed.parent / "calls"
    args = ["add", "new"] if command == "add" else [command]
    run_mlvc(*args, cwd=root, env=process_faults(root=pushed.parent, count_to=log))
    calls = [line.split(" ") for line in counted(log)]
    published = [number for number, call in enumerate(calls) if call[0] == "replace" and ".pack" in call[-1]]
    flushed = [number for number, call in enumerate(calls) if call[0] == "fsync"]
    assert published
    for number in published:
        source = calls[number][1]
        assert any(calls[n][1] == source for n in flushed if n < number), source
        assert any(n > number and calls[n][1] == os.path.dirname(calls[number][-1]) for n in flushed)
    if command == "add":
        named = next(n for n, call in enumerate(calls) if call[0] == "replace" and call[-1].endswith("new.mlvc"))
        assert max(published) < named
        assert any(calls[n][1] == calls[named][1] for n in flushed if n < named)
        assert any(n > named for n in flushed)


def test_a_pull_that_is_refused_tells_what_it_fetched(pushed: Path) -> None:
    clone = shell.clone(pushed)
    run_mlvc("pull", cwd=clone)
    shell.write(pushed, {"model.bin": b"the new model"})
    run_mlvc("commit", cwd=pushed)
    shell.commit(pushed)
    run_mlvc("push", cwd=pushed)
    git("pull", "--quiet", cwd=clone)
    shell.write(clone, {"data/one.txt": b"changed"})
    result = run_mlvc("pull", cwd=clone, check=False)
    assert result.code == 5
    assert result.err.startswith("fetched 1 object (")
    assert "mlvc: data/one.txt has changes that are stored nowhere" in result.err
    assert not run_mlvc("pull", cwd=clone, check=False).err.startswith("fetched")
