"""Clients that send their files: the coordinator over real sockets with the destination ``files``."""

import asyncio
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgconsole.coordinator import incoming
from dgconsole.ingest.files import FilesDestination
from dgconsole.snapshot import ClientState, RunState
from dgconsole.support.errors import Fault
from dgconsole.wire import messages as m

PIECE = 1 << 18
TEXT = b"1\t2\t3\n" * 100_000


def file(chunk: int, attempt: int, data: bytes = TEXT, name: str = "") -> list[m.FileMessage]:
    digest = m.file_digest()
    digest.update(data)
    pieces = [m.FileData(data[k : k + PIECE]) for k in range(0, len(data), PIECE)]
    begin = m.FileBegin(chunk, attempt, "Object", name or f"chunk_{chunk}.txt", len(data))
    return [begin, *pieces, m.FileEnd(digest.hexdigest())]


def completed(chunk: int, attempt: int, data: bytes = TEXT) -> m.Completed:
    return m.Completed(chunk, attempt, m.Figures((m.TableFigures("Object", 1, 0, len(data), {}),), {}))


async def say(client: Any, *messages: m.Message) -> None:
    for message in messages:
        await client.say(message)


async def beat(client: Any) -> None:
    """Heartbeats, as long as the connection takes them."""
    while True:
        await client.say(m.Ping(1, 1))
        await asyncio.sleep(0.05)


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "Object").iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "run" / "chunks"


@pytest.fixture
def begin(start: Any, root: Path, fast: Any) -> Callable[..., Awaitable[Any]]:
    """``await begin(targets)``: a run whose client ``far-1`` sends its files."""

    async def make(targets: list[int], **options: Any) -> Any:
        run = await start(
            targets, destination=FilesDestination(root), options=msgspec.structs.replace(fast, **options)
        )
        run.coordinator.expect("far-1", "far", collect=True)
        run.coordinator.expect("far-2", "far", collect=True)
        return run

    return make


Begin = Callable[..., Awaitable[Any]]


async def test_who_is_asked_for_files(start: Any, begin: Begin) -> None:
    run = await begin([5])
    run.coordinator.expect("here-1", "here")
    address = await run.coordinator.listen("127.0.0.1:0")
    asked = {}
    for name, where in (("far-1", run.address), ("here-1", address), ("hand-1", run.address), ("hand-2", address)):
        run.address = where
        asked[name] = (await (await run.stranger()).hello(run.token, name)).collect
    assert asked == {"far-1": True, "here-1": False, "hand-1": False, "hand-2": True}


async def test_files_get_their_names_when_the_client_is_told(begin: Begin, root: Path) -> None:
    run = await begin([5, 6])
    client = await run.client("far-1")
    for _ in range(2):
        ((chunk, attempt),) = await client.ask()
        await say(client, *file(chunk, attempt), completed(chunk, attempt))
        assert (await client.until(m.Settled)).accepted
        assert f"chunk_{chunk}.txt" in names(root)
    assert names(root) == ["chunk_5.txt", "chunk_6.txt"]
    assert (root / "Object" / "chunk_5.txt").read_bytes() == TEXT
    assert run.coordinator.counts().completed == 2


async def test_a_farewell_right_behind_the_report_does_not_overtake_it(begin: Begin, root: Path) -> None:
    run = await begin([5])
    client = await run.client("far-1")
    ((chunk, attempt),) = await client.ask()
    await say(client, *file(chunk, attempt), completed(chunk, attempt), m.GiveUp(Fault.DISK, "full"), m.Bye())
    client.writer.write_eof()
    await run.until(lambda: run.coordinator.counts().completed == 1)
    assert names(root) == ["chunk_5.txt"]
    assert run.coordinator.clients()[0].state is ClientState.GAVE_UP


async def test_a_client_that_goes_in_the_middle_of_a_file_leaves_nothing(begin: Begin, root: Path) -> None:
    run = await begin([5])
    client = await run.client("far-1")
    ((chunk, attempt),) = await client.ask()
    await say(client, *file(chunk, attempt, name="chunk_5_overlap.txt"), *file(chunk, attempt)[:2])
    client.cut()
    await run.until(lambda: run.coordinator.clients()[0].state is ClientState.LOST)
    assert names(root) == []
    other = await run.client("far-2")
    ((chunk, attempt),) = await other.ask()
    await say(other, *file(chunk, attempt), completed(chunk, attempt))
    assert (await other.until(m.Settled)).accepted
    assert names(root) == ["chunk_5.txt"]


async def test_a_chunk_given_back_in_the_middle_of_a_file(begin: Begin, root: Path) -> None:
    """Others that are given back meanwhile do not touch it."""
    run = await begin([*range(5, 15)])
    client = await run.client("far-1")
    (chunk, attempt), (spare, first) = await client.ask(2)
    messages = file(chunk, attempt)
    await say(client, *messages[:2], m.Failed(spare, first, Fault.STOPPED, "", ""), *messages[2:])
    await say(client, completed(chunk, attempt))
    settled = [await client.until(m.Settled) for _ in range(2)]
    assert all(answer.accepted for answer in settled)
    assert names(root) == [f"chunk_{chunk}.txt"]
    ((chunk, attempt),) = await client.ask()
    await say(client, *file(chunk, attempt)[:2], m.Failed(chunk, attempt, Fault.STOPPED, "", ""))
    await client.until(m.Settled)
    assert len(names(root)) == 1


