"""From settings and plan to the database that the chunk files fill: the ingest JSON's tables, else derived ones."""

from pathlib import Path

from dgconsole.ingest.schema import CHUNK, SUB_CHUNK, DatabaseSchema, TableSchema
from dgconsole.plan.structs import Plan, TablePlan
from dgconsole.settings.structs import Dialect, IngestTable, PartitionerConfig, RunSettings
from dgconsole.support.errors import InputError, Problem

UNKNOWN = "DOUBLE"
"""Type of a column of which neither spec nor generator says one: generators give numbers."""

SPOKEN = {"SID": "BIGINT", "OID": "BIGINT", "VID": "BIGINT", "RA": "DOUBLE", "DEC": "DOUBLE", "FLOATE": "FLOAT"}
"""What a SourceGenerator's own words for types are in SQL."""

WHOLE_FILE = Dialect(delimiter="\t", quote=None, escape="\\", null="\\N")


def database_schema(settings: RunSettings, plan: Plan) -> DatabaseSchema:
    """What the destination's database must be; tables in the order of the plan, directors before their children.

    Delivered tables, and tables from a file that an ingest JSON describes as not partitioned.

    Raises
    ------
    InputError
        A table from a file whose JSON has another number of columns than the spec.
    """
    configs = {config.table: config for config in settings.partitioners}
    described = {table.table: table for table in settings.ingest_tables}
    tables = []
    for table in plan.tables:
        if table.delivered:
            tables.append(_partitioned(table, configs[table.name], described.get(table.name)))
        elif table.from_file and (found := described.get(table.name)) is not None and not found.is_partitioned:
            tables.append(_whole(table, found, settings))
    tables.sort(key=lambda table: (not table.is_director, not table.partitioned))
    database = settings.ingest_database or {}
    named = {table.path for table in settings.ingest_tables}
    paths = [file.path for file in settings.ingest_files if file.path not in named]
    return DatabaseSchema(
        database=settings.target.database or settings.name,
        num_stripes=plan.num_stripes,
        num_sub_stripes=plan.num_sub_stripes,
        overlap=max((table.overlap for table in tables), default=0.0),
        tables=tuple(tables),
        path=paths[0] if database and paths else "",
        raw=database,
    )


def _partitioned(table: TablePlan, config: PartitionerConfig, described: IngestTable | None) -> TableSchema:
    columns = described.columns if described is not None else _derived(table, config)
    own = {column.name: place for place, column in enumerate(table.columns)}

    def at(column: str) -> str:
        """What the database calls a column of the spec."""
        place = own.get(column)
        field = config.in_fields[place] if place is not None else column
        return columns[config.out_fields.index(field)][0] if field in config.out_fields else ""

    def of_field(field: str) -> str:
        return columns[config.out_fields.index(field)][0] if field in config.out_fields else ""

    key = at(table.key) if table.key else of_field(config.id or "")
    return TableSchema(
        table=table.name,
        columns=columns,
        director=table.director,
        key=key,
        position=None if config.pos is None else (of_field(config.pos[0]), of_field(config.pos[1])),
        overlap=table.overlap,
        dialect=config.out_dialect,
        path="" if described is None else described.path,
        raw={} if described is None else described.raw,
    )


def _derived(table: TablePlan, config: PartitionerConfig) -> tuple[tuple[str, str], ...]:
    """The columns of a table without ingest JSON: the spec's names and types, in the files' order."""
    columns = []
    for field in config.out_fields:
        if field == config.chunk:
            columns.append((CHUNK, "INT NOT NULL"))
        elif field == config.sub_chunk:
            columns.append((SUB_CHUNK, "INT NOT NULL"))
        else:
            column = table.columns[config.in_fields.index(field)]
            required = " NOT NULL" if column.name == table.key else ""
            columns.append((column.name, SPOKEN.get(column.type, column.type or UNKNOWN) + required))
    return tuple(columns)


def _whole(table: TablePlan, described: IngestTable, settings: RunSettings) -> TableSchema:
    if len(described.columns) != len(table.columns):
        what = f"has {len(described.columns)} columns, the spec's table '{table.name}' has {len(table.columns)}"
        raise InputError(Problem(f"{what}: they go by place, one for one", described.path, 0, "schema"))
    folder = Path(settings.pregenerated_dir or ".")
    return TableSchema(
        table=table.name,
        columns=described.columns,
        partitioned=False,
        dialect=WHOLE_FILE,
        path=described.path,
        raw=described.raw,
        file=str(folder / table.from_file),
    )
