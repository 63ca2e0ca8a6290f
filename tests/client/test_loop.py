"""The client's loop, event by event: what it orders, and what it never does."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dgconsole.client.loop import FAREWELL, Loop, Phase
from dgconsole.client.orders import (
    Abandon,
    Arrived,
    Broke,
    Closed,
    Discard,
    Event,
    Expect,
    KeepFiles,
    KeptFiles,
    Leave,
    Made,
    Make,
    Opened,
    Order,
    Planned,
    Prepare,
    Reading,
    Send,
    Store,
    Terminated,
    Tick,
    Unprepared,
)
from dgconsole.support.errors import Fault
from dgconsole.wire import messages as m
from dgconsole.wire.messages import Role
from dgconsole.wire.session import WireSession

HELLO = m.Hello("secret", m.PROTOCOL, "0", "here-1", "", 1)
FIGURES = m.Figures((m.TableFigures("Object", 10, 2, 300, {"generate": 1.0}),), {"generate": 1.0})


class Driven:
    """A loop with a coordinator's end of the wire; every message is checked against the table of legal ones."""

    def __init__(self) -> None:
        self.loop = Loop(HELLO, want=4)
        self.now = 100.0
        self.ours, self.theirs = WireSession(Role.CLIENT), WireSession(Role.COORDINATOR)
        self.said: list[m.Message] = []
        self.orders: list[Order] = []

    def feed(self, event: Event) -> list[Order]:
        orders = self.loop.handle(event, self.now)
        for order in orders:
            if isinstance(order, Send):
                self.ours.sent(order.message)
                self.theirs.received(order.message)
                self.said.append(order.message)
        self.loop.validate()
        self.orders += orders
        return orders

    def hear(self, message: m.Message) -> list[Order]:
        self.theirs.sent(message)
        self.ours.received(message)
        return self.feed(Arrived(message))

    def take(self, kind: type[Any]) -> list[Any]:
        """Orders or messages of one kind so far."""
        return [thing for thing in (*self.orders, *self.said) if isinstance(thing, kind)]

    @property
    def left(self) -> Leave:
        (leave,) = self.take(Leave)
        assert isinstance(leave, Leave)
        return leave


def welcomed(*, collect: bool = False, keep: str = "") -> Driven:
    driven = Driven()
    driven.feed(Opened())
    driven.hear(m.Welcome("here-1", "here", 5.0, 30.0, 1, collect, keep=keep))
    return driven


def working(*, collect: bool = False, keep: str = "") -> Driven:
    driven = welcomed(collect=collect, keep=keep)
    driven.hear(m.BundleFile("spec", "s.py", b"x", True))
    driven.hear(m.BundleEnd())
    driven.feed(Planned("plan", "sky", keep))
    return driven


@pytest.fixture
def driven() -> Driven:
    return working()


def made(chunk: int, attempt: int = 1) -> Made:
    return Made(chunk, attempt, FIGURES)


def broke(chunk: int, fault: Fault) -> Broke:
    return Broke(chunk, 1, fault, "partition", "trouble", "Traceback ...")


def test_from_hello_to_the_first_question() -> None:
    driven = welcomed()
    piece = m.BundleFile("spec", "s.py", b"x", True)
    assert Store(piece) in driven.hear(piece)
    assert driven.hear(m.BundleEnd()) == [Prepare()]
    assert driven.feed(Planned("plan", "sky")) == [Send(m.Ready("plan", "sky")), Send(m.Ask(4))]


def test_the_next_chunks_are_asked_for_when_the_last_one_is_begun(driven: Driven) -> None:
    assert driven.hear(m.Assign(((1, 1), (2, 1)))) == [Make(1, 1)]
    orders = driven.feed(made(1))
    assert Send(m.Completed(1, 1, FIGURES)) in orders
    assert orders[-2:] == [Make(2, 1), Send(m.Ask(4))]


