"""Clients that a person starts against a running console."""

from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [*range(39600, 39640)]
TEXT = "39600:39639"


@pytest.fixture
def waiting(project: Any, gates: Any) -> Any:
    """A console whose one client stands before a gate; the other chunks wait."""
    project.clients(1)
    gates.shut(39600)
    console = project.begin(TEXT, "--chunks-per-request", "1")
    gates.reached(39600)
    return console


def by_hand(project: Any, workdir: str, *options: str, token: str | None = None) -> Any:
    server = project.server()
    arguments = ("--server", server["address"], "--workdir", workdir, *options)
    return project.start("dgclient", *arguments, env={"DGCONSOLE_TOKEN": token or server["token"]})


def test_two_more_clients_take_part(project: Any, waiting: Any, gates: Any, wait_until: Any) -> None:
    more = [by_hand(project, "w1", "--name", "hand-1"), by_hand(project, "w2")]
    wait_until(lambda: len(project.ledger.completed()) >= 30, "the two have made most")
    gates.open()
    assert waiting.end().status == 0
    project.assert_whole(CHUNKS)
    ended = [client.end() for client in more]
    assert [status for status, _, _ in ended] == [0, 0], ended
    makers = {row["client"] for row in project.report()}
    assert {"here-1", "hand-1"} < makers
    assert len(makers) == 3
    assert project.processes() == []


def test_a_wrong_token_is_refused_in_words(project: Any, waiting: Any, gates: Any) -> None:
    ended = by_hand(project, "w1", token="wrong").end()
    assert ended.status == 2
    (line,) = (ended.out + ended.err).splitlines()
    assert "wrong token" in line
    gates.open()
    assert waiting.end().status == 0
    assert {row["client"] for row in project.report()} == {"here-1"}


def test_a_second_client_in_one_workdir(project: Any, waiting: Any, gates: Any) -> None:
    """Be the first one by hand or the fleet's."""
    ended = by_hand(project, str(project.run_dir / "work" / "here-1")).end()
    assert ended.status == 2
    (line,) = (ended.out + ended.err).splitlines()
    assert "another client works in" in line
    assert f"process {project.client('here-1')}" in line
    gates.open()
    assert waiting.end().status == 0
    project.assert_whole(CHUNKS)


def test_the_token_file_and_the_death_of_the_console(project: Any, waiting: Any, ends: Any) -> None:
    """A client by hand has no host agent to end it: it leaves when it loses its console."""
    client = by_hand(project, "w1", "--token-file", "run/server.json", token="")
    left = ends(project.processes())
    waiting.process.kill()
    ended = client.end()
    assert ended.status == 1, ended
    assert "lost the console" in ended.err
    left.wait()
