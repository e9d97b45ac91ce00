"""``get``: tracked data of any repository, whole or not at all, anywhere."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from mlvc import manifest, pointer
from mlvc.manifest import Entry
from mlvc.oid import LENGTHS
from mlvc.repo import open_repo
from tests.helpers import git, run_mlvc, shell
from tests.helpers.faults import process_faults
from tests.helpers.shell import image, refused

both = pytest.mark.parametrize("algorithm", list(LENGTHS))


@pytest.fixture
def published(pushed: Path) -> Path:
    """A bare repository that a server would have; ``v1`` is its first commit, with another ``data/one.txt``."""
    run_mlvc("remote", "modify", "store", "url", str(pushed.parent / "remote"), cwd=pushed)
    shell.commit(pushed, "an address that is right everywhere")
    git("tag", "v1", cwd=pushed)
    shell.write(pushed, {"data/one.txt": b"changed\n"})
    run_mlvc("commit", cwd=pushed)
    run_mlvc("push", cwd=pushed)
    shell.commit(pushed, "second")
    bare = pushed.parent / "published.git"
    git("clone", "--quiet", "--bare", pushed, bare)
    git("config", "uploadpack.allowFilter", "true", cwd=bare)
    return bare


def only(folder: Path, *names: str) -> None:
    """Nothing else is in a folder: no temporary file either."""
    assert sorted(os.listdir(folder)) == sorted(names)


@both
@pytest.mark.parametrize("place", ["path", "url"])
def test_a_directory_as_it_is(published: Path, pushed: Path, place: str) -> None:
    if place == "path":
        shutil.rmtree(pushed.parent / "remote")
    address = published.as_uri() if place == "url" else os.fspath(pushed)
    before = image(pushed, git_index=True), image(published)
    target = Path("here").absolute()
    target.mkdir()
    result = run_mlvc("get", address, "data", cwd=target)
    assert result.out == ""
    assert result.err.startswith("got data  (5 files, 30 B)  as of ")
    assert image(target / "data") == image(pushed / "data")
    only(target, "data")
    run_mlvc("get", address, "data", "-o", "old", "--rev", "v1", cwd=target)
    assert (target / "old/one.txt").read_bytes() == b"one\n"
    run_mlvc("get", address, "model.bin", "-o", "m.bin", cwd=target)
    assert (target / "m.bin").read_bytes() == shell.LARGE
    run_mlvc("get", address, "data/sub", cwd=target)
    assert image(target / "sub") == image(pushed / "data/sub")
    run_mlvc("get", address, "data.mlvc", "-o", "sub", cwd=target)  # into the directory
    assert image(target / "sub/data") == image(pushed / "data")
    assert (image(pushed, git_index=True), image(published)) == before


@both
def test_a_file_as_it_is(published: Path) -> None:
    address = published.as_uri()
    for path, name, data, executable in (
        ("data/one.txt", "one.txt", b"changed\n", False),
        ("data/two.txt", "two.txt", b"two\n", True),
        ("data/link", "link", b"changed\n", False),
        ("data/sub/four file.txt", "four file.txt", b"four\n", False),
    ):
        run_mlvc("get", address, path)
        info = Path(name).lstat()
        assert stat.S_ISREG(info.st_mode), path
        assert bool(info.st_mode & 0o100) == executable, path
        assert Path(name).read_bytes() == data


def test_a_large_file_that_is_executable(project: Path) -> None:
    (project / "model.bin").chmod(0o755)
    run_mlvc("commit", cwd=project)
    shell.commit(project)
    run_mlvc("get", os.fspath(project), "model.bin")
    assert Path("model.bin").stat().st_mode & 0o111 == 0o111 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_lies_around_and_what_is_empty(project: Path) -> None:
    shell.write(project, {"models/a.bin": b"a", "models/deep/b.bin": b"bb"})
    (project / "models/hollow").mkdir()
    run_mlvc("add", "models/a.bin", "models/deep/b.bin", "models/hollow", cwd=project)
    shell.commit(project)
    address = os.fspath(project)
    run_mlvc("get", address, "models")
    assert sorted(image("models")) == ["a.bin", "deep", "deep/b.bin", "hollow"]
    run_mlvc("get", address, "data/empty")
    assert image("empty") == {}
    refused(run_mlvc("get", address, ".", check=False), 2, "everything", "-o")
    run_mlvc("get", address, ".", "-o", "all")
    assert (Path("all/data/one.txt").read_bytes(), Path("all/models/a.bin").read_bytes()) == (b"one\n", b"a")


def test_get_as_json(published: Path) -> None:
    found = json.loads(run_mlvc("get", published.as_uri(), "data/sub", "-o", "x", "--json").out)
    commit = git("rev-parse", "main", cwd=published)
    assert found == {"commit": commit, "path": "data/sub", "out": "x", "kind": "dir", "size": 11, "files": 2}


@pytest.mark.parametrize("there", ["file", "directory", "link"])
def test_what_is_there_stays(project: Path, there: str) -> None:
    address = os.fspath(project)
    for path in ("data", "model.bin"):
        if there == "file":
            Path(path).write_bytes(b"mine")
        elif there == "directory":
            shell.write(Path(), {f"{path}/mine": b"mine"})
        else:
            Path(path).symlink_to("nowhere")
        before = image(".")
        refused(run_mlvc("get", address, path, check=False), 5, f"{path} is there already", "--force")
        assert image(".") == before
        run_mlvc("get", address, path, "--force")
        assert image(path) == image(project / path) if path == "data" else Path(path).read_bytes() == shell.LARGE
        shutil.rmtree(path) if path == "data" else Path(path).unlink()
        assert not [name for name in os.listdir() if name.startswith(".mlvc")]


@both
def test_all_of_it_or_nothing(published: Path, pushed: Path) -> None:
    target = Path("here")
    target.mkdir()
    for pack in (pushed.parent / "remote/packs").iterdir():
        data = bytearray(pack.read_bytes())
        data[30:-400:9] = bytes(byte ^ 1 for byte in data[30:-400:9])
        pack.write_bytes(data)
    for path in ("data", "model.bin", "data/one.txt", "."):
        result = run_mlvc("get", published.as_uri(), path, "-o", "x", cwd=target, check=False)
        assert (result.code, result.out) == (4, "")
        shell.ends(result, "could not be read", "damaged", "'store'")
        only(target)
    shutil.rmtree(pushed.parent / "remote/packs")
    refused(run_mlvc("get", published.as_uri(), "model.bin", cwd=target, check=False), 4, "model.bin", "missing")
    shutil.rmtree(pushed.parent / "remote")
    refused(run_mlvc("get", published.as_uri(), "model.bin", cwd=target, check=False), 6, "nothing is at remote")
    only(target)


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("path", ["data", "model.bin"])
def test_a_disk_that_fails_loses_nothing(project: Path, path: str, lasting: bool) -> None:
    target = Path("here").absolute()
    for at in range(1, 60):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        (target / path).write_bytes(b"mine")
        fault = process_faults(fail_at=at, lasting=lasting, root=target)
        result = run_mlvc("get", os.fspath(project), path, "-f", cwd=target, check=False, env=fault)
        if result.code == 0:
            break
        assert result.code == 8, result
        assert b"mine" in [found.read_bytes() for found in target.iterdir() if found.is_file()], at
        if not lasting:
            only(target, path)
    assert at > 2
    only(target, path)
    assert image(target).items() >= {path: image(project)[path]}.items()


def test_what_a_killed_one_left_is_removed(project: Path) -> None:
    Path(".mlvc-tmp-999999999-dead").mkdir()
    Path(f".mlvc-tmp-{os.getpid()}-alive").mkdir()
    run_mlvc("get", os.fspath(project), "data")
    assert sorted(name for name in os.listdir() if name.startswith(".")) == [f".mlvc-tmp-{os.getpid()}-alive"]


def test_what_cannot_be_got(published: Path, pushed: Path, git_repo) -> None:
    def wrong(code: int, *args: str, told: tuple[str, ...]) -> None:
        before = image(".")
        refused(run_mlvc("get", *args, check=False), code, *told)
        assert image(".") == before

    url = published.as_uri()
    wrong(2, url, "nope", told=("nope is not tracked at HEAD of", "mlvc ls --repo"))
    wrong(2, url, "mlvc.yaml", told=("is not tracked",))
    wrong(2, url, "data/nope", told=("data/nope is not tracked",))
    wrong(2, url, "model.bin/x", told=("is not tracked",))
    wrong(2, url, "../x", told=("leads out of the repository",))
    wrong(2, url, "/data", told=("leads out of the repository",))
    wrong(2, url, "data", "--rev", "v9", told=("'v9' is no revision of",))
    wrong(2, url, "data", "-o", "no/such", told=("the directory no does not exist",))
    wrong(2, "absent", "data", told=("there is no repository at absent",))
    wrong(6, Path("absent").absolute().as_uri(), "data", told=("Git cannot read",))
    plain = git_repo("plain")
    shell.commit(plain)
    wrong(2, plain.as_uri(), "data", told=("there is no mlvc in",))
    run_mlvc("remote", "modify", "store", "url", "../remote", cwd=pushed)
    shell.commit(pushed)
    git("push", "--quiet", published, "main", cwd=pushed)
    wrong(2, url, "data", told=("remote 'store'", "relative to a working tree that is not here"))
    run_mlvc("remote", "remove", "store", cwd=pushed)
    shell.commit(pushed)
    git("push", "--quiet", published, "main", cwd=pushed)
    wrong(2, url, "data", told=("names no remote",))
    run_mlvc("get", url, "data", "--rev", "v1")


@pytest.mark.parametrize("paths", [["../evil"], ["a/../../evil"], ["link", "link/evil"], [".git/hooks/x"]])
def test_paths_that_lead_elsewhere_are_refused(project: Path, paths: list[str]) -> None:
    with open_repo(str(project), {}) as repo, repo.store.batch() as batch:
        oid = batch.put(b"..")
        kinds = ["l" if path == "link" else "f" for path in paths]
        content, objects = manifest.build([Entry(*of, 2, oid) for of in zip(paths, kinds, strict=True)], repo.hashing)
        batch.put_hashed(objects)
        batch.commit()
    (project / "evil.mlvc").write_bytes(pointer.encode(pointer.Pointer(content)))
    shell.commit(project)
    for path, out in (("evil", "evil"), (".", "all")):
        before = image(".")
        result = run_mlvc("get", os.fspath(project), path, "-o", out, check=False)
        refused(result, 2, "a manifest names", hint=False)
        assert image(".") == before


def test_a_lockfile_that_leads_elsewhere_is_refused(project: Path) -> None:
    out = {"kind": "file", "oid": "xxh128:" + "0" * 32, "size": 1}
    (project / "mlvc.lock").write_text(json.dumps({"mlvc_lock": 1, "stages": {"s": {"outs": {"../x": out}}}}))
    shell.commit(project)
    refused(run_mlvc("get", os.fspath(project), ".", "-o", "all", check=False), 2, "mlvc.lock", hint=False)
    assert not Path("all").exists()
