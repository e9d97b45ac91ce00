"""How items get into commands; the commands are run, because it is the shell that decides."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlvc.errors import PipelineError
from mlvc.manifest import Entry
from mlvc.pipeline import filling

NASTY = (
    "plain",
    "a b",
    "it's",
    'a "b"',
    "$HOME",
    "`id`",
    "$(id)",
    "a;id",
    "a\\b",
    "a#b",
    "*",
    "a&b",
    "",
    "-n",
    "ä ö",
    "a\nb",
)
CONTEXTS = (
    "printf %s ${item.path}",
    'printf %s "${item.path}"',
    "printf %s '${item.path}'",
    "printf %s x${item.path} | tail -c +2",
    'printf %s "x${item.path}" | tail -c +2',
    'printf %s "$(printf %s ${item.path}; echo .)" | head -c -1',
    'printf %s "$(printf %s "${item.path}"; echo .)" | head -c -1',
    "echo '${item.stem}' > /dev/null; printf %s ${item.path}",
    'echo "it\'s" > /dev/null; printf %s ${item.path}',
    "echo it\\'s > /dev/null; printf %s ${item.path}",
    "true # it's nothing\nprintf %s ${item.path}",
    "true ${item.stem} # don't\nprintf %s ${item.path}",
    "(cd / && printf %s ${item.path})",
    'x=${item.path}; printf %s "$x"',
    'printf %s "\\${x:-}${item.path}"',
    "echo $((1 + 1)) > /dev/null; printf %s ${item.path}",
)


def shell(command: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_shell_sees_each_value_as_it_is(context: str) -> None:
    for value in NASTY:
        if not value.rstrip("\n") and "$(" in context:
            continue
        found = shell(filling.fill(context, {"item.path": value, "item.stem": "it's"}))
        assert found == value, filling.fill(context, {"item.path": value, "item.stem": "s"})


@pytest.mark.parametrize("value", ["a b", "a;id", "it's", 'a"b', "$HOME", "a\\b", "$(id)"])
def test_between_backticks(value: str) -> None:
    assert shell(filling.fill('x=`printf %s ${item.path}`; printf %s "$x"', {"item.path": value})) == value


@settings(deadline=None, max_examples=30)
@given(
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12),
    st.sampled_from(CONTEXTS[:5]),
)
def test_any_text_gets_through(value: str, context: str) -> None:
    assert shell(filling.fill(context, {"item.path": value})).encode() == value.encode()


def test_plain_names_stay_as_they_are() -> None:
    values = filling.values_of(Entry("data/raw/a.tar.gz", "f", 1, bytes(16)), "/tmp/out", "")
    command = "convert ${item.path} ${out}/${item.stem}.png # \\${x}"
    assert filling.fill(command, values) == "convert data/raw/a.tar.gz /tmp/out/a.tar.png # ${x}"


def test_a_here_document_takes_plain_names_only() -> None:
    command = "cat <<END\n${item.path}\nEND"
    assert shell(filling.fill(command, {"item.path": "a.jpg"})) == "a.jpg\n"
    with pytest.raises(PipelineError, match="'a b' cannot be put into a command with '<<'"):
        filling.fill(command, {"item.path": "a b"})


@pytest.mark.parametrize(
    ("path", "wdir", "expected"),
    [
        ("raw/a b.jpg", "", ("raw/a b.jpg", "a b.jpg", "a b", ".jpg", "raw")),
        ("raw/a.jpg", "work", ("../raw/a.jpg", "a.jpg", "a", ".jpg", "../raw")),
        ("work/a.jpg", "work", ("a.jpg", "a.jpg", "a", ".jpg", ".")),
        ("raw/.hidden", "", ("raw/.hidden", ".hidden", ".hidden", "", "raw")),
        ("-rf.txt", "", ("./-rf.txt", "-rf.txt", "-rf", ".txt", ".")),
    ],
)
def test_what_a_command_may_ask(path: str, wdir: str, expected: tuple[str, ...]) -> None:
    values = filling.values_of(Entry(path, "f", 1, bytes(16)), "o", wdir)
    assert tuple(values[f"item.{name}"] for name in filling.NAMES) == (*expected, "xxh128:" + "00" * 16)
    assert values["out"] == "o"


def test_a_list_has_a_line_for_each_item() -> None:
    assert filling.listing([("a b.jpg", "o/1"), ("ä.jpg", "o/2")]).decode() == "a b.jpg\to/1\nä.jpg\to/2\n"


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\rb"])
def test_a_name_that_no_list_can_tell(name: str) -> None:
    with pytest.raises(PipelineError, match="has a tab or a new line") as caught:
        filling.listing([(name, "o/1")])
    assert caught.value.hint == "rename it, or leave 'batch' out"
    with pytest.raises(PipelineError):
        filling.check_listed([Entry(name, "f", 0, b"")])
