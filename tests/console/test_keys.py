"""Every key and every dialog of the console, on a session in memory."""

import pytest
from textual.binding import Binding
from textual.widgets import Button, Input

from dgconsole.console.app import TABS, ConsoleApp
from dgconsole.console.chunks import Chunks
from dgconsole.console.dialogs import ExportDialog, Facts, Question
from dgconsole.console.logs import Logs
from dgconsole.console.overview import Overview
from dgconsole.console.prompt import Prompt
from dgconsole.console.report import Report
from dgconsole.console.sky import Sky
from dgconsole.console.table import LineTable
from dgconsole.snapshot import (
    AddClient,
    DrainHost,
    Export,
    Pause,
    Quit,
    ReconnectHost,
    Reply,
    Resume,
    Retry,
    RetryAll,
    RunState,
    StopClient,
)

pytestmark = pytest.mark.slow


async def test_the_number_keys_go_to_the_screens(scene, open_console):
    async with open_console(scene("trouble")) as face:
        for number, name in enumerate(TABS):
            await face.press(str(number + 1))
            assert face.app.pane.id == name.lower()
            assert f"▌{number + 1} {name}" in face.lines()[2]
            for other in TABS:
                assert other in face.lines()[2]


async def test_each_screen_remembers_its_focus_and_cursor(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("down", "down", "tab")
        needs = face.app.query_one("#need-table", LineTable)
        assert needs.has_focus
        await face.press("3", "1")
        assert needs.has_focus
        assert face.app.query_one("#client-table", LineTable).row == 2


async def test_head_and_bar_stand_on_every_screen(scene, open_console):
    async with open_console(scene("trouble")) as face:
        for key in "12345":
            await face.press(key)
            top = "\n".join(face.lines()[:3])
            for words in ("fakedb", "● running", "24 in work", "307 limbo", "pending", "59.1 %"):
                assert words in top


async def test_pause_and_go_on(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("p")
        await face.look()
        assert face.session.commands == [Pause()]
        assert "○ paused" in face.lines()[0]
        assert "Go on" in face.lines()[-1]
        await face.press("p")
        assert face.session.commands[-1] == Resume()


async def test_r_retries_the_cause_under_the_cursor(scene, open_console):
    session = scene("trouble")
    second = session.causes[1].chunks
    async with open_console(session) as face:
        await face.press("tab", "down", "r")
        assert session.commands == [Retry(second)]
        await face.look()
        assert "304 limbo" in face.lines()[1]


async def test_r_does_nothing_where_nothing_is_in_limbo(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("r")
        assert face.session.commands == []


async def test_retry_all_asks_with_the_count(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("R")
        assert isinstance(face.app.screen, Question)
        assert "307 chunks in limbo" in face.text()
        assert "4 clients that gave up" in face.said()
        await face.press("escape")
        assert face.session.commands == []
        await face.press("R", "enter")
        await face.look()
        assert face.session.commands == [RetryAll()]


async def test_marked_chunks_are_retried_together(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("3", "slash")
        await face.type("state:limbo")
        await face.press("enter", "space", "space", "r")
        first_two = tuple(face.session.causes[0].chunks[:2])
        assert face.session.commands == [Retry(first_two)]
        assert "2 marked" not in face.text()


async def test_r_retries_the_current_chunk(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.app.show_chunks("state:limbo")
        await face.press("down", "r")
        assert face.session.commands == [Retry((face.session.causes[0].chunks[1],))]


async def test_filter_as_typed(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("3", "slash")
        await face.type("state:limbo error:redshift")
        assert "3 of 4,554 chunks" in face.text()
        await face.press("escape")
        assert face.app.query_one("#chunk-table", LineTable).has_focus
        await face.press("escape")
        assert "of 4,554 chunks" not in face.text()


async def test_letters_in_a_field_are_text(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("3", "slash")
        await face.type("qp1r")
        assert face.app.query_one("#chunk-filter", Input).value == "qp1r"
        assert face.session.commands == []
        assert face.app.pane.id == "chunks"


async def test_a_filter_that_cannot_be_read_says_why(scene, open_console):
    async with open_console(scene("running"), (160, 40)) as face:
        await face.press("3", "slash")
        await face.type("colour:red")
        assert "colour: is no field" in face.text()


async def test_sorting_chunks(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("3", "s")
        table = face.app.query_one("#chunk-table", LineTable)
        assert table.rows.key(0) == face.session.causes[0].chunks[0]
        assert "state▴" in face.text()
        await face.press("S")
        assert "state▾" in face.text()
        await face.press(*"ssssssss")
        assert "chunk▴" in face.text()


async def test_enter_opens_the_history_and_escape_closes_it(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.app.show_chunks("state:limbo")
        await face.press("enter")
        assert "attempt 3" in face.text()
        assert "no space left on /scratch/dg" in face.text()
        await face.press("down")
        assert f"chunk {face.session.causes[0].chunks[1]}" in face.text()
        await face.press("escape")
        assert "attempt 3" not in face.text()


async def test_enter_on_a_client_opens_its_chunk(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("down", "enter")
        assert isinstance(face.app.pane, Chunks)
        assert f"chunk {face.session.clients[0].chunk}" in face.text()
        assert "▶ assigned" in face.text() or "◆ delivered" in face.text()


async def test_enter_folds_a_host(scene, open_console):
    async with open_console(scene("running")) as face:
        assert "db01-1" in face.text()
        await face.press("enter")
        assert "db01-1" not in face.text()
        assert "▸ db01" in face.text()
        await face.press("enter")
        assert "db01-1" in face.text()


async def test_enter_on_a_host_set_aside_says_what_to_do(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press(*["down"] * 5, "enter")
        assert isinstance(face.app.screen, Facts)
        assert "ssh-keygen -R db02" in face.text()
        await face.press("escape")
        assert not isinstance(face.app.screen, Facts)


async def test_enter_on_a_need_shows_it(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("tab", "enter")
        assert isinstance(face.app.pane, Chunks)
        assert "304 of 4,554 chunks" in face.text()
        await face.press("1", "down", "down", "enter")
        assert "ssh-keygen -R db02" in face.text()


async def test_enter_on_a_client_that_gave_up_shows_what_is_known(scene, open_console):
    async with open_console(scene("trouble")) as face:
        table = face.app.query_one("#client-table", LineTable)
        table.go(next(table.rows.key(k) for k in range(len(table.rows)) if "db05-1" in str(table.rows.key(k))))
        await face.press("enter")
        assert isinstance(face.app.screen, Facts)
        assert "gave up: no space left" in face.text()


async def test_clients_filter_and_sort(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("slash")
        await face.type("db03")
        await face.press("enter")
        table = face.app.query_one("#client-table", LineTable)
        assert len(table.rows) == 5
        assert "filter: db03" in face.text()
        await face.press("escape")
        assert len(table.rows) == 30
        await face.press("s", "s")
        assert "done▾" in face.text()
        await face.press("S")
        assert "done▴" in face.text()


async def test_add_stop_and_drain(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("plus")
        await face.look()
        assert face.session.commands == [AddClient("db01")]
        await face.press("down", "minus")
        assert "Stop db01-1" in face.text()
        await face.press("enter")
        await face.look()
        assert face.session.commands[-1] == StopClient("db01-1")
        await face.press("d")
        assert "Drain db01" in face.text()
        await face.press("escape")
        await face.press("d", "enter")
        await face.look()
        assert face.session.commands[-1] == DrainHost("db01")
        assert len(face.session.commands) == 3


async def test_a_host_is_tried_again(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("c")
        await face.look()
        assert face.session.commands == [ReconnectHost("db01")]


async def test_the_reply_is_shown(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("plus")
        await face.look()
        assert "AddClient" in face.text()


async def test_export_suggests_a_free_name(scene, open_console, tmp_path):
    session = scene("running")
    session.run_dir = str(tmp_path)
    async with open_console(session) as face:
        await face.press("e")
        assert isinstance(face.app.screen, ExportDialog)
        assert face.app.screen.query_one(Input).value == str(tmp_path / "report.csv")
        await face.press("enter")
        assert session.commands == [Export(str(tmp_path / "report.csv"))]
        (tmp_path / "report.csv").touch()
        await face.press("e", "enter")
        assert session.commands[-1] == Export(str(tmp_path / "report-2.csv"))
        await face.press("e", "escape")
        assert len(session.commands) == 2


async def test_export_asks_before_it_overwrites(scene, open_console, tmp_path):
    session = scene("running")
    session.run_dir, session.reply = str(tmp_path), Reply(False, "report.csv exists")
    async with open_console(session) as face:
        await face.press("e")
        (tmp_path / "report.csv").touch()
        await face.press("enter")
        await face.look()
        assert "exists." in face.text()
        await face.press("enter")
        assert session.commands[-1] == Export(str(tmp_path / "report.csv"), overwrite=True)


async def test_logs_follow_pause_and_tell_how_many_are_new(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("4")
        assert "● following" in face.text()
        await face.press("up")
        assert "○ paused" in face.text()
        top = face.lines()[6]
        for k in range(7):
            face.session.log("db01-1", "info", f"fresh {k}")
        face.session.revision += 1
        await face.look()
        assert "paused, 7 new" in face.text()
        assert face.lines()[6] == top
        await face.press("end")
        assert "● following" in face.text()
        assert "fresh 6" in face.text()
        await face.press("f")
        assert "○ paused" in face.text()
        await face.press("f")
        assert "● following" in face.text()


async def test_logs_by_level_and_source(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("4", "v", "v", "v")
        assert "error and above" in face.text()
        assert "Logs ─ 4 lines" in face.text()
        await face.press("right")
        assert "all sources" not in face.text()
        await face.press("left", "escape")
        assert "all levels" in face.text()


async def test_log_search_finds_next_and_previous(scene, open_console):
    async with open_console(scene("trouble")) as face:
        session = face.session
        await face.press("4", "slash")
        await face.type("4089")
        await face.press("enter")
        view = face.app.query_one(Logs)._view
        assert "chunk 4089" in session.lines[view.hit].text
        assert "1 line match" in face.text()
        await face.press("slash")
        face.app.query_one("#log-search", Input).value = "no space"
        await face.press("enter")
        first = view.hit
        await face.press("n")
        assert view.hit == first + 1 or view.hit < first
        await face.press("N")
        assert view.hit == first
        await face.press("slash")
        face.app.query_one("#log-search", Input).value = "nowhere"
        await face.look()
        assert "not found" in face.text()
        await face.press("escape", "escape")
        assert not face.app.query_one("#search-line").display


async def test_l_shows_the_log_of_the_client(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("down", "l")
        assert isinstance(face.app.pane, Logs)
        assert "◂ db01-1 ▸" in face.text()
        assert "db02-1" not in "\n".join(face.lines()[5:])


async def test_the_sky_names_the_chunk_under_the_cursor(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("2")
        words = "\n".join(face.lines()[-4:])
        assert "✗ limbo" in words
        assert "Dec" in words
        before = face.app.pane.target().chunk
        await face.press("right", "right", "right")
        sky = face.app.pane
        assert isinstance(sky, Sky)
        chunk = sky.target().chunk
        assert chunk >= 0
        assert chunk != before
        await face.press("enter")
        assert isinstance(face.app.pane, Chunks)
        assert f"chunk {chunk}" in face.text()


async def test_the_sky_cursor_follows_the_mouse(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("2")
        before = face.app.pane.target().chunk
        await face.pilot.click("#canvas", offset=(60, 10))
        await face.look()
        assert face.app.pane.target().chunk not in (before, -1)


async def test_the_sky_shows_only_targets(scene, open_console):
    async with open_console(scene("small")) as face:
        await face.press("2")
        assert "55 targets, a part of the sky" in face.text()


async def test_the_sky_comes_closer_around_the_chunk_under_the_cursor(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("2")
        chunk = face.app.pane.target().chunk
        await face.press("z", "z", "z")
        assert "8 times as close" in face.text()
        assert face.app.pane.target().chunk == chunk
        for _ in range(60):
            await face.press("right")
        assert face.app.pane.target().chunk not in (chunk, -1)
        await face.press("Z", "Z", "Z", "Z")
        assert "times as close" not in face.text()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_sky_goes_to_an_id_or_a_place(scene, open_console, size):
    session = scene("running")
    async with open_console(session, size) as face:
        await face.press("2", "g")
        assert isinstance(face.app.screen, Prompt)
        await face.type(str(session.ids[1234]))
        await face.press("enter")
        assert face.app.pane.target().chunk == session.ids[1234]
        for _ in range(5):
            await face.press("z")
        ra_min, ra_max, dec_min, dec_max = session.boxes[4000]
        await face.press("g")
        await face.type(f"{(ra_min + ra_max) / 2:.2f} {(dec_min + dec_max) / 2:.2f}")
        await face.press("enter")
        assert face.app.pane.target().chunk == session.ids[4000]


@pytest.mark.parametrize(("typed", "words"), [("99999999", "not in this run"), ("10 95", "no id"), ("x", "no id")])
async def test_the_sky_says_where_it_cannot_go(scene, open_console, typed, words):
    async with open_console(scene("running")) as face:
        await face.press("2")
        before = face.app.pane.target().chunk
        await face.press("g")
        await face.type(typed)
        await face.press("enter")
        assert words in face.text()
        assert face.app.pane.target().chunk == before


async def picture_saved(face):
    if saving := [worker for worker in face.app.workers if worker.name == "save"]:
        await face.app.workers.wait_for_complete(saving)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
async def test_the_sky_is_saved_as_a_picture_and_nothing_is_overwritten(scene, open_console, tmp_path, suffix):
    session = scene("trouble")
    session.run_dir = str(tmp_path)
    async with open_console(session) as face:
        await face.press("2", "i")
        assert face.app.screen.query_one(Input).value == str(tmp_path / "sky.svg")
        await face.press(*["backspace"] * 4)
        await face.type(suffix)
        await face.press("enter")
        await picture_saved(face)
        await face.look()
        data = (tmp_path / f"sky{suffix}").read_bytes()
        assert data.startswith(b"\x89PNG" if suffix == ".png" else b"<svg")
        await face.press("i")
        face.app.screen.query_one(Input).value = str(tmp_path / f"sky{suffix}")
        await face.press("enter")
        await picture_saved(face)
        await face.look()
        assert "exists; choose another name" in face.text()
        assert (tmp_path / f"sky{suffix}").read_bytes() == data


async def test_r_on_the_sky_retries_the_chunk_there(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("2")
        chunk = face.app.pane.target().chunk
        await face.press("r")
        assert face.session.commands == [Retry((chunk,))]


async def test_the_report_opens_chunks_and_retries_causes(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("5")
        assert isinstance(face.app.pane, Report)
        assert "still going" in face.text()
        assert "Limbo, by cause" in face.text()
        causes = face.session.causes[0].chunks
        await face.press("r")
        assert face.session.commands == [Retry(causes)]
        await face.press("tab", "enter")
        assert isinstance(face.app.pane, Chunks)


async def test_help_names_every_key_that_acts(scene, open_console):
    async with open_console(scene("trouble"), (120, 60)) as face:
        bindings = {a.binding.description for a in face.app.screen.active_bindings.values() if a.binding.tooltip}
        await face.press("question_mark")
        assert isinstance(face.app.screen, Facts)
        for words in bindings:
            assert words in face.text()
        await face.press("escape")
        assert not isinstance(face.app.screen, Facts)


def test_every_key_that_is_shown_has_words_for_help():
    for owner in (ConsoleApp, Overview, Sky, Chunks, Logs, Report):
        for binding in owner.BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.description
            assert binding.tooltip or not binding.show


async def test_the_palette_has_every_action(scene, open_console):
    async with open_console(scene("trouble")) as face:
        commands = {c.title: c for c in face.app.get_system_commands(face.app.screen)}
        for title in (
            "Retry",
            "Retry all",
            "Pause",
            "Client",
            "Drain",
            "Export",
            "Help",
            "Quit",
            "Chunks",
            "Theme",
        ):
            assert title in commands
        commands["Pause"].callback()
        await face.look()
        assert face.session.commands == [Pause()]
        await face.press("ctrl+p")
        assert "Search for commands" in face.text()


async def test_clicks_on_tabs_and_keys(scene, open_console):
    async with open_console(scene("running")) as face:
        at = face.lines()[2].index("3 Chunks")
        await face.pilot.click("#tabs", offset=(at, 0))
        await face.look()
        assert face.app.pane.id == "chunks"
        at = face.lines()[-1].index("Pause")
        await face.pilot.click("#keys", offset=(at, 0))
        await face.look()
        assert face.session.commands == [Pause()]


async def test_a_click_on_a_title_sorts(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("3")
        table = face.app.query_one("#chunk-table", LineTable)
        at = face.lines()[5].index("rows") - table.region.x
        await face.pilot.click("#chunk-table", offset=(at, 0))
        await face.look()
        assert "rows▴" in face.text()
        await face.pilot.click("#chunk-table", offset=(at, 0))
        await face.look()
        assert "rows▾" in face.text()


@pytest.mark.parametrize(("keys", "command"), [(("enter",), Quit(False)), (("right", "enter"), Quit(True))])
async def test_quit_asks_while_chunks_are_in_work(scene, open_console, keys, command):
    async with open_console(scene("running")) as face:
        await face.press("q")
        assert isinstance(face.app.screen, Question)
        assert "24 chunks in work" in face.text()
        await face.press(*keys)
        await face.look()
        assert face.session.commands == [command]
        if not command.now:
            assert "◍ stopping" in face.lines()[0]
            face.session.state = RunState.ENDED
            await face.look(1)
    assert face.app.return_value == 130


@pytest.mark.parametrize("keys", [("escape",), ("right", "right", "enter")])
async def test_quit_can_be_taken_back(scene, open_console, keys):
    async with open_console(scene("running")) as face:
        await face.press("q", *keys)
        assert face.session.commands == []
        assert face.app.is_running
        assert face.app.return_value is None


async def test_quit_again_while_stopping_suggests_to_wait(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("q", "enter")
        await face.look()
        await face.press("q")
        assert "Wait for them" in face.text()
        await face.press("enter")
        assert len(face.session.commands) == 1
        await face.press("ctrl+q", "right", "enter")
        await face.look()
        assert face.session.commands[-1] == Quit(True)


async def test_quit_leaves_at_once_when_the_run_has_ended(scene, open_console):
    async with open_console(scene("done")) as face:
        assert isinstance(face.app.pane, Report)
        assert "All 4,554 chunks are completed." in face.lines()[4]
        assert "100.0 %" in face.lines()[1]
        await face.press("q")
    assert face.app.return_value == 0
    assert face.session.commands == []


async def test_the_report_comes_up_when_the_run_ends(scene, open_console):
    session = scene("running")
    async with open_console(session) as face:
        session.state, session.exit_status, session.verdict = RunState.ENDED, 1, "3 chunks are in limbo."
        await face.look()
        assert isinstance(face.app.pane, Report)
        assert "3 chunks are in limbo." in face.text()
        await face.press("1")
        await face.look()
        assert isinstance(face.app.pane, Overview)
        await face.press("q")
    assert face.app.return_value == 1


async def test_quit_without_chunks_in_hand_does_not_ask(scene, open_console):
    session = scene("running")
    session.states[session.states == 1] = 0
    session.states[session.states == 2] = 0
    async with open_console(session) as face:
        await face.press("q")
        await face.look()
        assert session.commands == [Quit(True)]
    assert face.app.return_value == 130


async def test_buttons_answer_to_the_mouse(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("q")
        assert [str(button.label) for button in face.app.screen.query(Button)] == [
            "Finish, then stop",
            "Stop now",
            "Cancel",
        ]
        await face.pilot.click("#leave")
        await face.look()
        assert not isinstance(face.app.screen, Question)
