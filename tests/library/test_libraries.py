"""Tracked data read by the libraries that people use, through ``mlvc://``, of a revision that is not checked out.

They are installed with ``pip install mlvc[libraries]``; one that is not there is skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import mlvc
from tests.helpers import git, run_mlvc, shell

ROWS = 200_000


def library(name: str):
    """A library; where MLVC_TEST_LIBRARIES is set, it has to be there."""
    return __import__(name) if os.environ.get("MLVC_TEST_LIBRARIES") else pytest.importorskip(name)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose tag ``v1`` has a table as CSV and as Parquet, and in whose working tree there are others."""
    arrow, parquet = library("pyarrow"), __import__("pyarrow.parquet").parquet
    root = shell.project(tmp_path / "project")
    values = list(range(ROWS))
    rows = arrow.table({"id": values, "square": [value * value for value in values], "name": [f"n{v}" for v in values]})
    parquet.write_table(rows, root / "table.parquet", row_group_size=10_000)
    (root / "table.csv").write_text("id,square\n" + "".join(f"{value},{value * value}\n" for value in range(1000)))
    (root / "parts").mkdir()
    for number in range(3):
        parquet.write_table(rows.slice(number * 1000, 1000), root / f"parts/{number}.parquet")
    run_mlvc("add", "table.parquet", "table.csv", "parts", cwd=root)
    shell.commit(root)
    git("tag", "v1", cwd=root)
    (root / "table.csv").write_text("id,square\n7,8\n")
    run_mlvc("add", "table.csv", cwd=root)
    shell.commit(root)
    monkeypatch.chdir(root)
    return root


def test_pandas(table: Path) -> None:
    pandas = library("pandas")
    frame = pandas.read_csv("mlvc://table.csv", storage_options={"rev": "v1"})
    assert frame["square"].tolist() == [value * value for value in range(1000)]
    assert len(pandas.read_csv("mlvc://table.csv")) == 1
    columns = pandas.read_parquet("mlvc://table.parquet", columns=["square"], storage_options={"rev": "v1"})
    assert columns["square"].iloc[-1] == (ROWS - 1) ** 2
    with mlvc.open("table.csv", rev="v1") as file:
        assert pandas.read_csv(file).equals(frame)


def test_pyarrow(table: Path) -> None:
    library("pyarrow")
    import pyarrow.dataset as datasets
    from pyarrow import parquet

    fs = mlvc.fs(rev="v1")
    assert parquet.read_table("table.parquet", filesystem=fs, columns=["id"]).num_rows == ROWS
    parts = datasets.dataset("parts", filesystem=fs, format="parquet")
    assert parts.to_table().num_rows == 3000
    assert parts.to_table(filter=datasets.field("id") == 1234)["square"].to_pylist() == [1234**2]


def test_a_part_of_a_table_moves_a_part_of_its_bytes(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library("pyarrow")
    from pyarrow import parquet

    from mlvc.store.local import PackFiles

    moved = []
    real = PackFiles.range

    def counted(self: PackFiles, pack: str, start: int, length: int) -> bytes:
        moved.append(length)
        return real(self, pack, start, length)

    monkeypatch.setattr(PackFiles, "range", counted)
    file = parquet.ParquetFile(mlvc.fs(rev="v1").open("table.parquet"))
    assert file.read_row_group(7, columns=["id"])["id"][0].as_py() == 70_000
    assert sum(moved) < os.stat("table.parquet").st_size / 2


def test_polars(table: Path) -> None:
    polars = library("polars")
    with mlvc.open("table.csv", "rb", rev="v1") as file:
        frame = polars.read_csv(file)
    assert frame["square"].to_list() == [value * value for value in range(1000)]
    with mlvc.open("table.parquet", "rb", rev="v1") as file:
        assert polars.read_parquet(file, columns=["square"])["square"][-1] == (ROWS - 1) ** 2
    import pyarrow.dataset as datasets

    lazy = polars.scan_pyarrow_dataset(datasets.dataset("parts", filesystem=mlvc.fs(rev="v1"), format="parquet"))
    assert lazy.filter(polars.col("id") == 1234).collect()["square"].to_list() == [1234**2]


def test_duckdb(table: Path) -> None:
    duckdb = library("duckdb")
    with duckdb.connect() as database:
        database.register_filesystem(mlvc.fs(rev="v1"))
        found = database.sql("SELECT square FROM 'mlvc://table.parquet' WHERE id = 150000").fetchall()
        assert found == [(150_000**2,)]
        assert database.sql("SELECT count(*) FROM 'mlvc://parts/*.parquet'").fetchall() == [(3000,)]
        assert database.sql("SELECT max(square) FROM 'mlvc://table.csv'").fetchall() == [(999**2,)]
        database.unregister_filesystem("mlvc")
        database.register_filesystem(mlvc.fs())
        assert database.sql("SELECT max(square) FROM 'mlvc://table.csv'").fetchall() == [(8,)]


class Squares:
    """A data set of torch over the parts of a table."""

    def __init__(self, fs: mlvc.MlvcFileSystem) -> None:
        self.fs = fs
        self.paths = fs.glob("parts/*.parquet")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, at: int) -> int:
        from pyarrow import parquet

        with self.fs.open(self.paths[at]) as file:
            return sum(parquet.read_table(file)["id"].to_pylist())


@pytest.mark.filterwarnings("ignore")  # what torch says of itself
def test_torch(table: Path) -> None:
    torch = library("torch")
    from torch.utils.data import DataLoader

    torch.save({"weight": torch.arange(300_000)}, "model.pt")
    mlvc.add("model.pt")
    with mlvc.open("model.pt", "rb") as file:
        assert torch.load(file)["weight"][-1] == 299_999
    loaded = DataLoader(Squares(mlvc.fs(rev="v1")), batch_size=1, num_workers=2)
    assert sum(int(each) for each in loaded) == sum(range(3000))
