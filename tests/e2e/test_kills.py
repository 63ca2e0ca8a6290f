"""Processes killed in mid-run: what was made stays, what was not is made, and nobody is left behind."""

import os
import signal
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [0, *range(39600, 39620), 57701, 57750, 57751]
TEXT = "0,39600:39619,57701,57750,57751"
GATED = 57701
"""The chunk in work when it happens. No other target is its neighbour, and so none is held up with it."""


def times(project: Any, chunks: Any) -> dict[str, int]:
    names = (f"Object/chunk_{c}.txt" for c in chunks)
    return {name: (project.run_dir / "chunks" / name).stat().st_mtime_ns for name in names}


@pytest.mark.parametrize("clients", [1, 2])
def test_kill_9_the_console(project: Any, gates: Any, ends: Any, wait_until: Any, clients: int) -> None:
    project.clients(clients)
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    wait_until(lambda: len(project.ledger.completed()) >= 5, "five chunks are made")
    left = ends(project.processes())
    console.signal(signal.SIGKILL)
    assert console.end().status == -signal.SIGKILL
    left.wait()
    assert project.processes() == []
    made = project.ledger.completed()
    before = times(project, made)
    assert GATED not in made
    gates.open()
    assert project.run(TEXT).status == 0
    project.assert_whole(CHUNKS)
    assert times(project, made) == before
    for chunk in made:
        assert project.ledger.attempts(chunk) == [(1, "completed")]
    assert [outcome for _, outcome in project.ledger.attempts(GATED)] == ["lost", "completed"]
    assert {row["attempts"] for row in project.report()} == {"1"}


def test_kill_9_the_console_again_and_again(project: Any, ends: Any, wait_until: Any) -> None:
    """Wherever it hits: nothing is lost, nothing is made twice."""
    text, chunks = "39600:39639", list(range(39600, 39640))
    for more in (1, 12, 25, 40):
        console = project.begin(text)
        wait_until(lambda more=more: len(project.ledger.completed()) >= more, f"{more} chunks are made")
        left = ends(project.processes())
        console.signal(signal.SIGKILL)
        console.end()
        left.wait()
        project.ledger.assert_sound()
    assert project.run(text).status == 0
    assert project.states().keys() <= {*chunks, 39979, 40019}
    project.assert_whole(list(project.states()))


@pytest.mark.parametrize("clients", [1, 2])
def test_kill_9_a_client(project: Any, gates: Any, clients: int) -> None:
    project.clients(clients)
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    name = project.holder(GATED)
    os.kill(project.client(name), signal.SIGKILL)
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert project.ledger.attempts(GATED) == [(1, "lost"), (2, "completed")]
    assert project.processes() == []


def test_sigterm_to_a_client(project: Any, gates: Any) -> None:
    """Somebody wants that one gone: it gives back what it has, without blame, and is not started again."""
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    name = project.holder(GATED)
    os.kill(project.client(name), signal.SIGTERM)
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    (row,) = [row for row in project.report() if row["chunk_id"] == str(GATED)]
    assert row["attempts"] == "1"
    assert row["client"] != name


def test_kill_9_at_the_very_beginning(project: Any, ends: Any, wait_until: Any) -> None:
    """However little there is of a run directory, the same command makes it whole."""
    for name in ("", "lock", "plan", "plan/plan.json", "ledger.sqlite", "server.json", "work/here-1/.lock"):
        console = project.begin("57701")
        wait_until((project.run_dir / name).exists, f"{name} is there")
        left = ends(project.processes())
        console.signal(signal.SIGKILL)
        console.end()
        left.wait()
        (project.run_dir / "server.json").unlink(missing_ok=True)
    assert project.run("57701").status == 0
    project.assert_whole([57701])


def test_kill_9_the_host_agent(project: Any, gates: Any, ends: Any) -> None:
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    clients = project.pids("dgconsole.client")
    assert len(clients) == 2
    left = ends(clients)
    os.kill(project.agent(), signal.SIGKILL)
    left.wait()
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert project.processes() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_in_mid_run(project: Any, gates: Any, number: signal.Signals) -> None:
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    console.signal(number)
    ended = console.end()
    assert ended.status == 130, ended
    assert project.processes() == []
    assert "Traceback" not in ended.err
    assert "not made" in ended.out
    states = project.states()
    assert sorted(states) == CHUNKS
    assert states[GATED] == "pending"
    assert set(states.values()) <= {"pending", "completed"}
    gates.open()
    assert project.run(TEXT).status == 0
    project.assert_whole(CHUNKS)
    assert {row["attempts"] for row in project.report()} == {"1"}


def test_under_nohup_a_run_outlives_its_terminal(project: Any, gates: Any) -> None:
    gates.shut(GATED)
    console = project.begin(TEXT, before=("nohup",))
    gates.reached(GATED)
    console.signal(signal.SIGHUP)
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)


def test_a_second_signal_does_not_wait(project: Any, gates: Any, ends: Any) -> None:
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    left = ends(project.processes())
    console.signal(signal.SIGTERM)
    console.signal(signal.SIGTERM)
    assert console.end().status == 130
    left.wait()
    gates.open()
    assert project.run(TEXT).status == 0
    project.assert_whole(CHUNKS)
