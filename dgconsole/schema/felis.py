"""Felis schemas (YAML) read as far as a database needs them: tables, columns, types; all else is passed over."""

import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from dgconsole.settings.files import read_file
from dgconsole.settings.section import Section
from dgconsole.settings.suggest import did_you_mean
from dgconsole.settings.yamltree import Node, parse_yaml
from dgconsole.support.errors import InputError, Problem

TYPES = {
    "boolean": "BOOLEAN",
    "byte": "TINYINT",
    "short": "SMALLINT",
    "int": "INT",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "char": "CHAR",
    "string": "VARCHAR",
    "unicode": "VARCHAR",
    "text": "TEXT",
    "binary": "VARBINARY",
    "timestamp": "DATETIME",
}
"""Felis' data types in SQL."""
_SIZED = frozenset({"char", "string", "unicode", "binary"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SQL = re.compile(r"[A-Za-z][A-Za-z ]*(\([0-9, ]+\))?[A-Za-z ]*")


class FelisColumn(Struct, frozen=True):
    """One column; ``sql`` is its type with NOT NULL where it is required, ``ucd`` its meaning (IVOA), if given."""

    name: str
    sql: str
    ucd: str
    line: int


class FelisTable(Struct, frozen=True):
    """One table; ``key`` are the names of its primary key's columns."""

    name: str
    columns: tuple[FelisColumn, ...]
    key: tuple[str, ...]
    line: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


class FelisSchema(Struct, frozen=True):
    """A file's schema; ``tables`` in its order."""

    name: str
    path: str
    tables: tuple[FelisTable, ...]


def load_felis(path: Path, tables: Sequence[str] = ()) -> FelisSchema:
    """Read a schema, or some ``tables`` of it.

    Raises
    ------
    InputError
        Every problem of these tables, with its line; or a table that the file lacks.
    """
    file = read_file(path)
    problems: list[Problem] = []
    top = Section(parse_yaml(file), file.path, problems)
    name = _word(top, "name") or path.stem
    found: list[FelisTable] = []
    seen: list[str] = []
    for entry in _entries(top, "tables"):
        table = _word(entry, "name")
        if not table:
            entry.note("name", "the table has no name")
        elif table in seen:
            entry.note("name", f"there are two tables '{table}': keep one")
        else:
            seen.append(table)
            if not tables or table in tables:
                found.append(_table(entry, table))
    if not seen and not problems:
        top.note("tables", "a Felis schema has a list of 'tables'")
    problems += (
        Problem(f"there is no table '{table}'; {did_you_mean(table, seen)}", file.path)
        for table in tables
        if table not in seen
    )
    InputError.raise_if(problems)
    return FelisSchema(name, file.path, tuple(found))


def _table(entry: Section, name: str) -> FelisTable:
    if entry.node("columnRefs") is not None:
        what = "columns of other files are not looked up: write them out, 'felis dump --dereference-resources' does"
        entry.note("columnRefs", f"table '{name}': {what}")
    parts = _entries(entry, "columns")
    columns: list[FelisColumn] = []
    ids: dict[str, str] = {}
    key = _key(entry)
    names = {_last(word) for word in key}
    for part in parts:
        column = _word(part, "name")
        if not _NAME.fullmatch(column):
            part.note("name", f"'{column}' is no name of a column: letters, digits, underscores")
        elif column in [other.name for other in columns]:
            part.note("name", f"table '{name}' has two columns '{column}': keep one")
        else:
            own = _word(part, "@id")
            ids[own] = column
            required = part.flag("nullable") is False or own in key or (not own and column in names)
            sql = _sql(part, f"{name}.{column}")
            if required and "NOT NULL" not in sql.upper():
                sql += " NOT NULL"
            columns.append(FelisColumn(column, sql, _word(part, "ivoa:ucd"), part.line))
    if not columns and not parts and entry.node("columnRefs") is None:
        entry.note("columns", f"table '{name}' has no columns")
    return FelisTable(name, tuple(columns), tuple(ids.get(word, _last(word)) for word in key), entry.line)


def _sql(column: Section, named: str) -> str:
    """The type in SQL, ``mysql:datatype`` before any other; DOUBLE where there is something wrong with it."""
    own = _word(column, "mysql:datatype")
    kind = _word(column, "datatype")
    length = column.integer("length", least=1, most=2**32 - 1)
    precision = column.integer("precision", least=0, most=6)
    if own:
        if _SQL.fullmatch(own):
            return " ".join(own.split())
        column.note("mysql:datatype", f"{named}: '{own}' is no type of MySQL")
    elif not kind:
        column.note("datatype", f"{named} has no datatype")
    elif kind not in TYPES:
        column.note("datatype", f"{named}: '{kind}' is no type of Felis; {did_you_mean(kind, TYPES)}")
    elif kind in _SIZED and length is None:
        column.note("length", f"{named}: a {kind} needs a length")
    elif kind in _SIZED:
        return f"{TYPES[kind]}({length})"
    elif kind == "timestamp" and precision:
        return f"{TYPES[kind]}({precision})"
    else:
        return TYPES[kind]
    return "DOUBLE"


def _entries(section: Section, key: str) -> list[Section]:
    """The mappings of a list; each names itself in messages as an entry of that list."""
    node = section.node(key)
    if node is None:
        return []
    if not isinstance(node.value, tuple):
        section.note(key, "a list is wanted")
        return []
    return [Section(item, section.file, section.problems, section.key(key)) for item in node.value]


def _word(section: Section, key: str) -> str:
    """A scalar as it is written; empty where there is none."""
    node = section.node(key)
    return "" if node is None or isinstance(node.value, dict | tuple) else node.text


def _key(entry: Section) -> tuple[str, ...]:
    node = entry.node("primaryKey")
    items: tuple[Node, ...] = () if node is None else node.value if isinstance(node.value, tuple) else (node,)
    return tuple(item.text for item in items)


def _last(word: str) -> str:
    """The column's name in an id such as ``#Object.objectId``."""
    return word.lstrip("#").rpartition(".")[2]
