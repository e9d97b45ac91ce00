"""Fit a softmax regression to data/prepared/train.csv and write it to model.json."""

from __future__ import annotations

import csv
import json
import math
import statistics
from pathlib import Path


def read(path: str) -> tuple[list[str], list[list[float]]]:
    """The species and the measurements of every row."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row[0] for row in rows], [[float(value) for value in row[1:]] for row in rows]


def softmax(scores: list[float]) -> list[float]:
    """Scores as probabilities."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def fit(labels: list[int], rows: list[list[float]], classes: int, rate: float, steps: int) -> list[list[float]]:
    """The weights of every class after ``steps`` steps of gradient descent. Nothing here is random."""
    weights = [[0.0] * len(rows[0]) for _ in range(classes)]
    for _ in range(steps):
        slope = [[0.0] * len(rows[0]) for _ in range(classes)]
        for label, row in zip(labels, rows, strict=True):
            guess = softmax([math.fsum(w * x for w, x in zip(ws, row, strict=True)) for ws in weights])
            for index, sums in enumerate(slope):
                error = guess[index] - (index == label)
                for column, value in enumerate(row):
                    sums[column] += error * value
        for ws, sums in zip(weights, slope, strict=True):
            for column, value in enumerate(sums):
                ws[column] -= rate * value / len(rows)
    return weights


def main() -> None:
    """Train on standardised measurements; the numbers are rounded, so that every machine writes the same bytes."""
    params = json.loads(Path("params.json").read_text(encoding="utf-8"))["train"]
    species, rows = read("data/prepared/train.csv")
    names = sorted(set(species))
    columns = list(zip(*rows, strict=True))
    means = [round(statistics.fmean(column), 6) for column in columns]
    spreads = [round(statistics.pstdev(column), 6) for column in columns]
    scaled = [[1.0, *((x - m) / s for x, m, s in zip(row, means, spreads, strict=True))] for row in rows]

    labels = [names.index(name) for name in species]
    weights = fit(labels, scaled, len(names), params["rate"], params["steps"])
    model = {
        "species": names,
        "means": means,
        "spreads": spreads,
        "weights": [[round(weight, 6) for weight in ws] for ws in weights],
    }
    Path("model.json").write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
    print(f"trained on {len(rows)} rows, {params['steps']} steps")


if __name__ == "__main__":
    main()
