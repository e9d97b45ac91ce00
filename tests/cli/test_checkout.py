"""``checkout``: every option, and that nothing is overwritten that is stored nowhere."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from mlvc.errors import UsageError
from mlvc.workspace.scan import sweep
from tests import helpers
from tests.helpers import git, run_mlvc, shell
from tests.helpers.shell import image, refused, tree


def second(root: Path) -> None:
    """Another commit: ``data/one.txt`` longer, ``data/two.txt`` gone, ``model.bin`` other bytes of the same size."""
    shell.write(root, {"data/one.txt": b"much longer\n", "model.bin": shell.LARGE[::-1]})
    (root / "data/two.txt").unlink()
    run_mlvc("commit", cwd=root)
    shell.commit(root, "second")


def test_from_commit_to_commit(project: Path) -> None:
    first = tree(project)
    second(project)
    newer = tree(project)
    git("checkout", "--quiet", "HEAD~1", cwd=project)
    said = json.loads(run_mlvc("checkout", "--json", cwd=project).out)
    assert {change["path"] for change in said["changes"]} == {"data/one.txt", "data/two.txt", "model.bin"}
    assert (said["lost"], said["kept"]) == ([], [])
    assert tree(project) == first
    git("checkout", "--quiet", "main", cwd=project)
    result = run_mlvc("checkout", cwd=project)
    assert "modified  data/one.txt  (4 B -> 12 B)" in result.out
    assert tree(project) == newer
    assert run_mlvc("checkout", cwd=project).err == "nothing to change\n"
    assert run_mlvc("status", cwd=project).out.startswith("clean")


def test_one_path_and_a_subdirectory(project: Path) -> None:
    second(project)
    newer = tree(project)
    git("checkout", "--quiet", "HEAD~1", cwd=project)
    run_mlvc("checkout", "../model.bin", cwd=project / "data")
    assert tree(project)["model.bin"] != newer["model.bin"]
    assert tree(project)["data/one.txt"] == newer["data/one.txt"]
    run_mlvc("checkout", "data.mlvc", cwd=project)
    assert tree(project)["data/one.txt"] != newer["data/one.txt"]


def test_rev_brings_the_data_and_leaves_the_pointers(project: Path) -> None:
    first = tree(project)
    second(project)
    newer = tree(project)
    run_mlvc("checkout", "--rev", "HEAD~1", cwd=project)
    pointers = {"data.mlvc", "model.bin.mlvc"}
    assert tree(project) == {**first, **{path: newer[path] for path in pointers}}
    assert git("status", "--porcelain", cwd=project) == ""
    assert "modified" in run_mlvc("status", cwd=project).out
    run_mlvc("checkout", cwd=project)
    assert tree(project) == newer


def test_dry_run_changes_nothing_and_tells_what_checkout_does(project: Path) -> None:
    second(project)
    git("checkout", "--quiet", "HEAD~1", cwd=project)
    before = image(project, git_index=True)
    shown = json.loads(run_mlvc("checkout", "--dry-run", "--json", cwd=project).out)
    assert "would be modified  data/one.txt" in run_mlvc("checkout", "--dry-run", cwd=project).out
    assert image(project, git_index=True) == before
    assert json.loads(run_mlvc("checkout", "--json", cwd=project).out) == shown


@pytest.mark.parametrize("path", ["data/one.txt", "model.bin"])
def test_what_is_stored_nowhere_is_not_overwritten(project: Path, path: str) -> None:
    shell.write(project, {path: b"the only copy"})
    before = image(project, git_index=True)
    for args in (["checkout"], ["checkout", "--dry-run"], ["checkout", "--rev", "HEAD"]):
        refused(run_mlvc(*args, cwd=project, check=False), 5, path, f"mlvc add {path}", "--force")
    assert image(project, git_index=True) == before
    run_mlvc("checkout", "--force", cwd=project)
    assert (project / path).read_bytes() == shell.FILES[path]


def test_a_new_file_in_a_directory_is_not_removed(project: Path) -> None:
    shell.write(project, {"data/mine.txt": b"the only copy"})
    shell.write(project, {"data/one.txt": b"newer"})
    run_mlvc("add", "data/one.txt", cwd=project)
    git("checkout", "--quiet", "--", "data.mlvc", cwd=project)
    assert "kept data/mine.txt" in run_mlvc("checkout", cwd=project).err
    assert (project / "data/mine.txt").read_bytes() == b"the only copy"
    assert (project / "data/one.txt").read_bytes() == shell.FILES["data/one.txt"]
    assert "1 added" in run_mlvc("status", cwd=project).out  # the rest is as the Pointer says, and known to be
    # Once it is stored, it may go.
    run_mlvc("add", "data", cwd=project)
    git("checkout", "--quiet", "--", "data.mlvc", cwd=project)
    run_mlvc("checkout", cwd=project)
    assert not (project / "data/mine.txt").exists()


def test_the_refusal_names_all_that_force_removes(project: Path) -> None:
    """What is in nobody's way stays without --force, and goes with it."""
    before = set((project / ".git/mlvc/packs").iterdir())
    shell.write(project, {"gone": b"of a path that goes"})
    run_mlvc("add", "gone", cwd=project)
    (lost,) = set((project / ".git/mlvc/packs").iterdir()) - before
    shell.write(project, {"other/old": b"old"})
    run_mlvc("add", "other", cwd=project)
    shell.commit(project)
    git("rm", "--quiet", "gone.mlvc", cwd=project)
    shell.commit(project)
    lost.unlink()
    new = {"other/new": b"only here", "data/new": b"only here, too"}
    shell.write(project, {"data/one.txt": b"changed", **new})
    result = run_mlvc("checkout", cwd=project, check=False)
    refused(result, 5, "data/one.txt has changes that are stored nowhere")
    hint, _, named = result.err.splitlines()[-1].partition(", which also removes what is stored nowhere else: ")
    assert hint == "hint: keep them with `mlvc add data/one.txt`, or lose them with --force"
    assert set(named.split(", ")) == {*new, "gone"}
    refused(run_mlvc("checkout", "other", "data", cwd=project, check=False), 5, "else: data/new, other/new")
    run_mlvc("checkout", "--force", cwd=project)
    assert not any((project / path).exists() for path in (*new, "gone"))


