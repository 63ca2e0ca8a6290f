"""The screen of logs: older lines from files, whole logs, searching them, copying and saving lines."""

import pytest
from textual.widgets import Input, Static

from dgconsole.console.logs import Logs
from dgconsole.console.prompt import Prompt
from dgconsole.console.roles import Role
from dgconsole.snapshot import LogLine

pytestmark = pytest.mark.slow


def view_of(face):
    return face.app.query_one(Logs)._view


def with_files(session, count: int = 5000):
    """A session whose files go back ``count`` lines further."""
    begin = session.lines[0].wall
    session.files = [
        LogLine(
            0, round(begin - count + k, 3), f"db0{k % 3 + 1}-1", "error" if k % 100 == 0 else "info", f"earlier {k}"
        )
        for k in range(count)
    ]
    return session


async def settle(face, times: int = 3):
    """Let what works on files end, and look."""
    for worker in list(face.app.workers):
        if worker.group in ("log-files", "save"):
            await worker.wait()
    await face.look(times)


async def test_scrolling_up_brings_older_lines_and_loses_no_place(scene, open_console):
    session = with_files(scene("trouble"))
    async with open_console(session) as face:
        await face.press("4")
        count = len(session.lines)
        await face.press("home")
        first = face.lines()[5]
        await face.press("up")
        await settle(face)
        lines = face.lines()
        assert first in lines[6]
        assert "earlier 4999" in lines[5]
        assert f"Logs ─ {count + 2000:,} lines" in face.text()
        await face.press("home")
        assert "earlier 3000" in face.lines()[5]
        for _ in range(3):
            await face.press("home")
            await settle(face)
        assert "earlier 0" in face.lines()[5]
        assert "nothing older is in logs/" in face.text()
        await face.press("f")
        assert f"Logs ─ {count:,} lines" in face.text()
        assert "● following" in face.text()


async def test_older_lines_of_one_source_at_one_level(scene, open_console):
    session = with_files(scene("running"))
    async with open_console(session) as face:
        await face.press("down", "l", "v", "v", "v")
        assert "◂ db01-1 ▸   error and above" in face.text()
        assert "Logs ─ 0 lines" in face.text()
        await face.press("up")
        await settle(face)
        assert "Logs ─ 17 lines" in face.text()
        assert "earlier 4800" in face.text()
        assert "earlier 100 " not in face.text()


async def test_what_is_read_stays_while_thousands_come(scene, open_console):
    session = scene("trouble")
    async with open_console(session) as face:
        view = view_of(face)
        view.store._keep = 500
        await face.press("4", "pageup")
        top = face.lines()[6]
        for k in range(1204):
            session.log("db01-1", "info", f"fresh {k}")
            if k % 100 == 0:
                await face.look(1)
        await face.look()
        assert "paused, 1,204 new" in face.text()
        assert face.lines()[6][:100] == top[:100]
        await face.press("end")
        assert "fresh 1203" in face.text()
        assert len(view.store.shown) <= 600


async def test_the_match_before_is_looked_for_in_older_lines(scene, open_console):
    session = with_files(scene("running"))
    async with open_console(session) as face:
        await face.press("4", "slash")
        await face.type("earlier 1234")
        assert "not found  N: in older lines" in face.text()
        await face.press("enter", "N")
        await settle(face)
        assert "1 line match" in face.text()
        assert view_of(face).current().text == "earlier 1234"
        assert "earlier 1233" in face.text()
        await face.press("N")
        await settle(face)
        assert "no older one: from the end again" in face.text()
        assert view_of(face).current().text == "earlier 1234"


async def test_the_search_is_recalled(scene, open_console):
    async with open_console(scene("trouble")) as face:
        field = face.app.query_one("#log-search", Input)
        await face.press("4", "slash")
        await face.type("no space")
        await face.press("enter", "escape")
        assert field.value == ""
        assert "search:" not in face.text()
        await face.press("slash")
        await face.type("chunk")
        assert field.value == "chunk"
        assert "Logs ─ 112 lines ─ search: chunk" in face.text()
        await face.press("enter", "escape", "slash")
        assert field.value == "chunk"
        await face.press("up")
        assert field.value == "no space"
        await face.press("down", "enter")
        assert field.value == "chunk"


@pytest.fixture
def whole(tmp_path):
    """A run directory with a whole log in it."""
    folder = tmp_path / "logs"
    folder.mkdir()
    lines = [f"{'WARNING' if k % 1000 == 7 else 'INFO'} line {k:06}" for k in range(60_000)]
    (folder / "db01-1.whole.log").write_text("\n".join(lines) + "\nTraceback \x1b[31mred\n")
    (folder / "db01-1.log").write_text("")
    return tmp_path


async def open_whole(face):
    await face.press("down", "l")
    await face.press("right")
    await settle(face)


