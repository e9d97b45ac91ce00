"""The command line as a person meets it: scenes to work in, what an error looks like, what a command changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path

from tests import helpers
from tests.helpers import Result, git, run_mlvc

CACHES = (".sqlite", ".sqlite-journal", ".sqlite-wal", ".sqlite-shm")
"""Ends of names of files that may be deleted at any time: they say nothing about what a command did.

Nor does ``using``, an empty file that processes hold.
"""

LARGE = bytes(range(256)) * 6000
"""A file that is large in the sense of the Store; it is one chunk after another of the same bytes."""

FILES = {
    "data/one.txt": b"one\n",
    "data/two.txt": b"two\n",
    "data/sub/three.txt": b"three\n",
    "data/sub/four file.txt": b"four\n",
    "model.bin": LARGE,
}


def project(path: str | os.PathLike[str] = "project", *, pushed: bool = False, algorithm: str = "xxh128") -> Path:
    """A repository with ``data``, a directory, and ``model.bin``, a large file, tracked and committed.

    Its default Remote is ``remote`` beside it; with ``pushed``, everything is there.
    """
    root = helpers.make_git_repo(path)
    run_mlvc("init", "--hash", algorithm, cwd=root)
    write(root, FILES)
    (root / "data/empty").mkdir()
    (root / "data/link").symlink_to("one.txt")
    (root / "data/two.txt").chmod(0o755)
    run_mlvc("remote", "add", "-d", "store", "../remote", cwd=root)
    run_mlvc("add", "data", "model.bin", cwd=root)
    commit(root, "first")
    if pushed:
        run_mlvc("push", cwd=root)
    return root


def copied(scene: Path, to: Path) -> Path:
    """A copy of a folder with repositories in it, links and permissions included."""
    shutil.copytree(scene, to, symlinks=True)
    return to


def clone(root: Path, to: str | os.PathLike[str] = "clone") -> Path:
    """Another clone beside ``root``, so that it has the same Remote."""
    target = root.parent / to
    git("clone", "--quiet", root, target)
    return target


def commit(root: Path, message: str = "commit") -> None:
    git("add", "--all", cwd=root)
    git("commit", "--quiet", "--allow-empty", "-m", message, cwd=root)


def write(root: Path, contents: dict[str, bytes]) -> None:
    for name, data in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def image(root: str | os.PathLike[str], *, git_index: bool = False) -> dict[str, str]:
    """Everything below ``root`` by path: kind, permission to execute, content.

    Without databases that can be deleted at any time, and without empty directories in a Git directory.
    """
    found: dict[str, str] = {}
    top = os.fspath(root)
    for folder, names, files in os.walk(top):
        for name in [*names, *files]:
            path = os.path.join(folder, name)
            short = os.path.relpath(path, top)
            inside_git = ".git" in short.split(os.sep)
            if (
                name.endswith(CACHES)
                or short.endswith(".git/mlvc/using")
                or (short.endswith(".git/index") and not git_index)
            ):
                continue
            info = os.lstat(path)
            if stat.S_ISLNK(info.st_mode):
                found[short] = f"link {os.readlink(path)}"
            elif stat.S_ISDIR(info.st_mode):
                if not inside_git:
                    found[short] = "directory"
            elif stat.S_ISREG(info.st_mode):
                data = Path(path).read_bytes()
                mode = "x" if info.st_mode & 0o100 else "f"
                found[short] = f"{mode} {len(data)} {hashlib.md5(data).hexdigest()}"
            else:
                found[short] = "other"
    return found


def tree(root: str | os.PathLike[str]) -> dict[str, str]:
    """As ``image``, without the Git directory: what a person sees."""
    return {path: what for path, what in image(root).items() if path.split(os.sep)[0] != ".git"}


def refused(result: Result, code: int, *parts: str, hint: bool = True) -> None:
    """The result is an error as it should be: exit code, nothing on stdout, one sentence, and a hint."""
    shown = f"exit code {result.code}\n--- stdout\n{result.out}\n--- stderr\n{result.err}"
    assert result.code == code, shown
    assert result.out == "", shown
    ends(result, *parts, hint=hint)


def ends(result: Result, *parts: str, hint: bool = True) -> None:
    """The last lines on stderr are one clear sentence, with all ``parts`` in it or in the hint, and a hint."""
    shown = f"exit code {result.code}\n--- stdout\n{result.out}\n--- stderr\n{result.err}"
    assert "Traceback" not in result.err, shown
    assert "this is a bug" not in result.err, shown
    lines = result.err.splitlines()
    sentences = [line for line in lines if line.startswith("mlvc: ")]
    assert len(sentences) == 1, shown
    assert not sentences[0].endswith("."), shown
    if hint:
        assert lines[-1].startswith("hint: "), shown
        assert len(lines[-1]) > len("hint: "), shown
    for part in parts:
        assert part in "\n".join(lines[lines.index(sentences[0]) :]), shown
