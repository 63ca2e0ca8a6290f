"""The course of a session: from its first chunk to its report, what ends it, and how it is brought to an end."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime

from msgspec.structs import replace

from dgconsole.coordinator.report import exit_status
from dgconsole.coordinator.server import Coordinator
from dgconsole.plan.schema import database_schema
from dgconsole.session.crew import Crew
from dgconsole.session.destinations import too_many_transactions
from dgconsole.session.opening import Prepared, SessionOptions, kept_in
from dgconsole.settings.structs import HostConfig
from dgconsole.snapshot import ClientState, Notice, Quit, Reply, Report, RunState
from dgconsole.support.clock import Clock
from dgconsole.support.errors import ChunkError, InputError
from dgconsole.support.logbook import CONSOLE, LogBook

LOOK_EVERY = 0.5
"""Seconds between two looks at whether a headless run can still go on."""
FAREWELL = 3.0
"""Seconds that clients have to leave by themselves when nothing more is wanted of them."""
STOP_GRACE = 5.0
"""Seconds between TERM and KILL for a client when the session ends at once."""
TAKES_PART = frozenset(
    {ClientState.STARTING, ClientState.WORKING, ClientState.IDLE, ClientState.SILENT, ClientState.DRAINING}
)
"""What a client does that has, or may get, a chunk in hand."""


class Course:
    """What happens to coordinator and crew over a session; others read its state and ask for its end.

    ``quit`` is what a person asked for, once somebody did; ``ended`` goes back when a person finds more
    to do.
    """

    def __init__(
        self,
        prepared: Prepared,
        hosts: Sequence[HostConfig],
        options: SessionOptions,
        coordinator: Coordinator,
        logbook: LogBook,
        clock: Clock,
    ) -> None:
        self.prepared = prepared
        self.options = options
        self.coordinator = coordinator
        self.logbook = logbook
        self._clock = clock
        self.crew = Crew(
            hosts,
            run_dir=prepared.run_dir,
            server_port=prepared.settings.server_port,
            timing=options.timing,
            coordinator=coordinator,
            logbook=logbook,
            changed=self.change,
            asks=not options.headless,
        )
        self.changes = 0
        """How often something changed that the coordinator does not know of."""
        self.quit: Quit | None = None
        self.ended = False
        self._end_reason = ""
        self.notices = [Notice(text, level="info") for text in prepared.plan.notices]
        if warning := too_many_transactions(prepared.settings, len(prepared.targets.ids)):
            self.notices.append(Notice(warning))
        self._stopped_at: float | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self.finishing: tuple[Notice, ...] = ()
        self._unfinished = ""
        self._at_once = asyncio.Event()
        self._more = asyncio.Event()
        self._over = asyncio.Event()

    # ---- the course of a run

    async def begin(self) -> None:
        targets, counts = self.prepared.targets, self.coordinator.counts()
        self.say(f"target chunks: {counts.total:,}, made already: {counts.completed:,}")
        if targets.skipped:
            self.say(f"{targets.skipped:,} numbers inside the ranges are no chunks of this tiling: passed over")
        for notice in self.notices:
            self.say(notice.text, notice.level.upper())
        if not self.prepared.settings.collect:
            folder = kept_in(self.prepared.settings, self.prepared.run_dir)
            self.say(f"files that other hosts make stay there, in {folder}; chunks/metadata.json will say which")
        if self.coordinator.finished.is_set():
            await self._write_reports()  # the session that made the last chunk may have died before it could
            self._end(await self._finish_destination() or self._finished_before())
        else:
            await self._start_crew()
        self._spawn(self._watch())
        self._spawn(self.crew.watch())
        if self.options.headless:
            self._spawn(self._watch_alone())

    def _finished_before(self) -> str:
        since = self.coordinator.completed_since
        if since is None:
            return ""
        when = datetime.fromtimestamp(since).astimezone().strftime("%Y-%m-%d %H:%M")
        return f"This run directory is complete since {when}. For another run name another one with --run-dir."

    async def _start_crew(self) -> None:
        if warning := await self.crew.start():
            self.warn(warning)

    async def _watch(self) -> None:
        """Ends the run each time that nothing is left to do; goes on when a person finds more."""
        while True:
            await self.coordinator.finished.wait()
            if not self.ended:
                reason = await self._finish_destination()
                await self._write_reports()
                self._end(reason)
            await self._more.wait()
            self._more.clear()

    def _end(self, reason: str) -> None:
        if not self.ended:
            self.ended = True
            self._end_reason = reason
            self._stopped_at = self._clock.wall()
            self.change()
            self.say(self.verdict())

    async def _watch_alone(self) -> None:
        """Headless: nobody is there to mend what holds the run, so it ends with its report."""
        while not self.ended and self.quit is None:
            await asyncio.sleep(LOOK_EVERY)
            held = [text for reason, text in self.coordinator.pauses.items() if reason != "person"]
            if held or not (self.somebody_works() or self.coordinator.busy):
                if self.coordinator.transactions():
                    await self._end_transactions()
                    if self.coordinator.finished.is_set():
                        continue
                why = "Ended, as nobody is here to mend it." if held else "Ended: no client is left."
                await self._write_reports()
                self._end(why)

    def somebody_works(self) -> bool:
        if self.crew.alive():
            return True
        return any(state in TAKES_PART for state in self.coordinator.client_states())

    async def _end_transactions(self) -> None:
        """Headless, and no client will do anything more: what the destination has open is committed or undone."""
        await self.coordinator.stop(now=True)
        await self.crew.stop(STOP_GRACE)
        await self.coordinator.clients_ended()

    async def _finish_destination(self) -> str:
        """Have the destination do what follows the last chunk of a session; words for the verdict if it could not."""
        self.finishing, self._unfinished = (), ""
        try:
            lines = await self.coordinator.finish(partial_sky=self.prepared.targets.partial)
        except ChunkError as error:
            self.say(error.text, "ERROR")
            self.finishing, self._unfinished = (Notice(error.text, level="error"),), error.text
        else:
            for line in lines:
                self.say(line)
            self.finishing = tuple(Notice(line, level="info") for line in lines)
        return self._unfinished

    async def _write_reports(self) -> None:
        copies = [self.prepared.run_dir.report, *([self.options.report] if self.options.report else [])]
        for path in copies:
            try:
                await self.coordinator.write_csv(path)
            except InputError as error:
                self._complain(error)
        try:
            await self._write_metadata()
        except InputError as error:
            self._complain(error)

    async def _write_metadata(self) -> None:
        """What a loader wants to know of the chunk files, where they are files."""
        settings, plan = self.prepared.settings, self.prepared.plan
        if settings.ingest_kind != "files":
            return
        schema = database_schema(settings, plan)
        chunks = self.prepared.run_dir.chunks
        if trouble := await self.coordinator.write_metadata(schema, settings.ingest_files, chunks):
            self.say(f"no loader of Qserv's can read the chunk files: {trouble}", "WARNING")

    def _complain(self, error: InputError) -> None:
        self.say(str(error), "ERROR")
        self.notices.append(Notice(str(error), level="error"))

    @property
    def closing(self) -> bool:
        """Whether ``close`` was called."""
        return self._closing is not None

    async def close(self, readers: Callable[[], Awaitable[None]]) -> None:
        """End everything: clients, those who read (by ``readers``), ledger, lock. No process of ours is left then."""
        self.crew.leaving = True
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(readers))
        await asyncio.shield(self._closing)

    async def _close(self, readers: Callable[[], Awaitable[None]]) -> None:
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self.coordinator.bug:
            await self.coordinator.stop(now=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.coordinator.stopped.wait(), FAREWELL)
        await self.crew.stop(STOP_GRACE)
        await readers()
        await self.coordinator.close()
        logging.getLogger().removeHandler(self.logbook.handler)
        self.logbook.close()
        self.prepared.run_dir.close()

    # ---- how it stands

    def state(self) -> RunState:
        if self.ended:
            return RunState.ENDED
        if self.quit is not None:
            return RunState.STOPPING
        state = self.coordinator.run_state
        return RunState.RUNNING if state is RunState.ENDED else state  # until the report is written

    def elapsed(self) -> float:
        return (self._stopped_at or self._clock.wall()) - self.coordinator.started

    def verdict(self) -> str:
        verdict = self.coordinator.verdict(ended=self.ended)
        return f"{verdict.rstrip('.')}. {self._end_reason}" if self._end_reason else verdict

    def exit_status(self) -> int | None:
        if not self.ended:
            return None
        status = exit_status(self.coordinator.counts(), quit_early=self.quit is not None)
        return 1 if status == 0 and self._unfinished else status

    async def report(self) -> Report:
        report = await self.coordinator.report()
        ended = self.coordinator.transaction_totals()
        return replace(report, verdict=self.verdict(), elapsed=self.elapsed(), transaction_totals=ended)

    # ---- its end, and its going on

    async def need_clients(self) -> None:
        """A finished run directory started no client; there is work for some now."""
        if self.coordinator.finished.is_set():
            return
        if self.ended:
            self.ended, self._stopped_at, self._end_reason = False, None, ""
            self._more.set()
        await self._start_crew()

    async def begin_quit(self, command: Quit) -> Reply:
        first = self.quit is None
        self.quit = command
        self.crew.leaving = True
        self.change()
        if self.ended:
            self._over.set()
            return Reply(True, "")
        if command.now:
            self._at_once.set()
        await self.coordinator.stop(now=command.now)
        if first:
            self._spawn(self._finish_quit())
        elif command.now:
            self._spawn(self.crew.stop(STOP_GRACE))
        return Reply(True, "Stopping at once." if command.now else "Finishing the chunks in hand.")

    async def end_now(self) -> None:
        """Quit at once and wait until it is done; what a signal does."""
        await self.begin_quit(Quit(now=True))
        await self._over.wait()

    async def _finish_quit(self) -> None:
        """Wait for the clients to leave, end what does not, then close the books."""
        waits = [asyncio.create_task(each.wait()) for each in (self.coordinator.stopped, self._at_once)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        await self.crew.stop(STOP_GRACE)
        await self.coordinator.clients_ended()
        reason = await self._finish_destination()
        await self._write_reports()
        self._end(reason)
        self._over.set()

    # ---- small things

    def say(self, text: str, level: str = "INFO") -> None:
        self.logbook.write(CONSOLE, level, text)

    def warn(self, text: str) -> None:
        """A word for the log that stands in Needs you, too."""
        self.notices.append(Notice(text))
        self.say(text, "WARNING")

    def change(self) -> None:
        self.changes += 1

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
