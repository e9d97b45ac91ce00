"""Time what it takes to run pipelines, and print the figures beside their targets.

    python tests/benchmarks/pipelines_run.py [--rounds 3] [--stages 1000] [--folder DIR]

many       Stages of one small file each, run for the first time, with one job and with four
overhead   what is left of that for each Stage when its command took no time: the same commands by `sh` are subtracted
nothing    the same pipeline again, with nothing to do
sleeping   8 Stages that sleep one second, with 8 jobs

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
TARGETS = {
    "many, one job": 30.0,
    "many, four jobs": 30.0,
    "overhead for each stage": 0.030,
    "nothing to do": 0.8,
    "8 that sleep one second, 8 jobs": 1.5,
}
SLEEPING = "".join(f"  sleep{n}: {{cmd: 'sleep 1; echo {n} > out{n}', outs: [out{n}]}}\n" for n in range(8))


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


def many(folder: Path, count: int) -> None:
    """A repository with so many Stages of one small file."""
    inputs = folder / "in"
    inputs.mkdir(parents=True)
    for number in range(count):
        (inputs / str(number)).write_text(f"{number}\n")
    lines = (f"  s{n}:\n    cmd: cp in/{n} out{n}\n    deps: [in/{n}]\n    outs: [out{n}]\n" for n in range(count))
    begin(folder, "stages:\n" + "".join(lines))


def begin(folder: Path, text: str) -> None:
    """A repository with this pipeline."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["git", "init", "--quiet", "."], cwd=folder, check=True)
    timed(mlvc("init"), folder)
    (folder / "mlvc.yaml").write_text(text)


def measure(folder: Path, count: int) -> dict[str, tuple[float, float]]:
    """Each figure once."""
    found: dict[str, tuple[float, float]] = {}
    for name, jobs in (("many, one job", "1"), ("many, four jobs", "4")):
        place = folder / jobs
        many(place, count)
        found[name] = timed(mlvc("repro", "-j", jobs), place)
    plain = folder / "plain"
    many(plain, count)
    script = "\n".join(f"sh -c 'cp in/{n} out{n}'" for n in range(count))
    alone = timed(["sh", "-c", script], plain)
    one = found["many, one job"]
    found["overhead for each stage"] = ((one[0] - alone[0]) / count, (one[1] - alone[1]) / count)
    found["nothing to do"] = timed(mlvc("repro"), folder / "1")
    begin(folder / "sleeping", "stages:\n" + SLEEPING)
    found["8 that sleep one second, 8 jobs"] = timed(mlvc("repro", "-j", "8"), folder / "sleeping")
    return found


def table(rounds: Sequence[dict[str, tuple[float, float]]]) -> str:
    """The figures beside the targets."""

    def middle(name: str, at: int) -> float:
        return statistics.median(each[name][at] for each in rounds)

    lines = ["| | seconds | of the processor | target | |", "|---|---|---|---|---|"]
    for name, target in TARGETS.items():
        seconds, busy = middle(name, 0), middle(name, 1)
        told = "holds" if seconds <= target else "missed"
        lines.append(f"| {name} | {seconds:.3f} | {busy:.3f} | {target:g} | {told} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=None, help="where to work; a temporary folder without")
    given = parser.parse_args()
    rounds = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            rounds.append(measure(Path(folder), given.stages))
            shutil.rmtree(folder, ignore_errors=True)
            Path(folder).mkdir()
    print(table(rounds))


if __name__ == "__main__":
    main()
