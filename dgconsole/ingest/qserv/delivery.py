"""The client's side of ``qserv``: a chunk's files go straight to the worker that holds the chunk."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dgconsole.ingest.destination import WrittenTable
from dgconsole.ingest.mapping import mapped
from dgconsole.ingest.qserv.answers import Location
from dgconsole.ingest.qserv.api import Controller, Say, controller_url, silent
from dgconsole.ingest.qserv.failures import LostError, RefusedError, UnreachableError, ours
from dgconsole.ingest.qserv.http import DEFAULT_LIMITS, Http, Limits
from dgconsole.ingest.qserv.upload import FileChangedError, Piece, Progress, fault_of, upload
from dgconsole.ingest.qserv.wanted import form_of
from dgconsole.ingest.qserv.workers import Workers
from dgconsole.ingest.schema import DatabaseSchema
from dgconsole.settings.structs import Dialect, IngestTarget
from dgconsole.settings.target import AUTH_KEY
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.support.filenames import attempt_name, home_name, overlap_name

PORT = 25081
"""Of a Replication Controller."""


def _no_progress(size: int) -> None:
    """For callers that do not look on."""


class QservDelivery:
    """The partitioner writes into ``out/<Table>/`` of the workdir; from there files are sent, then removed.

    Calls of ``deliver`` come from one thread; each has an event loop and connections of its own.

    Parameters
    ----------
    out
        This client's own folder: ``prepare`` clears it.
    schema
        The tables, with the dialects of their files.
    secrets
        Holds the authorization key under ``ingest.authKey``; without one the empty key is sent.
    progress
        Told of bytes that were taken, and while a worker loads; may raise to end the delivery.
    """

    def __init__(
        self,
        out: Path,
        schema: DatabaseSchema,
        target: IngestTarget,
        secrets: Mapping[str, str],
        *,
        progress: Progress = _no_progress,
        say: Say = silent,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._out = out
        self._forms = {table.table: _form(table.dialect, table.raw) for table in schema.tables if table.partitioned}
        self._url = controller_url(target.host or "localhost", target.port or PORT)
        self._aliases = target.worker_hosts
        self._key = secrets.get(AUTH_KEY, "")
        self._progress = progress
        self._say = say
        self._limits = limits
        self._places: dict[int, Location] = {}
        self._hosts: dict[str, str] = {}
        self._expected: tuple[int, ...] = ()

    def prepare(self) -> None:
        with mapped(Fault.WORKDIR):
            if self._out.exists():
                shutil.rmtree(self._out)
            for table in self._forms:
                (self._out / table).mkdir(mode=0o700, parents=True)
        with ours():
            asyncio.run(self._reach())

    def folder(self, table: str, chunk: int) -> Path:  # noqa: ARG002
        return self._out / table

    def expect(self, chunks: Sequence[int]) -> None:
        self._expected = tuple(chunks)

    def deliver(self, chunk: int, attempt: int, written: Sequence[WrittenTable], *, transaction: int = 0) -> None:
        pieces = [
            Piece(file.path, file.name, table.table, chunk, file.overlap, file.rows, file.bytes, form)
            for table in written
            if (form := self._forms[table.table])
            for file in table.files
        ]
        if pieces:
            with mapped(Fault.WORKDIR), ours(f"chunk {chunk}"):
                asyncio.run(self._send(transaction, chunk, pieces))
        self.discard(chunk, attempt)

    def discard(self, chunk: int, attempt: int) -> None:
        with mapped(Fault.WORKDIR):
            for table in self._forms:
                for name in (home_name(chunk), overlap_name(chunk)):
                    (self._out / table / attempt_name(name, attempt)).unlink(missing_ok=True)

    def close(self) -> None:
        """Each call of ``deliver`` has ended its own connections."""

    async def _reach(self) -> None:
        async with Http(self._key, self._limits) as http:
            await Controller(http, self._url, self._say).meet()

    async def _send(self, transaction: int, chunk: int, pieces: Sequence[Piece]) -> None:
        async with Http(self._key, self._limits) as http:
            controller = Controller(http, self._url, self._say)
            if chunk not in self._places:
                await controller.meet()
                unknown = [chunk, *(each for each in self._expected if each != chunk and each not in self._places)]
                self._places |= zip(unknown, await controller.locate(transaction, unknown), strict=True)
            location = self._places[chunk]
            workers = Workers(http, self._aliases, self._hosts, self._say)
            for piece in pieces:
                await self._send_piece(http, workers, location, transaction, piece)

    async def _send_piece(
        self, http: Http, workers: Workers, location: Location, transaction: int, piece: Piece
    ) -> None:
        """One file, sent again only where it is sure that nothing of it is in the table."""
        waits = iter(self._limits.waits)
        worker = None
        while True:
            try:
                worker = await workers.at(location)
                found = await upload(http, worker, transaction, piece, self._progress)
                break
            except UnreachableError as error:
                workers.forget(location)
                if not await _waited(waits):
                    self._places.pop(piece.chunk, None)
                    raise UnreachableError(f"worker {location.worker}: {error.text}") from error
            except LostError as error:
                raise LostError(f"worker {location.worker}: {error.text}") from error
            except RefusedError as error:
                if worker is not None and worker.adapts(error):
                    continue
                if not error.retry_allowed or not await _waited(waits):
                    raise RefusedError(f"worker {location.worker}: {error.text}", error.ext) from error
                self._say(f"worker {location.worker}: {piece.table} {piece.name} is sent again: {error.text}")
            except FileChangedError as error:
                raise ChunkError(Fault.DELIVER, f"chunk {piece.chunk}: {error}") from error
        if fault := fault_of(found, piece):
            text = f"chunk {piece.chunk}: worker {location.worker}: {piece.table} {piece.name} {fault}"
            raise ChunkError(Fault.DELIVER, text)


async def _waited(waits: Iterator[float]) -> bool:
    """Wait the next time; whether there is one more try."""
    for wait in waits:
        await asyncio.sleep(wait)
        return True
    return False


def _form(dialect: Dialect, raw: Mapping[str, object]) -> dict[str, str]:
    charset = raw.get("charset_name")
    return form_of(dialect) | ({"charset_name": charset} if isinstance(charset, str) and charset else {})
