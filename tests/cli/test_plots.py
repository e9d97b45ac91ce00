"""``plots show`` and ``plots diff``: which plots, of which data, and where the page goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import git, make_git_repo, plots, run_mlvc, shell
from tests.helpers.shell import ends, image, refused


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plots.project(tmp_path_factory.mktemp("plots") / "project")


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return shell.copied(made.parent, tmp_path / "scene") / "project"


def shown(root: Path, *args: str) -> dict[str, dict[str, Any]]:
    value = json.loads(run_mlvc("plots", *args, "--json", cwd=root).out)
    assert value["lost"] == []
    assert value["unreadable"] == []
    return {plot["id"]: plot for plot in value["plots"]}


ALL = [
    *("loss", "a.csv", "more/c.csv", "image.png", "drawing.svg", "guess.csv", "shares", "weights.json", "cloud.tsv"),
    *("spread", "b.csv", "roc.json"),
]


def test_all_plots_and_nothing_is_written(root: Path) -> None:
    before = image(root, git_index=True)
    found = shown(root, "show")
    assert list(found) == ALL
    assert found["roc.json"]["spec"]["encoding"]["x"]["field"] == "fpr"
    assert found["more/c.csv"]["spec"]["mark"] == "line"
    assert found["b.csv"]["spec"]["mark"] == "area"  # a template of the user
    assert found["image.png"] == {
        "id": "image.png",
        "revisions": ["working tree"],
        "images": [{"rev": None, "path": "image.png", "size": len(plots.png(2))}],
        "notes": [],
    }
    assert image(root, git_index=True) == before


def test_which_plots(root: Path) -> None:
    assert list(shown(root, "show", "loss", "b.csv")) == ["loss", "b.csv"]
    assert list(shown(root, "show", "more")) == ["more/c.csv"]
    assert list(shown(root, "diff", "--targets", "roc.json", "--targets", "loss")) == ["roc.json", "loss"]
    shell.write(root, {"else/x.csv": b"u,v\n1,2\n3,4\n"})
    found = shown(root, "show", "else/x.csv", "-x", "u", "-y", "v", "-t", "scatter", "--title", "T", "--x-label", "X")
    spec = found["else/x.csv"]["spec"]
    assert spec["title"]["text"] == "T"
    assert spec["encoding"]["x"]["title"] == "X"
    assert spec["data"]["values"] == [{"u": 1, "v": 2, "rev": "working tree"}, {"u": 3, "v": 4, "rev": "working tree"}]
    headless = shown(root, "show", "else/x.csv", "--no-header", "-x", "0", "-y", "1")
    assert len(headless["else/x.csv"]["spec"]["data"]["values"]) == 3
    below = json.loads(run_mlvc("plots", "show", "../a.csv", "--json", cwd=root / "more").out)
    assert [plot["id"] for plot in below["plots"]] == ["a.csv"]


def test_revisions(root: Path) -> None:
    old, new = ({one["tpr"] for one in shown(root, "show", *rev)["roc.json"]["spec"]["data"]["values"]} for rev in REVS)
    assert old != new
    both = shown(root, "diff", "v1")["roc.json"]
    assert both["revisions"] == ["v1", "working tree"]
    of = {rev: {one["tpr"] for one in both["spec"]["data"]["values"] if one["rev"] == rev} for rev in both["revisions"]}
    assert of == {"v1": old, "working tree": new}
    assert shown(root, "diff")["roc.json"]["revisions"] == ["HEAD", "working tree"]
    shell.commit(root, "second")
    assert shown(root, "diff", "HEAD", "v1", "HEAD~1")["roc.json"]["revisions"] == ["HEAD", "v1", "HEAD~1"]
    assert [one["rev"] for one in shown(root, "diff", "v1", "HEAD")["image.png"]["images"]] == ["v1", "HEAD"]


REVS = (["--rev", "v1"], [])


def test_a_plot_that_one_revision_has_is_drawn(root: Path) -> None:
    shell.write(root, {"mlvc.yaml": b"plots: [new.csv, a.csv]\n", "new.csv": b"x\n1\n"})
    found = shown(root, "diff", "v1")
    assert found["new.csv"]["revisions"] == ["working tree"]
    assert found["a.csv"]["revisions"] == ["v1", "working tree"]
    assert found["a.csv"]["spec"]["encoding"]["y"]["field"] == "acc"  # as the last revision describes it
    assert found["roc.json"]["revisions"] == ["v1", "working tree"]


def test_a_tracked_directory_of_data(root: Path) -> None:
    shell.write(root, {"logs/x.csv": b"x\n1\n", "logs/y.csv": b"y\n1\n", "mlvc.yaml": b"plots: [logs]\n"})
    run_mlvc("add", "logs", cwd=root)
    shell.commit(root, "logs")
    shell.write(root, {"logs/x.csv": b"x\n2\n"})
    found = shown(root, "diff", "HEAD")
    assert list(found)[:2] == ["logs/x.csv", "logs/y.csv"]
    assert [one["x"] for one in found["logs/x.csv"]["spec"]["data"]["values"]] == [1, 2]


# -- the page ----------------------------------------------------------------------------------


def test_where_the_page_goes(root: Path) -> None:
    result = run_mlvc("plots", "show", cwd=root)
    assert result.out == "mlvc_plots/index.html\n"
    text = (root / "mlvc_plots/index.html").read_text(encoding="utf-8")
    assert "mlvc_plots" not in git("status", "--porcelain", cwd=root)
    assert run_mlvc("plots", "show", "-o", "out/one.html", cwd=root).out == "out/one.html\n"
    assert (root / "out/one.html").read_text(encoding="utf-8") == text
    assert run_mlvc("plots", "show", "-o", "out", cwd=root).out == "out/index.html\n"
    assert not (root / "out/.gitignore").exists()
    run_mlvc("plots", "diff", "v1", "-o", "out/one.html", cwd=root)
    assert (root / "out/one.html").read_text(encoding="utf-8") != text


def test_the_page_is_opened(root: Path) -> None:
    browser = root.parent / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {root.parent}/opened\n')
    browser.chmod(0o755)
    run_mlvc("plots", "show", "loss", "--open", "-o", "a page.html", cwd=root, env={"BROWSER": f"{browser} %s"})
    assert (root.parent / "opened").read_text() == (root / "a page.html").as_uri() + "\n"


def test_no_other_file_is_overwritten(root: Path) -> None:
    shell.write(root, {"mine.html": b"<p>mine</p>"})
    refused(run_mlvc("plots", "show", "-o", "mine.html", cwd=root, check=False), 5, "mine.html is there already")
    refused(run_mlvc("plots", "show", "-o", "a.csv", cwd=root, check=False), 2, "a.csv is a file, and no page")
    assert (root / "mine.html").read_bytes() == b"<p>mine</p>"


def test_many_points_are_told(root: Path) -> None:
    shell.write(root, {"long.csv": b"x,y\n" + b"".join(b"%d,%d\n" % (at, at % 9) for at in range(30_000))})
    result = run_mlvc("plots", "show", "long.csv", cwd=root)
    assert "of 30,000 points are drawn, of each stretch the lowest and the highest" in result.err
    page = (root / "mlvc_plots/index.html").read_text(encoding="utf-8")
    assert "of 30,000 points are drawn" in page
    assert len(page) < 1_500_000


def test_many_plots_are_told(root: Path) -> None:
    shell.write(root, {f"many/{at:03}.csv": b"x\n1\n2\n" for at in range(305)})
    value = json.loads(run_mlvc("plots", "show", "many", "--json", cwd=root).out)
    assert (len(value["plots"]), value["left"]) == (300, 5)
    result = run_mlvc("plots", "show", "many", cwd=root)
    assert result.err == "note: 5 more plots not drawn; name those that you want\n"
    assert "5 more plots not drawn" in (root / "mlvc_plots/index.html").read_text(encoding="utf-8")


def test_an_image_that_is_too_large(root: Path) -> None:
    shell.write(root, {"image.png": plots.png(1) + bytes(20_000_000)})
    result = run_mlvc("plots", "show", cwd=root, check=False)
    assert (result.code, result.out) == (2, "mlvc_plots/index.html\n")
    ends(result, "image.png is too large to be drawn: more than 20 MB")


# -- what goes wrong ---------------------------------------------------------------------------


def test_one_bad_plot_does_not_hide_the_others(root: Path) -> None:
    shell.write(root, {"weights.json": b'[{"name":\n "x",]'})
    result = run_mlvc("plots", "show", cwd=root, check=False)
    assert (result.code, result.out) == (2, "mlvc_plots/index.html\n")
    ends(result, "weights.json, line 2", hint=False)
    shell.write(
        root, {"mlvc.yaml": b"plots:\n  - a.csv: {y: los}\n  - b.csv: {template: lin}\n  - cloud.tsv\n  - gone.csv\n"}
    )
    result = run_mlvc("plots", "show", "--json", cwd=root, check=False)
    assert result.code == 2
    value = json.loads(result.out)
    assert [plot["id"] for plot in value["plots"]] == ["cloud.tsv"]
    assert value["unreadable"] == [
        "plot 'a.csv': a.csv has no column 'los'",
        "there is no template 'lin'",
        "the plot 'gone.csv' has no data: gone.csv is not there",
    ]


def test_a_target_that_there_is_not(root: Path) -> None:
    refused(run_mlvc("plots", "show", "lss", cwd=root, check=False), 2, "there is no plot 'lss'", "'loss'")
    refused(run_mlvc("plots", "diff", "nope", cwd=root, check=False), 2, "'nope' is no revision")
    refused(run_mlvc("plots", "diff", "a.csv", cwd=root, check=False), 2, "`--targets A --targets B`")


def test_nothing_to_draw(tmp_path: Path) -> None:
    root = make_git_repo(tmp_path / "empty")
    run_mlvc("init", cwd=root)
    result = run_mlvc("plots", "show", cwd=root)
    assert result.out == ""
    assert result.err.startswith("no plots: name them in mlvc.yaml")
    assert not (root / "mlvc_plots").exists()


def test_an_object_that_is_missing(root: Path) -> None:
    run_mlvc("remote", "add", "-d", "store", "../remote", cwd=root)
    shell.commit(root, "second")
    run_mlvc("push", "--all-commits", cwd=root)
    clone = shell.clone(root)
    result = run_mlvc("plots", "diff", "v1", "HEAD", cwd=clone, check=False)
    assert (result.code, result.out) == (4, "mlvc_plots/index.html\n")
    ends(result, "roc.json at v1 could not be read: its object is missing", "`mlvc fetch --rev v1`")
    run_mlvc("fetch", "--all-commits", cwd=clone)
    assert shown(clone, "diff", "v1", "HEAD")["roc.json"]["revisions"] == ["v1", "HEAD"]


def test_a_link_that_leaves_the_repository_is_not_shown(root: Path) -> None:
    (root.parent / "secret.csv").write_text("a,b\n1,secret\n")
    (root / "out.csv").symlink_to(root.parent / "secret.csv")
    (root / "in.csv").write_text("a,b\n1,2\n")
    (root / "near.csv").symlink_to("in.csv")
    done = run_mlvc("plots", "show", "out.csv", "near.csv", "--json", cwd=root, check=False)
    assert done.code == 2
    assert "out.csv is a symbolic link that leaves the repository" in done.err
    assert "secret" not in done.out
    assert "near.csv" in done.out


def test_half_of_a_pair_of_utf_16_does_no_harm(root: Path) -> None:
    (root / "odd.json").write_text('[{"a": "\\\\ud800", "b": 1}]')
    run_mlvc("plots", "show", "odd.json", "-o", "page.html", cwd=root)
    assert (root / "page.html").exists()


def test_a_table_without_records_is_not_called_missing(root: Path) -> None:
    (root / "a.csv").write_text("step,loss\n")
    git("add", "-A", cwd=root)
    git("commit", "-qm", "empty", cwd=root)
    done = run_mlvc("plots", "show", "a.csv", cwd=root, check=False)
    assert done.code != 0
    assert "the plot 'a.csv' has no data: a.csv has nothing below its first line" in done.err
