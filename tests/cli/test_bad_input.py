"""What bad input gets: one clear sentence, a hint, the right exit code, nothing changed, no traceback."""

from __future__ import annotations

import os
import re
import shutil
import socket
from pathlib import Path

import pytest

from mlvc.api import lost
from mlvc.cli.app import ELSEWHERE
from mlvc.cli.main import COMMANDS
from mlvc.errors import (
    DamagedError,
    FormatError,
    NotARepositoryError,
    PipelineError,
    RemoteError,
    StageFailedError,
    UsageError,
    WouldOverwriteError,
)
from mlvc.git import discover, is_revision
from tests.helpers import git, make_git_repo, run, run_mlvc, shell
from tests.helpers.shell import image, refused

USAGE = UsageError.exit_code
EVERY = (
    ["status"],
    ["diff"],
    ["add", "data"],
    ["commit"],
    ["checkout"],
    ["push"],
    ["fetch"],
    ["pull"],
    ["repro"],
    ["dag"],
    ["stage", "list"],
    ["config"],
    ["remote", "list"],
)
READING = (["status"], ["diff"], ["checkout"], ["push"], ["pull"])


def said(cwd: Path, *args: str | bytes, code: int = USAGE, parts: tuple[str, ...] = (), watch: Path | None = None):
    """Run a command that must be refused and change nothing in ``watch`` (the folder, where not given)."""
    before = image(watch or cwd, git_index=True)
    result = run_mlvc(*args, cwd=cwd, check=False)
    refused(result, code, *parts)
    assert image(watch or cwd, git_index=True) == before
    return result


def told(project: Path, sentence: str) -> None:
    """The commands that read tell what cannot be tracked, and all the rest; checkout does the rest."""
    (project / "model.bin").write_bytes(b"changed")
    result = run_mlvc("status", cwd=project)
    assert sentence in result.out
    assert "model.bin" in result.out
    assert run_mlvc("status", "--exit-code", cwd=project, check=False).code == 1
    assert "model.bin" in run_mlvc("diff", cwd=project).out
    run_mlvc("checkout", "--force", cwd=project)
    assert (project / "model.bin").read_bytes() != b"changed"


# -- where there is nothing to work on ---------------------------------------------------------


@pytest.mark.parametrize("args", EVERY[:3], ids=" ".join)
def test_outside_of_git(args: list[str], tmp_path: Path) -> None:
    said(Path.cwd(), *args, code=NotARepositoryError.exit_code, parts=(os.getcwd(), "git init"))


@pytest.mark.parametrize("args", EVERY, ids=" ".join)
def test_not_initialised(args: list[str]) -> None:
    root = make_git_repo()
    said(root, *args, code=NotARepositoryError.exit_code, parts=(str(root), "mlvc init"))


@pytest.mark.parametrize("args", [["init"], ["status"], ["add", "x"]], ids=" ".join)
def test_a_bare_repository(args: list[str], tmp_path: Path) -> None:
    git("init", "--quiet", "--bare", "bare.git")
    said(Path("bare.git").absolute(), *args, code=NotARepositoryError.exit_code, parts=("bare", "clone"))


def test_init_outside_of_git() -> None:
    said(Path.cwd(), "init", code=NotARepositoryError.exit_code, parts=("git init",))


def test_git_is_not_installed(project: Path) -> None:
    result = run_mlvc("status", cwd=project, check=False, env={"PATH": "/nowhere"})
    refused(result, 8, "git", "PATH")


# -- paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "how"),
    [
        *((["add"], how) for how in ("relative", "absolute", "link", "parent")),
        *(([command], "relative") for command in ("commit", "status", "checkout", "push")),
    ],
    ids=str,
)
def test_a_path_outside_the_repository(project: Path, args: list[str], how: str) -> None:
    outside = project.parent / "outside"
    shell.write(outside, {"x": b"x"})
    (project / "door").symlink_to(outside)
    name = {"relative": "../outside/x", "absolute": str(outside / "x"), "link": "door/x", "parent": ".."}[how]
    said(project, *args, name, parts=(name, "outside the repository"), watch=project.parent)


def test_a_link_inside_the_repository_is_the_path_behind_it(project: Path) -> None:
    (project / "alias").symlink_to("data")
    (project / "data/one.txt").write_bytes(b"changed\n")
    assert "data" in run_mlvc("add", "alias/one.txt", cwd=project).err
    assert "clean" not in run_mlvc("status", "alias/one.txt", cwd=project).out
    assert not os.path.lexists(project / "data/one.txt.mlvc")


@pytest.mark.parametrize("name", [".", ".git", ".git/config", ".mlvc", ".mlvc/config.toml"])
def test_the_repository_itself(project: Path, name: str) -> None:
    said(project, "add", name, parts=(name,))
    shell.write(project.parent, {"elsewhere": b"x"})
    said(project, "add", "-o", name, "../elsewhere", parts=(name,))


@pytest.mark.parametrize(
    "args",
    [
        *([word] for word in ("status", "add", "commit", "remove", "checkout", "push", "fetch", "pull", "log", "du")),
        ["repro", "--force"],
        *(["repro", word] for word in ("--downstream", "--dry-run")),
        *([word] for word in ("unprotect", "dag", "freeze", "why", "check-ignore")),
        *(["runs", word] for word in ("show", "log")),
        *([word, "show"] for word in ("stage", "metrics", "plots")),
        *([word, "diff", "--targets"] for word in ("params", "metrics", "plots")),
        ["reproduce", "HEAD"],
        ["move", "data"],
    ],
    ids=" ".join,
)
def test_an_empty_word(project: Path, args: list[str]) -> None:
    (project / "mlvc.yaml").write_text("stages: {s: {cmd: echo 1 > one, outs: [one]}}\n")
    run_mlvc("repro", "--quiet", cwd=project)
    shell.commit(project)
    before = shell.image(project)
    refused(run_mlvc(*args, "", cwd=project, check=False), 2, "empty", "a variable that is not set")
    assert shell.image(project) == before


