"""mlvc in a real terminal, at 80 and at 200 columns: what a person reads there, and what is left behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers import run_mlvc, shell
from tests.helpers.terminals import Shown, type_mlvc

SLOW = """
import time
from mlvc.store.remote import RemoteStore
upload, download = RemoteStore.upload, RemoteStore.download
def slow(told):
    def wait(count):
        for part in range(4):
            time.sleep({seconds})
            told(count // 4)
    return wait
RemoteStore.upload = lambda self, path, name, size, told: upload(self, path, name, size, slow(told))
"""
"""Before mlvc: whatever is sent takes its time."""
LONG = "data/" + "/".join(["a-directory-with-a-long-name"] * 4) + "/and a file of two words and more.txt"
SESSION = [
    (0, "status"),
    (0, "ls"),
    (0, "ls", "data", "-R", "--size"),
    (0, "ls", "data", "--tree"),
    (0, "du"),
    (0, "diff"),
    (0, "log", "data"),
    (0, "config"),
    (0, "config", "--show-origin"),
    (0, "remote", "list"),
    (0, "repro", "--dry-run"),
    (0, "dag"),
    (0, "stage", "list"),
    (5, "checkout"),
    (0, "commit"),
    (0, "push"),
    (0, "fetch"),
    (0, "status", "-v"),
    (0, "gc", "--dry-run"),
    (0, "fsck"),
    (0, "doctor"),
    (2, "add", "dta/one.txt"),
    (2, "push", "--remot", "store"),
    (2, "pus"),
    (2, "push", "-r", "gone"),
    (2, "push", "-j", "many"),
    (2, "cat", "data"),
    (2, "resolve", "data"),
]
ESCAPES = re.compile(r"\x1b\[(K|0m|3[1236]m)")


@pytest.fixture
def lively(project: Path) -> Path:
    """As ``project``, with long names, many changes and a pipeline."""
    shell.write(project, {f"data/picture-{number}.txt": b"1\n" for number in range(30)} | {LONG: b"long\n"})
    run_mlvc("add", "data", cwd=project)
    shell.commit(project, "Pictures")
    shell.write(project, {f"data/picture-{number}.txt": b"2\n" for number in range(30)} | {LONG: b"longer\n"})
    shell.write(project, {"mlvc.yaml": b"stages: {sum: {cmd: cat data/one.txt > sum, deps: [data], outs: [sum]}}\n"})
    return project


def reads_well(shown: Shown, columns: int) -> None:
    """No line is longer than the terminal is wide, but for what must be copied as it stands: a path or a command."""
    assert all(ESCAPES.fullmatch(escape) for escape in shown.escapes), shown.raw
    assert not re.search(r"\r(?!\n|\x1b\[K|\r)", shown.raw)
    for line in shown.lines:
        if len(line) > columns:
            longest = max(map(len, re.findall(r"`[^`]*`\S*|\S+", line)))
            assert longest > columns - 4 or line.startswith("  git add "), line


@pytest.mark.parametrize("columns", [80, 200])
def test_a_session(lively: Path, columns: int) -> None:
    for code, *args in SESSION:
        shown = type_mlvc(*args, cwd=lively, columns=columns)
        assert shown.code == code, (args, shown.raw)
        assert shown.lines, args
        reads_well(shown, columns)
        if code:
            assert any(line.startswith("mlvc: ") for line in shown.lines), shown.raw
            assert any(line.startswith("hint: ") for line in shown.lines), shown.raw


def test_lines_break_between_words_on_a_terminal_only(lively: Path) -> None:
    shown = type_mlvc("checkout", cwd=lively)
    folded = " ".join(line.strip() for line in shown.lines)
    plain = run_mlvc("checkout", cwd=lively, check=False).err
    assert plain.count("\n") == 2
    assert folded == plain.strip().replace("\n", " ")
    assert len(shown.lines) > 2


@pytest.mark.parametrize(
    ("env", "terminal", "colour"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": ""}, True, False),
        ({"CLICOLOR": "0"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colour(lively: Path, env: dict[str, str], terminal: bool, colour: bool) -> None:
    def text(*args: str) -> str:
        if terminal:
            return type_mlvc(*args, cwd=lively, env=env).raw.replace("\r\n", "\n")
        done = run_mlvc(*args, cwd=lively, check=False, env={"NO_COLOR": ""} | env)
        return done.out + done.err

    for args in (("status",), ("push", "nothing")):
        shown = text(*args)
        assert ("\x1b[3" in shown) == colour
    # Without it, the words are the same.
    plain = type_mlvc("status", cwd=lively, env={"NO_COLOR": "1"})
    assert type_mlvc("status", cwd=lively).lines == plain.lines
    assert not plain.escapes


def test_data_have_neither_colour_nor_breaks(lively: Path) -> None:
    for args in (["ls", "data", "-R"], ["diff", "--json"], ["cat", f"{LONG}"], ["completion", "bash"], ["--help"]):
        shown = type_mlvc(*args, cwd=lively, columns=20)
        assert not shown.escapes
        assert "".join(line + "\n" for line in shown.lines) == run_mlvc(*args, cwd=lively).out


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_progress_on_a_terminal(project: Path, columns: int) -> None:
    shown = type_mlvc("push", cwd=project, columns=columns, script=SLOW.format(seconds=0.4))
    assert shown.code == 0
    drawn = re.findall(r"\r\x1b\[K([^\r\n\x1b]*)", shown.raw)
    assert any("%" in line and "sending to 'store'" in line for line in drawn), shown.raw
    assert columns < 80 or any(" left" in line and "/s" in line for line in drawn), shown.raw
    assert max(map(len, drawn)) < columns
    # It is gone when the result is told.
    assert shown.lines[-1].startswith("pushed ")
    assert not any("%" in line for line in shown.lines)


@pytest.mark.parametrize("args", [["push", "-q"], ["-q", "push"], ["push", "--no-progress"]])
def test_no_progress(project: Path, args: list[str]) -> None:
    shown = type_mlvc(*args, cwd=project, script=SLOW.format(seconds=0.4))
    assert shown.code == 0
    assert "%" not in shown.raw
    assert bool(shown.lines) == ("-q" not in args)


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"MLVC_CORE_PROGRESS": "false"}])
def test_no_line_is_drawn_where_none_can_be(project: Path, env: dict[str, str]) -> None:
    shown = type_mlvc("push", cwd=project, env=env | {"NO_COLOR": "1"}, script=SLOW.format(seconds=0.4))
    assert shown.code == 0
    assert not shown.escapes
    assert len(shown.lines) == 1


def test_ctrl_c_during_a_push(project: Path) -> None:
    shown = type_mlvc("push", cwd=project, script=SLOW.format(seconds=0.7), stop_at="sending to 'store'")
    assert shown.code == 130
    reads_well(shown, 80)
    assert shown.lines == ["mlvc: interrupted; nothing is lost, run the command again to go on"]
    assert shown.raw.endswith("\r\n")
    assert "\x1b[?25l" not in shown.raw  # the cursor was never hidden
    again = type_mlvc("push", cwd=project)
    assert again.lines[-1].startswith("pushed ")


def test_an_error_while_progress_is_shown(project: Path) -> None:
    full = SLOW.format(seconds=0.4) + (
        "import errno\n"
        "slowly = RemoteStore.upload\n"
        "def fails(*args):\n"
        "    slowly(*args)\n"
        "    raise OSError(errno.ENOSPC, 'No space left on device', '/far/pack')\n"
        "RemoteStore.upload = fails\n"
    )
    shown = type_mlvc("push", cwd=project, script=full)
    assert shown.code == 8
    assert "%" in shown.raw
    reads_well(shown, 80)
    assert shown.lines[0] == "mlvc: the disk is full: /far/pack"
    assert shown.lines[1].startswith("hint: ")
