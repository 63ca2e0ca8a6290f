"""Overlap: which sub-chunks get a copy of a row, and from which chunks such rows can come.

Overlap is between sub-chunks, so most copies stay in the row's own chunk. Asked from the row's side with
sph-partition's comparisons (below ``<``, above ``>=``, left ``<``, right ``>``) on its doubles, bit for bit.
"""

import hashlib
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dgconsole.sky.boxes import SLACK
from dgconsole.sky.tiling import DEGREES, POLE_LIMIT, RADIANS, Cells, Floats, Ints, Tiling

MAX_OVERLAP = 10.0
"""Degrees; more than this is refused whatever the tiling."""

_FULL_CIRCLE = 360.0 - 0.001 / 3600.0

Reach = tuple[float, float, float, float]
"""A closed box (ra_lo, ra_hi, dec_lo, dec_hi) in degrees."""


class Copies(NamedTuple):
    """Overlap copies of rows: three arrays of one length, sorted by row, then in the partitioner's order.

    ``row`` (int64) counts in the arrays asked about; ``chunk`` and ``sub_chunk`` (int32) receive the copy.
    """

    row: NDArray[np.int64]
    chunk: Ints
    sub_chunk: Ints


def overlap_width(radius: float, lat: float) -> float:
    """How far in longitude a circle of ``radius`` around a point at ``lat`` reaches; all in degrees.

    The tangent point of the meridian: atan(sin R / sqrt(cos(lat - R) cos(lat + R))); 180 if the circle
    comes within an arc second of a pole.
    """
    if radius == 0.0:
        return 0.0
    if lat + radius > POLE_LIMIT:
        return 180.0
    r, lat = radius * RADIANS, lat * RADIANS
    return DEGREES * abs(math.atan(math.sin(r) / math.sqrt(abs(math.cos(lat - r) * math.cos(lat + r)))))


def _farthest_latitude(tiling: Tiling, k: int) -> float:
    """The distance of a sub-stripe's limit from the equator, on the side of the nearer pole, in degrees."""
    h = tiling.sub_stripe_height
    return min(max(abs(k * h - 90.0), abs((k + 1) * h - 90.0)), 90.0)


@lru_cache(maxsize=32)
def largest_overlap(tiling: Tiling) -> float:
    """The largest radius (degrees, to the last bit) that :class:`Overlap` accepts for this tiling."""
    ceiling = min(tiling.sub_stripe_height, MAX_OVERLAP)
    latitudes = [_farthest_latitude(tiling, k) for k in range(tiling.sub_stripe_count)]
    widths = tiling.sub_chunk_width.tolist()
    # Where the width equals w: sin R = sin w cos lat (approximately, as doubles go), and never over a pole.
    limits = [
        90.0 if w >= 180.0 else min(POLE_LIMIT - lat, _inverse(min(w, 90.0), lat))
        for lat, w in zip(latitudes, widths, strict=True)
    ]
    least = min(limits)
    tightest = [k for k, limit in enumerate(limits) if limit <= least * (1.0 + 1e-6)]

    def fits(radius: float) -> bool:
        return all(overlap_width(radius, latitudes[k]) <= widths[k] for k in tightest)

    if ceiling < least * (1.0 - 1e-6) or fits(ceiling):
        return ceiling
    low, high = least * (1.0 - 1e-6), min(ceiling, least * (1.0 + 1e-6))
    while math.nextafter(low, high) < high:
        middle = low + (high - low) / 2.0
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _inverse(width: float, lat: float) -> float:
    """The radius whose :func:`overlap_width` is ``width``, but for rounding."""
    return DEGREES * math.asin(math.sin(width * RADIANS) * math.cos(lat * RADIANS))


