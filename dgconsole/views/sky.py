"""The sky, or a window of it, as square pixels, each knowing the state of its chunks.

The projection is Mollweide's; the whole sky has RA 0 in the middle.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgconsole.snapshot import CHUNK_STATES, ChunkState
from dgconsole.views import mollweide
from dgconsole.views.signs import CODES

OUTSIDE, BARE, GRID, PENDING, SOME, HALF, MOST, DONE, DELIVERED, ASSIGNED, RETRYING, LIMBO = range(12)
"""What a pixel shows: not the sky; sky without targets (GRID: on a line of the graticule, every 60 degrees of RA and
30 of Dec); targets, none to all done; or the worst state in it."""

_BANDS = 4


LARGEST_ZOOM = 128
_STATES = len(CHUNK_STATES)
_PART = 1 << 17


class Window(NamedTuple):
    """What is shown: all of the sky at zoom 1, else the surroundings of a place, magnified."""

    zoom: int = 1
    ra: float = 0.0
    dec: float = 0.0

    @property
    def meridian(self) -> float:
        """The RA in the middle, around which nothing is sheared."""
        return self.ra if self.zoom > 1 else 0.0

    @property
    def height(self) -> float:
        """The ellipse's y in the middle; the window never reaches far over a pole."""
        most = 1.0 - 1.0 / self.zoom
        return float(np.clip(np.sin(mollweide.latitude_angle(np.array([self.dec]))[0]), -most, most))


