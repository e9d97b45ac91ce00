"""Claims between real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlvc
from mlvc.pipeline.claimfiles import HeldClaims, overlap
from mlvc.pipeline.claims import Held, Share

ROOT = str(Path(mlvc.__file__).parents[1])
OTHER = """
import subprocess, sys
from mlvc.pipeline.claimfiles import HeldClaims
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


def process(place, number):
    """Claims of another working tree, named as those of another process are."""
    return HeldClaims(str(place), f"tree {number}", _count=1000 * number)


GPU = Share({"gpu": 1.0, "disk": 1.0}, {"gpu": 2.0})


def test_what_is_limited_is_shared_by_all_processes_and_trees(place):
    ours, theirs = process(place, 1), process(place, 2)
    first = ours.claim("a", ["x"], ["y"], GPU, 1)
    second = theirs.claim("b", ["y"], ["x"], GPU)  # the paths are others in another working tree
    assert second.use(1) is None
    told = str(ours.claim("c", [], [], GPU, 1))
    assert told == f"gpu: 2 of 2 in use, 1 of it by stage 'b' of another `mlvc repro` (process {os.getpid()})"
    third = ours.claim("c", [], [], GPU)
    assert third.use(1).lacks == "gpu: 2 of 2 in use, 1 of it"
    assert first.use(2).lacks == "gpu: 2 of 2 in use, 1 of it"
    second.release()
    assert (first.use(2), first.use(1), third.use(1)) == (None, None, None)
    told = str(theirs.claim("b", [], [], Share({"gpu": 1}, {"gpu": 1}), 1))
    assert told == f"gpu: 2 of 1 in use by stage 'a' of another `mlvc repro` (process {os.getpid()}) and 1 more"
    first.release()
    third.release()
    assert os.listdir(place) == ["guard"]


def test_what_a_killed_process_has_taken_counts_for_nothing(place, other):
    process, _ = other()
    (name,) = {*os.listdir(place)} - {"guard"}
    written = (place / name).read_bytes()
    (place / name).write_bytes(written.replace(b'"takes": {}', b'"takes": {"gpu": 2}').replace(b"0 ", b"1 "))
    claims = HeldClaims(str(place))
    assert str(claims.claim("ours", [], [], GPU, 1)).startswith("gpu: 2 of 2 in use by stage 'theirs'")
    process.kill()
    process.wait()
    claims.claim("ours", [], [], GPU, 1).release()
    assert os.listdir(place) == ["guard"]


LIMITS = {"gpu": 2.0, "cpus": 3.0}
STEP = st.tuples(
    st.integers(0, 2),
    st.integers(0, 3),
    st.fixed_dictionaries({what: st.sampled_from([0.0, 0.5, 2.0]) for what in LIMITS}),
)


@settings(deadline=None, max_examples=60)
@given(steps=st.lists(STEP, max_size=15))
def test_a_claim_is_refused_only_as_long_as_others_run(tmp_path_factory, steps):
    """Three processes that have so many jobs, now and then: no more is in use than there is, and nobody waits for one
    that waits."""
    place = str(tmp_path_factory.mktemp("claims"))
    processes = [process(place, number) for number in range(3)]
    running = {}
    for at, wanted, drawn in steps:
        claim, takes, before = running.pop(at, (None, drawn, 0))
        if claim is not None and not wanted:
            claim.release()
            continue
        too_many = any(amount * wanted > LIMITS[what] for what, amount in takes.items())
        jobs = before if too_many else wanted  # its own Schedule keeps each process within the limits
        used = {what: sum(other[what] * many for _, other, many in running.values()) for what in LIMITS}
        fits = all(amount * jobs <= max(LIMITS[what] - used[what], amount * before) for what, amount in takes.items())
        if claim is not None:
            held = claim.use(jobs)
        else:
            claim = held = processes[at].claim("s", [], [], Share(takes, LIMITS), jobs)
        assert isinstance(held, Held) is not fits
        if fits or before or claim is not held:
            running[at] = claim, takes, jobs if fits else before
    for claim, _, _ in running.values():
        claim.release()
    assert set(os.listdir(place)) <= {"guard"}


def test_overlap():
    assert overlap([""], ["a"])
    assert not overlap([""], [])
    assert overlap(["a/b"], ["a"])
    assert overlap(["a"], ["a/b/c"])
    assert overlap(["a"], ["b", "a"])
    assert not overlap(["a"], ["ab"])
    assert not overlap([], ["a"])
    assert not overlap(["a/b"], ["a/c"])
