"""Consoles that are stopped for longer than the lease, as by Ctrl-Z or a sleeping machine, and wake; or die."""

import getpass
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [0, *range(39600, 39620), 57701, 57750, 57751]
TEXT = "0,39600:39619,57701,57750,57751"
GATED = 57701
LEASE = 3.0
GONE = LEASE + 5.0 + 4.0
"""Seconds after which nothing may be left of a console that is not heard: lease, grace, and some."""

QUICK = """
import functools, sys
from dgconsole import cli, session
from dgconsole.fleet.wiring import Timing
session.SessionOptions = functools.partial(
    session.SessionOptions,
    heartbeat=0.5,
    lease={lease},
    timing=Timing(ping=0.5, lease={agent_lease}, first_wait=0.1),
)
sys.exit(cli.dgconsole())
"""
"""The command with times that a test can wait for."""


def quicken(project: Any, *, agent_lease: float = LEASE) -> None:
    project.program = [sys.executable, "-c", QUICK.format(lease=LEASE, agent_lease=agent_lease)]


def freeze(console: Any, others: Any, gates: Any) -> None:
    """Stop the console until ``others`` are gone; gates are open when it wakes."""
    console.signal(signal.SIGSTOP)
    try:
        others.wait(GONE)
    finally:
        gates.open()
        console.signal(signal.SIGCONT)


def far_hosts(project: Any, ssh_hosts: Any) -> None:
    """Two hosts over SSH with two clients each."""
    lines = ""
    for number in (2, 3):
        home = ssh_hosts.folder / f"h{number}" / "home"
        host = ssh_hosts.start(f"SetEnv DGCONSOLE_TEST={project.mark} HOME={home}")
        lines += f"  {host.name}: {{address: {host.address}, port: {host.port}}}\n"
    login = f"user: {getpass.getuser()}, python: {sys.executable}"
    project.write("hosts.yml", f"defaults: {{launcher: ssh, deploy: none, clients: 2, {login}}}\nhosts:\n{lines}")


def test_local_clients_come_back_when_a_frozen_console_wakes(project: Any, gates: Any, ends: Any) -> None:
    quicken(project)
    project.clients(2)
    assert project.run(TEXT, "--run-dir", "other").status == 0
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    freeze(console, ends(set(project.processes()) - {console.pid}), gates)
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert project.files() == project.files("other")
    assert project.processes() == []
    assert (
        "here: backing off: the host agent ended: it has heard nothing from the console for" in project.console_log()
    )


def test_hosts_over_ssh_come_back_when_a_frozen_console_wakes(
    project: Any, ssh_hosts: Any, gates: Any, ends: Any
) -> None:
    quicken(project)
    project.clients(2)
    assert project.run(TEXT, "--run-dir", "other").status == 0
    far_hosts(project, ssh_hosts)
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    freeze(console, ends(set(project.processes()) - {console.pid}), gates)
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert project.files() == project.files("other")
    assert project.processes() == []
    for host in ssh_hosts.made:
        assert f"{host.name}: backing off: the host agent ended: " in project.console_log()


def test_clients_that_lost_a_frozen_console_start_again_under_the_same_agent(
    project: Any, gates: Any, ends: Any
) -> None:
    """Their lease runs out before their agent's does."""
    quicken(project, agent_lease=100.0)
    project.clients(2)
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    agent = project.agent()
    freeze(console, ends(project.pids("dgconsole.client")), gates)
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert "here-1: lost the console: no word from the console for 3 s, it will be started again" in (
        project.console_log()
    )
    assert "backing off" not in project.console_log()
    assert agent not in project.processes()


def test_a_killed_console_leaves_no_socket_on_its_hosts(
    project: Any, ssh_hosts: Any, gates: Any, ends: Any, wait_until: Any
) -> None:
    far_hosts(project, ssh_hosts)
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    wait_until(lambda: len(project.pids("dgconsole.client")) == 4, "all clients run")
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in project.pids("dgconsole.client")]
    sockets = {Path(found) for line in lines for found in re.findall(r"unix:(/tmp/dgconsole-\w+\.sock)", line)}
    assert len(sockets) == 2
    assert all(socket.exists() for socket in sockets)
    left = ends(project.processes())
    console.signal(signal.SIGKILL)
    console.end()
    left.wait(10.0)
    assert not any(socket.exists() for socket in sockets)
