"""Reading ahead: few requests, in any number of threads, with the bytes that were asked for and no more in memory."""

from __future__ import annotations

import errno
import threading

import pytest

from mlvc.store import ahead
from mlvc.store.ahead import GAP, SPAN, WINDOW, Ahead, Frame, spans, windows
from mlvc.store.catalog import Location
from mlvc.store.pack import DATA
from tests.helpers.stores import noise

BYTES = noise(4 << 20)


def at(start, length=1000, pack="p"):
    return Location(pack, start, 0, length, length, DATA, b"")


class Place:
    """A Pack for every name, each with the same bytes. ``asked``: the ranges that were read."""

    def __init__(self):
        self.asked = []
        self.fails = {}
        self.now = self.most = 0
        self._exclusive = threading.Lock()
        self.together = None

    def read(self, pack, start, length):
        with self._exclusive:
            self.asked.append((pack, start, length))
            self.now += 1
            self.most = max(self.most, self.now)
        if self.together is not None:
            self.together.wait(10)
        with self._exclusive:
            self.now -= 1
        if (pack, start, length) in self.fails:
            raise self.fails[pack, start, length]
        return BYTES[start : start + length]


def read(place, wanted, jobs=1):
    """All of ``wanted``, checked."""
    with Ahead(place.read, wanted, jobs) as ranges:
        for each in wanted:
            found = ranges.range(each.pack, each.frame, each.extent)
            assert found == BYTES[each.frame : each.frame + each.extent]


def test_neighbours_are_one_span():
    def told(*frames):
        return [(each.pack, each.start, each.length) for each in {id(e): e for e in spans(frames)}.values()]

    assert told() == []
    assert told(Frame("p", 100, 50), Frame("p", 0, 100)) == [("p", 0, 150)]
    assert told(Frame("p", 0, 10), Frame("p", 10 + GAP, 10)) == [("p", 0, 20 + GAP)]
    assert told(Frame("p", 0, 10), Frame("p", 11 + GAP, 10)) == [("p", 0, 10), ("p", 11 + GAP, 10)]
    assert told(Frame("p", 0, 10), Frame("q", 10, 10)) == [("p", 0, 10), ("q", 10, 10)]
    assert told(Frame("p", 0, SPAN - 5), Frame("p", SPAN - 5, 5), Frame("p", SPAN, 1)) == [
        ("p", 0, SPAN),
        ("p", SPAN, 1),
    ]
    assert told(Frame("p", 0, 2 * SPAN)) == [("p", 0, 2 * SPAN)]


def test_a_window_fits_in_memory_with_the_gaps_in_it():
    wanted = [at(2 * GAP * number) for number in range(2000)]
    found = windows([*wanted, *wanted[:3]])
    assert [frame.start for frames in found for frame in frames] == [each.frame for each in [*wanted, *wanted[:3]]]
    assert len(found) > 2
    for frames in found:
        assert sum(span.length for span in {id(e): e for e in spans(frames)}.values()) <= WINDOW
    assert windows([]) == []
    assert [len(frames) for frames in windows([at(0, 2 * WINDOW), at(9), at(9)])] == [1, 1]


@pytest.mark.parametrize("jobs", [1, 4])
def test_each_byte_is_asked_for_once_and_what_was_not_announced_by_itself(monkeypatch, jobs):
    monkeypatch.setattr(ahead, "GAP", 100)
    monkeypatch.setattr(ahead, "SPAN", 10_000)
    monkeypatch.setattr(ahead, "WINDOW", 30_000)
    place = Place()
    wanted = [at(1000 * number + 500 * (number // 7), pack=pack) for pack in "pq" for number in range(100)]
    read(place, wanted, jobs)
    assert len(place.asked) < 50
    assert sum(length for _, _, length in place.asked) == 200_000
    assert max(length for _, _, length in place.asked) <= 10_000
    place.asked.clear()
    with Ahead(place.read, wanted[:3], jobs) as ranges:
        assert ranges.range("other", 5, 5) == BYTES[5:10]
        assert ranges.range("p", 1000, 1000) == BYTES[1000:2000]
    assert place.asked == [("other", 5, 5), ("p", 0, 3000)]


@pytest.mark.parametrize("jobs", [1, 4])
def test_any_order_and_frames_that_come_again(monkeypatch, jobs):
    monkeypatch.setattr(ahead, "WINDOW", 600_000)
    place = Place()
    wanted = [at(1000 * (number * 7 % 50)) for number in range(300)]
    read(place, wanted, jobs)
    assert len(place.asked) <= 40


def test_side_by_side():
    place = Place()
    place.together = threading.Barrier(4)
    read(place, [at(number * 200_000) for number in range(8)], jobs=4)
    assert place.most == 4
    assert place.now == 0


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_span_that_cannot_be_read_is_read_frame_by_frame(jobs):
    place = Place()
    wanted = [at(0), at(1000), at(500_000)]
    place.fails = {("p", 0, 2000): OSError(errno.EIO, "bad sector"), ("p", 1000, 1000): OSError(errno.EIO, "bad")}
    with Ahead(place.read, wanted, jobs) as ranges:
        assert ranges.range("p", 0, 1000) == BYTES[:1000]
        with pytest.raises(OSError, match="bad"):
            ranges.range("p", 1000, 1000)
        assert ranges.range("p", 500_000, 1000) == BYTES[500_000:501_000]
    place.fails = {("p", 0, 2000): FileNotFoundError(errno.ENOENT, "gone")}
    place.asked.clear()
    with Ahead(place.read, wanted[:2], jobs) as ranges, pytest.raises(FileNotFoundError):
        ranges.range("p", 0, 1000)
    assert len(place.asked) == 1


def test_a_pack_that_is_cut_gives_what_is_there():
    place = Place()
    with Ahead(place.read, [at(len(BYTES) - 1500), at(len(BYTES) - 500)], 1) as ranges:
        assert ranges.range("p", len(BYTES) - 1500, 1000) == BYTES[-1500:-500]
        assert ranges.range("p", len(BYTES) - 500, 1000) == BYTES[-500:]
