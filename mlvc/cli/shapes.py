"""What ``--json`` prints: a type for each kind of value, with what each of its keys means.

docs/reference/json.md is made of these types, and the tests hold every value that mlvc prints against them. A new key
is entered here; none is taken away. No command needs this module to run.
"""

from collections.abc import Iterator
from typing import Annotated, Any, NotRequired, TypedDict

# -- parts of several values -------------------------------------------------------------------


class Lost(TypedDict):
    """A path of which objects cannot be had."""

    path: Annotated[str, "the tracked path, or the file in it"]
    reason: Annotated[str, "why it cannot be had"]


class Entry(TypedDict):
    """What a path is, before or after a change."""

    size: Annotated[int, "bytes"]
    kind: Annotated[str, "what it is"]
    oid: NotRequired[Annotated[str, "the name of its content; an empty directory has none"]]


# A key that is a word of Python takes the other way of writing the same thing.
Change = TypedDict(
    "Change",
    {
        "path": Annotated[str, "the path; after a renaming the new one"],
        "change": Annotated[str, "what became of it"],
        "from": NotRequired[Annotated[str, "its name before a renaming"]],
        "old": NotRequired[Annotated[Entry, "what it was, unless it was added"]],
        "new": NotRequired[Annotated[Entry, "what it is, unless it was deleted"]],
    },
)
Change.__doc__ = """A path that is not what it was."""


class Content(TypedDict):
    """What a Pointer says."""

    kind: Annotated[str, "what the path is"]
    oid: Annotated[str, "the name of the content"]
    size: Annotated[int, "bytes, of all files together"]
    files: Annotated[int, "the number of files"]


class Item(TypedDict):
    """A tracked path, or a path in a tracked directory."""

    path: Annotated[str, "the path"]
    kind: Annotated[str, "what it is"]
    size: Annotated[int, "bytes, of all files together"]
    files: Annotated[int, "the number of files"]
    oid: Annotated[str | None, "the name of the content; a directory inside of a tracked one has none"]


# -- setting up --------------------------------------------------------------------------------


class Initialised(TypedDict):
    """Of ``init``."""

    root: Annotated[str, "the directory in which mlvc is set up"]
    hash: Annotated[str, "the hash algorithm"]
    new: Annotated[bool, "whether mlvc was set up just now"]


class Setting(TypedDict):
    """Of ``config --show-origin``, by the name of the setting."""

    value: Annotated[Any, "its value"]
    level: Annotated[str, "where it is set: one of the levels, `environment` or `default`"]
    origin: Annotated[str, "the file or the variable; empty for a default"]


class NamedRemote(TypedDict):
    """Of ``remote list``."""

    name: Annotated[str, "the name of the Remote"]
    url: Annotated[str, "its directory or URL"]
    default: Annotated[bool, "whether it is the default Remote"]


class DefaultRemote(TypedDict):
    """Of ``remote default``."""

    name: Annotated[str, "the name of the default Remote"]
    url: Annotated[str | None, "its directory or URL; `null` if there is no Remote of this name"]


class Hook(TypedDict):
    """A part of ``install``."""

    name: Annotated[str, "the name of the hook"]
    state: Annotated[str, "what became of it"]
    before: Annotated[bool, "whether there is another hook, which stood there before"]


class Installed(TypedDict):
    """Of ``install``."""

    directory: Annotated[str, "where the hooks are"]
    hooks: Annotated[list[Hook], "the hooks that were asked for"]
    drivers: Annotated[bool, "whether Git's settings have the merge driver and the textconv"]
    attributes: Annotated[bool, "whether `.gitattributes` names them"]


# -- tracking ----------------------------------------------------------------------------------


class Tracked(TypedDict):
    """Of ``add`` and ``commit``."""

    path: Annotated[str, "the tracked path"]
    kind: Annotated[str, "what it is"]
    oid: Annotated[str, "the name of the content"]
    size: Annotated[int, "bytes, of all files together"]
    files: Annotated[int, "the number of files"]
    changed: Annotated[bool, "whether the Pointer was written"]


