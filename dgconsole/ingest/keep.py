"""The client's side of ``files`` that stay on the client's host: named finally by the client, when it is asked to."""

import hashlib
import os
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from dgconsole.ingest.aside import OwnFolder
from dgconsole.ingest.destination import WrittenTable
from dgconsole.ingest.files import FilesDelivery, fsync_folder, place
from dgconsole.ingest.mapping import mapped
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.support.filenames import attempt_name, home_name, overlap_name

MARK = ".dgconsole"
"""Says whose files a folder holds."""


class KeepDelivery:
    """Attempts are written to ``<folder>/.<owner>/<Table>/``; ``keep`` renames one to ``<folder>/<Table>/``.

    A loader asks a director for an overlap file wherever none is known to have rows, so a chunk of a
    director without overlap rows gets an empty one.

    Parameters
    ----------
    folder
        Absolute. All clients of a host share it.
    owner
        The name of what is this client's alone in it, see ``owner_of``: ``prepare`` clears that, and what was
        left by others that are no more.
    directors
        Those of ``tables`` that are.
    run
        What tells this run's files from another's: the digest of its plan.
    """

    def __init__(
        self, folder: Path, owner: str, tables: Iterable[str], *, directors: Iterable[str], run: str
    ) -> None:
        self.root = folder
        self._folder = OwnFolder(folder, owner)
        self._own = self._folder.path
        self._tables = tuple(tables)
        self._directors = frozenset(directors)
        self._run = run
        self._aside = FilesDelivery(self._own, self._tables)
        self._delivered: dict[tuple[int, int], dict[str, tuple[str, ...]]] = {}

    def prepare(self) -> None:
        with mapped():
            self.root.mkdir(parents=True, exist_ok=True)
            self._folder.take()
        try:
            with mapped():
                self._claim()
                self._folder.clear_others()
                for table in self._tables:
                    (self.root / table).mkdir(exist_ok=True)
                fsync_folder(self.root)
                fsync_folder(self.root.parent)
            self._aside.prepare()
        except ChunkError:
            self._folder.leave()
            raise

    def folder(self, table: str, chunk: int) -> Path:
        return self._aside.folder(table, chunk)

    def deliver(
        self,
        chunk: int,
        attempt: int,
        written: Sequence[WrittenTable],
        *,
        transaction: int = 0,  # noqa: ARG002
    ) -> None:
        self._aside.deliver(chunk, attempt, written)
        names = {table.table: tuple(file.name for file in table.files) for table in written}
        for table in self._directors:
            if names.get(table) == (home_name(chunk),):
                names[table] += (overlap_name(chunk),)
                self._write_empty(self._own / table / attempt_name(overlap_name(chunk), attempt))
        self._delivered[chunk, attempt] = names

    def discard(self, chunk: int, attempt: int) -> None:
        self._delivered.pop((chunk, attempt), None)
        self._aside.discard(chunk, attempt)

    def keep(self, chunk: int, attempt: int) -> None:
        """Give a delivered attempt's files their final names, for good.

        A final file of an earlier attempt that this one lacks is removed. Where this fails, files that have their
        names already keep them: they may be another attempt's by now, and that may count.

        Raises
        ------
        ChunkError
            DISK or DELIVER; also for an attempt that was not delivered.
        """
        names = self._delivered.pop((chunk, attempt), None)
        if names is None:
            raise ChunkError(Fault.DELIVER, f"chunk {chunk}: attempt {attempt} is not on this host")
        try:
            for table in self._tables:
                folder = self.root / table
                if place(self._own / table, folder, chunk, attempt, names.get(table, ())):
                    with mapped():
                        fsync_folder(folder)
        except ChunkError:
            with suppress(ChunkError):
                self._aside.discard(chunk, attempt)
            raise

    def close(self) -> None:
        """Nothing more is made or kept: what attempts left goes. What cannot be removed, the next start does."""
        self._folder.clear_others()
        self._folder.leave()

    def _claim(self) -> None:
        """Refuse a folder that holds another run's files: under the same names they would be taken for ours."""
        mark = self.root / MARK
        if not mark.exists():
            aside = self._own / MARK
            aside.write_text(f"{self._run}\n")
            aside.rename(mark)
        if mark.read_text().strip() != self._run:
            what = f"{self.root} holds the files of another run: remove it, or name another ingest.outDir"
            raise ChunkError(Fault.DELIVER, what)

    @staticmethod
    def _write_empty(path: Path) -> None:
        with mapped():
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def owner_of(workdir: Path) -> str:
    """A name that no client has that works in another directory, on this host or another."""
    place = f"{platform.node()}:{workdir}"
    return f"{workdir.name}-{hashlib.sha256(os.fsencode(place)).hexdigest()[:8]}"


def host_folder(text: str) -> Path:
    """``ingest.outDir`` on this host: absolute. ChunkError where there is no home to begin it with."""
    try:
        return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 - links stay as they are
    except RuntimeError as error:
        raise ChunkError(Fault.DELIVER, f"{text}: {error}") from error
