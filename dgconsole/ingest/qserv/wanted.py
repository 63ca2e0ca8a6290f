"""What must be registered for a run, and what of it Qserv would refuse or misread: pure."""

from dgconsole.ingest.schema import SUB_CHUNK, DatabaseSchema, TableSchema
from dgconsole.settings.structs import Dialect
from dgconsole.support.errors import Problem

LONGEST_NAMES = 56
"""Characters of a database's and a table's name together."""

OPTIONAL = ("unique_primary_key", "charset_name", "collation_name")
"""Keys of a table's JSON that pass as they are."""

OLD = ("is_director", "chunk_id_key", "sub_chunk_id_key")
"""Keys that were Qserv's once and are ignored by it now: a child that says only these is taken for a director."""

DELIMITERS = {"\t": "\\t", ",": ","}
QUOTES = {None: "\\0", "'": "'", '"': '"'}
"""How a form or JSON names these signs: two characters where the sign is none that is seen."""


def database_body(schema: DatabaseSchema, *, index_later: bool) -> dict[str, object]:
    """The body of ``POST /ingest/database``; the index is built at commits unless the JSON or the user says not."""
    built = schema.raw.get("auto_build_secondary_index")
    return {
        "database": schema.database,
        "num_stripes": schema.num_stripes,
        "num_sub_stripes": schema.num_sub_stripes,
        "overlap": schema.overlap,
        "auto_build_secondary_index": int(not index_later) if built is None else int(bool(built)),
    }


def table_body(database: str, table: TableSchema) -> dict[str, object]:
    """The body of ``POST /ingest/table``, whatever old keys the JSON has."""
    body: dict[str, object] = {
        "database": database,
        "table": table.table,
        "is_partitioned": int(table.partitioned),
        "schema": [{"name": name, "type": kind} for name, kind in table.columns],
    }
    if table.partitioned:
        longitude, latitude = _position(table)
        body |= {"director_table": table.director, "director_key": table.key}
        body |= {"longitude_key": longitude, "latitude_key": latitude}
    return body | {key: table.raw[key] for key in OPTIONAL if key in table.raw}


def old_keys(table: TableSchema) -> list[str]:
    """Keys of the table's JSON that are converted here; worth a line to the user."""
    return [key for key in OLD if key in table.raw]


def form_of(dialect: Dialect) -> dict[str, str]:
    """How a file of this dialect is described to a worker."""
    return {
        "fields_terminated_by": DELIMITERS[dialect.delimiter],
        "fields_enclosed_by": QUOTES[dialect.quote],
        "fields_escaped_by": "\\\\",
        "lines_terminated_by": "\\n",
    }


def check(schema: DatabaseSchema) -> list[Problem]:
    """What Qserv would refuse of this database, or take for something else, found before anything is asked."""
    problems = []
    if schema.database.lower().startswith("qserv"):
        what = f"'{schema.database}': Qserv keeps names that begin with 'qserv' to itself; choose another"
        problems.append(Problem(what, key="ingest.dbName"))
    names = {table.table for table in schema.tables}
    for table in schema.tables:
        notes = [*_names(schema, table), *_columns(table)]
        if table.partitioned:
            notes += _roles(table, names)
            notes += _dialect(table.dialect)
        problems += [Problem(f"table '{table.table}': {what}", table.path, 0, key) for key, what in notes]
    return problems


def _names(schema: DatabaseSchema, table: TableSchema) -> list[tuple[str, str]]:
    size = len(schema.database) + len(table.table)
    if size <= LONGEST_NAMES:
        return []
    return [("", f"its name and that of the database have {size} characters; Qserv takes {LONGEST_NAMES}")]


def _columns(table: TableSchema) -> list[tuple[str, str]]:
    notes = []
    for name, kind in table.columns:
        if name.lower().startswith("qserv"):
            notes.append(("schema", f"column '{name}': Qserv keeps names that begin with 'qserv' to itself"))
        if table.is_director and ("BLOB" in kind.upper() or "TEXT" in kind.upper()):
            notes.append(("schema", f"column '{name}': a director takes no {kind}; use CHAR or BINARY"))
    return notes


def _roles(table: TableSchema, names: set[str]) -> list[tuple[str, str]]:
    columns = [name for name, _ in table.columns]
    notes = []
    if table.director and table.director not in names:
        notes.append(("", f"its director '{table.director}' is not delivered: give it a .cfg"))
    if not table.key:
        notes.append(("director_key", "no column is its director's id: name it in part.id of the .cfg"))
    elif table.key not in columns:
        notes.append(("director_key", f"the key '{table.key}' is not among its columns"))
    if table.is_director:
        lost = [name for name in _position(table) if name not in columns]
        notes += [("schema", f"the position '{name}' is not among its columns") for name in lost]
        if SUB_CHUNK not in columns:
            notes.append(("schema", f"a director needs a column of the very name '{SUB_CHUNK}'"))
    return notes


def _dialect(dialect: Dialect) -> list[tuple[str, str]]:
    notes = []
    if dialect.delimiter not in DELIMITERS:
        notes.append(("out.csv.delimiter", f"Qserv takes tab or comma, not {dialect.delimiter!r}"))
    if dialect.quote not in QUOTES:
        notes.append(("out.csv.quote", f"Qserv takes \" or ' or none, not {dialect.quote!r}"))
    if dialect.escape != "\\":
        notes.append(("out.csv.escape", f"Qserv takes only the backslash, not {dialect.escape!r}"))
    if dialect.null != "\\N" and not (dialect.null == "NULL" and dialect.quote is not None):
        notes.append(("out.csv.null", f"Qserv takes \\N, not {dialect.null!r}"))
    return notes


def _position(table: TableSchema) -> tuple[str, str]:
    """(longitude, latitude) of a director as its JSON names them, else as its .cfg does; empty for a child."""
    if not table.is_director:
        return "", ""
    longitude, latitude = table.position or ("", "")
    return str(table.raw.get("longitude_key") or longitude), str(table.raw.get("latitude_key") or latitude)
