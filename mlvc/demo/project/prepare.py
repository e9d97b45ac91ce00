"""Read data/penguins.csv, drop the incomplete rows, and write data/prepared/train.csv and test.csv."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

COLUMNS = ["species", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


def write(path: Path, rows: list[list[str]]) -> None:
    """One table, with its header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def main() -> None:
    """Split by a seeded shuffle, so that the same parameters give the same bytes."""
    params = json.loads(Path("params.json").read_text(encoding="utf-8"))["prepare"]
    with Path("data/penguins.csv").open(encoding="utf-8", newline="") as file:
        rows = [[row[name] for name in COLUMNS] for row in csv.DictReader(file)]
    complete = [row for row in rows if "NA" not in row]
    random.Random(params["seed"]).shuffle(complete)  # noqa: S311 - no secret
    held_out = round(len(complete) * params["test_share"])

    folder = Path("data/prepared")
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "train.csv", complete[held_out:])
    write(folder / "test.csv", complete[:held_out])
    print(f"{len(rows)} rows, {len(complete)} complete: {len(complete) - held_out} to train, {held_out} to test")


if __name__ == "__main__":
    main()