@pytest.mark.parametrize("other", ["--downstream", "--force-downstream"])
def test_one_stage_and_what_follows_from_it(project: Path, other: str) -> None:
    refused(run_mlvc("repro", "-s", other, "s", cwd=project, check=False), 2, "--single-item", other)


def test_a_path_that_is_not_there(project: Path) -> None:
    result = run_mlvc("add", "nope", cwd=project, check=False)
    refused(result, USAGE, "nope does not exist", hint=False)
    (project / "model.bin").unlink()
    said(project, "add", "model.bin", parts=("model.bin does not exist", "mlvc checkout model.bin"))
    said(project, "commit", "model.bin", parts=("model.bin is not in the working tree", "mlvc checkout model.bin"))


def test_one_bad_path_among_good_ones_changes_nothing(project: Path) -> None:
    shell.write(project, {"good": b"good", "data/one.txt": b"changed\n"})
    before = image(project)
    refused(run_mlvc("add", "good", "data", "nope", cwd=project, check=False), USAGE, "nope", hint=False)
    assert image(project) == before


@pytest.mark.parametrize("args", [["status"], ["checkout"], ["push"], ["fetch"], ["pull"], ["commit"]], ids=" ".join)
def test_a_path_that_is_not_tracked(pushed: Path, args: list[str]) -> None:
    shell.write(pushed, {"other": b"x"})
    said(pushed, *args, "other", parts=("other is not tracked", "mlvc "))


def test_tracked_already_is_no_error(project: Path) -> None:
    before = image(project)
    assert run_mlvc("add", "data", "model.bin", cwd=project).err == "nothing changed\n"
    assert image(project) == before


def test_a_path_around_a_tracked_one(project: Path) -> None:
    shell.write(project, {"outer/inner/x": b"x", "outer/y": b"y"})
    run_mlvc("add", "outer/inner", cwd=project)
    said(project, "add", "outer", parts=("outer cannot be tracked", "outer/inner"))
    # As the hint says.
    (project / "outer/inner.mlvc").unlink()
    (project / "outer/.gitignore").unlink()
    run_mlvc("add", "outer", cwd=project)


def test_a_path_and_one_inside_of_it_at_once(project: Path) -> None:
    shell.write(project, {"outer/inner/x": b"x"})
    said(project, "add", "outer", "outer/inner", parts=("outer/inner", "inside of outer"))


def test_a_path_below_a_tracked_file(project: Path) -> None:
    (project / "model.bin").unlink()
    shell.write(project, {"model.bin/part": b"x"})
    said(project, "add", "model.bin/part", parts=("model.bin/part", "tracked as a file"))


def test_a_path_that_git_tracks(project: Path) -> None:
    shell.write(project, {"code.py": b"pass\n"})
    shell.commit(project)
    said(project, "add", "code.py", parts=("code.py is tracked by Git", "git rm"))


def test_a_pointer(project: Path) -> None:
    said(project, "add", "data.mlvc", parts=("data.mlvc is a Pointer", "mlvc add data"))


@pytest.mark.parametrize("where", ["alone", "data"])
def test_a_name_that_is_not_utf8(project: Path, where: str) -> None:
    name = b"odd\xff" if where == "alone" else b"data/odd\xff"
    Path(os.fsdecode(os.fsencode(project) + b"/" + name)).write_bytes(b"x")
    for args in (["add", name], ["add", where]) if where == "data" else (["add", name],):
        said(project, *args, parts=(r"odd\xff", "is not UTF-8"))
    if where == "data":
        said(project, "commit", parts=(r"odd\xff", "is not UTF-8"))
        told(project, r"the name of 'data/odd\xff' is not UTF-8")


