"""``config`` and ``remote``: shared and private settings, with comments and layout kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers import git, make_git_repo, run_mlvc, shell
from tests.helpers.shell import refused

TEXT = """\
# How this team works.
[core]
hash = "xxh128"  # never changes
jobs = 2 # slow line

# Where data are kept.
[remote.store]
# ask Ada for access
url = "../remote"
"""


def settings(root: Path) -> dict[str, object]:
    shown: dict[str, object] = json.loads(run_mlvc("config", "--json", cwd=root).out)
    return shown


def test_config_shows_and_changes_and_keeps_comments(project: Path) -> None:
    path = project / ".mlvc/config.toml"
    path.write_text(TEXT)
    assert run_mlvc("config", "core.jobs", cwd=project).out == "2\n"
    assert run_mlvc("config", "core.autostage", cwd=project).out == "false\n"  # the default
    assert json.loads(run_mlvc("config", "core.link", "--json", cwd=project).out) == {"core.link": ["reflink", "copy"]}
    run_mlvc("config", "core.autostage", "true", cwd=project)
    run_mlvc("config", "core.link", "hardlink, copy", cwd=project)
    assert path.read_text() == TEXT.replace(
        "# slow line\n", '# slow line\nautostage = true\nlink = ["hardlink", "copy"]\n'
    )
    run_mlvc("config", "core.autostage", "--unset", cwd=project)
    run_mlvc("config", "core.link", "--unset", cwd=project)
    assert path.read_text() == TEXT
    assert run_mlvc("config", cwd=project).out.splitlines() == [
        "core.hash = xxh128",
        "core.jobs = 2",
        "remote.store.url = ../remote",
    ]


def test_private_settings_win_and_nobody_sees_them(project: Path) -> None:
    run_mlvc("config", "core.jobs", "2", cwd=project)
    before = git("status", "--porcelain", cwd=project)
    run_mlvc("config", "--private", "core.jobs", "9", cwd=project)
    assert settings(project)["core.jobs"] == 9
    assert git("status", "--porcelain", cwd=project) == before
    run_mlvc("config", "--private", "--unset", "core.jobs", cwd=project)
    assert settings(project)["core.jobs"] == 2
    # All working trees share them.
    run_mlvc("config", "--private", "core.jobs", "7", cwd=project)
    git("worktree", "add", "--quiet", "../side", cwd=project)
    assert settings(project.parent / "side")["core.jobs"] == 7


def test_remote_add_list_modify_default(project: Path) -> None:
    path = project / ".mlvc/config.toml"
    path.write_text(TEXT)
    run_mlvc("remote", "add", "other", "s3://bucket/path", cwd=project)
    run_mlvc("remote", "add", "beside", "../../../beside", cwd=project / "data" / "sub")
    assert path.read_text().startswith(TEXT)
    assert run_mlvc("remote", "default", "other", cwd=project).code == 0
    assert run_mlvc("remote", "list", cwd=project).out.splitlines() == [
        "beside\t../beside",
        "other\ts3://bucket/path\t(default)",
        "store\t../remote",
    ]
    assert run_mlvc("remote", "default", cwd=project).out == "other\n"
    run_mlvc("remote", "modify", "other", "url", "../moved", cwd=project)
    run_mlvc("remote", "add", "-f", "-d", "store", "../again", cwd=project)
    shown = json.loads(run_mlvc("remote", "list", "--json", cwd=project).out)
    assert {item["name"]: (item["url"], item["default"]) for item in shown} == {
        "beside": ("../beside", False),
        "other": ("../moved", False),
        "store": ("../again", True),
    }
    assert "# ask Ada for access" in path.read_text()
    run_mlvc("remote", "default", "--unset", cwd=project)
    result = run_mlvc("remote", "default", cwd=project, check=False)
    shell.refused(result, 2, "no remote is the default", "mlvc remote default NAME")


def test_rename_and_remove(project: Path) -> None:
    path = project / ".mlvc/config.toml"
    path.write_text(TEXT)
    run_mlvc("remote", "default", "store", cwd=project)
    before = path.read_text()
    run_mlvc("remote", "rename", "store", "archive", cwd=project)
    assert path.read_text() == before.replace("remote.store", "remote.archive").replace(
        'remote = "store"', 'remote = "archive"'
    )
    assert "pushed" in run_mlvc("push", cwd=project).err
    run_mlvc("remote", "remove", "archive", cwd=project)
    assert "remote" not in [line.split(".")[0] for line in run_mlvc("config", cwd=project).out.splitlines()]
    assert "core.remote" not in settings(project)
    assert "# How this team works." in path.read_text()
    assert (project.parent / "remote/packs").is_dir()  # what is stored there stays there


def test_a_private_remote(project: Path) -> None:
    before = git("status", "--porcelain", cwd=project)
    run_mlvc("remote", "add", "--private", "-d", "mine", "../mine", cwd=project)
    assert git("status", "--porcelain", cwd=project) == before
    run_mlvc("push", cwd=project)
    assert (project.parent / "mine/packs").is_dir()
    run_mlvc("remote", "modify", "--private", "mine", "url", "../yours", cwd=project)
    assert settings(project)["remote.mine.url"] == "../yours"
    run_mlvc("remote", "rename", "mine", "ours", cwd=project)
    assert settings(project)["core.remote"] == "ours"
    run_mlvc("remote", "remove", "ours", cwd=project)
    assert settings(project)["core.remote"] == "store"


def test_a_store_elsewhere(project: Path) -> None:
    run_mlvc("config", "--private", "store.dir", "../shared-store", cwd=project)
    run_mlvc("add", "data", "model.bin", cwd=project)
    assert (project.parent / "shared-store/packs").is_dir()
    (project / "model.bin").unlink()
    run_mlvc("checkout", cwd=project)
    assert (project / "model.bin").read_bytes() == shell.LARGE


@pytest.mark.parametrize("used", [False, True])
def test_what_is_stored_stays_where_the_store_was_and_may_be_copied(project: Path, used: bool) -> None:
    result = run_mlvc("config", "store.dir", "../elsewhere", cwd=project)
    old, new = project / ".git/mlvc", project / "../elsewhere"
    assert f"note: what is stored already stays in {old}\n" in result.err
    assert "copy packs and loose from there" in result.err
    if used:
        assert "Not in the store" in run_mlvc("status", cwd=project).out
    for part in (name for name in ("packs", "loose") if (old / name).is_dir()):
        shutil.copytree(old / part, new / part, dirs_exist_ok=True)
        shutil.rmtree(old / part)
    shutil.rmtree(project / "data")
    (project / "model.bin").unlink()
    run_mlvc("checkout", cwd=project)
    assert run_mlvc("status", cwd=project).out == "clean: 2 paths as tracked\n"
    assert run_mlvc("config", "store.dir", str(new), cwd=project).err == ""
    assert run_mlvc("config", "--unset", "store.dir", cwd=project).err.startswith("note: what is stored already stays")


def test_nothing_is_told_of_a_store_without_objects() -> None:
    root = make_git_repo()
    run_mlvc("init", cwd=root)
    assert run_mlvc("config", "store.dir", "elsewhere", cwd=root).err == ""
    (root / "data").write_text("x")
    run_mlvc("add", "data", cwd=root)
    assert (root / "elsewhere/packs").is_dir()  # from the top of the repository


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ada@host:/data/store", "ssh://ada@host/data/store"),
        ("host:/data/store", "ssh://host/data/store"),
        ("ada@host:store", "ssh://ada@host/FULL/PATH/store"),
    ],
)
def test_an_address_as_scp_has_it(project: Path, typed: str, meant: str) -> None:
    refused(run_mlvc("remote", "add", "far", typed, cwd=project, check=False), 2, typed, f"write {meant}")
    refused(run_mlvc("remote", "modify", "store", "url", typed, cwd=project, check=False), 2, f"write {meant}")
    run_mlvc("remote", "add", "near", "../a:b", cwd=project)


def test_the_only_remote_needs_no_default(pushed: Path) -> None:
    assert json.loads(run_mlvc("remote", "default", "--json", cwd=pushed).out) == {"name": "store", "url": "../remote"}
    run_mlvc("remote", "default", "--unset", cwd=pushed)
    assert "everything is there already" in run_mlvc("push", cwd=pushed).err
    said = "the only one, 'store', is used all the same; choose it with `mlvc remote default store`"
    refused(run_mlvc("remote", "default", cwd=pushed, check=False), 2, "no remote is the default", said)
    run_mlvc("remote", "add", "other", "../other", cwd=pushed)
    refused(run_mlvc("remote", "default", cwd=pushed, check=False), 2, "choose one with `mlvc remote default NAME`")
    refused(run_mlvc("push", cwd=pushed, check=False), 2, "several remotes and none is the default")
