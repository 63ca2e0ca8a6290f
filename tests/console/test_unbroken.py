"""Nothing that goes wrong in the console ends it: it is noted, shown, and the next look and key work as ever."""

import logging
import random

import pytest
from textual.widgets._toast import Toast

from dgconsole.console.head import HeadLines
from dgconsole.console.overview import Overview
from dgconsole.console.pane import Lines
from dgconsole.console.table import LineTable
from dgconsole.views.panels import arrange

pytestmark = pytest.mark.slow


def broken(*_args, **_fields):
    raise ZeroDivisionError("a thing broke [red]badly[/]")


async def still_lives(face, caplog):
    """The trouble was told and noted; screens change, dialogs open and close, the head counts on."""
    shown = [str(toast._notification.message) for toast in face.app.screen.query(Toast)]
    assert any("a thing broke [red]badly[/]" in text for text in shown)
    assert any(record.exc_info for record in caplog.records), "the log has the story"
    for key, name in (("2", "sky"), ("5", "report"), ("1", "overview")):
        await face.press(key)
        assert face.app.pane.id == name
    await face.press("question_mark", "escape")
    face.session.complete(500)
    await face.look()
    assert f"{face.session.counts().completed:,} done" in face.lines()[1]
    assert face.app.is_running
    assert face.app.return_value is None


@pytest.fixture(autouse=True)
def noted(caplog):
    caplog.set_level(logging.ERROR, "dgconsole.console")


async def test_a_screen_that_cannot_refresh(scene, open_console, monkeypatch, caplog):
    async with open_console(scene("running")) as face:
        with monkeypatch.context() as patch:
            patch.setattr(Overview, "refresh_from", broken)
            await face.look()
        await still_lives(face, caplog)


async def test_a_key_whose_action_fails(scene, open_console, monkeypatch, caplog):
    async with open_console(scene("running")) as face:
        monkeypatch.setattr(Overview, "action_sort", broken)
        await face.press("s")
        await still_lives(face, caplog)


async def test_a_handler_of_a_message_that_fails(scene, open_console, monkeypatch, caplog):
    async with open_console(scene("running")) as face:
        with monkeypatch.context() as patch:
            patch.setattr(Overview, "on_line_table_header_clicked", broken)
            await face.pilot.click("#client-table", offset=(2, 0))
            await face.look()
        await still_lives(face, caplog)
        await face.pilot.click("#client-table", offset=(2, 0))
        await face.look()
        assert "host/client▾" in face.text(), "the screen takes messages after that as before"


async def test_a_key_handler_of_a_widget_that_fails(scene, open_console, monkeypatch, caplog):
    async with open_console(scene("running")) as face:
        with monkeypatch.context() as patch:
            patch.setattr(LineTable, "key_x", broken, raising=False)
            await face.press("x")
            await face.look()
        await still_lives(face, caplog)
        await face.press("down")
        assert face.app.query_one("#client-table", LineTable).row == 1


async def test_a_line_that_cannot_be_painted(scene, open_console, monkeypatch, caplog):
    async with open_console(scene("running")) as face:
        with monkeypatch.context() as patch:
            patch.setattr(HeadLines, "_second", broken)
            face.session.complete(5)
            await face.look()
            assert "this line could not be shown" in face.lines()[1]
        face.app.query_one(HeadLines).refresh()
        face.session.complete(5)
        await face.look()
        assert f"{face.session.counts().completed:,} done" in face.lines()[1]
        assert any(record.exc_info for record in caplog.records)


async def test_text_that_cannot_be_rendered(scene, open_console, monkeypatch, caplog):
    async with open_console(scene("running")) as face:
        await face.press("2")
        with monkeypatch.context() as patch:
            patch.setattr(Lines, "render", broken)
            face.app.query_one("#sky-words", Lines).refresh(layout=True)
            await face.look()
            await face.look()
        await face.press("1")
        await still_lives(face, caplog)


async def test_a_worker_that_fails(scene, open_console, caplog):
    async def work():
        broken()

    async with open_console(scene("running")) as face:
        face.app.run_worker(work())
        await face.look(3)
        await still_lives(face, caplog)


async def test_a_timer_and_a_callback_that_fail(scene, open_console, caplog):
    async with open_console(scene("running")) as face:
        face.app.call_later(broken)
        face.app.pane.call_after_refresh(broken)
        face.app.set_timer(0.001, broken)
        await face.pilot.pause(0.05)
        await face.look()
        await still_lives(face, caplog)


async def test_the_same_trouble_is_told_once(scene, open_console, monkeypatch, caplog):
    async with open_console(scene("running")) as face:
        monkeypatch.setattr(Overview, "refresh_from", broken)
        for _ in range(20):
            await face.look(1)
        assert len([record for record in caplog.records if "a thing broke" in record.message]) == 1


STORM_SIZES = [(200, 60), (80, 24), (120, 40), (100, 30), (250, 80), (40, 12), (30, 8), (20, 5), (10, 3), (1, 1)]


async def test_a_storm_of_sizes_over_every_screen_and_dialog(scene, open_console, caplog):
    """Two hundred changes of the size, with keys between them, end in panels as a calm console has them."""
    rng = random.Random(5)
    keys = ["1", "2", "3", "4", "5", "down", "enter", "escape", "tab", "z", "Z", "end", "home", "pageup", "s"]
    dialogs = ["question_mark", "q", "e", "R", "ctrl+p", "slash"]
    async with open_console(scene("trouble")) as face:
        for step in range(100):
            await face.pilot.resize_terminal(*rng.choice(STORM_SIZES))
            await face.pilot.press(rng.choice(dialogs if step % 7 == 0 else keys))
            if step % 4 == 0:
                await face.app.tick()
            await face.pilot.resize_terminal(rng.randint(1, 260), rng.randint(1, 90))
            if len(face.app.screen_stack) > 1 and step % 7 == 3:
                await face.pilot.press("escape")
        assert not [record.message for record in caplog.records]
        while len(face.app.screen_stack) > 1:
            await face.pilot.press("escape")
            await face.look(1)
        await face.press("2", "3", "4", "5", "1")
        await face.pilot.resize_terminal(200, 60)
        await face.look(3)
        table, pane = face.app.query_one("#client-table", LineTable), face.app.pane
        boxes = arrange(pane.size.width, pane.size.height, len(table.rows) + 3, 8)
        for name, panel in {"clients": "#clients", "needs": "#needs", "sky": "#small-sky", "log": "#tail"}.items():
            region = face.app.query_one(panel).region
            assert (region.x, region.y - pane.region.y, region.width, region.height) == boxes[name], name
        assert "5 Report" in face.lines()[2]
        assert "q Quit" in face.lines()[-1]
