"""Settings and spec checked against each other: a plan, or every problem at once."""

from dgconsole.catalog.description import SpecDescription, TableDescription
from dgconsole.plan.agreement import (
    check_dialects,
    check_fields,
    check_files,
    check_ingest,
    check_loading,
    check_names,
    check_overlap,
    check_tiling,
    edge_width,
)
from dgconsole.plan.context import Context
from dgconsole.plan.digest import digest_of, plan_parts
from dgconsole.plan.roles import Roles, find_roles, is_visits
from dgconsole.plan.structs import ColumnPlan, Plan, TablePlan
from dgconsole.plan.types import base_type, check_types
from dgconsole.settings.structs import RunSettings
from dgconsole.support.errors import InputError


def make_plan(settings: RunSettings, spec: SpecDescription) -> Plan:
    """The plan of a run; console and client make the same one from the same files.

    Raises
    ------
    InputError
        Every place where spec, ``.cfg`` and ingest JSON don't agree.
    """
    context = Context(settings, spec, notices=list(spec.warnings))
    check_names(context)
    check_fields(context)
    check_dialects(context)
    check_loading(context)
    tiling = check_tiling(context)
    check_files(context)
    roles = find_roles(context)
    check_overlap(context, roles.directors)
    check_ingest(context, roles.directors, roles.children)
    check_types(context, roles.children)
    InputError.raise_if(context.problems)
    assert tiling is not None  # a tiling that is none is a problem
    made = _made(context)
    _note_counts(context, made)
    parts = plan_parts(settings)
    return Plan(
        name=settings.name,
        num_stripes=spec.num_stripes,
        num_sub_stripes=spec.num_sub_stripes,
        edge_width=edge_width(context),
        seed=settings.seed,
        visits=settings.visits,
        objects=settings.objects,
        tables=tuple(_table_plan(context, roles, table) for table in made),
        notices=tuple(context.notices),
        digest=digest_of(parts),
        sky_digest=tiling.digest(),
        parts=parts,
    )


def _made(context: Context) -> list[str]:
    """The tables that are made, in order: delivered ones and all that they need."""
    needed = set(context.configs)
    for table in context.configs:
        needed |= context.all_needs(table)
    for table in context.tables:
        if table not in needed:
            context.notices.append(
                f"table '{table}' is not made: nothing delivers it (there is no {table}.cfg) and no table needs it"
            )
    return [table for table in context.tables if table in needed]


def _note_counts(context: Context, made: list[str]) -> None:
    """A count that the user gave and that no table takes, because all have a density or prerequisites."""
    for count in ("objects", "visits"):
        own = [table for table in made if _takes_count(context, table, visits=count == "visits")]
        if count not in context.settings.given or any(not context.tables[table].density for table in own):
            continue
        dense = [table for table in own if context.tables[table].density]
        why = f"{', '.join(dense)} has a density" if dense else "no table takes it"
        context.notices.append(f"{count} {getattr(context.settings, count)} has no effect: {why}")


def _takes_count(context: Context, table: str, *, visits: bool) -> bool:
    """Whether a table has rows of its own, which a count or a density sets."""
    description = context.tables[table]
    if description.from_file or description.prereq_tables:
        return False
    return is_visits(context, table) if visits else not description.visit_column


def _table_plan(context: Context, roles: Roles, table: str) -> TablePlan:
    config, description = context.configs.get(table), context.tables[table]
    director, key = roles.children.get(table, ("", ""))
    if table in roles.directors:
        key = description.id_column or description.visit_column
    return TablePlan(
        name=table,
        role=roles.of(context, table),
        columns=_columns(context, description),
        delivered=config is not None,
        director=director,
        key=key,
        overlap=config.overlap if config is not None and table in roles.directors else 0.0,
        from_file=description.from_file,
    )


def _columns(context: Context, table: TableDescription) -> tuple[ColumnPlan, ...]:
    """The columns with their types: the ingest JSON's by place in the output, else the spec's own."""
    config, described = context.configs.get(table.name), context.ingest.get(table.name)
    types: dict[str, str] = {}
    if config is not None and described is not None:
        for name, (_, sql) in zip(config.out_fields, described.columns, strict=True):
            if name in config.in_fields and name not in (config.chunk, config.sub_chunk):
                types[context.column_of(table.name, name)] = base_type(sql)
    return tuple(ColumnPlan(column.name, types.get(column.name, column.type)) for column in table.columns)
