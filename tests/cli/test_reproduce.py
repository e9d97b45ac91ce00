"""``reproduce``: whether the results of a revision come out again, and that nothing else changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import SOURCES, Result, git, run_mlvc, shell

PIPELINE = """\
stages:
  upper:
    cmd: tr a-z A-Z < data/one.txt > upper.txt
    deps: [data/one.txt]
    outs: [upper.txt]
  split:
    cmd: python3 split.py
    deps: [upper.txt, split.py, model.bin]
    params: [parts]
    outs: [parts]
    metrics: [scores.json: {cache: false}]
"""
SPLIT = """\
import json, os
count = int(open("params.yaml").read().split(":")[1])
os.makedirs("parts/deep")
for number in range(count):
    with open(f"parts/{number}.bin", "wb") as file:
        file.write(bytes(3000) + open("upper.txt", "rb").read() * number)
open("parts/deep/same", "w").write("same")
json.dump({"lines": 1, "auc": {"test": 0.5}}, open("scores.json", "w"))
"""


def prepare(project: Path) -> Path:
    shell.write(project, {"mlvc.yaml": PIPELINE.encode(), "params.yaml": b"parts: 3\n", "split.py": SPLIT.encode()})
    run_mlvc("repro", cwd=project)
    shell.commit(project, "results")
    git("tag", "v1", cwd=project)
    return project


@pytest.fixture
def past(scenes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A project whose results were recorded at ``v1``; since then everything has changed."""
    if "past" not in scenes:
        scenes["past"] = tmp_path_factory.mktemp("past")
        root = prepare(shell.project(scenes["past"] / "project"))
        run_mlvc("push", cwd=root)
        shell.write(root, {"data/one.txt": b"other\n", "params.yaml": b"parts: 2\n", "split.py": b"raise SystemExit\n"})
        run_mlvc("commit", cwd=root)
        shell.write(root, {"mlvc.yaml": b"stages: {now: {cmd: 'echo > now.txt', outs: [now.txt]}}\n"})
        run_mlvc("repro", cwd=root)
        shell.commit(root, "later")
    return shell.copied(scenes["past"], tmp_path / "work" / "scene") / "project"


def edited(root: Path, change: Callable[[str], str], *, tag: str = "v2") -> None:
    """Commit the results of ``v1`` with another program that is said to have made them: one that is not steady."""
    git("checkout", "--quiet", "v1", cwd=root)
    run_mlvc("checkout", cwd=root)
    (root / "split.py").write_text(change(SPLIT))
    run_mlvc("repro", cwd=root)
    shell.commit(root, "unsteady")
    git("tag", tag, cwd=root)


UNSTEADY = "open('parts/new-%d' % os.getpid(), 'w'); "


def outputs(result: Result) -> dict[str, dict[str, object]]:
    value = json.loads(result.out)
    return {out["path"]: out for stage in value["stages"] for out in stage["outputs"]}


def test_a_past_result_comes_out_again_and_nothing_else_changes(past: Path) -> None:
    shell.write(past, {"notes": b"not tracked", "data/one.txt": b"edited and not committed\n"})
    git("add", "notes", cwd=past)
    before = shell.image(past, git_index=True)
    result = run_mlvc("reproduce", "v1", cwd=past)
    assert result.out.splitlines() == [
        "upper: ran",
        "  identical  upper.txt",
        "split: ran",
        "  identical  parts",
        "  identical  scores.json",
    ]
    assert result.err.splitlines()[-1].endswith("as recorded (3 identical)")
    assert shell.image(past, git_index=True) == before
    assert git("worktree", "list", cwd=past).count("\n") == 0
    assert run_mlvc("reproduce", "v1", "--json", cwd=past / "data").code == 0


