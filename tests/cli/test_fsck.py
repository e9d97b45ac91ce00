"""``mlvc fsck``: damage and loss are found and named, and mended where a Remote has what is lost."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlvc.oid import LENGTHS
from mlvc.store.pack import DATA, RECIPE, PackWriter, encode_recipe
from tests.helpers import Result, git, run_mlvc, shell
from tests.helpers.shell import ends, image, refused, tree
from tests.helpers.stores import flip, noise, open_local

both = pytest.mark.parametrize("algorithm", list(LENGTHS))


def packs(root: Path) -> list[Path]:
    return sorted((root / ".git/mlvc/packs").iterdir())


def fsck(root: Path, *args: str) -> tuple[dict[str, object], Result]:
    result = run_mlvc("fsck", "--json", *args, cwd=root, check=False)
    assert "Traceback" not in result.err
    return json.loads(result.out), result


def place_of(root: Path, algorithm: str, data: bytes) -> tuple[Path, int]:
    """The Pack of a small object that does not compress, and where its bytes begin."""
    with open_local(root / ".git/mlvc", algorithm) as store:
        (place,) = store.packed.catalog.locate([store.hashing.of(data)])
        members = store.packed.catalog.members(place.pack)
    payload = sum(each.length for each in members if each.frame == place.frame)
    return root / f".git/mlvc/packs/{place.pack}.pack", place.frame + place.extent - payload + place.start


def test_all_is_well(pushed: Path) -> None:
    before = image(pushed)
    found, result = fsck(pushed)
    assert result.code == 0
    assert found["objects"] > 6
    assert found["size"] == sum(path.stat().st_size for path in packs(pushed))
    lists = ("damaged", "uncatalogued", "missing", "unreadable")
    assert [found[key] for key in lists] == [[]] * 4
    assert image(pushed) == before
    assert "checked" in run_mlvc("fsck", cwd=pushed).err
    refused(run_mlvc("fsck", "-r", "store", cwd=pushed, check=False), 2, "--repair")


@both
def test_a_damaged_object_is_found_and_repaired(pushed: Path, algorithm: str) -> None:
    data = noise(60_000)
    shell.write(pushed, {f"data/big{number}": noise(60_000, number) for number in range(3)})
    run_mlvc("commit", cwd=pushed)
    shell.commit(pushed)
    run_mlvc("push", cwd=pushed)
    pack, at = place_of(pushed, algorithm, data)
    flip(pack, at + 100)
    harmed = pack.read_bytes()
    before = image(pushed)
    found, result = fsck(pushed)
    assert image(pushed) == before
    ends(result, "data/big0 cannot be had: its object is damaged", "mlvc fsck --repair")
    assert result.code == 4
    (told,) = found["damaged"]
    assert told["file"] == f"packs/{pack.name}"
    assert "does not hash to its name; 1 of" in told["reason"]
    assert found["missing"] == [
        {"path": "data/big0", "reason": "damaged", "named_by": "data.mlvc"},
    ]
    found, result = fsck(pushed, "--repair")
    assert result.code == 0, result
    assert found["fetched"] == 1
    assert (pushed / ".git/mlvc/quarantine" / pack.name).read_bytes() == harmed
    assert fsck(pushed)[1].code == 0
    shutil.rmtree(pushed / "data")
    run_mlvc("checkout", cwd=pushed)
    assert (pushed / "data/big0").read_bytes() == data


def test_without_a_remote_what_is_good_is_kept(project: Path) -> None:
    run_mlvc("remote", "remove", "store", cwd=project)
    shell.write(project, {f"data/big{number}": noise(60_000, number) for number in range(3)})
    run_mlvc("commit", cwd=project)
    pack, at = place_of(project, "xxh128", noise(60_000, 1))
    flip(pack, at)
    result = run_mlvc("fsck", "--repair", cwd=project, check=False)
    assert result.code == 4
    ends(result, "data/big1 cannot be had", "mlvc add")
    assert "moved 1 damaged file to the quarantine" in result.err
    run_mlvc("add", "data", cwd=project)  # the data is in the working tree still
    assert fsck(project)[1].code == 0
    run_mlvc("commit", cwd=project)


HARM: dict[str, Callable[[Path], object]] = {
    "the head": lambda path: flip(path, 2),
    "the footer": lambda path: flip(path, path.stat().st_size - 40),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-70]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "empty": lambda path: path.write_bytes(b""),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("harm", HARM)
@both
def test_a_pack_that_is_harmed_is_found_and_repaired(pushed: Path, harm: str, algorithm: str) -> None:
    for pack in packs(pushed):
        pack.chmod(0o644)
        HARM[harm](pack)
    _, result = fsck(pushed)
    assert result.code == 4
    found, result = fsck(pushed, "--repair")
    assert result.code == 0, result
    assert found["missing"] == []
    assert fsck(pushed)[1].code == 0
    before = tree(pushed)
    shutil.rmtree(pushed / "data")
    (pushed / "model.bin").unlink()
    run_mlvc("checkout", cwd=pushed)
    assert tree(pushed) == before


@both
def test_a_loose_object_and_a_chunk(pushed: Path, algorithm: str) -> None:
    run_mlvc("config", "core.link", "hardlink", cwd=pushed)
    shell.write(pushed, {"loose.bin": noise(1_200_000, 3)})
    run_mlvc("add", "loose.bin", cwd=pushed)
    run_mlvc("config", "core.link", "copy", cwd=pushed)
    shell.write(pushed, {"chunks.bin": noise(1_500_000, 4)})
    run_mlvc("add", "chunks.bin", cwd=pushed)
    shell.commit(pushed)
    run_mlvc("push", cwd=pushed)
    (path,) = (pushed / ".git/mlvc/loose").glob("*/*")
    flip(path, 1_000_000)
    largest = max(packs(pushed), key=lambda pack: pack.stat().st_size)
    flip(largest, 700_000)
    found, result = fsck(pushed)
    assert result.code == 4
    assert {(item["path"], item["reason"]) for item in found["missing"]} == {
        ("loose.bin", "damaged"),
        ("chunks.bin", "damaged"),
    }
    assert fsck(pushed, "--repair")[1].code == 0
    for name in ("loose.bin", "chunks.bin"):
        (pushed / name).unlink()
    run_mlvc("checkout", cwd=pushed)
    assert (pushed / "loose.bin").read_bytes() == noise(1_200_000, 3)
    assert (pushed / "chunks.bin").read_bytes() == noise(1_500_000, 4)


def test_a_catalog_that_is_wrong(pushed: Path) -> None:
    with open_local(pushed / ".git/mlvc", "xxh128") as store, store.packed.catalog._db as db:
        db.execute("UPDATE objects SET start = start + 1 WHERE oid = (SELECT min(oid) FROM objects)")
    found, result = fsck(pushed)
    assert result.code == 0
    assert len(found["uncatalogued"]) == 1
    assert fsck(pushed)[0]["uncatalogued"] == []


def test_what_only_an_old_commit_needs(project: Path) -> None:
    shell.write(project, {"old/x": b"in a Pack of its own\n"})
    before = packs(project)
    run_mlvc("add", "old", cwd=project)
    (pack,) = set(packs(project)) - set(before)
    shell.commit(project)
    (project / "old.mlvc").unlink()
    shell.commit(project)
    pack.unlink()
    assert fsck(project)[1].code == 0
    found, result = fsck(project, "--all-commits")
    assert result.code == 4
    (missing,) = found["missing"]
    assert missing["path"] == "old"
    assert missing["named_by"].startswith("old.mlvc in commit ")
    assert missing["named_by"].split()[-1] in git("log", "--format=%h", cwd=project).split()


def test_a_pointer_that_cannot_be_read(project: Path) -> None:
    (project / "data.mlvc").write_text("no Pointer\n")
    found, result = fsck(project)
    assert result.code == 2
    ends(result, "mlvc: data.mlvc, line 1: not a line of a Pointer")
    assert len(found["unreadable"]) == 1


def test_a_remote_that_has_it_not_either(pushed: Path) -> None:
    for place in (pushed / ".git/mlvc/packs", pushed.parent / "remote/packs"):
        shutil.rmtree(place)
    result = run_mlvc("fsck", "--repair", cwd=pushed, check=False)
    assert result.code == 4
    ends(result, "cannot be had: its object is missing", "no remote has it")


# -- what a disk, or a person, can do to a Store -----------------------------------------------


def gone(path: Path) -> None:
    path.chmod(0o644)
    path.unlink()


def directory(path: Path) -> None:
    gone(path)
    path.mkdir()
    (path / "mine").write_text("not to be lost")


def link_in_a_circle(path: Path) -> None:
    gone(path)
    path.symlink_to(path.name)


def link_to_nothing(path: Path) -> None:
    gone(path)
    path.symlink_to("nowhere")


def fifo(path: Path) -> None:
    gone(path)
    os.mkfifo(path)


@pytest.mark.parametrize("kind", ["packs", "loose"])
@pytest.mark.parametrize("harm", [directory, link_in_a_circle, link_to_nothing, fifo], ids=lambda harm: harm.__name__)
def test_what_is_no_file(pushed: Path, kind: str, harm: Callable[[Path], None]) -> None:
    """Nothing waits for it or stumbles over it: it is named, set aside, and what was there comes back."""
    if kind == "loose":
        run_mlvc("config", "--private", "core.link", "hardlink", cwd=pushed)
        shell.write(pushed, {"linked.bin": noise(1_200_000, 4)})
        run_mlvc("add", "linked.bin", cwd=pushed)
        run_mlvc("push", cwd=pushed)
    shell.commit(pushed)
    before = tree(pushed)
    found = sorted((pushed / ".git/mlvc" / kind).rglob("*"))
    victim = max((path for path in found if path.is_file()), key=lambda path: path.stat().st_size)
    harm(victim)
    told, result = fsck(pushed)
    assert result.code == 4
    (damage,) = told["damaged"]
    assert damage["file"] == str(victim.relative_to(pushed / ".git/mlvc"))
    assert "should be a file" in damage["reason"]
    assert os.path.lexists(victim)
    assert run_mlvc("fsck", "--repair", cwd=pushed).code == 0
    (kept,) = (pushed / ".git/mlvc/quarantine").iterdir()
    assert kept.name == (victim.name if kind == "packs" else victim.parent.name + victim.name)
    assert harm is not directory or (kept / "mine").read_text() == "not to be lost"
    assert fsck(pushed)[1].code == 0
    for name in ("data", "model.bin", "linked.bin"):
        shutil.rmtree(pushed / name) if (pushed / name).is_dir() else (pushed / name).unlink(missing_ok=True)
    run_mlvc("checkout", cwd=pushed)
    assert tree(pushed) == before


def test_damage_that_only_the_length_of_a_chunk_shows(pushed: Path) -> None:
    with open_local(pushed / ".git/mlvc", "xxh128") as store:
        (oid,) = store.packed.catalog.recipes(
            {row[0] for name, size in store.packs().items() for row in store.pack_index(name, size).rows()}
        )
        ((_, recipe),) = store.packed.recipes([oid])
        wrong = [(chunk, length + 1) for chunk, length in recipe]
        with PackWriter(store.scratch, store.hashing) as writer:
            for chunk, _ in recipe:
                (place,) = store.packed.catalog.locate([chunk])
                data = store.packed.at(place)
                assert data is not None
                writer.add(chunk, DATA, bytes(data))
            writer.add(oid, RECIPE, encode_recipe(wrong))
            (pack,) = writer.finish()
            for name in store.packs():
                os.rename(store.pack_path(name), f"{pushed}/{name}")
            store.publish([pack])
    told, result = fsck(pushed)
    assert result.code == 4
    assert {"path": "model.bin", "reason": "damaged", "named_by": "model.bin.mlvc"} in told["missing"]


@pytest.mark.parametrize("path", ["model.bin", "data"])
def test_a_pointer_that_tells_of_another_size(pushed: Path, path: str) -> None:
    pointer = pushed / f"{path}.mlvc"
    pointer.write_text(re.sub("size: .*", "size: 7", pointer.read_text()))
    told, result = fsck(pushed)
    assert result.code == 4
    assert [item["path"] for item in told["missing"]] == [path]
    assert "another size" in told["missing"][0]["reason"]
    ends(run_mlvc("fsck", cwd=pushed, check=False), path, "with Git")


def test_all_remotes_are_asked(pushed: Path) -> None:
    run_mlvc("remote", "add", "-d", "first", "../nothing", cwd=pushed)
    for pack in packs(pushed):
        pack.unlink()
    found, result = fsck(pushed, "--repair")
    assert result.code == 0, result.err
    assert found["fetched"] > 5


def test_what_is_damaged_on_the_remote_too(pushed: Path) -> None:
    for pack in [*packs(pushed), *(pushed.parent / "remote").rglob("*.pack")]:
        pack.chmod(0o644)
        pack.write_bytes(b"")
    result = run_mlvc("fsck", "--repair", cwd=pushed, check=False)
    ends(result, "cannot be had")
    assert result.code == 4
    assert len(list((pushed / ".git/mlvc/quarantine").iterdir())) == 1
    # A reinstalled disk: the data are in the working tree, symbolic links among them.
    run_mlvc("add", "data", "model.bin", cwd=pushed)
    assert fsck(pushed)[1].code == 0
