"""One connection to the database, kept open, made again within bounds, and ended from outside."""

import contextlib
import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pymysql
from pymysql.connections import Connection

from dgconsole.ingest.keepalive import keep_watch
from dgconsole.ingest.mysql.mapping import LostError, mapped
from dgconsole.settings.structs import IngestTarget

PORT = 3306
CONNECT_TIMEOUT = 10.0
ANSWER_TIMEOUT = 600.0
"""Seconds for one answer; loading keeps the server so busy that it answers late, not never."""

PATIENCE = 60.0
"""Seconds that a server that went away has to come back."""

LOADED_A_SECOND = 1_000_000
"""Bytes of a file that any server has loaded in a second."""

TICK = 1.0
"""Seconds between two beats while the server works on a file that it has."""

TRIES = 3
"""How often work is begun that the loss of the connection interrupts."""

_SESSION = "SET SESSION lock_wait_timeout=30, sql_notes=0"
"""Nobody waits for ever for a lock that a reader holds; notes are no warnings."""

_MODE = "NO_ENGINE_SUBSTITUTION"
"""As Qserv's workers have it: what does not fit is a warning, and each warning is looked at."""

T = TypeVar("T")


class Result(NamedTuple):
    """What a statement came to."""

    rows: tuple[tuple[Any, ...], ...]
    affected: int


if TYPE_CHECKING:
    _Connection = Connection[Any]
else:
    _Connection = Connection


class _Sending(_Connection):
    """``watch`` is called with each packet of a file that was sent; the last one is empty."""

    watch: Callable[[bytes], None] | None = None

    def write_packet(self, payload: bytes) -> None:
        super().write_packet(payload)
        if self.watch is not None:
            self.watch(payload)


class Link:
    """Used by one thread at a time; ``cancel`` may be called by another.

    Parameters
    ----------
    patience
        Seconds to try to reach the server again; 0: one try.
    beat
        Called about every second while that lasts, and while a file is loaded; what it raises ends either.
    greet
        Called with the link after each new connection.
    """

    def __init__(
        self,
        target: IngestTarget,
        password: str,
        *,
        patience: float = PATIENCE,
        beat: Callable[[], None] = lambda: None,
        greet: "Callable[[Link], None]" = lambda _: None,
    ) -> None:
        self.patience = patience
        self.where = target.socket or f"{target.host}:{target.port or PORT}"
        self._target = target
        self._password = password
        self._beat = beat
        self._greet = greet
        self._connection: _Sending | None = None
        self._socket: socket.socket | None = None

    # ---- statements

    def run(self, sql: str) -> Result:
        """One statement, on the connection as it is (made where there is none).

        Raises
        ------
        LostError
            The connection is gone; whether the statement was carried out is not known.
        ChunkError
            The server refuses.
        """
        connection = self._connection or self._open()
        try:
            with mapped(self.where), connection.cursor() as cursor:
                cursor.execute(sql)
                return Result(tuple(cursor.fetchall()), int(cursor.rowcount))
        except LostError:
            self.close()
            raise

    def load(self, sql: str, size: int) -> Result:
        """LOAD DATA LOCAL of a file of ``size`` bytes; it beats as bytes are taken, and until the answer comes.

        Raises
        ------
        LostError, ChunkError
            As ``run``; no answer in a time that is enough for any server counts as lost.
        Exception
            What ``beat`` raised: the connection is broken off then, so that the server gives up, too.
        """
        connection = self._connection or self._open()
        raised: list[BaseException] = []

        def watch(payload: bytes) -> None:
            try:
                self._beat()
                if not payload:
                    self._await_answer(ANSWER_TIMEOUT + size / LOADED_A_SECOND)
            except BaseException as error:
                raised.append(error)
                self.cancel()
                raise

        connection.watch = watch
        try:
            return self.run(sql)
        except BaseException:
            if raised:
                self.close()
                raise raised[0] from None
            raise
        finally:
            connection.watch = None

    def _await_answer(self, limit: float) -> None:
        """Until there is something to read; the server's machine may be slow, its end shows by itself."""
        assert self._socket is not None
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        deadline = time.monotonic() + limit
        while not poll.poll(TICK * 1000):
            if time.monotonic() > deadline:
                raise LostError(f"the database at {self.where} has taken a file and not answered in {limit:.0f} s")
            self._beat()

    def steadily(self, work: Callable[[], T]) -> T:
        """Do ``work``, from its beginning again where the connection is lost in the middle; it must bear that."""
        for left in reversed(range(TRIES)):
            self._ensure()
            try:
                return work()
            except LostError:
                self.close()
                if not left or not self.patience:
                    raise
        raise AssertionError

    def literal(self, text: str) -> str:
        """A text as SQL spells it."""
        connection = self._connection or self._open()
        return str(connection.escape(text))

    # ---- the connection

    def _ensure(self) -> None:
        """A connection that answers; LostError when there is none for ``patience`` seconds."""
        if self._connection is not None:
            try:
                self.run("SELECT 1")
                return
            except LostError:
                pass
        deadline = time.monotonic() + self.patience
        wait = 0.1
        while True:
            try:
                self._open()
                return
            except LostError as error:
                if time.monotonic() + wait >= deadline:
                    tried = f" (tried for {self.patience:.0f} s)" if self.patience else ""
                    raise LostError(f"{error.text}{tried}") from error
            self._beat()
            time.sleep(wait)
            wait = min(2 * wait, 1.0)

    def _open(self) -> _Sending:
        # PyMySQL would leave its own socket open where nobody listens.
        try:
            made = self._reach()
        except OSError as error:
            why = error.strerror or str(error)
            raise LostError(f"no database answers at {self.where}: {why}") from error
        connection = _Sending(
            user=self._target.user,
            password=self._password,
            charset="utf8mb4",
            autocommit=True,
            local_infile=True,
            sql_mode=_MODE,
            init_command=_SESSION,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=ANSWER_TIMEOUT,
            write_timeout=ANSWER_TIMEOUT,
            defer_connect=True,
        )
        try:
            with mapped(self.where):
                connection.connect(made)
        except BaseException:
            made.close()
            raise
        self._connection, self._socket = connection, made
        try:
            self._greet(self)
        except BaseException:
            self.close()
            raise
        return connection

    def _reach(self) -> socket.socket:
        target = self._target
        if target.socket is None:
            made = socket.create_connection((target.host, target.port or PORT), CONNECT_TIMEOUT)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keep_watch(made)
            return made
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(CONNECT_TIMEOUT)
            made.connect(target.socket)
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        """End the connection; the next statement makes another."""
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(pymysql.MySQLError):
                connection.close()

    def cancel(self) -> None:
        """From another thread: break the connection off; the server gives up the statement, its caller is told so."""
        if (made := self._socket) is not None:
            with contextlib.suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
