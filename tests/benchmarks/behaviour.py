"""Do the same odd things to mlvc, DVC and git-lfs, and print the table of the README that says what came of it.

    python tests/benchmarks/behaviour.py [--dvc PATH] [--git-lfs PATH]

A tool whose program is not given or found is left out. Every scenario starts from nothing, in a folder of its own,
with the settings that the tool comes with. mlvc and DVC use a directory as Remote, git-lfs a bare repository. The
answers are what stands on the disk afterwards and exit codes, never what a tool says. The mlvc column is a test, too:
tests/docs/test_behaviour.py. Needs Git and the standard library.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parents[2]
FILES = {f"data/{number}.txt": f"content of file {number}\n" * 20 for number in range(5)}
MANY = 2000


@dataclass(frozen=True, slots=True)
class Tool:
    """How one tool is told to do each thing: command lines, and where it keeps objects here and on a Remote."""

    name: str
    program: tuple[str, ...]
    init: tuple[str, ...]
    track: tuple[str, ...]
    push: tuple[str, ...]
    pull: tuple[str, ...]
    restore: tuple[str, ...]
    store: str
    """Where the files with objects are, below the repository."""
    remote: str
    """And on the Remote."""
    all: str = "**/*"
    """All of the tool's files on the Remote."""


def tools(mlvc: Sequence[str], dvc: str, lfs: str) -> list[Tool]:
    """The tools whose programs are there. ``TOOL`` in a command line is the program."""
    found = [
        Tool(
            "mlvc",
            tuple(mlvc),
            ("TOOL init", "TOOL remote add -d store ../remote"),
            ("TOOL add data", "git add ."),
            ("TOOL push",),
            ("TOOL pull",),
            ("TOOL checkout",),
            ".git/mlvc/packs/*",
            "packs/*",
        ),
        Tool(
            "DVC",
            (dvc,),
            ("TOOL init -q", "TOOL config core.analytics false", "TOOL remote add -q -d store ../remote"),
            ("TOOL add -q data", "git add ."),
            ("TOOL push",),
            ("TOOL pull",),
            ("TOOL checkout",),
            ".dvc/cache/files/md5/*/*",
            "files/md5/*/*",
        ),
        Tool(
            "git-lfs",
            (lfs,),
            ("TOOL install --local", "git init -q --bare -b main ../remote", "git remote add origin ../remote"),
            ("TOOL track data/**", "git add ."),
            ("git push -q origin main", "TOOL push --all origin"),
            ("TOOL install --local", "git fetch -q", "TOOL pull"),
            ("git checkout -q -- data",),
            ".git/lfs/objects/*/*/*",
            "lfs/objects/*/*/*",
            "lfs/**/*",
        ),
    ]
    return [tool for tool in found if tool.program[0] and shutil.which(tool.program[0])]


class Case:
    """One repository of one tool, and its Remote, in a new folder."""

    def __init__(self, tool: Tool, folder: Path) -> None:
        self.tool = tool
        self.project, self.clone, self.remote = folder / "project", folder / "clone", folder / "remote"
        self.env = _environment(tool, folder)
        self.project.mkdir(parents=True)
        self.run(["git init -q -b main", *tool.init, "git add ."])
        self.run(["git commit -q --allow-empty -m start"])

    def run(self, lines: Iterable[str], *, at: Path | None = None, check: bool = True) -> int:
        """Run command lines; the exit code of the first that fails, which is an error where ``check``."""
        for line in lines:
            words = [part for word in line.split() for part in (self.tool.program if word == "TOOL" else [word])]
            done = subprocess.run(
                words, cwd=at or self.project, env=self.env, capture_output=True, check=False, stdin=subprocess.DEVNULL
            )
            if done.returncode:
                if check:
                    raise SystemExit(f"{self.tool.name}: {line}\n{done.stdout.decode()}{done.stderr.decode()}")
                return done.returncode
        return 0

    def write(self, contents: Mapping[str, str] = FILES) -> None:
        """Write files into the project."""
        for name, content in contents.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def track(self) -> None:
        """Track ``data`` and commit."""
        self.run([*self.tool.track, "git commit -q -m data"])

    def push(self) -> int:
        """Send everything; the exit code."""
        return self.run(self.tool.push, check=False)

    def pull(self) -> int:
        """A new clone, with its data as far as it can be had; the exit code of the pull."""
        shutil.rmtree(self.clone, ignore_errors=True)
        self.env["GIT_LFS_SKIP_SMUDGE"] = "1"
        source = self.remote if self.tool.name == "git-lfs" else self.project
        self.run([f"git clone -q {source} {self.clone}"])
        del self.env["GIT_LFS_SKIP_SMUDGE"]
        return self.run(self.tool.pull, at=self.clone, check=False)

    def objects(self, *, remote: bool = False) -> list[Path]:
        """The files with objects, the largest last."""
        found = self.remote.glob(self.tool.remote) if remote else self.project.glob(self.tool.store)
        return sorted((path for path in found if path.is_file()), key=lambda path: path.stat().st_size)


