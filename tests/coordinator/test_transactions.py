"""A destination with transactions, by hand: when chunks are handed out, when it commits or undoes, what goes back."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dgconsole.coordinator import events as e
from dgconsole.coordinator.chunks import Chunks, State
from dgconsole.coordinator.core import Core
from dgconsole.coordinator.options import Options
from dgconsole.support.errors import BugError, Fault
from dgconsole.wire import messages as m

FIGURES = m.Figures((m.TableFigures("Object", 5, 2, 70, {}),), {})
LEASE = 10.0


class Bench:
    """A core with a destination that answers when it is told to; it numbers transactions from 1001."""

    def __init__(self, count: int, **options: Any) -> None:
        given = {"grouped": True, "transaction_size": 3, "chunks_per_request": 2, "lease": LEASE, **options}
        self.core = Core(Chunks(np.arange(count, dtype=np.int32)), Options(**given))
        self.now = 0.0
        self.orders: list[e.Order] = []

    def feed(self, *events: e.Event) -> list[e.Order]:
        self.core.begin()
        self.orders = [order for event in events for order in self.core.handle(event, self.now)]
        self.core.validate()
        return self.orders

    def join(self, peer: int) -> None:
        self.feed(e.Joined(peer, f"here-{peer}", "here", 1), e.Readied(peer))

    def given(self, kind: type[Any]) -> list[Any]:
        """Orders, or the messages and steps in them, of one kind."""
        inner = [
            o.message if isinstance(o, e.Send) else o.step if isinstance(o, e.Persist) else o for o in self.orders
        ]
        return [each for each in inner if isinstance(each, kind)]

    def assigned(self) -> list[tuple[tuple[tuple[int, int], ...], int]]:
        return [(message.chunks, message.transaction) for message in self.given(m.Assign) if message.chunks]

    def open(self, peer: int = 1) -> int:
        """Join, ask, have a transaction opened; its number."""
        if peer not in self.core.peers:
            self.join(peer)
        self.feed(e.Said(peer, m.Ask(2)))
        (order,) = self.given(e.OpenTransaction)
        self.feed(e.TransactionBegun(order.number, 1000 + order.number))
        return int(order.number)

    def complete(self, peer: int, *chunks: int) -> list[e.Order]:
        attempts = self.core.chunks.attempt
        return self.feed(*[e.Said(peer, m.Completed(chunk, int(attempts[chunk]), FIGURES)) for chunk in chunks])

    def filled(self) -> int:
        """One client's transaction with its three chunks delivered, the commit ordered; its number."""
        number = self.open()
        while not self.given(e.CommitTransaction):
            if not self.hand():
                self.feed(e.Said(1, m.Ask(2)))
            self.complete(1, *self.hand())
        assert self.given(e.CommitTransaction) == [e.CommitTransaction(number, 1000 + number)]
        return number

    def hand(self) -> dict[int, int]:
        """What the first client has to make: chunk -> attempt."""
        return {chunk: hold.attempt for chunk, hold in self.core.clients["here-1"].hand.items()}

    def state(self, chunk: int) -> State:
        return State(int(self.core.chunks.state[chunk]))

    def used(self) -> list[int]:
        return self.core.chunks.used.tolist()


@pytest.fixture
def bench() -> Iterator[Any]:
    made: list[Bench] = []

    def make(count: int = 12, **options: Any) -> Bench:
        made.append(Bench(count, **options))
        return made[-1]

    yield make
    for each in made:
        each.core.validate()


# ---- opening


def test_chunks_are_handed_out_once_their_transaction_is_open(bench: Any) -> None:
    world = bench()
    world.join(1)
    world.feed(e.Said(1, m.Ask(2)))
    assert world.given(e.OpenTransaction) == [e.OpenTransaction(1, "here-1")]
    assert world.given(m.Assign) == [m.Assign(())]
    world.feed(e.TransactionBegun(1, 4711))
    assert world.given(e.TransactionNumbered) == [e.TransactionNumbered(1, 4711)]
    assert world.assigned() == [(((0, 1), (1, 1)), 4711)]


def test_what_is_handed_out_at_once_is_of_one_transaction(bench: Any) -> None:
    world = bench()
    world.open()
    world.feed(e.Said(1, m.Ask(2)))
    assert world.assigned() == [(((2, 1),), 1001)]
    world.feed(e.Said(1, m.Ask(2)))
    assert world.given(e.OpenTransaction) == [e.OpenTransaction(2, "here-1")]


