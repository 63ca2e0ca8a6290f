"""A run from its first chunk to its report: coordinator and fleet wired; commands in, snapshots out."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from dgconsole import __version__
from dgconsole.coordinator.options import Options
from dgconsole.coordinator.server import Coordinator
from dgconsole.fleet.processes import Process
from dgconsole.plan import BundleItem, bundle_items
from dgconsole.session.commands import Commands
from dgconsole.session.control import Control
from dgconsole.session.course import Course
from dgconsole.session.destinations import destination_of
from dgconsole.session.opening import Prepared, SessionOptions, bad_options, kept_in, open_run, read_input
from dgconsole.session.preparing import PREPARE, run_preparation
from dgconsole.session.secrets import Ask, with_secret
from dgconsole.settings.structs import HostConfig, RunSettings
from dgconsole.snapshot import (
    ChunkHistory,
    ChunkStates,
    ChunkTable,
    ClientRow,
    ClientState,
    Command,
    LogFile,
    LogLine,
    LogMark,
    LogPage,
    Notice,
    OlderLines,
    Reply,
    Report,
    Snapshot,
    WholeLines,
)
from dgconsole.support.clock import Clock, SystemClock
from dgconsole.support.logbook import CONSOLE, LogBook

_CROWD = 300
"""With more clients than these their rows are made once a second."""


class Session:
    """A run that is going on; a ``SessionHandle`` for the faces."""

    def __init__(self, course: Course, clock: Clock) -> None:
        self._course = course
        self._clock = clock
        self._commands = Commands(course)
        self._rows: tuple[ClientRow, ...] = ()
        self._rows_made = 0.0
        self._control = Control(self, course.prepared.run_dir.control_socket, version=__version__, say=course.say)

    @classmethod
    async def open(
        cls,
        hosts: Sequence[HostConfig],
        config: Path,
        options: SessionOptions,
        clock: Clock | None = None,
        *,
        say: Callable[[str], None] | None = None,
        ask: Ask | None = None,
    ) -> "Session":
        """Run what is to ``prepare``, plan, open the ledger, listen, start the fleet.

        ``say`` takes what the preparation prints; ``ask`` puts a question to a person, where one is there.
        InputError: nothing was started.
        """
        clock = clock or SystemClock()
        said = await run_preparation(config, options.run_dir, say, wrong=bad_options(options))
        given = await asyncio.to_thread(read_input, config, hosts, options)
        _, prepared = await with_secret(
            given.settings,
            ask,
            lambda settings: asyncio.to_thread(open_run, replace(given, settings=settings), options),
        )
        run_dir = prepared.run_dir
        logbook = LogBook(run_dir.logs, clock)
        logging.getLogger().addHandler(logbook.handler)
        logging.captureWarnings(True)
        for line in said:
            logbook.write(PREPARE, "INFO", line)
        try:
            bundle = await asyncio.to_thread(
                bundle_items, prepared.settings, prepared.plan, out_dir=str(run_dir.chunks), keep_csv=options.keep_csv
            )
            work = partial(_coordinate, prepared, options, bundle, clock, logbook)
            settings, coordinator = await with_secret(prepared.settings, ask, work)
            prepared = replace(prepared, settings=settings)
        except BaseException:
            logging.getLogger().removeHandler(logbook.handler)
            logbook.close()
            run_dir.close()
            raise
        session = cls(Course(prepared, hosts, options, coordinator, logbook, clock), clock)
        try:
            await session._begin()
        except BaseException:
            await session.close()
            raise
        return session

    async def _begin(self) -> None:
        self._listen_for_faces()
        await self._course.begin()

    def _listen_for_faces(self) -> None:
        """Let other consoles attach; a run goes on without it."""
        run_dir = self._course.prepared.run_dir
        try:
            run_dir.write_control()
            self._control.start()
        except OSError as error:
            warning = f"No other console can attach: {run_dir.control_socket}: {error.strerror or error}"
            self._course.notices.append(Notice(warning))

    async def end_now(self) -> None:
        """Quit at once and wait until it is done; what a signal does."""
        await self._course.end_now()

    async def close(self) -> None:
        """End everything: clients, ledger, lock. Returns when no process of ours is left."""
        await self._course.close(self._control.close)

    # ---- what faces read

    async def snapshot(self) -> Snapshot:
        course, coordinator = self._course, self._course.coordinator
        wall = self._clock.wall()
        totals = coordinator.totals
        return Snapshot(
            revision=coordinator.revision + course.changes,
            name=course.prepared.plan.name,
            run_dir=str(course.prepared.run_dir.path),
            state=course.state(),
            wall=wall,
            started=coordinator.started,
            elapsed=course.elapsed(),
            counts=coordinator.counts(),
            rows=totals.rows,
            overlap_rows=totals.overlap_rows,
            bytes=totals.bytes,
            session_completed=coordinator.session_completed,
            partial_sky=course.prepared.targets.partial,
            clients=self._client_rows(),
            hosts=course.crew.hosts(),
            causes=coordinator.causes(),
            notices=(
                *coordinator.notices(),
                *self._no_client_notice(),
                *course.notices,
                *course.finishing,
            ),
            transactions=coordinator.transactions(),
            transaction_totals=coordinator.transaction_totals(),
            questions=course.crew.questions,
            log_end=course.logbook.end,
            verdict=course.verdict() if course.ended else "",
            exit_status=course.exit_status(),
        )

    def _client_rows(self) -> tuple[ClientRow, ...]:
        now = self._clock.now()
        if len(self._rows) > _CROWD and now - self._rows_made < 1.0 and not self._course.ended:
            return self._rows
        rows = self._course.coordinator.clients()
        processes = {process.name: process for process in self._course.crew.processes()}
        self._rows = tuple(
            row if (process := processes.get(row.name)) is None else _with_process(row, process) for row in rows
        )
        self._rows_made = now
        return self._rows

    def _no_client_notice(self) -> tuple[Notice, ...]:
        if self._course.options.headless or self._course.ended or self._course.quit is not None:
            return ()
        if not self._course.crew.started or self._course.somebody_works():
            return ()
        if any(state in BROUGHT_BACK for state in self._course.coordinator.client_states()):
            return (Notice("No client is left; R starts them again.", "R", "error"),)
        return (Notice("No client is left; + on a host starts one.", "+", "error"),)

    async def chunk_table(self) -> ChunkTable:
        return await asyncio.to_thread(self._course.coordinator.chunk_table)

    async def chunk_states(self, since: int) -> ChunkStates | None:
        return self._course.coordinator.chunk_states(since)

    async def chunk_history(self, chunk: int) -> ChunkHistory | None:
        return await self._course.coordinator.history(chunk)

    async def logs(self, after: int, limit: int) -> LogPage:
        page = self._course.logbook.read(after, limit)
        lines = tuple(LogLine(line.number, line.wall, line.source, line.level, line.text) for line in page.lines)
        return LogPage(lines, page.lost, page.end)

    async def older(self, source: str, before: LogMark | None, limit: int, level: int = 0) -> OlderLines:
        from dgconsole.records.logfiles import older_lines

        return await asyncio.to_thread(older_lines, self._course.prepared.run_dir.logs, source, before, limit, level)

    async def whole_log(
        self, client: str, at: int, limit: int, *, backward: bool = False, needle: str = ""
    ) -> WholeLines:
        from dgconsole.records.wholelog import read_whole

        read = partial(
            read_whole, self._course.prepared.run_dir.logs, client, at, limit, backward=backward, needle=needle
        )
        return await asyncio.to_thread(read)

    async def log_files(self) -> tuple[LogFile, ...]:
        from dgconsole.records.logfiles import log_files

        return await asyncio.to_thread(log_files, self._course.prepared.run_dir.logs)

    async def report(self) -> Report:
        return await self._course.report()

    # ---- what faces want

    async def command(self, command: Command) -> Reply:
        """Carry out one command; the answer says in a line what was done or why not."""
        return await self._commands.carry_out(command)


async def _coordinate(
    prepared: Prepared,
    options: SessionOptions,
    bundle: Sequence[BundleItem],
    clock: Clock,
    logbook: LogBook,
    settings: RunSettings,
) -> Coordinator:
    """Open the ledger and the destination."""
    run_dir = prepared.run_dir
    return await Coordinator.open(
        run_dir,
        prepared.plan,
        prepared.targets.ids,
        bundle,
        destination_of(settings, prepared.plan, run_dir, partial(logbook.write, CONSOLE, "INFO")),
        Options(
            max_attempts=options.max_attempts,
            chunks_per_request=options.chunks_per_request,
            transaction_size=settings.transaction_size,
            heartbeat=options.heartbeat,
            lease=options.lease,
            stall_timeout=options.stall_timeout,
            retry_wait=options.retry_wait,
            direct=settings.ingest_kind != "files",
            keep_in=kept_in(settings, run_dir),
        ),
        clock,
        logbook.write,
        settings.secrets,
    )


BROUGHT_BACK = frozenset({ClientState.GAVE_UP, ClientState.LOST, ClientState.REFUSED})
"""Whom ``RetryAll`` starts again."""


def _with_process(row: ClientRow, process: Process) -> ClientRow:
    return replace(row, pid=process.pid or row.pid, cpu=process.cpu, rss=process.rss, workdir=process.workdir)
