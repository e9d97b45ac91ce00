"""``mlvc gc``: whatever something needs stays, the rest goes to the trash and comes back from there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlvc.oid import LENGTHS
from tests.helpers import SOURCES, git, run_mlvc, shell
from tests.helpers.faults import counted, process_faults
from tests.helpers.shell import image, refused, tree
from tests.helpers.stores import flip, noise, open_local

both = pytest.mark.parametrize("algorithm", list(LENGTHS))


def packs(root: Path) -> dict[str, bytes]:
    """The Packs and loose objects of a Store."""
    store = root / ".git/mlvc"
    found = [*store.glob("packs/*"), *store.glob("loose/*/*")]
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def trashed(root: Path) -> list[str]:
    """What lies in the trash, by the name that it had."""
    trash = root / ".git/mlvc/trash"
    return sorted("/".join(path.relative_to(trash).parts[1:]) for path in trash.rglob("*") if path.is_file())


def at_once(root: Path, **days: int) -> None:
    """Let gc take what has just been stored, and keep the trash for a while."""
    for name, count in ({"grace": 0} | days).items():
        run_mlvc("config", "--private", f"gc.{name}", str(count), cwd=root)


def change(root: Path, path: str, data: bytes) -> None:
    """Write and track a file; nothing is committed."""
    shell.write(root, {path: data})
    run_mlvc("add", path.split("/", maxsplit=1)[0], cwd=root)


def collected(root: Path, *args: str) -> dict[str, object]:
    return json.loads(run_mlvc("gc", "--json", *args, cwd=root).out)


def test_what_nothing_needs_goes_to_the_trash_and_comes_back(project: Path) -> None:
    before = packs(project)
    change(project, "data/one.txt", b"never committed\n")
    change(project, "data/one.txt", b"in use\n")
    now = packs(project)
    assert "stored in the last 14 days" in run_mlvc("gc", cwd=project).err
    assert packs(project) == now
    at_once(project)
    planned = collected(project, "--dry-run")
    assert packs(project) == now
    assert trashed(project) == []
    assert planned["packs"] == 1
    assert collected(project) == planned
    (gone,) = now.keys() - packs(project).keys()
    assert gone not in before
    assert [f"packs/{Path(gone).name}"] == trashed(project)
    assert collected(project)["objects"] == 0
    assert run_mlvc("gc", "--restore", cwd=project).err == "put back 1 file from the trash\n"
    assert packs(project) == now
    assert trashed(project) == []
    assert "trash is empty" in run_mlvc("gc", "--restore", cwd=project).err


def test_the_trash_is_emptied_when_its_time_has_come(project: Path) -> None:
    at_once(project, trash=14)
    change(project, "data/one.txt", b"never committed\n")
    run_mlvc("checkout", "--rev", "HEAD", "--force", cwd=project)
    git("checkout", "data.mlvc", cwd=project)
    collected(project)
    (day,) = (project / ".git/mlvc/trash").iterdir()
    assert collected(project)["deleted"] == 0
    size = sum(path.stat().st_size for path in day.rglob("*") if path.is_file())
    day.rename(day.with_name("20200101T000000Z"))
    (project / ".git/mlvc/trash/mine").mkdir()
    assert collected(project, "--dry-run")["deleted"] == size
    assert len(trashed(project)) == 1
    assert collected(project)["deleted"] == size
    assert [path.name for path in (project / ".git/mlvc/trash").iterdir()] == ["mine"]


def test_a_young_pack_stays_and_an_old_one_goes(project: Path) -> None:
    before = packs(project)
    change(project, "data/one.txt", b"old\n")
    (old,) = packs(project).keys() - before.keys()
    change(project, "data/one.txt", b"young\n")
    git("checkout", "data.mlvc", cwd=project)
    os.utime(project / old, (0, 0))
    found = collected(project)
    assert found["packs"] == 1
    assert found["young"] == 3  # the file, the leaf, the root
    assert trashed(project) == [f"packs/{Path(old).name}"]


# -- what is kept ------------------------------------------------------------------------------

PIPELINE = b"stages: {sum: {cmd: cat data/one.txt > sum.txt, deps: [data], outs: [sum.txt]}}\n"


@both
def test_invariant_6_what_anything_needs_stays(project: Path, algorithm: str) -> None:  # noqa: PLR0915
    """Every way in which a version can be held, each held by nothing else."""
    other = project.parent / "other"
    versions: dict[str, bytes] = {}

    def version(name: str) -> None:
        versions[name] = f"{name}\n".encode()
        change(project, "data/one.txt", versions[name])

    version("branch")
    git("switch", "--quiet", "-c", "side", cwd=project)
    shell.commit(project, "branch")
    version("tag")
    shell.commit(project, "tag")
    git("tag", "v1", cwd=project)
    version("tree")
    git("add", "--all", cwd=project)
    git("tag", "tree", git("write-tree", cwd=project), cwd=project)
    git("reset", "--quiet", "--hard", "side~1", cwd=project)
    git("switch", "--quiet", "main", cwd=project)
    version("merged away")
    shell.commit(project, "merged away")
    git("merge", "--quiet", "-s", "ours", "-m", "merge", "side", cwd=project)
    version("reflog")
    shell.commit(project, "reflog")
    git("reset", "--quiet", "--hard", "HEAD~1", cwd=project)
    for name in ("stash", "other stash"):
        version(name)
        git("stash", "--quiet", cwd=project)
    git("worktree", "add", "--quiet", "--detach", other, cwd=project)
    run_mlvc("checkout", "--force", cwd=other)
    shell.write(other, {"data/one.txt": b"detached\n"})
    run_mlvc("commit", cwd=other)
    shell.commit(other, "detached")
    versions["detached"] = b"detached\n"
    detached = (other / "data.mlvc").read_bytes()
    shell.write(other, {"data/one.txt": b"elsewhere\n"})
    run_mlvc("commit", cwd=other)
    versions["elsewhere"] = b"elsewhere\n"
    elsewhere = (other / "data.mlvc").read_bytes()
    version("run")
    shell.write(project, {"mlvc.yaml": PIPELINE})
    run_mlvc("repro", cwd=project)
    version("lockfile")
    run_mlvc("repro", cwd=project)
    version("staged")
    git("add", "--all", cwd=project)
    staged = (project / "data.mlvc").read_bytes()
    version("uncommitted")
    change(project, "data/one.txt", b"garbage\n")
    garbage = (project / "data.mlvc").read_bytes()
    change(project, "data/one.txt", versions["uncommitted"])
    at_once(project)
    # Three of the garbage; and the Manifests of the data that two Runs read, which nothing holds.
    assert collected(project)["objects"] == 3 + 2 * 2

    def brings(pointer: bytes) -> bytes:
        place = project.parent / "look"
        shutil.rmtree(place, ignore_errors=True)
        git("worktree", "prune", cwd=project)
        git("worktree", "add", "--quiet", "--detach", place, "HEAD", cwd=project)
        (place / "data.mlvc").write_bytes(pointer)
        code = run_mlvc("checkout", "data", cwd=place, check=False).code
        return (place / "data/one.txt").read_bytes() if not code else b"nothing"

    def shown(revision: str) -> bytes:
        return brings((git("show", f"{revision}:data.mlvc", cwd=project) + "\n").encode())

    found = {name: shown(name) for name in ("side", "v1", "tree", "HEAD", "stash@{0}", "stash@{1}")}
    assert found == {
        "side": versions["branch"],
        "v1": versions["tag"],
        "tree": versions["tree"],
        "HEAD": versions["merged away"],
        "stash@{0}": versions["other stash"],
        "stash@{1}": versions["stash"],
    }
    reflog = next(line.split()[0] for line in git("reflog", cwd=project).splitlines() if line.endswith("reflog"))
    assert shown(reflog) == versions["reflog"]
    pointers = {"detached": detached, "elsewhere": elsewhere, "staged": staged}
    assert {name: brings(pointer) for name, pointer in pointers.items()} == {name: versions[name] for name in pointers}
    assert brings(garbage) == b"nothing"
    # The result of a Run that the Lockfile names no more is restored, not computed again.
    (project / "sum.txt").unlink()
    change(project, "data/one.txt", versions["run"])
    assert "Restoring" in run_mlvc("repro", cwd=project).err
    assert (project / "sum.txt").read_bytes() == versions["run"]


def test_what_only_the_other_side_of_a_merge_had(project: Path) -> None:
    git("switch", "--quiet", "-c", "side", cwd=project)
    change(project, "data/one.txt", b"side\n")
    shell.commit(project)
    git("switch", "--quiet", "main", cwd=project)
    shell.commit(project, "main")
    git("merge", "--quiet", "-s", "ours", "-m", "merge", "side", cwd=project)
    git("branch", "--quiet", "-D", "side", cwd=project)
    git("reflog", "expire", "--expire=now", "--all", cwd=project)
    run_mlvc("checkout", cwd=project)
    at_once(project)
    assert collected(project)["objects"] == 0
    run_mlvc("checkout", "--rev", "HEAD^2", cwd=project)
    assert (project / "data/one.txt").read_bytes() == b"side\n"


def test_results_of_runs_go_where_that_is_asked_for(project: Path) -> None:
    shell.write(project, {"mlvc.yaml": PIPELINE.replace(b"> sum.txt", b"data/one.txt > sum.txt")})
    original = (project / "data/one.txt").read_bytes()
    run_mlvc("repro", cwd=project)
    change(project, "data/one.txt", b"second\n")
    run_mlvc("repro", cwd=project)
    shell.commit(project)
    at_once(project)
    assert collected(project)["runs"] == 0
    found = collected(project, "--runs")
    assert found["runs"] == 1
    assert found["objects"] == 1
    assert [name.split("/")[0] for name in trashed(project)] == ["packs", "runs"]
    change(project, "data/one.txt", original)
    assert "Running" in run_mlvc("repro", cwd=project).err
    assert (project / "sum.txt").read_bytes() == 2 * original


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "delete", "large", "branch", "back", "ours", "stash", "drop", "reset"]),
        st.integers(0, 3),
    ),
    min_size=4,
    max_size=9,
)


@pytest.mark.parametrize("algorithm", list(LENGTHS))
@settings(max_examples=4)
@given(edits=EDITS)
def test_after_gc_every_kept_commit_checks_out_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, algorithm: str, edits: list[tuple[str, int]]
) -> None:
    root = shell.project(tmp_path_factory.mktemp("random") / "project", algorithm=algorithm)
    at_once(root)
    known = {git("rev-parse", "HEAD", cwd=root): data_of(root)}
    for number, (what, which) in enumerate(edits):
        if what == "write":
            shell.write(root, {f"data/{which}": f"{number}".encode()})
        elif what == "large":
            shell.write(root, {"model.bin": noise(200_000, which) + shell.LARGE})
        elif what == "delete":
            (root / f"data/{which}").unlink(missing_ok=True)
        run_mlvc("commit", cwd=root)
        if what == "drop":
            git("checkout", "--quiet", ".", cwd=root)
        elif what == "stash":
            git("stash", "--quiet", cwd=root)
        elif what == "reset":
            git("reset", "--quiet", "--hard", "HEAD~1" if len(known) > 1 else "HEAD", cwd=root)
        else:
            shell.commit(root, f"{number}")
            known[git("rev-parse", "HEAD", cwd=root)] = data_of(root)
        if what == "branch":
            git("switch", "--quiet", "-C", f"side{which}", cwd=root)
        elif what == "back":
            git("switch", "--quiet", "main", cwd=root)
        elif what == "ours":
            git("merge", "--quiet", "-s", "ours", "-m", "ours", "main", cwd=root)
        run_mlvc("checkout", "--force", cwd=root)
    run_mlvc("gc", cwd=root)
    assert collected(root)["objects"] == 0
    for commit, expected in known.items():
        git("checkout", "--quiet", "--detach", "--force", commit, cwd=root)
        run_mlvc("checkout", "--force", cwd=root)
        assert data_of(root) == expected
    shutil.rmtree(root.parent)


def data_of(root: Path) -> dict[str, str]:
    return {path: what for path, what in tree(root).items() if path.split("/")[0] in ("data", "model.bin")}


# -- what is refused ---------------------------------------------------------------------------


def lose_manifest(root: Path) -> None:
    """The Pack with the Manifest of HEAD's data is gone; its own files are in another one."""
    before = packs(root)
    (root / "data/sub/three.txt").rename(root / "data/three.txt")  # no new file, a new Manifest
    run_mlvc("commit", cwd=root)
    shell.commit(root, "moved")
    (new,) = packs(root).keys() - before.keys()
    shutil.move(root / new, root.parent / "taken.pack")