def test_the_refusal_names_no_more_than_force_removes(project: Path) -> None:
    shell.write(project, {"data/one.txt": b"changed"})
    result = run_mlvc("checkout", cwd=project, check=False)
    assert result.err.endswith("hint: keep them with `mlvc add data/one.txt`, or lose them with --force\n")


def test_the_hint_can_be_typed_where_it_is_read(project: Path) -> None:
    inside = project / "data/sub"
    shell.write(project, {"data/sub/two words": b"1"})
    run_mlvc("add", "data", cwd=project)
    shell.write(project, {"data/sub/two words": b"changed", "data/sub/a new one": b"another"})
    result = run_mlvc("checkout", cwd=inside, check=False)
    refused(result, 5, "data/sub/two words has changes", "keep them with `mlvc add 'two words'`,")
    run_mlvc("add", "two words", cwd=inside)
    refused(run_mlvc("remove", "a new one", cwd=inside, check=False), 2, "`mlvc add 'a new one'` takes it in")


def test_the_hint_does_not_add_what_a_stage_makes(project: Path) -> None:
    run_mlvc("stage", "add", "-n", "s", "-d", "model.bin", "-o", "out", "cp model.bin out", cwd=project)
    run_mlvc("repro", cwd=project)
    shell.write(project, {"out": b"changed", "data/one.txt": b"changed"})
    result = run_mlvc("checkout", cwd=project, check=False)
    refused(result, 5, "hint: a stage makes out: copy elsewhere what is to be kept, or lose them with --force")
    assert "mlvc add" in run_mlvc("checkout", "data", cwd=project, check=False).err


def test_the_hint_keeps_all_of_them_however_many(project: Path) -> None:
    for name in "abcd":
        shell.write(project, {f"more-{name}": b"1"})
    run_mlvc("add", *(f"more-{name}" for name in "abcd"), cwd=project)
    shell.write(project, {f"data/{name}.txt": b"changed" for name in ("one", "two", "sub/three", "sub/four file")})
    refused(run_mlvc("checkout", cwd=project, check=False), 5, "and 1 more have", "keep them with `mlvc add data`,")
    shell.write(project, {f"more-{name}": b"changed" for name in "abcd"})
    refused(run_mlvc("checkout", cwd=project, check=False), 5, "and 5 more have", "keep them with `mlvc commit`,")
    run_mlvc("commit", cwd=project)
    run_mlvc("checkout", cwd=project)


