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


def session(path: Path, disk: Disk, fuse: Fuse) -> None:
    """One session to its end: two clients; chunk 4 fails once on whoever has it first."""
    ledger = Ledger(path)
    try:
        kept = ledger.start(IDS, 0.0)
        core = Core(
            kept.chunks,
            Options(chunks_per_request=2, transaction_size=2, retry_wait=1.0),
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
            waiting = turn(core, ledger, waiting or [e.Tick()], now, disk, fuse)
            core.validate()
    finally:
        ledger.close()


def turn(core: Core, ledger: Ledger, batch: list[e.Event], now: float, disk: Disk, fuse: Fuse) -> list[e.Event]:
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
            case e.Send(peer=peer, message=m.Assign(chunks=chunks)) if chunks:
                for chunk, attempt in chunks:
                    assert chunk not in disk.told_completed
                    fails = chunk == 4 and attempt == 1
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
    yield from range(75)


@pytest.mark.parametrize("first", list(lengths()))
def test_a_crash_at_any_point_and_at_any_point_of_the_next_session(memory: Path, first: int) -> None:
    for second in (1, 4, 9, 25, 1000):
        folder = memory / str(second)
        folder.mkdir()
        path = folder / "ledger.sqlite"
        ledgers.create(path, IDS)
        disk = Disk()
        for length in (first, second, 1000):
            try:
                session(path, disk, Fuse(length))
            except Crash:
                continue
            break
        check(path, disk)


def check(path: Path, disk: Disk) -> None:
    reader = Reader(path)
    completed = dict(reader.rows("SELECT chunk, attempt FROM attempts WHERE outcome = 'completed'"))  # type: ignore[arg-type]
    states = [state for (state,) in reader.rows("SELECT state FROM chunks ORDER BY chunk")]
    used = [used for (used,) in reader.rows("SELECT used FROM chunks ORDER BY chunk")]
    count = next(reader.rows("SELECT count(*) FROM attempts WHERE outcome = 'completed'"))[0]
    opened = next(reader.rows("SELECT count(*) FROM transactions WHERE ended IS NULL"))[0]
    reader.close()
    assert states == [State.COMPLETED] * len(IDS)
    assert count == len(IDS), "a chunk was counted twice"
    assert opened == 0
    assert disk.files == completed, "the files are not those of the attempt that counts"
    assert disk.told_completed.items() <= completed.items()
    assert all(1 <= n <= 2 for n in used), "a crash of the console used up attempts"
    ledger = Ledger(path)
    tally = Tally()
    for ended in ledger.ended():
        tally.add(ended, "here-1", "here")
    ledger.close()
    assert (tally.everything.chunks, tally.everything.rows) == (6, 30)


def test_the_longest_fuse_above_reaches_the_end(memory: Path) -> None:
    ledgers.create(memory / "ledger.sqlite", IDS)
    fuse = Fuse(1000)
    session(memory / "ledger.sqlite", Disk(), fuse)
    assert 1000 - fuse.left < len(list(lengths()))
