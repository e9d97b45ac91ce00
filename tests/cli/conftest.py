"""Scenes that take several commands to make are made once for each worker, and copied for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import git, run_mlvc, sharing, shell


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with a finished scene, by name."""
    return {}


@pytest.fixture
def algorithm() -> str:
    """What names objects in ``project`` and ``pushed``; a test that stores or moves objects asks for ``BOTH``."""
    return "xxh128"


@pytest.fixture
def project(scenes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, algorithm: str) -> Path:
    """A repository of this test's own: see shell.project. Its Remote is empty."""
    return _copy(
        scenes,
        tmp_path_factory,
        tmp_path,
        f"project-{algorithm}",
        lambda root: shell.project(root, algorithm=algorithm),
    )


@pytest.fixture
def pushed(scenes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, algorithm: str) -> Path:
    """As ``project``, with everything on its Remote, ``remote`` beside it."""
    return _copy(
        scenes,
        tmp_path_factory,
        tmp_path,
        f"pushed-{algorithm}",
        lambda root: shell.project(root, pushed=True, algorithm=algorithm),
    )


def _copy(
    scenes: dict[str, Path],
    factory: pytest.TempPathFactory,
    tmp_path: Path,
    name: str,
    make: Callable[[Path], object],
) -> Path:
    if name not in scenes:
        folder = factory.mktemp(name)
        make(folder / "project")
        scenes[name] = folder
    return shell.copied(scenes[name], tmp_path / "work" / "scene") / "project"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A repository whose pipeline has run and whose data, but no Runs, are on the Remote."""
    return sharing.project(tmp_path / "here")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of mlvc, empty but for that; the current directory."""
    made = tmp_path / "r"
    made.mkdir()
    git("init", "-q", cwd=made)
    run_mlvc("init", cwd=made)
    monkeypatch.chdir(made)
    return made
