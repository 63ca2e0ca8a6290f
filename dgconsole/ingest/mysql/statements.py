"""SQL for chunk tables: their definition, and LOAD DATA that reads just what the partitioner writes."""

import re

from dgconsole.ingest.mysql.names import LONGEST_TABLE, OVERLAP, quoted
from dgconsole.ingest.schema import TableSchema
from dgconsole.settings.structs import Dialect

FILES_CHARSET = "utf8mb4"
"""Chunk files are UTF-8; so are tables, unless the ingest JSON has a ``charset_name``."""

_WHOLE = re.compile(r"(TINY|SMALL|MEDIUM|BIG)?INT(EGER)?\b", re.IGNORECASE)
_BIT = re.compile(r"BIT\b", re.IGNORECASE)
_SPOKEN = re.compile(r"FLOATE\b", re.IGNORECASE)


def check_loadable(dialect: Dialect) -> list[tuple[str, str]]:
    """What keeps LOAD DATA from reading files of this dialect rightly: (key of ``out.csv``, what to do)."""
    problems = []
    for key, sign in (("delimiter", dialect.delimiter), ("quote", dialect.quote), ("escape", dialect.escape)):
        if sign == "s":
            problems.append((key, "'s' after an escape is a blank to LOAD DATA; choose another"))
    if dialect.quote is not None and not _by_escape(dialect) and dialect.null != "NULL":
        what = (
            f"with quoting on, LOAD DATA can't tell the null {dialect.null!r} from the same text: "
            "set it to \\N (with escape), or to NULL, or set no-quote"
        )
        problems.append(("null", what))
    return problems


def check_bases(tables: list[str]) -> list[tuple[str, str]]:
    """(table, what is wrong with it as the beginning of a table's name in the database)."""
    problems = []
    taken: dict[str, str] = {}
    for table in tables:
        if len(table) > LONGEST_TABLE:
            problems.append(
                (table, f"'{table}' is too long for a table of chunks: {LONGEST_TABLE} characters at most")
            )
        for name in (table.lower(), f"{table}{OVERLAP}".lower()):
            if name in taken:
                problems.append((table, f"'{table}' and '{taken[name]}' would share a table: rename one"))
            taken[name] = table
    return problems


def engine_clause(engine: str | None, version: str) -> str:
    """Aria is as fast as MyISAM and safe in a crash; only MariaDB has it."""
    chosen = engine or ("Aria" if "mariadb" in version.lower() else "MyISAM")
    return f"ENGINE={chosen} TRANSACTIONAL=1" if chosen.lower() == "aria" else f"ENGINE={chosen}"


def create_table(database: str, name: str, schema: TableSchema, engine: str) -> str:
    """A chunk table; it has a key on the id, where that is a whole number, for joins."""
    lines = [f"{quoted(column)} {_SPOKEN.sub('FLOAT', sql)}" for column, sql in schema.columns]
    types = dict(schema.columns)
    if schema.key and _WHOLE.match(types.get(schema.key, "")) and not _has_key(types[schema.key]):
        lines.append(f"KEY ({quoted(schema.key)})")
    charset = schema.raw.get("charset_name") or FILES_CHARSET
    collation = schema.raw.get("collation_name")
    ending = f"{engine} DEFAULT CHARSET={_text(str(charset))}"
    if collation:
        ending += f" COLLATE={_text(str(collation))}"
    columns = ",\n  ".join(lines)
    return f"CREATE TABLE {quoted(database, name)} (\n  {columns}\n) {ending}"


def load_data(literal: str, database: str, name: str, schema: TableSchema) -> str:
    """LOAD DATA of one file; ``literal`` is its path as an SQL text."""
    dialect = schema.dialect
    # Where nulls are told by the escape, no field is ever enclosed; with an enclosure the word NULL would be one.
    enclosed = dialect.quote if not _by_escape(dialect) else None
    fields = f"TERMINATED BY {_bytes(dialect.delimiter)}"
    if enclosed is not None:
        fields += f" OPTIONALLY ENCLOSED BY {_bytes(enclosed)}"
    fields += f" ESCAPED BY {_bytes(dialect.escape or '')}"
    return (
        f"LOAD DATA LOCAL INFILE {literal} INTO TABLE {quoted(database, name)} CHARACTER SET {FILES_CHARSET} "
        f"FIELDS {fields} LINES TERMINATED BY {_bytes(chr(10))}{_conversions(schema)}"
    )


def _conversions(schema: TableSchema) -> str:
    """Columns that LOAD DATA can't fill by itself go through a variable: nulls spelled otherwise, bits."""
    dialect = schema.dialect
    native = _by_escape(dialect) or (dialect.quote is not None and dialect.null == "NULL")
    places, settings = [], []
    for number, (column, sql) in enumerate(schema.columns):
        bit = _BIT.match(sql) is not None
        if native and not bit:
            places.append(quoted(column))
            continue
        variable = f"@v{number}"
        value = f"CAST({variable} AS UNSIGNED)" if bit else variable
        if not native:
            value = f"IF(BINARY {variable} = {_bytes(dialect.null)}, NULL, {value})"
        places.append(variable)
        settings.append(f"{quoted(column)} = {value}")
    return f" ({', '.join(places)}) SET {', '.join(settings)}" if settings else ""


def _by_escape(dialect: Dialect) -> bool:
    """Whether null is the escape and an N, which LOAD DATA knows by itself."""
    return dialect.escape is not None and dialect.null == f"{dialect.escape}N"


def _has_key(sql: str) -> bool:
    return re.search(r"\b(PRIMARY|UNIQUE|KEY)\b", sql, re.IGNORECASE) is not None


def _bytes(text: str) -> str:
    """As a hexadecimal literal, which no SQL mode reads otherwise."""
    return f"X'{text.encode().hex()}'"


def _text(word: str) -> str:
    return "'{}'".format(word.replace("\\", "").replace("'", "''"))
