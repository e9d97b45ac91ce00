"""A project whose results are shared through a Remote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.helpers import git, run_mlvc, shell

PIPELINE = """\
stages:
  upper:
    cmd: echo upper >> log; mkdir up; for n in a b; do tr a-z A-Z < data/$n > up/$n; done
    deps: [data]
    outs: [up]
  count:
    cmd: echo count >> log; cat up/a up/b > all; wc -c < all > count.json
    deps: [up]
    params: [times]
    outs: [all]
    metrics: [{count.json: {cache: false}}]
"""


def project(place: Path) -> Path:
    """A repository whose pipeline has run and whose data, but no Runs, are on the Remote."""
    root = shell.project(place)
    shutil.rmtree(root / "data", ignore_errors=True)
    shell.write(
        root,
        {"data/a": b"a\n", "data/b": b"b\n", "mlvc.yaml": PIPELINE.encode(), "params.yaml": b"times: 1\n"}
        | {".gitignore": b"/log\n"},
    )
    run_mlvc("add", "data", cwd=root)
    run_mlvc("repro", cwd=root)
    shell.commit(root)
    run_mlvc("push", cwd=root)
    return root


def computed(root: Path, times: int) -> None:
    """Run the pipeline with another parameter, send the Run, and go back: only the Run cache knows of it."""
    shell.write(root, {"params.yaml": b"times: %d\n" % times})
    run_mlvc("repro", cwd=root)
    run_mlvc("push", "--run-cache", cwd=root)
    git("checkout", "--quiet", ".", cwd=root)


def ran(root: Path, *args: str, check: bool = True) -> list[str]:
    """The Stages whose commands a ``repro`` ran."""
    log = root / "log"
    log.unlink(missing_ok=True)
    run_mlvc("repro", *args, cwd=root, check=check)
    return log.read_text().split() if log.exists() else []


def outcomes(root: Path, *args: str) -> dict[str, str]:
    """What ``repro`` would do for each Stage."""
    return {
        item["stage"]: item["action"]
        for item in json.loads(run_mlvc("repro", "--dry-run", "--json", *args, cwd=root).out)
    }


def store(root: Path) -> Path:
    """Where the Remote lies."""
    return root / run_mlvc("config", "remote.store.url", cwd=root).out.strip()


def bundles(root: Path) -> list[Path]:
    """The bundles of Runs on the Remote."""
    return sorted((store(root) / "runs").iterdir())
