"""The report in the form that somebody asked for, in pieces of text or as a file."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from dgconsole.coordinator.report import csv_lines, write_lines
from dgconsole.snapshot import Report, ReportRow
from dgconsole.views.exports import as_json, as_markdown

FILE_FORMATS = ("csv", "md", "json")


def text_of(form: str, report: Report, name: str, rows: Iterable[ReportRow]) -> Iterator[str]:
    """``form`` is one of FILE_FORMATS; a whole report as Markdown has no table of its chunks."""
    if form == "csv":
        return csv_lines(rows)
    return as_json(report, name, rows) if form == "json" else as_markdown(report, name)


def write_export(path: Path, form: str, report: Report, name: str, rows: Iterable[ReportRow]) -> None:
    """A file under its name only when whole. OSError when it cannot be written."""
    write_lines(text_of(form, report, name, rows), path)


def writer(path: Path, form: str, report: Report, name: str) -> "partial[None]":
    """What writes the file, once it is given the rows."""
    return partial(write_export, path, form, report, name)
