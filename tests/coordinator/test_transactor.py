"""The coordinator over real sockets with a destination that has transactions and does not always do as it is told."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from dgconsole.coordinator.transactor import AT_A_TIME
from dgconsole.ingest.destination import TransactionalDestination, TransactionEnd
from dgconsole.snapshot import ClientState, RunState
from dgconsole.support.errors import BugError, ChunkError, Fault, InputError, Problem
from dgconsole.wire import messages as m

FIGURES = m.Figures((m.TableFigures("Object", 10, 4, 100, {"deliver": 1.0}),), {"deliver": 1.0})


class Database:
    """Keeps what it is told, over sessions; ``trouble`` may raise, hold up or lose the answer to a call."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.numbers: dict[int, int] = {}
        self.ends: dict[int, TransactionEnd] = {}
        self.trouble: Callable[[str, int], Any] = lambda call, transaction: None
        self.busy = self.most = 0
        self.words: Sequence[str] = ("published",)

    async def _call(self, call: str, transaction: int, effect: Callable[[], None]) -> None:
        """``trouble`` answers None, an error, an error that comes after the effect, or what to wait for."""
        self.calls.append(f"{call} {transaction}")
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            trouble = self.trouble(call, transaction)
            if isinstance(trouble, asyncio.Event):
                await trouble.wait()
            elif isinstance(trouble, Lost):
                effect()
                raise trouble.error
            elif trouble is not None:
                raise trouble
            await asyncio.sleep(0)
            effect()
        finally:
            self.busy -= 1

    async def prepare(self, tables: Sequence[str]) -> None:
        await self._call(f"prepare {','.join(tables)}", 0, lambda: None)

    async def recover(self) -> dict[int, TransactionEnd]:
        for there in self.numbers.keys() - self.ends.keys():
            self.ends[there] = TransactionEnd.ABORTED
        self.calls.append("recover")
        return {number: self.ends[there] for there, number in self.numbers.items()}

    async def begin(self, number: int, client: str) -> int:
        there = 1000 + number
        await self._call(f"begin {client}", there, lambda: self.numbers.update({there: number}))
        return there

    async def commit(self, transaction: int) -> None:
        assert transaction not in self.ends
        await self._call("commit", transaction, lambda: self.ends.update({transaction: TransactionEnd.COMMITTED}))

    async def abort(self, transaction: int) -> TransactionEnd:
        await self._call(
            "abort", transaction, lambda: self.ends.setdefault(transaction, TransactionEnd.ABORTED) and None
        )
        return self.ends[transaction]

    async def finish(self, *, complete: bool, partial_sky: bool) -> Sequence[str]:
        await self._call(f"finish complete={complete} partial={partial_sky}", 0, lambda: None)
        return self.words

    async def close(self) -> None:
        self.calls.append("close")


class Lost:
    """It is done, and the answer to it is lost."""

    def __init__(self, text: str) -> None:
        self.error = ChunkError(Fault.DELIVER, text)


def refused(text: str) -> ChunkError:
    return ChunkError(Fault.DELIVER, text)


@pytest.fixture
def database() -> Database:
    made = Database()
    assert isinstance(made, TransactionalDestination)
    return made


@pytest.fixture
def small(fast: Any) -> Any:
    return msgspec.structs.replace(fast, transaction_size=2, chunks_per_request=2)


async def take(client: Any, count: int = 2) -> m.Assign:
    await client.say(m.Ask(count))
    while not (message := await client.until(m.Assign)).chunks:
        pass
    return message  # type: ignore[no-any-return]


async def deliver(client: Any, assign: m.Assign) -> list[bool]:
    settled = []
    for chunk, attempt in assign.chunks:
        await client.say(m.Completed(chunk, attempt, FIGURES))
        settled.append((await client.until(m.Settled)).accepted)
    return settled


async def work(client: Any) -> None:
    """Deliver whatever is handed out, until there is no more."""
    while chunks := await client.ask(2):
        await deliver(client, m.Assign(chunks))
    await client.say(m.Bye())
    await client.close()


# ---- as it should be


