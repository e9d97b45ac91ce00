"""Items handed out and taken in, with a Store that is a dict; the processes are those who call."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from mlvc.errors import MlvcError, StageFailedError, SystemFailureError, UsageError
from mlvc.manifest import FILE, Entry, build
from mlvc.pipeline import each, items
from mlvc.pipeline.each import Table
from mlvc.pipeline.executors.base import Ended, Job
from mlvc.pipeline.items import Around, ItemRun
from mlvc.pipeline.slots import Slots
from mlvc.pipeline.spec import Out, Stage
from mlvc.pointer import Content
from tests.helpers.pipeline import HASHING, Notes

STAGE = Stage("up", "mlvc.yaml", 2, ("up ${item.name} ${out}",), each="raw/*", outs=(Out("made"),))


def key(name: str) -> bytes:
    return HASHING.of(name.encode())


def named(table: Table) -> str:
    """The items of a table, which have one letter each."""
    return "".join(name for name in "abcdefgh" if key(name) in table)


class Tree:
    """The directories of items are real, what is stored is not."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.log: list[str] = []
        self.stale: set[str] = set()
        self.refused = ""
        self.directories: dict[Content, Sequence[Entry]] = {}

    def items(self, pattern: str) -> list[Entry]:
        """Not asked here."""
        raise AssertionError(pattern)

    def changed(self, items: Sequence[Entry]) -> set[str]:
        return {item.path for item in items} & self.stale

    def room(self, out: str) -> str:
        assert out == "made"
        return str(self.place / "room")

    def aside(self) -> str:
        return str(self.place / "aside")

    def differing(self, first: str, second: str, out: str) -> list[str]:
        """Not asked here."""
        raise AssertionError(first, second, out)

    def take(self, places: Sequence[str], out: str, spare: str) -> list[tuple[Entry, ...]]:
        assert out == "made"
        assert os.path.isdir(spare)
        found = [{path.name: path.read_bytes() for path in Path(place).iterdir()} for place in places]
        if any(self.refused in names for names in found):
            raise UsageError("it cannot be taken")
        self.log.append(f"take {len(places)}")
        return [
            tuple(Entry(name, FILE, len(data), HASHING.of(data)) for name, data in names.items()) for names in found
        ]

    def table(self, content: Content, out: str) -> Table:
        return each.unpack(self.directories[content], HASHING.size)

    def stored(self, entries: Sequence[Entry]) -> Content:
        content, _ = build(entries, HASHING)
        self.directories[content] = entries
        self.log.append("store")
        return content


