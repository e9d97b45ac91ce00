"""What counts of the directories that stages read and write: ignored files, symbolic links, what lies elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.helpers import Result, git, run_mlvc, shell


def pipeline(text: str) -> None:
    Path("mlvc.yaml").write_text(text)


def put(path: str, text: str = "text\n") -> Path:
    """A file in the current directory, with all that is above it."""
    made = Path(path)
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(text)
    return made


def events(result: Result, kind: str) -> list[dict[str, object]]:
    """The lines of one kind that ``repro --json`` printed, without their kind."""
    found = [event for event in map(json.loads, result.out.splitlines()) if event["event"] == kind]
    return [{key: value for key, value in event.items() if key != "event"} for event in found]


# -- what is left out ---------------------------------------------------------------------------


def test_what_is_left_out_of_an_output_is_told(root):
    put(".mlvcignore", "*.tmp\n")
    pipeline(
        "stages:\n"
        "  a:\n"
        "    cmd: mkdir -p out/.git out/sub out/__pycache__; touch out/y out/.git/x out/sub/1.tmp out/2.tmp out/3.tmp\n"
        "    outs: [out]\n"
        "  b:\n"
        "    cmd: cp out/y z\n"
        "    deps: [out]\n"
        "    outs: [z]\n"
    )
    told = run_mlvc("repro").err
    assert "warning: stage 'a': 4 paths in its output 'out' are left out, and a restored 'out' lacks them" in told
    assert ": out/.git, out/2.tmp, out/3.tmp, …; `mlvc check-ignore` says why" in told
    assert told.count("warning") == 1
    assert "warning" not in run_mlvc("repro").err
    assert events(run_mlvc("repro", "-f", "--json"), "left_out") == [
        {
            "stage": "a",
            "path": "out",
            "role": "output",
            "names": ["out/.git", "out/2.tmp", "out/3.tmp"],
            "count": 4,
        }
    ]


def test_what_is_ignored_in_a_dependency_is_told_once(root):
    put(".mlvcignore", "*.tmp\n")
    put("in/a.tmp")
    put("in/b")
    put("in/.git", "gitdir: as in a submodule\n")
    pipeline(
        "stages:\n"
        "  a: {cmd: cp in/b one, deps: [in], outs: [one]}\n"
        "  b: {cmd: cp in/b two, deps: [in], outs: [two]}\n"
        "  c: {cmd: cp in/b three, deps: [in/b*], outs: [three]}\n"
    )
    found = run_mlvc("repro", "--json")
    assert events(found, "left_out") == [
        {"stage": "a", "path": "in", "role": "dependency", "names": ["in/a.tmp"], "count": 1}
    ]
    assert "1 path in its dependency 'in' is left out, and a change of it does not run it again: in/a.tmp" in found.err


def test_what_is_left_out_of_what_items_made_is_told(root):
    put(".mlvcignore", "*.tmp\n")
    for name in ("a", "b"):
        put(f"in/{name}.txt")
    pipeline(
        "stages:\n"
        "  a:\n"
        "    each: in/*.txt\n"
        "    cmd: touch ${out}/${item.stem}.tmp ${out}/${item.stem}.up\n"
        "    outs: [out]\n"
    )
    (found,) = events(run_mlvc("repro", "--json"), "left_out")
    assert found == {"stage": "a", "path": "out", "role": "output", "names": ["out/a.tmp", "out/b.tmp"], "count": 2}
    assert sorted(os.listdir("out")) == ["a.up", "b.up"]


# -- links that lead out of a dependency -------------------------------------------------------


def linked(root: Path) -> Path:
    """A stage whose dependency ``in`` has links out of it, and others. The directory outside that some lead to."""
    outside = root.parent / "outside"
    put("in/a", "a\n")
    put("lone", "l\n")
    put("other/o", "o\n")
    put(f"{outside}/f", "f\n")
    put(f"{outside}/dir/d", "d\n")
    links = {
        "in/l": "../lone",
        "in/o": "../other",
        "in/f": f"{outside}/f",
        "in/d": "../../outside/dir",
        "in/self": "a",
        "in/up": "..",
        "in/nowhere": "../gone",
        "in/away": "/nowhere/at/all",
        "in/null": "/dev/null",
        "in/made": "../out",
        "other/back": "../in",
        f"{outside}/dir/there": "../f",
    }
    for name, goal in links.items():
        os.symlink(goal, name)
    pipeline("stages:\n  a: {cmd: cat in/a in/l in/o/o in/f in/d/d > out, deps: [in], outs: [out]}\n")
    return outside


def test_links_that_lead_out_of_a_dependency_count_for_what_they_lead_to(root):
    outside = linked(root)
    run_mlvc("repro")
    assert Path("out").read_text() == "a\nl\no\nf\nd\n"
    assert "1 unchanged" in run_mlvc("repro").err
    recorded = json.loads(Path("mlvc.lock").read_text())["stages"]["a"]["deps"]
    assert list(recorded) == ["in", "in/d", "in/d/there", "in/f", "in/l", "in/o"]
    for path, link, told in [
        ("lone", "in/l", "modified  in/l"),
        ("other/o", "in/o", "modified  in/o/o"),
        (f"{outside}/f", "in/f", "modified  in/f"),
        (f"{outside}/dir/d", "in/d", "modified  in/d/d"),
    ]:
        put(path, f"{link} changed\n")
        assert f"a: dependency {link} changed" in run_mlvc("status").out
        assert told in run_mlvc("why", "a").out
        assert f"{link} changed" in run_mlvc("repro").err
        assert f"{link} changed\n" in Path("out").read_text()
        assert "1 unchanged" in run_mlvc("repro").err
    for path in (f"{outside}/dir/new", "other/new"):
        put(path)
        assert "1 ran" in run_mlvc("repro").err
    put("not/read/by/anyone")
    assert "1 unchanged" in run_mlvc("repro").err


def test_a_link_that_comes_or_goes_or_leads_elsewhere_counts(root):
    linked(root)
    run_mlvc("repro")
    put("lone2", "l\n")
    os.remove("in/l")
    os.symlink("../lone2", "in/l")
    assert "dependency in changed" in run_mlvc("status").out
    run_mlvc("repro")
    put("lone2", "changed\n")
    assert "dependency in/l changed" in run_mlvc("status").out
    os.symlink("../lone", "in/new")
    assert "dependency in/new is new" in run_mlvc("status").out


def test_two_directories_that_lead_to_each_other(root):
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        put(f"{name}/x")
        os.symlink(f"../{other}", f"{name}/{other}")
    pipeline("stages:\n  s: {cmd: cp a/b/c/x out, deps: [a], outs: [out]}\n")
    run_mlvc("repro")
    put("c/x", "changed\n")
    assert "1 ran" in run_mlvc("repro").err
    assert Path("out").read_text() == "changed\n"


def test_links_that_a_pattern_fits_count_for_what_they_lead_to(root):
    put("data/a.csv", "a\n")
    put("elsewhere", "b\n")
    os.symlink("../elsewhere", "data/b.csv")
    os.symlink("a.csv", "data/c.csv")
    pipeline("stages:\n  s: {cmd: cat data/*.csv > out, deps: ['data/*.csv'], outs: [out]}\n")
    run_mlvc("repro")
    assert list(json.loads(Path("mlvc.lock").read_text())["stages"]["s"]["deps"]) == ["data/*.csv", "data/b.csv"]
    put("elsewhere", "changed\n")
    assert "dependency data/b.csv changed" in run_mlvc("repro").err
    assert Path("out").read_text() == "a\nchanged\na\n"


def test_an_isolated_stage_finds_what_links_lead_to(root):
    linked(root)
    run_mlvc("repro", "--isolated")
    assert Path("out").read_text() == "a\nl\no\nf\nd\n"
    assert "1 unchanged" in run_mlvc("repro").err


def test_what_a_stage_made_with_links_in_it_is_compared_as_it_is_and_what_they_lead_to_besides(root):
    put("words", "one\n")
    put("seed", "1\n")
    pipeline(
        "stages:\n"
        "  make: {cmd: cat seed > seen; mkdir -p made; ln -s ../words made/words, deps: [seed], outs: [made]}\n"
        "  use: {cmd: cat made/words > used, deps: [made], outs: [used]}\n"
    )
    run_mlvc("repro")
    assert "2 unchanged" in run_mlvc("repro").err
    put("seed", "2\n")
    assert "1 ran, 1 unchanged" in run_mlvc("repro").err
    put("words", "two\n")
    assert "1 unchanged, 1 ran" in run_mlvc("repro").err
    assert Path("used").read_text() == "two\n"
    put("words", "one\n")
    assert "1 unchanged, 1 restored" in run_mlvc("repro").err


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_dependency_that_is_a_link_is_what_it_leads_to(root, what, inside):
    goal = Path("real") if inside else root.parent / "real"
    file = goal if what == "file" else goal / "x"
    put(str(file), "one\n")
    os.symlink(goal, "dep")
    pipeline(f"stages:\n  s: {{cmd: cat {'dep' if what == 'file' else 'dep/x'} > out, deps: [dep], outs: [out]}}\n")
    run_mlvc("repro")
    assert "1 unchanged" in run_mlvc("repro").err
    put(str(file), "two\n")
    assert "dependency dep changed" in run_mlvc("status").out
    assert "1 ran" in run_mlvc("repro").err
    assert Path("out").read_text() == "two\n"


def test_links_in_an_output_still_may_not_leave_the_repository(root):
    pipeline("stages:\n  s: {cmd: mkdir out; ln -s /etc out/etc, outs: [out]}\n")
    done = run_mlvc("repro", check=False)
    assert done.code == 7
    assert "out/etc is a symbolic link that leaves the repository: /etc" in done.err
    put("in/x")
    os.symlink("/etc/hostname", "in/link")
    pipeline("stages:\n  s: {cmd: cp in/x out, deps: [in], outs: [out]}\n")
    run_mlvc("repro")
    done = run_mlvc("add", "in", check=False)  # the Index knows it by now
    assert done.code == 2
    assert "in/link is a symbolic link that leaves the repository" in done.err


# -- paths that are absolute, or lead out ------------------------------------------------------


def test_a_dependency_outside_of_the_repository_counts(root):
    outside = root.parent / "outside"
    put(f"{outside}/f", "one\n")
    put(f"{outside}/dir/a", "a\n")
    pipeline(
        "stages:\n"
        "  s:\n"
        f"    cmd: cat {outside}/f ../outside/dir/* > out\n"
        f"    deps: [{outside}/f, ../outside/dir]\n"
        "    outs: [out]\n"
    )
    run_mlvc("repro")
    assert Path("out").read_text() == "one\na\n"
    assert "1 unchanged" in run_mlvc("repro").err
    put(f"{outside}/f", "two\n")
    assert f"s: dependency {outside}/f changed" in run_mlvc("status").out
    assert f"modified  {outside}/f" in run_mlvc("why", "s").out
    run_mlvc("repro")
    put(f"{outside}/dir/b", "b\n")
    assert "added     ../outside/dir/b" in run_mlvc("why", "s").out
    run_mlvc("repro")
    assert Path("out").read_text() == "two\na\nb\n"
    (outside / "f").unlink()
    done = run_mlvc("repro", check=False)
    assert done.code == 2
    assert f"mlvc.yaml, line 4, column 12: the dependency '{outside}/f' of stage 's' is not there" in done.err


def test_an_absolute_path_in_the_repository_is_as_good_as_a_relative_one(root):
    put("in/a", "a\n")
    (root / "sub").mkdir()
    pipeline(
        "stages:\n"
        f"  s: {{cmd: cp {root}/in/a b, wdir: {root}/sub, deps: [{root}/in/a], outs: [{root}/sub/b]}}\n"
        f"  t: {{cmd: cp sub/b c, deps: [../{root.name}/sub/b], outs: [c], params: [{{{root}/p.yaml: [x]}}]}}\n"
    )
    put("p.yaml", "x: 1\n")
    run_mlvc("repro")
    stages = json.loads(Path("mlvc.lock").read_text())["stages"]
    assert [*stages["s"]["deps"], *stages["s"]["outs"]] == ["in/a", "sub/b"]
    assert [*stages["t"]["deps"], *stages["t"]["params"]] == ["sub/b", "p.yaml"]
    git("add", "-A")
    git("commit", "-qm", "one")
    put("p.yaml", "x: 2\n")
    assert json.loads(run_mlvc("params", "diff", "--json").out)
    run_mlvc("stage", "add", "-n", "u", "-d", f"{root}/in/a", "-o", f"{root}/d", "cp in/a d")
    assert "u  makes d" in run_mlvc("stage", "list").out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("outs: [/tmp/x]", "'/tmp/x' is outside the repository"),
        ("outs: [../x]", "'../x' is outside the repository"),
        ("wdir: /tmp", "'/tmp' is outside the repository"),
        ("each: /tmp/*", "'/tmp/*' is outside the repository"),
        ("deps: [/tmp/*.csv]", "'/tmp/*.csv' is outside the repository, where no pattern is looked for"),
        ("params: [{/tmp/p.yaml: [x]}]", "'/tmp/p.yaml' is outside the repository"),
        ("deps: [s3://bucket/x]", "'s3://bucket/x' is an address"),
    ],
)
def test_what_else_lies_outside_is_refused(root, line, said):
    pipeline(f"stages:\n  s:\n    cmd: x\n    {line}\n")
    done = run_mlvc("repro", check=False)
    assert done.code == 2
    assert "mlvc.yaml, line 4" in done.err
    assert said in done.err


def test_an_output_may_be_a_link_neither_by_itself_nor_through_its_parents(root):
    put(f"{root.parent}/real/x")
    os.symlink("../real", "parent")
    pipeline("stages:\n  s: {cmd: touch parent/out, outs: [parent/out]}\n")
    done = run_mlvc("repro", check=False)
    assert done.code == 2
    assert "output 'parent/out' lies behind a symbolic link, to " in done.err
    pipeline("stages:\n  s: {cmd: ln -s ../real/x out, outs: [out]}\n")
    done = run_mlvc("repro", check=False)
    assert done.code == 7
    assert "out is a symbolic link" in done.err
    assert not os.path.lexists("out")


# -- directories -------------------------------------------------------------------------------


def test_the_directories_of_outputs_are_made_and_no_other_working_directory(root):
    pipeline(
        "stages:\n"
        "  a:\n"
        "    wdir: gone\n"
        "    cmd: touch ../a\n"
        "    outs: [../a]\n"
        "  b: {cmd: touch x ../deep/er/y, wdir: here, outs: [x: {cache: false}, ../deep/er/y: {cache: false}]}\n"
    )
    done = run_mlvc("repro", "-k", check=False)
    assert done.code == 2
    assert "mlvc.yaml, line 3, column 5: stage 'a': the working directory 'gone' is not there" in done.err
    assert not Path("gone").exists()
    assert Path("here/x").exists()
    assert Path("deep/er/y").exists()


def test_a_file_in_the_way_of_a_directory(root):
    put("here")
    pipeline("stages:\n  b: {cmd: touch x, outs: [here/x: {cache: false}]}\n")
    done = run_mlvc("repro", check=False)
    assert done.code == 2
    assert "the directory here cannot be made for an output: a file is in the way" in done.err


def test_outputs_with_what_is_ignored_now_are_made_once_more(project: Path) -> None:
    text = """\