Move = TypedDict(
    "Move",
    {
        "from": Annotated[str, "the path before"],
        "path": Annotated[str, "the path after"],
        "present": Annotated[bool, "whether its data are in the working tree, and move too"],
        "modified": Annotated[bool, "whether its data are not what is recorded"],
    },
)


class Moved(TypedDict):
    """Of ``move``."""

    moves: Annotated[list[Move], "the renamings"]
    files: Annotated[list[str], "the files of Git that change"]


class Removed(TypedDict):
    """Of ``remove``."""

    paths: Annotated[list[str], "the paths that are not tracked any more"]
    data: Annotated[list[str], "those of them whose data go"]
    files: Annotated[list[str], "the files of Git that change"]


class Unprotected(TypedDict):
    """Of ``unprotect``."""

    paths: Annotated[list[str], "the files that are copies now"]
    size: Annotated[int, "their bytes"]
    lost: Annotated[list[Lost], "the files that stay links, as no good copy can be made"]


class Ignored(TypedDict):
    """Of ``check-ignore``."""

    path: Annotated[str, "an ignored path, as it was given"]
    file: Annotated[str | None, "the file with the pattern; `null` for what is never tracked"]
    line: Annotated[int | None, "the line in it"]
    pattern: Annotated[str, "the pattern"]


# -- looking -----------------------------------------------------------------------------------


class PathStatus(TypedDict):
    """A part of ``status``."""

    path: Annotated[str, "the tracked path"]
    state: Annotated[str, "how it differs"]
    changes: Annotated[list[Change], "file by file, as far as this is known"]


class Missing(TypedDict):
    """A part of ``status``."""

    path: Annotated[str, "the tracked path"]
    objects: Annotated[int, "how many of its objects are not in the Store"]


class Waiting(TypedDict):
    """A part of ``status``."""

    stage: Annotated[str, "the name of the Stage"]
    reasons: Annotated[list[str], "sentences that say why"]


class Status(TypedDict):
    """Of ``status``."""

    clean: Annotated[bool, "whether there is nothing to tell"]
    tracked: Annotated[int, "the number of tracked paths"]
    working_tree: Annotated[list[PathStatus], "tracked paths that are not as their Pointers say"]
    head: Annotated[list[Change], "what Pointers and Lockfile say otherwise than HEAD, each tracked path as a whole"]
    missing: Annotated[list[Missing], "tracked paths of which objects are not in the Store"]
    refused: Annotated[list[str], "sentences about what stands in a tracked path and cannot be tracked"]
    unreadable: Annotated[list[str], "sentences about Pointers, or a Lockfile, that cannot be read or are in conflict"]
    stages: Annotated[list[Waiting], "the Stages that would rerun"]


class Difference(TypedDict):
    """Of ``diff``."""

    old: Annotated[str, "the first revision"]
    new: Annotated[str | None, "the second one; `null` is the working tree"]
    changes: Annotated[list[Change], "file by file"]
    unknown: Annotated[list[str], "tracked paths that cannot be compared, as their Manifest is not in the Store"]
    unreadable: Annotated[list[str], "sentences about Pointers that cannot be read"]


class Listing(TypedDict):
    """Of ``ls``."""

    commit: Annotated[str | None, "the commit that was looked at; `null` is the working tree"]
    items: Annotated[list[Item], "the paths"]
    lost: Annotated[list[Lost], "directories of which nobody can tell what is in them"]
    unreadable: Annotated[list[str], "sentences about Pointers that cannot be read"]


