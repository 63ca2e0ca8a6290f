"""Calls of Qserv's services by themselves: sent once, sent again only where that is safe, errors told apart."""

import asyncio
from typing import Any

import pytest
from yarl import URL

from dgconsole.ingest.qserv.failures import LostError, RefusedError, UnreachableError
from dgconsole.ingest.qserv.http import Http, Limits

QUICK = Limits(connect=0.5, answer=0.3, waits=(0.01, 0.01), poll=0.01)


class Server:
    """Counts requests by method, reads each and answers with ``answer`` (None: drops the connection)."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.answer: bytes | None = None
        self.server: asyncio.Server | None = None

    async def __aenter__(self) -> "Server":
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.server is not None
        self.server.close()
        await self.server.wait_closed()

    @property
    def url(self) -> URL:
        assert self.server is not None
        return URL(f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/x")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.came.append(head.split(b" ")[0].decode())
                size = next(
                    (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), b":0"
                )
                await reader.readexactly(int(size.split(b":")[1]))
                if self.answer is None:
                    break
                writer.write(self.answer)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        writer.close()


def answer(text: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


@pytest.fixture
async def server() -> Any:
    async with Server() as made:
        yield made


@pytest.fixture
async def http() -> Any:
    async with Http("a-key", QUICK) as made:
        yield made


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_dropped_connection_does_not_send_anything_twice(server: Any, http: Any, method: str) -> None:
    """aiohttp by itself sends PUT and DELETE again, unasked: a second commit, a second abort."""
    with pytest.raises(LostError, match=f"the connection broke during {method} /x"):
        await http.call(method, server.url, {})
    assert server.came == [method]


async def test_not_on_a_connection_that_was_kept_either(server: Any, http: Any) -> None:
    server.answer = answer('{"success": 1}')
    await http.call("PUT", server.url, {}, repeat=True)
    server.answer = None
    with pytest.raises(LostError):
        await http.call("PUT", server.url, {})
    assert server.came == ["PUT", "PUT"]


async def test_look_ups_are_repeated_a_bounded_number_of_times(server: Any, http: Any) -> None:
    with pytest.raises(LostError):
        await http.get(server.url)
    assert server.came == ["GET"] * 3


async def test_a_call_that_may_be_repeated_is(server: Any, http: Any) -> None:
    with pytest.raises(LostError):
        await http.call("PUT", server.url, {}, repeat=True)
    assert server.came == ["PUT"] * 3


async def test_a_refused_connection_is_told_apart_and_tried_again(server: Any, http: Any) -> None:
    url = server.url
    server.server.close()
    await server.server.wait_closed()
    with pytest.raises(UnreachableError, match="cannot be reached: Connection refused"):
        await http.call("PUT", url, {})


@pytest.mark.parametrize(
    "reply",
    [
        answer("<html>Bad Gateway</html>", "502 Bad Gateway"),
        answer("It works!"),
        answer("[1]"),
        answer('{"no": "success"}'),
        answer('{"success": 1}', "500 Internal Server Error"),
        answer('{"success": 1}', "302 Found"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"not HTTP at all\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_lost(server: Any, http: Any, reply: bytes) -> None:
    server.answer = reply
    with pytest.raises(LostError):
        await http.call("PUT", server.url, {})
    assert server.came == ["PUT"]


async def test_an_answer_that_does_not_come(server: Any, http: Any) -> None:
    server.answer = b""
    with pytest.raises(LostError, match="has not answered in time"):
        await http.call("POST", server.url, {})


async def test_a_call_that_may_take_hours_waits(server: Any, http: Any) -> None:
    server.answer = b""
    waiting = asyncio.ensure_future(http.call("PUT", server.url, {}, patient=True))
    done, _ = await asyncio.wait([waiting], timeout=1.0)
    assert not done
    waiting.cancel()


async def test_a_refusal_carries_its_reasons_without_the_key(server: Any, http: Any) -> None:
    server.answer = answer(
        '{"success": 0, "error": "no: a-key is\\nwrong", "error_ext": {"min_version": 58, "max_version": 60}}'
    )
    with pytest.raises(RefusedError) as caught:
        await http.call("PUT", server.url, {})
    assert caught.value.text.endswith("refuses: no: *** is wrong")
    assert caught.value.versions == (58, 60)


async def test_a_retry_is_only_allowed_by_an_answer_of_status_200(server: Any, http: Any) -> None:
    text = '{"success": 0, "error": "x", "error_ext": {"retry_allowed": 1}}'
    for status, allowed in (("200 OK", True), ("400 Bad Request", False)):
        server.answer = answer(text, status)
        with pytest.raises(RefusedError) as caught:
            await http.call("POST", server.url, {})
        assert caught.value.retry_allowed is allowed


async def test_redirects_are_not_followed(server: Any, http: Any) -> None:
    server.answer = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(LostError, match="gave HTTP status 307"):
        await http.call("POST", server.url, {})
    assert server.came == ["POST"]
