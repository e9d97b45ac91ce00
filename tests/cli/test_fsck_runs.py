"""``mlvc fsck`` and the records of Runs: which say nothing, and which name what cannot be had."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.helpers import Result, git, run_mlvc, shell
from tests.helpers.sharing import computed, outcomes, ran
from tests.helpers.shell import ends
from tests.helpers.stores import packs


def fsck(root: Path, *args: str) -> tuple[dict[str, list[dict[str, str]]], Result]:
    result = run_mlvc("fsck", "--json", *args, cwd=root, check=False)
    return json.loads(result.out), result


def lose(root: Path, times: int) -> None:
    """Run the pipeline with another parameter, go back, and lose the Pack with what only that Run made."""
    before = packs(root / ".git/mlvc")
    shell.write(root, {"params.yaml": b"times: %d\n" % times})
    text = (root / "mlvc.yaml").read_text().replace("> all;", "> all; cat params.yaml >> all;")
    shell.write(root, {"mlvc.yaml": text.encode()})
    run_mlvc("repro", cwd=root)
    run_mlvc("push", "--run-cache", cwd=root)
    git("checkout", "--quiet", ".", cwd=root)
    run_mlvc("checkout", "--force", cwd=root)
    for pack in set(packs(root / ".git/mlvc")) - set(before):
        pack.unlink()


def test_what_only_a_run_names_is_named_and_brought(shared: Path) -> None:
    assert fsck(shared)[1].code == 0
    lose(shared, 2)
    found, result = fsck(shared)
    assert result.code == 4
    ends(result, "cannot be had: its object is missing", "`mlvc fsck --repair` brings it")
    assert {item["path"] for item in found["missing"]} == {"all", "count.json"}
    assert all(item["named_by"].startswith("Run ") for item in found["missing"])
    found, result = fsck(shared, "--repair")
    assert (result.code, found["records"]) == (0, [])
    assert found["fetched"] == 2
    assert fsck(shared)[1].code == 0


def test_a_run_whose_results_are_nowhere_is_set_aside(shared: Path) -> None:
    lose(shared, 2)
    shutil.rmtree(shared.parent / "remote/packs")
    found, result = fsck(shared, "--repair")
    assert result.code == 0
    (record,) = found["records"]
    assert "cannot be had" in record["reason"]
    assert not (shared / ".git/mlvc" / record["file"]).exists()
    assert (shared / ".git/mlvc/quarantine" / Path(record["file"]).name).exists()
    assert fsck(shared)[1].code == 0


def test_a_remote_that_does_not_answer_costs_no_run(shared: Path) -> None:
    lose(shared, 2)
    (shared.parent / "remote").rename(shared.parent / "away")
    found, result = fsck(shared, "--repair")
    assert (result.code, found["records"]) == (4, [])
    (shared.parent / "away").rename(shared.parent / "remote")
    found, result = fsck(shared, "--repair")
    assert (result.code, found["fetched"]) == (0, 2)


def test_a_run_is_kept_while_another_remote_may_have_its_results(shared: Path) -> None:
    lose(shared, 2)
    run_mlvc("remote", "add", "other", "../other", cwd=shared)
    run_mlvc("push", "-r", "other", cwd=shared)
    found, result = fsck(shared, "--repair", "-r", "other")
    assert (result.code, found["records"]) == (4, [])
    assert fsck(shared, "--repair")[1].code == 0
    assert outcomes(shared) == {"upper": "unchanged", "count": "unchanged"}


def test_a_record_that_says_nothing_is_named_and_set_aside(shared: Path) -> None:
    one, two = sorted((shared / ".git/mlvc/runs").glob("*/*.json"))
    one.write_bytes(two.read_bytes())  # under a name that is not its own
    two.write_bytes(two.read_bytes().replace(b'"mlvc_run": 1', b'"mlvc_run": 9'))  # of a newer mlvc
    found, result = fsck(shared)
    assert result.code == 4
    ends(result, "is no record that counts", "`mlvc fsck --repair` sets it aside")
    assert [record["file"] for record in found["records"]] == [str(one.relative_to(shared / ".git/mlvc"))]
    assert one.exists()
    assert fsck(shared, "--repair")[1].code == 0
    assert (one.exists(), two.exists()) == (False, True)
    assert fsck(shared)[1].code == 0
    assert outcomes(shared) == {"upper": "unchanged", "count": "unchanged"}


def test_what_was_never_stored_is_not_missed(shared: Path) -> None:
    text = """\
stages:
  big:
    cmd: echo big >> log; head -c 1100000 /dev/zero > big; mkdir d; echo x > d/x
    outs: [{big: {cache: false}}, {d: {cache: false}}]
    deps: [params.yaml]
"""
    shell.write(shared, {"mlvc.yaml": text.encode()})
    assert ran(shared) == ["big"]
    assert fsck(shared)[1].code == 0


def test_the_records_of_items_are_looked_at(shared: Path) -> None:
    text = "stages:\n  up:\n    each: data/*\n    cmd: cp ${item.path} ${out}/${item.name}\n    outs: [up]\n"
    shell.write(shared, {"mlvc.yaml": text.encode()})
    run_mlvc("repro", cwd=shared)
    assert fsck(shared)[1].code == 0
    (record,) = (shared / ".git/mlvc/items").glob("*/*.json")
    record.write_bytes(b"{}")
    found, result = fsck(shared)
    assert result.code == 4
    assert [item["file"] for item in found["records"]] == [str(record.relative_to(shared / ".git/mlvc"))]
    assert fsck(shared, "--repair")[1].code == 0
    assert not record.exists()


def test_a_run_of_a_kind_that_is_not_so_harms_nothing(shared: Path) -> None:
    """A record may call a file a directory: it is a record all the same, and what it names is no list of files."""
    computed(shared, 2)
    for path in (shared / ".git/mlvc/runs").glob("*/*.json"):
        value = json.loads(path.read_bytes())
        if "all" in value["outs"] and value["params"] == {"params.yaml": {"times": 2}}:
            value["outs"]["all"] |= {"kind": "dir", "files": 1}
            path.write_bytes(json.dumps(value).encode())
    found, result = fsck(shared)
    assert (result.code, len(found["records"])) == (4, 1)
    assert fsck(shared, "--repair")[1].code == 0
    assert fsck(shared)[1].code == 0
