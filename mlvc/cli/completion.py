"""Completion in bash, zsh and fish: the scripts, and the answers that they ask for.

A shell asks at each press of a key: neither typer nor the module of a command is loaded, only the table of what
commands take. What goes wrong is no answer and no message.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated

from mlvc.cli import show
from mlvc.cli.table import TABLE
from mlvc.cli.words import GLOBALS, argument, leading
from mlvc.errors import MlvcError, UsageError

BASH = """\
# mlvc: source <(mlvc completion bash)
_mlvc() {
    local word kind=
    COMPREPLY=()
    while IFS= read -r word; do
        if [[ -z $kind ]]; then kind=$word; else COMPREPLY+=("$word"); fi
    done < <(mlvc __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    case $kind in
        files) compopt -o filenames 2>/dev/null ;;
        part) compopt -o nospace 2>/dev/null ;;
    esac
}
complete -F _mlvc mlvc
"""
ZSH = """\
#compdef mlvc
# mlvc: source <(mlvc completion zsh), after compinit
_mlvc() {
    local -a found
    found=("${(@f)$(mlvc __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    case $found[1] in
        files) compadd -f -- "${(@)found[2,-1]}" ;;
        part) compadd -S '' -- "${(@)found[2,-1]}" ;;
        *) compadd -- "${(@)found[2,-1]}" ;;
    esac
}
compdef _mlvc mlvc
"""
FISH = """\
# mlvc: mlvc completion fish | source
function __mlvc_complete
    set -l before (commandline -opc)
    set -l last (commandline -ct)
    set -l found (mlvc __complete $before[2..-1] "$last" 2>/dev/null)
    for word in $found[2..-1]
        if test "$found[1]" = files -a -d (string replace -r '^~(?=/)' ~ -- $word)
            set word $word/
        end
        printf '%s\\n' $word
    end
