"""Time what has a limit of its own, and no peer to be compared with, and print the table that the docs show.

    python tests/benchmarks/limits.py [--rounds 7] [--scale 0.1]

startup    `mlvc --version`, `mlvc --help`
hook       what Git starts after a checkout, where nothing of mlvc differs
switch     `mlvc checkout` and `git switch` with the hook, between two branches that differ in 10 of 20,000 files
reading    `mlvc://`, from the local Store: one file of 1 GiB of random bytes from front to back in parts of 1 MiB, and
           1 MB from a place that was not read before, in a process that has the file system open

Whole processes by the wall clock, but for reading. Median and best of the rounds; the data is that of bench.py.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import bench

LIMITS = {
    "mlvc --version": 0.060,
    "mlvc --help": 0.150,
    "post-checkout, nothing to do": 0.060,
    "mlvc checkout, 10 of 20,000 differ": 0.5,
    "git switch with the hook, 10 of 20,000 differ": 0.5,
    "mlvc://, 1 GiB from front to back": 1.074,
    "mlvc://, 1 MB from anywhere": 0.010,
}
DIFFERING = 10

READING = """\
import random, sys, time
import mlvc

rounds, name = int(sys.argv[1]), sys.argv[2]
chance = random.Random(1)
system = mlvc.fs()
for _ in range(rounds):
    start = time.perf_counter()
    with system.open(name) as file:
        while file.read(1 << 20):
            pass
    print("whole", time.perf_counter() - start)
size = system.info(name)["size"]
for _ in range(rounds):
    start = time.perf_counter()
    with system.open(name) as file:
        file.seek(chance.randrange(max(1, size - 1_000_000)))
        assert len(file.read(1_000_000)) == min(1_000_000, size)
    print("part", time.perf_counter() - start)
"""


def timed(lab: bench.Lab, tool: bench.Tool, what: str, cwd: Path, *argv: str) -> tuple[str, float]:
    """One command, from fork to exit."""
    environment = bench.environment(lab, tool)
    start = time.perf_counter()
    subprocess.run(argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return what, time.perf_counter() - start


def startup(lab: bench.Lab, tool: bench.Tool, rounds: int) -> Iterator[tuple[str, float]]:
    """What every command pays."""
    for _ in range(rounds):
        yield timed(lab, tool, "mlvc --version", lab.spot, *tool.argv, "--version")
        yield timed(lab, tool, "mlvc --help", lab.spot, *tool.argv, "--help")


def switching(lab: bench.Lab, tool: bench.Tool, rounds: int) -> Iterator[tuple[str, float]]:
    """Two branches that differ in ten files."""
    path = bench.repository(lab, tool)
    bench.copy(lab.data / "small", path / "small")
    for branch in ("one", "other"):
        bench.call(lab, path, "git", "switch", "-q", "-c", branch)
        for changed in sorted((path / "small").rglob("*.txt"))[:: max(1, 10_000 // DIFFERING)][:DIFFERING]:
            changed.write_text(branch)
        bench.call(lab, path, *tool.argv, "add", "small", tool=tool)
        bench.commit(lab, path)
    time.sleep(1)
    bench.call(lab, path, *tool.argv, "status", tool=tool)
    for _ in range(rounds):
        for branch in ("one", "other"):
            bench.call(lab, path, "git", "switch", "-q", branch)
            yield timed(lab, tool, "mlvc checkout, 10 of 20,000 differ", path, *tool.argv, "checkout")
    bench.call(lab, path, *tool.argv, "install", tool=tool)
    bench.commit(lab, path)
    bench.call(lab, path, "git", "switch", "-q", "-c", "same")
    for _ in range(rounds):
        hook = [sys.executable, "-P", "-m", "mlvc.hooks", "post-checkout"]
        bench.call(lab, path, "git", "commit", "-q", "--allow-empty", "-m", "Nothing")
        commits = bench.call(lab, path, "git", "rev-parse", "HEAD~1", "HEAD").split()
        yield timed(lab, tool, "post-checkout, nothing to do", path, *hook, *commits, "1")
    for _ in range(rounds):
        for branch in ("one", "other"):
            yield timed(lab, tool, "git switch with the hook, 10 of 20,000 differ", path, "git", "switch", branch)


def reading(lab: bench.Lab, tool: bench.Tool, rounds: int) -> Iterator[tuple[str, float]]:
    """One large file without a checkout."""
    path = bench.repository(lab, tool)
    data = next((lab.data / "big").iterdir())
    bench.copy(data, path / "big.bin")
    bench.call(lab, path, *tool.argv, "add", "big.bin", tool=tool)
    names = {"whole": "mlvc://, 1 GiB from front to back", "part": "mlvc://, 1 MB from anywhere"}
    out = bench.call(lab, path, sys.executable, "-P", "-c", READING, str(rounds), "big.bin", tool=tool)
    for line in out.splitlines():
        kind, seconds = line.split()
        yield names[kind], float(seconds)


def main() -> int:
    """Make the data, run, report; 1 where a limit is not held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 for a quick trial with a tenth of the data")
    parser.add_argument("--dir", metavar="DIR", help="where to work (needs 5 GB); default: the temporary directory")
    args = parser.parse_args()
    found: dict[str, list[float]] = {what: [] for what in LIMITS}
    with tempfile.TemporaryDirectory(prefix="mlvc-limits-", dir=args.dir) as work:
        lab = bench.Lab(Path(work).resolve(), args.scale, Path(work).resolve())
        for name in ("small", "big"):
            bench.MAKERS[name](lab.data / name, args.scale)
        tool = bench.find_mlvc(lab)[0]
        for scenario in (startup, switching, reading):
            lab.spot = lab.work / scenario.__name__
            lab.spot.mkdir()
            os.sync()
            for what, seconds in scenario(lab, tool, args.rounds):
                found[what].append(seconds)
        about = bench.machine(lab)
    print(
        ", ".join(f"{key} {value}" for key, value in about.items()), f"\n\nrounds {args.rounds}, scale {args.scale:g}\n"
    )
    print("| | limit | median | best | |\n|---|---|---|---|---|")
    for what, limit in LIMITS.items():
        middle, best = statistics.median(found[what]), min(found[what])
        print(f"| {what} | {limit:.3f} s | {middle:.3f} s | {best:.3f} s | {'✓' if middle <= limit else '✗'} |")
    return int(any(statistics.median(found[what]) > limit for what, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
