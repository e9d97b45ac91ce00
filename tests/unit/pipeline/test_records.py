from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlvc
from mlvc import codec, snapshot
from mlvc.errors import FormatError
from mlvc.hashing import Hashing
from mlvc.oid import Oid
from mlvc.pipeline import lockfile, run
from mlvc.pipeline.lockfile import Entry, Lockfile, LockfileStore
from mlvc.pipeline.run import Inputs, Run, RunCache, key_of
from mlvc.pointer import Content

FORMATS = Path(mlvc.__file__).parents[1] / "docs" / "formats"
HASHING = Hashing("xxh128")


def example(page, marker):
    text = (FORMATS / page).read_text(encoding="utf-8")
    return text.split(f"<!-- example: {marker} -->\n```\n", 1)[1].split("```\n", 1)[0].encode()


LOCK = example("lockfile.md", "lockfile")
RUN = example("run.md", "run")


def content(data, kind="file"):
    return Content(kind, Oid(HASHING.of(data)), len(data))


paths = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
contents = st.builds(content, st.binary(max_size=4), st.sampled_from(["file", "executable", "dir"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | paths,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(paths, inner, max_size=3),
    max_leaves=4,
)
params = st.dictionaries(paths, st.dictionaries(st.text(max_size=3), values, max_size=2), max_size=2)
maps = st.dictionaries(paths, contents, max_size=3)
entries = st.builds(
    Entry,
    key=st.binary(min_size=16, max_size=16).map(Oid),
    cmd=st.lists(paths, min_size=1, max_size=2).map(tuple),
    deps=maps,
    params=params,
    outs=maps,
)
lockfiles = st.builds(Lockfile, st.dictionaries(paths, entries, max_size=3))


def test_the_lockfile_of_the_format_page():
    found = lockfile.decode(LOCK)
    assert lockfile.encode(found) == LOCK
    entry = found.stages["train"]
    assert entry.cmd == ("python train.py",)
    assert entry.deps["data/images"].files == 2
    assert entry.params == {"params.yaml": {"train.lr": 0.1}}
    assert entry.uncached == {"metrics.json"}
    fresh = Entry(entry.key, entry.cmd, entry.deps, entry.params, entry.outs, entry.uncached)
    assert lockfile.encode(Lockfile({"train": fresh})) == LOCK


@given(lockfiles)
def test_a_lockfile_comes_back_and_has_one_encoding(value):
    data = lockfile.encode(value)
    assert lockfile.decode(data) == value
    assert lockfile.encode(lockfile.decode(data)) == data
    assert codec.dump_json(json.loads(data)).encode() == data


def test_an_empty_lockfile():
    assert lockfile.encode(Lockfile()) == b'{\n  "mlvc_lock": 1,\n  "stages": {}\n}\n'


def test_unknown_keys_are_kept_everywhere_and_by_the_next_run():
    value = json.loads(LOCK)
    value["new"] = {"a": [1]}
    value["stages"]["train"]["newer"] = 1
    value["stages"]["train"]["outs"]["model.bin"]["newest"] = 2
    data = codec.dump_json(value).encode()
    found = lockfile.decode(data)
    assert lockfile.encode(found) == data
    assert found.stages["train"].extra == {"newer": 1}
    assert found.extra == {"new": {"a": [1]}}


def test_dos_lines_are_read():
    assert lockfile.decode(LOCK.replace(b"\n", b"\r\n")) == lockfile.decode(LOCK)


def change(path, new):
    value = json.loads(LOCK)
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    if new is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (LOCK.replace(b'  "stages"', b'<<<<<<< HEAD\n  "stages"'), "conflict markers"),
        (LOCK.replace(b'  "stages"', b'>>>>>>> other\n  "stages"'), "conflict markers"),
        (LOCK[:-40], "mlvc.lock, line"),
        (b"", "mlvc.lock, line 1"),
        (b"\xff", "not UTF-8"),
        (b"[]", "no 'mlvc_lock'"),
        (b"{}", "no 'mlvc_lock'"),
        (change(["mlvc_lock"], 2), "Lockfile format 2, this mlvc reads format 1"),
        (change(["mlvc_lock"], True), "Lockfile format True"),
        (change(["stages"], None), "no 'stages'"),
        (change(["stages", "train"], []), "stage 'train': not an entry"),
        *((change(["stages", "train", key], None), f"'{key}' is missing") for key in lockfile._KNOWN),
        (change(["stages", "train", "cmd"], [1]), "'cmd' is not a list of text"),
        (change(["stages", "train", "params"], {"f": 1}), "'params' does not map"),
        (change(["stages", "train", "key"], "md5:00"), "stage 'train': unknown hash algorithm"),
        (change(["stages", "train", "outs", "model.bin", "oid"], "xxh128:00"), "is not an object name"),
        (change(["stages", "train", "outs", "model.bin", "size"], -1), "not a description of content"),
        (change(["stages", "train", "outs", "model.bin", "size"], True), "not a description of content"),
        (change(["stages", "train", "outs", "model.bin", "files"], 1), "not a description of content"),
        (change(["stages", "train", "outs", "model.bin", "kind"], "fifo"), "not a description of content"),
        (LOCK.replace(b'"kind": "file"', b'"kind": "file", "kind": "dir"', 1), "the key 'kind' is there twice"),
    ],
)
def test_what_a_reader_of_the_lockfile_refuses(data, words):
    with pytest.raises(FormatError) as caught:
        lockfile.decode(data)
    assert words in caught.value.message
    assert "mlvc.lock" in caught.value.message
    assert caught.value.hint


