"""Chunk files to Qserv's workers: where they go, what counts as delivered, what is never sent twice."""

import asyncio
from typing import Any

import pytest

from dgconsole.ingest.qserv.http import Limits
from dgconsole.ingest.qserv.wanted import form_of
from dgconsole.settings.structs import Dialect
from dgconsole.support.errors import ChunkError, Fault

CSV = r"/ingest/csv"


@pytest.fixture
async def transaction(sky: Any) -> int:
    return int(await (await sky.prepared()).begin(1, "here-1"))


async def refused(sky: Any, transaction: int, chunk: int = 324, **more: Any) -> str:
    """The words of the ChunkError (fault DELIVER) that a delivery ends in."""
    with pytest.raises(ChunkError) as caught:
        await sky.deliver(transaction, chunk, **more)
    assert caught.value.fault is Fault.DELIVER
    assert sky.qserv.key not in caught.value.text
    return caught.value.text


# ---- what goes where


async def test_a_chunk_goes_whole_to_one_worker_and_its_files_are_removed(sky: Any, transaction: int) -> None:
    delivery = await sky.delivery()
    await sky.deliver(transaction, 324, delivery=delivery)
    assert sky.loaded() == sky.expected(324)
    assert len({seen.place for seen in sky.qserv.uploads()}) == 1
    assert [row[0] for row in sky.qserv.rows("skydb", "Object_324")] == [324 << 20 | n for n in range(5)]
    assert [path for path in sky.folder.rglob("*") if path.is_file()] == []


async def test_chunks_are_spread_over_workers_and_stay_where_they_are(sky: Any, transaction: int) -> None:
    delivery = await sky.delivery()
    for chunk in sky.chunks:
        await sky.deliver(transaction, chunk, delivery=delivery)
    assert sky.loaded() == sky.expected(*sky.chunks)
    places = {(seen.place, seen.body["chunk"]) for seen in sky.qserv.uploads()}
    assert len(places) == len(sky.chunks)
    assert {place for place, _ in places} == {"w1", "w2"}
    assert len(sky.qserv.came("POST", "/ingest/chunks")) == len(sky.chunks)


async def test_chunks_that_come_together_are_placed_with_one_call(sky: Any, transaction: int) -> None:
    delivery = await sky.delivery()
    delivery.expect(sky.chunks[:3])
    for chunk in sky.chunks:
        await sky.deliver(transaction, chunk, delivery=delivery)
    assert sky.loaded() == sky.expected(*sky.chunks)
    asked = [seen.body["chunks"] for seen in sky.qserv.came("POST", "/ingest/chunks")]
    assert asked == [list(sky.chunks[:3]), *([chunk] for chunk in sky.chunks[3:])]


async def test_an_older_qserv_places_one_at_a_time(sky: Any, transaction: int) -> None:
    sky.qserv.be_version(53)
    delivery = await sky.delivery()
    delivery.expect(sky.chunks)
    for chunk in sky.chunks:
        await sky.deliver(transaction, chunk, delivery=delivery)
    assert sky.loaded() == sky.expected(*sky.chunks)
    asked = [seen.body["chunk"] for seen in sky.qserv.came("POST", "/ingest/chunk")]
    assert asked == list(sky.chunks)


async def test_a_chunk_with_an_overlap_only_is_placed_and_sent(sky: Any, transaction: int) -> None:
    await sky.deliver(transaction, 325, rows=0, child=0)
    assert sky.loaded() == {"objectfulloverlap_325": 2}


async def test_a_chunk_without_rows_sends_nothing(sky: Any, transaction: int) -> None:
    await sky.deliver(transaction, 325, rows=0, child=0, overlap=0)
    assert sky.qserv.uploads() == []


async def test_values_arrive_as_they_were_written(sky: Any, transaction: int) -> None:
    delivery = await sky.delivery()
    tables = sky.write(delivery, 324)
    copy = sky.folder / "copy"
    copy.write_bytes(tables[0].files[0].path.read_bytes())
    await sky.deliver(transaction, 324, delivery=delivery)
    assert sky.qserv.checksum("skydb", "Object_324") == sky.qserv.checksum_of_file("skydb", "Object_324", copy)


async def test_commas_and_quotes_are_said_in_two_characters() -> None:
    assert form_of(Dialect(delimiter=",", quote='"', escape="\\", null="NULL")) == {
        "fields_terminated_by": ",",
        "fields_enclosed_by": '"',
        "fields_escaped_by": "\\\\",
        "lines_terminated_by": "\\n",
    }
    assert form_of(Dialect(quote=None))["fields_terminated_by"] == "\\t"


