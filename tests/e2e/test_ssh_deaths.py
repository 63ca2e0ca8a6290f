"""Whatever dies in a run over SSH: nothing is left of it within seconds, and the chunks are made."""

import contextlib
import fcntl
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [0, *range(39600, 39620), 57701, 57750, 57751]
TEXT = "0,39600:39619,57701,57750,57751"
GATED = 57701
GONE = 10.0
"""Seconds after which nothing of a console that was killed may be left on its hosts."""


def assert_free(lock: Path) -> None:
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_sshd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    except OSError:
        return False  # it has ended meanwhile


def assert_nobody_blamed(project: Any) -> None:
    """The chunk that was in hand was made again: lost, or returned where nobody had heard that it was begun."""
    *before, last = outcomes(project, GATED)
    assert last == "completed"
    assert before
    assert set(before) <= {"lost", "returned"}
    assert before.count("lost") <= 1


def assert_clean(host: Any, clients: int) -> None:
    """Nothing runs there, and its working directories are free and without files of chunks."""
    assert host.processes() == []
    locks = list((host.home / ".dgconsole").rglob(".lock"))
    assert len(locks) == clients
    for lock in locks:
        assert_free(lock)
    assert list(host.home.rglob("chunk_*")) == []


def host_of(far: Any, client: str) -> Any:
    (host,) = [host for host in far.hosts if client.startswith(f"{host.name}-")]
    return host


def outcomes(project: Any, chunk: int) -> list[object]:
    return [outcome for _, outcome in project.ledger.attempts(chunk)]


def test_kill_9_the_console(project: Any, far: Any, gates: Any, ends: Any, wait_until: Callable[..., None]) -> None:
    for _ in range(2):
        far.host()
    far.write()
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    wait_until(lambda: len(project.ledger.completed()) >= 5, "five chunks are made")
    left = ends(project.processes())
    console.signal(signal.SIGKILL)
    assert console.end().status == -signal.SIGKILL
    left.wait(GONE)
    assert project.processes() == []
    for host in far.hosts:
        assert_clean(host, 2)
    made = project.ledger.completed()
    gates.open()
    assert project.run(TEXT).status == 0
    project.assert_whole(CHUNKS)
    for chunk in made:
        assert project.ledger.attempts(chunk) == [(1, "completed")]
    assert outcomes(project, GATED) == ["lost", "completed"]


def test_the_ssh_server_of_a_host_is_killed(project: Any, far: Any, gates: Any, ends: Any) -> None:
    """Only its own processes are: what it had started on the host ends by itself, and others make the chunk."""
    for _ in range(3):
        far.host()
    far.write()
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    host = host_of(far, project.holder(GATED))
    below = host.sessions()
    servers = [host.server.pid, *(pid for pid in below if is_sshd(pid))]
    others = [pid for pid in below if pid not in servers]
    assert len(others) >= 3  # agent and two clients
    left = ends(others)
    for pid in servers:
        os.kill(pid, signal.SIGKILL)
    left.wait(GONE)
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert_nobody_blamed(project)
    (row,) = [row for row in project.report() if row["chunk_id"] == str(GATED)]
    assert row["host"] != host.name
    assert f"{host.name} backing off: " in ended.err


@pytest.mark.parametrize("whom", ["client", "agent", "session"])
def test_kill_9_one_of_those_on_a_host(project: Any, far: Any, gates: Any, ends: Any, whom: str) -> None:
    """The client, the agent, the SSH server's processes of that connection: what hangs on it ends, and comes back."""
    host = far.host()
    far.write()
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    client = project.client(project.holder(GATED))
    clients, agent = project.pids("dgconsole.client"), project.agent()
    below = host.sessions()
    victims = {"client": [client], "agent": [agent], "session": [pid for pid in below if is_sshd(pid)]}[whom]
    left = ends([client] if whom == "client" else [agent, *clients])
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    left.wait(GONE)
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert_nobody_blamed(project)
    assert ("backing off" in project.console_log()) is (whom != "client")
    assert host.log().count("Accepted publickey") == 1 + (whom != "client")
    assert project.processes() == []
    assert_clean(host, 2)


def test_kill_9_a_jump_host(project: Any, far: Any, gates: Any, ends: Any) -> None:
    jump = far.host()
    del far.lines[jump.name]
    way = f"{jump.user}@{jump.address}:{jump.port}"
    hosts = [far.host(jump=way) for _ in range(2)]
    far.write(clients=1)
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    left = ends(project.pids("dgconsole.client"))
    for pid in jump.sessions():
        os.kill(pid, signal.SIGKILL)
    left.wait(GONE)
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    for host in hosts:
        why = rf"{host.name}: backing off: jump host {re.escape(way)}: (Connection (lost|reset by peer)|Broken pipe)"
        assert re.search(why, project.console_log())
        assert_clean(host, 1)
    assert jump.log().count("Accepted publickey") == 2


def test_kill_9_console_and_servers_at_once(project: Any, far: Any, gates: Any, ends: Any) -> None:
    """As when the power fails: the same command makes it whole, on hosts that are back."""
    hosts = [far.host() for _ in range(2)]
    far.write(clients=1)
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    left = ends(project.processes())
    console.signal(signal.SIGKILL)
    for pid in [pid for host in hosts for pid in host.sessions() if is_sshd(pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert console.end().status == -signal.SIGKILL
    left.wait(GONE)
    for host in hosts:
        assert_clean(host, 1)
    gates.open()
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert project.processes() == []
