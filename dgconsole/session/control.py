"""control.sock of a session: any number of faces, each with a connection of its own that it alone can spoil."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import msgspec

from dgconsole.attach import protocol as p
from dgconsole.attach.pipe import Frame, Pipe
from dgconsole.snapshot import Answer, ChunkStates, Command, LogPage, Reply, SessionHandle
from dgconsole.support.errors import PeerError

MOST_FACES = 32
"""Connections at a time; the next one is refused with a word."""
_AT_ONCE = 8
"""Questions of one face that are worked on at a time; more are not read until one of these is answered."""
_BIG = (p.GetTable, p.GetStates, p.GetReport, p.GetOlder, p.GetWholeLog)
"""One of these at a time for a face."""
_LOG_LINES = 500
"""How many of the newest lines go with the farewell."""

_log = logging.getLogger("dgconsole.session")


class _Body:
    """An encoded answer that is being sent: faces that ask for the same meanwhile get it too, not a copy."""

    __slots__ = ("__weakref__", "data", "made", "revision", "since")

    def __init__(self, data: bytes, revision: int = 0, since: int = 0) -> None:
        self.data = data
        self.revision = revision
        self.since = since
        self.made = time.monotonic()


class Control:
    """Listens on ``path`` and answers for ``handle``.

    ``patience``: seconds that a face may take nothing of what it asked for, or stand still in the middle of a
    question or before its hello. ``say`` writes a line to the run's log.
    """

    def __init__(
        self,
        handle: SessionHandle,
        path: Path,
        *,
        version: str,
        say: Callable[[str], None] = lambda _: None,
        patience: float = 30.0,
        fresh_for: float = 0.25,
    ) -> None:
        self._handle = handle
        self._path = path
        self._version = version
        self._say = say
        self.patience = patience
        self._fresh_for = fresh_for
        self._session = secrets.token_hex(8)
        self._listening: asyncio.Task[None] | None = None
        self._faces: dict[asyncio.Task[None], _Face] = {}
        self._commands: set[asyncio.Task[Reply]] = set()
        self._table: weakref.ref[_Body] | None = None
        self._states: weakref.ref[_Body] | None = None

    # ---- its life

    def start(self) -> None:
        """OSError where it cannot listen."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.setblocking(False)
            bind_private(listener, self._path)
            listener.listen(MOST_FACES)
        except BaseException:
            listener.close()
            raise
        self._listening = asyncio.create_task(self._listen(listener))
        self._listening.add_done_callback(lambda _: listener.close())

    async def close(self, patience: float = 3.0) -> None:
        """Tell every face how it ends, then leave them; takes no longer than ``patience`` seconds or so."""
        if self._listening is None:
            return
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._path.unlink(missing_ok=True)
        body = await self._farewell() if self._faces else None
        if body is not None:
            told = (face.pipe.send(0, p.FAREWELL, body) for face in self._faces.values() if face.welcome)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*told, return_exceptions=True), patience)
        ending = [*self._faces, *self._commands]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _farewell(self) -> bytes | None:
        try:
            snapshot = await self._handle.snapshot()
            logs = await self._handle.logs(max(snapshot.log_end - _LOG_LINES, 0), _LOG_LINES)
            report = await self._handle.report()
        except Exception:  # noqa: BLE001 - the session ends anyway, for a reason of its own
            _log.warning("attached consoles could not be told how the session ended", exc_info=True)
            return None
        return p.ENCODER.encode(p.Farewell(snapshot, report, LogPage(logs.lines, 0, logs.end)))

    async def _listen(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as error:  # no file descriptor is left, say
                _log.warning("an attached console could not be taken: %s", error.strerror)
                await asyncio.sleep(1.0)
                continue
            face = _Face(self, Pipe(sock, limit=p.MOST_ASKED, patience=self.patience))
            task = asyncio.create_task(face.serve(full=len(self._faces) >= MOST_FACES))
            self._faces[task] = face
            task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._faces.pop(task).pipe.close()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an attached console was dropped", exc_info=error)

    # ---- for its faces

    def greet(self, hello: p.Hello) -> p.Welcome:
        """PeerError with the words for a face that does not fit."""
        if hello.protocol != p.PROTOCOL:
            raise PeerError(
                f"the session there is of dgconsole {self._version}, this is {hello.version or 'another one'}: "
                "they do not understand each other. Attach with the same version"
            )
        return p.Welcome(p.PROTOCOL, self._version, self._session)

    async def answer(self, question: p.Question, *, read_only: bool) -> _Body:
        """The encoded answer."""
        handle = self._handle
        match question:
            case p.GetSnapshot():
                found: object = await handle.snapshot()
            case p.GetTable():
                return await self._whole_table()
            case p.GetStates(since=since):
                return await self._newest_states(since)
            case p.GetHistory(chunk=chunk):
                found = await handle.chunk_history(chunk)
            case p.GetLogs(after=after, limit=limit):
                found = await handle.logs(after, min(limit, 10_000))
            case p.GetOlder(source=source, before=before, limit=limit, level=level):
                found = await handle.older(source, before, limit, level)
            case p.GetWholeLog(client=client, at=at, limit=limit, backward=backward, needle=needle):
                found = await handle.whole_log(client, at, limit, backward=backward, needle=needle)
            case p.GetLogFiles():
                found = await handle.log_files()
            case p.GetReport():
                found = await handle.report()
            case p.Do(command=raw):
                found = await self._do(raw, read_only=read_only)
            case _:
                raise PeerError("asks for something unknown")
        return _Body(p.ENCODER.encode(found))

    async def _do(self, raw: msgspec.Raw, *, read_only: bool) -> Reply:
        try:
            command: Command = p.COMMANDS.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return Reply(False, "The session does not know this command.")
        if read_only:
            return Reply(False, "This console is attached read-only; the session does nothing for it.")
        if not isinstance(command, Answer):  # nothing of an answer is told, not even that there was one
            self._say(f"an attached console asks: {type(command).__name__}")
        task = asyncio.create_task(self._handle.command(command))
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)
        return await asyncio.shield(task)  # it is carried out even if the face leaves

    async def _whole_table(self) -> _Body:
        body = self._table() if self._table is not None else None
        if body is None:
            table = await self._handle.chunk_table()
            body = _Body(p.ENCODER.encode(table))
            self._table = weakref.ref(body)
        return body

    async def _newest_states(self, since: int) -> _Body:
        body = self._states() if self._states is not None else None
        told = body is not None and body.since <= since < body.revision
        if body is not None and told and time.monotonic() - body.made < self._fresh_for:
            return body
        states: ChunkStates | None = await self._handle.chunk_states(since)
        body = _Body(p.ENCODER.encode(states), states.revision if states is not None else 0, since)
        if states is not None:
            self._states = weakref.ref(body)
        return body


