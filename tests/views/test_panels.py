"""Overview's panels never overlap, never leave the screen, and are there where the page says so."""

from hypothesis import example, given
from hypothesis import strategies as st

from dgconsole.views import chunks, clients
from dgconsole.views.panels import arrange


@given(st.integers(1, 400), st.integers(1, 150), st.integers(4, 2_000), st.integers(3, 60))
def test_panels_fill_the_screen_without_overlap(width, height, rows, needs):
    boxes = arrange(width, height, rows, needs)
    assert "clients" in boxes
    cells = 0
    for name, box in boxes.items():
        assert box.width > 0, name
        assert box.height > (0 if name == "clients" else 2), name
        assert 0 <= box.x <= box.x + box.width <= width
        assert 0 <= box.y <= box.y + box.height <= height
        cells += box.width * box.height
    for name, a in boxes.items():
        for other, b in boxes.items():
            apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
            assert name == other or apart, (name, other)
    assert cells >= width * (height - 4), "not more than a strip is left empty"


@given(st.integers(80, 400), st.integers(20, 150), st.integers(4, 2_000), st.integers(3, 60))
@example(160, 30, 4, 3)
def test_from_80_columns_on_the_needs_and_the_rates_are_there(width, height, rows, needs):
    boxes = arrange(width, height, rows, needs)
    assert {"clients", "needs", "rate"} <= boxes.keys()
    assert boxes["clients"].height >= 6


@given(st.integers(190, 400), st.integers(52, 150), st.integers(4, 2_000), st.integers(3, 60))
def test_with_much_room_map_and_log_stand_beside_the_clients(width, height, rows, needs):
    boxes = arrange(width, height, rows, needs)
    for name in ("sky", "log"):
        assert boxes[name].x >= boxes["clients"].width, name


def test_the_title_of_a_column_has_room_for_the_arrow_of_the_order():
    for columns, sorts in ((clients.COLUMNS, clients.SORTS), (chunks.COLUMNS, chunks.SORTS)):
        for column in columns:
            if column.key in sorts:
                assert len(column.title) + 1 <= column.width, column.title
