"""Writes docs/reference/cli.md, json.md, python.md and mlvc.schema.json, and mlvc/cli/table.py.

Run ``python -m tests.docs.generate_reference``, at the top of the checkout.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from mlvc.cli import main
from mlvc.cli.words import Command, Group, declared
from mlvc.pipeline import schema
from tests import helpers
from tests.docs import key_tables
from tests.docs.python_reference import python
from tests.helpers import run_mlvc, shell

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
GROUPS = {
    "remote": ("add", "list", "modify", "default", "rename", "remove"),
    "stage": ("add", "list", "show"),
    "runs": ("list", "show", "log"),
    "params": ("diff",),
    "metrics": ("show", "diff"),
    "plots": ("show", "diff"),
}
HOME = "/path/to"
"""What stands in the examples in place of the folder that they were made in."""


_CLI = """\
# Commands

What `mlvc COMMAND --help` says. Data go to standard output, all else to standard error; [what is printed](output.md),
[JSON](json.md), [exit codes](exit-codes.md) and [settings](settings.md) have pages of their own.
"""
_JSON = """\
# JSON

With `--json` a command that did its work prints one JSON value on standard output, and nothing else there; `mlvc repro`
prints one on each line, as things happen. So does one
that did a part of it and told the rest: with the [exit code](exit-codes.md) 4 the value says what is missing, with
the code 2 its key `unreadable` says which Pointers cannot be read, with the code 7 the lines of `mlvc repro` say what
ran. Whatever else goes wrong, nothing is printed on standard output: the codes 3, 5, 6, 8 and 130 always mean that, 2,
4 and 7 where the command could not begin. What went wrong is a sentence on standard error. A script looks at the exit
code first, and reads standard output unless it is empty.

