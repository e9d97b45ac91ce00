"""The verbs as functions: each does what its command does, and returns what it tells."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlvc
from tests.helpers import git, run_mlvc, shell


def test_from_nothing_to_a_clone_and_back(tmp_path: Path, algorithm: str) -> None:
    root = tmp_path / "project"
    git("init", "-q", root)
    done = mlvc.init(hash=algorithm, cwd=root)
    assert done == mlvc.Initialised(str(root), algorithm, new=True)
    shell.write(root, {"data/a.txt": b"a\n", "model.bin": b"model\n"})
    data, model = mlvc.add("data", root / "model.bin", cwd=root)
    assert (data.path, data.content.files, model.path, model.changed) == ("data", 1, "model.bin", True)
    run_mlvc("remote", "add", "-d", "store", "../remote", cwd=root)
    shell.commit(root)
    assert mlvc.push(cwd=root).objects > 0
    assert mlvc.push(cwd=root).objects == 0

    clone = shell.clone(root)
    assert mlvc.status(cwd=clone).missing
    pulled = mlvc.pull(cwd=clone)
    assert pulled.fetched.objects > 0
    assert (clone / "data/a.txt").read_bytes() == b"a\n"
    (clone / "data/a.txt").write_bytes(b"b\n")
    assert [one.state for one in mlvc.status("data", cwd=clone).work] == ["modified"]
    assert [change.path for change in mlvc.diff(cwd=clone).changes] == ["data/a.txt"]
    with pytest.raises(mlvc.WouldOverwriteError):
        mlvc.checkout(cwd=clone)
    assert len(mlvc.checkout("data", force=True, cwd=clone).changes) == 1
    (clone / "data/a.txt").write_bytes(b"c\n")
    assert [one.path for one in mlvc.commit(cwd=clone) if one.changed] == ["data"]
    assert mlvc.move("model.bin", to="m.bin", cwd=clone).moves[0].path == "m.bin"
    assert mlvc.remove("m.bin", data=True, cwd=clone).paths == ("m.bin",)
    assert not (clone / "m.bin").exists()
    assert mlvc.fsck(cwd=clone).missing == ()
    assert mlvc.gc(dry_run=True, cwd=clone).deleted == 0


def test_paths_are_those_of_the_directory_to_work_in(project: Path) -> None:
    (project / "data/sub/three.txt").write_bytes(b"3\n")
    assert mlvc.add("three.txt", cwd=project / "data/sub")[0].path == "data"
    assert [item.path for item in mlvc.ls(".", cwd=project / "data/sub").items] == [
        "data/sub/four file.txt",
        "data/sub/three.txt",
    ]
    assert mlvc.read("three.txt", cwd=project / "data/sub") == b"3\n"


def test_what_was_not_done_is_an_error_with_the_rest_as_its_result(project: Path) -> None:
    clone = shell.clone(project)
    with pytest.raises(mlvc.ObjectsMissingError) as caught:
        mlvc.checkout(cwd=clone)
    assert isinstance(caught.value.result, mlvc.CheckedOut)
    assert set(caught.value.result.lost) == {"big.bin", "data", "model.bin"}
    assert caught.value.hint
    with pytest.raises(mlvc.MlvcError):
        mlvc.push(cwd=clone, remote="nowhere")


def test_looking(project: Path, tmp_path: Path) -> None:
    listed = {item.path: item.kind for item in mlvc.ls(recursive=True, rev="v1").items}
    assert listed["data/one.txt"] == "file"
    assert "data/new.txt" not in listed
    assert mlvc.ls("data", repo=project, rev="v1").items[0].path == "data/empty"
    assert mlvc.du("data").files == 7
    assert [len(one.steps) for one in mlvc.log("data").commits] == [1, 1]
    got = mlvc.get(project, "data/one.txt", tmp_path / "out.txt", rev="v1")
    assert (got.files, (tmp_path / "out.txt").read_bytes()) == (1, b"one\n")
    with pytest.raises(mlvc.UsageError, match="nothing is not tracked"):
        mlvc.ls("nothing")


def test_stages(project: Path) -> None:
    (project / "mlvc.yaml").write_text(
        "stages:\n  copy:\n    cmd: cp data/one.txt out.txt\n    deps: [data]\n    outs: [out.txt]\n"
    )
    assert [one.stage for one in mlvc.status().stages] == ["copy"]
    assert [stage.outcome for stage in mlvc.repro().stages] == ["ran"]
    assert mlvc.status().stages == ()
    git("add", "-A", cwd=project)
    git("commit", "-qm", "ran", cwd=project)
    done = mlvc.reproduce("HEAD", "copy", tolerance=["1e-6"])
    assert isinstance(done, mlvc.Reproduced)
    assert done.is_good
    assert [out.verdict for stage in done.stages for out in stage.outputs] == ["identical"]
    assert [stage.outcome for stage in mlvc.repro(force=True, isolated=True, check_deterministic=True).stages] == [
        "ran"
    ]
    (project / "mlvc.yaml").write_text("stages:\n  copy:\n    cmd: exit 3\n    outs: [out.txt]\n")
    with pytest.raises(mlvc.StageFailedError) as caught:
        mlvc.repro("copy")
    assert isinstance(caught.value.result, mlvc.ReproResult)


def test_around_the_rest(project: Path) -> None:
    assert not mlvc.doctor().broken
    assert mlvc.doctor(cwd=project.parent).findings[-1].message.endswith("is not inside a Git repository")
    assert [hook.name for hook in mlvc.install("pre-push").hooks] == ["pre-push"]
    assert (project / ".git/hooks/pre-push").exists()
    mlvc.uninstall()
    assert not (project / ".git/hooks/pre-push").exists()
    assert mlvc.stages() == ()
    (project / "mlvc.yaml").write_text("stages:\n  one:\n    cmd: echo\n")
    assert [stage.name for stage in mlvc.stages()] == ["one"]
    assert "big.bin.mlvc" in mlvc.destroy(dry_run=True).removed
    assert (project / "big.bin.mlvc").exists()
    mlvc.destroy(force=True)
    assert not (project / "big.bin.mlvc").exists()
    assert (project / "big.bin").exists()


def test_a_conflict_is_resolved(project: Path) -> None:
    git("switch", "-qc", "other")
    (project / "big.bin").write_bytes(b"theirs")
    mlvc.add("big.bin")
    shell.commit(project)
    git("switch", "-q", "-")
    (project / "big.bin").write_bytes(b"ours")
    mlvc.add("big.bin")
    shell.commit(project)
    git("merge", "-q", "other", check=False)
    with pytest.raises(mlvc.FormatError, match=r"big\.bin"):
        mlvc.read("big.bin")
    assert [one.path for one in mlvc.resolve("big.bin", side="theirs")] == ["big.bin"]
    assert mlvc.read("big.bin") == b"theirs"


def test_outside_of_a_repository(tmp_path: Path) -> None:
    for call in (mlvc.status, mlvc.add, mlvc.fs, mlvc.gc, mlvc.ls):
        with pytest.raises(mlvc.NotARepositoryError, match="is not inside a Git repository"):
            call(cwd=tmp_path)
