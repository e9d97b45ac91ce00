"""The list of paths that mlvc put into a working tree."""

from mlvc.workspace import placed


def test_paths_come_back_and_go(tmp_path):
    path = str(tmp_path / "mlvc" / "placed")
    assert placed.read(path) == set()
    placed.update(path, ["b", "a\nb", "ü"])
    placed.update(path, ["c"], gone=["b"])
    assert placed.read(path) == {"a\nb", "ü", "c"}


def test_nothing_new_writes_nothing(tmp_path):
    path = tmp_path / "placed"
    placed.update(str(path), ["a"])
    before = path.stat()
    placed.update(str(path), ["a"], gone=["x"])
    assert path.stat() == before


def test_a_line_that_cannot_be_read_is_none(tmp_path):
    (tmp_path / "placed").write_text('"a"\nrubbish\n17\n"b"\n')
    assert placed.read(str(tmp_path / "placed")) == {"a", "b"}
