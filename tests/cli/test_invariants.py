"""The ten invariants of docs/design/invariants.md, each seen from the command line.

The third one is in test_kill.py. That page names the tests that show each of them more closely.
"""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from mlvc.cli.main import COMMANDS
from mlvc.hashing import Hashing
from mlvc.oid import LENGTHS
from tests.helpers import git, run_mlvc, shell
from tests.helpers.faults import counted, process_faults
from tests.helpers.shell import image, refused, tree

both = pytest.mark.parametrize("algorithm", list(LENGTHS))
PIPELINE = b"stages: {sum: {cmd: cat data/*.txt > sum.txt, deps: [data], outs: [sum.txt]}}\n"


def stored(project: Path) -> dict[str, bytes]:
    """Every Pack and every loose object of the Store and of the Remote: path and bytes."""
    here, there = project / ".git/mlvc", project.parent / "remote"
    found = [*here.glob("packs/*"), *here.glob("loose/*/*"), *there.glob("packs/*")]
    return {str(path): path.read_bytes() for path in found}


def digest_in(path: str) -> str:
    """The digest that the name of a stored file gives."""
    parts = Path(path).with_suffix("").parts
    return parts[-1] if "loose" not in parts else parts[-2] + parts[-1]


@both
def test_invariant_1_an_object_is_what_its_name_says(pushed: Path, algorithm: str) -> None:
    clone = shell.clone(pushed)
    run_mlvc("pull", cwd=clone)
    files = {**stored(pushed), **stored(clone)}
    assert len(files) >= 3
    for path, data in files.items():
        assert Hashing(algorithm).of(data).hex() == digest_in(path)
    # Bytes that are not what they were are found, and what it was part of is handed out nowhere.
    for path, data in files.items():
        Path(path).chmod(0o644)
        Path(path).write_bytes(bytes(byte ^ (at % 50 == 40) for at, byte in enumerate(data)))
    for name in ("data/one.txt", "data/two.txt", "model.bin"):
        (clone / name).unlink()
    assert run_mlvc("checkout", cwd=clone, check=False).code == 4
    for name in ("data/one.txt", "data/two.txt", "model.bin"):
        assert not (clone / name).exists() or (clone / name).read_bytes() == shell.FILES[name]


def test_invariant_2_what_names_bytes_is_written_after_the_bytes(project: Path) -> None:
    shell.write(project, {"mlvc.yaml": PIPELINE, "new/x": b"x"})
    order = {
        "add new": [r"/packs/\w+\.pack$", r"/new\.mlvc$"],
        "repro": [r"/packs/\w+\.pack$", r"/runs/.*\.json$", r"/mlvc\.lock$"],
        "push": [r"/remote/packs/\w+\.pack$", r"/remote/index/\w+\.fragment$"],
    }
    for command, names in order.items():
        log = project.parent / command.replace(" ", "-")
        run_mlvc(*command.split(), cwd=project, env=process_faults(root=project.parent, count_to=log))
        renamed = [line.split(" ")[-1] for line in counted(log) if line.startswith("replace ")]
        places = [[at for at, name in enumerate(renamed) if re.search(pattern, name)] for pattern in names]
        assert all(places), (command, renamed)
        assert all(max(one) < min(other) for one, other in pairwise(places)), (command, renamed)


@both
def test_invariant_4_a_command_that_could_not_do_all_of_it_says_so(pushed: Path) -> None:
    clone = shell.clone(pushed)
    shell.write(pushed, {"lost": b"nowhere any more"})
    kept = set(stored(pushed))
    run_mlvc("add", "lost", cwd=pushed)
    for path in set(stored(pushed)) - kept:
        Path(path).unlink()
    shell.commit(pushed)
    result = run_mlvc("push", cwd=pushed, check=False)
    assert result.code == 4
    shell.ends(result, "lost could not be pushed")
    git("pull", "--quiet", cwd=clone)
    result = run_mlvc("pull", cwd=clone, check=False)
    assert result.code == 4
    shell.ends(result, "lost")
    # The rest is done.
    assert (clone / "model.bin").read_bytes() == shell.LARGE
    assert not (clone / "lost").exists()
    # A disk that fails for good: no Pointer, and the working tree is as it was.
    before = tree(clone)
    shell.write(clone, {"more": b"more"})
    failing = process_faults(fail_at=1, lasting=True, root=clone / ".git/mlvc")
    assert run_mlvc("add", "more", cwd=clone, check=False, env=failing).code == 8
    (clone / "more").unlink()
    assert tree(clone) == before