def test_an_empty_hand_out_means_wait(driven: Driven) -> None:
    assert driven.hear(m.Assign(())) == []
    assert driven.hear(m.Assign(((5, 1),)))[0] == Make(5, 1)


def test_chunks_are_made_for_the_transaction_that_they_were_handed_out_in(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1), (2, 1)), transaction=71))
    driven.feed(made(1))
    driven.hear(m.Assign(((3, 1),), transaction=72))
    driven.feed(made(2))
    assert driven.take(Make) == [Make(1, 1, 71), Make(2, 1, 71), Make(3, 1, 72)]


def test_chunks_of_a_transaction_are_announced_before_the_first_is_made(driven: Driven) -> None:
    assert driven.hear(m.Assign(((1, 1), (2, 1)), transaction=71))[:2] == [Expect((1, 2)), Make(1, 1, 71)]


def test_when_a_chunk_fails_the_rest_of_its_transaction_goes_back_at_once(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1), (2, 1), (3, 1)), transaction=71))
    driven.feed(broke(1, Fault.DELIVER))
    why = "another chunk of its transaction failed"
    back = [m.Failed(chunk, 1, Fault.STOPPED, "", why) for chunk in (2, 3)]
    assert driven.said[-4:] == [
        m.Failed(1, 1, Fault.DELIVER, "partition", "trouble", "Traceback ..."),
        *back,
        m.Ask(4),
    ]
    assert driven.take(Make) == [Make(1, 1, 71)]


def test_what_is_of_another_transaction_is_still_made(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1),), transaction=71))
    driven.hear(m.Assign(((2, 1), (3, 1)), transaction=72))
    driven.feed(broke(1, Fault.DELIVER))
    driven.feed(made(2))
    assert driven.take(Make) == [Make(1, 1, 71), Make(2, 1, 72), Make(3, 1, 72)]


def test_no_more_ends_when_the_hand_is_done_and_settled(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1),)))
    driven.hear(m.NoMore())
    driven.feed(made(1))
    assert driven.loop.phase is Phase.LEAVING
    driven.hear(m.Settled(1, 1, True))
    assert driven.said[-1] == m.Bye()
    assert driven.left == Leave(0, "no more chunks")


def test_who_leaves_does_not_wait_for_ever(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1),)))
    driven.hear(m.NoMore())
    driven.feed(made(1))
    driven.now += FAREWELL
    driven.feed(Tick(Reading()))
    assert driven.left.status == 0


def test_who_has_sent_files_waits_longer_for_the_word_that_they_have_come() -> None:
    driven = working(collect=True)
    assert Prepare(collect=True) in driven.orders
    driven.hear(m.Assign(((1, 1),)))
    driven.hear(m.NoMore())
    driven.feed(made(1))
    driven.now += 2 * FAREWELL
    driven.hear(m.Pong(1))
    driven.feed(Tick(Reading()))
    assert driven.loop.phase is Phase.LEAVING
    driven.hear(m.Settled(1, 1, True))
    assert driven.left.status == 0


@pytest.fixture
def keeping() -> Driven:
    return working(keep="/scratch/chunks")


def test_files_that_stay_are_named_on_order_and_confirmed(keeping: Driven) -> None:
    assert Prepare(keep="/scratch/chunks") in keeping.orders
    assert m.Ready("plan", "sky", "/scratch/chunks") in keeping.said
    keeping.hear(m.Assign(((1, 1), (2, 1))))
    keeping.feed(made(1))
    assert keeping.take(KeepFiles) == []
    assert keeping.hear(m.Keep(1, 1)) == [KeepFiles(1, 1)]
    assert keeping.feed(KeptFiles(1, 1)) == [Send(m.Kept(1, 1))]


