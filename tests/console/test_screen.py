"""What holds on every screen: sizes, hostile text, errors, planning, a million rows."""

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dgconsole.console.app import ConsoleApp
from dgconsole.console.table import LineTable
from dgconsole.snapshot import Cause, ClientRow, ClientState, HostRow, LogLine, Notice, Quit, RunState
from dgconsole.support.clock import ManualClock
from dgconsole.support.errors import BugError, InputError, Problem
from dgconsole.views.grid import FixedRows

pytestmark = pytest.mark.slow

HOSTILE = "\x1b[31m\x1b]0;x\x07[bold red]\u202egnp.exe\r\n\t\x9b2J \ufe0f日本\ud800[/] [@click=app.quit]x[/]"
NASTY = (
    HOSTILE,
    "\x1b]52;c;cm0gLXJmIH4=\x07\x1b]8;;http://x\x07link\x1b]8;;\x07",
    "\x1bP+q544e\x1b\\\x1b[?1049h\x1b[6n\x90q\x9c",
    "\u2066abc\u2069\u200f\u061cشكرا\u202d",
    "Z" + "\u0336\u0489\u0300" * 300 + "algo",
    "👨‍👩‍👧‍👦👍🏽🇩🇪☀️" * 40,
    "日" * 5000,
    "x" * 100_000,
    "\t" * 500 + "end",
    "a\u2028b\u2029c\x85d\x0be\x0cf",
    "\u3164\u115f\u00ad\U000e0041\u180e" * 30 + ".",
    "\ud83d\udcff\x00\xff",
    "[/bold][red on blue]$(reboot)`id`{0}%s%n",
    "",
    " ",
)
"""What a host, a client or a server may say by accident or on purpose."""


@pytest.mark.parametrize("name", ["empty", "small", "running", "trouble", "done"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (40, 12)])
async def test_every_screen_at_every_size(scene, open_console, name, size):
    async with open_console(scene(name), size) as face:
        for key in "12345":
            await face.press(key)
            assert re.search(r"\d+\.\d %", "\n".join(face.lines()[:3])), key
            assert "could not be" not in face.text()
            if size[0] >= 80:
                assert "5 Report" in face.lines()[2]
                assert "q Quit" in face.lines()[-1]


async def test_a_storm_of_sizes(scene, open_console):
    async with open_console(scene("trouble")) as face:
        for key in "12345":
            await face.press(key)
            for size in ((200, 60), (80, 24), (30, 8), (160, 50), (120, 40)):
                await face.pilot.resize_terminal(*size)
                await face.look(1)
                assert "could not be" not in face.text()


async def test_numbers_are_never_cut(scene, open_console):
    session = scene("running")
    session.clients[0] = ClientRow(
        name="db01-1", host="db01", state=ClientState.WORKING, chunk=2_147_483_647, done=1_234_567, failed=98_765
    )
    async with open_console(session) as face:
        row = next(line for line in face.lines() if "db01-1" in line)
        assert "2147483647" in row or "#######" in row
        assert "1,234,567" in row or "#######" in row


@pytest.mark.parametrize("HOSTILE", NASTY, ids=range(len(NASTY)))
async def test_hostile_text_is_harmless_on_every_screen(scene, open_console, HOSTILE):
    session = scene("trouble")
    session.name, session.run_dir = HOSTILE, HOSTILE
    session.clients[0] = ClientRow(
        name=HOSTILE, host=HOSTILE, state=ClientState.GAVE_UP, reason=HOSTILE, stage=HOSTILE
    )
    session.clients[1] = ClientRow(
        name="x" + HOSTILE, host=HOSTILE, state=ClientState.WORKING, chunk=1, stage=HOSTILE
    )
    session.hosts = [
        *session.hosts,
        HostRow(name=HOSTILE + "h", launcher="ssh", state=HOSTILE, reason=HOSTILE, mend=HOSTILE),
    ]
    session.causes = [Cause(text=HOSTILE, fault=HOSTILE, count=1, chunks=session.causes[0].chunks, hosts=(HOSTILE,))]
    session.notices = [Notice(HOSTILE, HOSTILE, HOSTILE), Notice(HOSTILE, "p", "error")]
    session.known = [(HOSTILE, HOSTILE)] * len(session.known)
    session.verdict = HOSTILE
    session.lines = [LogLine(k, session.wall, HOSTILE, HOSTILE, HOSTILE) for k in range(9)]
    session.files = [LogLine(0, session.wall - 9, HOSTILE, HOSTILE, HOSTILE) for _ in range(9)]
    retrying = np.flatnonzero(session.states == 5)[0]
    session.failed = {int(retrying): HOSTILE}
    async with open_console(session) as face:
        keys = ["1", "i", "escape", "down", "i", "escape", "tab", "enter", "3", "s", "enter", "escape"]
        keys += [
            "4",
            "home",
            "home",
            "y",
            "end",
            "right",
            "slash",
            "x",
            "enter",
            "n",
            "5",
            "enter",
            "2",
            "question_mark",
        ]
        for key in keys:
            await face.press(key)
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", face.text())
            assert "could not be" not in face.text()
            assert "failed:" not in face.text()
            assert not re.search(r"[\u0300-\u036f\u0489]{3}", face.text())
        assert face.app.is_running
    assert face.app.return_value is None