def test_a_path_that_vanishes_between_commits_goes_with_its_data(project: Path) -> None:
    shell.write(project, {"extra/x": b"x", "extra/deep/y": b"y"})
    run_mlvc("add", "extra", cwd=project)
    shell.commit(project)
    with_extra = tree(project)
    git("checkout", "--quiet", "HEAD~1", cwd=project)
    run_mlvc("checkout", cwd=project)
    assert not (project / "extra").exists()
    git("checkout", "--quiet", "main", cwd=project)
    run_mlvc("checkout", cwd=project)
    assert tree(project) == with_extra
    # What is stored nowhere stays, and checkout says so.
    shell.write(project, {"extra/mine": b"the only copy"})
    git("checkout", "--quiet", "HEAD~1", cwd=project)
    result = run_mlvc("checkout", cwd=project)
    assert "kept extra" in result.err
    assert (project / "extra/mine").read_bytes() == b"the only copy"


def test_files_go_from_a_directory_when_another_path_goes_too(project: Path) -> None:
    run_mlvc("config", "core.autostage", "true", cwd=project)
    before = tree(project)
    shell.write(project, {"data/new.txt": b"new\n", "extra": b"x"})
    run_mlvc("add", "data", "extra", cwd=project)
    shell.commit(project)
    git("checkout", "--quiet", "HEAD~1", cwd=project)
    run_mlvc("checkout", cwd=project)
    assert tree(project).keys() == before.keys()
    assert run_mlvc("status", "--exit-code", cwd=project, check=False).code == 0
    git("checkout", "--quiet", "main", cwd=project)
    run_mlvc("checkout", cwd=project)
    run_mlvc("checkout", "--rev", "HEAD~1", cwd=project)
    assert not (project / "data/new.txt").exists()
    assert not (project / "extra").exists()


@pytest.mark.parametrize("seed", range(3))
def test_from_any_commit_to_any_other(tmp_path: Path, seed: int) -> None:
    """Paths come, go, change, turn from file to directory and into each other: each commit has its exact data back."""
    dice = random.Random(seed)
    root = helpers.make_git_repo(tmp_path / "any")
    run_mlvc("init", cwd=root)
    run_mlvc("config", "core.autostage", "true", cwd=root)
    shell.commit(root)
    states = {}
    for number in range(7):
        for top in dice.sample(["a", "b", "deep/c", "deep/d", "e.txt"], 3):
            for path in (root / top, root / f"{top}.mlvc"):
                if dice.random() < 0.4 or path.name.endswith(".mlvc"):
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            if dice.random() < 0.75:
                _scribble(dice, root / top)
            if (root / top).exists():
                run_mlvc("add", top, cwd=root)
        shell.commit(root)
        git("tag", f"v{number}", cwd=root)
        states[f"v{number}"] = tree(root)
    tags = list(states)
    for _ in range(8):
        tag = dice.choice(tags)
        git("checkout", "--quiet", tag, cwd=root)
        run_mlvc("checkout", cwd=root)
        assert tree(root) == states[tag], tag
        assert run_mlvc("status", "--exit-code", cwd=root, check=False).code == 0


def _scribble(dice: random.Random, top: Path) -> None:
    """Make, change and delete a few files at or below ``top``, which may be a file or a directory before and after."""
    if dice.random() < 0.3:
        if top.is_dir():
            shutil.rmtree(top)
        top.parent.mkdir(exist_ok=True)
        top.write_bytes(dice.randbytes(dice.randrange(1, 60)))
        return
    if top.is_file():
        top.unlink()
    for name in dice.sample(["1", "2", "sub/3", "sub/4", "sub/more/5"], 3):
        path = top / name
        if path.exists() and dice.random() < 0.5 and len(list(top.rglob("*"))) > 4:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(dice.choice([b"same", dice.randbytes(30)]))


