"""Batches of rows as the intermediate CSV: no header, comma, LF, an empty field for null."""

from pathlib import Path
from typing import TYPE_CHECKING

from dgconsole.support.batch import Batch
from dgconsole.support.errors import ChunkError, Fault

if TYPE_CHECKING:
    import polars as pl


class CsvFile:
    """A CSV file that appears under its name when it is whole; a ``with`` block left by an error leaves none.

    Raises
    ------
    ChunkError
        The disk is full, or the folder can't be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._aside = path.with_name(f"{path.name}.part")
        try:
            self._file = self._aside.open("wb")
        except OSError as error:
            raise self._failed(error) from error

    def write(self, batch: Batch) -> None:
        """Append a batch."""
        import polars as pl

        self.write_frame(pl.DataFrame(list(batch.series())))

    def write_frame(self, frame: "pl.DataFrame") -> None:
        """Append a frame's rows."""
        try:
            frame.write_csv(self._file, include_header=False)
        except OSError as error:
            raise self._failed(error) from error
        self.rows += frame.height

    def __enter__(self) -> "CsvFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._file.close()
            if kind is None:
                self._aside.replace(self.path)
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self._aside.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> ChunkError:
        text = error.strerror or str(error).partition(" (os error")[0]
        return ChunkError(Fault.DISK, f"{self.path}: {text}")
