"""Words of Git and of DVC that mlvc does not have: each is answered with what does its work here."""

from __future__ import annotations

import re

import pytest

from mlvc.cli import app
from mlvc.cli.main import COMMANDS, _load
from mlvc.cli.slips import OPTIONS, WORDS
from mlvc.cli.words import Group, declared
from mlvc.errors import UsageError
from tests.helpers import run_mlvc
from tests.helpers.shell import refused

ALL = {name: _load(name) for name in COMMANDS}


def answer(*args: str) -> tuple[str, str]:
    """The sentence and the hint for a command line that is refused."""
    with pytest.raises(UsageError) as raised:
        app.run(ALL, args)
    return raised.value.message, raised.value.hint


@pytest.mark.parametrize("words", sorted(WORDS))
def test_words_that_are_no_command(words: str) -> None:
    assert answer(*words.split(), "x") == (f"there is no command 'mlvc {words}'", WORDS[words])


@pytest.mark.parametrize("words", sorted(OPTIONS))
def test_options_that_no_command_has(words: str) -> None:
    command, _, option = words.rpartition(" ")
    assert answer(*words.split()) == (f"'mlvc {command}' has no option {option}", OPTIONS[words])


def test_as_a_person_sees_it() -> None:
    refused(run_mlvc("restore", "x", check=False), 2, "no command 'mlvc restore'\nhint: `mlvc checkout PATH`")
    refused(run_mlvc("commit", "-m", "x", check=False), 2, "'mlvc commit' has no option -m\nhint: messages belong to")


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["add", "--foo", "x"], "see `mlvc add --help`"),
        (["config", "--gt"], "see `mlvc config --help`"),
        (["config", "--unst", "core.jobs"], "did you mean `--unset`?"),
        (["status", "--jsn"], "did you mean `--json`?"),
        (["checkout", "--dryrun"], "did you mean `--dry-run`?"),
        (["push", "--all-commit"], "did you mean `--all-commits`?"),
        (["diff", "-m"], "see `mlvc diff --help`"),
        (["remote", "add", "--defualt", "a", "b"], "did you mean `--default`?"),
    ],
    ids=" ".join,
)
def test_other_options_are_near_or_not(args: list[str], hint: str) -> None:
    sentence, said = answer(*args)
    assert "has no option" in sentence
    assert said == hint


def test_the_hints_name_what_there_is() -> None:
    """Options that they give to a command are options of it."""
    for hint in [*WORDS.values(), *OPTIONS.values()]:
        for command, option in re.findall(r"`mlvc ([a-z]+)[^`]*? (--?[a-z-]+)", hint):
            found = _load(command)
            known = found.commands.values() if isinstance(found, Group) else [found]
            assert any(option in word.names for one in known for _, word in declared(one).values()), hint
    assert not {words for words in WORDS if words in COMMANDS}