stages:
  each:
    each: in/*
    cmd: cp ${item.path} ${out}/${item.name}.log; cp ${item.path} ${out}/${item.name}.txt
    outs: [items]
  whole:
    cmd: mkdir -p made; echo 1 > made/a.log; echo 2 > made/b
    deps: [in]
    outs: [made]
"""
    shell.write(project, {"mlvc.yaml": text.encode(), "in/1": b"1\n", "in/2": b"2\n"})
    run_mlvc("repro", cwd=project)
    (project / ".mlvcignore").write_text("*.log\n")
    assert "pipeline: 2 ran" in run_mlvc("repro", cwd=project).err
    assert "pipeline: 2 unchanged" in run_mlvc("repro", cwd=project).err
    assert sorted(os.listdir(project / "items")) == ["1.log", "1.txt", "2.log", "2.txt"]
    shutil.rmtree(project / "items")
    assert "pipeline: 1 restored, 1 unchanged" in run_mlvc("repro", cwd=project).err
    assert sorted(os.listdir(project / "items")) == ["1.txt", "2.txt"]


@pytest.mark.parametrize("flags", [[], ["--isolated"]], ids=" ".join)
def test_links_to_the_same_are_all_followed(project: Path, flags: list[str]) -> None:
    shell.write(project, {"far/x": b"x\n", "far/sub/y": b"y\n", "in/a": b"a\n"})
    for name, goal in {"in/whole": "../far", "in/file": "../far/x", "in/part": "../far/sub", "far/self": "."}.items():
        (project / name).symlink_to(goal)
    command = "cat in/whole/x in/file in/part/y > out"
    shell.write(project, {"mlvc.yaml": f"stages: {{s: {{cmd: {command}, deps: [in], outs: [out]}}}}".encode()})
    run_mlvc("repro", *flags, cwd=project)
    assert (project / "out").read_bytes() == b"x\nx\ny\n"
    shell.write(project, {"far/sub/y": b"new\n"})
    run_mlvc("repro", *flags, cwd=project)
    assert (project / "out").read_bytes() == b"x\nx\nnew\n"
    assert "1 unchanged" in run_mlvc("repro", *flags, cwd=project).err


def test_a_link_that_is_gone_is_told_as_what_may_not_be_here(project: Path) -> None:
    shell.write(project, {"far": b"x\n", "in/a": b"a\n"})
    (project / "in/far").symlink_to("../far")
    shell.write(project, {"mlvc.yaml": b"stages: {s: {cmd: cat in/far > out, deps: [in], outs: [out]}}"})
    run_mlvc("repro", cwd=project)
    (project / "in/far").unlink()
    told = run_mlvc("repro", "--dry-run", cwd=project).out
    assert told == "s: run (dependency in changed; dependency in/far is not here or no longer named)\n"
