"""The worker's messages on their way: one at a time, and nobody waits for ever."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dgconsole.client.outflow import Outflow
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.wire.framing import encode
from dgconsole.wire.messages import FileData, Message

PIECE = FileData(bytes(1 << 18))


class End(asyncio.Protocol):
    """The client's end of a connection whose other end reads when it is told to."""

    def __init__(self) -> None:
        self.outflow = Outflow(self.write)
        self.most = 0
        self.count = 0
        self.filled = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.outflow.opened(transport)

    def write(self, message: Message) -> None:
        self.transport.write(encode(message))
        self.count += 1
        self.most = max(self.most, self.transport.get_write_buffer_size())

    def pause_writing(self) -> None:
        self.outflow.full()
        self.filled.set()

    def resume_writing(self) -> None:
        self.outflow.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        self.outflow.close()


class Reader(asyncio.Protocol):
    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()
        self.begun.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


@pytest.fixture(params=["unix", "tcp"])
async def ends(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[End, Reader]]:
    loop = asyncio.get_running_loop()
    reader = Reader()
    if request.param == "unix":
        server = await loop.create_unix_server(lambda: reader, tmp_path / "s")
        _, end = await loop.create_unix_connection(End, str(tmp_path / "s"))
    else:
        server = await loop.create_server(lambda: reader, "127.0.0.1", 0)
        _, end = await loop.create_connection(End, *server.sockets[0].getsockname())
    await reader.begun.wait()
    yield end, reader
    end.transport.abort()
    reader.transport.abort()
    await reader.ended.wait()
    server.close()
    await server.wait_closed()


def send_many(end: End, count: int) -> None:
    for _ in range(count):
        end.outflow.send(PIECE)


async def test_one_message_at_most_waits_for_a_slow_reader(ends: tuple[End, Reader]) -> None:
    end, reader = ends
    sending = asyncio.create_task(asyncio.to_thread(send_many, end, 100))
    await end.filled.wait()
    assert not sending.done()
    assert end.transport.get_write_buffer_size() <= len(encode(PIECE))
    reader.transport.resume_reading()
    await sending
    assert end.count == 100
    assert end.most <= len(encode(PIECE))


async def test_who_waits_is_told_when_nothing_more_is_to_be_sent(ends: tuple[End, Reader]) -> None:
    end, _ = ends
    sending = asyncio.create_task(asyncio.to_thread(send_many, end, 100))
    await end.filled.wait()
    end.outflow.close()
    with pytest.raises(ChunkError, match="abandoned") as caught:
        await sending
    assert caught.value.fault is Fault.STOPPED


async def test_a_connection_that_is_lost(ends: tuple[End, Reader]) -> None:
    end, reader = ends
    sending = asyncio.create_task(asyncio.to_thread(send_many, end, 100))
    await end.filled.wait()
    reader.transport.abort()
    with pytest.raises(ChunkError, match="abandoned"):
        await sending


def test_an_event_loop_that_has_ended() -> None:
    caught: list[ChunkError] = []
    started = threading.Event()

    def send(outflow: Outflow) -> None:
        started.set()
        try:
            outflow.send(PIECE)
        except ChunkError as error:
            caught.append(error)

    async def live() -> tuple[Outflow, threading.Thread]:
        outflow = Outflow(lambda message: None)  # no connection, so no room
        thread = threading.Thread(target=send, args=(outflow,))
        thread.start()
        await asyncio.to_thread(started.wait)
        return outflow, thread

    outflow, thread = asyncio.run(live())
    thread.join(10)
    send(outflow)
    assert [error.fault for error in caught] == [Fault.STOPPED] * 2
