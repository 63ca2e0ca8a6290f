"""Overlap copies against the rules one position at a time, and the chunks and boxes that copies come from."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgconsole.sky.overlap import Overlap, largest_overlap, overlap_width
from dgconsole.sky.tiling import tiling_of

TILINGS = [(1, 1), (1, 3), (2, 1), (3, 2), (4, 7), (18, 10), (18, 100), (85, 12), (200, 5), (340, 3)]
RADII = ["field", "tiny", "half", "largest"]
small_tilings = st.tuples(st.integers(1, 40), st.integers(1, 8))


def overlap_of(numbers, radius):
    tiling = tiling_of(*numbers)
    most = largest_overlap(tiling)
    return Overlap(tiling, {"field": min(0.01667, most), "tiny": 1e-6, "half": 0.55 * most, "largest": most}[radius])


def copies_by_row(overlap, ra, dec):
    copies = overlap.copies(ra, dec, overlap.tiling.locate(ra, dec))
    found = [[] for _ in ra]
    for row, chunk, sub_chunk in zip(*(array.tolist() for array in copies), strict=True):
        found[row].append((chunk, sub_chunk))
    return copies, found


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("numbers", TILINGS, ids=str)
def test_copies_equal_the_rules_one_position_at_a_time(
    numbers, radius, scalar_partitioner, trying_positions, even_positions
):
    overlap = overlap_of(numbers, radius)
    scalar = scalar_partitioner(*numbers, overlap.radius)
    assert overlap.widths.tolist() == scalar.alpha
    for ra, dec in (trying_positions(overlap, 6_000, 5), even_positions(2_000, 6)):
        copies, found = copies_by_row(overlap, ra, dec)
        assert found == [scalar.copies(*position) for position in zip(ra.tolist(), dec.tolist(), strict=True)]
        assert (np.diff(copies.row) >= 0).all()
        assert [array.dtype for array in copies] == [np.int64, np.int32, np.int32]


@given(
    small_tilings,
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0, 360), st.floats(-90, 95)), min_size=1, max_size=40),
)
@settings(max_examples=150, deadline=None)
def test_copies_of_any_tiling(scalar_partitioner, numbers, share, positions):
    overlap = Overlap(tiling_of(*numbers), share * largest_overlap(tiling_of(*numbers)))
    scalar = scalar_partitioner(*numbers, overlap.radius)
    ra, dec = np.array(positions).T
    found = copies_by_row(overlap, ra, dec)[1]
    assert found == [scalar.copies(*position) for position in positions]
    for position, cells in zip(positions, found, strict=True):
        assert len({*cells, scalar.home(*position)}) == len(cells) + 1


def test_beyond_360_as_the_partitioner_but_no_cells_that_do_not_exist():
    overlap = overlap_of((200, 5), "field")
    assert copies_by_row(overlap, [360.0, 360.5, 725.0], [10.0] * 3)[1] == [[(44400, 0)]] * 3
    copies, _ = copies_by_row(overlap, np.linspace(360.0, 1e5, 500), np.full(500, 10.08 + 1e-6))
    assert overlap.tiling.is_chunk(copies.chunk).all()


def test_how_many_copies_there_are(even_positions):
    """Overlap rows per row at 0.01667 degrees: all, and those that stay in the chunk."""
    ra, dec = even_positions(400_000, 7)
    known = {(18, 10): (0.066, 0.060), (85, 12): (0.406, 0.370), (200, 5): (0.400, 0.315), (340, 3): (0.409, 0.266)}
    for numbers, (every, same_chunk) in known.items():
        overlap = overlap_of(numbers, "field")
        cells = overlap.tiling.locate(ra, dec)
        copies = overlap.copies(ra, dec, cells)
        assert len(copies.row) / len(ra) == pytest.approx(every, abs=0.006)
        assert (cells.chunk[copies.row] == copies.chunk).sum() / len(ra) == pytest.approx(same_chunk, abs=0.006)


def test_widths_grow_towards_the_poles():
    widths = overlap_of((200, 5), "field").widths
    assert widths[[0, 1, 2, 500]] == pytest.approx([180, 5.314, 2.654, 0.016670], abs=6e-4)


def test_without_overlap_there_are_no_copies(even_positions):
    overlap = Overlap(tiling_of(18, 10), 0.0)
    ra, dec = even_positions(1_000, 8)
    assert [len(array) for array in overlap.copies(ra, dec, overlap.tiling.locate(ra, dec))] == [0, 0, 0]
    assert overlap.contributors(306).tolist() == []
    assert overlap.reach(306, of=307) == []


def test_no_rows_no_copies():
    overlap = overlap_of((18, 10), "field")
    assert [len(array) for array in overlap.copies([], [], overlap.tiling.locate([], []))] == [0, 0, 0]


@pytest.mark.parametrize(
    ("numbers", "radius", "words"),
    [
        ((18, 10), -1e-9, "must be from 0 to 10"),
        ((18, 10), math.nan, "must be from 0 to 10"),
        ((1, 1), 10.000001, "must be from 0 to 10"),
        ((200, 5), 0.1801, "more than the height of a sub-stripe, 0.18; .* allow at most 0.171190"),
        ((200, 5), 0.1713, "more than the width of a sub-chunk: .* in sub-stripe 1, .* allow at most 0.171190"),
        ((340, 3), 0.1679, "allow at most 0.167833"),
    ],
)
def test_overlaps_that_are_refused(numbers, radius, words):
    with pytest.raises(ValueError, match=words):
        Overlap(tiling_of(*numbers), radius)


@given(small_tilings)
@settings(max_examples=60, deadline=None)
def test_the_largest_overlap_is_the_largest(numbers):
    tiling = tiling_of(*numbers)
    most = largest_overlap(tiling)
    assert (Overlap(tiling, most).widths <= tiling.sub_chunk_width).all()
    with pytest.raises(ValueError, match=r"allow at most|from 0 to 10"):
        Overlap(tiling, math.nextafter(most, math.inf))


@given(st.floats(-89, 89), st.floats(0.001, 10))
@settings(deadline=None)
def test_the_width_is_where_the_meridian_touches_the_circle(lat, radius):
    width = overlap_width(radius, abs(lat))
    if abs(lat) + radius < 89.99:
        expected = math.degrees(math.asin(math.sin(math.radians(radius)) / math.cos(math.radians(lat))))
        assert width == pytest.approx(expected, rel=1e-6)
    elif abs(lat) + radius > 90:
        assert width == 180.0


def assert_nothing_is_missed(overlap, ra, dec):
    """Each copy from another chunk comes from a contributor, out of one of its reach boxes."""
    tiling = overlap.tiling
    cells = tiling.locate(ra, dec)
    copies = overlap.copies(ra, dec, cells)
    source = cells.chunk[copies.row]
    foreign = source != copies.chunk
    receiver, source, row = copies.chunk[foreign], source[foreign], copies.row[foreign]
    boxes = tiling.chunk_boxes(source)
    # A row within rounding of its chunk's box counts as on its edge.
    assert (np.abs(ra[row] - np.clip(ra[row], boxes[:, 0], boxes[:, 1])) < 1e-12).all()
    x, y = np.clip(ra[row], boxes[:, 0], boxes[:, 1]), np.clip(dec[row], boxes[:, 2], boxes[:, 3])

    pairs, which = np.unique(np.stack([receiver, source]), axis=1, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(which.ravel()))[:-1]) if len(row) else []
    contributors = {chunk: set(overlap.contributors(chunk).tolist()) for chunk in np.unique(receiver).tolist()}
    for (chunk, of), members in zip(pairs.T.tolist(), groups, strict=True):
        assert of in contributors[chunk], (chunk, of)
        reach = overlap.reach(chunk, of)
        covered = np.zeros(len(members), bool)
        for ra_lo, ra_hi, dec_lo, dec_hi in reach:
            box = tiling.chunk_box(of)
            assert box.ra_min <= ra_lo <= ra_hi <= box.ra_max
            assert box.dec_min <= dec_lo <= dec_hi <= box.dec_max
            a, d = x[members], y[members]
            covered |= (ra_lo <= a) & (a <= ra_hi) & (dec_lo <= d) & (d <= dec_hi)
        assert covered.all(), (chunk, of)
    return len(row)


@pytest.mark.slow
@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("numbers", TILINGS, ids=str)
def test_no_contributor_and_no_row_is_missed(numbers, radius, trying_positions, even_positions):
    overlap = overlap_of(numbers, radius)
    found = assert_nothing_is_missed(overlap, *trying_positions(overlap, 20_000, 9))
    found += assert_nothing_is_missed(overlap, *even_positions(10_000, 10))
    assert found or overlap.tiling.num_stripes == 1


@pytest.mark.slow
@given(small_tilings, st.floats(1e-9, 1), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_nothing_is_missed_in_any_tiling(trying_positions, numbers, share, seed):
    overlap = Overlap(tiling_of(*numbers), share * largest_overlap(tiling_of(*numbers)))
    assert_nothing_is_missed(overlap, *trying_positions(overlap, 2_000, seed))


def test_contributors_are_near_and_reach_is_narrow(field_tiling):
    """No chunk is asked for rows that it cannot have, so that a neighbour's scan stays small."""
    overlap = Overlap(field_tiling, 0.01667)
    rng = np.random.default_rng(11)
    for chunk in rng.choice(field_tiling.chunk_ids(), 300).tolist():
        contributors = overlap.contributors(chunk)
        assert chunk not in contributors
        assert (np.diff(contributors) > 0).all()
        box = field_tiling.chunk_box(chunk)
        if max(abs(box.dec_min), abs(box.dec_max)) > 80:
            continue
        assert 4 <= len(contributors) <= 9
        for of in contributors.tolist():
            theirs = field_tiling.chunk_box(of)
            for ra_lo, ra_hi, dec_lo, dec_hi in overlap.reach(chunk, of):
                if field_tiling.stripe_of(of) == field_tiling.stripe_of(chunk):
                    assert ra_hi - ra_lo <= 0.01668 / math.cos(math.radians(80.5))
                else:
                    assert dec_hi - dec_lo <= 0.01668
                    assert ra_hi - ra_lo <= theirs.ra_max - theirs.ra_min


