"""What is said of pipeline files: ``schema``, ``stage``, ``freeze``, targets, patterns, messages with their place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlvc.pipeline import schema
from tests.helpers import run_mlvc, shell
from tests.helpers.shell import refused


def test_the_schema_is_printed_anywhere(tmp_path):
    result = run_mlvc("schema", cwd=tmp_path)
    assert result.out == schema.text()
    assert json.loads(result.out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert result.err == ""


# -- patterns ----------------------------------------------------------------------------------

SUM = b"""\
stages:
  sum:
    cmd: echo sum >> log; cat data/*.csv > sum.txt
    deps:
      - data/*.csv
    outs: [sum.txt]
"""


@pytest.fixture
def table(project: Path) -> Path:
    shell.write(project, {"mlvc.yaml": SUM, ".gitignore": b"/log\n", "data/a.csv": b"1\n", "data/b.csv": b"2\n"})
    run_mlvc("repro", cwd=project)
    assert (project / "sum.txt").read_bytes() == b"1\n2\n"
    return project


def why(root: Path) -> list[str]:
    """Why the stages would run."""
    decisions = json.loads(run_mlvc("repro", "--dry-run", "--json", cwd=root).out)
    return [reason for decision in decisions for reason in decision["reasons"]]


@pytest.mark.parametrize("change", [{"a.csv": b"9\n"}, {"c.csv": b"3\n"}, {"a.csv": None}])
def test_a_file_that_fits_and_changes_runs_the_stage(table: Path, change: dict[str, bytes | None]) -> None:
    for name, data in change.items():
        (table / "data" / name).unlink(missing_ok=True)
        if data is not None:
            (table / "data" / name).write_bytes(data)
    assert why(table) == ["dependency data/*.csv changed"]
    run_mlvc("repro", cwd=table)
    data = {"a.csv": b"1\n", "b.csv": b"2\n", **change}
    assert (table / "sum.txt").read_bytes() == b"".join(data[name] or b"" for name in sorted(data))
    assert why(table) == []


@pytest.mark.parametrize("name", ["a.txt", ".c.csv", "sub/c.csv", "c.csv~"])
def test_a_file_that_does_not_fit_is_nothing_to_the_stage(table: Path, name: str) -> None:
    shell.write(table, {f"data/{name}": b"x"})
    assert why(table) == []
    assert "dependency" not in run_mlvc("status", cwd=table).out


def test_what_fits_a_pattern_is_in_the_lockfile_as_a_directory(table: Path) -> None:
    entry = json.loads((table / "mlvc.lock").read_text())["stages"]["sum"]
    assert list(entry["deps"]) == ["data/*.csv"]
    assert {key: entry["deps"]["data/*.csv"][key] for key in ("kind", "files", "size")} == {
        "kind": "dir",
        "files": 2,
        "size": 4,
    }
    # The order in which the files were made is nothing to it.
    for name in ("a.csv", "b.csv"):
        (table / "data" / name).unlink()
    shell.write(table, {"data/b.csv": b"2\n", "data/a.csv": b"1\n"})
    assert why(table) == []


def test_a_pattern_that_nothing_fits(table: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (table / "data" / name).unlink()
    place = "mlvc.yaml, line 5, column 9: "
    refused(run_mlvc("repro", cwd=table, check=False), 2, place, "'data/*.csv' of stage 'sum' fits no file")
    assert "dependency data/*.csv is missing" in run_mlvc("status", cwd=table).out


def test_a_file_that_appears_while_the_stage_runs_is_told(project: Path) -> None:
    text = SUM.replace(b"echo sum >> log", b"echo 3 > data/c.csv")
    shell.write(project, {"mlvc.yaml": text, "data/a.csv": b"1\n"})
    refused(run_mlvc("repro", cwd=project, check=False), 7, "'data/*.csv' changed while stage 'sum' ran")


PARTS = b"""\
stages:
  all:
    cmd: cat parts/*/*.csv > all.txt
    deps: [parts/**/*.csv]
    outs: [all.txt]
  one:
    cmd: mkdir -p parts/one && echo 1 > parts/one/x.csv
    outs: [parts/one]
  two:
    cmd: mkdir -p parts/two && echo 2 > parts/two/x.csv
    outs: [parts/two/x.csv]
  log:
    cmd: cat all.txt > parts/log.txt
    deps: [all.txt]
    outs: [parts/log.txt]