async def test_clients_fill_a_destination_with_transactions(start: Any, small: Any, database: Database) -> None:
    run = await start(range(100, 140), options=small, destination=database)
    clients = [await run.client(f"here-{k}") for k in (1, 2, 3)]
    workers = [asyncio.create_task(work(client)) for client in clients]
    await run.coordinator.finished.wait()
    assert run.coordinator.counts().completed == 40
    assert run.coordinator.totals.rows == 400
    assert set(database.ends) == set(database.numbers)
    committed = [there for there, end in database.ends.items() if end is TransactionEnd.COMMITTED]
    totals = run.coordinator.transaction_totals()
    assert (totals.committed, totals.aborted) == (len(committed), len(database.ends) - len(committed))
    assert run.coordinator.transactions() == ()
    assert await run.coordinator.finish(partial_sky=True) == ("published",)
    assert await run.coordinator.finish(partial_sky=True) == ()
    await run.coordinator.stop(now=False)
    await asyncio.gather(*workers)
    await run.close()
    assert database.calls[:2] == ["prepare Object 0", "recover"]
    assert database.calls[-2:] == ["finish complete=True partial=True 0", "close"]


async def test_what_is_open_can_be_seen(start: Any, small: Any, database: Database) -> None:
    run = await start(options=small, destination=database)
    client = await run.client("here-1")
    assign = await take(client)
    assert assign.transaction == 1001
    await deliver(client, m.Assign(assign.chunks[:1]))
    (row,) = run.coordinator.transactions()
    assert (row.number, row.client, row.chunks, row.delivered, row.state) == (1, "here-1", 2, 1, "open")
    counts = run.coordinator.counts()
    assert (counts.assigned, counts.delivered, counts.completed) == (1, 1, 0)
    history = await run.coordinator.history(assign.chunks[0][0])
    assert (history.attempts[0].outcome, history.attempts[0].rows) == ("delivered", 10)


async def test_clients_send_no_files_home_where_they_load_them(start: Any, small: Any, database: Database) -> None:
    run = await start(options=small, destination=database, address="127.0.0.1:0")
    welcome = await (await run.stranger()).hello(run.token)
    assert not welcome.collect


async def test_only_so_many_calls_at_a_time(start: Any, fast: Any, database: Database) -> None:
    gate = asyncio.Event()
    database.trouble = lambda call, transaction: gate if call.startswith("begin") else None
    run = await start(range(200), options=fast, destination=database)
    clients = [await run.client(f"here-{k}") for k in range(12)]
    for client in clients:
        await client.say(m.Ask(1))
        assert (await client.until(m.Assign)).chunks == ()
    await run.until(lambda: database.busy == AT_A_TIME)
    gate.set()
    assert all([len(await client.handed()) == 1 for client in clients])
    assert database.most == AT_A_TIME


# ---- a destination in trouble


async def test_none_can_be_opened_until_a_person_goes_on(start: Any, small: Any, database: Database) -> None:
    database.trouble = lambda call, transaction: refused("too many") if call.startswith("begin") else None
    run = await start(options=small, destination=database)
    client = await run.client()
    await client.say(m.Ask(1))
    await run.until(lambda: run.coordinator.run_state is RunState.PAUSED)
    (notice,) = run.coordinator.notices()
    assert (notice.key, "too many" in notice.text) == ("p", True)
    database.trouble = lambda call, transaction: None
    await run.coordinator.resume()
    assert await client.handed() == ((100, 1),)


async def test_a_commit_whose_answer_is_lost_counts_once(start: Any, small: Any, database: Database) -> None:
    database.trouble = lambda call, transaction: Lost("connection reset") if call == "commit" else None
    run = await start(range(2), options=small, destination=database)
    client = await run.client()
    task = asyncio.create_task(work(client))
    await run.coordinator.finished.wait()
    assert run.coordinator.counts().completed == 2
    assert database.ends == {1001: TransactionEnd.COMMITTED}
    assert database.calls.count("commit 1001") == 1
    task.cancel()


