"""Stages that run for each file that fits a pattern: what has to run, what is known, how it comes together. Pure.

An item is one such file. What decides its result is its key: the definition of the Stage, which is all but the items,
and the item itself. What each item made is remembered in a table by that key, so that a row counts wherever it comes
from, and one that nothing asks for does no harm. Bytes of a table: docs/formats/run.md.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from mlvc import codec, globs
from mlvc import oid as oids
from mlvc.errors import FormatError, StageFailedError
from mlvc.hashing import Hashing
from mlvc.manifest import EMPTY_DIR, Entry
from mlvc.pipeline import filling
from mlvc.pipeline.filling import ITEMS, NAMES, OUT, templates
from mlvc.pipeline.run import Inputs
from mlvc.snapshot import parents, within

if TYPE_CHECKING:
    from mlvc.pipeline.spec import Stage

VERSION = 1
Table = Mapping[bytes, tuple[Entry, ...]]
"""By the key of an item the files that it made, relative to its own directory."""


# -- the description ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a description: under which key, the sentence and the hint."""

    key: str
    message: str
    hint: str


def fault(stage: Stage) -> Fault | None:
    """What is wrong with a description, None where nothing is."""
    return _wrong_pattern(stage) or _wrong_outs(stage) or next(_wrong_templates(stage), None)


def _wrong_pattern(stage: Stage) -> Fault | None:
    if globs.is_pattern(stage.each):
        return None
    return Fault(
        "each",
        f"'each' must be a pattern, and '{stage.each}' has neither '*' nor '?'",
        _ONLY if set("[]{}") & set(stage.each) else f"for all files of a directory write {stage.each}/*",
    )


_ONLY = "brackets and braces are characters as any others: write a pattern with '*' or '?', or a stage for each case"


def _wrong_outs(stage: Stage) -> Fault | None:
    if [out.role for out in stage.outs] != ["outs"]:
        key = next((out.role for out in stage.outs if out.role != "outs"), "outs")
        named = f"{len(stage.outs)} of them" if stage.outs else "none"
        return Fault(
            key,
            f"with 'each' there is exactly one output, under 'outs', and here {'are' if stage.outs else 'is'} {named}",
            "name one directory: what the items write comes together in it",
        )
    out = stage.outs[0]
    if out.persist:
        return Fault("outs", "'persist' cannot be used with 'each': each item gets an empty directory", "take it out")
    if not out.cache:
        return Fault("outs", "'cache: false' cannot be used with 'each': the output goes into the store", "take it out")
    if globs.leads(stage.each)(out.path):
        message = f"files of the output '{out.path}' may fit the pattern '{stage.each}'"
        return Fault("outs", message, "let the stage write to another directory")
    return None


def _wrong_templates(stage: Stage) -> Iterator[Fault]:
    names = [name for command in stage.cmd for name in templates(command)]
    for name in names:
        field = name.removeprefix("item.")
        if stage.batch and name != ITEMS:
            hint = "each line of the file ${items} has the path of an item, a tab, and its own output directory"
            yield Fault("cmd", f"with 'batch', '${{{name}}}' cannot be used: a command gets many items", hint)
        if not stage.batch and name == ITEMS:
            yield Fault("cmd", "'${items}' is there only with 'batch'", "say 'batch: 256', or use ${item.path}")
        if name not in (OUT, ITEMS) and field not in NAMES:
            near = codec.nearest(field, NAMES)
            known = ", ".join(f"${{item.{known}}}" for known in NAMES)
            yield Fault(
                "cmd",
                f"an item has no '{field}'",
                f"did you mean '${{item.{near}}}'?" if near else f"there are {known}",
            )
    for name in (name for command in stage.cmd for name in filling.fill(command).lost):
        yield Fault(
            "cmd",
            f"'${{{name}}}' stands in a here-document in which the shell replaces nothing",
            "write its first line as <<END, without quotes or a backslash",
        )
    if stage.batch and not any(filling.asks(command, ITEMS) for command in stage.cmd):
        yield Fault("cmd", "with 'batch' a command needs '${items}', the file that lists its items", "add it")
    if not stage.batch and not any(filling.asks(command, OUT) for command in stage.cmd):
        yield Fault("cmd", "with 'each' a command has to write into '${out}', the directory of one item", "add it")


