"""Tests cannot reach the person who runs them."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.helpers import SOURCES, git, run

ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, source: str, home: Path):
    """Run ``source`` as a test of this suite, by someone whose home is ``home``."""
    path = folder / "test_inner.py"
    path.write_text(source)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-q", "--rootdir", ROOT, "-c", ROOT / "pyproject.toml"]
    return run(
        [sys.executable, "-m", "pytest", *options, f"--basetemp={folder / 'basetemp'}", path],
        cwd=ROOT,
        check=False,
        env={"HOME": str(home), "PYTHONPATH": SOURCES, "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.parametrize("name", [".mlvc", ".config/mlvc", ".local/state/mlvc.log", ".gitconfig"])
def test_a_write_to_the_real_home_fails_the_test(tmp_path, name):
    home = tmp_path / "real-home"
    home.mkdir()
    source = "from pathlib import Path\ndef test_careless():\n"
    source += f"    path = Path({str(home / name)!r})\n    path.parent.mkdir(parents=True, exist_ok=True)\n"
    result = run_pytest(tmp_path, source + "    path.write_text('here')\n", home)
    assert result.code == 1, result.out + result.err
    assert "the test wrote to the real home" in result.out


def test_a_write_to_the_home_of_the_test_is_fine(tmp_path):
    home = tmp_path / "real-home"
    home.mkdir()
    source = "from pathlib import Path\ndef test_careful():\n    (Path.home() / '.mlvc').write_text('here')\n"
    result = run_pytest(tmp_path, source, home)
    assert result.code == 0, result.out + result.err
    assert not list(home.iterdir())


def test_everything_lies_below_tmp_path(tmp_path):
    assert Path.home() == tmp_path / "home"
    assert Path.cwd() == tmp_path / "work"
    assert Path(tempfile.gettempdir()) == tmp_path / "tmp"
    outside = [
        name
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_") and name != "PATH" and "/" in value and not value.startswith(str(tmp_path))
    ]
    assert outside == []


def test_git_is_the_real_one_with_settings_of_its_own(git_repo):
    repo = git_repo("somewhere/project")
    git("commit", "--quiet", "--allow-empty", "-m", "first", cwd=repo)
    assert git("log", "--format=%an <%ae> %ad", "--date=iso-strict", cwd=repo) == (
        "Ada Lovelace <ada@example.org> 2026-01-02T03:04:05+00:00"
    )
    assert git("branch", "--show-current", cwd=repo) == "main"
    origins = git("config", "--list", "--show-scope", cwd=repo).splitlines()
    assert {line.split("\t")[0] for line in origins} == {"global", "local"}
