"""The pages in docs/reference say what the code says."""

from __future__ import annotations

import pytest

from tests.docs.generate_reference import PAGES, REFERENCE


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_up_to_date(page: str) -> None:
    path = REFERENCE / page
    written = path.read_text() if path.exists() else ""
    assert written == PAGES[page](), (
        f"docs/reference/{page} is not what the code says: run `python -m tests.docs.generate_reference` and commit it"
    )
