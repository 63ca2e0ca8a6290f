"""The end of a run at Qserv: published when it is whole, index and row counters, and tables that go whole."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dgconsole.ingest.qserv.regular import WRITTEN
from dgconsole.ingest.schema import TableSchema
from dgconsole.support.errors import ChunkError, InputError

DATABASE = "/ingest/database/skydb"


async def filled(sky: Any, **more: Any) -> Any:
    destination = await sky.prepared(**more)
    transaction = await destination.begin(1, "here-1")
    await sky.deliver(transaction, 324)
    await destination.commit(transaction)
    return destination


# ---- publish


async def test_a_whole_database_is_published(sky: Any) -> None:
    destination = await filled(sky)
    assert await destination.finish(complete=True, partial_sky=False) == [
        "'skydb' is published: it can be queried, and takes no more rows",
        "the director index was built with each transaction",
    ]
    assert sky.qserv.partitions("skydb") == []
    assert sky.loaded() == sky.expected(324)


async def test_with_chunks_missing_it_is_not(sky: Any) -> None:
    destination = await filled(sky)
    assert await destination.finish(complete=False, partial_sky=False) == [
        "'skydb' is not published: not every target chunk is complete"
    ]
    assert sky.qserv.came("PUT", DATABASE) == []


async def test_nor_where_the_user_does_not_want_it(sky: Any) -> None:
    destination = await filled(sky, publish="never", index=True, row_counters=True)
    assert await destination.finish(complete=True, partial_sky=False) == [
        "'skydb' is not published: ingest.publish is 'never'",
        "not made before it is published: the director index and row counters",
    ]
    assert sky.qserv.came("PUT", DATABASE) == []


async def test_a_part_of_the_sky_is_said_to_be_one(sky: Any) -> None:
    destination = await filled(sky)
    first, _ = await destination.finish(complete=True, partial_sky=True)
    assert "holds a part of the sky only, and to add the rest an administrator must unpublish it" in first


async def test_our_own_open_transactions_do_not_stand_in_the_way(sky: Any) -> None:
    destination = await filled(sky)
    await destination.begin(2, "here-2")
    await destination.finish(complete=True, partial_sky=False)
    assert [each.state for each in sky.qserv.transactions()] == ["FINISHED", "ABORTED"]
    assert sky.qserv.state.databases["skydb"].published


async def test_those_of_others_do_and_are_named(sky: Any) -> None:
    destination = await filled(sky)
    sky.qserv.do(other_transaction(sky.qserv))
    (line,) = await destination.finish(complete=True, partial_sky=False)
    assert line.startswith("'skydb' is not published: 127.0.0.1:")
    assert "database has uncommitted transactions: [2]" in line


async def other_transaction(qserv: Any) -> None:
    from qserv.state import Transaction

    qserv.state.transactions[2] = Transaction(2, "skydb", {}, "STARTED")


async def test_a_publish_whose_answer_is_lost_is_looked_up(sky: Any) -> None:
    destination = await filled(sky)
    sky.qserv.fail("drop_after", "PUT", DATABASE)
    first, *_ = await destination.finish(complete=True, partial_sky=False)
    assert first.startswith("'skydb' is published")
    assert len(sky.qserv.came("PUT", DATABASE)) == 1


async def test_a_publish_that_never_arrived_is_sent_again(sky: Any) -> None:
    destination = await filled(sky)
    sky.qserv.fail("status", "PUT", DATABASE, status=504)
    await destination.finish(complete=True, partial_sky=False)
    assert sky.qserv.state.databases["skydb"].published


async def test_a_publish_that_nobody_answers_can_be_asked_for_in_a_later_session(sky: Any) -> None:
    destination = await filled(sky)
    sky.qserv.fail("status", "PUT", DATABASE, status=504, times=3)
    with pytest.raises(ChunkError, match=r"at the end of the run: .*HTTP status 504"):
        await destination.finish(complete=True, partial_sky=False)
    later = await sky.prepared()
    await later.finish(complete=True, partial_sky=False)
    assert sky.qserv.state.databases["skydb"].published


async def test_a_session_that_died_after_publishing_goes_on_from_there(sky: Any) -> None:
    destination = await filled(sky, index=True)
    await destination.finish(complete=True, partial_sky=False)
    later = await sky.prepared(index=True)
    first, *_ = await later.finish(complete=True, partial_sky=False)
    assert first.startswith("'skydb' is published")
    assert len(sky.qserv.came("PUT", DATABASE)) == 1


# ---- index and counters


async def test_index_and_counters_where_they_are_asked_for(sky: Any) -> None:
    destination = await filled(sky, index=True, row_counters=True)
    assert await destination.finish(complete=True, partial_sky=False) == [
        "'skydb' is published: it can be queried, and takes no more rows",
        "the director index of Object is built",
        "the rows of Object are counted",
        "the rows of ForcedSource are counted",
    ]
    assert sky.qserv.controller.indexes == ["Object"]
    assert sky.qserv.controller.counted == [
        {"table": "Object", "selector": "CHUNK_AND_OVERLAP"},
        {"table": "ForcedSource", "selector": "CHUNK"},
    ]


async def test_an_index_that_fails_is_said(sky: Any) -> None:
    destination = await filled(sky, index=True)
    sky.qserv.fail("index_fails", "POST", "/ingest/index/secondary")
    _, line = await destination.finish(complete=True, partial_sky=False)
    assert line.startswith("the director index of Object is not built: 127.0.0.1:")


async def test_without_any_index_how_to_get_one(sky: Any) -> None:
    schema = replace(sky.schema, raw={"auto_build_secondary_index": 0})
    destination = await filled(sky, schema=schema)
    _, line = await destination.finish(complete=True, partial_sky=False)
    assert line == "no director index was built: set 'ingest.index: true', or ask Qserv for one"


# ---- tables that are not cut in chunks


def with_visits(sky: Any, text: str) -> Any:
    path = Path(sky.folder) / "visits.csv"
    path.write_text(text)
    columns = (("visitId", "BIGINT NOT NULL"), ("filter", "CHAR(8)"), ("ra", "DOUBLE"))
    visits = TableSchema(table="Visit", columns=columns, partitioned=False, dialect=WRITTEN, file=str(path))
    return replace(sky.schema, tables=(*sky.schema.tables, visits))


async def test_a_whole_table_goes_to_every_worker_once(sky: Any) -> None:
    schema = with_visits(sky, '1,u,0.5\n2,"a,b",\n3,"tab\t",1e-3\n')
    await sky.prepared(schema=schema)
    await sky.prepared(schema=schema)
    assert sky.qserv.whole_tables("skydb", "Visit") == {"w1": 3, "w2": 3}
    assert len(sky.qserv.uploads()) == 2
    assert sky.qserv.rows("skydb", "Visit") == [(1, "u", 0.5), (2, "a,b", None), (3, "tab\t", 0.001)]


async def test_a_whole_table_that_one_worker_refuses_is_taken_back_from_all(sky: Any) -> None:
    schema = with_visits(sky, "1,u,0.5\n")
    sky.qserv.fail("load_failed", "POST", "/ingest/csv", place="w2")
    with pytest.raises(ChunkError, match="MySQL load failed"):
        await sky.prepared(schema=schema)
    assert sky.qserv.whole_tables("skydb", "Visit") == {"w1": 0, "w2": 0}
    await sky.prepared(schema=schema)
    assert sky.qserv.whole_tables("skydb", "Visit") == {"w1": 1, "w2": 1}


async def test_a_whole_table_whose_file_does_not_fit(sky: Any) -> None:
    with pytest.raises(InputError, match=r"visits\.csv:2: has 2 columns"):
        await sky.prepared(schema=with_visits(sky, "1,u,0.5\n1,u\n"))
    assert sky.qserv.uploads() == []
