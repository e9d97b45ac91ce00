"""Sharing of results where something is damaged, gone or false, on a Remote or here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers import run_mlvc, shell
from tests.helpers.sharing import outcomes, ran, store
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
