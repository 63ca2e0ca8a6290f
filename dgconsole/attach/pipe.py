"""Whole frames over a socket, both ways; big bodies are neither copied nor gathered in a buffer."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable
from typing import NamedTuple, TypeVar

from dgconsole.support.errors import PeerError

T = TypeVar("T")

_HEAD = 9
_PIECE = 1 << 18
"""Bytes handed to the system at a time; each piece that it takes is a sign of life of the reader."""


class Frame(NamedTuple):
    """See ``protocol``."""

    number: int
    kind: int
    body: bytes | bytearray


class Pipe:
    """One end of a connection. One task may receive; frames are sent one after the other, whoever sends them.

    Parameters
    ----------
    limit
        The longest frame taken, in bytes.
    patience
        Seconds that a frame once begun may stand still, either way; None: for ever.
    """

    def __init__(self, sock: socket.socket, *, limit: int, patience: float | None) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._limit = limit
        self._patience = patience
        self._sending = asyncio.Lock()

    async def receive(self, patience: float | None = None) -> Frame | None:
        """The next frame; None when the other end has gone between two frames.

        ``patience``: seconds to wait for its beginning; None: for ever. PeerError: cut, too long, too slow.
        """
        head = bytearray(_HEAD)
        got = await self._within(patience, asyncio.get_running_loop().sock_recv_into(self._sock, head))
        if not got:
            return None
        await self._fill(memoryview(head)[got:])
        length = int.from_bytes(head[:4], "big") - (_HEAD - 4)
        if not 0 <= length <= self._limit:
            raise PeerError("sent a frame of a length that is not taken")
        body = bytearray(length)
        await self._fill(memoryview(body))
        return Frame(int.from_bytes(head[4:8], "big"), head[8], bytes(body) if length < _PIECE else body)

    async def send(self, number: int, kind: int, body: bytes) -> None:
        """PeerError when the other end has gone, or takes nothing."""
        head = (len(body) + _HEAD - 4).to_bytes(4, "big") + number.to_bytes(4, "big") + bytes([kind])
        loop = asyncio.get_running_loop()
        async with self._sending:
            try:
                if len(body) < _PIECE:
                    await self._within(self._patience, loop.sock_sendall(self._sock, head + body))
                    return
                await self._within(self._patience, loop.sock_sendall(self._sock, head))
                with memoryview(body) as view:
                    for start in range(0, len(view), _PIECE):
                        piece = view[start : start + _PIECE]
                        await self._within(self._patience, loop.sock_sendall(self._sock, piece))
            except BaseException:
                self.shut()  # half a frame is of no use to anybody
                raise

    def shut(self) -> None:
        """Nothing more goes either way; whoever receives is told so."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Whoever still receives or sends must have been ended before."""
        self._sock.close()

    async def _fill(self, view: memoryview) -> None:
        loop = asyncio.get_running_loop()
        while len(view):
            got = await self._within(self._patience, loop.sock_recv_into(self._sock, view))
            if not got:
                raise PeerError("went away in the middle of a frame")
            view = view[got:]

    async def _within(self, patience: float | None, step: Awaitable[T]) -> T:
        try:
            return await asyncio.wait_for(step, patience)
        except TimeoutError as error:
            raise PeerError("stands still") from error
        except OSError as error:
            raise PeerError(f"went away ({error.strerror})") from error
