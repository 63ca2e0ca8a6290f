"""Rows of one table streamed into the files of one chunk: placed, spelled and written batch by batch."""

import errno
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dgconsole.partition.layout import NULL, SUB_CHUNK, layout_of
from dgconsole.partition.text import spell, spell_series
from dgconsole.settings.structs import PartitionerConfig
from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import Cells, PositionError, Tiling
from dgconsole.support.batch import Batch, Block
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.support.filenames import attempt_name, home_name, overlap_name

if TYPE_CHECKING:
    import polars as pl

DISK = frozenset({errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG})
WORKDIR = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ESTALE})
OS_ERROR = re.compile(r"os error (\d+)")


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One whole file on the disk. ``name`` is the final one, ``path`` where it lies until then."""

    name: str
    path: Path
    rows: int
    bytes: int
    overlap: bool


@dataclass(frozen=True, slots=True)
class WrittenTable:
    """What one attempt made of one table of one chunk; no file where there were no rows."""

    table: str
    files: tuple[WrittenFile, ...]


class ChunkTableWriter:
    """Writes what belongs to one chunk of whatever batches it is given.

    A row whose place is in the chunk goes to the home file; every copy that a sub-chunk of the chunk
    gets, of its own rows or a neighbour's, goes to the overlap file (tables with ``part.pos`` and an
    overlap). What belongs elsewhere is passed over.

    Parameters
    ----------
    config
        Its input fields label the batches' columns by position.
    tiling
        That of ``config``.
    chunk, folder, attempt
        Files are ``folder/chunk_<N>[_overlap].txt.attempt-<K>``, opened with their first row.
    """

    def __init__(self, config: PartitionerConfig, tiling: Tiling, chunk: int, folder: Path, attempt: int) -> None:
        self.config = config
        self.tiling = tiling
        self.chunk = chunk
        self.layout = layout_of(config)
        self.overlap = _overlap(tiling, config.overlap) if config.overlap > 0.0 else None
        self.home_file = _File(folder, home_name(chunk), attempt, overlap=False)
        self.overlap_file = _File(folder, overlap_name(chunk), attempt, overlap=True)

    @property
    def written_rows(self) -> int:
        return self.home_file.rows + self.overlap_file.rows

    @property
    def written_bytes(self) -> int:
        return self.home_file.bytes + self.overlap_file.bytes

    def write(self, batch: Batch) -> None:
        """Append the chunk's share of a batch.

        Raises
        ------
        ChunkError
            A value cannot be written (infinite, out of place, no spelling), or the disk fails.
        """
        if batch.length == 0:
            return
        if len(batch.columns) != len(self.config.in_fields):
            found, wanted = len(batch.columns), len(self.config.in_fields)
            raise ChunkError(Fault.PARTITION, f"{self.config.table}: {found} columns made, its .cfg names {wanted}")
        if len(batch.ra) != batch.length:
            raise ChunkError(Fault.PARTITION, f"{self.config.table}: its rows have no place in the sky")
        batch = replace(batch, blocks=tuple(self._ready(block) for block in batch.blocks))
        if self.overlap is None:
            self._write_homes(batch)
        else:
            self._write_with_copies(batch, self.overlap)

    def close(self) -> WrittenTable:
        """Make the files safe on the disk and close them."""
        files = (self.home_file.close(), self.overlap_file.close())
        return WrittenTable(self.config.table, tuple(file for file in files if file is not None))

    def abandon(self) -> None:
        """Close and remove the files; nothing is raised."""
        self.home_file.remove()
        self.overlap_file.remove()

    def _write_homes(self, batch: Batch) -> None:
        """Children follow each other at their director's place: what is equal to the row before is in its cell."""
        starts = _changes(batch.ra, batch.dec)
        cells = self._locate(batch.ra[starts], batch.dec[starts])
        counts = np.diff(starts, append=batch.length)
        own = cells.chunk == self.chunk
        rows = np.flatnonzero(np.repeat(own, counts)) if not own.all() else None
        self._append(self.home_file, batch, rows, np.repeat(cells.sub_chunk[own], counts[own]))

    def _write_with_copies(self, batch: Batch, overlap: Overlap) -> None:
        cells = self._locate(batch.ra, batch.dec)
        own = cells.chunk == self.chunk
        self._append(self.home_file, batch, None if own.all() else np.flatnonzero(own), cells.sub_chunk[own])
        copies = overlap.copies(batch.ra, batch.dec, cells)
        here = copies.chunk == self.chunk
        self._append(self.overlap_file, batch, copies.row[here], copies.sub_chunk[here])

    def _locate(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> Cells:
        try:
            return self.tiling.locate(ra, dec)
        except PositionError as error:
            raise ChunkError(Fault.GENERATE, f"{self.config.table}: {error.reason}") from error

    def _append(
        self, file: "_File", batch: Batch, rows: NDArray[np.int64] | None, sub_chunks: NDArray[np.int32]
    ) -> None:
        """Write these rows of the batch, or all of them in their order for None."""
        if len(sub_chunks):
            file.append(self._frame(batch if rows is None else batch.take(rows), sub_chunks), self.config)

    def _frame(self, batch: Batch, sub_chunks: NDArray[np.int32]) -> "pl.DataFrame":
        import polars as pl

        series = [
            spell_series(column, self.config.out_dialect) if column.dtype == pl.String else column
            for column in batch.series()
        ]
        columns, seen = [], set()
        for number, place in enumerate(self.layout):
            if place >= 0:
                column = series[place]
            elif place == NULL:
                column = pl.repeat(None, batch.length, dtype=pl.Int8, eager=True)
            else:
                values = sub_chunks if place == SUB_CHUNK else np.full(batch.length, self.chunk, np.int32)
                column = pl.Series(values)
            columns.append(column.alias(f"\0{number}") if place < 0 or place in seen else column)
            seen.add(place)
        return columns[0].to_frame().hstack(columns[1:])

    def _ready(self, block: Block) -> Block:
        """A block as it can be written: no infinity, no truth values, words in the output dialect."""
        if block.words:
            return replace(block, words=tuple(spell(word, self.config.out_dialect) for word in block.words))
        kind = block.values.dtype.kind
        if kind == "b":
            return replace(block, values=block.values.view(np.int8))
        if kind != "f":
            return block
        if np.isfinite(block.values).all():
            return replace(block, finite=True)
        infinite = np.isinf(block.values).any(axis=1)
        if infinite.any():
            name = block.names[int(np.argmax(infinite))]
            raise ChunkError(
                Fault.GENERATE, f"{self.config.table}.{name} is infinite; a database takes no such number"
            )
        return block


class _File:
    """A file under its attempt's name, opened with its first row."""

    def __init__(self, folder: Path, name: str, attempt: int, *, overlap: bool) -> None:
        self.name = name
        self.path = folder / attempt_name(name, attempt)
        self.overlap = overlap
        self.stream: FileIO | None = None
        self.rows = 0
        self.bytes = 0

    def append(self, frame: "pl.DataFrame", config: PartitionerConfig) -> None:
        try:
            if self.stream is None:
                self.stream = FileIO(self.path, "w")
            frame.write_csv(
                self.stream,
                include_header=False,
                separator=config.out_dialect.delimiter,
                null_value=config.out_dialect.null,
                quote_style="never",
            )
            self.bytes = self.stream.tell()
        except OSError as error:
            raise disk_error(self.path, error) from error
        self.rows += len(frame)

    def close(self) -> WrittenFile | None:
        if self.stream is None:
            return None
        try:
            with self.stream:
                os.fsync(self.stream.fileno())
        except OSError as error:
            raise disk_error(self.path, error) from error
        return WrittenFile(self.name, self.path, self.rows, self.bytes, self.overlap)

    def remove(self) -> None:
        if self.stream is not None:
            with suppress(OSError):
                self.stream.close()
            with suppress(OSError):
                self.path.unlink()
            self.stream = None


def disk_error(path: Path, error: OSError) -> ChunkError:
    """Whose fault a failed write is; polars tells the number of the error only in its text."""
    number = error.errno
    if number is None and (found := OS_ERROR.search(str(error))):
        number = int(found[1])
    fault = Fault.DISK if number in DISK else Fault.WORKDIR if number in WORKDIR else Fault.PARTITION
    reason = os.strerror(number) if number is not None else str(error)
    return ChunkError(fault, f"{path} cannot be written: {reason}")


def _changes(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rows, ascending, whose place differs from that of the row before; the first row is one."""
    changed = np.ones(len(ra), np.bool_)
    np.not_equal(ra[1:], ra[:-1], out=changed[1:])
    changed[1:] |= dec[1:] != dec[:-1]
    return np.flatnonzero(changed)


@lru_cache(maxsize=32)
def _overlap(tiling: Tiling, radius: float) -> Overlap:
    return Overlap(tiling, radius)
