"""Super-transactions: opened once, ended once, looked up where an answer was lost, ended after a crash."""

import asyncio
from typing import Any

import pytest

from dgconsole.ingest.destination import TransactionEnd
from dgconsole.ingest.qserv.http import Limits
from dgconsole.support.errors import ChunkError, Fault

ANY = r"/ingest/trans/\d+"
LIST = "/ingest/trans"


def ends(sky: Any, *, abort: bool) -> int:
    """How many requests to commit (abort) reached the controller."""
    return sum(
        seen.method == "PUT" and seen.path.startswith("/ingest/trans/") and seen.query["abort"] == str(int(abort))
        for seen in sky.qserv.seen
    )


def states(sky: Any) -> list[str]:
    return [each.state for each in sky.qserv.transactions()]


# ---- begin


async def test_the_mark_of_a_transaction(sky: Any) -> None:
    destination = await sky.prepared(run_id="a-run")
    await destination.begin(7, "db01-2")
    assert [each.context for each in sky.qserv.transactions()] == [
        {"tool": "dgconsole", "run": "a-run", "number": 7, "client": "db01-2"}
    ]


@pytest.mark.parametrize("fault", ["drop_after", "half_after"])
async def test_a_start_whose_answer_is_lost_is_found_by_its_mark(sky: Any, fault: str) -> None:
    destination = await sky.prepared()
    sky.qserv.fail(fault, "POST", LIST)
    transaction = await destination.begin(1, "here-1")
    assert [each.id for each in sky.qserv.transactions()] == [transaction]
    await sky.deliver(transaction, 324)


async def test_a_start_that_never_came_about_is_tried_again(sky: Any) -> None:
    destination = await sky.prepared()
    sky.qserv.fail("drop", "POST", LIST)
    await destination.begin(1, "here-1")
    assert states(sky) == ["STARTED"]


async def test_a_start_that_is_refused(sky: Any) -> None:
    destination = await sky.prepared()
    sky.qserv.fail("refuse", "POST", LIST, text="operation failed due to: no space")
    with pytest.raises(ChunkError, match=r"no transaction can be opened: .* refuses: .*no space") as caught:
        await destination.begin(1, "here-1")
    assert caught.value.fault is Fault.DELIVER


async def test_several_are_open_at_a_time(sky: Any) -> None:
    destination = await sky.prepared()
    numbers = await asyncio.gather(*[destination.begin(n, f"here-{n}") for n in range(1, 5)])
    assert len(set(numbers)) == 4
    await asyncio.gather(*[destination.commit(each) for each in numbers])
    assert set(states(sky)) == {"FINISHED"}


# ---- commit


