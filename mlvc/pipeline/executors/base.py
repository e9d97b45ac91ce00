"""What an Executor is: it runs what it is given, and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mlvc.pipeline.claims import NOBODY, Claim


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Commands to be run one after another; the first that fails is the last."""

    stage: str
    commands: tuple[str, ...]
    directory: str
    """Where they run, absolute."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that they get on top of the environment of the Executor."""
    timeout: float = 0.0
    """Seconds for all of them together; 0 for as long as they like."""
    image: str = ""
    """The image of the container that they run in; '' for none."""
    root: str = ""
    """Of a container: the directory that it sees."""
    mounts: tuple[str, ...] = ()
    """Of a container: other directories that it sees."""
    through: tuple[str, ...] = ()
    """Of a container: the variables of the Executor's environment that it has, too."""
    output: int = -1
    """An open file to which they append all that they print, and that can be read; -1 for nowhere."""
    claim: Claim = NOBODY
    """What they hold as long as they run."""
    hear: Callable[[bytes], object] | None = None
    """Gets what they print, in pieces and soon, in another thread; all of it before the end is posted."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a Job ended. ``command`` is the last one that was started."""

    job: Job
    code: int = 0
    """0 when all went well; negative: the signal that ended it."""
    command: str = ""
    seconds: float = 0.0
    timed_out: bool = False
    fault: Exception | None = None
    """What kept a command from being started."""
    left: tuple[int, ...] = ()
    """The process groups of commands that have ended, of which something still runs in the background."""


Post = Callable[[Ended], object]


class Executor(Protocol):
    """Where commands run."""

    def start(self, job: Job, post: Post) -> None:
        """Begin ``job``, and return. ``post`` is called once, in another thread, when it has ended.

        PipelineError, and nothing is begun, where its directory is not there.
        """

    def stop(self) -> None:
        """End all that runs, first gently. On return no process of it is left; of each Job the end was posted."""
