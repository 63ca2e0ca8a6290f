"""Has a transactional destination open, commit and undo transactions, several at a time, in the event loop."""

import asyncio
from collections.abc import Callable, Sequence

from dgconsole.coordinator import events as e
from dgconsole.ingest.destination import TransactionalDestination, TransactionEnd
from dgconsole.support.clock import Clock
from dgconsole.support.errors import ChunkError

AT_A_TIME = 8

Order = e.OpenTransaction | e.CommitTransaction | e.AbortTransaction


class Transactor:
    """Orders in, events out. To try again is the destination's own business; what it raises is an answer, too.

    ``committed`` and ``aborted`` count the transactions of this session; ``timed`` commits took ``commit_seconds``.
    """

    def __init__(self, destination: TransactionalDestination, put: Callable[[e.Event], None], clock: Clock) -> None:
        self.committed = 0
        self.aborted = 0
        self.timed = 0
        self.commit_seconds = 0.0
        self._destination = destination
        self._put = put
        self._clock = clock
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def busy(self) -> bool:
        """Whether the destination owes an answer."""
        return not self._idle.is_set()

    def put(self, order: Order) -> None:
        self._open += 1
        self._idle.clear()
        self._orders.put_nowait(order)

    def try_again(self) -> None:
        """The core orders again what is to be tried again."""

    async def drained(self) -> None:
        """Return when every answer is there."""
        await self._idle.wait()

    async def finish(self, *, complete: bool, partial_sky: bool) -> Sequence[str]:
        """Words on what the destination did after the last chunk. ChunkError: it could not."""
        return await self._destination.finish(complete=complete, partial_sky=partial_sky)

    async def close(self) -> None:
        await self._destination.close()

    async def run(self) -> None:
        """For ever; raises what is a fault of ours."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    tasks.create_task(self._carry_out(await self._orders.get()))
        except* Exception as group:  # noqa: BLE001 - the first of them is as good as all
            raise group.exceptions[0] from None

    async def _carry_out(self, order: Order) -> None:
        async with self._turns:
            self._put(await self._answer(order))
        self._open -= 1
        if not self._open:
            self._idle.set()

    async def _answer(self, order: Order) -> e.Event:
        number = order.number
        try:
            match order:
                case e.OpenTransaction(client=client):
                    return e.TransactionBegun(number, await self._destination.begin(number, client))
                case e.CommitTransaction(transaction=transaction):
                    before = self._clock.now()
                    await self._destination.commit(transaction)
                    self.committed += 1
                    self.timed += 1
                    self.commit_seconds += self._clock.now() - before
                    return e.Committed(number)
                case e.AbortTransaction(transaction=transaction):
                    end = await self._destination.abort(transaction)
                    committed = end is TransactionEnd.COMMITTED
                    self.committed += committed
                    self.aborted += not committed
                    return e.Aborted(number, committed)
        except ChunkError as error:
            failed = {
                e.OpenTransaction: e.TransactionRefused,
                e.CommitTransaction: e.CommitFailed,
                e.AbortTransaction: e.AbortFailed,
            }
            return failed[type(order)](number, error.text)
