"""Words that people know from Git and from DVC and that never become words of mlvc, with what does their work here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlvc import codec

_IMPORT = "copy the data in and track it with `mlvc add`; `mlvc add -o PATH SOURCE` does both"
_MESSAGE = "messages belong to `git commit`; `mlvc commit` updates the Pointers of all tracked paths, or of those named"
_COMPARE = "`mlvc push --dry-run` tells what the Remote lacks, `mlvc fetch --dry-run` what is not here"
_BRANCH = "branches are made by Git, `git switch -c NAME`; the data stay as they are"
_WHOLE = "without a target, `mlvc repro` takes the pipeline of the whole repository"
_PATTERN = "a target may be a pattern as it is: put it in quotes, such as 'train-*'"
_ALL_STAGES = "without a target, `mlvc stage list` lists the stages of all pipeline files"
_EVERYTHING = "`--all-branches`, `--all-tags` and `--all-commits` say of what"
_NO_FORCE = "nothing on a Remote is ever overwritten, and what it lost is sent again: leave it out"
_SHOWN = "`mlvc diff` compares the working tree with HEAD, and `mlvc diff A B` two revisions"
_EDIT = "edit mlvc.yaml by hand; `mlvc stage add --force` replaces a stage"
_DIRECTORY = "all files of a directory are read anyway: leave it out"

WORDS = {
    "branch": _BRANCH,
    "cache": "the store is .git/mlvc, or what `mlvc config store.dir` prints",
    "data": "`mlvc status` tells what changed",
    "get-url": _IMPORT,
    "help": "`mlvc --help` lists the commands, `mlvc COMMAND --help` explains one",
    "import-url": _IMPORT,
    "list": "`mlvc ls` lists what is tracked, and `mlvc status` what changed",
    "merge": "merge with `git merge`, then bring the data with `mlvc checkout`",
    "remote rm": "`mlvc remote remove NAME` forgets a Remote",
    "remote set-url": "`mlvc remote modify NAME url URL`",
    "reset": "bring the Pointer back with Git, `git restore PATH.mlvc`, then the data with `mlvc checkout PATH`",
    "restore": "`mlvc checkout PATH` brings what the Pointer says, with `--rev REV` what another revision has",
    "run": "`mlvc stage add` describes a step and `mlvc repro` runs it",
    "stage remove": _EDIT,
    "stage rm": _EDIT,
    "switch": "switch with `git switch`, then bring the data with `mlvc checkout`",
    "track": "`mlvc add PATH` tracks it",
    "untrack": "`mlvc remove PATH`",
    "version": "`mlvc --version` prints it",
}
"""What no command is called, and never will be."""

_TRANSFERS = ("push", "fetch", "pull")
OPTIONS = {
    **{f"commit {name}": _MESSAGE for name in ("-m", "--message", "-a", "--all", "--amend")},
    **{f"status {name}": _COMPARE for name in ("-c", "--cloud", "-r", "--remote")},
    **{f"diff {name}": _SHOWN for name in ("--cached", "--staged")},
    **{f"checkout {name}": _BRANCH for name in ("-b", "-B")},
    **{f"repro {name}": _WHOLE for name in ("-P", "--all-pipelines", "-p", "--pipeline", "-R", "--recursive")},
    **{f"repro {name}": _PATTERN for name in ("-g", "--glob")},
    **{f"stage list {name}": _ALL_STAGES for name in ("-a", "--all", "-R", "--recursive")},
    **{f"{command} --all": _EVERYTHING for command in _TRANSFERS},
    **{f"{command} {name}": _NO_FORCE for command in ("push", "fetch") for name in ("-f", "--force")},
    **{f"plots {name} --show-vega": "`--json` prints the Vega-Lite specifications" for name in ("show", "diff")},
    **{f"metrics {name} {option}": _DIRECTORY for name in ("show", "diff") for option in ("-R", "--recursive")},
    "config --get": "`mlvc config NAME` prints a setting",
    "remote -v": "`mlvc remote list` prints their addresses",
    **{f"add {name}": "`mlvc commit` takes in all that is tracked already" for name in ("-A", "--all", "-u")},
    **{f"add {name}": "`mlvc add DIR` takes all that is in DIR" for name in ("-R", "--recursive")},
}
"""By command and option; those that a command has are not looked for here."""


def option_hint(typed: str, name: str, parameters: Iterable[Any]) -> str:
    """The hint for an option that the command ``typed`` does not have; '' where none is near.

    ``parameters``: those of the command, as typer has them.
    """
    if f"{typed} {name}" in OPTIONS:
        return OPTIONS[f"{typed} {name}"]
    # Without the dashes, which make all short words look alike.
    known = {word.removeprefix("--"): word for each in parameters for word in each.opts if word.startswith("--")}
    near = known.get(codec.nearest(name.removeprefix("--"), known)) if name.startswith("--") else None
    return f"did you mean `{near}`?" if near else ""