def test_what_differs_is_told_down_to_the_byte(past: Path) -> None:
    edited(
        past,
        lambda text: (
            text.replace("bytes(3000)", "bytes(2000) + os.urandom(9) + bytes(991)").replace(
                "0.5", "0.5 + os.getpid() * 1e-12"
            )
            + "open('parts/deep/made-%d' % os.getpid(), 'w')\n"
        ),
    )
    result = run_mlvc("reproduce", "v2", "--json", cwd=past, check=False)
    assert result.code == 1
    found = outputs(result)
    assert found["upper.txt"] == {"path": "upper.txt", "verdict": "identical", "differences": []}
    changes = {(each["change"], each["file"]) for each in found["parts"]["differences"]}
    assert {("bytes", "0.bin"), ("bytes", "1.bin"), ("bytes", "2.bin")} < changes
    assert sorted(change for change, file in changes if file.startswith("deep/made")) == ["added", "gone"]
    # The first random bytes may be the same by chance.
    assert all(2000 <= each["offset"] < 2009 for each in found["parts"]["differences"] if each["change"] == "bytes")
    assert [(each["key"], each["recorded"] != each["now"]) for each in found["scores.json"]["differences"]] == [
        ("auc.test", True)
    ]
    shown = run_mlvc("reproduce", "v2", "scores.json", cwd=past, check=False)
    assert "  different  scores.json: auc.test is 0.5" in shown.out
    assert "  different  parts: 5 differences\n    0.bin differs from byte 2,00" in shown.out


def test_tolerance(past: Path) -> None:
    edited(past, lambda text: text.replace("0.5", "0.5 + os.getpid() * 1e-12"))
    assert outputs(run_mlvc("reproduce", "v2", "--json", "--tolerance", "1e-3", cwd=past))["scores.json"][
        "verdict"
    ] == ("within tolerance")
    for words in (["scores.json:auc=1e-3"], ["1e-3", "scores.json:lines=0"], ["../project/scores.json=1e-3"]):
        args = [word for each in words for word in ("--tolerance", each)]
        assert "within tolerance  scores.json: auc.test is" in run_mlvc("reproduce", "v2", *args, cwd=past).out
    for words in (["1e-13"], ["1e-3", "scores.json:auc.test=0"], ["scores.json:lines=1"]):
        args = [word for each in words for word in ("--tolerance", each)]
        assert run_mlvc("reproduce", "v2", *args, cwd=past, check=False).code == 1
    shell.refused(run_mlvc("reproduce", "v2", "--tolerance", "x.json=1", cwd=past, check=False), 2, "x.json")
    shell.refused(run_mlvc("reproduce", "v2", "--tolerance", "much", cwd=past, check=False), 2, "much")
    for word, told in (
        ("upper.txt=1", "upper.txt, which is no file of values"),
        ("parts=1", "parts, which is a directory"),
        ("scores.json:auc.tset=1", "did you mean 'auc.test'?"),
    ):
        result = run_mlvc("reproduce", "v2", "--tolerance", word, cwd=past, check=False)
        shell.refused(result, 2, told)
        assert result.out == ""


@pytest.mark.parametrize("cache", ["true", "false"])
def test_tolerance_of_a_metric_that_is_one_number(project: Path, cache: str) -> None:
    text = f"stages: {{s: {{cmd: 'echo $ACC > acc.txt', metrics: [acc.txt: {{cache: {cache}}}]}}}}\n"
    (project / "mlvc.yaml").write_text(text)
    run_mlvc("repro", cwd=project, env={"ACC": "0.91"})
    shell.commit(project)
    env = {"ACC": "0.92"}
    for tolerance, code in (([], 1), (["--tolerance", "0.1"], 0), (["--tolerance", "acc.txt=0.001"], 1)):
        result = run_mlvc("reproduce", "HEAD", *tolerance, cwd=project, env=env, check=False)
        assert (result.code, "acc.txt: is 0.92, was 0.91" in result.out) == (code, True)


def test_the_order_of_keys_counts_for_nothing_with_a_tolerance(past: Path) -> None:
    edited(
        past,
        lambda text: text.replace('{"lines": 1,', '{**({"lines": 1} if "R" in os.environ else {}),').replace(
            '"test": 0.5}}', '"test": 0.5}, "lines": 1}'
        ),
    )
    assert run_mlvc("reproduce", "v2", cwd=past, env={"R": "1"}, check=False).code == 1
    result = run_mlvc("reproduce", "v2", "--tolerance", "0", cwd=past, env={"R": "1"})
    assert "  within tolerance  scores.json\n" in result.out


