"""Counts per chunk and rows placed by a map: integrated over the chunk, Poisson, exact."""

import math
from collections import Counter

import healpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dgconsole.catalog.alias import AliasTable
from dgconsole.catalog.density import HealpixSpatialModel, SpatialModel, UniformSpatialModel
from dgconsole.catalog.poisson import poisson_count, poisson_weights
from dgconsole.catalog.positions import Positions
from dgconsole.catalog.streams import hash_rows, make_key, row_ids
from dgconsole.sky.tiling import tiling_of

TILING = tiling_of(200, 5)
ROWS = np.arange(1000, dtype=np.uint64)


@pytest.mark.parametrize("mean", [1e-3, 0.3, 1.0, 9.99, 820.25, 92_300.7])
def test_poisson_weights_are_the_distribution(mean):
    low, weights = poisson_weights(mean)
    total = sum(weights)
    found = np.array([weight / total for weight in weights])
    expected = stats.poisson.pmf(np.arange(low, low + len(weights)), mean)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-18)


def test_no_density_no_rows():
    assert {poisson_count(0.0, h) for h in (0, 1 << 63, (1 << 64) - 1)} == {0}


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 2000), st.integers(0, 2**64 - 1))
def test_a_count_is_the_inverse_of_the_cumulative_distribution(mean, hash64):
    count, share = poisson_count(mean, hash64), hash64 / 2**64
    assert stats.poisson.cdf(count - 1, mean) <= share + 1e-12
    assert share <= stats.poisson.cdf(count, mean) + 1e-12


def test_counts_of_many_chunks_scatter_as_poisson():
    hashes = hash_rows(row_ids(0, 0, 50_000), make_key(1, "Object", "", "count"))
    counts = np.array([poisson_count(20.5, int(h)) for h in hashes])
    cells = np.bincount(np.clip(counts, 8, 34) - 8, minlength=27)
    edges = np.arange(8, 34)
    cumulative = np.concatenate([stats.poisson.cdf(edges, 20.5), [1.0]])
    expected = np.diff(cumulative, prepend=0.0) * len(counts)
    assert stats.chisquare(cells, expected).pvalue > 1e-4


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40).filter(any))
def test_alias_table_gives_each_outcome_its_weight(weights):
    table = AliasTable(weights)
    steps = 1 << 16
    evenly = (np.arange(steps, dtype=np.uint64) * np.uint64(2**48)) + np.uint64(2**47)
    found = Counter(table.pick(evenly).tolist())
    for outcome, weight in enumerate(weights):
        assert abs(found[outcome] / steps - weight / sum(weights)) < 2 * table.size / steps
    assert all(weights[outcome] for outcome in found)


def test_area_of_chunks_adds_up_to_the_sphere():
    tiling = tiling_of(18, 10)
    positions = Positions(tiling, 1, "Object")
    total = math.fsum(positions.area(int(chunk)) for chunk in tiling.chunk_ids())
    assert total == pytest.approx(4 * math.pi * (180 / math.pi) ** 2, rel=1e-13)


def test_uniform_density_times_area():
    positions = Positions(TILING, 1, "Object", UniformSpatialModel(1000))
    box = TILING.chunk_box(14012)
    width = box.ra_max - box.ra_min
    height = math.sin(math.radians(box.dec_max)) - math.sin(math.radians(box.dec_min))
    assert positions.mean_count(14012) == pytest.approx(1000 * width * math.degrees(height), rel=1e-13)


class Step(SpatialModel):
    """A density of the user's own: three times as much in the eastern half of chunk 14012."""

    def get_density_at_point(self, ra, dec):
        box = TILING.chunk_box(14012)
        return 300.0 if ra > (box.ra_min + box.ra_max) / 2 else 100.0


def test_a_map_is_integrated_over_the_chunk_and_places_rows():
    positions = Positions(TILING, 1, "Object", Step())
    assert positions.mean_count(14012) == pytest.approx(200 * positions.area(14012), rel=1e-9)
    ra, dec = positions.place(row_ids(14012, 0, 40_000))
    box = TILING.chunk_box(14012)
    east = int((ra > (box.ra_min + box.ra_max) / 2).sum())
    assert abs(east - 30_000) < 5 * math.sqrt(40_000 * 0.25 * 0.75)
    assert (TILING.locate(ra, dec).chunk == 14012).all()


