"""The client's side of ``mysql``: each file of an attempt loaded into a table under the attempt's name."""

import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from dgconsole.ingest.destination import WrittenFile, WrittenTable
from dgconsole.ingest.mapping import mapped
from dgconsole.ingest.mysql.link import PATIENCE, Link
from dgconsole.ingest.mysql.mapping import EXISTS, RefusedError
from dgconsole.ingest.mysql.names import final_name, new_name, quoted
from dgconsole.ingest.mysql.statements import create_table, engine_clause, load_data
from dgconsole.ingest.schema import DatabaseSchema
from dgconsole.settings.structs import IngestTarget
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.support.filenames import attempt_name, home_name, overlap_name

SHOWN = 3
"""So many warnings are quoted."""

LOCK_WAIT = 3
"""Seconds that a load which was broken off has to let go of its table; what stays is swept by the console."""


class MySqlDelivery:
    """The partitioner writes into ``out/<Table>/`` of the workdir; from there files are loaded, then removed.

    LOAD DATA LOCAL takes bad cells with a warning, so rows and warnings are looked at after each file. One
    connection is kept open. All is called on the thread that called ``prepare``; ``discard`` may come from another.

    Parameters
    ----------
    out
        This client's own folder: ``prepare`` clears it.
    patience
        Seconds that a database that went away has to come back.
    beat
        Called again and again while a file is loaded; may raise when the chunk is not wanted any more.
    """

    def __init__(
        self,
        out: Path,
        target: IngestTarget,
        schema: DatabaseSchema,
        password: str,
        *,
        patience: float = PATIENCE,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._out = out
        self._target = target
        self._database = schema.database
        self._tables = {table.table: table for table in schema.tables if table.partitioned}
        self._password = password
        self._beat = beat
        self._link = Link(target, password, patience=patience, beat=beat)
        self._engine = ""
        self._thread = 0

    def prepare(self) -> None:
        self._thread = threading.get_ident()
        with mapped(Fault.WORKDIR):
            if self._out.exists():
                shutil.rmtree(self._out)
            for table in self._tables:
                (self._out / table).mkdir(mode=0o700, parents=True)
        ((version, local),) = self._link.steadily(lambda: self._link.run("SELECT @@version, @@local_infile")).rows
        if not local:
            text = f"the database at {self._link.where} takes no LOAD DATA LOCAL: SET GLOBAL local_infile=1 there"
            raise ChunkError(Fault.DELIVER, text)
        self._engine = engine_clause(self._target.engine, str(version))

    def folder(self, table: str, chunk: int) -> Path:  # noqa: ARG002
        return self._out / table

    def deliver(
        self,
        chunk: int,
        attempt: int,
        written: Sequence[WrittenTable],
        *,
        transaction: int = 0,  # noqa: ARG002
    ) -> None:
        files = [(table.table, file) for table in written for file in table.files]
        for _, file in files:
            self._check(chunk, attempt, file)
        self._link.steadily(lambda: self._load_all(chunk, attempt, files))
        self._remove_files(chunk, attempt)

    def discard(self, chunk: int, attempt: int) -> None:
        drop = f"DROP TABLE IF EXISTS {', '.join(self._all_names(chunk, attempt))}"
        try:
            if threading.get_ident() == self._thread:
                self._link.run(drop)
            else:
                self._discard_under(drop)
        finally:
            self._remove_files(chunk, attempt)

    def close(self) -> None:
        self._link.close()

    def _discard_under(self, drop: str) -> None:
        """From another thread than the one that may be loading right now: that is broken off."""
        self._link.cancel()
        link = Link(self._target, self._password, patience=0)
        try:
            link.run(f"SET SESSION lock_wait_timeout={LOCK_WAIT}")
            link.run(drop)
        finally:
            link.close()

    def _check(self, chunk: int, attempt: int, file: WrittenFile) -> None:
        with mapped(Fault.WORKDIR):
            size = file.path.stat().st_size
        if size != file.bytes or file.path.name != attempt_name(file.name, attempt):
            text = f"chunk {chunk}: {file.path} has {size:,} bytes, {file.bytes:,} were written"
            raise ChunkError(Fault.DELIVER, text)

    def _load_all(self, chunk: int, attempt: int, files: Sequence[tuple[str, WrittenFile]]) -> None:
        for table, file in files:
            self._beat()
            self._load(table, chunk, attempt, file)

    def _load(self, table: str, chunk: int, attempt: int, file: WrittenFile) -> None:
        name = new_name(final_name(table, chunk, overlap=file.overlap), attempt)
        run, schema = self._link.run, self._tables[table]
        self._create(name, create_table(self._database, name, schema, self._engine))
        sql = load_data(self._link.literal(str(file.path)), self._database, name, schema)
        loaded = self._link.load(sql, file.bytes)
        ((warnings,),) = run("SELECT @@warning_count").rows
        if warnings:
            said = "; ".join(str(text) for _, _, text in run(f"SHOW WARNINGS LIMIT {SHOWN}").rows)
            more = f" and {warnings - SHOWN:,} more" if warnings > SHOWN else ""
            # The values and the columns' types do not go together, whoever loads them.
            raise ChunkError(Fault.PARTITION, f"{file.name} of {table} was not taken as it is: {said}{more}")
        if loaded.affected != file.rows:
            text = f"{file.name} of {table}: {file.rows:,} rows were sent, {loaded.affected:,} were taken"
            raise ChunkError(Fault.DELIVER, text)

    def _create(self, name: str, sql: str) -> None:
        """An empty table; one is there already only where a try was interrupted, and to ask first costs as much."""
        try:
            self._link.run(sql)
        except RefusedError as error:
            if error.number != EXISTS:
                raise
            self._link.run(f"DROP TABLE {quoted(self._database, name)}")
            self._link.run(sql)

    def _all_names(self, chunk: int, attempt: int) -> list[str]:
        return [
            quoted(self._database, new_name(final_name(table, chunk, overlap=overlap), attempt))
            for table in self._tables
            for overlap in (False, True)
        ]

    def _remove_files(self, chunk: int, attempt: int) -> None:
        with mapped(Fault.WORKDIR):
            for table in self._tables:
                for name in (home_name(chunk), overlap_name(chunk)):
                    (self._out / table / attempt_name(name, attempt)).unlink(missing_ok=True)
