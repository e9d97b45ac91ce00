"""What a person means who names Stages."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence

from mlvc import files, globs
from mlvc.api import described
from mlvc.errors import UsageError
from mlvc.pipeline import graph, spec
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.spec import Stage
from mlvc.repo import Repo


def targets(repo: Repo, whole: Graph, word: str) -> tuple[str, ...]:
    """The Stages that a person in the directory ``repo.cwd`` means with ``word``. PipelineError where it names none.

    One of the pipeline file there comes first, then ``FILE:NAME``, the maker of that path, and one at the top. NAME
    may be that of a ``foreach`` or ``matrix``, for all Stages of it, and a pattern, and so may a path. A pipeline file
    stands for all Stages in it. UsageError for an empty word.
    """
    if not word:
        raise UsageError("the name of a stage is empty", hint="is it a variable that is not set?")
    found = _by_name(repo, whole, word)
    if not found:
        path = repo.path(word)
        found = tuple(stage.name for stage in whole.stages.values() if stage.file == path)
    if not found:
        maker = graph.maker(whole, path)
        found = (maker,) if maker is not None else _named(whole, spec.FILE, word)
        if not found and globs.is_pattern(path):
            found = tuple(dict.fromkeys(made for out, made in whole.outputs.items() if globs.fits(path)(out)))
    if not found:
        outputs = (posixpath.relpath(out, repo.cwd or ".") for out in whole.outputs)
        raise graph.unknown(word, [*_typed_names(repo, whole.stages.values()), *outputs])
    return found


def names(repo: Repo) -> list[str]:
    """What can be typed in the directory ``repo.cwd`` for Stages and for a ``foreach`` or ``matrix``, sorted."""
    return sorted(_typed_names(repo, described.stages(repo)))


def _typed_names(repo: Repo, found: Iterable[Stage]) -> set[str]:
    prefix = spec.address(spec.file_in(repo.cwd), "")
    found = list(found)
    groups = (spec.address(stage.file, stage.group) for stage in found if stage.group)
    return {name.removeprefix(prefix) for name in (*groups, *(stage.name for stage in found))}


def target(repo: Repo, whole: Graph, word: str) -> str:
    """The one Stage that ``word`` means, as ``targets``; UsageError where it means several."""
    found = targets(repo, whole, word)
    if len(found) > 1:
        raise UsageError(f"'{word}' names {len(found)} stages", hint=f"name one of them, such as '{found[0]}'")
    return found[0]


def _by_name(repo: Repo, whole: Graph, word: str) -> tuple[str, ...]:
    """The Stages of the pipeline file here, or of the one that ``word`` names before a colon."""
    found = _named(whole, spec.file_in(repo.cwd), word)
    file, _, name = word.rpartition(":")
    return _named(whole, repo.path(file), name) if file and not found else found


def apart(repo: Repo, words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The Stages that some of ``words`` name, and the other words: paths. What is there as a path is one."""
    paths = [word for word in words if files.exists(os.path.join(repo.root, repo.cwd, word))]
    if len(paths) == len(words):
        return (), tuple(words)
    whole = described.load(repo)
    found = {word: _by_name(repo, whole, word) for word in words if word not in paths}
    names = dict.fromkeys(name for stages in found.values() for name in stages)
    return tuple(names), tuple(word for word in words if not found.get(word))


def _named(whole: Graph, file: str, name: str) -> tuple[str, ...]:
    """The Stages of ``file``, which may be a pattern, that ``name`` is the name, the group or a pattern of."""
    if spec.address(file, name) in whole.stages:
        return (spec.address(file, name),)
    stages = whole.stages.values()
    group = tuple(stage.name for stage in stages if stage.group == name and stage.file == file)
    if group or not globs.is_pattern(file + name):
        return group
    fits, of_file = globs.fits(_one_name(name)), globs.fits(file)
    return tuple(
        stage.name
        for stage in stages
        if (stage.file == file or of_file(stage.file))
        and (stage.group == name or fits(_one_name(spec.name_in_file(stage))))
    )


def _one_name(text: str) -> str:
    """A name of a Stage, or a pattern of such names, as that of a file: no part of it is a directory, or hidden."""
    return "." + text.replace("/", "\0").replace("**", "*")
