"""One attempt to run the commands of a Stage: its log, the directories that are its own, what they left there."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlvc.errors import MlvcError, PipelineError
from mlvc.oid import Oid
from mlvc.pipeline import isolation as isolations
from mlvc.pipeline import logs, where
from mlvc.pipeline.claims import NOBODY, Claim
from mlvc.pipeline.executors.base import Ended, Job
from mlvc.pipeline.plan import Decision
from mlvc.pipeline.run import Inputs
from mlvc.pipeline.spec import Stage
from mlvc.pipeline.told import Printed, Started
from mlvc.pipeline.tools import Options, Tools
from mlvc.pointer import Content

_SHOWN = 1 << 16
"""Bytes of what a command printed last in which names are looked for."""


@dataclass(slots=True)
class Attempt:
    """A Stage whose commands run, or have run and are not yet taken in."""

    stage: Stage
    decision: Decision
    before: Inputs
    key: Oid
    claim: Claim = NOBODY
    """What the commands are to hold."""
    log: int = -1
    """The open file of its log."""
    path: str = ""
    tries: int = 0
    since: float = 0.0
    seconds: float = 0.0
    place: str = ""
    """The directory of its own that its commands run in, '' for the working tree."""
    second: str = ""
    """The one for the second time that they run."""
    repeats: bool = False
    """Whether that is now."""

    def begin(self, tools: Tools) -> None:
        """Open the log where it is not open, and tell that the commands begin."""
        stage = self.stage
        if tools.logs is not None and self.log < 0:
            self.log, self.path = tools.logs.create(stage.name, self.key, stage.cmd, stage.wdir)
        self.tries += 1
        self.since = time.monotonic()
        self.tell(tools)

    def tell(self, tools: Tools) -> None:
        """Tell that the commands begin."""
        of = 1 if self.stage.each else self.stage.retries + 1
        told = Started(self.stage.name, self.decision.reasons, self.tries, of, self.path, second=self.repeats)
        tools.listener(told)

    def isolate(self, tools: Tools, options: Options) -> None:
        """Make the directories in which the commands are to run, where that is not the working tree."""
        isolation = tools.isolation
        if isolation is None:
            return
        if self.place:
            isolation.remove(self.place)
        if options.isolated:
            self.place = isolation.make(self.stage)
        if options.check_deterministic and not self.second:
            self.second = isolation.make(self.stage)  # before the first time: that may write where it reads

    def discard(self, tools: Tools) -> None:
        """Remove the directories in which the commands ran."""
        for place in (self.place, self.second):
            if place and tools.isolation is not None:
                tools.isolation.remove(place)

    def leave(self, tools: Tools, *, good: bool) -> str:
        """Bring what was made in a directory of its own to the working tree. An input that was written to, or ''."""
        isolation, place = tools.isolation, self.place
        if isolation is None or not place:
            return ""
        self.place = ""
        try:
            written = isolation.written(place) if good else ""
            # Of what persists, the last good version stays where the commands did not end well.
            made = [out.path for out in self.stage.outs if not out.persist or (good and not written)]
            tools.tree.remove(made)
            isolation.bring_back(place, made)
            return written
        finally:
            isolation.remove(place)

    def explained(self, tools: Tools, error: MlvcError) -> MlvcError:
        """The error of commands that failed, with what they lacked where they found only what is declared."""
        isolation, place = tools.isolation, self.place
        if isolation is None or not place:
            return error
        text = logs.read(self.path).output[-_SHOWN:].decode(errors="replace") if self.path else ""
        names = isolations.undeclared(self.stage, text, place, isolation.exists)
        if not self.repeats:
            self.leave(tools, good=False)
        return type(error)(error.message, hint=isolations.hint(names, again=self.repeats))

    def environment(self, root: str, tools: Tools) -> dict[str, str]:
        """What the commands get: who they are, under the names of DVC too, and what the Stage names."""
        names = ("MLVC", "DVC")
        who = {f"{name}_STAGE": self.stage.name for name in names} | {f"{name}_ROOT": root for name in names}
        apart = _no_repository(root, tools.env) if root != tools.root else {}
        return {**who, **apart, **self.stage.env}

    def job(self, tools: Tools, place: str = "") -> Job:
        """What the Executor is to run. ``place``: the directory of commands that have one of their own.

        PipelineError where the directory is not there in which they are to run.
        """
        stage, listener = self.stage, tools.listener
        root = place or self.place or tools.root
        directory = os.path.join(root, stage.wdir)
        if stage.wdir and not os.path.isdir(directory):
            raise PipelineError(
                f"{where.of_key(stage, 'wdir')}: stage '{stage.name}': the working directory '{stage.wdir}' "
                + ("is not a directory" if os.path.lexists(directory) else "is not there"),
                hint="make it, or correct 'wdir'",
            )
        return Job(
            stage.name,
            stage.cmd,
            directory,
            env=self.environment(root, tools),
            timeout=stage.timeout,
            image=stage.image_id or stage.image,
            root=root,
            through=stage.env_through,
            output=self.log,
            claim=self.claim,
            hear=(lambda data: listener(Printed(stage.name, data))) if tools.hears else None,
        )

    def close(self, ended: Ended | None) -> None:
        """End the log of a Stage whose commands have ended."""
        if ended is not None:
            self.note_end(ended.code, ended.seconds)
        if self.log >= 0:
            os.close(self.log)
            self.log = -1

    def note_end(self, code: int, seconds: float) -> None:
        """Write into the log how it ended."""
        if self.log >= 0:
            with contextlib.suppress(OSError):  # a full disk; what counts is elsewhere
                logs.ended(self.log, code, seconds)


def _no_repository(place: str, env: Mapping[str, str]) -> dict[str, str]:
    """Variables by which Git finds no repository from the directory ``place`` up.

    It lies in a Git directory, and a commit or a tag that a command asks for is an input that nobody declared. Where
    the environment names a repository, as in a hook, one that is not there is named in its place.
    """
    above = [os.path.dirname(place), *filter(None, [env.get(_CEILING)])]
    named = {"GIT_DIR": os.path.join(place, ".git")} if "GIT_DIR" in env else {}
    return {_CEILING: os.pathsep.join(above), **named}


_CEILING = "GIT_CEILING_DIRECTORIES"


@dataclass(frozen=True, slots=True)
class Over:
    """An Attempt that has come to its end: why it failed, or what is to be taken in."""

    attempt: Attempt
    error: MlvcError | None = None
    outs: Mapping[str, Content] = field(default_factory=dict)
    """Of a Stage with ``each``: its output, which is stored and stands in the working tree."""
    items: Content | None = None
    """Of such a Stage: the table of its items."""
    left_out: Sequence[str] = ()
    """Of such a Stage: what its items wrote and is no part of the output."""
