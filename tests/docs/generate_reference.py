"""Writes docs/reference/cli.md and json.md: ``python -m tests.docs.generate_reference``, at the top of the checkout."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path

from mlvc.cli.main import COMMANDS
from tests import helpers
from tests.helpers import run_mlvc, shell

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
GROUPS = {"remote": ("add", "list", "modify", "default", "rename", "remove"), "stage": ("add", "list")}
HOME = "/path/to"
"""What stands in the examples in place of the folder that they were made in."""


_CLI = """\
# Commands

What `mlvc COMMAND --help` says. Data go to standard output, all else to standard error; [JSON](json.md),
[exit codes](exit-codes.md) and [settings](settings.md) have pages of their own.
"""
_JSON = """\
# JSON

With `--json` a command that did its work prints one JSON value on standard output, and nothing else there. So does one
that did a part of it and told the rest: with the [exit code](exit-codes.md) 4 the value says what is missing, with
the code 2 its key `unreadable` says which Pointers cannot be read, with the code 7 the value of `mlvc repro` says what
ran. Whatever else goes wrong, nothing is printed on standard output: the codes 3, 5, 6, 8 and 130 always mean that, 2,
4 and 7 where the command could not begin. What went wrong is a sentence on standard error. A script looks at the exit
code first, and reads standard output unless it is empty.

Sizes are in bytes. The examples were made in one small repository. Keys may be added; none is taken away.
"""


def cli() -> str:
    """``--help`` of every command."""
    parts = [_CLI]
    for name in COMMANDS:
        for command in ([name], *([name, inner] for inner in GROUPS.get(name, ()))):
            text = run_mlvc(*command, "--help", env={"COLUMNS": "100"}).out.rstrip("\n")
            parts.append(f"{'#' * (len(command) + 1)} mlvc {' '.join(command)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def examples() -> str:
    """What every command with ``--json`` prints in one small repository."""
    parts = [_JSON]
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
        os.environ.update(helpers.hermetic_environment(home, home))
        try:
            for title, args, cwd in _scene(home):
                result = run_mlvc(*args, "--json", cwd=cwd).out.replace(str(home), HOME)
                result = re.sub(r'"seconds": [\d.]+', '"seconds": 0.004', result)
                if args[0] == "destroy":  # databases have no certain size
                    result = re.sub(r'"size": \d+', '"size": 136584', result)
                json.loads(result)
                parts.append(f"## {title}\n\n```json\n{result.rstrip()}\n```\n")
        finally:
            os.environ.clear()
            os.environ.update(environment)
    return "\n".join(parts)


def _scene(home: Path):
    root = helpers.make_git_repo(home / "project")
    yield "mlvc init", ["init"], root
    shell.write(root, {"data/one.csv": b"1\n", "data/two.csv": b"2\n"})
    run_mlvc("remote", "add", "-d", "store", "../remote", cwd=root)
    yield "mlvc add", ["add", "data"], root
    yield "mlvc config", ["config"], root
    yield "mlvc remote list", ["remote", "list"], root
    shell.write(root, {"mlvc.yaml": b"stages: {sum: {cmd: cat data/*.csv > sum.txt, deps: [data], outs: [sum.txt]}}\n"})
    yield "mlvc stage list", ["stage", "list"], root
    yield "mlvc dag", ["dag"], root
    yield "mlvc repro --dry-run", ["repro", "--dry-run"], root
    yield "mlvc repro", ["repro"], root
    shell.commit(root)
    yield "mlvc push", ["push"], root
    yield "mlvc pull", ["pull"], shell.clone(root)
    shell.write(root, {"data/one.csv": b"1.5\n"})
    yield "mlvc status", ["status"], root
    yield "mlvc commit", ["commit"], root
    yield "mlvc diff", ["diff"], root
    helpers.git("checkout", "--quiet", "--", ".", cwd=root)
    yield "mlvc checkout", ["checkout"], root
    yield "mlvc fetch", ["fetch"], root
    yield "mlvc gc", ["gc"], root
    yield "mlvc fsck", ["fsck"], root
    yield "mlvc destroy --dry-run", ["destroy", "--dry-run"], root


PAGES = {"cli.md": cli, "json.md": examples}


def main() -> int:
    """Write every page."""
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make())
    return 0


if __name__ == "__main__":
    sys.exit(main())
