"""A session in memory behind a real control.sock."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dgconsole.attach.attached import AttachedSession
from dgconsole.session.control import Control
from dgconsole.snapshot import (
    ChunkHistory,
    ChunkState,
    ChunkStates,
    ChunkTable,
    Command,
    Counts,
    LogFile,
    LogLine,
    LogMark,
    LogPage,
    OlderLines,
    Pause,
    Reply,
    Report,
    RunState,
    Snapshot,
    WholeLines,
)


class Small:
    """A session of ``count`` chunks that remembers commands. ``gate`` holds up histories and commands."""

    def __init__(self, count: int = 3) -> None:
        self.count = count
        self.revision = 5
        self.state = RunState.RUNNING
        self.commands: list[Command] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.done = 0
        self.tables = 0

    async def snapshot(self) -> Snapshot:
        ended = self.state is RunState.ENDED
        return Snapshot(
            revision=self.revision,
            name="small",
            run_dir="runs/small",
            state=self.state,
            wall=1000.0,
            started=900.0,
            elapsed=100.0,
            counts=Counts(total=self.count, pending=self.count),
            log_end=2,
            verdict="0 of 3 chunks are made." if ended else "",
            exit_status=130 if ended else None,
        )

    async def chunk_table(self) -> ChunkTable:
        self.tables += 1
        return ChunkTable(count=self.count, ids=bytes(4 * self.count), boxes=bytes(32 * self.count))

    async def chunk_states(self, since: int) -> ChunkStates | None:
        if since >= self.revision:
            return None
        n = self.count
        return ChunkStates(
            revision=self.revision,
            states=bytes(n),
            attempts=bytes(n),
            clients=bytes(4 * n),
            client_names=("a-1",),
            client_hosts=("a",),
            rows=bytes(8 * n),
            seconds=bytes(4 * n),
        )

    async def chunk_history(self, chunk: int) -> ChunkHistory | None:
        await self.gate.wait()
        if chunk < 0:
            raise ValueError("no such chunk")
        return ChunkHistory(chunk=chunk, state=ChunkState.PENDING, retry_at=None, attempts=()) if chunk else None

    async def logs(self, after: int, limit: int) -> LogPage:
        lines = (LogLine(0, 1.0, "console", "INFO", "one"), LogLine(1, 2.0, "a-1", "INFO", "two"))
        return LogPage(tuple(line for line in lines if line.number >= after)[:limit], 0, 2)

    async def older(self, source: str, before: LogMark | None, limit: int, level: int = 0) -> OlderLines:
        wall = before.wall if before else 9.0
        return OlderLines((LogLine(0, wall, source, "INFO", f"{limit} {level}"),), LogMark(wall - 1, {"a-1": 2}))

    async def whole_log(
        self, client: str, at: int, limit: int, *, backward: bool = False, needle: str = ""
    ) -> WholeLines:
        return WholeLines((LogLine(at, 0.0, client, "", f"{limit} {backward} {needle}"),), 1, 2, 3)

    async def log_files(self) -> tuple[LogFile, ...]:
        return (LogFile("a-1", True, self.revision, "runs/small/logs/a-1.whole.log"),)

    async def report(self) -> Report:
        empty: dict[str, Any] = dict.fromkeys(
            ("hosts", "clients", "tables", "stages", "slowest", "problems", "causes"), ()
        )
        verdict = (await self.snapshot()).verdict or "so far"
        return Report(verdict=verdict, counts=Counts(total=self.count), elapsed=1.0, **empty)

    async def command(self, command: Command) -> Reply:
        await self.gate.wait()
        self.commands.append(command)
        if isinstance(command, Pause):
            self.state = RunState.PAUSED
        return Reply(True, "Done.")


class Books(Small):
    """What is read after the end."""

    async def snapshot(self) -> Snapshot:
        return replace(await super().snapshot(), revision=1, counts=Counts(total=3, completed=1, pending=2))


class Place:
    """A run directory with a session on it, and the faces that tests attach."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "plan").mkdir()
        (folder / "plan" / "plan.json").write_text("{}")
        self.session = Small()
        self.said: list[str] = []
        self.control: Control | None = None
        self.faces: list[AttachedSession] = []

    @property
    def socket(self) -> Path:
        return self.folder / "control.sock"

    def listen(self, **options: Any) -> Control:
        self.control = Control(self.session, self.socket, version="1", say=self.said.append, **options)
        self.control.start()
        return self.control

    async def attach(self, *, read_only: bool = False) -> AttachedSession:
        async def books() -> Books:
            return Books()

        face = await AttachedSession.open(self.folder, version="1", read_only=read_only, afterwards=books)
        self.faces.append(face)
        return face

    async def close(self) -> None:
        for face in self.faces:
            await face.close()
        if self.control is not None:
            await self.control.close()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    yield made
    await made.close()


@pytest.fixture
def until() -> Callable[..., Any]:
    """Lets other tasks run until something holds."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.001)

    return wait


@pytest.fixture(scope="session")
def small() -> type[Small]:
    return Small
