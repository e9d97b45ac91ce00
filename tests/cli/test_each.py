"""Stages that run for each file of a directory: what runs, what is kept, and what a person sees."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import SOURCES, run_mlvc, shell

STAGE = """\
stages:
  upper:
    each: raw/*.txt
    cmd: echo ${item.stem} >> ran; tr a-z A-Z < ${item.path} > ${out}/${item.stem}.up
    deps: [tool]
    outs: [made/upper]
"""
BATCH = """\
stages:
  upper:
    each: raw/*.txt
    cmd: wc -l < ${items} >> ran; sh tool ${items}
    batch: 3
    deps: [tool]
    outs: [made/upper]
"""
TOOL = b"""\
while IFS='\t' read -r path out; do tr a-z A-Z < "$path" > "$out/$(basename "$path" .txt).up"; done < "$1"
"""


def refused(root: Path, *args: str, code: int) -> str:
    """What is said where ``repro`` fails."""
    done = run_mlvc("repro", *args, cwd=root, check=False)
    assert done.code == code, done.err
    return done.err


def put(root: Path, **texts: str) -> None:
    """Write files of ``raw``; those of no text go."""
    for name, text in texts.items():
        path = root / "raw" / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text) if text else path.unlink()


def made(root: Path) -> dict[str, str]:
    """The output: the text of each file by its path in there."""
    top = root / "made/upper"
    return {str(path.relative_to(top)): path.read_text() for path in sorted(top.rglob("*")) if path.is_file()}


def ran(root: Path, *args: str, code: int = 0) -> list[str]:
    """For which items a command was run."""
    (root / "ran").unlink(missing_ok=True)
    done = run_mlvc("repro", *args, cwd=root, check=not code)
    assert done.code == code, done.err
    return sorted((root / "ran").read_text().split()) if (root / "ran").exists() else []


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCES)}


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.05)


@pytest.fixture
def items(project: Path) -> Path:
    shell.write(project, {"mlvc.yaml": STAGE.encode(), "tool": TOOL, ".gitignore": b"/ran\n"})
    put(project, a="a\n", b="b\n", c="c\n")
    return project


def test_only_new_and_changed_items_run(items: Path) -> None:
    assert ran(items) == ["a", "b", "c"]
    assert made(items) == {"a.up": "A\n", "b.up": "B\n", "c.up": "C\n"}
    assert ran(items) == []
    put(items, a="other\n", d="d\n")
    assert ran(items) == ["a", "d"]
    assert made(items) == {"a.up": "OTHER\n", "b.up": "B\n", "c.up": "C\n", "d.up": "D\n"}
    # One that is gone takes along what it made, and nothing runs.
    put(items, b="")
    assert ran(items) == []
    assert made(items) == {"a.up": "OTHER\n", "c.up": "C\n", "d.up": "D\n"}
    # What was there before comes back from the run cache.
    put(items, a="a\n", b="b\n", d="")
    assert ran(items) == []
    assert made(items) == {"a.up": "A\n", "b.up": "B\n", "c.up": "C\n"}
    # What every item depends on.
    shell.write(items, {"tool": TOOL + b"\n"})
    assert ran(items) == ["a", "b", "c"]
    assert ran(items, "--force") == ["a", "b", "c"]


def test_many_items_are_kept_where_one_is_new(project: Path) -> None:
    """Of 2,000 items one runs, and the Lockfile stays small."""
    count = 2_000
    shell.write(project, {"mlvc.yaml": BATCH.replace("batch: 3", "batch: 1000").encode(), "tool": TOOL})
    put(project, **{f"n{number}": f"{number}\n" for number in range(count)})
    assert ran(project, "-j", "2") == ["1000", "1000"]
    put(project, n7="seven\n")
    assert ran(project) == ["1"]
    found = made(project)
    assert len(found) == count
    assert found["n7.up"] == "SEVEN\n"
    assert (project / "mlvc.lock").stat().st_size < 2_000


@pytest.mark.parametrize(("count", "expected"), [(3, ["3"]), (4, ["2", "2"]), (7, ["2", "2", "3"])])
def test_batches_get_a_list(items: Path, count: int, expected: list[str]) -> None:
    shell.write(items, {"mlvc.yaml": BATCH.encode()})
    put(items, **{name: f"{name}\n" for name in "abcdefg"[:count]})
    assert ran(items) == expected
    assert made(items) == {f"{name}.up": f"{name.upper()}\n" for name in "abcdefg"[:count]}
    put(items, a="other\n")
    assert ran(items) == ["1"]


def test_a_failing_item_does_not_lose_the_others(items: Path) -> None:
    put(items, b="bad\n")
    text = STAGE.replace("cmd: ", "cmd: if grep -q bad ${item.path}; then echo first; echo no use >&2; exit 3; fi; ")
    shell.write(items, {"mlvc.yaml": text.encode()})
    error = refused(items, code=7)
    assert "mlvc.yaml, line 2, column 3: 1 of 3 items of stage 'upper' failed: raw/b.txt" in error
    assert "raw/b.txt with exit code 3 (no use)" in error
    assert "first\n    no use" in error
    assert "runs only those that failed" in error
    assert not (items / "made/upper").exists()
    assert ran(items, code=7) == []
    put(items, b="b\n")
    assert ran(items) == ["b"]
    assert made(items) == {"a.up": "A\n", "b.up": "B\n", "c.up": "C\n"}
    # The output of before stays where an item fails.
    put(items, a="bad\n", c="other\n")
    assert ran(items, code=7) == ["c"]
    assert made(items) == {"a.up": "A\n", "b.up": "B\n", "c.up": "C\n"}


def test_the_log_of_the_run_has_what_the_items_printed(items: Path) -> None:
    shell.write(items, {"mlvc.yaml": STAGE.replace("cmd: ", "cmd: echo hello from ${item.stem}; ").encode()})
    ran(items, "-j", "2")
    (log,) = (items / ".git/mlvc/logs").rglob("*.log")
    for name in "abc":
        assert f"# item: raw/{name}.txt\nhello from {name}\n" in log.read_text()
    assert "; it ended with 0 after " in run_mlvc("runs", "log", "upper", cwd=items).err
    shell.write(items, {"mlvc.yaml": STAGE.replace("cmd: ", "cmd: false ${out} || exit 3; ").encode()})
    ran(items, code=7)
    assert "; it ended with 1 after " in run_mlvc("runs", "log", "upper", cwd=items).err


def test_retries_are_for_each_item(items: Path) -> None:
    text = STAGE.replace("cmd: ", "cmd: if [ ! -e ${item.path}.seen ]; then touch ${item.path}.seen; exit 1; fi; ")
    shell.write(items, {"mlvc.yaml": (text + "    retries: 1\n").encode()})
    assert ran(items) == ["a", "b", "c"]
    assert made(items) == {"a.up": "A\n", "b.up": "B\n", "c.up": "C\n"}


def test_a_timeout_is_for_each_item(items: Path) -> None:
    put(items, b="slow\n")
    text = STAGE.replace("cmd: ", "cmd: if grep -q slow ${item.path}; then sleep 60; fi; ") + "    timeout: 2\n"
    shell.write(items, {"mlvc.yaml": text.encode()})
    error = refused(items, code=7)
    assert "raw/b.txt took longer than the timeout of" in error
    put(items, b="b\n")
    assert ran(items) == ["b"]


def test_two_items_that_write_the_same_file(items: Path) -> None:
    assert ran(items) == ["a", "b", "c"]
    shell.write(items, {"mlvc.yaml": STAGE.replace("${out}/${item.stem}.up", "${out}/same").encode()})
    error = refused(items, code=7)
    assert "the items 'raw/a.txt' and 'raw/b.txt' both make 'same'" in error
    assert "stage 'upper'" in error
    assert made(items) == {"a.up": "A\n", "b.up": "B\n", "c.up": "C\n"}
    # With one of them gone all is well, and nothing that is known runs again.
    put(items, b="", c="")
    assert ran(items) == []
    assert made(items) == {"same": "A\n"}


def test_what_an_item_may_make(items: Path) -> None:
    """Directories, links, programs, nothing at all."""
    shell.write(
        items,
        {
            "mlvc.yaml": b"stages: {upper: {each: 'raw/*', cmd: 'sh tool ${item.stem} ${out}', deps: [tool], "
            b"outs: [made/upper]}}",
            "tool": b"mkdir -p $2/sub/$1 $2/empty/$1; echo x > $2/sub/$1/file; chmod +x $2/sub/$1/file\n"
            b"ln -s file $2/sub/$1/link\n[ $1 != b ] || rm -r $2/*\n",
        },
    )
    assert run_mlvc("repro", cwd=items).code == 0
    top = items / "made/upper"
    assert sorted(
        str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir() or not any(path.iterdir())
    ) == [*("empty/a", "empty/c", "sub/a/file", "sub/a/link", "sub/c/file", "sub/c/link")]
    assert os.access(top / "sub/a/file", os.X_OK)
    assert os.readlink(top / "sub/a/link") == "file"
    run_mlvc("repro", cwd=items)
    assert "unchanged" in run_mlvc("repro", cwd=items).err


def test_an_output_that_nothing_is_in(items: Path) -> None:
    shell.write(
        items, {"mlvc.yaml": STAGE.replace("tr a-z A-Z < ${item.path} > ${out}/${item.stem}.up", "ls ${out}").encode()}
    )
    assert ran(items) == ["a", "b", "c"]
    assert made(items) == {}
    assert (items / "made/upper").is_dir()
    assert ran(items) == []


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_large_files(items: Path, link: str) -> None:
    run_mlvc("config", "core.link", link, cwd=items)
    shell.write(
        items,
        {
            "mlvc.yaml": STAGE.replace(
                "tr a-z A-Z < ${item.path} >", "head -c 1500000 /dev/zero | tr '\\0' ${item.stem} >"
            ).encode()
        },
    )
    assert ran(items) == ["a", "b", "c"]
    assert {name: (len(text), set(text)) for name, text in made(items).items()} == {
        f"{name}.up": (1_500_000, {name}) for name in "abc"
    }
    assert ran(items) == []
    (items / "made/upper/a.up").unlink()
    assert ran(items) == []
    assert len(made(items)["a.up"]) == 1_500_000


def test_an_item_that_changes_while_it_runs_does_not_count(items: Path) -> None:
    text = STAGE.replace("cmd: ", "cmd: if grep -q move ${item.path}; then echo b > ${item.path}; fi; ")
    shell.write(items, {"mlvc.yaml": text.encode()})
    put(items, b="move\n")
    error = refused(items, code=7)
    assert "raw/b.txt: it changed while it was read" in error
    assert ran(items) == ["b"]
    assert made(items)["b.up"] == "B\n"


def test_what_all_items_need_changes_meanwhile(items: Path) -> None:
    text = STAGE.replace("cmd: ", "cmd: if [ ${item.stem} = b ]; then echo >> tool; fi; ")
    shell.write(items, {"mlvc.yaml": text.encode()})
    error = refused(items, code=7)
    assert "'tool' changed while stage 'upper' ran" in error
    shell.write(items, {"mlvc.yaml": STAGE.encode(), "tool": TOOL + b"\n"})
    assert ran(items) == ["a", "b", "c"], "what may have seen either is not known"


def test_a_new_item_that_comes_meanwhile(items: Path) -> None:
    text = STAGE.replace("cmd: ", "cmd: echo d > raw/d.txt; ")
    shell.write(items, {"mlvc.yaml": text.encode()})
    error = refused(items, code=7)
    assert "'raw/*.txt' changed while stage 'upper' ran" in error
    assert ran(items) == ["d"], "what ran is known"
    assert made(items)["d.up"] == "D\n"


def test_items_run_side_by_side(items: Path) -> None:
    """Each waits for all the others: one after the other they would never end."""
    text = STAGE.replace(
        "cmd: ", "cmd: touch here-${item.stem}; until [ -e here-a -a -e here-b -a -e here-c ]; do sleep 0.05; done; "
    )
    shell.write(items, {"mlvc.yaml": (text + "    timeout: 100\n").encode()})
    assert ran(items, "-j", "3") == ["a", "b", "c"]


def test_resources_count_for_each_item(items: Path) -> None:
    run_mlvc("config", "pipeline.limits.gpu", "1", cwd=items)
    text = STAGE.replace("cmd: ", "cmd: mkdir only && sleep 0.3 && rmdir only && ")
    shell.write(items, {"mlvc.yaml": (text + "    resources: {gpu: 1}\n").encode()})
    assert ran(items, "-j", "3") == ["a", "b", "c"]


def test_a_killed_one_goes_on_from_where_it_was(items: Path) -> None:
    """What ended more than a few seconds before is not run again."""
    text = STAGE.replace(
        "cmd: ",
        "cmd: if [ ${item.stem} = c ] && [ ! -e go ]; then echo $$ > new; mv new hangs; exec sleep 100; fi; ",
    )
    shell.write(items, {"mlvc.yaml": text.encode()})
    process = subprocess.Popen([sys.executable, "-m", "mlvc", "repro"], cwd=items, env=environment())
    try:
        wait_for(items / "hangs")
        wait_for(items / ".git/mlvc/items")
        time.sleep(3)
        process.kill()
        process.wait()
    finally:
        process.kill()
        os.kill(int((items / "hangs").read_text()), signal.SIGKILL)
    (items / "go").touch()
    assert ran(items) == ["c"]
    assert made(items) == {"a.up": "A\n", "b.up": "B\n", "c.up": "C\n"}
    assert not list((items / ".git/mlvc/tmp").iterdir())


def test_ctrl_c_keeps_what_has_ended(items: Path) -> None:
    text = STAGE.replace("cmd: ", "cmd: if [ ${item.stem} = c ] && [ ! -e go ]; then touch hangs; exec sleep 100; fi; ")
    shell.write(items, {"mlvc.yaml": text.encode()})
    with subprocess.Popen(
        [sys.executable, "-m", "mlvc", "repro"], cwd=items, env=environment(), start_new_session=True
    ) as process:
        wait_for(items / "hangs")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert not list((items / ".git/mlvc/tmp").iterdir())
    (items / "go").touch()
    assert ran(items) == ["c"]


def test_a_colleague_gets_it_from_the_remote(items: Path, tmp_path: Path) -> None:
    ran(items)
    shell.commit(items, "made")
    run_mlvc("push", cwd=items)
    other = shell.clone(items)
    run_mlvc("pull", cwd=other)
    assert made(other) == {"a.up": "A\n", "b.up": "B\n", "c.up": "C\n"}
    assert ran(other) == []


def test_a_colleague_runs_only_what_is_new_where_runs_are_shared(items: Path) -> None:
    ran(items)
    shell.commit(items, "made")
    run_mlvc("push", "--run-cache", cwd=items)
    other = shell.clone(items)
    put(other, d="d\n")
    assert ran(other, "--pull") == ["d"]
    assert made(other) == {"a.up": "A\n", "b.up": "B\n", "c.up": "C\n", "d.up": "D\n"}


def test_after_gc_all_is_known_that_runs_name(items: Path) -> None:
    ran(items)
    run_mlvc("config", "gc.grace", "0", cwd=items)
    run_mlvc("config", "gc.trash", "0", cwd=items)
    put(items, d="d\n")
    assert ran(items) == ["d"]
    run_mlvc("gc", "--force", cwd=items)
    put(items, a="other\n")
    assert ran(items) == ["a"]
    assert len(made(items)) == 4
    run_mlvc("fsck", cwd=items)


def test_records_can_be_deleted(items: Path) -> None:
    """What is known then comes from the Run that the Lockfile names; without that too, all runs again."""
    ran(items)
    put(items, a="other\n")
    shutil.rmtree(items / ".git/mlvc/items")
    assert ran(items) == ["a"]
    shutil.rmtree(items / ".git/mlvc/items")
    shutil.rmtree(items / ".git/mlvc/runs")
    put(items, b="other\n")
    assert ran(items) == ["a", "b", "c"]


def test_an_output_that_was_changed_is_kept_aside_and_made_again(items: Path) -> None:
    ran(items)
    (items / "made/upper/a.up").write_text("mine\n")
    put(items, b="other\n")
    done = run_mlvc("repro", cwd=items)
    assert "What stood at made/upper was stored nowhere; it is kept at" in done.err
    assert made(items) == {"a.up": "A\n", "b.up": "OTHER\n", "c.up": "C\n"}


def test_what_is_told(items: Path) -> None:
    assert run_mlvc("repro", "--dry-run", cwd=items).out == "upper: run (never run; 3 items)\n"
    ran(items)
    put(items, a="other\n", b="")
    assert run_mlvc("repro", "--dry-run", cwd=items).out == "upper: run (1 of 2 items changed)\n"
    assert "1 of 2 items changed" in run_mlvc("status", cwd=items).out
    lines = [json.loads(line) for line in run_mlvc("repro", "--json", cwd=items).out.splitlines()]
    (progress,) = (line for line in lines if line["event"] == "items")
    assert progress == {"event": "items", "stage": "upper", "done": 1, "failed": 0, "total": 1}
    assert "upper" in run_mlvc("dag", cwd=items).out


def test_variants_of_foreach_have_items_of_their_own(items: Path) -> None:
    text = """
stages:
  upper:
    foreach: [us, eu]
    do:
      each: raw/${item}/*.txt
      cmd: echo ${item}-${item.stem} >> ran; tr a-z A-Z < ${item.path} > ${out}/${item.name}
      outs:
        - made/upper/${item}
  lower:
    matrix: {size: [1, 2]}
    each: raw/us/*.txt
    cmd: echo ${item.size}-${item.stem} >> ran; head -c ${item.size} ${item.path} > ${out}/${item.name}
    outs:
      - made/cut${item.size}
"""
    shell.write(
        items, {"mlvc.yaml": text.encode(), **{f"raw/{a}/{b}.txt": b.encode() * 3 for a in ("us", "eu") for b in "xy"}}
    )
    assert ran(items, "-j", "2") == ["1-x", "1-y", "2-x", "2-y", "eu-x", "eu-y", "us-x", "us-y"]
    found = {name: text for name, text in made(items).items() if name != ".gitignore"}
    assert found == {f"{a}/{b}.txt": b.upper() * 3 for a in ("us", "eu") for b in "xy"}
    assert (items / "made/cut2/x.txt").read_text() == "xx"
    shell.write(items, {"raw/eu/x.txt": b"new"})
    assert ran(items) == ["eu-x"]


def test_items_that_a_stage_makes(items: Path) -> None:
    text = (
        STAGE
        + """\
  first:
    cmd: mkdir raw && for i in $(cat list); do echo $i > raw/$i.txt; done
    deps: [list]
    outs: [raw]
"""
    )
    shutil.rmtree(items / "raw")
    shell.write(items, {"mlvc.yaml": text.encode(), "list": b"a b"})
    assert ran(items) == ["a", "b"]
    shell.write(items, {"list": b"a b c"})
    assert ran(items) == ["c"]


def test_a_working_directory_and_names_of_all_sorts(items: Path) -> None:
    shutil.rmtree(items / "raw")
    names = ["a b", "it's", 'qu"ote', "$HOME", "ä", "-n", "a;id", "#x", "back`tick"]
    shell.write(items, {f"raw/{name}.txt": name.encode() for name in names})
    cmd = 'cat ${item.path} > "${out}/${item.name}"'
    text = f"stages: {{upper: {{wdir: work, each: ../raw/*.txt, cmd: '{cmd}', outs: [../made/upper]}}}}"
    (items / "work").mkdir()
    shell.write(items, {"mlvc.yaml": text.encode()})
    run_mlvc("repro", cwd=items)
    assert made(items) == {f"{name}.txt": name for name in names}


@pytest.mark.parametrize(
    ("stage", "message", "hint"),
    [
        ("each: raw/a.txt", "line 3, column 5: stage 'upper': 'each' must be a pattern", "write raw/a.txt/*"),
        ("outs: [a, b]", "with 'each' there is exactly one output, under 'outs', and here are 2", "name one directory"),
        ("outs: []", "with 'each' there is exactly one output, under 'outs', and here is none", "name one directory"),
        ("outs: [{o: {persist: true}}]", "'persist' cannot be used with 'each'", "take it out"),
        ("outs: [{o: {cache: false}}]", "'cache: false' cannot be used with 'each'", "take it out"),
        ("outs: [raw]", "files of the output 'raw' may fit the pattern 'raw/*.txt'", "to another directory"),
        ("cmd: cp ${item.path} made", "a command has to write into '${out}'", "add it"),
        ("cmd: cp ${item.pth} ${out}", "`${item.pth}` is no part of an item of 'each'", "did you mean 'item.path'?"),
        ("cmd: cp ${items} ${out}", "'${items}' is there only with 'batch'", "say 'batch: 256'"),
        ("batch: 2", "with 'batch', '${item.path}' cannot be used", "each line of the file ${items}"),
        ("batch: 0", "'batch' must be", ""),
    ],
)
def test_bad_descriptions(items: Path, stage: str, message: str, hint: str) -> None:
    fields = {"each": "raw/*.txt", "cmd": "cp ${item.path} ${out}", "outs": "[made]"}
    key, _, value = stage.partition(": ")
    lines = [f"    {name}: {text}\n" for name, text in {**fields, key: value}.items()]
    shell.write(items, {"mlvc.yaml": ("stages:\n  upper:\n" + "".join(lines)).encode()})
    before = shell.image(items)
    error = refused(items, code=2)
    assert "mlvc.yaml, line " in error
    assert message in error
    assert hint in error
    assert shell.image(items) == before


def test_a_pattern_that_nothing_fits(items: Path) -> None:
    shell.write(items, {"mlvc.yaml": STAGE.replace("raw/*.txt", "raw/*.jpg").encode()})
    error = refused(items, code=2)
    assert "the dependency 'raw/*.jpg' of stage 'upper' fits no file" in error
    assert "mlvc.yaml, line 3, column 5" in error


@pytest.mark.parametrize("name", ["a\tb", "a\nb"])
def test_a_name_that_no_list_can_tell(items: Path, name: str) -> None:
    shell.write(items, {"mlvc.yaml": BATCH.encode(), f"raw/{name}.txt": b"x"})
    error = refused(items, code=2)
    assert "has a tab or a new line" in error
    assert "leave 'batch' out" in error


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("rm -r ${out}; cat ${item.path} > ${out}", "raw/a.txt: its own output is no directory any more"),
        ("rm -r ${out}", "raw/a.txt: its own output is no directory any more"),
        ("mkfifo ${out}/fifo", "which has no content to keep"),
        ("ln -s /etc ${out}/link", "leaves the repository"),
        ("nothing-of-this-name ${out}", "raw/a.txt with exit code 127"),
        ("kill -9 $$; true ${out}", "raw/a.txt was ended by signal 9"),
    ],
)
def test_an_output_that_is_none(items: Path, command: str, message: str) -> None:
    shell.write(
        items, {"mlvc.yaml": f"stages: {{upper: {{each: 'raw/*', cmd: '{command}', outs: [made/upper]}}}}".encode()}
    )
    error = refused(items, code=7)
    assert "3 of 3 items of stage 'upper' failed" in error
    assert message in error
    assert not (items / "made/upper").exists()


def test_without_storing_there_are_no_items(items: Path) -> None:
    error = refused(items, "--no-commit", code=2)
    assert "stage 'upper' has 'each'" in error


def test_no_name_of_a_file_is_run_as_a_command(project: Path) -> None:
    cmd = """x="`basename "${item.name}" .txt`"; echo "$x" > ${out}/"$(case a in a) basename "${item.name}";; esac)" """
    (project / "mlvc.yaml").write_text(
        f'stages:\n  s:\n    each: raw/*.txt\n    cmd: |\n      {cmd}\n      test "$MLVC_ITEM_NAME" = ${{item.name}}\n'
        "    outs: [made/upper]\n"
    )
    names = ("$(touch PWNED)", "`touch PWNED`", "it's; touch PWNED", 'a" b')
    put(project, **dict.fromkeys(names, "x"))
    run_mlvc("repro", cwd=project)
    assert made(project) == {f"{name}.txt": f"{name}\n" for name in sorted(names)}
    assert not list(project.rglob("PWNED"))


def test_a_script_finds_its_item_in_the_environment(project: Path) -> None:
    (project / "tool").write_text('cp "$MLVC_ITEM_PATH" "$MLVC_OUT/$MLVC_ITEM_STEM-$MLVC_STAGE"\n')
    (project / "mlvc.yaml").write_text(
        "stages:\n  s:\n    each: raw/*.txt\n    cmd: sh tool $MLVC_OUT\n    deps: [tool]\n    outs: [made/upper]\n"
    )
    put(project, a="1")
    run_mlvc("repro", cwd=project)
    assert made(project) == {"a-s": "1"}


def test_a_template_where_the_shell_replaces_nothing(project: Path) -> None:
    (project / "mlvc.yaml").write_text(
        "stages:\n  s:\n    each: raw/*.txt\n"
        "    cmd:\n    - |\n      cat > ${out}/x <<'END'\n      ${item.path}\n      END\n"
        "    outs: [made/upper]\n"
    )
    put(project, a="1")
    told = refused(project, code=2)
    assert "mlvc.yaml, line 4" in told
    assert "'${item.path}' stands in a here-document in which the shell replaces nothing" in told


def test_a_name_that_a_command_would_compute_with(project: Path) -> None:
    (project / "mlvc.yaml").write_text(
        "stages:\n  s:\n    each: raw/*.txt\n    cmd: echo $((${item.stem} + 1)) > ${out}/${item.stem}\n"
        "    outs: [made/upper]\n"
    )
    put(project, **{"7": "x", "a[$(touch PWNED)]": "x"})
    assert "${item.stem} is 'a[$(touch PWNED)]' here, and the command computes with it" in refused(project, code=7)
    put(project, **{"a[$(touch PWNED)]": ""})
    run_mlvc("repro", cwd=project)
    assert made(project) == {"7": "8\n"}
    assert not list(project.rglob("PWNED"))


def test_all_that_failed_are_named_in_the_log_and_as_json(project: Path) -> None:
    (project / "mlvc.yaml").write_text(
        "stages:\n  s:\n    each: raw/*.txt\n    retries: 1\n    outs: [made/upper]\n"
        "    cmd: 'case ${item.stem} in ok) cp ${item.path} ${out};; dead) kill -9 $$;; *) exit 3;; esac'\n"
    )
    names = ["dead", "a\nb", *(f"x{number}" for number in range(5))]
    put(project, ok="x", **dict.fromkeys(names, "x"))
    done = run_mlvc("repro", "--json", cwd=project, check=False)
    events = [json.loads(line) for line in done.out.splitlines()]
    failed = {event["path"]: (event["how"], event["code"]) for event in events if event["event"] == "item_failed"}
    assert set(failed) == {f"raw/{name}.txt" for name in names}
    assert failed["raw/dead.txt"] == ("was ended by signal 9", -9)
    assert failed["raw/x4.txt"] == ("failed with exit code 3", 3)
    assert "`mlvc runs log s` names each of them" in done.err
    assert "raw/dead.txt failed was" not in done.err
    log = run_mlvc("runs", "log", "s", cwd=project).out.splitlines()
    assert sorted(line for line in log if line.startswith("# failed: ")) == sorted(
        ["# failed: raw/dead.txt was ended by signal 9", "# failed: raw/a\\nb.txt with exit code 3"]
        + [f"# failed: raw/x{number}.txt with exit code 3" for number in range(5)]
    )
    at = log.index("# item: raw/x2.txt", log.index("# item: raw/x2.txt") + 1)
    assert log[at + 1] == "# try 2 of 2"
    assert log.count("# try 2 of 2") == 7


def test_what_took_too_long_is_not_said_to_have_failed_took(project: Path) -> None:
    (project / "mlvc.yaml").write_text(
        "stages:\n  s:\n    each: raw/*.txt\n    timeout: 1\n    cmd: 'sleep 60; : ${out}'\n    outs: [made/upper]\n"
    )
    put(project, a="x")
    told = refused(project, code=7)
    assert "Stage 's': raw/a.txt took longer than the timeout of 1 s" in told


def test_a_name_that_no_list_tells_comes_with_its_place(project: Path) -> None:
    (project / "mlvc.yaml").write_text(BATCH)
    (project / "tool").write_bytes(TOOL)
    put(project, **{"a\tb": "x"})
    told = refused(project, code=2)
    assert "mlvc.yaml, line 3, column 5: stage 'upper': the name of 'raw/a\\tb.txt' has a tab" in told
    assert "# exit code: 1" in next((project / ".git/mlvc/logs").rglob("*.log")).read_text()


@pytest.mark.parametrize(
    ("names", "target", "hint"),
    [
        (("a", "sub/a"), "${out}", "let each write to ${out}/${item.parent}, which `mkdir -p` makes"),
        (("a", "b"), "${out}/x", "let each write a name of its own, such as ${out}/${item.name}.txt; "),
    ],
)
def test_the_hint_for_two_that_make_the_same(project: Path, names: tuple[str, ...], target: str, hint: str) -> None:
    (project / "mlvc.yaml").write_text(
        f"stages:\n  s:\n    each: raw/**/*.txt\n    cmd: cp ${{item.path}} {target}\n    outs: [made/upper]\n"
    )
    (project / "raw/sub").mkdir(parents=True)
    put(project, **dict.fromkeys(names, "x"))
    assert hint in refused(project, code=7)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("each: 'raw/[12].txt'", "hint: brackets and braces are characters as any others"),
        ("each: 'raw/*.{txt,csv}'", "hint: brackets and braces are characters as any others"),
        ("each: [a/*, b/*]", "'each' must be text, and this is a list\nhint: write one value there"),
        ("each: *.txt", "hint: text that begins with `*` or `&` goes in quotes"),
        ("each: *txt", "hint: text that begins with `*` or `&` goes in quotes"),
        ("each: raw/*\n    foreach: [1]\n    do: {cmd: x}", "hint: write 'each' below 'do'"),
    ],
)
def test_what_is_said_of_a_description_that_is_wrong(project: Path, text: str, told: str) -> None:
    rest = "" if "do:" in text else "    cmd: cp ${item.path} ${out}\n    outs: [made/upper]\n"
    (project / "mlvc.yaml").write_text(f"stages:\n  s:\n    {text}\n{rest}")
    assert told in refused(project, code=2)


def test_an_output_that_git_has(project: Path) -> None:
    (project / "mlvc.yaml").write_text(STAGE)
    (project / "made/upper").mkdir(parents=True)
    (project / "made/upper/x").write_text("x")
    subprocess.run(["git", "add", "-f", "made/upper/x"], cwd=project, check=True)
    put(project, a="x")
    told = refused(project, code=2)
    assert "hint: `git rm -r --cached made/upper`, or name another directory" in told


def test_where_the_last_item_goes_the_output_stays_and_that_is_said(project: Path) -> None:
    (project / "mlvc.yaml").write_text(STAGE)
    (project / "tool").write_bytes(TOOL)
    put(project, a="x")
    run_mlvc("repro", cwd=project)
    put(project, a="")
    told = refused(project, code=2)
    assert "the dependency 'raw/*.txt' of stage 'upper' fits no file\nhint: made/upper stays as it is: " in told
    assert made(project) == {"a.up": "X"}
    put(project, b="y")
    run_mlvc("repro", cwd=project)
    assert made(project) == {"b.up": "Y"}
