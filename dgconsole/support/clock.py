"""Time as a value that is handed in: the machine's clock, or one that a test moves by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings: ``now`` for waits and leases, ``wall`` for what people and files are told."""

    def now(self) -> float:
        """Monotonic seconds."""

    def wall(self) -> float:
        """Seconds since the epoch, UTC."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


class ManualClock:
    """A clock that stands still until ``advance`` moves it."""

    def __init__(self, now: float = 0.0, wall: float = 1_700_000_000.0) -> None:
        self._now = now
        self._wall = wall

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        """Move both readings on."""
        self._now += seconds
        self._wall += seconds
