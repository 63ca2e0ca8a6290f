"""The partitioner's rules once more, one position at a time in plain floats, and positions that try them."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest

from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import Tiling

RAD = 0.0174532925199432957692369076849
DEG = 57.2957795130823208767981548141


def pieces(lat1: float, lat2: float, width: float) -> int:
    lat = max(abs(lat1), abs(lat2))
    if lat > 90 - 1 / 3600 or width >= 180:
        return 1
    lat, width = lat * RAD, width * RAD
    x = math.cos(width) - math.sin(lat) * math.sin(lat)
    u = math.cos(lat) * math.cos(lat)
    y = math.sqrt(abs(u * u - x * x))
    return math.floor(360 / abs(DEG * math.atan2(y, x)))


class ScalarPartitioner:
    """One position at a time: ``home(lon, lat)`` and ``copies(lon, lat)`` as (chunk, sub-chunk)."""

    def __init__(self, stripes: int, per_stripe: int, radius: float) -> None:
        self.S, self.B, self.R = stripes, per_stripe, radius
        self.n = stripes * per_stripe
        self.h, big = 180.0 / self.n, 180.0 / stripes
        self.nc = [pieces(i * big - 90, (i + 1) * big - 90, big) for i in range(stripes)]
        self.nsc = [
            pieces(k * self.h - 90, (k + 1) * self.h - 90, self.h) // self.nc[k // per_stripe] for k in range(self.n)
        ]
        self.N = [self.nsc[k] * self.nc[k // per_stripe] for k in range(self.n)]
        self.w = [360.0 / count for count in self.N]
        self.M = max(self.nsc)
        self.alpha = [self.reach(k) for k in range(self.n)]

    def reach(self, k: int) -> float:
        if self.R == 0:
            return 0.0
        lat = min(max(abs(k * self.h - 90), abs((k + 1) * self.h - 90)), 90.0)
        if lat + self.R > 90 - 1 / 3600:
            return 180.0
        r, lat = self.R * RAD, lat * RAD
        return abs(DEG * math.atan(math.sin(r) / math.sqrt(abs(math.cos(lat - r) * math.cos(lat + r)))))

    def cell(self, lon: float, lat: float) -> tuple[int, int]:
        k = min(math.floor((lat + 90.0) / self.h), self.n - 1)
        return k, min(math.floor(lon / self.w[k]), self.N[k] - 1)

    def ids(self, k: int, s: int) -> tuple[int, int]:
        stripe, chunk = k // self.B, s // self.nsc[k]
        return stripe * 2 * self.S + chunk, (k - stripe * self.B) * self.M + s - chunk * self.nsc[k]

    def home(self, lon: float, lat: float) -> tuple[int, int]:
        return self.ids(*self.cell(lon, lat))

    def copies(self, lon: float, lat: float) -> list[tuple[int, int]]:
        if self.R == 0:
            return []
        k, s = self.cell(lon, lat)
        lon_min, lon_max = s * self.w[k], (s + 1) * self.w[k]
        if lon_max > 360 - 0.001 / 3600:
            lon_max = 360.0
        lat_min = max(k * self.h - 90, -90.0)
        lat_max = min((k + 1) * self.h - 90, 90.0)
        found = []
        if k > 0 and lat < lat_min + self.R:
            found += self.row_of(lon, k - 1)
        if k < self.n - 1 and lat >= lat_max - self.R:
            found += self.row_of(lon, k + 1)
        if self.N[k] > 1:
            if lon < lon_min + self.alpha[k]:
                found.append((k, s - 1 if s > 0 else self.N[k] - 1))
            if lon > lon_max - self.alpha[k]:
                found.append((k, s + 1 if s < self.N[k] - 1 else 0))
        return [self.ids(*cell) for cell in found]

    def row_of(self, lon: float, j: int) -> list[tuple[int, int]]:
        a = math.floor((lon - self.alpha[j]) / self.w[j])
        b = math.floor((lon + self.alpha[j]) / self.w[j])
        if a < 0:
            a += self.N[j]
        if b >= self.N[j]:
            b -= self.N[j]
        wanted = range(a, b + 1) if a <= b else [*range(a, self.N[j]), *range(b + 1)]
        return [(j, s) for s in wanted]


@lru_cache(maxsize=64)
def scalar(stripes: int, per_stripe: int, radius: float) -> ScalarPartitioner:
    return ScalarPartitioner(stripes, per_stripe, radius)


@pytest.fixture(scope="session")
def scalar_partitioner() -> Callable[[int, int, float], ScalarPartitioner]:
    return scalar


def make_trying_positions(overlap: Overlap, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions on limits of cells and overlaps and one ulp beside, half of them near poles or RA 0/360."""
    tiling, rng = overlap.tiling, np.random.default_rng(seed)
    n, h, radius = tiling.sub_stripe_count, tiling.sub_stripe_height, overlap.radius
    k = rng.integers(0, n, count)
    polar = rng.random(count) < 0.3
    k[polar] = np.minimum(rng.integers(0, 4, polar.sum()), n - 1)
    south = polar & (rng.random(count) < 0.5)
    k[south] = n - 1 - k[south]
    dec = rng.uniform(k * h - 90, (k + 1) * h - 90)
    dec = np.choose(
        rng.integers(0, 6, count),
        [dec, k * h - 90, k * h - 90 + radius, (k + 1) * h - 90 - radius, k * h - 90 + h / 2, dec],
    )
    j = np.clip(k + rng.integers(-1, 2, count), 0, n - 1)
    pieces_of, width, reach = tiling.sub_chunks_per_stripe[j], tiling.sub_chunk_width[j], overlap.widths[j]
    s = rng.integers(0, pieces_of)
    ends = rng.random(count)
    s = np.where(ends < 0.15, 0, np.where(ends < 0.3, pieces_of - 1, s))
    ra = np.choose(
        rng.integers(0, 5, count),
        [
            rng.uniform(s * width, (s + 1) * width),
            s * width,
            (s + 1) * width,
            s * width + reach,
            (s + 1) * width - reach,
        ],
    )
    ra, dec = nudge(ra, rng), nudge(dec, rng)
    return np.clip(ra, 0.0, 360.0), np.clip(dec, -90.0, 90.0)


def nudge(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.choose(
        rng.integers(0, 3, len(values)), [np.nextafter(values, -np.inf), values, np.nextafter(values, np.inf)]
    )


@pytest.fixture(scope="session")
def trying_positions() -> Callable[[Overlap, int, int], tuple[np.ndarray, np.ndarray]]:
    return make_trying_positions


@pytest.fixture(scope="session")
def even_positions() -> Callable[[int, int], tuple[np.ndarray, np.ndarray]]:
    """Positions spread evenly over the sphere."""

    def make(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        return rng.uniform(0.0, 360.0, count), np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, count)))

    return make


@pytest.fixture(scope="session", params=[(18, 10), (85, 12), (200, 5), (340, 3)], ids=lambda p: f"{p[0]}/{p[1]}")
def field_tiling(request: pytest.FixtureRequest) -> Tiling:
    """The tilings used in the field."""
    return Tiling(*request.param)
