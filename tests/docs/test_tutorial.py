"""What the pages with commands in them show is what happens."""

from pathlib import Path

import pytest

from tests.helpers import run
from tests.helpers.pages import ROOT, agree, name_of, pages, play, steps

PLAYED = (
    "README.md",
    "docs/tutorial.md",
    "docs/reference/pipeline.md",
    "docs/howto/next-to-code.md",
    "docs/howto/branches.md",
    "docs/howto/tracking.md",
    "docs/howto/layouts.md",
    "docs/howto/reading.md",
    "docs/howto/metrics-and-plots.md",
    "docs/howto/python.md",
    "docs/howto/merging.md",
    "docs/howto/parallel.md",
    "docs/howto/git-hooks.md",
    "docs/howto/sharing-a-store.md",
    "docs/howto/sharing-runs.md",
    "docs/howto/ci.md",
    "docs/howto/looking-after.md",
    "docs/howto/cleaning-up.md",
    "docs/howto/recovering.md",
    "docs/howto/reproduce.md",
    "docs/howto/each.md",
)


@pytest.mark.parametrize("page", PLAYED)
def test_every_command_prints_what_the_page_shows(page, tmp_path):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert len(list(steps(text))) >= 10
    play(text, tmp_path / "work")


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_the_way_to_the_program_that_the_page_shows(page, tmp_path):
    command = (
        (ROOT / page).read_text(encoding="utf-8").partition("<!-- path-command -->\n```sh\n")[2].partition("```")[0]
    )
    program = tmp_path / "a clone" / ".venv" / "bin" / "mlvc"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    found = run(["sh", "-c", f"{command}cd .. && command -v mlvc"], cwd=tmp_path / "a clone").out
    assert found == f"{program}\n"


def test_every_page_with_commands_is_played():
    assert {name_of(page) for page in pages() if list(steps(page.read_text(encoding="utf-8")))} == set(PLAYED)


PAGE = """\
A page.

<!-- file: greeting.txt -->
```text
hello
```

```console
$ cat greeting.txt
hello
$ mkdir folder && cd folder
$ echo one
> echo two; pwd
one
two
…/work/folder
$ false
$ echo $?
1
```

```sh
exit 3 # not run
```
"""


def test_a_page_is_played_in_one_shell(tmp_path):
    play(PAGE, tmp_path / "work")
    assert Path("greeting.txt").read_text() == "hello\n"


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("\nhello\n$", "\nbye\n$", r"line 9: \$ cat greeting.txt\n  hello\nis not what the page shows"),
        ("$ false\n$ echo $?\n1\n", "$ false\n", r"line 17: \$ false\nended with exit code 1"),
        ("$ false", "$ exit 1", "the shell ended at: exit 1"),
    ],
)
def test_a_page_that_is_wrong_is_found(tmp_path, right, wrong, told):
    with pytest.raises(AssertionError, match=told):
        play(PAGE.replace(right, wrong), tmp_path / "work")


def test_dots_stand_for_what_may_differ():
    assert agree(("a", "…", "z"), "a\nb\nc\nz\n")
    assert agree(("…",), "")
    assert agree(("at … o'clock",), "at 12 o'clock\n")
    assert not agree(("at … o'clock",), "at 12\no'clock\n")
    assert not agree(("a",), "a\nb\n")
    assert not agree((), "a\n")
