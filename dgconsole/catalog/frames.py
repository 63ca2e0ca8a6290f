"""Tables as generators of the original's form expect them: the part of a data frame's manners that such code uses."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = Mapping[str, NDArray[Any]]


class Column(np.ndarray[Any, Any]):
    """An array that also answers to ``.values``, ``.to_numpy()`` and ``.iloc[...]``."""

    @property
    def values(self) -> NDArray[Any]:
        return self.view(np.ndarray)

    @property
    def iloc(self) -> "Column":
        return self

    def to_numpy(self) -> NDArray[Any]:
        return self.view(np.ndarray)


class Row(Mapping[str, Any]):
    """One row of a table: ``row["ra"]`` or ``row.ra``."""

    def __init__(self, columns: Columns, number: int) -> None:
        self._columns = columns
        self._number = number

    def __getitem__(self, name: str) -> Any:
        return self._columns[name][self._number]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._columns:
            return self[name]
        raise AttributeError(f"{name}: the row has {', '.join(self.__dict__.get('_columns', ()))}")


class Frame:
    """A table of whole columns: by name, by list of names, or by mask, slice or positions of rows.

    ``len`` counts rows; iteration gives column names; a column is also an attribute. A column is made when it
    is asked for.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    @property
    def columns(self) -> list[str]:
        return list(self._columns)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), len(self._columns)

    @property
    def empty(self) -> bool:
        return len(self) == 0

    @property
    def index(self) -> range:
        return range(len(self))

    @property
    def iloc(self) -> "_Locator":
        """``iloc[3]`` is a row; ``iloc[2:5]`` and ``iloc[positions]`` are tables."""
        return _Locator(self._columns)

    @property
    def loc(self) -> "_Locator":
        """As ``iloc``; ``loc[mask, name]`` is part of a column."""
        return _Locator(self._columns)

    def iterrows(self) -> Iterator[tuple[int, Row]]:
        return ((number, Row(self._columns, number)) for number in range(len(self)))

    def __len__(self) -> int:
        return next((len(values) for values in self._columns.values()), 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __getitem__(self, what: Any) -> Any:
        if isinstance(what, str):
            return np.asarray(self._columns[what]).view(Column)
        if isinstance(what, list) and what and all(isinstance(name, str) for name in what):
            return Frame({name: self._columns[name] for name in what})
        return self.iloc[what]

    def __getattr__(self, name: str) -> Any:
        columns = self.__dict__.get("_columns", {})
        if name in columns:
            return self[name]
        raise AttributeError(
            f"{name}: the table has the columns {', '.join(columns)} and few of a data frame's methods"
        )


class Frames(Mapping[str, Frame]):
    """Prerequisite tables by name; each is looked up when it is asked for."""

    def __init__(self, tables: Mapping[str, Columns]) -> None:
        self._tables = tables

    def __getitem__(self, table: str) -> Frame:
        return Frame(self._tables[table])

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)


class _Locator:
    """Rows by position or mask, optionally with a column: ``[which]`` or ``[which, name]``."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, tuple):
            rows, name = which
            return Frame(self._columns)[name][rows]
        if isinstance(which, int | np.integer):
            return Row(self._columns, int(which))
        return Frame(_Picked(self._columns, which if isinstance(which, slice) else np.asarray(which)))


class _Picked(Mapping[str, NDArray[Any]]):
    """Some rows of each column."""

    def __init__(self, columns: Columns, index: Any) -> None:
        self._columns = columns
        self._index = index

    def __getitem__(self, name: str) -> NDArray[Any]:
        values: NDArray[Any] = self._columns[name][self._index]
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)