NOT_CONTENT = [{"size": "q"}, {"size": None}, {"size": -1}, {"size": 10**19}, {"size": 1.5}, {"size": True}]
NOT_CONTENT += [{"kind": "fifo"}, {"kind": ["file"]}, {"kind": "dir"}, {"files": 2}]
NOT_CONTENT += [{"kind": "dir", "files": "2"}, {"oid": 1}, {"oid": "xxh128:00"}, {"oid": "md5:00"}]


@pytest.mark.parametrize("fields", NOT_CONTENT, ids=str)
@pytest.mark.parametrize("read", [lockfile.decode, snapshot._locked])
def test_content_in_the_lockfile_that_is_none(read, fields):
    value = json.loads(LOCK)
    value["stages"]["train"]["outs"]["model.bin"] |= fields
    with pytest.raises(FormatError, match=r"mlvc\.lock, stage 'train': ") as caught:
        read(json.dumps(value).encode(), "mlvc.lock")
    assert caught.value.hint


@pytest.mark.parametrize("read", [lockfile.decode, snapshot._locked])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not JSON",
        b"\xff",
        b"[]",
        b"{}",
        b'{"mlvc_lock": 2, "stages": {}}',
        b'{"mlvc_lock": true, "stages": {}}',
        b'{"mlvc_lock": 1}',
        b'{"mlvc_lock": 1, "stages": []}',
        b'{"mlvc_lock": 1, "stages": {"a": 1}}',
        b'{"mlvc_lock": 1, "stages": {"a": {"outs": []}}}',
        b'{"mlvc_lock": 1, "stages": {"a": {"outs": {"x": 1}}}}',
        b'{"mlvc_lock": 1, "stages": {"\\ud800": {}}}',
        b'{"mlvc_lock": 1, "stages": NaN}',
        b'{"mlvc_lock": 1' + b"0" * 5000 + b"}",
        b'{"mlvc_lock": ' + b"[" * 100_000,
        b"<<<<<<< HEAD\n",
    ],
    ids=lambda data: str(data[:40]),
)
def test_what_is_no_lockfile(read, data):
    with pytest.raises(FormatError, match=r"mlvc\.lock") as caught:
        read(data, "mlvc.lock")
    assert caught.value.hint


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN"])
@pytest.mark.parametrize("old", ['"train.lr": 0.1', '"mlvc_lock": 1'])
def test_a_number_that_cannot_be_written_again(old, number):
    text = LOCK.decode().replace(old, f'{old}, "more": {number}')
    with pytest.raises(FormatError, match="number"):
        lockfile.decode(text.encode())


def test_two_sides_that_ran_different_stages_touch_different_lines():
    entry = lockfile.decode(LOCK).stages["train"]
    base = Lockfile(dict.fromkeys("abc", entry))
    other = Entry(entry.key, ("other",), entry.deps, entry.params, entry.outs)
    lines = [lockfile.encode(side).splitlines() for side in (base, base.having("a", other), base.having("c", other))]
    middle = next(number for number, line in enumerate(lines[0]) if line == b'    "b": {')
    end = next(number for number, line in enumerate(lines[0]) if line == b'    "c": {')
    assert lines[1][-(len(lines[0]) - middle) :] == lines[0][middle:]
    assert lines[2][:end] == lines[0][:end]


def test_the_lockfile_on_disk(tmp_path):
    store = LockfileStore(str(tmp_path / "mlvc.lock"))
    assert store.load() == Lockfile()
    store.save(lockfile.decode(LOCK))
    assert (tmp_path / "mlvc.lock").read_bytes() == LOCK
    entry = store.load().stages["train"]
    changed = Entry(entry.key, ("other",), entry.deps, entry.params, entry.outs)
    store.save(store.load().having("train", changed))
    assert store.load().stages["train"].cmd == ("other",)
    store.save(store.load().without(frozenset(["train"])), durable=False)
    assert store.load() == Lockfile()


def test_the_run_of_the_format_page_and_its_key():
    found = run.decode(RUN, "run")
    assert run.encode(found) == RUN
    line = example("run.md", "run key").removesuffix(b"\n")
    assert HASHING.of(line) == found.key == key_of(found.inputs, HASHING)


INPUTS = run.decode(RUN, "run").inputs


