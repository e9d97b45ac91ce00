"""``kill -9`` at calls that change the file system: nothing is lost, and the command run again finishes its work."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlvc.oid import LENGTHS
from tests.helpers import git, run_mlvc, shell
from tests.helpers.faults import counted, process_faults
from tests.helpers.shell import image, tree

pytestmark = pytest.mark.fault
BOTH = list(LENGTHS)
SPREAD = 12
"""How many of the calls a command is killed at, evenly spread, the first and the last among them.

Both hashes take turns.
"""

PIPELINE = """\
stages:
  double: {cmd: cat data/one.txt data/one.txt > double.txt, deps: [data/one.txt], outs: [double.txt]}
  count: {cmd: mkdir -p out && wc -c < double.txt > out/count.txt, deps: [double.txt], outs: [out]}
"""


@dataclass(frozen=True)
class Scene:
    """A command, what stands before it, and which files of the working tree it may change."""

    args: tuple[str, ...]
    prepare: Callable[[Path], object]
    where: str = "project"


def _add(root: Path) -> None:
    shell.write(root, {"data/one.txt": b"changed\n", "new/x": b"x", "new/large": shell.LARGE[::-1]})


def _commit(root: Path) -> None:
    shell.write(root, {"data/one.txt": b"changed\n", "model.bin": shell.LARGE[::-1]})


def _checkout(root: Path) -> None:
    _commit(root)
    shell.write(root, {"data/sub/new.txt": b"new\n"})
    (root / "data/two.txt").unlink()
    run_mlvc("commit", cwd=root)
    shell.commit(root)
    git("checkout", "--quiet", "HEAD~1", cwd=root)


def _push(root: Path) -> None:
    shutil.rmtree(root.parent / "remote", ignore_errors=True)


def _pull(root: Path) -> None:
    run_mlvc("push", cwd=root)
    shell.clone(root)


def _repro(root: Path) -> None:
    shell.write(root, {"mlvc.yaml": PIPELINE.encode()})
    run_mlvc("repro", cwd=root)
    shell.write(root, {"data/one.txt": b"changed\n"})


SCENES = {
    "add": Scene(("add", "data", "new"), _add),
    "commit": Scene(("commit",), _commit),
    "checkout": Scene(("checkout",), _checkout),
    "push": Scene(("push",), _push),
    "pull": Scene(("pull",), _pull, "clone"),
    "repro": Scene(("repro",), _repro),
}


def told(root: Path) -> tuple[str, str]:
    """What the repository says of itself."""
    return run_mlvc("status", "--json", cwd=root).out, git("status", "--porcelain", cwd=root)


def without_temporary(root: Path) -> list[str]:
    """Names that look like something temporary."""
    left = [path for path in image(root) if "/tmp/" in f"/{path}" or ".tmp" in path or ".mlvc-tmp" in path]
    return [path for path in left if not path.startswith(".git/objects")]


@pytest.mark.parametrize("algorithm", BOTH)
@pytest.mark.parametrize("name", SCENES)
def test_invariant_3_kill_9_loses_nothing(project: Path, tmp_path: Path, name: str, algorithm: str) -> None:
    scene = SCENES[name]
    scene.prepare(project)
    start = project.parent
    # Undisturbed, to know the calls and the end.
    end = shell.copied(start, tmp_path / "end") / scene.where
    log = tmp_path / "calls"
    run_mlvc(*scene.args, cwd=end, env=process_faults(root=end.parent, count_to=log))
    before, after = tree(start / scene.where), tree(end)
    expected = told(end)
    calls = len(counted(log))
    assert calls > 5
    spread = sorted({1 + round(step * (calls - 1) / (SPREAD - 1)) for step in range(SPREAD)})
    numbers = spread[BOTH.index(algorithm) :: len(BOTH)]
    for n in numbers:
        place = shell.copied(start, tmp_path / f"{n}")
        root = place / scene.where
        done = run_mlvc(*scene.args, cwd=root, check=False, env=process_faults(kill_at=n, root=place))
        if done.code != -signal.SIGKILL:
            assert done.code == 0  # fewer calls than before
        now = tree(root)
        mixed = {
            path: what
            for path, what in now.items()
            if what not in (before.get(path), after.get(path)) and ".mlvc-tmp" not in path and ".tmp" not in path
        }
        gone = [path for path in before.keys() & after.keys() if path not in now]
        # What a stage makes is taken out of the way before it runs, and is in the Store.
        allowed = {"double.txt", "out", "out/count.txt", "mlvc.lock"} if name == "repro" else set()
        assert not mixed.keys() - allowed, (n, mixed)
        assert not set(gone) - allowed, (n, gone)
        run_mlvc("status", cwd=root)
        run_mlvc(*scene.args, cwd=root)
        assert tree(root) == after, n
        assert git("status", "--porcelain", cwd=root) == expected[1], n
        assert not without_temporary(root), n
        if n == numbers[-1]:
            assert told(root) == expected
        shutil.rmtree(place)
