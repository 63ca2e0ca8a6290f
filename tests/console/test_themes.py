"""Themes: contrasts, colours told apart by everyone and in every terminal, and the one that is remembered."""

import itertools
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from rich.color import Color, ColorSystem
from textual.theme import Theme
from textual.widgets._toast import Toast

from dgconsole.console import remembered, terminal
from dgconsole.console.paint import Paint
from dgconsole.console.themes import (
    CONTRAST,
    DAY,
    FEW_COLORS,
    NIGHT,
    THEMES,
    TONES,
    in_256,
    nearest,
    themes_for,
)

GROUNDS = ("background", "surface", "cursor", "cursor-away")
MADE = (*THEMES, *map(in_256, THEMES))
LOUD = ("map-delivered", "map-assigned", "map-retrying", "map-limbo")
SHADES = ("map-some", "map-half", "map-most")
MAP_STATES = ("map-pending", "map-done", *LOUD)


def sent(color: str) -> str:
    """What a terminal of 256 colours is sent for ``#rrggbb``; anything else stays."""
    if color.startswith("#") and len(color) == 7:
        return Color.parse(color).downgrade(ColorSystem.EIGHT_BIT).get_truecolor().hex
    return color


def paint(theme: Theme) -> Paint:
    variables = theme.to_color_system().generate() | theme.variables
    if theme.name.endswith("-256"):
        variables = {name: sent(value) for name, value in variables.items()}
    return Paint(variables)


def linear(color: str) -> tuple[float, float, float]:
    """Linear light of ``#rrggbb``, each part from 0 to 1 (IEC 61966-2-1)."""
    parts = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return red, green, blue


def contrast(front: str, ground: str) -> float:
    """WCAG 2.1's contrast ratio."""
    bright, dark = sorted(
        (0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in (linear(front), linear(ground))),
        reverse=True,
    )
    return (bright + 0.05) / (dark + 0.05)


def seen(made: Paint, tone: str, ground: str) -> tuple[str, str]:
    """The colours of text and ground as they are seen."""
    style = made.style(tone, ground)
    front, back = style.color.get_truecolor().hex, style.bgcolor.get_truecolor().hex
    return (back, front) if style.reverse else (front, back)


@pytest.mark.parametrize("theme", MADE, ids=lambda theme: theme.name)
@pytest.mark.parametrize("ground", GROUNDS)
def test_every_tone_can_be_read_on_every_ground(theme, ground):
    """AA for night and day, AAA for contrast; ``faint`` is for lines and the empty part of a bar, not for text."""
    least = 7.0 if theme.name.startswith("contrast") else 4.5
    made = paint(theme)
    for tone in ("", *TONES):
        if tone != "faint":
            assert contrast(*seen(made, tone, ground)) >= least, tone


@pytest.mark.parametrize("theme", MADE, ids=lambda theme: theme.name)
def test_text_in_fields_and_buttons_can_be_read(theme):
    made = paint(theme)
    least = 7.0 if theme.name.startswith("contrast") else 4.5
    assert contrast(made.color("foreground"), made.color("panel")) >= least
    for ground in ("tone-key", "tone-hot"):
        assert contrast(made.color("background"), made.color(ground)) >= 4.5


@pytest.mark.parametrize("theme", MADE, ids=lambda theme: theme.name)
def test_the_line_of_the_cursor_is_seen(theme):
    made = paint(theme)
    _, cursor = seen(made, "", "cursor")
    assert cursor != made.color("background")
    assert made.color("cursor-away") != made.color("background")
    if theme.name.startswith("contrast"):
        assert contrast(cursor, made.color("background")) >= 7.0


# Viénot, Brettel and Mollon 1999, "Digital video colourmaps for checking the legibility of displays by dichromats",
# in linear light: what somebody without one kind of cone sees.
DICHROMATS = {
    "protanope": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deuteranope": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
    "everybody": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}


