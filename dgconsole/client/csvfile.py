"""The intermediate CSV file of one table of one chunk, for ``--keep-csv``: what datagen would write."""

from pathlib import Path
from typing import IO

from dgconsole.client.workdir import PART
from dgconsole.support.batch import Batch


class CsvFile:
    """Written aside, and under its own name only when whole. No header, comma, LF, the empty field for null."""

    def __init__(self, folder: Path, chunk: int, table: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._final = folder / f"chunk{chunk}_CT_{table}.csv"
        self._aside = self._final.with_name(self._final.name + PART)
        self._file: IO[bytes] = self._aside.open("wb")

    def write(self, batch: Batch) -> None:
        """Append a batch."""
        import polars as pl

        pl.DataFrame(list(batch.series())).write_csv(self._file, include_header=False)

    def close(self) -> None:
        """The file is whole."""
        self._file.close()
        self._aside.replace(self._final)

    def abandon(self) -> None:
        """Leave nothing that is not whole; of no effect after ``close``."""
        self._file.close()
        self._aside.unlink(missing_ok=True)
