"""``unprotect``: links into the Store become copies, checked, and one by one in one step."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.helpers import run_mlvc, shell
from tests.helpers.faults import counted, process_faults
from tests.helpers.shell import image, refused

OTHER = shell.LARGE[::-1]


def linked(project: Path, kind: str) -> Path:
    """``model.bin`` and ``big/one`` are links into the Store, ``big/small`` is not."""
    run_mlvc("config", "core.link", kind, cwd=project)
    shell.write(project, {"big/one": OTHER, "big/two": OTHER + b"2", "big/small": b"small\n"})
    run_mlvc("add", "big", cwd=project)
    run_mlvc("checkout", "--relink", cwd=project)
    return project


def is_link(path: Path) -> bool:
    return path.is_symlink() or path.stat().st_nlink > 1


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_links_become_files_that_may_be_written(project: Path, kind: str) -> None:
    linked(project, kind)
    assert is_link(project / "model.bin")
    assert is_link(project / "big/one")
    result = run_mlvc("unprotect", "model.bin", "big/one", cwd=project)
    assert result.out == "copied  big/one\ncopied  model.bin\n"
    for path, data in ((project / "model.bin", shell.LARGE), (project / "big/one", OTHER)):
        assert not is_link(path)
        assert path.stat().st_mode & 0o200
        assert path.read_bytes() == data
        path.write_bytes(b"mine\n")
    assert is_link(project / "big/two")
    # What was written is in the copy alone.
    run_mlvc("checkout", "--force", cwd=project)
    assert (project / "model.bin").read_bytes() == shell.LARGE
    assert (project / "big/one").read_bytes() == OTHER


def test_the_whole_of_a_directory_and_once_more(project: Path) -> None:
    linked(project, "symlink")
    done = json.loads(run_mlvc("unprotect", "big", "--json", cwd=project).out)
    assert done == {"paths": ["big/one", "big/two"], "size": 2 * len(OTHER) + 1, "lost": []}
    assert not any((project / "big" / name).is_symlink() for name in os.listdir(project / "big"))
    assert json.loads(run_mlvc("status", "--json", cwd=project).out)["working_tree"] == []
    before = image(project)
    assert "nothing to do" in run_mlvc("unprotect", "big", cwd=project).err
    assert image(project) == before


def test_what_is_not_a_link_is_not_touched(project: Path) -> None:
    linked(project, "hardlink")
    (project / "big/one").unlink()
    (project / "big/one").write_bytes(b"changed\n")
    inode = (project / "big/one").stat().st_ino
    run_mlvc("unprotect", "big", cwd=project)
    assert (project / "big/one").stat().st_ino == inode
    assert (project / "big/one").read_bytes() == b"changed\n"


def test_a_damaged_object_is_named_and_nothing_is_made_of_it(project: Path) -> None:
    linked(project, "symlink")
    where = Path(os.path.realpath(project / "big/one"))
    where.chmod(0o600)
    where.write_bytes(b"x" * len(OTHER))
    result = run_mlvc("unprotect", "big", cwd=project, check=False)
    assert result.code == 4
    assert "damaged  big/one" in result.err
    assert not (project / "big/two").is_symlink()
    assert (project / "big/one").is_symlink()


@pytest.mark.parametrize(
    ("args", "part"),
    [(["absent"], "absent is not tracked"), (["data/absent"], "not in the working tree"), (["../x"], "outside")],
    ids=str,
)
def test_what_is_refused_changes_nothing(project: Path, args: list[str], part: str) -> None:
    linked(project, "symlink")
    run_mlvc("status", cwd=project)
    before = image(project)
    refused(run_mlvc("unprotect", "model.bin", *args, cwd=project, check=False), 2, part)
    assert image(project) == before


@pytest.mark.fault
def test_kill_9_leaves_the_link_or_the_copy(project: Path, tmp_path: Path) -> None:
    linked(project, "hardlink")
    start = project.parent
    log = tmp_path / "calls"
    end = shell.copied(start, tmp_path / "end") / "project"
    run_mlvc("checkout", "--relink", cwd=end)
    run_mlvc("unprotect", "big", cwd=end, env=process_faults(root=end, count_to=log))
    calls = len(counted(log))
    for n in sorted({1 + round(step * (calls - 1) / 9) for step in range(10)}):
        place = shell.copied(start, tmp_path / f"{n}")
        root = place / "project"
        run_mlvc("checkout", "--relink", cwd=root)
        assert is_link(root / "big/one")
        done = run_mlvc("unprotect", "big", cwd=root, check=False, env=process_faults(kill_at=n, root=root))
        assert done.code in (-signal.SIGKILL, 0)
        assert (root / "big/one").read_bytes() == OTHER
        assert (root / "big/two").read_bytes() == OTHER + b"2"
        run_mlvc("unprotect", "big", cwd=root)
        assert not is_link(root / "big/one")
        assert not is_link(root / "big/two")
        shutil.rmtree(place)
