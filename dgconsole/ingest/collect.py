"""The client's side of ``files`` on another machine: a chunk's files are sent over the connection to the console."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dgconsole.ingest.destination import WrittenFile, WrittenTable
from dgconsole.ingest.mapping import mapped
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.support.filenames import attempt_name, home_name, overlap_name
from dgconsole.wire.messages import FileBegin, FileData, FileEnd, FileMessage, file_digest

Stream = Callable[[FileMessage], None]
"""Sends one message; returns once there is room for the next. Raises ChunkError when nothing more is to be sent."""

BLOCK = 1 << 18
"""Bytes sent in one message: what a heartbeat may have to wait for."""


class CollectDelivery:
    """The partitioner writes into ``out/<Table>/`` of the workdir; from there files are sent, then removed.

    Parameters
    ----------
    out
        This client's own folder: ``prepare`` clears it.
    """

    def __init__(self, out: Path, tables: Iterable[str], stream: Stream) -> None:
        self._out = out
        self._tables = tuple(tables)
        self._stream = stream

    def prepare(self) -> None:
        with mapped(Fault.WORKDIR):
            if self._out.exists():
                shutil.rmtree(self._out)
            for table in self._tables:
                (self._out / table).mkdir(mode=0o700, parents=True)

    def folder(self, table: str, chunk: int) -> Path:  # noqa: ARG002
        return self._out / table

    def deliver(
        self,
        chunk: int,
        attempt: int,
        written: Sequence[WrittenTable],
        *,
        transaction: int = 0,  # noqa: ARG002
    ) -> None:
        for table in written:
            for file in table.files:
                self._send(chunk, attempt, table.table, file)
        self.discard(chunk, attempt)

    def discard(self, chunk: int, attempt: int) -> None:
        with mapped(Fault.WORKDIR):
            for table in self._tables:
                for name in (home_name(chunk), overlap_name(chunk)):
                    (self._out / table / attempt_name(name, attempt)).unlink(missing_ok=True)

    def close(self) -> None:
        """Files that were sent are removed at once."""

    def _send(self, chunk: int, attempt: int, table: str, file: WrittenFile) -> None:
        digest = file_digest()
        left = file.bytes
        with mapped(Fault.WORKDIR), file.path.open("rb", buffering=0) as source:
            self._stream(FileBegin(chunk, attempt, table, file.name, file.bytes))
            while left and (block := source.read(min(left, BLOCK))):
                left -= len(block)
                digest.update(block)
                self._stream(FileData(block))
            if left or source.read(1):
                size = file.path.stat().st_size
                text = f"chunk {chunk}: {file.path} has {size:,} bytes, {file.bytes:,} were written"
                raise ChunkError(Fault.DELIVER, text)
        self._stream(FileEnd(digest.hexdigest()))
