"""One connection of a client: bytes to events and back, bounded, with every end accounted for; no decisions here."""

import asyncio
import socket
from collections.abc import Iterable, Iterator
from typing import Protocol, cast

from dgconsole.coordinator.receiving import Receiver
from dgconsole.support.errors import ChunkError, PeerError
from dgconsole.wire import messages as m
from dgconsole.wire.framing import FrameReader, encode
from dgconsole.wire.messages import PIECE, FromClient, FromCoordinator, Role
from dgconsole.wire.session import WireSession

_PARTING = 5.0
"""Seconds that a client has to read what it was sent last."""
_BACKLOG = 256
"""So many messages may wait for the core before the connection is not read from."""
_UNREAD = 8 << 20
"""So many bytes may wait for a client that does not read before its connection ends."""


class BundleItem(Protocol):
    """A file for the clients."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def data(self) -> bytes: ...


class Owner(Protocol):
    """What a connection tells the server."""

    def opened(self, peer: "Peer") -> None: ...

    def hello(self, peer: "Peer", message: m.Hello) -> None: ...

    def ready(self, peer: "Peer", message: m.Ready) -> None: ...

    def said(self, peer: "Peer", message: FromClient) -> None: ...

    def holds(self, peer: "Peer", chunk: int, attempt: int) -> bool: ...

    def undelivered(self, peer: "Peer", chunk: int, attempt: int, error: ChunkError) -> None: ...

    def trouble(self, text: str) -> None: ...

    def closed(self, peer: "Peer", how: str) -> None: ...


class Peer(asyncio.Protocol):
    """One connection, number ``number``. ``name`` is its client once the server knows it.

    ``keeps``: it was told to keep its files on its host.
    """

    def __init__(self, number: int, owner: Owner, hello_timeout: float) -> None:
        self.number = number
        self.name = ""
        self.keeps = False
        self._owner = owner
        self._reader = FrameReader(Role.COORDINATOR)
        self._session = WireSession(Role.COORDINATOR)
        self._hello_timeout = hello_timeout
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._family = socket.AF_UNSPEC
        self._writable = asyncio.Event()
        self._writable.set()
        self._backlog = 0
        self._paused = False
        self._receiver: Receiver | None = None
        self._heartbeat = 0.0
        self._ping = m.Ping(0, 0)
        self._came = False
        self._speaking: asyncio.TimerHandle | None = None
        self._how = ""

    # ---- asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._family = self._transport.get_extra_info("socket").family
        self._owner.opened(self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._hello_timeout, self.end, "said nothing")

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                self._session.received(message)
                self._receive(cast(FromClient, message))
                if self._how:
                    return
            if self._receiver is not None and self._reader.partial:
                self._file_data_came()
        except PeerError as error:
            self.end(str(error))

    def _receive(self, message: FromClient) -> None:
        if isinstance(message, m.Hello):
            if self._timer:
                self._timer.cancel()
            self._owner.hello(self, message)
        elif isinstance(message, m.Ready):
            self._owner.ready(self, message)
        elif isinstance(message, m.Ping):
            self._ping = message
            self.said(message)
        elif self._receiver is not None:
            self._receiver.put(message)
            self._look_whether_full()
            self._file_data_came()
        elif isinstance(message, m.FileBegin | m.FileData | m.FileEnd):
            raise PeerError("sent a file without having been asked for any")
        else:
            self.said(message)

    def handled(self) -> None:
        """One message that was passed on is dealt with."""
        self._backlog -= 1
        self._look_whether_full()

    def _look_whether_full(self) -> None:
        """Read on, or not, as those behind keep up or do not."""
        behind = self._receiver is not None and self._receiver.full
        full = behind or self._backlog >= _BACKLOG
        if full is self._paused or self._transport is None or self._transport.is_closing():
            return
        self._paused = full
        if full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _file_data_came(self) -> None:
        """The client is alive, though its heartbeat may have to wait for the end of a long message."""
        self._came = True
        if self._speaking is None:
            self._speak_later()

    def _speak_later(self) -> None:
        self._speaking = asyncio.get_running_loop().call_later(self._heartbeat, self._speak_for)

    def _speak_for(self) -> None:
        """Heartbeats lie behind files, unread where the disk is behind: nobody is to be taken for lost over that."""
        self._speaking = None
        if self._receiver is not None and (self._came or self._receiver.full) and self._transport is not None:
            self._came = False
            self.said(self._ping)
            self._speak_later()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        if self._speaking:
            self._speaking.cancel()
        self._transport = None
        self._writable.set()
        cut = "in the middle of a message" if self._reader.partial else ""
        killed = exc is None or isinstance(exc, ConnectionResetError | BrokenPipeError)
        lost = "connection lost" if killed else f"connection lost ({exc})"
        self._how = self._how or cut or lost
        if self._receiver is not None:
            self._receiver.end()
        else:
            self._owner.closed(self, self._how)

    # ---- the receiver's calls

    def holds(self, chunk: int, attempt: int) -> bool:
        return self._owner.holds(self, chunk, attempt)

    def said(self, message: FromClient) -> None:
        self._backlog += 1
        self._look_whether_full()
        self._owner.said(self, message)

    def undelivered(self, chunk: int, attempt: int, error: ChunkError) -> None:
        self._owner.undelivered(self, chunk, attempt, error)

    def trouble(self, text: str) -> None:
        self._owner.trouble(text)

    def room(self) -> None:
        self._look_whether_full()

    def broke_the_rules(self, text: str) -> None:
        self.end(text)

    # ---- the server's calls

    @property
    def how(self) -> str:
        """Why the connection ended, or is to end."""
        return self._how

    @property
    def over_network(self) -> bool:
        """Whether the other end may be on another machine."""
        return self._family != socket.AF_UNIX

    def collect(self, receiver: Receiver, heartbeat: float) -> None:
        """From here on what comes goes through ``receiver``; who made it calls ``closed`` when that has ended.

        ``heartbeat`` in seconds.
        """
        self._receiver, self._heartbeat = receiver, heartbeat

    def send(self, message: FromCoordinator) -> None:
        """Send, if the connection is there; one that does not read ends."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._session.sent(message)
        transport.write(encode(message))
        if transport.get_write_buffer_size() > _UNREAD:
            self.end("does not read what it is sent")
            transport.abort()

    async def send_bundle(self, items: Iterable[BundleItem]) -> None:
        """All files in pieces, at the speed at which the client reads, then BundleEnd."""
        for item in items:
            for piece in pieces(item):
                self.send(piece)
                await self._writable.wait()
        self.send(m.BundleEnd())

    def end(self, how: str) -> None:
        """Close the connection once what was sent is out; ``how`` is what ``closed`` will say."""
        self._how = self._how or how or "closed"
        if self._transport:
            self._transport.close()
            asyncio.get_running_loop().call_later(_PARTING, self.abort)

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport:
            self._transport.abort()


def pieces(item: BundleItem) -> Iterator[m.BundleFile]:
    """The messages that carry one file; an empty file is one empty piece."""
    count = max(1, -(-len(item.data) // PIECE))
    for k in range(count):
        data = item.data[k * PIECE : (k + 1) * PIECE]
        yield m.BundleFile(item.kind, item.name, data, last=k == count - 1)