def test_no_more_are_opened_than_there_are_chunks(bench: Any) -> None:
    world = bench(2)
    for peer in (1, 2, 3):
        world.join(peer)
    events = [e.Said(peer, m.Ask(2)) for peer in (1, 2, 3)]
    world.feed(*events)
    assert [order.client for order in world.given(e.OpenTransaction)] == ["here-1", "here-2"]


def test_where_none_can_be_opened_handing_out_pauses_until_a_person_goes_on(bench: Any) -> None:
    world = bench()
    world.join(1)
    world.feed(e.Said(1, m.Ask(2)))
    world.feed(e.TransactionRefused(1, "the controller does not answer"))
    assert world.core.run.pauses == {"destination": "no transaction can be opened: the controller does not answer"}
    assert [step.outcome for step in world.given(e.TransactionClosed)] == ["refused"]
    assert world.feed(e.Tick()) == []
    world.feed(e.ResumeRun())
    assert world.given(e.OpenTransaction) == [e.OpenTransaction(2, "here-1")]


def test_a_transaction_whose_client_left_before_it_was_open_is_undone(bench: Any) -> None:
    world = bench()
    world.join(1)
    world.feed(e.Said(1, m.Ask(2)))
    world.feed(e.Gone(1, "reset"))
    world.feed(e.TransactionBegun(1, 1001))
    assert world.given(e.AbortTransaction) == [e.AbortTransaction(1, 1001)]
    world.feed(e.Aborted(1))
    assert world.core.transactions == {}


# ---- committing


def test_a_delivered_chunk_is_on_disk_before_its_client_is_told_and_complete_with_the_commit(bench: Any) -> None:
    world = bench(3)
    number = world.open()
    world.complete(1, 0)
    (step,) = world.given(e.Delivered)
    assert (step.chunk, step.figures) == (0, FIGURES)
    kinds = [type(order) for order in world.orders]
    assert kinds.index(e.Persist) < kinds.index(e.Send)
    assert world.given(m.Settled) == [m.Settled(0, 1, accepted=True)]
    assert world.state(0) is State.DELIVERED
    for chunk in (1, 2):
        world.feed(e.Said(1, m.Ask(2)))
        world.complete(1, chunk)
    assert not world.core.run.finished
    world.feed(e.Committed(number))
    released = [(step.chunk, step.state, step.outcome, step.figures) for step in world.given(e.Released)]
    assert released == [(chunk, State.COMPLETED, "completed", FIGURES) for chunk in range(3)]
    assert [step.outcome for step in world.given(e.TransactionClosed)] == ["committed"]
    assert world.core.chunks.rows.tolist() == [5, 5, 5]
    assert world.core.run.finished


def test_a_full_transaction_is_committed_while_the_next_is_filled(bench: Any) -> None:
    world = bench()
    world.filled()
    second = world.open()
    assert world.assigned() == [(((3, 1), (4, 1)), 1000 + second)]
    world.complete(1, 3)
    assert world.given(e.CommitTransaction) == []


@pytest.mark.parametrize(
    "event",
    [e.PauseRun(), e.StopRun(now=False), e.StopOne("here-1", now=False), e.Said(1, m.Bye()), e.Gone(1, "reset")],
)
def test_one_with_room_is_committed_when_nothing_more_will_come(bench: Any, event: e.Event) -> None:
    world = bench()
    number = world.open()
    world.complete(1, 0, 1)
    assert world.given(e.CommitTransaction) == []
    world.feed(event)
    assert world.given(e.CommitTransaction) == [e.CommitTransaction(number, 1001)]


def test_one_with_room_is_committed_when_nothing_is_left_to_hand_out(bench: Any) -> None:
    world = bench(2)
    number = world.open()
    world.feed(e.Said(1, m.Ask(2)))
    world.complete(1, 0, 1)
    assert world.given(e.CommitTransaction) == [e.CommitTransaction(number, 1001)]


def test_no_lease_runs_for_what_is_delivered(bench: Any) -> None:
    world = bench()
    world.open()
    world.complete(1, 0, 1)
    world.feed(e.Gone(1, "reset"))
    world.now += 100 * LEASE
    assert world.feed(e.Tick()) == []
    assert world.state(0) is State.DELIVERED


# ---- undoing


