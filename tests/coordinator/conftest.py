"""A run in a folder, fake clients that speak the wire over real sockets, a destination that notes what it is told."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgconsole import __version__
from dgconsole.coordinator.options import Options
from dgconsole.coordinator.rundir import RunDir, open_or_create
from dgconsole.coordinator.server import Coordinator
from dgconsole.plan import Plan, TablePlan
from dgconsole.support.clock import SystemClock
from dgconsole.support.errors import ChunkError
from dgconsole.wire import messages as m
from dgconsole.wire.framing import FrameReader, encode
from dgconsole.wire.messages import Role

PLAN = Plan(
    name="fakedb",
    num_stripes=200,
    num_sub_stripes=5,
    edge_width=0.018,
    seed=1,
    visits=30,
    objects=1000,
    tables=(
        TablePlan(name="Object", role="director", columns=(), delivered=True, overlap=0.01667),
        TablePlan(name="CcdVisit", role="visits", columns=(), delivered=False),
    ),
    notices=(),
    digest="d" * 64,
    sky_digest="e" * 64,
    parts={"fakeGenSpec.py": "a" * 64, "seed": "1"},
)
FAST = Options(heartbeat=0.2, lease=5.0, tick=0.01, retry_wait=0.01, gather=0.001)


def figures(rows: int = 10, overlap: int = 4, size: int = 100) -> m.Figures:
    seconds = {"generate": 0.5, "partition": 0.25}
    return m.Figures((m.TableFigures("Object", rows, overlap, size, seconds),), seconds)


@dataclass
class Notes:
    """A Destination that keeps what it is told; ``refuse`` decides about an attempt."""

    accepted: list[tuple[int, int]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    names: dict[int, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    refuse: Callable[[int, int], ChunkError | None] = lambda chunk, attempt: None

    def prepare(self, tables: Sequence[str]) -> None:
        self.calls.append(f"prepare {','.join(tables)}")

    def accept(
        self, items: Sequence[tuple[int, int, Mapping[str, Sequence[str]]]]
    ) -> dict[tuple[int, int], ChunkError]:
        refused = {}
        for chunk, attempt, names in items:
            if error := self.refuse(chunk, attempt):
                refused[chunk, attempt] = error
            else:
                self.accepted.append((chunk, attempt))
                self.names[chunk] = names
        return refused

    def sweep(self) -> None:
        self.calls.append("sweep")

    def close(self) -> None:
        self.calls.append("close")


class FakeClient:
    """Speaks the wire as a client does; every wait is for a message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.frames = FrameReader(Role.CLIENT)
        self.inbox: list[Any] = []
        self.name = ""
        self.files: dict[str, bytes] = {}

    @classmethod
    async def connect(cls, address: str) -> "FakeClient":
        if address.startswith("unix:"):
            return cls(*await asyncio.open_unix_connection(address.removeprefix("unix:")))
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def say(self, message: m.Message) -> None:
        self.writer.write(encode(message))
        await self.writer.drain()

    async def next(self) -> Any:
        """The next message; None at the end of the connection."""
        while not self.inbox:
            try:
                data = await self.reader.read(1 << 16)
            except ConnectionError:
                return None
            if not data:
                return None
            self.inbox += self.frames.feed(data)
        return self.inbox.pop(0)

    async def until(self, *kinds: type[m.Message]) -> Any:
        """The next message of one of these kinds, others passed over."""
        while True:
            message = await self.next()
            if message is None or isinstance(message, kinds):
                return message

    async def hello(self, token: str, name: str = "", host: str = "here") -> Any:
        await self.say(m.Hello(token, m.PROTOCOL, __version__, name, host, 1234))
        answer = await self.next()
        self.name = getattr(answer, "name", "")
        return answer

    async def bundle(self) -> None:
        """Read all files."""
        data = bytearray()
        while not isinstance(message := await self.next(), m.BundleEnd):
            data += message.data
            if message.last:
                self.files[f"{message.kind}/{message.name}"] = bytes(data)
                data.clear()

    async def join(self, token: str, name: str = "", host: str = "here") -> "FakeClient":
        assert isinstance(await self.hello(token, name, host), m.Welcome)
        await self.bundle()
        await self.say(m.Ready(PLAN.digest, PLAN.sky_digest))
        return self

    async def ask(self, count: int = 1) -> tuple[tuple[int, int], ...]:
        """Ask and wait until something is handed out."""
        await self.say(m.Ask(count))
        return await self.handed()

    async def handed(self) -> tuple[tuple[int, int], ...]:
        while True:
            message = await self.until(m.Assign, m.NoMore, m.Stop)
            if not isinstance(message, m.Assign):
                return ()
            if message.chunks:
                return message.chunks

    async def complete(self, chunk: int, attempt: int) -> bool:
        await self.say(m.Completed(chunk, attempt, figures()))
        answer = await self.until(m.Settled)
        return bool(answer and answer.accepted)

    async def work(self, count: int = 4) -> int:
        """Complete whatever is handed out until there is no more; how many chunks."""
        done = 0
        while chunks := await self.ask(count):
            for chunk, attempt in chunks:
                assert await self.complete(chunk, attempt)
                done += 1
        await self.say(m.Bye())
        await self.close()
        return done

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    def cut(self) -> None:
        self.writer.transport.abort()


