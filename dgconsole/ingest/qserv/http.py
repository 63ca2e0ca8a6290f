"""HTTP as Qserv's services want it: JSON both ways, exact headers, time limits, and no call sent twice by itself."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import ClientTimeout
from msgspec import Struct
from yarl import URL

from dgconsole.ingest.keepalive import keep_watch
from dgconsole.ingest.qserv.failures import LostError, RefusedError, UnauthorizedError, UnreachableError

Answer = dict[str, Any]

LARGEST_ANSWER = 256 << 20
"""Bytes: a list of all transactions with their contexts is the largest that is asked for."""

LONGEST_TEXT = 600

WRONG_KEY = "failed to pass authorization requirements"
"""How the text of a refusal begins where the key is at fault."""


class Limits(Struct, frozen=True):
    """Time limits in seconds; None: as long as it takes."""

    connect: float = 10.0
    answer: float = 60.0
    """For calls that only look something up or note it."""
    stall: float = 60.0
    """Without a byte of an upload taken."""
    load: float = 300.0
    """From an upload's last byte to its answer; a second more for each MB."""
    waits: Sequence[float] = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
    """Before each further try of a call that may be repeated."""
    poll: float = 1.0
    """Between two looks at something that Qserv is doing; it grows to ten times that."""
    stuck: float = 3600.0
    """How long a transaction may stay in a passing state when nobody waits for its answer any more."""
    leftover: float = 300.0
    """How long one of an earlier session may."""
    outage: float = 600.0
    """How long nobody may answer while a transaction is looked up."""


DEFAULT_LIMITS = Limits()


class _BrokenError(Exception):
    """A connection broke after the request began; aiohttp answers errors of its own class by sending it again."""


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends GET, PUT and DELETE again when the connection drops without an answer: not for us."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenError(str(error) or type(error).__name__) from error


class Http:
    """Connections to one Qserv: a small pool for what may be repeated, a new one for each call that may not.

    Parameters
    ----------
    key
        The authorization key; it is put into bodies here, and taken out of every text that leaves.
    """

    def __init__(self, key: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self._key = key
        self.limits = limits
        self._pooled = _session(limit=8, limit_per_host=4, keepalive_timeout=4.0)
        self._fresh = _session(limit=0, force_close=True)

    async def __aenter__(self) -> "Http":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._pooled.close()
        await self._fresh.close()

    async def get(self, url: URL, body: Mapping[str, object] | None = None, *, tries: int | None = None) -> Answer:
        """Look something up; repeated where it fails, at most ``tries`` times."""
        return await self._repeated("GET", url, body, self.limits.waits[:tries], lost_too=True)

    async def call(
        self, method: str, url: URL, body: Mapping[str, object], *, repeat: bool = False, patient: bool = False
    ) -> Answer:
        """Have something done.

        Parameters
        ----------
        repeat
            It may be done twice, so a lost answer is asked for again.
        patient
            It may take hours: no limit for the answer.
        """
        keyed, waits = {**body, "auth_key": self._key}, self.limits.waits
        return await self._repeated(method, url, keyed, waits, lost_too=repeat, patient=patient)

    async def upload(self, url: URL, kind: str, size: int, body: AsyncIterator[bytes]) -> Answer:
        """POST ``size`` bytes of content type ``kind``, once; limits are the caller's."""
        headers = {"Content-Type": kind, "Content-Length": str(size)}
        return await self._send(self._fresh, "POST", url, body, headers, None)

    @property
    def key(self) -> str:
        """For the form of an upload, where it is a field."""
        return self._key

    def scrubbed(self, text: object) -> str:
        """A text of theirs as one line that may be shown."""
        line = " ".join(str(text).split())
        return (line.replace(self._key, "***") if self._key else line)[:LONGEST_TEXT]

    async def _repeated(
        self,
        method: str,
        url: URL,
        body: Mapping[str, object] | None,
        waits: Sequence[float],
        *,
        lost_too: bool,
        patient: bool = False,
    ) -> Answer:
        session = self._pooled if lost_too else self._fresh
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        read = None if patient else self.limits.answer
        for wait in waits:
            try:
                return await self._send(session, method, url, data, headers, read)
            except UnreachableError:
                await asyncio.sleep(wait)
            except LostError:
                if not lost_too:
                    raise
                await asyncio.sleep(wait)
        return await self._send(session, method, url, data, headers, read)

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        data: bytes | AsyncIterator[bytes] | None,
        headers: Mapping[str, str],
        read: float | None,
    ) -> Answer:
        """One request; the one place where aiohttp's errors become this room's."""
        timeout = ClientTimeout(total=None, sock_connect=self.limits.connect, sock_read=read)
        place = f"{url.host}:{url.port}"
        try:
            async with session.request(
                method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                text = await _read(response)
                status = response.status
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            reason = "no answer" if isinstance(error, TimeoutError) else self.scrubbed(_reason(error))
            raise UnreachableError(f"{place} cannot be reached: {reason}") from error
        except aiohttp.InvalidURL as error:
            raise UnreachableError(f"{place} is no address") from error
        except TimeoutError as error:
            raise LostError(f"{place} took {method} {url.path} and has not answered in time") from error
        except (_BrokenError, aiohttp.ClientError, OSError) as error:
            why = self.scrubbed(error) or type(error).__name__
            raise LostError(f"{place}: the connection broke during {method} {url.path} ({why})") from error
        return self._understood(method, url, status, text)

    def _understood(self, method: str, url: URL, status: int, text: bytes) -> Answer:
        place = f"{url.host}:{url.port}"
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("success") not in (0, 1):
            said = f"HTTP status {status}" if status != 200 else "something that is no answer of Qserv's"
            raise LostError(f"{place}: {method} {url.path} gave {said}")
        if not answer["success"]:
            ext = answer.get("error_ext")
            why = self.scrubbed(answer.get("error") or "no reason given")
            kind = UnauthorizedError if why.startswith(WRONG_KEY) else RefusedError
            raise kind(f"{place} refuses: {why}", ext if isinstance(ext, dict) else {}, status)
        if status != 200:
            raise LostError(f"{place}: {method} {url.path} gave HTTP status {status}")
        return answer


def _session(**pool: Any) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(socket_factory=_watched_socket, **pool)
    return aiohttp.ClientSession(
        connector=connector, middlewares=(_send_once,), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    )


def _watched_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    keep_watch(made)
    return made


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_chunked(1 << 18):
        parts.append(part)
        size += len(part)
        if size > LARGEST_ANSWER:
            raise aiohttp.ClientPayloadError("the answer is too large")
    return b"".join(parts)


def _reason(error: BaseException) -> object:
    """Why there is no connection, without what aiohttp adds."""
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number) if number is not None and number > 0 else error.os_error
    return error
