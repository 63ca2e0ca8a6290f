"""The end of control.sock that a face holds: a ``SessionHandle`` whose session runs in another process."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from dgconsole.attach import protocol as p
from dgconsole.attach.pipe import Frame, Pipe
from dgconsole.attach.place import connect
from dgconsole.snapshot import (
    ChunkHistory,
    ChunkStates,
    ChunkTable,
    Command,
    Export,
    LogFile,
    LogMark,
    LogPage,
    Notice,
    OlderLines,
    Reply,
    Report,
    RunState,
    SessionHandle,
    Snapshot,
    WholeLines,
)
from dgconsole.support.errors import DgError, InputError, PeerError, Problem

_PATIENCE = 10.0
"""Seconds for the first answer; later ones are waited for as long as it takes."""
UNTOLD = "The session ended without a word (was its process killed?). The same command again goes on with the run."

Afterwards = Callable[[], Awaitable[SessionHandle]]


class AttachedSession:
    """Asks the session of a run directory, several questions at a time; ``read_only`` never commands.

    When the session ends, its last state stays: state ended, its verdict and exit status. What it was not asked
    in time (``chunk_table``, say) is asked of ``afterwards()`` from then on: the books of the run.
    A connection that breaks is made anew where the same session still listens.
    """

    def __init__(self, run_dir: Path, *, version: str, read_only: bool, afterwards: Afterwards) -> None:
        self.read_only = read_only
        self._run_dir = run_dir
        self._version = version
        self._afterwards = afterwards
        self._session = ""
        self._pipe: Pipe | None = None
        self._reader: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._number = 0
        self._asked: dict[int, asyncio.Future[Frame]] = {}
        self._seen: Snapshot | None = None
        self._farewell: p.Farewell | None = None
        self._last: Snapshot | None = None
        self._books: SessionHandle | None = None
        self._states_told = False

    @classmethod
    async def open(
        cls, run_dir: Path, *, version: str, read_only: bool = False, afterwards: Afterwards
    ) -> "AttachedSession":
        """Connect and agree on the protocol. InputError: no session there, or one of another version."""
        made = cls(run_dir, version=version, read_only=read_only, afterwards=afterwards)
        await made._connect()
        return made

    async def close(self) -> None:
        """Leave; the session goes on."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    @property
    def over(self) -> bool:
        """Whether the session has ended, or is gone."""
        return self._last is not None

    @property
    def untold(self) -> bool:
        """Whether it is gone without having said how it ended."""
        return self.over and self._farewell is None

    # ---- the connection

    async def _connect(self) -> None:
        pipe = Pipe(await connect(self._run_dir), limit=p.MOST_ANSWERED, patience=None)
        try:
            hello = p.Hello(p.PROTOCOL, self._version, self.read_only)
            await pipe.send(0, p.ASKS, p.ENCODER.encode(hello))
            welcome = self._welcomed(await pipe.receive(_PATIENCE))
        except PeerError as error:
            pipe.close()
            raise InputError(Problem(f"its session {error}", file=str(self._run_dir))) from error
        except BaseException:
            pipe.close()
            raise
        if self._session and welcome.session != self._session:
            pipe.close()
            raise InputError(Problem("another session runs there now", file=str(self._run_dir)))
        self._session = welcome.session
        self._pipe = pipe
        self._reader = asyncio.create_task(self._read(pipe))

    def _welcomed(self, frame: Frame | None) -> p.Welcome:
        if frame is None:
            raise PeerError("went away")
        if frame.kind == p.FAILS:
            text = bytes(frame.body).decode("utf-8", "replace")
            raise InputError(Problem(text, file=str(self._run_dir)))
        try:
            return msgspec.msgpack.decode(frame.body, type=p.Welcome)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PeerError("answers in a way that this program does not know") from error

    async def _read(self, pipe: Pipe) -> None:
        """Hand out answers until the connection ends."""
        try:
            while (frame := await pipe.receive()) is not None:
                if frame.kind == p.FAREWELL:
                    self._farewell = msgspec.msgpack.decode(frame.body, type=p.Farewell)
                    break
                asked = self._asked.pop(frame.number, None)
                if asked is not None and not asked.done():
                    asked.set_result(frame)
        except (PeerError, msgspec.MsgspecError, UnicodeDecodeError):
            pass  # as if it had gone
        finally:
            if self._pipe is pipe:
                self._pipe = None
                pipe.close()
            asked_in_vain, self._asked = self._asked, {}
            for asked in asked_in_vain.values():
                if not asked.done():
                    asked.set_exception(_LostError("the session went away"))

    async def _ask(self, question: p.Question) -> Any:
        """The answer. PeerError: the session has none; _LostError: nobody is there, or the connection broke."""
        async with self._connecting:
            if self._pipe is None and not self.over:
                await self._find_again()
        pipe, reader = self._pipe, self._reader
        if pipe is None or reader is None:
            raise _LostError("the session has ended")
        self._number = self._number % 0xFFFFFFFF + 1
        number = self._number
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(pipe, reader, number, p.ENCODER.encode(question))
            frame = await asked
        finally:
            self._asked.pop(number, None)
            if asked.done() and not asked.cancelled():
                asked.exception()  # seen, even if sending failed first
        if frame.kind != p.ANSWERS:
            raise PeerError(bytes(frame.body).decode("utf-8", "replace"))
        try:
            return p.ANSWER_TO[type(question)].decode(frame.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PeerError(f"the session answers in a way that this program does not know: {error}") from error

    async def _send(self, pipe: Pipe, reader: asyncio.Task[None], number: int, body: bytes) -> None:
        try:
            await pipe.send(number, p.ASKS, body)
        except PeerError as error:
            await asyncio.wait([reader])  # its last word may still be there to be read
            raise _LostError(str(error)) from error

    async def _pull(self, question: p.Question) -> Any:
        """As ``_ask``, once more where the connection broke meanwhile; None: the session is over."""
        for _ in range(2):
            try:
                return await self._ask(question)
            except _LostError:
                if self.over:
                    return None
        async with self._connecting:
            if self._pipe is None and not self.over:
                await self._find_again()
        if not self.over:
            raise PeerError("the session does not answer")
        return None

    async def _find_again(self) -> None:
        """Connect once more, or put down how it ended."""
        if self._farewell is None:
            try:
                await self._connect()
            except InputError:
                await self._end_untold()
            return
        told = self._farewell.snapshot
        status = 1 if told.exit_status is None else told.exit_status
        last = replace(
            told,
            state=RunState.ENDED,
            exit_status=status,
            verdict=told.verdict or self._farewell.report.verdict,
            log_end=self._farewell.logs.end,
            questions=(),
        )
        self._last = _with_notice(last, Notice("The session has ended; q leaves.", "q", "info"))

    async def _end_untold(self) -> None:
        last = self._seen
        with contextlib.suppress(DgError):
            stored = await (await self._the_books()).snapshot()
            log_end = last.log_end if last is not None else 0
            last = replace(stored, state=RunState.ENDED, log_end=log_end, notices=())
        if last is None:
            raise InputError(Problem("its session went away", file=str(self._run_dir)))
        last = replace(last, state=RunState.ENDED, exit_status=1, clients=(), questions=(), verdict=UNTOLD)
        self._last = _with_notice(last, Notice(UNTOLD, "", "error"))

    async def _the_books(self) -> SessionHandle:
        if self._books is None:
            self._books = await self._afterwards()
        return self._books

    # ---- SessionHandle

    async def snapshot(self) -> Snapshot:
        found: Snapshot | None = await self._pull(p.GetSnapshot())
        if found is None:
            assert self._last is not None
            return self._last
        if self.read_only:
            found = replace(found, questions=())  # others have to answer them
        self._seen = found
        return found

    async def chunk_table(self) -> ChunkTable:
        found: ChunkTable | None = await self._pull(p.GetTable())
        return found if found is not None else await (await self._the_books()).chunk_table()

    async def chunk_states(self, since: int) -> ChunkStates | None:
        found: ChunkStates | None = await self._pull(p.GetStates(since))
        if found is not None or not self.over or self._states_told:
            return found
        self._states_told = True
        return await (await self._the_books()).chunk_states(-1)

    async def chunk_history(self, chunk: int) -> ChunkHistory | None:
        found: ChunkHistory | None = await self._pull(p.GetHistory(chunk))
        if found is not None or not self.over:
            return found
        return await (await self._the_books()).chunk_history(chunk)

    async def logs(self, after: int, limit: int) -> LogPage:
        found: LogPage | None = await self._pull(p.GetLogs(after, limit))
        if found is not None:
            return found
        if self._farewell is None:
            return LogPage((), 0, self._last.log_end if self._last else 0)
        kept = self._farewell.logs
        lines = tuple(line for line in kept.lines if line.number >= after)[: max(limit, 0)]
        return LogPage(lines, max(lines[0].number - after, 0) if lines else 0, kept.end)

    async def older(self, source: str, before: LogMark | None, limit: int, level: int = 0) -> OlderLines:
        found: OlderLines | None = await self._pull(p.GetOlder(source, before, limit, level))
        return found if found is not None else await (await self._the_books()).older(source, before, limit, level)

    async def whole_log(
        self, client: str, at: int, limit: int, *, backward: bool = False, needle: str = ""
    ) -> WholeLines:
        found: WholeLines | None = await self._pull(p.GetWholeLog(client, at, limit, backward, needle))
        if found is not None:
            return found
        books = await self._the_books()
        return await books.whole_log(client, at, limit, backward=backward, needle=needle)

    async def log_files(self) -> tuple[LogFile, ...]:
        found: tuple[LogFile, ...] | None = await self._pull(p.GetLogFiles())
        return found if found is not None else await (await self._the_books()).log_files()

    async def report(self) -> Report:
        found: Report | None = await self._pull(p.GetReport())
        if found is not None:
            return found
        if self._farewell is not None:
            return self._farewell.report
        assert self._last is not None
        return replace(await (await self._the_books()).report(), verdict=self._last.verdict)

    async def command(self, command: Command) -> Reply:
        """A command whose answer gets lost is not sent again."""
        if self.read_only:
            return Reply(False, READ_ONLY)
        try:
            reply: Reply = await self._ask(p.Do(msgspec.Raw(p.ENCODER.encode(command))))
        except _LostError as error:
            if not self.over:
                return Reply(False, f"{error}; look whether it was done before asking again.")
            if isinstance(command, Export):
                return await (await self._the_books()).command(command)
            return Reply(False, "The session has ended; nothing can be asked of it.")
        except PeerError as error:
            return Reply(False, str(error))
        return reply


class _LostError(PeerError):
    """There is no connection, or it broke before the answer came."""


READ_ONLY = "This console is read-only: it was attached with --read-only."


def _with_notice(snapshot: Snapshot, notice: Notice) -> Snapshot:
    return replace(snapshot, notices=(notice, *snapshot.notices))