async def test_commits_that_fail_pause_the_run_and_cost_no_attempts(
    start: Any, small: Any, database: Database
) -> None:
    database.trouble = lambda call, transaction: refused("worker db07 is down") if call == "commit" else None
    run = await start(options=small, destination=database)
    client = await run.client()
    task = asyncio.create_task(work(client))
    await run.until(lambda: run.coordinator.run_state is RunState.PAUSED and not run.coordinator.busy)
    assert "db07" in run.coordinator.notices()[0].text
    assert run.coordinator.counts().retrying == 0
    database.trouble = lambda call, transaction: None
    await run.coordinator.resume()
    await run.coordinator.finished.wait()
    assert run.coordinator.counts().completed == 20
    task.cancel()


async def test_what_cannot_be_undone_is_tried_again_on_resume(start: Any, small: Any, database: Database) -> None:
    database.trouble = lambda call, transaction: refused("no route to host") if call == "abort" else None
    run = await start(range(4), options=small, destination=database)
    client = await run.client("here-1")
    assign = await take(client, 1)
    await client.say(m.Failed(*assign.chunks[0], Fault.DELIVER, "deliver", "no route to host"))
    await run.until(lambda: run.coordinator.run_state is RunState.PAUSED)
    assert [row.state for row in run.coordinator.transactions()] == ["stuck"]
    database.trouble = lambda call, transaction: None
    await run.coordinator.resume()
    await run.until(lambda: not run.coordinator.transactions())
    assert database.ends == {1001: TransactionEnd.ABORTED}


async def test_a_fault_in_the_destination_ends_the_run_with_its_story(
    start: Any, small: Any, database: Database
) -> None:
    database.trouble = lambda call, transaction: (
        BugError("an answer without a state", ["{}"]) if transaction else None
    )
    run = await start(options=small, destination=database)
    client = await run.client()
    await client.say(m.Ask(1))
    await run.coordinator.finished.wait()
    assert str(run.coordinator.bug) == "an answer without a state"


async def test_what_follows_the_last_chunk_may_fail(start: Any, small: Any, database: Database) -> None:
    run = await start([1], options=small, destination=database)
    client = await run.client()
    task = asyncio.create_task(work(client))
    await run.coordinator.finished.wait()
    database.trouble = lambda call, transaction: refused("not published: an open transaction")
    with pytest.raises(ChunkError, match="not published"):
        await run.coordinator.finish(partial_sky=False)
    task.cancel()
    await run.close()
    database.trouble = lambda call, transaction: None
    again = await start([1], options=small, destination=database)
    assert await again.coordinator.finish(partial_sky=False) == ("published",)


# ---- clients in trouble


async def test_a_lost_client_costs_only_its_own_transaction(start: Any, small: Any, database: Database) -> None:
    run = await start(range(20), options=small, destination=database)
    lost, other = await run.client("here-1"), await run.client("here-2")
    await deliver(lost, m.Assign((await take(lost)).chunks[:1]))
    theirs = await take(other)
    lost.cut()
    await run.until(lambda: run.coordinator.clients()[0].state is ClientState.LOST)
    await deliver(other, theirs)
    await run.until(lambda: run.coordinator.counts().completed == 2)
    assert database.ends == {theirs.transaction: TransactionEnd.COMMITTED}
    run.coordinator.client_exited("here-1", "signal 9")
    await run.until(lambda: len(database.ends) == 2 and not run.coordinator.transactions())
    assert database.ends[1001] is TransactionEnd.ABORTED
    counts = run.coordinator.counts()
    assert (counts.retrying, counts.delivered) == (1, 0)


async def test_a_lease_is_waited_for_where_nobody_sees_the_process_end(
    start: Any, small: Any, database: Database
) -> None:
    run = await start(options=msgspec.structs.replace(small, lease=0.3), destination=database)
    client = await run.client("here-1")
    await take(client)
    client.cut()
    await run.until(lambda: bool(database.ends))
    assert database.ends == {1001: TransactionEnd.ABORTED}


# ---- the end of a session, and the next


