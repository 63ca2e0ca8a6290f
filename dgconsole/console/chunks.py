"""The third screen: every chunk, filtered as typed, sorted, marked; and one chunk's history beside them."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.widgets import Input

from dgconsole.console.feed import Feed
from dgconsole.console.pane import Lines, Pane, Target
from dgconsole.console.recall import RecallInput
from dgconsole.console.table import LineTable
from dgconsole.snapshot import ChunkHistory, LogLine
from dgconsole.views.chunks import SORTS, ChunkModel, ChunkRows
from dgconsole.views.filters import HINT, Filter, parse
from dgconsole.views.grid import Cell
from dgconsole.views.history import SLACK, history_lines
from dgconsole.views.text import plural

ATTEMPTS_WITH_LINES = 3
"""How many of a chunk's attempts, the newest, are shown with log lines."""


class Chunks(Pane):
    """The filter, the list, the history."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "open", "Open", key_display="enter", tooltip="Show the history of the chunk under the cursor"
        ),
        Binding("space", "mark", "Mark", tooltip="Mark the chunk; r retries all that are marked"),
        Binding(
            "slash",
            "filter",
            "Filter",
            key_display="/",
            tooltip="Keep some: by state, host, client, error, attempts, rows, ids",
        ),
        Binding("s", "sort", "Sort", tooltip="Sort by the next column"),
        Binding("S", "reverse", "Reverse order", show=False, tooltip="Sort the other way round"),
        Binding("escape", "back", "Back", show=False, tooltip="Close the history, then clear marks, then filter"),
    ]

    def __init__(self) -> None:
        super().__init__("chunks")
        self._feed: Feed | None = None
        self._model: ChunkModel | None = None
        self._filter = Filter()
        self._sort, self._reverse = "id", False
        self._marked: set[int] = set()
        self._painted: tuple[object, ...] = ()
        self._open = -1
        self._open_revision: tuple[int, int] = (-1, -1)
        self._known: dict[tuple[int, int], tuple[LogLine, ...]] = {}

    def compose(self) -> ComposeResult:
        with Horizontal(id="filter-line"):
            yield Lines("filter-word")
            yield RecallInput("chunk-filter", HINT)
            yield Lines("filter-count")
        with Container(id="chunk-body"):
            with Vertical(classes="panel", id="chunk-panel") as panel:
                panel.border_title = "Chunks"
                yield LineTable(id="chunk-table", empty="no chunk", classes="-keeps-cursor")
            with VerticalScroll(classes="panel", id="history") as history:
                history.border_title = "History"
                history.border_subtitle = "escape: close"
                yield Lines("history-text")

    def on_mount(self) -> None:
        self._table = self.query_one(LineTable)
        self._field = self.query_one(RecallInput)
        self._history = self.query_one("#history")
        self._history.display = False
        self.query_one("#filter-word", Lines).show_lines([[Cell(" / ", "key")]])

    def focus_first(self) -> None:
        self._table.focus()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < 110, "-stacked")

    # ---- showing

    async def refresh_from(self, feed: Feed) -> None:
        self._feed, self._model = feed, await feed.pull_chunks()
        self._show()
        await self._show_history()

    def _show(self) -> None:
        if self._feed is None or self._model is None:
            return
        painted = (self._feed.chunks_version, self._filter, self._sort, self._reverse, frozenset(self._marked))
        if painted == self._painted:
            return
        self._painted = painted
        order = self._model.select(self._filter, self._sort, reverse=self._reverse)
        self._table.show(ChunkRows(self._model, order, self._marked, self.signs), self._sort, reverse=self._reverse)
        self._table.say_empty("nothing matches the filter; escape clears it" if self._filter else "no chunk")
        counted = f"{len(order):,} of {plural(len(self._model), 'chunk')}" if self._filter else ""
        marks = f"{len(self._marked):,} marked" if self._marked else ""
        words = [Cell(f"  {self._filter.problem}" if self._filter.problem else "", "warm")]
        words += [Cell(f"  {text}", tone) for text, tone in ((counted, "dim"), (marks, "key")) if text]
        self.query_one("#filter-count", Lines).show_lines([[*words, Cell(" ")]])
        dash = self.signs.plain("─", "-")
        wanted = f" {dash} filter: {self._field.value.strip()}" if self._filter else ""
        self.retitle("#chunk-panel", f"Chunks {dash} {len(self._model):,}{wanted}")

    async def _show_history(self) -> None:
        if self._open < 0 or self._feed is None or self._model is None:
            return
        now = (self._open, self._feed.snapshot.revision)
        if now == self._open_revision:
            return
        self._open_revision = now
        history = await self._feed.handle.chunk_history(self._open)
        lines = [[Cell("nothing is known of this chunk", "dim")]]
        if history is not None:
            index = self._model.index(self._open)
            box = tuple(self._model.boxes[index].tolist()) if index >= 0 else None
            said = await self._said(self._feed, history)
            lines = history_lines(history, box, self._feed.wall(), self.signs, said)
        self.query_one("#history-text", Lines).show_lines(lines)

    async def _said(self, feed: Feed, history: ChunkHistory) -> dict[int, tuple[LogLine, ...]]:
        """The last log lines of the newest attempts; those of an attempt that ended long ago are asked for once."""
        said = {}
        for attempt in history.attempts[-ATTEMPTS_WITH_LINES:]:
            key = (history.chunk, attempt.attempt)
            over = attempt.ended is not None and feed.snapshot.wall > attempt.ended + 2 * SLACK
            lines = self._known[key] if key in self._known else await feed.said_in(history.chunk, attempt)
            said[attempt.attempt] = lines
            if over:
                self._known[key] = lines
        while len(self._known) > 100:
            del self._known[next(iter(self._known))]
        return said

    # ---- what the keys are about

    def _chunk(self) -> int:
        key = self._table.key
        return key if isinstance(key, int) else -1

    def target(self) -> Target:
        chunk = self._chunk()
        index = self._model.index(chunk) if self._model is not None else -1
        if self._model is None or index < 0:
            return Target()
        return Target(chunk, *self._model.client(index))

    def chunks_to_retry(self) -> tuple[int, ...]:
        if self._marked:
            return tuple(sorted(self._marked))
        chunk = self._chunk()
        return (chunk,) if chunk >= 0 else ()

    def forget_marks(self) -> None:
        """After they were retried."""
        self._marked.clear()
        self._show()

    async def open_chunk(self, chunk: int) -> None:
        """Put the cursor on a chunk, whatever the filter, and open its history."""
        if not self._table.go(chunk):
            self._field.clear_kept()
            self._filter = Filter()
            self._show()
            self._table.go(chunk)
        self._open = chunk
        self._history.display = True
        await self._show_history()

    def set_filter(self, text: str) -> None:
        """Filter by ``text``, as if it had been typed."""
        self._field.keep()
        self._field.value = text
        self._field.keep()

    async def action_open(self) -> None:
        if self._chunk() >= 0:
            await self.open_chunk(self._chunk())

    async def on_line_table_opened(self, _: LineTable.Opened) -> None:
        await self.action_open()

    async def on_line_table_moved(self, _: LineTable.Moved) -> None:
        if self._history.display and self._chunk() >= 0:
            self._open = self._chunk()
            await self._show_history()

    def action_mark(self) -> None:
        if self._chunk() >= 0:
            self._marked ^= {self._chunk()}
            self._show()
            self._table.action_move(1)

    # ---- filter and sort

    def action_filter(self) -> None:
        self._field.open()

    def action_back(self) -> None:
        if self._field.has_focus:
            self._field.keep()
            self._table.focus()
        elif self._history.display:
            self._history.display = False
            self._open = -1
            self._table.focus()
        elif self._marked:
            self.forget_marks()
        else:
            self._field.clear_kept()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._filter = parse(event.value)
        self._painted = ()
        self._show()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self._field.keep()
        self._table.focus()

    def _sort_by(self, column: str, *, reverse: bool) -> None:
        self._sort, self._reverse = column, reverse
        self._show()

    def action_sort(self) -> None:
        column = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self._sort_by(column, reverse=column in ("attempts", "rows", "seconds"))

    def action_reverse(self) -> None:
        self._sort_by(self._sort, reverse=not self._reverse)

    def on_line_table_header_clicked(self, event: LineTable.HeaderClicked) -> None:
        if event.column in SORTS:
            self._sort_by(event.column, reverse=event.column == self._sort and not self._reverse)
