"""The palette and help: every action is in them, with its key, and why it would do nothing."""

import pytest
from textual.binding import Binding

from dgconsole.console.app import ConsoleApp
from dgconsole.console.asking import Asking
from dgconsole.console.chunks import Chunks
from dgconsole.console.dialogs import ExportDialog, Facts, Question
from dgconsole.console.logs import Logs
from dgconsole.console.logview import LogView
from dgconsole.console.overview import Overview
from dgconsole.console.prompt import Prompt
from dgconsole.console.report import Report
from dgconsole.console.roles import Role
from dgconsole.console.sky import Sky
from dgconsole.console.table import LineTable
from dgconsole.snapshot import Pause

pytestmark = pytest.mark.slow

SCREENS = (Overview, Sky, Chunks, Logs, Report)
OWNERS = (ConsoleApp, *SCREENS, LineTable, LogView, Question, Facts, ExportDialog, Prompt, Asking)


def listed(face):
    return {command.title: command for command in face.app.get_system_commands(face.app.screen)}


def test_every_action_of_ours_has_words_for_help():
    """A description everywhere; a tooltip where it is more than moving about or answering."""
    for owner in OWNERS:
        for binding in owner.BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.description, (owner, binding.key)
            assert binding.tooltip or not binding.show, (owner, binding.key)
    for owner in (ConsoleApp, *SCREENS):
        for binding in owner.BINDINGS:
            name = binding.action.partition("(")[0]
            moves = name in ("move", "again", "source", "log_page")
            assert binding.tooltip or moves, (owner, binding.key)


def test_every_action_named_by_a_key_exists():
    for owner in OWNERS:
        for binding in owner.BINDINGS:
            name = binding.action.partition("(")[0]
            holder = ConsoleApp if name.startswith("app.") else owner
            assert hasattr(holder, f"action_{name.removeprefix('app.')}"), (owner, binding.action)


async def test_every_action_of_every_screen_is_in_the_palette(scene, open_console):
    async with open_console(scene("trouble")) as face:
        for number, here in enumerate(SCREENS):
            await face.press(str(number + 1))
            titles = listed(face)
            for owner in (ConsoleApp, *SCREENS):
                for binding in owner.BINDINGS:
                    name = binding.action.partition("(")[0].removeprefix("app.")
                    if not binding.tooltip or binding.priority or name in ("back", "open"):
                        continue
                    tab = face.app.tabs[SCREENS.index(owner)] if owner in SCREENS else ""
                    title = f"{tab}: {binding.description}" if tab and owner is not here else binding.description
                    assert title in titles, (here, title)
                    assert face.app.get_key_display(binding) in titles[title].help, title


async def test_an_action_of_another_screen_goes_there_and_acts(scene, open_console):
    async with open_console(scene("trouble")) as face:
        listed(face)["Sky: Closer"].callback()
        await face.look()
        assert face.app.pane.id == "sky"
        assert "2 times as close" in face.text()
        listed(face)["Chunks: Filter"].callback()
        await face.look()
        assert face.app.focused.id == "chunk-filter"


@pytest.mark.parametrize(
    ("state", "title", "reason"),
    [
        ("running", "Retry", "no chunk is in limbo"),
        ("running", "Retry all", "no chunk is in limbo, and no client gave up"),
        ("done", "Pause", "the run has ended"),
        ("done", "Client", "the run has ended"),
        ("done", "Drain", "the run has ended"),
    ],
)
async def test_what_cannot_act_says_why(scene, open_console, state, title, reason):
    async with open_console(scene(state)) as face:
        assert f"(not now: {reason})" in listed(face)[title].help


async def test_what_can_act_has_no_reason(scene, open_console):
    async with open_console(scene("trouble")) as face:
        assert not [command.title for command in listed(face).values() if "not now" in command.help]


async def test_a_console_that_only_looks_lists_nothing_that_it_may_not_do(scene, open_console):
    async with open_console(scene("trouble"), role=Role.WATCHER) as face:
        titles = listed(face)
        for title in ("Retry", "Retry all", "Pause", "Client", "Drain", "Add a host…", "Export"):
            assert title not in titles
        assert "Theme" in titles


async def test_the_palette_is_found_typed_in_and_acts(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("ctrl+p")
        assert "Search for commands" in face.text()
        await face.type("pause")
        for _ in range(50):
            if "Stop handing out" in face.text():
                break
            await face.look(1)
        await face.press("enter")
        await face.look()
        assert face.session.commands == [Pause()]
