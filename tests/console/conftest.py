"""A session in memory, for the faces: it has what a snapshot has, remembers commands, and answers as the real one."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Static

from dgconsole.console.app import ConsoleApp
from dgconsole.console.roles import Role
from dgconsole.records.logfiles import log_files
from dgconsole.records.wholelog import read_whole
from dgconsole.snapshot import (
    CHUNK_STATES,
    AddClient,
    AddHost,
    Answer,
    AttemptRow,
    Cause,
    ChunkHistory,
    ChunkState,
    ChunkStates,
    ChunkTable,
    ClientRow,
    ClientState,
    Command,
    Counts,
    Export,
    HostRow,
    LogFile,
    LogLine,
    LogMark,
    LogPage,
    Notice,
    OlderLines,
    Pause,
    Question,
    Quit,
    Reply,
    Report,
    ReportRow,
    Resume,
    Retry,
    RetryAll,
    RunState,
    Snapshot,
    Total,
    TransactionRow,
    TransactionTotals,
    WholeLines,
)
from dgconsole.views.logs import rank

START = 1_795_000_000.0
PENDING, ASSIGNED, DELIVERED, COMPLETED, LIMBO, RETRYING = range(6)
SPEED = 24


def whole_sky(stripes: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids (int32) and boxes (n, 4) of a sky in ``stripes`` stripes, chunks nearly square."""
    ids, boxes = [], []
    height = 180.0 / stripes
    for stripe in range(stripes):
        low = -90.0 + stripe * height
        count = max(int(360.0 / height * math.cos(math.radians(low + height / 2))), 1)
        edges = np.linspace(0.0, 360.0, count + 1)
        for k in range(count):
            ids.append(stripe * 2 * stripes + k)
            boxes.append((edges[k], edges[k + 1], low, low + height))
    return np.array(ids, np.int32), np.array(boxes)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A terminal of all colours, and a person who never chose a theme."""
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


class FakeSession:
    """Answers like a session. ``wall`` moves only when a test says so."""

    def __init__(
        self, *, stripes: int = 60, some: slice | None = None, name: str = "fakedb", run_dir: str = "runs/fakedb"
    ) -> None:
        ids, boxes = whole_sky(stripes)
        if some is not None:
            ids, boxes = ids[some], boxes[some]
        self.ids, self.boxes = ids, boxes
        n = len(ids)
        self.states = np.zeros(n, np.uint8)
        self.attempts = np.zeros(n, np.uint8)
        self.owner = np.full(n, -1, np.int32)
        self.rows = np.zeros(n, np.int64)
        self.seconds = np.zeros(n, np.float32)
        self.partial = some is not None
        self.name, self.run_dir = name, run_dir
        self.state = RunState.RUNNING
        self.wall = START
        self.elapsed = 0.0
        self.revision = 1
        self.clients: list[ClientRow] = []
        self.known: list[tuple[str, str]] = []
        self.hosts: list[HostRow] = []
        self.causes: list[Cause] = []
        self.notices: list[Notice] = []
        self.questions: list[Question] = []
        self.transactions: list[TransactionRow] = []
        self.transaction_totals = TransactionTotals()
        self.lines: list[LogLine] = []
        self.files: list[LogLine] = []
        self.failed: dict[int, str] = {}
        """Last errors of retrying chunks, by index."""
        self.commands: list[Command] = []
        self.verdict, self.exit_status = "", None
        self.session_completed = 0
        self.calls: dict[str, int] = {}
        self.fail: Exception | None = None
        self.reply = Reply(True, "as you say")

    # ---- what scenes are made with

    def log(self, source: str, level: str, text: str) -> None:
        self.lines.append(LogLine(len(self.lines), self.wall, source, level, text))

    def counts(self) -> Counts:
        number = np.bincount(self.states, minlength=len(CHUNK_STATES)).tolist()
        return Counts(
            total=len(self.ids),
            pending=number[PENDING] + number[RETRYING],
            retrying=number[RETRYING],
            assigned=number[ASSIGNED],
            delivered=number[DELIVERED],
            completed=number[COMPLETED],
            limbo=number[LIMBO],
        )

    def complete(self, count: int, seed: int = 0) -> None:
        """The next ``count`` pending chunks are done."""
        rng = np.random.default_rng(seed + self.revision)
        at = np.flatnonzero(self.states == PENDING)[:count]
        self.states[at] = COMPLETED
        self.attempts[at] = 1
        self.rows[at] = rng.integers(60_000, 110_000, len(at))
        self.seconds[at] = rng.gamma(8.0, 0.12, len(at))
        self.owner[at] = rng.integers(0, max(len(self.clients), 1), len(at)) if self.clients else -1
        self.session_completed += len(at)
        self.revision += 1

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.elapsed += seconds
        self.revision += 1

    # ---- SessionHandle

    async def snapshot(self) -> Snapshot:
        self._count("snapshot")
        if self.fail is not None:
            raise self.fail
        return Snapshot(
            revision=self.revision,
            name=self.name,
            run_dir=self.run_dir,
            state=self.state,
            wall=self.wall,
            started=START,
            elapsed=self.elapsed,
            counts=self.counts(),
            rows=int(self.rows.sum()),
            overlap_rows=int(self.rows.sum() * 2 // 5),
            bytes=int(self.rows.sum()) * 118,
            session_completed=self.session_completed,
            partial_sky=self.partial,
            clients=tuple(self.clients),
            hosts=tuple(self.hosts),
            causes=tuple(self.causes),
            notices=tuple(self.notices),
            questions=tuple(self.questions),
            transactions=tuple(self.transactions),
            transaction_totals=self.transaction_totals,
            log_end=len(self.lines),
            verdict=self.verdict,
            exit_status=self.exit_status,
        )

    async def chunk_table(self) -> ChunkTable:
        self._count("chunk_table")
        return ChunkTable(count=len(self.ids), ids=self.ids.tobytes(), boxes=self.boxes.tobytes())

    async def chunk_states(self, since: int) -> ChunkStates | None:
        self._count("chunk_states")
        if since >= self.revision:
            return None
        return ChunkStates(
            revision=self.revision,
            states=self.states.tobytes(),
            attempts=self.attempts.tobytes(),
            clients=self.owner.tobytes(),
            client_names=tuple(name for name, _ in self.known),
            client_hosts=tuple(host for _, host in self.known),
            rows=self.rows.tobytes(),
            seconds=self.seconds.tobytes(),
            failed=np.array(list(self.failed), "<i4").tobytes(),
            failed_of=np.arange(len(self.failed), dtype="<i4").tobytes(),
            failed_texts=tuple(self.failed.values()),
        )

    async def chunk_history(self, chunk: int) -> ChunkHistory | None:
        self._count("chunk_history")
        at = np.flatnonzero(self.ids == chunk)
        if not len(at):
            return None
        i = int(at[0])
        state = CHUNK_STATES[self.states[i]]
        failed = state in (ChunkState.LIMBO, ChunkState.RETRYING)
        rows = []
        for k in range(int(self.attempts[i])):
            last = k == self.attempts[i] - 1
            bad = failed or not last
            rows.append(
                AttemptRow(
                    attempt=k + 1,
                    client=f"db0{k + 1}-1",
                    host=f"db0{k + 1}",
                    started=START + 40 * k,
                    ended=None if state is ChunkState.ASSIGNED and last else START + 40 * k + 3.21,
                    outcome="failed" if bad else "completed",
                    fault="disk" if bad else "",
                    error="no space left on /scratch/dg (0 bytes free)" if bad else "",
                    rows=0 if bad else int(self.rows[i]),
                    overlap_rows=0 if bad else int(self.rows[i] * 2 // 5),
                    bytes=0 if bad else int(self.rows[i] * 118),
                    stages={"generate": 1.91, "partition": 1.14, "deliver": 0.16} if not bad else {"generate": 2.02},
                )
            )
        retry_at = self.wall + 42 if state is ChunkState.RETRYING else None
        return ChunkHistory(chunk=chunk, state=state, retry_at=retry_at, attempts=tuple(rows))

    async def logs(self, after: int, limit: int) -> LogPage:
        self._count("logs")
        return LogPage(tuple(self.lines[after : after + limit]), 0, len(self.lines))

    async def older(self, source: str, before: LogMark | None, limit: int, level: int = 0) -> OlderLines:
        """As the session reads files, of ``files``, where all of ``lines`` are as well."""
        self._count("older")
        taken = dict(before.taken) if before else {}
        passed, count, found = before.wall if before else math.inf, dict(taken), []
        for line in reversed([*self.files, *self.lines]):
            if before and (line.wall > before.wall or (line.wall == before.wall and taken.get(line.source, 0) > 0)):
                taken[line.source] = taken.get(line.source, 0) - (line.wall == before.wall)
                continue
            if line.wall != passed:
                passed, count = line.wall, {}
            count[line.source] = count.get(line.source, 0) + 1
            if source in ("", line.source) and rank(line.level) >= level:
                found.append(line)
            if len(found) == limit:
                return OlderLines(tuple(reversed(found)), LogMark(passed, count))
        return OlderLines(tuple(reversed(found)), None)

    async def whole_log(
        self, client: str, at: int, limit: int, *, backward: bool = False, needle: str = ""
    ) -> WholeLines:
        self._count("whole_log")
        return await asyncio.to_thread(
            read_whole, Path(self.run_dir) / "logs", client, at, limit, backward=backward, needle=needle
        )

    async def log_files(self) -> tuple[LogFile, ...]:
        self._count("log_files")
        return log_files(Path(self.run_dir) / "logs")

    async def report(self) -> Report:
        self._count("report")
        rows = int(self.rows.sum())
        done = self.counts().completed
        split = {client.host: 0 for client in self.clients}
        for client in self.clients:
            split[client.host] += client.done
        slow = np.argsort(-self.seconds, kind="stable")[:10]
        limbo = np.flatnonzero(self.states == LIMBO)[:1000]
        return Report(
            verdict=self.verdict,
            counts=self.counts(),
            elapsed=self.elapsed,
            hosts=tuple(
                Total(
                    name=host,
                    chunks=n,
                    failed=n % 7 // 5,
                    rows=n * 84_120,
                    overlap_rows=n * 33_000,
                    bytes=n * 9_900_000,
                    seconds=n * 0.97,
                )
                for host, n in split.items()
            ),
            clients=tuple(
                Total(
                    name=c.name,
                    chunks=c.done,
                    failed=c.failed,
                    rows=c.rows,
                    overlap_rows=c.rows * 2 // 5,
                    bytes=c.bytes,
                    seconds=c.done * 0.97,
                )
                for c in self.clients
            ),
            tables=(
                Total(name="Object", chunks=done, rows=rows // 4, overlap_rows=rows // 10, bytes=rows // 4 * 160),
                Total(name="ForcedSource", chunks=done, rows=rows - rows // 4, bytes=(rows - rows // 4) * 97),
            ),
            stages=(
                Total(name="generate", seconds=done * 0.55),
                Total(name="partition", seconds=done * 0.33),
                Total(name="deliver", seconds=done * 0.09),
            ),
            slowest=tuple(self._row(int(i), "") for i in slow if self.seconds[i] > 0),
            problems=tuple(self._row(int(i), "no space left on /scratch/dg") for i in limbo),
            causes=tuple(self.causes),
            transaction_totals=self.transaction_totals,
        )

    def _row(self, i: int, error: str) -> ReportRow:
        owner = int(self.owner[i])
        name, host = self.known[owner] if owner >= 0 else ("", "")
        return ReportRow(
            chunk_id=int(self.ids[i]),
            state=CHUNK_STATES[self.states[i]].value,
            attempts=int(self.attempts[i]),
            client=name,
            host=host,
            started_at="",
            finished_at="",
            seconds=float(self.seconds[i]) or None,
            rows=int(self.rows[i]),
            overlap_rows=int(self.rows[i] * 2 // 5),
            bytes=int(self.rows[i] * 118),
            error=error,
        )

    async def command(self, command: Command) -> Reply:
        self.commands.append(command)
        self.revision += 1
        match command:
            case Pause():
                self.state = RunState.PAUSED
            case Resume():
                self.state = RunState.RUNNING
            case Retry(chunks):
                self._retry(np.isin(self.ids, chunks))
            case RetryAll():
                self._retry(np.ones(len(self.ids), bool))
            case AddClient(host):
                self.clients.append(ClientRow(name=f"{host}-9", host=host, state=ClientState.STARTING))
            case Quit(now):
                self.state = RunState.ENDED if now else RunState.STOPPING
                self.exit_status = 130
            case Answer(number):
                self.questions = [question for question in self.questions if question.number != number]
                return Reply(True)
            case Export() | AddHost():
                return self.reply
        return Reply(True, type(command).__name__)

    def _retry(self, mask: np.ndarray) -> None:
        mask &= self.states == LIMBO
        self.states[mask] = PENDING
        self.causes = [
            cause for cause in self.causes if self.states[np.isin(self.ids, cause.chunks)].max(initial=0) == LIMBO
        ]

    def _count(self, call: str) -> None:
        self.calls[call] = self.calls.get(call, 0) + 1


def _with_clients(session: FakeSession, hosts: int, each: int) -> None:
    rng = np.random.default_rng(7)
    session.hosts = [
        HostRow(name=f"db{k + 1:02}", launcher="ssh" if hosts > 1 else "local", state="up") for k in range(hosts)
    ]
    stages = ("generate", "partition", "deliver")
    session.known = [(f"{host.name}-{k + 1}", host.name) for host in session.hosts for k in range(each)]
    for host in session.hosts:
        for k in range(each):
            done = int(rng.integers(700, 790))
            session.clients.append(
                ClientRow(
                    name=f"{host.name}-{k + 1}",
                    host=host.name,
                    state=ClientState.WORKING,
                    chunk=int(session.ids[min(100 + len(session.clients), len(session.ids) - 1)]),
                    stage=stages[int(rng.choice(3, p=(0.5, 0.4, 0.1)))],
                    fraction=float(rng.uniform(0.05, 0.95)),
                    done=done,
                    rows=done * 84_120,
                    bytes=done * 9_900_000,
                    rows_per_second=float(rng.normal(78_500, 2_000)),
                    bytes_per_second=float(rng.normal(8.9e6, 3e5)),
                    last_word=float(rng.uniform(0, 2.5)),
                    pid=4000 + k,
                    cpu=float(rng.uniform(88, 99)),
                    rss=int(rng.uniform(170e6, 210e6)),
                )
            )


def _run_for(session: FakeSession, seconds: int) -> None:
    """Steady work: some chunks a second, and what the clients say about it."""
    names = [client.name for client in session.clients] or ["console"]
    for second in range(seconds):
        session.advance(1.0)
        speed = SPEED + round(6 * math.sin(second / 23)) + second % 3
        session.complete(speed)
        if second >= seconds - 400:
            name = names[second % len(names)]
            chunk = int(session.ids[session.session_completed % len(session.ids)])
            session.log(
                name, "info", f"chunk {chunk}: 84,120 rows, 9.9 MB, generate 0.55 s, partition 0.33 s, deliver 0.09 s"
            )


def _in_work(session: FakeSession) -> None:
    at = np.flatnonzero(session.states == PENDING)[: len(session.clients)]
    session.states[at] = ASSIGNED
    session.states[at[::5]] = DELIVERED
    session.attempts[at] = 1
    session.owner[at] = np.arange(len(at))
    session.clients = [
        client
        if k >= len(at) or client.chunk < 0
        else ClientRow(
            **{f: getattr(client, f) for f in client.__struct_fields__} | {"chunk": int(session.ids[at[k]])}
        )
        for k, client in enumerate(session.clients)
    ]


def empty() -> FakeSession:
    session = FakeSession(stripes=60)
    session.state = RunState.PLANNING
    return session


def running(*, hosts: int = 6, each: int = 4, stripes: int = 60, seconds: int = 100) -> FakeSession:
    session = FakeSession(stripes=stripes)
    _with_clients(session, hosts, each)
    _run_for(session, seconds)
    _in_work(session)
    return session


def small() -> FakeSession:
    """The run that ships: one host, two clients, some dozens of chunks here and there."""
    session = FakeSession(stripes=60, some=slice(0, None, 83))
    _with_clients(session, 1, 2)
    for _ in range(9):
        session.advance(1.0)
        session.complete(1)
        session.log(
            "db01-1", "info", f"chunk {session.ids[session.session_completed]}: 84,120 rows, 9.9 MB in 0.97 s"
        )
    _in_work(session)
    return session


def trouble() -> FakeSession:
    session = running(hosts=6, each=4)
    at = np.flatnonzero(session.states == PENDING)
    limbo, retrying = at[40:347], at[500:512]
    session.states[limbo], session.attempts[limbo] = LIMBO, 3
    session.states[retrying], session.attempts[retrying] = RETRYING, 1
    session.owner[limbo], session.owner[retrying] = 17, 3
    session.causes = [
        Cause(
            text="no space left on /scratch/dg (# bytes free)",
            fault="disk",
            count=304,
            chunks=tuple(session.ids[limbo[:304]].tolist()),
            hosts=("db05",),
        ),
        Cause(
            text="column 'redshift': quantile table holds NaN",
            fault="generate",
            count=3,
            chunks=tuple(session.ids[limbo[304:]].tolist()),
            hosts=("db01", "db03", "db06"),
        ),
    ]

    def change(k: int, **fields: object) -> None:
        old = session.clients[k]
        session.clients[k] = ClientRow(**{f: getattr(old, f) for f in old.__struct_fields__} | fields)

    for k in (16, 17, 18, 19):
        change(
            k,
            state=ClientState.GAVE_UP,
            chunk=-1,
            failed=76,
            rows_per_second=0.0,
            bytes_per_second=0.0,
            reason="no space left on /scratch/dg",
        )
    change(9, state=ClientState.SILENT, last_word=17.0)
    change(11, failed=2)
    session.clients = [client for client in session.clients if client.host != "db02"]
    session.hosts[1] = HostRow(
        name="db02",
        launcher="ssh",
        state="set aside",
        reason="host key changed since the last run",
        mend="If db02 was rebuilt: ssh-keygen -R db02, then c.",
    )
    session.notices = [Notice("density of CcdVisit: --visits has no effect, the table has a density", "", "info")]
    for k in range(12):
        session.log(
            "db05-2",
            "error" if k % 3 == 0 else "warning",
            f"chunk {session.ids[limbo[k]]}: no space left on /scratch/dg (0 bytes free)",
        )
    return session


def done() -> FakeSession:
    session = running(seconds=300)
    session.states[:] = COMPLETED
    session.rows[session.rows == 0] = 81_234
    session.seconds[session.seconds == 0] = 0.91
    session.attempts[:] = 1
    session.session_completed = len(session.ids)
    session.clients = [
        ClientRow(
            name=c.name, host=c.host, state=ClientState.DONE, done=c.done, rows=c.rows, bytes=c.bytes, last_word=2.0
        )
        for c in session.clients
    ]
    session.state = RunState.ENDED
    session.verdict = f"All {len(session.ids):,} chunks are completed."
    session.exit_status = 0
    return session


SCENES: dict[str, Callable[[], FakeSession]] = {
    "empty": empty,
    "small": small,
    "running": running,
    "trouble": trouble,
    "done": done,
}


@pytest.fixture
def scene() -> Callable[[str], FakeSession]:
    """A session in a known state, by name."""
    return lambda name: SCENES[name]()


class Face:
    """The console on a session in memory, looked at only when a test says so."""

    def __init__(self, app: ConsoleApp, pilot: Pilot, session: FakeSession) -> None:
        self.app, self.pilot, self.session = app, pilot, session

    async def look(self, times: int = 2) -> None:
        """Let the console look at the session, and paint."""
        for _ in range(times):
            await self.app.tick()
            await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Press keys one by one, looking after each."""
        for key in keys:
            await self.pilot.press(key)
            await self.look(1)

    async def type(self, text: str) -> None:
        """Type into the field that has the focus."""
        for char in text:
            self.app.post_message(events.Key(_character_to_key(char), char))
        await self.pilot.pause()
        await self.look(1)

    def lines(self) -> list[str]:
        """The screen as text."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips(self.app.size)
        assert len(strips) == height
        lines = ["".join(segment.text for segment in strip) for strip in strips]
        assert all(strip.cell_length == width for strip in strips)
        return lines

    def text(self) -> str:
        return "\n".join(self.lines())

    def said(self) -> str:
        """The text of the question or notice on top, in one line."""
        return " ".join(" ".join(str(text.content) for text in self.app.screen.query(Static)).split())


@pytest.fixture
def open_console() -> Callable[..., AbstractAsyncContextManager[Face]]:
    """Opens the console on a session."""

    @asynccontextmanager
    async def opened(
        session: FakeSession, size: tuple[int, int] = (120, 40), role: Role = Role.OWNER
    ) -> AsyncIterator[Face]:
        async def start() -> FakeSession:
            return session

        app = ConsoleApp(start, session.name, period=3600.0, role=role)
        async with app.run_test(size=size, notifications=True) as pilot:
            face = Face(app, pilot, session)
            await pilot.pause()
            await face.look(3)
            yield face

    return opened