"""


def test_a_pattern_over_what_other_stages_make(project: Path) -> None:
    shell.write(project, {"mlvc.yaml": PARTS})
    edges = json.loads(run_mlvc("dag", "--json", cwd=project).out)["edges"]
    assert edges == [["one", "all"], ["two", "all"], ["all", "log"]]
    run_mlvc("repro", cwd=project)
    assert (project / "all.txt").read_bytes() == b"1\n2\n"
    assert why(project) == []
    shell.write(project, {"mlvc.yaml": PARTS.replace(b"echo 2", b"echo 3")})
    run_mlvc("repro", cwd=project)
    assert (project / "all.txt").read_bytes() == b"1\n3\n"


def test_a_pattern_of_parameter_files(project: Path) -> None:
    text = b"stages:\n  s:\n    cmd: touch out\n    params:\n      - conf/*.yaml: [lr]\n    outs: [out]\n"
    shell.write(project, {"mlvc.yaml": text, "conf/b.yaml": b"lr: 2\n", "conf/a.yaml": b"lr: 1\nx: 1\n"})
    run_mlvc("repro", cwd=project)
    entry = json.loads((project / "mlvc.lock").read_text())["stages"]["s"]
    assert entry["params"] == {"conf/a.yaml": {"lr": 1}, "conf/b.yaml": {"lr": 2}}
    shell.write(project, {"conf/c.yaml": b"lr: 3\n"})
    assert why(project) == ["parameter conf/c.yaml:lr is new"]
    shell.write(project, {"conf/c.yaml": b"rl: 3\n"})
    refused(
        run_mlvc("repro", cwd=project, check=False),
        *(2, "mlvc.yaml, line 5, column 23: stage 's': conf/c.yaml has no parameter 'lr'", "it has rl"),
    )
    for name in "abc":
        (project / f"conf/{name}.yaml").unlink()
    refused(
        run_mlvc("repro", cwd=project, check=False),
        *(2, "mlvc.yaml, line 5, column 23: stage 's': the parameter file 'conf/*.yaml' fits no file"),
    )


def test_an_output_is_no_pattern(project: Path) -> None:
    shell.write(project, {"mlvc.yaml": b"stages: {s: {cmd: x, outs: [a, 'data/*.csv']}}\n"})
    refused(
        run_mlvc("repro", cwd=project, check=False),
        *(2, "mlvc.yaml, line 1, column 32: stage 's': the output 'data/*.csv' is a pattern", "name the directory"),
    )


# -- symbolic links ----------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["file", "directory", "of a link"])
def test_a_dependency_that_is_a_symbolic_link_is_what_it_leads_to(project: Path, link: str) -> None:
    shell.write(
        project, {"raw/a.txt": b"1\n", "mlvc.yaml": b"stages: {s: {cmd: touch out, deps: [in], outs: [out]}}\n"}
    )
    (project / "raw/b").symlink_to("a.txt")
    (project / "in").symlink_to({"file": "raw/a.txt", "directory": "raw", "of a link": "raw/b"}[link])
    run_mlvc("repro", cwd=project)
    assert why(project) == []
    content = json.loads((project / "mlvc.lock").read_text())["stages"]["s"]["deps"]["in"]
    assert content["kind"] == ("dir" if link == "directory" else "file")
    shell.write(project, {"raw/a.txt": b"2\n"})
    assert why(project) == ["dependency in changed"]
    # The same content in place of the link is the same dependency.
    run_mlvc("repro", cwd=project)
    if link != "directory":
        (project / "in").unlink()
        shell.write(project, {"in": b"2\n"})
        assert why(project) == []


@pytest.mark.parametrize("goal", ["/gone", "../gone", ".git/config", "in", "gone"])
def test_a_dependency_that_leads_nowhere_or_into_git(project: Path, goal: str) -> None:
    shell.write(project, {"mlvc.yaml": b"stages: {s: {cmd: touch out, deps: [in], outs: [out]}}\n"})
    (project / "in").symlink_to(goal)
    refused(run_mlvc("repro", cwd=project, check=False), 2, "in")
    assert not (project / "out").exists()


# -- targets -----------------------------------------------------------------------------------

MANY = b"""\
stages:
  train-a: {cmd: mkdir -p models && touch models/a.bin, outs: [models/a.bin]}
  train-b: {cmd: mkdir -p models && touch models/b.bin, outs: [models/b.bin]}
  test: {cmd: touch report, deps: [models/a.bin], outs: [report]}