def test_a_list_of_files_that_is_not_here(project: Path) -> None:
    lose_manifest(project)
    change(project, "data2/x", b"garbage\n")
    (project / "data2.mlvc").unlink()
    at_once(project)
    before = image(project)
    result = run_mlvc("gc", cwd=project, check=False)
    refused(result, 4, "nothing is deleted", "data.mlvc", "mlvc gc -r store")
    assert image(project) == before
    assert collected(project, "--force")["packs"] == 1


def test_a_list_of_files_that_only_a_remote_has(pushed: Path) -> None:
    change(pushed, "old/x", b"in a Pack of its own\n")
    shell.commit(pushed)
    run_mlvc("push", cwd=pushed)
    (pushed / "old.mlvc").unlink()
    shell.commit(pushed)
    clone = shell.clone(pushed)
    run_mlvc("pull", cwd=clone)
    at_once(clone)
    refused(run_mlvc("gc", cwd=clone, check=False), 4, "old.mlvc in commit", "mlvc gc -r store")
    assert collected(clone, "-r", "store")["objects"] == 0
    refused(run_mlvc("gc", "-r", "nowhere", cwd=clone, check=False), 2, "no remote 'nowhere'")


@pytest.mark.parametrize("part", ["root", "leaf"])
def test_a_list_of_files_that_is_damaged(project: Path, part: str) -> None:
    with open_local(project / ".git/mlvc", "xxh128") as store:
        digits = (project / "data.mlvc").read_text().partition("xxh128:")[2][:32]
        (place,) = store.packed.catalog.locate([bytes.fromhex(digits)])
    # The whole payload of the last frame: root and leaf of the Manifest lie there.
    path = project / f".git/mlvc/packs/{place.pack}.pack"
    flip(path, place.frame + place.extent - (3 if part == "root" else 60))
    at_once(project)
    before = packs(project)
    refused(run_mlvc("gc", cwd=project, check=False), 4, "nothing is deleted", "data.mlvc", "fsck --repair")
    assert packs(project) == before