Each part of this page has a table of all keys, and an example; the examples were made in one small repository. `a[].b`
is the key `b` of each value in the list `a`. "May be absent" is said of keys that are not always there. What a `kind`,
a `change` and the like may be is under [Values](#values). Keys may be added; none is taken away.

## Values

More values may come in later versions.

<!-- values -->
| key | value | meaning |
|---|---|---|
| `change` | `added`, `deleted`, `renamed` | |
| | `modified` | other bytes, another kind, or with `--relink` the same file made anew |
| `state` of a tracked path | `modified` | something else is there |
| | `absent` | nothing is there |
| `state` of a hook | `installed`, `removed` | what was done |
| | `unchanged`, `absent` | nothing was to be done |
| `level` of a finding | `broken` | it does not work |
| | `slow`, `note` | it works; the second may be of interest |
| `kind` of a tracked path | `file`, `executable`, `dir` | as in its Pointer |
| `kind` in a change | `f`, `x`, `l`, `d` | file, executable, symbolic link, empty directory: as in a Manifest |
| | `dir` | a tracked directory as a whole |
| `action` | `unchanged`, `run`, `restore` | what `mlvc repro` would do |
| | `store` | nothing runs: it ran before with `--no-commit`, and what it made is stored |
| | `may run` | it waits for a Stage that runs, and whose outputs may come out the same |
| | `frozen` | nothing, because it is frozen |
| | `skipped` | its `when` does not hold, or it needs what such a Stage makes |
| | `cannot run` | it is frozen and lacks an output; or a dependency, parameter or container is not to be had |
| `outcome` | `unchanged`, `ran`, `restored`, `frozen`, `skipped` | what became of it |
| | `stored` | it ran before with `--no-commit`, and what it made was stored now |
| | `failed` | its command failed, or it could not begin, or it did not make an output |
| | `declined` | a person who was asked did not want it to run |
| | `blocked` | a Stage that it needs failed or was declined |
| `event` | `planned` | what is to become of a Stage, before anything runs |
| | `started` | its commands begin, for the first time or once more |
| | `line` | they printed a line |
| | `items` | how many of its items are done, of a Stage with `each` |
| | `item_failed` | one of its items has failed; of the first thousand, and the log of the Run names all |
| | `waiting` | it waits for another `mlvc repro` |
| | `left` | its commands have ended, and something that they started in the background runs on |
| | `left_out` | something in an output, or in a dependency, is no part of it |
| | `finished` | what became of it |
| | `summary` | the last line: nothing is left to do |
| `outcome` of `mlvc reproduce` | `ran`, `failed`, `blocked` | as above |
| | `frozen` | it is frozen and was not named: its outputs were taken as inputs, and nothing is shown of them |
| | `skipped` | its condition does not hold, it was not named, and nothing is recorded of it |
| | `not run` | it was named, or is recorded, and did not run: so not everything is as recorded |
| `verdict` | `identical` | every byte is as it was recorded |
| | `within tolerance` | numbers differ, and no more than `--tolerance` allows |
| | `different` | |
| | `not recorded` | the Lockfile says nothing of it |
| | `not made` | the Stage failed, or did not come to run |
| | `not run` | the Stage was not run, and nothing is shown of this |
| `change` in an output | `added`, `gone` | a file, or a key |
| | `kind`, `bytes` | another kind of file, other bytes |
| | `value` | another value at a key |
| `reason` | `missing` | the object is not there |
| | `damaged` | the object is there with other bytes |
| | `of another size than its Pointer says` | the Pointer contradicts the object that it names |
<!-- /values -->

After a failure without `-k`, the Stages that were not reached have no line `finished` from `mlvc repro`.

## Parts of several values
"""


def cli() -> str:
    """``--help`` of every command."""
    parts = [_CLI]
    for name in main.COMMANDS:
        for command in ([name], *([name, inner] for inner in GROUPS.get(name, ()))):
            text = run_mlvc(*command, "--help", env={"COLUMNS": "100"}).out.rstrip("\n")
            parts.append(f"{'#' * (len(command) + 1)} mlvc {' '.join(command)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def examples() -> str:
    """What every command with ``--json`` prints in one small repository."""
    found: dict[str, str] = {}
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
        os.environ.update(helpers.hermetic_environment(home, home))
        try:
            for title, args, cwd in _scene(home):
                result = run_mlvc(*args, "--json", cwd=cwd).out.replace(str(home), HOME)
                result = _steady(result) if title == "mlvc doctor" else result
                result = re.sub(r'"seconds": [\d.]+', '"seconds": 0.004', result)
                result = re.sub(r'"recorded": [\d.]+', '"recorded": 1790000000.25', result)
                result = re.sub(r'"began": "\w+"', '"began": "20260921T141320Z"', result)
                if args[0] == "destroy":  # databases have no certain size
                    result = re.sub(r'"size": \d+', '"size": 136584', result)
                for value in result.splitlines() if title == "mlvc repro" else [result]:
                    json.loads(value)
                found[title] = result.rstrip()
        finally:
            os.environ.clear()
            os.environ.update(environment)
    order = [f"mlvc {name}" for name in main.COMMANDS]
    titles = sorted(found, key=lambda title: order.index(" ".join(title.split()[:2])))
    told: dict[object, str] = {}
    parts = [f"## {title}\n\n{key_tables.of(title, told)}\n\n```json\n{found[title]}\n```\n" for title in titles]
    return "\n".join([_JSON, *key_tables.parts(), *parts])


def _steady(text: str) -> str:
    """A report of `mlvc doctor` without what each machine has its own of."""
    value = json.loads(text)
    value["versions"] = dict.fromkeys(("mlvc", "python", "git"), "1.2.3")
    for place in value["file_systems"]:
        place.update(kind="xfs", free=500000000000, case_sensitive=True)
    value["links"] = dict.fromkeys(value["links"], True)
    value["findings"] = [finding for finding in value["findings"] if "core.jobs" in finding["message"]]
    return json.dumps(value, indent=2)


def _scene(home: Path):
    root = helpers.make_git_repo(home / "project")
    yield "mlvc init", ["init"], root
    shell.write(root, {"data/one.csv": b"1\n", "data/two.csv": b"2\n"})
    run_mlvc("remote", "add", "-d", "store", "../remote", cwd=root)
    yield "mlvc add", ["add", "data"], root
    yield "mlvc config", ["config"], root
    yield "mlvc config --show-origin", ["config", "core.remote", "--show-origin"], root
    yield "mlvc remote list", ["remote", "list"], root
    yield "mlvc remote default", ["remote", "default"], root
    shell.write(root, {"mlvc.yaml": b"stages: {sum: {cmd: cat data/*.csv > sum.txt, deps: [data], outs: [sum.txt]}}\n"})
    yield "mlvc stage list", ["stage", "list"], root
    yield "mlvc stage show", ["stage", "show", "sum"], root
    yield "mlvc dag", ["dag"], root
    yield "mlvc repro --dry-run", ["repro", "--dry-run"], root
    yield "mlvc repro", ["repro"], root
    shell.commit(root)
    yield from _scene_of_figures(root)
    yield "mlvc reproduce", ["reproduce", "HEAD"], root
    yield "mlvc push", ["push"], root
    yield "mlvc ls", ["ls", "data"], root
    yield "mlvc du", ["du"], root
    yield "mlvc pull", ["pull"], shell.clone(root)
    shell.write(root, {"data/one.csv": b"1.5\n"})
    yield "mlvc status", ["status"], root
    yield "mlvc why", ["why", "sum"], root
    yield "mlvc runs list", ["runs", "list"], root
    (run,) = json.loads(run_mlvc("runs", "list", "--json", cwd=root).out)
    yield "mlvc runs show", ["runs", "show", run["key"]], root
    yield "mlvc runs log", ["runs", "log", "sum"], root
    yield "mlvc commit", ["commit"], root
    yield "mlvc diff", ["diff"], root
    yield "mlvc log", ["log", "data"], root
    shell.write(root, {".mlvcignore": b"# of an editor\n*.tmp\n"})
    yield "mlvc check-ignore", ["check-ignore", "data/x.tmp", "data/one.csv"], root
    (root / ".mlvcignore").unlink()
    yield "mlvc get", ["get", str(root), "data", "-o", "copy"], home
    helpers.git("checkout", "--quiet", "--", ".", cwd=root)
    yield "mlvc checkout", ["checkout"], root
    yield "mlvc fetch", ["fetch"], root
    yield from _scene_of_branches(root)
    yield from _scene_of_paths(root)
    yield "mlvc gc", ["gc"], root
    yield "mlvc gc --restore", ["gc", "--restore"], root
    yield "mlvc fsck", ["fsck"], root
    run_mlvc("push", "--all-commits", cwd=root)
    yield "mlvc destroy --dry-run", ["destroy", "--dry-run"], root


def _scene_of_figures(root: Path):
    stages = b"stages: {sum: {cmd: cat data/*.csv > sum.txt, deps: [data], outs: [sum.txt]}}\n"
    more = b"metrics: [score.json]\nplots:\n  - loss.csv: {x: step}\n"
    figures = {"params.yaml": b"lr: 0.1\n", "score.json": b'{"auc": 0.5}\n', "loss.csv": b"step,loss\n0,2\n1,1\n"}
    shell.write(root, {"mlvc.yaml": stages + more, **figures})
    shell.commit(root)
    shell.write(root, {"params.yaml": b"lr: 0.2\n", "score.json": b'{"auc": 0.75}\n'})
    yield "mlvc params diff", ["params", "diff"], root
    yield "mlvc metrics show", ["metrics", "show"], root
    yield "mlvc metrics diff", ["metrics", "diff"], root
    yield "mlvc plots show", ["plots", "show"], root
    yield "mlvc plots diff", ["plots", "diff", "--targets", "loss.csv", "--template", "simple"], root
    for name in figures:
        (root / name).unlink()
    shell.write(root, {"mlvc.yaml": stages})
    shell.commit(root)


def _scene_of_branches(root: Path):
    yield "mlvc install", ["install", "--hook", "pre-push"], root
    shell.write(root, {"data/one.csv": b"1.5\n"})
    run_mlvc("commit", cwd=root)
    shell.commit(root)
    helpers.git("checkout", "--quiet", "-b", "other", "HEAD~1", cwd=root)
    shell.write(root, {"data/one.csv": b"1.25\n"})
    run_mlvc("commit", cwd=root)
    shell.commit(root)
    helpers.git("merge", "main", cwd=root, check=False)
    yield "mlvc resolve", ["resolve", "data", "--ours"], root
    shell.commit(root)


def _scene_of_paths(root: Path):
    run_mlvc("config", "core.jobs", "2", cwd=root)
    run_mlvc("config", "--private", "core.jobs", "8", cwd=root)
    yield "mlvc doctor", ["doctor"], root
    yield "mlvc move", ["move", "data", "numbers"], root
    yield "mlvc remove", ["remove", "numbers"], root
    run_mlvc("config", "core.link", "symlink", cwd=root)
    shell.write(root, {"table.bin": shell.LARGE})
    run_mlvc("add", "table.bin", cwd=root)
    run_mlvc("checkout", "--relink", cwd=root)
    yield "mlvc unprotect", ["unprotect", "table.bin"], root


PAGES = {"cli.md": cli, "json.md": examples, "python.md": python, "mlvc.schema.json": schema.text}
TABLE = Path(main.__file__).with_name("table.py")
_TABLE = '''\
"""What each command is for, its options with the value that they take, and its arguments.

Written by ``python -m tests.docs.generate_reference`` out of the declarations of the commands, so that neither help nor
completion has to load them.
"""

from __future__ import annotations

TABLE: dict[str, tuple[str, dict[str, str], list[str]]] = '''


def table() -> str:
    """The module ``mlvc/cli/table.py``."""
    rows: dict[str, tuple[str, dict[str, str], list[str]]] = {}
    for name, module in main.COMMANDS.items():
        command = import_module(f"mlvc.cli.{module}").COMMANDS[name]
        if isinstance(command, Group):
            rows[name] = (command.help, {}, [])
            rows |= {f"{name} {below}": _row(each) for below, each in command.commands.items()}
        else:
            rows[name] = _row(command)
    text = _TABLE + repr(rows) + "\n"
    return subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--line-length", "120", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _row(command: Command) -> tuple[str, dict[str, str], list[str]]:
    words = declared(command).values()
    options = {n: "" if kind is bool else word.metavar or "VALUE" for kind, word in words for n in word.names}
    return (command.__doc__ or "").splitlines()[0], options, [word.metavar for _, word in words if not word.names]


def write() -> int:
    """Write every page, and the table first: it is what the help is made of."""
    TABLE.write_text(table())
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make())
    return 0


if __name__ == "__main__":
    sys.exit(write())
