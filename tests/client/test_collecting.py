"""Client processes that send their files to the real coordinator: the same bytes, whatever happens on the way."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgconsole.coordinator import incoming, receiving
from dgconsole.coordinator.options import Options
from dgconsole.coordinator.rundir import open_or_create
from dgconsole.coordinator.server import Coordinator
from dgconsole.ingest.files import FilesDestination
from dgconsole.plan.bundle import bundle_items
from dgconsole.plan.load import load_plan
from dgconsole.support.clock import SystemClock
from dgconsole.wire import messages as m
from dgconsole.wire.framing import FrameReader, encode
from dgconsole.wire.messages import Role

pytestmark = pytest.mark.slow

CHUNKS = [0, 39600, 57701, 57702]
Client = asyncio.subprocess.Process


class Runs:
    """Coordinators and their clients, all ended with the test."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self.config = config
        self.runs: list[Coordinator] = []
        self.clients: list[Client] = []
        self.lost = asyncio.Event()

    def _log(self, source: str, level: str, text: str) -> None:
        if text.startswith(f"{source} lost"):
            self.lost.set()

    async def open(self, name: str, **options: Any) -> Coordinator:
        settings, plan = load_plan(self.config)
        run_dir = open_or_create(self.folder / name, plan, {})
        run = await Coordinator.open(
            run_dir,
            plan,
            np.array(CHUNKS, np.int32),
            bundle_items(settings, plan, out_dir=str(run_dir.chunks), keep_csv=False),
            FilesDestination(run_dir.chunks),
            Options(end_when_finished=True, chunks_per_request=2, retry_wait=0.01, tick=0.05, **options),
            SystemClock(),
            self._log,
        )
        await run.listen(f"unix:{self.folder / name / 's'}")
        self.runs.append(run)
        return run

    async def start(self, run: Coordinator, name: str, address: str, *, collect: bool = True) -> Client:
        run.expect(name, "far", collect=collect)
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dgconsole.client", "--server", address, "--name", name,
            "--workdir", str(self.folder / "work" / name), "--token-file", "-",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert client.stdin is not None
        client.stdin.write(f"{run.token}\n".encode())
        self.clients.append(client)
        return client

    def address(self, name: str) -> str:
        return f"unix:{self.folder / name / 's'}"

    def files(self, name: str) -> dict[str, bytes]:
        root = self.folder / name / "chunks"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("*/*")}

    def left(self, client: str) -> list[Path]:
        return [path for path in (self.folder / "work" / client / "out").rglob("*") if path.is_file()]

    async def local(self) -> dict[str, bytes]:
        """What a client that shares the console's disk makes."""
        run = await self.open("local")
        status, text = await ended(await self.start(run, "here-1", self.address("local"), collect=False))
        assert status == 0, text
        assert not (self.folder / "work" / "here-1" / "out").exists()
        return self.files("local")

    async def close(self) -> None:
        for client in self.clients:
            if client.returncode is None:
                client.kill()
            await client.communicate()
        for run in self.runs:
            await run.close()


@pytest.fixture
async def runs(tmp_path: Path, config: Path) -> AsyncIterator[Runs]:
    made = Runs(tmp_path, config)
    yield made
    await made.close()


async def ended(client: Client) -> tuple[int, str]:
    async with asyncio.timeout(60):
        assert client.stdout is not None
        text = (await client.stdout.read()).decode()
        return await client.wait(), text


Change = Callable[[m.Message], m.Message]


class Relay:
    """Stands between clients and a run; ``change`` sees every message of theirs, ``pause`` slows them down."""

    def __init__(self, path: Path, onward: str, change: Change, pause: float = 0.0) -> None:
        self.path, self.onward, self.change, self.pause = path, onward.removeprefix("unix:"), change, pause
        self.address = f"unix:{path}"

    async def __aenter__(self) -> "Relay":
        self.server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_run, to_run = await asyncio.open_unix_connection(self.onward)
        frames = FrameReader(Role.COORDINATOR)

        async def there() -> None:
            while data := await reader.read(1 << 15):
                await asyncio.sleep(self.pause)
                for message in frames.feed(data):
                    to_run.write(encode(self.change(message)))
                await to_run.drain()
            to_run.write_eof()

        async def back() -> None:
            while data := await from_run.read(1 << 16):
                writer.write(data)
                await writer.drain()

        await asyncio.gather(there(), back())
        for end in (writer, to_run):
            end.close()