def test_invariant_5_reading_changes_nothing_that_a_person_sees(pushed: Path) -> None:
    shell.write(pushed, {"mlvc.yaml": PIPELINE, "data/one.txt": b"changed\n"})
    for path in (pushed / ".git/mlvc/packs").iterdir():  # damage is no reason to write either
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-30] + bytes(30))
    before, remote = image(pushed, git_index=True), image(pushed.parent / "remote")
    for command in (
        *("ls -R", "ls --rev HEAD", "du", "cat model.bin", "log data", "check-ignore data"),
        *("status", "status --json", "diff", "diff HEAD", "dag", "stage list", "remote list", "config", "repro -n"),
        *("params diff", "metrics diff HEAD", "metrics show -A", "plots show --json", "plots diff --json"),
        *("checkout -n --force", "push -n", "fetch -n", "pull -n --force"),
    ):
        run_mlvc(*command.split(), cwd=pushed, check=False)
        assert image(pushed, git_index=True) == before, command
        assert image(pushed.parent / "remote") == remote, command


@both
def test_invariant_6_no_other_command_deletes_an_object(pushed: Path) -> None:
    shell.write(pushed, {"mlvc.yaml": PIPELINE})
    kept: dict[str, bytes] = {}
    for change, command in (
        ({"data/one.txt": b"changed\n"}, "add data"),
        ({"model.bin": shell.LARGE[::-1]}, "commit"),
        ({}, "repro"),
        ({}, "push"),
        ({"data.mlvc": None}, "checkout"),
        ({}, "checkout --rev HEAD --force"),
        ({"model.bin.mlvc": None, "mlvc.lock": None}, "checkout --force"),
        ({}, "push --all-commits"),
        ({}, "pull --force"),
    ):
        for name, data in change.items():
            (pushed / name).unlink()
            if data is not None:
                (pushed / name).write_bytes(data)
        run_mlvc(*command.split(), cwd=pushed)
        now = stored(pushed)
        assert kept.items() <= now.items(), command
        kept = now


@both
def test_invariant_7_a_manifest_on_a_remote_says_nothing_of_its_files(pushed: Path) -> None:
    remote = pushed.parent / "remote"
    before = set(stored(pushed))
    shell.write(pushed, {"alone": b"in a Pack of its own"})
    run_mlvc("add", "alone", cwd=pushed)
    run_mlvc("push", cwd=pushed)
    (lost,) = (Path(path) for path in set(stored(pushed)) - before if path.startswith(str(remote)))
    # Now a directory with the same file: its Manifest comes into another Pack.
    shell.write(pushed, {"data/copy": b"in a Pack of its own"})
    run_mlvc("add", "data", cwd=pushed)
    run_mlvc("push", cwd=pushed)
    shell.commit(pushed)
    lost.unlink()
    assert "pushed 1 object" in run_mlvc("push", "data", cwd=pushed).err
    clone = shell.clone(pushed)
    run_mlvc("pull", cwd=clone)
    assert tree(clone) == tree(pushed)


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"no database" * 999)])
def test_invariant_8_every_database_can_be_deleted(pushed: Path, harm) -> None:
    shell.write(pushed, {"mlvc.yaml": PIPELINE})
    run_mlvc("repro", cwd=pushed)
    run_mlvc("push", cwd=pushed)
    shell.commit(pushed)
    shell.write(pushed, {"data/one.txt": b"changed\n"})
    other = shell.copied(pushed.parent, pushed.parent.with_name("other")) / pushed.name
    for command in ("status --json", "diff --json", "push", "checkout --force", "repro", "fetch", "status"):
        databases = [path for path in (pushed / ".git/mlvc").rglob("*.sqlite*") if path.is_file()]
        assert databases
        for path in databases:
            harm(path)
        results = [run_mlvc(*command.split(), cwd=root) for root in (pushed, other)]
        assert results[0].out == results[1].out, command
        assert tree(pushed) == tree(other), command