# -- keys --------------------------------------------------------------------------------------


def shared(deps: Iterable[str], stage: Stage) -> list[str]:
    """Those dependencies that every item depends on: not the pattern, and no directory that the items are in.

    Nor a link that is itself an item, or would be if it led to a file: it is for its item what it leads to.
    """
    top, fits = globs.fixed(stage.each), globs.fits(stage.each)
    own = {stage.each, *(path for path in stage.links if fits(path))}
    return [path for path in deps if path not in own and not within(top, [path])]


def definition(inputs: Inputs, stage: Stage, hashing: Hashing) -> bytes:
    """The digest of all that decides what any item makes, and of where it goes.

    Not of the pattern, so that a wider one leaves what is known as it is; nor of a dependency in which the items are.
    """
    deps = {path: [inputs.deps[path].kind, oids.to_text(inputs.deps[path].oid)] for path in shared(inputs.deps, stage)}
    value = {
        "mlvc_each": VERSION,
        "cmd": list(inputs.cmd),
        "wdir": inputs.wdir,
        "deps": deps,
        "params": inputs.params,
        "env": inputs.env,
        "image": inputs.image,
        "out": sorted(inputs.outs),
    }
    return hashing.of(codec.compact_json(value).encode())


def keys_of(defined: bytes, items: Iterable[Entry], hashing: Hashing) -> dict[bytes, Entry]:
    """The items by their keys, in the order given."""
    of = hashing.of
    return {of(b"%b%b%b%b" % (defined, item[1].encode(), item[3], item[0].encode())): item for item in items}


# -- what has to run ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done for the items of a Stage."""

    items: Mapping[bytes, Entry]
    """All of them by key."""
    known: Table
    """What is known of them, for the most part of those that need not run."""
    run: tuple[bytes, ...]
    """The keys of those that have to, in order of their paths."""
    gone: int = 0
    """How many were known before, and are not among the items any more as they were."""


def plan(items: Mapping[bytes, Entry], tables: Sequence[Table]) -> Work:
    """Which of ``items`` have to run, with what is known of them from before; an earlier table counts first."""
    known: dict[bytes, tuple[Entry, ...]] = {}
    for table in tables:
        known = {key: table[key] for key in table.keys() & items.keys()} | known
    before = {key for table in tables[:1] for key in table}
    return Work(items, known, _in_order(items, items.keys() - known.keys()), len(before - items.keys()))


def whole(work: Work) -> Work:
    """The same where all items run, whatever is known."""
    return replace(work, run=_in_order(work.items, work.items))


def _in_order(items: Mapping[bytes, Entry], keys: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted(keys, key=lambda key: items[key].path.encode()))


