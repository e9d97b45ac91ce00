"""`mlvc demo` as a process; its claims are checked again here, from the folder that it leaves behind."""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from mlvc.cli import demo
from mlvc.errors import DamagedError, UsageError
from tests.helpers import git, run, run_mlvc

EXAMPLE = Path(demo.__file__).parents[1] / "demo" / "project"
STAGES = ("prepare", "train", "evaluate")
MADE = ("data/prepared/test.csv", "data/prepared/train.csv", "metrics.json", "model.json")


def by_hand(folder: Path, steps: int) -> dict[str, bytes]:
    """What the three scripts make without mlvc."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    params = json.loads((folder / "params.json").read_text())
    params["train"]["steps"] = steps
    (folder / "params.json").write_text(json.dumps(params))
    for stage in STAGES:
        run([sys.executable, f"{stage}.py"], cwd=folder)
    return bytes_of(folder)


def bytes_of(project: Path) -> dict[str, bytes]:
    return {name: (project / name).read_bytes() for name in ("data/penguins.csv", *MADE)}


def written(project: Path) -> dict[str, int]:
    return {name: (project / name).stat().st_mtime_ns for name in MADE}


def after(output: str, command: str, occurrence: int = 1) -> str:
    """What the demo shows between a command line and the next."""
    return output.split(f"$ {command}\n")[occurrence].split("\n$ ", maxsplit=1)[0]


@pytest.fixture
def told() -> tuple[str, Path]:
    """The output of one demo, and its folder."""
    return run_mlvc("demo").out, Path("mlvc-demo").absolute()


def test_everything_comes_back_bit_for_bit_and_only_touched_stages_rerun(
    told: tuple[str, Path], tmp_path: Path
) -> None:
    output, folder = told
    project, colleague = folder / "project", folder / "colleague"
    first, second = by_hand(tmp_path / "ten", 10), by_hand(tmp_path / "more", 300)
    assert first["model.json"] != second["model.json"]

    # What it left: the newest in the project, the first commit in the clone that pulled.
    assert bytes_of(project) == second
    assert bytes_of(colleague) == first
    assert git("status", "--porcelain", cwd=project) == git("status", "--porcelain", cwd=colleague) == ""
    assert (folder / "store").is_dir()

    # Git has neither data nor model.
    known = git("ls-files", cwd=project).split("\n")
    assert {"data/penguins.csv.mlvc", "mlvc.lock", "mlvc.yaml", "metrics.json"} <= set(known)
    assert not {"data/penguins.csv", "model.json", "data/prepared/train.csv"} & set(known)

    # Its second `repro` ran the two stages that the parameter touches.
    assert "342 complete" in after(output, "mlvc repro")
    assert "342 complete" not in after(output, "mlvc repro", 2)
    assert "trained on 256 rows, 300 steps" in after(output, "mlvc repro", 2)
    assert "accuracy" in after(output, "mlvc repro", 2)

    # And again, seen from outside.
    before = written(project)
    params = project / "params.json"
    params.write_text(params.read_text().replace('"rate": 0.1', '"rate": 0.2'))
    run_mlvc("repro", cwd=project)
    now = written(project)
    assert {name for name in MADE if now[name] != before[name]} == {"metrics.json", "model.json"}

    # Any commit gives back its bytes.
    git("checkout", "--quiet", "--force", "first", cwd=project)
    run_mlvc("checkout", "--force", cwd=project)
    assert bytes_of(project) == first
    git("pull", "--quiet", cwd=colleague)
    run_mlvc("pull", cwd=colleague)
    assert bytes_of(colleague) == second


def test_every_command_shown_is_one_that_a_person_can_type(told: tuple[str, Path]) -> None:
    output, _ = told
    commands = re.findall(r"^\$ (.*)", output, flags=re.MULTILINE)
    assert {command.split()[0] for command in commands} == {"mkdir", "cd", "git", "mlvc", "cp", "cat", "sed"}
    for verb in ("init", "add", "repro", "push", "pull", "status", "diff", "checkout"):
        assert any(command.startswith(f"mlvc {verb}") for command in commands), verb
    assert sys.executable not in output
    assert "Traceback" not in output


def test_a_folder_that_holds_something_is_refused_and_left_alone() -> None:
    kept = Path("mlvc-demo/mine.txt")
    kept.parent.mkdir()
    kept.write_text("mine")
    result = run_mlvc("demo", check=False)
    assert result.code == UsageError.exit_code
    assert "'mlvc-demo' is there already" in result.err
    assert "hint:" in result.err
    assert [path.name for path in kept.parent.iterdir()] == ["mine.txt"]


def test_a_byte_that_differs_ends_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_hand(tmp_path / "project", 10)
    expected = demo._digests(tmp_path / "project")
    terminal = demo.Terminal({})
    demo._expect(terminal, "the same", expected, tmp_path / "project")
    with (tmp_path / "project/model.json").open("ab") as file:
        file.write(b" ")
    with pytest.raises(DamagedError, match=r"not the same bytes in .*: model\.json"):
        demo._expect(terminal, "the same", expected, tmp_path / "project")
    (tmp_path / "project/model.json").unlink()
    with pytest.raises(DamagedError, match=r"not there in .*: model\.json"):
        demo._expect(terminal, "the same", expected, tmp_path / "project")
    assert "is not" in capsys.readouterr().out


def test_the_demo_needs_no_identity_and_keeps_the_one_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "user.name" not in demo._environment(tmp_path).values()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    env = demo._environment(tmp_path)
    assert "GIT_DIR" not in env
    monkeypatch.delenv("GIT_DIR")
    assert git("config", "user.name", cwd=tmp_path, env=env) == "Demo"


def test_the_data_is_what_its_origin_says() -> None:
    data = (EXAMPLE / "data/penguins.csv").read_bytes()
    assert hashlib.sha256(data).hexdigest() in (EXAMPLE / "ORIGIN.md").read_text()
    species = [line.split(b",")[0] for line in data.splitlines()[1:]]
    assert {name: species.count(name) for name in set(species)} == {b"Adelie": 152, b"Gentoo": 124, b"Chinstrap": 68}


def test_the_scripts_make_the_same_bytes_every_time(tmp_path: Path) -> None:
    assert by_hand(tmp_path / "one", 10) == by_hand(tmp_path / "two", 10)
