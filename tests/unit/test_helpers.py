"""Processes that tests start see what a person's would."""

import os
import sys

import pytest

from tests.helpers import run


def test_a_failure_shows_what_the_process_said():
    with pytest.raises(AssertionError, match=r"(?s)ended with 3\n.*some output\n.*some complaint"):
        run(
            [
                sys.executable,
                "-c",
                "import sys; print('some output'); sys.exit(print('some complaint', file=sys.stderr) or 3)",
            ]
        )


def test_a_failure_may_be_what_is_wanted():
    assert run(["false"], check=False).code == 1


def test_bytes_that_are_no_text_come_back(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / "work" / name).touch()
    assert run(["ls", "--show-control-chars"]).out == name + "\n"


def test_there_is_no_input_to_wait_for():
    assert run(["cat"]).out == ""


def test_mlvc_imports_nothing_from_the_folder_that_it_runs_in(tmp_path, run_mlvc):
    (tmp_path / "work/zstandard.py").write_text("raise SystemExit('imported')")
    (tmp_path / "work/mlvc.py").write_text("raise SystemExit('imported')")
    assert "imported" not in run_mlvc("--version", check=False).err


def test_this_python_is_the_one_on_path():
    assert run(["python3", "-c", "import sys; print(sys.prefix)"]).out.strip() == sys.prefix
