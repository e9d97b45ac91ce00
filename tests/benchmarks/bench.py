"""Time mlvc and DVC in turn on this machine, and print the table that the docs show.

    python tests/benchmarks/bench.py [--rounds 5] [--only small,big,versions,one] [--scale 0.1] [--json runs.json]

What is measured: whole processes, from fork to exit, by the wall clock; peak memory is that of the largest process
(``ru_maxrss`` of ``os.wait4``). Every round runs each tool through each scenario in turn, in new repositories; the
table shows medians over the rounds. Before each timed command the disk is let settle (``os.sync``), and the data has
just been written, so that caches are warm for all. Nothing that has many files is deleted before the end; MANY_FILES
says why. Both tools run with the settings that they come with (DVC with its analytics off), each with a directory
Remote of its own. What a command brought back is compared with the source, byte for byte, after its time was taken: a
fast wrong answer stops the tool's scenario.

The data, seeded, so that it is the same everywhere:

small     20,000 files of 1 to 17 KB in 20 directories; every other one random bytes, which do not shrink (pictures),
          the rest rows of text (labels, readings)
big       one file of 1 GiB of random bytes (weights of a model)
versions  eight versions of a table of about 100 MB: from one to the next a single row is corrected, a run of 200 rows
          recalibrated, 100 rows in one place give way to 500 others, and 2.5 % is appended
one       a repository with one small file

mlvc runs once more in every round with ``os.fsync`` and ``os.fdatasync`` turned into nothing: the difference is what
the disk's flush takes. (What SQLite flushes by itself stays in both.) DVC never flushes. On a machine that does other
work too, the difference may drown in the noise, and 0.00 is shown; ``--json`` has the processor time of every run.

Needs Git and the standard library. DVC is installed from PyPI into a virtual environment below the working directory,
unless ``--dvc PATH`` names one. Where restic or borg is installed, it keeps the same eight versions for comparison.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

DVC_VERSION = "3.67.1"
SEED = 20_000
MB = 1_000_000

TARGETS = {
    "small: add": 10.0,
    "small: status, clean": 5.0,
    "small: add after 1 change": 8.0,
    "small: push to a directory": 15.0,
    "small: push, nothing new": 8.0,
    "small: pull into a clone": 6.0,
    "small: checkout of everything": 4.0,
    "big: add": 3.0,
    "big: push to a directory": None,
    "big: pull into a clone": 3.0,
    "versions: add, all eight": None,
    "one: status": None,
}
STORED = "versions: bytes in the Store"
SENT = "versions: bytes on the Remote"
ON_REMOTE = "small: files on the Remote"
CP = "small: cp -a"

# These scenarios leave their files until the very end. ext4 does not use an inode again for one to five minutes after
# its file was deleted, and whoever makes a file looks at all of those first: after 100,000 deletions `cp -a` of 20,000
# files was measured at 18 s instead of 1.7. The next tool would pay for that. (Two benchmarks one right after the other
# still disturb each other; so does anything else that deletes many files.)
MANY_FILES = ("small", "cp")

NO_FLUSH = "import os\nos.fsync = os.fdatasync = lambda fd: None\n"


class ToolFailedError(Exception):
    """A command ended with an error, or brought back the wrong bytes."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program under test; ``store`` is where it keeps its bytes inside a repository."""

    name: str
    argv: tuple[str, ...]
    store: str = ""
    settings: tuple[tuple[str, ...], ...] = ()
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One timed command: seconds and bytes."""

    step: str
    tool: str
    round: int
    wall: float
    user: float
    system: float
    memory: int


@dataclass(frozen=True, slots=True)
class Count:
    """One number that is not a time, such as bytes stored."""

    what: str
    tool: str
    round: int
    value: float


@dataclass(slots=True)
class Lab:
    """Where the work is done, and everything that was measured there."""

    work: Path
    scale: float
    spot: Path
    """Where one tool goes through one scenario."""
    round: int = 0
    runs: list[Run] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """The generated data, read only."""
        return self.work / "data"


# ---------------------------------------------------------------- data


def number(full: int, scale: float) -> int:
    """``full`` things at this scale, and never none."""
    return max(1, round(full * scale))


def make_small(folder: Path, scale: float) -> None:
    """Many small files, half of them incompressible."""
    rng = random.Random(SEED)
    for index in range(number(20_000, scale)):
        path = folder / f"part-{index % 20:02}" / f"{index:05}{'.txt' if index % 2 else '.bin'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = rng.randint(1024, 17 * 1024)
        path.write_bytes(text_of(rng, size) if index % 2 else rng.randbytes(size))


def text_of(rng: random.Random, size: int) -> bytes:
    """About ``size`` bytes of readings, cut to the byte."""
    rows, length = [], 0
    while length < size:
        rows.append(f"{rng.getrandbits(24)}\t{rng.choice(STATIONS)}\t{rng.gauss(12, 6):.3f}\t{rng.random():.4f}\tok\n")
        length += len(rows[-1])
    return "".join(rows).encode()[:size]


STATIONS = ("torgersen", "biscoe", "dream", "anvers", "palmer", "litchfield", "cormorant", "humble")


def make_big(folder: Path, scale: float) -> None:
    """One file of incompressible bytes."""
    rng = random.Random(SEED + 1)
    folder.mkdir()
    with (folder / "weights.bin").open("wb") as file:
        for _ in range(number(1024, scale)):
            file.write(rng.randbytes(1 << 20))


def make_versions(folder: Path, scale: float) -> None:
    """Eight versions of one growing, corrected table."""
    rng = random.Random(SEED + 2)
    folder.mkdir()
    serial = iter(range(1 << 40))
    table = [row(rng, next(serial)) for _ in range(number(1_180_000, scale))]
    for version in range(1, 9):
        if version > 1:
            table = next_version(rng, table, serial, scale)
        with (folder / f"v{version}.csv").open("wb") as file:
            file.write(b"id,time,station,device,temperature,humidity,pressure,wind,quality\n")
            file.writelines(table)


def next_version(rng: random.Random, table: list[bytes], serial: Iterator[int], scale: float) -> list[bytes]:
    """What a week of work does to a table."""
    at = rng.randrange(len(table))
    table[at] = row(rng, int(table[at].split(b",", 1)[0]))
    start = rng.randrange(len(table))
    for at in range(start, min(start + number(200, scale), len(table))):
        table[at] = row(rng, int(table[at].split(b",", 1)[0]))
    start = rng.randrange(len(table))
    table[start : start + number(100, scale)] = [row(rng, next(serial)) for _ in range(number(500, scale))]
    table += [row(rng, next(serial)) for _ in range(len(table) // 40)]
    return table


def row(rng: random.Random, serial: int) -> bytes:
    """One reading of one station: about 83 bytes, two fifths of them information."""
    day, second = divmod(serial * 31, 86_400)
    return (
        f"{serial},2025-{1 + day // 28 % 12:02}-{1 + day % 28:02}T{second // 3600:02}:{second // 60 % 60:02}:"
        f"{second % 60:02}Z,{STATIONS[rng.getrandbits(3)]},{rng.getrandbits(48):012x},{rng.gauss(-2, 7):.4f},"
        f"{rng.uniform(40, 100):.3f},{rng.gauss(985, 9):.3f},{rng.expovariate(0.2):.3f},"
        f"{'good' if rng.random() < 0.97 else 'suspect'}\n"
    ).encode()


def make_one(folder: Path, scale: float) -> None:
    """One small file."""
    del scale
    folder.mkdir()
    (folder / "table.csv").write_bytes(text_of(random.Random(SEED + 3), 20_000))


def in_child(action: Callable[[], object]) -> bool:
    """Run ``action`` in a fork, and say whether it returned without an error.

    What this process once held in memory would count in ``ru_maxrss`` of whatever it starts later.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        except Exception as error:  # noqa: BLE001 - told to the parent by the exit code
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# ---------------------------------------------------------------- commands


