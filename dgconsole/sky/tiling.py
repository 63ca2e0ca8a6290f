"""The tiling: how stripes of the sky are cut into chunks and sub-chunks, and which cell a position is in.

Bit-equal to sph-partition for the same positions: the tables are made with the C library's functions
(Python's ``math``), and what is done per row is only + - * / and floor, in the partitioner's order.
"""

import hashlib
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dgconsole.sky.boxes import Box

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int32]

ARC_SECOND = 1.0 / 3600.0
POLE_LIMIT = 90.0 - ARC_SECOND
"""A band that reaches farther north or south than this (degrees) is one piece."""

RADIANS = 0.0174532925199432957692369076849
DEGREES = 57.2957795130823208767981548141
_INT32_MAX = 2**31 - 1


class PositionError(ValueError):
    """A position that has no cell. ``index`` is its place in the arrays, ``reason`` what is wrong with it."""

    def __init__(self, index: int, reason: str) -> None:
        self.index = index
        self.reason = reason
        super().__init__(f"position {index}: {reason}")


class Cells(NamedTuple):
    """Where positions are; four int32 arrays of one length.

    ``segment`` is the sub-chunk's number within its sub-stripe, counted from right ascension 0 eastwards.
    """

    chunk: Ints
    sub_chunk: Ints
    sub_stripe: Ints
    segment: Ints


def segments(lat1: float, lat2: float, width: float) -> int:
    """Into how many equal pieces of longitude, each at least ``width`` degrees wide, a band is cut.

    The formula is sph-partition's: the longitude difference of two points on the parallel nearest to
    a pole that are ``width`` apart, in whole pieces of the circle. All arguments in degrees.
    """
    lat = max(abs(lat1), abs(lat2))
    if lat > POLE_LIMIT or width >= 180.0:
        return 1
    lat *= RADIANS
    width *= RADIANS
    sin_lat, cos_lat = math.sin(lat), math.cos(lat)
    x = math.cos(width) - sin_lat * sin_lat
    u = cos_lat * cos_lat
    y = math.sqrt(abs(u * u - x * x))
    return math.floor(360.0 / abs(DEGREES * math.atan2(y, x)))


