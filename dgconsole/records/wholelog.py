"""A client's whole log read piece by piece, either way from any place, and searched; it may be of any size."""

from collections.abc import Iterator
from pathlib import Path

from dgconsole.records.backwards import LONGEST, Budget, Gone, Piece, lines_back
from dgconsole.records.logfiles import MOST_LINES, WHOLE
from dgconsole.snapshot import LogLine, WholeLines
from dgconsole.support.logs import harmless

_BLOCK = 1 << 16
_MOST_SHOWN = 4 << 20
_MOST_SEARCHED = 32 << 20
"""Bytes read for one answer, about."""
_LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR"})


def read_whole(
    folder: Path,
    client: str,
    at: int,
    limit: int,
    *,
    backward: bool,
    needle: str,
    most_searched: int = _MOST_SEARCHED,
) -> WholeLines:
    """See ``SessionHandle.whole_log``."""
    piece = _find(folder, client)
    if piece is None:
        return WholeLines((), 0, 0, -1)
    at = max(min(at, piece.size), 0)
    limit = max(min(limit, MOST_LINES), 1)
    budget = Budget(most_searched if needle else _MOST_SHOWN)
    found: list[tuple[int, bytes]] = []
    start = end = at
    try:
        lines = lines_back(piece, at, _BLOCK, budget) if backward else _lines_on(piece, at, budget)
        for place, data in lines:
            start, end = (place, end) if backward else (start, place + len(data))
            if not needle or _holds(data, needle):
                found.append((place, data))
            if len(found) >= (1 if needle else limit) or budget.spent:
                break
        if not backward:
            end += piece.read(end, 1) == b"\n"
    except Gone:
        return WholeLines((), 0, 0, -1)
    if backward:
        found.reverse()
    return WholeLines(tuple(_shown(*each) for each in found), start, end, piece.size)


def _find(folder: Path, client: str) -> Piece | None:
    for path in folder.glob(f"*{WHOLE}"):
        if path.name == f"{client}{WHOLE}":
            try:
                status = path.stat()
            except OSError:
                return None
            return Piece(path, status.st_ino, status.st_size)
    return None


def _lines_on(piece: Piece, at: int, budget: Budget) -> Iterator[tuple[int, bytes]]:
    """(where it begins, a line without its end) from ``at`` on."""
    rest, place = b"", at
    while place + len(rest) < piece.size:
        data = piece.read(place + len(rest), _BLOCK)
        if not data:
            raise Gone
        budget.take(len(data))
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield place, line
            place += len(line) + 1
        if len(rest) > LONGEST:
            yield place, rest
            place, rest = place + len(rest), b""
    if rest:
        yield place, rest


def _holds(line: bytes, needle: str) -> bool:
    """As the console searches: capitals count only when the needle has some."""
    if needle != needle.lower():
        return needle.encode("utf-8", "replace") in line
    if needle.isascii():
        return needle.encode() in line.lower()
    return needle in line.decode("utf-8", "replace").lower()


def _shown(place: int, data: bytes) -> LogLine:
    text = harmless(data.decode("utf-8", "backslashreplace"))
    level, _, rest = text.partition(" ")
    return LogLine(place, 0.0, "", level, rest) if level in _LEVELS else LogLine(place, 0.0, "", "", text)
