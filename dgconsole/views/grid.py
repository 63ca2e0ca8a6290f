"""Columns and cells of a line table, and which columns a width has room for; no painting."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol

GAP = 2
"""Cells between two columns."""


class Cell(NamedTuple):
    """Text in one tone."""

    text: str
    tone: str = ""


EMPTY = Cell("")


class Line(NamedTuple):
    """One row: a cell for each column. ``note`` replaces the cells from column ``note_from`` to the end."""

    cells: tuple[Cell, ...]
    note: Cell | None = None
    note_from: int = 0


class Column(NamedTuple):
    """One column.

    ``width`` is the least width in cells; ``grow`` the share of what is left over; of the columns that do not
    fit, those with the highest ``rank`` go first (0 stays always). ``right`` aligns numbers; of text that is too
    long a ``middle`` column leaves out the middle, others the end.
    """

    key: str
    title: str
    width: int
    rank: int = 0
    grow: int = 0
    right: bool = False
    middle: bool = False


class Place(NamedTuple):
    """Where a column stands: its number, first cell and width."""

    column: int
    x: int
    width: int


def fit(columns: Sequence[Column], width: int) -> tuple[Place, ...]:
    """The columns that fit into ``width`` cells, from left to right; growing ones share the rest."""
    kept = list(range(len(columns)))
    while len(kept) > 1 and _needed(columns, kept) > width:
        worst = max(kept, key=lambda k: (columns[k].rank, k))
        if columns[worst].rank == 0:
            break
        kept.remove(worst)
    spare = max(width - _needed(columns, kept), 0)
    shares = sum(columns[k].grow for k in kept)
    places = []
    x = 0
    for k in kept:
        column = columns[k]
        extra = spare * column.grow // shares if shares else 0
        wide = min(column.width + extra, max(width - x, 0))
        places.append(Place(k, x, wide))
        x += wide + GAP
    return tuple(places)


def _needed(columns: Sequence[Column], kept: Sequence[int]) -> int:
    return sum(columns[k].width for k in kept) + GAP * (len(kept) - 1)


class Rows(Protocol):
    """What a line table shows: anything that knows its columns and makes one line at a time."""

    @property
    def columns(self) -> Sequence[Column]: ...

    def __len__(self) -> int: ...

    def line(self, row: int) -> Line:
        """The line at ``row``, counted from 0 in the order shown."""

    def key(self, row: int) -> Hashable:
        """What the row is about; the cursor stays with it when the order changes."""

    def find(self, key: Hashable) -> int:
        """The row of a key, -1 when it is not shown."""


class FixedRows:
    """Rows made beforehand: for hosts, clients, causes and the report, thousands at most."""

    def __init__(
        self, columns: Sequence[Column], lines: Sequence[Line], keys: Sequence[Hashable] | None = None
    ) -> None:
        self.columns = columns
        self._lines = lines
        self._keys = keys if keys is not None else range(len(lines))

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, row: int) -> Line:
        return self._lines[row]

    def key(self, row: int) -> Hashable:
        return self._keys[row]

    def find(self, key: Hashable) -> int:
        try:
            return self._keys.index(key)
        except ValueError:
            return -1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FixedRows) and self._lines == other._lines and self._keys == other._keys
