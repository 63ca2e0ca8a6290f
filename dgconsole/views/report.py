"""The report of a run as tables of text, for the screen and for the last words of a headless run."""

from collections.abc import Sequence
from typing import NamedTuple

from dgconsole.snapshot import CHUNK_STATES, Cause, Counts, Report, ReportRow, Total
from dgconsole.views.grid import Cell, Column, FixedRows, Line
from dgconsole.views.numbers import clock, exact, percent, short, size
from dgconsole.views.signs import CHUNK_SIGNS, Signs
from dgconsole.views.text import few, harmless, plural
from dgconsole.views.transactions import ended_words


class Section(NamedTuple):
    """A titled table."""

    key: str
    title: str
    rows: FixedRows


_TOTALS = (
    Column("name", "", 12, grow=1),
    Column("chunks", "chunks", 8, rank=1, right=True),
    Column("failed", "failed", 7, rank=4, right=True),
    Column("rows", "rows", 13, rank=2, right=True),
    Column("overlap", "overlap rows", 13, rank=5, right=True),
    Column("bytes", "bytes", 8, rank=3, right=True),
    Column("seconds", "work time", 12, rank=6, right=True),
)
_STAGES = (
    Column("name", "stage", 12, grow=1),
    Column("seconds", "work time", 12, rank=1, right=True),
    Column("share", "share", 7, rank=2, right=True),
    Column("bytes", "bytes", 8, rank=3, right=True),
)
_CHUNKS = (
    Column("id", "chunk", 8, right=True),
    Column("state", "state", 12),
    Column("attempts", "tries", 6, rank=3, right=True),
    Column("client", "client", 12, rank=2, grow=1),
    Column("seconds", "time", 11, rank=1, right=True),
    Column("rows", "rows", 12, rank=4, right=True),
)
_PROBLEMS = (
    Column("id", "chunk", 8, right=True),
    Column("state", "state", 12, rank=3),
    Column("attempts", "tries", 6, rank=2, right=True),
    Column("client", "client", 12, rank=1),
    Column("error", "cause", 20, grow=1, middle=True),
)
_CAUSES = (
    Column("count", "chunks", 8, right=True),
    Column("fault", "fault", 10, rank=1),
    Column("hosts", "hosts", 16, rank=2),
    Column("text", "cause", 20, grow=1, middle=True),
)


def totals(report: Report) -> Total:
    """The sum over all tables, with the chunks completed."""
    return Total(
        name="all",
        chunks=report.counts.completed,
        failed=sum(host.failed for host in report.hosts),
        rows=sum(table.rows for table in report.tables),
        overlap_rows=sum(table.overlap_rows for table in report.tables),
        bytes=sum(table.bytes for table in report.tables),
        seconds=sum(host.seconds for host in report.hosts),
    )


def verdict(report: Report) -> Cell:
    """The line on how the run ended, or how it stands."""
    counts = report.counts
    words = harmless(report.verdict) or f"still going: {standing(counts)}"
    tone = "plain" if not report.verdict else "good" if counts.completed == counts.total else "hot"
    return Cell(words, tone)


def standing(counts: Counts) -> str:
    """``18,204 of 146,332 chunks done (12.4 %), 24 in work, 3 limbo, 128,101 pending``."""
    return (
        f"{counts.completed:,} of {plural(counts.total, 'chunk')} done ({percent(counts.completed, counts.total)}), "
        f"{counts.in_work:,} in work, {counts.limbo:,} limbo, {counts.pending:,} pending"
    )


def facts(report: Report) -> list[tuple[str, str]]:
    """The few figures of the whole run as (word, value)."""
    whole = totals(report)
    found = [
        ("chunks", f"{report.counts.completed:,} of {report.counts.total:,}"),
        ("rows", f"{whole.rows:,}"),
        ("overlap rows", f"{whole.overlap_rows:,}"),
        ("bytes", size(whole.bytes)),
        ("time", clock(report.elapsed)),
    ]
    if report.session_rows and report.elapsed > 0:
        found.append(("mean", f"{short(report.session_rows / report.elapsed)} rows/s"))
    if ended := ended_words(report.transaction_totals):
        found.append(("transactions", ended))
    return found


