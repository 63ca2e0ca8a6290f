"""One client from its first connection to its end: signals, and trying again where that is wanted."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from dgconsole.client.address import Address
from dgconsole.client.edge import Edge, Log, Tools
from dgconsole.client.loop import GAVE_UP, Loop
from dgconsole.client.maker import ChunkMaker
from dgconsole.client.meter import Meter
from dgconsole.client.orders import Leave, Planned, Terminated
from dgconsole.client.parent import EndOfInput
from dgconsole.client.workdir import Workdir
from dgconsole.ingest.collect import Stream
from dgconsole.support.clock import SystemClock
from dgconsole.support.lastwords import last_line
from dgconsole.wire.messages import Hello

WANT = 10_000
"""Chunks to ask for at a time: the console decides how many that comes to."""

TRY_AGAIN = 5.0
"""Seconds between two tries to reach a console that was lost."""


class Life:
    """All connections of one client, one after the other."""

    def __init__(self, hello: Hello, address: Address, workdir: Workdir, log: Log, *, retry: bool) -> None:
        self._hello = hello
        self._address = address
        self._workdir = workdir
        self._log = log
        self._retry = retry
        self._why = ""
        self._edge: Edge | None = None
        self._terminated = asyncio.Event()
        self.stuck = False
        """Whether the worker's thread was still busy at the end; such a process must not wait for it."""

    def run(self, end: EndOfInput | None) -> int:
        """Live; returns the exit status. ``end`` is the watch over the stdin of a host agent's child."""
        return asyncio.run(self._live(end))

    async def _live(self, end: EndOfInput | None) -> int:
        self._listen(end)
        leave = await self._connect()
        while leave.again and self._retry and not self._terminated.is_set():
            self._log("WARNING", f"{leave.text}; trying again in {TRY_AGAIN:.0f} s")
            await self._pause()
            if not self._terminated.is_set():
                leave = await self._connect()
        status = GAVE_UP if self._terminated.is_set() and leave.again else leave.status
        self._log("INFO" if status == 0 else "ERROR", last_line(self._why or leave.text))
        self._listen_no_more()
        return status

    async def _connect(self) -> Leave:
        meter = Meter(SystemClock())
        tools = Tools(self._workdir, meter, partial(self._set_up, meter), SystemClock(), self._log)
        self._workdir.clear()
        self._edge = Edge(Loop(self._hello, WANT), tools)
        leave = await self._edge.run(self._address)
        self.stuck = self._edge.stuck
        return leave

    def _set_up(
        self, meter: Meter, stream: Stream | None, keep: str, secrets: Mapping[str, str]
    ) -> tuple[ChunkMaker, Planned]:
        """On the worker's thread: the heavy imports happen here, while the bundle's reader goes on."""
        from dgconsole.client.setup import set_up

        return set_up(self._workdir, meter, lambda text: self._log("WARNING", text), stream, keep, secrets)

    async def _pause(self) -> None:
        """Until it is time for the next try, the worker is free, and nobody wants the client gone."""
        assert self._edge is not None
        idle = asyncio.ensure_future(self._edge.idle())
        stop = asyncio.ensure_future(self._terminated.wait())
        await asyncio.wait((stop,), timeout=TRY_AGAIN)
        await asyncio.wait((stop, idle), return_when=asyncio.FIRST_COMPLETED)
        self.stuck = self._edge.stuck
        for task in (idle, stop):
            task.cancel()

    # ---- the end from outside

    def _listen(self, end: EndOfInput | None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._terminate, number.name)
        if end is None:
            loop.add_signal_handler(signal.SIGINT, self._terminate, "SIGINT")
        else:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            end.tell(partial(_soon, loop, partial(self._terminate, "its host agent is gone")))

    @staticmethod
    def _listen_no_more() -> None:
        """A signal ends the process now: a loop that closes has given up its descriptors before its handlers."""
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)

    def _terminate(self, why: str) -> None:
        self._why = why
        self._terminated.set()
        if self._edge is not None:
            self._edge.feed(Terminated(why))


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """From another thread; a loop that is closed already needs no word."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call)
