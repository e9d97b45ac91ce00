"""The typer application, made of the commands that are needed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import typer

from mlvc import codec
from mlvc.errors import MlvcError, UsageError
from mlvc.repo import Repo, open_repo

HELP = """Version data and models next to the code that made them, with Git.

Large files live in a store inside the Git directory and on remotes; Git keeps small Pointer files
that name the exact content.

Start in a Git repository with `mlvc init`, or watch `mlvc demo`.
"""


def build(commands: Mapping[str, str], given: Sequence[str]) -> Callable[[list[str]], int]:
    """A function that runs a command line and returns its exit code.

    Where the first word names a command, only its module is loaded.
    """
    app = typer.Typer(
        name="mlvc",
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    wanted = [given[0]] if given and given[0] in commands else list(commands)
    for name in wanted:
        module = import_module(f"mlvc.cli.{commands[name]}")
        module.REGISTER[name](app)
    return lambda arguments: _call(app, arguments)


def _top(*, version: bool = typer.Option(False, "--version", "-V", help="Print the version and exit.")) -> None:
    """Options of mlvc itself. The version is printed before typer is loaded."""


def _call(app: typer.Typer, arguments: list[str]) -> int:
    command = _laid_out(typer.main.get_command(app))
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
        raise BrokenPipeError from None  # which is when typer leaves by itself
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
        near = codec.nearest(unknown[1], command.commands)
        return UsageError(
            f"there is no command '{typed} {unknown[1]}'", hint=f"did you mean `{typed} {near}`?" if near else see
        )
    return UsageError(message[:1].lower() + message[1:], hint=see)


@contextmanager
def opened() -> Iterator[Repo]:
    """The repository that the user stands in."""
    with open_repo(os.getcwd(), os.environ) as repo:
        yield repo
