"""What can be read of a run: counts, clients, states of all chunks, causes, history, report."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from dgconsole.coordinator.causes import causes
from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.clients import Client
from dgconsole.coordinator.core import Core
from dgconsole.coordinator.ledger import Reader
from dgconsole.coordinator.report import counts_of, report_rows, verdict, write_csv
from dgconsole.coordinator.tally import Sum, Tally, totals
from dgconsole.plan import Plan
from dgconsole.snapshot import (
    CHUNK_STATES,
    AttemptRow,
    Cause,
    ChunkHistory,
    ChunkState,
    ChunkStates,
    ChunkTable,
    ClientRow,
    Counts,
    Notice,
    Report,
    RunState,
)
from dgconsole.support.clock import Clock
from dgconsole.support.errors import InputError, Problem
from dgconsole.wire.messages import Figures

T = TypeVar("T")

_RETRYING = CHUNK_STATES.index(ChunkState.RETRYING)
_SLOWEST = 10
_MOST_PROBLEMS = 1000
_NOTICES = {
    "ledger": (
        "The ledger cannot be written, handing out is paused: {text}. Mend it (free space?), then go on.",
        "p",
    ),
    "destination": (
        "Finished files cannot be kept, handing out is paused: {text}. Mend it (free space?), then go on.",
        "p",
    ),
    "errors": ("{text}: the same on 3 chunks in a row, handing out is paused.", "R"),
}
_HISTORY = """
    SELECT attempt, name, host, started, ended, coalesce(outcome, ''), fault, error,
    rows, overlap_rows, bytes, figures FROM attempts JOIN clients USING (client) WHERE chunk = ? ORDER BY attempt"""


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
                words, key = _NOTICES[reason]
                found.append(Notice(words.format(text=text.rstrip(".")), key, "error"))
        return tuple(found)

    def clients(self) -> tuple[ClientRow, ...]:
        """The clients of this session, in the order in which they were first heard of."""
        now = self._clock.now()
        return tuple(self._client_row(client, now) for client in self._core.clients.values())

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
        """All targets in id order; None when no chunk has changed after revision ``since``."""
        core, chunks = self._core, self._core.chunks
        if core.chunk_revision <= since:
            return None
        retrying = (chunks.state == State.PENDING) & (chunks.used > 0)
        return ChunkStates(
            revision=core.revision,
            states=np.where(retrying, np.uint8(_RETRYING), chunks.state).tobytes(),
            attempts=chunks.used.tobytes(),
            clients=chunks.client.tobytes(),
            client_names=tuple(name for name, _ in core.names),
            client_hosts=tuple(host for _, host in core.names),
            rows=chunks.rows.tobytes(),
            seconds=chunks.seconds.tobytes(),
        )

    def chunk_table(self) -> ChunkTable:
        """Ids and boxes of all targets."""
        from dgconsole.sky.tiling import tiling_of

        ids = self._core.chunks.ids
        boxes = tiling_of(self._plan.num_stripes, self._plan.num_sub_stripes).chunk_boxes(ids)
        return ChunkTable(count=len(ids), ids=ids.tobytes(), boxes=boxes.tobytes())

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
        attempts = await self._read(lambda reader: tuple(map(_attempt, reader.rows(_HISTORY, (chunk,)))))
        state, due = State(int(chunks.state[i])), float(chunks.retry_at[i])
        retrying = state is State.PENDING and chunks.used[i] > 0
        return ChunkHistory(
            chunk=chunk,
            state=ChunkState.RETRYING if retrying else CHUNK_STATES[state],
            retry_at=due + self._core.offset if retrying and due else None,
            attempts=attempts,
        )

    async def report(self) -> Report:
        """The totals of the run as the ledger has them."""
        core, chunks, tally = self._core, self._core.chunks, self._tally
        seconds = np.where(chunks.state == State.COMPLETED, chunks.seconds, np.float32(-1.0))
        slowest = (
            np.argpartition(seconds, -_SLOWEST)[-_SLOWEST:] if len(seconds) > _SLOWEST else np.arange(len(seconds))
        )
        slowest = slowest[np.argsort(-seconds[slowest], kind="stable")]
        slowest = slowest[seconds[slowest] >= 0.0]
        ids = [int(chunks.ids[i]) for i in slowest]
        marks = ",".join("?" * len(ids))
        rows, problems = await self._read(
            lambda reader: (
                {row.chunk_id: row for row in report_rows(reader, f"WHERE c.chunk IN ({marks})", ids)},
                tuple(islice(report_rows(reader, "WHERE c.state = 4"), _MOST_PROBLEMS)),
            )
        )
        return Report(
            verdict=self.verdict(),
            counts=self.counts(),
            elapsed=self._clock.wall() - self.started,
            session_rows=tally.everything.rows - self._rows_before,
            hosts=totals(tally.hosts),
            clients=totals(tally.clients),
            tables=totals(tally.tables),
            stages=totals(tally.stages),
            slowest=tuple(rows[chunk] for chunk in ids if chunk in rows),
            problems=problems,
            causes=causes(chunks, core.limbo, core.names),
        )

    async def write_csv(self, path: Path) -> None:
        """report.csv, whole or not at all. InputError when it cannot be written."""
        try:
            await self._read(lambda reader: write_csv(report_rows(reader), path))
        except OSError as error:
            raise InputError(Problem(f"cannot be written: {error.strerror}", file=str(path))) from error

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


def _attempt(row: tuple[Any, ...]) -> AttemptRow:
    attempt, client, host, started, ended, outcome, fault, error, rows, overlap_rows, size, figures = row
    return AttemptRow(
        attempt=attempt,
        client=client,
        host=host,
        started=started,
        ended=ended,
        outcome=outcome,
        fault=fault,
        error=error,
        rows=rows,
        overlap_rows=overlap_rows,
        bytes=size,
        stages=msgspec.json.decode(figures, type=Figures).seconds if figures else {},
    )