class Usage(TypedDict):
    """Of ``du``."""

    commit: Annotated[str | None, "the commit that was looked at; `null` is the working tree"]
    paths: Annotated[list[Item], "the paths"]
    size: Annotated[int, "bytes of all files together"]
    files: Annotated[int, "the number of all files"]
    stored: Annotated[int, "bytes that their objects take in the Store, each counted once"]
    missing: Annotated[int, "how many of these objects are not in the Store"]
    lost: Annotated[list[Lost], "directories of which nobody can tell what is in them"]
    unreadable: Annotated[list[str], "sentences about Pointers that cannot be read"]


class Amount(TypedDict):
    """A part of ``log``."""

    size: Annotated[int, "bytes, of all files together"]
    files: Annotated[int, "the number of files"]


class Counts(TypedDict):
    """A part of ``log``."""

    added: Annotated[int, "files that were added"]
    modified: Annotated[int, "files that were modified"]
    deleted: Annotated[int, "files that were deleted"]
    renamed: Annotated[int, "files that were renamed"]


Step = TypedDict(
    "Step",
    {
        "path": Annotated[str, "the path"],
        "change": Annotated[str, "what became of it"],
        "from": Annotated[str | None, "its name before, if it was renamed"],
        "old": Annotated[Amount | None, "what it was, unless it was added"],
        "new": Annotated[Amount | None, "what it is, unless it was deleted"],
        "files": Annotated[Counts | None, "what changed in a directory; `null` elsewhere, and where it is not known"],
    },
)


class Commit(TypedDict):
    """A part of ``log``."""

    commit: Annotated[str, "the name of the commit"]
    author: Annotated[str, "who made it"]
    date: Annotated[str, "when, as in ISO 8601"]
    subject: Annotated[str, "the first line of its message"]
    changes: Annotated[list[Step], "what it changed of the path that was asked for"]


class Log(TypedDict):
    """Of ``log``."""

    commits: Annotated[list[Commit], "the newest first"]
    lost: Annotated[list[Lost], "what could not be compared"]
    unreadable: Annotated[list[str], "sentences about Pointers that cannot be read"]


# -- moving data -------------------------------------------------------------------------------


class Got(TypedDict):
    """Of ``get``."""

    commit: Annotated[str, "the commit of the other repository"]
    path: Annotated[str, "the path there"]
    out: Annotated[str, "the path here"]
    kind: Annotated[str, "`file` or `dir`"]
    size: Annotated[int, "bytes, of all files together"]
    files: Annotated[int, "the number of files"]


class CheckedOut(TypedDict):
    """Of ``checkout``."""

    changes: Annotated[list[Change], "what changed in the working tree; with `--dry-run` what would"]
    lost: Annotated[list[Lost], "what could not be brought"]
    kept: Annotated[list[str], "paths that are tracked no more and were left: stored nowhere, or in no commit"]
    unreadable: Annotated[list[str], "sentences about Pointers that cannot be read"]


class Transferred(TypedDict):
    """Of ``push`` and ``fetch``."""

    remote: Annotated[str, "the name of the Remote"]
    objects: Annotated[int, "how many objects were moved; with `--dry-run` would be"]
    size: Annotated[int, "bytes of the Packs that hold them"]
    packs: Annotated[int, "how many Packs the Remote, or on the way back the Store, has got; 0 with `--dry-run`"]
    runs: Annotated[int, "how many Runs are new there, or on the way back here; with `--dry-run` would be"]
    lost: Annotated[list[Lost], "what could not be moved"]
    damaged: Annotated[list[str], "addresses of files with Runs on the Remote that are damaged"]
    unreadable: Annotated[list[str], "sentences about Pointers that cannot be read"]


class Pulled(TypedDict):
    """Of ``pull``."""

    fetch: Annotated[Transferred, "as of `mlvc fetch`"]
    checkout: Annotated[CheckedOut, "as of `mlvc checkout`"]


class Resolved(TypedDict):
    """Of ``resolve``."""

    path: Annotated[str, "the tracked path, or `mlvc.lock`"]
    content: Annotated[Content | None, "what the Pointer says now; `null` for `mlvc.lock` and for what went"]
    chosen: Annotated[list[str], "the paths, or Stages, that both sides had changed; all else was merged"]


