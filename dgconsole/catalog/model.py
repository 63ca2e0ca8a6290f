"""A spec file as read: tables, their columns and the generators that fill them, in making order."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ColumnSet:
    """One entry of a table's ``columns``: the names that one generator fills, in file order.

    ``types`` are SQL types written behind the names in the spec ("objectId:OID"), empty where there is none;
    ``key`` is the entry as the spec has it.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    generator: Any
    key: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the spec. A table ``from_file`` has column names only: one ColumnSet without generator."""

    name: str
    columns: tuple[ColumnSet, ...]
    density: Any = None
    prereq_tables: tuple[str, ...] = ()
    prereq_row: str = ""
    from_file: str = ""
    line: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """All columns in file order."""
        return tuple(name for group in self.columns for name in group.names)


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole spec; ``tables`` are in making order: prerequisites first, each once."""

    name: str
    tables: tuple[Table, ...]
    chunker: Any
    edge_width: float | None = None
    directors: dict[str, dict[str, str]] | None = None
    warnings: tuple[str, ...] = field(default=())

    def table(self, name: str) -> Table:
        """The table of that name; KeyError when there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)
