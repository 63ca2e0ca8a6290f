"""What can be read of a run: counts, clients, states of all chunks, causes, history, report."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from dgconsole.coordinator.causes import causes
from dgconsole.coordinator.clients import Client
from dgconsole.coordinator.core import Core
from dgconsole.coordinator.ledger import Reader
from dgconsole.coordinator.report import counts_of, report_rows, verdict, write_csv
from dgconsole.coordinator.standing import (
    attempts_of,
    history_of,
    report_of,
    rows_for_report,
    slowest_of,
    states_of,
    table_of,
)
from dgconsole.coordinator.tally import Sum, Tally
from dgconsole.coordinator.whereabouts import write_metadata
from dgconsole.ingest.metadata import METADATA
from dgconsole.ingest.schema import DatabaseSchema
from dgconsole.plan import Plan
from dgconsole.settings.structs import TextFile
from dgconsole.snapshot import (
    Cause,
    ChunkHistory,
    ChunkStates,
    ChunkTable,
    ClientRow,
    ClientState,
    Counts,
    Notice,
    Report,
    ReportRow,
    RunState,
    TransactionRow,
)
from dgconsole.support.clock import Clock
from dgconsole.support.errors import InputError, Problem

T = TypeVar("T")

_MOST_TRANSACTIONS = 500

_NOTICES = {
    "ledger": (
        "The ledger cannot be written, handing out is paused: {text}. Mend it (free space?), then go on.",
        "p",
    ),
    "destination": (
        "Finished files cannot be kept, handing out is paused: {text}. Mend it (free space?), then go on.",
        "p",
    ),
    "transactions": ("Handing out is paused: {text}. Mend it, then go on.", "p"),
    "errors": ("{text}: the same on 3 chunks in a row, handing out is paused.", "R"),
}


class Reading:
    """The read side of a coordinator; nothing here changes a run."""

    def __init__(self, core: Core, tally: Tally, clock: Clock, ledger: Path, thread: Executor, plan: Plan) -> None:
        self._core = core
        self._tally = tally
        self._clock = clock
        self._plan = plan
        self._path = ledger
        self._thread = thread
        self._reader: Reader | None = None
        self._causes: tuple[int, tuple[Cause, ...]] = (-1, ())
        self._before = tally.everything.chunks
        self._rows_before = tally.everything.rows
        self.started = clock.wall()
        """Epoch seconds when this session was opened."""

    @property
    def revision(self) -> int:
        """Grows with everything that happens."""
        return self._core.revision

    @property
    def run_state(self) -> RunState:
        return self._core.state

    @property
    def totals(self) -> Sum:
        """Of completed chunks, over all sessions of this run directory."""
        return self._tally.everything

    @property
    def session_completed(self) -> int:
        """Chunks completed since this session was opened."""
        return self._tally.everything.chunks - self._before

    @property
    def completed_since(self) -> float | None:
        """When the last chunk was made (epoch seconds), if all are."""
        counts = self.counts()
        return self._tally.last_ended if counts.completed == counts.total else None

    @property
    def pauses(self) -> dict[str, str]:
        """Why nothing is handed out (person, errors, ledger, destination), with the text for people."""
        return dict(self._core.run.pauses)

    def counts(self) -> Counts:
        return counts_of(self._core.chunks.counts, self._core.chunks.retrying)

    def notices(self) -> tuple[Notice, ...]:
        """What a person should know about, with the key that mends it."""
        found = []
        for reason, text in self._core.run.pauses.items():
            if reason in _NOTICES:
                elsewhere = self._core.options.grouped or self._core.options.direct
                key_of = "transactions" if reason == "destination" and elsewhere else reason
                words, key = _NOTICES[key_of]
                found.append(Notice(words.format(text=text.rstrip(".")), key, "error"))
        return tuple(found)

    def transactions(self) -> tuple[TransactionRow, ...]:
        """The destination's transactions that have not ended, the oldest first."""
        core, now = self._core, self._clock.now()
        if not core.options.grouped:
            return ()
        return tuple(
            TransactionRow(
                number=each.number,
                client=each.client,
                chunks=each.out + len(each.delivered),
                delivered=len(each.delivered),
                state=each.stage.value,
                seconds=now - each.since,
            )
            for each in islice(core.transactions.values(), _MOST_TRANSACTIONS)
        )

    def clients(self) -> tuple[ClientRow, ...]:
        """The clients of this session, in the order in which they were first heard of."""
        now = self._clock.now()
        return tuple(self._client_row(client, now) for client in self._core.clients.values())

    def client_states(self) -> Iterator[ClientState]:
        """What each of them does, one by one."""
        now, heartbeat = self._clock.now(), self._core.options.heartbeat
        return (client.shown(now, heartbeat) for client in self._core.clients.values())

    def unheard(self) -> frozenset[str]:
        """The clients that are expected and have not said hello."""
        clients = self._core.clients.values()
        return frozenset(c.name for c in clients if c.state is ClientState.STARTING and not c.peer)

    def _client_row(self, client: Client, now: float) -> ClientRow:
        done = self._tally.clients.get(client.name) or Sum()
        rows, size = client.meter.rates(now)
        return ClientRow(
            name=client.name,
            host=client.host,
            state=client.shown(now, self._core.options.heartbeat),
            chunk=client.in_work,
            stage=client.stage,
            fraction=client.fraction,
            chunk_bytes=client.bytes,
            done=done.chunks,
            failed=done.failed,
            rows=done.rows,
            bytes=done.bytes,
            rows_per_second=rows,
            bytes_per_second=size,
            last_word=now - client.heard if client.pid else None,
            pid=client.pid,
            reason=client.reason,
        )

    def chunk_states(self, since: int) -> ChunkStates | None:
        """The targets that changed after revision ``since``, in id order, or all; None when none has."""
        core = self._core
        if core.chunk_revision <= since:
            return None
        return states_of(core.chunks, core.names, core.failures, core.revision, core.changed_since(since))

    def chunk_table(self) -> ChunkTable:
        """Ids and boxes of all targets."""
        return table_of(self._core.chunks.ids, self._plan.num_stripes, self._plan.num_sub_stripes)

    def causes(self) -> tuple[Cause, ...]:
        """Chunks in limbo by cause, the most frequent first."""
        core = self._core
        if self._causes[0] != core.chunk_revision:
            self._causes = (core.chunk_revision, causes(core.chunks, core.limbo, core.names))
        return self._causes[1]

    def verdict(self, *, ended: bool = False) -> str:
        """How the run ended, or stands, in one line. ``ended``: nothing more is done, whatever is pending."""
        pauses = self._core.run.pauses
        reason = next((text for key, text in pauses.items() if key in _NOTICES and text), "")
        return verdict(self.counts(), RunState.ENDED if ended else self.run_state, reason=reason)

    def _in_limbo(self, chunks: Iterable[int]) -> int:
        return len({self._core.chunks.index(chunk) for chunk in chunks} & self._core.limbo.keys())

    # ---- from the ledger, in a thread

    async def history(self, chunk: int) -> ChunkHistory | None:
        """Everything known about one chunk; None when it is no target."""
        chunks = self._core.chunks
        i = chunks.index(chunk)
        if i < 0:
            return None
        attempts = await self._read(lambda reader: attempts_of(reader, chunk))
        due = float(chunks.retry_at[i])
        return history_of(chunks, i, attempts, retry_at=due + self._core.offset if due else None)

    async def report(self) -> Report:
        """The totals of the run as the ledger has them."""
        core = self._core
        slowest = slowest_of(core.chunks)
        rows = await self._read(lambda reader: rows_for_report(reader, slowest))
        return report_of(
            core.chunks,
            core.limbo,
            core.names,
            self._tally,
            rows,
            verdict=self.verdict(),
            elapsed=self._clock.wall() - self.started,
            session_rows=self._tally.everything.rows - self._rows_before,
        )

    async def write_csv(self, path: Path) -> None:
        """report.csv, whole or not at all. InputError when it cannot be written."""
        await self.write(path, lambda rows: write_csv(rows, path))

    async def write(self, path: Path, write: Callable[[Iterator[ReportRow]], None]) -> None:
        """Hand the rows of the report to ``write``, in another thread. InputError when ``path`` cannot be written."""
        try:
            await self._read(lambda reader: write(report_rows(reader)))
        except OSError as error:
            raise InputError(Problem(f"cannot be written: {error.strerror}", file=str(path))) from error

    async def write_metadata(self, schema: DatabaseSchema, texts: Sequence[TextFile], chunks: Path) -> str:
        """Say in ``chunks`` what is there and what stays on hosts; see ``whereabouts``. InputError if it cannot."""
        try:
            return await self._read(lambda reader: write_metadata(reader, schema, texts, chunks))
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise InputError(Problem(what, file=str(chunks / METADATA))) from error

    async def _read(self, question: Callable[[Reader], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, question)

    def _ask(self, question: Callable[[Reader], T]) -> T:
        if self._reader is None:
            self._reader = Reader(self._path)
        return question(self._reader)

    async def _close_reader(self) -> None:
        def close() -> None:
            if self._reader is not None:
                self._reader.close()

        await asyncio.get_running_loop().run_in_executor(self._thread, close)