async def test_a_session_that_fails_does_not_end_the_screen(scene, open_console):
    session = scene("running")
    async with open_console(session) as face:
        session.fail = RuntimeError("gone [red]away")
        await face.look()
        assert "the picture could not be refreshed: gone [red]away" in " ".join(face.text().split())
        assert face.app.is_running
        session.fail = None
        session.complete(500)
        await face.look()
        assert "3,192 done" in face.lines()[1]


async def test_an_action_that_fails_does_not_end_the_screen(scene, open_console, monkeypatch):
    async with open_console(scene("running")) as face:
        monkeypatch.setattr(type(face.app), "action_pause", lambda self: 1 / 0)
        await face.press("p")
        await face.look()
        assert "division by zero" in face.text()
        assert face.app.is_running


async def test_a_command_that_fails_is_told(scene, open_console, monkeypatch):
    session = scene("running")

    async def broken(_: object) -> None:
        raise OSError("no socket")

    async with open_console(session) as face:
        monkeypatch.setattr(session, "command", broken)
        await face.press("p")
        await face.look()
        assert "that did not work: no socket" in face.text()


async def test_hidden_screens_ask_for_nothing(scene, open_console):
    async with open_console(scene("running"), (80, 24)) as face:
        await face.press("4")
        calls = dict(face.session.calls)
        face.session.revision += 1
        await face.look()
        assert face.session.calls["snapshot"] > calls["snapshot"]
        for call in ("chunk_states", "report", "chunk_history"):
            assert face.session.calls.get(call) == calls.get(call)


async def test_the_first_picture_comes_before_the_plan(scene):
    gate, begun = asyncio.Event(), asyncio.Event()
    session = scene("running")

    async def start():
        begun.set()
        await gate.wait()
        return session

    app = ConsoleApp(start, "fakedb", period=3600.0)
    async with app.run_test(size=(120, 40)) as pilot:
        await begun.wait()
        strips = app.screen._compositor.render_strips(app.size)
        assert "◌ planning" in "".join(segment.text for segment in strips[0])
        await pilot.press("p", "2", "question_mark", "escape", "e")
        gate.set()
        await pilot.pause()
        await app.tick()
        assert app.feed is not None


async def test_bad_input_ends_the_app_with_the_error():
    error = InputError(Problem("no such table", "a.cfg", 3, "part.pos"))

    async def start():
        raise error

    app = ConsoleApp(start, "fakedb")
    async with app.run_test() as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
    assert app.return_value is error


async def test_a_bug_while_planning_ends_the_app_as_a_bug():
    async def start():
        raise ZeroDivisionError("oh")

    app = ConsoleApp(start, "fakedb")
    async with app.run_test() as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
    assert isinstance(app.return_value, BugError)


async def test_quit_while_planning_leaves_with_130():
    gate = asyncio.Event()

    async def start():
        await gate.wait()

    app = ConsoleApp(start, "fakedb")
    async with app.run_test() as pilot:
        await pilot.press("q")
    assert app.return_value == 130


