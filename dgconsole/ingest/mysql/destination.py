"""The coordinator's side of ``mysql``: whose database it is, and loaded tables renamed to their final names."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial

from dgconsole.ingest.destination import Refusals, SecretError
from dgconsole.ingest.mysql.link import Link
from dgconsole.ingest.mysql.mapping import NOT_LET_IN, LostError, RefusedError
from dgconsole.ingest.mysql.names import Reader, final_name, new_name, old_name, quoted
from dgconsole.ingest.mysql.owner import Owner
from dgconsole.ingest.mysql.statements import create_table, engine_clause
from dgconsole.ingest.mysql.views import make_views
from dgconsole.ingest.schema import DatabaseSchema
from dgconsole.settings.structs import IngestTarget
from dgconsole.settings.target import PASSWORD
from dgconsole.support.errors import ChunkError, Fault, InputError, Problem
from dgconsole.support.filenames import overlap_name

LOCK_WAIT = 10
"""Seconds that the server has to notice that a console which died holds the database no longer."""

PATIENCE = 30.0
"""Seconds that a database that went away has to come back before a person is called."""

PARTING = 2.0
"""The same when nothing more is to come."""


class MySqlDestination:
    """One database, held by a lock as long as the run lasts.

    Parameters
    ----------
    parts
        What the plan consists of, by name, its digest among them: kept in the database, so that another plan's
        chunks never mix with these.
    patience
        Seconds that a database that went away has to come back.
    """

    def __init__(
        self,
        target: IngestTarget,
        schema: DatabaseSchema,
        parts: Mapping[str, str],
        password: str,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._target = target
        self._database = schema.database
        self._schemas = {table.table: table for table in schema.tables if table.partitioned}
        self._reader = Reader(self._schemas)
        self._link = Link(target, password, patience=patience, greet=self._hold)
        self._owner = Owner(self._link, target, self._database, self._schemas, parts)
        self._patience = patience
        self._folds = False

    # ---- before the run

    def check(self) -> None:
        """Whether the database can be filled by this plan; nothing is changed, nothing stays open.

        Raises
        ------
        InputError
            It cannot be reached, is another plan's, or is in use. SecretError: it wants another password.
        """
        self._link.patience = 0
        try:
            self._checked()
        except ChunkError as error:
            raise InputError(Problem(error.text, key="ingest")) from error
        finally:
            self._link.close()
            self._link.patience = self._patience

    def prepare(self, tables: Sequence[str]) -> None:
        assert set(tables) == set(self._schemas), "delivered tables have a schema each"
        version = self._checked()
        self._owner.take()
        self._try_out(engine_clause(self._target.engine, version))

    def _checked(self) -> str:
        """The server's version, after all checks."""
        sql = "SELECT @@version, @@local_infile, @@lower_case_table_names"
        try:
            ((version, local, folds),) = self._link.steadily(lambda: self._link.run(sql)).rows
        except RefusedError as error:
            if error.number in NOT_LET_IN:
                raise SecretError(PASSWORD, error.said, error.hint, "ingest") from error
            raise
        if not local:
            text = f"the database at {self._link.where} takes no LOAD DATA LOCAL: SET GLOBAL local_infile=1 there"
            raise ChunkError(Fault.DELIVER, text)
        self._folds = bool(folds)
        self._owner.check()
        return str(version)

    def _hold(self, link: Link) -> None:
        """Two runs that fill one database would sweep each other's tables away."""
        name = "dgconsole " + hashlib.sha256(self._database.lower().encode()).hexdigest()[:40]
        ((got,),) = link.run(f"SELECT GET_LOCK({link.literal(name)}, {LOCK_WAIT})").rows
        if got != 1:
            text = f"another run fills the database '{self._database}' right now: end it, or fill another one"
            raise ChunkError(Fault.DELIVER, text)

    def _try_out(self, engine: str) -> None:
        """Make, rename and drop one table of each kind: types, engine and rights are seen to be right."""
        for table, schema in self._schemas.items():
            final = final_name(table, 0, overlap=False)
            names = [quoted(self._database, new_name(final, number)) for number in (0, 1)]
            self._link.run(f"DROP TABLE IF EXISTS {', '.join(names)}")
            try:
                self._link.run(create_table(self._database, new_name(final, 0), schema, engine))
            except ChunkError as error:
                raise ChunkError(error.fault, f"table {table}: {error.text}") from error
            self._link.run(f"RENAME TABLE {names[0]} TO {names[1]}")
            self._link.run(f"DROP TABLE {names[1]}")

    # ---- during the run

    def accept(self, items: Sequence[tuple[int, int, Mapping[str, Sequence[str]]]]) -> Refusals:
        refused: Refusals = {}
        lost: ChunkError | None = None
        for chunk, attempt, names in items:
            if lost is not None:
                refused[chunk, attempt] = lost
                continue
            wanted = [
                final_name(table, chunk, overlap=name == overlap_name(chunk))
                for table, files in names.items()
                for name in files
            ]
            try:
                self._link.steadily(partial(self._place, chunk, attempt, wanted))
            except LostError as error:
                # The tables are there; so this waits, as a full disk does, until a person has seen to the server.
                refused[chunk, attempt] = lost = ChunkError(Fault.DISK, error.text)
            except ChunkError as error:
                refused[chunk, attempt] = ChunkError(error.fault, f"chunk_{chunk}: {error.text}")
        return refused

    def _place(self, chunk: int, attempt: int, wanted: Sequence[str]) -> None:
        """Rename what the attempt has loaded, in one statement; begun again, it finds out how far it was."""
        finals = [final_name(table, chunk, overlap=overlap) for table in self._schemas for overlap in (False, True)]
        there = self._look([name for final in finals for name in (final, new_name(final, attempt), old_name(final))])
        renames, drops = [], []
        for final in finals:
            new, old = new_name(final, attempt), old_name(final)
            if final not in wanted:
                drops += [name for name in (final, new, old) if name in there]
            elif new in there:
                if final in there and old in there:
                    self._drop([old])
                if final in there:
                    renames.append((final, old))
                if final in there or old in there:
                    drops.append(old)
                renames.append((new, final))
            elif final in there:  # this attempt was renamed before, and only the answer was lost
                drops += [old] if old in there else []
            else:
                raise ChunkError(Fault.DELIVER, f"the table {new}, which was loaded, is not there any more")
        if renames:
            pairs = ", ".join(f"{self._quoted(old)} TO {self._quoted(new)}" for old, new in renames)
            self._link.run(f"RENAME TABLE {pairs}")
        self._drop(drops)

    def _look(self, names: Sequence[str]) -> set[str]:
        """Those of ``names`` that are tables; each is looked up by itself, which is fast among any number."""
        keys = {self._key(name): name for name in names}
        database = self._link.literal(self._database)
        sql = " UNION ALL ".join(
            f"SELECT table_name FROM information_schema.tables WHERE table_schema = {database} "  # noqa: S608 - quoted
            f"AND table_name = {self._link.literal(key)}"
            for key in keys
        )
        return {keys[self._key(str(found))] for (found,) in self._link.run(sql).rows}

    def sweep(self) -> None:
        self._link.steadily(self._sweep)

    def _sweep(self) -> None:
        found = self._owner.tables()
        there = {self._key(name) for name in found}
        for name in found:
            parts = self._reader.read(name)
            if parts is None or not parts.aside:
                continue
            final = final_name(parts.table, parts.chunk, overlap=parts.overlap)
            if parts.aside == "old" and self._key(final) not in there:  # a server without atomic RENAME died in it
                self._link.run(f"RENAME TABLE {self._quoted(name)} TO {self._quoted(final)}")
            else:
                self._drop([name])

    # ---- after the run

    def finish(self, *, complete: bool, partial_sky: bool) -> Sequence[str]:  # noqa: ARG002
        """A view over the chunk tables of each kind; what was done, in words."""
        link = self._link
        link.patience = min(self._patience, PARTING)
        try:
            return link.steadily(lambda: make_views(link, self._database, self._reader, self._owner.tables()))
        finally:
            link.patience = self._patience

    def close(self) -> None:
        self._link.patience = min(self._patience, PARTING)
        try:
            self.sweep()
        finally:
            self._link.close()

    # ---- small

    def _drop(self, names: Sequence[str]) -> None:
        if names:
            self._link.run(f"DROP TABLE IF EXISTS {', '.join(map(self._quoted, names))}")

    def _quoted(self, name: str) -> str:
        return quoted(self._database, name)

    def _key(self, name: str) -> str:
        """The name as the server has it."""
        return name.lower() if self._folds else name
