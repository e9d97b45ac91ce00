"""``runs``: what the run cache has, and what the commands printed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mlvc import files, git
from mlvc.api import described, pipeline, targets
from mlvc.api.sharing import known, objects, run_cache
from mlvc.errors import FormatError, PipelineError, UsageError
from mlvc.oid import Oid
from mlvc.pipeline import lockfile, logs
from mlvc.pipeline.graph import Graph
from mlvc.pipeline.logs import Log, Logs
from mlvc.pipeline.run import Run, verified
from mlvc.pointer import Content
from mlvc.repo import Repo

_LEAST = 4
"""Digits of a key that a person has to type."""


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A Run that is known here."""

    run: Run
    stages: tuple[str, ...]
    """The Stages whose Run it is or was, by the Lockfile, its history, or what they make; none where nothing tells."""
    recorded: float
    """When it was recorded here, in seconds; 0 for one that was fetched from a Remote."""
    here: bool
    """Whether all objects of its outputs are in the Store."""


def runs(repo: Repo, stage: str = "", *, key: str = "") -> list[KnownRun]:
    """The Runs that are known here, or those of a Stage, or whose keys begin so; the newest first, the fetched last.

    PipelineError where nothing knows of ``stage``, UsageError where no Run, or more than one, has ``key``.
    """
    found = [(run, when) for run, when in _all(repo, _digits(key)) if run is not None]
    if key and len(found) != 1:
        raise _not_one(key, [run.key for run, _ in found])
    whole = described.load(repo)
    names = _names(repo, whole, [run for run, _ in found])
    if stage:
        name = _stage(repo, whole, stage, names)
        found = [(run, when) for run, when in found if name in names[run.key]]
    needed = objects(repo.store, (content for run, _ in found for content in run.outs.values()))
    missing = repo.store.missing(oid for oids in needed.values() if oids is not None for oid in oids)
    here = {content for content, oids in needed.items() if oids is not None and oids.isdisjoint(missing)}
    found.sort(key=lambda pair: (-pair[1], pair[0].key))
    return [KnownRun(run, names[run.key], when, here.issuperset(run.outs.values())) for run, when in found]


def one(repo: Repo, word: str) -> KnownRun:
    """The Run whose key begins so, or of the Stage that ``word`` names: the one of the Lockfile, else the newest.

    UsageError where there is none, or more than one.
    """
    whole = described.load(repo)
    try:
        name = targets.target(repo, whole, word)
    except PipelineError:
        return runs(repo, key=word)[0]
    found = runs(repo, name)
    if not found:
        raise UsageError(f"no Run of stage '{name}' is known here", hint="`mlvc runs list` shows what is")
    entry = lockfile.LockfileStore(os.path.join(repo.root, lockfile.FILE)).load().stages.get(name)
    return next((each for each in found if entry is not None and each.run.key == entry.key), found[0])


def _all(repo: Repo, digits: str) -> Iterator[tuple[Run | None, float]]:
    cache = run_cache(repo)
    own = set()
    for key in cache.keys():  # noqa: SIM118  (no mapping)
        if key.hex().startswith(digits):
            run = cache.lookup(key)
            own.add(key if run is not None else Oid(b""))
            yield run, os.stat(cache.path_of(key)).st_mtime if run is not None else 0.0
    for records in known(repo):
        for each in map(Oid, records.keys()):
            if each not in own and each.hex().startswith(digits):
                own.add(each)
                yield (
                    next((run for data in records.get(each) if (run := verified(data, each, repo.hashing))), None),
                    0.0,
                )


def _digits(key: str) -> str:
    digits = key.rpartition(":")[2].lower()
    if key and digits.strip("0123456789abcdef"):
        raise UsageError(f"'{key}' is neither a stage nor the beginning of a key", hint="`mlvc runs list` shows both")
    if key and len(digits) < _LEAST:
        raise UsageError(f"'{key}' is too short for a key", hint=f"type at least {_LEAST} digits of it")
    return digits


def _not_one(key: str, found: Iterable[Oid]) -> UsageError:
    keys = sorted(each.hex()[:12] for each in found)
    if not keys:
        return UsageError(f"no Run with the key '{key}' is known here", hint="`mlvc runs list` shows what is")
    return UsageError(f"{len(keys)} Runs have keys that begin with '{key}'", hint=f"such as {', '.join(keys[:3])}")


def _names(repo: Repo, whole: Graph, found: Iterable[Run]) -> dict[Oid, tuple[str, ...]]:
    """The Stages of each Run: by the Lockfile, else by its history, else by the Stage that makes the same outputs."""
    names: dict[Oid, dict[str, None]] = {run.key: {} for run in found}
    _read(names, files.read_or_none(f"{repo.root}/{lockfile.FILE}"))
    if not all(names.values()):
        ids = git.versions(repo.git, [lockfile.FILE]).get(lockfile.FILE, [])
        for data in git.blobs(repo.git, ids).values():
            _read(names, data)
    for run in found:
        if not names[run.key]:
            makers = {whole.outputs.get(path, "") for path in run.outs}
            names[run.key] = dict.fromkeys(makers if len(makers) == 1 and "" not in makers else ())
    return {key: tuple(stages) for key, stages in names.items()}


def _read(names: Mapping[Oid, dict[str, None]], data: bytes | None) -> None:
    try:
        stages = lockfile.decode(data).stages if data else {}
    except FormatError:
        return
    for name, entry in stages.items():
        if entry.key in names:
            names[entry.key][name] = None


def _stage(repo: Repo, whole: Graph, word: str, names: Mapping[Oid, tuple[str, ...]]) -> str:
    """The Stage that ``word`` means: of the pipeline as it is, or one that it once had."""
    try:
        return targets.target(repo, whole, word)
    except PipelineError:
        if any(word in stages for stages in names.values()):
            return word
        raise


# -- what was printed --------------------------------------------------------------------------


def log(repo: Repo, word: str) -> tuple[Log, logs.Text]:
    """The last log of a Stage, or of the Run whose key begins so. UsageError where none is kept."""
    kept = pipeline.logs(repo)
    name = _logged(repo, kept, word)
    for each in kept.of(name) if name else _by_key(kept, word):
        try:
            return each, logs.read(each.path)
        except OSError:
            continue  # forgotten meanwhile
    raise UsageError(f"no log of '{word}' is kept", hint="logs are kept of what ran here; `mlvc runs list` shows it")


def _logged(repo: Repo, kept: Logs, word: str) -> str:
    if word in kept.stages():
        return word
    try:
        return targets.target(repo, described.load(repo), word)
    except PipelineError:
        return ""


def _by_key(kept: Logs, word: str) -> list[Log]:
    digits = word.rpartition(":")[2].lower()[:12]
    found = [each for stage in kept.stages() for each in kept.of(stage) if each.key.startswith(digits)]
    return sorted(found, key=lambda each: each.began, reverse=True) if len(digits) >= _LEAST else []


__all__ = ["Content", "KnownRun", "log", "one", "runs"]
