"""The map's projection and pixels, the log store, histories and the report as tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dgconsole.snapshot import (
    AttemptRow,
    Cause,
    ChunkHistory,
    ChunkState,
    Counts,
    Report,
    ReportRow,
    Total,
)
from dgconsole.views import mollweide, sky
from dgconsole.views.history import history_lines
from dgconsole.views.report import facts, sections, totals, verdict
from dgconsole.views.signs import Signs


def boxes_of(stripes: int) -> np.ndarray:
    height = 180 / stripes
    boxes = []
    for k in range(stripes):
        low = -90 + k * height
        count = max(int(360 / height * math.cos(math.radians(low + height / 2))), 1)
        edges = np.linspace(0, 360, count + 1)
        boxes += [(edges[i], edges[i + 1], low, low + height) for i in range(count)]
    return np.array(boxes)


@given(st.floats(0, 359.999), st.floats(-89.9, 89.9))
def test_the_projection_and_its_inverse_agree(ra, dec):
    x, y = mollweide.forward(np.array([ra]), np.array([dec]))
    back_ra, back_dec, on_sky = mollweide.inverse(x, y)
    assert on_sky[0] or abs(abs(x[0]) - math.sqrt(max(1 - y[0] ** 2, 0))) < 1e-9
    assert back_dec[0] == pytest.approx(dec, abs=1e-6)
    assert abs((back_ra[0] - ra + 180) % 360 - 180) < 1e-5


def test_the_projection_has_ra_0_in_the_middle_and_east_at_the_left():
    x, y = mollweide.forward(np.array([0.0, 90.0, 270.0, 0.0]), np.array([0.0, 0.0, 0.0, 90.0]))
    assert x == pytest.approx([0, -0.5, 0.5, 0], abs=1e-9)
    assert y == pytest.approx([0, 0, 0, 1], abs=1e-6)


def test_the_projection_keeps_areas():
    grid = (np.arange(400) + 0.5) / 200 - 1
    _, dec, on_sky = mollweide.inverse(*(g.ravel() for g in np.meshgrid(grid, grid)))
    north = np.abs(dec[on_sky]) > 30
    assert north.mean() == pytest.approx(0.5, abs=0.01)


@given(st.floats(0, 359.999), st.floats(-89.999, 89.999))
def test_every_place_of_a_whole_sky_has_one_owner(ra, dec):
    boxes = boxes_of(18)
    owner = int(sky.SkyPlaces(boxes).owners(np.array([ra]), np.array([dec]))[0])
    inside = (boxes[:, 0] <= ra) & (ra < boxes[:, 1]) & (boxes[:, 2] <= dec) & (dec < boxes[:, 3])
    assert inside[owner]


def test_no_targets_no_owners():
    assert sky.SkyPlaces(np.zeros((0, 4))).owners(np.array([1.0]), np.array([1.0])).tolist() == [-1]


@pytest.mark.parametrize(("stripes", "width"), [(10, 80), (60, 120), (60, 40)])
def test_a_whole_sky_leaves_no_hole(stripes, width):
    boxes = boxes_of(stripes)
    made = sky.SkyMap(sky.SkyPlaces(boxes), np.zeros(len(boxes), np.uint8), width, width // 2)
    assert set(np.unique(made.pixels)) <= {sky.OUTSIDE, sky.PENDING}
    assert (made.pixels == sky.PENDING).mean() == pytest.approx(math.pi / 4, abs=0.03)
    assert (made.pixels == made.pixels[:, ::-1]).all()


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 5)), max_size=60))
def test_changes_lead_where_a_new_map_leads(changes):
    boxes = boxes_of(18)
    states = np.zeros(len(boxes), np.uint8)
    made = sky.SkyMap(sky.SkyPlaces(boxes), states, 40, 20)
    before = made.pixels.copy()
    for at, state in changes:
        states[at % len(states)] = state
    rows = made.update(states)
    fresh = sky.SkyMap(sky.SkyPlaces(boxes), states, 40, 20)
    assert (made.pixels == fresh.pixels).all()
    assert set(rows.tolist()) == set(np.flatnonzero((before != made.pixels).any(axis=1)).tolist())


def test_the_worst_state_wins_and_every_target_shows():
    boxes = boxes_of(60)
    states = np.full(len(boxes), 3, np.uint8)
    states[[17, 1234]] = 4
    made = sky.SkyMap(sky.SkyPlaces(boxes), states, 40, 20)
    assert (made.pixels == sky.LIMBO).sum() == 2
    pixel = int(made.pixel_of[1234])
    assert made.members(pixel)[0] == 1234
    few = sky.SkyMap(sky.SkyPlaces(boxes[[5, 2000, 4000]]), np.zeros(3, np.uint8), 40, 20)
    assert few.shows_targets().sum() == 3


windows = st.builds(
    sky.Window, st.sampled_from([2, 4, 16, sky.LARGEST_ZOOM]), st.floats(0, 359.999), st.floats(-89.999, 89.999)
)


@given(windows)
def test_a_window_shows_its_place_and_the_sky_as_it_is_there(window):
    places = sky.SkyPlaces(boxes_of(60))
    states = np.arange(len(places), dtype=np.uint8) % 2 * 3
    made = sky.SkyMap(places, states, 40, 20, window)
    ra, dec, on_sky = made.positions(np.arange(800))
    assert on_sky.any()
    found = places.owners(ra, dec)
    assert (made.owner == np.where(on_sky, found, -1)).all()
    alone = np.bincount(made.pixel_of[made.pixel_of >= 0], minlength=800) == 0
    shown = np.where(states[np.maximum(found, 0)] == 3, sky.DONE, sky.PENDING)
    assert (made.pixels.ravel()[alone & on_sky] == shown[alone & on_sky]).all()
    x, y = places.middles(window)
    inside = made.pixel_of >= 0
    assert (inside == ((np.abs(x) <= 1) & (np.abs(y) <= 1))).all()


@given(windows, st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 5)), max_size=60))
def test_changes_in_a_window_lead_where_a_new_map_leads(window, changes):
    places = sky.SkyPlaces(boxes_of(18))
    states = np.zeros(len(places), np.uint8)
    made = sky.SkyMap(places, states, 40, 20, window)
    for at, state in changes:
        states[at % len(states)] = state
    made.update(states)
    assert (made.pixels == sky.SkyMap(places, states, 40, 20, window).pixels).all()


def test_the_place_of_a_window_is_in_its_middle():
    made = sky.SkyMap(
        sky.SkyPlaces(boxes_of(60)), np.zeros(len(boxes_of(60)), np.uint8), 80, 40, sky.Window(64, 211.3, -41.7)
    )
    ra, dec, _ = made.positions(np.array([20 * 80 + 40]))
    assert ra[0] == pytest.approx(211.3, abs=0.1)
    assert dec[0] == pytest.approx(-41.7, abs=0.1)


def test_shades_tell_how_much_is_done():
    boxes = boxes_of(60)
    states = np.zeros(len(boxes), np.uint8)
    states[::2] = 3
    made = sky.SkyMap(sky.SkyPlaces(boxes), states, 20, 10)
    assert {sky.SOME, sky.HALF, sky.MOST} & set(np.unique(made.pixels).tolist())
    states[:] = 3
    made.update(states)
    assert set(np.unique(made.pixels)) == {sky.OUTSIDE, sky.DONE}


def test_steps_go_to_the_next_target():
    targets = np.zeros((10, 20), bool)
    targets[5, [3, 9, 15]] = True
    targets[1, 9] = True
    assert sky.step(targets, (3, 5), 1, 0) == (9, 5)
    assert sky.step(targets, (9, 5), 0, -1) == (9, 1)
    assert sky.step(targets, (15, 5), 1, 0) == (15, 5)
    assert sky.step(np.zeros((3, 3), bool), (1, 1), 1, 0) == (1, 1)


def test_a_history_tells_each_attempt():
    history = ChunkHistory(
        chunk=4321,
        state=ChunkState.RETRYING,
        retry_at=1_060.0,
        attempts=(
            AttemptRow(
                attempt=1,
                client="db01-1",
                host="db01",
                started=900.0,
                ended=903.5,
                outcome="failed",
                fault="disk",
                error="no space\nleft",
                stages={"generate": 2.0},
            ),
            AttemptRow(attempt=2, client="db02-1", host="db02", started=950.0, ended=None, outcome=""),
            AttemptRow(attempt=3, client="db02-1", host="db02", started=960.0, ended=961.0, outcome="delivered"),
        ),
    )
    text = "\n".join(
        "".join(cell.text for cell in cells) for cells in history_lines(history, (0, 1, 2, 3), 1_000.0, Signs())
    )
    assert "chunk 4321   ↻ retrying" in text
    assert "in 1 min" in text
    assert "▶ attempt 2  running" in text
    assert "▶ attempt 3  delivered" in text
    assert "after 3.50 s" in text
    assert "no space" in text
    assert "(disk)" in text


def test_the_report_as_tables():
    row = ReportRow(
        chunk_id=5,
        state="limbo",
        attempts=3,
        client="a-1",
        host="a",
        started_at="",
        finished_at="",
        seconds=None,
        rows=0,
        overlap_rows=0,
        bytes=0,
        error="disk full",
    )
    report = Report(
        verdict="",
        counts=Counts(total=10, completed=9, limbo=1),
        elapsed=10.0,
        hosts=(Total(name="a", chunks=9, rows=90, seconds=4.5),),
        clients=(Total(name="a-1", chunks=9, rows=90),),
        tables=(Total(name="Object", chunks=9, rows=90, overlap_rows=9, bytes=900),),
        stages=(Total(name="generate", seconds=3.0), Total(name="deliver", seconds=1.0)),
        slowest=(row,),
        problems=(row,),
        causes=(Cause(text="disk full", fault="disk", count=1, chunks=(5,), hosts=("a",)),),
    )
    assert totals(report).rows == 90
    assert verdict(report).text.startswith("still going: 9 of 10 chunks done (90.0 %)")
    assert ("chunks", "9 of 10") in facts(report)
    assert "mean" not in dict(facts(report)), "this session made nothing: others did"
    assert dict(facts(replace(report, session_rows=30)))["mean"] == "3 rows/s"
    made = {section.key: section.rows for section in sections(report, Signs())}
    assert list(made) == ["causes", "problems", "hosts", "tables", "clients", "stages", "slowest"]
    assert made["stages"].line(0).cells[2].text == "75%"
    stages = (Total(name="generate", seconds=3.0), Total(name="deliver", seconds=1.0, bytes=900))
    delivered = {section.key: section.rows for section in sections(replace(report, stages=stages), Signs())}["stages"]
    assert [delivered.line(k).cells[-1].text for k in range(2)] == ["", "900 B"]
    assert len(delivered.columns) == len(made["stages"].columns) + 1
    assert made["problems"].key(0) == 5
    for rows in made.values():
        assert all(len(rows.line(k).cells) == len(rows.columns) for k in range(len(rows)))
