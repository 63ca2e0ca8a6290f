"""Chunks in a box and chunks within a distance, against great circles."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgconsole.sky.neighbours import chunks_around, chunks_intersecting, chunks_within
from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import tiling_of

small_tilings = st.tuples(st.integers(1, 40), st.integers(1, 4))


def walk(ra, dec, distance, bearing):
    """The ends of great circles that start at (ra, dec); all in degrees."""
    lat, d, b = np.radians(dec), np.radians(distance), np.radians(bearing)
    z = np.clip(np.sin(lat) * np.cos(d) + np.cos(lat) * np.sin(d) * np.cos(b), -1.0, 1.0)
    turn = np.arctan2(np.sin(b) * np.sin(d) * np.cos(lat), np.cos(d) - np.sin(lat) * z)
    return (ra + np.degrees(turn)) % 360.0, np.degrees(np.arcsin(z))


def positions_in(box, count, rng):
    """Positions in a box, most of them on its edges and corners."""
    u, v = (np.clip(rng.uniform(-0.5, 1.5, count), 0.0, 1.0) for _ in range(2))
    return box.ra_min + u * (box.ra_max - box.ra_min), box.dec_min + v * (box.dec_max - box.dec_min)


def assert_none_is_missed(tiling, chunk, radius, rng, count=3_000):
    ra, dec = positions_in(tiling.chunk_box(chunk), count, rng)
    ends = walk(ra, dec, radius * rng.choice([1.0, 1.0 - 1e-9, 0.5], count), rng.uniform(0.0, 360.0, count))
    reached = set(tiling.locate(*ends).chunk.tolist())
    assert reached <= set(chunks_within(tiling, chunk, radius).tolist())


@pytest.mark.parametrize("radius", [0.017, 0.3, 1.7, 15.0])
def test_no_chunk_within_the_radius_is_missed(field_tiling, radius):
    rng = np.random.default_rng(12)
    ids = field_tiling.chunk_ids()
    for chunk in [*ids[:18].tolist(), *ids[-18:].tolist(), *rng.choice(ids, 40).tolist()]:
        assert_none_is_missed(field_tiling, chunk, radius, rng, count=1_000)


@given(small_tilings, st.floats(0, 200), st.data())
@settings(max_examples=150, deadline=None)
def test_no_chunk_of_any_tiling_is_missed(numbers, radius, data):
    tiling = tiling_of(*numbers)
    chunk = data.draw(st.sampled_from(tiling.chunk_ids().tolist()))
    assert_none_is_missed(tiling, chunk, radius, np.random.default_rng(data.draw(st.integers(0, 1000))), count=500)


@pytest.mark.parametrize("radius", [0.017, 1.7])
def test_chunks_named_are_not_far(field_tiling, radius):
    """Away from the poles nothing is named that is farther than the corners of the widened box."""
    rng = np.random.default_rng(13)
    for chunk in rng.choice(field_tiling.chunk_ids(), 30).tolist():
        own = field_tiling.chunk_box(chunk)
        if max(abs(own.dec_min), abs(own.dec_max)) > 70:
            continue
        for other in chunks_within(field_tiling, chunk, radius).tolist():
            box = field_tiling.chunk_box(other)
            assert distance_between(own, box) <= 1.6 * radius


def distance_between(a, b):
    """The least distance of points along the edges of two boxes, in degrees."""
    sides = []
    for box in (a, b):
        ra, dec = np.linspace(box.ra_min, box.ra_max, 40), np.linspace(box.dec_min, box.dec_max, 40)
        sides.append(
            np.radians(
                np.concatenate(
                    [
                        [ra, np.full(40, box.dec_min)],
                        [ra, np.full(40, box.dec_max)],
                        [np.full(40, box.ra_min), dec],
                        [np.full(40, box.ra_max), dec],
                    ],
                    axis=1,
                )
            )
        )
    (ra1, dec1), (ra2, dec2) = sides
    chord = (
        np.sin((dec1[:, None] - dec2) / 2) ** 2
        + np.cos(dec1)[:, None] * np.cos(dec2) * np.sin((ra1[:, None] - ra2) / 2) ** 2
    )
    step = max(a.dec_max - a.dec_min, b.dec_max - b.dec_min, a.ra_max - a.ra_min, b.ra_max - b.ra_min) / 39
    return math.degrees(2 * math.asin(math.sqrt(chord.min()))) - step


def test_the_originals_known_neighbours():
    tiling = tiling_of(50, 5)
    known = {
        0: [0, 100, 101, 102, 103, 104],
        4900: [4800, 4801, 4802, 4803, 4804, 4900],
        2600: [2500, 2501, 2598, 2600, 2601, 2698, 2700, 2797],
        1621: [1519, 1520, 1620, 1621, 1622, 1721, 1722],
    }
    for chunk, around in known.items():
        assert chunks_around(tiling, chunk, 0.018).tolist() == around


@pytest.mark.parametrize(("chunk", "diagonal"), [(14887, 14484), (4820, 5223)])
def test_diagonal_neighbours_are_around(chunk, diagonal):
    assert diagonal in chunks_around(tiling_of(200, 5), chunk, 0.017)


def test_what_contributes_lies_around(field_tiling):
    overlap = Overlap(field_tiling, 0.01667)
    ids = field_tiling.chunk_ids()
    for chunk in [*ids[:40].tolist(), *ids[:: len(ids) // 200].tolist()]:
        around = chunks_around(field_tiling, chunk, 0.01667).tolist()
        assert {chunk, *overlap.contributors(chunk).tolist()} <= set(around)


def test_a_radius_of_half_the_sky_is_the_sky():
    tiling = tiling_of(18, 10)
    for chunk in (0, 306, 612):
        assert chunks_within(tiling, chunk, 180.0).tolist() == tiling.chunk_ids().tolist()


@given(small_tilings, st.floats(-400, 400), st.floats(0, 400), st.floats(-100, 100), st.floats(0, 200))
@settings(max_examples=150, deadline=None)
def test_chunks_of_a_box(numbers, ra_lo, ra_width, dec_lo, dec_height):
    tiling = tiling_of(*numbers)
    named = chunks_intersecting(tiling, ra_lo, ra_lo + ra_width, dec_lo, dec_lo + dec_height)
    assert (np.diff(named) > 0).all()
    limits = (ra_lo, ra_lo + ra_width, dec_lo, dec_lo + dec_height)
    assert chunks_meeting(tiling, *limits, slack=0.0) <= set(named.tolist())
    assert set(named.tolist()) <= chunks_meeting(tiling, *limits, slack=1e-10)


def chunks_meeting(tiling, ra_lo, ra_hi, dec_lo, dec_hi, slack):
    """Chunk by chunk, turn by turn; limits within ``slack`` of each other touch."""
    found = set()
    for chunk in tiling.chunk_ids().tolist():
        box = tiling.chunk_box(chunk)
        in_ra = any(
            box.ra_min + 360.0 * turn <= ra_hi + slack and ra_lo - slack <= box.ra_max + 360.0 * turn
            for turn in range(-3, 4)
        )
        in_dec = box.dec_min <= dec_hi + slack and dec_lo - slack <= box.dec_max
        in_sky = dec_lo <= 90.0 and dec_hi >= -90.0
        if in_ra and in_dec and in_sky:
            found.add(chunk)
    return found


def test_a_box_across_right_ascension_0():
    tiling = tiling_of(18, 10)
    assert chunks_intersecting(tiling, -1.0, 1.0, 1.0, 2.0).tolist() == [324, 358]
    assert chunks_intersecting(tiling, 359.0, 361.0, 1.0, 2.0).tolist() == [324, 358]


def test_boxes_beyond_the_poles_hold_nothing():
    tiling = tiling_of(18, 10)
    assert chunks_intersecting(tiling, 0.0, 1.0, 90.5, 91.0).tolist() == []
    assert chunks_intersecting(tiling, 0.0, 1.0, -100.0, -90.5).tolist() == []
    assert chunks_intersecting(tiling, 0.0, 1.0, 89.0, 95.0).tolist() == [612]


@pytest.mark.parametrize("limits", [(1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 1.0, 0.0), (0.0, math.nan, 0.0, 1.0)])
def test_what_is_no_box_is_refused(limits):
    with pytest.raises(ValueError, match="limits must ascend"):
        chunks_intersecting(tiling_of(18, 10), *limits)


def test_what_is_no_radius_or_chunk_is_refused():
    tiling = tiling_of(18, 10)
    for radius in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="must be a number from 0"):
            chunks_within(tiling, 306, radius)
    with pytest.raises(ValueError, match="17 is no chunk"):
        chunks_within(tiling, 17, 0.1)
