"""Writes pipeline files: adds a Stage, freezes Stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlvc import files, git
from mlvc.api import described, targets
from mlvc.errors import PipelineError
from mlvc.git import gitignore
from mlvc.pipeline import edit, graph, spec, where
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.spec import Stage
from mlvc.repo import Repo


def add_stage(repo: Repo, name: str, fields: Mapping[str, Any], *, force: bool = False) -> str:
    """Write a Stage into the ``mlvc.yaml`` of the user's directory, leaving the rest as it is. The file's path."""
    with repo.exclusive():
        path = spec.file_in(repo.cwd)
        full = f"{repo.root}/{path}"
        around = described.surroundings(repo)
        before = described.text_of(files.read_or_none(full) or b"", path)
        text = edit.add_stage(before, name, fields, file=path, force=force, root=around.root)
        others = [stage for stage in described.stages(repo) if stage.file != path]
        made = graph.build([*others, *spec.parse(text, path, around)]).stages[spec.address(path, name)]
        described.check_apart(repo, [made])
        files.replace(full, text.encode())
        changed = gitignore.add(repo.git, [out.path for out in made.outs if out.cache])
        if repo.config.get("core.autostage"):
            git.stage(repo.git, [path, *changed])
    return path


def freeze(repo: Repo, words: Sequence[str], *, on: bool) -> tuple[Frozen, ...]:
    """Say in their pipeline files that Stages do not run, or that they do again; the rest of the files stays.

    PipelineError, before anything is written, for a word that names no Stage or a part of a ``foreach`` or ``matrix``,
    and for a layout that cannot be changed.
    """
    with repo.exclusive():
        whole = described.load(repo)
        entries = _entries(repo, whole, words)
        before = {
            file: described.text_of(files.read_or_none(f"{repo.root}/{file}") or b"", file) for file, _ in entries
        }
        after = dict(before)
        found = []
        for (file, name), stages in entries.items():
            text = edit.set_flag(after[file], name, "frozen", on=on, file=file)
            at = whole.stages[stages[0]].at
            looped = at is not None and at.path[2:] == ("do",)
            found.append(Frozen(file, name, tuple(stages), looped=looped, changed=text != after[file]))
            after[file] = text
        changed = [file for file, text in after.items() if text != before[file]]
        for file in changed:
            files.replace(f"{repo.root}/{file}", after[file].encode())
        if changed and repo.config.get("core.autostage"):
            git.stage(repo.git, changed)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Frozen:
    """An entry below ``stages`` of a pipeline file, the Stages that it makes, and whether it had to be changed.

    ``looped``: it is a ``foreach``, and what is said of its Stages stands below ``do``.
    """

    file: str
    entry: str
    stages: tuple[str, ...]
    looped: bool
    changed: bool


def _entries(repo: Repo, whole: Graph, words: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """By file and name the entries that ``words`` name, with the Stages that each makes: all of them, or none."""
    every: dict[tuple[str, str], list[str]] = {}
    for stage in whole.stages.values():
        every.setdefault(_entry_of(stage), []).append(stage.name)
    named = dict.fromkeys(name for word in words for name in targets.targets(repo, whole, word))
    found = {_entry_of(whole.stages[name]): name for name in named}
    for entry, name in found.items():
        if not named.keys() >= set(every[entry]):
            raise PipelineError(
                f"{where.of(whole.stages[name])}: '{name}' is one of the {len(every[entry])} stages of '{entry[1]}', "
                "which are frozen together",
                hint=f"name '{spec.address(*entry)}', or write out this stage as one of its own",
            )
    return {entry: every[entry] for entry in found}


def _entry_of(stage: Stage) -> tuple[str, str]:
    return stage.file, stage.group or spec.name_in_file(stage)
