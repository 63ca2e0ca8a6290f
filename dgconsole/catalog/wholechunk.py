"""The seam for generators that cannot be asked for single rows: they make a whole chunk at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from dgconsole.sky.boxes import Box


@dataclass(frozen=True, slots=True)
class ChunkRequest:
    """What one generator is asked to make: all rows of one chunk of one table.

    Parameters
    ----------
    table, names, key
        The table, the columns to fill in order (types stripped), and the entry as the spec has it.
    chunk, box
        The chunk and its exact box in degrees.
    seed
        The run's seed, as the user gave it.
    length
        How many rows the table has in this chunk; None when no count is known (a child without a
        ForcedSourceGenerator or the like): then the arrays that come back decide.
    row_of
        Name of the table of ``prereq_row``, empty where there is none.
    tables
        Prerequisites: table -> column -> values of the whole chunk, shape (rows,). Text as objects.
        Looked up lazily: an unused table costs nothing.
    """

    table: str
    names: tuple[str, ...]
    key: str
    chunk: int
    box: Box
    seed: int
    length: int | None
    row_of: str
    tables: Mapping[str, Mapping[str, NDArray[Any]]]


@runtime_checkable
class ChunkColumns(Protocol):
    """A generator that is called once per (table, chunk); the answer is kept for the chunk's batches and
    for the overlap of its neighbours. Memory and cost follow the chunk.

    ``make`` must be a pure function of the request, so that every client gets the same rows. It returns at
    least as many arrays as ``request.names``, each of shape (rows,): numbers, or objects (str, None).
    """

    def make(self, request: ChunkRequest) -> Sequence[NDArray[Any]]: ...
