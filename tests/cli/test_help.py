"""``--help`` of every command, and the top-level keys of every ``--json``."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from mlvc.cli import app, shapes, top
from mlvc.cli.main import COMMANDS
from tests.helpers import run_mlvc, shell

GROUPS = {"remote": ["add", "list", "modify", "default", "rename", "remove"], "stage": ["add", "list", "show"]}
ALL = [[name] for name in COMMANDS] + [[group, name] for group, names in GROUPS.items() for name in names]

KNOWN_CODES = {"0", "1", "2", "4", "5", "6", "7", "8"}
CHANGES = {"path", "change", "from", "old", "new"}
TRANSFER = {"runs", "remote", "objects", "size", "packs", "lost", "unreadable", "damaged"}
KEYS = {
    ("init",): {"root", "hash", "new"},
    ("status",): {"clean", "tracked", "working_tree", "head", "missing", "stages", "refused", "unreadable"},
    ("diff",): {"old", "new", "changes", "unknown", "unreadable"},
    ("ls",): {"commit", "items", "lost", "unreadable"},
    ("du",): {"commit", "paths", "size", "files", "stored", "missing", "lost", "unreadable"},
    ("get", ".", "data", "-o", "copy"): {"commit", "path", "out", "kind", "size", "files"},
    ("check-ignore", "a/__pycache__"): {"path", "file", "line", "pattern"},
    ("log", "data"): {"commits", "lost", "unreadable"},
    ("checkout",): {"changes", "lost", "kept", "unreadable"},
    ("push",): TRANSFER,
    ("fetch",): TRANSFER,
    ("pull",): {"fetch", "checkout"},
    ("dag",): {"stages", "edges"},
    ("config", "--show-origin"): {"core.hash", "core.remote", "remote.store.url"},
    ("config",): {"core.hash", "core.remote", "remote.store.url"},
    ("add", "data"): {"path", "kind", "oid", "size", "files", "changed"},
    ("commit",): {"path", "kind", "oid", "size", "files", "changed"},
    ("move", "data", "sets"): {"moves", "files"},
    ("remove", "data"): {"paths", "data", "files"},
    ("unprotect", "model.bin"): {"paths", "size", "lost"},
    ("doctor",): {
        "broken",
        "versions",
        "repository",
        "file_systems",
        "links",
        "remotes",
        "hooks",
        "drivers",
        "findings",
    },
    ("remote", "list"): {"name", "url", "default"},
    ("repro", "--dry-run"): {"stage", "action", "reasons"},
    ("install",): {"directory", "hooks", "drivers", "attributes"},
    ("gc",): {
        *("objects", "size", "packs", "rewritten", "loose", "runs", "aside", "left", "left_size"),
        *("young", "put_back", "deleted", "damaged"),
    },
    ("gc", "--restore"): {"put_back"},
    ("fsck",): {
        *("objects", "size", "damaged", "uncatalogued", "missing", "unreadable", "repaired", "fetched", "records"),
    },
    ("destroy", "--dry-run"): {"removed", "size", "links", "alone"},
    ("stage", "list"): set(shapes.Stage.__annotations__),
}


def test_the_list_of_commands() -> None:
    out = run_mlvc("--help").out
    listed = [line.split()[0] for line in out.split("Commands:\n")[1].splitlines() if line.startswith("  ")]
    assert sorted(listed) == sorted(COMMANDS)
    assert "mlvc init" in out
    assert "mlvc demo" in out
    assert "..." not in out.split("Commands:\n")[1]  # nothing is cut short
    assert run_mlvc("-h").out == out
    for group, names in GROUPS.items():
        listed = run_mlvc(group, "--help").out.split("Commands:\n")[1].partition("\n\n")[0]
        assert [line.split()[0] for line in listed.splitlines()] == names


def test_exit_codes_are_told_of_commands_that_there_are() -> None:
    assert app._MORE.keys() | app._OWN.keys() <= {" ".join(words) for words in ALL}


def test_the_help_of_mlvc_is_what_typer_makes_of_it() -> None:
    commands = {name: import_module(f"mlvc.cli.{module}").COMMANDS[name] for name, module in COMMANDS.items()}
    whole = app.make(commands)
    told = whole.get_help(whole.make_context("mlvc", ["init"], terminal_width=80, max_content_width=80))
    assert top.text().split() == told.split()  # but for where its lines end


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_help_tells_a_newcomer_what_to_do(command: list[str]) -> None:
    result = run_mlvc(*command, "--help", env={"COLUMNS": "80"})
    assert result.err == ""
    lines = result.out.splitlines()
    assert lines[0].startswith(f"Usage: mlvc {' '.join(command)}")
    assert max(len(line) for line in lines) <= 80
    about = lines[2].strip()
    assert about[0].isupper()
    assert about.endswith(".")
    # It ends with an example and the exit codes.
    end = next(number for number, line in enumerate(lines) if line.strip().startswith("Example: "))
    assert lines[end + 1 : end + 3] == ["", "  Exit codes:"]
    codes = [line.split()[0] for line in lines[end + 3 :]]
    assert {"0", "2", "8"} <= set(codes) <= KNOWN_CODES
    examples = [line.strip() for line in lines if line.strip().startswith("Example: ")]
    assert len(examples) == 1
    assert f"mlvc {' '.join(command)}" in examples[0]
    for option in (line for line in lines if line.startswith("  -")):
        assert len(option.split("  ", 2)) == 3, option  # each is explained


def test_json_of_what_happens(pushed: Path) -> None:
    shell.write(
        pushed, {"mlvc.yaml": b"stages: {a: {cmd: echo noise; cp model.bin y, deps: [model.bin], outs: [y]}}\n"}
    )
    events = [json.loads(line) for line in run_mlvc("repro", "--json", cwd=pushed).out.splitlines()]
    assert [event["event"] for event in events] == ["planned", "started", "line", "finished", "summary"]
    assert set(events[-2]) == {"event", "stage", "outcome", "reasons", "seconds"}
    assert events[-1] == {"event": "summary", "counts": {"ran": 1}, "error": None}


@pytest.mark.parametrize("args", KEYS, ids=" ".join)
def test_json(pushed: Path, args: tuple[str, ...]) -> None:
    shell.write(
        pushed, {"mlvc.yaml": b"stages: {a: {cmd: echo noise; cp model.bin y, deps: [model.bin], outs: [y]}}\n"}
    )
    shell.write(pushed, {"data/one.txt": b"changed\n"} if args[0] in {"add", "diff", "commit"} else {})
    result = run_mlvc(*args, "--json", cwd=pushed)
    value = json.loads(result.out)
    items = value if isinstance(value, list) else [value]
    assert items
    for item in items:
        assert set(item) == KEYS[args]
    if args == ("diff",):
        assert value["changes"]
        assert all({"path", "change", "old", "new"} <= set(change) <= CHANGES for change in value["changes"])