@pytest.mark.parametrize("where", ["working tree", "index", "commit"])
def test_a_pointer_that_cannot_be_read(project: Path, where: str) -> None:
    pointer = project / "data.mlvc"
    good = pointer.read_bytes()
    change(project, "data/one.txt", b"theirs\n")
    theirs = pointer.read_bytes()
    change(project, "data/one.txt", b"garbage\n")
    pointer.write_bytes(b"<<<<<<< ours\n" + good + b"=======\n" + theirs + b">>>>>>> theirs\n")
    if where != "working tree":
        git("add", "--all", cwd=project)
    if where == "commit":
        shell.commit(project)
    if where != "working tree":
        pointer.write_bytes(good)
    at_once(project)
    before = packs(project)
    named = {"working tree": "data.mlvc cannot be read", "index": "in Git's index", "commit": "in commit"}[where]
    refused(run_mlvc("gc", cwd=project, check=False), 2, "nothing is deleted", named, "conflict markers", "--force")
    assert packs(project) == before
    # Both sides are kept with all their files.
    assert collected(project, "--force")["objects"] == 3
    pointer.write_bytes(theirs)
    run_mlvc("checkout", "--force", cwd=project)
    assert (project / "data/one.txt").read_bytes() == b"theirs\n"


def test_a_run_of_a_newer_mlvc(project: Path) -> None:
    record = project / ".git/mlvc/runs/ab" / ("ab" * 16 + ".json")
    record.parent.mkdir(parents=True)
    record.write_text('{"mlvc_run": 2}')
    refused(run_mlvc("gc", cwd=project, check=False), 2, "Run format 2")
    record.write_text("damaged")
    run_mlvc("gc", cwd=project)