"""
BELOW = b"stages:\n  test: {cmd: touch report, outs: [report]}\n  more: {cmd: touch more, outs: [more]}\n"


@pytest.fixture
def many(project: Path) -> Path:
    shell.write(project, {"mlvc.yaml": MANY, "sub/mlvc.yaml": BELOW})
    return project


@pytest.mark.parametrize(
    ("words", "found", "cwd"),
    [
        (["test"], ["test"], ""),
        (["test"], ["sub/mlvc.yaml:test"], "sub"),
        (["train-a"], ["train-a"], "sub"),
        (["train-*"], ["train-a", "train-b"], ""),
        (["train-?", "test"], ["train-a", "train-b", "test"], ""),
        (["mlvc.yaml:t*"], ["train-a", "train-b", "test"], ""),
        (["mlvc.yaml:*"], ["sub/mlvc.yaml:test", "sub/mlvc.yaml:more"], "sub"),
        (["../mlvc.yaml:test"], ["test"], "sub"),
        (["sub/mlvc.yaml:*"], ["sub/mlvc.yaml:test", "sub/mlvc.yaml:more"], ""),
        (["*/mlvc.yaml:test"], ["sub/mlvc.yaml:test"], ""),
        (["models/*.bin"], ["train-a", "train-b"], ""),
        (["models/b.bin"], ["train-b"], ""),
        (["report"], ["sub/mlvc.yaml:test"], "sub"),
        (["*"], ["train-a", "train-b", "test"], ""),
    ],
)
def test_targets(many: Path, words: list[str], found: list[str], cwd: str) -> None:
    for command in (["stage", "list"], ["stage", "show"]):
        stages = json.loads(run_mlvc(*command, *words, "--json", cwd=many / cwd).out)
        assert sorted(stage["name"] for stage in stages) == sorted(found)
    run = json.loads(run_mlvc("repro", "--dry-run", "--json", *words, cwd=many / cwd).out)
    assert {decision["stage"] for decision in run} - {"train-a"} == set(found) - {"train-a"}
    drawn = json.loads(run_mlvc("dag", "--json", *words, cwd=many / cwd).out)["stages"]
    assert set(found) <= set(drawn)


@pytest.mark.parametrize(
    ("word", "hint"),
    [("trian-a", "train-a"), ("sub/mlvc.yaml:tset", "sub/mlvc.yaml:test"), ("models/a.bni", "models/a.bin")],
)
def test_a_target_that_is_none(many: Path, word: str, hint: str) -> None:
    for command in (["repro"], ["dag"], ["stage", "show"], ["freeze"]):
        refused(run_mlvc(*command, word, cwd=many, check=False), 2, f"'{word}'", f"did you mean '{hint}'?")
    refused(run_mlvc("repro", "zzz-*", cwd=many, check=False), 2, "'zzz-*'", "mlvc stage list")


def test_the_status_of_stages(many: Path) -> None:
    told = json.loads(run_mlvc("status", "train-*", "--json", cwd=many).out)
    assert [stage["stage"] for stage in told["stages"]] == ["train-a", "train-b"]
    assert told["working_tree"] == told["head"] == []
    assert "train-b" not in run_mlvc("status", "train-a", cwd=many).out
    both = run_mlvc("status", "train-a", "data", cwd=many).out
    assert "train-a: never run" in both
    run_mlvc("repro", cwd=many)
    assert run_mlvc("status", "train-a", cwd=many).out == "clean: 1 stage as recorded\n"
    # What is there as a path is one.
    assert "test" not in run_mlvc("status", "data", cwd=many).out


# -- stage list, show --------------------------------------------------------------------------

FULL = b"""\
stages:
  a:
    cmd: [x, y]
    deps: [d]
    outs: [o, p: {cache: false, desc: D, type: t}]
    env: {A: 1}
    timeout: 2m
    resources: {memory: 1KB}
