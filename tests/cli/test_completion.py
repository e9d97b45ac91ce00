"""Completion: what a real bash offers, and what no shell should wait for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.generate_reference import TABLE, table
from tests.helpers import SOURCES, git, run, run_mlvc, shell


def test_the_table_is_up_to_date() -> None:
    assert TABLE.read_text() == table(), "run `python -m tests.docs.generate_reference` and commit mlvc/cli/table.py"


@pytest.fixture
def scene(project: Path) -> Path:
    """A repository with all that can be completed."""
    shell.write(
        project,
        {"mlvc.yaml": b"stages:\n  train: {cmd: echo}\n  test: {cmd: echo}\n", "a dir/file one": b"x", "odd[1]*": b"y"},
    )
    git("tag", "v1", cwd=project)
    git("branch", "side", cwd=project)
    run_mlvc("remote", "add", "archive", "../archive", cwd=project)
    (project / "model.bin").unlink()
    return project


def asked(root: Path, *words: str) -> list[str]:
    """Kind and words that mlvc answers."""
    return run_mlvc("__complete", *words, cwd=root).out.splitlines()


CASES = [
    (["pus"], ["words", "push"]),
    (["re"], ["words", "remote", "remove", "repro", "reproduce", "resolve"]),
    (["remote", "re"], ["words", "rename", "remove"]),
    (["remote", "rename", ""], ["words", "archive", "store"]),
    (["push", "--remote", "s"], ["words", "store"]),
    (["push", "--remote=s"], ["words", "--remote=store"]),
    (["push", "--remote", "=", "s"], ["words", "store"]),
    (["push", "-r", ""], ["words", "archive", "store"]),
    (["push", "--json", "--all-"], ["words", "--all-branches", "--all-tags", "--all-commits"]),
    (["push", "--dry-run", "--d"], ["words"]),
    (["checkout", "--rev", "v"], ["words", "v1"]),
    (["diff", ""], ["words", "HEAD", "main", "side", "v1"]),
    (["diff", "v1", "s"], ["words", "side"]),
    (["diff", "-t", "da"], ["files", "data"]),
    (["repro", "t"], ["words", "test", "train"]),
    (["repro", "-f", "tr"], ["words", "train"]),
    (["repro", "da"], ["files", "data"]),
    (["add", "a"], ["files", "a dir"]),
    (["add", "a dir/"], ["files", "a dir/file one"]),
    (["add", r"a\ d"], ["files", "a dir"]),
    (["add", "'a d"], ["files", "a dir"]),
    (["add", '"a dir"/'], ["files", "a dir/file one"]),
    (["add", "'a dir", "da"], ["files", "data"]),
    (["checkout", "mod"], ["files", "model.bin"]),
    (["move", "data/su"], ["files", "data/sub"]),
    (["config", "core.a"], ["words", "core.autostage"]),
    (["config", "remote."], ["words", "remote.archive.url", "remote.store.url"]),
    (["init", "--hash", "b"], ["words", "blake3"]),
    (["completion", ""], ["words", "bash", "zsh", "fish"]),
    (["add", "no/such/dir/"], ["words"]),
    (["nosuch", ""], ["words"]),
    (["remote", "nosuch", ""], ["words"]),
    (["--v"], ["words", "--verbose", "--version"]),
    (["-q", "--no"], ["words", "--no-progress"]),
    (["-q", "pul"], ["words", "pull"]),
    (["-q", "--no-progress", "checkout", "mod"], ["files", "model.bin"]),
    (["-v", "push", "-r", "s"], ["words", "store"]),
    (["-v", "remote", "de"], ["words", "default"]),
    (["push", "--qu"], ["words", "--quiet"]),
]


def test_a_remote_of_the_private_settings_is_offered(scene: Path) -> None:
    path = scene / ".git/mlvc/config.toml"
    path.write_text((path.read_text() if path.exists() else "") + '[remote.mine]\nurl = "../mine"\n')
    assert asked(scene, "push", "-r", "") == ["words", "archive", "mine", "store"]


@pytest.mark.parametrize(("words", "expected"), CASES, ids=lambda value: " ".join(value) if value else "")
def test_what_is_answered(scene: Path, words: list[str], expected: list[str]) -> None:
    found = asked(scene, *words)
    assert (found[0], sorted(found[1:])) == (expected[0], sorted(expected[1:]))


def test_stages_are_offered_further_down(scene: Path) -> None:
    assert asked(scene / "a dir", "repro", "t") == ["words", "test", "train"]


def in_bash(root: Path, *words: str) -> list[str]:
    """What a real bash would offer for the last word: COMPREPLY after its function ran."""
    words_ = " ".join(f"'{word}'" for word in ("mlvc", *words))
    python = f"{sys.executable} -P -m mlvc"
    lines = [
        f'mlvc() {{ {python} "$@"; }}',
        "source <(mlvc completion bash)",
        f"COMP_WORDS=({words_}); COMP_CWORD={len(words)}",
        "_mlvc",
        'printf "%s\\n" "${COMPREPLY[@]}"',
        "complete -p mlvc",
    ]
    out = run(["bash", "-c", "\n".join(lines)], cwd=root, env={"PYTHONPATH": SOURCES}).out
    *found, last = out.splitlines()
    assert last == "complete -F _mlvc mlvc"
    return found


@pytest.mark.parametrize(
    "words",
    [["pus"], ["remote", "rename", ""], ["repro", "t"], ["checkout", "--rev", "v"], ["add", "a"], ["add", "odd"]],
    ids=" ".join,
)
def test_in_a_real_bash(scene: Path, words: list[str]) -> None:
    assert in_bash(scene, *words) == asked(scene, *words)[1:]


PROMPT = "ready$ "


def typed_at_the_prompt(command: str, keys: str, *, cwd: Path) -> str:
    """What a shell on a terminal shows, where ``keys`` are pressed once it waits for them."""
    with subprocess.Popen(
        ["script", "-qec", command, "/dev/null"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": SOURCES, "TERM": "dumb"},
    ) as process:
        assert process.stdin
        assert process.stdout
        shown = b""
        while not shown.endswith(PROMPT.encode()) and (byte := process.stdout.read(1)):
            shown += byte
        shown += process.communicate(keys.encode(), timeout=60)[0]
    return shown.decode()


SHELLS = {"bash": ("bashrc", "bash --rcfile bashrc -i"), "zsh": (".zshrc", "env ZDOTDIR=. zsh -i")}


@pytest.mark.skipif(shutil.which("script") is None, reason="a terminal is made by `script`")
@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize("typed", ["a", r"a\ d", "'a d", '"a d'])
def test_tab_in_an_interactive_shell(scene: Path, name: str, typed: str) -> None:
    """A person presses the key: the name with a space in it is quoted as the shell does, or as was begun."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    rc, command = SHELLS[name]
    loaded = "autoload -Uz compinit; compinit -u\n" if name == "zsh" else ""
    called = f'mlvc() {{ if [ "$1" = add ]; then printf "<%s>\\n" "$@"; else {sys.executable} -P -m mlvc "$@"; fi; }}\n'
    place = scene.parent / "shell"
    place.mkdir()
    (place / rc).write_text(f"{loaded}{called}source <(mlvc completion {name})\ncd {scene}\nPS1='{PROMPT}'\n")
    end = typed[0] if typed[0] in "'\"" and name == "zsh" else ""  # bash closes the quote itself
    shown = typed_at_the_prompt(command, f"mlvc add {typed}\t{end}\nexit\n", cwd=place)
    assert re.search("<a dir/?>", shown), shown  # zsh takes the slash away again


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("mlvc push -r ", ["archive", "store"]),
        ("mlvc stage ", ["add", "list", "show"]),
        ("mlvc checkout --rev ", ["HEAD", "main", "side", "v1"]),
        ("mlvc repro t", ["test", "train"]),
        ("mlvc add a", ["a dir/"]),
        (r"mlvc add a\ d", ["a dir/"]),
        ("mlvc add 'a d", ["a dir/"]),
        ("mlvc add a\\ dir/", ["a dir/file one"]),
        ("mlvc checkout mod", ["model.bin"]),
    ],
)
def test_in_a_real_fish(scene: Path, typed: str, expected: list[str]) -> None:
    called = f"function mlvc; {sys.executable} -P -m mlvc $argv; end; mlvc completion fish | source"
    ask = f"{called}; complete -C $argv[1]"
    out = run(["fish", "--no-config", "-c", ask, "--", typed], cwd=scene, env={"PYTHONPATH": SOURCES}).out
    assert sorted(out.splitlines()) == expected


def test_outside_of_a_repository_there_is_no_message(tmp_path: Path) -> None:
    for words in (["push", "-r", ""], ["diff", ""], ["repro", ""], ["config", ""], []):
        result = run_mlvc("__complete", *words, cwd=tmp_path)
        assert result.err == ""
        assert result.out


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_asks_mlvc(name: str) -> None:
    assert "mlvc __complete" in run_mlvc("completion", name).out
    shell.refused(run_mlvc("completion", "csh", check=False), 2, "no completion for 'csh'", "bash, zsh, fish")