async def test_without_colour_nothing_is_lost(scene, open_console, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_console(scene("trouble")) as face:
        await face.press("2")
        text = face.text()
        for sign in "✗↻▶█·":
            assert sign in text
        for word in ("limbo", "retrying", "assigned", "completed", "pending"):
            assert word in text


@pytest.mark.parametrize(("names", "unicode"), [("LC_ALL=C", False), ("LC_ALL=C.UTF-8", True), ("LANG=", True)])
def test_the_locale_says_whether_signs_are_ascii(names, unicode):
    """In a process of its own, as Python looks at the locale once; without one it takes UTF-8."""
    name, _, value = names.partition("=")
    plain = {key: text for key, text in os.environ.items() if key not in ("LANG", "LC_ALL", "LC_CTYPE")}
    program = "from dgconsole.console.app import _speaks_unicode as speaks; print(speaks())"
    said = subprocess.run([sys.executable, "-c", program], env=plain | {name: value}, capture_output=True, check=True)
    assert said.stdout.decode().strip() == str(unicode)


async def test_without_unicode_signs_are_ascii(scene, open_console, monkeypatch):
    monkeypatch.setattr("dgconsole.console.app._speaks_unicode", lambda: False)
    async with open_console(scene("trouble")) as face:
        for key in "12345":
            await face.press(key)
            rest = {c for c in face.text() if not c.isascii()}
            assert rest <= set("°…▌▴▾▁▂▃▄▅▆▇█┃╸╺─│╭╮╰╯→←"), (key, rest)
        await face.press("1")
        assert "* working" in face.text()


async def test_a_running_screen_keeps_up(scene, open_console):
    session = scene("running")
    async with open_console(session) as face:
        done = session.session_completed
        for _ in range(5):
            session.advance(1.0)
            session.complete(20)
            await face.look(1)
            assert f"{session.counts().completed:,} done" in face.lines()[1]
        assert session.session_completed == done + 100
        session.state = RunState.PAUSED
        await face.look(1)
        assert "left" not in face.lines()[0]


class Million(FixedRows):
    """A million rows that are made when they are looked at."""

    def __init__(self, reverse: bool = False) -> None:
        from dgconsole.views.grid import Column

        super().__init__((Column("n", "number", 9, right=True), Column("t", "text", 10, grow=1)), ())
        self.order = np.arange(1_000_000, dtype=np.int32)[:: -1 if reverse else 1]
        self.made = 0

    def __len__(self) -> int:
        return len(self.order)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None

    def line(self, row):
        from dgconsole.views.grid import Cell, Line

        self.made += 1
        return Line((Cell(f"{self.order[row]:,}"), Cell(f"row {self.order[row]}")))

    def key(self, row):
        return int(self.order[row])

    def find(self, key):
        found = np.flatnonzero(self.order == key)
        return int(found[0]) if len(found) else -1


async def test_a_million_rows():
    from textual.app import App

    from dgconsole.console.paint import Paint
    from dgconsole.console.themes import NIGHT

    class TableApp(App[None]):
        def __init__(self) -> None:
            super().__init__()
            self.register_theme(NIGHT)

        def get_css_variables(self):
            variables = super().get_css_variables() | NIGHT.variables
            self.paint = Paint(variables)
            return variables

        def compose(self):
            yield LineTable(id="table")

    app = TableApp()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LineTable)
        table.focus()
        rows = Million()
        started = time.perf_counter()
        table.show(rows)
        await pilot.pause()
        await pilot.press("end")
        assert table.key == 999_999
        await pilot.press("pageup", "up", "home", "down")
        assert table.key == 1
        await pilot.press("end")
        table.show(Million(reverse=True))
        await pilot.pause()
        assert (table.key, table.row) == (999_999, 0)
        assert rows.made < 1_000, "only what is visible is made"
        assert time.perf_counter() - started < 20
        strips = app.screen._compositor.render_strips(app.size)
        assert "999,999" in "".join(segment.text for segment in strips[1])


def test_the_first_picture_loads_no_numpy():
    """What the first frame needs is imported; the rest comes behind it."""
    program = (
        "import sys, dgconsole.console.app as a; "
        "heavy = {'numpy', 'polars', 'pyarrow', 'asyncssh', 'healpy', 'sqlite3'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_an_old_picture_says_how_old_it_is(scene):
    clock = ManualClock()
    session = scene("running")

    async def start():
        return session

    app = ConsoleApp(start, "fakedb", clock=clock, period=3600.0)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await app.tick()
        session.fail = OSError("gone")
        clock.advance(41.0)
        await app.tick()
        app._show_head()
        await pilot.pause()
        strips = app.screen._compositor.render_strips(app.size)
        assert "running, last word 41 s ago" in "".join(segment.text for segment in strips[0])


async def test_a_signal_leaves_like_q(scene, open_console):
    async with open_console(scene("running")) as face:
        face.app.leave(now=True)
        await face.look()
        assert face.session.commands == [Quit(True)]
    assert face.app.return_value == 130


async def test_pictures_have_their_text(scene, tmp_path, monkeypatch, need):
    path = Path(__file__).parents[2] / "tools" / "screenshots.py"
    spec = importlib.util.spec_from_file_location("screenshots", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "screenshots", module)
    spec.loader.exec_module(module)
    need(bool(list(module.FONTS.glob("*.ttf"))), "needs the DejaVu fonts: apt-get install fonts-dejavu-core")
    svg, png = await module.take(scene("small"), [module.Shot("small", (), (80, 24))], tmp_path)
    text = svg.read_text()
    assert "Fira" not in text
    assert "url(http" not in text
    assert "DejaVu Sans Mono" in text
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(png.read_bytes()) > 20_000
