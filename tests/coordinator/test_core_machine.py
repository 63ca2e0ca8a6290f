"""The core against a model of the world, with a real ledger: events in any order, failed commits, crashes."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
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
from dgconsole.coordinator.standing import states_of
from dgconsole.ingest.destination import TransactionEnd
from dgconsole.snapshot import ChunkTable
from dgconsole.support.errors import Fault
from dgconsole.views.chunks import ChunkModel
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
        c.name: (c.state, c.peer, dict(c.hand), c.current, c.wanted, c.draining) for c in core.clients.values()
    }
    once = (run.stopping, run.finished, run.next_transaction, run.guard_cause, run.guard_chunks, run.sealed)
    notes = (dict(core.failures), dict(core.limbo), dict(core.accepting), list(core.names), dict(core.peers))
    loads = (dict(core.loaded), {number: t.copy() for number, t in core.transactions.items()}, run.refusals)
    return [a.tolist() for a in arrays], clients, once, notes, loads, list(chunks.counts), chunks.retrying


@dataclass
class There:
    """A transaction as the destination has it: ``loads`` are whole, ``scraps`` says that there are others."""

    number: int
    client: str
    end: TransactionEnd | None = None
    loads: list[tuple[int, int]] = field(default_factory=list)
    scraps: bool = False


@dataclass(frozen=True)
class Uploader:
    """A process that is no longer connected and may be loading something until it ends, or ``until``."""

    name: str
    transaction: int
    until: float


class World(RuleBasedStateMachine):
    """What clients and destination know, beside what the core decides."""

    @initialize(count=st.integers(1, 14), grouped=st.booleans())
    def open(self, count: int, grouped: bool) -> None:
        self.options = msgspec.structs.replace(OPTIONS, grouped=grouped)
        self.there: dict[int, There] = {}
        self.loads_in: dict[tuple[int, int], int] = {}
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
        for there in self.there.values():
            there.end = there.end or TransactionEnd.ABORTED
        ends = {there.number: there.end for there in self.there.values() if there.end}
        kept = self.ledger.start(self.ids, self.now, ends)
        self.core = Core(
            kept.chunks,
            self.options,
            names=kept.names,
            failures=kept.failures,
            limbo=kept.limbo,
            next_transaction=kept.next_transaction,
        )
        boxes = np.zeros((len(self.ids), 4))
        self.face = ChunkModel(ChunkTable(count=len(self.ids), ids=self.ids.tobytes(), boxes=boxes.tobytes()))
        self.hands: dict[int, dict[int, int]] = {}
        self.names: dict[int, str] = {}
        self.to_accept: list[tuple[int, int]] = []
        self.stuck: list[tuple[int, int]] = []
        self.zombies: list[tuple[int, int]] = []
        self.orders: list[e.OpenTransaction | e.CommitTransaction | e.AbortTransaction] = []
        self.uploaders: list[Uploader] = []
        self.broken = self.stopping = False
        done = set(kept.chunks.ids[kept.chunks.state == State.COMPLETED].tolist())
        assert self.completed <= done
        if self.options.grouped:
            assert done == {chunk for there in self.there.values() for chunk in self.lasting(there)}
        self.completed = done

    @staticmethod
    def lasting(there: There) -> list[int]:
        return [chunk for chunk, _ in there.loads] if there.end is TransactionEnd.COMMITTED else []

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
        self.look()
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
        if self.options.grouped:
            states = self.core.chunks.state
            self.completed |= set(self.ids[states == State.COMPLETED].tolist())

    def carry_out(self, order: e.Order) -> None:
        match order:
            case e.Greet(peer=peer, name=name):
                self.names[peer] = name
                self.hands[peer] = {}
            case e.Send(peer=peer, message=m.Assign(chunks=chunks, transaction=transaction)):
                self.handed(peer, chunks)
                assert bool(transaction) == (self.options.grouped and bool(chunks))
                if transaction and peer in self.names:
                    assert self.there[transaction].client == self.names[peer]
                self.loads_in.update(dict.fromkeys(chunks, transaction))
            case e.Send(peer=peer, message=m.Settled(chunk=chunk, attempt=attempt, accepted=accepted)):
                if accepted and self.core.chunks.state[self.core.chunks.index(chunk)] == State.COMPLETED:
                    self.completed.add(chunk)
                self.hands.get(peer, {}).pop(chunk, None)
            case e.Accept(chunk=chunk, attempt=attempt):
                assert attempt == self.fence[chunk], "files of an older attempt would be accepted"
                self.to_accept.append((chunk, attempt))
            case e.Drop(peer=peer):
                self.gone(peer)
            case e.OpenTransaction(number=number):
                assert all(number != there.number for there in self.there.values())
                self.orders.append(order)
            case e.CommitTransaction(number=number, transaction=transaction):
                there = self.there[transaction]
                assert (there.number, there.end, there.scraps) == (number, None, False)
                assert sorted(there.loads) == sorted(self.waiting_for(number))
                self.orders.append(order)
            case e.AbortTransaction(transaction=transaction):
                late = [u for u in self.uploaders if u.transaction == transaction and u.until > self.now]
                assert not late, "undone while somebody may be loading"
                self.orders.append(order)

    def waiting_for(self, number: int) -> list[tuple[int, int]]:
        loaded = self.core.loaded.items()
        return [(int(self.ids[i]), each.hold.attempt) for i, each in loaded if each.hold.transaction == number]

    def gone(self, peer: int, *, ended: bool = False) -> None:
        """The client is connected no more; its process may go on loading what it had in hand."""
        hand, name = self.hands.pop(peer, {}), self.names.pop(peer, "")
        self.zombies += hand.items()
        if ended:
            self.uploaders = [each for each in self.uploaders if each.name != name]
        elif self.options.grouped:
            self.uploaders += [Uploader(name, self.loads_in[key], self.now + OPTIONS.lease) for key in hand.items()]

    def load(self, transaction: int, *whole: tuple[int, int]) -> None:
        """Rows arrive at the destination: of a whole chunk, or of a part of one."""
        if self.options.grouped:
            there = self.there[transaction]
            assert there.end is None, "loaded into a transaction that has ended"
            there.loads += whole
            there.scraps = there.scraps or not whole

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
        """A chunk is done with; of one that was given back, there may be a stage or not."""
        peer = data.draw(st.sampled_from(sorted(p for p, hand in self.hands.items() if hand)))
        chunk, attempt = data.draw(st.sampled_from(sorted(self.hands[peer].items())))
        message: Any
        name, transaction = self.names[peer], self.loads_in[chunk, attempt]
        how = "complete" if how == "older" and attempt == 1 else how
        if how == "complete":
            message = m.Completed(chunk, attempt, FIGURES)
            self.load(transaction, (chunk, attempt))
        elif how == "older":
            message = m.Completed(chunk, attempt - 1, FIGURES)
        else:
            untouched = how == Fault.STOPPED and data.draw(st.booleans())
            message = m.Failed(chunk, attempt, Fault(how), "" if untouched else "deliver", f"no luck with {chunk}")
            if not untouched:
                self.load(transaction)
            if how == Fault.STOPPED and not untouched and self.options.grouped:
                self.uploaders.append(Uploader(name, transaction, self.now + OPTIONS.lease))
        if how != "older":
            del self.hands[peer][chunk]  # the client has done with it, whatever the answer
        also = [e.Said(peer, m.Ask(2))] if more else []
        if self.options.grouped and isinstance(message, m.Failed) and data.draw(st.booleans()):
            for key in [key for key in self.hands[peer].items() if self.loads_in[key] == transaction]:
                del self.hands[peer][key[0]]
                also.insert(0, e.Said(peer, m.Failed(*key, Fault.STOPPED, "", "another chunk failed")))
        self.feed(e.Said(peer, message), *also, fails=fails)

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data(), fails=st.booleans(), more=st.booleans())
    def all_done(self, data: st.DataObject, fails: bool, more: bool) -> None:
        """A client completes whatever it has in hand."""
        peer = data.draw(st.sampled_from(sorted(p for p, hand in self.hands.items() if hand)))
        self.complete_all(peer, *([e.Said(peer, m.Ask(4))] if more else []), fails=fails)

    def complete_all(self, peer: int, *also: e.Event, fails: bool = False) -> None:
        events: list[e.Event] = []
        for key in list(self.hands[peer].items()):
            self.load(self.loads_in[key], key)
            del self.hands[peer][key[0]]
            events.append(e.Said(peer, m.Completed(*key, FIGURES)))
        self.feed(*events, *also, fails=fails)

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

    # ---- a destination with transactions

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), how=st.sampled_from(["done", "done", "done", "refused", "lost"]), fails=st.booleans())
    def destination(self, data: st.DataObject, how: str, fails: bool) -> None:
        self.answer(data.draw(st.sampled_from(self.orders)), how, fails=fails)

    def answer(
        self, order: e.OpenTransaction | e.CommitTransaction | e.AbortTransaction, how: str, *, fails: bool = False
    ) -> None:
        """``lost``: it is done, but the answer does not come and somebody gives it up."""
        self.orders.remove(order)
        number, done = order.number, how != "refused"
        event: e.Event
        if isinstance(order, e.OpenTransaction):
            key = 1000 + number
            if done:
                self.there[key] = There(number, order.client)
            event = e.TransactionBegun(number, key) if how == "done" else e.TransactionRefused(number, "too many")
            self.feed(event, fails=fails)
            return
        there = self.there[order.transaction]
        if isinstance(order, e.CommitTransaction):
            if done:
                there.end = TransactionEnd.COMMITTED
            event = e.Committed(number) if how == "done" else e.CommitFailed(number, "no answer")
        else:
            if done:
                there.end = there.end or TransactionEnd.ABORTED
            committed = there.end is TransactionEnd.COMMITTED
            event = e.Aborted(number, committed) if how == "done" else e.AbortFailed(number, "no answer")
        self.feed(event, fails=fails)

    @precondition(lambda self: self.uploaders)
    @rule(data=st.data())
    def goes_on_loading(self, data: st.DataObject) -> None:
        uploader = data.draw(st.sampled_from(self.uploaders))
        if uploader.until > self.now:
            self.load(uploader.transaction)

    @precondition(lambda self: self.uploaders)
    @rule(data=st.data(), fails=st.booleans())
    def process_ends(self, data: st.DataObject, fails: bool) -> None:
        name = data.draw(st.sampled_from(self.uploaders)).name
        if name not in self.names.values():
            self.uploaders = [each for each in self.uploaders if each.name != name]
            self.feed(e.Exited(name, "signal 9"), fails=fails)

    @precondition(lambda self: self.options.grouped and self.hands and not self.broken)
    @rule(data=st.data(), rounds=st.integers(1, 6), commits=st.booleans())
    def goes_well(self, data: st.DataObject, rounds: int, commits: bool) -> None:
        """Chunks are asked for, loaded and reported, and the destination answers, but perhaps not to commits."""
        peer = self.some_peer(data)
        for _ in range(rounds):
            self.feed(e.Said(peer, m.Ask(3)))
            for order in [each for each in self.orders if commits or not isinstance(each, e.CommitTransaction)]:
                self.answer(order, "done")
            if self.hands.get(peer):
                self.complete_all(peer)

    @precondition(lambda self: not self.hands and self.core.transactions)
    @rule(fails=st.booleans())
    def all_processes_end(self, fails: bool) -> None:
        self.uploaders.clear()
        self.feed(e.ClientsEnded(), fails=fails)

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
            self.gone(peer, ended=how == "exited")
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

    @rule(chance=st.integers(0, 4), data=st.data())
    def crash(self, chance: int, data: st.DataObject) -> None:
        """What the destination was asked for last it may have done, or not."""
        if chance == 0:
            for order in self.orders:
                if isinstance(order, e.CommitTransaction) and data.draw(st.booleans()):
                    self.there[order.transaction].end = TransactionEnd.COMMITTED
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
        if self.options.grouped:
            self.each_row_is_there_once()

    def each_row_is_there_once(self) -> None:
        """What is committed is completed, or waits for that word; nothing is twice."""
        chunks = self.core.chunks
        lasting = [load for there in self.there.values() if self.lasting(there) for load in there.loads]
        assert len({chunk for chunk, _ in lasting}) == len(lasting), "a chunk's rows are there twice"
        attempts = dict(lasting)
        for chunk in self.completed:
            assert attempts[chunk] == chunks.attempt[chunks.index(chunk)]
        for chunk in attempts.keys() - self.completed:
            assert chunks.state[chunks.index(chunk)] == State.DELIVERED

    def look(self) -> None:
        """As a face does, now and then, also while a batch is being written: what changed is all that it takes."""
        core = self.core
        if core.revision % 3 and core.chunk_revision > self.face.revision:
            at = core.changed_since(self.face.revision)
            self.face.update(states_of(core.chunks, core.names, core.failures, core.revision, at))

    @invariant()
    def a_face_that_takes_changes_alone_misses_none(self) -> None:
        self.look()
        core = self.core
        if core.chunk_revision > self.face.revision:
            return
        whole = ChunkModel(ChunkTable(count=len(self.ids), ids=self.ids.tobytes(), boxes=self.face.boxes.tobytes()))
        whole.update(states_of(core.chunks, core.names, core.failures, core.revision))
        for name in ("states", "attempts", "clients", "rows", "seconds", "cause_of"):
            np.testing.assert_array_equal(getattr(self.face, name), getattr(whole, name), name)

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
        delivered = "SELECT count(*) FROM attempts WHERE outcome = 'delivered'"
        assert next(self.reader.rows(delivered))[0] == chunks.counts[State.DELIVERED]
        in_memory = sorted(self.core.transactions)
        stored_open = "SELECT id FROM transactions WHERE ended IS NULL ORDER BY id"
        assert [row[0] for row in self.reader.rows(stored_open)] == in_memory
        assert next(self.reader.rows("SELECT max(used) FROM chunks"))[0] <= OPTIONS.max_attempts


World.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorld = World.TestCase