@pytest.mark.parametrize("kind", ["FIFO", "socket"])
@pytest.mark.parametrize("where", ["alone", "data/sub/inside"])
def test_what_has_no_content(project: Path, kind: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "FIFO":
        os.mkfifo(project / where)
    else:
        monkeypatch.chdir((project / where).parent)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(Path(where).name)
    said(project, "add", where.partition("/")[0], parts=(f"{where} is a {kind}",))
    said(project, "add", where, parts=(f"{where} is a {kind}",))
    if where != "alone":
        said(project, "commit", parts=(f"{where} is a {kind}",))
        told(project, f"{where} is a {kind}")
        (project / ".mlvcignore").write_text("inside\n")
        assert run_mlvc("status", "--exit-code", cwd=project).code == 0


@pytest.mark.parametrize("target", ["../../outside", "/etc/hostname", "../../../../../../etc"])
def test_a_link_that_leaves_the_repository(project: Path, target: str) -> None:
    (project / "data/leaves").symlink_to(target)
    said(project, "add", "data", parts=("data/leaves", target, "leaves the repository"))
    (project / "leaves").symlink_to(target)
    said(project, "add", "leaves", parts=("leaves", target))


# -- add -o ------------------------------------------------------------------------------------


def test_copying_in_what_cannot_be_tracked_leaves_nothing(project: Path) -> None:
    source = project.parent / "source"
    shell.write(source, {"x": b"x", "y": b"y"})
    os.mkfifo(source / "fifo")
    said(project, "add", "-o", "new", "../source", parts=("fifo",))
    (source / "fifo").unlink()
    (source / "leaves").symlink_to("/etc/hostname")
    said(project, "add", "-o", "new", "../source", parts=("leaves",))
    (source / "leaves").unlink()
    said(project, "add", "-o", "data.mlvc", "../source", parts=("Pointer",))
    said(project, "add", "-o", "../other", "../source", parts=("outside",), watch=project.parent)
    said(project, "add", "-o", "new", "../source/x", "../source/y", parts=("-o takes one path",))
    refused(run_mlvc("add", "-o", "new", "../nope", cwd=project, check=False), USAGE, "../nope", hint=False)
    said(project, "add", "-o", "model.bin", "../source/x", parts=("model.bin exists already",))


# -- Pointers ----------------------------------------------------------------------------------

CONFLICT = b"<<<<<<< HEAD\nmlvc: 1\n=======\nmlvc: 1\n>>>>>>> other\n"


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (CONFLICT, ("conflict markers", "mlvc resolve data` and one of --ours")),
        (b"mlvc: 2\nkind: tree\n", ("format '2'", "newer mlvc")),
        (b"mlvc: 1\nkind: dir\noid: xxh128:00", ("cut short", "git checkout -- ")),
        (b"mlvc: 1\nkind: dir\n", ("cut short", "git checkout -- ")),
        (b"", ("cut short", "git checkout -- ")),
        (b"\xff\xfe\n", ("not UTF-8", "git checkout -- ")),
        (b"hello\n", ("line 1", "git checkout -- ")),
        (b"mlvc: 1\nkind: file\noid: md5:00\nsize: 1\n", ("md5",)),
    ],
)
def test_a_pointer_that_cannot_be_read(pushed: Path, data: bytes, parts: tuple[str, ...]) -> None:
    (pushed / "data.mlvc").write_bytes(data)
    for args in READING:
        said(pushed, *args, parts=("data.mlvc", *parts), watch=pushed.parent)
    said(pushed, "add", "data", parts=("data.mlvc", *parts))
    # As the hint says.
    (pushed / "data.mlvc").unlink()
    run_mlvc("add", "data", cwd=pushed)
    assert git("status", "--porcelain", cwd=pushed) == ""


def test_beside_a_pointer_that_cannot_be_read_the_rest_is_done(pushed: Path) -> None:
    before = (pushed / "data.mlvc").read_bytes()
    (pushed / "data.mlvc").write_bytes(CONFLICT)
    (pushed / "model.bin").write_bytes(b"changed")
    parts = ("data.mlvc has conflict markers",)
    for args in (["status"], ["diff"]):
        result = run_mlvc(*args, cwd=pushed, check=False)
        assert result.code == USAGE
        assert "model.bin" in result.out
        shell.ends(result, *parts)
    assert run_mlvc("status", "model.bin", cwd=pushed).code == 0
    said(pushed, "commit", parts=parts)
    run_mlvc("commit", "model.bin", cwd=pushed)
    (pushed / "other").write_bytes(b"other")
    run_mlvc("add", "other", cwd=pushed)
    said(pushed, "add", "data/sub", parts=parts)
    result = run_mlvc("push", cwd=pushed, check=False)
    assert result.code == USAGE
    assert "pushed 2 objects" in result.err
    shell.ends(result, *parts)
    (pushed / "other").unlink()
    result = run_mlvc("checkout", cwd=pushed, check=False)
    assert result.code == USAGE
    assert (pushed / "other").read_bytes() == b"other"
    # What its path has is not taken for something that nobody tracks any more.
    (pushed / "data.mlvc").write_bytes(before)
    assert run_mlvc("status", "data", "--exit-code", cwd=pushed).code == 0


def test_a_pointer_that_was_committed_unreadable(pushed: Path) -> None:
    before = (pushed / "data.mlvc").read_bytes()
    (pushed / "data.mlvc").write_bytes(CONFLICT)
    git("commit", "-qam", "with conflict markers", cwd=pushed)
    (pushed / "data.mlvc").write_bytes(before)
    result = run_mlvc("status", cwd=pushed)
    assert "data" in result.out
    said(pushed, "diff", parts=("HEAD:data.mlvc", "conflict markers"))
    assert run_mlvc("diff", "HEAD~1", cwd=pushed).code == 0
    git("commit", "-qam", "mended", cwd=pushed)
    assert run_mlvc("status", "--exit-code", cwd=pushed).code == 0
    assert run_mlvc("push", cwd=pushed).code == 0
    (pushed / "model.bin").write_bytes(b"changed")
    run_mlvc("commit", cwd=pushed)
    result = run_mlvc("push", "--all-commits", cwd=pushed, check=False)
    assert result.code == USAGE
    assert "pushed 1 object" in result.err


def test_a_pointer_that_tells_a_wrong_size(pushed: Path) -> None:
    for name in ("data.mlvc", "model.bin.mlvc"):
        path = pushed / name
        right = path.read_text()
        path.write_text(re.sub(r"(?m)^size: \d+$", "size: 7", right))
        stem = name.removesuffix(".mlvc")
        assert "wrong size" in run_mlvc("status", stem, cwd=pushed).out
        said(pushed, "checkout", code=DamagedError.exit_code, parts=(stem, "another size than its Pointer says"))
        (pushed / stem).rename(pushed.parent / "aside")
        said(pushed, "checkout", code=DamagedError.exit_code, parts=(stem, "another size than its Pointer says"))
        (pushed.parent / "aside").rename(pushed / stem)
        run_mlvc("commit", cwd=pushed)
        assert path.read_text() == right


