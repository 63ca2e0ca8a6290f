"""Which destination a run's settings mean, made ready to be given to the coordinator."""

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dgconsole.coordinator.rundir import RunDir
from dgconsole.ingest.destination import Destination, TransactionalDestination
from dgconsole.ingest.files import FilesDestination
from dgconsole.plan import Plan
from dgconsole.plan.schema import database_schema
from dgconsole.settings.structs import RunSettings
from dgconsole.settings.target import PASSWORD
from dgconsole.support.errors import InputError, Problem

if TYPE_CHECKING:
    from dgconsole.ingest.mysql.destination import MySqlDestination
    from dgconsole.ingest.qserv.destination import QservDestination

Say = Callable[[str], None]

MANY_TRANSACTIONS = 1000
"""So many of one database Qserv advises at most."""


def destination_of(
    settings: RunSettings, plan: Plan, run_dir: RunDir, say: Say
) -> Destination | TransactionalDestination:
    """The coordinator's side of what ``ingest.kind`` says; ``say`` takes lines for the log."""
    if settings.ingest_kind == "qserv":
        return _qserv(settings, plan, run_dir.run_id, say)
    return _mysql(settings, plan) if settings.ingest_kind == "mysql" else FilesDestination(run_dir.chunks)


def check_destination(settings: RunSettings, plan: Plan) -> None:
    """Before a run directory is made: a database can be reached, and is not another plan's (run's). Blocks.

    At Qserv, database and tables are registered by it.

    Raises
    ------
    InputError
        What has to be mended.
    """
    if settings.ingest_kind == "mysql":
        _mysql(settings, plan).check()
    elif settings.ingest_kind == "qserv":
        asyncio.run(_try(_qserv(settings, plan, secrets.token_hex(8), lambda _: None), plan))


async def _try(destination: "QservDestination", plan: Plan) -> None:
    try:
        await destination.prepare([table.name for table in plan.tables if table.delivered])
    finally:
        await destination.close()


def _qserv(settings: RunSettings, plan: Plan, run_id: str, say: Say) -> "QservDestination":
    from dgconsole.ingest.qserv.destination import QservDestination

    schema = database_schema(settings, plan)
    return QservDestination(schema, settings.target, settings.secrets, run_id=run_id, say=say)


def _mysql(settings: RunSettings, plan: Plan) -> "MySqlDestination":
    from dgconsole.ingest.mysql.destination import MySqlDestination

    parts = {**plan.parts, "digest": plan.digest}
    schema = database_schema(settings, plan)
    return MySqlDestination(settings.target, schema, parts, settings.secrets.get(PASSWORD, ""))


def too_many_transactions(settings: RunSettings, chunks: int) -> str:
    """What to tell where a run of so many chunks gives Qserv more transactions than it advises; else empty."""
    count = -(-chunks // settings.transaction_size)
    if settings.ingest_kind != "qserv" or count <= MANY_TRANSACTIONS:
        return ""
    enough = -(-chunks // MANY_TRANSACTIONS)
    return (
        f"{chunks:,} chunks in transactions of {settings.transaction_size:,} are {count:,} transactions at least. "
        f"Qserv advises about {MANY_TRANSACTIONS:,}, as each adds a partition to every table that it touches: set "
        f"fakeDataGenerator.transaction_size to {enough:,} or more"
    )


def replacing(settings: RunSettings) -> RunSettings:
    """The settings with ``--replace``. InputError where there is nothing to replace."""
    if settings.ingest_kind == "files":
        what = f"is for a database; chunks of 'kind: {settings.ingest_kind}' go into a run directory of their own"
        raise InputError(Problem(what, key="--replace"))
    return replace(settings, target=replace(settings.target, replace=True))
