"""A real container engine, and an image of a few hundred kilobytes to run in it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

IMAGE = "localhost/mlvc-test:1"
# For machines that are containers themselves: no higher limits than they have, no network of their own, runc.
_MODEST = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=500:500"]
netns = "host"
[engine]
runtime = "runc"
"""


ENGINES = ("docker", "podman")
HOST = os.environ.get("DOCKER_HOST", "")
"""Where docker is told to find its daemon, before any test has an environment of its own."""


def missing(engine: str, why: str) -> None:
    """Skip the test; where those of this engine are to run, fail."""
    if engine in os.environ.get("MLVC_TEST_CONTAINERS", "").split(","):
        pytest.fail(why)
    pytest.skip(why)


def environment(engine: str, folder: Path) -> dict[str, str]:
    """An environment in which mlvc finds this engine, which runs ``IMAGE``; without, the test is skipped."""
    program, busybox = shutil.which(engine), shutil.which("busybox")
    if program is None or busybox is None:
        missing(engine, f"needs {engine} and busybox (Debian: {_PACKAGES[engine]} busybox-static)")
    assert program is not None
    assert busybox is not None
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "image.tar"
    image.write_bytes(_image(Path(busybox)))
    said = ""
    for env in _environments(engine, folder):
        made = subprocess.run([program, "import", str(image), IMAGE], env=env, capture_output=True, check=False)
        tried = subprocess.run(
            [program, "run", "--rm", IMAGE, "/bin/sh", "-c", ":"], env=env, capture_output=True, check=False
        )
        said = (made.stderr + tried.stderr).decode(errors="replace")
        if made.returncode == tried.returncode == 0:
            return env
    missing(engine, f"{engine} cannot run a container here: {said}")
    raise AssertionError


_PACKAGES = {"docker": "docker.io", "podman": "podman runc"}


def _environments(engine: str, folder: Path) -> Iterator[dict[str, str]]:
    """Those in which the engine may work, one after the other."""
    base = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    if engine == "docker":
        yield {**base, "DOCKER_HOST": HOST} if HOST else base
        return
    base["DOCKER_HOST"] = f"unix://{folder}/nothing"  # mlvc takes docker where that answers
    yield base
    (folder / "containers.conf").write_text(_MODEST)
    yield {**base, "CONTAINERS_CONF": str(folder / "containers.conf")}


def _image(busybox: Path) -> bytes:
    """A root file system with one program, as a tar file; the same bytes make the same image."""
    out = io.BytesIO()
    data = busybox.read_bytes()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(folder)
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = len(data), 0o755
        tar.addfile(program, io.BytesIO(data))
        for name in ("sh", "cat", "cp", "sleep", "pwd", "id", "touch", "mkdir", "wc", "sort"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return out.getvalue()
