"""Records of Runs and of items, as fsck looks at them: which say nothing, and which name what cannot be had."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from mlvc import files, manifest
from mlvc.api import keep
from mlvc.api.keep import Kept, Place
from mlvc.api.sharing import objects
from mlvc.errors import DamagedError, FormatError
from mlvc.pipeline import tables
from mlvc.pipeline.run import RunCache
from mlvc.pointer import Content
from mlvc.repo import Repo
from mlvc.store.base import LARGE
from mlvc.store.local import LocalStore
from mlvc.store.verify import Checked

_NOT = "is no record that counts: it is damaged, or stands under a name that is not its own"


@dataclass(slots=True)
class Recorded:
    """What records of all roots say. ``contents``: what each names, by its path, with what to call that.

    ``damaged``: the paths of those that say nothing, with what is wrong. Those of a newer mlvc are left alone.
    """

    contents: dict[str, dict[Content, Place]] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)


def read(repo: Repo) -> Recorded:
    """Read the records of Runs and of items."""
    found = Recorded()
    for cache in keep.run_caches(repo):
        for key in cache.keys():  # noqa: SIM118  (no mapping)
            path, run = cache.path_of(key), cache.lookup(key)
            if run is not None:
                named = f"Run {key.hex()[:10]}"
                found.contents[path] = {content: Place(named, tracked=out) for out, content in run.outs.items()}
                if run.items is not None:
                    found.contents[path].setdefault(run.items, Place(named, tracked="(the table of its items)"))
            elif os.path.exists(path) and not keep.newer_version(path):
                found.damaged[path] = _NOT
        for path, content, stage in _tables(cache, found):
            place = Place(f"what is known of the items of stage '{stage}'", tracked="(the table of its items)")
            found.contents[path] = {content: place}
    return found


def _tables(cache: RunCache, found: Recorded) -> Iterator[tuple[str, Content, str]]:
    """Path, table and Stage of each record of items; what is none is added to what is damaged."""
    there = tables.Tables(os.path.join(os.path.dirname(cache.directory), tables.FOLDER), cache.hashing)
    for path in there.paths():
        data = files.read_or_none(path) or b""
        record = tables.decode(data)
        if record is None or there.path_of(record[0]) != path:
            found.damaged[path] = _NOT
        else:
            yield path, record[1], tables.stage_of(data)


def compare(recorded: Recorded, store: LocalStore, checked: Checked) -> None:
    """Take for damaged what calls a directory what is none, and leave out of the others what was never stored.

    That may be so of outputs that Git keeps and that are directories, or large.
    """
    every = {content for contents in recorded.contents.values() for content in contents}
    false = {content for content in every if content.is_dir and not _is_list(store, content)}
    for path, contents in list(recorded.contents.items()):
        if not false.isdisjoint(contents):
            recorded.damaged[path] = _NOT
            del recorded.contents[path]
    asked = {content.oid for content in every if content.is_dir or content.size >= LARGE}
    asked -= checked.good.keys() | checked.bad
    never = asked - {location.oid for location in store.packed.catalog.locate(asked)}
    for path, contents in recorded.contents.items():
        recorded.contents[path] = {each: place for each, place in contents.items() if each.oid not in never}


def _is_list(store: LocalStore, content: Content) -> bool:
    """Whether what is stored under the name of a directory is a list of files, as far as it can be had."""
    try:
        manifest.objects_of(store, [content], {})
    except (FormatError, DamagedError):
        return False
    return True


def name(kept: Kept, recorded: Recorded) -> None:
    """Add to what is tracked what records name, too; what is both keeps what it was called."""
    for contents in recorded.contents.values():
        for content, place in contents.items():
            kept.contents.setdefault(content, place)


def useless(repo: Repo, recorded: Recorded) -> list[str]:
    """The paths of records that name what is not in the Store, after all that can be brought was brought."""
    whole = objects(repo.store, dict.fromkeys(content for each in recorded.contents.values() for content in each))
    absent = repo.store.missing(frozenset().union(*(each for each in whole.values() if each is not None)))
    lost = {content for content, each in whole.items() if each is None or not each.isdisjoint(absent)}
    return [path for path, contents in recorded.contents.items() if not lost.isdisjoint(contents)]


def set_aside(repo: Repo, paths: Collection[str]) -> None:
    """Move records into the quarantine."""
    for path in paths:
        temporary = repo.store.scratch.name()  # the Store may be on another file system
        files.replace(temporary, files.read_or_none(path) or b"")
        repo.store.set_aside(temporary, os.path.basename(path))
        files.remove(path)


def told(repo: Repo, path: str) -> str:
    """What a person calls the file of a record: its path in the Git directory of mlvc."""
    return os.path.relpath(path, repo.private)


__all__ = ["Recorded", "compare", "name", "read", "set_aside", "told", "useless"]
