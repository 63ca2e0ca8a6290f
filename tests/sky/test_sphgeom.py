"""The same ids and boxes as ``lsst.sphgeom.Chunker``, which computes in radians and pads its boxes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.sphgeom import Box as SphericalBox
from lsst.sphgeom import Chunker

from dgconsole.sky.boxes import Box
from dgconsole.sky.tiling import Tiling, tiling_of

TOLERANCE = 1e-7
"""Degrees; sphgeom's padding is up to 3.1e-8 next to the poles of the field's tilings."""


def assert_same_box(box: Box, theirs: SphericalBox, tolerance: float = TOLERANCE) -> None:
    lon, lat = theirs.getLon(), theirs.getLat()
    off = [lat.getA().asDegrees() - box.dec_min, lat.getB().asDegrees() - box.dec_max]
    if lon.isFull():
        assert (box.ra_min, box.ra_max) == (0.0, 360.0)
    else:
        off += [lon.getA().asDegrees() - box.ra_min, lon.getB().asDegrees() - box.ra_max]
    assert max(abs((d + 180.0) % 360.0 - 180.0) for d in off) < tolerance


def assert_same_chunk(tiling: Tiling, chunker: Chunker, chunk_id: int, tolerance: float = TOLERANCE) -> None:
    stripe = chunker.getStripe(chunk_id)
    assert tiling.stripe_of(chunk_id) == stripe
    chunk_box = chunker.getChunkBoundingBox(stripe, chunker.getChunk(chunk_id, stripe))
    assert_same_box(tiling.chunk_box(chunk_id), chunk_box, tolerance)
    assert tiling.sub_chunk_ids(chunk_id).tolist() == chunker.getAllSubChunks(chunk_id)


def test_all_chunk_ids_of_the_sky(field_tiling):
    chunker = Chunker(field_tiling.num_stripes, field_tiling.num_sub_stripes)
    assert field_tiling.chunk_ids().tolist() == chunker.getAllChunks()


@pytest.mark.slow
def test_all_chunks_of_the_sky(field_tiling):
    chunker = Chunker(field_tiling.num_stripes, field_tiling.num_sub_stripes)
    for chunk_id in field_tiling.chunk_ids().tolist():
        assert_same_chunk(field_tiling, chunker, chunk_id)


def test_first_and_last_chunk_of_every_stripe(field_tiling):
    chunker = Chunker(field_tiling.num_stripes, field_tiling.num_sub_stripes)
    first = np.arange(field_tiling.num_stripes) * 2 * field_tiling.num_stripes
    for chunk_id in np.concatenate([first, first + field_tiling.chunks_per_stripe - 1]).tolist():
        assert_same_chunk(field_tiling, chunker, chunk_id)


def test_boxes_of_sub_chunks(field_tiling):
    chunker = Chunker(field_tiling.num_stripes, field_tiling.num_sub_stripes)
    rng = np.random.default_rng(4)
    k = np.concatenate([np.arange(12), rng.integers(0, field_tiling.sub_stripe_count, 2_000)]).astype(np.int32)
    segment = rng.integers(0, field_tiling.sub_chunks_per_stripe[k]).astype(np.int32)
    ids = field_tiling.cell_ids(k, segment)
    for chunk_id, sub_chunk_id, row, s in zip(*(array.tolist() for array in (*ids, k, segment)), strict=True):
        assert_same_box(
            field_tiling.sub_chunk_box(chunk_id, sub_chunk_id), chunker.getSubChunkBoundingBox(row, s), tolerance=1e-6
        )


@given(st.integers(1, 70), st.integers(1, 15), st.data())
@settings(max_examples=120, deadline=None)
def test_any_small_tiling(stripes, per_stripe, data):
    tiling, chunker = tiling_of(stripes, per_stripe), Chunker(stripes, per_stripe)
    ids = chunker.getAllChunks()
    assert tiling.chunk_ids().tolist() == ids
    for chunk_id in data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=10)):
        assert_same_chunk(tiling, chunker, chunk_id)