async def test_an_upload_says_its_length_and_has_its_fields_first(sky: Any, transaction: int) -> None:
    await sky.deliver(transaction, 324)
    for seen in sky.qserv.uploads():
        assert "Content-Length" in seen.headers
        assert "Transfer-Encoding" not in seen.headers
        assert seen.body["auth_key"] == sky.qserv.key
        assert seen.body["version"] == "55"
        assert "auth_key" not in seen.query


async def test_one_file_at_a_time(sky: Any, transaction: int) -> None:
    await sky.deliver(transaction, 324)
    assert {worker.most_at_once for worker in sky.qserv.workers.values()} <= {0, 1}


async def test_progress_counts_every_byte_and_goes_on_while_the_worker_loads(
    sky: Any, transaction: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgconsole.ingest.qserv.upload.TICK", 0.01)
    slow = sky.qserv.fail("slow_load", path=CSV)
    told: list[int] = []

    def progress(size: int) -> None:
        told.append(size)
        if told.count(0) > 2:
            slow.release()

    delivery = await sky.delivery(progress=progress)
    size = sum(file.bytes for table in sky.write(delivery, 324) for file in table.files)
    await sky.deliver(transaction, 324, delivery=delivery)
    assert sum(told) == size
    assert told.count(0) > 2


async def test_what_progress_raises_ends_the_upload(sky: Any, transaction: int) -> None:
    def progress(size: int) -> None:
        raise ChunkError(Fault.STOPPED, "abandoned")

    with pytest.raises(ChunkError) as caught:
        await sky.deliver(transaction, 324, delivery=await sky.delivery(progress=progress))
    assert caught.value.fault is Fault.STOPPED


# ---- what does not count


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("load_failed", "MySQL load failed"),
        ("lose_row", "read 5 and loaded 4 rows of 5"),
        ("spoil_row", "loaded with"),
    ],
)
async def test_a_contribution_that_is_not_whole_fails_the_chunk(
    sky: Any, transaction: int, fault: str, words: str
) -> None:
    sky.qserv.fail(fault, path=CSV)
    text = await refused(sky, transaction)
    assert words in text
    assert "worker w" in text
    assert len(sky.qserv.uploads()) == 1


async def test_a_value_that_the_table_cannot_hold_is_found_by_its_warning(sky: Any, transaction: int) -> None:
    delivery = await sky.delivery()
    tables = sky.write(delivery, 324)
    file = tables[0].files[0]
    text = file.path.read_text().replace("\t0.5\t", "\tnan\t", 1)
    file.path.write_text(text)
    file.bytes = len(text)
    with pytest.raises(ChunkError, match=r"Object chunk_324\.txt loaded with 1 warnings, the first: .*flux"):
        await asyncio.to_thread(delivery.deliver, 324, 1, tables, transaction=transaction)


@pytest.mark.parametrize("kinder", [False, True])
async def test_an_upload_that_breaks_off_fails_the_chunk_however_the_worker_takes_it(
    sky: Any, transaction: int, kinder: bool
) -> None:
    for worker in sky.qserv.workers.values():
        worker.kinder = kinder
    sky.qserv.fail("reset", path=CSV, bytes=100)
    text = await refused(sky, transaction, rows=20)
    assert "the connection broke during POST /ingest/csv" in text
    assert len(sky.qserv.uploads()) == 1


async def test_an_answer_that_is_lost_fails_the_chunk_though_all_was_loaded(sky: Any, transaction: int) -> None:
    sky.qserv.fail("drop_after", path=CSV)
    await refused(sky, transaction)
    assert len(sky.qserv.uploads()) == 1
    assert [file["status"] for file in sky.qserv.transactions()[0].contributions] == ["FINISHED"]


async def test_any_status_but_200_fails_the_chunk(sky: Any, transaction: int) -> None:
    sky.qserv.fail("status", path=CSV, status=502)
    assert "HTTP status 502" in await refused(sky, transaction)
    assert len(sky.qserv.uploads()) == 1


async def test_a_worker_that_takes_no_more_bytes_is_given_up_on(sky: Any, transaction: int) -> None:
    sky.limits = Limits(connect=0.1, answer=5, stall=0.3, load=0.5, waits=(0.01,), poll=0.01)
    hanging = sky.qserv.fail("hang", path=CSV)
    text = await refused(sky, transaction)
    assert "has taken a whole file and not answered in time" in text
    hanging.release()


async def test_a_worker_that_goes_down_in_mid_file_fails_the_chunk(sky: Any, transaction: int) -> None:
    sky.qserv.fail("down", path=CSV, bytes=50)
    assert "worker w1: 127.0.0.1:" in await refused(sky, transaction, rows=20)