class _Face:
    """One connection."""

    def __init__(self, control: Control, pipe: Pipe) -> None:
        self.pipe = pipe
        self.welcome = False
        self._control = control
        self._read_only = False
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._big = asyncio.Lock()
        self._answering: set[asyncio.Task[None]] = set()

    async def serve(self, *, full: bool) -> None:
        """Until the other end goes, or breaks the rules."""
        try:
            if full:
                await self.pipe.send(0, p.FAILS, b"too many consoles are attached already")
            elif await self._greeted():
                await self._questions()
        except PeerError:
            pass  # its loss alone
        finally:
            for task in list(self._answering):
                task.cancel()
            await asyncio.gather(*self._answering, return_exceptions=True)

    async def _greeted(self) -> bool:
        frame = await self.pipe.receive(self._control.patience)
        if frame is None:
            return False
        try:
            hello = msgspec.msgpack.decode(frame.body, type=p.Hello)
            welcome = self._control.greet(hello)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        except PeerError as error:
            await self.pipe.send(0, p.FAILS, str(error).encode())
            return False
        self._read_only = hello.read_only
        self.welcome = True
        await self.pipe.send(0, p.ANSWERS, p.ENCODER.encode(welcome))
        return True

    async def _questions(self) -> None:
        while (frame := await self.pipe.receive()) is not None:
            try:
                question = p.QUESTIONS.decode(frame.body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise PeerError("asks for nothing that is known") from error
            await self._room.acquire()
            task = asyncio.create_task(self._answer(frame, question))
            self._answering.add(task)
            task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        self._room.release()

    async def _answer(self, frame: Frame, question: p.Question) -> None:
        try:
            if isinstance(question, _BIG):
                async with self._big:
                    await self._tell(frame.number, question)
            else:
                await self._tell(frame.number, question)
        except PeerError:
            self.pipe.shut()

    async def _tell(self, number: int, question: p.Question) -> None:
        try:
            body = await self._control.answer(question, read_only=self._read_only)
        except Exception as error:  # noqa: BLE001 - what it asked for does not work; it is told so
            kind = type(question).__name__
            _log.warning("a question of an attached console could not be answered: %s", kind, exc_info=error)
            await self.pipe.send(number, p.FAILS, f"that did not work: {error}".encode("utf-8", "replace"))
            return
        await self.pipe.send(number, p.ANSWERS, body.data)


def bind_private(sock: socket.socket, path: Path) -> None:
    """Bind a UNIX socket that only this user may connect to, from its first moment on."""
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
