"""A run as its directory tells it: a ``SessionHandle`` on which nothing runs and nothing can be changed."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from msgspec import Struct

from dgconsole.attach.place import run_directory, session_runs
from dgconsole.coordinator.causes import causes
from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.ledger import Kept, Reader
from dgconsole.coordinator.noted import tally_of
from dgconsole.coordinator.report import counts_of, report_rows
from dgconsole.coordinator.report import verdict as verdict_of
from dgconsole.coordinator.standing import (
    attempts_of,
    history_of,
    report_of,
    rows_for_report,
    slowest_of,
    states_of,
    table_of,
)
from dgconsole.coordinator.tally import Tally
from dgconsole.records.export import FILE_FORMATS, writer
from dgconsole.records.logfiles import log_files, newest_lines, older_lines
from dgconsole.records.wholelog import read_whole
from dgconsole.snapshot import (
    Cause,
    ChunkHistory,
    ChunkState,
    ChunkStates,
    ChunkTable,
    Command,
    Counts,
    Export,
    LogFile,
    LogLine,
    LogMark,
    LogPage,
    Notice,
    OlderLines,
    Reply,
    Report,
    ReportRow,
    RunState,
    Snapshot,
    WholeLines,
)
from dgconsole.support.errors import InputError, Problem

T = TypeVar("T")

_LOOK_AGAIN = 2.0
"""Seconds, at least, before what others write is read again."""
_PAGE = 5_000
"""Rows read at a time: whoever takes them may be slow, and must not hold up what the writer wants to clear away."""


class _Plan(Struct, frozen=True):
    name: str
    tiling: tuple[int, int]


class _Standing(Struct, frozen=True):
    """All that was read at one moment."""

    revision: int
    runs: bool
    kept: Kept
    tally: Tally
    first: float
    counts: Counts
    causes: tuple[Cause, ...]
    report: Report


class Recorded:
    """The books of a run, opened read-only: finished, crashed, or going on (then they are read again now and then).

    Chunks that were in work when a session crashed are shown as pending, which is what they are when it is resumed.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._ledger = run_dir / "ledger.sqlite"
        self._logs = run_dir / "logs"
        self._thread = ThreadPoolExecutor(1, "report")
        self._looking = asyncio.Lock()
        self._lines: tuple[LogLine, ...] = ()

    @classmethod
    async def open(cls, path: Path) -> "Recorded":
        """InputError: no run directory, or its books cannot be read."""
        made = cls(await asyncio.to_thread(run_directory, path))
        try:
            await made._work(made._open)
        except BaseException:
            made._thread.shutdown(wait=False)
            raise
        return made

    async def close(self) -> None:
        await self._work(self._reader_closed)
        self._thread.shutdown()

    def _open(self) -> None:
        self._plan = _read_plan(self.run_dir / "plan" / "plan.json")
        if not self._ledger.exists():
            raise InputError(Problem("nothing has been made yet: there is no ledger.sqlite", file=str(self.run_dir)))
        self._open_reader()
        self._now = self._read_all(1)
        self._lines = newest_lines(self._logs)

    def _open_reader(self) -> None:
        """Leaves no file behind where nobody writes and no crash left any."""
        self._alone = not self._log_of_writer.exists()
        self._reader = Reader(self._ledger, alone=self._alone)
        self._version = self._newest()

    @property
    def _log_of_writer(self) -> Path:
        return self._ledger.with_name(f"{self._ledger.name}-wal")

    def _newest(self) -> tuple[int, ...]:
        """Another one when somebody has written."""
        if self._alone:
            status = self._ledger.stat()
            return status.st_ino, status.st_mtime_ns, status.st_size
        return next(self._reader.rows("PRAGMA data_version"))

    def _reader_closed(self) -> None:
        self._reader.close()

    def _read_all(self, revision: int) -> _Standing:
        began = time.monotonic()
        runs = session_runs(self.run_dir)
        reader = self._reader
        try:
            tuple(reader.rows("BEGIN"))
            kept = reader.kept()
            tally = tally_of(reader, kept.names)
            first = min(tally.first_started, time.time())
            chunks = kept.chunks
            if not runs:
                _give_back(kept)
            counts = counts_of(chunks.counts, chunks.retrying)
            rows = rows_for_report(reader, slowest_of(chunks))
            tuple(reader.rows("COMMIT"))
        except sqlite3.Error as error:
            raise InputError(Problem(f"cannot be read: {error}", file=str(self._ledger))) from error
        last = time.time() if runs else max(tally.last_ended, first)
        self._next_look = time.monotonic() + max(_LOOK_AGAIN, 10 * (time.monotonic() - began))
        return _Standing(
            revision=revision,
            runs=runs,
            kept=kept,
            tally=tally,
            first=first,
            counts=counts,
            causes=causes(chunks, kept.limbo, kept.names),
            report=report_of(
                chunks,
                kept.limbo,
                kept.names,
                tally,
                rows,
                verdict="" if runs else _verdict(counts),
                elapsed=last - first,
                session_rows=0,
            ),
        )

    def _read_again(self) -> None:
        """What others have written since."""
        if time.monotonic() < self._next_look:
            return
        newest = self._newest()
        if newest == self._version and session_runs(self.run_dir) == self._now.runs and not self._must_reopen():
            self._next_look = time.monotonic() + _LOOK_AGAIN
            return
        self._version = newest
        if self._alone:  # what was read then does not hold any more
            self._reader.close()
            self._open_reader()
        self._now = self._read_all(self._now.revision + 1)

    def _must_reopen(self) -> bool:
        return self._alone and self._log_of_writer.exists()

    async def _work(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, step)

    # ---- SessionHandle

    @property
    def name(self) -> str:
        return self._plan.name

    async def snapshot(self) -> Snapshot:
        async with self._looking:
            await self._work(self._read_again)
        now = self._now
        everything = now.tally.everything
        return Snapshot(
            revision=now.revision,
            name=self._plan.name,
            run_dir=str(self.run_dir),
            state=RunState.RUNNING if now.runs else RunState.ENDED,
            wall=time.time(),
            started=now.first,
            elapsed=now.report.elapsed,
            counts=now.counts,
            rows=everything.rows,
            overlap_rows=everything.overlap_rows,
            bytes=everything.bytes,
            causes=now.causes,
            notices=(_notice(now, self.run_dir),),
            log_end=len(self._lines),
            verdict=now.report.verdict,
            exit_status=None if now.runs else 0,
        )

    async def chunk_table(self) -> ChunkTable:
        ids = self._now.kept.chunks.ids
        return await asyncio.to_thread(table_of, ids, *self._plan.tiling)

    async def chunk_states(self, since: int) -> ChunkStates | None:
        now = self._now
        if since >= now.revision:
            return None
        kept = now.kept
        return await asyncio.to_thread(states_of, kept.chunks, kept.names, kept.failures, now.revision)

    async def chunk_history(self, chunk: int) -> ChunkHistory | None:
        chunks = self._now.kept.chunks
        i = chunks.index(chunk)
        if i < 0:
            return None
        attempts = await self._work(lambda: attempts_of(self._reader, chunk))
        return history_of(chunks, i, attempts)

    async def logs(self, after: int, limit: int) -> LogPage:
        start = max(after, 0)
        return LogPage(self._lines[start : start + max(limit, 0)], 0, len(self._lines))

    async def older(self, source: str, before: LogMark | None, limit: int, level: int = 0) -> OlderLines:
        return await asyncio.to_thread(older_lines, self._logs, source, before, limit, level)

    async def whole_log(
        self, client: str, at: int, limit: int, *, backward: bool = False, needle: str = ""
    ) -> WholeLines:
        return await asyncio.to_thread(read_whole, self._logs, client, at, limit, backward=backward, needle=needle)

    async def log_files(self) -> tuple[LogFile, ...]:
        return await asyncio.to_thread(log_files, self._logs)

    async def report(self) -> Report:
        return self._now.report

    async def command(self, command: Command) -> Reply:
        if not isinstance(command, Export):
            return Reply(False, "This is a report: nothing runs here, so nothing can be asked of it.")
        path = Path(command.path)
        if command.format not in FILE_FORMATS:
            return Reply(False, f"The report is written as {', '.join(FILE_FORMATS)}, not as {command.format}.")
        if await asyncio.to_thread(path.exists) and not command.overwrite:
            return Reply(False, f"{path} exists; choose another name.")
        write = writer(path, command.format, self._now.report, self.name)
        try:
            await self._work(lambda: write(self.rows()))
        except OSError as error:
            return Reply(False, f"{path} cannot be written: {error.strerror}")
        return Reply(True, f"Written: {path}")

    # ---- rows, for who works in a thread of its own

    def rows(self, state: ChunkState | None = None) -> Iterator[ReportRow]:
        """The rows of report.csv, in id order; of one state only, if one is given. ``pending`` holds ``retrying``."""
        where, after = _WHERE[state], -1
        if not self._now.runs:
            where = _WHERE_AT_REST.get(state, where)
        while True:
            page = list(report_rows(self._reader, f"WHERE c.chunk > ? AND {where}", (after,), limit=_PAGE))
            for row in page:
                yield row if self._now.runs else _at_rest(row)
            if len(page) < _PAGE:
                return
            after = page[-1].chunk_id


