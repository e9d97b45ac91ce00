"""Every test that a page names is there."""

import ast
import re

import pytest

from tests.helpers.pages import ROOT, name_of, pages

TEST = re.compile(r"`(tests/[\w/.-]+?\.py)(?:::(\w+))?`")
NAMED = [(name_of(page), *found) for page in pages() for found in TEST.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "path", "function"), sorted(set(NAMED)))
def test_the_tests_that_a_page_names_are_there(page, path, function):
    file = ROOT / path
    assert file.is_file(), f"{page} names {path}"
    if function:
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert function in functions, f"{page} names {path}::{function}"


def test_every_invariant_names_what_shows_it():
    text = (ROOT / "docs/design/invariants.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (?=\d)", text, flags=re.MULTILINE)[1:]
    assert [int(part.split(".")[0]) for part in parts] == list(range(1, 11))
    for part in parts:
        assert TEST.search(part), part.splitlines()[0]
