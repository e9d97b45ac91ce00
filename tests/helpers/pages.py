"""The documentation as the tests see it: pages, what they link to, and blocks of commands that can be run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.helpers import SOURCES

ROOT = Path(__file__).parents[2]
"""The checkout."""

_FENCE = re.compile(r"^(```+)(.*)$")
_MARKER = "-- end of a command of the documentation --"


def pages() -> list[Path]:
    """Every Markdown page that belongs to the checkout, README.md first."""
    found = [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "mlvc").rglob("*.md"))]
    return [ROOT / "README.md", *found]


def name_of(page: Path) -> str:
    """The path of a page in the checkout."""
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the word after the fence, its lines, the line number of the fence, and the line above it."""

    language: str
    lines: tuple[str, ...]
    number: int
    above: str


def split(text: str) -> tuple[list[tuple[int, str]], list[Block]]:
    """The numbered lines outside of fenced blocks, and the blocks."""
    prose: list[tuple[int, str]] = []
    blocks: list[Block] = []
    inside: list[str] = []
    fence, language, above, start = "", "", "", 0
    for number, line in enumerate(text.splitlines(), 1):
        match = _FENCE.match(line)
        if fence and line == fence:
            blocks.append(Block(language, tuple(inside), start, above))
            fence, above = "", ""
        elif fence:
            inside.append(line)
        elif match:
            fence, language = match.groups()
            inside, start = [], number
        else:
            prose.append((number, line))
            above = line if line.strip() else above
    assert not fence, f"the fenced block of line {start} does not end"
    return prose, blocks


# -- running what a page shows -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """A command line of a page and the output that the page shows for it, or a file to write before the next one."""

    number: int
    command: str
    expected: tuple[str, ...]
    file: str = ""


def steps(text: str) -> Iterator[Step]:
    """Everything in the page that can be run, in order.

    In a ``console`` block a line that starts with ``$ `` is a command, goes on in lines that start with ``> ``,
    and is followed by what it prints. A block below ``<!-- file: NAME -->`` is the content of a file.
    """
    for block in split(text)[1]:
        match = re.fullmatch(r"<!-- file: (\S+) -->", block.above)
        if match:
            yield Step(block.number, "".join(f"{line}\n" for line in block.lines), (), match[1])
        elif block.language == "console":
            yield from _commands(block)


def _commands(block: Block) -> Iterator[Step]:
    expected: list[str] = []
    command, start = "", 0
    for number, line in enumerate(block.lines, block.number + 1):
        if line.startswith("$ "):
            if command:
                yield Step(start, command, tuple(expected))
            command, expected, start = line[2:], [], number
        elif line.startswith("> ") and not expected:
            command += "\n" + line[2:]
        else:
            assert command, f"line {number}: output before a command"
            expected.append(line)
    if command:
        yield Step(start, command, tuple(expected))


def agree(expected: tuple[str, ...], shown: str) -> bool:
    """Whether output is what a page shows: a line that is ``…`` stands for any lines, ``…`` in a line for any text."""
    pattern = ""
    for line in expected:
        pattern += r"(?:.*\n)*?" if line == "…" else ".*?".join(map(re.escape, line.split("…"))) + r"\n"
    return re.fullmatch(pattern, shown) is not None


def play(text: str, folder: Path) -> None:
    """Run everything that a page shows, in one shell that starts in ``folder``; AssertionError names the line.

    A command may fail only where the next one is ``echo $?``.
    """
    found = list(steps(text))
    shell = Shell(folder)
    try:
        for at, step in enumerate(found):
            if step.file:
                Path(shell.folder(), step.file).write_text(step.command, encoding="utf-8")
                continue
            code, shown = shell.run(step.command)
            told = f"line {step.number}: $ {step.command}\n{textwrap.indent(shown, '  ')}"
            if not agree(step.expected, shown):
                raise AssertionError(f"{told}is not what the page shows:\n" + "\n".join(step.expected))
            if code and [later.command for later in found[at + 1 : at + 2]] != ["echo $?"]:
                raise AssertionError(f"{told}ended with exit code {code}")
    finally:
        shell.close()


class Shell:
    """A bash in which commands run one after the other, as in a terminal; ``mlvc`` and ``python`` are ours."""

    def __init__(self, folder: Path) -> None:
        tools = Path(os.environ["HOME"], "bin")
        tools.mkdir()
        python = f"PYTHONPATH={shlex.quote(SOURCES)} exec {shlex.quote(sys.executable)} -P"
        for name, words in (("mlvc", " -m mlvc"), ("python", "")):
            (tools / name).write_text(f'#!/bin/sh\n{python}{words} "$@"\n')
            (tools / name).chmod(0o755)
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            # On a terminal Python writes each line at once, so that both streams are in order.
            env=os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )

    def run(self, command: str) -> tuple[int, str]:
        """The exit code of a command, and what it printed on both streams."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(
            f"{{ (exit ${{code:-0}})\n{command}\n}} </dev/null; code=$?; echo '{_MARKER}' $code\n"
        )
        self._process.stdin.flush()
        shown = ""
        for line in self._process.stdout:
            before, found, code = line.partition(_MARKER)
            shown += before
            if found:
                return int(code), shown
        raise AssertionError(f"the shell ended at: {command}\n{shown}")

    def folder(self) -> str:
        """The folder that the shell is in."""
        return self.run("pwd")[1].removesuffix("\n")

    def close(self) -> None:
        """End the shell."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()