class Apart:
    """Directories that are empty, of which it is told what became of them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.log: list[str] = []
        self.written = ""

    def make_shared(self, stage: Stage) -> str:
        assert stage.each
        found = self.place / f"slot{len(self.log)}"
        self.log.append(f"make {found.name}")
        found.mkdir()
        return str(found)

    def lend(self, place: str, items: Sequence[Entry]) -> None:
        self.log.append(f"lend {Path(place).name} {' '.join(item.path for item in items)}")

    def tidy(self, place: str) -> str:
        self.log.append(f"tidy {Path(place).name}")
        return self.written

    def remove(self, place: str) -> None:
        self.log.append(f"remove {Path(place).name}")

    def exists(self, path: str) -> bool:
        return path == "other"


class Scene:
    """An ItemRun, and what happens around it."""

    def __init__(
        self,
        place: Path,
        names: str,
        stage: Stage = STAGE,
        known: Mapping[str, str] | None = None,
        apart: Apart | None = None,
    ) -> None:
        self.tree = Tree(place)
        self.notes = Notes()
        self.records: list[Content] = []
        self.changed = ""
        items = {key(name): Entry(f"raw/{name}", FILE, 1, HASHING.of(name.encode())) for name in names}
        rows = {key(name): (Entry(text, FILE, 1, HASHING.of(b"1")),) for name, text in (known or {}).items()}
        slots = Slots(apart, stage, lambda root: Job("up", stage.cmd, root, root=root)) if apart else None  # type: ignore[arg-type]
        around = Around(self.tree, HASHING, self.notes, self._record, lambda: self.changed, slots)
        work = each.plan(items, [rows])
        self.run = ItemRun(stage, work, Job("up", stage.cmd, str(place)), around)

    def _record(self, content: Content) -> None:
        self.tree.log.append("record")
        self.records.append(content)

    def jobs(self) -> Iterator[Job]:
        while job := self.run.next():
            yield job

    def end(self, job: Job, code: int = 0, printed: str = "", **files: str) -> None:
        """A job ended that wrote these files."""
        os.write(job.output, printed.encode())
        for name, text in files.items():
            Path(out_of(job), name).write_text(text)
        self.run.ended(Ended(job, code, job.commands[0]))

    def known(self) -> str:
        """The items that the last record knows."""
        return named(self.tree.table(self.records[-1], "made"))


def out_of(job: Job) -> str:
    return job.env.get("MLVC_OUT") or job.env["MLVC_ITEMS"]


def test_each_item_gets_a_directory_of_its_own(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "abc")
    jobs = list(scene.jobs())
    assert [job.env["MLVC_ITEM_NAME"] for job in jobs] == ["a", "b", "c"]
    assert {job.commands for job in jobs} == {('up "${MLVC_ITEM_NAME}" "${MLVC_OUT}"',)}
    assert len({out_of(job) for job in jobs}) == 3
    for name, job in zip("cab", [jobs[2], jobs[0], jobs[1]], strict=True):
        scene.end(job, **{name: name})
    assert scene.run.is_over
    output, table = scene.run.finish()
    assert sorted(entry.path for entry in scene.tree.directories[output]) == ["a", "b", "c"]
    assert named(scene.tree.table(table, "made")) == "abc"
    scene.run.close()
    assert not (tmp_path / "room").exists()


def test_the_table_is_recorded_after_what_it_names(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "ab")
    first, second = scene.jobs()
    scene.end(first, a="1")
    scene.run.save()
    assert scene.known() == "a"
    scene.end(second, b="2")
    scene.run.finish()
    assert scene.tree.log == ["take 1", "store", "record", "take 1", "store", "record", "store", "store"]
    assert scene.known() == "ab"


def test_what_is_known_is_not_run_and_counts(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "abc", known={"a": "old", "gone": "x"})
    jobs = list(scene.jobs())
    assert len(jobs) == 2
    scene.end(jobs[0], b="1")
    scene.run.save()
    assert scene.known() == "ab"
    scene.end(jobs[1], c="1")
    output, _ = scene.run.finish()
    assert sorted(entry.path for entry in scene.tree.directories[output]) == ["b", "c", "old"]


def test_nothing_to_run(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "a", known={"a": "old", "gone": "x"})
    assert list(scene.jobs()) == []
    assert scene.run.is_over
    output, table = scene.run.finish()
    assert [entry.path for entry in scene.tree.directories[output]] == ["old"]
    assert scene.records == [table], "the row of the item that is gone is forgotten"


def test_it_is_due_a_moment_after_something_ended(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "ab")
    first, _ = scene.jobs()
    assert scene.run.due() is None
    scene.end(first, a="1")
    due = scene.run.due()
    assert due is not None
    assert 0 < due <= 1
    scene.run.save()
    assert scene.run.due() is None


def test_a_failure_is_told_and_loses_nothing_else(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "ab")
    first, second = scene.jobs()
    scene.end(first, 3, "one\ntwo\n\n", a="half")
    scene.end(second, b="1")
    with pytest.raises(StageFailedError) as caught:
        scene.run.finish()
    assert caught.value.message == (
        "mlvc.yaml, line 2: 1 of 2 items of stage 'up' failed: raw/a with exit code 3 (two); "
        f"what they left is kept in {tmp_path}/aside"
    )
    assert (tmp_path / "aside/raw/a/a").read_text() == "half"
    assert scene.notes.notes == ["Stage 'up': raw/a failed with exit code 3\n    one\n    two"]
    assert scene.known() == "b"


def test_of_many_failures_a_few_are_told(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "abcdefgh")
    for job in scene.jobs():
        scene.end(job, 1)
    with pytest.raises(
        StageFailedError, match=r"8 of 8 items of stage 'up' failed: raw/a .*; raw/b .*; raw/c .*; and 5 more"
    ):
        scene.run.finish()
    assert len(scene.notes.notes) == 3


def test_of_very_many_that_failed_not_all_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "_KEPT", 2)
    scene = Scene(tmp_path, "abcd")
    for number, job in enumerate(scene.jobs()):
        scene.end(job, 1, **({"x": "half"} if number else {}))
    with pytest.raises(StageFailedError, match=r"; what the first 2 left is kept in .*/aside$"):
        scene.run.finish()
    assert sorted(path.name for path in (tmp_path / "aside/raw").iterdir()) == ["b", "c"]


def test_it_is_tried_again_in_a_new_directory(tmp_path: Path) -> None:
    stage = Stage("up", "mlvc.yaml", 2, STAGE.cmd, each="raw/*", outs=STAGE.outs, retries=1)
    scene = Scene(tmp_path, "a", stage)
    job = scene.run.next()
    assert job is not None
    scene.end(job, 1, half="1")
    again = scene.run.next()
    assert again is not None
    assert os.listdir(out_of(again)) == []
    scene.end(again, 1)
    assert scene.run.next() is None
    with pytest.raises(StageFailedError, match="raw/a with exit code 1"):
        scene.run.finish()


def test_what_cannot_be_taken_fails_alone(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "ab")
    first, second = scene.jobs()
    scene.tree.refused = "fifo"
    scene.end(first, fifo="")
    scene.end(second, b="1")
    with pytest.raises(StageFailedError, match=r"1 of 2 items .* raw/a: it cannot be taken"):
        scene.run.finish()
    assert scene.known() == "b"


def test_an_item_that_is_not_what_it_was(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "ab")
    for name, job in zip("ab", scene.jobs(), strict=True):
        scene.end(job, **{name: "1"})
    scene.tree.stale = {"raw/a"}
    with pytest.raises(StageFailedError, match="raw/a: it changed while it was read"):
        scene.run.finish()
    assert scene.known() == "b"


def test_what_all_items_have_is_not_what_it_was(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "abc")
    job = scene.run.next()
    assert job is not None
    scene.end(job, a="1")
    scene.changed = "tool.py"
    scene.run.save()
    assert scene.run.next() is None, "no more of them begins"
    with pytest.raises(StageFailedError, match=r"'tool.py' changed while stage 'up' ran"):
        scene.run.finish()
    assert scene.records == []
    assert (tmp_path / "aside/raw/a/a").read_text() == "1"


def test_two_that_make_the_same(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "ab")
    for job in scene.jobs():
        scene.end(job, same="1")
    with pytest.raises(StageFailedError, match="line 2: stage 'up': the items 'raw/a' and 'raw/b' both make 'same'"):
        scene.run.finish()
    assert scene.known() == "ab"


def test_one_that_could_not_be_started(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "a")
    (job,) = scene.jobs()
    scene.run.give_up(job, SystemFailureError("no shell"))
    assert scene.run.is_over
    with pytest.raises(StageFailedError, match="raw/a: no shell"):
        scene.run.finish()


def test_a_directory_is_made_for_each_command_that_runs_at_a_time(tmp_path: Path) -> None:
    apart = Apart(tmp_path)
    scene = Scene(tmp_path, "abcd", apart=apart)
    first, second = scene.run.next(), scene.run.next()
    assert first is not None
    assert second is not None
    assert first.root != second.root
    scene.end(first, a="1")
    third = scene.run.next()
    assert third is not None
    assert third.root == first.root
    apart.written = "tool"
    scene.end(third, c="1")
    apart.written = ""
    fourth = scene.run.next()
    assert fourth is not None
    assert fourth.root not in (first.root, second.root), "one that was written to is of no use"
    scene.run.give_up(fourth, SystemFailureError("no shell"))
    scene.end(second, 1, "no such file: other\n")
    with pytest.raises(
        StageFailedError, match="raw/c: 'tool' changed while it ran; raw/d: no shell; raw/b with"
    ) as caught:
        scene.run.finish()
    assert caught.value.hint.startswith("their output names other, which these items do not depend on")
    scene.run.close()
    made = [line.split()[1] for line in apart.log if line.startswith("make")]
    gone = [line.split()[1] for line in apart.log if line.startswith("remove")]
    assert sorted(made) == sorted(gone)
    assert apart.log.count(f"tidy {made[-1]}") == 1, "also where nothing could be started"


def test_what_a_try_before_the_last_lacked_is_not_told(tmp_path: Path) -> None:
    stage = Stage("up", "mlvc.yaml", 2, STAGE.cmd, each="raw/*", outs=STAGE.outs, retries=1)
    scene = Scene(tmp_path, "a", stage, apart=Apart(tmp_path))
    for text in ("other", "nothing"):
        job = scene.run.next()
        assert job is not None
        scene.end(job, 1, text)
    with pytest.raises(StageFailedError) as caught:
        scene.run.finish()
    assert caught.value.hint.startswith("with --isolated a command finds only its items")


def test_what_was_stopped_has_not_failed(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "abc")
    first, second, _ = scene.jobs()
    Path(out_of(first), "a").write_text("1")
    scene.run.stopped(Ended(first))
    scene.run.stopped(Ended(second, -2))
    scene.run.save()
    scene.run.close()
    assert (scene.known(), scene.notes.notes, scene.run.failed) == ("a", [], [])
    assert not (tmp_path / "room").exists()


def test_how_far_it_is(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "abc", known={"c": "c"})
    first, second = scene.jobs()
    scene.end(first, a="1")
    scene.end(second, 1)
    told = scene.run.advanced()
    assert (told.done, told.total, told.failed) == (1, 2, 1)


def test_a_batch_is_one_job_with_a_list(tmp_path: Path) -> None:
    stage = Stage("up", "mlvc.yaml", 2, ("up ${items}",), wdir="raw", each="raw/*", batch=2, outs=STAGE.outs)
    scene = Scene(tmp_path, "abc", stage)
    one, two = scene.jobs()
    rows = [line.split("\t") for job in (one, two) for line in Path(out_of(job)).read_text().splitlines()]
    assert [path for path, _ in rows] == ["a", "b", "c"]
    for path, out in rows:
        Path(out, path).write_text("1")
    scene.run.ended(Ended(one))
    scene.run.ended(Ended(two, 1))
    with pytest.raises(MlvcError, match=r"2 of 3 items .*: raw/b and 1 more of its batch with exit code 1"):
        scene.run.finish()
    assert scene.known() == "a"
