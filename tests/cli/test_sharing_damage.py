"""Sharing of results where something is damaged, gone or false, on a Remote or here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mlvc.store.bundles import decode
from tests.helpers import run_mlvc, shell
from tests.helpers.sharing import PIPELINE, bundles, computed, outcomes, ran, store
from tests.helpers.shell import refused
from tests.helpers.stores import packs


def garble(path: Path) -> None:
    """Change bytes all over a file, so that nothing in it is as it was."""
    path.chmod(0o600)
    path.write_bytes(bytes(byte ^ (0x55 if at % 7 == 0 else 0) for at, byte in enumerate(path.read_bytes())))


def harm(root: Path, how: str) -> list[str]:
    """Damage all Packs of the Remote, or delete them; their paths."""
    found = packs(store(root))
    for pack in found:
        garble(pack) if how == "damaged" else pack.unlink()
    return [str(pack.resolve()) for pack in found]


BOTH = pytest.mark.parametrize("how", ["damaged", "missing"])


# -- repro --pull ------------------------------------------------------------------------------


@BOTH
def test_what_a_remote_lost_is_named_and_computed_here(shared: Path, how: str) -> None:
    clone = shell.clone(shared)
    shell.write(clone, {"data/a": b"a\n", "data/b": b"b\n"})
    harmed = harm(shared, how)
    result = run_mlvc("repro", "--pull", cwd=clone)
    assert f"what is recorded of up is {how} on remote 'store'" in result.err
    assert f"what is recorded of all is {how} on remote 'store'" in result.err
    assert (clone / "all").read_bytes() == b"A\nB\n"
    told = [line for line in result.err.splitlines() if line.startswith("damaged on remote 'store': ")]
    assert len(set(told)) == len(told) == (1 if how == "damaged" else 0)
    assert all(line.partition(": ")[2] in harmed for line in told)  # as `mlvc fetch` names it
    # A push from here mends the Remote.
    run_mlvc("push", cwd=clone, check=False)  # what is tracked besides was never here
    other = shell.clone(shared, "other")
    assert ran(other, "--pull") == []
    assert (other / "all").read_bytes() == b"A\nB\n"


@BOTH
def test_where_the_inputs_are_lost_too_it_is_said_what_can_be_done(shared: Path, how: str) -> None:
    clone = shell.clone(shared)
    harm(shared, how)
    result = run_mlvc("repro", "--pull", cwd=clone, check=False)
    refused(
        result,
        4,
        "stage 'upper' has to run (output up is missing",
        f"data is needed and cannot be had: its object is {how} on remote 'store'",
        "`mlvc push` from a clone that has the data" if how == "damaged" else "`mlvc push` there restores",
    )
    assert "repro --pull" not in result.err  # that is what was just done
    assert not (clone / "log").exists()


@BOTH
def test_a_frozen_stage_says_why_it_cannot_be_brought_back(shared: Path, how: str) -> None:
    text = (shared / "mlvc.yaml").read_text().replace("    outs: [up]", "    outs: [up]\n    frozen: true")
    shell.write(shared, {"mlvc.yaml": text.encode()})
    shell.commit(shared)
    clone = shell.clone(shared)
    harm(shared, how)
    result = run_mlvc("repro", "--pull", "upper", cwd=clone, check=False)
    refused(result, 7, "its output up is missing and cannot be brought back: ", f"up is {how} on remote 'store'")


def test_a_dry_run_tells_it_and_remembers_nothing(shared: Path) -> None:
    clone = shell.clone(shared)
    shell.write(clone, {"data/a": b"a\n", "data/b": b"b\n"})
    harm(shared, "missing")
    told = json.loads(run_mlvc("repro", "--pull", "--dry-run", "--json", cwd=clone).out)
    assert told[0]["action"] == "run"
    assert "what is recorded of up is missing on remote 'store'" in told[0]["reasons"]


# -- Runs on a Remote --------------------------------------------------------------------------


def test_a_damaged_bundle_is_named_and_the_rest_is_done(shared: Path) -> None:
    computed(shared, 2)
    computed(shared, 3)
    bad, good = bundles(shared)
    count = len(decode(good.read_bytes(), 16))
    garble(bad)
    clone = shell.clone(shared)
    result = run_mlvc("fetch", "--run-cache", cwd=clone, check=False)
    refused(result, 4, "a bundle of Runs is damaged", str(bad.resolve()), "`mlvc push --run-cache`")
    assert f"{count} Run" in result.err
    assert run_mlvc("fetch", "--run-cache", cwd=clone, check=False).code == 4  # and again, until it is mended
    result = run_mlvc("pull", "--run-cache", "--json", cwd=clone, check=False)
    assert result.code == 4
    assert json.loads(result.out)["fetch"]["damaged"] == [str(bad.resolve())]
    assert (clone / "all").exists()
    result = run_mlvc("repro", "--pull", cwd=clone)
    assert f"damaged on remote 'store': {bad.resolve()}" in result.err
    # Nothing of it is here: it is told, and this clone has done all that it can.
    assert str(bad.resolve()) in run_mlvc("push", "--run-cache", cwd=clone, check=False).err
    assert run_mlvc("fetch", "--run-cache", cwd=clone, check=False).code == 4


def test_a_push_mends_a_damaged_bundle(shared: Path) -> None:
    computed(shared, 2)
    (bundle,) = bundles(shared)
    before = bundle.read_bytes()
    garble(bundle)
    told = json.loads(run_mlvc("push", "--run-cache", "--dry-run", "--json", cwd=shared).out)
    assert told["runs"] == 3
    assert bundle.read_bytes() != before
    told = json.loads(run_mlvc("push", "--run-cache", "--json", cwd=shared).out)
    assert (told["runs"], told["damaged"]) == (3, [])
    assert bundle.read_bytes() == before
    assert run_mlvc("fetch", "--run-cache", cwd=shell.clone(shared)).code == 0


def test_a_push_sends_what_was_in_a_damaged_bundle_and_is_known_here(shared: Path) -> None:
    computed(shared, 2)
    (bundle,) = bundles(shared)
    garble(bundle)
    shutil.rmtree(shared / ".git/mlvc/remotes")  # the copy; the Runs of this clone are elsewhere
    assert json.loads(run_mlvc("push", "--run-cache", "--json", cwd=shared).out)["runs"] == 3
    clone = shell.clone(shared)
    shell.write(clone, {"params.yaml": b"times: 2\n"})
    assert ran(clone, "--pull") == []


def test_a_push_of_runs_restores_what_the_remote_lost_of_them(shared: Path) -> None:
    shell.write(shared, {"mlvc.yaml": PIPELINE.replace("> all;", "> all; cat params.yaml >> all;").encode()})
    computed_here = (shared / "mlvc.yaml").read_bytes()
    shell.commit(shared)
    computed(shared, 2)
    harm(shared, "missing")
    told = json.loads(run_mlvc("push", "--run-cache", "--json", cwd=shared).out)
    assert told["runs"] == 0
    clone = shell.clone(shared)
    shell.write(clone, {"params.yaml": b"times: 2\n", "mlvc.yaml": computed_here})
    assert ran(clone, "--pull") == []
    assert (clone / "all").read_bytes() == b"A\nB\ntimes: 2\n"


# -- here --------------------------------------------------------------------------------------


def test_an_output_that_turns_out_damaged_here_is_fetched(shared: Path) -> None:
    clone = shell.clone(shared)
    run_mlvc("pull", cwd=clone)
    (clone / "all").unlink()
    for pack in packs(clone / ".git/mlvc"):
        garble(pack)
    assert outcomes(clone) == {"upper": "unchanged", "count": "restore"}  # nobody has read it
    result = run_mlvc("repro", "--pull", cwd=clone)
    assert "all cannot be restored: its object is damaged" in result.err
    assert (clone / "all").read_bytes() == b"A\nB\n"
    assert not (clone / "log").exists()


def test_an_output_that_turns_out_damaged_here_is_computed(shared: Path) -> None:
    (shared / "all").unlink()
    for pack in packs(shared / ".git/mlvc"):
        garble(pack)
    assert ran(shared) == ["count"]
    assert (shared / "all").read_bytes() == b"A\nB\n"
