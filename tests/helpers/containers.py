"""A real container engine, and an image of a few hundred kilobytes to run in it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
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


def missing(why: str) -> None:
    """Skip the test; where all of them are to run, fail."""
    if os.environ.get("MLVC_TEST_CONTAINERS"):
        pytest.fail(why)
    pytest.skip(why)


def environment(folder: Path) -> dict[str, str]:
    """An environment in which podman runs ``IMAGE``; without, the test is skipped."""
    podman, busybox = shutil.which("podman"), shutil.which("busybox")
    if podman is None or busybox is None:
        missing("needs podman and busybox (Debian: podman runc busybox-static)")
    assert podman is not None
    assert busybox is not None
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "image.tar"
    image.write_bytes(_image(Path(busybox)))
    (folder / "containers.conf").write_text(_MODEST)
    base = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    said = ""
    for env in (base, {**base, "CONTAINERS_CONF": str(folder / "containers.conf")}):
        made = subprocess.run([podman, "import", str(image), IMAGE], env=env, capture_output=True, check=False)
        tried = subprocess.run(
            [podman, "run", "--rm", IMAGE, "/bin/sh", "-c", ":"], env=env, capture_output=True, check=False
        )
        said = (made.stderr + tried.stderr).decode(errors="replace")
        if made.returncode == tried.returncode == 0:
            return env
    missing(f"podman cannot run a container here: {said}")
    raise AssertionError


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
