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
    for number, part in enumerate(parts, 1):
        named = {function for _, function in TEST.findall(part)}
        after = {name for name in functions() if name.startswith(f"test_invariant_{number}_")}
        assert after, f"no test is named after invariant {number}"
        assert after <= named, f"{part.splitlines()[0]} does not name {', '.join(sorted(after - named))}"
        assert TEST.findall(part)[0][1] in after, part.splitlines()[0]


def functions():
    """The names of all test functions."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    return {name for text in texts for name in re.findall(r"^\s*def (test_\w+)", text, re.MULTILINE)}


def test_no_test_is_named_after_an_invariant_that_there_is_not():
    numbered = {name: re.match(r"test_invariant_(\d+)_", name) for name in functions() if "test_invariant_" in name}
    assert all(found and 1 <= int(found[1]) <= 10 for found in numbered.values()), numbered
