"""Numbers and text for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dgconsole.views import numbers
from dgconsole.views.text import clip, clip_middle, few, harmless, number, pad, plural

HOSTILE = "\x1b[31mred\x1b[0m\x1b]0;title\x07 \x9b2J\r\n\t\u202eevil\u2069 \u200b\ufe0f\ud800 [bold]x[/]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (950, "950"),
        (1_240, "1.2 k"),
        (78_500, "78.5 k"),
        (312_400, "312 k"),
        (999_700, "1.0 M"),
        (1.9e6, "1.9 M"),
    ],
)
def test_short_numbers_keep_three_digits(value, text):
    assert numbers.short(value) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (24.07, "24.1 chunks/s"),
        (0.2, "12.0 chunks/min"),
        (0.004, "14.4 chunks/h"),
        (0, "0 chunks/s"),
        (5_000, "5.0 k chunks/s"),
    ],
)
def test_slow_rates_change_their_unit(rate, text):
    assert numbers.chunk_rate(rate) == text


@given(st.integers(0, 2_000_000), st.integers(1, 2_000_000))
def test_the_percentage_is_100_only_when_all_is_done(done, total):
    done = min(done, total)
    assert (numbers.percent(done, total) == "100.0 %") == (done == total)
    assert abs(float(numbers.percent(done, total)[:-2]) - 100 * done / total) < 0.1 + 1e-9


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00:00"), (761, "00:12:41"), (86_400 * 2 + 11_561, "2 d 03:12:41"), (-3, "00:00:00")]
)
def test_clock(seconds, text):
    assert numbers.clock(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (3, 14, "a few seconds"),
        (31, 55, "30 to 60 s"),
        (650, 830, "10 to 15 min"),
        (3_900, 4_700, "1 h 00 to 1 h 20 min"),
        (3_550, 3_599, "55 min to 1 h 00 min"),
        (0, 100, "under 1 min"),
        (200_000, 210_000, "2 d 7 h to 2 d 11 h"),
    ],
)
def test_intervals_are_rounded_outward(low, high, text):
    assert numbers.between(low, high) == text


@given(st.floats(0, 1e8), st.floats(0, 1e8))
def test_every_interval_has_words(a, b):
    assert numbers.between(min(a, b), max(a, b))


def test_hostile_text_is_harmless():
    shown = harmless(HOSTILE)
    assert shown.isprintable()
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "evil" in shown


@given(st.text())
def test_harmless_text_has_one_line_and_no_control_character(text):
    shown = harmless(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert len(shown.splitlines()) <= 1
    assert harmless(shown) == shown


@given(st.text(), st.integers(0, 40), st.booleans())
def test_padded_text_has_exactly_its_width(text, width, right):
    assert cell_len(pad(harmless(text), width, right=right)) == width
    assert cell_len(clip(harmless(text), width)) <= width


def test_wide_characters_count_as_two_cells():
    assert pad("日本語", 5) == "日本…"
    assert pad("日本", 5) == "日本 "


def test_a_number_is_never_cut():
    assert number("1,234", 6) == " 1,234"
    assert number("1,234,567", 6) == "######"


def test_lists_and_plurals():
    assert few(("a", "b", "c", "d"), 2) == "a, b and 2 more"
    assert few(("db1", "db2")) == "db1, db2"
    assert few((*(f"db{n:02}.x" for n in range(1, 25)), "here")) == "db[01-24].x, here"
    assert few(("a1", "a2", "b", "c"), 2) == "a1, a2 and 2 more"
    assert plural(1, "chunk") == "1 chunk"
    assert plural(1_204, "chunk") == "1,204 chunks"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.integers(0, 80))
def test_a_text_without_its_middle_fits(text, width):
    clipped = clip_middle(harmless(text), width)
    assert cell_len(clipped) <= width


def test_a_text_without_its_middle_keeps_how_it_begins_and_ends():
    text = "Object, columns uPsFlux,gPsFlux,rPsFlux: ValueError: no flux in the catalog"
    clipped = clip_middle(text, 50)
    assert clipped.startswith("Object, columns uPsFlux")
    assert clipped.endswith("no flux in the catalog")
    assert clip_middle("short", 50) == "short"