def test_one_failed_chunk_undoes_the_others_at_no_cost_to_them(bench: Any) -> None:
    world = bench(6)
    number = world.open()
    world.feed(e.Said(1, m.Ask(1)))
    world.complete(1, 0, 1)
    world.feed(e.Said(1, m.Failed(2, 1, Fault.DELIVER, "deliver", "db07 refuses")))
    assert world.given(e.AbortTransaction) == [e.AbortTransaction(number, 1001)]
    assert [world.state(chunk) for chunk in range(3)] == [State.DELIVERED, State.DELIVERED, State.PENDING]
    world.feed(e.Aborted(number))
    released = [(step.chunk, step.outcome, step.used, step.figures) for step in world.given(e.Released)]
    assert released == [(0, "returned", 0, None), (1, "returned", 0, None)]
    assert world.used()[:3] == [0, 0, 1]
    world.open()
    assert world.assigned() == [(((0, 2), (1, 2)), 1002)]


def test_a_client_gives_the_rest_back_before_it_is_undone(bench: Any) -> None:
    world = bench()
    number = world.open()
    world.feed(e.Said(1, m.Failed(0, 1, Fault.GENERATE, "generate", "boom")))
    assert world.given(e.AbortTransaction) == []
    world.feed(e.Said(1, m.Failed(1, 1, Fault.STOPPED, "", "another chunk of its transaction failed")))
    assert world.given(e.AbortTransaction) == [e.AbortTransaction(number, 1001)]
    assert world.used()[:2] == [1, 0]


def test_nothing_more_is_handed_out_in_or_taken_from_what_will_be_undone(bench: Any) -> None:
    world = bench()
    world.open()
    world.feed(e.Said(1, m.Failed(0, 1, Fault.GENERATE, "generate", "boom")))
    world.feed(e.Said(1, m.Ask(2)))
    assert world.given(e.OpenTransaction) == [e.OpenTransaction(2, "here-1")]
    world.complete(1, 1)
    assert world.given(m.Settled) == [m.Settled(1, 1, accepted=False)]
    assert world.used()[1] == 0


def test_what_was_given_back_untouched_does_not_hinder_the_others(bench: Any) -> None:
    world = bench()
    number = world.open()
    world.feed(e.StopOne("here-1", now=False))
    world.feed(e.Said(1, m.Failed(1, 1, Fault.STOPPED, "", "stopped by the console")))
    world.complete(1, 0)
    assert world.given(e.CommitTransaction) == [e.CommitTransaction(number, 1001)]
    assert world.state(1) is State.PENDING


LOST = [
    [e.Gone(1, "reset")],
    [e.Said(1, m.Bye()), e.Gone(1, "closed")],
    [e.Said(1, m.Failed(1, 1, Fault.STOPPED, "deliver", "stopped by the console")), e.Said(1, m.Bye())],
]


@pytest.mark.parametrize("events", LOST)
def test_it_is_not_undone_while_a_client_that_went_may_still_be_loading(bench: Any, events: list[e.Event]) -> None:
    world = bench()
    number = world.open()
    world.complete(1, 0)
    world.feed(*events)
    assert world.given(e.AbortTransaction) == []
    world.now += 0.9 * LEASE
    assert world.feed(e.Tick()) == []
    world.now += 0.2 * LEASE
    world.feed(e.Tick())
    assert world.given(e.AbortTransaction) == [e.AbortTransaction(number, 1001)]


@pytest.mark.parametrize("events", LOST)
@pytest.mark.parametrize("end", [e.Exited("here-1", "signal 9"), e.ClientsEnded()])
def test_it_is_undone_as_soon_as_that_client_is_known_to_have_ended(
    bench: Any, events: list[e.Event], end: e.Event
) -> None:
    world = bench()
    number = world.open()
    world.feed(*events)
    world.feed(end)
    assert world.given(e.AbortTransaction) == [e.AbortTransaction(number, 1001)]


def test_the_end_of_a_process_may_be_known_before_that_of_its_connection(bench: Any) -> None:
    world = bench()
    number = world.open()
    world.feed(e.Exited("here-1", "signal 9"))
    assert world.given(e.AbortTransaction) == []
    world.feed(e.Gone(1, "reset"))
    assert world.given(e.AbortTransaction) == [e.AbortTransaction(number, 1001)]


