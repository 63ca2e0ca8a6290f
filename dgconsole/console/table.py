"""A table of lines over anything that makes a line at a time: a million rows as quick as ten."""

from collections.abc import Hashable
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from dgconsole.console.paint import guarded, paint_of
from dgconsole.console.unbroken import Unbroken
from dgconsole.views.grid import GAP, Cell, FixedRows, Line, Place, Rows, fit
from dgconsole.views.text import clip, clip_middle, harmless, number, pad


class LineTable(Unbroken, ScrollView, can_focus=True, inherit_bindings=False):
    """Shows ``Rows``. The cursor is a key, not a line: it follows its row when order or filter change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "edge(0)", "First row", show=False),
        Binding("end", "edge(1)", "Last row", show=False),
    ]

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, table: "LineTable", key: Hashable) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> "LineTable":
            return self.table

    class Opened(Moved):
        """The row under the cursor was clicked twice."""

    class HeaderClicked(Message):
        """A column's title was clicked."""

        def __init__(self, table: "LineTable", column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

        @property
        def control(self) -> "LineTable":
            return self.table

    def __init__(self, *, header: bool = True, empty: str = "", id: str | None = None, classes: str = "") -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._rows: Rows = FixedRows((), ())
        self._header = int(header)
        self._empty = Cell(empty, "dim")
        self._key: Hashable = None
        self._row = 0
        self._sort = ""
        self._reverse = False
        self._places: tuple[Place, ...] = ()
        self._fitted: tuple[object, int] = ((), -1)

    # ---- what is shown

    @property
    def rows(self) -> Rows:
        return self._rows

    @property
    def row(self) -> int:
        """The line of the cursor, counted from 0."""
        return self._row

    @property
    def key(self) -> Hashable:
        """The key under the cursor, None in an empty table."""
        return self._rows.key(self._row) if len(self._rows) else None

    def say_empty(self, text: str, tone: str = "dim") -> None:
        """What stands there while there are no rows."""
        if self._empty != (text, tone):
            self._empty = Cell(text, tone)
            self.refresh()

    def show(self, rows: Rows, sort: str = "", *, reverse: bool = False) -> None:
        """Show other rows; the cursor stays with its key where that is still there, else with its line."""
        if rows == self._rows and (sort, reverse) == (self._sort, self._reverse):
            return
        seen = self._in_view(self._row)
        old = self._key
        self._rows, self._sort, self._reverse = rows, sort, reverse
        count = len(rows)
        at = rows.find(self._key) if self._key is not None and count else -1
        self._row = at if at >= 0 else max(min(self._row, count - 1), 0)
        self._key = self.key
        if self.virtual_size.height != count + self._header:
            self.virtual_size = Size(1, count + self._header)
        if seen and not self._in_view(self._row):
            self._bring_into_view()
        self.refresh()
        if self._key != old:
            self.post_message(self.Moved(self, self._key))

    def go(self, key: Hashable) -> bool:
        """Put the cursor on a key; False when it is not shown."""
        at = self._rows.find(key)
        if at >= 0:
            self._to(at)
        return at >= 0

    # ---- moving

    def action_move(self, by: int) -> None:
        self._to(self._row + by)

    def action_page(self, by: int) -> None:
        self._to(self._row + by * max(self._visible - 1, 1))

    def action_edge(self, end: int) -> None:
        self._to(len(self._rows) - 1 if end else 0)

    def _to(self, row: int) -> None:
        row = max(min(row, len(self._rows) - 1), 0)
        if row != self._row:
            for line in (self._row, row):
                self.refresh_row(line)
            self._row = row
        old, self._key = self._key, self.key
        self._bring_into_view()
        if self._key != old:
            self.post_message(self.Moved(self, self._key))

    @property
    def _visible(self) -> int:
        return max(self.scrollable_content_region.height - self._header, 1)

    def _in_view(self, row: int) -> bool:
        top = self.scroll_offset.y
        return top <= row < top + self._visible

    def _bring_into_view(self) -> None:
        top = self.scroll_offset.y
        if self._row < top:
            top = self._row
        elif self._row >= top + self._visible:
            top = self._row - self._visible + 1
        else:
            return
        self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def refresh_row(self, row: int) -> None:
        """Paint one row again."""
        y = row - self.scroll_offset.y + self._header
        self.refresh(Region(0, y, self.size.width, 1))

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """A bar that was not there when the position changed starts at the position, not at the top."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def on_resize(self, _: events.Resize) -> None:
        if len(self._rows):
            self.call_after_refresh(self._bring_into_view)

    # ---- the mouse

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if self._header and offset.y == 0:
            for place in self._places:
                if place.x <= offset.x < place.x + place.width + GAP:
                    self.post_message(self.HeaderClicked(self, self._rows.columns[place.column].key))
            return
        row = offset.y - self._header + self.scroll_offset.y
        if row < len(self._rows):
            self._to(row)
            if event.chain > 1:
                self.post_message(self.Opened(self, self.key))

    # ---- painting

    @guarded
    def render_line(self, y: int) -> Strip:
        full = self.scrollable_content_region.width
        width = full - self.show_vertical_scrollbar
        columns = self._rows.columns
        if self._fitted != (columns, width):
            self._places, self._fitted = fit(columns, width), (columns, width)
        if self._header and y == 0:
            return self._title_line(width).adjust_cell_length(full, paint_of(self).style("", "background"))
        row = y - self._header + self.scroll_offset.y
        count = len(self._rows)
        if row >= count:
            cells = [self._empty] if not count and y == self._header else []
            return paint_of(self).line(cells, full, "background")
        ground = "background"
        if row == self._row and (self.has_focus or self.has_class("-keeps-cursor")):
            ground = "cursor" if self.has_focus else "cursor-away"
        return self._row_line(self._rows.line(row), width, ground).adjust_cell_length(
            full, paint_of(self).style("", ground)
        )

    def _title_line(self, width: int) -> Strip:
        cells = []
        at = 0
        for place in self._places:
            column = self._rows.columns[place.column]
            sorts = column.key == self._sort
            title = f"{column.title}{'▾' if self._reverse else '▴'}" if sorts else column.title
            title = pad(clip(title, place.width), place.width, right=column.right)
            gap = " " * (place.x - at)
            at = place.x + place.width
            cells.append(Cell(gap + title, "key" if sorts else "dim"))
        return paint_of(self).line(cells, width, "background")

    def _row_line(self, line: Line, width: int, ground: str) -> Strip:
        paint = paint_of(self)
        segments = []
        x = 0
        for place in self._places:
            if line.note is not None and place.column >= line.note_from:
                cell, room, right = line.note, width - place.x, False
            else:
                cell, room, right = line.cells[place.column], place.width, self._rows.columns[place.column].right
            text = harmless(cell.text)
            if line.note is not cell and self._rows.columns[place.column].middle:
                text = clip_middle(text, room)
            text = number(text, room) if right and text[:1].isdigit() else pad(text, room, right=right)
            if place.x > x:
                text = " " * (place.x - x) + text
            segments.append(Segment(text, paint.style(cell.tone, ground)))
            x = place.x + room
            if line.note is cell:
                break
        strip = Strip(segments, x)
        return strip.adjust_cell_length(width, paint.style("", ground))
