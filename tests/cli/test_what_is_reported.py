"""What the verbs report while they work: each long part once, with all that there is to do, and all of it done."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlvc.api import browse, fsck, gc, get, pipeline, status, track
from mlvc.api import checkout as checkouts
from mlvc.api import transfer as transfers
from mlvc.api.elsewhere import here
from mlvc.api.transfer import Which
from mlvc.pipeline.tools import Options
from mlvc.repo import Repo, open_repo
from tests.helpers import run_mlvc, shell

BIG = os.urandom(5 << 20)


@dataclass
class Part:
    """One operation, as far as it came."""

    label: str
    objects: int
    total: int
    count: int = 0
    size: int = 0
    steps: int = 0
    over: bool = False


@dataclass
class Heard:
    """A Progress that keeps all that it is told."""

    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def start(self, label: str, *, objects: int = 0, total: int = 0) -> None:
        self.finish()
        self.parts.append(Part(label, objects, total))

    def advance(self, *, objects: int = 0, size: int = 0) -> None:
        part = self.parts[-1]
        assert not part.over, part
        part.count += objects
        part.size += size
        part.steps += 1

    def note(self, message: str) -> None:
        self.notes.append(message)

    def finish(self) -> None:
        if self.parts:
            self.parts[-1].over = True

    def only(self, label: str) -> Part:
        """The one operation whose name begins like that; it was done whole, and is over."""
        (found,) = [part for part in self.parts if part.label.startswith(label)]
        assert found.over
        assert self.parts[-1].over
        return found


@pytest.fixture
def heard() -> Heard:
    return Heard()


def opened(root: Path) -> Repo:
    return open_repo(str(root), os.environ)


@pytest.fixture
def big(project: Path) -> Path:
    """As ``project``, with ten files and a large one that are new."""
    shell.write(project, {f"new/{number}": b"n" * 1000 * number for number in range(10)} | {"big.bin": BIG})
    return project


def adding(root: Path, heard: Heard) -> None:
    with opened(root) as repo:
        names = [f"new/{number}" for number in range(10)]
        track.add(repo, [*(f"{root}/{name}" for name in names), f"{root}/big.bin"], progress=heard)


def test_add(big: Path, heard: Heard) -> None:
    adding(big, heard)
    # All that is named is one operation, and the large file moves it while it is read.
    part = heard.only("storing")
    assert (part.objects, part.count) == (11, 11)
    assert part.size == 45_000 + len(BIG)
    assert part.steps > 3


def test_what_is_stored_as_a_whole_file_advances_too(big: Path, heard: Heard) -> None:
    run_mlvc("config", "core.link", "hardlink", cwd=big)
    adding(big, heard)
    assert heard.only("storing").size == 45_000 + len(BIG)


def test_status(big: Path, heard: Heard) -> None:
    run_mlvc("add", "new", "big.bin", cwd=big)
    run_mlvc("status", cwd=big)  # the scene is a copy, which the Index does not know
    for path in (big / "big.bin", big / "new/3"):
        path.write_bytes(path.read_bytes()[::-1])
    with opened(big) as repo:
        status.status(repo, progress=heard)
    part = heard.only("hashing")
    assert (part.objects, part.count) == (2, 2)
    assert part.size == part.total == 3000 + len(BIG)


def test_checkout(big: Path, heard: Heard) -> None:
    run_mlvc("add", "new", "big.bin", cwd=big)
    shutil.rmtree(big / "new")
    (big / "big.bin").unlink()
    with opened(big) as repo:
        checkouts.checkout(repo, progress=heard)
    part = heard.only("writing files")
    assert (part.objects, part.count) == (11, 11)
    assert part.size == part.total == 45_000 + len(BIG)


def test_push_and_fetch(big: Path, heard: Heard) -> None:
    run_mlvc("add", "new", "big.bin", cwd=big)
    shell.commit(big)
    with opened(big) as repo:
        done = transfers.push(repo, Which(), progress=heard)
    part = heard.only("sending to 'store'")
    assert part.objects == part.count == done.objects
    assert part.size == done.size > len(BIG)
    assert heard.only("asking 'store'")
    assert heard.only("comparing")
    assert {"big.bin", "data", "model.bin", "new"} == set(done.paths)
    heard.parts.clear()
    with opened(shell.clone(big)) as repo:
        fetched = transfers.fetch(repo, Which(), progress=heard)
    part = heard.only("fetching from 'store'")
    assert part.objects == part.count == fetched.objects
    assert part.size >= part.total > len(BIG)


def test_get_and_cat(big: Path, heard: Heard, tmp_path: Path) -> None:
    run_mlvc("add", "new", "big.bin", cwd=big)
    with opened(big) as repo, here(repo) as source:
        assert b"".join(map(bytes, browse.cat(source, "big.bin", progress=heard))) == BIG
        heard.finish()
        part = heard.only("reading")
        assert part.size == part.total == len(BIG)
        get.get(source, "new", str(tmp_path / "copy"), progress=heard)
    part = heard.only("writing files")
    assert (part.objects, part.count, part.size) == (10, 10, 45_000)


def test_gc_and_fsck(big: Path, heard: Heard) -> None:
    run_mlvc("add", "new", "big.bin", cwd=big)
    with opened(big) as repo:
        found = fsck.fsck(repo, progress=heard)
    part = heard.only("checking")
    assert part.count == found.checked.objects
    assert part.size == part.total == found.checked.size
    run_mlvc("config", "gc.grace", "0", cwd=big)
    run_mlvc("remove", "big.bin", "new", cwd=big)
    heard.parts.clear()
    with opened(big) as repo:
        gc.gc(repo, progress=heard)
    assert heard.only("finding what is needed")
    part = heard.only("moving to the trash")
    assert part.size == part.total > 0


def test_repro(big: Path, heard: Heard) -> None:
    shell.write(big, {"mlvc.yaml": b"stages: {copy: {cmd: cp big.bin out.bin, deps: [big.bin], outs: [out.bin]}}\n"})
    with opened(big) as repo:
        pipeline.repro(repo, os.environ, Options(), progress=heard)
    part = heard.only("storing")
    assert (part.objects, part.size) == (1, len(BIG))
    assert heard.notes == ["Running stage 'copy': never run"]
