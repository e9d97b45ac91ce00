"""Sharing of results where something is damaged, gone or false, on a Remote or here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlvc.hashing import Hashing
from mlvc.store.bundles import decode, encode
from tests.helpers import SOURCES, Result, run, run_mlvc, shell
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


# -- what happens in the middle of it ----------------------------------------------------------

WITH = """
import errno, os, signal, shutil, sys
from mlvc import files
from mlvc.cli.main import main
from mlvc.store.blobs import DirectoryBlobs
from mlvc.store.remote import RemoteStore
{change}
sys.exit(main(sys.argv[1:]))
"""


def altered(root: Path, change: str, *args: str) -> Result:
    """A command of mlvc in which something is not as it should be."""
    code = WITH.format(change=change)
    return run([sys.executable, "-c", code, *args], cwd=root, check=False, env={"PYTHONPATH": str(SOURCES)})


def test_a_pack_that_goes_between_the_listing_and_the_fetch(shared: Path) -> None:
    computed(shared, 2)
    clone = shell.clone(shared)
    shell.write(clone, {"data/a": b"a\n", "data/b": b"b\n", "params.yaml": b"times: 2\n"})
    gone = f"""
before = RemoteStore.fetch_records
def fetch_records(*args, **kwargs):
    shutil.rmtree({str(store(shared) / "packs")!r})
    return before(*args, **kwargs)
RemoteStore.fetch_records = fetch_records
"""
    result = altered(clone, gone, "repro", "--pull")
    assert result.code == 0, result
    assert all(f"what is recorded of {path} is " in result.err for path in ("up", "all"))
    assert (clone / "log").read_text().split() == ["upper", "count"]
    assert (clone / "all").read_bytes() == b"A\nB\n"


def test_kill_9_while_results_are_brought(shared: Path) -> None:
    computed(shared, 2)
    killed = """
left, before = [{count}], files.{name}
def counted(*args, **kwargs):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(*args, **kwargs)
files.{name} = counted
"""
    for name in ("replace", "make_dirs", "remove"):
        for count in (0, 2, 5):
            clone = shell.clone(shared, shared.parent / f"{name}{count}")
            shell.write(clone, {"params.yaml": b"times: 2\n"})
            altered(clone, killed.format(name=name, count=count), "repro", "--pull")
            assert ran(clone, "--pull") == []
            assert (clone / "all").read_bytes() == b"A\nB\n"
            assert outcomes(clone, "--allow-missing") == {"upper": "unchanged", "count": "unchanged"}
            assert run_mlvc("fsck", cwd=clone, check=False).err.count("damaged") == 0


READ_ONLY = """
def refused(self, name, *args):
    raise PermissionError(errno.EACCES, "Permission denied", name)
DirectoryBlobs.write = DirectoryBlobs.delete = refused
"""


def test_a_remote_that_may_only_be_read(shared: Path) -> None:
    computed(shared, 2)
    shell.write(shared, {"params.yaml": b"times: 3\n"})
    run_mlvc("repro", cwd=shared)
    before = shell.image(store(shared))
    refused(altered(shared, READ_ONLY, "push", "--run-cache"), 6, "remote 'store'", "may you write there")
    assert shell.image(store(shared)) == before
    clone = shell.clone(shared)
    assert altered(clone, READ_ONLY, "fetch", "--run-cache").code == 0
    shell.write(clone, {"params.yaml": b"times: 2\n"})
    assert altered(clone, READ_ONLY, "repro", "--pull").code == 0
    assert not (clone / "log").exists()
    assert run_mlvc("push", "--run-cache", cwd=shared).code == 0


def test_two_that_push_at_once_lose_no_run(shared: Path) -> None:
    run_mlvc("push", "--run-cache", cwd=shared)
    clones = [shell.clone(shared, f"clone{number}") for number in range(3)]
    for number, clone in enumerate(clones):
        run_mlvc("pull", cwd=clone)
        shell.write(clone, {"params.yaml": b"times: %d\n" % (10 + number)})
        run_mlvc("repro", cwd=clone)
    command = [sys.executable, "-P", "-m", "mlvc", "push", "--run-cache"]
    sending = [subprocess.Popen(command, cwd=clone, stderr=subprocess.DEVNULL) for clone in [*clones, clones[0]]]
    assert [process.wait(60) for process in sending] == [0] * 4
    other = shell.clone(shared, "other")
    for number in range(3):
        shell.write(other, {"params.yaml": b"times: %d\n" % (10 + number)})
        assert ran(other, "--pull") == []


# -- what a Run says ---------------------------------------------------------------------------


def test_a_run_that_names_other_objects_is_believed_only_if_they_can_be_had(shared: Path) -> None:
    """Its key says nothing of its outputs: whoever can write there can say what they are. Nothing else can be said."""
    computed(shared, 2)
    (bundle,) = bundles(shared)
    rows = {key: found[0] for key, found in decode(bundle.read_bytes(), 16).items()}
    bundle.unlink()
    for key, record in rows.items():
        value = json.loads(record)
        if value["params"] == {"params.yaml": {"times": 2}}:
            value["outs"]["all"]["oid"] = "xxh128:" + "7" * 32
            rows[key] = json.dumps(value).encode()
    data = encode(rows.items(), 16)
    (bundle.parent / f"{Hashing('xxh128').of(data).hex()}.runs").write_bytes(data)
    clone = shell.clone(shared)
    shell.write(clone, {"params.yaml": b"times: 2\n"})
    assert outcomes(clone, "--pull") == {"upper": "restore", "count": "run"}
    assert ran(clone, "--pull") == ["count"]
    assert (clone / "all").read_bytes() == b"A\nB\n"


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
