"""Links that are slow, stand still, or are dead at one end only, by a relay between console and SSH server."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [*range(39600, 39612)]
TEXT = "39600:39611"
GATED = 39605
GONE = 10.0
PIECE = 16384


class Link:
    """One connection through the relay, with a stream at each end."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near, self.far = near, far


class Relay:
    """Leads to one port. ``delay`` seconds for each piece, none passes while ``flowing`` is not set."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self._tasks: set[asyncio.Task[None]] = set()
        self.links: list[Link] = []
        self.delay = 0.0
        self.flowing = asyncio.Event()
        self.flowing.set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._meet, "127.0.0.9", 0, limit=PIECE)
        return int(self._server.sockets[0].getsockname()[1])

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host.address, self._host.port, limit=PIECE)
        self.links.append(Link(writer, far_writer))
        for way in ((reader, far_writer), (far_reader, writer)):
            self._tasks.add(asyncio.create_task(self._pass_on(*way)))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(PIECE):
                await self.flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                if writer.is_closing():
                    return  # that end has gone, and the other one is not told
                writer.write(data)
                await writer.drain()
            await self.flowing.wait()
            writer.close()

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self.links:
            link.near.close()
            link.far.close()


@pytest.fixture
async def relayed(far: Any, ssh_hosts: Any) -> AsyncIterator[tuple[Any, Relay]]:
    """A host and the relay that the console finds it behind."""
    host = far.host()
    relay = Relay(host)
    port = await relay.start()
    far.lines[host.name] |= {"address": "127.0.0.9", "port": str(port)}
    with ssh_hosts.known_hosts.open("a") as known:
        known.write(f"[127.0.0.9]:{port} {host.public_key}\n")
    yield host, relay
    await relay.close()


async def test_a_slow_link_takes_time_and_nothing_else(project: Any, far: Any, relayed: tuple[Any, Relay]) -> None:
    """50 ms there and back, some 600 kB/s: the files take longer than heartbeats may wait."""
    project.clients(2)
    few = "39600:39605"
    assert (await asyncio.to_thread(project.run, few, "--run-dir", "here")).status == 0
    _, relay = relayed
    relay.delay = 0.025
    project.quicken(lease=5.0)
    far.write()
    ended = await asyncio.to_thread(project.run, few)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS[:6])
    assert project.files() == project.files("here")
    assert {row["attempts"] for row in project.report()} == {"1"}
    assert len(relay.links) == 1
    assert project.processes() == []


async def test_a_link_that_stands_still_for_a_while(
    project: Any, far: Any, gates: Any, relayed: tuple[Any, Relay]
) -> None:
    """Shorter than what counts as lost."""
    _, relay = relayed
    far.write()
    gates.shut(GATED)
    console = project.begin(TEXT)
    await asyncio.to_thread(gates.reached, GATED)
    relay.flowing.clear()
    gates.open()
    await asyncio.sleep(3)
    relay.flowing.set()
    ended = await asyncio.to_thread(console.end)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert {row["attempts"] for row in project.report()} == {"1"}
    assert len(relay.links) == 1
    assert project.processes() == []


@pytest.mark.parametrize("dead_end", ["both", "ours", "theirs"])
async def test_a_link_that_is_dead(
    project: Any, far: Any, gates: Any, ends: Any, wait_until: Any, relayed: tuple[Any, Relay], dead_end: str
) -> None:
    """It stands still for good; or one end has been closed and the other end hears nothing of that."""
    host, relay = relayed
    project.quicken()
    far.write()
    gates.shut(GATED)
    console = project.begin(TEXT)
    await asyncio.to_thread(gates.reached, GATED)
    over_there = host.processes()
    assert len(over_there) == 3
    left = ends(over_there)
    relay.flowing.clear()
    (link,) = relay.links
    if dead_end != "both":
        (link.near if dead_end == "ours" else link.far).transport.abort()
    await asyncio.to_thread(left.wait, GONE)
    await asyncio.to_thread(wait_until, lambda: "backing off: " in project.console_log(), "it is seen")
    gates.open()
    relay.flowing.set()
    ended = await asyncio.to_thread(console.end)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert len(relay.links) >= 2
    why = "Connection (reset by peer|lost)" if dead_end == "ours" else "Server not responding to keepalive"
    assert re.search(f"{host.name}: backing off: {why}", project.console_log())
    assert project.processes() == []
    assert host.processes() == []
