"""The worker's way into the connection: one message at a time, each once the one before it is out."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import CancelledError

from dgconsole.support.errors import ChunkError, Fault
from dgconsole.wire.messages import Message

UNSENT = 1 << 17
"""Bytes that the kernel may hold of what it has not sent yet: they too are ahead of a heartbeat."""


class Outflow:
    """Carries what the worker's thread sends; heartbeats, which the loop sends itself, wait for one message at most.

    Parameters
    ----------
    write
        Sends one message; called on the event loop's thread.
    """

    def __init__(self, write: Callable[[Message], None]) -> None:
        self._write = write
        self._asyncio = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._closed = False

    def send(self, message: Message) -> None:
        """On the worker's thread: returns when the message is on its way; the console decides how long that takes.

        Raises
        ------
        ChunkError
            STOPPED: the connection is gone, or nothing more is to be sent.
        """
        work = self._send(message)
        try:
            going = asyncio.run_coroutine_threadsafe(work, self._asyncio)
        except RuntimeError:  # the event loop is closed already
            work.close()
            raise _stopped() from None
        try:
            going.result()
        except CancelledError:
            raise _stopped() from None

    async def _send(self, message: Message) -> None:
        await self._room.wait()
        if self._closed:
            raise _stopped()
        self._write(message)

    # ---- called on the event loop's thread

    def opened(self, transport: asyncio.Transport) -> None:
        """The connection stands: keep next to nothing of it in buffers."""
        transport.set_write_buffer_limits(high=0)
        connection = transport.get_extra_info("socket")
        unsent = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if unsent is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, unsent, UNSENT)
        self._room.set()

    def full(self) -> None:
        """Something waits to be sent."""
        self._room.clear()

    def drained(self) -> None:
        """All is out."""
        self._room.set()

    def close(self) -> None:
        """Nothing more is to be sent; whoever waits is told so."""
        self._closed = True
        self._room.set()


def _stopped() -> ChunkError:
    return ChunkError(Fault.STOPPED, "abandoned")
