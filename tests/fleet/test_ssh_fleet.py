"""Fleets over real SSH servers: many clients, many hosts, bad ones among good ones, and hosts as odd as they come."""

import asyncio
import contextlib
import os
import re
import signal
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dgconsole.fleet.clients import EndKind
from dgconsole.fleet.hosts import HostState
from dgconsole.fleet.launchers import ssh
from dgconsole.fleet.wiring import Timing
from dgconsole.settings.structs import HostConfig

WAITS = "import sys\nsys.stdin.readline()\nprint('up', flush=True)\nsys.stdin.read()\n"
SPEAKS = (
    "import os, sys\nprint('INFO token', sys.stdin.readline().strip(), os.getcwd(), flush=True)\nsys.stdin.read()\n"
)
LOST = "Connection (lost|reset by peer)"
DEAF = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WAITS}while True:\n    signal.pause()\n"


@pytest.fixture
def python(far_python: Any) -> str:
    """The Python of hosts on which a client says "up" and waits."""
    return far_python(WAITS)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little time for each phase of a login."""
    monkeypatch.setattr(ssh, "Limits", partial(ssh.Limits, connect=1.0, login=1.0))


def up(watched: Any) -> int:
    return sum(text == "up" for *_, text in watched.lines)


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").exists()  # a zombie has none


def kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# ---- many


async def test_24_clients_of_a_host_share_its_one_session(ssh_hosts, far_fleet, python):
    host = ssh_hosts.start("MaxSessions 1")
    watched = far_fleet(host.config(deploy="none", python=python, clients=24))
    await watched.until(lambda: up(watched) == 24)
    assert host.log().count("Accepted publickey") == 1
    assert len({process.pid for process in watched.fleet.processes()}) == 24
    await watched.fleet.stop(1.0)
    assert host.processes() == []


@pytest.mark.slow
async def test_50_hosts_behind_4_servers_come_up_without_one_login_dropped(ssh_hosts, far_fleet, python):
    servers = [ssh_hosts.start() for _ in range(4)]
    hosts = [servers[n % 4].config(name=f"db{n:02}", deploy="none", python=python) for n in range(50)]
    watched = far_fleet(*hosts, timing=Timing(connect=60, prepare=60, ping=1, lease=30, first_wait=0.5, grace=5))
    await watched.until(lambda: up(watched) == 50, patience=60)
    assert [row.state for row in watched.fleet.hosts()] == ["up"] * 50
    assert HostState.BACKING_OFF not in [state for _, state, _ in watched.changes]
    assert sum(server.log().count("Accepted publickey") for server in servers) == 50
    assert not any("MaxStartups" in server.log() for server in servers)


@pytest.mark.slow
async def test_a_server_that_takes_one_login_at_a_time_gets_them_one_after_the_other(ssh_hosts, far_fleet, python):
    server = ssh_hosts.start("MaxStartups 1:100:1")
    hosts = [server.config(name=f"db{n}", deploy="none", python=python) for n in range(5)]
    watched = far_fleet(*hosts, timing=Timing(connect=10, prepare=10, ping=0.2, lease=5, first_wait=0.3, grace=2))
    await watched.until(lambda: up(watched) == 5)
    assert server.log().count("Accepted publickey") == 5


# ---- bad ones among good ones


async def serve_nothing(kind: str) -> asyncio.Server:
    """A port of 127.0.0.9 where something listens that is no host."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "not SSH":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
        if kind != "silent":
            writer.close()
            return
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                pass
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.9", 0)


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


@pytest.mark.slow
async def test_hosts_that_are_none_keep_nobody_waiting_and_say_what_they_do(ssh_hosts, far_fleet, python, hasty):
    """Refused, silent, hanging up, speaking something else: tried again, then set aside; the good one is at work."""
    good = ssh_hosts.start().config(deploy="none", python=python, name="good")
    servers = {kind: await serve_nothing(kind) for kind in ("silent", "drops", "not SSH")}
    ports = {kind: port_of(server) for kind, server in servers.items()}
    with socket.socket() as unused:
        unused.bind(("127.0.0.9", 0))
        ports["refused"] = unused.getsockname()[1]
        bad = [
            HostConfig(name=kind.replace(" ", "-"), launcher="ssh", address="127.0.0.9", port=port, user="u")
            for kind, port in ports.items()
        ]
        watched = far_fleet(*bad, good, timing=Timing(ping=0.2, lease=2, first_wait=0.01, grace=1))
        await watched.until(lambda: "up" in watched.said("good-1"))
        assert watched.state("good") == "up"
        await watched.until(lambda: all(watched.state(host.name) == "set aside" for host in bad))
    assert watched.state("good") == "up"
    assert {end.kind for client, _, end, _ in watched.ends if client != "good-1"} == {EndKind.VANISHED}
    tries = [host for host, state, _ in watched.changes if state is HostState.CONNECTING]
    assert {tries.count(host.name) for host in bad} == {6}
    assert f"u@127.0.0.9:{ports['refused']}: connect: Connection refused" in watched.reason("refused")
    assert "no end of phase 'login' within 1 s" in watched.reason("silent")
    assert "it is no SSH server" in watched.reason("drops")
    assert "it is no SSH server" in watched.reason("not-SSH")
    for server in servers.values():
        server.close()


