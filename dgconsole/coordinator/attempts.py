"""The ends of attempts: accepted, failed, given back; retry, limbo, and the guard against one error for all."""

from typing import NamedTuple

from dgconsole.coordinator import events as e
from dgconsole.coordinator.books import Acceptance, LimboNote
from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.clients import Client, Hold
from dgconsole.coordinator.grouping import Orders
from dgconsole.coordinator.handout import HandingOut
from dgconsole.coordinator.policy import GUARD_CHUNKS, OF_THE_CHUNK, Failure, GiveItUp, fold, judge
from dgconsole.support.errors import BugError, Fault
from dgconsole.wire import messages as m
from dgconsole.wire.messages import Figures


class Outcome(NamedTuple):
    """How an attempt ended, in the words of the ledger."""

    word: str
    fault: str = ""
    stage: str = ""
    error: str = ""


COMPLETED = Outcome("completed")


class Attempts(HandingOut):
    """The part of the core that books how attempts end."""

    def _accepted(self, event: e.Accepted, now: float) -> Orders:
        orders: Orders = []
        for chunk, attempt in event.items:
            i, acceptance = self._acceptance(chunk, attempt)
            orders += self._final(i, acceptance, now)
        return orders

    def _final(self, i: int, acceptance: Acceptance, now: float) -> Orders:
        """The attempt's files have their final names. Its row is touched already."""
        self.chunks.rows[i] = sum(table.rows for table in acceptance.figures.tables)
        self.chunks.seconds[i] = now - acceptance.hold.since
        orders = self._end(i, acceptance, State.COMPLETED, int(self.chunks.used[i]), COMPLETED, now)
        settled = m.Settled(int(self.chunks.ids[i]), acceptance.hold.attempt, accepted=True)
        orders.append(e.Send(acceptance.peer, settled))
        self.run.guard_cause, self.run.guard_chunks = "", frozenset()
        self.failures.pop(i, None)
        return orders

    def _accept_failed(self, event: e.AcceptFailed, now: float) -> Orders:
        _, acceptance = self._acceptance(event.chunk, event.attempt)
        return self._not_final(event.chunk, acceptance, Fault.DELIVER, event.text, now)

    def _not_final(self, chunk: int, acceptance: Acceptance, fault: Fault, text: str, now: float) -> Orders:
        """The attempt's files could not get their final names. Its row is touched already."""
        client, hold = self.clients[acceptance.client], acceptance.hold
        self.touch_client(client)
        orders = self._attempt_failed(client, chunk, hold, fault, "deliver", text, now, acceptance=acceptance)
        return [*orders, e.Send(acceptance.peer, m.Settled(chunk, hold.attempt, accepted=False))]

    def _acceptance(self, chunk: int, attempt: int) -> tuple[int, Acceptance]:
        i = self.chunks.index(chunk)
        acceptance = self.accepting.get(i)
        if acceptance is None or acceptance.hold.attempt != attempt:
            raise BugError(f"attempt {attempt} at chunk {chunk} was not to be accepted", [repr(acceptance)])
        self.touch_row(i)
        return i, acceptance

    def _trouble(self, event: e.DestinationTrouble, now: float) -> Orders:
        self.run.pauses["destination"] = event.text
        return [*self._seal_all(now), e.Log("console", "error", f"finished files cannot be kept: {event.text}")]

    def _attempt_failed(
        self,
        client: Client,
        chunk: int,
        hold: Hold,
        fault: Fault,
        stage: str,
        text: str,
        now: float,
        *,
        acceptance: Acceptance | None = None,
        begun: bool = True,
    ) -> Orders:
        """``begun``: something of it may be loaded in its transaction."""
        i = hold.index
        self.touch_row(i)
        if self.options.grouped and begun:
            self._doom(self.transactions[hold.transaction], text)
        index = int(self.chunks.client[i])
        failure = Failure(index, fault, fold(text))
        earlier = self.failures.get(i, ())
        used = int(self.chunks.used[i])
        options = self.options
        verdict = judge(
            failure,
            earlier,
            used=used,
            max_attempts=options.max_attempts,
            base=options.retry_wait,
            limit=options.retry_wait_limit,
        )
        outcome = e.FAULT_OUTCOMES.get(fault, "failed")
        error = "" if fault is Fault.STOPPED else text
        if fault is not Fault.STOPPED:
            self.failures[i] = (*earlier, failure)
        what = acceptance or Acceptance(hold, client.name, client.peer, Figures((), {}))
        told = Outcome(outcome, fault.value, stage, error)
        if isinstance(verdict, GiveItUp):
            self.limbo[i] = LimboNote(fault.value, text, failure.cause, index)
            orders = self._end(i, what, State.LIMBO, used, told, now)
            orders.append(e.Log(client.name, "error", f"chunk {chunk} is in limbo, {verdict.reason}: {text}"))
        else:
            used -= not verdict.uses_attempt
            self.chunks.avoid[i] = verdict.avoid
            orders = self._end(i, what, State.PENDING, used, told, now, retry_at=now + verdict.wait)
            if verdict.uses_attempt:
                orders.append(e.Log(client.name, "warning", f"chunk {chunk}, attempt {hold.attempt}: {text}"))
        return [*orders, *self._guard(chunk, fault, text, failure.cause, now)]

    def _end(
        self,
        i: int,
        acceptance: Acceptance,
        to: State,
        used: int,
        outcome: Outcome,
        now: float,
        *,
        retry_at: float | None = None,
    ) -> Orders:
        """Close the attempt in arrays, hand and ledger. Its row is touched already."""
        chunks, hold = self.chunks, acceptance.hold
        chunk = int(chunks.ids[i])
        chunks.retry_at[i] = retry_at or 0.0
        chunks.move(i, to, used)
        self.chunk_revision = self.revision
        if to is State.PENDING:
            self.waiting.put_back(i)
        client = self.clients[acceptance.client]
        self.touch_client(client)
        if self.accepting.pop(i, None) is None:
            self._out_of_hand(client, chunk, now)
        ended = e.Ended(
            chunk=chunk,
            attempt=hold.attempt,
            client=int(chunks.client[i]),
            state=int(to),
            used=used,
            retry_at=None if retry_at is None else retry_at + self.offset,
            started=hold.since + self.offset,
            at=now + self.offset,
            outcome=outcome.word,
            fault=outcome.fault,
            stage=outcome.stage,
            error=outcome.error,
            figures=acceptance.figures if to is State.COMPLETED else None,
            folder=acceptance.folder if to is State.COMPLETED else "",
        )
        transaction = self.transactions[hold.transaction]
        self.touch_transaction(transaction)
        transaction.out -= 1
        return [e.Persist(ended), *self._advance(transaction, now)]

    @staticmethod
    def _out_of_hand(client: Client, chunk: int, now: float) -> None:
        first = next(iter(client.hand)) == chunk
        del client.hand[chunk]
        if first:
            client.begin_next(now)
        client.progress_at = now
        if client.chunk == chunk:
            client.chunk, client.stage, client.fraction = -1, "", 0.0

    def _guard(self, chunk: int, fault: Fault, text: str, cause: str, now: float) -> Orders:
        """The same error on chunk after chunk pauses handing out: the fault is hardly the chunks'."""
        if fault not in OF_THE_CHUNK:
            return []
        run = self.run
        if run.guard_cause != cause:
            run.guard_cause, run.guard_chunks = cause, frozenset()
        run.guard_chunks |= {chunk}
        if len(run.guard_chunks) < GUARD_CHUNKS or "errors" in run.pauses:
            return []
        run.pauses["errors"] = text
        words = f"the same error on {GUARD_CHUNKS} chunks in a row, handing out is paused: {text}"
        return [*self._seal_all(now), e.Log("console", "error", words)]