def test_a_working_tree_that_is_not_there(project: Path) -> None:
    git("worktree", "add", "--quiet", "../other", cwd=project)
    shutil.move(project.parent / "other", project.parent / "unplugged")
    refused(run_mlvc("gc", cwd=project, check=False), 2, "other of this repository is not there", "worktree prune")
    git("worktree", "prune", cwd=project)
    run_mlvc("gc", cwd=project)


def test_restore_goes_alone(project: Path) -> None:
    refused(run_mlvc("gc", "--restore", "--runs", cwd=project, check=False), 2, "--restore")


def test_a_repository_without_commits(project: Path) -> None:
    root = project.parent / "new"
    root.mkdir()
    git("init", "--quiet", cwd=root)
    run_mlvc("init", cwd=root)
    change(root, "data/x", b"garbage\n")
    change(root, "data/x", b"x\n")
    at_once(root)
    assert collected(root)["objects"] == 3
    run_mlvc("checkout", "--force", cwd=root)


# -- Packs, loose objects, links ---------------------------------------------------------------


@both
def test_a_pack_with_little_that_lives_is_written_anew(project: Path, algorithm: str) -> None:
    shell.write(project, {f"data/big{number}": noise(50_000, number) for number in range(8)})
    run_mlvc("commit", cwd=project)
    for number in range(7):
        (project / f"data/big{number}").unlink()
    run_mlvc("commit", cwd=project)
    mixed = set(packs(project))
    shell.commit(project)
    at_once(project)
    found = collected(project)
    assert found["rewritten"] == 1
    assert found["objects"] == 9  # with leaf and root
    (new,) = packs(project).keys() - mixed
    assert len(packs(project)[new]) < 60_000
    (project / "data/big7").unlink()
    run_mlvc("checkout", cwd=project)
    assert (project / "data/big7").read_bytes() == noise(50_000, 7)
    assert collected(project)["objects"] == 0