async def test_a_sender_that_pauses_is_cut_off_and_what_came_is_not_taken_for_the_file(
    sky: Any, transaction: int
) -> None:
    for worker in sky.qserv.workers.values():
        worker.pause = 0.1
    noticed = sky.qserv.fail("notice_pause", path=CSV)
    delivery = await sky.delivery(progress=lambda _: noticed.reached.wait(20))
    await refused(sky, transaction, delivery=delivery)
    assert [file["status"] for file in sky.qserv.transactions()[0].contributions] == ["FINISHED"]


async def test_a_file_that_has_changed_is_not_sent(sky: Any, transaction: int) -> None:
    delivery = await sky.delivery()
    tables = sky.write(delivery, 324)
    tables[0].files[0].bytes += 10
    with pytest.raises(ChunkError, match=r"bytes, .* were written"):
        await asyncio.to_thread(delivery.deliver, 324, 1, tables, transaction=transaction)


async def test_no_chunk_is_sent_into_a_transaction_that_has_ended(sky: Any) -> None:
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    await destination.abort(transaction)
    assert "is not active" in await refused(sky, transaction)
    assert sky.loaded() == {}


async def test_a_wrong_key_is_refused_and_not_shown(sky: Any, transaction: int) -> None:
    sky.qserv.workers["w1"].key = sky.qserv.workers["w2"].key = "another"
    assert "failed to pass authorization requirements" in await refused(sky, transaction)


# ---- what may be sent again


async def test_a_file_that_no_table_was_touched_by_is_sent_again(sky: Any, transaction: int) -> None:
    sky.qserv.fail("read_failed", path=CSV, times=2)
    await sky.deliver(transaction, 324)
    assert sky.loaded() == sky.expected(324)
    assert len(sky.qserv.uploads()) == 5
    assert any("is sent again" in line for line in sky.lines)


async def test_but_not_for_ever(sky: Any, transaction: int) -> None:
    sky.qserv.fail("read_failed", path=CSV, times=100)
    assert "no space for the temporary file" in await refused(sky, transaction)
    assert len(sky.qserv.uploads()) == 4


async def test_a_worker_that_takes_no_connection_is_asked_again(sky: Any, transaction: int) -> None:
    stopped = sky.qserv.workers["w1"]
    asked = sky.qserv.fail("notice", "POST", "/ingest/chunks")
    sky.qserv.do(stopped.stop())
    sky.limits = Limits(connect=2, answer=5, waits=(0.05,) * 40, poll=0.01)
    delivery = await sky.delivery()
    sending = asyncio.ensure_future(sky.deliver(transaction, 324, delivery=delivery))
    assert await asyncio.to_thread(asked.reached.wait, 20)
    sky.qserv.do(stopped.start())
    await sending
    assert sky.loaded() == sky.expected(324)


async def test_a_worker_that_is_away_fails_the_chunk_with_its_address(sky: Any, transaction: int) -> None:
    port = sky.qserv.workers["w1"].port
    sky.qserv.do(sky.qserv.workers["w1"].stop())
    assert f"worker w1 is not to be had: 127.0.0.1:{port} cannot be reached" in await refused(sky, transaction)


# ---- addresses and versions


async def test_host_names_are_tried_one_after_the_other(sky: Any, transaction: int) -> None:
    sky.qserv.controller.host_names = dict.fromkeys(("w1", "w2"), "nowhere.invalid, 127.0.0.1")
    sky.limits = Limits(waits=(0.01,), poll=0.01)
    await sky.deliver(transaction, 324)
    assert sky.loaded() == sky.expected(324)


async def test_another_worker_at_the_address_gets_nothing(sky: Any, transaction: int) -> None:
    sky.qserv.workers["w1"].port, sky.qserv.workers["w2"].port = (
        sky.qserv.workers["w2"].port,
        sky.qserv.workers["w1"].port,
    )
    assert "is 'w2'" in await refused(sky, transaction)
    assert sky.qserv.uploads() == []


async def test_a_newer_worker_that_wants_its_own_number_gets_it(sky: Any) -> None:
    sky.qserv.be_version(58)
    for worker in sky.qserv.workers.values():
        worker.least_csv = 57
    transaction = await (await sky.prepared()).begin(1, "here-1")
    await sky.deliver(transaction, 324)
    assert sky.loaded() == sky.expected(324)
    assert [seen.body["version"] for seen in sky.qserv.uploads()] == ["55", "57", "57", "57"]


async def test_old_controllers_place_chunks_one_by_one(sky: Any) -> None:
    sky.qserv.be_version(40)
    transaction = await (await sky.prepared()).begin(1, "here-1")
    await sky.deliver(transaction, 324)
    assert sky.loaded() == sky.expected(324)
    assert sky.qserv.came("POST", "/ingest/chunks") == []
    assert {seen.query.get("version") for seen in sky.qserv.came("POST", "/ingest/chunk")} == {"40"}
    assert {seen.body["version"] for seen in sky.qserv.uploads()} == {"40"}
