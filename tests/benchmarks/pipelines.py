"""Time pipelines of many stages against their limits.

    python tests/benchmarks/pipelines.py [--rounds 5] [--scale 0.1]

resolve   a matrix of 10,000 stages: parsed, resolved and built into a Graph, in a process of its own, with its memory
commands  1,000 stages of one small file each that are written one by one: `dag`, and with nothing to do `repro` and
          `status`; whole processes by the wall clock

Median and best of the rounds.
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

LIMITS = {
    "resolve a matrix of 10,000 stages, s": 2.0,
    "resolve a matrix of 10,000 stages, MB": 500.0,
    "mlvc dag, 1,000 stages, s": 0.5,
    "mlvc repro with nothing to do, 1,000 stages, s": 0.8,
    "mlvc status, 1,000 stages, s": 0.8,
}
RESOLVE = """\
import resource, sys, time
start = time.perf_counter()
from mlvc.pipeline import graph, params, spec
from mlvc.pipeline.variables import Surroundings

text = open("mlvc.yaml", encoding="utf-8").read()
found = {"params.yaml": b"lr: 0.1\\n"}
whole = graph.build(spec.parse(text, "mlvc.yaml", Surroundings(params.loader(found.get))))
print(len(whole.stages), time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def matrix(size: int) -> str:
    """A pipeline file whose one entry stands for ``size`` squared stages."""
    return f"""\
stages:
  prepare: {{cmd: prepare, deps: [raw.csv], outs: [data/clean.csv]}}
  train:
    matrix:
      model: [{", ".join(f"m{number}" for number in range(size))}]
      seed: [{", ".join(map(str, range(size)))}]
    cmd: python train.py --model ${{item.model}} --seed ${{item.seed}} --lr ${{lr}} --out models/${{key}}.bin
    deps: [train.py, data/clean.csv, 'conf/${{item.model}}.yaml']
    params: [lr, 'models.${{item.model}}']
    outs: ['models/${{key}}.bin']
    metrics: ['metrics/${{key}}.json': {{cache: false}}]
"""


def resolving(work: Path, rounds: int, scale: float) -> Iterator[tuple[str, float]]:
    """The language alone."""
    (work / "mlvc.yaml").write_text(matrix(round(100 * scale**0.5)))
    for _ in range(rounds):
        out = subprocess.run(
            [sys.executable, "-c", RESOLVE], cwd=work, capture_output=True, text=True, check=True
        ).stdout
        _, seconds, memory = map(float, out.split())
        yield "resolve a matrix of 10,000 stages, s", seconds
        yield "resolve a matrix of 10,000 stages, MB", memory


def commands(work: Path, rounds: int, scale: float) -> Iterator[tuple[str, float]]:
    """Whole processes in a repository."""
    mlvc = [sys.executable, "-P", "-m", "mlvc"]
    call(work, "git", "init", "-q")
    call(work, *mlvc, "init")
    lines = ["stages:"]
    for number in range(round(1000 * scale)):
        (work / f"in{number}.txt").write_text(str(number))
        lines += [f"  s{number:04}:", f"    cmd: cp in{number}.txt out{number}.txt"]
        lines += ["    deps:", f"      - in{number}.txt", "    outs:", f"      - out{number}.txt"]
    (work / "mlvc.yaml").write_text("\n".join(lines) + "\n")
    call(work, *mlvc, "repro", "--quiet")
    time.sleep(1)
    call(work, *mlvc, "status")
    for _ in range(rounds):
        for what, words in {
            "mlvc dag, 1,000 stages, s": ["dag"],
            "mlvc repro with nothing to do, 1,000 stages, s": ["repro"],
            "mlvc status, 1,000 stages, s": ["status"],
        }.items():
            start = time.perf_counter()
            call(work, *mlvc, *words)
            yield what, time.perf_counter() - start


def call(work: Path, *argv: str) -> None:
    """One command; CalledProcessError where it fails."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(argv, cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def main() -> int:
    """Run and report; 1 where a limit is not held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 for a quick trial with a tenth of the stages")
    args = parser.parse_args()
    found: dict[str, list[float]] = {what: [] for what in LIMITS}
    for scenario in (resolving, commands):
        with tempfile.TemporaryDirectory(prefix="mlvc-pipelines-") as work:
            for what, value in scenario(Path(work).resolve(), args.rounds, args.scale):
                found[what].append(value)
    print(f"rounds {args.rounds}, scale {args.scale:g}\n\n| what | median | best | limit |\n|---|---|---|---|")
    for what, values in found.items():
        print(f"| {what} | {statistics.median(values):.2f} | {min(values):.2f} | {LIMITS[what]:g} |")
    return int(any(statistics.median(values) > LIMITS[what] for what, values in found.items()))


if __name__ == "__main__":
    sys.exit(main())