class Halved(UniformSpatialModel):
    """What a spec may make of our models: the override counts."""

    def get_density_at_point(self, ra, dec):
        return self.density / 2


class Doubled(HealpixSpatialModel):
    def get_density_at_point(self, ra, dec):
        return 2 * super().get_density_at_point(ra, dec)


def test_models_may_be_subclassed():
    area = Positions(TILING, 1, "Object").area(14012)
    assert Positions(TILING, 1, "Object", Halved(100)).mean_count(14012) == pytest.approx(50 * area, rel=1e-9)
    flat = Doubled(np.full(12 * 16 * 16, 30.0), 16, False)
    assert Positions(TILING, 1, "Object", flat).mean_count(14012) == pytest.approx(60 * area, rel=1e-9)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("chunk", [0, 14012, 79600])
def test_healpix_rows_follow_the_map(nested, chunk):
    nside = 64
    cells = np.random.default_rng(5).uniform(0, 2000, 12 * nside * nside)
    positions = Positions(TILING, 1, "Object", HealpixSpatialModel(cells, nside, nested))
    n = 200_000
    ra, dec = positions.place(row_ids(chunk, 0, n))
    assert (TILING.locate(ra, dec).chunk == chunk).all()
    found = Counter(healpy.ang2pix(nside, ra, dec, nest=nested, lonlat=True).tolist())
    # The share of the chunk's area in each pixel, by a fine grid of equal areas.
    box, g = TILING.chunk_box(chunk), 1000
    middle = (np.arange(g) + 0.5) / g
    z_min, z_max = math.sin(math.radians(box.dec_min)), math.sin(math.radians(box.dec_max))
    grid_ra = np.tile(box.ra_min + middle * (box.ra_max - box.ra_min), g)
    grid_dec = np.degrees(np.arcsin(np.repeat(z_min + middle * (z_max - z_min), g)))
    pixels = healpy.ang2pix(nside, grid_ra, grid_dec, nest=nested, lonlat=True)
    mass = np.bincount(pixels, minlength=len(cells)) * cells
    mean = mass.sum() / g**2
    assert positions.mean_count(chunk) == pytest.approx(mean * positions.area(chunk), rel=0.02)
    for pixel, count in found.items():
        assert count / n == pytest.approx(mass[pixel] / mass.sum(), abs=0.02)


def test_empty_cells_hold_nothing_and_an_empty_chunk_has_no_rows():
    nside = 16
    cells = np.full(12 * nside * nside, healpy.UNSEEN)
    cells[0] = np.nan
    positions = Positions(TILING, 1, "Object", HealpixSpatialModel(cells, nside, False))
    assert positions.mean_count(14012) == 0.0
    assert poisson_count(0.0, 123) == 0


def test_bad_models_say_what_is_wrong():
    with pytest.raises(ValueError, match="density=-1"):
        UniformSpatialModel(-1)
    with pytest.raises(ValueError, match="3072 cells"):
        HealpixSpatialModel([1.0, 2.0], 16, False)
    with pytest.raises(ValueError, match="negative"):
        HealpixSpatialModel(np.full(12, -1.0), 1, False)


def test_neighbours_under_a_map_are_found_by_their_cells():
    nside = 128
    cells = np.random.default_rng(6).uniform(0, 10, 12 * nside * nside)
    positions = Positions(TILING, 1, "Object", HealpixSpatialModel(cells, nside, False))
    box = TILING.chunk_box(14012)
    strip = (box.ra_min + 0.3, box.ra_min + 0.35, box.dec_min, box.dec_max)
    ra, _ = positions.place(row_ids(14012, 0, 30_000))
    inside = np.flatnonzero((ra >= strip[0]) & (ra <= strip[1]))
    candidates = positions.candidates(14012, 30_000, [strip])
    assert set(inside) <= set(candidates)
    assert len(candidates) < 6 * len(inside)