def test_chunks_that_a_needed_file_shares_stay(project: Path) -> None:
    first = noise(3_000_000, 1)
    shell.write(project, {"model.bin": first})
    run_mlvc("commit", cwd=project)
    shell.write(project, {"model.bin": first[:1_500_000] + noise(200_000, 2)})
    run_mlvc("commit", cwd=project)
    expected = (project / "model.bin").read_bytes()
    shell.commit(project)
    at_once(project)
    assert collected(project)["objects"] > 0
    (project / "model.bin").unlink()
    run_mlvc("checkout", cwd=project)
    assert (project / "model.bin").read_bytes() == expected
    # Not all chunks of the former version are here.
    git("checkout", "HEAD~1", "--", "model.bin.mlvc", cwd=project)
    run_mlvc("checkout", cwd=project)
    assert (project / "model.bin").read_bytes() == shell.LARGE


def test_a_damaged_pack_is_left_where_it_is(project: Path) -> None:
    before = packs(project)
    change(project, "data/one.txt", b"garbage\n")
    (path,) = packs(project).keys() - before.keys()
    git("checkout", "data.mlvc", cwd=project)
    flip(project / path, 40)
    at_once(project)
    result = run_mlvc("gc", cwd=project)
    assert f"pack {Path(path).stem} is damaged" in result.err
    assert (project / path).exists()
    assert trashed(project) == []


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_what_a_link_in_a_working_tree_shows_stays(project: Path, link: str) -> None:
    run_mlvc("config", "core.link", link, cwd=project)
    data = noise(1_500_000, 7)
    change(project, "linked.bin", data)
    run_mlvc("checkout", "--relink", cwd=project)
    assert os.path.islink(project / "linked.bin") == (link == "symlink")
    (project / "linked.bin.mlvc").unlink()  # nothing names it any more, and nothing else has the bytes
    at_once(project)
    assert collected(project)["loose"] == (link == "hardlink")
    assert (project / "linked.bin").read_bytes() == data
    run_mlvc("gc", cwd=project)
    (project / "linked.bin").unlink()
    assert collected(project)["loose"] == (link == "symlink")
    assert [name.split("/")[0] for name in trashed(project)] == ["loose"]


