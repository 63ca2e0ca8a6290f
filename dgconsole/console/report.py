"""The fifth screen: the totals of the run, and how it ended."""

from time import perf_counter
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll

from dgconsole.console.feed import Feed
from dgconsole.console.paint import width_of
from dgconsole.console.pane import Lines, Pane, Target
from dgconsole.console.table import LineTable
from dgconsole.snapshot import Report as ReportData
from dgconsole.views.filters import quoted
from dgconsole.views.grid import Cell
from dgconsole.views.report import facts, sections, verdict

_ROWS = (("causes", "problems"), ("hosts", "clients"), ("tables", "stages"), ("slowest",))
_KEYS = tuple(key for row in _ROWS for key in row)
_SHARE = 0.05
"""Of the time at most for making reports: one that takes long is made less often."""


class Report(Pane):
    """The verdict, the few figures of the whole, and a table for each question."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "open",
            "Open",
            key_display="enter",
            tooltip="Open the chunk, or the chunks of the cause, under the cursor",
        ),
    ]

    def __init__(self) -> None:
        super().__init__("report")
        self._seen = -1
        self._next = 0.0
        self._report: ReportData | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="panel", id="verdict") as panel:
            panel.border_title = "Report"
            yield Lines("verdict-text")
        with VerticalScroll(id="report-scroll", can_focus=False):
            for row in _ROWS:
                with Container(classes="row", id=f"row-{row[0]}"):
                    for key in row:
                        with Vertical(classes="panel section", id=f"section-{key}") as section:
                            section.display = False
                            yield LineTable(id=f"table-{key}")

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= 150, "-wide")
        self.set_class(event.size.width < 100, "-stacked")

    def focus_first(self) -> None:
        first = next((self._table(key) for key in _KEYS if self.query_one(f"#section-{key}").display), None)
        if first is not None:
            first.focus()

    def _table(self, key: str) -> LineTable:
        return self.query_one(f"#table-{key}", LineTable)

    async def refresh_from(self, feed: Feed) -> None:
        began = perf_counter()
        if self._seen == feed.snapshot.revision or (began < self._next and not feed.ended):
            return
        self._seen = feed.snapshot.revision
        self._report = await feed.handle.report()
        self._show(self._report)
        ended = perf_counter()
        self._next = ended + (ended - began) / _SHARE

    def _show(self, report: ReportData) -> None:
        self.query_one("#verdict-text", Lines).show_lines([[verdict(report)], *self._figures(report)])
        made = {section.key: section for section in sections(report, self.signs)}
        for key in _KEYS:
            panel = self.query_one(f"#section-{key}")
            section = made.get(key)
            panel.display = section is not None
            if section is not None:
                self.retitle(f"#section-{key}", section.title)
                panel.query_one(LineTable).show(section.rows)
        focused = self.app.focused
        if focused is None or self not in focused.ancestors:
            self.focus_first()

    def _figures(self, report: ReportData) -> list[list[Cell]]:
        """The figures of the whole, as many on a line as there is room for."""
        lines: list[list[Cell]] = [[]]
        for word, value in facts(report):
            pair = [Cell(f"{word} ", "dim"), Cell(f"{value}   ", "strong")]
            if lines[-1] and width_of([*lines[-1], *pair]) > self.app.size.width - 4:
                lines.append([])
            lines[-1] += pair
        return lines

    def _focused(self) -> tuple[str, object]:
        for table in self.query(LineTable):
            if table.has_focus:
                return (table.id or "").removeprefix("table-"), table.key
        return "", None

    def target(self) -> Target:
        section, key = self._focused()
        if section in ("problems", "slowest") and isinstance(key, int):
            return Target(chunk=key)
        if section == "clients" and isinstance(key, str):
            return Target(client=key, host="")
        return Target(host=key) if section == "hosts" and isinstance(key, str) else Target()

    def chunks_to_retry(self) -> tuple[int, ...]:
        section, key = self._focused()
        if section == "problems" and isinstance(key, int):
            return (key,)
        if section == "causes" and self._report is not None:
            return next((cause.chunks for cause in self._report.causes if cause.text == key), ())
        return ()

    async def action_open(self) -> None:
        section, key = self._focused()
        if section in ("problems", "slowest") and isinstance(key, int):
            await self.console.open_chunk(key)
        elif section == "causes":
            await self.console.show_chunks(f"state:limbo {quoted('error', str(key))}")
        elif section == "clients":
            await self.console.show_chunks(quoted("client", str(key)))
        elif section == "hosts":
            await self.console.show_chunks(quoted("host", str(key)))

    async def on_line_table_opened(self, _: LineTable.Opened) -> None:
        await self.action_open()