async def test_a_host_that_dies_whole_is_set_aside_and_the_others_go_on(ssh_hosts, far_fleet, python):
    hosts = [ssh_hosts.start() for _ in range(3)]
    watched = far_fleet(*(host.config(deploy="none", python=python, clients=2) for host in hosts))
    await watched.until(lambda: up(watched) == 6)
    dying = hosts[1]
    dying.server.kill()
    kill(*dying.sessions(), *dying.processes())
    await watched.until(lambda: watched.state(dying.name) == "set aside")
    assert "connect: Connection refused" in watched.reason(dying.name)
    assert {host for _, host, _, again in watched.ends if not again} == {dying.name}
    assert {row.state for row in watched.fleet.hosts() if row.name != dying.name} == {"up"}
    assert up(watched) == 6
    assert watched.fleet.reconnect(dying.name)
    await watched.until(lambda: watched.state(dying.name) == "connecting")


# ---- deaths


async def test_a_killed_agent_takes_its_clients_along_and_all_come_back(ssh_hosts, far_fleet, python):
    host = ssh_hosts.start()
    watched = far_fleet(host.config(deploy="none", python=python, clients=2))
    await watched.until(lambda: up(watched) == 2)
    clients = [process.pid for process in watched.fleet.processes()]
    parent = int(Path(f"/proc/{clients[0]}/stat").read_text().rpartition(")")[2].split()[1])
    kill(parent)
    await watched.until(lambda: up(watched) == 4)
    assert not any(pid in host.processes() for pid in clients)
    assert host.log().count("Accepted publickey") == 2
    assert (host.name, HostState.BACKING_OFF) in [change[:2] for change in watched.changes]


async def test_a_killed_session_of_the_server_ends_what_runs_in_it_and_all_come_back(ssh_hosts, far_fleet, python):
    host = ssh_hosts.start()
    watched = far_fleet(host.config(deploy="none", python=python, clients=2))
    await watched.until(lambda: up(watched) == 2)
    clients = [process.pid for process in watched.fleet.processes()]
    kill(*(set(host.sessions()) - set(host.processes())))
    await watched.until(lambda: up(watched) == 4)
    assert not any(pid in host.processes() for pid in clients)
    assert any(re.search(LOST, reason) for _, state, reason in watched.changes if state is HostState.BACKING_OFF)


async def test_a_jump_host_that_dies_takes_down_all_behind_it_and_they_come_back_with_it(
    ssh_hosts, far_fleet, python
):
    jump, *hosts = (ssh_hosts.start() for _ in range(4))
    way = f"{jump.user}@{jump.address}:{jump.port}"
    watched = far_fleet(*(host.config(deploy="none", python=python, jump=way) for host in hosts))
    await watched.until(lambda: up(watched) == 3)
    assert jump.log().count("Accepted publickey") == 1
    kill(*jump.sessions())
    await watched.until(lambda: up(watched) == 6)
    assert jump.log().count("Accepted publickey") == 2
    backed_off = {host: reason for host, state, reason in watched.changes if state is HostState.BACKING_OFF}
    assert backed_off.keys() == {host.name for host in hosts}
    assert all(re.fullmatch(f"jump host {re.escape(way)}: {LOST}", reason) for reason in backed_off.values())


@pytest.mark.slow
async def test_24_hosts_behind_one_jump_host_and_one_behind_two(ssh_hosts, far_fleet, python):
    jump, second, host = (ssh_hosts.start() for _ in range(3))
    way = f"{jump.user}@{jump.address}:{jump.port}"
    longer = f"{way},{second.user}@{second.address}:{second.port}"
    names = [(f"db{n:02}", way) for n in range(24)] + [("far", longer)]
    watched = far_fleet(
        *(host.config(name=name, deploy="none", python=python, jump=jump) for name, jump in names),
        timing=Timing(connect=60, prepare=60, ping=1, lease=30, first_wait=0.5, grace=5),
    )
    await watched.until(lambda: up(watched) == 25, patience=60)
    assert HostState.BACKING_OFF not in [state for _, state, _ in watched.changes]
    assert [at.log().count("Accepted publickey") for at in (jump, second, host)] == [1, 1, 25]


# ---- odd hosts


async def set_aside(watched: Any, host: Any) -> str:
    """What the host is set aside for, at the first try; its clients are told not to come."""
    await watched.until(lambda: watched.state(host.name) == "set aside")
    assert [change[1] for change in watched.changes if change[0] == host.name] == ["connecting", "set aside"]
    assert [(client, again) for client, _, _, again in watched.ends] == [(f"{host.name}-1", False)]
    return watched.reason(host.name)


