"""Which destination a run's settings mean, made ready to be given to the coordinator."""

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dgconsole.ingest.destination import Destination
from dgconsole.ingest.files import FilesDestination
from dgconsole.plan import Plan
from dgconsole.plan.schema import database_schema
from dgconsole.settings.structs import RunSettings
from dgconsole.settings.target import PASSWORD
from dgconsole.support.errors import InputError, Problem

if TYPE_CHECKING:
    from dgconsole.ingest.mysql.destination import MySqlDestination


def destination_of(settings: RunSettings, plan: Plan, chunks: Path) -> Destination:
    """The coordinator's side of what ``ingest.kind`` says; ``chunks`` is where files go."""
    return _mysql(settings, plan) if settings.ingest_kind == "mysql" else FilesDestination(chunks)


def check_destination(settings: RunSettings, plan: Plan) -> None:
    """Before anything is made: a database can be reached, and is not another plan's. Blocks.

    Raises
    ------
    InputError
        What has to be mended.
    """
    if settings.ingest_kind == "mysql":
        _mysql(settings, plan).check()


def _mysql(settings: RunSettings, plan: Plan) -> "MySqlDestination":
    from dgconsole.ingest.mysql.destination import MySqlDestination

    parts = {**plan.parts, "digest": plan.digest}
    schema = database_schema(settings, plan)
    return MySqlDestination(settings.target, schema, parts, settings.secrets.get(PASSWORD, ""))


def replacing(settings: RunSettings) -> RunSettings:
    """The settings with ``--replace``. InputError where there is nothing to replace."""
    if settings.ingest_kind != "mysql":
        what = f"is for a database; chunks of 'kind: {settings.ingest_kind}' go into a run directory of their own"
        raise InputError(Problem(what, key="--replace"))
    return replace(settings, target=replace(settings.target, replace=True))
