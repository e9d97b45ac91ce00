"""An Executor that runs a Job with an image in a container, and any other one as it is.

The name of each container stands in a file that mlvc holds while the container is there. What a killed mlvc left is
found by that: a file that nobody holds.
"""

from __future__ import annotations

import itertools
import os
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mlvc import files
from mlvc.errors import MlvcError
from mlvc.pipeline.executors import container
from mlvc.pipeline.executors.base import Ended, Executor, Job, Post, Slow
from mlvc.pipeline.executors.container import Engine


@dataclass
class Containers:
    """The engine of this machine, asked for when it is first needed, and the images on it."""

    env: Mapping[str, str]
    wanted: str = ""
    """The engine that the settings name."""
    extra: Sequence[str] = ()
    _ids: dict[str, str] = field(default_factory=dict)
    _why: dict[str, MlvcError] = field(default_factory=dict)

    @cached_property
    def _found(self) -> Engine | MlvcError:
        try:
            return container.find(self.env, self.wanted, self.extra)
        except MlvcError as error:
            return error

    @property
    def engine(self) -> Engine:
        """The engine; PipelineError where there is none."""
        if isinstance(self._found, MlvcError):
            raise self._found
        return self._found

    def identify(self, image: str, *, pull: bool) -> str | None:
        """The id of an image, '' where it is not here; None where there is no engine to ask.

        ``pull``: it is fetched first where it is not here; where that fails ``check`` tells why.
        """
        if isinstance(self._found, MlvcError):
            return None
        if not self._ids.get(image) and image not in self._why:
            try:
                self._ids[image] = (self._found.pull(image) if pull else self._found.image(image)) or ""
            except MlvcError as error:
                self._why[image] = error
        return self._ids.get(image, "")

    def check(self, image: str, id_: str = "") -> None:
        """The error that tells why a container with ``image`` cannot be run, nor one with its recorded ``id_``."""
        if isinstance(self._found, MlvcError):
            raise self._found
        if image in self._why and not (id_ and self.identify(id_, pull=False)):
            raise self._why[image]


@dataclass
class Contained:
    """See Executor."""

    inner: Executor
    containers: Containers
    names: str
    """The directory for the files with the names of containers."""
    mounts: Sequence[str] = ()
    """What commands in a container see besides the directories of their Job, because links lead there."""
    _count: itertools.count[int] = field(default_factory=itertools.count)
    _held: dict[str, int] = field(default_factory=dict)
    _exclusive: threading.Lock = field(default_factory=threading.Lock)

    def start(self, job: Job, post: Post) -> None:
        """See Executor; PipelineError where a container cannot be run."""
        if not job.image:
            self.inner.start(job, post)
            return
        engine = self.containers.engine
        image = self.containers.identify(job.image, pull=True) or job.image
        self.containers.check(job.image)
        name = f"mlvc-{os.getpid()}-{next(self._count)}-{os.urandom(4).hex()}"
        argv = engine.argv(
            job.commands,
            image=image,
            name=name,
            root=job.root,
            directory=job.directory,
            env=job.env,
            through=job.through,
            mounts=(*self.mounts, *job.mounts),
        )
        self._note(name)

        def ended(how: Ended) -> None:
            if how.code or how.timed_out or how.fault:
                engine.remove(name)  # the client is gone, with whatever code; what it ran need not be
            self._forget(name)
            post(replace(how, job=job, command="\n".join(job.commands)))

        try:
            self.inner.start(replace(job, commands=(f"exec {shlex.join(argv)}",), env={}, image=""), ended)
        except BaseException:
            self._forget(name)
            raise

    def _note(self, name: str) -> None:
        files.make_dirs(self.names)
        with self._exclusive:
            self._held[name] = files.held(os.path.join(self.names, name))

    def _forget(self, name: str) -> None:
        with self._exclusive:
            fd = self._held.pop(name, -1)
        files.remove(os.path.join(self.names, name))
        if fd >= 0:
            os.close(fd)

    def stop(self, slow: Slow | None = None) -> None:
        """See Executor."""
        self.inner.stop(slow)


def remove_left(names: str, engine: Callable[[], Engine]) -> list[str]:
    """End the containers that a killed mlvc left behind; their names. Where there is no engine, they stay noted."""
    try:
        noted = sorted(os.listdir(names))
    except OSError:
        return []
    gone = []
    for name in noted:
        path = os.path.join(names, name)
        if files.is_held(path):
            continue
        try:
            engine().remove(name)
        except MlvcError:
            break
        files.remove(path)
        gone.append(name)
    return gone
