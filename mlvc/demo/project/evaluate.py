"""Try model.json on data/prepared/test.csv and write how often it is right to metrics.json."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any


def guess(model: dict[str, Any], row: list[float]) -> str:
    """The species that gets the highest score."""
    scaled = [1.0, *((x - m) / s for x, m, s in zip(row, model["means"], model["spreads"], strict=True))]
    scores = [math.fsum(w * x for w, x in zip(weights, scaled, strict=True)) for weights in model["weights"]]
    species: list[str] = model["species"]
    return species[scores.index(max(scores))]


def main() -> None:
    """Accuracy over all rows and for each species."""
    model = json.loads(Path("model.json").read_text(encoding="utf-8"))
    with Path("data/prepared/test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    right = [(row[0], guess(model, [float(value) for value in row[1:]]) == row[0]) for row in rows]

    def share(results: list[bool]) -> float:
        return round(sum(results) / len(results), 4)

    metrics = {
        "accuracy": share([hit for _, hit in right]),
        "rows": len(rows),
        "species": {name: share([hit for other, hit in right if other == name]) for name in model["species"]},
    }
    Path("metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    print(f"accuracy {metrics['accuracy']} on {len(rows)} test rows")


if __name__ == "__main__":
    main()