def test_invariant_5_what_was_set_aside_or_quarantined_is_left_where_it_is(project: Path) -> None:
    """Nobody else has it: it goes only when a person asks for that."""
    kept = {".git/mlvc/aside/20200101-000000/a/b": b"kept aside", ".git/mlvc/quarantine/ab.pack": b"damaged"}
    shell.write(project, kept)
    at_once(project, trash=0)
    for args in ((), ("--dry-run",), ("--runs",), ("--force",)):
        found = collected(project, *args)
        assert (found["aside"], found["left"], found["left_size"]) == (0, 2, 17)
        time.sleep(1.1)  # what goes to the trash now is deleted by the next one
    told = run_mlvc("gc", cwd=project).err
    assert told == "left 2 set aside or quarantined (17 B): `mlvc gc --aside` takes them\n"
    assert {name: (project / name).read_bytes() for name in kept} == kept
    refused(run_mlvc("gc", "--restore", "--aside", cwd=project, check=False), 2, "--restore")


def test_what_was_set_aside_goes_when_that_is_asked_for(project: Path) -> None:
    for place in ("aside/20200101-000000/a/b", "quarantine/ab.pack"):
        shell.write(project, {f".git/mlvc/{place}": b"kept aside"})
    for link, goal in (("a", "a"), ("nothing", "nowhere")):
        (project / f".git/mlvc/aside/20200101-000000/{link}-link").symlink_to(goal)
    assert collected(project, "--aside")["aside"] == 0
    at_once(project)
    assert collected(project, "--aside", "--dry-run")["aside"] == 2
    assert trashed(project) == []
    assert "2 set aside or quarantined" in run_mlvc("gc", "--aside", cwd=project).err
    assert trashed(project) == ["aside/20200101-000000/a/b", "quarantine/ab.pack"]
    assert not list((project / ".git/mlvc/aside").iterdir())
    assert collected(project, "--aside")["aside"] == 0
    run_mlvc("gc", "--restore", cwd=project)
    for path in ("a/b", "a-link/b"):
        assert (project / ".git/mlvc/aside/20200101-000000" / path).read_bytes() == b"kept aside"
    assert os.readlink(project / ".git/mlvc/aside/20200101-000000/nothing-link") == "nowhere"
    assert not list((project / ".git/mlvc/trash").iterdir())


def test_what_is_needed_again_comes_back_from_the_trash(project: Path) -> None:
    at_once(project, trash=0)
    for data in (b"first\n", b"second\n"):
        change(project, "data/one.txt", data)
    first = (project / "data.mlvc").read_bytes()
    git("checkout", "data.mlvc", cwd=project)
    assert collected(project)["packs"] == 2
    time.sleep(1.1)  # now its time has come
    (project / "data.mlvc").write_bytes(first)
    assert run_mlvc("status", cwd=project).out
    refused(run_mlvc("gc", "--dry-run", cwd=project, check=False), 4, "data.mlvc is in the trash", "puts it back")
    found = collected(project)
    assert found["put_back"] == 1
    assert found["deleted"] > 0
    run_mlvc("checkout", "--force", cwd=project)
    assert (project / "data/one.txt").read_bytes() == b"second\n"


