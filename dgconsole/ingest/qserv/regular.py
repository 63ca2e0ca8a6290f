"""Tables that are not cut in chunks: the whole file to every worker, once in a run."""

import asyncio
import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dgconsole.ingest.qserv.answers import State, Transaction
from dgconsole.ingest.qserv.api import Controller, Say
from dgconsole.ingest.qserv.failures import LostError, QservError
from dgconsole.ingest.qserv.http import Http
from dgconsole.ingest.qserv.transactions import Transactions
from dgconsole.ingest.qserv.upload import Piece, fault_of, upload
from dgconsole.ingest.qserv.wanted import form_of
from dgconsole.ingest.qserv.workers import Workers
from dgconsole.ingest.schema import DatabaseSchema, TableSchema
from dgconsole.settings.structs import Dialect
from dgconsole.support.errors import InputError, Problem

MARK = "regular"
"""In the context: the names of the tables that a transaction loads."""

WRITTEN = Dialect(delimiter="\t", quote=None, escape="\\", null="\\N")
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\\t", "\n": "\\n", "\r": "\\r"})


class RegularTables:
    """Loads them in a transaction of their own, every table to every worker."""

    def __init__(
        self, http: Http, controller: Controller, transactions: Transactions, schema: DatabaseSchema, say: Say
    ) -> None:
        self._http = http
        self._controller = controller
        self._transactions = transactions
        self._database = schema.database
        self._tables = [table for table in schema.tables if not table.partitioned]
        self._say = say

    def missing(self, found: Sequence[Transaction]) -> list[TableSchema]:
        """Those that no finished transaction of this run has loaded."""
        done: set[str] = set()
        for each in found:
            if self._transactions.is_ours(each) and each.state is State.FINISHED:
                done.update(each.context.get(MARK, ()))
        return [table for table in self._tables if table.table not in done]

    async def load(self, tables: Sequence[TableSchema], aliases: Mapping[str, str]) -> None:
        """All or none of them.

        Raises
        ------
        InputError
            A file does not read as its table.
        QservError
            It was not taken; nothing of it is left.
        """
        if not tables:
            return
        with tempfile.TemporaryDirectory(prefix="dgconsole-") as folder:
            pieces = [await asyncio.to_thread(_written, table, Path(folder)) for table in tables]
            names = [table.table for table in tables]
            transaction = await self._transactions.begin(**{MARK: names})
            try:
                await self._upload(transaction, pieces, aliases)
                await self._transactions.commit(transaction)
            except QservError:
                await self._transactions.abort(transaction)
                raise
        self._say(f"{', '.join(names)} went to every worker")

    async def _upload(self, transaction: int, pieces: Sequence[Piece], aliases: Mapping[str, str]) -> None:
        workers = Workers(self._http, aliases, {}, self._say)
        for location in await self._controller.regular(self._database):
            worker = await workers.at(location)
            for piece in pieces:
                fault = fault_of(await upload(self._http, worker, transaction, piece, lambda _: None), piece)
                if fault:
                    raise LostError(f"worker {location.worker}: {piece.table} {fault}")


def _written(table: TableSchema, folder: Path) -> Piece:
    """The table's CSV file as a worker reads it: empty fields are null."""
    path, rows = folder / f"{table.table}.txt", 0
    try:
        with open(table.file, newline="", encoding="utf-8") as source, path.open("w", newline="\n") as target:  # noqa: PTH123
            for row in csv.reader(source):
                if len(row) != len(table.columns):
                    what = f"has {len(row)} columns, {table.path} describes {len(table.columns)}"
                    raise InputError(Problem(what, table.file, rows + 1))
                rows += 1
                target.write("\t".join(field.translate(ESCAPES) if field else "\\N" for field in row) + "\n")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(Problem(f"cannot be read: {error}", table.file)) from error
    size = path.stat().st_size
    return Piece(path, path.name, table.table, 0, False, rows, size, form_of(WRITTEN))
