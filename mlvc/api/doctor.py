"""``doctor``: what mlvc runs on, what works here, what is slow, and what is wrong. It changes nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata

import mlvc
from mlvc import __version__, files, git, snapshot
from mlvc.api import install
from mlvc.api.install import Calling
from mlvc.api.remotes import open_remote
from mlvc.errors import MlvcError, SystemFailureError
from mlvc.repo import Repo
from mlvc.snapshot import Snapshot
from mlvc.workspace.link import COPY, tried

BROKEN, SLOW, NOTE = "broken", "slow", "note"
_LIBRARIES = (
    "GitPython",
    "PyYAML",
    "blake3",
    "fsspec",
    "pathspec",
    "pyfastcdc",
    "rich",
    "typer",
    "xxhash",
    "zstandard",
)
_PACKAGE = os.path.dirname(os.path.abspath(mlvc.__file__))
_OLDEST_GIT = (2, 31)
_NETWORK = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "ceph", "lustre", "gluster", "afs")
_MANY_POINTERS, _MANY_PACKS, _SMALL_PACK, _MANY_FILES = 5_000, 200, 1 << 20, 50_000
_SKEW = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know: ``broken``, ``slow`` or a ``note``, with what to do."""

    level: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A directory and what it is on. ``kind`` is '' where that is not known; sizes in bytes."""

    path: str
    kind: str
    free: int
    case_sensitive: bool


@dataclass(frozen=True, slots=True)
class Reached:
    """One Remote: whether it answered, after how many seconds, and whether something was pushed there."""

    name: str
    url: str
    reachable: bool
    seconds: float
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """All that ``doctor`` found. The parts of a repository are empty where there is none."""

    versions: Mapping[str, str]
    repository: Mapping[str, str | int] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    links: Mapping[str, bool] = field(default_factory=dict)
    remotes: tuple[Reached, ...] = ()
    calling: Calling | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether something does not work."""
        return any(finding.level == BROKEN for finding in self.findings)


def without_repository(error: MlvcError) -> Report:
    """What can be told where no repository could be opened."""
    versions, findings = _versions()
    return Report(versions, findings=(*findings, Finding(BROKEN, error.message, error.hint)))


def doctor(repo: Repo) -> Report:
    """Look at everything. Each Remote is asked; files are made in temporary folders only."""
    versions, findings = _versions()
    is_known = os.path.exists(os.path.join(repo.git.own, "index.sqlite"))  # before it is opened, and made
    now = snapshot.on_disk(repo.git)
    there = os.path.exists(os.path.join(repo.store_place, "format"))
    facts = {
        "root": repo.root,
        "git_dir": repo.git.dir,
        "hash": repo.config.get("core.hash"),
        "store": repo.store_place,
        **_sizes(repo.store_place),
    }
    places, links, more = _tried(repo) if there else ((), {}, [])
    findings += more
    if not there:
        findings.append(Finding(NOTE, "there is no store yet", "the first `mlvc add` or `mlvc fetch` makes it"))
    remotes, more = _remotes(repo)
    called = install.calling(repo, python=os.path.abspath(sys.executable), package=_PACKAGE)
    findings += [*more, *_settings(repo), *_content(repo, now), *_called(called)]
    findings += [*_slow(facts, places), *_slow_tree(repo, len(now.pointers), is_known=is_known)]
    order = (BROKEN, SLOW, NOTE)
    findings.sort(key=lambda finding: order.index(finding.level))
    return Report(versions, facts, places, links, remotes, called, tuple(findings))


# -- versions ----------------------------------------------------------------------------------


def _versions() -> tuple[dict[str, str], list[Finding]]:
    found = {"mlvc": __version__, "python": sys.version.split()[0], "platform": sys.platform}
    findings = []
    try:
        found["git"] = git.version()
        if tuple(int(part) for part in found["git"].split(".")[:2] if part.isdigit()) < _OLDEST_GIT:
            findings.append(Finding(BROKEN, f"Git {found['git']} is too old", "mlvc needs Git 2.31 or newer"))
    except SystemFailureError as error:
        findings.append(Finding(BROKEN, error.message, error.hint))
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            findings.append(Finding(BROKEN, f"the package {name} is not installed", f"pip install {name}"))
    return found, findings


# -- the machine -------------------------------------------------------------------------------


def _tried(repo: Repo) -> tuple[tuple[Place, ...], dict[str, bool], list[Finding]]:
    """The file systems of Store and working tree, and the ways of linking that work between them."""
    findings = []
    scratch = repo.store.scratch
    inside = scratch.name()
    os.mkdir(inside)
    beside = repo.tree.beside(repo.root)
    os.mkdir(beside)
    try:
        places = tuple(
            Place(path, files.file_system(path), files.free(path), files.is_case_sensitive(where))
            for path, where in ((repo.store_place, inside), (repo.root, beside))
        )
        links = tried(inside, beside)
        skew = abs(files.clock(beside) - time.time_ns())
        if skew > _SKEW:
            findings.append(
                Finding(NOTE, f"the clock of the file system is {skew / 1e9:.0f} s off", "set the clocks right")
            )
    finally:
        files.remove_tree(inside)
        files.remove_tree(beside)
    if not any(links.get(link, link == COPY) for link in repo.links):
        findings.append(
            Finding(
                SLOW,
                f"none of core.link works here: {', '.join(repo.links)}",
                "large files are copied; `mlvc config --private core.link` sets what works",
            )
        )
    return places, links, findings


