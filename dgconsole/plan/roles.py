"""Which tables are directors, and which director each child follows by which column."""

from dataclasses import dataclass, field

from dgconsole.plan.context import Context


@dataclass
class Roles:
    """``directors`` in the spec's order; ``children`` maps each child to its director and its column of the id."""

    directors: list[str] = field(default_factory=list)
    children: dict[str, tuple[str, str]] = field(default_factory=dict)

    def of(self, context: Context, table: str) -> str:
        """director, child, visits or plain."""
        if table in self.directors:
            return "director"
        if table in self.children:
            return "child"
        return "visits" if is_visits(context, table) else "plain"


def is_visits(context: Context, table: str) -> bool:
    """A visit table: a VisitIdGenerator column, no density and no prerequisites."""
    description = context.tables[table]
    return bool(description.visit_column) and not description.density and not description.prereq_tables


def find_roles(context: Context) -> Roles:
    """The roles from the spec's ``directors``, else from the ``.cfg`` files; what doesn't fit is noted.

    A table that ``directors`` doesn't name is a director when its ``.cfg`` has ``part.pos``, else a child of the
    first director among its prerequisites.
    """
    roles = Roles()
    for director, children in (context.spec.directors or {}).items():
        roles.directors.append(director)
        for child, key in children.items():
            first, _ = roles.children.setdefault(child, (director, key))
            if first != director:
                context.in_globals("directors", f"'{child}' follows both '{first}' and '{director}': keep one")
    for table in [name for name in roles.directors if name in roles.children]:
        context.in_globals("directors", f"'{table}' is a director and follows one: keep one")
        del roles.children[table]
    free = [name for name in context.configs if name not in roles.directors and name not in roles.children]
    roles.directors += [name for name in free if context.configs[name].pos is not None]
    for table in free:
        if table not in roles.directors:
            _derive_child(context, roles, table)
    for table in roles.directors:
        _check_director(context, roles, table)
    for table in roles.children:
        _check_child(context, roles, table)
    return roles


def _derive_child(context: Context, roles: Roles, table: str) -> None:
    config = context.configs[table]
    director = next((name for name in context.tables[table].prereq_tables if name in roles.directors), None)
    if director is None:
        what = (
            f"'{table}' follows a director (it has part.id and no part.pos), but none of its prereq_tables is one: "
            f"name its director there, or give {table}.cfg a part.pos"
        )
        context.in_spec(what, table, "prereq_tables")
    elif config.id is not None and context.fields_fit(table):
        roles.children[table] = (director, context.column_of(table, config.id))


def _check_director(context: Context, roles: Roles, table: str) -> None:
    description, config = context.tables[table], context.configs.get(table)
    followed = any(director == table for director, _ in roles.children.values())
    if description.from_file:
        context.in_spec("a table from a file can't be a director: its rows have no chunk of their own", table)
        return
    if not (description.ra and description.dec):
        hint = "" if config is None else f", or take {table}.cfg out (another extension will do)"
        context.in_spec(f"a director has its position from a RaDecGenerator: add one{hint}", table, "columns")
    if followed and not (description.id_column or description.visit_column):
        context.in_spec("a director that others follow has an ObjIdGenerator column: add one", table, "columns")
    if config is None:
        return
    if config.pos is None:
        context.in_cfg(table, "part.pos", f"'{table}' is a director: add part.pos, its two position fields")
    elif context.fields_fit(table) and description.ra and description.dec:
        _check_position(context, table, config.pos)
    ids = {description.id_column, description.visit_column} - {""}
    if config.id is not None and ids and context.fields_fit(table):
        column = context.column_of(table, config.id)
        if column not in ids:
            what = f"'{config.id}' is the spec's column '{column}'; a director's id is {' or '.join(sorted(ids))}"
            context.in_cfg(table, "part.id", what)


def _check_position(context: Context, table: str, pos: tuple[str, str]) -> None:
    description = context.tables[table]
    found = tuple(context.column_of(table, name) for name in pos)
    wanted = (description.ra, description.dec)
    if found != wanted:
        what = (
            f"'{', '.join(pos)}' are the spec's columns '{', '.join(found)}'; "
            f"the position is in '{', '.join(wanted)}' (fields go by place)"
        )
        context.in_cfg(table, "part.pos", what)


def _check_child(context: Context, roles: Roles, table: str) -> None:
    director, key = roles.children[table]
    config = context.configs.get(table)
    if context.tables[table].from_file:
        context.in_spec("a table from a file can't follow a director: its rows are the same for every chunk", table)
    elif director not in context.all_needs(table):
        context.in_spec(f"'{table}' follows '{director}': name it among its prerequisites", table, "prereq_tables")
    if config is None:
        return
    if config.pos is not None:
        what = f"'{table}' follows its director '{director}' by id: take part.pos out, and set part.id to '{key}'"
        context.in_cfg(table, "part.pos", what)
    elif config.id is not None and context.fields_fit(table):
        column = context.column_of(table, config.id)
        if column != key:
            what = f"'{config.id}' is the spec's column '{column}'; '{table}' follows '{director}' by '{key}'"
            context.in_cfg(table, "part.id", what)
