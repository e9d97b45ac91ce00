"""The files for CI services on docs/howto/ci.md: their mlvc commands work in a fresh clone, and fill the cache."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import helpers
from tests.helpers import run_mlvc, shell
from tests.helpers.pages import ROOT, split

BLOCKS = [
    yaml.safe_load("\n".join(block.lines))
    for block in split((ROOT / "docs/howto/ci.md").read_text(encoding="utf-8"))[1]
    if block.language == "yaml"
]


def github(job: dict[str, Any]) -> tuple[list[str], dict[str, str], str]:
    """The commands, the environment and the cached path of a job."""
    steps = job["steps"]
    (cached,) = (step["with"]["path"] for step in steps if step.get("uses", "").startswith("actions/cache@"))
    return [step["run"] for step in steps if "run" in step], job.get("env", {}), cached


def gitlab(job: dict[str, Any]) -> tuple[list[str], dict[str, str], str]:
    """The same of a job of GitLab."""
    (cached,) = job["cache"]["paths"]
    return job["script"], job["variables"], cached


JOBS = {"github": github(BLOCKS[0]["jobs"]["data"]), "gitlab": gitlab(BLOCKS[1]["data"])}


@pytest.mark.parametrize("name", JOBS)
def test_the_job_works_and_fills_its_cache(name: str) -> None:
    scripts, variables, cached = JOBS[name]
    root = shell.project(Path("project").absolute(), pushed=True)
    job = root.parent / "job"
    helpers.git("clone", "--quiet", "--depth", "1", f"file://{root}", job)
    told = {key: value.replace("$CI_PROJECT_DIR", str(job)) for key, value in variables.items()}
    env = {key: value for key, value in told.items() if re.fullmatch(r"MLVC_\w+", key)}
    commands = [shlex.split(script) for script in scripts if script.startswith("mlvc ")]
    assert [words[1] for words in commands] == ["pull", "status"]
    for words in commands:
        run_mlvc(*words[1:], cwd=job, env=env)
    assert os.listdir(job / cached / "packs")
    # The next job: a clone with the Store of this one, and without the Remote.
    following = root.parent / "following"
    helpers.git("clone", "--quiet", "--depth", "1", f"file://{root}", following)
    (following / cached).parent.mkdir(parents=True, exist_ok=True)
    (job / cached).rename(following / cached)
    env = {key: value.replace(str(job), str(following)) for key, value in env.items()}
    run_mlvc("checkout", cwd=following, env=env)
    assert shell.tree(following)["model.bin"] == shell.tree(root)["model.bin"]
