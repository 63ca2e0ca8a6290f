"""The lines a face keeps: bounded, filtered, held while somebody reads, with older ones put before them."""

import pytest

from dgconsole.snapshot import LogLine, LogMark, LogPage, OlderLines, WholeLines
from dgconsole.views import logs
from dgconsole.views.logs import LogStore, View, count_of, place_of, record, seek
from dgconsole.views.wholelog import WholeLog


def line(number: int, source: str = "db01-1", level: str = "info", text: str = "made") -> LogLine:
    return LogLine(number, 1000.0 + number, source, level, text)


def page(first: int, end: int, *, lost: int = 0, source: str = "db01-1") -> LogPage:
    return LogPage(tuple(line(k, source) for k in range(first, end)), lost, end)


def older(first: int, count: int, mark: LogMark | None = None) -> OlderLines:
    return OlderLines(
        tuple(LogLine(0, float(first + k), "db01-1", "info", f"old {first + k}") for k in range(count)), mark
    )


def test_the_store_keeps_the_newest_and_filters():
    store = LogStore(keep=10)
    for start in range(0, 40, 4):
        lines = tuple(line(k, f"c{k % 2}", "error" if k % 4 == 0 else "info") for k in range(start, start + 4))
        store.add(LogPage(lines, 0, start + 4))
    assert store.next == 40
    assert 10 <= len(store.shown) <= 12
    assert store.before == 40 - len(store.shown)
    store.choose(View("c0", 3))
    assert {shown.number % 4 for shown in store.shown} == {0}
    assert store.add(LogPage((line(40, "c0", "error"), line(41, "c1")), 0, 42)) == 1
    assert store.sources == {"c0", "c1"}


def test_lines_that_passed_unseen_are_counted():
    store = LogStore()
    store.add(page(7, 9, lost=5))
    assert store.lost == 5
    assert store.next == 9
    assert len(store.shown) == 2
    assert store.before == 7
    store.add(LogPage((), 0, 9))
    assert store.next == 9


def test_lines_that_are_missing_in_the_middle_are_told_where_they_are_missing():
    store = LogStore()
    store.add(page(0, 3))
    store.add(page(1203, 1205, lost=1200))
    assert [shown.number for shown in store.shown] == [0, 1, 2, 3, 1203, 1204]
    assert store.shown[3].text.startswith("1,200 lines came too fast")
    store.skip_to(1300)
    store.add(page(1300, 1301))
    store.choose(View("nobody", 3))
    assert [shown.text.split()[0] for shown in store.shown] == ["1,200", "95"]


def test_what_is_read_stays_while_newer_lines_come():
    store = LogStore(keep=10)
    store.add(page(0, 10))
    store.hold()
    for first in range(10, 60, 5):
        store.add(page(first, first + 5))
    assert [shown.number for shown in store.shown] == list(range(20))
    assert store.hidden == 40
    store.release()
    assert store.shown[-1].number == 59
    assert len(store.shown) <= 12
    assert store.hidden == 0


def test_older_lines_come_before_and_go_when_nobody_reads():
    store = LogStore()
    store.add(LogPage((line(0), line(1), LogLine(2, 1001.0, "b", "info", "x"), line(3)), 0, 4))
    store.hold()
    assert store.mark == LogMark(1000.0, {"db01-1": 1})
    again = LogMark(5.0, {"b": 3})
    assert store.prepend(older(10, 5, again)) == 5
    assert store.mark == again
    assert store.reaches_back
    assert store.prepend(older(5, 5)) == 5
    assert not store.reaches_back
    assert [shown.text for shown in store.shown[:10]] == [f"old {k}" for k in range(5, 15)]
    numbers = [shown.number for shown in store.shown]
    assert numbers == sorted(set(numbers))
    assert -1 not in numbers
    store.release()
    assert [shown.number for shown in store.shown] == [0, 1, 2, 3]
    assert store.reaches_back


def test_the_place_in_the_files_is_that_of_the_lines_kept_when_reading_began():
    store = LogStore(keep=10)
    store.add(LogPage(tuple(LogLine(k, 7.0 + k // 3, "ab"[k % 2], "info", "") for k in range(9)), 0, 9))
    store.hold()
    assert store.mark == LogMark(7.0, {"a": 2, "b": 1})
    store.add(page(9, 30))
    assert store.mark == LogMark(7.0, {"a": 2, "b": 1})
    store.choose(View("a"))
    assert store.mark == LogMark(1020.0, {"db01-1": 1})


def test_older_lines_end_where_it_is_too_much(monkeypatch):
    monkeypatch.setattr(logs, "MOST_OLDER", 10)
    store = LogStore()
    store.add(page(0, 3))
    store.hold()
    store.prepend(older(0, 10, LogMark(0.0)))
    assert store.full
    assert not store.reaches_back


def test_search_goes_round_in_both_directions():
    texts = ["chunk 1", "Disk full", "chunk 2", "disk full"]
    lines = [line(k, text=text) for k, text in enumerate(texts)]
    assert seek(lines, "disk", 0) == 1
    assert seek(lines, "disk", 2) == 3
    assert seek(lines, "Disk", 2) == 1
    assert seek(lines, "chunk", 1, backward=True) == 0
    assert seek(lines, "absent", 0) == -1
    assert seek(lines, "chunk", 3, wrap=False) == -1
    assert seek(lines, "disk", 0, backward=True, wrap=False) == -1
    assert seek(lines, "disk", 9, backward=True, wrap=False) == 3
    assert seek([], "disk", 0) == seek([], "disk", 0, wrap=False) == -1
    assert count_of(lines, "disk") == 2
    assert place_of(lines, 2) == 2


@pytest.mark.parametrize(
    ("said", "copied"),
    [
        (LogLine(3, 0.0, "", "ERROR", "a\x1b[2J"), "ERROR a\\x1b[2J"),
        (LogLine(3, 0.0, "", "", "raw"), "raw"),
    ],
)
def test_what_is_copied_is_harmless(said, copied):
    assert record(said) == copied


def test_a_record_has_its_time_and_source():
    text = record(LogLine(3, 1_795_000_000.25, "db01-1", "warning", "late"))
    assert text.endswith(" WARNING db01-1: late")
    assert ".250" in text


def piece(first: int, end: int) -> WholeLines:
    lines = tuple(LogLine(10 * k, 0.0, "", "", f"{k}") for k in range(first, end))
    return WholeLines(lines, 10 * first, 10 * end, 1000)


def test_a_whole_log_is_a_window_that_moves():
    whole = WholeLog("db01-1", keep=20)
    whole.replace(piece(90, 100))
    assert whole.at_end
    whole.prepend(piece(80, 90))
    whole.prepend(piece(70, 80))
    assert [shown.text for shown in whole.shown] == [f"{k}" for k in range(70, 90)]
    assert (whole.start, whole.end) == (700, 900)
    assert not whole.at_end
    whole.append(piece(90, 95))
    assert (whole.start, whole.end) == (750, 950)
    whole.replace(piece(0, 5))
    assert whole.at_start
