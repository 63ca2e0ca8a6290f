"""Has the destination take what completed, many attempts at a time, in a thread of its own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from dgconsole.coordinator import events as e
from dgconsole.ingest.destination import Attempt, Destination
from dgconsole.support.errors import Fault
from dgconsole.support.filenames import home_name, overlap_name
from dgconsole.wire.messages import Figures

_MANY = 500


class Acceptor:
    """Accept orders in, events out. What meets a full or failing disk waits until ``try_again``."""

    def __init__(self, destination: Destination, put: Callable[[e.Event], None], thread: Executor) -> None:
        self._destination = destination
        self._put = put
        self._thread = thread
        self._queue: list[e.Accept] = []
        self._stuck: list[e.Accept] = []
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def busy(self) -> bool:
        """Whether something is on its way that does not wait for a person."""
        return not self._idle.is_set()

    def put(self, order: e.Accept) -> None:
        self._queue.append(order)
        self._idle.clear()
        self._news.set()

    def try_again(self) -> None:
        """A person says that the destination can take files again."""
        stuck, self._stuck = self._stuck, []
        for order in stuck:
            self.put(order)

    async def drained(self) -> None:
        """Return when nothing is on its way."""
        await self._idle.wait()

    async def finish(self, *, complete: bool, partial_sky: bool) -> Sequence[str]:
        """Words on what the destination did after the last chunk. ChunkError: it could not."""
        work = partial(self._destination.finish, complete=complete, partial_sky=partial_sky)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._destination.close)

    async def run(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            self._news.clear()
            while self._queue:
                orders, self._queue = self._queue[:_MANY], self._queue[_MANY:]
                items = [Attempt(o.chunk, o.attempt, final_names(o.chunk, o.figures)) for o in orders]
                refused = await loop.run_in_executor(self._thread, self._destination.accept, items)
                taken = []
                for order in orders:
                    error = refused.get((order.chunk, order.attempt))
                    if error is None:
                        taken.append((order.chunk, order.attempt))
                    elif error.fault is Fault.DISK:
                        self._stuck.append(order)
                        self._put(e.DestinationTrouble(error.text))
                    else:
                        self._put(e.AcceptFailed(order.chunk, order.attempt, error.text))
                if taken:
                    self._put(e.Accepted(tuple(taken)))
            self._idle.set()


def final_names(chunk: int, figures: Figures) -> dict[str, tuple[str, ...]]:
    """The final names of a chunk's files by table: no rows, no file."""
    return {
        table.table: (home_name(chunk),) * (table.rows > 0) + (overlap_name(chunk),) * (table.overlap_rows > 0)
        for table in figures.tables
    }
