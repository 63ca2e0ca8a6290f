"""One connection to one host agent: start it, hear its hello, then orders out and events in."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import msgspec

from dgconsole.fleet.frames import (
    NOT_FOUND,
    TOO_OLD,
    AnyEvent,
    HelloAgent,
    Order,
    agent_source,
    bootstrap,
    decode,
    encode,
)
from dgconsole.fleet.launchers.channel import Channel, Connection
from dgconsole.support.errors import HostError

MOST_SHOWN = 300
"""Characters of a line of noise that are shown."""
ENDED_MEND = "See what its shell, or its SSH server (ForceCommand), runs there in place of a command."
PYTHON_MEND = "Set 'python' of that host in hosts.yml to a Python that clients run on; R tries again."
LEAST_PYTHON = (3, 8)
"""For the agent; its clients need a newer one, which setup lines may bring."""
MAX_NOISE = 64 * 1024
MAX_LINE = 64 * 1024 * 1024

T = TypeVar("T")


class AgentLink:
    """A running agent. ``hello`` is what it said of its host."""

    def __init__(self, channel: Channel, hello: HelloAgent, rest: bytes) -> None:
        self._channel = channel
        self._rest = rest
        self.hello = hello

    @classmethod
    async def open(cls, connection: Connection, python: str, *, lease: float, patience: float) -> "AgentLink":
        """Send the agent and wait for its hello; whatever a shell prints before it is passed over.

        HostError names the phase (start or hello) that failed or ran out of time; it is hopeless where ``python``
        cannot be run over there.
        """
        nonce = "dgconsole-agent-" + secrets.token_hex(16)
        argv = (python, "-u", "-c", bootstrap(LEAST_PYTHON), nonce, f"{lease:g}")
        channel = await _within(patience, "start", connection.run(argv))
        try:
            source = agent_source()
            channel.write(b"%d\n" % len(source) + source)
            hello, rest = await _within(patience, "hello", _hear_hello(channel, nonce.encode(), python))
        except BaseException:
            channel.kill()
            await channel.close()
            raise
        return cls(channel, hello, rest)

    def send(self, order: Order) -> None:
        self._channel.write(encode(order))

    async def events(self) -> AsyncIterator[tuple[AnyEvent, ...]]:
        """Events as they come, all of one read together; ends with the agent. HostError on a line that is none."""
        buffer = self._rest
        while True:
            *lines, buffer = buffer.split(b"\n")
            try:
                events = tuple(decode(line) for line in lines if line)
            except msgspec.DecodeError as error:
                raise HostError(f"the host agent said something that is no event: {error}") from error
            if events:
                yield events
            data = await self._channel.read()
            if not data:
                return
            buffer += data
            if len(buffer) > MAX_LINE:
                raise HostError("the host agent sent a line without end")

    async def noise(self) -> str:
        """What it said on stderr, once ``events`` have ended."""
        return await self._channel.noise()

    async def close(self, patience: float) -> None:
        """Close the agent's stdin, which ends it and its clients; kill it when that takes too long."""
        try:
            await asyncio.wait_for(self._channel.close(), patience)
        except TimeoutError:
            self._channel.kill()
            await self._channel.close()


async def _hear_hello(channel: Channel, nonce: bytes, python: str) -> tuple[HelloAgent, bytes]:
    noise = b""
    mark = b"\n" + nonce + b" "
    while True:
        data = await channel.read()
        noise += data
        start = noise.find(mark)
        end = noise.find(b"\n", start + len(mark)) if start >= 0 else -1
        if end >= 0:
            hello = decode(noise[start + len(mark) : end].strip())
            assert isinstance(hello, HelloAgent)
            return hello, noise[end + 1 :]
        if not data or len(noise) > MAX_NOISE:
            said = noise.decode("utf-8", "replace").split("\n")[:20]
            if not data:
                said.append(await channel.noise())
            text = "; ".join(part.strip()[:MOST_SHOWN] for part in said if part.strip()) or "nothing"
            status = None if data else await channel.wait()
            if status in (NOT_FOUND, TOO_OLD):
                raise HostError(f"{python} cannot be run: {text}", PYTHON_MEND, hopeless=True)
            of_its_own = bool(data) or (status is not None and status >= 0 and text != "nothing")
            mend = ENDED_MEND if of_its_own else ""
            raise HostError(f"no hello from the host agent; the host said: {text}", mend, hopeless=of_its_own)


async def _within(seconds: float, phase: str, doing: Awaitable[T]) -> T:
    try:
        return await asyncio.wait_for(doing, seconds)
    except TimeoutError:
        raise HostError(f"no end of phase {phase!r} within {seconds:g} s") from None