def test_a_fifo_in_the_place_of_a_tracked_file(project: Path) -> None:
    (project / "data/one.txt").unlink()
    os.mkfifo(project / "data/one.txt")
    said(project, "checkout", code=WouldOverwriteError.exit_code, parts=("data/one.txt",))
    run_mlvc("checkout", "--force", cwd=project)
    assert run_mlvc("status", "--exit-code", cwd=project).code == 0


@pytest.mark.parametrize("what", ["FIFO", "directory", "device", "circle"])
@pytest.mark.parametrize("name", ["data.mlvc", ".mlvcignore", "mlvc.lock"])
def test_what_is_no_file_in_the_place_of_one_that_mlvc_reads(project: Path, name: str, what: str) -> None:
    """One sentence, no waiting, no reading without end; of a Pointer, the others are not concerned."""
    if name != "data.mlvc":
        shell.write(project, {name: b""})
        git("add", "--force", name, cwd=project)
    path = project / name
    path.unlink()
    if what == "FIFO":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if what == "device" else name)
    (project / "model.bin").unlink()
    words = "symbolic link that leads in a circle" if what == "circle" else what
    result = run_mlvc("checkout", cwd=project, check=False)
    assert result.code == FormatError.exit_code
    shell.ends(result, name, words, "move it away")
    assert (project / "model.bin").exists() == (name != ".mlvcignore")
    assert run_mlvc("status", cwd=project, check=False).code == FormatError.exit_code


def test_a_symbolic_link_inside_a_tracked_directory(project: Path) -> None:
    (project / "data/another").symlink_to("one.txt")
    run_mlvc("add", "data/another", cwd=project)
    assert "data/another" in run_mlvc("diff", cwd=project).out
    (project / "data/another").unlink()
    run_mlvc("checkout", cwd=project)
    assert os.readlink(project / "data/another") == "one.txt"


def test_keys_of_a_pointer_that_this_version_does_not_know_are_kept(project: Path) -> None:
    pointer = project / "model.bin.mlvc"
    pointer.write_bytes(pointer.read_bytes() + b"meaning: 42\nowner: Ada Lovelace\n")
    assert run_mlvc("status", cwd=project).out.startswith("clean")
    shell.write(project, {"model.bin": b"other"})
    run_mlvc("commit", cwd=project)
    text = pointer.read_text()
    assert "size: 5\n" in text
    assert text.endswith("meaning: 42\nowner: Ada Lovelace\n")


# -- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (b"[core\n", ("line 1", "column 6")),
        (b"<<<<<<< HEAD\n[core]\n=======\n", ("line 1",)),
        (b"\xff\xfe", ("UTF-8",)),
        (b"[core]\njobs = 'three'\n", ("core.jobs", "'three'", "a whole number")),
        (b"[core]\njobs = 0\n", ("core.jobs", "0", "a whole number from 1")),
        (b"[core]\nautostage = 'maybe'\n", ("core.autostage", "'maybe'", "true or false")),
        (b"[core]\nlink = ['magic']\n", ("core.link", "magic", "reflink, hardlink, symlink, copy")),
        (b"[core]\nhash = 'md5'\n", ("core.hash", "md5", "xxh128, blake3")),
        (b"[remote.'a b']\nurl = '/x'\n", ("a b",)),
    ],
)
def test_settings_that_cannot_be_read(project: Path, text: bytes, parts: tuple[str, ...]) -> None:
    path = project / ".mlvc/config.toml"
    path.write_bytes(text)
    said(project, "push", parts=(str(path), *parts), watch=project.parent)


def test_private_settings_that_cannot_be_read(project: Path) -> None:
    path = project / ".git/mlvc/config.toml"
    path.write_text("[core]\njobs = 0\n")
    for args in (["status"], ["config", "core.autostage", "true"], ["remote", "list"]):
        said(project, *args, parts=(str(path), "core.jobs", "a whole number from 1"), watch=project.parent)


@pytest.mark.parametrize("file", [".mlvc/config.toml", ".git/mlvc/config.toml"])
def test_settings_of_a_newer_version_are_told_and_kept(project: Path, file: str) -> None:
    path = project / file
    old = path.read_text() if path.exists() else ""
    text = old + '\n[core.newer]\nautostge = 1.5\n\n[remote.other]\nregion = ["eu"]\n\n[else]\nwhen = 2031-01-01\n'
    path.write_text(text)
    names = ("core.newer.autostge", "remote.other.region", "else.when")
    for args in (["status"], ["push"], ["pull", "--json"], ["config"], ["remote", "list"], ["dag"]):
        result = run_mlvc(*args, cwd=project)
        for name in names:
            line = f"note: {file} has a setting '{name}' that this mlvc does not know"
            assert result.err.count(line) == 1
            assert name not in result.out
    run_mlvc("config", "core.jobs", "3", *(["--private"] if ".git" in file else []), cwd=project)
    run_mlvc("remote", "rename", "store", "other2", cwd=project)
    assert all(line in path.read_text().splitlines() for line in text.splitlines() if "store" not in line)
    result = run_mlvc("config", names[0], "2", cwd=project, check=False)
    refused(result, USAGE, f"unknown setting '{names[0]}'")


