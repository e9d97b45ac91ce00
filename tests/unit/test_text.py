"""Text for people: amounts, and lines as wide as a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc.text import clean, duration, folded, number, painted, size


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (99_449, "99.4 KB"), (2_600_000_000, "2.6 GB")]
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (17.4, "17 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (5400, "1 h 30 min"),
        (7260, "2 h 1 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_number() -> None:
    assert [number(1, "file"), number(20000, "file")] == ["1 file", "20,000 files"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("one two three four five", ["one two three four", "    five"]),
        ("  one two three four five", ["  one two three four", "      five"]),
        ("hint: take `mlvc add` now", ["hint: take", "    `mlvc add` now"]),
        ("modified  some/path  (1.0 KB -> 2 B)", ["modified  some/path", "    (1.0 KB -> 2 B)"]),
        ("hint: a/path/that/is/longer/than/all and so on", ["hint: a/path/that/is/longer/than/all", "    and so on"]),
        ("a\tb", ["a       b"]),
        ("", [""]),
    ],
)
def test_folded(text: str, lines: list[str]) -> None:
    assert folded(text, 20).split("\n") == lines


@given(st.text(st.sampled_from("ab `'()/ "), max_size=60), st.integers(8, 40))
def test_folding_loses_nothing_and_adds_only_space(text: str, width: int) -> None:
    lines = folded(text, width).split("\n")
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(len(line) > len(line.rstrip()) or line.strip() or not text.strip() for line in lines)


def test_the_first_word_has_a_colour_where_it_tells_what_happened() -> None:
    assert painted("hint: do it") == "\x1b[36mhint\x1b[0m: do it"
    assert painted("    modified  a b  (1 B -> 2 B)") == "    \x1b[33mmodified\x1b[0m  a b  (1 B -> 2 B)"
    for text in ("modified", "modified files", "  added: not here", "other  path", "hint:", ""):
        assert painted(text) == text


def test_a_name_is_one_line() -> None:
    assert clean("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
