"""Runs over SSH: real consoles, real SSH servers, and what goes wrong between them."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [0, *range(39600, 39620), 57701, 57750, 57751]
TEXT = "0,39600:39619,57701,57750,57751"
GATED = 57701
GONE = 10.0
"""Seconds after which nothing of a console that was killed may be left on its hosts."""


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.99 where nobody listens, and nobody will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.99", 0))
        yield taken.getsockname()[1]


def test_three_hosts_make_what_one_machine_makes(project: Any, far: Any) -> None:
    project.generator("time.sleep(0.02)", "import time\n")  # nobody is done before the others have come
    project.clients(2)
    assert project.run(TEXT, "--run-dir", "here").status == 0
    for _ in range(3):
        far.host()
    far.write()
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert project.files() == project.files("here")
    assert {row["host"] for row in project.report()} == {host.name for host in far.hosts}
    assert {row["attempts"] for row in project.report()} == {"1"}
    assert project.processes() == []
    for host in far.hosts:
        workdirs = sorted(path.name for path in (host.home / ".dgconsole").glob("*/*"))
        assert workdirs == [f"{host.name}-1", f"{host.name}-2"]
        assert list(host.home.rglob("chunk_*")) == [], "they were collected"
        assert sorted(path.name for path in (project.run_dir / "logs").glob(f"{host.name}-*")) == [
            f"{host.name}-1.log",
            f"{host.name}-2.log",
        ]


def test_a_host_that_is_down_keeps_nobody_waiting(project: Any, far: Any, closed_port: int) -> None:
    far.host()
    far.lines["down"] = {"address": "127.0.0.99", "port": str(closed_port)}
    far.write()
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert "backing off: " in project.console_log()
    assert f"@127.0.0.99:{closed_port}: connect: Connection refused" in ended.err


def test_an_unknown_host_key_is_shown_and_not_taken(project: Any, far: Any) -> None:
    far.host()
    unknown = far.host(known=False)
    far.write()
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    words = f"the host key of {unknown.entry} is unknown: ssh-ed25519 {unknown.fingerprint}"
    assert f"{unknown.name} set aside" in ended.err
    assert words in ended.err
    assert words in project.console_log()
    assert unknown.fingerprint.startswith("SHA256:")
    assert {row["host"] for row in project.report()} == {far.hosts[0].name}


def test_no_host_can_be_used(project: Any, far: Any) -> None:
    far.host(known=False)
    far.host(setup="['false']")
    far.write()
    ended = project.run("57701")
    assert ended.status == 1, ended
    assert "1 not made. Ended: no client is left." in ended.out
    assert far.hosts[0].fingerprint in ended.err
    assert f"{far.hosts[1].name} set aside: setup failed: line 1 failed" in ended.err
    assert "Traceback" not in ended.err
    assert project.states() == {57701: "pending"}
    assert project.processes() == []


def test_a_setup_line_that_fails_is_named_with_what_it_said(project: Any, far: Any) -> None:
    far.host(setup="['true', 'echo the disk is away >&2; false']")
    far.write()
    ended = project.run("57701")
    assert ended.status == 1, ended
    assert f"{far.hosts[0].name} set aside: setup failed: the disk is away; line 2 failed" in ended.err


def test_a_host_with_one_session_is_enough(project: Any, far: Any) -> None:
    far.host("MaxSessions 1")
    far.write(clients=3)
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)


def test_a_host_that_forbids_sockets_gives_a_port(project: Any, far: Any) -> None:
    far.host("AllowStreamLocalForwarding no")
    far.write()
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)


def test_the_token_stands_in_no_command_line(project: Any, far: Any, gates: Any) -> None:
    far.host()
    far.write()
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    token = project.server()["token"].encode()
    seen = 0
    for pid in project.processes():
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        seen += b"dgconsole.client" in line
        assert token not in line
        assert token not in Path(f"/proc/{pid}/environ").read_bytes()
    assert seen == 2
    gates.open()
    assert console.end().status == 0
    for host in far.hosts:
        assert token not in b"".join(path.read_bytes() for path in host.home.rglob("*") if path.is_file())


def test_two_runs_in_one_working_directory(
    project: Any, far: Any, gates: Any, wait_until: Callable[..., None]
) -> None:
    """The clients of the second run wait and say for which lock; they work as soon as it is free."""
    host = far.host(workdir="~/shared")
    far.write(clients=1)
    gates.shut(GATED)
    first = project.begin(TEXT)
    gates.reached(GATED)
    second = project.begin("39600:39603", "--run-dir", "second")
    log = project.folder / "second" / "logs" / f"{host.name}-1.log"
    wait_until(lambda: log.exists() and ": waiting for it" in log.read_text(), "it waits")
    (line,) = [line for line in log.read_text().splitlines() if ": waiting for it" in line]
    assert f"{host.home}/shared/{host.name}-1 is locked" in line
    gates.open()
    assert first.end().status == 0
    ended = second.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
