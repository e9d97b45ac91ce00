"""``push: false`` and ``remote: NAME`` of an output: where its objects go, and that nobody misses them elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers import run_mlvc, shell
from tests.helpers.shell import refused

PIPELINE = """\
stages:
  make:
    cmd: echo plain > plain; echo kept > kept; mkdir -p far; echo far > far/f
    outs:
    - plain
    - kept: {push: false}
    - far: {remote: other}
"""


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    root = shell.project(tmp_path / "here")
    run_mlvc("remote", "add", "other", str(tmp_path / "other"), cwd=root)
    run_mlvc("remote", "default", "store", cwd=root)
    shell.write(root, {"mlvc.yaml": PIPELINE.encode()})
    run_mlvc("repro", cwd=root)
    shell.commit(root)
    return root


def pushed(root: Path, *args: str) -> dict[str, object]:
    told: dict[str, object] = json.loads(run_mlvc("push", "--json", *args, cwd=root).out)
    return told


def test_each_output_goes_where_it_belongs(homes: Path) -> None:
    told = pushed(homes, "plain", "kept", "far")
    assert told["remote"] == "store, other"
    assert told["objects"] == 4  # a file; a directory of one file, with the two objects of its Manifest
    assert pushed(homes, "plain", "kept", "far")["objects"] == 0
    clone = shell.clone(homes)
    result = run_mlvc("pull", "plain", "kept", "far", cwd=clone)
    assert "kept is on no Remote" in result.err
    assert (clone / "far/f").read_bytes() == b"far\n"
    assert (clone / "plain").exists()
    assert not (clone / "kept").exists()
    status = json.loads(run_mlvc("status", "--json", cwd=clone, check=False).out)
    assert "kept" not in {item["path"] for item in status["missing"]}
    run_mlvc("repro", cwd=clone)
    assert (clone / "kept").exists()


def test_a_remote_that_is_named_gets_what_belongs_there(homes: Path) -> None:
    assert pushed(homes, "-r", "other", "far")["objects"] == 3
    assert pushed(homes, "-r", "store", "far", "kept")["objects"] == 0
    assert pushed(homes, "-r", "store", "plain")["objects"] == 1


def test_what_the_commit_says_counts_for_what_only_it_has(homes: Path) -> None:
    shell.write(homes, {"mlvc.yaml": PIPELINE.replace("echo far", "echo new").encode()})
    run_mlvc("repro", cwd=homes)
    told = pushed(homes, "--rev", "HEAD", "far", "kept")
    assert (told["remote"], told["objects"]) == ("other", 3)


def test_another_home_is_recorded_without_running(homes: Path) -> None:
    shell.write(homes, {"mlvc.yaml": PIPELINE.replace("- kept: {push: false}", "- kept").encode()})
    status = json.loads(run_mlvc("status", "--json", cwd=homes, check=False).out)
    assert status["stages"] == [{"stage": "make", "reasons": ["output kept goes to other Remotes now"]}]
    told = list(map(json.loads, run_mlvc("repro", "--json", cwd=homes).out.splitlines()))
    finished = [(event["stage"], event["outcome"]) for event in told if event["event"] == "finished"]
    assert finished == [("make", "restored")]
    assert pushed(homes, "kept")["objects"] == 1


def test_gc_keeps_what_is_not_pushed(homes: Path) -> None:
    (homes / "kept").unlink()
    run_mlvc("gc", cwd=homes, env={"MLVC_GC_GRACE": "0"})
    run_mlvc("checkout", "kept", cwd=homes)
    assert (homes / "kept").read_bytes() == b"kept\n"


def test_runs_with_an_output_that_has_its_own_place_stay(homes: Path) -> None:
    assert pushed(homes, "--run-cache", "plain")["runs"] == 0


def test_an_unknown_remote_is_named(homes: Path) -> None:
    shell.write(homes, {"mlvc.yaml": PIPELINE.replace("other", "nope").encode()})
    run_mlvc("repro", cwd=homes)
    refused(run_mlvc("push", cwd=homes, check=False), 2, "no remote 'nope'", "store")


def test_repro_pull_looks_there(homes: Path) -> None:
    pushed(homes, "plain", "far")
    text = PIPELINE + "  use: {cmd: cat far/f > used, deps: [far], outs: [used]}\n"
    shell.write(homes, {"mlvc.yaml": text.encode()})
    shell.commit(homes)
    clone = shell.clone(homes)
    run_mlvc("repro", "--pull", "-s", "use", cwd=clone)
    assert (clone / "used").read_bytes() == b"far\n"