def _sizes(place: str) -> dict[str, int]:
    """Packs, loose objects and what lies in quarantine, with their bytes."""
    found: dict[str, int] = {}
    for name in ("packs", "loose", "quarantine"):
        sizes = [
            os.lstat(os.path.join(top, file)).st_size for top, _, names in os.walk(f"{place}/{name}") for file in names
        ]
        found |= {name: len(sizes), f"{name}_size": sum(sizes)}
    return found


# -- Remotes and settings ----------------------------------------------------------------------


def _remotes(repo: Repo) -> tuple[tuple[Reached, ...], list[Finding]]:
    found, findings = [], []
    for name, url in repo.config.remotes.items():
        began = time.monotonic()
        is_new = False
        try:
            remote = open_remote(repo, name)
            try:
                remote.begin()
                is_new = remote.is_new
            finally:
                remote.close()
            reachable = True
        except MlvcError as error:
            reachable = False
            findings.append(Finding(BROKEN, error.message, error.hint))
        found.append(Reached(name, url, reachable, round(time.monotonic() - began, 3), is_new))
    return tuple(found), findings


def _settings(repo: Repo) -> Iterable[Finding]:
    config = repo.config
    default = config.get("core.remote")
    if default and default not in config.remotes:
        yield Finding(BROKEN, f"core.remote is '{default}', and there is no such remote", "`mlvc remote default NAME`")
    for path, name in config.unknown:
        yield Finding(NOTE, f"{path} has a setting '{name}' that this mlvc does not know", "a slip, or of a newer mlvc")
    for level, path, name in config.shadowed:
        winner = config.origins[name]
        yield Finding(NOTE, f"{name} of level {level} in {path} is overridden by level {winner[0]} in {winner[1]}")


# -- the repository ----------------------------------------------------------------------------


def _content(repo: Repo, now: Snapshot) -> Iterable[Finding]:
    """What of the record cannot be read, and what was left half done."""
    for error in now.unreadable.values():
        yield Finding(BROKEN, error.message, error.hint)
    if os.path.exists(os.path.join(repo.git.own, "moving")):
        yield Finding(NOTE, "a `mlvc move` was interrupted", "run the same command again, or `mlvc checkout`")


def _called(called: Calling) -> Iterable[Finding]:
    """What is wrong with the mlvc that Git calls."""
    again = "`mlvc install` has Git call this mlvc"
    states = {*called.hooks.values(), called.drivers}
    others = ", ".join(called.pythons)
    if install.GONE in states:
        yield Finding(BROKEN, f"Git calls an mlvc that is gone or was moved: {others}", again)
    if install.ANOTHER in states:
        yield Finding(NOTE, f"Git calls another mlvc than this one: {others}", again)
    idle = [name for name, state in called.hooks.items() if state == install.IDLE]
    if idle:
        yield Finding(BROKEN, f"Git does not run {', '.join(idle)}: not executable", again)
    replaced = [name for name, state in called.hooks.items() if state == install.REPLACED]
    if replaced:
        yield Finding(NOTE, f"{', '.join(replaced)} was replaced since `mlvc install` wrote it", again)
    if called.attributes and not called.drivers:
        what = "Git merges Pointers as text in this clone: .gitattributes names a merge driver that is not set up"
        yield Finding(NOTE, what, "`mlvc install` sets it up, and the hooks")
    if called.drivers and not called.attributes:
        yield Finding(NOTE, "Git merges Pointers as text: .gitattributes does not name the merge driver", again)


def _slow(facts: Mapping[str, str | int], places: Iterable[Place]) -> Iterable[Finding]:
    for place in places:
        if place.kind.startswith(_NETWORK):
            yield Finding(
                SLOW, f"{place.path} is on a network file system ({place.kind})", "store.dir may be on a local disk"
            )
    packs, size, damaged = (int(facts[name]) for name in ("packs", "packs_size", "quarantine"))
    if packs > _MANY_PACKS and size < packs * _SMALL_PACK:
        yield Finding(SLOW, f"the store has {packs:,} small Packs", "one `mlvc add` of many paths makes fewer")
    if damaged:
        yield Finding(
            NOTE,
            f"{damaged:,} damaged files are in quarantine",
            "`mlvc status` tells what is missing, `mlvc fetch` brings it again",
        )


def _slow_tree(repo: Repo, pointers: int, *, is_known: bool) -> Iterable[Finding]:
    if pointers and not is_known:
        yield Finding(SLOW, "the Index was not there: the next command reads all data once", "`mlvc status` fills it")
    if pointers > _MANY_POINTERS:
        yield Finding(SLOW, f"there are {pointers:,} Pointers", "track directories rather than single files")
    known = git.settings(repo.git, ("core.fsmonitor", "core.untrackedcache"))
    if not known and git.count(repo.git) > _MANY_FILES:
        yield Finding(
            SLOW,
            "Git itself has many files, and looks at each of them",
            "`git config core.untrackedCache true`, and `git config core.fsmonitor true` where it works",
        )
