"""Chunks that can't be made: limbo after the attempts that the policy grants, the others made, status 1."""

import re
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [0, *range(39600, 39606), 57701, 57750, 79600]
TEXT = "0,39600:39605,57701,57750,79600"
BAD = [57701, 79600]
"""No target is a neighbour of these, and so none is spoilt with them."""


@pytest.mark.parametrize("clients", [1, 2])
def test_chunks_that_always_fail(project: Any, clients: int) -> None:
    project.clients(clients)
    project.generator(f"if rows.chunk in {BAD}: raise ValueError('no such flux')")
    ended = project.run(TEXT, "--max-attempts", "2")
    assert ended.status == 1, ended
    assert "Traceback" not in ended.err
    assert "8 of 10 chunks are made, 2 in limbo" in ended.out
    assert "no such flux" in ended.out
    states = project.states()
    assert states == {chunk: "limbo" if chunk in BAD else "completed" for chunk in CHUNKS}
    for row in project.report():
        bad = int(row["chunk_id"]) in BAD
        assert ("ValueError: no such flux" in row["error"]) is bad
        assert row["attempts"] == ("2" if bad else "1")
        assert (row["rows"] == "0") is bad
    assert not [name for name in project.files() if any(str(chunk) in name for chunk in BAD)]
    project.ledger.assert_sound()
    again = project.run(TEXT)
    assert again.status == 1
    assert "8 of 10 chunks are made, 2 in limbo" in again.out
    assert [len(project.ledger.attempts(chunk)) for chunk in BAD] == [2, 2]


def test_a_chunk_that_fails_once(project: Any) -> None:
    project.clients(1)
    trip = project.folder / "tripped"
    head = f"import pathlib\ntrip = pathlib.Path({str(trip)!r})\n"
    once = "if rows.chunk == 57701 and not trip.exists(): trip.touch(); raise ValueError('once')"
    project.generator(once, head)
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    attempts = {int(row["chunk_id"]): row["attempts"] for row in project.report()}
    assert attempts == {chunk: "2" if chunk == 57701 else "1" for chunk in CHUNKS}
    assert project.ledger.attempts(57701) == [(1, "failed"), (2, "completed")]


def test_a_generator_that_always_fails(project: Any) -> None:
    """The fault is hardly the chunks': nothing more is handed out after the third, and headless ends."""
    project.generator("raise KeyError('column')")
    ended = project.run("39600:39639")
    assert ended.status == 1, ended
    assert "KeyError" in ended.out
    assert "Traceback" not in ended.err
    assert "0 of 40 chunks are made, 40 not made: Object, columns" in ended.out
    assert ended.out.rstrip().endswith("KeyError: 'column'. Ended, as nobody is here to mend it.")
    assert project.processes() == []
    assert len(project.report()) == 40
    ((attempts,),) = project.ledger.ask("SELECT count(*) FROM attempts WHERE outcome = 'failed'")
    assert 3 <= attempts <= 10
    assert project.files() == {}


def test_a_chunk_that_kills_its_client(project: Any) -> None:
    """As a crash of a library would, or a lack of memory: limbo before it has cost all clients."""
    project.generator("if rows.chunk == 57701: os.kill(os.getpid(), 9)", "import os\n")
    ended = project.run(TEXT)
    assert ended.status == 1, ended
    states = project.states()
    assert states == {chunk: "limbo" if chunk == 57701 else "completed" for chunk in CHUNKS}
    assert [outcome for _, outcome in project.ledger.attempts(57701)] == ["lost"] * 3
    (row,) = [row for row in project.report() if row["chunk_id"] == "57701"]
    assert re.fullmatch(r"here-[12]: connection lost", row["error"])
    assert project.processes() == []


def test_names_that_no_file_may_have(project: Any) -> None:
    """Words of an error stay one field of one row."""
    project.clients(1)
    project.generator("raise ValueError('a,\"b\"\\n\\tc\\x1b[31m')")
    ended = project.run("57701", "--max-attempts", "1")
    assert ended.status == 1, ended
    (row,) = project.report()
    assert '"b"' in row["error"]
    assert "\x1b" not in ended.out + ended.err + row["error"]