async def test_a_shell_that_talks_spoils_nothing(ssh_hosts, far_fleet, far_python):
    host = ssh_hosts.start()
    (host.home / ".bashrc").write_text("echo 'Welcome to db1!'\nprintf 'no newline, {\"is\":'\necho a warning >&2\n")
    watched = far_fleet(host.config(deploy="none", python=far_python(SPEAKS)))
    await watched.until(lambda: watched.said(f"{host.name}-1") != [])
    assert watched.said(f"{host.name}-1") == [f"token secret-token {host.home}/.dgconsole/run/{host.name}-1"]


async def test_a_host_without_the_python_is_set_aside(ssh_hosts, far_fleet):
    host = ssh_hosts.start()
    watched = far_fleet(host.config(deploy="none", python="python3.99"))
    reason = await set_aside(watched, host)
    assert "python3.99" in reason
    assert "not found" in reason
    assert "Set 'python'" in reason


@pytest.mark.parametrize("deploy", ["none", "venv"])
async def test_a_host_that_runs_another_command_is_set_aside_with_what_it_said(ssh_hosts, far_fleet, deploy):
    host = ssh_hosts.start("ForceCommand echo this account is for backups only")
    watched = far_fleet(host.config(deploy=deploy))
    reason = await set_aside(watched, host)
    assert "this account is for backups only" in reason


async def test_a_setup_line_that_fails_is_named_with_what_it_said(ssh_hosts, far_fleet, python):
    host = ssh_hosts.start()
    setup = ("export A=1", "echo the stack is away >&2; . /nowhere/loadLSST.bash")
    watched = far_fleet(host.config(deploy="none", python=python, setup=setup))
    reason = await set_aside(watched, host)
    assert "the stack is away" in reason
    assert "/nowhere/loadLSST.bash: No such file" in reason
    assert "line 2 failed" in reason
    assert f"hosts.{host.name}.setup" in reason


@pytest.mark.parametrize("words", ["DisableForwarding yes", "AllowTcpForwarding no\nAllowStreamLocalForwarding no"])
async def test_a_host_that_forbids_the_way_back_is_set_aside_with_what_helps(ssh_hosts, far_fleet, python, words):
    host = ssh_hosts.start(words)
    watched = far_fleet(host.config(deploy="none", python=python))
    reason = await set_aside(watched, host)
    assert "forbids forwards" in reason
    assert "AllowTcpForwarding" in reason
    assert f"hosts.{host.name}.connect: direct" in reason


@pytest.mark.parametrize("words", ["PermitListen none", "AllowStreamLocalForwarding no"])
async def test_one_of_two_ways_back_is_enough(ssh_hosts, far_fleet, python, words):
    host = ssh_hosts.start(words)
    watched = far_fleet(host.config(deploy="none", python=python))
    await watched.until(lambda: up(watched) == 1)


async def test_a_workdir_that_may_not_be_written_is_told_and_not_tried_for_ever(ssh_hosts, far_fleet, python, need):
    need(os.getuid() == 0, "needs a user other than root on the host")
    host, good = ssh_hosts.start(), ssh_hosts.start()
    place = host.folder / "read-only"
    place.mkdir(mode=0o755)
    watched = far_fleet(
        host.config(deploy="none", python=python, workdir=str(place)), good.config(deploy="none", python=python)
    )
    await watched.until(lambda: bool(watched.ends) and up(watched) == 1)
    ((client, _, end, again),) = watched.ends
    assert (client, end.kind, again) == (f"{host.name}-1", EndKind.GAVE_UP, False)
    assert end.text == f"{place}/{host.name}-1: Permission denied"


async def test_clients_of_root_end_though_its_server_passes_no_signals(ssh_hosts, far_fleet, far_python, need):
    need(os.getuid() == 0, "needs a login as root")
    host = ssh_hosts.start("SetEnv DGCONSOLE_TEST=root")
    python = far_python(DEAF)
    watched = far_fleet(host.config(user="root", deploy="none", python=python, clients=2, workdir=str(host.home)))
    await watched.until(lambda: up(watched) == 2)
    pids = [process.pid for process in watched.fleet.processes()]
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in pids} == {0}
    watched.fleet.kill_client(f"{host.name}-1")
    await watched.until(lambda: up(watched) == 3)
    pids += [process.pid for process in watched.fleet.processes()]
    await watched.fleet.stop(0.3)
    assert not any(map(runs, pids))


async def test_two_consoles_on_one_host_do_not_touch_each_other(ssh_hosts, far_fleet, python):
    host = ssh_hosts.start()
    first = far_fleet(host.config(deploy="none", python=python, clients=2))
    second = far_fleet(host.config(deploy="none", python=python, clients=2, workdir="~/other"))
    await first.until(lambda: up(first) == 2)
    await second.until(lambda: up(second) == 2)
    await first.fleet.stop(1.0)
    assert [process.running for process in second.fleet.processes()] == [True, True]
    assert second.ends == []
    pids = {process.pid for process in second.fleet.processes()}
    assert pids <= set(host.processes())