def _environment(tool: Tool, folder: Path) -> dict[str, str]:
    home = folder / "home"
    home.mkdir(parents=True)
    (home / ".gitconfig").write_text("[user]\n\tname = A\n\temail = a@example.org\n")
    beside = os.path.dirname(os.path.abspath(shutil.which(tool.program[0]) or ""))
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([beside, os.environ["PATH"]])
    return kept | {"PATH": path, "HOME": str(home), "PYTHONPATH": str(SOURCES), "DVC_NO_ANALYTICS": "1"}


def damage(path: Path) -> None:
    """Flip one bit in the middle, as a disk does: size, protection and modification time stay."""
    info = path.stat()
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    path.chmod(info.st_mode)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


# -- what is done, and the answer --------------------------------------------------------------


def modes(case: Case) -> str:
    """Kept in a tracked directory: executable bits, symbolic links, empty directories."""
    case.write({"data/run.sh": "#!/bin/sh\n", "data/a.txt": "a"})
    (case.project / "data/run.sh").chmod(0o755)
    (case.project / "data/link").symlink_to("a.txt")
    (case.project / "data/empty").mkdir()
    case.track()
    case.push()
    case.pull()
    data = case.clone / "data"
    kept = {
        "executable": os.access(data / "run.sh", os.X_OK),
        "links": (data / "link").is_symlink(),
        "empty": (data / "empty").is_dir(),
    }
    return ", ".join(name for name, there in kept.items() if there) or "none"


def damaged_here(case: Case) -> str:
    """A bit flips in a stored object; then the data is checked out anew."""
    case.write({"data/one.txt": "one line\n" * 1000})
    case.track()
    for path in case.objects():
        damage(path)
    shutil.rmtree(case.project / "data")
    code = case.run(case.tool.restore, check=False)
    path = case.project / "data/one.txt"
    wrong = path.is_file() and path.read_text(errors="replace") != "one line\n" * 1000
    return ("wrong bytes handed out" if wrong else "no wrong bytes") + f", exit code {_word(code)}"


def damaged_push(case: Case) -> str:
    """A bit flips in a stored object; then it is pushed."""
    case.write({"data/one.txt": "one line\n" * 1000})
    case.track()
    for path in case.objects():
        damage(path)
    return f"exit code {_word(case.push())}"


def lost_there(case: Case) -> str:
    """A file with objects vanishes from the Remote; then a clone pulls."""
    case.write()
    case.track()
    case.push()
    case.objects(remote=True)[-1].unlink()
    return f"exit code {_word(case.pull())}"


def push_again(case: Case) -> str:
    """As before; then the project pushes again, and a clone pulls."""
    case.write()
    case.track()
    case.push()
    lost = case.objects(remote=True)
    lost[len(lost) // 2].unlink()
    code = case.push()
    case.pull()
    whole = all((case.clone / name).is_file() and (case.clone / name).read_text() == FILES[name] for name in FILES)
    return "restored" if whole else f"not restored, exit code {_word(code)}"


def same_size(case: Case) -> str:
    """A file changes, and its size and modification time do not; then everything is tracked again."""
    case.write()
    case.track()
    path = case.project / "data/1.txt"
    times = path.stat()
    path.chmod(0o644)
    path.write_text(FILES["data/1.txt"].replace("content", "CONTENT"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    case.run([*case.tool.track, "git commit -q --allow-empty -m again"])
    case.push()
    case.pull()
    return "seen" if "CONTENT" in (case.clone / "data/1.txt").read_text() else "not seen"


def many(case: Case) -> str:
    """How many files 2,000 small files become on the Remote."""
    case.write({f"data/{number}.txt": f"{number}\n" * 100 for number in range(MANY)})
    case.track()
    case.push()
    return f"{sum(path.is_file() for path in case.remote.glob(case.tool.all)):,}"


def _word(code: int) -> str:
    return "0" if code == 0 else "not 0"


SCENARIOS: dict[str, Callable[[Case], str]] = {
    "kept in a tracked directory": modes,
    "checkout of an object in which a bit has flipped": damaged_here,
    "push of an object in which a bit has flipped": damaged_push,
    "pull when the Remote has lost an object": lost_there,
    "push when the Remote has lost an object": push_again,
    "a change that keeps size and modification time": same_size,
    "files on the Remote for 2,000 small files": many,
}


def answers(tool: Tool, root: Path) -> dict[str, str]:
    """What came of every scenario."""
    return {
        name: work(Case(tool, root / f"{tool.name}-{number}"))
        for number, (name, work) in enumerate(SCENARIOS.items(), 1)
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--dvc", default="dvc", help="the program")
    parser.add_argument("--git-lfs", default="git-lfs", help="the program")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        found = tools((sys.executable, "-P", "-m", "mlvc"), given.dvc, given.git_lfs)
        columns = {tool.name: answers(tool, Path(root)) for tool in found}
    print(f"| what | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for name in SCENARIOS:
        print(f"| {name} | {' | '.join(column[name] for column in columns.values())} |")


if __name__ == "__main__":
    main()