def test_a_slip_in_a_setting_is_told_with_what_may_be_meant(project: Path) -> None:
    path = project / ".mlvc/config.toml"
    text = path.read_text().replace("[core]\n", "[core]\nautostge = true\n")
    path.write_text(text + "\n[remote.store2]\nur = '/x'\n")
    for name, meant in (("core.autostge", "core.autostage"), ("remote.store2.ur", "remote.store2.url")):
        line = f"note: .mlvc/config.toml has a setting '{name}' that this mlvc does not know (did you mean {meant}?)"
        assert line in run_mlvc("status", cwd=project).err.splitlines()
    run_mlvc("config", "remote.store2.ur", "--unset", cwd=project)
    assert "remote.store2.ur" not in path.read_text() + run_mlvc("status", cwd=project).err


@pytest.mark.parametrize(
    ("text", "parts"),
    [(b"*.tmp\nf\xfcr\n", (".mlvcignore, line 2", "UTF-8")), (b"a\n!\n", (".mlvcignore", ".gitignore"))],
    ids=str,
)
def test_an_ignore_file_that_cannot_be_read(project: Path, text: bytes, parts: tuple[str, ...]) -> None:
    (project / ".mlvcignore").write_bytes(text)
    said(project, "status", parts=parts)


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["core.jbos", "3"], ("core.jbos", "did you mean core.jobs?")),
        (["core.jbos"], ("core.jbos", "did you mean core.jobs?")),
        (["nothing.like.it", "x"], ("nothing.like.it", "core.autostage")),
        (["core.jobs", "many"], ("core.jobs", "many", "a whole number")),
        (["core.autostage", "yes"], ("core.autostage", "true or false")),
        (["core.link", "reflink,magic"], ("core.link", "reflink, hardlink, symlink, copy")),
        (["core.hash", "blake3"], ("core.hash", "mlvc init")),
        (["core.jobs", "--unset"], ("core.jobs is not set",)),
        (["core.jobs", "3", "--unset"], ("--unset",)),
        (["remote.a b.url", "x"], ("a b",)),
    ],
)
def test_a_setting_that_cannot_be_made(project: Path, args: list[str], parts: tuple[str, ...]) -> None:
    before = image(project)
    refused(run_mlvc("config", *args, cwd=project, check=False), USAGE, *parts, hint=False)
    assert image(project) == before


def test_a_layout_that_cannot_be_edited_is_left_alone(project: Path) -> None:
    path = project / ".mlvc/config.toml"
    path.write_text('core = { hash = "xxh128", jobs = 2 }\n')
    said(project, "config", "core.jobs", "3", parts=(str(path), "core.jobs", "by hand"))
    path.write_text('[core]\nhash = "xxh128"\n\n[remote]\nstore.url = "../remote"\n')
    said(project, "remote", "rename", "store", "other", parts=(str(path), "by hand"))


# -- Remotes -----------------------------------------------------------------------------------


def test_no_remote_or_too_many(pushed: Path) -> None:
    run_mlvc("remote", "remove", "store", cwd=pushed)
    for command in ("push", "fetch", "pull"):
        said(pushed, command, parts=("no remote is configured", "mlvc remote add"))
    run_mlvc("remote", "add", "a", "../a", cwd=pushed)
    run_mlvc("remote", "add", "b", "../b", cwd=pushed)
    said(pushed, "push", parts=("none is the default", "a, b"))
    said(pushed, "push", "-r", "c", parts=("there is no remote 'c'", "a, b"))


def test_a_remote_that_never_was(project: Path) -> None:
    for command in ("fetch", "pull"):
        said(
            project, command, code=RemoteError.exit_code, parts=("'store'", str(project.parent / "remote"), "mlvc push")
        )
    assert not (project.parent / "remote").exists()


def test_an_address_that_leads_nowhere_in_another_place(pushed: Path) -> None:
    clone = shell.clone(pushed, "deep/er/clone")
    elsewhere = clone.parent / "remote"
    parts = (str(elsewhere), "mlvc remote modify store url PATH --private", "from a clone that has the data")
    said(clone, "pull", code=RemoteError.exit_code, parts=parts, watch=pushed.parent)
    # A push from here would make a Remote with nothing in it, and hide that the address is wrong.
    nothing = "nothing that is tracked is here to be sent"
    result = run_mlvc("push", cwd=clone, check=False)
    refused(result, RemoteError.exit_code, nothing, *parts)
    assert not elsewhere.exists()
    run_mlvc("remote", "modify", "store", "url", "../../../remote", "--private", cwd=clone)
    run_mlvc("pull", cwd=clone)
    assert shell.tree(clone) == shell.tree(pushed)
    assert not git("status", "--porcelain", cwd=clone).strip()


def test_a_push_of_nothing_makes_no_remote() -> None:
    root = make_git_repo("empty")
    run_mlvc("init", cwd=root)
    run_mlvc("remote", "add", "store", "../remote", cwd=root)
    assert "nothing to push" in run_mlvc("push", cwd=root).err
    assert not (root.parent / "remote").exists()


def test_a_remote_that_was_there_and_vanished(pushed: Path) -> None:
    remote = pushed.parent / "remote"
    run_mlvc("push", cwd=pushed)  # what is known of a Remote goes by its address
    remote.rename(pushed.parent / "unmounted")
    for args in (["push"], ["push", "--dry-run"], ["fetch"], ["pull"]):
        said(pushed, *args, code=RemoteError.exit_code, parts=("'store'", str(remote)), watch=pushed.parent)
    # The disk is mounted again.
    (pushed.parent / "unmounted").rename(remote)
    assert "everything is there already" in run_mlvc("push", cwd=pushed).err