# -- pipelines ---------------------------------------------------------------------------------


class Output(TypedDict):
    """An output of a Stage."""

    path: Annotated[str, "its path"]
    role: Annotated[str, "the key that names it: `outs`, `metrics` or `plots`"]
    cache: Annotated[bool, "whether its bytes go into the Store"]
    persist: Annotated[bool, "whether the commands find what they made last time"]
    push: Annotated[bool, "whether it is sent to Remotes"]
    remote: Annotated[str, "the one Remote that it goes to; empty for any"]
    desc: Annotated[str, "what is said about it"]
    options: Annotated[dict[str, Any], "other flags: `type`, `labels`, `meta`, and those of plots"]


class Stage(TypedDict):
    """Of ``stage list`` and ``stage show``: a Stage with all templates resolved; paths are from the root."""

    name: Annotated[str, "the name of the Stage"]
    file: Annotated[str, "the file that describes it"]
    line: Annotated[int, "the line of that file in which it begins"]
    group: Annotated[str, "the name of the `foreach` or `matrix` that it came from; empty where it stands there itself"]
    cmd: Annotated[list[str], "its commands"]
    wdir: Annotated[str, "the directory in which they run; empty for the root"]
    deps: Annotated[list[str], "what they read"]
    outs: Annotated[list[str], "what they write"]
    outputs: Annotated[list[Output], "the same, with all flags"]
    params: Annotated[list[str], "the parameters that they depend on"]
    env: Annotated[dict[str, str], "variables that they get with these values"]
    env_through: Annotated[list[str], "names of variables that are let through, and whose values count as inputs"]
    image: Annotated[str, "the container image that they run in; empty for none"]
    each: Annotated[str, "the pattern of the files that they run for; empty for one run"]
    batch: Annotated[int, "with `each`: how many files one command is given; 0 for one without a list"]
    timeout: Annotated[float, "seconds that they may take; 0 for any"]
    retries: Annotated[int, "how often they are tried again"]
    resources: Annotated[dict[str, float], "what they take while they run; memory in bytes"]
    frozen: Annotated[bool, "whether the Stage stays as it is"]
    always_changed: Annotated[bool, "whether it runs every time"]
    skip: Annotated[str, "the condition that does not hold, for which it is left out; empty where there is none"]
    desc: Annotated[str, "what is said about it"]
    meta: Annotated[Any, "what stands at `meta`"]


class Graph(TypedDict):
    """Of ``dag``."""

    stages: Annotated[list[str], "the names of the Stages"]
    edges: Annotated[list[list[str]], "pairs: a Stage, and one that needs what it makes"]


class Decision(TypedDict):
    """Of ``repro --dry-run``."""

    stage: Annotated[str, "the name of the Stage"]
    action: Annotated[str, "what would become of it"]
    reasons: Annotated[list[str], "sentences that say why"]


