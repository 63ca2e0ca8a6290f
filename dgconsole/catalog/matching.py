"""Places matched to points of the sky by angular distance."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog import exactmath
from dgconsole.catalog.streams import BLOCK
from dgconsole.sky.boxes import Box

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Points = tuple[Floats, Floats, Floats]
"""Unit vectors: x, y and z, each of shape (n,)."""


def matches(ra: Floats, dec: Floats, points: Points, radius: float) -> Iterator[tuple[Index, Index]]:
    """All pairs (place, point) at most ``radius`` degrees apart, some at a time, in order.

    ``ra`` and ``dec`` are places in degrees.
    """
    count = len(points[0])
    if not count:
        return
    cosine = float(exactmath.cos_degrees(np.array([radius]))[0])
    vectors = exactmath.unit_vectors(ra, dec)
    height = max(1, BLOCK // count)
    total, part = np.empty((height, count)), np.empty((height, count))
    for start in range(0, len(ra), height):
        stop = min(start + height, len(ra))
        dot, scratch = total[: stop - start], part[: stop - start]
        # Products and sums written out: a matrix product adds in an order that depends on the machine.
        np.multiply(vectors[0][start:stop, None], points[0], out=dot)
        for axis in (1, 2):
            np.multiply(vectors[axis][start:stop, None], points[axis], out=scratch)
            dot += scratch
        flat = np.flatnonzero(dot >= cosine)
        row = flat // count
        flat -= row * count
        row += start
        yield row, flat


def near_box(points: Points, box: Box, radius: float) -> Index:
    """The points that may lie within ``radius`` degrees of a box: those in the circle around its circumcircle.

    No point of a box is farther from its middle than the farther one of its corners is.
    """
    ra = np.array([0.5 * (box.ra_min + box.ra_max), box.ra_min, box.ra_min])
    dec = np.array([0.5 * (box.dec_min + box.dec_max), box.dec_min, box.dec_max])
    x, y, z = exactmath.unit_vectors(ra, dec)
    chord = float(np.max((x - x[0]) * (x - x[0]) + (y - y[0]) * (y - y[0]) + (z - z[0]) * (z - z[0])))
    corner = 2.0 * exactmath.RADIAN * float(exactmath.asin(np.array([min(0.5 * math.sqrt(chord), 1.0)]))[0])
    reach = float(exactmath.cos_degrees(np.array([min(corner + radius + 1e-6, 180.0)]))[0])
    near: Index = np.flatnonzero(points[0] * x[0] + points[1] * y[0] + points[2] * z[0] >= reach)
    return near
