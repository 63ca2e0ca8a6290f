"""Rows looked up: places of a director by id, columns of some rows or of a whole chunk."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog.model import Table
from dgconsole.catalog.rows import Columns
from dgconsole.support.batch import Batch
from dgconsole.support.errors import ChunkError, Fault


class TableMaker(Protocol):
    """What makes the rows of a table."""

    @property
    def table(self) -> Table: ...

    def batches(self, chunk: int, rows: int, wanted: tuple[str, ...] | None = None) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class Places:
    """Places of a director's rows by id (ascending)."""

    child: str
    ids: NDArray[np.int64]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]

    def of(self, keys: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The places of the rows with these ids. ChunkError for an id that no row has."""
        wanted = keys.astype(np.int64)
        at = np.searchsorted(self.ids, wanted)
        at = np.minimum(at, max(len(self.ids) - 1, 0))
        lost = np.ones(len(wanted), np.bool_) if not len(self.ids) else self.ids[at] != wanted
        if bool(lost.any()):
            raise ChunkError(
                Fault.GENERATE, f"{self.child}: a row belongs to {wanted[lost][0]}, which no row has as id"
            )
        return self.ra[at], self.dec[at]


@dataclass(frozen=True)
class Aligned(Mapping[str, NDArray[Any]]):
    """Some rows of a table's columns."""

    columns: Columns
    index: NDArray[np.int64]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name][self.index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


@dataclass
class WholeTable(Mapping[str, NDArray[Any]]):
    """A chunk of a table as columns; each is made when first asked for. Text as objects."""

    maker: TableMaker
    chunk: int
    _made: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.maker.table.names:
            raise KeyError(name)
        if name not in self._made:
            parts = [
                column_text(batch, name) for batch in self.maker.batches(self.chunk, 65536, (name,)) if batch.length
            ]
            self._made[name] = np.concatenate(parts) if parts else np.empty(0)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.maker.table.names)

    def __len__(self) -> int:
        return len(self.maker.table.names)


def column_text(batch: Batch, name: str) -> NDArray[Any]:
    """A column, its words spelled out."""
    values = batch.column(name)
    for block in batch.blocks:
        if name in block.names and block.words:
            text: NDArray[Any] = np.array(block.words, object)[values]
            return text
    return values
