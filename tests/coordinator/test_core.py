"""The core by hand: events in, orders compared; every test ends with a validated core."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dgconsole.coordinator import events as e
from dgconsole.coordinator.chunks import TRANSITIONS, Chunks, State
from dgconsole.coordinator.core import Core
from dgconsole.coordinator.options import Options
from dgconsole.snapshot import CHUNK_STATES, ClientState, RunState
from dgconsole.support.errors import BugError, Fault
from dgconsole.wire import messages as m

FIGURES = m.Figures((m.TableFigures("Object", 5, 2, 70, {}),), {})


class Bench:
    """A core, its clock, and the orders of the last event."""

    def __init__(self, count: int = 40, **options: Any) -> None:
        self.core = Core(Chunks(np.arange(count, dtype=np.int32)), Options(**options))
        self.now = 0.0
        self.orders: list[e.Order] = []
        self.handed: tuple[tuple[int, int], ...] = ()

    def feed(self, *events: e.Event) -> list[e.Order]:
        self.core.begin()
        self.orders = [order for event in events for order in self.core.handle(event, self.now)]
        self.handed = self.assigned() or self.handed
        return self.orders

    def join(self, peer: int, name: str = "", host: str = "here") -> None:
        self.feed(e.Joined(peer, name or f"{host}-{peer}", host, 1), e.Readied(peer))

    def sent(self, kind: type[m.Message]) -> list[Any]:
        return [o.message for o in self.orders if isinstance(o, e.Send) and isinstance(o.message, kind)]

    def ask(self, peer: int, count: int = 1) -> tuple[tuple[int, int], ...]:
        self.feed(e.Said(peer, m.Ask(count)))
        return self.assigned()

    def assigned(self) -> tuple[tuple[int, int], ...]:
        return tuple(pair for message in self.sent(m.Assign) for pair in message.chunks)

    def complete(self, peer: int, chunk: int, attempt: int) -> None:
        self.feed(e.Said(peer, m.Completed(chunk, attempt, FIGURES)))
        if any(isinstance(order, e.Accept) for order in self.orders):
            self.feed(e.Accepted(((chunk, attempt),)))

    def fail(self, peer: int, chunk: int, attempt: int, fault: Fault = Fault.GENERATE, text: str = "boom") -> None:
        self.feed(e.Said(peer, m.Failed(chunk, attempt, fault, "generate", text)))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.feed(e.Tick())

    def state(self, chunk: int) -> State:
        return State(int(self.core.chunks.state[chunk]))

    def persisted(self, kind: type[e.Step]) -> list[Any]:
        return [o.step for o in self.orders if isinstance(o, e.Persist) and isinstance(o.step, kind)]


@pytest.fixture
def bench() -> Iterator[Any]:
    made: list[Bench] = []

    def make(count: int = 40, **options: Any) -> Bench:
        made.append(Bench(count, **options))
        return made[-1]

    yield make
    for each in made:
        each.core.validate()


# ---- the table


@pytest.mark.parametrize("old", list(State))
@pytest.mark.parametrize("new", list(State))
def test_the_transition_table_is_what_the_arrays_enforce(old: State, new: State) -> None:
    chunks = Chunks(np.array([7], np.int32))
    chunks.state[0], chunks.attempt[0], chunks.used[0] = old, 1, 1
    chunks.recount()
    if (old, new) in TRANSITIONS:
        chunks.move(0, new, 1)
        assert chunks.state[0] == new
        assert sum(chunks.counts) == 1
    else:
        with pytest.raises(BugError, match="no way from"):
            chunks.move(0, new, 1)
        assert chunks.state[0] == old


def test_completed_is_final_and_every_other_state_has_a_way_out_and_in() -> None:
    ends = {old for old, _ in TRANSITIONS}
    assert State.COMPLETED not in ends
    assert {new for _, new in TRANSITIONS} == set(State)


def test_stored_states_have_the_numbers_of_the_snapshot() -> None:
    assert [state.name.lower() for state in State] == [state.value for state in CHUNK_STATES[: len(State)]]


# ---- handing out


def test_a_short_run_uses_all_clients(bench: Any) -> None:
    b = bench(8)
    for peer in (1, 2, 3, 4):
        b.join(peer)
    assert [len(b.ask(peer, 100)) for peer in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_clients_that_are_still_to_come_have_their_share(bench: Any) -> None:
    b = bench(40)
    b.feed(e.Expected("here-1", "here"), e.Expected("here-2", "here"))
    b.join(1)
    assert len(b.ask(1, 100)) == 10


def test_index_order_and_no_chunk_twice(bench: Any) -> None:
    b = bench(6, chunks_per_request=2)
    b.join(1)
    got = []
    while chunks := b.ask(1, 2):
        got += [chunk for chunk, _ in chunks]
        for chunk, attempt in chunks:
            b.complete(1, chunk, attempt)
    assert got == list(range(6))


def test_who_asks_in_vain_is_told_once_and_served_when_chunks_come_back(bench: Any) -> None:
    b = bench(1)
    b.join(1)
    b.join(2)
    ((chunk, attempt),) = b.ask(1)
    assert b.ask(2) == ()
    assert b.sent(m.Assign) == [m.Assign(())]
    b.feed(e.Said(1, m.Failed(chunk, attempt, Fault.STOPPED, "", "")))
    assert b.assigned() == ((chunk, 2),)
    assert b.core.chunks.used[0] == 1


# ---- ends of attempts


def test_a_completion_waits_for_the_destination_and_is_told_after_it_is_booked(bench: Any) -> None:
    b = bench()
    b.join(1)
    chunk, attempt = b.ask(1)[0]
    b.feed(e.Said(1, m.Completed(chunk, attempt, FIGURES)))
    assert b.orders == [e.Accept(chunk, attempt, FIGURES)]
    assert b.state(chunk) is State.ASSIGNED
    b.feed(e.Accepted(((chunk, attempt),)))
    kinds = [type(order) for order in b.orders]
    assert kinds.index(e.Persist) < kinds.index(e.Send)
    assert b.sent(m.Settled) == [m.Settled(chunk, attempt, accepted=True)]
    assert b.state(chunk) is State.COMPLETED


def test_what_its_client_completed_before_it_vanished_counts(bench: Any) -> None:
    b = bench(4, chunks_per_request=2)
    b.join(1)
    (first, a1), (second, _) = b.ask(1, 2)
    b.feed(e.Said(1, m.Completed(first, a1, FIGURES)), e.Gone(1, "signal 9"))
    assert b.state(first) is State.ASSIGNED
    assert b.state(second) is State.PENDING
    b.feed(e.Accepted(((first, a1),)))
    assert b.state(first) is State.COMPLETED


def test_what_it_said_before_its_process_ended_counts(bench: Any) -> None:
    b = bench(1)
    b.join(1)
    ((chunk, attempt),) = b.ask(1)
    b.feed(e.Exited("here-1", "exit status 0"))
    b.complete(1, chunk, attempt)
    b.feed(e.Said(1, m.Bye()), e.Gone(1, "closed"))
    assert b.state(chunk) is State.COMPLETED
    assert b.core.clients["here-1"].state is ClientState.LOST


def test_a_process_that_ended_without_its_connection_ending_is_not_waited_for(bench: Any) -> None:
    b = bench(1, heartbeat=5.0)
    b.join(1)
    ((chunk, _),) = b.ask(1)
    b.feed(e.Exited("here-1", "killed by signal 9"))
    b.wait(5.5)
    assert b.state(chunk) is State.PENDING
    assert b.core.clients["here-1"].reason == "killed by signal 9"


def test_an_older_attempt_is_refused(bench: Any) -> None:
    b = bench(1, lease=10.0)
    b.join(1)
    b.join(2)
    ((chunk, attempt),) = b.ask(1)
    b.ask(2)
    b.now = 5.0
    b.feed(e.Said(2, m.Ping(1, 0)))
    b.wait(6.0)
    assert b.core.clients["here-1"].state is ClientState.LOST
    b.wait(1.5)
    assert b.assigned() == ((chunk, attempt + 1),)
    b.feed(e.Said(1, m.Completed(chunk, attempt, FIGURES)))
    assert b.orders == []
    b.feed(e.Said(2, m.Completed(chunk, attempt, FIGURES)))
    assert b.sent(m.Settled) == [m.Settled(chunk, attempt, accepted=False)]
    b.complete(2, chunk, attempt + 1)
    assert b.state(chunk) is State.COMPLETED


def test_a_retry_goes_to_the_other_client_where_there_is_one(bench: Any) -> None:
    b = bench(1, retry_wait=1.0)
    b.join(1)
    b.join(2)
    ((chunk, attempt),) = b.ask(1)
    b.fail(1, chunk, attempt)
    b.ask(1)
    b.wait(1.0)
    assert b.assigned() == ()
    assert b.ask(2) == ((chunk, 2),)


def test_a_retry_goes_to_the_same_client_where_there_is_no_other(bench: Any) -> None:
    b = bench(1, retry_wait=1.0)
    b.join(1)
    ((chunk, attempt),) = b.ask(1)
    b.fail(1, chunk, attempt)
    assert b.ask(1) == ()
    b.wait(0.5)
    assert b.assigned() == ()
    b.wait(0.5)
    assert b.assigned() == ((chunk, 2),)


def test_the_other_client_leaving_frees_the_retry(bench: Any) -> None:
    b = bench(1, retry_wait=1.0)
    b.join(1)
    b.join(2)
    ((chunk, attempt),) = b.ask(1)
    b.fail(1, chunk, attempt)
    b.ask(1)
    b.wait(1.0)
    b.feed(e.Gone(2, "closed"))
    assert b.assigned() == ((chunk, 2),)


def test_attempts_run_out_into_limbo_and_a_person_brings_it_back(bench: Any) -> None:
    b = bench(1, max_attempts=2)
    b.join(1)
    for attempt in (1, 2):
        b.ask(1)
        b.wait(2.0 * (attempt - 1))
        ((chunk, number),) = b.handed
        assert number == attempt
        b.fail(1, chunk, number, Fault.PARTITION, f"odd row {attempt}")
    assert b.state(0) is State.LIMBO
    assert b.core.state is RunState.ENDED
    assert b.ask(1) == ()
    b.feed(e.RetryChunks((0, 77)))
    assert b.assigned() == ((0, 3),)
    assert b.core.state is RunState.RUNNING
    assert b.core.chunks.used[0] == 1


def test_a_client_that_vanishes_costs_an_attempt_of_the_chunk_in_work_alone(bench: Any) -> None:
    b = bench(40, chunks_per_request=4)
    b.join(1)
    chunks = b.ask(1, 4)
    working, attempt = chunks[1]
    b.feed(e.Said(1, m.Progress(working, attempt, "generate", 0.5, 10, 100)))
    b.feed(e.Gone(1, "connection closed"))
    assert {chunk: int(b.core.chunks.used[chunk]) for chunk, _ in chunks} == {
        chunk: int(chunk == working) for chunk, _ in chunks
    }
    outcomes = {step.chunk: step.outcome for step in b.persisted(e.Ended)}
    assert outcomes.pop(working) == "lost"
    assert set(outcomes.values()) == {"returned"}


def test_a_bye_gives_back_without_blame(bench: Any) -> None:
    b = bench()
    b.join(1)
    b.ask(1, 3)
    b.feed(e.Said(1, m.Bye()))
    assert int(b.core.chunks.used.sum()) == 0
    assert b.core.clients["here-1"].state is ClientState.LOST


def test_giving_up_is_booked_with_its_reason(bench: Any) -> None:
    b = bench()
    b.join(1)
    b.ask(1, 2)
    b.feed(e.Said(1, m.GiveUp(Fault.DISK, "no space left on /scratch")), e.Said(1, m.Bye()), e.Gone(1, "closed"))
    client = b.core.clients["here-1"]
    assert (client.state, client.reason) == (ClientState.GAVE_UP, "no space left on /scratch")
    assert b.core.chunks.counts[State.ASSIGNED] == 0


def test_a_stalled_client_is_ended_and_its_chunk_tried_again(bench: Any) -> None:
    b = bench(stall_timeout=60.0, lease=30.0)
    b.join(1)
    ((chunk, _), *_) = b.ask(1)
    for _ in range(4):
        b.now += 25.0
        b.feed(e.Said(1, m.Ping(1, 0)), e.Tick())
    assert b.sent(m.Stop) == [m.Stop(now=True)]
    assert [order.name for order in b.orders if isinstance(order, e.Drop)][:1] == ["here-1"]
    assert b.persisted(e.Ended)[0].fault == "stall"
    assert b.state(chunk) is State.PENDING


def test_progress_keeps_a_slow_client_alive(bench: Any) -> None:
    b = bench(stall_timeout=60.0)
    b.join(1)
    b.ask(1)
    for k in range(20):
        b.now += 25.0
        b.feed(e.Said(1, m.Ping(k, k)), e.Tick())
    assert b.core.clients["here-1"].state is ClientState.IDLE


def test_seconds_are_those_of_work_not_of_waiting_in_the_hand(bench: Any) -> None:
    b = bench(8, chunks_per_request=3)
    b.join(1)
    first, second, third = b.ask(1, 3)
    seconds = []
    for pair in (first, second, third):
        b.now += 2.0
        b.complete(1, *pair)
        seconds += [step.at - step.started for step in b.persisted(e.Ended)]
    assert seconds == [2.0, 2.0, 2.0]


# ---- pauses


def test_the_same_error_on_three_chunks_pauses(bench: Any) -> None:
    b = bench(max_attempts=1)
    b.join(1)
    for k in range(3):
        ((chunk, attempt),) = b.ask(1)
        b.fail(1, chunk, attempt, text=f"no column psRa in chunk {k}")
    assert b.core.state is RunState.PAUSED
    assert b.ask(1) == ()
    b.feed(e.ResumeRun())
    assert len(b.assigned()) == 1


def test_a_completion_between_resets_the_guard(bench: Any) -> None:
    b = bench(max_attempts=1)
    b.join(1)
    for k in range(4):
        ((chunk, attempt),) = b.ask(1)
        b.fail(1, chunk, attempt)
        if k == 1:
            ((chunk, attempt),) = b.ask(1)
            b.complete(1, chunk, attempt)
    assert b.core.state is RunState.RUNNING


def test_one_chunk_failing_three_times_is_no_guard(bench: Any) -> None:
    b = bench(1, max_attempts=3, retry_wait=0.0)
    b.join(1)
    for _ in range(3):
        ((chunk, attempt),) = b.ask(1)
        b.fail(1, chunk, attempt)
    assert not b.core.run.pauses
    assert b.state(0) is State.LIMBO


def test_pause_and_resume(bench: Any) -> None:
    b = bench()
    b.join(1)
    b.feed(e.PauseRun())
    assert b.ask(1, 4) == ()
    b.feed(e.ResumeRun())
    assert len(b.assigned()) == 4


# ---- transactions


def test_a_transaction_holds_so_many_chunks_of_one_client(bench: Any) -> None:
    b = bench(transaction_size=3)
    b.join(1)
    b.join(2)
    chunks = b.ask(1, 5)
    assert [step.transaction for step in b.persisted(e.Assigned)] == [1, 1, 1, 2, 2]
    b.ask(2, 1)
    assert [step.transaction for step in b.persisted(e.Assigned)] == [3]
    for chunk, attempt in chunks[:3]:
        b.complete(1, chunk, attempt)
    assert b.persisted(e.TransactionClosed) == [e.TransactionClosed(1, b.now)]
    b.feed(e.PauseRun())
    for chunk, attempt in chunks[3:]:
        b.complete(1, chunk, attempt)
    assert [step.transaction for step in b.persisted(e.TransactionClosed)] == [2]


def test_a_transaction_ends_when_nothing_is_left(bench: Any) -> None:
    b = bench(1)
    b.join(1)
    ((chunk, attempt),) = b.ask(1)
    b.complete(1, chunk, attempt)
    assert [step.transaction for step in b.persisted(e.TransactionClosed)] == [1]
    assert e.Finished(True) in b.orders


# ---- ends of a run


def test_idle_clients_wait_unless_told_to_end(bench: Any) -> None:
    b = bench(1)
    b.join(1)
    b.complete(1, *b.ask(1)[0])
    assert b.ask(1) == ()
    assert b.sent(m.NoMore) == []
    headless = bench(1, end_when_finished=True)
    headless.join(1)
    headless.join(2)
    pair = headless.ask(1)[0]
    headless.ask(2)
    headless.complete(1, *pair)
    assert headless.sent(m.NoMore) == [m.NoMore()]
    assert headless.ask(1) == ()
    assert headless.sent(m.NoMore) == [m.NoMore()]
    headless.feed(e.Said(1, m.Bye()), e.Said(2, m.Bye()))
    assert {client.state for client in headless.core.clients.values()} == {ClientState.DONE}


def test_quit_after_the_chunks_in_hand(bench: Any) -> None:
    b = bench()
    b.join(1)
    pair = b.ask(1)[0]
    b.feed(e.StopRun(now=False))
    assert b.sent(m.Stop) == [m.Stop(now=False)]
    assert b.core.state is RunState.STOPPING
    assert b.ask(1) == ()
    b.complete(1, *pair)
    b.feed(e.Said(1, m.Bye()))
    assert b.core.state is RunState.ENDED
    assert b.core.clients["here-1"].state is ClientState.STOPPED


def test_one_client_is_drained_and_may_come_back(bench: Any) -> None:
    b = bench()
    b.join(1)
    b.ask(1)
    b.feed(e.StopOne("here-1", now=False))
    assert b.core.clients["here-1"].shown(b.now, 5.0) is ClientState.DRAINING
    b.feed(e.Said(1, m.Bye()))
    assert b.core.clients["here-1"].state is ClientState.STOPPED
    b.feed(e.Expected("here-1", "here"))
    b.join(2, "here-1")
    assert b.core.clients["here-1"].state is ClientState.IDLE
    assert len(b.ask(2)) == 1


def test_a_client_that_never_came_is_lost_when_its_process_ends(bench: Any) -> None:
    b = bench()
    b.feed(e.Expected("here-1", "here"), e.Exited("here-1", "exit status 2: workdir is locked"))
    client = b.core.clients["here-1"]
    assert (client.state, client.reason) == (ClientState.LOST, "exit status 2: workdir is locked")


# ---- a ledger that cannot be written


def test_a_failed_commit_leaves_memory_as_it_was_and_resume_goes_on(bench: Any) -> None:
    b = bench()
    b.join(1)
    pair = b.ask(1)[0]
    b.feed(e.Said(1, m.Completed(*pair, FIGURES)))
    batch = [e.Accepted((pair,)), e.Said(1, m.Ask(2))]
    b.feed(*batch)
    orders = b.core.fail(batch, "database or disk is full", b.now)
    assert not any(isinstance(order, e.Send | e.Persist) for order in orders)
    assert b.state(pair[0]) is State.ASSIGNED
    assert b.core.state is RunState.PAUSED
    b.core.validate()
    b.feed(e.Said(1, m.Ping(7, 1)))
    assert b.sent(m.Pong) == [m.Pong(7)]
    b.now += 1000.0
    b.feed(e.Tick())
    assert b.orders == []
    b.feed(e.ResumeRun())
    assert b.state(pair[0]) is State.COMPLETED
    assert len(b.assigned()) == 2


def test_a_retry_handed_out_in_a_failed_commit_is_not_forgotten(bench: Any) -> None:
    b = bench(2, retry_wait=1.0)
    b.join(1)
    ((chunk, attempt),) = b.ask(1)
    b.fail(1, chunk, attempt)
    b.now += 1.0
    batch = [e.Said(1, m.Ask(1))]
    b.feed(*batch)
    assert b.assigned() == ((chunk, 2),)
    b.core.fail(batch, "database or disk is full", b.now)
    b.core.validate()
    b.feed(e.ResumeRun())
    assert b.assigned() == ((chunk, 2),)


def test_a_first_attempt_begun_and_given_back_in_a_failed_commit_is_a_first_attempt_again(bench: Any) -> None:
    b = bench(2)
    b.join(1)
    batch = [e.Said(1, m.Ask(1)), e.Said(1, m.Bye())]
    b.feed(*batch)
    b.core.fail(batch, "database or disk is full", b.now)
    b.join(2)
    b.feed(e.ResumeRun())
    b.feed(e.Said(2, m.Ask(1)))
    b.feed(e.Said(2, m.Ask(1)))
    assert len(b.core.clients["here-2"].hand) == 2


def test_stop_is_heeded_while_the_ledger_cannot_be_written(bench: Any) -> None:
    b = bench()
    b.join(1)
    batch = [e.Said(1, m.Ask(1))]
    b.feed(*batch)
    b.core.fail(batch, "database or disk is full", b.now)
    b.feed(e.StopRun(now=True))
    assert b.sent(m.Stop) == [m.Stop(now=True)]
