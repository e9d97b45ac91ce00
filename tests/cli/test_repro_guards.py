"""What ``repro`` refuses, keeps apart and tells, so that no result is wrong and nothing outside is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers import Result, run_mlvc


def fails(code: int, *words: str) -> Result:
    """A command that must end with this code."""
    done = run_mlvc(*words, check=False)
    assert done.code == code, done
    return done


def pipeline(text: str) -> None:
    Path("mlvc.yaml").write_text(text)


def test_nothing_is_put_behind_a_symbolic_link(root):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "x").write_text("precious")
    (root / "out").symlink_to("../outside")
    pipeline("stages:\n  a:\n    cmd: echo made > out/x\n    outs: [out/x]\n")
    for words in (["repro"], ["repro", "--dry-run"]):
        done = fails(2, *words)
        assert "mlvc.yaml, line 4, column 12" in done.err
        assert f"'out/x' lies behind a symbolic link, to {outside}" in done.err
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"x": "precious"}


def test_each_line_of_a_command_is_one_and_the_first_that_fails_ends_the_stage(root):
    pipeline("stages:\n  a:\n    cmd: |\n      false\n      echo made > out\n    outs: [out]\n")
    assert "failed with exit code 1: false" in fails(7, "repro").err
    assert not Path("out").exists()
    pipeline("stages:\n  a:\n    cmd: |\n\n      echo one > out\n      echo two >> out\n    outs: [out]\n")
    run_mlvc("repro")
    assert Path("out").read_text() == "one\ntwo\n"
    assert json.loads(Path("mlvc.lock").read_text())["stages"]["a"]["cmd"] == ["echo one > out", "echo two >> out"]


def test_a_variable_that_is_not_set_is_not_one_that_is_empty(root):
    pipeline("stages:\n  a:\n    cmd: echo \\${Z-unset} > out\n    env: [Z]\n    outs: [out]\n")
    run_mlvc("repro")
    assert Path("out").read_text() == "unset\n"
    assert "environment variable Z" in run_mlvc("repro", env={"Z": ""}).err
    assert Path("out").read_text() == "\n"
    run_mlvc("repro")
    assert Path("out").read_text() == "unset\n"


def test_with_keep_going_every_failure_says_why(root):
    pipeline(
        "stages:\n"
        "  a: {cmd: 'false', outs: [a]}\n"
        "  b: {cmd: 'true', outs: [b]}\n"
        "  c: {cmd: 'exit 5', outs: [c]}\n"
        "  d: {cmd: 'mkfifo d', outs: [d]}\n"
        "  e: {cmd: 'echo > e', outs: [e]}\n"
    )
    told = fails(7, "repro", "-k").err
    assert "mlvc.yaml, line 2, column 3: the command of stage 'a' failed with exit code 1" in told
    assert "mlvc.yaml, line 3, column 27: the command of stage 'b' ended well but did not make its output 'b'" in told
    assert "mlvc.yaml, line 4, column 3: the command of stage 'c' failed with exit code 5" in told
    assert "mlvc.yaml, line 5, column 3: what stage 'd' made cannot be taken in: d is a FIFO" in told
    assert "4 failed, 1 ran" in told
    assert Path("e").exists()


LACKING = (
    "stages:\n"
    "  a: {cmd: cp nix a, deps: [nix], outs: [a]}\n"
    "  b: {cmd: cp a b, deps: [a], outs: [b]}\n"
    "  c: {cmd: echo > c, params: [params.yaml: [lr]], outs: [c]}\n"
    "  d: {cmd: echo > d, outs: [d]}\n"
)
NO_DEPENDENCY = "mlvc.yaml, line 2, column 29: the dependency 'nix' of stage 'a' is not there"
NO_PARAMETER = "the parameter file 'params.yaml' is not there"


def test_with_keep_going_what_is_not_there_makes_only_its_stage_fail(root):
    pipeline(LACKING)
    told = fails(2, "repro", "-k").err
    assert NO_DEPENDENCY in told
    assert NO_PARAMETER in told
    assert "2 failed, 1 blocked, 1 ran" in told
    assert Path("d").exists()


def test_without_keep_going_what_is_not_there_stops_all_but_targets_that_do_not_need_it(root):
    pipeline(LACKING)
    assert NO_DEPENDENCY in fails(2, "repro").err
    assert not Path("d").exists()
    assert "1 ran" in run_mlvc("repro", "d").err


@pytest.mark.parametrize("more", [[], ["--keep-going"], ["--json"], ["--interactive"]])
def test_a_dry_run_shows_the_plan_with_what_is_not_there(root, more):
    pipeline(LACKING)
    done = fails(2, "repro", "--dry-run", *more)
    if more == ["--json"]:
        shown = {each["stage"]: (each["action"], *each["reasons"]) for each in json.loads(done.out)}
        assert shown["a"] == ("cannot run", NO_DEPENDENCY)
        assert shown["d"] == ("run", "never run")
    else:
        a, b, c, d = done.out.splitlines()
        assert a == f"a: cannot run ({NO_DEPENDENCY})"
        assert b == "b: may run (never run; waits for a)"
        assert c.startswith("c: cannot run (")
        assert NO_PARAMETER in c
        assert d == "d: run (never run)"
    assert NO_DEPENDENCY in done.err
    assert run_mlvc("repro", "--dry-run", "--interactive", "d").out == "d: run (never run)\n"


def test_a_stage_that_was_never_run_tells_what_it_lacks(root):
    pipeline("stages:\n  a: {cmd: 'cp nix out', deps: [nix], outs: [out]}\n")
    assert "never run; dependency nix is missing" in run_mlvc("status").out
    assert "dependency nix is missing" in run_mlvc("why", "a").out


def test_a_stage_that_is_skipped_and_was_named_tells_why(root):
    pipeline("stages:\n  a: {cmd: 'true', when: false, outs: [out]}\n")
    told = run_mlvc("repro", "a").err
    assert "Stage 'a' is skipped" in told
    assert "1 skipped" in told


def test_a_stray_directory_is_in_nobodys_way(root):
    """Where claims, records of Runs and tables of items are."""
    pipeline(
        "stages:\n"
        "  a: {cmd: cp in/1 a, deps: [in/1], outs: [a]}\n"
        "  b: {cmd: 'cp ${item.path} ${out}', each: 'in/*', outs: [b]}\n"
    )
    Path("in").mkdir()
    Path("in/1").write_text("1")
    run_mlvc("repro")
    run_mlvc("repro", "--force", "--no-commit", "--single-item", "a")
    kept = Path(".git/mlvc")
    records = [path for kind in ("runs", "items", "unstored") for path in kept.glob(f"{kind}/*/*.json")]
    assert len(records) == 4
    for record in records:
        record.unlink()
        record.mkdir()
        (record / "inside").touch()
    (kept / "claims/stray").mkdir()
    (kept / "claims/stray/inside").touch()
    assert "2 ran" in run_mlvc("repro", "--force").err
    for path in ("a", "b/1"):
        assert Path(path).read_text() == "1"
    assert "2 unchanged" in run_mlvc("repro").err
    assert "1 ran" in run_mlvc("repro", "--force", "--no-commit", "--single-item", "a").err
    assert all((stray / "inside").exists() for stray in [*records, kept / "claims/stray"])


def test_a_directory_in_the_place_of_the_guard_is_named(root):
    pipeline("stages:\n  a: {cmd: echo > a, outs: [a]}\n")
    Path(".git/mlvc/claims/guard").mkdir(parents=True)
    told = fails(8, "repro").err
    assert "mlvc/claims/guard" in told
    assert "move away" in told


def test_commands_know_who_they_are(root):
    (root / "sub").mkdir()
    text = "stages:\n  a:\n    cmd: echo $DVC_STAGE $DVC_ROOT $MLVC_STAGE $MLVC_ROOT > out\n    outs: [out]\n"
    (root / "sub/mlvc.yaml").write_text(text)
    run_mlvc("repro")
    name = "sub/mlvc.yaml:a"
    assert (root / "sub/out").read_text() == f"{name} {root} {name} {root}\n"


def test_a_pipeline_file_stands_for_its_stages(root):
    (root / "sub").mkdir()
    (root / "sub/mlvc.yaml").write_text("stages:\n  a: {cmd: echo > a, outs: [a]}\n  b: {cmd: echo > b, outs: [b]}\n")
    pipeline("stages:\n  top: {cmd: echo > top, outs: [top]}\n")
    assert "2 ran" in run_mlvc("repro", "sub/mlvc.yaml").err
    assert not (root / "top").exists()
    assert "1 ran" in run_mlvc("repro", "mlvc.yaml").err


SHELLS = [("/bin/bash", "bash\n"), ("/no/such/bash", "other\n"), ("/usr/bin/env", "other\n"), ("", "other\n")]


@pytest.mark.parametrize(("shell", "told"), SHELLS)
def test_commands_run_in_the_shell_of_the_user(root, shell, told):
    command = 'test -n "$BASH_VERSION" && echo bash > out || echo other > out'
    pipeline(f"stages:\n  a:\n    cmd: {command}\n    outs: [out]\n")
    run_mlvc("repro", env={"SHELL": shell})
    assert Path("out").read_text() == told


def test_a_line_without_end_is_one_event_and_costs_no_more_than_its_length(root):
    pipeline("stages:\n  a: {cmd: 'head -c 3000000 /dev/zero | tr \"\\0\" x; echo; echo > out', outs: [out]}\n")
    lines = [json.loads(line) for line in run_mlvc("repro", "--json").out.splitlines()]
    texts = [line["text"] for line in lines if line["event"] == "line"]
    assert "".join(texts) == "x" * 3_000_000
    assert 3 <= len(texts) <= 5


@pytest.mark.parametrize("path", [".mlvc/config.toml", "mlvc.yaml", "sub/.gitignore", ".gitattributes"])
def test_a_lockfile_that_names_what_mlvc_or_git_reads_is_refused(root, path):
    pipeline("stages:\n  a: {cmd: echo > out, outs: [out]}\n")
    run_mlvc("repro")
    lock = Path("mlvc.lock")
    lock.write_text(lock.read_text().replace('"out": {', f'"{path}": {{'))
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and ".git/" not in str(p)}
    done = fails(2, "checkout", "--force")
    assert f"names the output '{path}', which Git or mlvc reads" in done.err
    assert before == {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and ".git/" not in str(p)}


def test_a_parameter_that_is_named_twice_is_told_once(root):
    Path("params.yaml").write_text("train: {lr: 1, n: 1}\n")
    pipeline("stages:\n  a: {cmd: echo > out, params: [train.lr, train], outs: [out]}\n")
    run_mlvc("repro")
    Path("params.yaml").write_text("train: {lr: 2, n: 1}\n")
    (decision,) = json.loads(run_mlvc("repro", "--dry-run", "--json").out)
    assert decision["reasons"] == ["parameter params.yaml:train.lr is 2, was 1"]
    assert run_mlvc("why", "a").out.count("train.lr") == 1
