"""``push --run-cache``, ``repro --pull``, ``repro --allow-missing``: what others computed is not computed here."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.helpers import SOURCES, git, run, run_mlvc, shell
from tests.helpers.sharing import PIPELINE, bundles, computed, outcomes, ran, store
from tests.helpers.shell import refused


def test_what_a_colleague_computed_is_brought_and_not_computed(shared: Path) -> None:
    computed(shared, 2)
    clone = shell.clone(shared)
    shell.write(clone, {"params.yaml": b"times: 2\n"})
    before = shell.tree(clone)
    assert outcomes(clone, "--pull") == {"upper": "restore", "count": "restore"}
    assert shell.tree(clone) == before
    assert ran(clone, "--pull") == []
    assert (clone / "all").read_bytes() == b"A\nB\n"
    # The Lockfile is as it would be had the stage run here.
    shell.write(shared, {"params.yaml": b"times: 2\n"})
    run_mlvc("repro", cwd=shared)
    assert (clone / "mlvc.lock").read_bytes() == (shared / "mlvc.lock").read_bytes()


def test_what_a_stage_needs_is_fetched_when_it_runs_and_no_sooner(shared: Path) -> None:
    clone = shell.clone(shared)
    assert ran(clone, "--pull") == []
    assert not (clone / "data/a").exists()
    shell.write(clone, {"mlvc.yaml": PIPELINE.replace("a-z A-Z", "a-y A-Y").encode()})
    assert ran(clone, "--pull") == ["upper"]  # it comes out as before
    assert (clone / "data/a").read_bytes() == b"a\n"


def test_what_was_not_needed_is_no_reason_to_run(shared: Path) -> None:
    clone = shell.clone(shared)
    assert ran(clone, "--pull") == []
    told = json.loads(run_mlvc("status", "--json", cwd=clone).out)
    assert [item["path"] for item in told["working_tree"]] == ["data"]
    assert told["stages"] == []
    assert run_mlvc("why", "upper", cwd=clone).out.startswith("upper: unchanged")
    shell.write(clone, {"params.yaml": b"times: 5\n"})
    told = json.loads(run_mlvc("status", "--json", cwd=clone).out)
    assert [item["stage"] for item in told["stages"]] == ["count"]
    # What a Stage makes and is not here is one; and what is neither here nor tracked.
    shutil.rmtree(clone / "up")
    (clone / "data.mlvc").unlink()
    told = json.loads(run_mlvc("status", "--json", cwd=clone).out)
    assert told["stages"][0]["reasons"] == ["dependency data is missing", "output up is missing"]


def test_a_part_of_a_tracked_directory_is_fetched(shared: Path) -> None:
    shell.write(shared, {"mlvc.yaml": PIPELINE.replace("deps: [data]", "deps: [data/a, data/b]").encode()})
    run_mlvc("repro", cwd=shared)
    shell.commit(shared)
    run_mlvc("push", cwd=shared)
    clone = shell.clone(shared)
    assert ran(clone, "--pull", "--allow-missing") == []
    assert ran(clone, "--pull", "--force", "upper") == ["upper"]
    assert (clone / "up/b").read_bytes() == b"B\n"


def test_without_pull_a_fetched_run_counts_once_its_objects_are_here(shared: Path) -> None:
    computed(shared, 2)
    clone = shell.clone(shared)
    told = json.loads(run_mlvc("fetch", "--run-cache", "--json", cwd=clone).out)
    assert told["runs"] == 3
    run_mlvc("checkout", cwd=clone)
    shell.write(clone, {"params.yaml": b"times: 2\n"})
    # all is the same for both, so its object is here.
    assert ran(clone) == []
    assert outcomes(clone) == {"upper": "unchanged", "count": "unchanged"}


def test_a_run_whose_outputs_cannot_be_had_is_no_hit(shared: Path) -> None:
    shell.write(shared, {"mlvc.yaml": PIPELINE.replace("> all;", "> all; cat params.yaml >> all;").encode()})
    run_mlvc("repro", cwd=shared)
    shell.commit(shared)
    run_mlvc("push", cwd=shared)
    computed(shared, 2)
    clone = shell.clone(shared)
    run_mlvc("pull", "--run-cache", cwd=clone)
    shell.write(clone, {"params.yaml": b"times: 2\n"})
    assert outcomes(clone)["count"] == "run"  # its object is only on the Remote, and nobody said --pull
    assert outcomes(clone, "--pull")["count"] == "restore"
    place = store(shared)
    for pack in (place / "packs").iterdir():
        pack.unlink()
    assert outcomes(clone, "--pull")["count"] == "run"
    assert ran(clone, "--pull") == ["count"]


def test_only_complete_runs_go_and_they_go_last(shared: Path) -> None:
    computed(shared, 2)
    assert len(bundles(shared)) == 1
    told = json.loads(run_mlvc("push", "--run-cache", "--dry-run", "--json", cwd=shared).out)
    assert told["runs"] == told["objects"] == 0
    shell.write(
        shared, {"params.yaml": b"times: 3\n", "mlvc.yaml": PIPELINE.replace("> all;", "> all; date >> all;").encode()}
    )
    run_mlvc("repro", cwd=shared)
    assert json.loads(run_mlvc("push", "--run-cache", "--dry-run", "--json", cwd=shared).out)["runs"] == 1
    git("checkout", "--quiet", ".", cwd=shared)
    shutil.rmtree(shared / ".git/mlvc/packs")
    (shared / ".git/mlvc/catalog.sqlite").unlink()
    told = json.loads(run_mlvc("push", "--run-cache", "--json", cwd=shared).out)
    assert (told["runs"], told["lost"]) == (0, [])


def test_a_run_with_a_persisting_output_stays(shared: Path) -> None:
    text = PIPELINE.replace("outs: [all]", "outs: [{all: {persist: true}}]")
    shell.write(shared, {"mlvc.yaml": text.encode()})
    run_mlvc("repro", cwd=shared)
    assert json.loads(run_mlvc("push", "--run-cache", "--json", cwd=shared).out)["runs"] == 2  # without the last one


def test_always_makes_it_the_default(shared: Path) -> None:
    assert json.loads(run_mlvc("push", "--json", cwd=shared).out)["runs"] == 0
    run_mlvc("config", "run.share", "always", cwd=shared)
    shell.commit(shared)
    assert json.loads(run_mlvc("push", "--json", cwd=shared).out)["runs"] == 2
    clone = shell.clone(shared)
    assert json.loads(run_mlvc("pull", "--json", cwd=clone).out)["fetch"]["runs"] == 2
    refused(run_mlvc("config", "run.share", "sometimes", cwd=shared, check=False), 2, "run.share", "sometimes")


@pytest.mark.parametrize("how", ["another key", "no record", "a bit", "a kind"])
def test_a_record_that_is_wrong_is_as_if_it_were_not_there(shared: Path, how: str) -> None:
    from mlvc.hashing import Hashing
    from mlvc.store.bundles import decode, encode

    computed(shared, 2)
    (bundle,) = bundles(shared)
    rows = {key: found[0] for key, found in decode(bundle.read_bytes(), 16).items()}
    keys = sorted(rows)
    if how == "another key":
        rows = dict(zip(keys, [rows[keys[1]], rows[keys[2]], rows[keys[0]]], strict=True))
    elif how == "no record":
        rows = dict.fromkeys(keys, b'{"mlvc_run": 1')
    elif how == "a kind":
        for key, record in rows.items():
            value = json.loads(record)
            value["outs"] = {path: {**out, "kind": "dir", "files": 1} for path, out in value["outs"].items()}
            rows[key] = json.dumps(value).encode()
    else:
        rows = {key: record.replace(b'"persist": false', b'"persist": true') for key, record in rows.items()}
    bundle.unlink()
    data = encode(rows.items(), 16)
    (bundle.parent / f"{Hashing('xxh128').of(data).hex()}.runs").write_bytes(data)
    clone = shell.clone(shared)
    shell.write(clone, {"params.yaml": b"times: 2\n"})
    assert outcomes(clone, "--pull") == {"upper": "restore", "count": "run"}


def test_a_pipeline_is_verified_without_its_data(shared: Path) -> None:
    clone = shell.clone(shared)
    refused(run_mlvc("repro", cwd=clone, check=False), 2, "'data'", "is not there")
    before = shell.tree(clone)
    assert ran(clone, "--allow-missing") == []
    assert outcomes(clone, "--allow-missing") == {"upper": "unchanged", "count": "unchanged"}
    assert shell.tree(clone) == before
    shell.write(clone, {"params.yaml": b"times: 2\n"})
    assert outcomes(clone, "--allow-missing") == {"upper": "unchanged", "count": "run"}
    result = run_mlvc("repro", "--allow-missing", cwd=clone, check=False)
    refused(result, 4, "up is needed and cannot be had", "--pull")
    assert ran(clone, "--allow-missing", "--pull") == ["count"]
    assert not (clone / "data").exists() or os.listdir(clone / "data") == []


def test_what_git_keeps_is_not_taken_to_be_there(shared: Path) -> None:
    clone = shell.clone(shared)
    (clone / "count.json").unlink()
    assert outcomes(clone, "--allow-missing")["count"] == "run"


def test_the_remote_is_asked_once(shared: Path) -> None:
    computed(shared, 2)
    clone = shell.clone(shared)
    shell.write(clone, {"params.yaml": b"times: 2\n"})
    result = run_mlvc("repro", "--pull", cwd=clone)
    assert "restored" in result.err
    refused(run_mlvc("repro", "-r", "store", cwd=clone, check=False), 2, "--remote", "--pull")
    refused(run_mlvc("repro", "--pull", "-r", "nope", cwd=clone, check=False), 2, "no remote 'nope'")


def test_a_remote_that_is_gone_ends_it_before_anything_runs(shared: Path) -> None:
    clone = shell.clone(shared)
    place = store(shared)
    shutil.rmtree(place)
    refused(run_mlvc("repro", "--pull", cwd=clone, check=False), 6, "remote 'store'")
    assert not (clone / "log").exists()


def test_gc_keeps_nothing_for_the_runs_of_others(shared: Path) -> None:
    run_mlvc("push", "--all-commits", cwd=shared, check=False)  # the first commit tracks what is replaced
    computed(shared, 2)
    clone = shell.clone(shared)
    run_mlvc("pull", "--run-cache", "--all-commits", cwd=clone, check=False)
    assert run_mlvc("gc", "--dry-run", cwd=clone).code == 0  # Manifests of those Runs are not here


KILLED = """
import os, signal, sys
from mlvc.store.blobs import DirectoryBlobs
from mlvc.cli.main import main
writes, write = [int(sys.argv[1])], DirectoryBlobs.write

