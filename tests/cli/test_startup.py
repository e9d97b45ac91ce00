"""What a command loads: a person waits for it every time."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.helpers import SOURCES, run

HEAVY = {
    ("--version",): {"typer", "rich", "fsspec", "git", "yaml", "sqlite3", "mlvc.cli.app", "mlvc.repo"},
    ("--help",): {"typer", "rich", "fsspec", "git", "yaml", "sqlite3", "mlvc.cli.app", "mlvc.repo"},
    ("__complete", "push", "-r", ""): {"typer", "rich", "fsspec", "git", "yaml", "sqlite3", "mlvc.repo"},
    ("status",): {"typer", "rich", "fsspec", "git", "yaml", "asyncio", "concurrent.futures"},
    ("ls", "data"): {"typer", "rich", "fsspec", "git", "yaml", "asyncio", "concurrent.futures", "pathspec"},
    ("add", "data"): {"typer", "rich", "fsspec", "git", "yaml", "asyncio"},
    ("checkout",): {"typer", "rich", "fsspec", "git", "yaml", "asyncio"},
    ("push",): {"typer", "rich", "fsspec", "git", "yaml", "asyncio"},
}


@pytest.mark.parametrize("args", HEAVY, ids=" ".join)
def test_what_is_not_imported(pushed: Path, args: tuple[str, ...]) -> None:
    command = [sys.executable, "-P", "-X", "importtime", "-m", "mlvc", *args]
    err = run(command, cwd=pushed, env={"PYTHONPATH": SOURCES}).err
    loaded = set(re.findall(r"^import time:.*\| +([\w.]+)$", err, flags=re.MULTILINE))
    assert "mlvc.cli.main" in loaded
    assert not loaded & HEAVY[args]