def test_a_file_where_a_directory_was(project: Path) -> None:
    before = tree(project)
    (project / "data").rename(project.parent / "kept")
    shell.write(project, {"data": b"a file"})
    run_mlvc("add", "data", cwd=project)
    shell.commit(project)
    for revision, expected in (("HEAD~1", before), ("main", None), ("HEAD~1", before)):
        git("checkout", "--quiet", revision, cwd=project)
        run_mlvc("checkout", cwd=project)
        if expected is None:
            assert (project / "data").read_bytes() == b"a file"
        else:
            assert tree(project) == expected


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_relink(project: Path, link: str) -> None:
    run_mlvc("config", "core.link", link, cwd=project)
    before = (project / "model.bin").read_bytes()
    run_mlvc("checkout", "--relink", cwd=project)
    path = project / "model.bin"
    info = os.lstat(path)
    assert (path.is_symlink(), info.st_nlink > 1) == (link == "symlink", link == "hardlink")
    assert path.read_bytes() == before
    assert run_mlvc("status", cwd=project).out.startswith("clean")
    run_mlvc("config", "core.link", "copy", cwd=project)
    run_mlvc("checkout", "--relink", cwd=project)
    assert not path.is_symlink()
    assert os.lstat(path).st_nlink == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_permission_bits_that_were_given_to_the_store_through_a_link_go(project: Path, link: str) -> None:
    run_mlvc("config", "core.link", link, cwd=project)
    run_mlvc("add", "model.bin", cwd=project)
    run_mlvc("checkout", "--relink", cwd=project)
    (project / "model.bin").chmod(0o755)
    run_mlvc("checkout", "--force", "--relink", cwd=project)
    assert not os.access(project / "model.bin", os.X_OK)
    assert run_mlvc("status", "--exit-code", cwd=project, check=False).code == 0


def test_an_empty_revision_is_refused(project: Path) -> None:
    refused(run_mlvc("checkout", "--rev", "", cwd=project, check=False), UsageError.exit_code, "--rev")


def test_relink_does_not_take_what_is_stored_nowhere(project: Path) -> None:
    shell.write(project, {"model.bin": b"the only copy"})
    refused(run_mlvc("checkout", "--relink", cwd=project, check=False), 5, "model.bin")
    assert (project / "model.bin").read_bytes() == b"the only copy"


def test_after_a_clone_the_store_is_made(pushed: Path) -> None:
    clone = shell.clone(pushed)
    result = run_mlvc("checkout", cwd=clone, check=False)
    assert result.code == 4
    shell.ends(result, "mlvc pull")
    run_mlvc("fetch", cwd=clone)
    run_mlvc("checkout", cwd=clone)
    assert tree(clone) == tree(pushed)


def test_a_damaged_index_only_makes_it_slower(project: Path) -> None:
    before = tree(project)
    (project / ".git/mlvc/index.sqlite").unlink()
    assert run_mlvc("status", cwd=project).out.startswith("clean")
    (project / ".git/mlvc/catalog.sqlite").unlink()
    (project / "model.bin").unlink()
    run_mlvc("checkout", cwd=project)
    assert tree(project) == before
    for name in ("index.sqlite", "catalog.sqlite"):
        (project / ".git/mlvc" / name).write_bytes(b"this is no database" * 100)
    assert run_mlvc("status", cwd=project).out.startswith("clean")
    (project / "model.bin").unlink()
    run_mlvc("checkout", cwd=project)
    assert tree(project) == before


TOP = {"data/one.txt", "data/two.txt"}

# -- only what was asked for -------------------------------------------------------------------


def test_a_path_inside_a_tracked_directory_is_all_that_is_touched(project: Path) -> None:
    shell.write(project, {"data/one.txt": b"1", "data/two.txt": b"2", "data/sub/new": b"new"})
    assert "data/two.txt" not in run_mlvc("status", "data/one.txt", cwd=project).out
    assert "data/two.txt" not in run_mlvc("diff", "-t", "data/one.txt", cwd=project).out
    run_mlvc("checkout", "--force", "data/one.txt", cwd=project)
    assert (project / "data/one.txt").read_bytes() == shell.FILES["data/one.txt"]
    assert (project / "data/two.txt").read_bytes() == b"2"
    assert (project / "data/sub/new").read_bytes() == b"new"
    status = run_mlvc("status", cwd=project).out
    assert "data/two.txt" in status
    assert "data/one.txt" not in status
    run_mlvc("commit", "data/sub", cwd=project)
    shown = run_mlvc("diff", "HEAD", cwd=project).out
    assert "data/sub/new" in shown
    git("checkout", "--quiet", "--", "data.mlvc", cwd=project)
    run_mlvc("checkout", "--force", "data/sub", cwd=project)
    assert not (project / "data/sub/new").exists()
    refused(run_mlvc("checkout", "data/nope", cwd=project, check=False), 2, "data/nope is not tracked")


