"""Positions to cells: the partitioner's tables, ids and edges."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgconsole.sky.overlap import Overlap, largest_overlap
from dgconsole.sky.tiling import PositionError, Tiling, segments, tiling_of

TILINGS = [(1, 1), (1, 3), (2, 1), (3, 2), (4, 7), (18, 10), (18, 100), (85, 12), (200, 5), (340, 3)]
small_tilings = st.tuples(st.integers(1, 60), st.integers(1, 12))


@pytest.mark.parametrize(
    ("numbers", "chunks", "largest_id", "first_four", "at_equator", "most", "height", "largest"),
    [
        ((18, 10), 368, 612, [1, 5, 12, 17], 35, 56, 1.0, 0.951051),
        ((18, 100), 368, 612, [1, 5, 12, 17], 35, 618, 0.1, 0.095105),
        ((85, 12), 8983, 14280, [1, 5, 12, 18], 169, 69, 0.176471, 0.167833),
        ((200, 5), 50432, 79600, [1, 5, 12, 18], 399, 25, 0.18, 0.171190),
        ((340, 3), 146332, 230520, [1, 5, 12, 18], 679, 12, 0.176471, 0.167833),
    ],
)
def test_the_known_tilings(numbers, chunks, largest_id, first_four, at_equator, most, height, largest):
    tiling = tiling_of(*numbers)
    assert (tiling.chunk_count, tiling.largest_id, tiling.max_sub_chunks) == (chunks, largest_id, most)
    assert tiling.chunks_per_stripe[:4].tolist() == first_four
    assert tiling.chunks_per_stripe.max() == at_equator
    assert tiling.chunks_per_stripe.tolist() == tiling.chunks_per_stripe[::-1].tolist()
    assert tiling.sub_stripe_height == pytest.approx(height, abs=5e-7)
    assert 0 <= largest_overlap(tiling) - largest < 2e-6


@pytest.mark.parametrize("numbers", TILINGS, ids=str)
def test_cells_equal_the_rules_one_position_at_a_time(numbers, scalar_partitioner, trying_positions, even_positions):
    tiling, scalar = tiling_of(*numbers), scalar_partitioner(*numbers, 0.0)
    overlap = Overlap(tiling, min(0.01667, largest_overlap(tiling)))
    assert tiling.chunks_per_stripe.tolist() == scalar.nc
    assert tiling.sub_chunks_per_chunk.tolist() == scalar.nsc
    assert tiling.sub_chunk_width.tolist() == scalar.w
    for ra, dec in (trying_positions(overlap, 20_000, 1), even_positions(5_000, 2)):
        cells = tiling.locate(ra, dec)
        positions = list(zip(ra.tolist(), dec.tolist(), strict=True))
        assert list(zip(cells.sub_stripe, cells.segment, strict=True)) == [scalar.cell(*p) for p in positions]
        assert list(zip(cells.chunk, cells.sub_chunk, strict=True)) == [scalar.home(*p) for p in positions]
        assert {array.dtype for array in cells} == {np.dtype(np.int32)}


@given(small_tilings, st.lists(st.tuples(st.floats(0, 1000), st.floats(-90, 95)), min_size=1, max_size=50))
@settings(max_examples=150, deadline=None)
def test_cells_of_any_tiling(scalar_partitioner, numbers, positions):
    tiling, scalar = tiling_of(*numbers), scalar_partitioner(*numbers, 0.0)
    ra, dec = np.array(positions).T
    cells = tiling.locate(ra, dec)
    assert list(zip(cells.chunk, cells.sub_chunk, strict=True)) == [scalar.home(*p) for p in positions]
    assert tiling.is_chunk(cells.chunk).all()
    assert all(sub in tiling.sub_chunk_ids(chunk) for chunk, sub in zip(cells.chunk, cells.sub_chunk, strict=True))


def test_edges_of_the_sky(field_tiling):
    def chunk_at(ra, dec):
        return field_tiling.locate([ra], [dec]).chunk[0]

    last = field_tiling.largest_id
    assert [chunk_at(ra, -90.0) for ra in (0.0, 180.0, 360.0)] == [0, 0, 0]
    assert [chunk_at(ra, dec) for ra in (0.0, 180.0, 360.0) for dec in (90.0, 90.5, 1e9)] == [last] * 9
    first_of_stripe = chunk_at(0.0, 10.0)
    last_of_stripe = first_of_stripe + field_tiling.chunks_per_stripe[field_tiling.stripe_of(first_of_stripe)] - 1
    assert chunk_at(-0.0, 10.0) == first_of_stripe
    assert [chunk_at(ra, 10.0) for ra in (359.99999999999994, 360.0, 360.5, 1e6)] == [last_of_stripe] * 4


@pytest.mark.parametrize(
    ("ra", "dec", "reason"),
    [
        (-1e-3, 0.0, "right ascension -0.001 is below 0"),
        (0.0, math.nextafter(-90, -91), "declination -90.00000000000001 is below -90"),
        (math.nan, 0.0, "right ascension nan is not a finite number"),
        (math.inf, 0.0, "right ascension inf is not a finite number"),
        (0.0, math.nan, "declination nan is not a finite number"),
        (0.0, math.inf, "declination inf is not a finite number"),
        (0.0, -math.inf, "declination -inf is not a finite number"),
        (1e300, 0.0, "right ascension 1e+300 is too large"),
    ],
)
def test_positions_without_a_cell_are_refused(ra, dec, reason):
    with pytest.raises(PositionError) as caught:
        tiling_of(200, 5).locate([1.0, 2.0, ra, -5.0], [1.0, 2.0, dec, 0.0])
    assert (caught.value.index, caught.value.reason) == (2, reason)
    assert str(caught.value) == f"position 2: {reason}"


def test_no_positions():
    assert [len(array) for array in tiling_of(18, 10).locate([], [])] == [0, 0, 0, 0]


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="not two equal rows"):
        tiling_of(18, 10).locate([1.0, 2.0], [1.0])


@pytest.mark.parametrize("numbers", [(0, 1), (-3, 1), (1, 0), (18, -1), (32_768, 1), (1000, 1000), (1, 600_000)])
def test_numbers_that_make_no_tiling(numbers):
    with pytest.raises(ValueError, match=r"at least 1|too fine"):
        tiling_of(*numbers)


@given(small_tilings)
@settings(max_examples=60, deadline=None)
def test_ids_and_boxes_of_any_tiling_agree(numbers):
    tiling = tiling_of(*numbers)
    ids = tiling.chunk_ids()
    assert len(ids) == tiling.chunk_count
    assert (np.diff(ids) > 0).all()
    every = np.arange(-3, 2 * tiling.num_stripes * (tiling.num_stripes + 1) + 3)
    assert every[tiling.is_chunk(every)].tolist() == ids.tolist()

    boxes = tiling.chunk_boxes(ids)
    assert (boxes[:, 0] < boxes[:, 1]).all()
    assert (boxes[:, 2] < boxes[:, 3]).all()
    area = np.radians(boxes[:, 1] - boxes[:, 0]) * np.diff(np.sin(np.radians(boxes[:, 2:])))[:, 0]
    assert area.sum() == pytest.approx(4 * math.pi)
    middles = tiling.locate(boxes[:, :2].mean(axis=1), boxes[:, 2:].mean(axis=1))
    assert middles.chunk.tolist() == ids.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("numbers", TILINGS, ids=str)
def test_sub_chunks_fill_their_chunk_to_the_bit(numbers):
    tiling = tiling_of(*numbers)
    for chunk_id in tiling.chunk_ids()[:: max(tiling.chunk_count // 12, 1)].tolist():
        box = tiling.chunk_box(chunk_id)
        assert tuple(tiling.chunk_boxes([chunk_id])[0]) == box
        sub_chunk_ids = tiling.sub_chunk_ids(chunk_id)
        sub_boxes = [tiling.sub_chunk_box(chunk_id, sub) for sub in sub_chunk_ids.tolist()]
        assert {min(b.ra_min for b in sub_boxes), max(b.ra_max for b in sub_boxes)} == {box.ra_min, box.ra_max}
        assert {min(b.dec_min for b in sub_boxes), max(b.dec_max for b in sub_boxes)} == {box.dec_min, box.dec_max}
        ra = [(b.ra_min + b.ra_max) / 2 for b in sub_boxes]
        dec = [(b.dec_min + b.dec_max) / 2 for b in sub_boxes]
        cells = tiling.locate(ra, dec)
        assert set(cells.chunk.tolist()) == {chunk_id}
        assert cells.sub_chunk.tolist() == sub_chunk_ids.tolist()


def test_neighbouring_boxes_share_their_limits(field_tiling):
    boxes = field_tiling.chunk_boxes(field_tiling.chunk_ids())
    same_stripe = boxes[1:, 2] == boxes[:-1, 2]
    assert (boxes[1:, 0] == boxes[:-1, 1])[same_stripe].all()
    assert (boxes[1:, 2] == boxes[:-1, 3])[~same_stripe].all()
    assert (boxes[1:, 0] == 0.0)[~same_stripe].all()
    assert (boxes[:-1, 1] == 360.0)[~same_stripe].all()


def test_all_of_an_inner_box_is_in_its_chunk(field_tiling):
    rng = np.random.default_rng(3)
    ids = np.concatenate([field_tiling.chunk_ids()[:20], rng.choice(field_tiling.chunk_ids(), 3_000)])
    inner = np.array([field_tiling.inner_box(chunk) for chunk in ids.tolist()])
    outer = field_tiling.chunk_boxes(ids)
    assert np.abs(inner - outer).max() < 1e-12
    for column in (0, 1):
        for row in (2, 3):
            assert (field_tiling.locate(inner[:, column], inner[:, row]).chunk == ids).all()


@pytest.mark.parametrize("chunk_id", [-1, 399, 40_000_000, 2**40])
def test_what_is_no_chunk_is_refused(chunk_id):
    tiling = tiling_of(200, 5)
    assert not tiling.is_chunk(chunk_id)
    for ask in (tiling.stripe_of, tiling.chunk_box, tiling.sub_chunk_ids, tiling.inner_box):
        with pytest.raises(ValueError, match=f"{chunk_id} is no chunk"):
            ask(chunk_id)
    with pytest.raises(ValueError, match=f"{chunk_id} is no chunk"):
        tiling.chunk_boxes([0, chunk_id])


@pytest.mark.parametrize("sub_chunk_id", [-1, 24, 25 * 5, 10**9])
def test_what_is_no_sub_chunk_is_refused(sub_chunk_id):
    with pytest.raises(ValueError, match="no sub-chunk of chunk 0"):
        tiling_of(200, 5).sub_chunk_box(0, 25 * 4 + 24 + 1 if sub_chunk_id == 24 else sub_chunk_id)


def test_a_tiling_is_a_value():
    tiling = tiling_of(18, 10)
    assert tiling is tiling_of(18, 10)
    assert tiling == Tiling(18, 10) != Tiling(18, 9)
    assert pickle.loads(pickle.dumps(tiling)) == tiling
    with pytest.raises(ValueError, match="read-only"):
        tiling.chunk_ids()[0] = 7


def test_the_digest_tells_tilings_apart():
    digests = [tiling_of(*numbers).digest() for numbers in TILINGS]
    assert len(set(digests)) == len(TILINGS)
    assert Tiling(18, 10).digest() == tiling_of(18, 10).digest()
    assert tiling_of(18, 10).digest() == "1917bd0ad1c4c711d2014ba1dfbd569f808062cb912777410a9ef56e96dd884d"


@given(st.floats(-89.9, 89.9), st.floats(0.01, 1.0))
@settings(deadline=None)
def test_pieces_are_at_least_as_wide_as_asked(lat, share):
    width = share * 2 * (90 - abs(lat))  # the formula holds up to the circle around the pole
    count = segments(-lat, lat / 2, width)
    assert count >= 1
    if count > 1:
        half = math.radians(360 / count) / 2
        distance = 2 * math.asin(math.sin(half) * math.cos(math.radians(lat)))
        assert math.degrees(distance) >= width * (1 - 1e-9)