def environment(lab: Lab, tool: Tool | None = None) -> dict[str, str]:
    """A home of its own, so that nobody's settings count, and the tool's own variables."""
    home = lab.work / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TMPDIR": str(lab.work),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Bench",
        "GIT_AUTHOR_EMAIL": "bench@example.org",
        "GIT_COMMITTER_NAME": "Bench",
        "GIT_COMMITTER_EMAIL": "bench@example.org",
        "DVC_SITE_CACHE_DIR": str(lab.spot / "site"),
        **dict(tool.env if tool else ()),
    }


def call(lab: Lab, cwd: Path, *argv: str, tool: Tool | None = None) -> str:
    """Run a command that is not timed; what it printed."""
    done = subprocess.run(argv, cwd=cwd, env=environment(lab, tool), capture_output=True, text=True, check=False)
    if done.returncode:
        text = (done.stdout + done.stderr)[-2000:]
        raise ToolFailedError(f"`{' '.join(argv)}` exited with {done.returncode}\n{text}")
    return done.stdout


def timed(lab: Lab, tool: Tool, step: str, cwd: Path, *args: str) -> None:
    """Run one command of ``tool`` and record what it took."""
    argv = [*tool.argv, *args]
    with (lab.work / "output").open("w+b") as output:
        os.sync()
        start = time.perf_counter()
        process = subprocess.Popen(
            argv, cwd=cwd, env=environment(lab, tool), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")[-2000:]
    if process.returncode:
        raise ToolFailedError(f"`{' '.join(argv)}` exited with {process.returncode}\n{text}")
    unit = 1 if sys.platform == "darwin" else 1024
    lab.runs.append(Run(step, tool.name, lab.round, wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * unit))
    print(f"  {lab.round}  {tool.name:18} {step:32} {wall:7.2f} s {usage.ru_maxrss * unit / MB:6.0f} MB", flush=True)


def repository(lab: Lab, tool: Tool) -> Path:
    """A new Git repository in which ``tool`` is set up, with a directory Remote beside it."""
    path = lab.spot / "repository"
    path.mkdir()
    call(lab, path, "git", "init", "-q", "-b", "main")
    for args in (("init",), *tool.settings, ("remote", "add", "-d", "store", str(lab.spot / "remote"))):
        call(lab, path, *tool.argv, *args, tool=tool)
    return path


def commit(lab: Lab, path: Path) -> None:
    """Commit what Git is to know."""
    call(lab, path, "git", "add", "-A")
    call(lab, path, "git", "commit", "-q", "-m", "Data")


def clone(lab: Lab, path: Path) -> Path:
    """A clone without any data."""
    call(lab, lab.spot, "git", "clone", "-q", str(path), "clone")
    return lab.spot / "clone"


def copy(source: Path, target: Path) -> None:
    """The bytes of ``source``, a file or a directory, put where a person would have them."""
    subprocess.run(["cp", "-R", source, target], check=True)


def sizes(folder: Path) -> list[int]:
    """Size of every file below ``folder``, or of the one file."""
    paths = [folder] if folder.is_file() else folder.rglob("*")
    return [path.lstat().st_size for path in paths if path.is_file() or path.is_symlink()]


def expect_same(source: Path, target: Path) -> None:
    """Raise unless ``target`` holds exactly the bytes of ``source``."""

    def compare() -> None:
        names = sorted(p.relative_to(source) for p in source.rglob("*"))
        if names != sorted(p.relative_to(target) for p in target.rglob("*")):
            raise ToolFailedError("names differ")
        for name in names:
            if (source / name).is_file() and not filecmp.cmp(source / name, target / name, shallow=False):
                raise ToolFailedError(f"bytes of {name} differ")

    if not in_child(compare):
        raise ToolFailedError(f"what came back is not {source.name}")


# ---------------------------------------------------------------- scenarios


def small(lab: Lab, tool: Tool) -> None:
    """Everything that is done with many small files."""
    source = lab.data / "small"
    path = repository(lab, tool)
    copy(source, path / "images")
    timed(lab, tool, "small: add", path, "add", "images")
    commit(lab, path)
    timed(lab, tool, "small: status, clean", path, "status")
    timed(lab, tool, "small: push to a directory", path, "push")
    lab.counts.append(Count(ON_REMOTE, tool.name, lab.round, len(sizes(lab.spot / "remote"))))
    timed(lab, tool, "small: push, nothing new", path, "push")
    other = clone(lab, path)
    timed(lab, tool, "small: pull into a clone", other, "pull")
    expect_same(source, other / "images")
    (path / "images").rename(lab.spot / "aside")  # not removed: see MANY_FILES
    timed(lab, tool, "small: checkout of everything", path, "checkout")
    expect_same(source, path / "images")
    (path / "images" / "part-01" / "00001.txt").write_bytes(b"changed\n" * 500)
    timed(lab, tool, "small: add after 1 change", path, "add", "images")


def big(lab: Lab, tool: Tool) -> None:
    """One large file there and back."""
    source = lab.data / "big"
    path = repository(lab, tool)
    (path / "model").mkdir()
    copy(source / "weights.bin", path / "model")
    timed(lab, tool, "big: add", path, "add", "model/weights.bin")
    commit(lab, path)
    timed(lab, tool, "big: push to a directory", path, "push")
    other = clone(lab, path)
    timed(lab, tool, "big: pull into a clone", other, "pull")
    expect_same_file(source / "weights.bin", other / "model" / "weights.bin")


def expect_same_file(source: Path, target: Path) -> None:
    """Raise unless ``target`` has the bytes of ``source``."""
    if not filecmp.cmp(source, target, shallow=False):
        raise ToolFailedError(f"bytes of {target.name} differ")


def versions(lab: Lab, tool: Tool) -> None:
    """A table that changes from week to week."""
    path = repository(lab, tool)
    first = (lab.data / "versions" / "v1.csv").stat().st_size
    before = len(lab.runs)
    for version in range(1, 9):
        copy(lab.data / "versions" / f"v{version}.csv", path / "table.csv")
        timed(lab, tool, "versions: add", path, "add", "table.csv")
        call(lab, path, *tool.argv, "push", tool=tool)
        commit(lab, path)
    eight = lab.runs[before:]
    total = [sum(getattr(run, name) for run in eight) for name in ("wall", "user", "system")]
    memory = max(run.memory for run in eight)
    lab.runs.append(Run("versions: add, all eight", tool.name, lab.round, *total, memory))
    lab.counts.append(Count(STORED, tool.name, lab.round, sum(sizes(path / tool.store)) / first))
    lab.counts.append(Count(SENT, tool.name, lab.round, sum(sizes(lab.spot / "remote")) / first))
    (path / "table.csv").unlink()
    call(lab, path, *tool.argv, "checkout", tool=tool)
    expect_same_file(lab.data / "versions" / "v8.csv", path / "table.csv")


def one(lab: Lab, tool: Tool) -> None:
    """What starting up takes."""
    path = repository(lab, tool)
    copy(lab.data / "one" / "table.csv", path / "table.csv")
    call(lab, path, *tool.argv, "add", "table.csv", tool=tool)
    commit(lab, path)
    for _ in range(3):
        timed(lab, tool, "one: status", path, "status")


SCENARIOS = {"small": small, "big": big, "versions": versions, "one": one}
MAKERS = {"small": make_small, "big": make_big, "versions": make_versions, "one": make_one}


def plain_copy(lab: Lab, tool: Tool) -> None:
    """What the file system itself takes for the small files."""
    copy(lab.data / "small", lab.spot / "small")
    timed(lab, tool, CP, lab.spot, "-a", "small", "copy")


def restic(lab: Lab, tool: Tool) -> None:
    """The same versions as restic keeps them."""
    call(lab, lab.spot, *tool.argv, "init", tool=tool)
    kept_by(lab, tool, ("backup", "table.csv"))


def borg(lab: Lab, tool: Tool) -> None:
    """The same versions as borg keeps them."""
    call(lab, lab.spot, *tool.argv, "init", "--encryption", "none", "store", tool=tool)
    kept_by(lab, tool, ("create", "--compression", "zstd,3", "store::{now:%s-%f}", "table.csv"))


def kept_by(lab: Lab, tool: Tool, args: tuple[str, ...]) -> None:
    """Store the eight versions, one after the other, and record what they take."""
    for version in range(1, 9):
        copy(lab.data / "versions" / f"v{version}.csv", lab.spot / "table.csv")
        timed(lab, tool, "versions: add", lab.spot, *args)
    first = (lab.data / "versions" / "v1.csv").stat().st_size
    lab.counts.append(Count(STORED, tool.name, lab.round, sum(sizes(lab.spot / "store")) / first))


# ---------------------------------------------------------------- tools


def find_mlvc(lab: Lab) -> list[Tool]:
    """mlvc as this Python has it installed, once as it is and once with flushing turned off."""
    hook = lab.work / "no-flush"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(NO_FLUSH)
    argv = (sys.executable, "-P", "-m", "mlvc")
    tree = str(Path(__file__).resolve().parents[2])
    return [
        Tool("mlvc", argv, ".git/mlvc", env=(("PYTHONPATH", tree),)),
        Tool("mlvc, no flush", argv, ".git/mlvc", env=(("PYTHONPATH", f"{hook}{os.pathsep}{tree}"),)),
    ]


def find_dvc(lab: Lab, path: str | None) -> Tool:
    """The DVC at ``path``, or a new one from PyPI."""
    if path is None:
        venv = lab.work / "dvc"
        print(f"installing DVC {DVC_VERSION} into {venv}", flush=True)
        call(lab, lab.work, sys.executable, "-m", "venv", str(venv))
        call(lab, lab.work, str(venv / "bin" / "python"), "-m", "pip", "install", "-q", f"dvc=={DVC_VERSION}")
        path = str(venv / "bin" / "dvc")
    version = call(lab, lab.work, path, "--version").strip()
    if version != DVC_VERSION:
        print(f"note: this is DVC {version}, the targets are against {DVC_VERSION}")
    return Tool("DVC", (str(Path(path).absolute()),), ".dvc/cache", (("config", "core.analytics", "false"),))


def once(lab: Lab, tool: Tool, scenario: Callable[[Lab, Tool], None], name: str) -> bool:
    """One tool through one scenario in an empty place. A failure is reported and kept for the exit code."""
    lab.spot = Path(tempfile.mkdtemp(prefix="spot-", dir=lab.work))
    try:
        scenario(lab, tool)
    except (ToolFailedError, OSError, subprocess.CalledProcessError) as error:
        lab.failures.append(f"{tool.name}, {name}: {error}")
        print(f"FAILED {tool.name}, {name}: {error}", file=sys.stderr, flush=True)
        return False
    finally:
        if name not in MANY_FILES:
            shutil.rmtree(lab.spot, ignore_errors=True)
    return True


def measure(lab: Lab, tools: list[Tool], names: list[str], rounds: int) -> None:
    """All rounds. A tool that failed in a scenario is not asked again in the next round."""
    work = [(name, tool, SCENARIOS[name]) for name in names for tool in tools]
    if "small" in names:
        work.append(("cp", Tool("cp -a", ("cp",)), plain_copy))
    for lab.round in range(1, rounds + 1):
        work = [(name, tool, scenario) for name, tool, scenario in work if once(lab, tool, scenario, name)]
    if "versions" in names:
        if found := shutil.which("restic"):
            settings = (("RESTIC_PASSWORD", "bench"), ("RESTIC_REPOSITORY", "store"))
            once(lab, Tool("restic", (found,), env=settings), restic, "versions")
        if found := shutil.which("borg"):
            settings = (("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes"),)
            once(lab, Tool("borg", (found,), env=settings), borg, "versions")


# ---------------------------------------------------------------- report


def median(lab: Lab, step: str, tool: str) -> float | None:
    """Median seconds of a step."""
    walls = [run.wall for run in lab.runs if (run.step, run.tool) == (step, tool)]
    return statistics.median(walls) if walls else None


def peak(lab: Lab, step: str, tool: str) -> float | None:
    """Largest memory of a step over all rounds, in MB."""
    found = [run.memory / MB for run in lab.runs if (run.step, run.tool) == (step, tool)]
    return max(found) if found else None


def counted(lab: Lab, what: str, tool: str) -> float | None:
    """Median of a count."""
    values = [count.value for count in lab.counts if (count.what, count.tool) == (what, tool)]
    return statistics.median(values) if values else None


def show(value: float | None, form: str = "{:.2f}") -> str:
    """A number for a table cell, or nothing."""
    return "" if value is None else form.format(value)


def over(first: float | None, second: float | None) -> float | None:
    """How many times ``second`` goes into ``first``."""
    return first / second if first is not None and second else None


def verdict(value: float | None, *, good: bool) -> str:
    """Whether a target is met, where there is something to judge."""
    return "" if value is None else (" ✓" if good else " ✗")


def times_table(lab: Lab) -> Iterator[str]:
    """Seconds of each step, side by side."""
    yield "| step | DVC s | mlvc s | ratio | target | of it flush s | DVC MB | mlvc MB |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for step, target in TARGETS.items():
        dvc, mlvc, bare = (median(lab, step, name) for name in ("DVC", "mlvc", "mlvc, no flush"))
        if dvc is None and mlvc is None:
            continue
        ratio = over(dvc, mlvc)
        flush = max(0.0, mlvc - bare) if mlvc is not None and bare is not None else None
        judged = ratio if target else None
        cells = [
            step,
            show(dvc),
            show(mlvc),
            show(ratio, "{:.1f}x") + verdict(judged, good=(ratio or 0) >= (target or 0)),
            show(target, "{:g}x"),
            show(flush),
            show(peak(lab, step, "DVC"), "{:.0f}"),
            show(peak(lab, step, "mlvc"), "{:.0f}"),
        ]
        yield f"| {' | '.join(cells)} |"


def limits_table(lab: Lab) -> Iterator[str]:
    """What is measured against a fixed limit and not against DVC alone."""
    copied = median(lab, CP, "cp -a")
    memory = {name: max((r.memory / MB for r in lab.runs if r.tool == name), default=None) for name in ("DVC", "mlvc")}
    checkout = {name: over(median(lab, "small: checkout of everything", name), copied) for name in memory}
    lines = [
        ("versions: kept in the Store, of one version", STORED, "{:.2f}x", 0.7),
        ("versions: kept on the Remote, of one version", SENT, "{:.2f}x", None),
        ("small: files on the Remote", ON_REMOTE, "{:.0f}", 100),
    ]
    rows = [(t, {n: counted(lab, what, n) for n in memory}, form, limit) for t, what, form, limit in lines]
    rows += [
        (f"small: checkout of everything, of `cp -a` ({show(copied)} s)", checkout, "{:.2f}x", 1.5),
        ("one: status, seconds", {n: median(lab, "one: status", n) for n in memory}, "{:.3f}", 0.15),
        ("peak memory of all steps, MB", memory, "{:.0f}", 300),
    ]
    yield "| what | DVC | mlvc | at most |"
    yield "|---|--:|--:|--:|"
    for title, values, form, limit in rows:
        if any(value is not None for value in values.values()):
            mlvc = values["mlvc"]
            met = verdict(mlvc if limit else None, good=(mlvc or 0) <= (limit or 0))
            yield f"| {title} | {show(values['DVC'], form)} | {show(mlvc, form)}{met} | {show(limit, form)} |"
    for name in ("restic", "borg"):
        if (kept := counted(lab, STORED, name)) is not None:
            yield f"| versions: kept by {name}, of one version | {kept:.2f}x | | |"


def machine(lab: Lab) -> dict[str, str]:
    """What the numbers are to be read with."""
    mounts = Path("/proc/mounts")
    kind = "unknown"
    if mounts.exists():
        fields = [line.split()[:3] for line in mounts.read_text().splitlines()]
        inside = [(point, kind) for _, point, kind in fields if lab.work.is_relative_to(point)]
        kind = max(inside, key=lambda item: len(item[0]))[1]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(os.cpu_count()),
        "python": platform.python_version(),
        "file system": kind,
        "git": call(lab, lab.work, "git", "--version").split()[2],
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time mlvc and DVC in turn and print a Markdown table.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(SCENARIOS), help="scenarios, separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 for a quick trial with a tenth of the data")
    parser.add_argument("--dvc", metavar="PATH", help=f"a DVC to use; default: install {DVC_VERSION} from PyPI")
    parser.add_argument("--without-dvc", action="store_true")
    parser.add_argument("--without-mlvc", action="store_true")
    parser.add_argument(
        "--dir", metavar="DIR", help="where to work (needs 25 GB for five rounds); default: the temporary directory"
    )
    parser.add_argument("--json", metavar="FILE", help="write every single run there")
    args = parser.parse_args()
    unknown = set(args.only.split(",")) - set(SCENARIOS)
    if unknown:
        parser.error(f"--only knows {', '.join(SCENARIOS)}")
    return args


