"""The coordinator's decisions: ``handle(event, now) -> orders``; no await, clock, socket or database inside.

A batch of events is one transaction of the ledger. ``begin`` marks its start. When the ledger cannot be written,
``fail`` puts everything back to where it was at ``begin``, keeps the events and pauses; ``ResumeRun`` goes through
them again.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dgconsole.coordinator import events as e
from dgconsole.coordinator.books import Acceptance
from dgconsole.coordinator.chunks import Chunks, State
from dgconsole.coordinator.clients import Client
from dgconsole.coordinator.delivering import Delivering
from dgconsole.coordinator.grouping import Orders
from dgconsole.coordinator.keeping import Keeping
from dgconsole.coordinator.options import Options
from dgconsole.coordinator.validation import problems
from dgconsole.snapshot import ClientState
from dgconsole.support.errors import BugError, Fault
from dgconsole.wire import messages as m


class Core(Delivering, Keeping):
    """What follows from what; see ``Books`` for the parameters and for the state itself."""

    def __init__(self, chunks: Chunks, options: Options, **kept: Any) -> None:
        super().__init__(chunks, options, **kept)
        self._handlers: dict[type, Callable[[Any, float], Orders]] = {
            e.Expected: self._expected,
            e.Joined: self._joined,
            e.Readied: self._readied,
            e.TurnedAway: self._turned_away,
            e.Said: self._said,
            e.Undelivered: self._undelivered,
            e.Gone: self._gone,
            e.Exited: self._exited,
            e.Accepted: self._accepted,
            e.AcceptFailed: self._accept_failed,
            e.DestinationTrouble: self._trouble,
            e.TransactionBegun: self._begun,
            e.TransactionRefused: self._not_begun,
            e.Committed: self._committed,
            e.CommitFailed: self._not_committed,
            e.Aborted: self._aborted,
            e.AbortFailed: self._not_aborted,
            e.ClientsEnded: self._clients_ended,
            e.Tick: self._tick,
            e.PauseRun: self._pause,
            e.ResumeRun: self._resume,
            e.RetryChunks: self._retry,
            e.StopRun: self._stop,
            e.StopOne: self._stop_one,
        }
        self._speech: dict[type, Callable[[Client, Any, float], Orders]] = {
            m.Ask: self._ask,
            m.Progress: self._progress,
            m.Ping: self._ping,
            m.Completed: self._completed,
            m.Kept: self._kept,
            m.Failed: self._failed,
            m.GiveUp: self._give_up,
            m.Bye: self._bye,
        }

    # ---- the way in

    def handle(self, event: e.Event, now: float) -> Orders:
        """What follows from ``event`` at ``now`` (clock seconds)."""
        if self.run.broken and not self._passes_while_broken(event):
            self._hold([event])
            return []
        self.revision += 1
        orders = self._handlers[type(event)](event, now)
        orders += self._dispatch(now)
        orders += self._settle_run(now)
        return orders

    @staticmethod
    def _passes_while_broken(event: e.Event) -> bool:
        if isinstance(event, e.Said):
            return isinstance(event.message, m.Ping | m.Progress)
        return isinstance(event, e.ResumeRun | e.StopRun)

    def fail(self, batch: Iterable[e.Event], text: str, now: float) -> Orders:
        """The ledger has not taken the steps of ``batch``: memory is as it was, and nothing is handed out.

        The events are kept, and gone through again at ``ResumeRun``; a ``StopRun`` among them is heeded at once.
        """
        self.take_back()
        events = tuple(batch)
        self._hold(events)
        self.run.pauses["ledger"] = text
        words = f"the ledger cannot be written, handing out is paused: {text}"
        orders: Orders = [e.Log("console", "error", words)]
        for event in events:
            if isinstance(event, e.StopRun):
                orders += self.handle(event, now)
        self.begin()
        return orders

    def _hold(self, events: Iterable[e.Event]) -> None:
        """Keep for later what has not lost its sense by then: an answer is one only to what was asked by now."""
        self.run.held += tuple(
            event
            for event in events
            if not isinstance(event, e.Tick | e.ResumeRun | e.StopRun)
            and not (
                isinstance(event, e.Said)
                and isinstance(event.message, m.Kept)
                and not self._was_asked(event.peer, event.message)
            )
        )

    # ---- clients come and go

    def _expected(self, event: e.Expected, now: float) -> Orders:
        known = self.clients.get(event.name)
        if known is not None and not known.over:
            return []
        return self.enter(event.name, event.host, now)[1]

    def _joined(self, event: e.Joined, now: float) -> Orders:
        client = self.clients.get(event.name)
        orders: Orders = []
        if client is not None and client.peer:
            raise BugError(f"{event.name} is connected twice", [repr(event), repr(client)])
        if client is None or client.over or client.host != event.host:
            client, orders = self.enter(event.name, event.host, now)
        self.touch_client(client)
        client.peer, client.pid, client.heard, client.progress_at = event.peer, event.pid, now, now
        client.draining = self.run.stopping
        self.recount_clients()
        self.peers[event.peer] = event.name
        orders.append(e.Greet(event.peer, event.name, event.host))
        if self.run.stopping:
            orders.append(e.Send(event.peer, m.Stop(now=False)))
        return orders

    def _readied(self, event: e.Readied, now: float) -> Orders:
        client = self.client_of(event.peer)
        if client is None or client.over:
            return []
        self.touch_client(client)
        client.state = ClientState.IDLE
        client.folder = event.folder
        client.heard = now
        self.recount_clients()
        return [e.Log(client.name, "info", f"{client.name} has joined")]

    def _turned_away(self, event: e.TurnedAway, now: float) -> Orders:
        client = self.client_of(event.peer)
        if client is None:
            return []
        return self._leave(client, ClientState.REFUSED, event.reason, Fault.STOPPED, now)

    def _gone(self, event: e.Gone, now: float) -> Orders:
        client = self.client_of(event.peer)
        if client is None:
            return []
        if client.over:
            return self._forget_peer(client, now)
        if client.draining or client.dismissed:
            return self._leave(client, self._good_end(client), "", Fault.STOPPED, now)
        return self._leave(client, ClientState.LOST, client.exited or event.how, Fault.LOST, now)

    @staticmethod
    def _good_end(client: Client) -> ClientState:
        return ClientState.STOPPED if client.draining and not client.dismissed else ClientState.DONE

    def _exited(self, event: e.Exited, now: float) -> Orders:
        client = self.clients.get(event.name)
        orders = self._quiet(event.name, now)
        if client is None or client.over:
            return orders
        self.touch_client(client)
        client.exited, client.exited_at = event.how or "its process ended", now
        if client.peer:  # what it said last may still be on its way; the end of the connection, or the lease, follows
            return orders
        state = ClientState.STOPPED if client.draining else ClientState.LOST
        return [*orders, *self._leave(client, state, client.exited, Fault.STOPPED, now)]

    def _leave(self, client: Client, state: ClientState, reason: str, fault: Fault, now: float) -> Orders:
        """The client takes no more part; what it has in hand goes back, the chunk in work with ``fault`` as blame."""
        self.touch_client(client)
        in_work = client.in_work
        orders: Orders = []
        for number in {hold.transaction for hold in client.hand.values()} if self.options.grouped else ():
            self._still_loading(client, number, now)
        for chunk, hold in list(client.hand.items()):
            why = fault if chunk == in_work else Fault.STOPPED
            orders += self._attempt_failed(client, chunk, hold, why, client.stage, f"{client.name}: {reason}", now)
        client.state, client.reason, client.wanted, client.chunk = state, reason, 0, -1
        self.askers.pop(client.name, None)
        self.recount_clients()
        orders += self._seal(client, now)
        if state is not ClientState.GAVE_UP:  # that one still says Bye
            if client.peer:
                orders.append(e.Drop(client.peer, reason=reason))
            orders += self._forget_peer(client, now)
        level = "info" if state in (ClientState.STOPPED, ClientState.DONE) else "warning"
        words = f"{client.name} {state.value}" + (f": {reason}" if reason else "")
        return [*orders, e.Log(client.name, level, words)]

    def _forget_peer(self, client: Client, now: float) -> Orders:
        self.touch_client(client)
        orders = self._unanswered(client, now)
        self.peers.pop(client.peer, None)
        client.peer = 0
        return orders

    # ---- what clients say

    def _said(self, event: e.Said, now: float) -> Orders:
        client = self.client_of(event.peer)
        if client is None:
            return []
        self.touch_client(client)
        client.heard = now
        if client.over and not isinstance(event.message, m.Ping | m.Kept | m.Bye):
            return []
        return self._speech[type(event.message)](client, event.message, now)

    def _ask(self, client: Client, message: m.Ask, now: float) -> Orders:  # noqa: ARG002
        if not client.ready:
            return []
        if self.run.finished and self.options.end_when_finished:
            return [self._dismiss(client)]
        client.wanted = message.count
        self.asked = client
        self.askers[client.name] = None
        return []

    def _progress(self, client: Client, message: m.Progress, now: float) -> Orders:
        hold = client.hand.get(message.chunk)
        if hold is None or hold.attempt != message.attempt:
            return []
        if client.chunk != message.chunk:
            client.chunk, client.rows, client.bytes = message.chunk, 0, 0
        client.stage, client.fraction, client.progress_at = message.stage, message.fraction, now
        client.written(now, message.rows, message.bytes)
        return []

    def _ping(self, client: Client, message: m.Ping, now: float) -> Orders:
        if message.progress != client.progress or not client.hand:
            client.progress, client.progress_at = message.progress, now
        return [e.Send(client.peer, m.Pong(message.number))]

    def _completed(self, client: Client, message: m.Completed, now: float) -> Orders:
        chunk, attempt = message.chunk, message.attempt
        hold = client.hand.get(chunk)
        if hold is None or hold.attempt != attempt:
            return [
                *self._late(client, chunk, attempt),
                e.Send(client.peer, m.Settled(chunk, attempt, accepted=False)),
            ]
        tables = message.figures.tables
        rows = sum(table.rows + table.overlap_rows for table in tables)
        client.written(now, rows, sum(table.bytes for table in tables))
        client.rows = client.bytes = 0
        if self.options.grouped:
            return self._loaded(client, hold, message, now)
        self.touch_row(hold.index)
        self._out_of_hand(client, chunk, now)
        if client.folder:
            return self._order_to_keep(client, message, hold, now)
        self.accepting[hold.index] = Acceptance(hold, client.name, client.peer, message.figures)
        return [e.Accept(chunk, attempt, message.figures)]

    def _failed(self, client: Client, message: m.Failed, now: float) -> Orders:
        chunk, attempt = message.chunk, message.attempt
        hold = client.hand.get(chunk)
        accepted = hold is not None and hold.attempt == attempt
        orders: Orders = []
        if hold is None or not accepted:
            orders += self._late(client, chunk, attempt)
        else:
            text = message.text or message.fault.value
            begun = message.fault is not Fault.STOPPED or message.stage != ""
            if self.options.grouped and message.fault is Fault.STOPPED and begun:
                self._still_loading(client, hold.transaction, now)
            orders += self._attempt_failed(client, chunk, hold, message.fault, message.stage, text, now, begun=begun)
            client.rows = client.bytes = 0
            if message.details:
                orders.append(e.Log(client.name, "debug", f"chunk {chunk}, attempt {attempt}: {message.details}"))
        return [*orders, e.Send(client.peer, m.Settled(chunk, attempt, accepted=accepted))]

    def _undelivered(self, event: e.Undelivered, now: float) -> Orders:
        client = self.client_of(event.peer)
        if client is None:
            return []
        self.touch_client(client)
        client.heard = now
        chunk, attempt = event.chunk, event.attempt
        hold = client.hand.get(chunk)
        orders: Orders = []
        if hold is not None and hold.attempt == attempt:
            orders += self._attempt_failed(client, chunk, hold, event.fault, "deliver", event.text, now)
            client.rows = client.bytes = 0
        return [*orders, e.Send(client.peer, m.Settled(chunk, attempt, accepted=False))]

    @staticmethod
    def _late(client: Client, chunk: int, attempt: int) -> Orders:
        text = f"{client.name} reported attempt {attempt} at chunk {chunk}, which it no longer has: passed over"
        return [e.Log(client.name, "info", text)]

    def _give_up(self, client: Client, message: m.GiveUp, now: float) -> Orders:
        return self._leave(client, ClientState.GAVE_UP, message.text or message.fault.value, message.fault, now)

    def _bye(self, client: Client, message: m.Bye, now: float) -> Orders:  # noqa: ARG002
        if client.over:
            peer = client.peer
            return [*self._forget_peer(client, now), e.Drop(peer)]
        if client.draining or client.dismissed:
            return self._leave(client, self._good_end(client), "", Fault.STOPPED, now)
        return self._leave(client, ClientState.LOST, "ended by a signal, or with its host agent", Fault.STOPPED, now)

    # ---- time

    def _tick(self, event: e.Tick, now: float) -> Orders:  # noqa: ARG002
        options = self.options
        orders: Orders = []
        for client in list(self.clients.values()):
            if not client.peer:
                continue
            if now - client.heard > options.lease:
                orders += self._cut(client, f"no word for {now - client.heard:.0f} s", Fault.LOST, now)
            elif client.exited and now - client.exited_at > options.heartbeat:
                orders += self._cut(client, client.exited, Fault.LOST, now)
            elif (client.hand and now - client.progress_at > options.stall_timeout) or (
                self._longest_asked(client, now) > options.stall_timeout
            ):
                orders += self._cut(client, f"no progress for {options.stall_timeout:.0f} s", Fault.STALL, now)
        for transaction in [each for each in self.transactions.values() if each.quiet_at]:
            orders += self._advance(transaction, now)
        return orders

    def _clients_ended(self, event: e.ClientsEnded, now: float) -> Orders:  # noqa: ARG002
        return self._quiet(None, now)

    def _cut(self, client: Client, reason: str, fault: Fault, now: float) -> Orders:
        """End a client that no longer does its work, however it is called."""
        peer = client.peer
        if client.over:
            return [*self._forget_peer(client, now), e.Drop(peer, client.name, reason)]
        orders = [] if client.state is ClientState.STARTING else [e.Send(peer, m.Stop(now=True))]
        return [
            *orders,
            e.Drop(peer, client.name, reason),
            *self._leave(client, ClientState.LOST, reason, fault, now),
        ]

    # ---- what people want

    def _pause(self, event: e.PauseRun, now: float) -> Orders:  # noqa: ARG002
        self.run.pauses["person"] = ""
        return self._seal_all(now)

    def _resume(self, event: e.ResumeRun, now: float) -> Orders:  # noqa: ARG002
        run = self.run
        run.pauses.clear()
        run.guard_cause, run.guard_chunks = "", frozenset()
        held, run.held = run.held, ()
        return [*self._try_again(), *(order for past in held for order in self.handle(past, now))]

    def _retry(self, event: e.RetryChunks, now: float) -> Orders:
        if event.chunks is None:
            self.run.pauses.pop("errors", None)
            self.run.guard_cause, self.run.guard_chunks = "", frozenset()
            indices = np.flatnonzero(self.chunks.state == State.LIMBO).tolist()
        else:
            indices = sorted({self.chunks.index(chunk) for chunk in event.chunks} - {-1})
        orders: Orders = []
        for i in indices:
            if self.chunks.state[i] != State.LIMBO:
                continue
            self.touch_row(i)
            self.chunks.retry_at[i], self.chunks.avoid[i] = now, -1
            self.chunks.move(i, State.PENDING, 0)
            self.chunk_revision = self.revision
            self.waiting.put_back(i)
            self.limbo.pop(i, None)
            self.failures.pop(i, None)
            orders.append(e.Persist(e.Requeued(int(self.chunks.ids[i]))))
        return orders

    def _stop(self, event: e.StopRun, now: float) -> Orders:
        self.run.stopping = True
        orders: Orders = []
        for client in self.clients.values():
            if client.peer and not client.over:
                orders += self._drain(client, now, at_once=event.now)
        return orders

    def _stop_one(self, event: e.StopOne, now: float) -> Orders:
        client = self.clients.get(event.name)
        if client is None or client.over:
            return []
        if client.peer:
            return self._drain(client, now, at_once=event.now)
        return self._leave(client, ClientState.STOPPED, "", Fault.STOPPED, now)

    def _drain(self, client: Client, now: float, *, at_once: bool) -> Orders:
        self.touch_client(client)
        client.draining = True
        client.wanted = 0
        self.recount_clients()
        self.askers.pop(client.name, None)
        return [*self._seal(client, now), e.Send(client.peer, m.Stop(at_once))]

    def validate(self) -> None:
        """BugError with all that is wrong, where the state contradicts itself. For tests, and after a load."""
        if found := problems(self):
            raise BugError("the coordinator contradicts itself", found)
