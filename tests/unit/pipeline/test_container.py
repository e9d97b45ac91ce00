"""Containers: in a real docker and a real podman where they are there, and programs that answer as an engine may."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from mlvc.errors import PipelineError
from mlvc.pipeline.executors import container
from tests.helpers import containers


@pytest.fixture(scope="module", params=containers.ENGINES)
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> container.Engine:
    env = containers.environment(request.param, tmp_path_factory.mktemp(request.param))
    found = container.find({**env, "THROUGH": "t h", "EMPTY": ""})
    assert found.podman == (request.param == "podman")
    return found


def program(folder: Path, name: str, text: str) -> dict[str, str]:
    """An environment in which the shell script ``text`` is the program ``name``, and nothing else is there."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": str(folder)}


def run(engine: container.Engine, root: Path, *commands: str, **named: object) -> subprocess.CompletedProcess[str]:
    given = {"image": engine.pull(containers.IMAGE), "name": f"mlvc-test-{os.getpid()}", "root": str(root)}
    given |= {"directory": str(root), "env": {}, **named}
    argv = engine.argv(commands, **given)  # type: ignore[arg-type]
    return subprocess.run(argv, env=dict(engine.env), capture_output=True, text=True, check=False)


def test_commands_run_in_turn_in_their_directory(real, tmp_path):
    (tmp_path / "w").mkdir()
    done = run(real, tmp_path, "pwd; X=1", 'echo "$X" > made', directory=str(tmp_path / "w"))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/w\n")
    assert (tmp_path / "w/made").read_text() == "\n"
    assert (tmp_path / "w/made").stat().st_uid == os.getuid()


def test_the_first_failure_ends_it_and_is_named(real, tmp_path):
    done = run(real, tmp_path, "echo a", "exit 3", "echo b")
    assert (done.returncode, done.stdout) == (3, "a\n")
    assert done.stderr == "the command that failed: exit 3\n"


def test_only_the_variables_that_are_named_get_in(real, tmp_path):
    command = 'echo "$A|$THROUGH|${EMPTY-unset}|${ABSENT-unset}|${HOME-unset}"'
    done = run(real, tmp_path, command, env={"A": "a 'b'\n=c"}, through=["THROUGH", "EMPTY", "ABSENT", "A"])
    assert done.stdout.startswith("a 'b'\n=c|t h||unset|")
    assert str(real.env["HOME"]) not in done.stdout


