"""What the values look like: distributions, independence, and the sphere. Fixed seeds: no test is a lottery."""

import numpy as np
import pytest
from scipy import stats

from dgconsole.catalog import Chunker, columns
from dgconsole.catalog.model import ColumnSet, Table
from dgconsole.catalog.positions import Positions
from dgconsole.catalog.quantiles import magnitude_law, normal_law
from dgconsole.catalog.recipe import make_recipe
from dgconsole.catalog.rows import Rows
from dgconsole.catalog.streams import hash_rows, make_key, row_ids

CHUNK = 57900
TILING = Chunker(0, 340, 3).tiling
MILLION = 1_000_000


def drawn(generator, count, n, types=(), chunk=CHUNK, seed=1):
    """Columns c0, c1, ... of one generator, shape (count, n)."""
    names = tuple(f"c{i}" for i in range(count))
    table = Table("Object", (ColumnSet(names, types or ("",) * count, generator, ",".join(names)),))
    ids = row_ids(chunk, 0, n)
    rows = Rows(
        table="Object",
        chunk=chunk,
        box=TILING.chunk_box(chunk),
        seed=seed,
        ids=ids.view(np.int64),
        counters=ids,
        ra=np.empty(0),
        dec=np.empty(0),
        tables={},
        parents={},
    )
    found = {
        name: block.values[i]
        for block in make_recipe(table, seed, {}).blocks(rows)
        for i, name in enumerate(block.names)
    }
    return np.stack([found[name] for name in names])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["double", "float", "magnitude", "normal"])
def test_a_million_values_follow_their_distribution(kind):
    if kind == "double":
        p = stats.kstest(drawn(columns.UniformGenerator(1), 1, MILLION)[0], "uniform").pvalue
    elif kind == "float":
        p = stats.kstest(drawn(columns.UniformGenerator(1), 1, MILLION, ("FLOAT",))[0], "uniform").pvalue
    elif kind == "magnitude":
        grown = 10 ** (0.3 * 27.5) - 1
        values = drawn(columns.MagnitudeGenerator(1), 1, MILLION)[0]
        p = stats.kstest((10 ** (0.3 * values) - 1) / grown, "uniform").pvalue
    else:
        hashes = hash_rows(row_ids(CHUNK, 0, MILLION), make_key(1, "ForcedSource", "psFlux", 3))
        values = np.empty(MILLION)
        normal_law().draw(hashes, np.empty_like(hashes), values)
        p = stats.kstest(values, "norm").pvalue
    assert 1e-3 < p < 1 - 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("types", ["", "FLOAT"])
def test_p_values_of_many_columns_are_uniform(types):
    values = drawn(columns.UniformGenerator(300), 300, 20_000, (types,) * 300)
    p = [stats.kstest(column, "uniform").pvalue for column in values]
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    assert min(p) > 1e-6


def test_columns_that_share_a_hash_are_independent():
    a, b = drawn(columns.UniformGenerator(2), 2, 400_000, ("FLOAT", "FLOAT"))
    cells = (a * 32).astype(int) * 32 + (b * 32).astype(int)
    assert 1e-4 < stats.chisquare(np.bincount(cells, minlength=1024)).pvalue < 1 - 1e-4


@pytest.mark.parametrize("what", ["columns", "rows", "chunks", "seeds"])
def test_neighbouring_values_are_independent(what):
    n = 400_000
    values = drawn(columns.UniformGenerator(2), 2, n)
    one = values[0]
    other = {
        "columns": values[1],
        "rows": np.roll(one, 1),
        "chunks": drawn(columns.UniformGenerator(2), 2, n, chunk=CHUNK + 1)[0],
        "seeds": drawn(columns.UniformGenerator(2), 2, n, seed=2)[0],
    }[what]
    cells = (one * 32).astype(int) * 32 + (other * 32).astype(int)
    assert 1e-4 < stats.chisquare(np.bincount(cells, minlength=1024)).pvalue < 1 - 1e-4
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(n)


@pytest.mark.parametrize("mean", [0.5, 10, 1000])
def test_poisson_columns(mean):
    n = 200_000
    counts = drawn(columns.PoissonGenerator(1, mean), 1, n)[0]
    low, high = (int(stats.poisson.ppf(q, mean)) for q in (1e-4, 1 - 1e-4))
    edges = np.arange(low, high)
    cumulative = np.concatenate([stats.poisson.cdf(edges, mean), [1.0]])
    found = np.bincount(np.clip(counts, low, high) - low, minlength=high - low + 1)
    assert stats.chisquare(found, np.diff(cumulative, prepend=0) * n).pvalue > 1e-3


def test_quantile_tables_are_the_distributions():
    steps = np.arange(1, 4096)
    law = normal_law()
    np.testing.assert_allclose(law.main[1:-1], stats.norm.ppf(steps / 4096), atol=1e-11)
    np.testing.assert_allclose(law.low[1:], stats.norm.ppf(np.append(steps, 4096) / 4096**2), atol=1e-8)
    np.testing.assert_array_equal(law.high, -law.low[::-1])
    np.testing.assert_array_equal(law.main, -law.main[::-1])
    magnitudes = magnitude_law(14.0, 27.5, 0.3)
    expected = 14 + np.log10(1 + steps / 4096 * (10 ** (0.3 * 13.5) - 1)) / 0.3
    np.testing.assert_allclose(magnitudes.main[1:-1], expected, rtol=1e-14)
    assert (np.diff(magnitudes.low) > 0).all()
    assert magnitudes.main[0] == 14.0
    assert magnitudes.main[-1] == magnitudes.high[-1] == 27.5


@pytest.mark.slow
def test_the_tails_of_the_normal_distribution_are_there():
    hashes = hash_rows(row_ids(CHUNK, 0, 8 * MILLION), make_key(1, "Object", "noise", 3))
    values = np.empty(len(hashes))
    normal_law().draw(hashes, np.empty_like(hashes), values)
    for z in (3.6, 4.0, 4.4):
        expected = 2 * stats.norm.sf(z) * len(values)
        assert abs((np.abs(values) > z).sum() - expected) < 4 * np.sqrt(expected)


@pytest.mark.parametrize("chunk", [0, 57900, TILING.largest_id])
def test_places_are_uniform_on_the_sphere(chunk):
    n, g = 500_000, 20
    ra, dec = Positions(TILING, 1, "Object").place(row_ids(chunk, 0, n))
    box = TILING.chunk_box(chunk)
    z = np.sin(np.radians(dec))
    z_min, z_max = np.sin(np.radians([box.dec_min, box.dec_max]))
    i = np.clip(((ra - box.ra_min) / (box.ra_max - box.ra_min) * g).astype(int), 0, g - 1)
    j = np.clip(((z - z_min) / (z_max - z_min) * g).astype(int), 0, g - 1)
    assert 1e-3 < stats.chisquare(np.bincount(i * g + j, minlength=g * g)).pvalue < 1 - 1e-6
    assert stats.kstest((ra - box.ra_min) / (box.ra_max - box.ra_min), "uniform").pvalue > 1e-3
    assert stats.kstest((z - z_min) / (z_max - z_min), "uniform").pvalue > 1e-3


def test_a_quarter_of_a_polar_cap_lies_in_its_inner_half():
    tiling = Chunker(0, 200, 5).tiling
    _, dec = Positions(tiling, 1, "Object").place(row_ids(0, 0, 100_000))
    inner = (dec < -90 + 0.45).mean()
    assert abs(inner - 0.25) < 0.006
