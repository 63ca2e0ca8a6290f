"""Which chunks lie in a box of the sky, or within some distance of a chunk."""

import math

import numpy as np

from dgconsole.sky.boxes import SLACK
from dgconsole.sky.tiling import DEGREES, RADIANS, Ints, Tiling


def chunks_intersecting(tiling: Tiling, ra_lo: float, ra_hi: float, dec_lo: float, dec_hi: float) -> Ints:
    """The chunks whose boxes meet the closed box (degrees) or touch it; int32 ids, ascending.

    ``ra_hi`` may pass 360 and ``ra_lo`` 0 for a box across right ascension 0; 360 degrees or more between
    them are the full circle. What lies beyond a pole is cut off.

    Raises
    ------
    ValueError
        A limit is not finite, or a lower limit is above its upper one.
    """
    if not all(map(math.isfinite, (ra_lo, ra_hi, dec_lo, dec_hi))) or ra_lo > ra_hi or dec_lo > dec_hi:
        raise ValueError(f"ra {ra_lo} to {ra_hi}, dec {dec_lo} to {dec_hi} is no box: limits must ascend")
    south, north = max(dec_lo, -90.0) - SLACK, min(dec_hi, 90.0) + SLACK
    west, east = ra_lo - SLACK, ra_hi + SLACK
    if dec_lo > 90.0 or dec_hi < -90.0:
        return np.empty(0, np.int32)
    stripes = tiling.num_stripes
    edges = np.arange(stripes + 1) * 180.0 / stripes - 90.0
    found = []
    for stripe in np.flatnonzero((edges[:-1] <= north) & (edges[1:] >= south)).tolist():
        pieces = int(tiling.chunks_per_stripe[stripe])
        first, last = math.floor(west * pieces / 360.0), math.floor(east * pieces / 360.0)
        full = east - west >= 360.0 or last - first + 1 >= pieces
        chunks = np.arange(pieces) if full else np.unique(np.arange(first, last + 1) % pieces)
        found.append(chunks + 2 * stripes * stripe)
    ids: Ints = np.concatenate(found).astype(np.int32)
    return ids


def chunks_within(tiling: Tiling, chunk_id: int, radius: float) -> Ints:
    """The chunks that come within ``radius`` degrees of a chunk, itself included; int32 ids, ascending.

    None is missed. The chunk's box is widened by the radius in declination and in right ascension by
    asin(sin r / cos dec), the reach of a circle around its point nearest to a pole; beyond the corners of
    the chunk it names some that are a little farther away.

    Raises
    ------
    ValueError
        Not a chunk, or a radius that is negative or not finite.
    """
    box = tiling.chunk_box(chunk_id)
    if not 0.0 <= radius < math.inf:
        raise ValueError(f"the radius is {radius} degrees; it must be a number from 0")
    far = max(abs(box.dec_min), abs(box.dec_max))
    if far + radius >= 90.0:
        widened = 180.0
    else:
        widened = DEGREES * math.asin(min(math.sin(radius * RADIANS) / math.cos(far * RADIANS), 1.0))
    return chunks_intersecting(
        tiling, box.ra_min - widened, box.ra_max + widened, box.dec_min - radius, box.dec_max + radius
    )


def chunks_around(tiling: Tiling, chunk_id: int, width: float) -> Ints:
    """What the original's ``getChunksAround(chunk_id, width_deg)`` means: :func:`chunks_within`, itself included.

    Diagonal neighbours are there at any declination.
    """
    return chunks_within(tiling, chunk_id, width)
