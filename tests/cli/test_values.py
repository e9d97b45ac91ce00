"""``params diff``, ``metrics show`` and ``metrics diff``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers import git, make_git_repo, run_mlvc, shell
from tests.helpers.shell import ends, image, refused

PIPELINE = b"""\
params: [more.toml]
metrics: [top.json, scores]
stages:
  train:
    cmd: cp in.json model.json && cp in.json kept.json && mkdir -p d && cp in.json d/m.json
    deps: [in.json]
    params: [lr, opt.name, cfg.py: [DEPTH]]
    metrics:
      - model.json
      - kept.json: {cache: false}
      - d/m.json
"""
FILES = {
    "mlvc.yaml": PIPELINE,
    "in.json": b'{"acc": 0.5, "by": {"cat": 0.25, "name": "x", "list": [1]}}\n',
    "top.json": b'{"auc": 1}\n',
    "scores/a.yaml": b"f1: 0.125\n",
    "params.yaml": b"lr: 0.1\nopt: {name: sgd, steps: [1, 2]}\n",
    "cfg.py": b"DEPTH = 3\nWIDTH = 4\n",
    "more.toml": b"x = 1\n",
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_git_repo(tmp_path_factory.mktemp("values") / "project")
    run_mlvc("init", cwd=root)
    run_mlvc("remote", "add", "-d", "store", "../remote", cwd=root)
    shell.write(root, FILES)
    run_mlvc("repro", cwd=root)
    shell.commit(root, "first")
    git("tag", "v1", cwd=root)
    new = {"in.json": b'{"acc": 0.75, "by": {"cat": 0.25, "name": "y"}}\n', "scores/b.yaml": b"0.5\n"}
    shell.write(root, {**new, "params.yaml": b"lr: 0.2\nopt: {name: adam, steps: [1, 3]}\nnew: null\n"})
    run_mlvc("repro", cwd=root)
    run_mlvc("push", "--all-commits", cwd=root)
    run_mlvc("push", cwd=root)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return shell.copied(made.parent, tmp_path / "scene") / "project"


def test_metrics_of_the_working_tree(root: Path) -> None:
    before = image(root, git_index=True)
    assert run_mlvc("metrics", "show", cwd=root).out.splitlines() == [
        "Path           acc   by.cat  by.name  auc  f1",
        "model.json     0.75  0.25    y        -    -      -",
        "kept.json      0.75  0.25    y        -    -      -",
        "d/m.json       0.75  0.25    y        -    -      -",
        "top.json       -     -       -        1    -      -",
        "scores/a.yaml  -     -       -        -    0.125  -",
        "scores/b.yaml  -     -       -        -    -      0.5",
    ]
    assert image(root, git_index=True) == before


def test_what_is_not_in_the_working_tree_comes_from_the_store(root: Path) -> None:
    shown = run_mlvc("metrics", "show", "--json", cwd=root).out
    (root / "model.json").unlink()
    shutil.rmtree(root / "d")
    assert run_mlvc("metrics", "show", "--json", cwd=root).out == shown
    assert not (root / "model.json").exists()


def test_metrics_of_revisions(root: Path) -> None:
    shown = json.loads(run_mlvc("metrics", "show", "-T", "--json", cwd=root).out)
    assert [(one["rev"], one["files"]["model.json"]["acc"]) for one in shown["revisions"]] == [
        (None, 0.75),
        ("v1", 0.5),
    ]
    assert shown["revisions"][1]["commit"] == git("rev-parse", "v1", cwd=root)
    assert shown["revisions"][1]["files"]["scores/a.yaml"] == {"f1": 0.125}
    shell.commit(root, "second")
    shown = json.loads(run_mlvc("metrics", "show", "-a", "--json", cwd=root).out)
    assert [one["rev"] for one in shown["revisions"]] == ["main"]  # which says what the working tree says
    shown = json.loads(run_mlvc("metrics", "show", "-A", "--json", cwd=root).out)
    commits = git("rev-list", "--all", cwd=root).split()
    assert [one["commit"] for one in shown["revisions"]] == commits
    one = run_mlvc("metrics", "show", "--rev", "v1", "top.json", "--rev", "HEAD", cwd=root).out
    assert one.splitlines() == ["Revision  Path      auc", "v1        top.json  1", "HEAD      top.json  1"]


def test_what_became_of_metrics(root: Path) -> None:
    assert run_mlvc("metrics", "diff", cwd=root).out.splitlines() == [
        "Path           Metric   HEAD  working tree  Change",
        "model.json     acc      0.5   0.75          +0.25",
        "model.json     by.name  x     y             -",
        "kept.json      acc      0.5   0.75          +0.25",
        "kept.json      by.name  x     y             -",
        "d/m.json       acc      0.5   0.75          +0.25",
        "d/m.json       by.name  x     y             -",
        "scores/b.yaml           -     0.5           -",
    ]
    shell.commit(root, "second")
    assert run_mlvc("metrics", "diff", cwd=root).err == "no difference\n"
    shown = json.loads(run_mlvc("metrics", "diff", "HEAD", "v1", "--targets", "kept.json", "--json", cwd=root).out)
    assert (shown["old"], shown["new"]) == ("HEAD", "v1")
    assert shown["changes"] == [
        {"path": "kept.json", "name": "acc", "old": 0.75, "new": 0.5, "change": -0.25},
        {"path": "kept.json", "name": "by.name", "old": "y", "new": "x"},
    ]
    below = run_mlvc("metrics", "diff", "v1", "--targets", "../kept.json", "--md", cwd=root / "scores").out
    assert below.splitlines()[:3] == [
        "| Path | Metric | v1 | working tree | Change |",
        "| --- | --- | --- | --- | --- |",
        "| kept.json | acc | 0.5 | 0.75 | +0.25 |",
    ]
    everything = run_mlvc("metrics", "diff", "--all", cwd=root).out
    assert "top.json       auc" in everything


def test_what_only_one_revision_names_is_compared_all_the_same(root: Path) -> None:
    git("rm", "--quiet", "--cached", "mlvc.yaml", cwd=root)
    git("commit", "--quiet", "--amend", "-m", "first, without a pipeline", cwd=root)
    told = run_mlvc("metrics", "diff", "HEAD", cwd=root).out.splitlines()
    assert "kept.json      acc      0.5   0.75          +0.25" in told
    shell.write(root, {"more.toml": b"x = 2\n"})
    assert "more.toml    x          1       2" in run_mlvc("params", "diff", cwd=root).out.splitlines()


def test_digits(root: Path) -> None:
    shell.write(root, {"top.json": b'{"auc": 0.123456789, "tiny": 1.234567e-9, "whole": 10000000}'})
    shown = run_mlvc("metrics", "show", "top.json", cwd=root).out.splitlines()[1]
    assert shown.split() == ["top.json", "0.12346", "1.2346e-09", "10000000"]
    shown = run_mlvc("metrics", "show", "top.json", "--precision", "2", cwd=root).out.splitlines()[1]
    assert shown.split() == ["top.json", "0.12", "1.2e-09", "10000000"]

    shell.write(root, {"top.json": b'{"auc": 1.04, "tiny": 0.08, "whole": 1e20}'})
    shown = run_mlvc("metrics", "show", "top.json", "--precision", "0", cwd=root).out.splitlines()[1]
    assert shown.split() == ["top.json", "1", "0.08", "1e+20"]


@pytest.mark.parametrize("text", ["[1, 2]", "[]", "null", "{}"])
def test_a_file_without_metrics_is_named(root: Path, text: str) -> None:
    shell.write(root, {"top.json": text.encode()})
    told = run_mlvc("metrics", "show", cwd=root)
    assert told.err == "note: top.json has no metrics: they are numbers, text, true and false in a mapping\n"
    assert "kept.json" in told.out
    (root / "only").mkdir()
    shell.write(root, {"only/notes.txt": b"- 1\n"})
    for name in ("top.json", "only"):
        refused(run_mlvc("metrics", "show", name, cwd=root, check=False), 2, f"{name} has no values", "in a mapping")


def test_what_became_of_params(root: Path) -> None:
    assert run_mlvc("params", "diff", cwd=root).out.splitlines() == [
        "Path         Param      HEAD    working tree",
        "params.yaml  lr         0.1     0.2",
        "params.yaml  opt.name   sgd     adam",
        "params.yaml  opt.steps  [1, 2]  [1, 3]",
        "params.yaml  new        -       null",
    ]
    shell.write(root, {"cfg.py": b"DEPTH = 5\nWIDTH = 5\n", "more.toml": b"x = 2\n"})
    shown = json.loads(run_mlvc("params", "diff", "v1", "--json", cwd=root).out)["changes"]
    assert {"path": "params.yaml", "name": "new", "new": None} in shown
    assert {"path": "more.toml", "name": "x", "old": 1, "new": 2, "change": 1} in shown
    # Of cfg.py the stage names one key only.
    assert [one for one in shown if one["path"] == "cfg.py"] == [
        {"path": "cfg.py", "name": "DEPTH", "old": 3, "new": 5, "change": 2}
    ]
    both = run_mlvc("params", "diff", "--targets", "cfg.py", "--targets", "more.toml", "--md", cwd=root).out
    assert "| cfg.py | WIDTH | 4 | 5 |" in both


def test_an_object_that_is_missing_is_told_and_the_rest_is_shown(root: Path) -> None:
    shell.commit(root, "second")
    clone = shell.clone(root)
    result = run_mlvc("metrics", "show", "--json", cwd=clone, check=False)
    assert result.code == 4
    shown = json.loads(result.out)
    assert {(one["path"], one["rev"], one["reason"]) for one in shown["lost"]} == {
        ("model.json", None, "missing"),
        ("d/m.json", None, "missing"),
    }
    assert "kept.json" in shown["revisions"][0]["files"]
    ends(result, "model.json could not be read: its object is missing, and 1 more", "`mlvc fetch`")
    result = run_mlvc("metrics", "diff", "v1", cwd=clone, check=False)
    assert result.code == 4
    for line in ("missing  v1:model.json", "missing  model.json", "missing  d/m.json"):
        assert line in result.err.splitlines()
    ends(result, "model.json at v1 could not be read", ", and 3 more", "`mlvc fetch --rev v1` and `mlvc fetch`")
    assert "kept.json      acc" in result.out
    run_mlvc("fetch", "--all-commits", cwd=clone)
    assert run_mlvc("metrics", "diff", "v1", cwd=clone).out == run_mlvc("metrics", "diff", "v1", cwd=root).out


def test_a_file_that_is_broken(root: Path) -> None:
    shell.write(root, {"top.json": b'{"auc":\n 1,}\n'})
    result = run_mlvc("metrics", "show", cwd=root, check=False)
    assert result.code == 2
    assert "kept.json" in result.out
    ends(result, "top.json, line 2, column 4", hint=False)
    shell.commit(root, "broken")
    result = run_mlvc("metrics", "diff", "v1", "HEAD", cwd=root, check=False)
    ends(result, "HEAD:top.json, line 2, column 4", hint=False)
    shell.write(root, {"mlvc.yaml": b"metrics: m.json\n"})
    ends(run_mlvc("metrics", "show", cwd=root, check=False), "mlvc.yaml, line 1, column 1: 'metrics' must be a list")


def test_a_file_that_is_not_there(root: Path) -> None:
    refused(run_mlvc("metrics", "show", "top.jsn", cwd=root, check=False), 2, "top.jsn is not there", "`top.json`")
    refused(run_mlvc("params", "diff", "--targets", "no.yaml", cwd=root, check=False), 2, "no.yaml is not there")
    (root / "top.json").unlink()
    result = run_mlvc("metrics", "show", cwd=root)
    assert result.err == "note: top.json is not there; `mlvc repro` makes what stages promise\n"
    gone = [one for one in run_mlvc("metrics", "diff", cwd=root).out.splitlines() if one.startswith("top.json")]
    assert [one.split() for one in gone] == [["top.json", "auc", "1", "-", "-"]]


def test_revisions_that_there_are_not(root: Path) -> None:
    refused(run_mlvc("metrics", "diff", "nope", cwd=root, check=False), 2, "'nope' is no revision")
    refused(run_mlvc("params", "diff", "params.yaml", cwd=root, check=False), 2, "`--targets A --targets B`")
    refused(run_mlvc("metrics", "diff", "v1..HEAD", cwd=root, check=False), 2, "two revisions are two words")
    empty = make_git_repo(root.parent / "empty")
    run_mlvc("init", cwd=empty)
    refused(run_mlvc("metrics", "diff", cwd=empty, check=False), 2, "there is no commit yet")
    assert run_mlvc("metrics", "show", cwd=empty).err.startswith("no metrics: name them in mlvc.yaml")


def test_a_pipeline_file_that_was_broken_once_hides_nothing_else(root: Path) -> None:
    shell.write(root, {"mlvc.yaml": b"stages: [\n"})
    shell.commit(root, "broken")
    shell.write(root, {"mlvc.yaml": PIPELINE})
    shell.commit(root, "mended")
    result = run_mlvc("metrics", "show", "-A", "--json", cwd=root, check=False)
    assert result.code == 2
    shown = json.loads(result.out)
    assert len(shown["unreadable"]) == 1
    assert "mlvc.yaml, line 2" in shown["unreadable"][0]
    assert sum("model.json" in one["files"] for one in shown["revisions"]) == 2


def test_templates_are_resolved_with_the_files_of_each_revision(tmp_path: Path) -> None:
    root = make_git_repo(tmp_path / "templates")
    run_mlvc("init", cwd=root)
    stage = b"stages: {t: {foreach: '${names}', do: {cmd: x, metrics: ['${item}.json': {cache: false}]}}}\n"
    figures = {f"{name}.json": b'{"v": 1}' for name in "abc"}
    shell.write(root, {"mlvc.yaml": stage, "params.yaml": b"names: [a, b]\n", **figures})
    shell.commit(root)
    shell.write(root, {"params.yaml": b"names: [b, c]\n"})
    shown = json.loads(run_mlvc("metrics", "show", "-A", "--json", cwd=root).out)
    assert [list(one["files"]) for one in shown["revisions"]] == [["b.json", "c.json"], ["a.json", "b.json"]]
    shell.write(root, {"mlvc.yaml": b"metrics: ['${no.such}']\n"})
    ends(run_mlvc("metrics", "show", cwd=root, check=False), "mlvc.yaml, line 1", "no.such")


def test_a_thousand_stages_are_not_slow(tmp_path: Path) -> None:
    root = make_git_repo(tmp_path / "many")
    run_mlvc("init", cwd=root)
    stage = "  s{0}: {{cmd: 'true', deps: [in], metrics: [m/{0}.json: {{cache: false}}]}}\n"
    shell.write(root, {"mlvc.yaml": ("stages:\n" + "".join(map(stage.format, range(1000)))).encode()})
    shell.write(root, {f"m/{at}.json": b'{"acc": 0.5}' for at in range(1000)})
    shell.commit(root)
    shell.write(root, {f"m/{at}.json": b'{"acc": 0.75}' for at in range(1000)})
    result = run_mlvc("metrics", "diff", cwd=root, timeout=20)
    assert len(result.out.splitlines()) == 1001
