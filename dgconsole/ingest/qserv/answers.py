"""What Qserv's services answer, as far as we read it."""

from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from dgconsole.ingest.qserv.failures import LostError

T = TypeVar("T")


class State(StrEnum):
    """Of a transaction. ``IS_...`` passes by itself, the ``..._FAILED`` ones lead to an abort only."""

    IS_STARTING = "IS_STARTING"
    STARTED = "STARTED"
    START_FAILED = "START_FAILED"
    IS_FINISHING = "IS_FINISHING"
    FINISHED = "FINISHED"
    FINISH_FAILED = "FINISH_FAILED"
    IS_ABORTING = "IS_ABORTING"
    ABORTED = "ABORTED"
    ABORT_FAILED = "ABORT_FAILED"

    @property
    def ended(self) -> bool:
        return self in (State.FINISHED, State.ABORTED)


class Service(Struct, frozen=True):
    """``/meta/version``; ``id`` of a worker is its name."""

    kind: str
    version: int
    id: str = ""
    instance_id: str = ""


class Column(Struct, frozen=True):
    name: str
    type: str


class Table(Struct, frozen=True):
    """A registered table. ``columns`` begin with one of Qserv's own; keys are empty where not partitioned."""

    name: str
    is_partitioned: int
    director_table: str = ""
    director_key: str = ""
    latitude_key: str = ""
    longitude_key: str = ""
    columns: tuple[Column, ...] = ()


class Family(Struct, frozen=True):
    """Databases of one tiling; the overlap is that of the first of them."""

    name: str
    num_stripes: int
    num_sub_stripes: int
    overlap: float


class Database(Struct, frozen=True):
    database: str
    family_name: str
    is_published: int
    tables: tuple[Table, ...] = ()


class Configuration(Struct, frozen=True):
    """``/replication/config``."""

    database_families: tuple[Family, ...] = ()
    databases: tuple[Database, ...] = ()

    def database(self, name: str) -> Database | None:
        """Names of databases differ in more than upper and lower case."""
        return next((found for found in self.databases if found.database.lower() == name.lower()), None)

    def family(self, database: Database) -> Family | None:
        return next((found for found in self.database_families if found.name == database.family_name), None)


class Transaction(Struct, frozen=True):
    id: int
    state: State
    context: dict[str, Any] = {}


class Location(Struct, frozen=True):
    """Where a chunk's files (or, without ``chunk``, those of a regular table) go."""

    worker: str
    http_port: int
    http_host: str = ""
    http_host_name: str = ""
    chunk: int | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names to try, one after the other, then the address that the worker knows itself by."""
        names = [name.strip() for name in self.http_host_name.split(",")]
        return tuple(dict.fromkeys(name for name in (*names, self.http_host) if name))


class LoadWarning(Struct, frozen=True):
    level: str = ""
    code: int = 0
    message: str = ""


class Contribution(Struct, frozen=True):
    """One file on its way into a table; ``num_rows`` were read, ``num_rows_loaded`` are in the table."""

    status: str
    num_bytes: int = 0
    num_rows: int = 0
    num_rows_loaded: int = 0
    num_warnings: int = 0
    warnings: tuple[LoadWarning, ...] = ()
    table: str = ""
    chunk: int = 0
    overlap: int = 0
    error: str = ""


def read(value: object, kind: type[T]) -> T:
    """``value`` as one of these; one that is not of this form is an answer that cannot be read."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise LostError(f"an answer of Qserv's is not of the form that is known here: {error}") from error
