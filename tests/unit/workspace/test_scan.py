"""What is in the working tree: every change is seen, what cannot be kept is refused, nothing is read twice."""

from __future__ import annotations

import os
import socket
import time

import pytest

from mlvc.errors import MlvcError, SystemFailureError, UsageError
from mlvc.manifest import EXECUTABLE, SYMLINK
from mlvc.store.base import LARGE
from mlvc.workspace import scan, tree
from mlvc.workspace.index import NEVER, Index, Record
from tests.helpers.stores import noise, snapshot
from tests.helpers.trees import Place, make


@pytest.fixture
def place(tmp_path, algorithm):
    with Place(tmp_path, algorithm) as opened:
        yield opened


@pytest.fixture
def data(place):
    return place.root / "data"


def tick(place):
    """Wait until the file system's clock has moved on."""
    before = place.tree.clock()
    while place.tree.clock() == before:
        time.sleep(0.001)


def kinds(look):
    return {entry.path: entry.kind for entry in look.entries()}


def reads(monkeypatch):
    """The files that are read from now on."""
    found = []
    opened = os.open

    def watch(path, flags, *args, **kwargs):
        if not flags & (os.O_WRONLY | os.O_RDWR) and "/data/" in os.fsdecode(path) and os.path.isfile(path):
            found.append(os.path.basename(os.fsdecode(path)))
        return opened(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", watch)
    return found


def test_what_is_unchanged_is_not_read_again(place, data, monkeypatch):
    make(data, {"a": b"1", "b/c": b"2", "large": noise(LARGE)})
    tick(place)
    content = place.add()
    read = reads(monkeypatch)
    look = place.look()
    assert look.content == content
    assert look.scan.clean
    assert place.add() == content
    assert read == []
    (data / "b/c").write_bytes(b"3")
    assert place.look().content != content
    assert read == ["c"]


@pytest.mark.parametrize("path", ["data", "data/file"])
def test_a_same_size_edit_right_after_recording_with_its_time_restored(place, data, path):
    make(data, {"file": b"before"})
    for turn in range(30):
        content = place.add(path)
        info = (data / "file").stat()
        (data / "file").write_bytes(b"edit%02d" % turn)
        os.utime(data / "file", ns=(info.st_atime_ns, info.st_mtime_ns))
        assert place.look(path).content != content


def test_an_edit_between_two_looks_within_a_tick(place, data):
    make(data, {"file": b"000000"})
    seen = {place.look().content}
    for turn in range(1, 30):
        (data / "file").write_bytes(b"%06d" % turn)
        seen.add(place.look().content)
    assert len(seen) == 30


def test_a_young_record_is_never_believed_and_becomes_old(place, data, monkeypatch):
    make(data, {"file": b"x"})
    with monkeypatch.context() as patch:
        # The clock as it was when the file was made, however long the machine took since.
        patch.setattr(place.tree, "clock", lambda: (data / "file").stat().st_ctime_ns)
        place.add()
    assert place.tree.index.of_dir("data")["file"].mtime == NEVER
    tick(place)
    place.look()
    assert place.tree.index.of_dir("data")["file"].mtime != NEVER
    read = reads(monkeypatch)
    place.look()
    assert read == []


def test_the_executable_bit_is_seen(place, data):
    make(data, {"run": b"#!/bin/sh\n"})
    tick(place)
    plain = place.add()
    assert kinds(place.look()) == {"run": "f"}
    (data / "run").chmod(0o755)
    assert place.look().content != plain
    assert kinds(place.look()) == {"run": "x"}
    (data / "run").chmod(0o644)
    assert place.look().content == plain
    file = place.add("data/run")
    (data / "run").chmod(0o755)
    assert (file.kind, place.add("data/run").kind) == ("file", "executable")


def test_empty_directories_come_and_go(place, data):
    make(data, {"a": b"1", "empty": None, "deep/er": None})
    tick(place)
    both = place.add()
    assert kinds(place.look()) == {"a": "f", "empty": "d", "deep/er": "d"}
    for _ in range(2):
        (data / "empty/file").write_bytes(b"2")
        assert kinds(place.look()) == {"a": "f", "empty/file": "f", "deep/er": "d"}
        (data / "empty/file").unlink()
        assert place.look().content == both
        (data / "empty").rmdir()
        assert kinds(place.look()) == {"a": "f", "deep/er": "d"}
        (data / "empty").mkdir()
        assert place.look().content == both
    (data / "deep/er").rmdir()
    assert kinds(place.look()) == {"a": "f", "empty": "d", "deep": "d"}
    (data / "empty").rmdir()
    (data / "empty").write_bytes(b"")
    assert kinds(place.look())["empty"] == "f"


def test_an_empty_directory_by_itself_and_nothing_at_all(place, data):
    assert place.look().content is None
    data.mkdir()
    empty = place.add()
    assert (empty.kind, empty.files, empty.size) == ("dir", 0, 0)
    assert place.look().content == empty
    make(data, {"x": b"1"})
    assert place.look().content.files == 1
    (data / "x").unlink()
    assert place.look().content == empty
    data.rmdir()
    assert place.look().content is None


def test_links_inside_are_kept_as_links(place, data):
    make(data, {"a": b"1", "link": "a", "up": "../data/a", "dangling": "nothing"})
    content = place.add()
    assert kinds(place.look()) == {"a": "f", "link": "l", "up": "l", "dangling": "l"}
    oids = {entry.path: entry.oid for entry in place.look().entries()}
    assert oids["link"] == place.store.hashing.of(b"a")
    assert place.store.missing(oids.values()) == set()
    (data / "link").unlink()
    os.symlink("b", data / "link")
    assert place.look().content != content


def everything(root):
    return {path: state for path, state in snapshot(root).items() if "sqlite" not in path and path != "clock"}


REFUSED = {
    "fifo": (os.mkfifo, "is a FIFO"),
    "socket": (lambda path: socket.socket(socket.AF_UNIX).bind(os.fspath(path)), "is a socket"),
    "absolute link": (lambda path: os.symlink("/etc/passwd", path), "leaves the repository: /etc/passwd"),
    "link up": (lambda path: os.symlink("../../../x", path), "leaves the repository"),
    "name": (lambda path: open(os.fsencode(path) + b"\xff", "w").close(), "is not UTF-8"),
    "name of a directory": (lambda path: os.makedirs(os.fsencode(path) + b"\xff/sub"), "is not UTF-8"),
    "name of a link": (lambda path: os.symlink("a", os.fsencode(path) + b"\xff"), "is not UTF-8"),
    "target": (lambda path: os.symlink(b"\xff", os.fsencode(path)), "which is not UTF-8"),
}


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("deep", ["data", "data/sub"])
@pytest.mark.parametrize(("harm", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_is_written(place, data, monkeypatch, *, harm, message, deep):
    make(data, {"a": b"1", "sub/b": b"2"})
    monkeypatch.chdir(place.root / deep)
    harm("odd")
    before = everything(place.private)
    for step in (place.add, place.look):
        with pytest.raises(UsageError, match=message) as caught:
            step()
        assert "odd" in caught.value.message
        assert caught.value.hint
    assert everything(place.private) == before


def test_a_link_or_a_fifo_by_itself_is_refused(place):
    os.symlink("a", place.root / "link")
    os.mkfifo(place.root / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(UsageError):
            place.add(name)


ODD = [
    "with space",
    " leading",
    "-dash",
    "new\nline",
    "tab\t",
    "quote'\"",
    "back\\slash",
    "caf\u00e9",
    "cafe\u0301",
    "x" * 255,
    "\u00fc" * 127,
    "$(x)",
    "*",
    "#",
    "...",
    "\x01\x7f",
    "\U0001f600",
]


def test_odd_names_are_kept_apart_and_come_back(place, data, tmp_path):
    make(data, {f"{name}{end}": name.encode() for name in ODD for end in ("", "/x" if len(name) < 200 else "")[:1]})
    make(data, {f"folder/{name}/{name}": b"deep" for name in ODD})
    make(data, {f"empty/{name}": None for name in ODD})
    tick(place)
    content = place.add()
    assert content.files == 3 * len(ODD)
    before = snapshot(data)
    assert place.look().scan.clean
    os.rename(data, tmp_path / "aside")
    assert place.checkout(content).lost == {}
    assert snapshot(data) == before
    assert place.look().content == content


@pytest.mark.parametrize("size", [100, 3 * LARGE])
@pytest.mark.parametrize("growth", [b"changed", b""])
def test_a_file_that_changes_while_it_is_read(place, data, monkeypatch, size, growth):
    make(data, {"a": noise(50), "file": noise(size)})
    tick(place)
    target = data / "file"

    def edit():
        tick(place)
        info = target.stat()
        with target.open("r+b") as file:
            file.write(b"!!")
            file.seek(0, os.SEEK_END)
            file.write(growth)
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))

    done = edited_at_each_look(monkeypatch, target, edit)
    with pytest.raises(SystemFailureError, match="data/file changed while it was read"):
        place.add()
    assert done
    monkeypatch.undo()
    place.add()
    assert place.store.missing([place.store.hashing.of(target.read_bytes())]) == set()


def edited_at_each_look(monkeypatch, target, edit):
    """Before the system is asked for the stamps of a file, ``edit`` changes it. The list returned tells of it."""
    done = []
    fstat, lstat = os.fstat, os.lstat

    def edits_first(fd):
        if os.readlink(f"/proc/self/fd/{fd}") == str(target):
            done.append(1)
            edit()
        return fstat(fd)

    def edits_too(path, **kwargs):
        if os.fspath(path) == str(target):
            done.append(1)
            edit()
        return lstat(path, **kwargs)

    monkeypatch.setattr(os, "fstat", edits_first)
    monkeypatch.setattr(os, "lstat", edits_too)
    return done


def test_a_file_that_changed_just_before_it_is_read_is_stored_as_it_is(place, data, monkeypatch):
    make(data, {"file": noise(100)})
    tick(place)
    edits = iter([b"once"])

    def edit():
        for content in edits:
            tick(place)
            (data / "file").write_bytes(content)

    monkeypatch.setattr(scan, "_MANY", 0)
    edited_at_each_look(monkeypatch, data / "file", edit)
    content = place.add()
    monkeypatch.undo()
    assert (data / "file").read_bytes() == b"once"
    assert place.look().content == content
    assert place.store.missing([place.store.hashing.of(b"once")]) == set()


def test_files_of_every_size_and_kind_in_a_directory_of_many(place, data):
    """They are not looked at before they are read: what is then found out is the same as in a small directory."""
    sizes = [0, 1, 65_535, 65_536, 65_537, 70_000, 131_073, 600_000, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE]
    contents = {f"f{size}": noise(size, 7) for size in sizes}
    make(
        data,
        {**contents, **{f"small{n}": b"%d" % n for n in range(40)}, "grün": b"1", "link": "f1", ".mlvcignore": b""},
    )
    (data / "f70000").chmod(0o755)
    tick(place)
    content = place.add()
    assert kinds(place.look())["f70000"] == EXECUTABLE
    assert kinds(place.look())["link"] == SYMLINK
    assert {entry.path: entry.size for entry in place.look().entries() if entry.path in contents} == {
        name: len(value) for name, value in contents.items()
    }
    assert all(place.store.missing([place.store.hashing.of(value)]) == set() for value in contents.values())
    assert place.look().scan.clean
    assert content == place.look().content


def test_a_file_from_the_future_is_never_believed(place, data):
    make(data, {"file": b"1"})
    ahead = time.time() + 1000
    os.utime(data / "file", (ahead, ahead))
    tick(place)
    place.add()
    assert not place.look().scan.clean


def test_temporary_and_ignored_names_are_not_tracked(place, data):
    make(data, {"a": b"1", ".mlvc-tmp-1-2/x": b"2", ".git/x": b"3", "sub/__pycache__/c": b"4", "sub/b": b"5"})
    assert set(kinds(place.look())) == {"a", "sub/b"}


def test_an_object_that_is_gone_from_the_store_is_stored_again(place, data):
    make(data, {"a": b"1", "b": b"2"})
    tick(place)
    content = place.add()
    for path in (place.private / "packs").iterdir():
        path.unlink()
    place.store.refresh()
    oid = place.store.hashing.of(b"1")
    assert place.store.missing([oid, content.oid]) == {oid, content.oid}
    assert place.add() == content
    assert place.store.missing([oid, content.oid]) == set()


# -- the Index ---------------------------------------------------------------------------------

RECORDS = {
    "a": Record(5, -7, 2**62, 2**64 - 1, "f", b"x" * 16),
    "new\nline": Record(0, NEVER, 1, 2, "x", b"y" * 16),
    "caf\u00e9": Record(2**40, 3, 4, 5, "l", b"z" * 16),
}


def test_the_index_keeps_what_it_was_told(tmp_path):
    path = str(tmp_path / "index.sqlite")
    index = Index(path, 16)
    index.update({"d": RECORDS, "d/e": {"f": RECORDS["a"]}, "d0": RECORDS, "d-": RECORDS})
    index.close()
    index = Index(path, 16)
    assert index.of_dir("d") == RECORDS
    assert index.below("d").keys() == {"d", "d/e"}
    assert index.below("").keys() == {"d", "d/e", "d0", "d-"}
    index.update({}, gone=["d/e"])
    assert index.below("d") == {"d": RECORDS}
    index.close()


def test_what_another_process_records_meanwhile_is_not_covered_up(tmp_path, place, data, monkeypatch, algorithm):
    """One process looks at a directory while another one changes and records a part of it."""
    make(data, {"x/f": b"1", "y/f": b"1"})
    tick(place)
    first = place.add()
    (data / "y/f").write_bytes(b"1")  # something to read
    tick(place)
    digest = tree.digest

    def meanwhile(*args, **kwargs):
        monkeypatch.setattr(tree, "digest", digest)
        (data / "x/f").write_bytes(b"2")
        tick(place)
        with Place(tmp_path, algorithm) as other:
            other.add()
        digest(*args, **kwargs)

    monkeypatch.setattr(tree, "digest", meanwhile)
    assert place.look().content == first
    for _ in range(2):
        look = place.look()
        assert look.content != first
        assert {entry.path: entry.oid for entry in look.entries()}["x/f"] == place.store.hashing.of(b"2")
    place.forget()
    with Place(tmp_path, algorithm) as other:
        assert other.look().content == look.content


@pytest.mark.parametrize(("name", "call"), [("a", "open"), ("large", "lstat")])
def test_a_file_that_vanishes_is_named_or_not_there(place, data, monkeypatch, name, call):
    make(data, {"a": b"1", "b": b"2", "large": noise(2 * LARGE)})
    tick(place)
    done = []
    real = getattr(os, call)

    def vanishes(path, *args, **kwargs):
        if not done and os.path.basename(os.fsdecode(path)) == name:
            done.append(1)
            os.unlink(data / name)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, call, vanishes)
    with pytest.raises(SystemFailureError, match=f"data/{name} changed while it was read"):
        place.add()
    monkeypatch.undo()
    place.add()
    assert name not in kinds(place.look())


@pytest.mark.parametrize("harm", ["delete", "garbage", "holes", "cut", "empty", "other"])
def test_the_index_can_be_lost_at_any_time(place, data, tmp_path, harm, algorithm):
    make(data, {f"sub{n % 5}/file{n}": b"%d" % n for n in range(300)})
    make(data, {"large": noise(LARGE), "link": "large", "empty": None})
    tick(place)
    content = place.add()
    expected = sorted(place.look().entries())
    place.close()
    path = place.private / "index.sqlite"
    if harm == "delete":
        path.unlink()
    elif harm == "other":
        path.unlink()
        Index(str(path), 48 - len(content.oid)).close()
    else:
        old = path.read_bytes()
        new = {"garbage": noise(9000), "holes": old[:4096] + noise(len(old) - 4096), "cut": old[:-1000], "empty": b""}
        path.write_bytes(new[harm])
    with Place(tmp_path, algorithm) as again:
        look = again.look()
        assert (look.content, sorted(look.entries())) == (content, expected)
        (data / "sub1/file1").write_bytes(b"new")
        assert again.look().content != content
        assert again.checkout(content, force=True).lost == {}
        assert again.look().content == content


def test_harm_to_the_index_while_it_is_open(place, data):
    make(data, {f"sub{n % 5}/file{n}": b"%d" % n for n in range(300)})
    content = place.add()
    db = place.tree.index._db
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("PRAGMA cache_size=0")
    path = place.private / "index.sqlite"
    path.write_bytes(path.read_bytes()[:4096] + noise(path.stat().st_size - 4096))
    assert place.look().content == content


def test_a_damaged_row_is_as_good_as_none(place, data):
    make(data, {"a": b"1"})
    content = place.add()
    for blob in (b"", b"\x07\0\0\0abc", noise(100)):
        with place.tree.index._db as db:
            db.execute("UPDATE dirs SET entries = ?", (blob,))
        assert place.look().content == content


def test_errors_are_those_of_mlvc():
    assert issubclass(SystemFailureError, MlvcError)


def test_the_row_of_a_directory_is_taken_apart_once_for_all_files_in_it(place, monkeypatch):
    names = [f"d/{n}" for n in range(20)]
    make(place.root, {name: name.encode() for name in names})
    looks = place.tree.look(names)
    decoded = []
    decode = Index._decode
    monkeypatch.setattr(Index, "_decode", lambda self, blob: decoded.append(blob) or decode(self, blob))
    again = place.tree.look(names)
    assert {name: look.content for name, look in again.items()} == {name: look.content for name, look in looks.items()}
    assert len(decoded) == 1
