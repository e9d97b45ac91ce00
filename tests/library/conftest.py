"""Scenes for the tests of mlvc from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import git, run_mlvc, shell
from tests.helpers.stores import noise

BIG = noise(5 << 20, 5)


@pytest.fixture(scope="session")
def scenes() -> dict[str, Path]:
    """What ``project`` makes, by hash algorithm, to be copied."""
    return {}


@pytest.fixture
def project(
    scenes: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    algorithm: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A repository with two commits, the first tagged ``v1``; all of it pushed. It is the current directory."""
    if algorithm not in scenes:
        scenes[algorithm] = tmp_path_factory.mktemp(algorithm)
        _make(scenes[algorithm] / "project", algorithm)
    root = shell.copied(scenes[algorithm], tmp_path / "scene") / "project"
    monkeypatch.chdir(root)
    return root


def _make(path: Path, algorithm: str) -> None:
    root = shell.project(path, algorithm=algorithm)
    (root / "big.bin").write_bytes(BIG)
    run_mlvc("add", "big.bin", cwd=root)
    shell.commit(root, "big")
    git("tag", "v1", cwd=root)
    shell.write(root, {"data/one.txt": b"one, again\n", "data/new.txt": b"new\n"})
    run_mlvc("add", "data", cwd=root)
    shell.commit(root, "second")
    run_mlvc("push", "--all-commits", cwd=root)
