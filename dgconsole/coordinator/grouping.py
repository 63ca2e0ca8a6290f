"""Transactions as the core goes about them: opened, sealed, doomed, and what follows once all their chunks are in."""

from dgconsole.coordinator import events as e
from dgconsole.coordinator.books import Books
from dgconsole.coordinator.clients import Client
from dgconsole.coordinator.transactions import Stage, Transaction

Orders = list[e.Order]


class Grouping(Books):
    """The part of the core that keeps transactions, with or without a destination that has its own."""

    def _open_transaction(self, client: Client, now: float) -> Orders:
        """The client's next chunks belong together."""
        self.touch_client(client)
        number, grouped = self.run.next_transaction, self.options.grouped
        self.run.next_transaction += 1
        stage = Stage.OPENING if grouped else Stage.OPEN
        self.add_transaction(Transaction(number, client.name, self.options.transaction_size, now, stage))
        client.current = number
        opened = e.Persist(e.TransactionOpened(number, client.index, now + self.offset))
        return [opened, e.OpenTransaction(number, client.name)] if grouped else [opened]

    def _filling(self, client: Client) -> Transaction | None:
        """The transaction that the client's next chunks belong to, if there is one already."""
        return self.transactions.get(client.current)

    def _seal(self, client: Client, now: float) -> Orders:
        """The client's transaction takes no more chunks."""
        transaction = self._filling(client)
        if transaction is None:
            return []
        self._close_to_chunks(transaction)
        return self._advance(transaction, now)

    def _seal_all(self, now: float) -> Orders:
        return [order for client in self.clients.values() for order in self._seal(client, now)]

    def _close_to_chunks(self, transaction: Transaction) -> None:
        self.touch_transaction(transaction)
        transaction.sealed = True
        client = self.clients[transaction.client]
        if client.current == transaction.number:
            self.touch_client(client)
            client.current = 0

    def _doom(self, transaction: Transaction, why: str) -> None:
        """A chunk of it has ended otherwise than delivered: the destination can only undo it."""
        self._close_to_chunks(transaction)
        transaction.doomed = transaction.doomed or why

    def _still_loading(self, client: Client, number: int, now: float) -> None:
        """The client has left that transaction while it may be loading something; for a lease at most."""
        transaction = self.transactions[number]
        self.touch_transaction(transaction)
        if not client.exited:
            transaction.quiet_at = now + self.options.lease

    def _quiet(self, name: str | None, now: float) -> Orders:
        """That client (None: every one) loads nothing any more: its process is gone."""
        orders: Orders = []
        for transaction in list(self.transactions.values()):
            if transaction.quiet_at and name in (None, transaction.client):
                self.touch_transaction(transaction)
                transaction.quiet_at = 0.0
                orders += self._advance(transaction, now)
        return orders

    def _advance(self, transaction: Transaction, now: float) -> Orders:
        """What follows, if all of its chunks have come in and no more will."""
        if transaction.stage is not Stage.OPEN or transaction.out or not transaction.sealed:
            return []
        if not self.options.grouped:
            return self._over(transaction, "", now)
        self.touch_transaction(transaction)
        number, destination = transaction.number, transaction.destination
        if transaction.delivered and not transaction.doomed:
            transaction.stage = Stage.COMMITTING
            return [e.CommitTransaction(number, destination)]
        if now < transaction.quiet_at:
            return []
        transaction.stage = Stage.ABORTING
        return [e.AbortTransaction(number, destination)]

    def _over(self, transaction: Transaction, outcome: str, now: float) -> Orders:
        self.remove_transaction(transaction)
        return [e.Persist(e.TransactionClosed(transaction.number, now + self.offset, outcome))]