def lab(rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    """CIE L*a*b* (D65) of linear light."""
    red, green, blue = rgb
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (max(v, 0.0) ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("theme", MADE, ids=lambda theme: theme.name)
@pytest.mark.parametrize("eye", DICHROMATS)
def test_states_on_the_map_are_told_apart_by_every_eye(theme, eye):
    """By at least 15 in CIE 1976's colour difference, where 2.3 is just noticed; so are half done and in trouble."""
    made = paint(theme)
    shown = {}
    for state in (*MAP_STATES, *SHADES):
        light = linear(made.color(state))
        shown[state] = lab(tuple(sum(k * c for k, c in zip(row, light, strict=True)) for row in DICHROMATS[eye]))
    pairs = [*itertools.combinations(MAP_STATES, 2), *itertools.product(SHADES, LOUD)]
    for one, other in pairs:
        apart = sum((x - y) ** 2 for x, y in zip(shown[one], shown[other], strict=True)) ** 0.5
        assert apart >= 15, (one, other, round(apart, 1))


@pytest.mark.parametrize("theme", [in_256(theme) for theme in THEMES], ids=lambda theme: theme.name)
def test_what_256_colours_show_is_what_was_meant(theme):
    for name, meant in theme.variables.items():
        if meant.startswith("#") and len(meant) == 7:
            for at in (1, 3, 5):
                assert abs(int(sent(meant)[at : at + 2], 16) - int(meant[at : at + 2], 16)) <= 10, name


@pytest.mark.parametrize("theme", FEW_COLORS, ids=lambda theme: theme.name)
def test_16_colours_are_the_terminals_own(theme):
    made = paint(theme)
    for tone in ("", *TONES):
        for ground in GROUNDS:
            style = made.style(tone, ground)
            assert style.color.number in range(16)
            assert style.bgcolor.number in range(16)
            assert style.color != style.bgcolor
    assert made.style("", "cursor").reverse
    assert made.style("", "cursor-away").underline
    shown = [made.color(state) for state in MAP_STATES]
    assert len(set(shown)) == len(MAP_STATES)


@pytest.mark.parametrize(
    ("system", "no_color", "names"),
    [
        ("truecolor", False, ["night", "day", "contrast"]),
        ("256", False, ["night-256", "day-256", "contrast-256"]),
        ("standard", False, ["night-16", "day-16"]),
        (None, False, ["night-16", "day-16"]),
        ("truecolor", True, ["night-16", "day-16"]),
    ],
)
def test_a_terminal_gets_the_themes_that_it_can_show(system, no_color, names):
    assert [theme.name for theme in themes_for(system, no_color=no_color)] == names


def test_a_choice_holds_in_every_terminal():
    assert nearest("day", FEW_COLORS).name == "day-16"
    assert nearest("contrast", FEW_COLORS).name == "night-16"
    assert nearest("day-16", THEMES) is DAY
    assert nearest("contrast", THEMES) is CONTRAST
    assert nearest("no such theme", THEMES) is NIGHT
    assert nearest("", THEMES) is NIGHT


async def stored(face):
    if writing := [worker for worker in face.app.workers if worker.name == "theme"]:
        await face.app.workers.wait_for_complete(writing)


async def test_t_goes_through_the_themes_and_the_last_is_remembered(scene, open_console):
    async with open_console(scene("trouble")) as face:
        before = face.text()
        for name in ("day", "contrast", "night", "day"):
            await face.press("t")
            assert face.app.theme == name
            assert face.text() == before
            await stored(face)
            assert remembered.theme_name() == name
    async with open_console(scene("trouble")) as face:
        assert face.app.theme == "day"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"purple\n", b"x" * 10_000])
async def test_a_broken_memory_is_no_problem(scene, open_console, tmp_path, monkeypatch, content):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "dgconsole").mkdir()
    (tmp_path / "dgconsole" / "theme").write_bytes(content)
    async with open_console(scene("empty")) as face:
        assert face.app.theme == "night"


async def test_a_memory_that_cannot_be_written_is_no_problem(scene, open_console, tmp_path, monkeypatch):
    (tmp_path / "dgconsole").touch()  # a file where the folder should be
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with open_console(scene("empty")) as face:
        await face.press("t")
        assert face.app.theme == "day"
        await stored(face)
        assert not face.app.screen.query(Toast)


def test_without_a_home_there_is_no_memory(monkeypatch):
    def nowhere():
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr("pathlib.Path.home", nowhere)
    assert remembered.theme_name() == ""
    remembered.keep_theme("day")


@pytest.mark.parametrize(
    ("term", "known", "themes"),
    [("linux", 8, "night-16"), ("alacritty", 256, "night-256"), ("xterm-direct", 1 << 24, "night-256")],
)
async def test_terminals_that_only_terminfo_knows(scene, open_console, monkeypatch, term, known, themes):
    monkeypatch.delenv("COLORTERM")
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("dgconsole.console.terminal.colors", lambda: known)
    async with open_console(scene("empty")) as face:
        assert face.app.theme == themes


@pytest.mark.parametrize(("term", "screen"), [("dumb", False), ("unknown", False), ("linux", True), ("vt100", True)])
def test_a_terminal_that_only_takes_lines_gets_no_screen(monkeypatch, term, screen):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True))
    assert terminal.has_screen() is screen


def test_what_terminfo_says_of_colours():
    """In a process of its own, as curses looks at one terminal once; nonsense is no problem."""
    program = "from dgconsole.console.terminal import colors; print(colors())"
    for term, number in (("xterm-256color", 256), ("no-such-terminal", 0), ("", 0)):
        done = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"TERM": term}, capture_output=True, check=True
        )
        assert int(done.stdout) == number
