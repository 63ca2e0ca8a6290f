"""What all checks of a plan share: the inputs by table, and one list each of problems and notices."""

from dataclasses import dataclass, field

from dgconsole.catalog.description import SpecDescription, TableDescription
from dgconsole.settings.files import line_of
from dgconsole.settings.partitioner.forms import read_config
from dgconsole.settings.structs import IngestTable, PartitionerConfig, RunSettings
from dgconsole.support.errors import Problem


@dataclass
class Context:
    """The inputs side by side.

    Parameters
    ----------
    tables
        The spec's tables by name, prerequisites first.
    configs, ingest
        The ``.cfg`` and the ingest JSON of each table that has one.
    problems, notices
        What the checks found; a plan is made when there are no problems.
    """

    settings: RunSettings
    spec: SpecDescription
    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    tables: dict[str, TableDescription] = field(init=False)
    configs: dict[str, PartitionerConfig] = field(init=False)
    ingest: dict[str, IngestTable] = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.tables = {table.name: table for table in self.spec.tables}
        self.configs = {config.table: config for config in settings.partitioners}
        self.ingest = {table.table: table for table in settings.ingest_tables}

    def in_spec(self, what: str, table: str, key: str = "") -> None:
        """A problem of one of the spec's tables."""
        dotted = f"spec.{table}.{key}" if key else f"spec.{table}"
        self.problems.append(Problem(what, self.settings.spec.path, self.tables[table].line, dotted))

    def in_globals(self, name: str, what: str) -> None:
        """A problem of one of the spec's other names, such as ``directors``."""
        self.problems.append(Problem(what, self.settings.spec.path, line_of(self.settings.spec, name), name))

    def in_cfg(self, table: str, key: str, what: str) -> None:
        """A problem of a table's ``.cfg``, of a dotted key where one is to blame."""
        self.problems.append(Problem(what, self.configs[table].path, self.line_in_cfg(table, key), key))

    def in_json(self, path: str, key: str, what: str) -> None:
        """A problem of an ingest file."""
        file = next(file for file in self.settings.ingest_files if file.path == path)
        self.problems.append(Problem(what, path, line_of(file, f'"{key}"'), key))

    def in_schema(self, path: str, column: str, what: str) -> None:
        """A problem of one column of an ingest file."""
        data = next(file.data for file in self.settings.ingest_files if file.path == path)
        at = data.find(f'"{column}"'.encode(), max(data.find(b'"schema"'), 0))
        self.problems.append(Problem(what, path, data.count(b"\n", 0, at) + 1 if at >= 0 else 0, f"schema.{column}"))

    def line_in_cfg(self, table: str, key: str) -> int:
        """The line of a dotted key in a table's ``.cfg``; 0 when the file doesn't say it."""
        path = self.configs[table].path
        file = next((file for file in self.settings.partitioner_files if file.path == path), None)
        return 0 if file is None else read_config(file).lines.get(key, 0)

    def names(self, table: str) -> tuple[str, ...]:
        """A table's columns by the spec's names, in order."""
        return tuple(column.name for column in self.tables[table].columns)

    def fields_fit(self, table: str) -> bool:
        """Whether the ``.cfg`` has as many fields as the spec has columns, so that they go by position."""
        return len(self.configs[table].in_fields) == len(self.tables[table].columns)

    def column_of(self, table: str, field_name: str) -> str:
        """The spec's name of a field of the ``.cfg``: the column at the same place."""
        return self.names(table)[self.configs[table].in_fields.index(field_name)]

    def all_needs(self, table: str) -> set[str]:
        """Prerequisites, and theirs."""
        found: set[str] = set()
        waiting = [*self.tables[table].prereq_tables]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.tables[name].prereq_tables
        return found