def test_targets(past: Path) -> None:
    def ran(*args: str, cwd: Path = past) -> list[str]:
        return [
            each["stage"] for each in json.loads(run_mlvc("reproduce", "v1", "--json", *args, cwd=cwd).out)["stages"]
        ]

    assert ran("upper") == ["upper"]
    assert ran("../parts", cwd=past / "data") == ["upper", "split"]
    # What it needs is taken as it was recorded.
    assert ran("-s", "split") == ["split"]
    shell.refused(run_mlvc("reproduce", "v1", "now", cwd=past, check=False), 2, "at v1: 'now' is neither")
    # A path means what it means where the user stands.
    assert ran(str(past / "parts")) == ["upper", "split"]
    assert ran(str(past / "mlvc.yaml")) == ["upper", "split"]
    for outside in ("../../x", str(past.parent / "x"), "/"):
        result = run_mlvc("reproduce", "v1", outside, cwd=past / "data", check=False)
        shell.refused(result, 2, f"{outside} is outside the repository at {past}")
        assert ".git/mlvc" not in result.err


def test_in_a_clone_inputs_are_fetched_and_outputs_are_not(past: Path) -> None:
    clone = shell.clone(past)
    shell.refused(
        run_mlvc("reproduce", "v1", "--no-fetch", cwd=clone, check=False),
        4,
        "data",
        "leave out --no-fetch, or get it with `mlvc fetch --rev v1`",
    )
    assert run_mlvc("reproduce", "v1", cwd=clone).code == 0
    assert run_mlvc("reproduce", "v1", "--no-fetch", cwd=clone).code == 0
    assert not (clone / "upper.txt").exists()
    assert git("status", "--porcelain", cwd=clone) == ""


def test_inputs_that_nobody_has(past: Path) -> None:
    clone = shell.clone(past)
    for pack in (past.parent / "remote/packs").rglob("*"):
        if pack.is_file():
            pack.unlink()
    result = run_mlvc("reproduce", "v1", cwd=clone, check=False)
    shell.refused(
        result, 4, "at v1: data", "object is missing", "cannot give it either: `mlvc push --rev v1` in a clone"
    )
    assert git("worktree", "list", cwd=clone).count("\n") == 0


def test_an_input_that_is_kept_nowhere_is_named(project: Path) -> None:
    shell.write(
        project,
        {
            ".gitignore": b"/local.txt\n",
            "local.txt": b"only here",
            "mlvc.yaml": b"stages: {copy: {cmd: cp local.txt out, deps: [local.txt], outs: [out]}}\n",
        },
    )
    run_mlvc("repro", cwd=project)
    shell.commit(project)
    result = run_mlvc("reproduce", "HEAD", cwd=project, check=False)
    shell.refused(result, 4, "'local.txt' of stage 'copy' is neither in Git at HEAD nor tracked there")


def test_a_revision_that_was_not_up_to_date_says_what_had_changed(past: Path) -> None:
    git("checkout", "--quiet", "v1", cwd=past)
    shell.write(past, {"params.yaml": b"parts: 4\n"})
    shell.commit(past, "not run")
    result = run_mlvc("reproduce", "HEAD", cwd=past, check=False)
    assert result.code == 1
    assert "split: ran (parameter params.yaml:parts is 4, was 3)" in result.out
    assert "  different  parts: 3.bin is new" in result.out


def test_a_stage_that_fails_and_what_needs_it(past: Path) -> None:
    git("checkout", "--quiet", "v1", cwd=past)
    text = PIPELINE.replace("tr a-z A-Z <", "exit 5;") + "  alone: {cmd: echo 1 > alone, outs: [alone]}\n"
    (past / "mlvc.yaml").write_text(text)
    shell.commit(past, "broken")
    result = run_mlvc("reproduce", "HEAD", "--json", cwd=past, check=False)
    assert result.code == 7
    shell.ends(result, "'upper'", "exit code 5", "`--keep DIR` leaves the working tree to look at")
    value = json.loads(result.out)
    assert {stage["stage"]: stage["outcome"] for stage in value["stages"]} == {
        "upper": "failed",
        "split": "blocked",
        "alone": "ran",
    }
    assert {out["verdict"] for out in outputs(result).values()} == {"not made", "not recorded"}
    assert not value["as_recorded"]


