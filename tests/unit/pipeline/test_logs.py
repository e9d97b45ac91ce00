"""Logs of Runs: what is written can be read again, whatever stands in it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvc.oid import Oid
from mlvc.pipeline import logs
from mlvc.pipeline.logs import KEPT, Logs, folder_of, read

KEY = Oid(bytes.fromhex("f112bad38b2bd0f62aee7e4634570895"))
PAGE = Path(__file__).parents[3] / "docs/formats/log.md"


@pytest.fixture
def kept(tmp_path):
    return Logs(str(tmp_path / "logs"))


def write(kept, stage="train", output=b"", *, code=0, commands=("x",)):
    fd, _ = kept.create(stage, KEY, commands, "")
    os.write(fd, output)
    logs.ended(fd, code, 1.5)
    os.close(fd)


def test_what_a_command_prints_is_read_again(kept):
    fd, _ = kept.create("train", KEY, ["echo a", "echo b\necho c >&2"], "sub")
    subprocess.run("echo a; echo b; echo c >&2; printf d", shell=True, stdout=fd, stderr=fd, check=True)
    logs.ended(fd, -9, 0.25)
    os.close(fd)
    (log,) = kept.of("train")
    assert (log.stage, log.key) == ("train", "f112bad38b2b")
    assert os.path.basename(log.path) == f"{log.began}-f112bad38b2b.log"
    text = read(log.path)
    assert text.fields["command"] == "echo a\necho b\necho c >&2"
    assert (text.fields["stage"], text.fields["directory"], text.fields["key"]) == ("train", "sub", KEY.hex())
    assert (text.output, text.code, text.seconds) == (b"a\nb\nc\nd\n", -9, 0.25)


@given(output=st.binary(max_size=200), commands=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=3))
def test_any_output_and_any_command_can_be_read(tmp_path_factory, output, commands):
    kept = Logs(str(tmp_path_factory.mktemp("logs")))
    write(kept, output=output, commands=[command.encode(errors="replace").decode() for command in commands])
    text = read(kept.of("train")[0].path)
    assert text.output in (output, output + b"\n")
    assert (text.code, text.fields["stage"]) == (0, "train")


def test_one_that_has_not_ended_has_no_code_and_what_comes_after_the_end_belongs_to_the_output(kept):
    fd, _ = kept.create("train", KEY, ["x"], "")
    os.write(fd, b"begun\n")
    path = kept.of("train")[0].path
    assert (read(path).output, read(path).code) == (b"begun\n", None)
    logs.ended(fd, 0, 1)
    os.write(fd, b"late\n")
    assert (read(path).output, read(path).code) == (b"begun\nlate\n", 0)
    os.close(fd)


def test_the_last_twenty_of_each_stage_are_kept_the_newest_first(kept):
    for number in range(KEPT + 3):
        write(kept, output=b"%d\n" % number)
    write(kept, "other")
    found = [read(log.path).output for log in kept.of("train")]
    assert found == [b"%d\n" % number for number in reversed(range(3, KEPT + 3))]
    assert [log.stage for log in kept.latest()] == ["other", "train"]


@pytest.mark.parametrize(
    "stage", ["train", "sub/mlvc.yaml:train", "t@cnn-1", "..", ".", "ü€", "a%2Fb", "x" * 400, "ü" * 100, "a" * 180]
)
def test_every_name_of_a_stage_gets_a_directory_of_its_own(kept, stage):
    folder = folder_of(stage)
    assert re.fullmatch(r"[A-Za-z0-9_~%@=+,-][A-Za-z0-9_.~%@=+,-]{,249}", folder)
    write(kept, stage)
    assert kept.stages() == (stage,)
    assert len(kept.of(stage)) == 1
    assert folder_of("x" * 400) != folder_of("x" * 401)


def test_without_any_log(kept):
    assert [*kept.of("train"), *kept.stages(), *kept.latest()] == []


def test_the_example_of_the_page(tmp_path):
    example = re.search(r"<!-- example: log -->\n```\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    (tmp_path / "log").write_text(example)
    text = read(str(tmp_path / "log"))
    assert text.fields == {
        "stage": "train",
        "command": "python train.py",
        "directory": ".",
        "began": "20261121T204500Z",
        "key": KEY.hex(),
    }
    assert (text.output, text.code, text.seconds) == (b"epoch 1: loss 0.25\n", 0, 12.5)
    assert logs._header("train", KEY, ["python train.py"], "", "20261121T204500Z").decode() == example.split("epoch")[0]


def test_a_file_that_is_no_log_is_output(tmp_path):
    (tmp_path / "log").write_bytes(b"\xff\x00\n\n# exit code")
    assert read(str(tmp_path / "log")) == logs.Text({}, b"\xff\x00\n\n# exit code")