# -- a Store that is shared --------------------------------------------------------------------


def test_what_another_repository_in_the_same_store_needs_stays(project: Path) -> None:
    store = project.parent / "store"
    roots = [project.parent / name for name in ("one", "two")]
    for root in roots:
        git("init", "--quiet", "-b", "main", root)
        run_mlvc("init", cwd=root)
        run_mlvc("config", "--private", "store.dir", store, cwd=root)
        change(root, "data/x", f"{root.name}\n".encode())
    at_once(roots[0])
    assert collected(roots[0])["objects"] == 0
    shutil.rmtree(roots[1] / "data")
    run_mlvc("checkout", cwd=roots[1])
    shutil.move(roots[1], project.parent / "moved")
    refused(run_mlvc("gc", cwd=roots[0], check=False), 2, "two/.git shares the store", "shared-by")
    lines = (store / "shared-by").read_text().splitlines()
    (store / "shared-by").write_text("".join(f"{line}\n" for line in lines if "two" not in line))
    assert collected(roots[0])["objects"] == 3


def test_a_store_that_lies_in_another_repository(project: Path) -> None:
    other = project.parent / "other"
    git("init", "--quiet", "-b", "main", other)
    run_mlvc("init", cwd=other)
    run_mlvc("config", "--private", "store.dir", project / ".git/mlvc", cwd=other)
    change(other, "data/x", b"other\n")
    for root in (project, other):
        at_once(root)
        assert collected(root)["objects"] == 0


# -- beside other processes, and killed --------------------------------------------------------


def test_it_does_not_begin_while_another_one_writes(project: Path) -> None:
    at_once(project)
    with open_local(project / ".git/mlvc", "xxh128") as store:
        store.join()
        started = time.monotonic()
        refused(run_mlvc("gc", cwd=project, check=False), 8, "another mlvc command is writing")
        assert time.monotonic() - started > 4
        run_mlvc("add", "data", cwd=project)  # nobody else is kept from his work
        run_mlvc("gc", "--dry-run", cwd=project)
    run_mlvc("gc", cwd=project)


def test_what_another_one_finds_here_is_not_taken_away(project: Path) -> None:
    """``add`` waits for a gc that is at work, and stores again what that has taken away."""
    before = packs(project)
    change(project, "data/one.txt", b"dead and found again\n")
    (dead,) = packs(project).keys() - before.keys()
    git("checkout", "data.mlvc", cwd=project)
    command = [sys.executable, "-P", "-m", "mlvc", "add", "data"]
    with open_local(project / ".git/mlvc", "xxh128") as store, store.alone():
        adding = subprocess.Popen(command, cwd=project, env=os.environ | {"PYTHONPATH": SOURCES}, stderr=-1)
        time.sleep(1)
        assert adding.poll() is None
        store.packed.catalog.drop([Path(dead).stem])
        (project / dead).unlink()
    assert adding.communicate(timeout=60)[0] is None
    assert adding.returncode == 0
    (project / "data/one.txt").unlink()
    run_mlvc("checkout", cwd=project)
    assert (project / "data/one.txt").read_bytes() == b"dead and found again\n"


