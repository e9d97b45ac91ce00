"""The typer application: help, and every command line that is not plain."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Annotated, Any

import typer

from mlvc import codec
from mlvc.cli.words import Command, Group, Word, declared
from mlvc.errors import MlvcError, UsageError

HELP = """Version data and models next to the code that made them, with Git.

Large files live in a store inside the Git directory and on remotes; Git keeps small Pointer files
that name the exact content.

Start in a Git repository with `mlvc init`, or watch `mlvc demo`.
"""


_REMOVE = "to track PATH no more, delete its Pointer PATH.mlvc and its line in .gitignore; the data stays"
_MOVE = "rename the data, `mlvc add` its new name, then delete the old Pointer and its line in .gitignore"
_IMPORT = "copy the data in and track it with `mlvc add`; `mlvc add -o PATH SOURCE` does both"
_EXPERIMENT = "put each experiment on a Git branch and run it with `mlvc repro`; `mlvc diff A B` compares two"
_TEXT = "small text files are best kept in Git itself, and compared with `git diff`"
ELSEWHERE = {
    "remove": _REMOVE,
    "rm": _REMOVE,
    "mv": _MOVE,
    "move": _MOVE,
    "clone": "`git clone URL`, then `mlvc pull` in the clone",
    "log": "`git log PATH.mlvc` lists the versions of PATH, and `mlvc diff A B` compares two",
    "ls": "`git ls-files '*.mlvc'` lists what is tracked, and `mlvc status` what changed",
    "unprotect": "`mlvc config core.link copy`, then `mlvc checkout --relink`, makes files that may be written",
    "install": "mlvc needs no Git hooks: run `mlvc checkout` after `git checkout`",
    "exp": _EXPERIMENT,
    "experiments": _EXPERIMENT,
    "metrics": _TEXT,
    "params": _TEXT,
    "import": _IMPORT,
    "get": _IMPORT,
}
"""Commands that people know from Git and from other tools, and what does their work here."""


def run(commands: Mapping[str, Command | Group], given: Sequence[str]) -> int:
    """Run a command line among ``commands``. Its exit code."""
    return _call(make(commands), list(given))


def make(commands: Mapping[str, Command | Group]) -> Any:
    """What typer makes of ``commands``."""
    app = _app("mlvc", HELP)
    app.callback()(_top)
    for name, command in commands.items():
        if isinstance(command, Group):
            inner = _app(name, command.help)
            for below, each in command.commands.items():
                _register(inner, below, each)
            app.add_typer(inner, name=name)
        else:
            _register(app, name, command)
    return _laid_out(typer.main.get_command(app))


def _app(name: str, about: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        help=about,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _register(app: typer.Typer, name: str, command: Command) -> None:
    """Tell typer of a command: its Words become the options and arguments that typer knows."""
    words = declared(command)
    given: Any = command
    # The same function under annotations that typer knows; those of the command stay as they are.
    typed = FunctionType(given.__code__, given.__globals__, given.__name__, given.__defaults__)
    typed.__doc__ = given.__doc__
    typed.__annotations__ = {key: Annotated[kind, _parameter(word)] for key, (kind, word) in words.items()}
    interspersed = not any(word.rest for _, word in words.values())
    app.command(name, context_settings={"allow_interspersed_args": interspersed})(typed)


def _parameter(word: Word) -> Any:
    if not word.names:
        return typer.Argument(metavar=word.metavar, help=word.help)
    return typer.Option(*word.names, metavar=word.metavar or None, help=word.help, min=word.least)


def _top(*, version: bool = typer.Option(False, "--version", "-V", help="Print the version and exit.")) -> None:
    """Options of mlvc itself. The version is printed before typer is loaded."""


def _call(command: Any, arguments: list[str]) -> int:
    try:
        code: Any = command.main(args=arguments, prog_name="mlvc", standalone_mode=False)
    except (MlvcError, OSError):
        raise
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error}\n")
            return UsageError.exit_code
        raise _usage(error, command, arguments) from None
    except SystemExit:
        return 0  # which is when the reader of the help has gone
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


_INTERRUPTED = 130
"""What typer makes of Ctrl-C, without a word."""


def _laid_out(command: Any) -> Any:
    """The command, with the examples in the help of all its commands kept on one line, to be copied."""
    command.help = (command.help or "").replace("\n\nExample: ", "\n\n\b\nExample: ")
    for inner in getattr(command, "commands", {}).values():
        _laid_out(inner)
    return command


def _usage(error: Any, command: Any, arguments: Sequence[str]) -> UsageError:
    """Wrong arguments, as typer says it, in the form of all other errors."""
    message = error.format_message().rstrip(".")
    words = ["mlvc"]
    for word in arguments:
        if word not in getattr(command, "commands", {}):
            break
        command = command.commands[word]
        words.append(word)
    typed = " ".join(words)
    see = f"see `{typed} --help`"
    unknown = re.match(r"No such command '(.*?)'", message)
    if unknown is not None:
        if typed == "mlvc" and unknown[1] in ELSEWHERE:
            return UsageError(f"there is no command 'mlvc {unknown[1]}'", hint=ELSEWHERE[unknown[1]])
        near = codec.nearest(unknown[1], command.commands)
        return UsageError(
            f"there is no command '{typed} {unknown[1]}'", hint=f"did you mean `{typed} {near}`?" if near else see
        )
    return UsageError(message[:1].lower() + message[1:], hint=see)
