"""Every test has a home, an environment and a working folder of its own, and cannot reach the real ones unnoticed."""

from __future__ import annotations

import os
import pwd
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.contract", "tests.helpers")

from mlvc.oid import LENGTHS  # noqa: E402
from tests import helpers  # noqa: E402

# The same examples on every run, and no database in the checkout: a test that fails fails for everyone.
settings.register_profile(
    "mlvc",
    database=None,
    deadline=None,
    derandomize=True,
    # monkeypatch and tmp_path are made once for a test, not for each example; tests that mind make their own.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("mlvc")

# No init.defaultBranch, as Git comes: who needs a branch of a certain name asks for it.
GIT_CONFIG = """\
[user]
	name = Ada Lovelace
	email = ada@example.org
[protocol "file"]
	allow = always
[gc]
	auto = 0
[maintenance]
	auto = false
"""

# Who starts the suite in the background of a script, or behind nohup, leaves it deaf to Ctrl-C or to the end of the
# terminal, and so would be all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Taken when the session starts, before any test has a home of its own.
REAL_HOMES = sorted({Path.home(), Path(pwd.getpwuid(os.getuid()).pw_dir)})
SETTINGS_OF_GIT = (".gitconfig", ".config/git/config", ".config/git/ignore", ".config/git/attributes")
FOLDERS = ("", ".cache", ".config", ".local/share", ".local/state")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """With ``-n auto``: more than there are processors, since a third of the time is waiting for disks and timers."""
    return (os.cpu_count() or 1) * 3 // 2


def traces() -> dict[str, tuple[int, int]]:
    """What Git, mlvc or a careless test has left in the real home, with size and time.

    Other programs may be at work there, so other names say nothing.
    """
    found = [home / name for home in REAL_HOMES for name in SETTINGS_OF_GIT]
    found += [path for home in REAL_HOMES for folder in FOLDERS for path in (home / folder).glob("*mlvc*")]
    states = {str(path): path.stat() for path in found if path.exists()}
    return {path: (state.st_size, state.st_mtime_ns) for path, state in states.items()}


@pytest.fixture(autouse=True)
def hermetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Under tmp_path: ``home``, ``tmp``, and ``work``, which is the working folder.

    A test that changes mlvc's or Git's files in the real home fails.
    """
    before = traces()
    home, temporary, work = tmp_path / "home", tmp_path / "tmp", tmp_path / "work"
    for folder in (home, temporary, work):
        folder.mkdir()
    (home / ".gitconfig").write_text(GIT_CONFIG)
    environment = helpers.hermetic_environment(home, temporary)
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(work)
    yield
    after = traces()
    if after != before:
        pytest.fail(f"the test wrote to the real home\nbefore: {before}\nafter:  {after}", pytrace=False)


@pytest.fixture
def git_repo() -> Callable[..., Path]:
    """``git_repo(path=None) -> Path``: a new Git repository at ``path``, or in the working folder."""
    return helpers.make_git_repo


@pytest.fixture
def run_mlvc() -> Callable[..., helpers.Result]:
    """``run_mlvc(*args, cwd=, check=True, env=, timeout=) -> Result``: mlvc as a real process."""
    return helpers.run_mlvc


@pytest.fixture(params=list(LENGTHS))
def algorithm(request: pytest.FixtureRequest) -> str:
    """Each hash algorithm in turn, by name."""
    name: str = request.param
    return name
