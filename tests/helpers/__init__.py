"""What the tests share: real Git, real processes, and the environment that both run in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlvc
from tests.helpers import promises

SOURCES = str(Path(mlvc.__file__).parents[1])
"""Where the mlvc under test is imported from; its processes import it from there too."""

CLOCK = "2026-01-02T03:04:05+00:00"
"""The date of every commit that a test makes."""

TIMEOUT = 120


@dataclass(frozen=True, slots=True)
class Result:
    """How a process ended. ``code`` is negative where a signal ended it. Odd bytes are surrogates."""

    code: int
    out: str
    err: str


def hermetic_environment(home: Path, temporary: Path) -> dict[str, str]:
    """All that a test or a process that it starts can see of its surroundings.

    Nothing comes from the person who runs the tests but PATH, with this Python's folder first, and
    what pytest itself needs.
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith("PYTEST_")}
    return kept | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_RUNTIME_DIR": str(temporary),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "NO_COLOR": "1",
        "COLUMNS": "120",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_TERMINAL_PROMPT": "0",
        "MLVC_CONFIG_SYSTEM": "",
        "GIT_AUTHOR_DATE": CLOCK,
        "GIT_COMMITTER_DATE": CLOCK,
    }


def run(
    command: Sequence[str | bytes],
    *,
    cwd: str | os.PathLike[str] | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Result:
    """Run a process with no input. ``env`` is added to the environment; ``check`` asserts exit code 0."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | dict(env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    result = Result(done.returncode, *(part.decode(errors="surrogateescape") for part in (done.stdout, done.stderr)))
    if check:
        shown = " ".join(os.fsdecode(part) for part in command)
        assert result.code == 0, f"`{shown}` ended with {result.code}\n{result.out}\n{result.err}"
    return result


def run_mlvc(
    *args: str | bytes | os.PathLike[str],
    cwd: str | os.PathLike[str] | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Result:
    """Run mlvc in a process of its own, as a person would in the folder ``cwd`` (here, where not given)."""
    first = [env["PYTHONPATH"]] if env and "PYTHONPATH" in env else []
    env = dict(env or {}) | {"PYTHONPATH": os.pathsep.join([*first, SOURCES])}
    # -P: files of the folder that mlvc runs in are not imported, as with the installed command.
    command: list[str | bytes] = [sys.executable, "-P", "-m", "mlvc", *(os.fspath(arg) for arg in args)]
    result = run(command, cwd=cwd, check=check, env=env, timeout=timeout)
    promises.check([os.fsdecode(arg) for arg in args], result.code, result.out)
    return result


def git(
    *args: str | bytes | os.PathLike[str],
    cwd: str | os.PathLike[str] | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run the real Git; its output without the last line feed."""
    return run(["git", *(os.fspath(arg) for arg in args)], cwd=cwd, check=check, env=env).out.removesuffix("\n")


def make_git_repo(path: str | os.PathLike[str] | None = None) -> Path:
    """Make a Git repository at ``path`` (here, where not given), with the folders above it. No commits."""
    root = Path(path or ".").absolute()
    root.mkdir(parents=True, exist_ok=True)
    git("init", "--quiet", "-b", "main", cwd=root)
    return root
