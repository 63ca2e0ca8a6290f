"""Which of a table's columns are what: object id, visit id, position; and which tables a source needs."""

from collections.abc import Mapping
from dataclasses import dataclass

from dgconsole.catalog.columns import ObjIdGenerator, PairGenerator, RaDecGenerator, VisitIdGenerator
from dgconsole.catalog.model import Table


@dataclass(frozen=True, slots=True)
class Roles:
    """Column names by role; empty where a table has no such column."""

    id_column: str = ""
    visit_column: str = ""
    ra: str = ""
    dec: str = ""


def roles_of(table: Table) -> Roles:
    """The roles of a table's columns, told by their generators."""
    object_id = visit_id = ra = dec = ""
    for group in table.columns:
        generator = group.generator
        if isinstance(generator, VisitIdGenerator):
            visit_id = visit_id or group.names[0]
        elif isinstance(generator, ObjIdGenerator):
            object_id = object_id or group.names[0]
        elif isinstance(generator, RaDecGenerator) and not ra:
            at = 2 if generator.include_err else 1
            ra, dec = group.names[0], group.names[at] if len(group.names) > at else ""
    return Roles(object_id, visit_id, ra, dec)


def missing_roles(table: Table, tables: Mapping[str, Table]) -> list[str]:
    """What a table with a source generator lacks among its prerequisites, in words."""
    if not any(isinstance(group.generator, PairGenerator) for group in table.columns):
        return []
    needs = [tables[name] for name in table.prereq_tables if name in tables]
    roles = [roles_of(need) for need in needs]
    missing = []
    if not any(role.id_column and role.ra for role in roles):
        missing.append(
            "needs a table with ObjIdGenerator and RaDecGenerator among its prereq_tables, for the objects"
        )
    if not any(role.visit_column or need.from_file for role, need in zip(roles, needs, strict=True)):
        missing.append(
            "needs a table with VisitIdGenerator, or one from_file, among its prereq_tables, for the visits"
        )
    return missing
