"""The coordinator over real sockets, with small clients that speak the wire."""

import asyncio
import csv
import json
import re
import stat
import time
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest

from dgconsole import __version__
from dgconsole.coordinator.ledger import Reader
from dgconsole.coordinator.noted import TOTALS, tally_of
from dgconsole.coordinator.tally import Tally
from dgconsole.snapshot import ClientState, RunState
from dgconsole.support.clock import SystemClock
from dgconsole.support.errors import BugError, ChunkError, Fault, InputError
from dgconsole.wire import messages as m
from dgconsole.wire.framing import encode


async def test_clients_fill_a_run(start: Any, fast: Any, tmp_path: Path) -> None:
    run = await start(range(100, 140))
    clients = [await run.client(f"here-{k}") for k in (1, 2)]
    assert clients[0].files == {"spec/spec.py": b"x" * 600_000, "plan/plan.json": b""}
    work = [asyncio.create_task(client.work()) for client in clients]
    await run.coordinator.finished.wait()
    assert run.coordinator.run_state is RunState.ENDED
    counts = run.coordinator.counts()
    assert (counts.total, counts.completed) == (40, 40)
    assert sorted(chunk for chunk, _ in run.destination.accepted) == list(range(100, 140))
    assert run.destination.names[100] == {"Object": ("chunk_100.txt", "chunk_100_overlap.txt")}
    await run.coordinator.stop(now=False)
    done = await asyncio.gather(*work)
    assert sum(done) == 40
    assert min(done) > 0
    await run.coordinator.stopped.wait()
    rows = run.coordinator.clients()
    assert [row.state for row in rows] == [ClientState.STOPPED, ClientState.STOPPED]
    assert sum(row.done for row in rows) == 40
    await run.coordinator.write_csv(tmp_path / "report.csv")
    report = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))
    assert [int(row["chunk_id"]) for row in report] == list(range(100, 140))
    assert {row["state"] for row in report} == {"completed"}
    assert {row["host"] for row in report} == {"here"}
    totals = await run.coordinator.report()
    assert totals.tables[0].rows == 400
    assert {total.name for total in totals.stages} == {"generate", "partition"}
    assert sum(total.chunks for total in totals.hosts) == 40


# ---- who may take part


@pytest.mark.parametrize(
    ("hello", "words"),
    [
        (lambda token: m.Hello("guess", m.PROTOCOL, __version__, "", "here", 1), "wrong token"),
        (lambda token: m.Hello("", m.PROTOCOL, __version__, "", "here", 1), "wrong token"),
        (lambda token: m.Hello("tökén", m.PROTOCOL, __version__, "", "here", 1), "wrong token"),
        (lambda token: m.Hello(token, m.PROTOCOL + 1, __version__, "", "here", 1), "install the same"),
        (lambda token: m.Hello(token, m.PROTOCOL, "0.0.1", "", "here", 1), "0.0.1"),
        (lambda token: m.Hello(token, m.PROTOCOL, __version__, "../x", "here", 1), "no name of a client"),
        (lambda token: m.Hello(token, m.PROTOCOL, __version__, "", "a b", 1), "no name of a host"),
        (lambda token: m.Hello(token, m.PROTOCOL, __version__, "here-1", "here", 1), "connected already"),
    ],
)
async def test_who_may_not_take_part_is_told_why(start: Any, hello: Any, words: str) -> None:
    run = await start()
    await run.client("here-1")
    stranger = await run.stranger()
    await stranger.say(hello(run.token))
    answer = await stranger.next()
    assert isinstance(answer, m.Refused)
    assert words in answer.reason
    assert run.token not in answer.reason
    assert await stranger.next() is None
    assert len(run.coordinator.clients()) == 1


@pytest.mark.parametrize(
    ("plan", "sky", "words"), [("f" * 64, "e" * 64, "plan"), ("d" * 64, "f" * 64, "math library")]
)
async def test_a_client_with_other_digests_is_refused(start: Any, plan: str, sky: str, words: str) -> None:
    run = await start()
    client = await run.stranger()
    await client.hello(run.token)
    await client.bundle()
    await client.say(m.Ready(plan, sky))
    answer = await client.until(m.Refused)
    assert words in answer.reason
    assert await client.next() is None
    await run.until(lambda: run.coordinator.clients()[0].state is ClientState.REFUSED)
    assert words in run.coordinator.clients()[0].reason


