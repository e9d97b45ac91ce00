"""``ls``, ``du`` and ``cat``: of the working tree, of revisions, of other repositories, without a checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlvc.oid import LENGTHS
from tests.helpers import SOURCES, git, make_git_repo, run_mlvc, shell
from tests.helpers.shell import image, refused

both = pytest.mark.parametrize("algorithm", list(LENGTHS))
IN_DATA = ["data/empty/", "data/link", "data/one.txt", "data/sub/", "data/two.txt"]
ALL = ["data/empty/", "data/link", "data/one.txt", "data/sub/four file.txt", "data/sub/three.txt", "data/two.txt"]


def lines(root: Path, *args: str) -> list[str]:
    return run_mlvc(*args, cwd=root).out.splitlines()


def as_json(root: Path, *args: str, code: int = 0) -> dict[str, object]:
    result = run_mlvc(*args, "--json", cwd=root, check=False)
    assert result.code == code, result
    value: dict[str, object] = json.loads(result.out)
    return value


def emptied(root: Path) -> Path:
    """The same repository without its data and without its Store."""
    shutil.rmtree(root / "data")
    (root / "model.bin").unlink()
    shutil.rmtree(root / ".git/mlvc/packs")
    shutil.rmtree(root / ".git/mlvc/loose", ignore_errors=True)
    return root


def objects_in(root: Path) -> set[str]:
    return {str(path) for folder in ("packs", "loose") for path in (root / ".git/mlvc").glob(f"{folder}/**/*")}


def bytes_of(root: Path, *args: str) -> bytes:
    command = [sys.executable, "-P", "-m", "mlvc", "cat", *args]
    return subprocess.run(
        command, cwd=root, env=os.environ | {"PYTHONPATH": SOURCES}, capture_output=True, check=True
    ).stdout


# -- ls ----------------------------------------------------------------------------------------


def test_what_is_listed(pushed: Path) -> None:
    shell.write(pushed, {"models/a.bin": b"a", "models/deep/b.bin": b"bb"})
    run_mlvc("add", "models/a.bin", "models/deep/b.bin", cwd=pushed)
    (pushed / "mlvc.yaml").write_text("stages: {a: {cmd: cp -r data out, deps: [data], outs: [out]}}\n")
    run_mlvc("repro", cwd=pushed)
    tops = ["data/", "model.bin", "models/a.bin", "models/deep/b.bin", "out/"]
    assert lines(pushed, "ls") == lines(pushed, "ls", ".") == lines(pushed / "models", "ls") == tops
    assert lines(pushed, "ls", "data") == lines(pushed, "ls", "data.mlvc") == IN_DATA
    assert lines(pushed, "ls", "out") == [path.replace("data", "out", 1) for path in IN_DATA]
    assert lines(pushed, "ls", "-R", "data") == ALL
    assert lines(pushed, "ls", "-R")[: len(ALL) + 1] == [*ALL, "model.bin"]
    assert lines(pushed, "ls", "data/sub") == lines(pushed / "data", "ls", "sub") == ALL[3:5]
    assert lines(pushed, "ls", "data/sub", "-R") == ALL[3:5]
    assert lines(pushed, "ls", "data/two.txt") == ["data/two.txt"]
    assert lines(pushed, "ls", "models") == tops[2:4]
    assert lines(pushed / "models", "ls", ".") == tops[2:4]
    assert lines(pushed, "ls", "model.bin") == ["model.bin"]
    empty = run_mlvc("ls", "data/empty", cwd=pushed)
    assert (empty.out, empty.err) == ("", "nothing is in it\n")


def test_sizes_and_trees(pushed: Path) -> None:
    assert lines(pushed, "ls", "--size") == ["  26 B  data/", "1.5 MB  model.bin"]
    assert lines(pushed, "ls", "--size", "data") == [
        " 0 B  data/empty/",
        " 7 B  data/link",
        " 4 B  data/one.txt",
        "11 B  data/sub/",
        " 4 B  data/two.txt",
    ]
    assert lines(pushed, "ls", "--tree", "--size") == [
        "├── data/",
        "│   ├── empty/",
        "│   ├── link  (7 B)",
        "│   ├── one.txt  (4 B)",
        "│   ├── sub/",
        "│   │   ├── four file.txt  (5 B)",
        "│   │   └── three.txt  (6 B)",
        "│   └── two.txt  (4 B)",
        "└── model.bin  (1.5 MB)",
    ]


def test_an_empty_directory_and_nothing_at_all(project: Path, git_repo) -> None:
    (project / "hollow").mkdir()
    run_mlvc("add", "hollow", cwd=project)
    assert lines(project, "ls", "-R")[-2:] == ["hollow/", "model.bin"]
    bare = git_repo("new")
    run_mlvc("init", cwd=bare)
    result = run_mlvc("ls", cwd=bare)
    assert (result.out, result.err) == ("", "nothing is tracked\n")
    assert as_json(bare, "ls")["items"] == []


def test_a_name_that_would_break_a_line(project: Path) -> None:
    shell.write(project, {"data/a\nb": b"x"})
    run_mlvc("add", "data", cwd=project)
    assert "data/a\\nb" in lines(project, "ls", "data")
    assert "data/a\nb" in [item["path"] for item in as_json(project, "ls", "data")["items"]]


@both
def test_ls_as_json(pushed: Path, algorithm: str) -> None:
    found = as_json(pushed, "ls", "data", "--rev", "HEAD")
    assert found["commit"] == git("rev-parse", "HEAD", cwd=pushed)
    assert (found["lost"], found["unreadable"]) == ([], [])
    items = {item["path"]: item for item in found["items"]}
    assert items["data/sub"] == {"path": "data/sub", "kind": "dir", "size": 11, "files": 2, "oid": None}
    assert items["data/empty"]["kind"] == "dir"
    assert items["data/link"]["kind"] == "symlink"
    assert items["data/two.txt"]["kind"] == "executable"
    assert items["data/one.txt"]["oid"].startswith(f"{algorithm}:")
    top = as_json(pushed, "ls")
    assert top["commit"] is None
    assert [(item["path"], item["files"]) for item in top["items"]] == [("data", 6), ("model.bin", 1)]


def test_another_revision(pushed: Path) -> None:
    shell.write(pushed, {"data/new.txt": b"new"})
    run_mlvc("add", "data", cwd=pushed)
    assert "data/new.txt" in lines(pushed, "ls", "data")
    assert "data/new.txt" not in lines(pushed, "ls", "data", "--rev", "HEAD")
    refused(run_mlvc("ls", "--rev", "v9", cwd=pushed, check=False), 2, "'v9' is no revision")
    result = run_mlvc("ls", "data/new.txt", "--rev", "HEAD", cwd=pushed, check=False)
    refused(result, 2, "data/new.txt is not tracked at HEAD", "mlvc ls --rev HEAD")


@pytest.mark.parametrize("path", ["nothing", "data/nothing", "model.bin/x", "mlvc.lock", "dat"])
def test_what_is_not_tracked(pushed: Path, path: str) -> None:
    for command in ("ls", "du", "cat"):
        refused(run_mlvc(command, path, cwd=pushed, check=False), 2, f"{path} is not tracked", "mlvc ls")


@both
def test_from_the_remote_and_not_kept(pushed: Path) -> None:
    clone = shell.clone(pushed)
    assert lines(clone, "ls", "-R") == [*ALL, "model.bin"]
    assert lines(clone, "ls", "data/sub") == ALL[3:5]
    assert bytes_of(clone, "model.bin") == shell.LARGE
    assert bytes_of(clone, "data/sub/four file.txt") == b"four\n"
    assert objects_in(clone) == set()
    assert not (clone / "data").exists()


def test_what_can_be_had_from_neither(pushed: Path) -> None:
    clone = shell.clone(pushed)
    shell.write(pushed, {"data/one.txt": b"changed\n"})
    run_mlvc("commit", cwd=pushed)
    shell.commit(pushed)
    git("pull", "--quiet", cwd=clone)
    assert lines(clone, "ls") == ["data/", "model.bin"]  # Pointers tell that
    result = run_mlvc("ls", "-R", cwd=clone, check=False)
    assert (result.code, result.out) == (4, "model.bin\n")  # the rest is told
    shell.ends(result, "data could not be read", "missing", "'store'", "mlvc push")
    assert as_json(clone, "ls", "data", code=4)["lost"] == [{"path": "data", "reason": "missing"}]
    refused(run_mlvc("cat", "data/one.txt", cwd=clone, check=False), 4, "data could not be read")
    git("rm", "--quiet", "-r", ".mlvc", cwd=clone)
    (clone / ".mlvc").mkdir()
    (clone / ".mlvc/config.toml").write_text("[core]\n")
    result = run_mlvc("ls", "data", cwd=clone, check=False)
    refused(result, 4, "data could not be read", "no remote is configured", "mlvc remote add")


def test_a_remote_that_is_not_there_and_one_by_name(pushed: Path) -> None:
    (pushed.parent / "remote").rename(pushed.parent / "moved")
    clone = shell.clone(pushed)
    refused(run_mlvc("ls", "data", cwd=clone, check=False), 6, "nothing is at remote 'store'")
    run_mlvc("remote", "add", "other", "../moved", cwd=clone)
    assert lines(clone, "ls", "data", "-r", "other") == IN_DATA
    assert bytes_of(clone, "data/one.txt", "--remote", "other") == b"one\n"
    refused(run_mlvc("ls", "data", "-r", "nope", cwd=clone, check=False), 2, "no remote 'nope'", "other")


def test_a_pointer_that_cannot_be_read(pushed: Path) -> None:
    (pushed / "data.mlvc").write_text("no Pointer\n")
    for command, listed in (("ls", "model.bin\n"), ("du", "model.bin")):
        result = run_mlvc(command, cwd=pushed, check=False)
        assert result.code == 2
        assert listed in result.out
        shell.ends(result, "data.mlvc")
    refused(run_mlvc("cat", "data/one.txt", cwd=pushed, check=False), 2, "data.mlvc")
    assert as_json(pushed, "ls", code=2)["unreadable"]


# -- du ----------------------------------------------------------------------------------------


@both
def test_how_much_it_is(pushed: Path) -> None:
    assert lines(pushed, "du")[:3] == [
        "  26 B  6 files  data/",
        "1.5 MB  1 file   model.bin",
        "1.5 MB  7 files  total",
    ]
    found = as_json(pushed, "du")
    assert (found["size"], found["files"], found["missing"]) == (26 + len(shell.LARGE), 7, 0)
    # It repeats itself and compresses well, but it is not nothing.
    assert 100 < found["stored"] < found["size"] / 10
    assert lines(pushed, "du", "--bytes")[1] == f"{len(shell.LARGE)}  1 file   model.bin"
    assert lines(pushed, "du", "--bytes")[-1] == f"in the store: {found['stored']}"
    parts = [as_json(pushed, "du", path)["stored"] for path in ("data", "model.bin")]
    assert abs(sum(parts) - found["stored"]) <= 1


def test_equal_parts_are_stored_once(pushed: Path) -> None:
    before = as_json(pushed, "du")
    shutil.copytree(pushed / "data", pushed / "copy", symlinks=True)
    run_mlvc("add", "copy", cwd=pushed)
    after = as_json(pushed, "du")
    assert after["size"] == before["size"] + 26
    assert after["stored"] == before["stored"]


def test_how_much_a_part_is(pushed: Path) -> None:
    assert lines(pushed, "du", "data/sub", "data/one.txt", "--bytes")[:3] == [
        "11  2 files  data/sub/",
        " 4  1 file   data/one.txt",
        "15  3 files  total",
    ]
    assert as_json(pushed / "data", "du", "sub")["size"] == 11
    shell.write(pushed, {"data/new.txt": b"new"})
    run_mlvc("add", "data", cwd=pushed)
    assert as_json(pushed, "du", "data")["size"] == 29
    assert as_json(pushed, "du", "data", "--rev", "HEAD")["size"] == 26


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["data/one.txt", "data/one.txt"], ["data/one.txt"]),
        (["data/sub/three.txt", "data/sub"], ["data/sub"]),
        (["data/sub", "data/one.txt"], ["data/sub", "data/one.txt"]),
        (["data/sub", "data", "."], ["data", "model.bin"]),
    ],
)
def test_what_is_named_twice_counts_once(pushed: Path, paths: list[str], told: list[str]) -> None:
    found = json.loads(run_mlvc("du", *paths, "--json", cwd=pushed).out)
    assert [item["path"] for item in found["paths"]] == told
    assert found["size"] == sum(item["size"] for item in found["paths"])


def test_how_much_of_what_is_not_here(pushed: Path) -> None:
    clone = shell.clone(pushed)
    found = as_json(clone, "du")
    assert (found["size"], found["stored"], found["missing"]) == (26 + len(shell.LARGE), 0, 2)
    assert lines(clone, "du")[-1] == "in the store: 0 B; not there: 2 objects"
    assert as_json(clone, "du", "data/sub")["size"] == 11


# -- cat ---------------------------------------------------------------------------------------


@both
def test_bytes_as_they_are(pushed: Path) -> None:
    assert bytes_of(pushed, "model.bin") == shell.LARGE
    assert bytes_of(pushed, "data/one.txt") == bytes_of(pushed / "data", "one.txt") == b"one\n"
    assert bytes_of(pushed, "data/link") == b"one\n"
    shell.write(pushed, {"data/one.txt": b"\r\n\0\xff"})
    run_mlvc("commit", cwd=pushed)
    assert bytes_of(pushed, "data/one.txt") == b"\r\n\0\xff"
    assert bytes_of(pushed, "data/one.txt", "--rev", "HEAD") == b"one\n"


def test_a_directory_is_no_file(pushed: Path) -> None:
    for path in ("data", "data/sub", "data/empty", "."):
        refused(run_mlvc("cat", path, cwd=pushed, check=False), 2, f"{path} is a directory", "mlvc ls")


def test_links_in_a_tracked_directory(pushed: Path) -> None:
    (pushed / "data/sub/up").symlink_to("../link")
    (pushed / "data/circle").symlink_to("circle")
    (pushed / "data/away").symlink_to("../README")
    run_mlvc("add", "data", cwd=pushed)
    assert bytes_of(pushed, "data/sub/up") == b"one\n"
    refused(run_mlvc("cat", "data/circle", cwd=pushed, check=False), 2, "data/circle", "circle")
    refused(run_mlvc("cat", "data/away", cwd=pushed, check=False), 2, "README is not tracked")


@both
def test_damage_is_told_and_mended_from_the_remote(pushed: Path) -> None:
    for path in (pushed / ".git/mlvc/packs").iterdir():
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[40:-400:7] = bytes(byte ^ 1 for byte in data[40:-400:7])
        path.write_bytes(data)
    before = image(pushed, git_index=True)
    assert bytes_of(pushed, "data/one.txt") == b"one\n"  # from the Remote
    assert bytes_of(pushed, "model.bin") == shell.LARGE
    assert image(pushed, git_index=True) == before
    shutil.rmtree(pushed.parent / "remote/packs")
    for path in ("data/one.txt", "model.bin"):
        result = run_mlvc("cat", path, cwd=pushed, check=False)
        assert result.code == 4
        shell.ends(result, "could not be read", "damaged", "'store'")
        assert result.out != shell.LARGE.decode("latin-1")


@both
def test_a_large_file_that_is_kept_whole(pushed: Path) -> None:
    run_mlvc("config", "core.link", "hardlink", cwd=pushed)
    data = os.urandom(3 << 20)
    shell.write(pushed, {"whole.bin": data})
    run_mlvc("add", "whole.bin", cwd=pushed)
    (path,) = (pushed / ".git/mlvc/loose").glob("*/*")
    assert bytes_of(pushed, "whole.bin") == data
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(2 << 20)
        file.write(b"damage")
    result = run_mlvc("cat", "whole.bin", cwd=pushed, check=False)
    assert result.code == 4
    shell.ends(result, "whole.bin could not be read", "damaged")


def test_a_reader_that_goes_is_no_error(pushed: Path) -> None:
    script = f"'{sys.executable}' -P -m mlvc cat model.bin; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({script}) | head -c 10"],
        cwd=pushed,
        env=os.environ | {"PYTHONPATH": SOURCES},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (shell.LARGE[:10], b"0\n")


# -- other repositories ------------------------------------------------------------------------


@pytest.fixture
def published(pushed: Path) -> Path:
    """A bare repository that a server would have, of ``pushed`` with an address that is right everywhere.

    Two commits: ``v1`` is the first one.
    """
    git("tag", "v1", cwd=pushed)
    run_mlvc("remote", "modify", "store", "url", str(pushed.parent / "remote"), cwd=pushed)
    shell.write(pushed, {"data/one.txt": b"changed\n"})
    run_mlvc("commit", cwd=pushed)
    run_mlvc("push", cwd=pushed)
    shell.commit(pushed, "second")
    bare = pushed.parent / "published.git"
    git("clone", "--quiet", "--bare", pushed, bare)
    git("config", "uploadpack.allowFilter", "true", cwd=bare)
    return bare


@pytest.mark.parametrize("place", ["path", "bare", "url"])
def test_roots_further_down_in_another_repository(tmp_path: Path, place: str) -> None:
    mono = make_git_repo(tmp_path / "mono")
    for name, algorithm in (("a", "xxh128"), ("b c", "blake3")):
        (mono / name).mkdir()
        run_mlvc("init", "--subdir", "--hash", algorithm, cwd=mono / name)
        run_mlvc("remote", "add", "-d", "store", str(tmp_path / f"remote {name}"), cwd=mono / name)
        shell.write(mono / name, {"data/sub/x.txt": name.encode()})
        run_mlvc("add", "data", cwd=mono / name)
        run_mlvc("push", cwd=mono / name)
    shell.commit(mono)
    bare = tmp_path / "bare.git"
    git("clone", "--quiet", "--bare", mono, bare)
    git("config", "uploadpack.allowFilter", "true", cwd=bare)
    url = {"path": str(mono), "bare": str(bare), "url": f"file://{bare}"}[place]
    assert run_mlvc("ls", "b c", "--repo", url).out == "b c/data/\n"
    assert run_mlvc("ls", "-R", "a/data", "--repo", url).out == "a/data/sub/x.txt\n"
    assert run_mlvc("cat", "b c/data/sub/x.txt", "--repo", url).out == "b c"
    run_mlvc("get", url, "b c/data/sub", "-o", "got", cwd=tmp_path)
    assert (tmp_path / "got/x.txt").read_text() == "b c"
    refused(
        run_mlvc("ls", "--repo", url, check=False), 2, "there is no mlvc in", "name a path in one of its roots: a, b c"
    )
    refused(
        run_mlvc("ls", "b c/y", "--repo", url, check=False), 2, "b c/y is not tracked", f"mlvc ls 'b c' --repo {url}"
    )
    # A root at the top does not go into the others.
    run_mlvc("init", cwd=mono)
    shell.commit(mono)
    git("push", "--quiet", str(bare), "HEAD", cwd=mono)
    assert run_mlvc("ls", "--repo", url).out == ""
    assert run_mlvc("ls", "a", "--repo", url).out == "a/data/\n"
    if place == "path":
        assert run_mlvc("ls", "--repo", str(mono / "a/data")).out == "data/\n"
        assert run_mlvc("ls", "a/data", "--repo", "mono", cwd=tmp_path).out == "a/data/sub/\n"


@both
@pytest.mark.parametrize("place", ["path", "bare", "url"])
def test_in_another_repository(published: Path, pushed: Path, place: str, algorithm: str) -> None:
    address = {"path": os.fspath(pushed), "bare": os.fspath(published), "url": published.as_uri()}[place]
    if place == "path":
        shutil.rmtree(pushed.parent / "remote")  # its Store does
    before = image(pushed, git_index=True), image(published)
    nowhere = pushed.parents[1]
    assert lines(nowhere, "ls", "--repo", address) == ["data/", "model.bin"]
    assert [item["path"] for item in as_json(nowhere, "du", "--repo", address)["paths"]] == ["data", "model.bin"]
    assert lines(nowhere, "ls", "data", "--repo", address) == IN_DATA
    assert as_json(nowhere, "ls", "--repo", address)["commit"] == git("rev-parse", "main", cwd=published)
    assert bytes_of(nowhere, "data/one.txt", "--repo", address) == b"changed\n"
    assert bytes_of(nowhere, "model.bin", "--repo", address) == shell.LARGE
    if place == "path":
        assert bytes_of(nowhere, "data/one.txt", "--repo", address, "--rev", "v1") == b"one\n"
    assert (image(pushed, git_index=True), image(published)) == before


@pytest.mark.parametrize("filtered", ["true", "false"])
def test_every_way_to_name_a_revision(published: Path, pushed: Path, filtered: str) -> None:
    git("config", "uploadpack.allowFilter", filtered, cwd=published)
    git("branch", "side/branch", "v1", cwd=published)
    git("tag", "-a", "-m", "annotated", "v1.0", "v1", cwd=published)
    commit = git("rev-parse", "v1", cwd=published)
    for rev in ("v1", "side/branch", "v1.0", commit, commit[:7], "main~1", "HEAD~1", "v1.0^{commit}", "", "main"):
        found = as_json(Path.cwd(), "ls", "--repo", published.as_uri(), "--rev", rev)
        assert found["commit"] == (commit if rev not in ("", "main") else git("rev-parse", "main", cwd=published)), rev
    # What is new there is seen, and a commit that is known needs nobody.
    git("commit", "--quiet", "--allow-empty", "-m", "third", cwd=pushed)
    git("push", "--quiet", published, "main", cwd=pushed)
    found = as_json(Path.cwd(), "ls", "--repo", published.as_uri())
    assert found["commit"] == git("rev-parse", "HEAD", cwd=pushed)
    published.rename(published.with_name("moved"))
    assert lines(Path.cwd(), "ls", "--repo", published.as_uri(), "--rev", commit) == ["data/", "model.bin"]
    refused(run_mlvc("ls", "--repo", published.as_uri(), check=False), 6, "Git cannot read")
    published.with_name("moved").rename(published)
    for rev in ("v9", "0123456", "main~9", "-x", "a:b", "+main", "0" * 40):
        result = run_mlvc("ls", "--repo", published.as_uri(), f"--rev={rev}", check=False)
        refused(result, 2, f"'{rev}' is no revision of {published.as_uri()}", "git ls-remote")


def test_the_copy_of_the_git_side_has_no_data_and_no_address(published: Path) -> None:
    cache = Path(os.environ["XDG_CACHE_HOME"], "mlvc")
    run_mlvc("ls", "--repo", published.as_uri())
    (copy,) = (path for path in (cache / "git").iterdir() if path.is_dir())
    assert published.as_uri() not in (copy / "config").read_text()
    kinds = git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype)", cwd=copy).split()
    assert kinds.count("blob") == 3  # two Pointers and the settings
    assert kinds.count("commit") == 1
    shutil.rmtree(cache)
    (copy.parent / f"{copy.name}.new/objects").mkdir(parents=True)  # as a killed one leaves it
    assert lines(Path.cwd(), "ls", "--repo", published.as_uri()) == ["data/", "model.bin"]
    assert not (copy.parent / f"{copy.name}.new").exists()


def test_several_at_once(published: Path) -> None:
    command = [sys.executable, "-P", "-m", "mlvc", "ls", "--repo", published.as_uri(), "--rev"]
    environment = os.environ | {"PYTHONPATH": SOURCES}
    running = [
        subprocess.Popen([*command, rev], env=environment, stdout=subprocess.PIPE) for rev in ("v1", "main", "HEAD~1")
    ]
    assert [one.communicate()[0] for one in running] == [b"data/\nmodel.bin\n"] * 3
    assert [one.returncode for one in running] == [0, 0, 0]


def test_a_repository_of_sha_256() -> None:
    git("init", "--quiet", "-b", "main", "--object-format=sha256", "project")
    project = Path("project").absolute()
    run_mlvc("init", cwd=project)
    shell.write(project, {"one": b"1"})
    run_mlvc("add", "one", cwd=project)
    run_mlvc("remote", "add", "-d", "store", str(project.parent / "remote"), cwd=project)
    run_mlvc("push", cwd=project)
    shell.commit(project)
    git("tag", "v1", cwd=project)
    for rev in ("v1", git("rev-parse", "v1", cwd=project), ""):
        assert bytes_of(Path.cwd(), "one", "--repo", project.as_uri(), "--rev", rev) == b"1"


@pytest.mark.parametrize("setting", ["", "relative/cache"])
def test_where_the_cache_is(published: Path, setting: str) -> None:
    run_mlvc("ls", "--repo", published.as_uri(), env={"XDG_CACHE_HOME": setting})
    assert Path(os.environ["HOME"], ".cache/mlvc/git").is_dir()
    assert not Path("relative").exists()


def test_in_the_environment_of_a_hook(published: Path, pushed: Path) -> None:
    other = make_git_repo("other")
    environment = {"GIT_DIR": str(other / ".git"), "GIT_INDEX_FILE": str(other / ".git/index"), "GIT_PREFIX": ""}
    for address in (os.fspath(pushed), os.fspath(published), published.as_uri()):
        result = run_mlvc("ls", "--repo", address, cwd=other, env=environment)
        assert result.out.splitlines() == ["data/", "model.bin"], address


def test_another_repository_that_will_not_do(published: Path, pushed: Path, git_repo) -> None:
    def wrong(code: int, *args: str, told: tuple[str, ...]) -> None:
        refused(run_mlvc("ls", *args, check=False), code, *told)

    plain = git_repo("plain")
    wrong(2, "--repo", "plain", told=("mlvc is not set up in",))
    shell.commit(plain)
    wrong(2, "--repo", plain.as_uri(), told=("there is no mlvc in", "--rev"))
    unborn = git_repo("unborn")
    wrong(2, "--repo", unborn.as_uri(), told=("has no commits yet",))
    run_mlvc("init", cwd=unborn)
    wrong(2, "--repo", "unborn", told=("has no commits yet",))
    wrong(2, "--repo", "absent", told=("there is no repository at absent",))
    wrong(2, "--repo=--upload-pack=x:y", told=("there is no repository at",))
    wrong(6, "--repo", Path("absent").absolute().as_uri(), told=("Git cannot read", "git ls-remote"))
    wrong(2, "../x", "--repo", os.fspath(pushed), told=("leads out of the repository",))
    wrong(2, "nope", "--repo", os.fspath(pushed), told=("nope is not tracked at HEAD of", "mlvc ls --repo"))
    wrong(2, "--repo", os.fspath(pushed), "--rev", "v9", told=("'v9' is no revision of",))


@pytest.mark.parametrize("place", ["bare", "url"])
def test_a_remote_that_cannot_be_found_from_here(published: Path, pushed: Path, place: str) -> None:
    address = published.as_uri() if place == "url" else os.fspath(published)
    result = run_mlvc("ls", "data", "--repo", address, "--rev", "v1", check=False)
    refused(result, 2, "remote 'store'", "is the directory ../remote, relative", "mlvc remote modify store url")
    assert run_mlvc("ls", "--repo", address, "--rev", "v1").out == "data/\nmodel.bin\n"
    run_mlvc("remote", "remove", "store", cwd=pushed)
    shell.commit(pushed)
    git("push", "--quiet", published, "main", cwd=pushed)
    result = run_mlvc("ls", "data", "--repo", address, check=False)
    refused(result, 2, "names no remote at HEAD")


def test_another_repository_whose_store_lacks_it(pushed: Path) -> None:
    emptied(shell.copied(pushed.parent, pushed.parent.with_name("copy")) / pushed.name)
    clone = pushed.parent.with_name("copy") / pushed.name
    assert lines(Path.cwd(), "ls", "data", "--repo", os.fspath(clone)) == IN_DATA
    assert objects_in(clone) == set()
    shutil.rmtree(clone / ".git/mlvc")
    assert bytes_of(Path.cwd(), "data/one.txt", "--repo", os.fspath(clone)) == b"one\n"
    assert not (clone / ".git/mlvc").exists()  # no Store is made there


def test_reading_changes_nothing(pushed: Path) -> None:
    git("tag", "v1", cwd=pushed)
    before, remote = image(pushed, git_index=True), image(pushed.parent / "remote")
    for command in ("ls", "ls -R --rev v1", "ls --tree", "du", "du data/sub --rev v1", "cat model.bin --rev v1"):
        run_mlvc(*command.split(), cwd=pushed)
        assert image(pushed, git_index=True) == before, command
        assert image(pushed.parent / "remote") == remote, command
