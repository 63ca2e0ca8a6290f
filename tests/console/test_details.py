"""What is behind a row: the log lines of an attempt, a client, a host; and filters that are remembered."""

import numpy as np
import pytest
from textual.widgets import Input

from dgconsole.console.dialogs import Facts
from dgconsole.snapshot import AttemptRow, ClientRow, ClientState, HostRow, LogLine
from dgconsole.views.details import client_lines, host_lines
from dgconsole.views.history import LAST_LINES, said_in
from dgconsole.views.signs import Signs

START = 1_795_000_000.0


def attempt(started: float, ended: float | None) -> AttemptRow:
    return AttemptRow(attempt=1, client="c", host="h", started=started, ended=ended, outcome="failed")


def at(wall: float, text: str) -> LogLine:
    return LogLine(0, wall, "c", "info", text)


def test_the_lines_of_an_attempt_are_those_of_its_time_and_chunk():
    lines = [
        at(9.0, "before"),
        at(10.0, "chunk 3 made: late word of the one before"),
        at(10.0, "begins"),
        at(12.0, "chunk 7 attempt 1 failed"),
        at(20.4, "chunk 7 said late"),
        at(20.5, "chunk 77 made"),
        at(21.5, "after"),
    ]
    assert [line.text for line in said_in(lines, 7, attempt(10.0, 20.0))] == [
        "begins",
        "chunk 7 attempt 1 failed",
        "chunk 7 said late",
    ]
    assert [line.text for line in said_in(lines, 7, attempt(10.0, None))][-1] == "after"
    many = [at(11.0, f"{k}") for k in range(100)]
    assert [line.text for line in said_in(many, 7, attempt(10.0, 20.0))] == [
        f"{k}" for k in range(100 - LAST_LINES, 100)
    ]


@pytest.mark.parametrize(
    ("stage", "words"), [("deliver", "7, deliver 25% of 12.3 MB"), ("partition", "7, partition 25%, 12.3 MB written")]
)
def test_the_bytes_of_the_chunk_in_hand(stage, words):
    client = ClientRow(
        name="c", host="h", state=ClientState.WORKING, chunk=7, stage=stage, fraction=0.25, chunk_bytes=12_300_000
    )
    lines = client_lines(client, [], None, Signs(unicode=True))
    assert words in ["".join(cell.text for cell in line).removeprefix("chunk").strip() for line in lines]


@pytest.mark.slow
async def test_the_history_has_the_last_lines_of_each_attempt(scene, open_console):
    session = scene("trouble")
    chunk = session.causes[0].chunks[0]
    for k in range(3):
        client = f"db0{k + 1}-1"
        for j in range(30):
            session.files.append(LogLine(0, START + 40 * k + j / 10, client, "info", f"words {k} {j}"))
        failed = f"chunk {chunk} attempt {k + 1} failed: \x1b[31mred"
        session.files.append(LogLine(0, START + 40 * k + 3.5, client, "error", failed))
        session.files.append(LogLine(0, START + 40 * k + 3.6, client, "info", "chunk 1 made"))
    session.files.sort(key=lambda line: line.wall)
    async with open_console(session, (160, 60)) as face:
        await face.app.show_chunks("state:limbo")
        await face.press("enter")
        await face.look()
        text = face.text()
        assert "last log lines" in text
        assert f"chunk {chunk} attempt 3" in text
        assert "\\x1b[31mred" in text
        assert "words 2 29" in text
        assert "words 2 11" in text
        assert "words 2 10" not in text
        asked = session.calls["older"]
        await face.look(3)
        session.revision += 1
        await face.look(3)
        assert session.calls["older"] == asked


@pytest.mark.slow
async def test_a_log_that_cannot_be_read_hides_no_history(scene, open_console, monkeypatch):
    session = scene("trouble")

    async def broken(*_: object) -> None:
        raise OSError("no such disk")

    monkeypatch.setattr(session, "older", broken)
    async with open_console(session) as face:
        await face.app.show_chunks("state:limbo")
        await face.press("enter")
        assert "attempt 3" in face.text()
        await face.press("1", "down", "i")
        assert isinstance(face.app.screen, Facts)


@pytest.mark.slow
async def test_details_of_a_client(scene, open_console):
    session = scene("running")
    first = session.clients[0]
    from msgspec.structs import replace

    session.clients[0] = replace(first, workdir="/scratch/dg/here-1", cpu=93.0, rss=180_000_000)
    session.log("db01-1", "error", "no \x1b[2Jspace left")
    session.log("db01-1", "info", "and on")
    async with open_console(session) as face:
        await face.press("down", "i")
        text = face.text()
        for words in (
            "● working",
            "process     4000",
            "93 % of a core",
            "memory      180 MB",
            "workdir     /scratch/dg/here-1",
            "no \\x1b[2Jspace left",
            "last log lines",
            "and on",
            "last word",
        ):
            assert words in text, words
        await face.press("escape")
        assert not isinstance(face.app.screen, Facts)


@pytest.mark.slow
async def test_details_of_a_host(scene, open_console):
    session = scene("trouble")
    session.log("db02", "warning", "set aside: host key changed")
    async with open_console(session) as face:
        await face.press("i")
        assert "clients     4 working" in face.text()
        await face.press("escape", *["down"] * 5, "i")
        text = face.text()
        for words in (
            "set aside",
            "because     host key changed",
            "what to do  If db02 was rebuilt",
            "last log lines",
        ):
            assert words in text, words


def test_details_of_nothing_much():
    lines = host_lines(None, [], ())
    assert "started by hand" in str(lines)
    row = HostRow(name="h", launcher="ssh", state="up")
    assert "because" not in str(host_lines(row, [], ()))


@pytest.mark.slow
async def test_filters_stand_in_the_title_and_are_recalled(scene, open_console):
    async with open_console(scene("trouble")) as face:
        await face.press("3", "slash")
        await face.type("state:limbo host:db05")
        await face.press("enter")
        assert "Chunks ─ 4,554 ─ filter: state:limbo host:db05" in face.text()
        field = face.app.query_one("#chunk-filter", Input)
        await face.press("escape")
        assert field.value == ""
        assert "filter:" not in face.text()
        await face.press("slash")
        assert field.value == "state:limbo host:db05"
        assert "filter: state:limbo" in face.text()
        await face.type("4")
        assert field.value == "4"
        await face.press("enter", "escape", "slash", "up")
        assert field.value == "state:limbo host:db05"
        await face.press("escape", "1", "slash")
        await face.type("db03")
        await face.press("escape", "escape")
        assert "filter: db03" not in face.text()
        await face.press("slash")
        assert "filter: db03" in face.text()


@pytest.mark.slow
async def test_the_error_of_a_retrying_chunk_is_found(scene, open_console):
    session = scene("trouble")
    retrying = np.flatnonzero(session.states == 5)[:2].tolist()
    session.failed = {retrying[0]: "connection reset by # peers", retrying[1]: "killed"}
    async with open_console(session) as face:
        await face.app.show_chunks("error:reset")
        await face.look()
        assert "1 of 4,554 chunks" in face.text()
        assert "connection" in face.lines()[6]
        await face.press("2")
        assert "could not be" not in face.text()
