"""What the tests of transfer share: a Store here, and another one elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlvc.store.local import LocalStore
from tests.helpers.stores import open_local


@pytest.fixture
def here(tmp_path: Path, algorithm: str) -> Iterator[LocalStore]:
    with open_local(tmp_path / "here", algorithm) as store:
        yield store


@pytest.fixture
def there(tmp_path: Path, algorithm: str) -> Iterator[LocalStore]:
    with open_local(tmp_path / "there", algorithm) as store:
        yield store
