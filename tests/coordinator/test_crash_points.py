"""The console dies after any step of a small run, and again; it goes on; nothing is lost or counted twice."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dgconsole.coordinator import events as e
from dgconsole.coordinator import ledger as ledgers
from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.core import Core
from dgconsole.coordinator.ledger import Ledger, Reader
from dgconsole.coordinator.options import Options
from dgconsole.coordinator.tally import Tally
from dgconsole.ingest.destination import TransactionEnd
from dgconsole.support.errors import Fault
from dgconsole.wire import messages as m

IDS = np.arange(6, dtype=np.int32)
FIGURES = m.Figures((m.TableFigures("Object", 5, 2, 70, {}),), {})


class Crash(BaseException):
    """The process is gone."""


class Fuse:
    """Burns by one with each thing that the world could see; at 0 the process dies."""

    def __init__(self, length: int) -> None:
        self.left = length

    def burn(self) -> None:
        if self.left == 0:
            raise Crash
        self.left -= 1


class Disk:
    """What outlives a crash beside the ledger: final files (chunk -> attempt), and what clients were told."""

    def __init__(self) -> None:
        self.files: dict[int, int] = {}
        self.told_completed: dict[int, int] = {}
        self.accepts: list[tuple[int, int]] = []


class Database:
    """A destination with transactions: by its own number what it has of each, and what became of it."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.loads: dict[int, list[tuple[int, int]]] = {}
        self.ends: dict[int, TransactionEnd] = {}

    def recover(self, fuse: Fuse) -> dict[int, TransactionEnd]:
        for there in self.numbers.keys() - self.ends.keys():
            fuse.burn()
            self.ends[there] = TransactionEnd.ABORTED
        return {self.numbers[there]: end for there, end in self.ends.items()}

    def obey(self, order: e.Order) -> e.Event:
        match order:
            case e.OpenTransaction(number=number):
                there = len(self.numbers) + 1001
                self.numbers[there], self.loads[there] = number, []
                return e.TransactionBegun(number, there)
            case e.CommitTransaction(number=number, transaction=there):
                assert there not in self.ends, "ended twice"
                self.ends[there] = TransactionEnd.COMMITTED
                return e.Committed(number)
            case e.AbortTransaction(number=number, transaction=there):
                assert there not in self.ends, "ended twice"
                self.ends[there] = TransactionEnd.ABORTED
                return e.Aborted(number)
        raise AssertionError(order)

    def load(self, there: int, chunk: int, attempt: int) -> None:
        assert there not in self.ends, "loaded into a transaction that has ended"
        self.loads[there].append((chunk, attempt))

    def lasting(self) -> list[tuple[int, int]]:
        committed = [there for there, end in self.ends.items() if end is TransactionEnd.COMMITTED]
        return sorted(load for there in committed for load in self.loads[there])


def session(path: Path, disk: Disk, fuse: Fuse, database: Database | None = None) -> None:
    """One session to its end: two clients; chunk 4 fails once on whoever has it first."""
    ledger = Ledger(path)
    try:
        ends = database.recover(fuse) if database else {}
        fuse.burn()
        kept = ledger.start(IDS, 0.0, ends)
        core = Core(
            kept.chunks,
            Options(chunks_per_request=2, transaction_size=2, retry_wait=1.0, grouped=database is not None),
            names=kept.names,
            failures=kept.failures,
            limbo=kept.limbo,
            next_transaction=kept.next_transaction,
        )
        waiting: list[e.Event] = [e.Tick()]
        for peer in (1, 2):
            waiting += [e.Joined(peer, f"here-{peer}", "here", 1), e.Readied(peer), e.Said(peer, m.Ask(2))]
        now = 0.0
        while waiting or not core.run.finished:
            now += 1.0
            waiting = turn(core, ledger, waiting or [e.Tick()], now, disk, fuse, database)
            core.validate()
    finally:
        ledger.close()