async def test_a_commit_makes_rows_lasting(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    await sky.deliver(transaction, 324)
    await destination.commit(transaction)
    assert states(sky) == ["FINISHED"]
    assert sky.loaded() == sky.expected(324)
    assert ends(sky, abort=False) == 1


@pytest.mark.parametrize("fault", ["drop_after", "half_after"])
async def test_a_commit_whose_answer_is_lost_is_looked_up_and_not_sent_again(sky: Any, fault: str) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    sky.qserv.fail(fault, "PUT", ANY)
    await destination.commit(transaction)
    assert states(sky) == ["FINISHED"]
    assert ends(sky, abort=False) == 1


async def test_a_commit_that_never_arrived_is_sent_once_more_after_some_looks(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    sky.qserv.fail("status", "PUT", ANY, status=502)
    await destination.commit(transaction)
    assert states(sky) == ["FINISHED"]
    assert len(sky.qserv.came("GET", f"/ingest/trans/{transaction}")) == 3


async def test_a_commit_that_is_refused_is_not_tried_again(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    sky.qserv.fail("refuse", "PUT", ANY, text="operation failed due to: try tomorrow")
    with pytest.raises(ChunkError, match=f"transaction {transaction} is not committed, it is STARTED: .*tomorrow"):
        await destination.commit(transaction)
    assert ends(sky, abort=False) == 1


async def test_a_commit_that_fails_can_be_aborted(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    await sky.deliver(transaction, 324)
    sky.qserv.fail("finish_failed", "PUT", ANY)
    with pytest.raises(ChunkError, match="FINISH_FAILED"):
        await destination.commit(transaction)
    assert await destination.abort(transaction) is TransactionEnd.ABORTED
    assert sky.loaded() == {}


async def test_a_commit_under_way_is_waited_for_though_its_answer_is_lost(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    stuck = sky.qserv.fail("stuck", "PUT", ANY)
    sky.qserv.fail("drop_after", "PUT", ANY)
    commit = asyncio.ensure_future(destination.commit(transaction))
    assert await asyncio.to_thread(stuck.reached.wait, 20)
    assert states(sky) == ["IS_FINISHING"]
    stuck.release()
    await commit
    assert ends(sky, abort=False) == 1


async def test_a_commit_that_stays_under_way_is_given_up_on_in_the_end(sky: Any) -> None:
    sky.limits = Limits(waits=(0.01,), poll=0.01, stuck=0.2)
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    sky.qserv.state.transaction(transaction).state = "IS_FINISHING"  # as after a restart of the controller
    with pytest.raises(ChunkError, match="it is IS_FINISHING"):
        await destination.commit(transaction)
    assert await destination.abort(transaction) is TransactionEnd.ABORTED


async def test_a_controller_that_is_away_while_a_commit_is_looked_up(sky: Any) -> None:
    sky.limits = Limits(waits=(0.01,), poll=0.02, outage=20)
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    sky.qserv.fail("drop_after", "PUT", ANY)
    looked = sky.qserv.fail("status", "GET", ANY, times=4)
    await destination.commit(transaction)
    assert looked.used == 4
    assert ends(sky, abort=False) == 1


async def test_the_director_index_is_built_with_each_commit(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    await sky.deliver(transaction, 324)
    await destination.commit(transaction)
    found = sky.qserv.store.query(
        f"SELECT chunkId, COUNT(*) FROM `{sky.qserv.store.meta()}`.skydb__Object GROUP BY 1"
    )
    assert found == ((324, 5),) or found == [(324, 5)]


async def test_an_index_that_fails_at_a_commit_is_said_and_the_chunks_stay(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    await sky.deliver(transaction, 324)
    sky.qserv.fail("index_fails", "PUT", ANY)
    await destination.commit(transaction)
    assert sky.loaded() == sky.expected(324)
    assert any("its part of the director index was not built" in line for line in sky.lines)


# ---- abort


async def test_an_abort_leaves_no_row(sky: Any) -> None:
    destination = await sky.prepared()
    kept, dropped = await destination.begin(1, "here-1"), await destination.begin(2, "here-2")
    await sky.deliver(kept, 324)
    await sky.deliver(dropped, 325)
    assert await destination.abort(dropped) is TransactionEnd.ABORTED
    await destination.commit(kept)
    assert sky.loaded() == sky.expected(324)
    assert sky.qserv.partitions("skydb") == [f"p{kept}"]


async def test_to_abort_twice_is_no_error(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    await destination.abort(transaction)
    assert await destination.abort(transaction) is TransactionEnd.ABORTED


async def test_what_is_committed_cannot_be_aborted(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    await destination.commit(transaction)
    assert await destination.abort(transaction) is TransactionEnd.COMMITTED


@pytest.mark.parametrize("fault", ["abort_failed", "drop_after", "status", "drop"])
async def test_an_abort_is_tried_until_it_is_done(sky: Any, fault: str) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    await sky.deliver(transaction, 324)
    sky.qserv.fail(fault, "PUT", ANY)
    assert await destination.abort(transaction) is TransactionEnd.ABORTED
    assert states(sky) == ["ABORTED"]
    assert sky.loaded() == {}


async def test_an_abort_that_fails_for_good_is_said(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    sky.qserv.fail("abort_failed", "PUT", ANY, times=100)
    with pytest.raises(ChunkError, match=r"cannot be aborted \(ABORT_FAILED\), which keeps the database from"):
        await destination.abort(transaction)
    assert ends(sky, abort=True) == 4


# ---- after a crash


async def test_transactions_of_earlier_sessions_are_ended_and_named(sky: Any) -> None:
    first = await sky.prepared()
    done, open_one, taken_back = [await first.begin(n, "here-1") for n in (1, 2, 3)]
    await sky.deliver(done, 324)
    await sky.deliver(open_one, 325)
    await first.commit(done)
    await first.abort(taken_back)
    second = sky.destination()
    await second.prepare(["Object", "ForcedSource"])
    assert await second.recover() == {
        1: TransactionEnd.COMMITTED,
        2: TransactionEnd.ABORTED,
        3: TransactionEnd.ABORTED,
    }
    assert sky.loaded() == sky.expected(324)
    assert states(sky) == ["FINISHED", "ABORTED", "ABORTED"]


async def test_a_start_that_nobody_heard_of_is_ended_too(sky: Any) -> None:
    await (await sky.prepared()).begin(5, "here-1")
    sky.qserv.state.transaction(1).state = "START_FAILED"
    second = sky.destination()
    await second.prepare(["Object", "ForcedSource"])
    assert await second.recover() == {5: TransactionEnd.ABORTED}


async def test_a_commit_under_way_since_an_earlier_session_is_waited_for(sky: Any) -> None:
    sky.limits = Limits(waits=(0.01,), poll=0.01, leftover=30)
    first = await sky.prepared()
    transaction = await first.begin(1, "here-1")
    stuck = sky.qserv.fail("stuck", "PUT", ANY)
    commit = asyncio.ensure_future(first.commit(transaction))
    assert await asyncio.to_thread(stuck.reached.wait, 20)
    commit.cancel()
    second = sky.destination()
    await second.prepare(["Object", "ForcedSource"])
    waiting = asyncio.ensure_future(second.recover())
    stuck.release()
    assert await waiting == {1: TransactionEnd.COMMITTED}


async def test_a_commit_that_a_restart_of_qserv_cut_off_is_aborted(sky: Any) -> None:
    await (await sky.prepared()).begin(1, "here-1")
    sky.qserv.state.transaction(1).state = "IS_FINISHING"
    second = sky.destination()
    await second.prepare(["Object", "ForcedSource"])
    assert await second.recover() == {1: TransactionEnd.ABORTED}


async def test_open_transactions_of_others_are_named_and_left_alone(sky: Any) -> None:
    other = await sky.prepared(run_id="another-run")
    await other.begin(1, "there-1")
    destination = sky.destination()
    await destination.prepare(["Object", "ForcedSource"])
    assert await destination.recover() == {}
    assert states(sky) == ["STARTED"]
    assert any("is STARTED and not ours (another-run)" in line for line in sky.lines)


async def test_a_database_that_was_deleted_has_nothing_of_ours(sky: Any) -> None:
    first = await sky.prepared()
    await first.commit(await first.begin(1, "here-1"))
    sky.qserv.do(sky.qserv.forget("skydb"))
    second = sky.destination()
    await second.prepare(["Object", "ForcedSource"])
    assert await second.recover() == {}