class SkyPlaces:
    """Where chunks lie, whatever the window; made once for all maps of them.

    Parameters
    ----------
    boxes
        float64, shape (n, 4): ra_min, ra_max, dec_min, dec_max in degrees, in the order of chunk ids: stripe by
        stripe northwards, by RA in each; those of a stripe share dec_min and dec_max.
    """

    def __init__(self, boxes: NDArray[np.float64]) -> None:
        self.boxes = boxes
        south = boxes[:, 2]
        self._first = np.flatnonzero(np.concatenate([[True], south[1:] != south[:-1]])[: len(boxes)])
        """Where each stripe begins."""
        self._south = south[self._first]
        self._theta = mollweide.latitude_angle((self._south + boxes[self._first, 3]) / 2)

    def __len__(self) -> int:
        return len(self.boxes)

    def middle(self, index: int) -> tuple[float, float]:
        """RA and Dec of the middle of one chunk."""
        ra_min, ra_max, dec_min, dec_max = self.boxes[index].tolist()
        return (ra_min + ra_max) / 2, (dec_min + dec_max) / 2

    def middles(
        self, window: Window, first: int = 0, last: int | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The middles, from one index to before another, in the window's own plane: it shows x and y from -1 to 1."""
        boxes = self.boxes[first:last]
        theta = self._theta[np.searchsorted(self._first, np.arange(first, first + len(boxes)), side="right") - 1]
        x, y = mollweide.across((boxes[:, 0] + boxes[:, 1]) / 2, theta, window.meridian), np.sin(theta)
        return x * window.zoom, (y - window.height) * window.zoom

    def owners(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
        """The index of the chunk that holds each position, -1 where none does."""
        if not len(self):
            return np.full(ra.shape, -1, np.int64)
        stripe = np.maximum(np.searchsorted(self._south, dec, side="right") - 1, 0)
        low = self._first[stripe]
        high = np.append(self._first[1:], len(self))[stripe]
        while (high - low).max(initial=0) > 1:  # the last chunk of the stripe that begins at or before ra
            middle = (low + high) // 2
            right = self.boxes[middle, 0] <= ra
            low, high = np.where(right, middle, low), np.where(right, high, middle)
        box = self.boxes[low]
        inside = (box[:, 2] <= dec) & (dec <= box[:, 3]) & (box[:, 0] <= ra) & (ra <= box[:, 1])
        return np.where(inside, low, -1)


class SkyMap:
    """Pixels of a map ``width`` x ``height`` and the chunks in each; kept up to date by changes alone.

    A chunk counts in the pixel of its middle. A pixel that holds no chunk's middle shows the chunk it lies in.
    """

    def __init__(
        self,
        places: SkyPlaces,
        states: NDArray[np.uint8],
        width: int,
        height: int,
        window: Window = Window(),  # noqa: B008 - frozen
    ) -> None:
        self.width, self.height, self.window = width, height, window
        self._states = states.copy()
        ra, dec, on_sky = self.positions(np.arange(width * height))
        self.pixel_of = np.empty(len(places), np.int32)
        """int32, shape (n,): the pixel of each chunk's middle, -1 outside the window."""
        self._counts = np.zeros((width * height, _STATES), np.int32)
        self._place(places, on_sky.reshape(height, width))
        self.owner = np.where(on_sky, places.owners(ra, dec), -1)
        """int64, shape (pixels,): the chunk that holds the pixel's middle, -1 none."""
        self._lone = np.flatnonzero((self._counts.sum(axis=1) == 0) & (self.owner >= 0))
        lines = _graticule(ra, dec, on_sky.reshape(height, width), window)
        self._ground = np.where(on_sky, np.where(lines, GRID, BARE), OUTSIDE).astype(np.uint8)
        self.pixels = self._paint()
        """uint8, shape (height, width): what each pixel shows."""

    def positions(
        self, pixels: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """RA and Dec of the middles of pixels, and which of them lie on the sky."""
        window = self.window
        x = ((pixels % self.width + 0.5) / self.width * 2 - 1) / window.zoom
        y = (1 - (pixels // self.width + 0.5) / self.height * 2) / window.zoom + window.height
        return mollweide.inverse(x, y, window.meridian)

    def _place(self, places: SkyPlaces, on_sky: NDArray[np.bool_]) -> None:
        """Find each chunk's pixel and count; a part of the chunks at a time, as a big sky takes much memory."""
        width, height = self.width, self.height
        seen = on_sky.any(axis=1)
        first = np.where(seen, np.argmax(on_sky, axis=1), 0)
        last = np.where(seen, width - 1 - np.argmax(on_sky[:, ::-1], axis=1), width - 1)
        for start in range(0, len(places), _PART):
            part = slice(start, start + _PART)
            x, y = places.middles(self.window, start, start + _PART)
            row = np.clip(((1 - y) / 2 * height).astype(np.int64), 0, height - 1)
            column = np.clip(((x + 1) / 2 * width).astype(np.int64), first[row], last[row])
            inside = (np.abs(x) <= 1.0) & (np.abs(y) <= 1.0)
            pixels = row * width + column
            self.pixel_of[part] = np.where(inside, pixels, -1)
            keys = (pixels * _STATES + self._states[part])[inside]
            self._counts += np.bincount(keys, minlength=self._counts.size).reshape(self._counts.shape)

    def update(self, states: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Take in new states, shape (n,); the pixel rows that look different now."""
        changed = np.flatnonzero(states != self._states)
        if len(changed):
            shown = changed[self.pixel_of[changed] >= 0]
            at = self.pixel_of[shown]
            np.subtract.at(self._counts, (at, self._states[shown]), 1)
            np.add.at(self._counts, (at, states[shown]), 1)
            self._states[changed] = states[changed]
        pixels = self._paint()
        rows = np.flatnonzero((pixels != self.pixels).any(axis=1))
        self.pixels = pixels
        return rows

    def members(self, pixel: int) -> NDArray[np.intp]:
        """The chunks whose middle lies in a pixel, else the one it lies in; the worst state first."""
        found = np.flatnonzero(self.pixel_of == pixel)
        if not len(found) and self.owner[pixel] >= 0:
            found = np.array([self.owner[pixel]], np.intp)
        return found[np.argsort(_WORST[self._states[found]], kind="stable")]

    def shows_targets(self) -> NDArray[np.bool_]:
        """Which pixels hold targets, shape (height, width)."""
        return self.pixels > GRID

    def _paint(self) -> NDArray[np.uint8]:
        counts = self._counts
        total = counts.sum(axis=1)
        done = counts[:, CODES[ChunkState.COMPLETED]]
        full = np.maximum(total, 1)
        band = np.where(done == total, _BANDS, np.minimum(done * _BANDS // full, _BANDS - 1))
        band = np.where((done > 0) & (band == 0), 1, band)
        shown = np.where(total > 0, PENDING + band, self._ground).astype(np.uint8)
        for state, look in _LOUD:
            shown[counts[:, CODES[state]] > 0] = look
        shown[self._lone] = _LOOK[self._states[self.owner[self._lone]]]
        return shown.reshape(self.height, self.width)


def _graticule(
    ra: NDArray[np.float64], dec: NDArray[np.float64], on_sky: NDArray[np.bool_], window: Window
) -> NDArray[np.bool_]:
    """The pixels where a line of the graticule passes between their middle and the one before, shape (pixels,)."""
    apart = spacing(window)
    parallels = np.floor(dec / apart + 1e-9).reshape(on_sky.shape)
    east = (ra - window.meridian + 180.0) % 360.0 + window.meridian
    meridians = np.floor(east / (2 * apart) + 1e-9).reshape(on_sky.shape)
    lines = np.zeros(on_sky.shape, np.bool_)
    lines[1:] |= (parallels[1:] != parallels[:-1]) & on_sky[:-1]
    lines[:, 1:] |= (meridians[:, 1:] != meridians[:, :-1]) & on_sky[:, :-1]
    return lines.ravel()


def spacing(window: Window) -> float:
    """Degrees of Dec between two lines of the graticule; those of RA stand twice as far apart."""
    return next(apart for apart in (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0) if apart * window.zoom >= 30.0)


_LOUD = (
    (ChunkState.DELIVERED, DELIVERED),
    (ChunkState.ASSIGNED, ASSIGNED),
    (ChunkState.RETRYING, RETRYING),
    (ChunkState.LIMBO, LIMBO),
)
_LOOK = np.zeros(256, np.uint8)
_LOOK[: len(CHUNK_STATES)] = [
    {ChunkState.PENDING: PENDING, ChunkState.COMPLETED: DONE, **dict(_LOUD)}[state] for state in CHUNK_STATES
]
_WORST = np.zeros(256, np.uint8)
_WORST[: len(CHUNK_STATES)] = [
    [
        ChunkState.LIMBO,
        ChunkState.RETRYING,
        ChunkState.ASSIGNED,
        ChunkState.DELIVERED,
        ChunkState.PENDING,
        ChunkState.COMPLETED,
    ].index(s)
    for s in CHUNK_STATES
]


def step(targets: NDArray[np.bool_], at: tuple[int, int], dx: int, dy: int) -> tuple[int, int]:
    """The next pixel with targets from ``at`` = (x, y) in one direction, straight ahead first; ``at`` if none.

    Distance sideways counts three times, and nothing farther aside than ahead is taken unless nothing else is there.
    """
    ys, xs = np.nonzero(targets)
    ahead = (xs - at[0]) * dx + (ys - at[1]) * dy
    aside = np.abs((xs - at[0]) * dy + (ys - at[1]) * dx)
    cost = np.where(ahead > 0, ahead + 3 * aside + np.where(aside > ahead, 1_000_000, 0), np.iinfo(np.int64).max)
    if not len(cost) or ahead.max() <= 0:
        return at
    best = int(np.argmin(cost))
    return int(xs[best]), int(ys[best])
