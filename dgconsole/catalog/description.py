"""What a spec file says, without running it again: plain structs that cross a process border."""

from msgspec import Struct

VALUES_VERSION = 1
"""Raised when the same spec, seed and counts would give other values than before: old runs can't be resumed then."""


class ColumnDescription(Struct, frozen=True):
    """One column: its name as written to files, its SQL type where the spec or generator gives one, its maker.

    ``stated``: the type is the spec's own word, written behind the name.
    """

    name: str
    type: str
    generator: str
    stated: bool = False


class TableDescription(Struct, frozen=True, kw_only=True):
    """One table of the spec.

    ``id_column`` is the column of an ObjIdGenerator, ``visit_column`` that of a VisitIdGenerator, ``ra`` and
    ``dec`` those of a RaDecGenerator; empty where there is none. ``legacy`` names generators of the user's own
    in the original's calling form.
    """

    name: str
    columns: tuple[ColumnDescription, ...]
    density: str = ""
    prereq_tables: tuple[str, ...] = ()
    prereq_row: str = ""
    from_file: str = ""
    id_column: str = ""
    visit_column: str = ""
    ra: str = ""
    dec: str = ""
    legacy: tuple[str, ...] = ()
    line: int = 0


class SpecDescription(Struct, frozen=True, kw_only=True):
    """A whole spec; ``tables`` in the order in which they are made (prerequisites first)."""

    name: str
    num_stripes: int
    num_sub_stripes: int
    edge_width: float | None
    directors: dict[str, dict[str, str]] | None
    """Director -> child -> key column of the child; None where the spec has no such global."""
    tables: tuple[TableDescription, ...]
    warnings: tuple[str, ...] = ()
