"""Consoles on a run that is not theirs: attached, read-only, or on the books of a run."""

import pytest
from textual.widgets import Input, Static

from dgconsole.console.dialogs import ExportDialog, Question
from dgconsole.console.roles import Role
from dgconsole.snapshot import Export, Pause, Quit, RunState

pytestmark = pytest.mark.slow


async def test_q_of_an_attached_console_leaves_at_once_and_ends_nothing(scene, open_console):
    session = scene("running")
    async with open_console(session, role=Role.ATTACHED) as face:
        assert "● running, attached" in face.lines()[0]
        await face.press("q")
        assert face.app._exit
    assert face.app.return_value == 0
    assert session.commands == []


async def test_an_attached_console_steers(scene, open_console):
    session = scene("running")
    async with open_console(session, role=Role.ATTACHED) as face:
        await face.press("p")
        await face.look()
        assert session.commands == [Pause()]


@pytest.mark.parametrize(("key", "command"), [("enter", Quit(now=False)), ("escape", None)])
async def test_the_run_is_ended_from_the_palette_alone(scene, open_console, key, command):
    session = scene("running")
    async with open_console(session, role=Role.ATTACHED) as face:
        (action,) = [c for c in face.app.get_system_commands(face.app.screen) if c.title == "End the run…"]
        action.callback()
        await face.look()
        assert isinstance(face.app.screen, Question)
        assert "End the run" in face.text()
        await face.press(key)
        await face.look()
        assert session.commands == ([command] if command else [])
        assert not face.app._exit


@pytest.mark.parametrize("role", [Role.OWNER, Role.WATCHER, Role.READER])
async def test_only_an_attached_console_has_that_action(scene, open_console, role):
    async with open_console(scene("running"), role=role) as face:
        assert "End the run…" not in [c.title for c in face.app.get_system_commands(face.app.screen)]


@pytest.mark.parametrize("role", [Role.WATCHER, Role.READER])
async def test_keys_that_command_do_nothing_read_only(scene, open_console, role):
    session = scene("trouble")
    async with open_console(session, role=role) as face:
        for screen in "12345":
            await face.press(screen)
            for key in ("r", "R", "p", "plus", "minus", "d", "c"):
                await face.press(key)
                assert len(face.app.screen_stack) == 1, f"{key} asks something on screen {screen}"
        for word in ("Pause", "Retry", "Drain"):
            assert word not in face.lines()[-1]
        face.app.send(Pause())
        await face.look()
        assert session.commands == []


async def test_needs_name_no_key_that_does_not_act(scene, open_console):
    async with open_console(scene("trouble"), role=Role.WATCHER) as face:
        assert "304 chunks in limbo" in face.text()
        assert "retry them" not in face.text()
        assert "what to do" in face.text()
    async with open_console(scene("trouble"), role=Role.ATTACHED) as face:
        assert "retry them" in face.text()


async def test_the_head_says_read_only_at_every_size(scene, open_console):
    for size in ((80, 24), (120, 40), (200, 60)):
        async with open_console(scene("running"), size, role=Role.WATCHER) as face:
            assert "● running, read-only" in face.lines()[0]


async def test_a_watcher_writes_no_file(scene, open_console):
    session = scene("done")
    async with open_console(session, role=Role.WATCHER) as face:
        await face.press("e")
        assert len(face.app.screen_stack) == 1
        assert session.commands == []


async def test_an_attached_console_goes_with_the_status_of_the_run_once_it_has_ended(scene, open_console):
    session = scene("running")
    async with open_console(session, role=Role.ATTACHED) as face:
        session.state, session.verdict, session.exit_status = RunState.ENDED, "Some are not made.", 130
        await face.look()
        assert face.app.pane.id == "report"
        assert "■ ended, attached" in face.lines()[0]
        await face.press("q")
    assert face.app.return_value == 130


async def test_who_only_looks_writes_no_picture(scene, open_console):
    async with open_console(scene("running"), role=Role.WATCHER) as face:
        await face.press("2", "i")
        await face.look()
        assert len(face.app.screen_stack) == 1
        assert "it writes no file" in face.text()


async def test_a_report_opens_with_the_report_even_while_the_run_goes_on(scene, open_console):
    async with open_console(scene("running"), role=Role.READER) as face:
        assert face.app.pane.id == "report"
        await face.press("1", "2", "3")
        await face.look()
        assert face.app.pane.id == "chunks"


async def test_the_end_of_the_name_says_in_which_form(scene, open_console, tmp_path):
    session = scene("done")
    session.run_dir = str(tmp_path)
    async with open_console(session, role=Role.READER) as face:
        await face.press("e")
        field = face.app.screen.query_one(Input)
        assert field.value == str(tmp_path / "report.csv")
        for name, form in (("r.md", "md"), ("r.JSON", "json"), ("r.csv", "csv")):
            if not isinstance(face.app.screen, ExportDialog):
                await face.press("e")
            face.app.screen.query_one(Input).value = str(tmp_path / name)
            await face.press("enter")
            await face.look()
            assert session.commands[-1] == Export(str(tmp_path / name), format=form)


async def test_a_name_without_a_form_is_not_taken(scene, open_console, tmp_path):
    session = scene("done")
    async with open_console(session) as face:
        await face.press("e")
        face.app.screen.query_one(Input).value = str(tmp_path / "report.xls")
        await face.press("enter")
        assert "end it in .csv, .md or .json" in str(face.app.screen.query_one(".text", Static).content)
        assert session.commands == []
        await face.press("escape")
        assert len(face.app.screen_stack) == 1


async def test_a_relative_name_is_relative_to_where_the_attached_console_was_started(
    scene, open_console, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    session = scene("done")
    async with open_console(session, role=Role.ATTACHED) as face:
        await face.press("e")
        face.app.screen.query_one(Input).value = "mine.md"
        await face.press("enter")
        await face.look()
        assert session.commands[-1] == Export(str(tmp_path / "mine.md"), format="md")
