"""Clients that keep their files, in a model of the world: what counts has its files where the ledger says."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dgconsole.coordinator import events as e
from dgconsole.coordinator import ledger as ledgers
from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.core import Core
from dgconsole.coordinator.ledger import Ledger, Reader
from dgconsole.coordinator.options import Options
from dgconsole.support.errors import Fault
from dgconsole.wire import messages as m

MEMORY = Path("/dev/shm")
FIGURES = m.Figures((m.TableFigures("Object", 5, 2, 70, {}),), {})
OPTIONS = Options(lease=10.0, stall_timeout=25.0, transaction_size=3, chunks_per_request=3, max_attempts=200)
HOSTS = {"far-1": "far", "far-2": "far", "off-1": "off", "here-1": "here"}
"""Clients and their hosts; those of ``here`` see the run directory."""


SELDOM = st.sampled_from([False] * 7 + [True])


class Order(NamedTuple):
    """To keep an attempt, on its way to a client that may be gone for the coordinator and yet carry it out."""

    peer: int
    host: str
    chunk: int
    attempt: int


class World(RuleBasedStateMachine):
    """Folders of hosts, and clients that answer in any order, or never."""

    @initialize(count=st.integers(1, 8))
    def open(self, count: int) -> None:
        self.directory = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.path = Path(self.directory.name) / "ledger.sqlite"
        self.ids = np.arange(50, 50 + count, dtype=np.int32)
        ledgers.create(self.path, self.ids)
        self.now, self.peer = 100.0, 0
        self.named: set[tuple[str, int]] = set()
        self.told: set[int] = set()
        self.orders: list[Order] = []
        self.begin()

    def begin(self) -> None:
        self.ledger, self.reader = Ledger(self.path), Reader(self.path)
        kept = self.ledger.start(self.ids, self.now)
        self.core = Core(
            kept.chunks,
            OPTIONS,
            names=kept.names,
            failures=kept.failures,
            limbo=kept.limbo,
            next_transaction=kept.next_transaction,
        )
        self.clients: dict[int, str] = {}
        self.hands: dict[int, dict[int, int]] = {}
        self.broken = False

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.reader.close()
            self.ledger.close()
            self.directory.cleanup()

    def feed(self, *events: e.Event, fails: bool = False) -> None:
        """One batch, as the committer does it."""
        self.core.begin()
        orders = [order for event in events for order in self.core.handle(event, self.now)]
        steps = [order.step for order in orders if isinstance(order, e.Persist)]
        if steps and fails:
            orders = self.core.fail(events, "disk full", self.now)
            self.broken = True
        elif steps:
            assert self.ledger.commit(steps) == ""
        if any(isinstance(event, e.ResumeRun) for event in events) and not (steps and fails):
            self.broken = False
        for order in orders:
            self.carry_out(order)

    def carry_out(self, order: e.Order) -> None:
        match order:
            case e.Send(peer=peer, message=m.Assign(chunks=chunks)):
                self.hands.get(peer, {}).update(chunks)
            case e.Send(peer=peer, message=m.Keep(chunk=chunk, attempt=attempt)):
                if peer in self.clients:
                    assert HOSTS[self.clients[peer]] != "here"
                    self.orders.append(Order(peer, HOSTS[self.clients[peer]], chunk, attempt))
            case e.Send(message=m.Settled(chunk=chunk, accepted=True)):
                if self.core.chunks.state[self.core.chunks.index(chunk)] == State.COMPLETED:
                    self.told.add(chunk)
            case e.Accept(chunk=chunk, attempt=attempt):
                self.named.add(("", chunk))
                self.accepted = (chunk, attempt)
            case e.Drop(peer=peer):
                self.clients.pop(peer, None)
                self.hands.pop(peer, None)

    # ---- what happens

    @precondition(lambda self: not self.broken)
    @rule(name=st.sampled_from(sorted(HOSTS)), fails=SELDOM)
    def join(self, name: str, fails: bool) -> None:
        if name in self.clients.values():
            return
        self.peer += 1
        self.clients[self.peer], self.hands[self.peer] = name, {}
        folder = "" if HOSTS[name] == "here" else "/chunks"
        self.feed(e.Joined(self.peer, name, HOSTS[name], 1), fails=fails)
        if not self.broken:
            self.feed(e.Readied(self.peer, folder), e.Said(self.peer, m.Ask(3)))

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), fails=SELDOM)
    def ask(self, data: st.DataObject, fails: bool) -> None:
        peer = data.draw(st.sampled_from(sorted(self.clients)))
        self.feed(e.Said(peer, m.Ask(3)), fails=fails)

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data(), fails=SELDOM, whole=st.booleans())
    def made(self, data: st.DataObject, fails: bool, whole: bool) -> None:
        peer = data.draw(st.sampled_from(sorted(p for p, hand in self.hands.items() if hand)))
        chunk, attempt = data.draw(st.sampled_from(sorted(self.hands[peer].items())))
        del self.hands[peer][chunk]
        self.accepted = (-1, -1)
        self.feed(e.Said(peer, m.Completed(chunk, attempt, FIGURES)), fails=fails)
        if self.accepted[0] >= 0:
            self.feed(e.Accepted((self.accepted,)) if whole else e.AcceptFailed(*self.accepted, "gone"))

    @precondition(lambda self: self.clients and not self.broken)
    @rule(data=st.data())
    def makes_all(self, data: st.DataObject) -> None:
        """A client asks, and completes whatever it has in hand."""
        peer = data.draw(st.sampled_from(sorted(self.clients)))
        if HOSTS[self.clients[peer]] != "here":
            self.feed(e.Said(peer, m.Ask(3)))
            hand = self.hands.get(peer, {})
            done = [e.Said(peer, m.Completed(chunk, attempt, FIGURES)) for chunk, attempt in hand.items()]
            hand.clear()
            self.feed(*done)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), how=st.sampled_from(["kept", "kept", "kept", "failed", "unsaid"]), fails=SELDOM)
    def keep(self, data: st.DataObject, how: str, fails: bool) -> None:
        """Whoever has the order carries it out, if the coordinator still listens or not."""
        order = data.draw(st.sampled_from(self.orders))
        self.orders.remove(order)
        if how != "failed":
            self.named.add((order.host, order.chunk))
        if how != "unsaid" and order.peer in self.clients:
            error = "no space" if how == "failed" else ""
            self.feed(e.Said(order.peer, m.Kept(order.chunk, order.attempt, error, Fault.DISK)), fails=fails)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), chunk=st.integers(49, 58), attempt=st.integers(1, 4))
    def says_what_nobody_asked(self, data: st.DataObject, chunk: int, attempt: int) -> None:
        peer = data.draw(st.sampled_from(sorted(self.clients)))
        if not any((each.peer, each.chunk, each.attempt) == (peer, chunk, attempt) for each in self.waited_for()):
            before = self.core.chunks.state.copy()
            self.feed(e.Said(peer, m.Kept(chunk, attempt)))
            if not self.broken:
                assert (self.core.chunks.state == before).all()

    def waited_for(self) -> list[Order]:
        """What the core still waits for, with those whose answers were not said."""
        return [
            Order(a.peer, "", int(self.ids[i]), a.hold.attempt) for i, a in self.core.accepting.items() if a.folder
        ]

    @precondition(lambda self: self.clients)
    @rule(
        data=st.data(),
        how=st.sampled_from(["bye", "give up", "gone", "exited", "stop now"]),
        fails=SELDOM,
    )
    def leave(self, data: st.DataObject, how: str, fails: bool) -> None:
        peer = data.draw(st.sampled_from(sorted(self.clients)))
        name = self.clients[peer]
        events: dict[str, list[e.Event]] = {
            "bye": [e.Said(peer, m.Bye()), e.Gone(peer, "closed")],
            "give up": [e.Said(peer, m.GiveUp(Fault.DISK, "no space"))],
            "gone": [e.Gone(peer, "closed")],
            "exited": [e.Exited(name, "signal 9"), e.Gone(peer, "closed")],
            "stop now": [e.StopOne(name, now=True)],
        }
        if how in ("bye", "gone", "exited"):
            del self.clients[peer], self.hands[peer]
        elif how == "give up":
            self.hands[peer] = {}
        self.feed(*events[how], fails=fails)

    @rule(seconds=st.sampled_from([1.0, 5.0, 20.0]), fails=SELDOM, alive=st.booleans())
    def time_passes(self, seconds: float, fails: bool, alive: bool) -> None:
        self.now += seconds
        if alive:
            self.feed(*(e.Said(peer, m.Ping(1, 1)) for peer in self.clients))
        self.feed(e.Tick(), fails=fails)

    @rule(fails=SELDOM)
    def resume(self, fails: bool) -> None:
        self.feed(e.ResumeRun(), e.RetryChunks(None), fails=fails)

    @rule(chance=st.integers(0, 5))
    def crash(self, chance: int) -> None:
        """The console's end; orders that were sent may still be carried out."""
        if chance == 0:
            self.reader.close()
            self.ledger.close()
            self.begin()

    # ---- what always holds

    @invariant()
    def consistent(self) -> None:
        if hasattr(self, "core"):
            self.core.validate()
            states = self.core.chunks.state
            assert all(states[self.core.chunks.index(chunk)] == State.COMPLETED for chunk in self.told)

    @invariant()
    def what_counts_is_where_the_ledger_says(self) -> None:
        if not hasattr(self, "core"):
            return
        counted = list(
            self.reader.rows(
                "SELECT c.chunk, k.host, a.folder FROM chunks c JOIN attempts a USING (chunk, attempt)"
                " JOIN clients k ON k.client = a.client WHERE c.state = 3"
            )
        )
        for chunk, host, folder in counted:
            assert bool(folder) is (host != "here")
            assert (host if folder else "", chunk) in self.named
        assert len(counted) == self.core.chunks.counts[State.COMPLETED]
        assert list(self.reader.rows("SELECT 1 FROM attempts WHERE folder <> '' AND outcome <> 'completed'")) == []


World.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorld = World.TestCase
