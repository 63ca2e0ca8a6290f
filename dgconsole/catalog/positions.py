"""Places of rows: one hash of the row's id, turned into a point of the chunk's box, uniform on the sphere.

The low half of the hash is the step in right ascension, the high half the step in z = sin(Dec). So "which
rows of a chunk lie in this box" is a question of whole numbers: all rows are hashed, only those that may lie
there are computed.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog import exactmath
from dgconsole.catalog.alias import AliasTable
from dgconsole.catalog.density import SpatialModel
from dgconsole.catalog.streams import BLOCK, Hashes, hash_rows, make_key, row_ids
from dgconsole.sky.tiling import Tiling

Floats = NDArray[np.float64]
Rectangle = tuple[float, float, float, float]

_STEPS = 1 << 32
_LOW, _HALF = np.uint64(_STEPS - 1), np.uint64(32)
_SLACK = 1e-9
"""Degrees from the border within which a place is checked to be in its chunk."""
_SINGLE = 4e-5
"""Degrees: more than rounding to 32 bits moves a place."""


class Cells(NamedTuple):
    """A chunk in ``side * side`` cells of equal area, each as likely as the density there has it."""

    side: int
    alias: AliasTable
    density: float
    """Objects per square degree, the mean over the chunk."""


class Positions:
    """The places of one table's rows.

    Parameters
    ----------
    tiling
        Each row's place is in its own chunk: what rounding puts outside is moved to the middle of the box.
    seed, table
        What the streams are keyed by.
    model
        The density; None or uniform: rows are spread evenly.
    single
        Whether (RA, Dec) are written as 32-bit floats: then the place is what the text says.
    """

    def __init__(
        self,
        tiling: Tiling,
        seed: int,
        table: str,
        model: SpatialModel | None = None,
        single: tuple[bool, bool] = (False, False),
    ) -> None:
        self._tiling = tiling
        self._key = make_key(seed, table, "", "place")
        self._cell_key = make_key(seed, table, "", "cell")
        even = model is None or model.is_uniform
        self._model = None if even else model
        self._density = 0.0 if model is None or not even else model.get_density_at_point(0.0, 0.0)
        self._single = single
        self.cells = lru_cache(maxsize=64)(self._cells)

    def area(self, chunk: int) -> float:
        """Square degrees of a chunk: its width times the difference of sin(Dec), exact to some 1e-15."""
        _, width, _, height = (float(v[0]) for v in self._frame(np.array([chunk])))
        return width * height * exactmath.RADIAN

    def mean_count(self, chunk: int) -> float:
        """Rows that the density means for a chunk: integrated over it."""
        density = self._density if self._model is None else self.cells(chunk).density
        return density * self.area(chunk)

    def place(self, ids: Hashes) -> tuple[Floats, Floats]:
        """RA and Dec in degrees of rows (of any chunks), as they are written, shape (n,)."""
        hashes = hash_rows(ids, self._key)
        u, v = hashes & _LOW, hashes >> _HALF
        chunks = (ids >> _HALF).astype(np.int64)
        alone = len(ids) > 0 and bool((chunks == chunks[0]).all())
        box = chunks[:1] if alone else chunks
        side = 1
        if self._model is not None and len(ids):
            if not alone:
                raise ValueError("rows under a density map are placed one chunk at a time")
            side, alias, _ = self.cells(int(chunks[0]))
            row, column = np.divmod(alias.pick(hash_rows(ids, self._cell_key)).view(np.uint64), np.uint64(side))
            u |= column << _HALF
            v |= row << _HALF
        ra_min, width, z_min, height = self._frame(box)
        step = 1.0 / (side * _STEPS)
        ra = ra_min + (u.view(np.int64) + 0.5) * (width * step)
        z = z_min + (v.view(np.int64) + 0.5) * (height * step)
        dec = exactmath.asin(z) * exactmath.RADIAN
        if self._single[0]:
            ra = ra.astype(np.float32).astype(np.float64)
        if self._single[1]:
            dec = dec.astype(np.float32).astype(np.float64)
        self._keep_inside(ra, dec, chunks, box)
        return ra, dec

    def candidates(self, chunk: int, count: int, rectangles: Sequence[Rectangle]) -> NDArray[np.int64]:
        """The rows of a chunk that may lie in one of the rectangles (ra_lo, ra_hi, dec_lo, dec_hi): all that do,
        and few others. Ascending.
        """
        if not rectangles:
            return np.empty(0, np.int64)
        if self._middle_is_in(chunk, rectangles):
            # Any row may have been moved there.
            return np.arange(count)
        limits = [self._steps(chunk, rectangle) for rectangle in rectangles]
        cells = self.cells(chunk) if self._model is not None else None
        touched = _touched(cells.side, limits) if cells is not None else None
        found = []
        for start in range(0, count, BLOCK):
            ids = row_ids(chunk, start, min(start + BLOCK, count))
            if cells is not None and touched is not None:
                hit = touched.take(cells.alias.pick(hash_rows(ids, self._cell_key)))
            else:
                hit = _within(hash_rows(ids, self._key), limits)
            found.append(np.flatnonzero(hit) + start)
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _frame(self, chunks: NDArray[np.int64]) -> tuple[Floats, Floats, Floats, Floats]:
        """ra_min, width, z_min and height of each chunk's box, shape (n,)."""
        unique, inverse = np.unique(chunks, return_inverse=True)
        boxes = self._tiling.chunk_boxes(unique)[inverse]
        z_min, z_max = exactmath.sin_degrees(boxes[:, 2]), exactmath.sin_degrees(boxes[:, 3])
        return boxes[:, 0], boxes[:, 1] - boxes[:, 0], z_min, z_max - z_min

    def _keep_inside(self, ra: Floats, dec: Floats, chunks: NDArray[np.int64], box: NDArray[np.int64]) -> None:
        """Move rows that are not in their own chunk to the middle of its box."""
        limits = self._tiling.chunk_boxes(box)
        near = np.flatnonzero(
            (ra < limits[:, 0] + _SLACK)
            | (ra > limits[:, 1] - _SLACK)
            | (dec < limits[:, 2] + _SLACK)
            | (dec > limits[:, 3] - _SLACK)
        )
        if not len(near):
            return
        located = self._tiling.locate(np.maximum(ra[near], 0.0), np.maximum(dec[near], -90.0)).chunk
        wrong = near[(located != chunks[near]) | (ra[near] >= 360.0) | (ra[near] < 0.0) | (np.abs(dec[near]) > 90.0)]
        if len(wrong):
            limits = self._tiling.chunk_boxes(chunks[wrong])
            ra[wrong] = self._rounded(0.5 * (limits[:, 0] + limits[:, 1]), 0)
            dec[wrong] = self._rounded(0.5 * (limits[:, 2] + limits[:, 3]), 1)

    def _rounded(self, values: Floats, axis: int) -> Floats:
        return values.astype(np.float32).astype(np.float64) if self._single[axis] else values

    def _steps(self, chunk: int, rectangle: Rectangle) -> tuple[int, int, int, int]:
        """Bounds (u_lo, u_hi, v_lo, v_hi), both ends included, of the hashes' halves for places in a rectangle
        of the chunk; rounded outward. In steps of 2^-32 of the whole box.
        """
        ra_min, width, z_min, height = (float(x[0]) for x in self._frame(np.array([chunk])))
        slack = [_SINGLE if single else _SLACK for single in self._single]
        ra_lo, ra_hi = rectangle[0] - slack[0], rectangle[1] + slack[0]
        dec = np.clip(np.array([rectangle[2] - slack[1], rectangle[3] + slack[1]]), -90.0, 90.0)
        z_lo, z_hi = exactmath.sin_degrees(dec).tolist()
        loose = 4e-16 / height * _STEPS
        return (
            _step((ra_lo - ra_min) / width * _STEPS - 2),
            _step((ra_hi - ra_min) / width * _STEPS + 2),
            _step((z_lo - z_min) / height * _STEPS - 2 - loose),
            _step((z_hi - z_min) / height * _STEPS + 2 + loose),
        )

    def _middle_is_in(self, chunk: int, rectangles: Sequence[Rectangle]) -> bool:
        box = self._tiling.chunk_box(chunk)
        ra, dec = 0.5 * (box.ra_min + box.ra_max), 0.5 * (box.dec_min + box.dec_max)
        return any(
            west - _SINGLE <= ra <= east + _SINGLE and south - _SINGLE <= dec <= north + _SINGLE
            for west, east, south, north in rectangles
        )

    def _cells(self, chunk: int) -> Cells:
        """The density of a chunk, summed over its cells in whole numbers."""
        model = self._model
        if model is None:
            raise ValueError("a uniform density needs no cells")
        box = self._tiling.chunk_box(chunk)
        wanted = 4.0 * (box.dec_max - box.dec_min) / model.grain
        side = 16 if wanted <= 16 else 32 if wanted <= 32 else 64
        ra_min, width, z_min, height = (float(x[0]) for x in self._frame(np.array([chunk])))
        middle = (np.arange(side, dtype=np.float64) + 0.5) * (1.0 / side)
        dec = exactmath.asin(z_min + middle * height) * exactmath.RADIAN
        densities = model.densities(np.tile(ra_min + middle * width, side), np.repeat(dec, side))
        if not bool(np.isfinite(densities).all()) or bool((densities < 0).any()):
            raise ValueError(f"the density in chunk {chunk} is negative or not finite")
        top = float(densities.max())
        if top == 0.0:
            return Cells(side, AliasTable([1] * (side * side)), 0.0)
        weights = [int(value) for value in np.rint(densities / top * 2.0**40)]
        return Cells(side, AliasTable(weights), sum(weights) / (side * side) * (top * 2.0**-40))