Event = TypedDict(
    "Event",
    {
        "event": Annotated[str, "what happened"],
        "stage": NotRequired[Annotated[str, "the name of the Stage; of all events but `summary`"]],
        "action": NotRequired[Annotated[str, "of `planned`: what is to become of it"]],
        "reasons": NotRequired[Annotated[list[str], "of `planned`, `started` and `finished`: sentences that say why"]],
        "try": NotRequired[Annotated[int, "of `started`: for the how many-th time"]],
        "second": NotRequired[
            Annotated[bool, "of `started`: `true` where `--check-deterministic` runs it once more; else not there"]
        ],
        "text": NotRequired[Annotated[str, "of `line`: what its commands printed, without the end of the line"]],
        "cause": NotRequired[Annotated[str, "of `waiting`: what it waits for"]],
        "groups": NotRequired[Annotated[list[int], "of `left`: the process groups that still run"]],
        "done": NotRequired[Annotated[int, "of `items`: how many items have come out well"]],
        "failed": NotRequired[Annotated[int, "of `items`: how many have failed"]],
        "total": NotRequired[Annotated[int, "of `items`: how many run in all"]],
        "outcome": NotRequired[Annotated[str, "of `finished`: what became of it"]],
        "seconds": NotRequired[Annotated[float, "of `finished`: how long it took"]],
        "path": NotRequired[
            Annotated[
                str,
                "of `left_out`: the directory that is not kept, or does not count, whole; of `item_failed`: the item",
            ]
        ],
        "how": NotRequired[Annotated[str, "of `item_failed`: what went wrong; it goes on after the name of the item"]],
        "code": NotRequired[
            Annotated[int | None, "of `item_failed`: the exit code, minus the signal that ended it, or `null`"]
        ],
        "role": NotRequired[Annotated[str, "of `left_out`: what it is for the Stage"]],
        "names": NotRequired[Annotated[list[str], "of `left_out`: the first of the paths in it that are left out"]],
        "count": NotRequired[Annotated[int, "of `left_out`: how many there are"]],
        "counts": NotRequired[Annotated[dict[str, int], "of `summary`: how many Stages had each outcome"]],
        "error": NotRequired[Annotated[str | None, "of `summary`: why a Stage failed; `null` where none did"]],
    },
)
"""A line of ``repro``. (One of its keys is a word of Python.)"""


class OutputDifference(TypedDict):
    """A part of ``reproduce``: one thing in an output that is not as it was recorded."""

    change: Annotated[str, "what became of it"]
    file: Annotated[str, "the file in an output that is a directory; else empty"]
    key: Annotated[str, "the dotted key in a file of values; else empty"]
    recorded: Annotated[Any, "what it was: a value, bytes or a kind; `null` for what is new"]
    now: Annotated[Any, "what it is, likewise; `null` for what is gone"]
    offset: Annotated[int | None, "the first byte that differs, counted from 0, where that was looked for"]


class ReproducedOutput(TypedDict):
    """A part of ``reproduce``."""

    path: Annotated[str, "the output"]
    verdict: Annotated[str, "how it came out beside what was recorded"]
    differences: Annotated[list[OutputDifference], "where it differs"]


class ReproducedStage(TypedDict):
    """A part of ``reproduce``."""

    stage: Annotated[str, "the name of the Stage"]
    outcome: Annotated[str, "what became of it"]
    reasons: Annotated[
        list[str], "what the revision has otherwise than its Lockfile says; why the Stage failed or did not run"
    ]
    seconds: Annotated[float, "how long it took"]
    outputs: Annotated[list[ReproducedOutput], "its outputs"]


class Reproduced(TypedDict):
    """Of ``reproduce``."""

    revision: Annotated[str, "the revision as it was typed"]
    commit: Annotated[str, "what it is, in hex"]
    as_recorded: Annotated[bool, "whether something ran, and everything that is recorded came out so"]
    stages: Annotated[list[ReproducedStage], "the Stages that were asked for, in the order of the pipeline"]
    kept: Annotated[str, "the working tree, with `--keep`; else empty"]
    touched: Annotated[list[str], "what changed meanwhile in the user's own working tree"]


class CommandChange(TypedDict):
    """A part of ``why``."""

    old: Annotated[list[str], "the commands of the last Run"]
    new: Annotated[list[str], "the commands now"]


class PathChange(TypedDict):
    """A part of ``why``."""

    path: Annotated[str, "the path"]
    role: Annotated[str, "`dependency` or `output`"]
    state: Annotated[str, "`modified`, `missing`, `new` (not named before) or `dropped` (no longer named)"]
    changes: Annotated[list[Change], "its first 20 files that differ, where they can be told"]
    count: Annotated[int, "how many files differ"]


class ValueChange(TypedDict):
    """A part of ``why``."""

    name: Annotated[str, "the parameter, `FILE:KEY`, or the variable"]
    state: Annotated[str, "`modified`, `new` or `dropped`"]
    old: Annotated[Any, "its value at the last Run; `null` where it had none"]
    new: Annotated[Any, "its value now; `null` where it has none"]


