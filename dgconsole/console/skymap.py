"""The canvas of the sky map: two square pixels a cell; without colour, a sign a cell."""

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from dgconsole.console.paint import guarded, paint_of
from dgconsole.console.unbroken import Unbroken
from dgconsole.views.chunks import ChunkModel
from dgconsole.views.sky import LARGEST_ZOOM, SkyMap, SkyPlaces, Window, step

COLORS: tuple[str, ...] = (
    "background",
    "map-bare",
    "map-grid",
    "map-pending",
    "map-some",
    "map-half",
    "map-most",
    "map-done",
    "map-delivered",
    "map-assigned",
    "map-retrying",
    "map-limbo",
)
"""Colours by what a pixel shows."""
SIGNS = "   ·░▒▓✓◆▶↻✗"
ASCII_SIGNS = "   .:oO+=>~x"


class SkyCanvas(Unbroken, Widget):
    """Paints a ``SkyMap``; only the lines that changed."""

    class Moved(Message):
        """The cursor stands on another pixel, or the mouse put it there."""

    class Opened(Message):
        """A place was clicked twice."""

    def __init__(self, id: str, *, with_cursor: bool = False) -> None:  # noqa: A002
        super().__init__(id=id)
        self.map: SkyMap | None = None
        self.cursor: tuple[int, int] | None = None
        self._with_cursor = with_cursor
        self._model: ChunkModel | None = None
        self._places: SkyPlaces | None = None
        self._version = -1
        self.window = Window()

    def show(self, model: ChunkModel, version: int) -> None:
        """Show the model as it stands at ``version``; the map is made anew only for another size."""
        width, height = self._pixels()
        if width < 8 or not len(model):
            return
        if self._places is None or model is not self._model:
            self._places, self._model, self.map = SkyPlaces(model.boxes), model, None
        if self.map is None or (self.map.width, self.map.height) != (width, height):
            old = self.map
            self._version = version
            self._draw(width, height)
            self._place_cursor(old)
        elif version != self._version:
            self._version = version
            for row in {int(row) // 2 for row in self.map.update(model.states)}:
                self._refresh_line(row)

    def _draw(self, width: int, height: int) -> None:
        assert self._places is not None
        assert self._model is not None
        self.map = SkyMap(self._places, self._model.states, width, height, self.window)
        self.refresh()

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
        """To the next pixel with targets in a direction; where the window has none, the window moves."""
        if self.map is None or self.cursor is None:
            return
        to = step(self.map.shows_targets(), self.cursor, dx, dy)
        if to == self.cursor and self.window.zoom > 1:
            self._pan(dx, dy)
        else:
            self._set_cursor(to)

    def point_at(self, index: int) -> None:
        """Put the cursor on the chunk at ``index``, with the window around it where it is outside."""
        if self.map is None or self._places is None:
            return
        if self.map.pixel_of[index] < 0:
            self._look_at(Window(self.window.zoom, *self._places.middle(index)))
        pixel = int(self.map.pixel_of[index])
        self._set_cursor((pixel % self.map.width, pixel // self.map.width))

    def owner_of(self, ra: float, dec: float) -> int:
        """The index of the chunk that holds a position in degrees, -1 where none does."""
        return (
            int(self._places.owners(np.array([ra % 360.0]), np.array([dec]))[0]) if self._places is not None else -1
        )

    def zoom(self, *, closer: bool, index: int) -> None:
        """Twice as close, or half, around the chunk at ``index``; around the cursor for -1."""
        if self.map is None or self._places is None or self.cursor is None:
            return
        zoom = min(self.window.zoom * 2, LARGEST_ZOOM) if closer else max(self.window.zoom // 2, 1)
        if zoom == self.window.zoom:
            return
        ra, dec = self._places.middle(index) if index >= 0 else self._position(*self.cursor)
        self._look_at(Window(zoom, ra, dec))
        if index >= 0:
            self.point_at(index)

    def _pan(self, dx: int, dy: int) -> None:
        """Half a window on, if the sky goes on there."""
        assert self.map is not None
        width, height = self.map.width, self.map.height
        x, y = (width // 2 + dx * width // 2, height // 2 + dy * height // 2)
        ra, dec = self._position(min(max(x, 0), width - 1), min(max(y, 0), height - 1))
        moved = Window(self.window.zoom, ra, dec)
        if (moved.meridian, moved.height) != (self.window.meridian, self.window.height):
            self._look_at(moved)

    def _position(self, x: int, y: int) -> tuple[float, float]:
        assert self.map is not None
        ra, dec, _ = self.map.positions(np.array([y * self.map.width + x]))
        return float(ra[0]), float(dec[0])

    def _look_at(self, window: Window) -> None:
        """Another window; the cursor stands in its middle, or on the target nearest to that."""
        assert self.map is not None
        self.window = window
        self._draw(self.map.width, self.map.height)
        ys, xs = np.nonzero(self.map.shows_targets())
        middle = self.map.width // 2, self.map.height // 2
        best = int(np.argmin((xs - middle[0]) ** 2 + (ys - middle[1]) ** 2)) if len(xs) else -1
        self._set_cursor((int(xs[best]), int(ys[best])) if best >= 0 else middle)

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
            if event.chain > 1:
                self.post_message(self.Opened())

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
        """Right ascensions at the quarters of the middle line; they grow to the left."""
        assert self.map is not None
        width = self.map.width
        line = [" "] * (left + width + 4)
        texts = ["180°", "RA 90°", "0°", "270°", "180°"] if self.window.zoom == 1 else self._quarters()
        for quarter, text in enumerate(texts):
            at = max(min(left + width * quarter // 4 - len(text) // 2, left + width - len(text)), 0)
            line[at : at + len(text)] = text
        return "".join(line)

    def _quarters(self) -> list[str]:
        assert self.map is not None
        width, row = self.map.width, self.map.height // 2 * self.map.width
        ra, _, on_sky = self.map.positions(row + np.array([0, width // 4, width // 2, width * 3 // 4, width - 1]))
        texts = [f"{angle:.2f}°" if seen else "" for angle, seen in zip(ra.tolist(), on_sky.tolist(), strict=True)]
        return [texts[0], f"RA {texts[1]}", *texts[2:]]

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
                cell = Strip([Segment(sign, paint_of(self).over(COLORS[code]))])
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
