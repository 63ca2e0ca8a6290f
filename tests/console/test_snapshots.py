"""Pictures of the screens from fixed states of a session, compared cell by cell with those kept in ``snapshots/``.

A kept picture is text that a person can read and diff: the screen as it stands, then a letter for the style of each
cell, then what the letters mean. ``DGCONSOLE_SNAPSHOTS=write pytest tests/console/test_snapshots.py`` makes them
anew; look at the difference before committing it. A picture that differs is also written as SVG, in pytest's own
temporary folder.
"""

import difflib
import os
import string
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.style import Style
from textual.pilot import Pilot

from dgconsole.console.app import ConsoleApp
from dgconsole.support.clock import ManualClock

pytestmark = pytest.mark.slow

KEPT = Path(__file__).parent / "snapshots"
WRITE = os.environ.get("DGCONSOLE_SNAPSHOTS") == "write"
LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits + "!#$%&*+-/:;<=>?@^_~"
SIZES = ((80, 24), (120, 40), (200, 60))
SCREENS = {"overview": ("1",), "sky": ("2",), "chunks": ("3",), "logs": ("4",), "report": ("5",)}
OPEN = {"history": ("3", "s", "home", "enter"), "help": ("question_mark",), "quit": ("q",)}


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """Times of day are those of Greenwich."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def described(style: Style | None) -> str:
    """A style in words: colours, then what else it is."""
    if style is None:
        return "default"
    colors = [color.name if color is not None else "default" for color in (style.color, style.bgcolor)]
    return " ".join(
        [f"{colors[0]} on {colors[1]}", *(w for w in ("bold", "underline", "reverse") if getattr(style, w))]
    )


def pictured(app: ConsoleApp) -> str:
    """The screen as the text that is kept."""
    letters: dict[str, str] = {}
    texts, styles = [], []
    for strip in app.screen._compositor.render_strips(app.size):
        text = style_line = ""
        for segment in strip:
            letter = letters.setdefault(described(segment.style), LETTERS[min(len(letters), len(LETTERS) - 1)])
            text += segment.text
            style_line += letter * segment.cell_length
        texts.append(text.rstrip())
        styles.append(style_line)
    legend = [f"{letter}  {style}" for style, letter in letters.items()]
    return "\n".join([*texts, "", "styles", *styles, "", *legend, ""])


def compare(app: ConsoleApp, name: str, scratch: Path) -> str:
    """Empty when the picture is as it is kept, else the difference as lines to be read."""
    path, now = KEPT / f"{name}.txt", pictured(app)
    if WRITE:
        KEPT.mkdir(exist_ok=True)
        path.write_text(now, encoding="utf-8")
        return ""
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    if kept == now:
        return ""
    picture = scratch / f"{name}.svg"
    picture.write_text(app.export_screenshot(title=name), encoding="utf-8")
    lines = difflib.unified_diff(kept.splitlines(), now.splitlines(), "kept", "now", lineterm="", n=1)
    return f"{name} differs; as a picture: {picture}\n" + "\n".join(lines)


@asynccontextmanager
async def console(session, size: tuple[int, int], *, lived: int) -> AsyncIterator[tuple[ConsoleApp, Pilot]]:
    """The console on a session, after it has watched it for so many seconds; time moves only there."""
    clock = ManualClock(wall=session.wall)

    async def start():
        return session

    app = ConsoleApp(start, session.name, period=3600.0, clock=clock)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        for _ in range(lived):
            session.advance(1.0)
            session.complete(20 + session.revision % 7)
            clock.advance(1.0)
            await app.tick()
        for _ in range(3):
            await look(app, pilot, clock)
        app.clock = clock
        yield app, pilot


async def look(app: ConsoleApp, pilot: Pilot, clock: ManualClock) -> None:
    clock.advance(1.1)
    await app.tick()
    await pilot.pause()


async def compare_all(session, size, screens, name: str, scratch: Path, *, lived: int = 0, theme: str = "") -> None:
    """Compare screens of one console: each is reached by its keys from the one before."""
    differences = []
    async with console(session, size, lived=lived) as (app, pilot):
        if theme:
            app.theme = theme
        for screen, keys in screens.items():
            for key in keys:
                await pilot.press(key)
                await look(app, pilot, app.clock)
            await look(app, pilot, app.clock)
            differences.append(compare(app, f"{name}-{screen}-{size[0]}x{size[1]}", scratch))
            if len(app.screen_stack) > 1:
                await pilot.press("escape")
    assert not any(differences), "\n\n".join(filter(None, differences))


def chosen(*names: str) -> dict[str, Sequence[str]]:
    return {name: SCREENS[name] for name in names}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("state", "screens", "lived"),
    [
        ("empty", chosen("overview"), 0),
        ("running", SCREENS, 60),
        ("trouble", SCREENS | OPEN, 20),
        ("done", chosen("report", "overview", "sky"), 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_screens(scene, tmp_path, size, state, screens, lived):
    await compare_all(scene(state), size, screens, f"night-{state}", tmp_path, lived=lived)


@pytest.mark.parametrize("theme", ["day", "contrast"])
async def test_other_themes(scene, tmp_path, theme):
    await compare_all(
        scene("trouble"), (120, 40), chosen("overview", "sky"), f"{theme}-trouble", tmp_path, theme=theme
    )


@pytest.mark.parametrize("name", ["256", "16", "none"])
async def test_fewer_colours(scene, tmp_path, monkeypatch, name):
    monkeypatch.delenv("COLORTERM")
    monkeypatch.setenv("TERM", "linux" if name == "16" else "xterm-256color")
    if name == "none":
        monkeypatch.setenv("NO_COLOR", "1")
    screens = chosen("overview", "sky", "chunks") | {"quit": OPEN["quit"]}
    await compare_all(scene("trouble"), (80, 24), screens, f"{name}-trouble", tmp_path)


async def test_without_colour_no_colour_is_sent(monkeypatch):
    for line in (KEPT / "none-trouble-overview-80x24.txt").read_text(encoding="utf-8").splitlines():
        if " on " in line[:60] and line[1:3] == "  ":
            assert line[3:].startswith("default on default"), line


async def test_plain_letters(scene, tmp_path, monkeypatch):
    monkeypatch.setattr("dgconsole.console.app._speaks_unicode", lambda: False)
    await compare_all(scene("trouble"), (80, 24), chosen("overview", "sky"), "ascii-trouble", tmp_path)


async def test_a_very_small_terminal(scene, tmp_path):
    await compare_all(scene("trouble"), (40, 12), SCREENS, "night-trouble", tmp_path)
