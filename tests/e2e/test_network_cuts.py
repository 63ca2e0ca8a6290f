"""Hosts with a network of their own whose cable is pulled in mid-run and put back; and what is open to a network."""

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dgconsole.fleet.launchers import ssh, sshconfig
from dgconsole.fleet.wiring import Timing
from dgconsole.session import Session, SessionOptions
from dgconsole.settings.hosts import load_hosts
from dgconsole.snapshot import HostRow, ReconnectHost

pytestmark = pytest.mark.slow

CHUNKS = [0, *range(39600, 39620), 57701, 57750, 57751]
TEXT = "0,39600:39619,57701,57750,57751"
GATED = 57701
LEASE, GRACE = 3.0, 2.0
QUICK = Timing(connect=10.0, prepare=60.0, ping=0.5, lease=LEASE, first_wait=0.1, grace=GRACE)


def test_a_short_cut_heals_by_itself(
    project: Any, far: Any, networks: Callable[[], Any], gates: Any, wait_until: Callable[..., None]
) -> None:
    """With the time limits that users have; nobody is blamed, nothing is started again."""
    network = networks()
    host = far.host(network=network)
    far.write()
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    wait_until(lambda: len(project.ledger.completed()) >= 3, "three chunks are made")
    network.cut()
    gates.open()
    time.sleep(4)  # the cut
    network.mend()
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert {row["attempts"] for row in project.report()} == {"1"}
    assert "backing off" not in project.console_log()
    assert host.log().count("Accepted publickey") == 1
    assert project.processes() == []


def test_nothing_is_left_45_s_after_a_cut() -> None:
    """By the time limits that users have: no word for a lease, TERM, KILL."""
    timing = Timing()
    assert timing.lease + timing.grace <= 40
    options = SessionOptions()
    assert options.lease <= timing.lease
    assert timing.lease > sshconfig.KEEPALIVE * (sshconfig.KEEPALIVE_COUNT + 1), "the console knows first"


