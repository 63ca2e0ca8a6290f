"""One file to one worker: the multipart body of ``/ingest/csv``, its limits, and what makes its answer good."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from io import FileIO
from pathlib import Path

from msgspec import Struct

from dgconsole.ingest.qserv.answers import Contribution, read
from dgconsole.ingest.qserv.api import Versioned
from dgconsole.ingest.qserv.failures import LostError
from dgconsole.ingest.qserv.http import Http

BLOCK = 1 << 18
"""Bytes handed to the connection at once."""

MOST_WARNINGS = 64
TICK = 1.0
"""Seconds between two calls of ``progress`` while the worker loads."""

LOADED_A_SECOND = 1_000_000
"""Bytes that any worker loads in a second."""

Progress = Callable[[int], None]
"""Told how many more bytes were taken (0: still waiting for the answer); may raise to end the upload."""


class Piece(Struct, frozen=True):
    """A file for one table, chunk and flag of overlap; ``form``: its dialect as a worker wants it said."""

    path: Path
    name: str
    table: str
    chunk: int
    overlap: bool
    rows: int
    bytes: int
    form: Mapping[str, str]


class FileChangedError(Exception):
    """The file is not as long as it was written; the text says so."""


async def upload(http: Http, worker: Versioned, transaction: int, piece: Piece, progress: Progress) -> Contribution:
    """Send one file in one request and wait until it is loaded.

    Raises
    ------
    QservError
        RefusedError before a table was touched, or later; LostError: nobody knows what is in the table now.
    FileChangedError
        The file has another length now.
    Exception
        Whatever ``progress`` raised.
    """
    fields = {
        "auth_key": http.key,
        "version": str(worker.version),
        "transaction_id": str(transaction),
        "table": piece.table,
        "chunk": str(piece.chunk),
        "overlap": str(int(piece.overlap)),
        **piece.form,
        "max_num_warnings": str(MOST_WARNINGS),
    }
    size = piece.path.stat().st_size
    if size != piece.bytes:
        raise FileChangedError(_changed(piece, size))
    with piece.path.open("rb", buffering=0) as source:
        body = _Body(source, fields, piece, progress)
        return await _sent(http, worker, body, piece)


async def _sent(http: Http, worker: Versioned, body: "_Body", piece: Piece) -> Contribution:
    limits = http.limits
    stalled = False
    request = asyncio.ensure_future(http.upload(worker.url("ingest/csv"), body.kind, body.size, body.blocks()))
    clock = asyncio.get_running_loop().time
    try:
        while not request.done():
            await asyncio.wait([request], timeout=TICK)
            if body.error is not None or request.done():
                break
            if body.sent == body.size:
                body.progress(0)
                limit = limits.load + piece.bytes / LOADED_A_SECOND
            else:
                limit = limits.connect + limits.stall
            if clock() - body.moved > limit:
                stalled = True
                break
        if stalled or body.error is not None:
            raise body.error or LostError(_too_slow(worker, body))
        answer = await request
    except Exception:
        if body.error is not None:
            raise body.error from None
        raise
    finally:
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
    return read(answer.get("contrib"), Contribution)


def _too_slow(worker: Versioned, body: "_Body") -> str:
    if body.sent == body.size:
        return f"{worker.place} has taken a whole file and not answered in time"
    return f"{worker.place} takes no more bytes of a file ({body.sent:,} of {body.size:,} were taken)"


def _changed(piece: Piece, size: int) -> str:
    return f"{piece.path} has {size:,} bytes, {piece.bytes:,} were written"


class _Body:
    """The parts in order, fields before the file; counts what was taken."""

    def __init__(self, source: FileIO, fields: Mapping[str, str], piece: Piece, progress: Progress) -> None:
        boundary = secrets.token_hex(16)
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{piece.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._head = head.encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._source = source
        self._piece = piece
        self.progress = progress
        self.kind = f"multipart/form-data; boundary={boundary}"
        self.size = len(self._head) + piece.bytes + len(self._tail)
        self.sent = 0
        self.moved = asyncio.get_running_loop().time()
        self.error: Exception | None = None

    async def blocks(self) -> AsyncIterator[bytes]:
        try:
            yield self._head
            self._took(len(self._head), 0)
            left = self._piece.bytes
            while left:
                block = self._source.read(min(left, BLOCK))
                if not block:
                    raise FileChangedError(_changed(self._piece, self._piece.bytes - left))
                yield block
                left -= len(block)
                self._took(len(block), len(block))
            if self._source.read(1):
                raise FileChangedError(_changed(self._piece, self._piece.path.stat().st_size))
            yield self._tail
            self._took(len(self._tail), 0)
        except Exception as error:
            self.error = error  # aiohttp would only say that a body broke
            raise

    def _took(self, size: int, of_file: int) -> None:
        self.sent += size
        self.moved = asyncio.get_running_loop().time()
        if of_file:
            self.progress(of_file)


def fault_of(found: Contribution, piece: Piece) -> str:
    """Why a contribution does not count; empty: it is FINISHED, and all of the file is in the table, unchanged."""
    if found.status != "FINISHED":
        return f"is {found.status}" + (f": {found.error}" if found.error else "")
    if found.num_bytes != piece.bytes:
        return f"got {found.num_bytes:,} bytes of {piece.bytes:,}"
    if found.num_rows != piece.rows or found.num_rows_loaded != piece.rows:
        return f"read {found.num_rows:,} and loaded {found.num_rows_loaded:,} rows of {piece.rows:,}"
    if found.num_warnings:
        first = f", the first: {found.warnings[0].message}" if found.warnings else ""
        return f"loaded with {found.num_warnings:,} warnings{first}"
    return ""