def test_frozen_stages_are_not_run_unless_they_are_named(past: Path) -> None:
    git("checkout", "--quiet", "v1", cwd=past)
    (past / "mlvc.yaml").write_text(
        PIPELINE.replace("    outs: [upper.txt]", "    outs: [upper.txt]\n    frozen: true")
    )
    shell.commit(past, "frozen")
    value = json.loads(run_mlvc("reproduce", "HEAD", "--json", cwd=past).out)
    assert [(each["stage"], each["outcome"], each["reasons"]) for each in value["stages"]] == [
        ("upper", "frozen", ["it is frozen: its outputs are inputs here, and were not made anew"]),
        ("split", "ran", []),
    ]
    assert value["stages"][0]["outputs"][0]["verdict"] == "not run"
    result = run_mlvc("reproduce", "HEAD", cwd=past)
    assert "upper: not run (it is frozen: its outputs are inputs here" in result.out
    assert result.err.splitlines()[-1].endswith("what ran is as recorded (1 not run, 2 identical)")
    value = json.loads(run_mlvc("reproduce", "HEAD", "upper", "--json", cwd=past).out)
    assert value["stages"][0]["outcome"] == "ran"
    for name in ("upper", "split"):
        run_mlvc("freeze", name, cwd=past)
    shell.commit(past, "all frozen")
    result = run_mlvc("reproduce", "HEAD", cwd=past, check=False)
    assert result.code == 1
    assert "nothing was run, so nothing is shown (3 not run)" in result.err


@pytest.mark.parametrize("targets", [[], ["split"]])
def test_a_recorded_stage_whose_condition_does_not_hold_now_is_not_as_recorded(past: Path, targets: list[str]) -> None:
    git("checkout", "--quiet", "v1", cwd=past)
    run_mlvc("checkout", cwd=past)
    (past / "mlvc.yaml").write_text(PIPELINE.replace("  split:\n", "  split:\n    when: ${env.SPLIT:-no} == 'yes'\n"))
    run_mlvc("repro", cwd=past, env={"SPLIT": "yes"})
    shell.commit(past, "with a condition")
    assert run_mlvc("reproduce", "HEAD", *targets, cwd=past, env={"SPLIT": "yes"}).code == 0
    result = run_mlvc("reproduce", "HEAD", *targets, cwd=past, check=False)
    assert result.code == 1
    assert (
        "split: not run (`when: ${env.SPLIT:-no} == 'yes'` does not hold, and mlvc.lock has its outputs)" in result.out
    )
    assert "what ran is as recorded, but not all of it ran (1 identical, 2 not run)" in result.err
    # What never ran there is missing from nothing, unless it is asked for.
    (past / "mlvc.yaml").write_text(PIPELINE + "  new: {cmd: echo > new, outs: [new], when: false}\n")
    shell.commit(past, "one that never ran")
    result = run_mlvc("reproduce", "HEAD", cwd=past)
    assert "what ran is as recorded (3 identical, 1 not run)" in result.err
    assert run_mlvc("reproduce", "HEAD", "upper", "new", cwd=past, check=False).code == 1
    assert run_mlvc("reproduce", "HEAD", "*", cwd=past).code == 0


def test_a_stage_that_only_the_lockfile_has_is_not_as_recorded(past: Path) -> None:
    git("checkout", "--quiet", "v1", cwd=past)
    (past / "mlvc.yaml").write_text(PIPELINE.partition("  split:")[0])
    shell.commit(past, "without a stage")
    result = run_mlvc("reproduce", "HEAD", cwd=past, check=False)
    assert result.code == 1
    assert "split: not run (mlvc.lock has outputs of it, and no pipeline file has it)" in result.out
    assert run_mlvc("reproduce", "HEAD", "upper", cwd=past).code == 0


