"""A spec in plain words and names: what crosses from the process that ran it to the one that plans with it."""

from typing import Any

from dgconsole.catalog.columns import ColumnGenerator
from dgconsole.catalog.density import UniformSpatialModel
from dgconsole.catalog.description import ColumnDescription, SpecDescription, TableDescription
from dgconsole.catalog.legacy import LegacyGenerator
from dgconsole.catalog.model import ColumnSet, Spec, Table
from dgconsole.catalog.roles import roles_of


def describe(spec: Spec) -> SpecDescription:
    """The description of a spec, tables in making order."""
    return SpecDescription(
        name=spec.name,
        num_stripes=spec.chunker.num_stripes,
        num_sub_stripes=spec.chunker.num_sub_stripes,
        edge_width=spec.edge_width,
        directors=spec.directors,
        tables=tuple(_table(table) for table in spec.tables),
        warnings=spec.warnings,
    )


def _table(table: Table) -> TableDescription:
    roles = roles_of(table)
    return TableDescription(
        name=table.name,
        columns=tuple(column for group in table.columns for column in _columns(group)),
        density=_density(table.density),
        prereq_tables=table.prereq_tables,
        prereq_row=table.prereq_row,
        from_file=table.from_file,
        id_column=roles.id_column,
        visit_column=roles.visit_column,
        ra=roles.ra,
        dec=roles.dec,
        legacy=tuple(g.generator.name for g in table.columns if isinstance(g.generator, LegacyGenerator)),
        line=table.line,
    )


def _columns(group: ColumnSet) -> list[ColumnDescription]:
    generator, types = group.generator, group.types
    if isinstance(generator, ColumnGenerator):
        known = generator.default_types(group.names)
        types = tuple(given or own for given, own in zip(group.types, known, strict=True))
    maker = generator.name if isinstance(generator, LegacyGenerator) else type(generator).__name__
    name = "" if generator is None else maker
    return [
        ColumnDescription(column, sql, name, bool(own))
        for column, sql, own in zip(group.names, types, group.types, strict=True)
    ]


def _density(model: Any) -> str:
    if model is None:
        return ""
    if isinstance(model, UniformSpatialModel):
        return f"UniformSpatialModel({model.density:g})"
    return type(getattr(model, "model", model)).__name__
