"""The embedded destination ``files``: chunk files in the run directory, renamed into place when accepted."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dgconsole.ingest.destination import Refusals, WrittenTable
from dgconsole.ingest.mapping import mapped
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.support.filenames import attempt_name, home_name, is_attempt_name, overlap_name


class FilesDelivery:
    """Client's side: the partitioner writes straight into ``root/<Table>/``, under the attempt's names."""

    def __init__(self, root: Path, tables: Iterable[str]) -> None:
        self._root = root
        self._tables = tuple(tables)

    def prepare(self) -> None:
        with mapped():
            if not self._root.is_dir():
                raise ChunkError(
                    Fault.DELIVER, f"{self._root} is not there; this host does not see the run directory"
                )
            for table in self._tables:
                (self._root / table).mkdir(exist_ok=True)

    def folder(self, table: str, chunk: int) -> Path:  # noqa: ARG002
        return self._root / table

    def deliver(
        self,
        chunk: int,
        attempt: int,
        written: Sequence[WrittenTable],
        *,
        transaction: int = 0,  # noqa: ARG002
    ) -> None:
        for table in written:
            for file in table.files:
                with mapped():
                    size = file.path.stat().st_size
                if size != file.bytes or file.path.name != attempt_name(file.name, attempt):
                    text = f"chunk {chunk}: {file.path} has {size:,} bytes, {file.bytes:,} were written"
                    raise ChunkError(Fault.DELIVER, text)

    def discard(self, chunk: int, attempt: int) -> None:
        with mapped():
            for table in self._tables:
                for name in (home_name(chunk), overlap_name(chunk)):
                    (self._root / table / attempt_name(name, attempt)).unlink(missing_ok=True)

    def close(self) -> None:
        """What nobody asks for is swept by the console."""


class FilesDestination:
    """Coordinator's side: renames all files of an attempt, then fsyncs each folder once."""

    def __init__(self, root: Path) -> None:
        """``root`` is ``chunks/`` of the run directory."""
        self._root = root
        self._tables: tuple[str, ...] = ()

    def prepare(self, tables: Sequence[str]) -> None:
        self._tables = tuple(tables)
        with mapped():
            for table in self._tables:
                (self._root / table).mkdir(parents=True, exist_ok=True)
            fsync_folder(self._root)
            fsync_folder(self._root.parent)

    def accept(self, items: Sequence[tuple[int, int, Mapping[str, Sequence[str]]]]) -> Refusals:
        refused: Refusals = {}
        touched: set[str] = set()
        for chunk, attempt, names in items:
            try:
                for table in self._tables:
                    folder = self._root / table
                    if place(folder, folder, chunk, attempt, names.get(table, ())):
                        touched.add(table)
            except ChunkError as error:
                refused[chunk, attempt] = error
        try:
            for table in sorted(touched):
                with mapped():
                    fsync_folder(self._root / table)
        except ChunkError as error:
            refused.update(
                {(chunk, attempt): error for chunk, attempt, _ in items if (chunk, attempt) not in refused}
            )
        return refused

    def sweep(self) -> None:
        with mapped():
            for table in self._tables:
                with os.scandir(self._root / table) as entries:
                    left = [entry.path for entry in entries if is_attempt_name(entry.name)]
                for path in left:
                    Path(path).unlink(missing_ok=True)

    def finish(self, *, complete: bool, partial_sky: bool) -> Sequence[str]:  # noqa: ARG002
        return ()

    def close(self) -> None:
        self.sweep()


def place(aside: Path, folder: Path, chunk: int, attempt: int, names: Sequence[str]) -> bool:
    """Rename this attempt's files of one table from ``aside`` into ``folder``, and remove stale ones there.

    Whether the folder has changed; making that lasting is the caller's.
    """
    changed = False
    with mapped():
        for name in names:
            final = folder / name
            try:
                (aside / attempt_name(name, attempt)).rename(final)
                changed = True
            except FileNotFoundError:
                if not final.exists():  # else: this attempt was renamed before, and only the answer was lost
                    raise
        for name in {home_name(chunk), overlap_name(chunk)}.difference(names):
            try:
                (folder / name).unlink()
                changed = True
            except FileNotFoundError:
                pass
    return changed


def fsync_folder(folder: Path) -> None:
    """Make what was renamed or removed in ``folder`` last."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
