"""The whole sky in Mollweide's equal-area projection as square pixels, each knowing the state of its chunks.

RA 0 is in the middle and grows to the left, as seen from inside the sphere; north is up. Projection: Snyder, Map
projections, a working manual (USGS 1395), chapter 31.
"""

import numpy as np
from numpy.typing import NDArray

from dgconsole.snapshot import CHUNK_STATES, ChunkState
from dgconsole.views.signs import CODES

OUTSIDE, BARE, GRID, PENDING, SOME, HALF, MOST, DONE, DELIVERED, ASSIGNED, RETRYING, LIMBO = range(12)
"""What a pixel shows: not the sky; sky without targets (GRID: on a line of the graticule, every 60 degrees of RA and
30 of Dec); targets, none to all done; or the worst state in it."""

_BANDS = 4


def forward(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Degrees to the ellipse: x in [-1, 1] rightwards, y in [-1, 1] upwards."""
    phi = np.radians(dec)
    theta = phi.copy()
    for _ in range(30):  # Newton on 2t + sin 2t = pi sin phi, flattened at the poles where the slope is zero
        slope = 2 + 2 * np.cos(2 * theta)
        step = (2 * theta + np.sin(2 * theta) - np.pi * np.sin(phi)) / np.maximum(slope, 1e-9)
        theta = np.clip(theta - step, -np.pi / 2, np.pi / 2)
        if np.max(np.abs(step), initial=0.0) < 1e-9:
            break
    east = (np.asarray(ra) + 180.0) % 360.0 - 180.0
    return -east / 180.0 * np.cos(theta), np.sin(theta)


def inverse(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """The ellipse to degrees: RA in [0, 360), Dec, and which points lie on the sky at all."""
    theta = np.arcsin(np.clip(y, -1.0, 1.0))
    across = np.maximum(np.cos(theta), 1e-12)
    east = -180.0 * x / across
    on_sky = (np.abs(y) <= 1.0) & (np.abs(x) <= across)
    dec = np.degrees(np.arcsin(np.clip((2 * theta + np.sin(2 * theta)) / np.pi, -1.0, 1.0)))
    return east % 360.0, dec, on_sky


def owners(boxes: NDArray[np.float64], ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """The index of the box that holds each position, -1 where none does.

    ``boxes``, shape (n, 4), stand in stripes: those of one stripe share dec_min and are ascending in ra_min.
    """
    if not len(boxes):
        return np.full(ra.shape, -1, np.int64)
    order = np.lexsort((boxes[:, 0], boxes[:, 2]))
    stripes, stripe_of = np.unique(boxes[order, 2], return_inverse=True)
    keys = stripe_of * 1000.0 + boxes[order, 0]
    stripe = np.searchsorted(stripes, dec, side="right") - 1
    at = np.searchsorted(keys, np.maximum(stripe, 0) * 1000.0 + ra, side="right") - 1
    found = order[np.maximum(at, 0)]
    inside = (stripe >= 0) & (at >= 0)
    inside &= (boxes[found, 0] <= ra) & (ra <= boxes[found, 1]) & (boxes[found, 2] <= dec) & (dec <= boxes[found, 3])
    return np.where(inside, found, -1)


class SkyMap:
    """Pixels of a map ``width`` x ``height`` and the chunks in each; kept up to date by changes alone.

    A chunk counts in the pixel of its middle. A pixel that holds no chunk's middle shows the chunk it lies in.
    """

    def __init__(self, boxes: NDArray[np.float64], states: NDArray[np.uint8], width: int, height: int) -> None:
        self.width, self.height = width, height
        self._boxes = boxes
        self._states = states.copy()
        gx = (np.arange(width) + 0.5) / width * 2 - 1
        gy = 1 - (np.arange(height) + 0.5) / height * 2
        ra, dec, on_sky = inverse(*(grid.ravel() for grid in np.meshgrid(gx, gy)))
        x, y = forward((boxes[:, 0] + boxes[:, 1]) / 2, (boxes[:, 2] + boxes[:, 3]) / 2)
        row = np.clip(((1 - y) / 2 * height).astype(np.int64), 0, height - 1)
        first = np.argmax(on_sky.reshape(height, width), axis=1)[row]
        column = np.clip(((x + 1) / 2 * width).astype(np.int64), first, width - 1 - first)
        self.pixel_of = (row * width + column).astype(np.int32)
        """int32, shape (n,): the pixel of each chunk's middle."""
        self._counts = np.zeros((width * height, len(CHUNK_STATES)), np.int32)
        np.add.at(self._counts, (self.pixel_of, self._states), 1)
        owner = np.where(on_sky, owners(boxes, ra, dec), -1)
        bare = self._counts.sum(axis=1) == 0
        self.owner = owner
        """int64, shape (pixels,): the chunk that holds the pixel's middle, -1 none."""
        self._lone = np.flatnonzero(bare & (owner >= 0))
        lines = _graticule(ra, dec, on_sky.reshape(height, width))
        self._ground = np.where(on_sky, np.where(lines, GRID, BARE), OUTSIDE).astype(np.uint8)
        self.pixels = self._paint()
        """uint8, shape (height, width): what each pixel shows."""

    def update(self, states: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Take in new states, shape (n,); the pixel rows that look different now."""
        changed = np.flatnonzero(states != self._states)
        if len(changed):
            at = self.pixel_of[changed]
            np.subtract.at(self._counts, (at, self._states[changed]), 1)
            np.add.at(self._counts, (at, states[changed]), 1)
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


def _graticule(ra: NDArray[np.float64], dec: NDArray[np.float64], on_sky: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels where a line of the graticule passes between their middle and the one before, shape (pixels,)."""
    parallels = np.floor(dec / 30.0 + 1e-9).reshape(on_sky.shape)
    meridians = np.floor(((ra + 180.0) % 360.0) / 60.0 + 1e-9).reshape(on_sky.shape)
    lines = np.zeros(on_sky.shape, np.bool_)
    lines[1:] |= (parallels[1:] != parallels[:-1]) & on_sky[:-1]
    lines[:, 1:] |= (meridians[:, 1:] != meridians[:, :-1]) & on_sky[:, :-1]
    return lines.ravel()


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