@pytest.fixture
async def opened(project: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Any]]:
    """``await opened()``: a session of the project in this process, quick to see what is lost."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(sshconfig, "KEEPALIVE", 0.5)
    limits = ssh.Limits(connect=1.0)
    monkeypatch.setattr(ssh, "Limits", lambda: limits)
    sessions: list[Session] = []

    async def open_one() -> Session:
        options = SessionOptions(
            run_dir=Path("run"), chunks=TEXT, heartbeat=0.5, lease=LEASE, chunks_per_request=1, timing=QUICK
        )
        sessions.append(await Session.open(load_hosts(Path("hosts.yml")), Path("serverCfg.yml"), options))
        return sessions[-1]

    yield open_one
    for session in sessions:
        await session.close()


async def host_row(session: Session, name: str) -> HostRow:
    return next(row for row in (await session.snapshot()).hosts if row.name == name)


async def reaches(session: Session, name: str, state: str, patience: float = 30) -> HostRow:
    async with asyncio.timeout(patience):
        while (row := await host_row(session, name)).state != state:  # noqa: ASYNC110 - states are looked at
            await asyncio.sleep(0.02)
    return row


async def test_a_long_cut_and_back(
    project: Any,
    far: Any,
    networks: Callable[[], Any],
    gates: Any,
    ends: Any,
    opened: Callable[..., Any],
    wait_until: Callable[..., None],
) -> None:
    """The host is set aside, others make its chunks, nothing of ours stays on it; by key it is at work again."""
    project.clients(2)
    assert (await asyncio.to_thread(project.run, TEXT, "--run-dir", "here")).status == 0
    network = networks()
    cut, other = far.host(network=network, clients="1"), far.host(clients="2")
    far.write()
    first, middle = CHUNKS[:6], CHUNKS[12:16]
    gates.shut(*first, *middle)
    session = await opened()
    of_it = f"SELECT chunk FROM attempts JOIN clients USING (client) WHERE name = '{cut.name}-1'"
    await asyncio.to_thread(wait_until, lambda: project.ledger.ask(of_it), "the host has a chunk in hand")
    in_hand = [chunk for (chunk,) in project.ledger.ask(of_it)]
    over_there = cut.processes()
    assert len(over_there) == 2
    left = ends(over_there)
    network.cut()
    began = time.monotonic()
    await reaches(session, cut.name, "backing off")
    assert (await host_row(session, cut.name)).reason == "Server not responding to keepalive"
    await asyncio.to_thread(left.wait, LEASE + GRACE + 4)
    assert time.monotonic() - began > 1
    row = await reaches(session, cut.name, "set aside")
    assert re.search(r"no end of phase 'connect' within 1 s|connect: No route to host", row.reason)
    gates.open(*first)
    await asyncio.to_thread(
        wait_until, lambda: set(first) <= project.ledger.completed(), "the other host makes what was in hand"
    )
    for chunk in in_hand:
        assert [outcome for _, outcome in project.ledger.attempts(chunk)][-1] == "completed"
    assert ("lost",) in project.ledger.ask(of_it.replace("chunk", "outcome", 1))
    network.mend()
    assert (await session.command(ReconnectHost(cut.name))).ok
    at_work = f"{of_it} AND ended IS NULL"
    await asyncio.to_thread(wait_until, lambda: project.ledger.ask(at_work), "the host that is back is at work")
    assert (await host_row(session, cut.name)).state == "up"
    gates.open()
    async with asyncio.timeout(40):
        while (await session.snapshot()).exit_status is None:  # noqa: ASYNC110 - states are looked at
            await asyncio.sleep(0.05)
    assert (await session.snapshot()).exit_status == 0
    await session.close()
    project.assert_whole(CHUNKS)
    assert project.files() == project.files("here")
    assert project.ledger.ask(f"{of_it} AND outcome = 'completed'")
    assert project.processes() == []
    for host in (cut, other):
        assert list(host.home.rglob("chunk_*")) == []


async def test_a_cut_while_the_way_back_is_short_brings_the_host_back_by_itself(
    project: Any, far: Any, networks: Callable[[], Any], gates: Any, ends: Any, opened: Callable[..., Any]
) -> None:
    """One host alone: what was in hand is made again there, as soon as its old clients' lease is over."""
    network = networks()
    host = far.host(network=network)
    far.write(clients=1)
    gates.shut(CHUNKS[0])
    session = await opened()
    await asyncio.to_thread(gates.reached, CHUNKS[0])
    left = ends(host.processes())
    network.cut()
    await reaches(session, host.name, "backing off")
    network.mend()
    await reaches(session, host.name, "up")
    await asyncio.to_thread(left.wait, LEASE + GRACE + 4)
    gates.open()
    async with asyncio.timeout(40):
        while (await session.snapshot()).exit_status is None:  # noqa: ASYNC110 - states are looked at
            await asyncio.sleep(0.05)
    await session.close()
    project.assert_whole(CHUNKS)
    assert [outcome for _, outcome in project.ledger.attempts(CHUNKS[0])] == ["lost", "completed"]
    assert project.processes() == []


# ---- what is open


def listening(*inside: str) -> set[str]:
    """The TCP addresses where somebody listens, in a network."""
    told = subprocess.run([*inside, "ss", "-Htln"], capture_output=True, text=True, check=True).stdout
    return {line.split()[3] for line in told.splitlines()}


def ports_of(pids: list[int]) -> list[str]:
    told = subprocess.run(["ss", "-Htlnp"], capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if any(f"pid={pid}," in line for pid in pids)]


@pytest.mark.parametrize("words", ["", "AllowStreamLocalForwarding no"])
def test_no_port_is_open_to_the_network(
    project: Any, far: Any, networks: Callable[[], Any], gates: Any, words: str
) -> None:
    """Here none at all; on the host none, or one of its own loopback where sockets are forbidden."""
    network = networks()
    host = far.host(words, network=network)
    far.write()
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    assert ports_of([console.pid]) == []
    open_there = listening(*network.inside) - {f"{network.address}:{host.port}"}
    assert {address.rpartition(":")[0] for address in open_there} == ({"127.0.0.1"} if words else set())
    assert len(open_there) == bool(words)
    gates.open()
    assert console.end().status == 0
    project.assert_whole(CHUNKS)
    assert project.processes() == []
