"""``mlvc gc`` knows every place from which a version can still be reached, and refuses where it cannot tell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlvc import manifest
from mlvc import pointer as pointers
from mlvc.store.pack import DATA, RECIPE, PackWriter, encode_recipe
from tests.helpers import SOURCES, Result, git, run, run_mlvc, shell
from tests.helpers.shell import refused
from tests.helpers.stores import flip, noise, open_local


def version(root: Path, text: str, path: str = "data/one.txt") -> bytes:
    """A version that nothing has yet: its Pointer, as it stands in the working tree now."""
    shell.write(root, {path: text.encode()})
    top = path.split("/", maxsplit=1)[0]
    run_mlvc("add", top, cwd=root)
    return (root / f"{top}.mlvc").read_bytes()


def back(root: Path) -> None:
    """Nothing but HEAD is in the index and the working tree; no reflog and no ORIG_HEAD tells of more."""
    git("reset", "--quiet", "--hard", cwd=root)
    forget(root)


def forget(root: Path) -> None:
    git("reflog", "expire", "--expire=now", "--all", cwd=root)
    for name in ("ORIG_HEAD", "MERGE_HEAD"):
        (root / ".git" / name).unlink(missing_ok=True)


def blob(root: Path) -> str:
    """The Pointer of ``data`` as an object of Git."""
    return git("hash-object", "-w", "data.mlvc", cwd=root)


def tree_of(root: Path) -> str:
    git("add", "--all", cwd=root)
    return git("write-tree", cwd=root)


def is_whole(store: Path, pointer: bytes, algorithm: str = "xxh128") -> bool:
    """Whether every object of a version is in the Store."""
    content = pointers.decode(pointer, "pointer").content
    with open_local(store, algorithm) as opened:
        lost: dict[bytes, str] = {}
        return not opened.missing(manifest.objects_of(opened, [content], lost)) and not lost


def at_once(root: Path) -> None:
    run_mlvc("config", "--private", "gc.grace", "0", cwd=root)


# -- what holds a version ----------------------------------------------------------------------


def ignored_pointer(root: Path) -> bytes:
    held = version(root, "a Pointer that Git ignores")
    (root / ".git/info/exclude").write_text("hidden/\n")
    back(root)
    shell.write(root, {"hidden/deep/x.mlvc": held, "hidden/other.mlvc": b"no Pointer at all"})
    return held


def blob_that_a_ref_names(root: Path) -> bytes:
    held = version(root, "a tag of a file")
    git("tag", "--annotate", "-m", "x", "file", blob(root), cwd=root)
    back(root)
    return held


def blob_in_the_place_of_another(root: Path) -> bytes:
    held = version(root, "git replace")
    git("replace", git("rev-parse", "HEAD:data.mlvc", cwd=root), blob(root), cwd=root)
    git("--no-replace-objects", "reset", "--quiet", "--hard", cwd=root)
    return held


def tag_of_a_tag_of_a_tree(root: Path) -> bytes:
    held = version(root, "a tag of a tag of a tree")
    git("tag", "--annotate", "-m", "x", "inner", tree_of(root), cwd=root)
    git("tag", "--annotate", "-m", "x", "outer", "inner", cwd=root)
    git("tag", "--delete", "inner", cwd=root)
    back(root)
    return held


def ref_outside_of_branches(root: Path) -> bytes:
    held = version(root, "refs/original")
    commit = git("commit-tree", "-m", "x", tree_of(root), cwd=root)
    git("update-ref", "refs/original/refs/heads/main", commit, cwd=root)
    back(root)
    return held


def new_pointer_in_a_stash(root: Path) -> bytes:
    held = version(root, "the third parent of a stash", "fresh/x")
    git("stash", "--quiet", "--include-untracked", cwd=root)
    return held


def index_of_a_stash(root: Path) -> bytes:
    held = version(root, "the second parent of a stash")
    git("add", "--all", cwd=root)
    version(root, "the stash itself")
    git("stash", "--quiet", cwd=root)
    return held


def two_lines(root: Path) -> None:
    """``side`` and ``main`` both changed ``file``, so that nothing combines them without a conflict."""
    for name in ("side", "main"):
        git("switch", "--quiet", *(["-c"] if name == "side" else []), name, cwd=root)
        (root / "file").write_text(name)
        shell.commit(root, name)


def autostash_of_a_rebase(root: Path) -> bytes:
    two_lines(root)
    held = version(root, "taken out of the way by a rebase")
    fails(root, "rebase", "--autostash", "side")
    return held


def autostash_of_a_merge(root: Path) -> bytes:
    two_lines(root)
    held = version(root, "taken out of the way by a merge")
    fails(root, "merge", "--autostash", "side")
    return held


def commit_to_be_picked(root: Path) -> bytes:
    two_lines(root)
    git("switch", "--quiet", "side", cwd=root)
    held = version(root, "the second of two to be picked")
    shell.commit(root, "second")
    git("switch", "--quiet", "main", cwd=root)
    fails(root, "cherry-pick", "side~1", "side")
    git("branch", "--quiet", "--delete", "--force", "side", cwd=root)
    forget(root)
    return held


def side_of_a_conflict(root: Path) -> bytes:
    git("switch", "--quiet", "-c", "side", cwd=root)
    held = version(root, "theirs")
    shell.commit(root)
    git("switch", "--quiet", "main", cwd=root)
    ours = version(root, "ours")
    shell.commit(root)
    fails(root, "merge", "side")
    git("branch", "--quiet", "--delete", "--force", "side", cwd=root)
    forget(root)
    (root / "data.mlvc").write_bytes(ours)
    return held


def fails(root: Path, *command: str) -> None:
    assert subprocess.run(["git", *command], cwd=root, capture_output=True, check=False).returncode


def parent_that_a_graft_hides(root: Path) -> bytes:
    held = version(root, "hidden by a graft")
    shell.commit(root)
    version(root, "HEAD")
    shell.commit(root)
    (root / ".git/info/grafts").write_text(git("rev-parse", "HEAD", cwd=root) + "\n")
    forget(root)
    return held


def ref_of_another_working_tree(root: Path) -> bytes:
    other = root.parent / "other"
    git("worktree", "add", "--quiet", "--detach", other, cwd=root)
    held = version(other, "refs/worktree")
    shell.commit(other)
    git("update-ref", "refs/worktree/kept", "HEAD", cwd=other)
    git("reset", "--quiet", "--hard", "main", cwd=other)
    forget(root)
    (root / ".git/worktrees/other/ORIG_HEAD").unlink()
    return held


HOLDERS = [
    ignored_pointer,
    blob_that_a_ref_names,
    blob_in_the_place_of_another,
    tag_of_a_tag_of_a_tree,
    ref_outside_of_branches,
    new_pointer_in_a_stash,
    index_of_a_stash,
    autostash_of_a_rebase,
    autostash_of_a_merge,
    commit_to_be_picked,
    side_of_a_conflict,
    parent_that_a_graft_hides,
    ref_of_another_working_tree,
]


@pytest.mark.parametrize("hold", HOLDERS, ids=lambda hold: hold.__name__)
def test_invariant_6_what_leads_to_a_version_keeps_it(project: Path, hold: Callable[[Path], bytes]) -> None:
    garbage = version(project, "garbage")
    git("checkout", "data.mlvc", cwd=project)
    held = hold(project)
    assert is_whole(project / ".git/mlvc", held)
    at_once(project)
    run_mlvc("gc", cwd=project)
    assert not is_whole(project / ".git/mlvc", garbage)
    assert is_whole(project / ".git/mlvc", held)


@pytest.mark.parametrize("name", ["LITERAL", "GLOB", "NOGLOB", "ICASE"])
def test_how_git_is_told_to_read_patterns_changes_nothing(project: Path, name: str) -> None:
    """Editors run Git with ``--literal-pathspecs``, and Git hands that on to hooks and aliases."""
    held = version(project, "not committed")
    at_once(project)
    told = {f"GIT_{name}_PATHSPECS": "1"}
    assert "nothing to do" in run_mlvc("gc", cwd=project, env=told).err
    assert is_whole(project / ".git/mlvc", held)
    shown = run_mlvc("status", cwd=project).out
    assert "modified  data" in shown
    assert run_mlvc("status", cwd=project, env=told).out == shown


def test_the_usual_working_tree_counts_also_beside_another_one(project: Path) -> None:
    held = version(project, "not committed")
    export = project.parent / "export"
    shutil.copytree(project / ".mlvc", export / ".mlvc")
    at_once(project)
    run_mlvc("gc", cwd=export, env={"GIT_DIR": str(project / ".git"), "GIT_WORK_TREE": str(export)})
    assert is_whole(project / ".git/mlvc", held)


def test_roots_with_different_hashes_do_not_stop_each_other(project: Path) -> None:
    inner = project / "inner"
    inner.mkdir()
    run_mlvc("init", "--subdir", "--hash", "blake3", cwd=inner)
    held = version(inner, "in the inner root")
    shell.commit(project)
    for root in (project, inner):
        garbage = version(root, "garbage")
        git("checkout", "--", "data.mlvc", cwd=root)
        at_once(root)
        assert "moved to the trash: 3 objects" in run_mlvc("gc", cwd=root).err
        store, algorithm = (
            (project / ".git/mlvc", "xxh128")
            if root == project
            else (
                project / ".git/mlvc/stores/blake3",
                "blake3",
            )
        )
        assert not is_whole(store, garbage, algorithm)
        run_mlvc("fsck", "--all-commits", cwd=root)
    assert is_whole(project / ".git/mlvc/stores/blake3", held, "blake3")


def test_a_working_tree_of_a_submodule_that_shares_the_store(project: Path) -> None:
    above = project.parent / "above"
    git("init", "--quiet", above)
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", project, "sub", cwd=above)
    sub, store = above / "sub", project.parent / "store"
    for root in (sub, project):
        run_mlvc("config", "--private", "store.dir", store, cwd=root)
    run_mlvc("add", "data", "model.bin", cwd=project)
    # It moves core.worktree into another file.
    git("sparse-checkout", "set", "--no-cone", "/*", cwd=sub)
    held = version(sub, "in the submodule, not committed")
    at_once(project)
    run_mlvc("gc", cwd=project)
    assert is_whole(store, held)


# -- what cannot be told -----------------------------------------------------------------------


def mount_point(root: Path, other: Path) -> None:
    shutil.move(other, root.parent / "away")
    other.mkdir()


def another_repository(root: Path, other: Path) -> None:
    mount_point(root, other)
    git("init", "--quiet", other)


def lost_link(root: Path, other: Path) -> None:
    (root / ".git/worktrees/other/gitdir").unlink()


@pytest.mark.parametrize("harm", [mount_point, another_repository, lost_link], ids=lambda harm: harm.__name__)
def test_a_working_tree_that_is_not_where_it_was(project: Path, harm: Callable[[Path, Path], None]) -> None:
    other = project.parent / "other"
    git("worktree", "add", "--quiet", "--detach", other, cwd=project)
    held = version(other, "not committed")
    at_once(project)
    harm(project, other)
    refused(run_mlvc("gc", cwd=project, check=False), 2, "cannot be told", "git worktree prune")
    assert is_whole(project / ".git/mlvc", held)


def test_a_main_working_tree_of_which_git_does_not_know(tmp_path: Path) -> None:
    root, directory, other = tmp_path / "main", tmp_path / "directory", tmp_path / "other"
    git("init", "--quiet", "--separate-git-dir", directory, root)
    run_mlvc("init", cwd=root)
    version(root, "committed")
    shell.commit(root)
    git("worktree", "add", "--quiet", "--detach", other, cwd=root)
    held = version(root, "not committed")
    at_once(root)
    refused(run_mlvc("gc", cwd=other, check=False), 2, "where the working tree of the Git directory", "core.worktree")
    run_mlvc("gc", cwd=root)
    git("config", "core.worktree", root, cwd=root)
    run_mlvc("gc", cwd=other)
    assert is_whole(directory / "mlvc", held)


@pytest.mark.parametrize("text", [b"", b"1" * 40 + b"\n"], ids=["empty", "of nothing"])
def test_a_branch_that_git_cannot_read(project: Path, text: bytes) -> None:
    git("switch", "--quiet", "-c", "side", cwd=project)
    held = version(project, "on side")
    shell.commit(project)
    git("switch", "--quiet", "main", cwd=project)
    forget(project)
    (project / ".git/refs/heads/side").write_bytes(text)
    at_once(project)
    refused(run_mlvc("gc", cwd=project, check=False), 8, "git log failed", "refs/heads/side", "git fsck")
    assert is_whole(project / ".git/mlvc", held)


def test_a_pointer_that_calls_a_file_a_directory(project: Path) -> None:
    pointer = (project / "model.bin.mlvc").read_text().replace("kind: file", "kind: dir") + "files: 3\n"
    (project / "wrong.mlvc").write_text(pointer)
    at_once(project)
    refused(run_mlvc("gc", cwd=project, check=False), 2, "nothing is deleted, wrong.mlvc", "no list of files")
    result = run_mlvc("fsck", cwd=project, check=False)
    assert result.code == 2
    assert "unreadable  wrong.mlvc" in result.err
    assert "checked" in result.err


def test_a_list_of_chunks_with_a_wrong_bit(project: Path) -> None:
    """It names a chunk that is nowhere. So the right one looks as if nothing needed it."""
    with open_local(project / ".git/mlvc", "xxh128") as store:
        packs = store.packs()
        rows = {row[0]: row[1] for name, size in packs.items() for row in store.pack_index(name, size).rows()}
        (large,) = (oid for oid, kind in rows.items() if kind == RECIPE)
        ((_, recipe),) = store.packed.recipes([large])
        data = {oid: bytes(found) for oid, found in store.packed.read([o for o in rows if o != large], {})}
        kept = [f"{project.parent}/{name}" for name in packs]
        chunks = {oid: data.pop(oid) for oid in dict(recipe)}
        for part in (chunks, {large: encode_recipe(recipe)}, data):
            with PackWriter(store.scratch, store.hashing) as writer:
                for oid, payload in part.items():
                    writer.add(oid, RECIPE if oid == large else DATA, payload)
                (pack,) = writer.finish()
                store.publish([pack])
            if large in part:
                listing = Path(store.pack_path(pack.name))
        for name, place in zip(packs, kept, strict=True):
            os.rename(store.pack_path(name), place)
        at = listing.read_bytes().index(recipe[0][0])
    flip(listing, at)
    at_once(project)
    before = shell.image(project)
    refused(run_mlvc("gc", cwd=project, check=False), 4, "nothing is deleted", "which chunks", "fsck --repair")
    assert shell.image(project) == before
    run_mlvc("add", "model.bin", cwd=project)
    run_mlvc("fsck", cwd=project, check=False)
    run_mlvc("gc", cwd=project)


def as_another(*args: str, cwd: Path) -> Result:
    """mlvc as the user who owns nothing."""
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    nowhere = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": os.devnull}
    command = [*other, sys.executable, "-P", "-m", "mlvc", *args]
    return run(command, cwd=cwd, check=False, env=nowhere | {"PYTHONPATH": SOURCES})


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="another user is needed")
@pytest.mark.parametrize("place", ["deep", ".git/refs/heads", ".git/logs", ".git/mlvc/runs/ab"])
def test_what_another_user_may_not_read(project: Path, place: str) -> None:
    if as_another("--version", cwd=Path("/")).code:
        pytest.skip("another user may not read this checkout")
    held = version(project, "in the other repository")
    (project / "deep").mkdir()
    (project / "data.mlvc").rename(project / "deep/x.mlvc")
    (project / ".git/mlvc/runs/ab").mkdir(parents=True)
    (project / place).chmod(0o700)
    own = project.parent / "own"
    git("init", "--quiet", own)
    run_mlvc("init", cwd=own)
    run_mlvc("config", "--private", "store.dir", project / ".git/mlvc", cwd=own)
    at_once(own)
    for path in (own, project / ".git/mlvc"):
        subprocess.run(["chown", "-R", "65534:65534", path], check=True)
    subprocess.run(["chown", "root", project / ".git/mlvc/runs/ab"], check=True)
    for parent in project.parents:
        if parent.stat().st_mode & 0o055 != 0o055:
            parent.chmod(parent.stat().st_mode | 0o055)
    found = as_another("gc", cwd=own)
    assert found.code == 8, found.err
    assert is_whole(project / ".git/mlvc", held)


# -- random histories --------------------------------------------------------------------------

STEPS = [
    "write",
    "large",
    "commit",
    "commit",
    "branch",
    "main",
    "stash",
    "stash new",
    "add",
    "tree",
    "drop",
    "worktree",
]


@settings(max_examples=3)
@given(steps=st.lists(st.tuples(st.sampled_from([*STEPS, "worktree"]), st.integers(0, 2)), min_size=4, max_size=8))
def test_every_version_that_a_random_history_reaches_checks_out_after_gc(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("random")
    root = shell.project(folder / "project")
    at_once(root)
    trees, commits, revisions = [root], ["HEAD"], ["HEAD"]
    at = 0
    for number, (what, which) in enumerate(steps):
        here = trees[at]
        if what in ("write", "large"):
            data = noise(60_000, number) if what == "write" else noise(100_000, which) + shell.LARGE
            shell.write(here, {f"data/{which}" if what == "write" else "model.bin": data})
            run_mlvc("commit", cwd=here)
        elif what == "commit":
            shell.commit(here, f"{number}")
            git("update-ref", f"refs/kept/{number}", "HEAD", cwd=here)
            commits.append(f"refs/kept/{number}")
        elif what == "branch":
            git("switch", "--quiet", "-c", f"side{number}", cwd=here)
        elif what == "main":
            git("reset", "--quiet", "--hard", f"{commits[which % len(commits)]}", cwd=here)
        elif what.startswith("stash"):
            git("stash", "--quiet", *(["--include-untracked"] if what == "stash new" else []), cwd=here)
        elif what == "add":
            git("add", "--all", cwd=here)
        elif what == "tree":
            git("tag", f"tree{number}", tree_of(here), cwd=here)
            revisions.append(f"tree{number}")
        elif what == "drop":
            git("checkout", "--quiet", "--", ".", cwd=here)
        else:
            trees.append(folder / f"tree{number}")
            git("worktree", "add", "--quiet", "--detach", trees[-1], cwd=root)
            at = len(trees) - 1
        run_mlvc("checkout", "--force", cwd=trees[at])
    stashes = git("stash", "list", "--format=%gd", cwd=root).split()
    revisions += commits + [f"{stash}{end}" for stash in stashes for end in ("", "^2")]
    needed = {git("show", f"{revision}:{path}", cwd=root) for revision in revisions for path in TRACKED}
    for tree in trees:
        needed |= {(tree / path).read_text().rstrip("\n") for path in TRACKED}
        needed |= {git("show", f":{path}", cwd=tree) for path in TRACKED}
    run_mlvc("gc", cwd=trees[at])
    assert all(is_whole(root / ".git/mlvc", f"{pointer}\n".encode()) for pointer in needed)
    run_mlvc("fsck", "--all-commits", cwd=root)
    assert "nothing to do" in run_mlvc("gc", cwd=root).err
    shutil.rmtree(folder)


TRACKED = ("data.mlvc", "model.bin.mlvc")