def test_who_leaves_still_keeps_what_it_has_made(keeping: Driven) -> None:
    keeping.hear(m.Assign(((1, 1),)))
    keeping.hear(m.NoMore())
    keeping.feed(made(1))
    assert keeping.loop.phase is Phase.LEAVING
    keeping.now += 2 * FAREWELL
    keeping.hear(m.Pong(1))
    keeping.feed(Tick(Reading()))
    assert keeping.hear(m.Keep(1, 1)) == [KeepFiles(1, 1)]
    keeping.feed(KeptFiles(1, 1))
    keeping.hear(m.Settled(1, 1, True))
    assert keeping.said[-2:] == [m.Kept(1, 1), m.Bye()]
    assert keeping.left.status == 0


def test_who_has_given_up_still_keeps_what_it_has_made(keeping: Driven) -> None:
    keeping.hear(m.Assign(tuple((chunk, 1) for chunk in range(4))))
    keeping.feed(made(0))
    for chunk in (1, 2, 3):
        keeping.feed(broke(chunk, Fault.DISK))
    assert keeping.take(m.GiveUp) == [m.GiveUp(Fault.DISK, "3 faults of its own in a row; the last: trouble")]
    keeping.hear(m.Keep(0, 1))
    keeping.feed(KeptFiles(0, 1))
    assert keeping.said[-1] == m.Kept(0, 1)


def test_files_of_a_report_that_came_late_are_thrown_away(keeping: Driven) -> None:
    keeping.hear(m.Assign(((1, 1), (2, 1))))
    keeping.feed(made(1))
    assert Discard(1, 1) in keeping.hear(m.Settled(1, 1, False))
    keeping.feed(made(2))
    keeping.hear(m.Keep(2, 1))
    keeping.feed(KeptFiles(2, 1, "no space left", Fault.DISK))
    assert Discard(2, 1) not in keeping.hear(m.Settled(2, 1, False)), "what could not be kept is gone already"


def test_what_is_not_there_cannot_be_kept(keeping: Driven, driven: Driven) -> None:
    for each in (keeping, driven):
        each.hear(m.Assign(((1, 1), (2, 1))))
        each.hear(m.Keep(1, 1))
        assert each.said[-1] == m.Kept(1, 1, "chunk 1: attempt 1 is not on this host")
    keeping.feed(made(1))
    assert keeping.hear(m.Keep(1, 1)) == [KeepFiles(1, 1)]
    keeping.hear(m.Keep(1, 1))
    assert keeping.said[-1].error
    driven.feed(made(1))
    driven.hear(m.Keep(1, 1))
    assert driven.said[-1] == m.Kept(1, 1, "chunk 1: attempt 1 is not on this host")


def test_three_chunks_in_a_row_that_cannot_be_kept_end_the_client(keeping: Driven) -> None:
    """Each time the next chunk is made already when the word comes."""
    keeping.hear(m.Assign(tuple((chunk, 1) for chunk in range(9))))
    for chunk in range(4):
        keeping.feed(made(chunk))
        keeping.hear(m.Keep(chunk, 1))
        keeping.feed(KeptFiles(chunk, 1, f"no space for {chunk}", Fault.DISK) if chunk else KeptFiles(chunk, 1))
    assert keeping.take(m.GiveUp) == []
    keeping.feed(made(4))
    assert keeping.take(m.GiveUp) == [m.GiveUp(Fault.DISK, "3 faults of its own in a row; the last: no space for 3")]


def test_a_client_without_work_gives_up_as_soon_as_it_cannot_keep(keeping: Driven) -> None:
    for chunk in range(3):
        keeping.hear(m.Assign(((chunk, 1),)))
        keeping.feed(made(chunk))
        keeping.hear(m.Keep(chunk, 1))
        keeping.feed(KeptFiles(chunk, 1, "no space", Fault.DISK))
    assert keeping.said[-1] == m.GiveUp(Fault.DISK, "3 faults of its own in a row; the last: no space")


def test_an_error_of_the_chunk_does_not_make_the_client_give_up(driven: Driven) -> None:
    driven.hear(m.Assign(tuple((chunk, 1) for chunk in range(9))))
    for chunk in range(9):
        driven.feed(broke(chunk, Fault.GENERATE))
    assert driven.loop.phase is Phase.WORKING
    assert len(driven.take(m.Failed)) == 9


