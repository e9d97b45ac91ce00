"""Containers: what a stage with ``image`` is run with, docker or podman.

An image is named by the id that the engine gives it, a digest of all that is in it. That id is a part of the key of
a Run: a tag that has moved on makes the stage run again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlvc.errors import PipelineError, SystemFailureError

ENGINES = ("docker", "podman")
_TRIES, _PAUSE = 20, 0.25
_SECONDS = 30
"""How long an engine may take to say who it is."""

# As process 1 of a container the shell gets no signal that it has no trap for, and what it starts in the background
# gets no SIGINT: both become SIGTERM for everything in there.
_EACH = (
    "trap 'trap \"\" INT TERM; kill -s TERM -1; wait; exit 143' INT TERM; "
    'for command do /bin/sh -c "$command" & wait "$!" || '
    '{ code=$?; [ "$#" = 1 ] || echo "the command that failed: $command" >&2; exit "$code"; }; done'
)


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that runs containers, and answers."""

    program: str
    env: Mapping[str, str]
    """The environment that it is called with."""
    extra: tuple[str, ...] = ()
    """What the user wants to be said to every ``run``: devices, memory."""
    podman: bool = False

    def image(self, name: str) -> str | None:
        """The id of an image, None where it is not on this machine."""
        done = self._ask("image", "inspect", "--format", "{{.Id}}", name)
        text = done.stdout.decode(errors="replace").strip()
        if done.returncode or not text:
            return None
        return text if ":" in text else f"sha256:{text}"

    def pull(self, name: str) -> str:
        """The id of an image, which is fetched where it is not on this machine. PipelineError where there is none."""
        found = self.image(name)
        if found is None:
            done = self._ask("pull", "--quiet", name, seconds=None)
            found = self.image(name)
            if found is None:
                raise PipelineError(
                    f"the image '{name}' cannot be had: {_last(done.stderr) or 'the engine does not say why'}",
                    hint=f"correct its name, or try `{os.path.basename(self.program)} pull {name}`",
                )
        return found

    def argv(
        self,
        commands: Sequence[str],
        *,
        image: str,
        name: str,
        root: str,
        directory: str,
        env: Mapping[str, str],
        through: Sequence[str] = (),
        mounts: Sequence[str] = (),
    ) -> list[str]:
        """The command line that runs ``commands``, one after another, in a new container called ``name``.

        ``root`` and ``mounts`` are where they are on this machine, so that paths mean the same. ``through``: variables
        that have in there the values that they have in ``self.env``. The first command that fails ends it.
        """
        words = [self.program, "run", "--rm", "--name", name, *self._user(), "--workdir", directory]
        for place in dict.fromkeys((root, *mounts)):
            words += ["--volume", f"{place}:{place}"]
        for key, value in env.items():
            words += ["--env", f"{key}={value}"]
        for key in through:
            if key in self.env and key not in env:
                words += ["--env", key]
        return [*words, *self.extra, "--entrypoint", "/bin/sh", image, "-c", _EACH, "mlvc", *commands]

    def _user(self) -> list[str]:
        """So that files made in there belong to who runs mlvc, whatever user the image names."""
        if sys.platform != "linux":
            return []
        kept = ["--userns=keep-id"] if self.podman and os.getuid() else []
        return [*kept, "--user", f"{os.getuid()}:{os.getgid()}"]

    def remove(self, name: str) -> None:
        """End the container ``name`` and all that runs in it; none of that name is no error."""
        with contextlib.suppress(SystemFailureError):
            for _ in range(_TRIES):
                self._ask("rm", "--force", name)
                # While it is just being made, or removed by its own end, the engine refuses.
                if self._ask("container", "inspect", name).returncode:
                    return
                time.sleep(_PAUSE)

    def _ask(self, *words: str, seconds: float | None = _SECONDS) -> subprocess.CompletedProcess[bytes]:
        return _call([self.program, *words], self.env, seconds)


def find(environment: Mapping[str, str], wanted: str = "", extra: Sequence[str] = ()) -> Engine:
    """The engine called ``wanted``, else docker or podman, the first one that answers.

    PipelineError where there is none; it says of each that is installed why it does not do.
    """
    silent: list[str] = []
    for name in (wanted,) if wanted else ENGINES:
        program = shutil.which(name, path=environment.get("PATH", os.defpath))
        if program is None:
            continue
        try:
            done = _call([program, "version", "--format", "{{.Server.Version}}"], environment, _SECONDS)
            version = _call([program, "--version"], environment, _SECONDS) if done.returncode else done
        except SystemFailureError as error:
            silent.append(error.message)
            continue
        podman = b"podman" in version.stdout.lower() or "podman" in name
        # podman needs no server, and has none to tell of.
        if done.returncode == 0 or (podman and version.returncode == 0):
            return Engine(program, environment, tuple(extra), podman)
        silent.append(f"{name} is there, but says: {_last(done.stderr) or 'nothing'}")
    told = "; ".join(silent) or f"there is no {wanted or ' and no '.join(ENGINES)} here"
    install = "install docker or podman, or set `pipeline.container.engine`"
    raise PipelineError(
        f"no container can be run: {told}", hint="start its engine, or look whether it is well" if silent else install
    )


def _call(argv: Sequence[str], env: Mapping[str, str], seconds: float | None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            argv, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise SystemFailureError(
            f"{argv[0]} did not answer within {seconds:.0f} seconds", hint="look whether its engine is well"
        ) from None
    except OSError as error:
        raise SystemFailureError(f"{argv[0]} cannot be started: {error.strerror}") from error


def _last(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
