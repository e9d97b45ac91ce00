"""Time what a Stage with ``each`` takes over many files, and print the figures beside their targets.

    python tests/benchmarks/pipelines_each.py [--rounds 3] [--items 10000] [--folder DIR]

first      all items, in batches of 256 with two jobs; the commands themselves take almost all of it
nothing    the same pipeline again, with nothing to do
one        with one new file among all of them
gone       with that file deleted again: nothing runs, its output goes
status     of the unchanged pipeline

Whole processes by the wall clock, the median of the rounds, and processor time (of mlvc and of the commands together),
which says more on a machine where others are at work. Needs Git and the mlvc of this checkout.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SOURCES = Path(__file__).parents[2]
TARGETS = {"first": None, "nothing": 1.0, "one": None, "gone": None, "status": 1.0}
PIPELINE = """\
stages:
  upper:
    each: raw/*.txt
    batch: 256
    cmd: python3 upper.py ${items}
    deps: [upper.py]
    outs: [upper]
"""
PROGRAM = """\
import pathlib
import sys

for line in open(sys.argv[1]):
    path, out = line.rstrip("\\n").split("\\t")
    (pathlib.Path(out) / pathlib.Path(path).name).write_text(pathlib.Path(path).read_text().upper())
"""


def timed(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Seconds by the wall clock and of the processor that a process takes, with all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(SOURCES)}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def mlvc(*words: str) -> list[str]:
    """mlvc of this checkout."""
    return [sys.executable, "-P", "-m", "mlvc", *words]


def begin(folder: Path, count: int) -> None:
    """A repository with so many items."""
    (folder / "raw").mkdir(parents=True)
    for number in range(count):
        (folder / f"raw/{number:06}.txt").write_text(f"a text with the number {number}\n" * 20)
    (folder / "mlvc.yaml").write_text(PIPELINE)
    (folder / "upper.py").write_text(PROGRAM)
    subprocess.run(["git", "init", "--quiet", "."], cwd=folder, check=True)
    timed(mlvc("init"), folder)


def measure(folder: Path, count: int) -> dict[str, tuple[float, float]]:
    """Each figure once."""
    begin(folder, count)
    found = {"first": timed(mlvc("repro", "-j", "2"), folder)}
    timed(mlvc("repro"), folder)
    found["nothing"] = timed(mlvc("repro"), folder)
    found["status"] = timed(mlvc("status"), folder)
    new = folder / "raw/new.txt"
    new.write_text("new\n")
    found["one"] = timed(mlvc("repro"), folder)
    assert len(list((folder / "upper").iterdir())) == count + 1
    # Not back to what the run cache knows.
    new.unlink()
    (folder / "raw/000000.txt").unlink()
    found["gone"] = timed(mlvc("repro"), folder)
    assert len(list((folder / "upper").iterdir())) == count - 1
    return found


def main() -> int:
    """Measure, print, and say with the exit code whether all targets are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--folder", default=None)
    given = parser.parse_args()
    rounds = []
    for _ in range(given.rounds):
        place = Path(tempfile.mkdtemp(dir=given.folder))
        try:
            rounds.append(measure(place / "project", given.items))
        finally:
            shutil.rmtree(place)
    missed = False
    print(f"{'':10}  {'wall':>8}  {'cpu':>8}  {'target':>8}")
    for name, target in TARGETS.items():
        wall, cpu = (statistics.median(found[name][which] for found in rounds) for which in (0, 1))
        missed |= target is not None and wall > target
        print(f"{name:10}  {wall:7.2f}s  {cpu:7.2f}s  " + (f"{target:7.2f}s" if target else ""))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