class Why(TypedDict):
    """Of ``why``."""

    stage: Annotated[str, "the name of the Stage"]
    action: Annotated[str, "what would be done for it"]
    reasons: Annotated[list[str], "sentences that say why"]
    waits: Annotated[list[str], "the Stages whose results decide"]
    command: Annotated[CommandChange | None, "the commands, where they changed"]
    paths: Annotated[list[PathChange], "the dependencies and outputs that are not as the last Run had them"]
    params: Annotated[list[ValueChange], "the parameters that have another value"]
    env: Annotated[list[ValueChange], "the variables that count and have another value"]


class KnownRun(TypedDict):
    """Of ``runs list``."""

    key: Annotated[str, "the key of the Run"]
    stages: Annotated[list[str], "the Stages whose Run it is or was, as far as it is known"]
    recorded: Annotated[float | None, "when it was recorded here, in seconds since 1970; `null` if it is from a Remote"]
    seconds: Annotated[float, "how long its commands took"]
    outs: Annotated[list[str], "what it made"]
    here: Annotated[bool, "whether all of that is in the Store"]


class WholeRun(KnownRun):
    """Of ``runs show``."""

    cmd: Annotated[list[str], "the commands"]
    wdir: Annotated[str, "where they ran"]
    deps: Annotated[dict[str, Content], "what it took, by path"]
    params: Annotated[dict[str, dict[str, Any]], "the parameters: by file, then by key"]
    env: Annotated[dict[str, str], "the variables that count"]
    image: Annotated[str | None, "the container image"]
    made: Annotated[dict[str, Content], "what it made, by path"]


class RunLog(TypedDict):
    """Of ``runs log``."""

    stage: Annotated[str, "the name of the Stage"]
    key: Annotated[str, "the first 12 digits of the key"]
    began: Annotated[str, "when it began, in UTC"]
    code: Annotated[int | None, "the exit code; `null` where nobody saw the end"]
    seconds: Annotated[float | None, "how long it took"]
    output: Annotated[str, "what the commands printed"]


class LostAt(TypedDict):
    """A file of which objects cannot be had."""

    path: Annotated[str, "the tracked path"]
    rev: Annotated[str | None, "the revision that names it; `null` is the working tree"]
    reason: Annotated[str, "why it cannot be had"]


class ValueDiff(TypedDict):
    """A part of ``params diff`` and ``metrics diff``."""

    path: Annotated[str, "the file"]
    name: Annotated[str, "the dotted name of the value; empty where the file is nothing else"]
    old: NotRequired[Annotated[Any, "what it was, if it was there"]]
    new: NotRequired[Annotated[Any, "what it is, if it is there"]]
    change: NotRequired[Annotated[Any, "how much more it is, where both are numbers"]]


class ValuesDiff(TypedDict):
    """Of ``params diff`` and ``metrics diff``."""

    old: Annotated[str, "the first revision"]
    new: Annotated[str | None, "the second one; `null` is the working tree"]
    changes: Annotated[list[ValueDiff], "value by value"]
    lost: Annotated[list[LostAt], "files that could not be read, as the Store lacks them"]
    unreadable: Annotated[list[str], "sentences about files that cannot be read"]


class Figures(TypedDict):
    """A part of ``metrics show``."""

    rev: Annotated[str | None, "the revision, as it was asked for; `null` is the working tree"]
    commit: Annotated[str | None, "the commit that it is"]
    files: Annotated[dict[str, Any], "what each file says, by path"]
    absent: Annotated[list[str], "files that are named and not there"]


class Metrics(TypedDict):
    """Of ``metrics show``."""

    revisions: Annotated[list[Figures], "the metrics of each revision"]
    lost: Annotated[list[LostAt], "files that could not be read, as the Store lacks them"]
    unreadable: Annotated[list[str], "sentences about files that cannot be read"]