def test_a_part_that_was_deleted_can_be_accepted(project: Path) -> None:
    (project / "data/two.txt").unlink()
    shell.write(project, {"data/one.txt": b"changed"})
    run_mlvc("commit", "data/two.txt", cwd=project)
    shown = run_mlvc("status", cwd=project).out
    assert "modified  data/one.txt" in shown
    assert "two.txt" not in shown


def test_a_part_of_a_clone(pushed: Path) -> None:
    clone = pushed.parent / "clone"
    git("clone", "--quiet", str(pushed), str(clone), cwd=pushed)
    run_mlvc("pull", "data/sub", cwd=clone)
    assert {path for path in tree(clone) if path.startswith("data/sub/")} == set(shell.FILES) - {"model.bin"} - TOP
    assert not (clone / "data/one.txt").exists()
    assert not (clone / "model.bin").exists()
    run_mlvc("pull", cwd=clone)
    assert run_mlvc("status", "--exit-code", cwd=clone).code == 0


# -- what is not tracked any more --------------------------------------------------------------


def test_what_no_commit_has_is_not_removed(project: Path) -> None:
    shell.write(project, {"mine.bin": b"mine"})
    run_mlvc("add", "mine.bin", cwd=project)
    (project / "mine.bin.mlvc").unlink()
    assert "kept mine.bin" in run_mlvc("checkout", cwd=project).err
    assert (project / "mine.bin").read_bytes() == b"mine"


def test_a_pointer_deleted_by_hand_leaves_the_data(project: Path) -> None:
    (project / "model.bin.mlvc").unlink()
    assert "kept model.bin" in run_mlvc("checkout", cwd=project).err
    assert (project / "model.bin").exists()


@pytest.mark.parametrize("inner_first", [True, False])
def test_from_an_inner_path_to_the_directory_around_it(project: Path, inner_first: bool) -> None:
    shell.write(project, {"d/a": b"a"})
    first, second = ("d/a", "d") if inner_first else ("d", "d/a")
    run_mlvc("add", first, cwd=project)
    shell.commit(project)
    git("rm", "--quiet", f"{first}.mlvc", cwd=project)
    if inner_first:
        git("rm", "--quiet", "d/.gitignore", cwd=project)
    else:
        lines = (project / ".gitignore").read_text().splitlines()
        (project / ".gitignore").write_text("".join(f"{line}\n" for line in lines if line != "/d"))
    run_mlvc("add", second, cwd=project)
    shell.commit(project)
    for revision in ("main", "HEAD~1", "main"):
        git("checkout", "--quiet", revision, cwd=project)
        run_mlvc("checkout", cwd=project)
        assert run_mlvc("status", "--exit-code", cwd=project).code == 0
        assert (project / "d/a").read_bytes() == b"a"


def test_what_git_itself_has_by_now_is_left_alone(project: Path) -> None:
    shell.write(project, {"a.csv": b"1\n"})
    shell.commit(project)
    git("checkout", "--quiet", "-b", "moved", cwd=project)
    git("rm", "--quiet", "--cached", "a.csv", cwd=project)
    run_mlvc("add", "a.csv", cwd=project)
    shell.commit(project)
    git("checkout", "--quiet", "main", cwd=project)
    run_mlvc("checkout", cwd=project)
    assert git("status", "--porcelain", cwd=project) == ""


def test_a_renamed_pointer_is_hidden_from_git(project: Path) -> None:
    git("mv", "data.mlvc", "images.mlvc", cwd=project)
    result = run_mlvc("checkout", cwd=project)
    assert "git add .gitignore" in result.err
    assert "?? images" not in git("status", "--porcelain", cwd=project)


