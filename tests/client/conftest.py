"""A small console for client processes: real wire, real bundle, real files; no ledger."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dgconsole.ingest.files import FilesDestination
from dgconsole.plan.bundle import bundle_items
from dgconsole.plan.load import load_plan
from dgconsole.support.filenames import home_name, overlap_name
from dgconsole.wire import messages as m
from dgconsole.wire.framing import FrameReader, encode
from dgconsole.wire.messages import Role
from dgconsole.wire.session import WireSession

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-for-tests"
PATIENCE = 30.0


class Connection:
    """One client as the small console sees it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.wire = WireSession(Role.COORDINATOR)
        self.name = ""

    def say(self, message: m.Message) -> None:
        self.wire.sent(message)
        self.writer.write(encode(message))


class Console:
    """Hands out ``chunks`` one after the other, accepts what comes back, and keeps all that was said.

    ``each``: chunks per request. ``pongs``: whether it answers heartbeats. ``ends``: whether it says NoMore when
    nothing is left; otherwise clients wait.
    """

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self.config = config
        self.chunks: list[int] = []
        self.each = 2
        self.heartbeat, self.lease = 5.0, 30.0
        self.pongs = True
        self.ends = True
        self.keep_csv = False
        self.heard: list[m.Message] = []
        self.connections: list[Connection] = []
        self.attempts: dict[int, int] = {}
        self._news = asyncio.Event()
        self.chunk_folder = folder / "run" / "chunks"
        self.socket = folder / "s"

    async def open(self) -> None:
        self.folder.mkdir(exist_ok=True)
        settings, self.plan = load_plan(self.config)
        self.items = bundle_items(settings, self.plan, out_dir=str(self.chunk_folder), keep_csv=self.keep_csv)
        self.chunk_folder.parent.mkdir(exist_ok=True)
        self.destination = FilesDestination(self.chunk_folder)
        self.destination.prepare([table.name for table in self.plan.tables if table.delivered])
        self.server = await asyncio.start_unix_server(self._serve, self.socket)

    async def close(self) -> None:
        self.server.close()
        for connection in self.connections:
            connection.writer.close()
        await self.server.wait_closed()

    async def until(self, kind: type[Any], count: int = 1) -> list[Any]:
        """Wait for ``count`` messages of a kind; returns them."""
        async with asyncio.timeout(PATIENCE):
            while len(found := self.all(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return found

    def all(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.heard if isinstance(message, kind)]

    def files(self) -> dict[str, bytes]:
        """Everything at the destination, by path."""
        found = (path for path in sorted(self.chunk_folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.chunk_folder)): path.read_bytes() for path in found}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(writer)
        self.connections.append(connection)
        frames = FrameReader(Role.COORDINATOR)
        try:
            while data := await reader.read(65536):
                for message in frames.feed(data):
                    connection.wire.received(message)
                    self.heard.append(message)
                    self._answer(connection, message)
                    self._news.set()
        except ConnectionError:
            pass  # a client that was killed
        writer.close()

    def _answer(self, to: Connection, message: m.Message) -> None:
        if isinstance(message, m.Hello):
            self._greet(to, message)
        elif isinstance(message, m.Ping) and self.pongs:
            to.say(m.Pong(message.number))
        elif isinstance(message, m.Ask):
            self._hand_out(to)
        elif isinstance(message, m.Completed):
            names = {
                table.table: [home_name(message.chunk)] * bool(table.rows)
                + [overlap_name(message.chunk)] * bool(table.overlap_rows)
                for table in message.figures.tables
            }
            assert self.destination.accept([(message.chunk, message.attempt, names)]) == {}
            to.say(m.Settled(message.chunk, message.attempt, True))
        elif isinstance(message, m.Failed):
            to.say(m.Settled(message.chunk, message.attempt, True))

    def _greet(self, to: Connection, hello: m.Hello) -> None:
        if hello.token != TOKEN:
            to.say(m.Refused("wrong token"))
            return
        to.name = hello.name
        to.say(m.Welcome(hello.name or "c-1", "here", self.heartbeat, self.lease, len(self.items)))
        for item in self.items:
            middle = len(item.data) // 2
            to.say(m.BundleFile(item.kind, item.name, item.data[:middle], False))
            to.say(m.BundleFile(item.kind, item.name, item.data[middle:], True))
        to.say(m.BundleEnd())

    def _hand_out(self, to: Connection) -> None:
        given, self.chunks = self.chunks[: self.each], self.chunks[self.each :]
        for chunk in given:
            self.attempts[chunk] = self.attempts.get(chunk, 0) + 1
        if given:
            to.say(m.Assign(tuple((chunk, self.attempts[chunk]) for chunk in given)))
        elif self.ends:
            to.say(m.NoMore())
        else:
            to.say(m.Assign(()))


class Process:
    """One dgclient process. ``stdin`` stays open until it is closed."""

    def __init__(self, process: asyncio.subprocess.Process, workdir: Path) -> None:
        self.process = process
        self.workdir = workdir

    async def end(self) -> tuple[int, str]:
        """Exit status and what it wrote."""
        async with asyncio.timeout(PATIENCE):
            assert self.process.stdout is not None
            text = (await self.process.stdout.read()).decode()
            return await self.process.wait(), text


Start = Callable[..., Any]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A copy of the shipped configuration, to be changed at will."""
    folder = tmp_path / "config"
    folder.mkdir()
    for name in ("serverCfg.yml", "fakeGenSpec.py"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "fakePartitionerCfgs", folder / "fakePartitionerCfgs")
    return folder / "serverCfg.yml"


@pytest.fixture
async def console(tmp_path: Path, config: Path) -> AsyncIterator[Console]:
    """Not open yet, so that a test can change what it hands out."""
    made = Console(tmp_path / "console", config)
    yield made
    if hasattr(made, "server"):
        await made.close()


@pytest.fixture
async def start(tmp_path: Path, console: Console) -> AsyncIterator[Start]:
    """``await start(name, *options, token=...)``: a client process as a host agent would start it."""
    started: list[Process] = []

    async def begin(
        name: str = "here-1", *options: str, token: str = TOKEN, workdir: Path | None = None, stdin: bool = True
    ) -> Process:
        place = workdir or tmp_path / "work" / name
        arguments: Sequence[str] = ("--server", f"unix:{console.socket}", "--workdir", str(place), "--name", name)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dgconsole.client",
            *arguments,
            *(("--token-file", "-") if stdin else ()),
            *options,
            cwd=tmp_path,
            env={**os.environ, "DGCONSOLE_TOKEN": token},
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        if process.stdin is not None:
            process.stdin.write(f"{token}\n".encode())
        started.append(Process(process, place))
        return started[-1]

    yield begin
    for client in started:
        if client.process.returncode is None:
            client.process.kill()
        await client.process.communicate()
