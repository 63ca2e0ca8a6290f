"""What the Qserv of the double knows: databases, chunks, transactions, contributions."""

import time
from dataclasses import dataclass, field
from typing import Any

from lsst.sphgeom import Chunker

from qserv.service import Refused

NEXT = {
    "IS_STARTING": {"STARTED", "START_FAILED", "IS_ABORTING"},
    "STARTED": {"IS_FINISHING", "IS_ABORTING"},
    "IS_FINISHING": {"FINISHED", "FINISH_FAILED", "IS_ABORTING"},
    "IS_ABORTING": {"ABORTED", "ABORT_FAILED"},
    "FINISHED": set(),
    "ABORTED": set(),
    "START_FAILED": {"IS_ABORTING"},
    "FINISH_FAILED": {"IS_ABORTING"},
    "ABORT_FAILED": {"IS_ABORTING"},
}


@dataclass
class Transaction:
    id: int
    database: str
    context: dict[str, Any]
    state: str = "IS_STARTING"
    begun: int = field(default_factory=lambda: int(time.time() * 1000))
    contributions: list[dict[str, Any]] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def become(self, state: str) -> None:
        assert state in NEXT[self.state], (self.state, state)
        self.state = state
        self.states.append(state)

    def shown(self, *, context: bool) -> dict[str, Any]:
        return {
            "id": self.id,
            "database": self.database,
            "state": self.state,
            "begin_time": self.begun,
            "start_time": self.begun,
            "transition_time": 0,
            "end_time": 0,
            "context": self.context if context else {},
            "log": [],
        }


@dataclass
class Database:
    name: str
    family: str
    auto_build: bool
    published: bool = False
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    chunks: dict[int, str] = field(default_factory=dict)
    """Chunk -> its worker."""

    def partitioned(self) -> list[str]:
        return [name for name, table in self.tables.items() if table["is_partitioned"]]

    def directors(self) -> list[str]:
        return [name for name in self.partitioned() if not self.tables[name]["director_table"]]


class State:
    """Shared by all services; only touched on their event loop."""

    def __init__(self) -> None:
        self.families: dict[str, dict[str, Any]] = {}
        self.databases: dict[str, Database] = {}
        self.transactions: dict[int, Transaction] = {}
        self.next_transaction = 1
        self.next_contribution = 1

    def database(self, name: str) -> Database:
        found = self.databases.get(name.lower())
        if found is None:
            raise Refused(f"operation failed due to: unknown database '{name}'")
        return found

    def transaction(self, number: int, *, status: int = 200) -> Transaction:
        if number not in self.transactions:
            raise Refused(f"operation failed due to: no such transaction id={number}", status=status)
        return self.transactions[number]

    def of_database(self, database: Database) -> list[Transaction]:
        return [each for each in self.transactions.values() if each.database == database.name]

    def is_chunk(self, database: Database, chunk: int) -> bool:
        family = self.families[database.family]
        chunker = Chunker(family["num_stripes"], family["num_sub_stripes"])
        return chunk in set(chunker.getAllChunks())
