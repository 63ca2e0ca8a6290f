"""Tables that are read from a file: CSV without a header, the same for every chunk."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog.model import Table
from dgconsole.support.errors import ChunkError, Fault


class TableFile(Mapping[str, NDArray[Any]]):
    """The columns of a ``from_file`` table, read when first asked for; text as objects, absent values as NaN.

    ChunkError where the file is not there or does not fit the column names.
    """

    def __init__(self, table: Table, folder: Path | None) -> None:
        self.table = table
        self.path = (folder or Path()) / table.from_file
        self._columns: dict[str, NDArray[Any]] | None = None

    def __getitem__(self, name: str) -> NDArray[Any]:
        if self._columns is None:
            self._columns = self._read()
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.names)

    def __len__(self) -> int:
        return len(self.table.names)

    def _read(self) -> dict[str, NDArray[Any]]:
        import polars as pl

        try:
            frame = pl.read_csv(self.path, has_header=False, infer_schema_length=None)
        except (OSError, pl.exceptions.PolarsError) as exc:
            text = str(exc).splitlines()[0]
            raise ChunkError(Fault.SPEC, f"{self.table.name}: {self.path} cannot be read: {text}") from exc
        names = self.table.names
        if frame.width != len(names):
            what = f"{self.path} has {frame.width} columns, the spec names {len(names)}"
            raise ChunkError(Fault.SPEC, f"{self.table.name}: {what}")
        columns = {}
        for name, series in zip(names, frame.get_columns(), strict=True):
            is_text = series.dtype == pl.String
            columns[name] = np.array(series.to_list(), object) if is_text else series.to_numpy()
        return columns