def test_a_remote_that_vanished_for_good_can_be_made_again(pushed: Path) -> None:
    remote = pushed.parent / "remote"
    run_mlvc("push", cwd=pushed)
    remote.rename(pushed.parent / "lost")
    run_mlvc("remote", "remove", "store", cwd=pushed)
    run_mlvc("remote", "add", "-d", "store", "../remote", cwd=pushed)
    assert "pushed" in run_mlvc("push", cwd=pushed).err
    assert sorted(p.name for p in (remote / "packs").iterdir())


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("/proc/nowhere/remote", "/proc/nowhere/remote"),
        ("nosuch://bucket/path", "nosuch"),
        ("../file", "Not a directory"),
        ("../foreign", "format"),
    ],
)
def test_a_remote_that_cannot_be_used(project: Path, url: str, part: str) -> None:
    shell.write(project.parent, {"file": b"x", "foreign/mlvc-remote": b"something else\n"})
    run_mlvc("remote", "add", "bad", url, cwd=project)
    before = image(project.parent)
    for command in ("push", "fetch", "pull"):
        result = run_mlvc(command, "-r", "bad", cwd=project, check=False)
        refused(result, RemoteError.exit_code, "'bad'", part, hint=False)
    assert image(project.parent) == before


def test_a_remote_of_another_hash(pushed: Path) -> None:
    other = make_git_repo(pushed.parent / "other")
    run_mlvc("init", "--hash", "blake3", cwd=other)
    shell.write(other, {"x": b"x"})
    run_mlvc("add", "x", cwd=other)
    run_mlvc("remote", "add", "store", "../remote", cwd=other)
    said(other, "push", code=RemoteError.exit_code, parts=("hash xxh128", "blake3"), watch=pushed.parent)


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["add", "store", "../x"], "there is a remote 'store' already"),
        (["add", "new", ""], "empty"),
        (["add", "new", "data"], "in the repository"),
        (["add", "a b", "../x"], "a b"),
        (["modify", "nope", "url", "../x"], "there is no remote 'nope'"),
        (["modify", "store", "ulr", "../x"], "did you mean remote.store.url?"),
        (["modify", "store", "url"], "give a value"),
        (["modify", "store", "url", "--unset"], "needs its url"),
        (["default", "nope"], "there is no remote 'nope'"),
        (["rename", "nope", "new"], "there is no remote 'nope'"),
        (["rename", "store", "a.b"], "a.b"),
        (["remove", "nope"], "there is no remote 'nope'"),
    ],
)
def test_remote_commands_that_make_no_sense(project: Path, args: list[str], part: str) -> None:
    before = image(project)
    refused(run_mlvc("remote", *args, cwd=project, check=False), USAGE, part, hint=False)
    assert image(project) == before


# -- revisions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ["diff", "nope"],
        ["diff", "HEAD", "nope"],
        ["checkout", "--rev", "nope"],
        ["push", "--rev", "nope"],
        ["pull", "--rev=--all"],
        ["fetch", "--rev", ""],
    ],
    ids=" ".join,
)
def test_a_revision_that_is_not_there(project: Path, args: list[str]) -> None:
    said(project, *args, parts=("is no revision of this repository", "git log"))


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["diff", "data"], "`mlvc diff -t data`"),
        (["diff", "HEAD", "data/sub/four file.txt"], "`mlvc diff -t 'data/sub/four file.txt'`"),
        (["diff", "HEAD~1..main"], "`mlvc diff HEAD~1 main`"),
        (["diff", "v1...v2"], "`mlvc diff v1 v2`"),
        (["diff", "v1.."], "`mlvc diff v1 HEAD`"),
    ],
    ids=str,
)
def test_what_git_takes_in_the_place_of_a_revision(project: Path, args: list[str], hint: str) -> None:
    said(project, *args, parts=("is no revision of this repository", hint))


def test_whether_a_name_is_a_revision(project: Path) -> None:
    found = discover(str(project), {})
    assert [is_revision(found, name) for name in ("HEAD", "main", "data", "--all", "")] == [True, True, *[False] * 3]


def test_missing_data_of_a_revision_is_fetched_by_that_revision() -> None:
    error = lost.check({"data": "missing"}, "checked out", rev="HEAD~2")
    assert error is not None
    assert error.hint == "`mlvc pull --rev HEAD~2` gets it from a remote and checks it out"
    error = lost.check({"data": "missing"}, "checked out")
    assert error is not None
    assert "--rev" not in error.hint


# -- the pipeline ------------------------------------------------------------------------------

CYCLE = "stages: {a: {cmd: cp x y, deps: [x], outs: [y]}, b: {cmd: cp y x, deps: [y], outs: [x]}}\n"
TWICE = "stages: {a: {cmd: touch y, outs: [y]}, b: {cmd: touch y, outs: [y]}}\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (CYCLE, ("a -> b -> a",)),
        (TWICE, ("'a'", "'b'", "'y'")),
        ("stages: {a: {cmd: touch y, otus: [y]}}\n", ("mlvc.yaml, line 1", "otus", "did you mean 'outs'?")),
        ("stages: {a: {cmd: touch data, outs: [data]}}\n", ("'data'", "Pointer")),
        ("stages: {a: {cmd: touch y, outs: [sub/.git/x]}}\n", ("'sub/.git/x' belongs to Git",)),
        ("stages: {a: {cmd: touch y, outs: [mlvc.lock]}}\n", ("'mlvc.lock' cannot be an output",)),
        ("stages: {a: {cmd: touch y, outs: [{mlvc.yaml: {cache: false}}]}}\n", ("'mlvc.yaml' cannot be an output",)),
        ('stages: {a: {cmd: "a\\0b", outs: [y]}}\n', ("null character",)),
    ],
)
def test_a_pipeline_that_makes_no_sense(project: Path, text: str, parts: tuple[str, ...]) -> None:
    (project / "mlvc.yaml").write_text(text)
    said(project, "repro", code=PipelineError.exit_code, parts=parts)