def _step(value: float) -> int:
    return min(max(int(value), 0), _STEPS - 1)


def _within(hashes: Hashes, limits: Sequence[tuple[int, int, int, int]]) -> NDArray[np.bool_]:
    """Which hashes have their (low, high) half in one of the rectangles of whole numbers."""
    halves = hashes.view(np.uint32).reshape(-1, 2)
    hit = np.zeros(len(hashes), np.bool_)
    for u_lo, u_hi, v_lo, v_hi in limits:
        inside: NDArray[np.bool_] | None = None
        for half, low, high in ((0, u_lo, u_hi), (1, v_lo, v_hi)):
            if high - low < _STEPS - 1:
                part = (halves[:, half] - np.uint32(low)) <= np.uint32(max(high - low, 0))
                inside = part if inside is None else inside & part
        if inside is None:
            hit[:] = True
        elif u_lo <= u_hi and v_lo <= v_hi:
            hit |= inside
    return hit


def _touched(side: int, limits: Sequence[tuple[int, int, int, int]]) -> NDArray[np.bool_]:
    """Which cells (flat, row by row) meet one of the rectangles."""
    touched = np.zeros((side, side), np.bool_)
    for u_lo, u_hi, v_lo, v_hi in limits:
        columns = slice(u_lo * side // _STEPS, u_hi * side // _STEPS + 1)
        touched[v_lo * side // _STEPS : v_hi * side // _STEPS + 1, columns] = True
    return touched.reshape(-1)