@pytest.mark.slow
def test_many_at_once(pushed: Path) -> None:
    """gc over and over, while others add what is dead, restore old versions, and read."""
    at_once(pushed, trash=0)
    stop = threading.Event()
    codes: list[int] = []

    def collect() -> None:
        while not stop.is_set():
            result = run_mlvc("gc", cwd=pushed, check=False)
            assert "Traceback" not in result.err
            codes.append(result.code)

    clone = shell.clone(pushed)
    run_mlvc("config", "--private", "store.dir", pushed / ".git/mlvc", cwd=clone)
    run_mlvc("checkout", cwd=clone)
    thread = threading.Thread(target=collect)
    thread.start()
    try:
        for turn in range(12):
            change(pushed, "data/one.txt", b"%d\n" % (turn % 3))
            shell.write(clone, {"data/one.txt": b"%d\n" % (turn % 2)})
            run_mlvc("commit", cwd=clone)
            assert run_mlvc("checkout", "--rev", "HEAD", "--force", cwd=pushed).code == 0
            run_mlvc("checkout", "--force", cwd=pushed)
            assert (pushed / "data/one.txt").read_bytes() == b"%d\n" % (turn % 3)
            (clone / "data/one.txt").unlink()
            run_mlvc("checkout", cwd=clone)
            assert (clone / "data/one.txt").read_bytes() == b"%d\n" % (turn % 2)
    finally:
        stop.set()
        thread.join()
    assert 0 in codes
    assert set(codes) <= {0, 8}


@pytest.mark.fault
@both
def test_invariant_6_kill_9_at_every_call(project: Path, tmp_path: Path, algorithm: str) -> None:
    """Every version that is needed can be read after it, and the next gc finishes the work."""
    run_mlvc("config", "core.link", "hardlink", cwd=project)
    shell.write(project, {f"data/big{number}": noise(20_000, number) for number in range(6)})
    run_mlvc("commit", cwd=project)
    for number in range(5):
        (project / f"data/big{number}").unlink()
    change(project, "large", noise(1_200_000, 9))  # loose
    (project / "large.mlvc").unlink()
    (project / "large").unlink()
    run_mlvc("config", "core.link", "copy", cwd=project)
    change(project, "data/one.txt", b"garbage\n")
    change(project, "data/one.txt", b"second\n")
    shell.commit(project)
    shell.write(project, {".git/mlvc/trash/20200101T000000Z/packs/old.pack": b"old", ".git/mlvc/aside/1/x": b"x"})
    at_once(project)
    end = shell.copied(project.parent, tmp_path / "end") / "project"
    log = tmp_path / "calls"
    found = json.loads(run_mlvc("gc", "--json", cwd=end, env=process_faults(root=end, count_to=log)).out)
    assert found["packs"]
    assert found["rewritten"]
    assert found["loose"]
    assert found["deleted"]
    after = packs(end)
    calls = counted(log)
    assert len(calls) > 10
    for n in range(1 + list(LENGTHS).index(algorithm), len(calls) + 1, len(LENGTHS)):  # they take turns
        root = shell.copied(project.parent, tmp_path / f"{n}") / "project"
        done = run_mlvc("gc", cwd=root, check=False, env=process_faults(kill_at=n, root=root))
        assert done.code in (-signal.SIGKILL, 0), calls[n - 1]
        if n % 4 < 2:  # as the killed one left it
            shutil.rmtree(root / "data")
            run_mlvc("checkout", cwd=root)
            assert data_of(root) == data_of(project), calls[n - 1]
        run_mlvc("gc", cwd=root)
        shutil.rmtree(root / "data")
        (root / "model.bin").unlink()
        run_mlvc("checkout", cwd=root)
        assert data_of(root) == data_of(project), calls[n - 1]
        assert packs(root) == after, calls[n - 1]
        shutil.rmtree(tmp_path / f"{n}")


def test_the_disk_is_full(project: Path) -> None:
    shell.write(project, {f"data/big{number}": noise(20_000, number) for number in range(6)})
    run_mlvc("commit", cwd=project)
    for number in range(5):
        (project / f"data/big{number}").unlink()
    run_mlvc("commit", cwd=project)
    at_once(project)
    before = packs(project)
    for n in range(1, 30):
        result = run_mlvc("gc", cwd=project, check=False, env=process_faults(fail_at=n, lasting=True, root=project))
        if result.code == 0:
            break
        refused(result, 8, "disk is full")
        assert before.items() <= packs(project).items() or n > 5
    assert n > 5
    shutil.rmtree(project / "data")
    run_mlvc("checkout", cwd=project)
    assert (project / "data/big5").read_bytes() == noise(20_000, 5)