def counted(self, name, blocks):
    if not writes[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    writes[0] -= 1
    write(self, name, blocks)

DirectoryBlobs.write = counted
sys.exit(main(["push", "--run-cache"]))
"""


def test_kill_9_leaves_no_run_without_its_outputs(shared: Path) -> None:
    import sys

    shell.write(
        shared,
        {
            "params.yaml": b"times: 2\n",
            "mlvc.yaml": PIPELINE.replace("> all;", "> all; cat params.yaml >> all;").encode(),
        },
    )
    run_mlvc("repro", cwd=shared)
    place = store(shared)
    shutil.rmtree(place)
    shutil.rmtree(shared / ".git/mlvc/remotes")
    codes = []
    for count in range(10):
        codes.append(
            run(
                [sys.executable, "-c", KILLED, str(count)], cwd=shared, check=False, env={"PYTHONPATH": str(SOURCES)}
            ).code
        )
        runs = list((place / "runs").iterdir()) if (place / "runs").exists() else []
        clone = shell.clone(shared, shared.parent / f"clone{count}")
        if runs:
            shell.write(clone, {"params.yaml": b"times: 2\n", "mlvc.yaml": (shared / "mlvc.yaml").read_bytes()})
            assert set(outcomes(clone, "--pull").values()) == {"restore"}
        if codes[-1] == 0:
            break
    assert codes[-1] == 0
    assert len(codes) > 2
    assert runs
