"""Rings of numbered lines, rotated files and harmless text."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.support.logs import LogRing, RotatingLog, harmless


def filled(ring: LogRing, count: int) -> LogRing:
    for number in range(count):
        ring.append(float(number), "here-1", "INFO", f"line {number}")
    return ring


def test_lines_are_numbered_from_nought_and_read_in_order() -> None:
    page = filled(LogRing(10), 3).read(0, 10)
    assert [line.number for line in page.lines] == [0, 1, 2]
    assert [line.text for line in page.lines] == ["line 0", "line 1", "line 2"]
    assert (page.lost, page.end) == (0, 3)


def test_a_slow_reader_is_told_how_many_lines_it_lost() -> None:
    page = filled(LogRing(4), 10).read(2, 3)
    assert [line.number for line in page.lines] == [6, 7, 8]
    assert (page.lost, page.end) == (4, 10)


def test_a_reader_at_the_end_gets_nothing_and_loses_nothing() -> None:
    page = filled(LogRing(4), 10).read(10, 5)
    assert (page.lines, page.lost, page.end) == ((), 0, 10)


@given(capacity=st.integers(1, 9), count=st.integers(0, 40), after=st.integers(-2, 50), limit=st.integers(0, 12))
def test_every_line_is_either_read_or_lost(capacity: int, count: int, after: int, limit: int) -> None:
    page = filled(LogRing(capacity), count).read(after, limit)
    start = min(max(after, 0) + page.lost, count)
    expected = range(start, min(start + limit, count))
    if after <= count:
        assert [line.number for line in page.lines] == list(expected)
        assert all(line.text == f"line {line.number}" for line in page.lines)
        assert page.lost == max(count - capacity - max(after, 0), 0)
    else:
        assert page.lines == ()


def test_a_ring_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        LogRing(0)


def test_escape_sequences_cannot_reach_a_screen() -> None:
    assert harmless("a\x1b[2Jb\tc\r\nd") == "a\\x1b[2Jb    c⏎d"
    assert harmless("x\u202ey\udcff") == "x\\u202ey\\udcff"
    assert harmless("Ωmega ✓ 星") == "Ωmega ✓ 星"


@given(st.text())
def test_harmless_text_has_no_control_characters_and_is_stable(text: str) -> None:
    clean = harmless(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in clean)
    assert harmless(clean) == clean


def test_a_full_file_moves_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "c.log", max_bytes=12, keep=2)
    for number in range(5):
        log.write(f"line-{number:04}")
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.log", "c.log.1", "c.log.2"]
    assert [(tmp_path / name).read_text() for name in ("c.log.2", "c.log.1", "c.log")] == [
        "line-0002\n",
        "line-0003\n",
        "line-0004\n",
    ]


def test_a_log_goes_on_in_the_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "c.log"
    for text in ("one", "two"):
        log = RotatingLog(path, max_bytes=100, keep=1)
        log.write(text)
        log.close()
    assert path.read_text() == "one\ntwo\n"


def test_a_file_that_is_full_when_opened_is_rotated_first(tmp_path: Path) -> None:
    path = tmp_path / "c.log"
    path.write_text("x" * 50 + "\n")
    log = RotatingLog(path, max_bytes=20, keep=0)
    log.write("new")
    log.close()
    assert path.read_text() == "new\n"


def test_lines_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "gone" / "c.log", max_bytes=100, keep=1)
    log.write("nowhere to go")
    assert log.lost == 1
