"""Stages with ``each`` under ``repro --isolated`` and ``repro --check-deterministic``, and what failing items leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import SOURCES, Result, run_mlvc, shell

STAGE = """\
stages:
  upper:
    each: raw/*.txt
    cmd: {cmd}
    deps: [tool, raw]
    params: [p.yaml: [n]]
    outs: [made/upper]
"""
UPPER = "sh tool ${item.path} ${out}/${item.stem}.up"


def describe(root: Path, cmd: str, more: str = "") -> None:
    """A pipeline with one stage for each file of ``raw``."""
    (root / "mlvc.yaml").write_text(STAGE.replace("{cmd}", cmd) + more)


@pytest.fixture
def items(project: Path) -> Path:
    raw = {f"raw/{name}.txt": f"{name}\n".encode() for name in "abc"}
    tool = b'tr a-z A-Z < "$1" > "$2"\n'
    shell.write(project, {"tool": tool, "p.yaml": b"n: 1\n", "raw/labels.csv": b"x\n", "helper": b"h\n", **raw})
    describe(project, UPPER)
    return project


def texts(top: Path) -> dict[str, str]:
    """The text of each file by its path below ``top``."""
    return {str(path.relative_to(top)): path.read_text() for path in sorted(top.rglob("*")) if path.is_file()}


def made(root: Path) -> dict[str, str]:
    return texts(root / "made/upper")


def left(root: Path) -> list[str]:
    """What is left of directories for items."""
    return [str(path) for path in (root / ".git/mlvc/tmp").rglob("*")]


def failed(root: Path, *args: str) -> Result:
    result = run_mlvc("repro", *args, cwd=root, check=False)
    assert result.code == 7, result.err
    assert left(root) == []
    return result


def kept(root: Path) -> dict[str, str]:
    """What was kept aside in one directory, as text by path."""
    (place,) = (root / ".git/mlvc/aside").iterdir()
    return texts(place)


# -- alone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_command_finds_its_item_and_what_all_depend_on(items: Path, jobs: str) -> None:
    describe(items, f"find . -type f | LC_ALL=C sort > $SEEN/${{item.stem}}; {UPPER}")
    seen = items.parent / "seen"
    seen.mkdir()
    run_mlvc("repro", "--isolated", "-j", jobs, cwd=items, env={"SEEN": str(seen)})
    assert {name: text.split() for name, text in texts(seen).items()} == {
        name: ["./p.yaml", f"./raw/{name}.txt", "./tool"] for name in "abc"
    }
    assert made(items) == {f"{name}.up": f"{name.upper()}\n" for name in "abc"}
    assert left(items) == []
    # They are the same items, wherever they ran.
    (items / "raw/a.txt").write_text("new\n")
    assert "1 of 3 items changed" in run_mlvc("repro", cwd=items).err


def test_a_batch_finds_its_items(items: Path) -> None:
    """In another working directory, from where the paths lead up."""
    tool = (
        b"ls ../raw | tr '\\n' ' ' >> $SEEN; echo >> $SEEN; "
        b"while IFS='\t' read -r path out; do cp $path $out; done < $1\n"
    )
    text = STAGE.replace("{cmd}", "sh ../tool ${items}").replace("raw/*", "../raw/*")
    text = text.replace("[tool, raw]", "[../tool, ../raw]").replace("p.yaml", "../p.yaml").replace("[made", "[../made")
    shell.write(items, {"mlvc.yaml": (text + "    batch: 2\n    wdir: w\n").encode(), "w/x": b"", "tool": tool})
    run_mlvc("repro", "--isolated", cwd=items, env={"SEEN": str(items.parent / "seen")})
    assert (items.parent / "seen").read_text().splitlines() == ["a.txt ", "b.txt c.txt "]
    assert sorted(made(items)) == ["a.txt", "b.txt", "c.txt"]


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("cat helper ${item.path}", "helper"),
        ("cat raw/b.txt", "raw/b.txt"),
        ("cat raw/labels.csv", "raw/labels.csv"),
        ("python3 -c 'import tool2'", "tool2.py"),
    ],
)
def test_what_an_item_does_not_depend_on_is_not_there_and_is_named(items: Path, command: str, named: str) -> None:
    shell.write(items, {"tool2.py": b"", "raw/b.txt": b"b"})
    describe(items, f"test ${{item.stem}} = b || {command} > ${{out}}/x.${{item.stem}}")
    result = failed(items, "--isolated")
    assert "2 of 3 items of stage 'upper' failed: raw/a.txt with exit code" in result.err
    assert f"hint: their output names {named}, which these items do not depend on" in result.err
    describe(items, "nothing-like-this ${out}")
    assert "hint: with --isolated a command finds only its items" in failed(items, "--isolated").err


def test_a_command_finds_nothing_of_the_one_before(items: Path) -> None:
    """What one leaves is gone, and what all depend on is as it was."""
    shell.write(items, {"shared/x": b"x"})
    cmd = (
        "test ! -e stray -a ! -e raw/stray -a ! -e shared/deep -a -d shared/empty || exit 1; "
        f"mkdir -p shared/deep/er; touch stray raw/stray shared/deep/er/x; {UPPER}"
    )
    describe(items, cmd)
    (items / "mlvc.yaml").write_text((items / "mlvc.yaml").read_text().replace("[tool, raw]", "[tool, raw, shared]"))
    (items / "shared/empty").mkdir()
    run_mlvc("repro", "--isolated", cwd=items)
    assert len(made(items)) == 3
    assert left(items) == []


@pytest.mark.parametrize(
    ("command", "path"),
    [("echo >> tool", "tool"), ("echo >> raw/b.txt", "raw/b.txt"), ("rm tool", "tool"), ("chmod 777 tool", "tool")],
)
def test_a_command_that_writes_to_what_it_depends_on(items: Path, command: str, path: str) -> None:
    describe(items, f"{UPPER} && if [ ${{item.stem}} = b ]; then {command}; fi")
    result = failed(items, "--isolated")
    assert f"1 of 3 items of stage 'upper' failed: raw/b.txt: '{path}' changed while it ran" in result.err
    assert (items / "tool").read_bytes() == b'tr a-z A-Z < "$1" > "$2"\n'
    assert (items / "raw/b.txt").read_text() == "b\n"
    assert kept(items) == {"raw/b.txt/b.up": "B\n"}
    assert "1 of 3 items changed" in run_mlvc("repro", "--dry-run", cwd=items).out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_is_interrupted_leaves_nothing(items: Path, number: int) -> None:
    up = items.parent / "up"
    describe(items, f"echo $$ > {up}; exec sleep 60; true ${{out}}")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlvc", "repro", "--isolated"],
        cwd=items,
        env=os.environ | {"PYTHONPATH": SOURCES},
        stderr=subprocess.DEVNULL,
    )
    while not (up.exists() and up.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    process.wait(timeout=60)
    if number == signal.SIGKILL:
        os.killpg(int(up.read_text()), signal.SIGKILL)
        describe(items, UPPER)
        run_mlvc("repro", "--isolated", cwd=items)
    assert left(items) == []


# -- twice ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--isolated"], ["-j", "2"]])
def test_items_that_make_the_same_twice(items: Path, options: list[str]) -> None:
    log = items.parent / "log"
    describe(items, f"echo ${{item.stem}} >> $LOG; {UPPER}")
    run_mlvc("repro", "--check-deterministic", *options, cwd=items, env={"LOG": str(log)})
    assert sorted(log.read_text().split()) == ["a", "a", "b", "b", "c", "c"]
    assert made(items) == {f"{name}.up": f"{name.upper()}\n" for name in "abc"}
    assert left(items) == []
    # Only what runs does so twice.
    log.unlink()
    (items / "raw/a.txt").write_text("new\n")
    run_mlvc("repro", "--check-deterministic", *options, cwd=items, env={"LOG": str(log)})
    assert log.read_text().split() == ["a", "a"]


@pytest.mark.parametrize("options", [[], ["--isolated"]])
def test_items_that_do_not_are_named_with_their_files(items: Path, options: list[str]) -> None:
    describe(items, f"test ${{item.stem}} = a || date +%N > ${{out}}/${{item.stem}}.time; {UPPER}")
    result = failed(items, "--check-deterministic", *options)
    shell.ends(
        result,
        "stage 'upper' is not deterministic in 2 of 3 items: raw/b.txt made another b.time the second time; "
        "raw/c.txt made another c.time the second time; what they left is kept in ",
        "look for a clock",
    )
    found = kept(items)
    assert sorted(found) == ["raw/b.txt/b.time", "raw/b.txt/b.up", "raw/c.txt/c.time", "raw/c.txt/c.up"]
    assert found["raw/b.txt/b.up"] == "B\n"
    assert not (items / "made/upper").exists()
    # What came out the same is known.
    assert "2 of 3 items changed" in run_mlvc("repro", "--dry-run", cwd=items).out


def test_of_a_batch_those_that_differ(items: Path) -> None:
    shell.write(
        items,
        {
            "tool": b"while IFS='\t' read -r path out; do name=$(basename $path .txt); cp $path $out/$name\n"
            b"[ $name != b ] || echo $$ > $out/pid; done < $1\n"
        },
    )
    describe(items, "sh tool ${items}", "    batch: 8\n")
    result = failed(items, "--check-deterministic")
    assert "not deterministic in 1 of 3 items: raw/b.txt made another pid the second time" in result.err
    assert sorted(kept(items)) == ["raw/b.txt/b", "raw/b.txt/pid"]
    assert "1 of 3 items changed" in run_mlvc("repro", "--dry-run", cwd=items).out


def test_the_second_time_finds_only_what_is_declared(items: Path) -> None:
    describe(items, "cat helper > ${out}/${item.stem}")
    result = failed(items, "--check-deterministic")
    assert "raw/a.txt with exit code 1 the second time (cat: helper" in result.err
    assert "their output names helper, which these items do not depend on" in result.err
    assert kept(items)["raw/a.txt/a"] == "h\n"


# -- what is left --------------------------------------------------------------------------------


def test_what_failing_items_left_is_kept_in_one_place(items: Path) -> None:
    describe(items, f"{UPPER}; test ${{item.stem}} = b")
    result = failed(items)
    (place,) = (items / ".git/mlvc/aside").iterdir()
    assert result.err.count("what they left is kept in") == 1
    assert f"; what they left is kept in {place}\n" in result.err
    assert kept(items) == {"raw/a.txt/a.up": "A\n", "raw/c.txt/c.up": "C\n"}


def test_what_a_batch_left_is_kept_and_nothing_of_tries_before_the_last(items: Path) -> None:
    count = items.parent / "count"
    cmd = f"echo >> {count}; cut -f 2 ${{items}} | while read -r out; do wc -l < {count} > $out/try; done; false"
    describe(items, cmd, "    batch: 8\n    retries: 1\n")
    failed(items)
    assert {name: text.strip() for name, text in kept(items).items()} == {f"raw/{name}.txt/try": "2" for name in "abc"}


def test_items_that_left_nothing_are_not_told_of(items: Path) -> None:
    describe(items, "false ${out}")
    assert "kept in" not in failed(items).err
    assert not (items / ".git/mlvc/aside").exists()