end
complete -c mlvc -f -a '(__mlvc_complete)'
"""
SHELLS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(shell: Annotated[str, argument("SHELL", help="bash, zsh or fish.")]) -> None:
    """Print the script that completes command lines in a shell.

    Commands, options, paths, Remotes, stages and revisions are completed. Put the line of the example into ~/.bashrc,
    or with zsh in place of bash into ~/.zshrc, after compinit. For fish write what this prints to
    ~/.config/fish/completions/mlvc.fish

    Example: source <(mlvc completion bash)
    """
    if shell not in SHELLS:
        raise UsageError(f"there is no completion for '{shell}'", hint=f"one of {', '.join(SHELLS)}")
    show.out(SHELLS[shell].rstrip("\n"))


def answer(words: Sequence[str]) -> str:
    """What may stand in place of the last of ``words``, a line each; before it a line with what kind of words.

    ``files``: paths, so that the shell quotes them and goes on in a directory; ``part``: the beginning of words.
    """
    with suppress(MlvcError, OSError, UnicodeError, LookupError, ValueError):
        kind, found = _answer(_joined([_plain(word) for word in words] or [""]))
        return "".join(f"{line}\n" for line in (kind, *found) if line.isprintable())
    return "words\n"


def _plain(word: str) -> str:
    """A word without the quotes of the shell, which hands over what was typed; the last quote may be open."""
    if not any(sign in word for sign in _QUOTES):
        return word
    for end in ("", *_QUOTES):
        with suppress(ValueError):
            return " ".join(shlex.split(word + end))
    return word


_QUOTES = ("'", '"', "\\")


def _joined(words: Sequence[str]) -> tuple[list[str], str, str]:
    """The words before the last one, the last one, and what of it the shell has already: bash cuts words at ``=``."""
    before, last = list(words[:-1]), words[-1]
    if last == "=" and before:
        last = ""
    elif len(before) > 1 and before[-1] == "=":
        before.pop()
    name, equals, value = last.partition("=")
    if equals and name.startswith("--"):
        return [*before, name], value, name + "="
    return before, last, ""


def _answer(asked: tuple[list[str], str, str]) -> tuple[str, list[str]]:
    before, last, typed = asked
    _, before = leading(before)
    names = [word for word in before if not word.startswith("-")][:2]
    name = next((name for name in (" ".join(names), *names[:1]) if name in TABLE), "")
    below = [other[len(name) + 1 :] for other in TABLE if name and other.startswith(name + " ")]
    if not before or (below and before == [name]):
        top = [other for other in TABLE if " " not in other]
        options = ["--help"] if before else ["--help", "--version", *_globals()]
        return "words", _starting(last, options if last.startswith("-") else below or top)
    if not name:
        return "words", []
    _, options_of, places = TABLE[name]
    previous = before[-1]
    if options_of.get(previous):
        kind, found = _values(name, previous, options_of[previous], last)
        return kind, [typed + value for value in found]
    if last.startswith("-") and "--" not in before:
        options = [option for option in (*options_of, "--help") if option.startswith("--") or len(last) == 1]
        return "words", _starting(last, [option for option in options if option not in before])
    number = _places(before[len(name.split()) :], options_of)
    place = places[min(number, len(places) - 1)] if places else ""
    return _values(name, "", place, last)


def _globals() -> list[str]:
    """The options that may stand before the name of a command."""
    return [name for word in GLOBALS.values() for name in word.names if name.startswith("--")]


def _places(words: Sequence[str], options: Mapping[str, str]) -> int:
    """How many arguments are among ``words``; the value of an option is none."""
    values = {at + 1 for at, word in enumerate(words) if options.get(word)}
    return sum(not word.startswith("-") and at not in values for at, word in enumerate(words))


def _values(name: str, option: str, metavar: str, last: str) -> tuple[str, list[str]]:
    """What may stand for an argument, or for the value of an option, by its name in the help."""
    plain = metavar.strip("[].")
    if "|" in plain:
        return "words", _starting(last, plain.split("|"))
    if plain == "SHELL":
        return "words", _starting(last, SHELLS)
    if name == "config" and plain == "NAME":
        return "words", _starting(last, _settings())
    if plain in ("REV", "A", "B"):
        return "words", _starting(last, _revisions())
    if plain == "NAME" and (name.startswith("remote ") or option in ("-r", "--remote")):
        return "words", _starting(last, _remotes()) if name != "remote add" else []
    if plain in ("TARGET", "STAGE"):
        return _targets(last)
    if any(word in plain for word in ("PATH", "SRC", "DIR", "URL", "FILE")):
        return "files", _paths(last)
    return "words", []


def _starting(last: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(last)]


def _paths(last: str) -> list[str]:
    """Files and directories, and the tracked paths that are not there: their Pointers are."""
    folder, _, start = last.rpartition("/")
    prefix = f"{folder}/" if "/" in last else ""
    found = set()
    with os.scandir(os.path.expanduser(prefix) or ".") as listing:
        for entry in listing:
            name = entry.name.removesuffix(".mlvc") if entry.name != ".mlvc" else entry.name
            if name.startswith(start) and (start or not name.startswith(".")):
                found.add(prefix + name)
    return sorted(found)


def _targets(last: str) -> tuple[str, list[str]]:
    stages = _starting(last, _resolved() if "@" in last or ":" in last else _stages())
    return ("words", stages) if stages else ("files", _paths(last))


def _in_repository(work: Callable[[str, str], list[str]]) -> list[str]:
    """What ``work`` makes of the mlvc root and of its private place in the Git directory."""
    from mlvc.roots import find  # noqa: PLC0415  (most answers do without)

    found = find(os.getcwd(), os.environ)
    return work(found.root, found.private)


def _revisions() -> list[str]:
    from mlvc import git  # noqa: PLC0415

    return ["HEAD", *git.names(git.discover(os.getcwd(), os.environ))]


def _remotes() -> list[str]:
    return [name.split(".")[1] for name in _in_force() if name.startswith("remote.") and name.endswith(".url")]


def _settings() -> list[str]:
    from mlvc import config  # noqa: PLC0415

    return [*(name for name in config.KEYS if "NAME" not in name), *_starting("remote.", _in_force())]


def _in_force() -> list[str]:
    from mlvc import config  # noqa: PLC0415

    return _in_repository(
        lambda root, private: sorted(config.load(config.paths(os.environ, root, private), os.environ).values)
    )


def _resolved() -> list[str]:
    """The names of all stages, as they are typed here, and of what a foreach or matrix makes together."""
    from mlvc.api import targets  # noqa: PLC0415  (only where the file alone does not tell)
    from mlvc.repo import open_repo  # noqa: PLC0415

    with open_repo(os.getcwd(), os.environ) as repo:
        return targets.names(repo)


def _stages() -> list[str]:
    """The names that ``mlvc.yaml`` gives to stages."""
    return _stages_in(".", "") if os.path.exists("mlvc.yaml") else _in_repository(_stages_in)


def _stages_in(root: str, _: str) -> list[str]:
    from mlvc import codec  # noqa: PLC0415

    with open(os.path.join(root, "mlvc.yaml"), encoding="utf-8") as file:
        value = codec.load_yaml(file.read(), "mlvc.yaml")
    stages = value.get("stages") if isinstance(value, dict) else None
    return sorted(map(str, stages)) if isinstance(stages, dict) else []


COMMANDS = {"completion": completion}
