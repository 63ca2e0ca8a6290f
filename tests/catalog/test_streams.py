"""Keyed hashes: the same for a counter wherever it stands, and streams that have nothing in common."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dgconsole.catalog.streams import (
    BLOCK,
    hash_one,
    hash_rows,
    key_arrays,
    make_key,
    mix,
    pair_counters,
    row_ids,
    rows_of,
)

KEY = make_key(1, "Object", "gPsFlux", 7)


def test_keys_differ_by_seed_table_column_and_salt():
    addresses = [
        (seed, table, column, salt)
        for seed in (0, 1, -1)
        for table in ("Object", "Source")
        for column in ("", "a", "b")
        for salt in ("", 7, 8, "place")
    ]
    assert len({make_key(*address) for address in addresses}) == len(addresses)


def test_values_are_those_of_the_written_formula():
    mask = (1 << 64) - 1
    counter = (14012 << 32) | 5
    x = (counter ^ KEY.first) * 0x9E3779B97F4A7C15 & mask
    x ^= x >> 32
    x = x * 0xBF58476D1CE4E5B9 & mask
    x ^= x >> 30
    x = (x + KEY.second) * 0x94D049BB133111EB & mask
    x ^= x >> 31
    assert hash_one(counter, KEY) == x


@given(
    rows=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40),
    start=st.integers(0, 39),
)
def test_a_hash_depends_on_its_counter_alone(rows, start):
    counters = np.array(rows, np.uint64)
    whole = hash_rows(counters, KEY)
    assert [hash_one(row, KEY) for row in rows] == whole.tolist()
    np.testing.assert_array_equal(hash_rows(counters[start:], KEY), whole[start:])
    np.testing.assert_array_equal(hash_rows(counters[::-1].copy(), KEY), whole[::-1])


def test_long_rows_are_cut_into_blocks_without_a_trace():
    counters = row_ids(7, 0, 2 * BLOCK + 17)
    whole = hash_rows(counters, KEY)
    np.testing.assert_array_equal(
        hash_rows(counters[BLOCK - 3 : BLOCK + 3].copy(), KEY), whole[BLOCK - 3 : BLOCK + 3]
    )


def test_many_streams_at_once_are_the_streams_one_by_one():
    keys = [make_key(1, "Object", name) for name in "abc"]
    counters = row_ids(3, 0, 100)
    x, t = np.empty((2, 3, 100), np.uint64)
    mix(counters, *key_arrays(keys), x, t)
    for row, key in zip(x, keys, strict=True):
        np.testing.assert_array_equal(row, hash_rows(counters, key))


def test_row_ids_hold_chunk_and_row():
    ids = row_ids(230520, 5, 8)
    assert [int(i) >> 32 for i in ids] == [230520] * 3
    assert rows_of(ids).tolist() == [5, 6, 7]
    assert ids.view(np.int64).min() > 0


def test_ids_never_repeat_over_dense_and_sparse_chunks():
    ids = np.concatenate([row_ids(chunk, 0, rows) for chunk, rows in ((0, 5_000_000), (1, 3), (230520, 5_000_000))])
    assert (np.diff(ids.view(np.int64)) > 0).all()


def test_pairs_have_counters_of_their_own():
    objects = np.repeat(row_ids(14012, 0, 2000), 2000)
    visits = np.tile(row_ids(14012, 0, 2000), 2000)
    counters = np.sort(pair_counters(objects, visits))
    assert (counters[1:] != counters[:-1]).all()


def test_flipping_any_bit_of_the_counter_flips_half_of_the_hash():
    counters = row_ids(14012, 0, 20_000)
    base = hash_rows(counters, KEY)
    for bit in range(64):
        flipped = hash_rows(counters ^ np.uint64(1 << bit), KEY)
        assert 31.8 < np.bitwise_count(base ^ flipped).mean() < 32.2, bit


@pytest.mark.parametrize("shift", [0, 16, 32, 48])
def test_bits_of_neighbouring_rows_chunks_columns_and_halves_are_independent(shift):
    other = make_key(1, "Object", "rPsFlux", 7)
    n = 400_000
    here = hash_rows(row_ids(14012, 0, n), KEY)
    pairs = {
        "next row": (here[:-1], here[1:]),
        "next chunk": (here, hash_rows(row_ids(14013, 0, n), KEY)),
        "next column": (here, hash_rows(row_ids(14012, 0, n), other)),
        "other half": (here, (here << np.uint64(32)) | (here >> np.uint64(32))),
    }
    for name, (a, b) in pairs.items():
        cells = ((a >> np.uint64(shift)) & np.uint64(31)) * np.uint64(32) + ((b >> np.uint64(shift)) & np.uint64(31))
        p = stats.chisquare(np.bincount(cells.astype(np.int64), minlength=1024)).pvalue
        assert 1e-6 < p < 1 - 1e-6, (name, p)
