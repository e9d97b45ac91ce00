"""Plain command lines are read without typer: what that gives must be what typer gives."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlvc.cli import app, main
from mlvc.cli.words import GLOBALS, Command, Group, declared, read


def commands() -> Iterator[tuple[str, Command]]:
    for name, module in main.COMMANDS.items():
        command = import_module(f"mlvc.cli.{module}").COMMANDS[name]
        if isinstance(command, Group):
            yield from ((f"{name} {below}", each) for below, each in command.commands.items())
        else:
            yield name, command


ALL = dict(commands())


def by_typer(command: Command, words: list[str]) -> dict[str, Any]:
    """The parameters that typer makes of a command line."""
    whole = app.make({"x": command})
    context = whole.make_context("mlvc", ["x", *words], resilient_parsing=False)
    name, inner, rest = whole.resolve_command(context, ["x", *words])
    found = inner.make_context(name, rest, parent=context).params
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Without what was not given, however that is told."""
    return {key: value for key, value in values.items() if value not in (None, "", [], (), False, 0)}


def defaults(command: Any) -> dict[str, Any]:
    code = command.__code__
    names = code.co_varnames[: code.co_argcount]
    given_ = command.__defaults__ or ()
    return dict(zip(names[len(names) - len(given_) :], given_, strict=True))


def words_of(name: str) -> st.SearchStrategy[list[str]]:
    names = [option for _, word in declared(ALL[name]).values() for option in word.names]
    odd = ["--", "-", "--no-such", "-h", "-zz", "=", "--json=1", "-j4", "-j", "3", "x=y", "", "0", "--rev="]
    value = st.sampled_from(["a", "data/x", "7", "-1", "é", "a b"])
    equal = st.builds("{}={}".format, st.sampled_from(names or ["--json"]), value)
    return st.lists(st.one_of(value, st.sampled_from(names or ["--json"]), equal, st.sampled_from(odd)), max_size=6)


@pytest.mark.parametrize("name", ALL)
def test_plain_command_lines_mean_what_typer_makes_of_them(name: str) -> None:
    command = ALL[name]
    plain_ones = 0
    lacking = declared(command).keys() - defaults(command).keys() - GLOBALS.keys()
    needed = [
        text
        for key, (_, word) in declared(command).items()
        if key in lacking and word.names
        for text in (word.names[0], "v")
    ]

    @given(words_of(name))
    @example([])
    @example(["a"])
    @example(["a", "b"])
    def agree(words: list[str]) -> None:
        nonlocal plain_ones
        found = read(command, [*needed, *words])
        if found is None:
            return
        plain_ones += 1
        assert plain({**defaults(command), **found}) == plain(by_typer(command, [*needed, *words]))

    agree()
    assert plain_ones, "typer was asked every time"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("push", ["-j", "4", "data", "--rev", "v1", "--rev=v2", "-a"]),
        ("diff", ["v1", "v2", "--md", "-t", "data"]),
        ("stage add", ["-n", "train", "-d", "a", "-d", "b", "python", "train.py", "-n", "5"]),
        ("config", ["core.autostage", "true", "--private"]),
    ],
)
def test_what_people_type_every_day_needs_no_typer(name: str, words: list[str]) -> None:
    assert read(ALL[name], words) is not None


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--jsn"], ["-j"], ["-j", "-1"], ["-j", "many"], ["--", "-x"]])
def test_help_and_mistakes_are_for_typer(words: list[str]) -> None:
    assert read(ALL["push"], words) is None
