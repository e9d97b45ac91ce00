from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlvc import globs

NAMES = st.sampled_from(["a", "b.csv", ".h", "ab", "c.d", "x+y", "(z)"])
PARTS = st.one_of(NAMES, st.sampled_from(["*", "**", "?", "*.csv", "a*", ".*", "*b*", "??"]))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PATTERNS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


def make(root: Path, paths: list[str]) -> list[str]:
    """Files at as many of ``paths`` as go together."""
    made = []
    for path in paths:
        file = root / path
        if not file.exists() and not any(parent.is_file() for parent in file.parents):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            made.append(path)
    return made


@settings(max_examples=300, deadline=None)
@given(st.lists(PATHS, max_size=12), st.lists(PATTERNS, min_size=1, max_size=5))
def test_what_fits_is_what_python_finds(tmp_path_factory, paths, patterns):
    root = tmp_path_factory.mktemp("tree")
    made = make(root, paths)
    for pattern in patterns:
        wanted = {path for path in glob.glob(pattern, root_dir=root, recursive=True) if (root / path).is_file()}
        found = {path for path in made if globs.fits(pattern)(path)}
        assert found == wanted, pattern
        below = globs.fixed(pattern)
        assert all(path.startswith(f"{below}/") for path in found if below and globs.is_pattern(pattern))
        for path in found if globs.is_pattern(pattern) else ():
            directories = [str(parent) for parent in Path(path).parents][:-1]
            assert all(globs.leads(pattern)(directory) for directory in directories), (pattern, path)
            assert not globs.is_flat(pattern) or path.rpartition("/")[0] == below


@pytest.mark.parametrize(
    ("pattern", "below", "flat"),
    [
        ("data/*.csv", "data", True),
        ("*.csv", "", True),
        ("**/*.csv", "", False),
        ("data/**", "data", False),
        ("data/*/x", "data", False),
        ("a/b?/c", "a", False),
        ("plain/[a]", "plain/[a]", False),
    ],
)
def test_the_fixed_part(pattern, below, flat):
    assert (globs.fixed(pattern), globs.is_flat(pattern)) == (below, flat)


def test_what_leads_nowhere_is_not_entered():
    leads = globs.leads("data/20*/in/*.csv")
    assert [leads(path) for path in ("data", "data/2024", "data/2024/in")] == [True] * 3
    assert [leads(path) for path in ("other", "data/x", "data/2024/out", "data/2024/in/deep")] == [False] * 4
    assert not globs.leads("**/*.csv")("a/.venv")
    assert globs.leads("**/.conf/*.csv")("a/.conf")
    assert globs.leads("d/**")("d/e/f")


def test_a_bracket_is_a_character():
    assert not globs.is_pattern("data/[1].csv")
    assert globs.fits("data[1]/*.csv")("data[1]/a.csv")
    assert not globs.fits("data[1]/*.csv")("data1/a.csv")