_WHERE: dict[ChunkState | None, str] = {
    None: "1",
    ChunkState.PENDING: "c.state = 0",
    ChunkState.RETRYING: "c.state = 0 AND c.used > 0",
    ChunkState.ASSIGNED: "c.state = 1",
    ChunkState.DELIVERED: "c.state = 2",
    ChunkState.COMPLETED: "c.state = 3",
    ChunkState.LIMBO: "c.state = 4",
}
_WHERE_AT_REST: dict[ChunkState | None, str] = {
    ChunkState.PENDING: "c.state IN (0, 1, 2)",
    ChunkState.RETRYING: "(c.state = 0 AND c.used > 0 OR c.state IN (1, 2) AND c.used > 1)",
    ChunkState.ASSIGNED: "0",
    ChunkState.DELIVERED: "0",
}
"""Where no session runs nothing is in work, whatever a crash left in the ledger."""


def _at_rest(row: ReportRow) -> ReportRow:
    if row.state not in (ChunkState.ASSIGNED, ChunkState.DELIVERED):
        return row
    from msgspec.structs import replace

    return replace(row, state=ChunkState.PENDING.value, attempts=max(row.attempts - 1, 0))


def _give_back(kept: Kept) -> None:
    """As a resume does it with what was in work."""
    chunks = kept.chunks
    in_work = (chunks.state == State.ASSIGNED) | (chunks.state == State.DELIVERED)
    chunks.state[in_work] = State.PENDING
    chunks.used[in_work] -= np.minimum(chunks.used[in_work], 1)
    chunks.recount()


def _read_plan(path: Path) -> _Plan:
    try:
        told = json.loads(path.read_bytes())
        stripes, sub_stripes = told["tiling"]
        return _Plan(str(told["name"]), (int(stripes), int(sub_stripes)))
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", file=str(path))) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(Problem("is not the plan of a run that this program can read", file=str(path))) from error


def _verdict(counts: Counts) -> str:
    line = verdict_of(counts, RunState.ENDED)
    unmade = counts.total - counts.completed - counts.limbo
    return f"{line} Nothing runs now; the command that started it goes on with it." if unmade else line


def _notice(now: _Standing, run_dir: Path) -> Notice:
    if now.runs:
        return Notice(f"A session runs there: `dgconsole attach {run_dir}` shows it live.", "", "info")
    return Notice("This is the report of a run; nothing runs here.", "", "info")
