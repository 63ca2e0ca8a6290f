"""One chunk: rows from the catalog, batch by batch, through the partitioner to the destination."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dgconsole.catalog.csvfile import CsvFile
from dgconsole.client.meter import Meter
from dgconsole.client.workdir import Workdir
from dgconsole.ingest.destination import Delivery, WrittenTable
from dgconsole.support.batch import Batch
from dgconsole.support.errors import ChunkError
from dgconsole.wire.messages import Figures, TableFigures


class Rows(Protocol):
    """What is asked of a catalog."""

    def batches(self, table: str, chunk: int) -> Iterator[Batch]:
        """The chunk's own rows."""

    def neighbour_batches(self, table: str, chunk: int) -> Iterator[Batch]:
        """Rows of other chunks that may have a copy in this chunk's overlap."""


class Writer(Protocol):
    """What is asked of a partitioner's writer of one table of one chunk."""

    @property
    def written_rows(self) -> int: ...
    @property
    def written_bytes(self) -> int: ...
    def write(self, batch: Batch) -> None: ...
    def close(self) -> WrittenTable: ...
    def abandon(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TableJob:
    """One table of every chunk.

    Parameters
    ----------
    writer
        (chunk, folder, attempt) -> a writer; None where the table is made and not delivered.
    overlap
        Whether neighbours' rows belong into it.
    """

    table: str
    overlap: bool
    writer: Callable[[int, Path, int], Writer] | None


class ChunkMaker:
    """Makes chunks one after the other, on the worker's thread.

    Parameters
    ----------
    jobs
        The tables in making order: a table without writer is only made where CSV files are kept.
    """

    def __init__(
        self,
        rows: Rows,
        jobs: Sequence[TableJob],
        delivery: Delivery,
        workdir: Workdir,
        meter: Meter,
        *,
        keep_csv: bool,
    ) -> None:
        self._rows = rows
        self._jobs = [job for job in jobs if job.writer is not None or keep_csv]
        self.delivery = delivery
        self._workdir = workdir
        self._meter = meter
        self._keep_csv = keep_csv

    def make(self, chunk: int, attempt: int, transaction: int = 0) -> Figures:
        """Make and deliver one chunk; whatever it raises, nothing of the attempt is left behind."""
        self._meter.begin(chunk, attempt)
        self._workdir.check()
        with ExitStack() as undo:
            undo.callback(self.discard, chunk, attempt)
            made = []
            for done, job in enumerate(self._jobs):
                self._meter.part = done / len(self._jobs)
                made.append(self._table(job, chunk, attempt, undo))
            with self._meter.timed("deliver"):
                tables = [written for written, _ in made if written is not None]
                self.delivery.deliver(chunk, attempt, tables, transaction=transaction)
            undo.pop_all()
        self._meter.completed()
        figures = tuple(_figures(written, seconds) for written, seconds in made if written is not None)
        return Figures(figures, self._meter.seconds)

    def discard(self, chunk: int, attempt: int) -> None:
        """Remove what an attempt has written; where even that fails, the coordinator's sweep does it later."""
        with suppress(ChunkError):
            self.delivery.discard(chunk, attempt)

    def _table(
        self, job: TableJob, chunk: int, attempt: int, undo: ExitStack
    ) -> tuple[WrittenTable | None, dict[str, float]]:
        seconds: dict[str, float] = {}
        writer = job.writer(chunk, self.delivery.folder(job.table, chunk), attempt) if job.writer else None
        if writer is not None:
            undo.callback(writer.abandon)
        with ExitStack() as files:
            csv = files.enter_context(self._csv(job.table, chunk)) if self._keep_csv else None
            for batch in self._timed(self._rows.batches(job.table, chunk), seconds):
                self._write(batch, writer, csv, seconds)
        if job.overlap:
            for batch in self._timed(self._rows.neighbour_batches(job.table, chunk), seconds):
                self._write(batch, writer, None, seconds)
        with self._meter.timed("partition", seconds):
            return (writer.close() if writer is not None else None), seconds

    def _csv(self, table: str, chunk: int) -> CsvFile:
        self._workdir.csv.mkdir(mode=0o700, exist_ok=True)
        return CsvFile(self._workdir.csv / f"chunk{chunk}_CT_{table}.csv")

    def _write(self, batch: Batch, writer: Writer | None, csv: CsvFile | None, seconds: dict[str, float]) -> None:
        with self._meter.timed("partition", seconds):
            if csv is not None:
                csv.write(batch)
            if writer is not None:
                rows, size = writer.written_rows, writer.written_bytes
                writer.write(batch)
                self._meter.rows += writer.written_rows - rows
                self._meter.bytes += writer.written_bytes - size
        self._meter.beat()

    def _timed(self, batches: Iterator[Batch], seconds: dict[str, float]) -> Iterator[Batch]:
        """The batches, the time to make each counted as "generate"."""
        while True:
            with self._meter.timed("generate", seconds):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


def _figures(written: WrittenTable, seconds: dict[str, float]) -> TableFigures:
    home = sum(file.rows for file in written.files if not file.overlap)
    overlap = sum(file.rows for file in written.files if file.overlap)
    size = sum(file.bytes for file in written.files)
    return TableFigures(written.table, home, overlap, size, seconds)
