"""Questions that only a person can answer: the open ones, and what was answered, kept in memory alone."""

import asyncio
from collections.abc import Awaitable, Callable

from dgconsole.snapshot import Question

MOST_TEXT = 2000
"""Characters of a question; servers may say what they like."""


class Asker:
    """The open questions of a session. ``changed`` is called when there is one more or one less."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._open: dict[int, tuple[Question, asyncio.Future[str | None]]] = {}
        self._last = 0
        self._closed = False

    @property
    def questions(self) -> tuple[Question, ...]:
        """What is asked at this moment, the oldest first."""
        return tuple(question for question, _ in self._open.values())

    async def ask(self, host: str, text: str, *, secret: bool = True) -> str | None:
        """Wait for a person's answer; None: there will be none. Who stops waiting takes the question back."""
        if self._closed:
            return None
        self._last += 1
        number = self._last
        question = Question(number=number, host=host, text=text[:MOST_TEXT], secret=secret)
        answered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._open[number] = question, answered
        self._changed()
        try:
            return await answered
        finally:
            del self._open[number]
            self._changed()

    def answer(self, number: int, text: str | None) -> bool:
        """Answer a question; whether it was still open."""
        _, answered = self._open.get(number, (None, None))
        if answered is None or answered.done():
            return False
        answered.set_result(text)
        return True

    def close(self) -> None:
        """Nobody is there any more: open questions and later ones get no answer."""
        self._closed = True
        for number in tuple(self._open):
            self.answer(number, None)


class Secrets:
    """What a person has told, by name, as long as the session lives. All who want one at a time ask together."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._learning: dict[str, tuple[asyncio.Task[str], list[None]]] = {}

    def known(self, name: str) -> str | None:
        return self._known.get(name)

    def keep(self, name: str, text: str) -> None:
        self._known[name] = text

    def forget(self, name: str, text: str) -> None:
        """``text`` is not right (any more); another that came meanwhile stays."""
        if self._known.get(name) == text:
            del self._known[name]

    async def learn(self, name: str, asking: Callable[[], Awaitable[str]]) -> None:
        """Have ``name`` known: by ``asking``, unless somebody asks already or has. Raises what that raises."""
        if name in self._known:
            return
        entry = self._learning.get(name)
        if entry is None:
            entry = self._learning[name] = asyncio.ensure_future(asking()), []
        task, waiting = entry
        waiting.append(None)
        try:
            self._known[name] = await asyncio.shield(task)
        finally:
            waiting.pop()
            if not waiting:
                task.cancel()
            if (task.done() or not waiting) and self._learning.get(name) is entry:
                del self._learning[name]
