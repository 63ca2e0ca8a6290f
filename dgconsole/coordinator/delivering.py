"""Chunks that wait for the commit of a destination's transaction, and what the destination answers."""

from dgconsole.coordinator import events as e
from dgconsole.coordinator.attempts import Attempts
from dgconsole.coordinator.books import Loaded
from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.clients import Client, Hold
from dgconsole.coordinator.grouping import Orders
from dgconsole.coordinator.transactions import Stage, Transaction
from dgconsole.support.errors import BugError, Fault
from dgconsole.wire import messages as m

MOST_REFUSALS = 3
"""So many transactions in a row that the destination does not commit, and handing out is paused."""

UNDONE = "its transaction was undone"


class Delivering(Attempts):
    """The part of the core that has to do with a transactional destination."""

    # ---- chunks go in

    def _loaded(self, client: Client, hold: Hold, message: m.Completed, now: float) -> Orders:
        """The client has loaded this chunk into its transaction."""
        chunk, attempt, i = message.chunk, message.attempt, hold.index
        transaction = self.transactions[hold.transaction]
        if transaction.doomed:
            orders = self._attempt_failed(client, chunk, hold, Fault.STOPPED, "deliver", UNDONE, now)
            return [*orders, e.Send(client.peer, m.Settled(chunk, attempt, accepted=False))]
        self.touch_row(i)
        self.touch_transaction(transaction)
        self._out_of_hand(client, chunk, now)
        self.chunks.move(i, State.DELIVERED, int(self.chunks.used[i]))
        self.chunk_revision = self.revision
        self.loaded[i] = Loaded(hold, client.name, message.figures, now)
        transaction.out -= 1
        transaction.delivered.append(i)
        self.run.guard_cause, self.run.guard_chunks = "", frozenset()
        started, at = hold.since + self.offset, now + self.offset
        step = e.Delivered(chunk, attempt, int(self.chunks.client[i]), started, at, message.figures)
        return [
            e.Persist(step),
            e.Send(client.peer, m.Settled(chunk, attempt, accepted=True)),
            *self._advance(transaction, now),
        ]

    # ---- what the destination says

    def _begun(self, event: e.TransactionBegun, now: float) -> Orders:
        transaction = self._in(event.number, Stage.OPENING)
        transaction.stage, transaction.destination = Stage.OPEN, event.transaction
        step = e.TransactionNumbered(event.number, event.transaction)
        return [e.Persist(step), *self._advance(transaction, now)]

    def _not_begun(self, event: e.TransactionRefused, now: float) -> Orders:
        transaction = self._in(event.number, Stage.OPENING)
        self._close_to_chunks(transaction)
        orders = self._over(transaction, "refused", now)
        return [*orders, *self._no_use(f"no transaction can be opened: {event.text}", now)]

    def _committed(self, event: e.Committed, now: float) -> Orders:
        return self._complete(self._in(event.number, Stage.COMMITTING), now)

    def _not_committed(self, event: e.CommitFailed, now: float) -> Orders:  # noqa: ARG002
        transaction = self._in(event.number, Stage.COMMITTING)
        transaction.stage, transaction.refused = Stage.ABORTING, True
        transaction.doomed = event.text or "not committed"
        words = f"transaction {event.number} was not committed, its chunks go back: {event.text}"
        return [
            e.Log("console", "warning", words),
            e.AbortTransaction(event.number, transaction.destination),
        ]

    def _aborted(self, event: e.Aborted, now: float) -> Orders:
        transaction = self._in(event.number, Stage.ABORTING)
        if event.committed and transaction.refused:
            words = f"transaction {event.number} was committed after all"
            return [e.Log("console", "info", words), *self._complete(transaction, now)]
        if event.committed:
            transaction.stage = Stage.STUCK
            text = f"transaction {event.number} ({transaction.destination} there) was committed by somebody else"
            return self._no_use(text, now)
        orders: Orders = []
        for i in transaction.delivered:
            orders.append(self._back(i, now))
        orders += self._over(transaction, "aborted", now)
        if transaction.refused:
            self.run.refusals += 1
            if self.run.refusals >= MOST_REFUSALS:
                orders += self._no_use(f"{MOST_REFUSALS} transactions in a row: {transaction.doomed}", now)
        return orders

    def _not_aborted(self, event: e.AbortFailed, now: float) -> Orders:
        self._in(event.number, Stage.ABORTING).stage = Stage.STUCK
        return self._no_use(f"transaction {event.number} cannot be undone: {event.text}", now)

    def _try_again(self) -> Orders:
        """A person says that the destination is well again."""
        self.run.refusals = 0
        orders: Orders = []
        for transaction in self.transactions.values():
            if transaction.stage is Stage.STUCK:
                self.touch_transaction(transaction)
                transaction.stage = Stage.ABORTING
                orders.append(e.AbortTransaction(transaction.number, transaction.destination))
        return orders

    # ---- what follows for the chunks

    def _complete(self, transaction: Transaction, now: float) -> Orders:
        orders: Orders = []
        for i in transaction.delivered:
            self.touch_row(i)
            loaded = self.loaded[i]
            self.chunks.rows[i] = sum(table.rows for table in loaded.figures.tables)
            self.chunks.seconds[i] = loaded.at - loaded.hold.since
            self.failures.pop(i, None)
            orders.append(self._leave_transaction(i, State.COMPLETED, int(self.chunks.used[i]), loaded.at))
        self.run.refusals = 0
        return [*orders, *self._over(transaction, "committed", now)]

    def _back(self, i: int, now: float) -> e.Order:
        """The chunk's rows are gone again; that uses up no attempt."""
        self.touch_row(i)
        self.chunks.retry_at[i], self.chunks.avoid[i] = now, -1
        order = self._leave_transaction(i, State.PENDING, int(self.chunks.used[i]) - 1, now)
        self.waiting.put_back(i)
        return order

    def _leave_transaction(self, i: int, to: State, used: int, at: float) -> e.Order:
        """Delivered no more; ``at`` is when its attempt ended."""
        chunks, loaded = self.chunks, self.loaded.pop(i)
        chunks.move(i, to, used)
        self.chunk_revision = self.revision
        kept = to is State.COMPLETED
        step = e.Released(
            chunk=int(chunks.ids[i]),
            attempt=loaded.hold.attempt,
            client=int(chunks.client[i]),
            state=int(to),
            used=used,
            retry_at=None if kept else at + self.offset,
            started=loaded.hold.since + self.offset,
            at=at + self.offset,
            outcome="completed" if kept else "returned",
            fault="" if kept else Fault.STOPPED.value,
            stage="" if kept else "deliver",
            error="" if kept else UNDONE,
            figures=loaded.figures if kept else None,
        )
        return e.Persist(step)

    # ---- small

    def _in(self, number: int, stage: Stage) -> Transaction:
        transaction = self.transactions.get(number)
        if transaction is None or transaction.stage is not stage:
            raise BugError(f"transaction {number} is not {stage.value}", [repr(transaction)])
        self.touch_transaction(transaction)
        return transaction

    def _no_use(self, text: str, now: float) -> Orders:
        """Nothing more is handed out until a person says so."""
        self.run.pauses["destination"] = text
        return [*self._seal_all(now), e.Log("console", "error", f"handing out is paused: {text}")]
