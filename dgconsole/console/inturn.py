"""Keys typed faster than they are dealt with: each waits until what the one before brought about is there."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from textual import events
from textual.message import Message

if TYPE_CHECKING:
    from textual.app import App

    _Base = App[Any]
else:
    _Base = object

PATIENCE = 0.5
"""Seconds after which the next key has its turn in any case."""


class KeyDone(Message):
    """Follows a key through the same queues, and so arrives at the application once the key was dealt with."""

    def __init__(self, turn: int) -> None:
        super().__init__()
        self.turn = turn


class InTurn(_Base):
    """For the application, named before Textual's own class.

    Textual gives every key at once to what has the focus then. Of keys that come in a burst the text after `/` would
    go to the list and not to the field that `/` opens, and an answer to what lies below the question.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._held: deque[events.Key] = deque()
        self._turn = 0
        self._limit: asyncio.TimerHandle | None = None

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
        elif self._limit is not None:
            self._held.append(event)
        else:
            await self._give(event)

    async def _give(self, key: events.Key) -> None:
        self._turn += 1
        self._limit = asyncio.get_running_loop().call_later(PATIENCE, self.call_later, self._go_on, self._turn)
        self._below, target = self.screen, self.focused or self.screen
        await super().on_event(key)
        target.post_message(KeyDone(self._turn))

    def on_key_done(self, done: KeyDone) -> None:
        done.stop()
        if self.screen is self._below:
            self.call_later(self._go_on, done.turn)  # the focus is set by such a call as well
        else:
            self.screen.call_after_refresh(self.call_later, self._go_on, done.turn)

    async def _go_on(self, turn: int) -> None:
        if turn != self._turn or self._limit is None:
            return
        self._limit.cancel()
        self._limit = None
        if self._held:
            await self._give(self._held.popleft())
