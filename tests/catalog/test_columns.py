"""The vocabulary: ranges, types, and values that do not depend on what they are made with."""

import numpy as np
import pytest

from dgconsole.catalog import columns
from dgconsole.catalog.model import ColumnSet, Table
from dgconsole.catalog.recipe import make_recipe
from dgconsole.catalog.rows import Rows
from dgconsole.catalog.sqltypes import converted, dtype_of
from dgconsole.catalog.streams import row_ids
from dgconsole.sky.boxes import Box
from dgconsole.support.errors import ChunkError, Fault


def table(**entries):
    """A table of entries ``{"a,b:FLOAT": generator}``."""
    groups = []
    for key, generator in entries.items():
        pairs = [part.partition(":") for part in key.split(",")]
        groups.append(ColumnSet(tuple(p[0] for p in pairs), tuple(p[2] for p in pairs), generator, key))
    return Table("Object", tuple(groups))


def rows(n=1000, start=0):
    ids = row_ids(14012, start, start + n)
    box = Box(20.0, 22.0, -58.0, -57.0)
    ra, dec = np.linspace(20, 22, n), np.linspace(-58, -57, n)
    return Rows(
        table="Object",
        chunk=14012,
        box=box,
        seed=1,
        ids=ids.view(np.int64),
        counters=ids,
        ra=ra,
        dec=dec,
        tables={},
        parents={},
    )


def made(given, over=None, types=None, seed=1, wanted=None):
    recipe = make_recipe(given, seed, types or {}, wanted)
    found = {}
    for block in recipe.blocks(over or rows()):
        for name, values in zip(block.names, block.values, strict=True):
            found[name] = np.array(block.words)[values] if block.words else values
    assert set(found) == set(recipe.names)
    return found


def test_uniform_fills_its_range():
    values = made(table(**{"a,b": columns.UniformGenerator(2, -5, 5)}), rows(100_000))
    for name in "ab":
        assert values[name].dtype == np.float64
        assert -5 <= values[name].min() < -4.99
        assert 4.99 < values[name].max() < 5
    assert not np.array_equal(values["a"], values["b"])


def test_magnitudes_follow_a_power_law_by_default():
    generator = columns.MagnitudeGenerator(1, 16, 26)
    values = made(table(g=generator), rows(400_000))["g"]
    assert values.min() >= 16
    assert values.max() < 26
    # Counts grow by 10 ** 0.3 for each magnitude.
    counts = np.histogram(values, bins=np.arange(22, 27))[0]
    np.testing.assert_allclose(counts[1:] / counts[:-1], 10**0.3, rtol=0.02)


def test_magnitudes_may_be_flat():
    values = made(table(g=columns.MagnitudeGenerator(1, 0, 10, slope=0)), rows(100_000))["g"]
    np.testing.assert_allclose(np.histogram(values, bins=10, range=(0, 10))[0], 10_000, rtol=0.06)


def test_poisson_has_mean_and_variance():
    values = made(table(n=columns.PoissonGenerator(1, 1000)), rows(100_000))["n"]
    assert values.dtype == np.int64
    assert abs(values.mean() - 1000) < 1
    assert abs(values.var() - 1000) < 30


def test_filters_are_each_as_likely():
    values = made(table(band=columns.FilterGenerator("ugriz")), rows(100_000))["band"]
    bands, counts = np.unique(values, return_counts=True)
    assert sorted(bands) == sorted("ugriz")
    assert (abs(counts - 20_000) < 700).all()


def test_ids_are_chunk_and_row():
    given = table(objectId=columns.ObjIdGenerator())
    assert made(given, rows(3))["objectId"].tolist() == [(14012 << 32) + i for i in range(3)]


def test_positions_and_their_errors():
    given = table(**{"ra,raErr,decl,declErr": columns.RaDecGenerator(include_err=True)})
    values, over = made(given), rows()
    np.testing.assert_array_equal(values["ra"], over.ra)
    np.testing.assert_array_equal(values["decl"], over.dec)
    for name in ("raErr", "declErr"):
        assert 0 <= values[name].min() < values[name].max() < 2e-6
    assert not np.array_equal(values["raErr"], values["declErr"])


