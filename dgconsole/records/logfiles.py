"""A run's log files read from their ends: by time over all of them, never a file as a whole."""

import heapq
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from dgconsole.records.backwards import Budget, Gone, Piece, lines_back
from dgconsole.snapshot import LogFile, LogLine, LogMark, OlderLines
from dgconsole.support.logbook import CONSOLE
from dgconsole.support.logs import harmless
from dgconsole.views.logs import rank

WHOLE = ".whole.log"
"""How the name of a client's whole log ends."""
MOST_LINES = 10_000
"""Lines in one answer, at most."""
_LINE = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([A-Z]+) +(.+?): (.*)", re.DOTALL)
_STAMP = 24
_MOST_READ = 16 << 20
"""Bytes read for one answer, about."""
_MOST_FILES = 100
_PROBE = 4096


class Said(NamedTuple):
    """One line of a file; ``stamp`` as it stands there, which sorts by time."""

    stamp: bytes
    level: str
    source: str
    text: str


def stamp_of(wall: float) -> bytes:
    """A time as log files have it."""
    shown = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")
    return shown.replace("+00:00", "Z").encode()


def wall_of(stamp: bytes) -> float:
    """The way back. ValueError."""
    return datetime.fromisoformat(stamp.decode()).timestamp()


def log_files(folder: Path) -> tuple[LogFile, ...]:
    """The logs there, sorted by name; the parts of a rotated one count together."""
    found = []
    for path in sorted(folder.glob("*.log")):
        whole = path.name.endswith(WHOLE)
        name = path.name.removesuffix(WHOLE if whole else ".log")
        sizes = (_size(part) for part in ((path,) if whole else _parts(path)))
        found.append(LogFile(name, whole, sum(sizes), str(path)))
    return tuple(found)


def older_lines(
    folder: Path, source: str, before: LogMark | None, limit: int, level: int = 0, *, most_read: int = _MOST_READ
) -> OlderLines:
    """See ``SessionHandle.older``. Lines from before the clock was set back are left out."""
    latest = stamp_of(before.wall) if before else b"\xff"
    left_out = Counter(before.taken if before else {})
    budget = Budget(most_read)
    passed, count = latest, Counter(left_out)
    lines: list[Said] = []
    limit = max(min(limit, MOST_LINES), 1)
    for said in _newest_first(folder, source, latest, budget):
        if said.stamp == latest and left_out[said.source] > 0:
            left_out[said.source] -= 1
            continue
        if said.stamp != passed:
            passed, count = said.stamp, Counter()
        count[said.source] += 1
        if (not source or said.source == source) and rank(said.level) >= level:
            lines.append(said)
        if len(lines) >= limit or budget.spent:
            mark = LogMark(wall_of(passed), dict(count))
            break
    else:
        mark = None
    lines.reverse()
    return OlderLines(tuple(map(_shown, lines)), mark)


def newest_lines(folder: Path) -> tuple[LogLine, ...]:
    """The newest lines of all files by time, numbered from 0."""
    found = older_lines(folder, "", None, MOST_LINES).lines
    return tuple(LogLine(n, line.wall, line.source, line.level, line.text) for n, line in enumerate(found))


def _shown(said: Said) -> LogLine:
    return LogLine(0, wall_of(said.stamp), said.source, said.level, said.text)


def _newest_first(folder: Path, source: str, latest: bytes, budget: Budget) -> Iterator[Said]:
    """The lines of all files that may hold some of a source, merged by time, from the newest not after ``latest``."""
    own = [path for path in _all_logs(folder) if path.name == f"{source}.log"]
    paths = own or _all_logs(folder, CONSOLE if source else "")
    share = 8192 if len(paths) > 8 else 65_536
    feeds = [_of_one(path, latest, share, budget) for path in paths]
    return heapq.merge(*feeds, key=itemgetter(0), reverse=True)


def _all_logs(folder: Path, only: str = "") -> list[Path]:
    found = sorted(path for path in folder.glob("*.log") if not path.name.endswith(WHOLE))
    return [path for path in found if path.name == f"{only}.log"] if only else found


def _of_one(path: Path, latest: bytes, share: int, budget: Budget) -> Iterator[Said]:
    """The lines of one log and of its older parts, newest first; their stamps never grow."""
    bound = latest
    for piece in _pieces(path):
        try:
            first = _first_stamp(piece)
            if first > bound:
                continue
            for _, data in lines_back(piece, _end_of(piece, bound), share, budget):
                said = _read(data)
                if said is not None and said.stamp <= bound:
                    bound = said.stamp
                    yield said
        except Gone:
            return


def _read(data: bytes) -> Said | None:
    match = _LINE.fullmatch(data)
    if match is None:
        return None
    stamp, level, source, text = match.groups()
    return Said(stamp, level.decode(), _text(source), _text(text))


def _text(data: bytes) -> str:
    return harmless(data.decode("utf-8", "backslashreplace"))


def _parts(path: Path) -> Iterator[Path]:
    """A log and the older ones beside it, newest first."""
    yield path
    for number in range(1, _MOST_FILES):
        older = path.with_name(f"{path.name}.{number}")
        if not older.exists():
            return
        yield older


def _pieces(path: Path) -> Iterator[Piece]:
    """The parts of a log as they are now, each once, though it may be rotated at any time."""
    known: set[int] = set()
    for part in _parts(path):
        try:
            status = part.stat()
        except OSError:
            continue
        if status.st_ino not in known:
            known.add(status.st_ino)
            yield Piece(path, status.st_ino, status.st_size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


# ---- by time in one file


def _first_stamp(piece: Piece) -> bytes:
    return _stamp_after(piece, 0)[1]


def _end_of(piece: Piece, latest: bytes) -> int:
    """A byte at which a line ends, with every line not after ``latest`` before it, and few others."""
    low, high = 0, piece.size
    while high - low > _PROBE:
        middle = (low + high) // 2
        at, stamp = _stamp_after(piece, middle)
        if at >= high or stamp > latest:
            high = middle
        else:
            low = at
    return _line_end(piece, high)


def _stamp_after(piece: Piece, at: int) -> tuple[int, bytes]:
    """Where the first line with a time begins at ``at`` or after it, and that time; the end if there is none."""
    start = at
    while start < piece.size:
        data = piece.read(start, _PROBE)
        if not data:
            break
        place = 0 if start == 0 else data.find(b"\n") + 1
        while place or start == 0:
            line = data[place : place + _STAMP]
            if len(line) == _STAMP and _is_stamp(line):
                return start + place, line
            place = data.find(b"\n", place) + 1
            if not place:
                break
        start += len(data) - min(_STAMP, len(data) - 1)
        if len(data) < _PROBE:
            break
    return piece.size, b"\xfe"


def _is_stamp(data: bytes) -> bool:
    return data[4:5] == b"-" and data[10:11] == b"T" and data.endswith(b"Z") and data[:4].isdigit()


def _line_end(piece: Piece, at: int) -> int:
    """The end of the line that byte ``at`` is in."""
    while at < piece.size:
        data = piece.read(at, _PROBE)
        place = data.find(b"\n")
        if place >= 0 or not data:
            return at + place + 1
        at += len(data)
    return piece.size