async def test_clients_started_by_hand_get_names(start: Any) -> None:
    run = await start()
    run.coordinator.expect("here-1", "here")
    names = [(await run.client(host="here")).name for _ in range(2)]
    assert names == ["here-2", "here-3"]
    expected = await run.client("here-1", host="some.machine.example")
    assert expected.name == "here-1"
    assert {row.host for row in run.coordinator.clients()} == {"here"}


async def test_a_client_of_a_host_that_was_deployed_to_has_that_build(start: Any) -> None:
    run = await start()
    run.coordinator.expect("far-1", "far", build="a" * 64)
    for build, words in (("", "from no wheel"), ("b" * 64, "from the wheel bbbbbbbbbbbb")):
        stranger = await run.stranger()
        await stranger.say(m.Hello(run.token, m.PROTOCOL, __version__, "far-1", "far", 1, build))
        answer = await stranger.next()
        assert isinstance(answer, m.Refused)
        assert f"{words}, the console has deployed aaaaaaaaaaaa" in answer.reason
    good = await run.stranger()
    await good.say(m.Hello(run.token, m.PROTOCOL, __version__, "far-1", "far", 1, "a" * 64))
    assert isinstance(await good.next(), m.Welcome)


async def test_a_coordinator_that_was_stopped_reads_before_it_takes_clients_for_lost(start: Any, fast: Any) -> None:
    run = await start(range(5), options=msgspec.structs.replace(fast, lease=1.0, heartbeat=0.3))
    client = await run.client("here-1")
    await client.say(m.Ping(1, 0))
    assert await client.until(m.Pong, m.Stop) == m.Pong(1)
    time.sleep(1.5)  # noqa: ASYNC251 - as if the whole process had been stopped
    await asyncio.sleep(0.05)  # the client's words lie behind others that are read first
    await client.say(m.Ping(2, 0))
    assert await client.until(m.Pong, m.Stop) == m.Pong(2)


async def test_over_tcp_on_loopback(start: Any) -> None:
    run = await start(range(5), address="127.0.0.1:0")
    assert re.fullmatch(r"127\.0\.0\.1:\d+", run.address)
    run.coordinator.expect("here-1", "here")
    client = await run.client("here-1")
    ((chunk, attempt),) = await client.ask()
    assert await client.complete(chunk, attempt)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:99999", "127.0.0.1:http", "unix:/no/such/folder/x.sock", "256.1.1.1:0"]
)
async def test_an_address_that_cannot_be_had_is_bad_input(start: Any, address: str) -> None:
    run = await start()
    with pytest.raises(InputError, match="cannot listen"):
        await run.coordinator.listen(address)


async def test_the_socket_is_for_this_user_only(start: Any) -> None:
    run = await start()
    assert stat.S_IMODE(Path(run.address.removeprefix("unix:")).stat().st_mode) == 0o600


# ---- bad peers


async def test_garbage_ends_its_own_connection_only(start: Any) -> None:
    run = await start()
    good = await run.client("here-1")
    random = Random(7)
    for _ in range(40):
        bad = await run.stranger()
        bad.writer.write(random.randbytes(random.randint(1, 300)))
        bad.writer.write_eof()
        assert await bad.next() is None
    ((chunk, attempt),) = await good.ask()
    assert await good.complete(chunk, attempt)
    assert [row.name for row in run.coordinator.clients()] == ["here-1"]


@pytest.mark.parametrize(
    "mischief",
    [
        encode(m.Hello("", 1, "", "", "", 0)),
        encode(m.Ready("", "")) * 2,
        b"\xff\xff\xff\xff",
        b"\0\0\0\x05hello",
        encode(m.Completed(100, 1, m.Figures((), {})))[:-3] + b"\xc1\xc1\xc1",
    ],
)
async def test_a_client_that_breaks_the_rules_loses_its_chunks_to_others(start: Any, mischief: bytes) -> None:
    run = await start([7])
    bad = await run.client("here-1")
    ((chunk, _),) = await bad.ask()
    good = await run.client("here-2")
    bad.writer.write(mischief)
    assert await bad.until(m.Refused) is None
    assert await good.ask() == ((chunk, 2),)
    assert await good.complete(chunk, 2)
    await run.coordinator.finished.wait()
    assert run.coordinator.clients()[0].state is ClientState.LOST


