"""Everything that a key does, the mouse does too."""

import pytest

from dgconsole.console.chunks import Chunks
from dgconsole.console.dialogs import Facts
from dgconsole.console.logs import Logs
from dgconsole.console.logview import LogView
from dgconsole.console.sky import Sky
from dgconsole.console.skymap import SkyCanvas
from dgconsole.console.table import LineTable

pytestmark = pytest.mark.slow


async def wheel(face, widget, *, down: bool, turns: int = 1) -> None:
    from textual import events

    kind = events.MouseScrollDown if down else events.MouseScrollUp
    for _ in range(turns):
        region = widget.region
        at = (region.x + region.width // 2, region.y + region.height // 2)
        widget.post_message(
            kind(
                widget=widget,
                x=at[0] - region.x,
                y=at[1] - region.y,
                delta_x=0,
                delta_y=1 if down else -1,
                button=0,
                shift=False,
                meta=False,
                ctrl=False,
                screen_x=at[0],
                screen_y=at[1],
            )
        )
        await face.pilot.pause()
    await face.look()


async def click_line(face, words: str, *, times: int = 1) -> None:
    """Click on the first place of the screen that holds the words."""
    for y, line in enumerate(face.lines()):
        if words in line:
            await face.pilot.click(offset=(line.index(words) + 1, y), times=times)
            await face.look()
            return
    raise AssertionError(f"{words!r} is not on the screen")


async def test_a_click_puts_the_cursor_on_a_row_and_a_second_opens_it(scene, open_console):
    async with open_console(scene("running")) as face:
        table = face.app.query_one("#client-table", LineTable)
        await click_line(face, "db01-3")
        assert table.key.client == "db01-3"
        await click_line(face, "db01-4", times=2)
        assert isinstance(face.app.pane, Chunks)
        assert f"chunk {face.session.clients[3].chunk}" in face.text()


async def test_clicks_on_the_lines_of_needs_you(scene, open_console):
    async with open_console(scene("trouble")) as face:
        second = face.session.causes[1].chunks
        await click_line(face, "✗  3 chunks in limbo")
        assert face.app.query_one("#need-table", LineTable).has_focus
        await face.press("r")
        assert face.session.commands[-1].chunks == second
        await click_line(face, "db02 set aside", times=2)
        assert isinstance(face.app.screen, Facts)
        assert "ssh-keygen -R db02" in face.text()


async def test_the_wheel_scrolls_tables_logs_and_the_report(scene, open_console):
    async with open_console(scene("trouble"), (100, 30)) as face:
        table = face.app.query_one("#client-table", LineTable)
        await wheel(face, table, down=True, turns=3)
        assert table.scroll_offset.y > 0
        await wheel(face, table, down=False, turns=9)
        assert table.scroll_offset.y == 0
        await face.press("4")
        view = face.app.query_one(Logs).query_one(LogView)
        await wheel(face, view, down=False, turns=2)
        assert not view.following
        assert "paused" in face.text()
        await wheel(face, view, down=True, turns=9)
        assert view.following
        await face.press("5")
        report = face.app.query_one("#report-scroll")
        await wheel(face, report, down=True, turns=3)
        assert report.scroll_offset.y > 0


async def test_a_click_on_the_map_of_overview_goes_to_the_sky(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.pilot.click("#small-canvas")
        await face.look()
        assert isinstance(face.app.pane, Sky)


async def test_two_clicks_on_the_sky_open_the_chunk(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("2")
        canvas = face.app.query_one("#canvas", SkyCanvas)
        await face.pilot.click("#canvas", offset=(canvas.size.width // 2, canvas.size.height // 2), times=2)
        await face.look()
        assert isinstance(face.app.pane, Chunks)


@pytest.mark.parametrize("screen", list("12345"))
async def test_every_key_of_the_last_line_can_be_clicked(scene, open_console, screen):
    async with open_console(scene("trouble"), (200, 60)) as face:
        await face.press(screen)
        for words, opens in (
            ("? Help", "Keys on"),
            ("^p Palette", "Search for commands"),
            ("q Quit", "chunks in work"),
        ):
            await face.pilot.click("#keys", offset=(face.lines()[-1].index(words), 0))
            await face.look()
            assert opens in face.text()
            await face.press("escape")


async def test_a_key_that_cannot_act_cannot_be_clicked(scene, open_console):
    async with open_console(scene("running"), (200, 60)) as face:
        await face.pilot.click("#keys", offset=(face.lines()[-1].index("r Retry"), 0))
        await face.look()
        assert face.session.commands == []


async def test_headers_sort_the_clients(scene, open_console):
    async with open_console(scene("running")) as face:
        await click_line(face, "failed")
        assert "failed▴" in face.text()
        await click_line(face, "failed")
        assert "failed▾" in face.text()
