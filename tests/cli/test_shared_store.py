"""A Store that several people use: with a umask that lets the group write, the group can."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import helpers
from tests.helpers import run_mlvc, shell


@pytest.fixture
def of_the_group() -> Iterator[None]:
    before = os.umask(0o002)
    yield
    os.umask(before)


def test_the_group_may_write_what_a_member_made(of_the_group: None) -> None:
    store = Path("disk/store").absolute()
    root = helpers.make_git_repo("project")
    run_mlvc("init", cwd=root)
    run_mlvc("config", "store.dir", store, cwd=root)
    run_mlvc("config", "core.link", "symlink", cwd=root)
    shell.write(root, shell.FILES)
    run_mlvc("add", "data", "model.bin", cwd=root)
    run_mlvc("checkout", "--relink", cwd=root)
    run_mlvc("gc", cwd=root)
    made = [path for path in store.rglob("*") if path.parent.parent.name != "loose"]
    assert {"catalog.sqlite", "format", "using", "packs", "loose", "shared-by"} <= {path.name for path in made}
    assert [path.name for path in (store, *made) if not path.stat().st_mode & stat.S_IWGRP] == []