def test_a_silent_client_costs_the_chunk_in_work_an_attempt_and_the_delivered_ones_none(bench: Any) -> None:
    world = bench()
    world.open()
    world.complete(1, 0)
    world.now += 1.1 * LEASE
    world.feed(e.Tick())
    world.feed(e.Exited("here-1", "signal 9"))
    world.feed(e.Aborted(1))
    assert world.used()[:2] == [0, 1]


# ---- a destination that does not do as it is told


def test_a_commit_that_failed_is_undone_and_blames_nobody(bench: Any) -> None:
    world = bench()
    number = world.filled()
    world.feed(e.CommitFailed(number, "worker db07 is down"))
    assert world.given(e.AbortTransaction) == [e.AbortTransaction(number, 1001)]
    world.feed(e.Aborted(number))
    assert world.used()[:3] == [0, 0, 0]
    assert world.core.run.pauses == {}


def test_a_commit_that_had_come_about_after_all_counts(bench: Any) -> None:
    world = bench()
    number = world.filled()
    world.feed(e.CommitFailed(number, "no answer"))
    world.feed(e.Aborted(number, committed=True))
    assert [world.state(chunk) for chunk in range(3)] == [State.COMPLETED] * 3
    assert [step.outcome for step in world.given(e.TransactionClosed)] == ["committed"]


def test_commits_that_fail_again_and_again_pause_the_run(bench: Any) -> None:
    world = bench(3)
    for _ in range(3):
        assert world.core.run.pauses == {}
        number = world.filled()
        world.feed(e.CommitFailed(number, "the index cannot be built"))
        world.feed(e.Aborted(number))
    assert world.core.run.pauses == {"destination": "3 transactions in a row: the index cannot be built"}
    assert world.used() == [0, 0, 0]
    assert world.feed(e.Said(1, m.Ask(2)))[-1] == e.Send(1, m.Assign(()))
    world.feed(e.ResumeRun())
    assert world.given(e.OpenTransaction) == [e.OpenTransaction(4, "here-1")]


def test_a_commit_between_starts_the_count_anew(bench: Any) -> None:
    world = bench(40)
    for good in (False, False, True, False, False):
        number = world.filled()
        world.feed(*([e.Committed(number)] if good else [e.CommitFailed(number, "no"), e.Aborted(number)]))
    assert world.core.run.pauses == {}


def test_what_cannot_be_undone_waits_for_a_person(bench: Any) -> None:
    world = bench(3)
    number = world.filled()
    world.feed(e.CommitFailed(number, "no answer"))
    world.feed(e.AbortFailed(number, "no answer"))
    assert world.core.run.pauses == {"destination": "transaction 1 cannot be undone: no answer"}
    assert world.state(0) is State.DELIVERED
    assert not world.core.run.finished
    world.feed(e.ResumeRun())
    assert world.given(e.AbortTransaction) == [e.AbortTransaction(number, 1001)]
    world.feed(e.Aborted(number))
    assert world.state(0) is State.PENDING


def test_one_that_somebody_else_committed_is_left_to_a_person(bench: Any) -> None:
    world = bench()
    number = world.open()
    world.feed(e.Gone(1, "reset"), e.ClientsEnded())
    world.feed(e.Aborted(number, committed=True))
    assert "committed by somebody else" in world.core.run.pauses["destination"]


@pytest.mark.parametrize(
    "event",
    [
        e.TransactionBegun(7, 1),
        e.TransactionRefused(1, ""),
        e.Committed(1),
        e.CommitFailed(1, ""),
        e.Aborted(1),
        e.AbortFailed(1, ""),
    ],
)
def test_an_answer_that_nobody_waits_for_is_a_fault_of_ours(bench: Any, event: e.Event) -> None:
    world = bench()
    world.open()
    with pytest.raises(BugError, match="is not"):
        world.core.handle(event, 0.0)


def test_limbo_chunks_do_not_keep_a_transaction_open_and_an_open_one_keeps_the_run(bench: Any) -> None:
    world = bench(2, max_attempts=1)
    number = world.open()
    world.feed(e.Said(1, m.Ask(2)))
    world.complete(1, 0)
    world.feed(e.Said(1, m.Failed(1, 1, Fault.GENERATE, "generate", "boom")))
    assert world.state(1) is State.LIMBO
    assert not world.core.run.finished
    world.feed(e.Aborted(number))
    second = world.open()
    world.complete(1, 0)
    world.feed(e.Committed(second))
    assert world.core.run.finished