@both
def test_invariant_9_one_value_has_one_encoding(project: Path, algorithm: str) -> None:
    # Another way to the same content: another order, and what was added is taken back.
    run_mlvc("init", "--hash", algorithm, cwd=git_repo(other := project.parent / "other"))
    for name in sorted(shell.FILES, reverse=True):
        shell.write(other, {name: shell.FILES[name], "data/later": b"later"})
        run_mlvc("add", name.split("/", maxsplit=1)[0], cwd=other)
    (other / "data/later").unlink()
    (other / "data/empty").mkdir()
    (other / "data/link").symlink_to("one.txt")
    (other / "data/two.txt").chmod(0o755)
    run_mlvc("commit", cwd=other)
    for root in (project, other):
        shell.write(root, {"mlvc.yaml": PIPELINE})
        run_mlvc("repro", cwd=root)
    for name in ("data.mlvc", "model.bin.mlvc", "mlvc.lock"):
        assert (project / name).read_bytes() == (other / name).read_bytes(), name
    # Keys that this version does not know stay; a version that it does not know is refused.
    pointer = project / "data.mlvc"
    pointer.write_bytes(pointer.read_bytes() + b"note: kept\n")
    shell.write(project, {"data/one.txt": b"changed\n"})
    run_mlvc("commit", cwd=project)
    assert "note: kept\n" in pointer.read_text()
    pointer.write_text(pointer.read_text().replace("mlvc: 1\n", "mlvc: 2\n"))
    refused(run_mlvc("commit", cwd=project, check=False), 2, "data.mlvc")


def git_repo(root: Path) -> Path:
    root.mkdir()
    git("init", "--quiet", "-b", "main", cwd=root)
    return root


def test_invariant_10_data_goes_to_stdout_and_all_else_to_stderr(pushed: Path) -> None:
    shell.write(pushed, {"mlvc.yaml": PIPELINE.replace(b"cmd: ", b"cmd: echo said by the stage; ")})
    ran = set()
    for command in (
        *("status", "diff", "dag", "stage list", "remote list", "config", "add data", "commit", "repro", "checkout"),
        *("push", "fetch", "pull", "init", "gc", "fsck"),
    ):
        result = run_mlvc(*command.split(), "--json", cwd=pushed)
        for value in result.out.splitlines() if command == "repro" else [result.out]:
            json.loads(value)
        assert "said by the stage" not in result.out.splitlines()
        ran.add(command.split()[0])
    shell.write(pushed, {"model2.bin": b"x"})
    for command in (
        *("ls data", "du", "log data", "check-ignore data/x.tmp", "doctor", "install", "unprotect model.bin"),
        *("get . data -o copy", "add model2.bin", "move model2.bin model3.bin", "remove model3.bin"),
        *("why sum", "runs list", "params diff", "metrics show", "plots show"),
    ):
        json.loads(run_mlvc(*command.split(), "--json", cwd=pushed, check=False).out)
        ran.add(command.split()[0])
    # cat and completion print what is no JSON; tests of their own: test_destroy.py, test_merging.py, test_reproduce.py.
    without = {"schema", "freeze", "unfreeze", "reproduce"}
    assert ran == COMMANDS.keys() - without - {"demo", "cat", "completion", "destroy", "resolve"}
    # Without --json too, what is said about the work is not data.
    shell.write(pushed, {"data/one.txt": b"changed\n"})
    for command in ("commit", "repro", "push", "pull", "checkout"):
        result = run_mlvc(*command.split(), cwd=pushed)
        assert ("said by the stage" in result.err) == (command == "repro")
        assert not re.search("hint|Running|pushed|fetched", result.out)
    # What went wrong is no data either, and nobody is asked anything: there is no terminal here.
    assert not os.isatty(0)
    refused(run_mlvc("checkout", "--json", "absent", cwd=pushed, check=False), 2, "absent")
