"""Standard streams that are closed, or that cannot take every character."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.helpers import SOURCES, run_mlvc, shell

PIPELINE = b"""stages:
  a:
    cmd: echo printed by the stage; echo 1 > out
    outs: [out]
"""


def test_what_a_stage_prints_gets_into_no_file_of_mlvc(tmp_path: Path) -> None:
    """Where all three streams are closed, the first files that mlvc opens would have got their numbers."""
    root = shell.project(tmp_path / "project")
    shell.write(root, {"mlvc.yaml": PIPELINE})
    command = 'exec "$0" -P -m mlvc repro <&- >&- 2>&-'
    env = os.environ | {"PYTHONPATH": SOURCES}
    done = subprocess.run(["sh", "-c", command, sys.executable], cwd=root, env=env, check=False, timeout=120)
    assert done.returncode == 0
    assert (root / "out").read_text() == "1\n"
    for name in ("claims/guard", "recording", "tracking"):
        assert (root / ".git/mlvc" / name).read_bytes() == b""
    printed = [
        path for path in (root / ".git/mlvc").rglob("*") if path.is_file() and b"by the stage\n" in path.read_bytes()
    ]
    assert [path.parts[-3] for path in printed] == ["logs"]


def test_json_is_json_in_every_encoding(tmp_path: Path) -> None:
    root = shell.project(tmp_path / "project")
    names = {"é", "日本", "\U0001f600"}
    shell.write(root, dict.fromkeys(names, b"x"))
    run_mlvc("add", *sorted(names), cwd=root)
    for encoding in ("ascii", "latin-1", "utf-8", ""):
        done = run_mlvc("ls", "--json", cwd=root, env={"PYTHONIOENCODING": encoding})
        assert names <= {item["path"] for item in json.loads(done.out)["items"]}