def test_a_pipeline_file_that_does_not_parse(project: Path) -> None:
    (project / "mlvc.yaml").write_text("stages:\n  a: [\n")
    for command in ("repro", "status", "dag"):
        before = image(project)
        refused(run_mlvc(command, cwd=project, check=False), PipelineError.exit_code, "mlvc.yaml, line", hint=False)
        assert image(project) == before


def test_no_pipeline(project: Path) -> None:
    said(project, "repro", parts=("no pipeline", "mlvc stage add"))
    for command in (["dag"], ["stage", "list"]):
        result = run_mlvc(*command, cwd=project)
        assert (result.out, "mlvc stage add" in result.err) == ("", True)


def test_a_dependency_that_is_not_there(project: Path) -> None:
    (project / "mlvc.yaml").write_text("stages: {a: {cmd: cp nope y, deps: [nope], outs: [y]}}\n")
    before = image(project)
    refused(run_mlvc("repro", cwd=project, check=False), PipelineError.exit_code, "'nope'", "'a'")
    assert not (project / "y").exists()
    after = image(project)
    changed = {path for path in after.keys() | before.keys() if before.get(path) != after.get(path)}
    assert changed <= {".gitignore", ".git/mlvc/repro"}


@pytest.mark.parametrize(
    ("cmd", "parts"),
    [
        ("echo half > out; exit 3", ("'bad'", "exit code 3", "echo half > out; exit 3")),
        ("no-such-program --flag", ("'bad'", "not found", "no-such-program --flag")),
        ("./data/one.txt", ("'bad'", "cannot be executed")),
        ("true", ("'bad'", "'out'")),
    ],
)
def test_a_command_that_fails(project: Path, cmd: str, parts: tuple[str, ...]) -> None:
    text = "stages:\n  good: {cmd: echo good > good, outs: [good]}\n"
    text += f"  bad: {{cmd: {cmd!r}, deps: [good], outs: [out]}}\n"
    (project / "mlvc.yaml").write_text(text)
    before = shell.tree(project / "data")
    result = run_mlvc("repro", cwd=project, check=False)
    assert result.out == ""
    assert result.code == StageFailedError.exit_code
    shell.ends(result, *parts)
    # What was finished is recorded; nothing is lost; once the command is mended, the work goes on.
    assert shell.tree(project / "data") == before
    assert '"good"' in (project / "mlvc.lock").read_text()
    assert '"bad"' not in (project / "mlvc.lock").read_text()
    (project / "mlvc.yaml").write_text(text.replace(repr(cmd), "cp good out"))
    assert "1 unchanged, 1 ran" in run_mlvc("repro", cwd=project).err
    assert (project / "out").read_text() == "good\n"


# -- the command line --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["zzzz"], ("there is no command 'mlvc zzzz'", "mlvc --help")),
        (["statsu"], ("there is no command 'mlvc statsu'", "mlvc status")),
        (["remote", "lst"], ("there is no command 'mlvc remote lst'", "mlvc remote list")),
        (["add"], ("missing argument", "PATH", "mlvc add --help")),
        (["status", "--jsno"], ("--jsno", "did you mean `--json`?")),
        (["push", "-j", "many"], ("many", "mlvc push --help")),
        (["push", "-j", "-1"], ("-1", "mlvc push --help")),
        (["push", "-r"], ("-r", "mlvc push --help")),
        (["remote", "add", "x"], ("URL", "mlvc remote add --help")),
        (["stage", "add", "true"], ("--name", "mlvc stage add --help")),
        (["init", "--hash", "md5"], ("md5",)),
        (["dag", "--dot", "--mermaid"], ("choose one",)),
    ],
    ids=" ".join,
)
def test_a_command_line_that_makes_no_sense(args: list[str], parts: tuple[str, ...]) -> None:
    root = make_git_repo()
    before = image(root)
    refused(run_mlvc(*args, cwd=root, check=False), USAGE, *parts, hint=args[0] not in {"init", "dag"})
    assert image(root) == before


@pytest.mark.parametrize("word", sorted(ELSEWHERE))
def test_a_command_of_git_or_of_another_tool(project: Path, word: str) -> None:
    said(project, word, "data", parts=(f"there is no command 'mlvc {word}'\nhint: {ELSEWHERE[word]}",))
    assert word not in COMMANDS


def test_without_a_command_the_help_comes_on_stderr() -> None:
    result = run_mlvc(check=False)
    assert (result.code, result.out) == (USAGE, "")
    assert "Usage: mlvc" in result.err


def test_a_reader_that_goes_away_is_no_error(project: Path) -> None:
    shell.write(project, {f"many/{number:05}": b"%d" % number for number in range(3000)})
    run_mlvc("add", "many", cwd=project)
    command = "set -o pipefail; python -P -m mlvc diff | head -n 1"
    result = run(["bash", "-c", command], cwd=project, env={"PYTHONPATH": str(Path(__file__).parents[2])})
    assert len(result.out.splitlines()) == 1
    assert result.err == "3,000 added\n"