"""


def test_a_stage_is_shown_with_all_that_is_said_of_it(project: Path) -> None:
    shell.write(project, {"sub/mlvc.yaml": FULL})
    (stage,) = json.loads(run_mlvc("stage", "show", "a", "--json", cwd=project / "sub").out)
    assert stage["name"] == "sub/mlvc.yaml:a"
    assert (stage["file"], stage["line"], stage["wdir"], stage["deps"]) == ("sub/mlvc.yaml", 2, "sub", ["sub/d"])
    assert (stage["env"], stage["timeout"], stage["resources"]) == ({"A": "1"}, 120, {"memory": 1000})
    assert [out["path"] for out in stage["outputs"]] == stage["outs"] == ["sub/o", "sub/p"]
    assert (stage["outputs"][1]["cache"], stage["outputs"][1]["options"]) == (False, {"type": "t"})
    assert run_mlvc("stage", "show", "a", cwd=project / "sub").out.splitlines() == [
        "sub/mlvc.yaml:a:",
        "  file: sub/mlvc.yaml",
        "  line: 2",
        "  cmd:",
        "    - x",
        "    - y",
        "  wdir: sub",
        "  deps:",
        "    - sub/d",
        "  outputs:",
        "    - sub/o",
        "    - sub/p:",
        "        cache: false",
        "        desc: D",
        "        options:",
        "          type: t",
        "  env:",
        '    A: "1"',
        "  timeout: 120",
        "  resources:",
        "    memory: 1000",
    ]


# -- freeze ------------------------------------------------------------------------------------


def test_freeze_and_unfreeze(many: Path) -> None:
    before = (many / "mlvc.yaml").read_bytes()
    assert run_mlvc("freeze", "train-*", cwd=many).err.splitlines() == [
        "stage 'train-a' is frozen",
        "stage 'train-b' is frozen",
    ]
    frozen = [s["name"] for s in json.loads(run_mlvc("stage", "list", "--json", cwd=many).out) if s["frozen"]]
    assert frozen == ["train-a", "train-b"]
    assert run_mlvc("freeze", "train-a", cwd=many).err == "stage 'train-a' is frozen already\n"
    assert run_mlvc("unfreeze", "train-a", "train-b", "test", cwd=many).err.splitlines() == [
        "stage 'train-a' is not frozen any more",
        "stage 'train-b' is not frozen any more",
        "stage 'test' is not frozen",
    ]
    assert (many / "mlvc.yaml").read_bytes() == before


def test_the_pipeline_file_of_a_directory_is_changed_from_anywhere(many: Path) -> None:
    run_mlvc("freeze", "sub/mlvc.yaml:test", "train-a", cwd=many)
    assert b"{frozen: true, cmd: touch report" in (many / "sub/mlvc.yaml").read_bytes()
    assert (many / "mlvc.yaml").read_bytes().count(b"frozen") == 1
    run_mlvc("unfreeze", "test", cwd=many / "sub")
    assert (many / "sub/mlvc.yaml").read_bytes() == BELOW


# -- foreach and matrix ------------------------------------------------------------------------

GROUPS = b"""\
stages:
  train:
    foreach: [us, eu]  # regions
    do:
      cmd: touch ${item}.bin
      outs:
        - ${item}.bin
  tune:
    matrix:
      lr: [1, 2]
    cmd: touch tune-${item.lr}
    deps: [us.bin]
    outs: ['tune-${item.lr}']