def test_columns_never_share_a_stream_whatever_their_seeds():
    entries = {
        "rErr": columns.UniformGenerator(column_seed=7),
        "iErr": columns.UniformGenerator(column_seed=7),
        "g": columns.MagnitudeGenerator(slope=0, max_mag=1, column_seed=7),
    }
    values = made(table(**entries), rows(100_000))
    names = list(values)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert abs(np.corrcoef(values[one], values[other])[0, 1]) < 0.015


def test_seed_and_column_seed_vary_the_values():
    base = made(table(a=columns.UniformGenerator()))["a"]
    assert not np.array_equal(base, made(table(a=columns.UniformGenerator()), seed=2)["a"])
    assert not np.array_equal(base, made(table(a=columns.UniformGenerator(column_seed=8)))["a"])
    np.testing.assert_array_equal(base, made(table(a=columns.UniformGenerator()))["a"])


WIDE = {
    "objectId": columns.ObjIdGenerator(),
    "ra,decl": columns.RaDecGenerator(),
    "u,g,r": columns.MagnitudeGenerator(3),
    "a,b": columns.UniformGenerator(2, 0, 100),
    "p:FLOAT,q:FLOAT,s:FLOAT": columns.UniformGenerator(3, 0, 30),
    "n": columns.PoissonGenerator(1, 10),
    "m": columns.PoissonGenerator(1, 1000),
    "k:INT": columns.UniformGenerator(1, 0, 1000),
    "w:FLOAT": columns.MagnitudeGenerator(1),
    "band": columns.FilterGenerator(),
}


def test_a_column_is_the_same_alone_as_among_others():
    whole = made(table(**WIDE), rows(500))
    for name in whole:
        np.testing.assert_array_equal(made(table(**WIDE), rows(500), wanted={name})[name], whole[name])


@pytest.mark.parametrize("size", [1, 7, 499, 40_000])
def test_a_value_is_the_same_in_batches_of_any_size(size):
    n = 41_000
    counters = row_ids(14012, 0, n)

    def over(a, b):
        part = rows(b - a, a)
        part.counters = counters[a:b]
        part.ids = counters[a:b].view(np.int64)
        return part

    names = {"objectId", "u", "b", "p", "q", "s", "n", "k", "w", "band"}
    whole = made(table(**WIDE), over(0, n), wanted=names)
    for start in range(0, min(n, 5 * size), size):
        stop = min(start + size, n)
        part = made(table(**WIDE), over(start, stop), wanted=names)
        for name, values in part.items():
            np.testing.assert_array_equal(values, whole[name][start:stop])


def test_types_decide_the_dtype_and_ingest_types_win():
    values = made(table(**WIDE), types={"a": "FLOAT", "n": "TINYINT", "p": "DOUBLE", "u": "float"})
    dtypes = {name: values[name].dtype for name in "apqunmk"}
    assert dtypes == {
        "a": np.float32,
        "p": np.float64,
        "q": np.float32,
        "u": np.float32,
        "n": np.int8,
        "m": np.int64,
        "k": np.int32,
    }


@pytest.mark.parametrize(
    ("sql", "dtype"),
    [
        ("FLOAT", np.float32),
        ("double", np.float64),
        ("TINYINT", np.int8),
        ("TINYINT(1) UNSIGNED", np.uint8),
        ("int(11)", np.int32),
        ("BIGINT NOT NULL", np.int64),
        ("BIT", np.int8),
        ("CHAR(1)", None),
        ("DATETIME", None),
        ("", None),
    ],
)
def test_sql_types(sql, dtype):
    assert dtype_of(sql) == dtype


def test_numbers_that_do_not_fit_become_the_nearest_that_does():
    assert converted(np.array([-5, 300]), np.int8).tolist() == [-5, 127]
    assert converted(np.array([-1, 300]), np.uint8).tolist() == [0, 255]
    assert converted(np.array([2.9, -2.1, 1e30]), np.int32).tolist() == [2, -3, 2**31 - 1]
    assert converted(np.array([1e30]), np.int64)[0] > 2**62
    assert np.isnan(converted(np.array([np.nan, 1.0]), np.int32)[0])


