"""The ingest JSON files: a database and its tables, read for column types and checks."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from dgconsole.settings.files import line_of, list_files, read_file
from dgconsole.settings.structs import IngestTable, TextFile
from dgconsole.settings.yamltree import decode
from dgconsole.support.errors import InputError, Problem

Raw: TypeAlias = dict[str, object]

_SECRET = "auth_key"  # noqa: S105 - the name of the key, not its value


class IngestFiles(Struct, frozen=True):
    """What a folder of ingest JSON comes to. ``files`` are the files as used, secrets taken out."""

    database: Raw | None
    tables: tuple[IngestTable, ...]
    files: tuple[TextFile, ...]


NO_INGEST_FILES = IngestFiles(None, (), ())


def load_ingest_folder(folder: Path, *, database: str | None, asked_by: tuple[str, int]) -> IngestFiles:
    """Read every ``*.json`` of a folder; ``*_template.json`` are passed over.

    Parameters
    ----------
    database
        The name that all files must agree with; None when ``ingest.dbName`` is not set.
    asked_by
        (file, line) of the key ``ingest.cfgDir``.
    """
    paths = list_files(folder, ".json", key="ingest.cfgDir", asked_by=asked_by)
    problems: list[Problem] = []
    files = []
    for path in paths:
        if path.name.endswith("_template.json"):
            continue
        try:
            files.append(read_file(path))
        except InputError as exc:
            problems += exc.problems
    try:
        return read_ingest_files(files, database=database)
    except InputError as exc:
        raise InputError(*problems, *exc.problems) from exc
    finally:
        InputError.raise_if(problems)


def read_ingest_files(files: Iterable[TextFile], *, database: str | None) -> IngestFiles:
    """Read the files: one that names a ``table`` describes a table, one with ``num_stripes`` the database.

    Raises
    ------
    InputError
        All problems of all files.
    """
    problems: list[Problem] = []
    bases: list[tuple[TextFile, Raw]] = []
    tables: dict[str, IngestTable] = {}
    kept = []
    for file in files:
        reader = _Reader(file, problems)
        raw = reader.load()
        if raw is None:
            continue
        kept.append(reader.without_secret())
        if "table" in raw:
            table = reader.table()
            if table.table in tables:
                reader.note("table", f"'{table.table}' is described by {tables[table.table].path} too: keep one")
            tables.setdefault(table.table, table)
        elif "num_stripes" in raw:
            reader.database()
            bases.append((kept[-1], raw))
        else:
            reader.note("", "describes neither a table (no 'table') nor a database (no 'num_stripes')")
            continue
        reader.belongs_to(database)
    for file, _ in bases[1:]:
        problems.append(Problem(f"describes a database, as {bases[0][0].path} does: keep one", file.path))
    InputError.raise_if(problems)
    return IngestFiles(bases[0][1] if bases else None, tuple(tables.values()), tuple(kept))


class _Reader:
    """One JSON file while it is read; what is wrong is noted and reads as a harmless value."""

    def __init__(self, file: TextFile, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems
        self._raw: Raw = {}

    def note(self, key: str, what: str) -> None:
        line = line_of(self._file, f'"{key}"') if key else 0
        self._problems.append(Problem(what, self._file.path, line, key))

    def load(self) -> Raw | None:
        try:
            raw = json.loads(decode(self._file))
        except InputError as exc:
            self._problems += exc.problems
        except json.JSONDecodeError as exc:
            self._problems.append(Problem(f"broken JSON: {exc.msg}", self._file.path, exc.lineno))
        except RecursionError:
            self.note("", "is nested too deep")
        else:
            if isinstance(raw, dict):
                self._raw = raw
                return {key: value for key, value in raw.items() if key != _SECRET}
            self.note("", "is no JSON object: wanted are keys with values in braces")
        return None

    def without_secret(self) -> TextFile:
        """The file as it may be copied and sent: as it stands, unless it holds a key for the ingest service."""
        if not self._raw.get(_SECRET):
            return self._file
        text = json.dumps(self._raw | {_SECRET: ""}, indent=2)
        return TextFile(self._file.name, self._file.path, text.encode() + b"\n")

    def belongs_to(self, database: str | None) -> None:
        named = self._raw.get("database")
        if database is not None and named is not None and named != database:
            self.note("database", f"is '{named}', ingest.dbName is '{database}': make them agree")

    def database(self) -> None:
        for key in ("num_stripes", "num_sub_stripes"):
            if not _is_whole(self._raw.get(key)) or int(str(self._raw[key])) < 1:
                self.note(key, "must be a whole number of at least 1")
        overlap = self._raw.get("overlap")
        if not isinstance(overlap, int | float) or isinstance(overlap, bool) or overlap < 0:
            self.note("overlap", "must be a number of degrees, 0 or more")

    def table(self) -> IngestTable:
        raw = self._raw
        name = raw["table"]
        if not isinstance(name, str) or not name:
            self.note("table", "must be the table's name")
        partitioned = self._flag("is_partitioned", default=True)
        director = self._flag("is_director", default=not raw.get("director_table"))
        return IngestTable(
            table=str(name),
            path=self._file.path,
            is_partitioned=partitioned,
            is_director=partitioned and director,
            columns=self._columns(),
            raw={key: value for key, value in raw.items() if key != _SECRET},
        )

    def _flag(self, key: str, *, default: bool) -> bool:
        value = self._raw.get(key, default)
        if value not in (0, 1):
            self.note(key, "must be 0 or 1")
        return bool(value)

    def _columns(self) -> tuple[tuple[str, str], ...]:
        schema = self._raw.get("schema")
        if not isinstance(schema, list) or not schema:
            self.note("schema", "must be a list of {name, type}, one a column")
            return ()
        columns: dict[str, str] = {}
        for number, column in enumerate(schema, 1):
            name, kind = (column.get("name"), column.get("type")) if isinstance(column, dict) else (None, None)
            if not (isinstance(name, str) and name and isinstance(kind, str) and kind.strip()):
                self.note("schema", f"column {number} needs a 'name' and a 'type', both text")
            elif name in columns:
                self.note("schema", f"column {number}, '{name}', is there twice")
            else:
                columns[name] = kind
        return tuple(columns.items())


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
