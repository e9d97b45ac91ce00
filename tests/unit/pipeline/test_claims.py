"""Claims between real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlvc
from mlvc.pipeline.claims import Held, HeldClaims, overlap

ROOT = str(Path(mlvc.__file__).parents[1])
OTHER = """
import subprocess, sys
from mlvc.pipeline.claims import HeldClaims
claims = HeldClaims(sys.argv[1])
claim = claims.claim("theirs", ["r", "deep/d"], ["w", "dir"])
if len(sys.argv) > 2:
    command = subprocess.Popen(["sleep", "60"], pass_fds=[claim.fd], stdin=-3, stdout=-3)  # to nowhere
    claim.started(command.pid)
    print(command.pid, flush=True)
else:
    print(flush=True)
sys.stdin.read()
claim.release()
print("released", flush=True)
sys.stdin.close()
"""


@pytest.fixture
def place(tmp_path):
    return tmp_path / "claims"


@pytest.fixture
def other(place):
    """Begin another process that has claims; with an argument, a command of it holds them too."""
    begun = []

    def begin(*args):
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(place), *args],
            env=os.environ | {"PYTHONPATH": ROOT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process, process.stdout.readline().strip()

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("reads", "writes", "fits"),
    [
        (["r"], ["x"], True),
        (["deep"], [], True),
        (["w"], ["x"], False),
        (["dir/inner"], [], False),
        ([], ["r"], False),
        ([], ["deep"], False),
        ([], ["deep/d/e"], False),
        ([], ["w"], False),
        ([], ["dire"], True),
        ([], [], True),
    ],
)
def test_what_does_not_fit_is_held(place, other, reads, writes, fits):
    process, _ = other()
    claims = HeldClaims(str(place))
    found = claims.claim("ours", reads, writes)
    if fits:
        found.release()
    else:
        assert found == Held("theirs", process.pid)
        assert str(found) == f"stage 'theirs' of another `mlvc repro` (process {process.pid})"
    assert process.communicate()[0] == "released\n"
    claims.claim("ours", reads, writes).release()
    assert os.listdir(place) == ["guard"]


def test_a_command_that_outlives_its_mlvc_keeps_the_claim(place, other):
    process, group = other("command")
    process.kill()
    process.wait()
    claims = HeldClaims(str(place))
    try:
        found = claims.claim("ours", ["w"], [])
        assert found == Held("theirs", int(group), alone=True)
        assert str(found) == f"stage 'theirs', which a killed `mlvc repro` left running (process {group})"
        claims.claim("elsewhere", ["x"], ["y"]).release()
    finally:
        os.kill(int(group), 9)
    while isinstance(taken := claims.claim("ours", ["w"], []), Held):
        pass
    taken.release()
    assert os.listdir(place) == ["guard"]


def test_what_is_released_is_free_while_something_of_the_command_still_runs(place, other):
    process, group = other("command")
    try:
        assert process.communicate()[0] == "released\n"
        HeldClaims(str(place)).claim("ours", ["w"], ["dir"]).release()
    finally:
        os.kill(int(group), 9)


def test_own_claims_fit_and_a_damaged_file_counts_for_nothing(place):
    claims = HeldClaims(str(place))
    one, two = claims.claim("a", ["x"], ["y"]), claims.claim("b", ["x"], ["y/z"])
    (place / "junk").write_bytes(b"{")
    one.release()
    two.release()
    claims.claim("c", [], ["y"]).release()
    assert os.listdir(place) == ["guard"]


def test_overlap():
    assert overlap([""], ["a"])
    assert not overlap([""], [])
    assert overlap(["a/b"], ["a"])
    assert overlap(["a"], ["a/b/c"])
    assert overlap(["a"], ["b", "a"])
    assert not overlap(["a"], ["ab"])
    assert not overlap([], ["a"])
    assert not overlap(["a/b"], ["a/c"])
