"""What the screens know of a session, and when they may look less often."""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from dgconsole.console.feed import Feed


class Hands:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.at = 100.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


def test_it_is_quiet_while_only_clocks_go_on(scene: Callable[[str], Any]) -> None:
    session, clock = scene("running"), Hands()

    async def watch() -> None:
        feed = Feed(session, await session.snapshot(), clock)

        async def after(seconds: float) -> float:
            clock.at += seconds
            session.advance(seconds)
            session.clients = [replace(client, last_word=clock.at) for client in session.clients]
            await feed.pull()
            return feed.quiet

        assert await after(1.0) == 1.0
        assert await after(1.5) == 2.5
        session.complete(1)
        assert await after(1.0) == 0.0
        session.clients[3] = replace(session.clients[3], stage="deliver", fraction=0.5)
        assert await after(1.0) == 0.0
        session.log("console", "info", "a word")
        assert await after(1.0) == 0.0
        assert await after(1.0) == 1.0

    asyncio.run(watch())
