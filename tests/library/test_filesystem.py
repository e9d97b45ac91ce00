"""``mlvc://``: what it shows, what it hands out, and what it refuses."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import fsspec  # noqa: TID251  (this is what it is for)
import pytest

import mlvc
from tests.helpers import git, run_mlvc, shell
from tests.helpers.stores import flip, packs, until
from tests.library.conftest import BIG

PATHS = ["big.bin", "data/link", "data/new.txt", "data/one.txt", "data/sub/four file.txt", "data/sub/three.txt"]


def remove_store(root: Path) -> None:
    for pack in packs(root / ".git/mlvc"):
        pack.unlink()


def damage(root: Path) -> None:
    """Change a byte in the middle of the Pack of the big file."""
    pack = max(packs(root / ".git/mlvc"), key=lambda path: path.stat().st_size)
    flip(pack, pack.stat().st_size // 2)


def test_what_is_there(project: Path) -> None:
    fs = mlvc.fs()
    assert fs.ls("", detail=False) == ["big.bin", "data", "model.bin"]
    assert fs.ls("mlvc://data/", detail=False) == [
        *("data/empty", "data/link", "data/new.txt", "data/one.txt", "data/sub", "data/two.txt"),
    ]
    assert fs.find("") == sorted([*PATHS, "data/two.txt", "model.bin"])
    assert fs.glob("data/**/*.txt") == [*PATHS[2:], "data/two.txt"]
    assert fs.info("data/sub") == {"name": "data/sub", "size": 0, "type": "directory"}
    info = fs.info("/data/./one.txt")
    assert (info["name"], info["size"], info["type"]) == ("data/one.txt", 11, "file")
    assert info["oid"] == json.loads(run_mlvc("ls", "data", "--json").out)["items"][3]["oid"]
    assert [fs.isfile("data"), fs.isdir("data"), fs.exists("data/x"), fs.isfile("big.bin")] == [0, 1, 0, 1]
    assert fs.du("data") == 41
    assert [path for path, _, _ in fs.walk("")] == ["", "data", "data/empty", "data/sub"]
    assert fs.ls("data/one.txt") == [info]


def test_links_are_followed(project: Path) -> None:
    fs = mlvc.fs()
    assert fs.cat("data/link") == b"one, again\n"
    assert fs.info("data/link") == {**fs.info("data/one.txt"), "name": "data/link"}
    (project / "data/dangling").symlink_to("nothing")
    (project / "data/folder").symlink_to("sub")
    mlvc.add("data")
    fs = mlvc.fs()
    assert {info["name"]: info["type"] for info in fs.ls("data")}["data/dangling"] == "link"
    assert fs.ls("data/folder", detail=False) == ["data/folder/four file.txt", "data/folder/three.txt"]
    with pytest.raises(FileNotFoundError):
        fs.open("data/dangling")


def test_links_to_directories_in_circles_and_to_nothing(project: Path) -> None:
    circle = {"round": "other", "other": "round", "self": "."}
    nowhere = {"dangling": "nothing", "away": "../elsewhere"}
    folders = {"folder": "sub", "hop": "sub/deep"}
    inner = {"inner": "folder/three.txt", "back": "folder/../one.txt", "hopped": "hop/../three.txt"}
    for link, goal in {**circle, **nowhere, **folders, **inner}.items():
        (project / "data" / link).symlink_to(goal)
    (project / "data/sub/deep").mkdir()
    (project / "data/sub/deep/x").write_bytes(b"x")
    (project / "data/sub/up").symlink_to("deep/../../new.txt")
    mlvc.add("data")
    fs = mlvc.fs()
    for link in ("inner", "back", "folder/three.txt", "self/self/folder/deep/x", "folder/up", "hopped"):
        assert fs.cat_file(f"data/{link}") == (project / "data" / link).read_bytes()
        assert mlvc.read(f"data/{link}") == (project / "data" / link).read_bytes()
    types = {info["name"].removeprefix("data/"): info["type"] for info in fs.ls("data")}
    links = {name for name, kind in types.items() if kind == "link"}
    assert links == circle.keys() | nowhere.keys() | folders.keys()
    for name in ("round", "dangling", "away", "away/passwd"):
        assert not fs.exists(f"data/{name}")
        with pytest.raises((FileNotFoundError, mlvc.MlvcError)):
            fs.open(f"data/{name}")
    assert fs.isdir("data/folder")
    assert fs.ls("data/folder/deep", detail=False) == ["data/folder/deep/x"]
    # Who walks sees everything once.
    assert [path for path, _, _ in fs.walk("data")] == ["data", "data/empty", "data/sub", "data/sub/deep"]
    assert fs.du("data") > 0
    assert fsspec.open_files("mlvc://data/*.txt")


def test_any_revision_and_any_repository(project: Path, tmp_path: Path) -> None:
    assert mlvc.fs(rev="v1").cat("data/one.txt") == b"one\n"
    assert mlvc.read("data/one.txt", rev="v1", repo=project) == b"one\n"
    (project / "data/one.txt").write_bytes(b"not committed")
    mlvc.add("data")
    assert mlvc.read("data/one.txt") == b"not committed"
    assert mlvc.read("data/one.txt", repo=project) == b"one, again\n"
    bare = tmp_path / "bare.git"
    git("clone", "-q", "--bare", project, bare)
    git("config", "remote.origin.url", str(bare))
    url = f"file://{bare}"
    run_mlvc("remote", "modify", "store", "url", str(project.parent / "remote"))
    shell.commit(project)
    git("push", "-q", str(bare), "HEAD")
    for repo in (bare, url):
        assert mlvc.read("big.bin", repo=repo) == BIG
    with mlvc.open("data/one.txt", rev="v1", encoding="ascii") as file:
        assert list(file) == ["one\n"]
    with fsspec.open("mlvc://data/one.txt", "rt", rev="v1", repo=str(project)) as file:
        assert file.read() == "one\n"


def test_a_root_further_down_in_another_repository(tmp_path: Path) -> None:
    root = tmp_path / "several"
    git("init", "-q", root)
    shell.write(root, {"sub/data/a.txt": b"a\n"})
    mlvc.init(subdir=True, cwd=root / "sub")
    mlvc.add("data", cwd=root / "sub")
    shell.commit(root)
    assert mlvc.read("sub/data/a.txt", repo=root) == b"a\n"
    assert mlvc.fs(repo=root, inside="sub").find("") == ["sub/data/a.txt"]
    assert [item.path for item in mlvc.ls("sub/data", repo=root).items] == ["sub/data/a.txt"]
    with pytest.raises(mlvc.NotARepositoryError) as caught:
        mlvc.fs(repo=root)
    assert caught.value.hint == "name a path in one of its roots: sub"


def test_what_is_not_here_comes_from_the_remote(project: Path) -> None:
    clone = shell.clone(project)
    with mlvc.open("big.bin", "rb", cwd=clone) as file:
        file.seek(4 << 20)
        assert file.read(10) == BIG[4 << 20 :][:10]
    assert mlvc.read("data/sub/three.txt", cwd=clone) == b"three\n"
    assert not list((clone / ".git/mlvc/packs").glob("*"))


def test_any_way_of_reading_gives_the_same(project: Path) -> None:
    chance = random.Random(7)
    fs = mlvc.fs()
    for path in ("big.bin", "model.bin", "data/one.txt"):
        whole = (project / path).read_bytes()
        with fs.open(path) as file, io.BytesIO(whole) as plain:
            for _ in range(300):
                how = chance.choice(["seek", "read", "read", "line", "into", "back", "all"])
                size = int(chance.paretovariate(0.3)) % (2 << 20)
                if how == "seek":
                    at = chance.randrange(len(whole) + 10)
                    assert file.seek(at) == plain.seek(at)
                elif how == "back":
                    at = max(-plain.tell(), -size)
                    assert file.seek(at, 1) == plain.seek(at, 1)
                elif how == "line":
                    assert file.readline(size) == plain.readline(size)
                elif how == "into":
                    one, other = bytearray(size), bytearray(size)
                    assert file.readinto(one) == plain.readinto(other)
                    assert one == other
                elif how == "all" and size % 9 == 0:
                    assert file.read() == plain.read()
                else:
                    assert file.read(size) == plain.read(size)
                assert file.tell() == plain.tell()
            assert file.seek(-1, 2) == plain.seek(-1, 2)
            assert file.read() == plain.read()
    assert fs.cat_file("big.bin", 1000, 2_000_000) == BIG[1000:2_000_000]
    assert fs.cat_file("big.bin", -10) == BIG[-10:]
    fs.get("data/sub", "copied", recursive=True)
    assert Path("copied/three.txt").read_bytes() == b"three\n"


def test_only_to_read(project: Path) -> None:
    fs = mlvc.fs()
    for call in (
        lambda: fs.open("new", "wb"),
        lambda: fs.open("data/one.txt", "ab"),
        lambda: fs.rm("data", recursive=True),
        lambda: fs.pipe("new", b"x"),
        lambda: fs.mkdir("new"),
        lambda: fs.makedirs("new/er"),
        lambda: fs.mv("data", "other"),
        lambda: fs.touch("new"),
    ):
        with pytest.raises(OSError, match="read-only"):
            call()
    with pytest.raises(ValueError, match="'r' or 'rb', not 'w'"):
        mlvc.open("new", "w")  # type: ignore[call-overload]


def test_an_option_with_a_slip_in_its_name_is_refused(project: Path) -> None:
    with pytest.raises(TypeError, match=r"no option 'revision': there are repo, rev, remote, inside and cwd"):
        fsspec.open("mlvc://data/one.txt", revision="v1")
    assert fsspec.filesystem("mlvc", skip_instance_cache=True, use_listings_cache=False).exists("data/one.txt")


def test_what_is_not_there(project: Path) -> None:
    fs = mlvc.fs(rev="v1")
    for path in ("nothing", "data/nothing", "data/one.txt/below", "dat", "mlvc.yaml", "../project/big.bin"):
        for call in (fs.open, fs.info, fs.ls, fs.cat):
            with pytest.raises(FileNotFoundError):
                call(path)
    with pytest.raises(FileNotFoundError, match=r"not tracked at v1: 'data/new\.txt'"):
        mlvc.open("data/new.txt", rev="v1")
    with pytest.raises(IsADirectoryError):
        mlvc.read("data")
    with pytest.raises(mlvc.UsageError, match="'v9' is no revision"):
        mlvc.fs(rev="v9")
    with pytest.raises(mlvc.UsageError, match="leads out of the repository"):
        mlvc.open("../x", repo=project)


def test_damage_is_never_handed_out(project: Path) -> None:
    damage(project)
    assert mlvc.read("big.bin") == BIG, "it comes from the Remote then"
    run_mlvc("remote", "remove", "store")
    with mlvc.open("big.bin", "rb") as file:
        received = until(mlvc.DamagedError, iter(partial(file.read, 10_000), b""))
    assert BIG.startswith(received)
    with pytest.raises(mlvc.DamagedError, match=r"big\.bin could not be read"):
        mlvc.read("big.bin")
    with mlvc.open("big.bin", "rb") as file:
        file.seek(-1000, 2)
        assert file.read() == BIG[-1000:], "the rest of it can be read"
    remove_store(project)
    fs = mlvc.fs()
    for call in (fs.cat, fs.exists, fs.isdir, fs.ls):
        with pytest.raises(mlvc.ObjectsMissingError, match="data could not be read"):
            call("data/one.txt")


def test_a_pointer_with_the_wrong_size_is_found_out(project: Path) -> None:
    pointer = project / "big.bin.mlvc"
    text = pointer.read_text()
    for wrong in (len(BIG) - 1, len(BIG) + 1):
        pointer.write_text(text.replace(str(len(BIG)), str(wrong)))
        with pytest.raises(mlvc.DamagedError, match=r"big\.bin"):
            mlvc.read("big.bin")


def test_a_pointer_that_cannot_be_read(project: Path) -> None:
    (project / "big.bin.mlvc").write_text("<<<<<<< HEAD\n")
    fs = mlvc.fs()
    assert fs.cat("data/one.txt") == b"one, again\n"
    for path in ("big.bin", ""):
        with pytest.raises(mlvc.FormatError, match=r"big\.bin\.mlvc"):
            fs.ls(path)


def test_it_stays_with_the_commit_that_it_began_with(project: Path) -> None:
    branch = git("branch", "--show-current").strip()
    fs = mlvc.fs(rev=branch)
    before = fs._fs_token
    (project / "data/one.txt").write_bytes(b"third\n")
    mlvc.add("data")
    shell.commit(project)
    assert fs.cat("data/one.txt") == b"one, again\n"
    assert pickle.loads(pickle.dumps(fs)).cat("data/one.txt") == b"one, again\n"
    later = mlvc.fs(rev=branch)
    assert later.cat("data/one.txt") == b"third\n"
    assert (fs == later, fs._fs_token == before, hash(fs) == hash(later)) == (False, True, False)
    assert mlvc.fs(rev=branch) == later


def test_threads_share_it(project: Path) -> None:
    fs = mlvc.fs()

    def part(number: int) -> bool:
        at = number * 37_001 % len(BIG)
        with fs.open("big.bin") as file:
            file.seek(at)
            return file.read(50_000) == BIG[at : at + 50_000] and len(fs.ls("data")) == 6

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(part, range(200)))


def _in_child(fs: mlvc.MlvcFileSystem, file: io.BufferedReader | None, results: multiprocessing.Queue[bytes]) -> None:
    results.put(fs.cat("data/one.txt") + (file.read(100_000) if file else b""))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_it(project: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    fs = mlvc.fs(rev="v1")
    context = multiprocessing.get_context(method)
    results = context.Queue()
    with fs.open("big.bin") as file:
        assert file.read(300_000) == BIG[:300_000]
        workers = [
            context.Process(target=_in_child, args=(fs, file if method == "fork" else None, results)) for _ in "ab"
        ]
        for worker in workers:
            worker.start()
        rest = BIG[300_000:400_000] if method == "fork" else b""
        assert [results.get(timeout=60) for _ in workers] == [b"one\n" + rest] * 2
        for worker in workers:
            worker.join()
        assert file.read(300_000) == BIG[300_000:600_000]


def test_nothing_is_left_open(project: Path) -> None:
    def opened() -> set[str]:
        folder = Path("/proc/self/fd")
        found = [os.readlink(path) for path in folder.iterdir() if path.exists()] if folder.exists() else []
        return {name for name in found if name.startswith(str(project))}  # what other tests left goes at any time

    mlvc.read("big.bin")
    before = opened()
    mlvc.read("big.bin")
    with mlvc.open("data/one.txt") as file:
        file.read(2)
    with pytest.raises(FileNotFoundError):
        mlvc.open("nothing")
    assert opened() == before
    with pytest.raises(ValueError, match="closed file"):
        file.read()
