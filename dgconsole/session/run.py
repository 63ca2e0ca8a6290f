"""A run from its first chunk to its report: coordinator and fleet wired; commands in, snapshots out."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from dgconsole import __version__
from dgconsole.coordinator.options import Options
from dgconsole.coordinator.report import exit_status
from dgconsole.coordinator.server import Coordinator
from dgconsole.fleet.processes import Process
from dgconsole.plan import BundleItem, bundle_items
from dgconsole.plan.schema import database_schema
from dgconsole.session.control import Control
from dgconsole.session.crew import Crew
from dgconsole.session.destinations import destination_of, too_many_transactions
from dgconsole.session.opening import Prepared, SessionOptions, bad_options, kept_in, misfits, open_run, read_input
from dgconsole.session.preparing import PREPARE, run_preparation
from dgconsole.session.secrets import Ask, with_secret
from dgconsole.settings.hosts import more_hosts
from dgconsole.settings.structs import HostConfig, RunSettings
from dgconsole.snapshot import (
    AddClient,
    AddHost,
    Answer,
    ChunkHistory,
    ChunkStates,
    ChunkTable,
    ClientRow,
    ClientState,
    Command,
    DrainHost,
    Export,
    FetchLog,
    LogFile,
    LogLine,
    LogMark,
    LogPage,
    Notice,
    OlderLines,
    Pause,
    Quit,
    ReconnectHost,
    Reply,
    Report,
    Resume,
    Retry,
    RetryAll,
    RunState,
    Snapshot,
    StopClient,
    WholeLines,
)
from dgconsole.support.clock import Clock, SystemClock
from dgconsole.support.errors import ChunkError, InputError
from dgconsole.support.logbook import CONSOLE, LogBook

LOOK_EVERY = 0.5
"""Seconds between two looks at whether a headless run can still go on."""
FAREWELL = 3.0
"""Seconds that clients have to leave by themselves when nothing more is wanted of them."""
STOP_GRACE = 5.0
"""Seconds between TERM and KILL for a client when the session ends at once."""


class Session:
    """A run that is going on; a ``SessionHandle`` for the faces."""

    def __init__(
        self,
        prepared: Prepared,
        hosts: Sequence[HostConfig],
        options: SessionOptions,
        coordinator: Coordinator,
        logbook: LogBook,
        clock: Clock,
    ) -> None:
        self._prepared = prepared
        self._options = options
        self._coordinator = coordinator
        self._logbook = logbook
        self._clock = clock
        self._crew = Crew(
            hosts,
            run_dir=prepared.run_dir,
            server_port=prepared.settings.server_port,
            timing=options.timing,
            coordinator=coordinator,
            logbook=logbook,
            changed=self._changed,
            asks=not options.headless,
        )
        self._control = Control(self, prepared.run_dir.control_socket, version=__version__, say=self._say)
        self._joining = asyncio.Lock()
        self._changes = 0
        self._quit: Quit | None = None
        self._ended = False
        self._end_reason = ""
        self._notices = [Notice(text, level="info") for text in prepared.plan.notices]
        if warning := too_many_transactions(prepared.settings, len(prepared.targets.ids)):
            self._notices.append(Notice(warning))
        self._stopped_at: float | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._finishing: tuple[Notice, ...] = ()
        self._unfinished = ""
        self._at_once = asyncio.Event()
        self._more = asyncio.Event()
        self._over = asyncio.Event()

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
        session = cls(prepared, hosts, options, coordinator, logbook, clock)
        try:
            await session._begin()
        except BaseException:
            await session.close()
            raise
        return session

    # ---- the course of a run

    async def _begin(self) -> None:
        targets, counts = self._prepared.targets, self._coordinator.counts()
        self._say(f"target chunks: {counts.total:,}, made already: {counts.completed:,}")
        if targets.skipped:
            self._say(f"{targets.skipped:,} numbers inside the ranges are no chunks of this tiling: passed over")
        for notice in self._notices:
            self._say(notice.text)
        if not self._prepared.settings.collect:
            folder = kept_in(self._prepared.settings, self._prepared.run_dir)
            self._say(f"files that other hosts make stay there, in {folder}; chunks/metadata.json will say which")
        self._listen_for_faces()
        if self._coordinator.finished.is_set():
            await self._write_reports()  # the session that made the last chunk may have died before it could
            self._end(await self._finish_destination() or self._finished_before())
        else:
            await self._start_crew()
        self._spawn(self._watch())
        if self._options.headless:
            self._spawn(self._watch_alone())

    def _listen_for_faces(self) -> None:
        """Let other consoles attach; a run goes on without it."""
        run_dir = self._prepared.run_dir
        try:
            run_dir.write_control()
            self._control.start()
        except OSError as error:
            warning = f"No other console can attach: {run_dir.control_socket}: {error.strerror or error}"
            self._notices.append(Notice(warning))
            self._say(warning, "WARNING")

    def _finished_before(self) -> str:
        since = self._coordinator.completed_since
        if since is None:
            return ""
        when = datetime.fromtimestamp(since).astimezone().strftime("%Y-%m-%d %H:%M")
        return f"This run directory is complete since {when}. For another run name another one with --run-dir."

    async def _start_crew(self) -> None:
        if warning := await self._crew.start():
            self._notices.append(Notice(warning))
            self._say(warning, "WARNING")

    async def _watch(self) -> None:
        """Ends the run each time that nothing is left to do; goes on when a person finds more."""
        while True:
            await self._coordinator.finished.wait()
            if not self._ended:
                reason = await self._finish_destination()
                await self._write_reports()
                self._end(reason)
            await self._more.wait()
            self._more.clear()

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self._end_reason = reason
            self._stopped_at = self._clock.wall()
            self._changed()
            self._say(self._verdict())

    async def _watch_alone(self) -> None:
        """Headless: nobody is there to mend what holds the run, so it ends with its report."""
        while not self._ended and self._quit is None:
            await asyncio.sleep(LOOK_EVERY)
            held = [text for reason, text in self._coordinator.pauses.items() if reason != "person"]
            if held or not (self._somebody_works() or self._coordinator.busy):
                if self._coordinator.transactions():
                    await self._end_transactions()
                    if self._coordinator.finished.is_set():
                        continue
                why = "Ended, as nobody is here to mend it." if held else "Ended: no client is left."
                await self._write_reports()
                self._end(why)

    def _somebody_works(self) -> bool:
        if self._crew.alive():
            return True
        return any(state in _TAKES_PART for state in self._coordinator.client_states())

    async def _end_transactions(self) -> None:
        """Headless, and no client will do anything more: what the destination has open is committed or undone."""
        await self._coordinator.stop(now=True)
        await self._crew.stop(STOP_GRACE)
        await self._coordinator.clients_ended()

    async def _finish_destination(self) -> str:
        """Have the destination do what follows the last chunk of a session; words for the verdict if it could not."""
        self._finishing, self._unfinished = (), ""
        try:
            lines = await self._coordinator.finish(partial_sky=self._prepared.targets.partial)
        except ChunkError as error:
            self._say(error.text, "ERROR")
            self._finishing, self._unfinished = (Notice(error.text, level="error"),), error.text
        else:
            for line in lines:
                self._say(line)
            self._finishing = tuple(Notice(line, level="info") for line in lines)
        return self._unfinished

    async def _write_reports(self) -> None:
        copies = [self._prepared.run_dir.report, *([self._options.report] if self._options.report else [])]
        for path in copies:
            try:
                await self._coordinator.write_csv(path)
            except InputError as error:
                self._complain(error)
        try:
            await self._write_metadata()
        except InputError as error:
            self._complain(error)

    async def _write_metadata(self) -> None:
        """What a loader wants to know of the chunk files, where they are files."""
        settings, plan = self._prepared.settings, self._prepared.plan
        if settings.ingest_kind != "files":
            return
        schema = database_schema(settings, plan)
        chunks = self._prepared.run_dir.chunks
        if trouble := await self._coordinator.write_metadata(schema, settings.ingest_files, chunks):
            self._say(f"no loader of Qserv's can read the chunk files: {trouble}", "WARNING")

    def _complain(self, error: InputError) -> None:
        self._say(str(error), "ERROR")
        self._notices.append(Notice(str(error), level="error"))

    async def close(self) -> None:
        """End everything: clients, ledger, lock. Returns when no process of ours is left."""
        self._crew.leaving = True
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self._coordinator.bug:
            await self._coordinator.stop(now=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._coordinator.stopped.wait(), FAREWELL)
        await self._crew.stop(STOP_GRACE)
        await self._control.close()
        await self._coordinator.close()
        logging.getLogger().removeHandler(self._logbook.handler)
        self._logbook.close()
        self._prepared.run_dir.close()

    # ---- what faces read

    async def snapshot(self) -> Snapshot:
        coordinator = self._coordinator
        wall = self._clock.wall()
        totals = coordinator.totals
        return Snapshot(
            revision=coordinator.revision + self._changes,
            name=self._prepared.plan.name,
            run_dir=str(self._prepared.run_dir.path),
            state=self._state(),
            wall=wall,
            started=coordinator.started,
            elapsed=self._elapsed(),
            counts=coordinator.counts(),
            rows=totals.rows,
            overlap_rows=totals.overlap_rows,
            bytes=totals.bytes,
            session_completed=coordinator.session_completed,
            partial_sky=self._prepared.targets.partial,
            clients=self._client_rows(),
            hosts=self._crew.hosts(),
            causes=coordinator.causes(),
            notices=(*coordinator.notices(), *self._no_client_notice(), *self._notices, *self._finishing),
            transactions=coordinator.transactions(),
            transaction_totals=coordinator.transaction_totals(),
            questions=self._crew.questions,
            log_end=self._logbook.end,
            verdict=self._verdict() if self._ended else "",
            exit_status=self._exit_status(),
        )

    def _state(self) -> RunState:
        if self._ended:
            return RunState.ENDED
        if self._quit is not None:
            return RunState.STOPPING
        state = self._coordinator.run_state
        return RunState.RUNNING if state is RunState.ENDED else state  # until the report is written

    def _elapsed(self) -> float:
        return (self._stopped_at or self._clock.wall()) - self._coordinator.started

    def _verdict(self) -> str:
        verdict = self._coordinator.verdict(ended=self._ended)
        return f"{verdict.rstrip('.')}. {self._end_reason}" if self._end_reason else verdict

    def _exit_status(self) -> int | None:
        if not self._ended:
            return None
        status = exit_status(self._coordinator.counts(), quit_early=self._quit is not None)
        return 1 if status == 0 and self._unfinished else status

    def _client_rows(self) -> tuple[ClientRow, ...]:
        rows = self._coordinator.clients()
        processes = {process.name: process for process in self._crew.processes()}
        return tuple(
            row if (process := processes.get(row.name)) is None else _with_process(row, process) for row in rows
        )

    def _no_client_notice(self) -> tuple[Notice, ...]:
        if self._options.headless or self._ended or self._quit is not None:
            return ()
        if not self._crew.started or self._somebody_works():
            return ()
        if any(state in _BROUGHT_BACK for state in self._coordinator.client_states()):
            return (Notice("No client is left; R starts them again.", "R", "error"),)
        return (Notice("No client is left; + on a host starts one.", "+", "error"),)

    async def chunk_table(self) -> ChunkTable:
        return await asyncio.to_thread(self._coordinator.chunk_table)

    async def chunk_states(self, since: int) -> ChunkStates | None:
        return self._coordinator.chunk_states(since)

    async def chunk_history(self, chunk: int) -> ChunkHistory | None:
        return await self._coordinator.history(chunk)

    async def logs(self, after: int, limit: int) -> LogPage:
        page = self._logbook.read(after, limit)
        lines = tuple(LogLine(line.number, line.wall, line.source, line.level, line.text) for line in page.lines)
        return LogPage(lines, page.lost, page.end)

    async def older(self, source: str, before: LogMark | None, limit: int, level: int = 0) -> OlderLines:
        from dgconsole.records.logfiles import older_lines

        return await asyncio.to_thread(older_lines, self._prepared.run_dir.logs, source, before, limit, level)

    async def whole_log(
        self, client: str, at: int, limit: int, *, backward: bool = False, needle: str = ""
    ) -> WholeLines:
        from dgconsole.records.wholelog import read_whole

        read = partial(read_whole, self._prepared.run_dir.logs, client, at, limit, backward=backward, needle=needle)
        return await asyncio.to_thread(read)

    async def log_files(self) -> tuple[LogFile, ...]:
        from dgconsole.records.logfiles import log_files

        return await asyncio.to_thread(log_files, self._prepared.run_dir.logs)

    async def report(self) -> Report:
        report = await self._coordinator.report()
        ended = self._coordinator.transaction_totals()
        return replace(report, verdict=self._verdict(), elapsed=self._elapsed(), transaction_totals=ended)

    # ---- what faces want

    async def command(self, command: Command) -> Reply:
        """Carry out one command; the answer says in a line what was done or why not."""
        if self._closing is not None:
            return Reply(False, "The session is ending.")
        match command:
            case Pause():
                await self._coordinator.pause()
                return Reply(True, "Paused: chunks in hand go on, nothing more is handed out.")
            case Resume():
                await self._coordinator.resume()
                return Reply(True, "Handing out again.")
            case Retry(chunks=chunks):
                count = await self._coordinator.retry(chunks)
                await self._need_clients()
                return Reply(
                    count > 0, f"{count:,} chunks back to pending." if count else "No limbo chunk among them."
                )
            case RetryAll():
                return await self._retry_all()
            case AddClient(host=host):
                return self._crew.add_client(host)
            case AddHost(entry=entry):
                return await self._add_host(entry)
            case FetchLog(client=client):
                return await self._crew.fetch_log(client)
            case Answer(question=question, text=text):
                return self._crew.answer(question, text)
            case StopClient(client=client):
                await self._coordinator.stop_client(client, now=False)
                return Reply(True, f"{client} stops after the chunk in hand.")
            case DrainHost(host=host):
                return await self._drain(host)
            case ReconnectHost(host=host):
                return self._crew.reconnect(host)
            case Quit():
                return await self._begin_quit(command)
            case Export():
                return await self._export(command)
        return Reply(False, f"unknown command {type(command).__name__}")

    async def _retry_all(self) -> Reply:
        count = await self._coordinator.retry_all()
        again = self._crew.restart_ended()
        await self._need_clients()
        return Reply(True, f"{count:,} chunks back to pending, {again:,} clients started again.")

    async def _need_clients(self) -> None:
        """A finished run directory started no client; there is work for some now."""
        if self._coordinator.finished.is_set():
            return
        if self._ended:
            self._ended, self._stopped_at, self._end_reason = False, None, ""
            self._more.set()
        await self._start_crew()

    async def _add_host(self, entry: str) -> Reply:
        if self._quit is not None:
            return Reply(False, "The run is stopping: no host joins it any more.")
        file = self._options.hosts_file
        if file is None:
            return Reply(False, "This run was started without a hosts.yml: no host can join it.")
        async with self._joining:  # the next one is checked against this one, too
            try:
                hosts = await asyncio.to_thread(more_hosts, entry, file, self._crew.configs)
                InputError.raise_if(misfits(hosts, self._prepared.settings))
            except InputError as error:
                return Reply(False, "; ".join(map(str, error.problems)))
            reply = await self._crew.add_hosts(hosts)
        self._say(reply.text)
        return reply

    async def _drain(self, host: str) -> Reply:
        reply = self._crew.drain(host)
        for row in self._coordinator.clients():
            if reply.ok and row.host == host and row.state in _TAKES_PART:
                await self._coordinator.stop_client(row.name, now=False)
        return reply

    async def _begin_quit(self, command: Quit) -> Reply:
        first = self._quit is None
        self._quit = command
        self._crew.leaving = True
        self._changed()
        if self._ended:
            self._over.set()
            return Reply(True, "")
        if command.now:
            self._at_once.set()
        await self._coordinator.stop(now=command.now)
        if first:
            self._spawn(self._finish_quit())
        elif command.now:
            self._spawn(self._crew.stop(STOP_GRACE))
        return Reply(True, "Stopping at once." if command.now else "Finishing the chunks in hand.")

    async def end_now(self) -> None:
        """Quit at once and wait until it is done; what a signal does."""
        await self._begin_quit(Quit(now=True))
        await self._over.wait()

    async def _finish_quit(self) -> None:
        """Wait for the clients to leave, end what does not, then close the books."""
        waits = [asyncio.create_task(each.wait()) for each in (self._coordinator.stopped, self._at_once)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        await self._crew.stop(STOP_GRACE)
        await self._coordinator.clients_ended()
        reason = await self._finish_destination()
        await self._write_reports()
        self._end(reason)
        self._over.set()

    async def _export(self, wanted: Export) -> Reply:
        from dgconsole.records.export import FILE_FORMATS, writer

        path, form = Path(wanted.path), wanted.format
        if form not in FILE_FORMATS:
            return Reply(False, f"The report is written as {', '.join(FILE_FORMATS)}, not as {form}.")
        if await asyncio.to_thread(path.exists) and not wanted.overwrite:
            return Reply(False, f"{path} exists; choose another name.")
        try:
            await self._coordinator.write(path, writer(path, form, await self.report(), self._prepared.plan.name))
        except InputError as error:
            return Reply(False, str(error))
        return Reply(True, f"Written: {path}")

    # ---- small things

    def _say(self, text: str, level: str = "INFO") -> None:
        self._logbook.write(CONSOLE, level, text)

    def _changed(self) -> None:
        self._changes += 1

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


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


_BROUGHT_BACK = frozenset({ClientState.GAVE_UP, ClientState.LOST, ClientState.REFUSED})
"""Whom ``RetryAll`` starts again."""
_TAKES_PART = frozenset(
    {ClientState.STARTING, ClientState.WORKING, ClientState.IDLE, ClientState.SILENT, ClientState.DRAINING}
)


def _with_process(row: ClientRow, process: Process) -> ClientRow:
    return replace(row, pid=process.pid or row.pid, cpu=process.cpu, rss=process.rss, workdir=process.workdir)