def test_diagonal_neighbours_contribute():
    overlap = overlap_of((200, 5), "field")
    assert {14484, 14486} <= set(overlap.contributors(14887).tolist())
    assert 5223 in overlap.contributors(4820)


def test_chunks_across_right_ascension_0_contribute(field_tiling):
    overlap = Overlap(field_tiling, 0.01667)
    stripe = field_tiling.num_stripes // 2
    first = 2 * field_tiling.num_stripes * stripe
    last = first + int(field_tiling.chunks_per_stripe[stripe]) - 1
    assert last in overlap.contributors(first)
    assert first in overlap.contributors(last)
    assert [box[1] for box in overlap.reach(first, of=last)] == [360.0]
    assert [box[0] for box in overlap.reach(last, of=first)] == [0.0]


def test_a_polar_chunk_hears_from_all_around_it(field_tiling):
    overlap = Overlap(field_tiling, 0.01667)
    ring = [2 * field_tiling.num_stripes + i for i in range(5)]
    assert overlap.contributors(0).tolist() == ring
    last = field_tiling.largest_id
    assert overlap.contributors(last).tolist() == [last - 2 * field_tiling.num_stripes + i for i in range(5)]


def test_chunks_far_apart_have_nothing_for_each_other():
    overlap = overlap_of((18, 10), "field")
    assert overlap.reach(306, of=0) == []
    assert overlap.reach(306, of=306) == []
    assert overlap.reach(306, of=310) == []
    with pytest.raises(ValueError, match="17 is no chunk"):
        overlap.contributors(17)
    with pytest.raises(ValueError, match="17 is no chunk"):
        overlap.reach(0, of=17)


def test_the_digest_tells_overlaps_apart():
    overlaps = [overlap_of(numbers, radius) for numbers in TILINGS[3:] for radius in RADII]
    assert len({overlap.digest() for overlap in overlaps}) == len(overlaps)
    assert overlaps[0].digest() == Overlap(overlaps[0].tiling, overlaps[0].radius).digest()