@dataclass(frozen=True)
class Tiling:
    """The sky in ``num_stripes`` stripes of ``num_sub_stripes`` sub-stripes each, counted from the south.

    Equal when both numbers are. Use :func:`tiling_of` to share one instance and its tables.

    Parameters
    ----------
    chunks_per_stripe
        int32, shape (num_stripes,).
    sub_chunks_per_chunk
        int32, shape (num_stripes * num_sub_stripes,): per sub-stripe.
    sub_chunk_width
        float64, per sub-stripe: degrees of longitude.
    max_sub_chunks
        The largest of ``sub_chunks_per_chunk``; sub-chunk ids count rows of this length.

    Raises
    ------
    ValueError
        A number below 1, or so many that sub-stripes are thinner than an arc second or ids pass 31 bits.
    """

    num_stripes: int
    num_sub_stripes: int
    chunks_per_stripe: Ints = field(init=False, repr=False, compare=False)
    sub_chunks_per_chunk: Ints = field(init=False, repr=False, compare=False)
    sub_chunk_width: Floats = field(init=False, repr=False, compare=False)
    sub_chunks_per_stripe: Ints = field(init=False, repr=False, compare=False)
    """Sub-chunks in each whole sub-stripe, int32."""
    max_sub_chunks: int = field(init=False, repr=False, compare=False)
    _ids: Ints = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        stripes, per_stripe = self.num_stripes, self.num_sub_stripes
        if stripes < 1:
            raise ValueError(f"the number of stripes is {stripes}; it must be at least 1")
        if per_stripe < 1:
            raise ValueError(f"the number of sub-stripes is {per_stripe}; it must be at least 1")
        n = stripes * per_stripe
        if 180.0 / n < ARC_SECOND or 2 * stripes * stripes > _INT32_MAX:
            raise ValueError(f"{stripes} stripes of {per_stripe} sub-stripes are too fine to be numbered; use fewer")
        height, stripe_height = 180.0 / n, 180.0 / stripes
        chunks = [
            segments(i * stripe_height - 90.0, (i + 1) * stripe_height - 90.0, stripe_height) for i in range(stripes)
        ]
        subs = [
            segments(k * height - 90.0, (k + 1) * height - 90.0, height) // chunks[k // per_stripe] for k in range(n)
        ]
        if per_stripe * max(subs) > _INT32_MAX:
            raise ValueError(f"{stripes} stripes of {per_stripe} sub-stripes are too fine to be numbered; use fewer")
        whole = [subs[k] * chunks[k // per_stripe] for k in range(n)]
        tables: dict[str, NDArray[Any]] = {
            "chunks_per_stripe": np.array(chunks, np.int32),
            "sub_chunks_per_chunk": np.array(subs, np.int32),
            "sub_chunk_width": np.array([360.0 / m for m in whole], np.float64),
            "sub_chunks_per_stripe": np.array(whole, np.int32),
            "_ids": np.concatenate([np.arange(m, dtype=np.int32) + 2 * stripes * i for i, m in enumerate(chunks)]),
        }
        for name, table in tables.items():
            table.flags.writeable = False
            object.__setattr__(self, name, table)
        object.__setattr__(self, "max_sub_chunks", max(subs))

    @property
    def sub_stripe_count(self) -> int:
        return self.num_stripes * self.num_sub_stripes

    @property
    def sub_stripe_height(self) -> float:
        """Degrees."""
        return 180.0 / self.sub_stripe_count

    @property
    def chunk_count(self) -> int:
        return len(self._ids)

    @property
    def largest_id(self) -> int:
        return int(self._ids[-1])

    def chunk_ids(self) -> Ints:
        """All chunk ids, ascending; int32, read-only. Ids have gaps: not every number up to the last is one."""
        return self._ids

    def is_chunk(self, ids: ArrayLike) -> NDArray[np.bool_]:
        """Whether each of these integers is the id of a chunk."""
        numbers = np.asarray(ids, np.int64)
        stripe, chunk = np.divmod(numbers, 2 * self.num_stripes)
        inside = (stripe >= 0) & (stripe < self.num_stripes)
        return inside & (chunk < self.chunks_per_stripe[np.where(inside, stripe, 0)])

    def stripe_of(self, chunk_id: int) -> int:
        """The stripe of a chunk. Raises ValueError for what is no chunk."""
        if not self.is_chunk(chunk_id):
            raise ValueError(f"{chunk_id} is no chunk of {self.num_stripes} stripes")
        return int(chunk_id) // (2 * self.num_stripes)

    def chunk_box(self, chunk_id: int) -> Box:
        """The limits of one chunk; neighbours' limits are the same doubles."""
        stripe = self.stripe_of(chunk_id)
        chunk, pieces = int(chunk_id) - stripe * 2 * self.num_stripes, int(self.chunks_per_stripe[stripe])
        return _box(chunk, pieces, stripe, self.num_stripes)

    def chunk_boxes(self, ids: ArrayLike) -> Floats:
        """The limits of many chunks: float64, shape (len(ids), 4), columns as in :class:`Box`."""
        numbers = np.asarray(ids, np.int64)
        wrong = numbers[~self.is_chunk(numbers)]
        if wrong.size:
            raise ValueError(f"{wrong[0]} is no chunk of {self.num_stripes} stripes")
        stripe, chunk = np.divmod(numbers, 2 * self.num_stripes)
        pieces = self.chunks_per_stripe[stripe]
        boxes = np.empty((len(numbers), 4))
        boxes[:, 0] = chunk * 360.0 / pieces
        boxes[:, 1] = (chunk + 1) * 360.0 / pieces
        boxes[:, 2] = stripe * 180.0 / self.num_stripes - 90.0
        boxes[:, 3] = (stripe + 1) * 180.0 / self.num_stripes - 90.0
        return boxes

    def sub_chunk_ids(self, chunk_id: int) -> Ints:
        """The sub-chunk ids of a chunk, ascending, int32. They are unique within the chunk only, and have gaps."""
        first = self.stripe_of(chunk_id) * self.num_sub_stripes
        counts = self.sub_chunks_per_chunk[first : first + self.num_sub_stripes]
        rows = np.arange(self.num_sub_stripes, dtype=np.int32) * np.int32(self.max_sub_chunks)
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        within = np.arange(counts.sum(), dtype=np.int32) - starts.astype(np.int32)
        ids: Ints = np.repeat(rows, counts) + within
        return ids

    def sub_chunk_box(self, chunk_id: int, sub_chunk_id: int) -> Box:
        """The limits of one sub-chunk. Raises ValueError for what is no sub-chunk of the chunk."""
        stripe = self.stripe_of(chunk_id)
        row, index = divmod(int(sub_chunk_id), self.max_sub_chunks)
        k = stripe * self.num_sub_stripes + row
        if not (0 <= row < self.num_sub_stripes and index < self.sub_chunks_per_chunk[k]):
            raise ValueError(f"{sub_chunk_id} is no sub-chunk of chunk {chunk_id}")
        chunk = int(chunk_id) - stripe * 2 * self.num_stripes
        segment = chunk * int(self.sub_chunks_per_chunk[k]) + index
        return _box(segment, int(self.sub_chunks_per_stripe[k]), k, self.sub_stripe_count)

    def inner_box(self, chunk_id: int) -> Box:
        """The chunk's box less a few units in the last place, so that :meth:`locate` puts all of it in the chunk.

        The partitioner divides by rounded widths: a position on the very limit of :meth:`chunk_box` may
        belong to the chunk beside it. Every position of the inner box, its upper limits included, does not.
        """
        box = self.chunk_box(chunk_id)
        pad = 4.0 * math.ulp(360.0)
        return Box(
            box.ra_min + pad if box.ra_min > 0.0 else 0.0,
            box.ra_max - pad if box.ra_max < 360.0 else 360.0,
            box.dec_min + pad if box.dec_min > -90.0 else -90.0,
            box.dec_max - pad if box.dec_max < 90.0 else 90.0,
        )

    def locate(self, ra: ArrayLike, dec: ArrayLike) -> Cells:
        """The cell of each position (degrees, shape (rows,)), as sph-partition decides it.

        Positions count as they stand: nothing is wrapped. A right ascension of 360 or more is in the last
        sub-chunk of its sub-stripe, a declination above 90 in the last sub-stripe.

        Raises
        ------
        PositionError
            (a ValueError) for the first right ascension below 0 or declination below -90, and for what is
            not finite or too large to be counted in sub-chunks.
        """
        lon, lat = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
        self._check(lon, lat)
        k = np.minimum(np.floor((lat + 90.0) / self.sub_stripe_height), self.sub_stripe_count - 1).astype(np.int32)
        s = np.floor(lon / self.sub_chunk_width[k])
        segment = np.minimum(s, self.sub_chunks_per_stripe[k] - 1).astype(np.int32)
        chunk, sub_chunk = self.cell_ids(k, segment)
        return Cells(chunk, sub_chunk, k, segment)

    def cell_ids(self, sub_stripe: Ints, segment: Ints) -> tuple[Ints, Ints]:
        """The chunk and sub-chunk ids (int32) of cells given by sub-stripe and number within it."""
        stripe = sub_stripe // np.int32(self.num_sub_stripes)
        chunk, index = np.divmod(segment, self.sub_chunks_per_chunk[sub_stripe])
        row = sub_stripe - stripe * np.int32(self.num_sub_stripes)
        return stripe * np.int32(2 * self.num_stripes) + chunk, row * np.int32(self.max_sub_chunks) + index

    def digest(self) -> str:
        """SHA-256 of the tables, in hex: equal on two hosts when they place every position alike."""
        digest = hashlib.sha256(f"{self.num_stripes}/{self.num_sub_stripes}".encode())
        for table in (self.chunks_per_stripe, self.sub_chunks_per_chunk):
            digest.update(table.astype("<i4").tobytes())
        digest.update(self.sub_chunk_width.astype("<f8").tobytes())
        return digest.hexdigest()

    def _check(self, lon: Floats, lat: Floats) -> None:
        if lon.shape != lat.shape or lon.ndim != 1:
            raise ValueError(f"right ascensions {lon.shape} and declinations {lat.shape} are not two equal rows")
        if not lon.size:
            return
        limit = _INT32_MAX * float(self.sub_chunk_width.min())
        # Written so that NaN, which makes every comparison false, fails too.
        if lon.min() >= 0.0 and lon.max() < limit and lat.min() >= -90.0 and lat.max() < math.inf:
            return
        good = (lon >= 0.0) & (lon < limit) & (lat >= -90.0) & (lat < math.inf)
        index = int(np.argmin(good))
        x, y = float(lon[index]), float(lat[index])
        if not math.isfinite(x):
            reason = f"right ascension {x} is not a finite number"
        elif not math.isfinite(y):
            reason = f"declination {y} is not a finite number"
        elif x < 0.0:
            reason = f"right ascension {x!r} is below 0"
        elif y < -90.0:
            reason = f"declination {y!r} is below -90"
        else:
            reason = f"right ascension {x!r} is too large"
        raise PositionError(index, reason)


def _box(segment: int, pieces: int, band: int, bands: int) -> Box:
    # k * 360 is exact, so these are the correctly rounded limits: nested cells share them to the bit.
    return Box(
        segment * 360.0 / pieces,
        (segment + 1) * 360.0 / pieces,
        band * 180.0 / bands - 90.0,
        (band + 1) * 180.0 / bands - 90.0,
    )


@lru_cache(maxsize=32)
def tiling_of(num_stripes: int, num_sub_stripes: int) -> Tiling:
    """The tiling of these numbers (sub-stripes per stripe), made once. Raises as :class:`Tiling`."""
    return Tiling(num_stripes, num_sub_stripes)