async def test_a_port_scan_and_a_silent_connection_leave_nothing(start: Any, fast: Any) -> None:
    run = await start([1], options=msgspec.structs.replace(fast, hello_timeout=0.05))
    for _ in range(5):
        (await run.stranger()).cut()
    silent = await run.stranger()
    assert await silent.next() is None
    client = await run.client()
    assert await client.complete(*(await client.ask())[0])
    await run.coordinator.finished.wait()


async def test_a_client_that_says_nothing_more_loses_its_lease(start: Any, fast: Any) -> None:
    dropped: list[tuple[str, str]] = []
    run = await start([5], options=msgspec.structs.replace(fast, lease=0.2, heartbeat=0.02))
    run.coordinator.on_drop = lambda name, reason: dropped.append((name, reason))
    silent = await run.client("here-1")
    ((chunk, attempt),) = await silent.ask()
    await run.until(lambda: run.coordinator.clients()[0].state is ClientState.LOST)
    late = await silent.until(m.Refused)
    assert late is None
    assert dropped == [("here-1", "no word for 0 s")]
    other = await run.client("here-2")
    assert await other.ask() == ((chunk, attempt + 1),)


async def test_many_messages_at_once_are_all_answered(start: Any) -> None:
    run = await start()
    client = await run.client()
    client.writer.write(b"".join(encode(m.Ping(k, k)) for k in range(3000)))
    assert [(await client.until(m.Pong)).number for _ in range(3000)] == list(range(3000))


# ---- trouble


async def test_a_late_completion_is_refused(start: Any) -> None:
    run = await start([3])
    one = await run.client("here-1")
    ((chunk, attempt),) = await one.ask()
    await one.say(m.Failed(chunk, attempt, Fault.STOPPED, "", ""))
    await one.until(m.Settled)
    two = await run.client("here-2")
    ((_, newer),) = await two.ask()
    assert not await one.complete(chunk, attempt)
    assert run.destination.accepted == []
    assert await two.complete(chunk, newer)
    assert run.destination.accepted == [(chunk, newer)]


async def test_files_that_are_missing_fail_the_attempt(start: Any, notes: Any) -> None:
    def missing(chunk: int, attempt: int) -> ChunkError | None:
        return ChunkError(Fault.DELIVER, f"chunk_{chunk}.txt: no such file") if attempt == 1 else None

    run = await start([3], destination=notes(refuse=missing))
    client = await run.client()
    assert not await client.complete(*(await client.ask())[0])
    assert await client.complete(*(await client.ask())[0])
    history = await run.coordinator.history(3)
    assert [(a.outcome, a.fault, a.error) for a in history.attempts] == [
        ("failed", "deliver", "chunk_3.txt: no such file"),
        ("completed", "", ""),
    ]
    assert await run.coordinator.history(4) is None


async def test_a_full_disk_at_the_destination_pauses_until_resume(start: Any, notes: Any) -> None:
    full = [ChunkError(Fault.DISK, "chunks/Object: No space left on device")]
    run = await start(destination=notes(refuse=lambda chunk, attempt: full[0] if full else None))
    client = await run.client()
    ((chunk, attempt), *_) = await client.ask()
    await client.say(m.Completed(chunk, attempt, m.Figures((), {})))
    await run.until(lambda: run.coordinator.run_state is RunState.PAUSED)
    assert "No space left" in run.coordinator.notices()[0].text
    full.clear()
    await run.coordinator.resume()
    assert (await client.until(m.Settled)).accepted
    assert run.coordinator.notices() == ()


async def test_a_ledger_that_cannot_be_written_pauses_until_resume(start: Any) -> None:
    run = await start()
    client = await run.client()
    ((chunk, attempt),) = await client.ask()
    ledger = run.coordinator._ledger
    real = ledger.commit
    ledger.commit = lambda steps: "database or disk is full"
    await client.say(m.Completed(chunk, attempt, m.Figures((), {})))
    await run.until(lambda: run.coordinator.run_state is RunState.PAUSED)
    notice = run.coordinator.notices()[0]
    assert (notice.key, "disk is full" in notice.text) == ("p", True)
    await client.say(m.Ask(2))
    await client.say(m.Ping(1, 1))
    assert isinstance(await client.next(), m.Pong)
    assert run.coordinator.counts().completed == 0
    await run.coordinator.resume()
    await run.until(lambda: run.coordinator.run_state is RunState.PAUSED)
    ledger.commit = real
    await run.coordinator.resume()
    assert (await client.until(m.Settled)).accepted
    assert len(await client.handed()) == 2