def sections(report: Report, signs: Signs) -> tuple[Section, ...]:
    """All tables of the report; those without a line are left out."""
    made = (
        Section("causes", "Limbo, by cause", _causes(report.causes)),
        Section("problems", "Chunks in limbo", _problems(report.problems, signs)),
        Section("hosts", "Hosts", _totals("host", report.hosts)),
        Section("tables", "Tables", _tables(report.tables)),
        Section("clients", "Clients", _totals("client", report.clients)),
        Section("stages", "Stages", _stages(report.stages)),
        Section("slowest", "Slowest chunks", _slowest(report.slowest, signs)),
    )
    return tuple(section for section in made if len(section.rows))


def _totals(title: str, lines: Sequence[Total]) -> FixedRows:
    columns = (_TOTALS[0]._replace(title=title), *_TOTALS[1:])
    return FixedRows(
        columns,
        [
            Line(
                (
                    Cell(harmless(total.name)),
                    Cell(f"{total.chunks:,}"),
                    Cell(f"{total.failed:,}", "warm" if total.failed else "dim"),
                    Cell(f"{total.rows:,}"),
                    Cell(f"{total.overlap_rows:,}", "dim"),
                    Cell(size(total.bytes)),
                    Cell(exact(total.seconds), "dim"),
                )
            )
            for total in lines
        ],
        [total.name for total in lines],
    )


def _tables(lines: Sequence[Total]) -> FixedRows:
    """As the other totals, without what a table has not: failed chunks."""
    rows = _totals("table", lines)
    kept = [k for k, column in enumerate(_TOTALS) if column.key not in ("failed", "seconds")]
    return FixedRows(
        tuple(rows.columns[k] for k in kept),
        [Line(tuple(rows.line(row).cells[k] for k in kept)) for row in range(len(rows))],
        [total.name for total in lines],
    )


def _stages(lines: Sequence[Total]) -> FixedRows:
    """The bytes are those that were delivered."""
    whole = sum(total.seconds for total in lines) or 1.0
    columns = _STAGES if any(total.bytes for total in lines) else _STAGES[:-1]
    made = []
    for total in lines:
        share, delivered = f"{total.seconds / whole:.0%}", size(total.bytes) if total.bytes else ""
        cells = (Cell(harmless(total.name)), Cell(exact(total.seconds)), Cell(share, "dim"), Cell(delivered))
        made.append(Line(cells[: len(columns)]))
    return FixedRows(columns, made, [total.name for total in lines])


def _state(row: ReportRow, signs: Signs) -> Cell:
    for state in CHUNK_STATES:
        if state == row.state:
            return Cell(f"{signs.of(CHUNK_SIGNS[state])} {row.state}", CHUNK_SIGNS[state].tone)
    return Cell(harmless(row.state))


def _slowest(lines: Sequence[ReportRow], signs: Signs) -> FixedRows:
    return FixedRows(
        _CHUNKS,
        [
            Line(
                (
                    Cell(str(row.chunk_id)),
                    _state(row, signs),
                    Cell(str(row.attempts), "dim"),
                    Cell(harmless(row.client)),
                    Cell(exact(row.seconds) if row.seconds is not None else ""),
                    Cell(f"{row.rows:,}"),
                )
            )
            for row in lines
        ],
        [row.chunk_id for row in lines],
    )


def _problems(lines: Sequence[ReportRow], signs: Signs) -> FixedRows:
    return FixedRows(
        _PROBLEMS,
        [
            Line(
                (
                    Cell(str(row.chunk_id)),
                    _state(row, signs),
                    Cell(str(row.attempts), "dim"),
                    Cell(harmless(row.client)),
                    Cell(harmless(row.error)),
                )
            )
            for row in lines
        ],
        [row.chunk_id for row in lines],
    )


def _causes(lines: Sequence[Cause]) -> FixedRows:
    return FixedRows(
        _CAUSES,
        [
            Line(
                (
                    Cell(f"{cause.count:,}", "hot"),
                    Cell(harmless(cause.fault)),
                    Cell(few(tuple(map(harmless, cause.hosts)), 2), "dim"),
                    Cell(harmless(cause.text)),
                )
            )
            for cause in lines
        ],
        [cause.text for cause in lines],
    )
