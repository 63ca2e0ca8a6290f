"""What one client sends, in order, where files are among it: files go to the disk, the rest to the core."""

import asyncio
from collections import deque
from concurrent.futures import Executor
from typing import Protocol, cast

from dgconsole.coordinator.incoming import Incoming
from dgconsole.support.errors import ChunkError, Fault, PeerError
from dgconsole.wire import messages as m
from dgconsole.wire.messages import FileMessage, FromClient

AHEAD = 1 << 20
"""So many bytes may wait for the disk before the connection is not read from."""

_FILES = (m.FileBegin, m.FileData, m.FileEnd)
_MESSAGE = 1000
"""What a message counts for, in bytes, beyond its data."""


class Wishes(Protocol):
    """What a receiver tells and asks; all on the event loop's thread."""

    def holds(self, chunk: int, attempt: int) -> bool:
        """Whether the client has this attempt in its hand."""

    def said(self, message: FromClient) -> None:
        """The next message for the core; files that it speaks of are whole and on disk."""

    def undelivered(self, chunk: int, attempt: int, error: ChunkError) -> None:
        """In place of Completed: the files are not there. DISK: for want of space here, say."""

    def trouble(self, text: str) -> None:
        """Files cannot be kept here now."""

    def room(self) -> None:
        """Something was dealt with: ``full`` may have become False."""

    def broke_the_rules(self, text: str) -> None:
        """The connection is to be ended."""


class Receiver:
    """One client's messages but its heartbeats, one after the other.

    A Completed comes after the files that were sent before it, as do all words behind it; so nothing
    that a client says can overtake its files.
    """

    def __init__(self, incoming: Incoming, wishes: Wishes, threads: Executor) -> None:
        self._incoming = incoming
        self._wishes = wishes
        self._threads = threads
        self._queue: deque[FromClient] = deque()
        self._waiting = 0
        self._news = asyncio.Event()
        self._gone = False
        self._broken = False

    @property
    def full(self) -> bool:
        """Whether the disk is behind: nothing more should be read."""
        return self._waiting > AHEAD

    def put(self, message: FromClient) -> None:
        self._queue.append(message)
        self._waiting += _weight(message)
        self._news.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._gone = True
        self._news.set()

    async def run(self) -> None:
        """Until ``end`` and all before it is dealt with; then nothing is left of files that nobody answers for."""
        loop = asyncio.get_running_loop()
        while not (self._gone and not self._queue):
            await self._news.wait()
            self._news.clear()
            while self._queue:
                await self._next()
                self._wishes.room()
        await loop.run_in_executor(self._threads, self._incoming.drop)

    async def _next(self) -> None:
        message = self._queue.popleft()
        group = [message]
        if isinstance(message, _FILES):
            while self._queue and isinstance(self._queue[0], m.FileData | m.FileEnd):
                group.append(self._queue.popleft())
        try:
            if not self._broken:
                await self._deal(message, group)
        except PeerError as error:
            self._broken = True
            self._wishes.broke_the_rules(str(error))
        self._waiting -= sum(map(_weight, group))

    async def _deal(self, message: FromClient, group: list[FromClient]) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(message, _FILES):
            held = isinstance(message, m.FileBegin) and self._wishes.holds(message.chunk, message.attempt)
            failure = await loop.run_in_executor(self._threads, self._take, group, held)
            if failure is not None and failure.fault is Fault.DISK:
                self._wishes.trouble(failure.text)
        elif isinstance(message, m.Completed):
            key = message.chunk, message.attempt
            if not self._wishes.holds(*key):
                await loop.run_in_executor(self._threads, self._incoming.drop, key)
                self._wishes.said(message)
                return
            failure = await loop.run_in_executor(self._threads, self._incoming.give, key, message.figures)
            if failure is None:
                self._wishes.said(message)
            else:
                self._wishes.undelivered(*key, failure)
        else:
            if isinstance(message, m.Failed):
                await loop.run_in_executor(self._threads, self._incoming.drop, (message.chunk, message.attempt))
            self._wishes.said(message)

    def _take(self, group: list[FromClient], held: bool) -> ChunkError | None:
        """In a thread."""
        failure = None
        for message in group:
            failure = self._incoming.take(cast(FileMessage, message), held=held) or failure
        return failure


def _weight(message: FromClient) -> int:
    return _MESSAGE + (len(message.data) if isinstance(message, m.FileData) else 0)