async def test_stop_waits_for_the_commit_of_what_is_delivered(start: Any, small: Any, database: Database) -> None:
    gate = asyncio.Event()
    database.trouble = lambda call, transaction: gate if call == "commit" else None
    run = await start(options=small, destination=database)
    client = await run.client()
    assign = await take(client)
    await run.coordinator.stop(now=False)
    await client.until(m.Stop)
    await deliver(client, assign)
    await client.say(m.Bye())
    assert await client.next() is None
    await run.until(lambda: run.coordinator.clients()[0].state is ClientState.STOPPED)
    assert not run.coordinator.stopped.is_set()
    gate.set()
    await run.coordinator.stopped.wait()
    assert run.coordinator.counts().completed == 2


async def test_close_undoes_what_is_not_whole_and_commits_what_is(start: Any, small: Any, database: Database) -> None:
    run = await start(options=small, destination=database)
    half, whole = await run.client("here-1"), await run.client("here-2")
    await deliver(half, m.Assign((await take(half)).chunks[:1]))
    await deliver(whole, m.Assign((await take(whole, 1)).chunks))
    await run.close_coordinator()
    assert database.ends == {1001: TransactionEnd.ABORTED, 1002: TransactionEnd.COMMITTED}
    assert run.coordinator.counts().completed == 1
    assert run.coordinator.counts().delivered == 0


async def test_a_destination_that_does_not_answer_is_left_to_the_next_session(
    start: Any, small: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgconsole.coordinator.server._ENDING", 0.05)
    never = asyncio.Event()
    database.trouble = lambda call, transaction: never if call == "commit" else None
    run = await start(range(4), options=small, destination=database)
    client = await run.client()
    await deliver(client, await take(client))
    await client.say(m.Ask(2))
    await run.close()
    assert run.coordinator.counts().delivered == 2
    database.ends[1001] = TransactionEnd.COMMITTED  # it came about after all
    again = await start(range(4), options=small, destination=database)
    counts = again.coordinator.counts()
    assert (counts.completed, counts.pending, counts.retrying) == (2, 2, 0)
    assert again.coordinator.totals.rows == 20


async def test_after_a_crash_what_was_open_is_undone_before_anything_is_handed_out(
    start: Any, small: Any, database: Database
) -> None:
    run = await start(range(4), options=small, destination=database)
    client = await run.client("here-1")
    chunks = (await take(client)).chunks
    await deliver(client, m.Assign(chunks[:1]))
    database.trouble = lambda call, transaction: refused("gone") if call == "abort" else None
    await run.close()  # as good as a crash: it could undo nothing
    database.trouble = lambda call, transaction: None
    again = await start(range(4), options=small, destination=database)
    assert database.ends == {1001: TransactionEnd.ABORTED}
    assert again.coordinator.counts().pending == 4
    client = await again.client("here-1")
    assign = await take(client)
    assert assign.transaction == 1002
    assert assign.chunks[0] == (chunks[0][0], 2)


async def test_a_finished_run_asks_nothing_of_its_destination(start: Any, small: Any, database: Database) -> None:
    run = await start([1], options=small, destination=database)
    client = await run.client()
    task = asyncio.create_task(work(client))
    await run.coordinator.finished.wait()
    await run.coordinator.finish(partial_sky=False)
    task.cancel()
    await run.close()
    database.calls.clear()
    database.trouble = lambda call, transaction: refused("nobody is there any more")
    again = await start([1], options=small, destination=database)
    assert again.coordinator.finished.is_set()
    assert await again.coordinator.finish(partial_sky=False) == ()
    await again.close()
    assert database.calls == ["close"]
    more = await start([1, 2], options=small, destination=Database())
    assert more.coordinator.counts().pending == 1


@pytest.mark.parametrize(
    "error", [InputError(Problem("wrong key", key="ingest.authKey")), refused("wrong key: nobody answers")]
)
async def test_a_destination_that_cannot_be_used_starts_nothing(
    start: Any, small: Any, database: Database, error: Exception
) -> None:
    database.trouble = lambda call, transaction: error
    with pytest.raises(InputError, match="wrong key"):
        await start(options=small, destination=database)