"""


@pytest.fixture
def groups(project: Path) -> Path:
    shell.write(project, {"mlvc.yaml": GROUPS, "sub/mlvc.yaml": GROUPS})
    return project


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("train", ["train@us", "train@eu"]),
        ("train@us", ["train@us"]),
        ("tune", ["tune@1", "tune@2"]),
        ("t*@?u", ["train@eu"]),
        ("sub/mlvc.yaml:train", ["sub/mlvc.yaml:train@us", "sub/mlvc.yaml:train@eu"]),
        ("eu.bin", ["train@eu"]),
    ],
)
def test_a_target_may_be_a_foreach_or_matrix(groups: Path, word: str, found: list[str]) -> None:
    stages = json.loads(run_mlvc("stage", "list", word, "--json", cwd=groups).out)
    assert sorted(stage["name"] for stage in stages) == sorted(found)
    assert {stage["group"] for stage in stages} == {word.rpartition(":")[2]} or len(found) == 1


def test_a_foreach_is_frozen_in_its_body_and_a_matrix_below_its_name(groups: Path) -> None:
    told = run_mlvc("freeze", "train", "tune@*", cwd=groups).err.splitlines()
    assert told == [
        "the 2 stages of 'train' are frozen: `frozen: true` stands below 'do'",
        "the 2 stages of 'tune' are frozen",
    ]
    text = GROUPS.decode().replace("        - ${item}.bin\n", "        - ${item}.bin\n      frozen: true\n")
    assert (groups / "mlvc.yaml").read_text() == text + "    frozen: true\n"
    frozen = [s["name"] for s in json.loads(run_mlvc("stage", "list", "--json", cwd=groups).out) if s["frozen"]]
    assert sorted(frozen) == ["train@eu", "train@us", "tune@1", "tune@2"]
    run_mlvc("unfreeze", "train", "tune", cwd=groups)
    assert (groups / "mlvc.yaml").read_bytes() == GROUPS


def test_one_stage_of_a_foreach_cannot_be_frozen(groups: Path) -> None:
    before = shell.image(groups)
    refused(
        run_mlvc("freeze", "tune", "train@us", cwd=groups, check=False),
        *(2, "mlvc.yaml, line 4, column 5", "'train@us' is one of the 2 stages of 'train'", "name 'train'"),
    )
    assert shell.image(groups) == before


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            GROUPS.replace(b"- ${item}.bin", b"- same.bin"),
            "line 7, column 11: the stages 'train@us' and 'train@eu' both",
        ),
        (GROUPS.replace(b"[us.bin]", b"[tune-2]"), "line 12, column 12: the stages need one another in a circle"),
        (GROUPS.replace(b"[us.bin]", b"[gone]"), "line 12, column 12: the dependency 'gone' of stage 'tune@1'"),
    ],
)
def test_messages_about_what_a_template_made(groups: Path, text: bytes, place: str) -> None:
    shell.write(groups, {"mlvc.yaml": text})
    refused(run_mlvc("repro", cwd=groups, check=False), 2, f"mlvc.yaml, {place}")


def test_the_shell_completes_names_of_stages(groups: Path) -> None:
    def completed(*words: str, cwd: Path = groups) -> list[str]:
        return run_mlvc("__complete", *words, cwd=cwd).out.splitlines()[1:]

    assert completed("repro", "t") == ["train", "tune"]
    assert completed("repro", "train@") == ["train@eu", "train@us"]
    assert completed("freeze", "sub/mlvc.yaml:tu") == [
        "sub/mlvc.yaml:tune",
        "sub/mlvc.yaml:tune@1",
        "sub/mlvc.yaml:tune@2",
    ]
    assert completed("stage", "show", "tune@", cwd=groups / "sub") == ["tune@1", "tune@2"]
    assert completed("status", "tra") == ["train"]


# -- stage add ---------------------------------------------------------------------------------


def test_a_stage_is_added_with_all_that_the_language_has(project: Path) -> None:
    options = "--env SEED=1 --env HOME --image python:3.11 --each data/*.txt --when lr>0 --timeout 10m --retries 2"
    resources = "--resource gpu=1 --resource memory=4GB --resource licence=0.5"
    shell.write(project, {"params.yaml": b"lr: 1\n"})
    run_mlvc(
        "stage", "add", "-n", "s", "-o", "out", *options.split(), *resources.split(), "touch ${out}/x", cwd=project
    )
    (stage,) = json.loads(run_mlvc("stage", "show", "s", "--json", cwd=project).out)
    assert (stage["env"], stage["env_through"], stage["image"]) == ({"SEED": "1"}, ["HOME"], "python:3.11")
    assert (stage["each"], stage["skip"], stage["timeout"], stage["retries"]) == ("data/*.txt", "", 600, 2)
    assert stage["resources"] == {"gpu": 1, "memory": 4e9, "licence": 0.5}
    run_mlvc("stage", "add", "-n", "t", "--env", "A=1", "--env", "B=x=y", "true", cwd=project)
    assert json.loads(run_mlvc("stage", "show", "t", "--json", cwd=project).out)[0]["env"] == {"A": "1", "B": "x=y"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--timeout", "soon"), "'soon'"),
        (("--resource", "gpu"), "such as gpu=1"),
        (("--resource", "gpu=all"), "gpu"),
        (("--env", "A-B=1"), "A-B"),
        (("--when", "x >"), "`x >` is not a condition"),
    ],
)
def test_a_stage_that_makes_no_sense_is_not_added(project: Path, options: tuple[str, str], told: str) -> None:
    before = shell.image(project)
    refused(run_mlvc("stage", "add", "-n", "s", *options, "true", cwd=project, check=False), 2, told)
    assert shell.image(project) == before


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("cmd: x, deps: [../x]", ("column 22", "the dependency '../x' of stage 's' is not there", "outside")),
        ("cmd: x, outs: [../x]", ("column 22", "'../x' is outside the repository", "mlvc add -o")),
        ("cmd: x, outs: [a, /etc/x]", ("column 25", "'/etc/x' is outside the repository")),
        ("cmd: x, outs: [s3://b/x]", ("column 22", "'s3://b/x' is an address")),
        ("cmd: x, deps: [gone]", ("column 22", "the dependency 'gone' of stage 's' is not there", "correct its path")),
        ("cmd: x, params: [lr]", ("column 24", "stage 's': params.yaml has no parameter 'lr'", "it has a, b")),
        ("cmd: x, params: [p.json: [k]]", ("column 33", "stage 's': the parameter file 'p.json' is not there", "'k'")),
        ("cmd: x, outs: [o, ./o]", ("column 25", "the output 'o' is named twice", "one of them")),
        ("cmd: x, otus: [o]", ("column 15", "'otus' is not a key of a stage", "'outs'")),
        ("cmd: x, retries: often", ("column 15", "'retries' must be a whole number", "tried again")),
    ],
)
def test_bad_input_is_told_with_its_place_and_a_hint(project: Path, body: str, parts: tuple[str, ...]) -> None:
    shell.write(project, {"mlvc.yaml": f"stages:\n  s: {{{body}}}\n".encode(), "params.yaml": b"a: 1\nb: 2\n"})
    before = seen(project)
    for command in (["repro"], ["repro", "--dry-run"]):
        refused(run_mlvc(*command, cwd=project, check=False), 2, f"mlvc.yaml, line 2, {parts[0]}: ", *parts[1:])
    assert seen(project) == before


def seen(root: Path) -> dict[str, str]:
    """All files that a person sees."""
    return {path: what for path, what in shell.image(root).items() if path.split("/")[0] != ".git"}
