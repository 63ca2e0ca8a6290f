"""Files that stay on their clients' hosts: the core's orders to keep, and the server with clients that keep."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from dgconsole.coordinator import events as e
from dgconsole.coordinator.chunks import Chunks, State
from dgconsole.coordinator.core import Core
from dgconsole.coordinator.ledger import Reader
from dgconsole.coordinator.options import Options
from dgconsole.snapshot import ClientState
from dgconsole.support.errors import Fault
from dgconsole.wire import messages as m

FIGURES = m.Figures((m.TableFigures("Object", 5, 2, 70, {}),), {})
FAR, HERE = 1, 2
"""Peers: one that keeps its files, one that sees the run directory."""


class Bench:
    """A core with both kinds of clients, its clock, and the orders of the last events."""

    def __init__(self) -> None:
        self.core = Core(Chunks(np.arange(20, dtype=np.int32)), Options(stall_timeout=60.0, lease=30.0))
        self.now = 0.0
        self.orders: list[e.Order] = []
        self.feed(e.Joined(FAR, "far-1", "far", 1), e.Readied(FAR, "/scratch/chunks"))
        self.feed(e.Joined(HERE, "here-1", "here", 1), e.Readied(HERE))

    def feed(self, *events: e.Event) -> None:
        self.core.begin()
        self.orders = [order for event in events for order in self.core.handle(event, self.now)]
        self.core.validate()

    def say(self, peer: int, *messages: Any) -> None:
        self.feed(*(e.Said(peer, message) for message in messages))

    def sent(self, kind: type[m.Message]) -> list[Any]:
        return [o.message for o in self.orders if isinstance(o, e.Send) and isinstance(o.message, kind)]

    def made(self, peer: int = FAR) -> int:
        """The client asks for a chunk and reports it as completed: first attempt."""
        self.say(peer, m.Ask(1))
        ((chunk, attempt),) = (pair for message in self.sent(m.Assign) for pair in message.chunks)
        self.say(peer, m.Completed(chunk, attempt, FIGURES))
        return int(chunk)

    def state(self, chunk: int) -> State:
        return State(int(self.core.chunks.state[chunk]))

    def ended(self) -> list[e.Ended]:
        return [o.step for o in self.orders if isinstance(o, e.Persist) and isinstance(o.step, e.Ended)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.core.validate()


def test_a_chunk_is_complete_when_its_client_has_kept_the_files(bench: Bench) -> None:
    chunk = bench.made()
    assert bench.sent(m.Keep) == [m.Keep(chunk, 1)]
    assert not any(isinstance(order, e.Accept) for order in bench.orders)
    assert bench.state(chunk) is State.ASSIGNED
    bench.say(FAR, m.Kept(chunk, 1))
    assert bench.sent(m.Settled) == [m.Settled(chunk, 1, True)]
    assert bench.state(chunk) is State.COMPLETED
    (ended,) = bench.ended()
    assert (ended.outcome, ended.folder, ended.figures) == ("completed", "/scratch/chunks", FIGURES)


def test_the_destination_takes_the_files_of_the_others_as_ever(bench: Bench) -> None:
    chunk = bench.made(HERE)
    assert bench.sent(m.Keep) == []
    assert [order.chunk for order in bench.orders if isinstance(order, e.Accept)] == [chunk]
    bench.feed(e.Accepted(((chunk, 1),)))
    assert bench.ended()[0].folder == ""


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (Fault.DISK, Fault.DISK),
        (Fault.DELIVER, Fault.DELIVER),
        (Fault.SPEC, Fault.DELIVER),
        (Fault.STOPPED, Fault.DELIVER),
    ],
)
def test_what_cannot_be_kept_is_the_clients_fault_and_goes_to_another(
    bench: Bench, told: Fault, fault: Fault
) -> None:
    chunk = bench.made()
    bench.say(FAR, m.Kept(chunk, 1, "no space left on /scratch", told))
    assert bench.sent(m.Settled) == [m.Settled(chunk, 1, False)]
    (ended,) = bench.ended()
    assert (ended.outcome, ended.fault, ended.stage) == ("failed", fault.value, "deliver")
    assert (ended.error, ended.folder) == ("no space left on /scratch", "")
    assert bench.state(chunk) is State.PENDING
    assert bench.core.chunks.used[chunk] == 1
    assert bench.core.chunks.avoid[chunk] == bench.core.clients["far-1"].index


@pytest.mark.parametrize("how", ["gone", "bye", "exited", "lease", "stopped", "turned away"])
def test_who_goes_before_it_confirms_is_not_to_blame(bench: Bench, how: str) -> None:
    chunk = bench.made()
    if how == "lease":
        bench.say(HERE, m.Ping(1, 1))
        bench.now += 31.0
        bench.say(HERE, m.Ping(1, 1))
        bench.feed(e.Tick())
    else:
        steps: dict[str, list[e.Event]] = {
            "gone": [e.Gone(FAR, "reset")],
            "bye": [e.Said(FAR, m.Bye())],
            "exited": [e.Exited("far-1", "signal 9"), e.Gone(FAR, "reset")],
            "stopped": [e.StopOne("far-1", now=True), e.Said(FAR, m.Bye())],
            "turned away": [e.TurnedAway(FAR, "another plan")],
        }
        bench.feed(*steps[how])
    (ended,) = bench.ended()
    assert (ended.chunk, ended.outcome, ended.error, ended.folder) == (chunk, "returned", "", "")
    assert bench.state(chunk) is State.PENDING
    assert bench.core.chunks.used[chunk] == 0
    assert bench.core.accepting == {}
    assert any("before it had named the files" in o.text for o in bench.orders if isinstance(o, e.Log))


def test_who_gave_up_still_keeps_what_it_has_made(bench: Bench) -> None:
    chunk, other = bench.made(), bench.made()
    bench.say(FAR, m.GiveUp(Fault.DISK, "no space"))
    assert bench.core.clients["far-1"].state is ClientState.GAVE_UP
    bench.say(FAR, m.Kept(chunk, 1))
    assert bench.state(chunk) is State.COMPLETED
    bench.say(FAR, m.Bye())
    assert bench.state(other) is State.PENDING


def test_an_order_that_is_never_answered_ends_the_client(bench: Bench) -> None:
    """Its disk hangs, and it says so to nobody."""
    chunk = bench.made()
    for _ in range(5):
        bench.now += 20.0
        bench.say(HERE, m.Ping(1, 1))
        if FAR in bench.core.peers:
            bench.say(FAR, m.Ping(1, 1))
        bench.feed(e.Tick())
        if bench.core.clients["far-1"].state is ClientState.LOST:
            break
    assert bench.now == 80.0
    assert bench.core.clients["far-1"].reason == "no progress for 60 s"
    assert bench.state(chunk) is State.PENDING


@pytest.mark.parametrize(("chunk", "attempt"), [(19, 1), (9999, 1), (0, 2)])
def test_an_answer_that_nobody_asked_for_is_passed_over(bench: Bench, chunk: int, attempt: int) -> None:
    made = bench.made()
    assert made == 0
    bench.say(FAR, m.Kept(chunk, attempt))
    assert bench.ended() == []
    assert bench.state(made) is State.ASSIGNED


def test_nobody_answers_for_another(bench: Bench) -> None:
    chunk, near = bench.made(), bench.made(HERE)
    bench.say(HERE, m.Kept(chunk, 1), m.Kept(near, 1))
    bench.say(FAR, m.Kept(near, 1))
    assert bench.state(chunk) is bench.state(near) is State.ASSIGNED
    assert bench.sent(m.Settled) == []


def test_a_late_report_is_not_kept(bench: Bench) -> None:
    chunk = bench.made()
    bench.feed(e.Gone(FAR, "reset"))
    bench.feed(e.Joined(3, "far-1", "far", 2), e.Readied(3, "/scratch/chunks"))
    bench.say(3, m.Completed(chunk, 1, FIGURES), m.Kept(chunk, 1))
    assert bench.sent(m.Keep) == []
    assert bench.sent(m.Settled) == [m.Settled(chunk, 1, False)]
    assert bench.state(chunk) is State.PENDING


def test_a_confirmation_that_could_not_be_written_is_gone_through_again(bench: Bench) -> None:
    chunk = bench.made()
    kept = e.Said(FAR, m.Kept(chunk, 1))
    bench.feed(kept)
    bench.core.fail([kept], "disk full", bench.now)
    assert bench.state(chunk) is State.ASSIGNED
    bench.feed(e.Gone(FAR, "reset"))
    bench.feed(e.ResumeRun())
    assert bench.state(chunk) is State.COMPLETED
    assert bench.core.clients["far-1"].state is ClientState.LOST


# ---- the server


def keeping(fast: Options) -> Options:
    return msgspec.structs.replace(fast, keep_in="~/chunks")


async def join(run: Any, name: str, folder: str = "/home/gen/chunks") -> Any:
    """A client on another machine."""
    run.coordinator.expect(name, "far", collect=True)
    client = await run.stranger()
    welcome = await client.hello(run.token, name, "far")
    assert (welcome.collect, welcome.keep) == (False, "~/chunks")
    await client.bundle()
    plan = run.coordinator._plan
    await client.say(m.Ready(plan.digest, plan.sky_digest, folder))
    return client


async def test_files_stay_and_the_ledger_says_where(start: Any, fast: Options, tmp_path: Path) -> None:
    run = await start([5, 6], options=keeping(fast))
    far = await join(run, "far-1")
    ((chunk, attempt),) = await far.ask()
    await far.say(m.Completed(chunk, attempt, FIGURES))
    assert await far.until(m.Keep, m.Settled) == m.Keep(chunk, attempt)
    assert run.coordinator.counts().completed == 0
    await far.say(m.Kept(chunk, attempt))
    assert (await far.until(m.Settled)).accepted
    here = await run.client("here-1")
    ((other, attempt),) = await here.ask()
    assert await here.complete(other, attempt)
    assert run.destination.accepted == [(other, attempt)]
    await run.close()
    reader = Reader(tmp_path / "run" / "ledger.sqlite")
    found = dict(reader.rows("SELECT chunk, folder FROM attempts"))
    reader.close()
    assert found == {chunk: "/home/gen/chunks", other: ""}


async def test_a_client_lost_before_it_confirms(start: Any, fast: Options) -> None:
    run = await start([5], options=keeping(fast))
    far = await join(run, "far-1")
    ((chunk, attempt),) = await far.ask()
    await far.say(m.Completed(chunk, attempt, FIGURES))
    await far.until(m.Keep)
    far.cut()
    again = await join(run, "far-2")
    assert await again.ask() == ((chunk, attempt + 1),)
    history = await run.coordinator.history(chunk)
    assert [each.outcome for each in history.attempts] == ["returned", ""]


@pytest.mark.parametrize("folder", ["", "chunks"])
async def test_a_client_that_does_not_say_where_is_refused(start: Any, fast: Options, folder: str) -> None:
    run = await start([5], options=keeping(fast))
    far = await join(run, "far-1", folder)
    refused = await far.until(m.Refused)
    assert "does not say where it keeps its files" in refused.reason


async def test_who_sees_the_run_directory_has_nothing_to_keep(start: Any, fast: Options) -> None:
    run = await start([5], options=keeping(fast))
    here = await run.stranger()
    welcome = await here.hello(run.token, "here-1")
    assert (welcome.collect, welcome.keep) == (False, "")


async def test_who_comes_over_the_network_unexpected_keeps(start: Any, fast: Options) -> None:
    run = await start([5], options=keeping(fast), address="127.0.0.1:0")
    stranger = await run.stranger()
    assert (await stranger.hello(run.token, "", "anywhere")).keep == "~/chunks"