def test_three_own_faults_in_a_row_are_reported_and_end_the_client(driven: Driven) -> None:
    driven.hear(m.Assign(tuple((chunk, 1) for chunk in range(9))))
    driven.feed(made(0))
    for chunk in (1, 2, 3):
        driven.feed(broke(chunk, Fault.DISK))
    kinds = [type(message) for message in driven.said[-5:]]
    assert kinds == [m.Completed, m.Failed, m.Failed, m.Failed, m.GiveUp]
    assert driven.loop.phase is Phase.LEAVING
    for chunk in range(4):
        driven.hear(m.Settled(chunk, 1, True))
    assert driven.left.status == 1
    assert "3 faults of its own in a row; the last: trouble" in driven.left.text


def test_stop_after_the_chunk_in_hand_gives_the_others_back_at_once(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1), (2, 1), (3, 2))))
    orders = driven.hear(m.Stop(now=False))
    back = [order.message for order in orders if isinstance(order, Send)]
    assert [(x.chunk, x.attempt, x.fault) for x in back if isinstance(x, m.Failed)] == [
        (2, 1, Fault.STOPPED),
        (3, 2, Fault.STOPPED),
    ]
    driven.feed(made(1))
    driven.hear(m.Settled(1, 1, True))
    assert driven.left == Leave(0, "stopped by the console")


def test_what_is_assigned_to_a_client_that_is_stopping_goes_back(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1),)))
    driven.hear(m.Stop(now=False))
    driven.hear(m.Assign(((2, 1),)))
    assert [failed.chunk for failed in driven.take(m.Failed)] == [2]


@pytest.mark.parametrize(("event", "status"), [(Arrived(m.Stop(now=True)), 0), (Terminated("SIGTERM"), 1)])
def test_stop_now_gives_everything_back_and_waits_for_nobody(driven: Driven, event: Event, status: int) -> None:
    driven.hear(m.Assign(((1, 1), (2, 1))))
    orders = driven.feed(event)
    assert Abandon(1, 1) in orders
    assert [failed.chunk for failed in driven.take(m.Failed)] == [1, 2]
    assert driven.said[-1] == m.Bye()
    assert driven.left.status == status
    assert driven.feed(made(1)) == []


@pytest.mark.parametrize("make", [Driven, welcomed, working])
def test_a_signal_ends_the_client_in_every_phase(make: Any) -> None:
    driven = make()
    driven.feed(Terminated("SIGTERM"))
    assert driven.left.status == 1


def test_heartbeats_go_on_while_a_chunk_is_made(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1),)))
    for batches in (3, 9):
        driven.now += 5.0
        driven.feed(Tick(Reading(1, 1, "generate", 0.5, 100, 1000, batches)))
    assert driven.take(m.Ping) == [m.Ping(1, 3), m.Ping(2, 9)]
    assert [progress.chunk for progress in driven.take(m.Progress)] == [1, 1]


def test_progress_is_shown_once_a_second_and_only_when_there_is_some(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1),)))
    reading = Reading(1, 1, "generate", 0.5, 100, 1000, 3)
    for _ in range(4):
        driven.now += 0.5
        driven.feed(Tick(reading))
    assert len(driven.take(m.Progress)) == 1


def test_silence_for_a_lease_means_the_console_is_lost(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1), (2, 1))))
    for _ in range(5):
        driven.now += 5.0
        driven.feed(Tick(Reading()))
    driven.hear(m.Pong(5))
    driven.now += 29.9
    driven.feed(Tick(Reading()))
    assert driven.loop.phase is Phase.WORKING
    driven.now += 0.1
    orders = driven.feed(Tick(Reading()))
    assert orders == [Abandon(1, 1), driven.left]
    assert driven.left == Leave(1, "lost the console: no word from the console for 30 s", again=True)


