"""The edge of a client's loop: a socket, a timer and the worker; orders become deeds, results events."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from dgconsole.client.address import Address
from dgconsole.client.bundle import BundleStore
from dgconsole.client.keeper import Keeper
from dgconsole.client.loop import PATIENCE, Loop
from dgconsole.client.maker import ChunkMaker
from dgconsole.client.meter import Meter
from dgconsole.client.orders import (
    Abandon,
    Arrived,
    Closed,
    Discard,
    Event,
    Expect,
    KeepFiles,
    KeptFiles,
    Leave,
    Make,
    Opened,
    Order,
    Planned,
    Prepare,
    Say,
    Send,
    Store,
    Tick,
    Unprepared,
)
from dgconsole.client.outflow import Outflow
from dgconsole.client.rules import blame
from dgconsole.client.workdir import Workdir
from dgconsole.client.worker import Worker
from dgconsole.ingest.collect import Stream
from dgconsole.support.clock import Clock
from dgconsole.support.errors import PeerError
from dgconsole.wire.framing import FrameReader, encode
from dgconsole.wire.messages import FileMessage, Message, Role
from dgconsole.wire.session import WireSession

LINGER = 1.0
"""Seconds to wait for the console to close its end after the last word."""

LET_GO = 1.5
"""Seconds that an abandoned chunk has to come to its next batch."""

Log = Callable[[str, str], None]
Setup = Callable[[Stream | None, str, Mapping[str, str]], tuple[ChunkMaker, Planned]]


@dataclass(frozen=True, slots=True)
class Tools:
    """What an edge works with. ``setup`` builds plan and maker from the stored bundle.

    It is given the way by which the chunks' files are to be sent, where they are, the folder where they stay
    on this host, if they do, and the destination's secrets.
    """

    workdir: Workdir
    meter: Meter
    setup: Setup
    clock: Clock
    log: Log


class Edge(asyncio.Protocol):
    """One connection; everything but chunk work happens on the event loop's thread, one event after the other."""

    def __init__(self, loop: Loop, tools: Tools) -> None:
        self._loop = loop
        self._tools = tools
        self._asyncio = asyncio.get_running_loop()
        self._worker = Worker(tools.workdir, tools.meter, self._post)
        self._keeper = Keeper(self._worker.keep, self._post_kept)
        self._store = BundleStore(tools.workdir.bundle)
        self._wire = WireSession(Role.CLIENT)
        self._frames = FrameReader(Role.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._outflow = Outflow(self._write)
        self._closed = asyncio.Event()
        self._closed.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.TimerHandle | None = None
        self._events: deque[Event] = deque()
        self._feeding = False
        self._abandoned: Abandon | None = None
        self._leave: asyncio.Future[Leave] = self._asyncio.create_future()

    async def run(self, address: Address) -> Leave:
        """Connect and live until the loop leaves; afterwards ``stuck`` tells whether the worker is still busy."""
        connecting = self._asyncio.create_task(self._connect(address))
        leave = await self._leave
        connecting.cancel()
        await self._close()
        await self._let_go()
        return leave

    @property
    def stuck(self) -> bool:
        """Whether a chunk or the plan is still being worked at."""
        return not self._idle.is_set()

    async def idle(self) -> None:
        """Wait until the worker has come to an end."""
        await self._idle.wait()

    def feed(self, event: Event) -> None:
        """Take one event, and all that follow from it, in order."""
        self._events.append(event)
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._events:
                for order in self._loop.handle(self._events.popleft(), self._tools.clock.now()):
                    self._do(order)
        finally:
            self._feeding = False
        self._arm()

    # ---- the connection

    async def _connect(self, address: Address) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                if address.path:
                    await self._asyncio.create_unix_connection(lambda: self, address.path)
                else:
                    await self._asyncio.create_connection(lambda: self, address.host, address.port)
        except OSError as error:
            why = error.strerror or str(error) or f"no answer in {PATIENCE:.0f} s"
            self.feed(Closed(f"cannot connect to {address}: {why}"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._outflow.opened(transport)
        self._closed.clear()
        self.feed(Opened())

    def pause_writing(self) -> None:
        self._outflow.full()

    def resume_writing(self) -> None:
        self._outflow.drained()

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._wire.received(message)
                self.feed(Arrived(message))
        except PeerError as error:
            self.feed(Closed(f"it broke the rules: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()
        self._outflow.close()
        self.feed(Closed(str(exc) if exc is not None else "the connection was closed"))

    async def _close(self) -> None:
        """Say that nothing more comes, and let the console read to the end before the connection goes."""
        if self._transport is None or self._closed.is_set():
            return
        if not self._transport.is_closing():
            self._transport.write_eof()
        try:
            async with asyncio.timeout(LINGER):
                await self._closed.wait()
        except TimeoutError:
            self._transport.abort()

    # ---- the worker

    def _post(self, event: Event) -> None:
        """Called on the worker's thread."""
        with suppress(RuntimeError):  # the event loop is closed already: nobody waits for this any more
            self._asyncio.call_soon_threadsafe(self._worker_ended, event)

    def _post_kept(self, event: KeptFiles) -> None:
        """Called on the keeper's thread."""
        with suppress(RuntimeError):  # the event loop is closed already
            self._asyncio.call_soon_threadsafe(self.feed, event)

    def _worker_ended(self, event: Event) -> None:
        self._idle.set()
        self.feed(event)

    async def _let_go(self) -> None:
        """Leave nothing of an abandoned chunk, even where its thread does not stop in time."""
        self._worker.close()
        self._store.close()
        if self.stuck:
            try:
                async with asyncio.timeout(LET_GO):
                    await self._idle.wait()
            except TimeoutError:
                self._tools.log("WARNING", "the chunk in hand does not stop; leaving without it")
        if self._abandoned is not None:
            self._worker.discard(self._abandoned.chunk, self._abandoned.attempt)
        if self._keeper.close(LET_GO) and not self.stuck:
            self._worker.leave()

    # ---- orders

    def _do(self, order: Order) -> None:
        if isinstance(order, Send):
            self._write(order.message)
        elif isinstance(order, Expect):
            self._worker.expect(order.chunks)
        elif isinstance(order, Make):
            self._idle.clear()
            self._worker.make(order.chunk, order.attempt, order.transaction)
        elif isinstance(order, Store):
            self._keep(order)
        elif isinstance(order, Prepare):
            self._idle.clear()
            stream = self._stream if order.collect else None
            self._worker.prepare(partial(self._tools.setup, stream, order.keep, order.secrets))
        elif isinstance(order, Abandon):
            self._abandoned = order
            self._outflow.close()
            self._worker.stop()
        elif isinstance(order, KeepFiles):
            self._keeper.keep(order.chunk, order.attempt)
        elif isinstance(order, Discard):
            self._worker.discard(order.chunk, order.attempt)
        elif isinstance(order, Say):
            self._tools.log(order.level, order.text)
        elif isinstance(order, Leave):
            self._leave.set_result(order)

    def _write(self, message: Message) -> None:
        assert self._transport is not None
        self._wire.sent(message)
        self._transport.write(encode(message))

    def _stream(self, message: FileMessage) -> None:
        """Called on the worker's thread."""
        self._outflow.send(message)
        self._tools.meter.beat()

    def _keep(self, order: Store) -> None:
        try:
            self._store.add(order.piece)
        except PeerError as error:
            self._events.append(Closed(f"it broke the rules: {error}"))
        except OSError as error:
            mine = blame(error, "partition", self._tools.workdir.path)
            self._events.append(Unprepared(mine.fault, mine.text))

    # ---- time

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._leave.done():
            self._timer = self._asyncio.call_later(self._loop.wait(self._tools.clock.now()), self._tick)

    def _tick(self) -> None:
        self.feed(Tick(self._tools.meter.read()))
