"""The ``dvc.yaml`` of a project, renamed to ``mlvc.yaml``, runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers import git, run_mlvc, shell

PIPELINE = b"""\
vars:
  - config/data.json
  - reports: reports

stages:
  fetch:
    foreach: ${sources}
    do:
      desc: Get the numbers of ${key}
      cmd: python3 src/fetch.py --seed ${item.seed} --count ${item.count} work/raw/${key}.txt
      deps: [src/fetch.py]
      outs: ["work/raw/${key}.txt"]

  features:
    cmd: >-
      python3 src/features.py ${features}
      work/raw/us.txt work/raw/eu.txt work/features.json
    deps: [src/features.py, work/raw/us.txt, work/raw/eu.txt]
    params: [features]
    outs:
      - work/features.json:
          desc: Numbers, scaled

  train:
    matrix:
      model: ${models}
      seed: [1, 2]
    wdir: models
    cmd:
      - mkdir -p ${key}
      - |
        python3 ../src/train.py ${item.model} ${item.seed} ${train.lr} \\${SHELL_VARIABLE}
    deps: [../work/features.json, ../src/train.py]
    params:
      - ../params.yaml: [train.lr]
      - ../config/models.toml: ["${item.model}"]
    outs: ["${key}/model.txt"]
    metrics:
      - ${key}/score.json: {cache: false}

  report:
    vars: [config/report.yaml]
    cmd: echo "${title}" > ${reports}/index.txt && cat models/*/score.json >> ${reports}/index.txt
    deps: ["models/mean-1/score.json", "models/mean-2/score.json", "models/max-1/score.json", "models/max-2/score.json"]
    outs: ["${reports}/index.txt"]

metrics: ["models/${models[0]}-1/score.json"]
plots:
  - ${reports}/index.txt: {x: step, title: "${models[1]}"}
artifacts:
  best: {path: "models/${models[0]}-1/model.txt", type: model, desc: The best, labels: [demo]}
"""
FILES = {
    "dvc.yaml": PIPELINE,
    "params.yaml": b"features: {scale: 2.5, absolute: true, drop: false}\ntrain: {lr: 1e-1}\n",
    "config/data.json": b"""\
{
  "sources": {"us": {"seed": 1, "count": 3}, "eu": {"seed": 2, "count": 2}},
  "models": ["mean", "max"]
}
""",
    "config/models.toml": b"[mean]\nsquare = false\n[max]\nsquare = true\n",
    "config/report.yaml": b"title: All of it\n",
    "reports/.gitkeep": b"",
    "models/.gitkeep": b"",
    "src/fetch.py": b"""\
import argparse, random
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
parser.add_argument("--count", type=int)
parser.add_argument("target")
args = parser.parse_args()
chance = random.Random(args.seed)
with open(args.target, "w") as file:
    file.write("".join(f"{chance.randrange(100)}\\n" for _ in range(args.count)))
""",
    "src/features.py": b"""\
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--scale", type=float)
parser.add_argument("--absolute", action="store_true")
parser.add_argument("--drop", action="store_true")
parser.add_argument("files", nargs="+")
args = parser.parse_args()
assert args.absolute and not args.drop
*sources, target = args.files
numbers = [int(line) * args.scale for source in sources for line in open(source)]
json.dump(numbers, open(target, "w"))
""",
    "src/train.py": b"""\
import json, sys
model, seed, lr = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
numbers = json.load(open("../work/features.json"))
value = (max(numbers) if model == "max" else sum(numbers) / len(numbers)) * seed * lr
open(f"{model}-{seed}/model.txt", "w").write(str(value))
json.dump({"value": value}, open(f"{model}-{seed}/score.json", "w"))
""",
}
STAGES = ["fetch@us", "fetch@eu", "features", *(f"train@{m}-{s}" for m in ("mean", "max") for s in (1, 2)), "report"]


@pytest.fixture
def renamed(project: Path) -> Path:
    shell.write(project, FILES)
    (project / "work" / "raw").mkdir(parents=True)
    shell.commit(project, "A project of DVC")
    assert "rename dvc.yaml to mlvc.yaml" in run_mlvc("repro", cwd=project, check=False).err
    git("mv", "dvc.yaml", "mlvc.yaml", cwd=project)
    return project


def outcomes(project: Path) -> dict[str, str]:
    events = map(json.loads, run_mlvc("repro", "--json", cwd=project).out.splitlines())
    return {event["stage"]: event["outcome"] for event in events if event["event"] == "finished"}


def test_a_renamed_dvc_yaml_runs(renamed):
    first = outcomes(renamed)
    assert first == dict.fromkeys(STAGES, "ran")
    assert len((renamed / "reports/index.txt").read_text().split("{")) == 5
    assert (renamed / "reports/index.txt").read_text().startswith("All of it\n")
    assert json.loads((renamed / "models/max-2/score.json").read_text())["value"] > 0
    assert outcomes(renamed) == dict.fromkeys(STAGES, "unchanged")
    status = run_mlvc("status", cwd=renamed)
    assert "train" not in status.out


def test_only_what_a_change_concerns_runs_again(renamed):
    run_mlvc("repro", cwd=renamed)
    shell.write(renamed, {"config/models.toml": b"[mean]\nsquare = true\n[max]\nsquare = true\n"})
    assert {stage for stage, outcome in outcomes(renamed).items() if outcome == "ran"} == {
        "train@mean-1",
        "train@mean-2",
    }
    # A variable that only the command names.
    shell.write(renamed, {"config/report.yaml": b"title: Another\n"})
    assert {stage for stage, outcome in outcomes(renamed).items() if outcome == "ran"} == {"report"}
    shell.write(renamed, {"params.yaml": FILES["params.yaml"].replace(b"1e-1", b"0.1")})
    assert set(outcomes(renamed).values()) == {"unchanged"}


def test_a_variable_that_is_gone_is_told_with_its_place(renamed):
    shell.write(renamed, {"config/data.json": b'{"sources": {}, "model": []}'})
    before = shell.image(renamed)
    result = run_mlvc("repro", cwd=renamed, check=False)
    words = "stage 'train': `${models}` does not resolve: no variable 'models' in params.yaml, config/data.json, 'vars'"
    shell.refused(result, 2, "mlvc.yaml, line 26, column 7", words, "did you mean 'model'?")
    assert shell.image(renamed) == before


def test_the_environment_is_that_of_the_command(project):
    shell.write(project, {"mlvc.yaml": b"stages: {s: {cmd: 'echo ${env.WHO:-nobody} > o', outs: [o]}}\n"})
    run_mlvc("repro", cwd=project)
    assert (project / "o").read_text() == "nobody\n"
    run_mlvc("repro", cwd=project, env={"WHO": "me"})
    assert (project / "o").read_text() == "me\n"


def test_skipped_stages_are_told_and_status_is_silent(project):
    text = b"stages:\n  s: {cmd: 'echo > o', outs: [o], when: on}\n  t: {cmd: 'cp o p', deps: [o], outs: [p]}\n"
    shell.write(project, {"mlvc.yaml": text, "params.yaml": b"on: false\n"})
    result = run_mlvc("repro", cwd=project)
    assert "pipeline: 2 skipped" in result.err
    assert not (project / "p").exists()
    assert (
        run_mlvc("status", cwd=project).out.count("\n") == 0 or "never run" not in run_mlvc("status", cwd=project).out
    )
    shell.write(project, {"params.yaml": b"on: true\n"})
    assert outcomes(project) == {"s": "ran", "t": "ran"}
