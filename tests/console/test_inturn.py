"""Keys that come in a burst do what the same keys would do one by one."""

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.widgets import Input

from dgconsole.console.dialogs import Facts, Question
from dgconsole.console.table import LineTable
from dgconsole.snapshot import Export, Quit, RetryAll

pytestmark = pytest.mark.slow


async def burst(face, *keys):
    """All keys at once, as a terminal sends what was typed while it was busy."""
    for key in keys:
        if len(key) == 1:
            face.app.post_message(events.Key(_character_to_key(key), key))
        else:
            face.app.post_message(events.Key(key, None))
    await face.pilot.pause()
    while face.app._limit is not None:
        await face.pilot.pause()
    await face.look(1)


async def test_a_filter_typed_right_after_the_key_of_its_screen(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await burst(face, *"3/limbo", "enter", "down")
        assert face.app.pane.id == "chunks"
        table = face.app.query_one("#chunk-table", LineTable)
        assert table.has_focus
        assert table.row == 1
        assert face.app.query_one("#chunk-filter", Input).value == "limbo"
        assert "307 of" in face.text()


async def test_tab_and_what_acts_on_the_panel_that_it_leads_to(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await burst(face, "tab", "down", "3", "1", "down")
        needs = face.app.query_one("#need-table", LineTable)
        assert needs.has_focus
        assert needs.row == 2


async def test_an_answer_goes_to_the_question_before_it(scene, open_console):
    session = scene("trouble")
    async with open_console(session) as face:
        await burst(face, "R", "enter")
        assert session.commands == [RetryAll()]
        await burst(face, "e", "enter")
        assert isinstance(session.commands[-1], Export)


async def test_the_text_of_a_question_goes_into_its_field(scene, open_console):
    session = scene("running")
    async with open_console(session) as face:
        await burst(face, *f"2g{session.ids[1234]}", "enter", "enter")
        assert face.app.pane.id == "chunks"
        assert f"chunk {session.ids[1234]}" in face.text()


async def test_dialogs_opened_and_left_in_one_go(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await burst(face, "?", "escape", "4", "q")
        assert face.app.pane.id == "logs"
        assert isinstance(face.app.screen, Question)
        await burst(face, "escape", "?")
        assert isinstance(face.app.screen, Facts)


async def test_a_screen_that_goes_takes_no_key_with_it(scene, open_console):
    session = scene("running")
    async with open_console(session) as face:
        await burst(face, "q", "escape", "q", "enter")
        assert [type(each) for each in session.commands] == [Quit]
