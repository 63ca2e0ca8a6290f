"""The canvas of the sky map: two square pixels a cell; without colour, a sign a cell."""

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from dgconsole.console.paint import guarded, paint_of
from dgconsole.views.chunks import ChunkModel
from dgconsole.views.sky import SkyMap, step

COLORS: tuple[str, ...] = (
    "background",
    "map-bare",
    "map-grid",
    "map-pending",
    "map-some",
    "map-half",
    "map-most",
    "map-done",
    "tone-soft",
    "tone-busy",
    "tone-warm",
    "tone-hot",
)
"""Colours by what a pixel shows."""
SIGNS = "   ·░▒▓✓◆▶↻✗"
ASCII_SIGNS = "   .:oO+=>~x"


class SkyCanvas(Widget):
    """Paints a ``SkyMap``; only the lines that changed."""

    class Moved(Message):
        """The cursor stands on another pixel, or the mouse put it there."""

    def __init__(self, id: str, *, with_cursor: bool = False) -> None:  # noqa: A002
        super().__init__(id=id)
        self.map: SkyMap | None = None
        self.cursor: tuple[int, int] | None = None
        self._with_cursor = with_cursor
        self._model: ChunkModel | None = None
        self._version = -1

    def show(self, model: ChunkModel, version: int) -> None:
        """Show the model as it stands at ``version``; the map is made anew only for another size."""
        width, height = self._pixels()
        if width < 8 or not len(model):
            return
        if self.map is None or model is not self._model or (self.map.width, self.map.height) != (width, height):
            old = self.map
            self.map, self._model, self._version = SkyMap(model.boxes, model.states, width, height), model, version
            self._place_cursor(old)
            self.refresh()
        elif version != self._version:
            self._version = version
            for row in {int(row) // 2 for row in self.map.update(model.states)}:
                self._refresh_line(row)

    def _pixels(self) -> tuple[int, int]:
        """Width and height of the map in pixels: twice as wide as high, even numbers."""
        width = min(self.size.width, 4 * (self.size.height - self._labelled)) // 4 * 4
        return width, width // 2

    @property
    def _labelled(self) -> bool:
        return self._with_cursor and self.size.height >= 12

    @property
    def _corner(self) -> tuple[int, int]:
        """First cell and line of the map."""
        assert self.map is not None
        return (self.size.width - self.map.width) // 2, (
            self.size.height - self._labelled - self.map.height // 2
        ) // 2

    # ---- the cursor

    def _place_cursor(self, old: SkyMap | None) -> None:
        if not self._with_cursor or self.map is None:
            return
        if self.cursor is None or old is None:
            ys, xs = np.nonzero(self.map.shows_targets())
            best = int(np.argmax(self.map.pixels[ys, xs])) if len(xs) else -1
            self.cursor = (int(xs[best]), int(ys[best])) if best >= 0 else (self.map.width // 2, self.map.height // 2)
        else:
            x, y = self.cursor
            self.cursor = (x * self.map.width // old.width, y * self.map.height // old.height)
        self.post_message(self.Moved())

    def move(self, dx: int, dy: int) -> None:
        """To the next pixel with targets in a direction."""
        if self.map is not None and self.cursor is not None:
            self._set_cursor(step(self.map.shows_targets(), self.cursor, dx, dy))

    def point_at(self, index: int) -> None:
        """Put the cursor on the pixel of the chunk at ``index``."""
        if self.map is not None:
            pixel = int(self.map.pixel_of[index])
            self._set_cursor((pixel % self.map.width, pixel // self.map.width))

    def _set_cursor(self, to: tuple[int, int]) -> None:
        old, self.cursor = self.cursor, to
        for place in (old, to):
            for line in range(place[1] // 2 - 1, place[1] // 2 + 2) if place is not None else ():
                self._refresh_line(line)
        self.post_message(self.Moved())

    def under_cursor(self) -> list[int]:
        """Indices of the chunks at the cursor, the worst state first."""
        if self.map is None or self.cursor is None:
            return []
        x, y = self.cursor
        return [int(i) for i in self.map.members(y * self.map.width + x)]

    def on_click(self, event: events.Click) -> None:
        if self.map is None or not self._with_cursor:
            return
        left, top = self._corner
        x, y = event.x - left, (event.y - top) * 2
        if 0 <= x < self.map.width and 0 <= y < self.map.height:
            if not self.map.shows_targets()[y, x]:
                y += 1
            self._set_cursor((x, y))

    # ---- painting

    def _refresh_line(self, row: int) -> None:
        self.refresh(Region(0, row + self._corner[1], self.size.width, 1))

    @guarded
    def render_line(self, y: int) -> Strip:
        paint = paint_of(self)
        width = self.size.width
        blank = paint.style("", "background")
        if self.map is None:
            return Strip.blank(width, blank)
        left, top = self._corner
        row = (y - top) * 2
        if row == self.map.height and self._labelled:
            return Strip([Segment(self._labels(left), paint.style("dim", "background"))]).adjust_cell_length(
                width, blank
            )
        if not 0 <= row < self.map.height:
            return Strip.blank(width, blank)
        upper, lower = self.map.pixels[row], self.map.pixels[row + 1]
        segments = [Segment(" " * left, blank)] if left else []
        segments += (
            self._signs(upper, lower) if self.app.no_color or not self._unicode else self._blocks(upper, lower)
        )
        strip = Strip(segments).adjust_cell_length(width, blank)
        return self._with_cross(strip, row // 2, left, upper, lower)

    def _labels(self, left: int) -> str:
        """Right ascensions under the equator's quarters; they grow to the left."""
        assert self.map is not None
        width = self.map.width
        line = [" "] * (left + width + 4)
        for text, quarter in (("180°", 0), ("RA 90°", 1), ("0°", 2), ("270°", 3), ("180°", 4)):
            at = max(min(left + width * quarter // 4 - len(text) // 2, left + width - len(text)), 0)
            line[at : at + len(text)] = text
        return "".join(line)

    def _with_cross(
        self, strip: Strip, row: int, left: int, upper: NDArray[np.uint8], lower: NDArray[np.uint8]
    ) -> Strip:
        """The line with its part of the cross that marks the cursor, each piece on the colour it covers."""
        if self.cursor is None or self.map is None:
            return strip
        x, y = self.cursor[0], self.cursor[1] // 2
        pieces = {y - 1: "│", y: "─┼─", y + 1: "│"} if self._unicode else {y: "-X-"}
        text = pieces.get(row, "")
        for k, sign in enumerate(text):
            at = x + k - len(text) // 2
            if 0 <= at < self.map.width:
                code = int(max(upper[at], lower[at])) if row == y else int(upper[at] if row > y else lower[at])
                cell = Strip([Segment(sign, paint_of(self).pair("tone-strong", COLORS[code]) + Style(bold=True))])
                strip = Strip.join([strip.crop(0, left + at), cell, strip.crop(left + at + 1)])
        return strip

    @property
    def _unicode(self) -> bool:
        return bool(self.app.signs.unicode)  # type: ignore[attr-defined]

    def _blocks(self, upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> list[Segment]:
        paint = paint_of(self)
        pairs = upper.astype(np.int32) * 256 + lower
        starts = np.flatnonzero(np.diff(pairs, prepend=-1))
        ends = [*starts[1:].tolist(), len(pairs)]
        segments = []
        for start, end in zip(starts.tolist(), ends, strict=True):
            above, below = int(upper[start]), int(lower[start])
            if above == below:
                segments.append(Segment(" " * (end - start), paint.pair("foreground", COLORS[above])))
            else:
                segments.append(Segment("▀" * (end - start), paint.pair(COLORS[above], COLORS[below])))
        return segments

    def _signs(self, upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> list[Segment]:
        shown = np.maximum(upper, lower)
        text = "".join((SIGNS if self._unicode else ASCII_SIGNS)[code] for code in shown.tolist())
        return [Segment(text, paint_of(self).style("plain", "background"))]