@dataclass(frozen=True)
class Overlap:
    """An overlap of ``radius`` degrees around every sub-chunk of a tiling.

    Parameters
    ----------
    widths
        float64, per sub-stripe: the radius in degrees of longitude; it grows towards the poles.

    Raises
    ------
    ValueError
        The radius is negative, above 10 degrees, or wider than a sub-stripe or one of the sub-chunks.
    """

    tiling: Tiling
    radius: float
    widths: Floats = field(init=False, repr=False, compare=False)
    _below: Floats = field(init=False, repr=False, compare=False)
    _above: Floats = field(init=False, repr=False, compare=False)
    _beside: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tiling, radius = self.tiling, self.radius
        if not 0.0 <= radius <= MAX_OVERLAP:
            raise ValueError(f"the overlap is {radius} degrees; it must be from 0 to {MAX_OVERLAP:g}")
        h, n = tiling.sub_stripe_height, tiling.sub_stripe_count
        if radius > h:
            raise self._too_large(f"the height of a sub-stripe, {h:.6g}")
        widths = np.array([overlap_width(radius, _farthest_latitude(tiling, k)) for k in range(n)], np.float64)
        wide = np.flatnonzero(widths > tiling.sub_chunk_width)
        if wide.size:
            k = int(wide[0])
            raise self._too_large(
                f"the width of a sub-chunk: it spans {widths[k]:.6g} degrees of right ascension in sub-stripe {k},"
                f" whose sub-chunks have {tiling.sub_chunk_width[k]:.6g}"
            )
        floor = np.clip(np.arange(n) * h - 90.0, -90.0, 90.0)
        ceiling = np.clip(np.arange(1, n + 1) * h - 90.0, -90.0, 90.0)
        below, above = floor + radius, ceiling - radius
        below[0], above[-1] = -np.inf, np.inf
        beside = np.where(tiling.sub_chunks_per_stripe > 1, widths, -np.inf)
        for name, table in (("widths", widths), ("_below", below), ("_above", above), ("_beside", beside)):
            table.flags.writeable = False
            object.__setattr__(self, name, table)

    def digest(self) -> str:
        """SHA-256 of the tiling's and the overlap's tables, in hex: equal on two hosts when copies are equal."""
        digest = hashlib.sha256(f"{self.tiling.digest()} {self.radius!r}".encode())
        digest.update(self.widths.astype("<f8").tobytes())
        return digest.hexdigest()

    def _too_large(self, than: str) -> ValueError:
        most = largest_overlap(self.tiling)
        return ValueError(
            f"an overlap of {self.radius} degrees is more than {than}; {self.tiling.num_stripes} stripes of"
            f" {self.tiling.num_sub_stripes} sub-stripes allow at most {math.floor(most * 1e6) / 1e6:.6f}"
        )

    def copies(self, ra: ArrayLike, dec: ArrayLike, cells: Cells) -> Copies:
        """Every overlap copy of rows at these positions (degrees) that :meth:`Tiling.locate` put in ``cells``.

        Right ascensions above 360 follow the partitioner, except that numbers of sub-chunks which do not
        exist are left out.
        """
        lon, lat = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
        if self.radius == 0.0:
            return Copies(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))
        tiling, k, s = self.tiling, cells.sub_stripe, cells.segment
        below = np.flatnonzero(lat < self._below[k])
        above = np.flatnonzero(lat >= self._above[k])
        width, beside = tiling.sub_chunk_width[k], self._beside[k]
        lon_max = (s + 1) * width
        lon_max[lon_max > _FULL_CIRCLE] = 360.0
        left = np.flatnonzero(lon < s * width + beside)
        right = np.flatnonzero(lon > lon_max - beside)

        last = tiling.sub_chunks_per_stripe[k] - 1
        groups = [
            self._next_stripe(lon, below, k[below] - 1),
            self._next_stripe(lon, above, k[above] + 1),
            (left, k[left], np.where(s[left] == 0, last[left], s[left] - 1)),
            (right, k[right], np.where(s[right] == last[right], 0, s[right] + 1)),
        ]
        row = np.concatenate([rows for rows, _, _ in groups])
        order = np.argsort(row, kind="stable")
        sub_stripe = np.concatenate([stripes for _, stripes, _ in groups])[order]
        segment = np.concatenate([segments for _, _, segments in groups])[order]
        return Copies(row[order], *tiling.cell_ids(sub_stripe, segment))

    def _next_stripe(self, lon: Floats, rows: NDArray[np.int64], j: Ints) -> tuple[NDArray[np.int64], Ints, Ints]:
        """The sub-chunks of sub-stripes ``j`` within reach of ``rows``: (rows, sub-stripes, segments), repeated."""
        width, reach, x = self.tiling.sub_chunk_width[j], self.widths[j], lon[rows]
        count = self.tiling.sub_chunks_per_stripe[j]
        first = np.floor((x - reach) / width).astype(np.int64)
        last = np.floor((x + reach) / width).astype(np.int64)
        first += np.where(first < 0, count, 0)
        last -= np.where(last >= count, count, 0)
        last = np.minimum(last, count - 1)
        # first..last, or first..count-1 and then 0..last
        head = np.where(first <= last, last - first + 1, np.maximum(count - first, 0))
        total = np.where(first <= last, head, head + last + 1)
        ends = np.cumsum(total)
        step = np.arange(ends[-1] if ends.size else 0) - np.repeat(ends - total, total)
        head, first = np.repeat(head, total), np.repeat(first, total)
        segment = np.where(step < head, first + step, step - head).astype(np.int32)
        return np.repeat(rows, total), np.repeat(j, total), segment

    def contributors(self, chunk_id: int) -> Ints:
        """All *other* chunks that may hold rows with a copy in this chunk; int32, ascending. Misses none."""
        tiling, stripe = self.tiling, self.tiling.stripe_of(chunk_id)
        if self.radius == 0.0:
            return np.empty(0, np.int32)
        found = []
        for other in range(max(stripe - 1, 0), min(stripe + 2, tiling.num_stripes)):
            west, east = self._span(chunk_id, stripe, other)
            pieces = int(tiling.chunks_per_stripe[other])
            first, last = math.floor(west * pieces / 360.0), math.floor(east * pieces / 360.0)
            near = np.arange(pieces) if last - first + 1 >= pieces else np.unique(np.arange(first, last + 1) % pieces)
            found.append(near + other * 2 * tiling.num_stripes)
        ids = np.concatenate(found).astype(np.int32)
        others: Ints = ids[ids != chunk_id]
        return others

    def reach(self, chunk_id: int, of: int) -> list[Reach]:
        """The parts of the box of chunk ``of`` that hold all its rows with a copy in ``chunk_id``.

        Closed boxes, disjoint in right ascension, none if ``of`` is no contributor. They are a little too
        large, never too small, for rows within the limits of ``of``'s box; ask :meth:`copies` about each row.
        """
        tiling, stripe, other = self.tiling, self.tiling.stripe_of(chunk_id), self.tiling.stripe_of(of)
        if self.radius == 0.0 or abs(stripe - other) > 1 or chunk_id == of:
            return []
        own, theirs = tiling.chunk_box(chunk_id), tiling.chunk_box(of)
        south, north = theirs.dec_min, theirs.dec_max
        if other < stripe:
            south = max(south, own.dec_min - self.radius - SLACK)
        elif other > stripe:
            north = min(north, own.dec_max + self.radius + SLACK)
        west, east = self._span(chunk_id, stripe, other)
        if east - west >= 360.0:
            return [(theirs.ra_min, theirs.ra_max, south, north)]
        boxes = []
        for turn in (-360.0, 0.0, 360.0):
            low, high = max(west + turn, theirs.ra_min), min(east + turn, theirs.ra_max)
            if low <= high:
                boxes.append((low, high, south, north))
        return boxes

    def _span(self, chunk_id: int, stripe: int, other: int) -> tuple[float, float]:
        """The right ascensions in stripe ``other`` from where rows reach the chunk; may pass 0 or 360."""
        per_stripe = self.tiling.num_sub_stripes
        first = stripe * per_stripe
        if other < stripe:
            width = float(self.widths[first])
        elif other > stripe:
            width = float(self.widths[first + per_stripe - 1])
        else:
            width = float(self.widths[first : first + per_stripe].max())
        box = self.tiling.chunk_box(chunk_id)
        return box.ra_min - width - SLACK, box.ra_max + width + SLACK