def batches(keys: Sequence[bytes], size: int) -> list[tuple[bytes, ...]]:
    """The keys in as few parts of up to ``size`` as there can be, all of about the same length; 0: one by one."""
    if not size:
        return [(key,) for key in keys]
    count = -(-len(keys) // size)
    ends = [len(keys) * number // count for number in range(count + 1)] if count else [0]
    return [tuple(keys[start:end]) for start, end in pairwise(ends)]


def told(work: Work) -> str:
    """In words how many items changed."""
    total = len(work.items)
    word = "item" if total == 1 else "items"
    if not work.run:
        are = "item is" if work.gone == 1 else "items are"
        return f"{work.gone:,} {are} gone" if work.gone else f"{total:,} {word}, all known"
    if len(work.run) == total:
        return f"{total:,} {word}"
    return f"{len(work.run):,} of {total:,} {word} changed"


# -- tables ------------------------------------------------------------------------------------


def pack(table: Table, hashing: Hashing) -> list[Entry]:
    """A table as the entries of a directory: ``<key>/<path>``, or an empty ``<key>`` for an item without files."""
    made: list[Entry] = []
    new, nothing = Entry._make, hashing.of(b"")
    for key, rows in table.items():
        name = key.hex()
        made += [new((f"{name}/{path}", kind, size, oid)) for path, kind, size, oid in rows]
        if not rows:
            made.append(Entry(name, EMPTY_DIR, 0, nothing))
    return made


def unpack(entries: Iterable[Entry], digest_size: int) -> dict[bytes, tuple[Entry, ...]]:
    """The table that ``pack`` made ``entries`` of; FormatError for anything else."""
    rows: dict[str, list[Entry]] = {}
    new, width = Entry._make, 2 * digest_size
    for path, kind, size, oid in entries:
        name, rest = path[:width], path[width + 1 :]  # what stands between does not matter
        if rest:
            row = rows.get(name)
            if row is None:
                rows[name] = [new((rest, kind, size, oid))]
            else:
                row.append(new((rest, kind, size, oid)))
        else:
            rows.setdefault(name, [])
    for name in rows:
        if len(name) != width or name.strip("0123456789abcdef"):
            raise FormatError(f"a table of items names '{name}', which is no key")
    return {bytes.fromhex(name): tuple(row) for name, row in rows.items()}


# -- the union ---------------------------------------------------------------------------------


def unite(items: Mapping[bytes, Entry], table: Table, hashing: Hashing, *, batch: bool = False) -> list[Entry]:
    """The entries of the directory that all ``items`` make together, each of which has its row in ``table``.

    An empty directory goes into one that is not. StageFailedError names two items, and the path that both make.
    ``batch``: whether commands get lists of items, for what it says.
    """
    owners: dict[str, bytes] = {}
    files: dict[str, Entry] = {}
    empty: dict[str, bytes] = {}
    for key in items:
        for entry in table[key]:
            if entry.kind == EMPTY_DIR:
                empty.setdefault(entry.path, key)
            elif owners.setdefault(entry.path, key) == key:
                files[entry.path] = entry
            else:
                raise _conflict(items, owners[entry.path], key, entry.path, batch=batch)
    around = _around(files, owners, items, owners, batch=batch)
    around |= _around(empty, owners, items, empty, batch=batch)
    for path in empty.keys() & files.keys():
        raise _conflict(items, owners[path], empty[path], path, batch=batch)
    directories = [Entry(path, EMPTY_DIR, 0, hashing.of(b"")) for path in empty if path not in around]
    return [*files.values(), *directories]


def _around(
    paths: Iterable[str],
    owners: Mapping[str, bytes],
    items: Mapping[bytes, Entry],
    makers: Mapping[str, bytes],
    *,
    batch: bool,
) -> set[str]:
    """The directories that ``paths`` are in, none of which is a file."""
    found: set[str] = set()
    for path in paths:
        if path.rpartition("/")[0] in found:
            continue
        for parent in parents(path):
            if parent in owners:
                raise _conflict(items, owners[parent], makers[path], parent, batch=batch)
            found.add(parent)
    return found


def _conflict(items: Mapping[bytes, Entry], one: bytes, other: bytes, path: str, *, batch: bool) -> StageFailedError:
    first, second = sorted((items[one].path, items[other].path))
    hint = _apart(first, second, batch=batch)
    return StageFailedError(f"the items '{first}' and '{second}' both make '{path}'", hint=hint)


def _apart(first: str, second: str, *, batch: bool) -> str:
    """How what two items make can get other names."""
    one, two = posixpath.basename(first), posixpath.basename(second)
    if batch:
        how = "name what an item makes after its whole path"
    elif one == two:
        how = "let each write to ${out}/${item.parent}, which `mkdir -p` makes: the directory tells them apart"
    elif posixpath.splitext(one)[0] == posixpath.splitext(two)[0]:
        how = "let each write a name of its own, such as ${out}/${item.name}.txt: the suffix tells them apart"
    else:
        how = "let each write a name of its own, such as ${out}/${item.name}.txt"
    return f"{how}; the output is as it was"