def test_of_a_stage_that_failed_what_was_made_is_compared(past: Path) -> None:
    edited(past, lambda text: text + "if os.environ.get('FAIL'): os.remove('scores.json')\n")
    result = run_mlvc("reproduce", "v2", cwd=past, env={"FAIL": "1"}, check=False)
    assert result.code == 7
    assert result.out.splitlines()[-2:] == ["  identical  parts", "  not made  scores.json"]


def test_an_output_that_persists_begins_with_nothing(project: Path) -> None:
    shell.write(
        project,
        {"mlvc.yaml": b"stages: {log: {cmd: 'echo x >> log', outs: [log: {persist: true, cache: false}]}}\n"},
    )
    run_mlvc("repro", cwd=project)
    shell.commit(project)
    assert run_mlvc("reproduce", "HEAD", cwd=project).code == 0
    run_mlvc("repro", "-f", cwd=project)
    shell.commit(project)
    result = run_mlvc("reproduce", "HEAD", cwd=project, check=False)
    assert "  different  log: differs from byte 2 on (2 B, was 4 B)" in result.out
    assert (project / "log").read_text() == "x\nx\n"


def test_what_is_no_revision_or_has_no_lockfile(past: Path) -> None:
    first = git("rev-list", "--max-parents=0", "HEAD", cwd=past)
    shell.refused(run_mlvc("reproduce", first, cwd=past, check=False), 2, "there is no mlvc.lock at", "mlvc repro")
    shell.refused(run_mlvc("reproduce", "v9", cwd=past, check=False), 2, "'v9' is no revision")
    shallow = past.parent / "shallow"
    git("clone", "--quiet", "--depth", "1", f"file://{past}", shallow)
    shell.refused(run_mlvc("reproduce", "v1", cwd=shallow, check=False), 2, "v1", "git fetch --unshallow")


@pytest.mark.parametrize(
    ("files", "told", "hint"),
    [
        ({"mlvc.lock": b"{"}, "HEAD:mlvc.lock", "name another revision"),
        ({"mlvc.yaml": b"stages: ["}, "at HEAD: mlvc.yaml, line 2", "name another revision"),
        ({"mlvc.yaml": b"stages: {}"}, "there is no pipeline at HEAD", "that has stages in mlvc.yaml"),
        ({"mlvc.lock": None, "dvc.lock": b"x"}, "there is no mlvc.lock at HEAD", "dvc.lock is there, which DVC wrote"),
    ],
)
def test_what_is_wrong_at_the_revision(past: Path, files: dict[str, bytes | None], told: str, hint: str) -> None:
    git("checkout", "--quiet", "v1", cwd=past)
    shell.write(past, {name: data for name, data in files.items() if data is not None})
    for name in [name for name, data in files.items() if data is None]:
        (past / name).unlink()
    shell.commit(past, "wrong")
    git("checkout", "--quiet", "main", cwd=past)
    result = run_mlvc("reproduce", "HEAD@{1}", cwd=past, check=False)
    shell.refused(result, 2, told.replace("HEAD", "HEAD@{1}"), hint)
    assert "git checkout --" not in result.err


def test_a_revision_at_which_the_root_was_another_one(past: Path) -> None:
    """What the hint says does it."""
    old = past.parent / "old"
    git("init", "--quiet", "-b", "main", old)
    root = old / "ml"
    root.mkdir()
    run_mlvc("init", "--subdir", cwd=root)
    shell.write(root, {"mlvc.yaml": b"stages: {s: {cmd: echo 1 > out, outs: [out]}}\n"})
    run_mlvc("repro", cwd=root)
    shell.commit(old)
    git("tag", "v1", cwd=old)
    for name in (".mlvc", "mlvc.yaml", "mlvc.lock", ".gitignore"):
        git("mv", f"ml/{name}", name, cwd=old)
    run_mlvc("repro", cwd=old)
    shell.commit(old, "moved")
    (old / "deep").mkdir()
    result = run_mlvc("reproduce", "v1", cwd=old / "deep", check=False)
    shell.refused(result, 2, "there is no mlvc.lock at v1", "ml/mlvc.lock is there")
    _, add, _, again, _ = result.err.splitlines()[-1].split("`")
    subprocess.run(add, shell=True, cwd=old / "deep", check=True, capture_output=True)
    inside = result.err.splitlines()[-1].partition(" and in ")[2].split()[0]
    assert run_mlvc(*again.split()[1:], cwd=old / "deep" / inside).out == "s: ran\n  identical  out\n"