async def test_a_whole_log_is_walked_and_searched(scene, open_console, whole):
    session = scene("running")
    session.run_dir = str(whole)
    async with open_console(session) as face:
        await open_whole(face)
        assert "◂ db01-1 whole log ▸" in face.text()
        assert "Traceback \\x1b[31mred" in face.text()
        await face.press("home")
        await settle(face)
        assert "line 000000" in face.lines()[5]
        assert "byte 0 to" in face.text()
        view = view_of(face)
        for _ in range(70):
            await face.press("pagedown")
            await settle(face, 1)
        assert view.seen_lines()[0].text > "line 002000"
        await face.press("slash")
        await face.type("LINE 054321")
        await face.press("enter")
        await settle(face)
        assert "not found" in face.text()
        assert "not found" in face.text()
        await face.press("slash")
        await face.type("line 054321")
        await face.press("enter")
        await settle(face)
        assert view.current().text == "line 054321"
        assert "line 054320" in face.text()
        assert "line 054322" in face.text()
        await face.press("slash")
        await face.type("line 000007")
        await face.press("enter")
        await settle(face)
        assert view.current().text == "line 000007"
        assert view.current().level == "WARNING"
        await face.press("end")
        await settle(face)
        assert "Traceback" in face.text()
        await face.press("escape", "escape")
        assert "◂ db01-1 ▸" in face.text()


async def test_next_and_previous_in_a_whole_log(scene, open_console, whole):
    session = scene("running")
    session.run_dir = str(whole)
    async with open_console(session) as face:
        await open_whole(face)
        view = view_of(face)
        await face.press("home")
        await settle(face)
        await face.press("slash")
        await face.type("99")
        await face.press("enter")
        await settle(face)
        found = [view.current().text]
        for key in ("n", "n", "N"):
            await face.press(key)
            await settle(face)
            found.append(view.current().text)
        assert found == ["line 000099", "line 000199", "line 000299", "line 000199"]


async def test_a_whole_log_that_is_not_here(scene, open_console, tmp_path):
    session = scene("running")
    session.run_dir = str(tmp_path)
    async with open_console(session) as face:
        await face.press("down", "l", "w")
        await settle(face)
        assert "w fetches it" in face.text()
        await face.press("up", "end", "home", "slash")
        await face.type("x")
        await face.press("enter")
        await settle(face)
        assert "not found" in str(face.app.query_one("#search-count", Static).content)


async def test_lines_are_copied(scene, open_console):
    session = scene("trouble")
    async with open_console(session) as face:
        await face.press("4", "y")
        assert "lines sent to the clipboard" in face.text()
        assert len(face.app.clipboard.splitlines()) == view_of(face).size.height
        await face.press("slash")
        await face.type("no space")
        await face.press("enter", "y")
        assert len(face.app.clipboard.splitlines()) == 1
        assert "ERROR" in face.app.clipboard or "WARNING" in face.app.clipboard
        assert "db05-2: chunk" in face.app.clipboard
        await face.press("Y")
        assert len(face.app.clipboard.splitlines()) > 5
        assert "1 line sent to the clipboard" in face.text()
        session.log("db01-1", "info", "x" * 60_000)
        await face.press("end", "Y")
        assert "more than a clipboard takes" in face.text()


async def test_a_click_marks_a_line_to_copy(scene, open_console):
    async with open_console(scene("running")) as face:
        await face.press("4")
        view = view_of(face)
        await face.pilot.click(view, offset=(20, 7))
        await face.look()
        assert view.current() is view.seen_lines()[7]
        assert "○ paused" in face.text()
        await face.press("y")
        assert face.app.clipboard.endswith(view.current().text)


async def test_lines_are_saved_and_nothing_is_overwritten(scene, open_console, tmp_path):
    session = scene("trouble")
    session.run_dir = str(tmp_path)
    path = tmp_path / "lines-of-all-sources.txt"
    async with open_console(session) as face:
        for expected in ("Written:", "exists; choose"):
            await face.press("4", "S")
            assert isinstance(face.app.screen, Prompt)
            face.app.screen.query_one(Input).value = str(path)
            await face.press("enter")
            await settle(face)
            assert expected in face.text()
        assert len(path.read_text().splitlines()) == len(session.lines)


async def test_a_watcher_saves_no_lines(scene, open_console):
    async with open_console(scene("running"), role=Role.WATCHER) as face:
        await face.press("4", "S")
        assert "it writes no file" in face.text()


async def test_a_file_that_cannot_be_read_is_told_and_ends_nothing(scene, open_console, monkeypatch):
    session = scene("running")

    async def broken(*_: object) -> None:
        raise OSError("no such disk")

    monkeypatch.setattr(session, "older", broken)
    async with open_console(session) as face:
        await face.press("4", "home", "up")
        await face.look()
        assert "no such disk" in face.text()
        assert "loading" not in face.text()
        await face.press("end")
        assert "● following" in face.text()
