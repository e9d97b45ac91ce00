"""Every test of the workspace is done twice: files are looked at before they are read, or not until then."""

from __future__ import annotations

import pytest

from mlvc.workspace import scan


@pytest.fixture(autouse=True)
def many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many entries a directory must have for its files not to be looked at first: the real number, or none."""
    monkeypatch.setattr(scan, "_MANY", getattr(request, "param", 0))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "many" in metafunc.fixturenames:  # a state machine cannot have parameters
        metafunc.parametrize("many", [scan._MANY, 0], ids=["seen", "unseen"], indirect=True)
