"""`Chunker`: the original's methods and known values, over the tiling's exact boxes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsst import sphgeom

from dgconsole.catalog import Chunker

coarse = Chunker(0, 50, 5)


@pytest.mark.parametrize(
    ("chunk", "around"),
    [
        (0, [0, 100, 101, 102, 103, 104]),
        (4900, [4800, 4801, 4802, 4803, 4804, 4900]),
        (2600, [2500, 2501, 2598, 2600, 2601, 2698, 2700, 2797]),
        (1621, [1519, 1520, 1620, 1621, 1622, 1721, 1722]),
    ],
)
def test_chunks_around(chunk: int, around: list[int]) -> None:
    assert coarse.getChunksAround(chunk, 0.01) == around


def test_a_neighbour_across_the_corner_is_not_missed_far_south() -> None:
    assert 14484 in Chunker(0, 200, 5).getChunksAround(14887, 0.017)


@pytest.mark.parametrize(("position", "chunk"), [((0.25, 0.25), 2500), ((30, 0), 2408), ((0, -20), 1900)])
def test_locate(position: tuple[float, float], chunk: int) -> None:
    assert coarse.locate(position) == chunk


@given(st.floats(-400, 800), st.floats(-90, 90))
def test_a_located_position_is_in_its_chunk(lon: float, lat: float) -> None:
    box = coarse.getChunkBounds(coarse.locate((lon, lat)))
    assert box.lat_min - 1e-9 <= lat <= box.lat_max + 1e-9
    assert any(box.lon_min - 1e-9 <= lon % 360 + turn <= box.lon_max + 1e-9 for turn in (-360, 0, 360))


def test_all_chunks_are_those_of_sphgeom() -> None:
    assert coarse.getAllChunks() == sorted(sphgeom.Chunker(50, 5).getAllChunks())


def test_bounds_speak_as_sphgeoms_box_does() -> None:
    box = coarse.getChunkBounds(2501)
    theirs = sphgeom.Chunker(50, 5).getChunkBoundingBox(25, 1)
    for ours, other in ((box.getLon(), theirs.getLon()), (box.getLat(), theirs.getLat())):
        for angle, theirs_angle in ((ours.getA(), other.getA()), (ours.getB(), other.getB())):
            assert angle.asDegrees() == pytest.approx(theirs_angle.asDegrees(), abs=1e-7)
            assert angle.asRadians() == pytest.approx(theirs_angle.asRadians(), abs=1e-9)
    assert box.getWidth() == box.lon_max - box.lon_min
    assert box.getHeight() == pytest.approx(3.6)
    assert box.getCenter().getLat().asDegrees() == pytest.approx(1.8)
    assert math.isclose(box.getCenter().getLon(), (box.lon_min + box.lon_max) / 2)


def test_no_chunk() -> None:
    with pytest.raises(ValueError, match="5 is no chunk of 50 stripes"):
        coarse.getChunkBounds(5)


@pytest.mark.parametrize("numbers", [(0, 5), (50, 0), (50.0, 5), (True, 5), ("50", 5)])
def test_numbers_that_are_none(numbers: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="give a whole number of at least 1"):
        Chunker(0, *numbers)


class TestIntersecting:
    def test_the_forms_of_a_box_agree(self) -> None:
        plain = coarse.getChunksIntersecting((10.0, 20.0, -5.0, 5.0))
        theirs = coarse.getChunksIntersecting(sphgeom.Box.fromDegrees(10.0, -5.0, 20.0, 5.0))
        assert plain == theirs == sorted(plain)
        assert coarse.locate((15.0, 1.0)) in plain

    def test_across_zero(self) -> None:
        across = coarse.getChunksIntersecting((359.0, 1.0, 1.0, 2.0))
        assert across == [2500, 2598]
        assert coarse.getChunksIntersecting(sphgeom.Box.fromDegrees(359.0, 1.0, 1.0, 2.0)) == across

    def test_a_chunks_own_box(self) -> None:
        assert 2600 in coarse.getChunksIntersecting(coarse.getChunkBounds(2600))

    def test_what_is_no_box(self) -> None:
        with pytest.raises(TypeError, match="is no box"):
            coarse.getChunksIntersecting(7)


def test_print(capsys: pytest.CaptureFixture[str]) -> None:
    coarse.printChunkBoundsDegrees(4900)
    assert capsys.readouterr().out.startswith("chunk= 4900 box= ra[0.0, 360.0], dec[86.4")


def test_repr() -> None:
    assert repr(coarse) == "Chunker(0, 50, 5)"