def test_more_places_can_be_seen(real, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").write_text("seen")
    root = tmp_path / "root"
    root.mkdir()
    assert run(real, root, f"cat {other}/x").returncode == 1
    assert run(real, root, f"cat {other}/x", mounts=[str(other)]).stdout == "seen"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_client_ends_what_runs_inside(real, tmp_path, number):
    name = f"mlvc-test-{os.getpid()}-{int(number)}"
    argv = real.argv(
        ["echo begun; sleep 300"],
        image=real.pull(containers.IMAGE),
        name=name,
        root=str(tmp_path),
        directory=str(tmp_path),
        env={},
    )
    with subprocess.Popen(argv, env=dict(real.env), stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(1)  # a client passes signals on a moment after it shows the first line
        begin = time.monotonic()
        os.killpg(process.pid, number)
        assert process.wait(30) == 143
    assert time.monotonic() - begin < 10


def test_a_container_whose_client_was_killed_can_be_removed(real, tmp_path):
    name = f"mlvc-test-{os.getpid()}-k"
    argv = real.argv(
        ["echo begun; sleep 300"],
        image=real.pull(containers.IMAGE),
        name=name,
        root=str(tmp_path),
        directory=str(tmp_path),
        env={},
    )
    with subprocess.Popen(argv, env=dict(real.env), stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGKILL)
    real.remove(name)
    real.remove(name)
    left = subprocess.run(
        [real.program, "ps", "-aq", "--filter", f"name={name}"], env=dict(real.env), capture_output=True, check=True
    )
    assert left.stdout == b""


def test_the_id_of_an_image_is_a_digest_and_one_that_is_not_here_has_none(real):
    found = real.image(containers.IMAGE)
    assert found is not None
    assert found.startswith("sha256:")
    assert len(found) == len("sha256:") + 64
    assert real.image("localhost/no-such-image:1") is None


def test_an_image_that_cannot_be_had_is_named(real):
    with pytest.raises(PipelineError, match="the image 'localhost/no-such-image:1' cannot be had: ") as caught:
        real.pull("localhost/no-such-image:1")
    assert f"{Path(real.program).name} pull localhost/no-such-image:1" in caught.value.hint


def test_without_an_engine_that_is_said(tmp_path):
    with pytest.raises(PipelineError, match="there is no docker and no podman here") as caught:
        container.find({"PATH": str(tmp_path)})
    assert "install docker or podman" in caught.value.hint
    with pytest.raises(PipelineError, match="there is no nerdctl here"):
        container.find({"PATH": str(tmp_path)}, "nerdctl")


def test_an_engine_that_does_not_answer_is_told_apart_and_the_next_is_asked(tmp_path):
    env = program(tmp_path, "docker", "echo Cannot connect to the engine >&2; exit 1")
    with pytest.raises(PipelineError, match="docker is there, but says: Cannot connect to the engine") as caught:
        container.find(env)
    assert caught.value.hint.startswith("start its engine")
    program(tmp_path, "podman", 'case "$*" in *Server*) exit 125;; esac; echo podman version 4')
    found = container.find(env)
    assert (found.program, found.podman) == (str(tmp_path / "podman"), True)


def test_docker_is_asked_first(tmp_path):
    env = program(tmp_path, "docker", "echo 27.0")
    program(tmp_path, "podman", "echo podman version 4")
    assert container.find(env).program == str(tmp_path / "docker")
    assert not container.find(env).podman
    assert container.find(env, "podman").podman


def test_after_a_program_that_cannot_be_started_or_never_answers_the_next_is_asked(tmp_path, monkeypatch):
    env = program(tmp_path, "docker", "exec /bin/sleep 30")
    monkeypatch.setattr(container, "_SECONDS", 0.2)
    with pytest.raises(PipelineError, match=r"no container can be run: .*docker did not answer within"):
        container.find(env)
    (tmp_path / "docker").write_text("")
    (tmp_path / "docker").write_bytes(b"\x7fELF")
    with pytest.raises(PipelineError, match=r"no container can be run: .*docker cannot be started"):
        container.find(env)
    monkeypatch.setattr(container, "_SECONDS", 30)
    program(tmp_path, "podman", "echo podman version 4")
    assert container.find(env).program == str(tmp_path / "podman")


def test_files_that_are_made_inside_belong_to_the_user(monkeypatch):
    monkeypatch.setattr(container.sys, "platform", "linux")
    monkeypatch.setattr(os, "getuid", lambda: 7)
    monkeypatch.setattr(os, "getgid", lambda: 8)
    given = {"image": "sha256:1", "name": "n", "root": "/r", "directory": "/r/d", "env": {"A": "1"}}
    docker = container.Engine("docker", {"B": "2"}, ("--gpus", "all"))
    assert docker.argv(["c"], **given, through=("B", "C"))[:-5] == [  # type: ignore[arg-type]
        *("docker", "run", "--rm", "--name", "n", "--user", "7:8", "--workdir", "/r/d", "--volume", "/r:/r"),
        *("--env", "A=1", "--env", "B", "--gpus", "all", "--entrypoint", "/bin/sh"),
    ]
    assert docker.argv(["c"], **given)[-5] == "sha256:1"  # type: ignore[arg-type]
    podman = container.Engine("podman", {}, podman=True)
    argv = podman.argv(["c"], **given)  # type: ignore[arg-type]
    assert argv[argv.index("--userns=keep-id") :][:3] == ["--userns=keep-id", "--user", "7:8"]
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert "--userns=keep-id" not in podman.argv(["c"], **given)  # type: ignore[arg-type]