@pytest.mark.parametrize("tcp", [False, True])
async def test_what_is_sent_is_what_a_local_client_writes(runs: Runs, tcp: bool) -> None:
    run = await runs.open("far")
    address = await run.listen("127.0.0.1:0") if tcp else runs.address("far")
    clients = [await runs.start(run, name, address) for name in ("far-1", "far-2")]
    for client in clients:
        status, text = await ended(client)
        assert status == 0, text
    assert run.counts().completed == len(CHUNKS)
    assert runs.files("far") == await runs.local()
    assert len(runs.files("far")) == 3 * len(CHUNKS)
    assert (runs.folder / "work" / "far-1" / "out" / "Object").is_dir()
    assert runs.left("far-1") == runs.left("far-2") == []


async def test_a_client_killed_in_mid_transfer_leaves_nothing_and_the_next_goes_on(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, going = threading.Event(), threading.Event()
    write = incoming._write_all

    def gate(fd: int, data: bytes) -> None:
        reached.set()
        going.wait()
        write(fd, data)

    monkeypatch.setattr(incoming, "_write_all", gate)
    monkeypatch.setattr(receiving, "AHEAD", 0)
    run = await runs.open("far")
    victim = await runs.start(run, "far-1", runs.address("far"))
    await asyncio.to_thread(reached.wait)
    victim.kill()
    await victim.wait()
    assert len(runs.left("far-1")) == 3, "nothing is removed before it is all on its way"
    assert [name for name in runs.files("far") if ".attempt-" not in name] == []
    going.set()
    run.client_exited("far-1", "ended by SIGKILL")
    async with asyncio.timeout(30):
        await runs.lost.wait()
    assert runs.files("far") == {}
    status, text = await ended(await runs.start(run, "far-1", runs.address("far")))
    assert status == 0, text
    assert run.counts().completed == len(CHUNKS)
    assert runs.files("far") == await runs.local()
    assert runs.left("far-1") == []


async def test_a_byte_spoilt_on_the_way_costs_one_attempt(runs: Runs) -> None:
    spoilt: list[m.Message] = []

    def spoil(message: m.Message) -> m.Message:
        if isinstance(message, m.FileData) and not spoilt:
            spoilt.append(message)
            return m.FileData(message.data[:-1] + b"?")
        return message

    run = await runs.open("far")
    async with Relay(runs.folder / "r", runs.address("far"), spoil) as relay:
        status, text = await ended(await runs.start(run, "far-1", relay.address))
    assert status == 0, text
    assert spoilt
    assert run.counts().completed == len(CHUNKS)
    assert runs.files("far") == await runs.local()
    histories = [await run.history(chunk) for chunk in CHUNKS]
    errors = [attempt.error for history in histories if history for attempt in history.attempts if attempt.error]
    assert len(errors) == 1
    assert "was spoilt on its way" in errors[0]


async def test_heartbeats_pass_a_slow_transfer(runs: Runs) -> None:
    """About 0.3 MB/s, and a lease shorter than one chunk's way: no more than a few pieces are ahead of a Ping."""
    between = [0]

    def count(message: m.Message) -> m.Message:
        if isinstance(message, m.Ping):
            between.append(0)
        elif isinstance(message, m.FileData):
            between[-1] += 1
        return message

    run = await runs.open("far", heartbeat=0.3, lease=2.0)
    async with Relay(runs.folder / "r", runs.address("far"), count, pause=0.1) as relay:
        status, text = await ended(await runs.start(run, "far-1", relay.address))
    assert status == 0, text
    assert run.counts().completed == len(CHUNKS)
    assert all(row.reason == "" for row in run.clients())
    assert sum(between) > 8
    assert max(between) <= 4


async def test_a_run_that_is_stopped_in_mid_transfer_lets_the_client_go(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, going = threading.Event(), threading.Event()

    def gate(fd: int, data: bytes) -> None:
        reached.set()
        going.wait()

    monkeypatch.setattr(incoming, "_write_all", gate)
    monkeypatch.setattr(receiving, "AHEAD", 0)
    run = await runs.open("far")
    client = await runs.start(run, "far-1", runs.address("far"))
    await asyncio.to_thread(reached.wait)
    await run.stop(now=True)
    status, text = await ended(client)
    going.set()
    assert status == 0, text
    assert "leaving without it" not in text
    assert runs.left("far-1") == []
    await run.stopped.wait()
    assert runs.files("far") == {}
