"""The coordinator as the session knows it: sockets, ledger and destination around the core."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from dgconsole.coordinator import events as e
from dgconsole.coordinator.acceptor import Acceptor
from dgconsole.coordinator.committer import Committer
from dgconsole.coordinator.core import Core
from dgconsole.coordinator.ledger import Ledger
from dgconsole.coordinator.noted import note_totals
from dgconsole.coordinator.opening import FINISHED, load, open_ledger, ready, recover
from dgconsole.coordinator.options import Options
from dgconsole.coordinator.peers import BundleItem
from dgconsole.coordinator.reading import Reading
from dgconsole.coordinator.reception import LogLine, Reception
from dgconsole.coordinator.rundir import RunDir
from dgconsole.coordinator.tally import Tally
from dgconsole.coordinator.transactor import Transactor
from dgconsole.ingest.destination import Destination, TransactionalDestination, TransactionEnd
from dgconsole.plan import Plan
from dgconsole.snapshot import TransactionTotals
from dgconsole.support.clock import Clock
from dgconsole.support.errors import BugError, ChunkError

T = TypeVar("T")

_ENDING = 30.0
"""Seconds for the destination to answer for open transactions when the session ends."""

_RECEIVING = 4
"""So many files may be written to at a time."""


class Coordinator(Reading):
    """One run: hands out, books, reports. What can be read of it is in ``Reading``.

    ``finished`` is set while nothing is pending or assigned; ``stopped`` once ``stop`` was called and no client
    has anything in hand or is connected. ``bug`` is what went wrong in here, if anything did: then both are
    set and nothing more is handed out. ``on_drop``, where set, is called with a client's name and a reason
    when its process should be ended.
    """

    def __init__(
        self,
        run_dir: RunDir,
        plan: Plan,
        core: Core,
        ledger: Ledger,
        tally: Tally,
        bundle: Sequence[BundleItem],
        destination: Destination | TransactionalDestination,
        clock: Clock,
        log: LogLine,
        threads: dict[str, ThreadPoolExecutor],
        secrets: Mapping[str, str],
    ) -> None:
        super().__init__(core, tally, clock, run_dir.ledger, threads["reader"], plan)
        self.finished = asyncio.Event()
        self.stopped = asyncio.Event()
        self.bug: BugError | None = None
        self.on_drop: Callable[[str, str], None] | None = None
        self._ledger = ledger
        self._log = log
        self._threads = threads
        self._tasks: set[asyncio.Task[None]] = set()
        self._committer = Committer(
            core,
            ledger,
            clock=clock,
            perform=self._perform,
            committed=self._committed,
            handled=self._handled,
            thread=threads["ledger"],
            gather=core.options.gather,
        )
        put = self._committer.put
        self._reception = Reception(
            core,
            plan,
            bundle,
            chunks=run_dir.chunks,
            shown=secrets,
            files=threads["files"],
            put=put,
            log=log,
            start=self._start,
            failed=self._ended,
        )
        self._taker: Acceptor | Transactor = (
            Transactor(destination, put, clock)
            if isinstance(destination, TransactionalDestination)
            else Acceptor(destination, put, threads["destination"])
        )

    @classmethod
    async def open(
        cls,
        run_dir: RunDir,
        plan: Plan,
        targets: NDArray[np.int32],
        bundle: Sequence[BundleItem],
        destination: Destination | TransactionalDestination,
        options: Options,
        clock: Clock,
        log: LogLine,
        secrets: Mapping[str, str] | None = None,
    ) -> "Coordinator":
        """Open or make the ledger, add ``targets`` (ascending), end what attempts left behind, begin.

        ``secrets`` are what the destination wants to be shown; clients are told them.

        Raises
        ------
        InputError
            The ledger or the destination cannot be used.
        """
        threads = {name: ThreadPoolExecutor(1, name) for name in ("ledger", "destination", "reader")}
        threads["files"] = ThreadPoolExecutor(_RECEIVING, "files")
        loop = asyncio.get_running_loop()
        ledger = None
        try:
            ledger, done = await loop.run_in_executor(threads["ledger"], open_ledger, run_dir.ledger, targets)
            ends: Mapping[int, TransactionEnd] = {}
            tables = [table.name for table in plan.tables if table.delivered]
            if isinstance(destination, TransactionalDestination):
                options = replace(options, grouped=True, direct=True)
                ends = {} if done else await recover(destination, tables)
            else:
                await loop.run_in_executor(threads["destination"], ready, destination, tables)
            core, tally = await loop.run_in_executor(threads["ledger"], load, ledger, targets, ends, options, clock)
        except BaseException:
            if ledger is not None:
                await loop.run_in_executor(threads["ledger"], ledger.close)
            for thread in threads.values():
                thread.shutdown()
            raise
        made = cls(run_dir, plan, core, ledger, tally, bundle, destination, clock, log, threads, secrets or {})
        made._begin()
        await made._committer.settled()
        return made

    def _begin(self) -> None:
        self._committer.put(e.Tick())
        for name, work in (("commits", self._committer.run()), ("accepts", self._taker.run())):
            self._start(work, name).add_done_callback(self._ended)
        self._start(self._ticks(), "ticks")

    def _start(self, work: Coroutine[None, None, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Our own machinery has ended; by an error of ours, nobody must wait for it any longer."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        story = error.story if isinstance(error, BugError) else ()
        self.bug = error if isinstance(error, BugError) else BugError(f"{type(error).__name__}: {error}")
        self._log("console", "error", "\n".join((f"a fault of this program: {error}", *story)))
        self._reception.ending = True
        self._reception.abort()
        self._committer.abandon()
        self.finished.set()
        self.stopped.set()

    async def _ticks(self) -> None:
        options = self._core.options
        while True:
            before = self._clock.now()
            await asyncio.sleep(options.tick)
            if self._clock.now() - before > options.tick + options.heartbeat:
                await asyncio.sleep(options.heartbeat)  # we were stopped: what clients said meanwhile is read first
            self._committer.put(e.Tick())

    # ---- clients

    @property
    def token(self) -> str:
        """What clients have to show."""
        return self._reception.token

    async def listen(self, address: str) -> str:
        """Take clients at ``unix:PATH`` or ``HOST:PORT`` (port 0: a free one); the address where they find it.

        May be called for more than one address. InputError where it cannot be had.
        """
        return await self._reception.listen(address)

    def expect(self, client: str, host: str, *, collect: bool = False, build: str = "") -> None:
        """The fleet is about to start ``client``; see ``Reception.expect``."""
        self._reception.expect(client, host, collect=collect, build=build)

    def client_exited(self, client: str, how: str) -> None:
        """The process of ``client`` is gone; ``how`` is for people."""
        self._committer.put(e.Exited(client, how))

    # ---- what the core orders

    def _perform(self, order: e.Order) -> None:
        match order:
            case e.Send(peer=number, message=message):
                self._reception.send(number, message)
            case e.Accept() if isinstance(self._taker, Acceptor):
                self._taker.put(order)
            case e.OpenTransaction() | e.CommitTransaction() | e.AbortTransaction() if isinstance(
                self._taker, Transactor
            ):
                self._taker.put(order)
            case e.Greet(peer=number, name=name, host=host):
                self._reception.greet(number, name, host)
            case e.Drop(peer=number, name=name, reason=reason):
                self._reception.drop(number, reason)
                if name and self.on_drop:
                    self.on_drop(name, reason)
            case e.Finished(now=now):
                (self.finished.set if now else self.finished.clear)()
            case e.Log(source=source, level=level, text=text):
                self._log(source, level, text)

    def _committed(self, steps: list[e.Step]) -> None:
        names = self._core.names
        for step in steps:
            if isinstance(step, e.Ended):
                self._tally.add(step, *names[step.client])

    def _handled(self, batch: list[e.Event]) -> None:
        self._reception.handled(batch)
        self._look_whether_stopped()

    def _look_whether_stopped(self) -> None:
        core = self._core
        if not (core.run.stopping and self._reception.empty):
            return
        on_their_way = (core.accepting or core.open_there) and "destination" not in core.run.pauses
        if core.run.broken or not (core.peers or on_their_way):
            self.stopped.set()

    # ---- what people want. Each returns when it is on disk.

    async def _want(self, event: e.Event) -> None:
        self._committer.put(event)
        await self._committer.settled()

    async def pause(self) -> None:
        """Hand out nothing more; chunks in hand go on."""
        await self._want(e.PauseRun())

    async def resume(self) -> None:
        """Go on, whatever paused the run; what could not be written or kept is tried again."""
        self._taker.try_again()
        await self._want(e.ResumeRun())

    async def retry(self, chunks: Sequence[int]) -> int:
        """Put those of ``chunks`` that are in limbo back to pending; how many that were."""
        count = self._in_limbo(chunks)
        await self._want(e.RetryChunks(tuple(chunks)))
        return count

    async def retry_all(self) -> int:
        """All limbo chunks, and on after a pause for errors; how many chunks."""
        count = len(self._core.limbo)
        await self._want(e.RetryChunks(None))
        return count

    async def stop(self, *, now: bool) -> None:
        """End the session: clients stop after the chunk in hand, or at once. ``stopped`` says when they have."""
        await self._want(e.StopRun(now))
        self._look_whether_stopped()

    async def stop_client(self, name: str, *, now: bool) -> None:
        """Have one client stop."""
        await self._want(e.StopOne(name, now))

    async def finish(self, *, partial_sky: bool) -> Sequence[str]:
        """Have the destination do what follows the last chunk; words on what it did. ChunkError: it could not.

        A transactional destination that has done it for the whole run is not asked again.
        """
        counts, grouped = self.counts(), self._core.options.grouped
        complete = counts.completed == counts.total
        if self.bug:
            return ()
        if grouped and complete and await self._ledgers(self._ledger.note, FINISHED) is not None:
            return ()
        words = await self._taker.finish(complete=complete, partial_sky=partial_sky)
        if grouped and complete:
            trouble = await self._ledgers(self._ledger.write_note, FINISHED, "yes")
            return (*words, f"the ledger cannot be written: {trouble}") if trouble else words
        return words

    async def _ledgers(self, call: Callable[..., T], *values: str) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads["ledger"], call, *values)

    @property
    def busy(self) -> bool:
        """Whether the destination owes an answer."""
        return self._taker.busy

    def transaction_totals(self) -> TransactionTotals:
        """What became of the destination's transactions in this session."""
        taker = self._taker
        if not isinstance(taker, Transactor):
            return TransactionTotals()
        mean = taker.commit_seconds / taker.timed if taker.timed else 0.0
        return TransactionTotals(taker.committed, taker.aborted, mean)

    async def clients_ended(self) -> None:
        """No client's process is left: what is whole at a transactional destination is committed, the rest undone.

        Whoever is still connected is let go. What takes too long is left to the next session.
        """
        if self.bug or not self._core.options.grouped:
            return
        await self._reception.part()
        await self._want(e.ClientsEnded())
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDING):
                while self._taker.busy and not self.bug:
                    await self._taker.drained()
                    await self._committer.settled()

    def _close_ledger(self) -> None:
        try:
            if self._tally.attempts and not self.bug:
                note_totals(self._ledger, self._tally)
        finally:
            self._ledger.close()

    async def close(self) -> None:
        """End all connections, write what is left, close the ledger. What is in hand goes back without blame."""
        self._reception.shut()
        if not self.bug:
            await self.stop(now=True)
        await self._reception.part()
        if not self.bug:
            await (self.clients_ended() if self._core.options.grouped else self._taker.drained())
            await self._committer.settled()
            self._committer.close()
        for task in list(self._tasks):
            if task.get_name() != "commits" or self.bug:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        loop = asyncio.get_running_loop()
        try:
            await self._taker.close()
        except ChunkError as error:
            self._log("console", "warning", f"leftovers of attempts stay: {error.text}")
        await self._close_reader()  # first, so that the ledger's own close leaves one file
        await loop.run_in_executor(self._threads["ledger"], self._close_ledger)
        for thread in self._threads.values():
            thread.shutdown()