class Image(TypedDict):
    """A part of ``plots show`` and ``plots diff``."""

    rev: Annotated[str | None, "the revision; `null` is the working tree"]
    path: Annotated[str, "the image"]
    size: Annotated[int, "bytes"]


class Plot(TypedDict):
    """A part of ``plots show`` and ``plots diff``."""

    id: Annotated[str, "its name, or the path of its data"]
    revisions: Annotated[list[str], "the revisions of which there are data, as the drawing calls them"]
    spec: NotRequired[Annotated[dict[str, Any], "the Vega-Lite specification with its data; an image has none"]]
    images: NotRequired[Annotated[list[Image], "the images, of each revision one"]]
    notes: Annotated[list[str], "sentences about what is not in it"]


class Plots(TypedDict):
    """Of ``plots show`` and ``plots diff``."""

    plots: Annotated[list[Plot], "the plots"]
    left: Annotated[int, "how many more plots there are; at most 300 are drawn"]
    lost: Annotated[list[LostAt], "files that could not be read, as the Store lacks them"]
    unreadable: Annotated[list[str], "sentences about plots that cannot be drawn, and files that cannot be read"]


# -- looking after it --------------------------------------------------------------------------


class Facts(TypedDict, total=False):
    """A part of ``doctor``."""

    root: Annotated[str, "the root"]
    git_dir: Annotated[str, "the Git directory"]
    hash: Annotated[str, "the hash algorithm"]
    store: Annotated[str, "the directory of the Store"]
    packs: Annotated[int, "the number of Packs in it"]
    packs_size: Annotated[int, "their bytes"]
    loose: Annotated[int, "the number of large objects that are kept whole"]
    loose_size: Annotated[int, "their bytes"]
    quarantine: Annotated[int, "the number of damaged files that were set aside"]
    quarantine_size: Annotated[int, "their bytes"]


class Place(TypedDict):
    """A part of ``doctor``."""

    path: Annotated[str, "the directory"]
    kind: Annotated[str, "the kind of the file system; empty if it is not known"]
    free: Annotated[int, "bytes that are free"]
    case_sensitive: Annotated[bool, "whether `a` and `A` are two files"]


class Reached(TypedDict):
    """A part of ``doctor``."""

    name: Annotated[str, "the name of the Remote"]
    url: Annotated[str, "its directory or URL"]
    reachable: Annotated[bool, "whether it answered"]
    seconds: Annotated[float, "after how long"]
    empty: Annotated[bool, "whether nothing was pushed there yet"]


class Finding(TypedDict):
    """A part of ``doctor``."""

    level: Annotated[str, "how bad it is"]
    message: Annotated[str, "what it is"]
    hint: Annotated[str, "what to do; may be empty"]


class Report(TypedDict):
    """Of ``doctor``. Where there is no repository, only the first two and the last key have something to tell."""

    broken: Annotated[bool, "whether something does not work"]
    versions: Annotated[dict[str, str], "the versions of mlvc, Python, Git and libraries, by name"]
    repository: Annotated[Facts, "the repository and its Store; empty where there is none"]
    file_systems: Annotated[list[Place], "where the Store and the working tree are"]
    links: Annotated[dict[str, bool], "for each way to link, whether it works here"]
    remotes: Annotated[list[Reached], "the Remotes"]
    hooks: Annotated[dict[str, str], "for each hook of mlvc that stands there, which mlvc it calls"]
    drivers: Annotated[str | None, "likewise for merges and `git diff`; `null` where they are not set up"]
    findings: Annotated[list[Finding], "what a person should know, the worst first"]


