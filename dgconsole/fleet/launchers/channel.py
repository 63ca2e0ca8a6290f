"""The protocol of a launcher: it opens a two-way byte channel to a Python that waits for the agent's source."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from dgconsole.settings.structs import HostConfig


class Channel(Protocol):
    """A running remote (or local) Python with its three streams."""

    def write(self, data: bytes) -> None:
        """Queue bytes for its stdin; silently nothing once it is gone."""

    async def read(self) -> bytes:
        """The next bytes of its stdout; empty at the end."""

    async def noise(self) -> str:
        """What it said on stderr, once it has ended."""

    async def close(self) -> None:
        """Close its stdin and wait until it has ended."""

    def kill(self) -> None:
        """End it now."""


Launcher = Callable[[HostConfig, tuple[str, ...]], Awaitable[Channel]]
"""Runs an argument vector on a host (HostError when it cannot be reached)."""
