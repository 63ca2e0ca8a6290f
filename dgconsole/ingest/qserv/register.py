"""A database and its tables at Qserv: registered where they are missing, compared wherever they are there."""

from collections.abc import Awaitable

from dgconsole.ingest.qserv.answers import Configuration, Database, Table
from dgconsole.ingest.qserv.api import Controller, Say
from dgconsole.ingest.qserv.failures import LostError, RefusedError, UnauthorizedError
from dgconsole.ingest.qserv.wanted import database_body, old_keys, table_body
from dgconsole.ingest.schema import DatabaseSchema, TableSchema
from dgconsole.support.errors import InputError, Problem

SAME_DEGREES = 1e-9


async def register(
    controller: Controller, schema: DatabaseSchema, *, make: bool, index_later: bool, ours: bool, say: Say
) -> Database:
    """See to it that database and tables are there as the run needs them, directors first.

    Parameters
    ----------
    make
        Register what is missing; otherwise it must be there.
    ours
        Rows of this run are in it already: then it may be published too.

    Raises
    ------
    InputError
        Every difference between what is registered and what the run makes, or what was refused and why.
    """
    configuration = await controller.configuration()
    found = configuration.database(schema.database)
    if found is None:
        InputError.raise_if([] if make else [_missing(f"there is no database '{schema.database}'")])
        InputError.raise_if(_family_problems(configuration, schema, say))
        lost = await _lost(controller.register_database(database_body(schema, index_later=index_later)), schema.path)
        configuration = await controller.configuration()
        found = configuration.database(schema.database)
        if found is None:
            raise LostError(f"the database '{schema.database}' was not registered: {lost}")
    if found.is_published and not ours:
        what = f"the database '{found.database}' at Qserv is published, and closed to rows"
        raise InputError(Problem(f"{what}: choose another dbName, or delete it", key="ingest.dbName"))
    InputError.raise_if(differences(configuration, found, schema))
    known = {table.name.lower() for table in found.tables}
    missing = [table for table in schema.tables if table.table.lower() not in known]
    if not make:
        InputError.raise_if(_missing(f"there is no table '{table.table}'") for table in missing)
    for table in missing:
        old = old_keys(table)
        if old:
            say(f"{table.path}: {', '.join(old)} are keys of an older Qserv: what they mean is said the new way")
        lost = await _lost(controller.register_table(table_body(schema.database, table)), table.path)
        if lost and not _has(await controller.configuration(), schema.database, table.table):
            raise LostError(f"the table '{table.table}' was not registered: {lost}")
    if missing:
        configuration = await controller.configuration()
        found = configuration.database(schema.database) or found
        InputError.raise_if(differences(configuration, found, schema))
    filled = {table.table.lower() for table in schema.tables}
    more = [table.name for table in found.tables if table.name.lower() not in filled]
    if more:
        say(f"the database has tables that this run does not fill: {', '.join(more)}")
    return found


def differences(configuration: Configuration, found: Database, schema: DatabaseSchema) -> list[Problem]:
    """Where a registered database and its tables are not the ones that the run fills; missing tables are none."""
    what = f"the database '{found.database}' at Qserv"
    notes = []
    family = configuration.family(found)
    if family is not None:
        if (family.num_stripes, family.num_sub_stripes) != (schema.num_stripes, schema.num_sub_stripes):
            notes.append(
                f"{what} has {family.num_stripes} stripes of {family.num_sub_stripes} sub-stripes, "
                f"the spec {schema.num_stripes} of {schema.num_sub_stripes}"
            )
        if abs(family.overlap - schema.overlap) > SAME_DEGREES:
            notes.append(f"{what} has an overlap of {family.overlap}, the .cfg files {schema.overlap}")
    problems = [Problem(note, schema.path) for note in notes]
    registered = {table.name.lower(): table for table in found.tables}
    for table in schema.tables:
        other = registered.get(table.table.lower())
        if other is not None:
            problems += _table_differences(other, table)
    return problems


def _table_differences(found: Table, table: TableSchema) -> list[Problem]:
    body = table_body("", table)
    what = f"the table '{found.name}' at Qserv"
    keys = ["is_partitioned"]
    keys += ["director_table", "director_key"] if table.partitioned else []
    keys += ["longitude_key", "latitude_key"] if table.is_director else []
    notes = []
    for key in keys:
        here, there = body[key], getattr(found, key)
        if str(here).lower() != str(there).lower():
            notes.append(f"{what} has {key} '{there}', this run '{here}'")
    notes += _column_differences(what, found, table)
    return [Problem(note, table.path) for note in notes]


def _column_differences(what: str, found: Table, table: TableSchema) -> list[str]:
    theirs = [(column.name, column.type) for column in found.columns]
    if theirs and theirs[0][0] == "qserv_trans_id":
        theirs = theirs[1:]
    if len(theirs) != len(table.columns):
        return [f"{what} has {len(theirs)} columns, this run writes {len(table.columns)}"]
    for place, (there, here) in enumerate(zip(theirs, table.columns, strict=True), 1):
        if (there[0].lower(), _plain(there[1])) != (here[0].lower(), _plain(here[1])):
            return [f"column {place} of {what} is '{there[0]} {there[1]}', this run writes '{here[0]} {here[1]}'"]
    return []


def _family_problems(configuration: Configuration, schema: DatabaseSchema, say: Say) -> list[Problem]:
    """A new database joins the family of its tiling, whose overlap Qserv then takes for its own, unasked."""
    for family in configuration.database_families:
        if (family.num_stripes, family.num_sub_stripes) == (schema.num_stripes, schema.num_sub_stripes):
            if family.overlap - schema.overlap > SAME_DEGREES:
                what = (
                    f"databases of this tiling have an overlap of {family.overlap} at this Qserv, the .cfg files "
                    f"{schema.overlap}: near-neighbour queries would miss rows; set part.overlap to {family.overlap}"
                )
                return [Problem(what, schema.path, 0, "overlap")]
            if schema.overlap - family.overlap > SAME_DEGREES:
                say(f"Qserv uses {family.overlap} of the overlap of {schema.overlap}: its family of this tiling does")
    return []


async def _lost(call: Awaitable[None], path: str) -> str:
    """What was refused goes to the user; of what was lost the reason comes back, and it is to be looked up."""
    try:
        await call
    except UnauthorizedError:
        raise
    except RefusedError as error:
        raise InputError(Problem(error.text, path)) from error
    except LostError as error:
        return error.text
    return ""


def _has(configuration: Configuration, database: str, table: str) -> bool:
    found = configuration.database(database)
    return found is not None and table.lower() in {known.name.lower() for known in found.tables}


def _missing(what: str) -> Problem:
    return Problem(f"{what} at Qserv: start without --skip-schema to have it made", key="--skip-schema")


def _plain(sql: str) -> str:
    return " ".join(sql.upper().split())