async def test_a_spoilt_file_fails_the_attempt(begin: Begin, root: Path) -> None:
    run = await begin([5])
    client = await run.client("far-1")
    ((chunk, attempt),) = await client.ask()
    head, piece, *rest = file(chunk, attempt)
    await say(client, head, m.FileData(b"x" + piece.data[1:]), *rest, completed(chunk, attempt))
    assert not (await client.until(m.Settled)).accepted
    assert names(root) == []
    (tried,) = (await run.coordinator.history(chunk)).attempts
    assert tried.outcome == "failed"
    assert "spoilt" in tried.error
    ((chunk, attempt),) = await client.ask()
    await say(client, *file(chunk, attempt), completed(chunk, attempt))
    assert (await client.until(m.Settled)).accepted


async def test_a_file_of_an_older_attempt_never_gets_the_name(begin: Begin, root: Path) -> None:
    run = await begin([5])
    old = await run.client("far-1")
    ((chunk, attempt),) = await old.ask()
    await say(old, m.Failed(chunk, attempt, Fault.STOPPED, "", ""))
    await old.until(m.Settled)
    await say(old, *file(chunk, attempt, b"old\n"))
    new = await run.client("far-2")
    ((_, newer),) = await new.ask()
    await say(new, *file(chunk, newer), completed(chunk, newer))
    assert (await new.until(m.Settled)).accepted
    await say(old, completed(chunk, attempt, b"old\n"))
    assert not (await old.until(m.Settled)).accepted
    assert (root / "Object" / "chunk_5.txt").read_bytes() == TEXT
    assert names(root) == ["chunk_5.txt"]


@pytest.mark.parametrize(
    "messages", [[m.FileEnd("")], [m.FileBegin(5, 1, "Object", "../../x", 1)], [m.FileBegin(5, 1, "Nothing", "x", 1)]]
)
async def test_nonsense_ends_the_connection(begin: Begin, root: Path, messages: list[m.Message]) -> None:
    run = await begin([5])
    client = await run.client("far-1")
    await client.ask()
    await say(client, *messages)
    while await client.next() is not None:
        pass
    await run.until(lambda: run.coordinator.clients()[0].state is ClientState.LOST)
    assert "sent" in run.coordinator.clients()[0].reason
    assert names(root) == []


async def test_a_file_from_a_client_that_was_not_asked_ends_the_connection(begin: Begin, root: Path) -> None:
    run = await begin([5])
    client = await run.client("hand-1")
    ((chunk, attempt),) = await client.ask()
    await say(client, *file(chunk, attempt)[:1])
    while await client.next() is not None:
        pass
    await run.until(lambda: run.coordinator.clients()[-1].state is ClientState.LOST)
    assert names(root) == []


# ---- a disk that is behind, or full


async def test_while_the_disk_is_behind_heartbeats_go_on_and_little_is_held(
    begin: Begin, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times the lease: the client's own heartbeats lie unread behind 32 MB."""
    going = threading.Event()
    write = incoming._write_all
    held = []

    def slowly(fd: int, data: bytes) -> None:
        going.wait()
        write(fd, data)

    monkeypatch.setattr(incoming, "_write_all", slowly)
    run = await begin([5], heartbeat=0.05, lease=0.5)
    client = await run.client("far-1")
    ((chunk, attempt),) = await client.ask()
    data = bytes(32 << 20)
    sending = asyncio.create_task(say(client, *file(chunk, attempt, data), completed(chunk, attempt, data)))
    beating = asyncio.create_task(beat(client))
    for _ in range(40):
        assert isinstance(await client.until(m.Pong, m.Stop), m.Pong)
        (peer,) = run.coordinator._reception._peers.values()
        held.append(peer._receiver._waiting)
    assert not sending.done()
    assert max(held) < 2 << 20
    assert run.coordinator.clients()[0].state is ClientState.WORKING
    going.set()
    answer = await client.until(m.Settled)
    assert answer.accepted
    await sending
    beating.cancel()
    assert (root / "Object" / "chunk_5.txt").stat().st_size == len(data)


async def test_closing_in_the_middle_of_a_file(begin: Begin, root: Path) -> None:
    run = await begin([5])
    client = await run.client("far-1")
    ((chunk, attempt),) = await client.ask()
    await say(client, *file(chunk, attempt)[:2])
    await run.close_coordinator()
    assert names(root) == []
    assert run.coordinator.bug is None


@pytest.fixture
def full(root: Path, need_root: None, need: Callable[[bool, str], None]) -> Iterator[Callable[[str], None]]:
    """``chunks/`` is a small tmpfs; the call makes it larger."""
    root.mkdir(parents=True)

    def mount(options: str) -> bool:
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", root]).returncode == 0

    need(mount("size=400k"), "needs the right to mount a tmpfs")
    yield lambda size: None if mount(f"remount,size={size}") else pytest.fail("remount")
    subprocess.run(["umount", "--lazy", root], check=True)


async def test_a_full_disk_pauses_and_blames_nobody(begin: Begin, root: Path, full: Callable[[str], None]) -> None:
    run = await begin([5])
    client = await run.client("far-1")
    ((chunk, attempt),) = await client.ask()
    await say(client, *file(chunk, attempt), completed(chunk, attempt))
    assert not (await client.until(m.Settled)).accepted
    assert names(root) == []
    assert run.coordinator.run_state is RunState.PAUSED
    assert run.coordinator.counts().pending == 1
    assert any("cannot be kept" in text and "No space left" in text for _, _, text in run.log)
    await client.say(m.Ask(1))
    full("10m")
    await run.coordinator.resume()
    ((chunk, attempt),) = await client.handed()
    await say(client, *file(chunk, attempt), completed(chunk, attempt))
    assert (await client.until(m.Settled)).accepted
    tries = (await run.coordinator.history(chunk)).attempts
    assert [one.outcome for one in tries] == ["returned", "completed"]
    assert names(root) == ["chunk_5.txt"]