class Collected(TypedDict):
    """Of ``gc``: what it did; with ``--dry-run`` what it would do."""

    objects: Annotated[int, "how many objects go to the trash"]
    size: Annotated[int, "their bytes"]
    packs: Annotated[int, "how many Packs go, with all that is in them"]
    rewritten: Annotated[int, "how many Packs are written anew without what goes"]
    loose: Annotated[int, "how many objects go that are kept whole"]
    runs: Annotated[int, "how many Runs go"]
    aside: Annotated[int, "with `--aside`, how many things go that were set aside or quarantined"]
    left: Annotated[int, "how many things stay that were set aside or quarantined"]
    left_size: Annotated[int, "their bytes"]
    young: Annotated[int, "how many objects stay only because they have just been stored"]
    put_back: Annotated[int, "how many files come back from the trash, because something needs them"]
    deleted: Annotated[int, "bytes that are deleted from the trash"]
    damaged: Annotated[list[str], "Packs that stay, because they do not hash to their name"]


class PutBack(TypedDict):
    """Of ``gc --restore``."""

    put_back: Annotated[int, "how many files came back from the trash"]


class DamagedFile(TypedDict):
    """A part of ``fsck``."""

    file: Annotated[str, "the file of the Store"]
    reason: Annotated[str, "what is wrong with it"]


class Unavailable(TypedDict):
    """A part of ``fsck``."""

    path: Annotated[str, "the tracked path, or the file in it"]
    reason: Annotated[str, "why it cannot be had"]
    named_by: Annotated[str, "the Pointer or the commit that names it"]


class Verified(TypedDict):
    """Of ``fsck``."""

    objects: Annotated[int, "how many objects of the Store were read"]
    size: Annotated[int, "their bytes"]
    damaged: Annotated[list[DamagedFile], "damaged files of the Store"]
    records: Annotated[list[DamagedFile], "records of Runs that count for nothing; with `--repair` they were set aside"]
    uncatalogued: Annotated[list[str], "Packs about which the Catalog was wrong; it is corrected"]
    missing: Annotated[list[Unavailable], "what is tracked, or made by Runs, and cannot be had; after a `--repair`"]
    unreadable: Annotated[list[str], "sentences about Pointers that cannot be read"]
    repaired: Annotated[bool, "whether `--repair` was given"]
    fetched: Annotated[int, "how many objects came from a Remote"]


class Destroyed(TypedDict):
    """Of ``destroy``."""

    removed: Annotated[list[str], "files and directories that go; with `--dry-run` that would"]
    size: Annotated[int, "bytes in the Git directory"]
    links: Annotated[int, "how many links into the Store become files"]
    alone: Annotated[int, "how many objects are neither files here nor on a Remote"]


PRINTED: dict[str, Any] = {
    "init": Initialised,
    "config": dict[str, Any],
    "config --show-origin": dict[str, Setting],
    "remote list": list[NamedRemote],
    "remote default": DefaultRemote,
    "add": list[Tracked],
    "commit": list[Tracked],
    "move": Moved,
    "remove": Removed,
    "unprotect": Unprotected,
    "status": Status,
    "diff": Difference,
    "ls": Listing,
    "du": Usage,
    "log": Log,
    "get": Got,
    "check-ignore": list[Ignored],
    "checkout": CheckedOut,
    "push": Transferred,
    "fetch": Transferred,
    "pull": Pulled,
    "install": Installed,
    "resolve": list[Resolved],
    "repro": Iterator[Event],
    "repro --dry-run": list[Decision],
    "reproduce": Reproduced,
    "stage list": list[Stage],
    "stage show": list[Stage],
    "dag": Graph,
    "why": Why,
    "runs list": list[KnownRun],
    "runs show": WholeRun,
    "runs log": RunLog,
    "params diff": ValuesDiff,
    "metrics show": Metrics,
    "metrics diff": ValuesDiff,
    "plots show": Plots,
    "plots diff": Plots,
    "doctor": Report,
    "gc": Collected,
    "gc --restore": PutBack,
    "fsck": Verified,
    "destroy": Destroyed,
}
"""What each command prints, by its name and, where that makes it something else, an option.

Of an Iterator, each stands on a line.
"""
