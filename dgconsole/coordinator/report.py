"""What a run came to: report.csv row by row, totals, how it ended in one line, the exit status."""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import astuple

from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.ledger import Reader
from dgconsole.snapshot import CHUNK_STATES, Counts, ReportRow, RunState

HEADER = ReportRow.__struct_fields__
"""The columns of report.csv, in order."""

_PIECE = 1 << 16
_ROWS = """
    SELECT c.chunk, c.state, c.used, k.name, k.host, a.started, a.ended, a.rows, a.overlap_rows, a.bytes, a.error
    FROM chunks c LEFT JOIN attempts a ON a.chunk = c.chunk AND a.attempt = c.attempt
    LEFT JOIN clients k ON k.client = a.client {where} ORDER BY c.chunk"""


def report_rows(
    reader: Reader, where: str = "", values: Iterable[object] = (), *, limit: int = -1
) -> Iterator[ReportRow]:
    """One row a target in id order, each with its newest attempt.

    ``where``: an SQL clause on ``c``, the chunks; ``limit``: how many at most, -1 for all.
    """
    for chunk, state, used, client, host, started, ended, rows, overlap, size, error in reader.rows(
        f"{_ROWS.format(where=where)} LIMIT ?", (*values, limit)
    ):
        yield ReportRow(
            chunk_id=chunk,
            state=CHUNK_STATES[state].value,
            attempts=used,
            client=client or "",
            host=host or "",
            started_at=iso(started),
            finished_at=iso(ended),
            seconds=None if ended is None else ended - started,
            rows=rows or 0,
            overlap_rows=overlap or 0,
            bytes=size or 0,
            error=error or "",
        )


def write_csv(rows: Iterable[ReportRow], path: Path) -> None:
    """The report as a file: under its name only when whole. OSError when it cannot be written."""
    write_lines(csv_lines(rows), path)


def csv_lines(rows: Iterable[ReportRow]) -> Iterator[str]:
    """report.csv in pieces, line ends included; the header first."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        writer.writerow([f"{value:.3f}" if isinstance(value, float) else value for value in astuple(row)])
        if buffer.tell() > _PIECE:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def write_lines(pieces: Iterable[str], path: Path) -> None:
    """A text file under its name only when whole. OSError when it cannot be written; nothing is left then."""
    aside = path.with_name(f".{path.name}.new")
    try:
        with aside.open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def iso(wall: float | None) -> str:
    """Epoch seconds as ISO 8601 UTC, to the millisecond; "" for None."""
    if wall is None:
        return ""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def counts_of(by_state: list[int], retrying: int) -> Counts:
    """Counts as they cross to a face."""
    return Counts(
        total=sum(by_state),
        pending=by_state[State.PENDING],
        retrying=retrying,
        assigned=by_state[State.ASSIGNED],
        delivered=by_state[State.DELIVERED],
        completed=by_state[State.COMPLETED],
        limbo=by_state[State.LIMBO],
    )


def verdict(counts: Counts, state: RunState, *, reason: str = "") -> str:
    """How it ended, or stands, in one line. ``reason``: why nothing more is handed out."""
    unmade = counts.total - counts.completed - counts.limbo
    if counts.completed == counts.total:
        return (
            f"Complete: all {counts.total:,} chunks are made."
            if counts.total != 1
            else "Complete: the chunk is made."
        )
    parts = [f"{counts.completed:,} of {counts.total:,} chunks are made"]
    if counts.limbo:
        parts.append(f"{counts.limbo:,} in limbo")
    if unmade:
        parts.append(f"{unmade:,} not made")
    line = ", ".join(parts)
    if reason:
        return f"{line}: {reason}"
    return f"{line}." if state is RunState.ENDED else f"{line} so far."


def exit_status(counts: Counts, *, quit_early: bool) -> int:
    """0: all are made. 130: a person or a signal ended it before that. 1: it ended by itself with some unmade."""
    if counts.completed == counts.total:
        return 0
    return 130 if quit_early else 1
