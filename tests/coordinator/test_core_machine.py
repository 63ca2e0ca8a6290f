"""The core against a model of the world, with a real ledger: events in any order, failed commits, crashes."""

import tempfile
from pathlib import Path
from typing import Any

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
NAMES = ("here-1", "here-2", "there-1")
FIGURES = m.Figures((m.TableFigures("Object", 5, 2, 70, {"generate": 0.1}),), {"generate": 0.1})
OPTIONS = Options(lease=10.0, stall_timeout=50.0, heartbeat=2.0, transaction_size=3, chunks_per_request=4)


def picture(core: Core) -> Any:
    """All that a failed commit must leave as it was."""
    chunks, run = core.chunks, core.run
    arrays = (chunks.state, chunks.attempt, chunks.used, chunks.client, chunks.avoid, chunks.fresh, chunks.rows)
    clients = {
        c.name: (c.state, c.peer, dict(c.hand), dict(c.transactions), c.current, c.room, c.wanted, c.draining)
        for c in core.clients.values()
    }
    once = (run.stopping, run.finished, run.next_transaction, run.guard_cause, run.guard_chunks, run.sealed)
    notes = (dict(core.failures), dict(core.limbo), dict(core.accepting), list(core.names), dict(core.peers))
    return [a.tolist() for a in arrays], clients, once, notes, list(chunks.counts), chunks.retrying