def test_commands_that_go_to_the_users_own_working_tree(past: Path) -> None:
    """They can: but that is told, and is no proof."""
    git("checkout", "--quiet", "v1", cwd=past)
    run_mlvc("checkout", cwd=past)
    (past / "mlvc.yaml").write_text(PIPELINE.replace("cmd: tr", 'cmd: test -z "$PLACE" || echo x >> $PLACE; tr'))
    run_mlvc("repro", cwd=past)
    shell.commit(past, "sly")
    for path in ("split.py", "data/two.csv", "data/new", "upper.txt", "notes"):
        shell.write(past, {"notes": b"not tracked"})
        result = run_mlvc("reproduce", "HEAD", "--json", cwd=past, env={"PLACE": str(past / path)}, check=False)
        assert (result.code, json.loads(result.out)["touched"]) == (1, [path])
        assert f"changed in your working tree meanwhile: {path}\n" in result.err
    assert run_mlvc("reproduce", "HEAD", cwd=past).code == 0
    # Where the command says so itself, nothing has to happen.
    git("checkout", "--quiet", "split.py", cwd=past)
    (past / "mlvc.yaml").write_text(PIPELINE.replace("cmd: tr", f"cmd: test -d {past}; tr"))
    run_mlvc("repro", cwd=past)
    shell.commit(past, "absolute")
    result = run_mlvc("reproduce", "HEAD", cwd=past, check=False)
    assert result.code == 1
    assert f"upper: ran (its command names {past}, where your files are and not those of HEAD)" in result.out


def test_words_that_make_no_sense(past: Path) -> None:
    for args, named in (
        (["-r", "nowhere"], "there is no remote 'nowhere'"),
        (["--keep", ""], "--keep is given an empty word"),
        ([str(past)], "'.' is neither a stage nor an output"),
        (["--keep", "."], ". is there already"),
    ):
        shell.refused(run_mlvc("reproduce", "v1", *args, cwd=past, check=False), 2, named)


def test_in_a_root_further_down(project: Path) -> None:
    root = project / "sub"
    root.mkdir()
    run_mlvc("init", "--subdir", cwd=root)
    shell.write(root, {"in": b"a", "mlvc.yaml": b"stages: {s: {cmd: cat in > out, deps: [in], outs: [out]}}\n"})
    run_mlvc("add", "in", cwd=root)
    run_mlvc("repro", cwd=root)
    shell.commit(project)
    result = run_mlvc("reproduce", "HEAD", cwd=root)
    assert result.out.splitlines() == ["s: ran", "  identical  out"]


def test_hooks_settings_and_sparse_checkouts_do_not_count(past: Path) -> None:
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        hook = past / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\necho {name} >> {past}/hooked\n")
        hook.chmod(0o755)
    git("checkout", "--quiet", "main", cwd=past)
    git("sparse-checkout", "set", "--no-cone", "/mlvc.lock", "/mlvc.yaml", "/.mlvc", cwd=past)
    (past / "hooked").unlink(missing_ok=True)
    assert run_mlvc("reproduce", "v1", cwd=past).code == 0
    assert not (past / "hooked").exists()
    assert not (past / "split.py").exists()