def test_a_connection_that_breaks_abandons_the_chunk_in_hand(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1),)))
    assert driven.feed(Closed("connection reset"))[0] == Abandon(1, 1)
    assert driven.left.again


def test_a_close_before_the_last_report_is_settled_is_a_loss(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1),)))
    driven.hear(m.NoMore())
    driven.feed(made(1))
    driven.feed(Closed("end of stream"))
    assert driven.left.status == 1, "its report was not settled"


def test_refused_is_final() -> None:
    driven = Driven()
    driven.feed(Opened())
    driven.hear(m.Refused("wrong token"))
    assert driven.left == Leave(2, "the console refused this client: wrong token")


def test_a_bundle_with_a_missing_file_is_not_planned() -> None:
    driven = welcomed()
    assert Prepare() not in driven.hear(m.BundleEnd())
    assert driven.left.status == 1


def test_a_client_that_cannot_prepare_gives_up_once() -> None:
    driven = welcomed()
    driven.hear(m.BundleFile("spec", "s.py", b"x", True))
    driven.feed(Unprepared(Fault.DISK, "bundle: No space left on device"))
    driven.feed(Unprepared(Fault.DISK, "again"))
    assert len(driven.take(m.GiveUp)) == 1
    assert driven.left.status == 1


def test_a_late_report_is_no_reason_to_stop(driven: Driven) -> None:
    driven.hear(m.Assign(((1, 1), (2, 1))))
    driven.feed(made(1))
    driven.hear(m.Settled(1, 1, False))
    assert driven.loop.phase is Phase.WORKING


def test_the_loop_says_when_it_wants_to_be_woken(driven: Driven) -> None:
    assert driven.loop.wait(driven.now) == pytest.approx(5.0)
    driven.hear(m.Assign(((1, 1),)))
    assert driven.loop.wait(driven.now) == pytest.approx(1.0)
    assert driven.loop.wait(driven.now + 99) == 0.0


