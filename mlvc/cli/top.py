"""The help of mlvc itself, without typer and without the modules of the commands."""

from __future__ import annotations

from mlvc.cli.table import TABLE

ABOUT = """Version data and models next to the code that made them, with Git.

Large files live in a store inside the Git directory and on remotes; Git
keeps small Pointer files that name the exact content.

Start in a Git repository with `mlvc init`, or watch `mlvc demo`.
"""
_OPTIONS = """Options:
  -q, --quiet    Print only data and what went wrong.
  -v, --verbose  Tell what is done, and how long it takes.
  --no-progress  Do not show the progress of what takes longer.
  -V, --version  Print the version and exit.
  -h, --help     Show this message and exit.
"""


def text() -> str:
    """What ``mlvc --help`` prints: commands first, then groups of them, as typer has it."""
    groups = {name.partition(" ")[0] for name in TABLE if " " in name}
    names = [name for name in TABLE if " " not in name]
    names.sort(key=lambda name: name in groups)
    width = max(map(len, names))
    about = "".join(f"  {line}\n" if line else "\n" for line in ABOUT.splitlines())
    commands = "".join(f"  {name:{width}}  {TABLE[name][0]}\n" for name in names)
    return f"Usage: mlvc [OPTIONS] COMMAND [ARGS]...\n\n{about}\n{_OPTIONS}\nCommands:\n{commands}"