@pytest.mark.parametrize("links", ["hardlink", "symlink"])
def test_commands_get_no_file_of_the_store(project: Path, links: str) -> None:
    """Neither of tracked data, nor of a frozen stage, nor of what items made."""
    big = len(shell.LARGE) + 1
    text = (
        "stages:\n  old: {cmd: cp model.bin old.bin, deps: [model.bin], outs: [old.bin], frozen: true}\n"
        f"  each: {{each: data/*.txt, cmd: 'head -c {big} /dev/zero > ${{out}}/${{item.stem}}', outs: [made]}}\n"
        "  harm:\n    cmd: $HARM true\n    deps: [model.bin, old.bin, made]\n    outs: [harmed]\n"
    ).replace("$HARM true", "sh harm.sh; echo > harmed")
    harm = b"for one in model.bin old.bin made/*; do $HARM $one; echo evil >> $HARMED$one; done\n"
    run_mlvc("config", "core.link", links, cwd=project)
    shell.write(project, {"mlvc.yaml": text.encode(), "harm.sh": harm})
    outside = project.parent / "outside"
    for path in ("made", "."):
        (outside / path).mkdir(parents=True, exist_ok=True)
    run_mlvc("repro", "-f", cwd=project, env={"HARM": "true", "HARMED": f"{outside}/"})
    shell.commit(project)
    run_mlvc("checkout", "--relink", cwd=project)
    result = run_mlvc("reproduce", "HEAD", cwd=project, env={"HARM": "chmod u+w", "HARMED": ""}, check=False)
    shell.ends(result, "changed while stage 'harm' ran")
    assert run_mlvc("fsck", cwd=project).code == 0


def test_items_run_anew(project: Path) -> None:
    text = (
        "stages:\n  each:\n    each: data/*.txt\n    cmd: echo x >> $LOG; cp ${item.path} ${out}/${item.name}\n"
        "    outs: [copies]\n"
    )
    shell.write(project, {"mlvc.yaml": text.encode()})
    log = project.parent / "log"
    run_mlvc("repro", cwd=project, env={"LOG": str(log)})
    shell.commit(project)
    before = shell.image(project / ".git/mlvc/items")
    result = run_mlvc("reproduce", "HEAD", cwd=project, env={"LOG": str(log)})
    assert result.out == "each: ran\n  identical  copies\n"
    assert log.read_text() == "x\n" * 4
    assert shell.image(project / ".git/mlvc/items") == before


def test_items_and_batches_in_another_directory(project: Path) -> None:
    text = """\
stages:
  upper:
    wdir: raw
    each: '*.txt'
    cmd: sh ../lib/up.sh ${item.path} ${out}/${item.stem}.up
    deps: [../lib/up.sh]
    outs: [../made/upper]
  count:
    wdir: raw/sub
    each: ../../made/upper/*.up
    batch: 1
    cmd: cut -f 1 ${items} > $(cut -f 2 ${items})/name-$(basename $(cut -f 1 ${items}))
    outs: [../../counts]
"""
    up = b"tr a-z A-Z < $1 > $2; test ! -e $FAIL || exit 3\n"
    raw = {"raw/a.txt": b"a", "raw/b.txt": b"b", "raw/sub/x": b""}
    shell.write(project, {"mlvc.yaml": text.encode(), "lib/up.sh": up, **raw})
    fail = project.parent / "fail"
    env = {"FAIL": str(fail)}
    run_mlvc("repro", cwd=project, env=env)
    shell.commit(project)
    before = shell.tree(project)
    count = "count: ran\n  identical  counts\n"
    result = run_mlvc("reproduce", "HEAD", cwd=project / "raw", env=env)
    assert result.out == "upper: ran\n  identical  made/upper\n" + count
    assert run_mlvc("reproduce", "HEAD", "-s", "counts", cwd=project, env=env).out == count
    fail.touch()
    result = run_mlvc("reproduce", "HEAD", "upper", cwd=project, env=env, check=False)
    assert result.code == 7
    shell.ends(result, "2 of 2 items of stage 'upper' failed", "exit code 3", "`--keep DIR` leaves the working tree")
    assert "kept in" not in result.err
    assert shell.tree(project) == before
    assert not (project / ".git/mlvc/aside").exists()