def turn(
    core: Core,
    ledger: Ledger,
    batch: list[e.Event],
    now: float,
    disk: Disk,
    fuse: Fuse,
    database: Database | None,
) -> list[e.Event]:
    """One batch as the committer does it, the fuse burning at each step; the events that follow."""
    core.begin()
    orders = [order for event in batch for order in core.handle(event, now)]
    steps = [order.step for order in orders if isinstance(order, e.Persist)]
    if steps:
        fuse.burn()
        assert ledger.commit(steps) == ""
    follow: list[e.Event] = []
    for order in orders:
        fuse.burn()
        match order:
            case e.Accept(chunk=chunk, attempt=attempt):
                disk.files[chunk] = attempt
                disk.accepts.append((chunk, attempt))
                fuse.burn()
                follow.append(e.Accepted(((chunk, attempt),)))
            case e.OpenTransaction() | e.CommitTransaction() | e.AbortTransaction() if database:
                answer = database.obey(order)
                fuse.burn()
                follow.append(answer)
            case e.Send(peer=peer, message=m.Assign(chunks=chunks, transaction=transaction)) if chunks:
                for chunk, attempt in chunks:
                    assert chunk not in disk.told_completed
                    fails = chunk == 4 and attempt == 1
                    if database and not fails:
                        database.load(transaction, chunk, attempt)
                        fuse.burn()
                    failed = m.Failed(chunk, attempt, Fault.GENERATE, "generate", "boom")
                    follow.append(e.Said(peer, failed if fails else m.Completed(chunk, attempt, FIGURES)))
                follow.append(e.Said(peer, m.Ask(2)))
            case e.Send(message=m.Settled(chunk=chunk, attempt=attempt, accepted=True)):
                if core.chunks.state[chunk] == State.COMPLETED:
                    assert chunk not in disk.told_completed
                    disk.told_completed[chunk] = attempt
    return follow


def lengths() -> Iterator[int]:
    """Enough of them to reach the end of a session without a crash, seen below."""
    yield from range(125)


def crashes(folder: Path, first: int, second: int, database: Database | None) -> tuple[Path, Disk]:
    """Sessions that crash after so many steps, the last of them at none."""
    folder.mkdir()
    path, disk = folder / "ledger.sqlite", Disk()
    ledgers.create(path, IDS)
    for length in (first, second, 1000):
        try:
            session(path, disk, Fuse(length), database)
        except Crash:
            continue
        break
    return path, disk


@pytest.mark.parametrize("first", list(lengths()))
def test_a_crash_at_any_point_and_at_any_point_of_the_next_session(memory: Path, first: int) -> None:
    for second in (1, 4, 9, 25, 1000):
        path, disk = crashes(memory / str(second), first, second, None)
        completed = check(path)
        assert disk.files == completed, "the files are not those of the attempt that counts"
        assert disk.told_completed.items() <= completed.items()


@pytest.mark.parametrize("first", list(lengths()))
def test_the_same_where_the_destination_has_transactions(memory: Path, first: int) -> None:
    for second in (1, 4, 9, 25, 1000):
        database = Database()
        path, _ = crashes(memory / str(second), first, second, database)
        assert database.lasting() == sorted(check(path).items()), "rows are missing, or there twice"


def check(path: Path) -> dict[int, int]:
    """That all is made and counted once; which attempt of each chunk counts."""
    reader = Reader(path)
    completed = dict(reader.rows("SELECT chunk, attempt FROM attempts WHERE outcome = 'completed'"))
    states = [state for (state,) in reader.rows("SELECT state FROM chunks ORDER BY chunk")]
    used = [used for (used,) in reader.rows("SELECT used FROM chunks ORDER BY chunk")]
    count = next(reader.rows("SELECT count(*) FROM attempts WHERE outcome = 'completed'"))[0]
    opened = next(reader.rows("SELECT count(*) FROM transactions WHERE ended IS NULL"))[0]
    reader.close()
    assert states == [State.COMPLETED] * len(IDS)
    assert count == len(IDS), "a chunk was counted twice"
    assert opened == 0
    assert all(1 <= n <= 2 for n in used), "a crash of the console used up attempts"
    ledger = Ledger(path)
    tally = Tally()
    for ended in ledger.ended():
        tally.add(ended, "here-1", "here")
    ledger.close()
    assert (tally.everything.chunks, tally.everything.rows) == (6, 30)
    return completed


@pytest.mark.parametrize("database", [None, Database()])
def test_the_longest_fuse_above_reaches_the_end(memory: Path, database: Database | None) -> None:
    ledgers.create(memory / "ledger.sqlite", IDS)
    fuse = Fuse(1000)
    session(memory / "ledger.sqlite", Disk(), fuse, database)
    assert 1000 - fuse.left < len(list(lengths()))