@pytest.mark.parametrize(("command", "code"), [("status --exit-code", 1), ("checkout --json", 4), ("repro", 7)])
def test_the_exit_code_is_that_of_the_work_whoever_reads(project: Path, command: str, code: int) -> None:
    (project / "model.bin").unlink()
    shutil.rmtree(project / ".git/mlvc/packs")
    stages = 'stages:\n  a: {cmd: "echo 1 > a", outs: [a]}\n  b: {cmd: "exit 1", deps: [a], outs: [b]}\n'
    (project / "mlvc.yaml").write_text(stages)
    for end in ("2>&1 | head -0", "2>&1 | head -1", ">&-", "2>&-", ">&- 2>&-", "2>/dev/full"):
        line = f"(python -P -m mlvc {command}; echo $? > ../code) {end}"
        run(["bash", "-c", line], cwd=project, env={"PYTHONPATH": str(Path(__file__).parents[2])}, check=False)
        assert (project.parent / "code").read_text().strip() == str(code), end
    assert (project / "a").exists() == (command == "repro")


def test_a_full_disk_behind_standard_output_is_an_error(project: Path) -> None:
    line = "python -P -m mlvc config > /dev/full"
    result = run(["bash", "-c", line], cwd=project, env={"PYTHONPATH": str(Path(__file__).parents[2])}, check=False)
    assert (result.code, "disk is full" in result.err) == (8, True)


# -- what would harm Git, mlvc or the data -----------------------------------------------------


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes", "mlvc.yaml", "mlvc.lock", ".mlvcignore"])
def test_what_git_or_mlvc_reads_cannot_be_tracked(project: Path, name: str) -> None:
    (project / name).write_text("# x\n")
    said(project, "add", name, parts=(f"{name} cannot be tracked",))


def test_a_pointer_that_git_would_ignore(project: Path) -> None:
    (project / ".gitignore").write_text("build/\n*.h5.mlvc\n")
    shell.write(project, {"build/model.bin": b"m", "a.h5": b"h"})
    said(project, "add", "build/model.bin", parts=("Git ignores build/model.bin.mlvc", ".gitignore:1: build/"))
    said(project, "add", "a.h5", parts=("Git ignores a.h5.mlvc", ".gitignore:2"))


def test_a_path_in_another_repository(project: Path) -> None:
    make_git_repo(project / "nested")
    shell.write(project / "nested", {"x": b"x"})
    said(project, "add", "nested/x", parts=("is in another Git repository, nested",))


def test_a_pointer_without_a_place(project: Path) -> None:
    name = "n" * 252
    shell.write(project, {"x": b"x", "x.mlvc/y": b"y", name: b"n"})
    said(project, "add", "x", parts=("x.mlvc is a directory",))
    said(project, "add", name, parts=("too long for a Pointer",))


def test_what_mlvcignore_names_cannot_be_named(project: Path) -> None:
    (project / ".mlvcignore").write_text("*.tmp\n")
    shell.write(project, {"data/x.tmp": b"x"})
    said(project, "add", "data/x.tmp", parts=("data/x.tmp is named in .mlvcignore",))


def test_what_is_never_tracked_is_told(project: Path) -> None:
    shell.write(project, {"data/__pycache__/x": b"x", "data/.hg/y": b"y", "data/.mlvcignore": b"z"})
    assert "left out data/__pycache__" in run_mlvc("add", "data", cwd=project).err
    shutil.rmtree(project / "data")
    run_mlvc("checkout", cwd=project)
    assert (project / "data/.hg/y").exists()
    assert (project / "data/.mlvcignore").exists()
    assert not (project / "data/__pycache__").exists()


def test_inside_of_an_output(project: Path) -> None:
    (project / "mlvc.yaml").write_text("stages: {s: {cmd: mkdir -p out && echo 1 > out/x, outs: [out]}}\n")
    run_mlvc("repro", cwd=project)
    said(project, "add", "out/x", parts=("out/x is inside of out, which a stage makes",))


NO_REPLACE = """
import os

replace = os.replace


def fails(source, target, **more):
    if target.endswith("x.mlvc"):
        raise OSError(5, "no")
    return replace(source, target, **more)


os.replace = fails
"""


def test_when_the_pointer_cannot_be_written_gitignore_is_as_before(project: Path) -> None:
    (project / "sub").mkdir()
    (project / "sub/x").write_bytes(b"x")
    hook = project.parent / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(NO_REPLACE)
    before = (project / ".gitignore").read_bytes()
    environment = {"PYTHONPATH": os.pathsep.join([str(hook), str(Path(__file__).parents[2])])}
    result = run(["python", "-P", "-m", "mlvc", "add", "sub/x"], cwd=project, env=environment, check=False)
    assert result.code == 8
    assert (project / ".gitignore").read_bytes() == before
    assert os.listdir(project / "sub") == ["x"]
    run_mlvc("add", "sub/x", cwd=project)


def test_file_names_in_another_encoding(project: Path) -> None:
    odd = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    result = run(["python", "-P", "-m", "mlvc", "status"], cwd=project, env=odd, check=False)
    refused(result, USAGE, "mlvc needs UTF-8")


BOMB = [f"b{n}: &b{n} [{', '.join([f'*b{n - 1}' if n else '*a'] * 10)}]" for n in range(8)]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("rec: &r [*r]\n", "contains itself"),
        ("n: " + "9" * 5000 + "\n", "cannot be read"),
        ("\n".join(["a: &a [1, 2]", *BOMB]), "million"),
        ("n: !!int abc\n", "cannot be read"),
    ],
)
def test_parameters_that_cannot_be_read(project: Path, text: str, part: str) -> None:
    (project / "params.yaml").write_text(text)
    (project / "mlvc.yaml").write_text("stages: {s: {cmd: echo 1 > out, params: [rec, n, a], outs: [out]}}\n")
    assert part in run_mlvc("status", cwd=project).out
    result = run_mlvc("repro", cwd=project, check=False)
    assert (result.code, part in result.err) == (USAGE, True), result
