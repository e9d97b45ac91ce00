"""A command lets the end of its process close its databases: what is new then stands in their journals."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mlvc import database
from mlvc.store.catalog import Catalog
from tests.helpers import git, run_mlvc
from tests.helpers.shell import commit, write

ENDINGS = ("", "-wal", "-shm")


@pytest.fixture
def added(project: Path) -> Path:
    write(project, {f"data/{number}": bytes([number]) * 99 for number in range(20)})
    run_mlvc("add", "data", cwd=project)
    commit(project)
    return project


def files_of(root: Path, ending: str) -> list[Path]:
    return [root / ".git/mlvc" / f"{name}.sqlite{ending}" for name in ("index", "catalog")]


def test_the_next_command_reads_the_journals(added: Path) -> None:
    assert all(path.stat().st_size for path in files_of(added, "-wal"))
    before = [path.read_bytes() for path in files_of(added, "")]
    assert "clean" in run_mlvc("status", cwd=added).out
    # Who only reads changes neither.
    assert [path.read_bytes() for path in files_of(added, "")] == before


@pytest.mark.parametrize(
    "lost", [subset for count in (1, 2) for subset in itertools.combinations(ENDINGS, count)], ids="+".join
)
def test_any_of_the_files_can_be_lost(added: Path, lost: tuple[str, ...]) -> None:
    for path in itertools.chain.from_iterable(files_of(added, ending) for ending in lost):
        path.unlink()
    assert "clean" in run_mlvc("status", cwd=added).out
    write(added, {"data/5": b"new"})
    run_mlvc("add", "data", cwd=added)
    git("checkout", "--quiet", "data.mlvc", cwd=added)
    run_mlvc("checkout", cwd=added)
    assert (added / "data/5").read_bytes() == bytes([5]) * 99


def test_a_long_journal_is_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_left", [])
    path = tmp_path / "catalog.sqlite"
    journal = Path(f"{path}-wal")
    catalog = Catalog(str(path), bool)
    catalog.add([], ["a fragment"])
    catalog.close()
    assert journal.stat().st_size
    monkeypatch.setattr(database, "_LONG", 1)
    again = Catalog(str(path), bool)
    assert again.fragments() == {"a fragment"}
    again.close()
    # The first connection is still open, as it would be in a process that has not ended.
    database._left[0].close()  # type: ignore[index]
    assert not journal.exists()
    assert path.stat().st_size


def test_what_has_to_be_closed_now_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_left", [])
    path = tmp_path / "catalog.sqlite"
    catalog = Catalog(str(path), bool)
    catalog.add([], ["a fragment"])
    catalog.close(now=True)
    assert not Path(f"{path}-wal").exists()
    assert database._left == []
