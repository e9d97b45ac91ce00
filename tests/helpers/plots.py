"""A repository with plots of every kind, in two revisions."""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from pathlib import Path

from tests.helpers import git, make_git_repo, run_mlvc, shell

EVIL = "</script><script>document.title='owned'</script><b>&"
"""What must never be taken for HTML, as a cell and as a title."""
PIPELINE = """\
plots:
  - loss:
      title: "Loss & accuracy </script><i>"
      x: step
      y: {a.csv: [loss, acc], b.csv: loss}
  - a.csv: {x: step, y: loss, template: smooth}
  - more: {x: step, y: loss, template: simple}
  - image.png
  - drawing.svg
  - guess.csv: {x: actual, y: predicted, template: confusion}
  - shares: {x: actual, y: {guess.csv: predicted}, template: confusion_normalized}
  - weights.json: {x: weight, y: name, template: bar_horizontal_sorted}
  - cloud.tsv: {x: u, y: v, template: scatter}
  - spread: {x: actual, y: {guess.csv: predicted}, template: scatter_jitter}
  - b.csv: {x: step, y: acc, template: own}
stages:
  train:
    cmd: cp in.json roc.json
    deps: [in.json]
    plots: [roc.json: {x: fpr, y: tpr}]
"""
OWN = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"values": "<DVC_METRIC_DATA>"},
    "title": "<DVC_METRIC_TITLE>",
    "width": "<DVC_METRIC_PLOT_WIDTH>",
    "params": ["<DVC_METRIC_ZOOM_AND_PAN>"],
    "mark": "area",
    "encoding": {
        "x": {"field": "<DVC_METRIC_X>", "type": "quantitative", "title": "<DVC_METRIC_X_LABEL>"},
        "y": {"field": "<DVC_METRIC_Y>", "type": "quantitative", "stack": None},
        "color": "<DVC_METRIC_COLOR>",
        "tooltip": "<DVC_METRIC_TOOLTIP>",
    },
}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="80" height="60"><script>alert(1)</script><circle r="40"/></svg>'
CHARTS = 10
"""How many of the plots are charts; two more are images."""


def project(path: str | os.PathLike[str]) -> Path:
    """Plots of every kind, committed as ``v1``, and then with other data in the working tree."""
    root = make_git_repo(path)
    run_mlvc("init", cwd=root)
    shell.write(root, {"mlvc.yaml": PIPELINE.encode(), ".dvc/plots/own.json": json.dumps(OWN).encode()})
    _write(root, 1)
    run_mlvc("repro", cwd=root)
    shell.commit(root, "first")
    git("tag", "v1", cwd=root)
    _write(root, 2)
    run_mlvc("repro", cwd=root)
    return root


def _write(root: Path, number: int) -> None:
    steps = range(40)
    lines = [f"{at},{2 * math.exp(-at / (9 * number)):.4f},{1 - math.exp(-at / 15):.4f}\n" for at in steps]
    table = ("step,loss,acc\n" + "".join(lines)).encode()
    names = ["cat", "dog", EVIL]
    pairs = [(names[at % 3], names[(at % 3 + (at % (3 + number) == 0)) % 3]) for at in range(200)]
    guesses = "actual,predicted\n" + "".join(f'"{actual}","{guess}"\n' for actual, guess in pairs)
    weights = [{"name": f"feature {at}", "weight": (at * number) % 7 / 7} for at in range(6)]
    roc = [{"fpr": at / 20, "tpr": (at / 20) ** (0.4 / number)} for at in range(21)]
    cloud = "u\tv\n" + "".join(f"{math.sin(at * at) * number:.3f}\t{math.cos(at * 7):.3f}\n" for at in range(150))
    shell.write(
        root,
        {
            "a.csv": table,
            "b.csv": table,
            "more/c.csv": table,
            "image.png": png(number),
            "drawing.svg": SVG,
            "guess.csv": guesses.encode(),
            "weights.json": json.dumps(weights).encode(),
            "in.json": json.dumps({"auc": 0.9, "roc": roc}).encode(),
            "cloud.tsv": cloud.encode(),
        },
    )


def png(number: int, width: int = 240, height: int = 150) -> bytes:
    """An image of some colours."""
    rows = b"".join(
        b"\0" + bytes(v for x in range(width) for v in (x * number % 256, y, 200 - 60 * number)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