class World(RuleBasedStateMachine):
    """What clients and destination know, beside what the core decides."""

    @initialize(count=st.integers(1, 14))
    def open(self, count: int) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.path = Path(self.folder.name) / "ledger.sqlite"
        self.ids = np.arange(50, 50 + count, dtype=np.int32)
        ledgers.create(self.path, self.ids)
        self.now = 100.0
        self.peer = 0
        self.completed: set[int] = set()
        self.fence: dict[int, int] = {}
        self.attempts_since_fresh: dict[int, int] = {}
        self.begin()

    def begin(self) -> None:
        """A session: the first one, or after a crash."""
        self.ledger = Ledger(self.path)
        self.reader = Reader(self.path)
        kept = self.ledger.start(self.ids, self.now)
        self.core = Core(
            kept.chunks,
            OPTIONS,
            names=kept.names,
            failures=kept.failures,
            limbo=kept.limbo,
            next_transaction=kept.next_transaction,
        )
        self.hands: dict[int, dict[int, int]] = {}
        self.names: dict[int, str] = {}
        self.to_accept: list[tuple[int, int]] = []
        self.stuck: list[tuple[int, int]] = []
        self.zombies: list[tuple[int, int]] = []
        self.broken = self.stopping = False
        done = set(kept.chunks.ids[kept.chunks.state == State.COMPLETED].tolist())
        assert self.completed <= done
        self.completed = done

    def teardown(self) -> None:
        if hasattr(self, "reader"):
            self.reader.close()
            self.ledger.close()
            self.folder.cleanup()

    # ---- one batch, as the committer does it

    def feed(self, *events: e.Event, fails: bool = False) -> None:
        before = picture(self.core)
        limbo = set(self.core.limbo)
        self.core.begin()
        orders = [order for event in events for order in self.core.handle(event, self.now)]
        steps = [order.step for order in orders if isinstance(order, e.Persist)]
        if steps and fails:
            orders = self.core.fail(events, "disk full", self.now)
            self.broken = True
            if not any(isinstance(event, e.StopRun) for event in events):
                assert picture(self.core) == before
        elif steps:
            assert self.ledger.commit(steps) == ""
        self.replaying = any(isinstance(event, e.ResumeRun) for event in events)
        if self.replaying and not (steps and fails):
            self.broken = False
        for i in limbo - set(self.core.limbo):
            self.attempts_since_fresh.pop(int(self.core.chunks.ids[i]), None)
        for order in orders:
            self.carry_out(order)

    def carry_out(self, order: e.Order) -> None:
        match order:
            case e.Greet(peer=peer, name=name):
                self.names[peer] = name
                self.hands[peer] = {}
            case e.Send(peer=peer, message=m.Assign(chunks=chunks)):
                self.handed(peer, chunks)
            case e.Send(peer=peer, message=m.Settled(chunk=chunk, attempt=attempt, accepted=accepted)):
                if accepted and self.core.chunks.state[self.core.chunks.index(chunk)] == State.COMPLETED:
                    self.completed.add(chunk)
                self.hands.get(peer, {}).pop(chunk, None)
            case e.Accept(chunk=chunk, attempt=attempt):
                assert attempt == self.fence[chunk], "files of an older attempt would be accepted"
                self.to_accept.append((chunk, attempt))
            case e.Drop(peer=peer):
                self.zombies += self.hands.pop(peer, {}).items()
                self.names.pop(peer, None)

    def handed(self, peer: int, chunks: tuple[tuple[int, int], ...]) -> None:
        assert not chunks or not self.stopping
        assert not chunks or not self.core.run.pauses or self.replaying
        assert len(chunks) <= OPTIONS.chunks_per_request
        for chunk, attempt in chunks:
            assert chunk not in self.completed, "a completed chunk was handed out"
            assert all(chunk not in hand for hand in self.hands.values()), "a chunk is two clients'"
            assert all(chunk != other for other, _ in (*self.to_accept, *self.stuck))
            assert attempt > self.fence.get(chunk, 0), "an attempt number came twice"
            self.fence[chunk] = attempt
            if peer in self.hands:
                self.hands[peer][chunk] = attempt
            else:  # it left while the ledger could not be written; its end is among the events held
                self.zombies.append((chunk, attempt))

    # ---- events

    def some_peer(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.hands)), label="peer")

    @rule(name=st.sampled_from(NAMES), fails=st.booleans())
    def expect(self, name: str, fails: bool) -> None:
        self.feed(e.Expected(name, name.split("-")[0]), fails=fails)

    @rule(name=st.sampled_from(NAMES), fails=st.booleans(), ask=st.integers(0, 6))
    def join(self, name: str, fails: bool, ask: int) -> None:
        if name in self.names.values() or self.broken:
            return
        self.peer += 1
        self.feed(e.Joined(self.peer, name, name.split("-")[0], 1), fails=fails)
        if self.peer in self.hands:
            self.feed(e.Readied(self.peer), *([e.Said(self.peer, m.Ask(ask))] if ask else []))

    @precondition(lambda self: self.hands)
    @rule(data=st.data(), count=st.integers(1, 6), fails=st.booleans())
    def ask(self, data: st.DataObject, count: int, fails: bool) -> None:
        self.feed(e.Said(self.some_peer(data), m.Ask(count)), fails=fails)

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data(), how=st.sampled_from(["complete", "older", *Fault]), fails=st.booleans(), more=st.booleans())
    def report(self, data: st.DataObject, how: str, fails: bool, more: bool) -> None:
        peer = data.draw(st.sampled_from(sorted(p for p, hand in self.hands.items() if hand)))
        chunk, attempt = data.draw(st.sampled_from(sorted(self.hands[peer].items())))
        message: Any
        if how == "complete":
            message = m.Completed(chunk, attempt, FIGURES)
        elif how == "older":
            message = m.Completed(chunk, max(1, attempt - 1), FIGURES)
        else:
            message = m.Failed(chunk, attempt, Fault(how), "generate", f"no luck with chunk {chunk}")
        if how != "older":
            del self.hands[peer][chunk]  # the client has done with it, whatever the answer
        also = [e.Said(peer, m.Ask(2))] if more else []
        self.feed(e.Said(peer, message), *also, fails=fails)

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data(), fault=st.sampled_from([Fault.STOPPED, Fault.DELIVER]), fails=st.booleans())
    def files_not_kept(self, data: st.DataObject, fault: Fault, fails: bool) -> None:
        """For want of space at the console, or spoilt on the way."""
        peer = data.draw(st.sampled_from(sorted(p for p, hand in self.hands.items() if hand)))
        chunk, attempt = data.draw(st.sampled_from(sorted(self.hands[peer].items())))
        del self.hands[peer][chunk]
        trouble = [e.DestinationTrouble("disk full")] if fault is Fault.STOPPED else []
        self.feed(*trouble, e.Undelivered(peer, chunk, attempt, fault, "no files"), fails=fails)

    @precondition(lambda self: self.zombies and self.hands)
    @rule(data=st.data())
    def late(self, data: st.DataObject) -> None:
        chunk, attempt = data.draw(st.sampled_from(sorted(self.zombies)))
        peer = self.some_peer(data)
        if self.hands[peer].get(chunk) != attempt:
            before = self.core.chunks.state.copy()
            self.feed(e.Said(peer, m.Completed(chunk, attempt, FIGURES)))
            assert (self.core.chunks.state == before).all()

    @precondition(lambda self: self.to_accept)
    @rule(data=st.data(), how=st.sampled_from(["taken", "taken", "taken", "refused", "trouble"]), fails=st.booleans())
    def accept(self, data: st.DataObject, how: str, fails: bool) -> None:
        item = data.draw(st.sampled_from(self.to_accept))
        self.to_accept.remove(item)
        if how == "taken":
            self.feed(e.Accepted((item,)), fails=fails)
        elif how == "refused":
            self.feed(e.AcceptFailed(*item, "no such file"), fails=fails)
        else:
            self.stuck.append(item)
            self.feed(e.DestinationTrouble("disk full"), fails=fails)

    @precondition(lambda self: self.hands)
    @rule(data=st.data(), number=st.integers(0, 3))
    def ping(self, data: st.DataObject, number: int) -> None:
        peer = self.some_peer(data)
        self.feed(e.Said(peer, m.Ping(1, number)))
        for chunk, attempt in self.hands.get(peer, {}).items():
            self.feed(e.Said(peer, m.Progress(chunk, attempt, "generate", 0.5, 3, 30)))

    @precondition(lambda self: self.hands)
    @rule(
        data=st.data(),
        how=st.sampled_from(["bye", "give up", "gone", "exited", "turned away", "stop", "stop now"]),
        fails=st.booleans(),
    )
    def leave(self, data: st.DataObject, how: str, fails: bool) -> None:
        peer = self.some_peer(data)
        name = self.names[peer]
        events: dict[str, list[e.Event]] = {
            "bye": [e.Said(peer, m.Bye()), e.Gone(peer, "closed")],
            "give up": [
                e.Said(peer, m.GiveUp(Fault.DISK, "no space")),
                e.Said(peer, m.Bye()),
                e.Gone(peer, "closed"),
            ],
            "gone": [e.Gone(peer, "closed")],
            "exited": [e.Exited(name, "signal 9"), e.Gone(peer, "closed")],
            "turned away": [e.TurnedAway(peer, "other plan"), e.Gone(peer, "closed")],
            "stop": [e.StopOne(name, now=False)],
            "stop now": [e.StopOne(name, now=True)],
        }
        if not how.startswith("stop"):
            self.zombies += self.hands.pop(peer).items()
            del self.names[peer]
        self.feed(*events[how], fails=fails)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 30.0]), fails=st.booleans())
    def time_passes(self, seconds: float, fails: bool) -> None:
        self.now += seconds
        self.feed(e.Tick(), fails=fails)

    @rule(
        event=st.sampled_from([e.PauseRun(), e.RetryChunks(None), e.RetryChunks((50, 52, 9999))]), fails=st.booleans()
    )
    def person(self, event: e.Event, fails: bool) -> None:
        self.feed(event, fails=fails)

    @rule(fails=st.booleans())
    def resume(self, fails: bool) -> None:
        self.to_accept, self.stuck = self.to_accept + self.stuck, []
        self.feed(e.ResumeRun(), fails=fails)

    @precondition(lambda self: not self.stopping)
    @rule(now=st.booleans(), fails=st.booleans(), chance=st.integers(0, 9))
    def stop(self, now: bool, fails: bool, chance: int) -> None:
        if chance == 0:
            self.feed(e.StopRun(now), fails=fails)
            self.stopping = True

    @rule(chance=st.integers(0, 4))
    def crash(self, chance: int) -> None:
        if chance == 0:
            self.reader.close()
            self.ledger.close()
            self.begin()

    # ---- what always holds

    @invariant()
    def consistent(self) -> None:
        if not hasattr(self, "core"):
            return
        self.core.validate()
        chunks = self.core.chunks
        assert all(chunks.state[chunks.index(chunk)] == State.COMPLETED for chunk in self.completed)

    @invariant()
    def ledger_agrees(self) -> None:
        if not hasattr(self, "core"):
            return
        chunks = self.core.chunks
        stored = list(self.reader.rows("SELECT chunk, state, attempt, used FROM chunks ORDER BY chunk"))
        arrays = (chunks.ids, chunks.state, chunks.attempt, chunks.used)
        assert stored == list(zip(*(a.tolist() for a in arrays), strict=True))
        opened = "SELECT count(*) FROM attempts WHERE ended IS NULL"
        assert next(self.reader.rows(opened))[0] == chunks.counts[State.ASSIGNED]
        in_memory = sorted(t for c in self.core.clients.values() for t in c.transactions)
        stored_open = "SELECT id FROM transactions WHERE ended IS NULL ORDER BY id"
        assert [row[0] for row in self.reader.rows(stored_open)] == in_memory
        assert next(self.reader.rows("SELECT max(used) FROM chunks"))[0] <= OPTIONS.max_attempts


World.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorld = World.TestCase
