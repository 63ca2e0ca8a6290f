"""Whose a database is: the plan that fills it is kept in a table of it, and no other plan's chunks come in."""

from collections.abc import Iterable, Mapping

from dgconsole.ingest.mysql.link import Link
from dgconsole.ingest.mysql.names import OVERLAP, PLAN, Reader, quoted
from dgconsole.settings.structs import IngestTarget
from dgconsole.support.errors import InputError, Problem

TABLES = "tables"
"""The part under which the names of the plan's tables are kept."""

_SHOWN = 5
_MANY = 200
_LONGEST = 40
"""Longer values are digests; they are said to differ, not shown."""


class Owner:
    """Reads and writes ``dgconsole_plan``; ``parts`` are what this run's plan consists of, its digest among them."""

    def __init__(
        self, link: Link, target: IngestTarget, database: str, tables: Iterable[str], parts: Mapping[str, str]
    ) -> None:
        self._link = link
        self._target = target
        self._database = database
        self._tables = tuple(tables)
        self._parts = {**parts, TABLES: " ".join(self._tables)}

    def check(self) -> None:
        """InputError where the database must not be filled by this plan; nothing is changed."""
        if not self._exists():
            if not self._target.schema:
                what = f"there is no database '{self._database}' at {self._link.where}: make it"
                raise InputError(Problem(what, key="ingest.dbName"))
            return
        if self._target.replace:
            return
        kept = self._kept()
        if kept is not None and kept != self._parts:
            raise InputError(*self._differences(kept))
        if kept is None and (ours := self._chunk_tables(self._tables)):
            shown = ", ".join(ours[:_SHOWN])
            what = (
                f"the database '{self._database}' holds {len(ours):,} chunk tables ({shown}, ...) that no plan of "
                "ours made: name another database, or drop them with --replace"
            )
            raise InputError(Problem(what, key="ingest.dbName"))

    def take(self) -> None:
        """Make the database this plan's: with ``replace``, what other plans left there is dropped first."""
        if not self._exists():
            self._link.run(f"CREATE DATABASE IF NOT EXISTS {quoted(self._database)}")
        kept = self._kept()
        if kept == self._parts:
            return
        before = (kept or {}).get(TABLES, "").split()
        self._clear({*self._tables, *before})
        plan = quoted(self._database, PLAN)
        self._link.run(f"DROP TABLE IF EXISTS {plan}")
        self._link.run(
            f"CREATE TABLE {plan} (part VARCHAR(250) NOT NULL PRIMARY KEY, value TEXT NOT NULL) "
            "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
        )
        literal = self._link.literal
        rows = ", ".join(f"({literal(part)}, {literal(value)})" for part, value in self._parts.items())
        self._link.run(f"INSERT INTO {plan} VALUES {rows}")  # noqa: S608 - quoted

    def tables(self) -> list[str]:
        """The names of all tables (not views) of the database."""
        sql = "SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema = "
        return sorted(str(name) for (name,) in self._link.run(sql + self._link.literal(self._database)).rows)

    def _exists(self) -> bool:
        sql = "SELECT 1 FROM information_schema.schemata WHERE schema_name = "
        return bool(self._link.run(sql + self._link.literal(self._database)).rows)

    def _kept(self) -> dict[str, str] | None:
        """The parts of the plan that filled it; None: there is none, or a console died before it was written."""
        if PLAN not in map(str.lower, self.tables()):
            return None
        rows = self._link.run(f"SELECT part, value FROM {quoted(self._database, PLAN)}").rows  # noqa: S608 - quoted
        return {str(part): str(value) for part, value in rows} or None

    def _differences(self, kept: Mapping[str, str]) -> list[Problem]:
        found = []
        for part in sorted(kept.keys() | self._parts.keys()):
            there, here = kept.get(part), self._parts.get(part)
            if there == here or part == "digest":
                continue
            if there is None or here is None:
                said = f"{part} is {'not ' if there is None else ''}part of the plan that filled it"
            elif max(len(there), len(here)) > _LONGEST:
                said = f"another {part}"
            else:
                said = f"{part} is {there} there, here {here}"
            found.append(Problem(f"the database '{self._database}' was filled by another plan: {said}"))
        last = "name another database (ingest.dbName), or have what is there dropped with --replace"
        return [*found, Problem(last, key="ingest.dbName")]

    def _chunk_tables(self, tables: Iterable[str]) -> list[str]:
        reader = Reader(tables)
        return [name for name in self.tables() if reader.read(name) is not None]

    def _clear(self, tables: Iterable[str]) -> None:
        """Drop every chunk table of these tables, and the views over them."""
        names = self._chunk_tables(tables)
        for start in range(0, len(names), _MANY):
            listed = ", ".join(quoted(self._database, name) for name in names[start : start + _MANY])
            self._link.run(f"DROP TABLE IF EXISTS {listed}")
        ours = {name.lower() for table in tables for name in (table, table + OVERLAP)}
        sql = "SELECT table_name FROM information_schema.views WHERE table_schema = "
        for (view,) in self._link.run(sql + self._link.literal(self._database)).rows:
            if str(view).lower() in ours:
                self._link.run(f"DROP VIEW IF EXISTS {quoted(self._database, str(view))}")