def test_32_bit_columns_are_written_short():
    values = made(table(**WIDE))["p"]
    assert values.dtype == np.float32
    assert max(len(str(v)) for v in values.tolist()) > max(len(str(v)) for v in values)


class Squares(columns.ColumnGenerator):
    """A generator of a user's own: no registration, one method."""

    def values(self, rows):
        return rows.uniform(1)[0] ** 2, rows.dec * 2, np.where(rows.ids % 2 == 0, "even", None)


def test_a_generator_of_the_users_own():
    values = made(table(**{"x,y:FLOAT,z": Squares()}))
    assert values["x"].dtype == np.float64
    assert values["y"].dtype == np.float32
    assert set(values["z"]) == {"even", None}
    alone = made(table(**{"x,y:FLOAT,z": Squares()}), rows(10))
    np.testing.assert_array_equal(alone["x"], values["x"][:10])


def test_draws_of_the_users_own_are_new_with_each_call_and_in_range():
    over = rows(20_000).for_columns(("a",), 0)
    one, two = over.uniform(2), over.uniform(2)
    assert one.shape == (2, 20_000)
    assert len({array.tobytes() for array in (*one, *two)}) == 4
    assert ((one >= 0) & (one < 1)).all()
    whole = over.integers(-3, 4)[0]
    assert set(whole.tolist()) == set(range(-3, 4))
    normal = over.normal()[0]
    assert abs(normal.mean()) < 0.05
    assert abs(normal.std() - 1) < 0.05


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (lambda rows: [rows.ids], "returned 1 arrays for 2 columns"),
        (lambda rows: [rows.ids, rows.ids[:-1]], r"shape \(999,\), expected \(1000,\)"),
        (lambda rows: 5, "returned int, not arrays"),
        (lambda rows: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda rows: [rows.ids * 1j, rows.ids], "complex128"),
        (lambda rows: [np.array(["x", *rows.ids[1:]], object), rows.ids], "mixes text with int"),
    ],
)
def test_what_a_users_generator_does_wrong_is_said(values, words):
    generator = columns.ColumnGenerator()
    generator.values = values
    with pytest.raises(ChunkError, match=words) as caught:
        made(table(**{"a,b": generator}))
    assert caught.value.fault is Fault.GENERATE
    assert "Object, columns a,b" in caught.value.text


def test_nan_among_text_is_null_and_bytes_are_text():
    generator = columns.ColumnGenerator()
    generator.values = lambda rows: (np.array(["x", float("nan"), None], object), np.array([b"a", b"b", b"c"]))
    values = made(table(**{"a,b": generator}), rows(3))
    assert values["a"].tolist() == ["x", None, None]
    assert values["b"].tolist() == ["a", "b", "c"]


def test_arrays_without_a_name_are_dropped_with_a_warning():
    generator, told = columns.ColumnGenerator(), []
    generator.values = lambda rows: (rows.ids, rows.dec, rows.ra)
    recipe = make_recipe(table(**{"a,b": generator}), 1, {}, None, told.append)
    assert [block.names for block in recipe.blocks(rows())] == [("a",), ("b",)]
    assert told == ["Object, columns a,b: the last 1 of 3 arrays have no name and are dropped"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: columns.UniformGenerator(0),
        lambda: columns.UniformGenerator(1, 5, 5),
        lambda: columns.UniformGenerator(1, 0, float("nan")),
        lambda: columns.MagnitudeGenerator(1, 20, 10),
        lambda: columns.MagnitudeGenerator(1, slope=-1),
        lambda: columns.PoissonGenerator(1, -1),
        lambda: columns.FilterGenerator(""),
        lambda: columns.FilterGenerator("uu"),
        lambda: columns.ForcedSourceGenerator(visit_radius=0),
        lambda: columns.SourceGenerator(target_percentage=30),
    ],
)
def test_bad_arguments_are_refused(make):
    with pytest.raises(ValueError, match=r"give|must"):
        make()