def test_submodules_are_left_out(past: Path) -> None:
    other = past.parent / "other"
    git("init", "--quiet", "-b", "main", other)
    shell.write(other, {"x": b"x"})
    shell.commit(other)
    git("checkout", "--quiet", "v1", cwd=past)
    run_mlvc("checkout", cwd=past)
    for path in ("lib", "around/in"):
        git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other, path, cwd=past)
    shell.commit(past)
    result = run_mlvc("reproduce", "HEAD", cwd=past)
    assert "left out: submodules of Git (around/in, lib)" in result.err
    # It is no part of this one.
    (past / "mlvc.yaml").write_text(PIPELINE.replace("deps: [data/one.txt]", "deps: ['data/one.*', '*.py']"))
    run_mlvc("repro", cwd=past)
    shell.commit(past)
    assert run_mlvc("reproduce", "HEAD", cwd=past).code == 0
    for path in ("lib/x", "lib", "around", "around/**", "aro*/in/x"):
        (past / "mlvc.yaml").write_text(PIPELINE.replace("deps: [data/one.txt]", f"deps: [data/one.txt, '{path}']"))
        run_mlvc("repro", "upper", cwd=past)
        shell.commit(past)
        result = run_mlvc("reproduce", "HEAD", cwd=past, check=False)
        shell.refused(result, 4, f"'{path}' of stage 'upper'", "submodule " + ("lib" if "lib" in path else "around/in"))


def test_kept(past: Path) -> None:
    result = run_mlvc("reproduce", "v1", "--keep", "../kept", cwd=past)
    assert (past.parent / "kept/parts/2.bin").exists()
    assert result.err.splitlines()[-1] == f"hint: remove it: git worktree remove --force {past.parent}/kept"
    assert git("worktree", "list", cwd=past).count("\n") == 1
    shell.refused(run_mlvc("reproduce", "v1", "--keep", "../kept", cwd=past, check=False), 2, "../kept is there")
    git("worktree", "remove", "--force", "../kept", cwd=past)


def test_what_was_to_be_kept_stays_also_after_a_kill(past: Path) -> None:
    git("checkout", "--quiet", "v1", cwd=past)
    (past / "mlvc.yaml").write_text(PIPELINE.replace("cmd: tr", "cmd: kill -9 $PPID; sleep 1; tr"))
    shell.commit(past, "kills")
    assert run_mlvc("reproduce", "HEAD", "--keep", "../kept", cwd=past, check=False).code == -signal.SIGKILL
    assert run_mlvc("reproduce", "v1", cwd=past).code == 0
    assert git("worktree", "list", cwd=past).count("\n") == 1
    git("worktree", "remove", "--force", "../kept", cwd=past)
    assert not any((past / ".git/mlvc/reproduce").iterdir())


# -- interrupted ---------------------------------------------------------------------------------


@pytest.fixture
def hanging(past: Path) -> subprocess.Popen[bytes]:
    """One whose command has begun and does not end by itself."""
    git("checkout", "--quiet", "v1", cwd=past)
    up = past.parent / "up"
    (past / "mlvc.yaml").write_text(PIPELINE.replace("cmd: tr", f"cmd: echo $$ > {up}; exec sleep 60; tr"))
    shell.commit(past, "hangs")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlvc", "reproduce", "HEAD"],
        cwd=past,
        env=os.environ | {"PYTHONPATH": SOURCES},
        stderr=subprocess.DEVNULL,
    )
    while not (up.exists() and up.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_leaves_nothing(past: Path, hanging: subprocess.Popen[bytes], how: signal.Signals) -> None:
    hanging.send_signal(how)
    assert hanging.wait(timeout=60) == 130
    assert git("worktree", "list", cwd=past).count("\n") == 0
    assert not any((past / ".git/mlvc/reproduce").iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(int((past.parent / "up").read_text()), 0)


@pytest.mark.parametrize("args", [("gc",), ("reproduce", "v1")])
def test_what_kill_9_leaves_goes_with_the_next(past: Path, hanging: subprocess.Popen[bytes], args: tuple[str]) -> None:
    before = shell.tree(past)
    try:
        assert run_mlvc("gc", cwd=past).code == 0
        assert git("worktree", "list", cwd=past).count("\n") == 1  # it is at work
        hanging.kill()
        hanging.wait()
        run_mlvc(*args, cwd=past)
        assert git("worktree", "list", cwd=past).count("\n") == 0
        assert not any((past / ".git/mlvc/reproduce").iterdir())
        assert shell.tree(past) == before
    finally:
        os.killpg(int((past.parent / "up").read_text()), signal.SIGKILL)
