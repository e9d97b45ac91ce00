"""The typer application: help, and every command line that is not plain."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from mlvc import codec
from mlvc.cli import slips
from mlvc.cli.terminal import choose
from mlvc.cli.top import ABOUT
from mlvc.cli.words import GLOBALS, Command, Group, Word, declared
from mlvc.errors import MlvcError, UsageError

_IMPORT = "copy the data in and track it with `mlvc add`; `mlvc add -o PATH SOURCE` does both"
_EXPERIMENT = "put each experiment on a Git branch and run it with `mlvc repro`; `mlvc diff A B` compares two"
ELSEWHERE = {
    "rm": "`mlvc remove PATH` stops tracking it, and with --data deletes it, too",
    "mv": "`mlvc move SRC DST` renames what is tracked",
    "clone": "`git clone URL`, then `mlvc pull` in the clone",
    "exp": _EXPERIMENT,
    "experiments": _EXPERIMENT,
    "import": _IMPORT,
}
"""Commands that people know from Git and from other tools, and what does their work here."""


_CODES = {
    0: "all of the work was done",
    1: "there are changes, and --exit-code was given",
    2: "the command line, a setting or a file cannot be used as it is",
    4: "an object is missing or damaged; the rest is done",
    5: "refused: it would overwrite or delete what is stored nowhere",
    6: "a Remote cannot be reached or used",
    7: "the command of a stage failed",
    8: "the system said no: disk full, permission, another mlvc at work",
}
"""What a code means where a command may end with it; the codes of a bug and of an interruption are told elsewhere."""

_MORE = {
    "add": (4,),
    "commit": (4,),
    "move": (4,),
    "remove": (4, 5),
    "unprotect": (4,),
    "status": (1,),
    "diff": (1, 4),
    "ls": (4, 6),
    "du": (4, 6),
    "cat": (4, 6),
    "log": (4, 6),
    "get": (4, 5, 6),
    "checkout": (4, 5),
    "push": (4, 6),
    "fetch": (4, 6),
    "pull": (4, 5, 6),
    "resolve": (4,),
    "gc": (4, 6),
    "fsck": (4, 6),
    "destroy": (4, 5),
    "repro": (4, 5, 6, 7),
    "params": (4,),
    "metrics": (4,),
    "plots": (4, 5),
    "reproduce": (1, 4, 6, 7),
    "stage add": (4, 5, 6, 7),
    "demo": (7,),
    "doctor": (1,),
    "check-ignore": (1,),
}
"""The codes of each command, or of all below its first word, beside 0, 2 and 8."""

_OWN = {
    "doctor": {1: "something is broken"},
    "reproduce": {
        0: "everything came out as it was recorded",
        1: "something did not come out as it was recorded",
        4: "an input cannot be had; nothing ran",
    },
    "check-ignore": {0: "at least one of the paths is ignored", 1: "none of the paths is ignored"},
}
"""What a code means for one command, where that is something else."""


def codes_of(name: str) -> dict[int, str]:
    """The exit codes of a command, with what they mean."""
    own = _OWN.get(name) or _OWN.get(name.partition(" ")[0], {})
    more = _MORE.get(name) or _MORE.get(name.partition(" ")[0], ())
    return {code: own.get(code, _CODES[code]) for code in sorted({0, 2, 8, *more})}


def run(commands: Mapping[str, Command | Group], given: Sequence[str]) -> int:
    """Run a command line among ``commands``. Its exit code."""
    return _call(make(commands), list(given))


def make(commands: Mapping[str, Command | Group]) -> Any:
    """What typer makes of ``commands``."""
    app = _app("mlvc", ABOUT)
    app.callback()(_top)
    for name, command in commands.items():
        if isinstance(command, Group):
            inner = _app(name, f"{command.help}\n\nExample: {command.example}")
            for below, each in command.commands.items():
                _register(inner, below, each)
            app.add_typer(inner, name=name)
        else:
            _register(app, name, command)
    return _laid_out(typer.main.get_command(app), "")


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

    def typed(**given: Any) -> int | None:
        choose(**{key: given.pop(key) for key in GLOBALS})
        return command(**given)

    typed.__doc__ = command.__doc__
    types = {key: Annotated[kind, _parameter(word)] for key, (kind, word) in words.items()}
    typed.__annotations__ = types
    own = signature(command).parameters
    defaults = {key: own[key].default if key in own else False for key in types}
    typed.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter(key, Parameter.KEYWORD_ONLY, default=defaults[key], annotation=kind) for key, kind in types.items()]
    )
    interspersed = not any(word.rest for _, word in words.values())
    app.command(name, context_settings={"allow_interspersed_args": interspersed})(typed)


def _parameter(word: Word) -> Any:
    if not word.names:
        return typer.Argument(metavar=word.metavar, help=word.help)
    return typer.Option(*word.names, metavar=word.metavar or None, help=word.help, min=word.least)


_GLOBAL = {key: _parameter(word) for key, word in GLOBALS.items()}


def _top(
    *,
    quiet: Annotated[bool, _GLOBAL["quiet"]] = False,
    verbose: Annotated[bool, _GLOBAL["verbose"]] = False,
    no_progress: Annotated[bool, _GLOBAL["no_progress"]] = False,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and exit.")] = False,  # noqa: ARG001
) -> None:
    """Options of mlvc itself. The version is printed before typer is loaded."""
    choose(quiet=quiet, verbose=verbose, no_progress=no_progress)


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


def _laid_out(command: Any, name: str) -> Any:
    """The command, with the help of it and of all below ending with the example, on one line, and the exit codes."""
    command.help, _, example = (command.help or "").partition("\n\nExample: ")
    if example:
        codes = "".join(f"\n  {code:<4} {meaning}" for code, meaning in codes_of(name).items())
        command.epilog = f"\b\nExample: {example.strip()}\n\n\b\nExit codes:{codes}"
    for below, inner in getattr(command, "commands", {}).items():
        _laid_out(inner, f"{name} {below}".strip())
    return command


def _usage(error: Any, command: Any, arguments: Sequence[str]) -> UsageError:
    """Wrong arguments, as typer says it, in the form of all other errors."""
    message = re.sub("is not a valid int(eger)?( range)?", "is no whole number", error.format_message().rstrip("."))
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
        known = ELSEWHERE | slips.WORDS
        wanted = f"{typed} {unknown[1]}".removeprefix("mlvc ")
        if wanted in known:
            return UsageError(f"there is no command 'mlvc {wanted}'", hint=known[wanted])
        near = codec.nearest(unknown[1], command.commands)
        return UsageError(
            f"there is no command '{typed} {unknown[1]}'", hint=f"did you mean `{typed} {near}`?" if near else see
        )
    option = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and option:
        hint = slips.option_hint(typed.removeprefix("mlvc "), option, command.params) or see
        return UsageError(f"'{typed}' has no option {option}", hint=hint)
    return UsageError(message[:1].lower() + message[1:], hint=see)
