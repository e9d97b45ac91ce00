"""Stages with an image, in a real docker and a real podman."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import SOURCES, git, run_mlvc, shell
from tests.helpers import containers as engines

IMAGE = f"localhost/mlvc-test-{os.getpid()}:1"
"""A name of this process alone: others may import the same image anew meanwhile, which gives it another id."""
ENGINE = "ENGINE"
"""The variable that names the engine of a test."""


@pytest.fixture(scope="module", params=engines.ENGINES)
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    name: str = request.param
    env = engines.environment(name, tmp_path_factory.mktemp(name)) | {ENGINE: name}
    engine("tag", engines.IMAGE, IMAGE, env=env)
    yield env
    engine("rmi", "--force", IMAGE, env=env)


@pytest.fixture
def env(real: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What mlvc runs in: a home in which the engine has the image."""
    for name in ("HOME", "CONTAINERS_CONF", "DOCKER_HOST"):
        if name in real:
            monkeypatch.setenv(name, real[name])
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return real


def engine(*args: str, env: dict[str, str]) -> str:
    """What the engine of this test says."""
    return subprocess.run([env[ENGINE], *args], env=env, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def moved(env: dict[str, str]) -> Iterator[str]:
    """Another name of the image, of this test alone: the engine may be shared."""
    name = f"localhost/moved-{os.getpid()}-{time.time_ns()}:1"
    engine("tag", IMAGE, name, env=env)
    yield name
    engine("rmi", "--force", name, env=env)


def retag(env: dict[str, str], name: str, change: str = "") -> None:
    """Let ``name`` stand for another image, in which this is changed."""
    made = engine("create", IMAGE, "/bin/sh", env=env)
    engine("commit", "--change", change or f"LABEL made={time.time_ns()}", made, name, env=env)
    engine("rm", made, env=env)


def pipeline(root: Path, *stages: str) -> None:
    (root / "mlvc.yaml").write_text("stages:\n" + "".join(f"  {stage}\n" for stage in stages))


def containers(root: Path, env: dict[str, str]) -> list[str]:
    """Those that have to do with the working tree ``root``."""
    return engine("ps", "-aq", "--filter", f"volume={root}", env=env).split()


UPPER = f"upper: {{cmd: 'test ! -e /usr && cat data/one.txt > out', image: '{IMAGE}', deps: [data], outs: [out]}}"


def test_a_stage_runs_in_its_image_which_is_a_part_of_its_key(project: Path, env: dict[str, str], moved: str) -> None:
    pipeline(project, UPPER.replace(IMAGE, moved))
    assert run_mlvc("repro", cwd=project).err.startswith("Running stage 'upper': never run\n")
    assert (project / "out").read_bytes() == b"one\n"
    assert (project / "out").stat().st_uid == os.getuid()
    id_ = json.loads((project / "mlvc.lock").read_text())["stages"]["upper"]["image"]
    assert id_ == "sha256:" + engine("image", "inspect", "--format", "{{.Id}}", IMAGE, env=env).removeprefix("sha256:")
    assert "1 unchanged" in run_mlvc("repro", cwd=project).err
    retag(env, moved)
    reason = f"image {moved} changed"
    assert reason in run_mlvc("status", cwd=project).out
    assert f"Running stage 'upper': {reason}" in run_mlvc("repro", cwd=project).err
    # The first image again: its Run is known.
    engine("tag", IMAGE, moved, env=env)
    assert "1 restored" in run_mlvc("repro", cwd=project).err
    pipeline(project, UPPER.replace(f"image: '{IMAGE}', ", "").replace("test ! -e /usr && ", ""))
    assert "image is no longer named" in run_mlvc("repro", "--dry-run", cwd=project).out
    assert containers(project, env) == []


def test_an_image_with_a_user_of_its_own(project: Path, env: dict[str, str], moved: str) -> None:
    retag(env, moved, "USER 4321:4321")
    pipeline(project, f"s: {{cmd: 'mkdir out; id -u > out/who', image: '{moved}', outs: [out]}}")
    run_mlvc("repro", cwd=project)
    assert (project / "out/who").read_text() == f"{os.getuid()}\n"
    assert (project / "out/who").stat().st_uid == os.getuid()


def test_an_image_that_is_not_here(project: Path, env: dict[str, str]) -> None:
    absent = "localhost/no-such-image:1"
    alone = "alone: {cmd: 'echo > made', outs: [made]}"
    pipeline(project, UPPER.replace(IMAGE, absent), alone)
    assert f"image {absent} is not here" in run_mlvc("repro", "--dry-run", cwd=project).out
    result = run_mlvc("repro", cwd=project, check=False)
    place = "mlvc.yaml, line 2, column 60: stage 'upper' has to run, and "
    shell.refused(result, 2, f"{place}the image '{absent}' cannot be had", f"{env[ENGINE]} pull")
    assert not (project / "made").exists()
    result = run_mlvc("repro", "--keep-going", cwd=project, check=False)
    shell.refused(result, 2, f"{place}the image '{absent}' cannot be had")
    assert "1 failed, 1 ran" in result.err
    assert (project / "made").exists()


def test_an_image_that_cannot_be_had_any_more_counts_as_it_is_recorded(
    project: Path, env: dict[str, str], moved: str
) -> None:
    retag(env, moved)
    pipeline(
        project, UPPER.replace(IMAGE, moved), "alone: {cmd: 'cat data/one.txt > made', deps: [data], outs: [made]}"
    )
    run_mlvc("repro", cwd=project)
    engine("rmi", "--force", moved, env=env)
    for args in ([], ["--dry-run"], ["--allow-missing"], ["--keep-going"]):
        assert "failed" not in run_mlvc("repro", *args, cwd=project).err
    assert "2 unchanged" in run_mlvc("repro", cwd=project).err
    assert run_mlvc("status", cwd=project).out.count("upper") == 0
    (project / "out").unlink()
    assert "1 restored" in run_mlvc("repro", cwd=project).err
    # Only what has to run fails.
    shell.write(project, {"data/one.txt": b"two\n"})
    result = run_mlvc("repro", "--keep-going", cwd=project, check=False)
    shell.refused(result, 2, "mlvc.yaml, line 2, column 60: stage 'upper' has to run", f"'{moved}' cannot be had")
    assert (project / "made").read_bytes() == b"two\n"


def test_a_recorded_image_is_used_under_its_id_where_its_name_is_gone(
    project: Path, env: dict[str, str], moved: str
) -> None:
    pipeline(project, UPPER.replace(IMAGE, moved))
    run_mlvc("repro", cwd=project)
    recorded = json.loads((project / "mlvc.lock").read_text())["stages"]["upper"]["image"]
    engine("rmi", moved, env=env)  # a name of several
    shell.write(project, {"data/one.txt": b"two\n"})
    assert "1 ran" in run_mlvc("repro", cwd=project).err
    assert (project / "out").read_bytes() == b"two\n"
    assert json.loads((project / "mlvc.lock").read_text())["stages"]["upper"]["image"] == recorded


def test_an_image_is_found_to_be_gone_when_the_stage_before_has_run(project: Path, env: dict[str, str]) -> None:
    absent = "localhost/no-such-image:1"
    after = f"after: {{cmd: cat made, image: '{absent}', deps: [made], outs: [out]}}"
    pipeline(project, "first: {cmd: 'echo > made', outs: [made]}", after)
    result = run_mlvc("repro", cwd=project, check=False)
    shell.refused(result, 2, "mlvc.yaml, line 3, column 26: stage 'after' has to run")
    assert "1 ran, 1 failed" in result.err


def test_without_an_engine_only_what_has_to_run_is_refused(project: Path, env: dict[str, str], tmp_path: Path) -> None:
    pipeline(project, UPPER, "alone: {cmd: 'echo > made', outs: [made]}")
    run_mlvc("repro", cwd=project)
    folder = tmp_path / "no engine"
    folder.mkdir()
    for name in ("git", "sh", "cat", "test"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    bare = {"PATH": str(folder)}
    assert "2 unchanged" in run_mlvc("repro", cwd=project, env=bare).err
    assert run_mlvc("status", cwd=project, env=bare).code == 0
    shell.write(project, {"data/one.txt": b"two\n"})
    (project / "made").unlink()
    result = run_mlvc("repro", cwd=project, env=bare, check=False)
    told = "stage 'upper' has to run, and no container can be run: there is no docker and no podman"
    shell.refused(result, 2, "mlvc.yaml, line 2, column ", told, "install docker or podman")
    assert not (project / "made").exists()
    result = run_mlvc("repro", "--keep-going", cwd=project, env=bare, check=False)
    shell.refused(result, 2, told)
    assert (project / "made").exists()
    run_mlvc("config", "pipeline.container.engine", "nerdctl", cwd=project)
    shell.refused(run_mlvc("repro", cwd=project, check=False), 2, "there is no nerdctl here")


def test_the_environment_and_what_the_settings_add(project: Path, env: dict[str, str]) -> None:
    shell.write(
        project,
        {
            "run.sh": b'echo "$A|$B|${C-none}|$D" > out\n',
            "mlvc.yaml": (
                "stages:\n  s:\n    cmd: [cd ../..; sh run.sh, pwd > ../../where]\n    wdir: data/sub\n"
                f"    image: {IMAGE}\n    env: [{{A: x y}}, B]\n    outs: [../../out, ../../where]\n"
            ).encode(),
        },
    )
    run_mlvc("config", "--", "pipeline.container.args", "--env 'D=1 2'", cwd=project)
    run_mlvc("repro", cwd=project, env={"B": "b", "C": "c"})
    assert (project / "out").read_text() == "x y|b|none|1 2\n"
    assert (project / "where").read_text() == f"{project}/data/sub\n"


def test_a_command_that_fails_and_one_that_takes_too_long(project: Path, env: dict[str, str]) -> None:
    pipeline(project, f"s: {{cmd: ['echo half > out', 'exit 3'], image: '{IMAGE}', outs: [out]}}")
    result = run_mlvc("repro", cwd=project, check=False)
    assert result.code == 7
    shell.ends(result, "failed with exit code 3", "kept in")
    assert "the command that failed: exit 3\n" in result.err
    pipeline(project, f"s: {{cmd: 'echo half > out; sleep 300', image: '{IMAGE}', outs: [out], timeout: 3}}")
    result = run_mlvc("repro", cwd=project, check=False)
    shell.ends(result, "took longer than its timeout of 3")
    assert containers(project, env) == []


def test_isolated_and_twice_and_side_by_side(project: Path, env: dict[str, str]) -> None:
    stages = [
        f"{name}: {{cmd: 'test ! -e model.bin && test ! -e data/two.txt && cat data/one.txt > {name}', "
        f"image: '{IMAGE}', deps: [data/one.txt], outs: [{name}]}}"
        for name in ("a", "b")
    ]
    pipeline(project, *stages)
    run_mlvc("repro", "--isolated", "--check-deterministic", "-j", "2", cwd=project)
    assert (project / "b").read_bytes() == b"one\n"
    pipeline(project, stages[0].replace("test ! -e model.bin", f"test ! -e {project}/model.bin"))
    run_mlvc("repro", "--isolated", cwd=project)


EACH = (
    "upper: {each: data/*.txt, cmd: 'test ! -e /usr && cat ${item.path} > ${out}/${item.stem}.up', "
    f"image: '{IMAGE}', deps: [data], outs: [made]}}"
)


def made(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((root / "made").iterdir())}


@pytest.mark.parametrize("options", [[], ["--isolated"], ["--check-deterministic", "-j", "2"]])
def test_items(project: Path, env: dict[str, str], options: list[str]) -> None:
    text = EACH.replace("cat ", "test ! -e model.bin && cat ") if options == ["--isolated"] else EACH
    pipeline(project, text)
    run_mlvc("repro", *options, cwd=project)
    assert made(project) == {"one.up": "one\n", "two.up": "two\n"}
    assert all((project / "made" / name).stat().st_uid == os.getuid() for name in made(project))
    shell.write(project, {"data/two.txt": b"other\n"})
    assert "1 of 2 items changed" in run_mlvc("repro", *options, cwd=project).err
    assert made(project)["two.up"] == "other\n"
    assert containers(project, env) == []
    assert not list((project / ".git/mlvc/tmp").iterdir())


@pytest.mark.parametrize("options", [[], ["--isolated"]])
def test_batches_of_items(project: Path, env: dict[str, str], options: list[str]) -> None:
    batch = b"test ! -e /usr || exit 9; while IFS='\t' read -r path out; do cat $path > $out/x$name; done < $1\n"
    batch = batch.replace(b"cat $path", b"read -r name < $path; cat $path")
    shell.write(project, {"batch": batch})
    command = f"cmd: 'sh batch ${{items}}', batch: 8, image: '{IMAGE}', deps: [batch], outs: [made]"
    pipeline(project, f"upper: {{each: data/*.txt, {command}}}")
    run_mlvc("repro", *options, cwd=project)
    assert made(project) == {"xone": "one\n", "xtwo": "two\n"}


@pytest.mark.usefixtures("env")
def test_items_with_names_that_mean_something_to_the_shell(project: Path) -> None:
    names = ("$(exit 3)$(echo ran)", "a\nb", "it's", "-n", 'a" b')
    shell.write(project, {f"data/{name}.txt": b"1" for name in names})
    pipeline(project, EACH)
    run_mlvc("repro", cwd=project)
    assert set(made(project)) == {f"{name}.up" for name in (*names, "one", "two")}


def test_an_item_that_fails(project: Path, env: dict[str, str]) -> None:
    pipeline(project, EACH.replace("cat ", "echo half > ${out}/x; cat ${item.parent}/one.txt "))
    result = run_mlvc("repro", "--isolated", cwd=project, check=False)
    assert result.code == 7
    shell.ends(result, "1 of 2 items", "data/two.txt with exit code 1", "their output names data/one.txt", "kept in")
    assert [path.read_text() for path in (project / ".git/mlvc/aside").rglob("x")] == ["half\n"]
    pipeline(project, EACH.replace("cat ", "sleep 300; cat ").replace("deps:", "timeout: 2, deps:"))
    result = run_mlvc("repro", "-j", "2", cwd=project, check=False)
    assert result.code == 7
    shell.ends(result, "2 of 2 items", "took longer than the timeout")
    assert containers(project, env) == []


def test_items_where_the_git_directory_is_elsewhere(project: Path, env: dict[str, str]) -> None:
    """What they write to is not below what a container sees otherwise."""
    shell.commit(project)
    git("worktree", "add", "-q", "../other", cwd=project)
    run_mlvc("checkout", cwd=project.parent / "other")
    pipeline(project.parent / "other", EACH)
    run_mlvc("repro", cwd=project.parent / "other")
    assert made(project.parent / "other") == {"one.up": "one\n", "two.up": "two\n"}


def test_a_link_into_the_store_is_seen(project: Path, env: dict[str, str]) -> None:
    run_mlvc("config", "core.link", "symlink,copy", cwd=project)
    run_mlvc("checkout", "--relink", cwd=project)
    assert (project / "model.bin").is_symlink()
    pipeline(project, f"s: {{cmd: 'cat model.bin | wc -c > out', image: '{IMAGE}', deps: [model.bin], outs: [out]}}")
    run_mlvc("repro", cwd=project)
    assert int((project / "out").read_text()) == len(shell.LARGE)


def test_reproduce(project: Path, env: dict[str, str], moved: str) -> None:
    pipeline(project, UPPER.replace(IMAGE, moved))
    run_mlvc("repro", cwd=project)
    shell.commit(project)
    assert run_mlvc("reproduce", "HEAD", cwd=project).code == 0
    retag(env, moved)
    # The image that was recorded is still here, and counts.
    assert run_mlvc("reproduce", "HEAD", cwd=project).out == "upper: ran\n  identical  out\n"
    assert git("status", "--porcelain", cwd=project) == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind(project: Path, env: dict[str, str], number: int) -> None:
    pipeline(project, f"s: {{cmd: 'echo > up; sleep 300', image: '{IMAGE}', outs: [out]}}")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlvc", "repro"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": SOURCES},
        stderr=subprocess.DEVNULL,
    )
    while not (project / "up").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    process.wait(timeout=60)
    if number == signal.SIGKILL:
        assert len(containers(project, env)) == 1
        assert len(list((project / ".git/mlvc/containers").iterdir())) == 1
        pipeline(project, "s: {cmd: 'echo > out', outs: [out]}")
        run_mlvc("repro", cwd=project)
    assert containers(project, env) == []
    assert list((project / ".git/mlvc/containers").iterdir()) == []