@pytest.mark.parametrize("where", ["../outside", ".git/hooks"])
def test_nothing_is_written_through_a_link(project: Path, where: str) -> None:
    outside = project / where
    outside.mkdir(exist_ok=True)
    before = image(project.parent)
    (project / "sub").symlink_to(where)
    oid = re.search(r"oid: (.*)", (project / "model.bin.mlvc").read_text())[1]
    out = {"kind": "executable", "oid": oid, "size": len(shell.FILES["model.bin"])}
    lock = {"mlvc_lock": 1, "stages": {"s": {"outs": {"sub/post-checkout": out}}}}
    (project / "mlvc.lock").write_text(json.dumps(lock))
    refused(run_mlvc("checkout", cwd=project, check=False), 2, "sub/post-checkout lies behind a symbolic link")
    (project / "mlvc.lock").unlink()
    (project / "sub").unlink()
    assert image(project.parent) == before


def test_a_link_in_the_place_of_a_directory_is_not_followed(project: Path) -> None:
    outside = project.parent / "outside"
    outside.mkdir()
    shutil.rmtree(project / "data/sub")
    (project / "data/sub").symlink_to(outside)
    refused(run_mlvc("checkout", cwd=project, check=False), 5, "data/sub")
    run_mlvc("checkout", "--force", cwd=project)
    assert list(outside.iterdir()) == []
    assert (project / "data/sub/three.txt").read_bytes() == shell.FILES["data/sub/three.txt"]


# -- trust -------------------------------------------------------------------------------------


def test_a_good_copy_is_not_replaced_when_the_store_has_a_bad_one(project: Path) -> None:
    shell.write(project, {"f": b"precious, and stored once"})
    run_mlvc("add", "f", cwd=project)
    shell.commit(project)
    shell.write(project, {"f": b"newer"})
    run_mlvc("add", "f", cwd=project)
    shell.commit(project)
    git("checkout", "--quiet", "HEAD~1", cwd=project)
    run_mlvc("checkout", cwd=project)
    for pack in (project / ".git/mlvc/packs").iterdir():
        data = pack.read_bytes()
        if b"precious" in data:
            pack.write_bytes(data.replace(b"precious", b"preciouS"))
    git("checkout", "--quiet", "main", cwd=project)
    refused(run_mlvc("checkout", cwd=project, check=False), 5, "f has changes that are stored nowhere")
    run_mlvc("add", "f", cwd=project)  # as the hint says: the good copy mends the Store
    git("checkout", "--quiet", "--", "f.mlvc", cwd=project)
    run_mlvc("checkout", cwd=project)
    git("checkout", "--quiet", "HEAD~1", cwd=project)
    run_mlvc("checkout", cwd=project)
    assert (project / "f").read_bytes() == b"precious, and stored once"


def test_a_wrong_catalog_costs_no_object(project: Path) -> None:
    before = tree(project)
    with contextlib.closing(sqlite3.connect(project / ".git/mlvc/catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE objects SET start = start + 1")
    shutil.rmtree(project / "data")
    result = run_mlvc("checkout", cwd=project, check=False)
    run_mlvc("checkout", cwd=project)
    assert tree(project) == before, result
    assert not (project / ".git/mlvc/quarantine").exists()


@pytest.mark.parametrize("moved", [False, True])
def test_links_into_the_store(project: Path, moved: bool) -> None:
    run_mlvc("config", "core.link", "symlink,copy", cwd=project)
    run_mlvc("checkout", "--relink", cwd=project)
    assert (project / "model.bin").is_symlink()
    if moved:
        place = project.parent / "elsewhere/deeper"
        place.parent.mkdir()
        project = project.rename(place)
        assert run_mlvc("status", "--exit-code", "data", "model.bin", cwd=project).code == 0
        return
    os.remove(os.path.realpath(project / "model.bin"))
    shutil.rmtree(project / ".git/mlvc/packs")
    assert "model.bin" in run_mlvc("status", cwd=project).out
    refused(run_mlvc("add", "model.bin", cwd=project, check=False), 4, "model.bin is a link into the store")
    assert run_mlvc("checkout", cwd=project, check=False).code == 4


def test_temporary_files_of_a_killed_process_go(project: Path) -> None:
    names = {".mlvc-tmp-999999999-1", f".mlvc-tmp-{os.getpid()}-1"}
    for name in names:
        (project / name).mkdir()
    sweep(str(project))
    assert [path.name for path in project.glob(".mlvc-tmp-*")] == [f".mlvc-tmp-{os.getpid()}-1"]
