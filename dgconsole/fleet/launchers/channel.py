"""The protocols of a launcher: a connection to a host, and the two-way byte channel of a program there."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

from dgconsole.settings.structs import HostConfig


class Channel(Protocol):
    """A running program with its three streams."""

    def write(self, data: bytes) -> None:
        """Queue bytes for its stdin; silently nothing once it is gone."""

    async def read(self) -> bytes:
        """The next bytes of its stdout; empty at the end."""

    async def noise(self) -> str:
        """What it said on stderr, once it has ended."""

    async def wait(self) -> int | None:
        """Its exit status once it has ended, minus the signal that ended it; None where nobody knows.

        What is left on its stdout is thrown away.
        """

    async def close(self) -> None:
        """Close its stdin and wait until it has ended."""

    def kill(self) -> None:
        """End it now, or at least hear no more of it."""


class Connection(Protocol):
    """An open way to one host. Every call may raise HostError."""

    async def run(self, argv: tuple[str, ...]) -> Channel:
        """Start a program over there."""

    async def server_address(self, address: str) -> str:
        """Where clients over there find what listens here at ``address`` ("unix:PATH" or "HOST:PORT")."""

    async def put(self, source: Path, target: str) -> None:
        """Copy a file there; ``target`` (``~/`` is the home there) appears only when it is whole."""

    def read_log(self, path: str) -> AsyncGenerator[bytes, None]:
        """What a log over there holds by now: its older part (``path`` with ``.1``), if there is one, then itself."""

    def why_lost(self) -> str:
        """Why the connection ended by itself; empty while it lives."""

    async def close(self) -> None:
        """End the connection and what it forwards."""


Connect = Callable[[HostConfig], Awaitable[Connection]]
"""Opens the way to a host; HostError (hopeless where a retry would fail the same way) when there is none."""