def other(**fields):
    named = {name: getattr(INPUTS, name) for name in Inputs.__slots__}
    return Inputs(**{**named, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"cmd": ("python train.py", "x")},
        {"cmd": ("python", "train.py")},
        {"wdir": "sub"},
        {"deps": {**INPUTS.deps, "train.py": content(b"other")}},
        {"deps": {**INPUTS.deps, "train.py": content(b"print()\n", "executable")}},
        {"deps": {"train.py": INPUTS.deps["train.py"]}},
        {"params": {"params.yaml": {"train.lr": 1}}},
        {"params": {"params.yaml": {"train.lr": "0.1"}}},
        {"params": {}},
        {"outs": {"model.bin": False}},
        {"outs": {"metrics.json": False, "model.bin": True}},
        {"env": {"A": "1"}},
        {"image": "python:3"},
    ],
)
def test_everything_that_decides_the_result_is_part_of_the_key(fields):
    assert key_of(other(**fields), HASHING) != key_of(INPUTS, HASHING)


def test_the_kinds_of_a_number_make_different_keys():
    keys = {key_of(other(params={"p": {"k": value}}), HASHING) for value in (1, 1.0, True, "1")}
    assert len(keys) == 4


def test_the_order_of_naming_makes_no_difference():
    turned = other(deps=dict(reversed(INPUTS.deps.items())), outs=dict(reversed(INPUTS.outs.items())))
    assert key_of(turned, HASHING) == key_of(INPUTS, HASHING)


@pytest.mark.parametrize("algorithm", ["xxh128", "blake3"])
def test_the_run_cache(tmp_path, algorithm):
    hashing = Hashing(algorithm)
    cache = RunCache(str(tmp_path), hashing)
    record = Run(key_of(INPUTS, hashing), INPUTS, run.decode(RUN, "run").outs, 5)
    assert cache.lookup(record.key) is None
    assert list(cache.keys()) == []
    cache.put(record)
    assert cache.lookup(record.key) == record
    assert list(cache.keys()) == [record.key]
    digits = record.key.hex()
    assert (tmp_path / digits[:2] / f"{digits}.json").is_file()


def test_a_record_with_any_byte_wrong_or_missing_is_no_hit_or_the_same_key(tmp_path):
    cache = RunCache(str(tmp_path), HASHING)
    record = run.decode(RUN, "run")
    cache.put(record)
    path = Path(cache.path_of(record.key))
    for end in range(len(RUN) - 1):
        path.write_bytes(RUN[:end])
        assert cache.lookup(record.key) is None
    for at in range(len(RUN)):
        path.write_bytes(RUN[:at] + bytes([RUN[at] ^ 1]) + RUN[at + 1 :])
        found = cache.lookup(record.key)
        assert found is None or key_of(found.inputs, HASHING) == record.key


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"python train.py"', b'"python other.py"'),
        (b'"mlvc_run": 1', b'"mlvc_run": 2'),
        (b'    "model.bin": {\n      "kind"', b'    "elsewhere": {\n      "kind"'),
        (b'"milliseconds": 1500', b'"milliseconds": null'),
        (b'"milliseconds": 1500', b'"milliseconds": 1e999'),
        (b'"milliseconds": 1500', b'"milliseconds": -1'),
        (b'"milliseconds": 1500', b'"milliseconds": 1' + b"0" * 400),
        (b'"train.lr": 0.1', b'"train.lr": NaN'),
        (b'"train.lr": 0.1', b'"train.lr": "\\ud800"'),
        (b'    "python train.py"', b'    "\\ud800"'),
        (b'"env": {}', b'"env": []'),
    ],
)
def test_a_record_that_says_something_else_is_no_hit(tmp_path, old, new):
    cache = RunCache(str(tmp_path), HASHING)
    record = run.decode(RUN, "run")
    cache.put(record)
    assert RUN.count(old) == 1
    Path(cache.path_of(record.key)).write_bytes(RUN.replace(old, new))
    assert cache.lookup(record.key) is None


def test_a_record_under_the_name_of_another_is_no_hit(tmp_path):
    cache = RunCache(str(tmp_path), HASHING)
    wrong = Oid(bytes(16))
    Path(cache.path_of(wrong)).parent.mkdir(parents=True)
    Path(cache.path_of(wrong)).write_bytes(RUN)
    assert cache.lookup(wrong) is None


def test_where_outputs_go_and_what_a_merge_marked_come_back():
    outs = {"one": content(b"1"), "two": content(b"2")}
    entry = Entry(Oid(b"k" * 16), ("true",), {}, {}, outs, homes={"one": None, "two": "other"})
    lock = Lockfile({"s": entry}, rerun=frozenset({"b", "a"}))
    text = lockfile.encode(lock).decode()
    assert '"rerun": [\n    "a",\n    "b"\n  ]' in text
    assert '"push": false' in text
    assert '"remote": "other"' in text
    again = lockfile.decode(text.encode())
    assert again == lock
    assert lockfile.encode(again).decode() == text
    assert again.having("a", lock.stages["s"]).rerun == {"b"}
    assert again.without(frozenset({"b"})).rerun == {"a"}


@pytest.mark.parametrize("value", ['"a"', "[1]", "{}", "null"])
def test_marks_that_are_none(value):
    with pytest.raises(FormatError, match="'rerun' is not a list of names"):
        lockfile.decode(f'{{"mlvc_lock": 1, "rerun": {value}, "stages": {{}}}}'.encode())