def main() -> int:
    """Make the data, run, report; 1 where a tool failed."""
    args = arguments()
    names = args.only.split(",")
    with tempfile.TemporaryDirectory(prefix="mlvc-bench-", dir=args.dir) as work:
        lab = Lab(Path(work).resolve(), args.scale, Path(work).resolve())
        tools = [] if args.without_dvc else [find_dvc(lab, args.dvc)]
        tools += [] if args.without_mlvc else find_mlvc(lab)
        lab.data.mkdir()
        for name in names:
            print(f"making {name}", flush=True)
            if not in_child(lambda name=name: MAKERS[name](lab.data / name, lab.scale)):
                return 1
        measure(lab, tools, names, args.rounds)
        about = machine(lab)
    about |= {"rounds": str(args.rounds), "scale": f"{args.scale:g}"}
    print("\n" + ", ".join(f"{key} {value}" for key, value in about.items()))
    print("\n" + "\n".join(times_table(lab)) + "\n\n" + "\n".join(limits_table(lab)))
    if args.json:
        raw = {"machine": about, "runs": [asdict(r) for r in lab.runs], "counts": [asdict(c) for c in lab.counts]}
        Path(args.json).write_text(json.dumps({**raw, "failures": lab.failures}, indent=1) + "\n")
    for failure in lab.failures:
        print(f"\nfailed: {failure}", file=sys.stderr)
    return 1 if lab.failures else 0


if __name__ == "__main__":
    sys.exit(main())
