"""Handing out: who gets which chunks, in which transaction, and when nothing is left."""

from dgconsole.coordinator import events as e
from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.clients import Client, Hold
from dgconsole.coordinator.grouping import Grouping, Orders
from dgconsole.coordinator.policy import share
from dgconsole.coordinator.transactions import Stage
from dgconsole.wire import messages as m


class HandingOut(Grouping):
    """The part of the core that gives chunks to clients.

    ``asked`` is the client whose request is being handled: where nothing can be given it is told to wait.
    """

    asked: Client | None = None

    def _dispatch(self, now: float) -> Orders:
        """Hand out what can be handed out to those who wait; who has just asked in vain is told to wait."""
        run, orders = self.run, Orders()
        if not (run.pauses or run.stopping):
            for name in list(self.askers):
                if not self.waiting.any_due(now):
                    break
                orders += self._serve(self.clients[name], now)
        asked, self.asked = self.asked, None
        if asked is not None and asked.wanted:
            orders.append(e.Send(asked.peer, m.Assign(())))
        return orders

    def _serve(self, client: Client, now: float) -> Orders:
        chunks, filling = self.chunks, self._filling(client)
        limit = self.options.chunks_per_request
        if self.options.grouped:
            if filling is None:
                return self._open_transaction(client, now) if self._worth_a_transaction() else []
            if filling.stage is Stage.OPENING:
                return []
            limit = min(limit, filling.room)
        taking_part, ready = self.census()
        count = share(
            left=chunks.counts[State.PENDING],
            clients=taking_part,
            asked=client.wanted,
            limit=limit,
        )
        indices = self.waiting.take(count, now, client.index, others=ready > 1)
        if not indices:
            return []
        self.touch_client(client)
        orders: Orders = []
        if not client.hand:
            client.progress_at = now
        for i in indices:
            orders += self._assign(client, i, now)
        client.wanted = 0
        del self.askers[client.name]
        chosen = tuple((int(chunks.ids[i]), int(chunks.attempt[i])) for i in indices)
        return [*orders, e.Send(client.peer, m.Assign(chosen, filling.destination if filling else 0))]

    def _worth_a_transaction(self) -> bool:
        """Whether there are more chunks than transactions that are being opened for them."""
        opening = sum(each.stage is Stage.OPENING for each in self.transactions.values())
        return self.chunks.counts[State.PENDING] > opening

    def _assign(self, client: Client, i: int, now: float) -> Orders:
        chunks, orders = self.chunks, Orders()
        self.touch_row(i)
        if not client.current:
            orders += self._open_transaction(client, now)
        transaction = self.transactions[client.current]
        self.touch_transaction(transaction)
        chunk, attempt, used = int(chunks.ids[i]), int(chunks.attempt[i]) + 1, int(chunks.used[i]) + 1
        chunks.move(i, State.ASSIGNED, used)
        chunks.attempt[i], chunks.client[i], chunks.fresh[i], chunks.retry_at[i] = attempt, client.index, False, 0.0
        self.chunk_revision = self.revision
        client.hand[chunk] = Hold(i, attempt, client.current, now)
        step = e.Assigned(chunk, attempt, used, client.index, client.current, now + self.offset)
        orders.append(e.Persist(step))
        transaction.out += 1
        transaction.room -= 1
        if not transaction.room:
            self._close_to_chunks(transaction)
        return orders

    # ---- the end

    def _settle_run(self, now: float) -> Orders:
        """Notice that nothing is left to hand out, or nothing at all, or that there is again."""
        run, counts = self.run, self.chunks.counts
        orders: Orders = []
        nothing_pending = counts[State.PENDING] == 0
        if nothing_pending and not run.sealed:
            orders += self._seal_all(now)
        run.sealed = nothing_pending
        finished = nothing_pending and not (counts[State.ASSIGNED] or counts[State.DELIVERED])
        finished = finished and not self.open_there
        if finished != run.finished:
            run.finished = finished
            orders.append(e.Finished(finished))
            if finished and self.options.end_when_finished:
                orders += self._send_home()
        return orders

    def _send_home(self) -> Orders:
        orders: Orders = []
        for client in self.clients.values():
            if client.ready and client.wanted:
                orders.append(self._dismiss(client))
        return orders

    def _dismiss(self, client: Client) -> e.Order:
        self.touch_client(client)
        client.dismissed = True
        client.wanted = 0
        self.askers.pop(client.name, None)
        self.recount_clients()
        return e.Send(client.peer, m.NoMore())
