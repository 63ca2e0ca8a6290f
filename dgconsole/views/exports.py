"""The report as Markdown, JSON, plain lines and lists of ids, in pieces of text; no files here."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from dgconsole.snapshot import Report, ReportRow
from dgconsole.views.grid import Cell, Column
from dgconsole.views.numbers import exact
from dgconsole.views.report import Section, facts, sections, totals, verdict
from dgconsole.views.signs import Signs
from dgconsole.views.text import harmless, pad

FORMAT = 1
"""The number under ``format`` in the JSON; grows when a key goes or changes its meaning."""

_ACTIVE = re.compile(r"([\\`*_\[\]<>|#~])")
_ROW_COLUMNS = (
    Column("chunk", "chunk", 8, right=True),
    Column("state", "state", 10),
    Column("attempts", "tries", 5, right=True),
    Column("client", "client", 16),
    Column("seconds", "time", 9, right=True),
    Column("rows", "rows", 13, right=True),
    Column("error", "cause", 20, grow=1),
)


def as_json(report: Report, name: str, rows: Iterable[ReportRow]) -> Iterator[str]:
    """One JSON object, one chunk a line; docs/console.md names its keys."""
    whole = {"format": FORMAT, "run": name, "verdict": report.verdict, "counts": report.counts}
    whole |= {"elapsed": report.elapsed, "totals": totals(report), "transactions": report.transaction_totals}
    lists: dict[str, Sequence[Any]] = {
        key: getattr(report, key) for key in ("hosts", "clients", "tables", "stages", "slowest", "problems", "causes")
    }
    parts = [f'"{key}": {_json(value)}' for key, value in (whole | lists).items()]
    yield "{\n" + ",\n".join(parts) + ',\n"chunks": ['
    before = "\n"
    for row in rows:
        yield before + _json(row)
        before = ",\n"
    yield "\n]\n}\n"


def as_markdown(report: Report, name: str, rows: Iterable[ReportRow] = ()) -> Iterator[str]:
    """Verdict, figures, a table for each part of the report, and one of ``rows`` if there are any."""
    yield f"# {_escaped(name)}\n\n{_escaped(verdict(report).text)}\n\n"
    yield "".join(f"- {word}: {value}\n" for word, value in facts(report))
    for section in sections(report, Signs(unicode=True)):
        yield from _table(section)
    first = True
    for row in rows:
        if first:
            yield f"\n## Chunks\n\n{_header(_ROW_COLUMNS)}"
            first = False
        yield _line(_cells(row))


def as_lines(rows: Iterable[ReportRow]) -> Iterator[str]:
    """A line a chunk in columns, for a terminal or a file of text."""
    yield _plain([Cell(column.title) for column in _ROW_COLUMNS])
    for row in rows:
        yield _plain(_cells(row))


def as_ranges(rows: Iterable[ReportRow]) -> Iterator[str]:
    """Ids, or inclusive ranges ``first:last`` of ids that follow one another, one a line: what ``--chunks`` reads."""
    first = last = -2
    for row in rows:
        if row.chunk_id != last + 1:
            if first >= 0:
                yield _range(first, last)
            first = row.chunk_id
        last = row.chunk_id
    if first >= 0:
        yield _range(first, last)


def _range(first: int, last: int) -> str:
    return f"{first}\n" if first == last else f"{first}:{last}\n"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


# ---- Markdown


def _escaped(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", harmless(text))


def _header(columns: Sequence[Column]) -> str:
    rule = ["---:" if column.right else "---" for column in columns]
    return f"| {' | '.join(column.title or ' ' for column in columns)} |\n| {' | '.join(rule)} |\n"


def _line(cells: Iterable[Cell]) -> str:
    return f"| {' | '.join(_escaped(cell.text) for cell in cells)} |\n"


def _table(section: Section) -> Iterator[str]:
    yield f"\n## {section.title}\n\n{_header(section.rows.columns)}"
    for row in range(len(section.rows)):
        yield _line(section.rows.line(row).cells)


# ---- rows


def _cells(row: ReportRow) -> list[Cell]:
    return [
        Cell(str(row.chunk_id)),
        Cell(row.state),
        Cell(str(row.attempts)),
        Cell(harmless(row.client)),
        Cell("" if row.seconds is None else exact(row.seconds)),
        Cell(f"{row.rows:,}" if row.state == "completed" else ""),
        Cell(harmless(row.error)),
    ]


def _plain(cells: Sequence[Cell]) -> str:
    parts = []
    for cell, column in zip(cells, _ROW_COLUMNS, strict=True):
        parts.append(cell.text if column.grow else pad(cell.text, column.width, right=column.right))
    return "  ".join(parts).rstrip() + "\n"