@dataclass
class Running:
    """A coordinator that listens, with what belongs to it."""

    coordinator: Coordinator
    run_dir: RunDir
    destination: Notes
    address: str
    log: list[tuple[str, str, str]]
    sockets: list[FakeClient] = field(default_factory=list)

    @property
    def token(self) -> str:
        return self.coordinator.token

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait, batch by batch, until the condition holds; the test's own time-out is the limit."""
        turned = asyncio.Event()
        committer = self.coordinator._committer
        shown = committer._handled_all

        def show(batch: Any) -> None:
            shown(batch)
            turned.set()

        committer._handled_all = show
        while not condition():
            turned.clear()
            await turned.wait()
        committer._handled_all = shown

    async def stranger(self) -> FakeClient:
        client = await FakeClient.connect(self.address)
        self.sockets.append(client)
        return client

    async def client(self, name: str = "", host: str = "here") -> FakeClient:
        return await (await self.stranger()).join(self.token, name, host)

    closed: bool = False
    run_dir_closed: bool = False

    async def close(self) -> None:
        await self.close_coordinator()
        for client in self.sockets:
            await client.close()
        self.sockets.clear()
        if not self.run_dir_closed:
            self.run_dir_closed = True
            self.run_dir.close()

    async def close_coordinator(self) -> None:
        if not self.closed:
            self.closed = True
            await self.coordinator.close()


Start = Callable[..., Any]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: fsync costs nothing there."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def plan() -> Plan:
    return PLAN


@pytest.fixture
def fast() -> Options:
    return FAST


@pytest.fixture
def make_figures() -> Callable[..., m.Figures]:
    return figures


@pytest.fixture
def notes() -> type[Notes]:
    return Notes


@dataclass(frozen=True)
class Item:
    kind: str
    name: str
    data: bytes


@pytest.fixture
def item() -> type[Item]:
    return Item


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """``await start(targets, ...)`` opens (or resumes) the run in ``tmp_path/run`` and listens on its socket."""
    running: list[Running] = []

    async def begin(
        targets: Sequence[int] = range(100, 120),
        *,
        options: Options = FAST,
        destination: Notes | None = None,
        address: str = "",
        bundle: Sequence[Any] = (Item("spec", "spec.py", b"x" * 600_000), Item("plan", "plan.json", b"")),
    ) -> Running:
        run_dir = open_or_create(tmp_path / "run", PLAN, {"fakeGenSpec.py": b"spec = {}\n"})
        log: list[tuple[str, str, str]] = []
        target = destination or Notes()
        coordinator = await Coordinator.open(
            run_dir,
            PLAN,
            np.array(targets, np.int32),
            bundle,
            target,
            options,
            SystemClock(),
            lambda source, level, text: log.append((source, level, text)),
        )
        actual = await coordinator.listen(address or run_dir.client_address)
        made = Running(coordinator, run_dir, target, actual, log)
        running.append(made)
        return made

    yield begin
    for each in running:
        await each.close()
