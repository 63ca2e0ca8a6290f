"""A batch of rows in columns: what the catalog makes, and what the partitioner places and writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Block:
    """Columns of one dtype, kept together so that one numpy call serves them all.

    Parameters
    ----------
    names
        The columns, one a row of ``values``.
    values
        Shape (len(names), rows). Numbers of any width, NaN standing for null; or, for text that
        is not made of ``words``, objects (str or None).
    words
        For columns of short repeated text: ``values`` are uint8 indices into these words.
    finite
        Whether the values are known to hold neither NaN nor infinity.
    """

    names: tuple[str, ...]
    values: NDArray[Any]
    words: tuple[str, ...] = ()
    finite: bool = False

    def take(self, index: NDArray[np.integer[Any]]) -> "Block":
        return Block(self.names, np.take(self.values, index, axis=1), self.words, self.finite)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one table.

    Parameters
    ----------
    columns
        Every column in the order of the spec; each is in exactly one block.
    blocks
        The values.
    ra, dec
        Degrees, float64, shape (rows,): the position that decides each row's chunk and sub-chunk
        (its own for a director, its director's for a child). Empty for a table without place.
    length
        The number of rows.
    """

    columns: tuple[str, ...]
    blocks: tuple[Block, ...]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    length: int

    def take(self, index: NDArray[np.integer[Any]]) -> "Batch":
        """The rows at ``index``, in that order; rows may repeat."""
        placed = len(self.ra) > 0
        return Batch(
            self.columns,
            tuple(block.take(index) for block in self.blocks),
            self.ra[index] if placed else self.ra,
            self.dec[index] if placed else self.dec,
            len(index),
        )

    def column(self, name: str) -> NDArray[Any]:
        """The values of one column, shape (rows,); for a column of words their indices."""
        for block in self.blocks:
            if name in block.names:
                values: NDArray[Any] = block.values[block.names.index(name)]
                return values
        raise KeyError(name)

    def series(self) -> "Iterator[pl.Series]":
        """The columns in order, ready to be written: NaN is null, words are text.

        One flat series a block, sliced a column: several times cheaper than a series a column.
        """
        import polars as pl

        made: dict[str, pl.Series] = {}
        for block in self.blocks:
            values = np.ascontiguousarray(block.values).reshape(-1)
            if values.dtype.kind == "O":
                flat = pl.Series(values.tolist(), dtype=pl.String)
            else:
                flat = pl.Series(values, nan_to_null=not block.finite)
            if block.words:
                flat = flat.cat.to(pl.Enum(list(block.words)))
            for row, name in enumerate(block.names):
                made[name] = flat.slice(row * self.length, self.length).alias(name)
        return (made[name] for name in self.columns)