async def test_quit_works_while_the_ledger_cannot_be_written(start: Any) -> None:
    run = await start()
    client = await run.client()
    ((chunk, attempt),) = await client.ask()
    run.coordinator._ledger.commit = lambda steps: "database or disk is full"
    await client.say(m.Completed(chunk, attempt, m.Figures((), {})))
    await run.until(lambda: run.coordinator.run_state is RunState.PAUSED)
    await run.coordinator.stop(now=False)
    assert isinstance(await client.until(m.Stop), m.Stop)
    await client.close()
    await run.coordinator.stopped.wait()


async def test_a_fault_of_our_own_lets_nobody_wait(start: Any) -> None:
    run = await start()
    client = await run.client()

    def wrong(steps: object) -> str:
        raise BugError("the ledger took 0 of 1 changes", ["UPDATE chunks"])

    run.coordinator._ledger.commit = wrong
    await client.say(m.Ask(1))
    await run.coordinator.finished.wait()
    assert "0 of 1" in str(run.coordinator.bug)
    assert await client.next() is None
    assert any("UPDATE chunks" in text for _, _, text in run.log)


async def test_limbo_causes_and_retry(start: Any, fast: Any) -> None:
    run = await start(range(4), options=msgspec.structs.replace(fast, max_attempts=1))
    client = await run.client()
    for k in range(2):
        ((chunk, attempt),) = await client.ask()
        await client.say(m.Failed(chunk, attempt, Fault.GENERATE, "generate", f"row {k} of /tmp/{k} is odd"))
    assert (await client.until(m.Settled)).chunk == 1
    (cause,) = run.coordinator.causes()
    assert (cause.text, cause.count, cause.chunks, cause.hosts) == ("row # of … is odd", 2, (0, 1), ("here",))
    states = run.coordinator.chunk_states(0)
    assert list(states.states) == [4, 4, 0, 0]
    assert run.coordinator.chunk_states(states.revision) is None
    report = await run.coordinator.report()
    assert [row.chunk_id for row in report.problems] == [0, 1]
    assert report.problems[0].error == "row 0 of /tmp/0 is odd"
    assert await run.coordinator.retry([1, 3, 77]) == 1
    assert await run.coordinator.retry_all() == 1
    assert run.coordinator.counts().limbo == 0
    assert run.coordinator.chunk_states(states.revision) is not None


async def test_a_face_is_told_of_the_chunks_that_changed_since(start: Any) -> None:
    run = await start(range(20))
    client = await run.client()
    whole = run.coordinator.chunk_states(-1)
    assert (whole.at, len(whole.states)) == (None, 20)
    ((chunk, _),) = await client.ask()
    told = run.coordinator.chunk_states(whole.revision)
    assert list(np.frombuffer(told.at, "<i4")) == [chunk]
    assert (list(told.states), list(told.attempts), len(told.rows)) == ([1], [1], 8)
    assert run.coordinator.chunk_states(told.revision) is None
    assert run.coordinator.chunk_states(-1).at is None


async def test_stop_now_gives_back_what_is_in_hand(start: Any) -> None:
    run = await start()
    client = await run.client("here-1")
    await client.ask()
    await run.coordinator.stop_client("here-1", now=True)
    assert await client.until(m.Stop) == m.Stop(now=True)
    await client.say(m.Bye())
    assert await client.next() is None
    await run.until(lambda: run.coordinator.clients()[0].state is ClientState.STOPPED)
    assert run.coordinator.counts().pending == 20


# ---- again


