"""What reproduction works with, what was asked of it, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from mlvc.errors import MlvcError
from mlvc.hashing import Hashing
from mlvc.oid import Oid
from mlvc.pipeline.claims import NOBODY, Claims
from mlvc.pipeline.executors.base import Executor
from mlvc.pipeline.isolation import Isolation
from mlvc.pipeline.items import ItemTree
from mlvc.pipeline.lockfile import Entry, Lockfile
from mlvc.pipeline.logs import Logs
from mlvc.pipeline.params import ParamFiles
from mlvc.pipeline.plan import Decision
from mlvc.pipeline.run import Run
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.tables import Tables
from mlvc.pipeline.told import Left, Listener, StageResult
from mlvc.pointer import Content
from mlvc.progress import Progress


class Tree(Protocol):
    """The working tree, as reproduction needs it. All paths are relative to the repository."""

    def identify(self, paths: Sequence[str]) -> dict[str, Content | None]:
        """The content on disk now of each of ``paths``; None where nothing is there."""

    def left_out(self, path: str) -> Sequence[str]:
        """What was no part of ``path``, a directory, although it lay there, when that was last looked at."""

    def fits(self, contents: Mapping[str, Content]) -> bool:
        """Whether nothing in what is to stand at each path has a name that is left out there, see ``left_out``."""

    def leading(self, path: str, outs: Collection[str]) -> Sequence[str]:
        """The links in the directory ``path``, as it was last looked at, that lead out of it to something else.

        So do links in what these lead to. None that leads around the directory, or to what overlaps ``outs``.
        """

    def store(self, paths: Sequence[str]) -> dict[str, Content]:
        """The content of each of ``paths``, durable in the Store on return; without those where nothing is."""

    def restore(self, contents: Mapping[str, Content]) -> None:
        """Bring each path to its content. WouldOverwriteError before anything is lost that is not stored."""

    def available(self, contents: Iterable[Content]) -> bool:
        """Whether every object of all of ``contents`` can be had here."""

    def why(self, content: Content) -> str:
        """Why ``content`` was not available on the Remotes that were asked; '' where none was, or where it was."""

    def ready(self, deps: Sequence[str], outs: Sequence[str]) -> None:
        """A command is about to run: bring those of ``deps`` that were only taken to be there.

        The directories that ``outs`` lie in are there afterwards. From now on ``outs`` are what stands on the disk.
        ObjectsMissingError or DamagedError where one cannot be had.
        """

    def remove(self, paths: Sequence[str]) -> None:
        """Take ``paths`` out of the way. What is not stored is kept aside, not deleted; missing ones are no error."""

    def set_aside(self, paths: Sequence[str]) -> str:
        """Move what a command that failed left at ``paths`` out of the working tree. Where to; '' where nothing was."""


def with_links(stage: Stage, tree: Tree) -> Stage:
    """The Stage, which depends on what links lead to out of its dependencies, too; ``tree`` has looked at these."""
    outs = [out.path for out in stage.outs]
    found = [link for path in stage.deps for link in tree.leading(path, outs)]
    links = tuple(path for path in dict.fromkeys(found) if path not in stage.deps)
    return replace(stage, deps=(*stage.deps, *links), links=links) if links else stage


class Records(Protocol):
    """Where the Lockfile lies."""

    def load(self) -> Lockfile:
        """The Lockfile, an empty one where there is none."""

    def change(self, entries: Mapping[str, Entry | None], *, durable: bool = True) -> Lockfile:
        """Put ``entries`` in, in one step, and take out those that are None. The Lockfile as it is then."""


class Runs(Protocol):
    """The run cache."""

    def lookup(self, key: Oid) -> Run | None:
        """The Run of ``key``, None where none is known."""

    def put(self, run: Run) -> None:
        """Record ``run``."""


class Unstored(Runs, Protocol):
    """Runs until they are recorded."""

    def forget(self, key: Oid) -> None:
        """Know nothing of ``key`` any more."""


def _silence(_event: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Tools:
    """All that reproduction works with."""

    tree: Tree
    records: Records
    runs: Runs
    executor: Executor
    params: ParamFiles
    hashing: Hashing
    progress: Progress
    root: str = ""
    """The directory that all paths are relative to."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The environment that mlvc runs in."""
    claims: Claims = NOBODY
    logs: Logs | None = None
    """Where what the commands print is kept; without, it goes nowhere."""
    check_image: Callable[[str, str], object] = lambda _image, _id: None
    """The error that tells why nothing can run with this image, nor with the id that counts for it."""
    isolation: Isolation | None = None
    """Makes directories for Stages that run in one of their own."""
    unstored: Unstored | None = None
    """Runs whose outputs stand in the working tree and are not stored."""
    listener: Listener = _silence
    hears: bool = True
    """Whether the listener wants to know what the commands print."""
    ask: Callable[[Decision], bool] | None = None
    """Whether a Stage is to run; without, nobody is asked."""
    advice: str = ""
    """What to say, once, where a Stage runs although what it makes is recorded."""
    items: ItemTree | None = None
    """For Stages with ``each``; without it and the next there can be none."""
    tables: Tables | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    targets: tuple[str, ...] = ()
    """Stages or outputs; without any, all."""
    single: bool = False
    """Only the targets, without what they need."""
    downstream: bool = False
    """The targets and what follows from them."""
    elsewhere: tuple[str, ...] = ()
    """How the names of Stages begin that are described where nobody can look; what is recorded of them stays."""
    force: bool = False
    """Run them all, whatever is known."""
    keep_going: bool = False
    run_cache: bool = True
    """Whether Runs that were recorded before count."""
    pull: bool = False
    """Whether Remotes are asked for Runs, and for outputs and dependencies that are recorded and not here."""
    remote: str = ""
    """Which Remote is asked first; the default one without."""
    allow_missing: bool = False
    """Whether what is recorded and not here is taken to be as it is recorded."""
    force_downstream: bool = False
    """Run the targets, and whatever follows from them or from another Stage that ran, whatever is known."""
    commit: bool = True
    """Whether what is made is stored and recorded."""
    isolated: bool = False
    """Whether commands run where only what their Stage declares is."""
    check_deterministic: bool = False
    """Whether each Stage that runs does so a second time, which has to make the same."""
    explain: bool = True
    """Whether it is told why a Stage runs: not where all of them have to."""
    jobs: int = 1
    """How many Stages may run at the same time."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """What all running Stages together may take; what is not in here is not limited."""


@dataclass(frozen=True, slots=True)
class ReproResult:
    """What came of all Stages that it came to, in the order in which they were done."""

    stages: tuple[StageResult, ...]
    cached: tuple[str, ...]
    """Outputs of those Stages that did not fail whose bytes are in the Store, so that Git should ignore them."""
    errors: tuple[MlvcError, ...] = ()
    """Why Stages failed: StageFailedError for a command, in the order of ``stages``."""
    record: tuple[str, ...] = ()
    """What is to be recorded in Git afterwards."""
    left: tuple[Left, ...] = ()
    """What Stages left in the background; it may still write to their outputs."""

    @property
    def error(self) -> MlvcError | None:
        """The one error that ends a command: the first, with the names of the other Stages that failed."""
        if not self.errors:
            return None
        first = self.errors[0]
        others = [stage.stage for stage in self.stages if stage.outcome == "failed"][1:]
        if not others:
            return first
        return type(first)(f"{first.message} (failed too: {', '.join(others)})", hint=first.hint)
