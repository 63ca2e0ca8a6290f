"""Older lines from real log files: joined to the newer ones without a gap, by time over all, rotated or not."""

import threading
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.records.backwards import LONGEST, Budget, Piece, lines_back
from dgconsole.records.logfiles import log_files, newest_lines, older_lines
from dgconsole.records.wholelog import read_whole
from dgconsole.snapshot import LogLine, LogMark, OlderLines, WholeLines
from dgconsole.support import logbook
from dgconsole.support.clock import Clock
from dgconsole.support.logbook import LogBook

START = 1_795_000_000.0


class Still(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = START

    def wall(self) -> float:
        return self.time

    def now(self) -> float:
        return self.time


class Book:
    """A real log book, and all that was written into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "logs"
        self.folder.mkdir()
        self.clock = Still()
        self.book = LogBook(self.folder, self.clock)
        for k in range(3):
            self.book.add_client(f"h-{k}")
        self.written: list[tuple[str, str, str]] = []

    def write(self, source: str, text: str, level: str = "INFO", after: float = 0.0) -> None:
        self.clock.time += after
        self.book.write(source, level, text)
        self.written.append((source, level, text))

    def fill(self, count: int, *, every: float = 0.0007) -> None:
        """Lines of all sources, several of them in one millisecond."""
        sources = ("h-0", "h-1", "h-2", "console", "h", "by hand")
        for k in range(count):
            at = len(self.written)
            self.write(sources[k * 7 % 6], f"line {at}", ("INFO", "WARNING", "ERROR")[at % 3], every)

    def everything(self, source: str = "", level: int = 0, limit: int = 50) -> list[LogLine]:
        """All that older_lines has, page by page."""
        return back(lambda mark: older_lines(self.folder, source, mark, limit, level))


def back(ask: object, mark: LogMark | None = None) -> list[LogLine]:
    found: list[LogLine] = []
    while True:
        page: OlderLines = ask(mark)  # type: ignore[operator]
        found[:0] = page.lines
        if page.mark is None:
            return found
        mark = page.mark


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path)
    yield made
    made.book.close()


def shown(lines: list[LogLine]) -> list[tuple[str, str, str]]:
    return [(line.source, line.level, line.text) for line in lines]


def test_all_lines_come_by_time_each_once(book: Book) -> None:
    book.fill(1000)
    found = book.everything()
    assert Counter(shown(found)) == Counter(book.written)
    walls = [line.wall for line in found]
    assert walls == sorted(walls)
    for source in ("h-1", "console", "by hand"):
        own = [line for line in book.written if line[0] == source]
        assert [line for line in shown(found) if line[0] == source] == own
        assert shown(book.everything(source)) == own
        assert shown(book.everything(source, level=3)) == [line for line in own if line[1] == "ERROR"]


@pytest.mark.parametrize("first", [0, 1, 499, 777, 999])
@pytest.mark.parametrize("every", [0.0, 0.0007, 0.5])
def test_they_end_where_the_ring_begins(book: Book, first: int, every: float) -> None:
    book.fill(1000, every=every)
    ring = book.book.read(first, 2000).lines
    wall = ring[0].wall
    taken = Counter(line.source for line in ring if line.wall == wall)
    found = back(lambda mark: older_lines(book.folder, "", mark, 37), LogMark(wall, dict(taken)))
    assert Counter(shown(found)) == Counter(book.written[:first])


def test_rotated_parts_are_read_on(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logbook, "FILE_BYTES", 9_000)
    book.fill(4000)
    names = {path.name for path in book.folder.iterdir()}
    assert {"h-0.log", "h-0.log.1", "h-0.log.2"} <= names
    found = shown(book.everything("h-0"))
    own = [line for line in book.written if line[0] == "h-0"]
    assert 300 < len(found) < len(own)
    assert found == own[-len(found) :]
    sizes = {file.source: file.bytes for file in log_files(book.folder)}
    assert sizes["h-0"] == sum(path.stat().st_size for path in book.folder.glob("h-0.log*"))


def test_a_rotation_while_they_are_read_loses_nothing_that_is_kept(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "FILE_BYTES", 60_000)
    over = threading.Event()
    trouble: list[object] = []

    def look() -> None:
        try:
            while not over.is_set():
                texts = [int(line.text[5:]) for line in book.everything("h-1", limit=200)]
                trouble.extend(each for each in pairwise(texts) if each[1] - each[0] != 6)
        except Exception as error:
            trouble.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    book.fill(30_000)
    over.set()
    reader.join()
    assert not trouble


def test_a_time_is_found_in_a_large_file_without_reading_it(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.fill(60_000)
    read = 0
    real = Piece.read

    def counting(self: Piece, at: int, size: int) -> bytes:
        nonlocal read
        data = real(self, at, size)
        read += len(data)
        return data

    monkeypatch.setattr(Piece, "read", counting)
    wall = round((START + 20.0) * 1000) / 1000
    found = older_lines(book.folder, "h-2", LogMark(wall, {}), 20).lines
    assert len(found) == 20
    assert wall - 0.1 < found[-1].wall <= wall
    assert read < 150_000 < (book.folder / "h-2.log").stat().st_size


def test_a_search_for_what_is_rare_goes_on_from_where_it_stopped(book: Book) -> None:
    book.write("h-0", "the first", "ERROR")
    for _ in range(4000):
        book.write("h-0", "x" * 200, after=0.01)
    asked = 0

    def ask(mark: LogMark | None) -> OlderLines:
        nonlocal asked
        asked += 1
        return older_lines(book.folder, "h-0", mark, 10, 3, most_read=100_000)

    assert [line.text for line in back(ask)] == ["the first"]
    assert 5 < asked < 20


def test_broken_files_do_no_harm(book: Book) -> None:
    book.fill(100)
    log = book.folder / "h-0.log"
    data = log.read_bytes()
    log.write_bytes(b"\0" * 20_000 + data[:700] + b"\xff\xfe\x1b[2J\n" + data[700:] + b"2026-11-24T10:")
    (book.folder / "empty.log").touch()
    (book.folder / "nul.log").write_bytes(bytes(9_000))
    (book.folder / "folder.log").mkdir()
    own = [line for line in book.written if line[0] == "h-0"]
    found = shown(book.everything("h-0"))
    assert len(found) >= len(own) - 2
    assert set(found) <= set(own)


def test_what_is_no_log_of_the_run_is_not_read(book: Book, tmp_path: Path) -> None:
    book.fill(10)
    (tmp_path / "secret.log").write_text("2026-11-24T10:00:00.000Z INFO ../secret: text\n")
    (book.folder / "h-0.whole.log").write_text("2026-11-24T10:00:00.000Z INFO h-0: a copy\n")
    assert older_lines(book.folder, "../secret", None, 10) == OlderLines((), None)
    assert read_whole(tmp_path, "../secret", 0, 10, backward=False, needle="").size == -1
    assert len(newest_lines(book.folder)) == 10
    assert {(file.source, file.whole) for file in log_files(book.folder)} >= {("h-0", True), ("h-0", False)}


@given(
    st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=30),
    st.booleans(),
    st.integers(1, 50),
)
def test_lines_backwards_are_the_lines(tmp_path_factory, lines, ended, block):
    path = tmp_path_factory.mktemp("back") / "x.log"
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    path.write_bytes(data)
    found = list(lines_back(Piece(path, path.stat().st_ino, len(data)), len(data), block, Budget(10**9)))
    expected = data.split(b"\n")[: -1 if data.endswith(b"\n") else None] if data else []
    assert [line for _, line in reversed(found)] == expected
    assert all(data[place:].startswith(line) for place, line in found)


# ---- a whole log


def walk(folder: Path, limit: int, *, backward: bool) -> list[LogLine]:
    """The whole of a whole log, page by page."""
    at = (folder / "h-0.whole.log").stat().st_size if backward else 0
    found: list[LogLine] = []
    while True:
        page: WholeLines = read_whole(folder, "h-0", at, limit, backward=backward, needle="")
        if not page.lines:
            return found
        found = [*page.lines, *found] if backward else [*found, *page.lines]
        at = page.start if backward else page.end


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_whole_log_is_read_from_either_end(tmp_path: Path, end: str) -> None:
    texts = [f"line {k} {'x' * (k % 300)}" for k in range(2000)]
    (tmp_path / "h-0.whole.log").write_text("\n".join(f"INFO {text}" for text in texts) + end)
    for backward in (False, True):
        found = walk(tmp_path, 70, backward=backward)
        assert [line.text for line in found] == texts
        assert [line.number for line in found] == sorted({line.number for line in found})
        assert {line.level for line in found} == {"INFO"}


def test_a_line_without_end_comes_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "h-0.whole.log").write_bytes(b"a" * 5 * LONGEST + b"\nlast\n")
    for backward in (False, True):
        found = [line.text for line in walk(tmp_path, 70, backward=backward)]
        assert "".join(found) == "a" * 5 * LONGEST + "last"
        assert found[-1] == "last"


def test_a_whole_log_is_searched_both_ways_in_steps(tmp_path: Path) -> None:
    lines = [f"line {k}" for k in range(30_000)]
    lines[12_345] = "INFO Größe: No Space left"
    (tmp_path / "h-0.whole.log").write_text("\n".join(lines) + "\n")

    def seek(needle: str, *, backward: bool) -> tuple[list[str], int]:
        at, steps = (10**9 if backward else 0), 0
        while True:
            steps += 1
            page = read_whole(tmp_path, "h-0", at, 9, backward=backward, needle=needle, most_searched=100_000)
            at = page.start if backward else page.end
            if page.lines or at in (0, page.size):
                return [line.text for line in page.lines], steps

    for backward in (False, True):
        assert seek("no space", backward=backward)[0] == ["Größe: No Space left"]
        assert seek("GRÖSSE", backward=backward)[0] == []
        assert seek("größe", backward=backward)[0] == ["Größe: No Space left"]
        assert seek("Größe", backward=backward)[0] == ["Größe: No Space left"]
        found, steps = seek("no Space", backward=backward)
        assert not found
        assert 2 < steps < 8