async def test_a_run_goes_on_where_it_stopped(start: Any, notes: Any) -> None:
    first = await start()
    client = await first.client("here-1")
    done = [(await client.ask())[0] for _ in range(3)]
    for chunk, attempt in done:
        assert await client.complete(chunk, attempt)
    ((in_hand, _),) = await client.ask()
    await first.close()
    assert first.destination.calls == ["prepare Object", "sweep", "close"]
    second = await start([*range(100, 120), 500])
    counts = second.coordinator.counts()
    assert (counts.total, counts.completed, counts.pending, counts.retrying) == (21, 3, 18, 0)
    assert (second.coordinator.totals.rows, second.coordinator.session_completed) == (30, 0)
    client = await second.client("here-1")
    assert (await client.ask(1))[0] == (in_hand, 2)
    assert await client.complete(in_hand, 2)


async def test_a_finished_run_is_finished_at_once(start: Any) -> None:
    first = await start([1])
    client = await first.client()
    await client.complete(*(await client.ask())[0])
    await first.close()
    second = await start([1])
    assert second.coordinator.finished.is_set()
    assert second.coordinator.completed_since is not None
    assert second.coordinator.verdict().startswith("Complete")


async def test_server_json_is_for_this_user_only(start: Any) -> None:
    run = await start()
    run.run_dir.write_server(run.address, run.token)
    assert stat.S_IMODE(run.run_dir.server_json.stat().st_mode) == 0o600
    assert json.loads(run.run_dir.server_json.read_text()) == {"address": run.address, "token": run.token}
    await run.close()
    assert not run.run_dir.server_json.exists()


async def test_the_token_is_never_logged(start: Any) -> None:
    run = await start()
    await run.client()
    assert not any(run.token in text for _, _, text in run.log)


async def test_a_client_that_does_not_read_its_files_is_let_go(start: Any, fast: Any, item: Any) -> None:
    big = [item("pregenerated", "visits.csv", b"v" * 20_000_000)]
    run = await start([1], options=msgspec.structs.replace(fast, lease=0.1), bundle=big)
    deaf = await run.stranger()
    deaf.reader._transport.pause_reading()
    await deaf.say(m.Hello(run.token, m.PROTOCOL, __version__, "here-1", "here", 1))
    await run.until(lambda: [row.state for row in run.coordinator.clients()] == [ClientState.LOST])
    await run.close_coordinator()
    assert run.coordinator.stopped.is_set()
    deaf.cut()


async def test_commands_after_a_fault_of_our_own_return(start: Any) -> None:
    run = await start()
    client = await run.client()

    def wrong(steps: object) -> str:
        raise BugError("odd")

    run.coordinator._ledger.commit = wrong
    await client.say(m.Ask(1))
    await run.coordinator.stopped.wait()
    await run.coordinator.pause()
    assert await run.coordinator.retry_all() == 0


async def test_a_session_that_closes_leaves_its_totals_to_the_next(start: Any) -> None:
    run = await start(range(3))
    client = await run.client()
    for _ in range(2):
        ((chunk, attempt),) = await client.ask()
        assert await client.complete(chunk, attempt)
    await run.close_coordinator()
    reader = Reader(run.run_dir.ledger)
    noted = msgspec.json.decode(reader.note(TOTALS), type=Tally)
    assert (noted.attempts, noted.everything.chunks) == (2, 2)
    assert tally_of(reader, (("here-1", "here"),)) == noted
    reader.close()


class Trembling(SystemClock):
    """Its wall clock is read a little later each time; ``jump`` seconds are added to it."""

    jump = late = 0.0

    def wall(self) -> float:
        self.late += 0.001
        return super().wall() - self.late + self.jump


async def test_times_of_attempts_do_not_tremble_and_follow_a_clock_that_is_set(start: Any) -> None:
    run = await start(range(2))
    clock = run.coordinator._committer._clock = Trembling()
    client = await run.client()
    reader = Reader(run.run_dir.ledger)

    def times(chunk: int) -> tuple[float, float | None]:
        ((started, ended),) = reader.rows("SELECT started, ended FROM attempts WHERE chunk = ?", (chunk,))
        return started, ended

    ((chunk, attempt),) = await client.ask()
    begun, _ = times(chunk)
    assert await client.complete(chunk, attempt)
    assert times(chunk)[0] == begun
    clock.jump = 3600.0
    ((chunk, attempt),) = await client.ask()
    assert 3500.0 < times(chunk)[0] - begun < 3700.0
    reader.close()