class AnyOrder(RuleBasedStateMachine):
    """A coordinator that says whatever is legal, a worker that does whatever it can, signals at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.driven = Driven()
        self.next_chunk = 0
        self.assigned: set[int] = set()
        self.to_come = 0
        self.keep_folder = ""
        self.kept: set[int] = set()

    @initialize(files=st.integers(0, 2), keep=st.sampled_from(["", "/scratch"]))
    def greet(self, files: int, keep: str) -> None:
        self.driven.feed(Opened())
        self.driven.hear(m.Welcome("here-1", "here", 5.0, 30.0, files, keep=keep))
        self.keep_folder = keep
        self.to_come = files

    def can(self, kind: type[m.Message]) -> bool:
        return self.driven.loop.phase is not Phase.GONE and self.driven.theirs.legal(Role.COORDINATOR, kind)

    @precondition(lambda self: self.to_come > 0 and self.can(m.BundleFile))
    @rule()
    def file(self) -> None:
        self.to_come -= 1
        self.driven.hear(m.BundleFile("spec", f"{self.to_come}.py", b"x", True))

    @precondition(lambda self: self.to_come == 0 and self.can(m.BundleEnd))
    @rule(works=st.booleans())
    def end_of_bundle(self, works: bool) -> None:
        if Prepare(keep=self.keep_folder) in self.driven.hear(m.BundleEnd()):
            self.driven.feed(Planned("plan", "sky", self.keep_folder) if works else Unprepared(Fault.WORKDIR, "gone"))

    @precondition(lambda self: self.can(m.Assign))
    @rule(count=st.integers(0, 3), transaction=st.integers(0, 2))
    def assign(self, count: int, transaction: int) -> None:
        chunks = tuple((self.next_chunk + n, 1) for n in range(count))
        self.next_chunk += count
        self.assigned.update(chunk for chunk, _ in chunks)
        self.driven.hear(m.Assign(chunks, transaction))

    @precondition(lambda self: self.in_work() is not None)
    @rule(fault=st.sampled_from([None, None, *Fault]))
    def work_ends(self, fault: Fault | None) -> None:
        order = self.in_work()
        assert order is not None
        self.driven.feed(made(order.chunk) if fault is None else broke(order.chunk, fault))

    def in_work(self) -> Make | None:
        done = {x.chunk for kind in (Abandon, m.Completed, m.Failed) for x in self.driven.take(kind)}
        return next((order for order in self.driven.take(Make) if order.chunk not in done), None)

    @precondition(lambda self: self.can(m.Settled))
    @rule(accepted=st.booleans())
    def settle(self, accepted: bool) -> None:
        reports = self.driven.take(m.Completed) + self.driven.take(m.Failed)
        if reports:
            self.driven.hear(m.Settled(reports[-1].chunk, 1, accepted))

    @precondition(lambda self: self.can(m.Keep))
    @rule(back=st.integers(1, 3))
    def keep(self, back: int) -> None:
        reports = self.driven.take(m.Completed)[-back:]
        self.driven.hear(m.Keep(reports[0].chunk if reports else 0, 1))

    @precondition(lambda self: self.being_kept())
    @rule(fault=st.sampled_from([None, None, Fault.DISK, Fault.DELIVER]), which=st.integers(0, 5))
    def files_are_kept(self, fault: Fault | None, which: int) -> None:
        orders = self.being_kept()
        order = orders[which % len(orders)]
        self.kept.add(order.chunk)
        self.driven.feed(KeptFiles(order.chunk, 1, "trouble", fault) if fault else KeptFiles(order.chunk, 1))

    def being_kept(self) -> list[KeepFiles]:
        return [order for order in self.driven.take(KeepFiles) if order.chunk not in self.kept]

    @precondition(lambda self: self.can(m.NoMore))
    @rule()
    def no_more(self) -> None:
        self.driven.hear(m.NoMore())

    @precondition(lambda self: self.can(m.Stop))
    @rule(now=st.booleans())
    def stop(self, now: bool) -> None:
        self.driven.hear(m.Stop(now))

    @rule(seconds=st.sampled_from([0.5, 5.0, 10.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.driven.now += seconds
        order = self.in_work()
        self.driven.feed(Tick(Reading(order.chunk, 1, "generate", 0.5) if order else Reading()))

    @precondition(lambda self: self.can(m.Pong))
    @rule()
    def pong(self) -> None:
        self.driven.hear(m.Pong(1))

    @rule(event=st.sampled_from([Terminated("SIGTERM"), Closed("reset")]))
    def cut(self, event: Event) -> None:
        if self.driven.now > 150.0:
            self.driven.feed(event)

    @invariant()
    def one_chunk_at_a_time(self) -> None:
        ended = self.driven.take(Abandon) + self.driven.take(m.Completed) + self.driven.take(m.Failed)
        begun = [order.chunk for order in self.driven.take(Make)]
        assert len(begun) == len(set(begun))
        assert len(set(begun) - {x.chunk for x in ended}) <= 1

    @invariant()
    def every_chunk_is_reported_once_at_most(self) -> None:
        reports = [x.chunk for x in self.driven.take(m.Completed) + self.driven.take(m.Failed)]
        assert len(reports) == len(set(reports))
        assert set(reports) <= self.assigned

    @invariant()
    def only_what_was_made_is_kept_and_only_once(self) -> None:
        ordered = [order.chunk for order in self.driven.take(KeepFiles)]
        assert len(ordered) == len(set(ordered))
        assert set(ordered) <= {report.chunk for report in self.driven.take(m.Completed)}
        assert self.keep_folder or not ordered
        assert not {order.chunk for order in self.driven.take(Discard)} & set(ordered)

    @invariant()
    def who_is_gone_has_left_once(self) -> None:
        assert len(self.driven.take(Leave)) == (self.driven.loop.phase is Phase.GONE)


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
