"""The database as ingest JSON: from a Felis schema alone, from the spec, or from the spec with Felis' types."""

import json
from collections.abc import Sequence

from msgspec.structs import replace

from dgconsole.ingest.qserv.wanted import check, database_body, table_body
from dgconsole.ingest.schema import CHUNK, SUB_CHUNK, DatabaseSchema, TableSchema
from dgconsole.plan import Plan
from dgconsole.plan.schema import database_schema
from dgconsole.schema.felis import FelisSchema
from dgconsole.schema.parts import Part
from dgconsole.settings.structs import Dialect, PartitionerConfig, RunSettings
from dgconsole.settings.suggest import did_you_mean
from dgconsole.support.errors import InputError, Problem

VERSION = 12
"""The least version of Qserv's services that knows these files' keys."""
_UNIQUE = "unique_primary_key"
_UNIQUE_VERSION = 21
_ADDED = ((CHUNK, "INT NOT NULL"), (SUB_CHUNK, "INT NOT NULL"))
_DIALECT = Dialect(delimiter="\t", quote=None, escape="\\", null="\\N")


def of_felis(
    schema: FelisSchema, parts: Sequence[Part], *, database: str, tiling: tuple[int, int], overlap: float
) -> DatabaseSchema:
    """The database of a schema: directors, children, and the other tables as ones that are not cut in chunks."""
    tables = []
    for part in parts:
        columns = tuple((column.name, column.sql) for column in part.table.columns)
        if part.partitioned:
            columns = tuple(pair for pair in columns if pair[0] not in (CHUNK, SUB_CHUNK)) + _ADDED
        director = part.role == "director"
        raw: dict[str, object] = {}
        if director and part.table.key not in ((), (part.id,)):
            raw[_UNIQUE] = 0
        tables.append(
            TableSchema(
                table=part.table.name,
                columns=columns,
                partitioned=part.partitioned,
                director=part.director,
                key=part.id if director else part.key,
                position=part.position if director else None,
                overlap=overlap if director else 0.0,
                dialect=_DIALECT,
                path=schema.path,
                raw=raw,
            )
        )
    tables.sort(key=lambda table: (not table.is_director, not table.partitioned))
    return DatabaseSchema(
        database=database,
        num_stripes=tiling[0],
        num_sub_stripes=tiling[1],
        overlap=overlap,
        tables=tuple(tables),
    )


def of_spec(settings: RunSettings, plan: Plan, felis: FelisSchema | None = None) -> DatabaseSchema:
    """The database of a run's delivered tables, with Felis' types where there is a schema.

    Raises
    ------
    InputError
        Felis lacks a table, or has its columns otherwise than the ``.cfg`` writes them.
    """
    schema = database_schema(settings, plan)
    if felis is None:
        return schema
    configs = {config.table: config for config in settings.partitioners}
    described = {table.name: table for table in felis.tables}
    problems: list[Problem] = []
    tables = []
    for table in schema.tables:
        found = described.get(table.table)
        if found is None:
            what = f"there is no table '{table.table}', which is delivered; {did_you_mean(table.table, described)}"
            problems.append(Problem(what, felis.path))
            continue
        config = configs[table.table]
        types = {column.name: column for column in found.columns if column.name not in (CHUNK, SUB_CHUNK)}
        own = [name for name, _ in table.columns if name not in (CHUNK, SUB_CHUNK)]
        problems += _differences(own, list(types), config, felis, found.line)
        columns = [(name, types[name].sql if name in types else sql) for name, sql in table.columns]
        tables.append(replace(table, columns=tuple(columns)))
    InputError.raise_if(problems)
    return replace(schema, tables=tuple(tables))


def _differences(
    own: list[str], there: list[str], config: PartitionerConfig, felis: FelisSchema, line: int
) -> list[Problem]:
    table = config.table
    problems = []
    for name in own:
        if name not in there:
            what = f"table '{table}' has no column '{name}', which the spec makes; {did_you_mean(name, there)}"
            problems.append(Problem(what, felis.path, line))
    lacking = [name for name in there if name not in own]
    if lacking:
        what = f"the spec's table '{table}' makes no {', '.join(lacking)}: Felis has more columns"
        problems.append(Problem(what, felis.path, line))
    if problems or own == there:
        return problems
    place = next(number for number, pair in enumerate(zip(own, there, strict=True)) if pair[0] != pair[1])
    what = f"column {place + 1} is '{own[place]}', Felis has '{there[place]}' there: put them in one order"
    return [Problem(what, config.path, 0, "out.csv.field")]


def named(schema: DatabaseSchema, database: str) -> DatabaseSchema:
    """The same under another name."""
    return replace(schema, database=database)


def json_files(schema: DatabaseSchema) -> dict[str, bytes]:
    """Name -> content: the database first, then its tables, directors before their children."""
    head = {"version": VERSION} | database_body(schema, index_later=False)
    files = {f"{schema.database}.json": _encoded(head)}
    for table in schema.tables:
        body = table_body(schema.database, table)
        version = _UNIQUE_VERSION if _UNIQUE in body else VERSION
        columns = body.pop("schema")
        files[f"{schema.database}_{table.table}.json"] = _encoded({"version": version} | body | {"schema": columns})
    return files


def objections(schema: DatabaseSchema) -> list[str]:
    """What Qserv would refuse of it."""
    return [str(problem) for problem in check(schema)]


def _encoded(body: dict[str, object]) -> bytes:
    return json.dumps(body | {"auth_key": ""}, indent=2).encode() + b"\n"
