"""The commit barrier: events gather, the core decides, the ledger is written, only then orders are carried out."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol

from dgconsole.coordinator import events as e
from dgconsole.coordinator.core import Core
from dgconsole.support.clock import Clock

MANY = 500
"""With so many events waiting there is no gathering, and so many at most make one commit."""

JUMP = 0.5
"""Seconds by which the wall clock must differ from what it was: it was set, or the machine slept. Below that the two
clocks were only not read at the same moment, and an attempt would seem to begin before the one before it ended."""


class Commits(Protocol):
    """What a ledger does here."""

    def commit(self, steps: list[e.Step]) -> str:
        """ "" when all is on disk, else why nothing is."""


class Committer:
    """One batch at a time: nobody is told of a batch before it is on disk, and none is begun before.

    Parameters
    ----------
    perform
        Carries out one order that is no Persist; must not block or raise.
    committed
        Is shown the steps of each batch that is on disk.
    handled
        Is shown each batch of events after all of that.
    thread
        Where the ledger is written; one thread.
    gather
        Seconds in which more events may join a batch.
    """

    def __init__(
        self,
        core: Core,
        ledger: Commits,
        *,
        clock: Clock,
        perform: Callable[[e.Order], None],
        committed: Callable[[list[e.Step]], None],
        handled: Callable[[list[e.Event]], None],
        thread: Executor,
        gather: float,
    ) -> None:
        self._core = core
        self._ledger = ledger
        self._clock = clock
        self._perform = perform
        self._committed = committed
        self._handled_all = handled
        self._thread = thread
        self._gather = gather
        self._inbox: list[e.Event] = []
        self._put = 0
        self._handled = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._news = asyncio.Event()
        self._closing = False
        self._abandoned = False

    def put(self, event: e.Event) -> None:
        """Have the event handled with the next batch."""
        self._inbox.append(event)
        self._put += 1
        self._news.set()

    async def settled(self) -> None:
        """Return when all that was put so far has been handled and is on disk, or could not be written."""
        if self._handled < self._put and not self._abandoned:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append((self._put, future))
            await future

    def close(self) -> None:
        """Have ``run`` end once the inbox is empty."""
        self._closing = True
        self._news.set()

    def abandon(self) -> None:
        """``run`` has ended by an error: nobody waits any longer."""
        self._abandoned = True
        for _, future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def run(self) -> None:
        """Until ``close``. BugError of the core or the ledger ends it: nothing more is handed out or told."""
        while not (self._closing and not self._inbox):
            await self._news.wait()
            if len(self._inbox) < MANY and not self._closing:
                await asyncio.sleep(self._gather)
            self._news.clear()
            batch, self._inbox = self._inbox[:MANY], self._inbox[MANY:]
            await self._turn(batch)
            self._handled += len(batch)
            self._handled_all(batch)
            while self._waiting and self._waiting[0][0] <= self._handled:
                future = self._waiting.pop(0)[1]
                if not future.done():
                    future.set_result(None)
            if self._inbox:
                self._news.set()

    async def _turn(self, batch: list[e.Event]) -> None:
        core = self._core
        core.begin()
        offset = self._clock.wall() - self._clock.now()
        if abs(offset - core.offset) > JUMP:
            core.offset = offset
        orders: list[e.Order] = []
        for event in batch:
            orders += core.handle(event, self._clock.now())
        steps = [order.step for order in orders if isinstance(order, e.Persist)]
        if steps:
            loop = asyncio.get_running_loop()
            trouble = await loop.run_in_executor(self._thread, self._ledger.commit, steps)
            if trouble:
                orders = core.fail(batch, trouble, self._clock.now())
            else:
                self._committed(steps)
        for order in orders:
            if not isinstance(order, e.Persist):
                self._perform(order)
